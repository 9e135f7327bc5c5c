use super::super::json::Json;
use super::refuses;
use crate::error::Code;

fn parse(text: &str) -> crate::Result<Json> {
    Json::parse("text", text.as_bytes(), 1 << 20)
}

#[test]
fn a_text_of_two_meanings_is_refused() {
    for (text, why) in [
        (r#"{"a": 1, "a": 1}"#, "'a' comes twice"),
        (r#"{"a": 1, "\u0061": 2}"#, "'a' comes twice"),
        ("1.0", "not the JSON"),
        ("1e2", "not the JSON"),
        ("-0", "not the JSON"),
        ("01", "not the JSON"),
        ("9223372036854775808", "not the JSON"),
        ("18446744073709551616", "not the JSON"),
        ("NaN", "not the JSON"),
        ("{} {}", "trailing"),
        ("[1,]", "not the JSON"),
        (r#""\ud800""#, "not the JSON"),
        ("\"a\nb\"", "not the JSON"),
        ("\u{feff}{}", "not the JSON"),
        ("", "not the JSON"),
    ] {
        refuses(parse(text), Code::Corrupt, why);
    }
    assert!(Json::parse_foreign("text", b"[1.5]", 9).is_ok());
    refuses(Json::parse("text", b"\"\xff\"", 9), Code::Corrupt, "not the JSON");
    refuses(Json::parse("text", b"[1, 2, 3]", 8), Code::Corrupt, "at most 8 bytes, got 9");
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(parse(&nested(100)).is_ok());
    refuses(parse(&nested(10_000)), Code::Corrupt, "recursion limit");
    let wide = |n: usize| format!("[{}0]", "0,".repeat(n));
    assert!(Json::parse("text", wide(1_000_000).as_bytes(), 4 << 20).is_ok());
    refuses(Json::parse("text", wide(1 << 20).as_bytes(), 4 << 20), Code::Corrupt, "more than 1048576 values");
}

#[test]
fn the_canonical_form_escapes_quotes_and_backslashes_and_nothing_else() {
    let json =
        parse(r#" { "b" : [ 1 , -2, true, null ], "a\"": "\u00e9\n\\", "\uffff": {}, "\ud83d\ude00": [] } "#).unwrap();
    let expected = "{\"a\\\"\":\"é\n\\\\\",\"b\":[1,-2,true,null],\"\u{ffff}\":{},\"😀\":[]}";
    assert_eq!(String::from_utf8(json.canonical()).unwrap(), expected);
}
