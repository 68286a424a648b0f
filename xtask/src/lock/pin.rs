//! Pins into the text of the lock file: comments and order are people's, so only the values change.

use std::path::Path;

use harness::artifact::registry::Now;
use harness::lock::Lock;
use harness::{Code, Error, Result};

/// Writes `now` into the lock file and returns a line for each pin that changed.
///
/// # Errors
/// [`Code::Lock`] when an entry is not on one line of its own, as the file's form is; then it is left alone.
pub fn write(path: &Path, now: &Now) -> Result<Vec<String>> {
    let fail = |e| Error::new(Code::CacheUnusable, format!("cannot write {}", path.display())).because(e);
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let (text, changed) = pinned(&text, now)?;
    let aside = path.with_added_extension("part");
    std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, path)).map_err(fail)?;
    Ok(changed)
}

fn pinned(text: &str, now: &Now) -> Result<(String, Vec<String>)> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut changed = Vec::new();
    let mut set = |section: &str, name: &str, key: &str, value: &str| -> Result<()> {
        let line = line(&lines, section, name).ok_or_else(|| misshapen(name))?;
        let (before, after) = replaced(&lines[line], key, value).ok_or_else(|| misshapen(name))?;
        if before != value {
            changed.push(format!("{name}: {before} -> {value}"));
        }
        lines[line] = after;
        Ok(())
    };
    for (role, digest) in &now.images {
        set("images:", role, "digest", digest)?;
    }
    for (name, hashes) in &now.downloads {
        for (architecture, hash) in hashes {
            set("downloads:", name, architecture, hash)?;
        }
    }
    // What is pinned has no reason not to be.
    for line in lines.iter_mut().filter(|line| !line.contains(": null")) {
        if let (Some(start), Some(end)) = (line.find(", unpinned: "), line.rfind(" }")) {
            let reason = line[start + 2..end].split([',', '}']).next().unwrap_or_default().trim_end().len();
            line.replace_range(start..start + 2 + reason, "");
        }
    }
    let text = lines.join("\n") + "\n";
    verify(&text, now)?;
    Ok((text, changed))
}

/// The line of an entry: within its section, by its indented name.
fn line(lines: &[String], section: &str, name: &str) -> Option<usize> {
    let start = lines.iter().position(|line| line == section)?;
    let inside = lines[start + 1..].iter().take_while(|line| line.starts_with(' ') || line.trim().is_empty());
    inside
        .enumerate()
        .find(|(_, line)| line.trim_start().starts_with(&format!("{name}: {{")))
        .map(|(i, _)| start + 1 + i)
}

/// The old value of `key: value` on a line, and the line with the new one.
fn replaced(line: &str, key: &str, value: &str) -> Option<(String, String)> {
    let start = line.rfind(&format!("{key}: "))? + key.len() + 2;
    let length = line[start..].find([',', ' ', '}'])?;
    let old = line[start..start + length].trim_matches('"').to_owned();
    Some((old, format!("{}\"{value}\"{}", &line[..start], &line[start + length..])))
}

/// Reads the new text as every command will.
fn verify(text: &str, now: &Now) -> Result<()> {
    let lock = Lock::parse(text, "manifests/lock.yaml with new pins")?;
    let image = |(role, digest): (&String, &String)| lock.images[role].digest.as_ref() == Some(digest);
    let download = |(name, hashes): (&String, &std::collections::BTreeMap<String, String>)| {
        hashes
            .iter()
            .all(|(architecture, hash)| lock.downloads[name].sha256[architecture].as_ref() == Some(hash))
    };
    match now.images.iter().all(image) && now.downloads.iter().all(download) {
        true => Ok(()),
        false => Err(misshapen("an entry")),
    }
}

fn misshapen(name: &str) -> Error {
    Error::new(Code::Lock, format!("manifests/lock.yaml: {name} is not on one line as `{name}: {{ … }}`"))
        .next("write it on one line; the file was left alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Now {
        let digest = |c: &str| format!("sha256:{}", c.repeat(64));
        let any = [("any".to_owned(), "d".repeat(64))].into();
        Now {
            images: [("node".to_owned(), digest("a")), ("pilot".to_owned(), digest("b"))].into(),
            downloads: [
                (
                    "kind".to_owned(),
                    [("amd64", "c"), ("arm64", "e")].map(|(k, v)| (k.into(), v.repeat(64))).into(),
                ),
                ("spire-crds".to_owned(), any),
            ]
            .into(),
        }
    }

    fn text() -> String {
        std::fs::read_to_string("../manifests/lock.yaml").unwrap()
    }

    #[test]
    fn values_change_and_nothing_else() {
        let old = text();
        let (new, changed) = pinned(&old, &now()).unwrap();
        assert_eq!(changed.len(), 5, "{changed:?}");
        let differ: Vec<_> =
            old.lines().zip(new.lines()).filter(|(a, b)| a != b).map(|(_, b)| b.trim()).collect();
        assert_eq!(differ.len(), 4, "{differ:?}");
        assert!(differ[0].starts_with("node: { reference: "), "{differ:?}");
        let hash = "c".repeat(64);
        assert!(
            differ.iter().any(|line| line.contains(&format!("amd64: \"{hash}\", arm64: \"eee"))),
            "{differ:?}"
        );
        assert_eq!(old.lines().count(), new.lines().count());
        assert!(differ[1].starts_with("pilot: ") && !differ[1].contains("unpinned"), "{differ:?}");
        assert_eq!(pinned(&new, &now()).unwrap(), (new, Vec::new()));
    }

    #[test]
    fn a_form_that_is_not_understood_is_left_alone() {
        let spread = text().replace("  pilot: { reference:", "  pilot:\n    { reference:");
        let e = pinned(&spread, &now()).unwrap_err();
        assert!(e.to_string().contains("pilot is not on one line"), "{e}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock.yaml");
        std::fs::write(&path, &spread).unwrap();
        write(&path, &now()).unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), spread);
    }
}
