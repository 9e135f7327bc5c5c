//! Files that must not load, or must not reach what they name.

use super::craft::*;
use super::fixture::{data, open, options};
use super::library::child;
use crate::{Ask, Code, Loading, Tensor, Tensors};

#[test]
fn refused_fixtures_say_what_is_wrong_with_them() {
    for (file, code, words) in [
        ("external/parent/model.onnx", Code::Corrupt, "../ok/weights.bin"),
        ("external/absolute/model.onnx", Code::Corrupt, "/etc/passwd"),
        ("external/marker/model.onnx", Code::Corrupt, "_ORT_MEM_ADDR_"),
        ("external/missing/model.onnx", Code::NotFound, "nothing.bin"),
        ("external/short/model.onnx", Code::Corrupt, "which has 4096"),
        ("raw_mismatch.onnx", Code::Corrupt, "expected 32 bytes"),
        ("huge_dims.onnx", Code::Corrupt, "address space"),
        ("no_graph.onnx", Code::Corrupt, "no graph"),
        ("opset_future.onnx", Code::Unsupported, "999"),
        ("unknown_op.onnx", Code::Unsupported, "made.up:Frobnicate"),
    ] {
        let Some(opened) = open(data(file)) else { return };
        let error = opened.err().expect(file);
        assert_eq!(error.code(), code, "{file}: {error}");
        assert!(error.to_string().contains(words), "{file}: {error}");
    }
}

#[test]
fn graphs_that_make_no_sense_are_corrupt() {
    let (x, y) = (input("x", &[4]), output("y", &[4]));
    for (what, nodes) in [
        ("an input from nowhere", node("Add", &["x", "nowhere"], &["y"], &[])),
        (
            "a cycle",
            [node("Neg", &["b"], &["a"], &[]), node("Neg", &["a"], &["b"], &[]), node("Add", &["x", "b"], &["y"], &[])]
                .concat(),
        ),
        ("an output from nowhere", node("Neg", &["x"], &["z"], &[])),
        ("too many inputs", node("Neg", &["x", "x", "x"], &["y"], &[])),
        ("a type that does not fit", node("And", &["x", "x"], &["y"], &[])),
    ] {
        let Some(opened) = open(model(&[nodes, x.clone(), y.clone()])) else { return };
        let error = opened.err().expect(what);
        assert_eq!(error.code(), Code::Corrupt, "{what}: {error}");
    }
}

/// y = x + w, with w in w.bin.
fn reads_w(w: Vec<u8>) -> Vec<u8> {
    model(&[node("Add", &["x", "w"], &["y"], &[]), input("x", &[4]), output("y", &[4]), field(5, w)])
}

/// y = x + w within a sub-graph, whose own w is in w.bin.
fn reads_w_in_a_branch() -> Vec<u8> {
    let w = || field(5, external("w", 4, "w.bin"));
    let branch = |name| with_graph(name, &[node("Add", &["x", "w"], &["z"], &[]), output("z", &[4]), w()]);
    let choose = node("If", &["c"], &["y"], &[branch("then_branch"), branch("else_branch")]);
    let c = field(5, [int(2, 9), field(8, "c"), field(9, [1])].concat());
    model(&[choose, c, input("x", &[4]), output("y", &[4])])
}

