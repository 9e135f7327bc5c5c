//! Deployments of a real model: switched a hundred times under load, tested by its golden cases, told apart in telemetry.

#![cfg(feature = "tract")]

#[cfg(unix)]
mod deaths;
#[cfg(unix)]
#[allow(dead_code, reason = "children of another test die in more ways")]
#[path = "../crash/fuse.rs"]
mod fuse;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use selvedge::drift::Profile;
use selvedge::layer::deployment::{
    Arm, Deployment, Golden, Loaded, RolloutPhase, RolloutPlan, VersionOutcome, Versions,
};
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::telemetry::{Cursor, Limits, Record, RolloutArm, Telemetry};
use selvedge::{Answer, Ask, Engine, Options, Result, Tensor, Tensors, open};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart/rain.onnx");
const COLUMNS: [&str; 4] = ["rain", "high", "low", "wind"];
/// A day of 2012 in Seattle, and what the model's training saw it say.
const GOLDEN: &str = r#"{"golden": 1, "cases": [{
    "name": "2012-01-06",
    "request": {"tensors": [{"name": "weather", "dtype": "f32", "shape": [1, 4], "values": [2.5, 4.4, 2.2, 2.2]}]},
    "expect": {"outputs": [{"name": "rain_tomorrow", "dtype": "f32", "shape": [1, 1], "values": [0.585324]}]},
    "compare": {"tolerance": {"absolute": 1e-5, "relative": 0}}
}]}"#;

/// The model under any name; each opened anew, watched if there is a folder. `wrong` has other golden cases.
struct Rain {
    telemetry: Option<Telemetry>,
    state: Mutex<Option<Vec<u8>>>,
    loads: Arc<AtomicU64>,
}

impl Versions for Rain {
    fn load(&self, version: &str) -> Result<Loaded> {
        self.loads.fetch_add(1, SeqCst);
        let mut engine: Arc<dyn Engine> = open(MODEL, Options::new().threads(1))?;
        if let Some(telemetry) = &self.telemetry {
            // Each version has the profile of its own training.
            let shift = version.len() as f32;
            let rows: Vec<[f32; 4]> =
                (0..500).map(|i| [i, i / 2, i / 3, i % 7].map(|v| v as f32 * 0.01 + shift)).collect();
            let fit = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
            let monitor = Monitor::builder(engine, telemetry.clone(), Columns::of("weather", COLUMNS));
            engine = Arc::new(monitor.profile(fit.of_rows(&rows)?).version(version).build()?);
        }
        let golden = if version == "wrong" { GOLDEN.replace("0.585324", "0.585") } else { GOLDEN.into() };
        Ok(Loaded::new(engine).golden(Golden::parse(golden.as_bytes())?))
    }

    fn saved(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.state.lock().unwrap().clone())
    }

    fn save(&self, state: &[u8]) -> Result<()> {
        *self.state.lock().unwrap() = Some(state.to_vec());
        Ok(())
    }

    fn tell(&self, _: &str, _: VersionOutcome) -> Result<()> {
        Ok(())
    }
}

fn deployed(telemetry: Option<Telemetry>) -> (Deployment, Arc<AtomicU64>) {
    let loads = Arc::new(AtomicU64::new(0));
    let versions = Rain { telemetry, state: Mutex::default(), loads: loads.clone() };
    (Deployment::builder(versions).build("v1").unwrap(), loads)
}

fn ask(engine: &impl Engine) -> Answer {
    let answer = asked(engine);
    let rain = answer.output("rain_tomorrow").unwrap().as_slice::<f32>().unwrap()[0];
    assert!((rain - 0.585_324).abs() < 1e-5, "{rain}");
    answer
}

fn asked(engine: &impl Engine) -> Answer {
    let weather = Tensor::new(&[1, 4], vec![2.5f32, 4.4, 2.2, 2.2]).unwrap();
    engine.run(Tensors::from([("weather", weather)])).expect("no call fails")
}

#[test]
fn a_hundred_switches_of_a_real_model_lose_no_call() {
    let (deployment, loads) = deployed(None);
    let deployment = Arc::new(deployment);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (deployment, stop, answered) = (deployment.clone(), stop.clone(), answered.clone());
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let answer = ask(&*deployment);
                    assert!(Arm::of(&answer.provenance).is_some_and(|(_, arm)| arm == Arm::Current));
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for i in 2..=101 {
        let version = format!("v{i}");
        assert_eq!(deployment.offer(&version, RolloutPlan::blue_green()).unwrap(), RolloutPhase::Promoted);
        assert_eq!(Arm::of(&ask(&*deployment).provenance), Some((&*version, Arm::Current)));
        if i % 25 == 0 {
            assert_eq!(deployment.offer("wrong", RolloutPlan::blue_green()).is_ok(), i < 75);
        }
    }
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|thread| thread.join().expect("each answer was right"));
    assert!(deployment.settle(Duration::from_secs(60)));
    assert!(answered.load(SeqCst) > 100 && loads.load(SeqCst) == 103, "{loads:?} loads");
    assert_eq!(deployment.status().phase("wrong"), Some(RolloutPhase::Quarantined));
    assert!(deployment.status().misses[0].why.starts_with("output 'rain_tomorrow': element 0: expected 0.58499"));
}

#[test]
fn telemetry_tells_the_versions_apart() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let (deployment, _) = deployed(Some(telemetry.clone()));
    assert_eq!(deployment.offer("v1.1", RolloutPlan::ab(5000)).unwrap(), RolloutPhase::Canary);
    let mut counts = [0; 2];
    for _ in 0..40 {
        let answer = ask(&deployment);
        let (version, arm) = Arm::of(&answer.provenance).expect("the route says it");
        assert_eq!(answer.provenance.version.as_deref(), Some(version), "the monitor within knows it, too");
        assert_eq!(answer.provenance.route, [format!("deployment({version},{})", arm.name()), "monitor".into()]);
        counts[usize::from(arm == Arm::Canary)] += 1;
    }
    assert!(counts[0] > 15 && counts[1] > 15, "{counts:?}");
    drop(deployment);
    let slot_of = |record| match record {
        Record::Model(model) => Some((model.version.unwrap_or_default(), model.slot.0)),
        _ => None,
    };
    let records = telemetry.read(Cursor::default(), 4 << 20);
    let mut models: Vec<(String, u32)> = records.into_iter().filter_map(|(_, record)| slot_of(record)).collect();
    models.sort();
    models.dedup();
    assert_eq!(models.iter().map(|(version, _)| &**version).collect::<Vec<_>>(), ["v1", "v1.1"]);
    assert_ne!(models[0].1, models[1].1, "each has a slot of its own");
    // Each answer's record says which version gave it, and in which arm.
    let mut recorded = BTreeMap::new();
    telemetry.drain(&mut |one| *recorded.entry((one.model_slot.0, one.arm)).or_default() += 1);
    let [current, candidate] = [models[0].1, models[1].1];
    let expected = [
        ((current, Some(RolloutArm::Current)), counts[0]),
        ((candidate, Some(RolloutArm::Canary)), counts[1]),
        // The golden case: nobody was given its answer.
        ((candidate, Some(RolloutArm::Shadow)), 1),
    ];
    assert_eq!(recorded, BTreeMap::from(expected));
}
