//! Shapes of the values that a node gives, from those that it reads.
//!
//! Only the operators that large values come from, and those that exporters compute shapes with. What another operator
//! gives is taken to be as large as the largest of what it reads.

use super::super::graph::Node;
use super::super::tensor::element_bits;
use super::values::{MAX_INTS, Value, Values, count};

type Dims = Vec<u64>;

/// The first output of a node; `None` for a shape that is not known.
pub(super) fn infer(node: &Node<'_>, values: &Values<'_>) -> Option<Dims> {
    let dims = |slot: usize| values.dims(node.inputs.get(slot)?);
    let ints = |slot: usize| values.ints(node.inputs.get(slot)?);
    match node.op {
        "Conv" | "ConvInteger" => conv(node, dims(0)?, dims(1)?),
        "QLinearConv" => conv(node, dims(0)?, dims(3)?),
        "ConvTranspose" => conv_transpose(node, dims(0)?, dims(1)?),
        "MaxPool" | "AveragePool" | "LpPool" => pool(node, dims(0)?),
        "GlobalAveragePool" | "GlobalMaxPool" | "QLinearGlobalAveragePool" => {
            let dims = dims(0)?;
            Some(dims.iter().enumerate().map(|(i, d)| if i < 2 { *d } else { 1 }).collect())
        }
        "MatMul" | "MatMulInteger" => matmul(dims(0)?, dims(1)?),
        "QLinearMatMul" => matmul(dims(0)?, dims(3)?),
        "Gemm" => gemm(node, dims(0)?, dims(1)?),
        "Concat" => concat(node, values),
        "Resize" | "Upsample" => resize(node, dims(0)?, values),
        "Transpose" => transpose(node, dims(0)?),
        "Reshape" => reshape(dims(0)?, ints(1)?),
        "Flatten" => flatten(node, dims(0)?),
        "Squeeze" => squeeze(dims(0)?, axes(node, ints(1), dims(0)?.len())),
        "Unsqueeze" => {
            let rank = dims(0)?.len() + given(node, ints(1)).len();
            unsqueeze(dims(0)?, axes(node, ints(1), rank))
        }
        "ArgMax" | "ArgMin" => reduce(node, dims(0)?, vec![axis(node.int("axis", 0), dims(0)?.len())?]),
        op if op.starts_with("Reduce") => reduce(node, dims(0)?, axes(node, ints(1), dims(0)?.len())),
        "Pad" => pad(node, dims(0)?, ints(1)),
        "Slice" => slice(node, dims(0)?, values),
        "Split" => split(node, dims(0)?, ints(1)),
        "Gather" => gather(node, dims(0)?, dims(1)?),
        "Expand" => {
            let to: Dims = ints(1)?.iter().map(|d| (*d).max(0) as u64).collect();
            broadcast(dims(0)?, &to)
        }
        "ConstantOfShape" => Some(ints(0)?.iter().map(|d| (*d).max(0) as u64).collect()),
        "Shape" => Some(vec![shape_part(node, dims(0)?)?.len() as u64]),
        "LSTM" | "GRU" | "RNN" => recurrent(node, dims(0)?),
        "Where" => broadcast(&broadcast(dims(0)?, dims(1)?)?, dims(2)?),
        "PRelu" | "BatchNormalization" | "Clip" | "LayerNormalization" | "QuantizeLinear" | "DequantizeLinear" => {
            Some(dims(0)?.to_vec())
        }
        op if is_broadcast(op) => {
            let mut all = node.inputs.iter().map(|name| values.dims(name));
            let first = all.next()??.to_vec();
            all.try_fold(first, |so_far, dims| broadcast(&so_far, dims?))
        }
        _ => largest(node, values),
    }
}

fn is_broadcast(op: &str) -> bool {
    const OPS: &[&str] = &[
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Max",
        "Min",
        "Sum",
        "Mean",
        "Mod",
        "And",
        "Or",
        "Xor",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
    ];
    OPS.contains(&op)
}

/// Bits of an element of what a node gives.
pub(super) fn bits(node: &Node<'_>, values: &Values<'_>) -> u32 {
    let of = |slot: usize| node.inputs.get(slot).and_then(|name| values.get(name)).map_or(32, |value| value.bits);
    match node.op {
        "Cast" => element_bits(node.int("to", 1)).unwrap_or(32),
        "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" => 64,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Not" | "IsNaN" => 8,
        "QuantizeLinear" | "DynamicQuantizeLinear" | "QLinearConv" | "QLinearMatMul" => 8,
        "DequantizeLinear" | "MatMulInteger" | "ConvInteger" | "MatMulNBits" => 32,
        "Where" => of(1),
        _ => of(0),
    }
}

