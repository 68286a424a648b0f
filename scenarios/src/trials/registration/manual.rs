//! Does each command of Istio's page (003, option 2) do what the page says, and who vouches for what came of it?

use crate::{CLUSTER1, Fixture, Pods, read_out, scenarios};
use harness::Result;
use proof::envoy::{Cause, Record};
use proof::evidence::Must;
use proof::identity::Pem;

use crate::trials::registration::{
    GATEWAY, HTTPBIN, address, alias, entries, httpbin, id, name_and_uid, waits_for,
};

scenarios! {
    "manual-registration" => pods_wait_for_the_entries_that_are_made_by_hand {
        ALIAS_MADE: "[S3-9] the node's alias is made as the page says, below the server itself",
        GATEWAY_ENTRY_MADE: "[S3-8, S3-10] the gateway's entry is made as the page says, by pod and by \
            service account, with two DNS names",
        HTTPBIN_ENTRY_MADE: "[S3-12, S3-13] httpbin's entry is made as the page says, with its pod's name",
        GATEWAY_READY: "[S3-16] registered, the gateway gets ready without a restart",
        HTTPBIN_READY: "[S3-6] registered, httpbin gets ready without a restart",
        THREE_ENTRIES_MORE: "[S3-15] `entry show` counts the page's three entries on top of those that \
            this world had before",
        GATEWAY_HOLDS_SVID: "[S3-10, S3-15, S3-16] the gateway holds its own SVID, signed by SPIRE",
        HTTPBIN_HOLDS_SVID: "[S3-13, S3-15] httpbin holds its own SVID, signed by SPIRE",
        GATEWAY_DNS_NAMES: "[S3-10, S3-15, S3-16] the gateway's SVID has the entry's DNS names, and the \
            first of them as its CN",
        HTTPBIN_DNS_NAMES: "[S3-13, S3-15] httpbin's SVID has the entry's DNS names, and the first of them \
            as its CN",
        GATEWAY_WAITS: "[S3-4, S3-6] the gateway's Envoy waits for the certificate `default` as long as \
            there is no entry",
        GATEWAY_STANDS: "[S3-6] meanwhile the gateway stands 0/1 Running",
        ISTIOD_STANDS: "[S3-6] istiod, which needs no SVID, stands 1/1 Running",
        HTTPBIN_WAITS: "[S3-6] httpbin's Envoy waits for its certificate too",
        HTTPBIN_NOT_STARTED: "[S3-6] as its sidecar is an init container, httpbin itself is not even \
            started meanwhile",
        SERVICE_ANSWERS: "[S3-17] httpbin's Service answers at its cluster IP on port 8000",
        NO_CERTIFICATE_IN_PLAIN_TEXT: "[S3-18] as long as httpbin may be asked in plain text too, the \
            page's command is shown no certificate",
        NO_FILTER_CHAIN: "[S3-18] for on a port that is declared `http` the sidecar has no filter chain \
            for TLS that is not Istio's, and resets it",
        SVID_SHOWN_UNDER_STRICT: "[S3-18] where httpbin takes mutual TLS only, the gateway's pod is shown \
            httpbin's SVID, signed by SPIRE",
        CERTIFICATE_READ: "[S3-19] its subject has O=SPIRE and the pod's name as CN, its names are that \
            DNS name and the SPIFFE ID, and its issuer is named as the server's ca_subject says",
        NO_FURTHER_THAN_HANDSHAKE: "[S3-18] without a certificate of its own that client gets no further \
            than the handshake",
    },
}

