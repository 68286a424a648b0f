//! A list of settings or of cells, as it is typed: refused where it is wrong, and before anything is touched.

use harness::cmd::Cmd;

async fn refused(command: &str, text: &str, words: &[&str]) {
    let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = dir.path().join("mine.yaml");
    std::fs::write(&file, text).unwrap();
    let set = std::env::vars_os().map(|(name, _)| name);
    let ours = set.filter(|name| name.to_string_lossy().starts_with("VOUCHSAFE_"));
    let typed = Cmd::new(env!("CARGO_BIN_EXE_xtask")).arg(command).arg(&file);
    let typed = ours.fold(typed, |typed, name| typed.env_remove(name));
    let out = typed.env("VOUCHSAFE_CACHE", cache.path()).output().await.unwrap();
    assert_eq!((out.status, &*out.stdout), (2, ""), "{command}: {text}\n{}", out.stderr);
    words.iter().for_each(|words| assert!(out.stderr.contains(words), "{words} in:\n{}", out.stderr));
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "{command} touched the cache");
}

#[tokio::test]
async fn a_setting_that_nobody_could_take_away_is_refused() {
    let text = "settings:\n  - { name: a, setting: s, document: d, why: w, take: [{ restart: Job a/b }] }\n";
    refused("ablate", text, &["mine.yaml:2:5: `Job a/b`: the kind is none of", "Deployment"]).await;
    let text = "settings:\n  - { name: a, settings: s }\n";
    refused("ablate", text, &["mine.yaml:2:", "unknown field `settings`"]).await;
}

#[tokio::test]
async fn a_cell_that_could_not_be_made_is_refused() {
    let text = "cells:\n  - { name: a, with: [spire=9] }\n";
    refused("matrix", text, &["mine.yaml:2:5", "there is no version 9 of spire"]).await;
}
