use super::super::sign;
use super::{refuses, text, trust, verify};
use crate::Digest;
use crate::error::Code;

fn files(names: &[&str]) -> Vec<(String, Digest)> {
    names.iter().enumerate().map(|(i, name)| (name.to_string(), Digest([i as u8; 32]))).collect()
}

#[test]
fn what_is_signed_here_is_verified_here() {
    for key in ["p256", "p384"] {
        let files = files(&["rain.onnx", "a/b", "a-b/c", "ß"]);
        let pem = text(&format!("made/keys/{key}.pem"));
        let bundle = sign("rain", &files, &pem).unwrap();
        assert_eq!(bundle, sign("rain", &files, &pem).unwrap(), "the same bytes each time");
        let signed = verify(&trust(), &bundle).unwrap();
        let mut expected = files.clone();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(signed.files, expected);
        assert!(signed.ignores("model.sig") && !signed.ignores("rain.profile"));
    }
}

#[test]
fn what_cannot_be_verified_is_not_signed() {
    let pem = text("made/keys/p256.pem");
    for (names, why) in [
        (&[][..], "at least 1 file"),
        (&["../x"][..], "'../x': not the name of a file"),
        (&["a", "A"][..], "'a': comes twice"),
        (&["a", "a/b"][..], "a folder of others"),
    ] {
        refuses(sign("rain", &files(names), &pem), Code::InvalidArgument, why);
    }
    refuses(sign("", &files(&["a"]), &pem), Code::InvalidArgument, "expected a name");
    let public = text("made/keys/p256.pub.pem");
    refuses(sign("rain", &files(&["a"]), &public), Code::InvalidArgument, "expected a PEM of 'PRIVATE KEY'");
    let encrypted = pem.replace("PRIVATE", "ENCRYPTED PRIVATE");
    refuses(sign("rain", &files(&["a"]), &encrypted), Code::Unsupported, "'ENCRYPTED PRIVATE KEY'");
}
