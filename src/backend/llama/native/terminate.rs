//! An uncaught C++ exception ends the process; ggml's handler of it must not start a debugger first.
//!
//! ggml installs its handler when the program is loaded. The handler runs `gdb` on its own process, and passes that over
//! only where the environment has `GGML_NO_BACKTRACE` when the process ends. The environment of a living process is not
//! changed for that: in a library that is loaded late, other threads may be reading it, and children would inherit it.
//! So a handler of our own goes before ggml's, and sets the variable when nothing matters any more.

#![expect(unsafe_code, reason = "calls the C++ runtime")]

/// Goes before whatever handler there is. To be called once.
pub(super) fn install() {
    // On Windows ggml prints no backtraces.
    #[cfg(unix)]
    handler::install();
}

#[cfg(unix)]
mod handler {
    use std::ffi::{c_char, c_int};
    use std::sync::OnceLock;

    type Handler = Option<unsafe extern "C" fn()>;

    /// The handler that was there before.
    static PREVIOUS: OnceLock<Handler> = OnceLock::new();

    unsafe extern "C" {
        /// `std::set_terminate`, as both libstdc++ and libc++ spell it.
        #[link_name = "_ZSt13set_terminatePFvvE"]
        fn set_terminate(handler: Handler) -> Handler;
        fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int;
    }

    pub(super) fn install() {
        // SAFETY: the runtime swaps handlers atomically, and ours lives as long as the process.
        let previous = unsafe { set_terminate(Some(ending)) };
        // Should the process end between the two lines, it ends without ggml's words.
        let _ = PREVIOUS.set(previous);
    }

    unsafe extern "C" fn ending() {
        // SAFETY: the texts are NUL-terminated. A thread that reads the environment meanwhile may see it half changed;
        // the process ends in any case.
        unsafe { setenv(c"GGML_NO_BACKTRACE".as_ptr(), c"1".as_ptr(), 0) };
        if let Some(Some(previous)) = PREVIOUS.get() {
            // SAFETY: a handler of the same runtime, called as the runtime would.
            unsafe { previous() };
        }
        std::process::abort();
    }
}
