//! Debian packages, resolved and fetched by apt from the mirrors that this machine is configured for: nothing is
//! installed, and apt's own state is a private one. [`super::tree`] unpacks them.
//!
//! apt's signed metadata is the check of what arrives; names and hashes are kept in the artifact's stamp.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::artifact::cache::files_below;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::{Code, Error, Result, patience};

/// A list of packages: `manifests/packages/debian/<set>.txt`, one a line, `#` for comments.
#[derive(Clone, Copy, Debug)]
pub struct Debian {
    /// The list's name.
    pub set: &'static str,
    /// Whether what they depend on comes too.
    pub closure: bool,
}

/// A private apt: its own sources, lists and (empty) package database.
#[derive(Debug)]
pub struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Sets it up below `dir` for one Debian release and fetches the package lists.
    ///
    /// # Errors
    /// [`Code::NotFit`] when apt is not configured for that release; otherwise what apt says.
    pub async fn prepare(dir: &Path, release: &str) -> Result<Self> {
        let sources = sources(&targets().await?, release);
        if sources.is_empty() {
            return Err(Error::new(
                Code::NotFit,
                format!("apt has no source for Debian {release} on this machine"),
            )
            .next("cargo xtask doctor, which knows the line to add; or use `--source registry`"));
        }
        let reach =
            Cmd::new("apt-config").args(["dump", "--format", "%F \"%v\";%n", "Acquire"]).run().await?;
        for folder in ["lists/partial", "archives/partial"] {
            std::fs::create_dir_all(dir.join(folder)).or_fail(Code::CacheUnusable, || cannot_write(dir))?;
        }
        let files = [
            ("sources.list", sources),
            ("apt.conf", settings(dir, &reach.stdout)),
            ("status", String::new()),
        ];
        for (name, text) in files {
            std::fs::write(dir.join(name), text).or_fail(Code::CacheUnusable, || cannot_write(dir))?;
        }
        let apt = Self { dir: dir.to_path_buf() };
        apt.get(["update", "-qq"]).limit(patience::DOWNLOAD).run().await?;
        Ok(apt)
    }

    fn get<const N: usize>(&self, args: [&str; N]) -> Cmd {
        Cmd::new("apt-get").args(args).env("APT_CONFIG", self.dir.join("apt.conf")).env("LC_ALL", "C")
    }

    /// Fetches the packages into `to`; returns the files in order and what is to be remembered of them.
    ///
    /// # Errors
    /// What apt says: an unknown package, no connection.
    pub async fn fetch(
        &self,
        packages: &[String],
        closure: bool,
        to: &Path,
    ) -> Result<(Vec<PathBuf>, Value)> {
        std::fs::create_dir_all(to.join("partial")).or_fail(Code::CacheUnusable, || cannot_write(to))?;
        let archives = format!("Dir::Cache::archives={}", to.display());
        let command = |words: &[&str]| {
            let get = self.get(["-y", "-o", &archives]).args(words.iter().copied()).args(packages);
            get.dir(to).limit(patience::DOWNLOAD)
        };
        let (plan, get) = if closure {
            (command(&["--print-uris", "install"]), command(&["-q", "--download-only", "install"]))
        } else {
            (command(&["--print-uris", "download"]), command(&["-q", "download"]))
        };
        let about = remembered(&plan.run().await?.stdout);
        get.run().await?;
        let debs = files_below(to).or_fail(Code::CacheUnusable, || cannot_write(to))?;
        let debs = debs.into_iter().filter(|f| f.extension().is_some_and(|e| e == "deb"));
        Ok((debs.map(|f| to.join(f)).collect(), about))
    }
}

/// The names on a list.
///
/// # Errors
/// [`Code::Internal`] when the checkout lacks the file.
pub fn names(recipes: &Path, set: &str) -> Result<Vec<String>> {
    let path = recipes.join("debian").join(format!("{set}.txt"));
    let text = std::fs::read_to_string(&path)
        .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

/// Where Debian's keys are, if they are installed.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What apt is configured for on this machine: a line for each place, with its release as it was written, its release's
/// own name, and the component. Twice: only a place whose lists were fetched once says its release's own name, and only
/// without that name is a place told whose lists never were.
///
/// # Errors
/// What apt says.
pub async fn targets() -> Result<String> {
    let format = "$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)";
    let list = Cmd::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]);
    let (named, written) = futures::try_join!(list.clone().run(), list.arg("--no-release-info").run())?;
    Ok(named.stdout + &written.stdout)
}

