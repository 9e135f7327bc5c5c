//! Real data: a model of Seattle's weather moves to New York. One window is one year of days.
//!
//! Days are alike to the days before, and summers to summers: the honest test of the thresholds.

use std::collections::BTreeMap;
use std::sync::Arc;

use selvedge::drift::{
    AlertEvent, Alerts, FalseAlarm, Judge, Policy, Profile, RowDependence, Verdict, WindowCounts, check, compare,
};

const FEATURES: [&str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];

type Years = BTreeMap<(String, u16), Vec<[f32; 4]>>;

fn years() -> Years {
    let mut years = Years::new();
    for line in include_str!("../../examples/quickstart/weather.csv").lines().skip(1) {
        let column: Vec<&str> = line.split(',').collect();
        let year = column[1][..4].parse().unwrap();
        let day = [2, 3, 4, 5].map(|i| column[i].parse().unwrap());
        years.entry((column[0].into(), year)).or_default().push(day);
    }
    years
}

fn home(years: &Years, block: RowDependence) -> Arc<Profile> {
    let rows: Vec<[f32; 4]> =
        (2012..=2014).flat_map(|year| years[&("Seattle".to_string(), year)].iter().copied()).collect();
    let fit = FEATURES.iter().fold(Profile::fit().bins(8).block(block), |fit, name| fit.number(*name));
    Arc::new(fit.of_rows(&rows).unwrap())
}

fn year(profile: &Profile, days: &[[f32; 4]]) -> WindowCounts {
    let mut counts = WindowCounts::new(profile);
    for day in days {
        let bins: Vec<u8> = profile.features.iter().zip(day).map(|(f, v)| f.bin(*v)).collect();
        counts.add_row(&bins);
    }
    counts
}

#[test]
fn the_statistics_tell_seattle_from_new_york() {
    let years = years();
    let profile = home(&years, RowDependence::Independent);
    let drift = |city: &str, y: u16| {
        let counts = year(&profile, &years[&(city.to_string(), y)]);
        profile.features.iter().zip(&counts.features).map(|(f, c)| compare(f, c).unwrap()).collect::<Vec<_>>()
    };
    let seattle = drift("Seattle", 2015);
    assert!((0.02..0.06).contains(&seattle[3].psi), "wind at home: {}", seattle[3].psi);
    let least = seattle.iter().map(|f| f.p).fold(1.0, f64::min);
    assert!((5e-4..1e-2).contains(&least), "least p at home: {least:e}");
    for y in 2012..=2015 {
        let away = drift("New York", y);
        assert!((0.9..1.4).contains(&away[3].psi), "wind in {y}: {}", away[3].psi);
        assert!((0.45..0.7).contains(&away[2].psi), "temp_min in {y}: {}", away[2].psi);
        assert!(away[3].p < 1e-26 && away[2].p < 1e-26, "{y}: wind {:e}, temp_min {:e}", away[3].p, away[2].p);
    }
}

/// Thresholds that know of the dependence between days keep still in a second Seattle year, and do not in New York.
#[test]
fn only_new_york_alerts() {
    let years = years();
    let profile = home(&years, RowDependence::Estimate);
    assert!(profile.block > 1);
    let judge = || Judge::new(profile.clone(), Policy::new(365, FalseAlarm::windows(100.0))).unwrap();
    let look = |judge: &mut Judge, city: &str, y: u16| -> Verdict {
        judge.judge(&year(&profile, &years[&(city.to_string(), y)])).unwrap()
    };
    let (mut home, mut alerts) = (judge(), Alerts::new(3));
    for round in 0..3 {
        let verdict = look(&mut home, "Seattle", 2015);
        let found: Vec<_> = verdict.features.iter().map(|f| (&f.name, f.p)).collect();
        assert!(verdict.features.iter().all(|f| f.finding.is_none()), "Seattle 2015: {found:?}");
        assert!(alerts.observe_verdict(&verdict, round).is_empty());
    }
    let mut away = judge();
    for y in 2012..=2015 {
        let verdict = look(&mut away, "New York", y);
        let found: Vec<_> = verdict.features.iter().map(|f| (&f.name, f.p)).collect();
        assert!(verdict.features[3].finding.is_some(), "New York {y}: {found:?}");
        let raised = alerts.observe_verdict(&verdict, u64::from(y));
        let wind = raised.iter().any(|c| matches!(c, AlertEvent::Raised(a) if a.feature == "wind"));
        assert_eq!(wind, y == 2013, "raised once, in the second of three years: {raised:?}");
    }
}

/// The same days, as other types and tables give them: no day is another one for it.
#[test]
fn rounding_is_no_other_weather() {
    type Way = (&'static str, fn(f32) -> f32);
    let ways: [Way; 5] = [
        ("f64", |v| f64::from(v) as f32),
        ("f16", |v| half::f16::from_f32(v).to_f32()),
        ("text", |v| v.to_string().parse().unwrap()),
        ("six digits", |v| format!("{v:.5e}").parse().unwrap()),
        ("f16 in six digits", |v| format!("{:.5e}", half::f16::from_f32(v).to_f32()).parse().unwrap()),
    ];
    for (place, days) in years() {
        for bins in [8, 16, 64] {
            let fit = FEATURES.iter().fold(Profile::fit().bins(bins), |fit, name| fit.number(*name));
            let profile = fit.of_rows(&days).unwrap();
            for (way, rounded) in ways {
                let rows: Vec<[f32; 4]> = days.iter().map(|day| day.map(rounded)).collect();
                let verdict = check(&profile, &rows).unwrap();
                for f in verdict.features {
                    assert!(f.p > 0.99 && f.out_of_range == 0.0, "{place:?}, {bins} bins, {way}: {f:?}");
                }
            }
        }
    }
}
