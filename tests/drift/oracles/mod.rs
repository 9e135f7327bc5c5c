//! Oracles: what scipy, river, Evidently and NannyML say of the same data; `make.py` asked them.

mod streams;

use selvedge::drift::statistic::{chi2, hellinger, js, ks, psi, wasserstein};
use selvedge::drift::{Adwin, Column, Ddm, Kswin, PageHinkley, Profile, compare};
use serde::Deserialize;
use streams::{errors, scalars, whole_numbers};

const EXPECTED: &str = include_str!("expected.json");
const COMPARISON: &str = include_str!("comparison.json");

#[derive(Deserialize)]
struct Expected {
    histograms: Vec<Histogram>,
    river: River,
}

#[derive(Deserialize)]
struct Histogram {
    reference: Vec<u64>,
    window: Vec<u64>,
    centres: Vec<f64>,
    chi2: f64,
    df: u32,
    p: f64,
    ln_p: f64,
    psi: f64,
    ks: Option<f64>,
    js: f64,
    hellinger: f64,
    wasserstein: f64,
}

#[derive(Deserialize)]
struct River {
    adwin: Vec<Vec<usize>>,
    adwin_loose: Vec<Vec<usize>>,
    page_hinkley: Vec<Vec<usize>>,
    ddm: Vec<Vec<usize>>,
    ddm_warnings: Vec<usize>,
    kswin: Vec<Vec<usize>>,
    documented: Documented,
}

#[derive(Deserialize)]
struct Documented {
    stream: String,
    adwin: Vec<usize>,
    page_hinkley: Vec<usize>,
    kswin: Vec<usize>,
}

#[derive(Deserialize)]
struct Others {
    evidently: Evidently,
    nannyml: Nannyml,
}

#[derive(Deserialize)]
struct Evidently {
    psi: f64,
    js: f64,
    hellinger: f64,
}

#[derive(Deserialize)]
struct Nannyml {
    js: f64,
    hellinger: f64,
    chi2: f64,
    ks: f64,
    wasserstein: f64,
}

fn expected() -> Expected {
    serde_json::from_str(EXPECTED).unwrap()
}

/// Equal up to 1e-9, of the value or, near 0, of 1.
fn agrees(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-9 * want.abs().max(1.0) && (want == 0.0 || want.abs() > 1e-9 || got != 0.0)
}

/// Each statistic of each histogram that is not what it should be.
fn disagreements(cases: &[Histogram]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let (r, w) = (&case.reference[..], &case.window[..]);
        let test = chi2(r, w);
        let mut check = |name: &str, got: f64, want: f64| {
            if !agrees(got, want) {
                found.push(format!("histogram {i}: {name}: expected {want}, got {got}"));
            }
        };
        check("chi2", test.statistic, case.chi2);
        check("df", f64::from(test.df), f64::from(case.df));
        check("ln p", test.ln_p, case.ln_p);
        // A tail of 1e-300 is compared by its own size, not by that of 1.
        check("p, relative", if case.p > 0.0 { test.p / case.p } else { test.p + 1.0 }, 1.0);
        check("psi", psi(r, w), case.psi);
        check("js", js(r, w), case.js);
        check("hellinger", hellinger(r, w), case.hellinger);
        check("wasserstein", wasserstein(&case.centres, r, w), case.wasserstein);
        if let Some(want) = case.ks {
            check("ks", ks(r, w), want);
        }
    }
    found
}

#[test]
fn statistics_are_scipys() {
    let cases = expected().histograms;
    let found = disagreements(&cases);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    assert!(cases.len() > 50 && cases.iter().any(|c| c.p == 0.0) && cases.iter().any(|c| c.p > 0.1));
    assert!(cases.iter().any(|c| c.p > 0.0 && c.p < 1e-100));
    assert!(cases.iter().filter(|c| c.ks.is_some()).count() > 30);
}

/// One count more in one bin, and every statistic must be seen to be wrong.
#[test]
fn a_single_count_is_seen() {
    let mut cases = expected().histograms;
    let (bins, i) = cases.iter().enumerate().map(|(i, c)| (c.window.len(), i)).max().unwrap();
    assert!(bins > 3);
    cases[i].window[2] += 1;
    let found = disagreements(&cases).join("\n");
    for name in ["chi2", "ln p", "psi", "js", "hellinger", "wasserstein"] {
        assert!(found.contains(&format!("histogram {i}: {name}")), "{name} is blind: {found}");
    }
}

fn alarms(stream: &[f64], mut update: impl FnMut(f64) -> bool) -> Vec<usize> {
    stream.iter().enumerate().filter(|(_, x)| update(**x)).map(|(i, _)| i).collect()
}

