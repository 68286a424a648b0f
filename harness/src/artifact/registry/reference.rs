//! Where an image is fetched from, which a mirror may change; what it is called never changes.

use std::str::FromStr;

use oci_client::Reference;

use crate::error::Context as _;
use crate::{Code, Error, Result};

/// A pull-through cache that serves every upstream registry below a path of that registry's name:
/// `ghcr.io/spiffe/spire-server:1.15` is fetched as `HOST/ghcr.io/spiffe/spire-server:1.15`, and
/// `kindest/node:v1.34` as `HOST/docker.io/kindest/node:v1.34`.
///
/// One cache for several upstreams needs a path for each, or two upstreams' equal names would meet: a Harbor
/// proxy project, an Artifactory remote repository, a zot sync `destination`, named like the upstream. Only
/// Docker's own `registry-mirrors` has no such path, and it serves one upstream alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    place: String,
    plain: bool,
}

impl FromStr for Mirror {
    type Err = Error;

    /// `HOST[:PORT][/PATH]`; `http://` before it asks for plain HTTP, which a loopback address gets anyway.
    fn from_str(text: &str) -> Result<Self> {
        let (plain, place) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(place), _) => (true, place),
            (None, Some(place)) => (false, place),
            (None, None) => (false, text),
        };
        let place = place.trim_end_matches('/').to_owned();
        let mirror = Self { plain: plain || is_loopback(host(&place)), place };
        // Without a dot or a port a registry's name is read as a folder of Docker Hub.
        let probe = mirror.fetched_from(&parse("example.org/name:tag")?);
        match probe {
            Ok(probe) if probe.registry() == host(&mirror.place) => Ok(mirror),
            _ => Err(Error::new(Code::Usage, format!("`{text}` is no mirror"))
                .next("write HOST:PORT or HOST.DOMAIN, with a path if the cache needs one: --mirror cache.example:5000/proxy")),
        }
    }
}

impl Mirror {
    /// Where it has `upstream`.
    ///
    /// # Errors
    /// [`Code::Usage`] when the two together are no reference.
    pub fn fetched_from(&self, upstream: &Reference) -> Result<Reference> {
        let mut text = format!("{}/{}/{}", self.place, upstream.registry(), upstream.repository());
        if let Some(tag) = upstream.tag() {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = upstream.digest() {
            text = format!("{text}@{digest}");
        }
        text.parse().or_fail(Code::Usage, || format!("the mirror makes `{text}`, which is no reference"))
    }

    /// Its host with the port.
    pub fn host(&self) -> &str {
        host(&self.place)
    }

    /// Whether it is asked without TLS.
    pub fn is_plain(&self) -> bool {
        self.plain
    }
}

/// Reads a reference of the lock file.
///
/// # Errors
/// [`Code::Lock`].
pub fn parse(text: &str) -> Result<Reference> {
    text.parse().or_fail(Code::Lock, || format!("manifests/lock.yaml: `{text}` is no image reference"))
}

/// Who is asked for what a reference names, by the rule of [`parse`]. Every run wants to know, and [`parse`] keeps a state
/// machine of 13 MiB for ever.
pub(super) fn registry(reference: &str) -> String {
    let first = reference.split_once('/').map(|(first, _)| first);
    let named = first.filter(|first| first.contains(['.', ':']) || *first == "localhost");
    let host = named.unwrap_or("docker.io").to_owned();
    Reference::with_tag(host, String::new(), String::new()).resolve_registry().to_owned()
}

/// Docker's own rule: only a registry on this machine is asked without TLS unasked.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn host(place: &str) -> &str {
    place.split_once('/').map_or(place, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(mirror: &str, reference: &str) -> String {
        let mirror: Mirror = mirror.parse().unwrap();
        mirror.fetched_from(&parse(reference).unwrap()).unwrap().whole()
    }

    #[test]
    fn a_mirror_has_a_path_for_each_upstream() {
        for (reference, expected) in [
            ("ghcr.io/spiffe/spire-server:1.15", "m.example/ghcr.io/spiffe/spire-server:1.15"),
            ("kindest/node:v1.34", "m.example/docker.io/kindest/node:v1.34"),
            (
                "docker.io/istio/examples-helloworld-v1:1.0",
                "m.example/docker.io/istio/examples-helloworld-v1:1.0",
            ),
            ("busybox:1.37", "m.example/docker.io/library/busybox:1.37"),
        ] {
            assert_eq!(through("m.example", reference), expected);
        }
        assert_eq!(through("m.example:5000/proxy/", "ghcr.io/a/b:1"), "m.example:5000/proxy/ghcr.io/a/b:1");
    }

    #[test]
    fn an_upstream_with_a_port_has_no_place_in_a_mirror() {
        let upstream = parse("host.example:5000/a/b:1").unwrap();
        let e = "m.example".parse::<Mirror>().unwrap().fetched_from(&upstream).unwrap_err();
        assert_eq!(e.code(), Code::Usage);
        assert!(e.to_string().contains("`m.example/host.example:5000/a/b:1`, which is no reference"), "{e}");
    }

    #[test]
    fn a_digest_stays_the_same_through_a_mirror() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let expected = format!("m.example/docker.io/kindest/node:v1@{digest}");
        assert_eq!(through("m.example", &format!("kindest/node:v1@{digest}")), expected);
    }

    #[test]
    fn plain_http_is_for_loopback_and_for_those_who_ask() {
        let plain = |text: &str| text.parse::<Mirror>().unwrap().is_plain();
        assert!(plain("127.0.0.1:5000"));
        assert!(plain("localhost:5000/proxy"));
        assert!(plain("http://cache.example:5000"));
        assert!(!plain("cache.example:5000"));
        assert!(!plain("https://cache.example"));
        assert!(!plain("127.example:5000"));
    }

    #[test]
    fn who_is_asked_is_known_without_reading_all_of_a_reference() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        for place in [
            "",
            "istio/",
            "ghcr.io/spiffe/",
            "localhost/",
            "host:5000/",
            "host:5000/a/b/",
            "index.docker.io/",
        ] {
            for end in ["name", "name:1.0", &format!("name{digest}"), &format!("name:1{digest}")] {
                let reference = format!("{place}{end}");
                let asked = parse(&reference).unwrap().resolve_registry().to_owned();
                assert_eq!(registry(&reference), asked, "{reference}");
            }
        }
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for text in ["", "cache", "cache/proxy", "http://", "UPPER case:1", "cache.example:port", "/x"] {
            let e = text.parse::<Mirror>().unwrap_err();
            assert_eq!(e.code(), Code::Usage, "{text}");
            assert!(e.to_string().contains(&format!("`{text}` is no mirror")), "{e}");
        }
    }
}
