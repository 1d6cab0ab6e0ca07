#!/bin/sh
# Proves the image's files: the static commands run a pipeline and a round of vw-run in a root that contains nothing else, as a user
# without rights, and find the certificate authorities there. Needs root, BUILT as image.sh does, and the simulated servers.
set -eu
cd "$(dirname "$0")/../.."
sim=${CARGO_TARGET_DIR:-target}/debug/vw-sim
contrib/packages/image.sh
root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT
cp -a target/packages/image/. "$root"
chmod 755 "$root"
# Each container has these.
mkdir "$root/dev" "$root/proc"
mount -t proc proc "$root/proc"
: > "$root/dev/null"
chmod 666 "$root/dev/null"

for command in "$root"/usr/bin/*; do
    if readelf --program-headers --dynamic "$command" | grep -E 'INTERP|NEEDED'; then
        echo "$command is not static" >&2
        exit 1
    fi
done

# The simulated servers' authority takes the place of the real ones, where the commands look without being told.
# shellcheck disable=SC2016 # the inner shell expands
said=$(TMPDIR=$root/tmp ROOT=$root "$sim" -- sh -euc '
    cp "$SSL_CERT_FILE" "$ROOT/etc/ssl/certs/ca-certificates.crt"
    chown -R 65532:65532 "$ROOT/tmp"
    inside() {
        env -i PATH=/usr/bin VW_CONFIG="${VW_CONFIG#"$ROOT"}" /usr/sbin/chroot --userspec=65532:65532 "$ROOT" "$@"
    }
    inside vw-scan-esx -n sim | inside vw-filter -n sim | inside vw-report-candlepin -n sim
    inside vw-run --one-shot --state-dir /tmp/state -n sim
')
echo "$said"
[ "$(echo "$said" | grep -c '"state":"finished"')" -eq 2 ]
