//! What a header can make its reader keep.

use super::super::{MAX_KEYS, MAX_TENSORS};
use super::Index;
use super::listing::Listing;
use crate::Code;

fn object(n: usize, value: &str) -> String {
    let entries: Vec<String> = (0..n).map(|i| format!("\"{i}\":{value}")).collect();
    format!("{{{}}}", entries.join(","))
}

#[test]
fn no_more_is_kept_than_may_be() {
    const MANY: usize = 70_000;
    let texts = Listing::read(format!("{{\"__metadata__\":{}}}", object(MANY, "\"\"")).as_bytes()).unwrap().metadata;
    assert_eq!((texts.count, texts.items.len() as u64), (MANY, MAX_KEYS));
    let tensor = r#"{"dtype":"","shape":[],"data_offsets":[0,0]}"#;
    let tensors = Listing::read(object(MANY, tensor).as_bytes()).unwrap().tensors;
    assert_eq!((tensors.count, tensors.items.len() as u64), (MANY, MAX_TENSORS));

    let index = |n| Index::read(format!("{{\"weight_map\":{}}}", object(n, "\"w\"")).as_bytes());
    assert_eq!(index(MAX_TENSORS as usize).unwrap().tensors().count() as u64, MAX_TENSORS);
    let error = index(MANY).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported, "{error}");
    assert!(error.message().contains("at most 65536 tensors, got 70000"), "{error}");
}
