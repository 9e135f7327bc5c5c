//! Passes of a fit: two, over the same rows.

use super::super::fourier::Fourier;
use super::bins::{Bins, MISSING};
use super::column::{SAMPLE, Summary};
use super::dependence::{Blocks, block_length};
use super::fit::Fit;
use super::number::read_number;
use super::reference::{EmbeddingProfile, FeatureProfile, FeatureSource, Moments, Profile, Reliability, Runs};
use super::rows::{CellValue, Column, Named, Row, RowDependence, RowSink};
use super::runs::{Stays, cluster};
use crate::{Error, Result};

/// Embeddings kept to find the scale of their distances.
const EMBEDDINGS: usize = 512;

impl Fit {
    /// Fits rows of numbers that lie in memory.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream).
    pub fn of_rows<R: AsRef<[f32]>>(self, rows: &[R]) -> Result<Profile> {
        self.stream(|sink| {
            rows.iter().try_for_each(|row| {
                let values: Vec<CellValue<'_>> = row.as_ref().iter().map(|v| CellValue::Number(*v)).collect();
                sink(&Row::new(&values))
            })
        })
    }

    /// Fits columns that lie in memory, one per feature, all of one length.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for columns of differing length; and as for [`stream`](Self::stream).
    pub fn of_columns(self, columns: &[Column<'_>]) -> Result<Profile> {
        let rows = columns.first().map_or(0, Column::len);
        if let Some((i, odd)) = columns.iter().enumerate().find(|(_, c)| c.len() != rows) {
            return Err(Error::invalid(format!("column {i}: expected {rows} rows, got {}", odd.len())));
        }
        self.stream(|sink| {
            let mut values = Vec::with_capacity(columns.len());
            (0..rows).try_for_each(|row| {
                values.clear();
                values.extend(columns.iter().map(|c| c.value(row)));
                sink(&Row::new(&values))
            })
        })
    }

    /// Fits rows that `pass` gives to the sink, one after the other. It is called twice and gives the same rows both
    /// times: from a file, read it anew.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for no rows, no features, two features of one name, a name of more than 255 bytes, bins out of
    /// range, or a row that has another number of values or another embedding than was said; and the errors of `pass`.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::drift::{Profile, Row, CellValue};
    /// let csv = "0.0,sun\n4.2,rain\n,rain\n";
    /// let profile = Profile::fit().number("rain_mm").category("sky").stream(|sink| {
    ///     csv.lines().try_for_each(|line| {
    ///         let values: Vec<_> = line.split(',').map(CellValue::Category).collect();
    ///         sink(&Row::new(&values))
    ///     })
    /// })?;
    /// assert_eq!(profile.features[0].counts, [0, 1, 1, 0, 1]);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn stream(self, mut pass: impl FnMut(&mut RowSink<'_>) -> Result<()>) -> Result<Profile> {
        self.check()?;
        let mut first = FirstPass::new(&self);
        pass(&mut |row| first.add(row)).map_err(|e| e.during("fitting a profile, first pass"))?;
        let mut second = SecondPass::new(first)?;
        pass(&mut |row| second.add(row)).map_err(|e| e.during("fitting a profile, second pass"))?;
        second.finish()
    }
}

/// Finds the bins, the block length and the scale of the embeddings.
pub(super) struct FirstPass<'f> {
    fit: &'f Fit,
    rows: u64,
    columns: Vec<Summary>,
    /// The first values of each feature in their order, for autocorrelations; categories by first appearance.
    series: Vec<Vec<f32>>,
    embeddings: Vec<Vec<f32>>,
}

