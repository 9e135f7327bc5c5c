//! Deployments: engines over the versions of a store.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use selvedge::layer::deployment::{Deployment, StoreVersions};
use selvedge::store::{Store, Version};
use selvedge::telemetry::Telemetry;
use selvedge::{Code, Error, Options, Result};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::fields::{Field, Fields};
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out, invalid};
use crate::monitor::Watched;
use crate::versions::{Opener, WatchedVersions};
use crate::{engine, guard, options, rollout, store, telemetry};

/// The most seconds of anything.
const MAX_SECONDS: f64 = 1e9;

/// A deployment over the versions of a store.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_new(
    store: *const selvedge_store,
    config: *const c_char,
    config_len: usize,
    telemetry: *const selvedge_telemetry,
    options: *const selvedge_options,
    out: *mut *mut selvedge_deployment,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let config = unsafe { memory::text("config", config, config_len) }?;
        let telemetry = if telemetry.is_null() { None } else { Some(telemetry::resolve(telemetry)?) };
        // SAFETY: as above.
        let options = unsafe { options::for_later(options) }?;
        handle::publish(DeploymentObject::build(store, config, telemetry, options)?)
    })
}

/// The engine over the versions.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_engine(
    deployment: *const selvedge_deployment,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || engine::export(of(deployment)?.deployment.clone()))
}

/// Offers a version.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_offer(
    deployment: *const selvedge_deployment,
    version: *const c_char,
    version_len: usize,
    plan: *const c_char,
    plan_len: usize,
    phase: *mut i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (phase, err) = unsafe { (Out::zeroed("phase", phase), Out::optional(err)) };
    guard::give(phase, err, || {
        let object = of(deployment)?;
        // SAFETY: as above.
        let (version, plan) = unsafe { (self::version(version, version_len)?, memory::text("plan", plan, plan_len)?) };
        let plan = rollout::plan(plan, object.share(version)?)?;
        Ok(rollout::phase_number(object.deployment.offer(version, plan)?))
    })
}

/// Promotes the version on trial.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_promote(
    deployment: *const selvedge_deployment,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || of(deployment)?.deployment.promote())
}

/// Takes the version on trial back, or the current one.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_roll_back(
    deployment: *const selvedge_deployment,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Buffer::from(of(deployment)?.deployment.roll_back()?.as_str())))
}

/// Lets a version be offered again.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_forgive(
    deployment: *const selvedge_deployment,
    version: *const c_char,
    version_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let object = of(deployment)?;
        // SAFETY: as above.
        object.deployment.forgive(unsafe { self::version(version, version_len) }?)
    })
}

/// Says whether an answer of a version was right.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_label(
    deployment: *const selvedge_deployment,
    version: *const c_char,
    version_len: usize,
    value: u32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let object = of(deployment)?;
        // SAFETY: as above.
        let version = unsafe { self::version(version, version_len) }?;
        match value {
            0 | 1 => object.deployment.label(version, value == 1),
            other => Err(invalid(format!("value: expected 0 or 1, got {other}"))),
        }
    })
}

/// The monitor of a version that is loaded.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_monitor(
    deployment: *const selvedge_deployment,
    version: *const c_char,
    version_len: usize,
    out: *mut *mut selvedge_monitor,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let object = of(deployment)?;
        // SAFETY: as above.
        let version = unsafe { self::version(version, version_len) }?;
        let none = || Error::new(Code::NotFound, format!("version {version}: it is not loaded, or not watched"));
        let (monitor, has_classes, waiting) = object.watched.get(version).ok_or_else(none)?;
        handle::publish(Watched { monitor, has_classes, waiting, texts: Mutex::default() })
    })
}

/// Versions, arms and verdicts as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_status_json(
    deployment: *const selvedge_deployment,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let status = rollout::status(&of(deployment)?.deployment.status());
        handle::publish(Buffer::from(status.to_string().as_str()))
    })
}

