//! Records that are sealed into the log: each one, its time and its place.

use sha2::{Digest, Sha256};

use super::alert::AlertCode;
use super::exponential::Exponential;
use super::loss::Reason;
use super::outcome::Outcome;
use super::rollout::{RolloutFinding, WindowArm};

/// The moment of something, without a wall clock: records are ordered by `(epoch, seq)`, and times compare by `monotonic_ns`
/// within one boot. Wall-clock time comes from the [`Anchor`]s of the same boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Random, drawn anew each time the folder is opened for writing: the life of one monotonic clock.
    pub boot: [u8; 16],
    /// Counts the opens of this folder, from 1; orders the boots. 0 where nothing can be kept.
    pub epoch: u64,
    /// The number of the record within its epoch, from 1. A gap is a record that was lost, and counted.
    pub seq: u64,
    /// Nanoseconds since the folder was opened, by a clock that is never set. It may stand still while the machine
    /// sleeps.
    pub monotonic_ns: u64,
}

impl Stamp {
    /// The place of the record in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }
}

/// The place of a sealed record. Later records have larger positions, over the whole life of the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// As [`Stamp::epoch`].
    pub epoch: u64,
    /// As [`Stamp::seq`].
    pub seq: u64,
}

/// The place from which to read on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor(Option<Position>);

impl Cursor {
    /// From the oldest record that was not acknowledged; for [`recall`](super::Telemetry::recall), from the oldest that is
    /// kept.
    #[must_use]
    pub fn start() -> Self {
        Self(None)
    }

    /// After this record.
    #[must_use]
    pub fn after(position: Position) -> Self {
        Self(Some(position))
    }

    /// The last record that was read; below all records at the start.
    pub(super) fn last(self) -> Position {
        self.0.unwrap_or_default()
    }
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Self {
        Self::after(position)
    }
}

/// A record of the log. The `stamp` of each is set by sealing; what the caller puts there is not read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "most records are windows, and a box for each would be one more allocation"
)]
pub enum Record {
    /// The folder was opened. The first record of every epoch.
    Boot(Boot),
    /// A pair of clocks.
    Anchor(Anchor),
    /// A model took a slot.
    Model(ModelInfo),
    /// A closed window.
    Window(Window),
    /// An alert was raised or cleared.
    Alert(AlertRecord),
    /// A label came.
    Feedback(FeedbackRecord),
    /// The records lost so far.
    Drops(Drops),
    /// A version went a step of its rollout.
    Rollout(RolloutRecord),
}

impl Record {
    /// The time at which it was sealed.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        match self {
            Record::Boot(r) => &r.stamp,
            Record::Anchor(r) => &r.stamp,
            Record::Model(r) => &r.stamp,
            Record::Window(r) => &r.stamp,
            Record::Alert(r) => &r.stamp,
            Record::Feedback(r) => &r.stamp,
            Record::Drops(r) => &r.stamp,
            Record::Rollout(r) => &r.stamp,
        }
    }

    /// Bytes that it takes in memory, all in all.
    pub(crate) fn memory(&self) -> usize {
        let lists = match self {
            Record::Boot(_) | Record::Anchor(_) | Record::Feedback(_) => 0,
            Record::Model(r) => {
                r.name.len() + r.version.as_deref().map_or(0, str::len) + r.backend.len() + r.profile.len()
            }
            Record::Window(r) => r.memory(),
            Record::Alert(r) => r.memory(),
            Record::Drops(r) => size_of_val(&*r.totals),
            Record::Rollout(r) => r.memory(),
        };
        size_of::<Self>() + size_of::<Position>() + lists
    }
}

/// The folder was opened, and what was found in it. Sealed by itself, before the first record of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// Inferences of earlier epochs that were still in the lanes: they are drained again.
    pub recovered: u64,
    /// Records of the log that fail their checksum or end early.
    pub torn: u64,
    /// Files that could not be read and were set aside.
    pub quarantined: u64,
}

/// One moment on two clocks. Sealed by itself: at the start of an epoch, once an hour, and when the wall clock was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// The moment on the clock of [`Stamp::monotonic_ns`].
    pub monotonic_ns: u64,
    /// The moment on the wall clock: nanoseconds since 1970-01-01 UTC, as the device believed.
    pub unix_ns: i64,
    /// The two readings lie within this many nanoseconds of each other.
    pub uncertainty_ns: u64,
}

/// The number that stands for a model in the records of a folder: see [`ModelInfo`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelSlot(pub u32);

/// A model took a slot: from here on the slot's number stands for it, until another one takes the slot or the epoch ends.
/// A slot of [`ModelInfo::slot_of`] stands for its model in all epochs: one record is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInfo {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// The number that stands for the model in other records.
    pub slot: ModelSlot,
    /// Its name.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
    /// The backend that runs it.
    pub backend: String,
    /// Its encoded drift profile; empty where it has none.
    pub profile: Vec<u8>,
    /// SHA-256 of `profile`; zeros where it is empty.
    pub profile_digest: [u8; 32],
}

