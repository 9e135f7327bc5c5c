//! The places of telemetry, profiles and monitors.

use std::sync::OnceLock;

use selvedge::DType;
use selvedge::fake::Fake;

use super::super::watching::{column, encoded, fit, open_telemetry, rows_of, watch};
use super::callee::{Callee, as_place};
use super::cases::Most;
use super::places::{Array, Block, Bytes, INVALID_THEN, OK, raw, spare, taken};
use super::*;

const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/guarded");
const CONFIG: &str = r#"{"probe": []}"#;
const CORRUPT: selvedge_status = selvedge_status(8);
const NOT_FOUND: selvedge_status = selvedge_status(2);
const WINDS: [f32; 3] = [1.0, 2.0, 3.0];

/// What is called on: made once in each process.
struct Objects {
    engine: Shared<selvedge_engine>,
    telemetry: Shared<selvedge_telemetry>,
    profile: Shared<selvedge_profile>,
    monitor: Shared<selvedge_monitor>,
}

fn objects() -> &'static Objects {
    static OBJECTS: OnceLock<Objects> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let engine = handle(Fake::echo(DType::F32).build());
        let telemetry = open_telemetry(std::path::Path::new(FOLDER));
        let columns = [wind()];
        let profile = fit(&rows_of(&columns, 3), None).unwrap();
        let watching = watch(engine, telemetry, &init!(selvedge_monitor_options { config: text(CONFIG) })).unwrap();
        Objects {
            engine: Shared(engine),
            telemetry: Shared(telemetry),
            profile: Shared(profile),
            monitor: Shared(watching.monitor),
        }
    })
}

fn wind() -> selvedge_column {
    column("wind", SELVEDGE_F32, &WINDS)
}

/// Three rows of one column.
fn three() -> selvedge_rows {
    rows_of(Box::leak(Box::new([wind()])), 3)
}

fn open(folder: *const u8, len: usize, limits: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: the places are as a case made them, here and below: what the library may touch of them is there.
    unsafe { selvedge_telemetry_open(folder.cast(), len, limits.cast(), out.cast(), err.cast()) }
}

fn html(folder: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_report_html(folder.cast(), len, out.cast(), err.cast()) }
}

/// A folder where a case has none, and the one that is watched.
const NONE: (*const u8, usize) = (ptr::null(), 0);
const WATCHED: (*const u8, usize) = (FOLDER.as_ptr(), FOLDER.len());

fn html_with(folders: [(*const u8, usize); 3], out: *mut u8, err: *mut u8) -> selvedge_status {
    let [(folder, len), (store, store_len), (crashes, crashes_len)] = folders.map(|(at, len)| (at.cast(), len));
    // SAFETY: as above.
    unsafe { selvedge_report_html_with(folder, len, store, store_len, crashes, crashes_len, out.cast(), err.cast()) }
}

fn fitted(rows: *const u8, with: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_profile_fit(rows.cast(), with.cast(), out.cast(), err.cast()) }
}

fn decoded(bytes: *const u8, len: usize, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_profile_decode(bytes.cast(), len, out.cast(), err.cast()) }
}

fn compared(rows: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_profile_compare(objects().profile.get(), rows.cast(), out.cast(), err.cast()) }
}

fn monitor_new(options: *const u8, out: *mut u8, err: *mut u8) -> selvedge_status {
    let o = objects();
    // SAFETY: as above.
    unsafe { selvedge_monitor_new(o.engine.get(), o.telemetry.get(), options.cast(), out.cast(), err.cast()) }
}

fn next_alert(alert: *mut u8, err: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    unsafe { selvedge_monitor_next_alert(objects().monitor.get(), alert.cast(), err.cast()) }
}

fn feedback(id: u64, verdict: *mut u8, err: *mut u8) -> selvedge_status {
    let monitor = objects().monitor.get();
    // SAFETY: as above.
    unsafe { selvedge_monitor_feedback(monitor, id, SELVEDGE_LABEL_CORRECT, 1, verdict.cast(), err.cast()) }
}

/// OK if there are bytes, as there are in every case.
fn buffer_data(len: *mut u8) -> selvedge_status {
    // SAFETY: as above.
    let data = unsafe { selvedge_buffer_data(ptr::null(), len.cast()) };
    if data.is_null() { INVALID } else { OK }
}

