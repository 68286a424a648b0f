//! The rules that look at one file alone.

use crate::Offence;
use crate::tree::File;

/// Lines that a file may have; the aim is 100.
const LONGEST: usize = 400;

/// Every rule over one file.
pub fn all(file: &File) -> Vec<Offence> {
    const RULES: [fn(&File) -> Vec<Offence>; 9] = [
        opening,
        length,
        one_place,
        reports,
        proof_touches_nothing,
        exemptions,
        versions,
        actions,
        machine_paths,
    ];
    RULES.iter().flat_map(|rule| rule(file)).collect()
}

/// A Rust file opens with why it exists.
fn opening(file: &File) -> Vec<Offence> {
    if file.is("rs") && !file.text.starts_with("//!") {
        return vec![Offence::of(file, "open it with a `//!` line that says why it exists")];
    }
    Vec::new()
}

/// A file that is too long has two subjects.
fn length(file: &File) -> Vec<Offence> {
    let lines = file.text.lines().count();
    if file.is("rs") && lines > LONGEST {
        return vec![Offence::of(file, format!("{lines} lines; split it by subject (at most {LONGEST})"))];
    }
    Vec::new()
}

/// What has one place stays there. The programs inside containers are their own worlds.
fn one_place(file: &File) -> Vec<Offence> {
    const PLACES: [(&str, &str, &str); 5] = [
        ("serde_yaml", "harness/src/render.rs", "YAML is read in render.rs only"),
        ("process::Command", "harness/src/cmd/", "start processes with harness::cmd"),
        ("thread::sleep", "harness/src/wait.rs", "wait with harness::wait"),
        ("time::sleep", "harness/src/wait.rs", "wait with harness::wait"),
        ("#[allow(", "", "use #[expect(lint, reason = \"…\")], which goes away with its cause"),
    ];
    if !file.is("rs")
        || file.path.starts_with("harness/traffic/")
        || file.path.starts_with("harness/workloads/")
        || file.path.starts_with("xtask/tests/tidy/")
    {
        return Vec::new();
    }
    file.lines()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(i, line)| {
            PLACES
                .iter()
                .filter(move |(needle, place, _)| {
                    line.contains(needle) && (place.is_empty() || !file.path.starts_with(place))
                })
                .map(move |(_, _, advice)| Offence::at(file, i, *advice))
        })
        .collect()
}

/// What writes into a report's folder does so where secrets are taken out.
fn reports(file: &File) -> Vec<Offence> {
    const WRITERS: [&str; 5] = [
        "scenarios/src/",
        "harness/src/kube/",
        "xtask/src/report",
        "xtask/src/verify.rs",
        "xtask/src/e2e.rs",
    ];
    const WAYS: [&str; 6] =
        ["fs::write", "fs::copy", "fs::rename", "File::create", "File::options", "OpenOptions"];
    if !file.is("rs") || !WRITERS.iter().any(|writer| file.path.starts_with(writer)) {
        return Vec::new();
    }
    file.code()
        .filter(|(_, line)| WAYS.iter().any(|way| line.contains(way)))
        .map(|(i, _)| Offence::at(file, i, "write what is kept with harness::kept, which takes secrets out"))
        .collect()
}

/// A verdict is a function of a document. The standard library is the one way out that the crate's dependencies, which
/// `contract` looks at, do not close.
fn proof_touches_nothing(file: &File) -> Vec<Offence> {
    const OUTSIDE: [&str; 12] = [
        "std::fs",
        "std::env",
        "std::io",
        "std::process",
        "std::thread",
        "SystemTime",
        "net::Tcp",
        "net::Udp",
        "ToSocketAddrs",
        "Timestamp::now",
        "println!",
        "Instant",
    ];
    if !file.is("rs") || !file.path.starts_with("harness/proof/src/") {
        return Vec::new();
    }
    let code = file.code().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| OUTSIDE.iter().any(|word| line.contains(word)))
        .map(|(i, _)| {
            Offence::at(file, i, "the proof does no I/O: observe it elsewhere, and put it into the evidence")
        })
        .collect()
}

/// Clippy bans what has one place; whoever asks it to look away must be that place.
fn exemptions(file: &File) -> Vec<Offence> {
    const MAY: [&str; 5] = [
        "harness/src/cmd/",
        "harness/src/wait.rs",
        "harness/traffic/",
        "harness/workloads/",
        "xtask/tests/tidy/",
    ];
    if !file.is("rs") || MAY.iter().any(|may| file.path.starts_with(may)) {
        return Vec::new();
    }
    let exempted = file.lines().filter(|(_, line)| line.contains("clippy::disallowed_methods"));
    exempted.map(|(i, _)| Offence::at(file, i, "only cmd and wait.rs may do what clippy.toml bans")).collect()
}

/// A version is written once: in the lock, or in the manifest of a package manager.
fn versions(file: &File) -> Vec<Offence> {
    let pinned = file.path == "manifests/lock.yaml"
        || file.path.starts_with("manifests/packages/")
        // What was released under which version.
        || file.path == ".github/CHANGELOG.md"
        // What was made and judged of which version; a test of `matrix` holds it against its cells.
        || file.path == "scenarios/matrix.md"
        || file.path.starts_with("xtask/tests/");
    let lines: Vec<(usize, &str)> = match () {
        () if pinned => Vec::new(),
        () if file.is("rs") => file.code().collect(),
        () if file.is("yaml") || file.is("yml") || file.is("sh") || file.path == ".ci/run" => {
            file.lines().map(|(i, line)| (i, line.split('#').next().unwrap_or(line))).collect()
        }
        () if file.is("md") => file.lines().collect(),
        () => Vec::new(),
    };
    lines
        .into_iter()
        .filter(|(_, line)| line.contains(":latest") || has_version(line))
        .map(|(i, _)| {
            Offence::at(file, i, "a version literal; put it into manifests/lock.yaml and read it from there")
        })
        .collect()
}

