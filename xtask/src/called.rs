//! How a person calls this program: behind cargo in a checkout, by a name of its own where it was installed. What it tells
//! to type next is typed so.

use std::path::{Component, Path};

/// How it is called in a checkout, and in every text of ours.
const BEHIND_CARGO: &str = "cargo xtask";

/// How it is called here.
pub fn called() -> String {
    // Cargo says to what it runs that it does.
    let by_cargo = std::env::var_os("CARGO").is_some();
    std::env::current_exe()
        .ok()
        .filter(|_| !by_cargo)
        .map_or_else(|| BEHIND_CARGO.to_owned(), |exe| name(&exe))
}

/// What cargo builds lies in a folder of that name, unless somebody moved it away to stay.
fn name(exe: &Path) -> String {
    let built = exe.components().any(|part| part == Component::Normal("target".as_ref()));
    let stem = exe.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|_| !built).unwrap_or_else(|| BEHIND_CARGO.to_owned())
}

/// A text with commands to type, as they are typed here.
pub fn told(text: &str) -> String {
    text.replace(BEHIND_CARGO, &called())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_installed_it_types_its_name() {
        for (exe, wanted) in [
            ("/src/vouchsafe/target/debug/xtask", "cargo xtask"),
            ("/opt/bin/vouchsafe", "vouchsafe"),
            ("/x/bin/xtask", "xtask"),
        ] {
            assert_eq!(name(Path::new(exe)), wanted, "{exe}");
        }
    }
}
