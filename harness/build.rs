//! Puts the manifests into the program, for where it runs outside of the checkout that it was built from.
//!
//! In a checkout its own files are read, so a changed manifest is no reason to build anew: only what is released looks for
//! changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let set = |name: &str| {
        env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("no {name}")))
    };
    let (manifests, out) = (set("CARGO_MANIFEST_DIR")?.join("../manifests"), set("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rerun-if-changed={}", manifests.display());
    }
    let copy = out.join("manifests");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    let mut names = Vec::new();
    copied(&manifests, &manifests, &copy, &mut names)?;
    names.sort();
    let mut list = String::from("&[\n");
    for name in names {
        let _ = writeln!(
            list,
            "({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/manifests/\", {name:?}))),"
        );
    }
    list.push(']');
    fs::write(out.join("manifests.rs"), list)
}

fn copied(root: &Path, dir: &Path, copy: &Path, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            copied(root, &path, copy, names)?;
            continue;
        }
        let name = path.strip_prefix(root).map_err(io::Error::other)?;
        let to = copy.join(name);
        fs::create_dir_all(to.parent().unwrap_or(copy))?;
        fs::copy(&path, &to)?;
        names.push(name.to_string_lossy().into_owned());
    }
    Ok(())
}
