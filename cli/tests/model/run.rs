//! `selvedge run`.

use std::path::Path;

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;

use crate::craft::{input, model, node, output, weight};
use crate::runtimes::backends;
use crate::{command, corpus, ended, json, path};

/// An array of f32, by itself.
fn npy(path: &Path, shape: &[u64], values: &[f32]) {
    let file = std::fs::File::create(path).unwrap();
    let mut array = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
    array.extend(values.iter().copied()).unwrap();
    array.finish().unwrap();
}

fn npz<T: npyz::AutoSerialize + Copy>(path: &Path, arrays: &[(&str, &[u64], &[T])]) {
    let mut npz = NpzWriter::create(path).unwrap();
    for (name, shape, values) in arrays {
        let options = npyz::zip::write::FileOptions::default();
        let mut array = npz.array(name, options).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
        array.extend(values.iter().copied()).unwrap();
        array.finish().unwrap();
    }
}

/// y = x·W, with x of [n, 2] and W of [2, 3].
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let graph = model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        weight("W", &[2, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]),
        input("x", 1, &[0, 2]),
        output("y", &[0, 3]),
    ]);
    std::fs::write(folder.path().join("m.onnx"), graph).unwrap();
    npy(&folder.path().join("x.npy"), &[2, 2], &[1.0, 0.0, 0.5, 0.25]);
    npz(&folder.path().join("x.npz"), &[("x", &[2, 2], &[1.0f32, 0.0, 0.5, 0.25])]);
    folder
}

#[test]
fn arrays_go_in_and_come_out() {
    let folder = folder();
    for backend in backends() {
        for given in ["x.npz", "x.npy", "x=x.npy"] {
            let reported = json(folder.path(), &["run", "m.onnx", "--input", given, "--backend", backend.name()]);
            let expected = serde_json::json!([
                {"name": "y", "type": "f32", "shape": [2, 3], "values": [1.0, 2.0, 3.0, 3.0, 6.0, 9.0]}
            ]);
            assert_eq!((&reported["outputs"], &reported["model"]["backend"]), (&expected, &backend.name().into()));
        }
        let args = ["run", "m.onnx", "-i", "x.npz", "--backend", backend.name()];
        let (out, err) = ended(&command(folder.path(), &args).output().unwrap(), 0);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[..2], ["y: f32[2, 3]", "  1 2 3 3 6 9"], "{out}");
        assert_eq!(lines[2], "  highest of row 0: 2 (3), 1 (2), 0 (1)");
        assert!(err.is_empty(), "{err}");
        let args = ["run", "m.onnx", "-i", "x.npz", "-o", "y.npz", "--backend", backend.name()];
        let (out, _) = ended(&command(folder.path(), &args).output().unwrap(), 0);
        assert!(out.starts_with("y: f32[2, 3]\n") && out.ends_with("y.npz: 1 arrays\n"), "{out}");
        let mut written = npyz::npz::NpzArchive::open(folder.path().join("y.npz")).unwrap();
        let y = written.by_name("y").unwrap().unwrap();
        assert_eq!(y.shape(), [2, 3]);
        assert_eq!(y.into_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 3.0, 6.0, 9.0]);
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let folder = folder();
    npz(&folder.path().join("double.npz"), &[("x", &[2, 2], &[1.0f64, 0.0, 0.5, 0.25])]);
    npz(&folder.path().join("other.npz"), &[("z", &[2, 2], &[1.0f32, 0.0, 0.5, 0.25])]);
    npy(&folder.path().join("wide.npy"), &[1, 3], &[0.0; 3]);
    for (args, expected) in [
        (&[][..], "--input: expected x: f32["),
        (&["-i", "double.npz"], "x.astype(\"float32\")"),
        (&["-i", "other.npz"], "input 'z' is unknown: expected one of [\"x\"]"),
        (&["-i", "wide.npy"], ", 2], got f32[1, 3]"),
        (&["-i", "none.npz"], "none.npz"),
        (&["-i", "m.onnx"], "m.onnx: expected arrays of NumPy"),
        (&["-i", "x.npz", "--only", "w"], "output 'w' is unknown: expected one of [\"y\"]"),
        (&["-i", "x.npz", "--backend", "fake"], "expected llama, ort, rten, tract or table, got 'fake'"),
    ] {
        let backend = ["--backend", backends()[0].name()];
        let backend = if args.contains(&"--backend") { &[][..] } else { &backend };
        let output = command(folder.path(), &[&["run", "m.onnx"], args, backend].concat()).output().unwrap();
        let (out, err) = ended(&output, 2);
        assert!(out.is_empty() && err.starts_with("error: ") && err.contains(expected), "{args:?}: {err}");
    }
}

/// The highest score of a digit's picture is that of the digit.
#[test]
fn a_digit_is_read() {
    let Some(model) = corpus::path("mnist-conv/model.onnx") else { return };
    let images = corpus::idx(&corpus::path("mnist/t10k-images-idx3-ubyte").expect("lies beside the model"));
    let folder = tempfile::tempdir().unwrap();
    // The first of the test set is a 7.
    let pixels: Vec<f32> = images.row(0).iter().map(|p| f32::from(*p)).collect();
    npy(&folder.path().join("seven.npy"), &[1, 1, 28, 28], &pixels);
    for backend in backends() {
        let args = ["run", path(&model), "--input", "Input3=seven.npy", "--backend", backend.name()];
        let (out, _) = ended(&command(folder.path(), &args).output().unwrap(), 0);
        assert!(out.contains("f32[1, 10]") && out.contains("highest: 7 ("), "{out}");
    }
}

#[cfg(feature = "table")]
#[test]
fn texts_become_vectors() {
    let Some(model) = corpus::path("static-minilm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let reported = json(folder.path(), &["run", path(&model), "--text", "a cat", "--text", "a dog"]);
    let output = &reported["outputs"][0];
    assert_eq!((&output["name"], &output["shape"][0]), (&"embedding".into(), &2.into()), "{reported}");
    let (_, err) = ended(&command(folder.path(), &["run", path(&model)]).output().unwrap(), 2);
    assert!(err.contains("takes texts: expected --text"), "{err}");
}
