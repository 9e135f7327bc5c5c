//! `selvedge pack`, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use serde_json::Value;

use crate::craft::{input, model, node, noise, output, output_of, weight};
use crate::runtimes::{backends, library};

fn selvedge(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    if let Some(library) = library() {
        command.env("SELVEDGE_ONNXRUNTIME", library);
    }
    command.args(arguments).current_dir(folder).output().expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// A file of arrays of noise.
fn npz(path: &Path, arrays: &[(&str, &[u64])]) {
    let mut npz = NpzWriter::create(path).unwrap();
    for (name, shape) in arrays {
        let options = npyz::zip::write::FileOptions::default();
        let mut array = npz.array(name, options).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        array.extend(noise(shape.iter().product::<u64>() as usize, 2)).unwrap();
        array.finish().unwrap();
    }
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
    npz(&folder.path().join("data.npz"), &[("x", &[2, 64])]);
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
    let cases: [(&[&str], &str); 9] = [
        (&["pack", "m.onnx", "-o", "a", "--int8"], "error: a: expected no such file or folder, got one"),
        (&["pack", "none.onnx", "-o", "b", "--int8"], "none.onnx"),
        (&["pack", "data.npz", "-o", "b", "--int8"], "a ZIP archive"),
        (&["pack", "m.onnx", "-o", "b", "--int8", "--keep", "*"], "there is nothing to pack: 'W': a pattern of `keep`"),
        (&["pack", "m.onnx", "-o", "b"], "--int4"),
        (&["pack", "m.onnx", "-o", "b", "--int8", "--bits", "5"], "cannot be used with"),
        (
            &["pack", "m.onnx", "-o", "b", "--int4", "--bits", "4"],
            "'--bits <BITS>': expected 4.5 bits per weight or more",
        ),
        (&["pack", "m.onnx", "-o", "none/b", "--int8"], "error: none: expected a folder to make 'b' in, got none"),
        (
            &["pack", "m.onnx", "-o", "b", "--int8", "--backend", "llama", "--check", "data.npz"],
            "expected tract, rten or ort",
        ),
    ];
    for (arguments, expected) in cases {
        let ran = run(arguments);
        assert!(!ran.status.success() && text(&ran.stderr).contains(expected), "{arguments:?}: {}", text(&ran.stderr));
        assert!(!folder.path().join("b").exists());
    }
    assert!(run(&["pack", "m.onnx", "-o", "a", "--f16", "--overwrite"]).status.success());
    for (bits, blocks) in [("6.25", "q4_0"), ("8.5", "q8_0")] {
        let ran = run(&["pack", "m.onnx", "-o", "a", "--int4", "--bits", bits, "--overwrite", "--json"]);
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert_eq!(report["packed"][0]["format"], blocks, "{bits}");
    }
}

#[test]
fn arrays_that_are_not_the_inputs_are_told_before_the_work() {
    let folder = folder();
    for (arrays, expected) in [
        (&[("x", &[2, 64][..]), ("stray", &[1])][..], "'stray' is no input of the model: expected x"),
        (&[], "input 'x' is not in the file: expected x"),
    ] {
        npz(&folder.path().join("other.npz"), arrays);
        let ran = selvedge(&["pack", "m.onnx", "-o", "b", "--int8", "--check", "other.npz"], folder.path());
        assert_eq!(ran.status.code(), Some(2));
        assert!(text(&ran.stderr).contains(expected) && ran.stdout.is_empty(), "{}", text(&ran.stderr));
        assert!(!folder.path().join("b").exists());
    }
}

#[test]
fn the_report_comes_before_a_comparison_that_fails() {
    let folder = folder();
    npz(&folder.path().join("narrow.npz"), &[("x", &[2, 63])]);
    let backend = backends()[0].name();
    let arguments =
        ["pack", "m.onnx", "-o", "b", "--int8", "--overwrite", "--check", "narrow.npz", "--backend", backend];
    let ran = selvedge(&arguments, folder.path());
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stdout).contains("b: 12.1 KiB -> "), "{}", text(&ran.stdout));
    assert!(text(&ran.stderr).starts_with("error: b was made, and not compared: "), "{}", text(&ran.stderr));
    let ran = selvedge(&[&arguments[..], &["--json"]].concat(), folder.path());
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!((ran.status.code(), &report["check"], &report["scheme"]), (Some(2), &Value::Null, &"int8".into()));
}

