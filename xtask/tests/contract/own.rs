//! A set-up of the user's own, as it is typed: refused where it stands and before anything is touched, and shown by `plan`.

use harness::cmd::{Cmd, Output};
use serde_json::Value;
use tempfile::TempDir;

const POLICY: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: policy, namespace: istio-test }\n";

/// A folder with a set-up, and a cache that must stay empty.
struct Mine {
    dir: TempDir,
    cache: TempDir,
}

impl Mine {
    fn of(text: &str) -> Self {
        let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(dir.path().join("mine.yaml"), text).unwrap();
        std::fs::write(dir.path().join("policy.yaml"), POLICY).unwrap();
        Self { dir, cache }
    }

    async fn run(&self, command: &[&str]) -> Output {
        let set = std::env::vars_os().map(|(name, _)| name);
        let ours = set.filter(|name| name.to_string_lossy().starts_with("VOUCHSAFE_"));
        let file = self.dir.path().join("mine.yaml");
        let typed =
            Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(command.iter().copied()).arg("--setup").arg(&file);
        let typed = ours.fold(typed, |typed, name| typed.env_remove(name));
        typed.env("VOUCHSAFE_CACHE", self.cache.path()).output().await.unwrap()
    }
}

/// Refused by each command that reads it, with its place, and nothing is touched.
async fn refused(text: &str, at: &str, words: &str) {
    let mine = Mine::of(text);
    for command in ["plan", "up", "e2e"] {
        let out = mine.run(&[command]).await;
        assert_eq!(out.status, 2, "{command}: {text}\n{}{}", out.stdout, out.stderr);
        let (place, told) = (format!("mine.yaml:{at}"), &out.stderr);
        assert!(
            told.contains(&place) && told.contains(words),
            "{command}: {place} {words} for:\n{text}\n{told}"
        );
        assert!(out.stdout.is_empty(), "{command} wrote to stdout: {}", out.stdout);
        assert_eq!(std::fs::read_dir(mine.cache.path()).unwrap().count(), 0, "{command} touched the cache");
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_where_it_stands() {
    refused("extends: federated\npatchs: []\n", "2:1 is malformed", "unknown field `patchs`").await;
}

#[tokio::test]
async fn a_base_that_does_not_exist_is_refused_with_those_that_do() {
    refused("extends: fedrated\n", "1:10: there is no set-up `fedrated`", "federated-rsa").await;
}

#[tokio::test]
async fn a_patch_that_meets_nothing_is_refused_with_what_there_is() {
    let text = "extends: federated\npatches:\n  - { manifest: spire/csi.yaml, kind: Deployment, merge: { spec: {} } }\n";
    refused(text, "3:5: this patch meets nothing", "DaemonSet spiffe-csi-driver").await;
}

#[tokio::test]
async fn a_claim_that_is_not_due_cannot_be_expected_to_break() {
    let text = "extends: federated\nexpect:\n  - { broken: server-svid/cluster1→cluster9, because: x }\n";
    refused(text, "3:5: no claim `server-svid/cluster1→cluster9` is due", "server-svid/cluster1→cluster2")
        .await;
}

#[tokio::test]
async fn expectations_that_contradict_one_another_are_refused() {
    let text = "extends: federated\nexpect:\n  - { broken: server-svid/*, because: x }\n  - { broken: '*/cluster1→cluster2', because: y }\n";
    refused(text, "4:5: server-svid/cluster1→cluster2 is to break because of `y`, and by ", "because of `x`")
        .await;
}

#[tokio::test]
async fn a_value_that_no_manifest_names_is_refused_with_those_that_are_named() {
    refused(
        "extends: federated\nvalues: { REPLICAS: 2 }\n",
        "2:21: `REPLICAS` gets a value",
        "HELLOWORLD_REPLICAS",
    )
    .await;
}

#[tokio::test]
async fn a_moment_that_is_no_step_is_refused_with_the_steps() {
    let text = "extends: federated\nobjects:\n  - { file: policy.yaml, after: istoid }\n";
    refused(text, "3:5: there is no step `istoid`", "cluster1/istiod").await;
}

#[tokio::test]
async fn the_plan_tells_what_is_otherwise_when_it_comes_and_what_must_break() {
    let text = "
extends: federated-rsa
about: As we run it.
values: { HELLOWORLD_REPLICAS: 3 }
patches: [{ manifest: spire/csi.yaml, kind: DaemonSet, merge: { metadata: { labels: { a: b } } } }]
objects: [{ file: policy.yaml, before: workloads }]
expect: [{ broken: peer-bundle-fetched/*, because: refused }]
";
    let mine = Mine::of(text);
    let out = mine.run(&["plan"]).await;
    assert_eq!(out.status, 0, "{}", out.stderr);
    for told in [
        "(world mine)\n  As we run it.\n",
        "  with HELLOWORLD_REPLICAS = 3\n  with SPIRE_CA_KEY_TYPE = rsa-2048\n",
        "  with DaemonSet of spire/csi.yaml patched (",
        "policy.yaml before workloads\n",
        "cluster2/own-policy",
        "2 of them are expected to break\n",
        "must break, because of `refused` (",
    ] {
        assert!(out.stdout.contains(told), "{told} in:\n{}", out.stdout);
    }
    let json: Value = serde_json::from_str(&mine.run(&["plan", "--json"]).await.stdout).unwrap();
    assert_eq!(json["otherwise"]["patches"][0]["manifest"], "spire/csi.yaml");
    assert_eq!(json["expect"][0]["claim"], "peer-bundle-fetched/*");
}

#[tokio::test]
async fn every_example_can_be_planned_and_two_expect_to_break() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/examples");
    let mut expecting = 0;
    let folders: Vec<_> = std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    for folder in &folders {
        let setup = folder.to_str().unwrap();
        let out =
            Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(["plan", "--setup", setup]).output().await.unwrap();
        assert_eq!(out.status, 0, "{setup}: {}", out.stderr);
        expecting += usize::from(out.stdout.contains("must break"));
    }
    assert!(folders.len() >= 4 && expecting == 2, "{expecting} of {folders:?}");
}

/// Every key that the reader knows, and no other: both are made from one type, this is that they stay so.
#[tokio::test]
async fn the_schema_knows_what_the_reader_knows() {
    let out = Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(["schema", "setup"]).output().await.unwrap();
    let schema: Value = serde_json::from_str(&out.stdout).unwrap();
    let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let known = Mine::of("nothing: 1\n").run(&["plan"]).await.stderr;
    assert!(known.contains("unknown field `nothing`"), "{known}");
    for key in &keys {
        assert!(known.contains(key), "{key} is not among: {known}");
    }
    assert!(keys.len() >= 9, "{keys:?}");
    assert_eq!(
        (&schema["required"], &schema["additionalProperties"]),
        (&serde_json::json!(["extends"]), &Value::Bool(false))
    );
}

/// What the README shows is typed off as it stands.
#[tokio::test]
async fn the_set_up_in_the_readme_can_be_planned() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let shown = readme.split("```yaml\n").find(|block| block.starts_with("extends:")).unwrap();
    let mine = Mine::of(shown.split("```").next().unwrap());
    for (from, to) in [
        ("manifests/worlds/federated.yaml", "clusters.yaml"),
        ("scenarios/examples/house-rules/selected-namespaces.yaml", "mesh.yaml"),
    ] {
        std::fs::copy(format!("{root}/{from}"), mine.dir.path().join(to)).unwrap();
    }
    let out = mine.run(&["plan"]).await;
    assert_eq!(out.status, 0, "{}", out.stderr);
    assert!(out.stdout.contains("2 of them are expected to break"), "{}", out.stdout);
}
