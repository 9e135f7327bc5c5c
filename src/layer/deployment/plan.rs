//! Plan of a rollout: by which steps a version comes in, on which devices, for which calls.

use super::cohort::{self, SHARES};
use super::likeness::Likeness;
use crate::{Error, Result};

/// The plan of a rollout: the steps between the self-test and the promotion.
///
/// ```
/// use selvedge::layer::deployment::RolloutPlan;
/// // First 200 answers in the shadow, then a tenth of the devices; there, half of the calls.
/// let plan = RolloutPlan::canary(1000).shadow(200);
/// assert!(plan.check().is_ok());
/// assert!(RolloutPlan::canary(10_001).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RolloutPlan {
    /// The share of devices that take part, in ten-thousandths.
    pub devices: u16,
    /// The share of calls that the candidate answers on such a device, in ten-thousandths.
    pub calls: u16,
    /// Answers that are compared in the shadow before anything else; 0 for no shadow.
    pub shadow: u32,
    /// Whether the candidate answers a share of the calls before it is promoted.
    pub canary: bool,
    /// When answers in the shadow count as alike.
    pub likeness: Likeness,
    /// Whether the app promotes by itself: see [`Deployment::promote`](super::Deployment::promote). A candidate that is judged
    /// worse is rolled back in any case.
    pub by_hand: bool,
    /// What devices and keys are hashed with; the version's name if it is empty. Rollouts of one salt take the same
    /// devices first.
    pub salt: String,
}

impl RolloutPlan {
    /// Switch right after the self-test, on every device.
    pub fn blue_green() -> Self {
        Self {
            devices: SHARES,
            calls: SHARES,
            shadow: 0,
            canary: false,
            likeness: Likeness::Exact,
            by_hand: false,
            salt: String::new(),
        }
    }

    /// On this share of the devices, in ten-thousandths, the candidate answers half of the calls until there is a verdict.
    pub fn canary(devices: u16) -> Self {
        Self { devices, calls: SHARES / 2, canary: true, ..Self::blue_green() }
    }

    /// An A/B test on every device: the candidate answers this share of the calls, or of the keys
    /// ([`DeploymentBuilder::key`](super::DeploymentBuilder::key)), in ten-thousandths, until the app promotes it or takes it back.
    pub fn ab(calls: u16) -> Self {
        Self { calls, by_hand: true, ..Self::canary(SHARES) }
    }

    /// Sets the share of calls that the candidate answers during the canary, in ten-thousandths. Of all calls, it is judged
    /// against what the current version did before: the rest is a control that sees the same days.
    #[must_use]
    pub fn calls(self, share: u16) -> Self {
        Self { calls: share, ..self }
    }

    /// Compares so many answers in the shadow first.
    #[must_use]
    pub fn shadow(self, answers: u32) -> Self {
        Self { shadow: answers, ..self }
    }

    /// Sets when answers in the shadow count as alike; [`Likeness::Exact`] if not set.
    #[must_use]
    pub fn likeness(self, likeness: Likeness) -> Self {
        Self { likeness, ..self }
    }

    /// Leaves the promotion to the app.
    #[must_use]
    pub fn by_hand(self) -> Self {
        Self { by_hand: true, ..self }
    }

    /// Sets what devices and keys are hashed with.
    #[must_use]
    pub fn salt(self, salt: impl Into<String>) -> Self {
        Self { salt: salt.into(), ..self }
    }

    /// Whether the shares are in their range.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a share above 10,000.
    pub fn check(&self) -> Result<()> {
        for (name, share) in [("devices", self.devices), ("calls", self.calls)] {
            if share > SHARES {
                return Err(Error::invalid(format!("{name}: expected a share of 0 to {SHARES}, got {share}")));
            }
        }
        Ok(())
    }

    /// Whether the candidate answers every call.
    pub(super) fn takes_all(&self) -> bool {
        self.calls >= SHARES
    }

    pub(super) fn salt_of<'a>(&'a self, version: &'a str) -> &'a str {
        if self.salt.is_empty() { version } else { &self.salt }
    }

    /// Whether a device takes part.
    pub(super) fn has_device(&self, version: &str, install_id: &str) -> bool {
        cohort::bucket(self.salt_of(version), install_id.as_bytes()) < self.devices
    }
}
