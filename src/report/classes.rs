//! Classes of alerts: how often each was raised, and how many rows it is about.

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

/// Counts alerts and rows, in the order of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    pub(super) list: Vec<AlertClass>,
    standing: Vec<AlertRecord>,
    /// Rows of the last window of each slot.
    last: Vec<(ModelSlot, u64)>,
}

impl Classes {
    pub(super) fn window(&mut self, window: &Window) {
        let slot = window.model_slot;
        for class in self.list.iter_mut().filter(|class| class.model_slot == slot && class.standing > 0) {
            class.rows = class.rows.saturating_add(window.rows);
        }
        self.last.retain(|(of, _)| *of != slot);
        self.last.push((slot, window.rows));
    }

    /// An alert comes after the window that raised or cleared it.
    pub(super) fn alert(&mut self, alert: &AlertRecord) {
        let rows = self.last.iter().find(|(slot, _)| *slot == alert.model_slot).map_or(0, |(_, rows)| *rows);
        let stands = self.standing.iter().position(|a| is_same(a, alert));
        match (stands, alert.raised) {
            (None, true) => {
                let class = self.class(alert);
                class.raised += 1;
                class.rows = class.rows.saturating_add(if class.standing == 0 { rows } else { 0 });
                class.standing += 1;
                self.standing.push(alert.clone());
            }
            (Some(at), false) => {
                let raised = self.standing.swap_remove(at);
                let class = self.class(&raised);
                class.standing -= 1;
                class.rows = class.rows.saturating_sub(if class.standing == 0 { rows } else { 0 });
            }
            _ => {}
        }
    }

    fn class(&mut self, alert: &AlertRecord) -> &mut AlertClass {
        let (model_slot, code) = (alert.model_slot, &alert.code);
        let known = self.list.iter().position(|class| class.model_slot == model_slot && class.code == *code);
        let at = known.unwrap_or_else(|| {
            self.list.push(AlertClass { model_slot, code: code.clone(), raised: 0, standing: 0, rows: 0 });
            self.list.len() - 1
        });
        &mut self.list[at]
    }
}

/// Whether two records are of one alert: a feature's finding may change while its alert stands.
pub(super) fn is_same(a: &AlertRecord, b: &AlertRecord) -> bool {
    let of_one_kind = a.code == b.code || a.code.is_of_feature() && b.code.is_of_feature();
    a.model_slot == b.model_slot && a.feature == b.feature && of_one_kind
}
