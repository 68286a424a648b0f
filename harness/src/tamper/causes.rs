//! Making a cause true for real in a world that is up, and putting it back: so that a diagnosis can be seen to name it.

use kube::Client;

use super::change::{Change, Place, Undo};
use super::client;
use super::faults::FAULTS;
use crate::cluster::nodes;
use crate::engine::Engine;
use crate::progress::Note;
use crate::world::World;
use crate::{Code, Error, Result};
use proof::topology::Cluster;

/// Every cause that can be provoked.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(name, _)| *name)
}

/// A fault that was made, and how to put everything back.
pub struct Provoked {
    near: Client,
    far: Client,
    domains: (String, String),
    engine: Engine,
    node: String,
    undo: Vec<Undo>,
}

/// Makes a cause true in the first cluster of a world.
///
/// # Errors
/// [`Code::Usage`] for a name that is none, or a world of one cluster; what Kubernetes or SPIRE refuses.
pub async fn provoke(world: &World, name: &str, note: &Note) -> Result<Provoked> {
    let fault = FAULTS.iter().find(|(known, _)| *known == name);
    let (_, fault) = fault.ok_or_else(|| Error::new(Code::Usage, format!("no fault is called `{name}`")))?;
    let [near, far, ..] = world.topology.clusters.as_slice() else {
        return Err(Error::new(Code::Usage, "tampering needs a world of two clusters"));
    };
    Provoked::by(world, (near, far), fault(far), note).await
}

impl Provoked {
    /// Makes these changes in the first of these two clusters.
    ///
    /// # Errors
    /// What Kubernetes or SPIRE refuses; what was changed before is put back.
    pub(super) async fn by(
        world: &World,
        (near, far): (&Cluster, &Cluster),
        changes: Vec<Change>,
        note: &Note,
    ) -> Result<Self> {
        let mut provoked = Self {
            near: client(world, &near.name).await?,
            far: client(world, &far.name).await?,
            domains: (near.trust_domain.clone(), far.trust_domain.clone()),
            engine: Engine::attach(&world.engine).await?,
            node: nodes::name(&near.name),
            undo: Vec::new(),
        };
        for change in changes {
            // Boxed: without optimisation the frames of a change fill a thread's stack.
            match Box::pin(change.make(&provoked.place(), note)).await {
                Ok(undo) => provoked.undo.push(undo),
                Err(e) => {
                    provoked.put_back(note).await?;
                    return Err(e);
                }
            }
        }
        Ok(provoked)
    }

    /// Puts everything back in the order in which it was changed, for a workload that was restarted after its configuration
    /// was changed must be so again; and waits for the workloads.
    ///
    /// # Errors
    /// What Kubernetes or SPIRE refuses.
    pub async fn put_back(mut self, note: &Note) -> Result<()> {
        for undo in std::mem::take(&mut self.undo) {
            Box::pin(undo.make(&self.place(), note)).await?;
        }
        Ok(())
    }

    fn place(&self) -> Place<'_> {
        let (own, peer) = &self.domains;
        Place { near: &self.near, far: &self.far, domains: (own, peer), node: (&self.engine, &self.node) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_called_as_the_cause_that_it_makes_true() {
        let causes: Vec<_> = proof::diagnosis::causes().map(|rule| rule.name).collect();
        let unknown: Vec<_> = names().filter(|name| !causes.contains(name)).collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}
