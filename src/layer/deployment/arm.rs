//! Arms: which part in a rollout an answer was given in, and how a route says it.

use crate::engine::{Exposure, Provenance};

/// The part of a rollout that a version answers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arm {
    /// The current version.
    Current,
    /// The candidate, for a share of the calls.
    Canary,
}

const OPENS: &str = "deployment(";

impl Arm {
    /// The name: `current`, `canary`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Canary => "canary",
        }
    }

    /// The version and the arm that gave an answer, from the first deployment on its route.
    ///
    /// ```
    /// use selvedge::layer::deployment::Arm;
    /// use selvedge::{Digest, Provenance};
    /// let mut provenance = Provenance::new("rain", Digest::default(), "tract", "tract");
    /// provenance.route = vec!["monitor".into(), "deployment(v3,canary)".into()];
    /// assert_eq!(Arm::of(&provenance), Some(("v3", Arm::Canary)));
    /// ```
    #[must_use]
    pub fn of(provenance: &Provenance) -> Option<(&str, Arm)> {
        let layer = provenance.route.iter().find_map(|layer| layer.strip_prefix(OPENS))?;
        let (version, arm) = layer.strip_suffix(')')?.rsplit_once(',')?;
        let arm = [Self::Current, Self::Canary].into_iter().find(|one| one.name() == arm)?;
        Some((version, arm))
    }

    /// What the layers below are told.
    pub(super) const fn exposure(self) -> Exposure {
        match self {
            Self::Current => Exposure::Current,
            Self::Canary => Exposure::Canary,
        }
    }

    /// The name of the layer on a route: `deployment(v3,canary)`.
    pub(super) fn layer(self, version: &str) -> String {
        format!("{OPENS}{version},{})", self.name())
    }
}
