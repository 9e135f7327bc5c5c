//! Labels that come late: real weather and real flights, and what lfmm says of them; `make.py` asked it.

use selvedge::drift::{DelayAdjusted, DelayedEstimate, ScoredRow};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Case {
    threshold: f64,
    period: i64,
    window_months: i64,
    curve_months: i64,
    book: i64,
    decisions: Vec<Decision>,
}

#[derive(Deserialize)]
struct Decision {
    begin: i64,
    now: i64,
    true_accuracy: f64,
    cbpe: f64,
    original: Figures,
    exact: Figures,
}

#[derive(Deserialize)]
struct Figures {
    offset: f64,
    accuracy: f64,
    positives: f64,
    book_accuracy: Option<f64>,
    book_positives: Option<f64>,
}

/// A row with its label, which is known from that time on, or never.
struct Row {
    score: f64,
    at: i64,
    label: bool,
    label_at: Option<i64>,
}

fn rows(case: &str, kind: &str) -> Vec<Row> {
    let mine = include_str!("rows.csv").lines().map(|line| line.split(',').collect::<Vec<_>>());
    let mine = mine.filter(|column| column[0] == case && column[1] == kind);
    let row = |column: Vec<&str>| Row {
        score: column[2].parse().unwrap(),
        at: column[3].parse().unwrap(),
        label: column[4] == "1",
        label_at: column[5].parse().ok().filter(|at| *at >= 0),
    };
    mine.map(row).collect()
}

fn case(name: &str) -> (Case, DelayAdjusted, Vec<Row>) {
    let mut cases: BTreeMap<String, Case> = serde_json::from_str(include_str!("expected.json")).unwrap();
    let case = cases.remove(name).unwrap();
    let reference: Vec<(f64, bool)> = rows(name, "reference").iter().map(|row| (row.score, row.label)).collect();
    let model = DelayAdjusted::fit(&reference, case.threshold).unwrap();
    let model = model.window(case.window_months * 30).curve(case.curve_months * 30);
    (case, model, rows(name, "rows"))
}

/// The rows before a time, with all their labels: those of later than now are for `learn` to leave out.
fn history(rows: &[Row], before: i64) -> Vec<ScoredRow> {
    let past = rows.iter().filter(|row| row.at < before);
    past.map(|row| ScoredRow::new(row.score, row.at, row.label_at.map(|at| (row.label, at)))).collect()
}

fn scores(rows: &[Row], from: i64, to: i64) -> Vec<f64> {
    rows.iter().filter(|row| (from..to).contains(&row.at)).map(|row| row.score).collect()
}

fn near(what: &str, got: f64, expected: f64, by: f64) {
    assert!((got - expected).abs() <= by, "{what}: expected {expected}, got {got}");
}

#[test]
fn the_figures_are_those_of_lfmm() {
    let (mut adjusted, mut books) = (0, 0);
    for name in ["weather", "flights"] {
        let (case, model, rows) = case(name);
        for Decision { begin, now, cbpe, original, exact, .. } in &case.decisions {
            assert_eq!(begin + case.period, *now);
            let history = history(&rows, *begin);
            let learned = model.learn(&history, *now).unwrap();
            let batch = scores(&rows, *begin, *now);
            near("offset", learned.offset, exact.offset, 1e-9);
            near("offset, as lfmm finds it", learned.offset, original.offset, 1e-5);
            assert_eq!(learned.rows > 0, exact.offset != 0.0, "{name}, {begin}");
            near("CBPE", model.cbpe(&batch).unwrap().accuracy, *cbpe, 1e-9);
            let DelayedEstimate { of, accuracy, ones, .. } = learned.estimate(&batch).unwrap();
            assert_eq!(of, batch.len() as u64);
            near("accuracy", accuracy, exact.accuracy, 1e-9);
            near("class 1", ones, exact.positives, 1e-9);
            near("accuracy, as lfmm finds it", accuracy, original.accuracy, 1e-6);
            let book: Vec<ScoredRow> = history.iter().filter(|row| row.at >= now - case.book).copied().collect();
            let estimate = learned.in_flight(&book);
            assert_eq!(estimate.is_some(), exact.book_accuracy.is_some());
            if let (Some(got), Some(accuracy), Some(positives)) = (estimate, exact.book_accuracy, exact.book_positives)
            {
                near("accuracy of the book", got.accuracy, accuracy, 1e-9);
                near("class 1 of the book", got.ones, positives, 1e-9);
                books += 1;
            }
            adjusted += usize::from(learned.offset != 0.0);
        }
    }
    assert!(adjusted > 100 && books > 100, "hardly anything was compared: {adjusted}, {books}");
}

#[test]
fn it_is_nearer_the_truth_than_cbpe() {
    // As the table in the documentation has it.
    for (name, table) in [("weather", [0.095, 0.073, 0.115, 0.104]), ("flights", [0.052, 0.015, 0.162, 0.136])] {
        let (case, model, rows) = case(name);
        let mut sums = [0.0; 4];
        for Decision { begin, now, true_accuracy, .. } in &case.decisions {
            let learned = model.learn(&history(&rows, *begin), *now).unwrap();
            let batch = scores(&rows, *begin, *now);
            let plain = model.cbpe(&batch).unwrap().accuracy - true_accuracy;
            let adjusted = learned.estimate(&batch).unwrap().accuracy - true_accuracy;
            let errors = [plain, adjusted, plain.abs(), adjusted.abs()];
            sums.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
        }
        for (sum, expected) in sums.into_iter().zip(table) {
            near(name, sum / case.decisions.len() as f64, expected, 5e-4);
        }
    }
}
