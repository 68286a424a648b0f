//! The kinds that a cluster serves.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::discovery::{Discovery, verbs};

use super::fault;
use crate::Result;

/// One of them, with the way to all its objects.
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) api: Api<DynamicObject>,
}

/// Every kind whose objects can be listed, in its preferred version.
///
/// # Errors
/// What the API server refuses.
pub(crate) async fn listable(client: &Client) -> Result<Vec<Kind>> {
    let found = Discovery::new(client.clone()).run().await;
    let found = found.map_err(|f| fault::failed("cannot ask which kinds there are", &f))?;
    let kinds = found.groups().flat_map(|group| group.recommended_resources());
    Ok(kinds
        .filter(|(_, capabilities)| capabilities.supports_operation(verbs::LIST))
        .map(|(resource, _)| Kind { api: Api::all_with(client.clone(), &resource), resource })
        .collect())
}
