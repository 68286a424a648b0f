//! Making a world and taking it away again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::artifact::cache::{Inputs, remove};
use crate::begun::{Begun, Journal};
use crate::clock::{Clock, Span};
use crate::cmd::orphans;
use crate::component::{self, Making, Order};
use crate::doctor::{self, Finding, Level, Wanted};
use crate::engine::images::Forgotten;
use crate::engine::objects::{KIND, Object};
use crate::engine::{self, Engine};
use crate::error::Context as _;
use crate::layout::Layout;
use crate::ledger::{self, Thing};
use crate::plan::{self, Graph, Timing};
use crate::progress::Note;
use crate::world::{self, Access, World};
use crate::{Code, Error, Result, last_time, notice, stuck};

/// Makes the world that was ordered, after what a killed run left was taken away, or goes on with one that was kept before its
/// end. The caller holds [`crate::world::claim`], and ends with [`down`] or [`world::keep`].
///
/// # Errors
/// [`Code::Busy`] when a world was kept; the failure of the first step that failed.
pub async fn up(order: Order, layout: &Layout, note: &Note) -> Result<World> {
    // Before the first step reads one of them: whoever edits a manifest meanwhile has another world in mind.
    let inputs = order.inputs(layout)?;
    if let Some(begun) = Begun::kept(layout, &inputs)? {
        let done = begun.done.len();
        note.tell(format!("a set-up was kept before its end: going on with it, {done} steps of it are done"));
        return make(order, begun, inputs, layout, note).await;
    }
    for warning in check([&order], layout, note).await?.iter().filter(|f| f.level == Level::Warn) {
        note.tell(warning.line());
    }
    orphans::kill_lost();
    make(order, Begun::nothing()?, inputs, layout, note).await
}

async fn make(order: Order, begun: Begun, inputs: Inputs, layout: &Layout, note: &Note) -> Result<World> {
    let steps = component::plan(&order.setup)?;
    let graph = steps.graph()?;
    let journal = Journal::of(layout, &begun, &inputs)?;
    let whole = begun.done.is_empty();
    let making = Arc::new(Making::resumed(order, layout.clone(), begun)?);
    let clock = Clock::start().ok();
    let before = |step: &str| making.begun().done.contains_key(step);
    let done =
        |step: &str| journal.done(step, making.read_by(step), making.engine().ok().map(Engine::record));
    let last = last_time::read(layout);
    // Boxed: without optimisation the frames of both do not fit into a thread's stack beside each other.
    let run = Box::pin(steps.run(making.clone(), note, &last, before, done));
    let timings = tokio::select! {
        timings = run => timings?,
        // Dropped with its steps, which are told to stop.
        cause = Box::pin(stuck::first_cause(&making)) => return Err(cause),
    };
    let span = clock.and_then(|clock| clock.read().ok()).filter(|_| whole);
    if whole {
        last_time::remember(layout, timings.iter().map(|step| (step.id.clone(), step.end - step.begin)));
    }
    let inputs = making.without_unread(inputs, timings.iter().map(|timing| timing.id.as_str()));
    let world = describe(&making, inputs, graph, timings, span)?;
    world.write(layout)?;
    Ok(world)
}

/// Takes away what a killed run left, and asks whether this machine is fit for each of these worlds: of several, before
/// the first is made. Returns what was found, of which a run's user wants to know the warnings.
///
/// # Errors
/// [`Code::Busy`] when a world was kept; what [`doctor::verdict`] says of the first world that cannot be made here.
pub async fn check<'a>(
    orders: impl IntoIterator<Item = &'a Order>,
    layout: &Layout,
    note: &Note,
) -> Result<Vec<Finding>> {
    // Before all else: after any other failure the caller takes down what is there.
    make_room(layout, note).await?;
    layout.probe()?;
    let mut all = Vec::new();
    for Order { engine, source, setup, .. } in orders {
        let wanted = Wanted { engine: *engine, source: source.clone(), topology: setup.topology.clone() };
        let findings = doctor::examine(&wanted, layout).await;
        doctor::verdict(&findings)?;
        all.extend(findings);
    }
    Ok(all)
}

