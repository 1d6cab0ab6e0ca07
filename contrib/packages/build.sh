#!/bin/sh
# Makes a .deb and an .rpm in target/packages from what `make` or `make static` has built, with cargo-deb and cargo-generate-rpm.
# `make packages` calls it. BUILT is the folder of the built commands. REVISION (1) is the packages' own. MAINTAINER is who answers for
# the .deb, as in 'Jane Doe <jane@example.com>'.
set -eu
cd "$(dirname "$0")/../.."
packages=target/packages
revision=${REVISION:-1}
BUILT=${BUILT:-$(realpath "${CARGO_TARGET_DIR:-target}")/release}
# A static command requires nothing, but the .rpm would name the C library for its table of symbols.
if readelf --program-headers "$BUILT/vw-run" | grep -q INTERP; then requires=auto; else requires=disabled; fi

# stage NAME VARIABLE=VALUE...: the files of a package, as `make install` installs them.
stage() {
    stage=$packages/$1
    shift
    rm -rf "$stage"
    make --no-print-directory install PREFIX=/usr DESTDIR="$PWD/$stage" BUILT="$BUILT" "$@"
}

mkdir -p "$packages"

# cargo-deb compresses the manual pages and the changelog. /usr/share/doc/vw/copyright has the licence.
stage deb ZSHDIR=/usr/share/zsh/vendor-completions
mv target/packages/deb/usr/share/doc/vw/CHANGELOG.md target/packages/deb/usr/share/doc/vw/changelog
cargo deb --no-build --no-strip --deb-revision "$revision" ${MAINTAINER:+--maintainer "$MAINTAINER"} --output "$packages/"

stage rpm LICENSEDIR=/usr/share/licenses/vw
find target/packages/rpm/usr/share/man -type f -exec gzip -9n {} +
# The rpm of RHEL 7 does not know zstd.
cargo generate-rpm --auto-req "$requires" --payload-compress gzip --set-metadata "release = \"$revision\"" --output "$packages/"
