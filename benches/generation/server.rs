//! llama.cpp's own server as a child process: the Python package `xllamacpp` holds it, and `server.py` asks it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Names a Python that has the package.
const PYTHON: &str = "SELVEDGE_XLLAMACPP";

/// A server, until it is dropped.
pub(crate) struct Server {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the server was seen to take, in seconds; computing the prompt and generating are those of one caller.
pub(crate) struct Served {
    pub(crate) whole: f64,
    pub(crate) first: f64,
    pub(crate) prompt: f64,
    pub(crate) generation: f64,
    pub(crate) tokens: u64,
}

impl Server {
    /// A server with so many threads, for so many callers at a time, that hold `context` tokens together; none where no Python
    /// with it is named.
    pub(crate) fn start(model: &Path, threads: u32, slots: u32, context: u32) -> Option<Self> {
        let python = std::env::var_os(PYTHON)?;
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/generation/server.py"))
            .arg(model)
            .args([threads, slots, context].map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python of SELVEDGE_XLLAMACPP starts");
        let questions = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Self { child, questions, answers };
        assert_eq!(server.line(), "ready", "the server must start");
        Some(server)
    }

    /// Says that a row is not measured, and why.
    pub(crate) fn missing(row: &str) {
        println!("{row}: not measured here: {PYTHON} names no Python with the package xllamacpp");
    }

    /// Asks all prompts at the same time.
    pub(crate) fn ask(&mut self, prompts: &[Vec<u32>], new_tokens: u32) -> Served {
        let ids = |prompt: &Vec<u32>| prompt.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let line = format!("{new_tokens} {}\n", prompts.iter().map(ids).collect::<Vec<_>>().join(" "));
        self.questions.write_all(line.as_bytes()).expect("the server takes questions");
        let line = self.line();
        let numbers: Vec<f64> = line.split(' ').map(|n| n.parse().expect("a number")).collect();
        let [whole, first, prompt, generation, tokens] = numbers[..] else { panic!("five numbers, got {line:?}") };
        assert_eq!(
            tokens as usize,
            prompts.len() * new_tokens as usize,
            "the server's answers must not end by themselves"
        );
        Served { whole, first, prompt, generation, tokens: tokens as u64 }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the server answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its threads end with it, whatever they wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
