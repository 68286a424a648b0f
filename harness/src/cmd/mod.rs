//! Processes: the only place that starts one.
//!
//! Every child runs in its own process group, has a time limit, and is killed with its children when the
//! future that waits for it is dropped, so that Ctrl-C and a failing neighbour leave nothing running. It sees our
//! environment as the user set it, without what cargo added for us.

mod inherited;
pub mod orphans;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::error::Context as _;
use crate::patience::Limit;
use crate::wait::{Deadline, glance};
use crate::{Code, Error, Result, log, patience};

/// A command that has not been started.
#[derive(Clone, Debug)]
#[must_use]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    limit: Limit,
    log: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    unset: Vec<OsString>,
}

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit status; negative for a signal.
    pub status: i32,
    /// Standard output, empty when it went to a log.
    pub stdout: String,
    /// Standard error, empty when it went to a log.
    pub stderr: String,
}

impl Cmd {
    /// A command found on `PATH` or named by its path.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            limit: patience::COMMAND,
            log: None,
            stdin: None,
            unset: Vec::new(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one variable for the child.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Hides one of our variables from the child.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.unset.push(key.into());
        self
    }

    /// The child's working folder.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// How long it may take (default [`patience::COMMAND`]).
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    /// Sends both outputs to a file instead of memory; an error quotes its last lines.
    pub fn log_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Feeds these bytes to the child.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Runs it; an exit status other than 0 is an error with the command and its last words.
    pub async fn run(self) -> Result<Output> {
        let (shown, log) = (self.to_string(), self.log.clone());
        let out = self.output().await?;
        if out.status == 0 {
            return Ok(out);
        }
        let words = match &log {
            Some(path) => logged(path),
            None => tail(if out.stderr.trim().is_empty() { &out.stdout } else { &out.stderr }),
        };
        Err(Error::new(Code::CommandFailed, format!("`{shown}` exited with {}\n{words}", out.status)))
    }

    /// Runs it and hands back whatever it said and returned.
    pub async fn output(self) -> Result<Output> {
        let (shown, written) = (self.to_string(), self.log.clone());
        let (deadline, began) = (Deadline::after(self.limit), Instant::now());
        let child = self.start()?;
        let (handle, pid) = (child.0.clone(), child.pid());
        let mut waiting = tokio::task::spawn_blocking(move || {
            handle.wait().map(|out| Output {
                status: exit_of(out.status),
                stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
            })
        });
        if let Some(joined) = deadline.bounds(&mut waiting).await {
            let out = joined.or_fail(Code::Internal, || format!("waiting for `{shown}`"))?;
            child.forget();
            let out = out.or_fail(Code::CommandFailed, || format!("cannot wait for `{shown}`"))?;
            let ms = log::ms(began.elapsed());
            tracing::info!(pid, status = out.status, ms, "ended `{}`", begin_of(&shown));
            return Ok(out);
        }
        // Killed with its group, it hands over what it had said; unless somebody left the group and holds the pipe.
        drop(child);
        let killed = match &written {
            Some(_) => None,
            None => glance(patience::PAUSE * 10, waiting).await.and_then(|joined| joined.ok()?.ok()),
        };
        let words = match (&written, &killed) {
            (Some(path), _) => logged(path),
            (None, Some(out)) => tail(&[out.stdout.as_str(), &out.stderr].concat()),
            (None, None) => String::new(),
        };
        let said = if words.is_empty() { "it said nothing".to_owned() } else { format!("it said\n{words}") };
        Err(deadline.timed_out(&format!("the end of `{shown}`"), said))
    }

    /// Starts it and returns at once; dropping the [`Child`] kills its whole process group.
    pub fn start(self) -> Result<Child> {
        let shown = self.to_string();
        let mut expr = duct::cmd(&self.program, &self.args).unchecked().before_spawn(|c| {
            c.process_group(0);
            Ok(())
        });
        expr = expr.env(orphans::MARK, orphans::me());
        for (key, value) in &self.env {
            expr = expr.env(key, value);
        }
        for key in &self.unset {
            expr = expr.env_remove(key);
        }
        // Last, for duct applies the outermost first.
        expr = expr.full_env(inherited::by_a_child());
        if let Some(dir) = &self.dir {
            expr = expr.dir(dir);
        }
        expr = match self.stdin {
            Some(bytes) => expr.stdin_bytes(bytes),
            None => expr.stdin_null(),
        };
        expr = match &self.log {
            Some(path) => expr.stderr_to_stdout().stdout_file(open_log(path)?),
            None => expr.stdout_capture().stderr_capture(),
        };
        tracing::info!("$ {shown}");
        match expr.start() {
            Ok(handle) => {
                let child = Child(Arc::new(handle), true);
                tracing::debug!(pid = child.pid(), "started `{}`", begin_of(&shown));
                Ok(child)
            }
            Err(e) => {
                let missing = e.kind() == std::io::ErrorKind::NotFound;
                let dir_missing = self.dir.as_ref().filter(|d| !d.is_dir());
                let error = Error::new(Code::CommandFailed, format!("cannot start `{shown}`")).because(e);
                Err(match dir_missing {
                    Some(dir) => error.seen(format!("the folder {} does not exist", dir.display())),
                    None if missing => {
                        error.seen(format!("no program `{}` on PATH", self.program.to_string_lossy()))
                    }
                    None => error,
                })
            }
        }
    }
}

