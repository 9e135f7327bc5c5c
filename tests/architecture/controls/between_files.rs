//! Circles between files.

use super::{BARE, MAP};
use crate::{File, Plan, circles, violations};

/// The circles of a crate in `src/` with these files, a line of arrows each.
fn found(files: &[(&str, &str)], borne: &[(&[&str], &str)]) -> Vec<String> {
    let files: Vec<File> = files.iter().map(|(path, text)| File::new(*path, *text)).collect();
    circles::violations(&files, &["src/", "cli/src/"], borne)
}

/// The files of the circles in a folder `a` with these `mod.rs`, `x.rs` and `y.rs`.
fn in_folder(mod_rs: &str, x: &str, y: &str) -> Vec<String> {
    let mod_rs = format!("mod x;\nmod y;\n{mod_rs}");
    let files = [("src/lib.rs", "mod a;"), ("src/a/mod.rs", &mod_rs), ("src/a/x.rs", x), ("src/a/y.rs", y)];
    let first_line = |violation: String| violation.lines().next().unwrap_or("").to_string();
    found(&files, &[]).into_iter().map(first_line).collect()
}

const SIBLINGS: &[&str] = &["circle: src/a/x.rs, src/a/y.rs"];
const NONE: &[&str] = &[];

#[test]
fn a_circle_between_siblings_is_seen() {
    let to_x = "use super::x::X; pub struct Y;";
    assert_eq!(in_folder("", "use super::y::Y; pub struct X;", to_x), SIBLINGS);
    assert_eq!(in_folder("", "fn f() -> super::y::Y { loop {} }", "use crate::a::x::f;"), SIBLINGS);
    assert_eq!(in_folder("", "use super::y; fn f() { y::g() }", "use super::{x, z}; fn g() { x::f() }"), SIBLINGS);
    assert_eq!(in_folder("", "use super::y as z; fn f() { z::g() }", "fn g() { crate::a::x::f() }"), SIBLINGS);
    assert_eq!(in_folder("", "use super::y::*; pub struct X;", to_x), SIBLINGS);
    assert_eq!(in_folder("", "mod b { use super::super::y::Y; } pub struct X;", to_x), SIBLINGS);
    // By way of what `mod.rs` re-exports, by its own name or another.
    let shown = "pub use x::X;\npub(crate) use y::Y as Why;";
    assert_eq!(in_folder(shown, "use super::Why; pub struct X;", "use crate::a::X; pub struct Y;"), SIBLINGS);
    assert_eq!(in_folder("use y::*;", "use super::Y; pub struct X;", to_x), SIBLINGS);
    // What a macro makes is of the file that the path leads to.
    assert_eq!(in_folder("", "use super::y::Y; make! { X }", "use super::x::X; make! { Y }"), SIBLINGS);
}

#[test]
fn a_circle_by_way_of_others_is_seen() {
    let files = [
        ("src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\npub use a::A;\npub use b::B;"),
        ("src/a.rs", "use crate::B; pub struct A;"),
        ("src/b.rs", "pub struct B(crate::c::C);"),
        ("src/c.rs", "use crate::A; pub struct C;"),
        ("src/d.rs", "use crate::{A, B};"),
    ];
    let circle = "circle: src/a.rs, src/b.rs, src/c.rs\n    \
        src/a.rs → src/b.rs: B\n    src/b.rs → src/c.rs: C\n    src/c.rs → src/a.rs: A";
    assert_eq!(found(&files, &[]), [circle]);
}

/// With a way for each order of the modules, this would never end.
#[test]
fn globs_that_go_in_circles_are_followed_once() {
    let names: Vec<String> = ('a'..='p').map(String::from).collect();
    let globs: String = names.iter().map(|name| format!("pub use crate::{name}::*;\n")).collect();
    let lib: String = names.iter().map(|name| format!("mod {name};\n")).collect();
    let text = |name: &str| match name {
        "a" => format!("{globs}fn f() {{ self::far(); self::nowhere() }}\npub fn near() {{}}"),
        "p" => format!("{globs}pub fn far() {{ crate::b::near() }}"),
        _ => globs.clone(),
    };
    let texts: Vec<(String, String)> = names.iter().map(|name| (format!("src/{name}.rs"), text(name))).collect();
    let mut files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (&**path, &**text)).collect();
    files.push(("src/lib.rs", &lib));
    let found = found(&files, &[]);
    let [circle] = &found[..] else { panic!("expected one circle, got {found:?}") };
    assert!(circle.contains("src/a.rs → src/p.rs: far") && circle.ends_with(", near"), "{circle}");
}

