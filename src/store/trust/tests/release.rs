use super::super::release::MAX_VERSION;
use super::super::{Content, Release};
use super::refuses;
use crate::Digest;
use crate::error::Code;

const FULL: &str = r#"{
    "selvedge": 1, "name": "rain", "version": 14, "channel": "beta-2", "share": 2500, "minimum": 9,
    "expires": "2027-06-30T00:00:00Z", "label": "trained on New York", "model": "rain.onnx",
    "profile": "rain.profile", "golden": "golden/cases.json"
}"#;

#[test]
fn a_full_release_is_read_and_written() {
    let release = Release::parse(FULL.as_bytes()).unwrap();
    assert_eq!((&*release.name, release.version, &*release.channel), ("rain", 14, "beta-2"));
    assert_eq!((release.share, release.minimum, release.expires), (2500, 9, Some(1_814_313_600)));
    let mut expected =
        Release::new("rain", 14, "rain.onnx").with_profile("rain.profile").with_golden("golden/cases.json");
    assert_eq!(release.content, expected.content);
    (expected.channel, expected.share, expected.minimum) = ("beta-2".into(), 2500, 9);
    (expected.expires, expected.label) = (Some(1_814_313_600), Some("trained on New York".into()));
    assert_eq!(release, expected);
    assert_eq!(Release::parse(&release.to_json()).unwrap(), release);
}

#[test]
fn a_small_release_is_for_everybody_on_stable() {
    let release =
        Release::parse(br#"{"selvedge":1,"name":"rain","version":1,"channel":"stable","model":"m"}"#).unwrap();
    assert_eq!(release, Release::new("rain", 1, "m"));
    assert_eq!((release.share, release.minimum, release.expires), (10_000, 0, None));
}

#[test]
fn a_way_back_is_read_and_written() {
    let back = Release::rollback("rain", 15, 13, Digest([7; 32]));
    let read = Release::parse(&back.to_json()).unwrap();
    assert_eq!(read, back);
    assert_eq!(read.content, Content::Rollback { version: 13, digest: Digest([7; 32]) });
}

#[test]
fn what_breaks_the_format_is_refused() {
    let with = |from: &str, to: &str| {
        assert!(FULL.contains(from), "{from}");
        FULL.replacen(from, to, 1)
    };
    for (text, code, why) in [
        (with("\"selvedge\": 1", "\"selvedge\": 2"), Code::Unsupported, "expected format 1, got 2"),
        (with("\"selvedge\": 1,", ""), Code::Corrupt, "expected 'selvedge', got none"),
        (with("\"name\": \"rain\",", ""), Code::Corrupt, "expected 'name', got none"),
        (with("\"rain\"", "\"Rain\""), Code::Corrupt, "'name': expected 1 to 64 of a-z"),
        (with("\"rain\"", "\"..\""), Code::Corrupt, "'name': expected"),
        (with("\"rain\"", "\"a/b\""), Code::Corrupt, "'name': expected"),
        (with("\"rain\"", "\"\""), Code::Corrupt, "'name': expected"),
        (with("\"beta-2\"", "\"beta 2\""), Code::Corrupt, "'channel': expected"),
        (with("14", "0"), Code::Corrupt, "'version': expected 1 to 9007199254740991, got 0"),
        (with("14", "9007199254740992"), Code::Corrupt, "'version': expected 1 to"),
        (with("14", "18446744073709551615"), Code::Corrupt, "is more than"),
        (with("14", "-1"), Code::Corrupt, "'version': expected 1 to"),
        (with("14", "14.0"), Code::Corrupt, "not the JSON"),
        (with("14", "\"14\""), Code::Corrupt, "'version': expected an integer, got a text"),
        (with("14,", "14, \"version\": 14,"), Code::Corrupt, "'version' comes twice"),
        (with("2500", "10001"), Code::Corrupt, "'share': expected 0 to 10000, got 10001"),
        (with("\"minimum\": 9", "\"minimum\": 15"), Code::Corrupt, "'minimum': expected 0 to 14, got 15"),
        (with("2027-06-30T00:00:00Z", "2027-06-31T00:00:00Z"), Code::Corrupt, "'expires': expected a time"),
        (with("2027-06-30T00:00:00Z", "2027-06-30T00:00:00+01:00"), Code::Corrupt, "'expires': expected a time"),
        (with("2027-06-30T00:00:00Z", "2027-06-30T24:00:00Z"), Code::Corrupt, "'expires': expected a time"),
        (with("2027-06-30T00:00:00Z", "1969-06-30T00:00:00Z"), Code::Corrupt, "'expires': expected a time"),
        (with("trained", "trained\\n"), Code::Corrupt, "'label': expected"),
        (with("\"rain.onnx\"", "\"../rain.onnx\""), Code::Corrupt, "'../rain.onnx': not the name of a file"),
        (with("\"rain.onnx\"", "null"), Code::Corrupt, "'model': expected a text, got null"),
        (with("\"golden\"", "\"gold\""), Code::Corrupt, "'gold': not a key of this format"),
        (
            with("\"share\"", "\"rollback_to\": {\"version\": 13, \"digest\": \"00\"}, \"share\""),
            Code::Corrupt,
            "64 hexadecimal",
        ),
        ("[]".into(), Code::Corrupt, "expected an object, got a list"),
        (format!("{FULL}{}", " ".repeat(70_000)), Code::Corrupt, "at most 65536 bytes"),
    ] {
        refuses(Release::parse(text.as_bytes()), code, why);
    }
    let back = String::from_utf8(Release::rollback("rain", 15, 13, Digest([7; 32])).to_json()).unwrap();
    for (from, to, why) in
        [("13", "15", "expected 1 to 14, got 15"), ("\"share\"", "\"model\": \"m\", \"share\"", "'model': not a key")]
    {
        refuses(Release::parse(back.replacen(from, to, 1).as_bytes()), Code::Corrupt, why);
    }
    let highest = FULL.replacen("14", &MAX_VERSION.to_string(), 1);
    assert_eq!(Release::parse(highest.as_bytes()).unwrap().version, MAX_VERSION);
}
