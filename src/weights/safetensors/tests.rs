//! Memory that a header can make its reader keep.

use super::super::metadata::MAX_KEYS;
use super::super::tensors::MAX_TENSORS;
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
    let json = format!("{{\"__metadata__\":{}}}", object(MANY, "\"\""));
    let texts = Listing::read(json.as_bytes()).unwrap().metadata;
    assert_eq!((texts.count, texts.items.len() as u64), (MANY, MAX_KEYS));
    let json = object(MANY, r#"{"dtype":"","shape":[],"data_offsets":[0,0]}"#);
    let tensors = Listing::read(json.as_bytes()).unwrap().tensors;
    assert_eq!((tensors.count, tensors.items.len() as u64), (MANY, MAX_TENSORS));

    let index = |n| format!("{{\"weight_map\":{}}}", object(n, "\"w\""));
    let most = index(MAX_TENSORS as usize);
    assert_eq!(Index::read(most.as_bytes()).unwrap().tensors().count() as u64, MAX_TENSORS);
    let error = Index::read(index(MANY).as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported, "{error}");
    assert!(error.message().contains("at most 65536 tensors, got 70000"), "{error}");
}
