//! SPIRE servers, and what they hold for each other.

use serde_json::Value;

use crate::diagnosis::objects::{Scene, list, name, number, shown, text};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;
use crate::evidence::Fetch;
use crate::identity::Bundle;

const RELATIONSHIPS: &str = "clusterfederatedtrustdomains.spire.spiffe.io";
/// What the controller manager reads.
const RESOURCES: [(&str, &str); 3] = [
    ("ClusterFederatedTrustDomain", RELATIONSHIPS),
    ("ClusterSPIFFEID", "clusterspiffeids.spire.spiffe.io"),
    ("ClusterStaticEntry", "clusterstaticentries.spire.spiffe.io"),
];

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "spire-server-down",
        sentence: "no SPIRE server answers, so nothing is registered, renewed or federated",
        next: "kubectl describe {object}",
        source: "checklist S4-25",
        explains: &[
            "bundle-endpoint-silent",
            "relationship-missing",
            "entry-missing",
            "agent-down",
            "container-crashes",
            "proxy-without-certificate",
        ],
        judge: server_down,
    },
    Rule {
        name: "class-filter-skips-resource",
        sentence: "the controller manager skips a resource whose className is none that it watches, and says nothing",
        next: "kubectl patch {object} --type merge -p '{\"spec\":{\"className\":\"…\"}}', with the class that the manager watches",
        source: "spire-controller-manager#171; checklist S4-45",
        explains: &[
            "relationship-missing",
            "peer-bundle-missing",
            "federates-with-unknown-domain",
            "entry-refused",
            "entry-missing",
            "entry-without-federation",
            "trust-of-proxy-incomplete",
            "proxy-without-certificate",
        ],
        judge: class_filter,
    },
    Rule {
        name: "relationship-missing",
        sentence: "the SPIRE server has no federation relationship with a trust domain that it was told to federate with",
        next: "kubectl logs -n spire spire-server-0 -c spire-controller-manager in {cluster}",
        source: "spire-controller-manager#133",
        explains: &["peer-bundle-missing"],
        judge: relationship_missing,
    },
    Rule {
        name: "peer-bundle-missing",
        sentence: "the SPIRE server holds no bundle of a trust domain that it was told to trust, so its workloads refuse that one",
        next: "spire-server bundle list in {cluster}; then bundle set, or a ClusterFederatedTrustDomain with trustDomainBundle",
        source: "checklist S4-44; istio#55288",
        explains: &[
            "entry-refused",
            "entry-missing",
            "entry-without-federation",
            "trust-of-proxy-incomplete",
            "proxy-without-certificate",
        ],
        judge: peer_bundle_missing,
    },
    Rule {
        name: "start-bundle-edit-ignored",
        sentence: "the bundle in a ClusterFederatedTrustDomain is a start bundle: edited later, it changes nothing that the server holds",
        next: "spire-server bundle set -format spiffe -id spiffe://… in {cluster}, with what the server of {peer} shows",
        source: "spire-controller-manager#314; facts M4",
        explains: &["peer-bundle-stale", "trust-of-proxy-incomplete"],
        judge: start_bundle_ignored,
    },
    Rule {
        name: "peer-bundle-stale",
        sentence: "the SPIRE server holds other keys for a peer than that peer publishes, so its certificates are refused",
        next: "spire-server federation refresh -id spiffe://… in {cluster}: it says why the polling does not bring the new ones",
        source: "helm-charts-hardened#335; case 01",
        explains: &[],
        judge: peer_bundle_stale,
    },
    Rule {
        name: "bundle-endpoint-wrong-identity",
        sentence: "the peer's bundle endpoint shows another identity than the relationship expects, so the bundle is never fetched again",
        next: "compare endpointSPIFFEID and profile of {object} in {cluster} with the server's own in {peer}",
        source: "case 01; spire#6106",
        explains: &["peer-bundle-stale", "peer-bundle-missing"],
        judge: endpoint_wrong,
    },
    Rule {
        name: "bundle-endpoint-silent",
        sentence: "nobody serves the peer's bundle at the URL of the relationship, so the bundle is never fetched again",
        next: "compare bundleEndpointURL of {object} in {cluster} with the Service of the SPIRE server in {peer}",
        source: "case 01; spire#6106",
        explains: &["peer-bundle-stale", "peer-bundle-missing"],
        judge: endpoint_silent,
    },
    Rule {
        name: "authority-expired",
        sentence: "every authority of a trust domain is past its end or before its beginning, so nobody believes what it signed",
        next: "spire-server bundle show in {cluster}; a clock that is wrong looks the same",
        source: "case 29",
        explains: &[],
        judge: authority_expired,
    },
];

