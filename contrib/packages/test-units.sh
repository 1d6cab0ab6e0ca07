#!/usr/bin/env bash
# Proves the units and what the packages' scripts do with them, under a real systemd: boot.sh test-units.sh KIND, where KIND is deb or
# rpm. Two revisions of the package must be in target/packages, and the simulated servers must be built; test.sh does both and calls
# this. It changes the machine that it runs on, so it demands to be started by boot.sh.
set -euo pipefail
[ "$(systemd-detect-virt --container || true)" = container-other ] && [ -d /run/boot ] || { echo "$0: only for boot.sh" >&2; exit 64; }
kind=$1
packages=$PWD/target/packages
PATH=$PATH:/usr/sbin:/sbin
scratch=$(mktemp -d)

fail() {
    echo "units: $*" >&2
    systemctl status --no-pager --full 'vw*' >&2 || true
    journalctl --no-pager --lines 60 --unit 'vw*' >&2
    exit 1
}

# eventually COMMAND...: waits until it succeeds. The limit is for defects only.
eventually() {
    local deadline=$((SECONDS + 60))
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "in vain: $*"
        sleep 0.1
    done
}

property() {
    systemctl show --value --property "$2" "$1"
}

# Whether a unit has a property's value.
is() {
    [ "$(property "$1" "$2")" = "$3" ]
}

is_mode() {
    [ "$(stat --format %a "$2")" = "$1" ]
}

# What a unit has written since the mark, as "PRIORITY MESSAGE" lines.
said() {
    journalctl --unit "$1" --after-cursor "$mark" --output json --quiet | jq -r 'select(.MESSAGE | type == "string") | "\(.PRIORITY) \(.MESSAGE)"'
}

mark() {
    mark=$(journalctl --lines 0 --show-cursor --quiet | sed -n 's/^-- cursor: //p')
}

# says UNIT PATTERN: whether a line that was written since the mark matches.
says() {
    said "$1" | grep -qE "$2"
}

install() {
    case $kind in
        deb) dpkg --install "$packages"/vw_*-"$1"_*.deb ;;
        rpm) rpm --nodeps --upgrade "$packages"/vw-*-"$1".*.rpm ;;
    esac
}

# An installation that finds a service which cannot start.
downgrade() {
    case $kind in
        deb) dpkg --install "$packages"/vw_*-1_*.deb ;;
        rpm) rpm --nodeps --upgrade --oldpackage "$packages"/vw-*-1.*.rpm ;;
    esac
}

remove() {
    case $kind in
        deb) dpkg --remove vw ;;
        rpm) rpm --erase vw ;;
    esac
}

echo "== simulated servers; their authority is one of this machine's"
systemd-run --quiet --unit simulated --property StandardOutput=file:"$scratch/settings" "${CARGO_TARGET_DIR:-target}/debug/vw-sim"
eventually grep SSL_CERT_FILE "$scratch/settings"
# shellcheck disable=SC1091 # written just now
. "$scratch/settings"
cat "$SSL_CERT_FILE" >> /etc/ssl/certs/ca-certificates.crt
configuration=$VW_CONFIG
unset SSL_CERT_FILE VW_CONFIG
section() {
    sed -n "/^\[$1\]/,/^$/p" "$configuration"
}
rm -rf /etc/virt-who.d /etc/virt-who.conf /var/lib/virt-who
mkdir -p /etc/virt-who.d /etc/sysconfig /var/lib/prometheus/node-exporter

echo "== an installed package enables and starts nothing"
[ "$kind" = deb ] || rpm --initdb
install 1
is vw.service ActiveState inactive || fail "started"
[ "$(systemctl is-enabled vw.service vw@a.timer vw-watch@a.service | sort -u)" = disabled ] || fail "enabled"

echo "== without a configuration"
mark
systemctl start vw.service && fail "started without a configuration"
eventually is vw.service ActiveState failed
is vw.service ExecMainStatus 78 || fail "not 78"
is vw.service NRestarts 0 || fail "restarted"
eventually says vw.service '^3 vw-run: '
said vw.service
systemctl reset-failed vw.service

echo "== the first round"
section sim > /etc/virt-who.d/sim.conf
chmod 600 /etc/virt-who.d/sim.conf
echo 'VW_RUN_OPTIONS=--metrics /var/lib/prometheus/node-exporter/vw.prom' > /etc/sysconfig/vw
mark
systemctl enable --now vw.service
is vw.service ActiveState active || fail "not active"
eventually says vw.service '^6 .*"section":"sim".*"state":"finished"'
eventually is vw.service StatusText '1 of 1 section succeeded'
[ -s /var/lib/prometheus/node-exporter/vw.prom ] || fail "no metrics"
[ -s /var/lib/virt-who/vw-run.json ] && is_mode 700 /var/lib/virt-who || fail "no status file, or everyone may read it"

