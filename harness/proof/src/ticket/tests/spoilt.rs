//! A ticket spoilt in one way each: the right claims break, and what was only cut breaks none.

use super::super::{Declaration, Ticket};
use super::{Folder, by_istioctl, folder, ids, items, judged, observed, said, whole};
use crate::envoy::Trust;
use crate::envoy::secrets::Content;
use crate::identity::Pem;
use crate::verdict::Outcome;
use crate::verdict::fixture::{Fixture, id};

const SVID: &str = "proxy-svid/cluster1/istio-test/curl";
const ROOTS: &str = "proxy-validation-context/cluster1/istio-test/curl";
const NOT_ISTIOD: &str = "proxy-nothing-of-istiod/cluster1/istio-test/curl";
const CURL: &str = "cluster1/curl-7d4b-x.istio-test.json";

fn broken(spoil: impl FnOnce(&mut Fixture)) -> Vec<String> {
    let (mut world, _) = whole();
    spoil(&mut world);
    ids(&judged(&folder(&world)), Outcome::Broken)
}

fn hold(world: &mut Fixture, certificate: String) {
    world.evidence.clusters[0].proxies[0].held.as_mut().unwrap().secrets[1].content =
        Content::Certificate(Pem::of(&certificate));
    world.evidence.handshakes.clear();
}

/// The ticket with another text in that file.
fn with(file: &str, text: impl FnOnce(&str) -> String) -> Folder {
    let (_, mut folder) = whole();
    let found = folder.iter_mut().find(|(name, _)| name == file).unwrap();
    found.1 = text(&found.1);
    folder
}

fn without(file: &str) -> Folder {
    let (_, folder) = whole();
    folder.into_iter().filter(|(name, _)| name != file).collect()
}

#[test]
fn the_silent_fallback_is_found_by_its_key() {
    let broken = broken(|world| {
        let fallback = world.istiod[0].svid(&id(0, 0));
        hold(world, fallback);
    });
    assert_eq!(broken, [SVID, NOT_ISTIOD]);
}

#[test]
fn an_entry_that_does_not_federate_and_a_bundle_that_is_not_held() {
    assert_eq!(
        broken(|world| world.evidence.clusters[1].entries.as_mut().unwrap()[1].federates_with.clear()),
        ["entries-federate/cluster2"]
    );
    assert_eq!(
        broken(|world| world.evidence.clusters[0].peer_bundles = Some(vec![])),
        ["peer-bundle-held/cluster1→cluster2"]
    );
    assert_eq!(
        broken(|world| world.evidence.clusters[0].remote_clusters.as_mut().unwrap()[1].sync_status =
            "timeout".into()),
        ["istiod-reads-peer/cluster1→cluster2"]
    );
}

/// A proxy that does not know the peer at all is broken, whatever the peer's bundle is.
#[test]
fn a_missing_trust_domain_needs_no_bundle_to_be_seen() {
    let (mut world, _) = whole();
    let Content::Trust(Trust::PerTrustDomain(all)) =
        &mut world.evidence.clusters[0].proxies[0].held.as_mut().unwrap().secrets[0].content
    else {
        panic!("roots")
    };
    all.truncate(1);
    let folder: Folder = folder(&world)
        .into_iter()
        .filter(|(name, _)| !name.contains("bundle") && !name.contains("peers"))
        .collect();
    let ticket = judged(&folder);
    assert_eq!(ids(&ticket, Outcome::Broken), [ROOTS]);
    assert!(observed(&ticket, ROOTS).contains("cluster2.local is not there; there is cluster1.local"));
}

/// Two issuers of one trust domain never look broken because somebody cut a certificate before pasting it.
#[test]
fn what_was_cut_before_it_was_pasted_breaks_nothing() {
    for cut in ["xx", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI...", "<redacted>"] {
        let folder = with(CURL, |text| {
            let mut dump: serde_json::Value = serde_json::from_str(text).unwrap();
            dump["dynamicActiveSecrets"][1]["secret"]["tlsCertificate"]["certificateChain"]["inlineBytes"] =
                cut.into();
            dump.to_string()
        });
        let ticket = judged(&folder);
        assert!(ids(&ticket, Outcome::Broken).is_empty(), "{cut}: {:#?}", ticket.verdicts);
        assert!(
            observed(&ticket, SVID).contains("cut or replaced before it was pasted"),
            "{}",
            observed(&ticket, SVID)
        );
        assert!(said(&ticket, CURL).contains("default: "), "{}", said(&ticket, CURL));
    }
    let only_roots = with(CURL, |text| {
        let dump: serde_json::Value = serde_json::from_str(text).unwrap();
        dump["dynamicActiveSecrets"][0].to_string()
    });
    let ticket = judged(&only_roots);
    assert!(ids(&ticket, Outcome::Broken).is_empty(), "{:#?}", ticket.verdicts);
    assert!(observed(&ticket, SVID).contains("only some of the proxy's secrets"));
}

