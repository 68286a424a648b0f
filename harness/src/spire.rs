//! Asking a SPIRE server, through its own command in its own pod.

use kube::Client;

use crate::cmd::Output;
use crate::kube::exec::{exec, exec_fed};
use crate::{Code, Error, Result};
use proof::evidence::repeat::SpireServer;

/// Where the server and its agents run, in clusters that we made.
pub const NAMESPACE: &str = "spire";

/// A SPIRE server: where it runs, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its pod's namespace.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// The program in there, of which each command is a subcommand.
    pub program: String,
    /// The socket of its API.
    pub socket: String,
}

impl Server {
    /// That of a cluster that we made.
    pub fn ours() -> Self {
        let [pod, container, program, socket] =
            ["spire-server-0", "spire-server", PROGRAM, SOCKET].map(str::to_owned);
        Self { namespace: NAMESPACE.to_owned(), pod, container, program, socket }
    }

    /// As [`bundle`].
    ///
    /// # Errors
    /// As [`bundle`].
    pub async fn bundle(&self, client: &Client) -> Result<String> {
        self.command(client, &["bundle", "show", "-format", "spiffe"]).await
    }

    /// As [`bundle_of_peer`].
    ///
    /// # Errors
    /// As [`bundle`].
    pub async fn bundle_of_peer(&self, client: &Client, trust_domain: &str) -> Result<Option<String>> {
        let id = format!("spiffe://{trust_domain}");
        self.command_if_there(client, &["bundle", "list", "-format", "spiffe", "-id", &id]).await
    }

    /// As [`entries`].
    ///
    /// # Errors
    /// As [`bundle`].
    pub async fn entries(&self, client: &Client) -> Result<String> {
        self.command(client, &["entry", "show", "-output", "json"]).await
    }

    /// As [`fetch_bundle_of_peer`].
    ///
    /// # Errors
    /// As [`fetch_bundle_of_peer`].
    pub async fn fetch_bundle_of_peer(&self, client: &Client, trust_domain: &str) -> Result<Output> {
        let id = format!("spiffe://{trust_domain}");
        let words = ["federation", "refresh", "-id", &id];
        reached(&words, self.run(client, &words).await?)
    }

    /// As [`command`].
    ///
    /// # Errors
    /// As [`bundle`].
    pub async fn command(&self, client: &Client, words: &[&str]) -> Result<String> {
        self.attempt(client, words).await?.map_err(|refusal| refused(words, &refusal))
    }

    async fn command_if_there(&self, client: &Client, words: &[&str]) -> Result<Option<String>> {
        match self.attempt(client, words).await? {
            Ok(said) => Ok(Some(said)),
            Err(refusal) if is_absence(&refusal) => Ok(None),
            Err(refusal) => Err(refused(words, &refusal)),
        }
    }

    async fn attempt(&self, client: &Client, words: &[&str]) -> Result<std::result::Result<String, String>> {
        Ok(answer(reached(words, self.run(client, words).await?)?))
    }

    async fn run(&self, client: &Client, words: &[&str]) -> Result<Output> {
        exec(client, &self.namespace, &self.pod, &self.container, &self.with_socket(words)).await
    }

    /// How a person asks it.
    pub fn reach(&self) -> SpireServer {
        SpireServer { program: format!("{} -- {}", self.place(), self.program), socket: self.socket.clone() }
    }

    /// As `kubectl exec` is told it.
    fn place(&self) -> String {
        format!("{} -n {} -c {}", self.pod, self.namespace, self.container)
    }

    /// The command with its socket, whose flag follows the words of the command: two or three.
    fn with_socket<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let command = words.iter().take_while(|word| !word.starts_with('-')).count();
        let (command, flags) = words.split_at(command);
        [&[&*self.program], command, &["-socketPath", &*self.socket], flags].concat()
    }
}

/// Where SPIRE's own image has the program.
pub const PROGRAM: &str = "/opt/spire/bin/spire-server";
/// Where the server opens its API unless it is told otherwise.
pub const SOCKET: &str = "/tmp/spire-server/private/api.sock";

/// The server's own bundle, in SPIFFE's JSON, as it is now.
///
/// # Errors
/// [`Code::Evidence`] with the server's words.
pub async fn bundle(client: &Client) -> Result<String> {
    Server::ours().bundle(client).await
}

/// What the server holds for a peer, in SPIFFE's JSON; none when it holds nothing.
///
/// # Errors
/// As [`bundle`].
pub async fn bundle_of_peer(client: &Client, trust_domain: &str) -> Result<Option<String>> {
    Server::ours().bundle_of_peer(client, trust_domain).await
}

