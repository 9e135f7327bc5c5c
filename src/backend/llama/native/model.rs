//! llama.cpp's models: process-wide set-up, loading, vocabulary.
//!
//! The safe crate `llama-cpp-2` can load by path only, copies its batches and owns no thread pool, while here a model
//! must come from the descriptor that was validated. So the thin wrappers in this file and in `context` stand on the
//! C API of `llama-cpp-sys-2` directly, each owning one native object and checking what that object asserts.
//!
//! No C++ exception may reach Rust. Loading and context creation catch theirs. Tokenizing, decoding and reading
//! results do not: the header's checks, the bounds on every id, the byte limit of prompts, and a look at the memory that is
//! left keep them from throwing. The table in `native` has each place.

#![expect(unsafe_code, reason = "the C API of llama.cpp")]

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Once, OnceLock};

use llama_cpp_sys_2 as sys;

use super::accelerator::Placement;
use super::device::{self, PackedWeights};
use super::file::{Input, Stream, Terms};
use super::fragments::Fragments;
use super::splitter::Splitter;
use super::{logs, terminate};
use crate::kernel::product::Panels;
use crate::text::Words;
use crate::{Code, Error, Result, threads};

/// Memory that must be left before a model is loaded or a text tokenized: llama.cpp ends the process where it lacks a few bytes,
/// and reports it where it lacks many.
const MARGIN: usize = 64 << 20;
/// Bytes that the tokenizer takes for one of a text, its stack aside: 80 were the most.
const PER_BYTE: usize = 256;

/// Attributes of tokens that only count where special tokens are meant.
const SPECIAL: sys::llama_token_attr = sys::LLAMA_TOKEN_ATTR_CONTROL | sys::LLAMA_TOKEN_ATTR_UNKNOWN;

/// A token id, as llama.cpp counts them.
pub(in crate::backend::llama) type Token = i32;

/// The version of llama.cpp, for provenance.
pub(in crate::backend::llama) fn version() -> String {
    // SAFETY: returns a static, NUL-terminated text.
    let version = unsafe { CStr::from_ptr(sys::llama_version()) };
    // SAFETY: as above.
    let commit = unsafe { CStr::from_ptr(sys::ggml_commit()) };
    format!("llama.cpp {} (ggml {}, llama-cpp-sys-2 0.1.161)", version.to_string_lossy(), commit.to_string_lossy())
}

/// The build of llama.cpp and what it uses of the processor.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        // SAFETY: returns a static, NUL-terminated text, which each call makes anew: this is the only one.
        let features = unsafe { CStr::from_ptr(sys::llama_print_system_info()) };
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        format!("{} for {arch} {os}: {}", version(), features.to_string_lossy())
    })
}

/// Prepares llama.cpp for this process; cheap after the first time.
pub(in crate::backend::llama) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        logs::install();
        // SAFETY: called once, before any other call into the library but for the callbacks.
        unsafe { sys::llama_backend_init() };
        if Panels::are_used() {
            device::register();
        }
        terminate::install();
    });
}

/// A model in memory. Immutable once loaded, so it is shared freely: llama.cpp documents tokenizing as thread-safe,
/// and the rest only reads.
pub(in crate::backend::llama) struct Model {
    ptr: NonNull<sys::llama_model>,
    vocabulary: *const sys::llama_vocab,
    tokens: usize,
    splitter: Splitter,
    /// What a text is cut into, where special tokens are text and where they are meant.
    plain: Fragments,
    marked: Fragments,
    /// The model frees them with itself.
    adapters: Vec<NonNull<sys::llama_adapter_lora>>,
    /// Where prompts are to be computed with products of ours.
    packed: Option<Arc<PackedWeights>>,
    /// What a GPU computes of it.
    accelerator: Option<Placement>,
}

// SAFETY: see the type: nothing in a loaded model changes through these methods.
unsafe impl Send for Model {}
// SAFETY: as above.
unsafe impl Sync for Model {}

