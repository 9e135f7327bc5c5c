//! Routes of answers: how a layer adds itself to [`Provenance::route`], as the outermost.

use std::sync::Arc;

use crate::engine::{Provenance, Spec};

/// The spec of a layer around an engine: the engine's own, with the layer on its route.
pub(super) fn spec(layer: &str, inner: &Spec) -> Spec {
    Spec { provenance: through(layer, &inner.provenance), ..inner.clone() }
}

/// The provenance of an answer, with the layer on its route. Nothing is copied for the usual answer, which has the
/// provenance of its engine's spec: it gets that of the layer's.
pub(super) fn provenance(layer: &str, answer: Arc<Provenance>, inner: &Spec, outer: &Spec) -> Arc<Provenance> {
    let usual = &inner.provenance;
    if Arc::ptr_eq(&answer, usual) || answer == *usual { outer.provenance.clone() } else { through(layer, &answer) }
}

fn through(layer: &str, provenance: &Provenance) -> Arc<Provenance> {
    let mut routed = provenance.clone();
    routed.route.insert(0, layer.into());
    Arc::new(routed)
}
