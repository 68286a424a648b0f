//! `verify`: judges every claim in the world that is up, by running the scenarios.

use std::path::Path;
use std::time::Instant;

use harness::layout::Layout;
use harness::lock::Lock;
use harness::progress::Note;
use harness::setup::{Scenarios, versions};
use harness::world::{self, World};
use harness::{Code, Error, Result, attach, kept, last_time};

use proof::verdict::{Came, Line, Outcome};

use crate::args;
use crate::due::Due;
use crate::held;
use crate::interrupt;
use crate::report::{Report, Tally};
use crate::runner::{Runner, expression, selects_nothing};
use crate::show::Show;

/// What is judged first, and changes nothing.
const CLAIMS: &str = "claims";
/// For scenarios that change the world.
const ONE_BY_ONE: [&str; 1] = ["--test-threads=1"];
/// How many unjudged claims an error names; the report has all.
const TOLD: usize = 12;

/// Flags of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Set-ups of the world that is up, other than those that it was made for; commas between several. Or your own again,
    /// with what it expects now.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    setup: Vec<String>,
    /// Versions that the world which is up must have.
    #[command(flatten)]
    versions: args::Versions,
    /// A nextest filter over scenarios, such as `test(handshake)`.
    #[arg(long, env = "VOUCHSAFE_FILTER", value_name = "EXPRESSION")]
    filter: Option<String>,
    /// One JSON object a line on stdout.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args) -> Result<()> {
    let layout = Layout::find()?;
    let mut world = World::read(&layout)?;
    has_versions(&layout, &world, &args.versions)?;
    if !args.setup.is_empty() {
        (world.setup, world.scenarios) = of_the_same_world(&layout, &mut world, &args.setup)?;
    }
    let due = Due::of(&world.name, &world.scenarios, &world.topology)?;
    let claimed = world::claim(&layout)?;
    let report = Report::begin(&layout)?;
    report.world(&world)?;
    let show = Show::start(args.json);
    let note = show.note();
    let work = async {
        whole(&layout, &world, &note).await?;
        let _watching = report.watch(&layout, &world.name, &world.topology)?;
        let runner = Runner::prepare(&layout, &note).await?;
        let filter = args.filter.as_deref();
        let due = match filter {
            Some(filter) => runner.narrowed(&layout, due, &world.scenarios, &world.topology, filter).await?,
            None => due,
        };
        if let Some(filter) = filter.filter(|_| due.trials.is_empty()) {
            return Err(selects_nothing(filter, &world.setup));
        }
        let run = Run { layout: &layout, report: &report, filter, json: args.json };
        judge(&runner, &world, &due, &run, &note).await
    };
    let judged = interrupt::or_stop(work).await.map_err(|e| match e.code() {
        Code::Interrupted => e.next("cargo xtask verify, which first puts back what a scenario had changed"),
        _ => e,
    });
    if let Err(e) = &judged {
        report.collect(&layout, e, &note).await;
    }
    drop(note);
    show.end().await;
    drop(claimed);
    report.close(&judged, None, true, args.json)?;
    judged
}

/// Before anything is judged: the world is what was written down about it, and nothing of a killed scenario is left in it.
pub async fn whole(layout: &Layout, world: &World, note: &Note) -> Result<()> {
    let restarted = attach::attach(world, note).await?;
    let world = world::file(layout);
    if restarted {
        scenarios::at_rest(&world).await?;
    }
    if let Some(scenario) = scenarios::left_by(&world)? {
        note.tell(format!(
            "the scenario {scenario} was killed in the midst of a change: it is put back first"
        ));
        scenarios::put_back(&world).await?;
    }
    Ok(())
}

/// Refuses a world that has other versions than those that were asked for.
///
/// # Errors
/// [`Code::Busy`] with the versions that it has.
pub fn has_versions(layout: &Layout, world: &World, asked: &args::Versions) -> Result<()> {
    let mut wanted = world.versions.clone();
    versions::choose(&mut wanted, &Lock::read(&layout.manifests())?, &asked.with)?;
    if wanted == world.versions {
        return Ok(());
    }
    let asked: Vec<_> = asked.with.iter().map(ToString::to_string).collect();
    let what = format!("the world {} is up, and was made without {}", world.name, asked.join(", "));
    Err(Error::new(Code::Busy, what).seen(versions::lines(&world.versions).join("; ")).next(format!(
        "cargo xtask down, then cargo xtask up --with {}; or leave --with out",
        asked.join(",")
    )))
}

