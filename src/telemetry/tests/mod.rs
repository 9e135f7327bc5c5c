//! The room as a whole.

mod folder;
mod outcome;
mod pinned;
mod rollout;

use super::record::*;
use super::{AlertCode, Exponential, Outcome, Reason, RolloutFinding};

/// One of each kind, with values at the ends of their ranges.
pub(super) fn examples(stamp: Stamp) -> Vec<Record> {
    let far = Stamp { boot: [1; 16], epoch: 3, seq: u64::MAX, monotonic_ns: u64::MAX };
    let mut latency = Exponential::default();
    (0..1000u64).for_each(|i| latency.record(i * i));
    vec![
        Record::Boot(Boot { stamp, recovered: 1, torn: 2, quarantined: u64::MAX }),
        Record::Anchor(Anchor { stamp, monotonic_ns: 5, unix_ns: i64::MIN, uncertainty_ns: 40 }),
        Record::Anchor(Anchor { stamp, monotonic_ns: 5, unix_ns: i64::MAX, uncertainty_ns: 0 }),
        Record::Model(ModelInfo {
            stamp,
            slot: ModelSlot(u32::MAX),
            name: "rain ☂".into(),
            version: Some("1.2".into()),
            digest: [0xab; 32],
            backend: "tract".into(),
            profile: (0..=255).collect(),
            profile_digest: [0xcd; 32],
        }),
        Record::Model(ModelInfo { stamp, ..ModelInfo::default() }),
        Record::Window(Window {
            stamp,
            model_slot: ModelSlot(3),
            index: 70_000,
            rows: 4096,
            opened: far,
            closed: stamp,
            features: vec![vec![0, 0, 0, 5, 0, 1 << 40], vec![], vec![0; 300], vec![1]],
            outcomes: vec![(Outcome::default(), 4000), (Outcome::from_bits(u16::MAX), 96)],
            classes: vec![(1, 2)],
            confidence: vec![0, 1, 2],
            entropy: vec![],
            latency,
            first_token: Exponential::default(),
            tokens_in: 1,
            tokens_out: u64::MAX,
            embedded: 0,
            embedding: vec![],
            arms: vec![],
        }),
        Record::Window(Window { stamp, ..Window::default() }),
        Record::Alert(AlertRecord {
            stamp,
            model_slot: ModelSlot(1),
            code: AlertCode::from_name("drift"),
            feature: Some("wind".into()),
            severity: 2,
            raised: true,
            since: far,
            evidence: vec![("p".into(), 1e-26), ("psi".into(), -0.0)],
            action: Some("retrain".into()),
        }),
        Record::Feedback(FeedbackRecord {
            stamp,
            model_slot: ModelSlot(1),
            id: u64::MAX,
            predicted: 0,
            truth: 65_535,
            error: Some(-1.5),
            ..FeedbackRecord::default()
        }),
        Record::Feedback(FeedbackRecord { stamp, ..FeedbackRecord::default() }),
        Record::Rollout(RolloutRecord {
            stamp,
            version: "v2".into(),
            step: "rolled_back".into(),
            test: Some("autumn".into()),
            verdict: Some("roll_back".into()),
            evidence: vec![
                RolloutFinding {
                    name: "errors".into(),
                    verdict: "roll_back".into(),
                    control: Some(0.0),
                    candidate: Some(0.25),
                    worse: f64::MAX,
                    no_worse: -0.0,
                    words: "12 of 48 beside 0 of 48".into(),
                },
                RolloutFinding { name: "deaths".into(), ..RolloutFinding::default() },
            ],
        }),
        Record::Rollout(RolloutRecord { stamp, ..RolloutRecord::default() }),
        Record::Drops(Drops { stamp, totals: Reason::ALL.map(|r| (r, r as u64 + 1)).to_vec() }),
    ]
}

/// Those that an app seals.
pub(super) fn sealable() -> Vec<Record> {
    let by_itself = |r: &Record| matches!(r, Record::Boot(_) | Record::Anchor(_) | Record::Drops(_));
    examples(Stamp::default()).into_iter().filter(|r| !by_itself(r)).collect()
}
