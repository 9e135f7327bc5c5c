//! The outbox of a telemetry folder: makes batches, and keeps each until it is acknowledged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use sha2::{Digest, Sha256};

use super::batch::Batch;
use super::encoding::Encoding;
use super::filling::bring_within;
use super::ledger::{Ledger, is_lasting};
use super::options::OutboxOptions;
use super::privacy::{Noise, fill};
use super::request::{self, hex, uuid};
use super::state::{Pending, State};
use crate::disk::{self, Lock};
use crate::telemetry::{Anchor, Cursor, ModelInfo, ModelSlot, Position, Record, Telemetry, Wanted};
use crate::{Code, Error, Result};

/// Records are read from the log in pieces of so many bytes.
const READ: usize = 256 << 10;
/// Records of which nothing is emitted are acknowledged without a batch once there are so many.
const QUIET: u64 = 64;
/// Refusals in a row after which a receiver is taken to refuse everything. More than it takes to find one bad point at the
/// start of a batch of 100,000.
const REFUSALS: u32 = 20;

/// Makes batches of what the telemetry sealed, and keeps each until it is acknowledged.
///
/// A batch is made durable, with the totals up to its end, before it is handed out; only then are its records
/// acknowledged. The log keeps the latest of them up to
/// [`Limits::history_bytes`](crate::telemetry::Limits::history_bytes), for the device's own memory, and never gives them
/// out to be sent again. So what was handed out once is handed out again byte for byte after a crash, a full log, a corrected clock or an
/// update of the app, until [`ack`](Outbox::ack) or [`refuse`](Outbox::refuse). All points are cumulative: a point that
/// arrives twice says the same twice, and a batch that never arrives takes resolution but no count.
///
/// ```
/// use selvedge::sync::{Outbox, OutboxOptions};
/// use selvedge::telemetry::{Limits, Telemetry};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let telemetry = Telemetry::open(folder, Limits::default());
/// let mut outbox = Outbox::open(&telemetry, folder, OutboxOptions::new("field-notes"))?;
/// while let Some(batch) = outbox.next_batch(1 << 20)? {
///     // Post batch.requests(), judge each answer by `Retry::judge`, and if all were taken:
///     outbox.ack(&batch)?;
/// }
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Debug)]
pub struct Outbox {
    telemetry: Telemetry,
    file: PathBuf,
    options: OutboxOptions,
    state: State,
    noise: Noise,
    damage: Option<String>,
    #[cfg(test)]
    pub(super) faults: super::tests::faults::Faults,
    /// Held for as long as the outbox is open.
    _lock: Lock,
}

impl Outbox {
    /// Opens the outbox of a telemetry folder: `sync.state` in it, which takes a few kilobytes per model and one batch.
    ///
    /// A damaged file, or what is no regular file, is set aside as `sync.state.damaged`, and counting begins anew, under a new install id; see
    /// [`damage`](Outbox::damage).
    ///
    /// # Errors
    ///
    /// `Busy` if another outbox is open on the folder, `Unsupported` for a file of a later version,
    /// `InvalidArgument` for options out of range, `Io`.
    pub fn open(telemetry: &Telemetry, folder: impl AsRef<Path>, options: OutboxOptions) -> Result<Self> {
        options.privacy.check()?;
        let folder = folder.as_ref();
        let lock = folder.join("sync.lock");
        let lock = disk::lock(&lock, || format!("{}: another outbox is open on the folder", lock.display()))?;
        let file = folder.join("sync.state");
        let (state, damage) = match State::load(&file) {
            Ok(Some(state)) => (state, None),
            Ok(None) => (State::fresh()?, None),
            Err(e) if e.code() == Code::Corrupt => {
                let aside = folder.join("sync.state.damaged");
                fs::rename(&file, &aside).map_err(|e| Error::io(aside.display(), e))?;
                (State::fresh()?, Some(e.to_string()))
            }
            Err(e) => return Err(e),
        };
        let telemetry = telemetry.clone();
        let mut outbox = Self {
            telemetry,
            file,
            options,
            state,
            noise: Noise::default(),
            damage,
            #[cfg(test)]
            faults: Default::default(),
            _lock: lock,
        };
        outbox.follow_log();
        Ok(outbox)
    }

