//! Flags that several commands share, and what they mean in the harness' terms.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use harness::artifact::{registry, source};
use harness::component::{self, Order};
use harness::layout::Layout;
use harness::lock::{Lock, With};
use harness::setup::{self, Setup};
use harness::{Code, Error, Result, engine};

use crate::due::Due;
use crate::show::say;

/// Which world.
#[derive(Clone, Debug, clap::Args)]
pub struct Setups {
    /// The set-up, by name: a file below `manifests/setups/`. Several with commas between, or `all`; `list` tells
    /// them and their source documents. Or one of your own: a file, or a folder with a `setup.yaml`.
    #[arg(
        long,
        env = "VOUCHSAFE_SETUP",
        default_value = "federated",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub setup: Vec<String>,
    /// A file with other clusters than the set-up's own.
    #[arg(long, env = "VOUCHSAFE_TOPOLOGY", value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Leave upstream's probe and sync intervals, instead of those tuned for tests.
    #[arg(long, env = "VOUCHSAFE_DEFAULTS")]
    pub defaults: bool,
    #[command(flatten)]
    pub versions: Versions,
}

/// Which versions, where not the lock's first.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Versions {
    /// Another version of a component, such as `spire=1.13`, or of one cluster's, `cluster2:spire=1.13`; several times,
    /// or commas between. An unknown one is answered with all that there are.
    #[arg(long, env = "VOUCHSAFE_WITH", value_delimiter = ',', value_name = "[CLUSTER:]COMPONENT=VERSION")]
    pub with: Vec<With>,
}

/// Where it runs and where things come from.
#[derive(Clone, Debug, clap::Args)]
pub struct Means {
    /// The container engine.
    #[arg(long, env = "VOUCHSAFE_ENGINE", value_enum, default_value_t = Engine::Auto)]
    pub engine: Engine,
    /// Let kind make the nodes from the start, instead of starting prepared ones.
    #[arg(long, env = "VOUCHSAFE_FRESH_NODES")]
    pub fresh_nodes: bool,
    /// Leave the node image in a Docker engine that was there before, for the next run.
    #[arg(long, env = "VOUCHSAFE_KEEP_IMAGE")]
    pub keep_image: bool,
    #[command(flatten)]
    pub sources: Sources,
}

/// Where images, tools and upstream manifests come from.
#[derive(Clone, Debug, clap::Args)]
pub struct Sources {
    /// Where images, tools and upstream manifests come from.
    #[arg(long, env = "VOUCHSAFE_SOURCE", value_enum, default_value_t = Source::Auto)]
    pub source: Source,
    /// The file of `--source archive`.
    #[arg(long, env = "VOUCHSAFE_ARCHIVE", value_name = "FILE")]
    pub archive: Option<PathBuf>,
    #[command(flatten)]
    pub mirrors: Mirrors,
}

/// What stands before the registries and download servers.
#[derive(Clone, Debug, clap::Args)]
pub struct Mirrors {
    /// A pull-through cache: `ghcr.io/a/b:1` is pulled as `HOST/ghcr.io/a/b:1`, Docker Hub's as `HOST/docker.io/…`.
    #[arg(long, env = "VOUCHSAFE_MIRROR", value_name = "HOST[:PORT][/PATH]")]
    pub mirror: Option<registry::Mirror>,
    /// A copy of the downloads: `https://host/path` is fetched as `BASE/host/path`.
    #[arg(long, env = "VOUCHSAFE_DOWNLOADS", value_name = "BASE")]
    pub downloads: Option<String>,
}

/// `--engine`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Engine {
    /// The Docker engine that answers, else a private one.
    Auto,
    /// Only a Docker engine that is there already.
    System,
    /// Only a private one, in the cache folder; needs root on a Debian-like Linux.
    Private,
}

/// `--source`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Source {
    /// What the cache holds, else the registry if it answers, else packages.
    Auto,
    /// Pulled from container registries.
    Registry,
    /// Built from package registries.
    Packages,
    /// From one file made by `images export`.
    Archive,
}

/// `--keep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Take the world down, whatever happened.
    Never,
    /// Leave it up when something failed.
    OnFailure,
    /// Leave it up.
    Always,
}

impl Keep {
    /// Whether what was made stays. Who interrupts a run wants it gone, unless told otherwise.
    pub fn keeps<T>(self, made: &Result<T>) -> bool {
        match self {
            Self::Never => false,
            Self::OnFailure => made.as_ref().is_err_and(|e| e.code() != Code::Interrupted),
            Self::Always => true,
        }
    }
}

impl Setups {
    /// Tells all set-ups, if that was asked for.
    ///
    /// # Errors
    /// An incomplete checkout.
    pub fn listed(&self, layout: &Layout) -> Result<bool> {
        let asked = self.setup.iter().any(|name| name == "list");
        if asked {
            for (name, file) in setup::list(&layout.manifests())? {
                say!("{name}\n    {}", file.about);
                if let Some(document) = file.document {
                    say!("    from {document}");
                }
            }
        }
        Ok(asked)
    }

