//! Load of the machine by others, and the memory of this process: as the system tells, so far on Linux alone.

use std::fs;

use serde_json::{Value, json};

/// Others may take so many cores, and the machine still counts as quiet: a system is never quite still.
const QUIET: f64 = 0.1;

/// The time that all cores have spent since the machine began, in ticks, and how much of it this process has.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    all: u64,
    busy: u64,
    /// What the host took from this machine for another one.
    stolen: u64,
    own: u64,
}

/// A measurement that goes on.
pub(crate) struct Watch {
    begun: Option<Ticks>,
    average: Option<f64>,
}

/// What was measured. `None` where the system does not tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) cores: usize,
    /// Cores that others kept busy meanwhile, on average, those of another machine on the same host included.
    pub(crate) others: Option<f64>,
    /// The load average of the minute before.
    pub(crate) average: Option<f64>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let average = fs::read_to_string("/proc/loadavg").ok();
        Self { begun: Ticks::now(), average: average.and_then(|text| text.split(' ').next()?.parse().ok()) }
    }

    pub(crate) fn end(self) -> Load {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let others = self.begun.zip(Ticks::now()).and_then(|(begun, now)| now.others_since(begun));
        Load { cores, others, average: self.average }
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let all = fs::read_to_string("/proc/stat").ok()?;
        Self::parse(&all, &fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// Of the system's first line, `cpu user nice system idle iowait irq softirq steal …`, and of the process' fields
    /// 14 and 15, its user and system time.
    fn parse(system: &str, process: &str) -> Option<Self> {
        let line = system.lines().next()?.strip_prefix("cpu ")?;
        let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let [user, nice, kernel, idle, wait, irq, soft, stolen, ..] = fields[..] else { return None };
        let busy = user + nice + kernel + irq + soft;
        // The process' name may hold blanks and brackets.
        let (_, rest) = process.rsplit_once(") ")?;
        let own = rest.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
        Some(Self { all: busy + idle + wait + stolen, busy, stolen, own })
    }

    /// Cores that others kept busy since.
    fn others_since(self, begun: Self) -> Option<f64> {
        let since = |now: u64, begun: u64| now.saturating_sub(begun) as f64;
        let all = since(self.all, begun.all);
        let others = since(self.busy, begun.busy) - since(self.own, begun.own) + since(self.stolen, begun.stolen);
        // The system's ticks are those of all its cores, also where this process may use a part of them.
        let cores = fs::read_to_string("/proc/stat").ok()?.lines().filter(|line| is_core(line)).count();
        (all > 0.0).then(|| (others / all * cores.max(1) as f64).max(0.0))
    }
}

/// `cpu0 …`, but not the line of all of them.
fn is_core(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

impl Load {
    /// Whether nothing else was busy, where the system tells.
    pub(crate) fn is_alone(&self) -> Option<bool> {
        self.others.map(|others| others < QUIET)
    }

    pub(crate) fn in_words(&self) -> String {
        let others = match (self.is_alone(), self.others) {
            (Some(true), Some(others)) => {
                format!("beside nothing else on the machine (others kept {others:.2} cores busy)")
            }
            (Some(false), Some(others)) => {
                format!("BESIDE OTHER WORK, which kept {others:.2} cores busy: measure again on a quiet machine")
            }
            _ => {
                "what else the machine did is not known: it was over too soon, or it is not told by this system".into()
            }
        };
        let average = self.average.map_or(String::new(), |n| format!("; load average before: {n:.2}"));
        format!("{} cores, {others}{average}", self.cores)
    }

    pub(crate) fn in_json(&self) -> Value {
        json!({ "cores": self.cores, "cores_of_others": self.others, "load_average_before": self.average,
            "alone": self.is_alone() })
    }
}

/// Bytes of memory that this process holds now, and the most that it held.
pub(crate) fn resident() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    Some((kibibytes("VmRSS")? * 1024, kibibytes("VmHWM")? * 1024))
}

/// The processor's name.
pub(crate) fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests;
