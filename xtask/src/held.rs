//! What held in a kept world, and by which code: what changes a world and puts it back need not be repeated in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness::Result;
use harness::artifact::cache::Inputs;
use harness::layout::Layout;
use harness::lines::{Head, Lines};
use harness::world::{self, World};
use harness::world_id::WorldId;
use jiff::Timestamp;
use proof::verdict::Line;
use serde::{Deserialize, Serialize};

use crate::due::Due;

/// Of what is due where these modules change the world, what must be judged again, and what that leaves out, in words;
/// nothing when it is all of it.
///
/// # Errors
/// [`harness::Code::CacheUnusable`].
pub fn narrowed(changes: &[String], due: Due, told: &str, layout: &Layout) -> Result<(Due, Option<String>)> {
    let code = by(told, layout)?;
    let (_, seen) = lines(layout).read::<Seen>()?;
    // The last time counts.
    let seen: BTreeMap<_, _> = seen.into_iter().map(|seen| (seen.trial.clone(), seen)).collect();
    let held =
        |trial: &str| seen.get(trial).filter(|seen| seen.held && seen.code == code).map(|seen| seen.at);
    let (changing, looking): (Vec<_>, Vec<_>) =
        due.trials.iter().partition(|trial| is_of(changes, &trial.name));
    let Some(since) = changing.iter().map(|trial| held(&trial.name)).min().flatten() else {
        return Ok((due, None));
    };
    let claims: usize = changing.iter().map(|trial| trial.claims.len()).sum();
    let told = format!(
        "{claims} claims of scenarios that change the world held in it, the first at {}, and were not judged again: \
         cargo xtask verify judges all",
        since.strftime("%F %T UTC")
    );
    let names = looking.iter().map(|trial| trial.name.clone()).collect();
    Ok((due.only(&names), Some(told)))
}

/// Writes down what became of each trial of these modules, beside the world.
///
/// # Errors
/// [`harness::Code::CacheUnusable`].
pub fn remember(world: &World, due: &Due, verdicts: &[Line], layout: &Layout) -> Result<()> {
    write(&world.id, &world.scenarios.changes, due, verdicts, &told(world), layout)
}

/// What a world's set-up declares and expects: what was as it must be by other words says nothing.
pub fn told(world: &World) -> String {
    let expected: Vec<_> = world.expect.iter().map(|one| (&one.claim, &one.because)).collect();
    format!("{:?} {expected:?}", world.identities)
}

fn write(
    world: &WorldId,
    changes: &[String],
    due: &Due,
    verdicts: &[Line],
    told: &str,
    layout: &Layout,
) -> Result<()> {
    let code = by(told, layout)?;
    for trial in due.trials.iter().filter(|trial| is_of(changes, &trial.name)) {
        let mut of_trial = verdicts.iter().filter(|line| line.trial == trial.scenario).peekable();
        let held = of_trial.peek().is_some() && of_trial.all(Line::is_as_it_must);
        let seen = Seen { trial: trial.name.clone(), held, code: code.clone(), at: Timestamp::now() };
        lines(layout).add(&Head::of(world), &seen)?;
    }
    Ok(())
}

/// What became of a trial.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    trial: String,
    held: bool,
    code: String,
    at: Timestamp,
}

fn is_of(modules: &[String], trial: &str) -> bool {
    modules
        .iter()
        .any(|module| trial.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with("::")))
}

fn lines(layout: &Layout) -> Lines {
    let file: PathBuf = world::file(layout).with_file_name("held.jsonl");
    Lines::at(file, "list of what held")
}

/// What judges, and by what it was told to: what held by other code or other expectations says nothing.
fn by(told: &str, layout: &Layout) -> Result<String> {
    Ok(Inputs::default().with("what was told", told).with("code", &code(layout)?).key())
}

/// What judges, with the manifests of its fixtures.
///
/// # Errors
/// The checkout cannot be read.
pub fn code(layout: &Layout) -> Result<String> {
    let other = |file: &Path| !file.extension().is_some_and(|ending| ending == "rs" || ending == "yaml");
    let dirs = ["harness", "scenarios/src", "manifests"].iter();
    let all = dirs.map(|dir| Ok((*dir, Inputs::default().with_folder(&layout.repo.join(dir), other)?)));
    let all = all.collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().fold(Inputs::default(), |sum, (dir, inputs)| sum.with_all(dir, inputs)).key())
}

#[cfg(test)]
mod tests {
    use proof::verdict::Outcome;

    use super::*;
    use crate::due::tests::{all_held, main_set_up};

    fn changes() -> Vec<String> {
        vec!["controls".to_owned()]
    }

    fn layout(cache: &Path) -> Layout {
        Layout { cache: cache.into(), repo: "..".into() }
    }

    #[test]
    fn what_held_is_not_repeated_until_it_breaks() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, world) = (layout(dir.path()), WorldId::random().unwrap());
        let due = main_set_up();
        let of_controls =
            |due: &Due| due.trials.iter().filter(|trial| is_of(&changes(), &trial.name)).count();
        assert!(of_controls(&due) > 1);
        assert_eq!(narrowed(&changes(), due.clone(), "", &layout).unwrap().1, None, "nothing was seen yet");

        let mut lines = all_held(&due);
        write(&world, &changes(), &due, &lines, "", &layout).unwrap();
        let (left, told) = narrowed(&changes(), due.clone(), "", &layout).unwrap();
        assert_eq!((of_controls(&left), left.count() + left.left_out), (0, due.count()));
        assert!(told.unwrap().starts_with(&format!("{} claims of scenarios", left.left_out)));

        let (left, _) = narrowed(&changes(), due.clone(), "expects something", &layout).unwrap();
        assert_eq!(left.left_out, 0, "by other expectations nothing is known");

        let scenario = &due.trials.iter().find(|trial| is_of(&changes(), &trial.name)).unwrap().scenario;
        lines.iter_mut().rfind(|line| line.trial == *scenario).unwrap().verdict.verdict = Outcome::Unjudged;
        write(&world, &changes(), &due, &lines, "", &layout).unwrap();
        assert_eq!(narrowed(&changes(), due.clone(), "", &layout).unwrap().0.count(), due.count());
    }

    #[test]
    fn what_other_code_saw_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        let due = main_set_up();
        let head = Head::of(&WorldId::random().unwrap());
        for trial in &due.trials {
            let seen =
                Seen { trial: trial.name.clone(), held: true, code: "other".into(), at: Timestamp::now() };
            lines(&layout).add(&head, &seen).unwrap();
        }
        assert_eq!(narrowed(&changes(), due, "", &layout).unwrap().1, None);
    }
}
