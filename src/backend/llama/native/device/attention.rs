//! Attention of a graph.
//!
//! llama.cpp spells it as three operations: the products of keys and queries, their softmax, and the products of that with values.
//! All are taken or none, and computed at the third. What is between them is never written, so what is taken is what is known to be
//! such a three: a cache whose keys were seen in one while the context was made.

#![expect(unsafe_code, reason = "reads and writes the memory of ggml's tensors")]

use std::collections::HashSet;
use std::ptr::NonNull;
use std::slice::from_raw_parts;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};

use half::f16;
use llama_cpp_sys_2 as sys;

use super::crew::{Crew, Ended, Output};
use crate::kernel::attention::{Cells, Cut, Mask, PANEL, TILE, Tokens, attend};
use crate::threads::unpoisoned;
use crate::{Error, Result};

/// The attention of one context.
#[derive(Default)]
pub(super) struct Attention {
    /// Keys of the KV cache, by the addresses of their tensors.
    caches: Mutex<HashSet<usize>>,
    room: Mutex<Room>,
    /// Layers computed.
    count: AtomicU64,
}

/// What is used again in each layer.
#[derive(Default)]
struct Room {
    /// The address of the first operation of the three, and its queries, which ggml may write over before the third:
    /// `[stream][head][token][element]`.
    begun: Option<usize>,
    queries: Vec<f32>,
    /// By stream and head of keys.
    cells: Vec<RwLock<Cells>>,
}

impl Attention {
    /// Keeps in mind what an operation is the third of, in a graph that is not computed; false if it is of none.
    pub(super) fn find(&self, operation: &sys::ggml_tensor, min_tokens: usize) -> bool {
        let Some(three) = Three::of(operation).filter(|three| three.all_tokens() >= min_tokens) else {
            return self.tokens(operation).is_some();
        };
        unpoisoned(self.caches.lock()).insert(three.products.cache);
        true
    }

    /// The tokens of what an operation is a part of, if that was found.
    pub(super) fn tokens(&self, operation: &sys::ggml_tensor) -> Option<usize> {
        let first = match operation.op {
            sys::GGML_OP_SOFT_MAX => source(operation, 0)?,
            _ => Three::of(operation).map_or(operation, |three| three.first),
        };
        let products = Products::of(first)?;
        unpoisoned(self.caches.lock()).contains(&products.cache).then_some(products.tokens * products.streams)
    }

    /// Layers computed so far.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Begins a graph.
    pub(super) fn begin(&self) {
        unpoisoned(self.room.lock()).begun = None;
    }

    /// Whether nothing is begun that is not done.
    pub(super) fn is_whole(&self) -> bool {
        unpoisoned(self.room.lock()).begun.is_none()
    }

    /// Computes an operation that was taken.
    ///
    /// # Errors
    ///
    /// `Internal` for one that is no part of a three, or not in their order.
    pub(super) fn compute(&self, operation: &sys::ggml_tensor, crew: &Crew<'_>) -> Result<Ended> {
        let mut room = unpoisoned(self.room.lock());
        if let Some(three) = Three::of(operation) {
            if room.begun.take() != Some(address(three.first)) {
                return Err(Error::internal("attention that was not begun"));
            }
            let ended = room.attend(&three, crew)?;
            self.count.fetch_add(u64::from(ended == Ended::Done), Ordering::Relaxed);
            return Ok(ended);
        }
        if operation.op != sys::GGML_OP_SOFT_MAX {
            let products =
                Products::of(operation).ok_or_else(|| Error::internal("an operation that is none of ours"))?;
            room.hold(&products);
            room.begun = Some(address(operation));
        }
        Ok(Ended::Done)
    }
}

impl Room {
    /// Copies queries.
    fn hold(&mut self, products: &Products<'_>) {
        let Products { queries, tokens, heads, streams, key_size, .. } = *products;
        self.queries.clear();
        for stream in 0..streams {
            for head in 0..heads {
                for token in 0..tokens {
                    let at = stream * queries.nb[3] + head * queries.nb[2] + token * queries.nb[1];
                    // SAFETY: the tensor has as many dimensions of such strides, in host memory, computed before.
                    let row = unsafe { from_raw_parts(queries.data.byte_add(at).cast::<f32>(), key_size) };
                    self.queries.extend_from_slice(row);
                }
            }
        }
    }

