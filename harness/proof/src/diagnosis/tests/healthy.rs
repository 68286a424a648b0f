//! Healthy meshes: as ours, and configured otherwise. None has a cause.

use serde_json::{Value, json};

use super::{each, fixture, objects, seen};
use crate::diagnosis::{Look, Observations, causes, diagnose};

#[track_caller]
fn quiet(all: &Observations) {
    let diagnosis = diagnose(all);
    assert!(diagnosis.causes.is_empty(), "{:#?}", diagnosis.causes);
    assert!(diagnosis.consequences.is_empty(), "{:#?}", diagnosis.consequences);
}

#[test]
fn a_healthy_mesh_excludes_every_cause() {
    let (_, all) = fixture::healthy();
    let diagnosis = diagnose(&all);
    quiet(&all);
    assert!(diagnosis.open.is_empty(), "{:#?}", diagnosis.open);
    assert_eq!(diagnosis.excluded.len(), causes().count());
    assert!(diagnosis.excluded.iter().all(|one| one.why.contains("east: ") && one.why.contains("west: ")));
}

#[test]
fn a_mesh_that_is_configured_otherwise_has_no_cause() {
    let changes: [fn(&mut Observations); 12] = [
        // A peer's authority has rotated since the start bundle was written.
        |all| {
            each(all, "clusterfederatedtrustdomains.spire.spiffe.io", |o| {
                o["spec"]["trustDomainBundle"] = "{}".into()
            })
        },
        // Entries by hand, and no controller manager.
        |all| {
            for kind in ["clusterspiffeids.spire.spiffe.io", "clusterfederatedtrustdomains.spire.spiffe.io"] {
                objects(all, kind).clear();
            }
            all.clusters[0].managers = Look::Seen(vec![]);
        },
        // Classless resources, and a manager that watches them.
        |all| {
            each(all, "clusterspiffeids.spire.spiffe.io", |o| o["spec"]["className"] = Value::Null);
            seen(&mut all.clusters[0].managers)[0]["watchClassless"] = true.into();
        },
        // Trust by roots with their domains, instead of by aliases.
        |all| {
            let mesh = seen(&mut all.clusters[0].mesh);
            mesh["trustDomainAliases"] = Value::Null;
            mesh["caCertificates"] = json!([{"trustDomains": ["west.example"]}]);
        },
        // Discovery of what is in the mesh, which leaves the namespace `outside` out.
        |all| {
            let expressions =
                json!([{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["outside"]}]);
            seen(&mut all.clusters[0].mesh)["discoverySelectors"] =
                json!([{"matchExpressions": expressions}]);
        },
        // Access logs off and locality on, as asked for, and no claim misses anything.
        |all| {
            seen(&mut all.clusters[0].mesh)["accessLogFile"] = "".into();
            let rule = json!({"metadata": {"name": "near", "namespace": "istio-test"}, "spec": {
                "host": "curl", "trafficPolicy": {"outlierDetection": {}, "tls": {"mode": "ISTIO_MUTUAL"}}}});
            objects(all, "destinationrules.networking.istio.io").push(rule);
            objects(all, "pods")[0]["metadata"]["labels"]["istio-locality"] = "here".into();
        },
        // The agent's folder itself, as people mounted it before there was a CSI driver; under its other name.
        |all| {
            let sockets = json!([{"name": "s", "hostPath": {"path": "/var/run/agent/"}}]);
            let mounts = json!([{"name": "s", "mountPath": "/run/secrets/workload-spiffe-uds"}]);
            let pod = &mut objects(all, "pods")[0]["spec"];
            (pod["volumes"], pod["containers"][0]["volumeMounts"]) = (sockets, mounts);
        },
        // An agent that attests pods, and processes too.
        |all| {
            seen(&mut all.clusters[0].agents)[0]
                .push_str("\nplugins { WorkloadAttestor \"unix\" {} WorkloadAttestor \"k8s\" {} }");
            let conf = json!({"plugins": {"WorkloadAttestor": [{"unix": {}}, {"k8s": {}}]}, "agent": {
                "socket_path": "/tmp/agent/socket", "sds": {"default_svid_name": "default",
                "default_bundle_name": "null", "default_all_bundles_name": "ROOTCA"}}});
            seen(&mut all.clusters[1].agents)[0] = conf.to_string();
        },
        // A container that lost two races at the start, and one that was stopped in order.
        |all| {
            let ended = |code: i32| json!({"terminated": {"exitCode": code}});
            let statuses = json!([
                {"name": "a", "ready": true, "restartCount": 2, "lastState": ended(1), "state": {"running": {}}},
                {"name": "b", "ready": false, "restartCount": 3, "lastState": ended(0), "state": {"running": {}}},
            ]);
            objects(all, "pods")[0]["status"]["containerStatuses"] = statuses;
        },
        // A gateway whose address istiod was told, behind a Service that has none of its own.
        |all| {
            let network =
                json!({"networks": {"net-east": {"gateways": [{"address": "10.1.1.1", "port": 15443}]}}});
            all.clusters[0].mesh_networks = Look::Seen(network);
            each(all, "services", |o| o["status"] = json!({}));
        },
        // A pod of the mesh that SPIRE has nothing to do with: istiod's certificate is what it was told to have.
        |all| {
            let mut pod = fixture::pod("plain", "outside");
            pod["spec"]["volumes"] = json!([]);
            objects(all, "pods").push(pod);
        },
        // TLS of its own to a host outside, and to workloads that take anything.
        |all| {
            each(all, "peerauthentications.security.istio.io", |o| {
                o["spec"]["mtls"]["mode"] = "PERMISSIVE".into()
            });
            for host in ["api.example.com", "curl.istio-test.svc.cluster.local"] {
                let rule = json!({"metadata": {"name": host, "namespace": "istio-test"}, "spec": {
                    "host": host, "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}});
                objects(all, "destinationrules.networking.istio.io").push(rule);
            }
        },
    ];
    for change in changes {
        let (_, mut all) = fixture::healthy();
        change(&mut all);
        quiet(&all);
    }
}

/// The peer has prepared its next authority. When it signs with it and the bundle has not come, that is a cause.
#[test]
fn an_authority_that_is_prepared_breaks_nothing_before_it_signs() {
    let (makers, mut all) = fixture::healthy();
    let next = &makers.istiod[1].bundle("west.example").authorities[0];
    seen(&mut all.clusters[1].server.bundle).authorities.push(next.clone());
    quiet(&all);
    let leaf = makers.istiod[1].svid("spiffe://west.example/ns/istio-test/sa/curl");
    all.clusters[1].istiod_root = Look::Seen(crate::identity::Pem::of(&makers.istiod[0].pem));
    let secret = &mut seen(&mut all.clusters[1].proxies[0].held).secrets[0];
    secret.content = crate::envoy::secrets::Content::Certificate(crate::identity::Pem::of(&leaf));
    let causes: Vec<_> = diagnose(&all).causes.iter().map(|cause| cause.name).collect();
    assert_eq!(causes, ["peer-bundle-stale"]);
}

#[test]
fn one_cluster_alone_has_no_cause() {
    let (_, mut all) = fixture::healthy();
    all.clusters.truncate(1);
    let one = &mut all.clusters[0];
    seen(&mut one.server.peers).clear();
    seen(&mut one.server.relationships).clear();
    seen(&mut one.server.fetches).clear();
    seen(&mut one.remote_secrets).clear();
    seen(&mut one.remotes).truncate(1);
    seen(&mut one.server.entries).iter_mut().for_each(|entry| entry.federates_with.clear());
    seen(&mut one.agents)[0] = "agent { socket_path = \"/tmp/agent/socket\" }".into();
    for kind in
        ["gateways.gateway.networking.k8s.io", "services", "clusterfederatedtrustdomains.spire.spiffe.io"]
    {
        objects(&mut all, kind).clear();
    }
    each(&mut all, "clusterspiffeids.spire.spiffe.io", |o| o["spec"]["federatesWith"] = Value::Null);
    quiet(&all);
}

/// Whatever cannot be read: nothing that needs it is excluded, and nothing is named for its absence.
#[test]
fn what_could_not_be_read_excludes_nothing() {
    let (_, mut all) = fixture::healthy();
    let why = || "forbidden".to_owned();
    for cluster in &mut all.clusters {
        cluster.objects.values_mut().for_each(|look| *look = Look::NotReadable(why()));
        cluster.managers = Look::NotReadable(why());
        cluster.agents = Look::NotReadable(why());
        cluster.mesh = Look::NotReadable(why());
        cluster.mesh_networks = Look::NotReadable(why());
        cluster.server.bundle = Look::NotReadable(why());
        cluster.server.peers = Look::NotReadable(why());
        cluster.server.relationships = Look::NotReadable(why());
        cluster.server.fetches = Look::NotReadable(why());
        cluster.server.entries = Look::NotReadable(why());
        cluster.istiod_root = Look::NotReadable(why());
        cluster.remotes = Look::NotReadable(why());
        cluster.remote_secrets = Look::NotReadable(why());
        cluster.clock = Look::NotReadable(why());
    }
    let diagnosis = diagnose(&all);
    quiet(&all);
    assert_eq!(diagnosis.excluded, []);
    assert_eq!(diagnosis.open.len(), causes().count());
    assert!(
        diagnosis.open.iter().all(|one| one.why == "east: forbidden; west: forbidden"),
        "{:#?}",
        diagnosis.open
    );
}

#[test]
fn a_stored_document_is_diagnosed_as_it_was() {
    let (_, all) = fixture::healthy();
    let again = Observations::read(&all.to_json().unwrap()).unwrap();
    assert_eq!(again, all);
    assert_eq!(diagnose(&again), diagnose(&all));
    for other in ["", "{}", r#"{"version": 2, "collected_at": "2026-11-21T00:00:00Z", "clusters": []}"#] {
        assert!(Observations::read(other).is_err(), "{other}");
    }
}
