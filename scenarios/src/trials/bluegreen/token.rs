//! How does Green's agent come to trust Blue's server, and the server to trust it?

use crate::{Fixture, Pods, scenarios};
use harness::{Result, spire};
use proof::evidence::Must;
use proof::identity::entries_of;

use super::{AGENT, Agent, BLUE, GREEN, bundle_of, lines, listed, node};

scenarios! {
    "blue-green-bundle" => an_agent_with_the_wrong_bundle_refuses_the_server_and_keeps_its_token {
        WRONG_BUNDLE_REFUSED: "[S2-12] an agent that was given another server's bundle refuses Blue's \
            server, and its log says that an unknown authority signed",
        WRONG_BUNDLE_NOT_READY: "[S2-12] with the wrong bundle the agent is not ready",
        NOBODY_ATTESTED: "[S2-12] with the wrong bundle no agent was attested",
        OWN_BUNDLE_READY: "[S2-12] with Blue's own bundle the same agent gets ready: the token had not \
            been given away",
        STARTED_FROM_BUNDLE: "[S2-12] it started from the bundle that it was given, without insecure \
            bootstrap",
        NO_INSECURE_BOOTSTRAP: "[S2-12] nothing in its log speaks of insecure bootstrap",
    },
    "blue-green-token" => a_token_attests_one_agent_once {
        SECOND_AGENT_REFUSED: "[S2-15] a second agent with the same token is refused, and its log says \
            that the token was used",
        SECOND_AGENT_NOT_READY: "[S2-15] the second agent is not ready",
        FIRST_AGENT_UNHARMED: "[S2-15] the first agent is not harmed by it",
        LISTED_BY_TOKEN: "[S2-15] the server lists the agent under an ID of the join_token kind, which is \
            the token itself",
        NO_REATTESTATION: "[S2-15] the server knows that it cannot attest again",
        NAME_IS_AN_ENTRY: "[S2-15] the name given with the token is an entry whose parent is that agent: \
            other entries can hang on it",
    },
}

const UNKNOWN: &str = "certificate signed by unknown authority";
const USED: &str = "join token does not exist or has already been used";

/// If this fails, an agent that knows the wrong authority gives its token to whoever answers.
async fn an_agent_with_the_wrong_bundle_refuses_the_server_and_keeps_its_token(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    fixture.bring(GREEN, "bluegreen/green.yaml", &[]).await?;
    let right = Agent::new(fixture).await?;
    let wrong = Agent { bundle: bundle_of(fixture, GREEN).await?, ..right.clone() };
    wrong.bring(fixture).await?;
    let log =
        fixture.until("the agent to say why it does not start", UNKNOWN, || log_of(fixture, AGENT)).await?;
    fixture.shows(WRONG_BUNDLE_REFUSED, Must::have([UNKNOWN]), lines(&log, &["level=error", "level=warn"]));
    let stands = fixture.standing(GREEN, AGENT).await?;
    fixture.shows(WRONG_BUNDLE_NOT_READY, Must::have(["0/1"]), stands);
    let seen = listed(fixture, &right.token).await?;
    fixture.shows(NOBODY_ATTESTED, Must::be("no agent of this token"), seen);

    Agent { start: 2, ..right.clone() }.bring(fixture).await?;
    let stands = fixture.stands(GREEN, AGENT, "1/1 Running").await?;
    fixture.shows(OWN_BUNDLE_READY, Must::be("1/1 Running"), stands);
    let log = log_of(fixture, AGENT).await?;
    fixture.shows(
        STARTED_FROM_BUNDLE,
        Must::have(["Bundle loaded", "Node attestation was successful"]),
        log.clone(),
    );
    fixture.shows(
        NO_INSECURE_BOOTSTRAP,
        Must::lack(["nsecure bootstrap", "skipping server certificate verification"]),
        log,
    );
    Ok(())
}

/// If this fails, whoever finds a used token can be an agent.
async fn a_token_attests_one_agent_once(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.bring(GREEN, "bluegreen/green.yaml", &[]).await?;
    let first = Agent::new(fixture).await?;
    first.bring(fixture).await?;
    fixture.ready(GREEN, "green", first.name).await?;
    as_listed(fixture, &first).await?;

    let data = format!("{}-second", first.data);
    let second = Agent { name: "second-agent", port: "9984", data, ..first.clone() };
    second.bring(fixture).await?;
    let pods = Pods("green", "app=second-agent");
    let log = fixture
        .until("the second agent to say why it does not start", USED, || log_of(fixture, pods))
        .await?;
    fixture.shows(SECOND_AGENT_REFUSED, Must::have([USED]), lines(&log, &["level=error", "level=warn"]));
    let stands = fixture.standing(GREEN, pods).await?;
    fixture.shows(SECOND_AGENT_NOT_READY, Must::have(["0/1"]), stands);
    let stands = fixture.standing(GREEN, AGENT).await?;
    fixture.shows(FIRST_AGENT_UNHARMED, Must::be("1/1 Running"), stands);
    Ok(())
}

async fn as_listed(fixture: &mut Fixture<'_>, agent: &Agent) -> Result<()> {
    let seen = listed(fixture, &agent.token).await?;
    let domain = fixture.cluster(BLUE)?.trust_domain.clone();
    fixture.shows(
        LISTED_BY_TOKEN,
        Must::have([format!("SPIFFE ID         : spiffe://{domain}/spire/agent/join_token/{}", agent.token)]),
        seen.clone(),
    );
    fixture.shows(NO_REATTESTATION, Must::have(["Can re-attest     : false"]), seen);
    let node = node(fixture)?;
    let entries = entries_of(&spire::entries(fixture.api(BLUE)?).await?)?;
    let alias = entries.into_iter().find(|entry| entry.spiffe_id.to_string() == node);
    fixture.shows(
        NAME_IS_AN_ENTRY,
        Must::have([format!("spiffe://{domain}/spire/agent/join_token/{}", agent.token)]),
        alias.map_or_else(|| "no such entry".to_owned(), |entry| entry.parent_id.to_string()),
    );
    Ok(())
}

async fn log_of(fixture: &Fixture<'_>, of: Pods<'_>) -> Result<String> {
    fixture.log(GREEN, of, "spire-agent").await
}
