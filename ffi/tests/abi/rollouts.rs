//! Deployments through the C ABI, over a store with real packages: versions come in and go back, labels and alerts judge
//! them, and what is closed, in any order, is closed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use selvedge::Code;
use selvedge::store::{Store, Trust};
use serde_json::{Value, json};

use super::layering::{close, engine_of, status_of};
use super::tensors::{bytes, floats, output, run};
use super::watching::{bytes_of, next_alert, open_telemetry};
use super::*;

const RAIN: [f32; 4] = [0.0, 12.0, 5.0, 3.0];
const WAIT_MS: u64 = 20_000;

/// A store of three versions that somebody signed, open.
fn store(folder: &Path) -> *mut selvedge_store {
    let packages = file("examples/quickstart/packages");
    let key = std::fs::read_to_string(format!("{packages}/key.pem")).unwrap();
    let filled = Store::open(folder, Trust::new().key(&key).unwrap()).unwrap();
    for package in ["seattle", "new-york", "poisoned"] {
        filled.import(&*format!("{packages}/{package}"), |_| Ok(())).unwrap();
    }
    drop(filled);
    open_store(folder).unwrap()
}

fn open_store(folder: &Path) -> Result<*mut selvedge_store, (i32, String)> {
    let key = std::fs::read_to_string(file("examples/quickstart/packages/key.pem")).unwrap();
    let (keys, folder) = ([text(&key)], folder.to_str().unwrap());
    let trust = init!(selvedge_trust { keys: keys.as_ptr(), key_count: 1 });
    let (at, len, mut out) = (folder.as_ptr().cast(), folder.len(), ptr::null_mut());
    // SAFETY: folder and trust live during the call, and the place may be written.
    call(|err| unsafe { selvedge_store_open(at, len, &trust, &raw mut out, err) }).map(|()| out)
}

struct Rollout {
    deployment: *mut selvedge_deployment,
    engine: *mut selvedge_engine,
}

fn deploy(
    store: *mut selvedge_store,
    config: &Value,
    telemetry: *mut selvedge_telemetry,
) -> Result<Rollout, (i32, String)> {
    let (config, mut deployment) = (config.to_string(), ptr::without_provenance_mut(0x5eed));
    let options = init!(selvedge_options { backend: SELVEDGE_BACKEND_TRACT });
    let (at, len) = (config.as_ptr().cast(), config.len());
    // SAFETY: text and options live during the call, and the place may be written.
    let made =
        call(|err| unsafe { selvedge_deployment_new(store, at, len, telemetry, &options, &raw mut deployment, err) });
    assert_eq!(made.is_err(), deployment.is_null());
    made?;
    Ok(Rollout { deployment, engine: engine_of(deployment, selvedge_deployment_engine) })
}

impl Rollout {
    fn offer(&self, version: &str, plan: &Value) -> Result<i32, (i32, String)> {
        let (plan, mut phase) = (plan.to_string(), 77);
        let (v, v_len, p, p_len) = (version.as_ptr().cast(), version.len(), plan.as_ptr().cast(), plan.len());
        // SAFETY: the texts live during the call, and the place may be written.
        let offered =
            call(|err| unsafe { selvedge_deployment_offer(self.deployment, v, v_len, p, p_len, &raw mut phase, err) });
        assert_eq!(offered.is_err(), phase == SELVEDGE_ROLLOUT_NONE);
        offered.map(|()| phase)
    }

    /// Asks; gives the version and the arm that answered, and what they said.
    fn ask(&self, row: [f32; 4]) -> (String, i32, f32) {
        ask(self.engine, row)
    }

    fn label(&self, version: &str, value: u32) -> Result<(), (i32, String)> {
        let (at, len) = (version.as_ptr().cast(), version.len());
        // SAFETY: the text lives during the call.
        call(|err| unsafe { selvedge_deployment_label(self.deployment, at, len, value, err) })
    }

    fn status(&self) -> Value {
        status_of(self.deployment, selvedge_deployment_status_json)
    }

    fn phase(&self, version: &str) -> Value {
        let status = self.status();
        let of = status["versions"].as_array().unwrap().iter().find(|of| of["version"] == version);
        of.map(|of| of["phase"].clone()).unwrap_or_default()
    }

