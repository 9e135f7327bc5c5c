//! Signals: which one ended the process, noted in the mark of the engine that it came from.
//!
//! The handler is installed by the first mark and stays: SIGABRT, SIGSEGV, SIGBUS, SIGILL and SIGFPE, on the thread's
//! alternate stack where it has one. It reads and writes atomics, and calls nothing but `getpid`, `pthread_self`,
//! `clock_gettime`, `prctl`, `sigaction` and `raise`. Then it calls the handler that was there before, or lets the system
//! end the process.
//!
//! A signal is noted for an engine if
//! - it came from this process itself, and not from a `kill` of another one, nor in a child that was forked off; and
//! - its thread is inside a call of that engine; or
//! - its thread is one of a runtime (its name begins with `selvedge`, which on Linux and Android passes on to the threads
//!   that a runtime starts) and the engine is the only one being opened or used, or the only one of those that has not given
//!   an answer yet. Where several could be meant, each gets a note that is not sure.
//! - On Apple systems threads don't inherit names: a fault of a thread that has none gives notes that are not sure.
//!
//! So a fault of the app's own threads is nobody's.

#![expect(unsafe_code, reason = "a signal handler, in terms of the C library")]
#![cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    allow(dead_code, reason = "there is no handler that calls it")
)]

use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::format::word;

/// Whether this system tells by which signal a process ends.
pub(super) const TELLS: bool = cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));

/// The engines that can be marked at the same time, and the calls that can be under way: those beyond leave no note.
const MAX_MARKS: usize = 64;
const MAX_CALLS: usize = 256;

/// The words of each mark, while it lives.
static MARKS: [AtomicPtr<AtomicU64>; MAX_MARKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_MARKS];
static CALLS: [Call; MAX_CALLS] =
    [const { Call { thread: AtomicUsize::new(0), slot: AtomicUsize::new(0) } }; MAX_CALLS];
/// Handlers that are running: they may be reading words.
static HANDLERS: AtomicUsize = AtomicUsize::new(0);

/// A thread inside an engine.
struct Call {
    /// 0: free.
    thread: AtomicUsize,
    /// The slot of its engine, and one.
    slot: AtomicUsize,
}

/// The place of a mark among those of this process.
#[derive(Debug)]
pub(super) struct Slot(usize);

impl Slot {
    /// Installs the handler, and lets it find these words; `None` if there are too many marks. The words must be there until
    /// [`Slot::leave`] has returned.
    pub(super) fn take(words: &[AtomicU64]) -> Option<Self> {
        handler::install();
        let words = words.as_ptr().cast_mut();
        let is_free = |place: &AtomicPtr<AtomicU64>| {
            place.compare_exchange(std::ptr::null_mut(), words, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        };
        MARKS.iter().position(is_free).map(Self)
    }

    /// Takes the words away from the handler; whether it has let them go. If not, the process is about to end.
    pub(super) fn leave(&self) -> bool {
        MARKS[self.0].store(std::ptr::null_mut(), Ordering::SeqCst);
        // A handler that begins now finds nothing.
        HANDLERS.load(Ordering::SeqCst) == 0
    }

    /// This thread is inside the engine until what it gets is dropped.
    pub(super) fn call(&self) -> Entered {
        let (me, slot) = (handler::this_thread(), self.0 + 1);
        for call in probe(me) {
            // Only this thread makes an entry its own, so what it sees of its own entries is true.
            if call.thread.load(Ordering::Relaxed) == me {
                return Entered { call: Some(call), before: call.slot.swap(slot, Ordering::SeqCst) };
            }
            if call.thread.compare_exchange(0, me, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                call.slot.store(slot, Ordering::SeqCst);
                return Entered { call: Some(call), before: 0 };
            }
        }
        Entered { call: None, before: 0 }
    }
}

/// A thread that is inside an engine, or would be if there were room to say so.
pub(super) struct Entered {
    call: Option<&'static Call>,
    /// The engine that it was inside of before.
    before: usize,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(call) = self.call else { return };
        call.slot.store(self.before, Ordering::SeqCst);
        if self.before == 0 {
            call.thread.store(0, Ordering::SeqCst);
        }
    }
}

