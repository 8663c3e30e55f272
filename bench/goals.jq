# SPDX-License-Identifier: Apache-2.0
#
# goals.jq - the text of bench/goals as an array of its lines. For programs that have -L bench.

def goals($text):
  $text | split("\n") | map(select(test("^[^#\\s]")) | split("\t")
    | {name: .[0], match: ("^" + .[0] + "$"), against: .[1], most: (.[2] | startswith("<=")),
       goal: (.[2] | ltrimstr("<=") | tonumber), text: .[3]});