    fn roll_back(&self) -> String {
        // SAFETY: the place may be written.
        let name = bytes_of(|out, err| unsafe { selvedge_deployment_roll_back(self.deployment, out, err) });
        String::from_utf8(name).unwrap()
    }

    fn promote(&self) -> Result<(), (i32, String)> {
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_deployment_promote(self.deployment, err) })
    }

    fn forgive(&self, version: &str) {
        let (at, len) = (version.as_ptr().cast(), version.len());
        // SAFETY: the text lives during the call.
        call(|err| unsafe { selvedge_deployment_forgive(self.deployment, at, len, err) }).unwrap();
    }

    fn settle(&self) {
        let mut settled = 77;
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_deployment_settle(self.deployment, WAIT_MS, &raw mut settled, err) }).unwrap();
        assert_eq!(settled, 1);
    }

    fn monitor(&self, version: &str) -> Result<*mut selvedge_monitor, (i32, String)> {
        let (at, len, mut out) = (version.as_ptr().cast(), version.len(), ptr::null_mut());
        // SAFETY: the text lives during the call, and the place may be written.
        call(|err| unsafe { selvedge_deployment_monitor(self.deployment, at, len, &raw mut out, err) }).map(|()| out)
    }

    fn free(self) {
        let freed = (selvedge_deployment_free(self.deployment), selvedge_deployment_free(self.deployment));
        assert_eq!(freed, (SELVEDGE_OK, BAD_HANDLE));
        close(self.engine);
    }
}

fn ask(engine: *mut selvedge_engine, row: [f32; 4]) -> (String, i32, f32) {
    let answer = run(engine, &[floats("weather", &[1, 4], &row)], None).unwrap();
    let (mut version, mut len, mut arm) = (ptr::null(), 0, 77);
    // SAFETY: the places may be written, and the text lives as long as the answer.
    let version = unsafe {
        call(|err| selvedge_answer_version(answer, &raw mut version, &raw mut len, &raw mut arm, err)).unwrap();
        CStr::from_ptr(version).to_str().unwrap().to_owned()
    };
    assert_eq!(version.len(), len);
    let said = f32::from_le_bytes(bytes(&output(answer, 0)).try_into().unwrap());
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    (version, arm, said)
}

fn no_telemetry() -> *mut selvedge_telemetry {
    ptr::null_mut()
}

fn close_store(store: *mut selvedge_store) {
    assert_eq!(selvedge_store_close(store), SELVEDGE_OK);
}

#[test]
fn versions_come_in_and_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let rollout = deploy(store, &json!({ "model": "rain", "first": "v1" }), no_telemetry()).unwrap();
    let (version, arm, in_seattle) = rollout.ask(RAIN);
    assert_eq!((&*version, arm), ("v1", SELVEDGE_ARM_CURRENT));
    assert_eq!(rollout.offer("v2", &json!({ "kind": "blue_green" })), Ok(SELVEDGE_ROLLOUT_PROMOTED));
    let (version, arm, in_new_york) = rollout.ask(RAIN);
    assert_eq!((&*version, arm), ("v2", SELVEDGE_ARM_CURRENT));
    assert_ne!(in_seattle, in_new_york);
    assert_eq!(rollout.status()["previous"], "v1");

    assert_eq!(rollout.roll_back(), "v1");
    rollout.settle();
    assert_eq!((&*rollout.ask(RAIN).0, rollout.phase("v2")), ("v1", json!("rolled_back")));
    let refused = rollout.offer("v2", &json!({ "kind": "canary" })).unwrap_err();
    assert_eq!(refused.0, Code::InvalidArgument as i32, "{}", refused.1);
    rollout.forgive("v2");

    // By hand: both arms answer until the app says which.
    assert_eq!(rollout.promote().unwrap_err().0, Code::InvalidArgument as i32);
    assert_eq!(rollout.offer("v2", &json!({ "kind": "canary", "by_hand": true })), Ok(SELVEDGE_ROLLOUT_CANARY));
    let arms: Vec<(String, i32)> = (0..8).map(|_| rollout.ask(RAIN)).map(|(version, arm, _)| (version, arm)).collect();
    for arm in [("v1".to_string(), SELVEDGE_ARM_CURRENT), ("v2".to_string(), SELVEDGE_ARM_CANARY)] {
        assert!(arms.contains(&arm), "{arms:?}");
    }
    let of_candidate = arms.iter().filter(|(version, _)| version == "v2").count();
    let candidate = &rollout.status()["candidate"];
    assert_eq!(
        (&candidate["counts"]["ended"], &candidate["judged"]["verdict"]),
        (&json!(of_candidate), &json!("hold"))
    );
    assert_eq!(candidate["plan"]["devices"], 10_000, "as the package says");
    rollout.promote().unwrap();
    rollout.settle();
    let status = rollout.status();
    assert_eq!(
        (&status["current"], &status["candidate"], &status["is_saved"]),
        (&json!("v2"), &Value::Null, &json!(true))
    );

    // Each in the other's absence: the engine keeps the store, and the store's folder is free after it.
    close_store(store);
    assert_eq!(selvedge_deployment_free(rollout.deployment), SELVEDGE_OK);
    assert_eq!(rollout.ask(RAIN).0, "v2");
    assert_eq!(open_store(folder.path()).unwrap_err().0, Code::Busy as i32);
    close(rollout.engine);
    let store = open_store(folder.path()).unwrap();
    let again = deploy(store, &json!({ "model": "rain", "first": "v1" }), no_telemetry()).unwrap();
    assert_eq!(again.ask(RAIN).0, "v2", "where the last one left off");
    again.free();
    close_store(store);
}

