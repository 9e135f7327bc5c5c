//! Packages that come in: by every way the same version; what nobody vouches for is refused in words.

use std::io::{Read, Seek, SeekFrom, Write};

use selvedge::store::{Artifact, Store, Trust};

use super::*;

/// The version that the crate makes of a package.
fn crates(name: &str) -> (String, Vec<(String, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let trust = Trust::new().key(include_str!("../../../../examples/quickstart/packages/key.pem")).unwrap();
    let store = Store::open(folder.path(), trust).unwrap();
    let version = store.import(package(name), |_| Ok(())).unwrap();
    (version.id().to_string(), version.files().map(|(name, size)| (name.to_owned(), size)).collect())
}

#[test]
fn a_package_is_the_same_version_whichever_way_it_comes() {
    let scratch = tempfile::tempdir().unwrap();
    let (path, stream) = (package("seattle"), tar("seattle"));
    let layout = scratch.path().join("layout");
    Artifact::of_folder(&path).unwrap().write_layout(&path, &layout, Some("1.0")).unwrap();
    let archive = scratch.path().join("seattle.tar");
    std::fs::write(&archive, &stream).unwrap();
    let (layout, archive) = (layout.to_str().unwrap(), archive.to_str().unwrap());
    let (id, files) = crates("seattle");
    for (what, package) in [
        ("a path", init!(selvedge_package { path: text(&path) })),
        ("a folder", init!(selvedge_package { kind: SELVEDGE_PACKAGE_FOLDER, path: text(&path) })),
        ("the path of a tar", init!(selvedge_package { path: text(archive) })),
        ("the path of a layout", init!(selvedge_package { path: text(layout), tag: text("1.0") })),
        ("a layout", init!(selvedge_package { kind: SELVEDGE_PACKAGE_LAYOUT, path: text(layout) })),
    ] {
        let (_folder, store) = fresh();
        let version = import_of(store, &package);
        assert_eq!(version["id"], *id, "{what}");
        close(store);
    }
    let (_folder, store) = fresh();
    let version = import(store, "seattle");
    let listed = files.iter().map(|(name, size)| serde_json::json!({ "name": name, "size": size }));
    assert_eq!(
        version,
        serde_json::json!({
            "id": id, "name": "rain", "version": 1, "channel": "stable", "label": "trained on Seattle, 2012 to 2014",
            "share": 10_000, "minimum": 0, "expires": null, "key": version["key"],
            "bytes": files.iter().map(|(_, size)| size).sum::<u64>(), "model": "rain.onnx", "profile": "rain.profile",
            "golden": "golden.json", "files": listed.collect::<Value>(), "current": false,
            "standing": { "misses": 0, "quarantined": false, "why": "" },
        })
    );
    assert_eq!(version["key"].as_str().unwrap().len(), 64);
    assert_eq!(versions(store), Value::Array(vec![version]));
    assert_eq!(current(store), Value::Null);
    close(store);
}

#[cfg(unix)]
#[test]
fn a_tar_comes_from_a_part_of_an_open_file_whose_cursor_stays() {
    use std::os::fd::AsRawFd;
    let stream = tar("seattle");
    let mut asset = tempfile::tempfile().unwrap();
    asset.write_all(&[0xa5; 1000]).unwrap();
    asset.write_all(&stream).unwrap();
    asset.write_all(&[0xa5; 1000]).unwrap();
    asset.seek(SeekFrom::Start(7)).unwrap();
    let at = |offset, length| {
        let file = i64::from(asset.as_raw_fd());
        init!(selvedge_package { kind: SELVEDGE_PACKAGE_TAR_FILE, file: file, offset: offset, length: length })
    };
    for length in [stream.len() as u64, 0] {
        let (_folder, store) = fresh();
        assert_eq!(import_of(store, &at(1000, length))["id"], *crates("seattle").0);
        close(store);
    }
    assert_eq!((&asset).stream_position().unwrap(), 7);
    let (_folder, store) = fresh();
    // Cut off in the middle of a file.
    import_refused(store, &at(1000, 5000), Code::Corrupt);
    import_refused(store, &at(0, 0), Code::Corrupt);
    let wrong = import_refused(store, &at(8, u64::MAX), Code::InvalidArgument);
    assert!(wrong.starts_with("selvedge_package.length: expected a part of the file"), "{wrong}");
    let none = init!(selvedge_package { kind: SELVEDGE_PACKAGE_TAR_FILE, file: -1 });
    let wrong = import_refused(store, &none, Code::InvalidArgument);
    assert_eq!(wrong, "selvedge_package.file: expected an open file, got -1");
    assert_eq!(versions(store), Value::Array(Vec::new()));
    close(store);
}

/// A tar stream that C reads out.
struct Stream {
    bytes: std::io::Cursor<Vec<u8>>,
    most: usize,
    /// What it says at byte 2,000; 0 for what is there.
    lie: i64,
}

unsafe extern "C" fn read(user_data: *mut c_void, bytes: *mut c_void, len: usize) -> i64 {
    // SAFETY: the test gave a stream that lives until the call returns, and the library has room for `len` bytes.
    let (stream, bytes) =
        unsafe { (&mut *user_data.cast::<Stream>(), std::slice::from_raw_parts_mut(bytes.cast::<u8>(), len)) };
    if stream.lie != 0 && stream.bytes.position() >= 2000 {
        return stream.lie;
    }
    stream.bytes.read(&mut bytes[..len.min(stream.most)]).unwrap() as i64
}

fn streamed(stream: &mut Stream) -> selvedge_package {
    let user_data = ptr::from_mut(stream).cast();
    init!(selvedge_package { kind: SELVEDGE_PACKAGE_TAR_READER, read: Some(read), user_data: user_data })
}

#[test]
fn a_tar_stream_comes_from_a_function_which_may_give_little_or_fail() {
    let stream = |most, lie| Stream { bytes: std::io::Cursor::new(tar("seattle")), most, lie };
    for most in [usize::MAX, 100] {
        let (_folder, store) = fresh();
        assert_eq!(import_of(store, &streamed(&mut stream(most, 0)))["id"], *crates("seattle").0);
        close(store);
    }
    let (_folder, store) = fresh();
    for (lie, words) in
        [(-5, "selvedge_package.read: it failed with -5"), (i64::MAX, "selvedge_package.read: expected at most ")]
    {
        let why = import_refused(store, &streamed(&mut stream(100, lie)), Code::Io);
        assert!(why.contains(words), "{why}");
    }
    let none = selvedge_package { read: None, ..streamed(&mut stream(1, 0)) };
    let why = import_refused(store, &none, Code::InvalidArgument);
    assert_eq!(why, "selvedge_package.read: expected a function, got NULL");
    // What failed half way is gone on with.
    assert_eq!(import_of(store, &streamed(&mut stream(usize::MAX, 0)))["id"], *crates("seattle").0);
    close(store);
}

#[test]
fn what_nobody_vouches_for_is_refused_in_words() {
    let scratch = tempfile::tempdir().unwrap();
    let (_folder, store) = fresh();
    let unsigned = copied("seattle", &scratch.path().join("unsigned"));
    std::fs::remove_file(format!("{unsigned}/model.sig")).unwrap();
    let of = |path: &'static str| init!(selvedge_package { path: text(path) });
    let unsigned = of(unsigned.leak());
    let why = import_refused(store, &unsigned, Code::Untrusted);
    assert!(why.contains("package: expected a signature in 'model.sig', got none"), "{why}");
    let changed = copied("new-york", &scratch.path().join("changed"));
    let model = format!("{changed}/rain.onnx");
    let mut bytes = std::fs::read(&model).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let why = import_refused(store, &of(changed.leak()), Code::Corrupt);
    assert!(why.contains("rain.onnx"), "{why}");
    import_refused(store, &nowhere(), Code::NotFound);
    close(store);

    // Nobody is trusted, and those whom nobody signed are.
    let nobody = open(&scratch.path().join("nobody"), &init!(selvedge_trust {})).unwrap();
    let seattle: &'static str = package("seattle").leak();
    let why = import_refused(nobody, &of(seattle), Code::Untrusted);
    assert!(!why.is_empty(), "{why}");
    close(nobody);
    let anybody = init!(selvedge_trust { flags: SELVEDGE_TRUST_UNSIGNED });
    let anybody = open(&scratch.path().join("anybody"), &anybody).unwrap();
    let version = import_of(anybody, &unsigned);
    assert_eq!((&version["key"], &version["name"]), (&Value::Null, &"rain".into()));
    close(anybody);
}

#[test]
fn trust_that_is_none_is_refused_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [text(include_str!("../../../../examples/quickstart/packages/key.pem")), text("no PEM")];
    let no = |trust: selvedge_trust, code: Code, words: &str| {
        let (got, why) = open(folder.path(), &trust).unwrap_err();
        assert_eq!(got, code as i32, "{why}");
        assert!(why.contains(words), "{why}");
    };
    let both = init!(selvedge_trust { keys: keys.as_ptr(), key_count: 2 });
    no(both, Code::InvalidArgument, "selvedge_trust.keys[1]");
    no(init!(selvedge_trust { root: text("{}") }), Code::Corrupt, "selvedge_trust.root");
    no(init!(selvedge_trust { flags: 2 }), Code::InvalidArgument, "selvedge_trust.flags: the bits 0x2");
    no(init!(selvedge_trust { reserved: 1 }), Code::InvalidArgument, "selvedge_trust.reserved");
    close(open(folder.path(), &trust()).unwrap());
}

