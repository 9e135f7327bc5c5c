use super::super::{Bins, CsvTable, Fit, Profile, WindowCounts};
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
    assert!(code == Code::Corrupt && text.contains("line 3: expected 2 fields, as in the header, got 1"), "{text}");
    assert_eq!(refused(Profile::fit(), "a,b\n").0, Code::InvalidArgument);
    assert_eq!(refused(Profile::fit(), "").0, Code::InvalidArgument);
    let latin = Profile::fit().of_csv(|| Ok(&b"a\n\xE9\n"[..])).unwrap_err();
    assert_eq!(latin.code(), Code::Corrupt);
}

fn names(profile: &Profile) -> Vec<&str> {
    profile.features.iter().map(|f| &*f.name).collect()
}

/// The kinds of columns, in order: `n` of numbers, `c` of categories.
fn kinds(profile: &Profile) -> String {
    let kind = |bins: &Bins| if matches!(bins, Bins::Numeric { .. }) { 'n' } else { 'c' };
    profile.features.iter().map(|f| kind(&f.bins)).collect()
}

fn refusal(text: &str) -> (Code, String) {
    let error = csv(Profile::fit(), text).unwrap_err();
    (error.code(), error.message().to_owned())
}

#[test]
fn separators_are_found() {
    let same = [
        "temp,k,colour\n1.5,2,red\n2.5,3,blue\n",
        "temp;k;colour\n1.5;2;red\n2.5;3;blue\n",
        "temp\tk\tcolour\n1.5\t2\tred\n2.5\t3\tblue\n",
        "temp|k|colour\n1.5|2|red\n2.5|3|blue\n",
        "sep=;\r\ntemp;k;colour\r\n1,5;2;red\r\n2,5;3;blue\r\n",
        "\u{FEFF}\"temp\";\"k\";\"colour\"\r\n\"1,5\";2;red\r\n2,5;3;blue",
        "temp;k;colour\r1.5;2;red\r2.5;3;blue\r",
        "\n temp , k , colour \n\n1.5,2,red\n2.5,3,blue\n\n",
    ];
    let profiles = same.map(|text| csv(Profile::fit(), text).unwrap());
    for (text, profile) in same.iter().zip(&profiles) {
        assert_eq!((names(profile), kinds(profile)), (vec!["temp", "k", "colour"], "nnc".into()), "{text:?}");
        assert_eq!(profile, &profiles[0], "{text:?}");
    }
    // Of a header with both, the one that fits the lines; in quotes it is none.
    let both = csv(Profile::fit(), "a,b;c\n1;2\n3;4\n").unwrap();
    assert_eq!(names(&both), ["a,b", "c"]);
    let quoted = csv(Profile::fit(), "\"a;b;c\",d\n1,2\n").unwrap();
    assert_eq!(names(&quoted), ["a;b;c", "d"]);
    let one = csv(Profile::fit(), "temp\n1\n2\n").unwrap();
    assert_eq!((names(&one), one.rows), (vec!["temp"], 2));
}

#[test]
fn a_separator_may_be_asked_for() {
    let fit = |separator| csv(Profile::fit().separator(separator), "a:b,c\n1:2\n");
    assert_eq!(names(&fit(':').unwrap()), ["a", "b,c"]);
    for odd in ['x', '7', '"', '\n', '\0', '→'] {
        let error = fit(odd).unwrap_err();
        assert!(error.code() == Code::InvalidArgument && error.message().contains("separator"), "{error}");
    }
}

#[test]
fn an_index_is_no_feature_and_a_column_without_a_name_is_refused() {
    for index in
        [",temp,wind\n0,1.5,3\n1,2.5,4\n", "Unnamed: 0,temp,wind\n7,1.5,3\n3,2.5,4\n", "temp,wind,\n1.5,3,\n2.5,4,\n"]
    {
        let profile = csv(Profile::fit(), index).unwrap();
        assert_eq!((names(&profile), profile.rows), (vec!["temp", "wind"], 2), "{index}");
    }
    let nameless = |column| {
        let want = "expected a name for every column, but for an index of whole numbers in the first one, got none";
        (Code::InvalidArgument, format!("csv: column {column}: {want}"))
    };
    assert_eq!(refusal("temp,,wind\n1,2,3\n"), nameless(2));
    assert_eq!(refusal(",temp\n2020-01-01,1\n2020-01-02,2\n"), nameless(1));
    assert_eq!(refusal(",temp\n0.5,1\n"), nameless(1));
    assert_eq!(refusal("temp,\n1,\n2,3\n"), nameless(2));
    // Who names columns leaves the others out.
    let named = csv(Profile::fit().number("wind"), "temp,,wind\n1,2,3\n").unwrap();
    assert_eq!(names(&named), ["wind"]);
}

#[test]
fn names_that_come_twice_are_refused() {
    let (code, text) = refusal("a,b,a\n1,2,3\n");
    assert!(code == Code::InvalidArgument && text.contains("'a'"), "{text}");
    let error = csv(Profile::fit().number("a"), "a,b,a\n1,2,3\n").unwrap_err();
    assert_eq!(error.message(), "csv: column 'a': expected one of this name, got columns 1 and 3");
    assert!(csv(Profile::fit().number("b"), "a,b,a\n1,2,3\n").is_ok());
}

