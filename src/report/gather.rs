//! The gathering of a folder's records into a story, in bounded memory: the oldest windows and alerts give way.

use std::collections::VecDeque;
use std::path::Path;

use super::classes::Classes;
use super::story::{Model, Seen, Story};
use crate::Result;
use crate::telemetry::{
    AlertRecord, Anchor, FeedbackRecord, Inference, ModelInfo, ModelSlot, Reason, Record, RolloutRecord, Window, visit,
};

/// Memory that windows take at most, and alerts, if the folder's files do not ask for more.
const MAX_WINDOWS: usize = 12 << 20;
const MAX_ALERTS: usize = 6 << 20;
/// Steps of versions, the latest ones, and the memory that they take at most.
const MAX_STEPS: usize = 1024;
const MAX_STEP_MEMORY: usize = 1 << 20;
/// The same, in lengths of the files.
const GROWTH: usize = 5;
/// Features of windows that are judged, the latest ones; of a large folder, one for so many bytes of its files.
const MAX_JUDGED: usize = 24_000;
const BYTES_PER_JUDGED: usize = 128;
/// Bytes of the profiles that are read for it; of a large folder, a part of its files.
const MAX_PROFILES: usize = 1 << 20;
/// Models that are told apart; those without windows give way first, then the oldest.
const MAX_MODELS: usize = 128;

impl Story {
    /// Reads what lies in the folder, whether or not an app has it open. Nothing is changed. Records that were
    /// acknowledged stay in it up to [`Limits::history_bytes`](crate::telemetry::Limits::history_bytes), so the story
    /// begins with the oldest that is kept.
    ///
    /// What is damaged is left out, and counted. So are the oldest windows and alerts where they would take tens of megabytes
    /// of memory: a folder is read in a time that grows as its bytes do, whoever wrote them.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Io`.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut gathered = Gathered::default();
        let damaged = visit(folder, |_, record, file_bytes| gathered.take(record, file_bytes))?;
        let (models, alerts) = gathered.finish();
        let Gathered { mut clocks, losses, records, boots, left_out, classes, rollouts, .. } = gathered;
        clocks.sort_by_key(|a| (a.stamp.boot, a.stamp.epoch, a.monotonic_ns));
        let left_out = left_out.saturating_add(damaged);
        let (rollouts, stored, crashed) = (rollouts.into(), Vec::new(), Vec::new());
        Ok(Self { models, alerts, rollouts, stored, crashed, losses, records, boots, left_out, clocks, classes })
    }
}

/// What was gathered so far.
#[derive(Default)]
struct Gathered {
    /// Oldest first.
    models: Vec<Entry>,
    next: u64,
    /// Oldest first, each with the number of its model.
    windows: VecDeque<(u64, Window)>,
    window_memory: usize,
    alerts: VecDeque<AlertRecord>,
    alert_memory: usize,
    rollouts: VecDeque<RolloutRecord>,
    rollout_memory: usize,
    classes: Classes,
    clocks: Vec<Anchor>,
    losses: Vec<(Reason, u64)>,
    records: usize,
    boots: usize,
    /// That of the last record.
    epoch: u64,
    left_out: u64,
    /// Bytes of all files so far.
    file_bytes: usize,
}

/// A model so far.
struct Entry {
    /// Rises from model to model.
    number: u64,
    model: Model,
    /// Windows of it that were gathered.
    windows: usize,
}

impl Gathered {
    fn take(&mut self, record: Record, file_bytes: usize) {
        self.records += 1;
        self.file_bytes = file_bytes;
        self.begin(record.stamp().epoch);
        match record {
            Record::Boot(_) => self.boots += 1,
            Record::Anchor(anchor) => self.clocks.push(anchor),
            Record::Model(info) => self.register(info),
            Record::Window(window) => {
                self.classes.window(&window);
                self.window(window);
            }
            Record::Feedback(label) => self.label(&label),
            Record::Alert(alert) => {
                self.classes.alert(&alert);
                self.alert(alert);
            }
            Record::Rollout(rollout) => self.rollout(rollout),
            // Each holds what the ones before held.
            Record::Drops(drops) => self.losses = drops.totals,
        }
    }

