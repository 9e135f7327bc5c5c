//! The places of `selvedge/base.h` at which a caller's pointer stands.

use super::places::{OK, Place, result, spare};
use super::*;

pub(super) fn places() -> Vec<Place> {
    vec![
        result("selvedge_progress_new.out", OK, INVALID, |_, at| progress_new(at, spare())),
        result("selvedge_progress_new.err", INVALID, INVALID, |_, at| progress_new(ptr::null_mut(), at)),
        result("selvedge_progress_read.done", OK, INVALID, |_, at| progress_read(at, spare(), spare())),
        result("selvedge_progress_read.total", OK, INVALID, |_, at| progress_read(spare(), at, spare())),
        result("selvedge_progress_read.err", INVALID, INVALID, |_, at| progress_read(ptr::null_mut(), spare(), at)),
        result("selvedge_buffer_data.len", OK, OK, |_, at| buffer_data(at)),
        result("selvedge_log_set.err", INVALID, INVALID, |_, at| log_set(at)),
    ]
}

fn progress_new(out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: the places are as a case made them: what the library may touch of them is there.
    unsafe { selvedge_progress_new(out.cast(), err.cast()) }
}

fn progress_read(done: *mut u8, total: *mut u8, err: *mut u8) -> selvedge_status {
    let mut progress: *mut selvedge_progress = ptr::null_mut();
    assert_eq!(progress_new((&raw mut progress).cast(), ptr::null_mut()), SELVEDGE_OK);
    // SAFETY: as above.
    unsafe { selvedge_progress_read(progress, done.cast(), total.cast(), err.cast()) }
}

/// OK if there are bytes, as there are in every case.
fn buffer_data(len: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    let data = unsafe { selvedge_buffer_data(ptr::null(), len.cast()) };
    if data.is_null() { INVALID } else { SELVEDGE_OK }
}

/// A level that is none, so that nothing is set.
fn log_set(err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_log_set(None, ptr::null_mut(), None, -1, err.cast()) }
}
