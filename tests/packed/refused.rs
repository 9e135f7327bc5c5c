//! Packed models that are broken, moved apart, or opened under conditions.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use selvedge::pack::{Packing, Scheme};
use selvedge::{Ask, Backend, Cancel, Code, Digest, Loading, OpenProgress, Options, Source, Tensor, Tensors};
use sha2::Digest as _;

use crate::craft::{input, model, node, noise, output, weight};
use crate::runtimes::library;
use crate::{Packed, backends, open, options, packed};

fn linear(scheme: Scheme) -> Packed {
    let graph = model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        node("Gather", &["T", "ids"], "rows", &[]),
        weight("W", &[64, 48], &noise(64 * 48, 1)),
        weight("T", &[32, 64], &noise(32 * 64, 2)),
        input("x", 1, &[0, 64]),
        input("ids", 7, &[2]),
        output("y", &[0, 48]),
        output("rows", &[2, 64]),
    ]);
    packed(graph, &Packing::new(scheme))
}

fn refused(source: impl Into<Source>, options: Options) -> (Code, String) {
    match selvedge::open(source, options) {
        Ok(_) => panic!("opened"),
        Err(e) => (e.code(), e.to_string()),
    }
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Puts one text in the place of another of the same length.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("the text to replace");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

#[test]
fn folder_and_graph_are_one_model() {
    let packed = linear(Scheme::Int4);
    let graph = packed.path.join("model.onnx");
    let digest = Digest(sha2::Sha256::digest(fs::read(&graph).unwrap()).into());
    for backend in backends() {
        for (path, name) in [(&packed.path, "packed"), (&graph, "model")] {
            let engine = open(path, backend);
            let spec = engine.spec();
            assert_eq!((&*spec.provenance.model, spec.provenance.digest), (name, digest));
            assert_eq!(spec.metadata["selvedge.packed.scheme"], "int4");
            assert_eq!(spec.inputs.iter().map(|p| p.to_string()).collect::<Vec<_>>(), ["x: f32[?, 64]", "ids: i64[2]"]);
        }
        let read = selvedge::open(&packed.path, options(backend).loading(Loading::Read).digest(digest)).unwrap();
        let inputs = [
            ("x", Tensor::new(&[1, 64], vec![1.0f32; 64]).unwrap()),
            ("ids", Tensor::new(&[2], vec![0i64, 1]).unwrap()),
        ];
        assert!(read.run(Tensors::from(inputs)).is_ok());
        let (code, _) = refused(&packed.path, options(backend).digest(Digest::default()));
        assert_eq!(code, Code::Corrupt);
    }
}

#[test]
fn the_weight_file_must_be_the_one_it_was_packed_with() {
    for (scheme, backend) in
        [Scheme::Int4, Scheme::F16].into_iter().flat_map(|s| backends().into_iter().map(move |b| (s, b)))
    {
        let packed = linear(scheme);
        let weights = packed.path.join("weights.gguf");
        rewrite(&weights, |bytes| *bytes.last_mut().unwrap() ^= 1);
        let (code, why) = refused(&packed.path, options(backend));
        assert!(code == Code::Corrupt && why.contains("weights.gguf: expected SHA-256"), "{why}");
        rewrite(&weights, |bytes| bytes.truncate(bytes.len() / 2));
        assert_eq!(refused(&packed.path, options(backend)).0, Code::Corrupt);
        fs::remove_file(&weights).unwrap();
        assert_eq!(refused(&packed.path, options(backend)).0, Code::NotFound);
        let graph = fs::read(packed.path.join("model.onnx")).unwrap();
        let (code, why) = refused(graph, options(backend));
        assert!(code == Code::Unsupported && why.contains("no folder"), "{why}");
    }
}

#[test]
fn a_graph_that_does_not_fit_its_weights_is_corrupt() {
    let changes: &[(&str, &str, &str)] = &[
        ("columns", "coLumns", "expected layout rows, inner or columns"),
        // Its rows are as many as W's columns.
        ("gguf.tensor\x12\x01W", "gguf.tensor\x12\x01T", "in the weight file, got [32, 64]"),
        ("gguf.tensor\x12\x01T", "gguf.tensor\x12\x01Z", "has no tensor 'Z'"),
        ("selvedge.packed\x12\x011", "selvedge.packed\x12\x012", "expected version 1, got '2'"),
        ("selvedge.packed.sha256", "selvedge.packed.sha257", "expected a SHA-256"),
        // Then they are external data of another length.
        ("gguf.tensor\x12\x01W", "gguf.tenzor\x12\x01W", "expected 12288 bytes"),
        ("selvedge.packed\x12", "selvedge.pakced\x12", "is blocks, but the model does not say it is packed"),
    ];
    for (from, to, expected) in changes {
        let packed = linear(Scheme::Int4);
        rewrite(&packed.path.join("model.onnx"), |bytes| replace(bytes, from, to));
        for backend in backends() {
            let (code, why) = refused(&packed.path, options(backend));
            assert!(matches!(code, Code::Corrupt | Code::Unsupported) && why.contains(expected), "{to}: {why}");
        }
    }
}

#[test]
fn every_bit_of_a_packed_graph_may_flip() {
    let packed = linear(Scheme::Int4);
    let graph = packed.path.join("model.onnx");
    let good = fs::read(&graph).unwrap();
    for backend in backends() {
        // tract analyses every graph that it takes, which is slow.
        let step = if backend == Backend::Tract { 7 } else { 3 };
        for bit in (0..good.len() * 8).step_by(step) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&graph, bad).unwrap();
            let _ = selvedge::open(&packed.path, options(backend).loading(Loading::Read));
        }
    }
}

