//! Alerts of drift: what drifts raises one, once, and what does not, none.

use std::sync::{Arc, Mutex};

use selvedge::drift::{Action, AlertEvent, AlertKind, Finding, LabelVerdict, Slo};
use selvedge::layer::monitor::{Label, Monitor};
use selvedge::layer::probe::{Classes, Columns};
use selvedge::telemetry::{Cursor, Record};
use selvedge::{Ask, Call, Code};

use crate::{COLUMNS, Noise, ask, classifier, echo, folder, profile, request};

const WINDOW: u64 = 256;

/// The alerts in the log: what, feature, raised.
fn sealed(telemetry: &selvedge::telemetry::Telemetry) -> Vec<(String, Option<String>, bool)> {
    let records = telemetry.read(Cursor::start(), usize::MAX);
    let alerts = records.into_iter().filter_map(|(_, record)| match record {
        Record::Alert(alert) => Some((alert.code.name().to_string(), alert.feature, alert.raised)),
        _ => None,
    });
    alerts.collect()
}

#[test]
fn an_alert_comes_after_the_drift_and_not_before() {
    let (_folder, telemetry) = folder();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let ear = reported.clone();
    // The output drifts by itself from call 2,560 on.
    let engine = echo().drift(10 * WINDOW, 0.2).build();
    let monitor = Monitor::builder(engine, telemetry.clone(), Columns::of_output("y", COLUMNS))
        .profile(profile())
        .window(WINDOW)
        .calm(2)
        .on_alert(move |change| ear.lock().unwrap().push(change.clone()))
        .build()
        .unwrap();
    let mut noise = Noise(1);
    for call in 0..10 * WINDOW {
        ask(&monitor, noise.row(), call + 1);
    }
    let report = monitor.report();
    assert_eq!((report.windows.len(), report.totals.rows), (10, 10 * WINDOW));
    assert!(report.alerts.is_empty() && reported.lock().unwrap().is_empty(), "{report}");

    for call in 0..4 * WINDOW {
        ask(&monitor, noise.row(), call + 1);
    }
    let alerts = monitor.alerts();
    // A shift of 0.2 is large for `level`, which spreads over 1, and fair for `flow`, which spreads over 2.
    let level = alerts.iter().find(|a| a.feature == "level").expect("level has drifted");
    assert!(matches!(level.kind, AlertKind::Feature(Finding::Shift | Finding::OutOfRange)), "{level:?}");
    let raised =
        reported.lock().unwrap().iter().filter(|c| matches!(c, AlertEvent::Raised(a) if a.feature == "level")).count();
    assert_eq!(raised, 1, "raised once, though two more windows show it");
    let in_log = sealed(&telemetry);
    assert!(in_log.iter().any(|(_, feature, raised)| feature.as_deref() == Some("level") && *raised), "{in_log:?}");

    // Back home it is cleared, and reported so.
    let monitor_of_calm = |monitor: &Monitor, noise: &mut Noise| {
        for call in 0..6 * WINDOW {
            let [level, flow] = noise.row();
            ask(monitor, [level - 0.2, flow - 0.2], call + 1);
        }
    };
    monitor_of_calm(&monitor, &mut noise);
    assert_eq!(monitor.alerts(), []);
    let cleared = reported.lock().unwrap().iter().filter(|c| matches!(c, AlertEvent::Cleared { .. })).count();
    assert_eq!(cleared, reported.lock().unwrap().len() - cleared, "each alert was raised and cleared");
}

#[test]
fn a_dead_feature_is_named_as_such() {
    for (dead, finding) in [(0.0, Finding::DeadFeature), (f32::NAN, Finding::DeadFeature)] {
        let (_folder, telemetry) = folder();
        let monitor = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS))
            .profile(profile())
            .window(WINDOW)
            .build()
            .unwrap();
        let mut noise = Noise(2);
        (0..2 * WINDOW).for_each(|_| ask(&monitor, [noise.row()[0], dead], 0));
        let alerts = monitor.alerts();
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        assert_eq!((&*alerts[0].feature, alerts[0].kind), ("flow", AlertKind::Feature(finding)));
        assert_eq!(alerts[0].action, Action::CheckPipeline);
    }
}

#[test]
fn labels_that_come_later_tell_of_concept_drift() {
    let (_folder, telemetry) = folder();
    let monitor =
        Monitor::builder(classifier(), telemetry.clone(), Classes::of("probabilities")).window(WINDOW).build().unwrap();
    let mut noise = Noise(3);
    // A classifier that is right nine times of ten, and later half of the time.
    let mut label = |id: u64, right: f32| {
        let [x, _] = noise.row();
        ask(&monitor, [x, 0.9], id);
        let class = u16::from(x > 0.5);
        let truth = if noise.next() < right { class } else { 1 - class };
        monitor.feedback(id, Label::Class(truth)).unwrap()
    };
    for id in 1..=2000 {
        assert!(
            matches!(label(id, 0.9), LabelVerdict::Steady { .. } | LabelVerdict::Suspect { .. }),
            "no drift at {id}"
        );
    }
    assert!(monitor.alerts().is_empty());
    let accuracy = monitor.report().accuracy.expect("labels came");
    assert!((accuracy.value - 0.9).abs() < 0.03 && accuracy.low < accuracy.value, "{accuracy:?}");
    for id in 2001..=3000 {
        label(id, 0.5);
    }
    let alerts = monitor.alerts();
    assert!(alerts.iter().any(|a| a.kind == AlertKind::Concept && a.action == Action::Retrain), "{alerts:#?}");
    assert_eq!(monitor.feedback(99_999, Label::Class(1)).unwrap(), LabelVerdict::Unknown);
    assert_eq!(monitor.feedback(0, Label::Class(1)).unwrap_err().code(), Code::InvalidArgument);
    let labels =
        telemetry.read(Cursor::start(), usize::MAX).iter().filter(|(_, r)| matches!(r, Record::Feedback(_))).count();
    assert_eq!(labels, 3000);
}

