//! Every cause of the table: a healthy mesh with one fault, and exactly that one is named.

use serde_json::{Value, json};

use super::fixture::{self, Makers};
use super::{each, objects, seen};
use crate::diagnosis::{Diagnosis, Look, Observations, causes, diagnose};
use crate::envoy::Trust;
use crate::envoy::secrets::Content;
use crate::identity::Pem;

type Fault = fn(&mut Observations, &Makers);

const IDENTITIES: &str = "clusterspiffeids.spire.spiffe.io";
const RELATIONSHIPS: &str = "clusterfederatedtrustdomains.spire.spiffe.io";
const DEPLOYMENTS: &str = "deployments.apps";
const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
const POLICIES: &str = "peerauthentications.security.istio.io";

/// Each fault, with what comes of it in a real mesh: a cause must be told from its consequences.
const FAULTS: &[(&str, Fault)] = &[
    ("image-missing", |all, _| {
        let waiting = json!({"waiting": {"reason": "ImagePullBackOff"}});
        let status = json!([{"name": "spire-server", "image": "a:1", "state": waiting}]);
        each(all, "statefulsets.apps", |o| o["status"]["readyReplicas"] = 0.into());
        let pod = &mut objects(all, "pods")[2];
        pod["metadata"]["name"] = "spire-server-0".into();
        pod["metadata"]["namespace"] = "istio-system".into();
        pod["status"]["containerStatuses"] = status;
    }),
    ("container-crashes", |all, _| {
        crashed(all, 2, 3);
        let pod = &mut objects(all, "pods")[2]["metadata"];
        (pod["name"], pod["namespace"]) = ("agent-x".into(), "zt".into());
        of_daemon(all, "agent", |o| o["status"]["numberReady"] = 0.into());
    }),
    ("spire-server-down", |all, _| {
        each(all, "statefulsets.apps", |o| o["status"]["readyReplicas"] = 0.into());
        // The other server cannot fetch from it.
        fetch(all, 1, "failed to dial: connection refused");
    }),
    ("class-filter-skips-resource", |all, _| {
        each(all, RELATIONSHIPS, |o| o["spec"]["className"] = "other".into());
        seen(&mut all.clusters[0].server.relationships).clear();
        lose_trust(all);
    }),
    ("relationship-missing", |all, _| seen(&mut all.clusters[0].server.relationships).clear()),
    ("peer-bundle-missing", |all, _| {
        lose_trust(all);
        each(all, IDENTITIES, |o| o["status"]["stats"]["entryFailures"] = 1.into());
    }),
    ("start-bundle-edit-ignored", |all, makers| {
        seen(&mut all.clusters[0].server.peers)[0] = makers.istiod[1].bundle("west.example");
        all.clusters[0].server.fetches = Look::Seen(vec![]);
    }),
    ("peer-bundle-stale", |all, makers| {
        seen(&mut all.clusters[0].server.peers)[0] = makers.istiod[1].bundle("west.example");
        each(all, RELATIONSHIPS, |o| o["spec"]["trustDomainBundle"] = Value::Null);
    }),
    ("bundle-endpoint-wrong-identity", |all, _| {
        fetch(all, 0, "unexpected ID \"spiffe://west.example/spire/server\"")
    }),
    ("bundle-endpoint-silent", |all, _| {
        fetch(all, 0, "dial tcp 172.18.0.9:8443: connect: connection refused")
    }),
    ("authority-expired", |all, makers| {
        let over = makers.spire[0].renewed(|p| p.not_after = rcgen::date_time_ymd(2026, 11, 20));
        let bundle = seen(&mut all.clusters[0].server.bundle);
        bundle.authorities = crate::identity::Authority::all_in(&Pem::of(&over)).unwrap();
    }),
    ("identity-template-fails", |all, _| {
        each(all, IDENTITIES, |o| o["status"]["stats"]["podEntryRenderFailures"] = 1.into());
        seen(&mut all.clusters[0].server.entries).clear();
    }),
    ("federates-with-unknown-domain", |all, _| {
        each(all, IDENTITIES, |o| {
            o["spec"]["federatesWith"] = json!(["nobody.example"]);
            o["status"]["stats"]["entryFailures"] = 1.into();
        });
        seen(&mut all.clusters[0].server.entries).clear();
    }),
    ("entry-refused", |all, _| {
        each(all, IDENTITIES, |o| o["status"]["stats"]["entryFailures"] = 1.into());
        seen(&mut all.clusters[0].server.entries).clear();
    }),
    ("pod-not-selected", |all, _| {
        each(all, IDENTITIES, |o| {
            o["spec"]["podSelector"] = json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]})
        });
        seen(&mut all.clusters[0].server.entries).clear();
    }),
    ("entry-missing", |all, _| {
        seen(&mut all.clusters[0].server.entries).remove(0);
        seen(&mut all.clusters[0].proxies[0].held).secrets.clear();
    }),
    ("entry-doubled", |all, _| {
        let entries = seen(&mut all.clusters[0].server.entries);
        let mut second = entries[0].clone();
        second.id = "by-hand".into();
        second.federates_with.clear();
        second.selectors = vec!["k8s:ns:istio-test".into(), "k8s:pod-label:app:curl".into()];
        entries.push(second);
    }),
    ("entry-without-federation", |all, _| {
        seen(&mut all.clusters[0].server.entries)[0].federates_with.clear()
    }),
    ("agent-down", |all, _| of_daemon(all, "agent", |o| o["status"]["numberReady"] = 0.into())),
    ("agent-without-pod-attestor", |all, _| {
        seen(&mut all.clusters[0].agents)[0]
            .push_str("\nplugins { WorkloadAttestor \"unix\" { plugin_data {} } }");
        own_trust_only(all);
        seen(&mut all.clusters[0].proxies[1].held).secrets.clear();
    }),
    ("wrong-sds-names", |all, _| {
        let conf = &mut seen(&mut all.clusters[0].agents)[0];
        *conf = conf.replace("default_bundle_name = \"null\"", "");
        own_trust_only(all);
    }),
    // A selector that no node has wants no pod at all.
    ("csi-driver-down", |all, _| {
        of_daemon(all, "csi", |o| o["status"] = json!({"desiredNumberScheduled": 0, "numberReady": 0}));
    }),
    ("csi-volume-not-read-only", |all, _| {
        let csi = json!({"driver": "csi.spiffe.io"});
        objects(all, "pods")[0]["spec"]["volumes"][0]["csi"] = csi;
    }),
    ("socket-misnamed", |all, makers| {
        crashed(all, 0, 4);
        let env = json!([{"name": "WORKLOAD_IDENTITY_SOCKET_FILE", "value": "agent.sock"}]);
        objects(all, "pods")[0]["spec"]["containers"][0]["env"] = env;
        by_istiod(all, makers);
    }),
    ("socket-folder-differs", |all, _| {
        of_daemon(all, "csi", |o| {
            o["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"] = "/run/other".into()
        });
    }),
    ("container-doubled", |all, _| {
        refused(
            all,
            "Pod \"curl-x\" is invalid: spec.initContainers[1].name: Duplicate value: \"istio-proxy\"",
        );
    }),
    ("template-refused", |all, _| {
        refused(
            all,
            "admission webhook \"x\" denied the request: requested template \"nope\" not found; have gateway,sidecar",
        );
    }),
    ("pod-refused", |all, _| refused(all, "exceeded quota: compute")),
    ("sidecar-not-injected", |all, _| {
        objects(all, "pods")[0]["spec"]["containers"][0]["name"] = "curl".into()
    }),
    ("outside-discovery-selectors", |all, _| {
        let mesh = seen(&mut all.clusters[0].mesh);
        mesh["discoverySelectors"] =
            json!([{"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}]);
    }),
    ("socket-not-mounted", |all, makers| {
        objects(all, "pods")[0]["spec"]["volumes"] = json!([{"name": "workload-socket", "emptyDir": {}}]);
        by_istiod(all, makers);
    }),
    ("istiod-issued-certificate", by_istiod),
    ("trust-of-proxy-incomplete", |all, _| own_trust_only(all)),
    ("proxy-without-certificate", |all, _| seen(&mut all.clusters[0].proxies[0].held).secrets.clear()),
    ("istiod-down", |all, _| {
        objects(all, DEPLOYMENTS)[0]["status"] = json!({});
        objects(all, "pods")[0]["spec"]["containers"][0]["name"] = "curl".into();
    }),
    ("remote-secret-missing", |all, _| {
        seen(&mut all.clusters[0].remote_secrets).clear();
        seen(&mut all.clusters[0].remotes).truncate(1);
    }),
    ("remote-secret-expired", |all, _| {
        reader(all).user = None;
        unsynced(all);
    }),
    ("remote-secret-without-rights", |all, _| {
        reader(all).denied = vec!["configmaps".into()];
        unsynced(all);
    }),
    ("remote-secret-unreachable", |all, _| {
        seen(&mut all.clusters[0].remote_secrets)[0].server = "https://203.0.113.1:6443".into();
        unsynced(all);
    }),
    ("gateway-without-network-label", |all, _| {
        each(all, GATEWAYS, |o| o["metadata"]["labels"] = json!({}));
        each(all, "services", |o| o["metadata"]["labels"] = json!({}));
    }),
    ("listener-without-auto-passthrough", |all, _| {
        each(all, GATEWAYS, |o| o["spec"]["listeners"] = json!([{"port": 15443, "protocol": "TCP"}]));
    }),
    ("gateway-without-address", |all, _| {
        each(all, "services", |o| o["status"] = json!({"loadBalancer": {}}))
    }),
    ("gateway-without-endpoint", |all, _| {
        each(all, "endpointslices.discovery.k8s.io", |o| o["endpoints"] = Value::Null);
    }),
    ("clock-skew", |all, _| all.clusters[0].clock = Look::Seen("2026-11-21T09:00:00Z".parse().unwrap())),
    ("trust-domain-of-mesh-differs", |all, _| {
        seen(&mut all.clusters[0].mesh)["trustDomain"] = "cluster.local".into();
    }),
    ("trust-domain-not-accepted", |all, _| {
        seen(&mut all.clusters[0].mesh)["trustDomainAliases"] = Value::Null
    }),
    ("access-log-off", |all, _| {
        seen(&mut all.clusters[0].mesh)["accessLogFile"] = "".into();
        all.symptoms = vec!["one-connection/east→west: the client's record was not collected".into()];
    }),
    ("locality-keeps-traffic", |all, _| {
        objects(all, "pods")[0]["metadata"]["labels"]["istio-locality"] = "east.rack1".into();
        let rule = json!({"metadata": {"name": "near-first", "namespace": "istio-test"}, "spec": {
            "host": "curl.istio-test.svc.cluster.local", "trafficPolicy": {"outlierDetection": {}}}});
        objects(all, "destinationrules.networking.istio.io").push(rule);
        all.symptoms = vec!["every-cluster-answers/east: 24 × v1".into()];
    }),
    ("destination-rule-without-mtls", |all, _| {
        let rule = json!({"metadata": {"name": "plain", "namespace": "istio-test"}, "spec": {
            "host": "curl.istio-test.svc.cluster.local", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}});
        objects(all, "destinationrules.networking.istio.io").push(rule);
    }),
    ("policy-without-mtls", |all, _| each(all, POLICIES, |o| o["spec"]["mtls"]["mode"] = "DISABLE".into())),
];

#[test]
fn every_fault_is_named_and_nothing_else_is() {
    let wrong: Vec<_> = FAULTS
        .iter()
        .filter_map(|(name, fault)| {
            let (makers, mut all) = fixture::healthy();
            fault(&mut all, &makers);
            let named = named(&diagnose(&all));
            (named != [*name]).then(|| format!("{name}: named {named:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_cause_has_its_fault() {
    let faults: Vec<_> = FAULTS.iter().map(|(name, _)| *name).collect();
    let without: Vec<_> = causes().map(|rule| rule.name).filter(|name| !faults.contains(name)).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn two_faults_that_do_not_explain_each_other_are_both_named() {
    let (makers, mut all) = fixture::healthy();
    for (name, fault) in FAULTS {
        if ["entry-doubled", "gateway-without-endpoint"].contains(name) {
            fault(&mut all, &makers);
        }
    }
    assert_eq!(named(&diagnose(&all)), ["entry-doubled", "gateway-without-endpoint"]);
}

/// What is about the same thing in another way: where a socket comes from, and what a proxy lacks.
#[test]
fn other_forms_of_a_fault_are_named_too() {
    let other: [(&str, Fault); 6] = [
        ("gateway-without-address", |all, _| {
            let waits =
                json!([{"type": "Accepted", "status": "Unknown", "message": "Waiting for controller"}]);
            each(all, GATEWAYS, |o| o["status"] = json!({"conditions": waits}));
            objects(all, "services").clear();
        }),
        ("agent-without-pod-attestor", |all, _| {
            let conf = json!({"plugins": {"WorkloadAttestor": [{"unix": {}}, {"docker": {}}]}, "agent": {
                "socket_path": "/tmp/agent/socket", "sds": {"default_svid_name": "default",
                "default_bundle_name": "null", "default_all_bundles_name": "ROOTCA"}}});
            seen(&mut all.clusters[0].agents)[0] = conf.to_string();
        }),
        ("trust-of-proxy-incomplete", |all, _| {
            seen(&mut all.clusters[0].proxies[0].held).secrets.retain(|secret| secret.name != "ROOTCA");
        }),
        // The app has SPIRE's socket, and its sidecar has not.
        ("socket-not-mounted", |all, makers| {
            let none = json!({"name": "workload-socket", "emptyDir": {}});
            let apps = json!({"name": "app", "csi": {"driver": "csi.spiffe.io", "readOnly": true}});
            mounting(all, json!([apps, none]));
            by_istiod(all, makers);
        }),
        ("socket-folder-differs", |all, makers| {
            mounting(all, json!([{"name": "workload-socket", "hostPath": {"path": "/tmp"}}]));
            by_istiod(all, makers);
        }),
        ("istiod-issued-certificate", |all, makers| {
            mounting(all, json!([{"name": "workload-socket", "hostPath": {"path": "/run/agent/"}}]));
            by_istiod(all, makers);
        }),
    ];
    for (name, fault) in other {
        let (makers, mut all) = fixture::healthy();
        fault(&mut all, &makers);
        assert_eq!(named(&diagnose(&all)), [name]);
    }
}

/// Agents that end because there is no server are no cause, and do not explain that there is none.
#[test]
fn a_pod_explains_its_own_workload_and_no_other() {
    let (_, mut all) = fixture::healthy();
    crashed(&mut all, 2, 3);
    let pod = &mut objects(&mut all, "pods")[2]["metadata"];
    (pod["name"], pod["namespace"]) = ("agent-x".into(), "zt".into());
    of_daemon(&mut all, "agent", |o| o["status"]["numberReady"] = 0.into());
    each(&mut all, "statefulsets.apps", |o| o["status"]["readyReplicas"] = 0.into());
    assert_eq!(named(&diagnose(&all)), ["spire-server-down"]);
}

/// A pod without SPIRE's socket explains its own certificate, and not that of another pod.
#[test]
fn what_is_wrong_with_a_pod_explains_nothing_of_another() {
    let (makers, mut all) = fixture::healthy();
    objects(&mut all, "pods")[1]["spec"]["volumes"] = json!([]);
    by_istiod(&mut all, &makers);
    assert_eq!(named(&diagnose(&all)), ["socket-not-mounted", "istiod-issued-certificate"]);
}

#[test]
fn a_row_explains_rows_that_there_are() {
    let names: Vec<_> = causes().map(|rule| rule.name).collect();
    for rule in causes() {
        let unknown: Vec<_> = rule.explains.iter().filter(|name| !names.contains(name)).collect();
        assert!(unknown.is_empty(), "{} explains {unknown:?}", rule.name);
        assert_eq!(names.iter().filter(|name| **name == rule.name).count(), 1, "{}", rule.name);
    }
}

fn named(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.causes.iter().map(|cause| cause.name).collect()
}

fn fetch(all: &mut Observations, i: usize, said: &str) {
    let fetch = &mut seen(&mut all.clusters[i].server.fetches)[0];
    (fetch.status, fetch.said) = (1, said.to_owned());
}

/// What comes of a bundle that is not there: no entry, and proxies with their own domain alone.
fn lose_trust(all: &mut Observations) {
    seen(&mut all.clusters[0].server.peers).clear();
    seen(&mut all.clusters[0].server.entries).clear();
    seen(&mut all.clusters[0].server.fetches).clear();
    own_trust_only(all);
}

fn own_trust_only(all: &mut Observations) {
    for secret in &mut seen(&mut all.clusters[0].proxies[0].held).secrets {
        if let Content::Trust(Trust::PerTrustDomain(domains)) = &mut secret.content {
            domains.truncate(1);
        }
    }
}

fn by_istiod(all: &mut Observations, makers: &Makers) {
    let leaf = makers.istiod[0].svid("spiffe://east.example/ns/istio-test/sa/curl");
    let secret = &mut seen(&mut all.clusters[0].proxies[0].held).secrets[0];
    secret.content = Content::Certificate(Pem::of(&leaf));
}

/// A container that ended so often.
fn crashed(all: &mut Observations, pod: usize, times: u64) {
    let ended = json!({"terminated": {"exitCode": 1}});
    let status = json!([{"name": "c", "ready": false, "restartCount": times, "lastState": ended}]);
    objects(all, "pods")[pod]["status"]["containerStatuses"] = status;
}

/// A sidecar that mounts `workload-socket` where it looks for one.
fn mounting(all: &mut Observations, volumes: Value) {
    let pod = &mut objects(all, "pods")[0]["spec"];
    let mount = json!({"name": "workload-socket", "mountPath": "/var/run/secrets/workload-spiffe-uds"});
    pod["containers"][0]["volumeMounts"] = json!([mount]);
    pod["volumes"] = volumes;
}

fn of_daemon(all: &mut Observations, name: &str, change: impl Fn(&mut Value)) {
    let all = objects(all, "daemonsets.apps").iter_mut();
    all.filter(|o| o["metadata"]["name"] == name).for_each(change);
}

fn refused(all: &mut Observations, words: &str) {
    let failure = json!([{"type": "ReplicaFailure", "status": "True", "message": words}]);
    objects(all, DEPLOYMENTS)[1]["status"]["conditions"] = failure;
}

fn reader(all: &mut Observations) -> &mut crate::diagnosis::Reader {
    seen(&mut seen(&mut all.clusters[0].remote_secrets)[0].reader)
}

fn unsynced(all: &mut Observations) {
    seen(&mut all.clusters[0].remotes)[1].sync_status = "timeout".into();
}
