//! Stores: opened with whom the app trusts, or for reading; what is there, and which of it is current.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::Arc;

#[cfg(not(feature = "keyless"))]
use selvedge::Error;
use selvedge::store::{Content, RepositoryFiles, Standing, Store, Trust, Version};
use selvedge::{Code, Digest, Result};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out};
use crate::request::{check_flags, text, texts};
use crate::{guard, telemetry};

/// Opens a store for writing.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_open(
    folder: *const c_char,
    folder_len: usize,
    trust: *const selvedge_trust,
    out: *mut *mut selvedge_store,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let (folder, trust) = unsafe { (telemetry::folder(folder, folder_len)?, self::trust(trust)?) };
        publish(Store::open(folder, trust)?)
    })
}

/// Opens a store that is there for reading.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_open_read_only(
    folder: *const c_char,
    folder_len: usize,
    out: *mut *mut selvedge_store,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let folder = unsafe { telemetry::folder(folder, folder_len) }?;
        publish(Store::open_read_only(folder)?)
    })
}

/// Verifies the metadata of a repository, and remembers what they allow.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_refresh(
    store: *const selvedge_store,
    repository: *const selvedge_repository,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let store = resolve(store)?;
        // SAFETY: as above.
        store.refresh(&unsafe { self::repository(repository) }?)
    })
}

/// All versions as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_versions_json(
    store: *const selvedge_store,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = resolve(store)?;
        let current = current(&store)?;
        let versions = store.versions()?;
        let listed = versions.iter().map(|version| version_json(&store, version, current));
        let listed = Value::Array(listed.collect::<Result<_>>()?);
        handle::publish(Buffer::from(&*listed.to_string()))
    })
}

/// The version that serves as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_current_json(
    store: *const selvedge_store,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = resolve(store)?;
        let version = match store.current()? {
            Some(version) => version_json(&store, &version, Some(version.id()))?,
            None => Value::Null,
        };
        handle::publish(Buffer::from(&*version.to_string()))
    })
}

/// What is held against a version as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_standing_json(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = resolve(store)?;
        // SAFETY: as above.
        let id = unsafe { self::id("id", id, id_len) }?;
        handle::publish(Buffer::from(&*standing_json(&store.standing(id)?).to_string()))
    })
}

/// Closes the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_store_close(store: *mut selvedge_store) -> selvedge_status {
    guard::status(|| handle::retire::<StoreObject>(store).map(drop))
}

/// A store behind its handle; what is under way in it, and what was made of it, keeps it open.
struct StoreObject(Arc<Store>);

fn publish(store: Store) -> Result<*mut selvedge_store> {
    handle::publish(StoreObject(Arc::new(store)))
}

/// The store of a handle.
pub(crate) fn resolve(store: *const selvedge_store) -> Result<Arc<Store>> {
    handle::read::<StoreObject, _>(store, |object| object.0.clone())
}

/// A digest in hexadecimal, as JSON has it.
///
/// # Safety
///
/// As of [`memory::name`].
pub(crate) unsafe fn id(name: &str, place: *const c_char, len: usize) -> Result<Digest> {
    // SAFETY: the caller vouches for it.
    let id = unsafe { memory::name(name, place, len) }?;
    id.parse().map_err(|e: selvedge::Error| e.during(format!("reading {name}")))
}

/// The version that serves; none where it is damaged, and so listed as none.
pub(crate) fn current(store: &Store) -> Result<Option<Digest>> {
    match store.current() {
        Ok(version) => Ok(version.map(|version| version.id())),
        Err(e) if e.code() == Code::Corrupt => Ok(None),
        Err(e) => Err(e),
    }
}

/// A version, what is held against it, and whether it serves.
pub(crate) fn version_json(store: &Store, version: &Version, current: Option<Digest>) -> Result<Value> {
    let (release, standing) = (version.release(), store.standing(version.id())?);
    let (model, profile, golden) = match &release.content {
        Content::Model { model, profile, golden, .. } => (Some(model), profile.as_ref(), golden.as_ref()),
        _ => (None, None, None),
    };
    let files = version.files().map(|(name, size)| json!({ "name": name, "size": size }));
    Ok(json!({
        "id": version.id().to_string(),
        "name": release.name,
        "version": release.version,
        "channel": release.channel,
        "label": release.label,
        "share": store.share(version),
        "minimum": release.minimum,
        "expires": release.expires,
        "key": version.key().map(|key| key.to_string()),
        "bytes": version.files().map(|(_, size)| size).sum::<u64>(),
        "model": model,
        "profile": profile,
        "golden": golden,
        "files": files.collect::<Value>(),
        "current": current == Some(version.id()),
        "standing": standing_json(&standing),
    }))
}

