//! What a probe brings into clusters that others run, and takes away again: a namespace with curl and helloworld, and where
//! nobody registers those, one ClusterSPIFFEID. All of it carries the probe's label, by which it is found after a kill, too.
//! Nothing else is changed.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt as _};
use proof::identity::entries_of;
use serde_json::{Value, json};

use super::find::Found;
use super::reach::Existing;
use super::rights::Right;
use crate::kube::apply::apply;
use crate::kube::object::dynamic;
use crate::kube::rollout::{Workload, rolled_out};
use crate::kube::{delete, fault, pods};
use crate::progress::Note;
use crate::render::{self, Values};
use crate::wait::{self, Look};
use crate::world_id::WorldId;
use crate::{Code, Error, Result, patience};

/// The namespace that a probe brings.
pub const NAMESPACE: &str = "vouchsafe-probe";
/// Whose something is.
const LABEL: &str = "dev.vouchsafe.probe";
const IDENTITIES: (&str, &str) = ("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID");

const GUESTS: &str = include_str!("../../../manifests/probe/guests.yaml");
const VERSION: &str = include_str!("../../../manifests/probe/version.yaml");
const IDENTITY: &str = include_str!("../../../manifests/probe/identity.yaml");
const OPERATOR: &str = include_str!("../../../manifests/istio/operator.yaml");

/// Bringing it: what it is made of, everywhere the same.
pub struct Guests {
    /// The probe's id.
    pub id: WorldId,
    /// The image of curl.
    pub curl: String,
    /// The image of helloworld.
    pub helloworld: String,
    /// The templates that the injector shall take, where they are named.
    pub templates: Option<String>,
}

impl Guests {
    /// Refuses a cluster that has something of that name already, or in which the caller may not bring or take away.
    ///
    /// # Errors
    /// [`Code::ForeignCluster`], [`Code::Usage`].
    pub async fn may_come(&self, existing: &Existing) -> Result<()> {
        let name = &existing.named.name;
        for right in Right::of_probe() {
            if let Some(denied) = right.denied(&existing.client, None).await {
                return Err(Error::new(Code::Usage, format!("a probe cannot come to {name}: {denied}"))
                    .next("cargo xtask probe --rights tells all that it needs; nothing was touched"));
            }
        }
        let namespaces: Api<Namespace> = Api::all(existing.client.clone());
        let there = namespaces.get_opt(NAMESPACE).await;
        let there =
            there.map_err(|f| fault::failed(format!("cannot look for the namespace {NAMESPACE}"), &f))?;
        let Some(there) = there else { return Ok(()) };
        let whose = there.labels().get(LABEL);
        let error = Error::new(Code::ForeignCluster, format!("{name} has a namespace {NAMESPACE} already"));
        Err(match whose {
            Some(_) => error
                .seen("an earlier probe left it")
                .next("cargo xtask probe --clean with the same flags takes it away (as does cargo xtask down, if it was brought from here)"),
            None => error
                .seen("no probe brought it: it has not the probe's label")
                .next("rename it; nothing was touched"),
        })
    }

