//! Options of opening a model.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::crash::{Attempt, CrashRecord, InCall, Mark, Model, Way};
use crate::engine::{Call, Cancel};
use crate::source::{Access, Loading};
use crate::{Digest, Error, Result};

/// Options of opening a model. The default suits a phone and a server alike.
///
/// ```
/// use selvedge::{Backend, Loading, Options};
/// let options = Options::new().backend(Backend::Tract).threads(2).loading(Loading::Read);
/// assert_eq!(options.threads, Some(2));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The backend; `None` picks it by the file's content. An explicit one always wins, and fails if it cannot.
    pub backend: Option<Backend>,
    /// Threads of one computation; `None` leaves it to the backend: the machine's cores for `ort`, at most eight of
    /// them for `llama`, one for `rten`, `tract` and `table`.
    pub threads: Option<u32>,
    /// Threads of one computation of a prompt, where `llama` is to use others for it than for the next tokens: a prompt is bound
    /// by arithmetic, and the next tokens by memory. `None` is [`Options::threads`]; other backends have no prompts.
    pub prompt_threads: Option<u32>,
    /// Tokens that all runs of a text engine may hold together; `None` takes the model's own context length, but
    /// at most [`Options::DEFAULT_CONTEXT_TOKENS`]. Embedding a text with a language model takes memory for the logits of
    /// each of its tokens, a megabyte a token where the vocabulary is large, and the estimate counts the longest text
    /// that fits: an app that embeds short ones sets less.
    pub context_tokens: Option<u32>,
    /// Runs that a text engine computes side by side; more wait. `None` is [`Options::DEFAULT_PARALLEL`].
    pub parallel: Option<u32>,
    /// Refuse with `OutOfMemory`, before anything is loaded, if the estimate exceeds this many bytes. It is of what an
    /// engine holds once it has run: weights, state and the buffers of one run at a time. A load takes more for a moment,
    /// of an ONNX model up to two or three times its weights. Where an ONNX model leaves a dimension of an input open, the
    /// first counts as 1, the others as 224 in an input of four dimensions or more, and as 128 elsewhere.
    pub memory_limit: Option<u64>,
    /// The way in which the file comes into memory.
    pub loading: Loading,
    /// Whether a path that is a symbolic link is refused with `InvalidArgument`; the same holds for the parts of a split
    /// GGUF model. External data of an ONNX model and the tokenizer beside a table are never read through one.
    pub no_symlinks: bool,
    /// Refuse with `Corrupt` a file whose SHA-256 is another: see [`Provenance::digest`](crate::Provenance::digest) for
    /// what of a model in several files it covers. A GGUF model of another architecture than `bert`, `gemma`, `gemma2`,
    /// `gemma3`, `llama`, `mistral3`, `qwen2`, `qwen3` and `smollm3` opens only with it, else it is `Unsupported`: what
    /// llama.cpp asserts of its tensors is not checked, so it must be the file that the app means.
    pub digest: Option<Digest>,
    /// The ONNX Runtime library; `None` takes what `SELVEDGE_ONNXRUNTIME` or `ORT_DYLIB_PATH` names, else one beside the
    /// program, else the system's.
    pub onnxruntime: Option<PathBuf>,
    /// Whether a library that a Python package has brought will do, too: of the active environment, of every Python on `PATH`,
    /// and of the user. Whoever can write there has his code run.
    pub search_python: bool,
    /// Entries of ONNX Runtime's session configuration, as `onnxruntime_session_options_config_keys.h` lists them; one that a
    /// version does not know it ignores. With any, `open` takes ONNX Runtime for ONNX, and other backends are `Unsupported`.
    /// Those that say where it looks for files are `InvalidArgument`.
    pub session_entries: Vec<(String, String)>,
    /// Whether `llama` computes prompts and texts to embed with kernels of this library: see [`Options::own_products`].
    pub own_products: bool,
    /// The folder in which the speed of runtimes at ONNX models is kept; `None` measures nothing: see [`Options::measure`].
    pub measurements: Option<PathBuf>,
    /// Where `llama` computes layers of a model; `None` is the processor alone: see [`Options::accelerator`].
    pub accelerator: Option<Accelerator>,
    /// LoRA adapters in GGUF files, by the names that requests use. Other backends than `llama` refuse them as `Unsupported`.
    pub adapters: Vec<(String, PathBuf)>,
    /// Ends an open that is under way with `Cancelled`.
    pub cancel: Option<Cancel>,
    /// Receiver of progress, on the thread that opens.
    pub progress: Option<Arc<dyn Fn(OpenProgress) + Send + Sync>>,
    /// The record of models that ended the process; with one, such a model is opened more gently next time, and refused with
    /// `Quarantined` in the end. See [`CrashRecord`] for what counts.
    pub crash_record: Option<CrashRecord>,
    /// The attempt that these options are of, where there is a record.
    pub(super) opening: Option<Opening>,
}

