//! The reference against ggml's own functions, through the C library that the llama backend runs.
#![expect(unsafe_code, reason = "calls into ggml")]

use llama_cpp_sys_2 as sys;

use super::assert_same;
use super::blocks::{Random, random};
use crate::kernel::dispatch::available;
use crate::kernel::{BlockFormat, quantize_into};

const BLOCKS: usize = 200_000;

fn ggml(format: BlockFormat) -> sys::ggml_type {
    match format {
        BlockFormat::F32 => sys::GGML_TYPE_F32,
        BlockFormat::F16 => sys::GGML_TYPE_F16,
        BlockFormat::Bf16 => sys::GGML_TYPE_BF16,
        BlockFormat::Q4_0 => sys::GGML_TYPE_Q4_0,
        BlockFormat::Q4_1 => sys::GGML_TYPE_Q4_1,
        BlockFormat::Q5_0 => sys::GGML_TYPE_Q5_0,
        BlockFormat::Q5_1 => sys::GGML_TYPE_Q5_1,
        BlockFormat::Q8_0 => sys::GGML_TYPE_Q8_0,
        BlockFormat::Q2K => sys::GGML_TYPE_Q2_K,
        BlockFormat::Q3K => sys::GGML_TYPE_Q3_K,
        BlockFormat::Q4K => sys::GGML_TYPE_Q4_K,
        BlockFormat::Q5K => sys::GGML_TYPE_Q5_K,
        BlockFormat::Q6K => sys::GGML_TYPE_Q6_K,
        BlockFormat::Iq4Nl => sys::GGML_TYPE_IQ4_NL,
        BlockFormat::Iq4Xs => sys::GGML_TYPE_IQ4_XS,
        BlockFormat::Mxfp4 => sys::GGML_TYPE_MXFP4,
    }
}

fn traits(format: BlockFormat) -> sys::ggml_type_traits {
    // SAFETY: the type is one of ggml's; the table it points into is constant.
    unsafe { *sys::ggml_get_type_traits(ggml(format)) }
}

#[test]
fn sizes() {
    for format in BlockFormat::ALL {
        let traits = traits(format);
        assert_eq!(traits.blck_size as usize, format.block_elements(), "{format}");
        assert_eq!(traits.type_size, format.block_bytes(), "{format}");
        // SAFETY: the name is a constant C string.
        let name = unsafe { std::ffi::CStr::from_ptr(traits.type_name) };
        assert_eq!(name.to_str(), Ok(format.name()));
    }
}

#[test]
fn dequantizes_as_ggml() {
    for format in BlockFormat::ALL {
        // F32 has no such function, being what the others become.
        let Some(to_float) = traits(format).to_float else {
            assert_eq!(format, BlockFormat::F32);
            continue;
        };
        let bytes = random(format, BLOCKS, &mut Random(42));
        let mut expected = vec![0.0f32; BLOCKS * format.block_elements()];
        // SAFETY: both buffers hold so many blocks.
        unsafe { to_float(bytes.as_ptr().cast(), expected.as_mut_ptr(), expected.len() as i64) };
        for table in available() {
            let mut out = vec![0.0; expected.len()];
            table.decode[format as usize](&bytes, &mut out);
            assert_same(format, &out, &expected, &table.isa);
        }
    }
}

#[test]
fn quantizes_as_ggml() {
    let mut random = Random(17);
    let elements = BLOCKS * 32;
    let mut weights: Vec<f32> = (0..elements).map(|_| random.unit()).collect();
    for block in weights.chunks_exact_mut(32) {
        // Of every magnitude, with ties, zeros and equal numbers.
        let power = (random.below(36) as i32 - 20) as f32;
        match random.below(8) {
            0 => block.fill(block[0]),
            1 => block.iter_mut().for_each(|x| *x = (*x * 8.0).round() / 8.0),
            2 => block[random.below(32)] = 0.0,
            3 => block.fill(0.0),
            4 => block.iter_mut().for_each(|x| *x = x.abs()),
            _ => block.iter_mut().for_each(|x| *x *= power.exp2()),
        }
    }
    for format in [BlockFormat::Q8_0, BlockFormat::Q4_0, BlockFormat::Q4_1, BlockFormat::F16, BlockFormat::Bf16] {
        if matches!(format, BlockFormat::F16 | BlockFormat::Bf16) {
            weights.iter_mut().for_each(|x| *x = f32::from_bits(random.next() as u32));
        }
        let quantize = traits(format).from_float_ref.unwrap();
        let mut expected = vec![0u8; format.bytes(elements).unwrap()];
        let mut blocks = expected.clone();
        // SAFETY: both buffers hold so many weights.
        unsafe { quantize(weights.as_ptr(), expected.as_mut_ptr().cast(), elements as i64) };
        quantize_into(format, &weights, &mut blocks).unwrap();
        let differs =
            expected.chunks(format.block_bytes()).zip(blocks.chunks(format.block_bytes())).position(|(e, b)| e != b);
        assert_eq!(differs, None, "{format}: the first block that differs");
    }
}
