//! A run that is killed or interrupted at any moment leaves nothing that stands in the next one's way. Slow, so run on demand,
//! while no world is up; each line says when it struck and what came of it.
//!
//! `cargo test -p xtask --test stopped -- --ignored --nocapture --test-threads=1`
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use harness::cmd::{Child, Cmd, Output};
use harness::layout::Layout;
use harness::patience;
use harness::progress::Note;
use harness::wait::{Look, eventually, pause_for};
use harness::{lifecycle, world};

use common::xtask;

const KILLS: u32 = 20;
const INTERRUPTS: u32 = 10;
const CHANGES: u32 = 6;
/// Longer than a run takes until its claims are judged.
const RUN: Duration = Duration::from_secs(60);

/// Odd ones kill only the command, as `kill -9` or the kernel's out-of-memory killer do; even ones everything that it
/// started, as a container that is removed.
#[tokio::test]
#[ignore = "takes half an hour; no world may be up"]
async fn after_a_kill_at_any_moment_the_next_run_is_green() {
    let dir = tempfile::tempdir().unwrap();
    let mut green = 0;
    for round in 1..=KILLS {
        let run = Started::e2e(&dir.path().join(format!("killed-{round}")), &[]);
        let moment = chance(round, RUN);
        pause_for(moment).await;
        let (all, last) = (round % 2 == 0, run.last_step());
        run.kill(all).await;
        let next = xtask(&["e2e"]).await;
        green += u32::from(next.status == 0);
        let whom = if all { "all of it" } else { "the command" };
        println!("{round}: killed {whom} after {moment:.1?} ({last}); the next run: {}", said(&next));
    }
    assert_eq!(green, KILLS);
}

