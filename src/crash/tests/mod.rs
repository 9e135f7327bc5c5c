//! Tests of the crash record: its bytes, the ladder, the folder on a disk that loses power, and processes that really die.

#[cfg(unix)]
mod dying;
mod folder;
mod form;
mod ladder;

use super::death::{CrashPhase, time_of};
use super::format::{MarkFile, Subject};
use super::{Death, Exit, Way};
use crate::Digest;

const ASKED: Way = Way { backend: "ort", threads: 0, is_mapped: true, is_accelerated: false };

fn subject(n: u8) -> Subject {
    let (key, digest) = (Digest([n; 32]), Digest([n ^ 0xff; 32]));
    Subject { key, digest, model: "rain".into(), app_version: "1.2".into() }
}

fn mark(n: u8, signal: u64) -> MarkFile {
    MarkFile {
        subject: subject(1),
        runtime: "ONNX Runtime 1.31.1".into(),
        way: ASKED,
        rung: 0,
        id: [n; 16],
        begun: 1_700_000_000,
        process: 42,
        phase: CrashPhase::Open,
        runs: 0,
        signal,
        is_sure: signal != 0,
        died: if signal == 0 { 0 } else { 1_700_000_001 },
    }
}

fn death(n: u8, way: Way) -> Death {
    let mark = MarkFile { way, ..mark(n, 6) };
    Death { time: time_of(1_700_000_000 + u64::from(n)), ..mark.death(Some(6), true) }
}

fn unsure(n: u8, way: Way, phase: CrashPhase) -> Death {
    Death { is_sure: false, phase, ..death(n, way) }
}
