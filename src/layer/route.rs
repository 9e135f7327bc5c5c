//! Routes of answers: how a layer adds itself to [`Provenance::route`], as the outermost.

use std::sync::Arc;

use crate::engine::{Provenance, Spec};

/// The spec of a layer around an engine: the engine's own, with the layer on its route.
pub(super) fn spec(layer: &str, inner: &Spec) -> Spec {
    Spec { provenance: through(layer, &inner.provenance), ..inner.clone() }
}

/// The provenance of an answer, with the layer on its route. Nothing is copied for the usual answer, which has the
/// provenance of its engine's spec, `inner`: it gets that of the layer's, `outer`.
pub(super) fn provenance(
    layer: &str,
    answer: Arc<Provenance>,
    inner: &Arc<Provenance>,
    outer: &Arc<Provenance>,
) -> Arc<Provenance> {
    if Arc::ptr_eq(&answer, inner) || answer == *inner { outer.clone() } else { through(layer, &answer) }
}

fn through(layer: &str, provenance: &Provenance) -> Arc<Provenance> {
    let mut routed = provenance.clone();
    routed.route.insert(0, layer.into());
    Arc::new(routed)
}
