//! The filling of a batch: as many records as fit, in a bounded time.

use std::collections::BTreeMap;

use prost::Message;

use super::bound::is_bounded;
use super::clock;
use super::ledger::Ledger;
use super::metric;
use super::request::{self, DEVICE};
use super::state::{self, State};
use crate::Result;
use crate::telemetry::{Position, Record};

/// Numbers that are added up or copied for one batch, about: some tens of milliseconds. The next batch goes on from there.
const MAX_WORK: usize = 16 << 20;

/// What records can be taken back to.
struct Mark {
    state: State,
    draft: request::Mark,
    due: BTreeMap<u32, u64>,
    device_due: Option<u64>,
    records: u64,
}

impl Ledger<'_> {
    /// Adds records, oldest first, until they would take more than `max_bytes`, or have cost more work than one batch may:
    /// then it says `false`. The first record is added in any case, so that there is progress.
    ///
    /// Many records are added at once; only where they are too many, fewer are tried.
    pub(super) fn add(&mut self, records: &[(Position, Record)], max_bytes: usize) -> Result<bool> {
        for (_, record) in records {
            if let Record::Anchor(anchor) = record {
                self.clocks.add(anchor);
            }
        }
        let (mut left, mut size) = (records, records.len());
        while !left.is_empty() {
            if self.is_worn() {
                return Ok(false);
            }
            let mark = self.mark();
            let added = self.add_some(&left[..size.min(left.len())], max_bytes)?;
            if self.draft.bytes() <= max_bytes && self.bytes_up_to(max_bytes) <= max_bytes {
                left = &left[added..];
            } else if added == 1 && mark.records == 0 {
                return Ok(left.len() == 1);
            } else {
                self.back(mark);
                if added == 1 {
                    return Ok(false);
                }
                size = added / 2;
            }
        }
        Ok(true)
    }

    /// Whether the batch has cost its work.
    pub(super) fn is_worn(&self) -> bool {
        self.records > 0 && self.work >= MAX_WORK
    }

    /// Adds records until all are, or it is seen that they are too many. Returns how many: at least one.
    fn add_some(&mut self, records: &[(Position, Record)], max_bytes: usize) -> Result<usize> {
        for (i, (position, record)) in records.iter().enumerate() {
            self.work += self.cost(record);
            self.apply(record)?;
            self.records += 1;
            let (Position { epoch, seq }, stamp) = (*position, record.stamp());
            self.state.through = state::Through { epoch, seq, boot: stamp.boot.to_vec() };
            if let Record::Anchor(anchor) = record {
                clock::remember(&mut self.state.anchors, anchor);
            }
            if self.draft.bytes() > max_bytes || self.is_worn() {
                return Ok(i + 1);
            }
        }
        Ok(records.len())
    }

    /// About how many numbers adding the record touches.
    fn cost(&self, record: &Record) -> usize {
        let (slots, models) = (self.state.slots.len(), self.state.models.len());
        match record {
            Record::Model(info) => 64 + slots * (models + 1) + info.profile.len() / 8,
            Record::Window(window) => {
                let key = self.state.slots.iter().find(|s| s.slot == window.model_slot.0).map(|s| s.model);
                let totals = self.state.models.iter().find(|m| Some(m.key) == key).map(|m| &m.totals);
                let known = totals.map_or(0, |t| t.class_ids.len() + t.outcomes.len());
                64 + slots + window.memory() / 8 + 16 * known
            }
            _ => 16 + slots,
        }
    }

    fn mark(&mut self) -> Mark {
        self.work += weight(&self.state);
        Mark {
            state: self.state.clone(),
            draft: self.draft.mark(),
            due: self.due.clone(),
            device_due: self.device_due,
            records: self.records,
        }
    }

    fn back(&mut self, mark: Mark) {
        self.state = mark.state;
        self.draft.back(mark.draft);
        (self.due, self.device_due, self.records) = (mark.due, mark.device_due, mark.records);
    }

    /// An upper bound of the bytes of both requests, if they were made now; not much more than `most` where they would be
    /// more.
    fn bytes_up_to(&mut self, most: usize) -> usize {
        let mut sizes = self.draft.sizes();
        let due: Vec<(u32, u64)> = self.due.iter().map(|(key, time)| (*key, *time)).collect();
        for (key, time) in due {
            if let Some(model) = self.state.models.iter().find(|m| m.key == key).cloned() {
                let points = metric::of_model(&model, self.profile(key), time);
                self.work += 8 * points.len();
                points.iter().for_each(|(metric, point)| sizes.add(key, *metric, point));
            }
            if sizes.total(|key| self.resource(key)) > most {
                break;
            }
        }
        for (metric, point) in self.device_due.into_iter().flat_map(|time| metric::of_device(&self.state.device, time))
        {
            sizes.add(DEVICE, metric, &point);
        }
        sizes.total(|key| self.resource(key))
    }
}

/// Slots that a state remembers.
const MAX_SLOTS: usize = 4096;

/// Brings a state within what is read again: the slots that were used first give way, and the models that were silent
/// longest, which begin anew should they return.
pub(super) fn bring_within(state: &mut State) {
    state.slots.drain(..state.slots.len().saturating_sub(MAX_SLOTS));
    while state.models.len() > 1 && !is_bounded(&state.encode_to_vec()) {
        let silent = state.models.iter().min_by_key(|model| model.last).map(|model| model.key);
        state.models.retain(|model| Some(model.key) != silent);
        state.slots.retain(|slot| Some(slot.model) != silent);
    }
}

/// About how many numbers a copy of the state has.
fn weight(state: &State) -> usize {
    let of_bins = |bins: &state::Bins| bins.given.len() + bins.held.len();
    let of_model = |model: &state::Model| {
        let totals = &model.totals;
        let single = [&totals.classes, &totals.confidence, &totals.entropy].map(of_bins).iter().sum::<usize>();
        let embedding = totals.embedding.as_ref().map_or(0, of_bins);
        let features = totals.features.iter().map(|bins| 8 + of_bins(bins)).sum::<usize>();
        let others = totals.outcomes.len() + totals.class_ids.len() + model.profile.len() / 8;
        64 + single + embedding + features + others
    };
    state.models.iter().map(of_model).sum::<usize>() + 2 * state.slots.len()
}
