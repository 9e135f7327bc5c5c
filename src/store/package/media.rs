//! Media types of a package's parts.

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";
pub(super) const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";

const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";
const WEIGHT_CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
const CODE: &str = "application/vnd.cncf.model.code.v1.raw";
const DATASET: &str = "application/vnd.cncf.model.dataset.v1.raw";
const PROFILE: &str = "application/vnd.selvedge.profile.v1";
const GOLDEN: &str = "application/vnd.selvedge.golden.v1";
const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What a layer may be: one file, byte for byte.
pub(super) const LAYERS: &[&str] = &[WEIGHT, WEIGHT_CONFIG, DOC, CODE, DATASET, PROFILE, GOLDEN, SIGNATURE];

/// The media type of a file that is to become a layer.
pub(super) fn of_file(name: &str) -> &'static str {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let is_document = ["README", "LICENSE", "LICENCE", "NOTICE", "CHANGELOG"].contains(&stem.to_uppercase().as_str());
    match extension.to_lowercase().as_str() {
        _ if name == super::SIGNATURE => SIGNATURE,
        "profile" => PROFILE,
        "golden" => GOLDEN,
        _ if stem == "golden" || folder.split('/').any(|part| part == "golden") => GOLDEN,
        "md" | "rst" | "pdf" | "html" => DOC,
        _ if is_document => DOC,
        "json" | "yaml" | "yml" | "toml" | "txt" | "jinja" | "model" | "vocab" => WEIGHT_CONFIG,
        "py" | "sh" => CODE,
        _ => WEIGHT,
    }
}

/// The same contents without an archive around them, where a media type names one that is known.
pub(super) fn raw_of(media_type: &str) -> Option<&'static str> {
    let (kind, _) = media_type.strip_prefix("application/vnd.cncf.model.")?.split_once(".v1.tar")?;
    LAYERS
        .iter()
        .copied()
        .find(|raw| raw.strip_prefix("application/vnd.cncf.model.") == Some(&format!("{kind}.v1.raw")))
}
