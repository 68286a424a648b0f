//! A cluster's node from inside: its network, its mounts, its services and files. What a scenario changes there is undone
//! by a line for a shell, written down before, as every other change.

use std::path::Path;

use harness::cluster::nodes;
use harness::engine::Engine;
use harness::{Error, Result};
use proof::topology::ClusterName;

use crate::fixture::Fixture;
use crate::undo::Undo;
use crate::{Mesh, Nth};

impl Mesh {
    /// Runs a line for a shell in the node of that cluster; what it said.
    ///
    /// # Errors
    /// With its words when it ends with anything but 0.
    pub(crate) async fn on_node(&self, cluster: &ClusterName, line: &str) -> Result<String> {
        let engine = Engine::attach(&self.world().engine).await?;
        nodes::exec(&engine, &nodes::name(cluster), &["sh", "-c", line]).await
    }
}

impl Fixture<'_> {
    /// Runs a line for a shell in the node, one that changes nothing that has to be undone; what it said.
    pub async fn on_node(&self, cluster: Nth, line: &str) -> Result<String> {
        self.mesh.on_node(&self.cluster(cluster)?.name, line).await
    }

    /// Brings an image that one cluster's node has into another's, and leaves it there: nothing uses it by itself.
    pub async fn bring_image(&self, (from, to): (Nth, Nth), image: &str) -> Result<()> {
        let file = Path::new("/kind/image-on-its-way.tar");
        let at = file.display();
        self.on_node(from, &format!("ctr -n k8s.io images export {at} {image}")).await?;
        let engine = Engine::attach(&self.mesh.world().engine).await?;
        let node = |cluster| Ok::<_, Error>(nodes::name(&self.cluster(cluster)?.name));
        let copied = nodes::copy(&engine, &node(from)?, &node(to)?, file).await;
        self.on_node(from, &format!("rm -f {at}")).await?;
        copied?;
        self.on_node(to, &format!("ctr -n k8s.io images import {at}; status=$?; rm -f {at}; exit $status"))
            .await
            .map(drop)
    }

    /// Changes something in the node by `line`. At the end `back` undoes it, which has to be true to run twice, and to end
    /// with another status than 0 where it did not undo it.
    pub async fn change_node(&mut self, cluster: Nth, line: &str, back: &str) -> Result<()> {
        self.will_undo(cluster, Undo::OnNode(back.to_owned()))?;
        self.on_node(cluster, line).await.map(drop)
    }
}
