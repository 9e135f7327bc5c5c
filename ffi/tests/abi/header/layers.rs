//! The functions of `selvedge/layers.h`.

use super::*;

functions! {
    selvedge_cache_new(_ _ _ _);
    selvedge_cache_engine(_ _ _);
    selvedge_cache_status_json(_ _ _);
    selvedge_cache_free(safe);
    selvedge_schedule_new(_ _ _ _);
    selvedge_schedule_around(_ _ _ _ _);
    selvedge_schedule_status_json(_ _ _);
    selvedge_schedule_free(safe);
    selvedge_engine_for_caller(_ _ _ _);
    selvedge_cascade_new(_ _ _ _ _);
    selvedge_cascade_engine(_ _ _);
    selvedge_cascade_status_json(_ _ _);
    selvedge_cascade_free(safe);
    selvedge_answer_confidence(_ _ _ _ _ _);
    selvedge_threshold_fit(_ _ _ _ _ _);
    selvedge_models_new(_ _ _);
    selvedge_models_add(_ _ _ _ _ _ _);
    selvedge_models_add_version(_ _ _ _ _ _ _ _);
    selvedge_models_engine(_ _ _ _ _);
    selvedge_models_trim(_ _ _ _);
    selvedge_models_pressure(_ _ _ _);
    selvedge_models_watch_pressure(_ _);
    selvedge_models_status_json(_ _ _);
    selvedge_models_free(safe);
}
