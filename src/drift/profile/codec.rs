//! Profile bytes, written and read; they are drawn in `layout.md`.

use super::super::fourier::Fourier;
use super::bins::Bins;
use super::reference::{EmbeddingProfile, FeatureProfile, FeatureSource, Moments, Profile, Reliability, Runs};
use crate::{Code, Error, Result};

const MAGIC: &[u8; 4] = b"SVDP";
const VERSION: u16 = 1;
const LEARNED: u16 = 1;
/// An embedding whose features were cosines; no version writes it any more.
const COSINES: u16 = 2;
const RELIABILITY: u16 = 4;
const EMBEDDING: u16 = 8;
/// Runs of each feature, behind all the rest.
const RUNS: u16 = 16;
const HEAD: usize = 46;
/// The values of numeric bins are their upper edges.
const UPPER_EDGES: u8 = 1;
/// The values of numeric bins are written behind the edges.
const VALUES: u8 = 2;

impl Profile {
    /// The profile's bytes: versioned, with a checksum. The layout is drawn at [`Profile::decode`].
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a profile's bytes.
    ///
    /// # Layout
    ///
    #[doc = include_str!("layout.md")]
    ///
    /// # Errors
    ///
    /// `Corrupt` for bytes that break the layout (truncated, wrong checksum, counts that do not add up, edges that do
    /// not rise, anything after the end), `Unsupported` for a version this build does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        read(bytes).map_err(|e| e.during("reading a drift profile"))
    }
}

// --- Writing ----------------------------------------------------------------------------------------------------------

fn encode(profile: &Profile) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    let flag = |set: bool, flag: u16| if set { flag } else { 0 };
    let flags = flag(profile.learned, LEARNED)
        | flag(profile.embedding.is_some(), EMBEDDING)
        | flag(profile.reliability.is_some(), RELIABILITY)
        | flag(has_runs(profile), RUNS);
    out.extend(flags.to_le_bytes());
    out.extend(profile.model);
    out.extend(profile.block.to_le_bytes());
    out.extend((profile.features.len() as u16).to_le_bytes());
    varint(&mut out, profile.rows);
    profile.features.iter().for_each(|f| feature(&mut out, f));
    if let Some(embedding) = &profile.embedding {
        out.extend(embedding.fourier.seed().to_le_bytes());
        out.extend((embedding.fourier.width() as u32).to_le_bytes());
        out.extend(embedding.fourier.scale().to_le_bytes());
        varint(&mut out, embedding.rows);
        embedding.positive.iter().for_each(|n| varint(&mut out, *n));
        weights(&mut out, &embedding.weights);
    }
    if let Some(reliability) = &profile.reliability {
        for (rows, right) in reliability.rows.iter().zip(&reliability.right) {
            varint(&mut out, *rows);
            varint(&mut out, *right);
        }
    }
    if has_runs(profile) {
        let runs = profile.features.iter().filter_map(|f| f.runs);
        out.extend(runs.flat_map(|r| [r.endurance, r.cluster]).flat_map(f32::to_le_bytes));
    }
    out.extend(crc32c::crc32c(&out).to_le_bytes());
    out
}

/// Whether all features have runs: a profile has them of all or of none.
fn has_runs(profile: &Profile) -> bool {
    !profile.features.is_empty() && profile.features.iter().all(|f| f.runs.is_some())
}

fn feature(out: &mut Vec<u8>, feature: &FeatureProfile) {
    text(out, &feature.name);
    out.push(feature.source as u8);
    match &feature.bins {
        Bins::Numeric { edges, values } => {
            let kind = value_kind(edges, values);
            out.extend([0, kind, edges.len() as u8]);
            out.extend(edges.iter().flat_map(|e| e.to_le_bytes()));
            let written = if kind == VALUES { &values[..] } else { &[] };
            out.extend(written.iter().flat_map(|v| v.to_le_bytes()));
        }
        Bins::Categories(categories) => {
            out.extend([1, categories.names().len() as u8]);
            categories.names().iter().for_each(|n| text(out, n));
        }
    }
    feature.counts.iter().for_each(|c| varint(out, *c));
    out.push(u8::from(feature.moments.is_some()));
    if let Some(m) = &feature.moments {
        out.extend([m.min, m.max].iter().flat_map(|x| x.to_le_bytes()));
        out.extend([m.mean, m.deviation].iter().flat_map(|x| x.to_le_bytes()));
    }
    weights(out, &feature.dependence);
}

