//! The commands as a user types them: exit codes, sentences, and nothing touched by a refusal.

use harness::Code;
use harness::cmd::{Cmd, Output};
use serde_json::Value;
use tempfile::TempDir;

/// The program, without what the user of this machine has set for it.
fn xtask(args: &[&str]) -> Cmd {
    let set = std::env::vars_os().map(|(name, _)| name);
    let ours = set.filter(|name| name.to_string_lossy().starts_with("VOUCHSAFE_"));
    let command = Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(args.iter().copied());
    ours.fold(command, |command, name| command.env_remove(name))
}

/// A command line, with a cache of its own that must stay as it is.
struct Typed {
    cache: TempDir,
}

impl Typed {
    fn new() -> Self {
        Self { cache: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, args: &[&str]) -> Output {
        xtask(args).env("VOUCHSAFE_CACHE", self.cache.path()).output().await.unwrap()
    }

    /// All commands, as the help lists them.
    async fn commands(&self) -> Vec<String> {
        let help = self.run(&["--help"]).await.stdout;
        // Names stand two columns in; what wraps stands further in.
        let lines =
            help.split("Commands:").nth(1).unwrap().lines().skip(1).take_while(|line| !line.is_empty());
        let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = named.filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    }

    /// Refused as a usage error, with `words` in the sentence, and nothing was touched.
    async fn refuses(&self, args: &[&str], words: &str) {
        self.refuses_with(args, ("VOUCHSAFE_CACHE", ""), words).await;
    }

    /// The same, with a variable set.
    async fn refuses_with(&self, args: &[&str], (name, value): (&str, &str), words: &str) {
        let command = xtask(args).env(name, value).env("VOUCHSAFE_CACHE", self.cache.path());
        let out = command.output().await.unwrap();
        assert_eq!(out.status, 2, "{args:?}: {}{}", out.stdout, out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
        assert!(out.stdout.is_empty(), "{args:?} wrote to stdout: {}", out.stdout);
        let touched = std::fs::read_dir(self.cache.path()).unwrap().count();
        assert_eq!(touched, 0, "{args:?} touched the cache");
    }
}

#[tokio::test]
async fn an_unknown_flag_is_refused_before_anything_is_touched() {
    let typed = Typed::new();
    for command in typed.commands().await {
        typed.refuses(&[&command, "--no-such-flag"], "--no-such-flag").await;
    }
    typed.refuses(&["no-such-command"], "no-such-command").await;
}

#[tokio::test]
async fn a_patience_that_is_no_sensible_number_is_refused_before_anything_is_touched() {
    let typed = Typed::new();
    for patience in ["fast", "0", "1,5", "1000"] {
        for command in ["e2e", "up", "verify", "down", "doctor", "status"] {
            typed
                .refuses_with(
                    &[command][..],
                    ("VOUCHSAFE_PATIENCE", patience),
                    "is no number from 0.1 to 100",
                )
                .await;
        }
    }
}

#[tokio::test]
async fn a_filter_of_the_log_that_is_none_is_refused_before_anything_is_touched() {
    let typed = Typed::new();
    for (filter, part) in [("nonsense[", "nonsense["), ("harness=debug,kube=loud", "kube=loud")] {
        for command in ["e2e", "down", "doctor"] {
            let words = format!("is no filter: `{part}` is neither a level nor MODULE=LEVEL");
            typed.refuses_with(&[command][..], ("VOUCHSAFE_LOG", filter), &words).await;
        }
    }
}

#[tokio::test]
async fn with_v_the_command_lines_are_shown_and_without_it_nothing_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    std::fs::write(&go, "#!/bin/sh\necho go version go0.0 linux/amd64\n").unwrap();
    std::fs::set_permissions(&go, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let asked = format!("INFO  harness::cmd: $ {} version\n", go.display());
    for (flags, filter, shown) in [
        (&["doctor", "--json"][..], "", false),
        (&["-v", "doctor", "--json"], "", true),
        (&["doctor", "--json", "-vv"], "", true),
        (&["doctor", "--json"], "harness::cmd=info", true),
        (&["doctor", "--json"], "harness::kube=debug", false),
        (&["-v", "doctor", "--json"], "off", false),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let command = xtask(flags).env("PATH", &path).env("VOUCHSAFE_LOG", filter);
        let out = command.env("VOUCHSAFE_CACHE", cache.path()).output().await.unwrap();
        assert_eq!(out.stderr.contains(&asked), shown, "{flags:?} {filter}: {}", out.stderr);
        assert!(!out.stdout.contains("harness::cmd"), "{flags:?}: {}", out.stdout);
        assert!(shown || !out.stderr.contains("harness::"), "{flags:?}: {}", out.stderr);
    }
}

#[tokio::test]
async fn an_unknown_code_is_refused_with_the_nearest_name() {
    Typed::new().refuses(&["explain", "claim-borken"], "'claim-broken'").await;
}

#[tokio::test]
async fn an_unknown_engine_or_source_is_refused_with_the_known_ones() {
    let typed = Typed::new();
    for command in ["e2e", "up", "doctor"] {
        typed.refuses(&[command, "--engine", "podman"], "auto, system, private").await;
        typed.refuses(&[command, "--source", "hub"], "auto, registry, packages, archive").await;
    }
    typed.refuses(&["e2e", "--keep", "perhaps"], "never, on-failure, always").await;
}

#[tokio::test]
async fn versions_that_there_are_not_are_refused_with_those_that_there_are() {
    let typed = Typed::new();
    for command in [&["e2e"][..], &["up"], &["plan"], &["images", "build"], &["images", "list"]] {
        let with = |what| [command, &["--with", what]].concat();
        typed.refuses(&with("spire=1.12"), "last seen: versions: 1.15.3, 1.13.3").await;
        typed.refuses(&with("spyre=1.13"), "last seen: several of: ").await;
        typed.refuses(&with("spire"), "is not [CLUSTER:]COMPONENT=VERSION").await;
        typed.refuses(&with("cluster9:spire=1.13"), "last seen: clusters: cluster1, cluster2").await;
        typed.refuses(&with("spire=1.13,spire=1.15"), "contradict each other").await;
    }
    typed.refuses_with(&["plan"], ("VOUCHSAFE_WITH", "spire=9"), "there is no version 9 of spire").await;
    let apart = ["images", "export", "file.tar", "--with", "cluster2:spire=1.13"];
    typed.refuses(&apart, "an archive is of one set of versions").await;
    let plan = typed.run(&["plan", "--with", "cluster2:spire=1.13"]).await;
    assert!(plan.stdout.contains("spire 1.13.3") && plan.stdout.contains("in cluster2"), "{}", plan.stdout);
}

#[tokio::test]
async fn flags_that_contradict_one_another_are_refused() {
    let typed = Typed::new();
    typed.refuses(&["e2e", "--source", "archive"], "--source archive needs --archive FILE").await;
    typed.refuses(&["bench", "--write", "--only", "ours"], "cannot be used with").await;
    typed.refuses(&["bench", "--pairs", "0"], "0 is not in 1..").await;
    typed.refuses(&["e2e", "--archive", "Cargo.toml"], "--archive goes with --source archive only").await;
    typed
        .refuses(&["e2e", "--source", "archive", "--archive", "no-such-file"], "no archive no-such-file")
        .await;
    typed
        .refuses(
            &["e2e", "--source", "packages", "--mirror", "cache.example:5000"],
            "--mirror goes with the registry source only",
        )
        .await;
}

#[tokio::test]
async fn an_unknown_set_up_is_refused_with_the_known_ones() {
    let typed = Typed::new();
    for command in ["e2e", "up", "plan", "doctor"] {
        typed
            .refuses(
                &[command, "--setup", "fedrated"],
                "set-ups: auto-registration, blue-green-join-token, federated",
            )
            .await;
    }
}

#[tokio::test]
async fn a_topology_that_cannot_be_is_refused_with_its_place() {
    let typed = Typed::new();
    let dir = tempfile::tempdir().unwrap();
    let cluster = |i: u8, pods: &str| {
        format!(
            "  - {{ name: c{i}, trust_domain: c{i}.local, network: n{i}, pods: {pods}, services: 10.{i}1.0.0/16, version: v{i} }}\n"
        )
    };
    let cases = [
        (
            "clusters:\n  - colour: red\n".to_owned(),
            "t.yaml:2:5 is malformed: clusters[0]: unknown field `colour`",
        ),
        ("clusters: [\n".to_owned(), "t.yaml:2:1 is malformed"),
        (format!("clusters:\n{}{}", cluster(1, "10.10.0.0/16"), cluster(2, "10.10.4.0/22")), "overlap"),
        ("clusters: []\n".to_owned(), "it names no cluster"),
    ];
    for (text, words) in cases {
        let file = dir.path().join("t.yaml");
        std::fs::write(&file, text).unwrap();
        for command in ["e2e", "plan", "doctor"] {
            typed.refuses(&[command, "--topology", file.to_str().unwrap()], words).await;
        }
    }
    typed.refuses(&["plan", "--topology", "no-such-file.yaml"], "cannot read no-such-file.yaml").await;
}

#[tokio::test]
async fn the_plan_needs_no_engine_and_little_time() {
    let (typed, began) = (Typed::new(), std::time::Instant::now());
    let out = typed.run(&["plan", "--json"]).await;
    assert_eq!(out.status, 0, "{}", out.stderr);
    let plan: Value = serde_json::from_str(&out.stdout).unwrap();
    let text = plan.to_string();
    assert!(text.contains("cluster1") && text.contains("cluster2"), "{text}");
    assert!(began.elapsed().as_secs() < 2, "it took {:?}", began.elapsed());
    assert_eq!(std::fs::read_dir(typed.cache.path()).unwrap().count(), 0, "the plan touched the cache");
}

#[tokio::test]
async fn a_world_that_is_configured_otherwise_says_in_what_way() {
    let out = Typed::new().run(&["plan", "--setup", "federated,federated-rsa"]).await;
    assert_eq!(out.status, 0, "{}", out.stderr);
    let worlds: Vec<_> =
        out.stdout.lines().filter(|line| line.contains("(world ") || line.starts_with("  with ")).collect();
    assert_eq!(
        worlds,
        [
            "federated (world federated)",
            "federated-rsa (world federated-rsa)",
            "  with SPIRE_CA_KEY_TYPE = rsa-2048",
            "  with SPIRE_WORKLOAD_KEY_TYPE = rsa-2048"
        ]
    );
}

#[tokio::test]
async fn every_code_is_explained_offline() {
    let typed = Typed::new();
    for code in Code::ALL {
        let out = typed.run(&["explain", code.name()]).await;
        assert_eq!(out.status, 0, "{}", out.stderr);
        assert!(out.stdout.contains(code.explain()), "{}", out.stdout);
        assert!(out.stdout.contains(&format!("Exit status {}", code.exit())), "{}", out.stdout);
    }
}

#[tokio::test]
async fn completions_know_the_commands() {
    let typed = Typed::new();
    let out = typed.run(&["completions", "bash"]).await;
    assert_eq!(out.status, 0, "{}", out.stderr);
    for command in typed.commands().await {
        assert!(out.stdout.contains(&command), "no {command} among the completions");
    }
}

#[tokio::test]
async fn a_cache_that_cannot_be_made_is_refused_with_what_to_do() {
    for command in ["down", "e2e", "up"] {
        // Nobody, not even root, makes a folder there.
        let out = xtask(&[command]).env("VOUCHSAFE_CACHE", "/proc/vouchsafe").output().await.unwrap();
        assert_eq!(out.status, 3, "{command}: {}", out.stderr);
        assert!(out.stderr.contains("error[cache-unusable]: "), "{command}: {}", out.stderr);
        assert!(
            out.stderr.contains("\n  next: free space there, or name another"),
            "{command}: {}",
            out.stderr
        );
    }
}

#[tokio::test]
async fn a_kept_world_stays_even_where_a_new_one_could_not_be_written() {
    let typed = Typed::new();
    let world = typed.cache.path().join("world");
    std::fs::create_dir(&world).unwrap();
    std::fs::write(world.join("kept"), "").unwrap();
    let engine = r#"{"made":"private-engine","state":"/nowhere/engine","programs":"/nowhere/programs"}"#;
    std::fs::write(world.join("ledger.jsonl"), format!("{engine}\n")).unwrap();
    // As a full disk would: where the cache is probed by writing, nothing can be written.
    std::fs::create_dir(typed.cache.path().join(".probe")).unwrap();
    for command in [["up", "--keep", "never"], ["bench", "--pairs", "1"]] {
        let out = typed.run(&command).await;
        assert_eq!(out.status, 3, "{}", out.stderr);
        assert!(out.stderr.contains("error[busy]: a world is up already"), "{}", out.stderr);
    }
    assert!(world.join("ledger.jsonl").exists() && world.join("kept").exists());
}

/// A set-up that was kept before it made anything holds nobody up, and is no reason to judge nothing.
#[tokio::test]
async fn what_was_kept_without_anything_made_is_not_green() {
    let typed = Typed::new();
    let world = typed.cache.path().join("world");
    std::fs::create_dir(&world).unwrap();
    std::fs::write(world.join("kept"), "").unwrap();
    std::fs::create_dir(typed.cache.path().join(".probe")).unwrap();
    let out = typed.run(&["e2e"]).await;
    assert_eq!(out.status, 3, "{}", out.stderr);
    assert!(out.stderr.contains("error[cache-unusable]"), "{}", out.stderr);
}

#[tokio::test]
async fn the_readme_names_every_command_and_no_other() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let table = readme.split("| command | what it does |").nth(1).unwrap().split("\n\n").next().unwrap();
    let cells = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
    // In a row, the first word between backticks is a command; the others are its own, or commands again.
    let named =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter_map(|name| name.split(' ').next());
    let named: std::collections::BTreeSet<_> = named.collect();
    let commands = Typed::new().commands().await;
    assert!(commands.len() >= 10, "{commands:?}");
    for command in &commands {
        assert!(named.contains(command.as_str()), "the README does not name {command}");
    }
    let words = ["export", "import", "list", "prune", "update"];
    for name in named {
        assert!(words.contains(&name) || commands.iter().any(|c| c == name), "there is no command {name}");
    }
}

#[tokio::test]
async fn the_checklists_page_is_up_to_date() {
    let out = Typed::new().run(&["checklist", "--check"]).await;
    assert_eq!(out.status, 0, "{}", out.stderr);
}

/// As in `cargo xtask plan | head`.
#[tokio::test]
async fn a_reader_that_goes_away_is_no_fault() {
    let script = "set -o pipefail; \"$0\" explain causes | true";
    let out = Cmd::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_xtask")]).output().await.unwrap();
    assert_eq!((out.status, out.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn a_folder_that_is_no_report_is_refused() {
    let (typed, dir) = (Typed::new(), tempfile::tempdir().unwrap());
    let folder = dir.path().to_str().unwrap();
    typed.refuses(&["checklist", "--run", folder], "names no world").await;
    typed.refuses(&["checklist", "--fill", folder], "names no world").await;
    typed.refuses(&["report", folder], "is no report's folder").await;
    typed.refuses(&["checklist", "--run", folder, "--check"], "cannot be used with").await;
}

#[tokio::test]
async fn the_doctor_speaks_json_and_ends_with_3_exactly_when_a_check_fails() {
    let out = Typed::new().run(&["doctor", "--json"]).await;
    let findings: Vec<Value> = out.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(findings.len() >= 12, "{}", out.stdout);
    for finding in &findings {
        for field in ["check", "level", "finding", "measured", "needed"] {
            assert!(finding[field].is_string(), "no {field} in {finding}");
        }
    }
    let fails = findings.iter().any(|finding| finding["level"] == "fail");
    assert_eq!(out.status, if fails { 3 } else { 0 }, "{}", out.stderr);
}

#[tokio::test]
async fn a_machine_without_the_engine_that_was_asked_for_is_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = format!("unix://{}/docker.sock", dir.path().display());
    let out = xtask(&["doctor", "--engine", "system"])
        .env("DOCKER_HOST", nowhere)
        .env("VOUCHSAFE_CACHE", dir.path())
        .output()
        .await
        .unwrap();
    assert_eq!(out.status, 3, "{}", out.stdout);
    assert!(out.stdout.contains("no Docker engine answers"), "{}", out.stdout);
    assert!(
        out.stderr.contains("error[engine-unreachable]: this machine is not fit for a run"),
        "{}",
        out.stderr
    );
    assert!(out.stderr.contains("next: start Docker"), "{}", out.stderr);
}
