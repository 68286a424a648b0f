//! `verify`: judges every claim in the world that is up, by running the scenarios.

use std::time::Instant;

use harness::engine::Engine;
use harness::layout::Layout;
use harness::progress::Note;
use harness::setup::{Scenarios, Setup};
use harness::world::{self, World};
use harness::{Code, Error, Result};

use crate::interrupt;
use crate::report::{Report, Tally};
use crate::runner::{Runner, of, selects_nothing};
use crate::show::Show;

/// For scenarios that change the world.
const ONE_BY_ONE: [&str; 1] = ["--test-threads=1"];

/// Flags of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Set-ups of the world that is up, other than those that it was made for; commas between several.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    setup: Vec<String>,
    /// A nextest filter over scenarios, such as `test(stranger)`.
    #[arg(long, env = "VOUCHSAFE_FILTER", value_name = "EXPRESSION")]
    filter: Option<String>,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let mut world = World::read(&layout)?;
    if !args.setup.is_empty() {
        (world.setup, world.scenarios) = of_the_same_world(&layout, &world, &args.setup)?;
    }
    let claimed = world::claim(&layout)?;
    // Without it every look would fail by itself, and none would say why.
    Engine::attach(&world.engine).await?;
    let report = Report::begin(&layout)?;
    report.world(&world)?;
    let show = Show::start(args.json);
    let note = show.note();
    let work = async {
        let runner = Runner::prepare(&layout, &note).await?;
        if let Some(filter) = &args.filter
            && !runner.selects(&layout, &world.scenarios, filter).await?
        {
            return Err(selects_nothing(filter, &world.setup));
        }
        judge(&runner, &world, &layout, &report, args.filter.as_deref(), args.json, &note).await
    };
    let judged = interrupt::or_stop(work).await.map_err(|e| match e.code() {
        Code::Interrupted => e.next(
            "a scenario may have been in the midst of a change: cargo xtask down, before you trust this world again",
        ),
        _ => e,
    });
    if let Err(e) = &judged {
        report.failure(&layout, e, &note).await;
    }
    drop(note);
    show.end().await;
    drop(claimed);
    report.close(&judged, true, args.json)?;
    judged
}

/// Those set-ups and their scenarios, if this is their world and it has what they need.
fn of_the_same_world(layout: &Layout, world: &World, names: &[String]) -> Result<(String, Scenarios)> {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (mut shown, mut scenarios) = (Vec::new(), Scenarios::default());
    for setup in Setup::read(&layout.manifests(), &names, None, world.defaults)? {
        if setup.world != world.name {
            let what =
                format!("{} is shown in the world {}, and {} is up", setup.name, setup.world, world.name);
            return Err(Error::new(Code::Usage, what)
                .next(format!("cargo xtask down, then cargo xtask up --setup {}", setup.name)));
        }
        let role = |image: &String| format!("IMAGE_{}", image.to_uppercase().replace('-', "_"));
        let held = |image: &&String| world.sites.values().all(|site| site.values.contains_key(&role(image)));
        if let Some(image) = setup.images.iter().find(|image| !held(image)) {
            let what = format!("{} needs the image {image}, and this world was made without it", setup.name);
            return Err(Error::new(Code::Usage, what)
                .next(format!("cargo xtask down, then cargo xtask up --setup {}", setup.name)));
        }
        shown.push(setup.name);
        scenarios.reads.extend(setup.scenarios.reads);
        scenarios.changes.extend(setup.scenarios.changes);
    }
    Ok((shown.join(","), scenarios))
}

/// Reads the world in parallel, then disturbs it, one scenario at a time, and tells every verdict as it falls.
///
/// # Errors
/// [`Code::ClaimBroken`] when a claim did not hold, [`Code::Evidence`] when one could not be judged.
pub async fn judge(
    runner: &Runner,
    world: &World,
    layout: &Layout,
    report: &Report,
    filter: Option<&str>,
    json: bool,
    note: &Note,
) -> Result<()> {
    let Scenarios { reads, changes } = &world.scenarios;
    let runs = [
        ("claims", "claims judged", reads, &[] as &[&str]),
        ("controls", "controls judged", changes, &ONE_BY_ONE),
    ];
    let mut passed = true;
    for (id, what, modules, width) in runs {
        if modules.is_empty() {
            continue;
        }
        let (note, began) = (note.of(id), Instant::now());
        note.started("", what, None);
        let name = format!("{}-{id}", world.name);
        let filter = of(modules, filter);
        let log = report.dir.join(format!("{name}.log"));
        let running = runner.scenarios(layout, report, &filter, width, &log);
        passed &= report.told_while(running, json, &note).await?;
        keep_junit(layout, report, &name);
        note.finished(began.elapsed());
    }
    report.tally()?.judge(passed)
}

/// nextest writes its JUnit file below `target/`, anew each time.
fn keep_junit(layout: &Layout, report: &Report, id: &str) {
    let made = layout.repo.join("target/nextest/e2e/junit.xml");
    // Missing when no scenario was selected.
    let _ = std::fs::rename(made, report.dir.join(format!("junit-{id}.xml")));
}

impl Tally {
    /// The run's own verdict.
    fn judge(&self, passed: bool) -> Result<()> {
        if self.broken > 0 {
            return Err(Error::new(
                Code::ClaimBroken,
                format!("{} of {} claims did not hold", self.broken, self.all()),
            )
            .next(format!("read expected and observed above, or {}", self.dir.display())));
        }
        match (passed, self.errors.first()) {
            (true, None) if self.all() == 0 => {
                Err(Error::new(Code::Usage, "the filter selects no scenario, so nothing was judged"))
            }
            (true, None) => Ok(()),
            (_, Some(first)) => {
                Err(Error::new(Code::Evidence, "a claim could be judged neither way").seen(first))
            }
            (false, None) => Err(Error::new(Code::Evidence, "a scenario ended without a verdict")
                .next(format!("read the logs in {}", self.dir.display()))),
        }
    }
}
