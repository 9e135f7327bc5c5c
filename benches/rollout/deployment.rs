//! Cost of a deployment: what it adds to a call, at rest and during a canary, and what a switch adds to the calls beside it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use selvedge::fake::Fake;
use selvedge::layer::deployment::{
    Arm, Deployment, Loaded, RolloutJudge, RolloutPhase, RolloutPlan, VersionOutcome, Versions,
};
use selvedge::{Ask, DType, Engine, Result, Tensor, Tensors};

use crate::rounds::alternate;

const BAR: Duration = Duration::from_micros(1);
/// The most that a switch may add to a call, in milliseconds.
const PAUSE_BAR: f64 = 1.0;
const SWAPS: usize = 300;

/// One engine under every name.
struct Same {
    engine: Arc<dyn Engine>,
    state: Mutex<Option<Vec<u8>>>,
}

impl Versions for Same {
    fn load(&self, _: &str) -> Result<Loaded> {
        Ok(Loaded::new(self.engine.clone()))
    }

    fn saved(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.state.lock().expect("no panic").clone())
    }

    fn save(&self, state: &[u8]) -> Result<()> {
        *self.state.lock().expect("no panic") = Some(state.to_vec());
        Ok(())
    }

    fn tell(&self, _: &str, _: VersionOutcome) -> Result<()> {
        Ok(())
    }
}

fn deployed(engine: &Arc<dyn Engine>, judge: RolloutJudge) -> Deployment {
    let versions = Same { engine: engine.clone(), state: Mutex::new(None) };
    Deployment::builder(versions).judge(judge).build("v0").expect("the version loads")
}

pub(crate) fn cost(model: &str, engine: &Arc<dyn Engine>, input: &str, row: &[f32]) {
    let x = Tensor::new(&[1, row.len()], row.to_vec()).expect("fits");
    let ask = |engine: &dyn Engine| engine.run(Tensors::from([(input, x.clone())])).expect("runs");
    let slo = || RolloutJudge::new().slo(Duration::from_secs(1));
    // At rest; with its latency taken; and with a candidate that answers half of the calls and is judged after each.
    let (rest, timed, canary) =
        (deployed(engine, RolloutJudge::new()), deployed(engine, slo()), deployed(engine, slo()));
    assert_eq!(canary.offer("v1", RolloutPlan::ab(5000)).expect("it comes"), RolloutPhase::Canary);
    for (name, deployment) in [("deployment", rest), ("deployment_slo", timed), ("deployment_canary", canary)] {
        assert_eq!(ask(&deployment).outputs, ask(&**engine).outputs, "both must give one answer");
        let pair = alternate(101, 500, 1, || drop(black_box(ask(&deployment))), || drop(black_box(ask(&**engine))));
        pair.overhead(&format!("{name}_{model}_overhead_us"), BAR);
    }
}

/// The longest call beside a switch, against the longest in a stretch of the same length without one.
pub(crate) fn swaps() {
    let deployment = Arc::new(deployed(&Fake::echo(DType::F32).build(), RolloutJudge::new()));
    let (longest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let caller = {
        let (deployment, longest, stop) = (deployment.clone(), longest.clone(), stop.clone());
        let x = Tensor::new(&[1], vec![0.5f32]).expect("fits");
        std::thread::spawn(move || {
            while !stop.load(SeqCst) {
                let began = Instant::now();
                let answer = deployment.run(Tensors::from([("x", x.clone())])).expect("no call fails");
                longest.fetch_max(began.elapsed().as_nanos() as u64, SeqCst);
                assert!(Arm::of(&answer.provenance).is_some());
            }
        })
    };
    let stretch = |work: &mut dyn FnMut()| {
        std::thread::sleep(Duration::from_millis(1));
        longest.store(0, SeqCst);
        work();
        std::thread::sleep(Duration::from_millis(1));
        longest.load(SeqCst) as f64 / 1e6
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for i in 1..=SWAPS {
        let mut offer = || {
            let phase = deployment.offer(&format!("v{i}"), RolloutPlan::blue_green()).expect("it comes");
            assert_eq!(phase, RolloutPhase::Promoted);
        };
        with.push(stretch(&mut offer));
        without.push(stretch(&mut || {}));
    }
    stop.store(true, SeqCst);
    caller.join().expect("no call fails");
    let p99 = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() * 99 / 100]
    };
    let (with, without) = (p99(&mut with), p99(&mut without));
    println!("deployment_swap: p99 of the longest call {with:.3} ms beside a switch, {without:.3} ms without");
    println!("RATIO deployment_swap_pause_p99_ms {:.3} <={PAUSE_BAR}", with - without);
}
