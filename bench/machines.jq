# SPDX-License-Identifier: Apache-2.0
#
# machines.jq - what several machines reached -> docs/bench/machines.md: each goal, and the worst and best row of each
# machine that it asks for. Ratios to tmpfs do not travel between machines, for a system call costs up to ten times as much on
# one as on another; that is why goals are what all of them reach, or what one does not and is said to miss.
#
# jq -L bench -n -r --rawfile goals bench/goals -f bench/machines.jq docs/bench/machines/*.json

include "goals";

def r2: . * 100 | round / 100;
def cell($g):
  [.reached | to_entries[] | select(.key | test($g.match)) | .value[$g.against] | select(.)] as $rows
  | [$rows[] | select(.sure) | .reached] as $sure
  | if ($rows | length) == 0 then ""
    elif ($sure | length) == 0 then "undecided"
    else ($sure | min | r2) as $low | ($sure | max | r2) as $high
      | (if $g.most then $high <= $g.goal else $low >= $g.goal end) as $met
      | (if $low == $high then "\($low)" else "\($low) to \($high)" end) + (if $met then "" else " (missed)" end)
    end;

[inputs] as $machines
| "<!-- Written by make bench from docs/bench/machines/*.json: do not edit. -->",
"# Goals, by machine",
"",
"What each machine reached, of the rows that a goal is about the worst and the best; rows that others on the machine disturbed are left out.",
"",
($machines[] | "- \(.machine): \(.date[:10]), revision \(.revision)"),
"",
"| rows | beside | goal | \([$machines[].machine | split(",")[0]] | join(" | ")) | |",
"|---|---|---|\($machines | map("---|") | join(""))---|",
(goals($goals)[] as $g
 | "| \($g.name | gsub("\\|"; "\\|")) | \($g.against) | \(if $g.most then "≤" else "≥" end) \($g.goal) | "
   + ([$machines[] | cell($g)] | join(" | ")) + " | \($g.text) |")
