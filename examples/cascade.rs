//! A cascade: a small model answers what it is sure of, and a costly one the rest.
//!
//! `cargo run --release -p selvedge-examples --example cascade`
//!
//! The small model is `quickstart/rain.onnx`: will it rain tomorrow? In the place of a costly one stands a function that looks
//! the answer up. How sure the small model must be is learned from the days of 2012 and 2013 in New York, so that of all
//! days at most 5 in 100 get a wrong answer from it; the days of 2014 and 2015 show what that was worth.

use std::collections::HashMap;
use std::path::Path;

use selvedge::fake::Fake;
use selvedge::layer::cascade::{Cascade, Check, Threshold, confidence};
use selvedge::layer::probe::Classes;
use selvedge::{Answer, Ask, Options, Tensor, Tensors, open};

const RATE: f64 = 0.05;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("quickstart");
    let small = open(folder.join("rain.onnx"), Options::new().threads(1))?;
    let days = days(&std::fs::read_to_string(folder.join("weather.csv"))?)?;
    let (held_out, asked) = days.split_at(731);

    // Held-out answers: how sure the model was of each, and whether it was right.
    let mut labelled = Vec::new();
    for (weather, rained) in held_out {
        let answer = small.run(request(weather)?)?;
        let sure = confidence(&probe(), &answer).unwrap_or(f32::NAN);
        labelled.push((sure, says_rain(&answer)? == *rained));
    }
    let threshold = Threshold::fit(&labelled, RATE)?;
    println!("{} days with the truth: to be surer than {:.3}", labelled.len(), threshold.above);
    println!("escalations foretold: {:.1} %", 100.0 * threshold.escalated.value);

    let truth: HashMap<[u32; 4], bool> = days.iter().map(|(w, rained)| (w.map(f32::to_bits), *rained)).collect();
    let (inputs, outputs) = (small.spec().inputs.clone(), small.spec().outputs.clone());
    let look_up = move |inputs: &[Option<Tensor>]| {
        let today: Vec<u32> =
            inputs.iter().flatten().flat_map(|x| x.as_slice::<f32>()).flatten().map(|v| v.to_bits()).collect();
        let rained = <[u32; 4]>::try_from(today).is_ok_and(|today| truth.get(&today) == Some(&true));
        Ok(vec![Tensor::new(&[1, 1], vec![f32::from(u8::from(rained))])?])
    };
    let costly = Fake::tensors(inputs, outputs, look_up).name("costly").build();
    let cascade = Cascade::builder().stage(small, [Check::confident(probe(), threshold)]).build(costly)?;

    let mut wrong = 0;
    for (weather, rained) in asked {
        wrong += usize::from(says_rain(&cascade.run(request(weather)?)?)? != *rained);
    }
    let share = |n: u64| 100.0 * n as f64 / asked.len() as f64;
    println!("{} days asked: {:.1} % wrong, at most {:.0} % promised", asked.len(), share(wrong as u64), 100.0 * RATE);
    for stage in cascade.status().stages {
        println!("{}: asked {:.1} %, answered {:.1} %", stage.model, share(stage.asked), share(stage.accepted));
    }
    Ok(())
}

fn probe() -> Classes {
    Classes::of("rain_tomorrow")
}

fn request(weather: &[f32; 4]) -> selvedge::Result<Tensors> {
    Ok(Tensors::from([("weather", Tensor::new(&[1, 4], weather.to_vec())?)]))
}

fn says_rain(answer: &Answer) -> selvedge::Result<bool> {
    Ok(answer.output("rain_tomorrow")?.as_slice::<f32>()?[0] > 0.5)
}

/// The weather of each day in New York, and whether it rained on the next.
fn days(csv: &str) -> Result<Vec<([f32; 4], bool)>, std::num::ParseFloatError> {
    let rows = csv.lines().filter(|line| line.starts_with("New York")).map(|line| line.split(',').collect::<Vec<_>>());
    let weather = |row: Vec<&str>| Ok([row[2].parse()?, row[3].parse()?, row[4].parse()?, row[5].parse()?]);
    let weather: Vec<[f32; 4]> = rows.map(weather).collect::<Result<_, _>>()?;
    Ok(weather.windows(2).map(|pair| (pair[0], pair[1][0] > 0.5)).collect())
}
