//! `selvedge chat`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::{command, corpus, ended, path};

fn model() -> Option<PathBuf> {
    corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The command with a message on standard input.
fn told(message: &str, args: &[&str]) -> Output {
    let mut child = command(Path::new("."), args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that ends over its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_message_on_standard_input_is_answered() {
    let Some(model) = model() else { return };
    let question = "Tell me about Paris.\n";
    let greedy = ["chat", path(&model), "--temperature", "0", "--max-tokens", "48"];
    let (answer, err) = ended(&told(question, &greedy), 0);
    assert!(answer.contains("Paris is a city") && answer.ends_with('\n'), "{answer}");
    assert!(err.is_empty() || err.starts_with("note: cut after 48 tokens"), "{err}");
    let (again, err) = ended(&told(question, &[&greedy[..], &["--stats"]].concat()), 0);
    assert_eq!(again, answer, "statistics are no part of an answer");
    assert!(err.contains("tokens in, ") && err.contains(" tokens/s"), "{err}");
    let (reported, _) = ended(&told(question, &[&greedy[..], &["--json"]].concat()), 0);
    let reported: Value = serde_json::from_str(&reported).unwrap();
    assert_eq!(format!("{}\n", reported["text"].as_str().unwrap()), answer);
    assert!(reported["input_tokens"].as_u64().unwrap() > 5 && reported["output_tokens"].as_u64().unwrap() > 1);
}

#[test]
fn one_seed_gives_one_answer() {
    let Some(model) = model() else { return };
    let say = |seed: &str| {
        let args = ["chat", path(&model), "--temperature", "1.5", "--top-p", "1", "--max-tokens", "24", "--seed", seed];
        ended(&told("Tell me a story.", &args), 0).0
    };
    assert_eq!(say("7"), say("7"));
    assert_ne!(say("7"), say("8"));
}

/// The same model as if it was never taught to converse.
fn without_template(folder: &Path, model: &Path) -> PathBuf {
    let mut bytes = std::fs::read(model).unwrap();
    let key = b"tokenizer.chat_template";
    let at = bytes.windows(key.len()).position(|window| window == key).expect("it has one");
    bytes[at..at + key.len()].copy_from_slice(b"tokenizer.lost_template");
    let to = folder.join("plain.gguf");
    std::fs::write(&to, bytes).unwrap();
    to
}

#[test]
fn a_model_without_a_template_says_so_and_continues_texts() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let plain = without_template(folder.path(), &model);
    let (out, err) = ended(&told("Hello", &["chat", path(&plain)]), 1);
    assert!(out.is_empty() && err.contains("cannot chat: ") && err.contains("no chat template"), "{err}");
    assert!(err.contains("--plain"), "{err}");
    let args = ["chat", path(&plain), "--plain", "--temperature", "0", "--max-tokens", "8"];
    let (out, _) = ended(&told("The capital of France is", &args), 0);
    assert!(out.contains("Paris"), "{out}");
    if let Some(vectors) = corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf") {
        let (_, err) = ended(&told("Hello", &["chat", path(&vectors)]), 1);
        assert!(err.contains("cannot chat: it makes vectors of texts"), "{err}");
    }
}

#[test]
fn mistakes_are_told() {
    let Some(model) = model() else { return };
    for (message, args, expected) in [
        ("", &[][..], "standard input: expected a message, got nothing"),
        ("Hello", &["--max-tokens", "0"], "max_tokens: expected at least 1, got 0"),
        ("Hello", &["--temperature=-1"], "temperature"),
        ("Hello", &["--plain", "--system", "be brief"], "cannot be used with"),
    ] {
        let (out, err) = ended(&told(message, &[&["chat", path(&model)], args].concat()), 2);
        assert!(out.is_empty() && err.starts_with("error: ") && err.contains(expected), "{args:?}: {err}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_answer() {
    let Some(model) = model() else { return };
    let args = ["chat", path(&model), "--plain", "--max-tokens", "3000", "--temperature", "1", "--seed", "1"];
    let mut child = command(Path::new("."), &args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Once upon a time").unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut first = [0];
    out.read_exact(&mut first).unwrap();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    // What came is whole, and the command says that it was ended.
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\n") && String::from_utf8([&first[..], &rest].concat()).is_ok());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// On a terminal, of the program `script`: one message after the other.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_has_a_conversation() {
    let Some(model) = model() else { return };
    let command_line =
        format!("{} chat {} --temperature 0 --max-tokens 24 --stats", env!("CARGO_BIN_EXE_selvedge"), path(&model));
    let mut child = std::process::Command::new("script")
        .args(["-qec", &command_line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` is a part of util-linux");
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"Tell me about Paris.\n/nonsense\n/exit\n").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keys);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    for part in ["/help", "> ", "Paris is a city", "tokens/s", "/nonsense: expected /clear, /exit or /help"] {
        assert!(out.contains(part), "no {part}: {out}");
    }
}