impl Model {
    /// Loads what `input` gives. `go_on` hears how far it is, from 0 to 1, and ends the loading by returning false.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unsupported`, `OutOfMemory` or `Io` by what llama.cpp reports, `Cancelled`.
    pub(in crate::backend::llama) fn load(
        input: &Input<'_>,
        terms: Terms,
        go_on: &mut dyn FnMut(f32) -> bool,
    ) -> Result<Self> {
        init();
        drop(threads::reserve(MARGIN)?);
        let mut progress = Progress { go_on, stopped: false, panicked: false };
        // SAFETY: returns plain data.
        let mut params = unsafe { sys::llama_model_default_params() };
        params.load_mode = if terms.mapped { sys::LLAMA_LOAD_MODE_MMAP } else { sys::LLAMA_LOAD_MODE_NONE };
        let packed = (terms.products && device::is_registered()).then(Arc::default);
        // Else llama.cpp packs some formats in a way of its own, and has no blocks left.
        params.use_extra_bufts = packed.is_none();
        // Without a list it would be all GPUs that there are.
        let mut devices = [terms.accelerator.map_or(ptr::null_mut(), |it| it.device.as_ptr()), ptr::null_mut()];
        params.devices = devices.as_mut_ptr();
        params.n_gpu_layers = match terms.accelerator {
            Some(Placement { layers: None, .. }) => -1,
            Some(Placement { layers: Some(layers), .. }) => i32::try_from(layers).unwrap_or(i32::MAX),
            None => 0,
        };
        params.progress_callback = Some(loading);
        params.progress_callback_user_data = (&raw mut progress).cast();
        logs::forget();
        let model = match input {
            // SAFETY: the stream is open and stays so during the call, which keeps no reference to it; so does
            // `progress`. C++ exceptions are caught inside.
            Input::One(stream) => unsafe { sys::llama_model_load_from_file_ptr(stream.as_ptr().cast(), params) },
            Input::Parts(parts) => {
                let mut paths: Vec<*const c_char> = parts.paths().iter().map(|path| path.as_ptr()).collect();
                // SAFETY: as above; there are so many paths, each NUL-terminated, and the call copies them.
                unsafe { sys::llama_model_load_from_splits(paths.as_mut_ptr(), paths.len(), params) }
            }
        };
        let Some(ptr) = NonNull::new(model) else { return Err(progress.failure()) };
        // SAFETY: the model is alive. Its vocabulary is a member of it, so the pointer is never null.
        let vocabulary = unsafe { sys::llama_model_get_vocab(ptr.as_ptr()) };
        // SAFETY: the vocabulary is alive.
        let tokens = unsafe { sys::llama_vocab_n_tokens(vocabulary) };
        // SAFETY: as above.
        let kind = unsafe { sys::llama_vocab_type(vocabulary) };
        let splitter = Splitter::of(kind == sys::LLAMA_VOCAB_TYPE_BPE, &pre_tokenizer(ptr));
        let tokens = usize::try_from(tokens).unwrap_or(0);
        let (plain, marked) = Default::default();
        let (adapters, accelerator) = (Vec::new(), terms.accelerator);
        let mut model = Self { ptr, vocabulary, tokens, splitter, plain, marked, adapters, packed, accelerator };
        (model.plain, model.marked) = (model.fragments(false), model.fragments(true));
        Ok(model)
    }

    /// Loads an adapter that was checked against this model. Before any context is made, whose graphs have room for those that
    /// are there.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `OutOfMemory`, by what llama.cpp reports.
    pub(in crate::backend::llama) fn load_adapter(&mut self, stream: &Stream<'_>) -> Result<()> {
        logs::forget();
        // SAFETY: the model is alive, and `&mut` keeps others from it. The stream is open and stays so during the call, which
        // keeps no reference to it. Exceptions are caught inside.
        let adapter = unsafe { sys::llama_adapter_lora_init_from_file_ptr(self.as_ptr(), stream.as_ptr().cast()) };
        let failed = || logs::failure("llama.cpp cannot load the adapter");
        self.adapters.push(NonNull::new(adapter).ok_or_else(failed)?);
        Ok(())
    }

    /// An adapter by its number, as long as the model is there.
    pub(super) fn adapter(&self, number: u32) -> Result<NonNull<sys::llama_adapter_lora>> {
        let adapter = self.adapters.get(number as usize).copied();
        adapter.ok_or_else(|| Error::internal(format!("no adapter {number}")))
    }

    /// What is packed of its weights, where prompts may be computed with it.
    pub(super) fn packed(&self) -> Option<&Arc<PackedWeights>> {
        self.packed.as_ref().filter(|_| !self.is_recurrent())
    }

