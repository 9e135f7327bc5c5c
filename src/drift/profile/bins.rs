//! Bins of a feature: where a value falls.

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
/// its bounds as they stand. The lowest edge is the float just below the reference's smallest value and the highest
/// edge its largest: *under* and *over* are empty in the reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Bins {
    /// Rising, finite edges, at least two.
    Numeric {
        /// The edges, in the unit of the feature.
        edges: Vec<f32>,
        /// Every bin holds exactly one value of the reference: its upper edge.
        discrete: bool,
    },
    /// The most frequent categories of the reference, most frequent first.
    Categories(Categories),
}

/// The named categories of a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Categories {
    names: Vec<String>,
    /// The names that are numbers, so that a number is looked up without being written out.
    numbers: Vec<Option<f32>>,
}

impl Categories {
    /// The names, most frequent first.
    pub fn names(&self) -> &[String] {
        &self.names
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
        Ok(Self::Numeric { edges, discrete: false })
    }

    /// Says whether every bin holds exactly one value of the reference.
    pub(super) fn discrete(mut self, yes: bool) -> Self {
        if let Self::Numeric { discrete, .. } = &mut self {
            *discrete = yes;
        }
        self
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
        let numbers = names.iter().map(|n| n.parse().ok()).collect();
        Ok(Self::Categories(Categories { names, numbers }))
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

    /// The bin of a number, [`MISSING`] for NaN. Among categories it is the one whose name reads as this number.
    #[inline]
    pub fn of(&self, value: f32) -> u8 {
        match self {
            _ if value.is_nan() => MISSING,
            // At most MAX_BINS + 1 edges, so the cast is exact.
            Bins::Numeric { edges, .. } => edges.iter().map(|e| u8::from(*e < value)).sum(),
            Bins::Categories(c) => c.numbers.iter().position(|n| *n == Some(value)).unwrap_or(c.names.len()) as u8,
        }
    }

    /// The bin of a category. For numeric bins the text is read as a number; what is none is [`MISSING`].
    pub fn of_category(&self, name: &str) -> u8 {
        match self {
            Bins::Numeric { .. } => name.trim().parse().map_or(MISSING, |v| self.of(v)),
            Bins::Categories(c) => c.names.iter().position(|n| n == name).unwrap_or(c.names.len()) as u8,
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
            Bins::Numeric { edges, discrete: true } => edges[index].to_string(),
            Bins::Numeric { edges, .. } => format!("({}, {}]", edges[index - 1], edges[index]),
        }
    }

    /// A position per value bin (*missing* left out) on the feature's own axis: the middle of a bin, the value of a
    /// discrete one, the outermost edges for *under* and *over*. Categories have none.
    pub fn centres(&self) -> Option<Vec<f64>> {
        let Bins::Numeric { edges, discrete } = self else { return None };
        let edge = |i: usize| f64::from(edges[i]);
        let mut centres = vec![edge(0)];
        centres.extend((1..edges.len()).map(|i| if *discrete { edge(i) } else { (edge(i - 1) + edge(i)) / 2.0 }));
        centres.push(edge(edges.len() - 1));
        Some(centres)
    }
}
