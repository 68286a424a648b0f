//! Files that are kept for others to read: everything below a report's folder. Nothing else writes there (a tidy test
//! holds it), so no secret gets there: each text goes through [`scrub`].

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use proof::scrub;

/// Writes a file, with the folders above it.
///
/// # Errors
/// The file system's.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, scrub::document(text))
}

/// Adds to a file, in one write call, so that lines of several processes do not mix.
///
/// # Errors
/// The file system's.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::File::options().create(true).append(true).open(path)?;
    file.write_all(scrub::text(text).as_bytes())
}

/// A file that another program writes. It is written aside, where nobody is invited to read it, and kept when this is
/// dropped: also when waiting for the program was given up.
#[derive(Debug)]
#[must_use = "dropping it is what keeps the file"]
pub struct Written {
    aside: PathBuf,
    to: PathBuf,
}

/// Takes over what another program has written, or is about to write, to `aside`.
pub fn written(aside: PathBuf, to: PathBuf) -> Written {
    Written { aside, to }
}

impl Written {
    /// Where the program writes.
    pub fn aside(&self) -> &Path {
        &self.aside
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // Nothing there: the program never ran.
        if let Ok(bytes) = std::fs::read(&self.aside) {
            // A report without a log is better than none; what is missing is seen.
            let _ = write(&self.to, &String::from_utf8_lossy(&bytes));
            let _ = std::fs::remove_file(&self.aside);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const LINE: &str = "sent with Authorization: Bearer mF_9.B5f-4.1JqM\n";
    const KEPT: &str = "sent with Authorization: Bearer [removed]\n";

    /// The end of a key whose beginning was cut off, in one variable of a pod: the next one is no part of it.
    #[test]
    fn a_document_stays_one_whatever_is_removed_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pods.json");
        let texts: Vec<_> = scrub::samples::planted().into_iter().map(|(text, _)| text).collect();
        let pod = serde_json::json!({"env": texts.iter().map(|text| serde_json::json!({"name": "X", "value": text})).collect::<Vec<_>>()});
        write(&file, &serde_json::to_string_pretty(&pod).unwrap()).unwrap();
        let kept = std::fs::read_to_string(&file).unwrap();
        let read: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(read["env"].as_array().unwrap().len(), texts.len());
        let left = scrub::samples::planted().into_iter().filter(|(_, secret)| kept.contains(secret));
        assert_eq!(left.collect::<Vec<_>>(), []);
    }

    #[test]
    fn nothing_is_kept_as_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let file = dir.path().join("deep/below/a.log");
        write(&file, LINE).unwrap();
        append(&file, LINE).unwrap();
        assert_eq!(read(&file), KEPT.repeat(2));
        let (aside, to) = (dir.path().join("aside"), dir.path().join("report/b.log"));
        let log = written(aside.clone(), to.clone());
        std::fs::write(log.aside(), LINE).unwrap();
        assert!(!to.exists());
        drop(log);
        assert_eq!((read(&to), aside.exists()), (KEPT.to_owned(), false));
    }
}
