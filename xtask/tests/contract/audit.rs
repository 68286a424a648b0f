//! `audit` and `probe` as they are typed: what means no cluster is refused before a report is begun, each with its own status.

use harness::cmd::{Cmd, Output};

/// A context at whose address nobody listens.
const NOBODY: &str = "apiVersion: v1\nkind: Config\nclusters: [{ name: one, cluster: { server: 'https://127.0.0.1:1' } }]\n\
    users: [{ name: me, user: {} }]\ncontexts: [{ name: first, context: { cluster: one, user: me } }]\n";

async fn typed(args: &[&str]) -> Output {
    let set = std::env::vars_os().map(|(name, _)| name);
    let ours = set.filter(|name| name.to_string_lossy().starts_with("VOUCHSAFE_"));
    let typed = Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(args.iter().copied());
    let typed = ours.fold(typed, |typed, name| typed.env_remove(name));
    // The user's own kubeconfig is never read unless it is asked for: this one would be a cluster.
    typed.env("KUBECONFIG", "/dev/null").output().await.unwrap()
}

#[tokio::test]
async fn what_means_no_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let written = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let kubeconfig = written("kubeconfig", NOBODY);
    let misspelt = written("misspelt.yaml", "clusters:\n- { name: a, contxt: first }\n");
    let beside = written("beside.yaml", "clusters:\n- { name: a, context: first, kubeconfig: kubeconfig }\n");
    let cases = [
        (vec!["--kubeconfig", &*kubeconfig], 2, "error[usage]: no cluster is named"),
        (vec!["--context", "first"], 2, "`first` is not NAME=CONTEXT"),
        (vec!["--context", "a=first"], 2, "error[usage]: no kubeconfig is named for a"),
        (
            vec!["--kubeconfig", &kubeconfig, "--context", "a=second"],
            2,
            "error[usage]: there is no context second",
        ),
        (
            vec!["--kubeconfig", "default", "--context", "a=first"],
            2,
            "error[usage]: there is no context first for a",
        ),
        (vec!["--clusters", &misspelt], 2, "misspelt.yaml:2:14 is malformed"),
        (vec!["--clusters", "no-such-file"], 2, "cannot read no-such-file"),
        (vec!["--clusters", &beside, "--sample", "0"], 2, "0 is not in 1.."),
        (
            vec!["--clusters", &beside],
            3,
            "error[cluster-unreachable]: cluster a (context first) cannot be reached: ",
        ),
    ];
    for (args, status, words) in cases {
        let out = typed(&[&["audit"], &*args].concat()).await;
        assert_eq!(out.status, status, "{args:?}: {}{}", out.stdout, out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
        assert!(out.stdout.is_empty() && !out.stderr.contains("report: "), "{args:?}: {}", out.stdout);
    }
    for more in [&[][..], &["--clean"]] {
        let out = typed(&[&["probe", "--clusters", &beside], more].concat()).await;
        let refused = out.status == 3 && out.stderr.contains("error[cluster-unreachable]: ");
        assert!(refused, "{more:?}: {}", out.stderr);
    }
}

#[tokio::test]
async fn the_rights_that_it_needs_are_told_without_a_cluster() {
    let mut rules = Vec::new();
    for command in ["audit", "probe"] {
        let out = typed(&[command, "--rights"]).await;
        assert_eq!(out.status, 0, "{}", out.stderr);
        let role = harness::render::documents(&out.stdout, "the role").unwrap().remove(0);
        assert_eq!((role["kind"].as_str(), out.stderr.as_str()), (Some("ClusterRole"), ""));
        rules.push(role["rules"].as_array().unwrap().clone());
    }
    assert!(
        rules[1].starts_with(&rules[0]) && rules[1].len() > rules[0].len(),
        "a probe does more than an audit"
    );
}
