//! Isotonic regression: a score becomes a probability that rises with it.

/// A rising line through knots, between which it is straight, and beyond which it is level.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Isotonic {
    /// Score and probability, both rising.
    knots: Vec<(f64, f64)>,
}

impl Isotonic {
    /// The rising probabilities of least squared error, by pooling neighbours that fall (Ayer, Brunk, Ewing, Reid and
    /// Silverman 1955). Scores are numbers, and there is at least one.
    pub(super) fn fit(rows: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut rows: Vec<(f64, bool)> = rows.into_iter().collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for same in rows.chunk_by(|a, b| a.0 == b.0) {
            let truths = same.iter().filter(|(_, truth)| *truth).count();
            let mut block = Block { first: same[0].0, last: same[0].0, sum: truths as f64, rows: same.len() as f64 };
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    sum: before.sum + block.sum,
                    rows: before.rows + block.rows,
                };
            }
            blocks.push(block);
        }
        let ends = |block: &Block| {
            let (mean, two) = (block.mean(), block.first < block.last);
            [Some((block.first, mean)), two.then_some((block.last, mean))]
        };
        Self { knots: blocks.iter().flat_map(ends).flatten().collect() }
    }

    pub(super) fn probability(&self, score: f64) -> f64 {
        let after = self.knots.partition_point(|(at, _)| *at <= score);
        match (after.checked_sub(1).and_then(|i| self.knots.get(i)), self.knots.get(after)) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (score - x0) / (x1 - x0),
            (Some((_, y)), None) | (None, Some((_, y))) => *y,
            (None, None) => f64::NAN,
        }
    }
}

struct Block {
    first: f64,
    last: f64,
    sum: f64,
    rows: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.rows
    }
}
