//! A child of a fork must be refused, not left to hang on a lock that nobody will open.

use std::ptr;

use selvedge::fake::Fake;

use super::*;

#[test]
fn a_forked_child_is_refused_with_a_reason_and_the_parent_is_not() {
    let engine = handle(Fake::text("so it goes").build());
    let mut cancel = ptr::null_mut();
    // SAFETY: `cancel` may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
    // SAFETY: the child calls nothing that locks or allocates, and ends without running the parent's handlers.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::_exit(in_child(engine, cancel)) };
    }
    assert!(child > 0);
    let mut status = 0;
    // SAFETY: the child is ours, and `status` may be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 0));
    // The parent goes on.
    assert_eq!(selvedge_cancel_set(cancel), SELVEDGE_OK);
    assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

/// 0, or the number of the check that failed.
fn in_child(engine: *mut selvedge_engine, cancel: *mut selvedge_cancel) -> i32 {
    const UNSUPPORTED: selvedge_status = selvedge_status(3);
    let (mut json, mut len, mut err) = (ptr::without_provenance(1), 1, ptr::null_mut());
    // SAFETY: all three may be written.
    if unsafe { selvedge_engine_spec_json(engine, &raw mut json, &raw mut len, &raw mut err) } != UNSUPPORTED {
        return 1;
    }
    if !json.is_null() || len != 0 || err.is_null() {
        return 2;
    }
    // SAFETY: the message of a fork is static.
    let message = unsafe { CStr::from_ptr(selvedge_error_message(err, &raw mut len)) };
    if !message.to_bytes().starts_with(b"this process was forked") || message.count_bytes() != len {
        return 3;
    }
    if selvedge_error_code(err) != UNSUPPORTED || selvedge_error_free(err) != UNSUPPORTED {
        return 4;
    }
    if selvedge_cancel_set(cancel) != UNSUPPORTED || selvedge_engine_close(engine) != UNSUPPORTED {
        return 5;
    }
    if selvedge_abi_version() != 1 << 16 {
        return 6;
    }
    let (mut done, mut total) = (7, 7);
    // SAFETY: both may be written.
    let read = unsafe { selvedge_progress_read(ptr::null(), &raw mut done, &raw mut total, ptr::null_mut()) };
    if read != UNSUPPORTED || (done, total) != (0, 0) {
        return 7;
    }
    // SAFETY: `len` may be written.
    let data = unsafe { selvedge_buffer_data(ptr::without_provenance(1), &raw mut len) };
    // SAFETY: what is no live buffer is one NUL.
    if len != 0 || unsafe { *data.cast::<u8>() } != 0 {
        return 8;
    }
    0
}