    /// Whether prompts are computed with products of ours, which is known once there is a context.
    pub(super) fn has_products(&self) -> bool {
        self.packed.as_ref().is_some_and(|packed| packed.is_used())
    }

    /// Who computes, and with what of the processor: the same means the same bits.
    pub(in crate::backend::llama) fn build(&self) -> String {
        let panels = if self.has_products() { ", panels 1" } else { "" };
        format!("{}{panels}{}", build(), self.placed())
    }

    /// The version of llama.cpp, and where it computes if not on the processor alone, for provenance.
    pub(in crate::backend::llama) fn runtime(&self) -> String {
        version() + &self.placed()
    }

    fn placed(&self) -> String {
        let Some(accelerator) = &self.accelerator else { return String::new() };
        // SAFETY: the model is alive.
        let layers = unsafe { sys::llama_model_n_layer(self.as_ptr()) };
        format!(", {}", accelerator.describe(u32::try_from(layers).unwrap_or(0)))
    }

    pub(in crate::backend::llama) fn as_ptr(&self) -> *mut sys::llama_model {
        self.ptr.as_ptr()
    }

    /// The number of tokens in the vocabulary.
    pub(in crate::backend::llama) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The tokens of `text`. `whole`: it is a whole text, so the model's own begin and end tokens are added.
    /// `special`: special tokens written in it are meant as such.
    ///
    /// # Errors
    ///
    /// `ContextFull` for a text that no context could take, `InvalidArgument` for one that llama.cpp would take minutes
    /// for, `OutOfMemory` if there is none for its tokens or for the stack that it needs.
    pub(in crate::backend::llama) fn tokenize(&self, text: &str, whole: bool, special: bool) -> Result<Vec<Token>> {
        self.splitter.check(text)?;
        let text = &*self.splitter.text(text);
        match self.splitter.stack(text) {
            Some(bytes) => threads::on_stack("selvedge-tokenize", bytes, || self.tokenize_here(text, whole, special)),
            None => self.tokenize_here(text, whole, special),
        }
    }

    fn tokenize_here(&self, text: &str, whole: bool, special: bool) -> Result<Vec<Token>> {
        let fragments = if special { &self.marked } else { &self.plain };
        let parts = fragments.parts(text)?;
        if let [text] = parts[..] {
            return self.tokenize_at_once(text, whole, special);
        }
        // An empty text has what the whole begins and ends with.
        let mut tokens = self.tokenize_at_once("", whole, special)?;
        let begins = match tokens.len() {
            1 => usize::from(self.begin().is_some()),
            more => more.min(1),
        };
        let end = tokens.split_off(begins);
        for part in parts {
            tokens.extend(self.tokenize_at_once(part, false, special)?);
        }
        tokens.extend(end);
        Ok(tokens)
    }

    /// The tokens of a text in one call of llama.cpp, whatever time that takes.
    pub(in crate::backend::llama) fn tokenize_at_once(
        &self,
        text: &str,
        whole: bool,
        special: bool,
    ) -> Result<Vec<Token>> {
        let too_long = || Error::new(Code::ContextFull, format!("a text of {} bytes is too long", text.len()));
        // Far below what llama.cpp counts in: it once compared such lengths as 32-bit integers.
        let len = i32::try_from(text.len()).ok().filter(|&len| len < 1 << 28).ok_or_else(too_long)?;
        drop(threads::reserve(text.len().saturating_mul(PER_BYTE).saturating_add(MARGIN))?);
        let mut tokens: Vec<Token> = Vec::new();
        let mut room = text.len() / 3 + 16;
        for _ in 0..2 {
            tokens
                .try_reserve_exact(room)
                .map_err(|e| Error::new(Code::OutOfMemory, "no memory for the tokens of a text").because(e))?;
            // SAFETY: the text is readable for `len` bytes, and the tokens writable for `capacity` elements.
            let count = unsafe {
                let capacity = i32::try_from(tokens.capacity()).unwrap_or(i32::MAX);
                let (text, tokens) = (text.as_ptr().cast(), tokens.as_mut_ptr());
                sys::llama_tokenize(self.vocabulary, text, len, tokens, capacity, whole, special)
            };
            if let Ok(count) = usize::try_from(count) {
                // SAFETY: so many were written, at most the capacity.
                unsafe { tokens.set_len(count) };
                return Ok(tokens);
            }
            // Negative: that many are needed.
            room = count.checked_neg().and_then(|n| usize::try_from(n).ok()).ok_or_else(too_long)?;
        }
        Err(Error::backend("llama.cpp does not agree with itself on the number of tokens"))
    }

