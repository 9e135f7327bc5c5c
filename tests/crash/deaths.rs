//! Real runtimes that end the process: at load, at the first run, in the middle; each costs two starts at most.

use selvedge::crash::{CrashEntry, CrashPhase};

use crate::child::{Ended, Order};

/// Starts the app until it is refused, or works; gives the starts that were lost.
fn lost_starts(order: &Order) -> (usize, Ended) {
    for lost in 0..10 {
        let ended = order.run();
        if ended.status.success() {
            return (lost, ended);
        }
        assert!(ended.signal().is_some(), "{ended:?}");
    }
    panic!("a crash loop: {order:?}");
}

fn only_entry(order: &Order) -> CrashEntry {
    let mut entries = order.record().entries().unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.pop().unwrap()
}

/// Dies whichever way it is opened, twice, and is refused.
fn costs_two_starts(order: &Order, signal: i32, phase: CrashPhase, runtime: &str) {
    let (lost, ended) = lost_starts(order);
    assert_eq!(lost, 2, "{order:?}");
    let why = ended.refused().unwrap_or_else(|| panic!("{ended:?}"));
    assert!(why.starts_with("QUARANTINED model '"), "{why}");
    assert!(why.contains("ended the process 2 times") && why.contains(&format!("by signal {signal}")), "{why}");
    let deaths = only_entry(order).deaths;
    assert_eq!(deaths.len(), 2, "{deaths:?}");
    for (death, rung) in deaths.iter().zip(0..) {
        assert_eq!((death.signal, death.phase, death.rung), (Some(signal), phase, rung), "{order:?}");
        assert!(death.is_sure && death.runtime.starts_with(runtime), "{death:?}");
    }
}

const PHASES: [(&str, CrashPhase); 3] =
    [("load", CrashPhase::Open), ("first", CrashPhase::FirstUse), ("later", CrashPhase::LaterUse)];

#[test]
fn tract_that_dies_costs_two_starts() {
    for (when, phase) in PHASES {
        let folder = tempfile::tempdir().unwrap();
        costs_two_starts(&Order::dying(folder.path(), when, "fuse abort"), 6, phase, "tract");
    }
    let folder = tempfile::tempdir().unwrap();
    costs_two_starts(&Order::dying(folder.path(), "first", "fuse null"), 11, CrashPhase::FirstUse, "tract");
}

/// In the functions of ONNX Runtime, which call the log as long as something is new to them; later, in one of its threads.
#[cfg(feature = "ort")]
#[test]
fn onnx_runtime_that_dies_costs_two_starts() {
    if std::env::var_os("SELVEDGE_ONNXRUNTIME").is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
        return;
    }
    for (how, signal) in [("log abort", 6), ("log null", 11)] {
        for (when, phase) in PHASES.into_iter().filter(|(when, _)| *when != "later") {
            let folder = tempfile::tempdir().unwrap();
            let order = Order { backend: "ort", ..Order::dying(folder.path(), when, how) };
            costs_two_starts(&order, signal, phase, "ONNX Runtime");
        }
    }
    if cfg!(any(target_os = "linux", target_os = "android")) {
        let folder = tempfile::tempdir().unwrap();
        let order = Order { backend: "ort", threads: 3, ..Order::dying(folder.path(), "later", "thread selvedge-ort") };
        let ended = order.run();
        assert_eq!(ended.signal(), Some(11), "{ended:?}");
        let deaths = only_entry(&order).deaths;
        assert!(deaths[0].is_sure && deaths[0].phase == CrashPhase::LaterUse, "{deaths:?}");
    }
}

/// By ggml's own assertion, in the functions of llama.cpp, which call the log and the progress, and in the thread that computes.
#[cfg(feature = "llama")]
#[test]
fn llama_that_dies_costs_two_starts() {
    let Some(model) = corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf") else { return };
    let thread = "thread selvedge-llama";
    let deaths = [
        ("load", "progress ggml", 6, CrashPhase::Open),
        ("load", "progress null", 11, CrashPhase::Open),
        ("load", "log abort", 6, CrashPhase::Open),
        ("first", thread, 11, CrashPhase::FirstUse),
        ("later", thread, 11, CrashPhase::LaterUse),
    ];
    for (when, how, signal, phase) in deaths {
        if how == thread && !cfg!(any(target_os = "linux", target_os = "android")) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let order = Order { backend: "llama", model: model.clone(), ..Order::dying(folder.path(), when, how) };
        costs_two_starts(&order, signal, phase, "llama.cpp");
    }
}

#[cfg(feature = "llama")]
#[path = "../support/corpus.rs"]
mod corpus;

/// Three rungs cost four starts if all die; the app has asked for it.
#[test]
fn a_longer_ladder_is_climbed_rung_by_rung() {
    let folder = tempfile::tempdir().unwrap();
    let order = Order { ladder: "three", ..Order::dying(folder.path(), "first", "fuse abort") };
    let (lost, ended) = lost_starts(&order);
    // The last rung is the one before: the app asked for tract, so there is no other runtime.
    assert_eq!(lost, 3, "{ended:?}");
    let deaths = only_entry(&order).deaths;
    assert_eq!(deaths.iter().map(|death| death.rung).collect::<Vec<_>>(), [0, 1, 2]);
}

/// The model that tract dies of is served by ONNX Runtime, and the other way round.
#[cfg(feature = "ort")]
#[test]
fn the_other_runtime_takes_over() {
    if std::env::var_os("SELVEDGE_ONNXRUNTIME").is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let order = Order { backend: "auto", ..Order::dying(folder.path(), "load", "fuse abort") };
    assert_eq!(order.run().signal(), Some(6));
    let well = Order { when: "never", ..order };
    let ended = well.run();
    let choice = ended.choice().unwrap_or_else(|| panic!("{ended:?}"));
    assert!(choice.starts_with("ort ") && choice.contains("rung 1 of the crash record"), "{choice}");
    assert!(choice.contains("with tract 0") && ended.is_well(), "{choice}");
}
