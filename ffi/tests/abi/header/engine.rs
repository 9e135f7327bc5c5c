//! The functions of `selvedge/engine.h`.

use super::*;

functions! {
    selvedge_inspect(_ _ _ _);
    selvedge_validate(_ _ _);
    selvedge_engine_open(_ _ _ _ _);
    selvedge_engine_open_source(_ _ _ _);
    selvedge_engine_close(safe);
    selvedge_engine_spec_json(_ _ _ _);
    selvedge_engine_run(_ _ _ _ _);
    selvedge_engine_generate(_ _ _ _ _);
    selvedge_engine_embed(_ _ _ _ _);
    selvedge_engine_score(_ _ _ _ _);
    selvedge_engine_rerank(_ _ _ _ _);
    selvedge_engine_save_prefixes(_ _ _ _ _);
    selvedge_engine_restore_prefixes(_ _ _ _ _);
    selvedge_engine_run_into(_ _ _ _ _ _);
    selvedge_engine_start(_ _ _ _ _);
    selvedge_engine_trim(_ _ _ _);
    selvedge_engine_tokenize(_ _ _ _);
    selvedge_engine_detokenize(_ _ _ _ _);
    selvedge_engine_render(_ _ _ _);
    selvedge_run_next(_ _ _);
    selvedge_run_answer(_ _ _);
    selvedge_run_free(safe);
    selvedge_answer_output_count(_ _ _);
    selvedge_answer_output(_ _ _ _);
    selvedge_answer_version(_ _ _ _ _);
    selvedge_answer_json(_ _ _ _);
    selvedge_answer_free(safe);
}
