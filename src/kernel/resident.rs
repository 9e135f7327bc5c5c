//! Residency of memory: whether the system has made its pages. Past the caches is the wrong way into pages that it has
//! yet to make.
#![cfg_attr(any(target_os = "linux", target_os = "android"), expect(unsafe_code, reason = "a call of the C library"))]

/// Whether the system has pages for the output already, by a look at a few spread over it; where it cannot be asked,
/// `true`.
pub(super) fn is_resident(out: &[f32]) -> bool {
    const LOOKS: usize = 8;
    let step = (out.len() / LOOKS).max(1);
    // In the middle of each part, since pages at the ends may be shared with other allocations.
    out.chunks(step).all(|part| has_page(&part[part.len() / 2]))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_page(place: &f32) -> bool {
    use std::ffi::{c_int, c_uchar, c_void};
    use std::ptr;
    unsafe extern "C" {
        fn mincore(address: *mut c_void, len: usize, resident: *mut c_uchar) -> c_int;
    }
    /// No system has larger ones; the call wants the beginning of a page.
    const MAX_PAGE_BYTES: usize = 64 << 10;
    let place = ptr::from_ref(place);
    let page = place.wrapping_byte_sub(place.addr() % MAX_PAGE_BYTES);
    let mut resident = [0; MAX_PAGE_BYTES / 4096];
    // SAFETY: nothing is read at the address; there is room for a byte for each page of the length, the smallest of
    // which have 4 KiB.
    let refused = unsafe { mincore(page.cast_mut().cast(), MAX_PAGE_BYTES, resident.as_mut_ptr()) };
    // An address that is not mapped as a whole is an error, which answers nothing.
    refused != 0 || resident[0] & 1 == 1
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_page(_: &f32) -> bool {
    true
}
