//! Alerts are told in the order in which they came about: what is over was raised before.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use selvedge::drift::{AlertEvent, Persistence};
use selvedge::layer::monitor::{Monitor, MonitorBuilder};
use selvedge::layer::probe::Columns;
use selvedge::telemetry::{Cursor, Record, Telemetry};

use crate::{COLUMNS, Noise, ask, echo, folder, open, profile};

const WINDOW: u64 = 128;
const WATCHDOG: Duration = Duration::from_secs(60);

/// One window raises an alert, and one calm window clears it.
fn builder(telemetry: &Telemetry) -> MonitorBuilder {
    let builder = Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS));
    builder.profile(profile()).window(WINDOW).persistence(Persistence::new(1, 1).unwrap()).calm(1)
}

/// A window in which both sensors are dead, or none.
fn answer(monitor: &Monitor, noise: &mut Noise, dead: bool) {
    (0..WINDOW).for_each(|_| ask(monitor, if dead { [0.0; 2] } else { noise.row() }, 0));
}

type Told = Arc<Mutex<Vec<(bool, String)>>>;

fn note(told: &Told, change: &AlertEvent) {
    told.lock().unwrap().push(match change {
        AlertEvent::Cleared { alert, .. } => (false, alert.feature.clone()),
        AlertEvent::Raised(alert) => (true, alert.feature.clone()),
        _ => return,
    });
}

/// Each alert is raised, then cleared, then perhaps raised again.
fn check(told: &[(bool, String)]) {
    let mut standing = BTreeSet::new();
    for (i, (raised, feature)) in told.iter().enumerate() {
        let changed = if *raised { standing.insert(feature) } else { standing.remove(feature) };
        assert!(changed, "{i}: {told:?}");
    }
}

/// A thread stands in the first of two calls, and another one clears both alerts meanwhile.
#[test]
fn what_is_over_waits_for_what_was_raised() {
    let (_folder, telemetry) = folder();
    let told = Told::default();
    let (arrived, at_the_call): (Sender<()>, Receiver<()>) = channel();
    let (go, gate): (Sender<()>, Receiver<()>) = channel();
    let (ear, gate) = (told.clone(), Mutex::new(gate));
    let monitor = builder(&telemetry)
        .on_alert(move |change| {
            note(&ear, change);
            if ear.lock().unwrap().len() == 1 {
                arrived.send(()).unwrap();
                gate.lock().unwrap().recv_timeout(WATCHDOG).unwrap();
            }
        })
        .build()
        .unwrap();
    let stuck = monitor.clone();
    let raising = thread::spawn(move || answer(&stuck, &mut Noise(1), true));
    at_the_call.recv_timeout(WATCHDOG).unwrap();
    let mut noise = Noise(2);
    while !monitor.alerts().is_empty() {
        answer(&monitor, &mut noise, false);
    }
    // Nobody waits for the callback, and nothing overtakes it.
    assert_eq!(told.lock().unwrap().len(), 1);
    go.send(()).unwrap();
    raising.join().unwrap();
    let told = told.lock().unwrap().clone();
    let raised: Vec<bool> = told.iter().map(|(raised, _)| *raised).collect();
    assert_eq!(raised, [true, true, false, false], "{told:?}");
    check(&told);
}

#[test]
fn threads_tell_alerts_in_the_order_of_the_log() {
    let (_folder, telemetry) = folder();
    let told = Told::default();
    let ear = told.clone();
    let monitor = builder(&telemetry)
        .on_alert(move |change| {
            thread::sleep(Duration::from_micros(300));
            note(&ear, change);
        })
        .build()
        .unwrap();
    let rounds = Barrier::new(4);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (monitor, rounds) = (&monitor, &rounds);
            scope.spawn(move || {
                let mut noise = Noise(seed);
                for round in 0..40 {
                    rounds.wait();
                    answer(monitor, &mut noise, round % 2 == 0);
                    monitor.close_window();
                }
            });
        }
    });
    let told = told.lock().unwrap().clone();
    let log: Vec<(bool, String)> = telemetry
        .read(Cursor::start(), usize::MAX)
        .into_iter()
        .filter_map(|(_, record)| match record {
            Record::Alert(alert) => Some((alert.raised, alert.feature.unwrap_or_default())),
            _ => None,
        })
        .collect();
    assert!(told.len() > 4, "{told:?}");
    check(&told);
    assert_eq!(told, log);
}

