//! A graph's values, who gives and who reads them, and which nodes are folded.

use std::collections::{BTreeSet, HashMap};

use super::super::graph::{Graph, Node};
use super::marks::Marks;
use super::shapes;
use super::values::{MAX_INTS, Value, Values, sizes};
use crate::Shape;

/// A graph's values and who reads them.
pub(super) struct Known<'a> {
    pub values: Values<'a>,
    marks: Marks<'a>,
    /// Positions of the nodes that read a value; a node that reads it twice is there twice.
    readers: HashMap<&'a str, Vec<usize>>,
    /// The position of the node that gives a value.
    makers: HashMap<&'a str, usize>,
    /// Whether a node runs; the others are folded.
    pub live: Vec<bool>,
}

impl<'a> Known<'a> {
    pub(super) fn new(graph: &Graph<'a>) -> Self {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut makers = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|name| readers.entry(*name).or_default().push(at));
            makers.extend(node.outputs.iter().map(|name| (*name, at)));
        }
        let (values, marks) = (Values::new(graph, sizes), Marks::new(graph));
        Self { values, marks, readers, makers, live: Vec::with_capacity(graph.nodes.len()) }
    }

    pub(super) fn infer(&mut self, graph: &Graph<'a>) {
        for node in &graph.nodes {
            let constant = self.is_constant(node);
            self.live.push(!constant);
            let tensor = node.constant().ok().flatten();
            for (slot, name) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let value = match &tensor {
                    Some(tensor) => Value::of_tensor(tensor),
                    None => self.output(node, slot, name, constant),
                };
                self.marks.put(node, slot, name, &value, &self.values);
                self.values.put(name, value);
            }
        }
    }

    fn is_constant(&self, node: &Node<'_>) -> bool {
        let folds = !node.is("DequantizeLinear") && !node.op.starts_with("Random") && !node.has_graph();
        let mut inputs = node.inputs.iter().filter(|name| !name.is_empty());
        node.is("Constant")
            || folds && !node.inputs.is_empty() && inputs.all(|i| self.values.get(i).is_some_and(|v| v.constant))
    }

    fn output(&self, node: &Node<'_>, slot: usize, name: &str, constant: bool) -> Value {
        let stated = self.values.stated.get(name);
        let same = slot == 0 || node.op == "Split";
        let inferred = if same { shapes::infer(node, &self.values) } else { None };
        let inferred = inferred.filter(|dims| dims.len() <= Shape::MAX_RANK);
        let dims = inferred.or_else(|| stated.and_then(|value| value.dims.clone()));
        let dims = dims.or_else(|| if same { shapes::largest(node, &self.values) } else { None });
        // What is not known of further outputs is small: indices, scales, the last state.
        let dims = dims.or_else(|| (!same).then(|| vec![1]));
        let bits = shapes::bits(node, &self.values);
        let mut ints = if slot == 0 { shapes::numbers(node, &self.values) } else { None };
        if node.is("Constant") {
            let list = node.ints("value_ints");
            ints = Some(if list.is_empty() { vec![node.int("value_int", 0)] } else { list.to_vec() });
        }
        Value { dims, bits, ints: ints.filter(|list| list.len() <= MAX_INTS), constant, ..Value::default() }
    }

    /// The shape of a value as it is known before a run, to be held against another; `None` if it is not.
    pub(super) fn form(&self, name: &str) -> Option<Vec<u64>> {
        self.marks.form(name, self.values.dims(name)?)
    }

    pub(super) fn readers(&self, name: &str) -> &[usize] {
        self.readers.get(name).map_or(&[], |readers| readers)
    }

    pub(super) fn maker(&self, name: &str) -> Option<usize> {
        self.makers.get(name).copied()
    }

    /// Nodes that run.
    pub(super) fn running(&self) -> usize {
        self.live.iter().filter(|live| **live).count()
    }

    /// The constants that nodes read which run.
    pub(super) fn weights(&self, graph: &Graph<'a>) -> Weights {
        let mut weights = Weights::default();
        let constants = graph.nodes.iter().filter_map(|node| node.constant().ok().flatten());
        for tensor in graph.initializers.iter().cloned().chain(constants) {
            weights.in_file = weights.in_file.saturating_add(tensor.check().unwrap_or(0));
        }
        let mut seen = BTreeSet::new();
        let running = graph.nodes.iter().zip(&self.live).filter(|(_, live)| **live);
        for (node, name) in running.flat_map(|(node, _)| node.inputs.iter().map(move |name| (node, *name))) {
            let Some(value) = self.values.get(name).filter(|value| value.constant) else { continue };
            if seen.insert(name) {
                let widened = if value.bits == 16 { 2 } else { 1 };
                weights.kept = weights.kept.saturating_add(value.bytes().saturating_mul(widened));
                if node.is("DequantizeLinear") && value.bits == 8 {
                    weights.dequantized = weights.dequantized.saturating_add(value.bytes());
                }
            }
        }
        weights
    }
}

/// Bytes of constants.
#[derive(Default)]
pub(super) struct Weights {
    /// Read by nodes that run, f16 widened to f32.
    pub kept: u64,
    /// Of these, in 8 bits, and dequantized by a node.
    pub dequantized: u64,
    /// As the outermost graph has them.
    pub in_file: u64,
}
