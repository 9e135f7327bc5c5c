//! What a store holds, as the child tells it and as it is found after a loss of power.

use std::collections::BTreeSet;

use selvedge::store::Store;
use selvedge::{Digest, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) current: Option<String>,
    pub(super) versions: BTreeSet<String>,
    pub(super) quarantined: BTreeSet<String>,
    /// The highest number that was imported.
    pub(super) admitted: u64,
}

impl Held {
    /// `known` are the versions that may be in quarantine.
    pub(super) fn by(store: &Store, known: &BTreeSet<String>, admitted: u64) -> Result<Self> {
        let current = store.current()?.map(|version| version.id().to_string());
        let versions = store.versions()?.iter().map(|version| version.id().to_string()).collect();
        let mut quarantined = BTreeSet::new();
        for id in known {
            if store.standing(id.parse::<Digest>()?)?.quarantined {
                quarantined.insert(id.clone());
            }
        }
        Ok(Self { current, versions, quarantined, admitted })
    }

    pub(super) fn known(&self) -> impl Iterator<Item = String> {
        self.versions.iter().chain(&self.quarantined).cloned()
    }
}
