//! A workload becomes somebody else, by a mistake in its registration.

use harness::Result;
use jiff::Timestamp;
use proof::motion::{Answers, Connection, envoy_asks_again};
use serde_json::{Value, json};

use super::parts::{identity, merge};
use super::{SVID_LIFE, failed_only, window};
use crate::authorities::noticed;
use crate::traffic::Traffic;
use crate::{CLUSTER1, CLUSTER2, Fixture, scenarios};

scenarios! {
    "identity-changed" => a_server_that_becomes_somebody_else_is_refused_until_it_is_itself_again {
        ELSE_REFUSED: "a server whose entry gives it another identity is refused as soon as the agent knows: nothing waits \
            until its SVID is over",
        NEW_TO_SOMEBODY_ELSE each way: "of the requests from {from} to {to} on connections of their own those are refused that \
            meet the second cluster's server while it is somebody else, and no others",
        KEPT_TO_SOMEBODY_ELSE each way: "of those on connections that stay, from {from} to {to}, no others are refused either",
    },
}

/// If this fails, clients take whoever answers, or a mistake in a template cannot be taken back.
async fn a_server_that_becomes_somebody_else_is_refused_until_it_is_itself_again(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let (near, far) = (CLUSTER1, CLUSTER2);
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let own = fixture.timers(far).await?;
    let refused = own.entry_noticed() + noticed();
    fixture.announces("until the first request is refused", &refused)?;
    // The controller manager makes one entry and deletes the other: in between there may be none.
    let answered = own.entry_noticed() + envoy_asks_again() + noticed();
    fixture.announces("until requests are answered again, once the entry is right", &answered)?;
    let right = fixture.read(far, &identity()).await?.data["spec"]["spiffeIDTemplate"].clone();
    let named = |template: Value| json!({ "spec": { "spiffeIDTemplate": template } });
    let else_ = json!(
        "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ if eq .PodSpec.ServiceAccountName \"server\" }}\
         somebody-else{{ else }}{{ .PodSpec.ServiceAccountName }}{{ end }}"
    );
    let changed = Timestamp::now();
    merge(fixture, far, &identity(), &named(else_)).await?;
    let took =
        traffic.first_failure(&fixture.mesh.way(near, far)?, Connection::New, (changed, &refused)).await;
    fixture.took(ELSE_REFUSED, refused, &took)?;
    merge(fixture, far, &identity(), &named(right)).await?;
    let back = Timestamp::now();
    traffic.flows().await?;
    let to = fixture.cluster(far)?.name.clone();
    let flows = traffic.end().await?;
    fixture.answered(&flows, [NEW_TO_SOMEBODY_ELSE, KEPT_TO_SOMEBODY_ELSE], |flow| {
        let because = "its entry is another from the first of these on, and right at";
        let window = window(changed, (back, &answered), &["503"], because);
        if flow.way.to == to { failed_only(flow, window) } else { Answers::All }
    })
}
