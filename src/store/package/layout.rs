//! A package in an OCI image layout. Nothing in it is believed but the digest of what was chosen.
//!
//! ```text
//! oci-layout                {"imageLayoutVersion":"1.0.0"}
//! index.json                manifests, by tag
//! blobs/sha256/DIGEST       manifest, config, and a file each
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::artifact::{Artifact, ArtifactBlob, Descriptor, MAX_JSON, corrupt, parse};
use super::checked::PackageFile;
use super::media;
use crate::disk::{self, Access, open};
use crate::{Code, Digest, Error, Result};

/// The file that marks a layout.
pub(super) const MARK: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";
pub(super) const BLOBS: &str = "blobs/sha256";
pub(super) const VERSION: &str = "1.0.0";
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayoutJson {
    pub(super) image_layout_version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexJson {
    pub(super) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    pub(super) manifests: Vec<Descriptor>,
}

pub(super) fn visit(
    layout: &Path,
    tag: Option<&str>,
    see: &mut dyn FnMut(&mut PackageFile<'_>) -> Result<()>,
) -> Result<()> {
    let artifact = chosen(layout, tag)?;
    check_config(layout, artifact.config())?;
    for file in artifact.files() {
        let mut blob = open_blob(layout, file.blob(), &format!("package: file {:?}", file.name()))?;
        let (size, promised) = (file.blob().size(), Some(file.blob().digest()));
        let mut file = PackageFile::whole(file.name(), size, promised, &mut blob);
        see(&mut file)?;
        file.finish()?;
    }
    Ok(())
}

/// The artifact that is meant.
fn chosen(layout: &Path, tag: Option<&str>) -> Result<Artifact> {
    let mark: LayoutJson = parse(&read(&layout.join(MARK))?, MARK)?;
    if mark.image_layout_version != VERSION {
        let got = mark.image_layout_version;
        return Err(Error::unsupported(format!("{MARK}: expected version {VERSION}, got {got:?}")));
    }
    for folder in ["blobs", BLOBS] {
        let path = layout.join(folder);
        let meta = path.symlink_metadata().map_err(|e| Error::io(path.display(), e))?;
        if !meta.is_dir() {
            return Err(Error::unsupported(format!("{}: expected a folder, got a link or a file", path.display())));
        }
    }
    let bytes = read(&layout.join(INDEX))?;
    let index: IndexJson = parse(&bytes, INDEX)?;
    let manifest = choose(&index, tag)?;
    if manifest.media_type != media::OCI_MANIFEST {
        let (expected, got) = (media::OCI_MANIFEST, &manifest.media_type);
        return Err(Error::unsupported(format!("{INDEX}: expected {expected}, got {got:?}")));
    }
    let blob = manifest.blob("manifest")?;
    Artifact::parse(&read_blob(layout, &blob, "manifest")?)
}

fn choose<'i>(index: &'i IndexJson, tag: Option<&str>) -> Result<&'i Descriptor> {
    if index.schema_version != 2 {
        return Err(Error::unsupported(format!("{INDEX}: expected schema version 2, got {}", index.schema_version)));
    }
    if let Some(other) = index.media_type.as_ref().filter(|media_type| *media_type != media::OCI_INDEX) {
        return Err(Error::unsupported(format!("{INDEX}: expected {}, got {other:?}", media::OCI_INDEX)));
    }
    let is_meant = |manifest: &&Descriptor| match tag {
        Some(tag) => manifest.annotation(REF_NAME) == Some(tag) || manifest.digest == tag,
        None => true,
    };
    let mut meant = index.manifests.iter().filter(is_meant);
    match (meant.next(), meant.next(), tag) {
        (Some(manifest), None, _) => Ok(manifest),
        // A tag beside a digest may name the same thing twice.
        (Some(manifest), Some(_), Some(_))
            if index.manifests.iter().filter(is_meant).all(|m| m.digest == manifest.digest) =>
        {
            Ok(manifest)
        }
        (Some(_), Some(_), Some(tag)) => {
            Err(corrupt(format!("{INDEX}: expected one manifest of the tag {tag:?}, got several")))
        }
        (Some(_), Some(_), None) => {
            let there = tags(index);
            Err(Error::invalid(format!(
                "{INDEX}: expected a tag to choose one of {} manifests by, got none; there is {there}",
                index.manifests.len()
            )))
        }
        (None, _, Some(tag)) => Err(Error::invalid(format!(
            "{INDEX}: expected a manifest of the tag {tag:?}, got none; there is {}",
            tags(index)
        ))),
        (None, _, None) => Err(corrupt(format!("{INDEX}: expected a manifest, got none"))),
    }
}

/// The tags of an index, the first few of them.
fn tags(index: &IndexJson) -> String {
    let named = |manifest: &Descriptor| format!("{:?}", manifest.annotation(REF_NAME).unwrap_or(&manifest.digest));
    let tags: Vec<String> = index.manifests.iter().take(10).map(named).collect();
    if tags.is_empty() { "none".into() } else { tags.join(", ") }
}

fn check_config(layout: &Path, config: &ArtifactBlob) -> Result<()> {
    let bytes = read_blob(layout, config, "config")?;
    let _: serde::de::IgnoredAny = parse(&bytes, "config")?;
    Ok(())
}

/// The bytes of a small blob, checked.
fn read_blob(layout: &Path, blob: &ArtifactBlob, what: &str) -> Result<Vec<u8>> {
    let mut file = open_blob(layout, blob, what)?;
    PackageFile::whole(what, blob.size(), Some(blob.digest()), &mut file).read_all(MAX_JSON)
}

/// Opens a blob that is there and has the size that was promised.
fn open_blob(layout: &Path, blob: &ArtifactBlob, what: &str) -> Result<File> {
    let path = blob_path(layout, blob.digest());
    let file = open(&path, Access::Read).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => corrupt(format!("{what}: expected its blob sha256:{}, got none", blob.digest())),
        _ => refused(&path, e),
    })?;
    let size = file.metadata().map_err(|e| Error::io(path.display(), e))?.len();
    if size != blob.size() {
        return Err(corrupt(format!("{what}: expected {} bytes, got {size}", blob.size())));
    }
    Ok(file)
}

pub(super) fn blob_path(layout: &Path, digest: Digest) -> PathBuf {
    layout.join(BLOBS).join(digest.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    disk::read(path, MAX_JSON).map_err(|e| refused(path, e))
}

/// A file that is none, or too large, is the package's fault and not the system's.
fn refused(path: &Path, e: io::Error) -> Error {
    let code = match e.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory => Code::Unsupported,
        _ => return Error::io(path.display(), e),
    };
    Error::new(
        code,
        format!("{}: expected a regular file of at most {MAX_JSON} bytes where it is JSON", path.display()),
    )
    .because(e)
}
