//! A world while it is being made: what each step leaves for the steps that need it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Site;
use crate::artifact::Artifacts;
use crate::artifact::cache::Inputs;
use crate::artifact::registry::{Delivery, Mirrors};
use crate::artifact::source::{self, Obtained};
use crate::begun::Begun;
use crate::cluster::prepared::Prepared;
use crate::engine::objects::Network;
use crate::engine::{self, Engine};
use crate::kube;
use crate::layout::Layout;
use crate::ledger::Ledger;
use crate::lock::Lock;
use crate::progress::Note;
use crate::render::Values;
use crate::setup::Setup;
use crate::world_id::WorldId;
use crate::{Error, Result, world};
use proof::topology::ClusterName;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The world.
    pub setup: Setup,
    /// Which container engine.
    pub engine: engine::Choice,
    /// Where images, tools and manifests come from.
    pub source: source::Choice,
    /// Where the registry source asks instead.
    pub mirrors: Mirrors,
    /// Whether kind makes the nodes in this run, instead of starting prepared ones.
    pub fresh_nodes: bool,
    /// Whether the node image stays in an engine that was there before, for the next run.
    pub keep_image: bool,
}

impl Order {
    /// What a world of this order is made from: what was asked for, and every manifest. Artifacts follow from these.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when the checkout cannot be read.
    pub fn inputs(&self, layout: &Layout) -> Result<Inputs> {
        let Self { setup, engine, source, mirrors, fresh_nodes, keep_image: _ } = self;
        let text = |what: &dyn std::fmt::Debug| format!("{what:?}");
        // Set-ups and worlds are in what was asked for; recipes of packages are the artifacts' own inputs.
        let aside = |file: &Path| ["packages", "setups", "worlds"].iter().any(|dir| file.starts_with(dir));
        let files = Inputs::default().with_folder(&layout.manifests(), aside)?;
        Ok(Inputs::default()
            .with_all(MANIFESTS, files)
            .with("the clusters", text(&setup.topology))
            .with("the versions (--with)", text(&setup.versions))
            .with("the values of manifests", text(&setup.values))
            .with("further images", text(&setup.images))
            .with("further documents for istioctl", text(&setup.istio))
            .with("patches, overlays and objects of the set-up", setup.otherwise.made_from())
            .with("--engine", text(engine))
            .with("the source", text(&(source, mirrors)))
            .with("--fresh-nodes", text(fresh_nodes)))
    }
}

/// The folder of the manifests, in the checkout.
const MANIFESTS: &str = "manifests";

/// The context of every step.
pub struct Making {
    /// What was asked for.
    pub order: Order,
    /// Where things lie.
    pub layout: Layout,
    /// Each choice of versions once.
    locks: Vec<Lock>,
    /// What has been made.
    pub ledger: Ledger,
    engine: OnceLock<Engine>,
    obtained: OnceLock<Obtained>,
    network: OnceLock<Network>,
    prepared: OnceLock<Option<Prepared>>,
    sites: BTreeMap<ClusterName, Arc<Site>>,
    /// Which of the locks is a cluster's.
    choices: BTreeMap<ClusterName, usize>,
    /// What an earlier run had made of it.
    begun: Begun,
    read: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Making {
    /// Nothing made yet.
    ///
    /// # Errors
    /// A malformed lock file.
    pub fn new(order: Order, layout: Layout) -> Result<Self> {
        Self::resumed(order, layout, Begun::nothing()?)
    }

    /// What an earlier run began, to be gone on with.
    ///
    /// # Errors
    /// As [`Making::new`].
    pub fn resumed(order: Order, layout: Layout, begun: Begun) -> Result<Self> {
        let lock = Lock::read(&layout.manifests())?.with_extras(&order.setup.images)?;
        let (mut locks, mut choices) = (Vec::new(), BTreeMap::new());
        for (cluster, versions) in &order.setup.versions {
            let chosen = lock.with(versions)?;
            let known = locks.iter().position(|other| *other == chosen);
            choices.insert(cluster.clone(), known.unwrap_or(locks.len()));
            locks.extend(known.is_none().then_some(chosen));
        }
        let sites = order.setup.topology.clusters.iter().map(|cluster| {
            let kubeconfig = world::kubeconfig(&layout, &cluster.name);
            (cluster.name.clone(), Arc::new(Site::new(cluster.clone(), kubeconfig)))
        });
        let sites = sites.collect();
        let ledger = Ledger::begin(&layout.world(), &begun.world);
        Ok(Self {
            order,
            ledger,
            layout,
            locks,
            engine: OnceLock::new(),
            obtained: OnceLock::new(),
            network: OnceLock::new(),
            prepared: OnceLock::new(),
            sites,
            choices,
            begun,
            read: Mutex::default(),
        })
    }

    /// The cluster's site.
    ///
    /// # Errors
    /// [`crate::Code::Internal`].
    pub fn site(&self, name: &ClusterName) -> Result<Arc<Site>> {
        self.sites.get(name).cloned().ok_or_else(|| Error::internal(format!("no site is called {name}")))
    }

    /// The id that all of it carries.
    pub fn world(&self) -> &WorldId {
        self.ledger.world()
    }

    /// What an earlier run had made of it.
    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    /// A step reads that manifest.
    pub(super) fn reads(&self, step: &Note, manifest: &str) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.entry(step.id().to_owned()).or_default().insert(format!("{MANIFESTS}/{manifest}"));
    }

