//! Without a build script, cargo would not resolve the build dependencies.

fn main() {}
