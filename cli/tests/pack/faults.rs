//! `selvedge pack` that is killed at every step it takes on the disk, or finds the disk full from there on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use selvedge::{Ask, Tensor, Tensors};

use crate::craft::{input, model, node, noise, output, weight};
use crate::runtimes::{backends, options};

/// A folder with a model, a folder of its own for what is packed, and the library that goes before the system's.
struct Disk {
    folder: tempfile::TempDir,
    library: PathBuf,
}

/// What happens at which step.
type Fault = Option<(&'static str, usize)>;

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let graph = model(&[
            node("MatMul", &["x", "W"], "y", &[]),
            weight("W", &[256, 192], &noise(256 * 192, 1)),
            input("x", 1, &[0, 256]),
            output("y", &[0, 192]),
        ]);
        std::fs::write(folder.path().join("m.onnx"), graph).unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        let library = folder.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pack/faults.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source).output();
        let compiled = compiled.expect("a C compiler, as tests/run asks for");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Self { folder, library }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("disk")
    }

    fn target(&self) -> PathBuf {
        self.root().join("packed")
    }

    /// Packs, and gives the steps that were taken.
    fn pack(&self, scheme: &str, fault: Fault) -> (Output, Vec<String>) {
        let log = self.folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
        command.arg("pack").arg(self.folder.path().join("m.onnx")).arg("-o").arg(self.target());
        command.args([scheme, "--overwrite"]).env("LD_PRELOAD", &self.library);
        command.env("SELVEDGE_FAULT_UNDER", self.root()).env("SELVEDGE_FAULT_LOG", &log);
        if let Some((fault, at)) = fault {
            command.env("SELVEDGE_FAULT", fault).env("SELVEDGE_FAULT_AT", at.to_string());
        }
        let ran = command.output().expect("runs");
        let steps = std::fs::read_to_string(&log).unwrap_or_default();
        // Of another process, the same step has the same words.
        let root = format!("{}/", self.root().display());
        (ran, steps.lines().map(|line| line.replace(&root, "")).collect())
    }

    fn clear(&self) {
        std::fs::remove_dir_all(self.root()).unwrap();
        std::fs::create_dir(self.folder.path().join("disk")).unwrap();
    }

    /// The folders there are, hidden ones too.
    fn entries(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.root()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

/// Whether a packed model is there and answers.
fn is_whole(folder: &Path) -> bool {
    let answers = |backend| {
        let engine = selvedge::open(folder, options(backend)).ok()?;
        engine.run(Tensors::from([("x", Tensor::new(&[1, 256], noise(256, 2)).unwrap())])).ok()
    };
    folder.join("model.onnx").is_file() && backends().into_iter().take(1).all(|backend| answers(backend).is_some())
}

#[test]
fn all_of_it_is_durable_before_it_has_its_name() {
    let disk = Disk::new();
    let (ran, steps) = disk.pack("--int8", None);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let hidden = steps[0].strip_prefix("mkdir ").expect("the folder comes first").to_string();
    let last = |what: &str| steps.iter().rposition(|step| step == what).unwrap_or_else(|| panic!("{what}: {steps:#?}"));
    let published = last(&format!("rename {hidden} packed"));
    let folder = last(&format!("fsync {hidden}"));
    let graph = last(&format!("fsync {hidden}/model.onnx"));
    // The weight file has another name while it is written.
    let is_weights = |step: &&String| step.starts_with(&format!("fsync {hidden}/")) && step.contains("weights.gguf");
    let weights = steps.iter().position(|step| is_weights(&step)).expect("the weight file is synced");
    assert!(weights < graph && graph < folder && folder < published, "{steps:#?}");
    let parent = format!("fsync {}", disk.root().display());
    assert!(steps[published..].contains(&parent), "{steps:#?}");
}

#[test]
fn a_killed_or_full_run_publishes_nothing_half_and_the_next_one_works() {
    for fault in ["kill", "full"] {
        for replaces in [false, true] {
            let disk = Disk::new();
            let mut at = 1;
            loop {
                disk.clear();
                if replaces {
                    assert!(disk.pack("--f16", None).0.status.success());
                }
                let (ran, steps) = disk.pack("--int8", Some((fault, at)));
                let what = format!("{fault} at step {at} of {steps:#?}, replacing: {replaces}");
                if steps.len() < at {
                    assert!(ran.status.success() && is_whole(&disk.target()), "{what}");
                    break;
                }
                let there = disk.target().exists();
                assert!(!there || is_whole(&disk.target()), "{what}");
                let others: Vec<PathBuf> = disk.entries().into_iter().filter(|path| *path != disk.target()).collect();
                if fault == "full" {
                    let reported = String::from_utf8_lossy(&ran.stderr);
                    assert!(ran.status.success() || reported.contains("No space left"), "{what}: {reported}");
                    assert!(!replaces || there, "{what}");
                    // Only what was replaced, if its successor's name cannot be made durable.
                    assert!(others.iter().all(|path| there && is_whole(path)), "{what}: {others:?}");
                } else if replaces && !there {
                    assert!(others.iter().any(|path| is_whole(path)), "{what}: the old model is lost, {others:?}");
                }
                let (again, _) = disk.pack("--int8", None);
                assert!(again.status.success(), "{what}: {}", String::from_utf8_lossy(&again.stderr));
                assert!(is_whole(&disk.target()), "{what}");
                at += 1;
            }
            assert!(at > 8, "{fault}: only {at} steps");
        }
    }
}
