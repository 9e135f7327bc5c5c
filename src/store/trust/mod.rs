//! Who vouches for a package, and whether it may replace the one that is there. Pure: bytes in, verdicts and state out.
//!
//! # The way of a package
//!
//! 1. [`Trust::verify`] reads `model.sig` and says which files somebody vouches for who is trusted: by a key, or with the feature
//!    `keyless` by a certificate (`certified`). The caller holds every file against it.
//! 2. [`Release::parse`] reads the signed file `selvedge.json`: name, version, channel, share.
//! 3. [`Ratchet::admit`] holds that against all that was admitted before, and where [`Trust`] has a root, against the metadata that
//!    [`Trust::refresh`] verified. What comes back is kept by the caller, durably, before anything is made of the package.
//!
//! # The clock
//!
//! It may be wrong. The time that is reckoned with is the latest of three: what the clock shows, the time at which this version was
//! made, and the latest time that is known to have passed. That is kept in the ratchet, and moves only when something was accepted
//! that is signed and had not expired: a clock that ran ahead meets metadata that is long expired, accepts nothing, and leaves no
//! trace. A clock that was set back wins what passed since the last acceptance, and no more. What expired is not taken in; what
//! runs is never stopped by a time. A certificate that lasts must be valid then, too; one that lived for minutes, when the log says
//! that it signed.
//!
//! # Keys that follow each other
//!
//! A signer is a key, an authority with all that it certified, or a name with the provider that vouched for it.
//!
//! Several keys may be trusted at a time. With a root, the keys of its role `targets` are trusted too, and a root that the old keys
//! signed replaces them. What was admitted by a key that is trusted no more binds nobody: a stolen key that signed the highest
//! number of all is answered by taking the key away.

mod bundle;
#[cfg(feature = "keyless")]
mod certified;
mod json;
mod key;
mod name;
mod policy;
mod ratchet;
mod release;
mod sign;
mod signed;
mod state;
mod statement;
#[cfg(test)]
mod tests;
mod time;
mod tuf;

pub use policy::Trust;
pub(crate) use ratchet::Step;
pub use release::{Content, Release};
pub use sign::sign;
pub(crate) use signed::Signed;
pub(crate) use state::Ratchet;
pub(crate) use tuf::Listing;
pub use tuf::RepositoryFiles;
