//! The Docker engine that the docker CLI would use, asked about itself.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerSummary, HostConfig, Mount, MountType, Network, SystemInfo,
    SystemInfoDefaultAddressPools,
};
use bollard::query_parameters::{CreateContainerOptions, ListContainersOptionsBuilder, ListNetworksOptions};

use crate::doctor::measured::{Cache, Container, DockerEngine, Facts};
use crate::engine::Engine;
use crate::engine::objects::{KIND, OWNER};
use crate::engine::system;
use crate::error::Context as _;
use crate::{Code, Result, engine, patience, wait};

pub async fn look(cache: &Cache) -> DockerEngine {
    match wait::within("an answer of the Docker engine", patience::ATTEMPT, facts(cache)).await {
        Ok(facts) => DockerEngine::Answers(Box::new(facts)),
        Err(e) => DockerEngine::Silent {
            asked: system::asked().ok(),
            // The first line is the reason; what follows is advice, which is the judge's to give.
            why: e.to_string().lines().next().unwrap_or_default().to_owned(),
        },
    }
}

async fn facts(cache: &Cache) -> Result<Facts> {
    let fail = || "no Docker engine answers".to_owned();
    // No choice but this one can end in an engine that does not run yet.
    let found = Engine::find(engine::Choice::System).await?.ok_or_else(|| crate::Error::internal(fail()))?;
    let docker = found.docker();
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let (info, version, containers, networks) = futures::try_join!(
        docker.info(),
        docker.version(),
        docker.list_containers(Some(all)),
        docker.list_networks(None::<ListNetworksOptions>)
    )
    .or_fail(Code::EngineUnreachable, fail)?;
    let mut facts = about(info);
    let ours: Vec<_> =
        networks.iter().filter(|network| is_ours(network)).filter_map(|n| n.name.as_deref()).collect();
    facts.containers = containers.into_iter().map(|summary| container(summary, &ours)).collect();
    facts.networks = networks.into_iter().flat_map(subnets).collect();
    let parts = version.components.unwrap_or_default();
    facts.podman = parts.iter().any(|part| part.name.contains("Podman"));
    facts.blind = match cache.unwritable {
        Some(_) => None,
        None => blind(docker, &cache.path).await,
    };
    Ok(facts)
}

/// Asks for a container that mounts a file of the cache folder and is of no image. The engine looks for the file first
/// (moby, daemon/container.go: verifyContainerSettings), so that no such image is the answer of one that sees it.
/// Nothing is made.
async fn blind(docker: &Docker, cache: &Path) -> Option<Option<String>> {
    let file = tempfile::Builder::new().prefix(".probe").tempfile_in(cache).ok()?;
    let mount = Mount {
        typ: Some(MountType::BIND),
        source: Some(file.path().display().to_string()),
        target: Some("/probe".to_owned()),
        read_only: Some(true),
        ..Default::default()
    };
    let request = ContainerCreateBody {
        image: Some("vouchsafe.invalid/none".to_owned()),
        host_config: Some(HostConfig { mounts: Some(vec![mount]), ..Default::default() }),
        ..Default::default()
    };
    match docker.create_container(None::<CreateContainerOptions>, request).await {
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Some(None),
        Err(Error::DockerResponseServerError { message, .. }) => Some(Some(message)),
        _ => None,
    }
}

fn about(info: SystemInfo) -> Facts {
    let root = info.docker_root_dir.unwrap_or_default();
    let says =
        |list: &Option<Vec<String>>, word| list.iter().flatten().any(|line: &String| line.contains(word));
    Facts {
        version: info.server_version.unwrap_or_default(),
        memory: info.mem_total.map(i64::cast_unsigned),
        cores: info.ncpu.map(i64::cast_unsigned),
        // A folder of that name may also be another machine's; then it is most likely not here.
        free: Some(&root)
            .filter(|root| Path::new(root).is_dir())
            .and_then(|root| super::machine::free(Path::new(root))),
        root,
        // Docker's own words for it: moby, daemon/containerd.
        containerd_store: info
            .driver_status
            .iter()
            .flatten()
            .flatten()
            .any(|word| word.contains("io.containerd.snapshotter")),
        driver: info.driver.unwrap_or_default(),
        pools: info.default_address_pools.into_iter().flatten().filter_map(pool).collect(),
        rootless: says(&info.security_options, "rootless"),
        clock_ahead: info.system_time.as_deref().and_then(ahead),
        ..Facts::default()
    }
}

fn pool(pool: SystemInfoDefaultAddressPools) -> Option<(ipnet::Ipv4Net, u8)> {
    Some((pool.base?.parse().ok()?, u8::try_from(pool.size?).ok()?))
}

/// Seconds that `time` (RFC 3339) is ahead of this machine's clock.
fn ahead(time: &str) -> Option<i64> {
    let theirs: jiff::Timestamp = time.parse().ok()?;
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(theirs.as_second() - ours.as_secs().cast_signed())
}

fn is_ours(network: &Network) -> bool {
    network.labels.as_ref().is_some_and(|labels| labels.contains_key(OWNER))
}

fn container(summary: ContainerSummary, ours: &[&str]) -> Container {
    let names = summary.names.unwrap_or_default();
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    Container {
        name: names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        cluster: summary.labels.and_then(|labels| labels.get(KIND).cloned()),
        ours: networks.keys().any(|network| ours.contains(&network.as_str())),
    }
}

fn subnets(network: Network) -> Vec<(String, ipnet::Ipv4Net)> {
    let name = network.name.unwrap_or_default();
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let subnets = configs.into_iter().filter_map(|config| config.subnet?.parse().ok());
    subnets.map(|subnet| (name.clone(), subnet)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_in_another_time_is_seen() {
        assert!(ahead("2000-01-01T00:00:00.123456789Z").is_some_and(|s| s < -800_000_000));
        assert_eq!(ahead("yesterday"), None);
    }

    #[test]
    fn a_container_is_ours_by_its_network() {
        let node = |network: &str| {
            let text = format!(
                r#"{{"Names":["/cluster1-control-plane"],"Labels":{{"io.x-k8s.kind.cluster":"cluster1"}},
                    "NetworkSettings":{{"Networks":{{"{network}":{{}}}}}}}}"#
            );
            container(serde_json::from_str(&text).unwrap(), &["vouchsafe"])
        };
        let (ours, theirs) = (node("vouchsafe"), node("kind"));
        assert_eq!(
            (ours.name.as_str(), ours.cluster.as_deref(), ours.ours),
            ("cluster1-control-plane", Some("cluster1"), true)
        );
        assert!(!theirs.ours);
    }

    #[test]
    fn what_an_engine_says_is_read() {
        let info = serde_json::from_str(
            r#"{"ServerVersion":"29.1.0","NCPU":4,"MemTotal":8,"DockerRootDir":"/nowhere/docker",
                "Driver":"overlay2","DefaultAddressPools":[{"Base":"10.10.0.0/16","Size":24},{"Base":"fd00::/80","Size":112}],
                "DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],
                "SecurityOptions":["name=seccomp,profile=builtin","name=rootless"]}"#,
        );
        let facts = about(info.unwrap());
        assert_eq!(
            (facts.version.as_str(), facts.cores, facts.memory, facts.free),
            ("29.1.0", Some(4), Some(8), None)
        );
        assert!(facts.containerd_store && facts.rootless);
        assert_eq!((&*facts.driver, facts.pools), ("overlay2", vec![("10.10.0.0/16".parse().unwrap(), 24)]));
    }
}
