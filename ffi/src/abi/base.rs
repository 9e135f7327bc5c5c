//! Types and numbers of `selvedge/base.h`.

use std::ffi::{c_char, c_void};

use selvedge::DType;

handles! { selvedge_error selvedge_cancel selvedge_progress selvedge_buffer }

numbers! {
    SELVEDGE_DTYPE_UNSET = 0;
    SELVEDGE_F32 = DType::F32 as i32;
    SELVEDGE_F16 = DType::F16 as i32;
    SELVEDGE_BF16 = DType::BF16 as i32;
    SELVEDGE_I8 = DType::I8 as i32;
    SELVEDGE_U8 = DType::U8 as i32;
    SELVEDGE_I32 = DType::I32 as i32;
    SELVEDGE_I64 = DType::I64 as i32;
    SELVEDGE_BOOL = DType::Bool as i32;
    SELVEDGE_F64 = DType::F64 as i32;
    SELVEDGE_I16 = DType::I16 as i32;
    SELVEDGE_U16 = DType::U16 as i32;
    SELVEDGE_U32 = DType::U32 as i32;
    SELVEDGE_U64 = DType::U64 as i32;
    SELVEDGE_STRING = DType::String as i32;
    SELVEDGE_LOG_OFF = 0;
    SELVEDGE_LOG_ERROR = 1;
    SELVEDGE_LOG_WARN = 2;
    SELVEDGE_LOG_INFO = 3;
    SELVEDGE_LOG_DEBUG = 4;
    SELVEDGE_LOG_TRACE = 5;
}

/// A callback; `None` is NULL.
pub type selvedge_release_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A callback; `None` is NULL.
pub type selvedge_progress_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, done: u64, total: u64)>;

/// A callback; `None` is NULL.
pub type selvedge_log_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, line: *const selvedge_log_line)>;

structs! {
    selvedge_text {
        data: *const c_char,
        len: usize,
    }
    selvedge_pair {
        name: selvedge_text,
        value: selvedge_text,
    }
    selvedge_log_line {
        struct_size: usize,
        level: i32,
        reserved: u32,
        target: selvedge_text,
        message: selvedge_text,
    }
}
