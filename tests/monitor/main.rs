//! A monitor from outside: what it sees, what it says, what it survives, and that answers do not know of it.

mod allocating;
mod blind;
#[path = "../support/counting.rs"]
mod counting;
mod drifting;
mod late;
mod learning;
mod passing;
mod posting;
#[path = "../support/random.rs"]
mod random;
mod remembering;
mod sharing;
mod streams;
mod surviving;
mod telling;
mod weather;

use std::sync::Arc;

use random::splitmix64;
use selvedge::drift::Profile;
use selvedge::fake::Fake;
use selvedge::telemetry::{Durability, Limits, Telemetry};
use selvedge::{Ask, Call, DType, Dim, Engine, Port, Tensor, Tensors};
use tempfile::TempDir;

fn folder() -> (TempDir, Telemetry) {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = open(&folder);
    (folder, telemetry)
}

fn open(folder: &TempDir) -> Telemetry {
    Telemetry::open(folder.path(), Limits::default().durability(Durability::Process))
}

/// Uniform numbers in [0, 1) from a SplitMix64 sequence.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        (splitmix64(&mut self.0) >> 40) as f32 / (1u32 << 24) as f32
    }

    fn row(&mut self) -> [f32; 2] {
        [self.next(), self.next() + self.next()]
    }
}

const COLUMNS: [&str; 2] = ["level", "flow"];

/// Echoes rows of two columns as `y`.
fn echo() -> Fake {
    let port = |name: &str| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(2)]);
    Fake::tensors(vec![port("x")], vec![port("y")], |inputs| Ok(inputs.iter().flatten().cloned().collect()))
}

/// What the columns look like at home.
fn profile() -> Profile {
    let mut noise = Noise(7);
    let rows: Vec<[f32; 2]> = (0..20_000).map(|_| noise.row()).collect();
    COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name)).of_rows(&rows).unwrap()
}

fn ask(engine: &dyn Engine, row: [f32; 2], id: u64) {
    engine.run_with(request(row), Call::new().id(id)).unwrap();
}

fn request(row: [f32; 2]) -> Tensors {
    Tensors::from([("x", Tensor::new(&[1, 2], row.to_vec()).unwrap())])
}

/// Classifies by the first column: class 1 above one half, with the probability that the second column says.
fn classifier() -> Arc<dyn Engine> {
    let port = |name: &str, n| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(n)]);
    let classify = |inputs: &[Option<Tensor>]| {
        let Some(x) = &inputs[0] else { return Ok(vec![]) };
        let rows: Vec<f32> = x
            .as_slice::<f32>()?
            .chunks(2)
            .flat_map(|row| if row[0] > 0.5 { [1.0 - row[1], row[1]] } else { [row[1], 1.0 - row[1]] })
            .collect();
        Ok(vec![Tensor::new(&[rows.len() / 2, 2], rows)?])
    };
    Fake::tensors(vec![port("x", 2)], vec![port("probabilities", 2)], classify).build()
}
