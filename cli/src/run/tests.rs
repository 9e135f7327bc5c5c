use clap::Parser;
use selvedge::Dim;
use selvedge::fake::Fake;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: Run,
}

fn run(args: &[&str]) -> Run {
    Line::parse_from([&["run", "model"], args].concat()).run
}

fn x(name: &str, dtype: DType) -> Port {
    Port::tensor(name, dtype, vec![Dim::Symbol("n".into()), Dim::Fixed(2)])
}

/// Gives its input x back, twice.
fn twice() -> std::sync::Arc<dyn Engine> {
    let fake = Fake::tensors(vec![x("x", DType::F32)], vec![x("a", DType::F32), x("b", DType::F32)], |inputs| {
        let x = inputs[0].clone().into_iter();
        Ok(x.clone().chain(x).collect())
    });
    fake.name("twice").build()
}

fn one(name: Option<&str>, tensor: Tensor) -> Given {
    Given { name: name.map(Into::into), arrays: Arrays::One(tensor), text: "x.npy".into() }
}

fn floats(dims: &[usize]) -> Tensor {
    Tensor::new(dims, (0..dims.iter().product()).map(|i: usize| i as f32).collect()).unwrap()
}

#[test]
fn inputs_are_those_of_the_spec() {
    let engine = twice();
    let fails = |args: &[&str], given: Vec<Given>| {
        let run = run(args);
        let request = run.request(&*engine, given);
        request.and_then(|request| Ok(answer(&*engine, request)?)).unwrap_err().to_string()
    };
    assert_eq!(fails(&[], vec![]), "--input: expected x: f32[n, 2], got none");
    assert!(
        fails(&[], vec![one(Some("y"), floats(&[1, 2]))]).contains("input 'y' is unknown: expected one of [\"x\"]")
    );
    assert_eq!(fails(&[], vec![one(None, floats(&[1, 3]))]), "input 'x': expected f32[n, 2], got f32[1, 3]");
    let double = Tensor::new(&[1, 2], vec![0.5f64; 2]).unwrap();
    let expected = "input 'x': expected f32[n, 2], got f64[1, 2]; in NumPy: x.astype(\"float32\")";
    assert_eq!(fails(&[], vec![one(None, double)]), expected);
    let again = || one(Some("x"), floats(&[1, 2]));
    assert!(fails(&[], vec![again(), again()]).contains("given twice"));
    assert!(fails(&["--only", "c"], vec![again()]).contains("output 'c' is unknown"));
    assert!(fails(&["--text", "hello"], vec![]).contains("takes arrays: expected --input with x: f32[n, 2]"));
    let two = Fake::tensors(vec![x("x", DType::F32), x("y", DType::F32)], vec![], |_| Ok(vec![])).build();
    let unnamed = run(&[]).request(&*two, vec![again(), one(None, floats(&[1, 2]))]).unwrap_err().to_string();
    assert_eq!(unnamed, "--input: expected NAME=x.npy with the name of an input, x: f32[n, 2], y: f32[n, 2]");
}

#[test]
fn models_of_text_are_told_from_those_of_tensors() {
    let text = run(&[]).request(&*Fake::text("so").build(), vec![]).unwrap_err();
    let code = text.downcast_ref::<selvedge::Error>().unwrap().code();
    assert!(code == Code::Unsupported && text.to_string().contains("see `selvedge chat`"), "{text}");
    let embedding = Fake::embedding(3).build();
    assert!(run(&[]).request(&*embedding, vec![]).unwrap_err().to_string().contains("expected --text"));
    let request = run(&["--text", "a", "--text", "b"]).request(&*embedding, vec![]).unwrap();
    let given = answer(&*embedding, request).unwrap();
    assert_eq!(given.outputs[0].1.shape()[..], [2, 3]);
}

#[test]
fn outputs_are_shown_with_their_highest_scores() {
    let engine = twice();
    let request = run(&["--only", "b"]).request(&*engine, vec![one(None, floats(&[6, 2]))]).unwrap();
    let given = answer(&*engine, request).unwrap();
    let mut out = Vec::new();
    in_words(&mut out, &given, true).unwrap();
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["b: f32[6, 2]", "  0 1 2 3 4 5 6 7 …", "  highest of row 0: 1 (1), 0 (0)"]);
    assert_eq!(lines[6], "  and 2 more rows");
    let mut brief = Vec::new();
    in_words(&mut brief, &given, false).unwrap();
    assert!(!String::from_utf8(brief).unwrap().contains("highest"));
}

#[test]
fn scores_are_ranked() {
    let highest = top(&[0.1, f64::NAN, 0.7, -1.0, f64::INFINITY, 0.7, 0.0]);
    assert_eq!(highest, [(4, f64::INFINITY), (2, 0.7), (5, 0.7), (0, 0.1), (6, 0.0)]);
    assert_eq!(top(&[f64::NAN, 1.0])[0], (1, 1.0));
    assert_eq!(classes(&floats(&[2, 3])), Some(3));
    assert_eq!(classes(&floats(&[5])), Some(5));
    for other in
        [floats(&[2, 3, 4]), floats(&[4, 1]), Tensor::new(&[4], vec![1i64; 4]).unwrap(), Tensor::scalar(1.0f32)]
    {
        assert_eq!(classes(&other), None, "{:?}", other.shape());
    }
    let shown = [0.0, 3.0, 0.1, 1234.5678, 0.00012345678, 1e30, -2.5].map(short);
    assert_eq!(shown, ["0", "3", "0.100000", "1234.57", "1.23457e-4", "1.00000e30", "-2.50000"]);
}

#[test]
fn json_has_every_value_by_its_shortest_digits() {
    let values = |tensor: Tensor| in_json_values(&tensor).unwrap().to_string();
    assert_eq!(values(Tensor::new(&[3], vec![0.1f32, f32::NAN, f32::INFINITY]).unwrap()), "[0.1,\"NaN\",\"inf\"]");
    assert_eq!(values(Tensor::new(&[1], vec![i64::MAX]).unwrap()), format!("[{}]", i64::MAX));
    assert_eq!(values(Tensor::new(&[3], vec![1.0f64, 1e300, -0.0]).unwrap()), "[1.0,1e+300,-0.0]");
    assert_eq!(values(Tensor::new(&[2], vec![-1i32, 7]).unwrap()), "[-1,7]");
    assert_eq!(values(Tensor::new(&[2], vec![true, false]).unwrap()), "[true,false]");
    assert_eq!(values(Tensor::strings(&[1], vec!["a\"b".into()]).unwrap()), "[\"a\\\"b\"]");
    let engine = twice();
    let request = run(&[]).request(&*engine, vec![one(None, floats(&[1, 2]))]).unwrap();
    let reported = in_json(&*engine, &answer(&*engine, request).unwrap(), true).unwrap();
    assert_eq!(reported["outputs"][1], json!({"name": "b", "type": "f32", "shape": [1, 2], "values": [0.0, 1.0]}));
    assert_eq!(reported["model"]["name"], "twice");
}
