//! Alerts through the C ABI: told by a callback and by a queue, in order and once; user data that is released once; calls
//! of any kind from within a callback.

use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use selvedge::fake::Fake;
use selvedge::{Code, DType};

use super::watching::*;
use super::*;

const FEATURES: usize = 100;

/// What a callback is given.
#[derive(Default)]
struct Listener {
    told: Mutex<Vec<Told>>,
    released: AtomicUsize,
}

impl Listener {
    fn released(&self) -> usize {
        self.released.load(Ordering::SeqCst)
    }
}

unsafe extern "C" fn listen(user_data: *mut c_void, alert: *const selvedge_alert) {
    // SAFETY: a listener, which outlives the monitor; the alert lives until this returns.
    let (listener, alert) = unsafe { (&*user_data.cast::<Listener>(), &*alert) };
    assert_eq!(listener.released(), 0, "told after its release");
    listener.told.lock().unwrap().push(Told::of(alert));
}

unsafe extern "C" fn release(user_data: *mut c_void) {
    // SAFETY: as above.
    unsafe { &*user_data.cast::<Listener>() }.released.fetch_add(1, Ordering::SeqCst);
}

/// A config of so many columns, which alarms at the first window of eight rows. A latency that changes is none of it.
fn config() -> String {
    let names: Vec<String> = (0..FEATURES).map(|i| format!("\"f{i}\"")).collect();
    format!(
        r#"{{"probe": {{"kind": "columns", "input": "x", "names": [{}]}}, "window": 8, "persistence": [1, 1], "calm": 1,
            "false_alarm": {{"windows": 10}},
            "detectors": [{{"stream": "latency", "kind": "kswin", "window": 10000}}]}}"#,
        names.join(", ")
    )
}

/// The columns of a profile: numbers from 0 to 7, in turn.
fn profile() -> *mut selvedge_profile {
    let numbers: Vec<f32> = (0..4096).map(|i| (i % 8) as f32).collect();
    let columns: Vec<_> = (0..FEATURES).map(|i| column(format!("f{i}").leak(), SELVEDGE_F32, &numbers)).collect();
    fit(&rows_of(&columns, numbers.len()), Some(&init!(selvedge_fit { block: 1 }))).unwrap()
}

fn options(config: &str, listener: &Listener, profile: *const selvedge_profile) -> selvedge_monitor_options {
    init!(selvedge_monitor_options {
        config: text(config),
        profile: profile,
        on_alert: Some(listen),
        user_data: user_data(listener),
        release: Some(release),
    })
}

/// A watched fake of this name.
fn watched(name: &str, telemetry: *mut selvedge_telemetry, options: &selvedge_monitor_options) -> Watching {
    let engine = handle(Fake::echo(DType::F32).name(name).build());
    let watching = watch(engine, telemetry, options).unwrap();
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    watching
}

impl Watching {
    /// A window of the numbers of the reference, or of others.
    fn window(&self, of_reference: bool) {
        for i in 0..8 {
            let value = if of_reference { i as f32 } else { 100.0 };
            self.ask("x", &[value; FEATURES], 0);
        }
        self.close_window();
    }
}

