//! A folder that version 1 wrote, in `tests/data/telemetry-v1`: every later version reads it as it was meant.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::*;
use crate::disk::{Disk, Folder};

fn pinned() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/telemetry-v1")
}

const FILES: [&str; 2] = ["telemetry.live", "0000000000000001-00000000.seg"];

fn inferences() -> Vec<Inference<'static>> {
    static BINS: [u8; 100] = [9; 100];
    let full = Inference {
        id: 0x0102_0304_0506_0708,
        model_slot: ModelSlot(0x0a0b_0c0d),
        outcome: Outcome::from_bits(0x0208),
        latency_us: 1_000_000,
        first_token_us: 200_000,
        tokens_in: 70_000,
        tokens_out: 300,
        confidence: 250,
        entropy: 3,
        class: 513,
        bins: &BINS,
        ..Inference::default()
    };
    vec![
        Inference { model_slot: ModelSlot(1), bins: &BINS[..8], ..Inference::default() },
        full,
        Inference { tokens_in: 0, tokens_out: 0, first_token_us: 0, bins: &BINS[..21], ..full },
    ]
}

/// What version 1 began with. Steps of a rollout came later; readers of then pass over them.
fn sealable() -> Vec<Record> {
    super::sealable().into_iter().filter(|record| !matches!(record, Record::Rollout(_))).collect()
}

/// Made it: `cargo test --no-default-features --lib pinned -- --ignored`. It stays as it is; a later version gets a folder
/// of its own beside it.
#[test]
#[ignore = "made the folder of version 1"]
fn make() {
    let dir = pinned();
    assert!(!dir.exists(), "{} is there already", dir.display());
    let telemetry = Telemetry::open(&dir, Limits { lanes: 3, slots: 64, ..Limits::default() });
    let lane = telemetry.lane();
    sealable().iter().for_each(|r| assert_eq!(telemetry.seal(r).map_err(|e| e.to_string()).err(), None));
    inferences().iter().for_each(|i| lane.record(i));
    drop((lane, telemetry));
    fs::remove_file(dir.join("telemetry.lock")).unwrap();
}

#[test]
fn version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for file in FILES {
        fs::copy(pinned().join(file), dir.path().join(file)).unwrap();
    }
    // The limits of today do not matter to the file of then.
    let telemetry = Telemetry::open(dir.path(), Limits::default());
    let status = telemetry.status();
    assert_eq!((&status.mode, status.recovered, status.quarantined, status.torn), (&Mode::Durable, 3, 0, 0));
    assert_eq!(telemetry.now().epoch, 2);
    let mut expected = inferences().into_iter();
    telemetry.drain(&mut |got| assert_eq!(*got, Inference { at: got.at, epoch: 1, ..expected.next().unwrap() }));
    assert_eq!(expected.next(), None);

    let records = telemetry.read(Cursor::start(), usize::MAX);
    let (own, by_app) = records.split_at(2);
    assert!(matches!(own, [(_, Record::Boot(_)), (_, Record::Anchor(_))]));
    assert_eq!(by_app.len(), sealable().len());
    for (i, ((position, got), reported)) in by_app.iter().zip(sealable()).enumerate() {
        assert_eq!(*position, Position { epoch: 1, seq: i as u64 + 3 });
        let stamp = *got.stamp();
        let reported = match reported {
            Record::Model(r) => Record::Model(ModelInfo { stamp, ..r }),
            Record::Window(r) => Record::Window(Window { stamp, ..r }),
            Record::Alert(r) => Record::Alert(AlertRecord { stamp, ..r }),
            Record::Feedback(r) => Record::Feedback(FeedbackRecord { stamp, ..r }),
            other => other,
        };
        assert_eq!(*got, reported);
    }
}

/// The writer has not changed either: the same records make the same bytes, and a changed format another version.
#[test]
fn version_1_is_written_as_ever() {
    let file = Folder::new(pinned()).read(FILES[1], 1 << 20).unwrap();
    let (version, boot) = (file[8], file[24..40].try_into().unwrap());
    assert_eq!((&file[..8], version), (&b"SELVSEGM"[..], 1));
    let mut at = 64;
    while at < file.len() {
        let len = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize;
        let payload = &file[at + 12..at + 12 + len];
        let (record, rest) = codec::decode(payload, boot, 1).unwrap();
        let mut again = Vec::new();
        codec::encode(&record, record.stamp(), &mut again);
        assert_eq!(again, payload[..payload.len() - rest.len()], "{record:?}");
        assert!(matches!(record, Record::Window(_)) != rest.is_empty());
        at += 12 + len;
    }
    let live = fs::read(pinned().join(FILES[0])).unwrap();
    assert_eq!((&live[..8], live.len()), (&[0; 8][..], 8192 + 3 * 64 * 64));
    assert_eq!((&live[2048..2056], live[2056]), (&b"SELVLIVE"[..], 1));
    for (i, inference) in inferences().iter().enumerate() {
        // One slot, three, two: in the lane that is the first to be owned.
        let begin = live.len() - 64 * 64 + [0, 1, 4][i] * 64;
        let at = u64::from_le_bytes(live[begin + 16..begin + 24].try_into().unwrap());
        let slot = slot::first(inference, 1, i as u64, at).map(u64::to_le);
        assert_eq!(bytemuck::cast_slice::<u64, u8>(&slot), &live[begin..begin + 64]);
    }
}
