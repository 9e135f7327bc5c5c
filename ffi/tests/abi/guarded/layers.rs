//! The places of layers and deployments at which a caller's pointer stands.

use std::sync::OnceLock;

use selvedge::DType;
use selvedge::fake::Fake;
use selvedge::store::{Store, Trust};

use super::callee::{Callee, as_place};
use super::cases::Most;
use super::places::{Array, Bytes, INVALID_THEN, NOT_FOUND, OK, Place, raw, read, result, some, spare, taken};
use super::*;

const PROBE: &[u8] = br#"{"kind": "tokens"}"#;
const CHECKS: &str = r#"[{"kind": "finished"}]"#;
const CONFIG: &[u8] = br#"{"model": "rain"}"#;
const MODEL: &[u8] = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/rain.onnx").as_bytes();
const TELEMETRY: &[u8] = concat!(env!("CARGO_TARGET_TMPDIR"), "/guarded").as_bytes();
const EVIDENCE: &[u8] = concat!(env!("CARGO_TARGET_TMPDIR"), "/guarded-evidence").as_bytes();
const ID: &[u8] = &[b'0'; 64];
/// What adding a model to a budget of nothing comes to.
const NO_ROOM: selvedge_status = selvedge_status(if cfg!(feature = "tract") { 4 } else { 3 });

/// What is called on: made once in each process.
struct Objects {
    engine: Shared<selvedge_engine>,
    cache: Shared<selvedge_cache>,
    schedule: Shared<selvedge_schedule>,
    cascade: Shared<selvedge_cascade>,
    models: Shared<selvedge_models>,
    /// Without versions.
    store: Shared<selvedge_store>,
}

fn objects() -> &'static Objects {
    static OBJECTS: OnceLock<Objects> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let engine = handle(Fake::echo(DType::F32).build());
        let mut all = Objects {
            engine: Shared(engine),
            cache: Shared(ptr::null_mut()),
            schedule: Shared(ptr::null_mut()),
            cascade: Shared(ptr::null_mut()),
            models: Shared(ptr::null_mut()),
            store: Shared(ptr::null_mut()),
        };
        // Every process has a store of its own, for one that died may hold the other's.
        let folder = format!("{}/guarded-store-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        drop(Store::open(&*folder, Trust::new()).unwrap());
        let (at, len) = (folder.as_ptr().cast(), folder.len());
        let stages = stages();
        // SAFETY: every pointer is to something that lives during the call.
        unsafe {
            call(|err| selvedge_cache_new(engine, 1000, &raw mut all.cache.0, err)).unwrap();
            call(|err| selvedge_schedule_new(ptr::null(), 0, &raw mut all.schedule.0, err)).unwrap();
            call(|err| selvedge_cascade_new(stages.as_ptr(), 3, 0, &raw mut all.cascade.0, err)).unwrap();
            call(|err| selvedge_models_new(0, &raw mut all.models.0, err)).unwrap();
            call(|err| selvedge_store_open_read_only(at, len, &raw mut all.store.0, err)).unwrap();
        }
        std::fs::remove_dir_all(folder).unwrap();
        all
    })
}

/// Three stages, the last without checks.
fn stages() -> [selvedge_stage; 3] {
    static ENGINE: OnceLock<Shared<selvedge_engine>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Shared(handle(Fake::echo(DType::F32).build()))).get();
    let stage = |checks| init!(selvedge_stage { engine: engine, checks: text(checks) });
    [stage(CHECKS), stage(CHECKS), stage("")]
}

pub(super) fn places() -> Vec<Place> {
    let own = cached().into_iter().chain(scheduled()).chain(cascaded()).chain(shelved()).chain(deployed());
    own.chain(told()).collect()
}

