//! Types and numbers of `selvedge/layers.h`.

use super::base::selvedge_text;
use super::engine::selvedge_engine;

handles! { selvedge_cache selvedge_schedule selvedge_cascade selvedge_models }

numbers! {
    SELVEDGE_ON_ERROR_ESCALATE = 0;
    SELVEDGE_ON_ERROR_RETURN = 1;
    SELVEDGE_PRESSURE_WARNING = 1;
    SELVEDGE_PRESSURE_CRITICAL = 2;
}

structs! {
    selvedge_stage {
        struct_size: usize,
        engine: *const selvedge_engine,
        checks: selvedge_text,
    }
    selvedge_threshold {
        struct_size: usize,
        above: f64,
        bound: f64,
        escalated: f64,
        escalated_low: f64,
        escalated_high: f64,
        wrong_of_accepted: f64,
        wrong_low: f64,
        wrong_high: f64,
        rows: u64,
        accepted: u64,
    }
}
