//! `selvedge store sign`: the signature of a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selvedge::store::{Artifact, Release, sign};

use super::MAX_KEY;
use crate::{Outcome, file};

/// Writes model.sig into a folder: who holds the key vouches for every file in it.
///
/// The signature is that of OpenSSF Model Signing 1.0, which `model_signing verify key` reads too.
#[derive(Args)]
pub(super) struct Sign {
    /// The folder with the model's files, and with selvedge.json, which says which version of what it is.
    folder: PathBuf,
    /// The private key: PKCS#8 as PEM, ECDSA P-256 or P-384, as `openssl genpkey` writes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What people call the model; the folder's name where it is not given.
    #[arg(long)]
    name: Option<String>,
}

impl Sign {
    pub(super) fn run(self) -> Outcome {
        let key = super::text(&self.key, MAX_KEY)?;
        let artifact = Artifact::of_folder(&self.folder)?;
        let files = artifact.files().iter().filter(|file| file.name() != "model.sig");
        let files: Vec<_> = files.map(|file| (file.name().to_string(), file.blob().digest())).collect();
        // What no store would take is better said now.
        let path = self.folder.join("selvedge.json");
        let release = Release::parse(&super::bytes(&path, MAX_KEY)?)?;
        let folder = self.folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_string()));
        let name = self.name.or(folder).unwrap_or_else(|| release.name.clone());
        let signature =
            sign(&name, &files, &key).map_err(|e| e.during(format!("signing {}", self.folder.display())))?;
        let path = self.folder.join("model.sig");
        file::replace(&path, &signature)?;
        println!(
            "{}: {} {} on {}, {} files",
            path.display(),
            release.name,
            release.version,
            release.channel,
            files.len()
        );
        Ok(ExitCode::SUCCESS)
    }
}
