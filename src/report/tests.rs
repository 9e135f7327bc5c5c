use std::sync::Arc;

use super::chart::{Bars, Lines, Shares};
use super::feature::{distribution, probability};
use super::{Comparison, Story};
use crate::Code;
use crate::crash::CrashRecord;
use crate::drift::{FalseAlarm, Judge, Persistence, Policy, Profile, WindowCounts};
use crate::store::{Release, Store, Trust};
use crate::telemetry::{
    AlertCode, AlertRecord, Cursor, Exponential, FeedbackRecord, Limits, ModelInfo, ModelSlot, Outcome, Record,
    RolloutArm, RolloutFinding, RolloutRecord, Telemetry, Window, WindowArm,
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

/// The texts between two marks, in order.
fn all<'a>(html: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    html.split(begin).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

/// The numbers at an axis.
fn axis<'a>(html: &'a str, class: &str) -> Vec<&'a str> {
    let axis = all(html, &format!("class=\"{class}\" aria-hidden=\"true\">"), "</div>")[0];
    all(axis, "<span", "</span>").into_iter().map(|span| span.split('>').nth(1).unwrap()).collect()
}

#[test]
fn every_bar_of_a_histogram_tells_its_range() {
    let profile =
        Profile::fit().bins(4).number("wind").of_rows(&(0..400).map(|i| [i as f32]).collect::<Vec<_>>()).unwrap();
    let feature = &profile.features[0];
    let mut window = vec![0; feature.bins.len()];
    (0..400).for_each(|i| window[usize::from(feature.bin(i as f32 + 200.0))] += 1);
    let html = distribution(feature, &window, "latest window");
    let (spoken, shown) = (all(&html, "<g role=\"img\" aria-label=\"", "\""), all(&html, "<title>", "</title>"));
    assert_eq!(spoken, shown, "what a pointer finds, a screen reader says");
    // Four inner bins, and the one above them, which the window alone fills; none below, and none missing.
    assert_eq!(spoken.len(), 5, "{spoken:?}");
    assert!(spoken[..4].iter().all(|text| text.contains(" to ")) && spoken[4].starts_with("above 399"), "{spoken:?}");
    assert!(spoken[0].ends_with(": 25 % → 0 %") && spoken[4].ends_with(": 0 % → 50 %"), "{spoken:?}");
    // The same as a table, for those who cannot point.
    assert_eq!(all(&html, "<tr><td>", "</td>").len(), 5);
    assert!(html.contains("</td><td>25 %</td><td>0 %</td></tr>"), "{html}");
}

#[test]
fn axes_have_numbers() {
    let bins = [("a".to_owned(), 0.5, 0.0), ("b".to_owned(), 0.25, 0.5), ("c".to_owned(), 0.25, 0.5)];
    let tick = |at: f64, text: &str| (at, text.to_owned());
    let ticks = [tick(0.0, "1.5"), tick(0.05, "1.6"), tick(0.5, "2"), tick(0.9, "2.9"), tick(1.0, "3")];
    let html = Shares { label: "<x>", bins: &bins, ticks: &ticks }.draw();
    assert_eq!(axis(&html, "heights"), ["0 %", "25 %", "50 %"]);
    assert_eq!(axis(&html, "ticks"), ["1.5", "2", "3"], "what would overlap is left out");
    let long = [tick(0.0, "2026-11-29 08:38"), tick(1.0, "2026-12-29 08:38")];
    assert_eq!(axis(&Shares { label: "x", bins: &bins, ticks: &long }.draw(), "ticks").len(), 2);
    let longer = [tick(0.0, "epoch 12, record 12345"), tick(1.0, "epoch 12, record 12346")];
    assert_eq!(axis(&Shares { label: "x", bins: &bins, ticks: &longer }.draw(), "ticks"), ["epoch 12, record 12345"]);
    let when = |w: usize| format!("day {w}");
    let height = |ms: f64| format!("{ms} ms");
    let html = Lines { label: "x", series: &[("now", vec![1.0, 4.0, 2.0])], height: &height, when: &when }.draw();
    assert_eq!((axis(&html, "heights"), axis(&html, "ticks")), (vec!["0 ms", "2 ms", "4 ms"], vec!["day 0", "day 2"]));
    // Of more windows than bars, the last ones.
    let numbers: Vec<f64> = (0..200).map(|i| f64::from(i) / 20.0).collect();
    let bars =
        Bars { label: "x", numbers: &numbers, line: 4.0, height: &|h| format!("{h:.0}"), named: &when, when: &when };
    let html = bars.draw();
    assert_eq!((axis(&html, "heights"), axis(&html, "ticks")), (vec!["0", "4", "10"], vec!["day 80", "day 199"]));
    assert_eq!(all(&html, "<title>", "</title>").len(), 120);
}

