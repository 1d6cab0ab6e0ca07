#!/usr/bin/env bash
# Runs a program under a systemd of its own: boot.sh PROGRAM [ARGUMENT...]. It boots a copy-on-write copy of this machine in new
# namespaces, without a network; nothing outside can be changed from there, and all of it is gone at the end. What the program prints
# is printed, and its exit status is returned; 75 means that systemd cannot boot here. Needs root, systemd and the kernel's overlayfs.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
repository=$(realpath "$here/../..")
target=$(realpath -m "${CARGO_TARGET_DIR:-$repository/target}")

# Outside: the namespaces, with a control group of their own.
boot() {
    local scratch group status=0
    [ -x /lib/systemd/systemd ] && [ "$(id -u)" -eq 0 ] || { echo 'boot: no systemd, or not root' >&2; exit 75; }
    group=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1)
    [ -n "$group" ] || { echo 'boot: no control groups of version 2' >&2; exit 75; }
    group=$group/vw-boot-$$
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # the values of now
    trap "sleep 0.2; find '$group' -depth -type d -exec rmdir {} + || true; rm -rf '$scratch'" EXIT
    mkdir "$group" "$scratch/root"
    : > "$scratch/output"
    tail -f -n +1 --pid=$$ "$scratch/output" &
    local tail=$! booted
    # A subshell, because systemd moves the processes of this group. A boot that hangs is ended.
    (
        echo "$BASHPID" > "$group/cgroup.procs"
        exec timeout 600 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net \
            "$here/boot.sh" --inside "$scratch" "$@"
    ) &
    booted=$!
    # shellcheck disable=SC2064 # the value of now
    trap "kill $booted; exit 143" INT TERM
    wait "$booted" || status=$?
    sleep 0.2
    kill "$tail" 2>/dev/null || true
    [ -e "$scratch/booted" ] || { echo 'boot: systemd has not come up' >&2; exit 75; }
    return "$status"
}

# Inside: the root, then systemd in our place. It ends with the status of the program.
inside() {
    local scratch=$1 root=$1/root device
    shift
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$root"
    mkdir "$root/upper" "$root/work" "$root/root"
    mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" overlay "$root/root"
    root=$root/root
    mount -t proc proc "$root/proc"
    # systemd changes no settings of the kernel and starts no udev if it cannot write here.
    mount --bind /proc/sys "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    # Never the machine's own devices: a mistake there would outlive us.
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
    done
    mknod -m 666 "$root/dev/tty" c 5 0
    mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/boot"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mount --bind "$scratch" "$root/run/boot"
    mkdir -p "$root$repository" "$root$target"
    mount --bind "$repository" "$root$repository"
    mount -o remount,bind,ro "$root$repository"
    mount --bind "$target" "$root$target"
    mount -o remount,bind,ro "$root$target"
    # Nothing that this machine has enabled is started.
    rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/default.target
    unit "$@" > "$root/etc/systemd/system/boot-program.service"
    cd "$root"
    mkdir "$root/run/old"
    pivot_root . run/old
    umount --lazy /run/old
    # As systemd finds it on a machine: credentials are mounted from elsewhere.
    mount --make-rshared /
    exec env -i container=vw-boot PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-sys_boot,-syslog \
        /lib/systemd/systemd --unit=boot-program.service > /dev/null 2>&1
}

# The unit that runs the program.
unit() {
    printf '%s\n' '[Unit]' 'Wants=multi-user.target' 'After=multi-user.target dbus.service' \
        '[Service]' 'Type=oneshot' 'StandardOutput=append:/run/boot/output' 'StandardError=inherit' \
        "Environment=CARGO_TARGET_DIR=$target BUILT=${BUILT:-}" "WorkingDirectory=$repository" \
        'ExecStartPre=/bin/touch /run/boot/booted' \
        "ExecStart=$(printf '"%s" ' "$@")" \
        'ExecStopPost=/bin/sh -c "systemctl exit $${EXIT_STATUS:-70}"'
}

if [ "${1-}" = --inside ]; then
    shift
    inside "$@"
elif [ "$#" -gt 0 ]; then
    program=$(realpath "$1")
    shift
    boot "$program" "$@"
else
    echo "usage: $0 PROGRAM [ARGUMENT...]" >&2
    exit 64
fi
