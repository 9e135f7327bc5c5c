//! GPUs: the devices that llama.cpp's backends for them find.

#![expect(unsafe_code, reason = "the C API of ggml")]

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use crate::backend::options::Accelerator;
use crate::{Error, Result};

/// The device that computes layers, and how many of the last ones.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend::llama) struct Placement {
    pub(super) device: NonNull<sys::ggml_backend_device>,
    /// With the output as one more; `None` for all.
    pub(super) layers: Option<u32>,
}

impl Placement {
    /// As an app asks for it, once llama.cpp is set up.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no device; `InvalidArgument` for a name that none has.
    pub(in crate::backend::llama) fn of(accelerator: &Accelerator) -> Result<Self> {
        let devices = devices();
        let Some(first) = devices.first() else { return Err(Error::unsupported(missing())) };
        let device = match &accelerator.device {
            Some(wanted) => devices.iter().find(|device| name(**device) == *wanted).ok_or_else(|| {
                let there: Vec<String> = devices.iter().map(|device| name_and_description(*device)).collect();
                Error::invalid(format!("accelerator: expected one of {}, got '{wanted}'", there.join(", ")))
            })?,
            None => first,
        };
        Ok(Self { device: *device, layers: accelerator.layers })
    }

    /// What it computes of a model with so many layers, for people.
    pub(super) fn describe(&self, layers: u32) -> String {
        let all = layers.saturating_add(1);
        let placed = self.layers.unwrap_or(all).min(all);
        format!("{placed} of {all} layers on {}", name_and_description(self.device))
    }
}

/// Why there is no device.
fn missing() -> String {
    let built =
        [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal")), ("vulkan", cfg!(feature = "vulkan"))];
    let built: Vec<&str> = built.iter().filter(|(_, is_built)| *is_built).map(|(name, _)| *name).collect();
    match &built[..] {
        [] => "accelerator: this build has none: enable the feature 'cuda', 'metal' or 'vulkan'".to_owned(),
        built => format!("accelerator: {} finds no GPU on this machine", built.join(" or ")),
    }
}

/// All GPUs, those with memory of their own first.
fn devices() -> Vec<NonNull<sys::ggml_backend_device>> {
    // SAFETY: llama.cpp is set up, and the devices it has are there as long as the process.
    let all = unsafe { (0..sys::ggml_backend_dev_count()).map(|i| sys::ggml_backend_dev_get(i)) };
    let all: Vec<_> = all.filter_map(NonNull::new).collect();
    let of = |wanted| {
        // SAFETY: as above.
        all.iter().copied().filter(move |device| unsafe { sys::ggml_backend_dev_type(device.as_ptr()) } == wanted)
    };
    of(sys::GGML_BACKEND_DEVICE_TYPE_GPU).chain(of(sys::GGML_BACKEND_DEVICE_TYPE_IGPU)).collect()
}

fn name(device: NonNull<sys::ggml_backend_device>) -> String {
    // SAFETY: the device is there as long as the process; so is its name.
    unsafe { text(sys::ggml_backend_dev_name(device.as_ptr())) }
}

fn name_and_description(device: NonNull<sys::ggml_backend_device>) -> String {
    // SAFETY: as above.
    let description = unsafe { text(sys::ggml_backend_dev_description(device.as_ptr())) };
    format!("{} ({description})", name(device))
}

/// # Safety
///
/// The text is null, or NUL-terminated.
unsafe fn text(text: *const c_char) -> String {
    let Some(text) = NonNull::new(text.cast_mut()) else { return String::new() };
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
}