fn cached() -> Vec<Place> {
    vec![
        result("selvedge_cache_new.out", OK, INVALID, |_, at| cache_new(at, spare())),
        result("selvedge_cache_new.err", INVALID, INVALID, |_, at| cache_new(ptr::null_mut(), at)),
        result("selvedge_cache_engine.out", OK, INVALID, |_, at| {
            give(objects().cache, selvedge_cache_engine, at, spare())
        }),
        result("selvedge_cache_engine.err", INVALID, INVALID, |_, at| {
            give(objects().cache, selvedge_cache_engine, ptr::null_mut(), at)
        }),
        result("selvedge_cache_status_json.out", OK, INVALID, |_, at| {
            give(objects().cache, selvedge_cache_status_json, at, spare())
        }),
        result("selvedge_cache_status_json.err", INVALID, INVALID, |_, at| {
            give(objects().cache, selvedge_cache_status_json, ptr::null_mut(), at)
        }),
    ]
}

fn scheduled() -> Vec<Place> {
    vec![
        some("selvedge_schedule_new.config", b"{}", Most::Memory, [OK; 3], |_, at, len| {
            schedule_new(at, len, spare(), spare())
        }),
        result("selvedge_schedule_new.out", OK, INVALID, |_, at| schedule_new(ptr::null(), 0, at, spare())),
        result("selvedge_schedule_new.err", INVALID, INVALID, |_, at| schedule_new(ptr::null(), 1, spare(), at)),
        result("selvedge_schedule_around.out", OK, INVALID, |_, at| around(at, spare())),
        result("selvedge_schedule_around.err", INVALID, INVALID, |_, at| around(ptr::null_mut(), at)),
        result("selvedge_schedule_status_json.out", OK, INVALID, |_, at| {
            give(objects().schedule, selvedge_schedule_status_json, at, spare())
        }),
        result("selvedge_schedule_status_json.err", INVALID, INVALID, |_, at| {
            give(objects().schedule, selvedge_schedule_status_json, ptr::null_mut(), at)
        }),
        result("selvedge_engine_for_caller.out", OK, INVALID, |_, at| for_caller(at, spare())),
        result("selvedge_engine_for_caller.err", INVALID, INVALID, |_, at| for_caller(ptr::null_mut(), at)),
    ]
}

fn cascaded() -> Vec<Place> {
    vec![
        Place::Array(Array {
            name: "selvedge_cascade_new.stages",
            grows: true,
            // Engines must outlive the cases, so that each may be the first, and none the last: one more is added.
            good: || stages().map(raw).to_vec(),
            call: |_, at, count| cascade_new(at, count, 77, spare(), spare()),
            most: 65_536,
            // Whatever is read, the number after it means nothing.
            then: INVALID,
            empty: INVALID,
            null: INVALID,
        }),
        some("selvedge_stage.checks", CHECKS.as_bytes(), Most::Memory, INVALID_THEN, |_, at, len| {
            let [first, _, last] = stages();
            let stages = [selvedge_stage { checks: taken(at, len), ..first }, last];
            cascade_new(as_place(&stages), 2, 0, spare(), spare())
        }),
        result("selvedge_cascade_new.out", OK, INVALID, |_, at| cascade_new(as_place(&stages()), 3, 0, at, spare())),
        result("selvedge_cascade_new.err", INVALID, INVALID, |_, at| cascade_new(ptr::null(), 0, 0, spare(), at)),
        result("selvedge_cascade_engine.out", OK, INVALID, |_, at| {
            give(objects().cascade, selvedge_cascade_engine, at, spare())
        }),
        result("selvedge_cascade_engine.err", INVALID, INVALID, |_, at| {
            give(objects().cascade, selvedge_cascade_engine, ptr::null_mut(), at)
        }),
        result("selvedge_cascade_status_json.out", OK, INVALID, |_, at| {
            give(objects().cascade, selvedge_cascade_status_json, at, spare())
        }),
        result("selvedge_cascade_status_json.err", INVALID, INVALID, |_, at| {
            give(objects().cascade, selvedge_cascade_status_json, ptr::null_mut(), at)
        }),
        some("selvedge_answer_confidence.probe", PROBE, Most::Memory, INVALID_THEN, |c, at, len| {
            confidence(c, at, len, spare(), spare())
        }),
        result("selvedge_answer_confidence.confidence", OK, INVALID, |c, at| {
            confidence(c, PROBE.as_ptr(), PROBE.len(), at, spare())
        }),
        result("selvedge_answer_confidence.err", INVALID, INVALID, |c, at| confidence(c, ptr::null(), 0, spare(), at)),
        // Lent columns may be as long as memory, so that this one is tried as bytes are.
        Place::Bytes(Bytes {
            name: "selvedge_threshold_fit.confidences",
            good: &[0; 12],
            call: |_, at, len| {
                let rows = len.div_ceil(size_of::<f32>());
                fit(at, as_place(&[1u8; 3]), rows, as_place(&threshold()).cast_mut(), spare())
            },
            most: Most::Memory,
            then: OK,
            empty: INVALID,
            null: INVALID,
        }),
        Place::Bytes(Bytes {
            name: "selvedge_threshold_fit.right",
            good: &[1, 1, 0],
            call: |_, at, len| fit(as_place(&[0.5f32; 3]), at, len, as_place(&threshold()).cast_mut(), spare()),
            most: Most::Memory,
            then: OK,
            empty: INVALID,
            null: INVALID,
        }),
        Place::Block(super::places::Block {
            name: "selvedge_threshold_fit.threshold",
            grows: true,
            written: true,
            good: || raw(threshold()),
            call: |_, at| fit(as_place(&[0.5f32; 3]), as_place(&[1u8; 3]), 3, at, spare()),
            then: OK,
            null: INVALID,
        }),
        result("selvedge_threshold_fit.err", INVALID, INVALID, |_, at| {
            fit(ptr::null(), ptr::null(), 0, as_place(&threshold()).cast_mut(), at)
        }),
    ]
}

