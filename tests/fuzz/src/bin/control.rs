//! A fault that is there: a run that does not find it is blind.

#![no_main]

use selvedge::{Bytes, Loading, weights::WeightFile};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = WeightFile::open(Bytes::shared(data.to_vec()), Loading::Mapped);
    assert!(file.is_err_and(|e| !e.message().contains("version")), "found as it should be");
});
