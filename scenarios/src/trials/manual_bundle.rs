//! Does trust need the federation API? The guide (004) exchanges bundles by hand, with `bundle show` and `bundle set`.

use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, HELLOWORLD, Nth, scenarios};
use harness::spire;
use harness::{Code, Error, Result};
use proof::claim::{Claim, due};
use proof::evidence::{Control, Must};
use proof::topology::Topology;
use serde_json::{Value, json};

scenarios! {
    "manual-bundle", owes by_hand => bundles_exchanged_by_hand_federate_as_well {
        SERVER_SHOWS_BUNDLE each cluster: "[S4-4] the SPIRE server of {cluster} shows its bundle in \
            SPIFFE's form",
        BUNDLE_SET_BY_HAND each way: "[S4-6] the bundle of {to} can be set by hand",
        BUNDLE_LISTED each way: "[S4-6, S4-44] `bundle list` then shows the bundle of {to} at its peer",
        NO_REFRESH_HINT each way: "[S4-34] the bundle of {to} as set by hand has no refresh hint, and \
            without one SPIRE polls after a fortieth of its authority's life",
    },
    "two-authorities" => a_bundle_with_two_authorities_needs_both_in_the_exchange {
        REFRESHED_AT_ONCE: "[S4-34] `federation refresh` fetches at once what the peer publishes, with its \
            refresh hint",
        NEW_AUTHORITY_HELD: "[S4-34] then a new authority of the peer is there before it is used",
        ONE_AUTHORITY_SIGNS: "exactly one of the two authorities signs at present",
        ONLY_THE_SIGNER_HELD: "[S4-6] a bundle set from one certificate holds one of the two authorities: \
            the one that signs",
        ONLY_THE_PREPARED_HELD: "[S4-6] a bundle set from one certificate holds one of the two \
            authorities: the prepared one",
        FAR_CERTIFICATE_REFUSED: "[S4-6, S4-44] with only the other of two authorities in the bundle, the \
            far certificate is refused",
        FAR_CERTIFICATE_ACCEPTED: "[S4-6] with every certificate of the bundle in it, the far certificate \
            is accepted",
    },
    "given-bundle" => a_federated_trust_domain_loads_the_bundle_that_it_carries {
        GIVEN_BUNDLE_LOADED: "[S4-5, S4-6] a ClusterFederatedTrustDomain that names the manager's class \
            loads the bundle that it carries, with no endpoint to fetch it from",
        CLASSLESS_LOADS_NOTHING: "[S4-6] without className, as the guide has it, it loads nothing, and \
            nobody says so",
    },
}

/// The same claims as of a federation by its API.
fn by_hand(topology: &Topology) -> Vec<Claim> {
    let all = due::withdrawn(topology, Control::PeerBundleTakenAway, "with-the-bundles-exchanged-by-hand");
    all.into_iter().map(|claim| claim.when(Some("with-the-bundles-exchanged-by-hand"))).collect()
}

const GIVEN: &str = "guide/given-bundle.yaml";
const WAYS: [(Nth, Nth); 2] = [(CLUSTER1, CLUSTER2), (CLUSTER2, CLUSTER1)];

/// If this fails, clusters whose bundle endpoints cannot reach each other cannot be federated at all.
async fn bundles_exchanged_by_hand_federate_as_well(fixture: &mut Fixture<'_>) -> Result<()> {
    for (here, there) in WAYS {
        fixture.remove(here, &relationship(fixture, there)?).await?;
        spire::delete_bundle_of_peer(fixture.api(here)?, &domain(fixture, there)?).await?;
    }
    fixture.mesh.sidecars_believe_in(1).await?;
    for (from, to) in WAYS {
        let refused =
            fixture.mesh.refused(Control::PeerBundleTakenAway, &fixture.mesh.way(from, to)?).await?;
        fixture.seen.refusals.extend(refused);
    }
    for (here, there) in WAYS {
        let shown = spire::bundle(fixture.api(there)?).await?;
        let way = fixture.mesh.way(here, there)?;
        fixture.shows(
            SERVER_SHOWS_BUNDLE.of(&way.to),
            Must::have(["\"keys\"", "\"x509-svid\"", "\"x5c\""]),
            &shown,
        );
        let said = set(fixture, here, &domain(fixture, there)?, &authorities(&shown)?.concat()).await?;
        fixture.shows(BUNDLE_SET_BY_HAND.on(&way), Must::have(["bundle set."]), said);
        let listed = list(fixture, here, there).await?;
        fixture.shows(BUNDLE_LISTED.on(&way), Must::be(authorities(&shown)?.concat()), listed);
        let held = document(fixture, here, there).await?;
        fixture.shows(NO_REFRESH_HINT.on(&way), Must::lack(["spiffe_refresh_hint"]), held);
    }
    fixture.mesh.sidecars_believe_in(2).await?;
    for (from, to) in WAYS {
        fixture.mesh.answers_again(&fixture.mesh.way(from, to)?).await?;
        fixture.mesh.gateways(fixture.seen)?;
        fixture.mesh.handshakes(fixture.seen, &fixture.mesh.way(from, to)?).await?;
    }
    Ok(())
}

