//! The functions of `selvedge/sync.h`.

use super::*;

functions! {
    selvedge_outbox_open(_ _ _ _ _ _);
    selvedge_outbox_next_batch(_ _ _ _);
    selvedge_outbox_begin(_ _ _ _ _);
    selvedge_outbox_judge(_ _ _ _ _ _ _ _);
    selvedge_outbox_ack(_ _ _);
    selvedge_outbox_refuse(_ _ _ _);
    selvedge_outbox_split(_ _ _ _);
    selvedge_outbox_bisect(_ _ _ _);
    selvedge_outbox_status_json(_ _ _);
    selvedge_outbox_reset_install_id(_ _ _);
    selvedge_outbox_free(safe);
    selvedge_batch_request_count(_ _ _);
    selvedge_batch_request(_ _ _ _);
    selvedge_batch_json(_ _ _);
    selvedge_batch_free(safe);
}
