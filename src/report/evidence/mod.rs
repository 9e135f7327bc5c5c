//! Evidence for whoever retrains a model: why, in files that may leave the device.

mod counts;
mod judged;
#[cfg(test)]
mod tests;
mod write;

use serde_json::{Map, Value, json};

use super::story::{Model, Seen, Story};
use crate::sync::privacy::{self, Privacy};
use crate::telemetry::{AlertRecord, Stamp};
use crate::{Error, Result};

/// The action of an alert that asks for it, as the log has it.
const RETRAIN: &str = "retrain";
/// Windows before the one that raised the first alert: several together may have raised it.
const BEFORE: usize = 4;
/// Windows in all: those that show it first, so that a later bundle begins with the same.
const MAX_WINDOWS: usize = 32;

/// Evidence is a bundle of files for whoever retrains a model: of each model with an active alert that asks for
/// retraining ([`Action::Retrain`](crate::drift::Action::Retrain)), what it is and the numbers that speak for it.
///
/// Each model has a folder in it, of the first digits of its digest and its number in the log:
///
/// | file | content |
/// |---|---|
/// | `evidence.json` | name, version and digest of the model; the alerts with their evidence; the windows, their rows, and how each feature of each compares with the reference; classes, confidence and labels |
/// | `counts.csv` | per feature and bin, the rows of the reference and of those windows together |
/// | `reference.profile` | the reference, as [`Profile::decode`](crate::drift::Profile::decode) reads it, if it was shipped with the model; one that was learned on the device stays there |
///
/// The windows are the four before the first of those alerts was raised, the one that raised it, and what followed, 32 in all.
/// Values that were fed to a model, its answers and its texts are in none of the files: the log never had them.
/// What is counted and compared passes the rules of [`sync`](crate::sync#what-leaves-the-device), those of
/// [`Privacy`]: counts grow by `min_count` rows at least, numbers have two digits, learned bins are powers of two and
/// ranks. With `epsilon` no count and no comparison is told at all: noise that is drawn anew for each bundle would cancel
/// out over several.
///
/// ```
/// use selvedge::report::{Evidence, Story};
/// use selvedge::sync::Privacy;
/// # use selvedge::telemetry::{AlertCode, AlertRecord, Limits, ModelInfo, ModelSlot, Record, Telemetry, Window};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// # let (telemetry, slot) = (Telemetry::open(folder, Limits::default()), ModelSlot(1));
/// # telemetry.seal(&Record::Model(ModelInfo { slot, name: "rain".into(), ..ModelInfo::default() }))?;
/// # telemetry.seal(&Record::Window(Window { model_slot: slot, rows: 1024, ..Window::default() }))?;
/// # let (code, action) = (AlertCode::ConceptDrift, Some("retrain".to_string()));
/// # telemetry.seal(&Record::Alert(AlertRecord { model_slot: slot, code, raised: true, action, ..Default::default() }))?;
/// let evidence = Evidence::of(&Story::read(folder)?, Privacy::default())?;
/// assert_eq!(evidence.alerts(), 1);
/// for (path, bytes) in evidence.files() {
///     assert!(path.starts_with("000000000000-00000001/") && !bytes.is_empty());
/// }
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evidence {
    files: Vec<(String, Vec<u8>)>,
    alerts: usize,
}

impl Evidence {
    /// The evidence in a story; without files if no alert asks for retraining.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for privacy settings out of their range.
    pub fn of(story: &Story, privacy: Privacy) -> Result<Self> {
        privacy.check()?;
        let mut evidence = Self { files: Vec::new(), alerts: 0 };
        for model in &story.models {
            let alerts: Vec<&AlertRecord> = story.standing(model.info.slot).into_iter().filter(|a| asks(a)).collect();
            if !alerts.is_empty() {
                evidence.alerts += alerts.len();
                let windows = shown(model, &alerts);
                evidence.add(&Shown { story, model, alerts: &alerts, windows, privacy })?;
            }
        }
        Ok(evidence)
    }

    /// The files: of each the path below the bundle's folder, with slashes, and the bytes.
    pub fn files(&self) -> &[(String, Vec<u8>)] {
        &self.files
    }

    /// The active alerts that ask for retraining.
    pub fn alerts(&self) -> usize {
        self.alerts
    }

    fn add(&mut self, shown: &Shown<'_>) -> Result<()> {
        let info = &shown.model.info;
        let digest: String = hex(&info.digest).chars().take(12).collect();
        let folder = format!("{digest}-{:08x}", info.slot.0);
        let mut file = |name: &str, bytes: Vec<u8>| self.files.push((format!("{folder}/{name}"), bytes));
        let mut told = shown.json()?;
        // Another feature's dependency may keep keys in their order of insertion: the same evidence is the same bytes.
        told.sort_all_objects();
        let text =
            serde_json::to_vec_pretty(&told).map_err(|e| Error::internal("evidence that is no JSON").because(e))?;
        file("evidence.json", text);
        if let Some(table) = counts::table(shown)? {
            file("counts.csv", table.into_bytes());
        }
        if shown.model.profile.is_some() && !privacy::is_learned(&info.profile) {
            file("reference.profile", info.profile.clone());
        }
        Ok(())
    }
}

/// What is told of one model, and under which rules.
struct Shown<'a> {
    story: &'a Story,
    model: &'a Model,
    alerts: &'a [&'a AlertRecord],
    windows: &'a [Seen],
    privacy: Privacy,
}

impl Shown<'_> {
    fn json(&self) -> Result<Value> {
        let info = &self.model.info;
        let learned = privacy::is_learned(&info.profile);
        let profile = if info.profile.is_empty() {
            Value::Null
        } else if learned {
            // Any row of it would change its digest.
            json!({ "learned": true })
        } else {
            json!({ "learned": false, "digest": hex(&info.profile_digest) })
        };
        let mut all = Map::new();
        all.insert("format".into(), json!(1));
        all.insert(
            "model".into(),
            json!({
                "name": info.name, "version": info.version, "digest": hex(&info.digest), "backend": info.backend,
                "profile": profile,
            }),
        );
        all.insert("alerts".into(), self.alerts.iter().map(|alert| self.alert(alert)).collect());
        all.insert("windows".into(), self.windows.iter().map(|seen| judged::window(self, seen)).collect());
        all.insert("answers".into(), counts::answers(self)?);
        all.insert("privacy".into(), json!({ "min_count": self.privacy.min_count, "epsilon": self.privacy.epsilon }));
        Ok(all.into())
    }

    fn alert(&self, alert: &AlertRecord) -> Value {
        let told = self.privacy.alert(alert);
        json!({
            "code": told.code.name(), "feature": told.feature, "severity": told.severity, "action": told.action,
            "since": self.story.when(&told.since), "evidence": numbers(&told.evidence),
        })
    }
}

fn asks(alert: &AlertRecord) -> bool {
    alert.action.as_deref() == Some(RETRAIN)
}

/// The windows that show why.
fn shown<'a>(model: &'a Model, alerts: &[&AlertRecord]) -> &'a [Seen] {
    let place = |stamp: &Stamp| (stamp.epoch, stamp.monotonic_ns);
    let raised = alerts.iter().map(|alert| place(&alert.since)).min().unwrap_or_default();
    // The one that raised it closed a moment before.
    let first = model.windows.iter().take_while(|seen| place(&seen.window.closed) <= raised).count().saturating_sub(1);
    let windows = &model.windows[first.saturating_sub(BEFORE)..];
    &windows[..windows.len().min(MAX_WINDOWS)]
}

fn numbers(evidence: &[(String, f64)]) -> Value {
    evidence.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
