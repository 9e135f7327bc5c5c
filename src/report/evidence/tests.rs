use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::Evidence;
use crate::drift::Profile;
use crate::engine::{Ask, Call, Engine, Tensors};
use crate::fake::Fake;
use crate::layer::monitor::{Label, Monitor};
use crate::layer::probe::Columns;
use crate::report::Story;
use crate::sync::Privacy;
use crate::telemetry::{AlertCode, AlertRecord, Limits, ModelSlot, Record, Telemetry, Window};
use crate::{Code, DType, Tensor};

/// A SplitMix64 sequence of numbers in [0, 1).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

const COLUMNS: [&str; 2] = ["temp, °C", "flow"];

/// A folder in which a monitor has seen `flow` move; and every value that the model was fed.
fn watched(folder: &Path, noise: &mut Noise, is_shipped: bool) -> (Monitor, Vec<f32>) {
    let telemetry = Telemetry::open(folder, Limits::default());
    let builder = Monitor::builder(Fake::echo(DType::F32).name("pump").build(), telemetry, Columns::of("x", COLUMNS));
    let monitor = if is_shipped {
        let training: Vec<[f32; 2]> = (0..2000).map(|i| [(i % 41) as f32, (i * 7 % 101) as f32]).collect();
        let fit = Profile::fit().number(COLUMNS[0]).number(COLUMNS[1]);
        builder.profile(fit.of_rows(&training).unwrap())
    } else {
        builder.learn(4)
    };
    let monitor = monitor.window(128).build().unwrap();
    let mut marks = Vec::new();
    for i in 0..1280 {
        // Within the range, or it would be the pipeline that is asked to be looked at. Fractions that no edge, count or
        // statistic has.
        let power = if i >= 768 { 0.5 } else { 1.0 };
        let row = [(noise.next() * 40.0) as f32, (noise.next().powf(power) * 100.0) as f32];
        marks.extend(row);
        let x = Tensor::new(&[1, 2], row.to_vec()).unwrap();
        monitor.run_with(Tensors::from([("x", x)]), Call::new().id(1 + i)).unwrap();
        if i % 3 == 0 {
            monitor.feedback(1 + i, Label::Class(0)).unwrap();
        }
    }
    (monitor, marks)
}

fn bundle(folder: &Path, privacy: Privacy) -> Evidence {
    Evidence::of(&Story::read(folder).unwrap(), privacy).unwrap()
}

fn file<'a>(evidence: &'a Evidence, name: &str) -> Option<&'a [u8]> {
    evidence.files().iter().find(|(path, _)| path.ends_with(name)).map(|(_, bytes)| &**bytes)
}

fn json(evidence: &Evidence) -> Value {
    serde_json::from_slice(file(evidence, "/evidence.json").unwrap()).unwrap()
}

/// The rows of the table: feature and bin, and the two counts.
fn counts(evidence: &Evidence) -> BTreeMap<(String, String), [u64; 2]> {
    let text = std::str::from_utf8(file(evidence, "/counts.csv").unwrap()).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("feature,bin,reference,windows"));
    let of = |line: &str| {
        let (rest, windows) = line.rsplit_once(',').unwrap();
        let (rest, reference) = rest.rsplit_once(',').unwrap();
        let (feature, bin) = rest.rsplit_once(',').unwrap();
        ((feature.into(), bin.into()), [reference.parse().unwrap(), windows.parse().unwrap()])
    };
    lines.map(of).collect()
}

/// Values in every form that a file could hold them in: as text, or as a float in either order.
struct Marks(HashMap<usize, HashSet<Vec<u8>>>);

impl Marks {
    fn new(values: &[f32]) -> Self {
        let mut forms = HashMap::<usize, HashSet<Vec<u8>>>::new();
        for value in values {
            let wide = f64::from(*value);
            let texts = [value.to_string().into_bytes(), wide.to_string().into_bytes()];
            let floats = [value.to_le_bytes().to_vec(), value.to_be_bytes().to_vec()];
            let doubles = [wide.to_le_bytes().to_vec(), wide.to_be_bytes().to_vec()];
            for form in texts.into_iter().chain(floats).chain(doubles) {
                forms.entry(form.len()).or_default().insert(form);
            }
        }
        Self(forms)
    }

    fn found_in<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(length, forms)| bytes.windows(*length).find(|at| forms.contains(*at)))
    }
}

#[test]
fn values_that_a_model_was_fed_are_in_no_file() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let is_shipped = seed % 2 == 0;
        let (monitor, marks) = watched(folder.path(), &mut Noise(seed), is_shipped);
        let marks: Vec<f32> = marks.into_iter().filter(|v| v.to_string().len() >= 6).collect();
        assert!(marks.len() > 2000);
        let marks = Marks::new(&marks);
        for privacy in [Privacy::NONE, Privacy::default(), Privacy::NONE.epsilon(1.0)] {
            let evidence = bundle(folder.path(), privacy);
            assert!(evidence.alerts() > 0 && !evidence.files().is_empty(), "seed {seed}");
            for (path, bytes) in evidence.files() {
                let found = marks.found_in(bytes).map(String::from_utf8_lossy);
                assert_eq!(found, None, "seed {seed}, {privacy:?}: {path}");
            }
        }
        // The search is not blind: what was learned of the rows holds some of them, and is left out for that.
        let profile = monitor.profile().unwrap().encode();
        assert_eq!(marks.found_in(&profile).is_some(), !is_shipped, "seed {seed}");
    }
}

