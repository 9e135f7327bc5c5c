//! Class probabilities.

use super::numbers::{Numbers, output};
use super::{Decision, Feature, Probe, Rows};
use crate::drift::FeatureSource;
use crate::engine::{Answer, Request};

/// The class that a classifier has chosen, how sure it is, and the entropy of its distribution in nats.
///
/// Reads an output of shape `[rows, classes]`, or `[classes]` for one row. One column is the probability of class 1 of
/// a binary classifier. Features: `class` (a category), `confidence` and `entropy`.
///
/// ```
/// use selvedge::layer::probe::{Classes, Probe};
/// let names: Vec<String> = Classes::of("logits").softmax().features().into_iter().map(|f| f.name).collect();
/// assert_eq!(names, ["class", "confidence", "entropy"]);
/// ```
#[derive(Clone, Debug)]
pub struct Classes {
    output: String,
    softmax: bool,
    binary: bool,
}

impl Classes {
    /// The probabilities in this output; an empty name stands for the first one.
    pub fn of(output: impl Into<String>) -> Self {
        Self { output: output.into(), softmax: false, binary: false }
    }

    /// The output holds logits: the softmax of a row, or the logistic function of a single column, are its
    /// probabilities.
    #[must_use]
    pub fn softmax(self) -> Self {
        Self { softmax: true, ..self }
    }

    /// An output of shape `[rows]` holds one probability of class 1 per row, and not the classes of one row.
    #[must_use]
    pub fn binary(self) -> Self {
        Self { binary: true, ..self }
    }
}

impl Probe for Classes {
    fn features(&self) -> Vec<Feature> {
        vec![
            Feature::of("class", FeatureSource::Class),
            Feature::of("confidence", FeatureSource::Confidence),
            Feature::of("entropy", FeatureSource::Entropy),
        ]
    }

    fn request(&self, _: &Request, _: &mut Rows<'_>) {}

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        let Some(tensor) = output(answer, &self.output) else { return };
        let shape = tensor.shape();
        let classes = if self.binary { 1 } else { shape.last().copied().unwrap_or(1) };
        let Some(numbers) = Numbers::of(tensor).filter(|_| classes > 0) else { return };
        for row in 0..shape.elements() / classes {
            let decision = match classes {
                1 => self.binary_decision(numbers.get(row)),
                _ => self.decision(classes, |class| numbers.get(row * classes + class)),
            };
            let Some(values) = rows.row(row) else { return };
            let class = decision.class.map_or(f32::NAN, f32::from);
            if let [a, b, c] = values {
                (*a, *b, *c) = (class, decision.confidence, decision.entropy);
            }
            rows.decided(row, decision);
        }
    }
}

impl Classes {
    fn binary_decision(&self, value: f32) -> Decision {
        let p = if self.softmax { 1.0 / (1.0 + (-value).exp()) } else { value };
        if !(0.0..=1.0).contains(&p) {
            return Decision::default();
        }
        decided(usize::from(p > 0.5), p.max(1.0 - p), surprise(p) + surprise(1.0 - p), 2)
    }

    fn decision(&self, classes: usize, value: impl Fn(usize) -> f32) -> Decision {
        let (mut best, mut most) = (0, f32::NEG_INFINITY);
        for class in 0..classes {
            if value(class) > most {
                (best, most) = (class, value(class));
            }
        }
        // One pass: with s the shares before they are scaled, the entropy is ln Σs − Σ s·ln s / Σs.
        let (mut sum, mut weighted, mut negative) = (0.0, 0.0, false);
        for class in 0..classes {
            let value = value(class);
            let (share, log) = if self.softmax { ((value - most).exp(), value - most) } else { (value, value.ln()) };
            sum += share;
            weighted += if share > 0.0 { share * log } else { 0.0 };
            negative |= share < 0.0;
        }
        // A NaN anywhere is in the sum. Probabilities that do not sum to one, by rounding or because only the largest are
        // given, are scaled.
        if !sum.is_finite() || sum <= 0.0 || negative {
            return Decision::default();
        }
        let best_share = if self.softmax { 1.0 } else { most };
        decided(best, best_share / sum, (sum.ln() - weighted / sum).max(0.0), classes)
    }
}

fn decided(class: usize, confidence: f32, entropy: f32, classes: usize) -> Decision {
    Decision {
        class: u16::try_from(class).ok().filter(|c| *c != u16::MAX),
        confidence,
        entropy,
        most_entropy: (classes as f32).ln(),
        ..Decision::default()
    }
}

/// −p·ln p.
fn surprise(p: f32) -> f32 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}
