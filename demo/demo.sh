#!/bin/sh
# Shows the pipelines at work, stage by stage. `make demo` runs it inside vw-sim, which serves a vCenter, an oVirt engine, a
# Candlepin and a Satellite 5 on loopback and names a configuration with the sections sim, sim-rhevm and sim-sat5 in VW_CONFIG.
set -eu

: "${VW_CONFIG:?run me by: make demo, or: vw-sim -- sh demo/demo.sh}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$folder"

# step TITLE COMMAND [STATUS]: prints and runs a command, which must end with the status (0).
step() {
    printf '\n# %s\n$ %s\n' "$1" "$2"
    status=0
    sh -c "$2" || status=$?
    if [ "$status" -ne "${3:-0}" ]; then
        echo "demo: that ended with $status instead of ${3:-0}" >&2
        exit 1
    fi
    [ "$status" -eq 0 ] || printf '[exit status %s]\n' "$status"
}

step 'A scan is one JSON document: hosts, their guests, and what was left out' \
    'vw-scan-esx -n sim --pretty > scan.json; head -n 45 scan.json'
step 'A filter keeps or drops hypervisors; here by name, and it says what it dropped' \
    "vw-filter --filter-hosts '*1.*' --match-names --pretty < scan.json | head -n 45"
step 'The whole pipeline: Candlepin holds every hypervisor when the status is 0' \
    'vw-scan-esx -n sim | vw-filter -n sim | vw-report-candlepin -n sim'
step 'Two sources of different kinds in one report: a stream of two documents' \
    '(vw-scan-esx -n sim; vw-scan-rhevm -n sim-rhevm) | vw-report-candlepin -n sim'
step 'What is there, for people' \
    'vw-show < scan.json; vw-show --summary < scan.json'
step 'Why is esx2 missing?' \
    "vw-filter --exclude-hosts 'esx2.*' --match-names < scan.json | vw-show --why esx2"
step 'The same document, carried as a file, to a Satellite 5' \
    'vw-report-sat5 -n sim-sat5 --state-dir . < scan.json'
step 'What the service does: the pipeline of every section, and a file for Prometheus' \
    'vw-run --dry-run; vw-run -o --state-dir . --metrics vw.prom; grep ^vw_guests vw.prom'
step 'A stage that fails says why in one line, and the next one reports nothing' \
    'printf wrong > password; vw-scan-esx -n sim --password-file password | vw-report-candlepin -n sim' 66
step 'A question blocks a task: it is reported, and the task cancelled' \
    'vw-task-esx -n sim power-off vm3' 69
step 'Or it is answered with its default' \
    'vw-task-esx -n sim power-off vm3 --auto-answer 1'
step 'Names cross the vSphere API escaped' \
    "vw-escape -d name 'web%2f1 50%25'"

printf '\nmake check runs the tests; man/vw.7 is the introduction: man ./man/vw.7\n'