#[test]
fn some_of_the_entries_do_not_tell_that_one_is_missing() {
    let text = |rest: &str| {
        format!(
            "Found {rest}\nEntry ID         : cluster1.1\nSPIFFE ID        : {}\nParent ID        : spiffe://cluster1.local/spire/agent/x\nSelector         : k8s:pod-uid:uid-of-helloworld\nFederatesWith    : cluster2.local\n",
            id(0, 1)
        )
    };
    let ticket = judged(&with("cluster1/entries.json", |_| text("3 entries")));
    assert!(ids(&ticket, Outcome::Broken).is_empty(), "{:#?}", ticket.verdicts);
    let ids_of = ids(&ticket, Outcome::Unjudged);
    assert_eq!(ids_of, ["one-entry-for-each-pod/cluster1", "entries-federate/cluster1"]);
    let all = judged(&with("cluster1/entries.json", |_| text("1 entry")));
    assert!(
        ids(&all, Outcome::Broken).contains(&"entries-federate/cluster1".to_owned()),
        "all of them are here"
    );
    let lonely = judged(&with("cluster1/entries.json", |_| {
        text("3 entries").replace("FederatesWith    : cluster2.local\n", "")
    }));
    assert_eq!(
        ids(&lonely, Outcome::Broken),
        ["entries-federate/cluster1"],
        "one that is here does not federate"
    );
}

/// A dump from an hour before the rest is not called expired, and one that is called so at a given moment is.
#[test]
fn an_older_dump_is_left_open_until_somebody_says_the_moment() {
    let later = with("cluster2/curl-7d4b-x.istio-test.json", |text| {
        text.replace("2026-11-21T00:20:00Z", "2026-11-21T03:00:00Z")
    });
    let ticket = judged(&later);
    assert_eq!(ticket.at.0.to_string(), "2026-11-21T03:00:00Z");
    assert!(ticket.at.1.contains("last_updated in cluster2/curl"), "{}", ticket.at.1);
    assert!(
        observed(&ticket, SVID).contains("expired at") && observed(&ticket, SVID).contains("--at"),
        "{}",
        observed(&ticket, SVID)
    );
    let svids = |ticket: &Ticket, outcome| {
        ids(ticket, outcome).into_iter().filter(|id| id.starts_with("proxy-svid")).count()
    };
    assert_eq!(
        svids(&ticket, Outcome::Broken),
        1,
        "its own certificate had expired by the moment of its own dump: {:#?}",
        ticket.verdicts
    );
    let at =
        |at: &str| Ticket::of(&items(&later), &Declaration::default(), Some(at.parse().unwrap())).unwrap();
    assert_eq!(svids(&at("2026-11-21T00:30:00Z"), Outcome::Held), 6);
    assert_eq!(svids(&at("2026-11-21T03:00Z"), Outcome::Broken), 6);
}

#[test]
fn each_missing_thing_is_asked_for_by_its_command() {
    for (file, command) in [
        ("cluster1/bundle.json", "bundle show -output json > cluster1/"),
        ("cluster1/peers.json", "bundle list -output json > cluster1/"),
        ("cluster1/entries.json", "entry show -output json > cluster1/"),
        ("cluster1/root.json", "get configmap istio-ca-root-cert"),
        ("cluster1/clusterz.json", "/debug/clusterz"),
        ("cluster1/refresh.txt", "federation refresh -id spiffe://cluster2.local"),
        ("cluster1/pods.json", "get pods -A -o json"),
        ("cluster2/services.json", "get service -n istio-system"),
    ] {
        let ticket = judged(&without(file));
        assert!(ids(&ticket, Outcome::Broken).is_empty(), "{file}: {:#?}", ticket.verdicts);
        let commands: Vec<_> = ticket.next.iter().flat_map(|next| &next.commands).collect();
        assert_eq!(commands.len(), 1, "{file}: {commands:#?}");
        assert!(commands[0].contains(command), "{file}: {commands:#?}");
    }
}

/// Clusters of one trust domain have nothing to federate: that is no shared key to be found.
#[test]
fn one_trust_domain_in_two_clusters_is_no_broken_federation() {
    let (world, _) = whole();
    let held =
        |i: usize| by_istioctl(world.evidence.clusters[0].proxies[i].held.as_ref().unwrap()).to_string();
    let folder = vec![("east/a.x.json".to_owned(), held(0)), ("west/b.x.json".to_owned(), held(1))];
    let ticket = judged(&folder);
    assert!(ids(&ticket, Outcome::Broken).is_empty(), "{:#?}", ticket.verdicts);
    assert!(
        ticket.remarks.iter().any(|remark| remark.contains("share a trust domain")),
        "{:?}",
        ticket.remarks
    );
}

