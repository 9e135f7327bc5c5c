//! Files that begin as gguf does, and what grows from them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if selvedge_fuzz::open_and_use(data) {
        selvedge_fuzz::keep(data);
    }
});
