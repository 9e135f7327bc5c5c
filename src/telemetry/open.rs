//! Opening a folder: each part that fails is done without.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::inference::Inference;
use super::lane::Reader;
use super::live::{Live, Opened, Sealed};
use super::log::{Found, Log};
use super::record::Boot;
use super::shared::{Readers, Shared};
use super::status::Limits;
use crate::disk::{self, Folder, Lock};
use crate::{Error, Result};

const LOCK: &str = "telemetry.lock";

pub(super) fn open(dir: &Path, limits: Limits) -> Shared {
    let boot = boot_id();
    match open_kept(dir, limits, boot) {
        Ok(shared) => shared,
        Err(why) => {
            tracing::warn!("telemetry is not kept: {why}");
            let opened = Live::volatile(&limits, 0, boot);
            shared(opened, Boot::default(), None, Some(why), None)
        }
    }
}

/// With the folder's lock; the live file and the log fail each on their own.
fn open_kept(dir: &Path, limits: Limits, boot: [u8; 16]) -> Result<Shared> {
    disk::create_folders(dir).map_err(|e| Error::io(dir.display(), e))?;
    let lock = lock(dir)?;
    let found = Found::look(Box::new(Folder::new(dir.into())), limits);
    let (found, log_why) = match found {
        Ok(found) => (Some(found), None),
        Err(e) => (None, Some(Error::io(dir.display(), e))),
    };
    let last_epoch = found.as_ref().map_or(0, |f| f.last_epoch);
    let windows = found.as_ref().map(|f| f.windows.clone()).unwrap_or_default();
    let sealed: Vec<Sealed> =
        windows.into_iter().map(|((model_slot, epoch), next)| Sealed { model_slot, epoch, next }).collect();
    let (opened, live_why) = match Live::open(dir, &limits, last_epoch, boot, &sealed) {
        Ok(opened) => (opened, None),
        Err(e) => (Live::volatile(&limits, last_epoch + 1, boot), Some(Error::io(super::live::NAME, e))),
    };
    let mut record = Boot { recovered: opened.recovered, quarantined: opened.quarantined, ..Boot::default() };
    let log = found.map(|found| {
        record.torn += found.torn;
        record.quarantined += found.quarantined;
        opened.live.raise(found.losses());
        found.begin(opened.live.epoch(), boot, record)
    });
    let why = live_why.or(log_why);
    Ok(shared(opened, record, log, why, Some(lock)))
}

fn shared(opened: Opened, found: Boot, log: Option<Log>, why: Option<Error>, lock: Option<Lock>) -> Shared {
    let lanes = opened.oldest.into_iter().map(Reader::new).collect();
    Shared {
        live: opened.live,
        readers: Mutex::new(Readers { lanes, bins: Box::new([0; Inference::MAX_BINS]) }),
        log: log.map(Mutex::new),
        last_seq: AtomicU64::new(0),
        found,
        why,
        _lock: lock,
    }
}

fn lock(dir: &Path) -> Result<Lock> {
    disk::lock(&dir.join(LOCK), || {
        let who = "this process or another process";
        format!("{}: expected a folder that nobody has open, {who} has", dir.display())
    })
}

/// Random where there is a source; a device without one still tells its boots apart by their epochs.
fn boot_id() -> [u8; 16] {
    let mut boot = [0; 16];
    if let Err(e) = getrandom::fill(&mut boot) {
        tracing::warn!("telemetry: no random bytes for the boot id: {e}");
    }
    boot
}
