//! A shelf of versions for the tests: engines made on demand, a state that outlives a deployment, and an account of what was
//! told and of what lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::engine::{Ask, Call, Engine, MemoryEstimate, Request, Run, Spec, Step, Tensors, Tokenizer, Trim};
use crate::fake::Fake;
use crate::layer::deployment::{Arm, Deployment, DeploymentBuilder, Golden, Loaded, VersionOutcome, Versions};
use crate::{Answer, Code, DType, Error, Result, Tensor};

pub(super) type Make = Box<dyn Fn() -> Arc<dyn Engine> + Send + Sync>;

/// Clones are the same shelf.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    makes: Mutex<BTreeMap<String, Make>>,
    pub(super) golden: Mutex<Option<Golden>>,
    pub(super) state: Mutex<Option<Vec<u8>>>,
    pub(super) told: Mutex<Vec<(String, VersionOutcome)>>,
    pub(super) deaths: Mutex<BTreeMap<String, u64>>,
    pub(super) saves: AtomicUsize,
    pub(super) is_full: AtomicBool,
    /// Bytes that each version takes.
    pub(super) bytes: AtomicUsize,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) most_alive: Arc<AtomicUsize>,
}

impl std::ops::Deref for Shelf {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shelf {
    /// Versions that give their input back, with so much added.
    pub(super) fn of<const N: usize>(versions: [(&str, f64); N]) -> Self {
        let shelf = Self::default();
        for (version, offset) in versions {
            let name = version.to_string();
            shelf.put(version, move || Fake::echo(DType::F32).drift(0, offset).name(name.clone()).build());
        }
        shelf
    }

    pub(super) fn put(&self, version: &str, make: impl Fn() -> Arc<dyn Engine> + Send + Sync + 'static) {
        self.makes.lock().unwrap().insert(version.into(), Box::new(make));
    }

    pub(super) fn builder(&self) -> DeploymentBuilder {
        Deployment::builder(self.clone())
    }

    pub(super) fn build(&self, first: &str) -> Deployment {
        self.builder().build(first).unwrap()
    }

    pub(super) fn told(&self) -> Vec<(String, VersionOutcome)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl Versions for Shelf {
    fn load(&self, version: &str) -> Result<Loaded> {
        let makes = self.makes.lock().unwrap();
        let none = || Error::new(Code::NotFound, format!("version {version}: there is none"));
        let engine = Counted::new(makes.get(version).ok_or_else(none)?(), self);
        let golden = self.golden.lock().unwrap().clone();
        let loaded = Loaded::new(Arc::new(engine));
        Ok(golden.map_or(loaded.clone(), |golden| loaded.golden(golden)))
    }

    fn memory(&self, _: &str) -> Result<u64> {
        Ok(self.bytes.load(SeqCst) as u64)
    }

    fn deaths(&self, version: &str) -> u64 {
        self.deaths.lock().unwrap().get(version).copied().unwrap_or_default()
    }

    fn saved(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.state.lock().unwrap().clone())
    }

    fn save(&self, state: &[u8]) -> Result<()> {
        if self.is_full.load(SeqCst) {
            return Err(Error::new(Code::Io, "the disk is full"));
        }
        self.saves.fetch_add(1, SeqCst);
        *self.state.lock().unwrap() = Some(state.to_vec());
        Ok(())
    }

    fn tell(&self, version: &str, outcome: VersionOutcome) -> Result<()> {
        self.told.lock().unwrap().push((version.into(), outcome));
        Ok(())
    }
}

/// An engine that is counted while it lives.
struct Counted {
    engine: Arc<dyn Engine>,
    spec: Spec,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(engine: Arc<dyn Engine>, shelf: &Shelf) -> Self {
        let alive = shelf.alive.fetch_add(1, SeqCst) + 1;
        shelf.most_alive.fetch_max(alive, SeqCst);
        let memory = MemoryEstimate::new(shelf.bytes.load(SeqCst) as u64, 0, 0);
        let spec = Spec { memory, ..engine.spec().clone() };
        Self { engine, spec, alive: shelf.alive.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

impl Engine for Counted {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        let alive = self.alive.clone();
        let run = self.engine.start(request, call)?;
        Ok(Box::new(CountedRun { run, alive }))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.engine.tokenizer()
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.engine.trim(level)
    }
}

struct CountedRun {
    run: Box<dyn Run>,
    alive: Arc<AtomicUsize>,
}

impl Run for CountedRun {
    fn step(&mut self) -> Result<Step> {
        assert!(self.alive.load(SeqCst) > 0, "an engine goes while it runs");
        self.run.step()
    }
}

pub(super) fn request(x: f32) -> Tensors {
    Tensors::from([("x", Tensor::new(&[1], vec![x]).unwrap())])
}

/// What comes back for 0: what the version adds.
pub(super) fn asked(engine: &impl Engine) -> Result<Answer> {
    engine.run(request(0.0))
}

pub(super) fn number(answer: &Answer) -> f32 {
    answer.output("y").unwrap().as_slice::<f32>().unwrap()[0]
}

pub(super) fn arm(answer: &Answer) -> (&str, Arm) {
    Arm::of(&answer.provenance).expect("the route says version and arm")
}

/// A version that adds nothing passes.
pub(super) fn golden() -> Golden {
    let tensor = |name: &str| format!(r#"{{"name": "{name}", "dtype": "f32", "shape": [1], "values": [2]}}"#);
    let case = format!(
        r#"{{"name": "two", "request": {{"tensors": [{}]}}, "expect": {{"outputs": [{}]}}}}"#,
        tensor("x"),
        tensor("y")
    );
    Golden::parse(format!(r#"{{"golden": 1, "cases": [{case}]}}"#).as_bytes()).unwrap()
}
