//! Verdict on a file: what is to become of it, and whether it does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use selvedge::weights::WeightFile;
use selvedge::{Bytes, Code, Loading, Result};

use crate::counting::peak_of;

const MAX_MEMORY: usize = 64 << 20;

/// A file and what opening it gives: a code, or `None` for a file that opens.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Option<Code>,
}

pub(crate) fn judge_all(cases: Vec<Case>) {
    let count = cases.len();
    let wrong: Vec<String> = cases.into_iter().filter_map(|case| judge(case, open_and_use)).collect();
    assert!(wrong.is_empty(), "{} of {count} files:\n{}", wrong.len(), wrong.join("\n"));
}

/// Opens a file and looks at all that it shows.
pub(crate) fn open_and_use(bytes: Bytes) -> Result<()> {
    let len = bytes.as_slice().len() as u64;
    let file = WeightFile::open(bytes, Loading::Mapped)?;
    assert!(file.data_start() + file.tensor_bytes() <= len);
    for (key, value) in file.metadata().iter() {
        assert_eq!(file.metadata().get(key).map(|v| v.value_type()), Some(value.value_type()));
        let seen = value.as_array().map_or(0, |array| array.iter().count() as u64);
        assert_eq!(seen, value.as_array().map_or(0, |array| array.len()), "'{key}' has other elements than it says");
    }
    let mut row = vec![0.0; 1 << 16];
    for tensor in file.tensors() {
        assert_eq!(file.tensor(tensor.name())?.place(), tensor.place());
        assert_eq!(tensor.bytes().len() as u64, tensor.place().end - tensor.place().start);
        if let Some(row) = row.get_mut(..tensor.row_len()) {
            // A type that no kernel reads says so.
            let _ = tensor.dequantize_rows_into(0..1, row);
        }
    }
    Ok(())
}

/// What went wrong, if anything.
pub(crate) fn judge(case: Case, open: impl FnOnce(Bytes) -> Result<()>) -> Option<String> {
    let (name, expected) = (case.name, case.expected);
    match survive(Bytes::shared(case.bytes), open) {
        Err(how) => Some(format!("{name}: {how}")),
        Ok(code) if code != expected => Some(format!("{name}: expected {expected:?}, got {code:?}")),
        Ok(_) => None,
    }
}

/// The code that opening ended with, or how it did not end well.
pub(crate) fn survive(bytes: Bytes, open: impl FnOnce(Bytes) -> Result<()>) -> Result<Option<Code>, String> {
    let (result, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| open(bytes))));
    match result {
        Err(_) => Err("it panicked".into()),
        Ok(_) if peak > MAX_MEMORY => Err(format!("it took {peak} bytes")),
        Ok(result) => Ok(result.err().map(|e| e.code())),
    }
}

/// The judge under test.
#[test]
fn what_goes_wrong_is_noticed() {
    let case = |expected| Case { name: "x".into(), bytes: b"GGUF".to_vec(), expected };
    assert_eq!(judge(case(Some(Code::Corrupt)), open_and_use), None);
    assert!(judge(case(Some(Code::Unsupported)), open_and_use).unwrap().contains("got Some(Corrupt)"));
    assert!(judge(case(None), open_and_use).unwrap().contains("expected None"));
    assert!(judge(case(None), |_| panic!("as a bad reader would")).unwrap().contains("it panicked"));
    let greedy = |_| {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(MAX_MEMORY + 1)));
        Ok(())
    };
    assert!(judge(case(None), greedy).unwrap().contains("it took 67108"));
    let modest = |_| {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(MAX_MEMORY - 4096)));
        Ok(())
    };
    assert_eq!(judge(case(None), modest), None);
}
