//! Token statistics.

use super::{Prediction, Probe, ProbeFeature, Rows};
use crate::drift::FeatureSource;
use crate::engine::{Answer, Request};

/// Lengths, log-probabilities and stop reason of a generated text; one row per answer.
///
/// | feature | unit |
/// |---|---|
/// | `prompt_tokens`, `answer_tokens` | tokens |
/// | `mean_logprob`, `least_logprob` | natural logarithm; missing unless the request asks for [`logprobs`](crate::Generate::logprobs) |
/// | `finish` | a category, by [`Finish::number`](crate::Finish::number): 1 complete, 2 end of text, 3 stop text, 4 length, 5 context full |
///
/// The confidence of the answer is the geometric mean of its tokens' probabilities. The text itself is not read.
///
/// ```
/// use selvedge::layer::probe::{Probe, Tokens};
/// assert_eq!(Tokens.features()[1].name, "answer_tokens");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens;

impl Probe for Tokens {
    fn features(&self) -> Vec<ProbeFeature> {
        vec![
            ProbeFeature::of("prompt_tokens", FeatureSource::Length),
            ProbeFeature::of("answer_tokens", FeatureSource::Length),
            ProbeFeature::number("mean_logprob"),
            ProbeFeature::number("least_logprob"),
            ProbeFeature::category("finish"),
        ]
    }

    fn request(&self, _: &Request, _: &mut Rows<'_>) {}

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        let (mut sum, mut least, mut known) = (0.0, f32::INFINITY, 0u32);
        for logprob in answer.tokens.iter().filter_map(|token| token.logprob) {
            (sum, least, known) = (sum + f64::from(logprob), least.min(logprob), known + 1);
        }
        let mean = if known > 0 { (sum / f64::from(known)) as f32 } else { f32::NAN };
        let least = if known > 0 { least } else { f32::NAN };
        let finish = f32::from(answer.finish.number());
        let lengths = [answer.usage.input_tokens, answer.usage.output_tokens].map(|n| n as f32);
        if let Some([a, b, c, d, e]) = rows.row(0) {
            (*a, *b, *c, *d, *e) = (lengths[0], lengths[1], mean, least, finish);
        }
        if known > 0 {
            rows.set_prediction(0, Prediction { confidence: mean.exp(), ..Prediction::default() });
        }
    }
}
