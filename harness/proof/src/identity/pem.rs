//! Certificates as they travel: PEM text, and nothing else in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Certificate, Chain, Flaw};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// PEM text that holds certificates and nothing else.
///
/// Whatever it is made from, private keys and stray text are dropped at once: nothing that is built of this
/// type can carry a secret. Whether the certificates can be read is judged later, so that unreadable ones
/// stay evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
pub struct Pem(String);

impl Pem {
    /// The certificate blocks of `text`.
    pub fn of(text: &str) -> Self {
        let mut kept = String::new();
        let mut block: Option<String> = None;
        for line in text.lines().map(str::trim) {
            if line.starts_with("-----BEGIN ") {
                block = (line == BEGIN).then(String::new);
            }
            let Some(open) = &mut block else { continue };
            open.push_str(line);
            open.push('\n');
            if line == END {
                kept.push_str(open);
                block = None;
            }
        }
        Self(kept)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no certificate in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every certificate, in order.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`] or [`Flaw::Unreadable`].
    pub fn certificates(&self) -> Result<Vec<Certificate>, Flaw> {
        let blocks = x509_parser::pem::Pem::iter_from_buffer(self.0.as_bytes());
        let all: Vec<_> = blocks
            .map(|block| {
                let block = block.map_err(|e| Flaw::Unreadable(e.to_string()))?;
                Certificate::from_der(&block.contents)
            })
            .collect::<Result<_, _>>()?;
        if all.is_empty() { Err(Flaw::NoCertificate) } else { Ok(all) }
    }

    /// The same, as a leaf and what comes with it.
    ///
    /// # Errors
    /// [`Flaw::NoCertificate`] or [`Flaw::Unreadable`].
    pub fn chain(&self) -> Result<Chain, Flaw> {
        let mut all = self.certificates()?.into_iter();
        let leaf = all.next().ok_or(Flaw::NoCertificate)?;
        Ok(Chain { leaf, intermediates: all.collect() })
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

impl From<Pem> for String {
    fn from(pem: Pem) -> Self {
        pem.0
    }
}
