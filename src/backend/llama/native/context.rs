//! llama.cpp's contexts: the state and the computation of sequences of tokens.

#![expect(unsafe_code, reason = "the C API of llama.cpp")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use llama_cpp_sys_2 as sys;

use super::device::Products;
use super::model::{Model, Token};
use crate::{Code, Error, Result, threads};

/// Memory that must be left once its threads run, and before each computation: for lists as long as a batch, for graphs, and for
/// the tokenizer's thread.
const MARGIN: usize = 64 << 20;
/// The cells that llama.cpp computes with are rounded up to this.
const CELLS: u64 = 256;
/// Stands for every sequence.
const ALL: sys::llama_seq_id = -1;

/// What a context is made for.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend::llama) struct Shape {
    /// Tokens that all sequences hold together. A sequence of logits has its even share of them.
    pub(in crate::backend::llama) tokens: u32,
    /// The most tokens of one batch.
    pub(in crate::backend::llama) batch: u32,
    /// The most sequences; their ids are below this.
    pub(in crate::backend::llama) sequences: u32,
    /// The most tokens of one batch whose results are wanted; at least one per sequence.
    pub(in crate::backend::llama) outputs: u32,
    /// Whether the results are embeddings, one per sequence, and not logits.
    pub(in crate::backend::llama) embeddings: bool,
    pub(in crate::backend::llama) threads: u32,
    /// Bytes of keys and values, and of the tables beside them. Like the next two they are what llama.cpp wants at once, and does
    /// without only by ending the process: what may want them begins only where there are as many.
    pub(in crate::backend::llama) made: u64,
    /// Bytes of a computation: of a token for each cell that it looks at, and of a token by itself.
    pub(in crate::backend::llama) per_cell: u64,
    pub(in crate::backend::llama) per_token: u64,
    /// Bytes of each cell that attention of our own keeps.
    pub(in crate::backend::llama) attended_cell: u64,
}

/// One context with its threads. Lives and dies on the worker's thread: creating two of one model at the same time is
/// not sound.
pub(in crate::backend::llama) struct Context {
    ptr: NonNull<sys::llama_context>,
    memory: sys::llama_memory_t,
    threads: NonNull<sys::ggml_threadpool>,
    shape: Shape,
    /// Bytes that a computation has had so far, and keeps.
    worked: u64,
    /// The adapters of the last computation, and their scales.
    adapters: Vec<(u32, f32)>,
    /// What multiplies prompts, where that is not ggml.
    products: Option<Arc<Products>>,
    /// Asked during a computation whether to give it up. Boxed twice: the callback holds the address of the inner box.
    watch: Box<Watch>,
    model: Arc<Model>,
}

type Watch = Box<dyn FnMut() -> bool>;

/// How a computation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend::llama) enum Decoded {
    Done,
    /// The state has no room for the batch. Nothing has changed.
    NoRoom,
    /// Given up half-way because the watch said so. The state holds any part of the batch, see [`Context::rewind`].
    GivenUp,
}

