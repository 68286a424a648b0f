//! A workload becomes somebody else, by a mistake in its registration.

use harness::Result;
use proof::motion::Answers;
use serde_json::{Value, json};

use super::parts::{Mistake, identity};
use super::{SVID_LIFE, failed_only};
use crate::traffic::Traffic;
use crate::{CLUSTER2, Fixture, scenarios};

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
    let of = CLUSTER2;
    let traffic = Traffic::begin(fixture, &format!("{SVID_LIFE}s")).await?;
    let right = fixture.read(of, &identity()).await?.data["spec"]["spiffeIDTemplate"].clone();
    let named = |template: Value| json!({ "spec": { "spiffeIDTemplate": template } });
    let else_ = json!(
        "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ if eq .PodSpec.ServiceAccountName \"server\" }}\
         somebody-else{{ else }}{{ .PodSpec.ServiceAccountName }}{{ end }}"
    );
    let mistake = Mistake::make(fixture, (traffic, of), (named(else_), named(right)), ELSE_REFUSED).await?;
    let to = fixture.cluster(of)?.name.clone();
    fixture.answered(&mistake.flows, [NEW_TO_SOMEBODY_ELSE, KEPT_TO_SOMEBODY_ELSE], |flow| {
        let window = mistake.window("its entry is another from the first of these on, and right at");
        if flow.way.to == to { failed_only(flow, window) } else { Answers::All }
    })
}
