//! `selvedge store`: versions of a model on this machine, and packages in a registry. The library opens no socket; this does.

mod auth;
mod pull;
mod push;
mod reference;
mod registry;
mod sign;
mod versions;
mod work;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use selvedge::store::{RepositoryFiles, Store, Trust};

use crate::Outcome;

/// Takes versions of a model in, says which one serves, goes back, and publishes packages.
///
/// A package is a folder with a model's files, a file selvedge.json that says which version of what it is, and the
/// signature model.sig; or the same as a tar, or as an OCI image layout. A registry holds packages as OCI artifacts of the
/// ModelPack format, which oras, skopeo and the like copy too.
#[derive(Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Pull(pull::Pull),
    Push(push::Push),
    Sign(sign::Sign),
    List(versions::List),
    Import(versions::Import),
    Activate(versions::Activate),
    Rollback(versions::Rollback),
    Gc(versions::Gc),
}

impl StoreCommand {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Pull(command) => command.run(),
            Command::Push(command) => command.run(),
            Command::Sign(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Activate(command) => command.run(),
            Command::Rollback(command) => command.run(),
            Command::Gc(command) => command.run(),
        }
    }
}

/// Bytes of a key, and of a file of metadata.
const MAX_KEY: u64 = 64 << 10;
const MAX_METADATA: u64 = 5_000_000;

/// A store, and whose packages it takes.
#[derive(Args)]
struct Place {
    /// The store's folder. Where there is none, one is made.
    #[arg(long, value_name = "FOLDER")]
    store: PathBuf,
    /// A public key (PEM, ECDSA P-256 or P-384) whose packages are taken. May be given more than once.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// A certificate authority (PEM). Packages are taken that are signed with a key that it certified. May be given more than once.
    #[cfg(feature = "keyless")]
    #[arg(long, value_name = "FILE")]
    authority: Vec<PathBuf>,
    /// Who signs without a lasting key (Sigstore): an e-mail address or a URI, as the certificate has it.
    #[cfg(feature = "keyless")]
    #[arg(long, value_name = "NAME", requires = "identity_issuer", requires = "sigstore")]
    identity: Option<String>,
    /// The OpenID Connect issuer that vouches for the identity.
    #[cfg(feature = "keyless")]
    #[arg(long, value_name = "URL", requires = "identity")]
    identity_issuer: Option<String>,
    /// The file trusted_root.json of the Sigstore by which the identity's signatures are verified.
    #[cfg(feature = "keyless")]
    #[arg(long, value_name = "FILE", requires = "identity")]
    sigstore: Option<PathBuf>,
    /// The root of a TUF repository, which must list a package.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// A folder with the repository's timestamp.json, snapshot.json, targets.json and later roots (2.root.json, …).
    #[arg(long, value_name = "FOLDER", requires = "root")]
    metadata: Option<PathBuf>,
    /// Take packages that nobody signed: for trying things out.
    #[arg(long)]
    accept_unsigned: bool,
}

impl Place {
    /// Opens the store for writing.
    fn open(&self) -> Result<Store, Box<dyn Error>> {
        let mut trust = Trust::new();
        for path in &self.key {
            trust = trust.key(&text(path, MAX_KEY)?).map_err(|e| e.during(format!("reading {}", path.display())))?;
        }
        #[cfg(feature = "keyless")]
        let mut trust = self.certified(trust)?;
        if let Some(path) = &self.root {
            let bytes = bytes(path, MAX_METADATA)?;
            trust = trust.root(&bytes).map_err(|e| e.during(format!("reading {}", path.display())))?;
        }
        if self.accept_unsigned {
            trust = trust.accept_unsigned_packages();
        }
        let store = Store::open(&self.store, trust)?;
        if let Some(folder) = &self.metadata {
            store.refresh(&metadata(folder)?)?;
        }
        Ok(store)
    }

    /// The same, with who is trusted by certificate.
    #[cfg(feature = "keyless")]
    fn certified(&self, mut trust: Trust) -> Result<Trust, Box<dyn Error>> {
        for path in &self.authority {
            let pem = text(path, MAX_KEY)?;
            trust = trust.authority(&pem).map_err(|e| e.during(format!("reading {}", path.display())))?;
        }
        if let (Some(name), Some(issuer)) = (&self.identity, &self.identity_issuer) {
            trust = trust.identity(name, issuer)?;
        }
        if let Some(path) = &self.sigstore {
            let bytes = bytes(path, MAX_METADATA)?;
            trust = trust.sigstore(&bytes).map_err(|e| e.during(format!("reading {}", path.display())))?;
        }
        Ok(trust)
    }

    /// Whether a package without a signature could be taken.
    fn takes_unsigned(&self) -> bool {
        self.accept_unsigned
    }
}

/// The files of a repository: those without a number in their names, or the ones with the highest.
fn metadata(folder: &Path) -> Result<RepositoryFiles, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        names.extend(entry?.file_name().into_string().ok());
    }
    let numbered = |role: &str| {
        let suffix = format!(".{role}.json");
        let number = |name: &String| Some((name.strip_suffix(&suffix)?.parse::<u64>().ok()?, name.clone()));
        let mut found: Vec<(u64, String)> = names.iter().filter_map(number).collect();
        found.sort();
        found
    };
    let latest = |role: &str| {
        let plain = format!("{role}.json");
        let latest = numbered(role).pop().map(|(_, name)| name).filter(|_| !names.contains(&plain));
        bytes(&folder.join(latest.unwrap_or(plain)), MAX_METADATA)
    };
    let files = RepositoryFiles::new(latest("timestamp")?, latest("snapshot")?, latest("targets")?);
    let roots = numbered("root").into_iter().map(|(_, name)| bytes(&folder.join(name), MAX_METADATA));
    roots.into_iter().try_fold(files, |files, root| Ok(files.root(root?)))
}

fn text(path: &Path, most: u64) -> Result<String, Box<dyn Error>> {
    Ok(String::from_utf8(bytes(path, most)?).map_err(|_| format!("{}: expected text in UTF-8", path.display()))?)
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    let read = read.map_err(|e| format!("{}: {e}", path.display()))?;
    if read as u64 > most {
        return Err(format!("{}: expected at most {most} bytes, got more", path.display()).into());
    }
    Ok(bytes)
}
