#!/usr/bin/env bash
# Changes the code of the pure rooms in many small ways, and runs their unit tests on each change (cargo install cargo-mutants).
# A change that no test notices is printed, unless tests/mutants.txt names it with a reason; then the exit status is 1.
#
#   tests/mutants.sh                       all pure rooms, which takes hours
#   tests/mutants.sh src/escape.rs ...     these files
#
# Everything happens in a copy in target/mutants with only the room and those that it uses, because that is built much faster.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$#" -gt 0 ] || set -- src/escape.rs src/text.rs src/backoff.rs src/pace.rs src/diff/change.rs \
    src/systems/satellite5/plan.rs src/systems/candlepin/checkin.rs src/filter*.rs src/filter/*.rs \
    src/mapping.rs src/mapping/*.rs src/config.rs src/config/*.rs src/config/format/*.rs
copy=$PWD/target/mutants
missed=$copy/missed.txt

# used ROOM SYSTEM: the room and all that it uses, also indirectly. Of the systems only SYSTEM counts.
used() {
    local all=" $1 " next=$1 room files
    while [ -n "$next" ]; do
        room=${next%% *}
        next=${next#"$room"}
        next=${next# }
        files=("src/$room.rs")
        case $room in
            systems) files=("src/systems/$2.rs" "src/systems/$2") ;;
            *) [ ! -d "src/$room" ] || files+=("src/$room") ;;
        esac
        for room in $(grep -rh 'crate::' "${files[@]}" | grep -v '^ *//' | grep -oE 'crate::[a-z_]+' | cut -d: -f3 | sort -u); do
            [ -e "src/$room.rs" ] && [[ $all != *" $room "* ]] || continue
            all+="$room "
            next+="${next:+ }$room"
        done
    done
    echo "$all"
}

# fresh_copy ROOM SYSTEM: the repository with this room and what it uses.
fresh_copy() {
    local all room
    all=$(used "$1" "$2")
    mkdir -p "$copy/vw"
    find "$copy/vw" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    mkdir "$copy/vw/tests"
    cp -r src Cargo.toml Cargo.lock "$copy/vw/"
    cp -r tests/data tests/*.py "$copy/vw/tests/"
    rm -r "$copy/vw/src/bin"
    for room in $(sed -n 's/^pub mod \(.*\);/\1/p' src/lib.rs); do
        [[ $all == *" $room "* ]] || sed -i "/^pub mod $room;/d" "$copy/vw/src/lib.rs"
    done
    [ -z "$2" ] || sed -i "/^pub mod $2;/!{/^pub mod /d}" "$copy/vw/src/systems.rs"
    # The benches and the simulators are not copied.
    sed -i -e '/^members = /d' -e '/^vw-sim = /d' -e '/^\[\[bench\]\]/,/^$/d' "$copy/vw/Cargo.toml"
    printf '\n[profile.test]\ndebug = 0\n' >> "$copy/vw/Cargo.toml"
}

# mutate FILTER FILE...: mutants of the files, tried by the unit tests whose names contain the filter.
mutate() {
    local filter=$1 files=() file status=0
    shift
    for file in "$@"; do
        files+=(--file "$file")
    done
    nice cargo mutants --dir "$copy/vw" --output "$copy" --in-place --no-shuffle --cap-lints=true --cargo-arg=--lib \
        "${files[@]}" -- "$filter" || status=$?
    # 2: some were missed, 3: some took too long, which counts as noticed.
    case $status in 0|2|3) ;; *) exit "$status" ;; esac
    cat "$copy/mutants.out/missed.txt" >> "$missed"
    # The compiler's cache grows with each mutant.
    rm -rf "$copy/vw/target/debug/incremental"
}

mkdir -p "$copy"
: > "$missed"
for file in "$@"; do
    case $file in *tests.rs|*/tests/*) ;; *) echo "$file" ;; esac
done | sort -u > "$copy/files.txt"
# The first part of a path below src, or the first two of a system's, is the room.
for room in $(sed -E 's|^src/(systems/)?([a-z0-9_]+).*|\1\2|' "$copy/files.txt" | sort -u); do
    mapfile -t files < <(grep -E "^src/$room(\.rs|/)" "$copy/files.txt")
    case $room in
        systems/*) fresh_copy systems "${room#systems/}" ;;
        *) fresh_copy "$room" '' ;;
    esac
    mutate "${room//\//::}::" "${files[@]}"
done

# Line numbers change with each commit, so a mutant is known by its file and description.
sed -E 's/:[0-9]+:[0-9]+:/:/' "$missed" | sort -u > "$copy/unnamed.txt"
grep -v '^#' tests/mutants.txt | sed -E 's/ +# .*//' > "$copy/named.txt"
if unnamed=$(grep -vxF -f "$copy/named.txt" "$copy/unnamed.txt"); then
    printf 'No test notices these changes, and tests/mutants.txt gives no reason:\n%s\n' "$unnamed"
    exit 1
fi
echo 'All changes are noticed, or named in tests/mutants.txt.'
