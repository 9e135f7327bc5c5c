//! Weights that the range of f16 is too small for: scaled, so that blocks lose what they lose anyway, or kept.

use super::craft::{Craft, weights};
use super::{INT64, Packed, formats, kept, read};
use crate::onnx::{FLOAT, Graph, NewNode};
use crate::pack::keys::power;
use crate::pack::{PackReport, Packing, Scheme};

const SCHEMES: [Scheme; 3] = [Scheme::Int4, Scheme::Int8, Scheme::F16];

/// y = x · Wᵀ: the rows of W are rows of blocks.
fn gemm(rows: usize, columns: usize, values: &[f32]) -> Craft {
    let gemm = NewNode { op: "Gemm", inputs: &["x", "W"], output: "y", ints: &[("transB", 1)], ..<_>::default() };
    Craft::new()
        .input("x", FLOAT, &[0, columns as i64])
        .node_with(gemm)
        .weight("W", &[rows as i64, columns as i64], values)
        // Something that is always packed.
        .input("ids", INT64, &[0])
        .node("Gather", &["T", "ids"], "rows")
        .weight("T", &[50, 64], &weights(50 * 64))
        .output("y", &[0, rows as i64])
        .output("rows", &[0, 64])
}

fn bound(format: &str) -> f64 {
    match format {
        "q4_0" => 3.0 / 8.0,
        "q8_0" => 1.0 / 32.0,
        _ => 1.0 / 512.0,
    }
}

/// The largest error of a row, by what the weight file and the report say.
fn row_error(packed: &Packed, columns: usize, expected: &[f32]) -> f64 {
    let tensor = packed.report().packed.iter().find(|t| t.name == "W").unwrap();
    let got = read(&packed.file(), &tensor.stored, columns);
    let errors = expected.chunks(columns).zip(got.chunks(columns)).map(|(w, r)| {
        let (mut error, mut whole) = (0.0, 0.0);
        for (w, r) in w.iter().zip(r) {
            error += (f64::from(*w) - f64::from(*r) * f64::from(tensor.scale)).powi(2);
            whole += f64::from(*w).powi(2);
        }
        if whole == 0.0 { error } else { (error / whole).sqrt() }
    });
    errors.fold(0.0, f64::max)
}

fn report(values: &[f32], rows: usize, scheme: Scheme) -> Packed {
    Packed::of(gemm(rows, values.len() / rows, values).model(), &Packing::new(scheme).mean_bits(4.5))
}

/// What is packed loses no more than it may, and what would is kept with a reason; returns which.
#[track_caller]
fn is_bounded(what: &str, values: &[f32], rows: usize, scheme: Scheme) -> bool {
    let packed = report(values, rows, scheme);
    let PackReport { packed: tensors, kept, .. } = packed.report();
    assert_eq!(tensors.len() + kept.len(), 2, "{what}");
    let Some(tensor) = tensors.iter().find(|t| t.name == "W") else {
        let reason = &kept.iter().find(|t| t.name == "W").expect("it is one or the other").reason;
        assert!(reason.contains("would lose") || reason.contains("expected finite weights"), "{what}: {reason}");
        return false;
    };
    let error = row_error(&packed, values.len() / rows, values);
    assert!(error <= bound(tensor.format), "{what}, {}: a row loses {error}", tensor.format);
    assert!((error - tensor.row_error).abs() <= 1e-6, "{what}: {error} {tensor:?}");
    true
}

#[test]
fn weights_of_any_size_lose_no_more_than_those_of_the_usual() {
    let usual = weights(48 * 96);
    for scheme in SCHEMES {
        let plain = report(&usual, 48, scheme);
        let usual_error = row_error(&plain, 96, &usual);
        assert_eq!(plain.report().packed[0].scale, 1.0, "what f16 holds is not scaled");
        for size in [1e-2f32, 1e-4, 1e-5, 1e-6, 1e-7, 1e-10, 1e-20, 1e-30, 1e-37, 1e3, 1e5, 1e6, 1e10, 1e30, 3e38] {
            let values: Vec<f32> = usual.iter().map(|w| w * size).collect();
            let what = format!("{} at {size:e}", scheme.name());
            assert!(is_bounded(&what, &values, 48, scheme), "{what} is kept");
            let error = row_error(&report(&values, 48, scheme), 96, &values);
            assert!(error <= usual_error * 1.1 + 1e-4, "{what}: {error}, as a rule {usual_error}");
        }
    }
}

