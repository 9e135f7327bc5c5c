//! An ONNX file as tract reads it best.
//!
//! The message is decoded and changed in memory before tract sees it: tensors in other files are brought in,
//! half precision is widened, typed data that tract misreads is rewritten, and symbolic dimensions are
//! dropped: the shapes come from the inputs, and tract would parse the symbols as formulas, recursing as deep
//! as they nest. tract never opens a file.

use std::collections::{BTreeMap, HashSet};

use prost::Message;
use tract_onnx::model::ParseResult;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use super::contain::contained;
use super::{byte_weights, ops, weights};
use crate::pack::Packed;
use crate::source::{release_pages, trim_heap};
use crate::tensor::Bytes;
use crate::{Code, Error, Result};

/// A model's bytes, with those of the files beside it.
#[derive(Clone)]
pub(super) struct OnnxFile {
    pub bytes: Bytes,
    /// By location, as the model spells it.
    pub external: BTreeMap<String, Bytes>,
    /// What makes tensors of blocks.
    pub packed: Option<Packed>,
    /// Compute f16 in f16.
    pub native_half: bool,
}

impl OnnxFile {
    /// Gives back what planning took and no run needs: pages of the files, and what the heap keeps of memory that was
    /// freed, which is more than the weights.
    pub(super) fn give_back(&self) {
        let packed = self.packed.iter().map(|packed| &packed.weights);
        let files = || std::iter::once(&self.bytes).chain(self.external.values()).chain(packed.clone());
        files().for_each(release_pages);
        if files().map(|bytes| bytes.as_slice().len()).sum::<usize>() > 1 << 20 {
            trim_heap();
        }
    }

    /// tract's graph. The initializers of `given` inputs, which are their defaults, are left out.
    pub(super) fn parse(&self, given: &[&str]) -> Result<ParseResult> {
        let mut model = ModelProto::decode(self.bytes.as_slice()).map_err(|e| {
            let deep = e.to_string().contains("recursion limit");
            Error::new(if deep { Code::Unsupported } else { Code::Corrupt }, format!("not an ONNX model: {e}"))
        })?;
        let graph = model.graph.as_mut().ok_or_else(|| Error::corrupt("not an ONNX model: it has no graph"))?;
        graph.initializer.retain(|tensor| !given.contains(&&*tensor.name));
        let functions: HashSet<String> = model.functions.drain(..).filter_map(|function| function.name).collect();
        Rewrite { file: self, functions }.graph(graph, true)?;
        let parsed = contained(|| ops::reader().parse(&model, None))
            .map_err(|fault| fault.into_error(Code::Unsupported, "reading the model"))?;
        match &*parsed.unresolved_inputs {
            [] => Ok(parsed),
            missing => Err(Error::corrupt(format!("ONNX model: nothing gives the values {missing:?}"))),
        }
    }
}

struct Rewrite<'a> {
    file: &'a OnnxFile,
    /// The names of functions that the model defines itself.
    functions: HashSet<String>,
}

