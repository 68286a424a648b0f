//! Each end of a handshake showed an SVID of its own trust domain: each peer's leaf, as the *other* side's sidecar
//! recorded it for that very request, chains to the trust bundle of the peer's own trust domain.
//!
//! A certificate is judged at the moment at which the request began, by the clock of the sidecar that recorded it: what
//! expires later was good when it was used. (Stored records of the first form have no moment of their own.)

use jiff::Timestamp;

use super::mesh::registered_id;
use super::{Finding, Located};
use crate::Result;
use crate::envoy::Record;
use crate::evidence::{Evidence, Handshake, missing};
use crate::identity::{Bundle, Certificate, Flaw, Pem, SpiffeId};
use crate::topology::Way;

/// `shown` is a certificate of exactly `id`, made by an authority of `bundle` and valid at `at`. `known` are the
/// intermediates that are known from elsewhere, for a witness that recorded the leaf alone.
///
/// # Errors
/// [`crate::Code::Evidence`] when the certificate is signed in a way that cannot be checked here.
pub fn verified(
    shown: Option<&Pem>,
    known: &[Certificate],
    bundle: &Bundle,
    id: &SpiffeId,
    at: Timestamp,
) -> Result<Finding> {
    let expected = format!("{id}, signed by an authority of {}", super::bundles::described(bundle));
    let judged = || -> Result<_, Flaw> {
        let chain = shown.ok_or(Flaw::NoCertificate)?.chain()?.with(known);
        let path = bundle.path(&chain, at)?;
        let (leaf, key) = (&chain.leaf, path.authority.key_id());
        let found = leaf.spiffe_id()?;
        if found != *id {
            return Err(Flaw::OtherId { expected: id.clone(), found });
        }
        let whose = if path.intermediates.is_empty() { "" } else { " of the trust bundle" };
        let observed =
            format!("{id}, serial {}, valid {}, signed by {path}{whose}", leaf.serial, leaf.until());
        Ok((observed, key))
    };
    match judged() {
        Ok((observed, key)) => Ok(Finding::new(true, expected, observed).signed_by(key)),
        Err(flaw) => Ok(Finding::new(false, expected, super::told(&flaw)?)),
    }
}

/// What the two sidecars recorded of one request.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    /// The client's record: what the server showed.
    pub by_client: &'a Record,
    /// The server's record: what the client showed.
    pub by_server: &'a Record,
}

impl<'a> Records<'a> {
    /// Both records of a handshake.
    ///
    /// # Errors
    /// [`crate::Code::Evidence`] when one is missing, or they are of different requests.
    pub fn of(handshake: &'a Handshake) -> Result<Self> {
        let request = &handshake.reply.request;
        let record = |record: &'a Option<Record>, whose| {
            let what = || missing(format!("request {request} in the {whose} sidecar's log"));
            let record = record.as_ref().ok_or_else(what)?;
            match record.request_id.as_deref() {
                Some(id) if id == request => Ok(record),
                other => Err(what().seen(format!("a record of request {}", other.unwrap_or("without id")))),
            }
        };
        Ok(Self {
            by_client: record(&handshake.by_client, "client's")?,
            by_server: record(&handshake.by_server, "server's")?,
        })
    }
}

/// The certificate that the server showed was made by its own trust domain.
///
/// # Errors
/// [`crate::Code::Evidence`] when a record or bundle is missing, or a certificate cannot be checked.
pub fn server_svid(evidence: &Evidence, way: &Way) -> Result<Located> {
    let (own, known) = (evidence.cluster(&way.to)?, evidence.intermediates());
    let (finding, at) = each(evidence, way, |handshake| {
        let id = registered_id(evidence, own, &handshake.server)?;
        let record = Records::of(handshake)?.by_client;
        let at = record.began().unwrap_or(evidence.collected_at);
        verified(record.upstream_peer_cert.as_ref(), &known, own.published()?, &id, at)
    })?;
    Ok((finding, format!("{at}/by_client/upstream_peer_cert")))
}

/// The same of the certificate that the client showed.
///
/// # Errors
/// As [`server_svid`].
pub fn client_svid(evidence: &Evidence, way: &Way) -> Result<Located> {
    let (own, known) = (evidence.cluster(&way.from)?, evidence.intermediates());
    let (finding, at) = each(evidence, way, |handshake| {
        let id = registered_id(evidence, own, &handshake.client)?;
        let record = Records::of(handshake)?.by_server;
        let at = record.began().unwrap_or(evidence.collected_at);
        verified(record.downstream_peer_cert.as_ref(), &known, own.published()?, &id, at)
    })?;
    Ok((finding, format!("{at}/by_server/downstream_peer_cert")))
}

/// One finding over every handshake of a way, and the place of the one that it tells of.
pub(super) fn each(
    evidence: &Evidence,
    way: &Way,
    mut find: impl FnMut(&Handshake) -> Result<Finding>,
) -> Result<(Finding, String)> {
    let of_way = evidence.handshakes.iter().enumerate().filter(|(_, handshake)| handshake.way == *way);
    let found: Vec<_> = of_way.map(|(i, handshake)| Ok((i, find(handshake)?))).collect::<Result<_>>()?;
    let (finding, i) =
        Finding::all_at("handshakes", found).ok_or_else(|| missing(format!("a handshake {way}")))?;
    Ok((finding, format!("/handshakes/{i}")))
}