impl Context {
    ///
    /// # Errors
    ///
    /// `OutOfMemory` if llama.cpp cannot make it, which is almost always for want of memory.
    pub(in crate::backend::llama) fn new(model: Arc<Model>, mut shape: Shape) -> Result<Self> {
        room_for(shape.made)?;
        // SAFETY: returns plain data.
        let mut params = unsafe { sys::llama_context_default_params() };
        params.n_ctx = shape.tokens;
        params.n_batch = shape.batch;
        params.n_ubatch = shape.batch;
        params.n_seq_max = shape.sequences;
        // The default reserves room for the logits of every token of a batch: 200 KiB each.
        params.n_outputs_max = shape.outputs;
        params.n_threads = shape.threads as i32;
        params.n_threads_batch = shape.threads as i32;
        params.embeddings = shape.embeddings;
        params.kv_unified = shape.embeddings;
        if !shape.embeddings {
            // What a token's numbers depend on must be its own sequence and nothing else, or the same request would not
            // give the same text. So each sequence has cells of its own, in its own order; and attention is computed
            // by plain matrix products: the fused kernel rounds differently with the number of threads, of tokens in
            // the batch, and of cells in use. It is up to a tenth faster at 100 tokens of context, and half as fast
            // at 3000.
            params.flash_attn_type = sys::LLAMA_FLASH_ATTN_TYPE_DISABLED;
        }
        params.no_perf = true;
        let products = model.packed().map(|packed| Products::new(packed.clone(), shape.batch, shape.threads));
        let make = || {
            // SAFETY: the model is alive and stays so as long as the context, which keeps it. Exceptions are caught inside.
            unsafe { sys::llama_init_from_model(model.as_ptr(), params) }
        };
        let context = Products::offered(products.as_ref(), make);
        let failed = || {
            let what = format!("llama.cpp cannot make a context of {} tokens", shape.tokens);
            Error::new(Code::OutOfMemory, what)
        };
        let ptr = NonNull::new(context).ok_or_else(failed)?;
        let threads = match pool(&mut shape) {
            Ok(threads) => threads,
            Err(error) => {
                // SAFETY: the context is ours and freed once.
                unsafe { sys::llama_free(ptr.as_ptr()) };
                return Err(error);
            }
        };
        if let Some(products) = &products {
            products.pack(shape.threads);
        }
        let mut watch: Box<Watch> = Box::new(Box::new(|| false));
        // SAFETY: the context and the pool are alive; the pool and the watch are kept until the context is freed. The
        // watch is called on this thread only, during `decode`.
        let memory = unsafe {
            sys::llama_set_n_threads(ptr.as_ptr(), shape.threads as i32, shape.threads as i32);
            sys::llama_attach_threadpool(ptr.as_ptr(), threads.as_ptr(), threads.as_ptr());
            sys::llama_set_abort_callback(ptr.as_ptr(), Some(watching), (&raw mut *watch).cast());
            sys::llama_get_memory(ptr.as_ptr())
        };
        Ok(Self { ptr, memory, threads, shape, worked: 0, adapters: Vec::new(), products, watch, model })
    }

    /// Sets what is asked, many times during a computation, whether to give it up.
    pub(in crate::backend::llama) fn watch(&mut self, watch: impl FnMut() -> bool + 'static) {
        *self.watch = Box::new(watch);
    }

    /// Sets how many of its threads compute from now on.
    pub(in crate::backend::llama) fn use_threads(&mut self, threads: u32) {
        let threads = threads.clamp(1, self.shape.threads) as i32;
        // SAFETY: the context is alive, and its pool has so many threads.
        unsafe { sys::llama_set_n_threads(self.ptr.as_ptr(), threads, threads) }
    }

    /// Sets the adapters of the next computations, by their numbers in the model, each with its scale.
    pub(in crate::backend::llama) fn use_adapters(&mut self, set: &[(u32, f32)]) -> Result<()> {
        if self.adapters == set {
            return Ok(());
        }
        // The graph is planned anew, whose buffers llama.cpp must get.
        room_for(self.shape.made)?;
        self.worked = 0;
        let (mut adapters, mut scales) = (Vec::with_capacity(set.len()), Vec::with_capacity(set.len()));
        for (number, scale) in set {
            adapters.push(self.model.adapter(*number)?.as_ptr());
            scales.push(*scale);
        }
        // SAFETY: the context is alive and of this model; the lists have so many elements, which the call copies, and the adapters
        // live as long as the model, which the context keeps.
        let code = unsafe {
            sys::llama_set_adapters_lora(self.ptr.as_ptr(), adapters.as_mut_ptr(), set.len(), scales.as_mut_ptr())
        };
        if code != 0 {
            return Err(Error::backend(format!("llama.cpp took no adapters (code {code})")));
        }
        self.adapters = set.to_vec();
        Ok(())
    }

