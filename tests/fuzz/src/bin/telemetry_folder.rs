//! Whole telemetry folders: segments, lanes, the state of `sync`, links, folders, sockets and holes under any name.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(selvedge_fuzz::folder::place);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    selvedge_fuzz::folder::make(data, &FOLDER);
    selvedge_fuzz::folder::use_folder(&FOLDER);
});
