//! Guards: values that an operator of tract would panic on, looked at before it runs.
//!
//! tract trusts indices, divisors and counts that come with a request. ONNX says what each may be: within is computed, also from
//! the end where ONNX counts so and tract does not; outside is an error that names the input.

use std::collections::HashMap;

use tract_onnx::prelude::{
    DatumType, IntoTValue, OutletId, TValue, TVec, Tensor, TractError, TractResult, TypedModel, TypedNode,
};
use tract_onnx::tract_core::internal::{EvalContext, EvalOp};
use tract_onnx::tract_core::ops::array::{
    DynSlice, Gather, GatherElements, GatherNd, OneHot, Range, ScatterElements, ScatterNd, Topk,
};
use tract_onnx::tract_core::ops::binary::{OptBinByScalar, OptBinUnicast, TypedBinOp};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;

use crate::{Error, Result};

/// The guards of a plan, by the number of the node.
pub(super) struct Guards(HashMap<usize, Guard>);

/// What is looked at before a node runs.
struct Guard {
    /// The input of the node, and what it is called.
    input: usize,
    name: String,
    rule: Rule,
}

enum Rule {
    /// Indices along an axis of the first input; from the end if negative.
    Along(usize),
    /// Coordinates into the first input, beginning at this axis; from the end if negative.
    Into(usize),
    /// Positions of the ones; where there is none, all is off.
    OneHot(OneHot),
    /// Divisors of integers.
    Divisor,
    /// Bits to shift by.
    Shift,
    /// A step that is not zero.
    Step,
    /// A count of 0 to the length of this axis of the first input.
    Count(usize),
    /// A begin and an end along this axis of the first input; from the end if negative, and cut where they are beyond.
    Slice(usize),
}

