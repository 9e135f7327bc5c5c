//! The ratchet: what was admitted, and so what may come after it.
//!
//! # Which numbers are taken
//!
//! Per model and channel, what counts is the highest number that a key admitted which is still trusted.
//!
//! | a package with a number | is |
//! |---|---|
//! | higher | admitted |
//! | the same, and the same digest | what stands: taken again, also when it has expired meanwhile |
//! | the same, and another digest | refused: two versions with one number |
//! | lower | refused; unless it is what a signed statement went back to, or the metadata that list it permit the way back |
//! | below the minimum that a package or metadata named | refused in any case |

use super::key::{PublicKey, untrusted};
use super::policy::Trust;
use super::release::{Content, Release};
use super::signed::Signed;
use super::state::{Channel, Ratchet};
use super::time;
use super::tuf::Listing;
use crate::Digest;
use crate::error::{Error, Result};

/// How a package was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) channel: String,
    /// How many of 10,000 devices are to take it.
    pub(crate) share: u16,
    pub(crate) step: Step,
}

/// Where an admission leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To this version, which is new.
    Forward,
    /// Nowhere: the version stands.
    Same,
    /// Back to an earlier version, by a signed statement, or to this one, where the metadata permit it.
    Back { version: u64, digest: Digest },
}

impl Ratchet {
    /// Admits a package, whose `selvedge.json` is `release` and one of the files that `signed` lists. `clock` in seconds since 1970.
    /// After an error all is as it was.
    ///
    /// # Errors
    ///
    /// `Untrusted` for what the table at the head of this file refuses, for what has expired, and for what is not listed where it
    /// must be; `Corrupt` for a statement that contradicts itself.
    pub(crate) fn admit(&mut self, trust: &Trust, release: &Release, signed: &Signed, clock: u64) -> Result<Admission> {
        let keys = trust.keys(self)?;
        if !trust.counts(&keys, signed.key) {
            return Err(untrusted(format!("{}: signed by nobody who is trusted", described(release))));
        }
        let now = time::believed(clock, self.state.time);
        let terms = self.terms(trust, release, signed)?;
        let standing = self.standing(trust, &keys, &release.name, terms.channel).cloned();
        let (step, mut next) = decide(release, signed, &terms, standing.as_ref())?;
        let admission = Admission { channel: next.channel.clone(), share: terms.share, step };
        if step == Step::Same {
            return Ok(admission);
        }
        if terms.expires.is_some_and(|expires| expires <= now) {
            let (expires, now) = (time::write(terms.expires.unwrap_or(0)), time::write(now));
            return Err(untrusted(format!("{}: expired at {expires}, and it is {now}", described(release))));
        }
        next.minimum = next.minimum.max(terms.minimum);
        if terms.expires.is_some() {
            self.state.time = now;
        }
        self.keep(next);
        Ok(admission)
    }

    /// Whether a device may go back by itself to a version that it held before.
    ///
    /// # Errors
    ///
    /// `Untrusted` for a version below the minimum.
    pub(crate) fn may_return(&self, trust: &Trust, name: &str, channel: &str, version: u64) -> Result<()> {
        let keys = trust.keys(self)?;
        match self.standing(trust, &keys, name, channel) {
            Some(standing) if version < standing.minimum => {
                let minimum = standing.minimum;
                Err(untrusted(format!(
                    "'{name}' {version}: expected at least version {minimum} on channel '{channel}'"
                )))
            }
            _ => Ok(()),
        }
    }

    /// What the metadata list, if they were verified: what could be fetched.
    pub(crate) fn listings(&self) -> Vec<Listing> {
        self.state.repository.iter().flat_map(|r| r.listings.iter().map(Listing::from)).collect()
    }

