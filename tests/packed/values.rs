//! Values of packed models: what blocks give is what they say, to the last bit where the runtime rounds nothing.

use std::path::Path;

use selvedge::kernel::dequantize_into;
use selvedge::pack::{Packing, Scheme};
use selvedge::weights::WeightFile;
use selvedge::{Ask, Backend, Code, Loading, Tensor, Tensors};

use crate::craft::{field, input, int, model, node, noise, output, weight};
use crate::{SCHEMES, ask, backends, f32s, open, packed};

/// Sizes of whole blocks, and with a part of one.
const WIDTHS: [usize; 2] = [64, 100];

/// p = x · W (K by 40), q = p · Gᵀ + b (48 by 40), rows of T (30 by K).
fn mixed(k: usize) -> Vec<u8> {
    let wide = k as i64;
    model(&[
        node("MatMul", &["x", "W"], "p", &[]),
        node("Gemm", &["p", "G", "b"], "q", &[("transB", 1)]),
        node("Gather", &["T", "ids"], "rows", &[("axis", 0)]),
        weight("W", &[wide, 40], &noise(k * 40, 1)),
        weight("G", &[48, 40], &noise(48 * 40, 2)),
        weight("T", &[30, wide], &noise(30 * k, 3)),
        weight("b", &[48], &noise(48, 4)),
        input("x", 1, &[0, wide]),
        input("ids", 7, &[0, 3]),
        output("p", &[0, 40]),
        output("q", &[0, 48]),
        output("rows", &[0, 3, wide]),
    ])
}

/// Rows of a stored tensor, without padding.
fn stored(folder: &Path, name: &str, columns: usize) -> Vec<Vec<f32>> {
    let file = WeightFile::open(folder.join("weights.gguf"), Loading::Mapped).unwrap();
    let tensor = file.tensor(name).unwrap();
    let mut values = vec![0.0; tensor.shape().elements()];
    dequantize_into(tensor.format().unwrap(), tensor.bytes(), &mut values).unwrap();
    values.chunks(values.len() / tensor.shape()[0]).map(|row| row[..columns].to_vec()).collect()
}

fn ids() -> Tensor {
    Tensor::new(&[2, 3], vec![0i64, 29, 7, -1, 3, 3]).unwrap()
}

#[test]
fn picked_rows_are_those_of_the_blocks() {
    for (scheme, k) in SCHEMES.into_iter().flat_map(|s| WIDTHS.map(|k| (s, k))) {
        let packed = packed(mixed(k), &Packing::new(scheme));
        let table = stored(&packed.path, "T", k);
        let expected: Vec<f32> = [0, 29, 7, 29, 3, 3].iter().flat_map(|i| table[*i].clone()).collect();
        for backend in backends() {
            let x = Tensor::new(&[1, k], vec![0.0f32; k]).unwrap();
            let answer = ask(&*open(&packed.path, backend), &[("x", x), ("ids", ids())]);
            assert_eq!(answer.output("rows").unwrap().shape()[..], [2, 3, k]);
            assert!(f32s(&answer, "rows") == expected, "{} {} {k}", backend.name(), scheme.name());
        }
    }
}

#[test]
fn an_index_beyond_the_table_is_refused() {
    let packed = packed(mixed(64), &Packing::new(Scheme::Int4));
    for backend in backends() {
        let engine = open(&packed.path, backend);
        for index in [30i64, -31, i64::MAX, i64::MIN] {
            let ids = Tensor::new(&[1, 3], vec![0, index, 1]).unwrap();
            let x = Tensor::new(&[1, 64], vec![0.0f32; 64]).unwrap();
            let result = engine.run(Tensors::from([("x", x), ("ids", ids)]));
            let error = result.err().unwrap_or_else(|| panic!("{}: {index} was taken", backend.name()));
            assert!(error.code() != Code::Panic, "{error}");
        }
    }
}

/// ONNX Runtime quantizes x to 8 bits per 32; where x has one value other than zero per 32, that loses nothing.
#[test]
fn a_product_with_one_weight_is_that_weight() {
    for (scheme, k) in [Scheme::Int4, Scheme::Int8].into_iter().flat_map(|s| WIDTHS.map(|k| (s, k))) {
        let packed = packed(mixed(k), &Packing::new(scheme));
        let columns = stored(&packed.path, "W", k);
        for backend in backends() {
            let engine = open(&packed.path, backend);
            let mut x = vec![0.0f32; k * k];
            (0..k).for_each(|i| x[i * k + i] = 127.0);
            let answer = ask(&*engine, &[("x", Tensor::new(&[k, k], x).unwrap()), ("ids", ids())]);
            for (i, row) in f32s(&answer, "p").chunks(40).enumerate() {
                for (got, column) in row.iter().zip(&columns) {
                    let expected = 127.0 * column[i];
                    // 8-bit weights times 127, and their sum times 128, have more bits than f32 keeps.
                    let room = if scheme == Scheme::Int4 { 0.0 } else { 1e-4 };
                    assert!((got - expected).abs() <= room, "{} {}: {got} {expected}", backend.name(), scheme.name());
                }
            }
        }
    }
}

