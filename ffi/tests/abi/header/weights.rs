//! The functions of `selvedge/weights.h`.

use super::*;

functions! {
    selvedge_table_open(_ _ _ _ _ _);
    selvedge_table_shape(_ _ _ _);
    selvedge_table_gather(_ _ _ _ _ _);
    selvedge_table_pool(_ _ _ _ _ _ _ _ _);
    selvedge_table_search(_ _ _ _ _ _ _);
    selvedge_table_free(safe);
}
