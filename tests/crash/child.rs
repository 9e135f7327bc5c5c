//! The child: opens a model with a crash record, asks it, and dies as it was told. And the parent's side of it.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use selvedge::crash::{CrashRecord, Rung};
use selvedge::{Ask, Backend, Embed, Engine, OpenProgress, Options, Request, Tensor, Tensors, open};

use crate::fuse::{self, Death};

const ORDER: &str = "SELVEDGE_CRASH_ORDER";

/// What a child is to do, as words between bars.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) folder: PathBuf,
    pub(crate) model: PathBuf,
    /// `auto`, `tract`, `ort` or `llama`.
    pub(crate) backend: &'static str,
    /// `load`, `first`, `later` or `never`.
    pub(crate) when: &'static str,
    /// `fuse abort`, `log null`, `thread NAME`, `progress ggml`, …
    pub(crate) how: &'static str,
    pub(crate) version: &'static str,
    pub(crate) threads: u32,
    /// `default` or `three`: the ladder.
    pub(crate) ladder: &'static str,
}

impl Order {
    /// A healthy start with the model of the quickstart and tract.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            model: rain(),
            backend: "tract",
            when: "never",
            how: "",
            version: "1",
            threads: 2,
            ladder: "default",
        }
    }

    pub(crate) fn dying(folder: &Path, when: &'static str, how: &'static str) -> Self {
        Self { when, how, ..Self::new(folder) }
    }

    pub(crate) fn spawn(&self) -> Child {
        let Self { folder, model, backend, when, how, version, threads, ladder } = self;
        let (folder, model) = (folder.display(), model.display());
        let order = format!("{folder}|{model}|{backend}|{when}|{how}|{version}|{threads}|{ladder}");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child::child", "--exact", "--nocapture", "--test-threads=1"]).env(ORDER, order);
        // Else ggml starts a debugger.
        command.env("GGML_NO_BACKTRACE", "1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a child until it ends.
    pub(crate) fn run(&self) -> Ended {
        let output = self.spawn().wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        Ended { status: output.status, said: String::from_utf8_lossy(&said).into_owned() }
    }

    pub(crate) fn record(&self) -> CrashRecord {
        let record = CrashRecord::new(&self.folder).app_version(self.version);
        match self.ladder {
            "three" => record.ladder([
                Rung::new().one_thread(),
                Rung::new().one_thread().read_whole(),
                Rung::new().one_thread().read_whole().other_runtime(),
            ]),
            _ => record,
        }
    }

    pub(crate) fn options(&self) -> Options {
        let options = Options::new().crash_record(self.record()).threads(self.threads);
        match self.backend {
            "tract" => options.backend(Backend::Tract),
            "ort" => options.backend(Backend::Ort),
            "llama" => options.backend(Backend::Llama),
            _ => options,
        }
    }
}

pub(crate) fn rain() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/rain.onnx")
}

/// How a child ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

impl Ended {
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    pub(crate) fn is_well(&self) -> bool {
        self.status.success() && self.said.contains("DONE")
    }

    /// The code and message of an open that failed.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.said.lines().find_map(|line| line.split_once("REFUSED ")).map(|(_, why)| why)
    }

    /// What the spec said of the choice.
    pub(crate) fn choice(&self) -> Option<&str> {
        self.said.lines().find_map(|line| line.split_once("OPENED ")).map(|(_, choice)| choice)
    }
}

#[test]
fn child() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let words: Vec<&'static str> = String::leak(order).split('|').collect();
    let [folder, model, backend, when, how, version, threads, ladder] = words[..] else { panic!("{words:?}") };
    let threads = threads.parse().unwrap();
    let order = Order { folder: folder.into(), model: model.into(), backend, when, how, version, threads, ladder };
    tracing::subscriber::set_global_default(fuse::Log).unwrap();
    let mut options = order.options();
    let (kind, death) = how.split_once(' ').unwrap_or_default();
    if when == "load" {
        match kind {
            // All that llama.cpp logs is of the load; ONNX Runtime has logged more before.
            "log" if backend == "llama" => fuse::at_line(3, Death::named(death)),
            "log" => {
                options = options.progress(|progress| {
                    if progress == OpenProgress::Load(0.0) {
                        fuse::at_line(3, Death::named(how.split_once(' ').unwrap().1));
                    }
                });
            }
            // Inside of tract: it says so right after it is entered.
            "fuse" => {
                options = options.progress(|progress| {
                    if progress == OpenProgress::Load(0.0) {
                        fuse::at_allocation(20, Death::Abort);
                    }
                });
            }
            // Called by llama.cpp.
            _ => {
                options = options.progress(|progress| {
                    let (_, death) = how.split_once(' ').unwrap();
                    if matches!(progress, OpenProgress::Load(_)) {
                        Death::named(death).die();
                    }
                });
            }
        }
    }
    match open(&order.model, options) {
        Ok(engine) => {
            println!(
                "\nOPENED {} {}",
                engine.spec().provenance.backend,
                engine.spec().choice.as_deref().unwrap_or("-")
            );
            ask(&*engine, &order);
            println!("\nDONE");
        }
        Err(e) => println!("\nREFUSED {} {e}", e.code().name()),
    }
}

fn ask(engine: &dyn Engine, order: &Order) {
    for run in ["first", "later", "last"] {
        let request = request(engine);
        if run == order.when {
            let (kind, what) = order.how.split_once(' ').unwrap();
            match kind {
                "fuse" => fuse::at_allocation(12, Death::named(what)),
                "log" => fuse::at_line(0, Death::named(what)),
                "thread" => return die_in_a_thread(engine, what),
                _ => panic!("{order:?}"),
            }
        }
        engine.run(request).unwrap();
    }
}

/// A run is under way, and one of the runtime's threads fails.
fn die_in_a_thread(engine: &dyn Engine, name: &str) {
    let _run = engine.start(request(engine), selvedge::Call::new()).unwrap();
    loop {
        // Rust's own handler lets the first one pass.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        assert!(fuse::signal_a_thread(name, libc::SIGSEGV), "no thread '{name}'");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn request(engine: &dyn Engine) -> Request {
    if engine.spec().abilities.tensors {
        let weather = Tensor::new(&[1, 4], vec![0.0f32, 12.8, 5.0, 4.7]).unwrap();
        Tensors::from([("weather", weather)]).into()
    } else {
        Embed::new(["A text of some words."]).into()
    }
}
