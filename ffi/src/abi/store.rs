//! Types and numbers of `selvedge/store.h`.

use std::ffi::c_void;

use super::base::{selvedge_cancel, selvedge_progress, selvedge_progress_fn, selvedge_text};

handles! { selvedge_store selvedge_staged }

numbers! {
    SELVEDGE_PACKAGE_PATH = 0;
    SELVEDGE_PACKAGE_FOLDER = 1;
    SELVEDGE_PACKAGE_LAYOUT = 2;
    SELVEDGE_PACKAGE_TAR_FILE = 3;
    SELVEDGE_PACKAGE_TAR_READER = 4;
}

pub const SELVEDGE_TRUST_UNSIGNED: u32 = 1;

pub type selvedge_read_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, bytes: *mut c_void, len: usize) -> i64>;

structs! {
    selvedge_trust {
        struct_size: usize,
        keys: *const selvedge_text,
        key_count: usize,
        root: selvedge_text,
        flags: u32,
        reserved: u32,
        authorities: *const selvedge_text,
        authority_count: usize,
        identities: *const selvedge_text,
        issuers: *const selvedge_text,
        identity_count: usize,
        sigstore: selvedge_text,
    }
    selvedge_package {
        struct_size: usize,
        kind: i32,
        flags: u32,
        path: selvedge_text,
        tag: selvedge_text,
        file: i64,
        offset: u64,
        length: u64,
        read: selvedge_read_fn,
        user_data: *mut c_void,
    }
    selvedge_import_options {
        struct_size: usize,
        cancel: *const selvedge_cancel,
        progress: *const selvedge_progress,
        on_progress: selvedge_progress_fn,
        user_data: *mut c_void,
    }
    selvedge_repository {
        struct_size: usize,
        timestamp: selvedge_text,
        snapshot: selvedge_text,
        targets: selvedge_text,
        roots: *const selvedge_text,
        root_count: usize,
    }
}
