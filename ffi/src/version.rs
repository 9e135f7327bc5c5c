//! Version and features of the library.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use selvedge::kernel;

use crate::abi::SELVEDGE_ABI;
use crate::text::Text;

/// The library's ABI, major << 16 | minor.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_abi_version() -> u32 {
    u32::from(SELVEDGE_ABI.0) << 16 | u32::from(SELVEDGE_ABI.1)
}

/// The library's version.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// The features of this build.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_features() -> *const c_char {
    static NAMES: [u8; ROOM] = joined(FEATURES);
    NAMES.as_ptr().cast()
}

/// The instruction set of the kernels.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_kernel_name() -> *const c_char {
    static NAME: OnceLock<Text> = OnceLock::new();
    NAME.get_or_init(|| kernel::active().name().into()).raw().0
}

/// The features that a build may have, sorted, and whether this one has them.
const FEATURES: &[(&str, bool)] = &[
    ("cuda", cfg!(feature = "cuda")),
    ("keyless", cfg!(feature = "keyless")),
    ("llama", cfg!(feature = "llama")),
    ("metal", cfg!(feature = "metal")),
    ("ort", cfg!(feature = "ort")),
    ("rten", cfg!(feature = "rten")),
    ("table", cfg!(feature = "table")),
    ("tract", cfg!(feature = "tract")),
    ("tract-transformers", cfg!(feature = "tract-transformers")),
    ("vulkan", cfg!(feature = "vulkan")),
];

/// Room for the names of all features; a build in which they do not fit fails to compile.
const ROOM: usize = 96;

/// Those names that are on, with commas between and zeros behind. Made by the compiler: nothing can fail at run time.
const fn joined(features: &[(&str, bool)]) -> [u8; ROOM] {
    let (mut text, mut len, mut i) = ([0; ROOM], 0, 0);
    while i < features.len() {
        let (name, on) = features[i];
        let mut k = 0;
        while on && k < name.len() {
            if k == 0 && len > 0 {
                text[len] = b',';
                len += 1;
            }
            text[len] = name.as_bytes()[k];
            (len, k) = (len + 1, k + 1);
        }
        i += 1;
    }
    assert!(len < ROOM);
    text
}
