//! Asking a SPIRE server, through its own command in its own pod.

use kube::Client;

use crate::cmd::Output;
use crate::kube::exec::{exec, exec_fed};
use crate::{Code, Error, Result};

const NAMESPACE: &str = "spire";
const POD: &str = "spire-server-0";
const CONTAINER: &str = "spire-server";
const SERVER: &str = "/opt/spire/bin/spire-server";
const SOCKET: &str = "/tmp/spire-server/private/api.sock";

/// The server's own bundle, in SPIFFE's JSON, as it is now.
///
/// # Errors
/// [`Code::Evidence`] with the server's words.
pub async fn bundle(client: &Client) -> Result<String> {
    command(client, &["bundle", "show", "-format", "spiffe"]).await
}

/// What the server holds for a peer, in SPIFFE's JSON; none when it holds nothing.
///
/// # Errors
/// As [`bundle`].
pub async fn bundle_of_peer(client: &Client, trust_domain: &str) -> Result<Option<String>> {
    let id = format!("spiffe://{trust_domain}");
    match command(client, &["bundle", "list", "-format", "spiffe", "-id", &id]).await {
        Ok(bundle) => Ok(Some(bundle)),
        Err(e) if e.to_string().contains("NotFound") => Ok(None),
        Err(e) => Err(e),
    }
}

/// Every registration entry, as the command's JSON.
///
/// # Errors
/// As [`bundle`].
pub async fn entries(client: &Client) -> Result<String> {
    command(client, &["entry", "show", "-output", "json"]).await
}

/// Gives the server a peer's bundle, by hand.
///
/// # Errors
/// As [`bundle`].
pub async fn set_bundle_of_peer(client: &Client, trust_domain: &str, bundle: &str) -> Result<()> {
    let id = format!("spiffe://{trust_domain}");
    command_fed(client, &["bundle", "set", "-format", "spiffe", "-id", &id], bundle).await.map(drop)
}

/// Takes a peer's bundle away. Deleting the ClusterFederatedTrustDomain alone leaves it in place (seen on 1.15.3).
///
/// # Errors
/// As [`bundle`].
pub async fn delete_bundle_of_peer(client: &Client, trust_domain: &str) -> Result<()> {
    let id = format!("spiffe://{trust_domain}");
    command(client, &["bundle", "delete", "-id", &id, "-mode", "dissociate"]).await.map(drop)
}

/// Lets the server fetch a peer's bundle now, as its poller does, and waits for the end of that: the command's status and
/// words, good or bad. (`RefreshBundleFor` in SPIRE's bundle manager calls the updater itself.)
///
/// # Errors
/// [`Code::KubeFailed`] when the command could not be run at all.
pub async fn fetch_bundle_of_peer(client: &Client, trust_domain: &str) -> Result<Output> {
    let id = format!("spiffe://{trust_domain}");
    let words = with_socket(&["federation", "refresh", "-id", &id]);
    exec(client, NAMESPACE, POD, CONTAINER, &words).await
}

/// Any command of the server, such as `entry create …`: what it said.
///
/// # Errors
/// As [`bundle`].
pub async fn command(client: &Client, words: &[&str]) -> Result<String> {
    let said = exec(client, NAMESPACE, POD, CONTAINER, &with_socket(words)).await?;
    answer(words, said)
}

/// As [`command`], with `input` for its standard input.
///
/// # Errors
/// As [`bundle`].
pub async fn command_fed(client: &Client, words: &[&str], input: &str) -> Result<String> {
    let said = exec_fed(client, NAMESPACE, POD, CONTAINER, &with_socket(words), input.as_bytes()).await?;
    answer(words, said)
}

/// The command with its socket, whose flag follows the words of the command: two or three.
fn with_socket<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let command = words.iter().take_while(|word| !word.starts_with('-')).count();
    let (command, flags) = words.split_at(command);
    [&[SERVER], command, &["-socketPath", SOCKET], flags].concat()
}

fn answer(words: &[&str], said: Output) -> Result<String> {
    if said.status == 0 {
        return Ok(said.stdout);
    }
    let what = format!("`spire-server {} {}` exited with {}", words[0], words[1], said.status);
    let words = format!("{}{}", said.stdout, said.stderr);
    Err(Error::new(Code::Evidence, what).seen(words.trim()))
}
