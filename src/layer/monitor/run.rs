//! Run of a monitored call.

use std::sync::Arc;
use std::time::Instant;

use super::call_record::{CallRecord, arm_of};
use super::recorder::Recorder;
use crate::engine::{Answer, Call, Request, Run, Step};
use crate::telemetry::Outcome;
use crate::{Code, Result};

/// Steps the run below, and records how it ended.
pub(super) struct MonitorRun {
    recorder: Arc<Recorder>,
    run: Box<dyn Run>,
    record: Option<CallRecord>,
}

impl MonitorRun {
    pub(super) fn start(recorder: &Arc<Recorder>, request: Request, call: Call) -> Result<Self> {
        let mut sheet = recorder.sheet();
        recorder.observe(&mut sheet, |probe, rows| probe.request(&request, rows));
        let (id, arm, began) = (call.id, call.exposure.map(arm_of), Instant::now());
        let started = recorder.engine.start(request, call);
        let ended = Instant::now();
        let record = CallRecord { id, arm, sheet, waited: ended - began, first_token: None, ended };
        match started {
            Ok(run) => Ok(Self { recorder: recorder.clone(), run, record: Some(record) }),
            Err(error) => {
                record.failed(recorder, error.code());
                Err(error)
            }
        }
    }
}

impl Run for MonitorRun {
    fn step(&mut self) -> Result<Step> {
        let began = Instant::now();
        let mut step = self.run.step();
        // A run that has ended gives an error, and was recorded.
        let Some(record) = &mut self.record else { return step };
        record.ended = Instant::now();
        record.waited += record.ended - began;
        // Looked at where it lies: a whole answer is in it.
        match &mut step {
            Ok(Step::Done(answer)) => {
                if let Some(record) = self.record.take() {
                    record.answered(&self.recorder, answer);
                }
                answer.provenance = self.recorder.route(answer.provenance.clone());
            }
            Ok(Step::Event(_)) => {
                record.first_token.get_or_insert(record.waited);
            }
            Ok(_) => {}
            Err(error) => {
                let code = error.code();
                if let Some(record) = self.record.take() {
                    record.failed(&self.recorder, code);
                }
            }
        }
        step
    }
}

impl Drop for MonitorRun {
    fn drop(&mut self) {
        // Dropping a run cancels it; one that unwinds through a step has panicked.
        let code = if std::thread::panicking() { Code::Panic } else { Code::Cancelled };
        if let Some(mut record) = self.record.take() {
            record.ended = Instant::now();
            record.failed(&self.recorder, code);
        }
    }
}

impl CallRecord {
    fn answered(mut self, recorder: &Arc<Recorder>, answer: &Answer) {
        recorder.observe(&mut self.sheet, |probe, rows| probe.answer(answer, rows));
        recorder.record_answer(&self, answer);
        recorder.put_back(self.sheet);
    }

    fn failed(self, recorder: &Arc<Recorder>, code: Code) {
        recorder.record_failure(&self, Outcome::failed(code));
        recorder.put_back(self.sheet);
    }
}