/// Those set-ups and their scenarios, if this is their world and it has what they need.
fn of_the_same_world(layout: &Layout, world: &mut World, names: &[String]) -> Result<(String, Scenarios)> {
    let (mut shown, mut scenarios) = (Vec::new(), Scenarios::default());
    for setup in args::read(layout, names, None, world.defaults, &args::Versions::default())? {
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
        if setup.is_own() && setup.otherwise.made_from() != world.otherwise.made_from() {
            let what = format!(
                "the world {} is up, and made from something else than {} is now",
                world.name, setup.name
            );
            return Err(Error::new(Code::Busy, what)
                .next("cargo xtask down, then up again; or cargo xtask verify, which judges it as it is"));
        }
        if setup.is_own() {
            world.judged_by(&setup, layout)?;
        }
        shown.push(setup.name);
        scenarios.reads.extend(setup.scenarios.reads);
        scenarios.changes.extend(setup.scenarios.changes);
    }
    Ok((shown.join(","), scenarios))
}

/// Reads the world in parallel, then disturbs it, one scenario at a time, and tells every verdict as it falls. At the
/// end what was due is held against what was judged.
///
/// # Errors
/// [`Code::ClaimBroken`] when a claim did not hold, [`Code::Evidence`] when one that is due could not be judged.
pub async fn judge(runner: &Runner, world: &World, due: &Due, run: &Run<'_>, note: &Note) -> Result<()> {
    let Scenarios { reads, changes } = &world.scenarios;
    let runs = [
        (CLAIMS, "claims judged", reads, &[] as &[&str]),
        ("controls", "controls judged", changes, &ONE_BY_ONE),
    ];
    let mut passed = Ok(true);
    for (id, what, modules, width) in runs {
        if modules.is_empty() || passed.is_err() {
            continue;
        }
        let (note, began) = (note.of(id), Instant::now());
        let name = format!("{}-{id}", world.name);
        note.started("", what, last_time::read(run.layout).get(&name).copied());
        let filter = expression(modules, run.filter);
        let made = run.layout.repo.join("target/nextest/e2e");
        let log = kept::written(made.join("log"), run.report.dir.join(format!("{name}.log")));
        let running = runner.scenarios(run.layout, run.report, &filter, width, log.aside());
        passed = run
            .report
            .told_while(running, run.json, &note)
            .await
            .map(|now| now && matches!(passed, Ok(true)));
        drop(log);
        // nextest writes it anew each time; it is not there when no scenario was selected.
        drop(kept::written(made.join("junit.xml"), run.report.dir.join(format!("trials-{name}.xml"))));
        note.finished(began.elapsed());
        if run.filter.is_none() {
            last_time::remember(run.layout, [(name, began.elapsed().as_secs_f64())]);
        }
        // The controls are about to change what the claims were judged in.
        if matches!(passed, Ok(false)) && id == CLAIMS && !changes.is_empty() {
            let missing = run.report.snapshot(CLAIMS, run.layout, &note).await;
            missing.iter().for_each(|line| note.say(format!("not collected: {line}")));
        }
    }
    // Also after a runner that died: what it left unjudged is named.
    let lines = run.report.settle(due, run.json)?;
    held::remember(world, due, &lines, run.layout)?;
    passed.and_then(|passed| outcome(&lines, passed, &run.report.dir))
}

/// What a judging is told, of the run that it is part of.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The checkout and the cache.
    pub layout: &'a Layout,
    /// Where verdicts go.
    pub report: &'a Report,
    /// nextest's filter, if there is one.
    pub filter: Option<&'a str>,
    /// Whether each verdict is told as JSON.
    pub json: bool,
}

/// A world's own verdict. Broken weighs more than unjudged; both are told.
///
/// # Errors
/// As [`judge`].
pub fn outcome(lines: &[Line], passed: bool, report: &Path) -> Result<()> {
    let tally = Tally::of(lines);
    let unjudged: Vec<_> = lines.iter().filter(|line| line.verdict.verdict == Outcome::Unjudged).collect();
    let absent = || {
        let named = |line: &&Line| format!("{}: {}", line.verdict.id, line.verdict.observed);
        let mut told: Vec<_> = unjudged.iter().take(TOLD).map(named).collect();
        if unjudged.len() > TOLD {
            told.push(format!("and {} more in {}", unjudged.len() - TOLD, report.display()));
        }
        told.join("\n    ")
    };
    let neither = format!("{} of {} claims were due and could not be judged", unjudged.len(), tally.all());
    let surprises: Vec<_> = lines.iter().filter_map(surprise).collect();
    match (tally.broken + tally.surprises, unjudged.len()) {
        (0, 0) if tally.all() == 0 => {
            Err(Error::new(Code::Usage, "the filter selects no scenario, so nothing was judged"))
        }
        (0, 0) if passed => Ok(()),
        (0, 0) => Err(Error::new(Code::Evidence, "a scenario ended without a verdict")
            .next(format!("read the logs in {}", report.display()))),
        (0, _) => Err(Error::new(Code::Evidence, neither).seen(absent())),
        (_, none) => {
            let (all, otherwise) = (tally.all(), "of what the set-up expects to break came otherwise");
            let what = match (tally.broken, tally.surprises) {
                (broken, 0) => format!("{broken} of {all} claims did not hold"),
                (0, surprises) => format!("{surprises} {otherwise}"),
                (broken, surprises) => {
                    format!("{broken} of {all} claims did not hold, and {surprises} {otherwise}")
                }
            };
            let error = Error::new(Code::ClaimBroken, what)
                .next(format!("read expected and observed above, or {}", report.display()));
            let mut seen = surprises;
            if none > 0 {
                seen.push(format!("{neither}\n    {}", absent()));
            }
            Err(if seen.is_empty() { error } else { error.seen(seen.join("\n    ")) })
        }
    }
}

