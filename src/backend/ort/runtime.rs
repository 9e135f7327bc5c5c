//! The ONNX Runtime of this process: one library, loaded once and kept; one environment.
//!
//! The C API is called through `ort-sys` alone. The safe wrapper above it, `ort`, panics where the
//! library is missing, allows one environment per process even to programs that use it beside us, and
//! runs a session from one thread at a time.

#![expect(unsafe_code, reason = "loads a C library and calls it")]

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::Library;
use ort_sys::{OrtAllocator, OrtApi, OrtApiBase, OrtEnv, OrtLoggingLevel, OrtMemoryInfo, OrtStatusPtr};

use super::failure::Failure;
use super::locate::{self, Search, Surroundings, VARIABLE};
use crate::{Code, Error, Result};

/// The API version asked for; ONNX Runtime 1.x has API x and all before it.
pub(super) const API: u32 = ort_sys::ORT_API_VERSION;

/// A loaded library and its environment.
pub(super) struct Runtime {
    pub(super) api: &'static OrtApi,
    pub(super) env: NonNull<OrtEnv>,
    /// "CPU memory of the caller".
    pub(super) memory: NonNull<OrtMemoryInfo>,
    pub(super) allocator: NonNull<OrtAllocator>,
    /// The library's own version, such as `1.31.1`.
    pub(super) version: String,
    path: PathBuf,
    /// What it was loaded by: a path, or a bare name for the system's loader.
    asked: PathBuf,
}

// SAFETY: environment, memory info and default allocator are never released, are not tied to a thread, and
// the API allows their use from any thread at the same time.
unsafe impl Send for Runtime {}
// SAFETY: as above.
unsafe impl Sync for Runtime {}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

impl Runtime {
    /// The runtime of this process, loaded at the first call.
    ///
    /// # Errors
    ///
    /// `MissingRuntime` if none is found or the one that `option` or the environment names does
    /// not work; `Busy` if `option` names another library than the one that is loaded.
    pub(super) fn get(option: Option<&Path>, python: bool) -> Result<&'static Self> {
        static LOADING: Mutex<()> = Mutex::new(());
        if RUNTIME.get().is_none() {
            let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
            if RUNTIME.get().is_none() {
                let runtime = Self::load(&locate::search(option, &Surroundings::of_process(own_library(), python)))?;
                return Ok(RUNTIME.get_or_init(|| runtime));
            }
        }
        let runtime = RUNTIME.get().ok_or_else(|| Error::internal("ONNX Runtime was not kept"))?;
        runtime.expect(option)?;
        Ok(runtime)
    }

    /// Fails if `option` names another library than this one.
    fn expect(&self, option: Option<&Path>) -> Result<()> {
        let Some(named) = option else { return Ok(()) };
        let search = locate::search(Some(named), &Surroundings::default());
        if search.candidates.iter().any(|c| *c == self.asked || same(c, &self.path)) {
            return Ok(());
        }
        Err(Error::new(
            Code::Busy,
            format!(
                "ONNX Runtime {} is loaded from {}; a process can have one, so {} cannot be loaded beside it",
                self.version,
                self.path.display(),
                named.display()
            ),
        ))
    }

    /// Loads the first candidate that works.
    pub(super) fn load(search: &Search) -> Result<Self> {
        let mut refused = Vec::new();
        for candidate in &search.candidates {
            match open(candidate) {
                Ok(opened) => return opened.start(),
                // Of the loader's names, "not found" is said by the list of places.
                Err(_) if search.named_by.is_none() && !candidate.is_absolute() => {}
                Err(why) => refused.push(why),
            }
        }
        Err(Error::new(Code::MissingRuntime, missing(search, &refused)))
    }

    /// The x of version 1.x.
    pub(super) fn minor(&self) -> u32 {
        numbers(&self.version).1
    }

    /// The status as a result; the status is released.
    pub(super) fn check(&self, status: OrtStatusPtr) -> Result<(), Failure> {
        let Some(status) = NonNull::new(status.0) else { return Ok(()) };
        // SAFETY: `OrtErrorCode` is a C enum, which is passed as an int; as a Rust enum, a code that is newer
        // than the bindings would be undefined behaviour.
        let code_of = unsafe {
            std::mem::transmute::<
                unsafe extern "system" fn(*const ort_sys::OrtStatus) -> ort_sys::OrtErrorCode,
                unsafe extern "system" fn(*const ort_sys::OrtStatus) -> i32,
            >(self.api.GetErrorCode)
        };
        // SAFETY: the status is valid until it is released, once, and so is its message.
        let (code, message) = unsafe {
            let code = code_of(status.as_ptr());
            let message = text((self.api.GetErrorMessage)(status.as_ptr()));
            (self.api.ReleaseStatus)(status.as_ptr());
            (code, message)
        };
        Err(Failure { code, message })
    }

    /// Like [`Runtime::check`], for calls that fail only for a reason of the runtime's own.
    pub(super) fn ok(&self, status: OrtStatusPtr) -> Result<()> {
        self.check(status).map_err(Failure::on_call)
    }
}

