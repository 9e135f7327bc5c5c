//! Folders of at most 4 MiB that somebody forged: whatever is in them is read in bounded memory, without a panic and
//! without going over the same bytes again and again.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use selvedge::DType;
use selvedge::drift::Profile;
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::report::Story;
use selvedge::sync::{Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{Cursor, Inference, Limits, Mode, Status, Telemetry, peek};

use crate::counting::peak_of;
use crate::forged::{self, MOST};
use crate::segments::{self, Window};

/// What each use of a folder may hold at once.
const MAX_MEMORY: usize = 64 << 20;
/// In place of a hang: a hundred times what any of them takes.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Every use of the folder, each on its own, within its memory. What the folder said of itself when it was opened.
fn use_folder(folder: &Path) -> Status {
    let (say, hear) = mpsc::channel();
    let path = folder.to_path_buf();
    let user = std::thread::spawn(move || say.send(use_all(&path)).is_ok());
    match hear.recv_timeout(WATCHDOG) {
        Ok(status) => status,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still at it after {WATCHDOG:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(user.join().unwrap_err()),
    }
}

fn use_all(folder: &Path) -> Status {
    measured("peek", || peek(folder).map(drop).unwrap());
    measured("report", || Story::read(folder).unwrap().html().len());
    measured("watch", || {
        let story = Story::read(folder).unwrap();
        for model in &story.models {
            let _ = (model.requests(), model.rows(), model.tokens(), model.latency(), model.accuracy());
            let _ = (story.standing(model.info.slot).len(), model.psi(0).len());
        }
    });
    let telemetry = measured("open", || Telemetry::open(folder, Limits::default().bytes(8 << 20)));
    let status = telemetry.status();
    measured("read", || {
        let mut cursor = Cursor::start();
        while let Some((last, _)) = telemetry.read(cursor, 256 << 10).last() {
            cursor = Cursor::after(*last);
        }
    });
    measured("drain", || telemetry.drain(&mut |_| {}));
    let monitor = measured("monitor", || {
        let training: Vec<[f32; 1]> = (0..1000).map(|i| [(i % 50) as f32]).collect();
        let profile = Profile::fit().number("temp").of_rows(&training).unwrap();
        let engine = Fake::echo(DType::F32).build();
        Monitor::builder(engine, telemetry.clone(), Columns::of("x", ["temp"])).profile(profile).build().unwrap()
    });
    let learning = measured("learning monitor", || {
        let engine = Fake::echo(DType::F32).build();
        Monitor::builder(engine, telemetry.clone(), Columns::of("x", ["temp"])).learn(10).build().unwrap()
    });
    drop((monitor, learning));
    let options = || OutboxOptions::new("test").privacy(Privacy::NONE);
    let mut outbox = measured("outbox", || Outbox::open(&telemetry, folder, options()).unwrap());
    for _ in 0..3 {
        let Some(batch) = measured("batch", || outbox.next_batch(1 << 20).unwrap()) else { break };
        outbox.ack(&batch).unwrap();
    }
    // The host goes on.
    telemetry.record(&Inference::default());
    assert_eq!(telemetry.drain(&mut |_| {}), 1);
    status
}

fn measured<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let (result, peak) = peak_of(work);
    println!(
        "    {what:16} {:8.1} ms {:6.1} MiB",
        began.elapsed().as_secs_f64() * 1e3,
        peak as f64 / f64::from(1 << 20)
    );
    assert!(peak <= MAX_MEMORY, "{what}: {peak} bytes");
    result
}

/// A folder of one segment.
fn with_segment(name: &str, file: &[u8]) -> (tempfile::TempDir, Status) {
    assert!(file.len() <= MOST, "{name}: {} bytes", file.len());
    println!("{name}: {} bytes", file.len());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(segments::name(1, 0)), file).unwrap();
    let status = use_folder(folder.path());
    assert_eq!(status.mode, Mode::Durable, "{name}");
    (folder, status)
}

#[test]
fn few_bytes_do_not_become_many() {
    // 119 kB that stand for 4.2 GB of zeros.
    let (folder, status) = with_segment("bomb", &forged::bomb());
    assert_eq!((status.torn, status.unacked), (2000, 0));
    assert_eq!(peek(folder.path()).unwrap().iter().filter(|(at, _)| at.epoch == 1).count(), 0);
    // As much as a record of their length may: all are read.
    let (_, status) = with_segment("padded windows", &forged::padded_windows());
    assert_eq!(status.torn, 0);
    assert!(status.unacked > 400);
}

#[test]
fn no_segment_of_this_size_takes_much_memory() {
    for some in forged::SEGMENTS.chunks(4) {
        std::thread::scope(|scope| {
            for (name, segment) in some {
                scope.spawn(move || with_segment(name, &segment()));
            }
        });
    }
}

