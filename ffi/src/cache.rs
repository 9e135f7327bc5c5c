//! Caches: engines that remember answers.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::sync::Arc;

use selvedge::Result;
use selvedge::layer::cache::Cache;
use serde_json::json;

use crate::abi::*;
use crate::buffer::Buffer;
use crate::handle::{self, Tag, object};
use crate::memory::Out;
use crate::{engine, guard};

/// Remembers the answers of an engine.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cache_new(
    engine: *const selvedge_engine,
    max_bytes: u64,
    out: *mut *mut selvedge_cache,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(CacheObject(Arc::new(Cache::new(engine::of(engine)?, max_bytes)))))
}

/// The engine that remembers.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cache_engine(
    cache: *const selvedge_cache,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || engine::export(of(cache)?))
}

/// What the cache did and holds, as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cache_status_json(
    cache: *const selvedge_cache,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let s = of(cache)?.status();
        let json = json!({
            "hits": s.hits, "misses": s.misses, "passed": s.passed, "answers": s.answers, "bytes": s.bytes,
            "max_bytes": s.max_bytes, "saved_ns": crate::json::nanos(s.saved),
        });
        handle::publish(Buffer::from(json.to_string().as_str()))
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_cache_free(cache: *mut selvedge_cache) -> selvedge_status {
    guard::status(|| handle::retire::<CacheObject>(cache).map(drop))
}

fn of(cache: *const selvedge_cache) -> Result<Arc<Cache>> {
    handle::read::<CacheObject, _>(cache, |object| object.0.clone())
}

/// A cache behind its handle.
struct CacheObject(Arc<Cache>);

object!(CacheObject, selvedge_cache, Tag::Cache);
