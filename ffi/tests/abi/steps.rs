//! A tensor run, pulled step by step.

use selvedge::fake::Fake;
use selvedge::{DType, Engine};

use super::engines::{Panics, Strings};
use super::tensors::{bytes, floats, output};
use super::*;

fn start(
    engine: *mut selvedge_engine,
    inputs: &[selvedge_tensor],
    terms: Option<&selvedge_call>,
) -> Result<*mut selvedge_run, (i32, String)> {
    let request = init!(selvedge_tensors { inputs: inputs.as_ptr(), input_count: inputs.len() });
    let mut out = ptr::without_provenance_mut(0x5eed);
    let terms = terms.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: request and inputs live during the call.
    let result = call(|err| unsafe { selvedge_engine_start(engine, &request, terms, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

fn next(run: *mut selvedge_run) -> Result<selvedge_event, (i32, String)> {
    let mut event = init!(selvedge_event {});
    // SAFETY: the event may be written.
    call(|err| unsafe { selvedge_run_next(run, &raw mut event, err) }).map(|()| event)
}

fn answer(run: *mut selvedge_run) -> Result<*mut selvedge_answer, (i32, String)> {
    let mut out = ptr::null_mut();
    // SAFETY: `out` may be written.
    call(|err| unsafe { selvedge_run_answer(run, &raw mut out, err) }).map(|()| out)
}

#[test]
fn a_run_of_tensors_is_work_then_done_and_keeps_a_copy_of_its_inputs() {
    let engine = handle(Fake::echo(DType::F32).prompt_slices(2).build());
    // More than a blocking call would copy.
    let mut x: Vec<f32> = (0..2000).map(|i| i as f32).collect();
    let expected: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let run = start(engine, &[floats("x", &[2000], &x)], None).unwrap();
    x.fill(f32::NAN);
    drop(x);
    // The run goes on without the engine's handle.
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    for _ in 0..2 {
        let event = next(run).unwrap();
        assert_eq!((event.kind, event.finish, event.text), (SELVEDGE_EVENT_WORKING, 0, ptr::null()));
        assert_eq!(answer(run).unwrap_err(), (1, "the run has no answer: it is not done".into()));
    }
    let event = next(run).unwrap();
    assert_eq!((event.kind, event.finish), (SELVEDGE_EVENT_DONE, SELVEDGE_FINISH_COMPLETE));
    assert_eq!((event.text, event.token_count), (ptr::null(), 0));
    let answer = answer(run).unwrap();
    assert_eq!(next(run).unwrap_err(), (1, "the run has ended".into()));
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(selvedge_run_free(run), BAD_HANDLE);
    assert_eq!(bytes(&output(answer, 0)), expected);
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
}

#[test]
fn a_run_of_tensors_ends_by_its_switch_its_deadline_and_its_end() {
    let engine = handle(Fake::echo(DType::F32).prompt_slices(1000).build());
    let x = [1.0f32];
    let x = [floats("x", &[1], &x)];
    let mut cancel = ptr::null_mut();
    // SAFETY: `cancel` may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
    let run = start(engine, &x, Some(&init!(selvedge_call { cancel: cancel }))).unwrap();
    assert_eq!(next(run).unwrap().kind, SELVEDGE_EVENT_WORKING);
    assert_eq!(selvedge_cancel_set(cancel), SELVEDGE_OK);
    assert_eq!(next(run).unwrap_err().0, Code::Cancelled as i32);
    assert_eq!(answer(run).unwrap_err().0, Code::InvalidArgument as i32);
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(
        start(engine, &x, Some(&init!(selvedge_call { cancel: cancel }))).unwrap_err().0,
        Code::Cancelled as i32
    );
    assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);

    let run = start(engine, &x, Some(&init!(selvedge_call { timeout_ms: 20 }))).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(40));
    assert_eq!(next(run).unwrap_err().0, Code::DeadlineExceeded as i32);
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);

    let run = start(engine, &x, None).unwrap();
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(next(run).unwrap_err().0, Code::BadHandle as i32);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn what_an_engine_does_not_take_is_refused_at_the_start() {
    let engine = handle(Fake::echo(DType::F32).build());
    let x = [1.0f32];
    assert_eq!(start(engine, &[floats("none", &[1], &x)], None).unwrap_err().0, Code::InvalidArgument as i32);
    assert_eq!(start(engine, &[], None).unwrap_err().0, Code::InvalidArgument as i32);
    let mut run = ptr::null_mut();
    // SAFETY: NULL is what is tested.
    unsafe {
        let null = ptr::null_mut();
        let message = refused(Code::InvalidArgument, |err| {
            selvedge_engine_start(engine, ptr::null(), ptr::null(), &raw mut run, err)
        });
        assert_eq!(message, "selvedge_tensors: expected a pointer, got NULL");
        let request = init!(selvedge_tensors {});
        refused(Code::InvalidArgument, |err| selvedge_engine_start(engine, &request, ptr::null(), null, err));
    }
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    assert_eq!(start(engine, &[], None).unwrap_err().0, Code::BadHandle as i32);
    let text: Arc<dyn Engine> = Fake::text("so it goes").build();
    let text = handle(text);
    assert_eq!(start(text, &[], None).unwrap_err().0, Code::Unsupported as i32);
    assert_eq!(selvedge_engine_close(text), SELVEDGE_OK);
    let panics = handle(Panics::at("start"));
    assert_eq!(start(panics, &[], None).unwrap_err().0, Code::Panic as i32);
    assert_eq!(selvedge_engine_close(panics), SELVEDGE_OK);
}

#[test]
fn strings_come_out_of_a_run_too() {
    let engine = handle(Arc::new(Strings::new()));
    let run = start(engine, &[], None).unwrap();
    assert_eq!(next(run).unwrap().kind, SELVEDGE_EVENT_DONE);
    let answer = answer(run).unwrap();
    assert_eq!(super::strings::elements(&output(answer, 0)), ["warp", "a\0b"]);
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}
