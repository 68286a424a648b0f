//! What is collected when something failed, before anything is taken down.

use std::path::Path;
use std::time::Instant;

use futures::future::join_all;
use harness::layout::Layout;
use harness::progress::Note;
use harness::{Code, Error, kube, patience, wait};

use super::{Report, files};

impl Report {
    /// Collects what a stranger needs to understand the failure, before anything is taken down.
    pub async fn failure(&self, layout: &Layout, error: &Error, note: &Note) {
        let note = note.of("collect");
        if matches!(error.code(), Code::Busy | Code::Interrupted) {
            return;
        }
        let began = Instant::now();
        note.started("", "collect what went on in the clusters", None);
        let kubeconfigs = files(&layout.world(), "kubeconfig");
        let collect = join_all(kubeconfigs.iter().map(|path| self.snapshot(path)));
        let missing =
            match wait::within("collecting", patience::COLLECT, async { Ok(collect.await.concat()) }).await {
                Ok(missing) => missing,
                Err(e) => vec![e.to_string()],
            };
        let text = format!("{error}\n\nnot collected:\n{}\n", missing.join("\n"));
        let _ = self.write("failure.txt", &text);
        note.finished(began.elapsed());
    }

    async fn snapshot(&self, kubeconfig: &Path) -> Vec<String> {
        let name = kubeconfig.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let client = match kube::connect(kubeconfig).await {
            Ok(client) => client,
            Err(e) => return vec![format!("{name}: {e}")],
        };
        let wanted = kube::snapshot::Wanted {
            namespaces: &["spire", "istio-system", "istio-test", "outside", "kube-system"],
            kinds: &[
                ("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID"),
                ("spire.spiffe.io/v1alpha1", "ClusterFederatedTrustDomain"),
                ("gateway.networking.k8s.io/v1", "Gateway"),
            ],
        };
        kube::snapshot::snapshot(&client, &self.dir.join("clusters").join(name), wanted).await
    }
}
