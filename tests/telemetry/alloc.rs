//! Recording does not allocate, whichever lane it goes to.

use selvedge::telemetry::{Inference, Limits, Telemetry};

use crate::counting::allocations;

#[test]
fn recording_does_not_allocate() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default().lanes(4));
    let bins = [7; 300];
    let record_all = |record: &dyn Fn(&Inference)| {
        for len in [0, 8, 20, 21, 100, 300] {
            for tokens_out in [0, 40] {
                record(&Inference { tokens_out, bins: &bins[..len], ..Inference::default() });
            }
        }
    };
    let (own, own_too) = (telemetry.lane(), telemetry.lane());
    // No lane is left: this one and the thread's own share one.
    let shared = telemetry.lane();
    telemetry.record(&Inference::default());
    let before = allocations();
    for _ in 0..300 {
        record_all(&|inference| own.record(inference));
        record_all(&|inference| own_too.record(inference));
        record_all(&|inference| shared.record(inference));
        record_all(&|inference| telemetry.record(inference));
    }
    assert_eq!(allocations(), before);
    // The counter counts.
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(allocations(), before + 1);
    assert_eq!(telemetry.drain(&mut |_| {}) as u64 + telemetry.status().dropped[0].1, 300 * 48 + 1);
    assert_eq!(telemetry.status().dropped.len(), 1, "{:?}", telemetry.status());
}
