//! What a Prometheus of a fixture knows: whom it asks, and what it counted.

use std::fmt::Write as _;

use harness::error::Context as _;
use harness::{Code, Error, Result};
use serde_json::Value;

use crate::Nth;
use crate::fixture::Fixture;
use crate::pods::Pods;

const PROMETHEUS: Pods<'static> = Pods("istio-system", "app=prometheus");
const PORT: u16 = 9090;

impl Fixture<'_> {
    /// Brings Prometheus with all that it needs, and what makes upstream Envoy count as Istio's proxy does.
    pub async fn bring_prometheus(&mut self, cluster: Nth) -> Result<()> {
        for file in ["prometheus-account", "prometheus-access", "prometheus"] {
            self.bring(cluster, &format!("observability/{file}.yaml"), &[]).await?;
        }
        self.bring_proxy_metrics(cluster).await?;
        self.ready(cluster, "istio-system", "prometheus").await
    }

    /// Where the proxies are upstream Envoy: what makes them count requests as Istio's proxy does by itself.
    pub async fn bring_proxy_metrics(&mut self, cluster: Nth) -> Result<()> {
        match self.upstream_envoy() {
            true => self.bring(cluster, "observability/proxy-metrics.yaml", &[]).await,
            false => Ok(()),
        }
    }

    /// Whom Prometheus asks, a line each: job, address, `up` or why not.
    pub async fn targets(&self, cluster: Nth) -> Result<String> {
        let answer = self.prometheus(cluster, "/api/v1/targets?state=active").await?;
        let text = |target: &Value, pointer: &str| {
            target.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let line = |target: &Value| {
            let health = format!("{} {}", text(target, "/health"), text(target, "/lastError"));
            let (job, address) = (text(target, "/labels/job"), text(target, "/labels/instance"));
            format!("{job} {address} {}", health.trim())
        };
        Ok(sorted(&answer, "/data/activeTargets", line))
    }

    /// The answer to a PromQL query, a line for each series: its labels by name, then its value.
    pub async fn series(&self, cluster: Nth, query: &str) -> Result<String> {
        let answer = self.prometheus(cluster, &format!("/api/v1/query?query={}", encoded(query))).await?;
        let line = |series: &Value| {
            let labels = series["metric"].as_object().into_iter().flatten();
            let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            let value = series.pointer("/value/1").and_then(Value::as_str).unwrap_or_default();
            format!("{} {value}", labels.join(" ")).trim().to_owned()
        };
        Ok(sorted(&answer, "/data/result", line))
    }

    async fn prometheus(&self, cluster: Nth, path: &str) -> Result<Value> {
        let answer = self.get(cluster, PROMETHEUS, PORT, path).await?;
        let answer: Value =
            serde_json::from_str(&answer).or_fail(Code::Evidence, || "Prometheus' answer".to_owned())?;
        match answer["status"].as_str() {
            Some("success") => Ok(answer),
            _ => Err(Error::new(Code::Evidence, "Prometheus refused the query").seen(answer.to_string())),
        }
    }
}

/// A line for each element of the list there, in order.
fn sorted(answer: &Value, list: &str, line: impl Fn(&Value) -> String) -> String {
    let all = answer.pointer(list).and_then(Value::as_array);
    let mut lines: Vec<_> = all.into_iter().flatten().map(line).collect();
    lines.sort();
    lines.join("\n")
}

/// A query as a URL may hold it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => url.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(url, "%{byte:02X}")),
        }
        url
    })
}
