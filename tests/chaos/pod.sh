# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# pod.sh - a whole pod on one machine, for tests: sourced by bash scripts.
#
# Each host is a cgroup of its own with its own processes and its own mount; the
# region they share is a file in /dev/shm. Everything of a run is under one
# directory and one cgroup with a random name, so that any number of runs can go
# on at once, and teardown (on exit, whatever the reason) needs to know no
# more than those two.
#
# Needs root (FUSE mounts, cgroups). POD_BIN and POD_TESTS say where the programs
# are. Sets POD_DIR, POD_POOL, POD_SOCKET, POD_CGROUP. Nothing here sleeps to
# give somebody time: it waits for a state, with a deadline.
# (`sleep` is used between polls, and by callers as the random part of a test.)

POD_HOSTS=${POD_HOSTS:-3}
declare -A POD_AGENT=() # host: pid of its agent
declare -A POD_JOBS=()  # host: what to wait for
declare -A POD_OPTIONS=() # host: more for its agent
POD_FABRICD=

pod_say() { printf '%s\n' "$*"; }
pod_fail() {
	doing=$* # for a caller's last words
	pod_say "pod: $*" >&2
	exit 1
}
pod_lacking() { # what this machine cannot do: POD_SKIP is the exit status
	pod_say "skipped: $*"
	exit "${POD_SKIP:-1}"
}

pod_now() { "$POD_TESTS/latency" --now; } # CLOCK_MONOTONIC, ns

pod_requirements() {
	local missing
	[ "$(id -u)" = 0 ] || pod_lacking "needs root, for mounts and cgroups: run it with sudo"
	[ -c /dev/fuse ] || pod_lacking "there is no /dev/fuse: modprobe fuse"
	POD_CGROUP2=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
	[ -n "$POD_CGROUP2" ] || pod_lacking "no cgroup v2 is mounted: mount -t cgroup2 none /sys/fs/cgroup"
	for missing in jq setsid findmnt; do
		command -v $missing >/dev/null || pod_lacking "$missing is missing: make deps"
	done
}

