//! Accumulated counts: what windows show together.

use super::finding::Finding;

/// What several windows in a row show together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Accumulated {
    /// Windows that were put together, this one the last.
    pub windows: u64,
    /// Their rows.
    pub rows: u64,
    /// Natural logarithm of the probability of evidence as strong as this without drift.
    pub ln_p: f64,
    /// Population stability index of all of them. Never decides.
    pub psi: f64,
    /// Share of their values that are missing.
    pub missing: f64,
    /// Share of their values outside the reference's range, or in categories that it does not name.
    pub strange: f64,
    /// What is wrong with them.
    pub finding: Finding,
}

impl Accumulated {
    /// The probability of evidence as strong as this without drift.
    pub fn p(&self) -> f64 {
        self.ln_p.exp()
    }

    /// The numbers, in words.
    pub(super) fn evidence(&self, p: &str) -> String {
        let Self { windows, rows, psi, .. } = self;
        let mut text = format!("p {p}, PSI {psi:.3}, over {windows} windows of {rows} rows together");
        for (share, of) in [(self.missing, "missing"), (self.strange, "out of range or new")] {
            if share > 0.0 {
                text += &format!(", {:.1} % {of}", 100.0 * share);
            }
        }
        text
    }
}
