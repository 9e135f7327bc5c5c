//! What llama.cpp logs: for the host's log, and for errors, which it reports by log line only.

#![expect(unsafe_code, reason = "the callbacks of llama.cpp")]

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::panic::catch_unwind;
use std::ptr;

use llama_cpp_sys_2 as sys;

use crate::{Code, Error};

/// Sends what llama.cpp logs to the host's log, from now on.
pub(super) fn install() {
    // SAFETY: the callbacks are `extern "C"`, never unwind, and live as long as the process.
    unsafe {
        sys::ggml_set_abort_callback(Some(aborting));
        sys::llama_log_set(Some(log), ptr::null_mut());
    }
}

/// Forgets what was logged on this thread.
pub(super) fn forget() {
    FAULTS.with_borrow_mut(Vec::clear);
}

/// The error that llama.cpp logged on this thread since then: `what` failed.
pub(super) fn failure(what: &str) -> Error {
    let faults = FAULTS.with_borrow_mut(std::mem::take);
    let message = faults.first().map_or("llama.cpp does not say why", String::as_str);
    Error::new(kind_of(&faults), format!("{what}: {message}"))
}

fn kind_of(faults: &[String]) -> Code {
    let has = |words: &[&str]| faults.iter().any(|line| words.iter().any(|word| line.contains(word)));
    if has(&["unknown model architecture", "unsupported model architecture", "unknown pre-tokenizer", "CLIP cannot"]) {
        Code::Unsupported
    } else if has(&["allocate", "bad_alloc", "out of memory"]) {
        Code::OutOfMemory
    } else if has(&["mmap failed", "read error", "seek error", "ftell error", "failed to open"]) {
        Code::Io
    } else if has(&["no backends are loaded", "no CPU backend"]) {
        Code::Backend
    } else {
        Code::Corrupt
    }
}

thread_local! {
    /// The error lines that llama.cpp logged on this thread since they were last looked at.
    static FAULTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Native errors become typed errors, or are no more than cancellations, so they are warnings here at most.
unsafe extern "C" fn log(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a NUL-terminated text.
    let line = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let line = line.trim_end();
    if line.is_empty() || line == "." {
        return;
    }
    // A subscriber of the host may panic, and must not do so through C++.
    let _ = catch_unwind(|| match level {
        sys::GGML_LOG_LEVEL_ERROR => {
            FAULTS.with_borrow_mut(|faults| {
                if faults.len() < 8 {
                    faults.push(line.to_owned());
                }
            });
            tracing::warn!(target: "selvedge::llama", "{line}");
        }
        sys::GGML_LOG_LEVEL_WARN => tracing::info!(target: "selvedge::llama", "{line}"),
        sys::GGML_LOG_LEVEL_INFO => tracing::debug!(target: "selvedge::llama", "{line}"),
        _ => tracing::trace!(target: "selvedge::llama", "{line}"),
    });
}

/// The process ends after this; what ended it should at least be in the host's log.
unsafe extern "C" fn aborting(message: *const c_char) {
    if message.is_null() {
        return;
    }
    // SAFETY: ggml passes a NUL-terminated text.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let _ = catch_unwind(|| tracing::error!(target: "selvedge::llama", "llama.cpp aborts: {message}"));
}