/// Makes sure that no run made anything that was not taken away.
///
/// # Errors
/// [`Code::Busy`] when one did.
pub fn nothing_is_up(layout: &Layout) -> Result<()> {
    if ledger::things(&layout.world())?.is_empty() {
        return Ok(());
    }
    Err(if Begun::is_kept(layout) {
        Error::new(Code::Busy, "a set-up that did not come to its end was kept")
            .next("cargo xtask up goes on with it, cargo xtask down takes it away")
    } else if world::is_kept(layout) {
        Error::new(Code::Busy, "a world is up already")
            .next("cargo xtask verify, cargo xtask e2e --keep always, or cargo xtask down")
    } else {
        Error::new(Code::Busy, "a run was killed and left something").next("cargo xtask down")
    })
}

/// Nobody is at work with this cache, for the caller holds the claim: what is written down and was not kept on
/// purpose is what a killed run left, and of no use to anybody.
async fn make_room(layout: &Layout, note: &Note) -> Result<()> {
    match nothing_is_up(layout) {
        Err(e) if e.code() == Code::Busy && !world::is_kept(layout) => {
            note.tell("an earlier run was killed: what it left is taken down first");
            down(layout, note).await
        }
        other => other,
    }
}

/// Takes everything away that any run wrote into the ledger. Goes on when one thing resists, and says all that did.
///
/// # Errors
/// [`Code::LeftBehind`] naming what is left.
pub async fn down(layout: &Layout, note: &Note) -> Result<()> {
    // Nothing may still be made while it is taken away.
    plan::all_ended().await;
    let lost = orphans::kill_lost();
    if lost > 0 {
        note.tell(format!("ended {lost} processes of a run that was killed"));
    }
    let dir = layout.world();
    let mut left = Vec::new();
    // An image cannot go before the containers that use it.
    let (images, others): (Vec<_>, Vec<_>) =
        ledger::things(&dir)?.into_iter().rev().partition(|thing| matches!(thing, Thing::Image { .. }));
    for thing in others.into_iter().chain(images) {
        if let Err(e) = take_away(&thing, note).await {
            left.push(e.to_string());
        }
    }
    if !left.is_empty() {
        return Err(Error::new(Code::LeftBehind, "something could not be taken away")
            .seen(left.join("; "))
            .next("cargo xtask down"));
    }
    ledger::close(&dir)?;
    remove(&dir).or_fail(Code::LeftBehind, || format!("cannot remove {}", dir.display()))
}

/// Every node that the world which is up, or was being made, has by now, with the engine that it is in.
///
/// # Errors
/// [`Code::EngineFailed`] when an engine that was written down does not answer.
pub async fn nodes(layout: &Layout) -> Result<Vec<(Engine, String)>> {
    let mut all = Vec::new();
    for thing in ledger::things(&layout.world())? {
        let (engine, nodes) = match thing {
            Thing::PrivateEngine { state, programs } => {
                let engine = engine::private::attach(&state, &programs).await?;
                let nodes =
                    engine.containers(HashMap::from([("label".to_owned(), vec![KIND.to_owned()])])).await?;
                (engine, nodes)
            }
            Thing::Belongings { engine, owner, clusters } => {
                let engine = Engine::attach(&engine).await?;
                let own = engine.belongings(&owner, clusters.as_deref()).await?.own;
                let node = |object: &Object| match object {
                    Object::Container(name) => Some(name.clone()),
                    _ => None,
                };
                (engine, own.iter().filter_map(node).collect())
            }
            Thing::Image { .. } => continue,
        };
        all.extend(nodes.into_iter().map(|node| (engine.clone(), node)));
    }
    Ok(all)
}

