//! The numbers of `cases.json` about profiles, monitors, scores and ranks, computed anew by the Rust crate: what bindings are held
//! against must not come from one of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use selvedge::drift::{
    self, Alert, AlertEvent, AlertKind, FalseAlarm, FeatureDrift, Finding, LabelVerdict, Persistence,
};
use selvedge::drift::{Action, Profile, Proportion, RowDependence, Severity};
use selvedge::layer::monitor::{Label, Monitor};
use selvedge::layer::probe::{All, Classes, Columns};
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, Call, Options, Tensor, Tensors, open};
#[cfg(feature = "llama")]
use selvedge::{Prompt, Rerank, Score};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Row = [f32; 4];

#[test]
fn the_cases_about_profiles_hold_in_rust() {
    let case = case("profile: fit, bytes, compare");
    let mut misses = Misses::default();
    let profile = fit(step(&case, "fit"), [0; 32]);
    misses.check("profile_json", &step(&case, "profile_json")["expect"], &profile_json(&profile));
    let bytes = profile.encode();
    let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    misses.check("encode", &step(&case, "encode")["expect"], &json!({ "bytes": bytes.len(), "sha256": digest }));
    for step in steps(&case).iter().filter(|step| step["op"] == "compare") {
        misses.check("compare", &step["expect"], &compared(&profile, &rows(step)));
    }
    misses.end();
}

#[test]
fn the_cases_about_monitors_hold_in_rust() {
    let case = case("monitor: drift, alerts, labels, report");
    let mut misses = Misses::default();
    let folder = tempfile::tempdir().unwrap();
    let engine = open(repo().join("examples/quickstart/rain.onnx"), Options::new()).unwrap();
    let profile = fit(step(&case, "fit"), engine.spec().provenance.digest.0);
    let probe = All::new()
        .and(Columns::of("weather", ["precipitation", "temp_max", "temp_min", "wind"]))
        .and(Classes::of("rain_tomorrow"));
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = told.clone();
    let monitor = Monitor::builder(engine, Telemetry::open(folder.path(), Limits::default()), probe)
        .profile(profile)
        .window(365)
        .persistence(Persistence::new(1, 1).unwrap())
        .false_alarm(FalseAlarm::windows(1000.0))
        .on_alert(move |change| hears.lock().unwrap().push(change.clone()))
        .build()
        .unwrap();
    for step in steps(&case) {
        match step["op"].as_str().unwrap() {
            "run_rows" => run_rows(&monitor, step),
            "tick" => monitor.tick(),
            "close_window" => monitor.close_window(),
            "alerts" => {
                let told = std::mem::take(&mut *told.lock().unwrap());
                let alerts: Value = told.iter().map(alert).filter(|a| a["feature"] != "latency").collect();
                misses.check("alerts", &step["expect"], &alerts);
            }
            "feedback" if step.get("error").is_none() => {
                misses.check("feedback", &step["expect"], &feedback(&monitor, step))
            }
            "report" => misses.check("report", &step["expect"], &report(&monitor)),
            _ => {}
        }
    }
    misses.end();
}

/// Other processors round otherwise: what a step allows holds here as well.
#[test]
#[cfg(feature = "llama")]
fn the_cases_about_scores_and_ranks_hold_in_rust() {
    let corpus = std::env::var("SELVEDGE_CORPUS").ok();
    let names = ["scores: continuations of a prompt, and prefixes that come back", "ranks: documents by a query"];
    for case in names.map(case) {
        let path = step(&case, "open")["path"].as_str().unwrap().replace("${REPO}", repo().to_str().unwrap());
        if corpus.is_none() && path.contains("CORPUS") {
            println!("skipped: {}, for there is no corpus", case["name"]);
            continue;
        }
        let path = path.replace("${SELVEDGE_CORPUS}", corpus.as_deref().unwrap_or_default());
        let context = step(&case, "open")["options"]["context_tokens"].as_u64();
        let options =
            context.map_or_else(Options::new, |tokens| Options::new().context_tokens(tokens as u32).parallel(1));
        let engine = open(path, options).unwrap();
        for step in steps(&case).iter().filter(|step| step.get("error").is_none()) {
            let texts = |name: &str| -> Vec<String> { serde_json::from_value(step[name].clone()).unwrap() };
            let (answer, outputs) = match step["op"].as_str().unwrap() {
                "score" => {
                    let tokens = || serde_json::from_value(step["tokens"].clone()).unwrap();
                    let text = step["prompt"].as_str().map(|text| Prompt::Text(text.into()));
                    let score = Score::new(text.unwrap_or_else(|| Prompt::Tokens(tokens())), texts("continuations"));
                    (
                        engine.run(score),
                        [("logprobs", Score::LOGPROB), ("tokens", Score::TOKENS), ("greedy", Score::GREEDY)],
                    )
                }
                "rerank" => {
                    let rerank = Rerank::new(step["query"].as_str().unwrap(), texts("documents"));
                    // Twice the order, for an array of as many.
                    (
                        engine.run(rerank),
                        [("scores", Rerank::SCORE), ("order", Rerank::ORDER), ("order", Rerank::ORDER)],
                    )
                }
                _ => continue,
            };
            let answer = answer.unwrap();
            for (field, output) in outputs {
                let (expected, got) = (numbers(&step["expect"][field]), elements(answer.output(output).unwrap()));
                let room =
                    if field == "logprobs" || field == "scores" { step["tolerance"].as_f64().unwrap() } else { 0.0 };
                let fits = expected.iter().zip(&got).all(|(e, g)| (e - g).abs() <= room);
                assert!(expected.len() == got.len() && fits, "{field}: expected {expected:?}, got {got:?}");
            }
        }
    }
}

