//! An arena that buffers are taken from and given back to, as ONNX Runtime's does it: regions that double, the smallest
//! free chunk that fits, chunks split when half of one is enough.
//!
//! What counts is how far each region was written to: a system gives memory page by page, as it is touched. Beside a region
//! lies the table of its chunks, which is written in full: 8 bytes for each 256 of the region.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Chunks begin and end on it.
const GRAIN: u64 = 256;
const FIRST_REGION: u64 = 1 << 20;
/// Regions double up to this.
const LARGEST_REGION: u64 = 1 << 30;
/// Bytes of a region for each byte of its table.
const TABLE: u64 = GRAIN / 8;
/// More than this of a chunk is never left unused.
const MOST_UNUSED: u64 = 128 << 20;

/// Where a chunk is: region and offset. A system puts a later region below those before it.
pub(super) type Place = (Reverse<usize>, u64);

pub(super) struct Arena {
    /// Bytes of each region up to the last one that was ever in use.
    touched: Vec<u64>,
    /// Free chunks by size, and by place.
    by_size: BTreeSet<(u64, Place)>,
    free: BTreeMap<Place, u64>,
    used: BTreeMap<Place, u64>,
    next_region: u64,
    /// Bytes of the regions' tables.
    tables: u64,
}

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            touched: Vec::new(),
            by_size: BTreeSet::new(),
            free: BTreeMap::new(),
            used: BTreeMap::new(),
            next_region: FIRST_REGION,
            tables: 0,
        }
    }

    /// Bytes of the tables.
    pub(super) fn tables(&self) -> u64 {
        self.tables
    }

    /// Bytes that were ever in use.
    pub(super) fn touched(&self) -> u64 {
        self.touched.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    pub(super) fn take(&mut self, bytes: u64) -> Place {
        let bytes = bytes.clamp(1, u64::MAX / 8).next_multiple_of(GRAIN);
        let fits = self.by_size.range((bytes, (Reverse(usize::MAX), 0))..).next().copied();
        let (size, place) = fits.unwrap_or_else(|| self.extend(bytes));
        self.remove(size, place);
        let rest = size - bytes;
        let kept = if rest >= bytes || rest >= MOST_UNUSED { bytes } else { size };
        if kept < size {
            self.insert(size - kept, (place.0, place.1 + kept));
        }
        self.used.insert(place, kept);
        let touched = &mut self.touched[place.0.0];
        *touched = (*touched).max(place.1 + bytes);
        place
    }

    pub(super) fn give_back(&mut self, place: Place) {
        let Some(mut size) = self.used.remove(&place) else { return };
        let mut start = place;
        let before = self.free.range(..place).next_back().map(|(at, size)| (*at, *size));
        if let Some((at, len)) = before.filter(|(at, len)| at.0 == place.0 && at.1 + len == place.1) {
            self.remove(len, at);
            (start, size) = (at, size + len);
        }
        let after = (start.0, start.1 + size);
        if let Some(len) = self.free.get(&after).copied() {
            self.remove(len, after);
            size += len;
        }
        self.insert(size, start);
    }

    /// A new region, free.
    fn extend(&mut self, bytes: u64) -> (u64, Place) {
        let doubled = self.next_region < bytes;
        while self.next_region < bytes {
            self.next_region *= 2;
        }
        let size = self.next_region;
        if !doubled && size < LARGEST_REGION {
            self.next_region *= 2;
        }
        self.tables = self.tables.saturating_add(size / TABLE);
        let place = (Reverse(self.touched.len()), 0);
        self.touched.push(0);
        self.insert(size, place);
        (size, place)
    }

    fn insert(&mut self, size: u64, place: Place) {
        self.by_size.insert((size, place));
        self.free.insert(place, size);
    }

    fn remove(&mut self, size: u64, place: Place) {
        self.by_size.remove(&(size, place));
        self.free.remove(&place);
    }
}
