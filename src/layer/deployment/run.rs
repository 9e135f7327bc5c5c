//! Run of a call through a deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arm::Arm;
use super::serving::Serving;
use super::shadow::{ShadowLane, owned};
use super::view::Shared;
use crate::engine::{Answer, Call, Progress, Request, Run, Step};
use crate::layer::route;
use crate::{Code, Error, Result};

/// Steps the run of the version that was picked, and counts how it ended. Its version is kept until it ends.
pub(super) struct DeploymentRun {
    shared: Arc<Shared>,
    at: Stage,
}

#[allow(clippy::large_enum_variant, reason = "a run has one, for as long as it runs")]
enum Stage {
    /// No version is loaded: the call waits for the next.
    Waiting(Box<(Request, Call)>),
    Running(Running),
    Ended,
}

struct Running {
    // The run before its engine.
    run: Box<dyn Run>,
    serving: Arc<Serving>,
    waited: Duration,
    shadow: Option<(Arc<ShadowLane>, Request)>,
}

/// How long a step of a call that waits takes at most.
const NAP: Duration = Duration::from_millis(2);

impl DeploymentRun {
    pub(super) fn start(shared: &Arc<Shared>, request: Request, call: Call) -> Result<Self> {
        let at = match shared.pick(&request, &call)? {
            Some(serving) => Stage::Running(Running::start(shared, serving, request, call)?),
            None => {
                call.check()?;
                Stage::Waiting(Box::new((request, call)))
            }
        };
        Ok(Self { shared: shared.clone(), at })
    }

    fn wait(&mut self, request: Request, call: Call) -> Result<Step> {
        call.check()?;
        match self.shared.pick(&request, &call)? {
            Some(serving) => self.at = Stage::Running(Running::start(&self.shared, serving, request, call)?),
            None => {
                let left = call.deadline.map_or(NAP, |deadline| deadline.saturating_duration_since(Instant::now()));
                std::thread::sleep(left.min(NAP));
                self.at = Stage::Waiting(Box::new((request, call)));
            }
        }
        Ok(Step::Working(Progress::new(0, None)))
    }
}

impl Run for DeploymentRun {
    fn step(&mut self) -> Result<Step> {
        match std::mem::replace(&mut self.at, Stage::Ended) {
            Stage::Waiting(waits) => self.wait(waits.0, waits.1),
            Stage::Running(mut running) => {
                let step = running.step(&self.shared);
                match step {
                    Ok(Step::Done(_)) | Err(_) => {}
                    Ok(_) => self.at = Stage::Running(running),
                }
                step
            }
            Stage::Ended => Err(Error::invalid("step: expected a run under way, got one that has ended")),
        }
    }
}

impl Running {
    fn start(shared: &Shared, serving: Arc<Serving>, request: Request, mut call: Call) -> Result<Self> {
        use std::sync::atomic::Ordering::Relaxed;
        serving.tally.exposed.fetch_add(1, Relaxed);
        let shadow = shadow_of(shared, &serving, &request);
        call.exposure = Some(serving.arm.exposure());
        let began = shared.judge.objective().map(|_| Instant::now());
        match serving.engine.start(request, call) {
            Ok(run) => {
                let waited = began.map_or(Duration::ZERO, |began| began.elapsed());
                Ok(Self { run, serving, waited, shadow })
            }
            Err(error) => {
                count_failure(shared, &serving, &error);
                Err(error)
            }
        }
    }

    fn step(&mut self, shared: &Shared) -> Result<Step> {
        let objective = shared.judge.objective();
        let began = objective.map(|_| Instant::now());
        let step = self.run.step();
        self.waited += began.map_or(Duration::ZERO, |began| began.elapsed());
        match step {
            Ok(Step::Done(answer)) => {
                let ended = self.serving.tally.end(false, objective.map(|objective| (self.waited, objective)));
                shared.judge(&self.serving, ended);
                Ok(Step::Done(self.routed(answer)))
            }
            Ok(step) => Ok(step),
            Err(error) => {
                count_failure(shared, &self.serving, &error);
                Err(error)
            }
        }
    }

    /// The answer with version and arm on its route; a copy of it goes into the shadow.
    fn routed(&mut self, mut answer: Answer) -> Answer {
        let Serving { version, arm, engine, spec, .. } = &*self.serving;
        let usual = &engine.spec().provenance;
        answer.provenance = if Arc::ptr_eq(&answer.provenance, usual) {
            spec.provenance.clone()
        } else {
            route::provenance(&arm.layer(version), answer.provenance, usual, &spec.provenance)
        };
        if let Some((lane, request)) = self.shadow.take() {
            lane.push(request, &answer);
        }
        answer
    }
}

/// What the caller ended counts for nothing; callers ask both arms the same, so whatever else failed counts.
fn count_failure(shared: &Shared, serving: &Serving, error: &Error) {
    if error.code() != Code::Cancelled {
        let ended = serving.tally.end(true, None);
        shared.judge(serving, ended);
    }
}

/// The copy of a request for the shadow, if there is one and it has room.
fn shadow_of(shared: &Shared, serving: &Serving, request: &Request) -> Option<(Arc<ShadowLane>, Request)> {
    if serving.arm != Arm::Current {
        return None;
    }
    let lane = shared.view.load().shadow.clone()?;
    let copy = lane.has_room().then(|| owned(request)).flatten();
    if copy.is_none() {
        lane.count_dropped();
    }
    copy.map(|request| (lane, request))
}
