#!/bin/sh
# Stands in for kubectl and oc: takes the calls that vw-scan-kubevirt makes, no others, and answers them from files in its folder.
#
#   calls        gets a line for each call
#   server       the server of the current context; without it there is no context
#   fail.err     if it is there, each get fails so, with the stdout of fail.out and the status of fail.rc
#   list         the list of all objects; list.sh is run instead, if it is there
#   raw_PATH     what is at a path, with _ for its slashes
#   watch_KIND   a FIFO with the events of one kind; its end is the end of the watch
folder=$(dirname "$0")
echo "$*" >> "$folder/calls"

refuse() {
    echo "error: $1" >&2
    exit "${2:-1}"
}

[ "$LC_ALL" = C ] || refuse "messages may be translated"
kubeconfig=${KUBECONFIG:-$HOME/.kube/config}
while :; do
    case $1 in
    --kubeconfig)
        kubeconfig=$2
        # As kubectl 1.32 says it.
        [ -e "$kubeconfig" ] || refuse "stat $kubeconfig: no such file or directory"
        shift 2
        ;;
    --insecure-skip-tls-verify=true) shift ;;
    *) break ;;
    esac
done

if [ "$*" = "config view --minify -o jsonpath={.clusters[0].cluster.server}" ]; then
    [ -e "$folder/server" ] || refuse "current-context must exist in order to minify"
    printf %s "$(cat "$folder/server")"
    exit
fi

[ "$1" = get ] || refuse "unknown command \"$1\" for \"kubectl\""
shift
if [ -e "$folder/fail.err" ]; then
    cat "$folder/fail.out" 2> /dev/null
    cat "$folder/fail.err" >&2
    exit "$(cat "$folder/fail.rc")"
fi
case $* in
"nodes,virtualmachineinstances.kubevirt.io -A -o json --request-timeout=60s" | \
    "nodes,virtualmachineinstances.v1.kubevirt.io -A -o json --request-timeout=60s")
    [ -e "$folder/list.sh" ] && . "$folder/list.sh"
    exec cat "$folder/list"
    ;;
"nodes,virtualmachineinstances."*".kubevirt.io -A -o json --request-timeout=60s")
    refuse "the server doesn't have a resource type \"virtualmachineinstances\""
    ;;
"--request-timeout=60s --raw /"*)
    path=$(echo "$3" | tr / _)
    [ -e "$folder/raw$path" ] || {
        echo "Error from server (NotFound): the server could not find the requested resource" >&2
        exit 1
    }
    exec cat "$folder/raw$path"
    ;;
"nodes -A -o json --watch --output-watch-events" | \
    "virtualmachineinstances.kubevirt.io -A -o json --watch --output-watch-events")
    exec cat "$folder/watch_$1"
    ;;
esac
refuse "unknown arguments: $*"
