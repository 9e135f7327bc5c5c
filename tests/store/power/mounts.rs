//! File systems that are mounted while a value lives.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mount, which ends when it is dropped.
pub(super) struct Mount(PathBuf);

impl Mount {
    /// One that is there already.
    pub(super) fn at(folder: &Path) -> Self {
        Self(folder.into())
    }

    /// Mounts a file with a file system in it.
    pub(super) fn of(image: &Path, folder: &Path, options: &str, direct: bool) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let direct = if direct { "--direct-io=on" } else { "--direct-io=off" };
        let device = run(Command::new("losetup").args(["--find", "--show", direct]).arg(image))?;
        let mounted = run(Command::new("mount").args(["-o", options, device.trim()]).arg(folder));
        // While it is mounted this takes effect at its end.
        run(Command::new("losetup").args(["--detach", device.trim()]))?;
        mounted.map(|_| Self(folder.into()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(e) = run(Command::new("umount").arg(&self.0)) {
            eprintln!("{e}");
            let _ = run(Command::new("umount").arg("--lazy").arg(&self.0));
        }
    }
}

/// What a command prints, or all that it says if it fails.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{name}: {}: {}{}", output.status, text(&output.stdout), text(&output.stderr)))
}
