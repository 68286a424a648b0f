//! What cannot work, and why: each refusal is of something that a component would refuse minutes later, or never say.
//!
//! Where a limit is somebody else's, the sentence names him and the largest value that works.

use ipnet::Ipv4Net;

use super::{Cluster, refuse};
use crate::Result;

/// A host name, a label of a name in DNS, a value of a label in Kubernetes.
const LABEL: usize = 63;
/// What kind adds to a cluster's name for its node.
const NODE: &str = "-control-plane";
/// What stands before a version in the name of its Service.
const SERVICE: &str = "helloworld-";

/// kubeadm: at most 16 bits between the pods and the part of one node, which is a /24.
const PODS: (u8, u8) = (8, 24);
/// kubeadm: at most 20 bits. The smallest is ours.
const SERVICES: (u8, u8) = (12, 24);

/// Addresses that mean something else on every machine.
const TAKEN: [(&str, &str); 5] = [
    ("0.0.0.0/8", "this very network"),
    ("127.0.0.0/8", "a machine itself"),
    ("169.254.0.0/16", "link-local addresses"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "nobody"),
];

impl Cluster {
    pub(super) fn validate(&self) -> Result<()> {
        let name = &self.name.0;
        for (key, value) in [("name", name), ("network", &self.network), ("version", &self.version)] {
            if !is_dns_label(value) {
                return Err(refuse(format!(
                    "{key} `{value}` of cluster `{name}` is not a DNS label (a-z, 0-9 and -, at most {LABEL})"
                )));
            }
        }
        let most = LABEL - NODE.len();
        if name.len() > most {
            return Err(refuse(format!(
                "the name `{name}` has {} characters, and {most} are the most: its node is called `<name>{NODE}`, \
                 and a host name has at most {LABEL}",
                name.len()
            )));
        }
        let most = LABEL - SERVICE.len();
        if self.version.len() > most {
            return Err(refuse(format!(
                "version `{}` of cluster `{name}` has {} characters, and {most} are the most: its Service is called \
                 `{SERVICE}<version>`, a DNS label",
                self.version,
                self.version.len()
            )));
        }
        self.validate_trust_domain()?;
        self.validate_subnet("pods", self.pods, PODS)?;
        self.validate_subnet("services", self.services, SERVICES)
    }

    fn validate_trust_domain(&self) -> Result<()> {
        let (name, domain) = (&self.name, &self.trust_domain);
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        if domain.is_empty() || domain.len() > 255 || !domain.chars().all(allowed) {
            return Err(refuse(format!(
                "trust domain `{domain}` of cluster `{name}` breaks the SPIFFE ID rules (a-z, 0-9, `.`, `-` and `_`, at most 255)"
            )));
        }
        let Some(label) = domain.split('.').find(|label| !is_dns_label(label)) else { return Ok(()) };
        let flaw = match label {
            "" => "an empty label".to_owned(),
            _ if label.contains('_') => format!("`_` in `{label}`"),
            _ if label.len() > LABEL => {
                format!("a label of {} characters, and {LABEL} are the most", label.len())
            }
            _ => format!("`-` at an end of `{label}`"),
        };
        Err(refuse(format!(
            "trust domain `{domain}` of cluster `{name}` is legal for SPIFFE, but Istio's trustDomain must be a DNS name: {flaw}"
        )))
    }

    fn validate_subnet(&self, what: &str, net: Ipv4Net, (largest, smallest): (u8, u8)) -> Result<()> {
        let (name, length) = (&self.name, net.prefix_len());
        if net.trunc() != net {
            return Err(refuse(format!(
                "{what} of `{name}` ({net}) begin in the midst of {0}: write {0}",
                net.trunc()
            )));
        }
        if length < largest {
            return Err(refuse(format!(
                "{what} of `{name}` (/{length}) are larger than /{largest}, which is the largest that kubeadm takes"
            )));
        }
        if length > smallest {
            return Err(refuse(format!("{what} of `{name}` (/{length}) are smaller than /{smallest}")));
        }
        for (taken, whose) in TAKEN {
            let overlaps = taken.parse::<Ipv4Net>().is_ok_and(|it| it.contains(&net) || net.contains(&it));
            if overlaps {
                return Err(refuse(format!(
                    "{what} of `{name}` ({net}) overlap {taken}, which belongs to {whose}"
                )));
            }
        }
        Ok(())
    }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= LABEL
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::super::tests::cluster;
    use super::*;

