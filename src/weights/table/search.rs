//! Search of the rows nearest to a query, by a scan of all.

use rayon::prelude::*;

use super::{Cells, Table};
use crate::kernel::{self, BlockFormat, Query};
use crate::{Error, Result};

/// Rows that a thread scores at a time: few enough that their scores stay in its cache.
const SLICE: usize = 4096;
/// Sums side by side in a dot product, added up in an order of their own: the same bits on every machine.
const LANES: usize = 16;

/// Hit of a search: a row of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The row.
    pub row: u32,
    /// Its dot product with the query; if both have length 1, the cosine.
    pub score: f32,
}

impl Table {
    /// The `k` rows with the largest dot product with `query`, the best first; of rows that score alike, those that
    /// stand first. Fewer if the table has fewer.
    ///
    /// A table in Q8_0 or Q4_0 is scored in 8-bit integers, the query quantized once; the best `4 k + 32` rows are
    /// then scored again in f32, so a hit's score is exact, and a row is missed only if that many others seemed better
    /// by the rounding of the query (to 1/254 of the largest of each 32 of its numbers). Other formats are scored in f32
    /// throughout. The scan runs in rayon's current pool; the answer does not depend on how many threads that has.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a query of another size than a row, or with NaN or infinite numbers. A row that
    /// scores NaN comes last.
    pub fn search(&self, query: &[f32], k: usize) -> Result<Vec<Hit>> {
        if query.len() != self.width {
            return Err(Error::invalid(format!("query: expected {} numbers, got {}", self.width, query.len())));
        }
        if let Some(i) = query.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("query: expected finite numbers, got {} at {i}", query[i])));
        }
        let k = k.min(self.rows);
        if k == 0 {
            return Ok(Vec::new());
        }
        let scan = Scan { table: self, query, codes: self.codes(query)? };
        let mut best = Best::new(if scan.codes.is_some() { k.saturating_mul(4).saturating_add(32) } else { k });
        let mut numbers = vec![0.0; self.width];
        for hit in scan.candidates(best.limit)?.into_sorted() {
            self.read(self.row(self.bytes.as_slice(), hit.row), &mut numbers)?;
            best.offer(Hit { row: hit.row, score: dot(&numbers, query) });
        }
        let mut hits = best.into_sorted();
        hits.truncate(k);
        Ok(hits)
    }

    /// The query in bytes, for formats that can be scored so.
    fn codes(&self, query: &[f32]) -> Result<Option<(BlockFormat, Query)>> {
        match self.cells {
            Cells::Blocks(format @ (BlockFormat::Q8_0 | BlockFormat::Q4_0)) => Ok(Some((format, Query::new(query)?))),
            _ => Ok(None),
        }
    }
}

/// One search under way.
struct Scan<'a> {
    table: &'a Table,
    query: &'a [f32],
    codes: Option<(BlockFormat, Query)>,
}

impl Scan<'_> {
    fn candidates(&self, limit: usize) -> Result<Best> {
        let table = self.table;
        let slices = table.bytes.as_slice().par_chunks(table.row_bytes.saturating_mul(SLICE)).enumerate();
        let merge = |mut a: Best, b: Best| {
            b.hits.into_iter().for_each(|hit| a.offer(hit));
            Ok(a)
        };
        slices
            .try_fold(
                || (Best::new(limit), Vec::new()),
                |(mut best, mut room), (i, rows)| {
                    self.score(rows, &mut room)?;
                    let first = (i * SLICE) as u32;
                    for (row, &score) in (first..).zip(&room[..rows.len() / table.row_bytes]) {
                        best.offer(Hit { row, score });
                    }
                    Ok((best, room))
                },
            )
            .map(|done| done.map(|(best, _)| best))
            .try_reduce(|| Best::new(limit), merge)
    }

    /// Scores whole rows into the first numbers of `room`.
    fn score(&self, rows: &[u8], room: &mut Vec<f32>) -> Result<()> {
        let (width, row_bytes) = (self.table.width, self.table.row_bytes);
        let count = rows.len() / row_bytes;
        if room.is_empty() {
            room.resize(SLICE + width, 0.0);
        }
        let (scores, row) = room.split_at_mut(SLICE);
        if let Some((format, query)) = &self.codes {
            return kernel::dot_i8_rows(*format, rows, query, &mut scores[..count]);
        }
        for (cells, score) in rows.chunks_exact(row_bytes).zip(scores) {
            self.table.read(cells, row)?;
            *score = dot(row, self.query);
        }
        Ok(())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The best hits so far, unsorted. What it keeps depends on the hits alone, not on the order that they come in.
struct Best {
    limit: usize,
    hits: Vec<Hit>,
    /// Once `limit` were there: the worst of them. Nothing behind it is of interest.
    bar: Option<Hit>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, hits: Vec::new(), bar: None }
    }

    fn offer(&mut self, hit: Hit) {
        if self.bar.is_some_and(|bar| is_before(&bar, &hit)) {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() >= self.limit.saturating_mul(2) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.hits.len() > self.limit {
            let (_, worst, _) = self.hits.select_nth_unstable_by(self.limit - 1, order);
            self.bar = Some(*worst);
            self.hits.truncate(self.limit);
        }
    }

    fn into_sorted(mut self) -> Vec<Hit> {
        self.shrink();
        self.hits.sort_unstable_by(order);
        self.hits
    }
}

/// The better score first, then the lower row: never equal for two rows.
fn order(a: &Hit, b: &Hit) -> std::cmp::Ordering {
    let score = |hit: &Hit| if hit.score.is_nan() { f32::NEG_INFINITY } else { hit.score };
    score(b).total_cmp(&score(a)).then(a.row.cmp(&b.row))
}

fn is_before(a: &Hit, b: &Hit) -> bool {
    order(a, b).is_le()
}
