//! Memory of a monitor: what a batch has carried away is not forgotten at the next start.

use selvedge::drift::Persistence;
use selvedge::layer::monitor::{Monitor, Reference};
use selvedge::layer::probe::Columns;
use selvedge::sync::{Outbox, OutboxOptions};
use selvedge::telemetry::{AlertRecord, Cursor, Record, Telemetry};
use tempfile::TempDir;

use crate::{COLUMNS, Noise, ask, echo, folder, open, profile};

const WINDOW: u64 = 200;

fn monitor(telemetry: &Telemetry) -> Monitor {
    Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS))
        .profile(profile())
        .persistence(Persistence::TWO_OF_THREE)
        .window(WINDOW)
        .build()
        .unwrap()
}

/// A window of answers; with a dead sensor, or not.
fn answer(monitor: &Monitor, noise: &mut Noise, is_dead: bool) {
    for _ in 0..WINDOW {
        let [level, flow] = noise.row();
        ask(monitor, [level, if is_dead { 0.0 } else { flow }], 0);
    }
}

/// Posts all there is, and leaves nothing to be sent. Gives the alerts that were posted.
fn sync(telemetry: &Telemetry, folder: &TempDir) -> Vec<AlertRecord> {
    let unsent = telemetry.read(Cursor::start(), usize::MAX);
    let mut outbox = Outbox::open(telemetry, folder.path(), OutboxOptions::new("test")).unwrap();
    while let Some(batch) = outbox.next_batch(1 << 20).unwrap() {
        outbox.ack(&batch).unwrap();
    }
    if let Some((last, _)) = unsent.last() {
        telemetry.ack(*last).unwrap();
    }
    assert_eq!(telemetry.status().unacked, 0);
    let alerts = unsent.into_iter().filter_map(|(_, record)| match record {
        Record::Alert(alert) => Some(alert),
        _ => None,
    });
    alerts.collect()
}

#[test]
fn a_restart_after_a_sync_goes_on_where_it_was() {
    let (folder, telemetry) = folder();
    let mut noise = Noise(11);
    let before = {
        let monitor = monitor(&telemetry);
        (0..2).for_each(|_| answer(&monitor, &mut noise, false));
        (0..3).for_each(|_| answer(&monitor, &mut noise, true));
        monitor.report()
    };
    assert_eq!((before.alerts.len(), before.totals.windows), (1, 5), "{before}");
    assert_eq!(sync(&telemetry, &folder).len(), 1);
    drop(telemetry);
    // A life in which nothing happens, and what it says is posted too.
    let telemetry = open(&folder);
    drop(monitor(&telemetry));
    assert_eq!(sync(&telemetry, &folder), []);
    drop(telemetry);

    let telemetry = open(&folder);
    let monitor = monitor(&telemetry);
    let after = monitor.report();
    let named = |report: &selvedge::layer::monitor::MonitorReport| -> Vec<_> {
        report.alerts.iter().map(|a| (a.kind, a.feature.clone(), a.since)).collect()
    };
    assert_eq!((after.totals, named(&after)), (before.totals, named(&before)));
    let indices = |report: &selvedge::layer::monitor::MonitorReport| -> Vec<u64> {
        report.windows.iter().map(|w| w.window.index).collect()
    };
    assert_eq!(indices(&after), indices(&before));
    // The model is announced again: whoever received it may have lost it.
    let unsent = telemetry.read(Cursor::start(), usize::MAX);
    assert!(unsent.iter().any(|(_, r)| matches!(r, Record::Model(_))), "{unsent:?}");

    // It stands, so it is not raised again; and when it is over, that is reported.
    answer(&monitor, &mut noise, true);
    (0..3).for_each(|_| answer(&monitor, &mut noise, false));
    assert!(monitor.alerts().is_empty());
    assert_eq!(monitor.report().windows.last().map(|w| w.window.index), Some(8));
    let posted = sync(&telemetry, &folder);
    let posted: Vec<_> = posted.iter().map(|a| (a.raised, a.feature.as_deref())).collect();
    assert_eq!(posted, [(false, Some("flow"))]);
}

/// A window per life, and a sync after each.
#[test]
fn short_lives_raise_one_alert_and_clear_it() {
    let (folder, telemetry) = folder();
    drop(telemetry);
    let mut noise = Noise(12);
    let mut life = |is_dead| {
        let telemetry = open(&folder);
        let monitor = monitor(&telemetry);
        let found: Vec<String> = monitor.alerts().into_iter().map(|a| a.feature).collect();
        answer(&monitor, &mut noise, is_dead);
        let posted: Vec<bool> = sync(&telemetry, &folder).iter().map(|a| a.raised).collect();
        (found, posted)
    };
    let (none, flow) = (Vec::new(), vec!["flow".to_owned()]);
    assert_eq!(life(true), (none.clone(), vec![]));
    assert_eq!(life(true), (none.clone(), vec![true]));
    for _ in 0..4 {
        assert_eq!(life(true), (flow.clone(), vec![]));
    }
    // Three calm windows, each in a life of its own.
    assert_eq!(life(false), (flow.clone(), vec![]));
    assert_eq!(life(false), (flow.clone(), vec![]));
    assert_eq!(life(false), (flow, vec![false]));
    assert_eq!(life(false), (none, vec![]));
}

/// A process that was killed between a window and what it says of an alert: the next calm windows say it.
#[test]
fn a_clear_that_a_kill_prevented_is_reported_later() {
    let (folder, telemetry) = folder();
    let mut noise = Noise(13);
    {
        let monitor = monitor(&telemetry);
        (0..2).for_each(|_| answer(&monitor, &mut noise, true));
        assert_eq!(monitor.alerts().len(), 1);
    }
    // Calm windows that nobody has drawn a conclusion from.
    let quiet = {
        let (_other, telemetry) = crate::folder();
        let monitor = monitor(&telemetry);
        (0..3).for_each(|_| answer(&monitor, &mut noise, false));
        monitor.windows()
    };
    for (i, summary) in quiet.into_iter().enumerate() {
        let window = selvedge::telemetry::Window { index: 2 + i as u64, ..summary.window };
        telemetry.seal(&Record::Window(window)).unwrap();
    }
    sync(&telemetry, &folder);
    drop(telemetry);
    let telemetry = open(&folder);
    let monitor = monitor(&telemetry);
    assert_eq!(monitor.alerts().len(), 1);
    (0..3).for_each(|_| answer(&monitor, &mut noise, false));
    assert!(monitor.alerts().is_empty());
    assert_eq!(sync(&telemetry, &folder).iter().map(|a| a.raised).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_learned_profile_is_found_again_after_a_sync() {
    let (folder, telemetry) = folder();
    let learner = |telemetry: &Telemetry| {
        Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS))
            .window(256)
            .learn(4)
            .build()
            .unwrap()
    };
    let mut noise = Noise(4);
    let monitor = learner(&telemetry);
    (0..1024).for_each(|_| ask(&monitor, noise.row(), 0));
    let profile = monitor.profile().expect("learned");
    drop(monitor);
    sync(&telemetry, &folder);
    drop(telemetry);
    // It is announced anew at each start, and so outlives what gives way.
    for _ in 0..3 {
        let telemetry = open(&folder);
        let again = learner(&telemetry);
        assert_eq!(again.report().reference, Reference::Learned);
        assert_eq!(again.profile().unwrap(), profile);
        sync(&telemetry, &folder);
    }
}
