//! Controls: what must be refused is refused, for the stated reason. They change the world, so they run one at a
//! time, after all others, and put back what they took.

use harness::Result;
use proof::evidence::Control;
use scenarios::{Outcome, Stage, Withdrawn, play_again, tell};

/// Both ways of a pair.
const WAYS: [(usize, usize); 2] = [(0, 1), (1, 0)];

/// If this fails, STRICT lets plain text in, and every other claim is about volunteers.
#[tokio::test]
async fn plain_text_from_outside_the_mesh_is_refused() -> Outcome {
    tell("plain-text", async |mesh, seen| {
        for place in 0..mesh.clusters().len() {
            seen.refusals.push(mesh.plain_text(place).await?);
        }
        Ok(())
    })
    .await
}

/// If this fails, trust outlives its bundle.
#[tokio::test]
async fn without_the_peers_bundle_the_same_call_is_refused() -> Outcome {
    play_again("bundle-taken-away", "again with the bundle put back", async |stage| {
        let withdrawn = stage.mesh.take_bundles_away().await?;
        refused_meanwhile(stage, withdrawn, Control::PeerBundleTakenAway).await
    })
    .await
}

/// If this fails, a workload trusts strangers that its registration does not name.
#[tokio::test]
async fn without_federates_with_the_same_call_is_refused() -> Outcome {
    play_again("federates-with-absent", "again with federatesWith put back", async |stage| {
        let withdrawn = stage.mesh.take_federates_with_away().await?;
        refused_meanwhile(stage, withdrawn, Control::FederatesWithAbsent).await
    })
    .await
}

/// The call is refused while trust is withdrawn, and answered, by the right ones, after it was put back.
async fn refused_meanwhile(stage: &mut Stage<'_>, withdrawn: Withdrawn, control: Control) -> Result<()> {
    let Stage { mesh, seen, .. } = stage;
    let observed = async {
        mesh.sidecars_believe_in(1).await?;
        for (from, to) in WAYS {
            seen.refusals.push(mesh.refused(control, from, to).await?);
        }
        Ok(())
    }
    .await;
    // Put back whatever was seen: the scenarios after this one need the world as it was.
    mesh.put_back(withdrawn).await?;
    mesh.sidecars_believe_in(2).await?;
    observed?;
    for (from, to) in WAYS {
        mesh.answers_again(from, to).await?;
        mesh.gateways(seen)?;
        mesh.handshakes(seen, from, to).await?;
    }
    Ok(())
}
