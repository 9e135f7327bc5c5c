//! Operators that tract computes as ONNX defines them.
//!
//! tract looks an operator up by its name alone, so a `custom:Add` would run as ONNX's Add, and
//! `com.microsoft:Attention` as the unrelated `ai.onnx:Attention`. What counts here is domain and name.

pub(super) mod bounded;
pub(super) mod byte_matmul;
mod equal;
mod gather;
mod if_else;
mod integer_matmul;
mod wrap;

use std::sync::Arc;

use tract_onnx::model::Onnx;
use tract_onnx::prelude::{TypedModel, TypedNode};

use crate::kernel::int8::Weights;
use crate::onnx::Declared;
use crate::{Error, Result};
use byte_matmul::ScaledProduct;
use integer_matmul::Product;
use wrap::stock;

/// The contrib operators of ONNX Runtime that tract reads with their own meaning.
const MICROSOFT: &[&str] = &[
    "BiasGelu",
    "FastGelu",
    "GatherBlockQuantized",
    "Gelu",
    "GroupQueryAttention",
    "MatMulNBits",
    "MultiHeadAttention",
    "QuickGelu",
    "RotaryEmbedding",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
];

/// The operators of classical machine learning that tract has. Its TreeEnsembleClassifier is not
/// among them: it follows the file's feature and class numbers unchecked, out of bounds if they say so.
const ML: &[&str] = &["ArrayFeatureExtractor", "CategoryMapper", "LinearClassifier", "LinearRegressor", "Normalizer"];

/// The reader with our own `If`, `Equal`, products of integers and bounds, blind to the shapes a file claims for its inner values:
/// they are derived from the inputs, and symbols in them do not unify with numbers.
pub(super) fn reader() -> Onnx {
    let mut onnx = stock().clone().with_ignore_value_info(true).with_ignore_output_shapes(true);
    onnx.op_register.insert("If", if_else::parse);
    bounded::register(&mut onnx.op_register);
    byte_matmul::register(&mut onnx.op_register);
    equal::register(&mut onnx.op_register);
    gather::register(&mut onnx.op_register);
    integer_matmul::register(&mut onnx.op_register);
    onnx
}

/// The packed weights of a graph's operators, for plans to count and to share.
pub(super) fn packed_weights(model: &mut TypedModel) -> impl Iterator<Item = &mut Arc<Weights>> {
    fn of_node(node: &mut TypedNode) -> Option<&mut Arc<Weights>> {
        if node.op_is::<Product>() {
            return node.op_as_mut::<Product>().map(|product| &mut product.weights);
        }
        node.op_as_mut::<ScaledProduct>().map(|product| &mut product.weights)
    }
    model.nodes.iter_mut().filter_map(of_node)
}

/// Refuses a model with operators that tract cannot compute, and names them.
pub(super) fn check(declared: &Declared) -> Result<()> {
    let foreign: Vec<&str> =
        declared.operators.iter().map(String::as_str).filter(|operator| !knows(operator)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(format!("tract has no operator {}", foreign.join(", "))))
}

fn knows(operator: &str) -> bool {
    match operator.rsplit_once(':') {
        Some(("ai.onnx.ml", name)) => ML.contains(&name),
        Some(("com.microsoft", name)) => MICROSOFT.contains(&name) && has(name),
        Some(_) => false,
        // The names of ai.onnx.ml mean nothing in the default domain.
        None if ML.contains(&operator) || operator == "TreeEnsembleClassifier" => false,
        None => has(operator),
    }
}

/// Whether this build of tract has it: those of attention are of the feature `tract-transformers`.
fn has(name: &str) -> bool {
    stock().op_register.0.contains_key(name)
}
