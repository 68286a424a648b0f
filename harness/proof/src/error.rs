//! One failure, as the person at the terminal reads it: what failed, what was last seen, what to run next.
//!
//! Every error carries a [`Code`]: its name is what `cargo xtask explain` takes, its exit status tells a
//! nightly job whether the machine, the set-up or a claim is to blame. Those three never look alike.
//!
//! Errors quote what others said: commands with their arguments, addresses, logs. No secret in it is told: each text
//! goes through [`scrub`].

use std::error::Error as StdError;
use std::fmt;

use crate::scrub;

/// The result of anything in the harness that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with its kind, its cause and the next command.
///
/// `Display` prints the whole chain once, causes after a colon, then the advice on a line of its own.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    what: String,
    seen: Option<String>,
    next: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of kind `code`; `what` is a sentence fragment without a final stop.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        let next = code.cure().map(str::to_owned);
        Self(Box::new(Inner { code, what: scrub::text(&what.into()), seen: None, next, source: None }))
    }

    /// Shorthand for a defect of our own, exit code 1.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Code::Internal, what)
    }

    /// What was last observed, for waits and refusals.
    #[must_use]
    pub fn seen(mut self, seen: impl Into<String>) -> Self {
        self.0.seen = Some(scrub::text(&seen.into()));
        self
    }

    /// What to run or change next, an imperative, where that is more than the kind's own cure.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = Some(scrub::text(&next.into()));
        self
    }

    /// The cause below this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind, which decides the exit status.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence alone, without causes or advice.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// All of it in one line, for a table.
    pub fn one_line(&self) -> String {
        self.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// The advice, if there is any.
    pub fn advice(&self) -> Option<&str> {
        self.0.next.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole at once: a cause is somebody else's text, and a secret may go over several.
        let mut told = String::new();
        self.tell(&mut told)?;
        f.write_str(&scrub::text(&told))
    }
}

impl Error {
    fn tell(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(&self.0.what)?;
        let mut cause = self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static));
        while let Some(e) = cause {
            write!(f, ": {}", e.to_string().trim_end())?;
            // One of ours prints its own chain already.
            cause = if e.is::<Error>() { None } else { e.source() };
        }
        if let Some(seen) = &self.0.seen {
            write!(f, "\n  last seen: {seen}")?;
        }
        if let Some(next) = &self.0.next {
            write!(f, "\n  next: {next}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.0.code.name())
    }
}

// `source()` stays empty on purpose: Display prints the chain, and a chain is printed once.
impl StdError for Error {}

/// Adds one of our errors on top of any other.
pub trait Context<T> {
    /// Wraps the failure as the cause of a new one.
    fn or_fail(self, code: Code, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn or_fail(self, code: Code, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::new(code, what()).because(e))
    }
}

impl Code {
    /// What to do about any failure of this kind, where that is always the same.
    fn cure(self) -> Option<&'static str> {
        match self {
            Code::CacheUnusable => Some("free space there, or name another folder with VOUCHSAFE_CACHE"),
            _ => None,
        }
    }
}

macro_rules! codes {
    ($($variant:ident, $name:literal, $exit:literal, $text:literal;)*) => {
        /// Every kind of failure, with a stable name and the exit status of the command that met it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $text] $variant,)* }

        impl Code {
            /// All of them, in the order of the exit status.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];
            /// The stable name, as `explain` takes it.
            pub fn name(self) -> &'static str { match self { $(Code::$variant => $name),* } }
            /// The exit status: 1 internal, 2 usage, 3 unfit machine, 4 set-up, 5 claim, 6 leftovers, 7 time, 130 interrupted.
            pub fn exit(self) -> u8 { match self { $(Code::$variant => $exit),* } }
            /// What it means and what to do, for `explain`.
            pub fn explain(self) -> &'static str { match self { $(Code::$variant => $text),* } }
        }
    };
}

