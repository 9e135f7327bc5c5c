//! The same work by others: ggml as llama.cpp ships it, candle, and the crate `half`.
#![expect(unsafe_code, reason = "ggml is C, and candle's blocks have no safe cast")]

use candle_core::quantized::GgmlType;
use candle_core::quantized::k_quants::{BlockQ4_0, BlockQ4K, BlockQ6K, BlockQ8_0};
use half::f16;
use half::slice::HalfFloatSliceExt;
use llama_cpp_sys_2 as sys;
use selvedge::kernel::BlockFormat;

pub(crate) fn ggml(format: BlockFormat, blocks: &[u8], out: &mut [f32]) {
    assert_eq!(format.bytes(out.len()), Some(blocks.len()));
    let kind = match format {
        BlockFormat::F16 => sys::GGML_TYPE_F16,
        BlockFormat::Q4_0 => sys::GGML_TYPE_Q4_0,
        BlockFormat::Q8_0 => sys::GGML_TYPE_Q8_0,
        BlockFormat::Q4K => sys::GGML_TYPE_Q4_K,
        BlockFormat::Q6K => sys::GGML_TYPE_Q6_K,
        _ => panic!("{format} is not compared"),
    };
    // SAFETY: a type of ggml's; both buffers hold so many weights.
    unsafe {
        let to_float = (*sys::ggml_get_type_traits(kind)).to_float.unwrap();
        to_float(blocks.as_ptr().cast(), out.as_mut_ptr(), out.len() as i64);
    }
}

pub(crate) fn candle(format: BlockFormat, blocks: &[u8], out: &mut [f32]) {
    match format {
        BlockFormat::F16 => f16::to_float(cast(blocks), out),
        BlockFormat::Q4_0 => BlockQ4_0::to_float(cast(blocks), out),
        BlockFormat::Q8_0 => BlockQ8_0::to_float(cast(blocks), out),
        BlockFormat::Q4K => BlockQ4K::to_float(cast(blocks), out),
        BlockFormat::Q6K => BlockQ6K::to_float(cast(blocks), out),
        _ => panic!("{format} is not compared"),
    }
}

pub(crate) fn half(blocks: &[u8], out: &mut [f32]) {
    cast::<f16>(blocks).convert_to_f32_slice(out);
}

/// Blocks of plain numbers, in their C layout.
fn cast<T: GgmlType>(blocks: &[u8]) -> &[T] {
    assert!(blocks.as_ptr().cast::<T>().is_aligned() && blocks.len().is_multiple_of(size_of::<T>()));
    // SAFETY: aligned, within the bytes; every pattern of bytes is such a block.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), blocks.len() / size_of::<T>()) }
}