/// The process that raised it is gone, and perhaps nobody was told: the end is told with its beginning.
#[test]
fn an_alert_of_an_earlier_process_is_told_before_it_is_over() {
    let (folder, telemetry) = folder();
    let mut noise = Noise(3);
    answer(&builder(&telemetry).build().unwrap(), &mut noise, true);
    drop(telemetry);
    let telemetry = open(&folder);
    let told = Told::default();
    let ear = told.clone();
    let monitor = builder(&telemetry).on_alert(move |change| note(&ear, change)).build().unwrap();
    assert_eq!((monitor.alerts().len(), told.lock().unwrap().len()), (2, 0), "what stands is there to be asked for");
    while !monitor.alerts().is_empty() {
        answer(&monitor, &mut noise, false);
    }
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 4, "{told:?}");
    check(&told);
    // The log has each once.
    let log = telemetry.read(Cursor::start(), usize::MAX);
    assert_eq!(log.iter().filter(|(_, record)| matches!(record, Record::Alert(_))).count(), 4);
}

/// Another monitor takes over while the callback of the first is still to be called.
#[test]
fn a_monitor_that_takes_over_does_not_overtake() {
    let (_folder, telemetry) = folder();
    let told = Told::default();
    let (arrived, at_the_call): (Sender<()>, Receiver<()>) = channel();
    let (go, gate): (Sender<()>, Receiver<()>) = channel();
    let (ear, gate) = (told.clone(), Mutex::new(gate));
    let first = builder(&telemetry)
        .on_alert(move |change| {
            note(&ear, change);
            if ear.lock().unwrap().len() == 1 {
                arrived.send(()).unwrap();
                gate.lock().unwrap().recv_timeout(WATCHDOG).unwrap();
            }
        })
        .build()
        .unwrap();
    let raising = thread::spawn(move || answer(&first, &mut Noise(4), true));
    at_the_call.recv_timeout(WATCHDOG).unwrap();
    let later = Told::default();
    let (ear, all) = (later.clone(), told.clone());
    let second = builder(&telemetry)
        .on_alert(move |change| {
            assert_eq!(all.lock().unwrap().len(), 2, "the first was told all that was its own");
            note(&ear, change);
        })
        .build()
        .unwrap();
    let mut noise = Noise(5);
    while !second.alerts().is_empty() {
        answer(&second, &mut noise, false);
    }
    assert_eq!((told.lock().unwrap().len(), later.lock().unwrap().len()), (1, 0));
    go.send(()).unwrap();
    raising.join().unwrap();
    let (told, later) = (told.lock().unwrap().clone(), later.lock().unwrap().clone());
    assert_eq!((told.len(), later.len()), (2, 4), "{told:?} {later:?}");
    check(&later);
    assert_eq!(second.report().other_panics, 0);
}

/// The callback asks the monitor, and closes windows itself.
#[test]
fn a_callback_may_ask_the_monitor() {
    let (_folder, telemetry) = folder();
    let told = Told::default();
    let cell: Arc<Mutex<Option<Monitor>>> = Arc::default();
    let (ear, inner) = (told.clone(), cell.clone());
    let monitor = builder(&telemetry)
        .on_alert(move |change| {
            note(&ear, change);
            let monitor = inner.lock().unwrap().clone().unwrap();
            monitor.close_window();
            monitor.tick();
            assert!(monitor.alerts().len() <= 2);
        })
        .build()
        .unwrap();
    *cell.lock().unwrap() = Some(monitor.clone());
    let mut noise = Noise(6);
    for round in 0..6 {
        answer(&monitor, &mut noise, round % 3 == 0);
    }
    *cell.lock().unwrap() = None;
    let told = told.lock().unwrap().clone();
    assert!(told.len() >= 4, "{told:?}");
    check(&told);
    assert_eq!(monitor.report().other_panics, 0);
}
