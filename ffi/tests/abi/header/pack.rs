//! The function of `selvedge/pack.h`.

use super::*;

functions! {
    selvedge_pack(_ _ _ _ _ _);
}
