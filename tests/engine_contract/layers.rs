//! Layers under test: each keeps the promises of the engine that it wraps.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use selvedge::drift::Profile;
use selvedge::layer::cache::Cache;
use selvedge::layer::cascade::{Cascade, Check};
use selvedge::layer::deployment::{Deployment, Loaded, VersionOutcome, Versions};
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Columns, Embeddings, Tokens};
use selvedge::layer::schedule::{Models, Schedule, ScheduleOptions};
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Engine, MemoryEstimate, Request, Result};

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

/// The fakes in one queue, two runs of each at once.
pub(crate) fn scheduled() -> Vec<Case> {
    let schedule = Schedule::new(ScheduleOptions::new()).unwrap();
    let around = move |engine| schedule.around_with(engine, 2).unwrap();
    cases::fakes().into_iter().map(|case| within(case, &["schedule"], around.clone())).collect()
}

/// The fakes on one shelf, with room for all but one: some are opened anew all the time.
pub(crate) fn shelved() -> Vec<Case> {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let models = Models::new(8);
    let shelve = move |engine: Arc<dyn Engine>| {
        let name = NAMES.fetch_add(1, Ordering::Relaxed).to_string();
        models.add(&name, MemoryEstimate::new(1, 0, 0), move |_| Ok(engine.clone())).unwrap();
        models.engine(&name).unwrap()
    };
    cases::fakes().into_iter().map(|case| within(case, &["models"], shelve.clone())).collect()
}

/// The fakes, each with a cache so small that answers give way while others are asked.
pub(crate) fn cached() -> Vec<Case> {
    cases::fakes()
        .into_iter()
        .map(|case| within(case, &["cache"], |engine| Arc::new(Cache::new(engine, 2048))))
        .collect()
}

/// The fakes, each before itself and never refused.
pub(crate) fn cascaded() -> Vec<Case> {
    let before = |engine: Arc<dyn Engine>| -> Arc<dyn Engine> {
        let any = Check::that("any", |_| true);
        Arc::new(Cascade::builder().stage(engine.clone(), [any]).build(engine).unwrap())
    };
    let wrap = |case: Case| {
        let route: &[&str] = match case.name {
            "fake text" => &["cascade(words)"],
            "fake tensors" => &["cascade(linear)"],
            _ => &["cascade(vectors)"],
        };
        within(case, route, before)
    };
    cases::fakes().into_iter().map(wrap).collect()
}

/// The fakes, each as the current version of a deployment.
pub(crate) fn deployed() -> Vec<Case> {
    let deploy = |engine| -> Arc<dyn Engine> { Arc::new(Deployment::builder(OneVersion(engine)).build("v1").unwrap()) };
    cases::fakes().into_iter().map(|case| within(case, &["deployment(v1,current)"], deploy)).collect()
}

/// The case with its engines in a layer.
fn within(
    case: Case,
    route: &'static [&'static str],
    layer: impl Fn(Arc<dyn Engine>) -> Arc<dyn Engine> + Clone + Send + Sync + 'static,
) -> Case {
    let (again, fresh) = (layer.clone(), case.fresh);
    Case {
        engine: layer(case.engine),
        fresh: Box::new(move || again(fresh())),
        endless: (layer(case.endless.0), case.endless.1),
        route,
        ..case
    }
}

struct OneVersion(Arc<dyn Engine>);

impl Versions for OneVersion {
    fn load(&self, _: &str) -> Result<Loaded> {
        Ok(Loaded::new(self.0.clone()))
    }

    fn saved(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn save(&self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn tell(&self, _: &str, _: VersionOutcome) -> Result<()> {
        Ok(())
    }
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