    /// The models that have closed a window, with their windows judged, and the alerts.
    fn finish(&mut self) -> (Vec<Model>, Vec<AlertRecord>) {
        self.models.iter_mut().for_each(|entry| entry.model.windows.reserve_exact(entry.windows));
        for (number, window) in std::mem::take(&mut self.windows) {
            match self.entry(number) {
                Some(entry) => entry.model.windows.push(Seen { window, verdict: None }),
                // Its model gave way.
                None => self.left_out += 1,
            }
        }
        let mut models: Vec<Model> = std::mem::take(&mut self.models).into_iter().map(|entry| entry.model).collect();
        models.retain(|model| !model.windows.is_empty());
        let mut judged = MAX_JUDGED.max(self.file_bytes / BYTES_PER_JUDGED);
        let mut profiles = MAX_PROFILES.max(self.file_bytes / 4);
        for model in models.iter_mut().rev() {
            // A reference that is larger than all the rest leaves the counts alone.
            let Some(left) = profiles.checked_sub(model.info.profile.len()) else { continue };
            profiles = left;
            judged -= model.judge(judged);
        }
        (models, std::mem::take(&mut self.alerts).into())
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let at = self.models.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.models.get_mut(at)
    }

    fn most(&self, least: usize) -> usize {
        least.max(self.file_bytes.saturating_mul(GROWTH))
    }

    /// A model takes a slot, is named again, or has its name found.
    fn register(&mut self, info: ModelInfo) {
        match self.models.iter_mut().rev().map(|entry| &mut entry.model).find(|m| m.info.slot == info.slot) {
            Some(model) if model.is_nameless => {
                let (labels, cohorts) = (model.labels, std::mem::take(&mut model.cohorts));
                *model = Model { labels, cohorts, ..Model::new(info) };
            }
            Some(model) if is_same(&model.info, &info) => model.info = info,
            _ => self.add(Model::new(info)),
        }
    }

    /// The model that took a slot last; a nameless one if its introduction has given way to the log's limit.
    fn of_slot(&mut self, slot: ModelSlot) -> &mut Entry {
        let at = self.models.iter().rposition(|entry| entry.model.info.slot == slot).unwrap_or_else(|| {
            let info = ModelInfo { slot, name: format!("model {}", slot.0), ..ModelInfo::default() };
            self.add(Model { is_nameless: true, ..Model::new(info) });
            self.models.len() - 1
        });
        &mut self.models[at]
    }

    fn add(&mut self, model: Model) {
        if self.models.len() >= MAX_MODELS {
            self.models.retain(|entry| entry.windows > 0);
            // Many at once, so that a folder of many models is no more work than one of few.
            let beyond = self.models.len().saturating_sub(MAX_MODELS / 2);
            self.models.drain(..beyond);
        }
        self.models.push(Entry { number: self.next, model, windows: 0 });
        self.next += 1;
    }

    fn window(&mut self, window: Window) {
        let entry = self.of_slot(window.model_slot);
        entry.windows += 1;
        entry.model.cohorts.close(window.index, &window.confidence);
        let number = entry.number;
        self.window_memory += memory_of(&window);
        self.windows.push_back((number, window));
        while self.window_memory > self.most(MAX_WINDOWS)
            && let Some((number, oldest)) = self.windows.pop_front()
        {
            self.window_memory -= memory_of(&oldest);
            self.left_out += 1;
            self.entry(number).into_iter().for_each(|entry| entry.windows -= 1);
        }
    }

    fn alert(&mut self, alert: AlertRecord) {
        self.alert_memory += size_of::<AlertRecord>() + alert.memory();
        self.alerts.push_back(alert);
        while self.alert_memory > self.most(MAX_ALERTS)
            && let Some(oldest) = self.alerts.pop_front()
        {
            self.alert_memory -= size_of::<AlertRecord>() + oldest.memory();
            self.left_out += 1;
        }
    }
}

impl Gathered {
    /// Where another process begins, no label comes any more for the answers of the one before.
    fn begin(&mut self, epoch: u64) {
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.models.iter_mut().for_each(|entry| entry.model.cohorts.restart());
        }
    }

    fn label(&mut self, label: &FeedbackRecord) {
        let (model, right) = (&mut self.of_slot(label.model_slot).model, label.predicted == label.truth);
        model.labels.0 += 1;
        model.labels.1 += u64::from(right);
        if let Some(confidence) = Inference::unit(label.confidence) {
            model.cohorts.label(label.window, confidence, right);
        }
    }

    fn rollout(&mut self, rollout: RolloutRecord) {
        self.rollout_memory += rollout.memory();
        self.rollouts.push_back(rollout);
        while (self.rollouts.len() > MAX_STEPS || self.rollout_memory > MAX_STEP_MEMORY)
            && let Some(oldest) = self.rollouts.pop_front()
        {
            self.rollout_memory -= oldest.memory();
            self.left_out += 1;
        }
    }
}

fn is_same(a: &ModelInfo, b: &ModelInfo) -> bool {
    (&a.name, &a.version, a.digest, &a.profile) == (&b.name, &b.version, b.digest, &b.profile)
}

fn memory_of(window: &Window) -> usize {
    size_of::<Seen>() + window.memory()
}
