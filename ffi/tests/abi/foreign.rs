//! Handles of telemetry, profiles, monitors and buffers: NULL, freed, of another type, or never one.

use selvedge::fake::Fake;
use selvedge::{Code, DType};

use super::watching::*;
use super::*;

type Entry = dyn Fn(*mut *mut selvedge_error) -> selvedge_status;

/// Every function that takes such a handle, with all else in order: each must judge the handle alone.
fn all(h: *mut u8, others: [*mut u8; 2]) -> Vec<(&'static str, Box<Entry>)> {
    macro_rules! table {
        ($($kind:literal |$out:ident, $err:ident| $call:expr;)*) => {
            vec![$(($kind, Box::new(move |$err: *mut *mut selvedge_error| {
                let mut place = ptr::without_provenance_mut::<u8>(0x5eed);
                let $out = &raw mut place;
                // SAFETY: every pointer is to something that lives during the call.
                let status = unsafe { $call };
                assert!(place.is_null() || place.addr() == 0x5eed, "written on failure");
                status
            }) as Box<Entry>),)*]
        };
    }
    let [engine, telemetry] = others;
    let good = || init!(selvedge_monitor_options { config: text(r#"{"probe": []}"#) });
    table! {
        "telemetry" |out, err| selvedge_telemetry_status_json(h.cast(), out.cast(), err);
        "profile" |out, err| selvedge_profile_encode(h.cast(), out.cast(), err);
        "profile" |out, err| selvedge_profile_json(h.cast(), out.cast(), err);
        "profile" |out, err| {
            let columns = [column("wind", SELVEDGE_F32, &[1.0f32, 2.0])];
            selvedge_profile_compare(h.cast(), &rows_of(&columns, 2), out.cast(), err)
        };
        "engine" |out, err| selvedge_monitor_new(h.cast(), telemetry.cast(), &good(), out.cast(), err);
        "telemetry" |out, err| selvedge_monitor_new(engine.cast(), h.cast(), &good(), out.cast(), err);
        // Within a struct, NULL means none; anything else is a handle.
        "option" |out, err| {
            let options = selvedge_monitor_options { profile: h.cast(), ..good() };
            selvedge_monitor_new(engine.cast(), telemetry.cast(), &options, out.cast(), err)
        };
        "monitor" |out, err| selvedge_monitor_engine(h.cast(), out.cast(), err);
        "monitor" |_out, err| selvedge_monitor_next_alert(h.cast(), &mut init!(selvedge_alert {}), err);
        "monitor" |_out, err| {
            let mut verdict = 7;
            let status =
                selvedge_monitor_feedback(h.cast(), 1, SELVEDGE_LABEL_CORRECT, 1, &raw mut verdict, err);
            assert_eq!(verdict, SELVEDGE_VERDICT_NONE);
            status
        };
        "monitor" |_out, err| selvedge_monitor_tick(h.cast(), err);
        "monitor" |_out, err| selvedge_monitor_close_window(h.cast(), err);
        "monitor" |out, err| selvedge_monitor_report_json(h.cast(), out.cast(), err);
        "monitor" |out, err| selvedge_monitor_profile(h.cast(), out.cast(), err);
    }
}

type Free = fn(*mut u8) -> selvedge_status;

const FREES: [(&str, Free); 5] = [
    ("engine", |h| selvedge_engine_close(h.cast())),
    ("telemetry", |h| selvedge_telemetry_free(h.cast())),
    ("profile", |h| selvedge_profile_free(h.cast())),
    ("monitor", |h| selvedge_monitor_free(h.cast())),
    ("buffer", |h| selvedge_buffer_free(h.cast())),
];

/// One live handle of each type, in the order of [`FREES`].
fn one_of_each(folder: &std::path::Path) -> Vec<(&'static str, *mut u8)> {
    let (engine, telemetry) = (handle(Fake::echo(DType::F32).build()), open_telemetry(folder));
    let columns = [column("wind", SELVEDGE_F32, &[1.0f32, 2.0])];
    let profile = fit(&rows_of(&columns, 2), None).unwrap();
    let options = init!(selvedge_monitor_options { config: text(r#"{"probe": []}"#) });
    let watching = watch(engine, telemetry, &options).unwrap();
    assert_eq!(selvedge_engine_close(watching.engine), SELVEDGE_OK);
    let mut buffer = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_profile_encode(profile, &raw mut buffer, err) }).unwrap();
    let handles = [engine.cast(), telemetry.cast(), profile.cast(), watching.monitor.cast(), buffer.cast()];
    FREES.iter().map(|(kind, _)| *kind).zip(handles).collect()
}

fn free_all(handles: &[(&str, *mut u8)]) {
    for ((kind, h), (_, free)) in handles.iter().zip(FREES) {
        assert_eq!(free(*h), SELVEDGE_OK, "{kind}");
    }
}

#[test]
fn null_is_an_argument_error_except_to_free() {
    let folder = tempfile::tempdir().unwrap();
    let handles = one_of_each(folder.path());
    for (kind, f) in all(ptr::null_mut(), [handles[0].1, handles[1].1]) {
        if kind != "option" {
            let message = refused(Code::InvalidArgument, f);
            assert_eq!(message, format!("selvedge_{kind}: expected a handle, got NULL"));
        }
    }
    for (kind, free) in FREES {
        assert_eq!(free(ptr::null_mut()), SELVEDGE_OK, "{kind}");
    }
    free_all(&handles);
}

#[test]
fn a_handle_of_another_type_one_that_was_freed_and_what_was_never_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (handles, again) = (one_of_each(folder.path()), tempfile::tempdir().unwrap());
    let others = [handles[0].1, handles[1].1];
    let check = |h: *mut u8, is: &str, got: &str| {
        for (wants, f) in all(h, others) {
            let wants = if wants == "option" { "profile" } else { wants };
            if wants != is {
                assert_eq!(refused(Code::BadHandle, f), format!("expected a selvedge_{wants}, got {got}"));
            }
        }
        for (frees, free) in FREES {
            assert!(frees == is || free(h) == BAD_HANDLE, "{got}, freed as a {frees}");
        }
        let mut len = usize::MAX;
        // SAFETY: `len` may be written, and what is no buffer is one zero.
        let nothing = unsafe { *selvedge_buffer_data(h.cast(), &raw mut len).cast::<u8>() };
        assert!(is == "buffer" || (nothing, len) == (0, 0), "{got}, read as a buffer");
    };
    for &(is, h) in &handles {
        check(h, is, &format!("a selvedge_{is}"));
    }
    let local = 0u64;
    for wild in [1, 8, 0x7fff_ffff, usize::MAX, (&raw const local).addr()] {
        check(ptr::without_provenance_mut(wild), "nothing", "something that was never a handle");
    }
    // All of that has harmed none of them; and each is stale once it is freed, even when its place is taken again.
    let old = one_of_each(again.path());
    free_all(&old);
    let new = one_of_each(again.path());
    for &(kind, stale) in &old {
        for (wants, f) in all(stale, others) {
            if wants == kind || wants == "option" && kind == "profile" {
                let message = refused(Code::BadHandle, f);
                assert_eq!(message, format!("selvedge_{kind}: expected a live handle, got one that was freed"));
            }
        }
        for (frees, free) in FREES {
            assert_eq!(free(stale), BAD_HANDLE, "a freed {kind}, freed as a {frees}");
        }
    }
    free_all(&new);
    free_all(&handles);
}
