//! The places of estimates from late labels at which a caller's pointer stands.

use super::callee::as_place;
use super::cases::Most;
use super::places::{Block, OK, Place, raw, read, result, some, spare};
use super::*;

const SCORES: [f64; 3] = [0.25, 0.5, 0.75];
const LABELS: [u8; 3] = [0, 1, 1];
const TIMES: [i64; 3] = [1, 2, 3];
/// Three numbers of eight bytes, as bytes: zeros, which are numbers of either kind.
const ZEROS: &[u8] = &[0; 24];
/// Good ones are taken; none is another number of rows than what stands beside them.
const NONE_IS_NONE: [selvedge_status; 3] = [OK; 3];

pub(super) fn places() -> Vec<Place> {
    let none = [OK, INVALID, INVALID];
    vec![
        some("selvedge_delayed_estimate.reference_scores", ZEROS, Most::Memory, none, |_, at, len| {
            reference(at, as_place(&LABELS), len.div_ceil(8))
        }),
        some("selvedge_delayed_estimate.reference_labels", &LABELS, Most::Memory, none, |_, at, len| {
            reference(as_place(&SCORES), at, len)
        }),
        read("selvedge_delayed_estimate.history", || raw(history()), |_, at| of(at, spare_estimate()), OK, INVALID),
        some("selvedge_delayed_estimate.scores", ZEROS, Most::Memory, NONE_IS_NONE, |_, at, len| {
            let (scores, labels) = (as_place(&SCORES), as_place(&LABELS));
            estimated(scores, labels, 3, as_place(&history()), (at, len.div_ceil(8)), spare_estimate(), spare())
        }),
        Place::Block(Block {
            name: "selvedge_delayed_estimate.estimate",
            grows: true,
            written: true,
            good: || raw(init!(selvedge_estimate {})),
            call: |_, at| of(as_place(&history()), at),
            then: OK,
            null: INVALID,
        }),
        result("selvedge_delayed_estimate.err", INVALID, INVALID, |_, at| {
            let none = (ptr::null(), 0);
            estimated(ptr::null(), ptr::null(), 0, as_place(&history()), none, spare_estimate(), at)
        }),
        some("selvedge_history.scores", ZEROS, Most::Memory, NONE_IS_NONE, |_, at, len| {
            with(selvedge_history { scores: at.cast(), row_count: len.div_ceil(8), ..history() })
        }),
        some("selvedge_history.at", ZEROS, Most::Memory, NONE_IS_NONE, |_, at, len| {
            with(selvedge_history { at: at.cast(), row_count: len.div_ceil(8), ..history() })
        }),
        some("selvedge_history.labels", &LABELS, Most::Memory, NONE_IS_NONE, |_, at, len| {
            with(selvedge_history { labels: at, row_count: len, ..history() })
        }),
        some("selvedge_history.came", ZEROS, Most::Memory, [OK; 3], |_, at, len| {
            let unknown = [2u8; 3];
            let row_count = len.div_ceil(8);
            with(selvedge_history { came: at.cast(), labels: unknown.as_ptr(), row_count, ..history() })
        }),
    ]
}

/// Three rows, whose labels came at once.
fn history() -> selvedge_history {
    static COLUMNS: ([f64; 3], [i64; 3], [u8; 3], [i64; 3]) = (SCORES, [0; 3], LABELS, TIMES);
    let (scores, at, labels, came) = &COLUMNS;
    init!(selvedge_history {
        scores: scores.as_ptr(),
        at: at.as_ptr(),
        labels: labels.as_ptr(),
        came: came.as_ptr(),
        row_count: 3,
        now: 9,
        threshold: 0.5,
    })
}

fn spare_estimate() -> *mut u8 {
    Box::into_raw(Box::new(init!(selvedge_estimate {}))).cast()
}

fn with(history: selvedge_history) -> selvedge_status {
    of(as_place(&history), spare_estimate())
}

fn of(history: *const u8, estimate: *mut u8) -> selvedge_status {
    estimated(as_place(&SCORES), as_place(&LABELS), 3, history, (as_place(&SCORES), 3), estimate, spare())
}

fn reference(scores: *const u8, labels: *const u8, count: usize) -> selvedge_status {
    estimated(scores, labels, count, as_place(&history()), (as_place(&SCORES), 3), spare_estimate(), spare())
}

fn estimated(
    reference_scores: *const u8,
    labels: *const u8,
    count: usize,
    history: *const u8,
    scores: (*const u8, usize),
    estimate: *mut u8,
    err: *mut u8,
) -> selvedge_status {
    let (at, len) = (scores.0.cast(), scores.1);
    // SAFETY: the places are as a case made them: what the library may touch of them is there.
    unsafe {
        selvedge_delayed_estimate(
            reference_scores.cast(),
            labels,
            count,
            history.cast(),
            at,
            len,
            estimate.cast(),
            err.cast(),
        )
    }
}
