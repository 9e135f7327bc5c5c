//! Versions in which the process dies for real: a child opens or asks the candidate and ends by SIGABRT, and the next start, by the
//! crash record, serves the version before.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use selvedge::crash::{CrashPhase, CrashRecord};
use selvedge::layer::deployment::{Arm, Deployment, RolloutPhase, RolloutPlan, StoreVersions};
use selvedge::store::{Store, Trust, Version};
use selvedge::telemetry::{Limits, Record, RolloutRecord, Telemetry, peek};
use selvedge::{Backend, Code, Engine, OpenProgress, Options, Result, open};

use crate::fuse::{self, Death};

const FOLDER: &str = "SELVEDGE_DEPLOYMENT_FOLDER";
const HOW: &str = "SELVEDGE_DEPLOYMENT_HOW";

fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/packages")
}

/// Two versions of the rain model, as their publisher signed them.
fn store(folder: &Path) -> Arc<Store> {
    let key = std::fs::read_to_string(packages().join("key.pem")).unwrap();
    let store = Store::open(folder.join("store"), Trust::new().key(&key).unwrap()).unwrap();
    let is_new = store.versions().unwrap().is_empty();
    for package in ["seattle", "new-york"].into_iter().filter(|_| is_new) {
        store.import(packages().join(package), |_| Ok(())).unwrap();
    }
    Arc::new(store)
}

fn record(folder: &Path) -> CrashRecord {
    CrashRecord::new(folder.join("crashes"))
}

/// Dies inside of tract where version 2 is loaded, if it is to.
fn opened(version: &Version, record: &CrashRecord, dies: bool) -> Result<Arc<dyn Engine>> {
    // A gentler start would be by another runtime, if there is one, and the death in that one elsewhere.
    let mut options = Options::new().backend(Backend::Tract).threads(1).crash_record(record.clone());
    if dies && version.number() == 2 {
        options = options.progress(|progress| {
            if progress == OpenProgress::Load(0.0) {
                fuse::at_allocation(20, Death::Abort);
            }
        });
    }
    open(version.model()?, options)
}

fn deployment(folder: &Path, dies: bool) -> Deployment {
    let record = record(folder);
    let of_versions = record.clone();
    let versions = StoreVersions::new(store(folder), "rain", move |version| opened(version, &of_versions, dies));
    let telemetry = Telemetry::open(folder.join("telemetry"), Limits::default());
    Deployment::builder(versions.crash_record(record)).telemetry(telemetry).build("v1").unwrap()
}

fn plan() -> RolloutPlan {
    RolloutPlan::canary(10_000).calls(10_000)
}

#[test]
fn child() {
    let (Ok(folder), Ok(how)) = (std::env::var(FOLDER), std::env::var(HOW)) else { return };
    let deployment = deployment(Path::new(&folder), how == "open");
    assert_eq!(deployment.offer("v2", plan()).unwrap(), RolloutPhase::Canary);
    if how == "run" {
        fuse::at_allocation(12, Death::Abort);
    }
    crate::asked(&deployment);
    println!("LIVES");
}

/// Runs a child until it ends: the signal, and whether it came to its end.
fn run(folder: &Path, how: &str) -> (Option<i32>, bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["deaths::child", "--exact", "--nocapture", "--test-threads=1"]).env(FOLDER, folder).env(HOW, how);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    (output.status.signal(), String::from_utf8_lossy(&output.stdout).contains("LIVES"))
}

fn steps(folder: &Path) -> Vec<RolloutRecord> {
    let is_step = |record| if let Record::Rollout(rollout) = record { Some(rollout) } else { None };
    peek(folder.join("telemetry")).unwrap().into_iter().filter_map(|(_, record)| is_step(record)).collect()
}

#[test]
fn a_version_that_ends_the_process_is_taken_back_at_the_next_start() {
    for (how, phase) in [("open", CrashPhase::Open), ("run", CrashPhase::LaterUse)] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(run(folder, how), (Some(6), false), "{how}");
        let died = record(folder).entries().unwrap();
        let of_version_2 = store(folder).versions().unwrap()[0].model_digest();
        assert_eq!((died.len(), Some(died[0].digest)), (1, of_version_2), "{how}");
        assert_eq!((died[0].deaths[0].phase, died[0].deaths[0].signal), (phase, Some(6)), "{how}");

        let next = deployment(folder, false);
        let status = next.status();
        assert_eq!((&*status.current, status.phase("v2")), ("v1", Some(RolloutPhase::Missed)), "{how}");
        assert_eq!(status.misses[0].case, "deaths");
        assert_eq!(Arm::of(&crate::asked(&next).provenance), Some(("v1", Arm::Current)));
        let last = steps(folder).pop().unwrap();
        assert_eq!((&*last.version, &*last.step, &*last.evidence[0].name), ("v2", "missed", "deaths"), "{how}");
        drop(next);

        // It may be offered once more. The second death is quarantine, in the deployment and in the store.
        assert_eq!(run(folder, how), (Some(6), false), "{how}");
        let last = deployment(folder, false);
        assert_eq!(last.status().phase("v2"), Some(RolloutPhase::Quarantined), "{how}");
        assert_eq!(last.offer("v2", plan()).unwrap_err().code(), Code::InvalidArgument);
        let entry = &record(folder).entries().unwrap()[0];
        assert!(entry.deaths.len() == 2 && record(folder).has_quarantined(entry), "{how}: {entry:?}");
        drop(last);
        let store = store(folder);
        assert!(store.standing(store.versions().unwrap()[0].id()).unwrap().quarantined);
        assert_eq!(steps(folder).pop().unwrap().step, "quarantined");
    }
}

/// Else the test above would blame any version of which the process ends.
#[test]
fn a_version_in_which_nothing_dies_stays() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), "live"), (None, true));
    assert_eq!(deployment(folder.path(), false).status().phase("v2"), Some(RolloutPhase::Canary));
    let steps: Vec<String> = steps(folder.path()).into_iter().map(|r| format!("{} {}", r.version, r.step)).collect();
    assert_eq!(steps, ["v1 promoted", "v2 offered", "v2 canary"], "what a new process takes up again is no step");
}
