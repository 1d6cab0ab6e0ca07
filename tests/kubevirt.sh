#!/bin/bash
# Runs vw-scan-kubevirt against a real kube-apiserver, and compares the mapping with what virt-who 1.32.1 recorded. By hand:
#
#   cargo build && tests/kubevirt.sh [FOLDER]
#
# It needs go with its module proxy, etcd (Debian: etcd-server), openssl, and kubectl 1.24 or newer. The first time it builds
# kube-apiserver in FOLDER (target/kube-apiserver): three minutes of two cores, 3 GB of cache. It uses the ports 12379, 12380
# and 16443 of 127.0.0.1, and ends with 0 if all is as expected.
set -eu
version=1.34.1
top=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$top/target/kube-apiserver}
data=$top/tests/data/kubernetes
PATH=${VW_BIN:-$top/target/debug}:$PATH
for tool in go etcd openssl kubectl vw-scan-kubevirt; do
    command -v $tool > /dev/null || { echo "$tool is missing" >&2; exit 1; }
done
mkdir -p "$folder"
cd "$folder"

# kube-apiserver is in no package, but it is a Go module, which names the versions of its parts with a path in its own sources.
if [ ! -x kube-apiserver ]; then
    export GOFLAGS=-mod=mod
    cat > main.go <<'EOF'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
EOF
    rm -f go.mod go.sum
    go mod init kube-apiserver
    module=$(go mod download -json k8s.io/kubernetes@v$version | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
    grep -oE 'k8s.io/[a-z-]+ (=> \./staging|v0\.0\.0)' "$module" | cut -d' ' -f1 | sort -u \
        | grep -vE '/(utils|klog|kube-openapi|gengo)$' | sed "s|.*|replace & => & v0.${version#1.}|" >> go.mod
    echo "require k8s.io/kubernetes v$version" >> go.mod
    go mod tidy
    # Without its version, nobody can ask the server for it.
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$version" -o kube-apiserver .
fi

run=$(mktemp -d)
etcd='' apiserver='' watch=''
finish() {
    # An API server takes a minute to end.
    for pid in $watch $apiserver $etcd; do kill -9 "$pid" 2> /dev/null || true; done
    rm -rf "$run"
}
trap finish EXIT
cd "$run"
etcd --data-dir etcd --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
    --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 \
    --initial-cluster default=http://127.0.0.1:12380 > etcd.log 2>&1 &
etcd=$!
openssl genrsa -out sa.key 2048 2> /dev/null
echo 's3cr3t-tok3n,admin,admin-uid,"system:masters"' > tokens.csv
serve() {
    "$folder/kube-apiserver" --etcd-servers=http://127.0.0.1:12379 --bind-address=127.0.0.1 --secure-port=16443 \
        --cert-dir=certs --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=sa.key \
        --service-account-signing-key-file=sa.key --service-cluster-ip-range=10.96.0.0/24 --token-auth-file=tokens.csv \
        --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount >> apiserver.log 2>&1 &
    apiserver=$!
    for _ in $(seq 120); do
        kill -0 $apiserver
        [ -e certs/apiserver.crt ] && [ "$(kubectl --kubeconfig config get --raw /readyz 2> /dev/null)" = ok ] && return
        sleep 1
    done
    echo "kube-apiserver is not ready after two minutes" >&2
    exit 1
}
# Writes a kubeconfig: the user, and what else the cluster has.
kubeconfig() {
    cat <<EOF
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:16443"$2}}]
users: [{name: u, user: {$1}}]
EOF
}
authority=", certificate-authority: $run/certs/apiserver.crt"
kubeconfig 'token: s3cr3t-tok3n' "$authority" > config
kubeconfig 'token: wr0ng-tok3n' "$authority" > config-refused
kubeconfig 'token: s3cr3t-tok3n, as: bob' "$authority" > config-forbidden
kubeconfig 'token: s3cr3t-tok3n' '' > config-untrusted
export KUBECONFIG=$run/config VW_CONFIG=/dev/null
serve

failures=0
# Runs a scan, and compares its exit status, and what it says with a pattern.
expect() {
    local status=$1 pattern=$2
    shift 2
    local ended=0
    vw-scan-kubevirt "$@" > out 2> err || ended=$?
    if [ $ended = "$status" ] && cat out err | grep -qE -- "$pattern" && [ "$(grep -vc "; trying again in " err)" -le 1 ] && ! grep -q tok3n out err \
        && { [ "$status" = 0 ] || [ ! -s out ]; }; then
        echo "ok: $status $*"
    else
        echo "WRONG: vw-scan-kubevirt $*: $ended, expected $status and /$pattern/"
        head -c 1000 out err
        failures=$((failures + 1))
    fi
}

expect 69 'have a resource type' # KubeVirt is not installed
expect 69 'KubeVirt is not installed' --check
kubectl apply -f "$data/vmi-crd.yaml" > /dev/null
kubectl wait --for=condition=Established crd/virtualmachineinstances.kubevirt.io > /dev/null
status() { kubectl patch "$1" "$2" --subresource=status --type=merge -p "{\"status\":$3}" > /dev/null; }
for n in 0 1 2; do
    printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"node%d"}}' $n | kubectl create -f - > /dev/null
    status node node$n "$(printf '{"addresses":[{"type":"Hostname","address":"node%d.example.com"}],"capacity":{"cpu":"8"},
        "allocatable":{"cpu":"7500m"},"nodeInfo":{"machineID":"%032d","systemUUID":"%08d-1111-4222-8333-444444444444",
        "kubeletVersion":"v1.34.1","kernelVersion":"","bootID":"","osImage":"","containerRuntimeVersion":"",
        "kubeProxyVersion":"","operatingSystem":"linux","architecture":"amd64"}}' $n $n $n)"
