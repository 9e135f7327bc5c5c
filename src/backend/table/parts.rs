//! Parts of a static-embedding model, and where they are.
//!
//! Three spellings are in use, all with one row per token: model2vec's `embeddings`, with `weights` (a factor per
//! token) and `mapping` (the row of each token) where it has them; sentence-transformers' `embedding.weight`; and the
//! word embeddings of a transformer, alone.

use super::tokens::Tokens;
use crate::backend::options::Options;
use crate::onnx::External;
use crate::source::OpenedFile;
use crate::tensor::Bytes;
use crate::weights::{Table, TensorEntry, WeightFile};
use crate::{Code, Error, Result};

/// The names of the table, the first that is there being taken.
const TABLES: [&str; 4] = ["embeddings", "embedding.weight", "embeddings.word_embeddings.weight", "token_embd.weight"];
const WEIGHTS: &str = "weights";
const MAPPING: &str = "mapping";

/// The file beside the model, and the key of a GGUF file, that has the tokenizer.
const TOKENIZER_FILE: &str = "tokenizer.json";
const TOKENIZER_KEY: &str = "tokenizer.huggingface.json";

/// Whether a file holds a static-embedding model and nothing else. One that counts layers is a transformer whose other
/// weights are missing.
pub(in crate::backend) fn is_static(file: &WeightFile) -> bool {
    // A part of a split transformer may hold its word embeddings alone, and nothing that says so.
    let is_whole = matches!(file.part(), Ok(None));
    let has_layers = file.metadata().iter().any(|(key, _)| key.ends_with(".block_count"));
    let has_table = TABLES.iter().any(|name| file.get(name).is_some());
    is_whole && has_table && !has_layers && file.tensors().all(|tensor| is_known(tensor.name()))
}

fn is_known(name: &str) -> bool {
    TABLES.contains(&name) || name == WEIGHTS || name == MAPPING
}

/// Refuses a file that holds more: a transformer has word embeddings, too, and is not what their mean says.
pub(super) fn expect_static(file: &WeightFile) -> Result<()> {
    if is_static(file) { Ok(()) } else { Err(not_static(file)) }
}

fn not_static(file: &WeightFile) -> Error {
    let mut others: Vec<&str> = file.tensors().map(|tensor| tensor.name()).filter(|name| !is_known(name)).collect();
    let more = others.len().saturating_sub(3);
    others.truncate(3);
    Error::unsupported(format!(
        "expected a static-embedding model: a tensor {}, and beside it at most '{WEIGHTS}' and '{MAPPING}'; got \
         {others:?}{}",
        TABLES.map(|name| format!("'{name}'")).join(" or "),
        if more > 0 { format!(" and {more} more") } else { String::new() },
    ))
}

/// The table, and what else there is for each token.
pub(super) struct Rows {
    pub(super) table: Table,
    pub(super) weights: Option<Vec<f32>>,
    /// The row of each token, where it is not the token's own number.
    pub(super) mapping: Option<Vec<u32>>,
}

impl Rows {
    ///
    /// # Errors
    ///
    /// `Unsupported` without a table, or with elements that cannot be read; `Corrupt` for parts that
    /// contradict each other.
    pub(super) fn read(file: &WeightFile) -> Result<Self> {
        if let Some((_, parts)) = file.part()? {
            return Err(Error::unsupported(format!("expected a table in one file, got a model split into {parts}")));
        }
        let Some(table) = TABLES.iter().find_map(|name| file.get(name)) else { return Err(not_static(file)) };
        let table = Table::new(&table).map_err(|e| match e.code() {
            // The file's fault, not the caller's.
            Code::InvalidArgument => e.with_code(Code::Corrupt),
            _ => e,
        })?;
        let weights = file.get(WEIGHTS).map(|tensor| numbers(&tensor)).transpose()?;
        let mapping = file.get(MAPPING).map(|tensor| mapping(&tensor, table.rows())).transpose()?;
        if let (Some(weights), Some(mapping)) = (&weights, &mapping)
            && weights.len() != mapping.len()
        {
            let (weights, mapping) = (weights.len(), mapping.len());
            return Err(Error::corrupt(format!("{weights} weights, but a mapping of {mapping} tokens")));
        }
        Ok(Self { table, weights, mapping })
    }

    /// Ids below this have a row, and a weight where there are weights.
    fn known(&self) -> usize {
        let rows = self.mapping.as_ref().map_or(self.table.rows(), Vec::len);
        self.weights.as_ref().map_or(rows, |weights| weights.len().min(rows))
    }