/// If this fails, rotation of an authority breaks the mesh where bundles are exchanged by hand: the guide's pipe takes
/// the first certificate that it finds.
async fn a_bundle_with_two_authorities_needs_both_in_the_exchange(fixture: &mut Fixture<'_>) -> Result<()> {
    let far = domain(fixture, CLUSTER2)?;
    spire::command(fixture.api(CLUSTER2)?, &["localauthority", "x509", "prepare"]).await?;
    let id = format!("spiffe://{far}");
    spire::command(fixture.api(CLUSTER1)?, &["federation", "refresh", "-id", &id]).await?;
    let held = fixture
        .until("the refresh", "spiffe_refresh_hint", async || document(fixture, CLUSTER1, CLUSTER2).await)
        .await?;
    fixture.shows(REFRESHED_AT_ONCE, Must::have(["spiffe_refresh_hint"]), &held);
    fixture.shows(
        NEW_AUTHORITY_HELD,
        Must::be("2 authorities"),
        format!("{} authorities", authorities(&held)?.len()),
    );

    fixture.remove(CLUSTER1, &relationship(fixture, CLUSTER2)?).await?;
    let both = authorities(&spire::bundle(fixture.api(CLUSTER2)?).await?)?;
    let leaf = fixture.own_certificate(CLUSTER2, HELLOWORLD).await?;
    let (used, prepared): (Vec<_>, Vec<_>) = both.iter().partition(|pem| signed(&leaf, pem));
    fixture.shows(ONE_AUTHORITY_SIGNS, Must::be("1 of 2"), format!("{} of {}", used.len(), both.len()));
    for (fact, pems) in [(ONLY_THE_SIGNER_HELD, &used), (ONLY_THE_PREPARED_HELD, &prepared)] {
        set(fixture, CLUSTER1, &far, &pems.iter().map(|pem| pem.as_str()).collect::<String>()).await?;
        let held = list(fixture, CLUSTER1, CLUSTER2).await?.matches("BEGIN").count();
        fixture.shows(fact, Must::be("1 of 2"), format!("{held} of {}", both.len()));
    }
    let refused =
        fixture.until("the refusal", "CERTIFICATE_VERIFY_FAILED", async || why(fixture).await).await?;
    fixture.shows(FAR_CERTIFICATE_REFUSED, Must::have(["CERTIFICATE_VERIFY_FAILED"]), refused);
    set(fixture, CLUSTER1, &far, &both.concat()).await?;
    let answered = fixture.until("an answer", "200", async || status(fixture).await).await?;
    fixture.shows(FAR_CERTIFICATE_ACCEPTED, Must::be("200"), answered);
    Ok(())
}

/// If this fails, a bundle in a ClusterFederatedTrustDomain has to be loaded by hand after all, as the guide says.
async fn a_federated_trust_domain_loads_the_bundle_that_it_carries(fixture: &mut Fixture<'_>) -> Result<()> {
    let bundle = spire::bundle(fixture.api(CLUSTER2)?).await?;
    let mut classless = given(fixture, "classless", &bundle)?;
    for object in &mut classless {
        object["spec"].as_object_mut().and_then(|spec| spec.remove("className"));
    }
    fixture.bring_objects(CLUSTER1, classless).await?;
    fixture.bring_objects(CLUSTER1, given(fixture, "given", &bundle)?).await?;
    let loaded = fixture.until("the bundle", "keys", async || held(fixture, "given.example").await).await;
    // The manager takes all of them in one pass, so the earlier one has had its turn.
    let classless = held(fixture, "classless.example").await?;
    for name in ["given", "classless"] {
        fixture.take(CLUSTER1, GIVEN, &[("NAME", name), ("BUNDLE", "")]).await?;
    }
    spire::delete_bundle_of_peer(fixture.api(CLUSTER1)?, "given.example").await?;
    fixture.shows(GIVEN_BUNDLE_LOADED, Must::have(["\"keys\"", "\"x509-svid\""]), loaded?);
    fixture.shows(CLASSLESS_LOADS_NOTHING, Must::be("nothing"), classless);
    Ok(())
}