/// Why a claim that was expected to break is a surprise.
fn surprise(line: &Line) -> Option<String> {
    match line.came()? {
        Came::Surprise(words) => Some(format!("{} {words}", line.verdict.id)),
        Came::AsExpected => None,
    }
}

#[cfg(test)]
mod tests {
    use proof::claim::Expectation;

    use super::*;
    use crate::due::tests::{all_held, main_set_up};

    fn ended(lines: &[Line], passed: bool) -> Error {
        outcome(lines, passed, Path::new("report")).unwrap_err()
    }

    /// Each claim of the main set-up without its evidence: the run ends with 4 and names exactly that one.
    #[test]
    fn absence_is_never_green() {
        let due = main_set_up();
        let lines = all_held(&due);
        outcome(&lines, true, Path::new("report")).unwrap();
        for (i, line) in lines.iter().enumerate() {
            let mut all = lines.clone();
            all.remove(i);
            let missed = due.never_judged(&all, &[]);
            all.extend(missed);
            let e = ended(&all, false);
            assert_eq!(e.code().exit(), 4);
            assert_eq!(e.what(), format!("1 of {} claims were due and could not be judged", lines.len()));
            let seen = e.to_string();
            assert!(seen.contains(&format!("last seen: {}: its trial", line.verdict.id)), "{seen}");
            assert!(
                lines.iter().filter(|one| seen.contains(&format!("{}: ", one.verdict.id))).count() == 1,
                "{seen}"
            );
        }
    }

    #[test]
    fn broken_weighs_more_and_both_are_told() {
        let mut lines = all_held(&main_set_up());
        lines[0].verdict.verdict = Outcome::Broken;
        assert_eq!(ended(&lines, false).code().exit(), 5);
        lines[1].verdict.verdict = Outcome::Unjudged;
        let e = ended(&lines, false);
        assert_eq!((e.code().exit(), e.what()), (5, &*format!("1 of {} claims did not hold", lines.len())));
        assert!(e.to_string().contains("were due and could not be judged"), "{e}");
    }

    #[test]
    fn what_breaks_as_expected_is_green_and_a_surprise_is_not() {
        let mut lines = all_held(&main_set_up());
        let expect = |line: &mut Line, because: &str| {
            let (at, claim) = ("s.yaml:1:1".to_owned(), line.verdict.id.to_string());
            line.expectation = Some(Expectation { at, claim, because: because.into() });
        };
        expect(&mut lines[0], "seen");
        let e = ended(&lines, false);
        let told =
            format!("{} was to break because of `seen` (s.yaml:1:1), and held: seen", lines[0].verdict.id);
        assert_eq!((e.code().exit(), e.what()), (5, "1 of what the set-up expects to break came otherwise"));
        assert!(e.to_string().contains(&told), "{e}");

        lines[0].verdict.verdict = Outcome::Broken;
        outcome(&lines, true, Path::new("report")).unwrap();
        expect(&mut lines[0], "another cause");
        lines[1].verdict.verdict = Outcome::Broken;
        let e = ended(&lines, false);
        let what = format!(
            "1 of {} claims did not hold, and 1 of what the set-up expects to break came otherwise",
            lines.len()
        );
        assert_eq!((e.code().exit(), e.what()), (5, &*what));
        assert!(e.to_string().contains("and broke for another cause: seen"), "{e}");
    }

    #[test]
    fn a_trial_that_fails_without_a_verdict_is_not_green() {
        let lines = all_held(&main_set_up());
        assert_eq!(ended(&lines, false).what(), "a scenario ended without a verdict");
        assert_eq!(ended(&[], true).code(), Code::Usage);
    }
}
