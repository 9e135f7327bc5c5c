//! Streams of scalars, one value per answer, each with a detector of change.

use crate::drift::{Detector, DetectorState};
use crate::telemetry::Inference;
use crate::{Error, Result};

/// A detector each on confidence, errors and latency.
#[derive(Debug)]
pub(super) struct Streams {
    streams: [StreamDetector; 3],
}

#[derive(Debug)]
struct StreamDetector {
    stream: MonitoredStream,
    watcher: DetectorState,
    /// The mean before the last change, while it is not known to be of no matter.
    before: Option<f64>,
}

/// A stream of scalars, one of every answer, with a [`Detector`](crate::drift::Detector).
///
/// A change raises an alert where it is for the worse and large enough for somebody to care: a confidence that fell by
/// 0.05, 1 % more errors, answers that take half as long again and a millisecond longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MonitoredStream {
    /// The mean confidence of answers, in 0..=1.
    Confidence,
    /// The share of requests that failed by the engine's own fault.
    Errors,
    /// The geometric mean of the latencies of answers, in milliseconds.
    Latency,
}

impl MonitoredStream {
    pub(super) const ALL: [MonitoredStream; 3] =
        [MonitoredStream::Confidence, MonitoredStream::Errors, MonitoredStream::Latency];

    /// `confidence`, `errors` or `latency`.
    pub fn name(self) -> &'static str {
        match self {
            MonitoredStream::Confidence => "confidence",
            MonitoredStream::Errors => "errors",
            MonitoredStream::Latency => "latency",
        }
    }

    /// The least deviation of the values that a detector sees: a point of confidence, one failure in a hundred
    /// requests, a twentieth of the latency. What is less matters to nobody.
    fn min_deviation(self) -> f64 {
        match self {
            MonitoredStream::Confidence => 0.01,
            MonitoredStream::Errors => 0.1,
            MonitoredStream::Latency => 0.05,
        }
    }

    /// From the scale that the detector sees to the unit of the stream.
    fn scaled(self, mean: f64) -> f64 {
        if self == MonitoredStream::Latency { mean.exp() } else { mean }
    }

    /// Whether a change is large enough for somebody to care. One for the better is no cause.
    fn matters(self, before: f64, after: f64) -> bool {
        match self {
            MonitoredStream::Confidence => before - after >= 0.05,
            MonitoredStream::Errors => after - before >= 0.01,
            MonitoredStream::Latency => after >= 1.5 * before && after - before >= 1.0,
        }
    }
}

/// A shift: a change that a detector has found in a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shift {
    /// The stream.
    pub stream: MonitoredStream,
    /// The mean before the change was found.
    pub before: f64,
    /// The mean since.
    pub after: f64,
}

/// Values after a change from which its size is known, and from which it is settled.
const MIN_MEASURED: u64 = 32;
const MIN_SETTLED: u64 = 128;

impl Streams {
    /// A detector per stream, in the order of [`MonitoredStream::ALL`].
    pub(super) fn new(detectors: &[Detector; 3]) -> Result<Self> {
        let [confidence, errors, latency] =
            MonitoredStream::ALL.map(|stream| StreamDetector::new(stream, detectors[stream as usize]));
        Ok(Self { streams: [confidence?, errors?, latency?] })
    }

    /// Adds a record; gives the shifts found.
    pub(super) fn update(&mut self, inference: &Inference, found: &mut Vec<Shift>) {
        let outcome = inference.outcome;
        for detector in &mut self.streams {
            let value = match detector.stream {
                MonitoredStream::Confidence if outcome.is_answer() => {
                    Inference::unit(inference.confidence).map(f64::from)
                }
                MonitoredStream::Errors if !outcome.is_further() => Some(f64::from(u8::from(outcome.is_fault()))),
                MonitoredStream::Latency if outcome.is_answer() && !outcome.is_further() => {
                    Some((f64::from(inference.latency_us.max(1)) / 1e3).ln())
                }
                _ => None,
            };
            found.extend(value.and_then(|value| detector.update(value)));
        }
    }

    /// The streams that are worse than before their last change, by enough to matter.
    pub(super) fn worse(&self) -> impl Iterator<Item = Shift> {
        self.streams.iter().filter(|detector| detector.watcher.width() >= MIN_MEASURED).filter_map(|detector| {
            let (stream, before, after) = (detector.stream, detector.before?, detector.mean());
            stream.matters(before, after).then_some(Shift { stream, before, after })
        })
    }
}

impl StreamDetector {
    fn new(stream: MonitoredStream, detector: Detector) -> Result<Self> {
        let name = stream.name();
        if detector == Detector::Ddm && stream != MonitoredStream::Errors {
            return Err(Error::invalid(format!("detector of {name}: expected one for numbers, got DDM, for failures")));
        }
        let watcher = detector
            .watch(stream.min_deviation())
            .map_err(|e| Error::invalid(format!("detector of {name}: {}", e.message())))?;
        Ok(Self { stream, watcher, before: None })
    }

    fn update(&mut self, value: f64) -> Option<Shift> {
        let before = self.mean();
        let changed = self.watcher.update(value);
        let (stream, after) = (self.stream, self.mean());
        if changed {
            self.before.get_or_insert(before);
        }
        // At the change itself the mean may still hold values from before it; it begins anew with the next one.
        if let Some(before) = self.before
            && !changed
            && self.watcher.width() >= MIN_SETTLED
            && !stream.matters(before, after)
        {
            self.before = None;
        }
        changed.then_some(Shift { stream, before, after })
    }

    fn mean(&self) -> f64 {
        self.stream.scaled(self.watcher.mean())
    }
}
