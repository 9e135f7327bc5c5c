//! That an entry is in the tree of a log (RFC 6962, 2.1.1), whose head the log signed.
//!
//! The head comes as a note, which is signed up to and with the line break before the empty line:
//!
//! ```text
//! rekor.sigstore.dev - 1193050959916656506
//! 476246825
//! V0NA1ekHc4sMtyOk9+rSfb50+v1kFb/0QXYbxrm43gk=
//!
//! — rekor.sigstore.dev wNI9ajBFAiBtV0gov0pC7kBG6WPaApxi…
//! ```
//!
//! Whose log, how many entries, the hash over all, and signatures: who, and in base64 4 bytes of the key's id and the signature.

use base64ct::{Base64, Encoding};
use sha2::{Digest as _, Sha256};

use super::super::bundle::base64;
use super::super::json::{Json, Members};
use super::super::key::untrusted;
use super::{Log, WHAT};
use crate::error::{Error, Result};

/// A tree of 2⁶³ entries has no longer way.
const MAX_HASHES: usize = 64;

#[derive(Debug)]
pub(super) struct Proof {
    index: u64,
    size: u64,
    root: Vec<u8>,
    hashes: Vec<Vec<u8>>,
    checkpoint: String,
}

impl Proof {
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format.
    pub(super) fn parse(proof: &Members<'_>) -> Result<Self> {
        let what = format!("{}: 'hashes'", proof.what);
        let listed = proof.list("hashes")?;
        if listed.len() > MAX_HASHES {
            return Err(Error::corrupt(format!("{what}: expected at most {MAX_HASHES}, got {}", listed.len())));
        }
        let hash = |hash: &Json| {
            let hash = Base64::decode_vec(hash.text(&what)?).ok().filter(|hash| hash.len() == 32);
            hash.ok_or_else(|| Error::corrupt(format!("{what}: expected 32 bytes in base64")))
        };
        Ok(Self {
            index: proof.written_integer("logIndex")?,
            size: proof.written_integer("treeSize")?,
            root: base64(proof, "rootHash")?,
            hashes: listed.iter().map(hash).collect::<Result<_>>()?,
            checkpoint: proof.object("checkpoint")?.text("envelope")?.into(),
        })
    }

    /// # Errors
    ///
    /// `Untrusted` if the way from the entry does not lead to the head of the tree, or the log did not sign that.
    pub(super) fn check(&self, body: &[u8], log: &Log) -> Result<()> {
        let refused = |why: &str| Err(untrusted(format!("{WHAT}: proof of inclusion: {why}")));
        if self.way(body).is_none_or(|root| root[..] != *self.root) {
            return refused("the way from the entry does not lead to the hash over the log");
        }
        let Some((size, root, signed)) = head(&self.checkpoint, log) else {
            return refused("not the form of a log's checkpoint");
        };
        if !signed {
            return refused(&format!("the checkpoint is not signed by the log '{}'", log.name));
        }
        if (size, &root) != (self.size, &self.root) {
            return refused("the checkpoint is of another tree");
        }
        Ok(())
    }

    /// The hash over the log, to which the hashes lead from an entry; `None` if they are too many or too few.
    fn way(&self, body: &[u8]) -> Option<[u8; 32]> {
        if self.index >= self.size {
            return None;
        }
        let (mut index, mut last) = (self.index, self.size - 1);
        let mut hash: [u8; 32] = Sha256::new().chain_update([0]).chain_update(body).finalize().into();
        let node = |left: &[u8], right: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
        };
        let mut hashes = self.hashes.iter();
        // Level by level. The last node of a level that has no neighbour goes up as it is.
        while last > 0 {
            if index % 2 == 1 {
                hash = node(hashes.next()?, &hash);
            } else if index < last {
                hash = node(&hash, hashes.next()?);
            }
            (index, last) = (index / 2, last / 2);
        }
        hashes.next().is_none().then_some(hash)
    }
}

/// How many entries a checkpoint is of, the hash over them, and whether the log signed it; `None` for what is no checkpoint.
fn head(checkpoint: &str, log: &Log) -> Option<(u64, Vec<u8>, bool)> {
    let (text, signatures) = checkpoint.split_once("\n\n")?;
    let mut lines = text.lines().skip(1);
    let size = lines.next()?.parse().ok()?;
    let root = Base64::decode_vec(lines.next()?).ok()?;
    let signed = format!("{text}\n");
    let is_of_log = |line: &str| {
        let signature = line.strip_prefix("— ").and_then(|line| line.rsplit_once(' '));
        let signature = signature.and_then(|(_, signature)| Base64::decode_vec(signature).ok());
        let signature = signature.as_deref().and_then(|bytes| bytes.strip_prefix(log.id.get(..4)?));
        signature.is_some_and(|signature| log.key.verifies(signed.as_bytes(), signature))
    };
    // Others may have signed it, too: witnesses.
    Some((size, root, signatures.lines().take(MAX_HASHES).any(is_of_log)))
}
