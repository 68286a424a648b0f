//! Registration: who gets an identity, and whose bundles come with it.

use serde_json::Value;

use crate::diagnosis::objects::{
    Scene, label, name, namespace, number, proxy, selects, shown, socket_volume, text, texts,
};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;

const IDENTITIES: &str = "clusterspiffeids.spire.spiffe.io";
const STATS: &str = "/status/stats";

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "identity-template-fails",
        sentence: "a ClusterSPIFFEID's template cannot be rendered for a pod, so that pod gets no entry",
        next: "kubectl describe {object} in {cluster}, and correct spiffeIDTemplate or dnsNameTemplates",
        source: "case 22; spire-controller-manager#121",
        explains: &["entry-missing", "proxy-without-certificate"],
        judge: template_fails,
    },
    Rule {
        name: "federates-with-unknown-domain",
        sentence: "a ClusterSPIFFEID federates with a trust domain that the SPIRE server was never told of, so its entries are refused",
        next: "a ClusterFederatedTrustDomain for it in {cluster}, or correct federatesWith of {object}",
        source: "facts/mesh.md 7",
        explains: &[
            "entry-refused",
            "entry-missing",
            "entry-without-federation",
            "proxy-without-certificate",
        ],
        judge: unknown_domain,
    },
    Rule {
        name: "entry-refused",
        sentence: "the SPIRE server refuses the entries of a ClusterSPIFFEID, so its pods get no SVID",
        next: "kubectl logs -n spire spire-server-0 -c spire-controller-manager in {cluster}: it has the server's words",
        source: "case 22; spire#3976",
        explains: &["entry-missing", "entry-without-federation", "proxy-without-certificate"],
        judge: entry_refused,
    },
    Rule {
        name: "pod-not-selected",
        sentence: "a pod mounts SPIRE's socket, and no ClusterSPIFFEID selects it, so it gets no SVID",
        next: "kubectl get clusterspiffeids in {cluster}: compare their selectors with {object}",
        source: "checklist S4-13, S4-17",
        explains: &["entry-missing", "proxy-without-certificate"],
        judge: not_selected,
    },
    Rule {
        name: "entry-missing",
        sentence: "a pod mounts SPIRE's socket, and no registration entry is for it, so it gets no SVID",
        next: "spire-server entry show in {cluster}, beside the labels, namespace and UID of {object}",
        source: "checklist S4-24",
        explains: &["proxy-without-certificate"],
        judge: entry_missing,
    },
    Rule {
        name: "entry-doubled",
        sentence: "several registration entries are for one pod, and which SVID it gets is nobody's choice",
        next: "spire-server entry show in {cluster}; delete the entry that nobody wants",
        source: "spire-controller-manager#49",
        explains: &["entry-without-federation"],
        judge: entry_doubled,
    },
    Rule {
        name: "entry-without-federation",
        sentence: "a workload's entry does not federate with a peer whose clusters it meets, so it refuses them",
        next: "kubectl get clusterspiffeids in {cluster}: federatesWith must name the trust domain of {peer}",
        source: "checklist S4-45; helm-charts-hardened#335",
        explains: &["trust-of-proxy-incomplete"],
        judge: without_federation,
    },
];

fn stat(scene: &Scene<'_>, field: &str, what: &str) -> Judging {
    let all = scene.objects(IDENTITIES)?;
    let failed = all.iter().filter(|o| number(o, &format!("{STATS}/{field}")) > 0);
    let found = failed.map(|o| {
        let seen = format!(
            "its status says {field}: {} of {} pods",
            number(o, &format!("{STATS}/{field}")),
            number(o, &format!("{STATS}/podsSelected"))
        );
        Found::at(shown("ClusterSPIFFEID", o), seen)
    });
    Ok(Judged::of(found.collect(), format!("{} ClusterSPIFFEIDs without {what} in their status", all.len())))
}

fn template_fails(scene: &Scene<'_>) -> Judging {
    stat(scene, "podEntryRenderFailures", "a template that failed")
}

fn entry_refused(scene: &Scene<'_>) -> Judging {
    stat(scene, "entryFailures", "an entry that failed")
}

fn unknown_domain(scene: &Scene<'_>) -> Judging {
    let told = scene.objects("clusterfederatedtrustdomains.spire.spiffe.io")?;
    let held = scene.here.server.peers.get()?;
    let known = |domain: &str| {
        domain == scene.here.trust_domain.as_str()
            || told.iter().any(|o| text(o, "/spec/trustDomain") == Some(domain))
            || held.iter().any(|bundle| bundle.trust_domain.as_str() == domain)
    };
    let all = scene.objects(IDENTITIES)?;
    let found = all.iter().flat_map(|o| {
        let unknown = texts(o, "/spec/federatesWith").filter(|domain| !known(domain));
        unknown.map(|domain| {
            let seen =
                format!("it federates with {domain}: no ClusterFederatedTrustDomain and no bundle is of it");
            Found::at(shown("ClusterSPIFFEID", o), seen).about(scene.cluster_of(domain))
        })
    });
    Ok(Judged::of(
        found.collect(),
        format!("{} ClusterSPIFFEIDs federate with known trust domains only", all.len()),
    ))
}

