//! Bins of a feature: where a value falls.

use super::number::{category_code, read_number};
use crate::{Error, Result};

/// The bin of a value that is not there: NaN, an empty cell, an absent field.
pub const MISSING: u8 = 255;

/// The most bins between the edges of a numeric feature, and the most named categories.
pub const MAX_BINS: usize = 64;

/// The bins of one feature, into which its values are sorted. Counts of bins are exact and additive.
///
/// The order of the counts is fixed:
///
/// | kind | index 0 | … | | last |
/// |---|---|---|---|---|
/// | [`Numeric`](Bins::Numeric), *k* + 1 edges | under: v ≤ edge 0 | *k* bins: edge i < v ≤ edge i+1 | over: v > edge *k* | missing |
/// | [`Categories`](Bins::Categories), *k* names | name 0 | … name *k* − 1 | other | missing |
///
/// Bins include their upper edge, as the explicit-bounds histogram of OpenTelemetry does, so that the edges are
/// its bounds as they stand.
///
/// Edges lie between the reference's values, and the outermost beyond its smallest and its largest: *under* and *over*
/// are empty in the reference. They leave room for rounding: the reference's own values, rounded to `f32`, to `f16` or to
/// text of six significant digits, stay in their bins. What rounds to one number in six digits shares a bin; so does what
/// rounds to one `f16`, in a column of more than a few values that spreads over a thirty-second of its largest. Bins of
/// other columns that are finer than the steps of `f16`, and columns beyond its range (65,504), are only safe from the
/// other roundings.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Bins {
    /// Rising, finite edges, at least two.
    Numeric {
        /// The edges, in the unit of the feature.
        edges: Vec<f32>,
        /// The value that each bin between the edges holds, where the reference has but a few; else empty.
        values: Vec<f32>,
    },
    /// The most frequent categories of the reference, most frequent first.
    Categories(Categories),
}

/// The named categories of a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Categories {
    names: Vec<String>,
    /// The numbers that stand for the names, in their order.
    codes: Vec<f32>,
}

/// Half the distance of neighbouring `f16`s, as a share of their value.
const HALF_STEP: f32 = 1.0 / 2048.0;

impl Categories {
    /// The names, most frequent first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Every name says a number, so that numbers are of these categories, too.
    pub(crate) fn are_numbers(&self) -> bool {
        self.names.iter().all(|name| read_number(name).is_some_and(f32::is_finite))
    }

    /// The place of a number: a whole one is itself, and another one may have been rounded.
    fn of(&self, value: f32) -> Option<usize> {
        let exact = self.codes.iter().position(|code| *code == value);
        if exact.is_some() || value.fract() == 0.0 || !value.is_finite() {
            return exact;
        }
        let apart = |code: f32| (code - value).abs();
        let near = (0..self.codes.len()).filter(|i| apart(self.codes[*i]) <= HALF_STEP * value.abs());
        near.min_by(|a, b| apart(self.codes[*a]).total_cmp(&apart(self.codes[*b])))
    }
}

impl Bins {
    /// Numeric bins between rising, finite edges.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for fewer than 2 edges, more than [`MAX_BINS`] + 1, or edges that do not rise.
    pub fn numeric(edges: Vec<f32>) -> Result<Self> {
        let rises = edges.windows(2).all(|w| w[0] < w[1]) && edges.iter().all(|e| e.is_finite());
        if edges.len() < 2 || edges.len() > MAX_BINS + 1 || !rises {
            return Err(Error::invalid(format!(
                "edges: expected 2 to {} finite, rising numbers, got {edges:?}",
                MAX_BINS + 1
            )));
        }
        Ok(Self::Numeric { edges, values: Vec::new() })
    }

    /// Says which value each bin holds. Values that are not one in each bin are not taken.
    pub(super) fn with_values(mut self, of_bins: Vec<f32>) -> Option<Self> {
        let Self::Numeric { edges, values } = &mut self else { return None };
        let inside = edges.windows(2).zip(&of_bins).all(|(bin, v)| bin[0] < *v && *v <= bin[1]);
        *values = of_bins;
        (inside && values.len() + 1 == edges.len()).then_some(self)
    }

    /// Categories by name; everything else falls into *other*.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for more than [`MAX_BINS`] names, or a name that comes twice.
    pub fn categories(names: Vec<String>) -> Result<Self> {
        let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
        if let Some((_, name)) = twice {
            return Err(Error::invalid(format!("category '{name}' is named twice")));
        }
        if names.len() > MAX_BINS {
            return Err(Error::invalid(format!("categories: expected at most {MAX_BINS}, got {}", names.len())));
        }
        let codes = names.iter().map(|name| category_code(name)).collect();
        Ok(Self::Categories(Categories { names, codes }))
    }

    /// Length of the counts, *under*, *over*, *other* and *missing* included.
    pub fn len(&self) -> usize {
        match self {
            Bins::Numeric { edges, .. } => edges.len() + 2,
            Bins::Categories(c) => c.names.len() + 2,
        }
    }

    /// Never: every kind has at least two bins.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The bin of a number, [`MISSING`] for NaN. Among categories it is the one whose name reads as this number (`true`
    /// and `false` as 1 and 0), or for which it stands in a row of numbers.
    #[inline]
    pub fn of(&self, value: f32) -> u8 {
        match self {
            _ if value.is_nan() => MISSING,
            // At most MAX_BINS + 1 edges, so the cast is exact.
            Bins::Numeric { edges, .. } => edges.iter().map(|e| u8::from(*e < value)).sum(),
            Bins::Categories(c) => c.of(value).unwrap_or(c.names.len()) as u8,
        }
    }

    /// The bin of a category: that of its name, or of the number that it says. For numeric bins the text is read as a
    /// number; what is none is [`MISSING`].
    pub fn of_category(&self, name: &str) -> u8 {
        let number = || read_number(name);
        match self {
            Bins::Numeric { .. } => number().map_or(MISSING, |v| self.of(v)),
            Bins::Categories(c) => {
                let named = c.names.iter().position(|n| n == name);
                named.or_else(|| c.of(number()?)).unwrap_or(c.names.len()) as u8
            }
        }
    }

    /// The name of the bin at an index of the counts, for people: `(3.1, 4.5]`, `rain`, `other`, `missing`.
    pub fn name(&self, index: usize) -> String {
        if index + 1 >= self.len() {
            return "missing".into();
        }
        match self {
            Bins::Categories(c) => c.names.get(index).cloned().unwrap_or_else(|| "other".into()),
            Bins::Numeric { edges, .. } if index == 0 => format!("≤ {}", edges[0]),
            Bins::Numeric { edges, .. } if index == edges.len() => format!("> {}", edges[index - 1]),
            Bins::Numeric { edges, values } => match values.get(index - 1) {
                Some(value) => value.to_string(),
                None => format!("({}, {}]", edges[index - 1], edges[index]),
            },
        }
    }

    /// A position per value bin (*missing* left out) on the feature's own axis: the middle of a bin, or its one value, the outermost edges for *under* and *over*. Categories have none.
    pub fn centres(&self) -> Option<Vec<f64>> {
        let Bins::Numeric { edges, values } = self else { return None };
        let edge = |i: usize| f64::from(edges[i]);
        let mut centres = vec![edge(0)];
        let middle = |i: usize| (edge(i - 1) + edge(i)) / 2.0;
        centres.extend((1..edges.len()).map(|i| values.get(i - 1).map_or_else(|| middle(i), |v| f64::from(*v))));
        centres.push(edge(edges.len() - 1));
        Some(centres)
    }
}
