//! Text by pull: events, ends, cancels, and two threads on one run.

use std::ptr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use selvedge::fake::Fake;
use selvedge::{Code, Engine};

use super::engines::{Deaf, Panics};
use super::*;

fn start(engine: *mut selvedge_engine, request: &selvedge_generate, terms: &selvedge_call) -> *mut selvedge_run {
    let mut run = ptr::null_mut();
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_engine_generate(engine, request, terms, &raw mut run, err) }).unwrap();
    run
}

/// What an event said, owned.
#[derive(Debug, PartialEq, Default)]
struct Said {
    kind: i32,
    finish: i32,
    progress: (u64, u64),
    text: String,
    logprobs: Vec<f32>,
    counts: (u64, u64),
}

fn next(run: *mut selvedge_run) -> Result<Said, (i32, String)> {
    let mut e = init!(selvedge_event {});
    // SAFETY: the event may be written.
    call(|err| unsafe { selvedge_run_next(run, &raw mut e, err) })?;
    let mut said = Said {
        kind: e.kind,
        finish: e.finish,
        progress: (e.done, e.total),
        counts: (e.input_tokens, e.output_tokens),
        ..Said::default()
    };
    if !e.text.is_null() {
        // SAFETY: text and NUL live until the next event.
        said.text = unsafe { CStr::from_ptr(e.text) }.to_str().unwrap().into();
        assert_eq!(said.text.len(), e.text_len);
    }
    for i in 0..e.token_count {
        // SAFETY: the tokens live until the next event.
        said.logprobs.push(unsafe { (*e.tokens.add(i)).logprob });
    }
    Ok(said)
}

/// All events of a run, the last of them DONE.
fn all(run: *mut selvedge_run) -> Vec<Said> {
    let mut events = Vec::new();
    while events.last().is_none_or(|e: &Said| e.kind != SELVEDGE_EVENT_DONE) {
        events.push(next(run).unwrap());
    }
    events
}

fn prompt() -> selvedge_generate {
    init!(selvedge_generate { prompt: text("and then what") })
}

fn terms() -> selvedge_call {
    init!(selvedge_call {})
}

