//! istiod, and how it reads the other clusters.

use crate::diagnosis::objects::{Scene, list, number, shown, text};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::{Reader, RemoteSecret, Unread};

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "istiod-down",
        sentence: "no istiod is ready, so proxies get no news and new pods no sidecar",
        next: "kubectl describe {object} in {cluster}",
        source: "facts 4.2",
        explains: &[
            "sidecar-not-injected",
            "pod-refused",
            "container-crashes",
            "remote-secret-unreachable",
            "gateway-without-address",
        ],
        judge: istiod_down,
    },
    Rule {
        name: "remote-secret-missing",
        sentence: "istiod has no remote secret for a cluster of its mesh, so it knows no endpoint there",
        next: "istioctl create-remote-secret for {peer}, applied in {cluster}",
        source: "checklist S4-43",
        explains: &[],
        judge: missing,
    },
    Rule {
        name: "remote-secret-expired",
        sentence: "the other cluster does not take the token of a remote secret (any more), so istiod reads nothing there",
        next: "istioctl create-remote-secret for {peer} anew, applied in {cluster}",
        source: "checklist S4-43; sail#866",
        explains: &[],
        judge: expired,
    },
    Rule {
        name: "remote-secret-without-rights",
        sentence: "the account of a remote secret may not read what istiod needs of the other cluster",
        next: "compare the ClusterRole of the reader in {peer} with istio-reader-clusterrole-istio-system",
        source: "checklist S4-43; istio#58511; facts M4",
        explains: &[],
        judge: without_rights,
    },
    Rule {
        name: "remote-secret-unreachable",
        sentence: "istiod does not reach the other cluster at the URL of its remote secret, though token and rights are good",
        next: "istioctl create-remote-secret --server with an address of {peer} that pods of {cluster} reach",
        source: "checklist S4-43; facts/mesh.md 6",
        explains: &[],
        judge: unreachable,
    },
];

fn istiod_down(scene: &Scene<'_>) -> Judging {
    let runs = |o: &&serde_json::Value| {
        list(o, "/spec/template/spec/containers").iter().any(|c| text(c, "/name") == Some("discovery"))
    };
    let all: Vec<_> = scene.objects("deployments.apps")?.iter().filter(runs).collect();
    let down = all.iter().filter(|o| number(o, "/status/readyReplicas") == 0);
    let down = down.map(|o| {
        Found::at(shown("Deployment", o), format!("0 of {} replicas are ready", number(o, "/spec/replicas")))
    });
    Ok(Judged::of(down.collect(), format!("{} Deployments of istiod, each with a ready pod", all.len())))
}

fn missing(scene: &Scene<'_>) -> Judging {
    let secrets = scene.here.remote_secrets.get()?;
    let mesh_id = |mesh: &serde_json::Value| text(mesh, "/defaultConfig/meshId").map(str::to_owned);
    let mine = mesh_id(scene.here.mesh.get()?);
    let told = scene.told_to_trust()?;
    let (mut found, mut peers) = (Vec::new(), Vec::new());
    for peer in scene.peers() {
        let domain = peer.trust_domain.as_str();
        let trusted = peer.trust_domain == scene.here.trust_domain || told.contains(&domain);
        if mine.is_none() || mesh_id(peer.mesh.get()?) != mine || !trusted {
            continue;
        }
        peers.push(peer.id());
        if !secrets.iter().any(|secret| secret.cluster == peer.id()) {
            let of: Vec<_> = secrets.iter().map(|secret| secret.cluster.as_str()).collect();
            let seen = format!("it has remote secrets of [{}], and none of {}", of.join(", "), peer.id());
            found.push(Found::at("istiod", seen).about(Some(&peer.name)));
        }
    }
    Ok(Judged::of(found, format!("there is a remote secret of [{}]", peers.join(", "))))
}

/// Remote secrets of clusters that were looked at, with what those make of them.
fn of_peers<'a>(scene: &Scene<'a>) -> Result<Vec<(&'a RemoteSecret, &'a Reader, &'a str)>, Unread> {
    let mut all = Vec::new();
    for secret in scene.here.remote_secrets.get()? {
        if let Some(peer) = scene.peers().find(|peer| peer.id() == secret.cluster) {
            all.push((secret, secret.reader.get()?, peer.name.as_str()));
        }
    }
    Ok(all)
}

fn expired(scene: &Scene<'_>) -> Judging {
    let all = of_peers(scene)?;
    let refused = all.iter().filter(|(_, reader, _)| reader.user.is_none());
    let found = refused.map(|(secret, _, peer)| {
        let end = secret.expires.map_or_else(|| "it says no end".to_owned(), |at| format!("it ends at {at}"));
        let seen = format!("{peer} does not take its token ({end})");
        Found::at(format!("Secret {}", secret.object), seen).about(Some(peer))
    });
    Ok(Judged::of(found.collect(), format!("the tokens of {} remote secrets are taken", all.len())))
}

fn without_rights(scene: &Scene<'_>) -> Judging {
    let all = of_peers(scene)?;
    let denied = all.iter().filter(|(_, reader, _)| reader.user.is_some() && !reader.denied.is_empty());
    let found = denied.map(|(secret, reader, peer)| {
        let user = reader.user.as_deref().unwrap_or_default();
        let seen = format!("in {peer} its account {user} may not list {}", reader.denied.join(", "));
        Found::at(format!("Secret {}", secret.object), seen).about(Some(peer))
    });
    Ok(Judged::of(
        found.collect(),
        format!("the readers of {} remote secrets may list what istiod reads", all.len()),
    ))
}

fn unreachable(scene: &Scene<'_>) -> Judging {
    let all = of_peers(scene)?;
    let remotes = scene.here.remotes.get()?;
    let mut found = Vec::new();
    for (secret, reader, peer) in &all {
        let status = remotes.iter().find(|remote| remote.id == secret.cluster);
        let status = status.map_or("not among its clusters", |remote| remote.sync_status.as_str());
        let good = reader.user.is_some() && reader.denied.is_empty();
        if status != "synced" && good {
            let seen = format!(
                "istiod says {} is {status}; the Secret has {}, and the API server of {peer} is at {}",
                secret.cluster,
                secret.server,
                reader.api.join(", ")
            );
            found.push(Found::at(format!("Secret {}", secret.object), seen).about(Some(peer)));
        }
    }
    Ok(Judged::of(found, format!("istiod has read the clusters of {} remote secrets", all.len())))
}
