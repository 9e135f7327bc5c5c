//! Probes: each turns a request and its answer into a few numbers per row, which a monitor records.
//!
//! A probe writes numbers into [`Rows`] that the monitor owns, and nothing else leaves it: no text, no pixel, no
//! tensor is kept. The numbers become bins of the reference profile before they are recorded.

mod all;
mod audio;
mod classes;
mod columns;
mod embeddings;
mod image;
mod numbers;
mod sheet;
mod spectrum;
#[cfg(test)]
mod tests;
mod tokens;

pub use all::All;
pub use audio::Audio;
pub use classes::Classes;
pub use columns::Columns;
pub use embeddings::Embeddings;
pub use image::{Image, Layout};
pub use sheet::{Prediction, Rows};
pub use tokens::Tokens;

pub(super) use sheet::Sheet;

use crate::drift::FeatureSource;
use crate::engine::{Answer, Request};

/// A probe turns a request and its answer into numbers, one row per observation: a batch of eight images is eight rows.
///
/// Both methods run on the caller's thread, on the way of the answer: they should take microseconds and not allocate.
/// A panic in one is contained and counted, and the answer goes its way: see
/// [`MonitorReport::probe_panics`](super::monitor::MonitorReport::probe_panics).
///
/// ```
/// use selvedge::layer::probe::{ProbeFeature, Probe, Rows};
/// use selvedge::{Answer, Request};
///
/// /// How long the prompt is, in characters.
/// struct Characters;
///
/// impl Probe for Characters {
///     fn features(&self) -> Vec<ProbeFeature> {
///         vec![ProbeFeature::number("characters")]
///     }
///
///     fn request(&self, request: &Request, rows: &mut Rows<'_>) {
///         let Request::Embed(embed) = request else { return };
///         for (i, text) in embed.texts.iter().enumerate() {
///             rows.set(i, 0, text.chars().count() as f32);
///         }
///     }
///
///     fn answer(&self, _: &Answer, _: &mut Rows<'_>) {}
/// }
/// ```
pub trait Probe: Send + Sync {
    /// The features, in the order of their values in a row. Asked once.
    fn features(&self) -> Vec<ProbeFeature>;

    /// Reads a request, just before the engine gets it. Nothing of it may be kept.
    fn request(&self, request: &Request, rows: &mut Rows<'_>);

    /// Reads the answer. `rows` holds what [`Probe::request`] has written; a failed request has no answer.
    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>);
}

/// A probe without features: outcomes, latency and tokens are recorded all the same.
impl Probe for () {
    fn features(&self) -> Vec<ProbeFeature> {
        Vec::new()
    }

    fn request(&self, _: &Request, _: &mut Rows<'_>) {}

    fn answer(&self, _: &Answer, _: &mut Rows<'_>) {}
}

impl<P: Probe + ?Sized> Probe for Box<P> {
    fn features(&self) -> Vec<ProbeFeature> {
        (**self).features()
    }

    fn request(&self, request: &Request, rows: &mut Rows<'_>) {
        (**self).request(request, rows);
    }

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        (**self).answer(answer, rows);
    }
}

/// The rows of numbers that a probe makes of one call: what a monitor would put into bins. With them a profile is
/// fitted from the very numbers that it will be held against.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::probe::{All, Classes, Columns, rows};
/// use selvedge::{Ask, DType, Request, Tensor, Tensors};
/// let probe = All::new().and(Columns::of("x", ["wind", "rain"])).and(Classes::of("y"));
/// let request: Request = Tensors::from([("x", Tensor::new(&[1, 2], vec![0.25f32, 0.75])?)]).into();
/// let answer = Fake::echo(DType::F32).build().run(request.clone())?;
/// let rows = rows(&probe, &request, &answer);
/// assert_eq!(rows[0][..4], [0.25, 0.75, 1.0, 0.75]); // wind, rain, class, confidence
/// # Ok::<(), selvedge::Error>(())
/// ```
#[must_use]
pub fn rows(probe: &dyn Probe, request: &Request, answer: &Answer) -> Vec<Vec<f32>> {
    let mut sheet = Sheet::new(probe.features().len());
    probe.request(request, &mut Rows::new(&mut sheet));
    probe.answer(answer, &mut Rows::new(&mut sheet));
    (0..sheet.rows()).map(|row| sheet.row(row).0.to_vec()).collect()
}

/// A feature that a probe gives: the profile's feature of the same name is its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeFeature {
    /// The name, unique among the features of a monitor.
    pub name: String,
    /// The source of its values.
    pub source: FeatureSource,
    /// The values are categories: numbers that stand for names (see [`category_code`]).
    pub category: bool,
    /// The tensor whose elements the values are, where they are taken as they stand.
    pub(in crate::layer) tensor: Option<ProbedTensor>,
}

/// A tensor of the model, by name; an empty name stands for the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::layer) enum ProbedTensor {
    Input(String),
    Output(String),
}

impl ProbeFeature {
    /// A number that a probe makes of the input.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), source: FeatureSource::Input, category: false, tensor: None }
    }

    /// A category of the input: a whole number, or the [`category_code`] of a text.
    pub fn category(name: impl Into<String>) -> Self {
        Self { category: true, ..Self::number(name) }
    }

    /// A number, or for [`FeatureSource::Class`] a category, of another source.
    pub fn of(name: impl Into<String>, source: FeatureSource) -> Self {
        Self { source, category: source == FeatureSource::Class, ..Self::number(name) }
    }
}

/// The number that stands for the name of a category, in a row of numbers: a negative whole number made of its FNV-1a
/// hash. Two of 16 names have one number with a probability of 1 in 70,000.
///
/// A profile that was fitted from the names knows them by this number, too. A name that is a plain number, such as
/// `"7"`, stands for itself; `"true"` and `"false"`, in any case, stand for 1 and 0.
///
/// ```
/// use selvedge::layer::probe::category_code;
/// assert_eq!((category_code("7"), category_code("True")), (7.0, 1.0));
/// assert!(category_code("rain") < -8e6 && category_code("rain") != category_code("snow"));
/// ```
#[must_use]
pub fn category_code(name: &str) -> f32 {
    crate::drift::category_code(name)
}
