//! Linker arguments of the library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(os.as_str(), "linux" | "android" | "freebsd") {
        // The C ABI below is linked in and not shown: an app may load it beside this.
        println!("cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
        // Workers of an engine may outlive the class loader, and their code must not be unmapped under them.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Devices with pages of 16 KiB load nothing that is aligned to less.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,max-page-size=16384");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libselvedge_jni.so");
    }
}
