use super::super::python_random::PythonRandom;
use super::super::{Adwin, Ddm, Detector, DetectorState, Kswin, PageHinkley};
use crate::Code;

fn alarms(stream: &[f64], mut update: impl FnMut(f64) -> bool) -> Vec<usize> {
    stream.iter().enumerate().filter(|(_, x)| update(**x)).map(|(i, _)| i).collect()
}

/// Uniform numbers whose level rises twice.
fn stream() -> Vec<f64> {
    let mut random = PythonRandom::new(4);
    (0..6000).map(|i| random.unit() + f64::from(i / 2000)).collect()
}

#[test]
fn a_watcher_alarms_where_its_detector_does() {
    let stream = stream();
    let watched = |detector: Detector| {
        let mut watcher = detector.watch(0.01).unwrap();
        alarms(&stream, |x| watcher.update(x))
    };
    let (mut adwin, mut kswin) = (Adwin::new().delta(0.01).clock(5), Kswin::new());
    assert_eq!(watched(Detector::Adwin { delta: 0.01, clock: 5 }), alarms(&stream, |x| adwin.update(x)));
    let as_river = Detector::Kswin { alpha: 0.005, window: 100, latest: 30 };
    assert_eq!(watched(as_river), alarms(&stream, |x| kswin.update(x)));
    // Page-Hinkley on deviations: those of the first 128 values, and after an alarm of the next 128.
    let found = watched(Detector::page_hinkley());
    assert_eq!(found.len(), 2, "{found:?}");
    let mut begin = 0;
    for alarm in found {
        let (measured, rest) = stream[begin..].split_at(128);
        let mean = measured.iter().sum::<f64>() / 128.0;
        let deviation = (measured.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 127.0).sqrt();
        let mut test = PageHinkley::new().delta(0.25).threshold(35.0).forgetting(1.0);
        let first = rest.iter().position(|x| test.update(x / deviation)).unwrap();
        assert_eq!(begin + 128 + first, alarm);
        begin = alarm + 1;
    }
    let mut ddm = Ddm::new().min_failures(10);
    let failures: Vec<f64> = stream.iter().map(|x| f64::from(u8::from(*x > 0.9))).collect();
    let mut watcher = Detector::Ddm.watch(0.1).unwrap();
    let found = alarms(&failures, |x| watcher.update(x));
    assert!(found == alarms(&failures, |x| ddm.update(x > 0.0)) && found.len() == 1, "{found:?}");
}

#[test]
fn a_watcher_tells_where_the_stream_stands() {
    for detector in [Detector::adwin(), Detector::page_hinkley(), Detector::kswin()] {
        let mut watcher = detector.watch(0.01).unwrap();
        assert_eq!((watcher.detector(), watcher.mean(), watcher.width()), (detector, 0.0, 0));
        let stream = stream();
        let (mut before, mut jumps) = (0.0, Vec::new());
        for x in &stream {
            if watcher.update(*x) {
                jumps.push((before, watcher.mean()));
            }
            before = watcher.mean();
            assert!(!watcher.update(f64::NAN) && !watcher.update(f64::INFINITY));
            assert_eq!(watcher.mean(), before, "left out");
        }
        assert!(jumps.len() >= 2 && jumps.iter().all(|(before, after)| after > before), "{detector:?}: {jumps:?}");
        let (before, after) = jumps[0];
        assert!((before - 0.5).abs() < 0.05 && after > before + 0.02, "{detector:?}: {jumps:?}");
        assert!((watcher.mean() - 2.5).abs() < 0.05 && watcher.width() > 1500, "{detector:?}: {watcher:?}");
    }
}

/// Alarms of DDM on failures that are rare and stay so, for many streams.
fn of_rare_failures(mut watcher: impl FnMut() -> Box<dyn FnMut(bool) -> bool>) -> usize {
    let streams = (0..50).map(|seed| {
        let (mut random, mut update) = (PythonRandom::new(seed), watcher());
        (0..2000).filter(|_| update(random.unit() < 0.01)).count()
    });
    streams.sum()
}

#[test]
fn the_first_failure_is_no_rise() {
    let watched = of_rare_failures(|| {
        let mut watcher = Detector::Ddm.watch(0.1).unwrap();
        Box::new(move |failed| watcher.update(f64::from(u8::from(failed))))
    });
    let bare = of_rare_failures(|| {
        let mut ddm = Ddm::new();
        Box::new(move |failed| ddm.update(failed))
    });
    assert!(watched <= 2 && bare > 50, "{watched} alarms, {bare} without a least number of failures");
}

#[test]
fn a_constant_stream_does_not_alarm_and_its_end_does() {
    for detector in [Detector::adwin(), Detector::page_hinkley(), Detector::kswin()] {
        let mut watcher: DetectorState = detector.watch(0.05).unwrap();
        assert!((0..5000).all(|_| !watcher.update(0.7)), "{detector:?}");
        // A thousandth of a constant stream is beyond all deviations that it had, and less than the least one.
        if matches!(detector, Detector::PageHinkley { .. }) {
            assert!((0..500).all(|_| !watcher.update(0.701)));
        }
        assert!((0..500).any(|_| watcher.update(0.9)), "{detector:?}");
    }
}

#[test]
fn settings_out_of_their_ranges_are_refused() {
    let adwin = |delta, clock| Detector::Adwin { delta, clock };
    let page_hinkley = |delta, threshold, forgetting| Detector::PageHinkley { delta, threshold, forgetting };
    let kswin = |alpha, window, latest| Detector::Kswin { alpha, window, latest };
    let nan = f64::NAN;
    for (detector, message) in [
        (adwin(0.0, 1), "ADWIN: delta: expected more than 0 and less than 1, got 0"),
        (adwin(1.0, 1), "ADWIN: delta: expected more than 0 and less than 1, got 1"),
        (adwin(nan, 1), "ADWIN: delta: expected more than 0 and less than 1, got NaN"),
        (adwin(0.5, 0), "ADWIN: clock: expected at least 1, got 0"),
        (page_hinkley(-0.1, 1.0, 1.0), "Page-Hinkley: delta: expected 0 to 10, got -0.1"),
        (page_hinkley(nan, 1.0, 1.0), "Page-Hinkley: delta: expected 0 to 10, got NaN"),
        (page_hinkley(0.0, 0.0, 1.0), "Page-Hinkley: threshold: expected more than 0, up to 1e6, got 0"),
        (page_hinkley(0.0, 2e6, 1.0), "Page-Hinkley: threshold: expected more than 0, up to 1e6, got 2000000"),
        (page_hinkley(0.0, 1.0, 0.0), "Page-Hinkley: forgetting: expected more than 0, up to 1, got 0"),
        (page_hinkley(0.0, 1.0, 1.1), "Page-Hinkley: forgetting: expected more than 0, up to 1, got 1.1"),
        (kswin(0.0, 100, 30), "KSWIN: alpha: expected more than 0 and less than 1, got 0"),
        (
            kswin(0.1, 10_001, 30),
            "KSWIN: lengths: expected 1 ≤ latest ≤ window / 2, window ≤ 10000, got window 10001, latest 30",
        ),
    ] {
        let error = detector.watch(0.01).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, message));
    }
    for least in [0.0, -1.0, nan, f64::INFINITY] {
        assert_eq!(Detector::Ddm.watch(least).unwrap_err().code(), Code::InvalidArgument);
    }
    for whole in [adwin(0.999, 1), page_hinkley(0.0, 1e6, 1.0), kswin(0.999, 2, 1), Detector::Ddm] {
        assert!(whole.watch(0.01).is_ok(), "{whole:?}");
    }
}
