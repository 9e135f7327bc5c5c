//! Sums of 8-bit products on processors whose 16 bits they may exceed.

use super::super::sums::{check, may_saturate};
use super::craft::{self, node, port};
use super::{ask, open, refused};
use crate::onnx::{Graph, NewNode, inline_tensor, read};
use crate::{Code, Tensor};

const U8: i64 = 2;
const I8: i64 = 3;
const I32: i64 = 6;

/// A product of bytes `x` with a matrix of four rows, all alike.
fn matrix(element: i64, weight: u8) -> Vec<u8> {
    let w = inline_tensor("w", element, &[4, 1], &[weight; 4]);
    let nodes = [node("MatMulInteger", &["x", "w"], "y")];
    craft::model(&nodes, &[w], &[port("x", U8, &[1, 4])], &[port("y", I32, &[1, 1])])
}

/// A convolution of bytes `x` with one kernel of these weights.
fn convolution(element: i64, weights: [u8; 4]) -> Vec<u8> {
    let w = inline_tensor("w", element, &[1, 1, 2, 2], &weights);
    let nodes = [node("ConvInteger", &["x", "w"], "y")];
    craft::model(&nodes, &[w], &[port("x", U8, &[1, 1, 2, 2])], &[port("y", I32, &[1, 1, 1, 1])])
}

fn is_safe(model: &[u8]) -> bool {
    match check(&read(model).unwrap(), &Graph::read(model).unwrap()) {
        Ok(()) => true,
        Err(e) => {
            assert!(e.code() == Code::Unsupported && e.message().contains("16 bits"), "{e}");
            false
        }
    }
}

/// The answer to bytes of 255 and of 0, which rten takes for -128.
fn extremes(model: &[u8], dims: &[usize]) -> [i32; 2] {
    let engine = open(model.to_vec());
    [255u8, 0].map(|byte| {
        let x = Tensor::new(dims, vec![byte; 4]).unwrap();
        ask(&*engine, [("x", x)]).unwrap().as_slice::<i32>().unwrap()[0]
    })
}

#[test]
fn weights_of_seven_bits_are_right_on_every_processor() {
    for (element, weight, value) in [(I8, 64, 64), (I8, 192, -64), (U8, 64, 64), (U8, 192, 192)] {
        let model = matrix(element, weight);
        assert!(is_safe(&model), "{value}");
        assert_eq!(extremes(&model, &[1, 4]), [255 * 4 * value, 0], "{value}");
    }
    // From -64 to 64; all 128.
    for (element, weights, sum) in [(I8, [192, 64, 64, 64], 128), (U8, [128; 4], 512)] {
        let model = convolution(element, weights);
        assert!(is_safe(&model), "{weights:?}");
        assert_eq!(extremes(&model, &[1, 1, 2, 2]), [255 * sum, 0], "{weights:?}");
    }
}

#[test]
fn weights_whose_sums_may_be_cut_off_are_refused_where_they_are() {
    let models = [matrix(I8, 65), matrix(I8, 191), matrix(U8, 63), matrix(U8, 193), convolution(U8, [129; 4])];
    for model in models.into_iter().chain([convolution(I8, [192, 65, 0, 0])]) {
        assert!(!is_safe(&model));
        match may_saturate() {
            true => assert_eq!(refused(model).code(), Code::Unsupported),
            false => drop(open(model)),
        }
    }
}

#[test]
fn weights_that_nobody_has_seen_are_refused() {
    let inputs = [port("x", U8, &[1, 4]), port("w", I8, &[4, 1])];
    let product = node("MatMulInteger", &["x", "w"], "y");
    assert!(!is_safe(&craft::model(&[product], &[], &inputs, &[port("y", I32, &[1, 1])])));
    let lstm = NewNode { domain: "com.microsoft", ..node("DynamicQuantizeLSTM", &["x", "w"], "y") };
    assert!(!is_safe(&craft::model(&[lstm], &[], &inputs, &[port("y", I32, &[1, 1])])));
    // No product, no weights.
    assert!(is_safe(&craft::model(&[node("Neg", &["x"], "y")], &[], &inputs, &[port("y", I32, &[1, 4])])));
}
