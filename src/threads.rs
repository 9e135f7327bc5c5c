//! Threads: how many the system lets start, stacks of a known size, panics that stay inside, and locks past a panic.
//!
//! Enters: a wish, code of others, or a lock. Leaves: what the system allows, or an error. May import: error.
//!
//! Native runtimes end the process, or wait for ever, where a thread that they want does not start; so what they want is
//! tried here first, with threads of ours.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{LockResult, Once, OnceLock, PoisonError};
use std::thread::Builder;

use crate::{Code, Error, Result};

/// The stack of a thread that says nothing about it: what pthreads take on Linux. Where it is less, more is asked for here than
/// will be needed.
const DEFAULT_STACK: usize = 8 << 20;
/// What a runtime takes for each thread beside its stack: of ONNX Runtime it is 100 KiB of queues.
const QUEUES: usize = 1 << 20;
/// What a starting thread takes beside its stack, with room for what others take at the same time.
const MARGIN: usize = 16 << 20;

/// How many threads, `wanted` at most, the system lets start now beside those there are, with `beside` bytes of memory left for
/// other things. They are started, all live at the same time, and end before this returns: about 20 µs for each.
pub(crate) fn startable(wanted: usize, beside: usize) -> usize {
    let Ok(_beside) = reserve(beside) else { return 0 };
    let mut ends = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..wanted {
        // A thread that has started and then finds no memory for what the language needs of it ends the process.
        if reserve(DEFAULT_STACK + MARGIN).is_err() {
            break;
        }
        let (end, ended) = sync_channel::<()>(0);
        let (started, has_started) = sync_channel::<()>(0);
        let wait = move || {
            drop(started);
            let _ = ended.recv();
        };
        let Ok(thread) = Builder::new().stack_size(DEFAULT_STACK + QUEUES).spawn(wait) else { break };
        let _ = has_started.recv();
        ends.push(end);
        threads.push(thread);
    }
    drop(ends);
    let count = threads.len();
    threads.into_iter().for_each(|thread| drop(thread.join()));
    count
}

/// Address space that is taken and not touched, until it is dropped.
///
/// Errors: `OutOfMemory`.
pub(crate) fn reserve(bytes: usize) -> Result<Vec<u8>> {
    let mut room = Vec::new();
    let no_memory = |e| Error::new(Code::OutOfMemory, format!("no {bytes} bytes of memory")).because(e);
    room.try_reserve_exact(bytes).map_err(no_memory)?;
    // A compiler may leave out memory that nobody looks at, and with it the answer to whether there is any.
    std::hint::black_box(room.as_mut_ptr());
    Ok(room)
}

/// The threads that `what` gets of those that it wants, beside the caller's own: fewer where the system starts no more, which
/// is a warning in the log.
///
/// # Errors
///
/// `OutOfMemory` where not even the first starts, if any is wanted.
pub(crate) fn granted(what: &str, wanted: usize, beside: usize) -> Result<usize> {
    let got = startable(wanted, beside);
    if got == 0 && wanted > 0 {
        return Err(Error::new(Code::OutOfMemory, format!("{what}: the system starts no thread, wanted {wanted}")));
    }
    if got < wanted {
        tracing::warn!("{what}: the system starts {got} more threads, wanted {wanted}; it will compute on fewer");
    }
    Ok(got)
}

/// Makes sure that rayon's pool, the caller's or the global one, is there: rayon panics where it cannot start its threads.
///
/// # Errors
///
/// `OutOfMemory` where no thread starts.
pub(crate) fn pool() -> Result<()> {
    static GLOBAL: OnceLock<Result<()>> = OnceLock::new();
    if rayon::current_thread_index().is_some() {
        return Ok(());
    }
    GLOBAL.get_or_init(global_pool).clone()
}

fn global_pool() -> Result<()> {
    let wanted = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let got = granted("the pool of rayon", wanted, 0)?;
    if got < wanted {
        // Whoever made the pool before has what he wants.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(got).build_global();
    }
    Ok(())
}

/// Runs `f` on a thread of its own with a stack of so many bytes, which are reserved and take memory only where they are
/// touched.
///
/// # Errors
///
/// `OutOfMemory` if the thread does not start; `Panic` if `f` panics.
pub(crate) fn on_stack<T: Send>(name: &str, bytes: usize, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let refused = |e| {
            let what = format!("{name}: no thread with a stack of {bytes} bytes");
            Error::new(Code::OutOfMemory, what).because(e)
        };
        let thread = Builder::new().name(name.into()).stack_size(bytes).spawn_scoped(scope, f).map_err(refused)?;
        let panicked = |payload: Box<dyn Any + Send>| {
            Err(Error::new(Code::Panic, format!("{name}: it panicked: {}", message(&*payload))))
        };
        thread.join().unwrap_or_else(panicked)
    })
}

/// Runs code of others; a panic of it comes back as its message. The host's panic hook does not hear of it, for it is an error
/// like any other: a hook of ours stands before the host's, and passes on all panics but these.
pub(crate) fn contained<T>(f: impl FnOnce() -> T) -> std::result::Result<T, String> {
    let _quiet = Quiet::begin();
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| message(&*payload))
}

/// From now on a panic of this thread is not reported: for threads of a pool that run nothing but code that [`contained`] runs.
#[cfg_attr(not(feature = "rten"), allow(dead_code, reason = "other pools are known by the names of their threads"))]
pub(crate) fn quiet() {
    drop(Quiet::begin());
    CONTAINS.set(true);
}

/// Guard of a lock, also after a thread panicked while it held it. For state that is of use after any panic.
pub(crate) fn unpoisoned<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Pools of threads that run nothing but code that [`contained`] runs.
const POOLS: [&str; 2] = ["selvedge-tract", "selvedge-table"];

thread_local! {
    /// Whether this thread is inside of [`contained`].
    static CONTAINS: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, a panic of this thread is not reported.
struct Quiet {
    before: bool,
}

impl Quiet {
    fn begin() -> Self {
        static HOOK: Once = Once::new();
        // A thread that panics may not change the hook.
        if !std::thread::panicking() {
            HOOK.call_once(|| {
                let hook = panic::take_hook();
                panic::set_hook(Box::new(move |info| {
                    let name = std::thread::current().name().map(str::to_owned).unwrap_or_default();
                    let in_pool = POOLS.iter().any(|pool| name.starts_with(pool));
                    if !in_pool && !CONTAINS.try_with(Cell::get).unwrap_or(false) {
                        hook(info);
                    }
                }));
            });
        }
        Self { before: CONTAINS.replace(true) }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        CONTAINS.set(self.before);
    }
}

#[cfg(test)]
mod tests;