/// Every twelve bytes a frame that says it goes on to the end, and whole ones between broken ones.
#[test]
fn the_next_whole_record_is_found_without_reading_all_again() {
    let (_, status) = with_segment("marks", &forged::marks());
    assert_eq!((status.torn, status.unacked), (1, 0));
    // What one damage or two leave is found all the same.
    let whole: Vec<Vec<u8>> = (1..=9).map(|seq| segments::frame(&segments::boot(seq))).collect();
    let mut file = [segments::header(1, (0, 0), 0), whole.concat()].concat();
    for damaged in [2, 6] {
        file[64 + whole[0].len() * damaged + 13] ^= 1;
    }
    let (_, status) = with_segment("two of nine", &file);
    assert_eq!((status.torn, status.unacked), (2, 7));
}

#[test]
fn numbers_at_the_limit_end_no_sum() {
    let (most, all) = (u64::MAX, forged::numbers_at_the_limit);
    let (folder, status) = with_segment("overflow", &all(most));
    // A floor above all records is none: what is sealed from now on is sent.
    assert_eq!((status.torn, status.mode), (1, Mode::Durable));
    let story = Story::read(folder.path()).unwrap();
    assert_eq!((story.models[0].rows(), story.models[0].requests()), (most, (most, most)));
    for (name, file) in [
        (segments::name(most, 0), Vec::new()),
        (segments::name(most, u32::MAX), segments::segment(most, [forged::window_at_the_limit(most).payload()])),
        (segments::name(most - 1, 1), segments::header(most - 1, (most, most), most)),
        (segments::name(1, 1), segments::header(most, (0, 0), most)),
        (segments::name(2, 0), segments::header(2, (most, most), most)),
        (
            segments::name(3, 0),
            [segments::header(3, (3, most), most), segments::frame(&forged::window_at_the_limit(most).payload())]
                .concat(),
        ),
    ] {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(&name), &file).unwrap();
        std::fs::write(folder.path().join(segments::name(1, 0)), all(7)).unwrap();
        let status = use_folder(folder.path());
        assert_eq!(status.mode, Mode::Durable, "{name}");
        let telemetry = Telemetry::open(folder.path(), Limits::default());
        assert!(telemetry.now().epoch < 10, "{name}: {:?}", telemetry.now());
        if !name.starts_with("0000000000000003") {
            assert_eq!(status.quarantined, 1, "{name}");
        }
    }
}

#[test]
fn a_folder_of_very_many_files_is_read_in_part() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..5000 {
        std::fs::write(folder.path().join(segments::name(1, i)), segments::header(1, (0, 0), 0)).unwrap();
    }
    let status = use_folder(folder.path());
    assert_eq!((status.mode, status.quarantined), (Mode::Durable, 5000 - 4096));
}

/// Two bytes in a state of `sync` may ask for a model.
#[test]
fn a_state_of_sync_is_bounded_before_it_is_read() {
    for (name, state) in forged::sync_states() {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sync.state"), state).unwrap();
        let telemetry = Telemetry::open(folder.path(), Limits::default());
        let outbox = measured(name, || Outbox::open(&telemetry, folder.path(), OutboxOptions::new("test")).unwrap());
        assert!(outbox.damage().is_some_and(|damage| damage.contains("more models, lists or numbers")), "{name}");
    }
    // Numbers at the limit that are few.
    let (most, ten) = (u64::MAX, [255; 9].iter().copied().chain([1]).collect::<Vec<u8>>());
    let device = [&[0x08_u8][..], &ten, &[0x10], &ten, &[0x1a, 14, 0x0a, 1, b'x', 0x10], &ten].concat();
    let spread = [&[0x08, 0x0e, 0x10][..], &ten, &[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let totals = [
        [&[0x08][..], &ten, &[0x10], &ten, &[0x58], &ten, &[0x60], &ten, &[0x68], &ten].concat(),
        [&[0x4a, spread.len() as u8][..], &spread].concat(),
    ]
    .concat();
    let model =
        [&[0x08, 1, 0x40][..], &ten, &[0x48], &ten, &[0x52], &segments::number(totals.len() as u64), &totals].concat();
    let message = [
        [&[0x1a][..], &segments::number(model.len() as u64), &model].concat(),
        [&[0x32][..], &segments::number(device.len() as u64), &device].concat(),
        [&[0x22_u8, 6, 0x10, 7, 0x18, 1, 0x20, 1, 0x48][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    let records =
        [Window { rows: most, ..Window::new(1) }.payload(), segments::feedback(2), segments::drops(3, &[(0, most)])];
    std::fs::write(folder.path().join(segments::name(1, 0)), segments::segment(1, records)).unwrap();
    std::fs::write(folder.path().join("sync.state"), forged::sync_state(&message)).unwrap();
    use_folder(folder.path());
}
