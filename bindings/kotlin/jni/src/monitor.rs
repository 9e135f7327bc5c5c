//! Monitors: alerts, feedback, report.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::*;
use selvedge_ffi::*;

use crate::base::text_of;
use crate::callback::{self, Held};
use crate::descriptor::{Listener, Str};
use crate::failure::{call, give, handle, pointer};
use crate::native::natives;
use crate::request::text;

natives! {
    fn monitor_new(env, engine: i64, telemetry: i64, config: Str, profile: i64, listener: Listener) -> i64 {
        let config = env.text("config", config)?;
        let held = Held::listener(env, listener)?;
        let tells = held.is_some();
        let options = selvedge_monitor_options {
            struct_size: size_of::<selvedge_monitor_options>(),
            config: text(&config),
            profile: pointer(profile),
            on_alert: if tells { Some(callback::alert) } else { None },
            release: if tells { Some(callback::release) } else { None },
            user_data: callback::given(held),
        };
        // SAFETY: the configuration lives until the call returns, and the listener until it is released.
        handle(|out, err| unsafe { selvedge_monitor_new(pointer(engine), pointer(telemetry), &options, out, err) })
    }

    fn monitor_engine(env, monitor: i64) -> i64 {
        // SAFETY: both places are this call's.
        handle(|out, err| unsafe { selvedge_monitor_engine(pointer(monitor), out, err) })
    }

    /// Tells `listener` the next alert; 0 if none is waiting.
    fn monitor_next_alert(env, monitor: i64, listener: Listener) -> i32 {
        let mut alert = selvedge_alert { struct_size: size_of::<selvedge_alert>(), ..Default::default() };
        // SAFETY: both places are this call's.
        call(|err| unsafe { selvedge_monitor_next_alert(pointer(monitor), &mut alert, err) })?;
        if alert.event == SELVEDGE_ALERT_NONE {
            return Ok(0);
        }
        // SAFETY: the texts live until the next alert is asked for, which Java does one at a time.
        let texts = unsafe {
            [&alert.kind, &alert.feature, &alert.evidence].map(|one| callback::text(one))
        };
        let numbers = [alert.event, alert.severity, alert.action];
        env.tell_alert(listener.0, numbers, [alert.since, alert.at], texts)?;
        Ok(1)
    }

    fn monitor_feedback(env, monitor: i64, id: i64, label: i32, value: i32) -> i32 {
        // SAFETY: both places are this call's.
        give(|verdict: *mut i32, err| unsafe {
            selvedge_monitor_feedback(pointer(monitor), id as u64, label, value as u32, verdict, err)
        })
    }

    fn monitor_tick(env, monitor: i64) {
        // SAFETY: the place is this call's.
        call(|err| unsafe { selvedge_monitor_tick(pointer(monitor), err) })
    }

    fn monitor_close_window(env, monitor: i64) {
        // SAFETY: the place is this call's.
        call(|err| unsafe { selvedge_monitor_close_window(pointer(monitor), err) })
    }

    fn monitor_report(env, monitor: i64) -> Str {
        // SAFETY: both places are this call's.
        text_of(env, |out, err| unsafe { selvedge_monitor_report_json(pointer(monitor), out, err) })
    }

    fn monitor_profile(env, monitor: i64) -> i64 {
        // SAFETY: both places are this call's.
        handle(|out, err| unsafe { selvedge_monitor_profile(pointer(monitor), out, err) })
    }
}