#[cfg(feature = "llama")]
fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[cfg(feature = "llama")]
fn elements(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype() {
        selvedge::DType::F32 => tensor.as_slice::<f32>().unwrap().iter().map(|x| f64::from(*x)).collect(),
        selvedge::DType::I64 => tensor.as_slice::<i64>().unwrap().iter().map(|x| *x as f64).collect(),
        _ => tensor.as_slice::<bool>().unwrap().iter().map(|x| f64::from(u8::from(*x))).collect(),
    }
}

fn run_rows(monitor: &Monitor, step: &Value) {
    for (id, row) in (step["first_id"].as_u64().unwrap()..).zip(rows(step)) {
        let weather = Tensor::new(&[1, 4], row.to_vec()).unwrap();
        monitor.run_with(Tensors::from([("weather", weather)]), Call::new().id(id)).unwrap();
    }
}

fn feedback(monitor: &Monitor, step: &Value) -> Value {
    let mut verdicts: Vec<(&str, u64)> = Vec::new();
    let mut id = step["first_id"].as_u64().unwrap();
    for value in step["values"].as_array().unwrap() {
        for _ in 0..value[1].as_u64().unwrap() {
            let label = match step["label"].as_str() {
                Some("correct") => Label::Correct(value[0] == 1),
                _ => Label::Class(u16::try_from(value[0].as_u64().unwrap()).unwrap()),
            };
            let verdict = match monitor.feedback(id, label).unwrap() {
                LabelVerdict::Steady { .. } => "steady",
                LabelVerdict::Suspect { .. } => "suspect",
                LabelVerdict::Drifted { .. } => "drifted",
                LabelVerdict::Unknown => "unknown",
                other => panic!("{other:?}"),
            };
            match verdicts.last_mut() {
                Some((last, times)) if *last == verdict => *times += 1,
                _ => verdicts.push((verdict, 1)),
            }
            id += 1;
        }
    }
    json!(verdicts)
}

fn alert(change: &AlertEvent) -> Value {
    let (event, alert, at) = match change {
        AlertEvent::Raised(alert) => ("raised", alert, alert.since),
        AlertEvent::Cleared { alert, at } => ("cleared", alert, *at),
        other => panic!("{other:?}"),
    };
    let mut told = standing(alert);
    told["event"] = json!(event);
    told["at"] = json!(at);
    told
}

fn standing(alert: &Alert) -> Value {
    let kind = match alert.kind {
        AlertKind::Feature(finding) => finding_name(finding),
        AlertKind::Embedding => "embedding_drift",
        AlertKind::Stream => "change",
        AlertKind::Concept => "concept_drift",
        AlertKind::Health => "broken_promise",
        other => panic!("{other:?}"),
    };
    let severity = if alert.severity == Severity::Critical { "critical" } else { "warning" };
    let action = match alert.action {
        Action::CheckPipeline => "check_pipeline",
        Action::RollBack => "roll_back",
        Action::Retrain => "retrain",
        other => panic!("{other:?}"),
    };
    json!({ "kind": kind, "feature": alert.feature, "severity": severity, "action": action, "since": alert.since })
}

fn finding_name(finding: Finding) -> &'static str {
    match finding {
        Finding::Shift => "shift",
        Finding::Missing => "missing_values",
        Finding::OutOfRange => "out_of_range",
        Finding::NewCategory => "new_category",
        Finding::DeadFeature => "dead_feature",
        other => panic!("{other:?}"),
    }
}

