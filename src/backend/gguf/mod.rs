//! placeholder until the backend lands
use std::sync::Arc;
use super::{Model, Options};
use crate::engine::Engine;
use crate::{Error, Result};
pub(super) fn open(_: Model, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(Error::unsupported("not here yet"))
}
