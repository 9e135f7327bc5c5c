//! A session: a loaded model that any number of threads run at the same time.
//!
//! `OrtApi::Run` may be called on one session from several threads at once: so the maintainers in issues
//! 114 and 22967 of microsoft/onnxruntime ("sessions are stateless so you can call Run concurrently"), and
//! ONNX Runtime's own servers rely on it. That holds for the CPU provider, the only one that is used here.

#![expect(unsafe_code, reason = "calls a C library")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Component, Path, PathBuf};
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort_sys::{
    GraphOptimizationLevel, OrtAllocator, OrtRunOptions, OrtSession, OrtSessionOptions, OrtStatusPtr, OrtValue,
};

use super::runtime::{Runtime, severity, some, text};
use super::value::{self, Input, Value};
use crate::backend::interrupt::Terminate;
use crate::engine::Cancel;
use crate::source::release_pages;
use crate::tensor::Bytes;
use crate::{Error, Result, Tensor};

/// A loaded model.
pub(super) struct Session {
    ptr: NonNull<OrtSession>,
    runtime: &'static Runtime,
    inputs: Vec<CString>,
    outputs: Vec<CString>,
    /// External data that the session uses where it is; released after it.
    _borrowed: BTreeMap<String, Bytes>,
}

// SAFETY: a session is not tied to a thread; what is done with a shared one is `Run`, see the module's docs.
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session is ours and is released once; runs and outputs hold it by `Arc`.
        unsafe { (self.runtime.api.ReleaseSession)(self.ptr.as_ptr()) }
    }
}

/// How to load a model.
pub(super) struct LoadOptions<'a> {
    /// Threads of one run; `None` for the runtime's default, the cores.
    pub threads: Option<i32>,
    /// Files of external data by the location that the model spells.
    pub external: BTreeMap<String, Bytes>,
    /// Whether the tensors in those files may be used where they are, which takes aligned ones.
    pub borrow: bool,
    /// Entries of the configuration that the app asks for.
    pub entries: &'a [(String, String)],
    /// Ends the load.
    pub cancel: Option<&'a Cancel>,
}

impl Session {
    /// Loads a model. Its bytes are copied; so is its external data, unless it may be borrowed and the runtime is
    /// new enough to use it where it is.
    pub(super) fn load(runtime: &'static Runtime, model: &[u8], loading: LoadOptions<'_>) -> Result<Self> {
        let options = Arc::new(Options::new(runtime, loading.threads)?);
        options.entries(loading.entries)?;
        options.external(&loading.external)?;
        let borrow = loading.borrow && runtime.minor() >= BORROWS_SINCE;
        if borrow {
            options.set(BORROW_EXTERNAL, c"1")?;
        }
        let hook = Arc::clone(&options);
        let _hooked = loading.cancel.map(|cancel| cancel.on_cancel(move || hook.cancel()));
        let mut session = null_mut();
        // SAFETY: `model` is readable for its length, which is all that the call reads of it, and is copied.
        let status = unsafe {
            let (bytes, len) = (model.as_ptr().cast::<c_void>(), model.len());
            (runtime.api.CreateSessionFromArray)(runtime.env.as_ptr(), bytes, len, options.ptr.as_ptr(), &mut session)
        };
        let external = !loading.external.is_empty();
        runtime.check(status).map_err(|failure| failure.on_load(external, &NOWHERE.to_string_lossy()))?;
        let borrowed = if borrow { loading.external } else { BTreeMap::new() };
        // A run reads few of them: rows of tables, not what the runtime has made its own form of.
        borrowed.values().for_each(release_pages);
        let (inputs, outputs) = (Vec::new(), Vec::new());
        Ok(Self { ptr: some(session, "session")?, runtime, inputs, outputs, _borrowed: borrowed })
    }

    /// Sets the names that runs call by number.
    pub(super) fn number(&mut self, inputs: Vec<CString>, outputs: Vec<CString>) {
        (self.inputs, self.outputs) = (inputs, outputs);
    }

