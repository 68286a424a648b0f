//! Pods, by namespace and labels, and those that every scenario of the main set-up meets.

/// Pods by namespace and labels.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a>(pub &'a str, pub &'a str);

/// Who asks.
pub const CURL: Pods<'static> = Pods("istio-test", "app=curl");
/// Who answers, with its version.
pub const HELLOWORLD: Pods<'static> = Pods("istio-test", "app=helloworld");
/// Who asks without a sidecar, where a scenario brings it.
pub const OUTSIDER: Pods<'static> = Pods("outside", "app=outsider");
/// The east-west gateway.
pub const GATEWAY: Pods<'static> = Pods("istio-system", "gateway.networking.k8s.io/gateway-name=east-west");
/// Each kind of mesh proxy.
pub const PROXIES: [Pods<'static>; 3] = [CURL, HELLOWORLD, GATEWAY];
