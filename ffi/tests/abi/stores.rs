//! Stores: packages that come in, versions that serve and give way, and what is refused, all as C calls it. The packages are
//! those of the quickstart: signed, with a model, a profile and golden cases.

mod coming;
mod serving;
mod staging;

use std::ffi::{c_char, c_void};
use std::path::Path;

use serde_json::Value;

use super::watching::{bytes_of, json_of, refused_with};
use super::*;

/// The id of no version.
pub(super) const ID: [u8; 64] = [b'7'; 64];

/// The key that signed the packages of the quickstart, and packages that nobody signed.
pub(super) fn trust() -> selvedge_trust {
    let key: &'static str = include_str!("../../../examples/quickstart/packages/key.pem");
    let keys: &'static selvedge_text = Box::leak(Box::new(text(key)));
    init!(selvedge_trust { keys: keys, key_count: 1 })
}

pub(super) fn nowhere() -> selvedge_package {
    init!(selvedge_package { path: text("no/such/package") })
}

pub(super) fn open(folder: &Path, trust: &selvedge_trust) -> Result<*mut selvedge_store, (i32, String)> {
    let (folder, mut out) = (folder.to_str().unwrap(), ptr::without_provenance_mut(0x5eed));
    // SAFETY: the pointers live during the call.
    let result =
        call(|err| unsafe { selvedge_store_open(folder.as_ptr().cast(), folder.len(), trust, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

pub(super) fn open_read_only(folder: &Path) -> Result<*mut selvedge_store, (i32, String)> {
    let (folder, mut out) = (folder.to_str().unwrap(), ptr::without_provenance_mut(0x5eed));
    // SAFETY: the pointers live during the call.
    let result =
        call(|err| unsafe { selvedge_store_open_read_only(folder.as_ptr().cast(), folder.len(), &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

fn close(store: *mut selvedge_store) {
    assert_eq!(selvedge_store_close(store), SELVEDGE_OK);
    assert_eq!(selvedge_store_close(store), BAD_HANDLE);
}

fn package(name: &str) -> String {
    file(&format!("examples/quickstart/packages/{name}"))
}

/// A package of the quickstart, imported by its path.
fn import(store: *const selvedge_store, name: &str) -> Value {
    let path = package(name);
    import_of(store, &init!(selvedge_package { path: text(&path) }))
}

#[track_caller]
fn import_of(store: *const selvedge_store, package: &selvedge_package) -> Value {
    // SAFETY: the pointers live during the call.
    json_of(|out, err| unsafe { selvedge_store_import(store, package, ptr::null(), out, err) })
}

#[track_caller]
fn import_refused(store: *const selvedge_store, package: &selvedge_package, code: Code) -> String {
    // SAFETY: the pointers live during the call.
    refused_with(code, |out, err| unsafe { selvedge_store_import(store, package, ptr::null(), out, err) })
}

fn versions(store: *const selvedge_store) -> Value {
    // SAFETY: the places may be written.
    json_of(|out, err| unsafe { selvedge_store_versions_json(store, out, err) })
}

fn current(store: *const selvedge_store) -> Value {
    // SAFETY: the places may be written.
    json_of(|out, err| unsafe { selvedge_store_current_json(store, out, err) })
}

fn standing(store: *const selvedge_store, id: &str) -> Value {
    let (at, len) = place(id);
    // SAFETY: the pointers live during the call.
    json_of(|out, err| unsafe { selvedge_store_standing_json(store, at, len, out, err) })
}

type Change =
    unsafe extern "C" fn(*const selvedge_store, *const c_char, usize, *mut *mut selvedge_error) -> selvedge_status;

/// A change of one version.
fn change(store: *const selvedge_store, id: &str, change: Change) -> Result<(), (i32, String)> {
    let (at, len) = place(id);
    // SAFETY: the id lives during the call.
    call(|err| unsafe { change(store, at, len, err) })
}

/// Begins to receive a file.
pub(super) fn stage(
    store: *const selvedge_store,
    digest: &[u8],
    size: u64,
) -> Result<*mut selvedge_staged, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    let digest_at = digest.as_ptr().cast();
    // SAFETY: the pointers live during the call.
    let result = call(|err| unsafe { selvedge_store_stage(store, digest_at, digest.len(), size, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

fn place(text: &str) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

fn id_of(version: &Value) -> String {
    version["id"].as_str().unwrap().to_owned()
}

/// A folder for a store, and a store in it.
fn fresh() -> (tempfile::TempDir, *mut selvedge_store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store"), &trust()).unwrap();
    (folder, store)
}

/// A copy of a package, to be changed.
fn copied(name: &str, to: &Path) -> String {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(package(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    to.to_str().unwrap().to_owned()
}

/// A package as a tar stream.
fn tar(name: &str) -> Vec<u8> {
    let mut files: Vec<_> = std::fs::read_dir(package(name)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut stream = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let mut header = vec![0; 512];
        let name = file.file_name().unwrap().as_encoded_bytes();
        header[..name.len()].copy_from_slice(name);
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        stream.extend(header);
        stream.extend(bytes);
        stream.resize(stream.len().next_multiple_of(512), 0);
    }
    stream.resize(stream.len() + 1024, 0);
    stream
}
