//! `selvedge store push`: a folder as a package in a registry.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use selvedge::store::{Artifact, ArtifactBlob};
use ureq::http::{HeaderMap, Method};

use super::auth::Access;
use super::reference::{Reference, Which};
use super::registry::{Ask, Failure, Registry, Try};
use super::work;
use crate::{Outcome, print};

/// The most bytes of a request: a larger blob goes in several.
const CHUNK: u64 = 16 << 20;

/// Publishes a folder as a package: in a registry, or as an OCI image layout.
///
/// What the registry has already is not sent again. Sign the folder before: `selvedge store sign`.
#[derive(Args)]
pub(super) struct Push {
    /// The folder with the model's files.
    folder: PathBuf,
    /// HOST[:PORT]/NAME[:TAG], or oci:FOLDER[:TAG] for an OCI image layout in a new folder.
    #[arg(value_name = "REF")]
    target: Target,
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Debug)]
enum Target {
    Registry(Reference),
    Layout { folder: PathBuf, tag: Option<String> },
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(layout) = text.strip_prefix("oci:") else { return text.parse().map(Target::Registry) };
        Ok(match layout.rsplit_once(':') {
            // A tag has no slash, but a folder of Windows may begin with `C:`.
            Some((folder, tag)) if !folder.is_empty() && !tag.is_empty() && !tag.contains(['/', '\\']) => {
                Target::Layout { folder: folder.into(), tag: Some(tag.into()) }
            }
            _ => Target::Layout { folder: layout.into(), tag: None },
        })
    }
}

impl Push {
    pub(super) fn run(self) -> Outcome {
        let artifact = Artifact::of_folder(&self.folder)?;
        if artifact.files().iter().all(|file| file.name() != "model.sig") {
            eprintln!(
                "note: {}: it has no model.sig: a store takes no package that nobody signed",
                self.folder.display()
            );
        }
        work::listen()?;
        let reference = match &self.target {
            Target::Registry(reference) => {
                let Which::Tag(tag) = &reference.which else {
                    return Err(format!("reference '{reference}': expected a tag, got a digest").into());
                };
                let registry = Registry::new(reference, &self.access, "pull,push")?;
                self.to_registry(&registry, &artifact, tag)?;
                format!("{}/{}", reference.host, reference.name)
            }
            Target::Layout { folder, tag } => {
                artifact.write_layout(&self.folder, folder, tag.as_deref())?;
                format!("oci:{}", folder.display())
            }
        };
        let size = artifact.files().iter().map(|file| file.blob().size()).sum();
        println!("{reference}@sha256:{}: {} files, {}", artifact.digest(), artifact.files().len(), print::bytes(size));
        Ok(ExitCode::SUCCESS)
    }

    fn to_registry(&self, registry: &Registry, artifact: &Artifact, tag: &str) -> Result<(), Box<dyn Error>> {
        let bar = work::bar(artifact.files().iter().map(|file| file.blob().size()).sum());
        let mut sent = 0;
        for file in artifact.files() {
            work::at(&bar, file.name());
            let path = file.name().split('/').fold(self.folder.clone(), |path, part| path.join(part));
            upload(registry, file.blob(), &mut Bytes::of(&path)?, &bar)?;
            sent += file.blob().size();
            bar.set_position(sent);
        }
        upload(registry, artifact.config(), &mut Bytes::Memory(artifact.config_bytes()?), &bar)?;
        bar.finish_and_clear();
        registry.persist(|| {
            let mut ask = Ask::of(Method::PUT, registry.url(&format!("manifests/{tag}")));
            ask.headers.push(("content-type", Artifact::MANIFEST.into()));
            ask.body = Some(artifact.manifest());
            let response = registry.ask(&ask)?;
            if response.status().is_success() { Ok(()) } else { Err(registry.refused(&ask, response)) }
        })
    }
}

/// The bytes of a blob, in a file or made here.
enum Bytes {
    Memory(Vec<u8>),
    File(File),
}