#[test]
fn rows_of_other_sizes_are_bounded_each() {
    let usual = weights(48 * 96);
    let sized = |size: &dyn Fn(usize) -> f32| -> Vec<f32> { usual.iter().zip(0..).map(|(w, i)| w * size(i)).collect() };
    for scheme in SCHEMES {
        for (what, values, is_packed) in [
            ("rows from 1 to 1e-6", sized(&|i| 10f32.powi(-((i / 96 % 7) as i32))), Some(true)),
            ("rows of 1e4 and of 1e-4", sized(&|i| [1e4, 1e-4][i / 96 % 2]), Some(true)),
            ("one row of 1e-20", sized(&|i| if i / 96 == 7 { 1e-20 } else { 1.0 }), Some(false)),
            ("rows of 1e30 and of 1e-30", sized(&|i| [1e30, 1e-30][i / 96 % 2]), Some(false)),
            ("a row of zeros", sized(&|i| if i / 96 == 7 { 0.0 } else { 1e-6 }), Some(true)),
            ("all zeros", vec![0.0; 48 * 96], Some(true)),
            ("one outlier in a block", sized(&|i| if i % 32 == 5 { 1e4 } else { 1.0 }), Some(true)),
            ("one outlier of 1e30 in a block", sized(&|i| if i % 32 == 5 { 1e30 } else { 1.0 }), Some(true)),
            ("one outlier of 1e30 in all", sized(&|i| if i == 5 { 1e30 } else { 1.0 }), Some(false)),
            ("small blocks beside large ones", sized(&|i| [1.0, 1e-9, 1e-20][i % 96 / 32]), Some(true)),
            ("numbers that are subnormal in f32", sized(&|_| 1e-44), Some(false)),
            ("all the same", vec![1e-6; 48 * 96], Some(true)),
        ] {
            let what = format!("{}: {what}", scheme.name());
            let was = is_bounded(&what, &values, 48, scheme);
            // In f16 each weight has its own range, and columns count as rows do.
            let decided = scheme != Scheme::F16 || !what.contains("in a block") && !what.contains("blocks beside");
            assert!(!decided || is_packed.is_none_or(|is| is == was), "{what}: {was}");
        }
    }
}

#[test]
fn random_mixtures_of_sizes_are_bounded() {
    let (mut packed, mut kept) = (0, 0);
    for seed in 0..60usize {
        let random = weights(64 * 64 + 64 * seed);
        let sizes = &random[random.len() - 64..];
        let reach = [3.0, 12.0, 40.0][seed % 3];
        let values: Vec<f32> = (0..32 * 64)
            .map(|i| {
                let size = if seed % 2 == 0 { sizes[i / 64] } else { sizes[i / 32 % 64] };
                random[i] * 10f32.powf(size * reach)
            })
            .filter(|w| w.is_finite())
            .collect();
        if values.len() < 32 * 64 {
            continue;
        }
        for scheme in SCHEMES {
            let was = is_bounded(&format!("{} of seed {seed}", scheme.name()), &values, 32, scheme);
            *if was { &mut packed } else { &mut kept } += 1;
        }
    }
    assert!(packed > 40 && kept > 10, "{packed} packed, {kept} kept");
}

#[test]
fn weights_that_are_no_numbers_stay() {
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 31, 95, 48 * 96 - 1] {
            let mut values = weights(48 * 96);
            values[at] = odd;
            for scheme in SCHEMES {
                assert!(!is_bounded("not finite", &values, 48, scheme), "{odd} at {at}");
                let reason = format!("expected finite weights, got {odd}");
                assert_eq!(super::kept(report(&values, 48, scheme).report(), "W"), reason);
            }
        }
    }
}

#[test]
fn columns_are_bounded_as_rows_are() {
    // Of x · W a row of blocks is a column.
    let craft = |size: &dyn Fn(usize) -> f32| {
        let values: Vec<f32> = weights(64 * 48).iter().zip(0..).map(|(w, i)| w * size(i % 48)).collect();
        Craft::new()
            .input("x", FLOAT, &[0, 64])
            .node("MatMul", &["x", "W"], "h")
            .node("MatMul", &["h", "V"], "y")
            .weight("W", &[64, 48], &values)
            .weight("V", &[48, 64], &weights(64 * 48))
            .output("y", &[0, 64])
    };
    let int8 = Packing::new(Scheme::Int8);
    let packed = Packed::of(craft(&|column| if column == 3 { 1e-7 } else { 1.0 }).model(), &int8);
    let w = &packed.report().packed[0];
    assert!(w.name == "W" && w.scale != 1.0 && w.row_error < 0.01, "{w:?}");
    let packed = Packed::of(craft(&|column| if column == 3 { 1e-20 } else { 1.0 }).model(), &int8);
    let reason = kept(packed.report(), "W");
    assert!(reason.starts_with("q8_0 would lose 100.00 % of a row, beyond 0.39 %"), "{reason}");
    assert!(reason.contains("between 9") && reason.contains("e-21 and"), "{reason}");
}

