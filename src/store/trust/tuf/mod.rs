//! What is fresh, by the metadata of The Update Framework (TUF 1.0): root, timestamp, snapshot and top-level targets.
//!
//! All four are verified as a whole before anything of them is kept. Delegated targets are not followed: what a delegated role
//! lists is not listed. Names of files and their transport are the caller's.
//!
//! A target is the `model.sig` of a package, and says in its `custom` what package that is:
//!
//! ```json
//! "custom": { "selvedge": { "name": "rain", "version": 14, "channel": "stable", "share": 2500, "minimum": 9, "rollback": false } }
//! ```
//!
//! `share` is 10000, `minimum` 0 and `rollback` false if they are not there. `rollback` permits devices to go back to it from a
//! higher version. Other members of `custom` are left to others.

mod metadata;
mod root;

use std::collections::HashMap;

use super::json::{Json, Members};
use super::key::{digest, untrusted};
use super::release::{EVERYBODY, MAX_VERSION, word};
use super::state::{Listed, Ratchet, Repository};
use super::{json, name, statement, time};
use crate::Digest;
use crate::error::{Error, Result};
use metadata::Metadata;
#[cfg(test)]
pub(super) use root::Key;
pub(super) use root::Root;

/// The largest files that are read, and the longest chain of roots: those of the reference implementation.
const MAX_TIMESTAMP: usize = 16_384;
const MAX_SNAPSHOT: usize = 2_000_000;
const MAX_TARGETS: usize = 5_000_000;
const MAX_ROOTS: usize = 256;

/// The metadata of a TUF repository, as they were fetched; not one byte of them is believed yet.
///
/// ```
/// use selvedge::store::RepositoryFiles;
/// let files = RepositoryFiles::new(b"{}".to_vec(), b"{}".to_vec(), b"{}".to_vec()).root(b"{}".to_vec());
/// ```
#[derive(Clone, Debug)]
pub struct RepositoryFiles {
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) timestamp: Vec<u8>,
    pub(super) snapshot: Vec<u8>,
    pub(super) targets: Vec<u8>,
}

impl RepositoryFiles {
    /// `timestamp.json` (at most 16,384 bytes), `snapshot.json` (2,000,000) and `targets.json` (5,000,000), of one moment.
    pub fn new(timestamp: impl Into<Vec<u8>>, snapshot: impl Into<Vec<u8>>, targets: impl Into<Vec<u8>>) -> Self {
        Self { roots: Vec::new(), timestamp: timestamp.into(), snapshot: snapshot.into(), targets: targets.into() }
    }

    /// Adds a root, `2.root.json` and so on, the lowest number first; at most 256 of 512,000 bytes. Those that are known already do
    /// no harm.
    #[must_use]
    pub fn root(mut self, metadata: impl Into<Vec<u8>>) -> Self {
        self.roots.push(metadata.into());
        self
    }
}

/// A package that verified metadata list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Where the repository has it: the path of the target.
    pub(crate) path: String,
    /// Digest of its `model.sig`.
    pub(crate) digest: Digest,
    /// Bytes of its `model.sig`.
    pub(crate) length: u64,
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) channel: String,
    /// How many of 10,000 devices are to take it.
    pub(crate) share: u16,
}

impl From<&Listed> for Listing {
    fn from(listed: &Listed) -> Self {
        let Listed { path, digest, length, name, version, channel, share, .. } = listed.clone();
        let digest = Digest(digest.try_into().unwrap_or_default());
        Self { path, digest, length, name, version, channel, share: share as u16 }
    }
}

/// The latest root that is known: one that was verified before, if it began with the root that the app is shipped with.
pub(super) fn current_root(own: &Root, ratchet: &Ratchet) -> Result<Root> {
    match ratchet.state.repository.as_ref().filter(|r| r.bootstrap == own.digest().0) {
        Some(repository) => Root::parse_kept(&repository.root, own.digest()),
        None => Ok(own.clone()),
    }
}

