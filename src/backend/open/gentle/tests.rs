//! What a gentler way leaves out.

use super::{asked, on_rung};
use crate::crash::Rung;
use crate::{Accelerator, Options};

#[test]
fn a_rung_is_without_an_accelerator() {
    let with = Options::new().accelerator(Accelerator::new()).threads(3);
    let gentler = on_rung(&with, Rung::new());
    assert_eq!((gentler.accelerator, gentler.threads), (None, Some(3)));
    assert_ne!(asked(&with), asked(&Options::new().threads(3)));
}
