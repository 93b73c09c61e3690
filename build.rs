//! Tells cargo about the inputs that the compiler cannot see: the folders that `src/viewer` embeds.

fn main() {
    println!("cargo::rerun-if-changed=viewer/dist");
    println!("cargo::rerun-if-changed=srv");
}