#[test]
fn a_declaration_says_whose_a_file_is() {
    let (_, folder) = whole();
    let flat: Folder = folder
        .into_iter()
        .map(|(name, text)| (name.replace("cluster1/", "a-").replace("cluster2/", "b-"), text))
        .collect();
    let declaration: Declaration = serde_json::from_str(
        r#"{"clusters": {"cluster1": {"files": ["a-*"]}, "cluster2": {"files": ["b-*"]}}}"#,
    )
    .unwrap();
    let ticket = Ticket::of(&items(&flat), &declaration, None).unwrap();
    let wrong: Vec<_> = ticket.verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Seen in a healthy mesh: clients keep their connections, and programs use one id for several requests.
#[test]
fn a_connection_that_is_kept_and_an_id_that_is_handed_on_break_nothing() {
    let (mut world, _) = whole();
    let logs = |world: &Fixture| {
        folder(world).into_iter().filter(|(name, _)| name.contains("log-")).collect::<Folder>()
    };
    // Once more on the same connections, under another id.
    for met in &mut world.evidence.handshakes {
        met.reply.request.push_str("-again");
        for record in [met.by_client.as_mut(), met.by_server.as_mut()].into_iter().flatten() {
            record.request_id.as_mut().unwrap().push_str("-again");
        }
    }
    let again = logs(&world);
    // And under one id in both directions, each on a connection of its own.
    for (i, met) in world.evidence.handshakes.iter_mut().enumerate() {
        let number = Some(100 + i as u64);
        met.reply.request = format!("one-{i}");
        let (client, server) = (met.by_client.as_mut().unwrap(), met.by_server.as_mut().unwrap());
        (client.upstream_connection_id, server.connection_id) = (number, number);
        client.upstream_peer_uri_san.clone_from(&server.downstream_local_uri_san);
        server.downstream_peer_uri_san.clone_from(&client.upstream_local_uri_san);
        (client.request_id, server.request_id) = (Some("one".into()), Some("one".into()));
    }
    let (_, whole) = whole();
    let ticket = judged(&[whole, again, logs(&world)].concat());
    let wrong: Vec<_> = ticket.verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Seen in a real mesh: between the request and the dump the proxy got a new certificate.
#[test]
fn a_certificate_that_was_renewed_since_the_request_is_no_other_ones() {
    let (mut world, _) = whole();
    let renewed = world.spire[0].svid(&id(0, 0));
    world.evidence.clusters[0].proxies[0].held.as_mut().unwrap().secrets[1].content =
        Content::Certificate(Pem::of(&renewed));
    let dumped = |at: &str| -> Folder {
        let of = |(name, text): (String, String)| {
            if name == CURL { (name, text.replace("00:20:00Z", at)) } else { (name, text) }
        };
        folder(&world).into_iter().map(of).collect()
    };
    let ticket = judged(&dumped("00:40:00Z"));
    assert!(ids(&ticket, Outcome::Broken).is_empty(), "{:#?}", ticket.verdicts);
    assert!(observed(&ticket, "one-connection/cluster1→cluster2").contains("after that request"));
    let before = judged(&dumped("00:20:00Z"));
    assert_eq!(ids(&before, Outcome::Broken), ["one-connection/cluster1→cluster2"]);
}

/// Several dumps of one proxy are one proxy, called as the one says that knows best.
#[test]
fn a_proxy_that_was_dumped_twice_is_one() {
    let (_, whole) = whole();
    let (_, text) = whole.iter().find(|(name, _)| name == CURL).unwrap().clone();
    let twice: Folder = [vec![("cluster1/a.json".to_owned(), text)], whole].concat();
    let ticket = judged(&twice);
    let wrong: Vec<_> = ticket.verdicts.iter().filter(|verdict| !verdict.held()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!observed(&ticket, SVID).contains("replicas"), "{}", observed(&ticket, SVID));
}

/// Nothing that somebody pasted is passed over in silence, and a secret is warned of without being told.
#[test]
fn what_is_of_no_use_is_named_once_and_secrets_are_warned_of() {
    let pasted = "$ kubectl get nodes\nNAME STATUS\nnode-1 Ready\n$ kubectl logs x\n{\"level\":\"info\",\"msg\":\"a\"}\n{\"level\":\"info\",\"msg\":\"b\"}\n";
    let kubeconfig =
        r#"{"apiVersion": "v1", "kind": "Config", "users": [{"name": "x", "user": {"token": "abc"}}]}"#;
    let joined = "spire-agent run -joinToken 0f8fad5b-d9cb-469f-a165-70867728950e\n";
    let folder: Folder = [("paste.txt", pasted), ("config.json", kubeconfig), ("join.txt", joined)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    let told: Vec<_> =
        items(&folder).iter().map(|item| format!("{}: {}", item.place, item.found.said())).collect();
    let told = told.join("\n");
    assert!(told.contains("paste.txt:2: not understood: what `kubectl get nodes` printed"), "{told}");
    assert_eq!(told.matches("JSON with level, msg").count(), 1, "{told}");
    assert!(
        told.contains("WARNING: a kubeconfig") && told.contains("WARNING: something that looks like a token"),
        "{told}"
    );
    assert!(!told.contains("0f8fad5b") && !told.contains("abc"), "{told}");
}
