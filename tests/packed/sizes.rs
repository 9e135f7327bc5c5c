//! Weights that the range of f16 is too small for: the answers stay near those of the model that was packed.

use selvedge::pack::{Packing, Scheme};
use selvedge::{Backend, Tensor};

use crate::craft::{input, model, node, noise, output, weight};
use crate::{SCHEMES, apart, ask, backends, f32s, open, packed};

const SIZES: [f32; 10] = [1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-15, 1e-30, 1e4, 1e6, 1e30];

/// y = x · W, and rows of the same numbers as a table.
fn products(values: &[f32]) -> Vec<u8> {
    model(&[
        node("MatMul", &["x", "W"], "y", &[]),
        node("Gather", &["T", "ids"], "rows", &[]),
        weight("W", &[128, 96], values),
        weight("T", &[96, 128], values),
        input("x", 1, &[0, 128]),
        input("ids", 7, &[0]),
        output("y", &[0, 96]),
        output("rows", &[0, 128]),
    ])
}

/// What an answer may be off by, by the scheme.
fn room(scheme: Scheme) -> f64 {
    match scheme {
        Scheme::Int4 => 0.12,
        Scheme::Int8 => 0.015,
        _ => 0.001,
    }
}

fn inputs(size: f32) -> [(&'static str, Tensor); 2] {
    let x = noise(5 * 128, 9).iter().map(|x| x / size).collect();
    [("x", Tensor::new(&[5, 128], x).unwrap()), ("ids", Tensor::new(&[3], vec![0i64, 95, 7]).unwrap())]
}

#[test]
fn small_and_large_weights_are_packed_as_others_are() {
    for backend in backends() {
        for size in SIZES {
            let values: Vec<f32> = noise(128 * 96, 1).iter().map(|w| w * size).collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("m.onnx");
            std::fs::write(&path, products(&values)).unwrap();
            let whole = ask(&*open(&path, backend), &inputs(size));
            for scheme in SCHEMES {
                let what = format!("{} {} at {size:e}", backend.name(), scheme.name());
                let packed = packed(&path, &Packing::new(scheme).mean_bits(4.5));
                assert_eq!(packed.report.packed.len(), 2, "{what}: {:?}", packed.report.kept);
                let answer = ask(&*open(&packed.path, backend), &inputs(size));
                for output in ["y", "rows"] {
                    let off = apart(f32s(&whole, output), f32s(&answer, output));
                    assert!(off <= room(scheme), "{what}: {output} is off by {off}");
                }
            }
        }
    }
}

#[test]
fn rows_of_very_different_sizes_keep_their_own() {
    // The columns of W are rows of blocks: one is a millionth of the others, and one a thousandth of that.
    let sized = |least: f32| -> Vec<f32> {
        let size = |column: usize| match column {
            7 => 1e-6,
            8 => least,
            _ => 1.0,
        };
        noise(128 * 96, 3).iter().zip(0..).map(|(w, i)| w * size(i % 96)).collect()
    };
    for (scheme, backend) in SCHEMES.into_iter().flat_map(|s| backends().into_iter().map(move |b| (s, b))) {
        for (least, is_packed) in [(1e-6, true), (1e-25, false)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("m.onnx");
            std::fs::write(&path, products(&sized(least))).unwrap();
            let packed = packed(&path, &Packing::new(scheme).mean_bits(4.5).only("W").only("T"));
            let w = packed.report.packed.iter().any(|t| t.name == "W");
            assert_eq!(w, is_packed, "{}: {:?}", scheme.name(), packed.report);
            let [whole, got] = [&path, &packed.path].map(|path| ask(&*open(path, backend), &inputs(1.0)));
            let column = |of: &[f32], n: usize| -> Vec<f32> { of.iter().skip(n).step_by(96).copied().collect() };
            for n in [6, 7, 8] {
                let off = apart(&column(f32s(&whole, "y"), n), &column(f32s(&got, "y"), n));
                let what = format!("{} {}", backend.name(), scheme.name());
                // Five sums of 128 products, by chance more or less.
                let most = room(scheme) * if backend == Backend::Ort { 3.0 } else { 2.0 };
                assert!(off <= most, "{what}: column {n} is off by {off}");
            }
        }
    }
}
