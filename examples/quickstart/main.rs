//! Trained on Seattle, deployed in New York: does the rain model still know the weather?
//!
//! `cargo run --release -p quickstart` needs nothing but cargo and the clone.

mod crash;
mod rollout;
mod weather;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use selvedge::drift::{AlertEvent, FalseAlarm, Persistence, Profile, RowDependence};
use selvedge::layer::monitor::{Label, Monitor};
use selvedge::layer::probe::{All, Classes, Columns};
use selvedge::report::Story;
use selvedge::sync::{Outbox, OutboxOptions};
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, Call, Engine, Options, Result, Tensor, Tensors, open};
use weather::{COLUMNS, Day, RAIN_MM, Score, io};

fn main() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(folder) = crash::start() {
        return crash::die(here, &folder);
    }
    let engine = open(here.join("rain.onnx"), Options::new())?;
    let model = &engine.spec().provenance;
    println!("model     {} ({}, sha256 {:.12}…)", model.model, model.runtime, model.digest.to_string());
    println!("takes     {}", engine.spec().inputs[0]);
    println!("gives     {}", engine.spec().outputs[0]);

    let days = weather::read(&here.join("weather.csv"));
    let profile = profile(&*engine, &days)?;
    println!("made for  Seattle 2012 to 2014, {} days: a profile of {} bytes\n", profile.rows, profile.encode().len());

    let folder = here.ancestors().nth(2).unwrap_or(here).join("target/quickstart");
    let _ = fs::remove_dir_all(&folder); // of an earlier run
    let telemetry = Telemetry::open(folder.join("telemetry"), Limits::default());
    let monitor = watched(engine, telemetry.clone(), profile)?;

    let home: Vec<Day> = days.iter().filter(|d| d.city == "Seattle" && d.year() >= "2015").cloned().collect();
    let away: Vec<Day> = days.iter().filter(|d| d.city == "New York").cloned().collect();
    let mut scores = BTreeMap::new();
    println!("A second year at home.");
    live(&monitor, &home, 1, &mut scores)?;
    println!("  {} alerts\n\nThe model moves.", monitor.alerts().len());
    live(&monitor, &away, 1 + home.len() as u64, &mut scores)?;

    table(&scores);
    println!("\nNothing in the model's output says that it has left home. Its monitor does:\n\n{}", monitor.report());

    let mut outbox = Outbox::open(&telemetry, folder.join("telemetry"), OutboxOptions::new("quickstart"))?;
    if let Some(batch) = outbox.next_batch(1 << 20)? {
        let bytes = batch.metrics.len() + batch.logs.len();
        println!(
            "to post   {bytes} bytes ({} points, {} logs), when there is a network",
            batch.points, batch.log_records
        );
    }
    let page = folder.join("report.html");
    fs::write(&page, Story::read(&folder.join("telemetry"))?.html()).map_err(|e| io(&page, e))?;
    println!("to read   {}", page.display());

    let later: Vec<Day> = away.iter().filter(|day| day.year() >= "2014").cloned().collect();
    println!("\nWhat a fleet does about it:\n");
    rollout::act(here, &folder, &later)
}

/// What the model was made for. Days are in the order of time, and a day is like the day before: the thresholds know.
fn profile(engine: &dyn Engine, days: &[Day]) -> Result<Profile> {
    let home = days.iter().filter(|d| d.city == "Seattle" && d.year() < "2015");
    let rows: Vec<[f32; 4]> = home.map(|d| d.weather).collect();
    let fit = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
    fit.bins(8).block(RowDependence::Estimate).model(engine.spec().provenance.digest.0).of_rows(&rows)
}

fn watched(engine: Arc<dyn Engine>, telemetry: Telemetry, profile: Profile) -> Result<Monitor> {
    let probe = All::new().and(Columns::of("weather", COLUMNS)).and(Classes::of("rain_tomorrow"));
    Monitor::builder(engine, telemetry, probe)
        .profile(profile)
        // One answer a day: a window is a year, and one year is enough.
        .window(365)
        .persistence(Persistence::new(1, 1)?)
        .false_alarm(FalseAlarm::windows(1000.0))
        .on_alert(|change| match change {
            AlertEvent::Raised(alert) => println!("  ALERT {}: {}", alert.feature, alert.kind.name()),
            AlertEvent::Cleared { alert, .. } => println!("  over: {}", alert.feature),
            _ => {}
        })
        .build()
}

/// Asks every day about tomorrow, and tells the model tomorrow whether it was right.
fn live(monitor: &Monitor, days: &[Day], first_id: u64, scores: &mut BTreeMap<(String, String), Score>) -> Result<()> {
    for (id, (today, tomorrow)) in (first_id..).zip(days.iter().zip(days.iter().skip(1).chain(days.last()))) {
        let weather = Tensor::new(&[1, 4], today.weather.to_vec())?;
        let answer = monitor.run_with(Tensors::from([("weather", weather)]), Call::new().id(id))?;
        let rain = answer.output("rain_tomorrow")?.as_slice::<f32>()?[0];
        if today.date == tomorrow.date {
            continue; // the last day has no tomorrow
        }
        let rained = tomorrow.weather[0] > RAIN_MM;
        monitor.feedback(id, Label::Class(rained.into()))?;
        scores.entry((today.city.clone(), tomorrow.year().into())).or_default().add(rain, rained);
    }
    Ok(())
}

fn table(scores: &BTreeMap<(String, String), Score>) {
    println!("\ncity      year  days  right   always the usual  the model believes");
    for ((city, year), score) in scores {
        let [right, usual, claimed] = [score.right(), score.usual(), score.claimed()].map(|share| share * 100.0);
        let verdict = if right >= usual { "" } else { "  <- worth less than guessing" };
        println!("{city:<8}  {year}  {:>4}  {right:>4.1} %  {usual:>14.1} %  {claimed:>16.1} %{verdict}", score.days);
    }
}
