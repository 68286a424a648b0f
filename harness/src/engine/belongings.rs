//! What a world has in an engine that was there before, and how it is known: a label on the network holds the world's id,
//! and of the containers on that network those are ours that are the node of a cluster that the ledger names. kind gives
//! no way to label a node's container itself; a name is free to one container at a time.

use std::collections::HashMap;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListNetworksOptionsBuilder;
use proof::topology::ClusterName;

use super::Engine;
use super::objects::{KIND, OWNER, Object, name};
use crate::cluster::nodes;
use crate::error::Context as _;
use crate::{Code, Error, Result};

/// How often what belongs to us is looked for and removed, until nothing is found.
const ROUNDS: usize = 5;

/// What a world has in an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Its own, in the order in which they can be removed.
    pub own: Vec<Object>,
    /// Containers of somebody else on its network.
    pub strange: Vec<String>,
}

impl Engine {
    /// All that `owner` has in this engine: the nodes of `clusters`, or of any kind cluster where those were not written
    /// down.
    ///
    /// # Errors
    /// [`Code::EngineFailed`].
    pub async fn belongings(&self, owner: &str, clusters: Option<&[ClusterName]>) -> Result<Belongings> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{OWNER}={owner}")])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let listed = self.docker().list_networks(Some(options)).await;
        let listed = listed.or_fail(Code::EngineFailed, || "cannot list the engine's networks".to_owned())?;
        let mut found = Belongings::default();
        for network in &listed {
            for (name, of) in self.containers_on(network).await? {
                let ours = match (&of, clusters) {
                    (Some(of), Some(clusters)) => {
                        clusters.iter().any(|cluster| *of == cluster.0 && name == nodes::name(cluster))
                    }
                    (of, _) => of.is_some(),
                };
                if ours {
                    found.own.push(Object::Container(name));
                } else {
                    found.strange.push(name);
                }
            }
        }
        found.own.extend(listed.into_iter().filter_map(|network| network.name).map(Object::Network));
        Ok(found)
    }

    /// Removes all that `owner` has in this engine, and goes on past what cannot be removed. What an engine was still about
    /// to make when its client was killed is waited for.
    ///
    /// # Errors
    /// [`Code::LeftBehind`] naming each, and every container of somebody else that keeps the network.
    pub async fn remove_belongings(&self, owner: &str, clusters: Option<&[ClusterName]>) -> Result<()> {
        let mut removed = Ok(());
        for _ in 0..ROUNDS {
            let Belongings { own, strange } = self.belongings(owner, clusters).await?;
            if own.is_empty() {
                return Ok(());
            }
            if let Some(first) = strange.first() {
                let nodes = own.into_iter().filter(|o| matches!(o, Object::Container(_))).collect();
                let removed = self.remove_all(nodes).await;
                let what = format!(
                    "the network of world {owner} has containers that are not Vouchsafe's ({}): they are left, and so is it",
                    strange.join(", ")
                );
                let error = Error::new(Code::LeftBehind, what).next(format!(
                    "docker network disconnect --force NETWORK {first}, then cargo xtask down"
                ));
                return Err(removed.err().into_iter().fold(error, Error::because));
            }
            removed = self.remove_all(own).await;
        }
        removed
    }

    /// Those of exactly that network, each with the kind cluster that it is a node of. One that was only just created knows
    /// the network's name, and not yet which of that name it is.
    async fn containers_on(
        &self,
        network: &bollard::models::Network,
    ) -> Result<Vec<(String, Option<String>)>> {
        let known_by: Vec<_> = [&network.id, &network.name].into_iter().flatten().cloned().collect();
        let mut found = self.listed(HashMap::from([("network".to_owned(), known_by)])).await?;
        found.retain(|container| {
            let networks = container.network_settings.as_ref().and_then(|s| s.networks.as_ref());
            networks.into_iter().flatten().any(|(name, endpoint)| match &endpoint.network_id {
                Some(id) if !id.is_empty() => Some(id) == network.id.as_ref(),
                _ => Some(name) == network.name.as_ref(),
            })
        });
        let of = |container: &ContainerSummary| container.labels.as_ref()?.get(KIND).cloned();
        Ok(found
            .into_iter()
            .filter_map(|container| {
                let of = of(&container);
                Some((name(container)?, of))
            })
            .collect())
    }
}
