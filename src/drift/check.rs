//! Rows against a profile, in one call.

use std::sync::Arc;

use super::calibrate::{FalseAlarm, Persistence};
use super::judge::{Judge, Policy, Verdict};
use super::profile::Profile;
use super::window::WindowCounts;
use crate::{Error, Result};

/// Checks that run without drift, for each that finds some.
const CHECKS: f64 = 1000.0;

/// Whether rows are still like those that the profile was made of: the whole of them, once.
///
/// Each row holds a number per feature, in the profile's order, NaN where one is missing; a category is a number, as a
/// probe gives it ([`rows`](crate::layer::probe::rows)). Of [`Verdict::drifted`] one check in 1,000 without drift says
/// yes, over all features together. What comes in windows, for months, is for a [`Judge`]; a table of texts is counted by
/// `WindowCounts::of_csv`.
///
/// # Errors
///
/// `InvalidArgument` for no rows, for a row of another length than the profile has features, and for a profile without
/// any.
///
/// # Examples
///
/// ```
/// use selvedge::drift::{self, Column, Profile};
/// let load: Vec<f64> = (0..1000).map(|i| f64::from(i % 10) / 10.0).collect();
/// let profile = Profile::fit().number("load").of_columns(&[Column::F64(&load)])?;
/// let rows = |more: f32| (0..500).map(|i| [(i % 10) as f32 * 0.1 + more]).collect::<Vec<_>>();
/// let verdict = drift::check(&profile, &rows(0.0))?;
/// assert!(!verdict.drifted() && verdict.features[0].p > 0.9);
/// let verdict = drift::check(&profile, &rows(0.5))?;
/// assert!(verdict.drifted() && verdict.features[0].out_of_range > 0.4);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn check<R: AsRef<[f32]>>(profile: &Profile, rows: &[R]) -> Result<Verdict> {
    let counts = WindowCounts::of_rows(profile, rows)?;
    if counts.rows == 0 {
        return Err(Error::invalid("rows: expected at least one, got none"));
    }
    let policy = Policy::new(counts.rows, FalseAlarm::Windows(CHECKS)).persistence(Persistence::new(1, 1)?);
    Judge::new(Arc::new(profile.clone()), policy)?.judge(&counts)
}

impl WindowCounts {
    /// Counts rows of numbers, one per feature of the profile, in its order; NaN is missing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a row of another length.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::drift::{Profile, WindowCounts};
    /// let profile = Profile::fit().number("wind").of_rows(&[[1.0f32], [2.0]])?;
    /// let window = WindowCounts::of_rows(&profile, &[[2.0f32], [f32::NAN]])?;
    /// assert_eq!(window.features[0], [0, 0, 1, 0, 1]); // under, 1, 2, over, missing
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn of_rows<R: AsRef<[f32]>>(profile: &Profile, rows: &[R]) -> Result<Self> {
        let mut counts = Self::new(profile);
        let mut bins = Vec::with_capacity(profile.features.len());
        for (i, row) in rows.iter().map(AsRef::as_ref).enumerate() {
            let (want, got) = (profile.features.len(), row.len());
            if want != got {
                return Err(Error::invalid(format!("row {i}: expected {want} values, got {got}")));
            }
            bins.clear();
            bins.extend(profile.features.iter().zip(row).map(|(feature, value)| feature.bin(*value)));
            counts.add_row(&bins);
        }
        Ok(counts)
    }
}