    /// Computes a batch.
    pub(in crate::backend::llama) fn decode(&mut self, batch: &mut Batch) -> Result<Decoded> {
        batch.check(&self.shape, self.model.tokens())?;
        let work = batch.work(&self.shape);
        // What it had it still has.
        room_for(if work > self.worked { work } else { 0 })?;
        self.worked = self.worked.max(work);
        if let Some(products) = &self.products {
            products.serve(batch.has_prompt());
        }
        let native = batch.native();
        // SAFETY: the batch's arrays have `n_tokens` elements each, and were checked against all that llama.cpp
        // asserts: the size, the sequence ids and the token ids. There is memory for what it would throw for.
        match unsafe { sys::llama_decode(self.ptr.as_ptr(), native) } {
            0 => Ok(Decoded::Done),
            1 => Ok(Decoded::NoRoom),
            2 => Ok(Decoded::GivenUp),
            -2 => Err(Error::new(Code::OutOfMemory, "llama.cpp has no memory for the computation")),
            code => Err(Error::backend(format!("llama.cpp failed to compute a batch (code {code})"))),
        }
    }

    /// Products of ours that were computed, and layers whose attention was, if it has any.
    #[cfg(test)]
    pub(super) fn products(&self) -> Option<(u64, u64)> {
        self.products.as_ref().map(|products| products.counts())
    }

    /// Takes back what a batch that was given up has left, so that it can be computed again.
    pub(in crate::backend::llama) fn rewind(&mut self, batch: &Batch) -> Result<()> {
        for (sequence, from) in batch.beginnings() {
            if !self.forget(sequence, from) {
                return Err(Error::internal(format!("sequence {sequence} cannot be cut at token {from}")));
            }
        }
        Ok(())
    }

    /// The logits after the batch's token `i`, which must have been marked as an output of the last batch.
    pub(in crate::backend::llama) fn logits(&mut self, i: usize) -> Result<&[f32]> {
        let len = self.model.tokens();
        // SAFETY: the context is alive. For an index without output the result is null.
        let logits = unsafe { sys::llama_get_logits_ith(self.ptr.as_ptr(), i as i32) };
        if logits.is_null() {
            return Err(Error::backend("llama.cpp gave no logits"));
        }
        // SAFETY: there is one logit per token of the vocabulary, valid until the next computation, which needs
        // `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts(logits, len) })
    }

    /// The pooled embedding of a sequence of the last batch.
    pub(in crate::backend::llama) fn embedding(&mut self, sequence: u32) -> Result<&[f32]> {
        let len = self.model.embedding_size();
        // SAFETY: the context is alive. For a sequence without an embedding the result is null.
        let embedding = unsafe { sys::llama_get_embeddings_seq(self.ptr.as_ptr(), sequence as i32) };
        if embedding.is_null() || len == 0 {
            return Err(Error::backend("llama.cpp gave no embedding"));
        }
        // SAFETY: it has the model's number of dimensions and is valid until the next computation.
        Ok(unsafe { std::slice::from_raw_parts(embedding, len) })
    }

    /// What the rank head says of a sequence of the last batch, by the first of its outputs.
    pub(in crate::backend::llama) fn rank(&mut self, sequence: u32) -> Result<f32> {
        // SAFETY: the context is alive. For a sequence without a result it is null.
        let rank = unsafe { sys::llama_get_embeddings_seq(self.ptr.as_ptr(), sequence as i32) };
        if rank.is_null() {
            return Err(Error::backend("llama.cpp gave no rank"));
        }
        // SAFETY: whatever the pooling, there is at least one number for each sequence, valid until the next computation.
        Ok(unsafe { *rank })
    }

    /// Forgets a sequence's tokens from position `from` on; false if its kind of state cannot be cut there.
    pub(in crate::backend::llama) fn forget(&mut self, sequence: u32, from: usize) -> bool {
        if self.memory.is_null() {
            return true;
        }
        if sequence >= self.shape.sequences {
            return false;
        }
        // SAFETY: the memory is the context's, and the sequence id in its range.
        unsafe { sys::llama_memory_seq_rm(self.memory, sequence as i32, from as i32, -1) }
    }

