//! Native side: the only way to llama.cpp.

pub(super) mod context;
pub(super) mod file;
pub(super) mod model;
mod terminate;
