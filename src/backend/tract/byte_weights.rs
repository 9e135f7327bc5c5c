//! Weights of 8 bits that a graph makes numbers of, only to multiply with them or to pick rows.
//!
//! `MatMul(x, Mul(Cast(weights), scale))` and `MatMul(x, DequantizeLinear(weights, scale, zero))` become one operator of ours, if
//! weights, scales and zero points are in the file, with one scale or one for each column. What was made of the weights
//! goes, where nobody else wants it.
//!
//! `Gather(Mul(Cast(table), scale), rows)` becomes `Mul(Cast(Gather(table, rows)), scale)`, with the scales of the rows where each has
//! one: the same numbers, of some rows instead of all.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::ops::byte_matmul;

/// Fewer weights are not worth it.
const MIN_WEIGHTS: i64 = 4096;

/// Puts the operator in place of what it is.
pub(super) fn rewrite(graph: &mut GraphProto) {
    let found = Graph::of(graph).products();
    for (node, inputs) in found {
        let node = &mut graph.node[node];
        node.op_type = byte_matmul::NAME.into();
        node.input = inputs;
        node.attribute.clear();
    }
    // From the end, so that places stay what they are.
    for (place, nodes) in Graph::of(graph).gathers().into_iter().rev() {
        graph.node.splice(place..=place, nodes);
    }
    // The product of weights and scales first, then what made numbers of the weights.
    for op in ["Mul", "DequantizeLinear", "Cast"] {
        let wanted = wanted(graph);
        graph.node.retain(|node| node.op_type != op || node.output.iter().any(|output| wanted.contains(output)));
    }
}

/// The names that the graph, or one within it, asks for.
fn wanted(graph: &GraphProto) -> HashSet<String> {
    let own = graph.node.iter().flat_map(|node| &node.input).chain(graph.output.iter().map(|output| &output.name));
    let mut wanted: HashSet<String> = own.cloned().collect();
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute.g.iter().chain(&attribute.graphs).for_each(|graph| wanted.extend(self::wanted(graph)));
    }
    wanted
}

struct Graph<'a> {
    nodes: &'a [NodeProto],
    initializers: HashMap<&'a str, &'a TensorProto>,
    /// The nodes by what they give.
    givers: HashMap<&'a str, &'a NodeProto>,
}

