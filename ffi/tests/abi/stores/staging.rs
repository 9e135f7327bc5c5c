//! Files that come piece by piece, over several processes, and are made a version.

use selvedge::store::Artifact;

use super::*;

fn offset(staged: *mut selvedge_staged) -> (u64, u64) {
    let (mut offset, mut size) = (7, 7);
    // SAFETY: the places may be written.
    call(|err| unsafe { selvedge_staged_offset(staged, &raw mut offset, &raw mut size, err) }).unwrap();
    (offset, size)
}

fn write(staged: *mut selvedge_staged, bytes: &[u8]) -> Result<(), (i32, String)> {
    // SAFETY: the bytes live during the call.
    call(|err| unsafe { selvedge_staged_write(staged, bytes.as_ptr().cast(), bytes.len(), err) })
}

fn finish(staged: *mut selvedge_staged) -> Result<(), (i32, String)> {
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_staged_finish(staged, err) })
}

fn free(staged: *mut selvedge_staged) {
    assert_eq!(selvedge_staged_free(staged), SELVEDGE_OK);
    assert_eq!(selvedge_staged_free(staged), BAD_HANDLE);
}

#[test]
fn a_package_comes_blob_by_blob_and_goes_on_where_it_stopped() {
    let (folder, mut store) = fresh();
    let path = package("seattle");
    let manifest = String::from_utf8(Artifact::of_folder(&path).unwrap().manifest().to_vec()).unwrap();
    let (at, len) = place(&manifest);
    // SAFETY: the pointers live during the call, here and below.
    let listed = json_of(|out, err| unsafe { selvedge_manifest_json(at, len, out, err) });
    assert_eq!(listed["digest"].as_str().unwrap().len(), 64);
    assert!(listed["config"]["name"].is_null() && listed["config"]["size"].is_u64(), "{listed}");
    // SAFETY: as above.
    let missing = refused_with(Code::NotFound, |out, err| unsafe {
        selvedge_store_import_staged(store, at, len, ptr::null(), out, err)
    });
    assert!(!missing.is_empty());
    let files = listed["files"].as_array().unwrap();
    assert_eq!(files.len(), 5);
    for file in files {
        let (name, digest) = (file["name"].as_str().unwrap(), file["digest"].as_str().unwrap());
        let (bytes, size) = (std::fs::read(format!("{path}/{name}")).unwrap(), file["size"].as_u64().unwrap());
        let half = bytes.len() / 2;
        let staged = stage(store, digest.as_bytes(), size).unwrap();
        assert_eq!(offset(staged), (0, size));
        assert_eq!(stage(store, digest.as_bytes(), size).unwrap_err().0, Code::Busy as i32);
        write(staged, &bytes[..half]).unwrap();
        free(staged);
        // As another process would.
        close(store);
        store = open(&folder.path().join("store"), &trust()).unwrap();
        let staged = stage(store, digest.as_bytes(), size).unwrap();
        assert_eq!(offset(staged), (half as u64, size));
        write(staged, &bytes[half..]).unwrap();
        finish(staged).unwrap();
        free(staged);
        let staged = stage(store, digest.as_bytes(), size).unwrap();
        assert_eq!(offset(staged), (size, size), "it is there");
        finish(staged).unwrap();
        free(staged);
    }
    // SAFETY: as above.
    let version = json_of(|out, err| unsafe { selvedge_store_import_staged(store, at, len, ptr::null(), out, err) });
    assert_eq!((&version["name"], &version["version"]), (&"rain".into(), &1.into()));
    change(store, &id_of(&version), selvedge_store_activate).unwrap();
    close(store);
}

#[test]
fn a_staged_file_takes_its_own_bytes_and_no_others() {
    let (_folder, store) = fresh();
    let staged = stage(store, &ID, 4).unwrap();
    let (code, why) = write(staged, b"abcde").unwrap_err();
    assert_eq!(code, Code::InvalidArgument as i32);
    assert!(why.contains("expected 4 bytes, got more"), "{why}");
    write(staged, b"abc").unwrap();
    let (code, why) = finish(staged).unwrap_err();
    assert_eq!((code, &*why), (Code::InvalidArgument as i32, "staged file: expected 4 bytes, got 3"));
    write(staged, b"").unwrap();
    write(staged, b"d").unwrap();
    let (code, why) = finish(staged).unwrap_err();
    assert_eq!(code, Code::Corrupt as i32);
    assert!(why.contains("expected sha256:7777"), "{why}");
    // It has ended.
    for result in [finish(staged), write(staged, b"")] {
        let (code, why) = result.unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert_eq!(why, "staged file: expected one that has not ended, got one that has");
    }
    free(staged);
    let again = stage(store, &ID, 4).unwrap();
    assert_eq!(offset(again), (0, 4), "what was written is removed");
    free(again);
    assert_eq!(stage(store, b"77", 4).unwrap_err().0, Code::InvalidArgument as i32);
    close(store);
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    for (bad, code) in [("", Code::Corrupt), ("{}", Code::Corrupt), ("[1]", Code::Corrupt)] {
        let (at, len) = place(bad);
        // SAFETY: the pointers live during the call.
        refused_with(code, |out, err| unsafe { selvedge_manifest_json(at, len, out, err) });
    }
}
