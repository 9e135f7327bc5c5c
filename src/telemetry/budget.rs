//! Budget of a folder's reader: what a file, and one read, may cost. Whatever bytes somebody puts into the folder, they are
//! read in a time that grows as they do, and in bounded memory. What is beyond the budget is damage, and counted as such.

use super::slot::SEQ_MASK;

/// Files of the log that are looked into, the newest ones: far more than any limit on bytes has room for.
pub(super) const MAX_FILES: usize = 4096;
/// No segment is larger, whatever the limits of the one who made it: a quarter of the largest log that anybody would keep
/// on a device.
pub(super) const MAX_FILE_BYTES: u64 = 256 << 20;
/// Bytes over which checksums are taken in vain while the next whole record of a damaged file is looked for, in lengths of
/// the file.
pub(super) const MAX_SEARCH: usize = 16;
/// Memory that is taken at once by the records that one call gives out.
pub(super) const MAX_READ: usize = 8 << 20;
/// Memory of all records of a folder that is looked into from outside, if its files do not ask for more: the oldest give
/// way.
pub(super) const MAX_PEEK: usize = 24 << 20;
/// The same, in lengths of the files.
pub(super) const PEEK_GROWTH: usize = 6;
/// Epochs count the opens of a folder: no clock ticks so often.
pub(super) const MAX_EPOCH: u64 = 1 << 62;
/// The largest number of a record in a lane that is believed: it leaves as many for those to come as anybody records.
pub(super) const MAX_LANE_SEQ: u64 = SEQ_MASK >> 1;

/// Memory that the lists of a record may take: some in any case, and so many times the record's bytes. Counts are written
/// with their zeros left out, so a few bytes can stand for any number of them.
const BASE: usize = 1 << 10;
const GROWTH: usize = 16;

/// What a record of so many bytes may still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(usize);

impl Room {
    pub(super) fn of(payload: usize) -> Self {
        Self(payload.saturating_mul(GROWTH).saturating_add(BASE))
    }

    /// The bytes that a record must have so that its lists may take so much.
    pub(super) fn payload_for(memory: usize) -> usize {
        memory.saturating_sub(BASE).div_ceil(GROWTH)
    }

    /// `None` if there is not so much left.
    pub(super) fn take<T>(&mut self, items: usize) -> Option<()> {
        self.0 = self.0.checked_sub(items.checked_mul(size_of::<T>())?)?;
        Some(())
    }
}
