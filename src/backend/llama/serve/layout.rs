//! Layout of the KV cache: how llama.cpp writes the state of sequences, and what of it is keys and values.
//!
//! Everything else in such a state is the same for every sequence of so many tokens. So it is read off the context's own
//! state, once, and written anew for each sequence that is restored: what comes from a file is keys and values only, of the size
//! that they must have, and llama.cpp never reads a count or a type that was not its own.
//!
//! ```text
//! state     magic u32 · sequence i32 (-1: all) · caches, one after the other
//! cache     streams u32 · streams
//! stream    cells u32 · if there are any: cells · data
//! cell      position i32 · sequences u32 · that many sequences i32
//! data      values transposed u32 (1) · layers u32 · rotation of keys u32, of values u32
//!           per layer: type i32 · bytes of a row u64 · a row per cell          (keys)
//!           per layer: type i32 · bytes of an element u32 · elements u32       (values)
//!                      · per element: one for each cell
//! ```

use crate::{Error, Result};

const MAGIC: u32 = 0xaf14_3cd8;
/// As many as any model has layers, with room.
const MAX_LAYERS: u32 = 4096;
/// A model with windows has two.
const MAX_CACHES: usize = 4;

/// The layout of one context's state; the same for every division of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::backend::llama) struct Layout {
    caches: Vec<Cache>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cache {
    rotations: [u32; 2],
    /// Type, and bytes of a row.
    keys: Vec<(i32, u64)>,
    /// Type, bytes of an element, and elements.
    values: Vec<(i32, u32, u32)>,
}

/// The keys and values of one stream of a state.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::backend::llama) struct Rows {
    /// Whether the cells are those of tokens 0, 1, 2 and so on.
    pub(in crate::backend::llama) in_order: bool,
    pub(in crate::backend::llama) tokens: usize,
    pub(in crate::backend::llama) bytes: Vec<u8>,
}

impl Layout {
    /// Reads the state of all sequences: the layout, and what is in each stream. No layout where there are no cells.
    pub(in crate::backend::llama) fn read(state: &[u8]) -> Result<(Option<Self>, Vec<Rows>)> {
        let mut reader = Reader { rest: state };
        if reader.u32()? != MAGIC {
            return Err(unknown("magic"));
        }
        reader.u32()?;
        let (mut caches, mut all) = (Vec::new(), Vec::<Rows>::new());
        while !reader.rest.is_empty() {
            if caches.len() == MAX_CACHES {
                return Err(unknown("number of caches"));
            }
            let (cache, streams) = read_cache(&mut reader)?;
            if caches.is_empty() {
                all = streams;
            } else {
                merge(&mut all, streams)?;
            }
            caches.push(cache);
        }
        // No cells at all, or the same cells in every cache.
        match caches.iter().filter(|cache| cache.is_some()).count() {
            0 => Ok((None, all)),
            count if count == caches.len() => Ok((Some(Self { caches: caches.into_iter().flatten().collect() }), all)),
            _ => Err(unknown("set of cells")),
        }
    }

    /// Bytes of keys and values of so many tokens.
    pub(in crate::backend::llama) fn bytes(&self, tokens: usize) -> usize {
        let keys = self.caches.iter().flat_map(|cache| &cache.keys).map(|(_, row)| *row);
        let values =
            self.caches.iter().flat_map(|cache| &cache.values).map(|(_, size, n)| u64::from(*size) * u64::from(*n));
        let sum = keys.chain(values).fold(0u64, u64::saturating_add);
        usize::try_from(sum).unwrap_or(usize::MAX).saturating_mul(tokens)
    }