    pub(super) fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// The names of the inputs as the runtime reads the file: those that a run needs, then those with a default.
    pub(super) fn input_names(&self) -> Result<(Vec<String>, Vec<String>)> {
        let api = self.runtime.api;
        let required = self.names(api.SessionGetInputCount, api.SessionGetInputName)?;
        let optional =
            self.names(api.SessionGetOverridableInitializerCount, api.SessionGetOverridableInitializerName)?;
        Ok((required, optional))
    }

    /// The names of the outputs as the runtime reads the file.
    pub(super) fn output_names(&self) -> Result<Vec<String>> {
        self.names(self.runtime.api.SessionGetOutputCount, self.runtime.api.SessionGetOutputName)
    }

    fn names(&self, count_of: CountOf, name_of: NameOf) -> Result<Vec<String>> {
        let (runtime, session) = (self.runtime, self.ptr.as_ptr().cast_const());
        let mut count = 0;
        // SAFETY: the session is live.
        runtime.ok(unsafe { count_of(session, &mut count) })?;
        let mut names = Vec::with_capacity(count);
        for i in 0..count {
            let mut name = null_mut();
            // SAFETY: `i` is below the count; the name was allocated by the allocator that frees it.
            unsafe {
                runtime.ok(name_of(session, i, runtime.allocator.as_ptr(), &mut name))?;
                names.push(text(name));
                runtime.ok((runtime.api.AllocatorFree)(runtime.allocator.as_ptr(), name.cast()))?;
            }
        }
        Ok(names)
    }

    /// Computes the outputs of these numbers. `inputs` has one entry per input; `None` is left out.
    pub(super) fn run(
        self: &Arc<Self>,
        inputs: Vec<Option<Tensor>>,
        outputs: &[usize],
        terms: Option<&Terms>,
    ) -> Result<Ran> {
        let begun = Instant::now();
        let (mut names, mut values, mut bound) = (Vec::new(), Vec::new(), Vec::new());
        for (name, tensor) in self.inputs.iter().zip(inputs) {
            let Some(tensor) = tensor else { continue };
            let input = Input::new(self.runtime, name, tensor)?;
            names.push(name.as_ptr());
            values.push(input.ptr());
            bound.push(input);
        }
        let mut wanted = Vec::with_capacity(outputs.len());
        for &i in outputs {
            wanted.push(self.outputs.get(i).ok_or_else(|| Error::invalid(format!("output {i} does not exist")))?);
        }
        let wanted_names: Vec<*const c_char> = wanted.iter().map(|name| name.as_ptr()).collect();
        let mut given: Vec<*mut OrtValue> = vec![null_mut(); wanted.len()];
        let prepared = Instant::now();
        // SAFETY: session, run options and input values are live during the call; each array has the length
        // that is passed for it, names and values pairwise; null outputs ask the runtime to allocate.
        let status = unsafe {
            (self.runtime.api.Run)(
                self.ptr.as_ptr(),
                terms.map_or(null(), |terms| terms.ptr.as_ptr()),
                names.as_ptr(),
                values.as_ptr(),
                values.len(),
                wanted_names.as_ptr(),
                wanted_names.len(),
                given.as_mut_ptr(),
            )
        };
        let computed = Instant::now();
        // SAFETY: what a run stores is a new value of ours. All are taken over before the first error returns.
        let given: Vec<_> = given.into_iter().map(|ptr| unsafe { Value::own(self.runtime, ptr) }).collect();
        self.runtime.ok(status)?;
        let mut tensors = Vec::with_capacity(given.len());
        for (name, value) in wanted.into_iter().zip(given) {
            tensors.push(value::output(self.runtime, self.clone(), name, value, &bound)?);
        }
        Ok(Ran { outputs: tensors, prepare: prepared - begun, compute: computed - prepared })
    }
}

type CountOf = unsafe extern "system" fn(*const OrtSession, *mut usize) -> OrtStatusPtr;
type NameOf = unsafe extern "system" fn(*const OrtSession, usize, *mut OrtAllocator, *mut *mut c_char) -> OrtStatusPtr;

