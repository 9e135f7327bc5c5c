//! Trained on Seattle, deployed in New York: does the rain model still know the weather?
//!
//! `cargo run --release --example quickstart` needs nothing but cargo and the clone.

use std::collections::BTreeMap;
use std::path::Path;

use selvedge::{Ask, Engine, Options, Result, Tensor, Tensors, open};

/// Precipitation of more than this many millimetres is rain; the model was trained with the same line.
const RAIN_MM: f32 = 0.5;

struct Day {
    city: String,
    date: String,
    /// precipitation \[mm\], highest and lowest temperature \[°C\], wind \[m/s\]
    weather: [f32; 4],
}

#[derive(Default)]
struct Score {
    days: usize,
    rainy: usize,
    right: usize,
    claimed: f32,
}

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let engine = open(folder.join("rain.onnx"), Options::new())?;
    let model = &engine.spec().provenance;
    println!("model   {} ({}, sha256 {:.12}…)", model.model, model.runtime, model.digest.to_string());
    println!("takes   {}", engine.spec().inputs[0]);
    println!("gives   {}\n", engine.spec().outputs[0]);

    let days = days(&std::fs::read_to_string(folder.join("weather.csv")).expect("weather.csv lies beside the model"));
    let rain = predict(&*engine, &days)?;
    let scores = scores(&days, &rain);

    println!("city      year  days  right   always the usual  the model believes");
    for ((city, year), s) in &scores {
        if city == "Seattle" && year != "2015" {
            continue; // it learned from these years
        }
        let percent = |n: f32| 100.0 * n / s.days as f32;
        let usual = percent(s.rainy.max(s.days - s.rainy) as f32);
        let right = percent(s.right as f32);
        let verdict = if right >= usual { "" } else { "  <- worth less than guessing" };
        println!(
            "{city:<8}  {year}  {:>4}  {right:>4.1} %  {usual:>14.1} %  {:>16.1} %{verdict}",
            s.days,
            percent(s.claimed)
        );
    }
    println!("\nNothing in the model's output says that it has left home.");
    Ok(())
}

/// The probability of rain on the day after each day.
fn predict(engine: &dyn Engine, days: &[Day]) -> Result<Vec<f32>> {
    let rows = days.iter().flat_map(|d| d.weather).collect();
    let weather = Tensor::new(&[days.len(), 4], rows)?;
    let answer = engine.run(Tensors::from([("weather", weather)]))?;
    Ok(answer.output("rain_tomorrow")?.as_slice::<f32>()?.to_vec())
}

fn scores(days: &[Day], rain: &[f32]) -> BTreeMap<(String, String), Score> {
    let mut scores: BTreeMap<_, Score> = BTreeMap::new();
    for (i, (today, tomorrow)) in days.iter().zip(&days[1..]).enumerate() {
        if today.city != tomorrow.city {
            continue;
        }
        let score = scores.entry((tomorrow.city.clone(), tomorrow.date[..4].to_string())).or_default();
        let rained = tomorrow.weather[0] > RAIN_MM;
        score.days += 1;
        score.rainy += usize::from(rained);
        score.right += usize::from((rain[i] > 0.5) == rained);
        score.claimed += rain[i].max(1.0 - rain[i]);
    }
    scores
}

fn days(csv: &str) -> Vec<Day> {
    let day = |line: &str| {
        let column: Vec<&str> = line.split(',').collect();
        let number = |i: usize| column[i].parse().expect("weather.csv holds numbers here");
        Day { city: column[0].into(), date: column[1].into(), weather: [2, 3, 4, 5].map(number) }
    };
    csv.lines().skip(1).map(day).collect()
}
