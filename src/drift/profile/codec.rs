//! A profile's bytes.

use super::Profile;
use crate::{Error, Result};

pub(super) fn encode(_profile: &Profile) -> Vec<u8> {
    Vec::new()
}

pub(super) fn decode(_bytes: &[u8]) -> Result<Profile> {
    Err(Error::corrupt("profile"))
}