/// If this fails, a pod gets ready without anybody having registered it, or an entry by hand gives it something else
/// than its own SVID.
async fn pods_wait_for_the_entries_that_are_made_by_hand(fixture: &mut Fixture<'_>) -> Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    fixture.renew(CLUSTER1, GATEWAY).await?;
    httpbin(fixture, "1", "sidecar,spire").await?;
    not_before(fixture).await?;

    let found = entries(fixture).await?;
    let before = found.lines().next().unwrap_or_default().to_owned();
    let before: usize = before.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
    let (node, said) = alias(fixture).await?;
    let server = id(fixture, "/spire/server")?;
    let cluster = format!("k8s_psat:cluster:{here}");
    fixture.shows(
        ALIAS_MADE,
        Must::have([&node, &server, &cluster, "k8s_psat:agent_ns:spire", "k8s_psat:agent_sa:spire-agent"]),
        said,
    );
    let (gateway, uid) = name_and_uid(fixture, GATEWAY).await?;
    let gateway_id = id(fixture, "/ns/istio-system/sa/istio-ingressgateway-service-account")?;
    let (pod, dns) = (format!("k8s:pod-uid:{uid}"), "istio-ingressgateway.istio-system.svc");
    let said = fixture
        .entry(
            CLUSTER1,
            &[
                "-spiffeID",
                &gateway_id,
                "-parentID",
                &node,
                "-selector",
                "k8s:sa:istio-ingressgateway-service-account",
                "-selector",
                "k8s:ns:istio-system",
                "-selector",
                &pod,
                "-dns",
                &gateway,
                "-dns",
                dns,
            ],
        )
        .await?;
    fixture.shows(GATEWAY_ENTRY_MADE, Must::have([&gateway_id, &node, &pod, &gateway, dns]), said);
    let (bin, uid) = name_and_uid(fixture, HTTPBIN).await?;
    let bin_id = id(fixture, "/ns/default/sa/httpbin")?;
    let pod = format!("k8s:pod-uid:{uid}");
    let said = fixture
        .entry(
            CLUSTER1,
            &[
                "-spiffeID",
                &bin_id,
                "-parentID",
                &node,
                "-selector",
                "k8s:ns:default",
                "-selector",
                &pod,
                "-dns",
                &bin,
            ],
        )
        .await?;
    fixture.shows(HTTPBIN_ENTRY_MADE, Must::have([&bin_id, &node, &pod, &bin]), said);

    let standing = fixture.stands(CLUSTER1, GATEWAY, "1/1 Running").await?;
    fixture.shows(GATEWAY_READY, Must::be("1/1 Running"), standing);
    let standing = fixture.stands(CLUSTER1, HTTPBIN, "2/2 Running").await?;
    fixture.shows(HTTPBIN_READY, Must::be("2/2 Running"), standing);
    let shown = entries(fixture).await?;
    let found = format!("Found {} entries", before + 3);
    fixture.shows(
        THREE_ENTRIES_MORE,
        Must::have([&found, &node, &gateway_id, &bin_id, &gateway, &bin]),
        shown,
    );
    for (of, id, names, [holds, dns_names]) in [
        (GATEWAY, &gateway_id, vec![gateway.as_str(), dns], [GATEWAY_HOLDS_SVID, GATEWAY_DNS_NAMES]),
        (HTTPBIN, &bin_id, vec![bin.as_str()], [HTTPBIN_HOLDS_SVID, HTTPBIN_DNS_NAMES]),
    ] {
        let own = fixture.own_certificate(CLUSTER1, of).await?;
        let told = read_out(&own);
        let id = id.parse().map_err(|e| harness::Error::internal("an identity").because(e))?;
        fixture.shows(holds, Must::BeSvid { by: here.clone(), id }, own);
        let mut parts = vec!["O=SPIRE".to_owned(), format!("CN={}", names[0])];
        parts.extend(names.iter().map(|name| format!("DNS:{name}")));
        fixture.shows(dns_names, Must::have(parts), told);
    }
    handshake(fixture, &bin, &bin_id).await
}

