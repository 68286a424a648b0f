//! Programs and files out of Go modules. What is built and at which version is said by the recipe folder's
//! `go.mod`: it pins the module, carries the replace lines that a depending module does not inherit, and its
//! `tool` lines name the packages. Go's checksum database and the committed `go.sum` are the check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::compilers;
use crate::artifact::cache::files_below;
use crate::cmd::Cmd;
use crate::error::Context as _;
use crate::lock::Lock;
use crate::progress::Note;
use crate::{Code, Result, patience};

/// A recipe whose `go.mod` says what to build.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The folder below `manifests/packages/`, where the lock names no other.
    pub recipe: &'static str,
    /// What to build: `tool` for the packages of the tool lines, `.` for a main package of ours.
    pub package: &'static str,
    /// Build tags, as upstream's own release build sets them.
    pub tags: &'static str,
    /// Linker flags; `{version}` is the pinned version without its `v`, `{istio}` the lock's word for Istio.
    pub ldflags: &'static str,
    /// Whether C code is compiled in.
    pub cgo: bool,
    /// A program whose import path gives it a poor name: from, to.
    pub rename: Option<(&'static str, &'static str)>,
}

/// A program as most are.
pub const PROGRAM: Program =
    Program { recipe: "", package: "tool", tags: "", ldflags: "", cgo: false, rename: None };

/// Files of a module, taken unchanged.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    /// The folder below `manifests/packages/` whose `go.mod` pins the module, where the lock names no other.
    pub recipe: &'static str,
    /// A file or a folder inside the module.
    pub path: &'static str,
}

/// Go's own caches, below ours.
#[derive(Clone, Debug)]
pub struct Go<'a> {
    /// Holds `mod` and `build`.
    pub cache: PathBuf,
    /// `manifests/packages/`.
    pub recipes: PathBuf,
    /// Which folder a recipe is in.
    pub lock: &'a Lock,
}

/// How modules are reached is the machine's to say, be it in the environment or by `go env -w`.
const REACH: [&str; 8] =
    ["GOAUTH", "GOINSECURE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOVCS"];

impl Go<'_> {
    async fn command(&self, recipe: &str) -> Result<Cmd> {
        let go = || {
            compilers::neutral(Cmd::new("go"))
                .dir(self.recipes.join(self.lock.recipe(recipe)))
                .env("GOMODCACHE", self.cache.join("mod"))
                .env("GOCACHE", self.cache.join("build"))
                .env("GOWORK", "off")
                // The Go that `doctor` has judged is the one that builds; none is fetched in its place.
                .env("GOTOOLCHAIN", "local")
                // Neither the commit of our checkout nor its place may get into what is built.
                .env("GOFLAGS", "-buildvcs=false -trimpath -mod=readonly")
                .limit(patience::BUILD)
        };
        let said = go().args(["env", "-json"]).args(REACH).run().await?.stdout;
        let reach: BTreeMap<String, String> = serde_json::from_str(&said)
            .or_fail(Code::BuildFailed, || "`go env` did not say how modules are reached".to_owned())?;
        // `go env -w GOARCH=…` is as good as a variable, so its file is not read, and the compiler is the one that
        // `doctor` looked for.
        let go = go().env("GOENV", "off").env("CC", "cc");
        Ok(reach
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .fold(go, |go, (name, value)| go.env(name, value)))
    }

    /// Fetches exactly the modules that the program needs, which `go build` would do one after another.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] with Go's words: no connection, a sum that differs.
    pub async fn fetch(&self, program: &Program) -> Result<()> {
        let list = self.command(program.recipe).await?;
        let list = list.args(["list", "-deps", "-tags", program.tags, program.package]);
        list.env("CGO_ENABLED", cgo(program)).run().await.map(drop)
    }

    /// Compiles into `to`.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] with the log's last lines.
    pub async fn build(
        &self,
        program: &Program,
        flags: &str,
        version: &str,
        to: &Path,
        log: &Path,
        note: &Note,
    ) -> Result<()> {
        note.say("compiling");
        let ldflags = format!("-s -w {}", flags.replace("{version}", version.trim_start_matches('v')));
        let mut out = to.as_os_str().to_owned();
        out.push("/");
        let build = self.command(program.recipe).await?;
        let build = build.args(["build", "-tags", program.tags, "-ldflags", &ldflags, "-o"]);
        build.arg(out).arg(program.package).env("CGO_ENABLED", cgo(program)).log_to(log).run().await?;
        if let Some((from, name)) = program.rename {
            std::fs::rename(to.join(from), to.join(name))
                .or_fail(Code::BuildFailed, || format!("the build of {} made no `{from}`", program.recipe))?;
        }
        Ok(())
    }

    /// Copies files of the pinned module into `to`.
    ///
    /// # Errors
    /// [`Code::CommandFailed`] with Go's words; [`Code::BuildFailed`] when the module has no such path.
    pub async fn copy(&self, files: &Files, to: &Path) -> Result<()> {
        let (module, _) = pinned(&self.recipes, self.lock.recipe(files.recipe))?;
        let go = self.command(files.recipe).await?;
        go.clone().args(["mod", "download", &module]).run().await?;
        let found = go.args(["list", "-m", "-f", "{{.Dir}}", &module]).run().await?;
        let from = Path::new(found.stdout.trim()).join(files.path);
        copy(&from, to).or_fail(Code::BuildFailed, || format!("cannot take {} out of {module}", files.path))
    }
}

/// The module that a recipe is about and its version: the first `require` of its `go.mod`.
///
/// # Errors
/// [`Code::Internal`] when the checkout lacks it.
pub fn pinned(recipes: &Path, recipe: &str) -> Result<(String, String)> {
    let path = recipes.join(recipe).join("go.mod");
    let text = std::fs::read_to_string(&path)
        .or_fail(Code::Internal, || format!("cannot read {}", path.display()))?;
    first_require(&text).ok_or_else(|| {
        crate::Error::internal(format!("{} requires no module on a line of its own", path.display()))
    })
}

fn first_require(text: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let mut words = line.strip_prefix("require ")?.split_whitespace();
        Some((words.next()?.to_owned(), words.next().filter(|w| w.starts_with('v'))?.to_owned()))
    })
}

fn cgo(program: &Program) -> &'static str {
    if program.cgo { "1" } else { "0" }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_file() {
        return std::fs::copy(from, to.join(from.file_name().unwrap_or_default())).map(drop);
    }
    for file in files_below(from)? {
        let target = to.join(&file);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(from.join(file), target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_module_is_the_first_required_on_its_own_line() {
        let text = "module x\n\nrequire k8s.io/kubernetes v1.34.4\n\nrequire (\n\tcel.dev/expr v0.24.0 // indirect\n)\n";
        assert_eq!(first_require(text), Some(("k8s.io/kubernetes".into(), "v1.34.4".into())));
        assert_eq!(first_require("require (\n\ta v1\n)\n"), None);
    }
}