    fn attend(&mut self, three: &Three<'_>, crew: &Crew<'_>) -> Result<Ended> {
        let Products { tokens, heads, shared_heads, streams, key_size, cells, .. } = three.products;
        let (value_size, scale, out) = (three.value_size, three.scale, Output::of(three.out)?);
        let tiles = tokens.div_ceil(TILE);
        let tile = |i: usize| i * TILE..tokens.min((i + 1) * TILE);
        // What several threads read.
        let masks: Vec<_> = (0..streams).map(|stream| three.mask(stream)).collect();
        let cuts: Vec<_> = (0..streams * shared_heads).map(|i| three.cut(i / shared_heads, i % shared_heads)).collect();
        let panels: Vec<_> = (0..streams * tiles).map(|i| masks[i / tiles].panels(tile(i % tiles), cells)).collect();
        self.cells.resize_with(self.cells.len().max(cuts.len()), RwLock::default);
        let (all_cells, queries) = (&self.cells, &self.queries);
        let packed = crew.each(cuts.len(), |i| {
            let of_stream = &panels[i / shared_heads * tiles..][..tiles];
            let seen = of_stream.iter().map(|panels| panels.end).max().unwrap_or(0);
            unpoisoned(all_cells[i].write()).pack(&cuts[i], seen * PANEL)
        })?;
        if packed == Ended::GivenUp {
            return Ok(packed);
        }
        crew.each(streams * heads * tiles, |i| {
            let (stream, head, part) = (i / tiles / heads, i / tiles % heads, tile(i % tiles));
            let row = (stream * heads + head) * tokens + part.start;
            let queries = &queries[row * key_size..][..part.len() * key_size];
            let mask = masks[stream].from(part.start);
            // SAFETY: the result has a row for each token of each head of each stream, one after the other, and these are
            // nobody else's.
            let out = unsafe { std::slice::from_raw_parts_mut(out.at(row * value_size), part.len() * value_size) };
            let cells = unpoisoned(all_cells[stream * shared_heads + head / (heads / shared_heads)].read());
            let panels = panels[stream * tiles + i % tiles].clone();
            attend(&cells, panels, &Tokens { queries, scale, mask }, out)
        })
    }
}

/// Products of keys and queries.
#[derive(Clone, Copy)]
struct Products<'a> {
    keys: &'a sys::ggml_tensor,
    queries: &'a sys::ggml_tensor,
    /// The address of the tensor that the keys are a part of.
    cache: usize,
    key_size: usize,
    cells: usize,
    tokens: usize,
    /// Of queries, and of keys: as many of the ones share one of the others.
    heads: usize,
    shared_heads: usize,
    streams: usize,
}

impl<'a> Products<'a> {
    fn of(operation: &'a sys::ggml_tensor) -> Option<Self> {
        let (keys, queries) = (source(operation, 0)?, source(operation, 1)?);
        let [key_size, cells, shared_heads, streams] = sizes(keys)?;
        let [query_size, tokens, heads, query_streams] = sizes(queries)?;
        let fits = query_size == key_size
            && query_streams == streams
            && heads.is_multiple_of(shared_heads)
            && cells.is_multiple_of(PANEL)
            && sizes(operation)? == [cells, tokens, heads, streams];
        let are_ours = operation.op == sys::GGML_OP_MUL_MAT
            && lies_as(keys, sys::GGML_TYPE_F16, size_of::<f16>())
            && lies_as(queries, sys::GGML_TYPE_F32, size_of::<f32>())
            && is_of_host(keys);
        let cache = NonNull::new(keys.view_src)?.as_ptr().addr();
        (fits && are_ours).then_some(Self {
            keys,
            queries,
            cache,
            key_size,
            cells,
            tokens,
            heads,
            shared_heads,
            streams,
        })
    }
}

/// The three operations, of which `out` is the last.
struct Three<'a> {
    first: &'a sys::ggml_tensor,
    products: Products<'a>,
    values: &'a sys::ggml_tensor,
    value_size: usize,
    mask: &'a sys::ggml_tensor,
    /// One for all, or one for each.
    mask_streams: usize,
    scale: f32,
    out: &'a sys::ggml_tensor,
}

