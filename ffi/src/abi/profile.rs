//! Types and numbers of `selvedge/profile.h`.

use std::ffi::c_void;

use super::base::selvedge_text;

handles! { selvedge_profile }

numbers! {
    SELVEDGE_FEATURE_INPUT = 0;
    SELVEDGE_FEATURE_CLASS = 1;
    SELVEDGE_FEATURE_CONFIDENCE = 2;
    SELVEDGE_FEATURE_ENTROPY = 3;
    SELVEDGE_FEATURE_LATENCY = 4;
    SELVEDGE_FEATURE_LENGTH = 5;
}

pub const SELVEDGE_COLUMN_CATEGORY: u32 = 1;

structs! {
    selvedge_column {
        struct_size: usize,
        name: selvedge_text,
        data: *const c_void,
        stride: usize,
        dtype: i32,
        source: i32,
        flags: u32,
        reserved: u32,
    }
    selvedge_rows {
        struct_size: usize,
        columns: *const selvedge_column,
        column_count: usize,
        row_count: usize,
        embeddings: *const f32,
        embedding_width: usize,
        right: *const u8,
    }
    selvedge_fit {
        struct_size: usize,
        bins: u32,
        categories: u32,
        seed: u32,
        block: u32,
        sha256: *const u8,
    }
}
