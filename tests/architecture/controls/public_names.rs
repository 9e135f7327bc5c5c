//! One public path for a name, one public type of a name.

use crate::modules::Crate;
use crate::{File, public};

const LIB: &str = "pub mod a;\nmod b;\npub use b::{B, go};\npub use b::Error as Failure;";

/// What is wrong with the face of a library with this `lib.rs` and these modules `a` and `b`.
fn found(lib: &str, a: &str, b: &str, listed: &[(&str, &str)]) -> Vec<String> {
    let files = [File::new("src/lib.rs", lib), File::new("src/a/mod.rs", a), File::new("src/b.rs", b)];
    let more = [File::new("src/a/c.rs", "pub struct C;\npub fn go() {}\npub(crate) struct B;")];
    let library = Crate::read(&files.into_iter().chain(more).collect::<Vec<_>>(), "src/lib.rs");
    [public::several_paths(&library), public::several_types(&library, listed)].concat()
}

const A: &str = "mod c;\npub use c::C;\npub fn go() {}";
const B: &str = "pub struct B;\npub fn go() {}\npub enum Error {}\npub struct Unseen;";

fn twice(paths: &str) -> Vec<String> {
    vec![format!("several public paths to one name: {paths}")]
}

#[test]
fn a_second_public_path_is_seen() {
    assert_eq!(found(LIB, A, B, &[]), <[String; 0]>::default());
    let pub_b = LIB.replace("mod b", "pub mod b");
    let all = found(&pub_b, A, B, &[]);
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(all[..1], twice("selvedge::B, selvedge::b::B"));
    assert_eq!(all[1..2], twice("selvedge::Failure, selvedge::b::Error"));
    assert_eq!(found(&format!("{LIB}\npub use a::C;"), A, B, &[]), twice("selvedge::C, selvedge::a::C"));
    let pub_c = A.replace("mod c", "pub mod c");
    assert_eq!(found(LIB, &pub_c, B, &[]), twice("selvedge::a::C, selvedge::a::c::C"));
    assert_eq!(
        found(&format!("{LIB}\npub use a::*;"), A, "pub struct B;", &[])[1..],
        twice("selvedge::C, selvedge::a::C")
    );
    assert_eq!(
        found(&format!("{LIB}\npub use a as again;"), A, B, &[])[1..],
        twice("selvedge::a::C, selvedge::again::C")
    );
    assert_eq!(
        found(LIB, &format!("{A}\npub use crate::b::B as Again;"), B, &[]),
        twice("selvedge::B, selvedge::a::Again")
    );
}

#[test]
fn what_is_not_public_has_no_path() {
    let free = |a: &str| assert_eq!(found(LIB, a, B, &[]), <[String; 0]>::default(), "{a}");
    free(&format!("{A}\npub(crate) use crate::b::B;\nuse crate::b::B as Own;"));
    free(&format!("{A}\nmod inner {{ pub use crate::b::B; pub struct Failure; }}"));
    free(&format!("{A}\nfn f() {{ pub struct B; }}\nmacro_rules! m {{ () => {{ pub struct B; }} }}"));
    free(&format!("{A}\n// pub struct B;\n#[cfg(test)]\npub struct B;"));
    // One path, spelled for either build.
    free(&format!("{A}\n#[cfg(unix)]\npub struct D;\n#[cfg(not(unix))]\npub struct D;"));
}

#[test]
fn two_public_types_of_one_name_are_seen() {
    let named = |name: &str| vec![format!("several public types named {name}: selvedge::{name}, selvedge::a::{name}")];
    assert_eq!(found(LIB, &format!("{A}\npub struct B;"), B, &[]), named("B"));
    assert_eq!(found(LIB, &format!("{A}\npub type B = u8;"), B, &[]), named("B"));
    assert_eq!(found(LIB, &format!("{A}\npub trait Failure {{}}"), B, &[]), named("Failure"));
    // Made by a macro, and re-exported.
    let made = found(
        &format!("{LIB}\npub use b::Made;"),
        &format!("{A}\npub enum Made {{}}"),
        &format!("{B}\nmake! {{ x }}"),
        &[],
    );
    assert_eq!(made, named("Made"));
    assert!(found(LIB, &format!("{A}\npub struct B;"), B, &[("B", "r")]).is_empty());
    assert_eq!(found(LIB, A, B, &[("B", "r")]), ["B: listed as the name of several public types and is not"]);
    // Functions may share a name, and a type that is not public takes none.
    assert!(
        found(LIB, &format!("{A}\npub(crate) struct B;\npub struct Unseen;\npub struct Error;"), B, &[]).is_empty()
    );
}
