//! Files and folders that get into an image, with modes that the user's umask does not decide.
//!
//! An image is called by its digest, so it is the same whoever makes it. Under a strict umask (027 and 077 are what
//! hardening guides ask for) a folder made carelessly cannot be entered by the image's own users, and the next build,
//! under any umask, would find it in the cache.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cmd::Cmd;

/// Makes a folder and those above it that are missing, for everybody to enter.
pub fn folder(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|above| !above.exists());
    // From the top down; the first is the deepest.
    for folder in missing.collect::<Vec<_>>().into_iter().rev() {
        std::fs::create_dir(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Writes a file for everybody to read.
pub fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::write(path, bytes)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

/// A program that writes what gets into an image, with the umask that Debian's packages are made for.
pub fn program(name: impl Into<OsString>) -> Cmd {
    Cmd::new("sh").args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(name)
}
