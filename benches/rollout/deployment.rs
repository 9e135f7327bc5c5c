//! Cost of a deployment: what it adds to a call, at rest and during a canary, and what a switch adds to the calls beside it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use selvedge::layer::deployment::{
    Arm, Deployment, Loaded, RolloutJudge, RolloutPhase, RolloutPlan, VersionOutcome, Versions,
};
use selvedge::{Ask, Engine, Result, Tensor, Tensors};

use crate::rounds::alternate;

const BAR: Duration = Duration::from_micros(1);
/// The most that a switch may add to a call, in milliseconds.
const PAUSE_BAR: f64 = 1.0;
const SWAPS: usize = 300;
const CALLERS: usize = 8;
/// Between two calls of a caller: eight that never rest would wait for a core, and not for the switch.
const REST: Duration = Duration::from_micros(200);

/// The same engine under every name, or the same model, opened anew.
struct Same<F> {
    load: F,
    state: Mutex<Option<Vec<u8>>>,
}

impl<F: Fn() -> Arc<dyn Engine> + Send + Sync> Versions for Same<F> {
    fn load(&self, _: &str) -> Result<Loaded> {
        Ok(Loaded::new((self.load)()))
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

fn deployed(load: impl Fn() -> Arc<dyn Engine> + Send + Sync + 'static, judge: RolloutJudge) -> Deployment {
    let versions = Same { load, state: Mutex::new(None) };
    Deployment::builder(versions).judge(judge).build("v0").expect("the version loads")
}

pub(crate) fn cost(model: &str, engine: &Arc<dyn Engine>, input: &str, row: &[f32]) {
    let x = Tensor::new(&[1, row.len()], row.to_vec()).expect("fits");
    let ask = |engine: &dyn Engine| engine.run(Tensors::from([(input, x.clone())])).expect("runs");
    let slo = || RolloutJudge::new().slo(Duration::from_secs(1));
    let deployed = |judge| {
        let engine = engine.clone();
        deployed(move || engine.clone(), judge)
    };
    // At rest; with its latency taken; and with a candidate that answers half of the calls and is judged after each.
    let (rest, timed, canary) = (deployed(RolloutJudge::new()), deployed(slo()), deployed(slo()));
    assert_eq!(canary.offer("v1", RolloutPlan::ab(5000)).expect("it comes"), RolloutPhase::Canary);
    for (name, deployment) in [("deployment", rest), ("deployment_slo", timed), ("deployment_canary", canary)] {
        assert_eq!(ask(&deployment).outputs, ask(&**engine).outputs, "both must give one answer");
        let pair = alternate(101, 500, 1, || drop(black_box(ask(&deployment))), || drop(black_box(ask(&**engine))));
        pair.overhead(&format!("{name}_{model}_overhead_us"), BAR);
    }
}

/// The longest call beside a switch, of all callers, against the longest in a stretch of the same length without one.
pub(crate) fn swaps(
    model: &str,
    load: impl Fn() -> Arc<dyn Engine> + Send + Sync + 'static,
    input: &'static str,
    row: &[f32],
) {
    let deployment = Arc::new(deployed(load, RolloutJudge::new()));
    let (longest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let caller = |_| {
        let (deployment, longest, stop) = (deployment.clone(), longest.clone(), stop.clone());
        let x = Tensor::new(&[1, row.len()], row.to_vec()).expect("fits");
        std::thread::spawn(move || {
            while !stop.load(SeqCst) {
                let began = Instant::now();
                let answer = deployment.run(Tensors::from([(input, x.clone())])).expect("no call fails");
                longest.fetch_max(began.elapsed().as_nanos() as u64, SeqCst);
                assert!(Arm::of(&answer.provenance).is_some());
                std::thread::sleep(REST);
            }
        })
    };
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let stretch = |work: &mut dyn FnMut()| {
        std::thread::sleep(Duration::from_millis(1));
        longest.store(0, SeqCst);
        let began = Instant::now();
        work();
        let took = began.elapsed();
        std::thread::sleep(Duration::from_millis(1));
        (longest.load(SeqCst) as f64 / 1e6, took)
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for i in 1..=SWAPS {
        let mut offer = || {
            let phase = deployment.offer(&format!("v{i}"), RolloutPlan::blue_green()).expect("it comes");
            assert_eq!(phase, RolloutPhase::Promoted);
        };
        let (pause, took) = stretch(&mut offer);
        with.push(pause);
        // Opening a model keeps a core busy: so does this, for as long.
        let mut idle = || {
            let began = Instant::now();
            while began.elapsed() < took {
                std::hint::spin_loop();
            }
        };
        without.push(stretch(&mut idle).0);
    }
    stop.store(true, SeqCst);
    callers.into_iter().for_each(|caller| caller.join().expect("no call fails"));
    let p99 = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() * 99 / 100]
    };
    let (with, without) = (p99(&mut with), p99(&mut without));
    println!(
        "deployment_swap_{model}: p99 over {SWAPS} switches, {CALLERS} callers, of the longest call {with:.3} ms, \
         {without:.3} ms without a switch"
    );
    println!("RATIO deployment_swap_{model}_pause_p99_ms {:.3} <={PAUSE_BAR}", with - without);
}
