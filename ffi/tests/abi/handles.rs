//! NULL, double free, use after free, a handle of another type, a number that never was one.

use std::ffi::c_char;
use std::ptr;

use selvedge::fake::Fake;
use selvedge::{Code, DType};

use super::*;

type Entry = dyn Fn(*mut *mut selvedge_error) -> selvedge_status;

/// Every function that takes a handle, with all else in order: each must judge the handle alone.
fn all(h: *mut u8) -> Vec<(&'static str, &'static str, Box<Entry>)> {
    macro_rules! table {
        ($($kind:literal $name:ident |$err:ident| $call:expr;)*) => {
            // SAFETY: every pointer is to something that lives during the call.
            vec![$(($kind, stringify!($name), Box::new(move |$err| unsafe { $call }) as Box<Entry>),)*]
        };
    }
    static PROMPT: &str = "warp";
    let generate = move || init!(selvedge_generate { prompt: text(PROMPT) });
    let embed = move |texts: &[selvedge_text]| init!(selvedge_embed { texts: texts.as_ptr(), text_count: texts.len() });
    table! {
        "engine" selvedge_engine_spec_json |err| {
            let (mut json, mut len): (*const c_char, usize) = (ptr::null(), 0);
            selvedge_engine_spec_json(h.cast(), &raw mut json, &raw mut len, err)
        };
        "engine" selvedge_engine_run |err| {
            let mut out = ptr::null_mut();
            selvedge_engine_run(h.cast(), &init!(selvedge_tensors {}), ptr::null(), &raw mut out, err)
        };
        "engine" selvedge_engine_generate |err| {
            let mut out = ptr::null_mut();
            selvedge_engine_generate(h.cast(), &generate(), ptr::null(), &raw mut out, err)
        };
        "engine" selvedge_engine_embed |err| {
            let mut out = ptr::null_mut();
            selvedge_engine_embed(h.cast(), &embed(&[text(PROMPT)]), ptr::null(), &raw mut out, err)
        };
        "run" selvedge_run_next |err| selvedge_run_next(h.cast(), &mut init!(selvedge_event {}), err);
        "run" selvedge_run_answer |err| {
            let mut out = ptr::null_mut();
            selvedge_run_answer(h.cast(), &raw mut out, err)
        };
        "answer" selvedge_answer_output_count |err| {
            let mut count = 0;
            selvedge_answer_output_count(h.cast(), &raw mut count, err)
        };
        "answer" selvedge_answer_output |err| {
            selvedge_answer_output(h.cast(), 0, &mut init!(selvedge_tensor {}), err)
        };
        "answer" selvedge_answer_json |err| {
            let (mut json, mut len): (*const c_char, usize) = (ptr::null(), 0);
            selvedge_answer_json(h.cast(), &raw mut json, &raw mut len, err)
        };
        // Within a struct, NULL means none; anything else is a handle.
        "option" selvedge_engine_open |err| {
            let mut out = ptr::null_mut();
            let options = init!(selvedge_options { cancel: h.cast() });
            selvedge_engine_open(c"no/such/file".as_ptr(), 12, &options, &raw mut out, err)
        };
    }
}

type Free = fn(*mut u8) -> selvedge_status;

const FREES: [(&str, Free); 5] = [
    ("error", |h| selvedge_error_free(h.cast())),
    ("cancel", |h| selvedge_cancel_free(h.cast())),
    ("engine", |h| selvedge_engine_close(h.cast())),
    ("run", |h| selvedge_run_free(h.cast())),
    ("answer", |h| selvedge_answer_free(h.cast())),
];

/// One live handle of each type.
fn one_of_each() -> Vec<(&'static str, *mut u8)> {
    let engine = handle(Fake::text("so it goes").build());
    let echo = handle(Fake::echo(DType::F32).build());
    let (mut error, mut cancel, mut run, mut answer) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let tensor = init!(selvedge_tensor { name: c"x".as_ptr(), name_len: 1, dtype: SELVEDGE_F32, byte_len: 4 });
    let mut tensor = tensor;
    let x = 1.5f32;
    tensor.data = (&raw const x).cast();
    let request = init!(selvedge_tensors { inputs: &raw const tensor, input_count: 1 });
    let prompt = init!(selvedge_generate { prompt: text("and then") });
    // SAFETY: every pointer is to something that lives during the call.
    unsafe {
        assert_eq!(selvedge_run_next(ptr::null_mut(), ptr::null_mut(), &raw mut error), INVALID);
        assert_eq!(selvedge_cancel_new(&raw mut cancel, ptr::null_mut()), SELVEDGE_OK);
        let generate = selvedge_engine_generate(engine, &prompt, ptr::null(), &raw mut run, ptr::null_mut());
        assert_eq!(generate, SELVEDGE_OK);
        let ran = selvedge_engine_run(echo, &request, ptr::null(), &raw mut answer, ptr::null_mut());
        assert_eq!(ran, SELVEDGE_OK);
    }
    assert_eq!(selvedge_engine_close(echo), SELVEDGE_OK);
    vec![
        ("error", error.cast()),
        ("cancel", cancel.cast()),
        ("engine", engine.cast()),
        ("run", run.cast()),
        ("answer", answer.cast()),
    ]
}

fn free_all(handles: Vec<(&str, *mut u8)>) {
    for (kind, h) in handles {
        let free = FREES.iter().find(|(k, _)| *k == kind).expect("every type has its free").1;
        assert_eq!(free(h), SELVEDGE_OK, "{kind}");
    }
}

