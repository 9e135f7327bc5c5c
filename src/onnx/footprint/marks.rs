//! Which dimensions ONNX Runtime knows before a run: it plans a buffer to be used again only for a value of a shape that it
//! knows to be the same.
//!
//! The shapes are followed a second time, with a number of its own for each dimension that the file leaves open. What is
//! the same both times is fixed; what is the number of a symbol is that symbol; the rest is not known before a run.

use std::collections::{BTreeSet, HashMap};

use super::super::graph::{Graph, Node};
use super::shapes;
use super::values::{Value, Values};
use crate::engine::Dim;

/// Numbers that stand for dimensions begin here and are this far apart: sizes in models are not like that.
const FIRST: u64 = 1_000_003;
const STEP: u64 = 7_919;

/// The numbers that dimensions are marked with.
pub(super) struct Numbers {
    symbols: HashMap<String, u64>,
    known: BTreeSet<u64>,
    next: u64,
}

impl Numbers {
    fn new() -> Self {
        Self { symbols: HashMap::new(), known: BTreeSet::new(), next: FIRST }
    }

    /// The number of a dimension that nothing is known of.
    fn fresh(&mut self) -> u64 {
        self.next += STEP;
        self.next
    }

    pub(super) fn of(&mut self, dim: &Dim) -> u64 {
        match dim {
            Dim::Fixed(n) => *n as u64,
            Dim::Any => self.fresh(),
            Dim::Symbol(name) => match self.symbols.get(name) {
                Some(number) => *number,
                None => {
                    let number = self.fresh();
                    self.symbols.insert(name.clone(), number);
                    self.known.insert(number);
                    number
                }
            },
        }
    }
}

impl Numbers {
    fn is_known(&self, number: u64, dim: u64) -> bool {
        number == dim || self.known.contains(&number)
    }
}

/// The values of a graph with marked dimensions.
pub(super) struct Marks<'a> {
    values: Values<'a>,
    numbers: Numbers,
}

impl<'a> Marks<'a> {
    pub(super) fn new(graph: &Graph<'a>) -> Self {
        let mut numbers = Numbers::new();
        let values = Values::new(graph, |dims, _| Some(dims.iter().map(|dim| numbers.of(dim)).collect()));
        Self { values, numbers }
    }

    /// Marks what a node gives, of which `value` is known otherwise.
    pub(super) fn put(&mut self, node: &Node<'_>, slot: usize, name: &'a str, value: &Value, first: &Values<'_>) {
        let Some(dims) = value.dims.as_deref() else { return };
        let same = slot == 0 || node.op == "Split";
        let follows = same && !self.is_computed(node, first);
        let inferred = if follows { shapes::infer(node, &self.values) } else { None };
        let inferred = inferred.filter(|marked| marked.len() == dims.len());
        let stated = self.values.stated.get(name).and_then(|value| value.dims.clone());
        let stated = stated.filter(|marked| marked.len() == dims.len());
        let mut marked = Vec::with_capacity(dims.len());
        for (i, dim) in dims.iter().enumerate() {
            let known = |n: &u64| self.numbers.is_known(*n, *dim);
            let of = |list: &Option<Vec<u64>>| list.as_ref().map(|list| list[i]).filter(known);
            let inferred = of(&inferred).filter(|n| n == dim || !is_counted(node, i, &self.values));
            let number = inferred.or_else(|| of(&stated));
            marked.push(number.unwrap_or_else(|| self.numbers.fresh()));
        }
        let ints = if slot == 0 { shapes::numbers(node, &self.values) } else { None };
        let ints = if value.constant { value.ints.clone() } else { ints };
        self.values.put(name, Value { dims: Some(marked), ints, ..value.clone() });
    }

    /// The shape of a value as far as it can be told from another one; `None` where a dimension is not known.
    pub(super) fn form(&self, name: &str, dims: &[u64]) -> Option<Vec<u64>> {
        let marked = self.values.dims(name)?;
        let known =
            marked.len() == dims.len() && marked.iter().zip(dims).all(|(n, dim)| self.numbers.is_known(*n, *dim));
        known.then(|| marked.to_vec())
    }

    /// Whether the shape of what a node gives is computed in a run.
    fn is_computed(&self, node: &Node<'_>, first: &Values<'_>) -> bool {
        let slots = match node.op {
            "Reshape" | "Expand" | "Tile" | "Pad" => 1..2,
            "ConstantOfShape" => 0..1,
            "Resize" | "Upsample" | "Slice" => 1..node.inputs.len(),
            _ => 0..0,
        };
        slots.filter_map(|slot| node.inputs.get(slot)).filter(|name| !name.is_empty()).any(|name| {
            let constant = first.get(name).is_some_and(|value| value.constant);
            !constant && (first.ints(name).is_none() || first.ints(name) != self.values.ints(name))
        })
    }
}

/// Whether a dimension is counted from sizes: in positions of a window, or as what is left of a reshaped value.
fn is_counted(node: &Node<'_>, axis: usize, values: &Values<'_>) -> bool {
    match node.op {
        "Conv" | "ConvInteger" | "QLinearConv" | "ConvTranspose" | "MaxPool" | "AveragePool" => axis >= 2,
        "Reshape" => node.inputs.get(1).and_then(|to| values.ints(to)).is_none_or(|to| to.get(axis) == Some(&-1)),
        _ => false,
    }
}
