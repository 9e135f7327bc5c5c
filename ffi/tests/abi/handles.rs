//! Handles outlive what they came from.

use std::ffi::c_char;

use selvedge::fake::Fake;

use super::*;

#[test]
fn a_run_outlives_its_engine_and_an_answer_outlives_its_run() {
    let engine = handle(Fake::text("so it goes").build());
    let (prompt, mut run) = (init!(selvedge_generate { prompt: text("and then") }), ptr::null_mut());
    // SAFETY: the request and the place live during the call.
    call(|err| unsafe { selvedge_engine_generate(engine, &prompt, ptr::null(), &raw mut run, err) }).unwrap();
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
}
