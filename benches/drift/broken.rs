//! Features that break: rows until the alert, and the alerts of streams in which nothing does.

use std::fmt::Write as _;
use std::sync::Arc;

use selvedge::drift::{
    AlertEvent, AlertKind, Alerts, CellValue, FalseAlarm, Finding, Judge, Learner, Policy, Profile, Row, RowDependence,
    WindowCounts,
};

use super::trial::Random;

/// A table in time order.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<f32>>,
    /// Columns whose process is its own mirror image about zero, by how they are made.
    pub(crate) symmetric: &'static [&'static str],
}

impl Table {
    /// The days of a city, four years of them.
    pub(crate) fn weather(city: &'static str) -> Self {
        let csv = include_str!("../../examples/quickstart/weather.csv");
        let day = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0] == city).then(|| [2, 3, 4, 5].map(|i| cells[i].parse().unwrap_or(f32::NAN)).to_vec())
        };
        let rows = csv.lines().skip(1).filter_map(day).collect();
        Self { name: city, columns: vec!["precipitation", "temp_max", "temp_min", "wind"], rows, symmetric: &[] }
    }

    /// Temperatures by the hour: days, years and weather.
    pub(crate) fn hourly(rows: usize, seed: u64) -> Self {
        let (mut random, mut weather) = (Random(seed), 0.0);
        let hour = |i: usize| {
            let turn = |period: f64| (std::f64::consts::TAU * i as f64 / period).sin();
            weather = 0.98 * weather + 0.2 * random.normal() * 3.0;
            let celsius = 11.0 + 4.0 * turn(24.0) + 7.0 * turn(8766.0) + weather;
            vec![((celsius * 10.0).round() / 10.0) as f32]
        };
        Self { name: "hourly", columns: vec!["temperature"], rows: (0..rows).map(hour).collect(), symmetric: &[] }
    }

    /// A process in which each row has the correlation `phi` with the one before. It is linear, and what drives it
    /// symmetric: with each sign turned it is the same process, and so it is rounded, halves away from zero.
    pub(crate) fn ar1(rows: usize, phi: f64, seed: u64) -> Self {
        let (mut random, mut x) = (Random(seed), 0.0);
        let row = |_| {
            x = phi * x + (1.0 - phi * phi).sqrt() * random.normal();
            vec![x as f32, (2.0 * x).round() as f32, x.max(0.0) as f32, 20.0 + x as f32]
        };
        Self {
            name: "AR(1)",
            columns: vec!["normal", "rounded", "cut", "level"],
            rows: (0..rows).map(row).collect(),
            symmetric: &["normal", "rounded"],
        }
    }

    /// The same rows without their order.
    pub(crate) fn shuffled(mut self, seed: u64) -> Self {
        let mut random = Random(seed);
        for i in (1..self.rows.len()).rev() {
            self.rows.swap(i, (random.unit() * (i + 1) as f64) as usize);
        }
        self
    }

    /// As many rows, in blocks of `block` that follow each other as chance will have it.
    pub(crate) fn resampled(&self, rows: usize, block: usize, random: &mut Random) -> Vec<Vec<f32>> {
        let mut drawn = Vec::with_capacity(rows + block);
        while drawn.len() < rows {
            let at = (random.unit() * (self.rows.len() - block + 1) as f64) as usize;
            drawn.extend_from_slice(&self.rows[at..at + block]);
        }
        drawn.truncate(rows);
        drawn
    }

    pub(crate) fn given(&self, rows: &[Vec<f32>], dependence: RowDependence) -> Arc<Profile> {
        let fit = self.columns.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
        Arc::new(fit.block(dependence).of_rows(rows).expect("a table has rows"))
    }

    /// As a monitor learns one from the first rows.
    pub(crate) fn learned(&self, rows: &[Vec<f32>]) -> Arc<Profile> {
        let fit = self.columns.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
        let mut learner = Learner::new(fit.block(RowDependence::Estimate), rows.len() as u64);
        let learn = |row: &Vec<f32>| {
            let values: Vec<CellValue<'_>> = row.iter().map(|v| CellValue::Number(*v)).collect();
            learner.push(&Row::new(&values)).expect("a row of the table")
        };
        Arc::new(rows.iter().find_map(learn).expect("rows enough"))
    }
}

/// The ways in which a feature breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Break {
    Stuck,
    Missing,
    Zero,
    OutOfRange,
    Sign,
    Scale,
}

impl Break {
    pub(crate) const ALL: [Self; 6] =
        [Self::Stuck, Self::Missing, Self::Zero, Self::OutOfRange, Self::Sign, Self::Scale];

    /// What becomes of a value; `last` is the one before the break, `range` that of the reference.
    fn of(self, value: f32, last: f32, range: (f32, f32)) -> f32 {
        match self {
            Self::Stuck => last,
            Self::Missing => f32::NAN,
            Self::Zero => 0.0,
            Self::OutOfRange => range.1 + (range.1 - range.0) + 1.0,
            Self::Sign => -value,
            Self::Scale => 10.0 * value,
        }
    }
}

