//! The folders: segments of every kind, very many files, damaged ones, states of `sync`, lanes, and all of it together.

use std::fs;
use std::path::Path;

use selvedge::telemetry::{Inference, Limits, ModelSlot, Telemetry};

use super::forged::{self, MOST};
use super::segments::{self, Window};

/// A folder to be made.
pub(crate) struct Forged {
    pub(crate) name: String,
    files: Vec<(String, Vec<u8>)>,
    /// Whether an app has recorded into it until its lanes were full.
    lanes: bool,
}

impl Forged {
    fn new(name: impl Into<String>, files: Vec<(String, Vec<u8>)>) -> Self {
        let bytes: usize = files.iter().map(|(_, file)| file.len()).sum();
        assert!(bytes <= MOST, "{bytes} bytes");
        Self { name: name.into(), files, lanes: false }
    }

    pub(crate) fn write(&self, folder: &Path) {
        if self.lanes {
            let telemetry = Telemetry::open(folder, Limits::default());
            let lanes: Vec<_> = (0..32).map(|_| telemetry.lane()).collect();
            let record = |id| Inference { id, model_slot: ModelSlot(7), bins: &[1; 20], ..Inference::default() };
            (0..1 << 14).for_each(|id| lanes.iter().for_each(|lane| lane.record(&record(id))));
        }
        for (name, file) in &self.files {
            fs::write(folder.join(name), file).expect("a file");
        }
    }
}

pub(crate) fn all() -> Vec<Forged> {
    let segments = forged::SEGMENTS.iter().map(|(name, make)| of_one(name, make()));
    let states = forged::sync_states()
        .into_iter()
        .map(|(name, state)| Forged::new(format!("state of sync, {name}"), vec![("sync.state".to_owned(), state)]));
    let sealed = |seq: u64| segments::segment(1, [Window::new(seq).payload()]);
    let large = sealed(1 << 20).len();
    segments
        .chain(states)
        .chain([
            many("files of a header", MOST / 64, |_| segments::header(1, (0, 0), 0)),
            many("empty files", 60_000, |_| Vec::new()),
            many("files of a window", MOST / large, |i| sealed(i as u64 + 1)),
            many("files of broken frames", 4096, |_| broken(1024)),
            many("large files of broken frames", 8, |_| broken(MOST / 8)),
            Forged { lanes: true, ..Forged::new("full lanes", Vec::new()) },
            Forged { lanes: true, ..of_one("full lanes beside marks", forged::marks()) },
        ])
        .collect()
}

fn of_one(name: &str, file: Vec<u8>) -> Forged {
    Forged::new(name, vec![(segments::name(1, 0), file)])
}

fn many(name: &str, files: usize, file: impl Fn(usize) -> Vec<u8>) -> Forged {
    Forged::new(name, (0..files).map(|i| (segments::name(1, i as u32), file(i))).collect())
}

/// A file of so many bytes in which every frame says that it goes on to the end.
fn broken(bytes: usize) -> Vec<u8> {
    let mut file = segments::header(1, (0, 0), 0);
    while file.len() + 12 <= bytes {
        file.extend(segments::broken_frame((bytes - file.len() - 12) as u32));
    }
    file
}
