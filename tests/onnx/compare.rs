//! Comparison of an output with the expected one.

use half::{bf16, f16};
use selvedge::{DType, Tensor};

/// The tolerances of the reference run that the counts are compared with; see [`close`].
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-5;

/// `Err` says how `got` differs from `expected`: in dtype, shape or elements. Floats are compared
/// within `ATOL + RTOL * |expected|` (bf16, whose own step is wider than that, within one step),
/// everything else exactly. NaN equals NaN.
pub(crate) fn compare(got: &Tensor, expected: &Tensor) -> Result<(), String> {
    if got.dtype() != expected.dtype() {
        return Err(format!("dtype: expected {}, got {}", expected.dtype(), got.dtype()));
    }
    if got.shape() != expected.shape() {
        return Err(format!("shape: expected {}, got {}", expected.shape(), got.shape()));
    }
    let dtype = got.dtype();
    if dtype == DType::String {
        return exactly(strings(got)?, strings(expected)?);
    }
    let (Some(got_floats), Some(floats)) = (floats(got)?, floats(expected)?) else {
        let size = dtype.size().unwrap_or(1);
        return exactly(chunks(got, size)?, chunks(expected, size)?);
    };
    let rtol = if dtype == DType::BF16 { f64::from(bf16::EPSILON) } else { RTOL };
    let wrong: Vec<usize> = (0..floats.len()).filter(|&i| !close(got_floats[i], floats[i], rtol)).collect();
    match wrong.first() {
        None => Ok(()),
        Some(&i) => {
            let largest = floats.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
            let off = wrong.iter().map(|&i| (got_floats[i] - floats[i]).abs()).fold(0.0, f64::max);
            Err(format!(
                "{} of {} elements, first [{i}]: expected {}, got {}; off by at most {off:.2e} where the largest is {largest:.2e}",
                wrong.len(),
                floats.len(),
                floats[i],
                got_floats[i]
            ))
        }
    }
}

fn close(got: f64, expected: f64, rtol: f64) -> bool {
    let within = |tolerance: f64| tolerance.is_finite() && (got - expected).abs() <= tolerance;
    got == expected || (got.is_nan() && expected.is_nan()) || within(ATOL + rtol * expected.abs())
}

fn exactly<T: PartialEq + std::fmt::Debug>(got: Vec<T>, expected: Vec<T>) -> Result<(), String> {
    match got.iter().zip(&expected).position(|(a, b)| a != b) {
        Some(i) => Err(format!("element [{i}]: expected {:?}, got {:?}", expected[i], got[i])),
        None => Ok(()),
    }
}

fn strings(t: &Tensor) -> Result<Vec<&str>, String> {
    Ok(t.as_strings().map_err(|e| e.to_string())?.iter().map(|s| &**s).collect())
}

fn chunks(t: &Tensor, size: usize) -> Result<Vec<&[u8]>, String> {
    Ok(t.bytes().map_err(|e| e.to_string())?.chunks(size).collect())
}

/// The elements of a float tensor; `None` for other dtypes.
fn floats(t: &Tensor) -> Result<Option<Vec<f64>>, String> {
    let bytes = t.bytes().map_err(|e| e.to_string())?;
    Ok(Some(match t.dtype() {
        DType::F32 => bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect(),
        DType::F64 => bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8 bytes"))).collect(),
        DType::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
        DType::BF16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
        _ => return Ok(None),
    }))
}

#[test]
fn what_equals_what() {
    let equal = |got: f32, expected: f32| {
        let tensor = |v: f32| Tensor::new(&[1], vec![v]).expect("one value");
        compare(&tensor(got), &tensor(expected)).is_ok()
    };
    assert!(equal(1.0009, 1.0) && !equal(1.0011, 1.0));
    assert!(equal(0.9e-5, 0.0) && !equal(1.1e-5, 0.0));
    assert!(equal(f32::NAN, f32::NAN) && !equal(1.0, f32::NAN) && !equal(f32::NAN, 1.0));
    assert!(equal(f32::INFINITY, f32::INFINITY) && !equal(f32::MAX, f32::INFINITY) && !equal(f32::INFINITY, f32::MAX));
    let ints = |v: Vec<i64>, dims: &[usize]| Tensor::new(dims, v).expect("as many values as dims");
    assert!(compare(&ints(vec![7], &[1]), &ints(vec![7], &[1])).is_ok());
    assert!(compare(&ints(vec![8], &[1]), &ints(vec![7], &[1])).is_err());
    assert!(compare(&ints(vec![7], &[1]), &ints(vec![7], &[1, 1])).is_err());
    assert!(compare(&Tensor::scalar(7i64), &Tensor::scalar(7i32)).is_err());
}