#[test]
fn labels_take_a_worse_version_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let judge = json!({ "errors": 0.05, "latency": 0.05, "accuracy": 0.15, "min_answers": 20 });
    let rollout = deploy(store, &json!({ "model": "rain", "first": "v1", "judge": judge }), no_telemetry()).unwrap();
    assert_eq!(rollout.offer("v3", &json!({ "kind": "canary" })), Ok(SELVEDGE_ROLLOUT_CANARY));
    let mut asked = 0;
    while rollout.phase("v3") == "canary" {
        asked += 1;
        assert!(asked < 1000, "no verdict: {}", rollout.status());
        let (version, ..) = rollout.ask(RAIN);
        rollout.label(&version, u32::from(version == "v1")).unwrap();
    }
    rollout.settle();
    assert_eq!(rollout.phase("v3"), "rolled_back");
    let last = &rollout.status()["last"];
    assert_eq!((&last["version"], &last["judged"]["verdict"]), (&json!("v3"), &json!("roll_back")));
    let evidence = last["judged"]["evidence"].as_array().unwrap().iter().find(|e| e["name"] == "accuracy").unwrap();
    assert_eq!(
        (&evidence["verdict"], &evidence["control"], &evidence["candidate"]),
        (&json!("roll_back"), &json!(0.0), &json!(1.0))
    );
    assert!(evidence["words"].as_str().unwrap().contains("evidence that it is worse"), "{evidence}");
    assert_eq!(rollout.label("v1", 2).unwrap_err().1, "value: expected 0 or 1, got 2");
    rollout.free();
    close_store(store);
}