codes! {
    Internal, "internal", 1, "A defect in Vouchsafe itself. Please report it with the run's report folder.";
    Usage, "usage", 2, "The command line, a topology file or the lock file cannot be used as given. Nothing was touched.";
    Topology, "topology", 2, "The topology is malformed or contradicts itself (overlapping subnets, equal names). Nothing was touched.";
    Lock, "lock", 2, "manifests/lock.yaml is malformed. Nothing was touched.";
    NotFit, "not-fit", 3, "This machine lacks something the run needs (memory, disk, a kernel setting). `cargo xtask doctor` names the measured and the needed value and the cure.";
    EngineUnreachable, "engine-unreachable", 3, "No Docker engine answers and a private one cannot be started here. Start Docker, or run as root on a Debian-like Linux.";
    CacheUnusable, "cache-unusable", 3, "The cache folder is read-only, full or damaged. Choose another with VOUCHSAFE_CACHE, or free space.";
    Busy, "busy", 3, "Another run of Vouchsafe is at work with this cache, or a world was left up. Wait for the run, or take the world down with `cargo xtask down`.";
    ClusterUnreachable, "cluster-unreachable", 3, "A cluster that you named does not answer, or does not take your credentials. Nothing was touched.";
    ForeignCluster, "foreign-cluster", 3, "A cluster or container of the same name exists that Vouchsafe did not make. It is never deleted for you: rename or remove it yourself.";
    ArtifactUnavailable, "artifact-unavailable", 4, "An image, tool or manifest could not be obtained from the chosen source.";
    DigestMismatch, "digest-mismatch", 4, "What arrived is not what manifests/lock.yaml pins. Nothing of it was used.";
    BuildFailed, "build-failed", 4, "An artifact could not be built from packages. The log named in the message holds the compiler's words.";
    EngineFailed, "engine-failed", 4, "The container engine answered with an error or went away.";
    ClusterFailed, "cluster-failed", 4, "kind could not create a cluster, or a node went away.";
    KubeFailed, "kube-failed", 4, "A Kubernetes API server refused or did not answer.";
    CommandFailed, "command-failed", 4, "A program that the harness runs exited with an error; its output is in the message.";
    SetupFailed, "setup-failed", 4, "A step of the plan failed, so no claim was judged.";
    Evidence, "evidence", 4, "Evidence could not be collected, or what is stored of it cannot be used, so a claim could be judged neither way.";
    ClaimBroken, "claim-broken", 5, "At least one claim did not hold. This is the finding the harness exists for: read expected and observed.";
    LeftBehind, "left-behind", 6, "Something this run made could not be taken away. `cargo xtask down` may be run again at any time.";
    TimedOut, "timed-out", 7, "Something did not happen within its time. The message says what was last seen.";
    Interrupted, "interrupted", 130, "The run was stopped by a signal; what it had made was taken down unless --keep said otherwise.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_printed_once() {
        let io = std::io::Error::other("disk on fire");
        let inner = Error::new(Code::CacheUnusable, "cannot write the stamp").because(io).next("free space");
        let outer = Error::new(Code::SetupFailed, "step images failed").because(inner);
        assert_eq!(
            outer.to_string(),
            "step images failed: cannot write the stamp: disk on fire\n  next: free space"
        );
    }

    #[test]
    fn no_secret_is_told() {
        let token = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let io = std::io::Error::other("https://bot:hunter2@proxy.example/go: refused");
        let e =
            Error::new(Code::CommandFailed, format!("`spire-agent run -joinToken {token}` exited with 1"))
                .because(io)
                .seen(format!("Token: {token}"))
                .next(format!("run it again with -joinToken {token} -v"));
        let (told, debug) = (e.to_string(), format!("{e:?}"));
        for secret in [token, "hunter2"] {
            assert!(
                !told.contains(secret) && !debug.contains(secret) && !e.what().contains(secret),
                "{told}"
            );
        }
        assert!(!e.advice().unwrap().contains(token), "{e}");
        assert!(
            told.contains("`spire-agent run -joinToken [removed]` exited with 1: https://[removed]@proxy"),
            "{told}"
        );
    }

    #[test]
    fn names_are_unique_and_exit_codes_documented() {
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|c| matches!(c.exit(), 1..=7 | 130)));
    }
}
