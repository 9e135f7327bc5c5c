//! What stands beside a story: the versions of a store, and the models of a crash record.

use crate::Digest;
use crate::crash::CrashEntry;
use crate::store::Standing;

/// A version as it lies in a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredVersion {
    /// Name of the model over all its versions.
    pub name: String,
    /// Its number.
    pub number: u64,
    /// What the package says for people.
    pub label: Option<String>,
    /// Its digest over all files.
    pub id: Digest,
    /// That of its model, if it is of one file.
    pub model: Option<Digest>,
    /// Whether it is the current one.
    pub is_current: bool,
    /// What is held against it.
    pub standing: Standing,
}

/// A model that ended the process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrashedModel {
    /// When, where and by what.
    pub entry: CrashEntry,
    /// Whether it is not opened any more, under the ladder of the record that was given.
    pub is_quarantined: bool,
}
