//! Plan of serving: how a model is served, and what that takes of memory, from its header alone.

use super::check::{Header, Layer};
use crate::engine::MemoryEstimate;

/// Prompts are computed in slices that end at multiples of this. Always the same slices, so that the numbers do not
/// depend on who else there is; short enough that others wait no longer for their next token than they must.
pub(super) const SLICE: u32 = 128;
/// llama.cpp rounds the length of a sequence's part of the cache up to this.
const LENGTH_UNIT: u32 = 256;
/// Texts are computed together up to this many tokens, or alone. What is computed together depends on the request
/// only, so the same request gives the same bits.
pub(super) const TOGETHER: usize = 512;
pub(super) const MAX_TEXTS: u32 = 32;

/// As llama.cpp sizes a graph, and what its scheduler takes for each operation that one may have.
const OPERATIONS_PER_TENSOR: u64 = 8;
const MIN_OPERATIONS: u64 = 1024;
const BYTES_PER_OPERATION: u64 = 32 << 10;
/// What llama.cpp keeps of each cell: its position, and whose it is.
const BYTES_PER_CELL: u64 = 64;

/// The most tokens that a context is made for. llama.cpp tries a batch with as many tokens of each sequence, and ends the
/// process where it has to round for that, if a model that could generate embeds.
pub(super) fn max_embedding_tokens(plan: &Plan) -> u32 {
    plan.text.next_multiple_of(MAX_TEXTS).max(TOGETHER as u32)
}

/// How a model is to be served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Tokens that all runs hold together.
    pub(super) context: u32,
    /// Runs served side by side.
    pub(super) parallel: u32,
    pub(super) threads: u32,
    /// Of a slice of a prompt.
    pub(super) prompt_threads: u32,
    /// The longest text to embed or to rank, in tokens.
    pub(super) text: u32,
    pub(super) generates: bool,
    pub(super) embeds: bool,
    pub(super) ranks: bool,
    /// Whether what a run computed can serve the next one that begins alike.
    pub(super) reuses: bool,
    /// Whether prompts are computed with products of ours, for which weights are packed.
    pub(super) products: bool,
    /// What the context of all generations takes, and what contexts to embed with do, by estimate.
    pub(super) generation: Needs,
    pub(super) embedding: Embedding,
    pub(super) work: Work,
}

/// The division of the KV cache: how many sequences of which length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    pub(super) sequences: u32,
    pub(super) length: u32,
}

impl Division {
    /// The most sequences that are long enough for `tokens`.
    pub(super) fn for_tokens(tokens: usize, plan: &Plan) -> Self {
        let all = plan.context.next_multiple_of(LENGTH_UNIT);
        let of = |sequences: u32| {
            let length = (all / sequences / LENGTH_UNIT * LENGTH_UNIT).max(LENGTH_UNIT);
            Division { sequences, length }
        };
        (1..=plan.parallel).rev().map(of).find(|d| d.length as usize >= tokens).unwrap_or(of(1))
    }

    /// The most cells that any division has.
    pub(super) fn max_cells(plan: &Plan) -> u32 {
        plan.context.next_multiple_of(LENGTH_UNIT).max(plan.parallel * LENGTH_UNIT)
    }
}

/// What one context takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Keys and values.
    cache: u64,
    /// Buffers of a computation.
    scratch: u64,
}

impl Needs {
    pub(super) fn total(&self) -> u64 {
        self.cache.saturating_add(self.scratch)
    }
}

impl Plan {
    /// Bytes that must be there for a context with such needs to be made: what fails softly and comes last is left out.
    pub(super) fn made(&self, needs: &Needs) -> u64 {
        let cells = u64::from(Division::max_cells(self)).saturating_mul(BYTES_PER_CELL);
        needs.cache.saturating_add(cells).saturating_add(self.work.tables)
    }
}

/// What llama.cpp takes beside what it reports, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Tables of its scheduler: for each operation of a graph the inputs of a part that it could begin.
    tables: u64,
    /// Copies of the operands of one multiplication: of a token with all heads' looks at a cell, and of a token's widest row.
    pub(super) per_cell: u64,
    pub(super) per_token: u64,
    /// What our attention keeps of each cell: keys and values of a layer, as f32.
    pub(super) attended_cell: u64,
}

