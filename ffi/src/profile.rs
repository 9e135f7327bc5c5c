//! Profiles: what a model was made for; fit, encode, compare.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_void;
use std::sync::Arc;

use selvedge::Result;
use selvedge::drift::{
    Bins, CellValue, FalseAlarm, FeatureSource, Fit, Fourier, Judge, MISSING, Persistence, Policy, Profile,
    RowDependence, Verdict, WindowCounts,
};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::handle::{self, Tag, object};
use crate::memory::{self, Out, invalid};
use crate::rows::{Column, Rows};
use crate::{alert, guard};

/// Fits a profile to rows.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_profile_fit(
    rows: *const selvedge_rows,
    fit: *const selvedge_fit,
    out: *mut *mut selvedge_profile,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above; nothing of the rows is kept.
        let (rows, fit) = unsafe { (Rows::read(rows)?, read_fit(fit)?) };
        publish(Arc::new(fitted(fit, &rows)?))
    })
}

/// Reads a profile from its bytes.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_profile_decode(
    bytes: *const c_void,
    len: usize,
    out: *mut *mut selvedge_profile,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let bytes = unsafe { memory::bytes("bytes", bytes.cast(), len) }?;
        publish(Arc::new(Profile::decode(bytes)?))
    })
}

/// The profile as bytes.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_profile_encode(
    profile: *const selvedge_profile,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Buffer::from(resolve(profile)?.encode().as_slice())))
}

/// What the profile holds, as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_profile_json(
    profile: *const selvedge_profile,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Buffer::from(json(&*resolve(profile)?).to_string().as_str())))
}

/// Whether rows come from the world of the profile.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_profile_compare(
    profile: *const selvedge_profile,
    rows: *const selvedge_rows,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let profile = resolve(profile)?;
        // SAFETY: as above; nothing of the rows is kept.
        let rows = unsafe { Rows::read(rows) }?;
        handle::publish(Buffer::from(verdict_json(&compared(&profile, &rows)?).to_string().as_str()))
    })
}

/// Frees a profile.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_profile_free(profile: *mut selvedge_profile) -> selvedge_status {
    guard::status(|| handle::retire::<ProfileObject>(profile).map(drop))
}

/// The profile of a handle.
pub(crate) fn resolve(profile: *const selvedge_profile) -> Result<Arc<Profile>> {
    handle::read::<ProfileObject, _>(profile, |object| object.0.clone())
}

/// Gives a profile a handle.
pub(crate) fn publish(profile: Arc<Profile>) -> Result<*mut selvedge_profile> {
    handle::publish(ProfileObject(profile))
}

/// # Safety
///
/// As of [`memory::read_optional`], and the digest is as the header asks.
unsafe fn read_fit(place: *const selvedge_fit) -> Result<Fit> {
    // SAFETY: the caller vouches for it.
    let given = unsafe { memory::read_optional(place) }?.unwrap_or_default();
    let mut fit = Profile::fit().seed(given.seed).block(match given.block {
        0 => RowDependence::Estimate,
        1 => RowDependence::Independent,
        rows => RowDependence::Rows(rows),
    });
    if given.bins > 0 {
        fit = fit.bins(given.bins as usize);
    }
    if given.categories > 0 {
        fit = fit.categories(given.categories as usize);
    }
    if !given.sha256.is_null() {
        let mut digest = [0; 32];
        // SAFETY: the caller vouches for 32 bytes.
        digest.copy_from_slice(unsafe { memory::bytes("selvedge_fit.sha256", given.sha256, 32) }?);
        fit = fit.model(digest);
    }
    Ok(fit)
}

fn fitted(fit: Fit, rows: &Rows<'_>) -> Result<Profile> {
    let named = |fit: Fit, column: &Column<'_>| match (column.source, column.is_category) {
        (FeatureSource::Input, false) => fit.number(column.name),
        (FeatureSource::Input, true) => fit.category(column.name),
        (source, _) => fit.output(column.name, source),
    };
    let mut fit = rows.columns.iter().fold(fit, named);
    if let Some(width) = rows.embedding_width() {
        fit = fit.embedding(width);
    }
    let columns: Vec<&Column<'_>> = rows.columns.iter().collect();
    fit.stream(|sink| rows.each(&columns, sink))
}

/// Checks that run without drift, for each that finds some: as of `selvedge::drift::check`.
const CHECKS: f64 = 1000.0;