    /// Copies a sequence over another one, and cuts it to its first `len` tokens; false if they are not all there.
    pub(in crate::backend::llama) fn copy(&mut self, from: u32, to: u32, len: usize) -> bool {
        if self.memory.is_null() || from == to || from.max(to) >= self.shape.sequences {
            return false;
        }
        // SAFETY: the memory is the context's, and both ids in its range. Whole sequences may be copied.
        unsafe { sys::llama_memory_seq_cp(self.memory, from as i32, to as i32, -1, -1) };
        self.cut(to, len)
    }

    /// Cuts a sequence to its first `len` tokens; false if they are not all there.
    pub(in crate::backend::llama) fn cut(&mut self, sequence: u32, len: usize) -> bool {
        if self.memory.is_null() || !self.forget(sequence, len) {
            return false;
        }
        // SAFETY: the memory is the context's, and `forget` checked the id.
        unsafe {
            sys::llama_memory_seq_pos_min(self.memory, sequence as i32) == 0
                && sys::llama_memory_seq_pos_max(self.memory, sequence as i32) == len as i32 - 1
        }
    }

    /// The state of all sequences, as llama.cpp writes it.
    pub(in crate::backend::llama) fn state(&mut self) -> Result<Vec<u8>> {
        // SAFETY: the context is alive. Exceptions are caught inside; -1 stands for all sequences.
        let size = unsafe { sys::llama_state_seq_get_size(self.ptr.as_ptr(), ALL) };
        room_for(size as u64)?;
        let mut state = Vec::new();
        state.try_reserve_exact(size).map_err(|e| {
            Error::new(Code::OutOfMemory, format!("no {size} bytes for the state of a context")).because(e)
        })?;
        state.resize(size, 0);
        // SAFETY: as above, and the state is writable for its length.
        let written = unsafe { sys::llama_state_seq_get_data(self.ptr.as_ptr(), state.as_mut_ptr(), size, ALL) };
        if size == 0 || written != size {
            return Err(Error::backend(format!("llama.cpp wrote {written} of {size} bytes of a context's state")));
        }
        Ok(state)
    }

    /// Replaces a sequence by the one of a state that our layout wrote; false if llama.cpp does not take all of it.
    pub(in crate::backend::llama) fn set_state(&mut self, sequence: u32, state: &[u8]) -> Result<bool> {
        if sequence >= self.shape.sequences {
            return Err(Error::internal(format!("no sequence {sequence}")));
        }
        // Lists of its cells.
        room_for(state.len() as u64)?;
        // SAFETY: the context is alive, the sequence in its range, and the state readable for its length. Its counts, types and
        // positions are the context's own. Exceptions are caught inside.
        let read =
            unsafe { sys::llama_state_seq_set_data(self.ptr.as_ptr(), state.as_ptr(), state.len(), sequence as i32) };
        Ok(read == state.len())
    }

    /// Forgets all sequences.
    pub(in crate::backend::llama) fn clear(&mut self) {
        if !self.memory.is_null() {
            // SAFETY: the memory is the context's.
            unsafe { sys::llama_memory_clear(self.memory, false) }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: each is freed once, the context before the threads that it uses.
        unsafe {
            sys::llama_free(self.ptr.as_ptr());
            sys::ggml_threadpool_free(self.threads.as_ptr());
        }
    }
}

/// `OutOfMemory` unless so many bytes are left, and some for small things.
fn room_for(bytes: u64) -> Result<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    threads::reserve(bytes.saturating_add(MARGIN)).map(drop)
}

/// Threads that sleep when there is nothing to compute. Between two operations of one computation ggml's threads wait
/// in a loop; `poll` is how long they do so after a computation.
///
/// ggml ends the process where one of them does not start, so `shape` gets no more than the system allows.
fn pool(shape: &mut Shape) -> Result<NonNull<sys::ggml_threadpool>> {
    room_for(0)?;
    let others = threads::granted("llama.cpp", shape.threads as usize - 1, MARGIN)?;
    shape.threads = others as u32 + 1;
    // SAFETY: returns plain data, copied by the pool.
    let pool = unsafe {
        let mut params = sys::ggml_threadpool_params_default(shape.threads as i32);
        params.poll = 0;
        NonNull::new(sys::ggml_threadpool_new(&raw mut params))
    };
    pool.ok_or_else(|| Error::new(Code::OutOfMemory, format!("no pool of {} threads", shape.threads)))
}

