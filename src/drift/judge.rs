//! Verdicts on closed windows.

use std::sync::Arc;

use super::accumulate::{Accumulator, Terms};
use super::calibrate::{FalseAlarm, Persistence, family, level};
use super::compare::{FeatureDrift, compare};
use super::fourier::Fourier;
use super::profile::Profile;
use super::reach::{Reach, reach};
use super::tail::ln_weighted_chi2;
use super::window::WindowCounts;
use crate::{Error, Result};

/// The policy by which windows are judged.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use selvedge::drift::{FalseAlarm, Policy};
/// // Windows of 1,024 rows, 2 rows a second, one false alarm in 30 days on average.
/// let policy = Policy::new(1024, FalseAlarm::every(Duration::from_secs(30 * 86_400), 2.0));
/// assert_eq!(policy.false_alarm.in_windows(policy.window), 5062.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Rows after which a window closes.
    pub window: u64,
    /// Mean time to a false alarm of all features together.
    pub false_alarm: FalseAlarm,
    /// A feature has drifted if it was rejected so often.
    pub persistence: Persistence,
}

impl Policy {
    /// Windows of `window` rows, at the false alarms that are borne, with a persistence of 2 of 3.
    pub fn new(window: u64, false_alarm: FalseAlarm) -> Self {
        Self { window, false_alarm, persistence: Persistence::TWO_OF_THREE }
    }

    /// Sets the rows after which a window closes.
    #[must_use]
    pub fn window(self, window: u64) -> Self {
        Self { window, ..self }
    }

    /// Sets the mean time to a false alarm.
    #[must_use]
    pub fn false_alarm(self, false_alarm: FalseAlarm) -> Self {
        Self { false_alarm, ..self }
    }

    /// Sets how often a feature must be rejected.
    #[must_use]
    pub fn persistence(self, persistence: Persistence) -> Self {
        Self { persistence, ..self }
    }
}

impl Default for Policy {
    /// Windows of 1,024 rows, one false alarm in 10,000 of them.
    fn default() -> Self {
        Self::new(1024, FalseAlarm::Windows(10_000.0))
    }
}

/// The comparison of a window's embeddings with their reference.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingDrift {
    /// Squared maximum mean discrepancy: the squared distance of the means of the Fourier features, in 0..=4.
    pub mmd2: f64,
    /// Probability of so large an `mmd2` without drift.
    pub p: f64,
    /// Natural logarithm of `p`.
    pub ln_p: f64,
    /// This window is rejected.
    pub rejected: bool,
    /// Rejected in enough of the last windows.
    pub drifted: bool,
}

/// The verdict on a window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Rows of the window.
    pub rows: u64,
    /// Probability of any finding in one window without drift: that it is rejected, or that windows together show one.
    pub level: f64,
    /// One entry per feature of the profile, in its order.
    pub features: Vec<FeatureDrift>,
    /// The embedding, where profile and window have one.
    pub embedding: Option<EmbeddingDrift>,
}

impl Verdict {
    /// Some feature, or the embedding, has drifted.
    pub fn drifted(&self) -> bool {
        self.features.iter().any(|f| f.drifted) || self.embedding.is_some_and(|e| e.drifted)
    }
}

/// A judge of windows against a profile, which remembers the last few rejections of each feature.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use selvedge::drift::{WindowCounts, Finding, Judge, Policy, Profile};
/// let rows: Vec<[f32; 1]> = (0..10_000).map(|i| [(i % 97) as f32]).collect();
/// let profile = Arc::new(Profile::fit().number("wind").of_rows(&rows)?);
/// let mut judge = Judge::new(profile.clone(), Policy::default())?;
/// let mut window = WindowCounts::new(&profile);
/// for last in [false, true] {
///     (0..1024).for_each(|_| window.add_row(&[profile.features[0].bin(0.0)])); // the sensor died
///     let verdict = judge.judge(&window.close())?;
///     assert_eq!(verdict.features[0].finding, Some(Finding::DeadFeature));
///     assert_eq!(verdict.drifted(), last); // one window alone does not alarm
/// }
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Judge {
    profile: Arc<Profile>,
    policy: Policy,
    /// Level of a single test.
    alpha: f64,
    /// One per feature, then one for the embedding.
    histories: Vec<u8>,
    terms: Terms,
    /// What windows show together; one per feature.
    accumulators: Vec<Accumulator>,
}

/// The share of the false alarms that evidence of several windows together may raise.
const TOGETHER: f64 = 0.1;

impl Judge {
    /// A judge of windows of `profile`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a mean time to false alarm below 10 windows or that is no number, and for a profile
    /// without features.
    pub fn new(profile: Arc<Profile>, policy: Policy) -> Result<Self> {
        let tests = profile.features.len() + usize::from(profile.embedding.is_some());
        if tests == 0 {
            return Err(Error::invalid("profile: expected at least one feature, got none"));
        }
        let windows = policy.false_alarm.in_windows(policy.window);
        level(windows, tests, policy.persistence)?;
        let alpha = level(windows / (1.0 - TOGETHER), tests, policy.persistence)?;
        let rate = TOGETHER / (windows * tests as f64);
        let terms = Terms::new(policy.window, &profile, policy.persistence.k().into(), rate);
        let accumulators = vec![Accumulator::default(); profile.features.len()];
        Ok(Self { profile, policy, alpha, histories: vec![0; tests], terms, accumulators })
    }

    /// The profile.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The level of a single feature's test in one window.
    pub fn level(&self) -> f64 {
        self.alpha
    }

