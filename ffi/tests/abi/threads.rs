//! Many threads on the same handles.

use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use selvedge::DType;
use selvedge::fake::Fake;

use super::*;

const THREADS: usize = 100;

fn at_once(f: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let (barrier, f) = (&barrier, &f);
            scope.spawn(move || {
                barrier.wait();
                f(i);
            });
        }
    });
}

#[test]
fn a_hundred_threads_get_their_own_answers_from_one_engine() {
    let (echo, story) =
        (Shared(handle(Fake::echo(DType::U64).build())), Shared(handle(Fake::text("so it goes").build())));
    at_once(|thread| {
        for i in 0..20u64 {
            let (number, dims) = ([(thread as u64) << 32 | i], [1i64]);
            let tensor = init!(selvedge_tensor {
                name: c"x".as_ptr(),
                name_len: 1,
                dims: dims.as_ptr(),
                rank: 1,
                data: number.as_ptr().cast(),
                byte_len: 8,
                dtype: SELVEDGE_U64,
            });
            let request = init!(selvedge_tensors { inputs: &raw const tensor, input_count: 1 });
            let prompt = init!(selvedge_generate { prompt: text("and then") });
            let (mut answer, mut run, mut out) = (ptr::null_mut(), ptr::null_mut(), init!(selvedge_tensor {}));
            // SAFETY: the pointers live during the calls.
            unsafe {
                call(|err| selvedge_engine_run(echo.get(), &request, ptr::null(), &raw mut answer, err)).unwrap();
                call(|err| selvedge_answer_output(answer, 0, &raw mut out, err)).unwrap();
                assert_eq!(out.data.cast::<u64>().read_unaligned(), number[0]);
                call(|err| selvedge_engine_generate(story.get(), &prompt, ptr::null(), &raw mut run, err)).unwrap();
                let mut said = Vec::new();
                let mut event = init!(selvedge_event {});
                while event.kind != SELVEDGE_EVENT_DONE {
                    call(|err| selvedge_run_next(run, &raw mut event, err)).unwrap();
                    if event.kind == SELVEDGE_EVENT_TEXT {
                        said.extend_from_slice(std::slice::from_raw_parts(event.text.cast::<u8>(), event.text_len));
                    }
                }
                assert_eq!(said, b"so it goes");
            }
            assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
            assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
        }
    });
    assert_eq!(selvedge_engine_close(echo.get()), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(story.get()), SELVEDGE_OK);
}

#[test]
fn of_a_hundred_threads_that_free_one_handle_one_succeeds() {
    for _ in 0..20 {
        let mut cancel = ptr::null_mut();
        // SAFETY: `cancel` may be written.
        call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
        let (cancel, freed) = (Shared(cancel), AtomicUsize::new(0));
        at_once(|_| match selvedge_cancel_free(cancel.get()) {
            SELVEDGE_OK => {
                freed.fetch_add(1, Ordering::SeqCst);
            }
            status => assert_eq!(status, BAD_HANDLE),
        });
        assert_eq!(freed.into_inner(), 1);
    }
}

#[test]
fn an_engine_may_be_closed_under_a_hundred_threads_that_use_it() {
    let engine = Shared(handle(Fake::text("so it goes").build()));
    let served = AtomicUsize::new(0);
    at_once(|thread| {
        for round in 0.. {
            let prompt = init!(selvedge_generate { prompt: text("and then") });
            let mut run = ptr::null_mut();
            // SAFETY: the pointers live during the call.
            let status =
                unsafe { selvedge_engine_generate(engine.get(), &prompt, ptr::null(), &raw mut run, ptr::null_mut()) };
            if status != SELVEDGE_OK {
                assert_eq!(status, BAD_HANDLE);
                break;
            }
            served.fetch_add(1, Ordering::Relaxed);
            assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
            if thread == 0 && round == 50 {
                assert_eq!(selvedge_engine_close(engine.get()), SELVEDGE_OK);
            }
        }
    });
    assert!(served.into_inner() >= 51);
}
