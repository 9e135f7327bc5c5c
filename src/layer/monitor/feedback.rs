//! Feedback: the ground truth about earlier answers.

use super::history::seal;
use super::model_watch::MonitoredModel;
use crate::drift::LabelVerdict;
use crate::telemetry::{FeedbackRecord, Inference, Record, Telemetry};

/// The ground truth about an earlier answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Label {
    /// The class that would have been right.
    Class(u16),
    /// Whether the answer was right, where the truth is no class: a text that its reader liked, say.
    Correct(bool),
}

impl MonitoredModel {
    /// Counts the label of an earlier answer and seals it. An alert is raised at the label that shows the drift.
    pub(super) fn feedback(&mut self, id: u64, label: Label, telemetry: &Telemetry) -> LabelVerdict {
        let Some(answer) = self.accuracy.concept.waiting_for(id) else { return LabelVerdict::Unknown };
        let before = self.accuracy.of_labels();
        let (feedback, predicted, truth) = match label {
            Label::Class(truth) => (self.accuracy.concept.feedback(id, truth), answer.class, truth),
            // There is no class to report: 1 stands for what was right.
            Label::Correct(right) => (self.accuracy.concept.feedback_right(id, right), 1, u16::from(right)),
        };
        let model = self.slot();
        let label = FeedbackRecord {
            model_slot: model,
            id,
            predicted,
            truth,
            confidence: Inference::quantize(answer.confidence),
            window: answer.window,
            ..FeedbackRecord::default()
        };
        seal(telemetry, &Record::Feedback(label));
        if self.reliability().is_some() {
            self.accuracy.label(answer.window, answer.confidence, predicted == truth);
        }
        let LabelVerdict::Drifted { .. } = feedback else { return feedback };
        let before = *self.accuracy.before_drift.get_or_insert(before.map_or(1.0, |share| share.value));
        let index = self.index();
        let change = self.alerts.accuracy_fell(self.accuracy.of_labels(), before, model, index, telemetry.now());
        if let Some(change) = change {
            self.publish(change, telemetry);
        }
        feedback
    }
}
