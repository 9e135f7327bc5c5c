use clap::Parser;
use selvedge::fake::Fake;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    bench: Bench,
}

fn bench(args: &[&str]) -> Bench {
    Line::parse_from([&["bench", "model"], args].concat()).bench
}

fn report<'a>(engine: &'a dyn Engine, args: &[&str]) -> Report<'a> {
    bench(args).report(engine, None, Duration::from_millis(7), Some(1 << 20)).unwrap()
}

fn words(report: &Report<'_>) -> String {
    let mut out = Vec::new();
    report.in_words(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn percentiles_are_nearest_ranks() {
    let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
    let of = |times: &[Duration]| SHARES.map(|(_, share)| percentile(times, share).map(|d| d.as_millis()));
    assert_eq!(of(&times), [Some(50), Some(90), Some(99)]);
    assert_eq!(of(&times[90..]), [Some(5), Some(9), Some(10)]);
    assert_eq!((of(&times[99..]), of(&[])), ([Some(1); 3], [None; 3]));
}

#[test]
fn a_prompt_has_about_the_tokens_asked_for_and_is_another_one_each_time() {
    // A tokenizer with two tokens before each text and 1.25 a word.
    let count = |words: usize| Ok(2 + (words as f64 * 1.25) as u64);
    let words = words_of(512, count).unwrap();
    assert!((500..=524).contains(&count(words).unwrap()), "{words}");
    assert_eq!(words_of(40, |_| Ok(0)).unwrap(), 40);
    assert_eq!(words_of(1, count).unwrap(), 1);
    let [first, second] = [0, 1].map(|number| prose(30, number));
    assert_eq!((first.split(' ').count(), second.split(' ').count()), (30, 30));
    assert_ne!(first.split(' ').next(), second.split(' ').next());
}

#[test]
fn inputs_are_made_up_by_the_spec() {
    let port = |name: &str, dtype, dims: Vec<Dim>| Port::tensor(name, dtype, dims);
    let n = || Dim::Symbol("n".into());
    let mut mask = port("mask", DType::Bool, vec![n()]);
    mask.optional = true;
    let ports = [port("x", DType::F32, vec![n(), Dim::Fixed(3)]), port("ids", DType::I64, vec![Dim::Any, n()]), mask];
    let made = made_up(&ports, &[("n".into(), 4)]).unwrap().inputs;
    let shapes: Vec<(&str, DType, &[usize])> =
        made.iter().map(|(name, t)| (&**name, t.dtype(), &t.shape()[..])).collect();
    assert_eq!(shapes, [("x", DType::F32, &[4, 3][..]), ("ids", DType::I64, &[1, 4])]);
    assert!(made[0].1.as_slice::<f32>().unwrap().iter().all(|v| (0.0..1.0).contains(v)));
    assert_eq!(made[1].1.as_slice::<i64>().unwrap(), [1; 4]);
    assert!(made_up(&ports, &[("m".into(), 4)]).unwrap_err().to_string().contains("expected one of"));
    let mut unknown = ports[0].clone();
    unknown.kind = Kind::Tensor { dtype: DType::F32, shape: None };
    assert!(made_up(&[unknown], &[]).unwrap_err().to_string().contains("use --input"));
}

#[test]
fn tensors_are_measured_in_calls() {
    let port = |name: &str| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(2)]);
    let engine =
        Fake::tensors(vec![port("x")], vec![port("y")], |inputs| Ok(inputs.iter().flatten().cloned().collect()));
    let engine = engine.delay(Duration::from_millis(3)).build();
    let report = report(&*engine, &["--calls", "12"]);
    let printed = words(&report);
    for part in ["x: f32[1, 2]", "calls/s, 12 in all", "p50", "p90", "p99", "whole call", "memory", " cores, "] {
        assert!(printed.contains(part), "no {part}: {printed}");
    }
    assert!(!printed.contains("tokens/s"), "{printed}");
    let reported = report.in_json();
    let number = |value: &Value| value.as_f64().unwrap();
    // Each call sleeps for 3 ms, and cannot be faster.
    assert!(number(&reported["calls_per_second"]) < 333.4, "{reported}");
    assert!(number(&reported["latency_seconds"]["whole_call"]["p50"]) >= 0.003, "{reported}");
    assert_eq!((&reported["calls"], &reported["prompt_tokens"]), (&json!(12), &json!(0)));
    assert_eq!(number(&reported["open_seconds"]), 0.007);
}

#[test]
fn text_is_measured_in_tokens() {
    let engine = Fake::text("one two three four five").delay(Duration::from_millis(2)).build();
    let report = report(&*engine, &["--calls", "3", "--prompt", "40"]);
    let printed = words(&report);
    for part in ["40 tokens read and 5 written a call", "generation", "first token", "next token"] {
        assert!(printed.contains(part), "no {part}: {printed}");
    }
    let reported = report.in_json();
    let measured = |of: &str| reported["latency_seconds"][of]["measured"].as_u64().unwrap();
    assert_eq!([measured("whole_call"), measured("first_token"), measured("next_token")], [3, 3, 12]);
    assert_eq!((&reported["prompt_tokens"], &reported["generated_tokens"]), (&json!(120), &json!(15)));
}

#[test]
fn what_cannot_be_measured_is_told() {
    let text = Fake::text("so").build();
    let given = Some(BTreeMap::from([("x".to_owned(), Tensor::scalar(1.0f32))]));
    let Err(refused) = bench(&[]).report(&*text, given, Duration::ZERO, None) else { panic!("text takes no arrays") };
    assert!(refused.to_string().contains("expected a model of tensors, got 'fake'"), "{refused}");
    let broken = Fake::echo(DType::F32);
    let Err(refused) = bench(&[]).report(&*broken.build(), None, Duration::ZERO, None) else { panic!("no shape") };
    assert!(refused.to_string().contains("use --input"), "{refused}");
}