#[test]
fn a_broken_promise_is_an_alert() {
    let (_folder, telemetry) = folder();
    let mut slo = Slo::default();
    slo.errors = Some(0.05);
    let engine = echo().fail(0, Code::Backend).build();
    let monitor = Monitor::builder(engine, telemetry, ()).window(64).slo(slo).build().unwrap();
    for _ in 0..128 {
        assert_eq!(monitor.run(request([0.0, 0.0])).unwrap_err().code(), Code::Backend);
    }
    let alerts = monitor.alerts();
    assert!(alerts.iter().any(|a| a.kind == AlertKind::Health && a.feature == "errors"), "{alerts:#?}");
    assert_eq!(monitor.report().totals.faults, 128);

    // What the caller breaks is not the engine's fault.
    let (_folder, telemetry) = crate::folder();
    let monitor = Monitor::builder(echo().build(), telemetry, ()).window(64).slo(slo).build().unwrap();
    for _ in 0..128 {
        let cancel = selvedge::Cancel::new();
        cancel.cancel();
        assert!(monitor.run_with(request([0.0, 0.0]), Call::new().cancel(&cancel)).is_err());
    }
    assert_eq!((monitor.alerts().len(), monitor.report().totals.requests), (0, 128));
}

#[test]
fn a_text_is_right_or_wrong() {
    let (_folder, telemetry) = folder();
    let engine = selvedge::fake::Fake::text("yes").build();
    let monitor = Monitor::builder(engine, telemetry, ()).window(WINDOW).build().unwrap();
    for id in 1..=10 {
        monitor.run_with(selvedge::Generate::text("is it?"), Call::new().id(id)).unwrap();
        let right = id % 5 > 0;
        assert_eq!(monitor.feedback(id, Label::Correct(right)).unwrap(), LabelVerdict::Steady { right });
    }
    assert_eq!(monitor.feedback(10, Label::Correct(true)).unwrap(), LabelVerdict::Unknown, "labelled before");
    assert_eq!(monitor.report().accuracy.map(|a| (a.value, a.of)), Some((0.8, 10)));
}

/// A profile whose rows had labels says what accuracy the confidences promise, and that it falls with them.
#[test]
fn without_labels_the_confidence_tells_the_accuracy() {
    use selvedge::drift::{CellValue, FeatureSource, Profile, Row};
    let mut noise = Noise(9);
    // Right as often as the confidence says.
    let rows: Vec<(f32, bool)> = (0..20_000)
        .map(|_| {
            let sure = 0.5 + 0.5 * noise.next();
            (sure, noise.next() < sure)
        })
        .collect();
    let profile = Profile::fit()
        .output("confidence", FeatureSource::Confidence)
        .stream(|sink| {
            rows.iter().try_for_each(|(sure, right)| sink(&Row::new(&[CellValue::Number(*sure)]).right(*right)))
        })
        .unwrap();
    let (_folder, telemetry) = folder();
    let probe = Classes::of("probabilities");
    let monitor = Monitor::builder(classifier(), telemetry, probe).profile(profile).window(WINDOW).build().unwrap();
    let mut estimate = |low: f32, high: f32| {
        (0..WINDOW).for_each(|i| ask(&monitor, [noise.next(), low + (high - low) * noise.next()], i + 1));
        monitor.report().estimated_accuracy.expect("calibrated")
    };
    let usual = estimate(0.5, 1.0);
    assert!(usual.low < 0.75 && 0.75 < usual.high, "{usual:?}");
    let unsure = estimate(0.5, 0.7);
    assert!(unsure.high < usual.value && unsure.low < 0.6 && 0.6 < unsure.high, "{unsure:?}");
}

