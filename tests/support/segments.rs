//! Segments of a telemetry log as somebody might forge them: well-formed frames around any payload.

#![allow(dead_code, reason = "each binary uses a part of this module")]

/// The boot of all segments.
pub(crate) const BOOT: [u8; 16] = [b'B'; 16];

/// The name of a segment.
pub(crate) fn name(epoch: u64, file: u32) -> String {
    format!("{epoch:016x}-{file:08x}.seg")
}

/// A header with a floor, and the number of the last record before it.
pub(crate) fn header(epoch: u64, floor: (u64, u64), before: u64) -> Vec<u8> {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(b"SELVSEGM");
    bytes[8] = 1;
    bytes[16..24].copy_from_slice(&epoch.to_le_bytes());
    bytes[24..40].copy_from_slice(&BOOT);
    bytes[40..48].copy_from_slice(&floor.0.to_le_bytes());
    bytes[48..56].copy_from_slice(&floor.1.to_le_bytes());
    bytes[56..64].copy_from_slice(&before.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[16..]), &bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes.to_vec()
}

/// A frame around a payload.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&len), payload).to_le_bytes();
    [b"\xf5FRM", &len[..], &crc, payload].concat()
}

/// The beginning of a frame that is not whole: it says that it has so many bytes.
pub(crate) fn broken_frame(len: u32) -> Vec<u8> {
    [b"\xf5FRM", &len.to_le_bytes()[..], &[0; 4]].concat()
}

/// A segment of these payloads.
pub(crate) fn segment(epoch: u64, payloads: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    payloads.into_iter().fold(header(epoch, (0, 0), 0), |mut file, payload| {
        file.extend(frame(&payload));
        file
    })
}

/// A number as LEB128.
pub(crate) fn number(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

pub(crate) fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| number(*n)).collect()
}

fn text(text: &[u8]) -> Vec<u8> {
    [number(text.len() as u64), text.to_vec()].concat()
}

/// So many counts of zero.
pub(crate) fn zeros(n: u64) -> Vec<u8> {
    numbers(&[n, 0, n - 1])
}

/// A window; each feature as it stands in the file.
pub(crate) struct Window {
    pub(crate) seq: u64,
    pub(crate) model: u64,
    pub(crate) index: u64,
    pub(crate) rows: u64,
    pub(crate) features: Vec<Vec<u8>>,
    pub(crate) outcomes: Vec<(u64, u64)>,
    pub(crate) classes: Vec<(u64, u64)>,
    /// Bytes that say nothing, behind the record.
    pub(crate) padding: usize,
}

impl Window {
    /// The smallest one.
    pub(crate) fn new(seq: u64) -> Self {
        let (features, outcomes, classes) = (vec![], vec![], vec![]);
        Self { seq, model: 7, index: seq, rows: 1, features, outcomes, classes, padding: 0 }
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let Self { seq, model, index, rows, .. } = *self;
        let pairs = |pairs: &[(u64, u64)]| {
            let all: Vec<u8> = pairs.iter().flat_map(|(key, n)| numbers(&[*key, *n])).collect();
            [number(pairs.len() as u64), all].concat()
        };
        let stamp = numbers(&[0, seq, seq]);
        let exponential = numbers(&[8, 0, 0, 0, 0, 0, 0]);
        let mut payload = [
            vec![4],
            numbers(&[seq, seq, model, index, rows]),
            stamp.clone(),
            stamp,
            number(self.features.len() as u64),
            self.features.concat(),
            pairs(&self.outcomes),
            pairs(&self.classes),
            numbers(&[0, 0]),
            exponential.clone(),
            exponential,
            numbers(&[rows, rows]),
            number(0),
        ]
        .concat();
        if self.padding > 0 {
            payload.extend(numbers(&[2, self.padding as u64]));
            payload.resize(payload.len() + self.padding, 0xff);
        }
        payload
    }
}

/// A boot mark; the smallest record with a number of its own.
pub(crate) fn boot(seq: u64) -> Vec<u8> {
    [vec![1], numbers(&[seq, seq, 0, 0, 0])].concat()
}

/// A pair of clocks, in the year 2026.
pub(crate) fn anchor(seq: u64) -> Vec<u8> {
    [vec![2], numbers(&[seq, seq, seq, 2 * 1_770_000_000_000_000_000, 0])].concat()
}

pub(crate) fn model(seq: u64, slot: u32, digest: [u8; 32], profile: &[u8]) -> Vec<u8> {
    let head = [vec![3], numbers(&[seq, seq, slot.into()]), text(b"m"), number(0), digest.to_vec(), text(b"b")];
    [head.concat(), text(profile), vec![0; 32]].concat()
}

pub(crate) fn alert(seq: u64, feature: &str, raised: bool) -> Vec<u8> {
    let head = [vec![5], numbers(&[seq, seq, 7]), text(b"shift"), number(1), text(feature.as_bytes())];
    [head.concat(), numbers(&[1, raised.into(), 0, seq, seq, 0, 0])].concat()
}

pub(crate) fn feedback(seq: u64) -> Vec<u8> {
    [vec![6], numbers(&[seq, seq, 7, 0, 0, 0, 0])].concat()
}

pub(crate) fn drops(seq: u64, totals: &[(u64, u64)]) -> Vec<u8> {
    let pairs: Vec<u8> = totals.iter().flat_map(|(reason, n)| numbers(&[*reason, *n])).collect();
    [vec![7], numbers(&[seq, seq, totals.len() as u64]), pairs].concat()
}

/// All up to here is acknowledged.
pub(crate) fn floor(epoch: u64, seq: u64) -> Vec<u8> {
    numbers(&[0, epoch, seq])
}

/// A drift profile of numeric features of two edges, four bins each: as many rows in the first bin.
pub(crate) fn profile(features: u16, rows: u64) -> Vec<u8> {
    let mut out = [b"SVDP", &[1, 0, 0, 0][..], &[0x11; 32], &1u32.to_le_bytes(), &features.to_le_bytes()].concat();
    out.extend(number(rows));
    for _ in 0..features {
        out.extend([1, b'f', 0, 0, 0, 2]);
        out.extend(1f32.to_le_bytes());
        out.extend(2f32.to_le_bytes());
        out.extend(numbers(&[rows, 0, 0, 0]));
        out.extend([0, 0]);
    }
    out.extend(crc32c::crc32c(&out).to_le_bytes());
    out
}
