//! The files of the checkout, as text.

use std::io;
use std::path::Path;

/// A text file.
pub struct File {
    /// From the root of the checkout, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// All of them.
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
}

/// What is no part of the source (`.git` is a file in a worktree).
const OUTSIDE: [&str; 3] = [".git", "target", "node_modules"];

impl Tree {
    /// Reads the checkout that this test was compiled in.
    pub fn read() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let mut files = Vec::new();
        walk(&root, &root, &mut files)?;
        files.sort_by(|a: &File, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// One file.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<File>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if OUTSIDE.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            // What is no text is no source of ours.
            if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}

impl File {
    /// Whether the name ends in `.ext`.
    pub fn is(&self, ext: &str) -> bool {
        self.path.ends_with(&format!(".{ext}"))
    }

    /// Numbered lines, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The lines of a Rust file that are compiled into a program: without comments, and without the unit tests,
    /// which stand at its end. A file of samples for tests says `#![cfg(test)]` at its top.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let all_tests = self.path.contains("/tests/") || self.path.ends_with("tests.rs");
        self.lines()
            .take_while(move |(_, line)| {
                !all_tests && !["#[cfg(test)]", "#![cfg(test)]"].contains(&line.trim())
            })
            .map(|(i, line)| (i, line.split("// ").next().unwrap_or(line)))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}
