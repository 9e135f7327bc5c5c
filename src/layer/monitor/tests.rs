use std::sync::Arc;

use super::binning::{Binning, slot};
use super::matching::check_types;
use super::outcome::{answered, health_of, in_health};
use super::streams::{MonitoredStream, Streams};
use crate::drift::{CellValue, Detector, FeatureSource, Fit, MISSING, Profile, Row};
use crate::fake::Fake;
use crate::layer::probe::{self, Columns, Prediction, Probe, ProbeFeature, category_code};
use crate::telemetry::{AlertCode, Inference, ModelSlot, Outcome, Window};
use crate::{Ask, Code, DType, Digest, Request, Result, Tensor, Tensors};

#[test]
fn an_outcome_keeps_code_finish_and_marks() {
    assert_eq!(answered(0, &Prediction::default()).bits(), 0);
    let prediction = Prediction { refused: true, valid: Some(true), ..Prediction::default() };
    let outcome = answered(4, &prediction);
    assert_eq!(outcome.bits(), 0b0011_1100_0000_0000);
    let health = in_health(outcome, 5);
    assert!(health.refusal && health.length_stop && !health.error && health.schema_valid == Some(true));
    assert!(outcome.further().is_further() && !outcome.is_further() && outcome.is_answer());
    for (code, fault) in [
        (Code::Backend, true),
        (Code::Panic, true),
        (Code::DeadlineExceeded, true),
        (Code::Cancelled, false),
        (Code::InvalidArgument, false),
    ] {
        let outcome = Outcome::failed(code);
        assert_eq!((i32::from(outcome.bits()), outcome.is_answer(), outcome.is_fault()), (code as i32, false, fault));
    }
}

#[test]
fn health_is_read_back_from_a_sealed_window() {
    let outcomes = [(0, 7), (4 << 8, 2), (9, 1), (5, 4)].map(|(bits, n)| (Outcome::from_bits(bits), n)).to_vec();
    let mut window = Window { outcomes, tokens_out: 11, ..Window::default() };
    (0..9).for_each(|_| window.latency.record(20_000));
    let health = health_of(&window);
    assert_eq!((health.rows, health.errors, health.length_stops, health.tokens_out), (10, 1, 2, 11));
    assert_eq!(health.latency.count(), 9);
    assert!((health.latency.quantile(0.5).unwrap() / 20_000.0 - 1.0).abs() < 0.05);
}