/// Rows until an alert on the feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Delay {
    Rows(u64, Finding),
    /// The break changes nothing: what it makes of the process is the process.
    NoChange,
    Never,
}

/// No delay is longer.
const PATIENCE: u64 = 40_000;

/// Rows until the judge raises an alert on the feature that breaks, in windows of `window` rows, at the default policy.
/// `table` goes on after the first `reference` rows, and begins anew at its end.
pub(crate) fn delay(
    table: &Table,
    profile: &Arc<Profile>,
    reference: usize,
    feature: usize,
    how: Break,
    window: u64,
) -> Delay {
    if how == Break::Sign && table.symmetric.contains(&table.columns[feature]) {
        return Delay::NoChange;
    }
    let policy = Policy::new(window, FalseAlarm::windows(10_000.0));
    let mut judge = Judge::new(profile.clone(), policy).expect("a policy");
    let (mut alerts, mut counts) = (Alerts::new(3), WindowCounts::new(profile));
    let moments = profile.features[feature].moments.expect("numbers");
    let last = table.rows[reference - 1][feature];
    for (row, values) in (1..=PATIENCE).zip(table.rows.iter().cycle().skip(reference)) {
        let broken = |(i, v): (usize, &f32)| {
            let v = if i == feature { how.of(*v, last, (moments.min, moments.max)) } else { *v };
            profile.features[i].bin(v)
        };
        let bins: Vec<u8> = values.iter().enumerate().map(broken).collect();
        counts.add_row(&bins);
        if counts.rows < window {
            continue;
        }
        let verdict = judge.judge(&counts.close()).expect("counts of the profile");
        for change in alerts.observe_verdict(&verdict, row) {
            if let AlertEvent::Raised(alert) = change
                && alert.feature == table.columns[feature]
                && let AlertKind::Feature(finding) = alert.kind
            {
                return Delay::Rows(row, finding);
            }
        }
    }
    Delay::Never
}

/// The table of delays: a line per feature, a column per way to break. Names the cells in which it is never seen.
pub(crate) fn delays(table: &Table, profile: &Arc<Profile>, reference: usize, window: u64) -> (String, Vec<String>) {
    let (mut lines, mut never) = (String::new(), Vec::new());
    for (feature, name) in table.columns.iter().enumerate() {
        let _ = write!(lines, "{name}");
        for how in Break::ALL {
            let _ = match delay(table, profile, reference, feature, how, window) {
                Delay::Rows(rows, _) => write!(lines, " | {rows}"),
                Delay::NoChange => write!(lines, " | ="),
                Delay::Never => {
                    never.push(format!("{} {name} {how:?}, windows of {window}", table.name));
                    write!(lines, " | never")
                }
            };
        }
        lines.push('\n');
    }
    (lines, never)
}

/// Streams in which nothing breaks.
#[derive(Clone, Copy)]
pub(crate) struct Calm {
    /// Rows of the reference, of a window, and of a block that is drawn.
    pub(crate) reference: usize,
    pub(crate) window: u64,
    pub(crate) block: usize,
    pub(crate) windows: u64,
    pub(crate) streams: u64,
    /// Mean number of windows to a false alarm that is asked for.
    pub(crate) asked: f64,
    pub(crate) dependence: RowDependence,
}

/// What calm streams raised: alerts by the windows themselves, and by what they show together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Raised {
    pub(crate) alone: u64,
    pub(crate) together: u64,
    /// Streams with any alert, and with one by what windows show together.
    pub(crate) streams: u64,
    pub(crate) streams_together: u64,
}

/// A reference and a stream for each seed, both drawn from the table in blocks: what follows is as what was before.
pub(crate) fn calm(table: &Table, calm: &Calm) -> Raised {
    let mut raised = Raised::default();
    for stream in 0..calm.streams {
        let mut random = Random(0xCA1 << 32 | stream);
        let profile = table.given(&table.resampled(calm.reference, calm.block, &mut random), calm.dependence);
        let policy = Policy::new(calm.window, FalseAlarm::windows(calm.asked));
        let mut judge = Judge::new(profile.clone(), policy).expect("a policy");
        let (mut alerts, mut counts) = (Alerts::new(3), WindowCounts::new(&profile));
        let rows = table.resampled((calm.windows * calm.window) as usize, calm.block, &mut random);
        let (before, together) = (raised.alone + raised.together, raised.together);
        for (at, window) in rows.chunks(calm.window as usize).enumerate() {
            for row in window {
                let bins: Vec<u8> = row.iter().zip(&profile.features).map(|(v, f)| f.bin(*v)).collect();
                counts.add_row(&bins);
            }
            let verdict = judge.judge(&counts.close()).expect("counts of the profile");
            for change in alerts.observe_verdict(&verdict, at as u64) {
                let AlertEvent::Raised(alert) = change else { continue };
                let drift = verdict.features.iter().find(|f| f.name == alert.feature);
                match drift.and_then(|f| f.accumulated) {
                    Some(_) => raised.together += 1,
                    None => raised.alone += 1,
                }
            }
        }
        raised.streams += u64::from(raised.alone + raised.together > before);
        raised.streams_together += u64::from(raised.together > together);
    }
    raised
}
