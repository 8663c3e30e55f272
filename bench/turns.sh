# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# turns.sh - what programs take in turns on several directories: sourced by bash scripts of the benchmark.
#
# A turn is good if others than this script's children and the processes in `daemons` used at most 5 % of the machine
# meanwhile. A script prints "round target ns good" for each, and turns_result makes a line of JSON of them, in the form
# of daxfs-bench: the median of the ratios of each round. Requests may follow (turns.jq).

# Jiffies: of all CPUs, of these those in which they were busy, and of the busy ones ours.
turns_jiffies() {
	local cpu u n s i w h soft steal _ pid sum=0 stat
	read -r cpu u n s i w h soft steal _ </proc/stat
	for pid in $$ $daemons; do
		read -ra stat <"/proc/$pid/stat"
		((sum += stat[13] + stat[14] + (pid == $$ ? stat[15] + stat[16] : 0))) || true
	done
	echo $((u + n + s + i + w + h + soft + steal)) $((u + n + s + h + soft + steal)) $sum
}

# Sets good: nobody disturbed the command.
turns_take() { # command...
	local before after
	read -ra before < <(turns_jiffies)
	"$@"
	read -ra after < <(turns_jiffies)
	good=true
	((20 * (after[1] - before[1] - after[2] + before[2]) <= after[0] - before[0])) || good=false
}

# The first target is what is judged, the others are beside it.
turns_result() { # turns, file of results, name, workers, what a worker is, targets with commas
	jq -R -s -c --arg name "$3" --argjson workers "$4" --arg worker "$5" --arg of "$6" \
		-f "${BASH_SOURCE[0]%/*}/turns.jq" "$1" | tee -a "$2" | jq -r --arg of "$6" '
		def requests: if .requests then " [\(.requests)]" else "" end;
		($of | split(",")) as $of | "\(.name)  \($of[0]) \(.targets[$of[0]].ns.median | round) ns\(.targets[$of[0]] | requests)"
		+ ([$of[1:][] as $t | .targets[$t] | "  \($t) \(.ns.median | round) (\(.ratio.median * 100 | round / 100)x)\(requests)"] | join(""))
		+ (if .conclusive then "" else "  inconclusive" end)'
}
