//! The library of the benchmark: all of `selvedge_jni`, and an engine whose tokens cost next to nothing, so that what is
//! measured is the way from it to Kotlin.

#![expect(unsafe_code, reason = "is called by the virtual machine, and calls the C ABI")]

use std::ptr;
use std::time::Instant;

use jni_sys::{JNIEnv, jclass, jint, jlong};
use selvedge::fake::Fake;
use selvedge_ffi::abi::*;
use selvedge_ffi::{export, selvedge_engine_generate, selvedge_run_free, selvedge_run_next};
// Named, so that its natives are linked in.
pub use selvedge_jni::JNI_OnLoad;

/// An engine that answers with so many words; 0 if there is none.
///
/// # Safety
///
/// Called by the virtual machine.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn Java_dev_selvedge_BenchKt_fakeEngine(
    _env: *mut JNIEnv,
    _class: jclass,
    words: jint,
) -> jlong {
    let reply = "word ".repeat(usize::try_from(words).unwrap_or(0));
    export(Fake::text(reply).context_tokens(1 << 20).build()).map_or(0, |engine| engine.addr() as jlong)
}

/// The nanoseconds in which C pulls all of an answer of that engine; 0 if it cannot.
///
/// # Safety
///
/// Called by the virtual machine.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn Java_dev_selvedge_BenchKt_pullInC(
    _env: *mut JNIEnv,
    _class: jclass,
    engine: jlong,
) -> jlong {
    let engine = ptr::without_provenance::<selvedge_engine>(engine as usize);
    let prompt = selvedge_text { data: c"go".as_ptr(), len: 2 };
    let request = selvedge_generate {
        struct_size: size_of::<selvedge_generate>(),
        prompt,
        max_tokens: u32::MAX,
        ..Default::default()
    };
    let (mut run, mut event) = (ptr::null_mut(), selvedge_event::default());
    event.struct_size = size_of::<selvedge_event>();
    let from = Instant::now();
    // SAFETY: request, run and event are this call's.
    unsafe {
        if selvedge_engine_generate(engine, &request, ptr::null(), &mut run, ptr::null_mut()) != SELVEDGE_OK {
            return 0;
        }
        while event.kind != SELVEDGE_EVENT_DONE {
            if selvedge_run_next(run, &mut event, ptr::null_mut()) != SELVEDGE_OK {
                return 0;
            }
        }
    }
    let took = from.elapsed().as_nanos() as jlong;
    selvedge_run_free(run);
    took
}
