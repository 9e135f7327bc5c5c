//! The promises of `include/selvedge.h`, kept and broken from outside: each test calls the exported functions as C
//! would, with engines whose answers are known.

#![expect(unsafe_code, reason = "calls the C ABI")]

mod alerts;
mod arguments;
mod buffers;
#[path = "../../../tests/support/corpus.rs"]
mod corpus;
#[cfg(all(feature = "llama", unix))]
#[path = "../../../src/weights/tests/craft.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library's own tests need the rest of it")]
mod craft;
#[cfg(all(unix, feature = "tract"))]
mod crashes;
mod delays;
mod engines;
#[cfg(unix)]
mod fork;
mod generate;
#[cfg(unix)]
mod guarded;
mod handles;
mod header;
mod inspect;
mod into;
#[cfg(all(feature = "llama", unix))]
mod language;
mod layering;
mod lending;
mod log;
mod monitors;
mod outboxes;
mod packing;
mod panics;
mod posting;
mod profiles;
mod progress;
mod real;
#[cfg(feature = "tract")]
mod rollouts;
#[cfg(unix)]
mod sources;
mod spelling;
mod steps;
mod stores;
mod strangers;
mod strings;
mod tables;
mod talking;
mod telemetry;
mod tensors;
mod threads;
#[cfg(all(feature = "llama", unix))]
#[path = "../../../tests/gguf/tiny.rs"]
#[allow(dead_code, reason = "the tests of the library need the rest of it")]
mod tiny;
mod tokens;
mod watching;

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use selvedge::{Code, Engine};
use selvedge_ffi::abi::*;
use selvedge_ffi::*;

/// Makes a call with a place for its error, and holds status, error object and message to one another.
#[track_caller]
fn call(f: impl FnOnce(*mut *mut selvedge_error) -> selvedge_status) -> Result<(), (i32, String)> {
    // Not NULL, so that a call that does not write shows.
    let mut err = ptr::without_provenance_mut(0x5eed);
    let status = f(&raw mut err);
    if status == SELVEDGE_OK {
        assert!(err.is_null(), "an error object on success");
        return Ok(());
    }
    assert!(!err.is_null(), "no error object with status {}", status.0);
    assert_eq!(selvedge_error_code(err), status);
    let mut len = usize::MAX;
    // SAFETY: `len` may be written, and the message lives until the error is freed.
    let message = unsafe { CStr::from_ptr(selvedge_error_message(err, &raw mut len)) };
    let message = message.to_str().expect("an error message is UTF-8").to_owned();
    assert_eq!(len, message.len());
    assert!(!message.is_empty());
    assert_eq!(selvedge_error_free(err), SELVEDGE_OK);
    assert_eq!(selvedge_error_free(err), BAD_HANDLE, "an error freed twice");
    Err((status.0, message))
}

/// The call must fail with this code; gives the message.
#[track_caller]
fn refused(code: Code, f: impl FnOnce(*mut *mut selvedge_error) -> selvedge_status) -> String {
    let (got, message) = call(f).expect_err("the call must fail");
    assert_eq!(got, code as i32, "{message}");
    message
}

const BAD_HANDLE: selvedge_status = selvedge_status(13);
const INVALID: selvedge_status = selvedge_status(1);

fn handle(engine: Arc<dyn Engine>) -> *mut selvedge_engine {
    export(engine).expect("a handle is free")
}

/// Lets a raw pointer cross threads, as C does without asking.
struct Shared<T>(*mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: the handles are numbers, and using them from any thread is what is tested.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn get(self) -> *mut T {
        self.0
    }
}

/// A file of the repository.
fn file(rel: &str) -> String {
    format!("{}/../{rel}", env!("CARGO_MANIFEST_DIR"))
}

fn by_path(path: &str) -> selvedge_source {
    init!(selvedge_source { path: text(path) })
}

/// Opens a source; gives the engine's handle.
fn open_source(
    source: &selvedge_source,
    options: Option<&selvedge_options>,
) -> Result<*mut selvedge_engine, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    let options = options.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: source and options live during the call.
    let result = call(|err| unsafe { selvedge_engine_open_source(source, options, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

/// What an engine says of itself.
#[cfg(feature = "tract")]
fn spec_of(engine: *const selvedge_engine) -> serde_json::Value {
    let (mut json, mut len) = (ptr::null(), 0);
    // SAFETY: the places may be written, and the text lives as long as the engine's handle.
    let bytes = unsafe {
        call(|err| selvedge_engine_spec_json(engine, &raw mut json, &raw mut len, err)).unwrap();
        std::slice::from_raw_parts(json.cast::<u8>(), len)
    };
    serde_json::from_slice(bytes).expect("JSON")
}

fn text(s: &str) -> selvedge_text {
    selvedge_text { data: s.as_ptr().cast(), len: s.len() }
}

/// A struct of zeros with its size, as `*_INIT` makes it.
macro_rules! init {
    ($t:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let mut value = selvedge_ffi::abi::$t::default();
        value.struct_size = size_of_val(&value);
        $(value.$field = $value;)*
        value
    }};
}
use init;
