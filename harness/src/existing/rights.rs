//! What a caller must be allowed, exactly: told before anything is asked, as sentences and as a ClusterRole. Each right is
//! checked first, so that nobody's audit log has refusals of ours.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

const AT_ONCE: usize = 8;

/// Something that an audit or a probe does.
#[derive(Debug)]
pub(super) struct Right {
    verbs: &'static [&'static str],
    group: &'static str,
    resource: &'static str,
    part: Option<&'static str>,
    /// The one object of that kind that is read, where it is one.
    name: Option<&'static str>,
    why: &'static str,
}

/// Finding who is there.
pub(super) const PODS: Right = Right::core(&["list"], "pods", "find SPIRE servers, istiods and proxies");
/// Finding where networks meet.
pub(super) const SERVICES: Right = Right::core(&["list"], "services", "find east-west gateways");
/// What components were told.
pub(super) const CONFIG: Right = Right::core(
    &["get"],
    "configmaps",
    "read what the SPIRE server and istiod were told, and istiod's root, in their namespaces",
);
/// Asking a SPIRE server. (The API server asks for `get` of a WebSocket, and newer ones for `create`, too.)
pub(super) const EXEC: Right = Right {
    part: Some("exec"),
    ..Right::core(
        &["get", "create"],
        "pods",
        "ask the SPIRE server, by its own command in its own pod: bundle show and list, entry show, federation refresh",
    )
};
/// Asking proxies and istiod.
pub(super) const FORWARD: Right = Right {
    part: Some("portforward"),
    ..Right::core(
        &["get", "create"],
        "pods",
        "ask each proxy's admin interface what it holds, and istiod what it watches",
    )
};
/// What istiod signs with.
pub(super) const PLUGGED_IN: Right = Right {
    name: Some("cacerts"),
    ..Right::core(
        &["get"],
        "secrets",
        "only where istiod and SPIRE have the same root: tell apart what either signed",
    )
};
/// Telling clusters apart.
const SYSTEM: Right = Right {
    name: Some("kube-system"),
    ..Right::core(&["get"], "namespaces", "tell two names of one cluster from two clusters")
};

const ALL: [&Right; 7] = [&SYSTEM, &PODS, &SERVICES, &CONFIG, &EXEC, &FORWARD, &PLUGGED_IN];

/// What a probe does besides, to what it brings.
const PROBE: [Right; 8] = [
    Right::core(
        &["get", "list", "watch", "create", "patch", "delete"],
        "namespaces",
        "bring a namespace, and take it away",
    ),
    Right::core(&["create", "patch"], "serviceaccounts", "bring curl and helloworld"),
    Right::core(&["create", "patch"], "services", "bring what they call each other by"),
    Right {
        group: "apps",
        ..Right::core(
            &["get", "list", "watch", "create", "patch"],
            "deployments",
            "bring curl and helloworld",
        )
    },
    Right::core(&["list", "watch"], "pods", "wait for them"),
    Right { part: Some("log"), ..Right::core(&["get"], "pods", "read what their sidecars recorded") },
    Right {
        group: "networking.istio.io",
        ..Right::core(&["create", "patch"], "envoyfilters", "have their own sidecars record what they see")
    },
    Right {
        group: "networking.istio.io",
        ..Right::core(
            &["create", "patch"],
            "destinationrules",
            "have a connection made for each request to them",
        )
    },
];
/// And where nobody registers workloads by themselves.
const IDENTITY: Right = Right {
    group: "spire.spiffe.io",
    ..Right::core(
        &["list", "watch", "create", "patch", "delete"],
        "clusterspiffeids",
        "register them, where nobody does by itself",
    )
};

/// A line for each right that an audit uses, with what for.
pub fn needed() -> Vec<String> {
    ALL.map(|right| format!("{}: {}", right.told(), right.why)).into()
}

/// A ClusterRole that gives exactly these.
pub fn cluster_role() -> String {
    let head = "# What `cargo xtask audit` uses, and nothing else. pods/exec may be given in the SPIRE server's namespace alone.";
    role("vouchsafe-audit", head, ALL.into_iter())
}

