//! The log as it lies in the folder, without a part in it.

use std::collections::BTreeMap;
use std::io;

use super::super::codec;
use super::super::record::{Position, Record};
use super::MAX_FILE_BYTES;
use super::open::epoch_of;
use super::segment::{self, Header};
use crate::disk::Disk;

/// All whole records, oldest first. Nothing is made, locked, moved or deleted.
pub(in crate::telemetry) fn peek(disk: &mut dyn Disk) -> io::Result<Vec<(Position, Record)>> {
    let mut records = BTreeMap::new();
    for name in disk.list("")?.iter().filter(|name| epoch_of(name).is_some()) {
        let file = match disk.read(name, MAX_FILE_BYTES) {
            Ok(file) => file,
            // Whoever has the folder open may delete it meanwhile, and sets aside what is no segment.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => continue,
            Err(e) => return Err(e),
        };
        let Some(header) = Header::decode(&file) else { continue };
        for payload in segment::frames(&file, true).0 {
            if let Some((record, _)) = codec::decode_payload(&file[payload], header.boot, header.epoch) {
                records.insert(record.stamp().position(), record);
            }
        }
    }
    Ok(records.into_iter().collect())
}
