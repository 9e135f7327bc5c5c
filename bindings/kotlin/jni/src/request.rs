//! Requests of tensors, and calls: what the C ABI's structs point to, in one place while a call lasts.

use std::ptr;

use selvedge_ffi::abi::*;

use crate::descriptor::{Buffer, Ints, Longs, Objects, Strs};
use crate::env::Env;
use crate::failure::{Result, invalid, pointer};

/// A text that lives as long as `text`.
pub(crate) fn text(text: &str) -> selvedge_text {
    selvedge_text { data: text.as_ptr().cast(), len: text.len() }
}

pub(crate) fn texts(all: &[String]) -> Vec<selvedge_text> {
    all.iter().map(|one| text(one)).collect()
}

/// Names and values, one after the other, as pairs.
pub(crate) fn pairs(all: &[String]) -> Vec<selvedge_pair> {
    all.chunks_exact(2).map(|pair| selvedge_pair { name: text(&pair[0]), value: text(&pair[1]) }).collect()
}

/// NULL where there is nothing, which says that it was left out.
pub(crate) fn array<T>(values: &[T]) -> *const T {
    if values.is_empty() { ptr::null() } else { values.as_ptr() }
}

/// The terms of a call.
pub(crate) fn call(cancel: i64, timeout_ms: i64, id: i64, priority: i32) -> selvedge_call {
    selvedge_call {
        struct_size: size_of::<selvedge_call>(),
        cancel: pointer(cancel),
        timeout_ms: timeout_ms as u64,
        id: id as u64,
        priority,
        flags: 0,
    }
}

/// Texts of a string tensor or column, missing ones as NULL.
pub(crate) struct Elements {
    _texts: Vec<Option<String>>,
    pub(crate) raw: Vec<selvedge_text>,
}

impl Elements {
    pub(crate) fn read(env: Env, name: &str, array: Strs) -> Result<Self> {
        let texts = env.texts_or_none(name, array)?;
        let raw = texts.iter().map(|one| one.as_deref().map(text).unwrap_or_default()).collect();
        Ok(Self { _texts: texts, raw })
    }
}

/// Named tensors in, names of those wanted.
pub(crate) struct Tensors {
    _names: Vec<String>,
    _dims: Vec<i64>,
    _elements: Vec<Elements>,
    inputs: Vec<selvedge_tensor>,
    _outputs: Vec<String>,
    wanted: Vec<selvedge_text>,
}

/// The arrays of Java's that say what goes in.
pub(crate) struct Inputs {
    pub(crate) names: Strs,
    pub(crate) dtypes: Ints,
    /// How many of `dims` each tensor has.
    pub(crate) ranks: Ints,
    /// Of all tensors, one after the other.
    pub(crate) dims: Longs,
    /// Of each a direct `ByteBuffer`, or a `String[]` where the dtype is STRING.
    pub(crate) data: Objects,
}

impl Tensors {
    pub(crate) fn read(env: Env, inputs: Inputs, outputs: Strs) -> Result<Self> {
        let (names, dims) = (env.texts("name", inputs.names)?, env.longs(inputs.dims)?);
        let (dtypes, ranks) = (env.ints(inputs.dtypes)?, env.ints(inputs.ranks)?);
        let outputs = env.texts("output", outputs)?;
        let mut tensors = Self {
            wanted: texts(&outputs),
            inputs: Vec::with_capacity(names.len()),
            _elements: Vec::new(),
            _outputs: outputs,
            _dims: dims,
            _names: names,
        };
        let mut at = 0;
        let count = tensors._names.len();
        if dtypes.len() != count || ranks.len() != count || env.len(inputs.data.0) != count {
            return Err(invalid("inputs: arrays of different lengths"));
        }
        for i in 0..count {
            let rank = usize::try_from(ranks[i]).unwrap_or(0);
            let shape = tensors._dims.get(at..at + rank).ok_or_else(|| invalid("dims: too few"))?;
            let mut raw = selvedge_tensor {
                struct_size: size_of::<selvedge_tensor>(),
                name: tensors._names[i].as_ptr().cast(),
                name_len: tensors._names[i].len(),
                dims: shape.as_ptr(),
                rank,
                dtype: dtypes[i],
                ..Default::default()
            };
            at += rank;
            let object = env.element(inputs.data.0, i)?;
            if raw.dtype == SELVEDGE_STRING {
                let elements = Elements::read(env, &tensors._names[i], Strs(object))?;
                (raw.data, raw.byte_len) = (elements.raw.as_ptr().cast(), size_of_val(&elements.raw[..]));
                tensors._elements.push(elements);
            } else {
                let (data, len) = env.memory(&tensors._names[i], Buffer(object))?;
                (raw.data, raw.byte_len) = (data, len);
            }
            env.forget(object);
            tensors.inputs.push(raw);
        }
        Ok(tensors)
    }

    /// Lives as long as this does.
    pub(crate) fn raw(&self) -> selvedge_tensors {
        selvedge_tensors {
            struct_size: size_of::<selvedge_tensors>(),
            inputs: self.inputs.as_ptr(),
            input_count: self.inputs.len(),
            outputs: array(&self.wanted),
            output_count: self.wanted.len(),
        }
    }
}
