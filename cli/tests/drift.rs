//! `selvedge drift`, as a user runs it.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

#[path = "../../tests/support/corpus.rs"]
mod corpus;

fn selvedge(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_selvedge")).args(args).current_dir(folder).output().unwrap()
}

#[track_caller]
fn ended(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = selvedge(folder, args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!out.contains('\x1b') && !err.contains('\x1b'), "{out}{err}");
    (out, err)
}

#[track_caller]
fn json(folder: &Path, args: &[&str], code: i32) -> Value {
    let (out, _) = ended(folder, &[args, &["--json"]].concat(), code);
    assert_eq!(out.lines().count(), 1, "{out}");
    serde_json::from_str(&out).unwrap()
}

/// Rows of two numbers and a category, drawn from a seed; the wind blows stronger by `more`.
fn table(seed: u64, rows: usize, more: f64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut csv = String::from("wind,hour,sky\n");
    for _ in 0..rows {
        let wind = (draw() + draw() + draw()) * 4.0 + more;
        let sky = ["sun", "rain", "fog"][(draw() * 3.0) as usize];
        let _ = writeln!(csv, "{wind:.3},{},{sky}", (draw() * 24.0) as u32);
    }
    csv
}

/// A folder with a reference, rows like it, and rows in which the wind has changed.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, csv) in
        [("reference.csv", table(1, 5000, 0.0)), ("same.csv", table(2, 1500, 0.0)), ("moved.csv", table(3, 1500, 2.0))]
    {
        std::fs::write(folder.path().join(name), csv).unwrap();
    }
    folder
}

#[test]
fn drift_is_found_and_told_by_the_exit_code() {
    let folder = folder();
    let same = json(folder.path(), &["drift", "reference.csv", "same.csv"], 0);
    assert_eq!(same["drift"], false, "{same}");
    assert_eq!((&same["reference"]["rows"], &same["window"]["rows"]), (&5000.into(), &1500.into()));
    assert!(same["features"].as_array().unwrap().iter().all(|f| f["finding"].is_null()), "{same}");
    let moved = json(folder.path(), &["drift", "reference.csv", "moved.csv"], 3);
    assert_eq!(moved["drift"], true, "{moved}");
    let [wind, hour, sky] = &moved["features"].as_array().unwrap()[..] else { panic!("{moved}") };
    assert_eq!((&wind["name"], &hour["finding"], &sky["finding"]), (&"wind".into(), &Value::Null, &Value::Null));
    assert!(!wind["finding"].is_null() && wind["psi"].as_f64().unwrap() > 0.25, "{wind}");
    assert!(wind["ln_p"].as_f64().unwrap() < -100.0 && wind["rows"] == 1500, "{wind}");
}

#[test]
fn a_table_is_no_drift_from_itself() {
    let folder = folder();
    let itself = json(folder.path(), &["drift", "reference.csv", "reference.csv"], 0);
    for feature in itself["features"].as_array().unwrap() {
        assert_eq!((feature["chi2"].as_f64(), feature["psi"].as_f64()), (Some(0.0), Some(0.0)), "{feature}");
    }
}

#[test]
fn the_table_has_the_strongest_evidence_first() {
    let folder = folder();
    let (out, err) = ended(folder.path(), &["drift", "reference.csv", "moved.csv"], 3);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["feature", "rows", "χ²", "df", "p", "PSI", "verdict"]);
    assert_eq!((lines[1][0], lines[1][1]), ("wind", "1,500"));
    assert!(lines[2].ends_with(&["no", "drift"]) && lines[3].ends_with(&["no", "drift"]), "{out}");
    assert!(out.contains("drift in 1 of 3 features: 1,500 rows against 5,000, at a level of 0.001"), "{out}");
    assert!(err.is_empty(), "{err}");
    let (out, _) = ended(folder.path(), &["drift", "reference.csv", "same.csv"], 0);
    assert!(out.contains("no drift in any of 3 features"), "{out}");
}

