//! Telemetry folders and their page: opened, counted, freed; and what is refused.

use super::watching::{bytes_of, json_of, open_telemetry, refused_with, status_json};
use super::*;

fn open(folder: &str, limits: Option<&selvedge_limits>) -> Result<*mut selvedge_telemetry, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    let limits = limits.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the pointers live during the call.
    let result =
        call(|err| unsafe { selvedge_telemetry_open(folder.as_ptr().cast(), folder.len(), limits, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

#[test]
fn a_folder_is_made_and_says_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("of/days");
    let telemetry = open(inside.to_str().unwrap(), None).unwrap();
    let status = status_json(telemetry);
    assert!(inside.join("telemetry.live").is_file());
    let rust = serde_json::json!({
        "mode": "durable", "why": null, "code": null, "bytes": status["bytes"], "history_bytes": 0,
        "segments": status["segments"], "recovered": 0, "torn": 0, "quarantined": 0, "unacked": status["unacked"],
        "oldest": status["oldest"], "dropped": {},
    });
    assert_eq!(status, rust);

    // A second open of it only counts, and says why; the app goes on.
    let second = open_telemetry(&inside);
    let status = status_json(second);
    assert_eq!((&status["mode"], &status["code"]), (&"counting".into(), &(Code::Busy as i32).into()));
    assert!(status["why"].as_str().unwrap().contains("expected a folder that nobody has open"), "{status}");
    assert_eq!(selvedge_telemetry_free(second), SELVEDGE_OK);
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    assert_eq!(selvedge_telemetry_free(telemetry), BAD_HANDLE);
    let third = open_telemetry(&inside);
    assert_eq!(status_json(third)["mode"], "durable", "the folder is closed with its handle");
    assert_eq!(selvedge_telemetry_free(third), SELVEDGE_OK);
}

#[test]
fn limits_are_taken_and_those_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let no = |limits: selvedge_limits, what: &str| {
        let (code, message) = open(path, Some(&limits)).unwrap_err();
        assert_eq!((code, &*message), (Code::InvalidArgument as i32, what));
    };
    no(init!(selvedge_limits { lanes: 65_536 }), "selvedge_limits.lanes: expected at most 65535, got 65536");
    no(
        init!(selvedge_limits { durability: 2 }),
        "selvedge_durability: 2 has no meaning in this version of the library",
    );
    no(
        init!(selvedge_limits { flags: 1 }),
        "selvedge_limits.flags: the bits 0x1 have no meaning in this version of the library",
    );
    let small = init!(selvedge_limits { lanes: 3, slots: 64, bytes: 1 << 16, segment_bytes: 1, durability: 1 });
    let telemetry = open(path, Some(&small)).unwrap();
    let small = std::fs::metadata(folder.path().join("telemetry.live")).unwrap().len();
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
    let other = tempfile::tempdir().unwrap();
    let telemetry = open(other.path().to_str().unwrap(), Some(&init!(selvedge_limits {}))).unwrap();
    let usual = std::fs::metadata(other.path().join("telemetry.live")).unwrap().len();
    assert!(small < usual / 16, "{small} bytes of 3 lanes of 64 slots, {usual} of 16 of 1,024");
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
}

#[test]
fn what_is_no_folder_is_refused() {
    for folder in ["", "of\0days"] {
        let (code, message) = open(folder, None).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(message.starts_with("folder: expected the name of a folder"), "{message}");
    }
    let html = |folder: &str, out, err| {
        // SAFETY: the folder lives during the call.
        unsafe { selvedge_report_html(folder.as_ptr().cast(), folder.len(), out, err) }
    };
    refused_with(Code::InvalidArgument, |out, err| html("", out, err));
    refused_with(Code::InvalidArgument, |out, err| html(&"d".repeat(65_537), out, err));
    refused_with(Code::NotFound, |out, err| html("no/such/folder", out, err));
    // SAFETY: no pointer is followed.
    unsafe {
        refused_with(Code::InvalidArgument, |out, err| selvedge_report_html(ptr::null(), 3, out, err));
        refused_with(Code::InvalidArgument, |out, err| selvedge_telemetry_open(ptr::null(), 3, ptr::null(), out, err));
    }
    let folder = tempfile::tempdir().unwrap();
    // Where a file stands, telemetry counts, and says so.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let telemetry = open_telemetry(&file);
    let status = status_json(telemetry);
    assert_eq!((&status["mode"], &status["code"]), (&"counting".into(), &(Code::Io as i32).into()), "{status}");
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
}

#[test]
fn a_page_of_a_folder_in_use_is_html() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = open_telemetry(folder.path());
    let path = folder.path().to_str().unwrap();
    // SAFETY: the folder lives during the call.
    let page = bytes_of(|out, err| unsafe { selvedge_report_html(path.as_ptr().cast(), path.len(), out, err) });
    assert!(std::str::from_utf8(&page).unwrap().starts_with("<!doctype html>"), "{:?}", &page[..20]);
    // SAFETY: the places may be written.
    let status = json_of(|out, err| unsafe { selvedge_telemetry_status_json(telemetry, out, err) });
    assert_eq!(status["mode"], "durable");
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
}
