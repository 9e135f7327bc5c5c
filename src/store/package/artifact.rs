//! An OCI artifact: the manifest of a package, read or made from a folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checked::PackageFile;
use super::name::Names;
use super::{folder, media};
use crate::digest::Hasher;
use crate::disk::{Access, open};
use crate::{Digest, Error, Result};

/// The most bytes of a manifest, an index or a config: what registries take.
pub(super) const MAX_JSON: u64 = 4 << 20;

const FILEPATH: &str = "org.cncf.model.filepath";
const TITLE: &str = "org.opencontainers.image.title";

/// A model as an OCI artifact with ModelPack's media types: its manifest, and the blobs that this names. It holds no
/// file's bytes.
///
/// ```
/// use selvedge::store::Artifact;
/// let folder = std::env::temp_dir().join(format!("artifact-{}", std::process::id()));
/// std::fs::create_dir(&folder)?;
/// std::fs::write(folder.join("rain.onnx"), b"weights")?;
/// let made = Artifact::of_folder(&folder)?;
/// assert_eq!((made.files()[0].name(), made.files()[0].blob().size()), ("rain.onnx", 7));
/// // The manifest says it all.
/// let read = Artifact::parse(made.manifest())?;
/// assert_eq!((read.digest(), read.files()), (made.digest(), made.files()));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Artifact {
    manifest: Vec<u8>,
    digest: Digest,
    config: ArtifactBlob,
    files: Vec<ArtifactFile>,
}

/// A file of an artifact: one layer of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    name: String,
    blob: ArtifactBlob,
}

/// What an artifact says of bytes that lie elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactBlob {
    media_type: String,
    digest: Digest,
    size: u64,
}

impl ArtifactFile {
    /// Its path in the package; parts are apart by `/`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes.
    pub fn blob(&self) -> &ArtifactBlob {
        &self.blob
    }
}

impl ArtifactBlob {
    /// Its media type.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// SHA-256 of its bytes, by which it is called.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Artifact {
    /// Media type of the manifest, as a registry is asked for it.
    pub const MANIFEST: &'static str = media::OCI_MANIFEST;

    /// Reads a manifest. Whatever its order, the files come as from a folder: the signature, then from the smallest to the
    /// largest.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the rules of manifests or of names in a package; `Unsupported` for an artifact that is no
    /// model, for layers of unknown media types, archives and digests other than SHA-256.
    pub fn parse(manifest: &[u8]) -> Result<Self> {
        let json: ManifestJson = parse(manifest, "manifest")?;
        json.check()?;
        let config = json.config.blob("config")?;
        if config.size > MAX_JSON {
            return Err(corrupt(format!("config: expected at most {MAX_JSON} bytes, got {}", config.size)));
        }
        let (mut files, mut names) = (Vec::with_capacity(json.layers.len().min(1024)), Names::default());
        let mut total = 0u64;
        for layer in &json.layers {
            let file = layer.file()?;
            names.add(&file.name)?;
            total = total
                .checked_add(file.blob.size)
                .ok_or_else(|| corrupt("expected layers of at most 2⁶⁴ bytes, got more"))?;
            files.push(file);
        }
        names.finish()?;
        files.sort_by(|a, b| folder::order(&a.name, a.blob.size).cmp(&folder::order(&b.name, b.blob.size)));
        Ok(Self { manifest: manifest.to_vec(), digest: digest_of(manifest), config, files })
    }

    /// Makes the artifact of a folder, whose files it reads once each to know their digests. The same files give the same
    /// manifest, byte for byte.
    ///
    /// # Errors
    ///
    /// Those of reading a folder as a package: `NotFound`, `Io`, `Unsupported` for links and what else is no regular file,
    /// `Corrupt` for names that no package may have.
    pub fn of_folder(path: impl AsRef<Path>) -> Result<Self> {
        let mut files = Vec::new();
        for found in folder::list(path.as_ref())? {
            let io = |e| Error::io(found.path.display(), e);
            let mut reader = open(&found.path, Access::Read).map_err(io)?;
            let mut file = PackageFile::whole(&found.name, found.size, None, &mut reader);
            file.skip()?;
            let digest = file.digest().ok_or_else(|| Error::internal("a file that was read has no digest"))?;
            let blob = ArtifactBlob { media_type: media::of_file(&found.name).into(), digest, size: found.size };
            files.push(ArtifactFile { name: found.name, blob });
        }
        let bytes = config_of(&files)?;
        let config =
            ArtifactBlob { media_type: media::CONFIG.into(), digest: digest_of(&bytes), size: bytes.len() as u64 };
        let manifest = write(&ManifestJson::new(&config, &files))?;
        let digest = digest_of(&manifest);
        Ok(Self { manifest, digest, config, files })
    }

    /// The manifest, byte for byte.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The manifest's digest, which names the artifact in a registry.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The config, a blob of its own.
    pub fn config(&self) -> &ArtifactBlob {
        &self.config
    }

    /// The bytes of the config as [`of_folder`](Self::of_folder) makes it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for an artifact whose config was made elsewhere: its bytes are not known.
    pub fn config_bytes(&self) -> Result<Vec<u8>> {
        let bytes = config_of(&self.files)?;
        if digest_of(&bytes) == self.config.digest {
            return Ok(bytes);
        }
        Err(Error::unsupported(format!("config sha256:{}: expected one that was made here", self.config.digest)))
    }

