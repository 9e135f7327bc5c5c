//! Signing: what a publisher does, so that devices take a package.

use super::key::SigningKey;
use super::{bundle, name, statement};
use crate::Digest;
use crate::error::{Error, Result};

/// The bytes of `model.sig` over these files: OpenSSF Model Signing 1.0, by key. Same input, same bytes.
///
/// `model` is the name of the folder, for people; `files` are all files but `model.sig`, in any order, by names with `/`. The key is
/// PKCS#8 as PEM (`-----BEGIN PRIVATE KEY-----`, not encrypted), ECDSA on P-256 or P-384.
///
/// ```
/// use selvedge::store::sign;
/// let pem = "-----BEGIN PRIVATE KEY-----
/// MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
/// OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
/// 1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
/// -----END PRIVATE KEY-----
/// ";
/// let digest = "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc".parse()?;
/// let model_sig = sign("rain", &[("rain.onnx".to_string(), digest)], pem)?;
/// # Ok::<(), selvedge::Error>(())
/// ```
///
/// # Errors
///
/// `InvalidArgument` for no files, bad names and what is no such PEM; `Unsupported` for a key of another kind.
pub fn sign(model: &str, files: &[(String, Digest)], private_key: &str) -> Result<Vec<u8>> {
    let key = SigningKey::from_pem(private_key)?;
    if model.is_empty() || files.is_empty() {
        return Err(Error::invalid("signing: expected a name and at least 1 file, got none"));
    }
    let mut files = files.to_vec();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let invalid = |e: Error| Error::invalid(e.message().to_string());
    name::check_all("signing", files.iter().map(|(name, _)| &**name)).map_err(invalid)?;
    let statement = statement::write(model, &files, &["model.sig"]);
    let signature = key.sign(&bundle::encode(&statement));
    let bundle = bundle::write(&statement, &signature, &key.public_key()?);
    if bundle.len() > statement::MAX_BYTES {
        return Err(Error::invalid(format!("signing: {} files are more than one signature holds", files.len())));
    }
    Ok(bundle)
}