impl ModelInfo {
    /// A number that follows from what the model is: the first four bytes, little endian, of the SHA-256 of its digest and
    /// its encoded profile.
    ///
    /// ```
    /// use selvedge::telemetry::ModelInfo;
    /// assert_ne!(ModelInfo::slot_of(&[1; 32], &[]), ModelInfo::slot_of(&[1; 32], &[7]));
    /// ```
    #[must_use]
    pub fn slot_of(digest: &[u8; 32], profile: &[u8]) -> ModelSlot {
        let digest = Sha256::new().chain_update(digest).chain_update(profile).finalize();
        ModelSlot(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }
}

/// The exact counts of one closed window of one model. All counts add up over windows, devices and models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// The slot of the model.
    pub model_slot: ModelSlot,
    /// The number of the window, counted by whoever closes it.
    pub index: u64,
    /// Inferences in it.
    pub rows: u64,
    /// The time at which it was opened.
    pub opened: Stamp,
    /// The time at which it was closed.
    pub closed: Stamp,
    /// Per feature, the count of each bin, both in the order of the model's profile.
    pub features: Vec<Vec<u64>>,
    /// Outcome and count, for the outcomes that occurred.
    pub outcomes: Vec<(Outcome, u64)>,
    /// Class and count, for the classes that occurred.
    pub classes: Vec<(u16, u64)>,
    /// Counts over equal parts of `[0, 1]`, as many as the writer chose; empty where nothing was measured.
    pub confidence: Vec<u64>,
    /// Counts over equal parts of `[0, 1]`, as many as the writer chose; empty where nothing was measured.
    pub entropy: Vec<u64>,
    /// Latencies in microseconds.
    pub latency: Exponential,
    /// Times to the first token in microseconds.
    pub first_token: Exponential,
    /// Tokens of all prompts.
    pub tokens_in: u64,
    /// Tokens generated.
    pub tokens_out: u64,
    /// Rows that brought an embedding.
    pub embedded: u64,
    /// Per sign that was made of an embedding, the rows in which it is positive; empty where no row brought one.
    pub embedding: Vec<u64>,
    /// The parts of a rollout that it was answered in, each once; empty outside of any.
    pub arms: Vec<WindowArm>,
}

impl Window {
    /// Bytes that its lists take.
    pub(crate) fn memory(&self) -> usize {
        let of_features = self.features.iter().map(|counts| size_of_val(&**counts)).sum::<usize>();
        let numbers =
            [&self.confidence, &self.entropy, &self.latency.buckets, &self.first_token.buckets, &self.embedding];
        let of_numbers = numbers.iter().map(|numbers| size_of_val(&***numbers)).sum::<usize>();
        let of_pairs = size_of_val(&*self.outcomes) + size_of_val(&*self.classes) + size_of_val(&*self.arms);
        of_features + size_of_val(&*self.features) + of_numbers + of_pairs
    }
}

/// An alert was raised or cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertRecord {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// The slot of the model.
    pub model_slot: ModelSlot,
    /// The code of the event.
    pub code: AlertCode,
    /// The feature it is about, where it is about one.
    pub feature: Option<String>,
    /// 0 tells, 1 warns, 2 is an error.
    pub severity: u8,
    /// Raised, or cleared.
    pub raised: bool,
    /// Since when it stands.
    pub since: Stamp,
    /// The numbers that speak for it, by name.
    pub evidence: Vec<(String, f64)>,
    /// The action that the app might take, as a stable name: `retrain`, `roll_back`, ….
    pub action: Option<String>,
}

impl AlertRecord {
    /// Bytes that its texts and numbers take.
    pub(crate) fn memory(&self) -> usize {
        let texts = [Some(self.code.name()), self.feature.as_deref(), self.action.as_deref()];
        let names = self.evidence.iter().map(|(name, _)| name.len()).sum::<usize>();
        texts.into_iter().flatten().map(str::len).sum::<usize>() + names + size_of_val(&*self.evidence)
    }
}

/// The label of an answer, which came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FeedbackRecord {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// The slot of the model.
    pub model_slot: ModelSlot,
    /// The id of the inference.
    pub id: u64,
    /// The class that was answered.
    pub predicted: u16,
    /// The class that was right.
    pub truth: u16,
    /// For a number instead of a class: the answer minus the truth.
    pub error: Option<f32>,
    /// The confidence of the answer, as [`Inference::confidence`](super::Inference::confidence); 0 where it was not measured,
    /// and in records of before it was kept.
    pub confidence: u8,
    /// The [`Window::index`] of the window that the answer is counted in; 0, too, where `confidence` is 0.
    pub window: u64,
}

/// A version went a step of its rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolloutRecord {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// The version, by the name that its [`ModelInfo`] and routes have.
    pub version: String,
    /// The step, as a stable name: `offered`, `shadow`, `canary`, `promoted`, `replaced`, `withdrawn`, `missed`,
    /// `rolled_back`, `quarantined`, `forgiven`.
    pub step: String,
    /// The name of the test that it is on trial in, which is the salt of its plan; `None` where it has none.
    pub test: Option<String>,
    /// The verdict that it follows, as a stable name: `promote`, `hold`, `roll_back`. `None` where nobody judged.
    pub verdict: Option<String>,
    /// What speaks for it.
    pub evidence: Vec<RolloutFinding>,
}

impl RolloutRecord {
    /// Bytes that its texts and findings take.
    pub(crate) fn memory(&self) -> usize {
        let options = [&self.test, &self.verdict].map(|text| text.as_deref().map_or(0, str::len));
        let texts = self.version.len() + self.step.len() + options.iter().sum::<usize>();
        let of_findings = self.evidence.iter().map(|f| f.name.len() + f.verdict.len() + f.words.len()).sum::<usize>();
        texts + of_findings + size_of_val(&*self.evidence)
    }
}

/// The records lost over the whole life of the folder, by reason. Sealed by itself, before the first record that is sealed
/// after a loss; a later one holds all that an earlier one holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// The time at which it was sealed.
    pub stamp: Stamp,
    /// Reason and count, for the reasons that occurred.
    pub totals: Vec<(Reason, u64)>,
}
