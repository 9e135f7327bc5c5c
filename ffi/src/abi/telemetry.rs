//! Types and numbers of `selvedge/telemetry.h`.

handles! { selvedge_telemetry }

numbers! {
    SELVEDGE_DURABILITY_PROCESS = 0;
    SELVEDGE_DURABILITY_POWER = 1;
}

structs! {
    selvedge_limits {
        struct_size: usize,
        bytes: u64,
        history_bytes: u64,
        segment_bytes: u64,
        lanes: u32,
        slots: u32,
        durability: i32,
        flags: u32,
    }
}
