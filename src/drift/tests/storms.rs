//! No finite value silences a detector or a statistic for good: after a storm of outliers, the next change is found.

use super::super::python_random::PythonRandom;
use super::super::{Adwin, Column, Detector, Fourier, Judge, Kswin, LatencyHistogram, PageHinkley, Policy, Profile};
use super::super::{FalseAlarm, Health, Persistence, RequestOutcome, RowDependence, Slo, WindowCounts, statistic};

/// What comes in between, by name.
fn storms() -> Vec<(&'static str, Vec<f64>)> {
    let alternating = |a: f64, b: f64, n: usize| (0..n).map(|i| if i % 2 == 0 { a } else { b }).collect();
    vec![
        ("one 1e155", vec![1e155]),
        ("one -1e155", vec![-1e155]),
        ("one 1e308", vec![1e308]),
        ("the largest and the least", vec![f64::MAX, f64::MIN]),
        ("one 1e30", vec![1e30]),
        ("one 1e10", vec![1e10]),
        ("two 1e308", vec![1e308; 2]),
        ("1e308 and -1e308, 101 times", alternating(1e308, -1e308, 101)),
        ("1e155 and -1e155, 400 times", alternating(1e155, -1e155, 400)),
        ("1e155 and nothing, 64 times", alternating(1e155, 0.0, 64)),
        ("300 of 1e200", vec![1e200; 300]),
        ("rising to the largest", (0..308).map(|e| 10f64.powi(e)).collect()),
        ("the smallest", alternating(5e-324, -5e-324, 200)),
        ("no numbers", alternating(f64::NAN, f64::INFINITY, 100)),
    ]
}

type Update = Box<dyn FnMut(f64) -> bool>;