/// A text of the tests' data about trust, for good.
fn kept(name: &str) -> &'static str {
    std::fs::read_to_string(file(&format!("tests/data/trust/{name}"))).unwrap().leak()
}

/// As `selvedge_trust` has it: of this authority.
fn of_authority(pem: &'static str) -> selvedge_trust {
    let authorities: &'static selvedge_text = Box::leak(Box::new(text(pem)));
    init!(selvedge_trust { authorities: authorities, authority_count: 1 })
}

/// Of this name, as a provider vouched for it and Sigstore's logs have it.
fn of_identity(name: &'static str, issuer: &'static str, sigstore: &'static str) -> selvedge_trust {
    let both: &'static [selvedge_text; 2] = Box::leak(Box::new([name, issuer].map(text)));
    init!(selvedge_trust { identities: &both[0], issuers: &both[1], identity_count: 1, sigstore: text(sigstore) })
}

const NAME: &str = "stefanb@us.ibm.com";
const ISSUER: &str = "https://sigstore.verify.ibm.com/oauth2";

/// The package of the data, with this signature.
#[cfg(feature = "keyless")]
fn signed(folder: &Path, signature: &str) -> selvedge_package {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() { copy(&entry.path(), &to) } else { _ = std::fs::copy(entry.path(), to).unwrap() }
        }
    }
    copy(Path::new(&file("tests/data/trust/made/package")), folder);
    std::fs::copy(file(&format!("tests/data/trust/{signature}")), folder.join("model.sig")).unwrap();
    let path: &'static str = folder.to_str().unwrap().to_owned().leak();
    init!(selvedge_package { path: text(path) })
}