/// No value stands for its bin, each bin's upper edge does, or the values follow.
fn value_kind(edges: &[f32], values: &[f32]) -> u8 {
    let are_edges = values.iter().zip(&edges[1..]).all(|(v, e)| v.to_bits() == e.to_bits());
    match values.is_empty() {
        true => 0,
        false if are_edges => UPPER_EDGES,
        false => VALUES,
    }
}

fn weights(out: &mut Vec<u8>, weights: &[f32]) {
    out.push(weights.len() as u8);
    out.extend(weights.iter().flat_map(|w| w.to_le_bytes()));
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend(text.as_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

// --- Reading ----------------------------------------------------------------------------------------------------------

fn read(bytes: &[u8]) -> Result<Profile> {
    if bytes.len() < HEAD + 5 || !bytes.starts_with(MAGIC) {
        return Err(Error::corrupt(format!("expected a profile of at least {} bytes, magic SVDP", HEAD + 5)));
    }
    let version = u16::from_le_bytes([bytes[4], bytes[5]]);
    if version != VERSION {
        return Err(Error::new(Code::Unsupported, format!("profile version: expected {VERSION}, got {version}")));
    }
    let (body, crc) = bytes.split_at(bytes.len() - 4);
    let (want, got) = (u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]), crc32c::crc32c(body));
    if want != got {
        return Err(Error::corrupt(format!("checksum: expected {want:08x}, got {got:08x}")));
    }
    let mut r = Reader { left: &body[6..], length: body.len() };
    let flags = u16::from_le_bytes(r.array()?);
    if flags & !(LEARNED | COSINES | EMBEDDING | RELIABILITY | RUNS) != 0 {
        return Err(r.corrupt(format!("flags: got {flags:#x}, which this version does not know")));
    }
    if flags & COSINES != 0 {
        let wants = "expected the signs of its Fourier features, got their means";
        return Err(Error::unsupported(format!("profile: embedding: {wants}; fit the profile anew")));
    }
    let model = r.array()?;
    let block = u32::from_le_bytes(r.array()?);
    let features = u16::from_le_bytes(r.array()?);
    let rows = r.varint()?;
    if block == 0 || rows == 0 {
        return Err(r.corrupt("block and rows: expected at least 1 of each"));
    }
    let mut features = (0..features).map(|_| r.feature(rows)).collect::<Result<Vec<_>>>()?;
    let embedding = if flags & EMBEDDING != 0 { Some(r.embedding()?) } else { None };
    let reliability = if flags & RELIABILITY != 0 { Some(r.reliability()?) } else { None };
    if flags & RUNS != 0 && features.is_empty() {
        return Err(r.corrupt("runs: expected features to have them, got none"));
    }
    if flags & RUNS != 0 {
        features.iter_mut().try_for_each(|f| r.runs().map(|runs| f.runs = Some(runs)))?;
    }
    match r.left.len() {
        0 => Ok(Profile { model, rows, learned: flags & LEARNED != 0, block, features, embedding, reliability }),
        n => Err(r.corrupt(format!("{n} bytes too many"))),
    }
}