/// A library that is ONNX Runtime, and new enough.
struct Opened {
    library: Library,
    api: &'static OrtApi,
    version: String,
    path: PathBuf,
    asked: PathBuf,
}

/// Opens a candidate; says why it will not do.
fn open(candidate: &Path) -> Result<Opened, String> {
    let name = candidate.display();
    // SAFETY: loading runs the initialisers of the library that the caller of `open`, the administrator of the
    // machine or a Python package put in place; `locate` searches no folder that a model could write.
    let library = unsafe { Library::new(candidate) }.map_err(|e| format!("{name}: {e}"))?;
    // SAFETY: in every version of ONNX Runtime, a symbol of this name has this type.
    let base_of = *unsafe { library.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }
        .map_err(|_| format!("{name}: not ONNX Runtime: it has no symbol OrtGetApiBase"))?;
    // SAFETY: the function takes nothing and returns a pointer to a static table, or null.
    let base = unsafe { base_of().as_ref() }.ok_or_else(|| format!("{name}: OrtGetApiBase returned null"))?;
    // SAFETY: the two members of the table have not changed since version 1.0.
    let version = unsafe { text((base.GetVersionString)()) };
    // Asked by version first: GetApi writes to stderr when it has to refuse.
    if !is_new_enough(&version) {
        return Err(format!("{name}: expected ONNX Runtime 1.x from 1.{API} on, got {version}"));
    }
    // SAFETY: returns a table of at least `API`'s size that lives as long as the library, or null.
    let api = unsafe { (base.GetApi)(API).as_ref() }.ok_or_else(|| format!("{name}: it has no API version {API}"))?;
    let path = file_of(base_of as *const c_void).unwrap_or_else(|| candidate.into());
    Ok(Opened { library, api, version, path, asked: candidate.into() })
}

impl Opened {
    fn start(self) -> Result<Runtime> {
        let mut runtime = Runtime {
            api: self.api,
            env: NonNull::dangling(),
            memory: NonNull::dangling(),
            allocator: NonNull::dangling(),
            version: self.version,
            path: self.path,
            asked: self.asked,
        };
        // The tables and threads of the library are used until the process ends, failed start or not.
        std::mem::forget(self.library);
        let (mut env, mut memory, mut allocator) = (null_mut(), null_mut(), null_mut());
        // SAFETY: the strings are constants, the out-pointers are live, and `log` is a function of the type
        // called for that never unwinds.
        unsafe {
            let api = runtime.api;
            runtime.ok((api.CreateEnvWithCustomLogger)(log, null_mut(), severity(), c"selvedge".as_ptr(), &mut env))?;
            runtime.env = some(env, "environment")?;
            runtime.ok((api.DisableTelemetryEvents)(env))?;
            let (kind, place) = (ort_sys::OrtAllocatorType::OrtDeviceAllocator, ort_sys::OrtMemType::OrtMemTypeDefault);
            runtime.ok((api.CreateCpuMemoryInfo)(kind, place, &mut memory))?;
            runtime.memory = some(memory, "memory info")?;
            runtime.ok((api.GetAllocatorWithDefaultOptions)(&mut allocator))?;
            runtime.allocator = some(allocator, "allocator")?;
        }
        tracing::debug!("ONNX Runtime {} loaded from {}", runtime.version, runtime.path.display());
        Ok(runtime)
    }
}

