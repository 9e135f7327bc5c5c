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
    /// ‖a − b‖₂ ÷ ‖a‖₂.
    pub(crate) error: f64,
    /// a·b ÷ (‖a‖ ‖b‖); 1 for two that are all zeros.
    pub(crate) cosine: f64,
}

/// Fails unless the arrays are the model's inputs: all that it needs, and no other.
pub(crate) fn expect(inputs: &[Port], arrays: &BTreeMap<String, Tensor>) -> Result<(), Box<dyn Error>> {
    let names = || match inputs {
        [] => "none".into(),
        inputs => inputs.iter().map(|port| &*port.name).collect::<Vec<_>>().join(", "),
    };
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
    // The same infinity, and no number where there was none before, are no difference.
    let apart = |(a, b): (&f64, &f64)| match a - b {
        _ if a == b || a.is_nan() && b.is_nan() => 0.0,
        apart if apart.is_nan() => f64::INFINITY,
        apart => apart.abs(),
    };
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0f64, f64::max);
    let absolute = largest(&mut a.iter().zip(b).map(apart));
    let scale = largest(&mut a.iter().filter(|a| a.is_finite()).map(|a| a.abs()));
    // Divided by what is largest, no square overflows.
    let pairs = || a.iter().zip(b).filter(|(a, b)| a.is_finite() && b.is_finite());
    let unit = largest(&mut pairs().map(|(a, b)| a.abs().max(b.abs()))).max(f64::MIN_POSITIVE);
    let dot = |of: &dyn Fn(f64, f64) -> f64| pairs().map(|(a, b)| of(a / unit, b / unit)).sum::<f64>();
    let (square, other) = (dot(&|a, _| a * a), dot(&|_, b| b * b));
    let of = |part: f64, whole: f64| if absolute == 0.0 { 0.0 } else { part / whole };
    let error =
        if absolute.is_finite() { of(dot(&|a, b| (a - b).powi(2)).sqrt(), square.sqrt()) } else { f64::INFINITY };
    Ok(Difference {
        output: name.into(),
        absolute,
        relative: of(absolute, scale),
        error,
        cosine: if absolute == 0.0 { 1.0 } else { dot(&|a, b| a * b) / (square * other).sqrt() },
    })
}

impl Difference {
    /// Whether the output is farther from the original than `tolerance`, or not to be compared with it.
    pub(crate) fn is_beyond(&self, tolerance: f64) -> bool {
        self.error.is_nan() || self.error > tolerance
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &[f64], b: &[f64]) -> Difference {
        difference("y", a, b).unwrap()
    }

    #[test]
    fn an_output_that_is_the_same_is_not_beyond_anything() {
        for a in [&[][..], &[0.0, 0.0], &[1.5], &[f64::NAN, 1.0], &[f64::INFINITY, f64::NEG_INFINITY, 2.0], &[1e300]] {
            let d = of(a, a);
            assert_eq!((d.absolute, d.relative, d.error, d.cosine), (0.0, 0.0, 0.0, 1.0), "{a:?}");
            assert!(!d.is_beyond(0.0));
        }
    }

    #[test]
    fn an_output_that_changed_is_beyond_the_tolerance() {
        let d = of(&[3.0, 4.0], &[3.0, 4.5]);
        assert_eq!((d.absolute, d.relative), (0.5, 0.125));
        assert!((d.error - 0.1).abs() < 1e-12 && !d.is_beyond(0.11) && d.is_beyond(0.09));
        assert_eq!(of(&[1e-200, 0.0], &[2e-200, 0.0]).error, 1.0, "small numbers are compared as others are");
        assert_eq!(of(&[1e200], &[2e200]).error, 1.0);
        // One number has a cosine of 1 with any other of its sign.
        let d = of(&[1.0], &[10.0]);
        assert!(d.cosine == 1.0 && d.is_beyond(0.15));
        for (a, b) in [
            (&[0.0][..], &[1.0][..]),
            (&[1.0], &[0.0]),
            (&[1.0, 2.0], &[f64::NAN, 2.0]),
            (&[f64::NAN, 2.0], &[1.0, 2.0]),
            (&[1.0, 2.0], &[1.0, f64::INFINITY]),
            (&[f64::INFINITY], &[f64::NEG_INFINITY]),
        ] {
            assert!(of(a, b).is_beyond(0.15), "{a:?} {b:?}");
        }
    }
}
