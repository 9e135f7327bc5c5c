//! A tree ensemble over columns.

use selvedge::{Backend, Code, Tensor};

use crate::corpus;
use crate::{ask, f32_tensor, f32s, open};

/// 14 heart-rate features per row; the figures are those of ONNX Runtime's Python API. The label is the likelier class.
#[test]
fn extra_trees_classify_rows() {
    let Some(model) = corpus::path("extratrees/extratrees.onnx") else { return };
    if Backend::Tract.is_built() {
        let error = open(&model, Backend::Tract)
            .map(|_| ())
            .expect_err("tract follows the indices in a tree unchecked, so it gets none");
        assert_eq!(error.code(), Code::Unsupported, "{error}");
        assert!(error.to_string().contains("TreeEnsembleClassifier"), "{error} does not name the operator");
    }
    if !Backend::Ort.is_built() {
        return;
    }
    let engine = open(&model, Backend::Ort).unwrap_or_else(|e| panic!("{e}"));
    let rows = [
        [800., 50., 40., 20., 75., 5., 500., 600., 1., 1100., 0.2, 30., 60., 0.8],
        [0.; 14],
        [600., 20., 15., 2., 100., 8., 100., 80., 1.2, 200., 0.1, 10., 30., 0.3],
    ];
    let expected = [0.592_763, 0.625_435, 0.643_171];
    for count in [1, 3] {
        let input: Tensor = f32_tensor(&[count, 14], rows[..count].concat());
        let answer = ask(Backend::Ort, &*engine, [("float_input", input)]);
        let labels = answer.output("label").and_then(|t| t.as_slice::<i64>()).expect("one label per row");
        assert_eq!(labels, vec![1; count]);
        for (row, second) in f32s(&answer, "probabilities").chunks(2).zip(expected) {
            assert!((row[0] + row[1] - 1.0).abs() < 1e-5 && (row[1] - second).abs() < 1e-4, "{row:?}, not {second}");
        }
    }
}