/// What makes a detector, and its name.
type Case = (&'static str, Box<dyn Fn() -> Update>);

fn detectors() -> Vec<Case> {
    fn of(detector: Detector) -> Box<dyn Fn() -> Update> {
        Box::new(move || {
            let mut state = detector.watch(0.01).unwrap();
            Box::new(move |x| {
                let alarm = state.update(x);
                assert!(state.mean().is_finite(), "{detector:?}");
                alarm
            })
        })
    }
    vec![
        (
            "Adwin",
            Box::new(|| {
                let mut d = Adwin::new();
                Box::new(move |x| d.update(x))
            }),
        ),
        (
            "PageHinkley",
            Box::new(|| {
                let mut d = PageHinkley::new();
                Box::new(move |x| d.update(x))
            }),
        ),
        (
            "Kswin",
            Box::new(|| {
                let mut d = Kswin::new().alpha(1e-6).lengths(300, 100).unwrap();
                Box::new(move |x| d.update(x))
            }),
        ),
        ("watched ADWIN", of(Detector::adwin())),
        ("watched ADWIN, clock 1", of(Detector::Adwin { delta: 1e-4, clock: 1 })),
        ("watched Page-Hinkley", of(Detector::page_hinkley())),
        ("watched KSWIN", of(Detector::kswin())),
    ]
}

#[test]
fn a_change_after_a_storm_is_found() {
    for (name, detector) in detectors() {
        for (storm, values) in storms() {
            for calm_before in [0, 5, 40, 700] {
                let (mut update, mut random) = (detector(), PythonRandom::new(3));
                (0..calm_before).for_each(|_| _ = update(random.unit()));
                values.iter().for_each(|x| _ = update(*x));
                // Long enough to have learned what is usual again.
                let alarms = (0..2000).filter(|_| update(random.unit())).count();
                let found = (0..1000).any(|_| update(3.0 + random.unit()));
                assert!(found, "{name}: silent after {storm}, {calm_before} values into the stream");
                assert!(alarms <= 2, "{name}: {alarms} alarms after {storm}, {calm_before} values into the stream");
            }
        }
    }
}

/// After an outlier the mean is that of the stream again.
#[test]
fn adwin_forgets_outliers() {
    for outlier in [1e155, -1e308, 1e20] {
        let (mut adwin, mut random) = (Adwin::new(), PythonRandom::new(8));
        (0..100).for_each(|_| _ = adwin.update(random.unit()));
        adwin.update(outlier);
        (0..1000).for_each(|_| _ = adwin.update(random.unit()));
        assert!(
            (adwin.mean() - 0.5).abs() < 0.05 && adwin.width() > 500,
            "{outlier}: {} of {}",
            adwin.mean(),
            adwin.width()
        );
    }
}

/// References and windows with the largest, the smallest and no numbers among them.
#[test]
fn statistics_bear_every_float() {
    let odd = [f32::MAX, f32::MIN, 1e30, -1e30, f32::MIN_POSITIVE, 1e-45, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let mut random = PythonRandom::new(5);
    let mut value =
        move |i: usize, level: f32| if i % 100 < odd.len() { odd[i % 100] } else { random.unit() as f32 + level };
    let reference: Vec<f32> = (0..20_000).map(|i| value(i, 0.0)).collect();
    for block in [RowDependence::Independent, RowDependence::Estimate] {
        let profile = Profile::fit().number("x").block(block).of_columns(&[Column::F32(&reference)]).unwrap();
        assert_eq!(Profile::decode(&profile.encode()).unwrap(), profile);
        let policy = Policy::new(1000, FalseAlarm::windows(1000.0)).persistence(Persistence::new(1, 1).unwrap());
        let mut judge = Judge::new(profile.clone().into(), policy).unwrap();
        let mut seen = |level| {
            let mut counts = WindowCounts::new(&profile);
            (0..1000).for_each(|i| counts.add_row(&[profile.features[0].bin(value(i, level))]));
            judge.judge(&counts).unwrap().features.remove(0)
        };
        let (calm, moved) = (seen(0.0), seen(0.2));
        assert!(calm.finding.is_none() && calm.missing == 0.01, "{calm:?}");
        assert!(moved.finding.is_some(), "{moved:?}");
        for d in [calm, moved] {
            let numbers = [d.chi2, d.p, d.psi, d.ks, d.js, d.hellinger, d.wasserstein.unwrap()];
            assert!(numbers.iter().all(|x| x.is_finite()), "{d:?}");
        }
    }
}

/// Beside one value out of all proportion, rows depend on each other as they did.
#[test]
fn an_outlier_does_not_hide_dependence() {
    let (mut random, mut x) = (PythonRandom::new(11), 0.0f32);
    let mut series: Vec<f32> = (0..10_000)
        .map(|_| {
            x = 0.8 * x + (random.unit() - 0.5) as f32;
            x
        })
        .collect();
    series[5000] = 1e30;
    let profile =
        Profile::fit().number("x").block(RowDependence::Estimate).of_columns(&[Column::F32(&series)]).unwrap();
    assert!(profile.block > 10, "{}", profile.block);
}

/// Embeddings of any scale have one of their own.
#[test]
fn embeddings_of_any_scale_are_told_apart() {
    for scale in [1e-35f32, 1e-25, 1.0, 1e25, 1e36] {
        let mut random = PythonRandom::new(9);
        let mut rows = |n: usize, level: f32| -> Vec<[f32; 3]> {
            let mut draw = || scale * (random.unit() as f32 + level);
            (0..n).map(|_| [draw(), draw(), draw()]).collect()
        };
        let reference = rows(4000, 0.0);
        let profile = Profile::fit()
            .embedding(3)
            .stream(|sink| reference.iter().try_for_each(|row| sink(&super::super::Row::default().embedding(row))))
            .unwrap();
        let fourier: &Fourier = &profile.embedding.as_ref().unwrap().fourier;
        let mut window = WindowCounts::new(&profile);
        for row in rows(500, 0.5) {
            window.add_embedding(&fourier.signs(&row).unwrap());
        }
        let policy = Policy::new(500, FalseAlarm::windows(1000.0)).persistence(Persistence::new(1, 1).unwrap());
        let verdict = Judge::new(profile.clone().into(), policy).unwrap().judge(&window).unwrap();
        assert!(verdict.embedding.unwrap().rejected, "{scale}: {verdict:?}");
    }
}

/// Counts of a damaged record are no reason to panic, to wrap or to take for ever.
#[test]
fn counts_at_the_limit_saturate() {
    let most = [u64::MAX; 4];
    let chi2 = statistic::chi2(&most, &[u64::MAX, 0, 1, 2]);
    assert!(chi2.statistic.is_finite() && chi2.p == 0.0, "{chi2:?}");
    assert!([statistic::psi(&most, &most), statistic::ks(&most, &most), statistic::js(&most, &most)] == [0.0; 3]);
    let rows: Vec<[f32; 1]> = (0..1000).map(|i| [(i % 50) as f32]).collect();
    let profile = Profile::fit().number("x").of_rows(&rows).unwrap();
    let mut window = WindowCounts::new(&profile);
    let mut judge = Judge::new(profile.clone().into(), Policy::default()).unwrap();
    let bins = window.features[0].len() as u64;
    window.features[0].fill((1 << 62) / bins);
    window.rows = 1 << 62;
    let drift = judge.judge(&window).unwrap().features.remove(0);
    // As much as the 1,000 rows of the reference can show.
    assert!(drift.p < 1e-8 && !drift.psi.is_nan() && drift.finding.is_some(), "{drift:?}");
    for _ in 0..70 {
        let copy = window.clone();
        window.merge(&copy);
        assert_eq!(judge.judge(&window).unwrap_err().code(), crate::Code::InvalidArgument, "rows beyond 2^62");
    }
    assert!(window.rows == u64::MAX && window.features[0].iter().all(|n| *n == u64::MAX), "{window:?}");
}

/// Windows of so many rows that they cannot be added up are judged one by one.
#[test]
fn sums_of_windows_at_the_limit_are_no_error() {
    let rows: Vec<[f32; 1]> = (0..1000).map(|i| [(i % 50) as f32]).collect();
    let profile = Profile::fit().number("x").of_rows(&rows).unwrap();
    let mut window = WindowCounts::new(&profile);
    window.features[0] = profile.features[0].counts.iter().map(|n| n << 51).collect();
    window.rows = 1000 << 51;
    for rows in [1024, u64::MAX] {
        let mut judge = Judge::new(profile.clone().into(), Policy::new(rows, FalseAlarm::windows(1000.0))).unwrap();
        for _ in 0..40 {
            let verdict = judge.judge(&window).unwrap();
            assert!(!verdict.drifted() && verdict.features[0].finding.is_none(), "{verdict:?}");
        }
        let reach = judge.reach().remove(0);
        assert!(reach.dead.is_some() && (rows > 1024 || reach.blind().is_empty()), "{reach:?}");
    }
}

#[test]
fn health_at_the_limit_saturates() {
    let mut health = Health::new();
    let worst = |error| RequestOutcome {
        latency_us: u64::MAX,
        error,
        tokens_in: u64::MAX,
        tokens_out: u64::MAX,
        ..RequestOutcome::default()
    };
    (0..70).for_each(|i| health.add(&worst(i % 2 == 0)));
    for _ in 0..70 {
        let copy = health.clone();
        health.merge(&copy);
    }
    assert_eq!((health.rows, health.tokens_in), (u64::MAX, u64::MAX));
    let breaches = health.breaches(&Slo::new().errors(0.1).p99_ms(1.0));
    assert_eq!(breaches.iter().map(|b| b.slo).collect::<Vec<_>>(), ["errors", "p99_ms"]);
    let mut latency = LatencyHistogram::default();
    (0..2).for_each(|_| latency.add(u64::MAX, u64::MAX));
    latency.add(0, 7);
    assert!(latency.quantile(0.5).is_some() && latency.above(1) == u64::MAX);
}
