//! SmolLM2 made wide enough for blocks of 256 weights, in any format that ggml quantizes to.
//!
//! Its 576 channels and 9 heads become 768 and 12, those added with weights of zero. Norms divide by the root of three quarters of
//! the mean then, so their weights are multiplied by it: the model computes what it did, and all its matrices but for zeros
//! are real ones.

#![expect(unsafe_code, reason = "quantizes by ggml")]

use std::path::{Path, PathBuf};

use llama_cpp_sys_2 as sys;
use selvedge::Loading;
use selvedge::kernel::{BlockFormat, dequantize_into};
use selvedge::weights::{GgufWriter, TensorType, WeightFile};

/// From its dimensions to ours; others stay.
const DIMENSIONS: [(usize, usize); 2] = [(576, 768), (192, 256)];
const SHARE: f32 = 0.75;

/// The model with the matrices of its layers in a format, and the same weights as plain numbers.
pub(crate) struct Padded {
    pub(crate) quantized: PathBuf,
    pub(crate) plain: PathBuf,
}

impl Padded {
    pub(crate) fn write(path: &Path, format: BlockFormat, folder: &Path) -> Self {
        let model = WeightFile::open(path, Loading::Mapped).expect("a model");
        let tensors: Vec<Tensor> = model.tensors().map(|tensor| Tensor::of(&tensor, format)).collect();
        let [quantized, plain] = [("quantized", false), ("plain", true)].map(|(name, plain)| {
            let to = folder.join(format!("{format}-{name}.gguf"));
            write(&model, &tensors, plain, &to);
            to
        });
        Self { quantized, plain }
    }
}

struct Tensor {
    name: String,
    shape: Vec<usize>,
    format: BlockFormat,
    blocks: Vec<u8>,
    is_of_layer: bool,
}

impl Tensor {
    fn of(tensor: &selvedge::weights::TensorEntry<'_>, format: BlockFormat) -> Self {
        let mut weights = vec![0.0; tensor.shape().elements()];
        tensor.dequantize_into(&mut weights).expect("blocks");
        let from: Vec<usize> = tensor.shape().iter().copied().collect();
        let shape: Vec<usize> = from.iter().map(|dim| padded(*dim)).collect();
        let (name, is_matrix) = (tensor.name().to_owned(), shape.len() == 2);
        if !is_matrix {
            weights.iter_mut().for_each(|weight| *weight *= SHARE.sqrt());
        }
        let (cols, cols_then) = (*shape.last().expect("a dimension"), *from.last().expect("a dimension"));
        let mut wide = vec![0.0; shape.iter().product()];
        for (row, wide) in weights.chunks_exact(cols_then).zip(wide.chunks_exact_mut(cols)) {
            wide[..cols_then].copy_from_slice(row);
        }
        let is_of_layer = name.starts_with("blk.") && is_matrix;
        let format = match (is_of_layer, is_matrix) {
            (true, _) => format,
            (false, true) => BlockFormat::Q8_0,
            (false, false) => BlockFormat::F32,
        };
        let blocks = quantized(format, &wide, cols);
        Self { name, shape, format, blocks, is_of_layer }
    }
}

fn padded(dim: usize) -> usize {
    DIMENSIONS.iter().find(|(from, _)| *from == dim).map_or(dim, |(_, to)| *to)
}

fn quantized(format: BlockFormat, weights: &[f32], cols: usize) -> Vec<u8> {
    if format == BlockFormat::F32 {
        return bytemuck::cast_slice(weights).to_vec();
    }
    let kind = match format {
        BlockFormat::Q4_0 => sys::GGML_TYPE_Q4_0,
        BlockFormat::Q4_1 => sys::GGML_TYPE_Q4_1,
        BlockFormat::Q8_0 => sys::GGML_TYPE_Q8_0,
        BlockFormat::Q4K => sys::GGML_TYPE_Q4_K,
        BlockFormat::Q5K => sys::GGML_TYPE_Q5_K,
        BlockFormat::Q6K => sys::GGML_TYPE_Q6_K,
        other => unreachable!("{other} is not measured"),
    };
    let mut blocks = vec![0; format.bytes(weights.len()).expect("whole blocks")];
    let rows = (weights.len() / cols) as i64;
    // SAFETY: so many weights are there, and room for their blocks; none of these formats needs a matrix of importance.
    let written = unsafe {
        sys::ggml_quantize_chunk(
            kind,
            weights.as_ptr(),
            blocks.as_mut_ptr().cast(),
            0,
            rows,
            cols as i64,
            std::ptr::null(),
        )
    };
    assert_eq!(written, blocks.len());
    blocks
}

fn write(model: &WeightFile, tensors: &[Tensor], plain: bool, to: &Path) {
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter() {
        writer.set(key, value).expect("a key");
    }
    let epsilon = "llama.attention.layer_norm_rms_epsilon";
    let real = model.metadata().real(epsilon).expect("a number").expect("a norm has one");
    writer.set(epsilon, real as f32 * SHARE).expect("a key");
    for (key, number) in [("embedding_length", 768u32), ("attention.head_count", 12), ("attention.head_count_kv", 4)] {
        writer.set(&format!("llama.{key}"), number).expect("a key");
    }
    let format = |tensor: &Tensor| if plain && tensor.is_of_layer { BlockFormat::F32 } else { tensor.format };
    for tensor in tensors {
        writer.tensor(&tensor.name, &tensor.shape, TensorType::from(format(tensor))).expect("a tensor");
    }
    let mut data = writer.create(to).expect("a file");
    for tensor in tensors {
        if format(tensor) == tensor.format {
            data.write(&tensor.blocks).expect("room");
            continue;
        }
        let mut weights = vec![0.0; tensor.shape.iter().product()];
        dequantize_into(tensor.format, &tensor.blocks, &mut weights).expect("blocks");
        data.write(bytemuck::cast_slice(&weights)).expect("room");
    }
    data.finish().expect("written");
}
