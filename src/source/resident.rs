//! Memory that a load leaves behind and nobody needs any more.

#![cfg_attr(unix, expect(unsafe_code, reason = "gives pages of a map back, and calls glibc's allocator"))]

#[cfg(unix)]
use super::opened::FileMap;
use crate::tensor::Bytes;

/// Gives the resident pages of a mapped file back; whoever reads them again gets them from the file, or from what the
/// system still has of it. Bytes that are no map of ours, or a system without the call, stay as they are.
///
/// A load that reads all of a file once, to hash it or to turn its weights into another form, otherwise counts it
/// among the memory of the process for as long as the map lives.
pub(crate) fn release_pages(bytes: &Bytes) {
    #[cfg(unix)]
    if let Some(FileMap(map)) = bytes.owner() {
        // SAFETY: such a map is private and read-only, so a page holds nothing but what the file does, and a reader on
        // another thread sees the same bytes before and after.
        let released = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        if let Err(e) = released {
            tracing::debug!("pages of a mapped file stay in memory: {e}");
        }
    }
    #[cfg(not(unix))]
    let _ = bytes;
}

/// Gives back what was freed: glibc keeps it otherwise, of a load twice the weights of a model (44 MB for MobileNetV2 under ONNX
/// Runtime, 15 after this, which took 1.5 ms).
pub(crate) fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: glibc's own function; it may be called at any time.
        unsafe { malloc_trim(0) };
    }
}
