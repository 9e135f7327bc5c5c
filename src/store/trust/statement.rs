//! The statement of OpenSSF Model Signing 1.0 in its envelope: which files a model is made of, by their digests.

use serde_json::json;

use super::json::{Json, Members, shown};
use super::key::digest;
use super::name;
use crate::Digest;
use crate::error::{Error, Result};

/// Of a bundle, and so of the statement in it: more than 60,000 files.
pub(super) const MAX_BYTES: usize = 16 << 20;
const WHAT: &str = "signed statement";
const TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
/// Left out by every signer, at the root of a model.
const NEVER_SIGNED: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// What a statement says.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) files: Vec<(String, Digest)>,
    pub(super) root: Digest,
    /// Paths that the signer left out.
    pub(super) ignored: Vec<String>,
}

/// The statement of these bytes, which a signature was found to be over.
///
/// # Errors
///
/// `Corrupt` for what breaks the specification, `Unsupported` for what is of it and not taken here: shards, other hashes than
/// SHA-256, links.
pub(super) fn parse(payload: &[u8]) -> Result<Statement> {
    let json = Json::parse_foreign(WHAT, payload, MAX_BYTES)?;
    let statement = json.members(WHAT)?;
    statement.expect("_type", TYPE)?;
    statement.expect("predicateType", PREDICATE)?;
    let stated = subject(&statement)?;
    let predicate = statement.object("predicate")?;
    let ignored = serialization(&predicate.object("serialization")?)?;
    let files = resources(&predicate)?;
    let root = root(&files);
    if root != stated {
        return Err(Error::corrupt(format!("{WHAT}: digest of all files: expected {root}, got {stated}")));
    }
    Ok(Statement { files, root, ignored })
}

/// The digest over all files: of their raw digests, in the order in which they are listed.
pub(super) fn root(files: &[(String, Digest)]) -> Digest {
    digest(&files.iter().flat_map(|(_, digest)| digest.0).collect::<Vec<u8>>())
}

/// The statement over these files, sorted, as bytes.
pub(super) fn write(model: &str, files: &[(String, Digest)], ignored: &[&str]) -> Vec<u8> {
    let resource = |(name, digest): &(String, Digest)| json!({ "name": name, "digest": digest.to_string(), "algorithm": "sha256" });
    let ignored: Vec<&str> = NEVER_SIGNED.iter().chain(ignored).copied().collect();
    let statement = json!({
        "_type": TYPE,
        "subject": [{ "name": model, "digest": { "sha256": root(files).to_string() } }],
        "predicateType": PREDICATE,
        "predicate": {
            "resources": files.iter().map(resource).collect::<Vec<_>>(),
            "serialization": { "method": "files", "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": ignored },
        },
    });
    statement.to_string().into_bytes()
}

/// Whether a file may lie beside the signed ones and be none of them.
pub(super) fn is_ignored(name: &str, ignored: &[String]) -> bool {
    let mut paths = NEVER_SIGNED.into_iter().chain(ignored.iter().map(String::as_str));
    paths.any(|path| name::lies_in(name, path))
}

/// The digest over all files, as stated. The name beside it says nothing that could be checked.
fn subject(statement: &Members<'_>) -> Result<Digest> {
    let subjects = statement.list("subject")?;
    let [subject] = subjects else {
        return Err(Error::corrupt(format!("{WHAT}: 'subject': expected 1, got {}", subjects.len())));
    };
    let subject = subject.members(format!("{WHAT}: 'subject'"))?;
    if subject.text("name")?.is_empty() {
        return Err(Error::corrupt(format!("{}: 'name': expected a text, got an empty one", subject.what)));
    }
    hexadecimal(&subject.object("digest")?, "sha256")
}

/// How the files were listed; what comes back are the paths that were left out.
fn serialization(how: &Members<'_>) -> Result<Vec<String>> {
    let unsupported = |key: &str, expected: &str, got: &str| {
        Err(Error::unsupported(format!("{}: '{key}': expected {expected}, got {got}", how.what)))
    };
    match how.text("method")? {
        "files" => {}
        "shards" => return unsupported("method", "'files'", "'shards'"),
        other => return Err(Error::corrupt(format!("{}: 'method': '{}' is none", how.what, shown(other)))),
    }
    match how.text("hash_type")? {
        "sha256" => {}
        other => return unsupported("hash_type", "'sha256'", &format!("'{}'", shown(other))),
    }
    if how.truth("allow_symlinks")? {
        return unsupported("allow_symlinks", "false", "true");
    }
    if how.find("shard_size").is_some() {
        return Err(Error::corrupt(format!("{}: 'shard_size': not of files", how.what)));
    }
    if how.find("ignore_paths").is_none() {
        return Ok(Vec::new());
    }
    let what = format!("{}: 'ignore_paths'", how.what);
    let path = |path: &Json| {
        let path = path.text(&what)?;
        name::check(&what, path)?;
        Ok(path.to_string())
    };
    how.list("ignore_paths")?.iter().map(path).collect()
}

fn resources(predicate: &Members<'_>) -> Result<Vec<(String, Digest)>> {
    let listed = predicate.list("resources")?;
    if listed.is_empty() {
        return Err(Error::corrupt(format!("{}: 'resources': expected at least 1 file, got none", predicate.what)));
    }
    let what = format!("{}: 'resources'", predicate.what);
    let mut files = Vec::with_capacity(listed.len());
    for resource in listed {
        let resource = resource.members(&*what)?;
        match resource.text("algorithm")? {
            "sha256" => {}
            other => {
                let got = shown(other);
                return Err(Error::unsupported(format!("{what}: 'algorithm': expected 'sha256', got '{got}'")));
            }
        }
        files.push((resource.text("name")?.to_string(), hexadecimal(&resource, "digest")?));
    }
    name::check_all(&what, files.iter().map(|(name, _)| &**name))?;
    // The specification sorts by code points; its reference implementation by the parts of the path, where `a/b` comes before
    // `a-b`. One order or the other: the digest over all files depends on it.
    let by_text = files.is_sorted_by(|a, b| a.0 < b.0);
    if by_text || files.is_sorted_by(|a, b| a.0.split('/').lt(b.0.split('/'))) {
        return Ok(files);
    }
    Err(Error::corrupt(format!("{what}: expected them sorted by name")))
}

/// 64 hexadecimal digits, in lower case: one spelling for each digest.
pub(super) fn hexadecimal(members: &Members<'_>, key: &str) -> Result<Digest> {
    let text = members.text(key)?;
    let digest = text.parse::<Digest>().ok().filter(|digest| digest.to_string() == text);
    let expected = "64 hexadecimal digits in lower case";
    digest
        .ok_or_else(|| Error::corrupt(format!("{}: '{key}': expected {expected}, got '{}'", members.what, shown(text))))
}