fn fitted(fit: Fit, rows: &[[CellValue<'_>; 2]]) -> Arc<Profile> {
    Arc::new(fit.stream(|sink| rows.iter().try_for_each(|row| sink(&Row::new(row)))).unwrap())
}

#[test]
fn values_are_sorted_as_the_profile_sorts_them() {
    let rows: Vec<[CellValue<'_>; 2]> =
        (0..300).map(|i| [CellValue::Number(i as f32), CellValue::Category(["rain", "sun", "7"][i % 3])]).collect();
    let fit = Profile::fit().number("wind").category("sky").output("sure", FeatureSource::Confidence);
    let rows: Vec<[CellValue<'_>; 3]> = rows.iter().map(|[a, b]| [*a, *b, CellValue::Number(0.5)]).collect();
    let profile = Arc::new(fit.stream(|sink| rows.iter().try_for_each(|row| sink(&Row::new(row)))).unwrap());
    // The probe gives them in another order, and one more.
    let probe = [ProbeFeature::category("sky"), ProbeFeature::number("unused"), ProbeFeature::number("wind")];
    let binning = Binning::new(profile.clone(), Digest([3; 32]), &probe).unwrap();
    let prediction = Prediction { confidence: 0.5, ..Prediction::default() };
    let mut bins = [0; Inference::MAX_BINS];
    for (wind, sky) in [(-1.0, "rain"), (150.0, "sun"), (1e9, "7"), (f32::NAN, "fog")] {
        let sorted = binning.bin(&[category_code(sky), 0.0, wind], &prediction, 1.0, &mut bins);
        let sorted = bins[..sorted].to_vec();
        let [a, b, c] = &profile.features[..] else { panic!() };
        assert_eq!(sorted, [a.bins.of(wind), b.bins.of_category(sky), c.bins.of(0.5)], "{wind} {sky}");
    }
    let blank = binning.bin(&[f32::NAN; 3], &Prediction::default(), 1.0, &mut bins);
    assert_eq!((blank, &bins[..3]), (3, &[MISSING; 3][..]));
}

#[test]
fn a_slot_is_that_of_model_and_profile() {
    let profile = |n: usize| fitted(Profile::fit().number("a").number("b"), &vec![[CellValue::Number(1.0); 2]; n]);
    let probe = [ProbeFeature::number("a"), ProbeFeature::number("b")];
    let of = |model: u8, n| Binning::new(profile(n), Digest([model; 32]), &probe).unwrap().slot;
    assert_eq!(of(1, 50), of(1, 50));
    assert_ne!(of(1, 50), of(2, 50));
    assert_ne!(of(1, 50), of(1, 60));
    assert_ne!(of(1, 50), slot(Digest([1; 32]), &[]));
}

#[test]
fn streams_find_changes_for_the_worse() {
    let mut streams = Streams::new(&[Detector::adwin(); 3]).unwrap();
    let feed = |streams: &mut Streams, n: u32, confidence: f32, fails: u32, latency_us: u32| {
        let mut found = Vec::new();
        for i in 0..n {
            let failed = fails > 0 && i % fails == 0;
            let outcome = if failed { Outcome::failed(Code::Backend) } else { Outcome::default() };
            // A little noise, without which every change is certain.
            let confidence = Inference::quantize(confidence + (i * 7 % 11) as f32 * 0.004);
            let inference = Inference { outcome, confidence, latency_us, ..Inference::default() };
            streams.update(&inference, &mut found);
        }
        found.len()
    };
    assert_eq!(feed(&mut streams, 2000, 0.9, 0, 20_000), 0);
    assert_eq!(streams.worse().count(), 0);
    assert!(feed(&mut streams, 500, 0.6, 4, 50_000) >= 3);
    let worse: Vec<MonitoredStream> = streams.worse().map(|shift| shift.stream).collect();
    assert_eq!(worse, MonitoredStream::ALL);
    let confidence = streams.worse().next().unwrap();
    assert!((confidence.before - 0.92).abs() < 0.01 && (confidence.after - 0.62).abs() < 0.03, "{confidence:?}");
    // Back again: found, and of no more concern.
    assert!(feed(&mut streams, 1000, 0.9, 0, 20_000) >= 3);
    assert_eq!(streams.worse().count(), 0, "{:?}", streams.worse().collect::<Vec<_>>());

    // Better, or too little to matter: a change, and nothing worse.
    let mut streams = Streams::new(&[Detector::adwin(); 3]).unwrap();
    feed(&mut streams, 2000, 0.5, 0, 200);
    assert!(feed(&mut streams, 500, 0.9, 0, 400) >= 2);
    assert_eq!(streams.worse().count(), 0);
}

#[test]
fn an_alert_of_an_earlier_process_keeps_its_time() {
    use super::alerts::{ActiveAlerts, WindowFindings};
    use super::history::ActiveAlert;
    use super::report::Summary;
    use crate::drift::{AlertKind, Health, Observation};
    use crate::telemetry::Stamp;
    let mut alerts = ActiveAlerts::new(1);
    let stamp = |seconds: u64| Stamp { epoch: 1, monotonic_ns: seconds, ..Stamp::default() };
    for (feature, second) in [("errors", 10), ("p99_ms", 20)] {
        let alert = ActiveAlert {
            kind: AlertKind::Health,
            feature: feature.into(),
            since: stamp(second),
            evidence: Vec::new(),
            after: 0,
        };
        alerts.restore(alert, 7);
    }
    let summary = Summary {
        window: Window { index: 7, closed: stamp(30), ..Window::default() },
        verdict: None,
        health: Health::new(),
        breaches: Vec::new(),
        shifts: Vec::new(),
    };
    let changes = alerts.update(&WindowFindings { summary: &summary, worse: Vec::new(), concept: Observation::Calm });
    let sealed: Vec<_> =
        changes.iter().map(|n| (n.record.feature.as_deref(), n.record.raised, n.record.since.monotonic_ns)).collect();
    assert_eq!(sealed, [(Some("errors"), false, 10), (Some("p99_ms"), false, 20)]);
}

/// The names in the log are those of the kinds, and lead back to them.
#[test]
fn codes_of_alerts_are_named_as_their_kinds() {
    for code in AlertCode::ALL {
        let kind = super::alert_code::kind_of(&code).unwrap();
        assert_eq!((code.name(), &super::alert_code::code_of(kind)), (&*kind.name().replace(' ', "_"), &code));
    }
    assert_eq!(super::alert_code::kind_of(&AlertCode::from_name("drift")), None);
}

#[test]
fn a_part_includes_its_upper_end() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = crate::telemetry::Telemetry::open(folder.path(), crate::telemetry::Limits::default());
    let mut open = super::window::OpenWindow::new(ModelSlot(1), 0, None);
    for unit in [0.0, 0.04, 0.06, 0.5, 0.51, 1.0] {
        let inference = Inference { confidence: Inference::quantize(unit), ..Inference::default() };
        open.add(&inference, &telemetry);
    }
    let parts = &open.window.confidence;
    assert_eq!([0, 1, 9, 10, 19].map(|i| parts[i]), [2, 1, 1, 1, 1], "{parts:?}");
}

/// Whether a profile of one column `a` suits a probe of the model's input of this type.
fn suits(fit: Fit, cell: CellValue<'_>, probe: &dyn Probe, dtype: DType) -> Result<()> {
    let profile = fit.stream(|sink| sink(&Row::new(&[cell]))).unwrap();
    check_types(&profile, &probe.features(), Fake::echo(dtype).build().spec())
}

#[test]
fn names_are_not_looked_for_among_numbers() {
    let name = CellValue::Category("rain");
    for dtype in [DType::F32, DType::F64, DType::I64, DType::Bool] {
        for probe in [Columns::of("x", ["a"]), Columns::of("", ["a"]), Columns::of("x", ["a"]).category("a")] {
            let error = suits(Profile::fit().category("a"), name, &probe, dtype).unwrap_err();
            let want =
                format!("profile: feature 'a': expected texts, such as [\"rain\"], got numbers ('x', {dtype}[..])");
            assert_eq!((error.code(), error.message().starts_with(&want)), (Code::InvalidArgument, true), "{error}");
        }
    }
    let output = Columns::of_output("y", ["a"]);
    assert!(suits(Profile::fit().category("a"), name, &output, DType::F32).is_err());
    assert!(suits(Profile::fit().category("a"), name, &output, DType::String).is_ok());
    assert!(suits(Profile::fit().category("a"), name, &Columns::of("x", ["a"]), DType::String).is_ok());
    assert!(suits(Profile::fit().category("a"), name, &Columns::of("another", ["a"]), DType::F32).is_ok(), "not known");
    // A class is known by its number.
    let class = suits(Profile::fit().output("class", FeatureSource::Class), name, &(), DType::F32).unwrap_err();
    assert!(class.message().contains("feature 'class': expected texts"), "{class}");
}

#[test]
fn names_that_say_numbers_and_texts_that_may_are_mapped() {
    let named = |cell: &'static str| CellValue::Category(cell);
    for cell in ["True", "false", "3", "0.5"] {
        for dtype in [DType::Bool, DType::F32, DType::I64, DType::String] {
            let probe = Columns::of("x", ["a"]);
            assert!(suits(Profile::fit().category("a"), named(cell), &probe, dtype).is_ok(), "{cell} {dtype}");
            assert!(suits(Profile::fit().number("a"), named(cell), &probe, dtype).is_ok(), "{cell} {dtype}");
        }
    }
    let categories = Columns::of("x", ["a"]).category("a");
    let error = suits(Profile::fit().number("a"), named("3"), &categories, DType::String).unwrap_err();
    assert!(
        error.message().starts_with("profile: feature 'a': expected numbers, got texts that are categories"),
        "{error}"
    );
}

/// What a table says of flags is what a model gets of them, by whichever type.
#[test]
fn flags_of_a_table_are_those_of_a_tensor() {
    let cells = ["True", "False", "True", "True"];
    let tensors = [
        Tensor::new(&[4, 1], vec![true, false, true, true]).unwrap(),
        Tensor::new(&[4, 1], vec![1i64, 0, 1, 1]).unwrap(),
        Tensor::strings(&[4, 1], cells.map(String::from).to_vec()).unwrap(),
        Tensor::strings(&[4, 1], ["1", "0", "true", "1.0"].map(String::from).to_vec()).unwrap(),
    ];
    for fit in [Profile::fit().number("a"), Profile::fit().category("a")] {
        let rows = cells.map(|cell| [CellValue::Category(cell)]);
        let profile = fit.stream(|sink| rows.iter().try_for_each(|row| sink(&Row::new(row)))).unwrap();
        for tensor in &tensors {
            let columns = Columns::of("x", ["a"]);
            let request: Request = Tensors::from([("x", tensor.clone())]).into();
            let answer = Fake::echo(tensor.dtype()).build().run(request.clone()).unwrap();
            let binning = Binning::new(Arc::new(profile.clone()), Digest([3; 32]), &columns.features()).unwrap();
            let mut counts = vec![0; profile.features[0].bins.len()];
            for row in probe::rows(&columns, &request, &answer) {
                let mut bins = [0; Inference::MAX_BINS];
                binning.bin(&row, &Prediction::default(), 0.0, &mut bins);
                counts[usize::from(bins[0])] += 1;
            }
            assert_eq!(counts, profile.features[0].counts, "{tensor:?}");
        }
    }
}
