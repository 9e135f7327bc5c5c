//! Operations of a graph.

#![expect(unsafe_code, reason = "reads and writes the memory of ggml's tensors")]

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use llama_cpp_sys_2 as sys;

use super::attention::Attention;
use super::crew::{Crew, Ended, Output};
use super::packed::Matrix;
use crate::kernel::BlockFormat;
use crate::kernel::product::{Activations, Panels};
use crate::{Error, Result};

/// Columns are computed in parts, between which it is asked whether to give up: of so many multiplications, about the tenth of
/// a millisecond, so that threads end together however unlike they are.
const PART: usize = 4 << 20;
/// The columns of a part are a multiple of this.
const PANEL: usize = 16;

/// A product of a matrix of weights with rows of activations.
pub(super) struct Product<'a> {
    pub(super) matrix: Matrix,
    pub(super) rows: usize,
    weights: &'a sys::ggml_tensor,
    activations: NonNull<sys::ggml_tensor>,
}

impl<'a> Product<'a> {
    /// The product that an operation is, if all of it lies as ours are.
    pub(super) fn of(operation: &'a sys::ggml_tensor) -> Option<Self> {
        if operation.op != sys::GGML_OP_MUL_MAT {
            return None;
        }
        let (weights, activations) = (NonNull::new(operation.src[0])?, NonNull::new(operation.src[1])?);
        // SAFETY: the operands of an operation are tensors that live as long as it, and nobody writes to their heads meanwhile.
        let (weights, rows) = unsafe { (weights.as_ref(), activations.as_ref()) };
        let matrix = Matrix::of(weights)?;
        let (inputs, outputs) = (numbers(rows)?, numbers(operation)?);
        let fits = inputs.cols == matrix.cols && outputs.cols == matrix.rows && inputs.rows == outputs.rows;
        fits.then_some(Self { matrix, rows: inputs.rows, weights, activations })
    }

    /// Whether its weights are the model's own, of one of its layers. What is outside of these is used with few tokens only.
    pub(super) fn is_of_layer(&self) -> bool {
        let name = self.weights.name.map(|c| c as u8);
        let Some(buffer) = NonNull::new(self.weights.buffer) else { return false };
        // SAFETY: the buffer of a tensor lives as long as it.
        let (is_host, usage) = unsafe {
            (sys::ggml_backend_buffer_is_host(buffer.as_ptr()), sys::ggml_backend_buffer_get_usage(buffer.as_ptr()))
        };
        is_host && usage == sys::GGML_BACKEND_BUFFER_USAGE_WEIGHTS && name.starts_with(b"blk.")
    }
}

/// Rows of `f32` without gaps.
struct Numbers {
    rows: usize,
    cols: usize,
}

fn numbers(tensor: &sys::ggml_tensor) -> Option<Numbers> {
    let [cols, rows, 1, 1] = tensor.ne else { return None };
    let (rows, cols) = (usize::try_from(rows).ok()?, usize::try_from(cols).ok()?);
    let is_dense = tensor.nb[0] == size_of::<f32>() && tensor.nb[1] == cols.checked_mul(size_of::<f32>())?;
    (tensor.type_ == sys::GGML_TYPE_F32 && is_dense).then_some(Numbers { rows, cols })
}

/// Computes operations, each of which is attention or a product with one of such matrices, and counts products.
///
/// # Errors
///
/// `Internal` for an operation that is neither.
pub(super) fn compute<'a>(
    panels: &HashMap<Matrix, Arc<Panels>>,
    attention: &Attention,
    operations: impl Iterator<Item = &'a sys::ggml_tensor>,
    crew: &Crew<'_>,
    count: &AtomicU64,
) -> Result<Ended> {
    let mut last: Option<(NonNull<sys::ggml_tensor>, BlockFormat, Activations)> = None;
    attention.begin();
    for operation in operations.filter(|operation| !is_nothing(operation)) {
        let product = Product::of(operation).and_then(|product| panels.get(&product.matrix).map(|p| (product, p)));
        let Some((product, panels)) = product else {
            if attention.compute(operation, crew)? == Ended::GivenUp {
                return Ok(Ended::GivenUp);
            }
            continue;
        };
        let (tensor, format) = (product.activations, product.matrix.format);
        // Nobody writes to a tensor that is still read, so that the same one has the same numbers.
        let activations = match last.take() {
            Some((of, same, activations)) if of == tensor && same == format => activations,
            _ => quantized(&product)?,
        };
        if multiply(panels, &activations, operation, crew)? == Ended::GivenUp {
            return Ok(Ended::GivenUp);
        }
        count.fetch_add(1, Ordering::Relaxed);
        last = Some((tensor, format, activations));
    }
    if attention.is_whole() { Ok(Ended::Done) } else { Err(Error::internal("attention without its end")) }
}

/// Whether an operation only names a part of another one's result, or is not to be computed.
fn is_nothing(operation: &sys::ggml_tensor) -> bool {
    let is_view =
        [sys::GGML_OP_NONE, sys::GGML_OP_RESHAPE, sys::GGML_OP_VIEW, sys::GGML_OP_PERMUTE, sys::GGML_OP_TRANSPOSE]
            .contains(&operation.op);
    is_view || operation.flags & sys::GGML_TENSOR_FLAG_COMPUTE as i32 == 0
}

fn quantized(product: &Product<'_>) -> Result<Activations> {
    let (rows, cols) = (product.rows, product.matrix.cols);
    // SAFETY: the operand lives as long as its operation.
    let data = NonNull::new(unsafe { product.activations.as_ref() }.data);
    let data = data.ok_or_else(|| Error::internal("a product without activations"))?;
    // SAFETY: its numbers lie without gaps in host memory, so many of them, as `numbers` saw, computed before and written by
    // nobody meanwhile. ggml aligns what it computes.
    let values = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<f32>(), rows * cols) };
    Activations::quantize(product.matrix.format, values, rows, cols)
}

/// Writes a product, part by part.
fn multiply(
    panels: &Panels,
    activations: &Activations,
    operation: &sys::ggml_tensor,
    crew: &Crew<'_>,
) -> Result<Ended> {
    let to = Output::of(operation)?;
    let (columns, stride) = (panels.rows(), panels.rows());
    let of_column = activations.rows().saturating_mul(panels.cols()).max(1);
    let part = (PART / of_column / PANEL).max(1) * PANEL;
    crew.each(columns.div_ceil(part), |i| {
        let range = i * part..columns.min((i + 1) * part);
        // SAFETY: there is room for a row of `columns` numbers for each row of the activations, as `Product::of` saw, and this
        // range of them is nobody else's.
        unsafe { panels.multiply_at(activations, to.at(range.start), stride, range) }
    })
}
