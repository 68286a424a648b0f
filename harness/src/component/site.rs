//! One cluster while its world is being made: what its steps leave for one another.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use proof::topology::Cluster;

use super::making::made;
use crate::{Error, Result};

/// One cluster while it is being made.
pub struct Site {
    /// The cluster as data.
    pub cluster: Cluster,
    /// Its own kubeconfig; never the user's.
    pub kubeconfig: PathBuf,
    client: OnceLock<::kube::Client>,
    address: OnceLock<IpAddr>,
    bundle: OnceLock<String>,
}

impl Site {
    pub(super) fn new(cluster: Cluster, kubeconfig: PathBuf) -> Self {
        let (client, address, bundle) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { cluster, kubeconfig, client, address, bundle }
    }

    /// The node's address, if there is one yet.
    pub(super) fn known_address(&self) -> Option<&IpAddr> {
        self.address.get()
    }

    /// The cluster's API, once it answers.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when a step lacks a need.
    pub fn client(&self) -> Result<&::kube::Client> {
        made(&self.client, "the API client")
    }

    /// The node's address on the engine's network, which is also the gateway's.
    ///
    /// # Errors
    /// As [`Site::client`].
    pub fn address(&self) -> Result<IpAddr> {
        made(&self.address, "the node's address").copied()
    }

    /// The bundle that the SPIRE server publishes, in SPIFFE's JSON.
    ///
    /// # Errors
    /// As [`Site::client`].
    pub fn bundle(&self) -> Result<&str> {
        made(&self.bundle, "the bundle").map(String::as_str)
    }

    pub(super) fn is_up(&self, client: ::kube::Client, address: IpAddr) -> Result<()> {
        let twice = || Error::internal(format!("{} was made twice", self.cluster.name));
        self.client.set(client).map_err(|_| twice())?;
        self.address.set(address).map_err(|_| twice())
    }

    pub(super) fn publishes(&self, bundle: String) -> Result<()> {
        self.bundle.set(bundle).map_err(|_| Error::internal("the bundle was read twice"))
    }
}
