//! The command `selvedge`, run as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use selvedge::weights::{GgufWriter, TensorType};
use serde_json::Value;

fn selvedge(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_selvedge")).args(args).output().unwrap()
}

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name).to_str().unwrap().to_owned()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    // Not a terminal: no colours, no cursor that moves.
    assert!(!out.contains(['\x1b', '\r', '\x08']) && !err.contains(['\x1b', '\r', '\x08']), "{out}{err}");
    (out, err)
}

#[track_caller]
fn json(args: &[&str], code: i32) -> Value {
    let (out, err) = ended(&selvedge(args), code);
    assert!(err.is_empty(), "{err}");
    assert_eq!(out.lines().count(), 1, "{out}");
    serde_json::from_str(&out).unwrap()
}

/// A GGUF file as another program could have made it, with a text that would move a terminal's cursor.
fn gguf(folder: &Path) -> PathBuf {
    let path = folder.join("model.gguf");
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "none").unwrap();
    writer.set("general.name", "a \x1b[2J\nname, \u{202e}gpj.exe").unwrap();
    writer.set("none.layers", 2u32).unwrap().set("none.least", -1i8).unwrap().set("none.most", u64::MAX).unwrap();
    writer
        .set("none.norm", 1e-5f32)
        .unwrap()
        .set("none.scale", f32::INFINITY)
        .unwrap()
        .set("none.causal", true)
        .unwrap();
    writer.tensor("blk.0.w", &[2, 64], TensorType::Q8_0).unwrap();
    writer.tensor("norm", &[64], TensorType::F32).unwrap();
    let mut out = writer.create(&path).unwrap();
    out.write(&[0; 2 * 2 * 34]).unwrap();
    out.write(&[0; 64 * 4]).unwrap();
    out.finish().unwrap();
    path
}

/// A GGUF file that says what type of file it is.
fn typed(folder: &Path, kind: &str) -> Vec<u8> {
    let path = folder.join("typed.gguf");
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama").unwrap().set("general.type", kind).unwrap();
    writer.tensor("blk.0.attn_q.weight.lora_a", &[2, 64], TensorType::F32).unwrap();
    let mut out = writer.create(&path).unwrap();
    out.write(&[0; 2 * 64 * 4]).unwrap();
    out.finish().unwrap();
    fs::read(path).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn inspect_tells_what_an_onnx_file_holds() {
    let reported = json(&["inspect", "--json", &data("linear.onnx")], 0);
    assert_eq!((reported["format"].as_str(), reported["parameters"].as_u64()), (Some("ONNX"), Some(15)));
    assert_eq!(reported["inputs"][0], serde_json::json!({"name": "x", "type": "f32[n, 4]", "optional": false}));
    assert_eq!(reported["opsets"]["ai.onnx"], 17);
    assert_eq!(reported["operators"], serde_json::json!(["Add", "MatMul"]));
    assert_eq!(reported["tensors"][0], serde_json::json!({"name": "w", "type": "f32", "shape": [4, 3], "bytes": 48}));
    assert_eq!(reported["bytes"], fs::metadata(data("linear.onnx")).unwrap().len());
    assert_eq!(reported["flaw"], Value::Null);
    let (out, _) = ended(&selvedge(&["inspect", "--tensors", &data("linear.onnx")]), 0);
    for part in ["linear: ONNX, 204 B", "2 tensors, 15 parameters", "f32[n, 4]", "Add MatMul", "[4, 3]"] {
        assert!(out.contains(part), "no {part}: {out}");
    }
    assert!(!ended(&selvedge(&["inspect", &data("linear.onnx")]), 0).0.contains("[4, 3]"));
}

#[test]
fn inspect_tells_what_a_gguf_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = gguf(folder.path());
    let reported = json(&["inspect", "--json", path(&file)], 0);
    assert_eq!((reported["format"].as_str(), reported["parameters"].as_u64()), (Some("GGUF"), Some(192)));
    let metadata = serde_json::json!({
        "general.architecture": "none", "general.name": "a \x1b[2J\nname, \u{202e}gpj.exe", "none.layers": 2,
        "none.least": -1, "none.most": u64::MAX, "none.norm": 0.00001, "none.scale": "inf", "none.causal": true,
    });
    assert_eq!(reported["metadata"], metadata);
    let types = serde_json::json!([
        {"type": "F32", "tensors": 1, "bytes": 256}, {"type": "Q8_0", "tensors": 1, "bytes": 136}
    ]);
    assert_eq!(reported["types"], types);
    assert_eq!(reported["tensors"][0]["shape"], serde_json::json!([2, 64]));
    // `ended` has looked for what would command the terminal.
    let (out, _) = ended(&selvedge(&["inspect", path(&file)]), 0);
    assert!(out.contains("a \\u{1b}[2J\\nname, \\u{202e}gpj.exe"), "{out}");
}

#[cfg(feature = "table")]
#[test]
fn inspect_tells_what_a_static_model_holds() {
    let reported = json(&["inspect", "--json", &data("static")], 0);
    assert_eq!((reported["format"].as_str(), reported["tensors"].as_array().unwrap().len()), (Some("safetensors"), 3));
    let memory = &reported["memory"]["table"];
    assert_eq!(memory["weights"], 167 * 32 * 2);
    let part = |name: &str| memory[name].as_u64().unwrap();
    assert_eq!(part("total"), part("weights") + part("context") + part("scratch"));
    assert_eq!(reported["warnings"], serde_json::json!([]));
}

