//! Telemetry folders out of bytes, and every use of one.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use selvedge::DType;
use selvedge::fake::Fake;
use selvedge::drift::Profile;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::report::Story;
use selvedge::sync::{Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{Cursor, Inference, Limits, ModelSlot, Record, Telemetry, Window, peek};

use crate::segments;

/// What all files of a folder take at most.
const MOST: usize = 1 << 20;

/// The names that mean something in a folder, beside those of segments.
const NAMES: [&str; 9] = [
    "telemetry.live",
    "telemetry.live.part",
    "telemetry.live.bad",
    "telemetry.lock",
    "sync.state",
    "sync.part",
    "sync.lock",
    "sync.state.damaged",
    "0000000000000001-00000000.seg.bad",
];

/// Bytes, and zeros once they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, most: usize) -> Vec<u8> {
        let len = usize::from(u16::from_le_bytes([self.byte(), self.byte()])).min(self.0.len()).min(most);
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    /// A small number, or one at the limit.
    fn number(&mut self) -> u64 {
        match self.byte() {
            large @ 0xf0.. => u64::MAX >> (large & 3) * 20,
            small => small.into(),
        }
    }
}

/// The folder that the bytes describe, in the place of an earlier one. Each begins with one that an app has used.
pub fn make(data: &[u8], folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a folder that can be written to");
    let (mut bytes, mut room) = (Bytes(data), MOST);
    if bytes.byte() & 1 == 1 {
        let telemetry = Telemetry::open(folder, limits());
        telemetry.record(&Inference { model_slot: ModelSlot(7), bins: &[1], ..Inference::default() });
        let _ = telemetry.seal(&Record::Window(Window { model_slot: ModelSlot(7), ..Window::default() }));
    }
    for _ in 0..12 {
        if bytes.0.is_empty() {
            return;
        }
        // What is in the way of another is a folder of its own kind.
        let _ = match bytes.byte() % 8 {
            0..=2 => fs::write(folder.join(segment_name(&mut bytes)), segment(&mut bytes, &mut room)),
            3 => lanes(&mut bytes, &folder.join("telemetry.live")),
            4 => fs::write(folder.join("sync.state"), state(&bytes.take(MOST))),
            5 => fs::write(folder.join(any_name(&mut bytes)), bytes.take(MOST)),
            6 => entry(&mut bytes, folder),
            _ => {
                fs::File::create(folder.join(any_name(&mut bytes))).and_then(|file| file.set_len(bytes.number() >> 24))
            }
        };
    }
}

fn segment_name(bytes: &mut Bytes) -> String {
    segments::name(bytes.number(), (bytes.byte() & 3).into())
}

fn any_name(bytes: &mut Bytes) -> String {
    match bytes.byte() {
        byte if byte & 1 == 1 => NAMES[usize::from(byte >> 1) % NAMES.len()].into(),
        _ => segment_name(bytes),
    }
}

/// A link, a folder or a socket.
fn entry(bytes: &mut Bytes, folder: &Path) -> std::io::Result<()> {
    let at = folder.join(any_name(bytes));
    match bytes.byte() % 3 {
        0 => symlink(folder.join(any_name(bytes)), at),
        1 => fs::create_dir(at),
        _ => UnixListener::bind(at).map(drop),
    }
}

/// A segment of payloads of any bytes, some of them many times, in frames that are whole or not.
fn segment(bytes: &mut Bytes, room: &mut usize) -> Vec<u8> {
    let (epoch, floor, before) = (bytes.number(), (bytes.number(), bytes.number()), bytes.number());
    let mut file = segments::header(epoch, floor, before);
    let mut seq = bytes.number();
    for _ in 0..bytes.byte() % 16 {
        let how = bytes.byte();
        let payload = bytes.take(MOST);
        for _ in 0..1u32 << (how >> 1 & 15) {
            seq = seq.saturating_add(1);
            let (kind, rest) = payload.split_at(payload.len().min(1));
            let numbered = [kind, &segments::number(seq), rest].concat();
            let frame = match how {
                0x80.. => payload.clone(),
                _ if how & 1 == 1 => segments::broken_frame(1 << (payload.len() % 24)),
                _ => segments::frame(&numbered),
            };
            if file.len() + frame.len() > *room {
                break;
            }
            file.extend(frame);
        }
    }
    *room -= file.len().min(*room);
    file
}