/// The lines of a sources.list for one release; empty where the machine has none.
pub fn sources(targets: &str, release: &str) -> String {
    let wanted = [release.to_owned(), format!("{release}-updates"), format!("{release}-security")];
    let signed = if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let lines = targets.lines().filter_map(|line| match line.split('|').collect::<Vec<_>>()[..] {
        // `oldstable` may be meant by another name in its sources, and is bookworm all the same.
        [uri, written, own, "main"] => {
            let suite = wanted.iter().find(|w| *w == written || *w == own)?;
            Some(format!("deb {signed}{uri} {suite} main\n"))
        }
        _ => None,
    });
    // One line for each architecture would come twice.
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines.dedup();
    lines.concat()
}

/// Where this machine gets its own packages from, which has other releases too.
pub fn mirror(targets: &str) -> Option<String> {
    let main = targets.lines().filter_map(|line| match line.split('|').collect::<Vec<_>>()[..] {
        [uri, suite, _, "main"] if !suite.contains('-') && uri.trim_end_matches('/').ends_with("/debian") => {
            Some(uri)
        }
        _ => None,
    });
    main.map(str::to_owned).next()
}

/// Everything private but for how a mirror is reached (proxies, retries, credentials), which is the machine's.
fn settings(dir: &Path, reach: &str) -> String {
    let kept =
        ["Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv"];
    let reach = reach.lines().filter(|line| kept.iter().any(|k| line.starts_with(k)));
    let dir = dir.display();
    format!(
        r#"Dir::State "{dir}"; Dir::State::lists "lists"; Dir::State::status "{dir}/status";
Dir::Cache "{dir}"; Dir::Cache::archives "archives"; Dir::Log "{dir}";
Dir::Etc::sourcelist "{dir}/sources.list"; Dir::Etc::sourceparts "/dev/null";
Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64"; APT::Architectures "amd64"; APT::Install-Recommends "0"; APT::Sandbox::User "root";
Acquire::Languages "none";
{}
"#,
        reach.collect::<Vec<_>>().join("\n")
    )
}

/// `'uri' name size SHA256:hash` of `--print-uris` as `{name: hash}`.
fn remembered(plan: &str) -> Value {
    let packages = plan.lines().filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [uri, name, _, hash] if uri.starts_with('\'') => Some((name.to_owned(), json!(hash))),
        _ => None,
    });
    Value::Object(packages.collect())
}

pub(super) fn cannot_write(dir: &Path) -> String {
    format!("cannot write to the cache {}", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_release_that_is_pinned_is_taken_from_the_machines_sources() {
        let targets = "http://mirror.test/debian/|bookworm||main\nhttp://mirror.test/debian/|bookworm|bookworm|main\n\
            http://mirror.test/security/|oldstable-security|bookworm-security|main\n\
            http://vendor.test/apt|cloud-bookworm||main\nhttp://mirror.test/debian/|bookworm|$(CODENAME)|contrib\n";
        let lines = sources(targets, "bookworm");
        let lines: Vec<_> =
            lines.lines().map(|l| l.rsplit("] ").next().unwrap().trim_start_matches("deb ")).collect();
        assert_eq!(
            lines,
            [
                "http://mirror.test/debian/ bookworm main",
                "http://mirror.test/security/ bookworm-security main"
            ]
        );
        assert_eq!(sources(targets, "trixie"), "");
        assert_eq!(mirror(targets).as_deref(), Some("http://mirror.test/debian/"));
        assert_eq!(mirror("http://archive.test/ubuntu/|noble|noble|main\n"), None);
    }

    #[test]
    fn the_machines_proxy_is_kept_and_its_hooks_are_not() {
        let reach =
            "Acquire::http::Proxy \"http://proxy.test:3128\";\nAcquire::IndexTargets::deb::DEP-11 \"x\";\n";
        let text = settings(Path::new("/cache/apt"), reach);
        assert!(text.contains("Acquire::http::Proxy \"http://proxy.test:3128\";"));
        assert!(!text.contains("IndexTargets"));
        assert!(text.contains("Dir::Etc::parts \"/dev/null\""));
    }

    #[test]
    fn names_and_hashes_of_packages_are_remembered() {
        let plan = "Reading package lists...\n'http://m.test/pool/tini_0.19.0-1_amd64.deb' tini_0.19.0-1_amd64.deb 267 SHA256:ab\n";
        assert_eq!(remembered(plan), json!({"tini_0.19.0-1_amd64.deb": "SHA256:ab"}));
    }
}
