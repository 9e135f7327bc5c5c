use super::super::{Bins, Fit, Profile};
use crate::{Code, Result};

const CSV: &str = "wind,sky,note\n1.5,sun,a\n,\"rain, heavy\",b\n2.5,NA,c\nNaN,sun,d\n";

fn csv(fit: Fit, text: &str) -> Result<Profile> {
    fit.of_csv(|| Ok(text.as_bytes()))
}

#[test]
fn a_csv_is_read_by_its_header() {
    let profile = csv(Profile::fit(), CSV).unwrap();
    let names: Vec<&str> = profile.features.iter().map(|f| &*f.name).collect();
    assert_eq!((names, profile.rows), (vec!["wind", "sky", "note"], 4));
    assert_eq!(profile.features[0].counts, [0, 1, 1, 0, 2]);
    assert_eq!(profile.features[1].counts, [2, 1, 0, 1]);
    let Bins::Categories(sky) = &profile.features[1].bins else { panic!() };
    assert_eq!(sky.names(), ["sun", "rain, heavy"]);
    let one = csv(Profile::fit().category("sky").number("wind"), CSV).unwrap();
    assert_eq!((&*one.features[0].name, one.features[0].counts.len()), ("sky", 4));
}

#[test]
fn a_bad_csv_is_refused_by_line_and_column() {
    let refused = |fit: Fit, text| {
        let error = csv(fit, text).unwrap_err();
        (error.code(), error.to_string())
    };
    let (code, text) = refused(Profile::fit().number("sky"), CSV);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("line 2, column 'sky': expected a number, got 'sun'"), "{text}");
    let (code, text) = refused(Profile::fit().number("rain"), CSV);
    assert!(code == Code::NotFound && text.contains("'rain'") && text.contains("wind"), "{text}");
    let (code, text) = refused(Profile::fit(), "a,b\n1,2\n3\n");
    assert!(code == Code::Corrupt && text.contains("line: 3"), "{text}");
    assert_eq!(refused(Profile::fit(), "a,b\n").0, Code::InvalidArgument);
    assert_eq!(refused(Profile::fit(), "").0, Code::InvalidArgument);
    let latin = Profile::fit().of_csv(|| Ok(&b"a\n\xE9\n"[..])).unwrap_err();
    assert_eq!(latin.code(), Code::Corrupt);
}
