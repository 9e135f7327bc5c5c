//! A version that ends the process: the starts that it costs, as processes of their own, and what the next one makes of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use selvedge::layer::deployment::{RolloutPhase, RolloutPlan};
use selvedge::{Code, Error, OpenProgress, Options, Result};

use crate::rollout::Rollout;
use crate::weather::io;

/// The name of the version, and of the variable by which a process knows that it is a start which dies of it.
pub(crate) const VERSION: &str = "v4";
const START: &str = "QUICKSTART_START";

/// Where this process is a start that dies: the folder of the program.
pub(crate) fn start() -> Option<PathBuf> {
    std::env::var_os(START).map(PathBuf::from)
}

/// Such a start. It offers the version, and does not come back.
pub(crate) fn die(here: &Path, folder: &Path) -> Result<()> {
    let rollout = Rollout::open(here, folder)?;
    println!("  a start opens {VERSION} …");
    let phase = rollout.deployment.offer(VERSION, RolloutPlan::canary(10_000))?;
    Err(Error::new(Code::Internal, format!("{VERSION}: expected the end of the process, got {phase:?}")))
}

/// No runtime here has a bug to die of: the process ends itself where one would, in the midst of loading the model.
pub(crate) fn dying(options: Options) -> Options {
    options.progress(|progress| {
        if matches!(progress, OpenProgress::Load(_)) {
            std::process::abort();
        }
    })
}

/// Two starts that die, and the one after each.
pub(crate) fn act(here: &Path, folder: &Path) -> Result<()> {
    for _ in 0..2 {
        let program = std::env::current_exe().map_err(|e| io(here, e))?;
        let ended = Command::new(&program).env(START, folder).status().map_err(|e| io(&program, e))?;
        println!("  … and ends: {ended}");
        tell(&Rollout::open(here, folder)?)?;
    }
    Ok(())
}

fn tell(rollout: &Rollout) -> Result<()> {
    let status = rollout.deployment.status();
    let phase = status.phase(VERSION).unwrap_or(RolloutPhase::Outside);
    println!("  the next start has {VERSION} as {phase:?}, and serves {}", status.current);
    for entry in rollout.crashes.entries()? {
        let last = entry.deaths.last().map(ToString::to_string).unwrap_or_default();
        println!("    crash record: {} ended the process {} times, last {last}", entry.model, entry.deaths.len());
    }
    Ok(())
}
