# SPDX-License-Identifier: Apache-2.0
#
# turns.jq - turns (round, target, ns, good) -> one result, in the form of daxfs-bench. See turns.sh.
#
# A fifth field, if there is one, has the requests of a turn: kind=number,... Then a target has how many there were
# (the median), and those of its last turn by their kind.

def q($p): sort as $v | ($p * (length - 1)) as $at | ($at | floor) as $i
  | $v[$i] + ($at - $i) * (($v[$i + 1] // $v[$i]) - $v[$i]);
def spread: {median: q(0.5), q1: q(0.25), q3: q(0.75), n: length};
def requests: (. // "") | [split(",")[] | split("=") | {(.[0]): (.[1] | tonumber)}] | add // {};

[split("\n")[] | select(. != "") | split("\t") | {round: .[0], target: .[1], ns: (.[2] | tonumber), good: (.[3] == "true"),
   requests: (.[4] | requests)}]
| group_by(.round) as $rounds
| [$rounds[] | select(all(.[]; .good))] as $good
| ($good | length >= 3) as $conclusive
| (if $conclusive then $good else $rounds end | add) as $turns
| ($of | split(",")) as $of
| ([$turns[] | select(.target == $of[0]) | {(.round): .ns}] | add) as $ours
| {name: $name, kind: "ratio", method: "pairs", workers: $workers, $worker, conclusive: $conclusive,
   targets: ([$of[] as $t | [$turns[] | select(.target == $t)]
     | {($t): ({ns: (map(.ns) | spread), ratio: (map(.ns / $ours[.round]) | spread), valid: ($good | length),
	       discarded: ($rounds | length - ($good | length))}
	    + (if any(.requests | length > 0)
	       then {requests: (map(.requests | add // 0) | q(0.5)), kinds: .[-1].requests} else {} end))}] | add)}
