# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# load.sh - rounds of load on a pod, judged by the oracle: sourced after pod.sh.
#
# A round is a directory in the pool and a directory of logs outside. Loads run
# inside their host's cgroup, so that they die with it. After the round both
# are removed, so any number of rounds fits.

ROUND='' ROUND_NO=0 LOAD_LOG=
declare -A LOAD_PID=() LOAD_JOB=() LOAD_RUN=() # by host; runs: the generation in its stamps
declare -A TOTAL=([kills]=0 [kills_in_flight]=0 [recoverers_killed]=0 [stops]=0 [rounds]=0 [ops]=0 [pending]=0 [blocks]=0 [records]=0 [names]=0 [own_files]=0
	[histories]=0 [violations]=0)

add() { TOTAL[$1]=$((TOTAL[$1] + $2)); }

# Sets a variable: in a subshell, RANDOM would give every call the same number.
draw() { # variable, low, high
	printf -v "$1" %d $(($2 + (RANDOM * 32768 + RANDOM) % ($3 - $2 + 1)))
}
pause_ms() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

load_fail() {
	pod_say "$TEST_NAME: FAIL seed $seed round $ROUND: $*"
	doing=$*
	pod_json 2>/dev/null | jq -c '.hosts[] | select(.state != "FREE")' || true
	tail -n 12 "$POD_DIR"/daemon/*.log || true
	exit 1
}

round_begin() { # host through whose mount it is set up
	ROUND_NO=$((ROUND_NO + 1)) ROUND=r$ROUND_NO
	LOAD_LOG=$POD_DIR/log/$ROUND
	mkdir -p "$LOAD_LOG"
	"$POD_TESTS/writer" --setup --mount "$(pod_mount "$1")" --round $ROUND --log "$LOAD_LOG" ||
		load_fail "no set-up through host $1"
}

load_start() { # host, options of the load generator...
	local host=$1 load_seed
	shift
	draw load_seed 1 1000000000
	LOAD_RUN[$host]=$((${LOAD_RUN[$host]:-0} + 1))
	pod_spawn "host$host" "$POD_DIR/daemon/load$host.log" "$POD_TESTS/writer" --mount "$(pod_mount "$host")" \
		--round $ROUND --log "$LOAD_LOG" --host "$host" --gen "${LOAD_RUN[$host]}" --seed "$load_seed" "$@"
	LOAD_PID[$host]=$POD_PID LOAD_JOB[$host]=$POD_JOB
}

load_stop() { # hosts...: finishes what it is in; anything but a good end is a failure
	local host status
	for host in "$@"; do
		kill -TERM "${LOAD_PID[$host]}" 2>/dev/null || true
	done
	for host in "$@"; do
		status=0
		pod_until 20 "the load on host $host to end: an operation hangs" load_ended "$host" ||
			load_fail "the load on host $host does not end"
		pod_reap "${LOAD_JOB[$host]}" || status=$?
		[ $status = 0 ] || load_fail "load on host $host ended with $status: $(tail -n 1 "$POD_DIR/daemon/load$host.log")"
		unset "LOAD_PID[$host]"
	done
}

load_ended() { # a zombie has ended
	local state
	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/${LOAD_PID[$1]}/status" 2>/dev/null) || true
	[ -z "$state" ] || [ "$state" = Z ]
}

load_forget() { # host that was killed
	pod_reap "${LOAD_JOB[$1]}" || true
	unset "LOAD_PID[$1]"
}

# Every promise of this round, seen through this host's mount.
round_verify() { # host
	local out key value word
	if ! out=$("$POD_TESTS/verify" --mount "$(pod_mount "$1")" --round $ROUND --log "$LOAD_LOG" 2>&1); then
		pod_say "$out"
		add violations 1
		load_fail "the oracle, through host $1"
	fi
	for word in $out; do
		key=${word%%=*} value=${word#*=}
		[ "$key" = "$word" ] || [ -z "${TOTAL[$key]+x}" ] || add "$key" "$value"
	done
}

pool_check() {
	local out
	out=$("$POD_BIN/daxfsctl" check "$POD_POOL" --direct 2>&1) || load_fail "daxfsctl check: $out"
}

# Verify, check with everything in it, remove, check again.
round_end() { # hosts to look through...
	local host
	for host in "$@"; do
		round_verify "$host"
	done
	pool_check
	rm -rf "$(pod_mount "$1")/$ROUND" || load_fail "cannot remove the round through host $1"
	pool_check
	rm -rf "$LOAD_LOG"
	add rounds 1
}

# Operations of these hosts in progress between two times (ns; 0: no end). Sets LATENCY to the longest, in
# us, LATENCY_LINE to the figures, LATENCY_SLOW to the first few over the goal of 50 ms.
load_latency() { # since, until, hosts...
	local since=$1 until=$2 hosts=() out
	shift 2
	[ "$until" = 0 ] || hosts+=(--until "$until")
	for host in "$@"; do
		hosts+=(--host "$host")
	done
	out=$("$POD_TESTS/latency" --log "$LOAD_LOG" --since "$since" "${hosts[@]}" --slow 50000)
	LATENCY_LINE=$(grep '^ops=' <<<"$out")
	LATENCY_SLOW=$(grep -v '^ops=' <<<"$out" | head -n 4) || true
	LATENCY=$(sed -n 's/.*max_us=\([0-9]*\).*/\1/p' <<<"$LATENCY_LINE")
}

load_totals() {
	local key
	for key in kills kills_in_flight recoverers_killed stops rounds ops pending blocks records names own_files histories violations; do
		printf '%s=%s ' $key "${TOTAL[$key]}"
	done | sed 's/^/chaos: totals /; s/ $/\n/'
}
