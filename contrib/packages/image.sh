#!/bin/sh
# Makes the image of contrib/Containerfile from what `make static` has built: image.sh NAME. `make image` calls it with BUILT, the
# folder of the static commands. Needs buildah or podman, and no network. Without NAME, only the image's files are collected, in
# target/packages/image.
set -eu
cd "$(dirname "$0")/../.."
root=target/packages/image

for roots in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    [ ! -e "$roots" ] || break
done
rm -rf "$root"
install -d "$root/usr/bin" "$root/etc/ssl/certs"
for source in src/bin/*.rs; do
    install "$BUILT/$(basename "$source" .rs)" "$root/usr/bin"
done
install -m 644 "$roots" "$root/etc/ssl/certs/ca-certificates.crt"
# Documents wait here for their report, unless /tmp is mounted.
install -d -m 1777 "$root/tmp"

[ "$#" -gt 0 ] || exit 0
if command -v buildah >/dev/null; then
    buildah bud --tag "$1" --file contrib/Containerfile "$root"
else
    podman build --tag "$1" --file contrib/Containerfile "$root"
fi
