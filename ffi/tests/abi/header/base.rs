//! The functions of `selvedge/base.h`.

use super::*;

functions! {
    selvedge_abi_version(none);
    selvedge_version(none);
    selvedge_features(none);
    selvedge_kernel_name(none);
    selvedge_error_code(safe);
    selvedge_error_message(_ _);
    selvedge_error_retry_after_ms(safe);
    selvedge_error_free(safe);
    selvedge_cancel_new(_ _);
    selvedge_cancel_set(safe);
    selvedge_cancel_free(safe);
    selvedge_progress_new(_ _);
    selvedge_progress_read(_ _ _ _);
    selvedge_progress_free(safe);
    selvedge_buffer_data(_ _);
    selvedge_buffer_free(safe);
    selvedge_log_set(_ _ _ _ _);
}
