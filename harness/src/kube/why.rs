//! What else is known about a pod that does not get ready: events and last words, asked for once.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};

use super::logs;
use super::pod::Trouble;
use crate::{cmd, patience, wait};

/// Lines for people that add to what is `told`; none when nothing is known or the server does not answer.
pub(super) async fn not(
    client: &Client,
    namespace: &str,
    owner: &str,
    worst: Option<(&Pod, Trouble)>,
    told: &str,
) -> Vec<String> {
    let asked = async {
        let mut lines = Vec::new();
        let about = worst.as_ref().map_or_else(|| owner.to_owned(), |(pod, _)| pod.name_any());
        lines.extend(warning(client, namespace, &about, told).await);
        if let Some((pod, Trouble { crashed: Some(container), .. })) = &worst {
            let params = LogParams {
                container: Some(container.clone()),
                previous: true,
                tail_lines: Some(8),
                ..LogParams::default()
            };
            let words = logs::logs(client, namespace, &pod.name_any(), &params).await.unwrap_or_default();
            if !words.trim().is_empty() {
                lines.push(format!("last words of {container}:\n{}", cmd::tail(&words)));
            }
        }
        Ok(lines)
    };
    wait::within("asking why", patience::ATTEMPT / 4, asked).await.unwrap_or_default()
}

/// The latest warning about an object, with how often it was given, unless it says what is told already.
async fn warning(client: &Client, namespace: &str, name: &str, told: &str) -> Option<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.name={name},type=Warning"));
    let events = api.list(&params).await.ok()?;
    let latest = events.items.into_iter().max_by_key(when)?;
    let times = latest.count.filter(|n| *n > 1).map_or_else(String::new, |n| format!(" ({n} times)"));
    let reason = latest.reason.as_deref().unwrap_or("warning");
    let message = latest.message.as_deref().unwrap_or_default().trim();
    let news = message.strip_prefix("Error: ").unwrap_or(message);
    (!told.contains(news)).then(|| format!("event {reason}{times}: {message}"))
}

/// When an event was last given. Which of the fields is set depends on who wrote it.
pub(super) fn when(event: &Event) -> Option<k8s_openapi::jiff::Timestamp> {
    let series = event.series.as_ref().and_then(|s| s.last_observed_time.as_ref()).map(|t| t.0);
    let old = event.last_timestamp.as_ref().map(|t| t.0);
    let new = event.event_time.as_ref().map(|t| t.0);
    series.or(old).or(new).or(event.first_timestamp.as_ref().map(|t| t.0))
}
