//! Versions that serve, give way, and are held against; their engines and files.

use super::*;

/// Two versions, the second of which serves.
fn two() -> (tempfile::TempDir, *mut selvedge_store, [String; 2]) {
    let (folder, store) = fresh();
    let ids = ["seattle", "new-york"].map(|name| id_of(&import(store, name)));
    ids.iter().for_each(|id| change(store, id, selvedge_store_activate).unwrap());
    (folder, store, ids)
}

fn open_engine(
    store: *const selvedge_store,
    id: &str,
    options: Option<&selvedge_options>,
) -> Result<*mut selvedge_engine, (i32, String)> {
    let ((at, len), mut out) = (place(id), ptr::without_provenance_mut(0x5eed));
    let options = options.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the pointers live during the call.
    let result = call(|err| unsafe { selvedge_store_open_engine(store, at, len, options, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

fn bytes(store: *const selvedge_store, id: &str, name: &str) -> Vec<u8> {
    let ((id, id_len), (name, name_len)) = (place(id), place(name));
    // SAFETY: the pointers live during the call.
    bytes_of(|out, err| unsafe { selvedge_store_file(store, id, id_len, name, name_len, out, err) })
}

fn path(store: *const selvedge_store, id: &str, name: &str) -> String {
    let ((id, id_len), (name, name_len)) = (place(id), place(name));
    // SAFETY: the pointers live during the call.
    let path = bytes_of(|out, err| unsafe { selvedge_store_path(store, id, id_len, name, name_len, out, err) });
    String::from_utf8(path).unwrap()
}

fn verify(store: *const selvedge_store, id: &str, cancel: *const selvedge_cancel) -> Result<(), (i32, String)> {
    let (at, len) = place(id);
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_store_verify(store, at, len, cancel, err) })
}

fn held(store: *const selvedge_store, id: &str, why: &str) -> Value {
    let ((id, id_len), (why, why_len)) = (place(id), place(why));
    // SAFETY: the pointers live during the call.
    json_of(|out, err| unsafe { selvedge_store_miss(store, id, id_len, why, why_len, out, err) })
}

fn quarantine(store: *const selvedge_store, id: &str, why: &str) -> Result<(), (i32, String)> {
    let ((id, id_len), (why, why_len)) = (place(id), place(why));
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_store_quarantine(store, id, id_len, why, why_len, err) })
}

fn rollback(store: *const selvedge_store) -> Value {
    // SAFETY: the places may be written.
    json_of(|out, err| unsafe { selvedge_store_rollback(store, out, err) })
}

fn gc(store: *const selvedge_store, keep: usize) -> Value {
    // SAFETY: the places may be written.
    json_of(|out, err| unsafe { selvedge_store_gc(store, keep, out, err) })
}

/// A report of a folder whose versions are in a store beside it.
#[test]
fn a_report_tells_of_the_store_and_of_the_crash_record() {
    let (folder, store) = fresh();
    let seattle = import(store, "seattle");
    change(store, &id_of(&seattle), selvedge_store_activate).unwrap();
    let telemetry = folder.path().join("telemetry");
    drop(selvedge::telemetry::Telemetry::open(&telemetry, selvedge::telemetry::Limits::default()));
    let crashes = folder.path().join("crashes");
    std::fs::create_dir(&crashes).unwrap();
    let (telemetry, crashes) = (telemetry.to_str().unwrap(), crashes.to_str().unwrap());
    let of_store = folder.path().join("store").to_str().unwrap().to_owned();
    let none = folder.path().join("none").to_str().unwrap().to_owned();
    let report = |store: &str, crashes: &str, out, err| {
        let [(a, a_len), (b, b_len), (c, c_len)] = [telemetry, store, crashes].map(place);
        // SAFETY: the folders live during the call, and the places may be written.
        unsafe { selvedge_report_html_with(a, a_len, b, b_len, c, c_len, out, err) }
    };
    let page =
        |store: &str, crashes: &str| String::from_utf8(bytes_of(|out, err| report(store, crashes, out, err))).unwrap();
    assert_eq!(page("", ""), selvedge::report::Story::read(Path::new(telemetry)).unwrap().html());
    let (with, without) = (page(&of_store, crashes), page("", crashes));
    assert!(with.contains("<h2>Versions</h2>") && with.contains("<td>serves</td>"), "{with}");
    assert!(!without.contains("<h2>Versions</h2>"), "{without}");
    for (store, crashes) in [(&*none, ""), ("", &*none)] {
        refused_with(Code::NotFound, |out, err| report(store, crashes, out, err));
    }
    refused_with(Code::InvalidArgument, |out, err| report("a\0b", "", out, err));
    close(store);
}

