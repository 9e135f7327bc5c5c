//! `selvedge pack`, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use serde_json::Value;

use crate::backends;
use crate::craft::{input, model, node, noise, output, weight};

fn selvedge(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    if let Some(library) = crate::library() {
        command.env("SELVEDGE_ONNXRUNTIME", library);
    }
    command.args(arguments).current_dir(folder).output().expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// A folder with a model and inputs for it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let graph = model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        weight("W", &[64, 48], &noise(64 * 48, 1)),
        input("x", 1, &[0, 64]),
        output("y", &[0, 48]),
    ]);
    std::fs::write(folder.path().join("m.onnx"), graph).unwrap();
    for (file, name) in [("data.npz", "x"), ("stray.npz", "stray")] {
        let mut npz = NpzWriter::create(folder.path().join(file)).unwrap();
        let mut array = npz
            .array(name, npyz::zip::write::FileOptions::default())
            .unwrap()
            .default_dtype()
            .shape(&[2, 64])
            .begin_nd()
            .unwrap();
        array.extend(noise(128, 2)).unwrap();
        array.finish().unwrap();
    }
    folder
}

#[test]
fn a_model_is_packed_checked_and_run_from_the_command_line() {
    let folder = folder();
    for (n, backend) in backends().into_iter().enumerate() {
        for (scheme, least) in [("--int4", 0.99), ("--int8", 0.9999), ("--f16", 0.999999)] {
            let to = format!("packed{scheme}-{n}");
            let check = ["--check", "data.npz", "--backend", backend.name(), "--json"];
            let ran = selvedge(&[&["pack", "m.onnx", "-o", &*to, scheme][..], &check].concat(), folder.path());
            assert!(ran.status.success() && ran.stderr.is_empty(), "{}", text(&ran.stderr));
            let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
            assert_eq!(report["scheme"], scheme.trim_start_matches('-'));
            assert_eq!(
                (&report["packed"][0]["name"], &report["packed"][0]["shape"]),
                (&"W".into(), &[64, 48][..].into())
            );
            assert!(report["packed"][0]["worst_error"].as_f64().unwrap() > 0.0);
            let check = &report["check"][0];
            assert_eq!(check["output"], "y");
            assert!(check["cosine"].as_f64().unwrap() >= least, "{} {scheme}: {check}", backend.name());
            assert!(check["max_absolute"].as_f64().unwrap() > 0.0, "blocks lose something");
            let size = |file: &str| std::fs::metadata(folder.path().join(&to).join(file)).unwrap().len();
            assert_eq!(report["bytes_after"], size("model.onnx") + size("weights.gguf"));
        }
    }
}

#[test]
fn it_is_quiet_and_says_what_is_wrong() {
    let folder = folder();
    let run = |arguments: &[&str]| selvedge(arguments, folder.path());
    let ran = run(&["pack", "m.onnx", "-o", "a", "--int8"]);
    assert!(ran.status.success() && ran.stderr.is_empty());
    assert!(text(&ran.stdout).contains("W") && text(&ran.stdout).contains("a: 12.1 KiB -> "), "{}", text(&ran.stdout));
    assert!(!text(&ran.stdout).contains('\u{1b}'), "no colours in a pipe");
    let cases: [(&[&str], &str); 8] = [
        (&["pack", "m.onnx", "-o", "a", "--int8"], "error: a: expected no such file or folder, got one"),
        (&["pack", "none.onnx", "-o", "b", "--int8"], "none.onnx"),
        (&["pack", "data.npz", "-o", "b", "--int8"], "a ZIP archive"),
        (&["pack", "m.onnx", "-o", "b", "--int8", "--keep", "*"], "there is nothing to pack: 'W': a pattern of `keep`"),
        (&["pack", "m.onnx", "-o", "b"], "--int4"),
        (&["pack", "m.onnx", "-o", "b", "--int8", "--bits", "5"], "cannot be used with"),
        (&["pack", "m.onnx", "-o", "b", "--int4", "--bits", "4"], "mean_bits: expected 4.5 or more, got 4"),
        (
            &["pack", "m.onnx", "-o", "b", "--int8", "--backend", "gguf", "--check", "data.npz"],
            "expected tract or onnx",
        ),
    ];
    for (arguments, expected) in cases {
        let ran = run(arguments);
        assert!(!ran.status.success() && text(&ran.stderr).contains(expected), "{arguments:?}: {}", text(&ran.stderr));
        assert!(!folder.path().join("b").exists());
    }
    let ran = run(&["pack", "m.onnx", "-o", "b", "--int8", "--check", "stray.npz"]);
    assert!(text(&ran.stderr).contains("'stray' is no input of the model: expected x"), "{}", text(&ran.stderr));
    assert!(run(&["pack", "m.onnx", "-o", "a", "--f16", "--overwrite"]).status.success());
    for (bits, blocks) in [("6.25", "q4_0"), ("8.5", "q8_0")] {
        let ran = run(&["pack", "m.onnx", "-o", "a", "--int4", "--bits", bits, "--overwrite", "--json"]);
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert_eq!(report["packed"][0]["format"], blocks, "{bits}");
    }
}
