# SPDX-License-Identifier: Apache-2.0
#
# scaling.jq - results.json -> docs/bench/scaling.md: the series as measured, and what the
# cost model of docs/SCALING.md makes of them for pods and pools that this machine cannot hold.

def ns: if . >= 1e9 then "\(. / 1e7 | round / 100) s" elif . >= 1e6 then "\(. / 1e4 | round / 100) ms"
  elif . >= 1e4 then "\(. / 100 | round / 10) µs" else "\(round) ns" end;
def value($name): [.results[] | select(.name == $name) | .value][0];
def at($series; $point): [.results[] | select(.name == $series) | .targets[$point].ns.median][0];

def series:
  (.targets | to_entries) as $t
  | "", "| \(.name | ltrimstr("scale-"))\(if .conclusive then "" else " (?)" end) | \([$t[].key] | join(" | ")) |",
    "|---|\($t | map("---|") | join(""))",
    "| time | \([$t[].value.ns.median | ns] | join(" | ")) |",
    "| beside the first | \([$t[].value.ratio.median * 100 | round / 100 | "\(.)×"] | join(" | ")) |";

8 as $lanes | 400 as $far
| (value("cas-line-transfer") // 50) as $line
| at("scale-write-4k-hosts"; "1 hosts") as $w1
| at("scale-write-4k-hosts"; "64 hosts") as $w64
| (at("scale-write-4k-busy-hosts"; "64 hosts") - at("scale-write-4k-busy-hosts"; "1 hosts")) as $busy
| ([($w64 - $w1) / (63 * $lanes), 0] | max) as $a
| ([($busy - ($w64 - $w1)) / 63, 0] | max) as $b
| (value("check-4096m") * 1e3 / 4096) as $check
| "<!-- Written by make bench from results.json: do not edit. -->",
"# How costs grow: figures",
"",
"Revision \(.revision), \(.machine.cpu), \(.machine.cpus) CPUs, local memory. (?): too few undisturbed samples. See",
"[SCALING.md](../SCALING.md) for what is measured and for the model.",
"", "## Measured", "",
("hosts", "fill", "height", "pool", "directory" | "![\(.)](scale-\(.).svg)"),
(.results[] | select(.name | startswith("scale-")) | series),
"", "| | 256 MiB | 1 GiB | 4 GiB |", "|---|---|---|---|",
(("mkfs", "open", "join", "first-look", "check", "recovery-1lanes", "recovery-16lanes") as $what
 | (if $what | test("mkfs|recovery") then 1e6 else 1e3 end) as $unit
 | "| \($what) | \([value("\($what)-256m", "\($what)-1024m", "\($what)-4096m") | . * $unit | ns] | join(" | ")) |"),
"", "## Modelled: hosts",
"",
"Of a 4 KiB overwrite. a = \($a * 1000 | round / 1000) ns for each lane whose announcement lies in the cache, b = \($b * 100 | round / 100) ns more for each",
"that another host has changed, T = \($line | round) ns for a line from another CPU here, \($far) ns assumed for one from far memory.",
"",
"| hosts of \($lanes) lanes | all others idle | one lane of each busy | all lanes busy | all busy, lines from far memory |", "|---|---|---|---|---|",
((1, 2, 16, 64) as $h
 | ([$h / 64, 1] | min) as $epoch
 | ($w1 + ($h - 1) * $lanes * $a) as $idle
 | ($h - 1 | if . > 0 then 1 else 0 end) as $shared
 | "| \($h) | \($idle | ns) | \($idle + ($h - 1) * $b | ns) | \($idle + ($h - 1) * $lanes * $b + $shared * $epoch * $line | ns) | "
   + "\($idle + ($h - 1) * $lanes * $b * $far / $line + $shared * $epoch * $far | ns) |"),
"",
"Knee, where the looks at other lanes cost as much as the write itself, all lanes busy: "
+ (if $b <= 0 then "none found, b is below what this run could measure."
   else "\($w1 / ($lanes * $b) | floor) hosts here, \($w1 / ($lanes * $b * $far / $line) | floor) with far memory (a pool has at most 64)."
   end),
"", "## Modelled: pools",
"",
"| | 4 GiB (measured) | 1 TiB | 16 TiB |", "|---|---|---|---|",
"| check of an empty pool | \($check * 4096 | ns) | \($check * 1048576 | ns) | \($check * 16777216 | ns) |",
"| state of pages | \(value("memory-page") | round) MiB | \(value("memory-page") * 268435456 / 1073741824 * 100 | round / 100) GiB | \(value("memory-page") * 4294967296 / 1073741824 * 100 | round / 100) GiB |"