#[test]
fn one_way_and_tests_are_no_circles() {
    let x = "pub struct X;";
    assert_eq!(in_folder("", x, "use super::x::X;"), NONE);
    assert_eq!(in_folder("", "#[cfg(test)]\nuse super::y::Y;\npub struct X;", "use super::x::X; pub struct Y;"), NONE);
    assert_eq!(in_folder("", "// super::y::Y\n#[doc = \"super::y::Y\"]\npub struct X;", "use super::x::X;"), NONE);
    assert_eq!(in_folder("", "use y::Y; fn f() { std::mem::take(x) }", "use super::x::f; pub struct Y;"), NONE);
    // A module that is only named, or only of tests.
    assert_eq!(in_folder("", "use super::y; pub struct X;", "use super::x::X;"), NONE);
    let files = [
        ("src/lib.rs", "mod a;\n#[cfg(all(loom, test))]\nmod model;\n#[cfg(not(test))]\nmod b;"),
        ("src/a.rs", "fn f() { crate::model::g() }"),
        ("src/model.rs", "fn g() { crate::a::f() }"),
    ];
    assert_eq!(found(&files, &[]), NONE);
}

#[test]
fn a_folder_is_one_noun_and_a_folder_below_another() {
    let (mod_rs, x) = ("pub trait T {}\nfn all() { x::X }", "use super::T; pub struct X;");
    assert_eq!(in_folder(mod_rs, x, ""), NONE);
    // Re-exporting alone imports nothing; using what is re-exported does.
    let below = |mod_rs: &str, x: &str| {
        let files = [
            ("src/lib.rs", "mod a;"),
            ("src/a/mod.rs", mod_rs),
            ("src/a/x/mod.rs", x),
            ("src/a/x/z.rs", "use super::super::T;"),
        ];
        found(&files, &[])
            .iter()
            .map(|violation| violation.lines().next().unwrap_or("").to_string())
            .collect::<Vec<_>>()
    };
    let x = "mod z;\nuse super::T; pub struct X;";
    assert_eq!(below("mod x;\npub trait T {}\npub use x::X;", x), NONE);
    let knot = ["circle: src/a/mod.rs, src/a/x/mod.rs"];
    assert_eq!(below("mod x;\npub trait T {}\npub use x::X;\nfn f() -> X { loop {} }", x), knot);
    assert_eq!(below("mod x;\npub trait T {}\nuse x::X;", x), knot);
    assert_eq!(below("mod x;\npub trait T {}\nfn f() { x::X }", x), knot);
    // From a file of the folder below to the one above its own.
    let from_z = "circle: src/a/mod.rs, src/a/x/mod.rs, src/a/x/z.rs";
    assert_eq!(below("mod x;\npub trait T {}\nfn f() { x::g() }", "mod z;\nfn g() { z::h() }"), [from_z]);
}

#[test]
fn circles_are_borne_by_name_and_few() {
    let files = [
        ("src/lib.rs", "mod a;\nmod b;"),
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        ("src/b.rs", "use crate::a::A; pub struct B;"),
        ("cli/src/main.rs", "mod c;\nmod d;"),
        ("cli/src/c.rs", "use crate::d::D;\npub struct C;"),
        ("cli/src/d.rs", "use crate::c::C;\npub struct D;"),
    ];
    let (a, c): (&[&str], &[&str]) = (&["src/b.rs", "src/a.rs"], &["cli/src/c.rs", "cli/src/d.rs"]);
    assert_eq!(found(&files, &[(a, "r"), (c, "r")]), NONE);
    let found_c = found(&files, &[(a, "r")]);
    assert!(found_c.len() == 1 && found_c[0].starts_with("circle: cli/src/c.rs, cli/src/d.rs\n"), "{found_c:?}");
    let stale = ["src/a.rs, src/b.rs: listed as a circle and is none"];
    assert_eq!(found(&files[..2], &[(&["src/a.rs", "src/b.rs"], "r")]), stale);
    let many = found(&files, &[(a, "r"), (c, "r"), (a, "r"), (c, "r")]);
    assert_eq!(many, ["4 circles are borne, at most 3"]);
}

#[test]
fn circles_are_among_the_violations() {
    let files = [
        File::new("src/lib.rs", MAP),
        File::new("src/tensor/mod.rs", "mod x;\nmod y;"),
        File::new("src/tensor/x.rs", "use super::y::Y; pub struct X;"),
        File::new("src/tensor/y.rs", "use super::x::X; pub struct Y;"),
    ];
    let found = violations(&files, &BARE).into_iter().filter(|violation| violation.starts_with("circle"));
    assert_eq!(found.count(), 1);
    assert!(violations(&files, &Plan { borne: &[(&["src/tensor/x.rs"], "r")], ..BARE }).len() > 1);
}
