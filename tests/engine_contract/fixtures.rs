//! The models of `tests/data`, and what they answer according to `expected.json`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use half::{bf16, f16};
use selvedge::weights::{GgufWriter, WeightFile};
use selvedge::{DType, Element, Loading, Tensor, Tensors};
use serde_json::Value;

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn expected() -> &'static Value {
    static EXPECTED: OnceLock<Value> = OnceLock::new();
    EXPECTED.get_or_init(|| serde_json::from_slice(&std::fs::read(path("expected.json")).unwrap()).unwrap())
}

/// The request that `expected.json` has the answer to.
pub(crate) fn request(model: &str) -> Tensors {
    Tensors::new(tensors(&expected()["runnable"][model]["inputs"]).into_iter().map(|(n, t)| (n, t.unwrap())))
}

/// The answer; `None` for an output that is no tensor.
pub(crate) fn answer(model: &str) -> Vec<(String, Option<Tensor>)> {
    tensors(&expected()["runnable"][model]["outputs"])
}

fn tensors(group: &Value) -> Vec<(String, Option<Tensor>)> {
    group.as_object().unwrap().iter().map(|(name, value)| (name.clone(), tensor(value))).collect()
}

fn tensor(value: &Value) -> Option<Tensor> {
    let dtype: DType = value["dtype"].as_str()?.parse().ok()?;
    let dims: Vec<usize> = value["shape"].as_array()?.iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let mut flat = Vec::new();
    flatten(&value["data"], &mut flat);
    let float = |v: &Value| v.as_f64().unwrap();
    let signed = |v: &Value| v.as_i64().unwrap();
    let unsigned = |v: &Value| v.as_u64().unwrap();
    Some(match dtype {
        DType::F32 => new(&dims, &flat, |v| float(v) as f32),
        DType::F64 => new(&dims, &flat, float),
        DType::F16 => new(&dims, &flat, |v| f16::from_f64(float(v))),
        DType::BF16 => new(&dims, &flat, |v| bf16::from_f64(float(v))),
        DType::I8 => new(&dims, &flat, |v| signed(v) as i8),
        DType::I16 => new(&dims, &flat, |v| signed(v) as i16),
        DType::I32 => new(&dims, &flat, |v| signed(v) as i32),
        DType::I64 => new(&dims, &flat, signed),
        DType::U8 => new(&dims, &flat, |v| unsigned(v) as u8),
        DType::U16 => new(&dims, &flat, |v| unsigned(v) as u16),
        DType::U32 => new(&dims, &flat, |v| unsigned(v) as u32),
        DType::U64 => new(&dims, &flat, unsigned),
        DType::Bool => new(&dims, &flat, |v| v.as_bool().unwrap()),
        DType::String => Tensor::strings(&dims, flat.iter().map(|v| v.as_str().unwrap().into()).collect()).unwrap(),
        other => panic!("{other} is new: say how to read it"),
    })
}

fn flatten<'a>(value: &'a Value, flat: &mut Vec<&'a Value>) {
    match value.as_array() {
        Some(rows) => rows.iter().for_each(|row| flatten(row, flat)),
        None => flat.push(value),
    }
}

fn new<T: Element>(dims: &[usize], flat: &[&Value], of: impl Fn(&Value) -> T) -> Tensor {
    Tensor::new(dims, flat.iter().map(|v| of(v)).collect()).unwrap()
}

/// Writes the static-embedding model of `tests/data/static` as one GGUF file, its tokenizer within.
pub(crate) fn static_model(to: &Path) {
    let model = WeightFile::open(path("static/model.safetensors"), Loading::Mapped).unwrap();
    let tokenizer = std::fs::read_to_string(path("static/tokenizer.json")).unwrap();
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "static-embedding").unwrap();
    writer.set("tokenizer.huggingface.json", tokenizer.as_str()).unwrap();
    for tensor in model.tensors() {
        writer.tensor(tensor.name(), tensor.shape(), tensor.tensor_type()).unwrap();
    }
    let mut out = writer.create(to).unwrap();
    model.tensors().for_each(|tensor| out.write(tensor.bytes()).unwrap());
    out.finish().unwrap();
}

/// What model2vec answers to a text of `tests/data/static/expected.json`.
pub(crate) fn static_answer(text: &str) -> Vec<f32> {
    let expected: Value = serde_json::from_slice(&std::fs::read(path("static/expected.json")).unwrap()).unwrap();
    let i = expected["texts"].as_array().unwrap().iter().position(|t| t == text).unwrap();
    expected["vectors"][i].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}
