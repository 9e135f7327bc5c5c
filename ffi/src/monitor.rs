//! Monitors: engines that are watched; their alerts, feedback and report.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use selvedge::drift::{LabelVerdict, Profile};
use selvedge::layer::monitor::{Label, Monitor};
use selvedge::{Code, Error, Result};

use crate::abi::*;
use crate::alert::{Listener, Texts, Waiting};
use crate::buffer::Buffer;
use crate::config::Config;
use crate::fork::forked;
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out, OutStruct, invalid};
use crate::request::unknown;
use crate::{engine, guard, profile, report, telemetry};

/// Watches an engine.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_new(
    engine: *const selvedge_engine,
    telemetry: *const selvedge_telemetry,
    options: *const selvedge_monitor_options,
    out: *mut *mut selvedge_monitor,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    // Before all else, so that `user_data` is released whatever fails.
    // SAFETY: as above.
    let options = unsafe { Watch::read(options) };
    guard::give(out, err, || {
        let Watch { config, profile, listener } = options?;
        let (engine, telemetry) = (engine::of(engine)?, telemetry::resolve(telemetry)?);
        let waiting = Arc::new(Waiting::default());
        let queue = waiting.clone();
        let Config { monitor, has_classes } = Config::read(&config?, engine, telemetry)?;
        let monitor = monitor.profile(profile?.map(|profile| (*profile).clone())).on_alert(move |event| {
            queue.push(event);
            listener.tell(event);
        });
        handle::publish(Watched { monitor: monitor.build()?, has_classes, waiting, texts: Mutex::default() })
    })
}

/// The watched engine.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_engine(
    monitor: *const selvedge_monitor,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || engine::export(Arc::new(handle::resolve::<Watched>(monitor)?.monitor.clone())))
}

/// The next alert.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_next_alert(
    monitor: *mut selvedge_monitor,
    alert: *mut selvedge_alert,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (alert, err) = unsafe { (OutStruct::zeroed(alert), Out::optional(err)) };
    guard::give(alert, err, || handle::resolve::<Watched>(monitor)?.next_alert())
}

/// Says what was right for an answer.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_feedback(
    monitor: *const selvedge_monitor,
    id: u64,
    label: i32,
    value: u32,
    verdict: *mut i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (verdict, err) = unsafe { (Out::zeroed("verdict", verdict), Out::optional(err)) };
    guard::give(verdict, err, || handle::resolve::<Watched>(monitor)?.feedback(id, label, value))
}

/// Takes in what was recorded.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_tick(
    monitor: *const selvedge_monitor,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        handle::resolve::<Watched>(monitor)?.monitor.tick();
        Ok(())
    })
}

/// Closes the window that is open.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_close_window(
    monitor: *const selvedge_monitor,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let watched = handle::resolve::<Watched>(monitor)?;
        watched.monitor.tick();
        watched.monitor.close_window();
        Ok(())
    })
}

/// The state of the model as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_report_json(
    monitor: *const selvedge_monitor,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let report = handle::resolve::<Watched>(monitor)?.monitor.report();
        handle::publish(Buffer::from(report::json(&report).to_string().as_str()))
    })
}

/// The profile that rows are compared with.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_monitor_profile(
    monitor: *const selvedge_monitor,
    out: *mut *mut selvedge_profile,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let none = || Error::new(Code::NotFound, "profile: none was given, and none is learned yet");
        profile::publish(handle::resolve::<Watched>(monitor)?.monitor.profile().ok_or_else(none)?)
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_monitor_free(monitor: *mut selvedge_monitor) -> selvedge_status {
    guard::status(|| handle::retire::<Watched>(monitor).map(drop))
}

/// The options of a monitor, of which the listener is always there, to be released.
struct Watch {
    config: Result<String>,
    profile: Result<Option<Arc<Profile>>>,
    listener: Listener,
}

impl Watch {
    /// # Safety
    ///
    /// As of [`memory::read`], and the pointers within are as the header asks.
    unsafe fn read(place: *const selvedge_monitor_options) -> Result<Self> {
        if forked() {
            // The call is refused, and so nothing of it is taken.
            return Err(Error::new(Code::Unsupported, "this process was forked"));
        }
        // SAFETY: the caller vouches for it, here and below.
        let o = unsafe { memory::read(place) }?;
        // SAFETY: as above.
        let listener = unsafe { Listener::new(o.on_alert, o.user_data, o.release) };
        // SAFETY: as above.
        let config = unsafe { memory::text("selvedge_monitor_options.config", o.config.data, o.config.len) };
        let profile = if o.profile.is_null() { Ok(None) } else { profile::resolve(o.profile).map(Some) };
        Ok(Self { config: config.map(String::from), profile, listener })
    }
}

/// A monitor behind its handle.
pub(crate) struct Watched {
    pub(crate) monitor: Monitor,
    /// Whether the probe sees classes.
    pub(crate) has_classes: bool,
    pub(crate) waiting: Arc<Waiting>,
    /// What the last alert points to.
    pub(crate) texts: Mutex<Texts>,
}

impl Watched {
    fn next_alert(&self) -> Result<selvedge_alert> {
        let mut texts = match self.texts.try_lock() {
            Ok(texts) => texts,
            Err(TryLockError::Poisoned(texts)) => PoisonError::into_inner(texts),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Code::Busy, "the monitor is being asked for an alert by another thread"));
            }
        };
        Ok(self.waiting.next().map(|event| texts.keep(&event)).unwrap_or_default())
    }

    fn feedback(&self, id: u64, label: i32, value: u32) -> Result<i32> {
        let label = match (label, value) {
            (SELVEDGE_LABEL_CORRECT, 0 | 1) => Label::Correct(value == 1),
            (SELVEDGE_LABEL_CORRECT, _) => return Err(invalid(format!("value: expected 0 or 1, got {value}"))),
            (SELVEDGE_LABEL_CLASS, _) if !self.has_classes => {
                let want = "SELVEDGE_LABEL_CORRECT, as the probe sees no classes";
                return Err(invalid(format!("label: expected {want}, got SELVEDGE_LABEL_CLASS")));
            }
            (SELVEDGE_LABEL_CLASS, _) => match u16::try_from(value).ok().filter(|class| *class != u16::MAX) {
                Some(class) => Label::Class(class),
                None => return Err(invalid(format!("value: expected a class below {}, got {value}", u16::MAX))),
            },
            (other, _) => return Err(unknown("selvedge_label", other)),
        };
        Ok(match self.monitor.feedback(id, label)? {
            LabelVerdict::Unknown => SELVEDGE_VERDICT_UNKNOWN,
            LabelVerdict::Steady { .. } => SELVEDGE_VERDICT_STEADY,
            LabelVerdict::Suspect { .. } => SELVEDGE_VERDICT_SUSPECT,
            LabelVerdict::Drifted { .. } => SELVEDGE_VERDICT_DRIFTED,
            other => {
                return Err(Error::new(
                    Code::Unsupported,
                    format!("a verdict that the C ABI does not know: {other:?}"),
                ));
            }
        })
    }
}

object!(Watched, selvedge_monitor, Tag::Monitor);
