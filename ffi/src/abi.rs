//! Types and numbers of `include/selvedge.h`, under their C names. `tests/abi/header.rs` compares
//! the two.

#![expect(non_camel_case_types, reason = "the names are the header's")]
#![expect(missing_docs, reason = "the header documents them")]

use std::ffi::{c_char, c_void};

use selvedge::{Code, DType};

/// `SELVEDGE_ABI_MAJOR` and `SELVEDGE_ABI_MINOR`.
pub const SELVEDGE_ABI: (u16, u16) = (1, 0);

#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct selvedge_status(pub i32);

pub const SELVEDGE_OK: selvedge_status = selvedge_status(0);

impl From<Code> for selvedge_status {
    fn from(code: Code) -> Self {
        selvedge_status(code as i32)
    }
}

macro_rules! handles {
    ($($name:ident)*) => {$(
        /// A handle: a number as a pointer, never dereferenced.
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

handles! { selvedge_error selvedge_cancel selvedge_engine selvedge_run selvedge_answer }

macro_rules! numbers {
    ($($name:ident = $value:expr;)*) => {$(pub const $name: i32 = $value;)*};
}

numbers! {
    SELVEDGE_BACKEND_AUTO = 0;
    SELVEDGE_BACKEND_LLAMA = 1;
    SELVEDGE_BACKEND_ORT = 2;
    SELVEDGE_BACKEND_TRACT = 3;
    SELVEDGE_BACKEND_TABLE = 4;
    SELVEDGE_LOADING_MAPPED = 0;
    SELVEDGE_LOADING_READ = 1;
    SELVEDGE_PRIORITY_BACKGROUND = -1;
    SELVEDGE_PRIORITY_NORMAL = 0;
    SELVEDGE_PRIORITY_INTERACTIVE = 1;
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
    SELVEDGE_EVENT_NONE = 0;
    SELVEDGE_EVENT_WORKING = 1;
    SELVEDGE_EVENT_TEXT = 2;
    SELVEDGE_EVENT_DONE = 3;
    SELVEDGE_FINISH_NONE = 0;
    SELVEDGE_FINISH_COMPLETE = 1;
    SELVEDGE_FINISH_END_OF_TEXT = 2;
    SELVEDGE_FINISH_STOP = 3;
    SELVEDGE_FINISH_LENGTH = 4;
    SELVEDGE_FINISH_CONTEXT_FULL = 5;
    SELVEDGE_FINISH_OTHER = 255;
}

pub const SELVEDGE_MAX_TOKENS_NONE: u32 = u32::MAX;
pub const SELVEDGE_GENERATE_SEEDED: u32 = 1;
pub const SELVEDGE_GENERATE_LOGPROBS: u32 = 2;
pub const SELVEDGE_EMBED_RAW: u32 = 1;

macro_rules! structs {
    ($($name:ident { $($field:ident: $kind:ty,)* })*) => {$(
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name {
            $(pub $field: $kind,)*
        }
    )*};
}

structs! {
    selvedge_text {
        data: *const c_char,
        len: usize,
    }
    selvedge_options {
        struct_size: usize,
        backend: i32,
        loading: i32,
        threads: u32,
        context_tokens: u32,
        parallel: u32,
        flags: u32,
        memory_limit: u64,
        sha256: *const u8,
        onnxruntime: selvedge_text,
        cancel: *const selvedge_cancel,
    }
    selvedge_call {
        struct_size: usize,
        cancel: *const selvedge_cancel,
        timeout_ms: u64,
        id: u64,
        priority: i32,
        flags: u32,
    }
    selvedge_tensor {
        struct_size: usize,
        name: *const c_char,
        name_len: usize,
        dims: *const i64,
        rank: usize,
        data: *const c_void,
        byte_len: usize,
        dtype: i32,
        flags: u32,
    }
    selvedge_tensors {
        struct_size: usize,
        inputs: *const selvedge_tensor,
        input_count: usize,
        outputs: *const selvedge_text,
        output_count: usize,
    }
    selvedge_message {
        struct_size: usize,
        role: selvedge_text,
        content: selvedge_text,
    }
    selvedge_generate {
        struct_size: usize,
        prompt: selvedge_text,
        messages: *const selvedge_message,
        message_count: usize,
        stop: *const selvedge_text,
        stop_count: usize,
        flags: u32,
        max_tokens: u32,
        seed: u32,
        temperature: f32,
        top_k: u32,
        top_p: f32,
        min_p: f32,
        repeat_penalty: f32,
        frequency_penalty: f32,
        presence_penalty: f32,
        penalty_last_n: u32,
        reserved: u32,
    }
    selvedge_embed {
        struct_size: usize,
        texts: *const selvedge_text,
        text_count: usize,
        flags: u32,
        reserved: u32,
    }
    selvedge_token {
        id: u32,
        logprob: f32,
    }
    selvedge_event {
        struct_size: usize,
        kind: i32,
        finish: i32,
        done: u64,
        total: u64,
        text: *const c_char,
        text_len: usize,
        tokens: *const selvedge_token,
        token_count: usize,
        input_tokens: u64,
        cached_tokens: u64,
        output_tokens: u64,
    }
}
