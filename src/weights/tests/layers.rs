//! Layers of several tensors, from a safetensors file made here.

use super::read;
use super::safetensors::{file, tensor};
use crate::Code;
use crate::kernel::gptq::ZeroPoints;

/// 16 inputs in two groups, 8 outputs; every weight is 5, zero points 2 and 4, scales 0.5 and 0.25.
fn checkpoint(qweight: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let (halves, quarters) = ([0x00, 0x38].repeat(8), [0x00, 0x34].repeat(8));
    let data = [&[0x55; 64][..], &[0x22; 4], &[0x44; 4], &halves, &quarters].concat();
    let order: Vec<u8> = (0..16u32).flat_map(|k| (k % 2).to_le_bytes()).collect();
    let header = format!(
        r#"{{"l.qweight":{},"l.qzeros":{},"l.scales":{},"l.g_idx":{}}}"#,
        tensor("I32", qweight, 0, 64),
        tensor("I32", "[2,1]", 64, 72),
        tensor("F16", "[2,8]", 72, 104),
        tensor("I32", "[16]", 104, 168),
    );
    let header = change(header);
    let mut bytes = file(&header, 0);
    bytes.extend([data, order].concat());
    bytes
}

#[test]
fn gptq() {
    let file = read(&checkpoint("[2,8]", |h| h)).unwrap();
    let layer = file.gptq("l", ZeroPoints::LessOne).unwrap();
    assert_eq!((layer.inputs, layer.outputs, layer.group), (16, 8, 8));
    let mut weights = [0.0; 16 * 8];
    layer.dequantize_into(0, &mut weights).unwrap();
    // Inputs alternate between the groups.
    assert_eq!((weights[0], weights[8]), ((5.0 - 3.0) * 0.5, (5.0 - 5.0) * 0.25));
    let file = read(&checkpoint("[2,8]", |h| h.replace("g_idx", "other"))).unwrap();
    let layer = file.gptq("l", ZeroPoints::AsStored).unwrap();
    layer.dequantize_into(0, &mut weights).unwrap();
    assert_eq!((weights[7 * 8], weights[8 * 8]), ((5.0 - 2.0) * 0.5, (5.0 - 4.0) * 0.25));
}

#[test]
fn awq() {
    let file = read(&checkpoint("[16,1]", |h| h)).unwrap();
    let layer = file.awq("l").unwrap();
    assert_eq!((layer.inputs, layer.outputs, layer.group), (16, 8, 8));
    let mut weights = [0.0; 16 * 8];
    layer.dequantize_into(0, &mut weights).unwrap();
    assert_eq!((weights[7 * 8 + 7], weights[8 * 8]), ((5.0 - 2.0) * 0.5, (5.0 - 4.0) * 0.25));
}

#[test]
fn what_is_no_layer_is_refused() {
    let gptq = |change: &dyn Fn(String) -> String| {
        let file = read(&checkpoint("[2,8]", change)).unwrap();
        file.gptq("l", ZeroPoints::LessOne).map(|_| ()).unwrap_err()
    };
    assert_eq!(gptq(&|h| h.replace("l.scales", "l.scale")).code(), Code::NotFound);
    for (from, to) in [
        (r#""I32","shape":[2,8]"#, r#""F32","shape":[2,8]"#),
        ("[2,8]", "[16]"),
        (r#""F16","shape":[2,8]"#, r#""BF16","shape":[2,8]"#),
        (r#""F16","shape":[2,8]"#, r#""F16","shape":[4,4]"#),
        ("[2,1]", "[1,2]"),
        ("[16]", "[4,4]"),
    ] {
        let error = gptq(&|h| h.replacen(from, to, 1));
        assert_eq!(error.code(), Code::InvalidArgument, "{from} as {to}: {error}");
        assert!(error.to_string().contains("tensor 'l."), "{error}");
    }
}
