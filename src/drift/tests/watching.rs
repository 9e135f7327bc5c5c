use super::super::python_random::PythonRandom;
use super::super::{
    Action, Adwin, AlertEvent, AlertKind, Alerts, Breach, Concept, Ddm, Health, Kswin, LabelVerdict, LatencyHistogram,
    Observation, PageHinkley, Proportion, Reliability, RequestOutcome, Severity, Slo,
};

#[test]
fn numbers_that_are_none_leave_detectors_as_they_were() {
    let (mut adwin, mut test, mut kswin) = (Adwin::new(), PageHinkley::new(), Kswin::new());
    for i in 0..5000 {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][i % 3];
        assert!(!adwin.update(odd) && !test.update(odd) && !kswin.update(odd));
        assert!(!adwin.update(0.5) && !test.update(0.5) && !kswin.update(0.5));
    }
    assert_eq!((adwin.width(), adwin.mean()), (5000, 0.5));
    assert!(Kswin::new().lengths(10, 6).is_err() && Kswin::new().lengths(10, 0).is_err());
    assert!(Kswin::new().lengths(10, 5).is_ok());
}

/// Logarithmic memory, whatever the length of the stream.
#[test]
fn adwin_forgets_before_a_change() {
    let mut adwin = Adwin::new();
    let mut random = PythonRandom::new(1);
    assert!((0..20_000).all(|_| !adwin.update(random.unit())));
    assert!((0..200).any(|_| adwin.update(3.0 + random.unit())));
    (0..500).for_each(|_| _ = adwin.update(3.0 + random.unit()));
    assert!(adwin.width() < 800 && adwin.mean() > 3.0);
}

#[test]
fn ddm_warns_before_it_alarms() {
    let mut ddm = Ddm::new();
    (0..500).for_each(|i| _ = ddm.update(i % 10 == 0));
    let mut warned = false;
    for _ in 0..100 {
        if ddm.update(true) {
            break;
        }
        warned |= ddm.warns();
    }
    assert!(warned && !ddm.warns());
}

#[test]
fn wilsons_interval() {
    // scipy's binomtest(9, 10).proportion_ci(method="wilson").
    let share = Proportion::wilson(9, 10).unwrap();
    assert!(
        (share.low - 0.595_849_973_204_761_5).abs() < 1e-12 && (share.high - 0.982_123_786_904_927_1).abs() < 1e-12
    );
    let none = Proportion::wilson(0, 5).unwrap();
    assert!(none.low == 0.0 && none.high > 0.4 && none.high < 0.45);
    assert!(Proportion::wilson(0, 0).is_none() && Proportion::wilson(3, 2).is_none());
}

#[test]
fn predictions_wait_for_their_labels_in_bounded_memory() {
    let mut concept = Concept::new(100);
    for id in 0..1000 {
        concept.predicted(id, (id % 3) as u16, 0.7);
    }
    assert_eq!((concept.waiting(), concept.forgotten()), (100, 900));
    assert_eq!(concept.feedback(5, 2), LabelVerdict::Unknown);
    assert_eq!(concept.feedback(950, 2), LabelVerdict::Steady { right: true });
    assert_eq!(concept.feedback(951, 1), LabelVerdict::Steady { right: false });
    assert_eq!(concept.feedback(951, 1), LabelVerdict::Unknown);
    assert_eq!(concept.feedback_right(952, true), LabelVerdict::Steady { right: true });
    let accuracy = concept.accuracy().unwrap();
    assert_eq!((accuracy.of, accuracy.value), (3, 2.0 / 3.0));
    // One id over and over takes one place, labelled or not.
    for _ in 0..10_000 {
        concept.predicted(7, 1, 0.5);
        concept.feedback(7, 1);
        concept.predicted(8, 1, 0.5);
    }
    assert!(concept.waiting() <= 100);
}

