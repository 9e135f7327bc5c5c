//! Types and numbers of `selvedge/engine.h`.

use std::ffi::{c_char, c_void};

use super::base::{
    selvedge_cancel, selvedge_pair, selvedge_progress, selvedge_progress_fn, selvedge_release_fn, selvedge_text,
};

handles! { selvedge_engine selvedge_run selvedge_answer }

numbers! {
    SELVEDGE_BACKEND_AUTO = 0;
    SELVEDGE_BACKEND_LLAMA = 1;
    SELVEDGE_BACKEND_ORT = 2;
    SELVEDGE_BACKEND_TRACT = 3;
    SELVEDGE_BACKEND_TABLE = 4;
    SELVEDGE_BACKEND_RTEN = 5;
    SELVEDGE_SOURCE_PATH = 0;
    SELVEDGE_SOURCE_FILE = 1;
    SELVEDGE_SOURCE_MEMORY = 2;
    SELVEDGE_LOADING_MAPPED = 0;
    SELVEDGE_LOADING_READ = 1;
    SELVEDGE_PRIORITY_BACKGROUND = -1;
    SELVEDGE_PRIORITY_NORMAL = 0;
    SELVEDGE_PRIORITY_INTERACTIVE = 1;
    SELVEDGE_TRIM_CACHES = 1;
    SELVEDGE_TRIM_ALL = 2;
    SELVEDGE_GRAMMAR_NONE = 0;
    SELVEDGE_GRAMMAR_JSON_SCHEMA = 1;
    SELVEDGE_GRAMMAR_REGEX = 2;
    SELVEDGE_GRAMMAR_LARK = 3;
    SELVEDGE_GRAMMAR_GBNF = 4;
    SELVEDGE_TOOL_CHOICE_AUTO = 0;
    SELVEDGE_TOOL_CHOICE_NONE = 1;
    SELVEDGE_TOOL_CHOICE_REQUIRED = 2;
    SELVEDGE_TOOL_CHOICE_NAMED = 3;
    SELVEDGE_THINKING_AUTO = 0;
    SELVEDGE_THINKING_ON = 1;
    SELVEDGE_THINKING_OFF = 2;
    SELVEDGE_EVENT_NONE = 0;
    SELVEDGE_EVENT_WORKING = 1;
    SELVEDGE_EVENT_TEXT = 2;
    SELVEDGE_EVENT_DONE = 3;
    SELVEDGE_EVENT_REASONING = 4;
    SELVEDGE_EVENT_CALL_PIECE = 5;
    SELVEDGE_EVENT_TOOL_CALL = 6;
    SELVEDGE_EVENT_MALFORMED_CALL = 7;
    SELVEDGE_FINISH_NONE = 0;
    SELVEDGE_FINISH_COMPLETE = 1;
    SELVEDGE_FINISH_END_OF_TEXT = 2;
    SELVEDGE_FINISH_STOP = 3;
    SELVEDGE_FINISH_LENGTH = 4;
    SELVEDGE_FINISH_CONTEXT_FULL = 5;
    SELVEDGE_FINISH_OTHER = 255;
    SELVEDGE_ARM_NONE = 0;
    SELVEDGE_ARM_CURRENT = 1;
    SELVEDGE_ARM_CANARY = 2;
    SELVEDGE_ARM_OTHER = 255;
}

pub const SELVEDGE_OPTIONS_NO_SYMLINKS: u32 = 1;
pub const SELVEDGE_OPTIONS_SEARCH_PYTHON: u32 = 2;
pub const SELVEDGE_OPTIONS_OWN_PRODUCTS: u32 = 4;
pub const SELVEDGE_RUNG_ONE_THREAD: u32 = 1;
pub const SELVEDGE_RUNG_READ_WHOLE: u32 = 2;
pub const SELVEDGE_RUNG_OTHER_RUNTIME: u32 = 4;
pub const SELVEDGE_ACCELERATOR_ALL: u32 = u32::MAX;
pub const SELVEDGE_MAX_TOKENS_NONE: u32 = u32::MAX;
pub const SELVEDGE_GENERATE_SEEDED: u32 = 1;
pub const SELVEDGE_GENERATE_LOGPROBS: u32 = 2;
pub const SELVEDGE_GENERATE_CONTINUE_LAST: u32 = 4;
pub const SELVEDGE_GENERATE_SEPARATE_REASONING: u32 = 8;
pub const SELVEDGE_EMBED_RAW: u32 = 1;