#[test]
fn an_answer_that_changed_much_is_no() {
    let folder = folder();
    let backend = backends()[0].name();
    let check = ["pack", "m.onnx", "-o", "b", "--int4", "--overwrite", "--check", "data.npz", "--backend", backend];
    let run = |more: &[&str]| selvedge(&[&check[..], more].concat(), folder.path());
    let ran = run(&[]);
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", text(&ran.stderr));
    let ran = run(&["--tolerance", "0.01"]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    let said = text(&ran.stderr);
    assert!(
        said.starts_with("warning: output 'y' changed much: by ") && said.ends_with(", beyond 1.000 %\n"),
        "{said}"
    );
    assert!(text(&ran.stdout).contains("b: 12.1 KiB -> "), "{}", text(&ran.stdout));
    for (tolerance, code) in [("0.01", 1), ("0.5", 0)] {
        let ran = run(&["--tolerance", tolerance, "--json"]);
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert_eq!((ran.status.code(), &report["check"][0]["changed_much"]), (Some(code), &(code == 1).into()));
        assert!(report["check"][0]["error"].as_f64().is_some_and(|error| error > 0.01 && error < 0.15), "{report}");
    }
    for wrong in ["-0.1", "nan", "much"] {
        let ran = run(&[&*format!("--tolerance={wrong}")]);
        assert!(ran.status.code() == Some(2) && text(&ran.stderr).contains("expected a number from 0"), "{wrong}");
    }
    let ran = selvedge(&["pack", "m.onnx", "-o", "c", "--int8", "--tolerance", "0.1"], folder.path());
    assert!(ran.status.code() == Some(2) && text(&ran.stderr).contains("--check"), "{}", text(&ran.stderr));
}

/// The products of weights and of an input that is as large as they are small, in the shell of a user.
#[test]
fn small_weights_are_not_destroyed() {
    let folder = folder();
    for size in [1e-6f32, 1e-30, 1e20] {
        let graph = model(&[
            node("MatMul", &["x", "W"], "y", &[]),
            weight("W", &[64, 48], &noise(64 * 48, 1).iter().map(|w| w * size).collect::<Vec<_>>()),
            input("x", 1, &[0, 64]),
            output("y", &[0, 48]),
        ]);
        std::fs::write(folder.path().join("small.onnx"), graph).unwrap();
        for (backend, scheme) in backends().into_iter().flat_map(|b| ["--int4", "--int8", "--f16"].map(|s| (b, s))) {
            let arguments =
                ["pack", "small.onnx", "-o", "s", scheme, "--overwrite", "--check", "data.npz", "--json", "--backend"];
            let ran = selvedge(&[&arguments[..], &[backend.name()]].concat(), folder.path());
            assert!(ran.status.success(), "{}", text(&ran.stderr));
            let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
            assert!(
                report["check"][0]["cosine"].as_f64().unwrap() > 0.99,
                "{} {scheme} {size:e}: {report}",
                backend.name()
            );
            assert!(report["packed"][0]["scale"].as_f64().unwrap() != 1.0, "{report}");
        }
    }
    let mut values = noise(64 * 48, 1);
    values[77] = f32::NAN;
    let graph = model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        weight("W", &[64, 48], &values),
        input("x", 1, &[0, 64]),
        output("y", &[0, 48]),
    ]);
    std::fs::write(folder.path().join("nan.onnx"), graph).unwrap();
    let ran = selvedge(&["pack", "nan.onnx", "-o", "n", "--int8"], folder.path());
    assert_eq!(ran.status.code(), Some(1));
    let expected = "there is nothing to pack: 'W': expected finite weights, got NaN";
    assert!(text(&ran.stderr).contains(expected), "{}", text(&ran.stderr));
}

