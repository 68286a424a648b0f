//! What happens when Green's agent starts again? Its token is used up.

use crate::{Fixture, scenarios};
use harness::Result;
use proof::evidence::Must;

use super::{AGENT, Agent, BLUE, GREEN, GREEN_ENVOY, ask, bring_green_envoy, id, lines, node, said, scene};

scenarios! {
    "blue-green-restart" => an_agent_that_lost_its_svid_says_so_and_needs_a_new_token {
        SVID_ON_DISK_SUFFICES: "[S2-16] an agent that starts again with its key and SVID on disk goes on \
            with them and needs no token",
        LOST_SVID_IS_SAID: "[S2-16] an agent that lost its SVID cannot attest again by its token, and its \
            log says so",
        LOST_SVID_NOT_READY: "[S2-16] the agent that lost its SVID is not ready",
        PROCESS_ENDS: "[S2-16] it does not hang: its process ends with an error",
        MEANWHILE_ANSWERED: "[S2-16] meanwhile requests are answered as before: Green's Envoy goes on with \
            the SVID it holds, so only the agent shows the fault",
        NEW_ENVOY_WAITS: "[S2-16] an Envoy that starts meanwhile gets no SVID: by its own account it waits \
            for that secret",
        NEW_ENVOY_NOT_READY: "[S2-16] an Envoy that starts meanwhile is not ready",
        NEW_TOKEN_MAKES_READY: "[S2-16] with a new token the agent gets ready",
        ENVOY_READY_AGAIN: "[S2-16] with the agent the Envoy gets ready by itself: its entry hangs on the \
            agent's other name, which the new token has, too",
        SVID_HELD_AGAIN: "[S2-16] the Envoy holds an SVID of Blue's SPIRE server again",
    },
}

const USED: &str = "join token does not exist or has already been used";
/// How Envoy calls what it waits for, in its list of such things.
const SECRET: &str = "SdsApi default";

/// If this fails, an agent whose SVID is gone hangs in silence, or can be made again without a new token.
async fn an_agent_that_lost_its_svid_says_so_and_needs_a_new_token(fixture: &mut Fixture<'_>) -> Result<()> {
    let agent = scene(fixture).await?;
    Agent { start: 2, ..agent.clone() }.bring(fixture).await?;
    fixture.ready(GREEN, "green", agent.name).await?;
    let log = fixture.log(GREEN, AGENT, "spire-agent").await?;
    fixture.shows(
        SVID_ON_DISK_SUFFICES,
        Must::have(["SVID loaded"]),
        lines(&log, &["SVID loaded", "attestation", "level=error"]),
    );

    let lost = Agent { start: 3, data: format!("{}-lost", agent.data), ..agent.clone() };
    lost.bring(fixture).await?;
    let look = || fixture.log(GREEN, AGENT, "spire-agent");
    let log = fixture.until("the agent to say why it does not start", USED, look).await?;
    fixture.shows(LOST_SVID_IS_SAID, Must::have([USED]), lines(&log, &["level=error", "level=warn"]));
    let stands = fixture.standing(GREEN, AGENT).await?;
    fixture.shows(LOST_SVID_NOT_READY, Must::have(["0/1"]), stands);
    let restarts = fixture.until("the agent to end", "ended", || async {
        let pod = fixture.pod(GREEN, AGENT).await?;
        let containers =
            pod.status.into_iter().flat_map(|status| status.container_statuses.unwrap_or_default());
        let ended = containers.filter_map(|one| {
            let ended = one.state.and_then(|state| state.terminated);
            ended.or_else(|| one.last_state.and_then(|state| state.terminated))
        });
        Ok(ended.map(|end| format!("ended with {}", end.exit_code)).collect::<Vec<_>>().join(" "))
    });
    let restarts = restarts.await?;
    fixture.shows(PROCESS_ENDS, Must::be("ended with 1"), restarts);

    let reply = ask(fixture, "envoy").await?;
    fixture.shows(MEANWHILE_ANSWERED, Must::have(["200 Hello version"]), said(&reply));
    bring_green_envoy(fixture, "2").await?;
    let waits = fixture.until("the new Envoy to wait for its secrets", SECRET, || {
        fixture.admin(GREEN, GREEN_ENVOY, "/init_dump")
    });
    let waits = waits.await?;
    fixture.shows(NEW_ENVOY_WAITS, Must::have([SECRET]), waits);
    let stands = fixture.stands(GREEN, GREEN_ENVOY, "0/1 Running").await?;
    fixture.shows(NEW_ENVOY_NOT_READY, Must::be("0/1 Running"), stands);

    let name = node(fixture)?;
    let token = fixture.join_token(BLUE, &name).await?;
    Agent { start: 4, token, ..lost }.bring(fixture).await?;
    let stands = fixture.stands(GREEN, AGENT, "1/1 Running").await?;
    fixture.shows(NEW_TOKEN_MAKES_READY, Must::be("1/1 Running"), stands);
    let stands = fixture.stands(GREEN, GREEN_ENVOY, "1/1 Running").await?;
    fixture.shows(ENVOY_READY_AGAIN, Must::be("1/1 Running"), stands);
    let held = fixture.own_certificate(GREEN, GREEN_ENVOY).await?;
    fixture.shows(
        SVID_HELD_AGAIN,
        Must::BeSvid { by: fixture.cluster(BLUE)?.name.clone(), id: id(fixture, "green", "envoy")? },
        held,
    );
    Ok(())
}
