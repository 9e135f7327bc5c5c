//! The trusted root of a Sigstore: its authorities and logs, and when each was in office. The app gives it; nothing is fetched.

use super::super::bundle::base64;
use super::super::json::{Json, Members, shown};
use super::super::key::{PublicKey, untrusted};
use super::super::time;
use super::certificate::Certificate;
use super::chain::{self, Chain};
use super::{Log, Period, hexadecimal};
use crate::error::{Error, Result};

const MAX_BYTES: usize = 1 << 20;
const WHAT: &str = "trusted root";
const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.trustedroot+json;version=0.1", "application/vnd.dev.sigstore.trustedroot.v0.2+json"];

#[derive(Clone, Debug, Default)]
pub(super) struct Sigstore {
    authorities: Vec<Authority>,
    /// Of signatures, and of certificates.
    logs: Vec<Log>,
    certificate_logs: Vec<Log>,
}

#[derive(Clone, Debug)]
struct Authority {
    /// The last of them is the one to trust.
    chain: Vec<Certificate>,
    valid: Period,
}

impl Sigstore {
    /// # Errors
    ///
    /// `Corrupt` for what is none, `Unsupported` for another version.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let json = Json::parse_foreign(WHAT, bytes, MAX_BYTES)?;
        let root = json.members(WHAT)?;
        let got = root.text("mediaType")?;
        if !MEDIA_TYPES.contains(&got) {
            let (expected, got) = (MEDIA_TYPES[0], shown(got));
            return Err(Error::unsupported(format!("{WHAT}: 'mediaType': expected '{expected}', got '{got}'")));
        }
        let logs = |key: &str| -> Result<Vec<Log>> {
            let listed = root.list(key)?.iter().map(|log| parse_log(&log.members(format!("{WHAT}: '{key}'"))?));
            listed.filter_map(Result::transpose).collect()
        };
        let authority =
            |authority: &Json| parse_authority(&authority.members(format!("{WHAT}: 'certificateAuthorities'"))?);
        Ok(Self {
            authorities: root.list("certificateAuthorities")?.iter().map(authority).collect::<Result<_>>()?,
            logs: logs("tlogs")?,
            certificate_logs: logs("ctlogs")?,
        })
    }

    /// The log of signatures that has this id.
    ///
    /// # Errors
    ///
    /// `Untrusted` if it is not known.
    pub(super) fn log(&self, id: &[u8]) -> Result<&Log> {
        self.logs.iter().find(|log| log.id == id).ok_or_else(|| {
            let (count, got) = (self.logs.len(), shown(&hexadecimal(id)));
            untrusted(format!("signature: expected an entry of one of {count} known logs, got log '{got}'"))
        })
    }

    pub(super) fn log_of_certificates(&self, id: &[u8]) -> Option<&Log> {
        self.certificate_logs.iter().find(|log| log.id == id)
    }

    /// The way from a certificate to an authority that was in office at a time.
    ///
    /// # Errors
    ///
    /// `Untrusted` if there is none.
    pub(super) fn chain(&self, leaf: &Certificate, time: u64) -> Result<Chain<'_>> {
        let mut refused = None;
        for authority in self.authorities.iter().filter(|authority| authority.valid.contains(time)) {
            let (last, between) = authority.chain.split_last().ok_or_else(|| Error::internal("an empty chain"))?;
            match chain::verify(leaf, between, std::slice::from_ref(last), time) {
                Ok(chain) => return Ok(chain),
                Err(e) => refused = Some(e),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let (what, time) = (leaf.described(), time::write(time));
            untrusted(format!("{what}: expected an authority that was in office at {time}, got none"))
        }))
    }
}

fn parse_authority(authority: &Members<'_>) -> Result<Authority> {
    let chain = authority.object("certChain")?;
    let certificate = |one: &Json| Certificate::parse(WHAT, &base64(&one.members(&*chain.what)?, "rawBytes")?);
    let chain: Vec<Certificate> = chain.list("certificates")?.iter().map(certificate).collect::<Result<_>>()?;
    if chain.is_empty() {
        return Err(Error::corrupt(format!("{}: expected at least 1 certificate, got none", authority.what)));
    }
    Ok(Authority { chain, valid: parse_period(authority)? })
}

/// A log, if its key is one that is used here.
fn parse_log(log: &Members<'_>) -> Result<Option<Log>> {
    let key = log.object("publicKey")?;
    let id = base64(&log.object("logId")?, "keyId")?;
    let (der, valid, name) = (base64(&key, "rawBytes")?, parse_period(&key)?, shown(log.text("baseUrl")?));
    Ok(PublicKey::from_der(&der).ok().map(|key| Log { id, name, key, valid }))
}

fn parse_period(of: &Members<'_>) -> Result<Period> {
    if of.find("validFor").is_none() {
        return Ok(Period { begin: 0, end: None });
    }
    let valid = of.object("validFor")?;
    let moment = |key: &str| valid.find(key).map(|_| parse_time(&valid, key)).transpose();
    Ok(Period { begin: moment("start")?.unwrap_or(0), end: moment("end")? })
}

/// A time as the trusted root has it: with fractions of a second, or without.
fn parse_time(members: &Members<'_>, key: &str) -> Result<u64> {
    let text = members.text(key)?;
    let plain = match text.split_once('.') {
        Some((whole, fraction))
            if fraction.strip_suffix('Z').is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit())) =>
        {
            format!("{whole}Z")
        }
        _ => text.to_string(),
    };
    time::parse_text(&plain).ok_or_else(|| {
        let what = &members.what;
        Error::corrupt(format!("{what}: '{key}': expected a time as '2027-01-31T12:00:00Z', got '{}'", shown(text)))
    })
}
