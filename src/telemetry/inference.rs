//! Inference: one answered request, as a lane holds it.

use super::outcome::Outcome;
use super::record::ModelSlot;
use super::rollout::RolloutArm;

/// The record of one answered request: numbers and bin ids, never an input or an output.
///
/// ```
/// use selvedge::telemetry::{Inference, ModelSlot, Outcome};
/// let rain = Inference { model_slot: ModelSlot(1), latency_us: 830, class: 1, bins: &[3, 0, 255], ..Inference::default() };
/// assert_eq!((rain.outcome, rain.confidence, rain.tokens_out), (Outcome::default(), 0, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inference<'a> {
    /// The caller's id of the request, by which a label may come later. 0 where there is none.
    pub id: u64,
    /// Monotonic nanoseconds since the folder was opened (see [`Stamp`](super::Stamp)). Filled by recording; what the
    /// caller puts here is not read.
    pub at: u64,
    /// The open in which it was recorded: that of [`Stamp::epoch`](super::Stamp::epoch). Filled by recording. A drained
    /// record of an earlier epoch was left by a process that ended before the record's window was sealed.
    pub epoch: u64,
    /// The slot of the model, as its [`ModelInfo`](super::ModelInfo) says.
    pub model_slot: ModelSlot,
    /// The part of a rollout that it was answered in; `None` outside of any.
    pub arm: Option<RolloutArm>,
    /// The outcome of the request.
    pub outcome: Outcome,
    /// From admission to the end, in microseconds; saturates after 71 minutes.
    pub latency_us: u32,
    /// From admission to the first token, in microseconds; 0 where there was none.
    pub first_token_us: u32,
    /// Tokens of the prompt; 0 for tensors.
    pub tokens_in: u32,
    /// Tokens generated; 0 for tensors.
    pub tokens_out: u32,
    /// The confidence of the answer through [`Inference::quantize`]; 0 where it was not measured.
    pub confidence: u8,
    /// The entropy of the answer over its classes, divided by its maximum, through [`Inference::quantize`]; 0 where it
    /// was not measured.
    pub entropy: u8,
    /// The class that was answered; [`Inference::NO_CLASS`] where there is none.
    pub class: u16,
    /// The bin of each feature, in the profile's order; 255 for a missing value. At most [`Inference::MAX_BINS`]. A writer
    /// that tells signs of an embedding puts them behind, eight to a byte.
    pub bins: &'a [u8],
}

impl Inference<'_> {
    /// The class of an answer that has no class.
    pub const NO_CLASS: u16 = u16::MAX;
    /// The bin of a value that is missing.
    pub const MISSING: u8 = u8::MAX;
    /// The most features that a record can hold. A record with more is counted as
    /// [`Reason::TooLarge`](super::Reason::TooLarge).
    pub const MAX_BINS: usize = 1024;

    /// A number of `[0, 1]` in 254 equal steps as `1..=255`; 0 for NaN. Outside the range it saturates.
    ///
    /// ```
    /// use selvedge::telemetry::Inference;
    /// assert_eq!([0.0, 0.5, 1.0, f32::NAN].map(Inference::quantize), [1, 128, 255, 0]);
    /// ```
    #[must_use]
    pub fn quantize(unit: f32) -> u8 {
        if unit.is_nan() { 0 } else { 1 + (unit.clamp(0.0, 1.0) * 254.0).round() as u8 }
    }

    /// The number that [`Inference::quantize`] made a step of; `None` for 0.
    #[must_use]
    pub fn unit(step: u8) -> Option<f32> {
        step.checked_sub(1).map(|s| f32::from(s) / 254.0)
    }
}

impl Default for Inference<'_> {
    /// An answer of model 0 of which nothing was measured.
    fn default() -> Self {
        Self {
            id: 0,
            at: 0,
            epoch: 0,
            model_slot: ModelSlot(0),
            arm: None,
            outcome: Outcome::default(),
            latency_us: 0,
            first_token_us: 0,
            tokens_in: 0,
            tokens_out: 0,
            confidence: 0,
            entropy: 0,
            class: Self::NO_CLASS,
            bins: &[],
        }
    }
}