/// Whether the noted signal is this thread's own: it lives, so another handler has dealt with that.
pub(super) fn is_mine(thread: u64) -> bool {
    thread == handler::this_thread() as u64
}

/// The places where a thread's calls are.
fn probe(thread: usize) -> impl Iterator<Item = &'static Call> {
    // Threads' ids are addresses: the low digits say little.
    let begin = (thread >> 6) ^ (thread >> 14);
    (0..MAX_CALLS).map(move |i| &CALLS[begin.wrapping_add(i) % MAX_CALLS])
}

/// Notes a signal in the marks that it is of. Called by the handler: nothing here allocates, locks or panics.
fn note(signal: u64, thread: usize, is_of_a_runtime: Option<bool>, now: u64) {
    let inside = probe(thread).find(|call| call.thread.load(Ordering::SeqCst) == thread);
    let own = inside.and_then(|call| MARKS.get(call.slot.load(Ordering::SeqCst).wrapping_sub(1)));
    if let Some(words) = own.and_then(words_of) {
        return write(words, signal, thread, word::SURE, now);
    }
    let Some(is_sure) = is_of_a_runtime else { return };
    let busy = || MARKS.iter().filter_map(words_of).filter(|words| is_busy(words));
    let (all, early) = (busy().count(), busy().filter(|words| is_early(words)).count());
    for words in busy() {
        let is_only = all == 1 || early == 1 && is_early(words);
        if is_only || early != 1 {
            write(words, signal, thread, if is_only && is_sure { word::SURE } else { word::UNSURE }, now);
        }
    }
}

fn words_of(place: &AtomicPtr<AtomicU64>) -> Option<&'static [AtomicU64]> {
    let words = place.load(Ordering::SeqCst);
    // SAFETY: what is there are the words of a mark, which stay until its slot has been left and no handler runs.
    (!words.is_null()).then(|| unsafe { std::slice::from_raw_parts(words, super::format::MARK_BYTES / 8) })
}

fn is_busy(words: &[AtomicU64]) -> bool {
    words[word::RUNS].load(Ordering::SeqCst) > 0 || words[word::PHASE].load(Ordering::SeqCst) == 1
}

fn is_early(words: &[AtomicU64]) -> bool {
    words[word::PHASE].load(Ordering::SeqCst) < 4
}

