//! A real registry on this machine: Debian's, taken out of its package and not installed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use harness::cmd::{Child, Cmd};
use harness::layout::Layout;
use harness::patience::Limit;
use harness::progress::Note;
use harness::wait::{self, Look};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A running registry. Dropped, it is killed; its store lives as long as the folder it was given.
pub struct Registry {
    pub address: SocketAddr,
    _child: Child,
}

impl Registry {
    /// Starts one over the store in `dir`, on `address` if it had one before.
    pub async fn start(dir: &Path, address: Option<SocketAddr>, extra: &str) -> Self {
        let program = program().await;
        let address = match address {
            Some(address) => address,
            None => TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(),
        };
        let config = dir.join("config.yml");
        let store = dir.join("store");
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{address}\"}}\n{extra}",
            store.display()
        );
        std::fs::write(&config, text).unwrap();
        let cmd = Cmd::new(program).arg("serve").arg(&config).log_to(dir.join("log"));
        let registry = Self { address, _child: cmd.start().unwrap() };
        let ask = || async {
            match TcpStream::connect(address).await {
                Ok(_) => Look::Ready(()),
                Err(e) => Look::not_yet(e),
            }
        };
        wait::eventually("the registry", Limit::seconds(10), &Note::silent(), ask).await.unwrap();
        registry
    }

    /// Damages a blob in the store.
    pub fn damage(dir: &Path, digest: &str) {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blob = dir.join("store/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data");
        let mut bytes = std::fs::read(&blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(blob, bytes).unwrap();
    }
}

/// Stands before a registry and kills it once that many bytes have come from it.
pub async fn deadly_after(bytes: usize, registry: Registry) -> SocketAddr {
    let (listener, upstream) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), registry.address);
    let address = listener.local_addr().unwrap();
    let victim = Arc::new(Mutex::new((Some(registry), 0)));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(forward(near, upstream, victim.clone(), bytes));
        }
    });
    address
}

async fn forward(
    near: TcpStream,
    upstream: SocketAddr,
    victim: Arc<Mutex<(Option<Registry>, usize)>>,
    limit: usize,
) {
    let Ok(far) = TcpStream::connect(upstream).await else { return };
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
    let mut piece = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from_far.read(&mut piece).await {
        let dead = {
            let mut victim = victim.lock().unwrap();
            victim.1 += read;
            if victim.1 > limit { victim.0.take().is_some() } else { false }
        };
        if dead || to_near.write_all(&piece[..read]).await.is_err() {
            break;
        }
    }
    up.abort();
}

/// The program: on `PATH`, else out of Debian's package, which any apt can download.
async fn program() -> PathBuf {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = ONE.lock().await;
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    if let Some(found) = on_path.map(|dir| dir.join("docker-registry")).find(|file| file.is_file()) {
        return found;
    }
    let cache = Layout::find().unwrap().cache.join("test");
    std::fs::create_dir_all(&cache).unwrap();
    let dir = cache.join("docker-registry");
    let program = dir.join("usr/bin/docker-registry");
    if !program.is_file() {
        // A process per test: each extracts aside, and the last rename that finds the place empty wins.
        let aside = tempfile::tempdir_in(&cache).unwrap();
        Cmd::new("apt-get").args(["download", "docker-registry"]).dir(aside.path()).run().await.unwrap();
        let extract = "dpkg-deb --extract docker-registry_*.deb extracted";
        Cmd::new("sh").args(["-c", extract]).dir(aside.path()).run().await.unwrap();
        let _ = std::fs::rename(aside.path().join("extracted"), &dir);
    }
    program
}
