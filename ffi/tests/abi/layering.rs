//! Layers through the C ABI: a cache, a schedule and callers, a cascade and its threshold, models within one budget.

use selvedge::fake::Fake;
use selvedge::layer::cascade::Threshold;
use selvedge::{Code, DType};
use serde_json::{Value, json};

use super::tensors::{floats, run};
use super::watching::json_of;
use super::*;

type Give<T> = unsafe extern "C" fn(*const T, *mut *mut selvedge_engine, *mut *mut selvedge_error) -> selvedge_status;
type Tell<T> = unsafe extern "C" fn(*const T, *mut *mut selvedge_buffer, *mut *mut selvedge_error) -> selvedge_status;

/// The engine of a layer.
#[track_caller]
pub(crate) fn engine_of<T>(layer: *const T, give: Give<T>) -> *mut selvedge_engine {
    let mut out = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { give(layer, &raw mut out, err) }).unwrap();
    out
}

/// The status of a layer.
#[track_caller]
pub(crate) fn status_of<T>(layer: *const T, tell: Tell<T>) -> Value {
    // SAFETY: the places may be written.
    json_of(|out, err| unsafe { tell(layer, out, err) })
}

/// The JSON of an answer, which is freed.
pub(crate) fn told(answer: *mut selvedge_answer) -> Value {
    let (mut json, mut len) = (ptr::null(), 0);
    // SAFETY: the places may be written, and the text lives as long as the answer.
    let value = unsafe {
        call(|err| selvedge_answer_json(answer, &raw mut json, &raw mut len, err)).unwrap();
        serde_json::from_slice(std::slice::from_raw_parts(json.cast::<u8>(), len)).unwrap()
    };
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    value
}

pub(crate) fn close(engine: *mut selvedge_engine) {
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

fn cache(engine: *mut selvedge_engine, max_bytes: u64) -> *mut selvedge_cache {
    let mut out = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_cache_new(engine, max_bytes, &raw mut out, err) }).unwrap();
    out
}

#[test]
fn a_cache_gives_an_answer_again_and_outlives_its_handle() {
    let inner = handle(Fake::echo(DType::F32).build());
    let cache = cache(inner, 1 << 20);
    let engine = engine_of(cache, selvedge_cache_engine);
    close(inner);
    let ask = |x: f32| told(run(engine, &[floats("x", &[1], &[x])], None).unwrap());
    let first = ask(1.5);
    assert_eq!((&first["usage"]["cache_hits"], &first["provenance"]["route"]), (&json!(0), &json!(["cache"])));
    assert_eq!(ask(1.5)["usage"]["cache_hits"], 1);
    assert_eq!(ask(2.5)["usage"]["cache_hits"], 0);
    let status = status_of(cache, selvedge_cache_status_json);
    assert_eq!((&status["hits"], &status["misses"], &status["answers"]), (&json!(1), &json!(2), &json!(2)));
    assert!(status["bytes"].as_u64().unwrap() > 0 && status["max_bytes"] == 1 << 20, "{status}");

    let mut freed = 0;
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_engine_trim(engine, SELVEDGE_TRIM_CACHES, &raw mut freed, err) }).unwrap();
    assert!(freed > 0);
    assert_eq!(status_of(cache, selvedge_cache_status_json)["answers"], 0);
    assert_eq!((selvedge_cache_free(cache), selvedge_cache_free(cache)), (SELVEDGE_OK, BAD_HANDLE));
    assert_eq!(ask(1.5)["usage"]["cache_hits"], 0);
    assert_eq!(ask(1.5)["usage"]["cache_hits"], 1, "it goes on remembering");
    close(engine);
}

fn schedule(config: &str) -> Result<*mut selvedge_schedule, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    // SAFETY: the text lives during the call, and the place may be written.
    let made = call(|err| unsafe { selvedge_schedule_new(config.as_ptr().cast(), config.len(), &raw mut out, err) });
    assert_eq!(made.is_err(), out.is_null());
    made.map(|()| out)
}

fn around(schedule: *mut selvedge_schedule, inner: *mut selvedge_engine) -> *mut selvedge_engine {
    let mut out = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_schedule_around(schedule, inner, 1, &raw mut out, err) }).unwrap();
    close(inner);
    out
}

fn of_caller(engine: *mut selvedge_engine, caller: u64) -> *mut selvedge_engine {
    let mut out = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_engine_for_caller(engine, caller, &raw mut out, err) }).unwrap();
    out
}

