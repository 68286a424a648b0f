//! A claim's id as text, and back: what verdicts, reports and the checklist refer to.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Claim, Kind, Subject};
use crate::topology::{ClusterName, Way};
use crate::{Code, Error};

const ARROW: char = '→';
const BETWEEN: char = '↔';

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.subject)?;
        self.when.as_ref().map_or(Ok(()), |when| write!(f, "@{when}"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Way(way) => way.fmt(f),
            Self::Pair(one, other) => write!(f, "{one}{BETWEEN}{other}"),
            Self::Cluster(cluster) => cluster.fmt(f),
            Self::Proxy { cluster, namespace, service_account } => {
                write!(f, "{cluster}/{namespace}/{service_account}")
            }
            Self::After { scenario, cluster } => write!(f, "{scenario}/{cluster}"),
            Self::Fact { scenario, name } => write!(f, "{scenario}/{name}"),
            Self::Scenario(scenario) => f.write_str(scenario),
        }
    }
}

impl FromStr for Claim {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        let wrong = || Error::new(Code::Evidence, format!("`{id}` is not the id of a claim"));
        let (kind, rest) = id.split_once('/').ok_or_else(wrong)?;
        let kind = Kind::named(kind).ok_or_else(wrong)?;
        let (subject, when) = match rest.split_once('@') {
            Some((subject, when)) => (subject, Some(when.to_owned())),
            None => (rest, None),
        };
        let subject = subject_of(kind, subject).ok_or_else(wrong)?;
        Ok(Self { kind, subject, when })
    }
}

/// What a kind is about decides how its subject is written.
fn subject_of(kind: Kind, text: &str) -> Option<Subject> {
    let cluster = |name: &str| (!name.is_empty()).then(|| ClusterName::from(name));
    Some(match kind {
        Kind::BundlesShareNoKey => {
            let (one, other) = text.split_once(BETWEEN)?;
            Subject::Pair(cluster(one)?, cluster(other)?)
        }
        Kind::OneEntryForEachPod
        | Kind::EntriesFederate
        | Kind::NeverOfIstiod
        | Kind::NeverCeasedToBelieve
        | Kind::EveryClusterAnswers
        | Kind::PlainTextRefused => Subject::Cluster(cluster(text)?),
        Kind::ProxySvid | Kind::ProxyValidationContext | Kind::ProxyNothingOfIstiod => {
            let mut parts = text.split('/').map(str::to_owned);
            let (name, namespace, account) = (parts.next()?, parts.next()?, parts.next()?);
            Subject::Proxy { cluster: cluster(&name)?, namespace, service_account: account }
        }
        Kind::ClusterAsBefore => {
            let (scenario, name) = text.rsplit_once('/')?;
            Subject::After { scenario: scenario.to_owned(), cluster: cluster(name)? }
        }
        Kind::Fact => {
            let (scenario, name) = text.split_once('/')?;
            Subject::Fact { scenario: scenario.to_owned(), name: name.to_owned() }
        }
        Kind::ScenarioCompleted => Subject::Scenario(text.to_owned()),
        _ => {
            let (from, to) = text.split_once(ARROW)?;
            Subject::Way(Way { from: cluster(from)?, to: cluster(to)? })
        }
    })
}

impl Serialize for Claim {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|e: Error| serde::de::Error::custom(e.what()))
    }
}

impl schemars::JsonSchema for Claim {
    fn schema_name() -> Cow<'static, str> {
        "Claim".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The id of a claim: `kind/subject`, with `@when` after it where others say the same at another time.",
            "type": "string",
            "pattern": "^[a-z-]+/.+$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(kind: Kind) -> Subject {
        let (one, two) = (ClusterName::from("cluster1"), ClusterName::from("cluster2"));
        let proxy = || Subject::Proxy {
            cluster: "cluster1".into(),
            namespace: "istio-test".into(),
            service_account: "curl".into(),
        };
        let scenario = || "far-gateway".to_owned();
        let candidates = [
            Subject::Way(Way { from: one.clone(), to: two.clone() }),
            Subject::Pair(one.clone(), two),
            proxy(),
            Subject::After { scenario: scenario(), cluster: one.clone() },
            Subject::Fact { scenario: scenario(), name: "no-way".into() },
            Subject::Cluster(one),
            Subject::Scenario(scenario()),
        ];
        // The one that reads back as itself is the one that the kind is about.
        let fits = |subject: &Subject| subject_of(kind, &subject.to_string()).as_ref() == Some(subject);
        candidates.into_iter().find(fits).unwrap()
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in Kind::ALL {
            let claim = Claim::of(*kind, subject(*kind));
            assert_eq!(claim.to_string().parse::<Claim>().unwrap(), claim);
            let later = claim.when(Some("again-with-the-bundle-put-back"));
            assert_eq!(later.to_string().parse::<Claim>().unwrap(), later);
            let json = serde_json::to_string(&later).unwrap();
            assert_eq!(serde_json::from_str::<Claim>(&json).unwrap(), later);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }

    #[test]
    fn what_is_no_claim_is_named() {
        for id in [
            "",
            "server-svid",
            "server-svid/",
            "server-svid/cluster1",
            "no-such-kind/cluster1",
            "server-svid/→b",
        ] {
            let e = id.parse::<Claim>().unwrap_err();
            assert_eq!(e.what(), format!("`{id}` is not the id of a claim"));
        }
    }
}
