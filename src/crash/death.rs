//! Deaths: when, where and by what a process ended.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::way::Way;

/// The death of a process inside an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// The time, by the clock of the machine.
    pub time: SystemTime,
    /// What the engine was doing.
    pub phase: CrashPhase,
    /// The signal, such as 6 (`SIGABRT`) or 11 (`SIGSEGV`); `None` where the platform has none or only it knows.
    pub signal: Option<i32>,
    /// The backend: `llama`, `ort`, `rten`, `tract` or `table`.
    pub backend: String,
    /// The runtime with its version.
    pub runtime: String,
    /// The rung of the ladder that the engine stood on; 0 for as the app asked.
    pub rung: u32,
    /// Whether the evidence is sure. Two deaths in the same phase of which it is not count as one.
    pub is_sure: bool,
    pub(super) id: [u8; 16],
    pub(super) way: Way,
}

/// What an engine was doing when its process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrashPhase {
    /// It was being opened.
    Open,
    /// It was open, and nothing had been asked of it.
    Idle,
    /// It computed, and had not given an answer yet.
    FirstUse,
    /// It had given an answer.
    LaterUse,
}

impl CrashPhase {
    const ALL: [CrashPhase; 4] = [CrashPhase::Open, CrashPhase::Idle, CrashPhase::FirstUse, CrashPhase::LaterUse];

    /// The number in a file.
    pub(super) const fn number(self) -> u8 {
        match self {
            CrashPhase::Open => 1,
            CrashPhase::Idle => 2,
            CrashPhase::FirstUse => 3,
            CrashPhase::LaterUse => 4,
        }
    }

    pub(super) fn of_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| u64::from(phase.number()) == number)
    }

    /// Whether no answer had come: a process that ends then without a word may have been ended by the model.
    pub(super) const fn is_early(self) -> bool {
        matches!(self, CrashPhase::Open | CrashPhase::FirstUse)
    }
}

impl fmt::Display for CrashPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CrashPhase::Open => "while it was opened",
            CrashPhase::Idle => "before its first use",
            CrashPhase::FirstUse => "in its first use",
            CrashPhase::LaterUse => "in a later use",
        })
    }
}

/// What a platform says of the end of a process; see [`CrashRecord::explain`](super::CrashRecord::explain).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// Native code crashed, with this signal if it is known: `REASON_CRASH_NATIVE` of Android's `ApplicationExitInfo`.
    NativeCrash(Option<i32>),
    /// Something else ended it: the user, the system, want of memory, an update.
    Otherwise,
}

impl fmt::Display for Death {
    /// `2026-11-29T16:20:01Z in its first use with ONNX Runtime 1.31.1, by signal 11 (SIGSEGV)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} with {}", Utc(self.time), self.phase, self.runtime)?;
        if self.rung > 0 {
            write!(f, ", {}", self.way)?;
        }
        match self.signal {
            Some(signal) => write!(f, ", by signal {signal}{}", name_of(signal)),
            None => f.write_str(", by no known signal"),
        }
    }
}

/// The name of a signal that is a fault, in brackets. Its number is the same on all systems but for SIGBUS.
fn name_of(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        11 => " (SIGSEGV)",
        7 if cfg!(any(target_os = "linux", target_os = "android")) => " (SIGBUS)",
        10 if cfg!(target_vendor = "apple") => " (SIGBUS)",
        _ => "",
    }
}

/// A time as RFC 3339 has it, in seconds.
struct Utc(SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(seconds_of(self.0)).unwrap_or(i64::MAX);
        let Ok(t) = time::OffsetDateTime::from_unix_timestamp(seconds) else { return write!(f, "{seconds} s") };
        let (date, time) = (t.date(), t.time());
        let (hour, minute, second) = time.as_hms();
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())?;
        write!(f, "T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Seconds since 1970; 0 for a clock that stands before.
pub(super) fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time of so many seconds since 1970; the clock cannot tell of those beyond all bounds.
pub(super) fn time_of(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}
