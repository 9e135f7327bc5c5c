//! The store on a simulated disk, and in folders of the file system.

mod craft;
mod crash;
mod errors;
mod hostile;
#[cfg(unix)]
mod real;
mod resume;
mod serving;
