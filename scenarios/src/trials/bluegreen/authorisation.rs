//! Is a good certificate enough? Green's Envoy lets one identity through.

use crate::{Pods, Stage, stories};
use harness::Result;
use proof::evidence::Must;

use super::{BLUE, GREEN, GREEN_ENVOY, SLEEP, ask, bring_blue_envoy, id, pem, record, said, scene};

stories! {
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
async fn only_the_listed_identity_gets_through(stage: &mut Stage<'_>) -> Result<()> {
    scene(stage).await?;
    bring_blue_envoy(stage, "unlisted").await?;
    stage.ready(BLUE, "blue", "unlisted").await?;
    stage.knows(BLUE, SLEEP, "unlisted.blue", 80).await?;
    stage
        .until("the mesh to know the second Envoy", "RBAC", || async {
            Ok(said(&ask(stage, "unlisted").await?))
        })
        .await?;

    let listed = ask(stage, "envoy").await?;
    stage.shows(LISTED_ANSWERED, Must::have(["200 Hello version"]), said(&listed));
    let unlisted = ask(stage, "unlisted").await?;
    stage.shows(UNLISTED_REFUSED, Must::be("403 RBAC: access denied"), said(&unlisted));
    let record = record(stage, GREEN, GREEN_ENVOY, &unlisted.request).await?;
    stage.shows(
        RULE_RECORDED,
        Must::be("403 rbac_access_denied_matched_policy[none]"),
        format!("{} {}", record.response_code, record.response_code_details.clone().unwrap_or_default()),
    );
    stage.shows(
        REFUSED_HAD_VALID_SVID,
        Must::BeVouchedFor { by: stage.cluster(BLUE)?.name.clone(), id: id(stage, "blue", "unlisted")? },
        pem(&record.downstream_peer_cert),
    );

    let url = format!("https://{}:10443/hello", stage.address(GREEN)?);
    let before = without_certificate(stage).await?;
    let naked = stage.run(BLUE, SLEEP, "curl", &["curl", "-sSk", "-m", "10", &url]).await?;
    let one_more = (before + 1).to_string();
    // What the client reads is chance: the alert, or the end of the connection that comes right after it.
    let counted = stage
        .until("the handshake to be counted", &one_more, async || {
            Ok(without_certificate(stage).await?.to_string())
        })
        .await?;
    stage.shows(NO_CERTIFICATE_NO_HANDSHAKE, Must::be(one_more), counted);
    stage.shows(
        NO_CERTIFICATE_NO_ANSWER,
        Must::lack(["Hello", "RBAC"]),
        format!("{} {}{}", naked.status, naked.stdout, naked.stderr),
    );
    // The pod that may not is in the same mesh and the same namespace: it is not the way that was closed.
    let stands = stage.standing(BLUE, Pods("blue", "app=unlisted")).await?;
    stage.shows(REFUSED_ENVOY_READY, Must::be("2/2 Running"), stands);
    Ok(())
}

/// How many handshakes Green's Envoy has ended because the client showed no certificate.
async fn without_certificate(stage: &Stage<'_>) -> Result<u64> {
    let stats = stage.admin(GREEN, GREEN_ENVOY, "/stats?filter=ssl.fail_verify_no_cert").await?;
    let counts = stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
    Ok(counts.sum())
}
