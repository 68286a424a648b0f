//! What a release is made from says the same thing everywhere.

use std::path::{Path, PathBuf};

use harness::cmd::{Cmd, Output};

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn notes(tag: &str, changelog: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("CHANGELOG.md");
    std::fs::write(&file, changelog).unwrap();
    let script = repo().join(".github/release-notes");
    Cmd::new(script).args([tag]).env("CHANGELOG", &file).output().await.unwrap()
}

#[tokio::test]
async fn the_notes_are_the_changelogs_part_with_that_version_or_there_is_no_release() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = format!(
        "# Changes\n\n## Unreleased\n\n- later\n\n## {version} (a day)\n\n- now\n\n## 0.0.1\n\n- before\n"
    );
    let out = notes(&format!("v{version}"), &changelog).await;
    assert_eq!((out.status, out.stdout.trim()), (0, "- now"), "{}", out.stderr);
    let other = notes("v9.9.9", &changelog).await;
    assert!(other.status != 0 && other.stderr.contains("Cargo.toml says"), "{}", other.stderr);
    for lacking in
        ["## Unreleased\n\n- later\n".to_owned(), format!("## {version}\n\n## 0.0.1\n\n- before\n")]
    {
        let out = notes(&format!("v{version}"), &lacking).await;
        assert!(out.status != 0 && out.stderr.contains("has no part"), "{}", out.stderr);
    }
}

#[test]
fn the_licence_that_cargo_names_is_there() {
    let text = std::fs::read_to_string(repo().join("LICENSE")).unwrap();
    let manifest = std::fs::read_to_string(repo().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("license = \"Apache-2.0\""));
    assert!(text.contains("Apache License") && text.contains("Version 2.0, January 2004"));
}
