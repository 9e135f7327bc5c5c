//! Operators that rten has.
//!
//! rten names the first one that it lacks, and only once it loads a model. So that all are named, and by `inspect` too, its list
//! stands here; a test holds it against rten. What the ONNX backend suite has found rten to answer otherwise than ONNX says is
//! refused here, too: a model that is refused goes to another runtime, an answer that is wrong goes to the app.

use crate::onnx::{Declared, Graph, Node};
use crate::{Error, Result};

/// Of the default domain. Those of random numbers are left out: the same question has the same answer.
#[rustfmt::skip]
pub(super) const STANDARD: &[&str] = &[
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "Attention",
    "AveragePool", "BatchNormalization", "BitCast", "Cast", "CastLike", "Ceil", "Clip", "Concat",
    "ConcatFromSequence", "Constant", "ConstantOfShape", "Conv", "ConvInteger", "ConvTranspose", "Cos", "Cosh",
    "CumSum", "DFT", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum", "Elu", "Equal",
    "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND", "Gelu",
    "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample", "HardSigmoid",
    "HardSwish", "Identity", "If", "InstanceNormalization", "IsInf", "IsNaN", "LSTM", "LayerNormalization",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "Loop", "LpNormalization", "MatMul", "MatMulInteger",
    "Max", "MaxPool", "Mean", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot", "Or",
    "PRelu", "Pad", "Pow", "QuantizeLinear", "RMSNormalization", "Range", "Reciprocal", "ReduceL1", "ReduceL2",
    "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "ReverseSequence", "RotaryEmbedding", "Round", "STFT", "Scatter",
    "ScatterElements", "ScatterND", "SequenceAt", "SequenceConstruct", "SequenceEmpty",
    "SequenceInsert", "SequenceLength", "Shape", "Sigmoid", "SimplifiedLayerNormalization", "Sin", "Sinh",
    "Size", "Slice", "Softmax", "Softplus", "Softsign", "Split", "SplitToSequence", "Sqrt", "Squeeze", "Sub", "Sum",
    "Swish", "Tan", "Tanh", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where", "Xor",
];

/// Of `com.microsoft`.
#[rustfmt::skip]
pub(super) const MICROSOFT: &[&str] = &[
    "BiasGelu", "DynamicQuantizeLSTM", "FastGelu", "Gelu", "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention",
    "QuickGelu", "RotaryEmbedding", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
];

/// Those that rten reads and answers otherwise than ONNX says, and how.
pub(super) const WRONG: &[(&str, &str)] = &[
    ("ArgMax", "of equal values it takes the last one"),
    ("ArgMin", "of equal values it takes the last one"),
    ("NonMaxSuppression", "boxes of one class suppress those of another"),
    ("SequenceErase", "it erases another element"),
    ("Sign", "of zero it is one"),
];

/// Refuses a model with operators that rten has not, or has otherwise than ONNX, and names them.
pub(super) fn check(declared: &Declared, graph: &Graph<'_>) -> Result<()> {
    let used = || declared.operators.iter().map(String::as_str);
    let wrong = |name: &str| WRONG.iter().find(|(wrong, _)| *wrong == name);
    let foreign: Vec<&str> = used().filter(|operator| !knows(operator) && wrong(operator).is_none()).collect();
    if !foreign.is_empty() {
        return Err(Error::unsupported(format!("rten has no operator {}", foreign.join(", "))));
    }
    if let Some((name, how)) = used().find_map(wrong) {
        return Err(Error::unsupported(format!("rten computes {name} otherwise than ONNX says: {how}")));
    }
    check_resize(declared, graph)?;
    if let Some(node) = graph.nodes.iter().find(|node| node.text("auto_pad") == b"SAME_LOWER") {
        let (name, op) = (node.name, node.op);
        return Err(Error::unsupported(format!("node '{name}': rten has no {op} with auto_pad SAME_LOWER")));
    }
    graph.nodes.iter().filter(|node| node.is("ConvInteger")).try_for_each(check_padding)?;
    graph.nodes.iter().filter(|node| node.is("Dropout")).try_for_each(|node| check_dropout(node, graph.opset))
}

/// rten resizes by cubic curves as it does linearly.
fn check_resize(declared: &Declared, graph: &Graph<'_>) -> Result<()> {
    let mut resized = graph.nodes.iter().filter(|node| node.is("Resize")).peekable();
    if declared.operators.contains("Resize") && resized.peek().is_none() {
        return Err(Error::unsupported("a Resize in a sub-graph, whose mode nobody has looked at for rten"));
    }
    match resized.find(|node| node.text("mode") == b"cubic") {
        Some(node) => Err(Error::unsupported(format!("node '{}': rten has no Resize of mode cubic", node.name))),
        None => Ok(()),
    }
}

/// rten pads bytes with 0, where ONNX means the byte that stands for zero.
fn check_padding(node: &Node<'_>) -> Result<()> {
    let is_padded = node.ints("pads").iter().any(|pad| *pad != 0) || node.text("auto_pad").starts_with(b"SAME");
    let has_zero_point = node.inputs.get(2).is_some_and(|input| !input.is_empty());
    match is_padded && has_zero_point {
        true => Err(Error::unsupported(format!("node '{}': rten pads a ConvInteger with another zero", node.name))),
        false => Ok(()),
    }
}

/// Dropout is the identity but in training.
fn check_dropout(node: &Node<'_>, opset: i64) -> Result<()> {
    let may_train =
        if opset < 7 { node.int("is_test", 0) == 0 } else { node.inputs.get(2).is_some_and(|i| !i.is_empty()) };
    match may_train {
        true => Err(Error::unsupported(format!("node '{}': rten has no Dropout that may be in training", node.name))),
        false => Ok(()),
    }
}

fn knows(operator: &str) -> bool {
    match operator.rsplit_once(':') {
        Some(("com.microsoft", name)) => MICROSOFT.contains(&name),
        Some(_) => false,
        None => STANDARD.contains(&operator),
    }
}
