//! Golden cases, likeness and cohorts.

use crate::engine::{Answer, Call, Finish, Usage};
use crate::fake::Fake;
use crate::layer::deployment::cohort::{alternating, bucket};
use crate::layer::deployment::golden::Golden;
use crate::layer::deployment::likeness::{Expected, Likeness};
use crate::layer::deployment::plan::RolloutPlan;
use crate::{Code, DType, Tensor};

const CASE: &str = r#"{"golden": 1, "cases": [{"name": "one",
    "request": {"tensors": [{"name": "x", "dtype": "DTYPE", "shape": [2], VALUES}]},
    "expect": {"outputs": [{"name": "y", "dtype": "DTYPE", "shape": [2], VALUES}]}}]}"#;

fn case(dtype: &str, values: &str) -> String {
    CASE.replace("DTYPE", dtype).replace("VALUES", values)
}

#[test]
fn every_dtype_can_be_written() {
    for dtype in DType::ALL {
        let values = match dtype {
            DType::Bool => r#""values": [true, false]"#,
            DType::String => r#""values": ["wet", ""]"#,
            DType::U8 | DType::U16 | DType::U32 => r#""values": [0, 255]"#,
            DType::U64 => r#""values": [0, 18446744073709551615]"#,
            DType::I64 => r#""values": [-9223372036854775808, 1]"#,
            DType::I8 | DType::I16 | DType::I32 => r#""values": [-128, 127]"#,
            _ => r#""values": [-0.5, 3]"#,
        };
        let golden = Golden::parse(case(dtype.name(), values).as_bytes()).unwrap();
        let echo = Fake::echo(dtype).build();
        assert_eq!(golden.misses(&*echo, &Call::new()), [], "{dtype}");
        let Some(size) = dtype.size() else { continue };
        let hex = format!(r#""hex": "{}""#, "01".repeat(2 * size));
        let golden = Golden::parse(case(dtype.name(), &hex).as_bytes()).unwrap();
        assert_eq!(golden.misses(&*echo, &Call::new()), [], "{dtype} in hex");
    }
}

#[test]
fn what_is_not_of_the_form_is_refused() {
    let good = case("f32", r#""values": [1, 2]"#);
    assert_eq!(Golden::parse(good.as_bytes()).unwrap().cases(), 1);
    let values = r#""values": [1, 2]"#;
    for (from, to) in [
        (r#""golden": 1"#, r#""golden": 2"#),
        (r#""golden": 1"#, r#""golden": 1, "golden": 1"#),
        (r#""golden": 1"#, r#""golden": 1, "more": 1"#),
        (r#""name": "one","#, ""),
        (r#""name": "one","#, r#""name": "one", "weight": 3,"#),
        ("f32", "f33"),
        (values, r#""values": [1]"#),
        (values, r#""values": [1, 1e39]"#),
        (values, r#""values": [1, "2"]"#),
        (values, r#""values": [1, 2], "hex": "0000803f0000803f""#),
        (values, r#""hex": "0000803f0000803""#),
        (values, r#""hex": "0000803f0000803g""#),
        (r#""shape": [2]"#, r#""shape": [-2]"#),
        (r#""expect": {"outputs": ["#, r#""expect": {}, "compare": {"outputs": ["#),
        ("}}]}", r#"}, "compare": "roughly"}]}"#),
        ("}}]}", r#"}, "compare": {"text": 1.5}}]}"#),
        ("}}]}", r#"}, "compare": {"tolerance": {"absolute": -1, "relative": 0}}}]}"#),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert_eq!(Golden::parse(bad.as_bytes()).unwrap_err().code(), Code::Corrupt, "{bad}");
    }
    let twice = good.replacen("[{\"name\": \"one\"", "[CASE, {\"name\": \"one\"", 1);
    let one = &good[good.find("[{").unwrap() + 1..good.rfind(']').unwrap()];
    let error = Golden::parse(twice.replacen("CASE", one, 1).as_bytes()).unwrap_err();
    assert_eq!(error.message(), "golden: case 'one': expected each name once, got it twice");
    assert!(Golden::parse(br#"{"golden": 1, "cases": []}"#).is_err());
}

#[test]
fn a_miss_names_the_case_and_the_numbers() {
    let golden = Golden::parse(case("f32", r#""values": [1, 2]"#).as_bytes()).unwrap();
    let misses = golden.misses(&*Fake::echo(DType::F32).drift(0, 0.5).build(), &Call::new());
    assert_eq!((misses.len(), &*misses[0].case), (1, "one"));
    let tolerant = case("f32", r#""values": [1, 2]"#)
        .replace("}}]}", r#"}, "compare": {"tolerance": {"absolute": 0.4, "relative": 0}}}]}"#);
    let misses = Golden::parse(tolerant.as_bytes())
        .unwrap()
        .misses(&*Fake::echo(DType::F32).drift(0, 0.5).build(), &Call::new());
    assert_eq!(misses[0].why, "output 'y': element 0: expected 1 ± 0.4, got 1.5");
    let failing = Fake::echo(DType::F32).fail(0, Code::Backend).build();
    assert!(golden.misses(&*failing, &Call::new())[0].why.starts_with("expected an answer, got BACKEND"));
}

#[test]
fn texts_and_embeddings_can_be_golden() {
    let json = r#"{"golden": 1, "cases": [
        {"name": "text", "request": {"generate": {"prompt": "and", "max_tokens": 2}}, "expect": {"text": "so it"}},
        {"name": "chat", "request": {"generate": {"user": "and"}}, "expect": {"text": "so it goos"}, "compare": {"text": 0.7}},
        {"name": "far", "request": {"generate": {"user": "and"}}, "expect": {"text": "never"}, "compare": {"text": 0.7}}]}"#;
    let misses = Golden::parse(json.as_bytes()).unwrap().misses(&*Fake::text("so it goes").build(), &Call::new());
    assert_eq!(misses.iter().map(|miss| &*miss.case).collect::<Vec<_>>(), ["far"]);
    let json = r#"{"golden": 1, "cases": [{"name": "e", "request": {"embed": ["cat"]},
        "expect": {"outputs": [{"name": "embedding", "dtype": "f32", "shape": [1, 2], "values": [0, 0]}]}}]}"#;
    let misses = Golden::parse(json.as_bytes()).unwrap().misses(&*Fake::embedding(2).build(), &Call::new());
    assert_eq!(misses[0].why, "output 'embedding': expected the same bytes, got others");
}

fn answer(tensor: Tensor) -> Answer {
    let provenance = Fake::echo(DType::F32).build().spec().provenance.clone();
    let mut answer = Answer::new(Finish::Complete, Usage::default(), provenance);
    answer.outputs = vec![("y".into(), tensor)];
    answer
}

fn is_like(likeness: Likeness, expected: &[f32], got: &[f32]) -> bool {
    let tensor = |values: &[f32]| Tensor::new(&[1, values.len()], values.to_vec()).unwrap();
    let expected = Expected { outputs: vec![("y".into(), tensor(expected))], text: None };
    likeness.difference(&expected, &answer(tensor(got))).is_none()
}

#[test]
fn likeness_knows_its_borders() {
    let tolerance = |absolute, relative| Likeness::Tolerance { absolute, relative };
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for (likeness, expected, got, alike) in [
        (Likeness::Exact, [1.0, -0.0], [1.0, 0.0], false),
        (tolerance(0.5, 0.0), [1.0, 2.0], [1.5, 2.0], true),
        (tolerance(0.5, 0.0), [1.0, 2.0], [1.500_1, 2.0], false),
        (tolerance(0.0, 0.1), [100.0, 2.0], [109.0, 2.1], true),
        (tolerance(0.0, 0.1), [100.0, 2.0], [109.0, 2.3], false),
        (tolerance(1e9, 0.0), [nan, inf], [nan, inf], true),
        (tolerance(1e9, 0.0), [nan, inf], [0.0, inf], false),
        (tolerance(1e9, 0.0), [1.0, inf], [nan, inf], false),
        (tolerance(1e9, 0.0), [1.0, inf], [1.0, -inf], false),
        (Likeness::Top1, [0.1, 0.9], [0.4, 0.5], true),
        (Likeness::Top1, [0.1, 0.9], [0.5, 0.4], false),
        (Likeness::Top1, [nan, 0.9], [0.1, 0.4], true),
    ] {
        assert_eq!(is_like(likeness, &expected, &got), alike, "{likeness:?} {expected:?} {got:?}");
    }
    assert!(!is_like(Likeness::Top1, &[1.0, 2.0], &[1.0, 2.0, 0.0]), "another shape");
    let other = Expected { outputs: vec![("z".into(), Tensor::scalar(1.0f32))], text: None };
    assert_eq!(
        Likeness::Exact.difference(&other, &answer(Tensor::scalar(1.0f32))).unwrap(),
        "output 'z': expected it, got none"
    );
}

#[test]
fn cohorts_are_pinned_even_and_monotone() {
    // Other software must come to the same cohorts. By sha256sum, the first eight bytes of "v2", zero, "device-1" are these.
    let first = 0x6026_8979_891a_fa04_u128;
    assert_eq!(u128::from(bucket("v2", b"device-1")), (first * 10_000) >> 64);
    assert_eq!(bucket("v2", b"device-1"), 3755);
    let ids: Vec<String> = (0..20_000).map(|i| format!("device-{i}")).collect();
    for (share, least, most) in [(0, 0, 0), (500, 900, 1100), (1000, 1880, 2120), (10_000, 20_000, 20_000)] {
        let plan = RolloutPlan::canary(share);
        let count = ids.iter().filter(|id| plan.has_device("v2", id)).count();
        assert!((least..=most).contains(&count), "{share}: {count}");
    }
    let (five, ten) = (RolloutPlan::canary(500), RolloutPlan::canary(1000));
    assert!(ids.iter().all(|id| !five.has_device("v2", id) || ten.has_device("v2", id)), "in at 5 %, out at 10 %");
    let both = ids.iter().filter(|id| five.has_device("v2", id) && five.has_device("v3", id)).count();
    assert!(both < 120, "another version draws others: {both}");
    let salted = RolloutPlan::canary(500).salt("ring");
    assert!(ids.iter().all(|id| salted.has_device("v2", id) == salted.has_device("v3", id)));
}

#[test]
fn calls_alternate_evenly() {
    for share in [1, 100, 5000, 9999] {
        for from in [0, 12_345] {
            let count = (from..from + 1000).filter(|n| alternating(*n) < share).count() as f64;
            assert!((count - f64::from(share) / 10.0).abs() <= 2.0, "{share}: {count}");
        }
    }
}