#[test]
fn ranges_stand_below_a_histogram() {
    let below = |profile: &Profile| -> Vec<String> {
        let feature = &profile.features[0];
        let html = distribution(feature, &feature.counts, "window");
        axis(&html, "ticks").into_iter().map(String::from).collect()
    };
    let rows = |most: usize| (0..1000).map(|i| [(i % most) as f32]).collect::<Vec<_>>();
    let numbers = below(&Profile::fit().number("x").of_rows(&rows(1000)).unwrap());
    let [first, second, third, last] = &numbers[..] else { panic!("{numbers:?}") };
    assert_eq!([first, last], ["0", "999"], "the reference's own ends");
    assert!(second.len() <= 5 && third.len() <= 5, "{numbers:?}");
    let fractions =
        |scale: f64| -> Vec<[f32; 1]> { (0..1000).map(|i| [(scale * (f64::from(i) + 0.5) / 977.0) as f32]).collect() };
    for (scale, first, last) in [(1.0, "0.0005", "1.023"), (1e-3, "5e-7", "0.001023"), (3e6, "2000", "3069000")] {
        let numbers = below(&Profile::fit().number("x").of_rows(&fractions(scale)).unwrap());
        assert!(numbers[0] == first && numbers.last().unwrap() == last, "{numbers:?}");
        assert!(numbers.iter().all(|n| n.len() <= 9), "{numbers:?}");
    }
    assert_eq!(below(&Profile::fit().number("x").of_rows(&rows(3)).unwrap()), ["0", "1", "2"]);
    let names = ["sun", "rain", "a very long name of a category", "rain"];
    let profile = Profile::fit().category("sky").of_columns(&[crate::drift::Column::Names(&names)]).unwrap();
    assert_eq!(below(&profile), ["rain", "a very lo…", "sun"]);
}

#[test]
fn the_cards_stand_in_even_rows() {
    let (folder, _) = folder(2, 0);
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let even = |count: usize| {
        let html = Story::read(folder.path()).unwrap().html();
        let row = all(&html, "<div class=\"grid cards\"", "</div>\n</div>")[0];
        let columns: usize = all(row, "--columns:", "\"")[0].parse().unwrap();
        let cards = all(row, "<div class=\"card\">", "</div>").len();
        assert_eq!((cards, cards % columns, cards % 2, columns > 2), (count, 0, 0, true), "{columns}");
    };
    even(8);
    let window = Window {
        model_slot: ModelSlot(7),
        tokens_in: 5,
        tokens_out: 7,
        features: vec![vec![0; 19]],
        ..Window::default()
    };
    telemetry.seal(&Record::Window(window)).unwrap();
    even(10);
    let label = FeedbackRecord { model_slot: ModelSlot(7), ..FeedbackRecord::default() };
    telemetry.seal(&Record::Feedback(label)).unwrap();
    even(12);
}

#[test]
fn numbers_of_an_axis_are_short() {
    let shown = [1e-45, -0.0, 0.1f32 as f64, 12.8, -3.0, 123_456.7, 1.5e8, 2.5e-5].map(super::html::number);
    assert_eq!(shown, ["0", "0", "0.1", "12.8", "-3", "123457", "1.5e8", "2.5e-5"]);
}

#[test]
fn probabilities_too_small_for_a_number_are_told() {
    let printed = [0.25f64.ln(), 1e-7f64.ln(), -2000.0, f64::NEG_INFINITY, 0.0].map(probability);
    assert_eq!(printed, ["0.25", "1.0e-7", "3e-869", "0", "1.00"]);
}

