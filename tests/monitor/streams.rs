//! Each detector on each stream: an alert where it became worse, and none where it did not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use selvedge::drift::{AlertKind, Detector};
use selvedge::fake::Fake;
use selvedge::layer::monitor::{Monitor, MonitoredStream};
use selvedge::layer::probe::{Classes, Columns};
use selvedge::{Ask, Code, DType, Dim, Engine, Error, Port, Tensor};

use crate::{COLUMNS, Noise, classifier, echo, folder, profile, request};

const WINDOW: u64 = 64;
const FOR_NUMBERS: [Detector; 3] = [Detector::adwin(), Detector::page_hinkley(), Detector::kswin()];

/// Answers that are steady, then worse: which alerts there were after each of them, and of what.
fn alerts(monitor: &Monitor, mut steady: impl FnMut(), mut worse: impl FnMut(), calls: [u64; 2]) -> [Vec<String>; 2] {
    let active = || {
        let of_streams = monitor.alerts().into_iter().filter(|a| a.kind == AlertKind::Stream);
        of_streams.map(|a| a.feature).collect::<Vec<_>>()
    };
    (0..calls[0]).for_each(|_| steady());
    let before = active();
    (0..calls[1]).for_each(|_| worse());
    [before, active()]
}

#[test]
fn a_confidence_that_falls_is_an_alert_by_any_detector_for_numbers() {
    for detector in FOR_NUMBERS {
        let (_folder, telemetry) = folder();
        let monitor = Monitor::builder(classifier(), telemetry, Classes::of("probabilities"))
            .detector(MonitoredStream::Confidence, detector)
            .window(WINDOW)
            .learn(0)
            .build()
            .unwrap();
        let noise = std::cell::RefCell::new(Noise(31));
        let ask = |low: f32| {
            let [x, spread] = {
                let mut noise = noise.borrow_mut();
                [noise.next(), noise.next()]
            };
            monitor.run(request([x, low + 0.1 * spread])).unwrap();
        };
        let raised = alerts(&monitor, || ask(0.85), || ask(0.6), [40 * WINDOW, 8 * WINDOW]);
        assert_eq!(raised, [vec![], vec!["confidence".to_string()]], "{detector:?}");
        let found: Vec<_> = monitor.windows().iter().flat_map(|w| w.shifts.clone()).collect();
        let fell = found.iter().any(|shift| (shift.before - 0.9).abs() < 0.03 && shift.after < shift.before);
        assert!(fell, "{detector:?}: {found:?}");
    }
}

#[test]
fn errors_that_rise_are_an_alert_by_any_detector() {
    for detector in FOR_NUMBERS.into_iter().chain([Detector::Ddm]) {
        let (_folder, telemetry) = folder();
        let fails = Arc::new(AtomicU64::new(0));
        let monitor = Monitor::builder(failing(fails.clone()), telemetry, ())
            .detector(MonitoredStream::Errors, detector)
            .window(WINDOW)
            .learn(0)
            .build()
            .unwrap();
        let noise = std::cell::RefCell::new(Noise(32));
        let ask = |share: f32| {
            fails.store(u64::from(noise.borrow_mut().next() < share), Ordering::Relaxed);
            let _ = monitor.run(request([0.0, 0.0]));
        };
        // KSWIN holds 100 values against 100: of zeros and ones it sees a rise by a good third.
        let rise = if matches!(detector, Detector::Kswin { .. }) { 0.6 } else { 0.3 };
        let raised = alerts(&monitor, || ask(0.02), || ask(rise), [40 * WINDOW, 4 * WINDOW]);
        assert_eq!(raised, [vec![], vec!["errors".to_string()]], "{detector:?}");
    }
}

#[test]
fn answers_that_slow_down_are_an_alert_by_any_detector_for_numbers() {
    std::thread::scope(|scope| {
        for detector in FOR_NUMBERS {
            scope.spawn(move || {
                let (_folder, telemetry) = folder();
                let millis = Arc::new(AtomicU64::new(4));
                let engine = sleeping(millis.clone());
                let monitor = Monitor::builder(engine, telemetry, ())
                    .detector(MonitoredStream::Latency, detector)
                    .window(WINDOW)
                    .learn(0)
                    .build()
                    .unwrap();
                let ask = |time: u64| {
                    millis.store(time, Ordering::Relaxed);
                    monitor.run(request([0.0, 0.0])).unwrap();
                };
                let raised = alerts(&monitor, || ask(4), || ask(16), [6 * WINDOW, 4 * WINDOW]);
                assert_eq!(raised, [vec![], vec!["latency".to_string()]], "{detector:?}");
            });
        }
    });
}

