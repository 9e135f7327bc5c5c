//! Small models, made in memory.

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// A node; names are separated by spaces, `_` stands for an input left out.
pub(super) fn node(op: &str, inputs: &str, outputs: &str) -> NodeProto {
    let names = |names: &str| names.split_whitespace().map(|n| if n == "_" { "" } else { n }.to_owned()).collect();
    NodeProto { op_type: op.into(), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

pub(super) fn in_domain(domain: &str, node: NodeProto) -> NodeProto {
    NodeProto { domain: domain.into(), ..node }
}

/// `If condition { then } else { otherwise }`, giving the outputs of the graphs.
pub(super) fn branch(condition: &str, outputs: &str, then: GraphProto, otherwise: GraphProto) -> NodeProto {
    let attribute = |name: &str, graph| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Graph as i32,
        g: Some(graph),
        ..AttributeProto::default()
    };
    let mut node = node("If", condition, outputs);
    node.attribute = vec![attribute("then_branch", then), attribute("else_branch", otherwise)];
    node
}

pub(super) fn ints(node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    with(
        node,
        AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints: ints.into(), ..<_>::default() },
    )
}

pub(super) fn int(node: NodeProto, name: &str, i: i64) -> NodeProto {
    with(node, AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..<_>::default() })
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

/// A port: `x f32 n,4` or `s i64` for a scalar.
pub(super) fn port(text: &str) -> ValueInfoProto {
    let mut words = text.split(' ');
    let (name, element) = (words.next().unwrap(), words.next().unwrap());
    let dims = words.next().into_iter().flat_map(|dims| dims.split(','));
    let dims = dims.map(|dim| Dimension {
        value: Some(match dim.parse() {
            Ok(n) => dimension::Value::DimValue(n),
            Err(_) => dimension::Value::DimParam(dim.into()),
        }),
        ..Dimension::default()
    });
    let shape = TensorShapeProto { dim: dims.collect() };
    let tensor = type_proto::Tensor { elem_type: data_type(element) as i32, shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..ValueInfoProto::default() }
}

fn data_type(name: &str) -> DataType {
    match name {
        "f32" => DataType::Float,
        "f16" => DataType::Float16,
        "bf16" => DataType::Bfloat16,
        "i8" => DataType::Int8,
        "i32" => DataType::Int32,
        "i64" => DataType::Int64,
        "u8" => DataType::Uint8,
        "u32" => DataType::Uint32,
        "u64" => DataType::Uint64,
        "bool" => DataType::Bool,
        other => panic!("no element type {other}"),
    }
}

pub(super) fn i64s(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto { int64_data: values.into(), ..tensor(name, dims, DataType::Int64) }
}

pub(super) fn f32s(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto { float_data: values.into(), ..tensor(name, dims, DataType::Float) }
}

pub(super) fn tensor(name: &str, dims: &[i64], data_type: DataType) -> TensorProto {
    TensorProto { name: name.into(), dims: dims.into(), data_type: data_type as i32, ..TensorProto::default() }
}

pub(super) fn graph(
    nodes: Vec<NodeProto>,
    inputs: &[&str],
    outputs: &[&str],
    initializer: Vec<TensorProto>,
) -> GraphProto {
    let ports = |texts: &[&str]| texts.iter().map(|t| port(t)).collect();
    GraphProto { node: nodes, input: ports(inputs), output: ports(outputs), initializer, ..GraphProto::default() }
}

/// The bytes of a model that imports operator set 17 and those of `domains`.
pub(super) fn model(graph: GraphProto, domains: &[(&str, i64)]) -> Vec<u8> {
    let import = |(domain, version): (&str, i64)| OperatorSetIdProto { domain: domain.into(), version };
    let opset_import = std::iter::once(("", 17)).chain(domains.iter().copied()).map(import).collect();
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
}
