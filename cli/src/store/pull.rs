//! `selvedge store pull`: a package from a registry, blob by blob, each from where the last try ended.

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use selvedge::store::{Artifact, ArtifactBlob, Staged, Store};
use selvedge::{Code, Digest, Error as Typed};
use ureq::http::{HeaderMap, Method};

use super::auth::Access;
use super::reference::{Reference, Which};
use super::registry::{Ask, Failure, Registry, Try};
use super::{Place, versions, work};
use crate::Outcome;

/// The file whose signature vouches for all others.
const SIGNATURE: &str = "model.sig";
/// Bytes of a manifest: what registries take.
const MAX_MANIFEST: u64 = 4 << 20;

/// Fetches a package from a registry, verifies it, and keeps it as a version.
///
/// The signature comes first: a package that nobody trusted signed is refused before its weights are fetched. What was
/// fetched stays in the store when the connection breaks or Ctrl-C ends it, and the next try goes on there. The version
/// does not serve before it is activated.
#[derive(Args)]
pub(super) struct Pull {
    /// HOST[:PORT]/NAME[:TAG|@sha256:…]; the tag is `latest` where none is given.
    #[arg(value_name = "REF")]
    reference: Reference,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    access: Access,
    /// Let the version serve at once.
    #[arg(long)]
    activate: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Pull {
    pub(super) fn run(self) -> Outcome {
        let registry = Registry::new(&self.reference, &self.access, "pull")?;
        let store = self.place.open()?;
        work::listen()?;
        let artifact = registry.persist(|| manifest(&registry, &self.reference.which))?;
        let signature = artifact.files().iter().find(|file| file.name() == SIGNATURE);
        if signature.is_none() && !self.place.takes_unsigned() {
            let what = format!("{}: expected a signature in '{SIGNATURE}', got none", self.reference);
            return Err(Typed::new(Code::Untrusted, what).into());
        }
        let bar = work::bar(artifact.files().iter().map(|file| file.blob().size()).sum());
        let mut done = 0;
        for file in artifact.files() {
            work::at(&bar, file.name());
            fetch(&registry, &store, file.blob(), &bar, done)
                .map_err(|e| e.during(format!("fetching {}", file.name())))?;
            done += file.blob().size();
            bar.set_position(done);
            if file.name() == SIGNATURE {
                vouched(&store, &artifact)?;
            }
        }
        bar.finish_and_clear();
        let version = store.import_artifact(&artifact, |_| work::check())?;
        versions::came(&store, &version, self.activate, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The manifest of a tag or digest; one try.
fn manifest(registry: &Registry, which: &Which) -> Try<Artifact> {
    let mut ask = Ask::of(Method::GET, registry.url(&format!("manifests/{which}")));
    // A registry that has an index says so, rather than that it has nothing.
    let types = [Artifact::MANIFEST, "application/vnd.oci.image.index.v1+json"].join(", ");
    ask.headers = vec![("accept", types), ("accept-encoding", "identity".into())];
    let mut response = registry.ask(&ask)?;
    if response.status().as_u16() != 200 {
        return Err(registry.refused(&ask, response));
    }
    let kind = text_of(response.headers(), "content-type").unwrap_or_default().to_string();
    if kind.contains("index") || kind.contains("manifest.list") {
        return Err(
            Typed::new(Code::Unsupported, format!("manifest: expected {}, got {kind}", Artifact::MANIFEST)).into()
        );
    }
    let bytes = response.body_mut().with_config().limit(MAX_MANIFEST).read_to_vec().map_err(|e| match e {
        ureq::Error::BodyExceedsLimit(_) => Failure::from(Typed::new(
            Code::Corrupt,
            format!("manifest: expected at most {MAX_MANIFEST} bytes, got more"),
        )),
        e => Failure::Later { why: format!("manifest: {e}"), wait: None },
    })?;
    let artifact = Artifact::parse(&bytes)?;
    match which {
        Which::Digest(digest) if *digest != artifact.digest() => {
            let what = format!("manifest: expected sha256:{digest}, got sha256:{}", artifact.digest());
            Err(Typed::new(Code::Corrupt, what).into())
        }
        _ => Ok(artifact),
    }
}

/// Fails if the signature, which is there now, is no good. Other files may still be missing.
fn vouched(store: &Store, artifact: &Artifact) -> selvedge::Result<()> {
    // What an earlier try left and was damaged since goes: it says nothing against the signature.
    for file in artifact.files() {
        drop(store.stage(file.blob().digest(), file.blob().size())?);
    }
    match store.import_artifact(artifact, |_| work::check()) {
        Err(e) if e.code() != Code::NotFound => Err(e),
        // All was there, or something is missing, which comes next.
        _ => Ok(()),
    }
}

/// An error with what was done at the time.
trait During {
    fn during(self, what: String) -> Box<dyn Error>;
}

impl During for Box<dyn Error> {
    fn during(self, what: String) -> Box<dyn Error> {
        match self.downcast::<Typed>() {
            Ok(typed) => typed.during(what).into(),
            Err(other) => format!("{other} (while {what})").into(),
        }
    }
}

/// Fetches what is missing of a blob.
fn fetch(
    registry: &Registry,
    store: &Store,
    blob: &ArtifactBlob,
    bar: &ProgressBar,
    before: u64,
) -> Result<(), Box<dyn Error>> {
    loop {
        let mut staged = store.stage(blob.digest(), blob.size())?;
        if staged.is_whole() {
            return Ok(());
        }
        let begun = staged.offset();
        bar.set_position(before + begun);
        let mut patience = registry.patience();
        while staged.offset() < staged.size() {
            let at = staged.offset();
            if let Err(failure) = rest(registry, blob.digest(), &mut staged, bar) {
                if staged.offset() > at {
                    patience.gain();
                }
                patience.lose(failure, bar)?;
            }
        }
        match staged.finish() {
            // What an earlier try left may have been damaged since: it is gone now.
            Err(e) if e.code() == Code::Corrupt && begun > 0 => {
                work::note(bar, &format!("{e}: what an earlier try had fetched is fetched again"));
            }
            done => return Ok(done?),
        }
    }
}

/// Fetches the rest of a blob, as far as this connection goes.
fn rest(registry: &Registry, digest: Digest, staged: &mut Staged, bar: &ProgressBar) -> Try<()> {
    let mut ask = Ask::of(Method::GET, registry.url(&format!("blobs/sha256:{digest}")));
    // Compressed on the way, a part of it would be of another file.
    ask.headers.push(("accept-encoding", "identity".into()));
    let (from, size) = (staged.offset(), staged.size());
    if from > 0 {
        ask.headers.push(("range", format!("bytes={from}-")));
    }
    let mut response = registry.ask(&ask)?;
    let mut skipped = match response.status().as_u16() {
        206 if from > 0 => {
            let range = text_of(response.headers(), "content-range").unwrap_or_default();
            check_range(range, from, size).map_err(|got| changed(digest, &format!("bytes {from}- of {size}"), &got))?;
            0
        }
        // A registry that knows no ranges sends all of it again.
        200 => {
            let length = text_of(response.headers(), "content-length").and_then(|length| length.parse::<u64>().ok());
            if let Some(got) = length.filter(|length| *length != size) {
                return Err(changed(digest, &format!("{size} bytes"), &got.to_string()));
            }
            from
        }
        416 => return Err(changed(digest, &format!("{size} bytes"), "fewer")),
        _ => return Err(registry.refused(&ask, response)),
    };
    let mut body = response.body_mut().as_reader();
    let mut chunk = vec![0; 256 << 10];
    loop {
        work::check()?;
        let read = body.read(&mut chunk).map_err(|e| Failure::Later { why: e.to_string(), wait: None })?;
        if read == 0 {
            break;
        }
        let skip = usize::try_from(skipped).map_or(read, |skipped| skipped.min(read));
        skipped -= skip as u64;
        let got = &chunk[skip..read];
        if got.len() as u64 > staged.size() - staged.offset() {
            return Err(changed(digest, &format!("{size} bytes"), "more"));
        }
        staged.write_all(got)?;
        bar.inc(got.len() as u64);
    }
    if staged.offset() < size {
        return Err(Failure::Later {
            why: format!("the connection ended at byte {} of {size}", staged.offset()),
            wait: None,
        });
    }
    Ok(())
}

/// The content has changed, or is of another blob: its digest is its name.
fn changed(digest: Digest, expected: &str, got: &str) -> Failure {
    Typed::new(Code::Corrupt, format!("blob sha256:{digest}: expected {expected}, got {got}")).into()
}

/// `bytes FROM-LAST/SIZE`, where the size may be `*`.
fn check_range(range: &str, from: u64, size: u64) -> Result<(), String> {
    let parts = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
    let is_right = parts.is_some_and(|(part, total)| {
        let first = part.split_once('-').and_then(|(first, _)| first.trim().parse::<u64>().ok());
        first == Some(from) && (total == "*" || total.parse() == Ok(size))
    });
    if is_right { Ok(()) } else { Err(format!("'{range}'")) }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::check_range;

    #[test]
    fn a_part_is_taken_only_where_it_goes_on() {
        check_range("bytes 5-9/10", 5, 10).unwrap();
        check_range("bytes 5-7/*", 5, 10).unwrap();
        for range in ["", "bytes", "5-9/10", "bytes 4-9/10", "bytes 5-9/11", "bytes */10", "items 5-9/10"] {
            check_range(range, 5, 10).unwrap_err();
        }
    }
}