/// The state after these files, or an error that says which of them is refused.
pub(super) fn refresh(own: Option<&Root>, ratchet: &Ratchet, files: &RepositoryFiles, clock: u64) -> Result<Ratchet> {
    let own = own.ok_or_else(|| Error::invalid("metadata: expected a root that is trusted, got none"))?;
    let now = time::believed(clock, ratchet.state.time);
    let begun = current_root(own, ratchet)?;
    let root = follow(begun.clone(), &files.roots)?;
    // Whoever signed a number that no other can pass is got rid of by new keys: what was signed with the old ones is forgotten.
    let known = ratchet.state.repository.as_ref().filter(|_| !root.has_other_keys(&begun, &["timestamp", "snapshot"]));
    let timestamp = timestamp(&root, &files.timestamp, known)?;
    let snapshot = snapshot(&root, &files.snapshot, &timestamp, known)?;
    let targets = Metadata::parse("targets", &files.targets, MAX_TARGETS)?;
    snapshot.targets.check(&targets, &files.targets)?;
    root.check(&targets)?;
    let expiries = [
        ("root", root.expires()),
        ("timestamp", timestamp.expires),
        ("snapshot", snapshot.expires),
        ("targets", targets.expires()?),
    ];
    let earliest = expiries.into_iter().min_by_key(|(_, expires)| *expires);
    let (what, expires) = earliest.ok_or_else(|| Error::internal("metadata: no file"))?;
    if expires <= now {
        let (expires, now) = (time::write(expires), time::write(now));
        return Err(untrusted(format!("{what}: expired at {expires}, and it is {now}")));
    }
    let mut state = ratchet.state.clone();
    state.time = now;
    state.repository = Some(Repository {
        bootstrap: own.digest().0.to_vec(),
        root: root.bytes().to_vec(),
        timestamp: timestamp.version,
        timestamp_digest: timestamp.digest.0.to_vec(),
        snapshot: timestamp.snapshot.version,
        versions: snapshot.versions,
        expires,
        listings: listings(&targets)?,
    });
    Ok(Ratchet { state })
}

/// The last of a chain of roots, each signed by the keys of the one before and by its own.
fn follow(mut root: Root, chain: &[Vec<u8>]) -> Result<Root> {
    if chain.len() > MAX_ROOTS {
        return Err(Error::corrupt(format!("root: expected at most {MAX_ROOTS}, got {}", chain.len())));
    }
    for bytes in chain {
        let next = Metadata::parse("root", bytes, root::MAX_BYTES)?;
        if next.version()? > root.version() {
            root = root.follow(&next, bytes)?;
        }
    }
    Ok(root)
}

struct Timestamp {
    version: u64,
    digest: Digest,
    snapshot: FileOf,
    expires: u64,
}

fn timestamp(root: &Root, bytes: &[u8], known: Option<&Repository>) -> Result<Timestamp> {
    let metadata = Metadata::parse("timestamp", bytes, MAX_TIMESTAMP)?;
    root.check(&metadata)?;
    let signed = metadata.signed()?;
    let snapshot = FileOf::parse(&signed.object("meta")?, "snapshot.json")?;
    let (version, digest) = (metadata.version()?, metadata.digest());
    if let Some(known) = known {
        not_before("timestamp", known.timestamp, version)?;
        not_before("snapshot, as the timestamp has it", known.snapshot, snapshot.version)?;
        if version == known.timestamp && digest.0 != *known.timestamp_digest {
            return Err(untrusted(format!("timestamp: another one with the number {version} was seen before")));
        }
    }
    Ok(Timestamp { version, digest, snapshot, expires: metadata.expires()? })
}

struct Snapshot {
    versions: HashMap<String, u64>,
    targets: FileOf,
    expires: u64,
}

