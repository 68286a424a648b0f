//! What proxies hold: mostly what comes of something above, and the last thing that is left when nothing above is wrong.

use serde_json::Value;

use crate::diagnosis::objects::{Scene, name, namespace, proxy, shown, socket_of_sidecar};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;
use crate::envoy::{Held, Trust};
use crate::identity::{Authority, Chain, Pem};

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "socket-not-mounted",
        sentence: "a sidecar that SPIRE has an identity for does not mount SPIRE's socket, so istiod signs its certificate",
        next: "a CSI volume of csi.spiffe.io for {object} in {cluster}: inject.istio.io/templates, or the pod's own",
        source: "istio#45534; facts M2",
        explains: &["istiod-issued-certificate", "trust-of-proxy-incomplete", "proxy-without-certificate"],
        judge: not_mounted,
    },
    Rule {
        name: "istiod-issued-certificate",
        sentence: "a proxy with SPIRE's socket holds a certificate from istiod's CA: the socket was not there when it started",
        next: "delete {object} in {cluster}: made anew, it takes SPIRE's; WORKLOAD_IDENTITY_SOCKET_FILE makes it fail instead",
        source: "istio#41308; facts M2",
        explains: &["trust-of-proxy-incomplete"],
        judge: istiod_issued,
    },
    Rule {
        name: "trust-of-proxy-incomplete",
        sentence: "a proxy does not hold the bundle of a trust domain that its entry federates with, so it refuses those peers",
        next: "kubectl logs of the SPIRE agent in {cluster}: disable_spiffe_cert_validation shows there; else its restart completes the bundles",
        source: "spire#5638, spire#5709; facts M7; checklist S4-23",
        explains: &[],
        judge: trust_incomplete,
    },
    Rule {
        name: "proxy-without-certificate",
        sentence: "a proxy waits for its certificate and takes no traffic",
        next: "kubectl logs {object} -c istio-proxy in {cluster}, and the SPIRE agent's log beside it",
        source: "checklist S3-6, S4-19",
        explains: &[],
        judge: without_certificate,
    },
];

fn not_mounted(scene: &Scene<'_>) -> Judging {
    let (mut found, mut looked) = (Vec::new(), 0);
    for pod in scene.pods()?.into_iter().filter(|pod| proxy(pod).is_some()) {
        let entries = scene.entries_of(pod)?;
        looked += 1;
        if let (Some(entry), None) = (entries.first(), socket_of_sidecar(pod)) {
            let seen = format!(
                "entry {} gives it {}, and its sidecar mounts no volume of csi.spiffe.io",
                entry.id, entry.spiffe_id
            );
            found.push(Found::at(shown("Pod", pod), seen));
        }
    }
    Ok(Judged::of(found, format!("{looked} pods with a sidecar mount SPIRE's socket, or have no entry")))
}

/// Each proxy with its pod and what it holds.
fn holding<'a>(scene: &Scene<'a>) -> Result<Vec<(&'a Value, &'a Held)>, Unread> {
    let mut all = Vec::new();
    for pod in scene.pods()? {
        let one = scene.here.proxies.iter().find(|p| p.pod == name(pod) && p.namespace == namespace(pod));
        if let Some(one) = one {
            all.push((pod, one.held.get()?));
        }
    }
    Ok(all)
}

/// Who signed it; nothing where that cannot be told.
fn signer<'a>(pem: &Pem, authorities: &'a [Authority]) -> Option<&'a Authority> {
    pem.chain().ok().and_then(|chain: Chain| chain.signer(authorities))
}

fn istiod_issued(scene: &Scene<'_>) -> Judging {
    let roots = Authority::all_in(scene.here.istiod_root.get()?).unwrap_or_default();
    // A root that SPIRE has too tells nothing.
    let bundle = scene.here.server.bundle.get()?;
    let own: Vec<_> =
        roots.into_iter().filter(|root| !bundle.authorities.iter().any(|a| a.has_key_of(root))).collect();
    let holding = holding(scene)?;
    let mut found = Vec::new();
    for (pod, held) in &holding {
        let by = held.certificate("default").and_then(|pem| signer(pem, &own));
        if let (Some(by), false) = (by, scene.entries_of(pod)?.is_empty()) {
            let seen = format!("istiod's CA (key {}) signed its certificate `default`", by.key_id());
            found.push(Found::at(shown("Pod", pod), seen));
        }
    }
    Ok(Judged::of(
        found,
        format!("{} proxies hold no certificate from istiod's CA, or are not SPIRE's", holding.len()),
    ))
}

fn trust_incomplete(scene: &Scene<'_>) -> Judging {
    let holding = holding(scene)?;
    let mut found = Vec::new();
    for (pod, held) in &holding {
        // Who has nothing at all waits for its certificate first.
        if held.certificate("default").is_none() {
            continue;
        }
        for entry in scene.entries_of(pod)? {
            let seen = match held.trust("ROOTCA") {
                None => Some("it holds a certificate, and no ROOTCA".to_owned()),
                Some(Trust::AnyName(_)) => {
                    Some("its ROOTCA is one pool of roots for any name, and knows no trust domain".to_owned())
                }
                Some(Trust::PerTrustDomain(domains)) => {
                    let lacks = |d: &&crate::identity::TrustDomain| {
                        !domains.iter().any(|held| held.trust_domain == d.as_str())
                    };
                    let missing: Vec<_> =
                        entry.federates_with.iter().filter(lacks).map(|d| d.as_str()).collect();
                    let has: Vec<_> = domains.iter().map(|held| held.trust_domain.as_str()).collect();
                    (!missing.is_empty()).then(|| {
                        format!("its ROOTCA has [{}], and not {}", has.join(", "), missing.join(", "))
                    })
                }
            };
            let federates = !entry.federates_with.is_empty();
            found.extend(seen.filter(|_| federates).map(|seen| Found::at(shown("Pod", pod), seen)));
        }
    }
    Ok(Judged::of(
        found,
        format!("{} proxies hold the bundles that their entries federate with", holding.len()),
    ))
}

fn without_certificate(scene: &Scene<'_>) -> Judging {
    let holding = holding(scene)?;
    let found = holding.iter().filter(|(_, held)| held.certificate("default").is_none());
    let found = found.map(|(pod, _)| Found::at(shown("Pod", pod), "it holds no secret `default`"));
    Ok(Judged::of(found.collect(), format!("{} proxies hold a certificate", holding.len())))
}
