//! Integer weights as ONNX files hold them: `DequantizeLinear`, and the blocks of `MatMulNBits`.

mod linear;
mod nbits;

pub use linear::{Ints, Linear, Per, dequantize_linear_f16_into, dequantize_linear_into, dequantize_linear_range_into};
pub use nbits::{NBits, Order};
