//! Serving: a version in the arm that it answers in.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::arm::Arm;
use super::tally::Tally;
use crate::engine::{Engine, Spec};
use crate::layer::route;

/// A version that answers in one arm.
pub(super) struct Serving {
    pub(super) version: String,
    pub(super) arm: Arm,
    pub(super) engine: Arc<dyn Engine>,
    /// That of the engine, with version and arm on the route.
    pub(super) spec: Spec,
    pub(super) tally: Arc<Tally>,
    /// The tally that a candidate is held against.
    pub(super) control: Option<Arc<Tally>>,
    /// It was judged worse: it gets no call from the moment on.
    pub(super) closed: AtomicBool,
}

impl Serving {
    pub(super) fn new(
        version: &str,
        arm: Arm,
        engine: Arc<dyn Engine>,
        tally: Arc<Tally>,
        control: Option<Arc<Tally>>,
    ) -> Self {
        let spec = route::spec(&arm.layer(version), engine.spec());
        Self { version: version.into(), arm, engine, spec, tally, control, closed: AtomicBool::new(false) }
    }
}
