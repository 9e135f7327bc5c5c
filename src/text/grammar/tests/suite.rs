//! The official JSON-Schema-Test-Suite, draft 2020-12: every schema that is not refused is held to as it says.
//!
//! What it has beside keywords that answers can be held to, such as references to other documents, is refused, and counted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Said, bytes, read};
use crate::engine::Grammar;
use crate::text::tests::corpus;

/// What became of the suite's schemas and instances.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    schemas: usize,
    refused: usize,
    right: usize,
    wrongly_accepted: Vec<String>,
    wrongly_refused: Vec<String>,
}

#[test]
fn the_official_suite() {
    let Some(folder) = corpus::path("json-schema-suite") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let (mut tally, mut refusals) = (Tally::default(), BTreeMap::<String, usize>::new());
    for path in &files {
        let cases: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let file = path.file_stem().unwrap().to_string_lossy();
        for case in cases.as_array().unwrap() {
            tally.schemas += 1;
            if let Err(why) = hold(case, &file, &mut tally) {
                tally.refused += 1;
                *refusals.entry(format!("{file}: {why}")).or_default() += 1;
            }
        }
    }
    println!("{tally:#?}\n{refusals:#?}");
    assert_eq!(tally.wrongly_accepted, Vec::<String>::new());
    // What is narrower than JSON Schema: one order of names, one spelling of an integer, and formats that count.
    let narrower = |name: &&String| {
        let narrow =
            ["allOf: \"allOf", "property order", "zero is valid", "one is valid", "0] is valid", "-2.0 is valid"];
        let narrow = narrow.iter().chain(&["only an annotation", "float with zero fractional part"]);
        !narrow.into_iter().any(|words| name.contains(words))
    };
    assert_eq!(tally.wrongly_refused.iter().filter(narrower).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(tally.schemas - tally.refused >= 170 && tally.right >= 600, "{} of {}", tally.right, tally.schemas);
}

/// Holds the instances of a schema to it; why it is refused.
fn hold(case: &Value, file: &str, tally: &mut Tally) -> Result<(), String> {
    let grammar = Grammar::json_schema(case["schema"].to_string());
    let vocabulary = bytes();
    vocabulary.matcher(&grammar).map_err(|error| error.message().to_string())?;
    for test in case["tests"].as_array().unwrap() {
        let text: Vec<u32> = test["data"].to_string().bytes().map(u32::from).collect();
        let said = read(&mut vocabulary.matcher(&grammar).unwrap(), &text);
        let accepted = matches!(said, Ok(Said::Whole));
        let name = format!("{file}: {}: {}: {}", case["description"], test["description"], test["data"]);
        match (test["valid"].as_bool().unwrap(), accepted) {
            (false, true) => tally.wrongly_accepted.push(name),
            (true, false) => tally.wrongly_refused.push(name),
            _ => tally.right += 1,
        }
    }
    Ok(())
}
