//! The container engine: the Docker engine that is there, or a private one that touches nothing of the system.
//!
//! Nothing after this module knows which one it is: clusters ask for [`Engine::docker`], programs get
//! [`Engine::env`], and published ports are reached at [`Engine::address`].

pub mod belongings;
pub(crate) mod block;
mod cgroups;
pub mod images;
pub mod kernel;
mod link;
mod marks;
pub mod objects;
pub mod private;
pub mod processes;
pub mod routes;
pub mod sweep;
pub(crate) mod system;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use bollard::Docker;
use serde::{Deserialize, Serialize};

use crate::error::Context as _;
use crate::patience::Limit;
use crate::progress::Note;
use crate::{Code, Error, Result, patience, wait};

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The engine that answers, else a private one.
    #[default]
    Auto,
    /// Only an engine that is there already.
    System,
    /// Only a private one.
    Private,
}

/// An engine that answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    record: Record,
}

/// What another process needs to attach to the same engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "kebab-case")]
pub enum Record {
    /// One that was there before us.
    System {
        /// As in `DOCKER_HOST`.
        host: String,
    },
    /// One of ours.
    Private {
        /// Its state folder.
        state: PathBuf,
        /// Where its programs lie, the docker CLI among them.
        programs: PathBuf,
        /// Where its published ports are reached from here.
        address: Ipv4Addr,
    },
}

impl Engine {
    /// The engine to use, or `None` when a private one is to be started with [`private::start`].
    ///
    /// # Errors
    /// [`Code::EngineUnreachable`] with the cure: before any side effect.
    pub async fn find(choice: Choice) -> Result<Option<Self>> {
        match choice {
            Choice::Private => private::possible_here().map(|()| None),
            Choice::System => system::reach().await.map(Some),
            Choice::Auto => match system::reach().await {
                Ok(engine) => Ok(Some(engine)),
                // Asked for by name and silent: to use another in its place would hide a mistake.
                Err(e) if system::named_by_user() => Err(e),
                Err(e) => match private::possible_here() {
                    Ok(()) => Ok(None),
                    Err(why) => {
                        Err(e.seen(format!("a private engine cannot be started either: {}", why.what())))
                    }
                },
            },
        }
    }

    /// The engine that another process found or started.
    ///
    /// # Errors
    /// [`Code::EngineFailed`] when it is gone.
    pub async fn attach(record: &Record) -> Result<Self> {
        let host = record.host();
        let docker = answering(&host, patience::ATTEMPT).await.map_err(|e| {
            Error::new(Code::EngineFailed, format!("the engine of this world at {host} does not answer"))
                .because(e)
                .next("cargo xtask down, then up again")
        })?;
        Ok(Self { docker, record: record.clone() })
    }

    /// What [`Engine::attach`] needs.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The Docker API.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The variables that make `docker` and `kind` use this engine.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![("DOCKER_HOST".to_owned(), self.record.host())];
        if let Record::Private { programs, .. } = &self.record {
            env.extend(private::search_paths(programs));
        }
        env
    }

    /// Where ports that a container publishes are reached from this machine.
    pub fn address(&self) -> IpAddr {
        match &self.record {
            Record::Private { address, .. } => IpAddr::V4(*address),
            Record::System { host } => system::published_at(host),
        }
    }

    /// A folder for files that containers of this engine share with this machine; it goes with the containers. Only a
    /// private engine is known to see the folders that we see.
    pub fn scratch(&self) -> Option<PathBuf> {
        match &self.record {
            Record::Private { state, .. } => Some(marks::data(state).join("vouchsafe")),
            Record::System { .. } => None,
        }
    }

    /// Stops a private engine and takes everything it left; a system engine is not ours to stop.
    ///
    /// # Errors
    /// [`Code::LeftBehind`] naming each thing that could not be removed.
    pub async fn stop(self, note: &Note) -> Result<()> {
        match &self.record {
            Record::System { .. } => Ok(()),
            Record::Private { state, .. } => private::stop(&self, state, note).await,
        }
    }
}

impl Record {
    /// As in `DOCKER_HOST`.
    pub fn host(&self) -> String {
        match self {
            Self::System { host } => host.clone(),
            Self::Private { state, .. } => private::host(state),
        }
    }
}

/// A client of the engine at `host`, once it has answered with a version that we speak. Where nobody listens
/// that is known at once; the limit is for one that is there and silent, or on a busy machine only slow.
async fn answering(host: &str, limit: Limit) -> Result<Docker> {
    let fail = || format!("no engine answers at {host}");
    let docker = Docker::connect_with_host(host).or_fail(Code::EngineUnreachable, fail)?;
    let docker = docker.with_request_modifier(|request| {
        tracing::debug!(
            "{} {}",
            request.method(),
            request.uri().path_and_query().map_or("", |path| path.as_str())
        );
        request
    });
    let version = async { docker.negotiate_version().await.or_fail(Code::EngineUnreachable, fail) };
    Ok(wait::within(&format!("an answer of the engine at {host}"), limit, version)
        .await?
        .with_timeout(patience::DOWNLOAD.stretched()))
}
