//! What stands in plain text: PEM, `spire-server entry show`, logs, tables.

use std::sync::LazyLock;

use regex::Regex;

use super::found::{Found, Told};
use super::words::{domain, listed, own_name, word_after};
use crate::envoy::Record;
use crate::identity::{Authority, Entry, Pem, SpiffeId, TrustDomain};

/// A line of `entry show`.
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| rule(r"^\s*(Entry ID|SPIFFE ID|Parent ID|Selector|FederatesWith)\s*:\s*(\S+)\s*$"));
/// Istio's default line: `[time] "METHOD path protocol" code flags details termination "transport failure" …`, or with a
/// dash in the place of a request.
static CALL: LazyLock<Regex> =
    LazyLock::new(|| rule(r#"^\[\d{4}-\d\d-\d\dT[^\]]+\] "[^"]*" (\d{1,3}) (\S+) (\S+) (\S+) "([^"]*)""#));
/// How many there are, as the command says first.
static COUNT: LazyLock<Regex> = LazyLock::new(|| rule(r"^Found (\d{1,6}) entr(?:y|ies)"));
static KEY: LazyLock<Regex> = LazyLock::new(|| rule("-----BEGIN ([A-Z ]*PRIVATE KEY)-----"));
static HEADING: LazyLock<Regex> = LazyLock::new(|| rule(r"(?m)^\* (?:spiffe://)?([a-z0-9._-]{1,255})\s*$"));

/// What commands print that decides nothing, by words of theirs, and why it does not.
const TABLES: [(&str, &str, &str); 4] = [
    (
        "RESOURCE NAME",
        "NOT AFTER",
        "the table of istioctl proxy-config secret: serial numbers, no keys, so it decides no claim; the same command with -o json has them",
    ),
    (
        "SVID Valid After",
        "CA #1",
        "what spire-agent api fetch prints: no certificates, so it decides no claim; with -write it writes them, and the private key beside them",
    ),
    (
        "Bundle endpoint URL",
        "Bundle endpoint profile",
        "a SPIRE server's relationships: what is wished; what came of it, federation refresh and bundle list tell",
    ),
    ("NAME", "SECRET", "a table of clusters; istiod's /debug/clusterz tells what each istiod has read"),
];

/// All that is known in the text. `file` is its name, which tells what a certificate is that nothing else tells.
pub fn read(text: &str, command: Option<&str>, file: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(kind) = KEY.captures(text).and_then(|found| found.get(1)) {
        found.push(Found::Secret(format!("a {}", kind.as_str())));
    }
    found.extend(entries(text, command));
    found.extend(calls(text));
    found.extend(refresh(text, command));
    found.extend(certificates(text, command, file));
    for (one, other, what) in TABLES {
        if text.contains(one) && text.contains(other) {
            found.push(Found::Idle(what.to_owned()));
        }
    }
    found
}

fn entries(text: &str, command: Option<&str>) -> Option<Found> {
    let mut entries: Vec<(Entry, [bool; 2])> = Vec::new();
    let Ok(nobody) = "spiffe://unnamed".parse::<SpiffeId>() else { return None };
    for (name, value) in fields(text) {
        if name == "Entry ID" {
            let entry = Entry {
                id: value.to_owned(),
                spiffe_id: nobody.clone(),
                parent_id: nobody.clone(),
                selectors: Vec::new(),
                federates_with: Vec::new(),
            };
            entries.push((entry, [false; 2]));
        }
        let Some((entry, named)) = entries.last_mut() else { continue };
        match name {
            "SPIFFE ID" => value.parse().into_iter().for_each(|id| (entry.spiffe_id, named[0]) = (id, true)),
            "Parent ID" => value.parse().into_iter().for_each(|id| (entry.parent_id, named[1]) = (id, true)),
            "Selector" => entry.selectors.push(value.to_owned()),
            "FederatesWith" => entry.federates_with.extend(domain(value)),
            _ => {}
        }
    }
    let shown = entries.len();
    let entries: Vec<_> = entries.into_iter().filter(|(_, named)| named[0]).map(|(entry, _)| entry).collect();
    let count = text.lines().find_map(|line| COUNT.captures(line)?.get(1)?.as_str().parse::<usize>().ok());
    // A command that asks for some shows some.
    let asked = command.is_some_and(|command| {
        ["-spiffeID", "-selector", "-parentID", "-entryID", "-federatesWith", "-hint", "grep"]
            .iter()
            .any(|flag| command.contains(flag))
    });
    let all = !asked && count == Some(entries.len()) && shown == entries.len();
    (!entries.is_empty()).then_some(Found::Entries { entries, all })
}

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let found = FIELD.captures(line)?;
        Some((found.get(1)?.as_str(), found.get(2)?.as_str()))
    })
}

