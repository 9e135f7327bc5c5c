//! Store of a cache: keys and entries within a bound of bytes, and the counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache as Clock, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::CacheStatus;
use super::canonical::Key;
use super::entry::Entry;

/// What it takes to find an entry: its key, its places in the table and in the clock, which grow by doubling, and the key
/// of one that was forgotten and is recognised if it comes again.
const PLACE: usize = 320;
/// Bytes of a usual entry. Being wrong by an order of magnitude costs little: it bounds the forgotten keys.
const USUAL: u64 = 1024;

pub(super) struct Store {
    max_bytes: u64,
    /// `None` if nothing is to be kept.
    entries: Option<Clock<Key, Arc<Entry>, Bytes, RandomState>>,
    hits: AtomicU64,
    misses: AtomicU64,
    passed: AtomicU64,
    saved_ns: AtomicU64,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<Entry>> for Bytes {
    fn weight(&self, _: &Key, entry: &Arc<Entry>) -> u64 {
        (PLACE + entry.bytes()) as u64
    }
}

impl Store {
    pub(super) fn new(max_bytes: u64) -> Self {
        let usual = usize::try_from(max_bytes / USUAL).unwrap_or(usize::MAX).clamp(1, 1 << 20);
        // One shard: the bound is that of the whole, and an answer that fits the cache fits its shard. Hits only read.
        let options = OptionsBuilder::new()
            .weight_capacity(max_bytes)
            .estimated_items_capacity(usual)
            .shards(1)
            .build()
            .ok()
            .filter(|_| max_bytes > 0);
        let entries = options.map(|options| {
            // Keys are digests of what a caller chose: the hash that finds them is keyed at random.
            Clock::with_options(options, Bytes, RandomState::default(), DefaultLifecycle::default())
        });
        let count = || AtomicU64::new(0);
        Self { max_bytes, entries, hits: count(), misses: count(), passed: count(), saved_ns: count() }
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// A kept answer; the hit or the miss is counted.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.entries.as_ref().and_then(|entries| entries.get(key));
        match &entry {
            Some(entry) => {
                self.hits.fetch_add(1, Relaxed);
                self.saved_ns.fetch_add(u64::try_from(entry.saved().as_nanos()).unwrap_or(u64::MAX), Relaxed);
            }
            None => {
                self.misses.fetch_add(1, Relaxed);
            }
        }
        entry
    }

    pub(super) fn passed(&self) {
        self.passed.fetch_add(1, Relaxed);
    }

    pub(super) fn insert(&self, key: Key, entry: Entry) {
        if let Some(entries) = &self.entries {
            entries.insert(key, Arc::new(entry));
        }
    }

    /// Forgets all; the bytes that were held.
    pub(super) fn clear(&self) -> u64 {
        let Some(entries) = &self.entries else { return 0 };
        let held = entries.weight();
        entries.clear();
        held
    }

    pub(super) fn status(&self) -> CacheStatus {
        CacheStatus {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            passed: self.passed.load(Relaxed),
            answers: self.entries.as_ref().map_or(0, |entries| entries.len() as u64),
            bytes: self.entries.as_ref().map_or(0, |entries| entries.weight()),
            max_bytes: self.max_bytes,
            saved: Duration::from_nanos(self.saved_ns.load(Relaxed)),
        }
    }
}
