//! The serial script: what it finds at hand, its run, and what it says of its stages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use harness::artifact::cache;
use harness::cluster::kind;
use harness::cmd::Cmd;
use harness::component::{self, Making, Order, by_hand};
use harness::engine::{Engine, Record};
use harness::error::Context as _;
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, Result, patience};

/// A stage's name and its seconds, in their order.
pub type Stages = Vec<(String, f64)>;

/// The rival, and the folder that it works in.
pub struct Rival<'a> {
    layout: &'a Layout,
    order: Order,
    /// Ours alone, and removed at the end.
    dir: PathBuf,
}

impl<'a> Rival<'a> {
    /// Nothing touched yet.
    pub fn new(layout: &'a Layout, order: Order) -> Self {
        Self { layout, order, dir: layout.cache.join("bench") }
    }

    /// Loads the node image into the engine and takes kubectl out of it, so that the script has the very version that
    /// the cluster has, from whichever source. Says which engine it was, and which source.
    ///
    /// # Errors
    /// What obtaining artifacts and starting the engine return.
    pub async fn prepare(&self, note: &Note) -> Result<(Record, &'static str)> {
        self.clear()?;
        std::fs::create_dir_all(&self.dir)
            .or_fail(Code::CacheUnusable, || format!("cannot create {}", self.dir.display()))?;
        let making = self.ground(note).await?;
        let engine = making.engine()?;
        let docker = |args: &[&str]| with_engine(Cmd::new("docker").args(args.iter().copied()), engine);
        // On our network, so that a take-down finds it whatever happens here.
        let node = &making.obtained()?.deliveries[0].artifacts.node.reference;
        let made = docker(&["create", "--network", by_hand::NETWORK, node]).run().await?;
        let container = made.stdout.trim();
        docker(&["cp", &format!("{container}:/usr/bin/kubectl")]).arg(self.kubectl()).run().await?;
        docker(&["rm", container]).run().await?;
        Ok((engine.record().clone(), making.obtained()?.from))
    }

    /// Starts the engine as we do, and runs the script in it to its end: an answer of each other cluster.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] with the script's last words and its log.
    pub async fn make(&self, pair: u16, note: &Note) -> Result<()> {
        let making = self.ground(note).await?;
        let engine = making.engine()?;
        let dir = self.at_hand();
        remove(&dir)?;
        by_hand::lay_out(&making, &dir)?;
        let kubectl = dir.join("bin/kubectl");
        std::os::unix::fs::symlink(self.kubectl(), &kubectl)
            .or_fail(Code::CacheUnusable, || format!("cannot write {}", kubectl.display()))?;

        let (note, began) = (note.of("serial-script"), Instant::now());
        note.started("", "the serial script", None);
        let done = self.script(engine, &dir, pair).run().await;
        match &done {
            Ok(_) => note.finished(began.elapsed()),
            Err(e) => note.failed(e),
        }
        done.map(drop)
    }

    /// How long each stage of the run that has just ended took.
    ///
    /// # Errors
    /// [`Code::Internal`] when the script wrote something else.
    pub fn stages(&self) -> Result<Stages> {
        let path = self.at_hand().join("stages");
        let text = std::fs::read_to_string(&path)
            .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
        stages(&text)
    }

    /// Removes its folder.
    ///
    /// # Errors
    /// [`Code::LeftBehind`].
    pub fn clear(&self) -> Result<()> {
        remove(&self.dir)
    }

    async fn ground(&self, note: &Note) -> Result<Arc<Making>> {
        let making = Arc::new(Making::new(self.order.clone(), self.layout.clone())?);
        component::ground().run(making.clone(), note, &BTreeMap::new(), |_| false, |_| Ok(())).await?;
        Ok(making)
    }

    fn script(&self, engine: &Engine, dir: &Path, pair: u16) -> Cmd {
        let log = self.layout.reports().join(format!("bench/rival-{pair}.log"));
        let path = engine.env().into_iter().find_map(|(key, value)| (key == "PATH").then_some(value));
        let path = path.unwrap_or_else(|| std::env::var("PATH").unwrap_or_default());
        let script = Cmd::new("bash")
            .arg(self.layout.repo.join("xtask/rival/serial.sh"))
            .env("RIVAL", dir)
            // Before the engine's own: what is set first holds.
            .env("PATH", format!("{}:{path}", dir.join("bin").display()))
            .env("KUBECONFIG", "/dev/null")
            .limit(patience::RIVAL)
            .log_to(log);
        kind::surroundings(script, engine, by_hand::NETWORK)
    }

    fn at_hand(&self) -> PathBuf {
        self.dir.join("rival")
    }

    fn kubectl(&self) -> PathBuf {
        self.dir.join("kubectl")
    }
}

fn with_engine(cmd: Cmd, engine: &Engine) -> Cmd {
    engine.env().into_iter().fold(cmd, |cmd, (key, value)| cmd.env(key, value))
}

fn remove(dir: &Path) -> Result<()> {
    cache::remove(dir).or_fail(Code::LeftBehind, || format!("cannot remove {}", dir.display()))
}

/// A line each: `seconds name`.
fn stages(text: &str) -> Result<Stages> {
    let stage = |line: &str| {
        let (seconds, name) = line.split_once(' ')?;
        Some((name.to_owned(), seconds.parse().ok()?))
    };
    let told = text.lines().map(|line| stage(line).ok_or(line)).collect::<std::result::Result<_, _>>();
    told.map_err(|line| Error::internal(format!("the serial script wrote `{line}` for a stage")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_its_seconds_and_its_name() {
        let told = stages("62.1 clusters\n3.0 remote secrets\n").unwrap();
        assert_eq!(told, [("clusters".to_owned(), 62.1), ("remote secrets".to_owned(), 3.0)]);
        assert!(stages("clusters 62\n").unwrap_err().to_string().contains("`clusters 62`"));
    }
}
