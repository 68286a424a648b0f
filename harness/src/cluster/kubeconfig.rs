//! A cluster's own kubeconfig, as kind writes it: where it says that the API server is.

use std::net::SocketAddr;
use std::path::Path;

use crate::error::Context as _;
use crate::{Code, Error, Result, render};

/// Where the file says that the API server is.
///
/// # Errors
/// [`Code::CacheUnusable`] when it cannot be read, or names no address.
pub fn server(kubeconfig: &Path) -> Result<SocketAddr> {
    server_in(&read(kubeconfig)?)
}

/// Writes the file anew, with another place of the API server.
///
/// # Errors
/// As [`server`].
pub fn point_at(kubeconfig: &Path, server: SocketAddr) -> Result<()> {
    write(kubeconfig, &read(kubeconfig)?, server)
}

/// Writes a kubeconfig of this text, with another place of the API server.
///
/// # Errors
/// As [`server`].
pub(super) fn write(kubeconfig: &Path, text: &str, server: SocketAddr) -> Result<()> {
    let text = text.replace(&format!("https://{}", server_in(text)?), &format!("https://{server}"));
    let part = kubeconfig.with_extension("part");
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, kubeconfig))
        .or_fail(Code::CacheUnusable, || format!("cannot write {}", kubeconfig.display()))
}

fn read(kubeconfig: &Path) -> Result<String> {
    std::fs::read_to_string(kubeconfig)
        .or_fail(Code::CacheUnusable, || format!("cannot read the kubeconfig {}", kubeconfig.display()))
}

fn server_in(text: &str) -> Result<SocketAddr> {
    let all = render::documents(text, "the kubeconfig")?;
    let url = all.first().and_then(|config| config.pointer("/clusters/0/cluster/server")?.as_str());
    let address = url.and_then(|url| url.strip_prefix("https://")?.parse().ok());
    address.ok_or_else(|| Error::new(Code::CacheUnusable, "the kubeconfig names no address of an API server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_place_is_all_that_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kubeconfig");
        let text = "apiVersion: v1\nkind: Config\nclusters:\n- cluster: {server: \"https://198.18.0.2:32768\"}\n  name: kind-c1\n";
        std::fs::write(&file, text).unwrap();
        assert_eq!(server(&file).unwrap(), "198.18.0.2:32768".parse().unwrap());
        point_at(&file, "198.18.0.2:40000".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text.replace("32768", "40000"));
        std::fs::write(&file, "apiVersion: v1\nkind: Config\n").unwrap();
        assert_eq!(server(&file).unwrap_err().code(), Code::CacheUnusable);
    }
}
