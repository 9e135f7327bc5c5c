use super::{Set, lacking, needed, sets};
use crate::Code;

extern "C" fn yes() -> i32 {
    1
}

extern "C" fn no() -> i32 {
    0
}

#[test]
fn all_that_the_processor_lacks_are_named() {
    let sets: [Set; 4] = [("one", yes, true), ("two", yes, false), ("three", no, false), ("four", yes, false)];
    let error = lacking(&sets).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("built for two, four, which"), "{error}");
    assert!(lacking(&sets[..1]).is_ok());
}

/// Were the library silent, everything would pass: each build for one of these has at least the first of its sets.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn the_library_tells_what_it_was_compiled_for() {
    assert!(needed(&sets()).count() > 0);
}
