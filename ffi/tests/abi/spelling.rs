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
    c_char => "char"; c_void => "void"; usize => "size_t"; u8 => "uint8_t"; u32 => "uint32_t"; i64 => "int64_t";
    selvedge_status => "selvedge_status"; selvedge_error => "selvedge_error"; selvedge_cancel => "selvedge_cancel";
    selvedge_engine => "selvedge_engine"; selvedge_run => "selvedge_run"; selvedge_answer => "selvedge_answer";
    selvedge_options => "selvedge_options"; selvedge_call => "selvedge_call"; selvedge_tensor => "selvedge_tensor";
    selvedge_tensors => "selvedge_tensors"; selvedge_generate => "selvedge_generate";
    selvedge_embed => "selvedge_embed"; selvedge_event => "selvedge_event";
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

signatures! { () (A) (A B) (A B D) (A B D E) (A B D E F) }

/// Name → prototype without names, of every function of a preprocessed header.
pub(crate) fn prototypes(header: &str) -> BTreeMap<String, String> {
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
                some => some.split(',').map(|p| spelled(p.trim_end().trim_end_matches(is_name))).collect(),
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