#[test]
fn alerts_are_raised_once_and_cleared_and_wait_in_their_order() {
    let (folder, listener) = (tempfile::tempdir().unwrap(), Listener::default());
    let (telemetry, profile) = (open_telemetry(folder.path()), profile());
    let watching = watched("a", telemetry, &options(&config(), &listener, profile));
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    watching.window(true);
    assert_eq!(watching.next_alert(), None);
    watching.window(false);
    watching.window(false);
    watching.window(true);
    let told = listener.told.lock().unwrap().clone();
    assert_eq!(told.len(), 2 * FEATURES);
    let (raised, cleared) = told.split_at(FEATURES);
    for (i, (raised, cleared)) in raised.iter().zip(cleared).enumerate() {
        assert_eq!((raised.event, &*raised.feature), (SELVEDGE_ALERT_RAISED, &*format!("f{i}")));
        assert_eq!((raised.since, raised.at, cleared.since, cleared.at), (1, 1, 1, 3));
        assert_eq!(
            (cleared.event, &cleared.feature, &cleared.kind),
            (SELVEDGE_ALERT_CLEARED, &raised.feature, &raised.kind)
        );
        assert_eq!((&*raised.kind, raised.action), ("dead_feature", SELVEDGE_ACTION_CHECK_PIPELINE));
        assert_eq!(raised.severity, SELVEDGE_SEVERITY_CRITICAL);
        assert!(raised.evidence.contains("100.0 % out of range, all rows in one bin"), "{}", raised.evidence);
    }
    // The queue has the same, and whoever asks too late has lost the oldest.
    assert_eq!(std::iter::from_fn(|| watching.next_alert()).collect::<Vec<_>>(), told);
    for _ in 0..6 {
        watching.window(false);
        watching.window(true);
    }
    let told = listener.told.lock().unwrap()[2 * FEATURES..].to_vec();
    assert_eq!(told.len(), 12 * FEATURES);
    let left: Vec<_> = std::iter::from_fn(|| watching.next_alert()).collect();
    assert_eq!(left.len(), 1024);
    assert_eq!(left, told[told.len() - 1024..]);
    watching.free();
    assert_eq!(listener.released(), 1);
}

