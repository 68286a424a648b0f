//! The baseline of a scenario: everything that every cluster holds before it, and what its SPIRE server knows.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use harness::kube::inventory::Inventory;
use harness::progress::Note;
use harness::{Result, patience, spire, wait};
use kube::Client;
use proof::identity::entries_of;

use crate::Mesh;

/// One cluster at one moment.
pub struct Baseline {
    objects: Inventory,
    /// Identities, bundles and agents of its SPIRE server.
    known: BTreeMap<String, String>,
}

impl Baseline {
    /// What [`Baseline::left_over`] says of a cluster without any difference.
    pub const SAME: &str = "as before";

    /// Now.
    ///
    /// # Errors
    /// What Kubernetes or SPIRE refuses.
    pub async fn of(client: &Client) -> Result<Self> {
        let (objects, known) = tokio::try_join!(Inventory::of(client), known_to_spire(client))?;
        // SPIRE's own, which it writes anew whenever an authority comes or goes.
        Ok(Self { objects: objects.without("ConfigMap spire/spire-bundle"), known })
    }

    /// Every cluster now.
    pub(crate) async fn of_all(mesh: &Mesh) -> Result<Vec<Self>> {
        try_join_all(mesh.clusters().iter().map(async |one| Self::of(mesh.api(&one.name)?).await)).await
    }

    /// What is different from this moment once the controllers have caught up, in words.
    ///
    /// # Errors
    /// As [`Baseline::of`].
    pub async fn left_over(&self, client: &Client) -> Result<String> {
        let look = || async { Ok(self.until(&Self::of(client).await?)) };
        let missing = |different: &String| (!different.is_empty()).then(|| different.clone());
        let silent = Note::silent();
        let left =
            wait::last_look("the cluster as before", patience::CAUGHT_UP, &silent, look, missing).await?;
        Ok(if left.is_empty() { Self::SAME.to_owned() } else { left })
    }

    fn until(&self, now: &Self) -> String {
        let mut different = self.objects.until(&now.objects);
        let gone = self.known.iter().filter(|(name, value)| now.known.get(*name) != Some(*value));
        let new = now.known.iter().filter(|(name, _)| !self.known.contains_key(*name));
        different.extend(gone.map(|(name, value)| format!("\nmissing in SPIRE {name} {value}")));
        different.extend(new.map(|(name, value)| format!("\nadded to SPIRE {name} {value}")));
        different
    }
}

/// Whom the server would give which identity, and whose bundle it has. Entries of pods that were replaced have other
/// selectors, so an entry is its identity.
async fn known_to_spire(client: &Client) -> Result<BTreeMap<String, String>> {
    let (entries, bundles, agents) = tokio::try_join!(
        spire::entries(client),
        spire::command(client, &["bundle", "list"]),
        spire::command(client, &["agent", "list"]),
    )?;
    let mut known = BTreeMap::new();
    for entry in entries_of(&entries)? {
        let to: Vec<_> = entry.federates_with.iter().map(ToString::to_string).collect();
        known.insert(format!("entry {}", entry.spiffe_id), to.join(" "));
    }
    for line in bundles.lines().filter(|line| line.starts_with("* ")) {
        known.insert(format!("bundle {}", line.trim_start_matches("* ")), String::new());
    }
    for line in agents.lines().filter_map(|line| line.strip_prefix("SPIFFE ID         : ")) {
        known.insert(format!("agent {line}"), String::new());
    }
    Ok(known)
}
