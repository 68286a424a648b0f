//! Keeping the state of nodes that kind has just made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, InspectContainerOptions, StopContainerOptionsBuilder,
};
use futures::StreamExt as _;
use futures::future::try_join_all;
use jiff::Timestamp;
use proof::topology::Cluster;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{About, KEPT, NAME, Node, Prepared, SHARED, WRITTEN, Wanted, WantedNode};
use crate::artifact::cache::{Cache, files_below};
use crate::cluster::{kind, nodes};
use crate::engine::Engine;
use crate::error::Context as _;
use crate::progress::Note;
use crate::{Code, Error, Result};

/// Keeps the state of nodes that `fill` makes by kind and fills, and takes the nodes away.
///
/// # Errors
/// What `fill` returns; [`Code::ClusterFailed`], [`Code::EngineFailed`] and [`Code::CacheUnusable`].
pub async fn make(
    wanted: &Wanted<'_>,
    fill: impl AsyncFnOnce() -> Result<()>,
    note: &Note,
) -> Result<Prepared> {
    let _claim = wanted.cache.claim(NAME, note).await?;
    // Another process may have made it meanwhile.
    if let Some(there) = wanted.find()? {
        return Ok(there);
    }
    let began = Instant::now();
    let draft = wanted.cache.begin(NAME, wanted.inputs()?)?;
    fill().await?;
    note.say("keeping what they are now");
    let kept = wanted.nodes.iter().map(|WantedNode { cluster, kubeconfig, .. }| async {
        let dir = draft.dir.join(&cluster.name.0);
        let node = keep(wanted, cluster, kubeconfig, &dir).await?;
        kind::delete(wanted.engine, &cluster.name).await?;
        Ok::<_, Error>((cluster.name.clone(), node))
    });
    let nodes: BTreeMap<_, _> = try_join_all(kept).await?.into_iter().collect();
    share_blobs(wanted.cache, &draft.dir)?;
    let about = About { made: Timestamp::now(), nodes };
    let about = serde_json::to_value(about).or_fail(Code::Internal, || "a node's state".to_owned())?;
    let entry = draft.finish(began.elapsed(), about)?;
    forget_oldest(wanted)?;
    Prepared::of(&entry).ok_or_else(|| Error::internal("prepared nodes are too old when they are made"))
}

/// What the next start needs to be quick, and then the end of who would write to it.
///
/// - No CoreDNS: it would start before kube-proxy has written its rules, and dial the API server's Service for 30 s.
///   The step `pods-allowed` brings it back.
/// - The network, where the image has no plugin that writes its own: kubelet looks whether there is one at its start, and
///   then every five seconds.
/// - kubelet after containerd: it ends when it does not find it, and is started again a second later.
const SETTLE: &str = r#"
kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system scale deployment coredns --replicas 0
if [ -e /vouchsafe/10-kind.conflist ]; then cp /vouchsafe/10-kind.conflist /etc/cni/net.d/; fi
mkdir -p /etc/systemd/system/kubelet.service.d
printf '[Unit]\nAfter=containerd.service\n' > /etc/systemd/system/kubelet.service.d/20-vouchsafe.conf
systemctl stop kubelet
"#;
/// Asks every container to end; the node's own stop waits for those that need longer.
const END_ALL: &str =
    "for task in $(ctr -n k8s.io tasks list -q); do ctr -n k8s.io tasks kill -s SIGTERM $task || true; done";

async fn keep(wanted: &Wanted<'_>, cluster: &Cluster, kubeconfig: &Path, dir: &Path) -> Result<Node> {
    let (engine, name) = (wanted.engine, nodes::name(&cluster.name));
    let fail = || format!("cannot keep the state of the node {name}");
    // In order, so that nothing is half-written: who would start containers again, then all of them.
    for script in [SETTLE, END_ALL] {
        nodes::exec(engine, &name, &["sh", "-ec", script]).await?;
    }
    let address = nodes::address(engine, &name, &wanted.network.name).await?;
    let options = StopContainerOptionsBuilder::default().t(10).build();
    engine.docker().stop_container(&name, Some(options)).await.or_fail(Code::EngineFailed, fail)?;

    std::fs::create_dir_all(dir).or_fail(Code::CacheUnusable, fail)?;
    for (file, folder, _) in WRITTEN {
        download(engine, &name, folder, &dir.join(format!("{file}.tar"))).await?;
    }
    let seen = engine.docker().inspect_container(&name, None::<InspectContainerOptions>).await;
    let seen = serde_json::to_value(seen.or_fail(Code::EngineFailed, fail)?).or_fail(Code::Internal, fail)?;
    let var = volume(&seen).ok_or_else(|| Error::internal(fail()).seen("it has no volume at /var"))?;
    for (part, below) in SHARED {
        rename(&Path::new(var).join(below), &dir.join(part))?;
    }
    rename(Path::new(var), &dir.join("var"))?;
    // The engine looks for the volume's folder when it removes the volume.
    std::fs::create_dir_all(var).or_fail(Code::CacheUnusable, fail)?;
    let text = std::fs::read_to_string(kubeconfig).or_fail(Code::CacheUnusable, fail)?;
    std::fs::write(dir.join("kubeconfig"), &text).or_fail(Code::CacheUnusable, fail)?;
    Ok(Node { address, container: container(&seen)? })
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to)
        .or_fail(Code::CacheUnusable, || format!("cannot move {} to {}", from.display(), to.display()))
}