#[test]
fn a_model_that_keeps_most_of_its_bytes_is_told() {
    let folder = folder();
    let graph = model(&[
        node("MatMul", &["x", "W"], "h", &[]),
        node("Mul", &["h", "M"], "y", &[]),
        weight("W", &[64, 48], &noise(64 * 48, 1)),
        weight("M", &[200, 48], &noise(200 * 48, 2)),
        input("x", 1, &[200, 64]),
        output("y", &[200, 48]),
    ]);
    std::fs::write(folder.path().join("m.onnx"), graph).unwrap();
    for scheme in ["--int4", "--int8", "--f16"] {
        let ran = selvedge(&["pack", "m.onnx", "-o", "a", scheme, "--overwrite"], folder.path());
        let said = text(&ran.stderr);
        assert!(ran.status.success() && said.starts_with("warning: the model keeps "), "{scheme}: {said}");
        let why = if scheme == "--f16" { "no MatMul" } else { "Mul reads it" };
        assert!(said.contains(&format!(" of them were not packed: 'M' of 37.5 KiB: {why}")), "{scheme}: {said}");
        let ran = selvedge(&["pack", "m.onnx", "-o", "a", scheme, "--overwrite", "--json"], folder.path());
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert!(report["keeps_most"] == Value::Bool(true) && ran.stderr.is_empty(), "{report}");
    }
}

#[test]
fn outputs_in_half_precision_are_compared() {
    let folder = folder();
    let graph = model(&[
        node("MatMul", &["x", "W"], "h", &[]),
        node("Cast", &["h"], "y", &[("to", 10)]),
        weight("W", &[64, 48], &noise(64 * 48, 1)),
        input("x", 1, &[0, 64]),
        output_of("y", 10, &[0, 48]),
    ]);
    std::fs::write(folder.path().join("half.onnx"), graph).unwrap();
    for backend in backends() {
        let to = format!("half-{}", backend.name());
        let arguments = ["pack", "half.onnx", "-o", &*to, "--int8", "--check", "data.npz", "--json", "--backend"];
        let ran = selvedge(&[&arguments[..], &[backend.name()]].concat(), folder.path());
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        assert!(report["check"][0]["cosine"].as_f64().unwrap() > 0.999, "{report}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning() {
    let folder = folder();
    let arguments = ["pack", "m.onnx", "-o", "a", "--int8", "--overwrite", "--keep", "MatMull", "--only", "W"];
    let ran = selvedge(&arguments, folder.path());
    assert!(ran.status.success());
    assert_eq!(text(&ran.stderr), "warning: 'MatMull' matches no tensor, and no node that reads one\n");
    let ran = selvedge(&[&arguments[..], &["--json"]].concat(), folder.path());
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert!(report["unmatched"] == serde_json::json!(["MatMull"]) && ran.stderr.is_empty(), "{report}");
}

#[test]
fn a_packed_folder_is_a_model_to_every_command() {
    let folder = folder();
    let run = |arguments: &[&str]| selvedge(arguments, folder.path());
    assert!(run(&["pack", "m.onnx", "-o", "p8", "--int8"]).status.success());
    let reported = run(&["inspect", "--json", "p8"]);
    let reported: Value = serde_json::from_slice(&reported.stdout).expect("JSON");
    assert_eq!((&reported["name"], &reported["types"][0]["type"]), (&"p8".into(), &"Q8_0".into()), "{reported}");
    assert_eq!(reported["types"][0]["bytes"], 48 * 2 * 34);
    let ran = run(&["validate", "p8"]);
    assert!(ran.status.success() && text(&ran.stdout).starts_with("p8: valid ONNX"), "{}", text(&ran.stdout));
    // The weight file by itself is a file like any other, and no model of a backend.
    let ran = run(&["validate", "p8/weights.gguf"]);
    assert!(ran.status.success() && text(&ran.stdout).contains(": valid GGUF"), "{}", text(&ran.stdout));
    let ran = run(&["pack", "p8", "-o", "p4", "--int4"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("expected a model that is not packed yet"), "{}", text(&ran.stderr));
    // One bit of the weights.
    let weights = folder.path().join("p8/weights.gguf");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let ran = run(&["validate", "p8"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stdout).contains("invalid: weights.gguf: expected SHA-256"), "{}", text(&ran.stdout));
}
