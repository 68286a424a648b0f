//! The Docker engine that is there already, found as the docker CLI finds it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Engine, Record, answering};
use crate::{Code, Error, Result, patience};

const DEFAULT: &str = "unix:///var/run/docker.sock";

/// The engine that the docker CLI would use, if it answers.
///
/// # Errors
/// [`Code::EngineUnreachable`].
pub async fn reach() -> Result<Engine> {
    let host = named().unwrap_or_else(|| DEFAULT.to_owned());
    let docker = answering(&host, patience::ENGINE_ANSWER).await.map_err(cure)?;
    Ok(Engine { docker, record: Record::System { host } })
}

/// Whether a variable of the user's names the engine.
pub fn named_by_user() -> bool {
    variable("DOCKER_HOST").or_else(|| variable("DOCKER_CONTEXT")).is_some()
}

/// Where the ports are that a container publishes on this engine.
pub fn published_at(host: &str) -> IpAddr {
    let remote = host.split_once("tcp://").and_then(|(_, rest)| rest.rsplit_once(':'));
    let address = remote.and_then(|(name, _)| name.trim_matches(['[', ']']).parse().ok());
    address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn cure(error: Error) -> Error {
    Error::new(Code::EngineUnreachable, "no Docker engine answers")
        .because(error)
        .next("start Docker (and check DOCKER_HOST and `docker context ls`), or run as root on Debian or Ubuntu for a private engine")
}

/// `DOCKER_HOST`, else the current context's endpoint.
fn named() -> Option<String> {
    variable("DOCKER_HOST").or_else(|| {
        let home = variable("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")))?;
        let read =
            |path: PathBuf| -> Option<Value> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
        let context = variable("DOCKER_CONTEXT")
            .or_else(|| read(home.join("config.json"))?["currentContext"].as_str().map(str::to_owned))?;
        // Docker's own layout: contexts/meta/<sha256 of the name>/meta.json (docker/cli, cli/context/store).
        let folder: String = Sha256::digest(&context).iter().map(|byte| format!("{byte:02x}")).collect();
        let meta = read(home.join("contexts/meta").join(folder).join("meta.json"))?;
        meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned)
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_a_remote_engine_are_published_there() {
        assert_eq!(published_at("tcp://192.0.2.7:2375").to_string(), "192.0.2.7");
        assert_eq!(published_at("tcp://[2001:db8::1]:2375").to_string(), "2001:db8::1");
        assert_eq!(published_at(DEFAULT).to_string(), "127.0.0.1");
    }
}
