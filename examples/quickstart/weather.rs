//! The days of two cities, and how well they were foretold.

use std::path::Path;

/// Precipitation of more than this many millimetres is rain; the model was trained with the same line.
pub(crate) const RAIN_MM: f32 = 0.5;
/// The model's columns: precipitation \[mm\], highest and lowest temperature \[°C\], wind \[m/s\].
pub(crate) const COLUMNS: [&str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];

#[derive(Clone)]
pub(crate) struct Day {
    pub(crate) city: String,
    pub(crate) date: String,
    pub(crate) weather: [f32; 4],
}

impl Day {
    pub(crate) fn year(&self) -> &str {
        &self.date[..4]
    }
}

/// All days, city by city in the order of time.
pub(crate) fn read(csv: &Path) -> Vec<Day> {
    let text = std::fs::read_to_string(csv).expect("weather.csv lies beside the model");
    let day = |line: &str| {
        let column: Vec<&str> = line.split(',').collect();
        let number = |i: usize| column[i].parse().expect("weather.csv holds numbers here");
        Day { city: column[0].into(), date: column[1].into(), weather: [2, 3, 4, 5].map(number) }
    };
    text.lines().skip(1).map(day).collect()
}

pub(crate) fn io(path: &Path, e: std::io::Error) -> selvedge::Error {
    selvedge::Error::new(selvedge::Code::Io, format!("{}: {e}", path.display()))
}

#[derive(Default)]
pub(crate) struct Score {
    pub(crate) days: usize,
    rainy: usize,
    right: usize,
    claimed: f32,
}

impl Score {
    pub(crate) fn add(&mut self, rain: f32, rained: bool) {
        self.days += 1;
        self.rainy += usize::from(rained);
        self.right += usize::from((rain > 0.5) == rained);
        self.claimed += rain.max(1.0 - rain);
    }

    /// The share of right answers.
    pub(crate) fn right(&self) -> f32 {
        self.right as f32 / self.days as f32
    }

    /// What always foretelling the more frequent weather would have got right.
    pub(crate) fn usual(&self) -> f32 {
        self.rainy.max(self.days - self.rainy) as f32 / self.days as f32
    }

    /// What the model expects to get right.
    pub(crate) fn claimed(&self) -> f32 {
        self.claimed / self.days as f32
    }
}
