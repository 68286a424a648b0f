//! Where do certificates come from, how long do they live, and how does one tell? (004: parts A4, B2, Q3, Q6, Q7)

use crate::{CLUSTER1, CLUSTER2, CURL, Fixture, HELLOWORLD, Pods, scenarios};
use harness::Result;
use proof::evidence::Must;
use proof::identity::Pem;

scenarios! {
    "names" => names_tell_spires_certificates_from_istiods_and_keys_prove_it {
        SUBJECT_SAYS_SPIRE each cluster: "[S4-20, S4-22] the subject of an SVID of {cluster} says SPIRE",
        ISSUER_NAMED_AS_SERVER each cluster: "[S4-22] its issuer is named as the server of {cluster} names \
            itself",
        LIVES_FOR_AN_HOUR each cluster: "[S4-33] an SVID of {cluster} lives for an hour",
        DEFAULT_IS_THE_SVID each cluster: "[S4-19] the secret named `default` of curl in {cluster} is its \
            SVID",
        ISTIODS_ISSUER_IS_THE_DOMAIN: "[S4-22] istiod's certificate calls its issuer by the trust domain \
            alone",
        FALLS_BACK_IN_SILENCE: "[S4-22] a pod without SPIRE's socket silently has a certificate from \
            istiod's CA",
    },
    "socket" => a_sidecar_takes_its_secrets_from_the_socket_and_from_nothing_else {
        PORTS_LISTENED: "[S4-28] the sidecar listens on 15006 and 15001",
        SECRETS_BY_THE_SOCKET: "[S4-28] its cluster for secrets is SPIRE's socket",
        ASKS_NO_CA: "[S4-25, S4-28] its agent found the socket and asks no CA",
        SOCKET_MOUNTED: "[S4-8, S4-27] what the CSI driver mounts is a socket named `socket`",
        AGENT_MADE_SVID: "[S4-25, S4-27] the SPIRE agent made an SVID for helloworld's entry",
        DEFAULT_AND_ROOTCA_HELD: "[S4-19, S4-23] the proxy holds the secrets `default` and `ROOTCA`",
    },
    "istiods-own-certificate" => istiods_own_certificate_is_not_spires {
        ISTIOD_SERVES_ITS_OWN: "[S4-38] istiod serves with a certificate of its own CA, not of SPIRE",
    },
    "rotation" => svids_rotate_without_a_broken_request {
        RENEWED_BY_ITSELF: "[S4-33] an SVID is renewed by itself, again and again, well before its end",
        EVERY_REQUEST_ANSWERED: "[S4-33] every request across the clusters was answered while the SVID was \
            renewed",
    },
}

const ISTIODS: Pods<'static> = Pods("istiods-own", "app=istiods-own");
const SHORT: Pods<'static> = Pods("short-lived", "app=short-lived");

/// If this fails, what people read off a certificate no longer tells SPIRE's from istiod's.
async fn names_tell_spires_certificates_from_istiods_and_keys_prove_it(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    for nth in fixture.mesh.numbers() {
        let cluster = fixture.cluster(nth)?.clone();
        let pem = fixture.own_certificate(nth, CURL).await?;
        let leaf = leaf(&pem)?;
        let domain = &cluster.trust_domain;
        fixture.shows(SUBJECT_SAYS_SPIRE.of(&cluster.name), Must::have(["C=US", "O=SPIRE"]), &leaf.subject);
        fixture.shows(
            ISSUER_NAMED_AS_SERVER.of(&cluster.name),
            Must::have(["C=US".to_owned(), "O=RH".to_owned(), format!("CN={domain}")]),
            &leaf.issuer,
        );
        let life = leaf.not_after.duration_since(leaf.not_before).as_secs();
        // SPIRE dates an SVID back by ten seconds against clocks that differ.
        fixture.shows(LIVES_FOR_AN_HOUR.of(&cluster.name), Must::be("3610 s"), format!("{life} s"));
        let by = cluster.name.clone();
        let id = fixture.id(nth, CURL).await?;
        fixture.shows(DEFAULT_IS_THE_SVID.of(&cluster.name), Must::BeSvid { by, id }, pem);
    }
    // The control: the same mesh, without SPIRE's socket.
    fixture.bring(CLUSTER1, "guide/istiods-own.yaml", &[]).await?;
    fixture.ready(CLUSTER1, ISTIODS.0, "istiods-own").await?;
    let pem = fixture.own_certificate(CLUSTER1, ISTIODS).await?;
    let (of, domain) =
        (fixture.cluster(CLUSTER1)?.name.clone(), fixture.cluster(CLUSTER1)?.trust_domain.clone());
    fixture.shows(ISTIODS_ISSUER_IS_THE_DOMAIN, Must::be(format!("O={domain}")), leaf(&pem)?.issuer);
    fixture.shows(FALLS_BACK_IN_SILENCE, Must::BeIstiods { of }, pem);
    Ok(())
}