fn shelved() -> Vec<Place> {
    vec![
        result("selvedge_models_new.out", OK, INVALID, |_, at| models_new(at, spare())),
        result("selvedge_models_new.err", INVALID, INVALID, |_, at| models_new(ptr::null_mut(), at)),
        some("selvedge_models_add.name", b"rain", Most::Bounded, [NO_ROOM, INVALID, INVALID], |_, at, len| {
            add((at, len), (MODEL.as_ptr(), MODEL.len()), ptr::null(), spare())
        }),
        some("selvedge_models_add.path", MODEL, Most::Bounded, [NO_ROOM, INVALID, INVALID], |_, at, len| {
            add((b"x".as_ptr(), 1), (at, len), ptr::null(), spare())
        }),
        read(
            "selvedge_models_add.options",
            || raw(init!(selvedge_options {})),
            |_, at| add((b"x".as_ptr(), 1), (MODEL.as_ptr(), MODEL.len()), at, spare()),
            NO_ROOM,
            NO_ROOM,
        ),
        result("selvedge_models_add.err", INVALID, INVALID, |_, at| {
            add((ptr::null(), 0), (MODEL.as_ptr(), MODEL.len()), ptr::null(), at)
        }),
        some(
            "selvedge_models_add_version.name",
            b"rain",
            Most::Bounded,
            [NOT_FOUND, INVALID, INVALID],
            |_, at, len| add_version((at, len), (ID.as_ptr(), 64), ptr::null(), spare()),
        ),
        some("selvedge_models_add_version.id", ID, Most::Bounded, [NOT_FOUND, INVALID, INVALID], |_, at, len| {
            add_version((b"x".as_ptr(), 1), (at, len), ptr::null(), spare())
        }),
        read(
            "selvedge_models_add_version.options",
            || raw(init!(selvedge_options {})),
            |_, at| add_version((b"x".as_ptr(), 1), (ID.as_ptr(), 64), at, spare()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        result("selvedge_models_add_version.err", INVALID, INVALID, |_, at| {
            add_version((ptr::null(), 0), (ID.as_ptr(), 64), ptr::null(), at)
        }),
        some("selvedge_models_engine.name", b"rain", Most::Bounded, [NOT_FOUND, INVALID, INVALID], |_, at, len| {
            model(at, len, spare(), spare())
        }),
        result("selvedge_models_engine.out", NOT_FOUND, INVALID, |_, at| model(b"x".as_ptr(), 1, at, spare())),
        result("selvedge_models_engine.err", INVALID, INVALID, |_, at| model(ptr::null(), 0, spare(), at)),
        result("selvedge_models_trim.freed", OK, INVALID, |_, at| trim(at, spare())),
        result("selvedge_models_trim.err", INVALID, INVALID, |_, at| trim(ptr::null_mut(), at)),
        result("selvedge_models_pressure.freed", OK, INVALID, |_, at| pressure(at, spare())),
        result("selvedge_models_pressure.err", INVALID, INVALID, |_, at| pressure(ptr::null_mut(), at)),
        // SAFETY: the place is as a case made it, here and below.
        result("selvedge_models_watch_pressure.err", INVALID, INVALID, |_, at| unsafe {
            selvedge_models_watch_pressure(ptr::null(), at.cast())
        }),
        result("selvedge_models_status_json.out", OK, INVALID, |_, at| {
            give(objects().models, selvedge_models_status_json, at, spare())
        }),
        result("selvedge_models_status_json.err", INVALID, INVALID, |_, at| {
            give(objects().models, selvedge_models_status_json, ptr::null_mut(), at)
        }),
    ]
}

/// A deployment takes a model that is opened; what comes before, a store without one shows, and the rest of its functions
/// judge a place before the handle.
fn deployed() -> Vec<Place> {
    const NO: Shared<selvedge_deployment> = Shared(ptr::null_mut());
    vec![
        some("selvedge_deployment_new.config", CONFIG, Most::Memory, [NOT_FOUND, INVALID, INVALID], |_, at, len| {
            deploy(at, len, ptr::null(), spare(), spare())
        }),
        read(
            "selvedge_deployment_new.options",
            || raw(init!(selvedge_options {})),
            |_, at| deploy(CONFIG.as_ptr(), CONFIG.len(), at, spare(), spare()),
            NOT_FOUND,
            NOT_FOUND,
        ),
        result("selvedge_deployment_new.out", NOT_FOUND, INVALID, |_, at| {
            deploy(CONFIG.as_ptr(), CONFIG.len(), ptr::null(), at, spare())
        }),
        result("selvedge_deployment_new.err", INVALID, INVALID, |_, at| {
            deploy(ptr::null(), 0, ptr::null(), spare(), at)
        }),
        result("selvedge_deployment_engine.out", INVALID, INVALID, |_, at| {
            give(NO, selvedge_deployment_engine, at, spare())
        }),
        result("selvedge_deployment_engine.err", INVALID, INVALID, |_, at| {
            give(NO, selvedge_deployment_engine, spare(), at)
        }),
        some("selvedge_deployment_offer.version", b"v1", Most::Bounded, [INVALID; 3], |_, at, len| {
            offer((at, len), (b"{}".as_ptr(), 2), spare(), spare())
        }),
        some("selvedge_deployment_offer.plan", b"{}", Most::Memory, [INVALID; 3], |_, at, len| {
            offer((b"v1".as_ptr(), 2), (at, len), spare(), spare())
        }),
        result("selvedge_deployment_offer.phase", INVALID, INVALID, |_, at| {
            offer((b"v1".as_ptr(), 2), (b"{}".as_ptr(), 2), at, spare())
        }),
        result("selvedge_deployment_offer.err", INVALID, INVALID, |_, at| {
            offer((b"v1".as_ptr(), 2), (b"{}".as_ptr(), 2), spare(), at)
        }),
        // SAFETY: as above.
        result("selvedge_deployment_promote.err", INVALID, INVALID, |_, at| unsafe {
            selvedge_deployment_promote(ptr::null(), at.cast())
        }),
        result("selvedge_deployment_roll_back.out", INVALID, INVALID, |_, at| {
            give(NO, selvedge_deployment_roll_back, at, spare())
        }),
        result("selvedge_deployment_roll_back.err", INVALID, INVALID, |_, at| {
            give(NO, selvedge_deployment_roll_back, spare(), at)
        }),
        some("selvedge_deployment_forgive.version", b"v1", Most::Bounded, [INVALID; 3], |_, at, len| {
            forgive(at, len, spare())
        }),
        result("selvedge_deployment_forgive.err", INVALID, INVALID, |_, at| forgive(b"v1".as_ptr(), 2, at)),
        some("selvedge_deployment_label.version", b"v1", Most::Bounded, [INVALID; 3], |_, at, len| {
            label(at, len, spare())
        }),
        result("selvedge_deployment_label.err", INVALID, INVALID, |_, at| label(b"v1".as_ptr(), 2, at)),
        some("selvedge_deployment_monitor.version", b"v1", Most::Bounded, [INVALID; 3], |_, at, len| {
            monitor(at, len, spare(), spare())
        }),
        result("selvedge_deployment_monitor.out", INVALID, INVALID, |_, at| monitor(b"v1".as_ptr(), 2, at, spare())),
        result("selvedge_deployment_monitor.err", INVALID, INVALID, |_, at| monitor(b"v1".as_ptr(), 2, spare(), at)),
        result("selvedge_deployment_status_json.out", INVALID, INVALID, |_, at| {
            give(NO, selvedge_deployment_status_json, at, spare())
        }),
        result("selvedge_deployment_status_json.err", INVALID, INVALID, |_, at| {
            give(NO, selvedge_deployment_status_json, spare(), at)
        }),
        result("selvedge_deployment_settle.settled", INVALID, INVALID, |_, at| settle(at, spare())),
        result("selvedge_deployment_settle.err", INVALID, INVALID, |_, at| settle(spare(), at)),
    ]
}

/// Versions of answers, and evidence.
fn told() -> Vec<Place> {
    vec![
        result("selvedge_answer_version.version", NOT_FOUND, INVALID, |c, at| {
            version(c, at, spare(), spare(), spare())
        }),
        result("selvedge_answer_version.len", NOT_FOUND, INVALID, |c, at| version(c, spare(), at, spare(), spare())),
        result("selvedge_answer_version.arm", NOT_FOUND, INVALID, |c, at| version(c, spare(), spare(), at, spare())),
        result("selvedge_answer_version.err", NOT_FOUND, NOT_FOUND, |c, at| version(c, spare(), spare(), spare(), at)),
        some("selvedge_report_evidence.folder", TELEMETRY, Most::Bounded, INVALID_THEN, |_, at, len| {
            made_telemetry();
            evidence((at, len), (EVIDENCE.as_ptr(), EVIDENCE.len()), spare(), spare())
        }),
        some("selvedge_report_evidence.to", EVIDENCE, Most::Bounded, INVALID_THEN, |_, at, len| {
            made_telemetry();
            evidence((TELEMETRY.as_ptr(), TELEMETRY.len()), (at, len), spare(), spare())
        }),
        result("selvedge_report_evidence.alerts", OK, INVALID, |_, at| {
            made_telemetry();
            evidence((TELEMETRY.as_ptr(), TELEMETRY.len()), (EVIDENCE.as_ptr(), EVIDENCE.len()), at, spare())
        }),
        result("selvedge_report_evidence.err", INVALID, INVALID, |_, at| {
            evidence((ptr::null(), 0), (EVIDENCE.as_ptr(), EVIDENCE.len()), spare(), at)
        }),
    ]
}

fn made_telemetry() {
    std::fs::create_dir_all(std::str::from_utf8(TELEMETRY).unwrap()).unwrap();
}

fn threshold() -> selvedge_threshold {
    init!(selvedge_threshold {})
}

type Give<T, R> = unsafe extern "C" fn(*const T, *mut *mut R, *mut *mut selvedge_error) -> selvedge_status;

fn give<T, R>(of: Shared<T>, give: Give<T, R>, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: the places are as a case made them, here and below: what the library may touch of them is there.
    unsafe { give(of.get(), out.cast(), err.cast()) }
}

fn cache_new(out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_cache_new(objects().engine.get(), 7, out.cast(), err.cast()) }
}

fn schedule_new(config: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_schedule_new(config.cast(), len, out.cast(), err.cast()) }
}