#[cfg(feature = "keyless")]
#[test]
fn a_certified_key_is_enough_where_its_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let package = signed(&folder.path().join("package"), "made/certified/good.sig");
    let at = folder.path().join("store");
    let stranger = open(&at, &of_authority(kept("made/certificates/stranger.pem"))).unwrap();
    import_refused(stranger, &package, Code::Untrusted);
    close(stranger);
    let store = open(&at, &of_authority(kept("made/certificates/root.pem"))).unwrap();
    assert!(import_of(store, &package)["key"].is_string());
    close(store);
    // A caller of the first header has none, whatever lies behind its struct.
    let mut first = of_authority(kept("made/certificates/root.pem"));
    first.struct_size = std::mem::offset_of!(selvedge_trust, authorities);
    let store = open(&folder.path().join("first"), &first).unwrap();
    import_refused(store, &package, Code::Unsupported);
    close(store);
}

/// The signature is of other files, and is looked at first: who signed is told by the error.
#[cfg(feature = "keyless")]
#[test]
fn a_name_is_enough_where_a_provider_vouched_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let package = signed(&folder.path().join("package"), "oms/valid/sigstore.bundle.json");
    let root = kept("sigstore/trusted_root.json");
    for (i, (trust, code)) in [
        (of_identity(NAME, ISSUER, root), Code::Corrupt),
        (of_identity("nobody@us.ibm.com", ISSUER, root), Code::Untrusted),
        (of_identity(NAME, "https://example.com", root), Code::Untrusted),
        (of_identity(NAME, ISSUER, ""), Code::Untrusted),
        (init!(selvedge_trust { sigstore: text(root) }), Code::Untrusted),
    ]
    .into_iter()
    .enumerate()
    {
        let store = open(&folder.path().join(format!("store-{i}")), &trust).unwrap();
        import_refused(store, &package, code);
        close(store);
    }
}

