//! Who asks: credentials from a file or a variable, and the tokens that a registry gives for them.

use std::env;
use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderValue};

/// Bytes of an answer with a token.
const MAX_TOKEN: u64 = 1 << 20;

/// How a registry is reached.
#[derive(Args)]
pub(super) struct Access {
    /// A file with USER:PASSWORD: a secret in a file or a variable is in no list of processes.
    #[arg(long, value_name = "FILE", conflicts_with = "credentials_env")]
    credentials: Option<PathBuf>,
    /// A variable of the environment that holds USER:PASSWORD.
    #[arg(long, value_name = "VARIABLE")]
    credentials_env: Option<String>,
    /// Speak HTTP without encryption, as is done anyway with this machine.
    #[arg(long)]
    pub(super) http: bool,
    /// Attempts in a row that bring nothing, until it is given up.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) attempts: u32,
}

impl Access {
    /// `Basic …`, of what was given.
    pub(super) fn credentials(&self) -> Result<Option<HeaderValue>, Box<dyn Error>> {
        let (text, whence) = match (&self.credentials, &self.credentials_env) {
            (Some(path), _) => (super::text(path, 64 << 10)?, path.display().to_string()),
            (None, Some(name)) => (
                env::var(name).map_err(|_| format!("variable {name}: expected USER:PASSWORD, got none"))?,
                name.clone(),
            ),
            (None, None) => return Ok(None),
        };
        let text = text.trim_end_matches(['\n', '\r']);
        // No error quotes it.
        if !text.contains(':') || text.contains(|c: char| c.is_control()) {
            return Err(format!("{whence}: expected one line USER:PASSWORD, got another thing").into());
        }
        let mut value = HeaderValue::from_str(&format!("Basic {}", base64(text.as_bytes())))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// What a registry wants to see before it answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Of the header `WWW-Authenticate`; `None` for ways that are not known here.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Self> = values.filter_map(Self::parse).collect();
        challenges.into_iter().reduce(|a, b| if matches!(a, Challenge::Bearer { .. }) { a } else { b })
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = rest.trim();
        while let Some((key, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            match key.trim() {
                "realm" => realm = Some(value.to_string()),
                "service" => service = Some(value.to_string()),
                "scope" => scope = Some(value.to_string()),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Challenge::Bearer { realm: realm?, service, scope })
    }

    /// The header that the registry takes.
    pub(super) fn answer(
        &self,
        agent: &Agent,
        credentials: Option<&HeaderValue>,
        scope: &str,
        is_encrypted: bool,
    ) -> Result<HeaderValue, String> {
        let (realm, service, named) = match self {
            Challenge::Basic => {
                return credentials.cloned().ok_or_else(|| "expected --credentials, got none".to_string());
            }
            Challenge::Bearer { realm, service, scope } => (realm, service, scope),
        };
        // What goes there is a password.
        if !realm.starts_with("https://") && (is_encrypted || !realm.starts_with("http://")) {
            return Err(format!("expected a token server with https, got '{realm}'"));
        }
        let mut url = format!(
            "{realm}{}scope={}",
            if realm.contains('?') { '&' } else { '?' },
            encoded(named.as_deref().unwrap_or(scope))
        );
        if let Some(service) = service {
            url += &format!("&service={}", encoded(service));
        }
        let mut request = agent.get(&url);
        if let Some(credentials) = credentials {
            request = request.header("Authorization", credentials);
        }
        let mut response = request.call().map_err(|e| format!("token server: {e}"))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("token server: expected status 200, got {status}"));
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_TOKEN)
            .read_to_vec()
            .map_err(|e| format!("token server: {e}"))?;
        let bad = |_| "token server: expected a token, got none".to_string();
        let json: serde_json::Value = serde_json::from_slice(&body).map_err(|e| bad(e.to_string()))?;
        let token =
            json["token"].as_str().or_else(|| json["access_token"].as_str()).ok_or_else(|| bad(String::new()))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|e| bad(e.to_string()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A text as a part of a URL's query.
fn encoded(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let text =
            r#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push""#;
        let read = Challenge::parse(text).unwrap();
        let (realm, service) = ("https://auth.example.com/token".to_string(), Some("registry".to_string()));
        assert_eq!(read, Challenge::Bearer { realm, service, scope: Some("repository:a/b:pull,push".into()) });
        assert_eq!(Challenge::parse(r#"Basic realm="Registry""#), Some(Challenge::Basic));
        for bad in ["", "Digest realm=x", "Bearer", r#"Bearer realm="open"#, "Bearer service=x"] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_goes_to_no_server_without_encryption() {
        let agent = Agent::new_with_defaults();
        let of = |realm: &str| Challenge::Bearer { realm: realm.into(), service: None, scope: None };
        for (realm, is_encrypted) in [("http://127.0.0.1:9/token", true), ("ftp://127.0.0.1/", false), ("", false)] {
            let refused = of(realm).answer(&agent, None, "s", is_encrypted).unwrap_err();
            assert!(refused.contains("expected a token server with https"), "{refused}");
        }
    }
}
