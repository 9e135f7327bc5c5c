//! References to packages in a registry: `HOST[:PORT]/NAME[:TAG|@sha256:…]`.

use std::fmt;
use std::str::FromStr;

use selvedge::Digest;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// With its port, if it has one.
    pub(super) host: String,
    pub(super) name: String,
    pub(super) which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Tag(String),
    Digest(Digest),
}

impl Reference {
    /// Whether the host is this machine, where nobody listens between.
    pub(super) fn is_local(&self) -> bool {
        let host = self.host.strip_prefix('[').and_then(|rest| rest.split(']').next());
        let host = host.unwrap_or_else(|| self.host.split(':').next().unwrap_or_default());
        host == "localhost" || host == "::1" || host.starts_with("127.") && host.parse::<std::net::Ipv4Addr>().is_ok()
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |what: &str| format!("reference '{text}': expected HOST[:PORT]/NAME[:TAG|@sha256:…], got {what}");
        let (host, rest) = text.split_once('/').ok_or_else(|| bad("no name"))?;
        if !is_host(host) {
            return Err(bad("no host before the first '/'"));
        }
        let (name, which) = match (rest.split_once('@'), rest.rsplit_once(':')) {
            (Some((name, digest)), _) => {
                let digest = digest.strip_prefix("sha256:").ok_or_else(|| bad("a digest other than sha256:…"))?;
                let digest = digest.parse().map_err(|_| bad("a digest that is not of 64 digits"))?;
                // A tag beside a digest says nothing more.
                (name.rsplit_once(':').map_or(name, |(name, _)| name), Which::Digest(digest))
            }
            (None, Some((name, tag))) => (name, Which::Tag(tag.into())),
            (None, None) => (rest, Which::Tag("latest".into())),
        };
        if !name.split('/').all(is_part) || name.len() > 255 {
            return Err(bad("a name of others than small letters, digits and . _ - between them"));
        }
        if let Which::Tag(tag) = &which
            && !is_tag(tag)
        {
            return Err(bad("a tag of others than letters, digits, . _ and -"));
        }
        Ok(Self { host: host.into(), name: name.into(), which })
    }
}

/// As the distribution specification has it: a host has a dot or a port, or is this machine.
fn is_host(host: &str) -> bool {
    let named = host == "localhost" || host.contains(['.', ':']);
    named && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

/// Groups of small letters and digits, apart by `.`, `_`, `__` or any number of `-`.
fn is_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edges = [part.bytes().next(), part.bytes().last()];
    let apart = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    edges.iter().all(|edge| edge.is_some_and(is_word))
        && apart
            .into_iter()
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_first = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    is_first && tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Tag(tag) => f.write_str(tag),
            Which::Digest(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apart = if matches!(self.which, Which::Tag(_)) { ':' } else { '@' };
        write!(f, "{}/{}{apart}{}", self.host, self.name, self.which)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_it_is_written() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for text in ["localhost:5000/rain:1.0", "models.example.com/a/b_c/d--e:X_1", &format!("h.io/a@sha256:{hex}")] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        assert_eq!("h.io:1/a".parse::<Reference>().unwrap().which, Which::Tag("latest".into()));
        assert_eq!(format!("h.io/a:1@sha256:{hex}").parse::<Reference>().unwrap().name, "a");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = format!("h.io/a:{}", "x".repeat(129));
        for text in [
            "",
            "rain",
            "rain:1.0",
            "models/rain",
            "h.io/",
            "h.io//a",
            "h.io/A",
            "h.io/a_",
            "h.io/-a",
            "h.io/a..b",
            "h.io/a___b",
            "h.io/../b",
            "h.io/a:",
            "h.io/a:.x",
            "h.io/a:x/y",
            "h.io/a@md5:1",
            "h.io/a@sha256:12",
            "http://h.io/a",
            "h.io/a?b=c",
            "user@h.io/a",
            "h.io/a b",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        let local = |host: &str| format!("{host}/a").parse::<Reference>().unwrap().is_local();
        assert!(local("localhost") && local("localhost:5000") && local("127.0.0.1:5000") && local("[::1]:5000"));
        assert!(!local("localhost.example.com") && !local("127.0.0.1.example.com") && !local("10.0.0.1:80"));
    }
}
