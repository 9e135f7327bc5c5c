use std::sync::Arc;

use super::Story;
use crate::drift::Profile;
use crate::telemetry::{
    AlertCode, AlertRecord, Cursor, Exponential, Limits, ModelInfo, ModelSlot, Outcome, Record, Telemetry, Window,
};

/// A folder of a model with one feature: so many windows like the reference, then one in which the feature is dead.
fn folder(calm: u64, dead: u64) -> (tempfile::TempDir, Arc<Profile>) {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<[f32; 1]> = (0..8000).map(|i| [(i % 800) as f32]).collect();
    let profile = Arc::new(Profile::fit().number("<wind> & \"rain\"").of_rows(&rows).unwrap());
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let info =
        ModelInfo { slot: ModelSlot(7), name: "weather".into(), profile: profile.encode(), ..ModelInfo::default() };
    telemetry.seal(&Record::Model(info)).unwrap();
    for index in 0..calm + dead {
        let reference = &profile.features[0];
        let mut counts = vec![0; reference.bins.len()];
        for row in 0..1024 {
            let value = if index < calm { (row * 25 % 800) as f32 } else { 0.0 };
            counts[usize::from(reference.bin(value))] += 1;
        }
        let mut latency = Exponential::default();
        (0..1024).for_each(|row| latency.record(500 + row));
        // Answers, faults of the runtime, cancelled ones, and further rows.
        let outcomes = [(0, 900), (9, 24), (5, 100), (1 << 15, 5000)];
        let outcomes = outcomes.map(|(bits, n)| (Outcome::from_bits(bits), n)).to_vec();
        let features = vec![counts];
        let window =
            Window { model_slot: ModelSlot(7), index, rows: 1024, features, latency, outcomes, ..Window::default() };
        telemetry.seal(&Record::Window(window)).unwrap();
    }
    (folder, profile)
}

fn alert(telemetry: &Telemetry, name: &str, raised: bool) {
    let (code, feature) = (AlertCode::from_name(name), Some("wind".to_owned()));
    let record = AlertRecord { model_slot: ModelSlot(7), code, feature, raised, ..AlertRecord::default() };
    telemetry.seal(&Record::Alert(record)).unwrap();
}

#[test]
fn windows_are_held_against_the_profile_in_the_folder() {
    let (folder, profile) = folder(5, 1);
    let story = Story::read(folder.path()).unwrap();
    let [model] = &story.models[..] else { panic!("{story:?}") };
    assert_eq!(model.profile.as_deref(), Some(&*profile));
    assert_eq!((model.windows.len(), model.rows()), (6, 6 * 1024));
    // Further rows of a request are no requests.
    assert_eq!(model.requests(), (6 * 1024, 6 * 24));
    assert_eq!(model.latency().count(), 6 * 1024);
    let zeros = model.zeros(0);
    assert!(zeros[..5].iter().all(|z| *z < 2.0) && zeros[5] > 100.0, "{zeros:?}");
    assert!(model.psi(0)[5] > 1.0);
}

#[test]
fn alerts_stand_until_they_are_cleared() {
    let (folder, _) = folder(1, 0);
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    alert(&telemetry, "shift", true);
    alert(&telemetry, "concept", true);
    alert(&telemetry, "shift", false);
    let story = Story::read(folder.path()).unwrap();
    let standing: Vec<&str> = story.standing(ModelSlot(7)).into_iter().map(|a| a.code.name()).collect();
    assert_eq!(standing, ["concept"]);
    assert_eq!(story.standing(ModelSlot(8)).len(), 0);
    assert_eq!(story.alerts.len(), 3);
}

#[test]
fn what_was_posted_is_still_told() {
    let (folder, profile) = folder(5, 1);
    for _ in 0..2 {
        let telemetry = Telemetry::open(folder.path(), Limits::default());
        let records = telemetry.read(Cursor::start(), usize::MAX);
        alert(&telemetry, "shift", true);
        telemetry.ack(records.last().map_or(telemetry.now().position(), |(last, _)| *last)).unwrap();
    }
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    alert(&telemetry, "shift", true);
    telemetry.ack(telemetry.now().position()).unwrap();
    assert_eq!(telemetry.status().unacked, 0);
    let story = Story::read(folder.path()).unwrap();
    let [model] = &story.models[..] else { panic!("{story:?}") };
    assert_eq!((model.profile.as_deref(), model.windows.len()), (Some(&*profile), 6));
    assert_eq!((story.alerts.len(), story.standing(ModelSlot(7)).len()), (3, 1));
}

