//! Inspections of a file, and of a broken one.

use std::fs;
use std::path::{Path, PathBuf};

use selvedge::backend::{Format, inspect};
use selvedge::weights::{GgufWriter, TensorType};
use selvedge::{Code, Loading, Options, Source};

use crate::corpus;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn gguf(path: &Path, set: impl FnOnce(&mut GgufWriter)) {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "none").unwrap();
    set(&mut writer);
    writer.tensor("w", &[3, 32], TensorType::Q4_0).unwrap();
    let mut out = writer.create(path).unwrap();
    out.write(&[0; 3 * 18]).unwrap();
    out.finish().unwrap();
}

#[test]
fn every_source_is_told_alike() {
    let path = data("linear.onnx");
    let bytes = fs::read(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("app.apk");
    fs::write(&archive, [&[7; 100][..], &bytes, &[7; 50]].concat()).unwrap();
    let part = Source::file(fs::File::open(&archive).unwrap(), 100..100 + bytes.len() as u64);
    for source in [Source::from(&path), bytes.clone().into(), part] {
        for loading in [Loading::Mapped, Loading::Read] {
            let again = match &source {
                Source::Path(path) => Source::from(path),
                Source::File { file, range } => Source::File { file: file.try_clone().unwrap(), range: range.clone() },
                Source::Bytes(bytes) => Source::from(bytes.clone()),
                other => panic!("{other:?} is new"),
            };
            let reported = inspect(again, &Options::new().loading(loading)).unwrap();
            assert_eq!(
                (reported.format, reported.bytes, reported.parameters()),
                (Format::Onnx, bytes.len() as u64, 15)
            );
            let ports: Vec<String> = reported.inputs.iter().chain(&reported.outputs).map(|p| p.to_string()).collect();
            assert_eq!(ports, ["x: f32[n, 4]", "y: f32[n, 3]"]);
            assert!(reported.flaw.is_none());
        }
    }
}

#[test]
fn files_beside_a_model_count_and_are_missed() {
    let reported = inspect(data("external/ok/model.onnx"), &Options::new()).unwrap();
    let beside = fs::metadata(data("external/ok/weights.bin")).unwrap().len();
    assert_eq!(reported.bytes, fs::metadata(data("external/ok/model.onnx")).unwrap().len() + beside);
    assert_eq!(reported.tensors[0].location.as_deref(), Some("weights.bin"));
    assert!(
        reported.flaw.is_none() && reported.warnings.iter().any(|w| w.contains("weights.bin")),
        "{:?}",
        reported.warnings
    );

    let reported = inspect(data("external/missing/model.onnx"), &Options::new()).unwrap();
    assert_eq!(reported.flaw.map(|e| e.code()), Some(Code::NotFound));
    // From memory nobody can tell.
    let reported = inspect(fs::read(data("external/missing/model.onnx")).unwrap(), &Options::new()).unwrap();
    assert!(reported.flaw.is_none() && reported.warnings.iter().any(|w| w.contains("path")), "{:?}", reported.warnings);
}

#[test]
fn a_part_of_a_split_model_is_told_and_its_rest_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m-00001-of-00002.gguf");
    gguf(&path, |writer| {
        writer.set("split.no", 0u16).unwrap().set("split.count", 2u16).unwrap();
        writer.set("split.tensors.count", 2i32).unwrap();
    });
    let reported = inspect(&path, &Options::new()).unwrap();
    assert_eq!((reported.tensors.len(), reported.flaw.map(|e| e.code())), (1, Some(Code::NotFound)));
    assert_eq!((reported.tensors[0].shape.as_slice(), reported.tensors[0].bytes), (&[3, 32][..], 54));
    assert_eq!(
        reported.metadata.iter().find(|(key, _)| key == "split.count").map(|(_, v)| v.to_string()).as_deref(),
        Some("2")
    );
}

#[test]
fn types_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "none").unwrap();
    writer.tensor("w", &[1, 256], TensorType::Iq1S).unwrap();
    let mut out = writer.create(&path).unwrap();
    out.write(&[0; 50]).unwrap();
    out.finish().unwrap();
    let reported = inspect(&path, &Options::new()).unwrap();
    assert!(reported.warnings.iter().any(|w| w.contains("IQ1_S")), "{:?}", reported.warnings);
}