#[test]
fn a_bundle_says_which_model_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let (monitor, _) = watched(folder.path(), &mut Noise(1), true);
    let exact = bundle(folder.path(), Privacy::NONE);
    let told = json(&exact);
    let digest: String = monitor.spec().provenance.digest.to_string();
    assert_eq!((&told["model"]["name"], &told["model"]["digest"]), (&"pump".into(), &Value::from(&*digest)));
    assert!(exact.files().iter().all(|(path, _)| path.starts_with(&digest[..12])));
    let alert = &told["alerts"][0];
    assert_eq!(
        (&alert["feature"], &alert["code"], &alert["action"]),
        (&"flow".into(), &"shift".into(), &"retrain".into())
    );
    assert!(alert["evidence"]["p"].as_f64().unwrap() < 1e-6, "{alert}");
    // Rows and windows: those before it, and all after.
    let windows = told["windows"].as_array().unwrap();
    let drifted = |w: &Value| w["features"][1]["tests"]["psi"].as_f64().unwrap() > 0.4;
    assert!(drifted(windows.last().unwrap()) && !drifted(&windows[0]), "{windows:?}");
    assert!(windows.len() >= 6 && windows.iter().all(|w| w["rows"] == 128));
    // The counts are those of the windows.
    let counts = counts(&exact);
    let rows: u64 = counts.iter().filter(|((feature, _), _)| feature == "flow").map(|(_, [_, n])| n).sum();
    assert_eq!((rows, told["answers"]["rows"].as_u64()), (windows.len() as u64 * 128, Some(rows)));
    assert!(counts.keys().any(|(feature, _)| feature == "\"temp, °C\""), "{counts:?}");
    assert_eq!(counts.values().map(|[reference, _]| reference).sum::<u64>(), 2 * 2000);
    let profile = Profile::decode(file(&exact, "/reference.profile").unwrap()).unwrap();
    assert_eq!(profile, *monitor.profile().unwrap());
    let labels = &told["answers"]["labels"];
    let (all, right) = Story::read(folder.path()).unwrap().models[0].labels;
    assert_eq!((labels["right"].as_u64(), labels["wrong"].as_u64()), (Some(right), Some(all - right)));
}

#[test]
fn few_rows_stay_and_noise_withholds_all() {
    let folder = tempfile::tempdir().unwrap();
    let _monitor = watched(folder.path(), &mut Noise(3), true);
    let [exact, coarse] = [Privacy::NONE, Privacy::NONE.min_count(100)].map(|p| counts(&bundle(folder.path(), p)));
    let mut held = 0;
    for (bin, [_, n]) in &exact {
        let [_, told] = coarse[bin];
        assert!(told <= *n && (told == 0 || told >= 100), "{bin:?}: {told} of {n}");
        held += u64::from(told < *n);
    }
    assert!(held > 0, "nothing was held back");
    let noisy = bundle(folder.path(), Privacy::NONE.epsilon(1.0));
    assert!(file(&noisy, "/counts.csv").is_none());
    let told = json(&noisy);
    assert!(told["alerts"][0]["evidence"].as_object().unwrap().is_empty(), "{told}");
    assert!(told["windows"][0]["features"][0]["tests"].as_object().unwrap().is_empty());
    assert_eq!(told["answers"].as_object().unwrap().len(), 1, "rows alone");
    let bad = Evidence::of(&Story::read(folder.path()).unwrap(), Privacy::NONE.epsilon(0.0)).unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
}

#[test]
fn a_learned_reference_stays_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let (monitor, _) = watched(folder.path(), &mut Noise(5), false);
    let evidence = bundle(folder.path(), Privacy::default());
    assert!(file(&evidence, "/reference.profile").is_none());
    let told = json(&evidence);
    assert_eq!(told["model"]["profile"], serde_json::json!({ "learned": true }));
    let bins: Vec<String> = counts(&evidence).into_keys().map(|(_, bin)| bin).collect();
    let coarse = |bin: &String| bin.starts_with("2^") || bin == "other" || bin == "missing" || bin == "0";
    assert!(bins.iter().all(coarse) && bins.iter().any(|bin| bin.starts_with("2^")), "{bins:?}");
    assert!(monitor.profile().unwrap().learned);
}

#[test]
fn only_active_alerts_that_ask_for_it_make_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let model_slot = ModelSlot(4);
    telemetry.seal(&Record::Window(Window { model_slot, rows: 9, ..Window::default() })).unwrap();
    let seal = |raised, action: &str| {
        let (code, action) = (AlertCode::ConceptDrift, Some(action.to_string()));
        let record = AlertRecord { model_slot, code, action, raised, ..AlertRecord::default() };
        telemetry.seal(&Record::Alert(record)).unwrap();
    };
    for (raised, action, files) in
        [(true, "roll_back", 0), (true, "retrain", 1), (false, "retrain", 0), (true, "check_pipeline", 0)]
    {
        seal(raised, action);
        let evidence = bundle(folder.path(), Privacy::default());
        assert_eq!((evidence.files().len(), evidence.alerts()), (files, files), "{raised}, {action}");
    }
}