fn server_down(scene: &Scene<'_>) -> Judging {
    let servers = ["statefulsets.apps", "deployments.apps"].map(|kind| scene.objects(kind));
    let mut all = Vec::new();
    for objects in servers {
        let runs = |o: &&Value| {
            let containers = list(o, "/spec/template/spec/containers");
            containers.iter().any(|c| text(c, "/name") == Some("spire-server"))
        };
        all.extend(objects?.iter().filter(runs));
    }
    let down = all.iter().filter(|o| number(o, "/status/readyReplicas") == 0);
    let down = down.map(|o| {
        let kind = text(o, "/kind").unwrap_or("StatefulSet");
        Found::at(shown(kind, o), format!("0 of {} replicas are ready", number(o, "/spec/replicas")))
    });
    Ok(Judged::of(down.collect(), format!("{} with a SPIRE server, each with a ready one", all.len())))
}

fn class_filter(scene: &Scene<'_>) -> Judging {
    let managers = scene.here.managers.get()?;
    let watches = |class: &str| {
        managers.iter().any(|manager| {
            let own = text(manager, "/className").unwrap_or_default();
            let classless = manager.get("watchClassless").and_then(Value::as_bool).unwrap_or(false);
            own == class || class.is_empty() && classless
        })
    };
    let (mut found, mut looked) = (Vec::new(), 0);
    for (kind, plural) in RESOURCES {
        for object in scene.objects(plural)? {
            looked += 1;
            let class = text(object, "/spec/className").unwrap_or_default();
            if !managers.is_empty() && !watches(class) {
                let classes: Vec<_> = managers.iter().filter_map(|m| text(m, "/className")).collect();
                let seen =
                    format!("its className is `{class}`, and the manager watches `{}`", classes.join("`, `"));
                found.push(Found::at(shown(kind, object), seen));
            }
        }
    }
    Ok(Judged::of(
        found,
        format!("{looked} resources are of a class that one of {} managers watches", managers.len()),
    ))
}

fn relationship_missing(scene: &Scene<'_>) -> Judging {
    let held = scene.here.server.relationships.get()?;
    let told = scene.objects(RELATIONSHIPS)?;
    let found = told.iter().filter_map(|object| {
        let domain = text(object, "/spec/trustDomain")?;
        let known = held.iter().any(|one| one.trust_domain == domain);
        let seen = format!("the server lists {} relationships, and none with {domain}", held.len());
        let found =
            || Found::at(shown("ClusterFederatedTrustDomain", object), seen).about(scene.cluster_of(domain));
        (!known).then(found)
    });
    let found: Vec<_> = found.collect();
    Ok(Judged::of(found, format!("the server has a relationship for each of {} resources", told.len())))
}

fn peer_bundle_missing(scene: &Scene<'_>) -> Judging {
    let held = scene.here.server.peers.get()?;
    let told = scene.told_to_trust()?;
    // What no relationship brings is another cause, and has its own row.
    let brought: Vec<_> =
        scene.objects(RELATIONSHIPS)?.iter().filter_map(|o| text(o, "/spec/trustDomain")).collect();
    let lacks = |domain: &&&str| {
        brought.contains(*domain) && !held.iter().any(|bundle| bundle.trust_domain.as_str() == **domain)
    };
    let domains: Vec<_> = held.iter().map(|bundle| bundle.trust_domain.as_str()).collect();
    let found = told.iter().filter(lacks).map(|domain| {
        let seen = format!("it holds bundles of [{}], and none of {domain}", domains.join(", "));
        Found::at("SPIRE server", seen).about(scene.cluster_of(domain))
    });
    Ok(Judged::of(found.collect(), format!("the server holds bundles of [{}]", domains.join(", "))))
}

/// Bundles held for clusters that were looked at too, beside what those publish.
fn held_and_published<'a>(scene: &Scene<'a>) -> Result<Vec<(&'a str, &'a Bundle, &'a Bundle)>, Unread> {
    let mut pairs = Vec::new();
    for held in scene.here.server.peers.get()? {
        for peer in scene.peers().filter(|peer| peer.trust_domain == held.trust_domain) {
            pairs.push((peer.name.as_str(), held, peer.server.bundle.get()?));
        }
    }
    Ok(pairs)
}

