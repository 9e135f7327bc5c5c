//! Drift: whether the world is still the one the model was made for. Plain numbers in and out: no clock, no I/O.
//!
//! Enters: a reference ([`Profile`]) and counts ([`WindowCounts`]), scalars, labels. Leaves: a [`Verdict`], an [`Alert`].
//! May import: nothing of the crate.
//!
//! # The way of a value
//!
//! A [`Profile`] sorts each feature's values into a few bins, by quantiles of the reference, and keeps the reference's
//! exact counts. Of an embedding it keeps counts of signs ([`Fourier`]). The running model adds its values to the
//! [`WindowCounts`]; when the window is full, a [`Judge`] holds it against the reference, and [`Alerts`] turns the verdict
//! into alerts that are raised once. Counts of windows are merged by addition, so that a fleet's are those of its
//! devices, whatever sums them. Scalars of every answer go to a [`DetectorState`] each.
//!
//! # How a window is judged
//!
//! 1. **One p per feature.** χ² of homogeneity of the two samples ([`statistic::chi2`]) decides. Bins in which fewer
//!    than five independent rows are to be expected are pooled with their neighbour first. Rare things that χ² would
//!    drown, missing values and values the reference never had, have Fisher's exact test beside it; χ² spends 98 % of
//!    the feature's level, each of these 1 %.
//! 2. **Rows that depend on each other.** A day is like the day before, and a window of days varies more than one of
//!    independent rows. For a reference in time order ([`RowDependence`]) the profile keeps the eigenvalues λ of the
//!    shares' covariance under the moving-block bootstrap (Künsch 1989), shrunk (Ledoit and Wolf 2004); without drift χ²
//!    is then distributed as Σ λᵢ·χ²₁ (Rao and Scott, *The analysis of categorical data from complex sample surveys*,
//!    1981), whose tail the saddlepoint gives (Kuonen 1999). Independent rows have λ = 1.
//! 3. **Many features.** Holm's procedure over all of them, and the embedding.
//! 4. **Many windows.** A feature has drifted if it was rejected in *k* of the last *n* windows ([`Persistence`], 2 of
//!    3). The level is the one at which all features together alarm as seldom as asked ([`FalseAlarm`]): with s(t) the
//!    probability that one feature is silent up to window t, Σₜ s(t)^features is the mean time to the first alarm, and
//!    is solved for the level.
//! 5. **Windows that see nothing.** Where a window is shorter than rows depend on each other, it shows nothing by
//!    itself. So windows that were not rejected are put together, two and two, up to four times the rows of the
//!    reference, and each such sum is tested as a window is ([`Accumulated`]); what one shows lasts until one of twice its
//!    length is calm. The weights of the dependence are estimates from few blocks: the sums' χ² is an F (Thomas and Rao
//!    1987). Values out of range come in spells, which are shorter than seasons: the profile has the inverse of the
//!    extremal index (Ferro and Segers 2003). Beside the sums stands the rule of the dead: windows in a row whose values
//!    all lie in one bin, against the longest runs of the reference ([`Runs`]). The sums may raise 7.5 %, the rule
//!    2.5 % of the false alarms; 90 % are left to the windows themselves. [`Judge::reach`] says what is seen, and how soon.
//!
//! PSI, KS, Jensen-Shannon, Hellinger and Wasserstein distances stand beside the p and decide nothing.
//!
//! # What it is worth
//!
//! `cargo bench -p selvedge-benches --bench drift` makes these tables. 100 features (as drawn, rounded to few values,
//! cut at zero, cubed) in 10,000 windows without any drift, a reference of 100,000 rows, and one false alarm in 100
//! windows asked for: 100 alarms, and 95 of 100 such runs would have 80 to 120.
//!
//! | stream | rows per window | block | alerts raised | asked | PSI > 0.1 | profile |
//! |---|---|---|---|---|---|---|
//! | independent rows | 256 | 1 | 118 | 100 (80–120) | 99.5 % of windows | 12.5 KB |
//! | independent rows | 1,024 | 1 | 111 | 100 (80–120) | 0 % | 12.5 KB |
//! | independent rows, order given | 1,024 | 1 | 111 | 100 (80–120) | 0 % | 12.5 KB |
//! | AR(1), φ = 0.5 | 1,024 | 122 | 110 | 100 (80–120) | 0 % | 17.5 KB |
//! | AR(1), φ = 0.9 | 1,024 | 575 | 105 | 100 (80–120) | 99.3 % of windows | 16.3 KB |
//! | AR(1), φ = 0.9, order not given | 1,024 | 1 | **24,834** | 100 (80–120) | 99.3 % of windows | 11.7 KB |
//!
//! Beside it the usual rule, *some feature's PSI is above 0.1*: the share of windows without drift in which it cries
//! wolf. The last line is a reference whose time order was not given.
//!
//! A shift is seen by one feature in one window, at a level of 10⁻⁴:
//!
//! | shift of the mean | rows | seen |
//! |---|---|---|
//! | 0.1 σ | 1,000 | 2.5 % |
//! | 0.2 σ | 1,000 | 78 % |
//! | 0.3 σ | 1,000 | 100 % |
//! | 0.2 σ | 4,096 | 100 % |
//! | 0.5 σ | 256 | 99 % |
//!
//! A [`Detector`] on a normal stream that moves after 2,000 steady values: the mean number of values until it says so.
//!
//! | detector | 0.5 σ | 1 σ | 2 σ | alarms in 1,000,000 steady values |
//! |---|---|---|---|---|
//! | ADWIN, δ 0.002, clock 32: the default | 120 | 50 | 19 | 0 |
//! | ADWIN, δ 0.002, clock 1 | 100 | 33 | 14 | 1 |
//! | ADWIN, δ 0.001, clock 1 | 108 | 36 | 15 | 0 |
//! | ADWIN, δ 0.0001, clock 32 | 160 | 58 | 36 | 0 |
//! | Page-Hinkley by its defaults | 144 | 46 | 20 | 0 |
//! | KSWIN by its defaults | most are not seen | 100 | 46 | 2 |
//!
//! DDM knows failures only, and not how far they are from what they were: see [`Ddm`].
//!
//! A feature breaks: rows until its alert, at the default policy (one false alarm in 10,000 windows, 2 of 3), in windows
//! of 24 rows, which is less than a block of rows that depend on each other. The reference is in time order: given by 1,096
//! rows of weather and 4,096 of the others, then learned by half as many, where that is another number. `-- breaking` makes this
//! table alone.
//!
//! | table, feature | block | stuck | missing | zero | out of range | sign | × 10 |
//! |---|---|---|---|---|---|---|---|
//! | Seattle, precipitation | 109, 54 | 288, 336 | 96 | 288, 336 | 48 | 48, 96 | 48, 264 |
//! | Seattle, temp_max | 109, 54 | 96 | 96 | 96 | 48 | 48 | 48 |
//! | Seattle, temp_min | 109, 54 | 120, 168 | 120, 168 | 120, 168 | 48 | 96, 48 | 48 |
//! | Seattle, wind | 109, 54 | 48 | 48 | 48 | 48 | 48 | 48 |
//! | New York, precipitation | 90, 54 | 48 | 48 | 48 | 48 | 48 | 72, 240 |
//! | New York, temp_max | 90, 54 | 96 | 96 | 96 | 48 | 120, 48 | 48 |
//! | New York, temp_min | 90, 54 | 96 | 96 | 96 | 48 | 216, 48 | 144, 48 |
//! | New York, wind | 90, 54 | 48 | 48 | 48 | 48 | 48 | 48 |
//! | hourly, temperature | 409, 204 | 96 | 96 | 48 | 48 | 48 | 48 |
//! | AR(1), normal | 170, 177 | 96 | 96 | 96 | 48 | = | 48 |
//! | AR(1), rounded | 170, 177 | 72, 96 | 72, 96 | 72, 96 | 48 | = | 48 |
//! | AR(1), cut | 170, 177 | 336, 240 | 96, 192 | 336, 240 | 48 | 96, 48 | 96, 72 |
//! | AR(1), level | 170, 177 | 96 | 96 | 48 | 48 | 48 | 48 |
//!
//! Of the same rows shuffled, each independent of the others, two windows are enough in every cell but of precipitation × 10, which
//! takes 48 and 144 rows in Seattle, 72 and 192 in New York. Windows of 128 rows need two in most cells and ten at most, those
//! of 1,024 two in all. No cell is "never". *=* is a break that changes nothing, and it is known, not tested: the process is linear
//! and what drives it normal, so its mirror image is the same process, and so is that of its rounded values.
//!
//! Nothing breaks: streams as long as the mean time to a false alarm that was asked for, each with a reference of its
//! own, both drawn in blocks. 63 % of them may have an alarm; 60 streams each, of 40,000 rows:
//!
//! | table | reference | block drawn | windows of 24 | of 128 | of 512 |
//! |---|---|---|---|---|---|
//! | Seattle | 1,096 | 30 | 32 % | 48 % | 62 % |
//! | Seattle | 1,096 | 90 | 12 % | 35 % | 40 % |
//! | New York | 1,096 | 60 | 23 % | 32 % | 43 % |
//! | hourly | 4,096 | 240 | 8 % | 10 % | 12 % |
//! | AR(1) | 1,024 | 2,000 | 27 % | 30 % | 48 % |
//! | AR(1) | 4,096 | 2,000 | 7 % | 5 % | 35 % |
//!
//! A reference of 512 rows of Seattle, the fewest that a monitor learns where windows never fill, in windows of 8, 24 and 128: 12 %,
//! 17 % and 54 % of 200 streams.
//!
//! The reference is a sample, too. Windows judged against one reference share its errors: where it has hardly more rows
//! than a window, rejections come in runs, and the persistence is worth less. Ten windows' worth of rows is little, a
//! hundred is plenty.
//!
//! Closing a window of 100 features takes about 0.1 ms (x86-64, one core). The statistics agree with scipy's to 10⁻⁹,
//! and the detectors alarm at the same index as river's on 50 streams each: `tests/drift/oracles`.