/// Starts a run, which waits. An error's hint stands in the place of its message.
fn start(engine: *mut selvedge_engine) -> Result<*mut selvedge_run, (i32, u64)> {
    let prompt = init!(selvedge_generate { prompt: text("and then") });
    let (mut out, mut err) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the request lives during the call, and the places may be written.
    let status = unsafe { selvedge_engine_generate(engine, &prompt, ptr::null(), &raw mut out, &raw mut err) };
    let hint = selvedge_error_retry_after_ms(err);
    assert_eq!(selvedge_error_free(err), SELVEDGE_OK);
    assert_eq!(selvedge_error_retry_after_ms(err), 0, "an error that was freed, or none");
    if status == SELVEDGE_OK { Ok(out) } else { Err((status.0, hint)) }
}

#[test]
fn a_full_queue_says_when_to_come_again_and_callers_have_shares_of_it() {
    let queue = schedule(r#"{"capacity": 3, "caller_capacity": 1, "weights": [{"caller": 7, "weight": 3}]}"#).unwrap();
    let engine = around(queue, handle(Fake::text("so it goes").build()));
    let (seven, eight, nine) = (of_caller(engine, 7), of_caller(engine, 8), of_caller(engine, 9));
    let mut waiting = vec![start(seven).unwrap()];
    let (status, hint) = start(seven).unwrap_err();
    assert_eq!(status, Code::Busy as i32, "a second run of the caller 7");
    assert!(hint > 0, "no hint");
    waiting.push(start(eight).unwrap());
    waiting.push(start(engine).unwrap());
    assert_eq!(start(nine).unwrap_err().0, Code::Busy as i32, "a fourth run");
    let status = status_of(queue, selvedge_schedule_status_json);
    assert_eq!(status, json!({ "waiting": 3, "computing": 0, "granted": 0, "busy": 2, "too_late": 0 }));
    assert_eq!((selvedge_schedule_free(queue), selvedge_schedule_free(queue)), (SELVEDGE_OK, BAD_HANDLE));
    for run in waiting {
        assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    }
    assert_eq!(start(nine).map(|run| selvedge_run_free(run)), Ok(SELVEDGE_OK), "the queue is there without its handle");
    for engine in [engine, seven, eight, nine] {
        close(engine);
    }
}

#[test]
fn what_a_schedule_does_not_take_is_named() {
    let refused = |config: &str| schedule(config).unwrap_err().1;
    assert_eq!(
        refused(r#"{"capacity": 0}"#),
        "schedule: capacity: expected 1 to 4096, got 0",
        "a range is the schedule's own"
    );
    assert!(refused(r#"{"kapazitaet": 1}"#).contains("got \"kapazitaet\""));
    assert_eq!(refused(r#"{"weights": [{"caller": 1}]}"#), "config.weights[0].weight: expected a value, got none");
    assert!(refused("[]").starts_with("config: expected an object"));
    assert_eq!(selvedge_schedule_free(schedule("").unwrap()), SELVEDGE_OK);
}

fn stage(engine: *mut selvedge_engine, checks: &str) -> selvedge_stage {
    init!(selvedge_stage { engine: engine, checks: text(checks) })
}

fn cascade(stages: &[selvedge_stage], on_error: i32) -> Result<*mut selvedge_cascade, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    // SAFETY: the stages live during the call, and the place may be written.
    let made = call(|err| unsafe { selvedge_cascade_new(stages.as_ptr(), stages.len(), on_error, &raw mut out, err) });
    assert_eq!(made.is_err(), out.is_null());
    made.map(|()| out)
}

#[test]
fn a_cascade_asks_the_costlier_engine_where_a_check_fails() {
    let small = handle(Fake::text("I cannot say.").name("small").build());
    let large = handle(Fake::text(r#"{"city": "Paris"}"#).name("large").build());
    let checks = r#"[{"kind": "finished"}, {"kind": "length", "least": 3, "most": 100},
        {"kind": "no_refusal", "phrases": ["as an AI"]}, {"kind": "json", "keys": ["city"]}]"#;
    let both = cascade(&[stage(small, checks), stage(large, "")], SELVEDGE_ON_ERROR_ESCALATE).unwrap();
    let engine = engine_of(both, selvedge_cascade_engine);
    close(small);
    let run = start(engine).unwrap();
    let mut event = init!(selvedge_event {});
    while event.kind != SELVEDGE_EVENT_DONE {
        // SAFETY: the event may be written.
        call(|err| unsafe { selvedge_run_next(run, &raw mut event, err) }).unwrap();
    }
    let mut answer = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_run_answer(run, &raw mut answer, err) }).unwrap();
    assert_eq!(selvedge_run_free(run), SELVEDGE_OK);
    let answer = told(answer);
    assert_eq!(answer["text"], r#"{"city": "Paris"}"#);
    assert_eq!(answer["provenance"]["route"], json!(["cascade(small, large)"]));
    let status = status_of(both, selvedge_cascade_status_json);
    assert_eq!((&status["calls"], &status["stages"][1]["accepted"]), (&json!(1), &json!(1)));
    assert_eq!(status["stages"][0]["refused"][3], json!({ "check": "json with city", "answers": 1 }));
    assert_eq!((selvedge_cascade_free(both), selvedge_cascade_free(both)), (SELVEDGE_OK, BAD_HANDLE));
    close(engine);

    let small = handle(Fake::text("yes").name("small").build());
    let refused = |first: &str, last: &str| {
        cascade(&[stage(small, first), stage(large, last)], SELVEDGE_ON_ERROR_RETURN).unwrap_err().1
    };
    assert_eq!(refused("", ""), "stage 'small': expected at least one check, got none");
    assert!(refused(r#"[{"kind": "json"}]"#, "[]").contains("no checks in the last one"));
    assert!(refused(r#"[{"kind": "pretty"}]"#, "").starts_with("checks[0].kind: expected one of \"finished\""));
    assert!(refused(r#"[{"kind": "length", "last": 3}]"#, "").contains("got \"last\""));
    assert!(cascade(&[], SELVEDGE_ON_ERROR_RETURN).unwrap_err().1.contains("at least two"));
    let one = cascade(&[stage(large, "")], SELVEDGE_ON_ERROR_RETURN).unwrap_err().1;
    assert_eq!(one, "cascade: expected at least one engine before the last, got none");
    let checks = r#"[{"kind": "json"}]"#;
    assert!(cascade(&[stage(small, checks), stage(large, "")], 77).unwrap_err().1.contains("selvedge_on_error: 77"));
    let none = stage(ptr::null_mut(), checks);
    assert!(cascade(&[none, stage(large, "")], 0).unwrap_err().1.contains("expected a handle, got NULL"));
    close(small);
    close(large);
}

const PROBE: &str = r#"{"kind": "classes", "output": "y"}"#;

fn confidence(engine: *mut selvedge_engine, rows: &[f32]) -> f64 {
    let answer = run(engine, &[floats("x", &[rows.len() as i64 / 2, 2], rows)], None).unwrap();
    let mut confidence = 7.0;
    // SAFETY: the text lives during the call, and the place may be written.
    call(|err| unsafe {
        selvedge_answer_confidence(answer, engine, PROBE.as_ptr().cast(), PROBE.len(), &raw mut confidence, err)
    })
    .unwrap();
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    confidence
}

fn fitted(confidences: &[f32], right: &[u8], rate: f64) -> Result<selvedge_threshold, (i32, String)> {
    let mut out = init!(selvedge_threshold { rows: 9 });
    // SAFETY: the columns live during the call, and the struct may be written.
    let fitted = call(|err| unsafe {
        selvedge_threshold_fit(confidences.as_ptr(), right.as_ptr(), right.len(), rate, &raw mut out, err)
    });
    assert_eq!(fitted.is_err(), out.rows == 0);
    fitted.map(|()| out)
}

#[test]
fn a_threshold_is_fitted_to_what_the_check_sees() {
    let echo = handle(Fake::echo(DType::F32).name("small").build());
    assert_eq!(confidence(echo, &[0.9, 0.1, 0.25, 0.75]), 0.75, "of two rows, the least");
    assert!(confidence(echo, &[]).is_nan());

    let held_out: Vec<(f32, bool)> = (0..1000).map(|i| (0.5 + i as f32 / 2000.0, i % 50 < 25 + i / 40)).collect();
    let confidences: Vec<f32> = held_out.iter().map(|(c, _)| *c).collect();
    let right: Vec<u8> = held_out.iter().map(|(_, right)| u8::from(*right)).collect();
    let (expected, got) = (Threshold::fit(&held_out, 0.05).unwrap(), fitted(&confidences, &right, 0.05).unwrap());
    assert_eq!((got.above, got.bound, got.rows), (expected.above.into(), expected.bound, 1000));
    assert_eq!((got.escalated, got.escalated_high), (expected.escalated.value, expected.escalated.high));
    assert_eq!(
        (got.wrong_of_accepted, got.accepted),
        (expected.wrong_of_accepted.value, expected.wrong_of_accepted.of)
    );
    assert!(got.above > 0.5 && got.escalated > 0.0);
    let never_wrong = fitted(&confidences, &[1; 1000], 0.05).unwrap();
    assert_eq!((never_wrong.above, never_wrong.escalated), (f64::NEG_INFINITY, 0.0));
    assert!(fitted(&confidences[..3], &[1, 1, 2], 0.5).unwrap_err().1.contains("row 2: expected 0 or 1, got 2"));
    assert!(fitted(&confidences[..3], &[1; 3], 0.05).unwrap_err().1.contains("expected at least 19"));

    // In a cascade, an answer below the threshold goes to the next engine, and one above it stays.
    let large = handle(Fake::echo(DType::F32).name("large").build());
    let check = format!(r#"[{{"kind": "confident", "probe": {PROBE}, "above": {}}}]"#, got.above);
    let both = cascade(&[stage(echo, &check), stage(large, "")], SELVEDGE_ON_ERROR_ESCALATE).unwrap();
    let engine = engine_of(both, selvedge_cascade_engine);
    let route = |p: f32| {
        told(run(engine, &[floats("x", &[1, 2], &[p, 1.0 - p])], None).unwrap())["provenance"]["route"][0].clone()
    };
    assert_eq!(route(got.above as f32 - 0.001), "cascade(small, large)");
    assert_eq!(route(got.above as f32 + 0.001), "cascade(small)");
    assert_eq!(selvedge_cascade_free(both), SELVEDGE_OK);
    [echo, large, engine].into_iter().for_each(close);
}

#[cfg(feature = "tract")]
mod models {
    use super::*;

    fn models(budget: u64) -> *mut selvedge_models {
        let mut out = ptr::null_mut();
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_models_new(budget, &raw mut out, err) }).unwrap();
        out
    }

    fn add(models: *mut selvedge_models, name: &str, options: &selvedge_options) -> Result<(), (i32, String)> {
        let path = file("examples/quickstart/rain.onnx");
        let (name, name_len, at, len) = (name.as_ptr().cast(), name.len(), path.as_ptr().cast(), path.len());
        // SAFETY: the texts and options live during the call.
        call(|err| unsafe { selvedge_models_add(models, name, name_len, at, len, options, err) })
    }

    fn engine(models: *mut selvedge_models, name: &str) -> Result<*mut selvedge_engine, (i32, String)> {
        let mut out = ptr::null_mut();
        let (name, len) = (name.as_ptr().cast(), name.len());
        // SAFETY: the name lives during the call, and the place may be written.
        call(|err| unsafe { selvedge_models_engine(models, name, len, &raw mut out, err) }).map(|()| out)
    }

    fn status(models: *mut selvedge_models) -> Value {
        status_of(models, selvedge_models_status_json)
    }

    fn rain(engine: *mut selvedge_engine) -> Value {
        told(run(engine, &[floats("weather", &[1, 4], &[0.0, 12.0, 5.0, 3.0])], None).unwrap())
    }

    /// Bytes that the model takes once it is open.
    fn need() -> u64 {
        let all = models(u64::MAX);
        add(all, "one", &init!(selvedge_options { backend: SELVEDGE_BACKEND_TRACT })).unwrap();
        close(engine(all, "one").unwrap());
        let used = status(all)["used"].as_u64().unwrap();
        assert_eq!(selvedge_models_free(all), SELVEDGE_OK);
        used
    }

    #[test]
    fn models_share_a_budget_and_are_opened_again() {
        let options = init!(selvedge_options { backend: SELVEDGE_BACKEND_TRACT });
        let shared = models(need() * 3 / 2);
        for name in ["one", "two"] {
            add(shared, name, &options).unwrap();
        }
        assert!(add(shared, "one", &options).unwrap_err().1.contains("'one'"));
        let (one, two) = (engine(shared, "one").unwrap(), engine(shared, "two").unwrap());
        assert_eq!((&status(shared)["open"], &status(shared)["evicted"]), (&json!(["two"]), &json!(1)));
        assert_eq!(rain(one)["provenance"]["route"], json!(["models"]));
        assert_eq!((&status(shared)["open"], &status(shared)["opened"]), (&json!(["one"]), &json!(3)));
        assert_eq!(engine(shared, "three").unwrap_err().0, Code::NotFound as i32);

        let (mut freed, mut none) = (0, 7);
        // SAFETY: the places may be written.
        unsafe {
            call(|err| selvedge_models_trim(shared, SELVEDGE_TRIM_CACHES, &raw mut none, err)).unwrap();
            call(|err| selvedge_models_pressure(shared, SELVEDGE_PRESSURE_CRITICAL, &raw mut freed, err)).unwrap();
            refused(Code::InvalidArgument, |err| selvedge_models_pressure(shared, 0, &raw mut none, err));
            refused(Code::InvalidArgument, |err| selvedge_models_trim(shared, 77, &raw mut none, err));
        }
        assert!(freed > 0 && none == 0);
        assert_eq!(status(shared)["open"], json!([]));
        assert_eq!((selvedge_models_free(shared), selvedge_models_free(shared)), (SELVEDGE_OK, BAD_HANDLE));
        rain(two);
        close(one);
        close(two);
    }

    #[test]
    fn what_cannot_be_opened_later_is_refused_at_once() {
        let some = models(u64::MAX);
        let mut cancel = ptr::null_mut();
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
        let message = add(some, "x", &init!(selvedge_options { cancel: cancel })).unwrap_err().1;
        assert_eq!(message, "selvedge_options.cancel: expected NULL for a model that is opened later");
        assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
        assert_eq!(add(some, "", &init!(selvedge_options {})).unwrap_err().1, "name: expected a name, got none");
        let llama = add(some, "x", &init!(selvedge_options { backend: SELVEDGE_BACKEND_LLAMA })).unwrap_err();
        assert_eq!(llama.0, Code::Unsupported as i32, "{}", llama.1);
        assert_eq!(selvedge_models_free(some), SELVEDGE_OK);
        let small = models(1);
        assert_eq!(add(small, "x", &init!(selvedge_options {})).unwrap_err().0, Code::OutOfMemory as i32);
        assert_eq!(selvedge_models_free(small), SELVEDGE_OK);
    }

    #[test]
    fn the_systems_memory_is_watched_where_it_tells_of_itself() {
        let some = models(u64::MAX);
        // SAFETY: the place may be written.
        let watch = || call(|err| unsafe { selvedge_models_watch_pressure(some, err) });
        match watch() {
            Ok(()) => assert!(watch().is_ok(), "a second time is as once"),
            Err((code, message)) => assert_eq!(code, Code::Unsupported as i32, "{message}"),
        }
        assert_eq!(selvedge_models_free(some), SELVEDGE_OK);
    }
}

#[test]
fn a_telemetry_folder_gives_evidence_as_files() {
    use selvedge::report::{Evidence, Story};
    use selvedge::sync::Privacy;
    use selvedge::telemetry::{AlertCode, AlertRecord, Limits, ModelInfo, ModelSlot, Record, Telemetry, Window};

    let folder = tempfile::tempdir().unwrap();
    let (telemetry, model_slot) = (Telemetry::open(folder.path(), Limits::default()), ModelSlot(1));
    let info = ModelInfo { slot: model_slot, name: "rain".into(), ..ModelInfo::default() };
    telemetry.seal(&Record::Model(info)).unwrap();
    telemetry.seal(&Record::Window(Window { model_slot, rows: 1024, ..Window::default() })).unwrap();
    let to = folder.path().join("away/evidence");
    let (from, at) = (folder.path().to_str().unwrap(), to.to_str().unwrap());
    let write = |epsilon: f64| {
        let (mut alerts, from, at) = (77, (from.as_ptr().cast(), from.len()), (at.as_ptr().cast(), at.len()));
        // SAFETY: the texts live during the call, and the place may be written.
        call(|err| unsafe { selvedge_report_evidence(from.0, from.1, at.0, at.1, 0, epsilon, &raw mut alerts, err) })
            .map(|()| alerts)
    };
    assert_eq!(write(0.0), Ok(0));
    assert!(!to.exists(), "nothing asks for it, and nothing is written");
    let (code, action) = (AlertCode::ConceptDrift, Some("retrain".to_string()));
    telemetry
        .seal(&Record::Alert(AlertRecord { model_slot, code, raised: true, action, ..Default::default() }))
        .unwrap();
    assert_eq!(write(0.0), Ok(1));
    let expected = Evidence::of(&Story::read(folder.path()).unwrap(), Privacy::default()).unwrap();
    assert!(!expected.files().is_empty());
    for (path, bytes) in expected.files() {
        assert_eq!(&std::fs::read(to.join(path)).unwrap(), bytes, "{path}");
    }
    let message = write(-1.0).unwrap_err().1;
    assert!(message.contains("epsilon"), "{message}");
    let nowhere = "no/such/folder";
    let (from, len, mut alerts) = (nowhere.as_ptr().cast(), nowhere.len(), 77);
    // SAFETY: as above.
    refused(Code::NotFound, |err| unsafe {
        selvedge_report_evidence(from, len, at.as_ptr().cast(), at.len(), 0, 0.0, &raw mut alerts, err)
    });
    assert_eq!(alerts, 0);
}
