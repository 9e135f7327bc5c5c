//! What ggml calls: the device, as it is registered, and one backend of it for each context.

#![expect(unsafe_code, reason = "the C interface of ggml's backends")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use llama_cpp_sys_2 as sys;

use super::abi::{Backend, BackendFunctions, Device, DeviceFunctions, Registration, VERSION};
use super::crew::Ended;
use super::products::Products;
use crate::threads;

const NAME: &CStr = c"Selvedge";
const DESCRIPTION: &CStr = c"products of prompts by panels";
static GUID: sys::ggml_guid = *b"selvedge/panels1";

/// Registers the device, once, before any context is made: it is in all that are made from then on, and idle in those that it
/// is not offered to. Not where ggml's interface is another than ours was written for.
pub(in crate::backend::llama::native) fn register() {
    REGISTERED.get_or_init(|| {
        // SAFETY: looks a registration up by its name; null if there is none.
        let cpu = unsafe { sys::ggml_backend_reg_by_name(c"CPU".as_ptr()) };
        // SAFETY: whatever its version, a registration begins with that.
        if cpu.is_null() || unsafe { *cpu.cast::<c_int>() } != VERSION {
            tracing::warn!("llama.cpp computes prompts with its own products: its backends have another interface");
            return None;
        }
        // Both stay as long as the process, as ggml wants it.
        let device = Box::into_raw(Box::new(Device {
            functions: DEVICE,
            registration: ptr::null_mut(),
            context: ptr::null_mut(),
        }));
        let registration = Box::into_raw(Box::new(Registration {
            version: VERSION,
            name: registration_name,
            devices: device_count,
            device: device_at,
            function,
            context: device.cast(),
        }));
        // SAFETY: the device was made above, and nobody else has it yet; the registration is whole and stays.
        unsafe {
            (*device).registration = registration.cast();
            sys::ggml_backend_register(registration.cast());
        }
        NonNull::new(registration).map(Kept)
    });
}

/// Whether contexts have the device.
pub(in crate::backend::llama::native) fn is_registered() -> bool {
    REGISTERED.get().is_some_and(Option::is_some)
}

static REGISTERED: OnceLock<Option<Kept>> = OnceLock::new();

