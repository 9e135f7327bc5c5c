//! Rust types and functions as a C header spells them.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};

use super::*;

/// A Rust type as the header spells it.
pub(crate) trait C {
    fn c() -> String;
}

macro_rules! c {
    ($($rust:ty => $c:expr;)*) => {$(
        impl C for $rust {
            fn c() -> String {
                $c.into()
            }
        }
    )*};
}

c! {
    c_char => "char"; c_void => "void"; usize => "size_t"; u8 => "uint8_t"; i32 => "int32_t"; u32 => "uint32_t";
    i64 => "int64_t"; u64 => "uint64_t"; f32 => "float"; f64 => "double"; selvedge_status => "selvedge_status";
}

/// Those whose name is the same in both.
macro_rules! named {
    ($($name:ident)*) => { c! { $($name => stringify!($name);)* } };
}

named! {
    selvedge_error selvedge_cancel selvedge_progress selvedge_buffer selvedge_text selvedge_pair
    selvedge_log_line selvedge_release_fn selvedge_progress_fn selvedge_log_fn selvedge_engine selvedge_run
    selvedge_answer selvedge_source selvedge_options selvedge_call selvedge_tensor selvedge_tensors
    selvedge_output selvedge_message selvedge_generate selvedge_embed selvedge_token selvedge_event
    selvedge_score selvedge_rerank selvedge_prefixes
    selvedge_telemetry selvedge_limits selvedge_profile selvedge_column selvedge_rows selvedge_fit
    selvedge_monitor selvedge_alert selvedge_monitor_options selvedge_alert_fn selvedge_outbox selvedge_batch
    selvedge_outbox_options selvedge_http_request selvedge_http_response selvedge_retry selvedge_judgement
    selvedge_table selvedge_hit selvedge_pack_options selvedge_store selvedge_staged selvedge_trust
    selvedge_package selvedge_import_options selvedge_repository selvedge_cache selvedge_schedule
    selvedge_cascade selvedge_models selvedge_stage selvedge_threshold selvedge_deployment
    selvedge_history selvedge_estimate
}

impl<T: C> C for *mut T {
    fn c() -> String {
        format!("{}*", T::c())
    }
}

impl<T: C> C for *const T {
    fn c() -> String {
        format!("const {}*", T::c())
    }
}

/// A function pointer as a prototype without names.
pub(crate) trait Signature {
    fn c(self) -> String;
}

macro_rules! signatures {
    ($(($($p:ident)*))*) => {$(
        impl<R: C, $($p: C),*> Signature for extern "C" fn($($p),*) -> R {
            fn c(self) -> String {
                let parameters: Vec<String> = vec![$($p::c()),*];
                format!("{}({})", R::c(), parameters.join(", "))
            }
        }

        impl<R: C, $($p: C),*> Signature for unsafe extern "C" fn($($p),*) -> R {
            fn c(self) -> String {
                let parameters: Vec<String> = vec![$($p::c()),*];
                format!("{}({})", R::c(), parameters.join(", "))
            }
        }
    )*};
}

signatures! {
    () (A) (A B) (A B D) (A B D E) (A B D E F) (A B D E F G) (A B D E F G H) (A B D E F G H I) (A B D E F G H I J)
}

/// Name → prototype without names, of every function of a preprocessed header. An enum is the number it is passed as.
pub(crate) fn prototypes(header: &str) -> BTreeMap<String, String> {
    let enums: Vec<&str> = header
        .split("typedef int32_t ")
        .skip(1)
        .map(|rest| rest.split(';').next().unwrap())
        .filter(|name| *name != "selvedge_status")
        .collect();
    let declarations = header.split("__attribute__((visibility(\"default\")))").skip(1);
    declarations
        .map(|d| {
            let d = d.split(';').next().unwrap();
            let (head, parameters) = d.split_once('(').unwrap();
            let name = head.split_whitespace().last().unwrap().trim_start_matches('*');
            let result = spelled(head.trim_end().strip_suffix(name).unwrap());
            let parameters = parameters.trim_end().strip_suffix(')').unwrap();
            let types: Vec<String> = match parameters.trim() {
                "void" => Vec::new(),
                some => some
                    .split(',')
                    .map(|p| spelled(p.trim_end().trim_end_matches(is_name)))
                    .map(|t| {
                        let pointee = t.trim_end_matches('*');
                        if enums.contains(&pointee) { t.replace(pointee, "int32_t") } else { t }
                    })
                    .collect(),
            };
            (name.into(), format!("{result}({})", types.join(", ")))
        })
        .collect()
}

pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A C type with single spaces between words and none around stars.
fn spelled(c: &str) -> String {
    c.replace('*', " * ").split_whitespace().collect::<Vec<_>>().join(" ").replace(" *", "*")
}