    /// Appends the bytes of a token's text; control tokens have none.
    pub(in crate::backend::llama) fn piece(&self, token: u32, bytes: &mut Vec<u8>) {
        if token as usize >= self.tokens {
            return;
        }
        let mut buffer = [0u8; 1024];
        // SAFETY: the token is in the vocabulary, and the buffer writable for its length. The header's check keeps
        // every token's text within it; a longer one would be reported as a negative number.
        let len = unsafe {
            sys::llama_token_to_piece(self.vocabulary, token as Token, buffer.as_mut_ptr().cast(), 1024, 0, false)
        };
        if let Ok(len) = usize::try_from(len) {
            bytes.extend_from_slice(&buffer[..len]);
        }
    }

    /// The name of a token that only counts where special tokens are meant.
    pub(in crate::backend::llama) fn name_of(&self, token: u32) -> Option<&str> {
        let token = Token::try_from(token).ok().filter(|token| (*token as usize) < self.tokens)?;
        // SAFETY: the token is in the vocabulary.
        let attributes = unsafe { sys::llama_vocab_get_attr(self.vocabulary, token) };
        // SAFETY: as above; the text is NUL-terminated and lives as long as the vocabulary.
        let name = unsafe { CStr::from_ptr(sys::llama_vocab_get_text(self.vocabulary, token)) };
        name.to_str().ok().filter(|_| attributes & SPECIAL != 0)
    }

    /// Whether the token ends an answer.
    pub(in crate::backend::llama) fn ends(&self, token: u32) -> bool {
        // SAFETY: the vocabulary is alive, and the token in it.
        (token as usize) < self.tokens && unsafe { sys::llama_vocab_is_eog(self.vocabulary, token as Token) }
    }

    /// The texts of all tokens that only count where special tokens are meant.
    pub(in crate::backend::llama) fn special_texts(&self) -> Vec<String> {
        let special = self.texts().filter(|(attributes, _)| attributes & SPECIAL != 0);
        special.map(|(_, text)| text.to_string_lossy().into_owned()).collect()
    }

    /// What a text is cut into before it becomes tokens; with special tokens or without.
    fn fragments(&self, special: bool) -> Fragments {
        let wanted = |attributes: &sys::llama_token_attr| match attributes & SPECIAL {
            0 => attributes & sys::LLAMA_TOKEN_ATTR_USER_DEFINED != 0,
            _ => special,
        };
        let first: Vec<_> = self.texts().filter(|(attributes, _)| wanted(attributes)).collect();
        let strips = sys::LLAMA_TOKEN_ATTR_LSTRIP | sys::LLAMA_TOKEN_ATTR_RSTRIP;
        let strips = first.iter().any(|(attributes, _)| attributes & strips != 0);
        Fragments::new(first.into_iter().map(|(_, text)| text.to_bytes().into()), strips)
    }

    /// Attributes and text of every token.
    fn texts(&self) -> impl Iterator<Item = (sys::llama_token_attr, &CStr)> {
        (0..self.tokens as Token).map(move |token| {
            // SAFETY: the token is in the vocabulary.
            let attributes = unsafe { sys::llama_vocab_get_attr(self.vocabulary, token) };
            // SAFETY: as above; the text is NUL-terminated and lives as long as the vocabulary.
            (attributes, unsafe { CStr::from_ptr(sys::llama_vocab_get_text(self.vocabulary, token)) })
        })
    }

    /// The vocabulary as a grammar's matcher walks it: what each token adds to an answer, and the names of special ones.
    pub(in crate::backend::llama) fn words(&self) -> Words {
        let mut words = Words::default();
        for (token, (attributes, name)) in (0_u32..).zip(self.texts()) {
            let special = attributes & SPECIAL != 0;
            let mut text = Vec::new();
            match special {
                true => text.extend_from_slice(name.to_bytes()),
                false => self.piece(token, &mut text),
            }
            words.texts.push(text);
            words.special.push(special);
            if self.ends(token) {
                words.ends.push(token);
            }
        }
        words
    }

