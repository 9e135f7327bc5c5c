//! Time that this thread ran: what else runs on the machine does not count.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "a call of the C library"))]

/// Seconds that `work` kept this thread running; where the system cannot tell, seconds that passed.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = now();
    work();
    now() - start
}

#[cfg(target_os = "linux")]
fn now() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: std::ffi::c_long,
        nanoseconds: std::ffi::c_long,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: std::ffi::c_int, time: *mut Timespec) -> std::ffi::c_int;
    }
    /// `CLOCK_THREAD_CPUTIME_ID`
    const THREAD: std::ffi::c_int = 3;
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: declared as in time.h of 64-bit Linux; the place is ours.
    assert_eq!(unsafe { clock_gettime(THREAD, &mut time) }, 0);
    time.seconds as f64 + time.nanoseconds as f64 / 1e9
}

#[cfg(not(target_os = "linux"))]
fn now() -> f64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}