#[test]
fn a_model_that_gets_worse_is_seen_by_its_labels() {
    let mut concept = Concept::new(10);
    let mut random = PythonRandom::new(5);
    let mut drifted_at = None;
    for i in 0..4000u64 {
        let wrong = random.unit() < if i < 2000 { 0.1 } else { 0.4 };
        concept.predicted(i, 0, 0.9);
        if let LabelVerdict::Drifted { .. } = concept.feedback(i, u16::from(wrong))
            && drifted_at.is_none()
        {
            drifted_at = Some(i);
        }
    }
    assert!(drifted_at.is_some_and(|i| (2000..2300).contains(&i)), "{drifted_at:?}");
    // The accuracy is that of the new times, as far as the window reaches.
    let accuracy = concept.accuracy().unwrap();
    assert!((accuracy.value - 0.6).abs() < 0.04 && accuracy.of < 2200, "{accuracy:?}");
}

/// A model that gets better is no reason to retrain it.
#[test]
fn getting_better_is_no_drift() {
    let mut concept = Concept::new(10);
    let mut random = PythonRandom::new(6);
    for i in 0..4000u64 {
        let wrong = random.unit() < if i < 2000 { 0.5 } else { 0.02 };
        concept.predicted(i, 0, 0.9);
        assert!(!matches!(concept.feedback(i, u16::from(wrong)), LabelVerdict::Drifted { .. }), "{i}");
    }
    assert!(concept.accuracy().unwrap().value > 0.9);
}

#[test]
fn accuracy_without_labels_follows_the_confidence() {
    let mut reliability = Reliability::default();
    for i in 0..2000 {
        reliability.add(0.95, i % 20 != 0); // right 95 times of 100
        reliability.add(0.55, i % 2 == 0); // right half the time
    }
    let mut concept = Concept::new(10);
    assert!(concept.estimated(&reliability).is_none());
    (0..500).for_each(|i| concept.predicted(i, 0, 0.95));
    let sure = concept.estimated(&reliability).unwrap();
    assert!((sure.value - 0.95).abs() < 1e-3 && sure.low < 0.95 && sure.high > 0.95);
    (0..500).for_each(|i| concept.predicted(i, 0, 0.55));
    let mixed = concept.estimated(&reliability).unwrap();
    assert!((mixed.value - 0.725).abs() < 1e-3, "{mixed:?}");
    concept.next_window();
    assert!(concept.estimated(&reliability).is_none());
    assert_eq!((Reliability::bin(1.0), Reliability::bin(0.0), Reliability::bin(f32::NAN)), (Some(9), Some(0), None));
    assert_eq!((Reliability::bin(-0.1), Reliability::bin(1.1)), (None, None));
}

#[test]
fn latencies_are_within_their_error() {
    let mut latency = LatencyHistogram::default();
    assert_eq!(latency.quantile(0.5), None);
    for us in 1..=100_000u64 {
        latency.add(us, 1);
    }
    for q in [0.001, 0.5, 0.95, 0.99, 1.0] {
        let (got, want) = (latency.quantile(q).unwrap(), q * 100_000.0);
        assert!((got / want - 1.0).abs() < 0.017, "{q}: expected {want}, got {got}");
    }
    assert_eq!(latency.above(100_000), 0);
    assert!(latency.above(50_000).abs_diff(50_000) < 1700);
    latency.add(u64::MAX, 1);
    assert!(latency.quantile(1.0).unwrap() > 5e11);
    assert_eq!(latency.quantile(1.5), None);
    let mut both = latency.clone();
    both.merge(&latency);
    assert_eq!((both.count(), both.quantile(0.5)), (200_002, latency.quantile(0.5)));
    // Every time lies in the bucket whose bounds hold it: a lone value is its own median.
    for us in (0..40).flat_map(|e| [(1u64 << e) - 1, 1 << e, (1 << e) + 1]).filter(|us| *us < 1 << 39) {
        let mut one = LatencyHistogram::default();
        one.add(us, 1);
        let got = one.quantile(0.5).unwrap();
        assert!((got - us as f64).abs() <= us as f64 / 60.0, "{us}: {got}");
    }
}