/// The registration, and with it the device: ggml forgets both before the process ends, and a checker of leaks would miss them.
struct Kept(#[expect(dead_code, reason = "what holds it is enough")] NonNull<Registration>);

// SAFETY: nobody reads or writes through it once ggml has it.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

/// The device and the backend of one context. It has a device of its own, so that it is known which context an operation is of.
struct Instance {
    device: Device,
    backend: Backend,
    products: Option<Arc<Products>>,
    threads: Cell<usize>,
    watch: Cell<(sys::ggml_abort_callback, *mut c_void)>,
}

impl Instance {
    fn give_up(&self) -> bool {
        let (ask, data) = self.watch.get();
        // SAFETY: llama.cpp set both, and they are there as long as the context.
        ask.is_some_and(|ask| unsafe { ask(data) })
    }

    fn compute(&self, graph: *mut sys::ggml_cgraph) -> sys::ggml_status {
        let Some(products) = &self.products else { return sys::GGML_STATUS_FAILED };
        // SAFETY: the graph is alive during the call, as are its operations, of which there are so many.
        let operations = unsafe {
            let count = sys::ggml_graph_n_nodes(graph);
            (0..count).map(|i| &*sys::ggml_graph_node(graph, i))
        };
        match products.compute(operations, self.threads.get(), &|| self.give_up()) {
            Ok(Ended::Done) => sys::GGML_STATUS_SUCCESS,
            Ok(Ended::GivenUp) => sys::GGML_STATUS_ABORTED,
            Err(error) => {
                tracing::warn!("products of a prompt: {error}");
                sys::GGML_STATUS_FAILED
            }
        }
    }
}

const DEVICE: DeviceFunctions = DeviceFunctions {
    name: device_name,
    description: device_description,
    memory: device_memory,
    kind: device_kind,
    properties: device_properties,
    backend: device_backend,
    buffer_type: device_buffer_type,
    host_buffer_type: None,
    buffer_of: device_buffer_of,
    takes: device_takes,
    reads: device_reads,
    wants: None,
    events: [None; 3],
};

const BACKEND: BackendFunctions = BackendFunctions {
    name: backend_name,
    free: backend_free,
    copies: [None; 5],
    synchronize: None,
    plans: [None; 4],
    compute: backend_compute,
    events: [None; 2],
    optimize: None,
};

extern "C" fn registration_name(_: sys::ggml_backend_reg_t) -> *const c_char {
    NAME.as_ptr()
}

extern "C" fn device_count(_: sys::ggml_backend_reg_t) -> usize {
    1
}

unsafe extern "C" fn device_at(registration: sys::ggml_backend_reg_t, _: usize) -> sys::ggml_backend_dev_t {
    // SAFETY: ggml passes the registration that it was given.
    unsafe { (*registration.cast::<Registration>()).context.cast() }
}

/// What llama.cpp asks for by name: to set the threads, and what says whether to give up.
unsafe extern "C" fn function(_: sys::ggml_backend_reg_t, name: *const c_char) -> *mut c_void {
    // SAFETY: ggml passes a NUL-terminated name.
    match unsafe { CStr::from_ptr(name) }.to_bytes() {
        b"ggml_backend_set_n_threads" => set_threads as *mut c_void,
        b"ggml_backend_set_abort_callback" => set_watch as *mut c_void,
        _ => ptr::null_mut(),
    }
}

unsafe extern "C" fn set_threads(backend: sys::ggml_backend_t, threads: c_int) {
    // SAFETY: llama.cpp passes a backend of the registration that it has this function from.
    let instance = unsafe { of_backend(backend) };
    instance.threads.set(usize::try_from(threads).unwrap_or(1).max(1));
}

unsafe extern "C" fn set_watch(backend: sys::ggml_backend_t, ask: sys::ggml_abort_callback, data: *mut c_void) {
    // SAFETY: as above.
    unsafe { of_backend(backend) }.watch.set((ask, data));
}

/// # Safety
///
/// The backend is one that [`device_backend`] made, and not freed yet.
unsafe fn of_backend<'a>(backend: sys::ggml_backend_t) -> &'a Instance {
    // SAFETY: the caller's; its context is the address of its instance, which nobody borrows for writing.
    unsafe { &*(*backend.cast::<Backend>()).context.cast::<Instance>() }
}

extern "C" fn device_name(_: sys::ggml_backend_dev_t) -> *const c_char {
    NAME.as_ptr()
}

extern "C" fn device_description(_: sys::ggml_backend_dev_t) -> *const c_char {
    DESCRIPTION.as_ptr()
}

/// Zeros say that there is no memory to report.
unsafe extern "C" fn device_memory(_: sys::ggml_backend_dev_t, free: *mut usize, total: *mut usize) {
    // SAFETY: ggml passes places for both numbers.
    unsafe { (*free, *total) = (0, 0) }
}

extern "C" fn device_kind(_: sys::ggml_backend_dev_t) -> sys::ggml_backend_dev_type {
    sys::GGML_BACKEND_DEVICE_TYPE_ACCEL
}

unsafe extern "C" fn device_properties(_: sys::ggml_backend_dev_t, properties: *mut sys::ggml_backend_dev_props) {
    // SAFETY: ggml passes a place that it has filled with zeros.
    let properties = unsafe { &mut *properties };
    (properties.name, properties.description) = (NAME.as_ptr(), DESCRIPTION.as_ptr());
    properties.type_ = sys::GGML_BACKEND_DEVICE_TYPE_ACCEL;
    (properties.caps.buffer_from_host_ptr, properties.caps.mmap_support) = (true, true);
}

/// A backend for a context, with the products that are offered on this thread. Never null, which would fail the context.
unsafe extern "C" fn device_backend(device: sys::ggml_backend_dev_t, _: *const c_char) -> sys::ggml_backend_t {
    let products = Products::on_offer();
    // SAFETY: ggml passes the device that was registered.
    let registration = unsafe { (*device.cast::<Device>()).registration };
    let (context, device) = (ptr::null_mut(), ptr::null_mut());
    let instance = Box::into_raw(Box::new(Instance {
        device: Device { functions: DEVICE, registration, context },
        backend: Backend { guid: (&raw const GUID).cast_mut(), functions: BACKEND, device, context },
        products,
        threads: Cell::new(1),
        watch: Cell::new((None, ptr::null_mut())),
    }));
    // SAFETY: it was made above, and nobody else has it yet. It stays in place until `backend_free`.
    unsafe {
        (*instance).device.context = instance.cast();
        (*instance).backend.context = instance.cast();
        (*instance).backend.device = (&raw mut (*instance).device).cast();
        (&raw mut (*instance).backend).cast()
    }
}

/// The CPU's own, for we work in its memory.
extern "C" fn device_buffer_type(_: sys::ggml_backend_dev_t) -> sys::ggml_backend_buffer_type_t {
    // SAFETY: returns a static.
    unsafe { sys::ggml_backend_cpu_buffer_type() }
}

unsafe extern "C" fn device_buffer_of(
    _: sys::ggml_backend_dev_t,
    data: *mut c_void,
    size: usize,
    _: usize,
) -> sys::ggml_backend_buffer_t {
    // SAFETY: the caller's memory becomes a buffer of the CPU.
    unsafe { sys::ggml_backend_cpu_buffer_from_ptr(data, size) }
}

unsafe extern "C" fn device_takes(device: sys::ggml_backend_dev_t, operation: *const sys::ggml_tensor) -> bool {
    // SAFETY: ggml passes a device of ours: the registered one, which has no context, or that of an instance.
    let instance = unsafe { (*device.cast::<Device>()).context.cast::<Instance>() };
    if instance.is_null() {
        return false;
    }
    // SAFETY: the instance is there as long as its device; the operation is alive during the call.
    let (instance, operation) = unsafe { (&*instance, &*operation) };
    let takes = || instance.products.as_ref().is_some_and(|products| products.takes(operation));
    threads::contained(takes).unwrap_or(false)
}

unsafe extern "C" fn device_reads(_: sys::ggml_backend_dev_t, kind: sys::ggml_backend_buffer_type_t) -> bool {
    // SAFETY: ggml passes a type of buffers.
    unsafe { sys::ggml_backend_buft_is_host(kind) }
}

extern "C" fn backend_name(_: sys::ggml_backend_t) -> *const c_char {
    NAME.as_ptr()
}

unsafe extern "C" fn backend_free(backend: sys::ggml_backend_t) {
    // SAFETY: ggml passes a backend that `device_backend` made, once, and uses it no more; its context is the box.
    drop(unsafe { Box::from_raw((*backend.cast::<Backend>()).context.cast::<Instance>()) });
}

unsafe extern "C" fn backend_compute(backend: sys::ggml_backend_t, graph: *mut sys::ggml_cgraph) -> sys::ggml_status {
    // SAFETY: ggml passes a backend of ours.
    let instance = unsafe { of_backend(backend) };
    threads::contained(|| instance.compute(graph)).unwrap_or(sys::GGML_STATUS_FAILED)
}