#[test]
fn the_version_that_serves_gives_its_files_where_they_lie() {
    let (folder, store, [seattle, new_york]) = two();
    assert_eq!((&current(store)["id"], &current(store)["version"]), (&new_york.clone().into(), &2.into()));
    let listed: Vec<_> =
        versions(store).as_array().unwrap().iter().map(|v| (v["version"].clone(), v["current"].clone())).collect();
    assert_eq!(listed, [(2.into(), true.into()), (1.into(), false.into())], "the highest first");
    assert_eq!(current(store)["current"], true);
    for (id, name) in [(&*seattle, "seattle"), (&new_york, "new-york"), ("", "new-york")] {
        for file in ["rain.onnx", "rain.profile", "golden.json"] {
            assert_eq!(bytes(store, id, file), std::fs::read(format!("{}/{file}", package(name))).unwrap(), "{file}");
        }
        let model = path(store, id, "");
        assert!(model.starts_with(folder.path().to_str().unwrap()), "{model}");
        assert_eq!(model, path(store, id, "rain.onnx"));
        verify(store, id, ptr::null()).unwrap();
    }
    let profile = bytes(store, "", "rain.profile");
    let mut decoded = ptr::null_mut();
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_profile_decode(profile.as_ptr().cast(), profile.len(), &raw mut decoded, err) })
        .unwrap();
    assert_eq!(selvedge_profile_free(decoded), SELVEDGE_OK);
    let mut switch = ptr::null_mut();
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_cancel_new(&raw mut switch, err) }).unwrap();
    assert_eq!(selvedge_cancel_set(switch), SELVEDGE_OK);
    assert_eq!(verify(store, "", switch).unwrap_err().0, Code::Cancelled as i32);
    assert_eq!(selvedge_cancel_free(switch), SELVEDGE_OK);
    close(store);
}

#[cfg(feature = "tract")]
#[test]
fn the_engine_of_a_version_outlives_its_store() {
    let (_folder, store, [seattle, _]) = two();
    let options = init!(selvedge_options { backend: SELVEDGE_BACKEND_TRACT });
    let engine = open_engine(store, &seattle, Some(&options)).unwrap();
    let newest = open_engine(store, "", None).unwrap();
    change(store, &seattle, selvedge_store_remove).unwrap();
    close(store);
    let digest = |engine| spec_of(engine)["provenance"]["digest"].clone();
    let of_file = |name: &str| {
        let source = file(&format!("examples/quickstart/packages/{name}/rain.onnx"));
        let direct = open_source(&by_path(&source), None).unwrap();
        let digest = digest(direct);
        assert_eq!(selvedge_engine_close(direct), SELVEDGE_OK);
        digest
    };
    assert_eq!((digest(engine), digest(newest)), (of_file("seattle"), of_file("new-york")));
    assert_eq!((selvedge_engine_close(engine), selvedge_engine_close(newest)), (SELVEDGE_OK, SELVEDGE_OK));
}

#[test]
fn a_damaged_version_is_known_and_gives_way() {
    let (_folder, store, [seattle, new_york]) = two();
    let model = path(store, &new_york, "");
    let mut bytes = std::fs::read(&model).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&model).unwrap();
    std::fs::write(&model, bytes).unwrap();
    for result in [verify(store, "", ptr::null()), open_engine(store, "", None).map(drop)] {
        let (code, why) = result.unwrap_err();
        assert_eq!(code, Code::Corrupt as i32, "{why}");
        assert!(why.contains(&new_york) && why.contains("rain.onnx"), "{why}");
    }
    assert_eq!(rollback(store)["id"], *seattle);
    verify(store, "", ptr::null()).unwrap();
    close(store);
}