    /// The next batch, or `None` when there is nothing to emit. Until it is acknowledged or refused, the same again.
    ///
    /// What holds back and blurs what is in it is said in [`Privacy`](super::Privacy).
    /// `max_bytes` bounds both bodies together before compression. A batch holds at least one record, so that a small
    /// bound slows a device down but does not stop it: one window of 10 features takes about 5 kB. Making it takes a bounded
    /// time: of a log that would take longer, the next call goes on with the rest, also after a `None`.
    ///
    /// # Errors
    ///
    /// `Io` if the batch cannot be made durable; then nothing was handed out and nothing is lost.
    pub fn next_batch(&mut self, max_bytes: usize) -> Result<Option<Batch>> {
        if let Some(batch) = self.pending() {
            return Ok(Some(batch));
        }
        let present = self.present();
        let mut state = self.state.clone();
        follow_app(&mut state, &self.options);
        let mut ledger = Ledger::new(&self.options, state, &mut self.noise);
        ledger.clocks.add(&present);
        let mut introductions = None;
        loop {
            let after = ledger.state.position();
            let from = if after == Position::default() { Cursor::start() } else { Cursor::after(after) };
            let records = self.telemetry.read(from, READ);
            if !ledger.strangers(&records).is_empty() {
                let known = introductions.get_or_insert_with(|| introductions_after(&self.telemetry, from));
                introduce(&mut ledger, known, &records);
            }
            if records.is_empty() || !ledger.add(&records, max_bytes)? {
                break;
            }
        }
        if !ledger.has_news() {
            if ledger.records >= QUIET || ledger.is_worn() {
                let state = ledger.state;
                self.keep(state)?;
            }
            return Ok(None);
        }
        let requests = ledger.finish();
        let (metrics, logs) = (requests.metrics.encode_to_vec(), requests.logs.encode_to_vec());
        let pending = Pending {
            records: ledger.records,
            points: requests.points,
            log_records: requests.log_records,
            ..Pending::new(metrics, logs, self.options.encoding)?
        };
        let state = State { pending: Some(pending), ..ledger.state };
        self.keep(state)?;
        Ok(self.pending())
    }

    /// The receiver has the batch: it is forgotten, durably, before this returns. Again for the same batch does nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a batch that is not the one handed out last, `Io`; then it is handed out again.
    pub fn ack(&mut self, batch: &Batch) -> Result<()> {
        self.settle(batch, |state| state.refusals = 0)
    }

    /// The receiver refused so many points and log records for good: the whole batch, or a part of it, as its answer
    /// says ([`Judgement::refused`](super::Judgement::refused)). They are counted as `refused`, durably, the count goes out
    /// as `selvedge.dropped` with the next window, and the batch is forgotten as by [`ack`](Outbox::ack). What refused
    /// points counted stays in the totals and comes with the next points.
    ///
    /// # Errors
    ///
    /// As [`ack`](Outbox::ack).
    pub fn refuse(&mut self, batch: &Batch, refused: u64) -> Result<()> {
        let is_whole = refused >= batch.points + batch.log_records;
        self.settle(batch, |state| {
            state.refusals = if is_whole { state.refusals.saturating_add(1) } else { 0 };
            state.add_loss("refused", refused);
        })
    }

    /// The batch is too large for the receiver: in its place come two smaller ones, which hold all of it, durably. What
    /// [`next_batch`](Outbox::next_batch) then gives is the first, whatever bytes it is asked for. `false` for a batch of
    /// one point or one log record, which stays: if nobody takes it, [`refuse`](Outbox::refuse).
    ///
    /// ```
    /// # use selvedge::sync::{Batch, Outbox};
    /// # fn example(outbox: &mut Outbox, batch: &Batch) -> selvedge::Result<()> {
    /// if !outbox.split(batch)? {
    ///     outbox.refuse(batch, batch.points + batch.log_records)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ack`](Outbox::ack).
    pub fn split(&mut self, batch: &Batch) -> Result<bool> {
        self.divide(batch, |_| {})
    }

    /// The receiver refused the content of the batch: as [`split`](Outbox::split), so that only what it does not take is
    /// lost and not what lies beside it. Also `false` once it has refused 20 batches or parts in a row: then it takes
    /// nothing, and asking by ever smaller parts would only cost time.
    ///
    /// # Errors
    ///
    /// As [`ack`](Outbox::ack).
    pub fn bisect(&mut self, batch: &Batch) -> Result<bool> {
        if self.state.refusals >= REFUSALS {
            return Ok(false);
        }
        self.divide(batch, |state| state.refusals += 1)
    }

    /// Points and log records that the receiver refused for good, over the life of this folder.
    pub fn refused(&self) -> u64 {
        self.state.device.losses.iter().find(|loss| loss.reason == "refused").map_or(0, |loss| loss.count)
    }

    /// The random id of this install, a UUID: `service.instance.id` and `app.installation.id`.
    pub fn install_id(&self) -> String {
        uuid(&self.state.install)
    }

    /// Draws a new install id, begins all counting anew and forgets the batch on its way, so that nothing ties what comes
    /// to what was. What was acknowledged stays on the device as far as the log keeps it, and is not sent. Gives the new id.
    ///
    /// # Errors
    ///
    /// `Io`; then the old id stays.
    pub fn reset_install_id(&mut self) -> Result<String> {
        let mut state = self.state.clone();
        state.install = vec![0; 16];
        fill(&mut state.install)?;
        state.restart();
        state.pending = None;
        state.parts.clear();
        state.acked.clear();
        self.keep(state)?;
        Ok(self.install_id())
    }

