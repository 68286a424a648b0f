//! The wire between this machine and a private engine's network namespace.
//!
//! A pair of virtual interfaces and one route: node addresses and published ports are reached over it. The
//! kernel takes all three away with the namespace, so a killed engine leaves none of them.

use super::block::Block;
use crate::Result;
use crate::cmd::Cmd;

/// The engine's end, in its own namespace.
pub const THERE: &str = "vouchsafe0";

/// Lays the wire from `here` (an interface's name) into the namespace of process `pid`.
///
/// # Errors
/// [`crate::Code::CommandFailed`].
pub async fn lay(here: &str, pid: u32, block: Block) -> Result<()> {
    let (a, b) = (block.here(), block.there());
    let batch = format!(
        "link add {here} type veth peer name {THERE} netns {pid}\n\
         address add {a}/30 dev {here}\n\
         link set {here} up\n"
    );
    Cmd::new("ip").args(["-batch", "-"]).stdin(batch).run().await?;
    let batch = format!("address add {b}/30 dev {THERE}\nlink set {THERE} up\n");
    let target = format!("--target={pid}");
    Cmd::new("nsenter").args([&target, "--net", "ip", "-batch", "-"]).stdin(batch).run().await?;
    Cmd::new("ip").args(["route", "add", &block.net().to_string(), "via", &b.to_string()]).run().await?;
    Ok(())
}

/// Whether our end is there.
pub fn is_laid(here: &str) -> bool {
    std::path::Path::new("/sys/class/net").join(here).exists()
}

/// Takes it away, if the kernel has not done so.
///
/// # Errors
/// [`crate::Code::CommandFailed`] when it is still there afterwards.
pub async fn remove(here: &str) -> Result<()> {
    if !is_laid(here) {
        return Ok(());
    }
    let removed = Cmd::new("ip").args(["link", "delete", here]).run().await;
    if is_laid(here) { removed.map(drop) } else { Ok(()) }
}