#[test]
fn products_are_those_of_the_blocks() {
    for (scheme, k) in SCHEMES.into_iter().flat_map(|s| WIDTHS.map(|k| (s, k))) {
        let packed = packed(mixed(k), &Packing::new(scheme));
        assert_eq!(packed.report.packed.len(), 3, "{:?}", packed.report);
        let (w, g) =
            (stored(&packed.path, "W", if scheme == Scheme::F16 { 40 } else { k }), stored(&packed.path, "G", 40));
        let w = |i: usize, j: usize| if scheme == Scheme::F16 { w[i][j] } else { w[j][i] };
        let (x, b) = (noise(5 * k, 9), noise(48, 4));
        let p: Vec<f64> = (0..5 * 40)
            .map(|at| (0..k).map(|i| f64::from(x[at / 40 * k + i]) * f64::from(w(i, at % 40))).sum())
            .collect();
        let q: Vec<f64> = (0..5 * 48)
            .map(|at| {
                let (row, j) = (at / 48, at % 48);
                (0..40).map(|i| p[row * 40 + i] * f64::from(g[j][i])).sum::<f64>() + f64::from(b[j])
            })
            .collect();
        for backend in backends() {
            let x = Tensor::new(&[5, k], x.clone()).unwrap();
            let answer = ask(&*open(&packed.path, backend), &[("x", x), ("ids", ids())]);
            let room = if backend == Backend::Ort && scheme != Scheme::F16 { 0.02 } else { 1e-5 };
            for (output, expected) in [("p", &p), ("q", &q)] {
                let got = f32s(&answer, output);
                let largest = expected.iter().fold(0.0f64, |most, v| most.max(v.abs()));
                let worst = got.iter().zip(expected).map(|(g, e)| (f64::from(*g) - e).abs()).fold(0.0, f64::max);
                assert!(
                    got.len() == expected.len() && worst <= room * largest,
                    "{} {} {output}: off by {worst} of {largest}",
                    backend.name(),
                    scheme.name()
                );
            }
        }
    }
}

#[test]
fn a_convolution_is_that_of_the_blocks() {
    let graph = model(&[
        node("Conv", &["x", "W"], "y", &[]),
        weight("W", &[8, 16, 3, 3], &noise(8 * 16 * 9, 5)),
        input("x", 1, &[0, 16, 8, 8]),
        output("y", &[0, 8, 6, 6]),
    ]);
    for scheme in [Scheme::Int8, Scheme::F16] {
        let packed = packed(graph.clone(), &Packing::new(scheme));
        let w: Vec<f32> = stored(&packed.path, "W", 144).concat();
        let x = noise(16 * 64, 6);
        let at = |o: usize, r: usize, c: usize| -> f64 {
            let terms = (0..16 * 9).map(|i| {
                let (ch, dr, dc) = (i / 9, i % 9 / 3, i % 3);
                f64::from(x[ch * 64 + (r + dr) * 8 + c + dc]) * f64::from(w[o * 144 + i])
            });
            terms.sum()
        };
        let expected: Vec<f64> = (0..8 * 36).map(|i| at(i / 36, i % 36 / 6, i % 6)).collect();
        for backend in backends() {
            let answer = ask(&*open(&packed.path, backend), &[("x", Tensor::new(&[1, 16, 8, 8], x.clone()).unwrap())]);
            let worst =
                f32s(&answer, "y").iter().zip(&expected).map(|(g, e)| (f64::from(*g) - e).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{} {}: off by {worst}", backend.name(), scheme.name());
        }
    }
}

#[test]
fn a_tensor_that_others_read_too_is_there_in_full() {
    // As a table, as a matrix that is stored the other way, and by an operator inside of a branch.
    let inner = [node("Add", &["x", "row"], "sum", &[]), output("sum", &[0, 64])].concat();
    let branch = |name: &str| {
        field(5, [field(1, name), field(6, [field(2, name), inner.clone()].concat()), int(20, 5)].concat())
    };
    let fields = [field(1, "yes"), field(2, "z"), field(4, "If"), branch("then_branch"), branch("else_branch")];
    let graph = model(&[
        node("Gather", &["T", "ids"], "row", &[]),
        node("Gemm", &["x", "T"], "y", &[("transB", 1)]),
        field(1, fields.concat()),
        weight("T", &[40, 64], &noise(40 * 64, 7)),
        input("x", 1, &[0, 64]),
        input("ids", 7, &[1]),
        input("yes", 9, &[]),
        output("y", &[0, 40]),
        output("z", &[0, 64]),
    ]);
    let packed = packed(graph, &Packing::new(Scheme::Int4));
    let table = stored(&packed.path, "T", 64);
    for backend in backends() {
        let mut x = vec![0.0f32; 64];
        x[5] = 127.0;
        let inputs = [
            ("x", Tensor::new(&[1, 64], x.clone()).unwrap()),
            ("ids", Tensor::new(&[1], vec![11i64]).unwrap()),
            ("yes", Tensor::scalar(true)),
        ];
        let answer = ask(&*open(&packed.path, backend), &inputs);
        let expected: Vec<f32> = table.iter().map(|row| 127.0 * row[5]).collect();
        assert_eq!(f32s(&answer, "y"), expected, "{}", backend.name());
        let expected: Vec<f32> = x.iter().zip(&table[11]).map(|(x, t)| x + t).collect();
        assert_eq!(f32s(&answer, "z"), expected, "{}", backend.name());
    }
}
