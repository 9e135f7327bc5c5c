//! Likeness: when two answers count as the same.

use crate::engine::Answer;
use crate::{DType, Element, Tensor};

/// The rule by which two answers count as the same. Names, dtypes and shapes of the outputs must be equal under any of
/// them; an output that only the other answer has does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Likeness {
    /// The same bytes, and the same text.
    #[default]
    Exact,
    /// Each number is off by no more than `absolute` + `relative` · |expected|. A NaN is like a NaN, strings and text are
    /// exact.
    Tolerance {
        /// The part that does not depend on the number; ≥ 0.
        absolute: f64,
        /// The part that grows with it; ≥ 0.
        relative: f64,
    },
    /// In each row along the last axis, the largest number is at the same place; of equals, the first counts. Strings and
    /// text are exact.
    Top1,
    /// The texts are alike at least so much, 0 to 1: Dice's coefficient of their pairs of neighbouring characters. Outputs
    /// are exact.
    Text(f64),
}

impl Likeness {
    /// Why `got` is not like `expected`; `None` if it is.
    pub(super) fn difference(self, expected: &Expected, got: &Answer) -> Option<String> {
        for (name, tensor) in &expected.outputs {
            let Some((_, other)) = got.outputs.iter().find(|(n, _)| n == name) else {
                return Some(format!("output '{name}': expected it, got none"));
            };
            let kind = |t: &Tensor| format!("{}{}", t.dtype(), t.shape());
            if kind(tensor) != kind(other) {
                return Some(format!("output '{name}': expected {}, got {}", kind(tensor), kind(other)));
            }
            if let Some(difference) = self.of_tensors(tensor, other) {
                return Some(format!("output '{name}': {difference}"));
            }
        }
        let text = expected.text.as_ref()?;
        match self {
            Self::Text(least) => {
                let alike = dice(text, &got.text);
                (alike < least).then(|| format!("text: expected {least} alike, got {alike:.3}"))
            }
            _ => (*text != got.text).then(|| format!("text: expected {}, got {}", start(text), start(&got.text))),
        }
    }

    fn of_tensors(self, expected: &Tensor, got: &Tensor) -> Option<String> {
        let is_number = expected.dtype() != DType::String;
        match self {
            Self::Tolerance { absolute, relative } if is_number => {
                let (expected, got) = (numbers(expected), numbers(got));
                let differs = |(a, b): (&f64, &f64)| {
                    // Equal infinities are off by NaN.
                    let is_near = *a == *b || (a - b).abs() <= absolute + relative * a.abs();
                    !(is_near || a.is_nan() && b.is_nan())
                };
                let at = expected.iter().zip(&got).position(differs)?;
                Some(format!("element {at}: expected {} ± {absolute}, got {}", expected[at], got[at]))
            }
            Self::Top1 if is_number => {
                let columns = expected.shape().last().copied().unwrap_or(1).max(1);
                let (expected, got) = (numbers(expected), numbers(got));
                let mut rows = expected.chunks(columns).zip(got.chunks(columns)).enumerate();
                let (row, (a, b)) = rows.find(|(_, (a, b))| top(a) != top(b))?;
                Some(format!("row {row}: expected the largest at {}, got it at {}", top(a), top(b)))
            }
            _ => (expected != got).then(|| "expected the same bytes, got others".into()),
        }
    }
}

/// The part of an answer that another one is held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expected {
    pub(super) outputs: Vec<(String, Tensor)>,
    pub(super) text: Option<String>,
}

/// The elements as f64; whole numbers above 2⁵³ are rounded.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    fn of<T: Element>(tensor: &Tensor, number: impl Fn(T) -> f64) -> Vec<f64> {
        tensor.as_slice::<T>().map(|all| all.iter().map(|x| number(*x)).collect()).unwrap_or_default()
    }
    match tensor.dtype() {
        DType::F32 => of::<f32>(tensor, f64::from),
        DType::F64 => of::<f64>(tensor, |x| x),
        DType::F16 => of::<half::f16>(tensor, f64::from),
        DType::BF16 => of::<half::bf16>(tensor, f64::from),
        DType::I8 => of::<i8>(tensor, f64::from),
        DType::I16 => of::<i16>(tensor, f64::from),
        DType::I32 => of::<i32>(tensor, f64::from),
        DType::I64 => of::<i64>(tensor, |x| x as f64),
        DType::U8 => of::<u8>(tensor, f64::from),
        DType::U16 => of::<u16>(tensor, f64::from),
        DType::U32 => of::<u32>(tensor, f64::from),
        DType::U64 => of::<u64>(tensor, |x| x as f64),
        DType::Bool => tensor.bytes().map(|all| all.iter().map(|x| f64::from(*x)).collect()).unwrap_or_default(),
        DType::String => Vec::new(),
    }
}

/// The place of the largest number; 0 of none. A NaN is no largest.
fn top(row: &[f64]) -> usize {
    let larger = |best: usize, at: usize| if row[at] > row[best] || row[best].is_nan() { at } else { best };
    (0..row.len()).reduce(larger).unwrap_or(0)
}

/// Dice's coefficient of the multisets of neighbouring characters: 1 of equal texts, 0 of texts that share no pair.
fn dice(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    let pairs = |text: &str| {
        let mut pairs: Vec<(char, char)> = text.chars().zip(text.chars().skip(1)).collect();
        pairs.sort_unstable();
        pairs
    };
    let (a, b) = (pairs(a), pairs(b));
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, shared) = (i + 1, j + 1, shared + 1),
        }
    }
    2.0 * f64::from(shared) / (a.len() + b.len()).max(1) as f64
}

fn start(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("'{}'{}", start.escape_debug(), if start.len() < text.len() { " …" } else { "" })
}
