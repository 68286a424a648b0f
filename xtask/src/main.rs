//! `cargo xtask`: the commands come last.

fn main() {}