/// An out-pointer of a call that succeeded.
pub(super) fn some<T>(pointer: *mut T, what: &str) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(|| Error::backend(format!("ONNX Runtime gave no {what}")))
}

/// A copy of a C string of the runtime.
///
/// # Safety
///
/// `string` is null or ends with NUL and is valid during the call.
pub(super) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

fn is_new_enough(version: &str) -> bool {
    let (major, minor) = numbers(version);
    major == 1 && minor >= API
}

/// Major and minor number of a version; 0 for what is no number.
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn missing(search: &Search, refused: &[String]) -> String {
    let refused = match refused {
        [] => String::new(),
        some => format!(" Refused: {}.", some.join("; ")),
    };
    let looked = match search.named_by {
        Some(_) => format!("the library named by {} cannot be used.", search.places.join(", ")),
        None => {
            format!("no ONNX Runtime 1.{API} or later was found.{refused} Looked at: {}.", search.places.join(", "))
        }
    };
    let named = if search.named_by.is_some() { refused.as_str() } else { "" };
    format!(
        "{looked}{named} Ways to get one: `pip install onnxruntime`, the system's package, or a release from \
         https://github.com/microsoft/onnxruntime/releases; then set {VARIABLE} or \
         Options::onnxruntime to the library file, or Options::search_python for the package"
    )
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// How much the runtime should say: its INFO is chatter at every run, worth no more than our debug.
pub(super) fn severity() -> OrtLoggingLevel {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current() {
        LevelFilter::TRACE => OrtLoggingLevel::ORT_LOGGING_LEVEL_VERBOSE,
        LevelFilter::DEBUG => OrtLoggingLevel::ORT_LOGGING_LEVEL_INFO,
        _ => OrtLoggingLevel::ORT_LOGGING_LEVEL_WARNING,
    }
}

unsafe extern "system" fn log(
    _: *mut c_void,
    severity: OrtLoggingLevel,
    _category: *const c_char,
    _id: *const c_char,
    location: *const c_char,
    message: *const c_char,
) {
    // A subscriber that panics must not unwind into C++. There is nobody to tell of it.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the runtime passes C strings that live during the call.
        let (location, message) = unsafe { (text(location), text(message)) };
        match severity {
            OrtLoggingLevel::ORT_LOGGING_LEVEL_VERBOSE => tracing::trace!(target: "onnxruntime", location, "{message}"),
            OrtLoggingLevel::ORT_LOGGING_LEVEL_INFO => tracing::debug!(target: "onnxruntime", location, "{message}"),
            OrtLoggingLevel::ORT_LOGGING_LEVEL_WARNING => tracing::warn!(target: "onnxruntime", location, "{message}"),
            _ => tracing::error!(target: "onnxruntime", location, "{message}"),
        }
    }));
}

/// The shared library, or executable, that this code is in.
fn own_library() -> Option<PathBuf> {
    file_of(own_library as *const c_void)
}

/// The file that an address was loaded from.
#[cfg(unix)]
fn file_of(address: *const c_void) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    use std::ptr::null;
    #[repr(C)]
    struct DlInfo {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        symbol_address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut DlInfo) -> std::ffi::c_int;
    }
    let mut info = DlInfo { file: null(), base: null_mut(), symbol: null(), symbol_address: null_mut() };
    // SAFETY: `dladdr` takes any address, and fills a struct of this layout (POSIX.1-2024).
    if unsafe { dladdr(address, &mut info) } == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: on success the file's name is a C string of the loader, valid while the object is loaded.
    let file = unsafe { CStr::from_ptr(info.file) };
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(file.to_bytes()))).filter(|p| p.is_absolute())
}

#[cfg(not(unix))]
fn file_of(_: *const c_void) -> Option<PathBuf> {
    None
}