/// Every registration entry, as the command's JSON.
///
/// # Errors
/// As [`bundle`].
pub async fn entries(client: &Client) -> Result<String> {
    Server::ours().entries(client).await
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
/// [`Code::KubeFailed`] when the command could not be run at all; [`Code::Evidence`] when it did not reach the server.
pub async fn fetch_bundle_of_peer(client: &Client, trust_domain: &str) -> Result<Output> {
    Server::ours().fetch_bundle_of_peer(client, trust_domain).await
}

/// Any command of the server, such as `entry create …`: what it said.
///
/// # Errors
/// As [`bundle`].
pub async fn command(client: &Client, words: &[&str]) -> Result<String> {
    Server::ours().command(client, words).await
}

/// The same, about one thing that the server may not have; none when it says that it has not. That Kubernetes knows no
/// such pod is an error, in whatever words.
///
/// # Errors
/// As [`bundle`].
pub async fn command_if_there(client: &Client, words: &[&str]) -> Result<Option<String>> {
    Server::ours().command_if_there(client, words).await
}

/// The same, where the server may well refuse: what it answered, or the words of its refusal.
///
/// # Errors
/// [`Code::KubeFailed`] when the command could not be run; [`Code::Evidence`] when it did not reach the server.
pub async fn attempt(client: &Client, words: &[&str]) -> Result<std::result::Result<String, String>> {
    Server::ours().attempt(client, words).await
}

/// As [`command`], with `input` for its standard input.
///
/// # Errors
/// As [`bundle`].
pub async fn command_fed(client: &Client, words: &[&str], input: &str) -> Result<String> {
    let ours = Server::ours();
    let argv = ours.with_socket(words);
    let said = exec_fed(client, &ours.namespace, &ours.pod, &ours.container, &argv, input.as_bytes()).await?;
    answer(reached(words, said)?).map_err(|refusal| refused(words, &refusal))
}

/// The line that a person types to ask the same of the server of the cluster behind `kubeconfig`.
pub fn by_hand(kubeconfig: &str, words: &[&str]) -> String {
    let ours = Server::ours();
    let command = ours.with_socket(words).join(" ");
    format!("kubectl --kubeconfig {kubeconfig} exec {} -- {command}", ours.place())
}

fn answer(said: Output) -> std::result::Result<String, String> {
    if said.status == 0 { Ok(said.stdout) } else { Err(words_of(&said)) }
}

/// What the command brought back, unless it never spoke to the server: one that is starting says nothing about what it
/// holds. (What gRPC calls unavailable is the command's own connection; of a peer's endpoint the server says "Internal".)
fn reached(words: &[&str], said: Output) -> Result<Output> {
    if said.status != 0 && words_of(&said).contains("code = Unavailable") {
        let what = format!("`spire-server {} {}` did not reach the server", words[0], words[1]);
        return Err(Error::new(Code::Evidence, what).seen(words_of(&said)));
    }
    Ok(said)
}

/// Whether the server refused because there is no such thing: commands that ask for one show gRPC's code, those that
/// delete one its message, or the code in the words of a list of results (`pkg/server/api` of SPIRE, seen in 1.15.3).
fn is_absence(refusal: &str) -> bool {
    let says = [
        "code = NotFound",
        "(code: NotFound,",
        ": bundle not found",
        ": entry not found",
        ": agent not found",
    ];
    says.iter().any(|words| refusal.contains(words))
}

fn refused(words: &[&str], refusal: &str) -> Error {
    let what = format!("the SPIRE server refused `{} {}`", words[0], words[1]);
    Error::new(Code::Evidence, what).seen(refusal)
}

fn words_of(said: &Output) -> String {
    format!("{}{}", said.stdout, said.stderr).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(stderr: &str) -> Output {
        Output { status: 1, stdout: String::new(), stderr: stderr.to_owned() }
    }

    #[test]
    fn what_the_server_has_not_is_told_from_every_other_refusal() {
        for there_is_none in [
            "Error: rpc error: code = NotFound desc = bundle not found",
            "Error: failed to delete federated bundle \"b.local\": bundle not found: datastore-sql: record not found",
            "Error: failed to delete entry: entry not found",
            "Error: rpc error: code = NotFound desc = agent not found",
            "Failed to delete 1 entries\nFailed to delete entry with ID a.1 (code: NotFound, msg: \"entry not found\")",
        ] {
            assert!(is_absence(&answer(failed(there_is_none)).unwrap_err()), "{there_is_none}");
        }
        for other in [
            "Error: failed to delete federated bundle \"b.local\": cannot delete bundle; federated with 1 registration entries",
            "Error: unable to find federated bundle \"NotFound.local\"",
            "sh: spire-server: not found",
        ] {
            assert!(!is_absence(&answer(failed(other)).unwrap_err()), "{other}");
        }
    }

    #[test]
    fn a_server_that_was_not_reached_has_refused_nothing() {
        let words = ["bundle", "list"];
        let own = "Error: rpc error: code = Unavailable desc = connection error: dial unix api.sock: connect: no such file";
        let e = reached(&words, failed(own)).unwrap_err();
        assert_eq!(e.code(), Code::Evidence);
        assert!(
            e.to_string().starts_with("`spire-server bundle list` did not reach the server\n  last seen: "),
            "{e}"
        );
        let peers =
            "Error: rpc error: code = Internal desc = failed to refresh bundle: dial tcp: connection refused";
        assert_eq!(reached(&words, failed(peers)).unwrap().status, 1);
    }
}