fn start_bundle_ignored(scene: &Scene<'_>) -> Judging {
    let told = scene.objects(RELATIONSHIPS)?;
    let mut found = Vec::new();
    let pairs = held_and_published(scene)?;
    for (peer, held, published) in &pairs {
        let domain = published.trust_domain.as_str();
        for object in told.iter().filter(|o| text(o, "/spec/trustDomain") == Some(domain)) {
            let given = text(object, "/spec/trustDomainBundle").unwrap_or_default();
            let Ok(given) = Bundle::read(published.trust_domain.clone(), given) else { continue };
            if given.same_keys(&published.authorities) && !held.same_keys(&published.authorities) {
                let seen = format!(
                    "trustDomainBundle has the keys that {peer} publishes ({}), and the server holds others ({})",
                    keys(published),
                    keys(held)
                );
                found.push(Found::at(shown("ClusterFederatedTrustDomain", object), seen).about(Some(peer)));
            }
        }
    }
    Ok(Judged::of(
        found,
        format!("{} held bundles, and none is older than the one in its resource", pairs.len()),
    ))
}

fn peer_bundle_stale(scene: &Scene<'_>) -> Judging {
    let pairs = held_and_published(scene)?;
    let mut found = Vec::new();
    for (peer, held, published) in &pairs {
        // A prepared authority, with which nobody signs yet, is in time with the next poll.
        let mut refused = held.disjoint(published);
        let new = published.authorities.iter().filter(|a| !held.authorities.iter().any(|b| a.has_key_of(b)));
        let new: Vec<_> = new.cloned().collect();
        for proxy in scene.peers().filter(|one| one.name == *peer).flat_map(|one| &one.proxies) {
            if refused || new.is_empty() {
                break;
            }
            let chain = proxy.held.get()?.certificate("default").and_then(|pem| pem.chain().ok());
            refused = chain.is_some_and(|chain| chain.signer(&new).is_some());
        }
        if refused {
            let seen = format!(
                "for {} it holds {}, and {peer} publishes {} and signs with a key that is not held",
                held.trust_domain,
                keys(held),
                keys(published)
            );
            found.push(Found::at("SPIRE server", seen).about(Some(peer)));
        }
    }
    Ok(Judged::of(found, format!("{} bundles of peers have the keys that those sign with", pairs.len())))
}

/// The words in which SPIRE's client says that it was shown another identity or certificate than expected.
fn is_of_identity(fetch: &Fetch) -> bool {
    ["unexpected ID", "x509svid", "x509:", "certificate", "tls:"]
        .iter()
        .any(|words| fetch.said.contains(words))
}

fn endpoint_wrong(scene: &Scene<'_>) -> Judging {
    fetches(scene, is_of_identity)
}

fn endpoint_silent(scene: &Scene<'_>) -> Judging {
    fetches(scene, |fetch| !is_of_identity(fetch))
}

fn fetches(scene: &Scene<'_>, of_this_kind: fn(&Fetch) -> bool) -> Judging {
    let fetches = scene.here.server.fetches.get()?;
    let told = scene.objects(RELATIONSHIPS)?;
    let failed = fetches.iter().filter(|fetch| fetch.status != 0 && of_this_kind(fetch));
    let found = failed.map(|fetch| {
        let domain = fetch.trust_domain.as_str();
        let object = told.iter().find(|o| text(o, "/spec/trustDomain") == Some(domain));
        let object = object.map_or("", name);
        let seen = format!("fetching the bundle of {domain}: {}", fetch.said);
        Found::at(format!("ClusterFederatedTrustDomain {object}"), seen).about(scene.cluster_of(domain))
    });
    let found: Vec<_> = found.collect();
    let asked = |domain: &str| fetches.iter().any(|fetch| fetch.trust_domain.as_str() == domain);
    let unasked = scene.here.server.relationships.get()?.iter().find(|one| !asked(&one.trust_domain));
    match unasked.filter(|_| found.is_empty()) {
        // A fetch would change what is held, or cannot be compared with what is published.
        Some(one) => Err(Unread(format!("{} was not asked for its bundle", one.trust_domain))),
        None => Ok(Judged::of(
            found,
            format!("{} bundles were fetched now, by their relationships", fetches.len()),
        )),
    }
}

fn authority_expired(scene: &Scene<'_>) -> Judging {
    let bundle = scene.here.server.bundle.get()?;
    let now = scene.all.collected_at;
    let good = bundle
        .authorities
        .iter()
        .filter(|a| a.certificate.not_before <= now && now <= a.certificate.not_after);
    let good = good.count();
    let ends: Vec<_> = bundle
        .authorities
        .iter()
        .map(|a| format!("{} to {}", a.certificate.not_before, a.certificate.not_after))
        .collect();
    let found = (good == 0)
        .then(|| Found::at("SPIRE server", format!("its authorities: {}; now {now}", ends.join(", "))));
    Ok(Judged::of(found.into_iter().collect(), format!("{good} authorities are valid now")))
}

fn keys(bundle: &Bundle) -> String {
    let short = |key: String| key.get(..16).map_or(key.clone(), str::to_owned);
    bundle.authorities.iter().map(|a| short(a.key_id())).collect::<Vec<_>>().join(", ")
}