impl Rewrite<'_> {
    fn graph(&mut self, graph: &mut GraphProto, outermost: bool) -> Result<()> {
        if !graph.sparse_initializer.is_empty() {
            return Err(Error::unsupported("tract has no sparse initializers"));
        }
        for tensor in &mut graph.initializer {
            weights::rewrite(tensor, self.file)?;
        }
        for port in graph.input.iter_mut().chain(&mut graph.output) {
            self.port(port);
        }
        graph.value_info.clear();
        self.outputs(graph, outermost)?;
        graph.node.iter_mut().try_for_each(|node| self.node(node))?;
        byte_weights::rewrite(graph);
        Ok(())
    }

    fn port(&self, port: &mut ValueInfoProto) {
        let Some(type_proto::Value::TensorType(tensor)) = port.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            return;
        };
        tensor.elem_type = self.element(tensor.elem_type.into()).unwrap_or(tensor.elem_type);
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            dim.value.take_if(|value| matches!(value, Dimension::DimParam(_)));
        }
    }

    /// tract panics on an output that the graph itself does not give.
    fn outputs(&self, graph: &mut GraphProto, outermost: bool) -> Result<()> {
        let GraphProto { node: nodes, initializer, input, output, .. } = graph;
        let given = nodes.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
        let given = given.chain(input.iter().map(|v| &v.name)).chain(initializer.iter().map(|t| &t.name));
        let given: HashSet<String> = given.cloned().collect();
        for (i, output) in output.iter_mut().enumerate().filter(|(_, o)| !given.contains(&o.name)) {
            if outermost {
                return Err(Error::corrupt(format!("ONNX model: nothing gives the output '{}'", output.name)));
            }
            // A value of the surrounding graph, handed through.
            let through = format!("{}#{i}", output.name);
            nodes.push(NodeProto {
                op_type: "Identity".into(),
                input: vec![std::mem::replace(&mut output.name, through.clone())],
                output: vec![through],
                ..NodeProto::default()
            });
        }
        Ok(())
    }

    fn node(&mut self, node: &mut NodeProto) -> Result<()> {
        // Their domain is a field that tract's copy of the format has not; it is never the standard one.
        if !matches!(&*node.domain, "" | "ai.onnx") && self.functions.contains(&node.op_type) {
            let (domain, name) = (&node.domain, &node.op_type);
            return Err(Error::unsupported(format!("tract calls no function defined in a model: {domain}:{name}")));
        }
        if node.op_type == "ConstantOfShape" && node.attribute.is_empty() {
            node.attribute.push(zero());
        }
        node.attribute.iter_mut().try_for_each(|attribute| self.attribute(attribute))
    }

    fn attribute(&mut self, attribute: &mut AttributeProto) -> Result<()> {
        const ELEMENT_TYPES: [&str; 4] = ["to", "dtype", "output_dtype", "output_datatype"];
        if attribute.r#type == AttributeType::Int as i32 && ELEMENT_TYPES.contains(&&*attribute.name) {
            attribute.i = self.element(attribute.i).map_or(attribute.i, i64::from);
        }
        sane(attribute)?;
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            weights::rewrite(tensor, self.file)?;
        }
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|graph| self.graph(graph, false))
    }

    /// The element type that `element` is computed in, if it is another.
    fn element(&self, element: i64) -> Option<i32> {
        const F16: i64 = DataType::Float16 as i64;
        const BF16: i64 = DataType::Bfloat16 as i64;
        match element {
            BF16 => Some(DataType::Float as i32),
            F16 if !self.file.native_half => Some(DataType::Float as i32),
            _ => None,
        }
    }
}

/// The value that ONNX gives to a ConstantOfShape without one: a zero in f32. tract takes one in f64.
fn zero() -> AttributeProto {
    let value = TensorProto {
        dims: vec![1],
        data_type: DataType::Float as i32,
        float_data: vec![0.0],
        ..TensorProto::default()
    };
    AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(value),
        ..AttributeProto::default()
    }
}

/// Refuses windows and borders that tract would spend all time and memory on before it knows better.
fn sane(attribute: &AttributeProto) -> Result<()> {
    const WINDOW: u64 = 1 << 22;
    const BORDER: u64 = 1 << 28;
    let size = |v: &i64| v.unsigned_abs().max(1);
    let (size, most) = match &*attribute.name {
        "kernel_shape" => (attribute.ints.iter().map(size).fold(1, u64::saturating_mul), WINDOW),
        "pads" | "output_padding" | "output_shape" => (attribute.ints.iter().map(size).max().unwrap_or(0), BORDER),
        _ => return Ok(()),
    };
    if size > most {
        return Err(Error::unsupported(format!("tract: {} {:?} exceeds {most}", attribute.name, attribute.ints)));
    }
    Ok(())
}