/// The numbers of a short list that a node gives, where exporters compute shapes.
pub(super) fn numbers(node: &Node<'_>, values: &Values<'_>) -> Option<Vec<i64>> {
    let ints = |slot: usize| values.ints(node.inputs.get(slot)?);
    let found: Vec<i64> = match node.op {
        "Shape" => shape_part(node, values.dims(node.inputs.first()?)?)?.iter().map(|d| *d as i64).collect(),
        "Cast" | "Identity" | "Squeeze" | "Unsqueeze" | "Reshape" => ints(0)?.to_vec(),
        "Gather" => {
            let from = ints(0)?;
            let pick =
                |i: &i64| from.get(usize::try_from(if *i < 0 { i + from.len() as i64 } else { *i }).ok()?).copied();
            ints(1)?.iter().map(pick).collect::<Option<_>>()?
        }
        "Concat" => {
            let parts = node.inputs.iter().take(MAX_INTS + 1).map(|name| values.ints(name));
            parts.collect::<Option<Vec<&[i64]>>>()?.concat()
        }
        "Slice" => {
            let (start, end) = (ints(1).unwrap_or(node.ints("starts")), ints(2).unwrap_or(node.ints("ends")));
            let from = ints(0)?;
            let at = |i: i64| (if i < 0 { i.saturating_add(from.len() as i64) } else { i }).clamp(0, from.len() as i64);
            from.get(at(*start.first()?) as usize..at(*end.first()?) as usize)?.to_vec()
        }
        "Add" | "Sub" | "Mul" | "Div" => {
            let (a, b) = (ints(0)?, ints(1)?);
            let of = |a: i64, b: i64| match node.op {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                _ => a.checked_div(b),
            };
            let count = a.len().max(b.len());
            let each = |list: &[i64], i: usize| list.get(if list.len() == 1 { 0 } else { i }).copied();
            (0..count).map(|i| of(each(a, i)?, each(b, i)?)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (found.len() <= MAX_INTS).then_some(found)
}

/// The dimensions that a `Shape` gives: since operator set 15 it may be told where to begin and end.
fn shape_part<'v>(node: &Node<'_>, dims: &'v [u64]) -> Option<&'v [u64]> {
    let rank = dims.len() as i64;
    let at = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    dims.get(at(node.int("start", 0))..at(node.int("end", rank)))
}

/// The dimensions of the largest value that a node reads.
pub(super) fn largest(node: &Node<'_>, values: &Values<'_>) -> Option<Dims> {
    let read = node.inputs.iter().filter_map(|name| values.get(name));
    let largest = read.max_by_key(|value: &&Value| (!value.constant, value.bytes()));
    largest.and_then(|value| value.dims.clone())
}

fn broadcast(a: &[u64], b: &[u64]) -> Option<Dims> {
    let rank = a.len().max(b.len());
    let at = |dims: &[u64], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    Some((0..rank).map(|i| if at(a, i) == 1 { at(b, i) } else { at(a, i) }).collect())
}

/// An axis counted from the front.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}

/// The axes that an attribute, or later an input, gives.
fn given<'v>(node: &'v Node<'_>, input: Option<&'v [i64]>) -> &'v [i64] {
    let axes = input.unwrap_or(node.ints("axes"));
    &axes[..axes.len().min(MAX_INTS)]
}

fn axes(node: &Node<'_>, input: Option<&[i64]>, rank: usize) -> Vec<usize> {
    given(node, input).iter().filter_map(|a| axis(*a, rank)).collect()
}

/// A number of a list attribute, or what the operator takes without it.
fn nth(list: &[i64], i: usize, default: u64) -> u64 {
    list.get(i).map_or(default, |n| u64::try_from(*n).unwrap_or(0))
}

/// Positions of a window along one axis.
fn windows(node: &Node<'_>, i: usize, rank: usize, size: u64, kernel: u64) -> u64 {
    let stride = nth(node.ints("strides"), i, 1).max(1);
    if node.text("auto_pad").starts_with(b"SAME") {
        return size.div_ceil(stride);
    }
    let pads = node.ints("pads");
    let pad = nth(pads, i, 0).saturating_add(nth(pads, i + rank, 0));
    let reach = kernel.saturating_sub(1).saturating_mul(nth(node.ints("dilations"), i, 1)).saturating_add(1);
    let room = size.saturating_add(pad).saturating_sub(reach);
    let steps = if node.int("ceil_mode", 0) == 1 { room.div_ceil(stride) } else { room / stride };
    steps.saturating_add(1)
}

fn conv(node: &Node<'_>, x: &[u64], w: &[u64]) -> Option<Dims> {
    let rank = x.len().checked_sub(2)?;
    let mut dims = vec![*x.first()?, *w.first()?];
    for i in 0..rank {
        dims.push(windows(node, i, rank, x[i + 2], *w.get(i + 2)?));
    }
    Some(dims)
}

fn pool(node: &Node<'_>, x: &[u64]) -> Option<Dims> {
    let rank = x.len().checked_sub(2)?;
    let kernel = node.ints("kernel_shape");
    let spatial = (0..rank).map(|i| windows(node, i, rank, x[i + 2], nth(kernel, i, 1)));
    Some(x[..2].iter().copied().chain(spatial).collect())
}

fn conv_transpose(node: &Node<'_>, x: &[u64], w: &[u64]) -> Option<Dims> {
    let rank = x.len().checked_sub(2)?;
    let groups = u64::try_from(node.int("group", 1)).ok()?;
    let mut dims = vec![*x.first()?, w.get(1)?.saturating_mul(groups)];
    for i in 0..rank {
        let stride = nth(node.ints("strides"), i, 1);
        let pads = node.ints("pads");
        let pad = nth(pads, i, 0).saturating_add(nth(pads, i + rank, 0));
        let reach = (w.get(i + 2)?.saturating_sub(1)).saturating_mul(nth(node.ints("dilations"), i, 1));
        let size = stride.saturating_mul(x[i + 2].saturating_sub(1)).saturating_add(reach).saturating_add(1);
        let size = size.saturating_add(nth(node.ints("output_padding"), i, 0)).saturating_sub(pad);
        dims.push(if node.text("auto_pad").starts_with(b"SAME") { x[i + 2].saturating_mul(stride) } else { size });
    }
    Some(dims)
}

fn matmul(a: &[u64], b: &[u64]) -> Option<Dims> {
    let (a_rows, b_columns) = (a.len().checked_sub(2), b.len().checked_sub(2));
    let batch = broadcast(&a[..a_rows.unwrap_or(0)], &b[..b_columns.unwrap_or(0)])?;
    let rows = a_rows.map(|i| a[i]);
    let columns = b_columns.map(|i| b[i + 1]);
    Some(batch.into_iter().chain(rows).chain(columns).collect())
}

fn gemm(node: &Node<'_>, a: &[u64], b: &[u64]) -> Option<Dims> {
    let rows = a.get(usize::from(node.int("transA", 0) != 0))?;
    Some(vec![*rows, *b.get(usize::from(node.int("transB", 0) == 0))?])
}

fn concat(node: &Node<'_>, values: &Values<'_>) -> Option<Dims> {
    let mut dims = values.dims(node.inputs.first()?)?.to_vec();
    let axis = axis(node.int("axis", 0), dims.len())?;
    for name in &node.inputs[1..] {
        dims[axis] = dims[axis].saturating_add(*values.dims(name)?.get(axis)?);
    }
    Some(dims)
}

/// Sizes are the last input; scales, which are floats, the one before or the attribute.
fn resize(node: &Node<'_>, x: &[u64], values: &Values<'_>) -> Option<Dims> {
    if let Some(sizes) = node.inputs.get(3).and_then(|name| values.ints(name)) {
        return Some(sizes.iter().map(|d| (*d).max(0) as u64).collect());
    }
    let slot = if node.inputs.len() > 2 { 2 } else { 1 };
    let scales = values.get(node.inputs.get(slot)?)?.floats.as_deref()?;
    let scaled = |(d, scale): (&u64, &f32)| (*d as f64 * f64::from(*scale)).max(0.0) as u64;
    (scales.len() == x.len()).then(|| x.iter().zip(scales).map(scaled).collect())
}

fn transpose(node: &Node<'_>, x: &[u64]) -> Option<Dims> {
    let perm = node.ints("perm");
    if perm.is_empty() {
        return Some(x.iter().rev().copied().collect());
    }
    perm.iter().map(|i| x.get(usize::try_from(*i).ok()?).copied()).collect()
}

fn reshape(x: &[u64], to: &[i64]) -> Option<Dims> {
    let kept = |(i, d): (usize, &i64)| match *d {
        0 => x.get(i).copied(),
        -1 => Some(1),
        d => u64::try_from(d).ok(),
    };
    let mut dims = to.iter().enumerate().map(kept).collect::<Option<Dims>>()?;
    if let Some(open) = to.iter().position(|d| *d == -1) {
        dims[open] = count(x).checked_div(count(&dims))?;
    }
    Some(dims)
}

fn flatten(node: &Node<'_>, x: &[u64]) -> Option<Dims> {
    let at = node.int("axis", 1);
    let at = usize::try_from(if at < 0 { at.checked_add(x.len() as i64)? } else { at }).ok()?;
    let (front, back) = x.split_at_checked(at)?;
    Some(vec![count(front), count(back)])
}

fn squeeze(x: &[u64], axes: Vec<usize>) -> Option<Dims> {
    let gone = |i: usize, d: u64| if axes.is_empty() { d == 1 } else { axes.contains(&i) };
    Some(x.iter().enumerate().filter(|(i, d)| !gone(*i, **d)).map(|(_, d)| *d).collect())
}

fn unsqueeze(x: &[u64], axes: Vec<usize>) -> Option<Dims> {
    let mut left = x.iter().copied();
    let rank = x.len() + axes.len();
    Some((0..rank).map(|i| if axes.contains(&i) { 1 } else { left.next().unwrap_or(1) }).collect())
}

fn reduce(node: &Node<'_>, x: &[u64], axes: Vec<usize>) -> Option<Dims> {
    let reduced = |i: usize| axes.is_empty() || axes.contains(&i);
    let keep = node.int("keepdims", 1) != 0;
    let kept = |(i, d): (usize, &u64)| match (reduced(i), keep) {
        (false, _) => Some(*d),
        (true, true) => Some(1),
        (true, false) => None,
    };
    Some(x.iter().enumerate().filter_map(kept).collect())
}

fn pad(node: &Node<'_>, x: &[u64], input: Option<&[i64]>) -> Option<Dims> {
    let pads = input.unwrap_or(node.ints("pads"));
    let both = |i: usize| pads.get(i)?.checked_add(*pads.get(i + x.len())?);
    x.iter().enumerate().map(|(i, d)| d.checked_add_signed(both(i)?)).collect()
}

fn slice(node: &Node<'_>, x: &[u64], values: &Values<'_>) -> Option<Dims> {
    let ints = |slot: usize| node.inputs.get(slot).and_then(|name| values.ints(name));
    let (starts, ends) = (ints(1).unwrap_or(node.ints("starts")), ints(2).unwrap_or(node.ints("ends")));
    let along = ints(3).unwrap_or(node.ints("axes"));
    let mut dims = x.to_vec();
    for (i, (start, end)) in starts.iter().zip(ends).enumerate() {
        let at = axis(along.get(i).copied().unwrap_or(i as i64), x.len())?;
        let step = ints(4).and_then(|steps| steps.get(i)).copied().unwrap_or(1);
        let size = i64::try_from(x[at]).ok()?;
        let place = |i: i64| (if i < 0 { i.saturating_add(size) } else { i }).clamp(0, size);
        let reach = if step < 0 { place(*start) - place(*end) } else { place(*end) - place(*start) };
        dims[at] = (reach.max(0) as u64).div_ceil(step.unsigned_abs().max(1));
    }
    Some(dims)
}

fn split(node: &Node<'_>, x: &[u64], input: Option<&[i64]>) -> Option<Dims> {
    let at = axis(node.int("axis", 0), x.len())?;
    let parts = input.unwrap_or(node.ints("split"));
    let mut dims = x.to_vec();
    // The largest: they are told apart by nobody who reads an estimate.
    let even = x[at].div_ceil(node.outputs.len().max(1) as u64);
    dims[at] = parts.iter().take(MAX_INTS).max().map_or(even, |n| (*n).max(0) as u64);
    Some(dims)
}

fn gather(node: &Node<'_>, x: &[u64], indices: &[u64]) -> Option<Dims> {
    let at = axis(node.int("axis", 0), x.len())?;
    Some([&x[..at], indices, &x[at + 1..]].concat())
}

fn recurrent(node: &Node<'_>, x: &[u64]) -> Option<Dims> {
    let directions = if node.text("direction") == b"bidirectional" { 2 } else { 1 };
    let hidden = u64::try_from(node.int("hidden_size", 1)).ok()?;
    Some(vec![*x.first()?, directions, *x.get(1)?, hidden])
}