/// Two monitors of one model keep the same books; the one that is made last says by what they are watched.
#[test]
fn another_detector_begins_anew() {
    let (_folder, telemetry) = folder();
    let fails = Arc::new(AtomicU64::new(0));
    let build = |detector| {
        let builder = Monitor::builder(failing(fails.clone()), telemetry.clone(), ()).window(WINDOW).learn(0);
        builder.detector(MonitoredStream::Errors, detector).build().unwrap()
    };
    // ADWIN that hardly ever looks is blind to what DDM sees at once.
    let blind = build(Detector::Adwin { delta: 0.002, clock: 1 << 40 });
    let ask = |monitor: &Monitor, calls: u64, fail: u64| {
        fails.store(fail, Ordering::Relaxed);
        (0..calls).for_each(|_| drop(monitor.run(request([0.0, 0.0]))));
    };
    [0, 1].iter().for_each(|fail| ask(&blind, 4 * WINDOW, *fail));
    assert_eq!(blind.alerts(), []);
    let seeing = build(Detector::Ddm);
    [0, 1].iter().for_each(|fail| ask(&seeing, 4 * WINDOW, *fail));
    assert_eq!(seeing.alerts().iter().map(|a| &*a.feature).collect::<Vec<_>>(), ["errors"]);
    assert_eq!(blind.alerts(), seeing.alerts());
}

#[test]
fn a_detector_that_does_not_fit_is_refused() {
    let (_folder, telemetry) = folder();
    let refused = |stream, detector| {
        let builder = Monitor::builder(echo().build(), telemetry.clone(), ());
        let error = builder.detector(stream, detector).build().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        error.message().to_string()
    };
    assert_eq!(
        refused(MonitoredStream::Latency, Detector::Ddm),
        "detector of latency: expected one for numbers, got DDM, for failures"
    );
    assert_eq!(
        refused(MonitoredStream::Errors, Detector::Adwin { delta: 0.0, clock: 32 }),
        "detector of errors: ADWIN: delta: expected more than 0 and less than 1, got 0"
    );
    assert_eq!(
        refused(MonitoredStream::Confidence, Detector::Kswin { alpha: 0.01, window: 50, latest: 26 }),
        "detector of confidence: KSWIN: lengths: expected 1 ≤ latest ≤ window / 2, window ≤ 10000, got window 50, latest 26"
    );
    // A profile does not matter to it.
    let with_profile = Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS));
    let bad = Detector::PageHinkley { delta: 0.25, threshold: f64::NAN, forgetting: 1.0 };
    let error = with_profile.profile(profile()).detector(MonitoredStream::Latency, bad).build().unwrap_err();
    assert!(
        error.message().starts_with("detector of latency: Page-Hinkley: threshold: expected more than 0"),
        "{error}"
    );
}

/// Fails while `fails` is not 0.
fn failing(fails: Arc<AtomicU64>) -> Arc<dyn Engine> {
    engine(move |inputs| match fails.load(Ordering::Relaxed) {
        0 => Ok(inputs.iter().flatten().cloned().collect()),
        _ => Err(Error::new(Code::Backend, "as it was asked")),
    })
}

fn sleeping(millis: Arc<AtomicU64>) -> Arc<dyn Engine> {
    engine(move |inputs| {
        std::thread::sleep(Duration::from_millis(millis.load(Ordering::Relaxed)));
        Ok(inputs.iter().flatten().cloned().collect())
    })
}

fn engine(
    answer: impl Fn(&[Option<Tensor>]) -> selvedge::Result<Vec<Tensor>> + Send + Sync + 'static,
) -> Arc<dyn Engine> {
    let port = |name: &str| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(2)]);
    Fake::tensors(vec![port("x")], vec![port("y")], answer).build()
}
