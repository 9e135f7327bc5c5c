//! Third act: versions arrive in packages. One wins, one was tampered with, one is worse than what it was to replace, one ends
//! the process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use selvedge::crash::CrashRecord;
use selvedge::drift::{FalseAlarm, Persistence, Profile};
use selvedge::layer::deployment::{
    Arm, Deployment, DeploymentStatus, RolloutJudge, RolloutPhase, RolloutPlan, StoreVersions,
};
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Classes, Columns};
use selvedge::report::Story;
use selvedge::store::{Store, Trust, Version};
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, Engine, Options, Result, Tensor, Tensors, open};

use crate::crash;
use crate::weather::{COLUMNS, Day, RAIN_MM, io};

/// The monitors of all versions, by their names.
type Monitors = Arc<Mutex<BTreeMap<String, Arc<Monitor>>>>;

/// What every start of an app has: the store, the deployment over its versions, and the crash record of both.
pub(crate) struct Rollout {
    store: Arc<Store>,
    pub(crate) deployment: Deployment,
    pub(crate) crashes: CrashRecord,
    monitors: Monitors,
}

impl Rollout {
    pub(crate) fn open(here: &Path, folder: &Path) -> Result<Self> {
        let file = here.join("packages/key.pem");
        let key = fs::read_to_string(&file).map_err(|e| io(&file, e))?;
        let store = Arc::new(Store::open(folder.join("store"), Trust::new().key(&key)?)?);
        if store.versions()?.is_empty() {
            arrive(&store, &here.join("packages/seattle"))?;
        }
        let telemetry = Telemetry::open(folder.join("versions"), Limits::default());
        let crashes = CrashRecord::new(folder.join("crashes"));
        let monitors = Monitors::default();
        let versions = StoreVersions::new(store.clone(), "rain", {
            let (monitors, crashes, telemetry) = (monitors.clone(), crashes.clone(), telemetry.clone());
            move |version| opened(version, &crashes, &telemetry, &monitors)
        });
        // Labels decide: no more than 15 points of accuracy may be lost, and no more than 5 calls of a hundred may fail.
        let judge = RolloutJudge::new().margins(0.05, 0.05).accuracy(0.15);
        let builder = Deployment::builder(versions.crash_record(crashes.clone())).judge(judge).telemetry(telemetry);
        let deployment = builder.install_id("quickstart").build("v1")?;
        Ok(Self { store, deployment, crashes, monitors })
    }
}

pub(crate) fn act(here: &Path, folder: &Path, days: &[Day]) -> Result<()> {
    let packages = here.join("packages");
    let rollout = Rollout::open(here, folder)?;
    let store = &rollout.store;

    println!("\nA version arrives that was trained on New York, and somebody was at it on the way.");
    let tampered = tampered(&packages.join("new-york"), &folder.join("tampered"))?;
    if let Err(refused) = store.import(&tampered, |_| Ok(())) {
        println!("  refused: {refused:#}");
    }
    println!("\nIt comes again, as it was signed. It answers half of the days of 2014 and 2015.");
    rollout.try_out(&arrive(store, &packages.join("new-york"))?, days)?;

    println!("\nA third one is signed as well. The labels that it learned from were turned over.");
    rollout.try_out(&arrive(store, &packages.join("poisoned"))?, days)?;

    println!("\nA fourth one ends the process as it is loaded. That costs a start or two, and no crash loop.");
    arrive(store, &packages.join("both"))?;
    rollout.monitors.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|monitor| monitor.close_window());
    // The starts to come are processes of their own, and the store has one writer.
    drop(rollout);
    crash::act(here, folder)?;

    let last = Rollout::open(here, folder)?;
    println!("\nserving   {}, as the store has it: version {}", last.deployment.status().current, number(&last.store)?);
    drop(last);
    page(folder)
}

/// The page of it: versions, verdicts, and what died.
fn page(folder: &Path) -> Result<()> {
    let page = folder.join("rollout.html");
    let story = Story::read(&folder.join("versions"))?.with_store(&folder.join("store"))?;
    let story = story.with_crash_record(&CrashRecord::new(folder.join("crashes")))?;
    fs::write(&page, story.html()).map_err(|e| io(&page, e))?;
    println!("to read   {}", page.display());
    Ok(())
}

