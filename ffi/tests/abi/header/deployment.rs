//! The functions of `selvedge/deployment.h`.

use super::*;

functions! {
    selvedge_deployment_new(_ _ _ _ _ _ _);
    selvedge_deployment_engine(_ _ _);
    selvedge_deployment_offer(_ _ _ _ _ _ _);
    selvedge_deployment_promote(_ _);
    selvedge_deployment_roll_back(_ _ _);
    selvedge_deployment_forgive(_ _ _ _);
    selvedge_deployment_label(_ _ _ _ _);
    selvedge_deployment_monitor(_ _ _ _ _);
    selvedge_deployment_status_json(_ _ _);
    selvedge_deployment_settle(_ _ _ _);
    selvedge_deployment_free(safe);
}
