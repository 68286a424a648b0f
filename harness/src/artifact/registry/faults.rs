//! What a registry's refusal means to a person.

use std::error::Error as StdError;

use oci_client::errors::{OciDistributionError as Oci, OciErrorCode};

use super::super::retry::Fault;
use crate::{Code, Error};

/// What went wrong while `what` (an image, as it is fetched) was asked for.
pub(super) fn fault(what: &str, e: Oci) -> Fault {
    let error = |code, said: String| Error::new(code, said).because(words(&e));
    let final_ = |code, said: String, next: &str| Fault::Final(error(code, said).next(next));
    match meaning(&e) {
        Meaning::Absent => final_(
            Code::ArtifactUnavailable,
            format!("the registry has no {what}"),
            "correct the tag in manifests/lock.yaml, or the mirror's name: --mirror",
        ),
        Meaning::Refused => final_(
            Code::ArtifactUnavailable,
            format!("the registry refuses {what}"),
            "log in with `docker login`; Docker Hub and GitHub say the same of a name that they do not have",
        ),
        Meaning::TooMany => final_(
            Code::ArtifactUnavailable,
            format!("the registry's limit is reached, no {what} for now"),
            "wait, `docker login`, or use a pull-through cache: --mirror HOST",
        ),
        Meaning::Altered => final_(
            Code::DigestMismatch,
            format!("the registry serves something else than {what}"),
            "tell whoever runs it: its store or a proxy before it is damaged",
        ),
        Meaning::Unclear => final_(
            Code::ArtifactUnavailable,
            format!("the registry's answer for {what} is not understood"),
            "see whether a proxy or a login page answers in its place",
        ),
        Meaning::Passing => {
            Fault::Passing(error(Code::ArtifactUnavailable, format!("{what} could not be read")))
        }
    }
}

/// The other side's own words, without the address that is said already.
fn words(e: &Oci) -> String {
    match e {
        Oci::RegistryError { envelope, .. } => {
            let said = envelope.errors.iter().map(|e| match e.message.as_str() {
                "" => format!("{:?}", e.code),
                message => message.to_owned(),
            });
            said.collect::<Vec<_>>().join("; ")
        }
        Oci::ServerError { code, .. } => format!("it answered {code}"),
        // The address stands in the outermost words only.
        Oci::RequestError(e) => e.source().map_or_else(|| e.to_string(), chain),
        Oci::UnauthorizedError { .. } => "it asks for a login".to_owned(),
        e => chain(e),
    }
}

fn chain(e: &(dyn StdError + 'static)) -> String {
    match e.source() {
        Some(cause) => format!("{e}: {}", chain(cause)),
        None => e.to_string(),
    }
}

enum Meaning {
    Absent,
    Refused,
    TooMany,
    Altered,
    Unclear,
    Passing,
}

fn meaning(e: &Oci) -> Meaning {
    match e {
        Oci::DigestError(_) => Meaning::Altered,
        // The stream of a blob wraps what it found, in the end, in an i/o error.
        Oci::IoError(io) if wraps_digest(io) => Meaning::Altered,
        Oci::RequestError(_) | Oci::IoError(_) => Meaning::Passing,
        Oci::ImageManifestNotFoundError(_) => Meaning::Absent,
        Oci::UnauthorizedError { .. } | Oci::AuthenticationFailure(_) => Meaning::Refused,
        Oci::ServerError { code, .. } => match code {
            401 | 403 => Meaning::Refused,
            404 => Meaning::Absent,
            429 => Meaning::TooMany,
            _ => Meaning::Passing,
        },
        Oci::RegistryError { envelope, .. } => {
            envelope.errors.first().map_or(Meaning::Unclear, |e| coded(&e.code))
        }
        _ => Meaning::Unclear,
    }
}

fn coded(code: &OciErrorCode) -> Meaning {
    match code {
        OciErrorCode::ManifestUnknown
        | OciErrorCode::NameUnknown
        | OciErrorCode::NotFound
        | OciErrorCode::BlobUnknown
        | OciErrorCode::ManifestBlobUnknown => Meaning::Absent,
        OciErrorCode::Unauthorized | OciErrorCode::Denied => Meaning::Refused,
        OciErrorCode::Toomanyrequests => Meaning::TooMany,
        _ => Meaning::Unclear,
    }
}

fn wraps_digest(e: &std::io::Error) -> bool {
    let mut cause = e.get_ref().map(|e| e as &(dyn StdError + 'static));
    while let Some(e) = cause {
        if e.is::<oci_client::errors::DigestError>() {
            return true;
        }
        cause = e.source();
    }
    false
}