    /// What is said about cluster1 after a change; nothing when it can work.
    fn said(change: impl FnOnce(&mut Cluster)) -> String {
        let mut one = cluster(1);
        change(&mut one);
        one.validate().err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn names_are_as_long_as_what_is_made_of_them_allows() {
        assert_eq!(said(|c| c.name = "a".repeat(49).as_str().into()), "");
        let e = said(|c| c.name = "a".repeat(50).as_str().into());
        assert!(
            e.contains("has 50 characters, and 49 are the most: its node is called `<name>-control-plane`"),
            "{e}"
        );
        assert_eq!(said(|c| c.version = "v".repeat(52)), "");
        let e = said(|c| c.version = "v".repeat(53));
        assert!(
            e.contains(
                "has 53 characters, and 52 are the most: its Service is called `helloworld-<version>`"
            ),
            "{e}"
        );
        assert_eq!(said(|c| c.network = "n".repeat(63)), "");
        assert!(said(|c| c.network = "n".repeat(64)).contains("not a DNS label"));
        assert!(said(|c| c.name = "Cluster_1".into()).contains("not a DNS label"));
    }

    #[test]
    fn a_trust_domain_must_please_spiffe_and_istio() {
        for good in ["cluster1.local", "no", "10.5", &"a".repeat(63), &vec!["a1-b"; 51].join(".")] {
            assert_eq!(said(|c| c.trust_domain = good.to_owned()), "", "{good}");
        }
        for bad in ["", "Upper.local", &"a".repeat(256), "a/b"] {
            assert!(
                said(|c| c.trust_domain = bad.to_owned()).contains("breaks the SPIFFE ID rules"),
                "{bad}"
            );
        }
        let flaws = [
            ("prod_eu.example", "`_` in `prod_eu`"),
            ("a..b", "an empty label"),
            ("cluster.local.", "an empty label"),
            ("-x.example", "`-` at an end of `-x`"),
            (&"a".repeat(64), "a label of 64 characters, and 63 are the most"),
        ];
        for (bad, flaw) in flaws {
            let e = said(|c| c.trust_domain = bad.to_owned());
            assert!(
                e.contains(&format!(
                    "is legal for SPIFFE, but Istio's trustDomain must be a DNS name: {flaw}"
                )),
                "{e}"
            );
        }
    }

    #[test]
    fn subnets_are_what_kubeadm_takes() {
        let pods = |net: &str| said(|c| c.pods = net.parse().unwrap());
        let services = |net: &str| said(|c| c.services = net.parse().unwrap());
        for good in ["20.0.0.0/8", "10.10.0.0/24"] {
            assert_eq!(pods(good), "", "{good}");
        }
        for good in ["10.96.0.0/12", "10.11.0.0/24"] {
            assert_eq!(services(good), "", "{good}");
        }
        let e = pods("20.0.0.0/7");
        assert!(
            e.contains("pods of `cluster1` (/7) are larger than /8, which is the largest that kubeadm takes"),
            "{e}"
        );
        let e = services("10.96.0.0/11");
        assert!(e.contains("services of `cluster1` (/11) are larger than /12"), "{e}");
        assert!(pods("10.10.0.0/25").contains("(/25) are smaller than /24"));
        assert!(services("10.11.0.0/28").contains("(/28) are smaller than /24"));
        let e = pods("10.10.5.0/16");
        assert!(e.contains("(10.10.5.0/16) begin in the midst of 10.10.0.0/16: write 10.10.0.0/16"), "{e}");
    }

    #[test]
    fn addresses_that_mean_something_everywhere_are_refused() {
        for bad in ["0.0.0.0/8", "127.1.0.0/16", "169.254.0.0/16", "239.1.0.0/16", "240.0.0.0/8"] {
            let e = said(|c| c.pods = bad.parse().unwrap());
            assert!(e.contains("which belongs to"), "{bad}: {e}");
        }
        let e = said(|c| c.services = "127.0.0.0/12".parse().unwrap());
        assert!(e.contains("overlap 127.0.0.0/8, which belongs to a machine itself"), "{e}");
    }
}
