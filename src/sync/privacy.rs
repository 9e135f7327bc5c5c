//! Privacy of a batch: what leaves the device, and what does not. All of it is decided here.
//!
//! Counts pass through [`Privacy::add`], classes through [`Privacy::classes`], bins of a profile through
//! [`Privacy::disclose`], its digest through [`profile_digest`], and alerts through [`Privacy::alert`].

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::drift::{Bins, FeatureProfile, Profile};
use crate::telemetry::{AlertCode, AlertRecord};
use crate::{Error, Result};

/// Classes whose counts get noise whether they occurred or not. Of the ids above, which are too many for it, those that
/// pass a threshold are told, be it by their noise alone.
const DENSE: u32 = 64;
/// Ids of a class.
const IDS: u32 = 1 << 16;
/// Windows until noise alone passes that threshold once, in the mean and at the least.
const RARE: f64 = 100.0;

/// Privacy settings: what is held back, or blurred, of what depends on what users did: bins of features, classes,
/// confidence, labels, and the evidence of alerts.
///
/// Requests by outcome, tokens, latency and losses are operational and always exact. What leaves is listed in
/// [`sync`](super#what-leaves-the-device).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Privacy {
    /// The least growth of a bin that is given out. A bin that grew by less keeps its growth for a later batch, so that the
    /// totals of a bin are behind by less than this, and catch up: no count is lost. 1 gives everything at once.
    ///
    /// So too with alerts: numbers go with one only if they are of so many rows, and what was wrong with a feature only
    /// if so many rows were. Of a profile that was learned on the device, a bin is told by its magnitude only if so many rows
    /// of that magnitude were learned. Default: 10.
    pub min_count: u64,
    /// If set, every bin of every closed window gets noise of the discrete Laplace distribution, P(x) ∝ e^(−ε·|x|),
    /// from the operating system's random numbers, before anything is stored for sending or sent; bins in which no row
    /// fell, and classes that never occurred, as well. It makes the presence of one inference in one feature's counts
    /// ε-differentially private; over *f* features the budgets add to *f*·ε, and an embedding has 129. 0.001 to 100.
    ///
    /// A count that falls below zero is given as zero, which makes small counts a little too large on average.
    /// The standard deviation per bin and window is about √2/ε: for ε = 1 it is 1.4 rows. Of class ids from 64 on, a
    /// window gives those whose blurred count is at least ln(2¹⁶·100)/ε: for ε = 1 it is 16 rows.
    ///
    /// What noise on counts cannot cover stays on the device: numbers of alerts about data, what was wrong with the
    /// feature, and counts by the bins of a learned profile, which rows have decided. That an alert was raised goes.
    /// Default: none.
    pub epsilon: Option<f64>,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { min_count: 10, epsilon: None }
    }
}

impl Privacy {
    /// Everything at once, and exact.
    pub const NONE: Privacy = Privacy { min_count: 1, epsilon: None };

    /// Sets the least growth of a bin that is given out.
    #[must_use]
    pub fn min_count(mut self, rows: u64) -> Self {
        self.min_count = rows;
        self
    }

    /// Sets the noise of every bin; `None` for none.
    #[must_use]
    pub fn epsilon(mut self, epsilon: impl Into<Option<f64>>) -> Self {
        self.epsilon = epsilon.into();
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.epsilon {
            Some(e) if !(1e-3..=100.0).contains(&e) => {
                Err(Error::invalid(format!("privacy: epsilon: expected 0.001 to 100, got {e}")))
            }
            _ => Ok(()),
        }
    }

    /// Adds the counts of a window to what is given out and what is held back. With noise, bins that the window does not
    /// bring have it too.
    pub(crate) fn add(
        &self,
        window: &[u64],
        given: &mut Vec<u64>,
        held: &mut Vec<u64>,
        noise: &mut Noise,
    ) -> Result<()> {
        given.resize(window.len().max(given.len()), 0);
        held.resize(given.len(), 0);
        let bins = if self.epsilon.is_some() { given.len() } else { window.len() };
        for i in 0..bins {
            let count = self.blurred(window.get(i).copied().unwrap_or(0), noise)?;
            self.grow(count, &mut given[i], &mut held[i]);
        }
        Ok(())
    }

