//! Linker arguments of the shared library, of which Rust sets none by itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Cargo's cdylib-only form of this is tied to the manifest's crate types, which are `lib` alone; the crate's own
    // tests and benches get these too, where they mean nothing. Dependents of the crate don't.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // The number is the ABI's: OTTLA_ABI_VERSION.
        println!("cargo:rustc-link-arg=-Wl,-soname,libottla.so.0");
        // The I/O thread outlives a dlclose, so its code has to.
        println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    }
}
