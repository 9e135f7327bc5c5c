//! Linker arguments of the shared library: its name, that it stays loaded, and that it shows no function but ours.

/// A dependency's `#[no_mangle]` functions (llguidance has some) would be exported beside ours, and
/// clash with an app's own copy of it. Dependencies come in archives; this crate does not.
const HIDE_ARCHIVES: &str = "cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The number is SELVEDGE_ABI_MAJOR: a library that breaks the ABI is another file to the loader.
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "freebsd") => {
            println!("{HIDE_ARCHIVES}");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libselvedge.so.1");
            // Workers of an engine may outlive a dlclose, and their code must not be unmapped under them.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        // Android loads by file name and knows no versions.
        Ok("android") => {
            println!("{HIDE_ARCHIVES}");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libselvedge.so,-z,nodelete");
        }
        Ok("macos" | "ios") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libselvedge.1.dylib");
        }
        _ => {}
    }
}
