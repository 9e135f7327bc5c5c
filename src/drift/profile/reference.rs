//! The reference that windows are held against: what a model was made for.

use super::super::fourier::Fourier;
use super::bins::Bins;

/// The reference distribution of a model's inputs and outputs, tied to the model's digest.
///
/// Made once, from training data ([`Profile::fit`]) or from the first windows of a running model ([`Learner`](crate::drift::Learner)), and
/// kept beside the model: a few kilobytes, see [`Profile::encode`].
///
/// # Examples
///
/// ```
/// use selvedge::drift::Profile;
/// let rows: Vec<[f32; 2]> = (0..1000).map(|i| [(i % 97) as f32, (i % 7) as f32]).collect();
/// let profile = Profile::fit().number("wind").number("hour").of_rows(&rows)?;
/// assert_eq!(profile.features[0].counts.iter().sum::<u64>(), 1000);
/// let bytes = profile.encode();
/// assert_eq!(Profile::decode(&bytes)?, profile);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// SHA-256 of the model's file; zeros where none was given.
    pub model: [u8; 32],
    /// Rows of the reference.
    pub rows: u64,
    /// The reference was taken from the running model's first rows and not from its training data.
    pub learned: bool,
    /// Rows per block of the dependence estimate; 1 if rows were taken as independent.
    pub block: u32,
    /// The features, in the order of a window's counts.
    pub features: Vec<FeatureProfile>,
    /// The reference of an embedding, where one was given.
    pub embedding: Option<EmbeddingProfile>,
    /// The accuracy of the model at each confidence, where the reference had labels.
    pub reliability: Option<Reliability>,
}

/// The source of a feature: where its values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum FeatureSource {
    /// A column of the model's input, or what a probe makes of the input.
    Input = 0,
    /// The predicted class or label.
    Class = 1,
    /// The probability of the predicted class, in 0..=1.
    Confidence = 2,
    /// Entropy of the predicted distribution, in nats.
    Entropy = 3,
    /// Time to the whole answer, in milliseconds.
    Latency = 4,
    /// Length of a text, in the unit of the probe.
    Length = 5,
}

/// One feature of the reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureProfile {
    /// The column's name.
    pub name: String,
    /// The source of its values.
    pub source: FeatureSource,
    /// The bins that values fall into.
    pub bins: Bins,
    /// Exact counts of the reference, one per bin.
    pub counts: Vec<u64>,
    /// Mean, spread and range of the numbers; `None` for categories, or if no number was present.
    pub moments: Option<Moments>,
    /// Dependence between rows, as it inflates the variance of the counts: weights of the limiting distribution of χ²,
    /// largest first. Empty if rows are independent, where every weight is 1.
    pub dependence: Vec<f32>,
    /// How long values stay and how extremes come together; `None` if rows are independent, or in the bytes of an
    /// earlier version.
    pub runs: Option<Runs>,
}

/// Runs of a feature whose rows depend on each other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Runs {
    /// Rows in which it becomes e times less likely that all values stay in one bin, for the bin that holds them the
    /// longest; above 0.
    pub endurance: f32,
    /// Extreme values that come together, on average; at least 1.
    pub cluster: f32,
}

impl FeatureProfile {
    /// The bin of a number, [`MISSING`](crate::drift::MISSING) (255) for NaN.
    #[inline]
    pub fn bin(&self, value: f32) -> u8 {
        self.bins.of(value)
    }
}

/// Moments of a numeric feature, of the values that are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation (of the sample, divisor n − 1; 0 for one value).
    pub deviation: f64,
}

/// The reference of an embedding: the counts of its random Fourier features.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingProfile {
    /// The map from embeddings to features; its numbers follow from its seed.
    pub fourier: Fourier,
    /// Per feature, the rows whose sign is positive.
    pub positive: Vec<u64>,
    /// Rows of the reference that brought an embedding.
    pub rows: u64,
    /// Weights of the limiting distribution of MMD², largest first.
    pub weights: Vec<f32>,
}

/// Share of right answers per bin of confidence: ten bins of equal width over 0..=1.
#[derive(Clone, Debug, PartialEq, Default)]
#[non_exhaustive]
pub struct Reliability {
    /// Labelled rows per bin.
    pub rows: [u64; Reliability::BINS],
    /// Rows among them that were right.
    pub right: [u64; Reliability::BINS],
}

impl Reliability {
    /// Number of bins.
    pub const BINS: usize = 10;

    /// The bin of a confidence; what is no number in 0..=1 has none.
    pub fn bin(confidence: f32) -> Option<usize> {
        let inside = (0.0..=1.0).contains(&confidence);
        inside.then(|| ((confidence * Self::BINS as f32) as usize).min(Self::BINS - 1))
    }

    /// Adds a labelled row.
    pub fn add(&mut self, confidence: f32, right: bool) {
        if let Some(bin) = Self::bin(confidence) {
            self.rows[bin] += 1;
            self.right[bin] += u64::from(right);
        }
    }
}
