//! The log: lines of the library, and of the runtimes below it, told to a function of the host's.
//!
//! The library writes through `tracing`. The first function that is set makes this file its subscriber, for good; with no
//! function, or level OFF, a line costs the comparison of a number.

#![expect(unsafe_code, reason = "exports a function of the C ABI, and calls the caller's")]

use std::cell::Cell;
use std::ffi::c_void;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use selvedge::{Code, Error, Result};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata, callsite};

use crate::abi::*;
use crate::guard;
use crate::memory::{NO_PLACE, Out, invalid};
use crate::release::Release;
use crate::text::Text;

/// Tells the lines of the log to a function.
///
/// # Safety
///
/// Pointers are as the header asks, and the functions may be called with `user_data`, from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_log_set(
    log: selvedge_log_fn,
    user_data: *mut c_void,
    release: selvedge_release_fn,
    level: i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    // Made before anything can fail, so that it is released in any case.
    // SAFETY: the caller vouches for the function.
    let owner = unsafe { Release::new(release, user_data) };
    guard::give(NO_PLACE, err, || {
        if !(SELVEDGE_LOG_OFF..=SELVEDGE_LOG_TRACE).contains(&level) {
            return Err(invalid(format!("selvedge_log_level: {level} has no meaning in this version of the library")));
        }
        // An earlier function is released here, outside of all locks, or by the thread that is in it.
        let Some(log) = log else {
            drop(set(None, SELVEDGE_LOG_OFF));
            return Ok(());
        };
        subscribe()?;
        drop(set(Some(Arc::new(Hook { log, owner })), level));
        Ok(())
    })
}

/// The host's function.
struct Hook {
    log: unsafe extern "C" fn(*mut c_void, *const selvedge_log_line),
    /// Has its user data, and says when it is no longer needed.
    owner: Release,
}

static HOOK: RwLock<Option<Arc<Hook>>> = RwLock::new(None);
/// The level that is told, as the header has it; OFF while there is no function.
static LEVEL: AtomicI32 = AtomicI32::new(SELVEDGE_LOG_OFF);

/// Puts a function in the place of another, which it gives.
fn set(hook: Option<Arc<Hook>>, level: i32) -> Option<Arc<Hook>> {
    // One at a time, so that what `tracing` keeps of the level is the last one's.
    static SETTING: Mutex<()> = Mutex::new(());
    let _setting = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    let earlier = std::mem::replace(&mut *HOOK.write().unwrap_or_else(PoisonError::into_inner), hook);
    LEVEL.store(level, Ordering::Release);
    callsite::rebuild_interest_cache();
    earlier
}

/// Becomes the subscriber of the process, unless it is already.
fn subscribe() -> Result<()> {
    static SUBSCRIBED: Mutex<bool> = Mutex::new(false);
    let mut subscribed = SUBSCRIBED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*subscribed {
        set_global_default(Lines).map_err(|e| {
            let message = "the log: expected no subscriber of tracing in this process, got one of the host's";
            Error::new(Code::Busy, message).because(e)
        })?;
        *subscribed = true;
    }
    Ok(())
}

/// The subscriber: events become lines, spans are nothing.
struct Lines;

impl Subscriber for Lines {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Asked anew each time: the level may change.
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Acquire) {
            SELVEDGE_LOG_ERROR => LevelFilter::ERROR,
            SELVEDGE_LOG_WARN => LevelFilter::WARN,
            SELVEDGE_LOG_INFO => LevelFilter::INFO,
            SELVEDGE_LOG_DEBUG => LevelFilter::DEBUG,
            SELVEDGE_LOG_TRACE => LevelFilter::TRACE,
            _ => LevelFilter::OFF,
        })
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && number(*metadata.level()) <= LEVEL.load(Ordering::Acquire)
    }

    fn event(&self, event: &Event<'_>) {
        let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            once_per_thread(|| hook.tell(event));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Hook {
    fn tell(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        let (target, message) = (Text::from(metadata.target()), Text::from(&*line.message()));
        let text = |(data, len)| selvedge_text { data, len };
        let line = selvedge_log_line {
            struct_size: size_of::<selvedge_log_line>(),
            level: number(*metadata.level()),
            reserved: 0,
            target: text(target.raw()),
            message: text(message.raw()),
        };
        // SAFETY: whoever set the function vouched for it; the line lives during the call.
        unsafe { (self.log)(self.owner.user_data(), &raw const line) };
    }
}

/// The header's number of a level.
fn number(level: Level) -> i32 {
    match level {
        Level::ERROR => SELVEDGE_LOG_ERROR,
        Level::WARN => SELVEDGE_LOG_WARN,
        Level::INFO => SELVEDGE_LOG_INFO,
        Level::DEBUG => SELVEDGE_LOG_DEBUG,
        Level::TRACE => SELVEDGE_LOG_TRACE,
    }
}

/// Does nothing on a thread that is in it already: the host's function may make calls that write lines. Nor on one that is
/// about to end.
fn once_per_thread(tell: impl FnOnce()) {
    thread_local! {
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }
    let set = |to| INSIDE.try_with(|inside| inside.replace(to)).ok();
    if set(true) == Some(false) {
        tell();
        set(false);
    }
}

/// A line in the making: the message, then the fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn message(mut self) -> String {
        self.message.push_str(if self.message.is_empty() { self.fields.trim_start() } else { &self.fields });
        self.message
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // A value whose own formatting fails is cut off there; a String takes all that is written to it.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}
