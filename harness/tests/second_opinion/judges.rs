//! The three judges, asked the same question in their own ways.

use std::fmt::Write as _;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::cmd::Cmd;
use jiff::Timestamp;
use proof::identity::{Authority, Bundle, Certificate, Chain};
use rustls::pki_types::{CertificateDer, UnixTime};

use super::corpus::Case;

/// The middle of every good leaf's hour.
const AT: &str = "2026-11-21T00:30:00Z";

/// What a judge says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Says {
    Good,
    Bad,
    /// That it cannot be checked.
    Unknown,
}

impl Says {
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

fn at() -> Timestamp {
    AT.parse().unwrap()
}

/// Our own, with the reason.
pub fn ours(case: &Case) -> (Says, String) {
    let read = |der: &Vec<u8>| Certificate::from_der(der).unwrap();
    let authorities = case.roots.iter().map(|der| Authority { certificate: read(der) }).collect();
    let trust_domain = "cluster1.local".parse().unwrap();
    let bundle = Bundle { trust_domain, sequence: None, refresh_hint: None, authorities };
    let chain = Chain { leaf: read(&case.leaf), intermediates: case.shown.iter().map(read).collect() };
    match bundle.path(&chain, at()) {
        Ok(path) => (Says::Good, path.to_string()),
        Err(flaw) if flaw.is_uncheckable() => (Says::Unknown, flaw.to_string()),
        Err(flaw) => (Says::Bad, flaw.to_string()),
    }
}

/// rustls-webpki, with its error.
pub fn webpki(case: &Case) -> (Says, String) {
    let ders = |all: &[Vec<u8>]| all.iter().map(|der| CertificateDer::from(der.clone())).collect::<Vec<_>>();
    let (leaf, shown, roots) =
        (CertificateDer::from(case.leaf.clone()), ders(&case.shown), ders(&case.roots));
    let judged = || -> Result<(), webpki::Error> {
        let anchors: Vec<_> = roots.iter().map(webpki::anchor_from_trusted_cert).collect::<Result<_, _>>()?;
        let leaf = webpki::EndEntityCert::try_from(&leaf)?;
        let time =
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(at().as_second().unsigned_abs()));
        let usage = webpki::KeyUsage::server_auth();
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        leaf.verify_for_usage(algorithms, &anchors, &shown, time, usage, None, None).map(|_| ())
    };
    match judged() {
        Ok(()) => (Says::Good, String::new()),
        Err(e) if format!("{e:?}").starts_with("Unsupported") => (Says::Unknown, format!("{e:?}")),
        Err(e) => (Says::Bad, format!("{e:?}")),
    }
}

/// OpenSSL, with its last words. One shell goes through all cases: a process for each is cheap, a task for each is not.
pub async fn openssl(cases: &[Case]) -> Vec<(Says, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (i, case) in cases.iter().enumerate() {
        let write = |what: &str, ders: &[Vec<u8>]| {
            fs::write(folder.path().join(format!("{i}.{what}")), ders.iter().map(pem).collect::<String>())
                .unwrap();
        };
        write("leaf", std::slice::from_ref(&case.leaf));
        write("shown", &case.shown);
        write("roots", &case.roots);
    }
    // The level of security at which SHA-1 and RSA below 2048 bits are refused. Without `-no-CApath` and
    // `-no-CAstore` the machine's own roots would vouch too.
    let script = format!(
        "i=$1; while [ $i -lt $2 ]; do \
         if [ -s $i.shown ]; then shown=\"-untrusted $i.shown\"; else shown=; fi; \
         openssl verify -partial_chain -attime {} -auth_level 2 -purpose sslserver -no-CApath -no-CAstore \
         -CAfile $i.roots $shown $i.leaf >$i.said 2>&1; echo $? >>$i.said; i=$((i+1)); done",
        at().as_second()
    );
    let half = cases.len() / 2;
    let run = |from: usize, to: usize| {
        let cmd = Cmd::new("sh").args(["-c", &script, "sh", &from.to_string(), &to.to_string()]);
        cmd.dir(folder.path()).run()
    };
    let (one, two) = tokio::join!(run(0, half), run(half, cases.len()));
    one.and(two).unwrap();
    let said = |i: usize| {
        let said = fs::read_to_string(folder.path().join(format!("{i}.said"))).unwrap();
        if said.lines().last() == Some("0") {
            return (Says::Good, String::new());
        }
        let words = said.lines().find(|line| line.contains(" depth lookup: "));
        // Neither yes nor no, such as where the disk is full.
        let words = words.unwrap_or_else(|| panic!("OpenSSL did not judge case {i}: {said}"));
        (Says::Bad, words.to_owned())
    };
    (0..cases.len()).map(said).collect()
}

fn pem(der: &Vec<u8>) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text + "-----END CERTIFICATE-----\n"
}
