//! Sources and options of models.

use selvedge_ffi::abi::*;

use crate::callback::{self, Held};
use crate::descriptor::{Buffer, Bytes, Listener, Str, Strs};
use crate::env::Env;
use crate::failure::{Result, pointer};
use crate::request::{pairs, text};

/// Where a model is, and what the C ABI's struct points to.
pub(crate) struct Source {
    path: String,
    raw: selvedge_source,
}

impl Source {
    /// A path, or with a descriptor that is not negative an open file, or else lent memory.
    pub(crate) fn read(env: Env, path: Str, file: i64, offset: i64, length: i64, memory: Buffer) -> Result<Self> {
        let mut raw = selvedge_source { struct_size: size_of::<selvedge_source>(), ..Default::default() };
        let mut source = Self { path: env.text_or_none("path", path)?.unwrap_or_default(), raw };
        if !memory.0.is_null() {
            raw.kind = SELVEDGE_SOURCE_MEMORY;
            let (data, len) = env.memory("memory", memory)?;
            (raw.data, raw.data_len) = (data, len);
        } else if file >= 0 {
            raw.kind = SELVEDGE_SOURCE_FILE;
            (raw.file, raw.offset, raw.length) = (file, offset as u64, length as u64);
        }
        source.raw = raw;
        Ok(source)
    }

    /// For one call: memory that was lent is released by it, sooner or later.
    pub(crate) fn lend(&self, env: Env, memory: Buffer) -> Result<selvedge_source> {
        let mut raw = self.raw;
        raw.path = text(&self.path);
        if let Some(held) = Held::new(env, memory.0)? {
            raw.release = Some(callback::release);
            raw.user_data = callback::given(Some(held));
        }
        Ok(raw)
    }
}

/// How to open a model, and what the C ABI's struct points to.
pub(crate) struct Options {
    sha256: Vec<u8>,
    onnxruntime: String,
    entries: Vec<String>,
    entry_pairs: Vec<selvedge_pair>,
    adapters: Vec<String>,
    adapter_pairs: Vec<selvedge_pair>,
    measurements: String,
    accelerator_device: String,
    listener: Option<Box<Held>>,
    raw: selvedge_options,
}

/// The numbers of the options, in this order.
pub(crate) struct Numbers {
    pub(crate) backend: i32,
    pub(crate) loading: i32,
    pub(crate) threads: i32,
    pub(crate) prompt_threads: i32,
    pub(crate) context_tokens: i32,
    pub(crate) parallel: i32,
    pub(crate) accelerator_layers: i32,
    pub(crate) flags: i32,
    pub(crate) memory_limit: i64,
}

/// The objects of Java's that are options, each null where it is left out.
pub(crate) struct Named {
    pub(crate) sha256: Bytes,
    pub(crate) onnxruntime: Str,
    /// Name and value of each, one after the other.
    pub(crate) entries: Strs,
    /// Name and path of each, one after the other.
    pub(crate) adapters: Strs,
    pub(crate) measurements: Str,
    pub(crate) accelerator_device: Str,
}

impl Options {
    pub(crate) fn read(env: Env, numbers: Numbers, named: Named, cancel: i64, listener: Listener) -> Result<Self> {
        let entries = env.texts("session_entries", named.entries)?;
        let adapters = env.texts("adapters", named.adapters)?;
        let mut options = Self {
            sha256: env.bytes(named.sha256)?,
            onnxruntime: env.text_or_none("onnxruntime", named.onnxruntime)?.unwrap_or_default(),
            entry_pairs: pairs(&entries),
            entries,
            adapter_pairs: pairs(&adapters),
            adapters,
            measurements: env.text_or_none("measurements", named.measurements)?.unwrap_or_default(),
            accelerator_device: env.text_or_none("accelerator_device", named.accelerator_device)?.unwrap_or_default(),
            listener: Held::listener(env, listener)?,
            raw: selvedge_options {
                struct_size: size_of::<selvedge_options>(),
                backend: numbers.backend,
                loading: numbers.loading,
                threads: numbers.threads as u32,
                prompt_threads: numbers.prompt_threads as u32,
                context_tokens: numbers.context_tokens as u32,
                parallel: numbers.parallel as u32,
                accelerator_layers: numbers.accelerator_layers as u32,
                flags: numbers.flags as u32,
                memory_limit: numbers.memory_limit as u64,
                cancel: pointer(cancel),
                ..Default::default()
            },
        };
        options.complete()?;
        Ok(options)
    }

    fn complete(&mut self) -> Result<()> {
        if !self.sha256.is_empty() {
            digest(&self.sha256)?;
            self.raw.sha256 = self.sha256.as_ptr();
        }
        (self.raw.onnxruntime, self.raw.measurements) = (text(&self.onnxruntime), text(&self.measurements));
        self.raw.accelerator_device = text(&self.accelerator_device);
        (self.raw.session_entries, self.raw.session_entry_count) = (self.entry_pairs.as_ptr(), self.entries.len() / 2);
        (self.raw.adapters, self.raw.adapter_count) = (self.adapter_pairs.as_ptr(), self.adapters.len() / 2);
        if self.listener.is_some() {
            self.raw.on_progress = Some(callback::progress);
            self.raw.user_data = callback::lent(&self.listener);
        }
        Ok(())
    }

    /// Lives as long as this does.
    pub(crate) fn raw(&self) -> *const selvedge_options {
        &self.raw
    }
}

/// Fails unless there are the 32 bytes of a digest, which the C ABI reads without a length.
pub(crate) fn digest(bytes: &[u8]) -> Result<()> {
    if bytes.len() == 32 {
        return Ok(());
    }
    Err(crate::failure::invalid(format!("sha256: expected 32 bytes, got {}", bytes.len())))
}
