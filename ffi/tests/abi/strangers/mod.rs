//! Handles that are NULL, freed, of another type, or never were one, given to every function that takes a handle, and NULL
//! in the place of everything else.

mod calls;
mod nulls;

use std::path::Path;

use selvedge::fake::Fake;
use selvedge::{Code, DType};

use super::posting::{Post, folder};
use super::watching::{column, fit, open_telemetry, rows_of, watch};
use super::*;
use calls::calls;

type Free = fn(*mut u8) -> selvedge_status;

const FREES: [(&str, Free); 18] = [
    ("error", |h| selvedge_error_free(h.cast())),
    ("cancel", |h| selvedge_cancel_free(h.cast())),
    ("engine", |h| selvedge_engine_close(h.cast())),
    ("run", |h| selvedge_run_free(h.cast())),
    ("answer", |h| selvedge_answer_free(h.cast())),
    ("telemetry", |h| selvedge_telemetry_free(h.cast())),
    ("profile", |h| selvedge_profile_free(h.cast())),
    ("monitor", |h| selvedge_monitor_free(h.cast())),
    ("buffer", |h| selvedge_buffer_free(h.cast())),
    ("outbox", |h| selvedge_outbox_free(h.cast())),
    ("batch", |h| selvedge_batch_free(h.cast())),
    ("table", |h| selvedge_table_free(h.cast())),
    ("store", |h| selvedge_store_close(h.cast())),
    ("staged", |h| selvedge_staged_free(h.cast())),
    ("cache", |h| selvedge_cache_free(h.cast())),
    ("schedule", |h| selvedge_schedule_free(h.cast())),
    ("cascade", |h| selvedge_cascade_free(h.cast())),
    ("models", |h| selvedge_models_free(h.cast())),
];

/// A live handle of each type, in the order of [`FREES`], and the folders of those that have one.
struct Live {
    handles: [*mut u8; FREES.len()],
    _folders: [tempfile::TempDir; 3],
}

impl Live {
    fn new() -> Self {
        let (watched, posted, stored) = (tempfile::tempdir().unwrap(), folder(1), tempfile::tempdir().unwrap());
        let [error, cancel, run, answer] = of_engines();
        let [engine, telemetry, profile, monitor, buffer] = of_monitors(watched.path());
        let post = Post::open(posted.path(), &posting::options());
        let batch = post.next(1 << 20).unwrap();
        // An outbox keeps its folder's telemetry.
        assert_eq!(selvedge_telemetry_free(post.telemetry), SELVEDGE_OK);
        let (outbox, batch, table) = (post.outbox.cast(), batch.cast(), tables::small().cast());
        let store = stores::open(stored.path(), &stores::trust()).unwrap();
        let staged = stores::stage(store, &stores::ID, 1000).unwrap().cast();
        let store = store.cast();
        let [cache, schedule, cascade, models] = of_layers(engine.cast());
        Self {
            handles: [
                error, cancel, engine, run, answer, telemetry, profile, monitor, buffer, outbox, batch, table, store,
                staged, cache, schedule, cascade, models,
            ],
            _folders: [watched, posted, stored],
        }
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, *mut u8)> {
        FREES.into_iter().map(|(kind, _)| kind).zip(self.handles)
    }

    fn get(&self, kind: &str) -> *mut u8 {
        self.each().find(|(k, _)| *k == kind).expect("a type of the header").1
    }

    /// Frees all of them, which nothing has harmed.
    fn free(&self) {
        for ((kind, h), (_, free)) in self.each().zip(FREES) {
            assert_eq!(free(h), SELVEDGE_OK, "{kind}");
        }
    }
}

/// An error, a switch, a run and an answer.
fn of_engines() -> [*mut u8; 4] {
    let (speaks, echo) = (handle(Fake::text("so it goes").build()), handle(Fake::echo(DType::F32).build()));
    let (mut error, mut cancel, mut run, mut answer) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let x = 1.5f32;
    let tensor = init!(selvedge_tensor {
        name: c"x".as_ptr(),
        name_len: 1,
        dtype: SELVEDGE_F32,
        byte_len: 4,
        data: (&raw const x).cast()
    });
    let request = init!(selvedge_tensors { inputs: &raw const tensor, input_count: 1 });
    let prompt = init!(selvedge_generate { prompt: text("and then") });
    // SAFETY: every pointer is to something that lives during the call.
    unsafe {
        assert_eq!(selvedge_run_next(ptr::null_mut(), ptr::null_mut(), &raw mut error), INVALID);
        call(|err| selvedge_cancel_new(&raw mut cancel, err)).unwrap();
        call(|err| selvedge_engine_generate(speaks, &prompt, ptr::null(), &raw mut run, err)).unwrap();
        call(|err| selvedge_engine_run(echo, &request, ptr::null(), &raw mut answer, err)).unwrap();
    }
    assert_eq!((selvedge_engine_close(speaks), selvedge_engine_close(echo)), (SELVEDGE_OK, SELVEDGE_OK));
    [error.cast(), cancel.cast(), run.cast(), answer.cast()]
}

