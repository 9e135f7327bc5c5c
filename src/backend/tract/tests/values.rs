//! Values across the border, and the tensors of a file as tract reads them.

use std::collections::BTreeMap;

use half::{bf16, f16};
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{StringStringEntryProto, TensorProto};

use super::super::file::OnnxFile;
use super::super::{Tract, load, weights};
use super::craft::{self, graph, int, model, node, tensor};
use super::{ask, data, f32s, open, options};
use crate::backend::model::OnnxModel;
use crate::source::OpenedFile;
use crate::tensor::Bytes;
use crate::{Code, DType, Loading, Shape, Source, Tensor};

#[test]
fn half_precision_is_right_in_either_precision() {
    let file: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(data("expected.json")).unwrap()).unwrap();
    let case = &file["runnable"]["scale_f16.onnx"];
    let halves = |v: &serde_json::Value| {
        let data = flat(&v["data"]).into_iter().map(f16::from_f64).collect();
        let dims: Vec<usize> = v["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        Tensor::new(&dims, data).unwrap()
    };
    for native_half in [false, true] {
        let opened = OpenedFile::open(Source::from(data("scale_f16.onnx")), Loading::Mapped).unwrap();
        let engine =
            Tract(load(&OnnxModel::open(opened, &options()).unwrap(), &options(), native_half).unwrap().into());
        let y = ask(&engine, [("x", halves(&case["inputs"]["x"]))]).unwrap();
        assert_eq!(y, halves(&case["outputs"]["y"]), "native: {native_half}");
    }
}