unsafe extern "C" fn watching(data: *mut c_void) -> bool {
    // SAFETY: `new` passed the address of the inner box, which stays in place until the context is freed, and nothing
    // else uses it during a computation, which holds `&mut Context`.
    let watch = unsafe { &mut *data.cast::<Watch>() };
    // A panic must not unwind through C; giving up is the safe answer to one.
    catch_unwind(AssertUnwindSafe(watch)).unwrap_or(true)
}

/// Tokens to compute together.
#[derive(Default)]
pub(in crate::backend::llama) struct Batch {
    tokens: Vec<Token>,
    positions: Vec<i32>,
    sequences: Vec<i32>,
    outputs: Vec<i8>,
    counts: Vec<i32>,
    pointers: Vec<*mut i32>,
}

impl Batch {
    pub(in crate::backend::llama) fn clear(&mut self) {
        self.tokens.clear();
        self.positions.clear();
        self.sequences.clear();
        self.outputs.clear();
    }

    pub(in crate::backend::llama) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Adds a token of a sequence; returns its index in the batch.
    pub(in crate::backend::llama) fn push(
        &mut self,
        token: u32,
        position: usize,
        sequence: u32,
        output: bool,
    ) -> usize {
        self.tokens.push(token as Token);
        self.positions.push(position as i32);
        self.sequences.push(sequence as i32);
        self.outputs.push(output.into());
        self.len() - 1
    }

    /// The sequences of the batch, each with the position of its first token in it.
    fn beginnings(&self) -> BTreeMap<u32, usize> {
        let mut beginnings = BTreeMap::new();
        for (&sequence, &position) in self.sequences.iter().zip(&self.positions) {
            let first = beginnings.entry(sequence as u32).or_insert(position as usize);
            *first = (*first).min(position as usize);
        }
        beginnings
    }

    /// Whether a sequence has several tokens in it, which are neighbours.
    fn has_prompt(&self) -> bool {
        self.sequences.windows(2).any(|two| two[0] == two[1])
    }

    fn check(&self, shape: &Shape, tokens: usize) -> Result<()> {
        let outputs = self.outputs.iter().filter(|&&o| o != 0).count();
        let fits = (1..=shape.batch as usize).contains(&self.len())
            && (shape.embeddings || outputs <= shape.outputs as usize)
            && self.sequences.iter().all(|&s| (0..shape.sequences as i32).contains(&s))
            && self.tokens.iter().all(|&t| usize::try_from(t).is_ok_and(|t| t < tokens))
            && self.positions.iter().all(|&p| p >= 0);
        if fits { Ok(()) } else { Err(Error::internal("a batch that does not fit its context")) }
    }

    /// Bytes that its computation wants beside what the context has reserved.
    fn work(&self, shape: &Shape) -> u64 {
        let last = self.positions.iter().copied().max().unwrap_or(0) as u64;
        let cells = (last + 1).next_multiple_of(CELLS);
        let of_token = cells.saturating_mul(shape.per_cell).max(shape.per_token);
        let of_threads = cells.saturating_mul(4 * u64::from(shape.threads));
        let attended = cells.saturating_mul(shape.attended_cell);
        (self.len() as u64).saturating_mul(of_token).saturating_add(of_threads).saturating_add(attended)
    }

    fn native(&mut self) -> sys::llama_batch {
        self.counts.clear();
        self.counts.resize(self.len(), 1);
        self.pointers.clear();
        self.pointers.extend(self.sequences.iter_mut().map(ptr::from_mut));
        sys::llama_batch {
            n_tokens: self.tokens.len() as i32,
            token: self.tokens.as_mut_ptr(),
            embd: ptr::null_mut(),
            pos: self.positions.as_mut_ptr(),
            n_seq_id: self.counts.as_mut_ptr(),
            seq_id: self.pointers.as_mut_ptr(),
            logits: self.outputs.as_mut_ptr(),
        }
    }
}
