//! Packages, well made and hostile.

mod artifact;
mod hostile;
mod hostile_layout;
mod hostile_tar;
mod made;
mod reading;