fn around(out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_schedule_around(objects().schedule.get(), objects().engine.get(), 0, out.cast(), err.cast()) }
}

fn for_caller(out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_engine_for_caller(objects().engine.get(), 7, out.cast(), err.cast()) }
}

fn cascade_new(stages: *const u8, count: usize, on_error: i32, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_cascade_new(stages.cast(), count, on_error, out.cast(), err.cast()) }
}

fn confidence(callee: &Callee, probe: *const u8, len: usize, at: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_answer_confidence(callee.answer, callee.tensors, probe.cast(), len, at.cast(), err.cast()) }
}

fn fit(confidences: *const u8, right: *const u8, rows: usize, at: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_threshold_fit(confidences.cast(), right, rows, 0.9, at.cast(), err.cast()) }
}

fn models_new(out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_models_new(7, out.cast(), err.cast()) }
}

type Words = (*const u8, usize);

fn add(name: Words, path: Words, options: *const u8, err: *mut u8) -> selvedge_status {
    let models = objects().models.get();
    // SAFETY: as above.
    unsafe { selvedge_models_add(models, name.0.cast(), name.1, path.0.cast(), path.1, options.cast(), err.cast()) }
}

fn add_version(name: Words, id: Words, options: *const u8, err: *mut u8) -> selvedge_status {
    let (models, store) = (objects().models.get(), objects().store.get());
    // SAFETY: as above.
    unsafe {
        selvedge_models_add_version(models, name.0.cast(), name.1, store, id.0.cast(), id.1, options.cast(), err.cast())
    }
}

