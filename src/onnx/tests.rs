use std::path::{Path, PathBuf};

use super::*;
use crate::Code;
use crate::source::{Loading, OpenedFile, Source};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).expect(name)
}

/// One length-delimited field.
fn field(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend(content);
    out
}

fn varint(tag: u32, value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::Varint, &mut out);
    prost::encoding::encode_varint(value as u64, &mut out);
    out
}

/// A model of operator set 17 around a graph.
fn model(graph: &[u8]) -> Vec<u8> {
    [varint(1, 8), field(8, &varint(2, 17)), field(7, graph)].concat()
}

fn refused(bytes: &[u8]) -> Error {
    read(bytes).expect_err("a malformed model was taken")
}

#[test]
fn a_model_declares_its_ports_operators_and_weights() {
    let linear = read(&bytes("linear.onnx")).unwrap();
    assert_eq!(linear.inputs.iter().map(Port::to_string).collect::<Vec<_>>(), ["x: f32[n, 4]"]);
    assert_eq!(linear.outputs.iter().map(Port::to_string).collect::<Vec<_>>(), ["y: f32[n, 3]"]);
    assert_eq!(linear.operators.iter().collect::<Vec<_>>(), ["Add", "MatMul"]);
    assert_eq!(linear.weight_bytes, (4 * 3 + 3) * 4);
    assert_eq!(linear.opsets[""], 17);
    assert!(!linear.half && read(&bytes("scale_f16.onnx")).unwrap().half);
}

#[test]
fn ports_that_are_no_tensors_say_what_they_are() {
    let kind = |name| read(&bytes(name)).unwrap().outputs[0].kind.to_string();
    assert_eq!(kind("map.onnx"), "sequence(map(string, f32[]))");
    assert_eq!(kind("sequence.onnx"), "sequence(f32[n])");
}

#[test]
fn operators_of_sub_graphs_are_seen() {
    assert!(read(&bytes("slow.onnx")).unwrap().operators.contains("MatMul"));
    assert!(read(&bytes("unknown_op.onnx")).unwrap().operators.iter().any(|o| o.starts_with("made.up:")));
}

