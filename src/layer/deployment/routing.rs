//! Routing: the state into the view of the threads that answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arm::Arm;
use super::control::{Control, Inner};
use super::event::RolloutEvent;
use super::judge::{Judged, RolloutVerdict, Signs};
use super::phase::RolloutPhase;
use super::serving::Serving;
use super::shadow::{Report, ShadowLane};
use super::view::{Canary, Message, View};
use crate::Result;

impl Control {
    /// Sends calls where the state says.
    pub(super) fn route(&self) -> Result<()> {
        let mut inner = self.lock();
        let view = self.view(&mut inner)?;
        if let Some(current) = &view.current {
            self.shared.specs.set(&current.spec);
        }
        self.switch(&mut inner, view);
        Ok(())
    }

    /// Puts a view in place of the one before, whose arms are retired.
    pub(super) fn switch(&self, inner: &mut Inner, view: View) {
        let view = Arc::new(view);
        let before = self.shared.view.swap(view.clone());
        let now: Vec<&Arc<Serving>> = view.servings().collect();
        let is_gone = |serving: &&Arc<Serving>| !now.iter().any(|other| Arc::ptr_eq(other, serving));
        inner.retired.extend(before.servings().filter(is_gone).cloned());
        self.shared.tell(Message::Drain);
    }

    fn view(&self, inner: &mut Inner) -> Result<View> {
        let before = self.shared.view.load_full();
        let serving = |inner: &mut Inner, version: &str, arm: Arm| -> Option<Arc<Serving>> {
            let engine = inner.loaded.get(version)?.engine.clone();
            let tally = inner.tally(version);
            let is_it = |s: &&Arc<Serving>| {
                s.version == version && s.arm == arm && Arc::ptr_eq(&s.engine, &engine) && Arc::ptr_eq(&s.tally, &tally)
            };
            let kept = before.servings().find(is_it).cloned();
            let current = inner.state.current().map(str::to_owned).filter(|_| arm != Arm::Current);
            let control = current.map(|current| inner.tally(&current));
            Some(kept.unwrap_or_else(|| Arc::new(Serving::new(version, arm, engine, tally, control))))
        };
        let mut view = View::default();
        if let Some(current) = inner.state.current().map(str::to_owned) {
            view.current = serving(inner, &current, Arm::Current);
        }
        let Some(candidate) = inner.state.candidate().cloned() else { return Ok(view) };
        match inner.state.phase(&candidate.version) {
            Some(RolloutPhase::Canary) => {
                let serving = serving(inner, &candidate.version, Arm::Canary);
                view.canary = serving.map(|serving| Canary { serving, plan: candidate.plan });
            }
            Some(RolloutPhase::Shadow) => {
                let is_it = |lane: &&Arc<ShadowLane>| lane.candidate.version == candidate.version;
                view.shadow = before.shadow.as_ref().filter(is_it).cloned();
                if view.shadow.is_none()
                    && let Some(serving) = serving(inner, &candidate.version, Arm::Canary)
                {
                    view.shadow = Some(Arc::new(ShadowLane::spawn(serving, &candidate.plan, self.shadow_report())?));
                }
            }
            _ => {}
        }
        Ok(view)
    }

    fn shadow_report(&self) -> Report {
        let shared = Arc::downgrade(&self.shared);
        Box::new(move |candidate, ended, is_enough| {
            let Some(shared) = shared.upgrade() else { return };
            shared.judge(candidate, ended);
            if is_enough {
                shared.tell(Message::ShadowEnded);
            }
        })
    }

    /// What the judge says of the candidate now.
    pub(super) fn judged(&self, inner: &Inner) -> Option<(String, Judged)> {
        let version = inner.state.candidate()?.version.clone();
        let (control, candidate) = inner.counts(&version);
        let of = |version: &str| inner.alerts.get(version).map(Vec::as_slice).unwrap_or_default();
        let current = of(inner.state.current().unwrap_or_default());
        let is_its_own = |alert: &&crate::drift::Alert| {
            !current.iter().any(|other| other.kind.same(alert.kind) && other.feature == alert.feature)
        };
        let signs = Signs { alerts: of(&version).iter().filter(is_its_own).cloned().collect(), ..Signs::default() };
        Some((version, self.shared.judge.judge(&control, &candidate, &signs)))
    }

    /// Asks the whole judge, and acts on its verdict.
    pub(super) fn consider(&self) -> Result<()> {
        let inner = self.lock();
        let Some((version, judged)) = self.judged(&inner) else { return Ok(()) };
        let phase = inner.state.phase(&version);
        let by_hand = inner.state.candidate().is_some_and(|candidate| candidate.plan.by_hand);
        drop(inner);
        match judged.verdict {
            RolloutVerdict::RollBack if matches!(phase, Some(RolloutPhase::Shadow | RolloutPhase::Canary)) => {
                self.act(version, false, judged)
            }
            RolloutVerdict::Promote if phase == Some(RolloutPhase::Canary) && !by_hand => {
                self.act(version, true, judged)
            }
            _ => Ok(()),
        }
    }

    /// Rolls a candidate back that was found worse after one of its answers: a verdict stands, whatever came since.
    pub(super) fn found_worse(&self, version: String) -> Result<()> {
        let judged = self.judged(&self.lock()).map(|(_, judged)| judged).unwrap_or_default();
        self.act(version, false, Judged { verdict: RolloutVerdict::RollBack, ..judged })
    }

    pub(super) fn act(&self, version: String, promote: bool, judged: Judged) -> Result<()> {
        let event = RolloutEvent::Judged { version: version.clone(), promote };
        let is_due = self.lock().state.candidate().is_some_and(|candidate| candidate.version == version);
        if !is_due {
            return Ok(());
        }
        if !promote {
            self.close(&version);
        }
        self.lock().last = Some((version, judged));
        self.handle(&event)
    }

    /// No call begins in the candidate any more, whoever holds the lock.
    fn close(&self, version: &str) {
        let view = self.shared.view.load();
        let of = view.servings().filter(|serving| serving.version == version && serving.arm == Arm::Canary);
        of.for_each(|serving| serving.closed.store(true, Ordering::Release));
    }
}
