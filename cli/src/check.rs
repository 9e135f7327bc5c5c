//! Two models on the same inputs, and how far their outputs are apart.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use half::{bf16, f16};
use selvedge::{Ask, DType, Options, Port, Tensor, Tensors, open};

/// How far an output of the second model is from that of the first.
pub(crate) struct Difference {
    pub(crate) output: String,
    /// max |a − b|.
    pub(crate) absolute: f64,
    /// max |a − b| ÷ max |a|.
    pub(crate) relative: f64,
    /// a·b ÷ (‖a‖ ‖b‖); 1 for two that are all zeros.
    pub(crate) cosine: f64,
}

/// Fails unless the arrays are the model's inputs: all that it needs, and no other.
pub(crate) fn expect(inputs: &[Port], arrays: &BTreeMap<String, Tensor>) -> Result<(), Box<dyn Error>> {
    let names = || inputs.iter().map(|port| &*port.name).collect::<Vec<_>>().join(", ");
    if let Some(stray) = arrays.keys().find(|name| !inputs.iter().any(|port| port.name == **name)) {
        return Err(format!("--check: '{stray}' is no input of the model: expected {}", names()).into());
    }
    match inputs.iter().find(|port| !port.optional && !arrays.contains_key(&port.name)) {
        Some(missing) => {
            Err(format!("--check: input '{}' is not in the file: expected {}", missing.name, names()).into())
        }
        None => Ok(()),
    }
}

/// Runs both models and compares their outputs, as numbers.
pub(crate) fn compare(
    first: &Path,
    second: &Path,
    options: &Options,
    inputs: &BTreeMap<String, Tensor>,
) -> Result<Vec<Difference>, Box<dyn Error>> {
    let run = |path: &Path| -> Result<_, Box<dyn Error>> {
        let engine = open(path, options.clone())?;
        let given = inputs.iter().map(|(name, tensor)| (name.clone(), tensor.clone()));
        Ok(engine.run(Tensors::new(given))?.outputs)
    };
    let (first, second) = (run(first)?, run(second)?);
    let mut differences = Vec::new();
    for ((name, a), (_, b)) in first.iter().zip(&second) {
        differences.push(difference(name, &numbers(a)?, &numbers(b)?)?);
    }
    Ok(differences)
}

fn difference(name: &str, a: &[f64], b: &[f64]) -> Result<Difference, String> {
    if a.len() != b.len() {
        return Err(format!("output '{name}': {} elements before, {} after", a.len(), b.len()));
    }
    let pairs = || a.iter().zip(b);
    let largest =
        |values: &mut dyn Iterator<Item = f64>| values.fold(0.0f64, |most, v| if v.is_nan() { v } else { most.max(v) });
    let absolute = largest(&mut pairs().map(|(a, b)| (a - b).abs()));
    let scale = largest(&mut a.iter().map(|a| a.abs()));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    Ok(Difference {
        output: name.into(),
        absolute,
        relative: if absolute == 0.0 { 0.0 } else { absolute / scale },
        cosine: if lengths == 0.0 && absolute == 0.0 { 1.0 } else { dot(a, b) / lengths },
    })
}

/// The elements of a tensor of numbers.
pub(crate) fn numbers(tensor: &Tensor) -> selvedge::Result<Vec<f64>> {
    Ok(match tensor.dtype() {
        DType::F32 => tensor.as_slice::<f32>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::F64 => tensor.as_slice::<f64>()?.to_vec(),
        DType::F16 => tensor.as_slice::<f16>()?.iter().map(|v| v.to_f64()).collect(),
        DType::BF16 => tensor.as_slice::<bf16>()?.iter().map(|v| v.to_f64()).collect(),
        DType::I64 => tensor.as_slice::<i64>()?.iter().map(|v| *v as f64).collect(),
        DType::I32 => tensor.as_slice::<i32>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::I16 => tensor.as_slice::<i16>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::I8 => tensor.as_slice::<i8>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::U64 => tensor.as_slice::<u64>()?.iter().map(|v| *v as f64).collect(),
        DType::U32 => tensor.as_slice::<u32>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::U16 => tensor.as_slice::<u16>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::U8 => tensor.as_slice::<u8>()?.iter().map(|v| f64::from(*v)).collect(),
        DType::Bool => tensor.as_slice::<bool>()?.iter().map(|v| f64::from(u8::from(*v))).collect(),
        other => {
            return Err(selvedge::Error::new(selvedge::Code::Unsupported, format!("expected numbers, got {other}")));
        }
    })
}