/// Waits until what was decided is done.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_deployment_settle(
    deployment: *const selvedge_deployment,
    at_most_ms: u64,
    settled: *mut i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (settled, err) = unsafe { (Out::zeroed("settled", settled), Out::optional(err)) };
    guard::give(settled, err, || {
        let at_most = Duration::from_millis(at_most_ms).min(Duration::from_secs_f64(MAX_SECONDS));
        Ok(of(deployment)?.deployment.settle(at_most).into())
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_deployment_free(deployment: *mut selvedge_deployment) -> selvedge_status {
    guard::status(|| handle::retire::<DeploymentObject>(deployment).map(drop))
}

fn of(deployment: *const selvedge_deployment) -> Result<Arc<DeploymentObject>> {
    handle::resolve(deployment)
}

/// # Safety
///
/// As of [`memory::name`].
unsafe fn version<'a>(place: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    unsafe { memory::name("version", place, len) }
}

/// A deployment behind its handle.
struct DeploymentObject {
    deployment: Arc<Deployment>,
    watched: Arc<WatchedVersions>,
    store: Arc<Store>,
    /// The name of the model over all its versions.
    model: String,
}

impl DeploymentObject {
    fn build(store: Arc<Store>, config: &str, telemetry: Option<Telemetry>, options: Options) -> Result<Self> {
        let mut fields = Fields::of_text("config", config)?;
        let model = fields.require("model")?.text()?;
        let first = fields.read("first", Field::text)?;
        let watch = match (fields.take("monitor"), telemetry) {
            (Some(monitor), Some(telemetry)) => Some((monitor.value, telemetry)),
            (None, None) => None,
            (Some(_), None) => return Err(invalid("config.monitor: expected none without telemetry, got one".into())),
            (None, Some(_)) => return Err(invalid("config.monitor: expected one beside telemetry, got none".into())),
        };
        let watched = Arc::new(WatchedVersions::default());
        let (record, journal) = (options.crash_record.clone(), watch.as_ref().map(|(_, telemetry)| telemetry.clone()));
        let opener = Opener { options, watch, watched: watched.clone() };
        let mut versions = StoreVersions::new(store.clone(), &model, move |version| opener.open(version));
        if let Some(record) = record {
            versions = versions.crash_record(record);
        }
        let mut deployment = Deployment::builder(versions);
        if let Some(telemetry) = journal {
            deployment = deployment.telemetry(telemetry);
        }
        if let Some(judge) = fields.read("judge", rollout::judge)? {
            deployment = deployment.judge(judge);
        }
        if let Some(id) = fields.read("install_id", Field::text)? {
            deployment = deployment.install_id(id);
        }
        if let Some(bytes) = fields.read("memory", |f| f.whole(u64::MAX))? {
            deployment = deployment.memory(bytes);
        }
        if let Some(seconds) = fields.read("self_test_s", |f| f.number(0.0, MAX_SECONDS))? {
            deployment = deployment.self_test(Duration::from_secs_f64(seconds));
        }
        if fields.read("key", |f| f.one_of(&[("caller", true), ("call", false)]))?.unwrap_or(false) {
            deployment = deployment.key(|_, call| (call.caller != 0).then_some(call.caller));
        }
        fields.end()?;
        let first = match first {
            Some(first) => known(&store, &model, first)?,
            None => current(&store, &model)?,
        };
        let deployment = Arc::new(deployment.build(&first)?);
        watched.belong_to(&deployment);
        Ok(Self { deployment, watched, store, model })
    }

    /// How many of 10,000 devices are to take a version; all, for one that the store does not have, and the offer misses.
    fn share(&self, name: &str) -> Result<u16> {
        let is_it = |v: &Version| v.name() == self.model && StoreVersions::name_of(v) == name;
        Ok(self.store.versions()?.iter().find(|v| is_it(v)).map_or(10_000, |version| self.store.share(version)))
    }
}

/// The version to begin with, which must be there: the state is saved before it is loaded.
fn known(store: &Store, model: &str, first: String) -> Result<String> {
    let is_it = |v: &Version| v.name() == model && StoreVersions::name_of(v) == first;
    let none = || Error::new(Code::NotFound, format!("config.first: the store has no version {first} of '{model}'"));
    if store.rollout()?.is_some() || store.versions()?.iter().any(is_it) { Ok(first) } else { Err(none()) }
}

/// The name of the version that the store has as current, or else of the highest one.
fn current(store: &Store, model: &str) -> Result<String> {
    let current = store.current()?.filter(|version| version.name() == model);
    let version = match current {
        Some(version) => Some(version),
        None => store.versions()?.into_iter().find(|version| version.name() == model),
    };
    let none = || Error::new(Code::NotFound, format!("config.model: the store has no version of '{model}'"));
    version.map(|version| StoreVersions::name_of(&version)).ok_or_else(none)
}

object!(DeploymentObject, selvedge_deployment, Tag::Deployment);