/// An attempt to open a model, on a rung of the ladder.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) attempt: Arc<Attempt>,
    /// Whether the model comes as bytes, so that nothing is mapped.
    pub(super) is_in_memory: bool,
}

impl Options {
    /// The most context taken when [`Options::context_tokens`] does not say.
    pub const DEFAULT_CONTEXT_TOKENS: u32 = 4096;
    /// Runs computed side by side when [`Options::parallel`] does not say.
    pub const DEFAULT_PARALLEL: u32 = 4;

    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens with this backend and no other.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Sets the threads of one computation.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets the threads of one computation of a prompt, for `llama`.
    #[must_use]
    pub fn prompt_threads(mut self, threads: u32) -> Self {
        self.prompt_threads = Some(threads);
        self
    }

    /// Sets the context of a text engine.
    #[must_use]
    pub fn context_tokens(mut self, tokens: u32) -> Self {
        self.context_tokens = Some(tokens);
        self
    }

    /// Sets how many runs a text engine computes side by side.
    #[must_use]
    pub fn parallel(mut self, runs: u32) -> Self {
        self.parallel = Some(runs);
        self
    }

    /// Limits the estimated memory.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Takes the ONNX Runtime library of a Python package, too, where no other is found.
    #[must_use]
    pub fn search_python(mut self) -> Self {
        self.search_python = true;
        self
    }

    /// Adds an entry to ONNX Runtime's session configuration.
    ///
    /// ```
    /// # use selvedge::Options;
    /// let options = Options::new().session_entry("session.set_denormal_as_zero", "1");
    /// assert_eq!(options.session_entries.len(), 1);
    /// ```
    #[must_use]
    pub fn session_entry(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.session_entries.push((key.into(), value.into()));
        self
    }

    /// Sets how the file comes into memory.
    #[must_use]
    pub fn loading(mut self, loading: Loading) -> Self {
        self.loading = loading;
        self
    }

    /// Computes prompts and texts to embed of a GGUF model with matrix products of this library, and the attention of prompts with
    /// it, on a processor with AVX2 or AVX-512. For that the quantized matrices of its layers are packed once more, which takes about as much memory again as they do
    /// in the file, and is part of the estimate. Where an estimate with packed weights would exceed [`Options::memory_limit`] and one
    /// without does not, or the processor has no kernels for it, llama.cpp computes them; other backends ignore it.
    ///
    /// The answers of a model differ in the last bits of their numbers with it and without it.
    ///
    /// ```
    /// # use selvedge::Options;
    /// let options = Options::new().own_products();
    /// assert!(options.own_products);
    /// ```
    #[must_use]
    pub fn own_products(mut self) -> Self {
        self.own_products = true;
        self
    }

