//! The cache, the compilers of the packages source, and the ways out.

use super::{Check, Finding, GIB, Used, Wanted, engine_data, gib, used};
use crate::artifact::source::Choice;
use crate::doctor::measured::Measured;

/// What a run writes beside an engine's data: built scenarios, logs, reports.
const DISK_RUN: u64 = 2 * GIB;
/// Downloaded images and tools.
const DISK_PULLED: u64 = 10 * GIB;
/// Go's modules and compiled packages take most of it (measured after a whole build).
const DISK_BUILT: u64 = 25 * GIB;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![cache(m)];
    findings.extend(disk(m, wanted));
    if matches!(wanted.source, Choice::Packages | Choice::Auto) {
        findings.extend([go(m, wanted), cc(m, wanted)]);
        findings.extend(apt(m, wanted));
    }
    findings.extend(proxy(m, wanted));
    findings
}

fn cache(m: &Measured) -> Finding {
    let path = m.cache.path.display();
    match &m.cache.unwritable {
        None => Check::new("cache", path.to_string(), "writable").ok("the cache can be written"),
        Some(why) => Check::new("cache", why, "writable").fail(
            format!("the cache {path} cannot be written"),
            "export VOUCHSAFE_CACHE=<a folder with room>",
        ),
    }
}

fn disk(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    let free = m.cache.free?;
    // A private engine keeps its data in the cache.
    let data = if matches!(used(m, wanted), Used::Private) { engine_data(wanted) } else { 0 };
    let warm = DISK_RUN + data;
    let need = match wanted.source {
        _ if m.cache.artifacts > 0 => warm,
        Choice::Packages => warm.max(DISK_BUILT),
        Choice::Auto | Choice::Registry | Choice::Archive(_) => warm.max(DISK_PULLED),
    };
    let check = Check::new("disk", format!("{} free", gib(free)), format!("at least {}", gib(need)));
    let cure = "free space, or export VOUCHSAFE_CACHE=<a folder on a larger disk>";
    Some(match free {
        free if free < warm => check.fail("too little disk below the cache", cure),
        free if free < need => check.warn("the disk below the cache may get full while it is filled", cure),
        _ => check.ok("enough disk below the cache"),
    })
}

/// A failure if artifacts will be built; a warning if they may be.
fn missing(check: Check, wanted: &Wanted, finding: impl Into<String>, cure: &str) -> Finding {
    match wanted.source {
        Choice::Packages => check.fail(finding, cure),
        _ => check.warn(format!("{}; matters only if no registry answers", finding.into()), cure),
    }
}

fn go(m: &Measured, wanted: &Wanted) -> Finding {
    let need = m.go_needed.as_deref().unwrap_or("any");
    let seen =
        m.programs.get("go").map(|go| go.version.clone().unwrap_or_else(|| "of unknown version".into()));
    let check = Check::new("go", seen.clone().unwrap_or_else(|| "absent".into()), format!("at least {need}"));
    let cure = "install Go from go.dev/dl, and put it on PATH";
    match seen {
        None => missing(check, wanted, "artifacts are built with Go, and there is none", cure),
        Some(have) if numbers(&have) < numbers(need) => {
            missing(check, wanted, "this Go is older than the recipes ask for", cure)
        }
        Some(_) => check.ok("Go can build the artifacts"),
    }
}

fn cc(m: &Measured, wanted: &Wanted) -> Finding {
    let check = |seen: &str| Check::new("cc", seen, "a C compiler");
    match m.programs.get("cc") {
        Some(cc) => check(&cc.path.display().to_string()).ok("a C compiler, which SPIRE's database needs"),
        None => missing(
            check("absent"),
            wanted,
            "SPIRE's database is built with a C compiler, and there is none",
            "apt-get install gcc libc6-dev",
        ),
    }
}

fn apt(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    // Base images are Debian's. Where the engine is private, the engine's own check says the same.
    (!m.rights.debian).then(|| {
        let check = Check::new("apt", "absent", "apt-get, dpkg-deb");
        missing(
            check,
            wanted,
            "base images are made of Debian packages, and this is no Debian-like system",
            "use a container registry: --source registry",
        )
    })
}