#[test]
fn validate_finds_good_files_valid() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = gguf(folder.path());
    let files =
        [(data("linear.onnx"), "ONNX"), (data("external/ok/model.onnx"), "ONNX"), (data("static"), "safetensors")];
    for (file, format) in files {
        let reported = json(&["validate", "--json", &file], 0);
        assert_eq!(
            (reported["valid"].as_bool(), reported["format"].as_str()),
            (Some(true), Some(format)),
            "{reported}"
        );
        let (out, err) = ended(&selvedge(&["validate", &file]), 0);
        assert!(out.starts_with(&format!("{file}: valid {format}\n")) && err.is_empty(), "{out}{err}");
    }
    // A good file of an architecture that llama.cpp does not have: there is nothing wrong with it.
    let reported = json(&["validate", "--json", path(&gguf)], 0);
    assert_eq!(reported["valid"], true, "{reported}");
    if cfg!(feature = "llama") {
        assert!(
            reported["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains("'none'")),
            "{reported}"
        );
    }
}

#[test]
fn validate_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(gguf(folder.path())).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        path(&file).to_owned()
    };
    let safetensors = fs::read(data("static/model.safetensors")).unwrap();
    let files = vec![
        (data("external/short/model.onnx"), "weights.bin"),
        (data("external/missing/model.onnx"), "nothing.bin"),
        (data("external/parent/model.onnx"), "below the model's folder"),
        (data("no_graph.onnx"), "no graph"),
        (data("raw_mismatch.onnx"), "expected"),
        (write("empty", b""), "empty"),
        (write("archive.onnx", b"PK\x03\x04 and so on"), "ZIP"),
        (write("text", b"This is a text, and no model.\n"), "ONNX"),
        (write("short.gguf", &good[..good.len() - 1]), "expected"),
        (write("long.gguf", &[&good[..], &[0; 4096]].concat()), "expected"),
        (write("short.safetensors", &safetensors[..safetensors.len() - 1]), "expected"),
        (write("index.json", b"{\"weight_map\":{\"a\":\"nothing.safetensors\"}}"), "nothing.safetensors"),
        (write("config.json", b"{\"arch\": {\"layers\": 3}}"), "weight_map and metadata, got 'arch'"),
        (write("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "got one that begins like none of them: 89 50 4e 47"),
        (write("GGU", b"GGU"), "the magic, at byte 0: expected 4 bytes, got 3"),
        (write("seven", &safetensors[..7]), "a header length of 8 bytes, got 7"),
        (write("blank", &[&safetensors[..8], b" ", &safetensors[9..]].concat()), "a header from '{'"),
        (
            write("long header", &[&(1u64 << 63).to_le_bytes(), &safetensors[8..]].concat()),
            "a header of 9223372036854775808",
        ),
        (
            write("adapter.gguf", &typed(folder.path(), "adapter")),
            "expected a model, got a GGUF file of type 'adapter'",
        ),
    ];
    if cfg!(feature = "table") {
        let alone = write("alone.safetensors", &safetensors);
        let reported = json(&["validate", "--json", &alone], 0);
        assert!(reported["warnings"][0].as_str().unwrap().contains("tokenizer.json"), "{reported}");
    }
    for (file, reason) in files {
        let reported = json(&["validate", "--json", &file], 1);
        assert_eq!(reported["valid"], false, "{reported}");
        assert!(reported["flaw"]["reason"].as_str().unwrap().contains(reason), "{reported}");
        let (out, err) = ended(&selvedge(&["validate", &file]), 1);
        assert!(out.starts_with(&format!("{file}: invalid: ")) && out.contains(reason) && err.is_empty(), "{out}{err}");
    }
}

#[test]
fn what_could_not_be_done_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["inspect", "validate"] {
        for (args, reported) in [
            (vec![command, "no such file"], "error: no such file"),
            (vec![command, path(folder.path())], "error: "),
            (vec![command], "error: "),
            (vec![command, "--nonsense", "a"], "error: unexpected argument"),
        ] {
            let (out, err) = ended(&selvedge(&args), 2);
            assert!(out.is_empty() && err.starts_with(reported), "{out}{err}");
        }
    }
    // A file that is no model is an answer to `validate`, and an error of `inspect`.
    let (out, err) = ended(&selvedge(&["inspect", &data("no_graph.onnx")]), 1);
    assert!(out.is_empty() && err.starts_with("error: "), "{out}{err}");
    assert_eq!(ended(&selvedge(&["nonsense"]), 2).0, "");
    let (help, _) = ended(&selvedge(&["--help"]), 0);
    assert!(help.contains("Exit codes:") && help.contains("`pack` could not"), "{help}");
    for command in ["inspect", "validate"] {
        assert!(ended(&selvedge(&[command, "--help"]), 0).0.contains("--json"));
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::os::fd::OwnedFd;
    // A pipe whose reading end is closed before the command writes.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    let ran = command.args(["inspect", &data("linear.onnx")]).stdout(OwnedFd::from(writer)).output().unwrap();
    assert_eq!((ran.status.code(), ran.stderr.len()), (Some(0), 0), "{}", String::from_utf8_lossy(&ran.stderr));
}