    /// Computes layers of a GGUF model on a GPU, in a build with the feature `cuda`, `metal` or `vulkan`. Each is llama.cpp's own
    /// backend of that name, and needs its toolkit where the app is built.
    ///
    /// Weights of these layers, with their keys and values, lie in the device's memory then; the estimate of
    /// [`Spec::memory`](crate::Spec::memory) and [`Options::memory_limit`] count them as if they were the processor's. The provenance
    /// of an answer names the device and how many layers it has. A call that is cancelled in a prompt returns after the batch that
    /// the device computes. With it an answer is not the same to the last bit as on the processor, nor, where two tokens are about as
    /// likely, always the same beside other runs as alone. After a death of the process a [`CrashRecord`] opens the model without.
    ///
    /// # Errors
    ///
    /// Of [`open`](crate::open): `Unsupported` for another backend than `llama`, for a build without such a feature, and where there is
    /// no device; `InvalidArgument` for a name that no device has, with those there are; `OutOfMemory` where the device has too
    /// little.
    ///
    /// ```
    /// # use selvedge::{Accelerator, Options};
    /// let whole_model = Options::new().accelerator(Accelerator::new());
    /// let in_part = Options::new().accelerator(Accelerator::new().layers(12).device("Vulkan0"));
    /// # assert_ne!(whole_model.accelerator, in_part.accelerator);
    /// ```
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = Some(accelerator);
        self
    }

    /// Takes the runtime that is fastest at an ONNX model on this machine, of those of the build that take it. The first open of a
    /// model opens it with each in turn and calls it a few times: up to a second each for most models, and as much memory as
    /// the largest of them needs. What came out is kept in `folder`, which is made where there is none, in a file for each model and
    /// number of threads; later opens go by that, on the same processor and with the same runtimes. An ONNX Runtime that is
    /// installed later counts once the folder is emptied. [`Spec::choice`](crate::Spec::choice) tells the figures.
    ///
    /// The calls get zeros. A dimension of an input that the file leaves open counts as 1 if it is the first, else as 224 in an input
    /// of four dimensions or more, and as 128 elsewhere. A runtime that fails at that, or takes more than ten seconds, is not taken;
    /// if all do, as for a model of texts, the choice is that of [`open`](crate::open) without this. No error of the folder keeps
    /// a model from being opened. With [`Options::backend`] or session entries, and for other formats, nothing is measured.
    ///
    /// ```
    /// # use selvedge::Options;
    /// let options = Options::new().measure("app/measurements");
    /// assert!(options.measurements.is_some());
    /// ```
    #[must_use]
    pub fn measure(mut self, folder: impl Into<PathBuf>) -> Self {
        self.measurements = Some(folder.into());
        self
    }

    /// Refuses a path that is a symbolic link.
    #[must_use]
    pub fn no_symlinks(mut self) -> Self {
        self.no_symlinks = true;
        self
    }

    /// Takes only the file with this SHA-256.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Sets the ONNX Runtime library.
    #[must_use]
    pub fn onnxruntime(mut self, library: impl Into<PathBuf>) -> Self {
        self.onnxruntime = Some(library.into());
        self
    }

    /// Opens a LoRA adapter with the model, for requests to use under this name; see
    /// [`Generate::adapter`](crate::Generate::adapter). It is checked against the model before the runtime sees it, and takes
    /// the memory of its file.
    ///
    /// ```
    /// # use selvedge::{Generate, Options};
    /// let options = Options::new().adapter("formal", "formal.gguf").adapter("rhymes", "rhymes.gguf");
    /// let request = Generate::text("Dear").adapter("formal", 1.0).adapter("rhymes", 0.5);
    /// assert_eq!((options.adapters.len(), request.adapters.len()), (2, 2));
    /// ```
    #[must_use]
    pub fn adapter(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.adapters.push((name.into(), path.into()));
        self
    }

    /// Lets `cancel` end the open.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Sets the receiver of progress.
    #[must_use]
    pub fn progress(mut self, receive: impl Fn(OpenProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(receive));
        self
    }

    /// Remembers in a folder which models ended the process, so that none of them does again and again.
    ///
    /// ```
    /// use selvedge::Options;
    /// use selvedge::crash::CrashRecord;
    /// let options = Options::new().crash_record(CrashRecord::new("app/crashes").app_version("1.2"));
    /// let in_short = Options::new().crash_record("app/crashes");
    /// # assert_ne!(options.crash_record, in_short.crash_record);
    /// ```
    #[must_use]
    pub fn crash_record(mut self, record: impl Into<CrashRecord>) -> Self {
        self.crash_record = Some(record.into());
        self
    }
}

impl Options {
    /// The terms of the open: what ends it.
    pub(super) fn call(&self) -> Call {
        Call { cancel: self.cancel.clone(), ..Call::default() }
    }

    /// The threads asked for, by a backend that takes 1 to `max`.
    #[allow(dead_code, reason = "a build without backends has no threads")]
    pub(super) fn threads_within(&self, max: u32) -> Result<Option<u32>> {
        within("threads", self.threads, max)
    }

    /// The same, of a prompt.
    #[allow(dead_code, reason = "a build without llama.cpp has no prompts")]
    pub(super) fn prompt_threads_within(&self, max: u32) -> Result<Option<u32>> {
        within("prompt_threads", self.prompt_threads, max)
    }

    /// For a runtime that is about to load a model, be it native or not: from here on a death counts. What it gives is dropped
    /// once the model is loaded.
    ///
    /// # Errors
    ///
    /// `Quarantined`, where there is a crash record that says so.
    #[allow(dead_code, reason = "a build without backends loads nothing")]
    pub(super) fn enter(&self, name: &str, digest: Digest, backend: Backend, runtime: &str) -> Result<Option<InCall>> {
        let Some(Opening { attempt, is_in_memory }) = &self.opening else { return Ok(None) };
        let is_mapped = self.loading == Loading::Mapped && !is_in_memory;
        let (threads, is_accelerated) = (self.threads_of(backend), self.accelerator.is_some());
        let way = Way { backend: backend.name(), threads, is_mapped, is_accelerated };
        attempt.enter(&Model { name, digest, runtime, way })
    }