echo "== reload: an encrypted password, a broken configuration, and back"
printf '%s\n' sim-secret | vw-password > "$scratch/hex"
section sim-rhevm | sed "s/^password=.*/encrypted_password=$(cat "$scratch/hex")/" > /etc/virt-who.d/rhevm.conf
chmod 600 /etc/virt-who.d/rhevm.conf
mark
systemctl reload vw.service
eventually says vw.service '"section":"sim-rhevm".*"state":"finished"'
mark
echo 'no section' > /etc/virt-who.d/broken.conf
systemctl reload vw.service || true
eventually says vw.service '^[34] .*broken.conf'
is vw.service ActiveState active || fail "a broken configuration has ended the service"
said vw.service
rm /etc/virt-who.d/broken.conf
mark
systemctl reload vw.service
eventually says vw.service '^6 .*the configuration was read again'

echo "== the key as a credential"
mkdir -p /etc/credstore /etc/systemd/system/vw.service.d
mv /var/lib/virt-who/key /etc/credstore/vw-key
cp contrib/systemd/credentials.conf /etc/systemd/system/vw.service.d/
systemctl daemon-reload
mark
systemctl restart vw.service
eventually says vw.service '"section":"sim-rhevm".*"state":"(finished|unchanged)"'

echo "== stop within seconds, with a good result"
since=$SECONDS
systemctl stop vw.service
is vw.service Result success || fail "stopped with $(property vw.service Result)"
[ $((SECONDS - since)) -le 20 ] || fail "the stop took $((SECONDS - since)) s"

echo "== after kill -9, and after the watchdog's, it is started again"
printf '%s\n' '[Service]' 'RestartSec=100ms' 'WatchdogSec=5s' > /etc/systemd/system/vw.service.d/soon.conf
systemctl daemon-reload
systemctl start vw.service
ended() {
    local before
    before=$(property vw.service MainPID)
    mark
    kill -"$1" "$before"
    eventually other "$before"
    eventually is vw.service ActiveState active
    eventually says vw.service '"state":"(finished|unchanged)"'
    said vw.service
}
other() {
    local now
    now=$(property vw.service MainPID)
    [ "$now" != 0 ] && [ "$now" != "$1" ]
}
ended KILL
ended STOP
says vw.service 'Watchdog timeout' || fail "not the watchdog"

echo "== an upgrade restarts what runs, and survives a configuration that is broken"
rm /etc/systemd/system/vw.service.d/soon.conf
systemctl daemon-reload
before=$(property vw.service MainPID)
install 2
is vw.service ActiveState active && other "$before" || fail "not restarted"
[ "$(systemctl is-enabled vw.service)" = enabled ] || fail "disabled"
mv /etc/virt-who.d /etc/virt-who.away
downgrade
is vw.service ActiveState failed || fail "runs without a configuration"
mv /etc/virt-who.away /etc/virt-who.d
systemctl stop vw.service
systemctl reset-failed vw.service

echo "== a timer and its service, and a watch"
rm -r /etc/systemd/system/vw.service.d
mv /etc/credstore/vw-key /var/lib/virt-who/key
systemctl daemon-reload
mark
systemctl start vw@sim-rhevm.service
is vw@sim-rhevm.service Result success || fail "vw@sim-rhevm"
eventually says vw@sim-rhevm.service '^6 .*"section":"sim-rhevm".*"state":"(finished|unchanged)"'
systemctl start vw@other.service && fail "a section that does not exist"
is vw@other.service ExecMainStatus 78 || fail "vw@other: $(property vw@other.service ExecMainStatus)"
systemctl enable --now vw@sim.timer vw-watch@sim.service
systemctl list-timers --no-pager 'vw@*'
is vw@sim.timer SubState waiting || fail "the timer does not wait"
is vw-watch@sim.service ActiveState active || fail "no watch"
eventually says vw-watch@sim.service '^6 .*"section":"sim".*"state":"(finished|unchanged)"'

echo "== logrotate takes the rules"
mkdir -p /var/log/vw
echo a line >> /var/log/vw/rhsm.log
logrotate --force /etc/logrotate.d/vw
ls /var/log/vw/rhsm.log.* > /dev/null || fail "not rotated"

echo "== a removal stops and disables all of it"
# Beside the watch it cannot start, so there is a failed unit, too.
systemctl enable --now vw.service && fail "two at once"
remove
[ -z "$(pgrep vw-run || true)" ] || fail "still running"
[ -z "$(find /etc/systemd/system -name 'vw*')" ] || fail "still enabled: $(find /etc/systemd/system -name 'vw*')"
left=$(systemctl list-units --all --plain --no-legend 'vw*' || true)
[ -z "$left" ] || fail "systemd still lists: $left"
left=$(systemctl list-unit-files --no-legend 'vw*' || true)
[ -z "$left" ] || fail "systemd still lists the files: $left"
echo "== the units do their work, and the packages' scripts, too ($kind)"
