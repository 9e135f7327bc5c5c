//! Layers of GPTQ and AWQ checkpoints: several tensors of a file that are one matrix.

use super::file::WeightFile;
use super::tensor_type::TensorType;
use super::tensors::TensorEntry;
use crate::kernel::gptq::{Awq, Gptq, ZeroPoints};
use crate::{Error, Result};

/// Weights in a word of 32 bits.
const EIGHT: usize = 8;

impl WeightFile {
    /// A 4-bit layer of a GPTQ checkpoint, by the name that its tensors share: `<layer>.qweight`, `.qzeros`, `.scales`,
    /// and `.g_idx` where inputs were reordered.
    ///
    /// What zero points stand for is not in the tensors: see [`ZeroPoints`].
    ///
    /// # Errors
    ///
    /// `NotFound` for a tensor that is not there; `InvalidArgument` where types or shapes are not those of a
    /// layer of 4 bits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use selvedge::kernel::gptq::ZeroPoints;
    /// use selvedge::{Loading, weights::WeightFile};
    /// let file = WeightFile::open("model.safetensors", Loading::Mapped)?;
    /// let layer = file.gptq("model.layers.0.self_attn.q_proj", ZeroPoints::LessOne)?;
    /// let mut weights = vec![0.0; layer.inputs * layer.outputs];
    /// layer.dequantize_into(0, &mut weights)?;
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn gptq(&self, layer: &str, zero_points: ZeroPoints) -> Result<Gptq<'_>> {
        let parts = Parts::of(self, layer)?;
        let [words, outputs] = matrix(&parts.qweight, TensorType::I32)?;
        let inputs = words * EIGHT;
        let group = parts.group(inputs, outputs)?;
        let g_idx = match self.get(&format!("{layer}.g_idx")) {
            Some(tensor) => {
                shaped(&tensor, TensorType::I32, &[inputs])?;
                Some(tensor.bytes())
            }
            None => None,
        };
        let Parts { qweight, qzeros, scales } = parts;
        let (qweight, qzeros, scales) = (qweight.bytes(), qzeros.bytes(), scales.bytes());
        Ok(Gptq { inputs, outputs, group, qweight, qzeros, scales, g_idx, zero_points })
    }

    /// A 4-bit layer of an AWQ checkpoint (the "GEMM" layout), by the name that its tensors share: `<layer>.qweight`,
    /// `.qzeros`, `.scales`.
    ///
    /// # Errors
    ///
    /// As [`WeightFile::gptq`].
    pub fn awq(&self, layer: &str) -> Result<Awq<'_>> {
        let parts = Parts::of(self, layer)?;
        let [inputs, words] = matrix(&parts.qweight, TensorType::I32)?;
        let outputs = words * EIGHT;
        let group = parts.group(inputs, outputs)?;
        let Parts { qweight, qzeros, scales } = parts;
        let (qweight, qzeros, scales) = (qweight.bytes(), qzeros.bytes(), scales.bytes());
        Ok(Awq { inputs, outputs, group, qweight, qzeros, scales })
    }
}

/// What both kinds have.
struct Parts<'f> {
    qweight: TensorEntry<'f>,
    qzeros: TensorEntry<'f>,
    scales: TensorEntry<'f>,
}

impl<'f> Parts<'f> {
    fn of(file: &'f WeightFile, layer: &str) -> Result<Self> {
        let part = |name: &str| file.tensor(&format!("{layer}.{name}"));
        Ok(Self { qweight: part("qweight")?, qzeros: part("qzeros")?, scales: part("scales")? })
    }

    /// Inputs that share scales: all groups but the last have as many.
    fn group(&self, inputs: usize, outputs: usize) -> Result<usize> {
        let [groups, _] = matrix(&self.scales, TensorType::F16)?;
        shaped(&self.scales, TensorType::F16, &[groups, outputs])?;
        shaped(&self.qzeros, TensorType::I32, &[groups, outputs / EIGHT])?;
        let group = inputs.div_ceil(groups.max(1));
        if group == 0 || inputs.div_ceil(group) != groups {
            let name = self.scales.name();
            return Err(Error::invalid(format!("tensor '{name}': {inputs} inputs do not make {groups} groups")));
        }
        Ok(group)
    }
}

fn matrix(tensor: &TensorEntry<'_>, expected: TensorType) -> Result<[usize; 2]> {
    match **tensor.shape() {
        [rows, columns] if tensor.tensor_type() == expected => Ok([rows, columns]),
        _ => Err(Error::invalid(format!(
            "tensor '{}': expected a matrix of {expected}, got {} {}",
            tensor.name(),
            tensor.tensor_type(),
            tensor.shape()
        ))),
    }
}

fn shaped(tensor: &TensorEntry<'_>, element: TensorType, shape: &[usize]) -> Result<()> {
    if tensor.tensor_type() == element && **tensor.shape() == *shape {
        return Ok(());
    }
    let (name, got) = (tensor.name(), tensor.tensor_type());
    Err(Error::invalid(format!("tensor '{name}': expected {element} {shape:?}, got {got} {}", tensor.shape())))
}
