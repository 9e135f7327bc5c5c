//! `selvedge evidence`, as a user runs it.

use std::path::Path;
use std::process::Command;

use selvedge::drift::Profile;
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, DType, Tensor, Tensors};
use serde_json::Value;

#[track_caller]
fn ended(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_selvedge")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

/// A telemetry folder of an app whose wind blows otherwise after a while, within the range that it had.
fn watched(folder: &Path, power: f32) {
    let telemetry = Telemetry::open(folder, Limits::default());
    let row = |i: usize| [(i * 7919 % 1000) as f32 * 0.01];
    let training: Vec<[f32; 1]> = (0..4000).map(row).collect();
    let profile = Profile::fit().number("wind").of_rows(&training).unwrap();
    let engine = Fake::echo(DType::F32).name("rain").build();
    let monitor =
        Monitor::builder(engine, telemetry, Columns::of("x", ["wind"])).profile(profile).window(256).build().unwrap();
    for i in 0..2048 {
        let [wind] = row(i);
        let wind = if i < 1024 { wind } else { 10.0 * (wind / 10.0).powf(power) };
        monitor.run(Tensors::from([("x", Tensor::new(&[1, 1], vec![wind]).unwrap())])).unwrap();
    }
}

#[test]
fn a_bundle_is_written_where_a_model_should_be_retrained() {
    let folder = tempfile::tempdir().unwrap();
    watched(&folder.path().join("calm"), 1.0);
    watched(&folder.path().join("moved"), 0.5);
    let (out, err) = ended(folder.path(), &["evidence", "calm", "-o", "bundle"], 1);
    assert!(out.is_empty() && err.contains("no alert asks for retraining"), "{out}{err}");
    assert!(!folder.path().join("bundle").exists());

    let (out, _) = ended(folder.path(), &["evidence", "moved", "-o", "bundle"], 0);
    let written: Vec<&str> = out.lines().collect();
    assert_eq!(written.len(), 3, "{out}");
    let json: Value = serde_json::from_slice(&std::fs::read(folder.path().join(written[0])).unwrap()).unwrap();
    assert_eq!((&json["model"]["name"], &json["alerts"][0]["feature"]), (&"rain".into(), &"wind".into()));
    let counts = std::fs::read_to_string(folder.path().join(written[1])).unwrap();
    assert!(counts.starts_with("feature,bin,reference,windows\nwind,<= "), "{counts}");
    let profile = Profile::decode(&std::fs::read(folder.path().join(written[2])).unwrap()).unwrap();
    assert_eq!((profile.rows, &*profile.features[0].name), (4000, "wind"));

    // Again, in place of what is there; with noise, counts stay.
    let (out, _) = ended(folder.path(), &["evidence", "moved", "-o", "noisy", "--epsilon", "1"], 0);
    assert_eq!(out.lines().count(), 2, "{out}");
    ended(folder.path(), &["evidence", "moved", "-o", "bundle"], 0);
    let (_, err) = ended(folder.path(), &["evidence", "moved", "--epsilon", "0"], 2);
    assert!(err.contains("epsilon"), "{err}");
    ended(folder.path(), &["evidence", "missing"], 2);
}