/// The runtime looks in the working folder for files that a model from memory names. Ours must not.
#[test]
fn files_of_the_working_folder_are_out_of_reach() {
    if let Some(folder) = child("working_folder") {
        std::env::set_current_dir(&folder).unwrap();
        assert!(std::fs::exists("w.bin").unwrap());
        // A location that our parser and the runtime's could understand differently: an enum is 32 bits wide
        // there, and a field that comes twice is merged.
        let cut = |tail: Vec<u8>| {
            let mut w = external("w", 4, "w.bin");
            w.truncate(w.len() - 2);
            reads_w([w, tail].concat())
        };
        let twice = [field(7, field(5, external("w", 4, "w.bin"))), reads_w(tensor("v", &[0.0; 4]))].concat();
        for (what, bytes) in [
            ("plain", reads_w(external("w", 4, "w.bin"))),
            ("wide enum", cut(int(14, (1 << 32) + 1))),
            ("two graphs", twice),
            ("branch", reads_w_in_a_branch()),
        ] {
            std::fs::write("model.onnx", &bytes).unwrap();
            let error = open(bytes).unwrap().err().expect(what);
            assert!(matches!(error.code(), Code::Corrupt | Code::Unsupported), "{what}: {error}");
            println!("{what}: {:?} {error}", error.code());
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.bin"), [0u8; 16]).unwrap();
    super::library::run_child(
        "hostile::files_of_the_working_folder_are_out_of_reach",
        "working_folder",
        &[],
        folder.path(),
    );
}

/// y = x + w + v, with w at the start of w.bin, under another spelling of its name where the runtime takes that.
fn reads_twice(v: Vec<u8>) -> Vec<u8> {
    let spelling = if minor() >= 31 { "./w.bin" } else { "w.bin" };
    let constant = node("Constant", &[], &["v"], &[with_tensor("value", v)]);
    let nodes = [constant, node("Add", &["x", "w"], &["u"], &[]), node("Add", &["u", "v"], &["y"], &[])].concat();
    model(&[nodes, input("x", &[64]), output("y", &[64]), field(5, external("w", 64, spelling))])
}

/// The x of the runtime's version 1.x.
fn minor() -> u32 {
    super::super::Runtime::get(options().and_then(|o| o.onnxruntime).as_deref(), false).expect("a runtime").minor()
}

#[test]
fn external_data_of_the_models_folder_is_read() {
    let Some(options) = options() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("model.onnx"), folder.path().join("w.bin"));
    let w: Vec<f32> = (0..66).map(|i| i as f32).collect();
    let bytes: Vec<u8> = w.iter().flat_map(|v| v.to_le_bytes()).collect();
    let run = |engine: &dyn crate::Engine| {
        let x = Tensor::new(&[64], vec![0.5f32; 64]).unwrap();
        engine.run(Tensors::from([("x", x)])).unwrap().outputs[0].1.as_slice::<f32>().unwrap().to_vec()
    };
    // At an offset that is no multiple of a vector's size, and at none.
    for offset in [0, 4] {
        let entry = field(13, [field(1, "offset"), field(2, offset.to_string())].concat());
        std::fs::write(&path, reads_twice([external("", 64, "w.bin"), entry].concat())).unwrap();
        let expected: Vec<f32> = (0..64).map(|i| 0.5 + w[i] + w[i + offset / 4]).collect();
        for loading in [Loading::Mapped, Loading::Read] {
            std::fs::write(&data, &bytes).unwrap();
            let engine = crate::open(&path, options.clone().loading(loading)).unwrap();
            assert_eq!(run(&*engine), expected, "{loading:?} at {offset}");
            if loading == Loading::Read {
                std::fs::write(&data, "gone").unwrap();
                assert_eq!(run(&*engine), expected, "what was read is kept, whatever becomes of the file");
            }
        }
    }
}

#[test]
fn mapped_external_data_is_not_copied() {
    let Some(options) = options() else { return };
    if minor() < 31 {
        return println!("skipped: this version of ONNX Runtime copies");
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("model.onnx"), folder.path().join("w.bin"));
    std::fs::write(&path, reads_twice(external("", 64, "w.bin"))).unwrap();
    std::fs::write(&data, [0u8; 256]).unwrap();
    let engine = crate::open(&path, options).unwrap();
    // In place: a map shows it. Nobody should do so; here it tells a map from a copy.
    let ones: Vec<u8> = [1f32; 64].iter().flat_map(|v| v.to_le_bytes()).collect();
    let file = std::fs::OpenOptions::new().write(true).open(&data).unwrap();
    std::io::Write::write_all(&mut &file, &ones).unwrap();
    let x = Tensor::new(&[64], vec![0.5f32; 64]).unwrap();
    let answer = engine.run(Tensors::from([("x", x)])).unwrap();
    assert_eq!(answer.outputs[0].1.as_slice::<f32>().unwrap(), [2.5; 64]);
}

#[test]
fn external_data_in_a_branch_is_unsupported() {
    let Some(options) = options() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.bin"), [0u8; 16]).unwrap();
    std::fs::write(folder.path().join("model.onnx"), reads_w_in_a_branch()).unwrap();
    let error = crate::open(folder.path().join("model.onnx"), options).err().expect("refused");
    assert_eq!(error.code(), Code::Unsupported, "{error}");
}