#[test]
fn detectors_alarm_where_rivers_do() {
    let river = expected().river;
    for seed in 0..50 {
        let stream = scalars(seed, 4000);
        let at = seed as usize;
        let mut adwin = Adwin::new();
        assert_eq!(alarms(&stream, |x| adwin.update(x)), river.adwin[at], "ADWIN, seed {seed}");
        let mut adwin = Adwin::new().delta(0.05).clock(7);
        assert_eq!(alarms(&stream, |x| adwin.update(x)), river.adwin_loose[at], "ADWIN δ 0.05, seed {seed}");
        let mut test = PageHinkley::new();
        assert_eq!(alarms(&stream, |x| test.update(x)), river.page_hinkley[at], "Page-Hinkley, seed {seed}");
        let mut kswin = Kswin::new().seed(seed);
        assert_eq!(alarms(&scalars(seed, 1200), |x| kswin.update(x)), river.kswin[at], "KSWIN, seed {seed}");
        let (mut ddm, mut warnings) = (Ddm::new(), 0);
        let errors = errors(seed, 4000);
        let found: Vec<usize> = (0..errors.len())
            .filter(|i| {
                let alarm = ddm.update(errors[*i]);
                warnings += usize::from(ddm.warns());
                alarm
            })
            .collect();
        assert_eq!((found, warnings), (river.ddm[at].clone(), river.ddm_warnings[at]), "DDM, seed {seed}");
    }
    for all in [&river.adwin, &river.page_hinkley, &river.ddm, &river.kswin] {
        assert!(all.len() == 50 && all.iter().map(Vec::len).sum::<usize>() > 50, "the streams alarm too seldom");
    }
}

#[test]
fn the_stream_of_rivers_documentation() {
    let documented = expected().river.documented;
    let stream: Vec<f64> = documented.stream.bytes().map(|b| f64::from(b - b'0')).collect();
    assert_eq!(
        (&documented.adwin[..], &documented.page_hinkley[..], &documented.kswin[..]),
        (&[1023][..], &[1006][..], &[1016][..])
    );
    let (mut adwin, mut test, mut kswin) = (Adwin::new(), PageHinkley::new(), Kswin::new().alpha(0.0001).seed(42));
    assert_eq!(alarms(&stream, |x| adwin.update(x)), documented.adwin);
    assert_eq!(alarms(&stream, |x| test.update(x)), documented.page_hinkley);
    assert_eq!(alarms(&stream, |x| kswin.update(x)), documented.kswin);
}

/// Another seed of the same stream is another stream: the comparison above is not of two constants.
#[test]
fn another_seed_alarms_elsewhere() {
    let river = expected().river;
    let same = (0..50).filter(|seed| {
        let mut adwin = Adwin::new();
        alarms(&scalars(seed + 50, 4000), |x| adwin.update(x)) == river.adwin[*seed as usize]
    });
    assert!(same.count() < 25);
}

/// The tools bin, smooth and scale in their own ways; where they do as here, they agree to 1e-9.
#[test]
fn other_tools_see_the_same_in_the_same_samples() {
    let others: Vec<Others> = serde_json::from_str(COMPARISON).unwrap();
    assert_eq!(others.len(), 20);
    for (seed, other) in others.iter().enumerate() {
        let (reference, current) = whole_numbers(seed as u64);
        let profile = Profile::fit().number("x").of_columns(&[Column::F32(&reference)]).unwrap();
        let feature = &profile.features[0];
        let mut window = vec![0; feature.bins.len()];
        current.iter().for_each(|x| window[usize::from(feature.bin(*x))] += 1);
        let drift = compare(feature, &window).unwrap();
        let (e, n) = (&other.evidently, &other.nannyml);
        let checks = [
            ("NannyML chi2", chi2(&feature.counts, &window).statistic, n.chi2, 1e-9),
            ("NannyML JS", drift.js, n.js, 1e-9),
            ("NannyML Hellinger", drift.hellinger, n.hellinger, 1e-9),
            ("NannyML KS", drift.ks, n.ks, 1e-9),
            ("NannyML Wasserstein", drift.wasserstein.unwrap(), n.wasserstein, 1e-9),
            ("Evidently Hellinger", drift.hellinger, e.hellinger, 1e-9),
            // To the base e there: √(bits·ln 2).
            ("Evidently JS", drift.js * std::f64::consts::LN_2.sqrt(), e.js, 1e-9),
            // Half a count per bin here; there, 0.0001 in empty bins alone.
            ("Evidently PSI", drift.psi, e.psi, 5e-3),
        ];
        for (name, got, want, within) in checks {
            assert!((got - want).abs() <= within, "seed {seed}: {name}: expected {want}, got {got}");
        }
    }
}
