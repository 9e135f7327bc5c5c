//! `selvedge store list`, `import`, `activate`, `rollback` and `gc`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selvedge::store::{Package, Store, Version};
use selvedge::{Code, Digest, Error};
use serde_json::{Value, json};

use super::{Place, work};
use crate::{Outcome, print};

/// Shows the versions in a store, which may be open in an app.
#[derive(Args)]
pub(super) struct List {
    /// The store's folder.
    #[arg(long, value_name = "FOLDER")]
    store: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Takes a package in: a folder, a tar or an OCI image layout.
#[derive(Args)]
pub(super) struct Import {
    /// The package; `-` is a tar on standard input.
    path: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Which manifest of an OCI image layout is meant: its tag, or sha256:….
    #[arg(long)]
    tag: Option<String>,
    /// Let the version serve at once.
    #[arg(long)]
    activate: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Lets a version serve.
#[derive(Args)]
pub(super) struct Activate {
    /// Its number, or the first digits of its id.
    version: String,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Goes back to the version that served before.
#[derive(Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Makes room: removes versions in quarantine, damaged ones, old ones, and what was fetched in vain.
#[derive(Args)]
pub(super) struct Gc {
    #[command(flatten)]
    place: Place,
    /// How many versions stay that served before the current one.
    #[arg(long, default_value_t = 1, value_name = "N")]
    keep: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> Outcome {
        let store = Store::open_read_only(&self.store)?;
        let versions = store.versions()?;
        let current = current(&store)?;
        if self.json {
            let listed: Result<Vec<Value>, _> =
                versions.iter().map(|version| in_json(&store, version, current)).collect();
            println!("{}", json!({ "versions": listed? }));
            return Ok(ExitCode::SUCCESS);
        }
        if versions.is_empty() {
            println!("{}: no versions", self.store.display());
            return Ok(ExitCode::SUCCESS);
        }
        let mut rows = vec![["", "version", "name", "channel", "id", "size", "", ""].map(String::from)];
        for version in &versions {
            rows.push(row(&store, version, current)?);
        }
        let right = [false, true, false, false, false, true, false, false];
        let mut out = std::io::stdout().lock();
        print::table(&mut out, &rows, right)?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Import {
    pub(super) fn run(self) -> Outcome {
        let store = self.place.open()?;
        work::listen()?;
        let package =
            if self.path.as_os_str() == "-" { Package::tar(std::io::stdin()) } else { Package::from(&self.path) };
        let package = match self.tag {
            Some(tag) => package.tag(tag),
            None => package,
        };
        let bar = work::bar(0);
        let version = store.import(package, |progress| {
            bar.set_length(progress.size);
            bar.set_position(progress.done);
            work::at(&bar, progress.file);
            work::check()
        })?;
        bar.finish_and_clear();
        came(&store, &version, self.activate, self.json)
    }
}

impl Activate {
    pub(super) fn run(self) -> Outcome {
        let store = self.place.open()?;
        let id = find(&store, &self.version)?;
        tell(&store, &store.activate(id)?, "serves", self.json)
    }
}

impl Rollback {
    pub(super) fn run(self) -> Outcome {
        let store = self.place.open()?;
        tell(&store, &store.rollback()?, "serves again", self.json)
    }
}

impl Gc {
    pub(super) fn run(self) -> Outcome {
        let store = self.place.open()?;
        let before: Vec<(Digest, u64)> =
            store.versions()?.iter().map(|version| (version.id(), size(version))).collect();
        let removed = store.gc(self.keep)?;
        let freed: u64 = before.iter().filter(|(id, _)| removed.contains(id)).map(|(_, size)| size).sum();
        if self.json {
            let ids: Vec<String> = removed.iter().map(Digest::to_string).collect();
            println!("{}", json!({ "removed": ids, "bytes": freed }));
            return Ok(ExitCode::SUCCESS);
        }
        for id in &removed {
            println!("{id} removed");
        }
        println!("{} versions removed, {}", removed.len(), print::bytes(freed));
        Ok(ExitCode::SUCCESS)
    }
}

/// A version has come; it serves at once if that was asked for.
pub(super) fn came(store: &Store, version: &Version, activate: bool, is_json: bool) -> Outcome {
    if activate {
        store.activate(version.id())?;
    }
    tell(store, version, if activate { "serves" } else { "is there" }, is_json)
}

fn tell(store: &Store, version: &Version, what: &str, is_json: bool) -> Outcome {
    if is_json {
        println!("{}", in_json(store, version, current(store)?)?);
    } else {
        let (name, id) = (print::line(version.name(), 64), version.id());
        println!("{name} {} {what}: {id}, {}", version.number(), print::bytes(size(version)));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(store: &Store, version: &Version, current: Option<Digest>) -> selvedge::Result<[String; 8]> {
    let standing = store.standing(version.id())?;
    let held = match (standing.quarantined, standing.misses) {
        (true, _) => format!("in quarantine: {}", print::line(&standing.why, 60)),
        (false, 0) => String::new(),
        (false, misses) => format!("{misses} misses: {}", print::line(&standing.why, 60)),
    };
    Ok([
        if current == Some(version.id()) { "*".into() } else { String::new() },
        version.number().to_string(),
        print::line(version.name(), 64),
        print::line(&version.release().channel, 64),
        version.id().to_string()[..12].into(),
        print::bytes(size(version)),
        version.release().label.as_deref().map(|label| print::line(label, 60)).unwrap_or_default(),
        held,
    ])
}

fn in_json(store: &Store, version: &Version, current: Option<Digest>) -> selvedge::Result<Value> {
    let (release, standing) = (version.release(), store.standing(version.id())?);
    Ok(json!({
        "name": release.name, "version": release.version, "channel": release.channel, "label": release.label,
        "id": version.id().to_string(), "key": version.key().map(|key| key.to_string()), "bytes": size(version),
        "current": current == Some(version.id()), "misses": standing.misses, "quarantined": standing.quarantined,
        "why": standing.why,
    }))
}

fn current(store: &Store) -> selvedge::Result<Option<Digest>> {
    match store.current() {
        Ok(version) => Ok(version.map(|version| version.id())),
        // It is damaged, and listed as none.
        Err(e) if e.code() == Code::Corrupt => Ok(None),
        Err(e) => Err(e),
    }
}

fn size(version: &Version) -> u64 {
    version.files().map(|(_, size)| size).sum()
}

/// The version of a number, or the one whose id begins so.
fn find(store: &Store, text: &str) -> selvedge::Result<Digest> {
    let versions = store.versions()?;
    let numbered = versions.iter().filter(|version| version.number().to_string() == text);
    let mut found: Vec<Digest> = numbered.map(Version::id).collect();
    if found.is_empty() && text.len() >= 4 {
        let begins = |version: &&Version| version.id().to_string().starts_with(&text.to_lowercase());
        found = versions.iter().filter(begins).map(Version::id).collect();
    }
    match found[..] {
        [id] => Ok(id),
        [] => Err(Error::new(
            Code::NotFound,
            format!("version '{text}': expected a number or digits of an id, got none of the store"),
        )),
        _ => Err(Error::new(
            Code::InvalidArgument,
            format!("version '{text}': expected one version, got several that are called so"),
        )),
    }
}
