#!/usr/bin/env bash
# Proves the packages: builds two revisions, and for each kind installs the first into an empty root, runs a pipeline from there
# against simulated servers, upgrades, removes, and compares what is left with what was there. Then test-units.sh does it again under
# systemd. Needs root, cargo-deb, cargo-generate-rpm, rpm, and what `make static` or `make`, and `make demo` for the simulated
# servers, have built. BUILT is as for build.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
packages=$PWD/target/packages
sim=${CARGO_TARGET_DIR:-target}/debug/vw-sim
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "packages: $*" >&2
    exit 1
}

# A root with a shell for the packages' scripts, and with the libraries that it needs.
new_root() {
    local root=$1 file
    mkdir -p "$root"/{bin,dev,tmp,etc/logrotate.d,etc/systemd/system/multi-user.target.wants}
    # These are the distribution's own: rpm removes no folder that it was not told of.
    mkdir -p "$root"/usr/{bin,lib/systemd/system,share/doc,share/licenses,share/man/man{1,5,7}}
    : > "$root/dev/null"
    for file in sh rm rmdir; do
        copy_program "$root" "$(command -v "$file")" "/bin/$file"
    done
}

# copy_program ROOT FROM TO: a program and its libraries.
copy_program() {
    local library
    install -D "$2" "$1$3"
    # Lines such as: libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…); and the loader's, which has no arrow.
    { ldd "$2" || true; } | grep -o '/[^ ]*' | while read -r library; do
        install -D "$library" "$1$library"
    done
}

# All that is in a root, except what dpkg and rpm write down for themselves.
listing() {
    (cd "$1" && find . -path ./var -prune -o -print | sort)
}

# The three stages from the root, with the root's commands only.
pipeline() {
    local bin=$1/usr/bin said
    # shellcheck disable=SC2016 # the inner shell expands
    said=$("$sim" -- env PATH="$bin" /bin/sh -c 'vw-scan-esx -n sim | vw-filter -n sim | vw-report-candlepin -n sim')
    [[ $said == *'"state":"finished"'* ]] || fail "the pipeline of $bin says: $said"
    echo "$said"
}

# Nothing but the C library, and gcc's for unwinding, is linked; nothing at all to a static command.
linkage() {
    local command library
    for command in "$1"/usr/bin/vw-*; do
        readelf -d "$command" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r library; do
            case $library in
                libc.so.6 | libm.so.6 | libgcc_s.so.1 | ld-linux-*) ;;
                *) fail "$command needs $library" ;;
            esac
        done
    done
}

# Static commands find the certificate authorities where the distribution has them, and nowhere else. $1 is the root, $2 the file.
trust() {
    [ -n "$static" ] || return 0
    install -d "$1$(dirname "$2")" "$1/usr/bin"
    # shellcheck disable=SC2016 # the inner shell expands
    ROOT=$1 FILE=$2 TMPDIR=$1/tmp "$sim" -- /bin/bash -euc '
        scan() {
            env -i VW_CONFIG="${VW_CONFIG#"$ROOT"}" /usr/sbin/chroot "$ROOT" /usr/bin/vw-scan-esx -n sim
        }
        if scan > "$ROOT/tmp/document" 2>&1; then echo "no authority, but trusted" >&2; exit 1; fi
        install -m 644 "$SSL_CERT_FILE" "$ROOT$FILE"
        scan > "$ROOT/tmp/document"
    ' || fail "the authorities in $2"
    grep -q '"hypervisors"' "$1/tmp/document" || fail "no document"
    rm -f "$1$2" "$1/tmp/document"
    (cd "$1" && rmdir -p ".${2%/*}" 2>/dev/null) || true
}

# What both kinds must contain. $1 is the root, $2 zsh's folder.
contents() {
    local source command page
    for source in src/bin/*.rs; do
        command=$(basename "$source" .rs)
        [[ $(PATH="$1/usr/bin" "$command" --version) == "$command "* ]] || fail "$command --version"
        [ -s "$1/usr/share/bash-completion/completions/$command" ] || fail "no completion of $command for bash"
        [ -s "$1/usr/share/fish/vendor_completions.d/$command.fish" ] || fail "no completion of $command for fish"
        [ -s "$1$2/_$command" ] || fail "no completion of $command for zsh"
    done
    for source in man/*.[1-9]; do
        page=$1/usr/share/man/man${source##*.}/${source##*/}.gz
        gzip -dc "$page" | cmp - "$source" || fail "$page differs"
    done
    for source in contrib/systemd/*.service contrib/systemd/*.timer; do
        [ -s "$1/usr/lib/systemd/system/${source##*/}" ] || fail "no unit ${source##*/}"
    done
    [ -z "$(find "$1/etc/systemd" -name 'vw*')" ] || fail "a unit is enabled"
    find "$1/usr/share/doc/vw" -type f | grep -q changelog -i || fail "no changelog"
}

