//! Answers and their outputs.

#![expect(unsafe_code, reason = "calls the C ABI")]

use selvedge_ffi::abi::*;
use selvedge_ffi::{selvedge_answer_json, selvedge_answer_output, selvedge_answer_output_count};

use crate::base::kept_text;
use crate::callback;
use crate::descriptor::{Objects, Str};
use crate::failure::{call, give, pointer};
use crate::native::natives;

natives! {
    fn answer_json(env, answer: i64) -> Str {
        // SAFETY: all places are this call's.
        kept_text(env, |json, len, err| unsafe { selvedge_answer_json(pointer(answer), json, len, err) })
    }

    fn answer_output_count(env, answer: i64) -> i32 {
        // SAFETY: both places are this call's.
        give(|count: *mut usize, err| unsafe { selvedge_answer_output_count(pointer(answer), count, err) })
            .map(|count| count as i32)
    }

    /// An output: its name, a `long[]` of dtype and dimensions, and a direct `ByteBuffer` that Java does not use after it
    /// has freed the answer, or a `String[]`.
    fn answer_output(env, answer: i64, index: i32) -> Objects {
        let mut tensor = selvedge_tensor { struct_size: size_of::<selvedge_tensor>(), ..Default::default() };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        // SAFETY: both places are this call's.
        call(|err| unsafe { selvedge_answer_output(pointer(answer), index, &mut tensor, err) })?;
        // SAFETY: what the tensor points to lives as long as the answer, which Java keeps during a native.
        unsafe {
            let name = selvedge_text { data: tensor.name, len: tensor.name_len };
            let name = env.str(callback::text(&name))?;
            let mut shape = vec![i64::from(tensor.dtype)];
            if tensor.rank > 0 {
                shape.extend(std::slice::from_raw_parts(tensor.dims, tensor.rank));
            }
            let shape = env.new_longs(&shape)?;
            let data = if tensor.dtype == SELVEDGE_STRING {
                let count = tensor.byte_len / size_of::<selvedge_text>();
                let data = tensor.data.cast::<selvedge_text>();
                let elements = if count == 0 { &[][..] } else { std::slice::from_raw_parts(data, count) };
                let texts: Vec<_> = elements.iter().map(|one| Some(callback::text(one))).collect();
                env.strs(&texts)?.0
            } else {
                env.buffer(tensor.data, tensor.byte_len)?.0
            };
            env.objects(&[name.0, shape.0, data])
        }
    }
}