#[test]
fn an_initialized_input_is_optional() {
    let initializer = [varint(1, 2), varint(2, 1), field(8, b"x"), field(9, &[0; 8])].concat();
    let declared =
        read(&model(&[field(5, &initializer), field(11, &field(1, b"x")), field(11, &field(1, b"z"))].concat()));
    assert_eq!(declared.unwrap().inputs.iter().map(|p| p.optional).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn an_initialized_input_of_an_old_file_is_a_constant() {
    let initializer = [varint(1, 2), varint(2, 1), field(8, b"x"), field(9, &[0; 8])].concat();
    let graph = [field(5, &initializer), field(11, &field(1, b"x")), field(11, &field(1, b"z"))].concat();
    let old = [varint(1, 3), field(8, &varint(2, 8)), field(7, &graph)].concat();
    assert_eq!(read(&old).unwrap().inputs.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["z"]);
}

#[test]
fn what_parsers_would_read_otherwise_is_refused() {
    let twice = [model(&[]), field(7, &field(2, b"again"))].concat();
    assert!(refused(&twice).to_string().contains("graph: expected it once"));
    let tensor = field(5, &varint(1, 1));
    let attribute = |fields: &[u8]| model(&field(1, &field(5, fields)));
    assert!(read(&attribute(&tensor)).is_ok());
    assert!(refused(&attribute(&[tensor.clone(), tensor].concat())).to_string().contains("twice"));
    let graph = field(6, &[]);
    assert!(refused(&attribute(&[graph.clone(), graph].concat())).to_string().contains("sub-graph"));
    // 2^32 + 1 is 1, "external", to a parser that reads 32 bits.
    let wide = [varint(2, 1), field(8, b"w"), varint(14, (1 << 32) + 1)].concat();
    assert!(refused(&model(&field(5, &wide))).to_string().contains("no location"));
}

#[test]
fn data_must_fit_the_dimensions() {
    for name in ["raw_mismatch.onnx", "huge_dims.onnx", "no_graph.onnx"] {
        assert_eq!(refused(&bytes(name)).code(), Code::Corrupt, "{name}");
    }
    let error = refused(&bytes("raw_mismatch.onnx")).to_string();
    assert!(error.contains("expected 32 bytes of data, got 4"), "{error}");
    let zero_in_between = [varint(1, 1 << 62), varint(1, 0), varint(1, 1 << 62), varint(2, 1)].concat();
    assert_eq!(refused(&model(&field(5, &zero_in_between))).code(), Code::Corrupt);
    assert_eq!(refused(&model(&field(5, &varint(1, -1)))).code(), Code::Corrupt);
}

#[test]
fn odd_files_are_refused() {
    assert_eq!(refused(&bytes("opset_future.onnx")).code(), Code::Unsupported);
    let prose: &[u8] = b"It was a bright cold day in April, and the clocks were striking thirteen.\n";
    for bad in [prose, b"#!/bin/sh\necho hello\n", b"{\"a\": 1}", &[0xff; 64], &[0; 64], b"\x08\x08"] {
        assert_eq!(refused(bad).code(), Code::Corrupt, "{bad:?}");
    }
    let group = [model(&[]), vec![(12 << 3) | 3]].concat();
    assert!(refused(&group).to_string().contains("group"));
}

#[test]
fn nesting_and_size_are_limited() {
    let mut graph = Vec::new();
    for _ in 0..200 {
        graph = field(1, &field(5, &field(6, &graph)));
    }
    assert!(refused(&model(&graph)).to_string().contains("deeper"));
    let many = field(1, &[]).repeat(MAX_NODES + 1);
    assert!(refused(&model(&many)).to_string().contains("nodes"));
    // Also where a packed graph is taken apart, which comes first.
    for many in [many, field(5, &[]).repeat(MAX_NODES + 1)] {
        let error = Graph::read(&model(&many)).err().expect("a graph beyond the limit was taken apart");
        assert!(error.to_string().contains("more than 1000000"), "{error}");
    }
    for (tag, what) in [(11, "inputs"), (12, "outputs")] {
        let ports = |n: usize| (0..n).flat_map(|i| field(tag, &field(1, i.to_string().as_bytes()))).collect::<Vec<_>>();
        assert!(read(&model(&ports(MAX_PORTS))).is_ok());
        assert!(refused(&model(&ports(MAX_PORTS + 1))).to_string().contains(what));
    }
    let mut kind = Vec::new();
    for _ in 0..200 {
        kind = field(4, &field(1, &kind));
    }
    assert!(refused(&model(&field(11, &field(2, &kind)))).to_string().contains("deeper"));
}

#[test]
fn every_prefix_and_bit_flip_is_taken_or_refused_but_never_more() {
    for name in ["linear.onnx", "map.onnx", "scan_if.onnx", "external/ok/model.onnx"] {
        let good = bytes(name);
        for n in 0..good.len() {
            // A prefix may end between two fields, so some are models, too.
            let _ = read(&good[..n]);
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let _ = read(&bad);
        }
    }
}

#[test]
fn external_data_is_read_from_the_folder_and_nowhere_else() {
    let open = |name: &str| {
        let model = OpenedFile::open(Source::from(data(name)), Loading::Mapped)?;
        let declared = read(model.bytes.as_slice())?;
        External::open_all(&declared.external, &model, Loading::Mapped)
    };
    let files = open("external/ok/model.onnx").unwrap();
    assert_eq!(files["weights.bin"].as_slice(), bytes("external/ok/weights.bin"));
    for name in ["parent", "absolute", "short", "marker"] {
        assert_eq!(open(&format!("external/{name}/model.onnx")).unwrap_err().code(), Code::Corrupt, "{name}");
    }
    assert_eq!(open("external/missing/model.onnx").unwrap_err().code(), Code::NotFound);
}

#[test]
#[cfg(unix)]
fn external_data_behind_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(data("external/ok/model.onnx"), folder.path().join("model.onnx")).unwrap();
    let open = || {
        let model = OpenedFile::open(Source::from(folder.path().join("model.onnx")), Loading::Read)?;
        let declared = read(model.bytes.as_slice())?;
        External::open_all(&declared.external, &model, Loading::Read)
    };
    std::os::unix::fs::symlink(data("external/ok/weights.bin"), folder.path().join("weights.bin")).unwrap();
    assert!(open().unwrap_err().to_string().contains("symbolic link"));
    std::fs::remove_file(folder.path().join("weights.bin")).unwrap();
    std::fs::create_dir(folder.path().join("weights.bin")).unwrap();
    assert!(open().unwrap_err().to_string().contains("regular file"));
}

#[test]
fn a_location_is_a_path_of_plain_names() {
    let located = |location| External::new("w", &[("location", location)], 4).map(|e| e.location);
    for good in ["weights.bin", "data/weights.bin", "./weights.bin", "a..b"] {
        assert_eq!(located(good).unwrap(), good);
    }
    for bad in ["", "/etc/passwd", "../w", "a/../../w", "C:\\w", "a\0b", "*/_ORT_MEM_ADDR_/*", "c:w"] {
        assert_eq!(located(bad).unwrap_err().code(), Code::Corrupt, "{bad:?}");
    }
    let range = |key, value| External::new("w", &[("location", "w"), (key, value)], 4).map(|_| ());
    assert!(range("offset", "18446744073709551616").is_err() && range("offset", "-1").is_err());
    assert!(range("length", "5").is_err() && range("length", "4").is_ok());
}