/// What stands before anybody is registered.
async fn not_before(fixture: &mut Fixture<'_>) -> harness::Result<()> {
    let waits = waits_for(fixture, GATEWAY, "default").await?;
    fixture.shows(GATEWAY_WAITS, Must::have(["\"default\""]), waits);
    let standing = fixture.stands(CLUSTER1, GATEWAY, "0/1 Running").await?;
    fixture.shows(GATEWAY_STANDS, Must::be("0/1 Running"), standing);
    let istiod = fixture.standing(CLUSTER1, Pods("istio-system", "app=istiod")).await?;
    fixture.shows(ISTIOD_STANDS, Must::be("1/1 Running"), istiod);
    let waits = waits_for(fixture, HTTPBIN, "default").await?;
    fixture.shows(HTTPBIN_WAITS, Must::have(["\"default\""]), waits);
    let standing = fixture.standing(CLUSTER1, HTTPBIN).await?;
    fixture.shows(HTTPBIN_NOT_STARTED, Must::be("0/2 Pending"), standing);
    Ok(())
}

/// The page's last check: what a client without a certificate is shown, seen from the gateway's pod.
async fn handshake(fixture: &mut Fixture<'_>, bin: &str, bin_id: &str) -> harness::Result<()> {
    let here = fixture.cluster(CLUSTER1)?.name.clone();
    let domain = fixture.cluster(CLUSTER1)?.trust_domain.clone();
    let address = address(fixture, "httpbin").await?;
    let plain = format!("http://{address}:8000/hello");
    let plain = ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", &plain];
    // kube-proxy needs a moment for a new endpoint.
    let look = || async { Ok(fixture.run(CLUSTER1, GATEWAY, "istio-proxy", &plain).await?.stdout) };
    let answered = fixture.until("httpbin's Service to lead there", "200", look).await?;
    fixture.shows(SERVICE_ANSWERS, Must::be("200"), answered);
    let url = format!("https://{address}:8000/");
    let curl = ["curl", "-sSk", "-m", "5", "-o", "/dev/null", "-w", "%{certs}", &url];
    let said = fixture.run(CLUSTER1, GATEWAY, "istio-proxy", &curl).await?;
    fixture.shows(
        NO_CERTIFICATE_IN_PLAIN_TEXT,
        Must::have(["no certificate", "reset by peer"]),
        format!("{} curl exits with {} {}", read_out(&said.stdout), said.status, said.stderr),
    );
    let seen = fixture.until("the sidecar's record of it", "filter_chain", || turned_away(fixture)).await?;
    fixture.shows(NO_FILTER_CHAIN, Must::have(["filter_chain_not_found"]), seen);
    fixture.bring(CLUSTER1, "registration/strict.yaml", &[]).await?;
    let look = || async { Ok(fixture.run(CLUSTER1, GATEWAY, "istio-proxy", &curl).await?.stdout) };
    fixture.until("a certificate of httpbin's", "BEGIN CERTIFICATE", look).await?;
    let said = fixture.run(CLUSTER1, GATEWAY, "istio-proxy", &curl).await?;
    let shown = Pem::of(&said.stdout).as_str().to_owned();
    let told = read_out(&shown);
    let id = bin_id.parse().map_err(|e| harness::Error::internal("an identity").because(e))?;
    fixture.shows(SVID_SHOWN_UNDER_STRICT, Must::BeSvid { by: here, id }, shown);
    fixture.shows(
        CERTIFICATE_READ,
        Must::have([
            format!("subject=C=US, O=SPIRE, CN={bin}"),
            format!("DNS:{bin}"),
            format!("URI:{bin_id}"),
            format!("issuer=C=US, O=RH, CN={domain}"),
        ]),
        told,
    );
    fixture.shows(
        NO_FURTHER_THAN_HANDSHAKE,
        Must::lack(["exit 0 "]),
        format!("exit {} {}", said.status, said.stderr),
    );
    Ok(())
}

/// What httpbin's sidecar wrote of connections that it had no filter chain for.
async fn turned_away(fixture: &Fixture<'_>) -> harness::Result<String> {
    let records = Record::all_in(&fixture.log(CLUSTER1, HTTPBIN, "istio-proxy").await?)?;
    let away = records.iter().rev().find(|record| record.cause() == Some(Cause::NoFilterChain));
    Ok(away.and_then(|record| record.response_code_details.clone()).unwrap_or_default())
}