#[test]
fn null_is_an_argument_error_except_to_free() {
    for (kind, name, f) in all(ptr::null_mut()) {
        if kind != "option" {
            let message = refused(Code::InvalidArgument, f);
            assert_eq!(message, format!("selvedge_{kind}: expected a handle, got NULL"), "{name}");
        }
    }
    assert_eq!(selvedge_cancel_set(ptr::null()), INVALID);
    for (kind, free) in FREES {
        assert_eq!(free(ptr::null_mut()), SELVEDGE_OK, "{kind}");
    }
    assert_eq!(selvedge_error_code(ptr::null()), SELVEDGE_OK);
    // SAFETY: `len` may be NULL, and the message of NULL is static.
    assert_eq!(unsafe { CStr::from_ptr(selvedge_error_message(ptr::null(), ptr::null_mut())) }, c"");
}

#[test]
fn a_handle_of_another_type_is_named() {
    let handles = one_of_each();
    for &(is, h) in &handles {
        for (wants, name, f) in all(h) {
            let wants = if wants == "option" { "cancel" } else { wants };
            if wants != is {
                let message = refused(Code::BadHandle, f);
                assert_eq!(message, format!("expected a selvedge_{wants}, got a selvedge_{is}"), "{name}");
            }
        }
        for (frees, free) in FREES {
            if frees != is {
                assert_eq!(free(h), BAD_HANDLE, "a {is} freed as a {frees}");
            }
        }
        if is != "cancel" {
            assert_eq!(selvedge_cancel_set(h.cast()), BAD_HANDLE);
        }
        if is != "error" {
            assert_eq!(selvedge_error_code(h.cast()), BAD_HANDLE);
        }
    }
    // All of that has harmed none of them.
    free_all(handles);
}

#[test]
fn a_freed_handle_is_known_to_be_stale_even_when_its_place_is_taken_again() {
    let old = one_of_each();
    free_all(old.clone());
    let new = one_of_each();
    for (&(kind, stale), &(_, fresh)) in old.iter().zip(&new) {
        assert_ne!(stale, fresh);
        for (wants, name, f) in all(stale) {
            if wants == kind {
                let message = refused(Code::BadHandle, f);
                assert_eq!(
                    message,
                    format!("selvedge_{kind}: expected a live handle, got one that was freed"),
                    "{name}"
                );
            }
        }
        for (frees, free) in FREES {
            assert_eq!(free(stale), BAD_HANDLE, "a freed {kind}, freed as a {frees}");
        }
    }
    assert_eq!(selvedge_cancel_set(old[1].1.cast()), BAD_HANDLE);
    assert_eq!(selvedge_error_code(old[0].1.cast()), BAD_HANDLE);
    let mut len = 0;
    // SAFETY: `len` may be written; the message is static.
    let message = unsafe { CStr::from_ptr(selvedge_error_message(old[0].1.cast(), &raw mut len)) };
    assert_eq!((message, len), (c"expected a live selvedge_error", message.count_bytes()));
    free_all(new);
}

#[test]
fn a_number_that_was_never_a_handle_is_refused() {
    let local = 0u64;
    let heap = Box::new(0u64);
    let real: [*mut u8; 2] = [(&raw const local).cast_mut().cast(), (&raw const *heap).cast_mut().cast()];
    let wild = [1, 8, 0x7fff_ffff, usize::MAX, usize::MAX / 2].map(ptr::without_provenance_mut);
    for h in real.into_iter().chain(wild) {
        for (_, name, f) in all(h) {
            let message = refused(Code::BadHandle, f);
            assert!(message.ends_with("got something that was never a handle"), "{name}: {message}");
        }
        for (kind, free) in FREES {
            assert_eq!(free(h), BAD_HANDLE, "{kind}");
        }
    }
}

#[test]
fn a_run_outlives_its_engine_and_an_answer_outlives_its_run() {
    let handles = one_of_each();
    let (engine, run) = (handles[2].1.cast(), handles[3].1.cast());
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    let mut said = String::new();
    let event = loop {
        let mut event = init!(selvedge_event {});
        // SAFETY: the event may be written.
        call(|err| unsafe { selvedge_run_next(run, &raw mut event, err) }).unwrap();
        if event.kind == SELVEDGE_EVENT_DONE {
            break event;
        }
        // SAFETY: the text lives until the next event.
        said += unsafe { std::str::from_utf8(std::slice::from_raw_parts(event.text.cast(), event.text_len)) }.unwrap();
    };
    assert_eq!((&*said, event.finish), ("so it goes", SELVEDGE_FINISH_END_OF_TEXT));
    let mut answer = ptr::null_mut();
    // SAFETY: `answer` may be written.
    call(|err| unsafe { selvedge_run_answer(run, &raw mut answer, err) }).unwrap();
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    let (mut json, mut len): (*const c_char, usize) = (ptr::null(), 0);
    // SAFETY: both may be written, and the text lives as long as the answer.
    let json = unsafe {
        call(|err| selvedge_answer_json(answer, &raw mut json, &raw mut len, err)).unwrap();
        CStr::from_ptr(json).to_str().unwrap()
    };
    assert_eq!(json.len(), len);
    assert!(json.contains(r#""text":"so it goes""#), "{json}");
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    free_all(handles.into_iter().filter(|(kind, _)| !["engine", "run"].contains(kind)).collect());
}
