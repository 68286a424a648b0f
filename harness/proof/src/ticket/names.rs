//! Whose something is, by the command that printed it and by its file's name.

use super::found::Place;
use super::words::word_after;

/// As far as they tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The kubeconfig's context.
    pub context: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The pod.
    pub pod: Option<String>,
}

/// Of a place.
pub fn named(place: &Place) -> Named {
    let mut named = place.command.as_deref().map(by_command).unwrap_or_default();
    if named.pod.is_none() {
        let (pod, namespace) = by_file(&place.file);
        named.pod = pod;
        named.namespace = named.namespace.or(namespace);
    }
    named
}

fn by_command(command: &str) -> Named {
    let after = |flags: [&str; 2]| flags.iter().find_map(|flag| word_after(command, flag)).map(clean);
    let mut namespace = after(["-n", "--namespace"]);
    // What is neither a flag nor its value, up to what runs inside the pod.
    let outer = command.split(" -- ").next().unwrap_or(command);
    let mut words = Vec::new();
    let mut skip = false;
    for word in outer.split_whitespace().take_while(|word| !["|", ">", ">>"].contains(word)) {
        if skip || word.starts_with('-') {
            let takes_a_value = !word.contains('=')
                && ["-n", "-c", "-o", "--namespace", "--container", "--context", "--kubeconfig", "--output"]
                    .contains(&word);
            skip = !skip && takes_a_value;
        } else {
            words.push(word);
        }
    }
    let mut rest = words.iter().skip_while(|word| !["exec", "logs", "secret", "secrets", "s"].contains(word));
    let verb = rest.next();
    let mut pod = rest.next().map(|word| clean(word.strip_prefix("pod/").unwrap_or(word)));
    // istioctl takes POD.NAMESPACE.
    if let (Some("secret" | "secrets" | "s"), Some((name, of))) =
        (verb.copied(), pod.as_deref().and_then(|pod| pod.split_once('.')))
    {
        namespace = namespace.or_else(|| Some(of.to_owned()));
        pod = Some(name.to_owned());
    }
    Named { context: after(["--context", "--kubeconfig"]), namespace, pod: pod.filter(|pod| is_pod(pod)) }
}

/// `cluster1/curl-5b54.istio-test.json`, as `istioctl` calls pods.
fn by_file(file: &str) -> (Option<String>, Option<String>) {
    let name = file.rsplit('/').next().unwrap_or(file);
    let parts: Vec<_> = name.split('.').collect();
    match parts.as_slice() {
        [pod, namespace, _ending] if is_pod(pod) && is_label(namespace) => {
            (Some((*pod).to_owned()), Some((*namespace).to_owned()))
        }
        [pod, ..] if is_label(pod) => (Some((*pod).to_owned()), None),
        _ => (None, None),
    }
}

fn clean(word: &str) -> String {
    word.trim_matches(['"', '\'']).to_owned()
}

/// A name that Kubernetes takes, and no variable and no `deploy/…`.
fn is_pod(name: &str) -> bool {
    is_label(name)
}

fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_tells_whose_it_is() {
        let of = |command: &str| {
            let named = by_command(command);
            [named.context, named.namespace, named.pod].map(Option::unwrap_or_default)
        };
        for (command, wanted) in [
            ("istioctl --context east proxy-config secret curl-1.shop -o json", ["east", "shop", "curl-1"]),
            ("istioctl pc s curl-1 -n shop --context=east -o json", ["east", "shop", "curl-1"]),
            ("kubectl -n shop --context \"east\" logs curl-1 -c istio-proxy", ["east", "shop", "curl-1"]),
            (
                "kubectl exec --stdin spire-server-0 -c spire-server -n spire -- spire-server bundle show",
                ["", "spire", "spire-server-0"],
            ),
            ("istioctl pc secret deploy/curl -n shop", ["", "shop", ""]),
            ("kubectl exec $POD -n shop -- pilot-agent request GET certs", ["", "shop", ""]),
        ] {
            assert_eq!(of(command), wanted, "{command}");
        }
    }

    #[test]
    fn a_file_is_called_as_istioctl_calls_a_pod() {
        let of = |file: &str| by_file(file);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("a/curl-1.shop.json"), (some("curl-1"), some("shop")));
        assert_eq!(of("curl.json"), (some("curl"), None));
        assert_eq!(of("Config Dump (2).json"), (None, None));
    }
}
