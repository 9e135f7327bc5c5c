//! Rows of numbers: what the probes of a monitor make of one call.

/// Rows of numbers, which a probe writes: one number per feature of the probe. What is not written is missing.
///
/// A row exists from the moment that something is written to it, and all rows before it. Rows from
/// [`Rows::MAX`] on are not taken.
#[derive(Debug)]
pub struct Rows<'a> {
    sheet: &'a mut Sheet,
    first: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    /// The maximum of rows of one call.
    pub const MAX: usize = 1 << 16;

    /// All features of a sheet.
    pub(in crate::layer) fn new(sheet: &'a mut Sheet) -> Self {
        let width = sheet.width;
        Self { sheet, first: 0, width }
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sheet.predictions.len()
    }

    /// The values of a row: one per feature, NaN where none was written. `None` from [`Rows::MAX`] on.
    pub fn row(&mut self, row: usize) -> Option<&mut [f32]> {
        self.sheet.grow(row)?;
        let begin = row * self.sheet.width + self.first;
        self.sheet.values.get_mut(begin..begin + self.width)
    }

    /// Writes one value. A feature that the probe does not have is ignored.
    pub fn set(&mut self, row: usize, feature: usize, value: f32) {
        if let Some(place) = self.row(row).and_then(|values| values.get_mut(feature)) {
            *place = value;
        }
    }

    /// Writes the prediction of a row. What another probe has written of it stays where this one does not know.
    pub fn set_prediction(&mut self, row: usize, prediction: Prediction) {
        if self.sheet.grow(row).is_some() {
            self.sheet.predictions[row].update(prediction);
        }
    }

    /// Adds the embedding of a row; a second one replaces the first. All of one monitor have the same width; another
    /// one is ignored.
    pub fn embedding(&mut self, row: usize, numbers: impl ExactSizeIterator<Item = f32>) {
        if self.sheet.grow(row).is_none() || numbers.len() == 0 {
            return;
        }
        let sheet = &mut *self.sheet;
        if sheet.embeddings.is_empty() {
            sheet.embedding_width = numbers.len();
        }
        if sheet.embedding_width != numbers.len() {
            return;
        }
        if let Some(begin) = sheet.embedding_at(row) {
            sheet.embeddings[begin..].iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
        } else {
            sheet.embedded[row] = (sheet.embeddings.len() / numbers.len()) as u32 + 1;
            sheet.embeddings.extend(numbers);
        }
    }

    /// Some of the features, for a probe made of probes.
    pub(super) fn part(&mut self, first: usize, width: usize) -> Rows<'_> {
        Rows { first: self.first + first, width, sheet: self.sheet }
    }
}

/// A prediction: what the model has decided about a row.
///
/// ```
/// use selvedge::layer::probe::Prediction;
/// let rain = Prediction { class: Some(1), confidence: 0.9, ..Prediction::default() };
/// assert!(rain.entropy.is_nan());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Prediction {
    /// The class; `None` where there is none.
    pub class: Option<u16>,
    /// Its probability, in 0..=1; NaN where there is none.
    pub confidence: f32,
    /// Entropy of the distribution over classes in nats; NaN where it is not known.
    pub entropy: f32,
    /// The largest value that the entropy can have in nats, the logarithm of the number of classes; NaN or 0 where it
    /// is not known.
    pub max_entropy: f32,
    /// The model declined to answer.
    pub refused: bool,
    /// Whether the answer is valid under the schema that was asked for, where one was.
    pub valid: Option<bool>,
}

impl Prediction {
    fn update(&mut self, newer: Prediction) {
        let known = |newer: f32, older: f32| if newer.is_nan() { older } else { newer };
        *self = Self {
            class: newer.class.or(self.class),
            confidence: known(newer.confidence, self.confidence),
            entropy: known(newer.entropy, self.entropy),
            max_entropy: known(newer.max_entropy, self.max_entropy),
            refused: newer.refused || self.refused,
            valid: newer.valid.or(self.valid),
        };
    }
}

impl Default for Prediction {
    /// Nothing is known.
    fn default() -> Self {
        let unknown = f32::NAN;
        Self { class: None, confidence: unknown, entropy: unknown, max_entropy: unknown, refused: false, valid: None }
    }
}

/// The sheet is the memory behind [`Rows`], used again and again.
#[derive(Debug, Default)]
pub(in crate::layer) struct Sheet {
    width: usize,
    values: Vec<f32>,
    predictions: Vec<Prediction>,
    embedding_width: usize,
    /// Per row, the number of its embedding, from 1; 0 where it has none.
    embedded: Vec<u32>,
    embeddings: Vec<f32>,
    /// Rows that did not fit.
    pub(in crate::layer) missed: u64,
}

impl Sheet {
    pub(in crate::layer) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    pub(in crate::layer) fn clear(&mut self) {
        self.values.clear();
        self.predictions.clear();
        self.embedded.clear();
        self.embeddings.clear();
        self.missed = 0;
    }

    fn grow(&mut self, row: usize) -> Option<()> {
        if row >= Rows::MAX {
            self.missed += 1;
            return None;
        }
        if row >= self.predictions.len() {
            self.predictions.resize(row + 1, Prediction::default());
            self.embedded.resize(row + 1, 0);
            self.values.resize((row + 1) * self.width, f32::NAN);
        }
        Some(())
    }

    pub(in crate::layer) fn rows(&self) -> usize {
        self.predictions.len()
    }

    pub(in crate::layer) fn row(&self, row: usize) -> (&[f32], &Prediction) {
        (&self.values[row * self.width..(row + 1) * self.width], &self.predictions[row])
    }

    /// The embedding of a row; empty where it has none.
    pub(in crate::layer) fn embedding(&self, row: usize) -> &[f32] {
        self.embedding_at(row).map_or(&[], |begin| &self.embeddings[begin..begin + self.embedding_width])
    }

    fn embedding_at(&self, row: usize) -> Option<usize> {
        let number = self.embedded.get(row).copied().unwrap_or(0);
        Some(number.checked_sub(1)? as usize * self.embedding_width)
    }

    /// Bytes that the sheet holds on to.
    pub(in crate::layer) fn bytes(&self) -> usize {
        let numbers = self.values.capacity() + self.embedded.capacity() + self.embeddings.capacity();
        4 * numbers + self.predictions.capacity() * size_of::<Prediction>()
    }
}