#[test]
fn promises_are_broken_by_evidence_and_not_by_chance() {
    let slo = Slo {
        p99_ms: Some(100.0),
        errors: Some(0.01),
        refusals: Some(0.05),
        schema_valid: Some(0.99),
        length_stops: Some(0.1),
        ..Slo::default()
    };
    let mut health = Health::new();
    assert!(health.breaches(&slo).is_empty());
    // One error of three is no evidence against one in a hundred.
    for error in [true, false, false] {
        health.add(&RequestOutcome { error, latency_us: 1000, ..RequestOutcome::default() });
    }
    assert!(health.breaches(&slo).is_empty());
    for i in 0..1000u64 {
        health.add(&RequestOutcome {
            latency_us: if i % 20 == 0 { 500_000 } else { 20_000 },
            error: false,
            refusal: i % 10 == 0,
            length_stop: i % 11 == 0,
            schema_valid: (i % 2 == 0).then_some(i % 20 != 0),
            tokens_in: 10,
            tokens_out: 2,
        });
    }
    let breaches = health.breaches(&slo);
    let names: Vec<&str> = breaches.iter().map(|b| b.slo).collect();
    assert_eq!(names, ["refusals", "schema_valid", "p99_ms"]);
    assert!((breaches[2].value / 500.0 - 1.0).abs() < 0.02 && breaches[1].value == 0.9);
    assert_eq!((health.rows, health.tokens_in, health.tokens_out), (1003, 10_000, 2000));
    assert!(health.breaches(&Slo { min_cases: 5000, ..slo }).is_empty());
    let mut twice = health.clone();
    twice.merge(&health);
    assert_eq!((twice.rows, twice.refusals, twice.latency.count()), (2006, 200, 2004));
}

#[test]
fn health_alerts_are_raised_once_and_cleared_when_the_promise_is_kept_again() {
    let mut alerts = Alerts::new(2);
    let breach = [Breach { slo: "errors", bound: 0.01, value: 0.2, of: 500 }];
    let raised = alerts.observe_health(&breach, 1);
    let Some(AlertEvent::Raised(alert)) = raised.first() else { panic!("{raised:?}") };
    assert_eq!((alert.kind, &*alert.feature, alert.since), (AlertKind::Health, "errors", 1));
    assert_eq!((alert.action, alert.severity), (Action::RollBack, Severity::Warning));
    assert!(alert.evidence.contains("0.2 against 0.01"));
    assert!(alerts.observe_health(&breach, 2).is_empty());
    assert!(alerts.observe_health(&[], 3).is_empty());
    assert!(matches!(&alerts.observe_health(&[], 4)[..], [AlertEvent::Cleared { at: 4, .. }]));
    assert!(alerts.standing().is_empty() && alerts.observe_health(&[], 5).is_empty());
    assert_eq!(alerts.observe(AlertKind::Stream, "latency", Observation::Calm, 6), None);
}

/// At night there are few rows, which look calm whatever they are of.
#[test]
fn windows_of_a_few_rows_clear_no_alert() {
    use super::super::{FalseAlarm, Judge, Persistence, Policy, Profile, WindowCounts};
    let rows: Vec<[f32; 1]> = (0..5000).map(|i| [(i % 97) as f32]).collect();
    let profile = std::sync::Arc::new(Profile::fit().number("wind").of_rows(&rows).unwrap());
    let policy = Policy::new(1024, FalseAlarm::windows(1000.0)).persistence(Persistence::new(1, 1).unwrap());
    let (mut judge, mut alerts) = (Judge::new(profile.clone(), policy).unwrap(), Alerts::new(2));
    let mut at = 0;
    let mut see = |rows: usize, dead: bool| {
        let mut window = WindowCounts::new(&profile);
        (0..rows).for_each(|i| window.add_row(&[profile.features[0].bin(if dead { 0.0 } else { (i % 97) as f32 })]));
        at += 1;
        alerts.observe_verdict(&judge.judge(&window).unwrap(), at).len()
    };
    assert_eq!(see(1024, true), 1, "raised");
    assert_eq!((0..10).map(|i| see(i, i % 2 == 0)).sum::<usize>(), 0, "too few to tell");
    assert_eq!((see(1024, false), see(3, false), see(1024, false)), (0, 0, 1), "cleared by two windows that tell");
    // One that few rows have raised, few rows clear.
    assert_eq!((see(200, true), see(200, false), see(200, false)), (1, 0, 1));
}