impl<'f> FirstPass<'f> {
    pub(super) fn new(fit: &'f Fit) -> Self {
        let seeds = (0..).map(|i: u64| u64::from(fit.seed) << 32 | i);
        let column = |(f, seed): (&Named, u64)| match f.category {
            true => Summary::names(),
            false => Summary::numbers(fit.bins, seed),
        };
        Self {
            fit,
            rows: 0,
            columns: fit.features.iter().zip(seeds).map(column).collect(),
            series: vec![Vec::new(); fit.features.len()],
            embeddings: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<()> {
        self.fit.check_row(row, self.rows)?;
        let follow = self.fit.block != RowDependence::Independent && self.rows < SAMPLE as u64;
        for (i, value) in row.values.iter().enumerate() {
            let column = &mut self.columns[i];
            let seen = match (self.fit.features[i].category, value) {
                (_, CellValue::Missing) => f32::NAN,
                (false, CellValue::Number(v)) => *v,
                (false, CellValue::Category(text)) => read_number(text).unwrap_or(f32::NAN),
                (true, CellValue::Number(v)) if v.is_nan() => f32::NAN,
                (true, CellValue::Number(v)) => column.add_name(&v.to_string()) as f32,
                (true, CellValue::Category(name)) => column.add_name(name) as f32,
            };
            column.add_number(seen);
            if follow && seen.is_finite() {
                self.series[i].push(seen);
            }
        }
        if !row.embedding.is_empty() && self.embeddings.len() < EMBEDDINGS {
            self.embeddings.push(row.embedding.to_vec());
        }
        self.rows += 1;
        Ok(())
    }
}

/// The median distance of pairs: the usual scale of a Gaussian kernel (Gretton et al. 2012). 1 without two that differ.
fn median_distance(embeddings: &[Vec<f32>]) -> f32 {
    let finite: Vec<_> = embeddings.iter().filter(|e| e.iter().all(|x| x.is_finite())).collect();
    let mut distances = Vec::new();
    for (i, a) in finite.iter().enumerate() {
        // Each with a few that came well after it: neighbours in time are too alike.
        for step in [1, 7, 31, 127, 255] {
            let b = finite[(i + step) % finite.len()];
            let apart = a.iter().zip(b.iter()).map(|(x, y)| f64::from(*x) - f64::from(*y));
            distances.push(apart.map(|d| d * d).sum::<f64>().sqrt() as f32);
        }
    }
    distances.retain(|d| (f32::MIN_POSITIVE..=f32::MAX).contains(d));
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(1.0)
}

/// Counts what falls into the bins.
pub(super) struct SecondPass<'f> {
    fit: &'f Fit,
    rows: u64,
    expected: u64,
    block: usize,
    features: Vec<Counted>,
    embedding: Option<(Fourier, Vec<u64>, u64, Blocks)>,
    reliability: Reliability,
}

struct Counted {
    bins: Bins,
    moments: Option<Moments>,
    counts: Vec<u64>,
    /// Where rows may depend on each other.
    dependence: Option<Dependence>,
}

struct Dependence {
    blocks: Blocks,
    stays: Stays,
    /// Extreme values that come together.
    cluster: f32,
}

impl<'f> SecondPass<'f> {
    pub(super) fn new(first: FirstPass<'f>) -> Result<Self> {
        let fit = first.fit;
        if first.rows == 0 {
            return Err(Error::invalid("profile: expected rows, got none"));
        }
        let block = match fit.block {
            RowDependence::Independent => 1,
            RowDependence::Rows(rows) => rows as usize,
            RowDependence::Estimate => first.series.iter().map(|s| block_length(s)).max().unwrap_or(1),
        };
        if block > 1 && block as u64 > first.rows / 2 {
            let want = "at most half the rows";
            return Err(Error::invalid(format!("block: expected {want}, got {block} of {}", first.rows)));
        }
        let finish = |(column, series): (Summary, Vec<f32>)| -> Result<_> {
            let (bins, moments) = column.finish(fit.bins, fit.categories)?;
            let dependence = (block > 1).then(|| Dependence {
                blocks: Blocks::new(bins.len(), block),
                stays: Stays::new(bins.len()),
                cluster: if moments.is_some() { cluster(&series) } else { 1.0 },
            });
            Ok(Counted { counts: vec![0; bins.len()], bins, moments, dependence })
        };
        let features = first.columns.into_iter().zip(first.series).map(finish).collect::<Result<_>>()?;
        let fourier =
            fit.embedding.map(|width| Fourier::new(fit.seed, width, median_distance(&first.embeddings))).transpose()?;
        let n = Fourier::FEATURES;
        Ok(Self {
            fit,
            rows: 0,
            expected: first.rows,
            block,
            features,
            embedding: fourier.map(|f| (f, vec![0; n], 0, Blocks::new(n, block))),
            reliability: Reliability::default(),
        })
    }

    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<()> {
        self.fit.check_row(row, self.rows)?;
        let mut confidence = f32::NAN;
        let mut indicator = [0.0; 256];
        for (i, value) in row.values.iter().enumerate() {
            let Counted { bins, counts, dependence, .. } = &mut self.features[i];
            let bin = match value {
                CellValue::Missing => MISSING,
                CellValue::Number(v) => bins.of(*v),
                CellValue::Category(name) => bins.of_category(name),
            };
            let index = usize::from(bin).min(counts.len() - 1);
            counts[index] += 1;
            if let Some(Dependence { blocks, stays, .. }) = dependence {
                stays.push(index);
                indicator[index] = 1.0;
                blocks.push(&indicator[..counts.len()]);
                indicator[index] = 0.0;
            }
            if let (FeatureSource::Confidence, CellValue::Number(v)) = (self.fit.features[i].source, value) {
                confidence = *v;
            }
        }
        if let Some(right) = row.right {
            self.reliability.add(confidence, right);
        }
        if let Some((fourier, positive, rows, blocks)) = &mut self.embedding
            && let Some(signs) = fourier.signs(row.embedding)
        {
            let norm = (Fourier::FEATURES as f32).sqrt().recip();
            let mut features = [-norm; Fourier::FEATURES];
            for ((n, z), is_positive) in positive.iter_mut().zip(&mut features).zip(Fourier::each(&signs)) {
                if is_positive {
                    (*n, *z) = (*n + 1, norm);
                }
            }
            *rows += 1;
            blocks.push(&features);
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Profile> {
        if self.rows != self.expected {
            let (want, got) = (self.expected, self.rows);
            return Err(Error::invalid(format!("second pass: expected the {want} rows of the first, got {got}")));
        }
        let rows = self.rows;
        let feature = |(named, counted): (&Named, Counted)| {
            let norms: Vec<f64> = counted.counts.iter().map(|c| (*c as f64 / rows as f64).sqrt()).collect();
            let runs = |d: &Dependence| Runs { endurance: d.stays.endurance(), cluster: d.cluster };
            let runs = counted.dependence.as_ref().map(runs);
            let spectrum = counted.dependence.map_or(Vec::new(), |d| d.blocks.spectrum(&norms));
            FeatureProfile {
                name: named.name.clone(),
                source: named.source,
                bins: counted.bins,
                counts: counted.counts,
                moments: counted.moments,
                dependence: spectrum.into_iter().map(|w| w as f32).collect(),
                runs,
            }
        };
        let labelled = self.reliability.rows.iter().any(|n| *n > 0);
        Ok(Profile {
            model: self.fit.model,
            rows,
            learned: self.fit.learned,
            block: self.block as u32,
            features: self.fit.features.iter().zip(self.features).map(feature).collect(),
            embedding: self.embedding.map(|(fourier, positive, rows, blocks)| EmbeddingProfile {
                positive,
                weights: blocks.spectrum(&[1.0; Fourier::FEATURES]).into_iter().map(|w| w as f32).collect(),
                fourier,
                rows,
            }),
            reliability: labelled.then_some(self.reliability),
        })
    }
}
