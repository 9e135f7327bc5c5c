//! Inspections of a packed model, and of a broken one.

use std::fs;

use selvedge::backend::{Inspection, inspect};
use selvedge::pack::{Packing, Scheme};
use selvedge::weights::WeightFile;
use selvedge::{Code, Loading, Options, Source};

use crate::craft::{input, model, node, noise, output, weight};
use crate::{Packed, SCHEMES, backends, open, packed};

/// A matrix of 64 by 40, whose rows of blocks are padded, and a table.
fn linear(scheme: Scheme) -> Packed {
    let graph = model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        node("Gather", &["T", "ids"], "rows", &[]),
        weight("W", &[40, 64], &noise(64 * 40, 1)),
        weight("T", &[32, 64], &noise(32 * 64, 2)),
        input("x", 1, &[0, 40]),
        input("ids", 7, &[2]),
        output("y", &[0, 64]),
        output("rows", &[2, 64]),
    ]);
    packed(graph, &Packing::new(scheme).mean_bits(4.5))
}

fn reported(source: impl Into<Source>) -> Inspection {
    inspect(source, &Options::new()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_packed_model_is_told_as_it_opens() {
    for scheme in SCHEMES {
        let packed = linear(scheme);
        for (path, name) in [(packed.path.clone(), "packed"), (packed.path.join("model.onnx"), "model")] {
            let reported = reported(&path);
            assert!(reported.flaw.is_none(), "{reported:?}");
            assert_eq!((&*reported.name, reported.parameters()), (name, 64 * 40 + 32 * 64));
            let size = |file: &str| fs::metadata(packed.path.join(file)).unwrap().len();
            assert_eq!(reported.bytes, size("model.onnx") + size("weights.gguf"));
            for backend in backends() {
                let estimate = reported.backends.iter().find(|(b, _)| *b == backend).unwrap().1.as_ref().unwrap();
                assert_eq!(*estimate, open(&path, backend).spec().memory, "{} {}", backend.name(), scheme.name());
            }
        }
        let file = WeightFile::open(packed.path.join("weights.gguf"), Loading::Read).unwrap();
        let listed = reported(&packed.path);
        let element = |name: &str| listed.tensors.iter().find(|t| t.name == name).map(|t| &*t.element);
        match scheme {
            Scheme::F16 => assert_eq!((element("W.f16"), element("T.f16")), (Some("f16"), Some("f16"))),
            Scheme::Int8 => assert_eq!((element("W"), element("T")), (Some("Q8_0"), Some("Q8_0"))),
            _ => assert_eq!((element("W"), element("T")), (Some("Q4_0"), Some("Q4_0"))),
        }
        let beside = listed.tensors.iter().filter(|t| t.location.as_deref() == Some("weights.gguf"));
        assert_eq!(beside.map(|t| t.bytes).sum::<u64>(), file.tensor_bytes(), "{}", scheme.name());
    }
}

#[test]
fn a_packed_model_that_does_not_open_has_a_flaw() {
    let flaw = |packed: &Packed| reported(&packed.path).flaw.map(|e| (e.code(), e.to_string()));
    for scheme in SCHEMES {
        let packed = linear(scheme);
        let weights = packed.path.join("weights.gguf");
        let good = fs::read(&weights).unwrap();
        let mut bytes = good.clone();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&weights, bytes).unwrap();
        let (code, why) = flaw(&packed).expect("a flaw");
        assert!(code == Code::Corrupt && why.contains("weights.gguf: expected SHA-256"), "{why}");
        fs::remove_file(&weights).unwrap();
        assert_eq!(flaw(&packed).expect("a flaw").0, Code::NotFound);
        fs::write(&weights, good).unwrap();
        assert!(flaw(&packed).is_none());
    }
    // A layout that the dimensions do not have room for.
    let packed = linear(Scheme::Int4);
    let graph = packed.path.join("model.onnx");
    let good = fs::read(&graph).unwrap();
    let changed = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|w| w == from.as_bytes()).expect("the text to replace");
        let bytes = [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat();
        fs::write(&graph, bytes).unwrap();
    };
    changed("columns", "colunms");
    let (code, why) = flaw(&packed).expect("a flaw");
    assert!(code == Code::Corrupt && why.contains("expected layout rows, inner or columns, got 'colunms'"), "{why}");
    // Blocks of a model that does not say it is packed.
    changed("selvedge.packed\u{12}", "selvedge.pakced\u{12}");
    let (code, why) = flaw(&packed).expect("a flaw");
    assert!(code == Code::Corrupt && why.contains("does not say it is packed"), "{why}");
    // From memory nobody can tell.
    let reported = reported(good);
    assert!(reported.flaw.is_none() && reported.warnings.iter().any(|w| w.contains("path")), "{:?}", reported.warnings);
    assert!(reported.backends.iter().all(|(_, estimate)| estimate.is_err()), "{:?}", reported.backends);
}
