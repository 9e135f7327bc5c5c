//! Every pointer that the header takes, with a page behind it that nobody may touch: what is read or written is what the
//! caller said is there, and a size that cannot be is refused before anything behind it is read.

mod ask;
mod base;
mod callee;
mod cases;
mod delays;
mod ground;
mod layers;
mod open;
mod places;
mod stored;
mod sync;
mod talking;
mod watching;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::header::preprocessed;
use super::spelling::is_name;
use super::*;
use callee::Callee;
use cases::cases;
use ground::Ground;
use places::places;

/// Set in the child: the number of its first case.
const FIRST: &str = "SELVEDGE_TEST_FIRST";

#[test]
fn nothing_is_touched_that_the_caller_did_not_offer() {
    let (mut wrong, mut done) = (Vec::new(), 0);
    let all = cases();
    while done < all.len() {
        // A child that dies is followed by one for the cases after.
        let answered = answered_by_a_child(done);
        for (case, got) in all[done..].iter().zip(&answered) {
            if *got != case.expected.0 {
                wrong.push(format!("{}: expected {}, got {got}", case.name, case.expected.0));
            }
        }
        done += answered.len();
        if let Some(case) = all.get(done) {
            wrong.push(format!("{}: the process ended", case.name));
            done += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

/// The statuses of the cases from `first` on, until the last or the one that ended the process.
fn answered_by_a_child(first: usize) -> Vec<i32> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["guarded::a_child_makes_the_calls", "--exact", "--nocapture"])
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let answered = lines.filter_map(|line| line.strip_prefix("@@ ")?.parse().ok()).collect();
    child.wait().unwrap();
    answered
}

/// The child's side.
#[test]
fn a_child_makes_the_calls() {
    let Ok(first) = std::env::var(FIRST) else { return };
    let callee = Callee::new();
    // A line of its own, whatever the harness has written before.
    println!();
    for case in &cases()[first.parse().unwrap()..] {
        println!("@@ {}", (case.call)(&callee, &mut Ground::default()).0);
    }
}

#[test]
fn every_pointer_of_the_header_is_among_them() {
    let listed: BTreeSet<String> = places().iter().map(|p| p.name().split(' ').next().unwrap().to_owned()).collect();
    let mut declared = fields(&preprocessed());
    declared.append(&mut parameters(&preprocessed()));
    assert_eq!(listed, declared, "left is tried, right is the header");
}

/// `function.parameter` of every pointer that is no handle.
fn parameters(header: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for declaration in header.split("__attribute__((visibility(\"default\")))").skip(1) {
        let (head, parameters) = declaration.split_once('(').unwrap();
        let function = head.split_whitespace().last().unwrap().trim_start_matches('*');
        let parameters = parameters.split(')').next().unwrap().split(',');
        found.extend(parameters.filter(|p| is_pointer(header, p)).map(|p| format!("{function}.{}", last_name(p))));
    }
    found
}

/// What a caller gives to his own functions; the library does not follow it.
const UNTOUCHED: &str = "user_data";

/// Structs whose pointers are given out.
const GIVEN_OUT: &[&str] = &[
    "selvedge_alert",
    "selvedge_event",
    "selvedge_token",
    "selvedge_log_line",
    "selvedge_http_request",
    "selvedge_judgement",
];

/// `struct.field` of every pointer and text that a caller gives; those of texts are tried where the text stands.
fn fields(header: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for declaration in header.split("typedef struct ").skip(1) {
        let (name, rest) = declaration.split_once(char::is_whitespace).unwrap();
        let Some(body) = rest.trim_start().strip_prefix('{') else { continue };
        if name == "selvedge_text" || GIVEN_OUT.contains(&name) || !name.starts_with("selvedge_") {
            continue;
        }
        let fields = body.split('}').next().unwrap().split(';');
        let given = fields.filter(|f| is_pointer(header, f) || f.trim_start().starts_with("selvedge_text "));
        let named = given.map(last_name).filter(|field| *field != "user_data");
        found.extend(named.map(|field| format!("{name}.{field}")));
    }
    found
}

/// Whether a declaration's type is a pointer to memory, and not a handle.
fn is_pointer(header: &str, declaration: &str) -> bool {
    let pointee = declaration.trim().trim_start_matches("const ").split(|c| !is_name(c)).next().unwrap();
    match declaration.matches('*').count() {
        0 => false,
        _ if last_name(declaration) == UNTOUCHED => false,
        1 => !header.contains(&format!("typedef struct {pointee} {pointee};")),
        _ => true,
    }
}

fn last_name(declaration: &str) -> &str {
    declaration.split(|c| !is_name(c)).rfind(|word| !word.is_empty()).unwrap()
}