    /// Reads the set-ups, one for each world that they need.
    ///
    /// # Errors
    /// Unknown names, malformed files: before any side effect.
    pub fn setups(&self, layout: &Layout) -> Result<Vec<Setup>> {
        read(layout, &self.setup, self.topology.as_deref(), self.defaults, &self.versions)
    }

    /// Reads the set-ups, which must share one world.
    ///
    /// # Errors
    /// As [`Setups::setups`], and [`Code::Usage`] when they need several worlds.
    pub fn setup(&self, layout: &Layout) -> Result<Setup> {
        let mut setups = self.setups(layout)?;
        match (setups.pop(), setups.is_empty()) {
            (Some(setup), true) => Ok(setup),
            _ => Err(Error::new(Code::Usage, "these set-ups need several worlds, and one is up at a time")
                .next("name set-ups of one world, or run them all by cargo xtask e2e; nothing was touched")),
        }
    }
}

/// Reads set-ups, and refuses what their plans and the claims that are due do not bear out.
///
/// # Errors
/// As [`Setups::setups`].
pub fn read(
    layout: &Layout,
    names: &[String],
    topology: Option<&Path>,
    defaults: bool,
    versions: &Versions,
) -> Result<Vec<Setup>> {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut setups = Setup::read(&layout.manifests(), &names, topology, defaults)?;
    for setup in &mut setups {
        setup.choose(&Lock::read(&layout.manifests())?, &versions.with)?;
    }
    for setup in &setups {
        component::plan(setup)?.graph()?;
        Due::of_setup(setup)?;
    }
    Ok(setups)
}

impl Means {
    /// What the harness is asked for.
    ///
    /// # Errors
    /// [`Code::Usage`] for flags that contradict one another.
    pub fn order(&self, setup: Setup) -> Result<Order> {
        let (source, mirrors) = self.sources.read()?;
        let engine = match self.engine {
            Engine::Auto => engine::Choice::Auto,
            Engine::System => engine::Choice::System,
            Engine::Private => engine::Choice::Private,
        };
        let Self { fresh_nodes, keep_image, .. } = *self;
        Ok(Order { setup, engine, source, mirrors, fresh_nodes, keep_image })
    }
}

impl Sources {
    /// What the harness is asked for.
    ///
    /// # Errors
    /// [`Code::Usage`] for flags that contradict one another.
    pub fn read(&self) -> Result<(source::Choice, registry::Mirrors)> {
        let source = match (self.source, &self.archive) {
            (Source::Archive, Some(file)) if file.is_file() => source::Choice::Archive(file.clone()),
            (Source::Archive, Some(file)) => {
                return Err(usage(format!("there is no archive {}", file.display())));
            }
            (Source::Archive, None) => return Err(usage("--source archive needs --archive FILE")),
            (_, Some(_)) => return Err(usage("--archive goes with --source archive only")),
            (Source::Auto, None) => source::Choice::Auto,
            (Source::Registry, None) => source::Choice::Registry,
            (Source::Packages, None) => source::Choice::Packages,
        };
        let elsewhere = matches!(source, source::Choice::Packages | source::Choice::Archive(_));
        match (&self.mirrors.mirror, &self.mirrors.downloads) {
            (Some(_), _) if elsewhere => return Err(usage("--mirror goes with the registry source only")),
            (_, Some(_)) if elsewhere => return Err(usage("--downloads goes with the registry source only")),
            _ => {}
        }
        Ok((source, self.mirrors.read()?))
    }
}

impl Mirrors {
    /// What the harness is asked for.
    ///
    /// # Errors
    /// [`Code::Usage`] for a base that is no address.
    pub fn read(&self) -> Result<registry::Mirrors> {
        match &self.downloads {
            Some(base) if !base.starts_with("http://") && !base.starts_with("https://") => {
                Err(usage(format!("--downloads `{base}` is no http address")))
            }
            downloads => Ok(registry::Mirrors { images: self.mirror.clone(), downloads: downloads.clone() }),
        }
    }
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(Code::Usage, what).next("see cargo xtask e2e --help; nothing was touched")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_interrupts_a_run_gets_rid_of_it_unless_it_was_to_stay_anyway() {
        let ended = |code| Err::<(), _>(Error::new(code, "the end"));
        assert!(Keep::OnFailure.keeps(&ended(Code::ClaimBroken)) && !Keep::OnFailure.keeps(&Ok(())));
        assert!(!Keep::OnFailure.keeps(&ended(Code::Interrupted)));
        assert!(Keep::Always.keeps(&ended(Code::Interrupted)));
        assert!(!Keep::Never.keeps(&ended(Code::ClaimBroken)));
    }
}
