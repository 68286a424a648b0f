//! Is plain text refused, as the page (001) means?

use crate::{CLUSTER1, Fixture, OUTSIDER, Pods, scenarios};
use harness::Result;
use kube::ResourceExt as _;
use proof::evidence::{Must, Reply};
use serde_json::json;

use super::{CALLER, MYAPI, URL, scene};

scenarios! {
    "template-strictness" => the_policy_selects_nothing_until_its_selector_is_corrected {
        SELECTS_NO_POD: "[S1-4] the page's PeerAuthentication selects no pod: it names `role: myapi`, its \
            Deployment has `app: myapi`",
        PLAIN_TEXT_LET_IN: "[S1-4] as written STRICT lets plain text in: a pod without a sidecar is answered",
        PLAIN_TEXT_REFUSED: "[S1-4] with `app: myapi` in its selector the same request in plain text gets \
            no answer",
        NO_FILTER_CHAIN: "[S1-4] the server's sidecar wrote why: no filter chain of its listener takes \
            plain text",
        MESHED_CLIENT_ANSWERED: "[S1-4] a client with a sidecar is answered all the same",
    },
}

/// curl's status when the peer closes the connection instead of answering.
const RESET: &str = "no status, and curl exits with 56";

/// If this fails, the page's policy does something else than its letters say, or does not do it once it is corrected.
async fn the_policy_selects_nothing_until_its_selector_is_corrected(fixture: &mut Fixture<'_>) -> Result<()> {
    scene(fixture).await?;
    let selected = fixture.pod_if_any(CLUSTER1, Pods("myapi", "role=myapi")).await?;
    let selected = selected.map_or_else(|| "no pod".to_owned(), |pod| pod.name_any());
    fixture.shows(SELECTS_NO_POD, Must::be("no pod"), selected);
    // kube-proxy needs a moment for a new endpoint.
    let look = || async { Ok(fixture.ask(CLUSTER1, OUTSIDER, "curl", URL).await?.status.to_string()) };
    fixture.until("the Service to lead there", "200", look).await?;
    let open = fixture.ask(CLUSTER1, OUTSIDER, "curl", URL).await?;
    fixture.shows(PLAIN_TEXT_LET_IN, Must::be("200"), open.status.to_string());

    let policy = crate::peer_authentication("myapi", "myapi");
    let corrected = json!({ "spec": { "selector": { "matchLabels": { "role": null, "app": "myapi" } } } });
    fixture.change(CLUSTER1, &policy, &corrected).await?;
    // istiod needs a moment to tell the sidecar; what is judged is asked after that.
    fixture
        .until("plain text to be refused", RESET, || async {
            Ok(answer(&fixture.ask(CLUSTER1, OUTSIDER, "curl", URL).await?))
        })
        .await?;
    let refused = fixture.ask(CLUSTER1, OUTSIDER, "curl", URL).await?;
    fixture.shows(PLAIN_TEXT_REFUSED, Must::have([RESET]), answer(&refused));
    let log = fixture
        .until("the sidecar to write why", "filter_chain_not_found", || {
            fixture.log(CLUSTER1, MYAPI, "istio-proxy")
        })
        .await?;
    fixture.shows(
        NO_FILTER_CHAIN,
        Must::have(["filter_chain_not_found"]),
        log.lines().filter(|line| line.contains("\"request_id\"")).collect::<Vec<_>>().join("\n"),
    );
    let meshed = fixture.ask(CLUSTER1, CALLER, "curl", URL).await?;
    fixture.shows(MESHED_CLIENT_ANSWERED, Must::be("200"), meshed.status.to_string());
    Ok(())
}

fn answer(reply: &Reply) -> String {
    let status = if reply.status == 0 { "no status".to_owned() } else { reply.status.to_string() };
    format!("{status}, and curl exits with {}: {}", reply.exit, reply.body)
}