fn calls(text: &str) -> Option<Found> {
    let (mut requests, mut failed) = (0, Vec::new());
    for found in text.lines().filter_map(|line| CALL.captures(line)) {
        let part = |i| {
            found
                .get(i)
                .map(|part: regex::Match<'_>| part.as_str())
                .filter(|text| *text != "-")
                .map(str::to_owned)
        };
        let record = Record {
            response_code: part(1).and_then(|code| code.parse().ok()).unwrap_or_default(),
            response_flags: part(2),
            response_code_details: part(3),
            connection_termination_details: part(4),
            upstream_transport_failure_reason: part(5),
            ..Record::default()
        };
        requests += 1;
        failed.extend(record.cause().map(|cause| cause.to_string()));
    }
    (requests > 0).then_some(Found::Calls { requests, failed })
}

/// What `spire-server federation refresh` says. Its words are few, so the command must be there where it failed.
fn refresh(text: &str, command: Option<&str>) -> Option<Found> {
    let command = command.filter(|command| command.contains("federation refresh"));
    let trust_domain = command.and_then(|command| word_after(command, "-id")).and_then(domain);
    let line = |word: &str| text.lines().find(|line| line.contains(word)).map(|line| line.trim().to_owned());
    if let Some(said) = line("Bundle refreshed") {
        return Some(Found::Refresh { trust_domain, came: true, said });
    }
    command?;
    let said = line("Error").or_else(|| line("failed"))?;
    // A server that was not reached at all says nothing of its peer.
    let reached = said.contains("failed to refresh bundle") || said.contains("no federation relationship");
    reached.then_some(Found::Refresh { trust_domain, came: false, said })
}

/// Certificates, and what they are by the words around them.
fn certificates(text: &str, command: Option<&str>, file: &str) -> Vec<Found> {
    let headings: Vec<_> = HEADING
        .captures_iter(text)
        .filter_map(|found| Some((found.get(0)?.start(), found.get(1)?)))
        .collect();
    if !headings.is_empty() && text.contains("****") {
        let ends = headings.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
        let parts =
            headings.iter().zip(ends).map(|((at, name), end)| (domain(name.as_str()), &text[*at..end]));
        return parts.filter_map(|(of, part)| bundle(&Pem::of(part), of, true)).collect();
    }
    let pem = Pem::of(text);
    if pem.is_empty() {
        return Vec::new();
    }
    let authorities = match Authority::all_in(&pem) {
        Ok(authorities) => authorities,
        Err(flaw) => return vec![Found::Unknown(format!("{flaw}; it was cut before it was pasted"))],
    };
    let by_authority = authorities.iter().all(|one| one.certificate.is_ca);
    let says = |word: &str| file.contains(word) || command.is_some_and(|command| command.contains(word));
    let own = own_name(&authorities);
    let found = match () {
        () if !by_authority => Found::Certificates(pem),
        () if says("istio-ca-root-cert") || says("root-cert") => Found::IstiodRoot(pem),
        () if own.is_some() || says("bundle") => {
            let asked = command.and_then(|command| word_after(command, "-id")).and_then(domain);
            Found::Bundle(Told {
                trust_domain: asked.or(own),
                of_peer: listed(command),
                alone: true,
                authorities,
            })
        }
        () => Found::Certificates(pem),
    };
    vec![found]
}

fn bundle(pem: &Pem, trust_domain: Option<TrustDomain>, of_peer: bool) -> Option<Found> {
    let authorities = Authority::all_in(pem).ok()?;
    Some(Found::Bundle(Told { trust_domain, of_peer, alone: false, authorities }))
}

/// A rule that is written in this module, so it can be read.
#[expect(clippy::unwrap_used, reason = "a literal of ours; the tests use every one")]
fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}
