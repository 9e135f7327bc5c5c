//! ggml's own reader of headers.

#![expect(unsafe_code, reason = "the C API of ggml")]

use llama_cpp_sys_2 as sys;

/// Whether ggml takes a file's header, as llama.cpp asks it to: with all tensors, without their data. It may end the
/// process.
pub(super) fn reads_header(file: &[u8]) -> bool {
    let mut tensors = std::ptr::null_mut();
    let params = sys::gguf_init_params { no_alloc: true, ctx: &raw mut tensors };
    // SAFETY: the bytes are readable for their length and are not kept; `tensors` outlives the call.
    let context = unsafe { sys::gguf_init_from_buffer(file.as_ptr().cast(), file.len(), params) };
    let taken = !context.is_null();
    if taken {
        // SAFETY: both were made above, and are freed once.
        unsafe {
            sys::gguf_free(context);
            sys::ggml_free(tensors);
        }
    }
    taken
}