impl std::fmt::Display for Cmd {
    /// As it could be pasted into a shell.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&quoted(&self.program.to_string_lossy()))?;
        self.args.iter().try_for_each(|a| write!(f, " {}", quoted(&a.to_string_lossy())))
    }
}

/// A running process group.
#[must_use = "dropping it kills the process"]
pub struct Child(Arc<duct::Handle>, bool);

impl Child {
    /// The process id, which is also its group's.
    pub fn pid(&self) -> Option<u32> {
        self.0.pids().first().copied()
    }

    /// The exit status, once it has ended.
    pub fn ended(&self) -> Option<i32> {
        match self.0.try_wait() {
            Ok(None) => None,
            Ok(Some(out)) => Some(exit_of(out.status)),
            Err(_) => Some(-1),
        }
    }

    /// Lets it live on after us.
    pub fn forget(mut self) {
        self.1 = false;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.1 || self.ended().is_some() {
            return;
        }
        if let Some(pid) = self.pid().and_then(|p| rustix::process::Pid::from_raw(p.cast_signed())) {
            // Already gone is as good as killed.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
    }
}

/// The last lines of a long text, bounded so that an error stays readable.
pub fn tail(text: &str) -> String {
    const LINES: usize = 15;
    // Before it is cut: half of a key is no longer known for one.
    let text = &proof::scrub::text(text);
    let lines: Vec<_> = text.trim_end().lines().collect();
    let mut out = String::new();
    if lines.len() > LINES {
        let _ = writeln!(out, "  … {} lines before", lines.len() - LINES);
    }
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        let short: String = line.chars().take(400).collect();
        let _ = writeln!(out, "  {short}");
    }
    out.trim_end().to_owned()
}

/// The last lines of a log, and where all of it is.
fn logged(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    format!("{}\n  log: {}", tail(&text), path.display())
}

fn open_log(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)
            .or_fail(Code::CacheUnusable, || format!("cannot create {}", dir.display()))?;
    }
    File::create(path).or_fail(Code::CacheUnusable, || format!("cannot write the log {}", path.display()))
}

/// As much of a command as tells it from others that run beside it.
fn begin_of(shown: &str) -> String {
    shown.chars().take(60).collect()
}

fn exit_of(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(1))
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Note;
    use crate::wait::{self, Look};

    #[tokio::test]
    async fn a_failure_shows_the_command_and_its_last_words() {
        let e = Cmd::new("sh").args(["-c", "echo hello there >&2; exit 3"]).run().await.unwrap_err();
        assert_eq!(e.code(), Code::CommandFailed);
        let text = e.to_string();
        assert!(text.contains("`sh -c 'echo hello there >&2; exit 3'` exited with 3"), "{text}");
        assert!(text.contains("  hello there"), "{text}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let e = Cmd::new("no-such-program").run().await.unwrap_err();
        assert!(e.to_string().contains("no program `no-such-program` on PATH"), "{e}");
    }

    #[tokio::test]
    async fn the_limit_kills_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; echo nearly there; wait", file.display());
        let limit = Limit::milliseconds(300);
        let e = Cmd::new("sh").args(["-c", &script]).limit(limit).run().await.unwrap_err();
        assert_eq!(e.code(), Code::TimedOut);
        let seen = "; wait'` did not happen within 300 ms\n  last seen: it said\n  nearly there";
        assert!(e.to_string().ends_with(seen), "{e}");
        let grandchild = std::fs::read_to_string(&file).unwrap();
        let stat = format!("/proc/{}/stat", grandchild.trim());
        // On a busy machine the killed need a moment to die; then it is gone, or a zombie nobody has collected yet.
        let dead = || async {
            match std::fs::read_to_string(&stat) {
                Ok(state) if !state.contains(") Z ") => Look::NotYet(state),
                _ => Look::Ready(()),
            }
        };
        wait::eventually("the grandchild's end", Limit::seconds(20), &Note::silent(), dead).await.unwrap();
    }
}