/// Those who give no ids, since no label will come, are those who need the estimate.
#[test]
fn the_estimate_of_accuracy_needs_no_ids() {
    use selvedge::drift::{CellValue, FeatureSource, Profile, Row};
    let mut noise = Noise(13);
    let rows: Vec<(f32, bool)> = (0..5000)
        .map(|_| {
            let sure = 0.5 + 0.5 * noise.next();
            (sure, noise.next() < sure)
        })
        .collect();
    let fit = Profile::fit().output("confidence", FeatureSource::Confidence);
    let profile = fit
        .stream(|sink| {
            rows.iter().try_for_each(|(sure, right)| sink(&Row::new(&[CellValue::Number(*sure)]).right(*right)))
        })
        .unwrap();
    let (_folder, telemetry) = folder();
    let probe = Classes::of("probabilities");
    let monitor = Monitor::builder(classifier(), telemetry, probe).profile(profile).window(WINDOW).build().unwrap();
    (0..WINDOW).for_each(|_| ask(&monitor, [noise.next(), 0.5 + 0.5 * noise.next()], 0));
    let share = monitor.report().estimated_accuracy.expect("calibrated");
    assert!(share.of == WINDOW && share.low < 0.75 && 0.75 < share.high, "{share:?}");
}

/// A restart knows of no labels, which is no sign that the model is right again.
#[test]
fn concept_drift_stands_over_a_restart_until_labels_say_otherwise() {
    let (folder, telemetry) = folder();
    let build = |telemetry| {
        let probe = Classes::of("probabilities");
        Monitor::builder(classifier(), telemetry, probe).window(64).learn(0).calm(2).build().unwrap()
    };
    let mut noise = Noise(14);
    let mut label = |monitor: &Monitor, id: u64, right: f32| {
        let [x, _] = noise.row();
        ask(monitor, [x, 0.9], id);
        let class = u16::from(x > 0.5);
        let truth = if noise.next() < right { class } else { 1 - class };
        monitor.feedback(id, Label::Class(truth)).unwrap();
    };
    let concept = |monitor: &Monitor| monitor.alerts().iter().any(|a| a.kind == AlertKind::Concept);
    let monitor = build(telemetry);
    (1..=1000).for_each(|id| label(&monitor, id, 0.95));
    (1001..=1400).for_each(|id| label(&monitor, id, 0.4));
    assert!(concept(&monitor), "{}", monitor.report());
    drop(monitor);
    let monitor = build(crate::open(&folder));
    assert!(concept(&monitor), "it stood");
    (0..64 * 6).for_each(|_| ask(&monitor, [0.3, 0.9], 0));
    assert!(concept(&monitor), "nobody has said that it is over");
    (2001..=2400).for_each(|id| label(&monitor, id, 0.95));
    assert!(!concept(&monitor), "{}", monitor.report());
}

/// Windows that close for their age come more often than full ones, and each may raise a false alarm.
#[test]
fn slow_rows_bear_no_more_false_alarms_than_were_asked_for() {
    use std::time::Duration;

    use selvedge::drift::{FalseAlarm, Judge, Policy, WindowCounts};
    let month = Duration::from_secs(30 * 86_400);
    let level = |rate: f64| {
        let (_folder, telemetry) = folder();
        let monitor = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS))
            .profile(profile())
            .window(1024)
            .time_cap(Duration::from_secs(3600))
            .false_alarm(FalseAlarm::every(month, rate))
            .build()
            .unwrap();
        ask(&monitor, [0.5, 1.0], 0);
        monitor.close_window();
        monitor.windows()[0].verdict.as_ref().unwrap().level
    };
    let expected = |windows: f64| {
        let profile = Arc::new(profile());
        let mut judge = Judge::new(profile.clone(), Policy::new(1024, FalseAlarm::windows(windows))).unwrap();
        judge.judge(&WindowCounts::new(&profile)).unwrap().level
    };
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
    assert!(close(level(2.0), expected(5062.5)), "windows close for their rows, every 512 s");
    // 36 rows an hour: a window is an hour old, and the row that began it came 100 s after the one before.
    assert!(close(level(0.01), expected(2_592_000.0 / 3700.0)), "{} {}", level(0.01), expected(2_592_000.0 / 3700.0));
}

/// An alert is reported to the app, whoever's call was the one that closed the window.
#[test]
fn every_alert_reaches_the_callback() {
    use selvedge::drift::Persistence;
    use selvedge::telemetry::{Inference, ModelInfo};
    for by_another in [false, true] {
        let (_folder, telemetry) = folder();
        let reported = Arc::new(Mutex::new(0));
        let ear = reported.clone();
        let engine = echo().build();
        let digest = engine.spec().provenance.digest.0;
        let monitor = Monitor::builder(engine, telemetry.clone(), Columns::of("x", COLUMNS))
            .profile(profile())
            .window(WINDOW)
            .persistence(Persistence::new(1, 1).unwrap())
            .on_alert(move |_| *ear.lock().unwrap() += 1)
            .build()
            .unwrap();
        // Records that no answer has drained yet, as when all threads found the books taken.
        let profile = monitor.profile().unwrap();
        let bins = [profile.features[0].bin(0.5), profile.features[1].bin(0.0)];
        let model_slot = ModelInfo::slot_of(&digest, &profile.encode());
        (0..WINDOW).for_each(|_| telemetry.record(&Inference { model_slot, bins: &bins, ..Inference::default() }));
        if by_another {
            Monitor::builder(echo().name("another").build(), telemetry, ()).build().unwrap();
        } else {
            monitor.close_window();
        }
        let standing = monitor.alerts().len();
        assert!(standing > 0 && *reported.lock().unwrap() == standing, "{standing} stand, by another: {by_another}");
    }
}
