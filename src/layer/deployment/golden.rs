//! Golden cases: requests whose answers are known, which a version must give before it serves.
//!
//! `golden.json`, UTF-8, at most 16 MiB and 1024 cases:
//!
//! ```text
//! {"golden": 1,                                                     the form
//!  "cases": [
//!   {"name": "a wet day",                                           each name once
//!    "request": {"tensors": [TENSOR, …]}                            or
//!               {"embed": ["a cat", …]}                             or
//!               {"generate": {"prompt": "…", "max_tokens": 16}}     or "user": a chat of one message; temperature 0
//!    "expect": {"outputs": [TENSOR, …], "text": "…"},               one of them or both
//!    "compare": "exact"                                             or "top1", {"text": 0.9},
//!   }, …]}                                                          {"tolerance": {"absolute": 1e-4, "relative": 0}}
//!
//! TENSOR  {"name": "weather", "dtype": "f32", "shape": [1, 4], "values": [0.8, 27.2, 15.0, 2.0]}
//!         {"name": "weather", "dtype": "f16", "shape": [1, 2], "hex": "003c0040"}
//! ```
//!
//! `values` are in row-major order: numbers, `true` and `false` for bool, texts for string. `hex` is the bytes of any
//! dtype, as [`Tensor::from_raw_bytes`] takes them. A key that is not listed here, and one that is there twice, is an error.

use half::{bf16, f16};
use serde::Deserialize;
use serde_json::Value;

use super::likeness::{Expected, Likeness};
use super::saved::SavedLikeness;
use crate::engine::{Answer, Call, Embed, Engine, Events, Generate, Message, Request, Tensors};
use crate::{DType, Error, Result, Tensor};

const FORMAT: u32 = 1;
const MAX_BYTES: usize = 16 << 20;
const MAX_CASES: usize = 1024;

/// The golden cases of a version: requests, the answers expected, and how near an answer must be.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::deployment::Golden;
/// use selvedge::{Call, DType};
/// let golden = Golden::parse(br#"{"golden": 1, "cases": [{
///     "name": "echo",
///     "request": {"tensors": [{"name": "x", "dtype": "f32", "shape": [2], "values": [0.5, 2]}]},
///     "expect": {"outputs": [{"name": "y", "dtype": "f32", "shape": [2], "values": [0.5, 2.0001]}]},
///     "compare": {"tolerance": {"absolute": 0.001, "relative": 0}}
/// }]}"#)?;
/// assert_eq!(golden.misses(&*Fake::echo(DType::F32).build(), &Call::new()), []);
/// assert_eq!(golden.misses(&*Fake::text("no").build(), &Call::new()).len(), 1);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Golden {
    cases: Vec<Case>,
}

#[derive(Clone, Debug)]
struct Case {
    name: String,
    request: Request,
    expected: Expected,
    likeness: Likeness,
}

/// A golden case that a version did not pass.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GoldenMiss {
    /// The name of the case.
    pub case: String,
    /// What was expected, and what was got.
    pub why: String,
}

impl Golden {
    /// Reads `golden.json`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what is not of the form that the module draws, naming the case and the line.
    pub fn parse(json: &[u8]) -> Result<Self> {
        if json.len() > MAX_BYTES {
            return Err(corrupt(format!("expected {MAX_BYTES} bytes at most, got {}", json.len())));
        }
        let file: File = serde_json::from_slice(json).map_err(|e| corrupt(e.to_string()))?;
        if file.golden != FORMAT {
            return Err(corrupt(format!("expected form {FORMAT}, got {}", file.golden)));
        }
        if !(1..=MAX_CASES).contains(&file.cases.len()) {
            return Err(corrupt(format!("expected 1 to {MAX_CASES} cases, got {}", file.cases.len())));
        }
        let mut cases: Vec<Case> = Vec::new();
        for case in file.cases {
            let name = case.name.clone();
            if cases.iter().any(|earlier| earlier.name == name) {
                return Err(corrupt(format!("case '{name}': expected each name once, got it twice")));
            }
            let named = |e: Error| Error::corrupt(format!("golden: case '{name}': {}", e.message())).because(e);
            cases.push(case.read().map_err(named)?);
        }
        Ok(Self { cases })
    }

