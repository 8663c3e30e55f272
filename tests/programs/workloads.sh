# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# workloads.sh - programs that are at work while something happens to the mount beneath them, and notice an error or a wrong
# byte: fio's verification, a compilation by make and gcc, small writes whose time is taken. Sourced by bash scripts.

workloads_begin() { # DIRECTORY ON THE MOUNT, DIRECTORY ELSEWHERE
	workloads=$2 workload_jobs=()
	mkdir -p "$1" "$2"
	local name
	for name in probe compile verify; do
		"workload_$name" "$1" >"$2/$name.log" 2>&1 &
		workload_jobs+=($!)
	done
}

# All have ended, and found nothing wrong. Sets longest_ms: of all small writes.
workloads_end() {
	local job status=0
	: >"$workloads/stop"
	for job in "${workload_jobs[@]}"; do wait "$job" || status=$?; done
	[ $status = 0 ] || { tail -n 5 "$workloads"/*.log "$workloads/fio.out" >&2; return 1; }
	# shellcheck disable=SC2034 # of those who source this
	longest_ms=$(($(cat "$workloads/longest") / 1000))
}

# The first write that fails ends it.
workload_probe() {
	local longest=0 began took
	while [ ! -e "$workloads/stop" ]; do
		began=${EPOCHREALTIME/[.,]/}
		echo x >"$1/probe" || return 1
		took=$((${EPOCHREALTIME/[.,]/} - began))
		[ $took -le $longest ] || longest=$took
	done
	echo "$longest" >"$workloads/longest"
}

workload_compile() {
	local n
	mkdir "$1/compile"
	for n in $(seq 30); do
		printf '#include <stdio.h>\n#include <stdlib.h>\nint f%d(void) { return %d; }\n' "$n" "$n" >"$1/compile/f$n.c"
	done
	# shellcheck disable=SC2016 # make's own
	printf 'main: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\tgcc -shared -o $@ $^\n' >"$1/compile/Makefile"
	while [ ! -e "$workloads/stop" ]; do
		make -s -C "$1/compile" CFLAGS=-fPIC || return 1
		rm "$1"/compile/*.o "$1/compile/main" || return 1
	done
}

workload_verify() {
	while [ ! -e "$workloads/stop" ]; do
		fio --name=v --filename="$1/fio" --size=8M --rw=randrw --bsrange=512-64k --ioengine=psync --numjobs=1 \
			--verify=crc32c --verify_fatal=1 --output="$workloads/fio.out" || return 1
	done
}
