//! The models of tests/data and what numpy says they give.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use serde_json::Value;

use crate::{Backend, DType, Element, Engine, Options, Shape, Source, Tensor, Tensors};

pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The ONNX Runtime library of the tests; `None`, said aloud, where there is none to test with.
pub(super) fn library() -> Option<PathBuf> {
    if let Some(library) = std::env::var_os(crate::backend::ort::locate::VARIABLE) {
        return Some(library.into());
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/lib");
    let pythons = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|e| e.path());
    let found = pythons.map(|p| p.join("site-packages/onnxruntime/capi")).find(|p| p.is_dir());
    assert!(found.is_some() || std::env::var_os("SELVEDGE_CORPUS").is_none(), "tests/run has set up no ONNX Runtime");
    if found.is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
    }
    found
}

/// The options of every test, if there is a library.
pub(super) fn options() -> Option<Options> {
    Some(Options::new().backend(Backend::Ort).onnxruntime(library()?))
}

/// Opens a fixture or crafted bytes.
pub(super) fn open(source: impl Into<Source>) -> Option<crate::Result<Arc<dyn Engine>>> {
    Some(crate::open(source, options()?))
}

/// Outputs by name; one that is no tensor is `None`.
type Outputs = Vec<(String, Option<Tensor>)>;

/// Every runnable fixture: its file, inputs and outputs.
pub(super) fn runnable() -> Vec<(String, Tensors, Outputs)> {
    let text = std::fs::read_to_string(data("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let group = |case: &Value, kind: &str| -> Outputs {
        let members = case[kind].as_object().expect("an object");
        members.iter().map(|(name, record)| (name.clone(), tensor(record))).collect()
    };
    let cases = expected["runnable"].as_object().expect("an object");
    let case = |(file, case): (&String, &Value)| {
        let inputs = group(case, "inputs").into_iter().map(|(name, t)| (name, t.expect("a tensor")));
        (file.clone(), Tensors::new(inputs), group(case, "outputs"))
    };
    cases.iter().map(case).collect()
}

/// The inputs of a fixture.
pub(super) fn inputs(file: &str) -> Tensors {
    runnable().into_iter().find(|case| case.0 == file).expect("a runnable fixture").1
}

fn tensor(record: &Value) -> Option<Tensor> {
    let dtype: DType = record["dtype"].as_str()?.parse().ok()?;
    let dims: Vec<usize> =
        record["shape"].as_array()?.iter().map(|d| d.as_u64().expect("a dimension") as usize).collect();
    let mut flat = Vec::new();
    flatten(&record["data"], &mut flat);
    let real = |v: &&Value| v.as_f64().expect("a number");
    Some(match dtype {
        DType::F32 => of(&dims, flat.iter().map(|v| real(v) as f32)),
        DType::F64 => of(&dims, flat.iter().map(real)),
        DType::F16 => of(&dims, flat.iter().map(|v| f16::from_f64(real(v)))),
        DType::BF16 => of(&dims, flat.iter().map(|v| bf16::from_f64(real(v)))),
        DType::Bool => of(&dims, flat.iter().map(|v| v.as_bool().expect("a bool"))),
        DType::String => {
            let texts = flat.iter().map(|v| v.as_str().expect("a string").to_owned()).collect();
            Tensor::strings(&dims, texts).expect("fits")
        }
        DType::U64 => of(&dims, flat.iter().map(|v| v.as_u64().expect("a number"))),
        integer => {
            let size = integer.size().expect("an integer");
            let int = |v: &&Value| v.as_i64().expect("an integer").to_le_bytes()[..size].to_vec();
            let bytes: Vec<u8> = flat.iter().flat_map(int).collect();
            Tensor::copy_from(integer, Shape::new(&dims).expect("a shape"), &bytes).expect("fits")
        }
    })
}

fn of<T: Element>(dims: &[usize], elements: impl Iterator<Item = T>) -> Tensor {
    Tensor::new(dims, elements.collect()).expect("fits")
}

fn flatten<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value.as_array() {
        Some(values) => values.iter().for_each(|v| flatten(v, into)),
        None => into.push(value),
    }
}