#[test]
fn a_comparison_is_a_page_of_its_own() {
    let rows: Vec<[f32; 2]> = (0..5000).map(|i| [(i % 97) as f32, (i % 7) as f32]).collect();
    let profile = Arc::new(Profile::fit().number("calm").number("<moved>").of_rows(&rows).unwrap());
    let mut window = WindowCounts::new(&profile);
    rows[..970].iter().for_each(|row| {
        window.add_row(&[profile.features[0].bin(row[0]), profile.features[1].bin(row[1] + 3.0)]);
    });
    let policy = Policy::new(970, FalseAlarm::windows(1000.0)).persistence(Persistence::new(1, 1).unwrap());
    let verdict = Judge::new(profile.clone(), policy).unwrap().judge(&window).unwrap();
    let html = Comparison::new(&profile, &window, &verdict).named("a.csv", "<b>.csv").html();
    for part in ["drift in 1 of 2 features", "Is &lt;b&gt;.csv still like a.csv?", "5,000", "970", "1 in 1,000 "] {
        assert!(html.contains(part), "no {part}");
    }
    let order = ["<h3>&lt;moved&gt;</h3>", "<h3>calm</h3>"].map(|name| html.find(name).unwrap());
    assert!(order[0] < order[1], "the strongest evidence first");
    for foreign in ["<script", "http:", "https:", "url(", "@import", "<moved>", "<b>."] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for tag in ["svg", "div", "g", "table", "details"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// A folder of two versions that a deployment had in its arms, with a verdict.
fn rolled_out() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let arm = |arm, rows, requests, failed| {
        let mut one = WindowArm::new(arm);
        (one.rows, one.requests, one.failed) = (rows, requests, failed);
        one
    };
    for (slot, version, arms) in [
        (1, "v1", vec![arm(RolloutArm::Current, 1000, 1000, 0)]),
        (2, "v2", vec![arm(RolloutArm::Canary, 90, 100, 10), arm(RolloutArm::Shadow, 50, 50, 0)]),
    ] {
        let model_slot = ModelSlot(slot);
        let info = ModelInfo {
            slot: model_slot,
            name: "rain".into(),
            version: Some(version.into()),
            digest: [slot as u8; 32],
            ..ModelInfo::default()
        };
        telemetry.seal(&Record::Model(info)).unwrap();
        let rows = arms.iter().map(|arm| arm.rows).sum();
        let failed = arms.iter().map(|arm| arm.failed).sum();
        let outcomes = vec![(Outcome::default(), rows), (Outcome::failed(crate::Code::Backend), failed)];
        let window = Window { model_slot, rows, outcomes, arms, ..Window::default() };
        telemetry.seal(&Record::Window(window)).unwrap();
    }
    let finding = RolloutFinding {
        name: "errors".into(),
        verdict: "roll_back".into(),
        words: "10 of 100 beside <0> of 1000".into(),
        ..RolloutFinding::default()
    };
    for (step, verdict, evidence) in [("canary", None, vec![]), ("rolled_back", Some("roll_back"), vec![finding])] {
        let (version, test) = ("v2".into(), (step == "canary").then(|| "<autumn>".into()));
        let verdict = verdict.map(String::from);
        let rollout = RolloutRecord { version, step: step.into(), test, verdict, evidence, ..RolloutRecord::default() };
        telemetry.seal(&Record::Rollout(rollout)).unwrap();
    }
    folder
}

#[test]
fn versions_stand_in_lines_with_their_arms_and_how_they_stand() {
    let folder = rolled_out();
    let story = Story::read(folder.path()).unwrap();
    let told: Vec<_> =
        story.versions().into_iter().map(|v| (v.version, v.rows, v.requests, v.arms.len(), v.standing)).collect();
    let expected = [("v2", 140, (150, 10), 2, "rolled back"), ("v1", 1000, (1000, 0), 1, "")];
    assert_eq!(told, expected.map(|(v, rows, requests, arms, s)| (v.to_owned(), rows, requests, arms, s.to_owned())));
    let html = story.html();
    for part in [
        "<td>v2</td><td>rolled back</td><td>140</td><td>6.67 %</td>",
        "<td>canary 90 (10.00 % failed), shadow 50</td><td>rain</td><td>020202020202</td>",
        "<h3>v2: rolled back</h3>",
        "<h3>v2: canary in the test &lt;autumn&gt;</h3>",
        "verdict: roll back",
        "<strong>errors</strong> (roll back): 10 of 100 beside &lt;0&gt; of 1000",
    ] {
        assert!(html.contains(part), "no {part} in {html}");
    }
    assert!(!html.contains("Crash record"));
    for tag in ["div", "table", "tr", "p"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    // One model of no rollout needs no table.
    let (plain, _) = self::folder(1, 0);
    assert!(!Story::read(plain.path()).unwrap().html().contains("<h2>Versions</h2>"));
}

#[test]
fn a_store_and_a_crash_record_stand_beside_the_telemetry() {
    let folder = rolled_out();
    let path = |name: &str| folder.path().join(name);
    let read = || Story::read(folder.path()).unwrap();
    // What is not there is no empty story.
    let missing = read().with_store(&path("store")).unwrap_err();
    assert_eq!((missing.code(), missing.to_string().contains("store")), (Code::NotFound, true), "{missing}");
    let missing = read().with_crash_record(&CrashRecord::new(path("crashes"))).unwrap_err();
    assert_eq!((missing.code(), missing.to_string().contains("crashes")), (Code::NotFound, true), "{missing}");
    assert!(!path("store").exists() && !path("crashes").exists());

    let store = Store::open(path("store"), Trust::new().accept_unsigned_packages()).unwrap();
    let package = path("package");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("rain.onnx"), "a model").unwrap();
    std::fs::write(package.join("selvedge.json"), Release::new("rain", 3, "rain.onnx").to_json()).unwrap();
    let version = store.import(&package, |_| Ok(())).unwrap();
    store.activate(version.id()).unwrap();
    store.quarantine(version.id(), "it <missed> twice").unwrap();
    std::fs::create_dir(path("crashes")).unwrap();
    let story = read().with_store(&path("store")).unwrap();
    let story = story.with_crash_record(&CrashRecord::new(path("crashes"))).unwrap();
    assert!(story.crashed.is_empty() && story.stored.len() == 1);
    let first = &story.versions()[0];
    assert_eq!((&*first.version, first.rows, &*first.standing), ("v3", 0, "quarantined: it <missed> twice"));
    assert!(story.html().contains("quarantined: it &lt;missed&gt; twice"));
}
