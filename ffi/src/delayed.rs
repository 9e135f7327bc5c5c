//! Estimates of accuracy where labels come late.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::borrow::Cow;

use selvedge::Result;
use selvedge::drift::{DelayAdjusted, DelayedEstimate, ScoredRow};

use crate::abi::*;
use crate::guard;
use crate::memory::{self, Out, OutStruct, invalid};

/// A label that has not come.
const NOT_YET: u8 = 2;

/// What accuracy to expect of new rows, and of those whose labels have not come.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_delayed_estimate(
    reference_scores: *const f64,
    reference_labels: *const u8,
    reference_count: usize,
    history: *const selvedge_history,
    scores: *const f64,
    score_count: usize,
    estimate: *mut selvedge_estimate,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (estimate, err) = unsafe { (OutStruct::zeroed(estimate), Out::optional(err)) };
    guard::give(estimate, err, || {
        // SAFETY: as above; nothing of the columns is kept.
        let (reference, scores) = unsafe {
            let reference = (
                memory::borrow_values("reference_scores", reference_scores, reference_count)?,
                memory::bytes("reference_labels", reference_labels, reference_count)?,
            );
            (reference, memory::borrow_values("scores", scores, score_count)?)
        };
        // SAFETY: as above.
        let history = unsafe { History::read(history) }?;
        let rows = reference.0.iter().zip(reference.1).enumerate();
        let reference = rows.map(|(row, (score, one))| match one {
            0 | 1 => Ok((*score, *one == 1)),
            other => Err(invalid(format!("reference_labels: row {row}: expected 0 or 1, got {other}"))),
        });
        let model = DelayAdjusted::fit(&reference.collect::<Result<Vec<_>>>()?, history.given.threshold)?;
        let or = |given: i64, default: i64| if given == 0 { default } else { given };
        let model = model.window(or(history.given.window, WINDOW)).curve(or(history.given.curve, CURVE));
        let rows = history.rows()?;
        let learned = model.learn(&rows, history.given.now)?;
        let numbers = |e: Option<DelayedEstimate>| e.map_or((f64::NAN, f64::NAN), |e| (e.accuracy, e.ones));
        let (cbpe, adjusted) = (numbers(model.cbpe(&scores)), numbers(learned.estimate(&scores)));
        let in_flight = numbers(learned.in_flight(&rows));
        Ok(selvedge_estimate {
            struct_size: 0,
            accuracy: adjusted.0,
            ones: adjusted.1,
            cbpe_accuracy: cbpe.0,
            cbpe_ones: cbpe.1,
            in_flight_accuracy: in_flight.0,
            in_flight_ones: in_flight.1,
            offset: learned.offset,
            rows: learned.rows,
        })
    })
}

/// Those of [`DelayAdjusted`].
const WINDOW: i64 = 360;
const CURVE: i64 = 1080;

/// Rows of use, which live for `'a`.
struct History<'a> {
    given: selvedge_history,
    scores: Cow<'a, [f64]>,
    at: Cow<'a, [i64]>,
    labels: &'a [u8],
    came: Cow<'a, [i64]>,
}

impl History<'_> {
    /// # Safety
    ///
    /// As of [`memory::read`], and the pointers within are as the header asks during `'a`.
    unsafe fn read(place: *const selvedge_history) -> Result<Self> {
        // SAFETY: the caller vouches for it, here and below.
        let h = unsafe { memory::read(place) }?;
        // SAFETY: as above.
        unsafe {
            Ok(Self {
                scores: memory::borrow_values("selvedge_history.scores", h.scores, h.row_count)?,
                at: memory::borrow_values("selvedge_history.at", h.at, h.row_count)?,
                labels: memory::bytes("selvedge_history.labels", h.labels, h.row_count)?,
                came: memory::borrow_values("selvedge_history.came", h.came, h.row_count)?,
                given: h,
            })
        }
    }

    fn rows(&self) -> Result<Vec<ScoredRow>> {
        let row = |row: usize| {
            let label = match self.labels[row] {
                known @ (0 | 1) => Some((known == 1, self.came[row])),
                NOT_YET => None,
                other => {
                    let what = format!("selvedge_history.labels: row {row}: expected 0, 1 or 2, got {other}");
                    return Err(invalid(what));
                }
            };
            Ok(ScoredRow::new(self.scores[row], self.at[row], label))
        };
        (0..self.scores.len()).map(row).collect()
    }
}
