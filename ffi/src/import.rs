//! Imports: a package becomes a version of a store.

#![expect(unsafe_code, reason = "exports functions of the C ABI, and calls the caller's function")]

use std::ffi::{c_char, c_void};
use std::io::{self, Read};

use selvedge::store::{Artifact, ArtifactBlob, ImportProgress, Package, Store, Version};
use selvedge::{Call, Result};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{self, Out, invalid};
use crate::progress::Told;
use crate::request::{check_flags, unknown};
use crate::{cancel, guard, handle, source, store};

/// Takes in a package.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_import(
    store: *const selvedge_store,
    package: *const selvedge_package,
    options: *const selvedge_import_options,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above; nothing of them is kept.
        let (package, terms) = unsafe { (self::package(package)?, Terms::read(options)?) };
        imported(&store, store.import(package, |at| terms.tell(at))?)
    })
}

/// Takes in a package whose files were staged.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_import_staged(
    store: *const selvedge_store,
    manifest: *const c_char,
    manifest_len: usize,
    options: *const selvedge_import_options,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above; nothing of them is kept.
        let (terms, artifact) = unsafe { (Terms::read(options)?, artifact(manifest, manifest_len)?) };
        imported(&store, store.import_artifact(&artifact, |at| terms.tell(at))?)
    })
}

/// What an OCI manifest lists.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_manifest_json(
    manifest: *const c_char,
    manifest_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let artifact = unsafe { artifact(manifest, manifest_len) }?;
        let files = artifact.files().iter().map(|file| blob(Some(file.name()), file.blob())).collect::<Value>();
        let json = json!({
            "digest": artifact.digest().to_string(), "config": blob(None, artifact.config()), "files": files,
        });
        handle::publish(Buffer::from(&*json.to_string()))
    })
}

fn blob(name: Option<&str>, blob: &ArtifactBlob) -> Value {
    json!({
        "name": name, "digest": blob.digest().to_string(), "size": blob.size(), "media_type": blob.media_type(),
    })
}

fn imported(store: &Store, version: Version) -> Result<*mut selvedge_buffer> {
    let json = store::version_json(store, &version, store::current(store)?)?;
    handle::publish(Buffer::from(&*json.to_string()))
}

/// # Safety
///
/// As of [`memory::text`].
unsafe fn artifact(manifest: *const c_char, manifest_len: usize) -> Result<Artifact> {
    // SAFETY: the caller vouches for it.
    Artifact::parse(unsafe { memory::text("manifest", manifest, manifest_len) }?.as_bytes())
}

/// # Safety
///
/// As of [`memory::read`], the pointers within are as the header asks, and `read` may be called until the package is
/// dropped.
unsafe fn package(place: *const selvedge_package) -> Result<Package> {
    // SAFETY: the caller vouches for it, here and below.
    let p = unsafe { memory::read(place) }?;
    check_flags("selvedge_package.flags", p.flags, 0)?;
    // SAFETY: as above.
    let tag = unsafe { memory::name("selvedge_package.tag", p.tag.data, p.tag.len) }?;
    // SAFETY: as above.
    let path = || unsafe { source::path("selvedge_package.path", p.path.data, p.path.len) };
    let package = match p.kind {
        SELVEDGE_PACKAGE_PATH => Package::from(path()?),
        SELVEDGE_PACKAGE_FOLDER => Package::folder(path()?),
        SELVEDGE_PACKAGE_LAYOUT => Package::layout(path()?),
        SELVEDGE_PACKAGE_TAR_FILE => Package::tar(source::reader("selvedge_package", p.file, p.offset, p.length)?),
        SELVEDGE_PACKAGE_TAR_READER => Package::tar(Reader::new(&p)?),
        other => return Err(unknown("selvedge_package_kind", other)),
    };
    Ok(if tag.is_empty() { package } else { package.tag(tag) })
}

/// Bytes that a function of the caller's gives.
struct Reader {
    read: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> i64,
    user_data: *mut c_void,
}

// SAFETY: it is used and dropped within the call that made it; `user_data` is the caller's alone to follow.
unsafe impl Send for Reader {}

impl Reader {
    fn new(package: &selvedge_package) -> Result<Self> {
        let none = || invalid("selvedge_package.read: expected a function, got NULL".into());
        Ok(Self { read: package.read.ok_or_else(none)?, user_data: package.user_data })
    }
}

impl Read for Reader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // SAFETY: whoever made the package vouched for the function, and so many bytes may be written there.
        let read = unsafe { (self.read)(self.user_data, bytes.as_mut_ptr().cast(), bytes.len()) };
        match usize::try_from(read) {
            Ok(read) if read <= bytes.len() => Ok(read),
            Ok(read) => Err(io::Error::other(format!(
                "selvedge_package.read: expected at most {} bytes, got {read}",
                bytes.len()
            ))),
            Err(_) => Err(io::Error::other(format!("selvedge_package.read: it failed with {read}"))),
        }
    }
}

/// What ends an import, and where it is told.
struct Terms {
    call: Call,
    told: Option<Told>,
}

impl Terms {
    /// # Safety
    ///
    /// As of [`memory::read_optional`], and the pointers within are as the header asks.
    unsafe fn read(place: *const selvedge_import_options) -> Result<Self> {
        // SAFETY: the caller vouches for it, here and below.
        let o = unsafe { memory::read_optional(place) }?.unwrap_or_default();
        let mut call = Call::new();
        call.cancel = cancel::optional(o.cancel)?;
        // SAFETY: as above.
        let told = unsafe { Told::new(o.progress, o.on_progress, o.user_data) }?;
        Ok(Self { call, told })
    }

    fn tell(&self, at: ImportProgress<'_>) -> Result<()> {
        self.told.iter().for_each(|told| told.tell(at.done, at.size));
        self.call.check()
    }
}