#[test]
fn alerts_of_a_versions_monitor_reach_the_judge() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (store, telemetry) = (store(folders[0].path()), open_telemetry(folders[1].path()));
    let monitor = json!({
        "probe": [
            { "kind": "columns", "input": "weather", "names": ["precipitation", "temp_max", "temp_min", "wind"] },
            { "kind": "classes", "output": "rain_tomorrow" },
        ],
        "window": 100, "persistence": [1, 1], "false_alarm": { "windows": 1000 },
    });
    let config = json!({ "model": "rain", "first": "v1", "judge": { "min_answers": 1_000_000 }, "monitor": monitor });
    assert!(deploy(store, &config, no_telemetry()).unwrap_err_or_free().contains("config.monitor: expected none"));
    let without = json!({ "model": "rain", "first": "v1" });
    assert!(deploy(store, &without, telemetry).unwrap_err_or_free().contains("config.monitor: expected one"));
    let rollout = deploy(store, &config, telemetry).unwrap();
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    assert_eq!(rollout.offer("v2", &json!({ "kind": "canary" })), Ok(SELVEDGE_ROLLOUT_CANARY));
    assert_eq!(rollout.monitor("v3").unwrap_err().0, Code::NotFound as i32);
    let monitor = rollout.monitor("v2").unwrap();

    // Days of Seattle, which the current version was made for and the candidate was not.
    let csv = std::fs::read_to_string(file("examples/quickstart/weather.csv")).unwrap();
    let days = csv.lines().filter(|line| line.starts_with("Seattle,")).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        [2, 3, 4, 5].map(|i| cells[i].parse().unwrap())
    });
    let days: Vec<[f32; 4]> = days.take(1096).collect();
    let judged = |status: &Value| -> Vec<String> {
        let evidence = status["candidate"]["judged"]["evidence"].as_array();
        evidence.into_iter().flatten().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!judged(&rollout.status()).iter().any(|name| name == "wind" || name == "temp_max"));
    let mut seen = Vec::new();
    for day in days {
        rollout.ask(day);
        seen = judged(&rollout.status());
        if rollout.phase("v2") != "canary" || seen.iter().any(|name| COLUMNS.contains(&&**name)) {
            break;
        }
    }
    let told = next_alert(monitor).expect("an alert of the candidate's monitor");
    assert!(COLUMNS.contains(&&*told.feature) || rollout.phase("v2") == "rolled_back", "{told:?}");
    assert!(seen.contains(&told.feature) || rollout.phase("v2") == "rolled_back", "{seen:?}, {}", rollout.status());
    assert_eq!(selvedge_monitor_free(monitor), SELVEDGE_OK);
    rollout.free();
    close_store(store);
}

const COLUMNS: [&str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];

trait Unmade {
    fn unwrap_err_or_free(self) -> String;
}

impl Unmade for Result<Rollout, (i32, String)> {
    fn unwrap_err_or_free(self) -> String {
        match self {
            Ok(rollout) => {
                rollout.free();
                "it was made".into()
            }
            Err((_, message)) => message,
        }
    }
}

#[test]
fn handles_that_go_while_threads_ask_take_no_answer_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let config = json!({ "model": "rain", "first": "v1", "key": "caller", "install_id": "5f0c", "memory": 1u64 << 32 });
    let rollout = deploy(store, &config, no_telemetry()).unwrap();
    let (engine, ends) = (Shared(rollout.engine), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let asks = || {
            let mut answers = 0;
            while !ends.load(Ordering::Relaxed) {
                ask(engine.get(), RAIN);
                answers += 1;
            }
            answers
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(asks)).collect();
        close_store(store);
        assert_eq!(rollout.offer("v2", &json!({ "kind": "blue_green" })), Ok(SELVEDGE_ROLLOUT_PROMOTED));
        assert_eq!(rollout.roll_back(), "v1");
        assert_eq!(selvedge_deployment_free(rollout.deployment), SELVEDGE_OK);
        ask(engine.get(), RAIN);
        ends.store(true, Ordering::Relaxed);
        for thread in threads {
            assert!(thread.join().unwrap() > 0);
        }
    });
    close(rollout.engine);
    close_store(open_store(folder.path()).expect("nobody has the store any more"));
}

#[test]
fn a_caller_stays_in_one_arm() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let rollout = deploy(store, &json!({ "model": "rain", "first": "v1", "key": "caller" }), no_telemetry()).unwrap();
    assert_eq!(rollout.offer("v2", &json!({ "kind": "ab" })), Ok(SELVEDGE_ROLLOUT_CANARY));
    let mut arms = [0; 3];
    for caller in 1..=32 {
        let mut own = ptr::null_mut();
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_engine_for_caller(rollout.engine, caller, &raw mut own, err) }).unwrap();
        let first = ask(own, RAIN).1;
        assert!((0..4).all(|_| ask(own, RAIN).1 == first), "caller {caller}");
        arms[first as usize] += 1;
        close(own);
    }
    assert!(arms[SELVEDGE_ARM_CURRENT as usize] > 4 && arms[SELVEDGE_ARM_CANARY as usize] > 4, "{arms:?}");
    rollout.free();
    close_store(store);
}