async fn take_away(thing: &Thing, note: &Note) -> Result<()> {
    match thing {
        Thing::PrivateEngine { state, programs } => engine::private::take_down(state, programs, note).await,
        Thing::Belongings { engine, owner, clusters } => {
            Engine::attach(engine).await?.remove_belongings(owner, clusters.as_deref()).await
        }
        Thing::Image { engine, reference, id, before } => {
            let engine = Engine::attach(engine).await?;
            match engine.forget_image(reference, id, before.as_deref()).await? {
                Forgotten::Gone => Ok(()),
                Forgotten::InUse => {
                    note.tell(format!("the image {reference} stays in the engine: a container uses it"));
                    Ok(())
                }
            }
        }
    }
}

fn describe(
    making: &Making,
    inputs: Inputs,
    graph: Graph,
    timings: Vec<Timing>,
    span: Option<Span>,
) -> Result<World> {
    let (order, obtained) = (&making.order, making.obtained()?);
    let first = obtained.deliveries.first().ok_or_else(|| Error::internal("nothing was obtained"))?;
    let mut sites = BTreeMap::new();
    for site in making.sites() {
        let (kubeconfig, address) = (site.kubeconfig.clone(), site.address()?);
        let mut digests = making.delivery(&site.cluster.name)?.digests.clone();
        digests.retain(|name, digest| first.digests.get(name) != Some(digest));
        let istioctl = making.artifacts(&site.cluster.name)?.tool("istioctl")?.to_owned();
        let place = Access { kubeconfig, address, values: making.values(site)?, digests, istioctl };
        sites.insert(site.cluster.name.clone(), place);
    }
    Ok(World {
        id: making.world().clone(),
        name: order.setup.world.clone(),
        setup: order.setup.name.clone(),
        scenarios: order.setup.scenarios.clone(),
        istio: order.setup.istio.clone(),
        otherwise: order.setup.otherwise.clone(),
        identities: order.setup.identities.clone(),
        expect: order.setup.expect.clone(),
        inputs,
        defaults: order.setup.defaults,
        origin: first.artifacts.origin,
        source: format!("{} ({})", obtained.from, obtained.why),
        digests: first.digests.clone(),
        versions: order.setup.versions.clone(),
        engine: making.engine()?.record().clone(),
        topology: order.setup.topology.clone(),
        sites,
        graph,
        made: jiff::Timestamp::now(),
        timings,
        span,
        noticed: notice::noticed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world_id::WorldId;

    #[tokio::test]
    async fn what_a_killed_run_left_makes_room_and_a_kept_world_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        let ledger = ledger::Ledger::begin(&layout.world(), &WorldId::random().unwrap());
        let engine = Thing::PrivateEngine { state: layout.engine(), programs: dir.path().into() };
        ledger.will_make(&engine).unwrap();
        world::keep(&layout).unwrap();
        let begun = Begun::nothing().unwrap();
        let journal = Journal::of(&layout, &begun, &Inputs::default()).unwrap();
        let busy = nothing_is_up(&layout).unwrap_err();
        assert_eq!(busy.what(), "a set-up that did not come to its end was kept");
        drop(journal);
        std::fs::write(world::file(&layout), "").unwrap();
        let busy = make_room(&layout, &Note::silent()).await.unwrap_err();
        assert_eq!((busy.code(), busy.what()), (Code::Busy, "a world is up already"));

        std::fs::remove_file(layout.world().join("kept")).unwrap();
        assert_eq!(nothing_is_up(&layout).unwrap_err().advice(), Some("cargo xtask down"));
        make_room(&layout, &Note::silent()).await.unwrap();
        assert!(ledger::things(&layout.world()).unwrap().is_empty() && !layout.world().exists());
    }

    #[test]
    fn a_world_that_never_came_to_be_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        world::keep(&layout).unwrap();
        assert!(!world::is_kept(&layout) && !layout.world().exists());
    }
}
