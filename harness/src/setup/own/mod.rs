//! Set-ups from anywhere: a file of the user's, which says which one of ours it is made from and what is otherwise.
//!
//! It is read at once and whole, with the files beside it, and whatever could not mean what it says is refused with its
//! line and column: nothing has been made by then. What hangs on the plan and on the claims that are due is refused by who
//! knows these: [`crate::component::plan`], and the commands.

mod check;
mod form;

use std::path::{Path, PathBuf};

use proof::claim::Expectation;
use proof::claim::due::WORKLOADS;
use proof::identity::Declared;
use proof::topology::ClusterName;

use form::{Form, ObjectsForm, PatchForm};

use super::Setup;
use super::file::{self, About};
use super::otherwise::{Document, Moment, Objects, Otherwise};
use super::patch::{Change, Patch};
use crate::error::Context as _;
use crate::lock::{Lock, With};
use crate::render::{self, Spanned};
use crate::{Code, Error, Result};

/// In a folder, the file of that name.
const FILE: &str = "setup.yaml";

/// Whether what was asked for is a file or a folder of the user's, and no name: a name has no slash.
pub(super) fn is_path(name: &str) -> bool {
    name.contains('/') || [".yaml", ".yml"].iter().any(|ending| name.ends_with(ending))
}

/// Reads it.
///
/// # Errors
/// [`Code::Usage`] with line and column for what could not mean what it says.
pub(super) fn read(manifests: &Path, asked: &str, topology: Option<&Path>, defaults: bool) -> Result<Setup> {
    let path = if Path::new(asked).is_dir() { Path::new(asked).join(FILE) } else { PathBuf::from(asked) };
    let text = std::fs::read_to_string(&path)
        .or_fail(Code::Usage, || format!("cannot read {}", path.display()))
        .map_err(|e| {
            e.next(format!("--setup takes a name, a file, or a folder with a {FILE}; nothing was touched"))
        })?;
    let name = path.display().to_string();
    let source = Source { dir: path.parent().unwrap_or(Path::new("")).to_owned(), name };
    let form: Form = render::parse_spanned(&text, Code::Usage, &source.name)?;

    let known = file::names(manifests)?;
    if !known.contains(&form.extends.value) {
        let what = format!("there is no set-up `{}` to extend", form.extends.value);
        return Err(source.refused(&form.extends, what).seen(format!("set-ups: {}", known.join(", "))));
    }
    let about = About::read(manifests, &form.extends.value)?;
    let own = form.topology.as_ref().map(|file| source.beside(&file.value));
    let mut setup = Setup::new(manifests, &form.extends.value, about, topology.or(own.as_deref()), defaults)
        .map_err(|e| match &form.topology {
            Some(file) if topology.is_none() => source.refused(file, "these clusters cannot be").because(e),
            _ => e,
        })?;
    setup.name = asked.to_owned();
    setup.about = form.about.unwrap_or_default();
    setup.world = world(&path, &known)?;
    source.choose(&form.with, &mut setup, &Lock::read(manifests)?)?;
    setup.otherwise = source.otherwise(form.overlays, form.patches, form.objects, setup.otherwise)?;
    for (key, value) in form.values {
        if !setup.values.contains_key(&key) {
            let names: Vec<_> = setup.values.keys().map(String::as_str).collect();
            let what = format!("`{key}` gets a value, and no manifest names it");
            return Err(source.refused(&value, what).seen(format!("names: {}", names.join(", "))));
        }
        setup.values.insert(key.clone(), value.value.clone());
        setup.otherwise.values.insert(key, value.value);
    }
    check::all(manifests, &setup)?;
    setup.identities = source.identities(form.identities, &setup)?;
    for one in form.expect {
        let at = source.at(&one);
        let expected =
            Expectation { at, claim: one.value.broken.clone(), because: one.value.because.clone() };
        expected.check().map_err(|why| source.refused(&one, why))?;
        setup.expect.push(expected);
    }
    Ok(setup)
}

/// The form of the file, as a JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Form).to_value()
}

/// What its world is called: as the folder, or the file where it has a name of its own.
fn world(path: &Path, known: &[String]) -> Result<String> {
    let whole =
        std::fs::canonicalize(path).or_fail(Code::Usage, || format!("cannot read {}", path.display()))?;
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let name = match text(whole.file_name()) {
        Some(file) if file == FILE => text(whole.parent().and_then(Path::file_name)),
        _ => text(whole.file_stem()),
    };
    let name = name.unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let why = match () {
        () if name.is_empty() || !name.chars().all(plain) => {
            "has other characters than letters, digits, -, _ and ."
        }
        () if known.contains(&name) || name == super::ALL => "is the name of one of ours",
        () => return Ok(name),
    };
    Err(Error::new(
        Code::Usage,
        format!("{}: a set-up is called as its folder or file, and `{name}` {why}", path.display()),
    )
    .next("give the folder or the file another name; nothing was touched"))
}

/// Where things stand.
struct Source {
    dir: PathBuf,
    name: String,
}

impl Source {
    fn beside(&self, file: &Path) -> PathBuf {
        self.dir.join(file)
    }

    fn at<T>(&self, what: &Spanned<T>) -> String {
        format!("{}:{}:{}", self.name, what.referenced.line(), what.referenced.column())
    }

    fn refused<T>(&self, at: &Spanned<T>, what: impl std::fmt::Display) -> Error {
        Error::new(Code::Usage, format!("{}: {what}", self.at(at)))
            .next(format!("correct {}; nothing was touched", self.name))
    }