pod_init() { # name, pool size, mkfs options...
	local name=$1 size=$2
	shift 2
	pod_requirements
	trap pod_teardown EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	POD_DIR=$(mktemp -d "/dev/shm/daxfs-$name.XXXXXX")
	POD_POOL=$POD_DIR/pool POD_SOCKET=$POD_DIR/fabricd.sock
	POD_CGROUP=$POD_CGROUP2/${POD_DIR##*/}
	mkdir "$POD_CGROUP" || pod_fail "cannot make $POD_CGROUP: cgroup v2 must be writable here"
	[ -e "$POD_CGROUP/cgroup.kill" ] || pod_fail "this kernel has no cgroup.kill: 5.14 or newer is needed"
	mkdir "$POD_DIR/daemon"
	"$POD_BIN/daxfsctl" mkfs "$POD_POOL" --size "$size" --name "$name" "$@" >"$POD_DIR/daemon/mkfs"
}

# Run in the background as a process tree of its own in a cgroup of its own. Sets POD_PID to its pid
# and POD_JOB to what to `wait` for: a shell outside the cgroup, so that it is not killed with it.
pod_spawn() { # cgroup, output file, command...
	local cgroup=$POD_CGROUP/$1 out=$2 pid_file=$POD_DIR/daemon/pid
	shift 2
	mkdir -p "$cgroup"
	rm -f "$pid_file"
	(
		(
			echo "$BASHPID" >"$cgroup/cgroup.procs"
			echo "$BASHPID" >"$pid_file"
			exec setsid "$@"
		) >>"$out" 2>&1
		exit $?
	) >/dev/null 2>&1 </dev/null &
	POD_JOB=$!
	pod_until 10 "$1 to start" test -s "$pid_file"
	POD_PID=$(cat "$pid_file")
}

# Exit status of a job; 137 if it was killed.
pod_reap() { wait "$1" 2>/dev/null; }

# Seconds are what it may take on a machine that does nothing else. A wait in vain ends after so many times
# that, so that only what never comes is missed.
POD_PATIENCE=${POD_PATIENCE:-30}

pod_until() { # seconds, what (for the message), command...
	local end=$((SECONDS + $1 * POD_PATIENCE)) what=$2
	shift 2
	until "$@"; do
		if [ $SECONDS -gt $end ]; then
			pod_say "pod: waited in vain: $what" >&2
			return 1
		fi
		sleep 0.01
	done
}

# -- fabricd ------------------------------------------------------------------

pod_fabricd_answers() { "$POD_BIN/daxfsctl" status "$POD_POOL" --socket "$POD_SOCKET" --json >/dev/null 2>&1; }

# On a machine of its own, or on that of the host named: then it knows what of that is over.
pod_start_fabricd() { # [host]
	local on=${1:-manager}
	[ "$on" != manager ] || pod_identify manager 1
	pod_spawn fabricd "$POD_DIR/daemon/fabricd.log" "$POD_BIN/fabricd" --pool "$POD_POOL" --socket "$POD_SOCKET" \
		--fence-agent "$POD_FENCE" --fence-option "cgroup_root=$POD_CGROUP" \
		--machine-id "$POD_DIR/daemon/$on.machine-id" --boot-id "$POD_DIR/daemon/$on.boot-id"
	POD_FABRICD=$POD_PID POD_FABRICD_JOB=$POD_JOB
	pod_until 10 "fabricd to answer (see $POD_DIR/daemon/fabricd.log)" pod_fabricd_answers
}

pod_kill_fabricd() {
	kill -KILL "$POD_FABRICD"
	pod_reap "$POD_FABRICD_JOB" || true
	POD_FABRICD=
}

# -- hosts --------------------------------------------------------------------

pod_mount() { echo "$POD_DIR/m$1"; }
pod_mounted() { mountpoint -q "$POD_DIR/m$1"; }

# Hosts here share a machine, and are taken for one each: by ids of their own. Each start is a boot.
pod_identify() { # name, boot
	printf '%s\n' "$(printf '%s' "$1" | md5sum | cut -c1-32)" >"$POD_DIR/daemon/$1.machine-id"
	printf '%032x\n' "$2" >"$POD_DIR/daemon/$1.boot-id"
}

pod_boot() { # name
	POD_BOOTS=$((${POD_BOOTS:-0} + 1))
	pod_identify "$1" "$POD_BOOTS"
}

pod_launch_host() { # host [1: in the boot that it has]: start its agent, do not wait
	local host=$1
	mkdir -p "$POD_DIR/m$host"
	[ "${2:-0}" = 1 ] || pod_boot "host$host"
	pod_spawn "host$host" "$POD_DIR/daemon/host$host.log" "$POD_BIN/daxfs-node-agent" --pool "$POD_POOL" \
		--host "$host" --name "host$host" --mount "$POD_DIR/m$host" --join-wait 30 ${POD_OPTIONS[$host]:-} \
		--machine-id "$POD_DIR/daemon/host$host.machine-id" --boot-id "$POD_DIR/daemon/host$host.boot-id"
	POD_AGENT[$host]=$POD_PID POD_JOBS[$host]=$POD_JOB
}

pod_up() { # host: mounted; gives up at once when the agent has ended
	pod_mounted "$1" && return
	kill -0 "${POD_AGENT[$1]}" 2>/dev/null && return 1
	pod_fail "host $1 did not start: $(tail -n 1 "$POD_DIR/daemon/host$1.log")"
}

pod_start_host() {
	pod_launch_host "$1"
	pod_until 40 "host $1 to mount" pod_up "$1"
}

# Everything of the host dies at this instant: agent, load, whatever it runs.
pod_kill_host() {
	echo 1 >"$POD_CGROUP/host$1/cgroup.kill"
}

# A dead host has no mounts and no processes; what a reboot would clear is cleared.
pod_bury_host() {
	pod_until 10 "host $1's processes to be gone" pod_empty "$1"
	umount -l "$POD_DIR/m$1" 2>/dev/null || true
	pod_reap "${POD_JOBS[$1]}" || true
	unset "POD_AGENT[$1]"
}

pod_empty() { grep -q '^populated 0' "$POD_CGROUP/host$1/cgroup.events"; }

# Not waited for: a process that waits for its mount's frozen agent cannot itself freeze.
pod_freeze_host() { echo 1 >"$POD_CGROUP/host$1/cgroup.freeze"; }

pod_thaw_host() { echo 0 >"$POD_CGROUP/host$1/cgroup.freeze"; }

pod_signal_host() { # host, signal: to each process
	local pid
	while read -r pid; do
		kill "-$2" "$pid" 2>/dev/null || true
	done <"$POD_CGROUP/host$1/cgroup.procs"
}

pod_stop_host() { # clean leave
	local status=0
	kill -TERM "${POD_AGENT[$1]}"
	pod_reap "${POD_JOBS[$1]}" || status=$?
	unset "POD_AGENT[$1]"
	[ $status = 0 ] || pod_fail "host $1 did not leave cleanly: exit $status"
	! pod_mounted "$1" || pod_fail "host $1 left its mount behind"
}

# -- state --------------------------------------------------------------------

pod_json() { # what the pool says, whether or not fabricd runs
	"$POD_BIN/daxfsctl" status "$POD_POOL" --direct --json
}

pod_field() { # host, field
	pod_json | jq -r --argjson id "$1" ".hosts[] | select(.id == \$id) | .$2"
}

pod_state() { pod_field "$1" state; }

pod_is() { # host, state|state...
	[[ "|$2|" == *"|$(pod_state "$1")|"* ]]
}

pod_wait_state() { # host, state|state..., seconds
	pod_until "$3" "host $1 to be $2" pod_is "$1" "$2"
}

pod_wait_recovered() { pod_wait_state "$1" "RECOVERED|FREE" "${2:-20}"; }

# -- the end ------------------------------------------------------------------

pod_unpopulated() { grep -q '^populated 0' "$POD_CGROUP/cgroup.events"; }

# Ends and removes all there is of this pod; keeps its files if it failed ($1) and POD_KEEP is set.
pod_cleanup() {
	local mount
	# shellcheck disable=SC2046 # a list of pids
	kill $(jobs -p) 2>/dev/null
	if [ -n "${POD_CGROUP:-}" ] && [ -d "$POD_CGROUP" ]; then
		echo 1 >"$POD_CGROUP/cgroup.kill"
		pod_until 10 "the pod's processes to be gone" pod_unpopulated
	fi
	if [ -n "${POD_DIR:-}" ]; then
		for mount in "$POD_DIR"/m*; do
			umount -l "$mount" 2>/dev/null
			[ ! -d "$mount" ] || chattr -i "$mount" 2>/dev/null # the agent has sealed it
		done
		if [ "$1" != 0 ] && [ -n "${POD_KEEP:-}" ]; then
			pod_say "pod: kept in $POD_DIR"
		else
			rm -rf "$POD_DIR"
		fi
	fi
	[ -z "${POD_CGROUP:-}" ] || find "$POD_CGROUP" -depth -type d -exec rmdir {} \;
	wait
}

pod_teardown() {
	local status=$?
	trap '' INT TERM HUP
	trap - EXIT
	set +e
	pod_cleanup $status
	exit $status
}
