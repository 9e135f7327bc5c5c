//! Records of a device that was switched off, or slept, before they could be posted.

use super::ledger::{HOUR, reported};
use super::made::{Log, SECOND, T0, plain, rows, sums};
use crate::telemetry::{AlertRecord, ModelInfo, ModelSlot, Record, Stamp, Window};

/// A monitor tells once who it is, and its process may begin many times before there is a network.
#[test]
fn a_lasting_slot_is_told_once_for_all_epochs() {
    for (slot, expected) in [(ModelInfo::slot_of(&[9; 32], &[]).0, vec![10, 20, 30]), (1, vec![10])] {
        let mut log = Log::new();
        log.anchor(T0);
        log.model(slot, "rain", None);
        for hour in 0..3 {
            if hour > 0 {
                log.boot();
                log.anchor(T0 + hour * HOUR);
            }
            log.now = 60 * SECOND;
            log.window(60, Window { model_slot: ModelSlot(slot), ..rows(10) });
            log.other(|stamp| {
                Record::Alert(AlertRecord { stamp, model_slot: ModelSlot(slot), ..AlertRecord::default() })
            });
        }
        let requests = reported(&plain(), &mut log);
        let values: Vec<i64> = sums(&requests.metrics, "selvedge.requests").iter().map(|s| s.2).collect();
        assert_eq!(values, expected, "slot {slot}");
        let dropped: Vec<i64> = sums(&requests.metrics, "selvedge.dropped").iter().map(|s| s.2).collect();
        assert_eq!(dropped.last().copied(), (slot == 1).then_some(2), "another epoch's slot 1 may be another model");
        assert_eq!(requests.logs.resource_logs.len(), if slot == 1 { 2 } else { 1 }, "whose alerts they are");
    }
}

/// The machine slept, and the first thing that it does then is to close a window.
#[test]
fn a_window_that_closes_after_a_sleep_closes_after_it() {
    let mut log = Log::new();
    log.anchor(T0);
    log.model(1, "rain", None);
    log.now = 60 * SECOND;
    let closed = log.stamp();
    // Sealing takes a moment, notices that the clocks have moved apart, and puts an anchor first.
    log.now += 50_000;
    log.anchor(T0 + 8 * HOUR);
    log.other(|stamp| {
        Record::Window(Window { stamp, opened: Stamp { monotonic_ns: 0, ..closed }, closed, ..rows(10) })
    });
    let requests = reported(&plain(), &mut log);
    assert_eq!(sums(&requests.metrics, "selvedge.windows"), [(T0, T0 + 8 * HOUR - 50_000, 1)]);
}