fn proxy(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    let names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    let set: Vec<_> = names.into_iter().filter(|name| m.variables.contains_key(name)).collect();
    if set.is_empty() {
        return None;
    }
    let exempt: Vec<&str> = ["NO_PROXY", "no_proxy"]
        .into_iter()
        .filter_map(|name| m.variables.get(name))
        .flat_map(|list| list.split(',').map(str::trim))
        .collect();
    // kind hands the proxy to the nodes, whose own addresses it adds; those of pods and services it cannot know.
    let nets = wanted.topology.clusters.iter().flat_map(|c| [c.pods.to_string(), c.services.to_string()]);
    let needed: Vec<String> =
        ["localhost".to_owned(), "127.0.0.1".to_owned()].into_iter().chain(nets).collect();
    let lacking: Vec<_> =
        needed.iter().filter(|n| !exempt.contains(&n.as_str()) && !exempt.contains(&"*")).cloned().collect();
    let check =
        Check::new("proxy", format!("{} set", set.join(", ")), "NO_PROXY with this machine and the clusters");
    Some(if lacking.is_empty() {
        check.ok("a proxy for the way out, and none for the clusters")
    } else {
        let cure =
            format!("export NO_PROXY={}", [exempt.join(","), lacking.join(",")].join(",").trim_matches(','));
        check.warn("nodes inherit the proxy and may use it for their own clusters", cure)
    })
}

/// `go version go1.26.8 linux/amd64` and `1.26.6` alike.
fn numbers(version: &str) -> Vec<u64> {
    let word = version
        .split_whitespace()
        .map(|word| word.trim_start_matches("go"))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or_default();
    word.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fit::{found, machine, wanted};
    use crate::doctor::Level::{Fail, Ok, Warn};

    use super::*;

    #[test]
    fn a_cache_that_cannot_be_written_fails() {
        let mut m = machine();
        m.cache.unwritable = Some("Read-only file system".into());
        let finding = found(&m, &wanted(), "cache");
        assert_eq!((finding.level, finding.measured.as_str()), (Fail, "Read-only file system"));
    }

    #[test]
    fn an_empty_cache_needs_more_room_than_a_full_one() {
        let mut m = machine();
        let mut w = wanted();
        let warm = DISK_RUN + engine_data(&w);
        m.cache.free = Some(warm);
        for (source, artifacts, level) in
            [(Choice::Packages, 0, Warn), (Choice::Registry, 0, Warn), (Choice::Packages, 9, Ok)]
        {
            (w.source, m.cache.artifacts) = (source.clone(), artifacts);
            assert_eq!(found(&m, &w, "disk").level, level, "{source:?}");
        }
        m.cache.free = Some(warm - 1);
        assert_eq!(found(&m, &w, "disk").level, Fail);
        w.topology.clusters = vec![w.topology.clusters[0].clone(); 4];
        assert_eq!(found(&m, &w, "disk").needed, "at least 12.4 GiB", "a private engine's data is there too");
    }

    #[test]
    fn compilers_matter_as_much_as_they_are_used() {
        let mut m = machine();
        let mut w = wanted();
        (m.rights.debian, m.programs) = (false, Default::default());
        for (source, level) in [(Choice::Packages, Fail), (Choice::Auto, Warn)] {
            w.source = source;
            for check in ["go", "cc", "apt"] {
                assert_eq!(found(&m, &w, check).level, level, "{check}");
            }
        }
    }

    #[test]
    fn an_older_go_fails() {
        let mut m = machine();
        let mut w = wanted();
        w.source = Choice::Packages;
        m.go_needed = Some("1.26.6".into());
        for (version, level) in
            [("go version go1.26.5 linux/amd64", Fail), ("go version go1.27 linux/amd64", Ok)]
        {
            m.programs.get_mut("go").unwrap().version = Some(version.into());
            assert_eq!(found(&m, &w, "go").level, level, "{version}");
        }
    }

    #[test]
    fn a_proxy_must_leave_the_clusters_alone() {
        let mut m = machine();
        m.variables.insert("HTTPS_PROXY", "set".into());
        m.variables.insert("NO_PROXY", "localhost,127.0.0.1,10.1.0.0/16".into());
        let finding = found(&m, &wanted(), "proxy");
        assert_eq!(finding.level, Warn);
        assert_eq!(
            finding.cure.as_deref(),
            Some("export NO_PROXY=localhost,127.0.0.1,10.1.0.0/16,10.2.0.0/16")
        );
        m.variables.insert("NO_PROXY", "localhost,127.0.0.1,10.1.0.0/16,10.2.0.0/16".into());
        assert_eq!(found(&m, &wanted(), "proxy").level, Ok);
    }
}
