//! A kept world that is what would be made now is judged again, instead of being made again: what only looks is judged anew
//! each time; what changes the world and puts it back is not repeated where it held in it ([`held`]).

use harness::artifact::cache::Inputs;
use harness::component::Order;
use harness::layout::Layout;
use harness::progress::Note;
use harness::world::{self, World};
use harness::{Code, Error, Result};

use crate::due::Due;
use crate::runner::Runner;
use crate::{held, verify};

/// The kept world, if there is one, and it is what this order would make.
///
/// # Errors
/// [`Code::Busy`] naming what is otherwise, when one is up that is not.
pub fn kept(order: &Order, layout: &Layout) -> Result<Option<World>> {
    if !world::is_kept(layout) || !world::file(layout).exists() {
        return Ok(None);
    }
    let mut world = World::read(layout)?;
    let now = order.inputs(layout)?;
    let different = if world.name != order.setup.world {
        vec!["the world's name"]
    } else if world.inputs == Inputs::default() {
        vec!["the version of Vouchsafe, which did not write down then what it is made from"]
    } else {
        world.inputs.different(&now)
    };
    if !different.is_empty() {
        let what = format!("the world {} is up, and made from something else", world.name);
        return Err(Error::new(Code::Busy, what)
            .seen(format!("different now: {}", different.join(", ")))
            .next("cargo xtask down, then this again; or cargo xtask verify, which judges it as it is"));
    }
    world.judged_by(&order.setup, layout)?;
    world.setup.clone_from(&order.setup.name);
    world.scenarios.clone_from(&order.setup.scenarios);
    Ok(Some(world))
}

/// That it need not be made.
pub fn is_up(world: &World) -> String {
    let since = world.made.strftime("%F %T UTC");
    format!("the world {} is up since {since}, and nothing that it was made from has changed", world.name)
}

/// Judges a kept world again; whether all that is due was.
///
/// # Errors
/// As [`verify::judge`], and what attaching to the world finds.
pub async fn judge(mut world: World, due: Due, run: &verify::Run<'_>, note: &Note) -> Result<bool> {
    note.tell(is_up(&world));
    let whole = verify::whole(run.layout, &world, note);
    let (runner, ()) = tokio::try_join!(Runner::prepare(run.layout, note), whole)?;
    // What is put back before is no gap in what a proxy believes.
    let _watching = run.report.watch(run.layout, &world.name, &world.topology)?;
    // A filter asks for what it names.
    let (due, left_out) = match run.filter {
        Some(filter) => {
            (runner.narrowed(run.layout, due, &world.scenarios, &world.topology, filter).await?, None)
        }
        None => held::narrowed(&world.scenarios.changes, due, &held::told(&world), run.layout)?,
    };
    if left_out.is_some() {
        world.scenarios.changes.clear();
    }
    run.report.world(&world)?;
    verify::judge(&runner, &world, &due, run, note).await?;
    left_out.iter().for_each(|words| note.tell(words));
    Ok(left_out.is_none())
}