/// A ClusterRole that gives exactly what a probe uses.
pub fn role_of_probe() -> String {
    let head = "# What `cargo xtask probe` uses, and nothing else: what an audit does, and bringing a namespace of its own.";
    role("vouchsafe-probe", head, ALL.into_iter().chain(Right::of_probe()).chain([&IDENTITY]))
}

fn role(name: &str, head: &str, rights: impl Iterator<Item = &'static Right>) -> String {
    let mut text = format!(
        "{head}\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{ name: {name} }}\nrules:\n"
    );
    for right in rights {
        let names = right.name.map(|name| format!("resourceNames: [{name}], ")).unwrap_or_default();
        text += &format!(
            "  # {}\n  - {{ apiGroups: [\"{}\"], resources: [{}], {names}verbs: [{}] }}\n",
            right.why,
            right.group,
            right.kind(),
            right.verbs.join(", ")
        );
    }
    text
}

impl Right {
    const fn core(verbs: &'static [&'static str], resource: &'static str, why: &'static str) -> Self {
        Self { verbs, group: "", resource, part: None, name: None, why }
    }

    /// What a probe cannot do without.
    pub(super) fn of_probe() -> impl Iterator<Item = &'static Self> {
        PROBE.iter()
    }

    /// Why it may not be done in that namespace, or in all of them; nothing when it may, or nobody can say: then the API
    /// server will.
    pub(super) async fn denied(&self, client: &Client, namespace: Option<&str>) -> Option<String> {
        for verb in self.verbs {
            let attributes = ResourceAttributes {
                namespace: namespace.map(str::to_owned),
                verb: Some((*verb).to_owned()),
                group: Some(self.group.to_owned()),
                resource: Some(self.resource.to_owned()),
                subresource: self.part.map(str::to_owned),
                name: self.name.map(str::to_owned),
                ..Default::default()
            };
            let spec =
                SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
            let review = SelfSubjectAccessReview { spec, ..Default::default() };
            let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
            let answer = reviews.create(&PostParams::default(), &review).await;
            if answer.ok().and_then(|review| review.status).is_some_and(|status| !status.allowed) {
                let place =
                    namespace.map_or_else(|| "any namespace".to_owned(), |name| format!("namespace {name}"));
                return Some(format!("you may not {verb} {} in {place}", self.named()));
            }
        }
        None
    }

    /// Those of these namespaces in which it may not be done, each with why.
    pub(super) async fn denied_in(&self, client: &Client, namespaces: Vec<String>) -> Vec<(String, String)> {
        // Most callers may it everywhere or nowhere, but a binding in one namespace is enough there.
        if self.denied(client, None).await.is_none() {
            return Vec::new();
        }
        let asked = namespaces.into_iter().map(|namespace| async move {
            let denied = self.denied(client, Some(&namespace)).await?;
            Some((namespace, denied))
        });
        stream::iter(asked).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    fn told(&self) -> String {
        format!("{} {}", self.verbs.join(" and "), self.named())
    }

    fn kind(&self) -> String {
        self.part.map_or_else(|| self.resource.to_owned(), |part| format!("{}/{part}", self.resource))
    }

    fn named(&self) -> String {
        self.name.map_or_else(|| self.kind(), |name| format!("{}/{name}", self.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told in sentences is what the role gives, and the role is an object that Kubernetes takes.
    #[test]
    fn the_role_gives_what_is_told_and_nothing_that_changes_anything() {
        let role = crate::render::documents(&cluster_role(), "the role").unwrap().remove(0);
        let rules = role["rules"].as_array().unwrap();
        assert_eq!((rules.len(), role["kind"].as_str()), (needed().len(), Some("ClusterRole")));
        let told = needed();
        for (rule, told) in rules.iter().zip(&told) {
            let words = |field: &str| -> Vec<String> {
                let all = rule[field].as_array().into_iter().flatten();
                all.map(|word| word.as_str().unwrap().to_owned()).collect()
            };
            let object = [words("resources"), words("resourceNames")].concat().join("/");
            assert!(
                told.starts_with(&format!("{} {object}: ", words("verbs").join(" and "))),
                "{told}: {rule}"
            );
            let changes = words("verbs").iter().any(|verb| !["get", "list"].contains(&verb.as_str()));
            assert!(!changes || ["pods/exec", "pods/portforward"].contains(&&*object), "{rule}");
        }
    }
}
