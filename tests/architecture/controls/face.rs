//! The lines of the public face, what changes them, and the foreign crates that they name.

use crate::File;
use crate::face::{Face, changes};
use crate::modules::Crate;

const LIB: &str = "mod a;\npub mod b;\npub use a::{Engine, Shape, made};";
const A: &str = "use std::fmt;
    #[derive(Clone, Debug)]\n#[non_exhaustive]\npub struct Shape<T> {\n    pub dims: Vec<T>,\n    own: u8,\n}
    impl<T: Copy> Shape<T> {\n    pub fn rank(mut self, at: fn(u8) -> u8,\n    ) -> usize { if at(1) { 2 } else { 3 } }
        fn own(&self) {}\n    pub(crate) const OWN: u8 = 1; }
    impl<T> fmt::Debug for Shape<T> {}\nimpl Own for Shape<u8> {}\ntrait Own {}\npub(crate) use self::made as again;
    pub trait Engine: Send {\n    const ID: u8;\n    fn start(&self) -> u8;\n    fn trim(&self) -> u8 { 0 } }
    pub const fn made() -> u8 { 0 }\nfn unseen() {}";
const B: &str = "pub enum Code { #[default] One = 1, Two(u8, u16), Three { x: u8 } }
    pub struct Id(pub u8, u16);\npub const ALL: [u8; 2] = [1, 2];\npub type Of<T> = Vec<T>;";

fn face(a: &str, b: &str) -> Face {
    let files = [File::new("src/lib.rs", LIB), File::new("src/a.rs", a), File::new("src/b.rs", b)];
    Face::read(&Crate::read(&files, "src/lib.rs"))
}

#[test]
fn each_public_item_has_a_line() {
    let text = face(A, B).text();
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "selvedge::Engine: trait: Send",
        "selvedge::Engine::ID: const: u8",
        "selvedge::Engine::start: fn(&self) -> u8",
        "selvedge::Engine::trim: fn(&self) -> u8 { .. }",
        "selvedge::Shape: impl<T> fmt::Debug for Shape<T>",
        "selvedge::Shape: non_exhaustive struct<T>, derives Clone Debug",
        "selvedge::Shape::dims: field Vec<T>",
        "selvedge::Shape::rank: fn(self, at: fn(u8) -> u8) -> usize of impl<T: Copy> Shape<T>",
        "selvedge::b::ALL: const: [u8; 2]",
        "selvedge::b::Code: enum",
        "selvedge::b::Code::One: variant = 1",
        "selvedge::b::Code::Three: variant { x: u8 }",
        "selvedge::b::Code::Two: variant(u8, u16)",
        "selvedge::b::Id: struct",
        "selvedge::b::Id::0: field u8",
        "selvedge::b::Of: type<T> = Vec<T>",
        "selvedge::made: const fn() -> u8",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_change_of_the_face_is_seen() {
    let old = face(A, B).text();
    let changed = |a: &str, b: &str| changes(&old, &face(a, b).text());
    assert_eq!(changed(A, B), <[String; 0]>::default());
    let less = changed(&A.replace("pub fn rank(mut self, ", "pub fn rank(&self, "), &B.replace(", u16)", ")"));
    assert_eq!(
        less,
        [
            "+ selvedge::Shape::rank: fn(&self, at: fn(u8) -> u8) -> usize of impl<T: Copy> Shape<T>",
            "- selvedge::Shape::rank: fn(self, at: fn(u8) -> u8) -> usize of impl<T: Copy> Shape<T>",
            "+ selvedge::b::Code::Two: variant(u8)",
            "- selvedge::b::Code::Two: variant(u8, u16)",
        ]
    );
    // Bodies, values and what is not public may change.
    let inside = A.replace("{ 2 }", "{ 4 }").replace("own: u8", "own: u16").replace("fn own(&self)", "fn other(&self)");
    assert_eq!(changed(&inside, &B.replace("[1, 2]", "[3, 4]")), <[String; 0]>::default());
}

#[test]
fn a_foreign_crate_is_seen() {
    let found = |b: &str| face(A, b).foreign(&[("std", ""), ("half", "selvedge::b::half_of")]);
    let named = |path: &str| vec![format!("selvedge::b::{path}: names the foreign crate prost")];
    let free = |b: &str| assert_eq!(found(b), <[String; 0]>::default(), "{b}");
    assert_eq!(found("pub fn go(x: prost::Tag) {}"), named("go"));
    assert_eq!(found("use prost::Tag as T;\npub fn go() -> Option<T> {}"), named("go"));
    assert_eq!(found("use prost::inner;\npub struct S { pub x: inner::Tag }"), named("S::x"));
    assert_eq!(found("pub enum E { A(prost::Tag) }"), named("E::A"));
    assert_eq!(found("pub struct S;\nimpl From<prost::Tag> for S {}"), named("S"));
    assert_eq!(found("pub struct S;\nimpl S { pub fn go<T: prost::Message>(t: T) {} }"), named("S::go"));
    assert_eq!(found("#[derive(prost::Message)]\npub struct S;"), named("S"));
    assert_eq!(found("pub use prost::Tag;"), ["the `pub use` of src/b.rs: names the foreign crate prost"]);
    assert_eq!(found("use half::f16;\npub fn f(x: f16) {}"), ["selvedge::b::f: names the foreign crate half"]);
    free("use half::f16;\npub fn half_of(x: f16) -> std::io::Result<f16> {}");
    free("use prost::Tag;\npub struct S { x: Tag }\nimpl S { fn go(x: Tag) {} }\npub(crate) fn go(x: Tag) {}");
    free(
        "use prost::Tag;\npub fn go() { Tag::new() }\nuse super::Shape;\npub fn of(x: Shape<u8>, y: crate::Engine) {}",
    );
    free("pub fn go<T: Iterator>(x: T) -> T::Item {}\nuse std::fmt;\npub fn f(f: &mut fmt::Formatter<'_>) {}");
}
