//! Buffers: what a call made, for as long as C keeps it.

use super::*;

/// The bytes of a buffer; it is freed.
pub(crate) fn taken(buffer: *mut selvedge_buffer) -> Vec<u8> {
    let mut len = usize::MAX;
    // SAFETY: `len` may be written, and the bytes and a NUL live until the buffer is freed.
    let bytes = unsafe {
        let data = selvedge_buffer_data(buffer, &raw mut len).cast::<u8>();
        assert!(data.addr().is_multiple_of(8), "aligned for any dtype");
        assert_eq!(*data.add(len), 0, "a NUL follows");
        std::slice::from_raw_parts(data, len).to_vec()
    };
    assert_eq!(selvedge_buffer_free(buffer), SELVEDGE_OK);
    bytes
}

#[test]
fn what_is_no_live_buffer_is_empty() {
    let (path, mut buffer) = (file("examples/quickstart/rain.onnx"), ptr::null_mut());
    // SAFETY: the source lives during the call.
    call(|err| unsafe { selvedge_inspect(&by_path(&path), ptr::null(), &raw mut buffer, err) }).unwrap();
    assert!(!taken(buffer).is_empty());
    let mut cancel = ptr::null_mut();
    // SAFETY: `cancel` may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
    for none in [ptr::null_mut(), buffer, ptr::without_provenance_mut(1), cancel.cast()] {
        let mut len = usize::MAX;
        // SAFETY: `len` may be written or is NULL, and nothing is what a wrong handle gives.
        unsafe {
            assert_eq!(CStr::from_ptr(selvedge_buffer_data(none, &raw mut len).cast()), c"");
            assert_eq!(CStr::from_ptr(selvedge_buffer_data(none, ptr::null_mut()).cast()), c"");
        }
        assert_eq!(len, 0);
    }
    assert_eq!(selvedge_buffer_free(buffer), BAD_HANDLE);
    assert_eq!(selvedge_buffer_free(cancel.cast()), BAD_HANDLE);
    assert_eq!(selvedge_buffer_free(ptr::null_mut()), SELVEDGE_OK);
    assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
}
