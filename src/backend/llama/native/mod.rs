//! Native side: the only way to llama.cpp.
//!
//! # What ends the process
//!
//! llama.cpp asserts, and throws where nobody catches. Here is each such place on the ways that are used: what can
//! reach it, and what keeps it from firing. As of `llama-cpp-sys-2` 0.1.161, for the architectures that `check` knows
//! in full; a file of another one opens only if its digest is given, and its own graph is trusted. Exceptions while a
//! model is loaded or a context is made, and in `llama_get_logits_ith` and `llama_get_embeddings_seq`, are caught
//! inside; asserts, signals and loops without end are not.
//!
//! Any kernel, on a processor that lacks an instruction set that it was compiled for: `processor.rs` `check`. Tests: `processor`,
//! `tests/long/processors`.
//!
//! Load, by the file:
//! - `gguf.cpp`, `ggml.c` (sizes, types, names, alignment): `weights` reads by stricter rules first. Tests: `hostile`
//!   (mutants, foreign, found), the fuzzer.
//! - `llama-model-loader.cpp` `create_tensor` (a layer out of range), `load_all_data` (a file shorter than its
//!   tensors): `check/tensors.rs` `shape_in_layer`, the extents that `weights` checks; a wrong shape is thrown and
//!   caught. Tests: `meaning`, `splits`.
//! - `weight_buft_supported` (no expert is used): `check/keys.rs` `check_experts`. Test: `families`.
//! - `llama-model.cpp` `load_hparams` (layers, `nextn_predict_layers`, experts and their groups, `rope.scaling.type`):
//!   `check/mod.rs` `read`, `keys.rs` `check_experts`, `check_rope`. Tests: `meaning`, `hostile` (numbers).
//! - `models/gemma2.cpp`, `gemma3.cpp` (46 or 62 layers: a division by no heads): `keys.rs` `heads`. Test: `families`.
//! - `llama-vocab.cpp` `load` (two equal tokens), `token_to_byte` (a byte token of WordPiece, or one that is no
//!   `<0x00>`), arrays of another type or length, read out of bounds: `check/vocabulary.rs` `check_tokens`, `array`.
//!   Test: `meaning`.
//! - `llama-hparams.cpp` (a layer beyond the last): the graphs count to the number of layers. Test: `hostile`
//!   (numbers).
//! - `llama-mmap.cpp` (pages): structure. A mapped file that is cut off later is a signal: the loading `Read` does
//!   without.
//!
//! Tokens of a text, `llama_tokenize`; nothing is caught:
//! - `append_bos`, `append_eos`, WordPiece's begin, end and unknown (no such token): `vocabulary.rs` `Ids::check`.
//!   Test: `meaning`.
//! - `byte_to_token` (a byte without a token): `check_bytes`. Test: `meaning`.
//! - `find_bpe_rank` (a blank in a word): bytes are encoded or blanks escaped, but for the pre-tokenizer `whitespace`,
//!   which `splitter.rs` `text` gives single blanks only. Tests: `texts`, `splitter`.
//! - `unicode_regex_split` (the stack), `unicode_cpt_to_utf8` (no code point): `splitter.rs` `stack`, and texts are
//!   UTF-8. A token that cuts a character in two leaves what counts as an unknown one. Test: `texts`.
//! - `tokenizer_st_partition` (offsets): no token is empty, for llama.cpp names those that are. Test: `meaning`.
//! - The same, which takes the square of the tokens it finds: `fragments.rs`. SentencePiece, byte pairs and the others take the
//!   time of a sort, for their queues hold no token longer than the vocabulary's longest. Tests: `fragments`, `texts`.
//! - `std::bad_alloc`: `model.rs` `tokenize_at_once` asks for `PER_BYTE` of each byte first. Test: `memory`.
//! - Lengths in 32 bits: `tokenize_at_once` takes less than 2²⁸ bytes.
//!
//! Text of a token, `llama_token_to_piece`, `llama_vocab_get_text`, `_get_attr`, `_is_eog` (`id_to_token.at`, a text of
//! 2³¹ bytes): `model.rs` compares each id with the number of tokens; `vocabulary.rs` bounds a token's bytes. Pieces
//! are made at load, where a token that is no text is thrown and caught. Tests: `meaning`, `texts`.
//!
//! Context, `llama_init_from_model`:
//! - `create_memory` (windows that no layer has): `keys.rs` `check_windows`. Test: `families`.
//! - `llama-kv-cache.cpp` (cells, streams, sequences; 2³⁰ cells take 64 GiB for their tables alone): `plan.rs`
//!   `Division` rounds as llama.cpp does, `mod.rs` bounds `context_tokens` and `parallel`, `plan.rs` `made` counts the
//!   tables. Tests: `serving`.
//! - `output_reserve` (more outputs than were named): `kv_cache.rs` names one for each sequence, `embedder.rs` one for
//!   each token, of which there are more than sequences. Tests: `loading`, `tests/gguf`.
//! - Batches that a reserve rounds, if a model that could generate embeds: `plan.rs` `max_embedding_tokens`. Test:
//!   `loading`.
//! - `ggml_backend_sched_new`, `ggml_gallocr_new_n`, `ggml_init`, `ggml_malloc` (a small allocation that fails, or
//!   whose failure is not looked at): `context.rs` `room_for`, before there are keys and values. Large ones come back
//!   as null. Test: `memory`.
//! - `ggml_threadpool_new` (a thread does not start): `context.rs` `pool`, by `threads::granted`. Test: `threads`.
//! - `ggml_backend_sched_alloc_splits`: aborts on demand of the variable `GGML_SCHED_DEBUG_REALLOC`, which is the
//!   host's own.
//!
//! Computation, `llama_decode`; nothing is caught:
//! - `llama-batch.cpp`, `llama_context::decode` and `encode` (no token, more than a batch, a token or a sequence out of
//!   range, outputs that were not reserved, more than a micro-batch without causality): `context.rs` `Batch::check`; a
//!   batch and its micro-batch are of one size. What does not follow on the sequence's last position is an error, code
//!   -1. Test: `batcher`.
//! - `apply_ubatch`, `find_slot` (a token of several sequences, uneven parts): `Batch::native` gives each token one.
//!   Test: `batcher`.
//! - `llm_graph_input_*::set_input` (an input that was not allocated; no temperature scale): the graphs of the known
//!   architectures use all of theirs, also if every layer or none has a window; `mistral3` refuses a scale without a
//!   length. Test: `families`.
//! - `build_pooling`, `get_embeddings_seq` (an unknown pooling; a rank that is read beyond what there is): `keys.rs` `pooling`;
//!   `ranking.rs` takes a rank with its head only, whose outputs the loader has counted. Test: `hostile` (numbers).
//! - `models/*.cpp` (keys as large as values, whole heads rotated): `keys.rs` `check_head`, by the marks of
//!   `architectures.rs`. Tests: `meaning`, `families`.
//! - `build_ffn` (a scale beside a bias in NVFP4): `tensors.rs` `check_scale`. Test: `families`.
//! - `build_moe_ffn` (a layer with another number of experts): `check_experts`. The router's numbers may be NaN:
//!   soft-max makes all of them so, and the sort takes equals. Test: `families`.
//! - `ggml.c` (shapes of operands): the loader has compared each tensor with the numbers of the heads, widths and
//!   layers, which `keys.rs` has compared with each other. Test: `hostile` (numbers), `families`.
//! - `ggml_rope` (an odd number, or none for ever; factors of another length): `check_head`; the loader for the
//!   factors. Tests: `meaning`, `families`. The base, the scale and the factors of YaRN only make numbers, which may be
//!   NaN.
//! - `ggml_get_rows` (a token or a position out of the table): token ids as above; `mod.rs` `plan_of` keeps the context
//!   within `context_length`, which has the rows of `position_embd.weight`. Tests: `meaning`, `tests/gguf`.
//! - CPU kernels by type (a norm in 8 bits, a matrix of integers): `tensors.rs` `check_type`. Test: `hostile` (types).
//! - Numbers that are none: kernels assert nothing of them in this build. The sampler and the embedder report them.
//!   Test: `hostile` (infinite).
//! - `ggml_backend_cpu_graph_compute` (`new` of its work), lists of a batch, graphs: `context.rs` `decode` asks for
//!   `Batch::work` and a margin first; buffers of a graph and of outputs come back as code -2. Test: `memory`.
//! - A watch that panics: `context.rs` `watching` gives the computation up. A round that was given up half-way:
//!   `rewind`. Test: `batcher`.
//!
//! Sequences, `llama_memory_seq_rm`, `_cp`, `_pos_min`, `_pos_max` (an id out of range; a part of one copied to another
//! stream): `context.rs` `forget`, `copy`, `cut` check ids and copy whole ones. Test: `batcher`.
//!
//! State, `llama_state_seq_get_size`, `_get_data`, `_set_data` (a sequence out of range, more cells than there are, exceptions
//! in a whole context's restore): `context.rs` `set_state` takes one sequence, whose state `serve/layout.rs` wrote; what comes
//! from a file is keys and values alone. Exceptions are caught inside. Tests: `layout`, `tests/gguf` (prefixes).
//!
//! Adapters, `llama_adapter_lora_init_from_file_ptr` (keys of another type), `llama_set_adapters_lora`, `build_lora_mm` (shapes;
//! a changed vocabulary that is the output as well): `check/adapter.rs` takes pairs of the model's own matrices, by name and shape.
//! Exceptions of the loader are caught inside; the graph is planned anew where the set changes, for which `context.rs`
//! `use_adapters` looks at the memory. Tests: `adapters`, `tests/gguf` (adapters).
//!
//! Results (an index without output; a build with asserts would abort): `context.rs` `logits`, `embedding` ask for what
//! the batch marked; llama.cpp is built without debug asserts in every profile of Cargo. Test: `batcher`.
//!
//! The device of ours, which ggml calls (`device`): no panic crosses into C. An operation that it took and cannot compute is a
//! failure of the computation, code -3. Registered in `init`, for the list of devices has no lock. A context for which a device
//! makes no backend is an exception, caught inside; ours always makes one. Tests: `device`.
//!
//! What remains: memory that another thread takes between the look and the use of it, and the language's own
//! allocations, which end the process as well.

pub(super) mod accelerator;
pub(super) mod context;
mod device;
pub(super) mod file;
mod fragments;
mod logs;
pub(super) mod model;
pub(super) mod processor;
pub(super) mod splitter;
mod terminate;
