//! Signers who are known by a certificate. Bundles and trusted roots are changed as JSON, member by member.

mod authorities;
mod hostile;
mod keyless;
mod own_log;

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::super::Trust;
use super::{bytes, text};

/// What is done to a bundle, or to a part of one.
type Change<'a> = &'a dyn Fn(&mut Value);

/// Trusts the authority of `made`.
fn of_authority() -> Trust {
    Trust::new().authority(&text("made/certificates/root.pem")).unwrap()
}

const NAME: &str = "stefanb@us.ibm.com";
const ISSUER: &str = "https://sigstore.verify.ibm.com/oauth2";

/// Trusts who signed the vector of the specification, by what Sigstore publishes.
fn of_vector() -> Trust {
    of(NAME, ISSUER, &bytes("sigstore/trusted_root.json"))
}

fn of(name: &str, issuer: &str, trusted_root: &[u8]) -> Trust {
    Trust::new().identity(name, issuer).unwrap().sigstore(trusted_root).unwrap()
}

fn vector() -> Value {
    json("oms/valid/sigstore.bundle.json")
}

fn json(file: &str) -> Value {
    serde_json::from_slice(&bytes(file)).unwrap()
}

/// The same bytes in base64 with a bit turned.
fn turned(text: &Value) -> Value {
    let mut bytes = decoded(text);
    *bytes.last_mut().unwrap() ^= 1;
    encoded(&bytes)
}

fn decoded(text: &Value) -> Vec<u8> {
    Base64::decode_vec(text.as_str().unwrap()).unwrap()
}

fn encoded(bytes: &[u8]) -> Value {
    Base64::encode_string(bytes).into()
}
