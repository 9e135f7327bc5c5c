//! Files that begin as safetensors does, and what grows from them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    selvedge_fuzz::open_and_use(data);
});
