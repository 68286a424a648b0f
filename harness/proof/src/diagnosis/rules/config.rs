//! What the mesh was told as a whole, and the time that clusters think it is.

use serde_json::Value;

use crate::diagnosis::objects::{Scene, list, shown, text, texts, variable};
use crate::diagnosis::rule::{Found, Judged, Judging, Rule};
use crate::diagnosis::seen::Unread;

/// A difference that no certificate and no token of a mesh forgives: SPIRE backdates by ten seconds (`backdate`).
const SKEW_SECONDS: i64 = 30;

pub const CAUSES: &[Rule] = &[
    Rule {
        name: "clock-skew",
        sentence: "a cluster's clock is wrong, so certificates and tokens are over or not yet valid there",
        next: "set the clock of the nodes of {cluster}",
        source: "case 29",
        explains: &["authority-expired", "remote-secret-expired"],
        judge: clock,
    },
    Rule {
        name: "trust-domain-of-mesh-differs",
        sentence: "Istio was told another trust domain than SPIRE has, so sidecars expect names that nobody is given",
        next: "meshConfig.trustDomain in {cluster}: that of its SPIRE server",
        source: "checklist S4-2, S4-12; istio#36792",
        explains: &["trust-domain-not-accepted"],
        judge: trust_domain,
    },
    Rule {
        name: "trust-domain-not-accepted",
        sentence: "sidecars take callers of their own trust domain only: nothing widens the check of their names to the peer's",
        next: "trustDomainAliases (or caCertificates[].trustDomains) with the trust domain of {peer} in meshConfig of {cluster}",
        source: "istio#55288; facts/mesh.md 4",
        explains: &[],
        judge: not_accepted,
    },
    Rule {
        name: "access-log-off",
        sentence: "sidecars write no access log, so nobody knows what they saw of each other",
        next: "meshConfig.accessLogFile: /dev/stdout in {cluster}",
        source: "istio#36792; facts/mesh.md, seen since",
        explains: &[],
        judge: access_log,
    },
    Rule {
        name: "locality-keeps-traffic",
        sentence: "endpoints of the other cluster are known and of lower priority, as asked for: outlier detection turns locality on",
        next: "ask for the far version alone, or scale the near one to zero; {object} in {cluster} is what turns it on",
        source: "case 11; istio#49074",
        explains: &[],
        judge: locality,
    },
];

fn clock(scene: &Scene<'_>) -> Judging {
    let (there, here) = (scene.here.clock.get()?, scene.all.collected_at);
    let off = there.as_second() - here.as_second();
    let found = (off.abs() > SKEW_SECONDS)
        .then(|| Found::at("API server", format!("it says {there}, and here it is {here}")));
    Ok(Judged::of(found.into_iter().collect(), format!("its clock is off by {off} s")))
}

fn trust_domain(scene: &Scene<'_>) -> Judging {
    let mesh = scene.here.mesh.get()?;
    let (own, told) =
        (scene.here.trust_domain.as_str(), text(mesh, "/trustDomain").unwrap_or("cluster.local"));
    // Who has no identity of SPIRE's uses Istio's own.
    let used = !scene.here.server.entries.get()?.is_empty();
    let found = (used && told != own)
        .then(|| Found::at("meshConfig", format!("trustDomain is {told}, and SPIRE's is {own}")));
    Ok(Judged::of(found.into_iter().collect(), format!("Istio and SPIRE say {own}")))
}

/// The trust domains whose names sidecars here accept; nothing when they do not check.
fn accepted<'a>(scene: &Scene<'a>, mesh: &'a Value) -> Result<Option<Vec<&'a str>>, Unread> {
    let containers =
        scene.objects("deployments.apps")?.iter().flat_map(|o| list(o, "/spec/template/spec/containers"));
    let skips = |c: &Value| {
        variable(c, "PILOT_SKIP_VALIDATE_TRUST_DOMAIN").is_some_and(|v| v.eq_ignore_ascii_case("true"))
    };
    if containers.into_iter().any(skips) {
        return Ok(None);
    }
    let more = list(mesh, "/caCertificates").iter().flat_map(|ca| texts(ca, "/trustDomains"));
    let own = text(mesh, "/trustDomain").into_iter();
    Ok(Some(own.chain(texts(mesh, "/trustDomainAliases")).chain(more).collect()))
}

fn not_accepted(scene: &Scene<'_>) -> Judging {
    let mesh = scene.here.mesh.get()?;
    let Some(accepted) = accepted(scene, mesh)? else {
        return Ok(Judged::of(Vec::new(), "sidecars were told not to check callers' trust domains"));
    };
    let told = scene.told_to_trust()?;
    let mut found = Vec::new();
    for peer in scene.peers() {
        let domain = peer.trust_domain.as_str();
        // Calls come from where this cluster's endpoints are known.
        let calls = peer.remotes.get()?.iter().any(|remote| remote.id == scene.here.id());
        if calls && told.contains(&domain) && !accepted.contains(&domain) {
            let seen = format!(
                "sidecars accept callers of [{}], and SPIRE federates with {domain}",
                accepted.join(", ")
            );
            found.push(Found::at("meshConfig", seen).about(Some(&peer.name)));
        }
    }
    Ok(Judged::of(found, format!("sidecars accept callers of [{}]", accepted.join(", "))))
}

fn symptom(scene: &Scene<'_>, words: &[&str]) -> bool {
    scene.all.symptoms.iter().any(|symptom| words.iter().any(|word| symptom.contains(word)))
}

fn access_log(scene: &Scene<'_>) -> Judging {
    let mesh = scene.here.mesh.get()?;
    let file = text(mesh, "/accessLogFile").unwrap_or_default();
    if !symptom(scene, &["record", "access log"]) {
        return Ok(Judged::of(Vec::new(), "no claim lacks a record of a request"));
    }
    let providers = mesh.pointer("/defaultProviders/accessLogging").is_some();
    let found = (file.is_empty() && !providers).then(|| {
        Found::at("meshConfig", "accessLogFile is empty, and a claim lacks the record of a request")
    });
    Ok(Judged::of(found.into_iter().collect(), format!("accessLogFile is `{file}`")))
}

fn locality(scene: &Scene<'_>) -> Judging {
    let rules = scene.objects("destinationrules.networking.istio.io")?;
    if !symptom(scene, &["every-cluster-answers"]) {
        return Ok(Judged::of(Vec::new(), "no version was missed among the answers"));
    }
    let pods = scene.pods()?;
    let nodes = scene.objects("nodes")?;
    const KEYS: [&str; 2] = ["istio-locality", "topology.kubernetes.io/region"];
    let placed = |o: &&Value| KEYS.iter().any(|key| crate::diagnosis::objects::label(o, key).is_some());
    let known = pods.iter().any(placed) || nodes.iter().any(|node| placed(&node));
    let off = |o: &Value| {
        o.pointer("/spec/trafficPolicy/loadBalancer/localityLbSetting/enabled") == Some(&Value::Bool(false))
    };
    let turns_on = |o: &&Value| o.pointer("/spec/trafficPolicy/outlierDetection").is_some() && !off(o);
    let found = rules.iter().filter(turns_on).filter(|_| known);
    let found = found.map(|o| {
        let host = text(o, "/spec/host").unwrap_or_default();
        Found::at(
            shown("DestinationRule", o),
            format!("outlier detection for {host}, and pods or nodes have a locality"),
        )
    });
    Ok(Judged::of(
        found.collect(),
        format!("{} DestinationRules, none with outlier detection beside localities", rules.len()),
    ))
}
