//! Audio summaries.

use super::numbers::{Numbers, input};
use super::spectrum::{FRAME, add_power};
use super::{Probe, ProbeFeature, Rows};
use crate::engine::{Answer, Request};

/// Loudness, zero crossings, spectral centroid and clipping of each sound of an input of samples in −1..=1.
///
/// Takes `[n, samples]`, `[n, 1, samples]` or `[samples]`. Of a long sound, the spectrum is that of 16 frames of 512
/// samples spread over it, and the rest is read whole.
///
/// | feature | what |
/// |---|---|
/// | `loudness` | root mean square in dBFS; −120 for silence |
/// | `zero_crossings` | share of samples whose sign differs from the one before, in 0..=1 |
/// | `centroid` | power-weighted mean frequency, in hertz |
/// | `clipping` | share of samples at full scale, in 0..=1 |
///
/// ```
/// use selvedge::layer::probe::{Audio, Probe};
/// assert_eq!(Audio::of("input", 16_000).features()[2].name, "centroid");
/// ```
#[derive(Clone, Debug)]
pub struct Audio {
    input: String,
    sample_rate: u32,
}

const MAX_FRAMES: usize = 16;
const SILENCE_DB: f32 = -120.0;
/// Of a 16-bit sound, the last step.
const FULL_SCALE: f32 = 0.9999;

impl Audio {
    /// The sounds of this input; an empty name stands for the first one. `sample_rate` in hertz.
    pub fn of(input: impl Into<String>, sample_rate: u32) -> Self {
        Self { input: input.into(), sample_rate }
    }

    fn summarize(&self, samples: usize, sample: impl Fn(usize) -> f32) -> [f32; 4] {
        let (mut squares, mut crossings, mut clipped, mut before) = (0.0f64, 0u32, 0u32, f32::NAN);
        for i in 0..samples {
            let now = sample(i);
            squares += f64::from(now) * f64::from(now);
            crossings += u32::from((now < 0.0) != (before < 0.0) && i > 0);
            clipped += u32::from(now.abs() >= FULL_SCALE);
            before = now;
        }
        let n = samples as f32;
        let rms = (squares / samples as f64).sqrt() as f32;
        // A NaN stays one; only silence is held.
        let loudness = if rms < 1e-6 { SILENCE_DB } else { 20.0 * rms.log10() };
        [loudness, crossings as f32 / n, self.centroid(samples, sample), clipped as f32 / n]
    }

    /// NaN for less than one frame, and for silence.
    fn centroid(&self, samples: usize, sample: impl Fn(usize) -> f32) -> f32 {
        let mut power = [0.0f32; FRAME / 2 + 1];
        let frames = (samples / FRAME).min(MAX_FRAMES);
        for frame in 0..frames {
            let begin = frame * (samples - FRAME) / frames.saturating_sub(1).max(1);
            add_power(|i| sample(begin + i), &mut power);
        }
        let total: f32 = power.iter().sum();
        let weighted: f32 = power.iter().enumerate().map(|(k, p)| k as f32 * p).sum();
        weighted / total * self.sample_rate as f32 / FRAME as f32
    }
}

impl Probe for Audio {
    fn features(&self) -> Vec<ProbeFeature> {
        ["loudness", "zero_crossings", "centroid", "clipping"].map(ProbeFeature::number).into()
    }

    fn request(&self, request: &Request, rows: &mut Rows<'_>) {
        let Some(tensor) = input(request, &self.input) else { return };
        let samples = match **tensor.shape() {
            [samples] | [_, samples] | [_, 1, samples] if samples > 0 => samples,
            _ => return,
        };
        let Some(numbers) = Numbers::of(tensor) else { return };
        for sound in 0..tensor.shape().elements() / samples {
            let Some(values) = rows.row(sound) else { return };
            let summary = self.summarize(samples, |i| numbers.get(sound * samples + i));
            values.iter_mut().zip(summary).for_each(|(value, number)| *value = number);
        }
    }

    fn answer(&self, _: &Answer, _: &mut Rows<'_>) {}
}