/// An engine, the telemetry of a folder, a profile, a monitor and a buffer.
fn of_monitors(folder: &Path) -> [*mut u8; 5] {
    let (engine, telemetry) = (handle(Fake::echo(DType::F32).build()), open_telemetry(folder));
    let columns = [column("wind", SELVEDGE_F32, &[1.0f32, 2.0])];
    let profile = fit(&rows_of(&columns, 2), None).unwrap();
    let options = init!(selvedge_monitor_options { config: text(r#"{"probe": []}"#) });
    let watching = watch(engine, telemetry, &options).unwrap();
    assert_eq!(selvedge_engine_close(watching.engine), SELVEDGE_OK);
    let mut buffer = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_profile_encode(profile, &raw mut buffer, err) }).unwrap();
    [engine.cast(), telemetry.cast(), profile.cast(), watching.monitor.cast(), buffer.cast()]
}

/// A cache, a schedule, a cascade and models.
fn of_layers(engine: *mut selvedge_engine) -> [*mut u8; 4] {
    let (mut cache, mut schedule, mut cascade, mut models) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let checks = text(r#"[{"kind": "finished"}]"#);
    let stages = [init!(selvedge_stage { engine: engine, checks: checks }), init!(selvedge_stage { engine: engine })];
    // SAFETY: every pointer is to something that lives during the call.
    unsafe {
        call(|err| selvedge_cache_new(engine, 1000, &raw mut cache, err)).unwrap();
        call(|err| selvedge_schedule_new(ptr::null(), 0, &raw mut schedule, err)).unwrap();
        call(|err| selvedge_cascade_new(stages.as_ptr(), 2, 0, &raw mut cascade, err)).unwrap();
        call(|err| selvedge_models_new(1000, &raw mut models, err)).unwrap();
    }
    [cache.cast(), schedule.cast(), cascade.cast(), models.cast()]
}

/// What has no place for an error takes `h` for none of its own.
fn is_no(kind: &str, h: *mut u8) {
    match kind {
        "cancel" => assert_eq!(selvedge_cancel_set(h.cast()), BAD_HANDLE),
        "error" => {
            assert_eq!(selvedge_error_code(h.cast()), BAD_HANDLE);
            let mut len = 0;
            // SAFETY: `len` may be written; the message is static.
            let message = unsafe { CStr::from_ptr(selvedge_error_message(h.cast(), &raw mut len)) };
            assert_eq!((message, len), (c"expected a live selvedge_error", message.count_bytes()));
            assert_eq!(selvedge_error_retry_after_ms(h.cast()), 0);
        }
        "buffer" => {
            let mut len = usize::MAX;
            // SAFETY: `len` may be written, and what is no buffer is one zero.
            let nothing = unsafe { *selvedge_buffer_data(h.cast(), &raw mut len).cast::<u8>() };
            assert_eq!((nothing, len), (0, 0));
        }
        _ => {}
    }
}

/// Gives `h`, which is `got`, to every function that wants another type than `is`.
fn check_foreign(live: &Live, h: *mut u8, is: &str, got: &str) {
    for c in calls(h, live).into_iter().filter(|c| c.wants != is) {
        let expected = format!("expected a selvedge_{}, got {got}", c.wants);
        assert_eq!(refused(Code::BadHandle, c.entry), expected, "{}", c.name);
    }
    for (frees, free) in FREES.into_iter().filter(|(frees, _)| *frees != is) {
        assert_eq!(free(h), BAD_HANDLE, "{got}, freed as a {frees}");
        is_no(frees, h);
    }
}

#[test]
fn null_is_an_argument_error_except_to_free() {
    let live = Live::new();
    for c in calls(ptr::null_mut(), &live).into_iter().filter(|c| !c.is_option) {
        let expected = format!("selvedge_{}: expected a handle, got NULL", c.wants);
        assert_eq!(refused(Code::InvalidArgument, c.entry), expected, "{}", c.name);
    }
    for (kind, free) in FREES {
        assert_eq!(free(ptr::null_mut()), SELVEDGE_OK, "{kind}");
    }
    assert_eq!(selvedge_cancel_set(ptr::null()), INVALID);
    assert_eq!(selvedge_error_code(ptr::null()), SELVEDGE_OK);
    // SAFETY: `len` may be NULL, and the message of NULL is static.
    assert_eq!(unsafe { CStr::from_ptr(selvedge_error_message(ptr::null(), ptr::null_mut())) }, c"");
    live.free();
}

#[test]
fn a_handle_of_another_type_is_named() {
    let live = Live::new();
    for (is, h) in live.each() {
        check_foreign(&live, h, is, &format!("a selvedge_{is}"));
    }
    live.free();
}

#[test]
fn a_number_that_was_never_a_handle_is_refused() {
    let live = Live::new();
    let (local, heap) = (0u64, Box::new(0u64));
    let real = [(&raw const local).addr(), (&raw const *heap).addr()];
    for number in real.into_iter().chain([1, 8, 0x7fff_ffff, usize::MAX, usize::MAX / 2]) {
        check_foreign(&live, ptr::without_provenance_mut(number), "nothing", "something that was never a handle");
    }
    live.free();
}

#[test]
fn a_freed_handle_is_known_to_be_stale_even_when_its_place_is_taken_again() {
    let (live, old) = (Live::new(), Live::new());
    old.free();
    let new = Live::new();
    for ((is, stale), fresh) in old.each().zip(new.handles) {
        assert_ne!(stale, fresh);
        for c in calls(stale, &live).into_iter().filter(|c| c.wants == is) {
            let expected = format!("selvedge_{is}: expected a live handle, got one that was freed");
            assert_eq!(refused(Code::BadHandle, c.entry), expected, "{}", c.name);
        }
        for (frees, free) in FREES {
            assert_eq!(free(stale), BAD_HANDLE, "a freed {is}, freed as a {frees}");
            is_no(frees, stale);
        }
    }
    new.free();
    live.free();
}
