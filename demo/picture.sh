#!/bin/sh
# Prints the picture of README.md, an SVG. What its panels show is printed by the commands, in a run against simulated servers:
#     vw-sim -- sh demo/picture.sh > demo/pipeline.svg
# The same run gives the same picture. A test compares it with the file.
set -eu

: "${VW_CONFIG:?run me by: vw-sim -- sh demo/picture.sh > demo/pipeline.svg}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$folder"
umask 077

# The section that all examples use. It keeps one host back, so that the filter has something to say.
{
    sed -n '/^\[sim\]/,/^$/p' "$VW_CONFIG" | sed 's/^\[sim/[prod/; s/^hypervisor_id=.*/hypervisor_id=hostname/; /^$/d'
    echo 'exclude_hosts=esx2*'
} > prod.conf
export VW_CONFIG="$folder/prod.conf"

vw-scan-esx -n prod --pretty > scan
vw-filter -n prod --pretty < scan > kept
vw-report-candlepin -n prod < kept > result

# shorter: one blank for each level, and only the beginning of each uuid.
shorter() {
    sed 's/\([0-9a-f]\{8\}\)-[0-9a-f-]\{27\}/\1…/; :again
        s/^\( *\)  \([^ ]\)/\1\t\2/; t again
        s/\t/ /g'
}

# drawn X: the lines as text at X.
drawn() {
    y=182
    while IFS= read -r line; do
        line=$(printf '%s' "$line" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g')
        printf '<text x="%s" y="%s" class="code">%s</text>\n' "$1" "$y" "$line"
        y=$((y + 17))
    done
}

{ head -n 14 scan; echo '        …'; } | shorter > first
sed -n '
    1,2p
    /^      "uuid"/p
    /^  "omitted"/ { i\
      …
    }
    /^  "omitted"/,$ { /"name"/!p }' kept | shorter > second
{
    echo '{'
    tr -d '{}' < result | tr ',' '\n' | sed -n 's/":/": /; /"\(state\|hypervisors\|guests\|created\|omitted\|failed\)"/s/^/ /p' |
        sed '$!s/$/,/'
    echo '}'
} > third

# panel X WIDTH COMMAND PRINTS FILE
panel() {
    middle=$(($1 + $2 / 2))
    cat <<-END
	<rect x="$1" y="70" width="$2" height="36" rx="6" class="command"/>
	<text x="$middle" y="93" class="name">$3</text>
	<rect x="$1" y="134" width="$2" height="312" rx="6" class="paper"/>
	<path d="M$middle 106V132" class="line" marker-end="url(#tip)"/>
	<text x="$middle" y="156" class="quiet">$4</text>
	END
    drawn $(($1 + 12)) < "$5"
}

cat <<'END'
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 486" role="img" aria-labelledby="title">
<title id="title">A pipeline: vw-scan-esx prints a mapping of hosts and guests, vw-filter leaves out a host and says why, and
vw-report-candlepin reports the others and prints a result</title>
<!-- Made by demo/picture.sh from a run against vw-sim. -->
<style>
svg { background: #ffffff }
.back { fill: #ffffff }
.command { fill: #0b5cad }
.paper { fill: #f4f6f8; stroke: #c5ccd3 }
.line { fill: none; stroke: #57606a; stroke-width: 1.6 }
.tip { fill: #57606a }
text { font: 13px system-ui, sans-serif; fill: #1f2328; text-anchor: middle }
.name { font: bold 12.5px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #ffffff }
.code { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; text-anchor: start; white-space: pre }
.quiet { fill: #57606a }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 }
.back { fill: #0d1117 }
.command { fill: #1f6feb }
.paper { fill: #161b22; stroke: #3d444d }
.line { stroke: #9198a1 }
.tip { fill: #9198a1 }
text { fill: #e6edf3 }
.name { fill: #ffffff }
.quiet { fill: #9198a1 }
}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8Z" class="tip"/></marker></defs>
<rect width="920" height="486" class="back"/>
<text x="131" y="22">vCenter, ESX, libvirt, KubeVirt,</text>
<text x="131" y="40">XenServer, Nutanix AHV, oVirt</text>
<path d="M131 48V68" class="line" marker-end="url(#tip)"/>
<text x="450" y="22">virt-who's configuration files,</text>
<text x="450" y="40">which each command reads</text>
<path d="M450 48V68" class="line" marker-end="url(#tip)"/>
<text x="791" y="22">Candlepin (Satellite 6, Katello),</text>
<text x="791" y="40">or Satellite 5</text>
<path d="M791 68V48" class="line" marker-end="url(#tip)"/>
<path d="M252 88H278" class="line" marker-end="url(#tip)"/>
<path d="M620 88H670" class="line" marker-end="url(#tip)"/>
END
panel 10 242 'vw-scan-esx -n prod' 'a mapping' first
panel 280 340 'vw-filter -n prod' 'the mapping, without esx2' second
panel 672 238 'vw-report-candlepin -n prod' 'a result, and status 0' third
cat <<'END'
<text x="460" y="472" class="quiet">vw-run runs such a pipeline for each section, once or for ever</text>
</svg>
END
