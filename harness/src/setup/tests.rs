//! Set-ups as they are in `manifests/`, and what is refused.

use std::collections::BTreeSet;

use super::*;

const MANIFESTS: &str = "../manifests";

fn read(names: &[&str]) -> Vec<Setup> {
    Setup::read(Path::new(MANIFESTS), names, None, false).unwrap()
}

#[test]
fn every_set_up_can_be_read_and_says_what_it_is_of() {
    for (name, file) in list(Path::new(MANIFESTS)).unwrap() {
        assert_eq!(read(&[&name]).len(), 1);
        assert!(!file.about.is_empty() && file.document.is_none_or(|it| !it.is_empty()), "{name}");
    }
}

#[test]
fn set_ups_of_one_world_share_it_and_none_is_shown_twice() {
    let all = read(&[ALL]);
    let worlds: BTreeSet<_> = all.iter().map(|setup| &setup.world).collect();
    assert_eq!(worlds.len(), all.len());
    let shown: usize = all.iter().map(|setup| setup.name.split(',').count()).sum();
    assert_eq!(shown, list(Path::new(MANIFESTS)).unwrap().len());
    assert_eq!(read(&["federated", "federated"])[0].name, "federated");
}

/// Its scenarios put back what they change; what the world is made of, nobody puts back.
#[test]
fn what_has_no_document_makes_no_world_otherwise_for_what_has_one() {
    let all = list(Path::new(MANIFESTS)).unwrap();
    for setup in read(&[ALL]) {
        let names: Vec<_> = setup.name.split(',').collect();
        for (name, file) in all.iter().filter(|(name, _)| names.len() > 1 && names.contains(&name.as_str())) {
            let is_plain = file.istio.is_empty() && file.images.is_empty();
            assert!(file.document.is_some() || is_plain, "{name} shares the world of {}", setup.name);
        }
    }
}

/// Two set-ups, of which the second has `values`.
fn with_values(values: &str) -> Result<Vec<Setup>> {
    let dir = tempfile::tempdir().unwrap();
    for sub in ["setups", "worlds"] {
        std::fs::create_dir(dir.path().join(sub)).unwrap();
    }
    for file in ["lock.yaml", "tuning.yaml", "worlds/example.yaml"] {
        std::fs::copy(Path::new(MANIFESTS).join(file), dir.path().join(file)).unwrap();
    }
    let setup = |name: &str, more: &str| {
        let text = format!("about: a\nworld: example\n{more}");
        std::fs::write(dir.path().join(format!("setups/{name}.yaml")), text).unwrap();
    };
    setup("plain", "");
    setup("varied", &format!("values: {values}\n"));
    Setup::read(dir.path(), &[ALL], None, false)
}

#[test]
fn values_replace_those_of_the_lane_in_a_world_of_their_own() {
    let setups = with_values("{ HELLOWORLD_REPLICAS: \"2\", SPIRE_REFRESH_HINT: 5s }").unwrap();
    let seen: Vec<_> = setups.iter().map(|s| (s.world.as_str(), &*s.values["HELLOWORLD_REPLICAS"])).collect();
    assert_eq!(seen, [("example", "1"), ("varied", "2")]);
    assert_eq!(setups[1].values["SPIRE_REFRESH_HINT"], "5s");
    assert_eq!(setups[0].values.len(), setups[1].values.len());
    assert_eq!((setups[0].otherwise.values.len(), setups[1].otherwise.values.len()), (0, 2));
    assert_eq!(with_values("{}").unwrap().len(), 1, "without values they share their world");
}

#[test]
fn a_value_that_no_manifest_names_is_refused_with_those_that_exist() {
    let e = with_values("{ HELLOWORLD_REPLICA: \"2\" }").unwrap_err();
    assert_eq!(e.code(), Code::Usage);
    assert!(e.what().contains("the set-up varied gives a value to `HELLOWORLD_REPLICA`"), "{e}");
    assert!(e.to_string().contains(", HELLOWORLD_REPLICAS, "), "{e}");
}

#[test]
fn both_lanes_set_the_same_names() {
    let names = |defaults| {
        let setups = Setup::read(Path::new(MANIFESTS), &["federated"], None, defaults).unwrap();
        setups[0].values.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(true), names(false));
}

#[test]
fn an_unknown_name_lists_the_known() {
    let e = Setup::read(Path::new(MANIFESTS), &["fedrated"], None, false).unwrap_err();
    assert_eq!(e.code(), Code::Usage);
    assert!(e.to_string().contains("federated"), "{e}");
}

#[test]
fn other_clusters_are_one_or_several_as_the_set_up_s_own() {
    let other = |setup: &str, world: &str| {
        let world = Path::new(MANIFESTS).join(format!("worlds/{world}.yaml"));
        Setup::read(Path::new(MANIFESTS), &[setup], Some(&world), false)
            .map(|setups| setups[0].topology.clusters.len())
    };
    assert_eq!(other("federated", "federated-three").unwrap(), 3);
    assert_eq!(other("single-cluster", "democluster").unwrap(), 1);
    let e = other("federated", "example").unwrap_err();
    assert_eq!(e.code(), Code::Topology);
    assert!(e.what().contains("the set-up federated is of several clusters, and the topology has 1"), "{e}");
    let e = other("single-cluster", "federated").unwrap_err();
    assert!(e.what().contains("the set-up single-cluster is of one cluster, and the topology has 2"), "{e}");
}

#[test]
fn an_unknown_topology_key_has_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.yaml");
    std::fs::write(&path, "clusters:\n  - name: a\n    colour: red\n").unwrap();
    let e = Setup::read(Path::new(MANIFESTS), &["federated"], Some(&path), false).unwrap_err();
    assert_eq!(e.code(), Code::Topology);
    assert!(e.to_string().contains("t.yaml:3:5 is malformed"), "{e}");
    assert!(e.to_string().contains("unknown field `colour`"), "{e}");
}