    /// The mark of the engine that is being made, for threads of its own.
    #[allow(dead_code, reason = "not every build has a runtime with threads of its own")]
    pub(super) fn mark(&self) -> Option<Arc<Mark>> {
        self.opening.as_ref().and_then(|opening| opening.attempt.mark())
    }

    /// The threads that a backend takes: 0 for more than one, as it likes.
    fn threads_of(&self, backend: Backend) -> u32 {
        let has_one = || std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        let takes_one = matches!(backend, Backend::Rten | Backend::Tract | Backend::Table) || has_one();
        self.threads.unwrap_or(u32::from(takes_one))
    }

    pub(super) fn access(&self) -> Access {
        Access { loading: self.loading, no_symlinks: self.no_symlinks }
    }

    pub(super) fn report(&self, progress: OpenProgress) {
        if let Some(report) = &self.progress {
            report(progress);
        }
    }
}

#[allow(dead_code, reason = "a build without backends has no threads")]
fn within(name: &str, threads: Option<u32>, max: u32) -> Result<Option<u32>> {
    match threads {
        Some(n) if n == 0 || n > max => Err(Error::invalid(format!("{name}: expected 1 to {max}, got {n}"))),
        threads => Ok(threads),
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("backend", &self.backend)
            .field("threads", &self.threads)
            .field("prompt_threads", &self.prompt_threads)
            .field("context_tokens", &self.context_tokens)
            .field("parallel", &self.parallel)
            .field("memory_limit", &self.memory_limit)
            .field("loading", &self.loading)
            .field("no_symlinks", &self.no_symlinks)
            .field("digest", &self.digest)
            .field("onnxruntime", &self.onnxruntime)
            .field("search_python", &self.search_python)
            .field("session_entries", &self.session_entries)
            .field("own_products", &self.own_products)
            .field("measurements", &self.measurements)
            .field("accelerator", &self.accelerator)
            .field("adapters", &self.adapters)
            .field("crash_record", &self.crash_record)
            .finish_non_exhaustive()
    }
}

/// A GPU that computes layers of a GGUF model, for [`Options::accelerator`]. The default is all layers on the first device that
/// llama.cpp finds.
///
/// ```
/// let in_part = selvedge::Accelerator::new().layers(12).device("CUDA0");
/// assert_eq!((in_part.layers, in_part.device.as_deref()), (Some(12), Some("CUDA0")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accelerator {
    /// How many of the last layers it computes; `None` is all, and the output, which one more than the layers is as well. With 0
    /// it has no weights, and helps with long prompts.
    pub layers: Option<u32>,
    /// The name that llama.cpp has for it, such as `CUDA0`, `Metal` or `Vulkan1`; `None` is the first.
    pub device: Option<String>,
}

impl Accelerator {
    /// All layers, on the first device.
    pub fn new() -> Self {
        Self::default()
    }

    /// Computes only so many layers there.
    #[must_use]
    pub fn layers(mut self, layers: u32) -> Self {
        self.layers = Some(layers);
        self
    }

    /// Takes the device of this name.
    #[must_use]
    pub fn device(mut self, name: impl Into<String>) -> Self {
        self.device = Some(name.into());
        self
    }
}

/// The runtime that computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// GGUF files through llama.cpp (feature `llama`).
    Llama,
    /// ONNX files through ONNX Runtime, loaded at run time (feature `ort`).
    Ort,
    /// ONNX files through rten, in pure Rust and small (feature `rten`).
    Rten,
    /// ONNX files through tract, in pure Rust (feature `tract`).
    Tract,
    /// Static-embedding models in safetensors or GGUF files: the rows of a table, pooled (feature `table`).
    Table,
}

impl Backend {
    /// The backend's name, as provenance spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Llama => "llama",
            Backend::Ort => "ort",
            Backend::Rten => "rten",
            Backend::Tract => "tract",
            Backend::Table => "table",
        }
    }

    /// The feature of this crate that has it.
    pub const fn feature(self) -> &'static str {
        self.name()
    }

    /// Whether this build has it. ONNX Runtime itself may still be missing on the machine.
    pub const fn is_built(self) -> bool {
        match self {
            Backend::Llama => cfg!(feature = "llama"),
            Backend::Ort => cfg!(feature = "ort"),
            Backend::Rten => cfg!(feature = "rten"),
            Backend::Tract => cfg!(feature = "tract"),
            Backend::Table => cfg!(feature = "table"),
        }
    }
}

/// Progress of an open.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OpenProgress {
    /// Bytes of a file digested, of how many; a packed model has two files.
    Digest(u64, u64),
    /// The share of the model that the runtime has loaded, from 0 to 1.
    Load(f32),
}