/// The ClusterSPIFFEIDs that select a pod, of whatever class.
fn selecting<'a>(scene: &Scene<'a>, pod: &Value) -> Result<Vec<&'a Value>, Unread> {
    let home = scene.namespace(namespace(pod))?;
    let takes = |o: &&Value| {
        home.is_none_or(|home| selects(o.pointer("/spec/namespaceSelector"), home))
            && selects(o.pointer("/spec/podSelector"), pod)
    };
    Ok(scene.objects(IDENTITIES)?.iter().filter(takes).collect())
}

/// Pods that ask for SPIRE's socket, with how many entries are for each and how many ClusterSPIFFEIDs select it.
fn asking<'a>(scene: &Scene<'a>) -> Result<Vec<(&'a Value, usize, usize)>, Unread> {
    let pods = scene.pods()?.into_iter().filter(|pod| socket_volume(pod).is_some());
    pods.map(|pod| Ok((pod, scene.entries_of(pod)?.len(), selecting(scene, pod)?.len()))).collect()
}

fn not_selected(scene: &Scene<'_>) -> Judging {
    let asking = asking(scene)?;
    let lost = asking.iter().filter(|(_, entries, identities)| *entries == 0 && *identities == 0);
    let found = lost.map(|(pod, ..)| {
        Found::at(
            shown("Pod", pod),
            "it mounts SPIRE's socket; no ClusterSPIFFEID selects it, and no entry is for it",
        )
    });
    Ok(Judged::of(
        found.collect(),
        format!("{} pods with SPIRE's socket are selected or have an entry", asking.len()),
    ))
}

fn entry_missing(scene: &Scene<'_>) -> Judging {
    let asking = asking(scene)?;
    let lost = asking.iter().filter(|(_, entries, identities)| *entries == 0 && *identities > 0);
    let mut found = Vec::new();
    for (pod, ..) in lost {
        let by: Vec<_> = selecting(scene, pod)?.into_iter().map(name).collect();
        found.push(Found::at(
            shown("Pod", pod),
            format!("ClusterSPIFFEID {} selects it, and no entry is for it", by.join(", ")),
        ));
    }
    Ok(Judged::of(found, format!("{} pods with SPIRE's socket have an entry, or are nobody's", asking.len())))
}

fn entry_doubled(scene: &Scene<'_>) -> Judging {
    let (mut found, mut looked) = (Vec::new(), 0);
    for pod in scene.pods()?.into_iter().filter(|pod| socket_volume(pod).is_some()) {
        looked += 1;
        let entries = scene.entries_of(pod)?;
        if entries.len() > 1 {
            let told: Vec<_> = entries.iter().map(|e| format!("{} ({})", e.id, e.spiffe_id)).collect();
            found.push(Found::at(
                shown("Pod", pod),
                format!("{} entries are for it: {}", entries.len(), told.join(", ")),
            ));
        }
    }
    Ok(Judged::of(found, format!("{looked} pods with SPIRE's socket have at most one entry each")))
}

/// A workload meets a peer when its namespace has mesh workloads in both clusters, and its istiod reads the other one.
fn without_federation(scene: &Scene<'_>) -> Judging {
    let is_workload =
        |pod: &Value| proxy(pod).is_some() && label(pod, "gateway.networking.k8s.io/gateway-name").is_none();
    let mine: Vec<_> = scene.pods()?.into_iter().filter(|pod| is_workload(pod)).collect();
    let read = scene.here.remotes.get()?;
    let (mut found, mut looked) = (Vec::new(), 0);
    for peer in scene.peers().filter(|peer| peer.trust_domain != scene.here.trust_domain) {
        if !read.iter().any(|remote| remote.id == peer.id()) {
            continue;
        }
        let theirs = Scene { all: scene.all, here: peer };
        let theirs: Vec<_> =
            theirs.pods()?.into_iter().filter(|pod| is_workload(pod)).map(namespace).collect();
        for pod in mine.iter().filter(|pod| theirs.contains(&namespace(pod))) {
            looked += 1;
            for entry in scene.entries_of(pod)? {
                if !entry.federates_with.contains(&peer.trust_domain) {
                    let with: Vec<_> = entry.federates_with.iter().map(|d| d.as_str()).collect();
                    let seen = format!(
                        "its entry federates with [{}], and not with {}",
                        with.join(", "),
                        peer.trust_domain
                    );
                    found.push(Found::at(shown("Pod", pod), seen).about(Some(&peer.name)));
                }
            }
        }
    }
    Ok(Judged::of(found, format!("{looked} workloads that meet a peer federate with its trust domain")))
}