    /// How soon each feature would be seen to break, in the profile's order: what a build of a monitor can say of its
    /// windows before the first row.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use selvedge::drift::{Judge, Policy, Profile};
    /// let rows: Vec<[f32; 2]> = (0..10_000).map(|i| [(i % 97) as f32, 1.0]).collect();
    /// let profile = Arc::new(Profile::fit().number("wind").number("still").of_rows(&rows)?);
    /// let reach = Judge::new(profile, Policy::default())?.reach();
    /// assert_eq!((reach[0].dead, reach[0].missing), (Some(2048), Some(2048))); // two windows of three
    /// assert_eq!(reach[1].blind(), ["dead", "shift"]); // what never varied cannot stand still
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn reach(&self) -> Vec<Reach> {
        let windows = self.policy.persistence.k().into();
        self.profile.features.iter().map(|f| reach(f, self.alpha, windows, &self.terms)).collect()
    }

    /// Forgets the rejections so far.
    pub fn reset(&mut self) {
        self.histories.fill(0);
        self.accumulators.fill(Accumulator::default());
    }

    /// Judges a closed window. A window of no rows rejects nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for counts that are not of this profile, or of more than 2^62 rows.
    pub fn judge(&mut self, window: &WindowCounts) -> Result<Verdict> {
        self.check(window)?;
        let features = &self.profile.features;
        let mut compared: Vec<_> =
            features.iter().zip(&window.features).map(|(f, counts)| compare(f, counts)).collect::<Result<_>>()?;
        let mmd = self.mmd(window);
        let mut ln_p: Vec<f64> = compared.iter().map(|f| f.ln_p).collect();
        ln_p.extend(self.profile.embedding.is_some().then_some(mmd.map_or(0.0, |(_, ln_p)| ln_p)));
        let rejected = holm(&ln_p, self.alpha * ln_p.len() as f64);
        let policy = self.policy;
        let keep = |(history, rejected): (&mut u8, &bool)| policy.persistence.push(history, *rejected);
        let drifted: Vec<bool> = self.histories.iter_mut().zip(&rejected).map(keep).collect();
        for (i, drift) in compared.iter_mut().enumerate() {
            drift.finding = rejected[i].then(|| drift.classify(&features[i], self.alpha));
            let (feature, counts) = (&features[i], &window.features[i]);
            drift.accumulated = self.accumulators[i].add(feature, counts, rejected[i], drifted[i], &self.terms)?;
            let found = drift.accumulated.map(|together| together.finding);
            drift.finding = drift.finding.or(found);
            drift.drifted = drifted[i] || found.is_some();
        }
        let last = features.len();
        let embedding = mmd.map(|(mmd2, ln_p)| EmbeddingDrift {
            mmd2,
            p: ln_p.exp(),
            ln_p,
            rejected: rejected[last],
            drifted: drifted[last],
        });
        let together = TOGETHER / policy.false_alarm.in_windows(policy.window);
        let level = family(self.alpha, ln_p.len()) + together;
        Ok(Verdict { rows: window.rows, level, features: compared, embedding })
    }

    fn check(&self, window: &WindowCounts) -> Result<()> {
        let features = &self.profile.features;
        if window.features.len() != features.len() {
            let (want, got) = (features.len(), window.features.len());
            return Err(Error::invalid(format!("window: expected counts of {want} features, got {got}")));
        }
        for (feature, counts) in features.iter().zip(&window.features) {
            if counts.len() != feature.bins.len() {
                let (name, want, got) = (&feature.name, feature.bins.len(), counts.len());
                return Err(Error::invalid(format!("window: feature '{name}': expected {want} bins, got {got}")));
            }
        }
        Ok(())
    }

    /// MMD² and the logarithm of its probability: (1/n + 1/m)·Σ λᵢ·χ²₁ without drift, with λ the eigenvalues of the
    /// covariance of the Fourier features.
    fn mmd(&self, window: &WindowCounts) -> Option<(f64, f64)> {
        let reference = self.profile.embedding.as_ref()?;
        if window.embedded == 0 || window.embedding.len() != reference.positive.len() {
            return None;
        }
        let (n, m) = (window.embedded as f64, reference.rows.max(1) as f64);
        // The mean of ±1 is twice the share of those above 0, less 1.
        let apart =
            window.embedding.iter().zip(&reference.positive).map(|(w, r)| 2.0 * (*w as f64 / n - *r as f64 / m));
        let mmd2 = apart.map(|d| d * d).sum::<f64>() / Fourier::FEATURES as f64;
        let weights: Vec<f64> = reference.weights.iter().map(|w| f64::from(*w)).collect();
        let scale = 1.0 / n + 1.0 / m;
        Some((mmd2, ln_weighted_chi2(mmd2 / scale, &weights)))
    }
}

/// Holm's step-down procedure (*A simple sequentially rejective multiple test procedure*, 1979): which of the
/// hypotheses are rejected so that the probability of even one false rejection is at most `level`, whatever the
/// dependence between them. Takes logarithms of p-values; the answer is in the same order.
pub(super) fn holm(ln_p: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..ln_p.len()).collect();
    order.sort_by(|a, b| ln_p[*a].total_cmp(&ln_p[*b]));
    let mut rejected = vec![false; ln_p.len()];
    for (rank, i) in order.into_iter().enumerate() {
        if ln_p[i] > (level / (ln_p.len() - rank) as f64).ln() {
            break;
        }
        rejected[i] = true;
    }
    rejected
}
