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
use crate::segments::{self, Window, zeros};

const MOST: usize = 4 << 20;
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

/// As many payloads as there is room for.
fn full(mut payload: impl FnMut(u64) -> Vec<u8>) -> Vec<u8> {
    let mut file = segments::header(1, (0, 0), 0);
    for seq in 1.. {
        let frame = segments::frame(&payload(seq));
        if file.len() + frame.len() > MOST {
            break;
        }
        file.extend(frame);
    }
    file
}

#[test]
fn few_bytes_do_not_become_many() {
    // 119 kB that stand for 4.2 GB of zeros.
    let bomb = segments::segment(
        1,
        (1..=2000).map(|seq| Window { features: vec![zeros(1 << 18)], ..Window::new(seq) }.payload()),
    );
    let (folder, status) = with_segment("bomb", &bomb);
    assert_eq!((status.torn, status.unacked), (2000, 0));
    assert_eq!(peek(folder.path()).unwrap().iter().filter(|(at, _)| at.epoch == 1).count(), 0);
    with_segment("bombs", &full(|seq| Window { features: vec![zeros(1 << 18)], ..Window::new(seq) }.payload()));
    // As much as a record of their length may: all are read.
    let window = |seq| Window { features: vec![zeros(1 << 14)], padding: 8 << 10, ..Window::new(seq) };
    let (_, status) = with_segment("padded windows", &full(|seq| window(seq).payload()));
    assert_eq!(status.torn, 0);
    assert!(status.unacked > 400);
    let window = |seq| Window { features: vec![zeros(3); 8], ..Window::new(seq) };
    with_segment("small features", &full(|seq| window(seq).payload()));
}

#[test]
fn many_small_records_stay_small() {
    with_segment("windows", &full(|seq| Window::new(seq).payload()));
    with_segment("windows of many models", &full(|seq| Window { model: seq, ..Window::new(seq) }.payload()));
    with_segment("labels", &full(segments::feedback));
    with_segment("clocks", &full(segments::anchor));
    with_segment("boots", &full(segments::boot));
    with_segment("losses", &full(|seq| segments::drops(seq, &[(0, u64::MAX), (3, u64::MAX)])));
    with_segment("floors", &full(|seq| segments::floor(1, seq)));
    with_segment("alerts", &full(|seq| segments::alert(seq, &format!("{seq}"), true)));
    with_segment(
        "clocks and windows",
        &full(|seq| match seq % 2 {
            0 => segments::anchor(seq),
            _ => Window::new(seq).payload(),
        }),
    );
}

#[test]
fn many_models_are_no_more_work_than_few() {
    let digest = |seq: u64| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&seq.to_le_bytes());
        digest
    };
    with_segment("models", &full(|seq| segments::model(seq, seq as u32, digest(seq), &[])));
    with_segment("a model again and again", &full(|seq| segments::model(seq, 7, digest(seq), &[])));
    with_segment(
        "models and windows",
        &full(|seq| match seq % 2 {
            0 => Window { model: seq - 1, ..Window::new(seq) }.payload(),
            _ => segments::model(seq, seq as u32, digest(seq), &[]),
        }),
    );
    let large = segments::profile(40_000, 1000);
    with_segment(
        "a large profile",
        &full(|seq| match seq {
            1 => segments::model(seq, 7, [0x11; 32], &large),
            _ => Window::new(seq).payload(),
        }),
    );
    let profile = segments::profile(1000, u64::MAX / 4);
    let feature = segments::numbers(&[4, 1 << 40, 1 << 40, 0, 0, 1 << 40]);
    with_segment(
        "large counts beside a profile",
        &full(|seq| match seq {
            1 => segments::model(seq, 7, [0x11; 32], &profile),
            _ => Window { features: vec![feature.clone(); 1000], rows: u64::MAX, ..Window::new(seq) }.payload(),
        }),
    );
}