impl<'a> Graph<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let initializers = graph.initializer.iter().map(|tensor| (&*tensor.name, tensor)).collect();
        let givers =
            graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (&**output, node))).collect();
        Self { nodes: &graph.node, initializers, givers }
    }

    /// The places of the products, and their inputs as one operator.
    fn products(&self) -> Vec<(usize, Vec<String>)> {
        let is_standard = |node: &NodeProto| matches!(&*node.domain, "" | "ai.onnx") && node.op_type == "MatMul";
        let products = self.nodes.iter().enumerate().filter(|(_, node)| is_standard(node));
        let inputs = products.filter_map(|(place, node)| {
            let [x, b] = &*node.input else { return None };
            let giver = self.giver(b)?;
            let of_weights = match &*giver.op_type {
                "Mul" => self.scaled(giver)?,
                "DequantizeLinear" => self.dequantized(giver)?,
                _ => return None,
            };
            Some((place, std::iter::once(x.clone()).chain(of_weights).collect()))
        });
        inputs.collect()
    }

    /// The places of what picks rows of a table, and the nodes to do so before they become numbers.
    fn gathers(&self) -> Vec<(usize, Vec<NodeProto>)> {
        let is_standard = |node: &NodeProto| matches!(&*node.domain, "" | "ai.onnx") && node.op_type == "Gather";
        let gathers = self.nodes.iter().enumerate().filter(|(_, node)| is_standard(node));
        gathers.filter_map(|(place, node)| Some((place, self.gathered(node)?))).collect()
    }

    fn gathered(&self, gather: &NodeProto) -> Option<Vec<NodeProto>> {
        let ([numbers, rows], [out]) = (&*gather.input, &*gather.output) else { return None };
        let is_by_row = gather.attribute.iter().all(|attribute| attribute.name == "axis" && attribute.i == 0);
        let product = self.giver(numbers).filter(|node| is_by_row && node.op_type == "Mul")?;
        let [a, b] = &*product.input else { return None };
        let (cast, scale) = [(a, b), (b, a)].into_iter().find_map(|(cast, scale)| {
            let cast = self.giver(cast).filter(|node| node.op_type == "Cast")?;
            Some((cast, self.initializers.get(&**scale)?))
        })?;
        let [table] = &*cast.input else { return None };
        let columns = self.columns(table)?;
        let each_row = *scale.dims == [self.initializers.get(&**table)?.dims[0], 1];
        let to_number = cast.attribute.iter().any(|a| a.name == "to" && a.i == DataType::Float as i64);
        if !to_number || !(each_row || self.is_for(&scale.name, columns, &[1, 0])) {
            return None;
        }
        let new = |step: &str| format!("{out}#{step}");
        let picked = |from: &str, to: String| NodeProto {
            name: to.clone(),
            input: vec![from.to_owned(), rows.clone()],
            output: vec![to],
            ..gather.clone()
        };
        let wide = NodeProto { name: new("wide"), input: vec![new("rows")], output: vec![new("wide")], ..cast.clone() };
        let scales = if each_row { new("scales") } else { scale.name.clone() };
        let scaled = NodeProto {
            name: gather.name.clone(),
            input: vec![new("wide"), scales],
            output: vec![out.clone()],
            ..product.clone()
        };
        let of_scales = each_row.then(|| picked(&scale.name, new("scales")));
        Some([picked(table, new("rows")), wide].into_iter().chain(of_scales).chain([scaled]).collect())
    }

    fn giver(&self, name: &str) -> Option<&'a NodeProto> {
        self.givers.get(name).copied().filter(|node| matches!(&*node.domain, "" | "ai.onnx"))
    }

    /// `Mul(Cast(weights), scale)`, in either order.
    fn scaled(&self, node: &NodeProto) -> Option<Vec<String>> {
        let [a, b] = &*node.input else { return None };
        let of = |cast: &str, scale: &str| {
            let cast = self.giver(cast).filter(|node| node.op_type == "Cast")?;
            let to = cast.attribute.iter().find(|attribute| attribute.name == "to")?.i;
            let [weights] = &*cast.input else { return None };
            let columns = self.columns(weights)?;
            (to == DataType::Float as i64 && self.is_for(scale, columns, &[2, 1, 0]))
                .then(|| vec![weights.clone(), scale.to_owned()])
        };
        of(a, b).or_else(|| of(b, a))
    }

    /// `DequantizeLinear(weights, scale)`, with zero points or without.
    fn dequantized(&self, node: &NodeProto) -> Option<Vec<String>> {
        let (weights, scale) = (node.input.first()?, node.input.get(1)?);
        let columns = self.columns(weights)?;
        let number =
            |name: &str| node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i);
        let zeros = node.input.get(2).filter(|name| !name.is_empty());
        let same_type = |zeros: &String| {
            let types = [zeros, weights].map(|name| self.initializers.get(&**name).map(|tensor| tensor.data_type));
            types[0] == types[1]
        };
        let is_ours = matches!(number("axis"), None | Some(1 | -1))
            && matches!(number("block_size"), None | Some(0))
            && self.is_for(scale, columns, &[1, 0])
            && zeros.is_none_or(|zeros| self.is_as(zeros, scale) && same_type(zeros));
        is_ours.then(|| [weights, scale].into_iter().chain(zeros).cloned().collect())
    }

    /// The columns of weights of 8 bits that are in the file, and many.
    fn columns(&self, weights: &str) -> Option<i64> {
        let tensor = self.initializers.get(weights)?;
        let is_bytes = [DataType::Int8, DataType::Uint8].iter().any(|bytes| tensor.data_type == *bytes as i32);
        let &[depth, columns] = &*tensor.dims else { return None };
        (is_bytes && depth.checked_mul(columns)? >= MIN_WEIGHTS).then_some(columns)
    }

    /// Whether a tensor of the file in `f32`, of one of these ranks, is one scale, or one for each column.
    fn is_for(&self, scale: &str, columns: i64, ranks: &[usize]) -> bool {
        self.initializers.get(scale).is_some_and(|tensor| {
            let (last, others) = tensor.dims.split_last().map_or((1, &[][..]), |(last, others)| (*last, others));
            let is_one_row = others.iter().all(|dim| *dim == 1);
            let is_number = tensor.data_type == DataType::Float as i32 && ranks.contains(&tensor.dims.len());
            is_number && is_one_row && (last == 1 || last == columns)
        })
    }

    /// Whether a tensor of the file has the shape of another one.
    fn is_as(&self, name: &str, other: &str) -> bool {
        let dims = [name, other].map(|name| self.initializers.get(name).map(|tensor| &tensor.dims));
        dims[0].is_some() && dims[0] == dims[1]
    }
}