    fn choose(&self, with: &[Spanned<String>], setup: &mut Setup, lock: &Lock) -> Result<()> {
        let mut asked: Vec<With> = Vec::new();
        for one in with {
            asked.push(one.value.parse().map_err(|why: String| self.refused(one, why))?);
            // Together with those before it: the first that does not fit is named.
            let words = |e: Error| self.refused(one, "this version cannot be had").because(e);
            setup.clone().choose(lock, &asked).map_err(words)?;
        }
        setup.choose(lock, &asked)
    }

    fn document(&self, file: &Spanned<PathBuf>) -> Result<Document> {
        let path = self.beside(&file.value);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| self.refused(file, format!("cannot read {}", path.display())).because(e))?;
        Ok(Document { file: path.display().to_string(), text })
    }

    fn otherwise(
        &self,
        overlays: Vec<Spanned<PathBuf>>,
        patches: Vec<Spanned<PatchForm>>,
        objects: Vec<Spanned<ObjectsForm>>,
        base: Otherwise,
    ) -> Result<Otherwise> {
        let overlays = overlays.iter().map(|file| self.overlay(file)).collect::<Result<_>>()?;
        let patches = patches.into_iter().map(|patch| self.patch(patch)).collect::<Result<_>>()?;
        let mut brought: Vec<Objects> = Vec::new();
        for one in objects {
            let objects = self.objects(&one)?;
            if brought.iter().any(|other| other.name == objects.name) {
                let what = format!(
                    "two steps of the plan would be called {}: rename one of the files",
                    objects.name
                );
                return Err(self.refused(&one, what));
            }
            brought.push(objects);
        }
        Ok(Otherwise { values: base.values, overlays, patches, objects: brought })
    }

    fn overlay(&self, file: &Spanned<PathBuf>) -> Result<Document> {
        let document = self.document(file)?;
        let read = render::documents(&document.text, &document.file)
            .map_err(|e| self.refused(file, format!("{} cannot be read", document.file)).because(e))?;
        if read.is_empty() || !read.iter().all(|one| one["kind"] == "IstioOperator") {
            let what = format!("{} is no IstioOperator, which is what istioctl takes", document.file);
            return Err(self.refused(file, what));
        }
        Ok(document)
    }

    fn patch(&self, patch: Spanned<PatchForm>) -> Result<Patch> {
        let at = self.at(&patch);
        let refused = |what: &str| Err(self.refused(&patch, what));
        let PatchForm { manifest, kind, name, clusters, merge, json } = &patch.value;
        let change = match (merge, json) {
            (Some(with), None) if with.is_object() => Change::Merge(with.clone()),
            (Some(_), None) => return refused("what is merged into an object is an object"),
            (None, Some(operations)) => {
                if let Err(e) = serde_json::from_value::<json_patch::Patch>(operations.clone()) {
                    return refused(&format!("this is no JSON patch: {e}"));
                }
                Change::Json(operations.clone())
            }
            (None, None) => return refused("a patch has a `merge` or a `json`"),
            (Some(_), Some(_)) => return refused("a patch has either `merge` or `json`"),
        };
        let clusters = clusters.iter().map(|name| ClusterName(name.value.clone())).collect();
        let (manifest, kind, name) = (manifest.value.clone(), kind.clone(), name.clone());
        Ok(Patch { at, manifest, kind, name, clusters, change })
    }

    fn objects(&self, one: &Spanned<ObjectsForm>) -> Result<Objects> {
        let ObjectsForm { file, before, after, ready } = &one.value;
        let moment = match (before, after) {
            (Some(step), None) => Moment::Before(step.clone()),
            (None, Some(step)) => Moment::After(step.clone()),
            _ => return Err(self.refused(one, "objects come either `before` or `after` a step")),
        };
        let document = self.document(file)?;
        let stem = file.value.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Objects { at: self.at(one), name: format!("own-{stem}"), document, moment, ready: *ready })
    }

    /// Each must be somebody's, and an ID of the workload's own trust domain: its bundle is what vouches for it.
    fn identities(
        &self,
        declared: std::collections::BTreeMap<String, Spanned<String>>,
        setup: &Setup,
    ) -> Result<Declared> {
        let all = Declared(declared.iter().map(|(who, id)| (who.clone(), id.value.clone())).collect());
        for (who, id) in &declared {
            let of = |(namespace, account): &&(&str, &str)| {
                *who == *namespace || *who == format!("{namespace}/{account}")
            };
            let workloads: Vec<_> = WORKLOADS.iter().filter(of).collect();
            if workloads.is_empty() {
                let known: Vec<_> =
                    WORKLOADS.iter().map(|(namespace, account)| format!("{namespace}/{account}")).collect();
                let what = format!("no workload of the mesh is in `{who}`");
                return Err(self.refused(id, what).seen(format!("workloads: {}", known.join(", "))));
            }
            for cluster in &setup.topology.clusters {
                let domain = cluster
                    .trust_domain
                    .parse()
                    .map_err(|e| self.refused(id, "no trust domain").because(e))?;
                for (namespace, account) in &workloads {
                    let read = all.id(&domain, namespace, account).map_err(|e| self.refused(id, e))?;
                    if *read.trust_domain() != domain {
                        return Err(
                            self.refused(id, format!("{read} is in another trust domain than {domain}"))
                        );
                    }
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
