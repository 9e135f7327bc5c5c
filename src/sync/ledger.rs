//! Sealed records into totals, and totals into points: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::clock::Clocks;
use super::metric;
use super::options::OutboxOptions;
use super::otlp;
use super::privacy::{Noise, Privacy};
use super::request::{self, DEVICE, Draft, Requests, hex};
use super::state::{self, Bins, Outcome, State};
use crate::Result;
use crate::drift::Profile;
use crate::telemetry::{
    AlertRecord, Drops, FeedbackRecord, ModelInfo, ModelSlot, Position, Record, RolloutRecord, Stamp, Window,
};

/// Models whose totals are kept. The one that was silent longest gives way, and begins anew should it return.
const MODELS: usize = 32;
/// Bytes of the encoded profiles that are kept decoded at once.
const MAX_PROFILES: usize = 1 << 20;
/// A clock that was set back by less is waited for; by more, the counting begins anew.
const STEP: u64 = 3_600_000_000_000;

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    pub(super) options: &'a OutboxOptions,
    pub state: State,
    pub clocks: Clocks,
    noise: &'a mut Noise,
    profiles: BTreeMap<u32, Option<Profile>>,
    profile_bytes: usize,
    pub(super) draft: Draft,
    /// Models whose totals have grown since they were last given, and when they last grew.
    pub(super) due: BTreeMap<u32, u64>,
    pub(super) device_due: Option<u64>,
    pub records: u64,
    /// Numbers that were added up or copied, about.
    pub(super) work: usize,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(options: &'a OutboxOptions, state: State, noise: &'a mut Noise) -> Self {
        Self {
            options,
            clocks: Clocks::new(state.anchors.clone()),
            state,
            noise,
            profiles: BTreeMap::new(),
            profile_bytes: 0,
            draft: Draft::default(),
            due: BTreeMap::new(),
            device_due: None,
            records: 0,
            work: 0,
        }
    }

    /// Whether there is anything to emit.
    pub(super) fn has_news(&self) -> bool {
        !self.draft.is_empty() || !self.due.is_empty() || self.device_due.is_some()
    }

    pub(super) fn apply(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Model(info) => self.model(info),
            Record::Window(window) => self.window(window)?,
            Record::Alert(alert) => self.alert(alert),
            Record::Feedback(feedback) => self.feedback(feedback)?,
            Record::Drops(drops) => self.drops(drops),
            Record::Rollout(rollout) => self.rollout(rollout),
            Record::Anchor(_) | Record::Boot(_) => {}
        }
        Ok(())
    }

    // --- Records into totals ---------------------------------------------------------------------------------------

    fn model(&mut self, info: &ModelInfo) {
        let epoch = info.stamp.epoch;
        // Others of earlier epochs are of no use to later records.
        self.state.slots.retain(|s| s.epoch == epoch || s.lasting);
        self.announce(info);
    }

    /// The model takes its slot.
    pub(super) fn announce(&mut self, info: &ModelInfo) {
        let same = |m: &state::Model| {
            m.digest == info.digest
                && m.profile_digest == info.profile_digest
                && (&m.name, &m.version, &m.backend) == (&info.name, &info.version, &info.backend)
        };
        let key = match self.state.models.iter().find(|m| same(m)) {
            Some(known) => known.key,
            None => self.register(info),
        };
        let (epoch, slot, lasting) = (info.stamp.epoch, info.slot.0, is_lasting(info));
        self.state.slots.retain(|s| s.slot != slot);
        self.state.slots.push(state::Slot { epoch, slot, model: key, lasting });
    }

    /// Slots that these records refer to, and that no model is known to have taken.
    pub(super) fn strangers(&self, records: &[(Position, Record)]) -> BTreeSet<ModelSlot> {
        let mut known: BTreeSet<ModelSlot> = self.state.slots.iter().map(|s| ModelSlot(s.slot)).collect();
        let mut strangers = BTreeSet::new();
        for (_, record) in records {
            match record {
                Record::Model(info) => _ = known.insert(info.slot),
                Record::Window(Window { model_slot: slot, .. })
                | Record::Alert(AlertRecord { model_slot: slot, .. })
                | Record::Feedback(FeedbackRecord { model_slot: slot, .. })
                    if !known.contains(slot) =>
                {
                    strangers.insert(*slot);
                }
                _ => {}
            }
        }
        strangers
    }

    fn register(&mut self, info: &ModelInfo) -> u32 {
        let epoch = info.stamp.epoch;
        while self.state.models.len() >= MODELS {
            let used = |key: u32| {
                let in_slot = self.state.slots.iter().any(|s| s.model == key && s.epoch == epoch);
                in_slot || self.due.contains_key(&key) || self.draft.holds(key)
            };
            let silent = self.state.models.iter().filter(|m| !used(m.key)).min_by_key(|m| m.last);
            let Some(key) = silent.map(|m| m.key) else { break };
            self.state.models.retain(|m| m.key != key);
            self.state.slots.retain(|s| s.model != key);
        }
        self.state.last_key = self.state.last_key.saturating_add(1);
        let key = self.state.last_key;
        self.state.models.push(state::Model {
            key,
            name: info.name.clone(),
            version: info.version.clone(),
            digest: info.digest.to_vec(),
            backend: info.backend.clone(),
            profile: info.profile.clone(),
            profile_digest: info.profile_digest.to_vec(),
            ..state::Model::default()
        });
        key
    }

    /// The model that has the slot in this epoch.
    fn in_slot(&mut self, epoch: u64, slot: ModelSlot) -> Option<u32> {
        let known = self.state.slots.iter_mut().find(|s| s.slot == slot.0 && (s.epoch == epoch || s.lasting))?;
        known.epoch = epoch;
        Some(known.model)
    }

    fn window(&mut self, window: &Window) -> Result<()> {
        let Some(key) = self.in_slot(window.stamp.epoch, window.model_slot) else {
            self.discard("no_model", &window.stamp);
            return Ok(());
        };
        let closed = self.unix(&window.closed, &window.stamp);
        if let Some(closed) = closed {
            let opened = self.clocks.unix(&window.opened).unwrap_or(closed);
            self.place(key, opened, closed);
        }
        let fits = self.fits_profile(key, window);
        if !fits {
            self.discard("profile_mismatch", &window.stamp);
        }
        let privacy = self.options.privacy;
        let Some(model) = self.state.models.iter_mut().find(|m| m.key == key) else { return Ok(()) };
        let totals = &mut model.totals;
        if fits {
            totals.features.resize_with(window.features.len().max(totals.features.len()), Bins::default);
            for (counts, bins) in window.features.iter().zip(&mut totals.features) {
                privacy.add(counts, &mut bins.given, &mut bins.held, self.noise)?;
            }
            let embedded = match &window.embedding[..] {
                [] => vec![],
                signs => [signs, &[window.embedded]].concat(),
            };
            if !embedded.is_empty() || totals.embedding.is_some() {
                let bins = totals.embedding.get_or_insert_default();
                privacy.add(&embedded, &mut bins.given, &mut bins.held, self.noise)?;
            }
        }
        for (counts, bins) in [(&window.confidence, &mut totals.confidence), (&window.entropy, &mut totals.entropy)] {
            privacy.add(counts, &mut bins.given, &mut bins.held, self.noise)?;
        }
        let bins = &mut totals.classes;
        let counts = [&mut bins.given, &mut bins.held];
        privacy.classes(&window.classes, &mut totals.class_ids, counts, self.noise)?;
        count_labels(totals, privacy, self.noise)?;
        let known = totals.outcomes.iter().map(|known| (known.outcome, known.count));
        let of_window = window.outcomes.iter().map(|(outcome, count)| (outcome.bits().into(), *count));
        let outcomes = sums(known.chain(of_window));
        totals.outcomes = outcomes.into_iter().map(|(outcome, count)| Outcome { outcome, count }).collect();
        totals.latency.merge(&window.latency);
        totals.first_token.merge(&window.first_token);
        totals.windows = totals.windows.saturating_add(1);
        totals.rows = totals.rows.saturating_add(window.rows);
        totals.tokens_in = totals.tokens_in.saturating_add(window.tokens_in);
        totals.tokens_out = totals.tokens_out.saturating_add(window.tokens_out);
        Ok(())
    }

    /// Gives a window its time. Times of one model rise, as receivers expect of a cumulative series.
    fn place(&mut self, key: u32, opened: u64, closed: u64) {
        let Some(last) = self.state.model(key).map(|m| m.last) else { return };
        let time = closed.max(last.saturating_add(1));
        let fresh = closed.saturating_add(STEP) < last;
        let due = self.due.get(&key).copied();
        // What grew in an earlier interval is given as it stood then.
        if let Some(due) = due.filter(|due| fresh || self.interval(*due) != self.interval(time)) {
            self.emit(key, due);
        }
        let Some(model) = self.state.model(key) else { return };
        if fresh {
            model.restart();
        }
        model.last = if fresh { closed } else { time };
        if model.start == 0 {
            model.start = opened.min(model.last.saturating_sub(1));
        }
        let time = model.last;
        self.due.insert(key, time);
        if self.state.device.due {
            self.touch_device(time);
        }
    }

    fn interval(&self, time: u64) -> u64 {
        match u64::try_from(self.options.interval.as_nanos()) {
            Ok(0) => time,
            Ok(interval) => time / interval,
            Err(_) => 0,
        }
    }

    fn fits_profile(&mut self, key: u32, window: &Window) -> bool {
        let profile = self.profile(key);
        let signs = profile.and_then(|p| p.embedding.as_ref()).map_or(0, |e| e.positive.len());
        let bins = profile.iter().flat_map(|p| &p.features).map(|f| f.bins.len());
        (window.embedding.is_empty() || window.embedding.len() == signs)
            && bins.eq(window.features.iter().map(Vec::len))
    }

    pub(super) fn profile(&mut self, key: u32) -> Option<&Profile> {
        let model = self.state.models.iter().find(|m| m.key == key)?;
        let bytes = model.profile.len();
        if !self.profiles.contains_key(&key) {
            if self.profile_bytes.saturating_add(bytes) > MAX_PROFILES {
                self.profiles.clear();
                self.profile_bytes = 0;
            }
            self.profile_bytes += bytes;
            self.work += bytes;
        }
        let is_read = (1..=MAX_PROFILES).contains(&bytes);
        let decode = || is_read.then(|| Profile::decode(&model.profile).ok()).flatten();
        self.profiles.entry(key).or_insert_with(decode).as_ref()
    }

    fn feedback(&mut self, feedback: &FeedbackRecord) -> Result<()> {
        let Some(key) = self.in_slot(feedback.stamp.epoch, feedback.model_slot) else {
            self.discard("no_model", &feedback.stamp);
            return Ok(());
        };
        if let Some(time) = self.unix(&feedback.stamp, &feedback.stamp) {
            self.place(key, time, time);
        }
        if let Some(model) = self.state.model(key) {
            let right = feedback.predicted == feedback.truth;
            let labels = if right { &mut model.totals.right } else { &mut model.totals.wrong };
            *labels = labels.saturating_add(1);
            // Noise on each label would bury them: it comes once, with the next window.
            if self.options.privacy.epsilon.is_none() {
                count_labels(&mut model.totals, self.options.privacy, self.noise)?;
            }
        }
        Ok(())
    }

    fn drops(&mut self, drops: &Drops) {
        for (reason, total) in &drops.totals {
            match self.state.device.losses.iter_mut().find(|l| l.reason == reason.name()) {
                Some(loss) => loss.count = *total,
                None => self.state.add_loss(reason.name(), *total),
            }
        }
        self.state.device.due = true;
        self.clocks.unix(&drops.stamp).into_iter().for_each(|time| self.touch_device(time));
    }

    fn discard(&mut self, reason: &str, stamp: &Stamp) {
        self.state.add_loss(reason, 1);
        self.clocks.unix(stamp).into_iter().for_each(|time| self.touch_device(time));
    }

    fn touch_device(&mut self, time: u64) {
        let device = &mut self.state.device;
        device.due = false;
        if time.saturating_add(STEP) < device.last {
            (device.start, device.last) = (0, 0);
        }
        device.last = time.max(device.last.saturating_add(1));
        if device.start == 0 {
            device.start = device.last.saturating_sub(1);
        }
        self.device_due = Some(device.last);
    }

    fn unix(&self, moment: &Stamp, sealed: &Stamp) -> Option<u64> {
        self.clocks.unix(moment).or_else(|| self.clocks.unix(sealed))
    }

    // --- Totals into points, alerts into log records ---------------------------------------------------------------

    fn emit(&mut self, key: u32, time: u64) {
        self.profile(key);
        let profile = self.profiles.get(&key).and_then(Option::as_ref);
        let Some(model) = self.state.models.iter().find(|m| m.key == key) else { return };
        let points = metric::of_model(model, profile, self.options.privacy, time);
        points.into_iter().for_each(|(metric, point)| self.draft.point(key, metric, point));
        self.due.remove(&key);
    }

    fn alert(&mut self, alert: &AlertRecord) {
        let key = self.in_slot(alert.stamp.epoch, alert.model_slot).unwrap_or(DEVICE);
        let time = self.unix(&alert.stamp, &alert.stamp).unwrap_or(0);
        let since = self.clocks.unix(&alert.since);
        let uid = self.uid(alert.stamp.position());
        self.draft.log(key, request::log_record(&self.options.privacy.alert(alert), time, since, &uid));
    }

    /// The numbers of its findings stay on the device.
    fn rollout(&mut self, rollout: &RolloutRecord) {
        let time = self.unix(&rollout.stamp, &rollout.stamp).unwrap_or(0);
        let uid = self.uid(rollout.stamp.position());
        self.draft.log(DEVICE, request::rollout_record(rollout, time, &uid));
    }

    /// The same record has the same id whenever it is sent, so that a receiver can tell a copy.
    fn uid(&self, position: Position) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.state.install);
        hash.update(position.epoch.to_le_bytes());
        hash.update(position.seq.to_le_bytes());
        hex(&hash.finalize()[..16])
    }

    /// Emits what is due and gives the two requests.
    pub(super) fn finish(&mut self) -> Requests {
        for (key, time) in std::mem::take(&mut self.due) {
            self.emit(key, time);
        }
        if let Some(time) = self.device_due.take() {
            let points = metric::of_device(&self.state.device, time);
            points.into_iter().for_each(|(metric, point)| self.draft.point(DEVICE, metric, point));
        }
        std::mem::take(&mut self.draft).requests(|key| self.resource(key))
    }

    pub(super) fn resource(&self, key: u32) -> otlp::Resource {
        let model = self.state.models.iter().find(|m| m.key == key);
        request::resource(self.options, &self.state.install, model)
    }
}

