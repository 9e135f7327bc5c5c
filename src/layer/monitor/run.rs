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
        let record = CallRecord { id, arm, sheet, waited: began.elapsed(), first_token: None };
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
        let step = self.run.step();
        // A run that has ended gives an error, and was recorded.
        let Some(record) = &mut self.record else { return step };
        record.waited += began.elapsed();
        match step {
            Ok(Step::Done(mut answer)) => {
                if let Some(record) = self.record.take() {
                    record.answered(&self.recorder, &answer);
                }
                answer.provenance = self.recorder.route(answer.provenance);
                Ok(Step::Done(answer))
            }
            Ok(Step::Event(event)) => {
                record.first_token.get_or_insert(record.waited);
                Ok(Step::Event(event))
            }
            Ok(step) => Ok(step),
            Err(error) => {
                if let Some(record) = self.record.take() {
                    record.failed(&self.recorder, error.code());
                }
                Err(error)
            }
        }
    }
}

impl Drop for MonitorRun {
    fn drop(&mut self) {
        // Dropping a run cancels it; one that unwinds through a step has panicked.
        let code = if std::thread::panicking() { Code::Panic } else { Code::Cancelled };
        if let Some(record) = self.record.take() {
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
