#!/bin/sh
# Installs what `make` has built, or removes it: install.sh install|uninstall. `make install` and `make uninstall` call it with
# these variables: BUILT (the folder of the built commands), DESTDIR, PREFIX, BINDIR, MANDIR, DOCDIR, LICENSEDIR, UNITDIR,
# SYSCONFDIR, BASHDIR, ZSHDIR and FISHDIR. It builds nothing, because root may have no Rust, and enables nothing.
set -eu
umask 022
cd "$(dirname "$0")/.."
tab=$(printf '\t')

# Prints a line for each file: mode, source and destination. Both actions use it, so nothing can be forgotten by one of them.
plan() {
    for source in src/bin/*.rs; do
        command=$(basename "$source" .rs)
        line 755 "$BUILT/$command" "$BINDIR/$command"
        line 644 "$BUILT/completions/bash/$command.bash" "$BASHDIR/$command"
        line 644 "$BUILT/completions/zsh/_$command" "$ZSHDIR/_$command"
        line 644 "$BUILT/completions/fish/$command.fish" "$FISHDIR/$command.fish"
    done
    for source in man/*.[1-9]; do
        line 644 "$source" "$MANDIR/man${source##*.}/${source##*/}"
    done
    for source in contrib/systemd/*.service contrib/systemd/*.timer; do
        line edited "$source" "$UNITDIR/${source##*/}"
    done
    line 644 contrib/logrotate/vw "$SYSCONFDIR/logrotate.d/vw"
    for source in README.md CHANGELOG.md; do
        line 644 "$source" "$DOCDIR/$source"
    done
    for source in LICENSE-*; do
        line 644 "$source" "$LICENSEDIR/$source"
    done
    line edited contrib/cron/vw "$DOCDIR/examples/cron"
    line 644 contrib/systemd/credentials.conf "$DOCDIR/examples/credentials.conf"
    find contrib/kubernetes contrib/Containerfile -type f | sort | while IFS= read -r source; do
        line 644 "$source" "$DOCDIR/examples/${source#contrib/}"
    done
}

line() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

fail() {
    echo "$0: $*" >&2
    exit 1
}

# Units and cron tables name the commands' folder.
edit() {
    sed "s|/usr/local/bin\([/:]\)|$BINDIR\1|" "$1" > "$2"
    chmod 644 "$2"
}

install_all() {
    # Units and cron tables would need quotes, and sed, too.
    case $BINDIR in
        *[!A-Za-z0-9/._+@-]*) fail "units of systemd cannot name \"$BINDIR\": use a PREFIX without spaces and signs" ;;
    esac
    plan | while IFS=$tab read -r mode source destination; do
        [ -e "$source" ] || fail "$source has not been built: run make first"
    done
    plan | while IFS=$tab read -r mode source destination; do
        destination=$DESTDIR$destination
        mkdir -p "$(dirname "$destination")"
        case $mode in
            edited) edit "$source" "$destination" ;;
            *) install -m "$mode" "$source" "$destination" ;;
        esac
    done
}

uninstall_all() {
    # Not in one pipeline, because its status would hide that rm failed.
    plan | while IFS=$tab read -r mode source destination; do
        rm -f "$DESTDIR$destination"
    done
    plan | while IFS=$tab read -r mode source destination; do
        echo "${destination%/*}"
    done | sort -ru | while IFS= read -r folder; do
        remove_empty "$folder"
    done
}

# Removes a folder and those above it, as far as they are empty.
remove_empty() {
    folder=$1
    while [ -n "$folder" ] && ! is_the_systems "$folder" && rmdir "$DESTDIR$folder" 2>/dev/null; do
        folder=${folder%/*}
    done
}

# Whether a folder stays even if it is empty: the system's, and what PREFIX is in, such as a user's home.
is_the_systems() {
    [ -z "$DESTDIR" ] || return 1
    case $1/ in
        "$DOCDIR"/* | "$LICENSEDIR"/*) return 1 ;;
        /etc/* | /usr/*) ;;
        "$PREFIX"/*) return 1 ;;
    esac
}

case ${1-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) echo "usage: $0 install|uninstall" >&2; exit 64 ;;
esac