impl Bytes {
    fn of(path: &Path) -> Result<Self, String> {
        File::open(path).map(Bytes::File).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn read(&mut self, from: u64, length: u64) -> std::io::Result<Vec<u8>> {
        match self {
            Bytes::Memory(bytes) => Ok(bytes[from as usize..(from + length) as usize].to_vec()),
            Bytes::File(file) => {
                file.seek(SeekFrom::Start(from))?;
                let mut bytes = vec![0; length as usize];
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// Sends a blob that the registry doesn't have.
fn upload(
    registry: &Registry,
    blob: &ArtifactBlob,
    bytes: &mut Bytes,
    bar: &ProgressBar,
) -> Result<(), Box<dyn Error>> {
    if registry.persist(|| is_there(registry, blob))? {
        return Ok(());
    }
    let mut patience = registry.patience();
    let mut upload = None;
    loop {
        match attempt(registry, blob, bytes, &mut upload, bar) {
            Ok(()) => return Ok(()),
            Err((failure, gained)) => {
                if gained {
                    patience.gain();
                }
                patience.lose(failure, bar)?;
            }
        }
    }
}

fn is_there(registry: &Registry, blob: &ArtifactBlob) -> Try<bool> {
    let ask = Ask::of(Method::HEAD, registry.url(&format!("blobs/sha256:{}", blob.digest())));
    let response = registry.ask(&ask)?;
    match response.status().as_u16() {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(registry.refused(&ask, response)),
    }
}

/// An upload that goes on: where, and from which byte.
struct Upload {
    url: String,
    at: u64,
}

/// Sends what is left of a blob; a failure says whether anything was taken meanwhile.
fn attempt(
    registry: &Registry,
    blob: &ArtifactBlob,
    bytes: &mut Bytes,
    upload: &mut Option<Upload>,
    bar: &ProgressBar,
) -> Result<(), (Failure, bool)> {
    let mut going = match upload.take().and_then(|upload| asked(registry, upload, blob.size())) {
        Some(going) => going,
        None => begin(registry).map_err(|failure| (failure, false))?,
    };
    let begun = going.at;
    while blob.size() - going.at > CHUNK {
        match send(registry, &going, bytes) {
            Ok(next) => {
                bar.inc(next.at - going.at);
                going = next;
            }
            Err(failure) => {
                let gained = going.at > begun;
                *upload = Some(going);
                return Err((failure, gained));
            }
        }
    }
    let gained = going.at > begun;
    finish(registry, &going, blob, bytes).map_err(|failure| {
        *upload = Some(going);
        (failure, gained)
    })
}

fn begin(registry: &Registry) -> Try<Upload> {
    let ask = Ask::of(Method::POST, registry.url("blobs/uploads/"));
    let response = registry.ask(&ask)?;
    match response.status().as_u16() {
        202 => Ok(Upload { url: registry.location(response.headers())?, at: 0 }),
        _ => Err(registry.refused(&ask, response)),
    }
}

/// How far an upload has come that broke off; `None` if it is to begin anew.
fn asked(registry: &Registry, upload: Upload, size: u64) -> Option<Upload> {
    let response = registry.ask(&Ask::of(Method::GET, upload.url.clone())).ok()?;
    if response.status().as_u16() != 204 {
        return None;
    }
    let at = taken(response.headers())?;
    let url = registry.location(response.headers()).unwrap_or(upload.url);
    (at <= size).then_some(Upload { url, at })
}

/// The bytes that a registry has of an upload: `Range: 0-LAST`. Of none and of one it says the same, so one is sent again.
fn taken(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("range")?.to_str().ok()?;
    let last: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
    if last == 0 { None } else { last.checked_add(1) }
}

/// Sends a part in the middle.
fn send(registry: &Registry, upload: &Upload, bytes: &mut Bytes) -> Try<Upload> {
    let part = bytes.read(upload.at, CHUNK)?;
    let end = upload.at + CHUNK;
    let mut ask = Ask::of(Method::PATCH, upload.url.clone());
    ask.headers.push(("content-type", "application/octet-stream".into()));
    ask.headers.push(("content-range", format!("{}-{}", upload.at, end - 1)));
    ask.body = Some(&part);
    let response = registry.ask(&ask)?;
    match response.status().as_u16() {
        202 if taken(response.headers()).is_none_or(|taken| taken == end) => {
            Ok(Upload { url: registry.location(response.headers())?, at: end })
        }
        202 => Err(Failure::Later { why: "upload: the registry took another part than was sent".into(), wait: None }),
        _ => Err(anew(registry.refused(&ask, response))),
    }
}

/// Sends the last part, and says what the whole must be.
fn finish(registry: &Registry, upload: &Upload, blob: &ArtifactBlob, bytes: &mut Bytes) -> Try<()> {
    let part = bytes.read(upload.at, blob.size() - upload.at)?;
    let apart = if upload.url.contains('?') { '&' } else { '?' };
    let mut ask = Ask::of(Method::PUT, format!("{}{apart}digest=sha256:{}", upload.url, blob.digest()));
    ask.headers.push(("content-type", "application/octet-stream".into()));
    if upload.at > 0 && !part.is_empty() {
        ask.headers.push(("content-range", format!("{}-{}", upload.at, blob.size() - 1)));
    }
    ask.body = Some(&part);
    let response = registry.ask(&ask)?;
    match response.status().as_u16() {
        201 | 204 => Ok(()),
        _ => Err(anew(registry.refused(&ask, response))),
    }
}

/// An upload that the registry knows no more, or has in another state, is begun anew.
fn anew(failure: Failure) -> Failure {
    match failure {
        Failure::Final(error) if is_lost(&*error) => Failure::Later { why: format!("upload: {error}"), wait: None },
        failure => failure,
    }
}

fn is_lost(error: &(dyn Error + 'static)) -> bool {
    let is_unknown = error.downcast_ref::<selvedge::Error>().is_some_and(|e| e.code() == selvedge::Code::NotFound);
    is_unknown || error.to_string().contains("status 416")
}
