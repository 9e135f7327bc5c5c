//! A fleet of devices: each records a few weeks offline and then posts to one Collector. See the README beside this file.
//!
//! `examples/fleet/run` starts a Collector, runs this, and puts the statistics of the fleet together in SQL.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use selvedge::drift::statistic::{chi2, psi};
use selvedge::drift::{CellValue, Profile, Row, WindowCounts};
use selvedge::sync::{Batch, Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{
    Durability, Exponential, Limits, ModelInfo, ModelSlot, Outcome, Record, Stamp, Telemetry, Window,
};
use sha2::{Digest, Sha256};
use ureq::Agent;

const WEEKS: u64 = 4;
const WINDOWS_PER_WEEK: u64 = 2;
const ROWS: u64 = 256;
const WEEK: u64 = 7 * 24 * 3600 * 1_000_000_000;
const SKIES: [&str; 3] = ["clear", "cloud", "rain"];

/// One row of the model's input.
struct Weather {
    wind: f32,
    temperature: f32,
    humidity: f32,
    sky: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, out, rest @ ..] = &args[..] else {
        return Err("usage: fleet ENDPOINT OUT [DEVICES [MIN_COUNT]]".into());
    };
    let devices: u64 = rest.first().map_or(Ok(10_000), |n| n.parse())?;
    let min_count: u64 = rest.get(1).map_or(Ok(1), |n| n.parse())?;
    let (out, begun) = (PathBuf::from(out), Instant::now());
    fs::create_dir_all(&out)?;

    let profile = reference()?;
    let mut truth = Truth::new();
    let mut fleet = Fleet { agent: Agent::new_with_defaults(), endpoint, sent: Sent::default(), min_count };
    for device in 0..devices {
        fleet.device(device, &profile, &mut truth)?;
        if (device + 1) % 1000 == 0 {
            eprintln!("{} devices, {:.0} s", device + 1, begun.elapsed().as_secs_f64());
        }
    }
    truth.write(&out, &profile)?;

    let Sent { batches, plain, wire } = fleet.sent;
    let device_days = (devices * WEEKS * 7) as f64;
    println!("{devices} devices, {WEEKS} weeks, {batches} batches in {:.0} s", begun.elapsed().as_secs_f64());
    println!(
        "{:.0} bytes per device and day on the wire (gzip), {:.0} before",
        wire as f64 / device_days,
        plain as f64 / device_days
    );
    Ok(())
}

/// What the model was trained on.
fn reference() -> selvedge::Result<Profile> {
    let fit = Profile::fit().model([7; 32]).number("wind").number("temperature").number("humidity").category("sky");
    fit.stream(|sink| {
        let mut random = Random(1);
        (0..20_000).try_for_each(|_| {
            let weather = random.weather(0.0);
            let numbers = [weather.wind, weather.temperature, weather.humidity].map(CellValue::Number);
            sink(&Row::new(&[numbers[0], numbers[1], numbers[2], CellValue::Category(weather.sky)]))
        })
    })
}

/// What all devices together saw, counted from their raw rows.
struct Truth {
    counts: BTreeMap<(&'static str, u64), Vec<Vec<u64>>>,
    start: u64,
}

impl Truth {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        Self { counts: BTreeMap::new(), start: now }
    }

    fn add(&mut self, version: &'static str, week: u64, bins: &[u8], profile: &Profile) {
        let empty = || profile.features.iter().map(|f| vec![0; f.bins.len()]).collect();
        let counts = self.counts.entry((version, week)).or_insert_with(empty);
        for (counts, bin) in counts.iter_mut().zip(bins) {
            let last = counts.len() - 1;
            counts[usize::from(*bin).min(last)] += 1;
        }
    }

    fn write(&self, out: &std::path::Path, profile: &Profile) -> std::io::Result<()> {
        let mut counts = BufWriter::new(File::create(out.join("truth.csv"))?);
        let mut statistics = BufWriter::new(File::create(out.join("statistics.csv"))?);
        writeln!(counts, "version,week,feature,bin,reference,rows")?;
        writeln!(statistics, "version,week,feature,psi,chi2")?;
        for ((version, week), features) in &self.counts {
            for (feature, window) in profile.features.iter().zip(features) {
                for (bin, (reference, rows)) in feature.counts.iter().zip(window).enumerate() {
                    let name = feature.bins.name(bin);
                    writeln!(counts, "{version},{week},{},\"{bin}:{name}\",{reference},{rows}", feature.name)?;
                }
                let (psi, chi2) = (psi(&feature.counts, window), chi2(&feature.counts, window).statistic);
                writeln!(statistics, "{version},{week},{},{psi:e},{chi2:e}", feature.name)?;
            }
        }
        fs::write(out.join("start"), self.start.to_string())
    }
}

#[derive(Default)]
struct Sent {
    batches: u64,
    plain: u64,
    wire: u64,
}

