//! The Docker engine that is there already, found as the docker CLI finds it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Engine, Record, answering};
use crate::error::Context as _;
use crate::{Code, Error, Result, patience};

const DEFAULT: &str = "unix:///var/run/docker.sock";
/// Where the docker CLI dials when an address names no port.
const PORT: u16 = 2375;

/// The engine that was asked for, as the docker CLI would ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// As in `DOCKER_HOST`.
    pub host: String,
    /// Whether the docker CLI would speak TLS there.
    pub tls: bool,
}

/// Why an engine cannot be used however well it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A sentence.
    pub what: String,
    /// What to paste.
    pub cure: String,
}

/// The engine that the docker CLI would use, if it answers. One that is called by name is kept by its address: what it
/// publishes is bound to an address, and every later process meets the same engine.
///
/// # Errors
/// [`Code::EngineUnreachable`].
pub async fn reach() -> Result<Engine> {
    let asked = asked()?;
    if let Some(Refusal { what, cure }) = refusal(&asked) {
        return Err(Error::new(Code::EngineUnreachable, what).next(cure));
    }
    let mut last = Error::internal("no address to ask an engine at");
    for host in addresses(&asked.host).await.map_err(cure)? {
        match answering(&host, patience::ENGINE_ANSWER).await {
            Ok(docker) => return Ok(Engine { docker, record: Record::System { host } }),
            Err(e) => last = e,
        }
    }
    Err(cure(last))
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

/// `DOCKER_HOST`, else the current context's endpoint, else the usual socket.
///
/// # Errors
/// [`Code::EngineUnreachable`] for a context that is not there: to ask another engine instead would hide a mistake.
pub fn asked() -> Result<Asked> {
    if let Some(host) = variable("DOCKER_HOST") {
        let tls = variable("DOCKER_TLS_VERIFY").or_else(|| variable("DOCKER_TLS")).is_some();
        return Ok(Asked { host, tls });
    }
    let home = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")));
    of_context(home.as_deref(), variable("DOCKER_CONTEXT"))
}

/// Why the engine cannot be spoken to, or cannot see what it is to mount. Known from how it is called.
pub fn refusal(asked: &Asked) -> Option<Refusal> {
    let (transport, rest) = asked.host.split_once("://").unwrap_or(("tcp", &asked.host));
    let spoken = match (transport, asked.tls) {
        ("unix", _) | ("tcp" | "http", false) => return None,
        ("tcp" | "http" | "https", _) => "TLS",
        (other, _) => other,
    };
    let what =
        format!("the engine is asked for by {spoken} ({}), a transport that is not spoken here", asked.host);
    let machine = rest.split('/').next().unwrap_or(rest);
    let machine = machine.rsplit_once(':').map_or(machine, |(name, _)| name);
    // Images and settings are mounted from this machine's folders, so a tunnel helps only to an engine that sees them.
    let without = match spoken {
        "TLS" => ", or let the engine listen without TLS (a CI service: DOCKER_TLS_CERTDIR=\"\", port 2375)",
        _ => "",
    };
    let cure = match machine {
        "" => "export DOCKER_HOST=unix:///var/run/docker.sock".to_owned(),
        machine => format!(
            "run it on that machine{without}; or, if that engine sees this machine's files, through a tunnel: \
             ssh -fnNT -L /tmp/engine.sock:/var/run/docker.sock {machine} && \
             unset DOCKER_TLS_VERIFY DOCKER_TLS && export DOCKER_HOST=unix:///tmp/engine.sock"
        ),
    };
    Some(Refusal { what, cure })
}

/// The same engine by address: names as this machine resolves them, IPv4 first, for kind publishes there.
async fn addresses(host: &str) -> Result<Vec<String>> {
    let (transport, rest) = host.split_once("://").unwrap_or(("tcp", host));
    if transport == "unix" {
        return Ok(vec![host.to_owned()]);
    }
    let name = rest.split('/').next().unwrap_or(rest);
    // A last colon is within an address of IPv6, or before a port.
    let has_port = name.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let place = if has_port { name.to_owned() } else { format!("{name}:{PORT}") };
    let fail = || format!("`{name}`, where the engine is to be, is no name that this machine can resolve");
    let found = tokio::net::lookup_host(place).await.or_fail(Code::EngineUnreachable, fail)?;
    Ok(ordered(found.collect()))
}

fn ordered(mut found: Vec<SocketAddr>) -> Vec<String> {
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().map(|address| format!("tcp://{address}")).collect()
}

/// Docker's own layout: `contexts/meta/<sha256 of the name>/meta.json`, and certificates in `contexts/tls/<the same>`
/// (docker/cli, cli/context/store).
fn of_context(home: Option<&Path>, named: Option<String>) -> Result<Asked> {
    let read = |path: PathBuf| -> Option<Value> { serde_json::from_slice(&std::fs::read(path).ok()?).ok() };
    let configured = || Some(read(home?.join("config.json"))?["currentContext"].as_str()?.to_owned());
    let usual = || Ok(Asked { host: DEFAULT.to_owned(), tls: false });
    let Some(context) = named.or_else(configured).filter(|name| name != "default") else { return usual() };
    let folder: String = Sha256::digest(&context).iter().map(|byte| format!("{byte:02x}")).collect();
    let host = home.and_then(|home| {
        let meta = read(home.join("contexts/meta").join(&folder).join("meta.json"))?;
        meta["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned)
    });
    match host {
        Some(host) => Ok(Asked {
            tls: home.is_some_and(|home| home.join("contexts/tls").join(folder).join("docker").is_dir()),
            host,
        }),
        None => Err(Error::new(Code::EngineUnreachable, format!("there is no Docker context `{context}`"))
            .next("docker context ls; then `docker context use` another, or unset DOCKER_CONTEXT")),
    }
}

fn cure(error: Error) -> Error {
    Error::new(Code::EngineUnreachable, "no Docker engine answers")
        .because(error)
        .next("start Docker (and check DOCKER_HOST and `docker context ls`), or run as root on Debian or Ubuntu for a private engine")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, tls: bool) -> Option<Refusal> {
        refusal(&Asked { host: host.to_owned(), tls })
    }

    #[test]
    fn ports_of_a_remote_engine_are_published_there() {
        assert_eq!(published_at("tcp://192.0.2.7:2375").to_string(), "192.0.2.7");
        assert_eq!(published_at("tcp://[2001:db8::1]:2375").to_string(), "2001:db8::1");
        assert_eq!(published_at(DEFAULT).to_string(), "127.0.0.1");
    }

    #[test]
    fn a_transport_that_is_not_spoken_is_refused_by_name() {
        for spoken in [DEFAULT, "tcp://docker:2375", "http://192.0.2.7:2375", "docker:2375"] {
            assert_eq!(refused(spoken, false), None, "{spoken}");
        }
        assert_eq!(refused(DEFAULT, true), None, "a socket has no use for TLS");
        let ssh = refused("ssh://me@build1:22/run/docker.sock", false).unwrap();
        assert!(ssh.what.contains("by ssh (ssh://me@build1:22/run/docker.sock)"), "{ssh:?}");
        assert!(
            ssh.cure.contains("ssh -fnNT -L /tmp/engine.sock:/var/run/docker.sock me@build1 &&"),
            "{ssh:?}"
        );
        for (host, tls) in
            [("tcp://docker:2376", true), ("https://docker:2376", false), ("docker:2376", true)]
        {
            let refusal = refused(host, tls).unwrap();
            assert!(refusal.what.contains("by TLS"), "{refusal:?}");
            assert!(refusal.cure.contains("docker.sock docker && unset DOCKER_TLS_VERIFY"), "{refusal:?}");
        }
        assert!(refused("npipe:////./pipe/docker_engine", false).unwrap().what.contains("by npipe"));
    }

    #[tokio::test]
    async fn an_engine_that_is_called_by_name_is_kept_by_its_address() {
        let found = addresses("tcp://localhost:2375").await.unwrap();
        assert_eq!(found[0], "tcp://127.0.0.1:2375");
        assert_eq!(published_at(&found[0]).to_string(), "127.0.0.1");
        let both = ["[::1]:9", "127.0.0.1:9"].map(|address| address.parse().unwrap());
        assert_eq!(ordered(both.into()), ["tcp://127.0.0.1:9", "tcp://[::1]:9"]);
        assert_eq!(addresses("http://localhost/v1").await.unwrap()[0], "tcp://127.0.0.1:2375");
        assert_eq!(addresses("tcp://[::1]:9").await.unwrap(), ["tcp://[::1]:9"]);
        assert_eq!(addresses("192.0.2.7").await.unwrap(), ["tcp://192.0.2.7:2375"]);
        assert_eq!(addresses(DEFAULT).await.unwrap(), [DEFAULT]);
        let e = addresses("tcp://no-such-host.invalid:2375").await.unwrap_err();
        assert!(e.what().contains("`no-such-host.invalid:2375`"), "{e}");
    }

    #[test]
    fn contexts_are_read_as_docker_writes_them() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        assert_eq!(of_context(Some(home), None).unwrap().host, DEFAULT);
        assert_eq!(of_context(Some(home), Some("default".into())).unwrap().host, DEFAULT);
        let folder: String = Sha256::digest("build1").iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(home.join("config.json"), r#"{"currentContext":"build1"}"#).unwrap();
        let e = of_context(Some(home), None).unwrap_err();
        assert_eq!((e.code(), e.what()), (Code::EngineUnreachable, "there is no Docker context `build1`"));
        let meta = home.join("contexts/meta").join(&folder);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Endpoints":{"docker":{"Host":"tcp://build1:2376"}}}"#)
            .unwrap();
        let plain = Asked { host: "tcp://build1:2376".into(), tls: false };
        assert_eq!(of_context(Some(home), None).unwrap(), plain);
        std::fs::create_dir_all(home.join("contexts/tls").join(folder).join("docker")).unwrap();
        assert_eq!(of_context(Some(home), None).unwrap(), Asked { tls: true, ..plain });
    }
}
