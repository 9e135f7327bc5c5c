//! Engines: open, describe, ask.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::*;
use selvedge_ffi::*;

use crate::base::{Owned, kept_text, text_of};
use crate::descriptor::{Buffer, Bytes, Floats, Ints, Listener, Longs, Objects, Str, Strs};
use crate::env::Env;
use crate::failure::{Result, call, give, handle, pointer};
use crate::generate::{Generate, Prompt, Score, Terms};
use crate::native::natives;
use crate::opening::{Named, Numbers, Options, Source};
use crate::request::{self, Inputs, Tensors, text};

natives! {
    /// Opens a model (0), or inspects (1: a buffer of JSON) or validates (2) it.
    fn open(
        env, what: i32, path: Str, file: i64, offset: i64, length: i64, memory: Buffer, backend: i32, loading: i32,
        threads: i32, prompt_threads: i32, context_tokens: i32, parallel: i32, accelerator_layers: i32, flags: i32,
        memory_limit: i64, sha256: Bytes, onnxruntime: Str, entries: Strs, adapters: Strs, measurements: Str,
        accelerator_device: Str, cancel: i64, listener: Listener,
    ) -> i64 {
        let numbers = Numbers {
            backend, loading, threads, prompt_threads, context_tokens, parallel, accelerator_layers, flags, memory_limit,
        };
        let named = Named { sha256, onnxruntime, entries, adapters, measurements, accelerator_device };
        let options = Options::read(env, numbers, named, cancel, listener)?;
        let source = Source::read(env, path, file, offset, length, memory)?;
        let (raw, options) = (source.lend(env, memory)?, options.raw());
        // SAFETY: source and options live until the call returns; memory that is lent, until it is released.
        unsafe {
            match what {
                0 => handle(|out, err| selvedge_engine_open_source(&raw, options, out, err)),
                1 => handle(|out, err| selvedge_inspect(&raw, options, out, err)),
                _ => call(|err| selvedge_validate(&raw, options, err)).map(|()| 0),
            }
        }
    }

    fn engine_spec(env, engine: i64) -> Str {
        // SAFETY: all places are this call's.
        kept_text(env, |json, len, err| unsafe { selvedge_engine_spec_json(pointer(engine), json, len, err) })
    }

    fn engine_run(
        env, engine: i64, names: Strs, dtypes: Ints, ranks: Ints, dims: Longs, data: Objects, outputs: Strs,
        cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> i64 {
        let tensors = Tensors::read(env, Inputs { names, dtypes, ranks, dims, data }, outputs)?;
        let (request, call) = (tensors.raw(), request::call(cancel, timeout_ms, id, priority));
        // SAFETY: the request lives until the call returns, and Java holds its buffers.
        handle(|out, err| unsafe { selvedge_engine_run(pointer(engine), &request, &call, out, err) })
    }

    fn engine_start(
        env, engine: i64, names: Strs, dtypes: Ints, ranks: Ints, dims: Longs, data: Objects, outputs: Strs,
        cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> i64 {
        let tensors = Tensors::read(env, Inputs { names, dtypes, ranks, dims, data }, outputs)?;
        let (request, call) = (tensors.raw(), request::call(cancel, timeout_ms, id, priority));
        // SAFETY: as of `engine_run`.
        handle(|out, err| unsafe { selvedge_engine_start(pointer(engine), &request, &call, out, err) })
    }

    /// Runs into `buffers`. `shapes` gets of each output its dtype, its bytes, its rank and MAX_RANK dimensions.
    fn engine_run_into(
        env, engine: i64, names: Strs, dtypes: Ints, ranks: Ints, dims: Longs, data: Objects, outputs: Strs,
        buffers: Objects, wanted: Ints, cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> Longs {
        let tensors = Tensors::read(env, Inputs { names, dtypes, ranks, dims, data }, Strs(std::ptr::null_mut()))?;
        let (request, call) = (tensors.raw(), request::call(cancel, timeout_ms, id, priority));
        let mut into = Into::read(env, outputs, buffers, wanted)?;
        into.point();
        let (places, count) = (into.places.as_mut_ptr(), into.places.len());
        // SAFETY: as of `engine_run`; the places have room for what they say, and Java holds their buffers.
        crate::failure::call(|err| unsafe {
            selvedge_engine_run_into(pointer(engine), &request, places, count, &call, err)
        })?;
        env.new_longs(&into.shapes())
    }

    fn engine_generate(
        env, engine: i64, prompt: Str, conversation: Objects, tokens: Ints, stop: Strs, flags: i32, max_tokens: i32,
        seed: i32, temperature: f32, top_k: i32, top_p: f32, min_p: f32, repeat_penalty: f32, frequency_penalty: f32,
        presence_penalty: f32, penalty_last_n: i32, grammar: Str, grammar_kind: i32, tools: Strs, tool_choice: i32,
        tool_name: Str, documents: Strs, thinking: i32, variables: Strs, adapters: Strs, scales: Floats,
        bias_tokens: Ints, biases: Floats, top_logprobs: i32, cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> i64 {
        let prompt = Prompt::read(env, prompt, conversation, tokens)?;
        let terms =
            Terms { stop, grammar, tools, tool_name, documents, variables, adapters, scales, bias_tokens, biases };
        let generate = Generate::read(env, prompt, terms)?;
        let mut raw = generate.raw();
        (raw.flags, raw.max_tokens, raw.seed) = (flags as u32, max_tokens as u32, seed as u32);
        (raw.temperature, raw.top_k, raw.top_p, raw.min_p) = (temperature, top_k as u32, top_p, min_p);
        (raw.repeat_penalty, raw.frequency_penalty) = (repeat_penalty, frequency_penalty);
        (raw.presence_penalty, raw.penalty_last_n) = (presence_penalty, penalty_last_n as u32);
        (raw.grammar_kind, raw.tool_choice, raw.thinking) = (grammar_kind, tool_choice, thinking);
        raw.top_logprobs = top_logprobs as u32;
        let call = request::call(cancel, timeout_ms, id, priority);
        // SAFETY: the request lives until the call returns, which copies it.
        handle(|out, err| unsafe { selvedge_engine_generate(pointer(engine), &raw, &call, out, err) })
    }

    fn engine_score(
        env, engine: i64, prompt: Str, conversation: Objects, tokens: Ints, continuations: Strs, adapters: Strs,
        scales: Floats, cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> i64 {
        let prompt = Prompt::read(env, prompt, conversation, tokens)?;
        let score = Score::read(env, prompt, continuations, adapters, scales)?;
        let (request, call) = (score.raw(), request::call(cancel, timeout_ms, id, priority));
        // SAFETY: the request lives until the call returns.
        handle(|out, err| unsafe { selvedge_engine_score(pointer(engine), &request, &call, out, err) })
    }

    fn engine_rerank(
        env, engine: i64, query: Str, documents: Strs, cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> i64 {
        let (query, documents) = (env.text("query", query)?, env.texts("document", documents)?);
        let raw = request::texts(&documents);
        let request = selvedge_rerank {
            struct_size: size_of::<selvedge_rerank>(),
            query: text(&query),
            documents: request::array(&raw),
            document_count: raw.len(),
        };
        let call = request::call(cancel, timeout_ms, id, priority);
        // SAFETY: the request lives until the call returns.
        handle(|out, err| unsafe { selvedge_engine_rerank(pointer(engine), &request, &call, out, err) })
    }

    /// Prefixes, tokens and bytes.
    fn engine_save_prefixes(env, engine: i64, path: Str) -> Longs {
        let path = env.text("path", path)?;
        // SAFETY: the path lives until the call returns, and both places are this call's.
        prefixes(env, |saved, err| unsafe {
            selvedge_engine_save_prefixes(pointer(engine), path.as_ptr().cast(), path.len(), saved, err)
        })
    }

    fn engine_restore_prefixes(env, engine: i64, path: Str) -> Longs {
        let path = env.text("path", path)?;
        // SAFETY: as of `engine_save_prefixes`.
        prefixes(env, |restored, err| unsafe {
            selvedge_engine_restore_prefixes(pointer(engine), path.as_ptr().cast(), path.len(), restored, err)
        })
    }

    fn engine_embed(
        env, engine: i64, texts: Strs, flags: i32, cancel: i64, timeout_ms: i64, id: i64, priority: i32,
    ) -> i64 {
        let texts = env.texts("text", texts)?;
        let raw = request::texts(&texts);
        let request = selvedge_embed {
            struct_size: size_of::<selvedge_embed>(),
            texts: raw.as_ptr(),
            text_count: raw.len(),
            flags: flags as u32,
            reserved: 0,
        };
        let call = request::call(cancel, timeout_ms, id, priority);
        // SAFETY: the request lives until the call returns.
        handle(|out, err| unsafe { selvedge_engine_embed(pointer(engine), &request, &call, out, err) })
    }

    fn engine_trim(env, engine: i64, level: i32) -> i64 {
        // SAFETY: both places are this call's.
        give(|freed: *mut u64, err| unsafe { selvedge_engine_trim(pointer(engine), level, freed, err) })
            .map(|freed| freed as i64)
    }

    fn engine_tokenize(env, engine: i64, prompt: Str, conversation: Objects) -> Ints {
        let prompt = Prompt::read(env, prompt, conversation, Ints(std::ptr::null_mut()))?;
        let raw = prompt.raw();
        // SAFETY: the request lives until the call returns.
        let tokens = handle(|out, err| unsafe { selvedge_engine_tokenize(pointer(engine), &raw, out, err) })?;
        let tokens = Owned(tokens);
        let ids: Vec<i32> =
            tokens.bytes().chunks_exact(4).map(|id| i32::from_ne_bytes([id[0], id[1], id[2], id[3]])).collect();
        env.new_ints(&ids)
    }

    fn engine_detokenize(env, engine: i64, tokens: Ints) -> Str {
        let tokens = env.ints(tokens)?;
        // SAFETY: the tokens live until the call returns.
        text_of(env, |out, err| unsafe {
            selvedge_engine_detokenize(pointer(engine), tokens.as_ptr().cast(), tokens.len(), out, err)
        })
    }

    fn engine_render(env, engine: i64, conversation: Objects) -> Str {
        let nothing = std::ptr::null_mut();
        let prompt = Prompt::read(env, Str(nothing), conversation, Ints(nothing))?;
        let raw = prompt.raw();
        // SAFETY: the request lives until the call returns.
        text_of(env, |out, err| unsafe { selvedge_engine_render(pointer(engine), &raw, out, err) })
    }
}

/// What a call says that saves or restores prefixes.
fn prefixes(
    env: Env,
    function: impl FnOnce(*mut selvedge_prefixes, *mut *mut selvedge_error) -> selvedge_status,
) -> Result<Longs> {
    let mut told = selvedge_prefixes { struct_size: size_of::<selvedge_prefixes>(), ..Default::default() };
    crate::failure::call(|err| function(&mut told, err))?;
    env.new_longs(&[told.prefixes as i64, told.tokens as i64, told.bytes as i64])
}

/// The most dimensions of a tensor in the C ABI.
const MAX_RANK: usize = 64;

/// Where outputs go, and what the C ABI's structs point to.
struct Into {
    _names: Vec<String>,
    dims: Vec<[i64; MAX_RANK]>,
    places: Vec<selvedge_output>,
}

impl Into {
    fn read(env: Env, names: Strs, buffers: Objects, dtypes: Ints) -> Result<Self> {
        let (names, dtypes) = (env.texts("output", names)?, env.ints(dtypes)?);
        let mut places = Vec::with_capacity(names.len());
        for (i, (name, dtype)) in names.iter().zip(dtypes).enumerate() {
            let (data, capacity) = env.memory(name, Buffer(env.element(buffers.0, i)?))?;
            places.push(selvedge_output {
                struct_size: size_of::<selvedge_output>(),
                name: text(name),
                data,
                capacity,
                dim_capacity: MAX_RANK,
                dtype,
                ..Default::default()
            });
        }
        Ok(Self { dims: vec![[0; MAX_RANK]; places.len()], places, _names: names })
    }

    /// Points the places to their dimensions, once neither moves.
    fn point(&mut self) {
        for (place, dims) in self.places.iter_mut().zip(&mut self.dims) {
            place.dims = dims.as_mut_ptr();
        }
    }

    fn shapes(&self) -> Vec<i64> {
        let mut shapes = Vec::new();
        for (place, dims) in self.places.iter().zip(&self.dims) {
            shapes.extend([i64::from(place.dtype), place.byte_len as i64, place.rank as i64]);
            shapes.extend(&dims[..place.rank.min(MAX_RANK)]);
        }
        shapes
    }
}
