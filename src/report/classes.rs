//! Classes of alerts: how often each was raised, and how many rows it is about.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::telemetry::{AlertCode, AlertRecord, ModelSlot, Window};

/// The alerts of one model that are of one class, as `dead_feature`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertClass {
    /// The model.
    pub model_slot: ModelSlot,
    /// The class. An alert is of the class that it was raised with.
    pub code: AlertCode,
    /// How often one was raised.
    pub raised: u64,
    /// How many stand at the end of the log.
    pub standing: u64,
    /// Rows of the windows during which one stood: from the window that raised it to the last before it was cleared.
    /// A window counts once, however many features are concerned.
    pub rows: u64,
}

/// Classes of one model that are told apart.
const MAX_CLASSES: usize = 64;

/// What alerts are one by: the model, the feature, and the code, where it is not of a feature: a feature's finding may change
/// while its alert stands.
type Key = (ModelSlot, Option<String>, Option<String>);

/// Counts alerts and rows, in the order of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    /// By model, the first raised first.
    list: BTreeMap<ModelSlot, Vec<AlertClass>>,
    /// Alerts that stand, by the place of their class.
    standing: BTreeMap<Key, usize>,
    /// Rows of the last window of each model.
    last: BTreeMap<ModelSlot, u64>,
}

impl Classes {
    /// Those of a model.
    pub(super) fn of(&self, slot: ModelSlot) -> &[AlertClass] {
        self.list.get(&slot).map_or(&[], Vec::as_slice)
    }

    pub(super) fn window(&mut self, window: &Window) {
        let slot = window.model_slot;
        for class in self.list.get_mut(&slot).into_iter().flatten().filter(|class| class.standing > 0) {
            class.rows = class.rows.saturating_add(window.rows);
        }
        self.last.insert(slot, window.rows);
    }

    /// An alert comes after the window that raised or cleared it.
    pub(super) fn alert(&mut self, alert: &AlertRecord) {
        let slot = alert.model_slot;
        let rows = self.last.get(&slot).copied().unwrap_or(0);
        let code = (!alert.code.is_of_feature()).then(|| alert.code.name().to_owned());
        let key = (slot, alert.feature.as_deref().map(str::to_owned), code);
        let classes = self.list.entry(slot).or_default();
        if alert.raised {
            let known = classes.iter().position(|class| class.code == alert.code);
            let Some(at) = known.or((classes.len() < MAX_CLASSES).then_some(classes.len())) else { return };
            if let Entry::Vacant(place) = self.standing.entry(key) {
                place.insert(at);
                if known.is_none() {
                    let code = alert.code.clone();
                    classes.push(AlertClass { model_slot: slot, code, raised: 0, standing: 0, rows: 0 });
                }
                let class = &mut classes[at];
                class.raised += 1;
                class.rows = class.rows.saturating_add(if class.standing == 0 { rows } else { 0 });
                class.standing += 1;
            }
        } else if let Some(class) = self.standing.remove(&key).and_then(|at| classes.get_mut(at)) {
            class.standing -= 1;
            class.rows = class.rows.saturating_sub(if class.standing == 0 { rows } else { 0 });
        }
    }
}