/// Three numbers with dots between them, and no fourth: that would be an address. Formats and protocols that carry a
/// version of their own are no pins.
fn has_version(line: &str) -> bool {
    const FORMATS: [&str; 3] = ["cniVersion", "imageLayoutVersion", "supported_versions"];
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || ".{}".contains(c);
    let mut words = line.split(|c: char| !part_of_word(c)).map(|word| word.trim_end_matches('.'));
    !FORMATS.iter().any(|format| line.contains(format))
        && words.any(|word| {
            let parts: Vec<&str> = word.strip_prefix('v').unwrap_or(word).split('.').collect();
            parts.len() == 3 && parts.iter().all(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()))
        })
}

/// A workflow runs exactly the code that was looked at: a commit, with its version beside it.
fn actions(file: &File) -> Vec<Offence> {
    if !file.path.starts_with(".github/workflows/") {
        return Vec::new();
    }
    let pinned = |uses: &str| {
        let (action, comment) = uses.split_once(" # ").unwrap_or((uses, ""));
        let commit = action.trim().rsplit_once('@').map_or("", |(_, commit)| commit);
        commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()) && comment.starts_with('v')
    };
    file.lines()
        .filter_map(|(i, line)| {
            line.trim().trim_start_matches("- ").strip_prefix("uses:").map(|uses| (i, uses))
        })
        .filter(|(_, uses)| !uses.trim().starts_with("./") && !pinned(uses))
        .map(|(i, _)| {
            Offence::at(
                file,
                i,
                "pin the action by commit, with its version as a comment: owner/name@<sha> # v1.2.3",
            )
        })
        .collect()
}

/// Paths of somebody's own machine mean nothing on another one.
fn machine_paths(file: &File) -> Vec<Offence> {
    // Written in two parts so that this file keeps its own rule.
    let theirs =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Use", "rs/"]].map(|parts| parts.concat());
    let mentions = |line: &str| {
        theirs.iter().any(|path| line.match_indices(path.as_str()).any(|(at, _)| starts(line, at)))
    };
    file.lines()
        .filter(|(_, line)| mentions(line))
        .map(|(i, _)| {
            Offence::at(file, i, "a path of one machine; say it relative to the checkout, the cache or $HOME")
        })
        .collect()
}

/// Whether a path begins at `at`, and is not the middle of a longer one.
fn starts(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "._-}/*".contains(c))
}

#[test]
fn each_rule_objects_to_its_sample() {
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    let objects = |path: &str, text: &str, advice: &str| {
        let found = all(&file(path, text));
        assert!(found.iter().any(|o| o.advice.contains(advice)), "{path}: {text:?} gave {found:?}");
    };
    objects("harness/src/a.rs", "use std::fs;\n", "open it with a `//!`");
    objects("harness/src/a.rs", &"//!\n".repeat(401), "401 lines");
    objects("harness/src/a.rs", "//! x\nuse serde_yaml::Value;\n", "render.rs only");
    objects("harness/src/a.rs", "//! x\nstd::process::Command::new(\"x\");\n", "harness::cmd");
    objects("harness/src/a.rs", "//! x\ntokio::time::sleep(d).await;\n", "harness::wait");
    objects("harness/src/a.rs", "//! x\n#[allow(unused)]\n", "#[expect(");
    objects("scenarios/src/a.rs", "//! x\nstd::fs::write(path, text);\n", "harness::kept");
    objects(
        "harness/src/a.rs",
        "//! x\n#[expect(clippy::disallowed_methods, reason = \"\")]\n",
        "only cmd and",
    );
    objects("harness/proof/src/a.rs", "//! x\nlet now = Timestamp::now();\n", "does no I/O");
    objects("harness/src/a.rs", "//! x\nconst V: &str = \"v1.31.1\";\n", "version literal");
    objects("manifests/a.yaml", "x: name:latest\n", "version literal");
    objects("README.md", "Use Istio 1.31.1.\n", "version literal");
    objects(".github/workflows/a.yml", "  - uses: actions/checkout@v4\n", "pin the action");
    objects("README.md", &format!("see {}x\n", ["/ro", "ot/"].concat()), "a path of one machine");
}

#[test]
fn what_only_looks_alike_is_left_alone() {
    let quiet = |path: &str, text: &str| {
        let found = all(&File { path: path.into(), text: text.into() });
        assert!(found.is_empty(), "{path}: {text:?} gave {found:?}");
    };
    quiet("harness/src/a.rs", "//! x\nlet net = \"10.10.0.0/16\";\n");
    quiet("harness/src/a.rs", "//! x\nlet net = format!(\"10.{}0.0.0/16\", i);\n");
    quiet("harness/src/a.rs", "//! x\nlet net = json!({\"cniVersion\": \"0.4.0\"});\n");
    quiet("harness/src/a.rs", "//! x\n/// As SPIRE 1.15.3 does it.\nfn f() {}\n");
    quiet("harness/src/a.rs", "//! x\nfn f() {}\n#[cfg(test)]\nmod tests { const V: &str = \"1.2.3\"; }\n");
    quiet(
        "harness/src/wait.rs",
        "//! x\n#[expect(clippy::disallowed_methods, reason = \"\")]\ntokio::time::sleep(d);\n",
    );
    quiet("manifests/lock.yaml", "x: v1.2.3\n");
    quiet(".github/CHANGELOG.md", "## 1.2.3\n");
    quiet(".github/workflows/a.yml", &format!("- uses: a/b@{} # v1.2.3\n", "0a".repeat(20)));
    quiet("README.md", "The node mounts /var/lib/x, and ~/.cache is yours; target/x too.\n");
}
