//! Controls: what must be refused is refused, and for the stated reason. A gateway that is down refuses too,
//! and proves nothing.

use super::{Finding, Located};
use crate::Result;
use crate::envoy::Cause;
use crate::envoy::cause::CertificateFault;
use crate::evidence::{Control, Evidence, Refusal, missing};
use crate::topology::Way;

/// The call under that control was refused, and a sidecar recorded the reason that the control is to show.
///
/// # Errors
/// [`crate::Code::Evidence`] when no such call was made, or no sidecar recorded it.
pub fn was_refused(evidence: &Evidence, control: Control, way: &Way) -> Result<Located> {
    let is_one = |refusal: &Refusal| refusal.control == control && refusal.way == *way;
    let calls = evidence.refusals.iter().enumerate().filter(|(_, refusal)| is_one(refusal));
    let found: Vec<_> = calls.map(|(i, refusal)| Ok((i, refused(refusal)?))).collect::<Result<_>>()?;
    let never = || missing(format!("a call {way} under the control"));
    let (finding, i) = Finding::all_at("calls", found).ok_or_else(never)?;
    Ok((finding, format!("/refusals/{i}")))
}

/// The finding alone.
///
/// # Errors
/// As [`was_refused`].
pub fn refused(refusal: &Refusal) -> Result<Finding> {
    let wanted = match refusal.control {
        Control::PeerBundleTakenAway | Control::FederatesWithAbsent => {
            Cause::Certificate(CertificateFault::NoTrustBundle)
        }
        Control::PlainText => Cause::NoFilterChain,
    };
    let expected = format!("refused: {wanted}");
    let reply = &refusal.reply;
    if (100..500).contains(&reply.status) {
        let observed = format!("answered with status {}: {}", reply.status, reply.body.trim());
        return Ok(Finding::new(false, expected, observed));
    }
    let records = [&refusal.by_client, &refusal.by_server];
    // A record of a call that succeeded, or of another request, is not a record of this refusal.
    let of_this = |id: &Option<String>| id.as_ref().is_none_or(|id| *id == reply.request);
    let causes: Vec<_> = records
        .into_iter()
        .flatten()
        .filter(|record| of_this(&record.request_id))
        .filter_map(crate::envoy::Record::cause)
        .collect();
    if causes.is_empty() {
        let said = format!("status {}, exit {}: {}", reply.status, reply.exit, reply.body.trim());
        return Err(missing("why the call was refused: no sidecar recorded it").seen(said));
    }
    let held = causes.contains(&wanted);
    let told: Vec<_> = causes.iter().map(Cause::to_string).collect();
    let observed = format!("status {}, exit {}; recorded: {}", reply.status, reply.exit, told.join(" and "));
    Ok(Finding::new(held, expected, observed))
}