#[test]
fn missing_values_and_new_categories_are_drift() {
    let folder = folder();
    let replaced = |from: &str, to: &str| {
        let csv = table(2, 1500, 0.0).replace(from, to);
        std::fs::write(folder.path().join("other.csv"), csv).unwrap();
        json(folder.path(), &["drift", "reference.csv", "other.csv"], 3)["features"][2]["finding"].clone()
    };
    assert_eq!(replaced(",fog", ","), "missing_values");
    assert_eq!(replaced(",fog", ",hail"), "new_category");
}

#[test]
fn a_page_shows_the_distributions() {
    let folder = folder();
    let args = ["drift", "reference.csv", "moved.csv", "--page", "page.html"];
    assert!(ended(folder.path(), &args, 3).0.contains("page.html: the distributions side by side"));
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("Is moved.csv still like reference.csv?") && page.contains("<h3>wind</h3>"), "{page}");
    assert_eq!(page.matches("<svg").count(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("page.html"), 0o600);
        // Never through a link, and nothing is left beside it.
        symlink("target.html", folder.path().join("link.html")).unwrap();
        let (_, err) = ended(folder.path(), &["drift", "reference.csv", "moved.csv", "--page", "link.html"], 2);
        assert!(err.contains("link.html: expected a file or a new name, got a link"), "{err}");
        assert!(!folder.path().join("target.html").exists());
    }
    let names = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!names.collect::<Vec<_>>().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn a_profile_is_a_reference_too() {
    let folder = folder();
    ended(folder.path(), &["profile", "reference.csv", "-o", "weather.profile"], 0);
    let of_profile = json(folder.path(), &["drift", "weather.profile", "moved.csv"], 3);
    let of_table = json(folder.path(), &["drift", "reference.csv", "moved.csv"], 3);
    assert_eq!(of_profile["features"], of_table["features"]);
    let wind = json(folder.path(), &["drift", "weather.profile", "moved.csv", "--columns", "hour"], 0);
    assert_eq!(wind["features"].as_array().unwrap().len(), 1);
}

#[test]
fn columns_are_chosen_and_found_by_name() {
    let folder = folder();
    let turned: String = table(2, 1500, 0.0)
        .lines()
        .map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + ",more\n")
        .collect();
    std::fs::write(folder.path().join("turned.csv"), turned).unwrap();
    let itself = json(folder.path(), &["drift", "reference.csv", "same.csv"], 0);
    let other = json(folder.path(), &["drift", "reference.csv", "turned.csv"], 0);
    assert_eq!(itself["features"], other["features"]);
    let args = ["drift", "reference.csv", "moved.csv", "--columns", "hour,sky"];
    assert_eq!(json(folder.path(), &args, 0)["features"].as_array().unwrap().len(), 2);
    let args = ["drift", "reference.csv", "same.csv", "--columns", "hour", "--category", "hour"];
    assert!(json(folder.path(), &args, 0)["features"][0]["wasserstein"].is_null());
}