#[test]
fn a_version_that_is_held_against_gives_way_and_says_why() {
    let (_folder, store, [seattle, new_york]) = two();
    let nothing = serde_json::json!({ "misses": 0, "quarantined": false, "why": "" });
    assert_eq!(standing(store, &new_york), nothing);
    let once = held(store, &new_york, "it gave NaN");
    assert_eq!(once, serde_json::json!({ "misses": 1, "quarantined": false, "why": "it gave NaN" }));
    assert_eq!(current(store)["id"], *new_york);
    let twice = held(store, &new_york, "it gave NaN again");
    assert_eq!(twice, serde_json::json!({ "misses": 2, "quarantined": true, "why": "it gave NaN again" }));
    assert_eq!(current(store)["id"], *seattle, "it went back in the same step");
    let (code, why) = change(store, &new_york, selvedge_store_activate).unwrap_err();
    assert_eq!(code, Code::Quarantined as i32);
    assert_eq!(why, format!("version {new_york}: it is in quarantine: it gave NaN again"));
    assert_eq!(versions(store)[0]["standing"], twice);

    change(store, &new_york, selvedge_store_pardon).unwrap();
    assert_eq!(standing(store, &new_york), nothing);
    change(store, &new_york, selvedge_store_activate).unwrap();
    quarantine(store, &new_york, "a person said so").unwrap();
    assert_eq!(current(store)["id"], *seattle);
    quarantine(store, &seattle, "").unwrap();
    assert_eq!(current(store), Value::Null, "with no version to go to, none serves");
    let none = refused_with(Code::NotFound, |out, err| {
        // SAFETY: the places may be written.
        unsafe { selvedge_store_rollback(store, out, err) }
    });
    assert_eq!(none, "rollback: there is no version to go to");
    assert_eq!(open_engine(store, "", None).unwrap_err().0, Code::NotFound as i32);
    close(store);
}

#[test]
fn versions_make_room_and_none_that_serves_is_removed() {
    let (_folder, store, [seattle, new_york]) = two();
    assert_eq!(rollback(store)["id"], *seattle);
    change(store, &new_york, selvedge_store_activate).unwrap();
    assert_eq!(change(store, &new_york, selvedge_store_remove).unwrap_err().0, Code::InvalidArgument as i32);
    assert_eq!(gc(store, 1), serde_json::json!([]));
    assert_eq!(gc(store, 0), serde_json::json!([seattle]));
    assert_eq!(change(store, &seattle, selvedge_store_remove).unwrap_err().0, Code::NotFound as i32);
    for id in ["", "7", &"x".repeat(64)] {
        let (code, why) = change(store, id, selvedge_store_activate).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32, "{why}");
        assert!(why.contains("expected 64 hexadecimal digits"), "{why}");
    }
    close(store);
}

#[test]
fn one_writes_others_read_and_the_last_to_go_leaves_the_folder_free() {
    let (folder, store, [_, new_york]) = two();
    let at = folder.path().join("store");
    assert_eq!(open(&at, &trust()).unwrap_err().0, Code::Busy as i32);
    let reader = open_read_only(&at).unwrap();
    assert_eq!(current(reader)["id"], *new_york);
    assert_eq!(change(reader, &new_york, selvedge_store_activate).unwrap_err().0, Code::Unsupported as i32);
    rollback(store);
    assert_eq!(current(reader)["version"], 1, "what the writer changes is seen");
    let staged = stage(store, &ID, 10).unwrap();
    close(store);
    assert_eq!(open(&at, &trust()).unwrap_err().0, Code::Busy as i32, "a file is being received yet");
    assert_eq!(selvedge_staged_free(staged), SELVEDGE_OK);
    close(open(&at, &trust()).unwrap());
    close(reader);
    assert_eq!(open_read_only(&folder.path().join("none")).unwrap_err().0, Code::NotFound as i32);
}
