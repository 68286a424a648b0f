//! A user's set-up: what is read from it, and what is refused, where it stands.

use std::path::PathBuf;

use super::*;
use crate::component;

const MANIFESTS: &str = "../manifests";

/// A folder `mine` with that file and these beside it.
fn folder(text: &str, beside: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("mine");
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join(FILE), text).unwrap();
    for (name, text) in beside {
        std::fs::write(mine.join(name), text).unwrap();
    }
    (dir, mine)
}

fn read(text: &str, beside: &[(&str, &str)]) -> Result<Setup> {
    let (_dir, mine) = folder(text, beside);
    let setups = Setup::read(Path::new(MANIFESTS), &[mine.to_str().unwrap()], None, false)?;
    let setup = setups.into_iter().next().unwrap();
    component::plan(&setup)?.graph()?;
    Ok(setup)
}

/// Refused as usage, at that place, in these words.
fn refused(text: &str, at: &str, words: &str) {
    let e = read(text, &[("notes.yaml", "kind: Note\n"), ("policy.yaml", POLICY)]).unwrap_err();
    let told = e.to_string();
    assert_eq!(e.code().exit(), 2, "{told}");
    assert!(told.contains(&format!("/mine/setup.yaml:{at}")), "{at} for:\n{text}\n{told}");
    assert!(told.contains(words), "{words} for:\n{text}\n{told}");
    assert!(told.contains("nothing was touched"), "{told}");
}

const POLICY: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: \"in-${CLUSTER}\", namespace: istio-test }\n";

