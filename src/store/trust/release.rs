//! The file `selvedge.json` in a package: which version of what it is, and for whom. Signed with all else in the package.
//!
//! ```json
//! {
//!   "selvedge": 1,
//!   "name": "rain",
//!   "version": 14,
//!   "channel": "stable",
//!   "share": 2500,
//!   "minimum": 9,
//!   "expires": "2027-06-30T00:00:00Z",
//!   "label": "trained on New York, November",
//!   "model": "rain.onnx",
//!   "profile": "rain.profile",
//!   "golden": "golden.json"
//! }
//! ```
//!
//! `selvedge`, `name`, `version`, `channel` and `model` must be there; `share` is 10000 and `minimum` 0 if they are not. A
//! statement that takes a version back has `rollback_to` in place of `model`, `profile` and `golden`, and comes in a package of
//! no other file:
//!
//! ```json
//! {
//!   "selvedge": 1,
//!   "name": "rain",
//!   "version": 15,
//!   "channel": "stable",
//!   "rollback_to": { "version": 13, "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a0" }
//! }
//! ```
//!
//! Versions and such statements share one row of numbers: each that is signed has a higher number than all before. Any other key is
//! refused: what a reader of format 1 does not know, it must not leave out in silence.

use serde_json::{Map, Value, json};

use super::json::{Json, Members, shown};
use super::{name, time};
use crate::Digest;
use crate::error::{Error, Result};

const WHAT: &str = "selvedge.json";
pub(super) const MAX_BYTES: usize = 64 << 10;
/// The highest number: what every reader of JSON holds exactly.
pub(super) const MAX_VERSION: u64 = (1 << 53) - 1;
/// The share that is everybody.
pub(super) const EVERYBODY: u64 = 10_000;
const MAX_WORD: usize = 64;
const MAX_LABEL: usize = 256;

/// What a package says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    /// Name of the model over all its versions: 1 to 64 of `a` to `z`, `0` to `9`, `.`, `_` and `-`, beginning with a letter or a
    /// digit.
    pub name: String,
    /// Number of the version, from 1 to 2⁵³ − 1; each that is signed has a higher one than all before.
    pub version: u64,
    /// Row of versions that a device follows; letters as in a name.
    pub channel: String,
    /// How many of 10,000 devices are to take it: 0 to 10,000.
    pub share: u16,
    /// The lowest version that a device may still go back to; 0 if any.
    pub minimum: u64,
    /// When nobody is to take it in any more, in seconds since 1970. What runs is not stopped by it.
    pub expires: Option<u64>,
    /// Words for people, at most 256 bytes.
    pub label: Option<String>,
    /// What the version brings.
    pub content: Content,
}

/// What a version brings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A model.
    #[non_exhaustive]
    Model {
        /// File that is opened.
        model: String,
        /// File of its profile.
        profile: Option<String>,
        /// File of its golden cases.
        golden: Option<String>,
    },
    /// Nothing new: the device is to go back.
    #[non_exhaustive]
    Rollback {
        /// Version to go back to.
        version: u64,
        /// Digest over all files of that version's package.
        digest: Digest,
    },
}