pub(super) fn structs() -> Vec<Block> {
    let read = |name, good, call, null| Block { name, grows: true, written: false, good, call, then: OK, null };
    let mut sha256 = read(
        "selvedge_fit.sha256",
        || vec![7; 32],
        |_, at| fitted(as_place(&three()), as_place(&init!(selvedge_fit { sha256: at })), spare(), spare()),
        OK,
    );
    sha256.grows = false;
    vec![
        sha256,
        read(
            "selvedge_telemetry_open.limits",
            || raw(init!(selvedge_limits {})),
            |_, at| open(FOLDER.as_ptr(), FOLDER.len(), at, spare(), spare()),
            OK,
        ),
        read("selvedge_profile_fit.rows", || raw(three()), |_, at| fitted(at, ptr::null(), spare(), spare()), INVALID),
        read(
            "selvedge_profile_fit.fit",
            || raw(init!(selvedge_fit {})),
            |_, at| fitted(as_place(&three()), at, spare(), spare()),
            OK,
        ),
        read("selvedge_profile_compare.rows", || raw(three()), |_, at| compared(at, spare(), spare()), INVALID),
        read(
            "selvedge_monitor_new.options",
            || raw(init!(selvedge_monitor_options { config: text(CONFIG) })),
            |_, at| monitor_new(at, spare(), spare()),
            INVALID,
        ),
        Block {
            name: "selvedge_monitor_next_alert.alert",
            grows: true,
            written: true,
            good: || raw(init!(selvedge_alert {})),
            call: |_, at| next_alert(at, spare()),
            then: OK,
            null: INVALID,
        },
    ]
}

