//! A server as a child process, on a port that is its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
}

impl Process {
    /// Starts the command for a free port and waits until its log, `NAME-PORT.log` in the folder, says that it listens.
    ///
    /// Between our look for a free port and its use another may take it: the child then ends, and another port is tried.
    /// That something answers there says nothing, for it may be the other.
    pub(crate) fn start(folder: &Path, name: &str, listens: &str, command: impl Fn(u16) -> Command) -> Self {
        let start = || {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            Self::try_start(command(port), port, &folder.join(format!("{name}-{port}.log")), listens)
        };
        (0..5).find_map(|_| start()).unwrap_or_else(|| panic!("{name} ended five times"))
    }

    fn try_start(mut command: Command, port: u16, log: &Path, listens: &str) -> Option<Self> {
        let written = File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(written).spawn();
        let mut process = Self { child: child.unwrap(), port };
        let lives = wait(|| {
            let ended = process.child.try_wait().unwrap();
            let log = fs::read_to_string(log).unwrap();
            if let Some(status) = ended {
                println!("{command:?} ended with {status}:\n{log}");
                return Some(false);
            }
            log.contains(listens).then_some(true)
        });
        lives.then_some(process)
    }
}

/// SIGKILL: it gets no chance to finish anything.
impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The binary that the variable names, or else that of this name in a target folder. `None` where there is none.
pub(crate) fn binary(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{variable}: no file {}", named.display());
        return Some(named);
    }
    // The package that runs this may lie in a folder of the repository.
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.map(|folder| folder.join("target").join(name)).find(|built| built.is_file())
}

/// Asks until there is an answer. It is a hang, and not slowness, that ends it.
pub(crate) fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "it did not come");
        sleep(Duration::from_millis(20));
    }
}