impl Work {
    pub(super) fn new(header: &Header) -> Self {
        let operations = header.tensors.saturating_mul(OPERATIONS_PER_TENSOR).max(MIN_OPERATIONS);
        Self {
            tables: operations.saturating_mul(BYTES_PER_OPERATION),
            per_cell: header.heads.saturating_mul(2),
            per_token: widest_row(header).saturating_mul(4),
            attended_cell: most_heads(header, |layer| layer.shared_heads)
                .saturating_mul(header.key_size.saturating_add(header.value_size))
                .saturating_mul(4),
        }
    }
}

/// Weights as they are in the file and as they are packed, and beside them what there is at most at one time: the context of all generations,
/// and that of the longest text to embed.
pub(super) fn estimate(header: &Header, plan: &Plan) -> MemoryEstimate {
    let mut needs = vec![plan.generation];
    if plan.embeds || plan.ranks {
        needs.push(plan.embedding.needs(max_embedding_tokens(plan)));
    }
    let sum = |bytes: fn(&Needs) -> u64| needs.iter().map(bytes).fold(0, u64::saturating_add);
    let (packed, attention) = if plan.products { (header.packed_bytes, attention(header, plan)) } else { (0, 0) };
    let weights = header.weight_bytes.saturating_add(packed);
    MemoryEstimate::new(weights, sum(|n| n.cache), sum(|n| n.scratch).saturating_add(attention))
}

/// What our attention takes beside llama.cpp's: keys and values of a layer, and the queries of a slice.
fn attention(header: &Header, plan: &Plan) -> u64 {
    if !plan.generates {
        return 0;
    }
    let cells = u64::from(Division::max_cells(plan)).saturating_mul(plan.work.attended_cell);
    let queries = most_heads(header, |layer| layer.heads).saturating_mul(header.key_size).saturating_mul(4);
    cells.saturating_add(queries.saturating_mul(SLICE.into()))
}

fn most_heads(header: &Header, of: fn(&Layer) -> u64) -> u64 {
    header.layers.iter().map(of).max().unwrap_or(0)
}

/// The context of all generations: keys and values in 16 bits, and the buffers of a slice.
pub(super) fn generation(header: &Header, plan: &Plan) -> Needs {
    if !plan.generates {
        return Needs::default();
    }
    let cells = u64::from(Division::max_cells(plan));
    let slice = u64::from(SLICE).min(cells);
    // Logits: in the graph and in the buffer that they are read from.
    let logits = u64::from(plan.parallel).saturating_mul(header.vocabulary.tokens as u64).saturating_mul(8);
    // How much each token of a slice looks at each cell, per head.
    let looks = slice.saturating_mul(cells).saturating_mul(header.heads.saturating_mul(4));
    let scratch = slice.saturating_mul(bytes_per_token(header)).saturating_add(logits).saturating_add(looks);
    Needs { cache: cells.saturating_mul(header.cache_elements).saturating_mul(2), scratch }
}

/// What contexts to embed with take, by the tokens that they compute at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Embedding {
    cache: u64,
    scratch: u64,
}

impl Embedding {
    /// Per token: buffers of its computation, its vector, and the logits that llama.cpp has room for although nobody
    /// asks for them; a model that could generate computes them, too, which takes as much again.
    pub(super) fn new(header: &Header, generates: bool) -> Self {
        let logits = (header.vocabulary.tokens as u64).saturating_mul(4);
        let computed = if generates { logits } else { 0 };
        let results = header.width.saturating_mul(4).saturating_add(logits).saturating_add(computed);
        // An encoder keeps no keys and values.
        let cache = if generates { header.cache_elements.saturating_mul(2) } else { 0 };
        Self { cache, scratch: bytes_per_token(header).saturating_add(results) }
    }

    pub(super) fn needs(&self, tokens: u32) -> Needs {
        let tokens = u64::from(tokens);
        // Which token may look at which, in 16 bits: at all, and within a window.
        let masks = tokens.saturating_mul(tokens).saturating_mul(4);
        let cells = tokens.next_multiple_of(LENGTH_UNIT.into());
        Needs {
            cache: cells.saturating_mul(self.cache),
            scratch: tokens.saturating_mul(self.scratch).saturating_add(masks),
        }
    }
}

fn widest_row(header: &Header) -> u64 {
    header.width.max(header.feed_forward).max(header.heads.saturating_mul(header.head_size))
}

/// Buffers of one token in a computation, as f32: the inputs and outputs of the widest operations, which live at the
/// same time.
fn bytes_per_token(header: &Header) -> u64 {
    let attention = header.heads.saturating_mul(header.head_size).saturating_mul(3);
    let widest = header.feed_forward.saturating_mul(3).max(attention);
    header.width.saturating_mul(4).saturating_add(widest).saturating_mul(4)
}