impl Release {
    /// A version of a model for everybody on the channel `stable`.
    ///
    /// ```
    /// use selvedge::store::Release;
    /// let mut release = Release::new("rain", 14, "rain.onnx");
    /// release.share = 2500;
    /// assert_eq!(Release::parse(&release.to_json())?, release);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn new(name: impl Into<String>, version: u64, model: impl Into<String>) -> Self {
        Self::of(name, version, Content::Model { model: model.into(), profile: None, golden: None })
    }

    /// A statement with the number `version` that all devices are to go back to an earlier version.
    pub fn rollback(name: impl Into<String>, version: u64, to: u64, digest: Digest) -> Self {
        Self::of(name, version, Content::Rollback { version: to, digest })
    }

    fn of(name: impl Into<String>, version: u64, content: Content) -> Self {
        let (channel, share) = ("stable".into(), EVERYBODY as u16);
        Self { name: name.into(), version, channel, share, minimum: 0, expires: None, label: None, content }
    }

    /// Adds the file of the profile; of a rollback, nothing.
    #[must_use]
    pub fn with_profile(mut self, file: impl Into<String>) -> Self {
        if let Content::Model { profile, .. } = &mut self.content {
            *profile = Some(file.into());
        }
        self
    }

    /// Adds the file of the golden cases; of a rollback, nothing.
    #[must_use]
    pub fn with_golden(mut self, file: impl Into<String>) -> Self {
        if let Content::Model { golden, .. } = &mut self.content {
            *golden = Some(file.into());
        }
        self
    }

    /// The statement in a file `selvedge.json`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format, `Unsupported` for a later format.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let json = Json::parse(WHAT, bytes, MAX_BYTES)?;
        let members = json.members(WHAT)?;
        let format = members.integer("selvedge", 1, MAX_VERSION)?;
        if format != 1 {
            return Err(Error::unsupported(format!("{WHAT}: expected format 1, got {format}")));
        }
        let content = content(&members)?;
        members.only(match content {
            Content::Model { .. } => &[
                "selvedge", "name", "version", "channel", "share", "minimum", "expires", "label", "model", "profile",
                "golden",
            ],
            Content::Rollback { .. } => {
                &["selvedge", "name", "version", "channel", "share", "minimum", "expires", "label", "rollback_to"]
            }
        })?;
        let given = |key| members.find(key).is_some();
        let version = members.integer("version", 1, MAX_VERSION)?;
        let share = if given("share") { members.integer("share", 0, EVERYBODY)? } else { EVERYBODY };
        Ok(Self {
            name: word(&members, "name")?,
            version,
            channel: word(&members, "channel")?,
            share: share as u16,
            minimum: if given("minimum") { members.integer("minimum", 0, version)? } else { 0 },
            expires: given("expires").then(|| time::parse(&members, "expires")).transpose()?,
            label: given("label").then(|| label(&members)).transpose()?,
            content,
        })
    }

    /// The file `selvedge.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut members = Map::from_iter([
            ("selvedge".into(), json!(1)),
            ("name".into(), json!(self.name)),
            ("version".into(), json!(self.version)),
            ("channel".into(), json!(self.channel)),
            ("share".into(), json!(self.share)),
            ("minimum".into(), json!(self.minimum)),
        ]);
        let mut add = |key: &str, value: Option<Value>| members.extend(value.map(|value| (key.into(), value)));
        add("expires", self.expires.map(|seconds| json!(time::write(seconds))));
        add("label", self.label.as_ref().map(|label| json!(label)));
        match &self.content {
            Content::Model { model, profile, golden } => {
                add("model", Some(json!(model)));
                add("profile", profile.as_ref().map(|file| json!(file)));
                add("golden", golden.as_ref().map(|file| json!(file)));
            }
            Content::Rollback { version, digest } => {
                add("rollback_to", Some(json!({ "version": version, "digest": digest.to_string() })));
            }
        }
        format!("{:#}\n", Value::Object(members)).into_bytes()
    }
}

fn content(members: &Members<'_>) -> Result<Content> {
    if members.find("rollback_to").is_none() {
        let optional = |key| members.find(key).map(|_| file(members, key)).transpose();
        let (model, profile, golden) = (file(members, "model")?, optional("profile")?, optional("golden")?);
        return Ok(Content::Model { model, profile, golden });
    }
    let to = members.object("rollback_to")?;
    to.only(&["version", "digest"])?;
    // A number below its own; where that is no number, the version itself is refused.
    let own = members.integer("version", 1, MAX_VERSION)?;
    let version = to.integer("version", 1, own - 1)?;
    Ok(Content::Rollback { version, digest: super::statement::hexadecimal(&to, "digest")? })
}

fn file(members: &Members<'_>, key: &str) -> Result<String> {
    let file = members.text(key)?;
    name::check(&format!("{}: '{key}'", members.what), file)?;
    Ok(file.into())
}

/// A name that may be the name of a folder on every system.
pub(super) fn word(members: &Members<'_>, key: &str) -> Result<String> {
    let word = members.text(key)?;
    let is_letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let begins = word.bytes().next().is_some_and(is_letter);
    if begins && word.len() <= MAX_WORD && word.bytes().all(|c| is_letter(c) || matches!(c, b'.' | b'_' | b'-')) {
        return Ok(word.into());
    }
    let expected = "1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first";
    Err(Error::corrupt(format!("{}: '{key}': expected {expected}, got '{}'", members.what, shown(word))))
}

fn label(members: &Members<'_>) -> Result<String> {
    let label = members.text("label")?;
    if label.len() <= MAX_LABEL && !label.contains(char::is_control) {
        return Ok(label.into());
    }
    Err(Error::corrupt(format!("{}: 'label': expected at most {MAX_LABEL} bytes in one line", members.what)))
}
