# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# scenarios.sh - ways for hosts to die, each repeated "$1" times: sourced by run.
#
# Every scenario starts and ends with hosts 0, 1 and 2 alive, fabricd running,
# and no load. The harm is done at a random moment of the load.

MIXED=(--threads 2 --mix mixed)

# The two hosts of 0, 1, 2 that are not $1, to OTHERS.
others() {
	OTHERS=()
	local host
	for host in 0 1 2; do
		[ "$host" = "$1" ] || OTHERS+=("$host")
	done
}

load_all() {
	local host
	for host in 0 1 2; do
		load_start $host "${MIXED[@]}"
	done
}

kill_now() { # hosts...
	local host
	for host in "$@"; do
		pod_kill_host "$host"
	done
	count_kills "$@"
}

# Kill it when it has records in flight, of a drawn number and progress.
kill_busy() { # host
	local busy least
	draw busy 1 2
	draw least 1 3
	nice -n -15 "$POD_TESTS/kill_at" --pool "$POD_POOL" --cgroups "$POD_CGROUP" --host "$1" --busy "$busy" --least "$least" \
		--seconds 1 >"$POD_DIR/kill_at" || load_fail "cannot kill host $1"
	grep -q 'no better' "$POD_DIR/kill_at" || add kills_in_flight 1
	count_kills "$1"
}

# A random moment, or one in the middle of things.
kill_either() { # host, how often before
	if (($2 % 2)); then
		kill_busy "$1"
	else
		kill_now "$1"
	fi
}

count_kills() { # hosts that were killed
	local host
	for host in "$@"; do
		add kills 1
		pod_bury_host "$host"
		[ -z "${LOAD_PID[$host]+x}" ] || load_forget "$host"
	done
}

recovered() { # hosts...
	local host
	for host in "$@"; do
		pod_wait_recovered "$host" || load_fail "host $host was not recovered"
	done
}

# The slot's next tenant has the next generation.
# The pool remembers the death: what proved it, and who recovered what.
postmortem() { # host
	"$POD_BIN/daxfsctl" show "$1" "$POD_POOL" --postmortem --json 2>&1 |
		jq -e '.declared_dead and .proof_of_exclusion and .recovered.by != null' >/dev/null 2>&1
}

# Numbers of the events that the pool has, whoever is there to ask.
remembered() { "$POD_BIN/daxfsctl" events "$POD_POOL" --json | jq -c '[.events[].number]'; }

restart_host() { # host
	local before after
	before=$(pod_field "$1" generation)
	pod_start_host "$1"
	after=$(pod_field "$1" generation)
	[ "$after" -ge "$before" ] || load_fail "host $1 came back as generation $after, was $before"
}

# SIGKILL of a whole host; survivors go on; it comes back and works.
scenario_kill() {
	local i victim ms generation
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		round_begin "${OTHERS[0]}"
		generation=$(pod_field "$victim" generation)
		load_all
		draw ms 100 900
		pause_ms "$ms"
		kill_either "$victim" "$i"
		recovered "$victim"
		[ "$(pod_field "$victim" generation)" -gt "$generation" ] ||
			load_fail "host $victim recovered without a new generation"
		pod_until 10 "the pool to tell of the death of host $victim" postmortem "$victim" ||
			load_fail "$("$POD_BIN/daxfsctl" show "$victim" "$POD_POOL" --postmortem 2>&1)"
		restart_host "$victim"
		load_start "$victim" "${MIXED[@]}"
		pause_ms 250
		load_stop 0 1 2
		round_end $((i % 3)) $(((i + 1) % 3))
	done
}