#[test]
fn what_cannot_be_listed_is_an_error() {
    for (bytes, code) in [
        (&b""[..], Code::Corrupt),
        (b"GGUF\x03\0\0\0", Code::Corrupt),
        (b"\xff\0\0\0\0\0\0\0{}", Code::Corrupt),
        (b"PK\x03\x04", Code::Unsupported),
        (b"no model at all", Code::Unsupported),
    ] {
        let error = inspect(bytes.to_vec(), &Options::new()).map(|reported| reported.format).unwrap_err();
        assert_eq!(error.code(), code, "{bytes:?}: {error}");
        assert!(error.to_string().contains("inspecting 'model'"), "{error}");
    }
    let error = inspect("no such file", &Options::new()).map(|reported| reported.format).unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[test]
fn weights_that_are_constants_have_the_names_of_what_they_give() {
    let Some(path) = corpus::path("silero/silero_vad.onnx") else { return };
    let reported = inspect(&path, &Options::new()).unwrap();
    assert!(reported.parameters() > 400_000, "{}", reported.parameters());
    assert!(reported.tensors.iter().all(|t| !t.name.is_empty()));
    let listed: u64 = reported.tensors.iter().map(|t| t.bytes).sum();
    assert!(listed < reported.bytes && listed > reported.bytes / 2, "{listed} of {}", reported.bytes);
}

/// Where safetensors has the brace of its header, a graph of 123 bytes has its length.
#[test]
fn an_onnx_file_is_one_whatever_its_ninth_byte_is() {
    let graph = [&[0x12, 121][..], &[b'g'; 121]].concat();
    let bytes = [b"\x08\x08\x12\x03abc\x3a\x7b", &graph[..], b"\x42\x02\x10\x11"].concat();
    assert_eq!(bytes[8], b'{');
    assert_eq!(inspect(bytes, &Options::new()).unwrap().format, Format::Onnx);
}

/// Fields may come in any order, and some are of a later version.
#[test]
fn an_onnx_file_may_begin_with_any_field() {
    let model = fs::read(data("linear.onnx")).unwrap();
    for field in [&b"\xea\x04\x05later"[..], b"\x72\x06\x0a\x01k\x12\x01v", b"\x42\x02\x10\x11"] {
        assert_eq!(inspect([field, &model].concat(), &Options::new()).unwrap().parameters(), 15, "{field:?}");
    }
}

/// A tensor without elements, beside others and alone, and names of another script.
#[test]
fn what_is_empty_is_listed() {
    let tensor = |name: &str, dtype: &str, shape: &str, from: u64, to: u64| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let file = |tensors: &[String], data: usize| {
        let header = format!("{{{}}}", tensors.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
    };
    let none = tensor("\u{7a7a}", "F32", "[0,4]", 1, 1);
    let reported = inspect(file(&[none, tensor("flag", "U8", "[1]", 0, 1)], 1), &Options::new()).unwrap();
    assert!(reported.flaw.is_none() && reported.parameters() == 1, "{reported:?}");
    let empty = &reported.tensors[0];
    assert_eq!((&*empty.name, &*empty.element, &*empty.shape, empty.bytes), ("\u{7a7a}", "F32", &[0, 4][..], 0));
    assert!(!reported.warnings.iter().any(|w| w.contains("does not begin")), "{:?}", reported.warnings);
    let reported = inspect(file(&[tensor("w", "I64", "[3,0]", 0, 0)], 0), &Options::new()).unwrap();
    assert!(reported.flaw.is_none() && reported.tensors.len() == 1, "{reported:?}");
    // Of GGUF, a scalar.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "none").unwrap();
    writer.tensor("\u{3c3}", &[], TensorType::F32).unwrap();
    let mut out = writer.create(&path).unwrap();
    out.write(&[0; 4]).unwrap();
    out.finish().unwrap();
    let reported = inspect(&path, &Options::new()).unwrap();
    assert_eq!((reported.parameters(), &*reported.tensors[0].shape, reported.tensors[0].bytes), (1, &[][..], 4));
}