fn flat(value: &serde_json::Value) -> Vec<f64> {
    match value {
        serde_json::Value::Array(values) => values.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

#[test]
fn a_graph_may_convert_to_and_from_half_precision() {
    // 1/3 in bf16 is 0.333984375, and half of that is exact, too.
    let nodes = vec![
        int(node("Cast", "x", "wide"), "to", 1),
        node("Mul", "wide half", "h"),
        int(node("Cast", "h", "y"), "to", 16),
    ];
    let graph = graph(nodes, &["x bf16 n"], &["y bf16 n"], vec![craft::f32s("half", &[], &[0.5])]);
    let engine = open(model(graph, &[]));
    let x = Tensor::new(&[2], vec![bf16::from_f32(1.0 / 3.0), bf16::NEG_INFINITY]).unwrap();
    let y = ask(&*engine, [("x", x)]).unwrap();
    assert_eq!(y.as_slice::<bf16>().unwrap(), [bf16::from_f32(0.333_984_38 / 2.0), bf16::NEG_INFINITY]);
}

#[test]
fn memory_of_others_need_not_be_aligned() {
    static BYTES: [u8; 17] = [9, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40];
    let engine = open(data("echo_f32.onnx"));
    for start in 0..2 {
        let bytes = Bytes::shared(&BYTES[start..start + 16]);
        let x = Tensor::from_bytes(DType::F32, Shape::new(&[4]).unwrap(), bytes).unwrap();
        let y = ask(&*engine, [("x", x)]).unwrap();
        assert_eq!(y.bytes().unwrap(), &BYTES[start..start + 16]);
    }
}

#[test]
fn a_bool_is_0_or_1() {
    let engine = open(data("echo_bool.onnx"));
    let x = Tensor::copy_from(DType::Bool, Shape::new(&[2]).unwrap(), &[1, 2]).unwrap();
    assert_eq!(ask(&*engine, [("x", x)]).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn nothing_goes_in_and_out() {
    for (file, dtype) in [("echo_f32.onnx", DType::F32), ("echo_f16.onnx", DType::F16), ("echo_bool.onnx", DType::Bool)]
    {
        let empty = Tensor::zeros(dtype, &[0]).unwrap();
        assert_eq!(ask(&*open(data(file)), [("x", empty.clone())]).unwrap(), empty);
    }
    let empty = Tensor::strings(&[0], vec![]).unwrap();
    assert_eq!(ask(&*open(data("echo_string.onnx")), [("x", empty.clone())]).unwrap(), empty);
}

#[test]
fn an_answer_outlives_its_engine() {
    let engine = open(data("echo_f32.onnx"));
    let x = f32s(&[3], &[1., 2., 3.]);
    let y = ask(&*engine, [("x", x.clone())]).unwrap();
    drop(engine);
    assert_eq!(y, x);
}

#[test]
fn a_constant_of_shape_is_zero_in_f32_by_default() {
    let nodes = vec![node("Shape", "x", "s"), node("ConstantOfShape", "s", "y")];
    let engine = open(model(graph(nodes, &["x f32 n"], &["y f32 n"], vec![]), &[]));
    assert_eq!(ask(&*engine, [("x", f32s(&[2], &[7., 7.]))]).unwrap(), f32s(&[2], &[0., 0.]));
}

#[test]
fn unsigned_constants_are_read_from_their_own_field() {
    for (name, number) in [("u32", DataType::Uint32), ("u64", DataType::Uint64)] {
        let w = TensorProto { uint64_data: vec![1, u64::from(u32::MAX)], ..tensor("w", &[2], number) };
        let graph = graph(vec![node("Identity", "w", "y")], &["x f32 n"], &[&format!("y {name} 2")], vec![w]);
        let y = ask(&*open(model(graph, &[])), [("x", f32s(&[1], &[0.]))]).unwrap();
        match name {
            "u32" => assert_eq!(y.as_slice::<u32>().unwrap(), [1, u32::MAX]),
            _ => assert_eq!(y.as_slice::<u64>().unwrap(), [1, u64::from(u32::MAX)]),
        }
    }
}

fn rewritten(mut tensor: TensorProto) -> (i32, Vec<u8>) {
    let file =
        OnnxFile { bytes: Bytes::zeroed(0).unwrap(), external: BTreeMap::new(), packed: None, native_half: false };
    weights::rewrite(&mut tensor, &file).unwrap();
    (tensor.data_type, tensor.raw_data)
}

#[test]
fn four_bits_become_eight() {
    let packed = |number| TensorProto { raw_data: vec![0x8f, 0x07], ..numbered("w", &[3], number) };
    // 15, 8, 7, or with a sign -1, -8, 7; the fourth nibble is padding.
    assert_eq!(rewritten(packed(21)), (DataType::Uint8 as i32, vec![15, 8, 7]));
    assert_eq!(rewritten(packed(22)), (DataType::Int8 as i32, vec![255, 248, 7]));
    let typed = TensorProto { int32_data: vec![0x8f, 0x07], ..numbered("w", &[3], 22) };
    assert_eq!(rewritten(typed), (DataType::Int8 as i32, vec![255, 248, 7]));
}

fn numbered(name: &str, dims: &[i64], data_type: i32) -> TensorProto {
    TensorProto { data_type, ..tensor(name, dims, DataType::Float) }
}

#[test]
fn halves_are_widened_from_either_field() {
    let wide: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (number, bits) in [
        (DataType::Float16, [f16::from_f32(1.5).to_bits(), f16::from_f32(-2.0).to_bits()]),
        (DataType::Bfloat16, [bf16::from_f32(1.5).to_bits(), bf16::from_f32(-2.0).to_bits()]),
    ] {
        let raw = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let raw = TensorProto { raw_data: raw, ..tensor("w", &[2], number) };
        let typed = TensorProto { int32_data: bits.map(i32::from).into(), ..tensor("w", &[2], number) };
        assert_eq!(rewritten(raw), (DataType::Float as i32, wide.clone()));
        assert_eq!(rewritten(typed), (DataType::Float as i32, wide.clone()));
    }
}

/// Every half, from a file beside the model where the first begins at an odd byte, is what the `half` crate makes of it;
/// a NaN is any.
#[test]
fn halves_of_another_file_are_widened_by_the_kernels() {
    let bytes: Vec<u8> = std::iter::once(0).chain((0..=u16::MAX).flat_map(u16::to_le_bytes)).collect();
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let outside = TensorProto {
        external_data: vec![entry("location", "halves.bin"), entry("offset", "1")],
        data_location: Some(DataLocation::External as i32),
        ..tensor("w", &[1 << 16], DataType::Float16)
    };
    for native_half in [false, true] {
        let external = BTreeMap::from([("halves.bin".into(), Bytes::shared(bytes.clone()))]);
        let file = OnnxFile { bytes: Bytes::zeroed(0).unwrap(), external, packed: None, native_half };
        let mut tensor = outside.clone();
        weights::rewrite(&mut tensor, &file).unwrap();
        assert!(tensor.external_data.is_empty() && tensor.data_location.is_none());
        if native_half {
            assert_eq!((tensor.data_type, &*tensor.raw_data), (DataType::Float16 as i32, &bytes[1..]));
            continue;
        }
        assert_eq!((tensor.data_type, tensor.raw_data.len()), (DataType::Float as i32, 4 << 16));
        for (bits, wide) in (0..=u16::MAX).zip(tensor.raw_data.as_chunks().0) {
            let (got, expected) = (f32::from_le_bytes(*wide), f16::from_bits(bits).to_f32());
            let both_nan = got.is_nan() && expected.is_nan();
            assert!(got.to_bits() == expected.to_bits() || both_nan, "{bits:04x}: expected {expected}, got {got}");
        }
    }
}