#[test]
fn limits_and_cancel_hold() {
    for backend in backends() {
        let packed = linear(Scheme::Int4);
        let need = open(&packed.path, backend).spec().memory.total();
        assert!(selvedge::open(&packed.path, options(backend).memory_limit(need)).is_ok());
        assert_eq!(refused(&packed.path, options(backend).memory_limit(need - 1)).0, Code::OutOfMemory);
        let cancel = Cancel::new();
        cancel.cancel();
        assert_eq!(refused(&packed.path, options(backend).cancel(&cancel)).0, Code::Cancelled);
    }
}

#[test]
fn a_packed_model_needs_its_backends() {
    let packed = linear(Scheme::Int8);
    assert_eq!(refused(&packed.path, Options::new().backend(Backend::Llama)).0, Code::Unsupported);
    // The weight file alone is no model of llama.cpp's.
    let (code, why) = refused(packed.path.join("weights.gguf"), Options::new());
    assert!(matches!(code, Code::Unsupported | Code::Corrupt), "{why}");
}

#[test]
fn a_model_is_hashed_once_whatever_runtime_is_tried() {
    let Some(library) = library().filter(|_| Backend::Ort.is_built()) else { return };
    // tract has no Det, so that ONNX Runtime is tried after it.
    let graph = model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        node("Det", &["square"], "det", &[]),
        weight("W", &[64, 48], &noise(64 * 48, 1)),
        input("x", 1, &[0, 64]),
        input("square", 1, &[3, 3]),
        output("y", &[0, 48]),
        output("det", &[]),
    ]);
    let packed = packed(graph, &Packing::new(Scheme::Int8));
    let hashed = Arc::new(AtomicU64::new(0));
    let (sum, last) = (hashed.clone(), AtomicU64::new(0));
    let options = Options::new().onnxruntime(library).progress(move |progress| {
        if let OpenProgress::Digest(done, all) = progress {
            let before = last.swap(if done == all { 0 } else { done }, Relaxed);
            sum.fetch_add(done - before, Relaxed);
        }
    });
    let engine = selvedge::open(&packed.path, options).unwrap();
    assert_eq!(engine.spec().provenance.backend, "ort", "tract takes it: the test needs another operator");
    let bytes = ["model.onnx", "weights.gguf"].map(|name| fs::metadata(packed.path.join(name)).unwrap().len());
    assert_eq!(hashed.load(Relaxed), bytes.iter().sum::<u64>());
}
