//! Fuzz targets: what they do with a file, and with a folder.

pub mod folder;
#[path = "../../support/segments.rs"]
mod segments;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::LazyLock;

use selvedge::weights::{ValueRef, WeightFile};
use selvedge::{Bytes, Loading};

/// Opens a file and looks at all that it shows. It may be refused; it may not panic, take much memory, or show bytes
/// that are not the file's. Whether it opened.
pub fn open_and_use(data: &[u8]) -> bool {
    let Ok(file) = WeightFile::open(Bytes::shared(data.to_vec()), Loading::Mapped) else { return false };
    for (key, value) in file.metadata().iter() {
        assert!(file.metadata().get(key).is_some());
        look_at(value);
    }
    let (mut row, mut last) = (vec![0.0; 4096], 0);
    let mut places: Vec<_> = file.tensors().map(|tensor| tensor.place()).collect();
    places.sort_by_key(|place| (place.start, place.end));
    for place in places {
        assert!(last <= place.start && place.start <= place.end && place.end <= data.len() as u64);
        last = place.end;
    }
    for tensor in file.tensors() {
        assert_eq!(tensor.share().as_slice(), tensor.bytes());
        let _ = tensor.view();
        if let Some(row) = row.get_mut(..tensor.row_len()) {
            let _ = tensor.dequantize_rows_into(0..1, row);
        }
    }
    true
}

/// Keeps files that open, in the folder that the environment names: in 4,096 places, where later ones, which are further
/// from the seeds, take the place of earlier ones.
pub fn keep(data: &[u8]) {
    static FOLDER: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("SELVEDGE_FUZZ_ACCEPTED").map(PathBuf::from));
    let Some(folder) = &*FOLDER else { return };
    let mut hash = DefaultHasher::new();
    data.hash(&mut hash);
    let place = folder.join(format!("{:04}", hash.finish() % 4096));
    std::fs::write(place, data).expect("a folder that can be written to");
}

fn look_at(value: ValueRef<'_>) {
    let Some(array) = value.as_array() else { return drop(value.to_string()) };
    let mut count = 0;
    for element in array.iter() {
        count += 1;
        look_at(element);
    }
    assert_eq!(count, array.len());
}
