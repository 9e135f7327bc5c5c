//! The log as it lies in the folder, without a part in it.

use std::collections::VecDeque;
use std::io;

use super::super::budget::{MAX_FILE_BYTES, MAX_FILES, MAX_PEEK, PEEK_GROWTH};
use super::super::codec;
use super::super::record::{Position, Record};
use super::open::{epoch_of, is_of};
use super::segment::{self, Header};
use crate::disk::Disk;

/// The whole records, oldest first; where they would take more memory than is borne, the latest of them. Nothing is made,
/// locked, moved or deleted.
pub(in crate::telemetry) fn peek(disk: &mut dyn Disk) -> io::Result<Vec<(Position, Record)>> {
    let (mut records, mut memory) = (VecDeque::new(), 0);
    visit(disk, |position, record, file_bytes| {
        memory += record.memory();
        records.push_back((position, record));
        while memory > MAX_PEEK.max(file_bytes.saturating_mul(PEEK_GROWTH))
            && let Some((_, oldest)) = records.pop_front()
        {
            memory -= oldest.memory();
        }
    })?;
    Ok(records.into())
}

/// Shows each whole record, oldest first, with the bytes of all files so far. Returns how many records are damaged.
pub(in crate::telemetry) fn visit(
    disk: &mut dyn Disk,
    mut each: impl FnMut(Position, Record, usize),
) -> io::Result<u64> {
    let mut names = disk.list("")?;
    names.retain(|name| epoch_of(name).is_some());
    names.sort_unstable();
    let (mut last, mut bytes, mut damaged) = (Position::default(), 0usize, 0);
    for name in &names[names.len().saturating_sub(MAX_FILES)..] {
        let file = match disk.read(name, MAX_FILE_BYTES) {
            Ok(file) => file,
            // Whoever has the folder open may delete it meanwhile, and sets aside what is no segment.
            Err(e) => match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory => continue,
                _ => return Err(e),
            },
        };
        bytes = bytes.saturating_add(file.len());
        let Some(header) = Header::decode(&file).filter(|header| is_of(header, name)) else { continue };
        let (frames, stretches) = segment::frames(&file, true);
        damaged += stretches;
        for payload in frames {
            let payload = &file[payload];
            match codec::decode_payload(payload, header.boot, header.epoch) {
                // A record that was written again after an error stands in two files.
                Some((record, _)) if record.stamp().position() > last => {
                    last = record.stamp().position();
                    each(last, record, bytes);
                }
                None if codec::is_known(payload) => damaged += 1,
                _ => {}
            }
        }
    }
    Ok(damaged)
}
