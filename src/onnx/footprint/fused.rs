//! Nodes of transformers that ONNX Runtime computes as one: scaled and transposed products, and the Gaussian error unit that
//! exporters write out in five nodes.

use std::collections::BTreeSet;

use super::super::graph::{Graph, Node};
use super::known::Known;
use super::values::count;

/// What becomes of values between nodes that are computed as one.
#[derive(Default)]
pub(super) struct Fused<'a> {
    /// They are nowhere.
    pub nowhere: BTreeSet<&'a str>,
    /// They are where what the node reads was.
    pub same: BTreeSet<&'a str>,
}

impl<'a> Fused<'a> {
    pub(super) fn new(graph: &Graph<'a>, known: &Known<'a>) -> Self {
        let mut fused = Self::default();
        let finder = Finder { graph, known };
        for node in graph.nodes.iter().filter(|node| node.domain.is_empty()) {
            let Some(output) = node.outputs.first() else { continue };
            match node.op {
                "Mul" | "Div" if finder.is_scale(node, output) => drop(fused.same.insert(output)),
                "Transpose" if finder.is_of_product(node, output) => drop(fused.same.insert(output)),
                "Add" if finder.is_bias(node, output) => drop(fused.same.insert(output)),
                "Erf" => drop(finder.gelu(node, &mut fused)),
                _ => {}
            }
        }
        fused
    }
}

struct Finder<'g, 'a> {
    graph: &'g Graph<'a>,
    known: &'g Known<'a>,
}

impl<'g, 'a> Finder<'g, 'a> {
    /// The node that alone reads a value, which is no output.
    fn reader(&self, name: &str) -> Option<&'g Node<'a>> {
        let [reader] = self.known.readers(name) else { return None };
        let is_inside = !self.graph.outputs.contains(name) && !self.graph.inner.contains(name);
        is_inside.then(|| &self.graph.nodes[*reader])
    }

    fn maker(&self, name: &str) -> Option<&'g Node<'a>> {
        self.known.maker(name).map(|at| &self.graph.nodes[at])
    }

    fn is_constant(&self, name: &str) -> bool {
        self.known.values.get(name).is_some_and(|value| value.constant)
    }

    /// The input beside a constant one, if an operator of two inputs has both.
    fn beside_constant(&self, node: &Node<'a>) -> Option<(&'a str, &'a str)> {
        match *node.inputs {
            [x, c] if self.is_constant(c) && !self.is_constant(x) => Some((x, c)),
            [c, x] if node.op != "Div" && self.is_constant(c) && !self.is_constant(x) => Some((x, c)),
            _ => None,
        }
    }

    /// Whether a product, before or after it, is multiplied by one number.
    fn is_scale(&self, node: &Node<'a>, output: &str) -> bool {
        let Some((x, number)) = self.beside_constant(node) else { return false };
        let is_one = self.known.values.dims(number).is_some_and(|dims| count(dims) == 1);
        let after = || self.reader(x).is_some() && self.maker(x).is_some_and(|node| node.is("MatMul"));
        is_one && (after() || self.reader(output).is_some_and(|node| node.is("MatMul")))
    }

    /// Whether a row is added to a product of a fixed shape.
    fn is_bias(&self, node: &Node<'a>, output: &str) -> bool {
        let Some((x, row)) = self.beside_constant(node) else { return false };
        let is_row = self.known.values.dims(row).is_some_and(|dims| dims.len() == 1);
        let is_fixed = self.known.form(output).is_some_and(|form| self.known.values.dims(output) == Some(&form));
        let is_product = self.reader(x).is_some() && self.maker(x).is_some_and(|node| node.is("MatMul"));
        is_row && is_fixed && is_product
    }

    /// Whether rows and columns are exchanged for a product, which reads them either way.
    fn is_of_product(&self, node: &Node<'a>, output: &str) -> bool {
        let perm = node.ints("perm");
        let Some((last, front)) = perm.split_last_chunk::<2>().map(|(front, last)| (last, front)) else { return false };
        let rank = perm.len() as i64;
        let exchanged = *last == [rank - 1, rank - 2] && front.iter().zip(0..).all(|(axis, i)| *axis == i);
        exchanged && self.reader(output).is_some_and(|node| node.is("MatMul"))
    }

    /// `x / c`, its error function, plus 1, times `x`, times a half; or times the half of `x`.
    fn gelu(&self, erf: &Node<'a>, fused: &mut Fused<'a>) -> Option<()> {
        let scaled = *erf.inputs.first()?;
        let scale = self.maker(scaled).filter(|node| matches!(node.op, "Div" | "Mul"))?;
        let (x, _) = self.beside_constant(scale)?;
        let error = *erf.outputs.first()?;
        let plus = self.reader(error).filter(|node| node.is("Add"))?;
        self.beside_constant(plus)?;
        let sum = *plus.outputs.first()?;
        let times = self.reader(sum).filter(|node| node.is("Mul"))?;
        let other = *times.inputs.iter().find(|name| **name != sum)?;
        let output = *times.outputs.first()?;
        if other == x {
            let half = self.reader(output).filter(|node| node.is("Mul"))?;
            self.beside_constant(half)?;
            fused.same.insert(half.outputs.first()?);
        } else {
            let half = self.maker(other).filter(|node| node.is("Mul") && self.reader(other).is_some())?;
            self.beside_constant(half).filter(|(from, _)| *from == x)?;
            fused.nowhere.insert(other);
        }
        fused.nowhere.extend([scaled, error, sum]);
        let bias = self.maker(x).filter(|node| node.is("Add") && self.known.readers(x).len() == 2)?;
        let (from, added) = self.beside_constant(bias)?;
        let is_row = self.known.values.dims(added).is_some_and(|dims| dims.len() == 1);
        if is_row && self.reader(from).is_some() {
            fused.same.insert(x);
        }
        Some(())
    }
}