    /// The state of one sequence of `tokens` tokens with these keys and values, for a context with so many streams.
    pub(in crate::backend::llama) fn write(
        &self,
        sequence: u32,
        streams: usize,
        tokens: usize,
        rows: &[u8],
    ) -> Result<Vec<u8>> {
        if rows.len() != self.bytes(tokens) || tokens == 0 || streams == 0 {
            return Err(Error::internal("keys and values of another number of tokens"));
        }
        let mut rest = Reader { rest: rows };
        let mut state = Vec::with_capacity(rows.len() + self.caches.len() * (64 + 12 * tokens) + 4096);
        let put = |state: &mut Vec<u8>, numbers: &[u32]| numbers.iter().for_each(|n| state.extend(n.to_le_bytes()));
        put(&mut state, &[MAGIC, sequence]);
        for cache in &self.caches {
            put(&mut state, &[streams as u32, tokens as u32]);
            (0..tokens as u32).for_each(|position| put(&mut state, &[position, 1, sequence]));
            put(&mut state, &[1, cache.keys.len() as u32, cache.rotations[0], cache.rotations[1]]);
            for (kind, row) in &cache.keys {
                put(&mut state, &[*kind as u32]);
                state.extend(row.to_le_bytes());
                state.extend(rest.take(*row as usize * tokens)?);
            }
            for (kind, size, elements) in &cache.values {
                put(&mut state, &[*kind as u32, *size, *elements]);
                state.extend(rest.take(*size as usize * *elements as usize * tokens)?);
            }
            // The other streams are empty.
            state.resize(state.len() + 4 * (streams - 1), 0);
        }
        Ok(state)
    }

    /// What tells this layout from any other, as bytes.
    pub(in crate::backend::llama) fn key(&self) -> Vec<u8> {
        format!("{:?}", self.caches).into_bytes()
    }
}

fn read_cache(reader: &mut Reader<'_>) -> Result<(Option<Cache>, Vec<Rows>)> {
    let streams = reader.u32()?;
    if streams > super::super::plan::MAX_TEXTS {
        return Err(unknown("number of streams"));
    }
    let mut cache = None::<Cache>;
    let mut all = Vec::new();
    for _ in 0..streams {
        let tokens = reader.u32()? as usize;
        if tokens == 0 {
            all.push(Rows { in_order: true, ..Rows::default() });
            continue;
        }
        let (mut in_order, mut expected) = (true, 0);
        for _ in 0..tokens {
            let (position, sequences) = (reader.u32()?, reader.u32()?);
            in_order &= position == expected && sequences == 1;
            expected += 1;
            reader.take(4 * sequences as usize)?;
        }
        let mut bytes = Vec::new();
        let here = read_data(reader, tokens, &mut bytes)?;
        if cache.as_ref().is_some_and(|cache| *cache != here) {
            return Err(unknown("stream"));
        }
        cache = Some(here);
        all.push(Rows { in_order, tokens, bytes });
    }
    Ok((cache, all))
}

fn read_data(reader: &mut Reader<'_>, tokens: usize, bytes: &mut Vec<u8>) -> Result<Cache> {
    let (transposed, layers) = (reader.u32()?, reader.u32()?);
    if transposed != 1 || layers > MAX_LAYERS {
        return Err(unknown("form of its values"));
    }
    let mut cache = Cache { rotations: [reader.u32()?, reader.u32()?], ..Cache::default() };
    for _ in 0..layers {
        let (kind, row) = (reader.u32()? as i32, reader.u64()?);
        let len = usize::try_from(row).ok().and_then(|row| row.checked_mul(tokens));
        bytes.extend(reader.take(len.ok_or_else(|| unknown("row"))?)?);
        cache.keys.push((kind, row));
    }
    for _ in 0..layers {
        let (kind, size, elements) = (reader.u32()? as i32, reader.u32()?, reader.u32()?);
        let len = (size as usize).checked_mul(elements as usize).and_then(|row| row.checked_mul(tokens));
        bytes.extend(reader.take(len.ok_or_else(|| unknown("row"))?)?);
        cache.values.push((kind, size, elements));
    }
    Ok(cache)
}

/// Puts the rows of a further cache behind those of the same streams.
fn merge(all: &mut [Rows], streams: Vec<Rows>) -> Result<()> {
    if all.len() != streams.len() {
        return Err(unknown("number of streams"));
    }
    for (first, further) in all.iter_mut().zip(streams) {
        first.in_order &= further.in_order && first.tokens == further.tokens;
        first.bytes.extend(further.bytes);
    }
    Ok(())
}

fn unknown(what: &str) -> Error {
    Error::unsupported(format!("the state of this model's context has another {what} than is known"))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| unknown("length"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().unwrap_or_default()))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