pub(super) fn results() -> Vec<Block> {
    type Call = fn(&Callee, *mut u8) -> selvedge_status;
    let place = |name: &'static str, good: fn() -> Vec<u8>, then, null, call: Call| Block {
        name,
        grows: false,
        written: true,
        good,
        call,
        then,
        null,
    };
    let pointer: fn() -> Vec<u8> = || vec![0xff; size_of::<usize>()];
    let number: fn() -> Vec<u8> = || vec![0xff; size_of::<i32>()];
    let out = |name, call: Call| place(name, pointer, OK, INVALID, call);
    // On success too, a place for an error is written.
    let err = |name, then, call: Call| place(name, pointer, then, then, call);
    vec![
        out("selvedge_telemetry_open.out", |_, at| open(FOLDER.as_ptr(), FOLDER.len(), ptr::null(), at, spare())),
        err("selvedge_telemetry_open.err", INVALID, |_, at| open(ptr::null(), 1, ptr::null(), spare(), at)),
        // SAFETY: the places are as a case made them, here and below.
        out("selvedge_telemetry_status_json.out", |_, at| unsafe {
            selvedge_telemetry_status_json(objects().telemetry.get(), at.cast(), spare().cast())
        }),
        // SAFETY: as above.
        err("selvedge_telemetry_status_json.err", INVALID, |_, at| unsafe {
            selvedge_telemetry_status_json(ptr::null(), spare().cast(), at.cast())
        }),
        out("selvedge_report_html.out", |_, at| {
            objects();
            html(FOLDER.as_ptr(), FOLDER.len(), at, spare())
        }),
        err("selvedge_report_html.err", NOT_FOUND, |_, at| html(c"no/such".as_ptr().cast(), 7, spare(), at)),
        out("selvedge_report_html_with.out", |_, at| {
            objects();
            html_with([WATCHED, NONE, NONE], at, spare())
        }),
        err("selvedge_report_html_with.err", INVALID, |_, at| html_with([NONE; 3], spare(), at)),
        out("selvedge_profile_fit.out", |_, at| fitted(as_place(&three()), ptr::null(), at, spare())),
        err("selvedge_profile_fit.err", INVALID, |_, at| fitted(ptr::null(), ptr::null(), spare(), at)),
        out("selvedge_profile_decode.out", |_, at| {
            let bytes = encoded(objects().profile.get());
            decoded(bytes.as_ptr(), bytes.len(), at, spare())
        }),
        err("selvedge_profile_decode.err", CORRUPT, |_, at| decoded(ptr::null(), 0, spare(), at)),
        // SAFETY: as above.
        out("selvedge_profile_encode.out", |_, at| unsafe {
            selvedge_profile_encode(objects().profile.get(), at.cast(), spare().cast())
        }),
        // SAFETY: as above.
        err("selvedge_profile_encode.err", INVALID, |_, at| unsafe {
            selvedge_profile_encode(ptr::null(), spare().cast(), at.cast())
        }),
        // SAFETY: as above.
        out("selvedge_profile_json.out", |_, at| unsafe {
            selvedge_profile_json(objects().profile.get(), at.cast(), spare().cast())
        }),
        // SAFETY: as above.
        err("selvedge_profile_json.err", INVALID, |_, at| unsafe {
            selvedge_profile_json(ptr::null(), spare().cast(), at.cast())
        }),
        out("selvedge_profile_compare.out", |_, at| compared(as_place(&three()), at, spare())),
        err("selvedge_profile_compare.err", INVALID, |_, at| compared(ptr::null(), spare(), at)),
        out("selvedge_monitor_new.out", |_, at| {
            monitor_new(as_place(&init!(selvedge_monitor_options { config: text(CONFIG) })), at, spare())
        }),
        err("selvedge_monitor_new.err", INVALID, |_, at| monitor_new(ptr::null(), spare(), at)),
        // SAFETY: as above.
        out("selvedge_monitor_engine.out", |_, at| unsafe {
            selvedge_monitor_engine(objects().monitor.get(), at.cast(), spare().cast())
        }),
        // SAFETY: as above.
        err("selvedge_monitor_engine.err", INVALID, |_, at| unsafe {
            selvedge_monitor_engine(ptr::null(), spare().cast(), at.cast())
        }),
        err("selvedge_monitor_next_alert.err", INVALID, |_, at| next_alert(ptr::null_mut(), at)),
        place("selvedge_monitor_feedback.verdict", number, OK, INVALID, |_, at| feedback(1, at, spare())),
        err("selvedge_monitor_feedback.err", INVALID, |_, at| feedback(0, spare(), at)),
        // SAFETY: as above.
        err("selvedge_monitor_tick.err", OK, |_, at| unsafe {
            selvedge_monitor_tick(objects().monitor.get(), at.cast())
        }),
        // SAFETY: as above.
        err("selvedge_monitor_close_window.err", OK, |_, at| unsafe {
            selvedge_monitor_close_window(objects().monitor.get(), at.cast())
        }),
        // SAFETY: as above.
        out("selvedge_monitor_report_json.out", |_, at| unsafe {
            selvedge_monitor_report_json(objects().monitor.get(), at.cast(), spare().cast())
        }),
        // SAFETY: as above.
        err("selvedge_monitor_report_json.err", INVALID, |_, at| unsafe {
            selvedge_monitor_report_json(ptr::null(), spare().cast(), at.cast())
        }),
        // No profile is given, and none is learned.
        // SAFETY: as above.
        place("selvedge_monitor_profile.out", pointer, NOT_FOUND, INVALID, |_, at| unsafe {
            selvedge_monitor_profile(objects().monitor.get(), at.cast(), spare().cast())
        }),
        // SAFETY: as above.
        err("selvedge_monitor_profile.err", NOT_FOUND, |_, at| unsafe {
            selvedge_monitor_profile(objects().monitor.get(), spare().cast(), at.cast())
        }),
        place("selvedge_buffer_data.len", pointer, OK, OK, |_, at| buffer_data(at)),
    ]
}

pub(super) fn arrays() -> Vec<Array> {
    vec![Array {
        name: "selvedge_rows.columns",
        grows: true,
        good: || {
            let named = |name| raw(selvedge_column { name: text(name), ..wind() });
            ["wind", "gust", "lull"].map(named).to_vec()
        },
        call: |_, at, count| {
            let rows = init!(selvedge_rows { columns: at.cast(), column_count: count, row_count: 3 });
            fitted(as_place(&rows), ptr::null(), spare(), spare())
        },
        most: 65_536,
        then: OK,
        empty: INVALID,
        null: INVALID,
    }]
}

