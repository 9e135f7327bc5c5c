//! The functions of `selvedge/crash.h`.

use super::*;

functions! {
    selvedge_crash_entries(_ _ _ _);
    selvedge_crash_clear(_ _ _);
    selvedge_crash_clear_model(_ _ _ _ _);
    selvedge_crash_explain(_ _ _ _ _ _ _);
}