#[test]
fn user_data_is_released_once_whatever_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (telemetry, profile) = (open_telemetry(folder.path()), profile());
    let (engine, config) = (handle(Fake::echo(DType::F32).build()), config());
    let stale = handle(Fake::echo(DType::F32).build());
    assert_eq!(selvedge_engine_close(stale), SELVEDGE_OK);
    let fails = |code: Code, engine: *mut selvedge_engine, telemetry, change: fn(&mut selvedge_monitor_options)| {
        let listener = Listener::default();
        let mut options = options(&config, &listener, profile);
        change(&mut options);
        let (got, message) = watch(engine, telemetry, &options).err().unwrap();
        assert_eq!(got, code as i32, "{message}");
        assert_eq!(listener.released(), 1, "{message}");
    };
    fails(Code::BadHandle, stale, telemetry, |_| {});
    fails(Code::InvalidArgument, ptr::null_mut(), telemetry, |_| {});
    fails(Code::InvalidArgument, engine, ptr::null_mut(), |_| {});
    fails(Code::BadHandle, engine, engine.cast(), |_| {});
    fails(Code::BadHandle, engine, telemetry, |o| o.profile = ptr::without_provenance(8));
    fails(Code::InvalidArgument, engine, telemetry, |o| o.config = text("{}"));
    fails(Code::InvalidArgument, engine, telemetry, |o| o.config.len = usize::MAX);
    fails(Code::InvalidArgument, engine, telemetry, |o| o.config = text(r#"{"probe": [], "window": 1}"#));
    let listener = Listener::default();
    let good = options(&config, &listener, profile);
    // SAFETY: no place is written.
    let message = refused(Code::InvalidArgument, |err| unsafe {
        selvedge_monitor_new(engine, telemetry, &good, ptr::null_mut(), err)
    });
    assert_eq!((&*message, listener.released()), ("out: expected a pointer, got NULL", 1));
    // What cannot be read is not taken.
    let listener = Listener::default();
    let small = selvedge_monitor_options { struct_size: 8, ..options(&config, &listener, profile) };
    let (code, message) = watch(engine, telemetry, &small).err().unwrap();
    assert_eq!((code, listener.released()), (Code::InvalidArgument as i32, 0), "{message}");
    // SAFETY: no pointer is followed.
    refused_with(Code::InvalidArgument, |out, err| unsafe {
        selvedge_monitor_new(engine, telemetry, ptr::null(), out, err)
    });
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
}

#[test]
fn user_data_lives_as_long_as_what_may_tell_it_something() {
    let (folder, listener, second) = (tempfile::tempdir().unwrap(), Listener::default(), Listener::default());
    let (telemetry, profile, config) = (open_telemetry(folder.path()), profile(), config());
    let watching = watched("a", telemetry, &options(&config, &listener, profile));
    assert_eq!(selvedge_monitor_free(watching.monitor), SELVEDGE_OK);
    assert_eq!(listener.released(), 0, "its engine goes on being watched");
    for _ in 0..16 {
        watching.ask("x", &[100.0; FEATURES], 0);
    }
    assert_eq!(listener.told.lock().unwrap().len(), FEATURES);

    // A second monitor of the same model and folder takes its place, at once.
    let again = watched("a", telemetry, &options(&config, &second, profile));
    assert_eq!((listener.released(), second.released()), (1, 0));
    again.window(true);
    assert_eq!(listener.told.lock().unwrap().len(), FEATURES, "the first is told no more");
    assert!(!second.told.lock().unwrap().is_empty());
    assert_eq!(selvedge_engine_close(watching.engine), SELVEDGE_OK);
    again.free();
    assert_eq!((listener.released(), second.released()), (1, 1));
    assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
}

/// Runs on a thread of its own, so that a call that waits for itself is a failure and no hang.
fn within_a_minute(body: impl FnOnce() + Send + 'static) {
    let (done, waits) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match waits.recv_timeout(Duration::from_secs(60)) {
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a call from within a callback waits for itself"),
    }
}

/// Makes calls from within its callbacks.
#[derive(Default)]
struct Caller {
    monitor: Mutex<Option<Shared<selvedge_monitor>>>,
    telemetry: Mutex<Option<Shared<selvedge_telemetry>>>,
    told: AtomicUsize,
    released: AtomicUsize,
}

/// All that a monitor can be asked.
unsafe extern "C" fn ask_all(user_data: *mut c_void, alert: *const selvedge_alert) {
    // SAFETY: a caller, which outlives the monitor; the alert lives until this returns.
    let (caller, alert) = unsafe { (&*user_data.cast::<Caller>(), Told::of(&*alert)) };
    if caller.told.fetch_add(1, Ordering::SeqCst) > 0 {
        return;
    }
    let monitor = caller.monitor.lock().unwrap().take().unwrap().get();
    assert_eq!(next_alert(monitor), Some(alert), "it waits in the queue, too");
    let (mut engine, mut verdict, mut profile) = (ptr::null_mut(), 0, ptr::null_mut());
    // SAFETY: the places may be written.
    unsafe {
        call(|err| selvedge_monitor_feedback(monitor, 1, SELVEDGE_LABEL_CORRECT, 1, &raw mut verdict, err)).unwrap();
        assert_eq!(verdict, SELVEDGE_VERDICT_STEADY);
        let report = json_of(|out, err| selvedge_monitor_report_json(monitor, out, err));
        assert_eq!(report["alerts"].as_array().unwrap().len(), FEATURES);
        call(|err| selvedge_monitor_tick(monitor, err)).unwrap();
        call(|err| selvedge_monitor_close_window(monitor, err)).unwrap();
        call(|err| selvedge_monitor_profile(monitor, &raw mut profile, err)).unwrap();
        assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
        call(|err| selvedge_monitor_engine(monitor, &raw mut engine, err)).unwrap();
    }
    // A call of the engine that is in a call, and the end of the monitor that tells this.
    let watching = Watching { monitor, engine };
    watching.ask("x", &[1.0; FEATURES], 0);
    watching.free();
}

/// A call of a monitor of the same folder, and of the telemetry.
unsafe extern "C" fn ask_another(user_data: *mut c_void) {
    // SAFETY: as above.
    let caller = unsafe { &*user_data.cast::<Caller>() };
    caller.released.fetch_add(1, Ordering::SeqCst);
    if let Some(monitor) = caller.monitor.lock().unwrap().take() {
        // SAFETY: the places may be written.
        let report = json_of(|out, err| unsafe { selvedge_monitor_report_json(monitor.get(), out, err) });
        assert_eq!(report["reference"], "given");
    }
    if let Some(telemetry) = caller.telemetry.lock().unwrap().take() {
        assert_eq!(status_json(telemetry.get())["mode"], "durable");
    }
}

#[test]
fn a_callback_may_make_any_call_even_free_its_monitor() {
    within_a_minute(|| {
        let (folder, caller) = (tempfile::tempdir().unwrap(), Caller::default());
        let (telemetry, profile) = (open_telemetry(folder.path()), profile());
        let config = config();
        let options = selvedge_monitor_options {
            on_alert: Some(ask_all),
            user_data: user_data(&caller),
            release: Some(ask_another),
            ..options(&config, &Listener::default(), profile)
        };
        let watching = watched("a", telemetry, &options);
        *caller.monitor.lock().unwrap() = Some(Shared(watching.monitor));
        *caller.telemetry.lock().unwrap() = Some(Shared(telemetry));
        watching.ask("x", &[100.0; FEATURES], 1);
        for _ in 0..7 {
            watching.ask("x", &[100.0; FEATURES], 0);
        }
        assert_eq!(caller.told.load(Ordering::SeqCst), FEATURES, "all are told, also after it was freed");
        assert_eq!(selvedge_monitor_free(watching.monitor), BAD_HANDLE);
        assert_eq!(caller.released.load(Ordering::SeqCst), 0);
        assert_eq!(selvedge_engine_close(watching.engine), SELVEDGE_OK);
        assert_eq!(caller.released.load(Ordering::SeqCst), 1);
        assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
        assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    });
}

#[test]
fn a_release_may_make_any_call_as_another_monitor_takes_the_place() {
    within_a_minute(|| {
        let (folder, caller, quiet) = (tempfile::tempdir().unwrap(), Caller::default(), Listener::default());
        let (telemetry, profile, config) = (open_telemetry(folder.path()), profile(), config());
        let with = options(&config, &quiet, profile);
        let calls = selvedge_monitor_options {
            on_alert: None,
            user_data: user_data(&caller),
            release: Some(ask_another),
            ..with
        };
        // Of another model, so that it shares the folder and not the place.
        let other = watched("b", telemetry, &with);
        *caller.monitor.lock().unwrap() = Some(Shared(other.monitor));
        let first = watched("a", telemetry, &calls);
        let second = watched("a", telemetry, &selvedge_monitor_options { release: None, on_alert: None, ..with });
        assert_eq!(caller.released.load(Ordering::SeqCst), 1);
        first.free();
        second.free();
        other.free();
        assert_eq!(quiet.released(), 1);
        assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
        assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    });
}

#[test]
fn many_threads_ask_a_watched_engine_and_its_monitor() {
    within_a_minute(|| {
        let (folder, listener) = (tempfile::tempdir().unwrap(), Listener::default());
        let (telemetry, profile, config) = (open_telemetry(folder.path()), profile(), config());
        let watching = watched("a", telemetry, &options(&config, &listener, profile));
        let (monitor, engine) = (Shared(watching.monitor), Shared(watching.engine));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    let watching = Watching { monitor: monitor.get(), engine: engine.get() };
                    for i in 0..40 {
                        watching.ask("x", &[if i < 20 { 100.0 } else { (i % 8) as f32 }; FEATURES], 0);
                        if thread % 2 == 0 && i % 10 == 0 {
                            watching.report();
                        }
                    }
                });
            }
            scope.spawn(move || {
                for _ in 0..400 {
                    let mut alert = init!(selvedge_alert {});
                    // SAFETY: the alert may be written.
                    let status = unsafe { selvedge_monitor_next_alert(monitor.get(), &raw mut alert, ptr::null_mut()) };
                    assert_eq!(status, SELVEDGE_OK, "no other thread asks");
                }
            });
        });
        watching.close_window();
        assert_eq!(watching.report()["totals"]["rows"], 8 * 40);
        let told = listener.told.lock().unwrap().clone();
        assert!(told.iter().any(|t| t.event == SELVEDGE_ALERT_RAISED));
        watching.free();
        assert_eq!(listener.released(), 1);
        assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
        assert_eq!(selvedge_profile_free(profile), SELVEDGE_OK);
    });
}