struct Reader<'a> {
    left: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    fn corrupt(&self, what: impl Into<String>) -> Error {
        Error::corrupt(format!("byte {}: {}", self.length - self.left.len(), what.into()))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some((taken, left)) = self.left.split_at_checked(n) else {
            return Err(self.corrupt(format!("expected {n} more bytes, got {}", self.left.len())));
        };
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(format!("expected 0 or 1, got {other}"))),
        }
    }

    fn f32(&mut self) -> Result<f32> {
        let value = f32::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(self.corrupt("expected a finite number")) }
    }

    fn f64(&mut self) -> Result<f64> {
        let value = f64::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(self.corrupt("expected a finite number")) }
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7F);
            if part << shift >> shift != part || byte == 0 && shift > 0 {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a varint too long"))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.byte()?;
        let bytes = self.take(usize::from(length))?;
        String::from_utf8(bytes.to_vec()).map_err(|e| self.corrupt("a name that is not UTF-8").because(e))
    }

    fn weights(&mut self, most: usize) -> Result<Vec<f32>> {
        let n = usize::from(self.byte()?);
        let weights = (0..n).map(|_| self.f32()).collect::<Result<Vec<f32>>>()?;
        if n > most || weights.iter().any(|w| *w < 0.0) || weights.windows(2).any(|w| w[0] < w[1]) {
            return Err(self.corrupt(format!("weights: expected at most {most}, falling, got {weights:?}")));
        }
        Ok(weights)
    }

    fn feature(&mut self, rows: u64) -> Result<FeatureProfile> {
        let name = self.text()?;
        let source = match self.byte()? {
            0 => FeatureSource::Input,
            1 => FeatureSource::Class,
            2 => FeatureSource::Confidence,
            3 => FeatureSource::Entropy,
            4 => FeatureSource::Latency,
            5 => FeatureSource::Length,
            other => return Err(self.corrupt(format!("feature '{name}': source {other} is unknown"))),
        };
        let bins = self.bins().map_err(|e| e.during(format!("reading feature '{name}'")))?;
        let counts = (0..bins.len()).map(|_| self.varint()).collect::<Result<Vec<u64>>>()?;
        let sum = counts.iter().try_fold(0u64, |sum, c| sum.checked_add(*c));
        if sum != Some(rows) {
            return Err(self.corrupt(format!("feature '{name}': expected counts of {rows} rows, got {sum:?}")));
        }
        let moments = if self.flag()? {
            Some(Moments { min: self.f32()?, max: self.f32()?, mean: self.f64()?, deviation: self.f64()? })
        } else {
            None
        };
        let dependence = self.weights(bins.len())?;
        Ok(FeatureProfile { name, source, bins, counts, moments, dependence, runs: None })
    }

    fn runs(&mut self) -> Result<Runs> {
        let (endurance, cluster) = (self.f32()?, self.f32()?);
        if endurance <= 0.0 || cluster < 1.0 {
            let wants = "expected an endurance above 0 and a cluster of at least 1";
            return Err(self.corrupt(format!("runs: {wants}, got {endurance} and {cluster}")));
        }
        Ok(Runs { endurance, cluster })
    }

    fn bins(&mut self) -> Result<Bins> {
        let kind = self.byte()?;
        let bins = match kind {
            0 => {
                let kind = self.byte()?;
                let count = self.byte()?;
                let edges = (0..count).map(|_| self.f32()).collect::<Result<Vec<f32>>>()?;
                let values = match kind {
                    0 => Vec::new(),
                    UPPER_EDGES => edges.iter().skip(1).copied().collect(),
                    VALUES => (1..count).map(|_| self.f32()).collect::<Result<_>>()?,
                    other => return Err(self.corrupt(format!("kind of values: expected 0 to 2, got {other}"))),
                };
                let bins = Bins::numeric(edges.clone()).map_err(|e| self.corrupt(e.message()))?;
                if value_kind(&edges, &values) != kind {
                    return Err(self.corrupt("values of bins: expected them in their shortest form"));
                }
                let valued = if values.is_empty() { Some(bins) } else { bins.with_values(values) };
                valued.ok_or_else(|| Error::corrupt("values of bins: expected one inside each"))
            }
            1 => {
                let names = self.byte()?;
                Bins::categories((0..names).map(|_| self.text()).collect::<Result<_>>()?)
            }
            other => return Err(self.corrupt(format!("kind {other} is unknown"))),
        };
        bins.map_err(|e| self.corrupt(e.message()))
    }

    fn embedding(&mut self) -> Result<EmbeddingProfile> {
        let seed = u32::from_le_bytes(self.array()?);
        let width = u32::from_le_bytes(self.array()?) as usize;
        let scale = self.f32()?;
        let rows = self.varint()?;
        let positive = (0..Fourier::FEATURES).map(|_| self.varint()).collect::<Result<Vec<_>>>()?;
        if positive.iter().any(|n| *n > rows) {
            return Err(self.corrupt("embedding: more rows of one sign than there are"));
        }
        let weights = self.weights(Fourier::FEATURES)?;
        let fourier = Fourier::new(seed, width, scale).map_err(|e| self.corrupt(e.message()))?;
        Ok(EmbeddingProfile { fourier, positive, rows, weights })
    }

    fn reliability(&mut self) -> Result<Reliability> {
        let mut table = Reliability::default();
        for bin in 0..Reliability::BINS {
            (table.rows[bin], table.right[bin]) = (self.varint()?, self.varint()?);
            if table.right[bin] > table.rows[bin] {
                return Err(self.corrupt("reliability: more rows right than there are"));
            }
        }
        Ok(table)
    }
}
