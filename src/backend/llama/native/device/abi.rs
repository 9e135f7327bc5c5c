//! Layout of ggml's backends, as `ggml-backend-impl.h` of `llama-cpp-sys-2` 0.1.161 has it: what a backend of ours is made of.
//!
//! The header is none of the public ones, so no binding has it. The version of its interface is in every registration that ggml
//! makes, and is compared with [`VERSION`] before anything of ours is registered.

use std::ffi::{c_char, c_int, c_void};

use llama_cpp_sys_2 as sys;

/// `GGML_BACKEND_API_VERSION`.
pub(super) const VERSION: c_int = 3;

/// A function that ggml does without, and that is not there.
pub(super) type Absent = Option<extern "C" fn()>;

/// `ggml_backend_reg`.
#[repr(C)]
pub(super) struct Registration {
    pub(super) version: c_int,
    pub(super) name: extern "C" fn(sys::ggml_backend_reg_t) -> *const c_char,
    pub(super) devices: extern "C" fn(sys::ggml_backend_reg_t) -> usize,
    pub(super) device: unsafe extern "C" fn(sys::ggml_backend_reg_t, usize) -> sys::ggml_backend_dev_t,
    pub(super) function: unsafe extern "C" fn(sys::ggml_backend_reg_t, *const c_char) -> *mut c_void,
    pub(super) context: *mut c_void,
}

/// `ggml_backend_device`.
#[repr(C)]
pub(super) struct Device {
    pub(super) functions: DeviceFunctions,
    pub(super) registration: sys::ggml_backend_reg_t,
    pub(super) context: *mut c_void,
}

/// `ggml_backend_device_i`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct DeviceFunctions {
    pub(super) name: extern "C" fn(sys::ggml_backend_dev_t) -> *const c_char,
    pub(super) description: extern "C" fn(sys::ggml_backend_dev_t) -> *const c_char,
    pub(super) memory: unsafe extern "C" fn(sys::ggml_backend_dev_t, *mut usize, *mut usize),
    pub(super) kind: extern "C" fn(sys::ggml_backend_dev_t) -> sys::ggml_backend_dev_type,
    pub(super) properties: unsafe extern "C" fn(sys::ggml_backend_dev_t, *mut sys::ggml_backend_dev_props),
    pub(super) backend: unsafe extern "C" fn(sys::ggml_backend_dev_t, *const c_char) -> sys::ggml_backend_t,
    pub(super) buffer_type: extern "C" fn(sys::ggml_backend_dev_t) -> sys::ggml_backend_buffer_type_t,
    pub(super) host_buffer_type: Absent,
    pub(super) buffer_of:
        unsafe extern "C" fn(sys::ggml_backend_dev_t, *mut c_void, usize, usize) -> sys::ggml_backend_buffer_t,
    pub(super) takes: unsafe extern "C" fn(sys::ggml_backend_dev_t, *const sys::ggml_tensor) -> bool,
    pub(super) reads: unsafe extern "C" fn(sys::ggml_backend_dev_t, sys::ggml_backend_buffer_type_t) -> bool,
    pub(super) wants: Absent,
    pub(super) events: [Absent; 3],
}

/// `ggml_backend`.
#[repr(C)]
pub(super) struct Backend {
    pub(super) guid: *mut sys::ggml_guid,
    pub(super) functions: BackendFunctions,
    pub(super) device: sys::ggml_backend_dev_t,
    pub(super) context: *mut c_void,
}

/// `ggml_backend_i`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct BackendFunctions {
    pub(super) name: extern "C" fn(sys::ggml_backend_t) -> *const c_char,
    pub(super) free: unsafe extern "C" fn(sys::ggml_backend_t),
    /// Copies while something else is computed.
    pub(super) copies: [Absent; 5],
    pub(super) synchronize: Absent,
    pub(super) plans: [Absent; 4],
    pub(super) compute: unsafe extern "C" fn(sys::ggml_backend_t, *mut sys::ggml_cgraph) -> sys::ggml_status,
    pub(super) events: [Absent; 2],
    pub(super) optimize: Absent,
}

// As many pointers as the header has.
const _: () = {
    const POINTER: usize = size_of::<*const c_void>();
    assert!(size_of::<Registration>() == 6 * POINTER);
    assert!(size_of::<DeviceFunctions>() == 15 * POINTER && size_of::<Device>() == 17 * POINTER);
    assert!(size_of::<BackendFunctions>() == 16 * POINTER && size_of::<Backend>() == 19 * POINTER);
};