    /// The files: the signature, then from the smallest to the largest.
    pub fn files(&self) -> &[ArtifactFile] {
        &self.files
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// What OCI documents say of other bytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

impl ManifestJson {
    fn new(config: &ArtifactBlob, files: &[ArtifactFile]) -> Self {
        let layers = files.iter().map(|ArtifactFile { name, blob }| {
            let annotations = [FILEPATH, TITLE].map(|key| (key.to_string(), name.clone()));
            Descriptor { annotations: Some(annotations.into()), ..Descriptor::of(blob) }
        });
        Self {
            schema_version: 2,
            media_type: Some(media::OCI_MANIFEST.into()),
            artifact_type: Some(media::MODEL.into()),
            config: Descriptor::of(config),
            layers: layers.collect(),
        }
    }

    /// Whether this is the manifest of a model.
    fn check(&self) -> Result<()> {
        if self.schema_version != 2 {
            return Err(Error::unsupported(format!(
                "manifest: expected schema version 2, got {}",
                self.schema_version
            )));
        }
        if let Some(other) = self.media_type.as_ref().filter(|media_type| *media_type != media::OCI_MANIFEST) {
            return Err(Error::unsupported(format!("manifest: expected {}, got {other:?}", media::OCI_MANIFEST)));
        }
        let config = &*self.config.media_type;
        let is_model = match self.artifact_type.as_deref() {
            Some(kind) => kind == media::MODEL && matches!(config, media::CONFIG | media::OCI_EMPTY),
            // Where a manifest doesn't say, its config's type is the artifact's.
            None => config == media::CONFIG,
        };
        if is_model {
            return Ok(());
        }
        let got = self.artifact_type.as_deref().unwrap_or("none");
        let expected = format!("artifact type {} and config {}", media::MODEL, media::CONFIG);
        Err(Error::unsupported(format!("manifest: expected {expected}, got {got:?} and {config:?}")))
    }
}

impl Descriptor {
    pub(super) fn of(blob: &ArtifactBlob) -> Self {
        let (media_type, digest) = (blob.media_type.clone(), format!("sha256:{}", blob.digest));
        Self { media_type, digest, size: blob.size, artifact_type: None, annotations: None }
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(super) fn blob(&self, what: &str) -> Result<ArtifactBlob> {
        let hex = match self.digest.split_once(':') {
            Some(("sha256", hex)) => hex,
            Some((other @ ("sha384" | "sha512" | "blake3"), _)) => {
                return Err(Error::unsupported(format!("{what}: expected a digest sha256:…, got {other}")));
            }
            _ => return Err(corrupt(format!("{what}: expected a digest sha256:…, got {:?}", self.digest))),
        };
        let is_small = !hex.bytes().any(|byte| byte.is_ascii_uppercase());
        let digest = hex.parse().ok().filter(|_| is_small);
        let bad = || corrupt(format!("{what}: expected sha256 and 64 small hexadecimal digits, got {:?}", self.digest));
        Ok(ArtifactBlob { media_type: self.media_type.clone(), digest: digest.ok_or_else(bad)?, size: self.size })
    }

    fn file(&self) -> Result<ArtifactFile> {
        let name = self.annotation(FILEPATH).or_else(|| self.annotation(TITLE));
        let Some(name) = name else {
            return Err(corrupt(format!(
                "layer {:?}: expected an annotation {FILEPATH} or {TITLE}, got none",
                self.digest
            )));
        };
        let media_type = &*self.media_type;
        if let Some(raw) = media::raw_of(media_type) {
            let message = format!("package: file {name:?}: expected a raw layer, {raw}, got an archive, {media_type}");
            return Err(Error::unsupported(message));
        }
        if !media::LAYERS.contains(&media_type) {
            let known = media::LAYERS.join(", ");
            let message = format!("package: file {name:?}: expected a media type of {known}, got {media_type:?}");
            return Err(Error::unsupported(message));
        }
        Ok(ArtifactFile { name: name.into(), blob: self.blob(&format!("package: file {name:?}"))? })
    }
}

/// A config that says nothing but which bytes the layers are: the rest is in the files.
fn config_of(files: &[ArtifactFile]) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ConfigJson {
        descriptor: Empty,
        config: Empty,
        modelfs: Layers,
    }
    #[derive(Serialize)]
    struct Empty {}
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Layers {
        r#type: &'static str,
        diff_ids: Vec<String>,
    }
    let diff_ids = files.iter().map(|file| format!("sha256:{}", file.blob.digest)).collect();
    write(&ConfigJson { descriptor: Empty {}, config: Empty {}, modelfs: Layers { r#type: "layers", diff_ids } })
}

pub(super) fn write(json: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(json).map_err(|e| Error::internal("JSON of an artifact could not be written").because(e))
}

pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T> {
    if bytes.len() as u64 > MAX_JSON {
        return Err(corrupt(format!("{what}: expected at most {MAX_JSON} bytes, got {}", bytes.len())));
    }
    serde_json::from_slice(bytes)
        .map_err(|e| corrupt(format!("{what}: expected JSON of the OCI image format")).because(e))
}

pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    let mut hash = Hasher::default();
    hash.update(bytes);
    hash.digest()
}

pub(super) fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::corrupt(what.to_string())
}