#[test]
fn many_classes_are_no_more_work_than_few() {
    let many: Vec<(u64, u64)> = (0..65_536).map(|class| (class, 1)).collect();
    let window = |seq| match seq {
        1 => segments::model(seq, 7, [0x11; 32], &[]),
        2 => Window { classes: many.clone(), ..Window::new(seq) }.payload(),
        3 => Window { outcomes: many.clone(), ..Window::new(seq) }.payload(),
        _ => {
            Window { classes: vec![(seq % 65_536, 1)], outcomes: vec![(seq % 65_536, 1)], ..Window::new(seq) }.payload()
        }
    };
    with_segment("classes", &full(window));
}

/// Every twelve bytes a frame that says it goes on to the end, and whole ones between broken ones.
#[test]
fn the_next_whole_record_is_found_without_reading_all_again() {
    let marks = |end: usize| {
        let mut file = segments::header(1, (0, 0), 0);
        while file.len() + 12 <= end {
            file.extend(segments::broken_frame((end - file.len() - 12) as u32));
        }
        file.resize(end, 0);
        file
    };
    let (_, status) = with_segment("marks", &marks(MOST));
    assert_eq!((status.torn, status.unacked), (1, 0));
    let mut file = segments::header(1, (0, 0), 0);
    for seq in 1.. {
        let whole = segments::frame(&segments::boot(seq));
        if file.len() + whole.len() + 12 > MOST {
            break;
        }
        file.extend(segments::broken_frame(MOST.saturating_sub(file.len() + 76) as u32));
        file.extend(whole);
    }
    file.resize(MOST, 0);
    with_segment("marks and records", &file);
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
    let most = u64::MAX;
    let window = |seq| Window {
        rows: most,
        index: most,
        outcomes: vec![(0, most), (1, most), (9, most)],
        classes: vec![(0, most), (1, most)],
        features: vec![segments::numbers(&[4, most, most, most, most])],
        ..Window::new(seq)
    };
    let model = |seq| segments::model(seq, 7, [0x11; 32], &segments::profile(1, most));
    let all = |last: u64| {
        let records = [
            model(1),
            window(2).payload(),
            window(3).payload(),
            segments::drops(4, &[(0, most), (0, most), (4, most), (5, most)]),
        ];
        let more = [segments::anchor(5), segments::feedback(6), window(last).payload(), segments::floor(most, most)];
        segments::segment(1, records.into_iter().chain(more))
    };
    let (folder, status) = with_segment("overflow", &all(most));
    // A floor above all records is none: what is sealed from now on is sent.
    assert_eq!((status.torn, status.mode), (1, Mode::Durable));
    let story = Story::read(folder.path()).unwrap();
    assert_eq!((story.models[0].rows(), story.models[0].requests()), (most, (most, most)));
    for (name, file) in [
        (segments::name(most, 0), Vec::new()),
        (segments::name(most, u32::MAX), segments::segment(most, [window(most).payload()])),
        (segments::name(most - 1, 1), segments::header(most - 1, (most, most), most)),
        (segments::name(1, 1), segments::header(most, (0, 0), most)),
        (segments::name(2, 0), segments::header(2, (most, most), most)),
        (
            segments::name(3, 0),
            [segments::header(3, (3, most), most), segments::frame(&window(most).payload())].concat(),
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
    let state = |message: &[u8]| {
        let len = (message.len() as u32).to_le_bytes();
        [b"SLVSYNC1", &crc32c::crc32c(message).to_le_bytes()[..], &len, message].concat()
    };
    let models = [0x1a_u8, 0].repeat(2 << 20 >> 1);
    let bins = [0x1a_u8, 0].repeat(1 << 20);
    let totals = [&[0x52_u8][..], &segments::number(bins.len() as u64), &bins].concat();
    let features = [&[0x1a_u8][..], &segments::number(totals.len() as u64), &totals].concat();
    let slots = [0x22_u8, 0].repeat(2 << 20 >> 1);
    for (name, message) in [("models", models), ("features", features), ("slots", slots)] {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sync.state"), state(&message)).unwrap();
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
    std::fs::write(folder.path().join("sync.state"), state(&message)).unwrap();
    use_folder(folder.path());
}
