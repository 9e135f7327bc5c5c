//! MaskBench: real schemas with instances that they allow and that they don't, token by token over a real vocabulary.
//!
//! The files have no licence and are not kept here: `SELVEDGE_MASKBENCH` names a folder of them, and
//! `SELVEDGE_MASKBENCH_EVERY=10` takes every tenth.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::{Matcher, Vocabulary};
use super::words::smollm;
use crate::Result;
use crate::engine::Grammar;

#[derive(Default)]
struct Tally {
    passed: usize,
    refused_schema: usize,
    wrongly_refused: usize,
    wrongly_accepted: Vec<String>,
    masks: Vec<Duration>,
    compiled: Vec<Duration>,
    whys: std::collections::BTreeMap<String, usize>,
}

#[test]
fn maskbench() {
    let Some(folder) = std::env::var_os("SELVEDGE_MASKBENCH") else {
        eprintln!("SKIPPED: MaskBench is not run: SELVEDGE_MASKBENCH names no folder of its files");
        return;
    };
    let Some(vocabulary) = smollm() else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let step = std::env::var("SELVEDGE_MASKBENCH_EVERY").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut tally = Tally::default();
    let files: Vec<_> = files.into_iter().step_by(step).collect();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        one(&vocabulary, &file, &path.display().to_string(), &mut tally);
    }
    let share = 100.0 * tally.passed as f64 / files.len() as f64;
    tally.masks.sort();
    tally.compiled.sort();
    let at = |times: &[Duration], share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "MaskBench: {} files: {share:.1} % passed, {} schemas refused, {} wrongly refused, {} wrongly accepted; of {} masks p50 {:?} p99 {:?}; \
         of the compilations p50 {:?} p99 {:?} max {:?}",
        files.len(),
        tally.refused_schema,
        tally.wrongly_refused,
        tally.wrongly_accepted.len(),
        tally.masks.len(),
        at(&tally.masks, 0.5),
        at(&tally.masks, 0.99),
        at(&tally.compiled, 0.5),
        at(&tally.compiled, 0.99),
        at(&tally.compiled, 1.0),
    );
    let mut whys: Vec<_> = tally.whys.into_iter().collect();
    whys.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    whys.iter().take(40).for_each(|(why, count)| println!("  {count:5} {why}"));
    assert_eq!(tally.wrongly_accepted, Vec::<String>::new());
    assert!(share >= 79.0, "{share}");
}

fn one(vocabulary: &Vocabulary, file: &Value, name: &str, tally: &mut Tally) {
    let grammar = Grammar::json_schema(file["schema"].to_string());
    let begin = Instant::now();
    if let Err(error) = vocabulary.matcher(&grammar) {
        tally.refused_schema += 1;
        let message = error.message().rsplit('/').next().unwrap_or_default();
        *tally.whys.entry(message.chars().take(70).collect()).or_default() += 1;
        return;
    }
    tally.compiled.push(begin.elapsed());
    let mut passed = true;
    for test in file["tests"].as_array().into_iter().flatten() {
        let is_valid = test["valid"].as_bool().unwrap();
        let tokens = vocabulary.factory.tok_env().tokenize_bytes(spaced(&test["data"]).as_bytes());
        let mut matcher = vocabulary.matcher(&grammar).unwrap();
        let accepted = read(&mut matcher, &tokens, &mut tally.masks).unwrap_or(false);
        if is_valid && !accepted {
            tally.wrongly_refused += 1;
        }
        if !is_valid && accepted {
            tally.wrongly_accepted.push(format!("{name}: {}", test["description"]));
        }
        passed &= is_valid == accepted;
    }
    tally.passed += usize::from(passed);
}

fn read(matcher: &mut Matcher, tokens: &[u32], masks: &mut Vec<Duration>) -> Result<bool> {
    for &token in tokens {
        if matcher.is_done() {
            return Ok(false);
        }
        let begin = Instant::now();
        let allowed = matcher.mask()?.contains(token);
        masks.push(begin.elapsed());
        if !allowed {
            return Ok(false);
        }
        matcher.accept(token)?;
    }
    Ok(matcher.is_done() || matcher.may_end()?)
}

/// As Python's `json.dumps` writes it, with spaces after commas and colons.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", Value::from(&**name), spaced(value));
            format!("{{{}}}", map.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
