//! Cost of telemetry folders that somebody forged: of each folder of at most 4 MiB, every use in time and memory.
//!
//! `cargo bench -p selvedge-benches --no-default-features --bench folder [-- NAME]`. No runtime is built for it. A folder is
//! made anew for each round, in memory where the system has a folder there; what it says of itself must be the same in all of
//! them. One line per use, of the folder that it takes longest for, and of the one that it takes most memory for:
//! `RATIO name value <=bar`. Time is that of the processor, where the system tells it, so that other work counts for nothing.

#[path = "../../tests/support/counting.rs"]
mod counting;
mod folders;
#[path = "../../tests/support/forged.rs"]
mod forged;
#[path = "../../tests/support/segments.rs"]
mod segments;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use counting::peak_of;
use folders::Forged;
use selvedge::DType;
use selvedge::drift::Profile;
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::report::Story;
use selvedge::sync::{Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{Limits, Mode, Telemetry};

const ROUNDS: usize = 3;
const MAX_MILLIS: f64 = 100.0;
const MAX_MIB: f64 = 64.0;
/// Uses of a folder, in the order of a round.
const USES: [&str; 6] = ["report", "watch", "open", "build", "learning_build", "sync"];

/// What one use took in one round.
#[derive(Clone, Copy)]
struct Cost {
    millis: f64,
    mib: f64,
}

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let mut worst: BTreeMap<&str, [(f64, String); 2]> = BTreeMap::new();
    println!("{:<32}{}", "ms, MiB", USES.map(|name| format!("{name:>17}")).concat());
    for forged in folders::all() {
        if wanted.as_ref().is_some_and(|wanted| !forged.name.contains(&**wanted)) {
            continue;
        }
        let costs = costs(&forged);
        let cells = costs.map(|cost| format!("{:>9.1} {:>7.1}", cost.millis, cost.mib));
        println!("{:<32}{}", forged.name, cells.concat());
        for (name, cost) in USES.into_iter().zip(costs) {
            let worst = worst.entry(name).or_default();
            for (worst, value) in worst.iter_mut().zip([cost.millis, cost.mib]) {
                if value > worst.0 {
                    *worst = (value, forged.name.clone());
                }
            }
        }
    }
    for (name, [(millis, slow), (mib, large)]) in worst {
        println!("RATIO folder/{name}_ms {millis:.1} <={MAX_MILLIS} ({slow})");
        println!("RATIO folder/{name}_mib {mib:.1} <={MAX_MIB} ({large})");
    }
}

/// The time of the fastest round and the most memory of each use: other work on the machine makes a use slower, and never faster.
fn costs(forged: &Forged) -> [Cost; USES.len()] {
    let mut answer = None;
    let rounds: Vec<[Cost; USES.len()]> = (0..ROUNDS)
        .map(|_| {
            let folder = place();
            forged.write(folder.path());
            let (costs, said) = use_all(folder.path());
            assert_eq!(*answer.get_or_insert_with(|| said.clone()), said, "{}", forged.name);
            costs
        })
        .collect();
    std::array::from_fn(|i| Cost {
        millis: rounds.iter().map(|round| round[i].millis).fold(f64::INFINITY, f64::min),
        mib: rounds.iter().map(|round| round[i].mib).fold(0.0, f64::max),
    })
}

/// A folder that costs no disk, so that a sync of it takes no time.
fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

/// Every use of the folder, each on its own, and what the folder said.
fn use_all(folder: &Path) -> ([Cost; USES.len()], Vec<u64>) {
    let mut said = Vec::new();
    let (pages, report) = measured(|| Story::read(folder).expect("a story").html().len() as u64);
    let (records, watch) = measured(|| watch(folder));
    let (telemetry, open) = measured(|| Telemetry::open(folder, Limits::default().bytes(8 << 20)));
    let status = telemetry.status();
    assert_eq!(status.mode, Mode::Durable);
    // The log of the one who opened it and the reader who opens nothing count the same records, but for what each leaves out.
    said.extend([pages, records, status.torn, status.quarantined, status.unacked, status.recovered]);
    let training: Vec<[f32; 1]> = (0..1000).map(|i| [(i % 50) as f32]).collect();
    let profile = Profile::fit().number("temp").of_rows(&training).expect("a profile");
    let builder = || Monitor::builder(Fake::echo(DType::F32).build(), telemetry.clone(), Columns::of("x", ["temp"]));
    let (given, build) = measured(|| builder().profile(profile).build().expect("a monitor"));
    let (learning, learning_build) = measured(|| builder().learn(10).build().expect("a monitor"));
    said.extend([&given, &learning].map(|monitor| monitor.report().totals.windows));
    let (points, sync) = measured(|| {
        let options = OutboxOptions::new("bench").privacy(Privacy::NONE);
        let mut outbox = Outbox::open(&telemetry, folder, options).expect("an outbox");
        let batch = outbox.next_batch(1 << 20).expect("a batch or none");
        batch.map_or(0, |batch| batch.records)
    });
    said.push(points);
    ([report, watch, open, build, learning_build, sync], said)
}

/// What the command `watch` works out for one screen.
fn watch(folder: &Path) -> u64 {
    let story = Story::read(folder).expect("a story");
    for model in &story.models {
        black_box((model.requests(), model.rows(), model.tokens(), model.latency(), model.accuracy()));
        let features =
            model.windows.iter().rev().find_map(|seen| seen.verdict.as_ref()).map_or(0, |v| v.features.len());
        (0..features).for_each(|feature| drop(black_box(model.psi(feature))));
        black_box(story.standing(model.info.slot).len());
    }
    story.records as u64
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (began, busy) = (Instant::now(), processor_ns());
    let (result, peak) = peak_of(work);
    let millis = match (busy, processor_ns()) {
        (Some(before), Some(after)) => (after - before) as f64 / 1e6,
        _ => began.elapsed().as_secs_f64() * 1e3,
    };
    (result, Cost { millis, mib: peak as f64 / f64::from(1 << 20) })
}

/// Nanoseconds that this thread has had of a processor, as Linux tells them.
fn processor_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
