//! A kill at any moment costs at most the record in flight.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use selvedge::drift::{FalseAlarm, Profile, Row};
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Columns, Embeddings, Probe};
use selvedge::telemetry::{Durability, Limits, Telemetry};

use crate::{COLUMNS, Noise, ask, echo, profile};

const DIR: &str = "SELVEDGE_MONITOR_TEST_DIR";
const FROM: &str = "SELVEDGE_MONITOR_TEST_FROM";
const SEED: &str = "SELVEDGE_MONITOR_TEST_SEED";
const WINDOW: u64 = 200;

fn monitor(dir: &Path) -> Monitor {
    watching(dir, Columns::of("x", COLUMNS), profile())
}

/// Takes the row for its embedding, beside the columns.
fn embedder(dir: &Path) -> Monitor {
    let mut noise = Noise(7);
    let rows: Vec<[f32; 2]> = (0..5000).map(|_| noise.row()).collect();
    let fit = COLUMNS.iter().fold(Profile::fit().embedding(2), |fit, name| fit.number(*name));
    let profile = fit.stream(|sink| {
        rows.iter().try_for_each(|row| sink(&Row::new(&row.map(selvedge::drift::CellValue::Number)).embedding(row)))
    });
    watching(dir, All::new().and(Columns::of("x", COLUMNS)).and(Embeddings::of("y")), profile.unwrap())
}

fn watching(dir: &Path, probe: impl Probe + 'static, profile: Profile) -> Monitor {
    let telemetry = Telemetry::open(dir, Limits::default().durability(Durability::Process));
    // How many rows there are depends on when a child is killed: no luck of theirs may raise an alert.
    let rare = FalseAlarm::windows(1e6);
    let builder = Monitor::builder(echo().build(), telemetry, probe).profile(profile);
    builder.window(WINDOW).false_alarm(rare).build().unwrap()
}

#[test]
#[ignore = "the child of the next tests"]
fn child() {
    answer_until_killed(monitor);
}

#[test]
#[ignore = "the child of the last test"]
fn embedding_child() {
    answer_until_killed(embedder);
}

/// Says after each answer how many there were in this life.
fn answer_until_killed(monitor: fn(&Path) -> Monitor) {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dead_from: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    let monitor = monitor(Path::new(&dir));
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let (mut noise, mut out) = (Noise(seed), std::io::stdout());
    writeln!(out, "\nbegun").unwrap();
    for call in 1.. {
        let [level, flow] = noise.row();
        // From some call on, a sensor is broken.
        ask(&monitor, [level, if call > dead_from { 0.0 } else { flow }], 0);
        writeln!(out, "{call}").unwrap();
    }
}

/// Lets a child answer until it was heard to have done `calls`, kills it, and gives the number of its last answer.
fn life(child: &str, dir: &Path, seed: u64, calls: u64, dead_from: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("surviving::{child}"), "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(FROM, dead_from.to_string())
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while last < calls {
        last = lines.next().expect("it goes on until it is killed").unwrap().parse().unwrap_or(last);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The last line may be cut.
    lines.map_while(Result::ok).filter_map(|line| line.parse().ok()).fold(last, u64::max)
}

#[test]
fn a_killed_process_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (mut confirmed, mut lives) = (0, 0);
    // The kill falls anywhere in a window.
    for (seed, calls) in (100..).zip([50, 333, 420, 777, 130, 1]) {
        // Each life has rows of its own: the same ones again would be no sample of the profile's.
        confirmed += life("child", dir.path(), seed, calls, u64::MAX);
        lives += 1;
        let seen = {
            let monitor = monitor(dir.path());
            let report = monitor.report();
            assert!(report.alerts.is_empty(), "{report}");
            assert!(report.telemetry.quarantined == 0 && report.telemetry.dropped.is_empty(), "{report:?}");
            assert!(report.windows.iter().all(|w| w.window.rows == WINDOW), "{report}");
            let indices: Vec<u64> = report.windows.iter().map(|w| w.window.index).collect();
            let first = report.totals.windows - indices.len() as u64;
            assert_eq!(indices, (first..report.totals.windows).collect::<Vec<_>>());
            report.totals.rows + report.in_progress
        };
        // Recorded before it was confirmed; the answer that it could not confirm any more may count or not.
        assert!(
            seen >= confirmed && seen <= confirmed + lives,
            "after {lives} kills: {confirmed} answers were confirmed, {seen} are there"
        );
        confirmed = seen.min(confirmed + lives);
        lives = 0;
    }
}

#[test]
fn an_alert_outlives_the_process_and_is_not_raised_again() {
    let dir = tempfile::tempdir().unwrap();
    life("child", dir.path(), 6, 5 * WINDOW + 10, 2 * WINDOW);
    for _ in 0..2 {
        let monitor = monitor(dir.path());
        let alerts = monitor.alerts();
        assert_eq!(alerts.iter().map(|a| &*a.feature).collect::<Vec<_>>(), ["flow"]);
        let mut noise = Noise(8);
        (0..WINDOW).for_each(|_| ask(&monitor, [noise.row()[0], 0.0], 0));
    }
    let telemetry = Telemetry::open(dir.path(), Limits::default());
    let alerts = telemetry.read(selvedge::telemetry::Cursor::start(), usize::MAX);
    let raised = alerts.iter().filter(|(_, r)| matches!(r, selvedge::telemetry::Record::Alert(_))).count();
    assert_eq!(raised, 1);
}

/// The window in progress included: each row's signs lie in its record.
#[test]
fn embeddings_survive_with_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (mut seen, mut expected) = (0, vec![0; 128]);
    for calls in [50, 333, 130] {
        let confirmed = life("embedding_child", dir.path(), 6, calls, u64::MAX);
        let monitor = embedder(dir.path());
        let report = monitor.report();
        let now = report.totals.rows + report.in_progress;
        assert!(
            now - seen >= confirmed && now - seen <= confirmed + 1,
            "{confirmed} were confirmed, {} are there",
            now - seen
        );
        let profile = monitor.profile().unwrap();
        let fourier = &profile.embedding.as_ref().unwrap().fourier;
        let mut noise = Noise(6);
        for _ in seen..now {
            let signs = fourier.signs(&noise.row()).unwrap();
            expected.iter_mut().enumerate().for_each(|(j, n)| *n += u64::from(signs[j / 8] >> (j % 8) & 1));
        }
        seen = now;
    }
    let monitor = embedder(dir.path());
    monitor.close_window();
    let windows = monitor.windows();
    assert!(
        windows.iter().all(|w| w.window.embedded == w.window.rows && w.verdict.as_ref().unwrap().embedding.is_some())
    );
    let sum = |j: usize| windows.iter().map(|w| w.window.embedding[j]).sum::<u64>();
    assert_eq!((windows.iter().map(|w| w.window.embedded).sum::<u64>(), (0..128).map(sum).collect()), (seen, expected));
    // The next process has them from the log, and judges them alike.
    let judged = |windows: &[selvedge::layer::monitor::Summary]| -> Vec<_> {
        let mmd2 = |w: &selvedge::layer::monitor::Summary| w.verdict.as_ref().unwrap().embedding.unwrap().mmd2;
        windows.iter().map(|w| (w.window.index, w.window.embedding.clone(), mmd2(w))).collect()
    };
    drop(monitor);
    assert_eq!(judged(&embedder(dir.path()).windows()), judged(&windows));
}
