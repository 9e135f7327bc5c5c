//! Cases run in child processes, so that a crash or a hang is the failure of one case.
//!
//! A child is this test binary again, reported by [`WORKER`] to serve: it reads a folder per line and
//! answers with one marked line each. A child that dies or is late is replaced.

use std::collections::VecDeque;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use selvedge::Backend;

use crate::case::{self, Case};
use crate::outcome::{Outcome, Verdict};

/// Set in a child to the name of its backend.
const WORKER: &str = "SELVEDGE_SUITE_WORKER";
/// Sets the answers of a child apart from what the test harness and the runtimes print.
const MARK: &str = "@@ ";
/// Folders that make a child crash and hang, to see that the pool contains it.
pub(crate) const CRASH: &str = "crash on purpose";
pub(crate) const HANG: &str = "hang on purpose";

/// Serves a parent if this process is a child: reads folders and answers until the parent hangs up.
pub(crate) fn serve_if_child() {
    let Ok(name) = env::var(WORKER) else { return };
    let known = [Backend::Ort, Backend::Rten, Backend::Tract];
    let backend = known.into_iter().find(|backend| backend.name() == name).expect("a backend of ONNX");
    for folder in io::stdin().lock().lines().map_while(Result::ok) {
        let outcome = match &*folder {
            CRASH => std::process::abort(),
            HANG => loop {
                thread::park();
            },
            folder => case::run(Path::new(folder), backend),
        };
        // The harness may have left a line of its own unfinished.
        let mut out = io::stdout().lock();
        if writeln!(out, "\n{MARK}{}", outcome.line()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// The outcomes of `cases`, in their order, from `processes` children at a time; each case may take `limit`.
pub(crate) fn run(backend: Backend, cases: &[Case], processes: usize, limit: Duration) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Outcome>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| {
                let mut worker = None;
                while let Some((i, case)) = take(&next, cases) {
                    let outcome = worker.get_or_insert_with(|| Worker::start(backend)).ask(case, limit);
                    if matches!(outcome.verdict, Verdict::Crash | Verdict::Hang) {
                        worker = None;
                    }
                    *outcomes[i].lock().expect("no panic while held") = Some(outcome);
                }
            });
        }
    });
    outcomes.into_iter().map(|o| o.into_inner().expect("no panic while held").expect("every case was run")).collect()
}

fn take<'a>(next: &AtomicUsize, cases: &'a [Case]) -> Option<(usize, &'a Path)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    cases.get(i).map(|case| (i, &*case.folder))
}

struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    /// The last lines of the child's stderr: the words of a crash.
    stderr: Arc<Mutex<VecDeque<String>>>,
}

impl Worker {
    fn start(backend: Backend) -> Self {
        let mut child = Command::new(env::current_exe().expect("this test has a path"))
            .args(["--exact", "worker", "--nocapture", "--test-threads=1"])
            .env(WORKER, backend.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test can start itself");
        let (send, answers) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        thread::spawn(move || {
            for line in lines(out) {
                if let Some(answer) = line.strip_prefix(MARK) {
                    let _ = send.send(answer.to_string());
                }
            }
        });
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let (tail, err) = (stderr.clone(), BufReader::new(child.stderr.take().expect("stderr is piped")));
        thread::spawn(move || {
            for line in lines(err) {
                let mut tail = tail.lock().expect("no panic while held");
                tail.push_back(line);
                if tail.len() > 8 {
                    tail.pop_front();
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, answers, stderr }
    }

    fn ask(&mut self, case: &Path, limit: Duration) -> Outcome {
        if let Some(stdin) = &mut self.stdin {
            // If the child is gone, the missing answer says so.
            let _ = writeln!(stdin, "{}", case.display()).and_then(|()| stdin.flush());
        }
        match self.answers.recv_timeout(limit) {
            Ok(line) => Outcome::parse(&line).unwrap_or_else(|| Outcome::new(Verdict::Unreadable, &line)),
            Err(RecvTimeoutError::Timeout) => Outcome::new(Verdict::Hang, &format!("no answer in {limit:?}")),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                let last: Vec<String> = self.stderr.lock().expect("no panic while held").iter().cloned().collect();
                Outcome::new(Verdict::Crash, &format!("{status}: {}", last.join(" | ")))
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that is well ends when its stdin does, one that hangs does not.
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl BufRead) -> impl Iterator<Item = String> {
    from.split(b'\n').map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned())
}
