//! Why a call failed, from what the sidecar wrote: so that "refused because of the certificate" is never
//! confused with a gateway that is down.

use std::fmt;

use super::Record;

/// Why a call got no answer from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This side verified the peer's certificate and refused it.
    Certificate(CertificateFault),
    /// The peer sent a TLS alert: it is the other side that refused, and only it knows why.
    Alert(String),
    /// A plain-text or otherwise foreign connection met a listener that takes mutual TLS only.
    NoFilterChain,
    /// No route or no such cluster.
    NoRoute,
    /// No endpoint that could be tried.
    NoHealthyUpstream,
    /// The address is there, nobody listens.
    ConnectionRefused,
    /// The address cannot be reached.
    Unreachable(String),
    /// The connection was made and then dropped without a reason.
    Reset,
    /// Anything else, in Envoy's words.
    Other(String),
}

/// What the verification found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// The proxy holds no bundle for the peer's trust domain.
    NoTrustBundle,
    /// No authority of the bundle signed it.
    UnknownIssuer,
    /// The name is not one of the expected.
    OtherName,
    /// Its time is over, or has not come.
    Time,
    /// Anything else, in Envoy's words.
    Other(String),
}

impl Record {
    /// Why the call failed, as far as this side knows; nothing when it did not.
    ///
    /// The texts were seen from Envoy 1.39.3; it writes blanks as underscores in some fields and not in others.
    pub fn cause(&self) -> Option<Cause> {
        let details = self.response_code_details.as_deref().unwrap_or_default();
        let reasons = [
            self.upstream_transport_failure_reason.as_deref().unwrap_or_default(),
            self.downstream_transport_failure_reason.as_deref().unwrap_or_default(),
            details,
            self.connection_termination_details.as_deref().unwrap_or_default(),
        ];
        let flags = self.response_flags.as_deref().unwrap_or_default();
        let text = reasons.join(" ").replace('_', " ");
        let says = |words: &str| text.contains(words);
        let flagged = |flag: &str| flags.split(',').any(|f| f == flag);
        Some(match () {
            () if says("CERTIFICATE VERIFY FAILED") => Cause::Certificate(fault(&text)),
            () if says(" ALERT ") => Cause::Alert(after(&text, "OPENSSL internal:")),
            () if says("filter chain not found") => Cause::NoFilterChain,
            () if flagged("NR") || flagged("NC") || says("route not found") || says("cluster not found") => {
                Cause::NoRoute
            }
            () if flagged("UH") || says("no healthy upstream") => Cause::NoHealthyUpstream,
            () if says("Connection refused") => Cause::ConnectionRefused,
            () if says("connection timeout") => Cause::Unreachable("connection timeout".into()),
            () if says("unreachable") || says("No route to host") => {
                Cause::Unreachable(after(&text, "connect error: "))
            }
            () if says("Connection reset by peer") || flagged("UC") || flagged("UR") => Cause::Reset,
            () if flags.is_empty() && text.trim().is_empty() && self.response_code == 0 => return None,
            () if flags.is_empty() && (100..500).contains(&self.response_code) => return None,
            () => Cause::Other(format!("{} {flags} {text}", self.response_code).trim().to_owned()),
        })
    }
}

fn fault(text: &str) -> CertificateFault {
    let says = |words: &str| text.contains(words);
    match () {
        () if says("no trust bundle store") => CertificateFault::NoTrustBundle,
        () if says("SAN match") => CertificateFault::OtherName,
        () if says("unable to get local issuer certificate") || says("self-signed certificate") => {
            CertificateFault::UnknownIssuer
        }
        () if says("has expired") || says("not yet valid") => CertificateFault::Time,
        () => CertificateFault::Other(after(text, "verify cert failed: ")),
    }
}

/// What follows `mark` up to the end of the phrase, or all of it.
fn after(text: &str, mark: &str) -> String {
    let rest = text.split_once(mark).map_or(text, |(_, rest)| rest);
    let end = rest.find([':', '}', '|']).unwrap_or(rest.len());
    rest[..end].trim().to_owned()
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(fault) => write!(f, "certificate verification: {fault}"),
            Self::Alert(alert) => write!(f, "the other side refused by TLS alert {alert}"),
            Self::NoFilterChain => f.write_str("the listener takes mutual TLS only"),
            Self::NoRoute => f.write_str("no route"),
            Self::NoHealthyUpstream => f.write_str("no healthy upstream"),
            Self::ConnectionRefused => f.write_str("connection refused: nobody listens there"),
            Self::Unreachable(how) => write!(f, "the address cannot be reached: {how}"),
            Self::Reset => f.write_str("the connection was reset without a reason"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTrustBundle => f.write_str("no bundle for the peer's trust domain"),
            Self::UnknownIssuer => f.write_str("signed by an unknown issuer"),
            Self::OtherName => f.write_str("the peer has another name"),
            Self::Time => f.write_str("outside its validity"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line is Envoy's own, from a fault that was made on purpose; the first field names it.
    #[test]
    fn each_fault_is_told_apart() {
        let expected = [
            ("good/client", None),
            ("good/server", None),
            ("cli-no-peer/client", Some(Cause::Certificate(CertificateFault::NoTrustBundle))),
            ("srv-no-peer/client", Some(Cause::Reset)),
            ("srv-no-peer/server-listener", Some(Cause::Certificate(CertificateFault::NoTrustBundle))),
            ("srv-san/server-listener", Some(Cause::Certificate(CertificateFault::OtherName))),
            ("impostor/client", Some(Cause::Certificate(CertificateFault::UnknownIssuer))),
            ("expired/client", Some(Cause::Certificate(CertificateFault::Time))),
            ("gw-sni/client", Some(Cause::Reset)),
            ("refused/client", Some(Cause::ConnectionRefused)),
            ("noroute/client", Some(Cause::NoRoute)),
            ("empty/client", Some(Cause::NoHealthyUpstream)),
            ("hole-timeout/client", Some(Cause::Unreachable("connection timeout".into()))),
            ("hole-unreach/client", Some(Cause::Unreachable("Network is unreachable".into()))),
            ("plain/server-listener", Some(Cause::NoFilterChain)),
        ];
        let log = include_str!("testdata/access_log.jsonl");
        assert_eq!(log.lines().count(), expected.len());
        for (line, (case, cause)) in log.lines().zip(expected) {
            assert!(line.contains(&format!("\"x_case\": \"{case}\"")));
            assert_eq!(Record::read(line).unwrap().cause(), cause, "{case}");
        }
    }

    #[test]
    fn a_refusal_by_the_other_side_is_an_alert() {
        let reason = "TLS_error:|268436502:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_UNKNOWN:TLS_error_end";
        let record = Record { upstream_transport_failure_reason: Some(reason.into()), ..Record::default() };
        assert_eq!(record.cause(), Some(Cause::Alert("SSLV3 ALERT CERTIFICATE UNKNOWN".into())));
    }

    #[test]
    fn the_same_words_with_blanks() {
        let reason = "TLS error: 268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: no trust bundle store";
        let record = Record { upstream_transport_failure_reason: Some(reason.into()), ..Record::default() };
        assert_eq!(record.cause(), Some(Cause::Certificate(CertificateFault::NoTrustBundle)));
    }

    #[test]
    fn a_server_error_is_not_silence() {
        let record = Record { response_code: 500, ..Record::default() };
        assert!(matches!(record.cause(), Some(Cause::Other(_))));
    }
}