done
# A virtual machine instance: its number, its node and its phase.
machine() {
    printf '{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","metadata":{"name":"vm%04d","namespace":"default"},
        "spec":{"domain":{"devices":{},"firmware":{"uuid":"%08d-0000-4000-8000-000000000000"}}}}' "$1" "$1" \
        | kubectl create -f - > /dev/null
    status vmi "$(printf 'vm%04d' "$1")" "{\"phase\":\"$3\",\"nodeName\":\"node$2\"}"
}
for n in 0 1 3 4 5 8; do machine $n $((n % 3)) Running; done

for id in uuid hostname; do
    expect 0 hypervisorId --layout checkin --hypervisor-id $id
    if ! vw-diff "$data/virtwho-$id.json" out; then
        echo "WRONG: not what virt-who has by $id"
        failures=$((failures + 1))
    fi
done
expect 0 'Kubernetes v1.34.1, KubeVirt API v1, 3 nodes and 6 virtual machine instances can be read' --check
expect 0 '"server":"127.0.0.1:16443"'
expect 0 '"hypervisors"' --kubeversion v1
expect 69 'kubeversion' --kubeversion v1alpha3
expect 77 "must be logged in" --kubeconfig config-refused
expect 77 'Forbidden.*list and watch' --kubeconfig config-forbidden
expect 77 'certificate' --kubeconfig config-untrusted
expect 0 '"hypervisors"' --kubeconfig config-untrusted --insecure
expect 0 '"hypervisors"' --insecure
expect 78 'no such file' --kubeconfig nosuch
expect 64 hwuuid --hypervisor-id hwuuid

# More than a page of kubectl's, which has 500.
for n in $(seq 1000 1599); do
    printf '{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","metadata":{"name":"waiting%d"}}\n' "$n"
done | kubectl create -n default -f - > /dev/null
expect 0 'left out 600 guests'
expect 0 '3 nodes and 606 virtual machine instances can be read' --check

# A watch sees a change, and survives the server's end.
documents() { wc -l < watched; }
until_documents() {
    for _ in $(seq 120); do
        [ "$(documents)" -ge "$1" ] && { echo "ok: document $1 of the watch"; return; }
        kill -0 "$watch" || break
        sleep 1
    done
    echo "WRONG: the watch has no document $1"
    cat watch.log
    failures=$((failures + 1))
}
vw-scan-kubevirt --watch --settle 1 > watched 2> watch.log &
watch=$!
until_documents 1
machine 10 1 Running
until_documents 2
kill -9 $apiserver
wait $apiserver 2> /dev/null || true
expect 75 'gave up after .* refused' --timeout 3
serve
machine 11 2 Succeeded
until_documents 3
kill -TERM "$watch"
ended=0
wait "$watch" || ended=$?
watch=''
tail -n 1 watched | grep -q '"guestId":"00000011-0000-4000-8000-000000000000","state":5' && [ $ended = 143 ] || {
    echo "WRONG: the end of the watch: $ended"
    tail -n 1 watched
    failures=$((failures + 1))
}
cat watch.log
[ $failures = 0 ] && echo "all is as expected"
exit $failures
