//! What an object makes is there: the pods of a workload, the end of a job.

use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client};
use serde_json::Value;

use super::conditions::Standing;
use super::rollout::{Workload, rolled_out};
use super::watch::until;
use crate::progress::Note;
use crate::{Code, Error, Result, patience};

/// Kinds that make something.
pub(crate) const KINDS: [&str; 4] = ["Deployment", "DaemonSet", "StatefulSet", "Job"];

/// Waits until what it makes is there; for an object of another kind, not at all.
///
/// # Errors
/// [`Code::TimedOut`] as [`rolled_out`]; [`Code::KubeFailed`] for a job that failed, with its controller's words.
pub(crate) async fn stands(client: &Client, object: &Value, note: &Note) -> Result<()> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or("default");
    let (namespace, name) = (text("namespace"), text("name"));
    // Boxed: without optimisation the frames of both do not fit into a thread's stack below those of who calls.
    match Workload::of(object) {
        Some(workload) => Box::pin(rolled_out(client, workload, namespace, name, patience::STEP, note)).await,
        None if object["kind"] == "Job" => Box::pin(completed(client, namespace, name, note)).await,
        None => Ok(()),
    }
}

async fn completed(client: &Client, namespace: &str, name: &str, note: &Note) -> Result<()> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let what = format!("the end of job {namespace}/{name}");
    let ended = |job: &Job| match end(job) {
        Some(_) => Standing::Ready,
        None => Standing::Not("it runs".into()),
    };
    let job = until(&jobs, name, &what, patience::STEP, note, ended).await?;
    match end(&job) {
        Some(Err(words)) => Err(Error::new(Code::KubeFailed, format!("job {namespace}/{name} failed"))
            .seen(words)
            .next("read the logs of its pods, in this run's report")),
        _ => Ok(()),
    }
}

/// Whether it came to its end, as its controller says: well, or with these words.
fn end(job: &Job) -> Option<std::result::Result<(), String>> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let ended =
        conditions.iter().find(|c| ["Complete", "Failed"].contains(&&*c.type_) && c.status == "True")?;
    Some(match &*ended.type_ {
        "Complete" => Ok(()),
        _ => Err(ended.message.clone().unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_has_ended_when_its_controller_says_so() {
        let job = |kind: &str, status: &str| -> Job {
            let condition = json!({ "type": kind, "status": status, "message": "too often" });
            serde_json::from_value(json!({ "metadata": {}, "status": { "conditions": [condition] } }))
                .unwrap()
        };
        assert_eq!(end(&job("Complete", "True")), Some(Ok(())));
        assert_eq!(end(&job("Failed", "True")), Some(Err("too often".into())));
        assert_eq!(end(&job("Complete", "False")), None);
        assert_eq!(end(&job("SuccessCriteriaMet", "True")), None, "its pods are on their way out");
        assert_eq!(end(&Job::default()), None);
    }
}