#[test]
fn decimal_commas_are_read_beside_semicolons_alone() {
    let profile = csv(Profile::fit(), "x;y\n1,5;a\n-2,25;b\n3;c\n4.5;d\n").unwrap();
    let moments = profile.features[0].moments.unwrap();
    assert_eq!((kinds(&profile), moments.min, moments.max), ("nc".into(), -2.25, 4.5));
    let hint = "expected a number, got '1,5'; a decimal comma is read where ';' separates the fields";
    for text in ["x\ty\n2\ta\n1,5\tb\n", "x|y\n2|a\n1,5|b\n", "x,y\n2,a\n\"1,5\",b\n"] {
        assert_eq!(refusal(text), (Code::InvalidArgument, format!("csv: line 3, column 'x': {hint}")));
    }
    // Thousands are no decimals, and texts that hold a comma are texts.
    let texts = csv(Profile::fit(), "x;y\n1.234,5;a\n1;b\n").unwrap();
    assert_eq!(kinds(&texts), "cc");
    let places = csv(Profile::fit(), "x,y\n\"1,5\",a\n\"Rome, Italy\",b\n").unwrap();
    assert_eq!(kinds(&places), "cc");
}

#[test]
fn truths_in_a_table_are_what_a_model_gets() {
    let profile = csv(Profile::fit(), "flag,word\nTrue,yes\nFalse,no\ntrue,yes\n,no\n0,no\n").unwrap();
    assert_eq!((kinds(&profile), &profile.features[0].counts[..]), ("nc".into(), &[0, 2, 2, 0, 1][..]));
    let feature = &profile.features[0];
    assert_eq!([feature.bin(0.0), feature.bin(1.0)], [1, 2]);
    let named = csv(Profile::fit().category("flag"), "flag\nTrue\nFalse\nTrue\n").unwrap();
    assert_eq!([1.0, 0.0].map(|v| named.features[0].bin(v)), [0, 1]);
}

#[test]
fn lines_that_do_not_fit_are_told_by_number() {
    let corrupt = |text: &str| (Code::Corrupt, text.to_owned());
    assert_eq!(refusal("a;b\n1;2\n\n1;2;3\n"), corrupt("csv: line 4: expected 2 fields, as in the header, got 3"));
    assert_eq!(refusal("sep=;\na;b\n1;2\n3\n"), corrupt("csv: line 4: expected 2 fields, as in the header, got 1"));
    assert_eq!(refusal("a,b\n1,2,\n"), corrupt("csv: line 2: expected 2 fields, as in the header, got 3"));
    let latin = Profile::fit().of_csv(|| Ok(&b"a,b\n1,2\n1,\xE9\n"[..])).unwrap_err();
    assert_eq!(latin.message(), "csv: line 3: expected text in UTF-8, got other bytes in field 2");
    let wide = Profile::fit().of_csv(|| Ok(&b"\xFF\xFEa\0\n\x001\0"[..])).unwrap_err();
    assert_eq!((wide.code(), wide.message()), (Code::Corrupt, "csv: expected text in UTF-8, got UTF-16"));
}

#[test]
fn a_table_is_read_as_a_window() {
    let profile = csv(Profile::fit(), "sky,wind\nsun,1\nrain,2\nsun,\n").unwrap();
    let window = |text: &str| WindowCounts::of_csv(&profile, text.as_bytes(), None);
    let counts = window("n;wind;sky\n1;2,0;hail\n2;;sun\n").unwrap();
    assert_eq!((counts.rows, &counts.features[..]), (2, &[vec![1, 0, 1, 0], vec![0, 0, 1, 0, 1]][..]));
    assert_eq!(window("sky\nsun\n").unwrap_err().code(), Code::NotFound);
    let text = window("sky,wind\nsun,calm\n").unwrap_err();
    assert_eq!(text.message(), "csv: line 2, column 'wind': expected a number, got 'calm'");
}

/// A header that is longer than what the separator is looked for in, and a source that gives a byte at a time.
#[test]
fn tables_come_in_pieces_of_any_size() {
    struct Drops<'a>(&'a [u8]);
    impl std::io::Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let (n, into) = (self.0.len().min(into.len()).min(1), into);
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }
    let header: Vec<String> = (0..20_000).map(|i| format!("column {i}")).collect();
    let row: Vec<String> = (0..20_000).map(|i| i.to_string()).collect();
    let text = format!("{}\n{}\n", header.join("\t"), row.join("\t"));
    assert!(text.len() > 250_000);
    let mut table = CsvTable::open(Drops(text.as_bytes()), None).unwrap();
    assert_eq!((table.names().len(), table.separator()), (20_000, '\t'));
    let row = table.next_row().unwrap().unwrap();
    assert_eq!((row.line(), row.number(19_999).unwrap()), (2, Some(19_999.0)));
    assert!(table.next_row().unwrap().is_none());
}
