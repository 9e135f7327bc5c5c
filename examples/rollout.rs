//! A new version of a model comes in: loaded beside the old one, tested, switched to between two calls; and one that gives
//! wrong answers does not.
//!
//! `cargo run -p selvedge-examples --example rollout`

use std::sync::Mutex;

use selvedge::layer::deployment::{
    Arm, Deployment, Golden, Loaded, RolloutPhase, RolloutPlan, VersionOutcome, Versions,
};
use selvedge::{Ask, Code, Error, Options, Result, Tensor, Tensors, open};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/quickstart/rain.onnx");
/// What the model said of that day on the desk where it was made.
const GOLDEN: &str = r#"{"golden": 1, "cases": [{
    "name": "Seattle, 6 January 2012",
    "request": {"tensors": [{"name": "weather", "dtype": "f32", "shape": [1, 4], "values": [2.5, 4.4, 2.2, 2.2]}]},
    "expect": {"outputs": [{"name": "rain_tomorrow", "dtype": "f32", "shape": [1, 1], "values": [0.585324]}]},
    "compare": {"tolerance": {"absolute": 1e-4, "relative": 0}}
}]}"#;

/// Files of the app. They outlive the process; here, the state does not.
#[derive(Default)]
struct Files(Mutex<Option<Vec<u8>>>);

impl Versions for Files {
    fn load(&self, version: &str) -> Result<Loaded> {
        let golden = match version {
            "v3" => GOLDEN.replace("0.585324", "0.9"),
            "v1" | "v2" => GOLDEN.into(),
            _ => return Err(Error::new(Code::NotFound, format!("version {version}: there is none"))),
        };
        let engine = open(MODEL, Options::new())?;
        Ok(Loaded::new(engine).golden(Golden::parse(golden.as_bytes())?))
    }

    fn saved(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().map_or(None, |state| state.clone()))
    }

    fn save(&self, state: &[u8]) -> Result<()> {
        *self.0.lock().map_err(|e| Error::new(Code::Io, e.to_string()))? = Some(state.to_vec());
        Ok(())
    }

    fn tell(&self, version: &str, outcome: VersionOutcome) -> Result<()> {
        println!("  {version}: {outcome:?}");
        Ok(())
    }
}

fn main() -> Result<()> {
    let deployment = Deployment::builder(Files::default()).build("v1")?;
    ask(&deployment)?;
    for version in ["v2", "v3", "v3"] {
        let phase = deployment.offer(version, RolloutPlan::blue_green())?;
        println!("{version} was offered and is {phase:?}");
        if phase != RolloutPhase::Promoted {
            deployment.status().misses.iter().for_each(|miss| println!("  {}: {}", miss.case, miss.why));
        }
        ask(&deployment)?;
    }
    Ok(())
}

fn ask(deployment: &Deployment) -> Result<()> {
    let today = Tensor::new(&[1, 4], vec![0.0f32, 11.7, 6.7, 1.5])?;
    let answer = deployment.run(Tensors::from([("weather", today)]))?;
    let (version, arm) = Arm::of(&answer.provenance).unwrap_or(("nobody", Arm::Current));
    println!("{version}, {}: rain tomorrow {:.0} %", arm.name(), 100.0 * answer.outputs[0].1.as_slice::<f32>()?[0]);
    Ok(())
}