    /// Adds the classes of a window to those in `ids`, and to their counts in the same order.
    pub(crate) fn classes(
        &self,
        window: &[(u16, u64)],
        ids: &mut Vec<u32>,
        [given, held]: [&mut Vec<u64>; 2],
        noise: &mut Noise,
    ) -> Result<()> {
        if window.is_empty() && ids.is_empty() {
            // A model that does not answer in classes.
            return Ok(());
        }
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for (id, count) in window {
            let sum = counts.entry(u32::from(*id)).or_default();
            *sum = sum.saturating_add(*count);
        }
        if let Some(epsilon) = self.epsilon {
            counts = self.blurred_classes(&counts, epsilon, noise)?;
        }
        // In the order in which they occur, unless that is one of the things that noise is to hide.
        let occurred = window.iter().map(|(id, _)| u32::from(*id)).filter(|_| self.epsilon.is_none());
        let mut known: BTreeSet<u32> = ids.iter().copied().collect();
        ids.extend(occurred.chain(counts.keys().copied()).filter(|id| known.insert(*id)));
        given.resize(ids.len(), 0);
        held.resize(ids.len(), 0);
        for ((id, given), held) in ids.iter().zip(given).zip(held) {
            self.grow(counts.get(id).copied().unwrap_or(0), given, held);
        }
        Ok(())
    }

    /// Noise for all ids. Among the many ids that no row has, those whose noise passes the threshold are drawn by the gaps
    /// between them, which has the same distribution as drawing the noise of each (Cormode, Procopiuc, Srivastava and
    /// Tran, 2012).
    fn blurred_classes(
        &self,
        counts: &BTreeMap<u32, u64>,
        epsilon: f64,
        noise: &mut Noise,
    ) -> Result<BTreeMap<u32, u64>> {
        let mut blurred = BTreeMap::new();
        for id in 0..DENSE {
            blurred.insert(id, self.blurred(counts.get(&id).copied().unwrap_or(0), noise)?);
        }
        let threshold = ((f64::from(IDS) * RARE).ln() / epsilon).ceil();
        for (id, count) in counts.range(DENSE..) {
            let count = self.blurred(*count, noise)?;
            if count as f64 >= threshold {
                blurred.insert(*id, count);
            }
        }
        // P(X ≥ threshold) of the discrete Laplace distribution.
        let passes = (-epsilon * threshold).exp() / (1.0 + (-epsilon).exp());
        let mut id = f64::from(DENSE);
        loop {
            id += (uniform(noise.bits()?).ln() / (-passes).ln_1p()).floor();
            if id >= f64::from(IDS) {
                return Ok(blurred);
            }
            if !counts.contains_key(&(id as u32)) {
                let above = geometric(noise.bits()?, epsilon);
                blurred.insert(id as u32, (threshold as u64).saturating_add_signed(above));
            }
            id += 1.0;
        }
    }

    fn blurred(&self, count: u64, noise: &mut Noise) -> Result<u64> {
        Ok(match self.epsilon {
            Some(epsilon) => count.saturating_add_signed(noise.laplace(epsilon)?),
            None => count,
        })
    }

    fn grow(&self, count: u64, given: &mut u64, held: &mut u64) {
        *held = held.saturating_add(count);
        if *held >= self.min_count {
            *given = given.saturating_add(std::mem::take(held));
        }
    }

