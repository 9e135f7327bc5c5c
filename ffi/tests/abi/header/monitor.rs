//! Functions of `selvedge/telemetry.h`, `selvedge/profile.h` and `selvedge/monitor.h`.

use super::*;

functions! {
    selvedge_telemetry_open(_ _ _ _ _);
    selvedge_telemetry_status_json(_ _ _);
    selvedge_telemetry_free(safe);
    selvedge_report_html(_ _ _ _);
    selvedge_report_html_with(_ _ _ _ _ _ _ _);
    selvedge_report_evidence(_ _ _ _ _ _ _ _);
    selvedge_profile_fit(_ _ _ _);
    selvedge_profile_decode(_ _ _ _);
    selvedge_profile_encode(_ _ _);
    selvedge_profile_json(_ _ _);
    selvedge_profile_compare(_ _ _ _);
    selvedge_profile_free(safe);
    selvedge_monitor_new(_ _ _ _ _);
    selvedge_monitor_engine(_ _ _);
    selvedge_monitor_next_alert(_ _ _);
    selvedge_monitor_feedback(_ _ _ _ _ _);
    selvedge_monitor_tick(_ _);
    selvedge_monitor_close_window(_ _);
    selvedge_monitor_report_json(_ _ _);
    selvedge_monitor_profile(_ _ _);
    selvedge_monitor_free(safe);
    selvedge_delayed_estimate(_ _ _ _ _ _ _ _);
}