/// Fits one column, or what is changed in it, of so many rows.
fn fit_column(column: selvedge_column, count: usize, right: *const u8) -> selvedge_status {
    let columns = [column];
    let rows = selvedge_rows { right, ..rows_of(&columns, count) };
    fitted(as_place(&rows), ptr::null(), spare(), spare())
}

pub(super) fn bytes() -> Vec<Bytes> {
    type Call = fn(&Callee, *const u8, usize) -> selvedge_status;
    let bytes = |name, good: &'static [u8], most, [then, empty, null]: [selvedge_status; 3], call: Call| Bytes {
        name,
        good,
        call,
        most,
        then,
        empty,
        null,
    };
    let profile: &'static [u8] = encoded(objects().profile.get()).leak();
    vec![
        bytes("selvedge_telemetry_open.folder", FOLDER.as_bytes(), Most::Bounded, INVALID_THEN, |_, at, len| {
            open(at, len, ptr::null(), spare(), spare())
        }),
        bytes("selvedge_report_html.folder", FOLDER.as_bytes(), Most::Bounded, INVALID_THEN, |_, at, len| {
            html(at, len, spare(), spare())
        }),
        bytes("selvedge_report_html_with.folder", FOLDER.as_bytes(), Most::Bounded, INVALID_THEN, |_, at, len| {
            html_with([(at, len), NONE, NONE], spare(), spare())
        }),
        bytes(
            "selvedge_report_html_with.store",
            FOLDER.as_bytes(),
            Most::Bounded,
            [NOT_FOUND, OK, OK],
            |_, at, len| html_with([WATCHED, (at, len), NONE], spare(), spare()),
        ),
        bytes("selvedge_report_html_with.crashes", FOLDER.as_bytes(), Most::Bounded, [OK; 3], |_, at, len| {
            html_with([WATCHED, NONE, (at, len)], spare(), spare())
        }),
        bytes("selvedge_profile_decode.bytes", profile, Most::Memory, [OK, CORRUPT, CORRUPT], |_, at, len| {
            decoded(at, len, spare(), spare())
        }),
        bytes("selvedge_column.name", b"wind", Most::Bounded, [OK; 3], |_, at, len| {
            fit_column(selvedge_column { name: taken(at, len), ..wind() }, 3, ptr::null())
        }),
        // As many rows as bytes, or as many numbers as fit into them.
        bytes("selvedge_column.data", b"12345678", Most::Memory, INVALID_THEN, |_, at, len| {
            fit_column(selvedge_column { data: at.cast(), dtype: SELVEDGE_U8, ..wind() }, len, ptr::null())
        }),
        bytes("selvedge_column.data of i64", b"12345678abcdefgh", Most::Memory, INVALID_THEN, |_, at, len| {
            let rows = len.div_ceil(8);
            fit_column(selvedge_column { data: at.cast(), dtype: SELVEDGE_I64, ..wind() }, rows, ptr::null())
        }),
        bytes("selvedge_column.data of a text", b"sun", Most::Memory, [OK; 3], |_, at, len| {
            let cell = taken(at, len);
            let column = selvedge_column { data: (&raw const cell).cast(), dtype: SELVEDGE_STRING, ..wind() };
            fit_column(column, 1, ptr::null())
        }),
        bytes("selvedge_rows.embeddings", b"123456789012", Most::Memory, INVALID_THEN, |_, at, len| {
            let count = len.div_ceil(4);
            let rows = init!(selvedge_rows { embeddings: at.cast(), embedding_width: 1, row_count: count });
            fitted(as_place(&rows), ptr::null(), spare(), spare())
        }),
        bytes("selvedge_rows.right", b"\0\x01\x01", Most::Memory, INVALID_THEN, |_, at, len| {
            fit_column(selvedge_column { data: at.cast(), dtype: SELVEDGE_BOOL, ..wind() }, len, at)
        }),
        bytes("selvedge_monitor_options.config", CONFIG.as_bytes(), Most::Memory, INVALID_THEN, |_, at, len| {
            let options = init!(selvedge_monitor_options { config: taken(at, len) });
            monitor_new(as_place(&options), spare(), spare())
        }),
    ]
}
