//! Files opened in a child process, so that one that ends the process is reported, and is not the end of the tests.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::hostile::List;
use super::native;
use crate::Code;
use crate::engine::{Ask, Generate, Rerank};
use crate::{Options, open};

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// It was taken, and served.
    Taken,
    /// It was refused, in these words.
    Refused(String),
    /// The process ended, with these last words.
    Died(String),
}

const LIST: &str = "SELVEDGE_TEST_LIST";
const FIRST: &str = "SELVEDGE_TEST_FIRST";

/// The ends of all files of a list, with their names. A child that dies is followed by one for the files after.
pub(super) fn ends(list: List) -> Vec<(String, End)> {
    let folder = tempfile::tempdir().unwrap();
    let words = folder.path().join("stderr");
    let mut ends: Vec<(String, End)> = Vec::new();
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["backend::llama::tests::child::a_child_does_its_job", "--exact", "--nocapture"])
            .env(LIST, list.name())
            .env(FIRST, ends.len().to_string())
            // An abort of ggml would look for a debugger.
            .env("GGML_NO_BACKTRACE", "1")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&words).unwrap())
            .spawn()
            .unwrap();
        let (mut begun, mut all) = (None, false);
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            match line.strip_prefix("@@ ").and_then(|reported| reported.split_once(' ')) {
                Some(("begin", name)) => begun = Some(name.to_owned()),
                Some(("taken", _)) => ends.extend(begun.take().map(|name| (name, End::Taken))),
                Some(("refused", how)) => ends.extend(begun.take().map(|name| (name, End::Refused(how.to_owned())))),
                Some(("all", _)) => all = true,
                _ => {}
            }
        }
        child.wait().unwrap();
        if all {
            return ends;
        }
        let words = String::from_utf8_lossy(&std::fs::read(&words).unwrap()).into_owned();
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        ends.push((begun.unwrap_or_else(|| panic!("the child did not begin: {last}")), End::Died(last)));
    }
}

const PART: &str = "SELVEDGE_TEST_PART";

/// Runs `part`, a function of these tests, in a child process for each of the names; a shell may limit the child first.
pub(super) fn each(part: &str, names: &[&str]) -> Vec<(String, End)> {
    names.iter().map(|name| (name.to_string(), alone(part, name, "true"))).collect()
}

/// Runs `part` for one name in a child process, after the shell's command `limit`.
pub(super) fn alone(part: &str, name: &str, limit: &str) -> End {
    let child = Command::new("sh")
        .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["backend::llama::tests::child::a_child_does_its_part", "--exact", "--nocapture"])
        .env(PART, format!("{part} {name}"))
        .env("GGML_NO_BACKTRACE", "1")
        .output()
        .unwrap();
    if child.status.success() && String::from_utf8_lossy(&child.stdout).contains("@@ done") {
        return End::Taken;
    }
    let words = String::from_utf8_lossy(&child.stderr).into_owned();
    let last: Vec<&str> = words.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    End::Died(format!("{}: {}", child.status, last.join(" | ")))
}

/// The child's side of [`alone`].
#[test]
fn a_child_does_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let (part, name) = part.split_once(' ').unwrap();
    match part {
        "texts" => super::texts::try_all(name),
        "threads" => super::threads::try_all(name),
        "memory" => super::memory::try_all(name),
        other => panic!("no part '{other}'"),
    }
    println!("\n@@ done");
}

/// The child's side.
#[test]
fn a_child_does_its_job() {
    let Ok(list) = std::env::var(LIST) else { return };
    let list = List::ALL.into_iter().find(|l| l.name() == list).unwrap();
    let first: usize = std::env::var(FIRST).unwrap().parse().unwrap();
    tracing::subscriber::set_global_default(LastWords).unwrap();
    for (name, file) in list.files().skip(first) {
        // A line of its own, whatever the harness has written before.
        println!("\n@@ begin {name}");
        match if list.is_native() { read_by_ggml(&file) } else { opened(file) } {
            Ok(failures) => {
                let expected = list != List::Infinite || failures.iter().all(|code| *code == Code::Backend);
                assert!(expected, "what the numbers do not allow is an error of the backend, got {failures:?}");
                println!("@@ taken -");
            }
            Err(how) => println!("@@ refused {}", how.replace('\n', " ")),
        }
    }
    println!("@@ all -");
}

/// ggml reads the header, without our checks.
fn read_by_ggml(file: &[u8]) -> Result<Vec<Code>, String> {
    if native::reads_header(file) { Ok(Vec::new()) } else { Err("ggml does not take it".into()) }
}

/// As an app would: opened, and asked something. The codes of what it could not answer.
fn opened(file: Vec<u8>) -> Result<Vec<Code>, String> {
    let engine = open(file, Options::new().threads(1).context_tokens(64)).map_err(|e| format!("{:?} {e}", e.code()))?;
    let abilities = engine.spec().abilities;
    // What a nonsense model answers does not matter.
    let mut failures = Vec::new();
    if abilities.generate {
        failures.extend(engine.run(Generate::text("some text").max_tokens(2)).err().map(|e| e.code()));
    }
    if abilities.embed {
        failures.extend(engine.embed(["some text"]).err().map(|e| e.code()));
    }
    if abilities.rerank {
        failures.extend(engine.run(Rerank::new("some text", ["another text"])).err().map(|e| e.code()));
    }
    Ok(failures)
}

/// What ggml says when it ends the process.
struct LastWords;

impl tracing::Subscriber for LastWords {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "selvedge::llama" && *metadata.level() == tracing::Level::ERROR
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message;
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                eprintln!("{}", format!("{value:?}").replace('\n', " "));
            }
        }
        event.record(&mut Message);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
