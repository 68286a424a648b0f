//! Which SPIFFE ID a workload must have. Istio's own form, unless the set-up declares another: a company's shape of IDs is
//! no broken claim, and what differs from the declaration is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{InvalidId, SpiffeId, TrustDomain};

/// The form that Istio gives: [`SpiffeId::workload`].
pub const ISTIO: &str = "spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}";

/// What was declared: for a namespace, or for a service account (`namespace/account`), which weighs more, the ID with
/// `{trust_domain}`, `{namespace}` and `{service_account}` in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Declared(pub BTreeMap<String, String>);

impl Declared {
    /// Whether every workload has Istio's form.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ID of whoever runs under that service account.
    ///
    /// # Errors
    /// When it is no SPIFFE ID.
    pub fn id(
        &self,
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<SpiffeId, InvalidId> {
        let own = self.0.get(&format!("{namespace}/{service_account}")).or_else(|| self.0.get(namespace));
        match own {
            None => SpiffeId::workload(trust_domain, namespace, service_account),
            Some(pattern) => pattern
                .replace("{trust_domain}", trust_domain.as_str())
                .replace("{namespace}", namespace)
                .replace("{service_account}", service_account)
                .parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(declared: &[(&str, &str)], namespace: &str, account: &str) -> Result<String, String> {
        let declared = declared.iter().map(|(who, id)| ((*who).to_owned(), (*id).to_owned())).collect();
        let id = Declared(declared).id(&"a.example".parse().unwrap(), namespace, account);
        id.map(|id| id.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_nearest_declaration_counts_and_istios_form_where_there_is_none() {
        let both = [
            ("shop", "spiffe://{trust_domain}/team/shop/{service_account}"),
            ("shop/db", "spiffe://{trust_domain}/db"),
        ];
        assert_eq!(id(&both, "shop", "web").unwrap(), "spiffe://a.example/team/shop/web");
        assert_eq!(id(&both, "shop", "db").unwrap(), "spiffe://a.example/db");
        assert_eq!(id(&both, "bank", "db").unwrap(), "spiffe://a.example/ns/bank/sa/db");
        let istio = [("bank", ISTIO)];
        assert_eq!(id(&istio, "bank", "db"), id(&[], "bank", "db"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let e = id(&[("shop", "spiffe://{trust_domain}/{app}")], "shop", "web").unwrap_err();
        assert!(e.contains("has '{' in its path"), "{e}");
    }
}
