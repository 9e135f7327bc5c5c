//! Types and numbers of `selvedge/pack.h`.

use std::ffi::c_void;

use super::base::{selvedge_cancel, selvedge_progress, selvedge_progress_fn, selvedge_text};

numbers! {
    SELVEDGE_SCHEME_UNSET = 0;
    SELVEDGE_SCHEME_F16 = 1;
    SELVEDGE_SCHEME_INT8 = 2;
    SELVEDGE_SCHEME_INT4 = 3;
}

pub const SELVEDGE_PACK_OVERWRITE: u32 = 1;

structs! {
    selvedge_pack_options {
        struct_size: usize,
        scheme: i32,
        flags: u32,
        min_elements: u64,
        mean_bits: f64,
        only: *const selvedge_text,
        only_count: usize,
        keep: *const selvedge_text,
        keep_count: usize,
        finer: *const selvedge_text,
        finer_count: usize,
        cancel: *const selvedge_cancel,
        progress: *const selvedge_progress,
        on_progress: selvedge_progress_fn,
        user_data: *mut c_void,
    }
}
