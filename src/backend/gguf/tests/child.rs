//! Files opened in a child process, so that one that ends the process is told, and is not the end of the tests.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::native;
use crate::backend::{Options, open};
use crate::engine::{Ask, Generate};
use crate::weights::TensorType;

/// What is done with each file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Job {
    /// ggml reads the header, without our checks.
    Native,
    /// As an app would: opened, and asked something.
    Open,
}

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

const JOB: &str = "SELVEDGE_TEST_JOB";
const FILES: &str = "SELVEDGE_TEST_FILES";
const FIRST: &str = "SELVEDGE_TEST_FIRST";

/// The ends of all files, in order. A child that dies is followed by one for the files after.
pub(super) fn ends(job: Job, files: &[Vec<u8>]) -> Vec<End> {
    let folder = tempfile::tempdir().unwrap();
    let all = folder.path().join("files");
    let packed: Vec<u8> = files.iter().flat_map(|f| [&(f.len() as u64).to_le_bytes()[..], f].concat()).collect();
    std::fs::write(&all, packed).unwrap();
    let words = folder.path().join("stderr");
    let mut ends = Vec::new();
    while ends.len() < files.len() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["backend::gguf::tests::child::a_child_does_its_job", "--exact", "--nocapture"])
            .env(JOB, format!("{job:?}"))
            .env(FILES, &all)
            .env(FIRST, ends.len().to_string())
            // An abort of ggml would look for a debugger.
            .env("GGML_NO_BACKTRACE", "1")
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&words).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        for line in lines {
            match line.strip_prefix("@@ ").and_then(|told| told.split_once(' ')) {
                Some(("taken", _)) => ends.push(End::Taken),
                Some(("refused", how)) => ends.push(End::Refused(how.to_owned())),
                _ => {}
            }
        }
        let status = child.wait().unwrap();
        if ends.len() < files.len() {
            assert!(!status.success(), "the child ended early");
            let words = String::from_utf8_lossy(&std::fs::read(&words).unwrap()).into_owned();
            let last = words.lines().rev().find(|line| !line.trim().is_empty());
            ends.push(End::Died(last.unwrap_or_default().to_owned()));
        }
    }
    ends
}

/// The child's side.
#[test]
fn a_child_does_its_job() {
    let Some(job) = std::env::var_os(JOB) else { return };
    let job = if job == "Native" { Job::Native } else { Job::Open };
    let first: usize = std::env::var(FIRST).unwrap().parse().unwrap();
    for file in unpacked(Path::new(&std::env::var_os(FILES).unwrap())).into_iter().skip(first) {
        // A line of its own, whatever the harness has written before.
        match done(job, file) {
            Ok(()) => println!("\n@@ taken -"),
            Err(how) => println!("\n@@ refused {}", how.replace('\n', " ")),
        }
    }
}

fn unpacked(all: &Path) -> Vec<Vec<u8>> {
    let (mut rest, mut files) = (&std::fs::read(all).unwrap()[..], Vec::new());
    while let Some((len, after)) = rest.split_first_chunk() {
        let (file, after) = after.split_at(u64::from_le_bytes(*len) as usize);
        files.push(file.to_vec());
        rest = after;
    }
    files
}

fn done(job: Job, file: Vec<u8>) -> Result<(), String> {
    if job == Job::Native {
        return if native::reads_header(&file) { Ok(()) } else { Err("ggml does not take it".into()) };
    }
    let engine = open(file, Options::new().threads(1).context_tokens(64)).map_err(|e| format!("{:?} {e}", e.code()))?;
    let abilities = engine.spec().abilities;
    // What a nonsense model answers does not matter, nor that it cannot.
    if abilities.generate {
        let _ = engine.run(Generate::text("some text").max_tokens(2));
    }
    if abilities.embed {
        let _ = engine.embed(["some text"]);
    }
    Ok(())
}

/// Bytes that a tensor of a type takes.
pub(super) fn bytes_of(tensor_type: TensorType, dims: &[u64]) -> Option<usize> {
    let block = tensor_type.block_elements()?;
    let elements: u64 = dims.iter().product();
    (dims[0].is_multiple_of(block)).then_some((elements / block * tensor_type.block_bytes()?) as usize)
}