fn model(name: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_models_engine(objects().models.get(), name.cast(), len, out.cast(), err.cast()) }
}

fn trim(freed: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_models_trim(objects().models.get(), SELVEDGE_TRIM_ALL, freed.cast(), err.cast()) }
}

fn pressure(freed: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_models_pressure(objects().models.get(), SELVEDGE_PRESSURE_WARNING, freed.cast(), err.cast()) }
}

fn deploy(config: *const u8, len: usize, options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    let (store, none) = (objects().store.get(), ptr::null());
    // SAFETY: as above.
    unsafe { selvedge_deployment_new(store, config.cast(), len, none, options.cast(), out.cast(), err.cast()) }
}

fn offer(version: Words, plan: Words, phase: *mut u8, err: *mut u8) -> selvedge_status {
    let (version, len, plan, plan_len) = (version.0.cast(), version.1, plan.0.cast(), plan.1);
    // SAFETY: as above.
    unsafe { selvedge_deployment_offer(ptr::null(), version, len, plan, plan_len, phase.cast(), err.cast()) }
}

fn forgive(version: *const u8, len: usize, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_deployment_forgive(ptr::null(), version.cast(), len, err.cast()) }
}

fn label(version: *const u8, len: usize, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_deployment_label(ptr::null(), version.cast(), len, 1, err.cast()) }
}

fn monitor(version: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_deployment_monitor(ptr::null(), version.cast(), len, out.cast(), err.cast()) }
}

fn settle(settled: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_deployment_settle(ptr::null(), 0, settled.cast(), err.cast()) }
}

fn version(callee: &Callee, at: *mut u8, len: *mut u8, arm: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_answer_version(callee.answer, at.cast(), len.cast(), arm.cast(), err.cast()) }
}

fn evidence(folder: Words, to: Words, alerts: *mut u8, err: *mut u8) -> selvedge_status {
    let (folder, folder_len, to, to_len) = (folder.0.cast(), folder.1, to.0.cast(), to.1);
    // SAFETY: as above.
    unsafe { selvedge_report_evidence(folder, folder_len, to, to_len, 0, 0.0, alerts.cast(), err.cast()) }
}