    /// The number of cases.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Runs all cases, on the terms of `call`; gives those that were not passed. A request that fails is one.
    #[must_use]
    pub fn misses(&self, engine: &dyn Engine, call: &Call) -> Vec<GoldenMiss> {
        let missed = |case: &Case| Some(GoldenMiss { case: case.name.clone(), why: case.difference(engine, call)? });
        self.cases.iter().filter_map(missed).collect()
    }
}

impl Case {
    fn difference(&self, engine: &dyn Engine, call: &Call) -> Option<String> {
        let run = || -> Result<Answer> { Events::new(engine.start(self.request.clone(), call.clone())?).answer() };
        match run() {
            Ok(answer) => self.likeness.difference(&self.expected, &answer),
            Err(error) => Some(format!("expected an answer, got {}: {error:#}", error.code().name())),
        }
    }
}

impl GoldenMiss {
    /// A death of the process is no case, and stands where one would.
    pub(super) fn of_deaths(version: &str, deaths: u64) -> Self {
        Self { case: "deaths".into(), why: format!("version {version}: the process died in it, {deaths} times so far") }
    }

    pub(super) fn of_load(error: &Error) -> Self {
        Self { case: "load".into(), why: format!("{}: {error:#}", error.code().name()) }
    }

    pub(super) fn of_panic(panic: String) -> Self {
        Self { case: "self-test".into(), why: format!("it panicked: {panic}") }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    golden: u32,
    cases: Vec<CaseEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseEntry {
    name: String,
    request: RequestEntry,
    expect: ExpectEntry,
    #[serde(default, with = "SavedLikeness")]
    compare: Likeness,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RequestEntry {
    Tensors(Vec<TensorEntry>),
    Embed(Vec<String>),
    Generate(GenerateEntry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GenerateEntry {
    prompt: Option<String>,
    user: Option<String>,
    max_tokens: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectEntry {
    #[serde(default)]
    outputs: Vec<TensorEntry>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorEntry {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    values: Option<Vec<Value>>,
    hex: Option<String>,
}

impl CaseEntry {
    fn read(self) -> Result<Case> {
        let request = match self.request {
            RequestEntry::Tensors(tensors) => Tensors::new(read_all(tensors)?).into(),
            RequestEntry::Embed(texts) => Embed::new(texts).into(),
            RequestEntry::Generate(generate) => generate.read()?.into(),
        };
        let expected = Expected { outputs: read_all(self.expect.outputs)?, text: self.expect.text };
        if expected == Expected::default() {
            return Err(Error::invalid("expected outputs or a text to expect, got neither"));
        }
        let is_share = |x: f64| (0.0..=1.0).contains(&x);
        match self.compare {
            Likeness::Text(least) if !is_share(least) => {
                Err(Error::invalid(format!("text: expected a likeness of 0 to 1, got {least}")))
            }
            Likeness::Tolerance { absolute, relative } if !(absolute >= 0.0 && relative >= 0.0) => {
                Err(Error::invalid(format!("tolerance: expected 0 or more, got {absolute} and {relative}")))
            }
            likeness => Ok(Case { name: self.name, request, expected, likeness }),
        }
    }
}

impl GenerateEntry {
    fn read(self) -> Result<Generate> {
        let generate = match (self.prompt, self.user) {
            (Some(prompt), None) => Generate::text(prompt),
            (None, Some(user)) => Generate::chat([Message::user(user)]),
            _ => return Err(Error::invalid("generate: expected 'prompt' or 'user'")),
        };
        Ok(generate.temperature(0.0).max_tokens(self.max_tokens.unwrap_or(64)))
    }
}

fn read_all(entries: Vec<TensorEntry>) -> Result<Vec<(String, Tensor)>> {
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for entry in entries {
        if tensors.iter().any(|(name, _)| *name == entry.name) {
            return Err(Error::invalid(format!("tensor '{}': expected each name once, got it twice", entry.name)));
        }
        let tensor = entry.read().map_err(|e| Error::invalid(format!("tensor '{}': {}", entry.name, e.message())))?;
        tensors.push((entry.name, tensor));
    }
    Ok(tensors)
}

impl TensorEntry {
    fn read(&self) -> Result<Tensor> {
        let dtype: DType = self.dtype.parse()?;
        let bytes = match (&self.values, &self.hex) {
            (Some(values), None) => bytes_of_values(dtype, values)?,
            (None, Some(hex)) => bytes_of_hex(hex)?,
            _ => return Err(Error::invalid("expected 'values' or 'hex'")),
        };
        Tensor::from_raw_bytes(dtype, &self.shape, &bytes)
    }
}

fn bytes_of_hex(hex: &str) -> Result<Vec<u8>> {
    let invalid = || Error::invalid("hex: expected pairs of hexadecimal digits");
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| invalid());
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn bytes_of_values(dtype: DType, values: &[Value]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let written = write_value(dtype, value, &mut bytes);
        written.ok_or_else(|| Error::invalid(format!("value {at}: expected {dtype}, got {value}")))?;
    }
    Ok(bytes)
}

/// Appends a value; `None` if it is none of the dtype, or out of its range.
fn write_value(dtype: DType, value: &Value, bytes: &mut Vec<u8>) -> Option<()> {
    fn signed<T: TryFrom<i64>>(value: &Value) -> Option<T> {
        T::try_from(value.as_i64()?).ok()
    }
    fn unsigned<T: TryFrom<u64>>(value: &Value) -> Option<T> {
        T::try_from(value.as_u64()?).ok()
    }
    match dtype {
        DType::F32 => bytes.extend(finite(value, |x| x as f32, |x| x.is_finite())?.to_le_bytes()),
        DType::F64 => bytes.extend(value.as_f64()?.to_le_bytes()),
        DType::F16 => bytes.extend(finite(value, f16::from_f64, |x| x.is_finite())?.to_le_bytes()),
        DType::BF16 => bytes.extend(finite(value, bf16::from_f64, |x| x.is_finite())?.to_le_bytes()),
        DType::I8 => bytes.extend(signed::<i8>(value)?.to_le_bytes()),
        DType::I16 => bytes.extend(signed::<i16>(value)?.to_le_bytes()),
        DType::I32 => bytes.extend(signed::<i32>(value)?.to_le_bytes()),
        DType::I64 => bytes.extend(signed::<i64>(value)?.to_le_bytes()),
        DType::U8 => bytes.extend(unsigned::<u8>(value)?.to_le_bytes()),
        DType::U16 => bytes.extend(unsigned::<u16>(value)?.to_le_bytes()),
        DType::U32 => bytes.extend(unsigned::<u32>(value)?.to_le_bytes()),
        DType::U64 => bytes.extend(unsigned::<u64>(value)?.to_le_bytes()),
        DType::Bool => bytes.push(u8::from(value.as_bool()?)),
        DType::String => {
            let text = value.as_str()?;
            bytes.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
            bytes.extend(text.as_bytes());
        }
    }
    Some(())
}

/// A number that the narrower dtype still has as a finite one.
fn finite<T: Copy>(value: &Value, narrow: impl Fn(f64) -> T, is_finite: impl Fn(T) -> bool) -> Option<T> {
    value.as_f64().map(narrow).filter(|x| is_finite(*x))
}

fn corrupt(what: String) -> Error {
    Error::corrupt(format!("golden: {what}"))
}
