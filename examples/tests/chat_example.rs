//! The example `chat` as a process of its own, with SmolLM2-135M: what it keeps, drops, calls and survives.
//! What the model says is of no account: it is small, and its weights are in four bits.
#![cfg(feature = "llama")]

#[path = "../chat/main.rs"]
mod chat;
#[path = "../../tests/support/corpus.rs"]
mod corpus;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use selvedge::ToolCall;
use serde_json::{Value, json};

const ARGS: &str = "SELVEDGE_TEST_CHAT";

/// The program, where a test has started this file as one.
#[test]
fn the_program_itself() {
    let Ok(args) = std::env::var(ARGS) else { return };
    if let Err(error) = chat::run(args.split('\n').map(str::to_owned)) {
        eprintln!("Error: {error}");
        std::process::exit(1);
    }
}

fn smollm() -> Option<PathBuf> {
    corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

fn start(args: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["the_program_itself", "--exact", "--nocapture", "--test-threads", "2"])
        .env(ARGS, args.join("\n"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the program wrote to its output and beside it, from the lines that it was given to its end.
#[track_caller]
fn talk(args: &[&str], lines: &str) -> (String, String) {
    let mut child = start(args);
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    (out, err)
}

fn history(file: &Path) -> Vec<Value> {
    serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap().as_array().unwrap().clone()
}

fn roles(history: &[Value]) -> Vec<&str> {
    history.iter().map(|message| message["role"].as_str().unwrap()).collect()
}

/// How many tokens each answer reused, by its numbers.
fn reused(out: &str) -> Vec<u64> {
    let ends = out.match_indices(" of them reused");
    ends.map(|(at, _)| out[..at].rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_conversation_goes_on_in_the_next_process() {
    let Some(model) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let args =
        [model.to_str().unwrap(), "--resume", file.to_str().unwrap(), "--seed", "1", "--max-tokens", "24", "--stats"];
    let (out, err) = talk(&args, "/stats\nMy name is Ann. Say hello to me.\n\nnever read\n");
    assert_eq!(reused(&out), [0], "{out}\n{err}");
    assert!(
        out.contains("[no answer yet]")
            && out.contains(" tokens/s; ")
            && out.contains(" of 4096 tokens of context left"),
        "{out}"
    );
    let first = history(&file);
    assert_eq!(roles(&first), ["user", "assistant"]);

    let (out, err) = talk(&args, "What is my name?\nAnd again?\n");
    assert!(err.contains("goes on after 1 exchange") && err.contains("tokens of it need not be computed"), "{err}");
    let warm = reused(&out);
    assert!(warm.len() == 2 && warm[0] > 16 && warm[1] > warm[0], "{out}");
    let second = history(&file);
    assert_eq!((&second[..2], roles(&second)), (&first[..], ["user", "assistant"].repeat(3)));

    // What was computed is damaged, or of somebody else: it is computed again.
    let prefixes = folder.path().join("talk.json.prefixes");
    let whole = fs::read(&prefixes).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"something else"] {
        fs::write(&prefixes, damaged).unwrap();
        let (out, err) = talk(&[&args[..], &["--prompt", "Say yes."]].concat(), "");
        assert!(err.contains("[a cold start: "), "{err}");
        assert_eq!(reused(&out), [0], "{out}");
    }
    assert_eq!(history(&file).len(), 10);
    fs::remove_file(&prefixes).unwrap();
    let (out, err) = talk(&[&args[..], &["--prompt", "Say no."]].concat(), "");
    assert!(err.contains("nothing is saved of what was computed") && reused(&out) == [0], "{out}\n{err}");
}

#[test]
fn a_file_that_is_no_history_is_kept_and_the_conversation_begins_anew() {
    let Some(model) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, aside) = (folder.path().join("talk.json"), folder.path().join("talk.json.damaged"));
    let args = [
        model.to_str().unwrap(),
        "--resume",
        file.to_str().unwrap(),
        "--seed",
        "1",
        "--max-tokens",
        "8",
        "--prompt",
        "Say yes.",
    ];
    let unasked = json!([{ "role": "tool", "content": "4", "tool_call_id": "nobody's" }]).to_string();
    for content in
        ["[{\"role\": \"user\", \"con", "{\"dependencies\": []}", "[{\"role\": \"king\", \"content\": \"\"}]", &unasked]
    {
        fs::write(&file, content).unwrap();
        let (_, err) = talk(&args, "");
        assert!(err.contains("the conversation begins anew: "), "{err}");
        assert_eq!(fs::read_to_string(&aside).unwrap(), content);
        assert_eq!(roles(&history(&file)), ["user", "assistant"]);
    }
}

#[test]
fn a_full_context_drops_the_oldest_exchanges_and_says_so() {
    let Some(model) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let (system, seed) =
        (["--system", "You are brief."], ["--seed", "1", "--context", "448", "--max-tokens", "48", "--stats"]);
    let args = [&[model.to_str().unwrap(), "--resume", file.to_str().unwrap()][..], &system, &seed].concat();
    let question = |i: u32| format!("Question {i}: what can one see in town number {i}, and what is it known for?\n");
    let far_too_long = format!("{}?\n", "What about the town? ".repeat(400));
    let lines = [(1..=4).map(question).collect(), far_too_long, question(5)].concat();
    let (out, err) = talk(&args, &lines);
    assert!(err.contains("the context of 448 tokens is full: the oldest "), "{err}");
    assert!(err.contains("[not answered: ") && err.contains("expected at most 447 tokens"), "{err}");
    // All but one were answered, each within the context.
    assert_eq!(reused(&out).len(), 5, "{out}\n{err}");
    assert!(!err.contains("the answer ends here"), "{err}");
    let kept = history(&file);
    assert_eq!(kept[0], json!({ "role": "system", "content": "You are brief." }));
    assert_eq!(roles(&kept[1..]), ["user", "assistant"].repeat(kept.len() / 2));
    assert!(kept.len() < 11, "{kept:?}");
    assert_eq!(kept[kept.len() - 2]["content"], question(5).trim());
    let exchanges = (kept.len() - 1) / 2;
    assert_eq!(kept[1]["content"], question(6 - exchanges as u32).trim(), "the youngest are there, in their order");
}

#[test]
fn a_tool_is_called_and_its_result_goes_back() {
    let Some(model) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let args = [model.to_str().unwrap(), "--resume", file.to_str().unwrap(), "--seed", "1", "--max-tokens", "64"];
    let (out, err) = talk(&args, "/convert How many kilometres are 3 miles?\nThank you.\n");
    let all = history(&file);
    assert_eq!(roles(&all)[..3], ["user", "assistant", "tool"], "{out}\n{err}");
    assert_eq!(all[0]["content"], "How many kilometres are 3 miles?");
    let called = &all[1]["tool_calls"][0];
    assert_eq!(called["id"], all[2]["tool_call_id"]);
    let text = |key: &str| called[key].as_str().unwrap();
    let result = chat::tools::call(&ToolCall::new(text("id"), text("name"), text("arguments")));
    assert_eq!(all[2]["content"], *result);
    assert!(out.contains(&format!("[convert({}): {result}]", text("arguments"))), "{out}");
    let last = roles(&all);
    assert_eq!(last[last.len() - 3..], ["assistant", "user", "assistant"], "{out}\n{err}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_answer_and_the_conversation_goes_on() {
    let Some(model) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let mut child =
        start(&[model.to_str().unwrap(), "--resume", file.to_str().unwrap(), "--seed", "1", "--max-tokens", "256"]);
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut errors = child.stderr.take().unwrap();
    input.write_all(b"Write a long story about a whale, with all that happens to it in ten years.\n").unwrap();
    let mut out = String::new();
    let mut read_until = |is_enough: &dyn Fn(&str) -> bool| {
        let mut byte = [0; 1];
        let mut bytes = Vec::new();
        while !is_enough(&String::from_utf8_lossy(&bytes)) && output.read(&mut byte).unwrap() > 0 {
            bytes.extend(byte);
        }
        out += &String::from_utf8_lossy(&bytes);
        out.clone()
    };
    read_until(&|out| out.split_once("running 1 test\n").is_some_and(|(_, said)| said.len() > 8));
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let out = read_until(&|out| out.contains(" …\n"));
    assert!(out.contains(" …\n"), "the answer has not ended by Ctrl-C: {out}");
    // At the prompt, which it is at once the history is saved, it ends nothing.
    while !file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (mut notes, mut byte) = (String::new(), [0; 1]);
    while !notes.ends_with("[an empty line ends the conversation]") && errors.read(&mut byte).unwrap() > 0 {
        notes.push(char::from(byte[0]));
    }
    input.write_all(b"Say yes.\n\n").unwrap();
    read_until(&|_| false);
    assert!(child.wait().unwrap().success());
    let all = history(&file);
    assert_eq!(roles(&all), ["user", "assistant"].repeat(2));
    assert!(out.contains(all[1]["content"].as_str().unwrap()), "{all:?}");
}

#[test]
fn units_are_converted() {
    let call = |name: &str, arguments: Value| {
        let result = chat::tools::call(&ToolCall::new("1", name, arguments.to_string()));
        serde_json::from_str::<Value>(&result).unwrap()
    };
    for (value, from, to, expected) in [
        (3.0, "mi", "km", 4.82803),
        (1.0, "km", "mi", 0.621371),
        (100.0, "C", "F", 212.0),
        (-40.0, "F", "C", -40.0),
        (0.0, "C", "K", 273.15),
        (12.0, "in", "ft", 1.0),
        (16.0, "oz", "lb", 1.0),
    ] {
        let result = call("convert", json!({ "value": value, "from": from, "to": to }));
        assert_eq!(result, json!({ "value": expected, "unit": to }), "{value} {from}");
    }
    for (name, arguments, why) in [
        ("convert", json!({ "value": 1, "from": "km", "to": "kg" }), "km is a length and kg is a mass"),
        ("convert", json!({ "value": "1", "from": "km", "to": "m" }), "value: expected a number"),
        ("convert", json!({ "value": 1, "from": "km" }), "to: expected a unit, got null"),
        ("invert", json!({}), "no tool 'invert'"),
    ] {
        assert_eq!(call(name, arguments), json!({ "error": why }));
    }
}

#[test]
fn what_is_asked_wrongly_is_said() {
    for (args, expected) in [
        (&["--stats"][..], "usage: chat MODEL.gguf"),
        (&["a", "b"], "b: not expected"),
        (&["a", "--prompt"], "--prompt: expected a value"),
        (&["a", "--context", "many"], "invalid digit"),
        (&["/nowhere/model.gguf"], "/nowhere/model.gguf"),
    ] {
        let error = chat::run(args.iter().map(|arg| (*arg).to_owned())).unwrap_err().to_string();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}
