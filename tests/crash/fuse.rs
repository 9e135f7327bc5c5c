//! What a child dies of: at an allocation inside the runtime, at a line that it logs, or by a signal to one of its threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A way to die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    Abort = 1,
    /// A write to nowhere.
    Null = 2,
    /// The macro of ggml's own assertions.
    #[cfg(feature = "llama")]
    Ggml = 3,
}

impl Death {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "abort" => Death::Abort,
            "null" => Death::Null,
            #[cfg(feature = "llama")]
            "ggml" => Death::Ggml,
            _ => panic!("no death '{name}'"),
        }
    }

    pub(crate) fn die(self) -> ! {
        match self {
            Death::Abort => std::process::abort(),
            Death::Null => {
                // SAFETY: none: the process is to die of it.
                unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
                unreachable!("a write to nowhere went well")
            }
            #[cfg(feature = "llama")]
            Death::Ggml => ggml_assert(),
        }
    }
}

#[cfg(feature = "llama")]
fn ggml_assert() -> ! {
    use std::ffi::{c_char, c_int};
    unsafe extern "C" {
        fn ggml_abort(file: *const c_char, line: c_int, format: *const c_char, ...) -> !;
    }
    // SAFETY: what `GGML_ASSERT(false)` calls, with its format and an argument for it.
    unsafe { ggml_abort(c"child.c".as_ptr(), 1, c"GGML_ASSERT(%s) failed".as_ptr(), c"false".as_ptr()) }
}

/// Allocations until the one to die at; below 0 while none is.
static ALLOCATIONS: AtomicI64 = AtomicI64::new(-1);
/// Lines of a runtime's log until the one to die at.
static LINES: AtomicI64 = AtomicI64::new(-1);
static HOW: AtomicU8 = AtomicU8::new(0);

pub(crate) fn at_allocation(n: i64, death: Death) {
    HOW.store(death as u8, Ordering::SeqCst);
    ALLOCATIONS.store(n, Ordering::SeqCst);
}

pub(crate) fn at_line(n: i64, death: Death) {
    HOW.store(death as u8, Ordering::SeqCst);
    LINES.store(n, Ordering::SeqCst);
}

fn burn(fuse: &AtomicI64) {
    if fuse.load(Ordering::Relaxed) >= 0 && fuse.fetch_sub(1, Ordering::SeqCst) == 0 {
        fuse.store(-1, Ordering::SeqCst);
        if HOW.load(Ordering::SeqCst) == Death::Null as u8 { Death::Null.die() } else { Death::Abort.die() }
    }
}

struct Burning;

#[global_allocator]
static BURNING: Burning = Burning;

// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Burning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        burn(&ALLOCATIONS);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Hears the log of the native runtimes, whose functions are on the stack then.
pub(crate) struct Log;

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if ["onnxruntime", "selvedge::llama"].contains(&event.metadata().target()) {
            burn(&LINES);
        } else if *event.metadata().level() <= tracing::Level::WARN {
            let mut text = Text(String::new());
            event.record(&mut text);
            println!("LOG {}", text.0);
        }
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{value:?} ");
    }
}

/// Sends a signal to a thread of this name that is none of Rust's: as if a worker of the runtime had failed. Whether there is one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn signal_a_thread(name: &str, signal: i32) -> bool {
    let mut named = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let comm = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        if comm.trim() == name {
            named.push(path.file_name().unwrap().to_str().unwrap().parse::<i32>().unwrap());
        }
    }
    let Some(last) = named.iter().max() else { return false };
    // SAFETY: a thread of this process.
    unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), *last, signal) };
    true
}