/// The first signal stops it, the second leaves at once: within 5 seconds, with a sentence that says what is left, and
/// `down` takes that.
#[tokio::test]
#[ignore = "takes ten minutes; no world may be up"]
async fn the_second_signal_leaves_at_once_and_down_takes_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    for round in 1..=INTERRUPTS {
        let log = dir.path().join(format!("interrupted-{round}"));
        let env = [("VOUCHSAFE_LOG", "harness::progress=info"), ("VOUCHSAFE_PATIENCE", "0.2")];
        let run = Started::e2e(&log, &env);
        match round % 3 {
            0 => run.until_it_collects().await,
            1 => run.until_it_says("begins: take everything down").await,
            _ => pause_for(chance(round, RUN)).await,
        }
        pause_for(chance(round, Duration::from_secs(2))).await;
        run.signal("INT").await;
        pause_for(chance(round, Duration::from_secs(1))).await;
        let second = Instant::now();
        run.signal("INT").await;
        let status = run.status().await;
        let took = second.elapsed();
        let words = std::fs::read_to_string(&log).unwrap();
        let left = words.lines().rfind(|line| line.contains("left:")).unwrap_or("nothing is said to be left");
        let down = xtask(&["down"]).await;
        println!("{round}: exit {status}, {took:.2?} after the second; {left}; down: exit {}", down.status);
        // One that had ended in order before the second signal has nothing to say.
        let named = left.contains("left:") || !words.contains("left at once");
        let gone = !Layout::find().unwrap().world().exists();
        if status != 130 || took > Duration::from_secs(5) || down.status != 0 || !named || !gone {
            faults.push(format!("{round}\n{words}\n{}", down.stderr));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What a scenario had changed is put back by the next command, whether the scenario alone was killed or everything that
/// judges. (Killed alone, it may have been put back by the scenario after it.)
#[tokio::test]
#[ignore = "takes ten minutes; no world may be up"]
async fn a_scenario_that_is_killed_in_the_midst_of_a_change_is_put_back_first() {
    let dir = tempfile::tempdir().unwrap();
    let up = xtask(&["up"]).await;
    assert_eq!(up.status, 0, "{}", up.stderr);
    let (mut faults, mut put_back) = (Vec::new(), 0);
    for round in 1..=CHANGES {
        let words = ["verify", "--filter", "test(controls)"];
        let run = Started::of(&words, &dir.path().join(format!("changes-{round}")), &[]);
        run.until_it_changes_the_world().await;
        let moment = chance(round, Duration::from_secs(10));
        pause_for(moment).await;
        let (all, changed) = (round % 2 == 0, changes().exists());
        if all {
            run.kill(true).await
        } else {
            run.kill_scenario().await
        }
        let left = changes().exists();
        let next = xtask(&["verify"]).await;
        let first = next.stderr.contains("it is put back first");
        put_back += u32::from(left && first);
        let whom = if all { "all of it" } else { "the scenario" };
        println!(
            "{round}: killed {whom} {moment:.1?} after its first change (in the midst: {changed}; left: {left}); \
             put back first: {first}; the next run: {}",
            said(&next)
        );
        if next.status != 0 || left != first || changes().exists() {
            faults.push(format!("{round}\n{}", next.stderr));
        }
    }
    let down = xtask(&["down"]).await;
    assert_eq!(down.status, 0, "{}", down.stderr);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert_ne!(put_back, 0, "no kill came in the midst of a change");
}

/// Where the world says what a scenario has changed and not yet put back.
fn changes() -> PathBuf {
    world::file(&Layout::find().unwrap()).with_file_name("disturbances.jsonl")
}

/// A run that is under way.
struct Started {
    child: Child,
    log: PathBuf,
}

impl Started {
    fn e2e(log: &Path, env: &[(&str, &str)]) -> Self {
        Self::of(&["e2e"], log, env)
    }

    fn of(words: &[&str], log: &Path, env: &[(&str, &str)]) -> Self {
        let run = Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(words.iter().copied()).log_to(log);
        let run = env.iter().fold(run, |run, (key, value)| run.env(*key, *value));
        Self { child: run.start().unwrap(), log: log.into() }
    }

    fn pid(&self) -> String {
        self.child.pid().unwrap().to_string()
    }

    /// What it had done last.
    fn last_step(&self) -> String {
        let words = std::fs::read_to_string(&self.log).unwrap();
        words.lines().rfind(|line| line.starts_with("  ok ")).unwrap_or("before its first step").trim().into()
    }

    async fn until_it_says(&self, words: &str) {
        let look = || async {
            let log = std::fs::read_to_string(&self.log).unwrap();
            match log.contains(words) || self.child.ended().is_some() {
                true => Look::Ready(()),
                false => Look::NotYet(log.lines().next_back().unwrap_or_default().into()),
            }
        };
        eventually(words, patience::STEP, &Note::silent(), look).await.unwrap();
    }

    /// A node that dies makes the set-up fail.
    async fn until_it_collects(&self) {
        self.until_it_says("ends step=\"cluster1/cluster\"").await;
        let (engine, node) = lifecycle::nodes(&Layout::find().unwrap()).await.unwrap().remove(0);
        engine.docker().kill_container(&node, None).await.unwrap();
        self.until_it_says("begins: collect what there is").await;
    }

    async fn until_it_changes_the_world(&self) {
        let look = || async {
            match changes().exists() || self.child.ended().is_some() {
                true => Look::Ready(()),
                false => Look::NotYet("it changed nothing".into()),
            }
        };
        eventually("a change", patience::STEP, &Note::silent(), look).await.unwrap();
    }

    async fn signal(&self, name: &str) {
        // It may have ended.
        Cmd::new("kill").args(["-s", name, &self.pid()]).output().await.unwrap();
    }

    async fn kill(self, all: bool) {
        let own = self.pid().parse().unwrap();
        let whom = if all { with_descendants(own) } else { vec![own] };
        Cmd::new("kill").args(["-s", "KILL"]).args(whom.iter().map(u32::to_string)).output().await.unwrap();
        self.status().await;
    }

    /// Only the process of the scenario: who judges goes on to the next one, and to the end.
    async fn kill_scenario(self) {
        let of_scenario = |pid: &u32| {
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.contains("\0--exact\0")
        };
        let found = with_descendants(self.pid().parse().unwrap()).into_iter().filter(of_scenario);
        // It may have ended.
        Cmd::new("kill").args(["-s", "KILL"]).args(found.map(|pid| pid.to_string())).output().await.unwrap();
        self.status().await;
    }

    async fn status(&self) -> i32 {
        let look =
            || async { self.child.ended().map_or_else(|| Look::NotYet("it runs".into()), Look::Ready) };
        eventually("the end of the run", patience::SCENARIOS, &Note::silent(), look).await.unwrap()
    }
}

/// A process and everything that it started, as far as that has a living parent.
fn with_descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<_> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // `PID (NAME) STATE PARENT …`, and a name may have blanks.
            let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let of: u32 = found[at];
        found.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// A moment of that time: the first of a test's nobody chose, the others are spread between (by the golden ratio, which
/// never comes near a moment that it had).
fn chance(round: u32, most: Duration) -> Duration {
    static FIRST: OnceLock<f64> = OnceLock::new();
    let first = FIRST.get_or_init(|| f64::from(jiff::Timestamp::now().subsec_nanosecond()) / 1e9);
    most.mul_f64((first + f64::from(round) * 0.618_034).fract())
}

fn said(run: &Output) -> String {
    let of = |words: &str| run.stderr.lines().find(|line| line.contains(words)).unwrap_or_default().trim();
    match run.status {
        0 => of("claims held").to_owned(),
        status => format!("exit {status}\n{}", harness::cmd::tail(&run.stderr)),
    }
}