#[test]
fn what_a_deployment_does_not_take_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let refused = |config: Value| deploy(store, &config, no_telemetry()).unwrap_err_or_free();
    assert_eq!(refused(json!({})), "config.model: expected a value, got none");
    assert!(refused(json!({ "model": "rain", "frist": "v1" })).contains("got \"frist\""));
    assert!(refused(json!({ "model": "snow" })).contains("the store has no version of 'snow'"));
    assert!(refused(json!({ "model": "rain", "first": "v9" })).contains("v9"));
    assert!(
        refused(json!({ "model": "rain", "judge": { "false_alarm": 2 } })).contains("false_alarm: expected a share")
    );
    assert!(refused(json!({ "model": "rain", "key": "user" })).contains("config.key: expected one of"));
    let rollout = deploy(store, &json!({ "model": "rain", "first": "v1" }), no_telemetry()).unwrap();
    let refused = |plan: Value| rollout.offer("v2", &plan).unwrap_err().1;
    assert_eq!(refused(json!({})), "plan.kind: expected a value, got none");
    assert!(refused(json!({ "kind": "canary", "devices": 10_001 })).contains("plan.devices: expected a whole number"));
    assert!(refused(json!({ "kind": "canary", "likeness": { "text": 2 } })).contains("plan.likeness.text"));
    assert_eq!(rollout.offer("v2", &json!({ "kind": "canary", "devices": 0 })), Ok(SELVEDGE_ROLLOUT_OUTSIDE));
    assert_eq!(rollout.offer("v9", &json!({ "kind": "blue_green" })), Ok(SELVEDGE_ROLLOUT_MISSED));
    assert!(rollout.status()["misses"][0]["why"].as_str().unwrap().contains("v9"), "{}", rollout.status());
    let answer = run(rollout.engine, &[floats("weather", &[1, 4], &RAIN)], None).unwrap();
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    rollout.free();
    close_store(store);

    let engine = handle(selvedge::fake::Fake::echo(selvedge::DType::F32).build());
    let answer = run(engine, &[floats("x", &[1], &[1.0])], None).unwrap();
    let (mut version, mut len, mut arm) = (ptr::null(), 7, 7);
    // SAFETY: the places may be written.
    let message = super::refused(Code::NotFound, |err| unsafe {
        selvedge_answer_version(answer, &raw mut version, &raw mut len, &raw mut arm, err)
    });
    assert_eq!(message, "version: no deployment is on the route of the answer");
    assert!(version.is_null() && (len, arm) == (0, SELVEDGE_ARM_NONE));
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    close(engine);
}

#[test]
fn a_version_of_the_store_is_one_of_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    // SAFETY: the places may be written.
    let versions: Value =
        serde_json::from_slice(&bytes_of(|out, err| unsafe { selvedge_store_versions_json(store, out, err) })).unwrap();
    let id = versions[0]["id"].as_str().unwrap();
    let (mut models, mut engine) = (ptr::null_mut(), ptr::null_mut());
    let add = |models: *mut selvedge_models, id: &str| {
        let (at, len) = (id.as_ptr().cast(), id.len());
        // SAFETY: the texts live during the call.
        call(|err| unsafe {
            selvedge_models_add_version(models, c"rain".as_ptr(), 4, store, at, len, ptr::null(), err)
        })
    };
    // SAFETY: the places may be written.
    call(|err| unsafe { selvedge_models_new(1 << 30, &raw mut models, err) }).unwrap();
    assert_eq!(add(models, &"0".repeat(64)).unwrap_err().0, Code::NotFound as i32);
    assert_eq!(add(models, "v3").unwrap_err().0, Code::InvalidArgument as i32);
    add(models, id).unwrap();
    close_store(store);
    // SAFETY: as above.
    call(|err| unsafe { selvedge_models_engine(models, c"rain".as_ptr(), 4, &raw mut engine, err) }).unwrap();
    assert_eq!(open_store(folder.path()).unwrap_err().0, Code::Busy as i32, "the models have the store");
    let answer = run(engine, &[floats("weather", &[1, 4], &RAIN)], None).unwrap();
    assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    assert_eq!(selvedge_models_free(models), SELVEDGE_OK);
    close(engine);
    close_store(open_store(folder.path()).unwrap());
}