    /// The manifests that a step has read, in this run or an earlier one.
    pub fn read_by(&self, step: &str) -> BTreeSet<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.begun.done.get(step).into_iter().flatten();
        read.get(step).into_iter().flatten().chain(before).cloned().collect()
    }

    /// Of all inputs, those that none of these steps has read make no difference to what they made.
    pub fn without_unread<'a>(&self, inputs: Inputs, steps: impl Iterator<Item = &'a str>) -> Inputs {
        let read: BTreeSet<_> = steps.flat_map(|step| self.read_by(step)).collect();
        inputs.without(|label| label.starts_with(MANIFESTS) && !read.contains(label))
    }

    /// Whether there is more than one cluster.
    pub fn has_peers(&self) -> bool {
        self.sites.len() > 1
    }

    /// All sites, by name.
    pub fn sites(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.values()
    }

    /// The engine, once it runs.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when a step lacks a need.
    pub fn engine(&self) -> Result<&Engine> {
        made(&self.engine, "the engine")
    }

    /// The lock of each choice of versions, once.
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// The lock of that cluster's versions.
    ///
    /// # Errors
    /// [`crate::Code::Internal`].
    pub fn lock(&self, cluster: &ClusterName) -> Result<&Lock> {
        Ok(&self.locks[self.choice(cluster)?])
    }

    /// Everything from outside for that cluster, once it is at hand.
    ///
    /// # Errors
    /// As [`Making::engine`].
    pub fn artifacts(&self, cluster: &ClusterName) -> Result<&Artifacts> {
        self.delivery(cluster).map(|delivery| &delivery.artifacts)
    }

    /// The same, with what exactly it is.
    ///
    /// # Errors
    /// As [`Making::engine`].
    pub fn delivery(&self, cluster: &ClusterName) -> Result<&Delivery> {
        Ok(&self.obtained()?.deliveries[self.choice(cluster)?])
    }

    fn choice(&self, cluster: &ClusterName) -> Result<usize> {
        let none = || Error::internal(format!("no versions are known of {cluster}"));
        self.choices.get(cluster).copied().ok_or_else(none)
    }

    /// The artifacts of all clusters, and where they came from.
    ///
    /// # Errors
    /// As [`Making::engine`].
    pub fn obtained(&self) -> Result<&Obtained> {
        made(&self.obtained, "the artifacts")
    }

    /// The clusters' network, once it is made.
    ///
    /// # Errors
    /// As [`Making::engine`].
    pub fn network(&self) -> Result<&Network> {
        made(&self.network, "the network")
    }

    /// The prepared nodes, or nothing where kind makes them in this run.
    ///
    /// # Errors
    /// As [`Making::engine`].
    pub fn prepared(&self) -> Result<Option<&Prepared>> {
        made(&self.prepared, "the nodes' state").map(Option::as_ref)
    }

    pub(super) fn set_network(&self, network: Network) -> Result<()> {
        self.network.set(network).map_err(|_| Error::internal("the network was made twice"))
    }

    pub(super) fn set_prepared(&self, prepared: Option<Prepared>) -> Result<()> {
        self.prepared.set(prepared).map_err(|_| Error::internal("the nodes were prepared twice"))
    }

    pub(super) fn set_engine(&self, engine: Engine) -> Result<()> {
        self.engine.set(engine).map_err(|_| Error::internal("the engine was started twice"))
    }

    pub(super) fn set_obtained(&self, obtained: Obtained) -> Result<()> {
        self.obtained.set(obtained).map_err(|_| Error::internal("the artifacts were obtained twice"))
    }

    /// The values that manifests of this cluster may name.
    ///
    /// # Errors
    /// When the artifacts are not at hand.
    pub fn values(&self, site: &Site) -> Result<Values> {
        let mut values = self.order.setup.values_of(&site.cluster);
        let mut set = |key: &str, value: String| values.insert(key.to_owned(), value);
        if let Some(address) = site.known_address() {
            set("NODE_ADDRESS", address.to_string());
        }
        for (role, pin) in &self.lock(&site.cluster.name)?.images {
            set(&format!("IMAGE_{}", role.to_uppercase().replace('-', "_")), pin.reference.clone());
        }
        Ok(values)
    }

    /// Fills and applies one of our manifests.
    ///
    /// # Errors
    /// The API server's refusal, naming the object.
    pub async fn apply(
        &self,
        site: &Site,
        manifest: &str,
        extra: &[(&str, String)],
        note: &Note,
    ) -> Result<()> {
        let mut values = self.values(site)?;
        values.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        self.reads(note, manifest);
        let otherwise = &self.order.setup.otherwise;
        let objects = otherwise.manifest(&self.layout.manifests(), manifest, &site.cluster.name, &values)?;
        kube::apply::apply(site.client()?, &objects, note).await
    }
}

pub(super) fn made<'a, T>(cell: &'a OnceLock<T>, what: &str) -> Result<&'a T> {
    cell.get().ok_or_else(|| {
        Error::internal(format!("a step uses {what} before it is there: a need is missing in the plan"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_of_other_versions_is_made_from_something_else() {
        let layout = Layout { cache: "/nowhere".into(), repo: "..".into() };
        let inputs = |asked: &[&str]| {
            let mut setup = Setup::read(&layout.manifests(), &["federated"], None, false).unwrap().remove(0);
            let asked: Vec<_> = asked.iter().map(|text| text.parse().unwrap()).collect();
            setup.choose(&Lock::read(&layout.manifests()).unwrap(), &asked).unwrap();
            let (engine, source) = (engine::Choice::Auto, source::Choice::Auto);
            let mirrors = Mirrors::default();
            Order { setup, engine, source, mirrors, fresh_nodes: false, keep_image: false }
                .inputs(&layout)
                .unwrap()
        };
        let other = inputs(&["cluster2:spire=1.13"]);
        assert_eq!(inputs(&[]).different(&other), ["the versions (--with)"]);
        assert_eq!(inputs(&["spire=1.15"]), inputs(&[]));
    }
}
