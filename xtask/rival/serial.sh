#!/usr/bin/env bash
# The honest rival of `cargo xtask bench`: the same world as `cargo xtask up`, made as a careful person would script it
# after the published guides, one thing after another:
#   - two clusters and images from archives: kind's quick start and "Working offline"
#   - SPIRE, its CSI driver and the exchange of bundles: SPIRE's federation guide, in its controller manager's objects
#   - Istio: "Install Multi-Primary on different networks" with east-west gateways of the Gateway API
# Everything is at hand in $RIVAL, which the bench fills (harness/src/component/by_hand.rs says with what); manifests
# are Vouchsafe's own with upstream's stock probe and sync intervals. Waits are the stock ones: `rollout status`, `wait`,
# and a look every two seconds where there is nothing else. It is neither slowed down nor sped up on purpose.
set -euo pipefail
export LC_ALL=C

clusters="cluster1 cluster2"
server="/opt/spire/bin/spire-server"
socket="/tmp/spire-server/private/api.sock"

other() { if [ "$1" = cluster1 ]; then echo cluster2; else echo cluster1; fi; }
# Never the user's own kubeconfig: a file for each cluster.
k() { kubectl --kubeconfig "$RIVAL/$1/kubeconfig" "${@:2}"; }
address() {
  docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1-control-plane"
}
# A manifest of that cluster, with what is known only now.
filled() {
  sed -e "s|\${NODE_ADDRESS}|$(address "$1")|" -e "s|\${PEER_ADDRESS}|$(address "$(other "$1")")|" "$RIVAL/$1/$2"
}
rolled_out() { k "$1" --namespace "$2" rollout status "$3" --timeout 240s; }

# The clock: how many seconds each stage took.
began=$EPOCHREALTIME
done_with() {
  local now=$EPOCHREALTIME
  awk -v from="$began" -v to="$now" -v name="$1" 'BEGIN { printf "%.1f %s\n", to - from, name }' >>"$RIVAL/stages"
  began=$now
}

for c in $clusters; do
  # A node image that was built from packages has no network plugin of its own and would wait for one in vain, so the
  # wait comes after the file. Upstream's image needs no file.
  kind create cluster --name "$c" --config "$RIVAL/$c/kind.json" --kubeconfig "$RIVAL/$c/kubeconfig"
  if [ -f "$RIVAL/$c/10-kind.conflist" ]; then
    docker cp "$RIVAL/$c/10-kind.conflist" "$c-control-plane:/etc/cni/net.d/10-kind.conflist"
  fi
  k "$c" wait --for condition=Ready node --all --timeout 120s
done
done_with "clusters"

for c in $clusters; do
  for archive in "$RIVAL"/images/*.tar; do
    kind load image-archive "$archive" --name "$c"
  done
done
done_with "images"

for c in $clusters; do
  k "$c" apply --server-side --filename "$RIVAL/crds"
  k "$c" wait --for condition=Established crd --all --timeout 60s
done
done_with "definitions"

for c in $clusters; do
  filled "$c" spire/server.yaml | k "$c" apply --filename -
  rolled_out "$c" spire statefulset/spire-server
done
done_with "SPIRE servers"

for c in $clusters; do
  filled "$c" spire/agent.yaml | k "$c" apply --filename -
  k "$c" apply --filename "$RIVAL/$c/spire/csi.yaml"
  rolled_out "$c" spire daemonset/spire-agent
  rolled_out "$c" spire daemonset/spiffe-csi-driver
done
done_with "SPIRE agents and CSI drivers"

# Each server is given the other's bundle in the object that names the relationship: nobody waits for a first poll.
for c in $clusters; do
  bundle=$(k "$(other "$c")" --namespace spire exec spire-server-0 --container spire-server -- \
    "$server" bundle show -socketPath "$socket" -format spiffe | tr -d '\n')
  filled "$c" spire/federation.yaml | sed "s|\${PEER_BUNDLE}|$bundle|" | k "$c" apply --filename -
done
for c in $clusters; do
  until k "$c" --namespace spire exec spire-server-0 --container spire-server -- \
    "$server" bundle list -socketPath "$socket" -id "spiffe://$(other "$c").local"; do sleep 2; done
done
done_with "federation"

for c in $clusters; do
  k "$c" create namespace istio-system
  k "$c" label namespace istio-system "topology.istio.io/network=network${c#cluster}"
  files=()
  for file in "$RIVAL/$c"/istio/*.yaml; do files+=(--filename "$file"); done
  istioctl install --skip-confirmation --kubeconfig "$RIVAL/$c/kubeconfig" "${files[@]}"
done
done_with "Istio"

for c in $clusters; do
  # kind's kubeconfig names a port of this machine; the other cluster needs the node's address.
  istioctl create-remote-secret --kubeconfig "$RIVAL/$c/kubeconfig" --name "$c" \
    --server "https://$(address "$c"):6443" |
    k "$(other "$c")" apply --filename -
done
done_with "remote secrets"

for c in $clusters; do
  # Identities stand before the pods that ask for one.
  k "$c" apply --filename "$RIVAL/$c/spire/identities.yaml" --filename "$RIVAL/$c/spire/gateway-identity.yaml"
  k "$c" apply --filename "$RIVAL/$c/gateway/east-west.yaml"
  until k "$c" --namespace istio-system get service east-west-istio; do sleep 2; done
  # Nothing gives out load balancers' addresses here; the node's own does, without another controller to wait for.
  k "$c" --namespace istio-system patch service east-west-istio --subresource status --type merge \
    --patch "{\"status\": {\"loadBalancer\": {\"ingress\": [{\"ip\": \"$(address "$c")\"}]}}}"
  rolled_out "$c" istio-system deployment/east-west-istio
done
done_with "gateways"

for c in $clusters; do
  k "$c" apply --filename "$RIVAL/$c/workloads/mesh.yaml"
  rolled_out "$c" istio-test deployment/helloworld
  rolled_out "$c" istio-test deployment/curl
done
done_with "workloads"

for c in $clusters; do
  # Ten requests a look, for both versions answer; what counts is the other cluster's.
  until k "$c" --namespace istio-test exec deployment/curl --container curl -- \
    curl -sS -m 10 "http://helloworld:5000/hello?request=[1-10]" | grep "version: v$(other "$c" | tr -dc 12),"; do
    sleep 2
  done
done
done_with "answers"