    /// The counts of a feature as they leave: by the bins of a profile that the owner shipped, or by what is coarse enough
    /// of one that was learned from what users did.
    pub(crate) fn disclose(&self, profile: &Profile, feature: &FeatureProfile, given: &[u64]) -> Disclosed {
        let Some((_, values)) = given.split_last().filter(|_| given.len() == feature.bins.len()) else {
            return Disclosed::Nothing;
        };
        match &feature.bins {
            // The noise is of the rows that are counted, and not of those that the bins were made of.
            _ if profile.learned && self.epsilon.is_some() => Disclosed::Nothing,
            bins @ Bins::Numeric { .. } if profile.learned => {
                self.magnitudes(&bins.centres().unwrap_or_default(), &feature.counts, values)
            }
            Bins::Categories(_) if profile.learned => self.ranks(&feature.counts, values),
            // The bins include their upper edge, as OTLP's buckets do: the edges are its bounds as they stand.
            Bins::Numeric { edges, .. } => Disclosed::Bounds(edges.iter().map(|e| f64::from(*e)).collect()),
            Bins::Categories(_) => {
                Disclosed::Names(values.iter().enumerate().map(|(i, n)| (feature.bins.name(i), *n)).collect())
            }
        }
    }

    /// Embeddings are counted by signs; of a learned profile they have decided where a sign turns.
    pub(super) fn discloses_embedding(&self, profile: Option<&Profile>) -> bool {
        self.epsilon.is_none() || profile.is_none_or(|p| !p.learned)
    }

    /// Each bin goes into the power of two in which its middle lies, so that no edge, least or largest value leaves. A
    /// power in which few rows were learned, and what lies outside of all that was learned, is *other*.
    fn magnitudes(&self, centres: &[f64], learned: &[u64], given: &[u64]) -> Disclosed {
        let last = given.len().saturating_sub(1);
        let mut powers: BTreeMap<Magnitude, [u64; 2]> = BTreeMap::new();
        let mut other = 0u64;
        for (i, (centre, count)) in centres.iter().zip(given).enumerate() {
            if i == 0 || i == last {
                other = other.saturating_add(*count);
                continue;
            }
            let [rows, sum] = powers.entry(Magnitude::of(*centre)).or_default();
            *rows = rows.saturating_add(learned.get(i).copied().unwrap_or(0));
            *sum = sum.saturating_add(*count);
        }
        let mut named = BTreeMap::new();
        for (magnitude, [rows, sum]) in powers.into_iter().filter(|(_, [_, sum])| *sum > 0) {
            if rows >= self.min_count {
                named.insert(magnitude, sum);
            } else {
                other = other.saturating_add(sum);
            }
        }
        Disclosed::Magnitudes { powers: named, other }
    }

    /// Categories by how frequent they were among the learned rows, from 1; names stay.
    fn ranks(&self, learned: &[u64], given: &[u64]) -> Disclosed {
        let Some((rest, named)) = given.split_last() else { return Disclosed::Nothing };
        let (mut ranks, mut other) = (Vec::new(), *rest);
        for (i, count) in named.iter().enumerate() {
            if learned.get(i).is_some_and(|rows| *rows >= self.min_count) {
                ranks.push((i as u64 + 1, *count));
            } else {
                other = other.saturating_add(*count);
            }
        }
        Disclosed::Ranks { ranks, other }
    }

    /// The alert as it leaves. Numbers of too few rows stay, others have two digits; so does what was wrong with the
    /// feature if too few rows were, and with noise, all that was computed from exact counts of data.
    pub(crate) fn alert(&self, alert: &AlertRecord) -> AlertRecord {
        if *self == Privacy::NONE {
            return alert.clone();
        }
        let number = |name: &str| alert.evidence.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
        let least = self.min_count as f64;
        let rows = COUNTS.iter().find_map(|name| number(name)).filter(|rows| *rows >= least);
        let is_operational = alert.code == AlertCode::BrokenPromise;
        let rows = rows.filter(|_| self.epsilon.is_none() || is_operational);
        let few = |name: &str| rows.zip(number(name)).is_none_or(|(rows, share)| (share * rows).round() < least);
        let says_too_much = match alert.code {
            AlertCode::MissingValues => few("missing"),
            AlertCode::NewCategory => few("new_category"),
            AlertCode::OutOfRange => few("out_of_range"),
            ref code => code.is_of_feature() && rows.is_none(),
        };
        let evidence = rows.map_or_else(Vec::new, |rows| {
            let blurred = |(name, value): &(String, f64)| (name.clone(), self.evidence(name, *value, rows));
            alert.evidence.iter().map(blurred).collect()
        });
        if says_too_much {
            let code = AlertCode::Other(DRIFT.into());
            AlertRecord { code, severity: alert.severity.min(1), evidence, action: None, ..alert.clone() }
        } else {
            AlertRecord { evidence, ..alert.clone() }
        }
    }