#[test]
fn it_is_one_of_ours_and_what_is_otherwise() {
    let text = "
extends: federated-replicas
values: { SPIRE_REFRESH_HINT: 5s, EAST_WEST_REPLICAS: 3 }
overlays: [mesh.yaml]
patches:
  - { manifest: workloads/mesh.yaml, kind: Service, merge: { metadata: { labels: { team: shop } } } }
objects:
  - { file: policy.yaml, after: workloads }
  - { file: other.yaml, before: cluster2/answers }
identities: { istio-test: 'spiffe://{trust_domain}/team/{service_account}' }
expect:
  - { broken: server-svid/*, because: a cause }
";
    let other = POLICY.replace("in-", "of-");
    let mesh = "kind: IstioOperator\nspec: { meshConfig: { rootNamespace: \"${CLUSTER}\" } }\n";
    let setup = read(text, &[("policy.yaml", POLICY), ("other.yaml", &other), ("mesh.yaml", mesh)]).unwrap();
    assert_eq!((setup.world.as_str(), setup.is_own(), setup.topology.clusters.len()), ("mine", true, 2));
    let value = |name: &str| setup.values[name].as_str();
    assert_eq!(
        (value("HELLOWORLD_REPLICAS"), value("EAST_WEST_REPLICAS"), value("SPIRE_REFRESH_HINT")),
        ("2", "3", "5s")
    );
    assert_eq!(setup.otherwise.values.len(), 3, "the base's own are among them");
    assert_eq!(setup.expect.len(), 1);
    assert!(setup.otherwise.overlays[0].text.contains("rootNamespace"));

    let graph = component::plan(&setup).unwrap().graph().unwrap();
    let needs = |id: &str| graph.steps.iter().find(|step| step.id == id).map(|step| step.needs.clone());
    assert!(needs("cluster1/own-policy").unwrap().contains(&"cluster1/workloads".to_owned()));
    assert!(needs("cluster2/own-policy").is_some() && needs("cluster1/own-other").is_none());
    assert!(needs("cluster2/answers").unwrap().contains(&"cluster2/own-other".to_owned()));
    assert!(needs("cluster2/own-other").unwrap().contains(&"cluster2/workloads".to_owned()));
}

#[test]
fn patches_are_in_what_is_applied_in_the_clusters_that_they_name() {
    let text = "
extends: federated
patches:
  - { manifest: workloads/version.yaml, name: helloworld-v2, kind: Service, clusters: [cluster1], merge: { spec: { type: NodePort } } }
";
    let setup = read(text, &[]).unwrap();
    let kind_of = |cluster: usize, version: &str| {
        let cluster = &setup.topology.clusters[cluster];
        let mut values = setup.values_of(cluster);
        values.insert("VERSION".into(), version.into());
        let objects =
            setup.otherwise.manifest(Path::new(MANIFESTS), "workloads/version.yaml", &cluster.name, &values);
        objects.unwrap()[0]["spec"]["type"].clone()
    };
    assert_eq!(kind_of(0, "v2"), "NodePort");
    assert_eq!((kind_of(0, "v1").is_null(), kind_of(1, "v2").is_null()), (true, true));
}

#[test]
fn what_cannot_mean_what_it_says_is_refused_where_it_stands() {
    refused("extends: federated\npatch: []\n", "2:1 is malformed", "unknown field `patch`");
    refused("extends: fedrated\n", "1:10:", "there is no set-up `fedrated` to extend");
    refused("about: x\n", "1:1 is malformed", "missing field `extends`");
    refused(
        "extends: federated\nvalues:\n  REPLICAS: 2\n",
        "3:13:",
        "`REPLICAS` gets a value, and no manifest names it",
    );
    let patch = |rest: &str| format!("extends: federated\npatches:\n  - {{ {rest} }}\n");
    refused(
        &patch("manifest: workloads/mash.yaml, merge: {}"),
        "3:5:",
        "reads no manifest `workloads/mash.yaml`",
    );
    refused(
        &patch("manifest: guide/late.yaml, merge: { a: 1 }"),
        "3:5:",
        "reads no manifest `guide/late.yaml`",
    );
    refused(
        &patch("manifest: workloads/mesh.yaml, kind: Deploymint, merge: { a: 1 }"),
        "3:5:",
        "has no such object",
    );
    refused(
        &patch(
            "manifest: workloads/mesh.yaml, kind: PeerAuthentication, merge: { spec: { mtls: { mode: STRICT } } }",
        ),
        "3:5:",
        "is so already",
    );
    refused(
        &patch("manifest: spire/upstream-authority.yaml, merge: { a: 1 }"),
        "3:5:",
        "reads no manifest `spire/upstream-authority.yaml`",
    );
    let alone =
        patch("manifest: gateway/east-west.yaml, merge: { a: 1 }").replace("federated", "single-cluster");
    refused(&alone, "3:5:", "reads no manifest `gateway/east-west.yaml`");
    let json =
        |operation: &str| patch(&format!("manifest: gateway/east-west.yaml, json: [{{ {operation} }}]"));
    refused(
        &json("op: replace, path: /spec/listener, value: 1"),
        "3:5:",
        "operation '/0' failed at path '/spec/listener'",
    );
    refused(&json("op: swap, path: /spec"), "3:5:", "this is no JSON patch: unknown variant `swap`");
    refused(&patch("manifest: gateway/east-west.yaml"), "3:5:", "a patch has a `merge` or a `json`");
    refused(
        &patch("manifest: spire/agent.yaml, clusters: [c9], merge: { a: 1 }"),
        "3:5:",
        "no cluster is called c9",
    );
    refused(&patch("manifest: spire/csi.yaml, merge: { a: '${NO}' }"), "3:5:", "no value for ${NO}");
}

#[test]
fn what_it_brings_is_refused_where_it_cannot_come() {
    let objects = |rest: &str| format!("extends: federated\nobjects:\n  - {{ {rest} }}\n");
    refused(&objects("file: nowhere.yaml, after: istiod"), "3:13:", "/mine/nowhere.yaml");
    refused(&objects("file: notes.yaml, after: istiod"), "3:5:", "has an object without kind or name");
    refused(&objects("file: policy.yaml"), "3:5:", "either `before` or `after`");
    refused(&objects("file: policy.yaml, after: istoid"), "3:5:", "there is no step `istoid` in any cluster");
    refused(
        &objects("file: policy.yaml, after: artifacts"),
        "3:5:",
        "there is no step `artifacts` in any cluster",
    );
    refused(
        &objects("file: policy.yaml, before: images"),
        "3:5:",
        "before `images` the cluster takes no objects",
    );
    refused(&objects("file: policy.yaml, after: istiod, ready: true"), "3:5:", "is ever `ready`");
    let twice = "extends: federated\nobjects:\n  - { file: policy.yaml, after: istiod }\n  - { file: ./policy.yaml, after: csi }\n";
    refused(twice, "4:5:", "two steps of the plan would be called own-policy");
    refused("extends: federated\noverlays: [notes.yaml]\n", "2:12:", "is no IstioOperator");
    refused("extends: federated\ntopology: notes.yaml\n", "2:11:", "these clusters cannot be");
}

#[test]
fn versions_that_there_are_not_are_refused() {
    let with = |what: &str| format!("extends: federated\nwith: [{what}]\n");
    refused(&with("spire"), "2:8:", "`spire` is not [CLUSTER:]COMPONENT=VERSION");
    refused(&with("spire=1.13, 'cluster2:spire=9'"), "2:20:", "there is no version 9 of spire");
    refused(&with("curl=8"), "2:8:", "one version only of `curl`");
    refused(&with("c9:spire=1.13"), "2:8:", "no cluster is called c9");
    refused(&with("spire=1.13, spire=1.15"), "2:20:", "contradict each other");
    let setup = read(&with("'cluster2:spire=1.13'"), &[]).unwrap();
    let of = |name: &str| setup.versions[&ClusterName::from(name)]["spire"].as_str();
    assert_eq!([of("cluster1"), of("cluster2")], ["1.15.3", "1.13.3"]);
}

#[test]
fn what_it_declares_and_expects_must_make_sense() {
    let one = |what: &str| format!("extends: federated\n{what}\n");
    refused(
        &one("identities: { default: 'spiffe://{trust_domain}/x' }"),
        "2:24:",
        "no workload of the mesh is in `default`",
    );
    refused(
        &one("identities: { istio-test: 'spiffe://{trust_domain}/{app}' }"),
        "2:27:",
        "has '{' in its path",
    );
    refused(
        &one("identities: { istio-test: 'spiffe://acme.example/x' }"),
        "2:27:",
        "is in another trust domain than cluster1.local",
    );
    refused(&one("expect: [{ broken: server-svid/*, because: '(' }]"), "2:10:", "is no regular expression");
    refused(&one("expect: [{ broken: server-svid/*, because: '' }]"), "2:10:", "the cause is empty");
}

#[test]
fn a_set_up_is_called_as_its_folder_or_file() {
    let text = "extends: federated\n";
    let (_dir, mine) = folder(text, &[("other.yaml", text), ("federated.yaml", text)]);
    let of = |path: &Path| {
        let setups = Setup::read(Path::new(MANIFESTS), &[path.to_str().unwrap()], None, false);
        setups.map(|setups| setups[0].world.clone())
    };
    assert_eq!((of(&mine).unwrap(), of(&mine.join(FILE)).unwrap()), ("mine".to_owned(), "mine".to_owned()));
    assert_eq!(of(&mine.join("other.yaml")).unwrap(), "other");
    let e = of(&mine.join("federated.yaml")).unwrap_err();
    assert!(e.code() == Code::Usage && e.what().contains("`federated` is the name of one of ours"), "{e}");
    assert!(of(&mine.join("none.yaml")).unwrap_err().what().starts_with("cannot read "));
    let both = [mine.to_str().unwrap(), mine.to_str().unwrap()];
    let e = Setup::read(Path::new(MANIFESTS), &both, None, false).unwrap_err();
    assert!(e.what().ends_with("would both be called mine"), "{e}");
}

#[test]
fn where_a_thing_stands_is_no_part_of_what_a_world_is_made_from() {
    let patch = "patches: [{ manifest: spire/csi.yaml, kind: DaemonSet, merge: { metadata: { labels: { a: b } } } }]\n";
    let made_from = |text: &str| read(text, &[]).unwrap().otherwise.made_from();
    let first = made_from(&format!("extends: federated\n{patch}"));
    let moved = made_from(&format!("extends: federated\nabout: moved down\n{patch}"));
    let changed = made_from(&format!("extends: federated\n{}", patch.replace("a: b", "a: c")));
    assert_ne!(first, changed);
    // The folder is a new one each time; no file lies beside it.
    assert_eq!(first, moved);
}
