//! A short run of the proof that `cargo bench -p selvedge-benches --bench drift` makes in full: with exact seeds, so the same every time.

use crate::trial::{Random, Setting, alarms, delay, power, without_drift};
use selvedge::drift::{Detector, RowDependence};

const SHORT: Setting = Setting {
    features: 30,
    windows: 1500,
    rows: 256,
    reference: 20_000,
    phi: 0.0,
    block: RowDependence::Independent,
    asked: 30.0,
    seed: 1,
};

#[test]
fn false_alarms_are_as_rare_as_asked() {
    let o = without_drift(&SHORT);
    assert!(o.as_asked(), "{o:?}");
    assert_eq!(o.block, 1);
    assert!(o.profile_bytes < 200 * SHORT.features, "{o:?}");
}

#[test]
fn false_alarms_are_as_rare_as_asked_where_rows_depend_on_each_other() {
    let o = without_drift(&Setting { phi: 0.7, block: RowDependence::Estimate, ..SHORT });
    assert!(o.as_asked(), "{o:?}");
    assert!(o.block > 10);
}

/// The control: who forgets the dependence hears wolf all the time.
#[test]
fn dependence_that_is_forgotten_is_heard() {
    let o = without_drift(&Setting { phi: 0.7, windows: 200, ..SHORT });
    assert!(o.raised as f64 > 3.0 * o.interval().1, "{o:?}");
}

/// Why PSI does not decide: at 100 rows most windows of a steady stream are above the usual threshold.
#[test]
fn a_constant_threshold_on_psi_cries_wolf() {
    let o = without_drift(&Setting { rows: 100, windows: 300, ..SHORT });
    assert!(o.psi > 290, "{o:?}");
    assert!(o.raised < 30, "{o:?}");
}

#[test]
fn a_shift_is_seen() {
    assert!(power(0.2, 1000, 1e-4, 500, 3) > 0.65);
    assert!(power(0.0, 1000, 1e-4, 500, 3) < 0.01);
    let adwin = Detector::Adwin { delta: 0.001, clock: 1 };
    for (detector, most) in [(adwin, 125.0), (Detector::page_hinkley(), 170.0)] {
        assert!(delay(detector, 0.5, 2000, 50) < most, "{detector:?}");
        assert_eq!(alarms(detector, 100_000, 77), 0, "{detector:?}");
    }
    assert!(delay(Detector::kswin(), 1.0, 2000, 5) < 150.0);
    assert_eq!(alarms(Detector::kswin(), 5_000, 77), 0);
    assert!(Random(1).unit() != Random(2).unit());
}