/// A spreadsheet's own way to write a table is the same table.
#[test]
fn separators_and_decimal_commas_are_found() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let same = table(2, 1500, 0.0).replacen("sun", "", 20);
    write("commas.csv", &same);
    write("tabs.csv", &same.replace(',', "\t"));
    write("bars.csv", &same.replacen("sun", "#N/A", 1).replace(',', "|"));
    write("europe.csv", &format!("\u{feff}{}", same.replace(',', ";").replace('.', ",").replace('\n', "\r\n")));
    let features = |name: &str| json(folder.path(), &["drift", "reference.csv", name], 3)["features"].take();
    let of_commas = features("commas.csv");
    for name in ["tabs.csv", "europe.csv"] {
        assert_eq!(features(name), of_commas, "{name}");
    }
    assert_eq!(features("bars.csv")[2]["rows"], of_commas[2]["rows"].as_u64().unwrap() - 1);
    let (_, err) = ended(folder.path(), &["drift", "europe.csv", "commas.csv"], 0);
    assert_eq!(err, "", "a reference, too");
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("narrow.csv", "wind,hour\n1,2\n");
    write("words.csv", "wind,hour,sky\n1,2,sun\nstrong,2,sun\n");
    write("empty.csv", "wind,hour,sky\n");
    for (args, expected) in [
        (&["drift", "reference.csv", "none.csv"][..], "none.csv"),
        (&["drift", "none.csv", "same.csv"], "none.csv"),
        (&["drift", "reference.csv", "narrow.csv"], "column 'sky': expected one of [\"wind\", \"hour\"]"),
        (&["drift", "reference.csv", "words.csv"], "line 3, column 'wind': expected a number, got 'strong'"),
        (&["drift", "reference.csv", "empty.csv"], "empty.csv: expected rows to compare, got none"),
        (&["drift", "reference.csv", "same.csv", "--level", "0.5"], "expected a probability of 1e-12 to 0.1"),
        (&["drift", "reference.csv", "same.csv", "--columns", "rain"], "rain"),
        (&["drift", "reference.csv", "same.csv", "--category", "hour"], "--columns"),
        (&["drift", "reference.csv"], "WINDOW"),
    ] {
        let (out, err) = ended(folder.path(), args, 2);
        assert!(out.is_empty() && err.starts_with("error: ") && err.contains(expected), "{args:?}: {out}{err}");
    }
}

#[test]
fn dependent_rows_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    // A random walk that is pulled back to 0: an hour is like the one before.
    let walk = |seed: u64, rows: usize| {
        let (mut state, mut level, mut csv) = (seed, 0.0f64, String::from("level\n"));
        for _ in 0..rows {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            level = 0.98 * level + (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            let _ = writeln!(csv, "{level:.4}");
        }
        csv
    };
    std::fs::write(folder.path().join("then.csv"), walk(1, 20_000)).unwrap();
    std::fs::write(folder.path().join("now.csv"), walk(2, 400)).unwrap();
    let (_, err) = ended(folder.path(), &["drift", "then.csv", "now.csv"], 3);
    assert!(err.contains("note: ") && err.contains("--block estimate 0 of 1 remain"), "{err}");
    let (_, err) = ended(folder.path(), &["drift", "then.csv", "now.csv", "--block", "estimate"], 0);
    assert!(err.is_empty(), "{err}");
}

/// Daily weather of two cities.
#[test]
fn new_york_is_not_seattle() {
    let Some(weather) = corpus::path("weather/weather.csv") else { return };
    let weather = std::fs::read_to_string(weather).unwrap();
    let (header, rows) = weather.split_once('\n').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let city = |name: &str, file: &str, every: usize, first: usize| {
        let of_city = rows.lines().filter(|line| line.starts_with(name)).skip(first).step_by(every);
        let csv: String = std::iter::once(header).chain(of_city).map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.path().join(file), csv).unwrap();
    };
    city("Seattle", "even.csv", 2, 0);
    city("Seattle", "odd.csv", 2, 1);
    city("New York", "new_york.csv", 1, 0);
    let columns = ["--columns", "precipitation,temp_max,temp_min,wind"];
    let same = json(folder.path(), &[&["drift", "even.csv", "odd.csv"], &columns[..]].concat(), 0);
    assert_eq!(same["drift"], false, "every other day of the same years: {same}");
    let moved = json(folder.path(), &[&["drift", "even.csv", "new_york.csv"], &columns[..]].concat(), 3);
    let found = |name: &str| {
        let feature = moved["features"].as_array().unwrap().iter().find(|f| f["name"] == name).unwrap();
        !feature["finding"].is_null()
    };
    assert!(found("temp_min") && found("temp_max"), "{moved}");
}
