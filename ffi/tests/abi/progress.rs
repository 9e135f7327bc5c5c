//! Progress of an open: looked at, and told.

use std::ffi::c_void;
use std::sync::Mutex;

use super::*;

const RAIN: &str = "examples/quickstart/rain.onnx";

fn progress() -> *mut selvedge_progress {
    let mut out = ptr::null_mut();
    // SAFETY: `out` may be written.
    call(|err| unsafe { selvedge_progress_new(&raw mut out, err) }).unwrap();
    out
}

fn read(progress: *const selvedge_progress) -> Result<(u64, u64), (i32, String)> {
    let (mut done, mut total) = (7, 7);
    // SAFETY: both may be written.
    let result = call(|err| unsafe { selvedge_progress_read(progress, &raw mut done, &raw mut total, err) });
    assert!(result.is_ok() || (done, total) == (0, 0), "a failed call zeroes what it would have written");
    result.map(|()| (done, total))
}

/// What a callback was told, and what it found in the handle meanwhile.
#[derive(Default)]
struct Heard {
    told: Mutex<Vec<(u64, u64)>>,
    handle: Mutex<Option<Shared<selvedge_progress>>>,
}

extern "C" fn hear(user_data: *mut c_void, done: u64, total: u64) {
    // SAFETY: the test's own, and it outlives the call.
    let heard = unsafe { &*user_data.cast::<Heard>() };
    heard.told.lock().unwrap().push((done, total));
    if let Some(handle) = *heard.handle.lock().unwrap() {
        assert_eq!(read(handle.get()).unwrap(), (done, total));
    }
    // A callback may make any call, such as one that reports progress itself.
    let path = file(RAIN);
    let mut buffer = ptr::null_mut();
    // SAFETY: the source lives during the call.
    call(|err| unsafe { selvedge_inspect(&by_path(&path), ptr::null(), &raw mut buffer, err) }).unwrap();
    assert_eq!(selvedge_buffer_free(buffer), SELVEDGE_OK);
}

#[test]
fn a_progress_is_nothing_before_its_call_and_ends_with_its_handle() {
    let handle = progress();
    assert_eq!(read(handle).unwrap(), (0, 0));
    assert_eq!(selvedge_progress_free(handle), SELVEDGE_OK);
    assert_eq!(selvedge_progress_free(handle), BAD_HANDLE);
    assert_eq!(selvedge_progress_free(ptr::null_mut()), SELVEDGE_OK);
    assert_eq!(read(handle).unwrap_err().0, Code::BadHandle as i32);
    assert_eq!(read(ptr::null()).unwrap_err().0, Code::InvalidArgument as i32);
    let path = file(RAIN);
    let (code, message) =
        open_source(&by_path(&path), Some(&init!(selvedge_options { progress: handle }))).unwrap_err();
    assert_eq!((code, &*message), (13, "selvedge_progress: expected a live handle, got one that was freed"));
}

#[test]
fn each_place_of_a_progress_is_checked_and_the_other_zeroed() {
    let (handle, mut done, mut total) = (progress(), 7, 7);
    // SAFETY: NULL is what is tested.
    unsafe {
        let null = ptr::null_mut();
        let message = refused(Code::InvalidArgument, |err| selvedge_progress_read(handle, null, &raw mut total, err));
        assert_eq!((&*message, total), ("done: expected a pointer, got NULL", 0));
        let message = refused(Code::InvalidArgument, |err| selvedge_progress_read(handle, &raw mut done, null, err));
        assert_eq!((&*message, done), ("total: expected a pointer, got NULL", 0));
        refused(Code::InvalidArgument, |err| selvedge_progress_new(ptr::null_mut(), err));
    }
    assert_eq!(selvedge_progress_free(handle), SELVEDGE_OK);
}

#[test]
#[cfg(feature = "tract")]
fn an_open_tells_its_bytes_to_the_handle_and_to_the_callback() {
    let (path, handle, heard) = (file(RAIN), progress(), Heard::default());
    *heard.handle.lock().unwrap() = Some(Shared(handle));
    let options = init!(selvedge_options {
        backend: SELVEDGE_BACKEND_TRACT,
        progress: handle,
        on_progress: Some(hear as unsafe extern "C" fn(*mut c_void, u64, u64)),
        user_data: (&raw const heard).cast_mut().cast(),
    });
    let engine = open_source(&by_path(&path), Some(&options)).unwrap();
    // Hashed, then loaded.
    assert_eq!(*heard.told.lock().unwrap(), [(1050, 1050), (0, 1050), (1050, 1050)]);
    assert_eq!(read(handle).unwrap(), (1050, 1050));
    assert_eq!(selvedge_progress_free(handle), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
#[cfg(feature = "tract")]
fn a_progress_may_be_freed_while_its_call_runs() {
    extern "C" fn free(user_data: *mut c_void, _: u64, _: u64) {
        // SAFETY: the test's own handle; only the first call finds one.
        let handle = unsafe { &mut *user_data.cast::<*mut selvedge_progress>() };
        assert_eq!(selvedge_progress_free(std::mem::replace(handle, ptr::null_mut())), SELVEDGE_OK);
    }
    let (path, mut handle) = (file(RAIN), progress());
    let options = init!(selvedge_options {
        backend: SELVEDGE_BACKEND_TRACT,
        progress: handle,
        on_progress: Some(free as unsafe extern "C" fn(*mut c_void, u64, u64)),
        user_data: (&raw mut handle).cast(),
    });
    let engine = open_source(&by_path(&path), Some(&options)).unwrap();
    assert!(handle.is_null(), "the callback was not called");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
