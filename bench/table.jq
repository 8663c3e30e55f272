# SPDX-License-Identifier: Apache-2.0
#
# table.jq - results.json -> the table on the terminal: a line for each comparison, the
# goal beside it, requests in brackets. $whole: say also which goals have no result.

def pad($n): . + (" " * ([$n - length, 1] | max));
def ns: if . >= 1e6 then "\(. / 1e4 | round / 100) ms" elif . >= 1e4 then "\(. / 100 | round / 10) us" else "\(round) ns" end;
def r2: . * 100 | round / 100;
def requests: if .requests then "[\(.requests)] " else "" end;
def goal: "goal " + (if .most then "<= " else ">= " end) + "\(.goal)" + (if .met == false then "  MISSED" else "" end);

def lines:
  . as $r
  | (.targets | keys_unsorted[0]) as $ours
  | [.targets | to_entries[] | select(.key != $ours)]
  | to_entries[]
  | .value as $t
  | (if .key == 0 then ($r.name + " " + ($r.targets[$ours] | requests) | pad(40)) + ($r.targets[$ours].ns.median | ns | pad(10)) else " " * 50 end)
    + ($t.key | pad(12)) + ($t.value.ns.median | ns | pad(10))
    + ("\($t.value.ratio.median | r2)x" | pad(7)) + ("\($t.value.ratio.q1 | r2)-\($t.value.ratio.q3 | r2)" | pad(12)) + ($t.value | requests)
    + ([$r.goals[] | select(.against == $t.key) | goal] | join(" "))
    + (if .key == 0 and ($r.conclusive | not) then "  inconclusive: too few undisturbed samples" else "" end);

# A series: each point beside the first.
def series:
  .name + (if .conclusive then "" else "  (inconclusive: too few undisturbed samples)" end),
  (.targets | to_entries[] | "    " + (.key | pad(36)) + (.value.ns.median | ns | pad(22))
    + ("\(.value.ratio.median | r2)x" | pad(7)) + "\(.value.ratio.q1 | r2)-\(.value.ratio.q3 | r2)");

def figure:
  (.name | pad(40)) + ((.value * 1000 | round / 1000 | tostring) + " " + .unit | pad(50)) + ([.goals[] | goal] | join(" "));

"\(.machine.cpu), \(.machine.cpus) CPUs, \(.machine.memory), Linux \(.machine.kernel), pages of \(.machine.page_size),",
"huge pages for shared memory: \(.machine.shmem_huge); revision \(.revision)",
(.pools[] | "pool of \(.bytes / 1048576) MiB, domain \(.domain), \(.pool_huge_kib / 1024) MiB of it in huge pages (raw region: \(.raw_huge_kib / 1024) MiB)"),
"",
("workload" | pad(40)) + ("ours" | pad(10)) + ("beside" | pad(12)) + ("time" | pad(10)) + ("ratio" | pad(7)) + ("quartiles" | pad(12)) + "goal",
(.results[] | if .kind != "ratio" then figure elif .name | startswith("scale-") then series else lines end),
"",
(if $whole then .not_measured[] | "not measured: " + (.name | ltrimstr("^") | rtrimstr("$")) + ", \(.text) (\(.against), goal \(.goal))" else empty end),
([.results[].goals[].met] | "goals: \(map(select(. == true)) | length) met, \(map(select(. == false)) | length) missed, "
  + "\(map(select(. == null)) | length) undecided (inconclusive)")