#[test]
fn nothing_but_such_weights_is_nothing_to_pack() {
    let mut values = weights(48 * 96);
    values[..96].iter_mut().for_each(|w| *w *= 1e-30);
    let craft = Craft::new()
        .input("x", FLOAT, &[0, 48])
        .node("MatMul", &["x", "W"], "y")
        .weight("W", &[48, 96], &values.iter().map(|w| w * 1e-42).collect::<Vec<_>>())
        .output("y", &[0, 96]);
    let error = Packed::of(craft.model(), &Packing::new(Scheme::Int8)).error();
    assert!(error.message().starts_with("there is nothing to pack: 'W': q8_0 would lose"), "{error}");
    let bare = Craft::new().input("x", FLOAT, &[0, 48]).node("Neg", &["x"], "y").output("y", &[0, 48]);
    let error = Packed::of(bare.model(), &Packing::new(Scheme::Int8)).error();
    assert_eq!(error.message(), "there is nothing to pack: it has no weights in its outermost graph");
}

#[test]
fn halves_out_of_range_are_multiplied_after_they_are_widened() {
    let values: Vec<f32> = weights(48 * 96).iter().map(|w| w * 1e-9).collect();
    let mut craft = gemm(48, 96, &values);
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::F16));
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op).collect();
    assert_eq!(ops, ["Cast", "Mul", "Gemm", "Gather", "Cast"]);
    assert_eq!((graph.nodes[1].inputs[1], graph.nodes[1].outputs[0]), ("W.scale", "W"));
    let scale = graph.initializers.iter().find(|t| t.name == "W.scale").unwrap();
    let tensor = &packed.report().packed[0];
    assert_eq!((&*scale.dims, scale.float_bytes().as_deref()), (&[][..], Some(&tensor.scale.to_le_bytes()[..])));
    // Before operator set 7 a Mul takes no lone number.
    craft.opset = 6;
    let reason = kept(Packed::of(craft.model(), &Packing::new(Scheme::F16)).report(), "W").to_owned();
    assert!(reason.contains("operator set 6 cannot scale them"), "{reason}");
}

#[test]
fn blocks_say_what_they_were_divided_by() {
    let values: Vec<f32> = weights(48 * 96).iter().map(|w| w * 1e30).collect();
    let packed = report(&values, 48, Scheme::Int8);
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    let entry = |name: &str| {
        let tensor = graph.initializers.iter().find(|t| t.name == name).unwrap();
        tensor.entry(crate::pack::keys::EXPONENT).map(|n| n.parse::<i32>().unwrap())
    };
    assert_eq!((entry("W").map(power), entry("T")), (Some(packed.report().packed[0].scale), None));
    for (exponent, expected) in [(0, 1.0), (1, 2.0), (-1, 0.5), (-126, f32::MIN_POSITIVE), (126, 2f32.powi(126))] {
        assert_eq!(power(exponent), expected);
    }
}

#[test]
fn a_mixture_scales_for_the_format_that_it_chooses() {
    let values: Vec<f32> = weights(64 * 64).iter().map(|w| w * 1e-8).collect();
    let craft = Craft::new()
        .input("x", FLOAT, &[0, 64])
        .node("MatMul", &["x", "A"], "a")
        .node("MatMul", &["a", "B"], "y")
        .weight("A", &[64, 64], &values)
        .weight("B", &[64, 64], &values)
        .output("y", &[0, 64]);
    let packing = Packing::new(Scheme::Int4).mean_bits(6.5);
    assert_eq!(formats(&craft, &packing), ["A q4_0", "B q8_0"]);
    let packed = Packed::of(craft.model(), &packing);
    let errors: Vec<f64> = packed.report().packed.iter().map(|t| t.row_error).collect();
    assert!(errors[0] < 0.15 && errors[1] < 0.01, "{errors:?}");
}
