//! The functions of `selvedge/store.h`.

use super::*;

functions! {
    selvedge_store_open(_ _ _ _ _);
    selvedge_store_open_read_only(_ _ _ _);
    selvedge_store_refresh(_ _ _);
    selvedge_store_versions_json(_ _ _);
    selvedge_store_current_json(_ _ _);
    selvedge_store_standing_json(_ _ _ _ _);
    selvedge_store_import(_ _ _ _ _);
    selvedge_manifest_json(_ _ _ _);
    selvedge_store_stage(_ _ _ _ _ _);
    selvedge_staged_offset(_ _ _ _);
    selvedge_staged_write(_ _ _ _);
    selvedge_staged_finish(_ _);
    selvedge_staged_free(safe);
    selvedge_store_import_staged(_ _ _ _ _ _);
    selvedge_store_activate(_ _ _ _);
    selvedge_store_rollback(_ _ _);
    selvedge_store_quarantine(_ _ _ _ _ _);
    selvedge_store_miss(_ _ _ _ _ _ _);
    selvedge_store_pardon(_ _ _ _);
    selvedge_store_remove(_ _ _ _);
    selvedge_store_gc(_ _ _ _);
    selvedge_store_open_engine(_ _ _ _ _ _);
    selvedge_store_path(_ _ _ _ _ _ _);
    selvedge_store_file(_ _ _ _ _ _ _);
    selvedge_store_verify(_ _ _ _ _);
    selvedge_store_close(safe);
}