    fn evidence(&self, name: &str, value: f64, rows: f64) -> f64 {
        let least = self.min_count as f64;
        match (value * rows).round() {
            _ if !SHARES.contains(&name) => two_digits(value),
            count if count < least => 0.0,
            count if rows - count < least => 1.0,
            _ => two_digits(value),
        }
    }
}

/// Names of evidence that say of how many it is.
const COUNTS: [&str; 3] = ["rows", "cases", "labels"];
/// Names of evidence that are shares of those.
const SHARES: [&str; 5] = ["missing", "out_of_range", "new_category", "strange", "accuracy"];
/// What an alert of a feature is called where what is wrong with it stays on the device.
const DRIFT: &str = "drift";

/// The nearest number of two significant decimal digits.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// Counts of a feature as they leave.
#[derive(Debug, PartialEq)]
pub(crate) enum Disclosed {
    Nothing,
    /// The upper bounds of all value bins but the last.
    Bounds(Vec<f64>),
    /// Categories by name, *other* among them.
    Names(Vec<(String, u64)>),
    Magnitudes {
        powers: BTreeMap<Magnitude, u64>,
        other: u64,
    },
    /// Categories by rank.
    Ranks {
        ranks: Vec<(u64, u64)>,
        other: u64,
    },
}

/// A power of two, as the buckets of OTLP's exponential histogram of scale 0 have them: *i* is 2^i < |v| ≤ 2^(i+1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Magnitude {
    Negative(i32),
    Zero,
    Positive(i32),
}

impl Magnitude {
    fn of(value: f64) -> Self {
        let bits = value.abs().to_bits();
        // The middle between two floats of 32 bits is never subnormal among those of 64, so the exponent is exact.
        let exponent = (bits >> 52) as i32 - 1023 - i32::from(bits.trailing_zeros() >= 52);
        match value.partial_cmp(&0.0) {
            Some(std::cmp::Ordering::Greater) => Magnitude::Positive(exponent),
            Some(std::cmp::Ordering::Less) => Magnitude::Negative(exponent),
            _ => Magnitude::Zero,
        }
    }
}

/// What stands for a profile. The digest of one that the owner shipped; for one that was learned, which any row of it
/// would change, a number that follows from the install and the model's place in its list.
pub(super) fn profile_digest(profile: &[u8], digest: &[u8], install: &[u8], key: u32) -> Vec<u8> {
    if is_learned(profile) {
        Sha256::new().chain_update(install).chain_update(key.to_le_bytes()).finalize().to_vec()
    } else {
        digest.to_vec()
    }
}

/// By the flags in the head of its file, which also say so of one that this version cannot read.
pub(crate) fn is_learned(profile: &[u8]) -> bool {
    profile.get(6).is_some_and(|flags| flags & 1 != 0)
}

/// Random bits of the operating system, drawn in blocks.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    block: Vec<u64>,
}

impl Noise {
    pub(super) fn bits(&mut self) -> Result<u64> {
        if self.block.is_empty() {
            let mut bytes = [0; 1024];
            fill(&mut bytes)?;
            self.block.extend(bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)));
        }
        Ok(self.block.pop().unwrap_or_default())
    }

    /// The difference of two geometric numbers with ratio e^−ε, which has the discrete Laplace distribution
    /// (Inusah and Kozubowski, 2006).
    fn laplace(&mut self, epsilon: f64) -> Result<i64> {
        Ok(geometric(self.bits()?, epsilon) - geometric(self.bits()?, epsilon))
    }
}

/// By inversion: ⌊−ln U / ε⌋.
fn geometric(bits: u64, epsilon: f64) -> i64 {
    (-uniform(bits).ln() / epsilon) as i64
}

/// Uniform in (0, 1], with 53 bits.
fn uniform(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Random bytes of the operating system.
pub(super) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| Error::new(crate::Code::Io, format!("random numbers: {e}")))
}