/// If this fails, a proxy has a second source of certificates, and the socket proves nothing.
async fn a_sidecar_takes_its_secrets_from_the_socket_and_from_nothing_else(
    fixture: &mut Fixture<'_>,
) -> Result<()> {
    let listeners = fixture.admin(CLUSTER1, CURL, "/listeners?format=json").await?;
    let clusters = fixture.admin(CLUSTER1, CURL, "/config_dump?resource=static_clusters").await?;
    fixture.shows(PORTS_LISTENED, Must::have(["15006", "15001"]), listeners);
    fixture.shows(
        SECRETS_BY_THE_SOCKET,
        Must::have(["sds-grpc", "var/run/secrets/workload-spiffe-uds/socket"]),
        sds(&clusters),
    );
    let log = fixture.log(CLUSTER1, CURL, "istio-proxy").await?;
    fixture.shows(ASKS_NO_CA, Must::have(["Existing workload SDS socket found"]), lines(&log, "SDS"));
    let mounted =
        fixture.run(CLUSTER1, CURL, "istio-proxy", &["ls", "/var/run/secrets/workload-spiffe-uds"]).await?;
    fixture.shows(SOCKET_MOUNTED, Must::be("socket"), mounted.stdout);
    let id = fixture.id(CLUSTER1, HELLOWORLD).await?.to_string();
    let agent = fixture.log(CLUSTER1, Pods("spire", "app=spire-agent"), "spire-agent").await?;
    fixture.shows(
        AGENT_MADE_SVID,
        Must::have(["Creating X509-SVID".to_owned(), id.clone()]),
        lines(&agent, &id),
    );
    let held = fixture.held(CLUSTER1, CURL).await?;
    let names: Vec<_> = held.secrets.iter().map(|secret| secret.name.as_str()).collect();
    fixture.shows(DEFAULT_AND_ROOTCA_HELD, Must::have(["default", "ROOTCA"]), names.join(" "));
    Ok(())
}

/// If this fails, SPIRE has become istiod's CA too, and the guide's hybrid model is history.
async fn istiods_own_certificate_is_not_spires(fixture: &mut Fixture<'_>) -> Result<()> {
    let show =
        ["curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{certs}", "https://istiod.istio-system:15012"];
    let shown = fixture.run(CLUSTER1, CURL, "istio-proxy", &show).await?;
    let of = fixture.cluster(CLUSTER1)?.name.clone();
    fixture.shows(ISTIOD_SERVES_ITS_OWN, Must::BeIstiods { of }, shown.stdout);
    Ok(())
}

/// If this fails, each rotation costs requests.
async fn svids_rotate_without_a_broken_request(fixture: &mut Fixture<'_>) -> Result<()> {
    fixture.bring(CLUSTER1, "guide/short-lived.yaml", &[]).await?;
    fixture.ready(CLUSTER1, SHORT.0, "short-lived").await?;
    let service = format!("helloworld-{}.istio-test", fixture.cluster(CLUSTER2)?.version);
    fixture.knows(CLUSTER1, SHORT, &service, 5000).await?;
    let url = format!("http://{service}:5000/hello");
    let mut serials = vec![leaf(&fixture.own_certificate(CLUSTER1, SHORT).await?)?.serial];
    let (mut asked, mut refused) = (0, Vec::new());
    // Renewed twice, so that requests were made with three certificates; each on a connection of its own.
    while asked < 150 && serials.len() < 3 {
        let reply = fixture.ask(CLUSTER1, SHORT, "curl", &url).await?;
        asked += 1;
        if reply.status != 200 {
            refused.push(format!("{} {}", reply.status, reply.body.trim()));
        }
        let now = leaf(&fixture.own_certificate(CLUSTER1, SHORT).await?)?.serial;
        if !serials.contains(&now) {
            serials.push(now);
        }
    }
    fixture.shows(RENEWED_BY_ITSELF, Must::be("3 certificates"), format!("{} certificates", serials.len()));
    fixture.shows(
        EVERY_REQUEST_ANSWERED,
        Must::have(["0 refused of "]),
        format!("{} refused of {asked} {}", refused.len(), refused.join("; ")),
    );
    Ok(())
}

fn leaf(pem: &str) -> harness::Result<proof::identity::Certificate> {
    let chain = Pem::of(pem).chain();
    Ok(chain.map_err(|flaw| proof::evidence::missing("a certificate").seen(flaw.to_string()))?.leaf)
}

/// The part of the dump that says where secrets come from.
fn sds(dump: &str) -> String {
    let found: serde_json::Value = serde_json::from_str(dump).unwrap_or_default();
    let all = found["configs"].as_array().into_iter().flatten();
    all.filter(|one| one["cluster"]["name"] == "sds-grpc").map(ToString::to_string).collect()
}

fn lines(log: &str, word: &str) -> String {
    log.lines().filter(|line| line.contains(word)).collect::<Vec<_>>().join("\n")
}