/// What a run gave, and how long it took.
pub(super) struct Ran {
    pub outputs: Vec<Tensor>,
    pub prepare: Duration,
    pub compute: Duration,
}

/// The terms of one run: another thread can end it.
pub(super) struct Terms {
    ptr: NonNull<OrtRunOptions>,
    runtime: &'static Runtime,
}

// SAFETY: made on one thread and released on any; while shared, the only use is to set the flag that the
// C API documents for other threads to set.
unsafe impl Send for Terms {}
// SAFETY: as above.
unsafe impl Sync for Terms {}

impl Terms {
    pub(super) fn new(runtime: &'static Runtime) -> Result<Self> {
        let mut ptr = null_mut();
        // SAFETY: the out-pointer is live.
        runtime.ok(unsafe { (runtime.api.CreateRunOptions)(&mut ptr) })?;
        Ok(Self { ptr: some(ptr, "run options")?, runtime })
    }
}

impl Terminate for Terms {
    /// Ends the run that uses these terms, at the next node of the graph.
    fn terminate(&self) {
        // SAFETY: the options are live.
        let status = unsafe { (self.runtime.api.RunOptionsSetTerminate)(self.ptr.as_ptr()) };
        if let Err(failure) = self.runtime.check(status) {
            tracing::error!("ending a run: {failure:?}");
        }
    }
}

impl Drop for Terms {
    fn drop(&mut self) {
        // SAFETY: the options are ours and are released once.
        unsafe { (self.runtime.api.ReleaseRunOptions)(self.ptr.as_ptr()) }
    }
}

/// Where the runtime would look for files that a model names; by default, the working folder.
const EXTERNAL_FOLDER: &CStr = c"session.model_external_initializers_file_folder_path";
/// A folder in which no file can be. Data that was not handed over as bytes is an error.
const NOWHERE: &CStr = if cfg!(windows) { c"NUL" } else { c"/dev/null" };

/// Microseconds that a thread of a run looks for work before it sleeps. By default it looks for long, also after
/// the run: that takes a core from other work, and beside a busy process made runs several times slower.
const SPIN_DURATION: &CStr = c"session.intra_op.spin_duration_us";
/// Use the files of external data where they are, instead of copying them; since ONNX Runtime 1.31.
const BORROW_EXTERNAL: &CStr = c"session.use_external_initializer_file_buffers_directly";

const BORROWS_SINCE: u32 = 31;

/// Multiply bytes with signed bytes exactly. On x86-64 without VNNI the runtime's default adds pairs of products in 16 bits,
/// which saturate: sums are wrong by thousands where both are large.
const PRECISION: &CStr = c"session.x64quantprecision";

/// Entries that an app may not set: they decide which files are read or written.
const RESERVED: [&CStr; 4] = [
    EXTERNAL_FOLDER,
    BORROW_EXTERNAL,
    c"session.optimized_model_external_initializers_file_name",
    c"ep.context_file_path",
];

/// Whether the runtime's products of bytes saturate on this CPU by default.
fn saturates() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !std::is_x86_feature_detected!("avx512vnni") && !std::is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The options of a load.
struct Options {
    ptr: NonNull<OrtSessionOptions>,
    runtime: &'static Runtime,
}

// SAFETY: changed by one thread before the load; shared only to set the cancel flag, which is atomic.
unsafe impl Send for Options {}
// SAFETY: as above.
unsafe impl Sync for Options {}

