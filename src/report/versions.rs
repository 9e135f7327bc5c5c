//! Versions of a model, put together from what telemetry, a store and a crash record tell of them.

use std::path::Path;

use super::stored::{CrashedModel, StoredVersion};
use super::story::{Model, Story};
use crate::crash::CrashRecord;
use crate::store::{Store, Version};
use crate::telemetry::{Exponential, WindowArm};
use crate::{Code, Digest, Error, Result};

/// A version in one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VersionSummary {
    /// The version as telemetry names it, or else its number in the store: `v3`; empty where neither does.
    pub version: String,
    /// Name of the model.
    pub name: String,
    /// SHA-256 of the model, where it is known.
    pub digest: Option<Digest>,
    /// Rows that it answered.
    pub rows: u64,
    /// Requests that it was given, and those of them that it failed.
    pub requests: (u64, u64),
    /// Its latencies, in microseconds.
    pub latency: Exponential,
    /// The parts of a rollout that it answered in.
    pub arms: Vec<WindowArm>,
    /// How it stands: its last step, whether it serves, what is held against it; empty where nothing is known.
    pub standing: String,
}

impl Story {
    /// Adds the versions of the store in this folder, which is only read, and may be open in an app.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no store; `Corrupt`, `Unsupported`, `Io`.
    ///
    /// ```
    /// use selvedge::report::Story;
    /// use selvedge::store::{Store, Trust};
    /// use selvedge::telemetry::{Limits, Telemetry};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let folder = folder.path();
    /// drop(Telemetry::open(folder.join("telemetry"), Limits::default()));
    /// drop(Store::open(folder.join("store"), Trust::new())?);
    /// let story = Story::read(&folder.join("telemetry"))?.with_store(&folder.join("store"))?;
    /// assert!(story.stored.is_empty() && story.versions().is_empty());
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn with_store(self, folder: &Path) -> Result<Self> {
        let of_folder = |e: Error| e.during(format!("reading the store {}", folder.display()));
        let store = Store::open_read_only(folder).map_err(of_folder)?;
        let current = match store.current() {
            Ok(version) => version.map(|version| version.id()),
            // It is damaged, and listed as none.
            Err(e) if e.code() == Code::Corrupt => None,
            Err(e) => return Err(of_folder(e)),
        };
        let stored = |version: &Version| {
            Ok(StoredVersion {
                name: version.name().into(),
                number: version.number(),
                label: version.release().label.clone(),
                id: version.id(),
                model: version.model_digest(),
                is_current: current == Some(version.id()),
                standing: store.standing(version.id())?,
            })
        };
        let versions = store.versions().map_err(of_folder)?;
        let stored = versions.iter().map(stored).collect::<Result<Vec<_>>>().map_err(of_folder)?;
        Ok(Self { stored, ..self })
    }

    /// Adds what is on record of models that ended the process. Nothing is changed.
    ///
    /// # Errors
    ///
    /// `NotFound` where the record has no folder; `Io`.
    pub fn with_crash_record(self, record: &CrashRecord) -> Result<Self> {
        let folder = &record.folder;
        if !folder.is_dir() {
            let what = format!("crash record: expected the folder {}, got none", folder.display());
            return Err(Error::new(Code::NotFound, what));
        }
        let crashed = |entry| CrashedModel { is_quarantined: record.has_quarantined(&entry), entry };
        Ok(Self { crashed: record.entries()?.into_iter().map(crashed).collect(), ..self })
    }

    /// The versions that telemetry tells of and those of the store: by number where the store has them, else the latest first.
    #[must_use]
    pub fn versions(&self) -> Vec<VersionSummary> {
        let mut versions: Vec<VersionSummary> = self.models.iter().rev().map(|model| self.seen(model)).collect();
        let is_seen = |stored: &&StoredVersion| self.models.iter().any(|model| is_of(stored, model));
        versions.extend(self.stored.iter().filter(|stored| !is_seen(stored)).map(|stored| self.unseen(stored)));
        let number = |version: &VersionSummary| {
            let stored = self.stored.iter().find(|stored| stored.model == version.digest);
            stored.map_or(0, |stored| stored.number)
        };
        versions.sort_by_key(|version| std::cmp::Reverse(number(version)));
        versions
    }

    fn seen(&self, model: &Model) -> VersionSummary {
        let stored = self.stored.iter().find(|stored| is_of(stored, model));
        let version = model.info.version.clone().or(stored.map(name_of)).unwrap_or_default();
        VersionSummary {
            standing: self.standing_of(&version, stored),
            version,
            name: model.info.name.clone(),
            digest: Some(Digest(model.info.digest)),
            rows: model.rows(),
            requests: model.requests(),
            latency: model.latency(),
            arms: model.arms(),
        }
    }

    fn unseen(&self, stored: &StoredVersion) -> VersionSummary {
        let version = name_of(stored);
        VersionSummary {
            standing: self.standing_of(&version, Some(stored)),
            version,
            name: stored.name.clone(),
            digest: stored.model,
            rows: 0,
            requests: (0, 0),
            latency: Exponential::default(),
            arms: Vec::new(),
        }
    }

    /// What is held against it says more than its last step, and the store knows better who serves.
    fn standing_of(&self, version: &str, stored: Option<&StoredVersion>) -> String {
        let step = self.rollouts.iter().rev().find(|rollout| rollout.version == version);
        let step = step.map(|rollout| rollout.step.replace('_', " "));
        match stored {
            Some(stored) if stored.standing.quarantined => format!("quarantined: {}", stored.standing.why),
            Some(stored) if stored.is_current => "serves".into(),
            Some(stored) if stored.standing.misses > 0 && step.is_none() => {
                format!("{} misses: {}", stored.standing.misses, stored.standing.why)
            }
            _ => step.unwrap_or_default(),
        }
    }
}

fn is_of(stored: &StoredVersion, model: &Model) -> bool {
    stored.model == Some(Digest(model.info.digest))
}

/// As a deployment names it.
fn name_of(stored: &StoredVersion) -> String {
    format!("v{}", stored.number)
}
