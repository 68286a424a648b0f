//! What we make in an engine: networks, and what nodes are made of. Whose each of it is: [`super::belongings`].

use std::collections::HashMap;

use bollard::models::{ContainerSummary, Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptions,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use futures::future::join_all;
use ipnet::Ipv4Net;

use super::Engine;
use crate::artifact::cache::remove;
use crate::error::Context as _;
use crate::{Code, Error, Result};

/// The label; its value is the world's id.
pub const OWNER: &str = "dev.vouchsafe.owner";
/// The label that kind itself gives its nodes.
pub const KIND: &str = "io.x-k8s.kind.cluster";

/// A network of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Where its nodes get their addresses.
    pub subnet: Ipv4Net,
    /// The value of [`OWNER`], if it is one of ours.
    pub owner: Option<String>,
}

impl Network {
    /// Where the engine itself is on it: the first address, which it takes when it is not told otherwise.
    pub fn gateway(&self) -> Option<std::net::Ipv4Addr> {
        self.subnet.hosts().next()
    }
}

/// Something in the engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A container, by name.
    Container(String),
    /// A network, by name.
    Network(String),
    /// A volume, by name.
    Volume(String),
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(name) => write!(f, "container {name}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Volume(name) => write!(f, "volume {name}"),
        }
    }
}

impl Engine {
    /// Makes a network whose subnet the engine chooses free of its other networks. It is made again with that subnet by
    /// name: only then may a container ask for an address.
    ///
    /// # Errors
    /// [`Code::ForeignCluster`] when somebody else has one of that name, [`Code::EngineFailed`].
    pub async fn create_network(&self, name: &str, owner: &str) -> Result<Network> {
        if let Some(network) = self.network(name).await? {
            if network.owner.as_deref() == Some(owner) {
                return Ok(network);
            }
            let what = format!("the engine has a network `{name}` that belongs to another world");
            let seen =
                network.owner.map_or("it carries no label of ours".into(), |o| format!("its owner is {o}"));
            return Err(Error::new(Code::ForeignCluster, what)
                .seen(seen)
                .next(format!("docker network inspect {name}")));
        }
        let (first, id) = self.new_network(name, owner, None).await?;
        let chosen = first.subnet;
        let fail = || format!("cannot create the network `{name}` at {chosen}");
        // By its id: an older engine lets two networks have one name.
        self.docker().remove_network(&id).await.or_fail(Code::EngineFailed, fail)?;
        Ok(self.new_network(name, owner, Some(chosen)).await?.0)
    }

    async fn new_network(
        &self,
        name: &str,
        owner: &str,
        subnet: Option<Ipv4Net>,
    ) -> Result<(Network, String)> {
        let ipam = subnet.map(|subnet| Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet.to_string()), ..Default::default() }]),
            ..Default::default()
        });
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(HashMap::from([(OWNER.to_owned(), owner.to_owned())])),
            ipam,
            ..Default::default()
        };
        let fail = || format!("cannot create the network `{name}`");
        let made = self.docker().create_network(request).await.or_fail(Code::EngineFailed, fail)?;
        let listed = self.network(name).await?;
        let network =
            listed.ok_or_else(|| Error::new(Code::EngineFailed, fail()).seen("it is not listed"))?;
        Ok((network, made.id))
    }

    /// The network of exactly that name.
    ///
    /// # Errors
    /// [`Code::EngineFailed`].
    pub async fn network(&self, name: &str) -> Result<Option<Network>> {
        let filters = HashMap::from([("name".to_owned(), vec![name.to_owned()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker().list_networks(Some(options)).await;
        let listed = listed.or_fail(Code::EngineFailed, || "cannot list the engine's networks".to_owned())?;
        // The engine's filter matches parts of names.
        let Some(found) = listed.into_iter().find(|n| n.name.as_deref() == Some(name)) else {
            return Ok(None);
        };
        let configs = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let subnet = configs.iter().find_map(|c| c.subnet.as_ref()?.parse().ok());
        let subnet = subnet.ok_or_else(|| {
            Error::new(Code::EngineFailed, format!("the network `{name}` has no IPv4 subnet"))
        })?;
        let owner = found.labels.and_then(|labels| labels.get(OWNER).cloned());
        Ok(Some(Network { name: name.to_owned(), subnet, owner }))
    }

    /// Names of containers, running or not, that match the engine's `filters`.
    pub(crate) async fn containers(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<String>> {
        Ok(self.listed(filters).await?.into_iter().filter_map(name).collect())
    }

    pub(super) async fn listed(
        &self,
        filters: HashMap<String, Vec<String>>,
    ) -> Result<Vec<ContainerSummary>> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = self.docker().list_containers(Some(options)).await;
        listed.or_fail(Code::EngineFailed, || "cannot list the engine's containers".to_owned())
    }

    /// Removes objects, containers first and side by side.
    pub(crate) async fn remove_all(&self, objects: Vec<Object>) -> Result<()> {
        let (containers, rest): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|o| matches!(o, Object::Container(_)));
        let mut failed: Vec<String> = Vec::new();
        for group in [containers, rest] {
            let removed = join_all(group.iter().map(|object| self.remove(object))).await;
            failed.extend(group.iter().zip(removed).filter_map(|(o, r)| Some(format!("{o}: {}", r.err()?))));
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::LeftBehind, format!("the engine kept\n  {}", failed.join("\n  ")))
            .next("cargo xtask down, once more"))
    }

    /// Everything in a private engine is ours.
    pub(super) async fn remove_everything(&self) -> Result<()> {
        self.remove_all(self.containers(HashMap::new()).await?.into_iter().map(Object::Container).collect())
            .await?;
        let fail = || "cannot list what the engine has".to_owned();
        let volumes =
            self.docker().list_volumes(None::<ListVolumesOptions>).await.or_fail(Code::EngineFailed, fail)?;
        let volumes = volumes.volumes.unwrap_or_default().into_iter().map(|v| Object::Volume(v.name));
        let filters = HashMap::from([("type".to_owned(), vec!["custom".to_owned()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let networks = self.docker().list_networks(Some(options)).await.or_fail(Code::EngineFailed, fail)?;
        let networks = networks.into_iter().filter_map(|n| n.name).map(Object::Network);
        self.remove_all(volumes.chain(networks).collect()).await?;
        self.remove_scratch()
    }

    fn remove_scratch(&self) -> Result<()> {
        let Some(scratch) = self.scratch() else { return Ok(()) };
        remove(&scratch).or_fail(Code::LeftBehind, || format!("cannot remove {}", scratch.display()))
    }

    async fn remove(&self, object: &Object) -> std::result::Result<(), bollard::errors::Error> {
        let docker = self.docker();
        let removed = match object {
            Object::Container(name) => {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                docker.remove_container(name, Some(options)).await
            }
            Object::Network(name) => docker.remove_network(name).await,
            Object::Volume(name) => docker.remove_volume(name, None::<RemoveVolumeOptions>).await,
        };
        match removed {
            // Gone is what was wanted.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            other => other,
        }
    }
}

/// A container's name, or what else there is to call it.
pub(super) fn name(container: ContainerSummary) -> Option<String> {
    let first = container.names.unwrap_or_default().into_iter().next();
    first.map(|name| name.trim_start_matches('/').to_owned()).or(container.id)
}