    /// The damage to the state file, if it had to be set aside when the outbox was opened.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The last sealed record that is in the totals and in a batch.
    pub fn through(&self) -> Position {
        self.state.position()
    }

    /// Both clocks now: tells the time of records of this boot whose own anchor gave way to the limit of the log.
    fn present(&self) -> Anchor {
        let stamp = self.telemetry.now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let unix_ns = i64::try_from(unix).unwrap_or(0);
        Anchor { stamp, monotonic_ns: stamp.monotonic_ns, unix_ns, uncertainty_ns: 0 }
    }

    pub(super) fn pending(&self) -> Option<Batch> {
        let pending = self.state.pending.as_ref()?;
        Some(Batch {
            id: pending.id.as_slice().try_into().ok()?,
            metrics: pending.metrics.clone(),
            logs: pending.logs.clone(),
            encoding: Encoding::from_number(pending.encoding)?,
            records: pending.records,
            points: pending.points,
            log_records: pending.log_records,
            through: self.state.position(),
        })
    }

    fn settle(&mut self, batch: &Batch, count: impl FnOnce(&mut State)) -> Result<()> {
        if self.state.acked == batch.id {
            return Ok(());
        }
        match &self.state.pending {
            Some(pending) if pending.id == batch.id => {
                let mut state = State { acked: batch.id.to_vec(), ..self.state.clone() };
                state.pending = (!state.parts.is_empty()).then(|| state.parts.remove(0));
                count(&mut state);
                self.keep(state)
            }
            other => Err(unexpected(other.as_ref(), batch)),
        }
    }

    fn divide(&mut self, batch: &Batch, count: impl FnOnce(&mut State)) -> Result<bool> {
        let pending = match &self.state.pending {
            Some(pending) if pending.id == batch.id => pending,
            other => return Err(unexpected(other.as_ref(), batch)),
        };
        let Some([first, second]) = pending.halves()? else { return Ok(false) };
        let mut state = State { pending: Some(first), ..self.state.clone() };
        state.parts.insert(0, second);
        count(&mut state);
        self.keep(state)?;
        Ok(true)
    }

    /// First the state, with the totals and the batch, is durable; then the records that are in it are acknowledged. Should
    /// the second step not happen, they are passed over by their position, and acknowledged with the next step.
    fn keep(&mut self, mut state: State) -> Result<()> {
        bring_within(&mut state);
        #[cfg(test)]
        self.faults.before_store(&self.telemetry, state.position())?;
        state.store(&self.file)?;
        self.state = state;
        #[cfg(test)]
        self.faults.before_release()?;
        self.release();
        Ok(())
    }

    fn release(&self) {
        let position = self.state.position();
        if position != Position::default()
            && let Err(e) = self.telemetry.ack(position)
        {
            tracing::debug!("records of the log stay until the next batch: {e:#}");
        }
    }

    /// A log that was begun anew counts its epochs from 1: positions of the old one would hide the new records.
    fn follow_log(&mut self) {
        let now = self.telemetry.now();
        let through = &self.state.through;
        if now.epoch == 0 {
            // Nothing is kept in this process, so nothing is known of the log.
        } else if now.epoch < through.epoch || now.epoch == through.epoch && now.boot != through.boot[..] {
            self.state.through = Default::default();
            self.state.slots.clear();
        } else {
            self.release();
        }
    }
}

fn unexpected(pending: Option<&Pending>, batch: &Batch) -> Error {
    let expected = pending.map_or_else(|| "none".into(), |pending| hex(&pending.id));
    Error::invalid(format!("batch: expected {expected}, got {}", batch.id_hex()))
}

/// Another version of the app, or another attribute, is another stream to a receiver: it would add totals that went on to
/// those that it has. All that was counted is in a batch by now, so nothing is lost where they begin anew.
fn follow_app(state: &mut State, options: &OutboxOptions) {
    let app = Sha256::digest(request::resource(options, &[0; 16], None).encode_to_vec()).to_vec();
    if !state.app.is_empty() && state.app != app {
        state.restart();
    }
    state.app = app;
}

/// Where the record that says who a slot is gave way to the limit of the log, a later one may say it again.
fn introduce(ledger: &mut Ledger<'_>, known: &BTreeMap<ModelSlot, ModelInfo>, records: &[(Position, Record)]) {
    for stranger in ledger.strangers(records) {
        known.get(&stranger).into_iter().for_each(|info| ledger.announce(info));
    }
}

/// The latest record of each model whose slot stands for it whenever it is used.
fn introductions_after(telemetry: &Telemetry, mut from: Cursor) -> BTreeMap<ModelSlot, ModelInfo> {
    let mut known = BTreeMap::new();
    loop {
        let records = telemetry.pick(from, READ, false, Wanted::Models);
        let Some((last, _)) = records.last() else { return known };
        from = Cursor::after(*last);
        for (_, record) in records {
            if let Record::Model(info) = record
                && is_lasting(&info)
            {
                known.insert(info.slot, info);
            }
        }
    }
}
