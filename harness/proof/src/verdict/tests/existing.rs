//! Clusters that others made: judged by what they were told there, and what could not be looked at says why.

use super::super::fixture::*;
use super::super::{Outcome, Verdict, judge_one};
use crate::envoy::secrets::{Content, DomainTrust};
use crate::envoy::{Held, Trust};
use crate::evidence::{Evidence, Part, Proxy};
use crate::identity::Pem;
use crate::identity::forge::Ca;

/// What becomes of a claim in a good mesh of others, after a change.
fn judged(claim: &str, change: impl FnOnce(&Fixture, &mut Evidence)) -> Verdict {
    let world = Fixture::good();
    let mut evidence = world.evidence.clone();
    evidence.as_registered = true;
    change(&world, &mut evidence);
    judge_one(&evidence, &claim.parse().unwrap())
}

fn trust(proxy: &mut Proxy) -> &mut Vec<DomainTrust> {
    let held: &mut Held = proxy.held.as_mut().unwrap();
    let roots = held.secrets.iter_mut().find(|secret| secret.name == "ROOTCA").unwrap();
    match &mut roots.content {
        Content::Trust(Trust::PerTrustDomain(domains)) => domains,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_workload_is_who_its_entry_says() {
    const CURL: &str = "proxy-svid/cluster1/istio-test/curl";
    const OWN: &str = "spiffe://cluster1.local/team/shop/curl";
    let entry =
        |e: &mut Evidence| e.clusters[0].entries.as_mut().unwrap()[0].spiffe_id = OWN.parse().unwrap();
    let shows = |world: &Fixture, e: &mut Evidence, id: &str| {
        let svid = Content::Certificate(Pem::of(&world.spire[0].svid(id)));
        let secrets = &mut e.clusters[0].proxies[0].held.as_mut().unwrap().secrets;
        secrets.iter_mut().find(|secret| secret.name == "default").unwrap().content = svid;
    };
    assert!(judged(CURL, |_, _| {}).held());
    let other = judged(CURL, |_, e| entry(e));
    assert!(other.verdict == Outcome::Broken && other.expected.contains(OWN), "{other:?}");
    let own = |world: &Fixture, e: &mut Evidence| {
        entry(e);
        shows(world, e, OWN);
    };
    assert!(judged(CURL, own).held());
    assert!(judged("entries-federate/cluster1", own).held());
    let declared = judged(CURL, |world, e| {
        own(world, e);
        e.as_registered = false;
    });
    assert_eq!(declared.verdict, Outcome::Broken, "a set-up of ours declares beforehand");
    let two = judged(CURL, |_, e| {
        let entries = e.clusters[0].entries.as_mut().unwrap();
        entries.push(entries[0].clone());
        entries[0].spiffe_id = OWN.parse().unwrap();
    });
    assert!(two.verdict == Outcome::Unjudged && two.observed.contains("which of 2 identities"), "{two:?}");
}

#[test]
fn an_entry_selects_by_what_was_looked_at() {
    const ONE: &str = "one-entry-for-each-pod/cluster1";
    let by_label = |looked: bool, value: &'static str| {
        judged(ONE, move |_, e| {
            let selectors = ["k8s:ns:istio-test".to_owned(), format!("k8s:pod-label:app:{value}")];
            e.clusters[0].entries.as_mut().unwrap()[0].selectors = selectors.into();
            for proxy in e.clusters[0].proxies.iter_mut().filter(|_| looked) {
                proxy.selectors = vec![format!("k8s:pod-label:app:{}", proxy.workload.service_account)];
            }
        })
    };
    assert!(by_label(true, "curl").held());
    assert_eq!(by_label(true, "other").verdict, Outcome::Broken);
    assert_eq!(by_label(false, "curl").verdict, Outcome::Unjudged, "labels are not known");
}

#[test]
fn whom_else_its_entry_names_a_workload_may_believe() {
    const CURL: &str = "proxy-validation-context/cluster1/istio-test/curl";
    let third = Ca::named("third.example");
    let believes = |e: &mut Evidence| {
        let one = DomainTrust { trust_domain: "third.example".into(), bundle: Pem::of(&third.pem) };
        trust(&mut e.clusters[0].proxies[0]).push(one);
    };
    let told = |e: &mut Evidence| {
        e.clusters[0].entries.as_mut().unwrap()[0].federates_with.push("third.example".parse().unwrap());
        e.clusters[0].peer_bundles.as_mut().unwrap().push(third.bundle("third.example"));
    };
    let untold = judged(CURL, |_, e| believes(e));
    assert!(untold.verdict == Outcome::Broken && untold.observed.contains("it also believes third.example"));
    let both = judged(CURL, |_, e| {
        believes(e);
        told(e);
    });
    assert!(both.held(), "{both:?}");
    let gone = judged(CURL, |_, e| told(e));
    assert!(
        gone.verdict == Outcome::Broken && gone.observed.contains("third.example is not there"),
        "{gone:?}"
    );
    let unread = judged(CURL, |_, e| {
        believes(e);
        told(e);
        e.clusters[0].peer_bundles = None;
        e.clusters[0].unread.insert(Part::PeerBundles, "you may not".into());
    });
    assert!(unread.verdict == Outcome::Unjudged && unread.observed.contains("you may not"), "{unread:?}");
}

/// What was left out is said, what could not be asked is missing, and what is broken is so all the same.
#[test]
fn of_many_replicas_each_counts() {
    const CURL: &str = "proxy-svid/cluster1/istio-test/curl";
    let more = |e: &mut Evidence, name: &str, change: &dyn Fn(&mut Proxy)| {
        let mut proxy = e.clusters[0].proxies[0].clone();
        proxy.workload.pod = name.into();
        change(&mut proxy);
        e.clusters[0].proxies.push(proxy);
    };
    let left_out = |proxy: &mut Proxy| (proxy.held, proxy.left_out) = (None, true);
    let unread = |proxy: &mut Proxy| (proxy.held, proxy.unread) = (None, Some("you may not".into()));
    let verdict = judged(CURL, |_, e| more(e, "curl-2", &left_out));
    assert!(verdict.held() && verdict.observed.ends_with("; 1 more were left out"), "{verdict:?}");
    let verdict = judged(CURL, |_, e| more(e, "curl-2", &unread));
    assert_eq!(verdict.verdict, Outcome::Unjudged);
    assert!(verdict.observed.contains("curl-2: you may not"), "{verdict:?}");
    let verdict = judged(CURL, |w, e| {
        more(e, "curl-2", &unread);
        let foreign = Content::Certificate(Pem::of(&w.istiod[0].svid(&id(0, 0))));
        e.clusters[0].proxies[0].held.as_mut().unwrap().secrets[1].content = foreign;
    });
    assert_eq!(verdict.verdict, Outcome::Broken, "{verdict:?}");
}

#[test]
fn istiods_call_a_cluster_as_they_were_told() {
    const READS: &str = "istiod-reads-peer/cluster1→cluster2";
    let called = |ids: [&'static str; 2]| {
        judged(READS, move |_, e| {
            for (seen, id) in e.clusters.iter_mut().zip(ids) {
                seen.istio_id = Some(id.into());
            }
            let remotes = e.clusters[0].remote_clusters.as_mut().unwrap();
            (remotes[0].id, remotes[1].id) = (ids[0].into(), "east".into());
        })
    };
    assert!(called(["west", "east"]).held());
    assert_eq!(called(["west", "cluster2"]).verdict, Outcome::Broken);
    let same = called(["east", "east"]);
    assert!(
        same.verdict == Outcome::Broken && same.observed.contains("both call themselves east"),
        "{same:?}"
    );
}

/// Each part that could not be looked at: the claims that need it say why.
#[test]
fn what_could_not_be_looked_at_says_why() {
    type Lose = fn(&mut Evidence);
    let parts: [(Part, &str, Lose); 7] = [
        (Part::Bundle, "bundles-share-no-key/cluster1↔cluster2", |e| e.clusters[0].bundle = None),
        (Part::PeerBundles, "peer-bundle-held/cluster1→cluster2", |e| e.clusters[0].peer_bundles = None),
        (Part::Fetches, "peer-bundle-fetched/cluster1→cluster2", |e| e.clusters[0].fetches = None),
        (Part::Entries, "one-entry-for-each-pod/cluster1", |e| e.clusters[0].entries = None),
        (Part::IstiodRoot, "proxy-nothing-of-istiod/cluster1/istio-test/curl", |e| {
            e.clusters[0].istiod_root = None
        }),
        (Part::RemoteClusters, "istiod-reads-peer/cluster1→cluster2", |e| {
            e.clusters[0].remote_clusters = None
        }),
        (Part::Proxies, "entries-federate/cluster1", |e| e.clusters[0].proxies.clear()),
    ];
    for (part, claim, lose) in parts {
        let verdict = judged(claim, |_, e| {
            lose(e);
            e.clusters[0].unread.insert(part, "you may not create pods/exec".into());
        });
        assert_eq!(verdict.verdict, Outcome::Unjudged, "{verdict:?}");
        assert!(verdict.observed.ends_with("last seen: you may not create pods/exec"), "{verdict:?}");
    }
}

/// Clusters that share a trust domain and its authorities exchange nothing, and their workloads believe what both publish.
#[test]
fn clusters_of_one_trust_domain_are_judged_as_one() {
    let one = |claim: &str| {
        judged(claim, |w, e| {
            e.clusters[1].cluster.trust_domain = domain(0);
            e.clusters[1].bundle = Some(w.spire[0].bundle(&domain(0)));
            for seen in &mut e.clusters {
                seen.entries.iter_mut().flatten().for_each(|entry| entry.federates_with.clear());
                seen.proxies.iter_mut().for_each(|proxy| drop(trust(proxy).remove(1)));
            }
        })
    };
    for held in ["entries-federate/cluster1", "proxy-validation-context/cluster1/istio-test/curl"] {
        let verdict = one(held);
        assert!(verdict.held(), "{verdict:?}");
    }
}
