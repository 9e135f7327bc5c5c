//! `selvedge report` and `selvedge watch` of a rollout, with a store and a crash record beside it, as a user runs them.

use std::path::Path;
use std::process::Command;

use selvedge::drift::{CellValue, FeatureSource, Profile, Row};
use selvedge::store::{Release, Store, Trust};
use selvedge::telemetry::{
    FeedbackRecord, Inference, Limits, ModelInfo, ModelSlot, Outcome, Record, RolloutArm, RolloutFinding,
    RolloutRecord, Telemetry, Window, WindowArm,
};

#[track_caller]
fn ended(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_selvedge")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

/// The folder of an app: a version that was rolled back, whose words would command a terminal if they could.
fn rolled_back(folder: &Path) {
    let telemetry = Telemetry::open(folder.join("telemetry"), Limits::default());
    let model_slot = ModelSlot(2);
    let (name, version, digest) = ("rain".into(), Some("v2".into()), [0xab; 32]);
    let info = ModelInfo { slot: model_slot, name, version, digest, ..ModelInfo::default() };
    telemetry.seal(&Record::Model(info)).unwrap();
    let mut arm = WindowArm::new(RolloutArm::Canary);
    (arm.rows, arm.requests, arm.failed) = (1500, 1600, 100);
    let outcomes = vec![(Outcome::default(), 1500), (Outcome::failed(selvedge::Code::Backend), 100)];
    let window = Window { model_slot, rows: 1500, outcomes, arms: vec![arm], ..Window::default() };
    telemetry.seal(&Record::Window(window)).unwrap();
    let (verdict, words) = ("roll_back".to_string(), "\u{1b}[2J100 of 1600 beside 0 of 1600".into());
    let evidence =
        vec![RolloutFinding { name: "errors".into(), verdict: verdict.clone(), words, ..Default::default() }];
    let (version, step) = ("v2".into(), "rolled_back".into());
    let rollout = RolloutRecord { version, step, verdict: Some(verdict), evidence, ..RolloutRecord::default() };
    telemetry.seal(&Record::Rollout(rollout)).unwrap();
}

fn store(folder: &Path) {
    let package = folder.join("package");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("rain.onnx"), "a model").unwrap();
    std::fs::write(package.join("selvedge.json"), Release::new("rain", 7, "rain.onnx").to_json()).unwrap();
    let store = Store::open(folder.join("store"), Trust::new().accept_unsigned_packages()).unwrap();
    let version = store.import(&package, |_| Ok(())).unwrap();
    store.activate(version.id()).unwrap();
}

#[test]
fn report_and_watch_show_versions_arms_and_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rolled_back(folder);
    store(folder);
    std::fs::create_dir(folder.join("crashes")).unwrap();
    let beside = ["--store", "store", "--crash-record", "crashes"];
    let (watched, _) = ended(folder, &[&["watch", "telemetry", "--once"], &beside[..]].concat(), 0);
    let (reported, _) = ended(folder, &[&["report", "telemetry", "-o", "page.html"], &beside[..]].concat(), 0);
    for out in [&watched, &reported] {
        for part in [
            "abababababab  1,500  6.25 %",
            "canary 1,500 (6.25 % failed)  rolled back",
            "v2: rolled back, verdict: roll back",
            "errors (roll back): \\u{1b}[2J100 of 1600 beside 0 of 1600",
        ] {
            assert!(out.contains(part), "no '{part}' in {out}");
        }
        assert!(out.lines().any(|line| line.starts_with("  v7") && line.ends_with("serves")), "{out}");
    }
    let page = std::fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("<h2>Versions</h2>") && page.contains("<td>serves</td>"));
    // Without it, the store's own version is not known.
    let (alone, _) = ended(folder, &["watch", "telemetry", "--once"], 0);
    assert!(alone.contains("v2: rolled back") && !alone.contains("v7"), "{alone}");
}

/// Six windows of a model that is as sure as ever and right less often, some labels of whose answers come a window later:
/// those of the wrong ones.
fn late(folder: &Path, labels: bool) {
    let fit = Profile::fit().output("confidence", FeatureSource::Confidence);
    let profile = fit
        .stream(|sink| (0..1000).try_for_each(|i| sink(&Row::new(&[CellValue::Number(0.93)]).right(i % 10 > 0))))
        .unwrap();
    let telemetry = Telemetry::open(folder, Limits::default());
    let model_slot = ModelSlot(3);
    let info = ModelInfo { slot: model_slot, name: "late".into(), profile: profile.encode(), ..ModelInfo::default() };
    telemetry.seal(&Record::Model(info)).unwrap();
    let label = |window: u64, truth, times| {
        let label = FeedbackRecord { model_slot, id: 1, predicted: 1, truth, window, ..FeedbackRecord::default() };
        let label = FeedbackRecord { confidence: Inference::quantize(0.93), ..label };
        (0..if labels { times } else { 0 }).for_each(|_| _ = telemetry.seal(&Record::Feedback(label)).unwrap());
    };
    for index in 0..6 {
        label(index, 1, 60);
        if index > 0 {
            label(index - 1, 0, 40);
        }
        let confidence = (0..20).map(|part| if part == 18 { 100 } else { 0 }).collect();
        let window = Window { model_slot, index, rows: 100, confidence, ..Window::default() };
        telemetry.seal(&Record::Window(window)).unwrap();
    }
}

#[test]
fn report_and_watch_show_the_accuracy_to_expect_with_and_without_labels() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, labels, adjusted) in [
        ("some", true, "60.0 % of 100, by 560 labels of 600 answers"),
        ("none", false, "too few labels: 0 right and 0 wrong of windows old enough, of 10 each"),
    ] {
        late(&folder.join(name), labels);
        let (watched, _) = ended(folder, &["watch", name, "--once"], 0);
        let (reported, _) = ended(folder, &["report", name, "-o", "page.html"], 0);
        for out in [&watched, &reported] {
            for part in ["expected right, by confidence: 90.0 % of 100", &format!("adjusted by labels: {adjusted}\n")] {
                assert!(out.contains(part), "no '{part}' in {out}");
            }
        }
        let page = std::fs::read_to_string(folder.join("page.html")).unwrap();
        assert!(page.contains("(CBPE) 90.0 % of 100") && page.contains(adjusted));
    }
}

#[test]
fn what_is_not_there_is_an_error_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rolled_back(folder);
    for command in ["report", "watch"] {
        for option in ["--store", "--crash-record"] {
            let (out, err) = ended(folder, &[command, "telemetry", option, "nowhere"], 2);
            assert!(out.is_empty() && err.starts_with("error: ") && err.contains("nowhere"), "{out}{err}");
        }
    }
    assert!(!folder.join("nowhere").exists() && !folder.join("report.html").exists());
}
