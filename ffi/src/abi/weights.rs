//! Types and numbers of `selvedge/weights.h`.

handles! { selvedge_table }

numbers! {
    SELVEDGE_POOL_MEAN = 0;
    SELVEDGE_POOL_SUM = 1;
}

pub const SELVEDGE_POOL_NORMALIZE: u32 = 1;

structs! {
    selvedge_hit {
        row: u32,
        score: f32,
    }
}
