//! Telemetry folders and their report page.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::*;
use selvedge_ffi::{selvedge_report_html, selvedge_telemetry_open, selvedge_telemetry_status_json};

use crate::base::text_of;
use crate::descriptor::Str;
use crate::failure::{handle, pointer};
use crate::native::natives;

natives! {
    fn telemetry_open(
        env, folder: Str, bytes: i64, history_bytes: i64, segment_bytes: i64, lanes: i32, slots: i32, durability: i32,
    ) -> i64 {
        let folder = env.text("folder", folder)?;
        let limits = selvedge_limits {
            struct_size: size_of::<selvedge_limits>(),
            bytes: bytes as u64,
            history_bytes: history_bytes as u64,
            segment_bytes: segment_bytes as u64,
            lanes: lanes as u32,
            slots: slots as u32,
            durability,
            flags: 0,
        };
        // SAFETY: folder and limits live until the call returns.
        handle(|out, err| unsafe {
            selvedge_telemetry_open(folder.as_ptr().cast(), folder.len(), &limits, out, err)
        })
    }

    fn telemetry_status(env, telemetry: i64) -> Str {
        // SAFETY: both places are this call's.
        text_of(env, |out, err| unsafe { selvedge_telemetry_status_json(pointer(telemetry), out, err) })
    }

    fn report_html(env, folder: Str) -> Str {
        let folder = env.text("folder", folder)?;
        // SAFETY: the folder's name lives until the call returns.
        text_of(env, |out, err| unsafe { selvedge_report_html(folder.as_ptr().cast(), folder.len(), out, err) })
    }
}
