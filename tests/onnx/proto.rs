//! The messages of onnx.proto3 that the suite's files are made of, as far as it reads them.

use selvedge::{DType, Shape, Tensor};

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Model {
    #[prost(message, optional, tag = "7")]
    pub(crate) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) opset_import: Vec<OpsetId>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OpsetId {
    #[prost(string, tag = "1")]
    pub(crate) domain: String,
    #[prost(int64, tag = "2")]
    pub(crate) version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Node {
    #[prost(string, tag = "4")]
    pub(crate) op_type: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TypeProto {
    #[prost(oneof = "TypeValue", tags = "1, 4, 5, 8, 9")]
    pub(crate) value: Option<TypeValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum TypeValue {
    #[prost(message, tag = "1")]
    Tensor(TensorType),
    #[prost(message, tag = "4")]
    Sequence(Other),
    #[prost(message, tag = "5")]
    Map(Other),
    #[prost(message, tag = "8")]
    Sparse(Other),
    #[prost(message, tag = "9")]
    Optional(Other),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(crate) elem_type: i32,
}

/// A message whose content is of no matter here.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Other {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub(crate) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(crate) data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub(crate) float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(crate) int32_data: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub(crate) int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(crate) name: String,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub(crate) raw_data: Option<Vec<u8>>,
    #[prost(double, repeated, tag = "10")]
    pub(crate) double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub(crate) uint64_data: Vec<u64>,
}

impl Model {
    /// The version of the default operator set; `None` for a model that only imports others.
    pub(crate) fn opset(&self) -> Option<i64> {
        let default = self.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx");
        default.map(|o| o.version)
    }
}

impl ValueInfo {
    /// What of this value has no place in a [`Tensor`], if anything.
    pub(crate) fn inexpressible(&self) -> Option<&'static str> {
        match self.kind.as_ref().and_then(|k| k.value.as_ref()) {
            Some(TypeValue::Tensor(t)) => dtype(t.elem_type).err(),
            Some(TypeValue::Sequence(_)) => Some("sequence"),
            Some(TypeValue::Map(_)) => Some("map"),
            Some(TypeValue::Sparse(_)) => Some("sparse tensor"),
            Some(TypeValue::Optional(_)) => Some("optional"),
            None => None,
        }
    }
}

impl TensorProto {
    pub(crate) fn tensor(&self) -> Result<Tensor, String> {
        let dims: Vec<usize> = self.dims.iter().map(|&d| d as usize).collect();
        let dtype = dtype(self.data_type).map_err(|name| format!("tensor of {name}"))?;
        let made = match (dtype, &self.raw_data) {
            (DType::String, _) => {
                let text = self.string_data.iter().map(|s| String::from_utf8_lossy(s).into_owned());
                Tensor::strings(&dims, text.collect())
            }
            (_, Some(raw)) => Shape::new(&dims).and_then(|shape| Tensor::copy_from(dtype, shape, raw)),
            (_, None) => Shape::new(&dims).and_then(|shape| Tensor::copy_from(dtype, shape, &self.typed(dtype))),
        };
        made.map_err(|e| e.to_string())
    }

    /// The bytes of the field that the format prescribes for a dtype; half floats lie in integers, by bits.
    fn typed(&self, dtype: DType) -> Vec<u8> {
        fn bytes<T, const N: usize>(of: &[T], to: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
            of.iter().flat_map(to).collect()
        }
        match dtype {
            DType::F32 => bytes(&self.float_data, |v| v.to_le_bytes()),
            DType::F64 => bytes(&self.double_data, |v| v.to_le_bytes()),
            DType::I64 => bytes(&self.int64_data, |v| v.to_le_bytes()),
            DType::I32 => bytes(&self.int32_data, |v| v.to_le_bytes()),
            DType::U64 => bytes(&self.uint64_data, |v| v.to_le_bytes()),
            DType::U32 => bytes(&self.uint64_data, |v| (*v as u32).to_le_bytes()),
            dtype if dtype.size() == Some(2) => bytes(&self.int32_data, |v| (*v as u16).to_le_bytes()),
            _ => bytes(&self.int32_data, |v| [*v as u8]),
        }
    }
}

/// The dtype of a `TensorProto.DataType` number, or the name of one that Selvedge has not.
fn dtype(number: i32) -> Result<DType, &'static str> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        8 => DType::String,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        14 | 15 => return Err("complex"),
        17..=20 | 24 => return Err("float8"),
        21 | 22 => return Err("int4"),
        23 => return Err("float4"),
        25 | 26 => return Err("int2"),
        _ => return Err("an unknown dtype"),
    })
}
