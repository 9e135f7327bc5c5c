//! Trained on Seattle, deployed in New York: the data of `examples/quickstart`.
//!
//! Daily weather is seasonal and depends on the day before, so this is also the honest test of the thresholds.

use std::path::Path;
use std::sync::Arc;

use selvedge::drift::{AlertKind, FalseAlarm, Finding, Persistence, Profile, RowDependence};
use selvedge::layer::monitor::{Monitor, MonitorReport};
use selvedge::layer::probe::{All, Classes, Columns};
use selvedge::{Ask, Engine, Tensor, Tensors};

use crate::folder;

const COLUMNS: [&str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];

/// The rain model itself where there is a backend for it, else a fake with the same ports.
#[cfg(any(feature = "tract", feature = "ort", feature = "rten"))]
fn engine() -> Arc<dyn Engine> {
    selvedge::open(quickstart().join("rain.onnx"), selvedge::Options::new()).unwrap()
}

#[cfg(not(any(feature = "tract", feature = "ort", feature = "rten")))]
fn engine() -> Arc<dyn Engine> {
    use selvedge::{DType, Dim, Port};
    let port = |name: &str, n| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(n)]);
    let rain = |inputs: &[Option<Tensor>]| {
        let Some(x) = &inputs[0] else { return Ok(vec![]) };
        // Wet and cool days are followed by wet ones.
        let logit = |day: &[f32]| 0.2 * day[0] - 0.15 * (day[1] - 15.0);
        let rain: Vec<f32> = x.as_slice::<f32>()?.chunks(4).map(|day| 1.0 / (1.0 + (-logit(day)).exp())).collect();
        Ok(vec![Tensor::new(&[rain.len(), 1], rain)?])
    };
    selvedge::fake::Fake::tensors(vec![port("weather", 4)], vec![port("rain_tomorrow", 1)], rain).build()
}

fn quickstart() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")
}

/// The days of a city from one year to another, both included.
fn days(city: &str, from: &str, to: &str) -> Vec<[f32; 4]> {
    let csv = std::fs::read_to_string(quickstart().join("weather.csv")).unwrap();
    let rows = csv.lines().skip(1).filter_map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let year = &cells[1][..4];
        (cells[0] == city && year >= from && year <= to).then(|| [2, 3, 4, 5].map(|i| cells[i].parse().unwrap()))
    });
    rows.collect()
}

fn profile(engine: &dyn Engine, block: RowDependence) -> Profile {
    let home = days("Seattle", "2012", "2014");
    assert_eq!(home.len(), 1096);
    let fit = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name)).bins(8).block(block);
    fit.model(engine.spec().provenance.digest.0).of_rows(&home).unwrap()
}

/// A life of one day per call, in windows of a year.
fn lived(block: RowDependence, days: &[[f32; 4]]) -> MonitorReport {
    let (_folder, telemetry) = folder();
    let engine = engine();
    let profile = profile(&*engine, block);
    let probe = All::new().and(Columns::of("weather", COLUMNS)).and(Classes::of("rain_tomorrow"));
    let monitor = Monitor::builder(engine, telemetry, probe)
        .profile(profile)
        .window(365)
        .persistence(Persistence::new(1, 1).unwrap())
        .false_alarm(FalseAlarm::Windows(1000.0))
        .build()
        .unwrap();
    for day in days {
        let weather = Tensor::new(&[1, 4], day.to_vec()).unwrap();
        monitor.run(Tensors::from([("weather", weather)])).unwrap();
    }
    monitor.report()
}

fn features(report: &MonitorReport) -> Vec<&str> {
    report.alerts.iter().map(|a| &*a.feature).collect()
}

#[test]
fn new_york_raises_alerts_on_wind_and_the_lowest_temperature() {
    for year in ["2012", "2013", "2014", "2015"] {
        let report = lived(RowDependence::Independent, &days("New York", year, year)[..365]);
        let found = features(&report);
        assert!(found.contains(&"wind") && found.contains(&"temp_min"), "{year}: {report}");
        let wind = &report.windows[0].verdict.as_ref().unwrap().features[3];
        assert!(wind.psi > 0.9 && wind.p < 1e-26, "{wind:?}");
        assert!(report.to_string().contains("ALERT wind"), "{report}");
    }
}

/// One that knows that a day is like the day before asks for more evidence, and finds it in the wind, and in the nights
/// that are colder or warmer than any before.
#[test]
fn the_dependence_of_days_hides_neither_the_wind_nor_the_nights() {
    for year in ["2012", "2013", "2014", "2015"] {
        let report = lived(RowDependence::Estimate, &days("New York", year, year)[..365]);
        let found = features(&report);
        assert!(found.contains(&"wind") && found.contains(&"temp_min"), "{year}: {report}");
        let nights = &report.windows[0].verdict.as_ref().unwrap().features[2];
        assert!(nights.out_of_range > 0.2 && nights.p < 1e-9, "{year}: {nights:?}");
        let kind = report.alerts.iter().find(|a| a.feature == "temp_min").map(|a| a.kind);
        assert_eq!(kind, Some(AlertKind::Feature(Finding::OutOfRange)), "{year}: {report}");
    }
}

#[test]
fn a_second_year_in_seattle_raises_none() {
    for block in [RowDependence::Independent, RowDependence::Estimate] {
        let report = lived(block, &days("Seattle", "2015", "2015"));
        assert_eq!((report.windows.len(), report.totals.rows), (1, 365));
        assert!(report.alerts.is_empty(), "{block:?}: {report}\n{:#?}", report.windows[0].shifts);
    }
}
