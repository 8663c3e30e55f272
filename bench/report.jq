# SPDX-License-Identifier: Apache-2.0
#
# report.jq - lines of results and bench/goals -> results.json (with goals), as one object.
#
# jq -L bench -n --rawfile goals bench/goals --arg revision R -f bench/report.jq FILE.jsonl...

include "goals";

# The goals of one result, each with what was reached; met is null if too few samples were good.
def judged($goals):
  . as $r
  | [$goals[] | select(. as $g | $r.name | test($g.match))
     | . as $g
     | (if $g.against == "value" then $r.value else $r.targets[$g.against].ratio.median? end) as $reached
     | select($reached != null)
     | {against, goal, most, text, reached: $reached,
        met: (if $r.conclusive == false then null elif .most then $reached <= .goal else $reached >= .goal end)}];

goals($goals) as $goals
| [inputs] as $all
| {
    revision: $revision,
    date: (now | todate),
    machine: ([$all[] | select(.kind == "machine")][0] | del(.name, .kind)),
    pools: ([$all[] | select(.kind == "pool") | del(.name, .kind)] | unique),
    results: [$all[] | select(.kind == "ratio" or .kind == "figure") | . + {goals: judged($goals)}],
    not_measured: (
      [$all[].name] as $names
      | [$goals[] | select(. as $g | [$names[] | select(test($g.match))] | length == 0) | {name: .match, against, goal, text}])
  }
