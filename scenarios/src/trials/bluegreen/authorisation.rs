//! Is a good certificate enough? Green's Envoy lets one identity through.

use crate::{Fixture, Pods, scenarios};
use harness::Result;
use proof::evidence::Must;

use super::{BLUE, GREEN, GREEN_ENVOY, SLEEP, ask, bring_blue_envoy, id, pem, record, said, scene};

scenarios! {
    "blue-green-authorisation" => only_the_listed_identity_gets_through {
        LISTED_ANSWERED: "[S2-13] the listed identity is answered",
        UNLISTED_REFUSED: "[S2-13] an identity that the rule does not list is refused",
        RULE_RECORDED: "[S2-13] Green's Envoy recorded the rule as the reason of the refusal",
        REFUSED_HAD_VALID_SVID: "[S2-13] the one that was refused had shown a valid SVID of the trust \
            domain: it is authorisation that refused it",
        NO_CERTIFICATE_NO_HANDSHAKE: "[S2-13] a client without any certificate does not get as far as the \
            rule: the handshake fails",
        NO_CERTIFICATE_NO_ANSWER: "[S2-13] and that client gets no answer",
        REFUSED_ENVOY_READY: "[S2-13] the refused Envoy was ready all the while",
    },
}

/// If this fails, whoever has an SVID of the trust domain, or has none, gets at Green's service.
async fn only_the_listed_identity_gets_through(fixture: &mut Fixture<'_>) -> Result<()> {
    scene(fixture).await?;
    bring_blue_envoy(fixture, "unlisted").await?;
    fixture.ready(BLUE, "blue", "unlisted").await?;
    fixture.knows(BLUE, SLEEP, "unlisted.blue", 80).await?;
    fixture
        .until("the mesh to know the second Envoy", "RBAC", || async {
            Ok(said(&ask(fixture, "unlisted").await?))
        })
        .await?;

    let listed = ask(fixture, "envoy").await?;
    fixture.shows(LISTED_ANSWERED, Must::have(["200 Hello version"]), said(&listed));
    let unlisted = ask(fixture, "unlisted").await?;
    fixture.shows(UNLISTED_REFUSED, Must::be("403 RBAC: access denied"), said(&unlisted));
    let record = record(fixture, GREEN, GREEN_ENVOY, &unlisted.request).await?;
    fixture.shows(
        RULE_RECORDED,
        Must::be("403 rbac_access_denied_matched_policy[none]"),
        format!("{} {}", record.response_code, record.response_code_details.clone().unwrap_or_default()),
    );
    fixture.shows(
        REFUSED_HAD_VALID_SVID,
        Must::BeSvid { by: fixture.cluster(BLUE)?.name.clone(), id: id(fixture, "blue", "unlisted")? },
        pem(&record.downstream_peer_cert),
    );

    let url = format!("https://{}:10443/hello", fixture.address(GREEN)?);
    let before = without_certificate(fixture).await?;
    let naked = fixture.run(BLUE, SLEEP, "curl", &["curl", "-sSk", "-m", "10", &url]).await?;
    let one_more = (before + 1).to_string();
    // What the client reads is chance: the alert, or the end of the connection that comes right after it.
    let counted = fixture
        .until("the handshake to be counted", &one_more, async || {
            Ok(without_certificate(fixture).await?.to_string())
        })
        .await?;
    fixture.shows(NO_CERTIFICATE_NO_HANDSHAKE, Must::be(one_more), counted);
    fixture.shows(
        NO_CERTIFICATE_NO_ANSWER,
        Must::lack(["Hello", "RBAC"]),
        format!("{} {}{}", naked.status, naked.stdout, naked.stderr),
    );
    // The pod that may not is in the same mesh and the same namespace: it is not the way that was closed.
    let stands = fixture.standing(BLUE, Pods("blue", "app=unlisted")).await?;
    fixture.shows(REFUSED_ENVOY_READY, Must::be("2/2 Running"), stands);
    Ok(())
}

/// How many handshakes Green's Envoy has ended because the client showed no certificate.
async fn without_certificate(fixture: &Fixture<'_>) -> Result<u64> {
    let stats = fixture.admin(GREEN, GREEN_ENVOY, "/stats?filter=ssl.fail_verify_no_cert").await?;
    let counts = stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
    Ok(counts.sum())
}