pub(crate) fn standing_json(standing: &Standing) -> Value {
    json!({ "misses": standing.misses, "quarantined": standing.quarantined, "why": standing.why })
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
unsafe fn trust(place: *const selvedge_trust) -> Result<Trust> {
    // SAFETY: the caller vouches for it, here and below.
    let t = unsafe { memory::read(place) }?;
    check_flags("selvedge_trust.flags", t.flags, SELVEDGE_TRUST_UNSIGNED)?;
    check_flags("selvedge_trust.reserved", t.reserved, 0)?;
    // SAFETY: as above.
    let keys = unsafe { texts("selvedge_trust.keys", t.keys, t.key_count, memory::text) }?;
    // SAFETY: as above.
    let root = unsafe { text("selvedge_trust.root", t.root) }?;
    let mut trust = Trust::new();
    for (i, pem) in keys.iter().enumerate() {
        trust = trust.key(pem).map_err(|e| e.during(format!("reading selvedge_trust.keys[{i}]")))?;
    }
    if !root.is_empty() {
        trust = trust.root(root.as_bytes()).map_err(|e| e.during("reading selvedge_trust.root"))?;
    }
    // SAFETY: as above.
    trust = certified(trust, &unsafe { Certified::read(&t) }?)?;
    Ok(if t.flags & SELVEDGE_TRUST_UNSIGNED != 0 { trust.accept_unsigned_packages() } else { trust })
}

/// Who is trusted by certificates.
struct Certified<'a> {
    authorities: Vec<String>,
    identities: Vec<String>,
    issuers: Vec<String>,
    sigstore: &'a str,
}

impl Certified<'_> {
    /// # Safety
    ///
    /// The pointers within are as the header asks.
    unsafe fn read(t: &selvedge_trust) -> Result<Self> {
        // SAFETY: the caller vouches for them.
        unsafe {
            Ok(Self {
                authorities: texts("selvedge_trust.authorities", t.authorities, t.authority_count, memory::text)?,
                identities: texts("selvedge_trust.identities", t.identities, t.identity_count, memory::text)?,
                issuers: texts("selvedge_trust.issuers", t.issuers, t.identity_count, memory::text)?,
                sigstore: text("selvedge_trust.sigstore", t.sigstore)?,
            })
        }
    }
}

#[cfg(feature = "keyless")]
fn certified(mut trust: Trust, certified: &Certified<'_>) -> Result<Trust> {
    let at = |field: &str, i: usize| format!("reading selvedge_trust.{field}[{i}]");
    for (i, pem) in certified.authorities.iter().enumerate() {
        trust = trust.authority(pem).map_err(|e| e.during(at("authorities", i)))?;
    }
    for (i, (identity, issuer)) in certified.identities.iter().zip(&certified.issuers).enumerate() {
        trust = trust.identity(identity, issuer).map_err(|e| e.during(at("identities", i)))?;
    }
    match certified.sigstore {
        "" => Ok(trust),
        root => trust.sigstore(root.as_bytes()).map_err(|e| e.during("reading selvedge_trust.sigstore")),
    }
}

#[cfg(not(feature = "keyless"))]
fn certified(trust: Trust, certified: &Certified<'_>) -> Result<Trust> {
    let fields = [
        ("authorities", certified.authorities.is_empty()),
        ("identities", certified.identities.is_empty() && certified.issuers.is_empty()),
        ("sigstore", certified.sigstore.is_empty()),
    ];
    match fields.iter().find(|(_, is_empty)| !is_empty) {
        None => Ok(trust),
        Some((field, _)) => {
            let what = format!("selvedge_trust.{field}: expected none, as this library was built without 'keyless'");
            Err(Error::new(Code::Unsupported, what))
        }
    }
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
unsafe fn repository(place: *const selvedge_repository) -> Result<RepositoryFiles> {
    // SAFETY: the caller vouches for it, here and below.
    let r = unsafe { memory::read(place) }?;
    // SAFETY: as above.
    let (timestamp, snapshot, targets, roots) = unsafe {
        (
            text("selvedge_repository.timestamp", r.timestamp)?,
            text("selvedge_repository.snapshot", r.snapshot)?,
            text("selvedge_repository.targets", r.targets)?,
            texts("selvedge_repository.roots", r.roots, r.root_count, memory::text)?,
        )
    };
    let files = RepositoryFiles::new(timestamp, snapshot, targets);
    Ok(roots.into_iter().fold(files, |files, root| files.root(root)))
}

object!(StoreObject, selvedge_store, Tag::Store);
