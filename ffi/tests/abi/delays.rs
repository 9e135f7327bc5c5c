//! Estimates from labels that come late: the numbers that Rust has of the same rows, and what is refused.

use selvedge::Code;
use selvedge::drift::{DelayAdjusted, ScoredRow};

use super::*;

struct Columns {
    scores: Vec<f64>,
    at: Vec<i64>,
    labels: Vec<u8>,
    came: Vec<i64>,
}

/// Rows of 300 days, of which fewer and fewer are of class 1 than the score says; labels come after ten days.
fn columns() -> Columns {
    let scores: Vec<f64> = (0..300).map(|i| f64::from(i % 20) / 20.0).collect();
    let at: Vec<i64> = (0..300).collect();
    let label = |i: usize| if i >= 290 { 2 } else { u8::from(scores[i] > 0.8 && !i.is_multiple_of(3)) };
    let labels = (0..300).map(label).collect();
    let came = at.iter().map(|at| at + 10).collect();
    Columns { scores, at, labels, came }
}

impl Columns {
    fn history(&self) -> selvedge_history {
        init!(selvedge_history {
            scores: self.scores.as_ptr(),
            at: self.at.as_ptr(),
            labels: self.labels.as_ptr(),
            came: self.came.as_ptr(),
            row_count: self.scores.len(),
            now: 300,
            threshold: 0.5,
        })
    }

    fn rows(&self) -> Vec<ScoredRow> {
        let label = |i: usize| (self.labels[i] < 2).then(|| (self.labels[i] == 1, self.came[i]));
        (0..self.scores.len()).map(|i| ScoredRow::new(self.scores[i], self.at[i], label(i))).collect()
    }
}

fn reference() -> (Vec<f64>, Vec<u8>) {
    let scores: Vec<f64> = (0..200).map(|i| f64::from(i % 20) / 20.0).collect();
    let labels = scores.iter().enumerate().map(|(i, s)| u8::from(s * 20.0 > f64::from((i as u32 * 7) % 20))).collect();
    (scores, labels)
}

fn estimate(history: &selvedge_history, scores: &[f64]) -> Result<selvedge_estimate, (i32, String)> {
    let (reference, labels) = reference();
    let mut out = init!(selvedge_estimate { rows: 7 });
    let (at, count) = (reference.as_ptr(), reference.len());
    // SAFETY: the columns live during the call, and the struct may be written.
    let made = call(|err| unsafe {
        let (new, len) = (scores.as_ptr(), scores.len());
        selvedge_delayed_estimate(at, labels.as_ptr(), count, history, new, len, &raw mut out, err)
    });
    assert!(made.is_ok() || out.rows == 0);
    made.map(|()| out)
}

#[test]
fn the_numbers_are_those_of_rust() {
    let (columns, new) = (columns(), [0.1, 0.45, 0.55, 0.9, 0.95]);
    let (scores, labels) = reference();
    let pairs: Vec<(f64, bool)> = scores.into_iter().zip(labels).map(|(s, one)| (s, one == 1)).collect();
    let (model, rows) = (DelayAdjusted::fit(&pairs, 0.5).unwrap(), columns.rows());
    let learned = model.learn(&rows, 300).unwrap();
    let (plain, expected) = (model.cbpe(&new).unwrap(), learned.estimate(&new).unwrap());
    let in_flight = learned.in_flight(&rows).unwrap();
    let got = estimate(&columns.history(), &new).unwrap();
    assert_eq!((got.accuracy, got.ones), (expected.accuracy, expected.ones));
    assert_eq!((got.cbpe_accuracy, got.cbpe_ones), (plain.accuracy, plain.ones));
    assert_eq!((got.in_flight_accuracy, got.in_flight_ones), (in_flight.accuracy, in_flight.ones));
    assert_eq!((got.offset, got.rows), (learned.offset, learned.rows));
    assert!(got.offset < -0.5 && got.rows > 200 && got.ones < got.cbpe_ones, "{got:?}");
    assert!(estimate(&columns.history(), &[]).unwrap().accuracy.is_nan(), "of no rows");
    let narrow = estimate(&selvedge_history { window: 30, ..columns.history() }, &new).unwrap();
    assert!(narrow.rows < got.rows, "{narrow:?}");
    let untold = estimate(&init!(selvedge_history { threshold: 0.5 }), &new).unwrap();
    assert_eq!((untold.offset, untold.rows), (0.0, 0));
    assert!((untold.accuracy - untold.cbpe_accuracy).abs() < 0.001, "{untold:?}");
    assert!(untold.in_flight_accuracy.is_nan());
}

#[test]
fn what_cannot_be_is_named() {
    let refused = |change: fn(&mut Columns), message: &str| {
        let mut columns = columns();
        change(&mut columns);
        let (code, got) = estimate(&columns.history(), &[0.5]).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(got.contains(message), "{got}");
    };
    refused(|c| c.labels[3] = 3, "selvedge_history.labels: row 3: expected 0, 1 or 2, got 3");
    refused(|c| c.at[7] = 301, "history: row 7");
    refused(|c| c.came[7] = 0, "history: row 7");
    refused(|c| c.scores[0] = f64::INFINITY, "history");
    let nowhere = selvedge_history { at: ptr::null(), ..columns().history() };
    assert_eq!(estimate(&nowhere, &[]).unwrap_err().1, "selvedge_history.at: expected a pointer, got NULL");
}
