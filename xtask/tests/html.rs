//! The pages of all reports below `target/vouchsafe/` in a real browser: nothing in its console, no request, nothing that
//! axe-core objects to, nothing wider than a phone. Needs `chromium` and `npm` on `PATH`, so run on demand.
//!
//! `cargo test -p xtask --test html -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::path::Path;
use std::time::Instant;

use harness::artifact::cache::files_below;
use harness::cmd::Cmd;
use harness::layout::Layout;
use harness::patience;

use common::xtask;

#[tokio::test]
#[ignore = "fetches playwright-core and axe-core, and starts a browser"]
async fn a_browser_has_nothing_against_any_page() {
    let (reports, dir) = (Layout::find().unwrap().reports(), tempfile::tempdir().unwrap());
    let mut pages = Vec::new();
    for report in std::fs::read_dir(&reports).unwrap().map(|entry| entry.unwrap()) {
        // `latest` is a link to another of them, and `test` has no report in it.
        if !report.file_type().unwrap().is_dir() || !report.path().join("evidence").is_dir() {
            continue;
        }
        let copy = dir.path().join(report.file_name());
        copied(&report.path(), &copy);
        let began = Instant::now();
        let written = xtask(&["report", copy.to_str().unwrap()]).await;
        assert_eq!(written.status, 0, "{}", written.stderr);
        let page = copy.join("report.html");
        let bytes = std::fs::metadata(&page).unwrap().len();
        println!("{}: {bytes} bytes in {:.2} s", copy.display(), began.elapsed().as_secs_f64());
        pages.push(page);
    }
    assert!(!pages.is_empty(), "there is no report below {}", reports.display());
    std::fs::write(dir.path().join("look.mjs"), include_str!("html/look.mjs")).unwrap();
    let npm = Cmd::new("npm").args(["install", "--no-save", "--no-audit", "playwright-core", "axe-core"]);
    npm.dir(dir.path()).limit(patience::BUILD).run().await.unwrap();
    let node = Cmd::new("node").arg("look.mjs").args(pages).dir(dir.path()).limit(patience::SCENARIOS);
    let said = node.output().await.unwrap();
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
}

/// Without the snapshots, which no page is made from.
fn copied(from: &Path, to: &Path) {
    let skipped = |file: &Path| file.starts_with("snapshots");
    for file in files_below(from).unwrap().iter().filter(|file| !skipped(file)) {
        let copy = to.join(file);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(from.join(file), copy).unwrap();
    }
    std::fs::create_dir_all(to.join("evidence")).unwrap();
}
