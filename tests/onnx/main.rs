//! The ONNX backend test suite (PyPI `onnx` 1.22.0: `onnx/backend/test/data`) through the public API.
//!
//! Every case is opened by path and asked with the suite's inputs, on each backend that the build has. The
//! cases that do not pass are listed, with the reason, in `tract.txt`, `rten.txt` and `ort.txt`; a case that fails
//! and is not listed fails the test, and so does one that is listed and passes. All outcomes, with their
//! messages, are left in `target/onnx-suite-<backend>.tsv`.

#![cfg(any(feature = "ort", feature = "rten", feature = "tract"))]

mod alike;
mod case;
mod compare;
#[path = "../support/corpus.rs"]
mod corpus;
#[cfg(all(feature = "ort", feature = "experimental"))]
mod kernels;
mod known;
mod outcome;
mod pool;
mod proto;
#[cfg(all(feature = "ort", feature = "experimental"))]
#[path = "../support/random.rs"]
mod random;
mod reason;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::{env, fs, thread};

use case::Case;
use known::Known;
use outcome::{Outcome, Verdict};
use selvedge::{Backend, Options};

type Results<'a> = Vec<(&'a Case, Outcome)>;

const SUITES: [&str; 4] = ["node", "pytorch-converted", "pytorch-operator", "simple"];
/// Ample: no case of the suite computes for a second.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// onnxruntime 1.31.1 by itself, through its Python API with the same tolerances: node cases at opset <= 24.
const REFERENCE: &str = "ONNX Runtime's own Python API: 1331 of 1388";

#[cfg(feature = "ort")]
#[test]
fn ort() {
    check(Backend::Ort);
}

#[cfg(feature = "rten")]
#[test]
fn rten() {
    check(Backend::Rten);
}

#[cfg(feature = "tract")]
#[test]
fn tract() {
    if !cfg!(feature = "tract-transformers") {
        println!("skipped: the list is that of tract with its operators of attention, feature 'tract-transformers'");
        return;
    }
    check(Backend::Tract);
}

#[test]
fn a_crash_or_hang_is_the_failure_of_one_case() {
    let known = [Backend::Tract, Backend::Rten, Backend::Ort];
    let backend = known.into_iter().find(|backend| backend.is_built()).expect("a backend of ONNX");
    let case = |folder: &str| Case { name: folder.into(), folder: folder.into(), model: Default::default() };
    let cases = [pool::CRASH, "absent", pool::HANG, "absent"].map(case);
    let outcomes = pool::run(backend, &cases, 1, Duration::from_secs(3));
    let verdicts: Vec<Verdict> = outcomes.iter().map(|o| o.verdict).collect();
    assert_eq!(verdicts, [Verdict::Crash, Verdict::Unreadable, Verdict::Hang, Verdict::Unreadable], "{outcomes:?}");
}

/// Not a test: the body of the child processes.
#[test]
fn worker() {
    pool::serve_if_child();
}

fn check(backend: Backend) {
    let Some(root) = corpus::path("onnx-suite") else { return };
    let cases = cases(&root);
    let processes = thread::available_parallelism().map_or(2, |n| n.get());
    let results: Results = cases.iter().zip(pool::run(backend, &cases, processes, TIME_LIMIT)).collect();
    let runtime = runtime(backend, &results);
    // Past the harness, which would keep it to itself: these are the figures to quote.
    let _ = write!(std::io::stderr().lock(), "{}", summary(&runtime, &results));
    keep(backend, &results).expect("target/ can be written");

    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/onnx/{}.txt", backend.name()));
    let mut known = Known::read(&list);
    if env::var_os("SELVEDGE_SUITE_WRITE").is_some() {
        let text = known.rewritten(&results, &runtime, |case, outcome| reason::of(backend, case, outcome));
        fs::write(&list, text).expect("the list can be written");
        known = Known::read(&list);
    }
    let differences = known.differences(&results, &runtime);
    assert!(
        differences.is_empty(),
        "{} differences from {} (made with {}, run with {runtime}):\n{}",
        differences.len(),
        list.display(),
        known.runtime,
        differences.iter().take(50).map(|d| &**d).collect::<Vec<_>>().join("\n")
    );
}

fn cases(root: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for suite in SUITES {
        for entry in fs::read_dir(root.join(suite)).expect("the suite is unpacked") {
            let folder = entry.expect("the suite is readable").path();
            cases.push(Case::read(suite, folder).expect("every case has a model"));
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// The runtime below the backend, as the first case that passed tells.
fn runtime(backend: Backend, results: &Results) -> String {
    let passed = results.iter().find(|(_, o)| o.passed()).map(|(case, _)| case.folder.join("model.onnx"));
    let engine = passed.and_then(|model| selvedge::open(model, Options::new().backend(backend)).ok());
    engine.map_or_else(|| backend.name().into(), |e| e.spec().provenance.runtime.clone())
}

fn summary(runtime: &str, results: &Results) -> String {
    let count = |which: &dyn Fn(&Case) -> bool| {
        let of = || results.iter().filter(|(case, _)| which(case)).map(|(_, o)| o);
        let (all, passed) = (of().count(), of().filter(|o| o.passed()).count());
        let lacking = of().filter(|o| o.verdict == Verdict::Inexpressible).count();
        let percent = 100.0 * passed as f64 / all.max(1) as f64;
        format!("{passed:4} of {all:4} pass, {percent:4.1} %; {lacking} more are not expressible")
    };
    let mut text = format!("\n{runtime} on the ONNX backend test suite of onnx 1.22.0\n");
    for suite in SUITES {
        let _ = writeln!(text, "  {suite:18} {}", count(&|case| case.suite() == suite));
    }
    let low = count(&|case| case.suite() == "node" && case.model.opset().is_some_and(|v| v <= 24));
    let _ = writeln!(text, "  {:18} {low} ({REFERENCE})", "node, opset <= 24");
    let _ = writeln!(text, "  {:18} {}", "all", count(&|_| true));
    text
}

fn keep(backend: Backend, results: &Results) -> std::io::Result<()> {
    let text: String = results.iter().map(|(case, o)| format!("{}\t{}\n", case.name, o.line())).collect();
    // The folder for tests' own files lies in the target folder.
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("../onnx-suite-{}.tsv", backend.name())), text)
}