fn given(fixture: &Fixture<'_>, name: &str, bundle: &str) -> Result<Vec<Value>> {
    fixture.manifest(CLUSTER1, GIVEN, &[("NAME", name), ("BUNDLE", bundle.trim_end())])
}

async fn held(fixture: &Fixture<'_>, domain: &str) -> Result<String> {
    Ok(spire::bundle_of_peer(fixture.api(CLUSTER1)?, domain).await?.unwrap_or_else(|| "nothing".to_owned()))
}

fn domain(fixture: &Fixture<'_>, cluster: Nth) -> Result<String> {
    Ok(fixture.cluster(cluster)?.trust_domain.clone())
}

/// The resource by which the controller manager federates with that cluster.
fn relationship(fixture: &Fixture<'_>, cluster: Nth) -> Result<Value> {
    Ok(json!({
        "apiVersion": "spire.spiffe.io/v1alpha1", "kind": "ClusterFederatedTrustDomain",
        "metadata": { "name": fixture.cluster(cluster)?.name }
    }))
}

/// Every X.509 authority of a bundle document as PEM: all keys, where the guide's `jq … | openssl x509` keeps one.
fn authorities(bundle: &str) -> Result<Vec<String>> {
    let bundle: Value =
        serde_json::from_str(bundle).map_err(|e| Error::new(Code::Evidence, "the bundle").because(e))?;
    let keys = bundle["keys"].as_array().into_iter().flatten().filter(|key| key["use"] == "x509-svid");
    Ok(keys.filter_map(|key| key["x5c"][0].as_str()).map(pem).collect())
}

fn pem(base64: &str) -> String {
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn signed(leaf: &str, authority: &str) -> bool {
    use proof::identity::{Authority, Pem};
    let authorities = Authority::all_in(&Pem::of(authority)).unwrap_or_default();
    Pem::of(leaf).chain().is_ok_and(|chain| chain.signer(&authorities).is_some())
}

async fn set(fixture: &Fixture<'_>, here: Nth, domain: &str, pem: &str) -> Result<String> {
    let id = format!("spiffe://{domain}");
    spire::command_fed(fixture.api(here)?, &["bundle", "set", "-format", "pem", "-id", &id], pem).await
}

async fn list(fixture: &Fixture<'_>, here: Nth, there: Nth) -> Result<String> {
    let id = format!("spiffe://{}", domain(fixture, there)?);
    spire::command(fixture.api(here)?, &["bundle", "list", "-format", "pem", "-id", &id]).await
}

/// The peer's bundle as the server holds it, in SPIFFE's form.
async fn document(fixture: &Fixture<'_>, here: Nth, there: Nth) -> Result<String> {
    let held = spire::bundle_of_peer(fixture.api(here)?, &domain(fixture, there)?).await?;
    held.ok_or_else(|| Error::new(Code::Evidence, "the server holds no bundle of its peer"))
}

/// What the client's sidecar says of a call to the far version.
async fn why(fixture: &Fixture<'_>) -> Result<String> {
    let url = format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER2)?.version);
    let reply = fixture.ask(CLUSTER1, CURL, "curl", &url).await?;
    let records = fixture.records(CLUSTER1, CURL, &reply.request).await?;
    let reasons = records.into_iter().filter_map(|record| record.upstream_transport_failure_reason);
    Ok(format!("status {}: {}", reply.status, reasons.collect::<Vec<_>>().join(" ")))
}

async fn status(fixture: &Fixture<'_>) -> Result<String> {
    let url = format!("http://helloworld-{}.istio-test:5000/hello", fixture.cluster(CLUSTER2)?.version);
    Ok(fixture.ask(CLUSTER1, CURL, "curl", &url).await?.status.to_string())
}
