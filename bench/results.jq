# SPDX-License-Identifier: Apache-2.0
#
# results.jq - results.json -> docs/bench/README.md, all of it.

def ns: if . >= 1e6 then "\(. / 1e4 | round / 100) ms" elif . >= 1e4 then "\(. / 100 | round / 10) µs" else "\(round) ns" end;
def r2: . * 100 | round / 100;
def goal: "\(.against) \(if .most then "≤" else "≥" end) \(.goal)"
  + (if .met == true then " ✓" elif .met == false then " missed" else " undecided" end);

def requests: if .requests then ", \(.requests) requests" else "" end;

def row:
  . as $r
  | (.targets | to_entries) as $t
  | "| \(.name)\(if .conclusive then "" else " (?)" end) | \($t[0].value.ns.median | ns)\($t[0].value | requests) | "
    + ([$t[1:][] | "\(.key) \(.value.ns.median | ns)\(.value | requests) (**\(.value.ratio.median | r2)×**, \(.value.ratio.q1 | r2)–\(.value.ratio.q3 | r2))"]
       | join("; "))
    + " | " + ([.goals[] | goal] | join(", ")) + " |";

def figure: "| \(.name) | \(.value * 1000 | round / 1000) \(.unit) | \([.goals[] | goal] | join(", ")) |";

def section($title; $match; $plot):
  [.results[] | select(.kind == "ratio" and (.name | test($match)))] as $rows
  | if ($rows | length) == 0 then empty else
      "", "## \($title)", "", (if $plot then "![\($title)](\($plot).svg)", "" else empty end),
      "| workload | ours | beside: time (times as slow, quartiles) | goal |", "|---|---|---|---|", ($rows[] | row)
    end;

[.results[].goals[].met] as $met
| "<!-- Written by make bench from results.json: do not edit. -->",
"# Figures",
"",
"Taken on \(.date), revision \(.revision): \(.machine.cpu), \(.machine.cpus) CPUs, \(.machine.memory) of local memory (no CXL),",
"Linux \(.machine.kernel), pages of \(.machine.page_size) bytes, huge pages for shared memory: \(.machine.shmem_huge).",
"",
"`make bench` takes them again. Everything is measured in turn with what it is compared with, in the same run; a ratio is the",
"other's time over ours, the median of 5 rounds, with quartiles. (?): too few samples were undisturbed by others on the machine",
"for a conclusion. All data that is read is compared with what was written. S: 16 MiB a worker; L: 512 MiB. memcpy and",
"stream: copies by ordinary and by streaming stores in the same memory. Goals: `bench/goals`.",
"",
"Goals: \([$met[] | select(. == true)] | length) met, \([$met[] | select(. == false)] | length) missed, \([$met[] | select(. == null)] | length) undecided.",
"",
"| pool | domain | of it in huge pages | raw region in huge pages |", "|---|---|---|---|",
(.pools[] | "| \(.bytes / 1048576) MiB | \(.domain) | \(.pool_huge_kib / 1024) MiB | \(.raw_huge_kib / 1024) MiB |"),
section("Reading and writing"; "^(read|write|zerocopy|draft|first|append|wb)"; "data-tmpfs"),
"", "![Share of memcpy](data-memcpy.svg)",
section("Names, beside 10,000 others"; "^(create|stat|rename|unlink|readdir)"; "names-tmpfs"),
section("The mount"; "^(fuse|fio|elsewhere)"; "mount-passthrough"),
section("Cliffs: what is slow somewhere, beside the same operation elsewhere"; "^cliff"; null),
section("Trees and programs through the mount"; "^mount-"; null),
(if any(.results[]; .name | startswith("mount-")) then "",
  "first: after the kernel has forgotten all; second: once more. Ours is an agent as it comes; -all: with `--keep all`; -timeout: with",
  "`--attr-timeout 1` in a pool without leases, which is not coherent; -beside: while another host works in the same directories.",
  "passthrough: libfuse's passthrough_ll with its default cache, over tmpfs. `bench/mount` has the jobs." else empty end),
"", "## Recovery, contention, cost", "", "![Recovery](recovery.svg)", "",
"| | | goal |", "|---|---|---|", (.results[] | select(.kind == "figure") | figure),
"",
"How costs grow: [SCALING.md](../SCALING.md) and [its figures](scaling.md)."
