//! Models in half precision, packed to blocks.

use half::f16;
use selvedge::pack::{Packing, Scheme};
use selvedge::{Answer, DType, Tensor};

use crate::craft::{half_weight, input, model, node, noise, output_of};
use crate::{apart, ask, backends, open, packed};

const HALF: i64 = 10;

/// p = x · W, q = p · Gᵀ + b, rows of T, and a convolution of z; all in f16.
fn mixed() -> Vec<u8> {
    model(&[
        node("MatMul", &["x", "W"], "p", &[]),
        node("Gemm", &["p", "G", "b"], "q", &[("transB", 1)]),
        node("Gather", &["T", "ids"], "rows", &[]),
        node("Conv", &["z", "K"], "c", &[]),
        half_weight("W", &[100, 64], &noise(100 * 64, 1)),
        half_weight("G", &[48, 64], &noise(48 * 64, 2)),
        half_weight("T", &[30, 64], &noise(30 * 64, 3)),
        half_weight("K", &[8, 16, 3, 3], &noise(8 * 16 * 9, 5)),
        half_weight("b", &[48], &noise(48, 4)),
        input("x", HALF, &[0, 100]),
        input("ids", 7, &[0]),
        input("z", HALF, &[0, 16, 8, 8]),
        output_of("p", HALF, &[0, 64]),
        output_of("q", HALF, &[0, 48]),
        output_of("rows", HALF, &[0, 64]),
        output_of("c", HALF, &[0, 8, 6, 6]),
    ])
}

fn halves(dims: &[usize], seed: u64) -> Tensor {
    let n = dims.iter().product();
    Tensor::new(dims, noise(n, seed).iter().map(|x| f16::from_f32(*x)).collect()).unwrap()
}

fn inputs() -> [(&'static str, Tensor); 3] {
    let ids = Tensor::new(&[4], vec![0i64, 29, -1, 7]).unwrap();
    [("x", halves(&[5, 100], 7)), ("ids", ids), ("z", halves(&[2, 16, 8, 8], 8))]
}

fn numbers(answer: &Answer, output: &str) -> Vec<f32> {
    let tensor = answer.output(output).unwrap();
    assert_eq!(tensor.dtype(), DType::F16, "{output}");
    tensor.as_slice::<f16>().unwrap().iter().map(|x| x.to_f32()).collect()
}

#[test]
fn answers_of_f16_are_near_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, mixed()).unwrap();
    for (scheme, backend) in
        [Scheme::Int4, Scheme::Int8].into_iter().flat_map(|s| backends().into_iter().map(move |b| (s, b)))
    {
        let what = format!("{} {}", backend.name(), scheme.name());
        let packed = packed(&path, &Packing::new(scheme).mean_bits(4.5));
        // A Conv has no 4-bit form.
        assert_eq!(
            packed.report.packed.len(),
            if scheme == Scheme::Int4 { 3 } else { 4 },
            "{what}: {:?}",
            packed.report
        );
        let [whole, got] = [&path, &packed.path].map(|path| ask(&*open(path, backend), &inputs()));
        for output in ["p", "q", "rows", "c"] {
            let off = apart(&numbers(&whole, output), &numbers(&got, output));
            let is_packed = output != "c" || scheme == Scheme::Int8;
            let most = if scheme == Scheme::Int4 { 0.15 } else { 0.02 };
            assert!(off <= most && (off > 0.0 || !is_packed), "{what}: {output} is off by {off}");
        }
    }
}

#[test]
fn a_model_of_f16_has_nothing_to_gain_from_f16() {
    let folder = tempfile::tempdir().unwrap();
    let error = selvedge::pack::pack(mixed(), folder.path().join("p"), &Packing::new(Scheme::F16), |_| {}).unwrap_err();
    assert!(error.to_string().contains("it is f16 already"), "{error}");
}
