//! Evidence as files in a folder.

use std::path::Path;

use super::Evidence;
use crate::disk::{Folder, create_folders, replace};
use crate::{Error, Result};

/// The ending of a file that is being written.
const PART: &str = "part";

impl Evidence {
    /// Writes the files below a folder, which is made where it is not there; each is there whole, in place of an earlier one,
    /// or as it was. What else is in the folder stays.
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
    /// # let to = &folder.join("evidence");
    /// Evidence::of(&Story::read(folder)?, Privacy::default())?.write(to)?;
    /// assert!(to.join("000000000000-00000001/evidence.json").is_file());
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        for (path, bytes) in &self.files {
            let path = folder.join(path);
            let failed = |e: std::io::Error| Error::io(path.display(), e);
            let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
                return Err(Error::internal(format!("{}: expected a file in a folder", path.display())));
            };
            create_folders(parent).map_err(failed)?;
            replace(&mut Folder::new(parent.into()), name, &format!("{name}.{PART}"), bytes).map_err(failed)?;
        }
        Ok(())
    }
}