fn snapshot(root: &Root, bytes: &[u8], timestamp: &Timestamp, known: Option<&Repository>) -> Result<Snapshot> {
    let metadata = Metadata::parse("snapshot", bytes, MAX_SNAPSHOT)?;
    timestamp.snapshot.check(&metadata, bytes)?;
    root.check(&metadata)?;
    let meta = metadata.signed()?.object("meta")?;
    let version = |(file, value): (&String, &Json)| {
        let members = value.members(format!("snapshot: '{}'", json::shown(file)))?;
        Ok((file.clone(), members.integer("version", 1, MAX_VERSION)?))
    };
    let versions = meta.iter().map(version).collect::<Result<HashMap<_, _>>>()?;
    for (file, before) in known.iter().flat_map(|known| &known.versions) {
        let now = versions.get(file).copied().unwrap_or(0);
        not_before(&format!("'{}', as the snapshot has it", json::shown(file)), *before, now)?;
    }
    Ok(Snapshot { targets: FileOf::parse(&meta, "targets.json")?, versions, expires: metadata.expires()? })
}

fn not_before(what: &str, before: u64, now: u64) -> Result<()> {
    if now >= before {
        return Ok(());
    }
    Err(untrusted(format!("{what}: expected version {before} or later, which was seen before, got {now}")))
}

/// What one file of metadata says of another.
struct FileOf {
    version: u64,
    length: Option<u64>,
    sha256: Option<Digest>,
}

impl FileOf {
    fn parse(meta: &Members<'_>, file: &str) -> Result<Self> {
        let members = meta.object(file)?;
        let length = members.find("length").map(|_| members.integer("length", 0, i64::MAX as u64)).transpose()?;
        let hashes = members.find("hashes").map(|_| members.object("hashes")).transpose()?;
        let sha256 = hashes.filter(|h| h.find("sha256").is_some()).map(|h| statement::hexadecimal(&h, "sha256"));
        Ok(Self { version: members.integer("version", 1, MAX_VERSION)?, length, sha256: sha256.transpose()? })
    }

    /// Whether these are the bytes that were meant.
    fn check(&self, metadata: &Metadata, bytes: &[u8]) -> Result<()> {
        let what = metadata.what();
        let mixed = |expected: String, got: String| {
            Err(untrusted(format!("{what}: not of one set with what names it: expected {expected}, got {got}")))
        };
        let version = metadata.version()?;
        if version != self.version {
            return mixed(format!("version {}", self.version), format!("version {version}"));
        }
        if self.length.is_some_and(|length| length != bytes.len() as u64) {
            return mixed(format!("{} bytes", self.length.unwrap_or(0)), format!("{}", bytes.len()));
        }
        match self.sha256 {
            Some(expected) if expected != digest(bytes) => {
                mixed(format!("sha256 {expected}"), digest(bytes).to_string())
            }
            _ => Ok(()),
        }
    }
}

/// The targets that say that they are packages.
fn listings(targets: &Metadata) -> Result<Vec<Listed>> {
    let targets = targets.signed()?.object("targets")?;
    let listed = targets.iter().map(|(path, target)| listing(path, target));
    listed.filter_map(Result::transpose).collect()
}

fn listing(path: &str, target: &Json) -> Result<Option<Listed>> {
    let target = target.members(format!("targets: '{}'", json::shown(path)))?;
    if !matches!(target.find("custom"), Some(Json::Object(_))) || target.object("custom")?.find("selvedge").is_none() {
        return Ok(None);
    }
    let custom = target.object("custom")?.object("selvedge")?;
    custom.only(&["name", "version", "channel", "share", "minimum", "rollback"])?;
    name::check(&target.what, path)?;
    let given = |key| custom.find(key).is_some();
    let version = custom.integer("version", 1, MAX_VERSION)?;
    let share = if given("share") { custom.integer("share", 0, EVERYBODY)? } else { EVERYBODY };
    Ok(Some(Listed {
        path: path.into(),
        digest: statement::hexadecimal(&target.object("hashes")?, "sha256")?.0.to_vec(),
        length: target.integer("length", 0, i64::MAX as u64)?,
        name: word(&custom, "name")?,
        version,
        channel: word(&custom, "channel")?,
        share: share as u32,
        minimum: if given("minimum") { custom.integer("minimum", 0, version)? } else { 0 },
        rollback: given("rollback") && custom.truth("rollback")?,
    }))
}