impl<'a> Three<'a> {
    /// Not with a bias by position (ALiBi), with sinks, or where anything is done to the scores before their softmax.
    fn of(out: &'a sys::ggml_tensor) -> Option<Self> {
        let (values, weights) = (source(out, 0)?, source(out, 1)?);
        if out.op != sys::GGML_OP_MUL_MAT || weights.op != sys::GGML_OP_SOFT_MAX || !weights.src[2].is_null() {
            return None;
        }
        let (first, mask) = (source(weights, 0)?, source(weights, 1)?);
        let products = Products::of(first)?;
        let [scale, bias, ..] = weights.op_params.map(|bits| f32::from_bits(bits.cast_unsigned()));
        let Products { cells, tokens, heads, shared_heads, streams, .. } = products;
        let [value_cells, value_size, value_heads, value_streams] = sizes(values)?;
        let [mask_cells, mask_tokens, 1, mask_streams] = sizes(mask)? else { return None };
        let fits = [value_cells, value_heads, value_streams] == [cells, shared_heads, streams]
            && (mask_cells, mask_tokens >= tokens, streams.is_multiple_of(mask_streams)) == (cells, true, true)
            && sizes(out)? == [value_size, tokens, heads, streams];
        let number = size_of::<f32>();
        let are_ours = lies_as(values, sys::GGML_TYPE_F16, size_of::<f16>())
            && lies_as(mask, sys::GGML_TYPE_F32, number)
            && lies_as(out, sys::GGML_TYPE_F32, number)
            && out.nb[1..] == [1, tokens, tokens * heads].map(|rows| rows * value_size * number)
            && is_of_host(values)
            && bias == 0.0;
        (fits && are_ours).then_some(Self { first, products, values, value_size, mask, mask_streams, scale, out })
    }

    fn all_tokens(&self) -> usize {
        self.products.tokens * self.products.streams
    }

    fn mask(&self, stream: usize) -> Mask<'a> {
        let Products { tokens, cells, .. } = self.products;
        let stride = self.mask.nb[1] / size_of::<f32>();
        let at = stream % self.mask_streams * self.mask.nb[3];
        // SAFETY: the mask has a row of `cells` numbers for each token, in host memory, which llama.cpp has set before.
        let numbers =
            unsafe { from_raw_parts(self.mask.data.byte_add(at).cast::<f32>(), (tokens - 1) * stride + cells) };
        Mask { numbers, stride }
    }

    fn cut(&self, stream: usize, head: usize) -> Cut<'a> {
        let Products { keys, key_size, cells, .. } = self.products;
        let strides = [keys, self.values].map(|tensor| tensor.nb[1] / size_of::<f16>());
        let part = |tensor: &'a sys::ggml_tensor, len: usize| {
            let at = stream * tensor.nb[3] + head * tensor.nb[2];
            // SAFETY: the tensor has as many streams and heads, of rows with this stride, in host memory; nothing writes to it
            // meanwhile.
            unsafe { from_raw_parts(tensor.data.byte_add(at).cast::<f16>(), len) }
        };
        Cut {
            keys: part(keys, (cells - 1) * strides[0] + key_size),
            key_stride: strides[0],
            key_size,
            values: part(self.values, (self.value_size - 1) * strides[1] + cells),
            value_stride: strides[1],
            value_size: self.value_size,
        }
    }
}

fn source(operation: &sys::ggml_tensor, i: usize) -> Option<&sys::ggml_tensor> {
    // SAFETY: an operand of an operation is a tensor that lives as long as it, and nobody writes to its head meanwhile.
    NonNull::new(operation.src[i]).map(|tensor| unsafe { tensor.as_ref() })
}

fn address(tensor: &sys::ggml_tensor) -> usize {
    std::ptr::from_ref(tensor).addr()
}

/// Sizes, none of which is 0.
fn sizes(tensor: &sys::ggml_tensor) -> Option<[usize; 4]> {
    let sizes = tensor.ne.map(|size| usize::try_from(size).unwrap_or(0));
    sizes.iter().all(|size| *size > 0).then_some(sizes)
}

/// Whether the elements of a row are of a type, side by side, and all rows begin at whole elements.
fn lies_as(tensor: &sys::ggml_tensor, kind: sys::ggml_type, bytes: usize) -> bool {
    tensor.type_ == kind && tensor.nb[0] == bytes && tensor.nb.iter().all(|stride| stride.is_multiple_of(bytes))
}

/// Whether a part of a cache lies in host memory.
fn is_of_host(part: &sys::ggml_tensor) -> bool {
    let Some(cache) = NonNull::new(part.view_src) else { return false };
    // SAFETY: what a tensor is a part of lives as long as it, and so does its buffer.
    unsafe {
        NonNull::new(cache.as_ref().buffer).is_some_and(|buffer| sys::ggml_backend_buffer_is_host(buffer.as_ptr()))
    }
}