structs! {
    selvedge_source {
        struct_size: usize,
        kind: i32,
        flags: u32,
        path: selvedge_text,
        file: i64,
        offset: u64,
        length: u64,
        data: *const c_void,
        data_len: usize,
        release: selvedge_release_fn,
        user_data: *mut c_void,
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
        session_entries: *const selvedge_pair,
        session_entry_count: usize,
        progress: *const selvedge_progress,
        on_progress: selvedge_progress_fn,
        user_data: *mut c_void,
        crash_folder: selvedge_text,
        crash_app_version: selvedge_text,
        crash_rungs: *const u32,
        crash_rung_count: usize,
        adapters: *const selvedge_pair,
        adapter_count: usize,
        prompt_threads: u32,
        reserved: u32,
        measurements: selvedge_text,
        accelerator_device: selvedge_text,
        accelerator_layers: u32,
        accelerator_flags: u32,
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
    selvedge_output {
        struct_size: usize,
        name: selvedge_text,
        data: *mut c_void,
        capacity: usize,
        dims: *mut i64,
        dim_capacity: usize,
        dtype: i32,
        flags: u32,
        rank: usize,
        byte_len: usize,
    }
    selvedge_tool {
        struct_size: usize,
        name: selvedge_text,
        description: selvedge_text,
        parameters: selvedge_text,
    }
    selvedge_tool_call {
        struct_size: usize,
        id: selvedge_text,
        name: selvedge_text,
        arguments: selvedge_text,
    }
    selvedge_message {
        struct_size: usize,
        role: selvedge_text,
        content: selvedge_text,
        reasoning: selvedge_text,
        tool_calls: *const selvedge_tool_call,
        tool_call_count: usize,
        tool_call_id: selvedge_text,
    }
    selvedge_document {
        struct_size: usize,
        title: selvedge_text,
        text: selvedge_text,
    }
    selvedge_adapter {
        struct_size: usize,
        name: selvedge_text,
        scale: f32,
        flags: u32,
    }
    selvedge_bias {
        token: u32,
        bias: f32,
    }
    selvedge_generate {
        struct_size: usize,
        prompt: selvedge_text,
        messages: *const selvedge_message,
        message_count: usize,
        tokens: *const u32,
        token_count: usize,
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
        grammar: selvedge_text,
        grammar_kind: i32,
        grammar_flags: u32,
        tools: *const selvedge_tool,
        tool_count: usize,
        tool_name: selvedge_text,
        tool_choice: i32,
        thinking: i32,
        documents: *const selvedge_document,
        document_count: usize,
        variables: *const selvedge_pair,
        variable_count: usize,
        adapters: *const selvedge_adapter,
        adapter_count: usize,
        biases: *const selvedge_bias,
        bias_count: usize,
        top_logprobs: u32,
        text_flags: u32,
    }
    selvedge_embed {
        struct_size: usize,
        texts: *const selvedge_text,
        text_count: usize,
        flags: u32,
        reserved: u32,
    }
    selvedge_score {
        struct_size: usize,
        prompt: selvedge_text,
        messages: *const selvedge_message,
        message_count: usize,
        tokens: *const u32,
        token_count: usize,
        continuations: *const selvedge_text,
        continuation_count: usize,
        adapters: *const selvedge_adapter,
        adapter_count: usize,
    }
    selvedge_rerank {
        struct_size: usize,
        query: selvedge_text,
        documents: *const selvedge_text,
        document_count: usize,
    }
    selvedge_prefixes {
        struct_size: usize,
        prefixes: u64,
        tokens: u64,
        bytes: u64,
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
        name: *const c_char,
        name_len: usize,
        id: *const c_char,
        id_len: usize,
        reason: *const c_char,
        reason_len: usize,
        index: u64,
    }
}