impl State {
    /// All counting begins anew.
    pub(super) fn restart(&mut self) {
        self.models.iter_mut().for_each(state::Model::restart);
        (self.device.start, self.device.last) = (0, 0);
        self.device.losses.iter_mut().for_each(|loss| loss.before = loss.count);
    }
}

impl state::Model {
    /// Counting begins anew; what was held back stays so.
    pub(super) fn restart(&mut self) {
        let old = std::mem::take(&mut self.totals);
        let held = |bins: Bins| Bins { given: vec![0; bins.given.len()], held: bins.held };
        self.totals.features = old.features.into_iter().map(held).collect();
        self.totals.classes = held(old.classes);
        self.totals.class_ids = old.class_ids;
        self.totals.confidence = held(old.confidence);
        self.totals.entropy = held(old.entropy);
        self.totals.embedding = old.embedding.map(held);
        self.totals.feedback = old.feedback.map(held);
        (self.totals.right, self.totals.wrong) = (old.right, old.wrong);
        (self.start, self.last) = (0, 0);
    }
}

/// Whether the slot stands for this model whenever it is used.
pub(super) fn is_lasting(info: &ModelInfo) -> bool {
    info.slot == ModelInfo::slot_of(&info.digest, &info.profile)
}

/// Counts by their key, which may come more than once; in the order in which the keys come first.
fn sums(counts: impl Iterator<Item = (u32, u64)>) -> Vec<(u32, u64)> {
    let (mut sums, mut places) = (Vec::<(u32, u64)>::new(), BTreeMap::new());
    for (key, count) in counts {
        let place = *places.entry(key).or_insert(sums.len());
        match sums.get_mut(place) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => sums.push((key, count)),
        }
    }
    sums
}

/// Adds the labels that came since to those that are given out and held back.
fn count_labels(totals: &mut state::Totals, privacy: Privacy, noise: &mut Noise) -> Result<()> {
    let labels = [std::mem::take(&mut totals.right), std::mem::take(&mut totals.wrong)];
    if labels == [0, 0] && totals.feedback.is_none() {
        return Ok(());
    }
    let bins = totals.feedback.get_or_insert_default();
    privacy.add(&labels, &mut bins.given, &mut bins.held, noise)
}