struct Fleet<'a> {
    agent: Agent,
    endpoint: &'a str,
    sent: Sent,
    min_count: u64,
}

impl Fleet<'_> {
    /// One device's weeks, and its batch. Half of the fleet runs version 4, whose wind sensor reads ever higher.
    fn device(&mut self, device: u64, profile: &Profile, truth: &mut Truth) -> Result<(), Box<dyn Error>> {
        let (version, creep) = if device.is_multiple_of(2) { ("3", 0.0) } else { ("4", 0.1) };
        let folder = Folder::new(device)?;
        let limits = Limits::default().lanes(3).slots(64).durability(Durability::Process);
        let telemetry = Telemetry::open(&folder.0, limits);
        let bytes = profile.encode();
        let info = ModelInfo {
            slot: ModelSlot(1),
            name: "rain".into(),
            version: Some(version.into()),
            digest: Sha256::digest(version).into(),
            backend: "tract".into(),
            profile_digest: Sha256::digest(&bytes).into(),
            profile: bytes,
            ..ModelInfo::default()
        };
        telemetry.seal(&Record::Model(info))?;

        let mut random = Random(device * 7919 + 3);
        let begun = telemetry.now();
        // The weeks lie ahead of the clock: nobody waits for them.
        let at = |window: u64| Stamp { monotonic_ns: begun.monotonic_ns + window * WEEK / WINDOWS_PER_WEEK, ..begun };
        for window in 0..WEEKS * WINDOWS_PER_WEEK {
            let week = window / WINDOWS_PER_WEEK;
            let mut counts = WindowCounts::new(profile);
            let mut latency = Exponential::default();
            for _ in 0..ROWS {
                let weather = random.weather(creep * week as f32);
                let bins = bins(profile, &weather);
                counts.add_row(&bins);
                truth.add(version, week, &bins, profile);
                latency.record(700 + random.next() % 500);
            }
            // It closes well within its week, whichever second the device began.
            let closed = Stamp { monotonic_ns: at(window + 1).monotonic_ns - WEEK / 8, ..begun };
            let features = counts.features;
            let outcomes = vec![(Outcome::answered(1), ROWS)];
            let sealed = Window {
                model_slot: ModelSlot(1),
                index: window,
                rows: ROWS,
                opened: at(window),
                closed,
                features,
                outcomes,
                latency,
                ..Window::default()
            };
            telemetry.seal(&Record::Window(sealed))?;
        }

        let options = OutboxOptions::new("fleet")
            .app_version("1.0")
            .privacy(Privacy::default().min_count(self.min_count))
            .interval(Duration::from_secs(3600));
        let mut outbox = Outbox::open(&telemetry, &folder.0, options)?;
        while let Some(batch) = outbox.next_batch(1 << 20)? {
            self.post(&batch)?;
            outbox.ack(&batch)?;
        }
        Ok(())
    }

    fn post(&mut self, batch: &Batch) -> Result<(), Box<dyn Error>> {
        for (path, body) in batch.requests() {
            let mut request = self.agent.post(format!("{}{path}", self.endpoint)).content_type(Batch::CONTENT_TYPE);
            if let Some(encoding) = batch.encoding.header() {
                request = request.header("Content-Encoding", encoding);
            }
            request.send(body)?;
            self.sent.wire += body.len() as u64;
            self.sent.plain += gunzipped(body)?;
        }
        self.sent.batches += 1;
        Ok(())
    }
}

fn gunzipped(body: &[u8]) -> std::io::Result<u64> {
    std::io::copy(&mut flate2::read::GzDecoder::new(body), &mut std::io::sink())
}

fn bins(profile: &Profile, weather: &Weather) -> [u8; 4] {
    let of = |i: usize| &profile.features[i].bins;
    let numbers = [weather.wind, weather.temperature, weather.humidity];
    [of(0).of(numbers[0]), of(1).of(numbers[1]), of(2).of(numbers[2]), of(3).of_category(weather.sky)]
}

struct Random(u64);

impl Random {
    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// About normal, by the sum of twelve uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// Wind is shifted by so many deviations; one humidity in a hundred is missing.
    fn weather(&mut self, shift: f32) -> Weather {
        let wind = 3.0 + self.normal() + shift;
        let temperature = 12.0 + 6.0 * self.normal();
        let humidity = if self.next().is_multiple_of(100) { f32::NAN } else { 70.0 + 9.0 * self.normal() };
        Weather { wind, temperature, humidity, sky: SKIES[(self.unit() * self.unit() * 3.0) as usize] }
    }
}

/// A folder that goes when the device does.
struct Folder(PathBuf);

impl Folder {
    fn new(device: u64) -> std::io::Result<Self> {
        // In memory where there is such a file system: ten thousand devices share this machine's disk.
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = base.join(format!("selvedge-fleet-{}-{device}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