impl Options {
    fn new(runtime: &'static Runtime, threads: Option<i32>) -> Result<Self> {
        let mut ptr = null_mut();
        // SAFETY: the out-pointer is live.
        runtime.ok(unsafe { (runtime.api.CreateSessionOptions)(&mut ptr) })?;
        let options = Self { ptr: some(ptr, "session options")?, runtime };
        let (api, ptr) = (runtime.api, options.ptr.as_ptr());
        // SAFETY: the options are live and the strings are constants.
        unsafe {
            runtime.ok((api.SetSessionLogSeverityLevel)(ptr, severity() as i32))?;
            runtime.ok((api.SetSessionGraphOptimizationLevel)(ptr, GraphOptimizationLevel::ORT_ENABLE_ALL))?;
            runtime.ok((api.SetInterOpNumThreads)(ptr, 1))?;
            // A pattern of a run's buffers would be a block of its own beside those of the first run: twice the memory,
            // and not faster where measured.
            runtime.ok((api.DisableMemPattern)(ptr))?;
            // 0 is the runtime's default: one thread per physical core.
            runtime.ok((api.SetIntraOpNumThreads)(ptr, threads.unwrap_or(0)))?;
        }
        options.set(EXTERNAL_FOLDER, NOWHERE)?;
        options.set(SPIN_DURATION, c"50")?;
        if saturates() {
            options.set(PRECISION, c"1")?;
        }
        Ok(options)
    }

    /// Sets what the app asks for, after and over what is set here, but for where the runtime looks for files.
    fn entries(&self, entries: &[(String, String)]) -> Result<()> {
        for (key, value) in entries {
            if RESERVED.iter().any(|reserved| reserved.to_bytes() == key.as_bytes()) {
                return Err(Error::invalid(format!(
                    "session entry '{key}': it says where files are, which Selvedge decides"
                )));
            }
            let text = |part: &str, text: &str| {
                CString::new(text).map_err(|_| {
                    Error::invalid(format!("session entry '{}': expected no NUL in its {part}", key.escape_debug()))
                })
            };
            self.set(&text("key", key)?, &text("value", value)?)?;
        }
        Ok(())
    }

    /// Sets an entry of the configuration. A version that does not know it ignores it.
    fn set(&self, key: &CStr, value: &CStr) -> Result<()> {
        let (runtime, options) = (self.runtime, self.ptr.as_ptr());
        // SAFETY: the options are live and the strings are copied.
        runtime.ok(unsafe { (runtime.api.AddSessionConfigEntry)(options, key.as_ptr(), value.as_ptr()) })
    }

    /// Gives the files of external data; the runtime never opens a file by itself.
    fn external(&self, files: &BTreeMap<String, Bytes>) -> Result<()> {
        let mut added = BTreeSet::new();
        for (location, bytes) in files {
            // The runtime takes `./w` and `w` for one name, and a name once.
            let plain: PathBuf = Path::new(location).components().filter(|c| *c != Component::CurDir).collect();
            if !added.insert(plain) {
                continue;
            }
            let name = os_string(location)?;
            let (buffer, len) = (bytes.as_slice().as_ptr(), bytes.as_slice().len());
            // SAFETY: one name, buffer and length each. The name is copied. The buffer is not written to; it is
            // read while the session is made, and longer only where `Session` keeps it.
            self.runtime.ok(unsafe {
                let buffer = buffer.cast::<c_char>().cast_mut();
                (self.runtime.api.AddExternalInitializersFromMemory)(
                    self.ptr.as_ptr(),
                    &name.as_ptr(),
                    &buffer,
                    &len,
                    1,
                )
            })?;
        }
        Ok(())
    }

    fn cancel(&self) {
        // SAFETY: the options are live.
        let status = unsafe { (self.runtime.api.SessionOptionsSetLoadCancellationFlag)(self.ptr.as_ptr(), true) };
        if let Err(failure) = self.runtime.check(status) {
            tracing::error!("ending a load: {failure:?}");
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the options are ours and are released once; a session keeps a copy of its own.
        unsafe { (self.runtime.api.ReleaseSessionOptions)(self.ptr.as_ptr()) }
    }
}

/// A path as the C API takes it.
#[cfg(not(windows))]
fn os_string(path: &str) -> Result<CString> {
    CString::new(path).map_err(|_| Error::corrupt(format!("location '{}': expected no NUL", path.escape_debug())))
}

#[cfg(windows)]
fn os_string(path: &str) -> Result<Vec<u16>> {
    Ok(path.encode_utf16().chain([0]).collect())
}
