//! What may be watched of the federated pair: Prometheus and Kiali, as the guide (004) deploys them and with what it
//! leaves out.

mod kiali;
mod prometheus;

use crate::trial::Scenario;

pub(super) const SCENARIOS: &[&[Scenario]] = &[kiali::SCENARIOS, prometheus::SCENARIOS];