    /// The token that begins a text, if the model wants one there.
    pub(in crate::backend::llama) fn begin(&self) -> Option<Token> {
        // SAFETY: the vocabulary is alive.
        let wanted = unsafe { sys::llama_vocab_get_add_bos(self.vocabulary) };
        // SAFETY: as above.
        let token = unsafe { sys::llama_vocab_bos(self.vocabulary) };
        (wanted && token >= 0).then_some(token)
    }

    /// The token that the model wants between two texts, beside those that each begins and ends with.
    pub(in crate::backend::llama) fn separator(&self) -> Option<Token> {
        // SAFETY: the vocabulary is alive.
        let (wanted, token) =
            unsafe { (sys::llama_vocab_get_add_sep(self.vocabulary), sys::llama_vocab_sep(self.vocabulary)) };
        // SAFETY: as above.
        let kind = unsafe { sys::llama_vocab_type(self.vocabulary) };
        // A text of WordPiece ends with it.
        (wanted && token >= 0 && kind != sys::LLAMA_VOCAB_TYPE_WPM).then_some(token)
    }

    /// Tokens that the model says must never be chosen.
    pub(in crate::backend::llama) fn suppressed(&self) -> Vec<u32> {
        let mut count = 0;
        // SAFETY: the vocabulary is alive; the array lives as long, and has `count` elements.
        let tokens = unsafe { sys::llama_vocab_get_suppress_tokens(self.vocabulary, &raw mut count) };
        match usize::try_from(count) {
            // SAFETY: as above.
            Ok(count) if count > 0 && !tokens.is_null() => unsafe { std::slice::from_raw_parts(tokens, count) },
            _ => &[],
        }
        .iter()
        .filter_map(|&token| u32::try_from(token).ok())
        .collect()
    }

    /// Dimensions of an embedding.
    pub(in crate::backend::llama) fn embedding_size(&self) -> usize {
        // SAFETY: the model is alive.
        usize::try_from(unsafe { sys::llama_model_n_embd_out(self.as_ptr()) }).unwrap_or(0)
    }

    /// Whether its state is more than keys and values that can be cut off at any place.
    pub(in crate::backend::llama) fn is_recurrent(&self) -> bool {
        // SAFETY: the model is alive.
        unsafe { sys::llama_model_is_recurrent(self.as_ptr()) || sys::llama_model_is_hybrid(self.as_ptr()) }
    }

    /// Whether it reads a whole text with an encoder before it writes, or writes by diffusion.
    pub(in crate::backend::llama) fn is_unusual(&self) -> bool {
        // SAFETY: the model is alive.
        unsafe { sys::llama_model_has_encoder(self.as_ptr()) || sys::llama_model_is_diffusion(self.as_ptr()) }
    }
}

/// The name of the model's pre-tokenizer; empty if it has none.
fn pre_tokenizer(model: NonNull<sys::llama_model>) -> String {
    let mut buffer = [0u8; 64];
    // SAFETY: the model is alive, the key NUL-terminated, and the buffer writable for its length. What is written ends with NUL.
    let len = unsafe {
        let (key, room) = (c"tokenizer.ggml.pre".as_ptr(), buffer.len());
        sys::llama_model_meta_val_str(model.as_ptr(), key, buffer.as_mut_ptr().cast(), room)
    };
    let name = usize::try_from(len).ok().and_then(|len| buffer.get(..len));
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: the model is freed once; contexts keep it alive through their `Arc`.
        unsafe { sys::llama_model_free(self.as_ptr()) }
    }
}

struct Progress<'a> {
    go_on: &'a mut dyn FnMut(f32) -> bool,
    stopped: bool,
    panicked: bool,
}

impl Progress<'_> {
    fn failure(&self) -> Error {
        if self.panicked {
            return Error::new(Code::Panic, "the progress callback panicked");
        }
        if self.stopped {
            return Error::new(Code::Cancelled, "the open was cancelled");
        }
        logs::failure("llama.cpp cannot load the model")
    }
}

unsafe extern "C" fn loading(done: f32, user_data: *mut c_void) -> bool {
    // SAFETY: `load` passes a `Progress` that lives through the call, and nothing else uses it meanwhile.
    let progress = unsafe { &mut *user_data.cast::<Progress<'_>>() };
    match catch_unwind(AssertUnwindSafe(|| (progress.go_on)(done))) {
        Ok(go_on) => {
            progress.stopped |= !go_on;
            go_on
        }
        Err(_) => {
            progress.panicked = true;
            false
        }
    }
}
