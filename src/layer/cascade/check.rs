//! Checks of an answer: what it must be for a costlier engine not to be asked.

use std::ops::RangeInclusive;

use super::Threshold;
use crate::engine::{Answer, Finish};
use crate::layer::probe::{Probe, Rows, Sheet};
use crate::threads::contained;

/// A check of an answer.
///
/// A check runs on the caller's thread, on the way of the answer. One that panics counts as failed.
pub struct Check {
    name: String,
    passes: Box<dyn Fn(&Answer) -> bool + Send + Sync>,
}

impl Check {
    /// A check of the app's own, under a name for the counts.
    ///
    /// ```
    /// use selvedge::layer::cascade::Check;
    /// let check = Check::that("one line", |answer| !answer.text.contains('\n'));
    /// assert_eq!(check.name(), "one line");
    /// ```
    pub fn that(name: impl Into<String>, passes: impl Fn(&Answer) -> bool + Send + Sync + 'static) -> Self {
        Self { name: name.into(), passes: Box::new(passes) }
    }

    /// The answer has come to its own end: it was not cut off by `max_tokens` or a full context.
    pub fn finished() -> Self {
        Self::that("finished", |answer| !matches!(answer.finish, Finish::Length | Finish::ContextFull))
    }

    /// The text has so many characters, whitespace at its ends aside.
    pub fn length(characters: RangeInclusive<usize>) -> Self {
        let name = format!("length {} to {}", characters.start(), characters.end());
        Self::that(name, move |answer| characters.contains(&answer.text.trim().chars().count()))
    }

    /// The text holds none of these phrases, in upper or lower case: the ways in which a model declines to answer.
    ///
    /// ```
    /// use selvedge::layer::cascade::Check;
    /// use selvedge::{Answer, Digest, Finish, Provenance, Usage};
    /// let provenance = Provenance::new("small", Digest::default(), "fake", "fake");
    /// let mut answer = Answer::new(Finish::EndOfText, Usage::default(), provenance.into());
    /// answer.text = "As an AI model, I cannot".into();
    /// assert!(!Check::no_refusal(["as an AI"]).passes(&answer));
    /// ```
    pub fn no_refusal<T: Into<String>>(phrases: impl IntoIterator<Item = T>) -> Self {
        let phrases: Vec<String> = phrases.into_iter().map(|phrase| phrase.into().to_lowercase()).collect();
        Self::that("no refusal", move |answer| {
            let text = answer.text.to_lowercase();
            !phrases.iter().any(|phrase| text.contains(&**phrase))
        })
    }

    /// The text is one JSON value and nothing else, nested at most 127 deep.
    pub fn json() -> Self {
        Self::that("json", |answer| json(answer).is_some())
    }

    /// The text is one JSON object, with these keys at least; `null` is a value.
    pub fn json_with<T: Into<String>>(keys: impl IntoIterator<Item = T>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        Self::that(format!("json with {}", keys.join(", ")), move |answer| {
            let value = json(answer);
            let object = value.as_ref().and_then(serde_json::Value::as_object);
            object.is_some_and(|object| keys.iter().all(|key| object.contains_key(key)))
        })
    }

    /// The model is sure of its answer: [`confidence`], by this probe, is above the threshold.
    ///
    /// ```
    /// use selvedge::layer::cascade::{Check, Threshold};
    /// use selvedge::layer::probe::Classes;
    /// let check = Check::confident(Classes::of("rain_tomorrow"), Threshold::fixed(0.8));
    /// assert_eq!(check.name(), "confident");
    /// ```
    pub fn confident(probe: impl Probe + 'static, threshold: Threshold) -> Self {
        Self::that("confident", move |answer| confidence(&probe, answer).is_some_and(|c| threshold.accepts(c)))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an answer passes.
    pub fn passes(&self, answer: &Answer) -> bool {
        contained(|| (self.passes)(answer)).unwrap_or(false)
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

fn json(answer: &Answer) -> Option<serde_json::Value> {
    serde_json::from_str(&answer.text).ok()
}

/// The confidence of an answer in 0..=1, by a probe that reads predictions: of several rows, the least. `None` where a
/// row has none, and for an answer without rows.
///
/// [`Classes`](crate::layer::probe::Classes) reads the probability of the chosen class, and
/// [`Tokens`](crate::layer::probe::Tokens) the geometric mean of the tokens' probabilities, which a request must
/// [ask for](crate::Generate::logprobs).
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::{cascade::confidence, probe::Classes};
/// use selvedge::{Ask, DType, Tensor, Tensors};
/// let rows = Tensor::new(&[2, 2], vec![0.9f32, 0.1, 0.25, 0.75])?;
/// let answer = Fake::echo(DType::F32).build().run(Tensors::from([("x", rows)]))?;
/// assert_eq!(confidence(&Classes::of("y"), &answer), Some(0.75));
/// # Ok::<(), selvedge::Error>(())
/// ```
#[must_use]
pub fn confidence(probe: &dyn Probe, answer: &Answer) -> Option<f32> {
    let mut sheet = Sheet::new(probe.features().len());
    probe.answer(answer, &mut Rows::new(&mut sheet));
    // A row that did not fit is one that nothing is known of.
    let all = (0..sheet.rows()).map(|row| sheet.row(row).1.confidence);
    let least = all.reduce(|a, b| if a.is_nan() || a < b { a } else { b })?;
    (sheet.missed == 0 && !least.is_nan()).then_some(least)
}
