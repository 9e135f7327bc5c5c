//! Class probabilities.

use super::numbers::{Numbers, output};
use super::{Prediction, Probe, ProbeFeature, Rows};
use crate::drift::FeatureSource;
use crate::engine::{Answer, Request};

/// Class probabilities: the class that a classifier has chosen, how sure it is, and the entropy of its distribution in
/// nats.
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
    fn features(&self) -> Vec<ProbeFeature> {
        vec![
            ProbeFeature::of("class", FeatureSource::Class),
            ProbeFeature::of("confidence", FeatureSource::Confidence),
            ProbeFeature::of("entropy", FeatureSource::Entropy),
        ]
    }

    fn request(&self, _: &Request, _: &mut Rows<'_>) {}

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        let Some(tensor) = output(answer, &self.output) else { return };
        let shape = tensor.shape();
        let classes = if self.binary { 1 } else { shape.last().copied().unwrap_or(1) };
        let Some(numbers) = Numbers::of(tensor).filter(|_| classes > 0) else { return };
        for row in 0..shape.elements() / classes {
            let prediction = match classes {
                1 => self.binary_prediction(numbers.get(row)),
                _ => self.prediction(classes, |class| numbers.get(row * classes + class)),
            };
            let Some(values) = rows.row(row) else { return };
            let class = prediction.class.map_or(f32::NAN, f32::from);
            if let [a, b, c] = values {
                (*a, *b, *c) = (class, prediction.confidence, prediction.entropy);
            }
            rows.set_prediction(row, prediction);
        }
    }
}

impl Classes {
    fn binary_prediction(&self, value: f32) -> Prediction {
        let p = if self.softmax { 1.0 / (1.0 + (-value).exp()) } else { value };
        if !(0.0..=1.0).contains(&p) {
            return Prediction::default();
        }
        prediction_of(usize::from(p > 0.5), p.max(1.0 - p), surprise(p) + surprise(1.0 - p), 2)
    }

    fn prediction(&self, classes: usize, value: impl Fn(usize) -> f32) -> Prediction {
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
        // A NaN anywhere is in the sum. Probabilities that do not sum to one, by rounding or because only the largest
        // are given, are scaled.
        if !sum.is_finite() || sum <= 0.0 || negative {
            return Prediction::default();
        }
        let best_share = if self.softmax { 1.0 } else { most };
        prediction_of(best, best_share / sum, (sum.ln() - weighted / sum).max(0.0), classes)
    }
}

fn prediction_of(class: usize, confidence: f32, entropy: f32, classes: usize) -> Prediction {
    Prediction {
        class: u16::try_from(class).ok().filter(|c| *c != u16::MAX),
        confidence,
        entropy,
        max_entropy: (classes as f32).ln(),
        ..Prediction::default()
    }
}

/// −p·ln p.
fn surprise(p: f32) -> f32 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}