digest() { # of the round's files through host $1: names, types, sizes, bytes
	(cd "$(pod_mount "$1")/$ROUND" && find . -printf '%p %y %s %n %i %m\n' | sort &&
		find . -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum
}

# Frozen in the middle of its work, declared dead, thawed: nothing of it lives and nothing changes.
scenario_freeze() {
	local i victim ms before after pid old
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		round_begin "${OTHERS[0]}"
		load_all
		draw ms 100 600
		pause_ms "$ms"
		mapfile -t old <"$POD_CGROUP/host$victim/cgroup.procs"
		if ((i % 2)); then
			pod_signal_host "$victim" STOP
		else
			pod_freeze_host "$victim"
		fi
		add stops 1
		recovered "$victim"
		load_stop "${OTHERS[@]}"
		before=$(digest "${OTHERS[0]}")
		pod_thaw_host "$victim"
		pod_signal_host "$victim" CONT
		pod_until 10 "nothing of host $victim to live" pod_empty "$victim" ||
			load_fail "host $victim lives after it was fenced"
		for pid in "${old[@]}"; do
			[ ! -e "/proc/$pid/mem" ] || [[ "$(readlink "/proc/$pid/exe")" != "$build"/* ]] ||
				load_fail "process $pid of host $victim lives after it was fenced"
		done
		pod_bury_host "$victim"
		load_forget "$victim"
		after=$(digest "${OTHERS[1]}")
		[ "$before" = "$after" ] || load_fail "files changed after host $victim was declared dead"
		add kills 1
		restart_host "$victim"
		round_end "${OTHERS[0]}" "$victim"
	done
}

# Stopped for less than a death takes: late, suspected perhaps, but nobody dies. If the machine made more of
# the pause than was asked for, that is no verdict.
scenario_pause() {
	local i victim ms generation began
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		round_begin "$victim"
		generation=$(pod_field "$victim" generation)
		load_all
		pause_ms 200
		draw ms 50 320
		began=$(pod_now)
		pod_freeze_host "$victim"
		pause_ms "$ms"
		pod_thaw_host "$victim"
		if (($(pod_now) - began > 400000000)); then
			pod_say "chaos: pause of $ms ms took $((($(pod_now) - began) / 1000000)) ms: not counted"
			others "$victim"
			kill_now "$victim"
			recovered "$victim"
			restart_host "$victim"
			load_stop "${OTHERS[@]}"
			round_end "$victim"
			continue
		fi
		add stops 1
		pod_wait_state "$victim" ALIVE 5 || load_fail "host $victim was stopped for $ms ms and did not come back"
		pause_ms 200
		load_stop 0 1 2
		[ "$(pod_field "$victim" generation)" = "$generation" ] || load_fail "host $victim was declared dead"
		round_end "$victim"
	done
}

all_alive_as() { # generations of hosts 0 1 2
	local host
	for host in 0 1 2; do
		shift
		[ "$(pod_state $host)" = ALIVE ] && [ "$(pod_field $host generation)" = "$1" ] || return 1
	done
}

judged_by() { # ms
	[ "$("$POD_BIN/daxfsctl" heartbeat "$POD_POOL" --json | jq .judged_ms)" = "$1" ]
}

# The heartbeat is changed under load: everybody follows, nobody dies of it. Not below 20 ms: the machine is loaded.
scenario_heartbeat() {
	local i ms generations
	for ((i = 0; i < $1; i++)); do
		round_begin 0
		generations="$(pod_field 0 generation) $(pod_field 1 generation) $(pod_field 2 generation)"
		load_all
		for ms in 400 20 100 50; do
			"$POD_BIN/daxfsctl" heartbeat "$POD_POOL" --ms $ms >/dev/null
			pod_until 20 "hosts to be judged by a heartbeat of $ms ms" judged_by $ms ||
				load_fail "a heartbeat of $ms ms is not followed"
			pause_ms 100
		done
		load_stop 0 1 2
		# shellcheck disable=SC2086 # three words
		all_alive_as - $generations || load_fail "somebody died of another heartbeat: generations were $generations"
		round_end $((i % 3))
	done
}

# fabricd dies: nobody minds. A host dies while it is down: seen to when it is back.
# fabricd itself is stopped for longer than a death takes: its own pause is no host's silence.
scenario_fabricd() {
	local i victim generations
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		round_begin "${OTHERS[0]}"
		mapfile -t generations < <(pod_field 0 generation && pod_field 1 generation && pod_field 2 generation)
		load_all
		pause_ms 200
		kill -STOP "$POD_FABRICD"
		add stops 1
		pause_ms 1500
		kill -CONT "$POD_FABRICD"
		pause_ms 500
		all_alive_as - "${generations[@]}" || load_fail "fabricd was stopped, and took it out on a host"
		pod_kill_fabricd
		pause_ms 200
		kill_now "$victim"
		pause_ms 300
		pod_start_fabricd
		recovered "$victim"
		restart_host "$victim"
		load_stop "${OTHERS[@]}"
		round_end "$victim" "${OTHERS[1]}"
	done
}

median() { # of the words, sorted as numbers
	local all
	mapfile -t all < <(printf '%s\n' "$@" | sort -n)
	MEDIAN=${all[${#all[@]} / 2]} WORST=${all[-1]}
}

# P3: with fabricd stopped and no recovery, every operation of the survivors ends: one that waits for the dead would
# not, and load_stop finds it. How long the longest took is a figure, beside the same hosts' longest before the death.
scenario_stopped() {
	local i victim ms began since all=() control=()
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		round_begin "${OTHERS[0]}"
		kill -STOP "$POD_FABRICD"
		add stops 1
		load_start "$victim" --threads 4 --mix mixed
		load_start "${OTHERS[0]}" --threads 1 --mix mixed
		load_start "${OTHERS[1]}" --threads 1 --mix mixed
		began=$(pod_now)
		draw ms 800 1200
		pause_ms "$ms"
		since=$(pod_now)
		kill_either "$victim" "$i"
		pause_ms 1000
		pod_is "$victim" "ALIVE|SUSPECT" || load_fail "somebody declared host $victim dead although fabricd is stopped"
		load_stop "${OTHERS[@]}"
		load_latency "$began" "$since" "${OTHERS[@]}"
		control+=("$LATENCY")
		load_latency "$since" 0 "${OTHERS[@]}"
		all+=("$LATENCY")
		[ -z "$LATENCY_SLOW" ] || pod_say "$LATENCY_SLOW"
		[ "${LATENCY:-0}" -gt 0 ] || load_fail "no operation of a survivor ended beside the dead host"
		round_verify "${OTHERS[0]}" # before anybody recovered anything
		kill -CONT "$POD_FABRICD"
		recovered "$victim"
		restart_host "$victim"
		round_end "$victim"
	done
	median "${control[@]}"
	ms="before the death: median $((MEDIAN / 1000)) ms, worst $((WORST / 1000)) ms"
	median "${all[@]}"
	pod_say "chaos: P3 longest operation of a survivor beside a dead host that nobody recovers, $1 kills:" \
		"median $((MEDIAN / 1000)) ms, worst $((WORST / 1000)) ms; $ms"
}

# P3: survivors overwrite half the pool again and again while a host is dead and nobody recovers it.
# What was alive at its death cannot be reused before it is fenced, so twice the working set must fit, and
# a little more for what is in flight: the two files together are 46 of 100 pages.
scenario_overwrite() {
	local i victim since seconds=10 bytes written pages
	[ "$length" = long ] || seconds=6
	pages=$(pod_json | jq .usage.pages.total)
	bytes=$((pages * 46 / 100 / 2 * 4096))
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		round_begin "${OTHERS[0]}"
		load_start "$victim" --threads 4 --mix overwrite --ws 2097152
		load_start "${OTHERS[0]}" --threads 1 --mix overwrite --ws $bytes
		load_start "${OTHERS[1]}" --threads 1 --mix overwrite --ws $bytes
		pause_ms 2500 # both have written everywhere
		kill -STOP "$POD_FABRICD"
		add stops 1
		since=$(pod_now)
		kill_busy "$victim"
		pause_ms $((seconds * 1000))
		load_stop "${OTHERS[@]}"
		load_latency "$since" 0 "${OTHERS[@]}"
		written=$(sed -n 's/^ops=\([0-9]*\).*/\1/p' <<<"$LATENCY_LINE")
		pod_say "chaos: P3 overwrite of 46 % of the pool for $seconds s beside a dead host: $written writes, longest" \
			"$((LATENCY / 1000)) ms, no ENOSPC"
		round_verify "${OTHERS[0]}" # an ENOSPC would be a violation
		kill -CONT "$POD_FABRICD"
		recovered "$victim"
		restart_host "$victim"
		round_end "$victim"
	done
}

# Two of three at the same moment; the third goes on and recovers both.
scenario_two() {
	local i survivor ms
	for ((i = 0; i < $1; i++)); do
		draw survivor 0 2
		others "$survivor"
		round_begin "$survivor"
		load_all
		draw ms 100 700
		pause_ms "$ms"
		kill_now "${OTHERS[@]}"
		recovered "${OTHERS[@]}"
		restart_host "${OTHERS[0]}"
		restart_host "${OTHERS[1]}"
		load_stop "$survivor"
		round_end 0 1 2
	done
}

# The recoverer is killed the moment it is to recover, or the moment it has settled the first thing; another
# takes over. A recovery is over in less than a millisecond: the kill_at may miss it, and says so.
scenario_recoverer() {
	local i victim recoverer survivor hits=0 shots=0 mode
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		round_begin "${OTHERS[0]}"
		load_all
		pause_ms 300
		mode=()
		((i % 3 == 0)) || mode=(--working)
		nice -n -15 "$POD_TESTS/kill_at" --pool "$POD_POOL" --host "$victim" --cgroups "$POD_CGROUP" --recoverer \
			"${mode[@]}" --seconds 5 >"$POD_DIR/kill_at" 2>&1 &
		pod_kill_host "$victim"
		wait $! || true
		recoverer=$(sed -n 's/^killed host\([0-9]*\) .*/\1/p' "$POD_DIR/kill_at")
		count_kills "$victim"
		if [ -n "$recoverer" ]; then
			shots=$((shots + 1))
			! grep -q 'still RECOVERING' "$POD_DIR/kill_at" || hits=$((hits + 1))
			count_kills "$recoverer"
			recovered "$recoverer"
			restart_host "$recoverer"
		fi
		recovered "$victim"
		restart_host "$victim"
		for survivor in 0 1 2; do
			[ -z "${LOAD_PID[$survivor]+x}" ] || load_stop "$survivor"
		done
		round_end 0 1 2
	done
	add recoverers_killed $hits
	pod_say "chaos: recoverer killed $shots times, $hits of them while it recovered, in $1 attempts"
}

count_offs() { # machines that were cut off so far
	grep -c ': off ' "$POD_DIR/daemon/fabricd.log" || true
}

power_cut() {
	pod_kill_fabricd
	kill_now 0 1 2
}

power_back() { # ms between machines
	local host
	pod_boot host0
	pod_start_fabricd host0
	for host in 0 1 2; do
		pod_launch_host $host "$((host == 0))"
		[ $host = 1 ] || pause_ms "$1"
	done
}

# Everything loses power; the memory lives; everything boots and comes back by itself. Nobody is cut off.
# Every other time power fails again while they come back.
scenario_all() {
	local i host ms offs before began back=()
	for ((i = 0; i < $1; i++)); do
		round_begin 0
		load_all
		draw ms 200 900
		pause_ms "$ms"
		power_cut
		before=$(remembered)
		offs=$(count_offs)
		draw ms 0 2000
		power_back "$ms"
		if ((i % 2)); then
			draw ms 0 700
			pause_ms "$ms"
			power_cut
			power_back 0
		fi
		began=$(pod_now) # the last machine has booted
		for host in 0 1 2; do
			pod_until 40 "host $host to mount" pod_up $host || load_fail "host $host did not come back"
		done
		back+=($((($(pod_now) - began) / 1000000)))
		[ "$(count_offs)" = "$offs" ] ||
			load_fail "a machine that was coming back was cut off"
		jq -ne --argjson before "$before" --argjson after "$(remembered)" '$before - $after == [] and $before != []' >/dev/null ||
			load_fail "the pool has forgotten events: $before"
		round_verify 1
		load_all # the next run of each, in the same round
		pause_ms 300
		load_stop 0 1 2
		round_end 0 2
	done
	pod_say "chaos: $1 power failures of all hosts and fabricd: $(printf '%s\n' "${back[@]}" | sort -n |
		awk '{ v[NR] = $1 } END { printf "pod back %d ms after the last machine (p50), %d at most", v[int((NR + 1) / 2)], v[NR] }'); nobody cut off"
}

# A clean leave in the middle of others' work leaves nothing to recover.
scenario_leave() {
	local i host ms
	for ((i = 0; i < $1; i++)); do
		draw host 0 2
		others "$host"
		round_begin "${OTHERS[0]}"
		load_all
		pause_ms 200
		load_stop "$host"
		pod_stop_host "$host"
		[ "$(pod_state "$host")" = FREE ] || load_fail "host $host left and its slot is $(pod_state "$host")"
		restart_host "$host"
		load_stop "${OTHERS[@]}"
		round_end "$host"
	done
}

# Lock on a host, in the background. Its last line goes to a file; LOCKER has it, its pid and its job.
lock_on() { # host, file, arguments of locker...
	local host=$1 file=$2
	shift 2
	LOCKER_NO=$((${LOCKER_NO:-0} + 1))
	LOCKER=$POD_DIR/daemon/locker$LOCKER_NO
	pod_spawn "host$host" "$LOCKER" "$POD_TESTS/locker" "$(pod_mount "$host")/$file" "$@"
	LOCKERS[$LOCKER_NO]="$host $POD_PID $POD_JOB"
}

lock_says() { # file of output, word
	[ "$(tail -n 1 "$1")" = "$2" ]
}

lock_now() { # host, file, arguments...: the answer must be the last one
	local host=$1 answer=${*: -1}
	lock_on "$host" "${@:2:$#-2}"
	pod_until 10 "host $host to be $answer: $*" lock_says "$LOCKER" "$answer" ||
		load_fail "host $host: locker ${*:2:$#-2} is not $answer but \"$(cat "$LOCKER")\""
	[ "$answer" = locked ] || locker_forget "$LOCKER_NO"
}

locker_forget() { # number: it has ended; status is how
	local host pid job
	status=0
	read -r host pid job <<<"${LOCKERS[$1]}"
	unset "LOCKERS[$1]"
	pod_reap "$job" || status=$?
}

lockers_killed() { # host
	local n
	for n in "${!LOCKERS[@]}"; do
		[ "${LOCKERS[$n]%% *}" != "$1" ] || locker_forget "$n"
	done
}

lockers_end() {
	local n pid status
	for n in "${!LOCKERS[@]}"; do
		read -r _ pid _ <<<"${LOCKERS[$n]}"
		kill -TERM "$pid" 2>/dev/null || true
		locker_forget "$n"
		[ "$status" = 0 ] || load_fail "locker $n ended with $status: $(tail -n 1 "$POD_DIR/daemon/locker$n")"
	done
}

# A host dies with locks, beside processes of all hosts that lock all the time. Its locks keep others out until
# it is recovered; then those who waited have them. Survivors' locks stay.
scenario_locks() {
	local i host victim a b waits flocks status
	declare -A LOCKERS=()
	for ((i = 0; i < $1; i++)); do
		draw victim 0 2
		others "$victim"
		a=${OTHERS[0]} b=${OTHERS[1]}
		lock_now "$victim" ranges posix 0 100 locked
		lock_now "$victim" whole flock 0 0 locked
		lock_now "$a" ranges posix 100 100 locked
		lock_now "$a" other flock 0 0 locked
		for host in 0 1 2; do
			lock_on $host ranges churn 1000 1000 $((i * 3 + host + 1))
		done
		lock_on "$b" ranges posix 50 10 --wait
		waits=$LOCKER
		lock_on "$b" whole flock 0 0 --wait
		flocks=$LOCKER
		pause_ms 300
		kill -STOP "$POD_FABRICD"
		kill_now "$victim"
		lockers_killed "$victim"
		pause_ms 300
		lock_now "$a" ranges posix 99 1 refused
		lock_now "$a" whole flock 0 0 refused
		[ ! -s "$waits" ] && [ ! -s "$flocks" ] || load_fail "a lock of dead host $victim was given away"
		kill -CONT "$POD_FABRICD"
		recovered "$victim"
		pod_until 10 "the waiting lock" lock_says "$waits" locked || load_fail "host $b waits for a lock of the dead"
		pod_until 10 "the waiting flock" lock_says "$flocks" locked || load_fail "host $b waits for a flock of the dead"
		lock_now "$b" ranges posix 150 1 refused
		lock_now "$b" other flock 0 0 refused
		lock_now "$a" ranges posix 0 50 locked
		restart_host "$victim"
		lock_now "$victim" ranges posix 20 1 refused
		lock_now "$victim" ranges posix 60 20 locked
		pause_ms 200
		lockers_end
		pool_check
		lock_now "$victim" ranges posix 0 0 locked # all of it
		lock_now "$b" ranges posix 500 1 refused
		pool_check
		lockers_end
		rm -f "$(pod_mount "$a")"/{ranges,whole,other}
		pool_check
	done
}
