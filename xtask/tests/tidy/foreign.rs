//! Nothing of the machine that a file was written on: no host of its package mirrors and proxies.
//!
//! Those names are nobody else's business, and on another machine they lead nowhere. They are not written
//! here either: they are read from the configuration of the machine that runs the test.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::Offence;
use crate::tree::Tree;

/// Hosts that everybody has, which a file may name.
const PUBLIC: [&str; 14] = [
    "crates.io",
    "debian.org",
    "docker.com",
    "docker.io",
    "ghcr.io",
    "github.com",
    "golang.org",
    "k8s.io",
    "kernel.org",
    "npmjs.org",
    "pypi.org",
    "rust-lang.org",
    "ubuntu.com",
    "localhost",
];

/// Offences: a configured mirror or proxy that a file names.
pub fn check(tree: &Tree, hosts: &BTreeSet<String>) -> Vec<Offence> {
    tree.files
        .iter()
        .flat_map(|file| file.lines().map(move |(i, line)| (file, i, line)))
        .filter(|(_, _, line)| hosts.iter().any(|host| line.contains(host.as_str())))
        .map(|(file, i, _)| Offence::at(file, i, "names a package mirror or proxy of this machine; leave it to the machine's own configuration"))
        .collect()
}

/// The mirrors and proxies that this machine's clients are configured with.
pub fn hosts_of_this_machine() -> BTreeSet<String> {
    const VARIABLES: [&str; 9] = [
        "GOPROXY",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "NPM_CONFIG_REGISTRY",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
    ];
    const IN_HOME: [&str; 6] = [
        ".cargo/config.toml",
        ".config/go/env",
        ".config/pip/pip.conf",
        ".npmrc",
        ".pip/pip.conf",
        ".m2/settings.xml",
    ];
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let lists =
        std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|e| e.path());
    let files = IN_HOME
        .iter()
        .map(|file| home.join(file))
        .chain(["/etc/pip.conf", "/etc/apt/sources.list", "/etc/apt/apt.conf"].map(PathBuf::from))
        .chain(lists)
        .filter_map(|file| std::fs::read_to_string(file).ok());
    let variables = VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    files.chain(variables).flat_map(|text| hosts(&text)).collect()
}

/// The hosts of all addresses in a text, but public ones.
fn hosts(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    let addresses = lines.flat_map(|line| line.match_indices("://").map(move |(at, _)| &line[at + 3..]));
    let host = |address: &str| {
        let authority = address.split(|c: char| "/,|\"' \t>)]".contains(c)).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned()
    };
    let public = |host: &str| PUBLIC.iter().any(|p| host == *p || host.ends_with(&format!(".{p}")));
    addresses.map(host).filter(|host| host.contains('.') && !public(host)).collect()
}

#[test]
fn mirrors_are_told_from_what_everybody_has() {
    let text = "proxy=https://user:secret@mirror.corp.example:8443/go,direct\n# https://comment.example/\nHomepage: http://www.debian.org/\n";
    assert_eq!(hosts(text), ["mirror.corp.example"]);
    let tree =
        Tree { files: vec![crate::File { path: "x".into(), text: "a\nfrom mirror.corp.example\n".into() }] };
    let found = check(&tree, &hosts(text).into_iter().collect());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, "x:2");
}