fn report(monitor: &Monitor) -> Value {
    let report = monitor.report();
    let windows = report.windows.iter().map(|window| {
        let verdict = window.verdict.as_ref();
        json!({
            "index": window.window.index,
            "rows": window.window.rows,
            "features": verdict.map(|v| v.features.iter().map(feature).collect::<Vec<_>>()),
        })
    });
    let alerts = report.alerts.iter().map(standing).filter(|alert| alert["feature"] != "latency");
    json!({
        "reference": "given",
        "totals": { "requests": report.totals.requests, "rows": report.totals.rows, "windows": report.totals.windows },
        "in_progress": report.in_progress,
        "alerts": alerts.collect::<Value>(),
        "accuracy": report.accuracy.map(|a| proportion(&a)),
        "windows": windows.collect::<Value>(),
    })
}

fn proportion(p: &Proportion) -> Value {
    json!({ "value": p.value, "low": p.low, "high": p.high, "of": p.of })
}

fn feature(f: &FeatureDrift) -> Value {
    json!({ "name": f.name, "p": f.p, "psi": f.psi, "drifted": f.drifted })
}

fn compared(profile: &Profile, rows: &[Row]) -> Value {
    let verdict = drift::check(profile, rows).unwrap();
    let features = verdict.features.iter().map(|f| {
        let mut told = feature(f);
        told["js"] = json!(f.js);
        told["hellinger"] = json!(f.hellinger);
        told["ks"] = json!(f.ks);
        told["wasserstein"] = json!(f.wasserstein);
        told["missing"] = json!(f.missing);
        told["out_of_range"] = json!(f.out_of_range);
        told
    });
    json!({ "rows": verdict.rows, "drifted": verdict.drifted(), "features": features.collect::<Value>() })
}

fn profile_json(profile: &Profile) -> Value {
    let features = profile.features.iter().map(|f| json!({ "name": f.name, "kind": "number", "counts": f.counts }));
    json!({ "rows": profile.rows, "block": profile.block, "features": features.collect::<Value>() })
}

/// The numbers go in as f32, column by column, as from a binding.
fn fit(step: &Value, model: [u8; 32]) -> Profile {
    let names = ["precipitation", "temp_max", "temp_min", "wind"];
    let fit = names.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
    let bins = usize::try_from(step["bins"].as_u64().unwrap()).unwrap();
    fit.bins(bins).block(RowDependence::Estimate).model(model).of_rows(&rows(step)).unwrap()
}

fn rows(step: &Value) -> Vec<Row> {
    let tables = read("rows.json");
    let table = tables[step["rows"].as_str().unwrap()].as_array().unwrap().clone();
    let bound = |name: &str, default: usize| step[name].as_u64().map_or(default, |n| usize::try_from(n).unwrap());
    let (from, to) = (bound("from", 0), bound("to", table.len()));
    let row = |row: &Value| std::array::from_fn(|i| row[i].as_f64().unwrap() as f32);
    table[from..to].iter().map(row).collect()
}

fn case(name: &str) -> Value {
    let cases = read("cases.json");
    let found = cases["cases"].as_array().unwrap().iter().find(|case| case["name"] == name);
    found.unwrap_or_else(|| panic!("no case '{name}'")).clone()
}

fn steps(case: &Value) -> &[Value] {
    case["steps"].as_array().unwrap()
}

fn step<'a>(case: &'a Value, op: &str) -> &'a Value {
    steps(case).iter().find(|step| step["op"] == op).unwrap_or_else(|| panic!("no step {op}"))
}

fn read(name: &str) -> Value {
    let path = repo().join("bindings/conformance").join(name);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// What did not match, each with all that was got, to be looked at.
#[derive(Default)]
struct Misses(Vec<String>);

impl Misses {
    fn check(&mut self, what: &str, expected: &Value, got: &Value) {
        self.0.extend(fits(expected, got).err().map(|at| format!("{what}{at}\n  got {got}\n")));
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{}", self.0.concat());
    }
}

/// As README.md says of expected values.
fn fits(expected: &Value, got: &Value) -> Result<(), String> {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            let got: BTreeMap<_, _> = got.iter().collect();
            expected.iter().try_for_each(|(name, value)| {
                let got = got.get(name).ok_or(format!(".{name} is not there"))?;
                fits(value, got).map_err(|at| format!(".{name}{at}"))
            })
        }
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => expected
            .iter()
            .zip(got)
            .enumerate()
            .try_for_each(|(i, (e, g))| fits(e, g).map_err(|at| format!("[{i}]{at}"))),
        (Value::Number(e), Value::Number(g)) => {
            let (e, g) = (e.as_f64().unwrap(), g.as_f64().unwrap());
            if (e - g).abs() <= 1e-9 * e.abs() { Ok(()) } else { Err(format!(": expected {e}, got {g}")) }
        }
        _ if expected == got => Ok(()),
        _ => Err(format!(": expected {expected}")),
    }
}