#[cfg(feature = "keyless")]
#[test]
fn certificates_that_are_none_are_refused_by_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let no = |trust: selvedge_trust, code: Code, words: &str| {
        let (got, why) = open(folder.path(), &trust).unwrap_err();
        assert_eq!(got, code as i32, "{why}");
        assert!(why.contains(words), "{why}");
    };
    no(of_authority("no PEM"), Code::InvalidArgument, "selvedge_trust.authorities[0]");
    no(of_identity("", ISSUER, ""), Code::InvalidArgument, "selvedge_trust.identities[0]");
    no(of_identity(NAME, "", ""), Code::InvalidArgument, "selvedge_trust.identities[0]");
    no(of_identity(NAME, ISSUER, "{}"), Code::Corrupt, "selvedge_trust.sigstore");
    let alone = selvedge_trust { issuers: ptr::null(), ..of_identity(NAME, ISSUER, "") };
    no(alone, Code::InvalidArgument, "selvedge_trust.issuers");
}

#[cfg(not(feature = "keyless"))]
#[test]
fn certificates_in_a_library_without_them_are_unsupported() {
    let folder = tempfile::tempdir().unwrap();
    let sigstore = init!(selvedge_trust { sigstore: text(kept("sigstore/trusted_root.json")) });
    for (trust, field) in [
        (of_authority(kept("made/certificates/root.pem")), "authorities"),
        (of_identity(NAME, ISSUER, ""), "identities"),
        (sigstore, "sigstore"),
    ] {
        let (code, why) = open(folder.path(), &trust).unwrap_err();
        assert_eq!(code, Code::Unsupported as i32, "{why}");
        let words = format!("selvedge_trust.{field}: expected none, as this library was built without 'keyless'");
        assert_eq!(why, words);
    }
    close(open(folder.path(), &trust()).unwrap());
}

/// A file of the repository whose metadata other tools wrote.
fn metadata(name: &str) -> selvedge_text {
    let text_of: &'static str =
        std::fs::read_to_string(file(&format!("tests/data/trust/made/tuf/{name}.json"))).unwrap().leak();
    text(text_of)
}

fn refresh(store: *const selvedge_store, moment: &str, roots: &[selvedge_text]) -> Result<(), (i32, String)> {
    let of = |what: &str| metadata(&format!("{moment}.{what}"));
    let repository = init!(selvedge_repository {
        timestamp: of("timestamp"),
        snapshot: of("snapshot"),
        targets: of("targets"),
        roots: roots.as_ptr(),
        root_count: roots.len(),
    });
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_store_refresh(store, &repository, err) })
}