    /// The terms under which the package comes: its own, or those of the metadata that list it, which can be fresher.
    fn terms<'a>(&'a self, trust: &Trust, release: &'a Release, signed: &Signed) -> Result<Terms<'a>> {
        if !trust.has_root() {
            let (channel, share, minimum, expires) =
                (&*release.channel, release.share, release.minimum, release.expires);
            return Ok(Terms { channel, share, minimum, expires, may_go_back: false });
        }
        let unlisted = |why: &str| Err(untrusted(format!("{}: {why}", described(release))));
        let repository = self.state.repository.as_ref().filter(|r| trust.is_bootstrap(&r.bootstrap));
        let (Some(repository), Some(bundle)) = (repository, signed.bundle) else {
            return unlisted("expected to find it listed in metadata of the repository, got none");
        };
        let Some(listed) = repository.listings.iter().find(|listed| listed.digest == bundle.0) else {
            return unlisted("not listed in the metadata of the repository");
        };
        if (listed.name.as_str(), listed.version) != (release.name.as_str(), release.version) {
            return unlisted(&format!("listed as '{}' {}", listed.name, listed.version));
        }
        let earlier = release.expires.map_or(repository.expires, |own| own.min(repository.expires));
        Ok(Terms {
            channel: &listed.channel,
            share: listed.share as u16,
            minimum: listed.minimum.max(release.minimum),
            expires: Some(earlier),
            may_go_back: listed.rollback,
        })
    }

    /// What stands of a model on a channel, by the signers that are still trusted: the last of those with the highest number.
    fn standing(&self, trust: &Trust, keys: &[PublicKey], name: &str, channel: &str) -> Option<&Channel> {
        let counts = |c: &&Channel| c.name == name && c.channel == channel && trust.counts(keys, signer(c));
        self.state.channels.iter().filter(counts).max_by_key(|c| c.number)
    }

    /// Puts it last: of two signers with one number, the later admission stands.
    fn keep(&mut self, next: Channel) {
        self.state.channels.retain(|c| (&c.name, &c.channel, &c.key) != (&next.name, &next.channel, &next.key));
        self.state.channels.push(next);
    }
}

struct Terms<'a> {
    channel: &'a str,
    share: u16,
    minimum: u64,
    expires: Option<u64>,
    may_go_back: bool,
}

/// Where the package leads, and what stands from then on.
fn decide(
    release: &Release,
    signed: &Signed,
    terms: &Terms<'_>,
    standing: Option<&Channel>,
) -> Result<(Step, Channel)> {
    let (number, root) = (release.version, signed.root);
    let next = |version: u64, digest: Digest| Channel {
        name: release.name.clone(),
        channel: terms.channel.into(),
        key: signed.key.map_or(Vec::new(), |key| key.0.to_vec()),
        number: number.max(standing.map_or(0, |s| s.number)),
        number_digest: standing.filter(|s| s.number > number).map_or(root.0.to_vec(), |s| s.number_digest.clone()),
        version,
        digest: digest.0.to_vec(),
        minimum: standing.map_or(0, |s| s.minimum),
    };
    let refused = |why: String| Err(untrusted(format!("{}: {why}", described(release))));
    let back = match release.content {
        Content::Model { .. } => None,
        Content::Rollback { version, digest } => Some((version, digest)),
    };
    let (goal, goal_digest) = back.unwrap_or((number, root));
    if goal < release.minimum {
        let own = release.minimum;
        return Err(Error::corrupt(format!(
            "{}: goes back to {goal}, below its own minimum {own}",
            described(release)
        )));
    }
    if let Some(s) = standing {
        let floor = s.minimum.max(terms.minimum);
        if goal < floor {
            return refused(format!("expected at least version {floor}, the minimum of channel '{}'", terms.channel));
        }
        if back.is_none() && (s.version, &*s.digest) == (number, &root.0[..])
            || is_kept(s, number, root) && back.is_some()
        {
            return Ok((Step::Same, s.clone()));
        }
        if s.number == number && s.number_digest != root.0 {
            return refused(format!("another package with the number {number} was admitted before"));
        }
        if number < s.number && !terms.may_go_back {
            return refused(format!(
                "expected a number above {}, which channel '{}' has reached",
                s.number, terms.channel
            ));
        }
        if back.is_none() && number < s.number {
            return Ok((Step::Back { version: number, digest: root }, next(number, root)));
        }
    }
    let step = if back.is_some() { Step::Back { version: goal, digest: goal_digest } } else { Step::Forward };
    Ok((step, next(goal, goal_digest)))
}

/// Whether this package set the highest number.
fn is_kept(standing: &Channel, number: u64, root: Digest) -> bool {
    standing.number == number && standing.number_digest == root.0
}

fn signer(channel: &Channel) -> Option<Digest> {
    <[u8; 32]>::try_from(&*channel.key).ok().map(Digest)
}

fn described(release: &Release) -> String {
    format!("'{}' {}", release.name, release.version)
}