# An administrator enables the service and changes a rule.
administrate() {
    ln -s /usr/lib/systemd/system/vw.service "$1/etc/systemd/system/multi-user.target.wants/vw.service"
    echo '# changed' >> "$1/etc/logrotate.d/vw"
}

upgraded() {
    [ -L "$1/etc/systemd/system/multi-user.target.wants/vw.service" ] || fail "the upgrade has disabled the service"
    grep -q '# changed' "$1/etc/logrotate.d/vw" || fail "the upgrade has replaced the administrator's rule"
}

# removed ROOT BEFORE [ALLOWED]: nothing is left but what was there, and the administrator's file.
removed() {
    local left
    left=$(listing "$1" | comm -13 "$2" - | grep -vx "${3:-}" || true)
    [ -z "$left" ] || fail "left: $left"
}

deb() {
    local root=$scratch/deb version
    new_root "$root"
    mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
    # What the package depends on is taken to be what this machine has.
    version=$(dpkg-query --show --showformat '${Version}' libc6)
    printf '%s\n' 'Package: libc6' 'Status: install ok installed' "Version: $version" \
        "Architecture: $(dpkg --print-architecture)" 'Maintainer: none' 'Description: of this machine' > "$root/var/lib/dpkg/status"
    listing "$root" > "$scratch/before"
    if [ -n "$static" ]; then
        [ -z "$(dpkg-deb --field "$packages"/vw_*-1_*.deb Depends)" ] || fail "the .deb depends on something"
        : > "$root/var/lib/dpkg/status"
    fi
    dpkg --root="$root" --install "$packages"/vw_*-1_*.deb
    contents "$root" /usr/share/zsh/vendor-completions
    linkage "$root"
    trust "$root" /etc/ssl/certs/ca-certificates.crt
    pipeline "$root"
    administrate "$root"
    dpkg --root="$root" --force-confdef --force-confold --install "$packages"/vw_*-2_*.deb
    upgraded "$root"
    pipeline "$root"
    dpkg --root="$root" --remove vw
    removed "$root" "$scratch/before" './etc/logrotate.d/vw'
    dpkg --root="$root" --purge vw
    removed "$root" "$scratch/before"
}

rpm_() {
    local root=$scratch/rpm
    new_root "$root"
    # This machine's packages are not rpm's: what must be there is listed instead.
    rpm --root "$root" --initdb
    rpm -q --requires -p "$packages"/vw-*-1.*.rpm | sort -u > "$scratch/requires"
    local allowed='/bin/sh|config\(vw\)|rpmlib\('
    [ -n "$static" ] || allowed+='|ld-linux|lib(c|m|gcc_s)\.so|rtld\('
    ! grep -vE "^($allowed)" "$scratch/requires" || fail "odd dependencies"
    [ "$(rpm -q --configfiles -p "$packages"/vw-*-1.*.rpm)" = /etc/logrotate.d/vw ] || fail "the rules are no configuration file"
    listing "$root" > "$scratch/before"
    rpm --root "$root" --nodeps --install "$packages"/vw-*-1.*.rpm
    contents "$root" /usr/share/zsh/site-functions
    linkage "$root"
    trust "$root" /etc/pki/tls/certs/ca-bundle.crt
    pipeline "$root"
    administrate "$root"
    rpm --root "$root" --nodeps --upgrade "$packages"/vw-*-2.*.rpm
    upgraded "$root"
    pipeline "$root"
    rpm --root "$root" --erase vw
    removed "$root" "$scratch/before" './etc/logrotate.d/vw.rpmsave'
}

# Under a systemd of its own, where one can boot. $1 is the kind.
units() {
    if timeout 60 contrib/packages/boot.sh /bin/true; then
        contrib/packages/boot.sh contrib/packages/test-units.sh "$1" || fail "the units of the .$1, status $?"
    else
        echo 'skipped: systemd cannot boot here, so the units were not run'
    fi
}

static=
readelf --program-headers "${BUILT:-${CARGO_TARGET_DIR:-target}/release}/vw-run" | grep -q INTERP || static=yes
rm -f "$packages"/vw[-_]*
REVISION=1 contrib/packages/build.sh
REVISION=2 contrib/packages/build.sh
deb
units deb
if command -v rpm >/dev/null; then
    rpm_
    units rpm
else
    echo 'skipped: rpm is not installed'
fi