#[test]
fn metadata_of_a_repository_are_verified_and_never_go_back() {
    let (folder, store) = fresh();
    let (code, why) = refresh(store, "first", &[]).unwrap_err();
    assert_eq!(code, Code::InvalidArgument as i32, "{why}");
    close(store);
    let trust = selvedge_trust { root: metadata("1.root"), ..trust() };
    let store = open(&folder.path().join("listed"), &trust).unwrap();
    refresh(store, "first", &[]).unwrap();
    refresh(store, "second", &[]).unwrap();
    let refused = |moment, roots: &[selvedge_text]| {
        let (code, why) = refresh(store, moment, roots).unwrap_err();
        assert_eq!(code, Code::Untrusted as i32, "{why}");
    };
    refused("first", &[]);
    refused("expired", &[]);
    // Signed with keys that a later root names.
    refused("rotated", &[]);
    refresh(store, "rotated", &[metadata("2.root")]).unwrap();
    // Not signed as the one before demands.
    refused("rotated", &[metadata("2.root"), metadata("3.root")]);
    let seattle = package("seattle");
    let why = import_refused(store, &init!(selvedge_package { path: text(&seattle) }), Code::Untrusted);
    assert!(!why.is_empty());
    close(store);
}

/// What a callback saw, and what it is to do.
struct Watch {
    store: *const selvedge_store,
    cancel: *mut selvedge_cancel,
    seen: Vec<(u64, u64)>,
    /// Status of another import that it tried, and of a list.
    inside: (i32, i32),
}

unsafe extern "C" fn watch(user_data: *mut c_void, done: u64, total: u64) {
    // SAFETY: the test gave a `Watch` that lives until the call returns.
    let watch = unsafe { &mut *user_data.cast::<Watch>() };
    watch.seen.push((done, total));
    let mut buffer = ptr::null_mut();
    // SAFETY: the places may be written.
    unsafe {
        watch.inside.0 =
            selvedge_store_import(watch.store, &nowhere(), ptr::null(), &raw mut buffer, ptr::null_mut()).0;
        watch.inside.1 = selvedge_store_versions_json(watch.store, &raw mut buffer, ptr::null_mut()).0;
    }
    assert_eq!(selvedge_buffer_free(buffer), SELVEDGE_OK);
    if !watch.cancel.is_null() && watch.seen.len() == 4 {
        assert_eq!(selvedge_cancel_set(watch.cancel), SELVEDGE_OK);
    }
}

#[test]
fn an_import_tells_its_progress_is_ended_by_its_switch_and_gone_on_with() {
    let (_folder, store) = fresh();
    let (mut cancel, mut progress, path) = (ptr::null_mut(), ptr::null_mut(), package("seattle"));
    // SAFETY: the places may be written.
    unsafe {
        call(|err| selvedge_cancel_new(&raw mut cancel, err)).unwrap();
        call(|err| selvedge_progress_new(&raw mut progress, err)).unwrap();
    }
    let package = init!(selvedge_package { path: text(&path) });
    let mut watching = Watch { store, cancel, seen: Vec::new(), inside: (0, 0) };
    let user_data = (&raw mut watching).cast();
    let options = init!(selvedge_import_options {
        cancel: cancel,
        progress: progress,
        on_progress: Some(watch),
        user_data: user_data
    });
    // SAFETY: the pointers live during the call, here and below.
    let why =
        refused_with(Code::Cancelled, |out, err| unsafe { selvedge_store_import(store, &package, &options, out, err) });
    assert!(!why.is_empty());
    assert_eq!((watching.seen.len(), watching.inside), (4, (Code::Busy as i32, 0)));
    assert_eq!(versions(store), Value::Array(Vec::new()));
    let (mut done, mut total) = (7, 7);
    // SAFETY: as above.
    call(|err| unsafe { selvedge_progress_read(progress, &raw mut done, &raw mut total, err) }).unwrap();
    assert_eq!((done, total), watching.seen[3]);

    watching.cancel = ptr::null_mut();
    let options = selvedge_import_options { cancel: ptr::null(), ..options };
    // SAFETY: as above.
    let version = json_of(|out, err| unsafe { selvedge_store_import(store, &package, &options, out, err) });
    // Each file from its beginning to its end.
    for file in version["files"].as_array().unwrap() {
        let size = file["size"].as_u64().unwrap();
        assert!(watching.seen[4..].contains(&(size, size)), "{file}: {:?}", watching.seen);
    }
    assert_eq!((selvedge_cancel_free(cancel), selvedge_progress_free(progress)), (SELVEDGE_OK, SELVEDGE_OK));
    close(store);
}
