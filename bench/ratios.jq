# SPDX-License-Identifier: Apache-2.0
#
# ratios.jq - results.json -> what this machine reached of all that bench/goals asks for, to be kept beside that of
# others (docs/bench/machines).

{machine: "\(.machine.cpu), \(.machine.cpus) CPUs", date, revision,
 reached: [.results[] | select(.goals | length > 0)
   | {(.name): (.conclusive as $sure | .goals | map({(.against): {reached: (.reached * 1000 | round / 1000), sure: ($sure != false)}}) | add)}]
   | add}
