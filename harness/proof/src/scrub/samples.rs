//! One of each kind of secret, none of them anybody's: for the tests of whoever keeps or tells anything.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

pub(super) const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0";

/// What is written somewhere, and the part of it that nobody may read afterwards.
///
/// Each is a line or a few lines of text.
pub fn planted() -> Vec<(String, String)> {
    let base64 = |text: &str| BASE64_STANDARD.encode(text);
    let kubeconfig = format!("users:\n- user:\n    client-key-data: {}\n", base64(&pem("EC PRIVATE KEY")));
    let der = BASE64_STANDARD.encode(key_der());
    let middle = pem("PRIVATE KEY").lines().nth(2).unwrap_or_default().to_owned();
    let (head, rest) = ("-----BEGIN EC PRIVATE KEY-----\n", "\n-----END EC PRIVATE KEY-----\n");
    let folded = wrapped(&base64(&pem("RSA PRIVATE KEY")), 76);
    let with = |text: &str, secret: &str| (text.replace("HERE", secret), secret.to_owned());
    vec![
        (pem("PRIVATE KEY"), middle.clone()),
        (pem("OPENSSH PRIVATE KEY"), middle.clone()),
        (pem("PGP PRIVATE KEY BLOCK"), middle.clone()),
        // Cut off at its end, which for an encrypted one leaves nothing that decodes to a key; and at its beginning.
        (pem("EC PRIVATE KEY").replace(rest, ""), middle.clone()),
        (format!("{head}Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0A1B2C\n\n{middle}"), middle.clone()),
        (pem("EC PRIVATE KEY").lines().skip(2).collect::<Vec<_>>().join("\n"), middle.clone()),
        // As a container runtime writes it, each line with its time.
        (pem("PRIVATE KEY").replace('\n', "\n2026-11-26T00:00:00Z stdout F "), middle.clone()),
        (json!({"lines": pem("PRIVATE KEY").lines().collect::<Vec<_>>()}).to_string(), middle),
        with("a Secret's tls.key: HERE ", &base64(&pem("PRIVATE KEY"))),
        with("users: client-key-data: HERE", &base64(&pem("EC PRIVATE KEY"))),
        with("the whole kubeconfig HERE of a remote cluster", &base64(&kubeconfig)),
        (folded.join("\n"), folded[1].clone()),
        with(r#"{"keys":{"x509-CA-A":"HERE"}}"#, &der),
        with("it sent HERE.", JWT),
        with("it sent HERE, and", JWT),
        with("\"HERE\"", JWT),
        with("alg none: HERE ", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."),
        with("encrypted HERE.", "eyJhbGciOiJkaXIifQ..aXZpdml2aXY.Y2lwaGVydGV4dA.dGFndGFndGFn"),
        with("base64 of it: HERE", &base64(&format!("token is {JWT}"))),
        with("GOPROXY=https://bot:HERE@proxy.example/go,direct", "s3cr3t"),
        with("index-url = https://HERE@pypi.example/simple", "glorious-token"),
        with("cannot reach http://user:HERE@proxy.example:3128/: refused", "p@ss"),
        with("deb https://apt:HERE@mirror.example/debian stable main", "hunter2"),
        with("HTTPS_PROXY=user:HERE@proxy.example:3128", "hunter2"),
        with("ssh://root:HERE@build.example", "hunter2"),
        with("GET /x?X-Amz-Signature=HERE&y=1", "7d0c1e"),
        with("Authorization: Bearer HERE", "mF_9.B5f-4.1JqM"),
        with("> Authorization: Basic HERE\r\n> Accept: */*", &base64("user:hunter2")),
        with(r#"{"headers":{"authorization":["Bearer HERE"]}}"#, "mF_9.B5f-4.1JqM"),
        with("proxy-authorization: Negotiate HERE", "YIIZhlMGBisGAQUFAq"),
        with("Set-Cookie: sid=HERE; HttpOnly", "31d4d96e407aad42"),
        with("curl -s -u admin:HERE http://x", "hunter2"),
        with(r#"{"auths":{"registry.example":{"auth":"HERE"}}}"#, &base64("user:hunter2")),
        with(r#"{"identitytoken": "HERE"}"#, "opaque-1"),
        with(r#"{"token": "HERE"}"#, "opaque"),
        with(r#"{"log":"{\"token\":\"HERE\"}"}"#, "opaque"),
        with("DB_PASSWORD=HERE", "swordfish"),
        with("password: HERE\nuser: x", "swordfish"),
        with("passphrase: \"HERE\"", "correct horse battery"),
        with("password: |\n  HERE\n", "swordfish"),
        with("user=x,password=HERE,host=y", "swordfish"),
        with("AWS_SECRET_ACCESS_KEY=HERE", "wJalrXUtnFEMI/K7MDENG"),
        with("- name: DB_PASSWORD\n  value: HERE\n", "swordfish"),
        with("env: [{ name: API_KEY, value: HERE }]", "swordfish"),
        with(r#"{"name": "API_TOKEN", "value": "HERE"}"#, "swordfish"),
        with("kubeadm join 10.0.0.1:6443 --token HERE --discovery", "abcdef.0123456789abcdef"),
        with("[bootstrap] Using HERE for nodes", "abcdef.0123456789abcdef"),
        with(
            "--certificate-key HERE --v=5",
            "f8902e114ef118304e561c3ecd4d0b543adc226b7a07f675f56564185ffe0c07",
        ),
        with("spire-agent run -joinToken HERE -config x", UUID),
        with("\"-joinToken\",\n  \"HERE\"", UUID),
        with("- -joinToken\n- HERE\n", UUID),
        with("Token: HERE\n", UUID),
        with("join token (HERE) was not found", UUID),
        with("spiffe://cluster1.local/spire/agent/join_token/HERE", UUID),
        with(r#"{"kty":"EC","crv":"P-256","d":"HERE"}"#, "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"),
        with("remote: HERE", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        with("using HERE!", "AKIAIOSFODNN7EXAMPLE"),
        with("root:HERE:19000:0", "$6$rounds=5000$saltsalt$1C4d7a8f"),
        with(r#"{"apiVersion":"v1","data":{"x":"HERE"},"kind":"Secret"}"#, "aHVudGVyMg"),
        with(r#"I0000 applied {"kind":"Secret","stringData":{"x":"HERE"}} at once"#, "hunter2"),
        with("kind: Secret\nstringData:\n  any: HERE\ntype: Opaque\n", "hunter2"),
        with("kind: Secret\nstringData: { any: HERE }\n", "hunter2"),
    ]
}

/// Not a key of anybody: 32 times the same byte.
fn key_der() -> Vec<u8> {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    [&head[..], &[0x5a; 32]].concat()
}

pub(super) fn pem(label: &str) -> String {
    let body = BASE64_STANDARD.encode([key_der(), vec![0x5a; 100]].concat());
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", wrapped(&body, 64).join("\n"))
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}