#[test]
fn the_clock_is_that_of_the_boot() {
    let (folder, _) = folder(1, 0);
    let story = Story::read(folder.path()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let stamp = story.models[0].windows[0].window.stamp;
    assert!((story.seconds(&stamp).unwrap() - now).abs() < 60);
    assert!(story.when(&stamp).ends_with(" UTC"));
    let foreign = crate::telemetry::Stamp { boot: [9; 16], ..stamp };
    assert_eq!(story.seconds(&foreign), None);
}

#[test]
fn the_page_stands_alone_and_names_what_is_dead() {
    let (folder, _) = folder(5, 1);
    let html = Story::read(folder.path()).unwrap().html();
    assert!(html.contains("dead feature") && html.contains("&lt;wind&gt; &amp; &quot;rain&quot;"));
    for foreign in ["<script", "http:", "https:", "url(", "@import", "<wind>"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
}

#[test]
fn an_empty_folder_tells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let story = Story::read(folder.path()).unwrap();
    assert!(story.models.is_empty() && story.records == 0);
    assert_eq!(Story::read(&folder.path().join("none")).unwrap_err().code(), crate::Code::NotFound);
}

#[test]
fn an_alert_whose_finding_has_changed_is_cleared_all_the_same() {
    let (folder, _) = folder(1, 0);
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    alert(&telemetry, "dead_feature", true);
    alert(&telemetry, "change", true);
    alert(&telemetry, "shift", false);
    let story = Story::read(folder.path()).unwrap();
    let standing: Vec<&str> = story.standing(ModelSlot(7)).into_iter().map(|a| a.code.name()).collect();
    assert_eq!(standing, ["change"], "of the stream of that name");
}

#[test]
fn a_slot_that_another_model_takes_tells_of_two_models() {
    let (folder, profile) = folder(2, 0);
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let window = |slot| {
        Record::Window(Window {
            model_slot: ModelSlot(slot),
            rows: 1,
            features: vec![vec![0; 19]],
            ..Window::default()
        })
    };
    let reported = |slot, version: &str, profile| {
        let version = Some(version.to_owned());
        let info =
            ModelInfo { slot: ModelSlot(slot), name: "weather".into(), version, profile, ..ModelInfo::default() };
        telemetry.seal(&Record::Model(info)).unwrap();
    };
    reported(7, "2", vec![]);
    telemetry.seal(&window(7)).unwrap();
    reported(7, "2", vec![]);
    telemetry.seal(&window(7)).unwrap();
    // One whose introduction has given way is reported who it is in the end.
    telemetry.seal(&window(8)).unwrap();
    reported(8, "3", profile.encode());
    telemetry.seal(&window(8)).unwrap();
    let story = Story::read(folder.path()).unwrap();
    let reported: Vec<_> =
        story.models.iter().map(|m| (m.info.version.as_deref(), m.profile.is_some(), m.windows.len())).collect();
    assert_eq!(reported, [(None, true, 2), (Some("2"), false, 2), (Some("3"), true, 2)]);
}

/// A class has the rows of the windows during which an alert of it stood, each once.
#[test]
fn a_class_of_alerts_has_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let window = |index: u64, rows: u64| {
        let window = Window { model_slot: ModelSlot(7), index, rows, ..Window::default() };
        telemetry.seal(&Record::Window(window)).unwrap();
    };
    let alert = |code: &str, feature: &str, raised: bool| {
        let (code, feature) = (AlertCode::from_name(code), Some(feature.to_owned()));
        let record = AlertRecord { model_slot: ModelSlot(7), code, feature, raised, ..AlertRecord::default() };
        telemetry.seal(&Record::Alert(record)).unwrap();
    };
    window(0, 1);
    window(1, 10);
    alert("dead_feature", "a", true);
    window(2, 100);
    alert("dead_feature", "b", true);
    alert("missing_values", "c", true);
    window(3, 1000);
    // Its finding has changed meanwhile: it is still the alert that was raised.
    alert("shift", "a", false);
    window(4, 10_000);
    alert("dead_feature", "b", false);
    window(5, 100_000);
    alert("dead_feature", "b", true);
    let story = Story::read(folder.path()).unwrap();
    let classes: Vec<_> = story.classes(ModelSlot(7)).map(|c| (c.code.name(), c.raised, c.standing, c.rows)).collect();
    assert_eq!(classes, [("dead_feature", 3, 1, 10 + 100 + 1000 + 100_000), ("missing_values", 1, 1, 111_100)]);
    assert_eq!(story.classes(ModelSlot(8)).count(), 0);
    let html = story.html();
    assert!(html.contains("<td>missing values</td><td>1</td><td>1</td><td>111,100</td>"), "{html}");
}