/// Bytes of the lanes changed, their checksums made right again or not.
fn lanes(bytes: &mut Bytes, live: &Path) -> std::io::Result<()> {
    // What lies there may be a hole of a terabyte by now.
    let mut file = Vec::new();
    fs::File::open(live)?.take(MOST as u64).read_to_end(&mut file)?;
    for _ in 0..bytes.byte() % 8 {
        let at = 64 * usize::from(u16::from_le_bytes([bytes.byte(), bytes.byte()])) % file.len().max(1);
        let (is_signed, change) = (bytes.byte() & 1 == 1, bytes.take(64));
        let Some(slot) = file.get_mut(at..at + 64) else { continue };
        slot[..change.len()].copy_from_slice(&change);
        if is_signed && matches!(at, 0 | 2048) {
            let crc = crc32c::crc32c(&slot[..56]);
            slot[56..].copy_from_slice(&u64::from(crc).to_le_bytes());
        } else if is_signed {
            let crc = crc32c::crc32c_append(crc32c::crc32c(&slot[8..]), &slot[..4]);
            slot[4..8].copy_from_slice(&crc.to_le_bytes());
        }
    }
    fs::write(live, file)
}

fn state(message: &[u8]) -> Vec<u8> {
    let (crc, len) = (crc32c::crc32c(message).to_le_bytes(), (message.len() as u32).to_le_bytes());
    [b"SLVSYNC1", &crc[..], &len, message].concat()
}

fn limits() -> Limits {
    Limits::default().lanes(3).slots(64)
}

/// Opens, reads, recalls, reports, drains, monitors and posts. May be refused by an error; may not panic, hang, or take
/// much memory, and nothing outside the folder changes.
pub fn use_folder(folder: &Path) {
    let _ = peek(folder);
    if let Ok(story) = Story::read(folder) {
        let _ = story.html();
        for model in &story.models {
            let _ = (model.requests(), model.rows(), model.tokens(), model.latency(), model.accuracy());
        }
    }
    let telemetry = Telemetry::open(folder, limits());
    for recall in [false, true] {
        let mut cursor = Cursor::start();
        let read = |cursor| if recall { telemetry.recall(cursor, 64 << 10) } else { telemetry.read(cursor, 64 << 10) };
        while let Some((last, _)) = read(cursor).last() {
            assert!(Cursor::after(*last) != cursor, "the same again");
            cursor = Cursor::after(*last);
        }
    }
    let training: Vec<[f32; 1]> = (0..100).map(|i| [(i % 50) as f32]).collect();
    let profile = Profile::fit().number("temp").of_rows(&training).expect("a profile");
    let builder = || Monitor::builder(Fake::echo(DType::F32).build(), telemetry.clone(), Columns::of("x", ["temp"]));
    let monitors = [builder().profile(profile).build(), builder().learn(10).build()];
    monitors.iter().flatten().for_each(Monitor::tick);
    let options = OutboxOptions::new("fuzz").privacy(Privacy::NONE);
    if let Ok(mut outbox) = Outbox::open(&telemetry, folder, options) {
        for _ in 0..4 {
            let Ok(Some(batch)) = outbox.next_batch(64 << 10) else { break };
            let _ = outbox.ack(&batch);
        }
    }
    telemetry.record(&Inference::default());
    telemetry.drain(&mut |_| {});
    let _ = telemetry.seal(&Record::Window(Window::default()));
    let _ = telemetry.status();
}

/// Where this process makes its folders: in memory, where that is a file system.
pub fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    root.join(format!("selvedge-fuzz-{}", std::process::id())).join("folder")
}