    /// The tokenizer, if every token that it knows has a row.
    pub(super) fn tokens(&self, json: &[u8]) -> Result<Tokens> {
        let tokens = Tokens::read(json)?;
        if tokens.highest() as usize >= self.known() {
            return Err(Error::corrupt(format!(
                "the tokenizer has ids up to {}, the table vectors for {} tokens",
                tokens.highest(),
                self.known()
            )));
        }
        Ok(tokens)
    }
}

/// Finite numbers, one per token.
fn numbers(tensor: &TensorEntry<'_>) -> Result<Vec<f32>> {
    let name = tensor.name();
    if tensor.shape().rank() != 1 {
        return Err(Error::corrupt(format!("tensor '{name}': expected 1 dimension, got {}", tensor.shape())));
    }
    let mut numbers = Vec::new();
    room(&mut numbers, tensor.shape().elements())?;
    // model2vec writes f64 where numpy made them so.
    match tensor.bytes().as_chunks::<8>() {
        (wide, []) if tensor.dtype() == Some(crate::DType::F64) => {
            numbers.extend(wide.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32));
        }
        _ => {
            numbers.resize(tensor.shape().elements(), 0.0);
            tensor.dequantize_into(&mut numbers)?;
        }
    }
    match numbers.iter().position(|x| !x.is_finite()) {
        Some(i) => Err(Error::corrupt(format!("tensor '{name}': expected finite numbers, got {} at {i}", numbers[i]))),
        None => Ok(numbers),
    }
}

/// The row of each token, all of which exist.
fn mapping(tensor: &TensorEntry<'_>, rows: usize) -> Result<Vec<u32>> {
    let (name, bytes) = (tensor.name(), tensor.bytes());
    if tensor.shape().rank() != 1 {
        return Err(Error::corrupt(format!("tensor '{name}': expected 1 dimension, got {}", tensor.shape())));
    }
    let mut mapping = Vec::new();
    room(&mut mapping, tensor.shape().elements())?;
    let mut put = |row: i64| match u32::try_from(row) {
        Ok(row) if (row as usize) < rows => {
            mapping.push(row);
            Ok(())
        }
        _ => Err(Error::corrupt(format!("tensor '{name}': expected rows below {rows}, got {row}"))),
    };
    match tensor.dtype() {
        Some(crate::DType::I64) => {
            bytes.as_chunks().0.iter().try_for_each(|eight| put(i64::from_le_bytes(*eight)))?;
        }
        Some(crate::DType::I32) => {
            bytes.as_chunks().0.iter().try_for_each(|four| put(i32::from_le_bytes(*four).into()))?;
        }
        _ => {
            let got = tensor.tensor_type();
            return Err(Error::unsupported(format!("tensor '{name}': expected i64 or i32, got {got}")));
        }
    }
    Ok(mapping)
}

fn room<T>(vector: &mut Vec<T>, n: usize) -> Result<()> {
    let failed = |e| Error::new(Code::OutOfMemory, format!("no memory for {n} numbers")).because(e);
    vector.try_reserve_exact(n).map_err(failed)
}

/// The bytes of a tokenizer, and where they came from.
pub(super) enum Json {
    Within(Bytes),
    Beside(Bytes),
}

impl Json {
    pub(super) fn json(&self) -> &[u8] {
        let (Json::Within(bytes) | Json::Beside(bytes)) = self;
        bytes.as_slice()
    }

    /// The bytes, unless they are those of the model's own file.
    pub(super) fn beside(&self) -> &[u8] {
        if let Json::Beside(bytes) = self { bytes.as_slice() } else { &[] }
    }
}

/// The tokenizer: from the file itself, or from the file beside it.
pub(super) fn tokenizer(file: &WeightFile, model: &OpenedFile, options: &Options) -> Result<Json> {
    if let Some(json) = file.metadata().text(TOKENIZER_KEY)? {
        return Ok(Json::Within(Bytes::copy_from(json.as_bytes())?));
    }
    let Some(folder) = &model.folder else {
        return Err(Error::unsupported(format!(
            "a static-embedding model needs its tokenizer: expected the file {TOKENIZER_FILE} beside the model, which \
             was not opened by a path, or, in a GGUF file, the key {TOKENIZER_KEY}"
        )));
    };
    let bytes = External::open(folder, TOKENIZER_FILE, options.loading)
        .map_err(|e| e.during("looking for the tokenizer beside the model"))?;
    Ok(Json::Beside(bytes))
}
