//! Runs in flight, pulled event by event.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use selvedge::{Answer, Call, Cancel, Code, Engine, Error, Event, Finish, Request, Result, Run, Step, TokenInfo};

use crate::abi::*;
use crate::answer::{AnswerObject, finish};
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::{Out, OutStruct, invalid};
use crate::text::Text;

/// The next event: one bounded unit of work, and what it brought.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_run_next(
    run: *mut selvedge_run,
    event: *mut selvedge_event,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (event, err) = unsafe { (OutStruct::zeroed(event), Out::optional(err)) };
    guard::give(event, err, || {
        let mut event = selvedge_event::default();
        handle::resolve::<RunObject>(run)?.next(&mut event)?;
        Ok(event)
    })
}

/// The whole answer of a run that is done.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_run_answer(
    run: *mut selvedge_run,
    out: *mut *mut selvedge_answer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let object = handle::resolve::<RunObject>(run)?;
        let answer = object.lock()?.answer.clone();
        let answer = answer.ok_or_else(|| invalid("the run has no answer: it is not done".into()))?;
        handle::publish(AnswerObject::from(answer))
    })
}

/// Frees a run at any time.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_run_free(run: *mut selvedge_run) -> selvedge_status {
    guard::status(|| {
        if let Some(object) = handle::retire::<RunObject>(run)? {
            object.freed.store(true, Ordering::Release);
            object.cancel.cancel();
        }
        Ok(())
    })
}

/// A run behind its handle.
pub(crate) struct RunObject {
    /// The run's own switch, which the caller's sets, too.
    cancel: Cancel,
    freed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// Until it is done or has failed.
    run: Option<Box<dyn Run>>,
    /// What the last event points to.
    text: Text,
    name: Text,
    id: Text,
    reason: Text,
    tokens: Vec<selvedge_token>,
    answer: Option<Answer>,
    /// A run need not outlive its engine; closing the handle is not to end it.
    _engine: Arc<dyn Engine>,
}

impl RunObject {
    pub(crate) fn start(engine: Arc<dyn Engine>, request: impl Into<Request>, mut call: Call) -> Result<Self> {
        let cancel = call.cancel.as_ref().map(Cancel::child).unwrap_or_default();
        call.cancel = Some(cancel.clone());
        let run = engine.start(request.into(), call)?;
        let state = State {
            run: Some(run),
            text: Text::default(),
            name: Text::default(),
            id: Text::default(),
            reason: Text::default(),
            tokens: Vec::new(),
            answer: None,
            _engine: engine,
        };
        Ok(Self { cancel, freed: AtomicBool::new(false), state: Mutex::new(state) })
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::new(Code::Busy, "the run is being stepped by another thread")),
        }
    }

    fn next(&self, event: &mut selvedge_event) -> Result<()> {
        let mut state = self.lock()?;
        let stepped = state.step(event);
        // Whatever the step brought, what it points to goes with the handle.
        if self.freed.load(Ordering::Acquire) {
            return Err(Error::new(Code::Cancelled, "the run was freed while it was being stepped"));
        }
        stepped
    }
}

impl State {
    fn step(&mut self, event: &mut selvedge_event) -> Result<()> {
        let mut run = self.run.take().ok_or_else(|| invalid("the run has ended".into()))?;
        // A run that failed or panicked is not stepped again, and its drop may panic once more.
        let goes_on = guard::contain(|| self.advance(&mut *run, event));
        if matches!(goes_on, Ok(true)) {
            self.run = Some(run);
        } else {
            guard::contain(|| {
                drop(run);
                Ok(())
            })?;
        }
        goes_on.map(drop)
    }

    /// Makes one step, and the event of it; says whether there is another. A step is read where it was made: as the
    /// result of the guard it would be copied twice, whole answer and all.
    fn advance(&mut self, run: &mut dyn Run, event: &mut selvedge_event) -> Result<bool> {
        let step = run.step();
        self.tokens.clear();
        match step {
            Ok(Step::Working(progress)) => {
                event.kind = SELVEDGE_EVENT_WORKING;
                (event.done, event.total) = (progress.done, progress.total.unwrap_or(0));
                Ok(true)
            }
            Ok(Step::Event(brought)) => self.tell(&brought, event),
            Ok(Step::Done(answer)) => {
                event.kind = SELVEDGE_EVENT_DONE;
                event.finish = finish(&answer.finish);
                if let Finish::Stop(stop) = &answer.finish {
                    (event.text, event.text_len) = self.keep(stop);
                }
                event.input_tokens = answer.usage.input_tokens;
                event.cached_tokens = answer.usage.cached_tokens;
                event.output_tokens = answer.usage.output_tokens;
                self.answer = Some(answer);
                Ok(false)
            }
            Ok(other) => Err(Error::new(Code::Unsupported, format!("a step that the C ABI does not know: {other:?}"))),
            Err(error) => Err(error),
        }
    }

    /// Fills in what a part of the answer brought; there is always another step.
    fn tell(&mut self, brought: &Event, event: &mut selvedge_event) -> Result<bool> {
        event.kind = i32::from(brought.number());
        self.keep_tokens(brought.tokens(), event);
        match brought {
            Event::Text(piece) | Event::Reasoning(piece) => {
                (event.text, event.text_len) = self.keep(&piece.text);
            }
            Event::CallPiece(piece) => {
                event.index = piece.index.into();
                (event.text, event.text_len) = self.keep(&piece.arguments);
                (event.name, event.name_len) = kept(&mut self.name, &piece.name);
            }
            Event::ToolCall(call) => {
                (event.text, event.text_len) = self.keep(&call.arguments);
                (event.name, event.name_len) = kept(&mut self.name, &call.name);
                (event.id, event.id_len) = kept(&mut self.id, &call.id);
            }
            Event::Malformed(call) => {
                event.index = call.index.into();
                (event.text, event.text_len) = self.keep(&call.text);
                (event.reason, event.reason_len) = kept(&mut self.reason, &call.reason);
            }
            other => {
                return Err(Error::new(Code::Unsupported, format!("an event that the C ABI does not know: {other:?}")));
            }
        }
        Ok(true)
    }

    fn keep_tokens(&mut self, tokens: &[TokenInfo], event: &mut selvedge_event) {
        let token = |t: &TokenInfo| selvedge_token { id: t.id, logprob: t.logprob.unwrap_or(f32::NAN) };
        self.tokens.extend(tokens.iter().map(token));
        if !self.tokens.is_empty() {
            (event.tokens, event.token_count) = (self.tokens.as_ptr(), self.tokens.len());
        }
    }

    /// Keeps a text until the next one.
    fn keep(&mut self, text: &str) -> (*const c_char, usize) {
        kept(&mut self.text, text)
    }
}

fn kept(place: &mut Text, text: &str) -> (*const c_char, usize) {
    place.set(text);
    place.raw()
}

object!(RunObject, selvedge_run, Tag::Run);