#[test]
fn a_run_is_work_then_pieces_then_done() {
    let engine = handle(Fake::text("so it goes").prompt_slices(2).build());
    let run = start(engine, &prompt(), &terms());
    let events = all(run);
    let kinds: Vec<i32> = events.iter().map(|e| e.kind).collect();
    let (w, t) = (SELVEDGE_EVENT_WORKING, SELVEDGE_EVENT_TEXT);
    assert_eq!(kinds, [w, w, t, t, t, SELVEDGE_EVENT_DONE]);
    assert_eq!((events[0].progress, events[1].progress), ((1, 3), (3, 3)));
    let pieces: Vec<&str> = events[2..5].iter().map(|e| &*e.text).collect();
    assert_eq!(pieces, ["so", " it", " goes"]);
    assert!(events[2..5].iter().all(|e| e.logprobs.len() == 1 && e.logprobs[0].is_nan() && e.finish == 0));
    assert_eq!((events[5].finish, events[5].counts), (SELVEDGE_FINISH_END_OF_TEXT, (3, 3)));

    for _ in 0..2 {
        assert_eq!(next(run).unwrap_err(), (Code::InvalidArgument as i32, "the run has ended".into()));
    }
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn limits_stop_texts_and_logprobs_are_passed_on() {
    let engine = handle(Fake::text("so it goes").build());
    let said = |request: selvedge_generate| {
        let run = start(engine, &request, &terms());
        let mut events = all(run);
        assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
        let done = events.pop().unwrap();
        (events.iter().map(|e| &*e.text).collect::<String>(), done.finish, done.text)
    };
    assert_eq!(
        said(selvedge_generate { max_tokens: 2, ..prompt() }),
        ("so it".into(), SELVEDGE_FINISH_LENGTH, String::new())
    );
    let stop = [text("nowhere"), text("t g")];
    let stopped = said(selvedge_generate { stop: stop.as_ptr(), stop_count: 2, ..prompt() });
    assert_eq!(stopped, ("so i".into(), SELVEDGE_FINISH_STOP, "t g".into()));
    // Every parameter may be given; the fake honours each and is certain of its words.
    let full = said(selvedge_generate {
        max_tokens: SELVEDGE_MAX_TOKENS_NONE,
        flags: SELVEDGE_GENERATE_SEEDED,
        seed: 0,
        temperature: 0.7,
        top_k: 40,
        top_p: 0.9,
        min_p: 0.1,
        repeat_penalty: 1.1,
        frequency_penalty: 0.1,
        presence_penalty: 0.1,
        penalty_last_n: 8,
        ..prompt()
    });
    assert_eq!(full, ("so it goes".into(), SELVEDGE_FINISH_END_OF_TEXT, String::new()));

    let run = start(engine, &selvedge_generate { flags: SELVEDGE_GENERATE_LOGPROBS, ..prompt() }, &terms());
    assert_eq!(next(run).unwrap().logprobs, [0.0]);
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);

    let messages = [("system", "be brief"), ("user", "and then?"), ("weaver", "hm")]
        .map(|(role, content)| init!(selvedge_message { role: text(role), content: text(content) }));
    let chat = init!(selvedge_generate { messages: messages.as_ptr(), message_count: 3 });
    assert_eq!(said(chat).0, "so it goes");
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

/// What reaches an engine: the fake says that it holds no form, which is more than is said of one that is no form.
#[test]
fn a_grammar_is_passed_on_with_its_kind_or_named() {
    let engine = handle(Fake::text("a").build());
    let start = |request: &selvedge_generate| {
        let (mut run, terms) = (ptr::null_mut(), terms());
        // SAFETY: the pointers live during the call.
        call(|err| unsafe { selvedge_engine_generate(engine, request, &terms, &raw mut run, err) })?;
        assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
        Ok::<_, (i32, String)>(())
    };
    for kind in SELVEDGE_GRAMMAR_JSON_SCHEMA..=SELVEDGE_GRAMMAR_GBNF {
        let (code, message) =
            start(&selvedge_generate { grammar: text("a"), grammar_kind: kind, ..prompt() }).unwrap_err();
        assert!(code == Code::Unsupported as i32 && message.contains("grammar"), "{kind}: {code} {message}");
    }
    let wrong = [
        (selvedge_generate { grammar: text("a"), ..prompt() }, "grammar_kind"),
        (selvedge_generate { grammar_kind: 9, ..prompt() }, "9 has no meaning"),
        (selvedge_generate { grammar_flags: 1, ..prompt() }, "grammar_flags"),
    ];
    for (request, named) in wrong {
        let (code, message) = start(&request).unwrap_err();
        assert!(code == Code::InvalidArgument as i32 && message.contains(named), "{code} {message}");
    }
    // A client that was built before there were grammars: what lies behind its struct is not looked at.
    let before = std::mem::offset_of!(selvedge_generate, grammar);
    start(&selvedge_generate { struct_size: before, grammar_kind: 9, ..prompt() }).unwrap();
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn an_engine_that_does_not_generate_says_so() {
    let engine = handle(Fake::embedding(4).build());
    let mut run = ptr::null_mut();
    // SAFETY: the pointers live during the call.
    refused(Code::Unsupported, |err| unsafe {
        selvedge_engine_generate(engine, &prompt(), ptr::null(), &raw mut run, err)
    });
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn a_run_that_fails_or_panics_has_ended_and_has_no_answer() {
    let broken: [(Arc<dyn Engine>, Code); 3] = [
        (Fake::text("so it goes").fail(1, Code::Backend).build(), Code::Backend),
        (Panics::at("step"), Code::Panic),
        (Panics::at("payload"), Code::Panic),
    ];
    for (engine, code) in broken {
        let engine = handle(engine);
        let run = start(engine, &prompt(), &terms());
        if code == Code::Backend {
            assert_eq!(next(run).unwrap().text, "so");
        }
        assert_eq!(next(run).unwrap_err().0, code as i32);
        assert_eq!(next(run).unwrap_err(), (1, "the run has ended".into()));
        let mut answer = ptr::null_mut();
        // SAFETY: `answer` may be written.
        let message = refused(Code::InvalidArgument, |err| unsafe { selvedge_run_answer(run, &raw mut answer, err) });
        assert_eq!(message, "the run has no answer: it is not done");
        assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
}

#[test]
fn a_switch_ends_a_step_under_way_and_every_run_that_carries_it() {
    let engine = handle(Fake::text("so it goes").delay(Duration::from_secs(3600)).build());
    let mut cancel = ptr::null_mut();
    // SAFETY: `cancel` may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
    let switch = Shared(cancel);
    let terms = init!(selvedge_call { cancel: switch.get() });
    let runs = [start(engine, &prompt(), &terms), start(engine, &prompt(), &terms)].map(Shared);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for run in runs {
            scope.spawn(move || assert_eq!(next(run.get()).unwrap_err().0, Code::Cancelled as i32));
        }
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(selvedge_cancel_set(switch.get()), SELVEDGE_OK);
    });
    assert!(begun.elapsed() < Duration::from_secs(1800), "{:?}", begun.elapsed());
    let mut run = ptr::null_mut();
    // SAFETY: the pointers live during the call.
    refused(Code::Cancelled, |err| unsafe { selvedge_engine_generate(engine, &prompt(), &terms, &raw mut run, err) });
    for run in runs {
        assert_eq!(selvedge_run_free(run.get()), SELVEDGE_OK);
    }
    assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn a_second_thread_is_told_busy_and_a_free_ends_the_step_of_the_first() {
    let engine = handle(Fake::text("so it goes").delay(Duration::from_secs(3600)).build());
    let run = start(engine, &prompt(), &terms());
    let (begun, shared) = (Instant::now(), Shared(run));
    std::thread::scope(|scope| {
        let (sender, inside) = mpsc::channel();
        let first = scope.spawn(move || {
            sender.send(()).unwrap();
            next(shared.get())
        });
        inside.recv().unwrap();
        // Time for the first thread to get from here into its step, which takes an hour.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(next(run).unwrap_err(), (Code::Busy as i32, "the run is being stepped by another thread".into()));
        let mut answer = ptr::null_mut();
        // SAFETY: `answer` may be written.
        refused(Code::Busy, |err| unsafe { selvedge_run_answer(run, &raw mut answer, err) });
        assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
        assert_eq!(first.join().unwrap().unwrap_err().0, Code::Cancelled as i32);
    });
    assert!(begun.elapsed() < Duration::from_secs(1800), "{:?}", begun.elapsed());
    assert_eq!(next(run).unwrap_err().0, Code::BadHandle as i32);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn an_event_that_comes_after_its_run_was_freed_is_not_given_out() {
    let engine = handle(Arc::new(Deaf::new(Duration::from_millis(300))));
    let run = Shared(start(engine, &prompt(), &terms()));
    assert_eq!(next(run.get()).unwrap().text, "what?");
    std::thread::scope(|scope| {
        let first = scope.spawn(move || {
            let mut event = init!(selvedge_event { done: 7 });
            // SAFETY: the event may be written.
            let failed = call(|err| unsafe { selvedge_run_next(run.get(), &raw mut event, err) }).unwrap_err();
            assert_eq!((event.kind, event.done, event.text), (SELVEDGE_EVENT_NONE, 0, ptr::null()));
            failed
        });
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(selvedge_run_free(run.get()), SELVEDGE_OK);
        let (code, message) = first.join().unwrap();
        assert_eq!((code, &*message), (Code::Cancelled as i32, "the run was freed while it was being stepped"));
    });
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
