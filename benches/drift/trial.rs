//! Streams whose truth is known, and what the judge says of them.

#[path = "../../tests/support/random.rs"]
mod random;

use std::sync::Arc;

use random::splitmix64;
use selvedge::drift::{
    AlertEvent, Alerts, Column, Detector, DetectorState, FalseAlarm, FeatureProfile, Judge, Policy, Profile,
    RowDependence, WindowCounts, compare,
};

/// Streams without drift.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) features: usize,
    pub(crate) windows: u64,
    /// Rows per window.
    pub(crate) rows: u64,
    /// Rows of the reference.
    pub(crate) reference: usize,
    /// Correlation of a row with the one before.
    pub(crate) phi: f64,
    pub(crate) block: RowDependence,
    /// Mean number of windows to a false alarm that is asked for.
    pub(crate) asked: f64,
    pub(crate) seed: u64,
}

/// What came of them.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Alerts raised.
    pub(crate) raised: u64,
    /// Alerts that were asked for.
    pub(crate) asked: f64,
    /// Windows in which some feature's PSI was above 0.1.
    pub(crate) psi: u64,
    /// Tests, and those whose p was at or below 1e-2, 1e-3, 1e-4.
    pub(crate) tests: u64,
    pub(crate) below: [u64; 3],
    /// Rows per block that the profile was made with.
    pub(crate) block: u32,
    pub(crate) profile_bytes: usize,
}

impl Outcome {
    /// The interval that holds 95 of 100 counts of such rare events (Poisson, normal approximation).
    pub(crate) fn interval(&self) -> (f64, f64) {
        let half = 1.96 * self.asked.sqrt();
        (self.asked - half, self.asked + half)
    }

    pub(crate) fn as_asked(&self) -> bool {
        let (low, high) = self.interval();
        (low..=high).contains(&(self.raised as f64))
    }
}

pub(crate) fn without_drift(setting: &Setting) -> Outcome {
    let mut streams: Vec<Stream> = (0..setting.features).map(|i| Stream::new(setting, i)).collect();
    let profile = Arc::new(fit(setting, &mut streams));
    let policy = Policy::new(setting.rows, FalseAlarm::windows(setting.asked));
    let mut judge = Judge::new(profile.clone(), policy).unwrap();
    let (mut alerts, mut counts) = (Alerts::new(3), WindowCounts::new(&profile));
    let mut outcome = Outcome {
        raised: 0,
        asked: setting.windows as f64 / setting.asked,
        psi: 0,
        tests: 0,
        below: [0; 3],
        block: profile.block,
        profile_bytes: profile.encode().len(),
    };
    for window in 0..setting.windows {
        counts.rows = setting.rows;
        for (i, (stream, feature)) in streams.iter_mut().zip(&profile.features).enumerate() {
            (0..setting.rows).for_each(|_| counts.add(i, feature.bin(stream.next())));
        }
        let verdict = judge.judge(&counts.close()).unwrap();
        let raised = alerts.observe_verdict(&verdict, window);
        outcome.raised += raised.iter().filter(|c| matches!(c, AlertEvent::Raised(_))).count() as u64;
        outcome.psi += u64::from(verdict.features.iter().any(|f| f.psi > 0.1));
        outcome.tests += verdict.features.len() as u64;
        for (below, level) in outcome.below.iter_mut().zip([1e-2, 1e-3, 1e-4]) {
            *below += verdict.features.iter().filter(|f| f.p <= level).count() as u64;
        }
    }
    outcome
}

fn fit(setting: &Setting, streams: &mut [Stream]) -> Profile {
    let columns: Vec<Vec<f32>> =
        streams.iter_mut().map(|s| (0..setting.reference).map(|_| s.next()).collect()).collect();
    let columns: Vec<Column<'_>> = columns.iter().map(|c| Column::F32(c)).collect();
    let fit = Profile::fit().block(setting.block);
    let fit = (0..setting.features).fold(fit, |fit, i| fit.number(format!("x{i}")));
    fit.of_columns(&columns).unwrap()
}

/// Share of windows of a normal feature, moved by `shift` deviations, whose p is at or below `level`.
pub(crate) fn power(shift: f64, rows: usize, level: f64, trials: u32, seed: u64) -> f64 {
    let mut random = Random(seed);
    let reference: Vec<f32> = (0..100_000).map(|_| random.normal() as f32).collect();
    let profile = Profile::fit().number("x").of_columns(&[Column::F32(&reference)]).unwrap();
    let feature: &FeatureProfile = &profile.features[0];
    let rejected = (0..trials).filter(|_| {
        let mut window = vec![0; feature.bins.len()];
        for _ in 0..rows {
            window[usize::from(feature.bin((random.normal() + shift) as f32))] += 1;
        }
        compare(feature, &window).unwrap().p <= level
    });
    rejected.count() as f64 / f64::from(trials)
}

fn watch(detector: Detector) -> DetectorState {
    detector.watch(0.01).expect("its settings are within their ranges")
}

/// Values until a detector sees a shift of `shift` deviations after `before` steady values, on average over the seeds.
/// One that does not see it in 5,000 values has that delay.
pub(crate) fn delay(detector: Detector, shift: f64, before: u32, seeds: u64) -> f64 {
    let one = |seed| {
        let (mut random, mut watcher) = (Random(seed), watch(detector));
        (0..before).for_each(|_| _ = watcher.update(random.normal()));
        (1..5000).find(|_| watcher.update(random.normal() + shift)).unwrap_or(5000)
    };
    (0..seeds).map(|seed| f64::from(one(seed))).sum::<f64>() / seeds as f64
}

/// Alarms of a detector over so many steady values.
pub(crate) fn alarms(detector: Detector, values: u32, seed: u64) -> u32 {
    let (mut random, mut watcher) = (Random(seed), watch(detector));
    (0..values).map(|_| u32::from(watcher.update(random.normal()))).sum()
}

/// An AR(1) process, shaped by its index: as it is, rounded (few values), cut at 0 (half the values are equal), cubed.
struct Stream {
    random: Random,
    state: f64,
    phi: f64,
    innovation: f64,
    shape: usize,
}

impl Stream {
    fn new(setting: &Setting, i: usize) -> Self {
        let mut random = Random(setting.seed << 32 | i as u64);
        let state = random.bell();
        let innovation = (1.0 - setting.phi * setting.phi).sqrt();
        Self { random, state, phi: setting.phi, innovation, shape: i % 4 }
    }

    fn next(&mut self) -> f32 {
        self.state = self.phi * self.state + self.innovation * self.random.bell();
        let x = self.state as f32;
        match self.shape {
            0 => x,
            1 => (2.0 * x).round(),
            2 => x.max(0.0),
            _ => x * x * x,
        }
    }
}

/// Numbers from a SplitMix64 sequence.
pub(crate) struct Random(pub u64);

impl Random {
    fn bits(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    /// Uniform in (0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Bell-shaped, mean 0 and deviation 1: four 16-bit uniforms of one draw.
    fn bell(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xFFFF).sum();
        (sum as f64 / 65_536.0 - 2.0 + 2.0 / 65_536.0) * 3f64.sqrt()
    }
}
