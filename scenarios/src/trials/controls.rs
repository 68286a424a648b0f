//! Controls: what must be refused is refused, for the stated reason. They change the world, so they run one at a
//! time, after all others, and put back what they took.

use futures::future::{join_all, try_join_all};
use harness::Result;
use proof::claim::{Claim, due};
use proof::evidence::{Control, Evidence};
use proof::topology::Topology;

use crate::fixture::Fixture;
use crate::scenarios;
use crate::trial::Trial;
use crate::trust::Granted;

scenarios! {
    "bundle-taken-away", owes bundle => without_the_peers_bundle_the_same_call_is_refused {},
    "federates-with-absent", owes federates_with => without_federates_with_the_same_call_is_refused {},
}

pub(super) fn trials(topology: &Topology) -> Vec<Trial> {
    // Whoever has no peer has no trust to withdraw.
    let controls = SCENARIOS.iter().filter(|_| topology.clusters.len() > 1);
    controls.map(|scenario| Trial::of(scenario, topology)).collect()
}

fn bundle(topology: &Topology) -> Vec<Claim> {
    due::withdrawn(topology, Control::PeerBundleTakenAway, "again-with-the-bundle-put-back")
}

fn federates_with(topology: &Topology) -> Vec<Claim> {
    due::withdrawn(topology, Control::FederatesWithAbsent, "again-with-federatesWith-put-back")
}

async fn without_the_peers_bundle_the_same_call_is_refused(fixture: &mut Fixture<'_>) -> Result<()> {
    let granted = fixture.mesh.relationships().await?;
    fixture.will_put_back(&granted)?;
    fixture.mesh.take_bundles_away(&granted).await?;
    refused_meanwhile(fixture, &granted, Control::PeerBundleTakenAway).await
}

async fn without_federates_with_the_same_call_is_refused(fixture: &mut Fixture<'_>) -> Result<()> {
    let granted = fixture.mesh.registrations().await?;
    fixture.will_put_back(&granted)?;
    fixture.mesh.take_federates_with_away(&granted).await?;
    refused_meanwhile(fixture, &granted, Control::FederatesWithAbsent).await
}

/// The call is refused while trust is withdrawn, and answered, by the right ones, after it was put back.
async fn refused_meanwhile(fixture: &mut Fixture<'_>, granted: &Granted, control: Control) -> Result<()> {
    let Fixture { mesh, seen, .. } = &mut *fixture;
    let observed = async {
        mesh.sidecars_believe_in(1).await?;
        // Requests of different ways do not touch each other.
        let refused = mesh.ways();
        let refused = try_join_all(refused.iter().map(|way| mesh.refused(control, way)));
        seen.refusals.extend(refused.await?.into_iter().flatten());
        Ok(())
    }
    .await;
    fixture.before_put_back(&observed).await;
    let Fixture { mesh, seen, .. } = fixture;
    // Put back whatever was seen: the scenarios after this one need the world as it was.
    mesh.put_back(granted).await?;
    mesh.sidecars_believe_in(mesh.clusters().len()).await?;
    observed?;
    mesh.gateways(seen)?;
    let ways = mesh.ways();
    let again = join_all(ways.iter().map(async |way| {
        mesh.answers_again(way).await?;
        let mut met = Evidence::of(mesh.clusters(), seen.collected_at);
        mesh.handshakes(&mut met, way).await.map(|()| met)
    }));
    // One way that is not back says nothing about the others.
    let mut back = Ok(());
    for way in again.await {
        match way {
            Ok(met) => seen.met(met),
            Err(e) => back = back.and(Err(e)),
        }
    }
    back
}
