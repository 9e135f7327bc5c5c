//! Types of a profile's features, against those of what the model gets.

use crate::drift::{Bins, FeatureProfile, Profile};
use crate::engine::{Kind, Port, Spec};
use crate::layer::probe::{ProbeFeature, ProbedTensor};
use crate::{DType, Error, Result};

/// Checks that each feature of the profile can hold what the probe gives.
///
/// Numbers are of categories whose names say numbers, as `true` and `false` do, and texts may say numbers. Names that say
/// none cannot be found among numbers, and what the probe calls categories of text cannot be put between edges.
pub(super) fn check_types(profile: &Profile, probe: &[ProbeFeature], spec: &Spec) -> Result<()> {
    for feature in &profile.features {
        let probed = probe.iter().find(|p| p.name == feature.name);
        let port = probed.and_then(|p| port(p, spec));
        let given = given(probed, port);
        let got = match port {
            Some(port) => format!("'{}', {}", port.name, port.kind),
            None => "a probe's numbers".into(),
        };
        match (&feature.bins, given) {
            (Bins::Categories(names), Given::Numbers) if !names.are_numbers() => {
                return Err(refusal(
                    feature,
                    &format!("texts, such as {:?}", names.names()),
                    &format!("numbers ({got})"),
                ));
            }
            (Bins::Numeric { .. }, Given::Names) => {
                return Err(refusal(feature, "numbers", &format!("texts that are categories ({got})")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the probe gives of a feature, as far as it is known.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    Numbers,
    /// Texts, of which the probe says that they are names.
    Names,
    Either,
}

fn given(probed: Option<&ProbeFeature>, port: Option<&Port>) -> Given {
    let Some(probed) = probed else { return Given::Numbers };
    match (port.map(|port| &port.kind), probed.category) {
        (Some(Kind::Tensor { dtype: DType::String, .. }), true) => Given::Names,
        (Some(Kind::Tensor { dtype: DType::String, .. }), false) | (Some(Kind::Other(_)), _) => Given::Either,
        (Some(Kind::Tensor { .. }), _) => Given::Numbers,
        // Of a tensor that the model does not say, or codes of names.
        (None, _) if probed.tensor.is_some() || probed.category => Given::Either,
        (None, _) => Given::Numbers,
    }
}

fn port<'s>(probed: &ProbeFeature, spec: &'s Spec) -> Option<&'s Port> {
    let (ports, name) = match probed.tensor.as_ref()? {
        ProbedTensor::Input(name) => (&spec.inputs, name),
        ProbedTensor::Output(name) => (&spec.outputs, name),
    };
    ports.iter().find(|port| name.is_empty() || port.name == *name)
}

fn refusal(feature: &FeatureProfile, want: &str, got: &str) -> Error {
    let name = &feature.name;
    Error::invalid(format!("profile: feature '{name}': expected {want}, got {got}; fit it from what the model gets"))
}
