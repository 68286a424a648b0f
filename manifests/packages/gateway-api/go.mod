module vouchsafe.test/packages/gateway-api

go 1.26.0

// Only files are taken from it (the CRDs), so nothing of it is compiled.
require sigs.k8s.io/gateway-api v1.6.0
