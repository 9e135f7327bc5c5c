//! The promises of the contract, kept by every backend of this build and by every layer.
//!
//! One module per backend or layer, one test per promise, so that `cargo test --test engine_contract tract::`
//! tests one backend. A promise is a function of a [`Case`]: an engine and what is known about it.
//! What cannot be tested for lack of a model or a runtime is reported on stderr; `tests/run` brings both.

mod cases;
#[path = "../support/corpus.rs"]
mod corpus;
mod ending;
mod fixtures;
mod generating;
#[cfg(any(feature = "llama", feature = "ort", feature = "rten", feature = "tract", feature = "table"))]
mod hostile;
mod layers;
mod liars;
#[cfg(any(feature = "llama", feature = "ort", feature = "rten", feature = "tract", feature = "table"))]
mod opening;
mod refusing;
mod serving;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cases::Case;

/// No promise takes this long, even on a slow machine: what does, hangs.
const NO_HANG: Duration = Duration::from_secs(600);

/// Holds all engines of a backend to a promise.
fn keep(backend: &str, promise: fn(&'static Case)) {
    let mut broken = Vec::new();
    for case in cases::of(backend) {
        let (done, wait) = channel();
        std::thread::spawn(move || {
            promise(case);
            done.send(()).unwrap();
        });
        match wait.recv_timeout(NO_HANG) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => broken.push(format!("{}: it hangs", case.name)),
            Err(RecvTimeoutError::Disconnected) => broken.push(format!("{}: see the panic above", case.name)),
        }
    }
    assert!(broken.is_empty(), "the promise is not kept by {broken:#?}");
}

macro_rules! promises {
    ($backend:ident: $($room:ident: $($promise:ident)+;)+) => {
        mod $backend {
            $($(
                #[test]
                fn $promise() {
                    crate::keep(stringify!($backend), crate::$room::$promise);
                }
            )+)+
        }
    };
}

/// What every engine promises.
macro_rules! every_engine {
    ($backend:ident) => {
        promises! { $backend:
            serving:
                right_answer
                concurrent_calls_equal_serial_ones
                usage_is_told
                provenance_is_told
                the_call_comes_back
                outputs_fit_the_spec
                a_stream_gives_the_same_answer
                trim_disturbs_nothing
                a_run_outlives_its_engine;
            generating:
                pieces_make_the_answer
                max_tokens_end_the_text
                stop_texts_end_the_text
                logprobs_come_when_asked_for
                parameters_have_ranges;
            refusing:
                wrong_tensors_are_told
                what_is_not_served_is_unsupported;
            ending:
                a_call_that_is_over_does_not_start
                cancel_ends_a_run_before_its_first_step
                cancel_ends_a_run_between_steps
                cancel_ends_a_run_under_way
                a_deadline_ends_a_run_under_way
                an_ended_run_stays_ended
                dropped_runs_leave_an_engine_that_serves;
        }
    };
}

/// What every backend that opens files promises, too.
#[cfg(any(feature = "llama", feature = "ort", feature = "rten", feature = "tract", feature = "table"))]
macro_rules! every_file {
    ($backend:ident) => {
        promises! { $backend:
            opening:
                every_source_gives_the_same_answer
                the_content_counts_and_not_the_name
                another_backend_does_not_open_it
                the_digest_is_checked
                the_memory_limit_is_kept
                an_open_can_be_cancelled
                progress_is_told
                what_is_no_model_is_told
                every_fixture_is_right_or_unsupported;
            hostile:
                hostile_files_are_typed_errors;
        }
    };
}

every_engine!(fake);
every_engine!(monitor);
every_engine!(schedule);
every_engine!(models);
every_engine!(cache);
every_engine!(cascade);
every_engine!(deployment);
#[cfg(feature = "llama")]
every_engine!(llama);
#[cfg(feature = "ort")]
every_engine!(ort);
#[cfg(feature = "rten")]
every_engine!(rten);
#[cfg(feature = "table")]
every_engine!(table);
#[cfg(feature = "tract")]
every_engine!(tract);

#[cfg(any(feature = "llama", feature = "ort", feature = "rten", feature = "tract", feature = "table"))]
mod files {
    #[cfg(feature = "llama")]
    every_file!(llama);
    #[cfg(feature = "ort")]
    every_file!(ort);
    #[cfg(feature = "rten")]
    every_file!(rten);
    #[cfg(feature = "table")]
    every_file!(table);
    #[cfg(feature = "tract")]
    every_file!(tract);
}
