//! From the certificate of a signer to an authority that is trusted.

use super::super::key::untrusted;
use super::certificate::Certificate;
use crate::error::{Error, Result};

/// A way that was found.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// Who issued the first certificate.
    pub(super) issuer: &'a Certificate,
    /// Where the way ends: one of those that are trusted.
    pub(super) authority: &'a Certificate,
}

/// The way from a certificate over those `between` to one of the trusted `authorities`, all valid at a time.
///
/// # Errors
///
/// `Untrusted` if there is none, or a certificate on it may not be there or is not valid.
pub(super) fn verify<'a>(
    leaf: &Certificate,
    between: &'a [Certificate],
    authorities: &'a [Certificate],
    time: u64,
) -> Result<Chain<'a>> {
    leaf.check_time(time)?;
    let mut left: Vec<&Certificate> = between.iter().collect();
    let (mut current, mut issuer, mut passed) = (leaf, None, 0);
    loop {
        let authority = find(current, authorities.iter())?;
        let at = if authority.is_some() { None } else { find(current, left.iter().copied())? };
        let next = match (authority, at) {
            (Some(authority), _) => &authorities[authority],
            (None, Some(at)) => left.swap_remove(at),
            (None, None) => return Err(nobody(current, authorities)),
        };
        next.check_time(time)?;
        next.check_authority(passed)?;
        let issuer = *issuer.get_or_insert(next);
        if authority.is_some() {
            return Ok(Chain { issuer, authority: next });
        }
        (current, passed) = (next, passed + 1);
    }
}

/// Which of these issued a certificate.
fn find<'c>(certificate: &Certificate, mut candidates: impl Iterator<Item = &'c Certificate>) -> Result<Option<usize>> {
    let mut failed = None;
    let at = candidates.position(|candidate| match certificate.is_issued_by(candidate) {
        Ok(is_it) => is_it,
        Err(e) => {
            failed = Some(e);
            false
        }
    });
    // One of several that could not be asked is an error only if no other did it.
    match (at, failed) {
        (None, Some(e)) => Err(e),
        _ => Ok(at),
    }
}

fn nobody(certificate: &Certificate, authorities: &[Certificate]) -> Error {
    let (what, issuer) = (certificate.described(), certificate.issuer());
    if authorities.iter().any(|authority| certificate.names_as_issuer(authority)) {
        return untrusted(format!("{what}: expected the signature of '{issuer}', which is trusted, got another key's"));
    }
    let count = authorities.len();
    untrusted(format!("{what}: expected it to lead to one of {count} trusted authorities, got one by '{issuer}'"))
}