mod accumulate;
mod accumulated;
mod adwin;
mod alert;
mod calibrate;
mod check;
mod cohorts;
mod compare;
mod concept;
mod ddm;
mod delayed;
mod detector;
mod eigen;
mod finding;
mod fourier;
mod health;
mod isotonic;
mod judge;
mod kswin;
mod magnitude;
mod page_hinkley;
mod profile;
mod python_random;
mod reach;
pub mod statistic;
mod tail;
#[cfg(test)]
mod tests;
mod window;

pub use accumulated::Accumulated;
pub use adwin::Adwin;
pub use alert::{Action, Alert, AlertEvent, AlertKind, Alerts, Observation, Severity};
pub use calibrate::{FalseAlarm, Persistence};
pub use check::check;
pub use cohorts::AdjustedAccuracy;
pub(crate) use cohorts::{Cohorts, bins_of};
pub use compare::{FeatureDrift, compare};
pub use concept::{Concept, LabelVerdict, Proportion};
pub use ddm::Ddm;
pub use delayed::{DelayAdjusted, Delayed, DelayedEstimate, ScoredRow};
pub use detector::{Detector, DetectorState};
pub use finding::Finding;
pub use fourier::Fourier;
pub use health::{Breach, Health, LatencyHistogram, RequestOutcome, Slo};
pub use judge::{EmbeddingDrift, Judge, Policy, Verdict};
pub use kswin::Kswin;
pub use page_hinkley::PageHinkley;
pub(crate) use profile::category_code;
pub use profile::{
    Bins, Categories, CellValue, Column, EmbeddingProfile, FeatureProfile, FeatureSource, Fit, Learner, MAX_BINS,
    MISSING, Moments, Profile, Reliability, Row, RowDependence, RowSink, Runs,
};
#[cfg(feature = "csv")]
pub use profile::{CsvRow, CsvTable};
pub use reach::Reach;
pub use window::WindowCounts;
