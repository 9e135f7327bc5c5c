//! Layers under test: each keeps the promises of the engine that it wraps.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use selvedge::drift::Profile;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Columns, Embeddings, Tokens};
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Engine, Request};

use crate::cases::{self, Case};

/// The fakes, watched. With windows so short that many are closed while others answer.
pub(crate) fn monitored() -> Vec<Case> {
    cases::fakes()
        .into_iter()
        .map(|case| {
            let kind = match case.requests[0] {
                Request::Tensors(_) => Kind::Tensors,
                Request::Generate(_) => Kind::Text,
                _ => Kind::Embedding,
            };
            let fresh = case.fresh;
            Case {
                engine: watched(case.engine, kind),
                fresh: Box::new(move || watched(fresh(), kind)),
                endless: (watched(case.endless.0, kind), case.endless.1),
                route: &["monitor"],
                ..case
            }
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Tensors,
    Text,
    Embedding,
}

fn watched(engine: Arc<dyn Engine>, kind: Kind) -> Arc<dyn Engine> {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("engine_contract/{number}"));
    let _ = std::fs::remove_dir_all(&folder);
    let telemetry = Telemetry::open(&folder, Limits::default());
    let monitor = match kind {
        Kind::Tensors => {
            let rows: Vec<[f32; 4]> = (0..1000).map(|i| [i, i / 2, i / 3, i % 7].map(|v| v as f32 * 0.01)).collect();
            let columns = ["a", "b", "c", "d"];
            let fit = columns.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
            let probe = All::new().and(Columns::of("x", columns)).and(Columns::of_output("y", ["e", "f", "g"]));
            Monitor::builder(engine, telemetry, probe).profile(fit.of_rows(&rows).unwrap())
        }
        Kind::Text => Monitor::builder(engine, telemetry, Tokens),
        Kind::Embedding => Monitor::builder(engine, telemetry, All::new().and(Tokens).and(Embeddings::default())),
    };
    Arc::new(monitor.window(32).build().unwrap())
}