fn compared(profile: &Arc<Profile>, rows: &Rows<'_>) -> Result<Verdict> {
    let mut columns = Vec::with_capacity(profile.features.len());
    for feature in &profile.features {
        let column = rows.columns.iter().find(|c| c.name == feature.name);
        let column = column.ok_or_else(|| {
            invalid(format!("selvedge_rows.columns: expected a column '{}', as the profile has one", feature.name))
        })?;
        let want = if matches!(feature.bins, Bins::Numeric { .. }) { "numbers" } else { "categories" };
        if (want == "categories") != column.is_category {
            return Err(invalid(format!("column '{}': expected {want}, got {}", feature.name, column.kind())));
        }
        columns.push(column);
    }
    let expected = profile.embedding.as_ref().map(|e| &e.fourier);
    check_embeddings(expected, rows)?;
    if rows.count == 0 {
        return Err(invalid("selvedge_rows.row_count: expected at least one row, got none".into()));
    }
    let mut counts = WindowCounts::new(profile);
    let mut bins = Vec::with_capacity(columns.len());
    rows.each(&columns, &mut |row| {
        bins.clear();
        bins.extend(profile.features.iter().zip(row.values).map(|(feature, value)| match value {
            CellValue::Number(number) => feature.bin(*number),
            CellValue::Category(name) => feature.bins.of_category(name),
            _ => MISSING,
        }));
        counts.add_row(&bins);
        if let Some(signs) = expected.and_then(|fourier| fourier.signs(row.embedding)) {
            counts.add_embedding(&signs);
        }
        Ok(())
    })?;
    let policy = Policy::new(counts.rows, FalseAlarm::Windows(CHECKS)).persistence(Persistence::new(1, 1)?);
    Judge::new(profile.clone(), policy)?.judge(&counts)
}

fn check_embeddings(expected: Option<&Fourier>, rows: &Rows<'_>) -> Result<()> {
    match (expected.map(Fourier::width), rows.embedding_width()) {
        (Some(want), got) if got != Some(want) => {
            let got = got.map_or("none".into(), |width| format!("{width} numbers"));
            Err(invalid(format!("selvedge_rows.embeddings: expected {want} numbers a row, got {got}")))
        }
        _ => Ok(()),
    }
}

fn json(profile: &Profile) -> Value {
    let features = profile.features.iter().map(|f| {
        json!({
            "name": f.name,
            "source": source_name(f.source),
            "kind": if matches!(f.bins, Bins::Numeric { .. }) { "number" } else { "category" },
            "bins": (0..f.bins.len()).map(|bin| f.bins.name(bin)).collect::<Vec<_>>(),
            "counts": f.counts,
        })
    });
    let of_any = profile.model == [0; 32];
    json!({
        "rows": profile.rows,
        "block": profile.block,
        "learned": profile.learned,
        "model": if of_any { None } else { Some(selvedge::Digest(profile.model).to_string()) },
        "features": features.collect::<Value>(),
        "embedding": profile.embedding.as_ref().map(|e| json!({ "width": e.fourier.width(), "rows": e.rows })),
    })
}

/// Numbers that are not finite become null.
fn verdict_json(verdict: &Verdict) -> Value {
    let features = verdict.features.iter().map(|f| {
        json!({
            "name": f.name, "drifted": f.drifted, "finding": f.finding.map(alert::finding_name), "p": f.p,
            "psi": f.psi, "js": f.js, "hellinger": f.hellinger, "ks": f.ks, "wasserstein": f.wasserstein,
            "missing": f.missing, "out_of_range": f.out_of_range, "new_category": f.new_category,
        })
    });
    let embedding = verdict.embedding.map(|e| json!({ "p": e.p, "mmd2": e.mmd2, "drifted": e.drifted }));
    json!({
        "rows": verdict.rows,
        "level": verdict.level,
        "drifted": verdict.drifted(),
        "features": features.collect::<Value>(),
        "embedding": embedding,
    })
}

fn source_name(source: FeatureSource) -> &'static str {
    match source {
        FeatureSource::Input => "input",
        FeatureSource::Class => "class",
        FeatureSource::Confidence => "confidence",
        FeatureSource::Entropy => "entropy",
        FeatureSource::Latency => "latency",
        FeatureSource::Length => "length",
        _ => "other",
    }
}

/// A profile behind its handle.
struct ProfileObject(Arc<Profile>);

object!(ProfileObject, selvedge_profile, Tag::Profile);