fn number(store: &Store) -> Result<u64> {
    Ok(store.current()?.map_or(0, |version| version.number()))
}

fn arrive(store: &Store, package: &Path) -> Result<Version> {
    let version = store.import(package, |_| Ok(()))?;
    let label = version.release().label.clone().unwrap_or_default();
    let signer = version.key().map_or("nobody".into(), |key| format!("{:.12}…", key.to_string()));
    println!("arrived   {} {}: {label}; signed by {signer}", version.name(), StoreVersions::name_of(&version));
    Ok(version)
}

/// A copy of a package with one bit of its model turned over.
fn tampered(package: &Path, copy: &Path) -> Result<std::path::PathBuf> {
    fs::create_dir_all(copy).map_err(|e| io(copy, e))?;
    for entry in fs::read_dir(package).map_err(|e| io(package, e))?.flatten() {
        let mut bytes = fs::read(entry.path()).map_err(|e| io(&entry.path(), e))?;
        if entry.file_name() == "rain.onnx" {
            bytes[500] ^= 1;
        }
        fs::write(copy.join(entry.file_name()), bytes).map_err(|e| io(copy, e))?;
    }
    Ok(copy.into())
}

/// Opens a version in a monitor of its own, with what the version was made for.
fn opened(
    version: &Version,
    crashes: &CrashRecord,
    telemetry: &Telemetry,
    monitors: &Monitors,
) -> Result<Arc<dyn Engine>> {
    let name = StoreVersions::name_of(version);
    let options = Options::new().crash_record(crashes.clone());
    let dies = name == crash::VERSION && crash::start().is_some();
    let engine = open(version.model()?, if dies { crash::dying(options) } else { options })?;
    let probe = All::new().and(Columns::of("weather", COLUMNS)).and(Classes::of("rain_tomorrow"));
    let monitor = Monitor::builder(engine, telemetry.clone(), probe)
        .version(&name)
        .profile(Profile::decode(&version.contents("rain.profile")?)?)
        .window(180)
        .persistence(Persistence::new(1, 1)?)
        .false_alarm(FalseAlarm::windows(1000.0))
        .build()?;
    let monitor = Arc::new(monitor);
    monitors.lock().unwrap_or_else(PoisonError::into_inner).insert(name, monitor.clone());
    Ok(monitor)
}

impl Rollout {
    /// Lets a version answer until there is a verdict.
    fn try_out(&self, version: &Version, days: &[Day]) -> Result<()> {
        let Self { deployment, monitors, .. } = self;
        let name = StoreVersions::name_of(version);
        let mut phase = deployment.offer(&name, RolloutPlan::canary(10_000))?;
        println!("  golden cases passed, now in {phase:?}");
        let mut asked = 0;
        for (today, tomorrow) in days.iter().zip(days.iter().skip(1)) {
            if phase != RolloutPhase::Canary {
                break;
            }
            let weather = Tensor::new(&[1, 4], today.weather.to_vec())?;
            let answer = deployment.run(Tensors::from([("weather", weather)]))?;
            asked += 1;
            let said = answer.output("rain_tomorrow")?.as_slice::<f32>()?[0] > 0.5;
            if let Some((version, _)) = Arm::of(&answer.provenance) {
                // What stands against a version counts as its wrong answers do.
                let monitor = monitors.lock().unwrap_or_else(PoisonError::into_inner).get(version).cloned();
                deployment.alerts(version, monitor.map(|monitor| monitor.alerts()).unwrap_or_default())?;
                deployment.label(version, said == (tomorrow.weather[0] > RAIN_MM))?;
            }
            phase = deployment.status().phase(&name).unwrap_or(phase);
        }
        deployment.settle(Duration::from_secs(10));
        tell(&deployment.status(), &name, asked);
        Ok(())
    }
}

fn tell(status: &DeploymentStatus, name: &str, days: usize) {
    let phase = status.phase(name).unwrap_or(RolloutPhase::Outside);
    println!("  after {days} days: {phase:?}");
    let judged =
        status.candidate.as_ref().map(|candidate| &candidate.judged).or(status.last.as_ref().map(|last| &last.1));
    for evidence in judged.iter().flat_map(|judged| &judged.evidence) {
        println!("    {}: {}", evidence.name, evidence.words);
    }
}