async fn download(engine: &Engine, node: &str, folder: &str, to: &Path) -> Result<()> {
    let fail = || format!("cannot copy {folder} of the node {node} to {}", to.display());
    let options = DownloadFromContainerOptionsBuilder::default().path(folder).build();
    let mut pieces = Box::pin(engine.docker().download_from_container(node, Some(options)));
    let mut file = tokio::fs::File::create(to).await.or_fail(Code::CacheUnusable, fail)?;
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece.or_fail(Code::EngineFailed, fail)?).await.or_fail(Code::CacheUnusable, fail)?;
    }
    file.flush().await.or_fail(Code::CacheUnusable, fail)
}

/// Where the engine keeps what the container sees as `/var`.
fn volume(seen: &Value) -> Option<&str> {
    let mounts = seen["Mounts"].as_array()?;
    mounts.iter().find(|mount| mount["Destination"] == "/var")?["Source"].as_str()
}

/// The container as kind made it: another one of the same kind needs nothing else.
fn container(seen: &Value) -> Result<ContainerCreateBody> {
    let mut body = seen["Config"].clone();
    body["HostConfig"] = seen["HostConfig"].clone();
    // A copy of the state takes the volume's place.
    body["Volumes"] = json!({});
    serde_json::from_value(body).or_fail(Code::Internal, || "a container as the engine has it".to_owned())
}

/// containerd names blobs by their content: what a kept node has already is a name more for the same file. Half of a
/// node's state is blobs, and those of two nodes of one set of versions are equal.
fn share_blobs(cache: &Cache, draft: &Path) -> Result<()> {
    let fail = || format!("cannot share what the nodes in {} have in common", draft.display());
    let states = cache.entries().into_iter().filter(|entry| entry.stamp.name == NAME).map(|entry| entry.dir);
    let mut known: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for state in states.chain([draft.to_path_buf()]) {
        for node in std::fs::read_dir(&state).or_fail(Code::CacheUnusable, fail)? {
            let blobs = node.or_fail(Code::CacheUnusable, fail)?.path().join("blobs");
            if !blobs.is_dir() {
                continue;
            }
            for name in files_below(&blobs).or_fail(Code::CacheUnusable, fail)? {
                let own = blobs.join(&name);
                let Some(same) = known.get(&name) else {
                    known.insert(name, own);
                    continue;
                };
                if state == draft {
                    std::fs::remove_file(&own)
                        .and_then(|()| std::fs::hard_link(same, &own))
                        .or_fail(Code::CacheUnusable, fail)?;
                }
            }
        }
    }
    Ok(())
}

fn forget_oldest(wanted: &Wanted<'_>) -> Result<()> {
    let mut all: Vec<_> =
        wanted.cache.entries().into_iter().filter(|entry| entry.stamp.name == NAME).collect();
    let made = |entry: &crate::artifact::cache::Cached| entry.stamp.about["made"].as_str().map(str::to_owned);
    all.sort_by_key(made);
    let surplus = all.len().saturating_sub(KEPT);
    all.iter().take(surplus).try_for_each(|entry| wanted.cache.remove(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_blobs_of_nodes_are_one_file() {
        use std::os::unix::fs::MetadataExt as _;

        let dir = tempfile::tempdir().unwrap();
        let blob = |node: &str, name: &str| dir.path().join(node).join("blobs/sha256").join(name);
        for (node, names) in [("a", ["one", "two"]), ("b", ["one", "three"])] {
            std::fs::create_dir_all(blob(node, "")).unwrap();
            names.iter().for_each(|name| std::fs::write(blob(node, name), name).unwrap());
        }
        share_blobs(&Cache::new(dir.path().join("none")), dir.path()).unwrap();
        let links = |node, name| std::fs::metadata(blob(node, name)).unwrap().nlink();
        assert_eq!(
            [links("a", "one"), links("b", "one"), links("a", "two"), links("b", "three")],
            [2, 2, 1, 1]
        );
        assert_eq!(std::fs::read_to_string(blob("b", "three")).unwrap(), "three");
    }

    #[test]
    fn a_container_is_made_again_without_its_volume() {
        let seen = json!({
            "Config": {"Hostname": "n", "Image": "i", "Volumes": {"/var": {}}, "Labels": {"a": "b"}},
            "HostConfig": {"Privileged": true, "Binds": ["/a:/b:ro"]},
            "Mounts": [{"Destination": "/x"}, {"Destination": "/var", "Source": "/data"}],
        });
        let body = container(&seen).unwrap();
        assert_eq!(body.hostname.as_deref(), Some("n"));
        assert_eq!(body.volumes, Some(vec![]));
        assert_eq!(body.host_config.and_then(|host| host.privileged), Some(true));
        assert_eq!(volume(&seen), Some("/data"));
    }
}