impl Guards {
    /// The guards of a graph that is ready to run. `names` are those of its inputs, in its order.
    pub(super) fn of(model: &TypedModel, names: &[&str]) -> Self {
        let guarded = model.nodes().iter().filter_map(|node| {
            let (input, rule) = rule(model, node)?;
            let name = source(model, node.inputs[input], names)
                .unwrap_or_else(|| format!("a value inside of node '{}'", node.name));
            Some((node.id, Guard { input, name, rule }))
        });
        Self(guarded.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at the inputs of a node, and computes it with `eval` unless it refuses them.
    pub(super) fn eval(
        &self,
        ctx: &EvalContext<'_>,
        node: &TypedNode,
        mut values: TVec<TValue>,
        refused: &mut Option<Error>,
        eval: impl FnOnce(TVec<TValue>) -> TractResult<TVec<TValue>>,
    ) -> TractResult<TVec<TValue>> {
        let Some(guard) = self.0.get(&node.id) else { return eval(values) };
        let mut refuse = |error: Error| {
            let text = error.to_string();
            *refused = Some(error.during(format!("computing '{}'", node.op.name())));
            TractError::msg(text)
        };
        if let Rule::OneHot(op) = &guard.rule {
            return one_hot(ctx, op, &values[guard.input]);
        }
        if let Rule::Slice(axis) = guard.rule {
            slice_within(axis, &mut values)?;
            return eval(values);
        }
        if let Some(value) = guard.check(&values).map_err(&mut refuse)? {
            values[guard.input] = value;
        }
        eval(values)
    }
}

/// The input of a node that must be looked at, and how.
fn rule(model: &TypedModel, node: &TypedNode) -> Option<(usize, Rule)> {
    if let Some(op) = node.op_as::<Gather>() {
        return Some((1, Rule::Along(op.axis)));
    }
    if let Some(op) = node.op_as::<GatherElements>() {
        return Some((1, Rule::Along(op.axis)));
    }
    if let Some(op) = node.op_as::<ScatterElements>() {
        return Some((1, Rule::Along(op.axis)));
    }
    if let Some(op) = node.op_as::<GatherNd>() {
        return Some((1, Rule::Into(op.batch_dims)));
    }
    if node.op_is::<ScatterNd>() {
        return Some((1, Rule::Into(0)));
    }
    if let Some(op) = node.op_as::<OneHot>() {
        return Some((0, Rule::OneHot(op.clone())));
    }
    if node.op_is::<Range>() {
        return Some((2, Rule::Step));
    }
    if let Some(op) = node.op_as::<Topk>() {
        return Some((1, Rule::Count(op.axis)));
    }
    if let Some(op) = node.op_as::<DynSlice>() {
        return Some((1, Rule::Slice(op.axis)));
    }
    let binary = node.op_as::<TypedBinOp>().map(|op| op.0.name());
    let binary = binary.or_else(|| node.op_as::<OptBinByScalar>().map(|op| op.binop.name()));
    let binary = binary.or_else(|| node.op_as::<OptBinUnicast>().map(|op| op.binop.name()))?;
    let integer = model.outlet_fact(*node.inputs.get(1)?).is_ok_and(|fact| fact.datum_type.is_integer());
    match binary {
        "Div" | "Rem" | "Mod" if integer => Some((1, Rule::Divisor)),
        "ShiftLeft" | "ShiftRight" => Some((1, Rule::Shift)),
        _ => None,
    }
}

/// The name of the model's input that a value is, but for its type and its axes.
fn source(model: &TypedModel, mut outlet: OutletId, names: &[&str]) -> Option<String> {
    loop {
        if let Ok(inputs) = model.input_outlets()
            && let Some(i) = inputs.iter().position(|input| *input == outlet)
        {
            return names.get(i).map(|name| format!("input '{name}'"));
        }
        let node = model.node(outlet.node);
        if !node.op_is::<Cast>() && !node.op_is::<AxisOp>() {
            return None;
        }
        outlet = *node.inputs.first()?;
    }
}

impl Guard {
    /// The value to compute with in place of the input, if it must be another.
    fn check(&self, values: &[TValue]) -> Result<Option<TValue>> {
        let Some(numbers) = values.get(self.input).and_then(integers) else { return Ok(None) };
        let data = values[0].shape();
        match self.rule {
            Rule::Along(axis) => {
                let len = data[axis] as i64;
                self.within(&numbers, -len, len - 1)?;
                Ok(None)
            }
            Rule::Into(first) => self.coordinates(&values[self.input], numbers, &data[first..]).map(Some),
            Rule::OneHot(_) | Rule::Slice(_) => Ok(None),
            Rule::Divisor => {
                let (kind, dividends) = (values[self.input].datum_type(), integers(&values[0]).unwrap_or_default());
                if numbers.contains(&0) {
                    return Err(Error::invalid(format!("{}: expected a divisor that is not 0, got 0", self.name)));
                }
                let least = least(kind);
                // Where shapes are broadcast, any may meet any.
                let meet = match values[0].shape() == values[self.input].shape() {
                    true => dividends.iter().zip(&numbers).any(|(a, b)| *a == least && *b == -1),
                    false => numbers.contains(&-1) && dividends.contains(&least),
                };
                if least < 0 && meet {
                    return Err(Error::invalid(format!("{}: {least} by -1 is beyond {kind:?}", self.name)));
                }
                Ok(None)
            }
            Rule::Shift => {
                let bits = 8 * values[0].datum_type().size_of() as i64;
                self.within(&numbers, 0, bits - 1)?;
                Ok(None)
            }
            Rule::Step => match numbers.contains(&0) {
                true => Err(Error::invalid(format!("{}: expected a step that is not 0, got 0", self.name))),
                false => Ok(None),
            },
            Rule::Count(axis) => {
                self.within(&numbers, 0, data[axis] as i64)?;
                Ok(None)
            }
        }
    }

    fn within(&self, numbers: &[i64], min: i64, max: i64) -> Result<()> {
        match numbers.iter().find(|n| !(min..=max).contains(*n)) {
            Some(n) if max < min => Err(Error::invalid(format!("{}: expected no value, got {n}", self.name))),
            Some(n) => Err(Error::invalid(format!("{}: expected {min} to {max}, got {n}", self.name))),
            None => Ok(()),
        }
    }

    /// Coordinates counted from the front: tract takes no others.
    fn coordinates(&self, value: &TValue, mut numbers: Vec<i64>, dims: &[usize]) -> Result<TValue> {
        let width = value.shape().last().copied().unwrap_or(1).max(1);
        for row in numbers.chunks_mut(width) {
            for (n, &len) in row.iter_mut().zip(dims) {
                let len = len as i64;
                self.within(&[*n], -len, len - 1)?;
                *n += if *n < 0 { len } else { 0 };
            }
        }
        let tensor = Tensor::from_shape(value.shape(), &numbers);
        let tensor = tensor.and_then(|tensor| tensor.cast_to_dt(value.datum_type()).map(|t| t.into_owned()));
        Ok(tensor.map_err(|e| Error::internal(format!("coordinates of {}: {e}", self.name)))?.into_tvalue())
    }
}

/// The numbers of a tensor of integers.
fn integers(value: &TValue) -> Option<Vec<i64>> {
    if !value.datum_type().is_integer() {
        return None;
    }
    let wide = value.cast_to::<i64>().ok()?;
    let view = wide.try_as_plain_ram().ok()?;
    view.as_slice::<i64>().ok().map(<[i64]>::to_vec)
}

fn least(kind: DatumType) -> i64 {
    match kind.size_of() {
        _ if kind.is_unsigned() => 0,
        1 => i8::MIN.into(),
        2 => i16::MIN.into(),
        4 => i32::MIN.into(),
        _ => i64::MIN,
    }
}

/// ONNX: a position counts from the end if it is negative; one outside of the depth turns nothing on. tract panics on those, so
/// they go to a place of their own, which is cut off.
fn one_hot(ctx: &EvalContext<'_>, op: &OneHot, positions: &TValue) -> TractResult<TVec<TValue>> {
    let depth = op.dim as i64;
    // A position that is no integer lies between two, and turns nothing on.
    let wide = positions.cast_to::<f64>()?;
    let place = |p: &f64| match *p {
        p if p.fract() != 0.0 => depth,
        p if (0.0..depth as f64).contains(&p) => p as i64,
        p if (-depth as f64..0.0).contains(&p) => p as i64 + depth,
        _ => depth,
    };
    let view = wide.try_as_plain_ram()?;
    let places: Vec<i64> = view.as_slice::<f64>()?.iter().map(place).collect();
    let places = Tensor::from_shape(positions.shape(), &places)?;
    let wider = OneHot { dim: op.dim + 1, ..op.clone() };
    let mut hot = EvalOp::eval(&wider, ctx, [places.into_tvalue()].into_iter().collect())?;
    let hot = hot.remove(0);
    Ok([hot.slice(op.axis, 0, op.dim)?.into_tvalue()].into_iter().collect())
}

/// ONNX: a begin or end counts from the end if it is negative, and what is beyond the data is not there. tract refuses those.
fn slice_within(axis: usize, values: &mut TVec<TValue>) -> TractResult<()> {
    let len = values[0].shape()[axis] as i64;
    let mut least = 0;
    for i in [1, 2] {
        let Some(&[at]) = integers(&values[i]).as_deref() else { return Ok(()) };
        let at = if at < 0 { at.saturating_add(len) } else { at };
        least = at.clamp(least, len);
        let kind = values[i].datum_type();
        values[i] = Tensor::from(least).cast_to_dt(kind)?.into_owned().into_shape(values[i].shape())?.into_tvalue();
    }
    Ok(())
}
