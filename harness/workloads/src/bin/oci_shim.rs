//! An OCI runtime wrapper for machines whose own capability set lacks `CAP_SYS_RESOURCE`.
//!
//! Docker's `--privileged` asks for *every* capability, a negative OOM score and raised limits. Where the
//! whole machine was started without `CAP_SYS_RESOURCE` (a container, a locked-down CI runner) runc then
//! refuses with "unable to apply caps: operation not permitted". This program takes exactly those wishes out
//! of the bundle's `config.json`, or of an exec's `process.json`, and becomes the real runc.
//!
//! The real runc is `$VOUCHSAFE_RUNC`, else the file `oci-shim.runc` beside this program (a symlink will do).

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

const WITHHELD: &str = "CAP_SYS_RESOURCE";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(spec) = Spec::named_by(&args)
        && let Err(e) = spec.soften()
    {
        eprintln!("oci-shim: {}: {e}", spec.file.display());
        return ExitCode::FAILURE;
    }
    let runc = real_runc();
    #[expect(
        clippy::disallowed_methods,
        reason = "it becomes the other program; nothing is left to supervise"
    )]
    let refused = std::process::Command::new(&runc).args(&args).exec();
    eprintln!("oci-shim: {}: {refused}", runc.display());
    ExitCode::FAILURE
}

fn real_runc() -> PathBuf {
    std::env::var_os("VOUCHSAFE_RUNC").map(PathBuf::from).unwrap_or_else(|| {
        let own = std::env::current_exe().unwrap_or_default();
        own.with_file_name("oci-shim.runc")
    })
}

/// The file that says what runc is to start, and where in it the process is described.
#[derive(Debug, PartialEq)]
struct Spec {
    file: PathBuf,
    process: &'static str,
}

impl Spec {
    /// What this command line is about to start; `None` for the commands that start nothing.
    fn named_by(args: &[OsString]) -> Option<Self> {
        let args: Vec<&str> = args.iter().filter_map(|a| a.to_str()).collect();
        if args.iter().any(|a| matches!(*a, "create" | "run" | "restore")) {
            let bundle = value_of(&args, "--bundle", "-b").unwrap_or(".");
            Some(Self { file: Path::new(bundle).join("config.json"), process: "/process" })
        } else if args.contains(&"exec") {
            value_of(&args, "--process", "-p").map(|file| Self { file: file.into(), process: "" })
        } else {
            None
        }
    }

    fn soften(&self) -> io::Result<()> {
        let mut spec: Value = serde_json::from_slice(&std::fs::read(&self.file)?)?;
        if let Some(process) = spec.pointer_mut(self.process) {
            soften(process);
        }
        std::fs::write(&self.file, serde_json::to_vec(&spec)?)
    }
}

fn value_of<'a>(args: &[&'a str], long: &str, short: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(i, arg)| {
        if *arg == long || *arg == short {
            args.get(i + 1).copied()
        } else {
            arg.strip_prefix(long)?.strip_prefix('=')
        }
    })
}

/// Takes out of a process's description what needs the withheld capability.
fn soften(process: &mut Value) {
    let Some(process) = process.as_object_mut() else { return };
    if let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) {
        for set in sets.values_mut().filter_map(Value::as_array_mut) {
            set.retain(|cap| cap != WITHHELD);
        }
    }
    if process.get("oomScoreAdj").and_then(Value::as_i64).is_some_and(|score| score < 0) {
        process.insert("oomScoreAdj".into(), 0.into());
    }
    process.remove("rlimits");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named_by(line: &str) -> Option<Spec> {
        Spec::named_by(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_needs_the_capability_is_taken_out() {
        let mut process = json!({
            "args": ["sh"], "oomScoreAdj": -500, "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}],
            "capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_RESOURCE"], "ambient": ["CAP_SYS_RESOURCE"]},
        });
        soften(&mut process);
        assert_eq!(
            process,
            json!({"args": ["sh"], "oomScoreAdj": 0, "capabilities": {"bounding": ["CAP_KILL"], "ambient": []}})
        );
    }

    #[test]
    fn a_positive_oom_score_is_left_alone() {
        let mut process = json!({"oomScoreAdj": 999});
        soften(&mut process);
        assert_eq!(process, json!({"oomScoreAdj": 999}));
    }

    #[test]
    fn the_spec_is_found_as_containerd_and_docker_name_it() {
        let create = named_by(
            "--root /run/r --log /b/log.json --log-format json create --bundle /b --pid-file /b/p id",
        );
        assert_eq!(create, Some(Spec { file: "/b/config.json".into(), process: "/process" }));
        let exec = named_by("--root /run/r exec --process /tmp/p.json --detach id");
        assert_eq!(exec, Some(Spec { file: "/tmp/p.json".into(), process: "" }));
        assert_eq!(
            named_by("run --bundle=/c id"),
            Some(Spec { file: "/c/config.json".into(), process: "/process" })
        );
        assert_eq!(named_by("--root /run/r delete --force id"), None);
    }
}