/// The first signal is the cause; those that come of it are not.
fn write(words: &[AtomicU64], signal: u64, thread: usize, evidence: u64, now: u64) {
    if words[word::SIGNAL].load(Ordering::SeqCst) == 0 {
        words[word::THREAD].store(thread as u64, Ordering::SeqCst);
        words[word::TIME].store(now, Ordering::SeqCst);
        words[word::EVIDENCE].store(evidence, Ordering::SeqCst);
        words[word::SIGNAL].store(signal, Ordering::SeqCst);
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod handler {
    use std::ffi::{c_int, c_void};
    use std::mem::{MaybeUninit, zeroed};
    use std::ptr::null_mut;
    use std::sync::Once;
    use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

    use super::HANDLERS;

    /// Sent by `kill`.
    const SI_USER: c_int = if cfg!(target_vendor = "apple") { 0x10001 } else { 0 };
    const SIGNALS: [c_int; 5] = [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
    /// What was there before, in the order of [`SIGNALS`]; kept for ever.
    static BEFORE: [AtomicPtr<libc::sigaction>; SIGNALS.len()] = [const { AtomicPtr::new(null_mut()) }; SIGNALS.len()];
    /// A child that is forked off shares the marks, and is none of them.
    static PROCESS: AtomicU32 = AtomicU32::new(0);

    pub(super) fn this_thread() -> usize {
        // SAFETY: it has no conditions, and reads a register.
        unsafe { libc::pthread_self() as usize }
    }

    pub(super) fn install() {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            PROCESS.store(std::process::id(), Ordering::SeqCst);
            SIGNALS.iter().zip(&BEFORE).for_each(|(signal, before)| install_for(*signal, before));
        });
    }

    fn install_for(signal: c_int, place: &AtomicPtr<libc::sigaction>) {
        let mut before = Box::new(MaybeUninit::<libc::sigaction>::zeroed());
        // SAFETY: the place is writable and of its size. Nothing is changed.
        if unsafe { libc::sigaction(signal, std::ptr::null(), before.as_mut_ptr()) } != 0 {
            return;
        }
        place.store(Box::into_raw(before).cast(), Ordering::SeqCst);
        // SAFETY: all zeros is such a struct. The mask becomes empty, as zeros are not everywhere.
        let mut ours: libc::sigaction = unsafe { zeroed() };
        ours.sa_sigaction = handle as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the struct is ours, and the handler calls only what may be called in one.
        unsafe {
            libc::sigemptyset(&mut ours.sa_mask);
            libc::sigaction(signal, &ours, null_mut());
        }
    }

    unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        HANDLERS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the system gives a signal's information to a handler of this kind.
        let (code, sender) = unsafe { ((*info).si_code, (*info).si_pid()) };
        // SAFETY: it has no conditions.
        let me = unsafe { libc::getpid() };
        let is_sent = code <= 0 || code == SI_USER;
        if me.cast_unsigned() == PROCESS.load(Ordering::SeqCst) && (!is_sent || sender == me) {
            super::note(u64::from(signal.cast_unsigned()), this_thread(), is_of_a_runtime(), now());
        }
        HANDLERS.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: the arguments are those of this handler.
        unsafe { hand_on(signal, info, context, is_sent) };
    }

    /// To whoever was there before.
    ///
    /// # Safety
    ///
    /// Within a handler, with its arguments.
    unsafe fn hand_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, is_sent: bool) {
        let place = SIGNALS.iter().position(|known| *known == signal).and_then(|i| BEFORE.get(i));
        let before = place.map_or(null_mut(), |place| place.load(Ordering::SeqCst));
        // SAFETY: what is there is kept for ever and never changed.
        let before = unsafe { before.as_ref() };
        match before.map_or(libc::SIG_DFL, |before| before.sa_sigaction) {
            libc::SIG_IGN if is_sent => {}
            libc::SIG_DFL | libc::SIG_IGN => {
                // SAFETY: all zeros but for the mask is the default action. A fault happens again once this returns; what was
                // sent is sent again, and comes then.
                unsafe {
                    let mut default: libc::sigaction = zeroed();
                    libc::sigemptyset(&mut default.sa_mask);
                    default.sa_sigaction = libc::SIG_DFL;
                    libc::sigaction(signal, &default, null_mut());
                    if is_sent {
                        libc::raise(signal);
                    }
                }
            }
            handler if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) => {
                type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                // SAFETY: the flag says that it is a function of this type, and the arguments are what the system gave.
                unsafe { std::mem::transmute::<usize, Handler>(handler)(signal, info, context) };
            }
            handler => {
                // SAFETY: without the flag it is a function of this type.
                unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(handler)(signal) };
            }
        }
    }

    fn now() -> u64 {
        // SAFETY: all zeros is a time.
        let mut time: libc::timespec = unsafe { zeroed() };
        // SAFETY: the place is writable, and this call is one of those that a handler may make.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
        u64::try_from(time.tv_sec).unwrap_or(0)
    }

    /// Whether this thread is one of a runtime: `Some(true)`; `Some(false)` if that is not sure.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn is_of_a_runtime() -> Option<bool> {
        let mut name = [0u8; 16];
        // SAFETY: the call writes at most 16 bytes there.
        let status = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        (status == 0 && name.starts_with(b"selvedge")).then_some(true)
    }

    #[cfg(target_vendor = "apple")]
    fn is_of_a_runtime() -> Option<bool> {
        let mut name = [0; 64];
        // SAFETY: the call writes at most 64 bytes there, from the thread's own memory.
        let status = unsafe { libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr(), name.len()) };
        // SAFETY: it has no conditions. The main thread has no name and is the app's.
        let is_main = unsafe { libc::pthread_main_np() } != 0;
        let own = b"selvedge".iter().zip(&name).all(|(a, b)| *a == b.cast_unsigned());
        match status == 0 && !is_main {
            true if own => Some(true),
            true if name[0] == 0 => Some(false),
            _ => None,
        }
    }
}

/// No signals: what a process ends by is not told.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod handler {
    pub(super) fn this_thread() -> usize {
        0
    }

    pub(super) fn install() {}
}
