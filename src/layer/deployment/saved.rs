//! Saved form of what is public: JSON, of which each key is known and none may be missing.
//!
//! ```text
//! {"state": {"format": 1, "current": "v1", "previous": null,
//!            "candidate": {"version": "v2", "plan": PLAN, "beside": true, "reverts": false},   or null
//!            "versions": {"v1": {"phase": "promoted", "misses": 0, "interrupted": 0, "deaths": 0, "rolled_back": false}, …}},
//!  "counts": {"v1": {"exposed": 9, "ended": 9, "failed": 0, "timed": 0, "slow": 0, "labelled": 0, "wrong": 0}, …}}
//!
//! PLAN  {"devices": 10000, "calls": 5000, "shadow": 0, "canary": true, "likeness": "exact", "by_hand": false, "salt": ""}
//! ```

use serde::{Deserialize, Serialize};

use super::judge::ArmCounts;
use super::likeness::Likeness;
use super::phase::RolloutPhase;
use super::plan::RolloutPlan;

#[derive(Serialize, Deserialize)]
#[serde(remote = "RolloutPlan", deny_unknown_fields)]
pub(super) struct SavedPlan {
    devices: u16,
    calls: u16,
    shadow: u32,
    canary: bool,
    #[serde(with = "SavedLikeness")]
    likeness: Likeness,
    by_hand: bool,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Likeness", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum SavedLikeness {
    Exact,
    Tolerance { absolute: f64, relative: f64 },
    Top1,
    Text(f64),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RolloutPhase", rename_all = "snake_case")]
pub(super) enum SavedPhase {
    Outside,
    Loading,
    SelfTest,
    Shadow,
    Canary,
    Promoted,
    Draining,
    Retired,
    RolledBack,
    Missed,
    Quarantined,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Counts(#[serde(with = "SavedCounts")] pub(super) ArmCounts);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ArmCounts", deny_unknown_fields)]
struct SavedCounts {
    exposed: u64,
    ended: u64,
    failed: u64,
    timed: u64,
    slow: u64,
    labelled: u64,
    wrong: u64,
}