    /// Brings it to a cluster, and waits until it is there. `versions` are those of all clusters, `peers` the other trust
    /// domains.
    ///
    /// # Errors
    /// What the API server refuses, or that it did not get ready.
    pub async fn come(
        &self,
        (existing, found): (&Existing, &Found),
        versions: &[String],
        peers: &[String],
        note: &Note,
    ) -> Result<()> {
        let client = &existing.client;
        let mut values = Values::from([
            ("PROBE".to_owned(), self.id.to_string()),
            ("VERSION".to_owned(), found.cluster.version.clone()),
            ("IMAGE_CURL".to_owned(), self.curl.clone()),
            ("IMAGE_HELLOWORLD".to_owned(), self.helloworld.clone()),
            ("ACCESS_LOG".to_owned(), access_log()?),
        ]);
        let mut objects = filled(GUESTS, &values)?;
        let templates = self.templates.as_ref().or(found.templates.as_ref());
        objects.iter_mut().for_each(|object| as_theirs(object, found.revision(), templates));
        for version in versions {
            values.insert("VERSION".to_owned(), version.clone());
            objects.extend(filled(VERSION, &values)?);
        }
        // Their sidecars start with the log already.
        let (pods, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(|one| one["kind"] == "Deployment");
        apply(client, &rest, note).await?;
        apply(client, &pods, note).await?;
        if !self.registered(client, found).await? {
            values.insert("CLASS".to_owned(), class(client).await?);
            values.insert("PEERS".to_owned(), json!(peers).to_string());
            note.say("nobody registers its workloads: it brings a ClusterSPIFFEID");
            apply(client, &filled(IDENTITY, &values)?, note).await?;
        }
        for name in ["curl", "helloworld"] {
            rolled_out(client, Workload::Deployment, NAMESPACE, name, patience::STEP, note).await?;
        }
        Ok(())
    }

    /// Whether somebody registers the probe's pods by themselves; also where the server cannot be asked.
    async fn registered(&self, client: &Client, found: &Found) -> Result<bool> {
        let Some(server) = &found.server else { return Ok(true) };
        let note = Note::silent();
        let look = wait::eventually("a registration entry", patience::STEP, &note, || async {
            let seen = async {
                let pods = pods::pods(client, NAMESPACE, "app").await?;
                let uids: Vec<_> =
                    pods.iter().filter_map(|pod| pod.uid()).map(|uid| format!("k8s:pod-uid:{uid}")).collect();
                let own = format!("k8s:ns:{NAMESPACE}");
                let entries = entries_of(&server.entries(client).await?)?;
                let is_for = |selector: &String| *selector == own || uids.contains(selector);
                Ok::<_, Error>(entries.iter().any(|entry| entry.selectors.iter().any(is_for)))
            };
            match seen.await {
                Ok(true) => Look::Ready(()),
                Ok(false) => Look::NotYet("no entry selects its pods".to_owned()),
                Err(e) => Look::not_yet(e),
            }
        });
        match wait::glance(patience::REGISTERED, Box::pin(look)).await {
            Some(ready) => ready.map(|()| true),
            None => Ok(false),
        }
    }
}

/// Takes away what that probe brought, or whichever was here; whether there was anything.
///
/// # Errors
/// What the API server refuses to delete, or that it is still there when time runs out.
pub async fn leave(client: &Client, probe: Option<&WorldId>, note: &Note) -> Result<bool> {
    let whose = probe.map_or_else(|| LABEL.to_owned(), |id| format!("{LABEL}={id}"));
    let ours = ListParams::default().labels(&whose);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let listed =
        namespaces.list(&ours).await.map_err(|f| fault::failed("cannot look for what a probe left", &f))?;
    let mut objects: Vec<_> = listed
        .items
        .iter()
        .map(|one| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": one.name_any() } }))
        .collect();
    let (version, kind) = IDENTITIES;
    for one in identities(client, &ours).await? {
        objects.push(json!({ "apiVersion": version, "kind": kind, "metadata": { "name": one.name_any() } }));
    }
    delete::delete(client, &objects, note).await?;
    Ok(!objects.is_empty())
}

/// ClusterSPIFFEIDs; none where the cluster has no such kind.
async fn identities(client: &Client, of: &ListParams) -> Result<Vec<DynamicObject>> {
    let (version, kind) = IDENTITIES;
    match dynamic(client, version, kind, None)?.list(of).await {
        Ok(listed) => Ok(listed.items),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Vec::new()),
        Err(fault) => Err(fault::failed("cannot list ClusterSPIFFEIDs", &fault)),
    }
}

/// The class that the cluster's own ClusterSPIFFEIDs have.
async fn class(client: &Client) -> Result<String> {
    let all = identities(client, &ListParams::default()).await?;
    let class = all.iter().find_map(|one| one.data["spec"]["className"].as_str());
    let nobody = || {
        Error::new(
            Code::SetupFailed,
            format!("nobody registers the workloads of {NAMESPACE}, and no ClusterSPIFFEID says how"),
        )
        .next("register its service accounts curl and helloworld, and probe again")
    };
    class.map(str::to_owned).ok_or_else(nobody)
}

/// Injected as other workloads there are.
fn as_theirs(object: &mut Value, revision: &str, templates: Option<&String>) {
    if object["kind"] == "Namespace" {
        let (label, value) = match revision {
            "default" => ("istio-injection", "enabled"),
            revision => ("istio.io/rev", revision),
        };
        object["metadata"]["labels"][label] = value.into();
    }
    if let Some(templates) = templates.filter(|_| object["kind"] == "Deployment") {
        object["spec"]["template"]["metadata"]["annotations"] =
            json!({ "inject.istio.io/templates": templates });
    }
}

fn filled(text: &str, values: &Values) -> Result<Vec<Value>> {
    render::documents(&render::fill(text, values, "a probe's manifest")?, "a probe's manifest")
}

/// The format in which our own worlds log, which records are read by.
fn access_log() -> Result<String> {
    let operator = render::documents(OPERATOR, "istio/operator.yaml")?;
    let format = operator.first().and_then(|one| one["spec"]["meshConfig"]["accessLogFormat"].as_str());
    let format = format.ok_or_else(|| Error::internal("istio/operator.yaml has no accessLogFormat"))?;
    let fields: Value =
        serde_json::from_str(format).map_err(|e| Error::internal("accessLogFormat").because(e))?;
    Ok(fields.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_brings_is_its_own_and_as_others_there_are() {
        let names = ["PROBE", "VERSION", "IMAGE_CURL", "IMAGE_HELLOWORLD", "CLASS"];
        let mut values: Values = names.map(|name| (name.to_owned(), "x".to_owned())).into();
        values.insert("ACCESS_LOG".into(), access_log().unwrap());
        values.insert("PEERS".into(), r#"["b.example"]"#.into());
        let mut all: Vec<_> =
            [GUESTS, VERSION, IDENTITY].iter().flat_map(|text| filled(text, &values).unwrap()).collect();
        all.iter_mut().for_each(|one| as_theirs(one, "canary", Some(&"sidecar,spire".to_owned())));
        for object in &all {
            let (metadata, own) = (&object["metadata"], &object["metadata"]["labels"][LABEL]);
            assert!(
                metadata["namespace"] == NAMESPACE || metadata["name"] == NAMESPACE && *own == "x",
                "{object}"
            );
        }
        let of = |kind: &str| all.iter().find(|one| one["kind"] == kind).unwrap();
        assert_eq!(of("Namespace")["metadata"]["labels"]["istio.io/rev"], "canary");
        let annotations = &of("Deployment")["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations["inject.istio.io/templates"], "sidecar,spire");
        let log = of("EnvoyFilter").to_string();
        assert!(log.contains("%DOWNSTREAM_PEER_CERT%") && log.contains("%UPSTREAM_PEER_CERT%"), "{log}");
    }
}
