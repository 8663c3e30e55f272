# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# mount_jobs.sh - what bench/mount lets programs do on a tree of files: sourced by it.
#
# A job is a function job_NAME of a directory. That has tree/ (real files, in git), project/ (a program to build) and
# python/ (a standard library), all copied from $work/src. before_NAME and after_NAME, if there are, are not measured.
# A job of `reading` changes nothing, and is done twice: first of what the kernel has forgotten, and once more.
# needs_NAME is a program without which it is left out.

reading=(ls find du grep tar-c git-status python)
making=(cp tar-x rm git-clone make)
programs=(sqlite appends dd-write dd-read fio-write fio-read)
appends=20000

job_ls() { ls -lR "$1/tree"; }
job_find() { find "$1/tree"; }
job_du() { du -s "$1/tree"; }
# For what is in no tree, this file's own included.
job_grep() { ! grep -r 'nothing [l]ike this' "$1/tree"; }
# tar does not read what goes to /dev/null; 1: something has changed meanwhile.
job_tar-c() { { tar cf - -C "$1" tree || [ $? = 1 ]; } | cat >/dev/null; }
job_git-status() { git -C "$1/tree" status; }
job_python() {
	PYTHONHOME=$1/python /usr/bin/python3 -S -c 'import json, asyncio, argparse, concurrent.futures, email.message
import http.client, logging, unittest, urllib.request, xml.etree.ElementTree'
}

job_cp() { cp -r "$work/src/tree" "$1/copy"; }
after_cp() { rm -rf "$1/copy"; }
job_tar-x() { tar xf "$work/src.tar" -C "$1/copy"; }
before_tar-x() { mkdir "$1/copy"; }
after_tar-x() { rm -rf "$1/copy"; }
job_rm() { rm -rf "$1/copy"; }
before_rm() { job_cp "$1"; }
job_git-clone() { git clone -q "$1/tree" "$1/copy"; }
after_git-clone() { rm -rf "$1/copy"; }
job_make() { make -s -j2 -C "$1/project"; }
after_make() { make -s -C "$1/project" clean; }

job_sqlite() { sqlite3 "$1/database" <"$work/src/statements"; }
after_sqlite() { rm -f "$1/database"; }
job_appends() {
	perl -e 'open(my $log, ">>", "$ARGV[0]/log") or die; my $line = "0" x 99 . "\n";
		for (1 .. $ARGV[1]) { syswrite($log, $line) == 100 or die }' "$1" "$appends"
}
after_appends() {
	[ "$(stat -c %s "$1/log")" = $((100 * appends)) ] || fail "$1/log is not as long as what was appended"
	rm "$1/log"
}
job_dd-write() { dd if=/dev/zero of="$1/dd" bs=1M count="$dd_mib" status=none; }
after_dd-write() { rm "$1/dd"; }
job_dd-read() { dd if="$1/dd" of=/dev/null bs=1M status=none; }
before_dd-read() { job_dd-write "$1"; }
after_dd-read() { rm "$1/dd"; }

# 4 KiB at random. What is measured is an operation, by fio.
with_fio() { # directory, rw
	fio --name=bench --filename="$1/fio" --rw="$2" --bs=4k --size=16m --ioengine=psync --time_based --runtime="$fio_ms"ms \
		--thread --fallocate=none --output-format=json --output="$work/fio"
}
job_fio-write() { with_fio "$1" randwrite; }
job_fio-read() { with_fio "$1" randread; }
before_fio-write() { dd if=/dev/zero of="$1/fio" bs=1M count=16 status=none; }
before_fio-read() { before_fio-write "$1"; }
after_fio-write() { rm "$1/fio"; }
after_fio-read() { rm "$1/fio"; }
ns_fio-write() { jq '1e9 / .jobs[0].write.iops | round' "$work/fio"; }
ns_fio-read() { jq '1e9 / .jobs[0].read.iops | round' "$work/fio"; }

needs_python=/usr/bin/python3
needs_git_status=git needs_git_clone=git needs_make=cc needs_fio_read=fio needs_fio_write=fio

# Without the program sqlite3 its statements are those of python's module, which is the same library.
choose_sqlite() {
	if command -v sqlite3 >/dev/null; then
		echo "sqlite: by sqlite3"
	else
		needs_sqlite=/usr/bin/python3
		echo "sqlite: by python3's module, for there is no sqlite3"
		job_sqlite() {
			/usr/bin/python3 -c 'import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in open(sys.argv[2]):
    database.execute(line).fetchall()' "$1/database" "$work/src/statements"
		}
	fi
}

# -- what they are done on ----------------------------------------------------------------------

# This repository's files, or those of TREE, in git.
make_tree() {
	local tree=$work/src/tree
	if [ -n "${TREE:-}" ]; then
		cp -a "$TREE" "$tree"
	else
		mkdir "$tree"
		{ git -C "$here" archive HEAD "${parts[@]}" 2>/dev/null ||
			tar c -C "$here" --exclude=./.git --exclude='./build*' "${parts[@]:-.}"; } |
			tar x -C "$tree" --exclude='tests/fuzz/corpus'
	fi
	if [ ! -e "$tree/.git" ] && command -v git >/dev/null; then
		git -C "$tree" init -q
		git -C "$tree" add -A
		git -C "$tree" -c user.name=bench -c user.email=bench@example.org commit -qm bench
		git -C "$tree" gc -q
	fi
}

make_project() {
	mkdir "$work/src/project"
	cp -r "$here/include" "$here/common" "$here/examples" "$work/src/project"
	cat >"$work/src/project/Makefile" <<-'END'
		objects := $(patsubst %.c,%.o,$(wildcard common/*.c examples/*.c))
		all: $(objects)
		%.o: %.c; cc -std=gnu11 -Iinclude -I. -c $< -o $@
		clean:; rm -f $(objects)
	END
}

# With its compiled modules, which have the times of their sources.
make_python() {
	local stdlib
	stdlib=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
	mkdir -p "$work/src/python/lib"
	cp -a "$stdlib" "$work/src/python/lib"
	rm -rf "$work"/src/python/lib/*/{test,idlelib,dist-packages,config-*}
	job_python "$work/src" || fail "python3 does not start from a copy of $stdlib"
}

make_statements() {
	local i
	echo "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);"
	for ((i = 0; i < transactions; i++)); do
		echo "INSERT INTO t VALUES($i, 'some text of row $i');"
	done
	echo "SELECT sum(length(b)) FROM t;"
}

make_sources() {
	mkdir "$work/src"
	make_tree
	make_project
	! wanted_job python || make_python
	make_statements >"$work/src/statements"
	tar cf "$work/src.tar" -C "$work/src/tree" .
}

# Once for each directory. What git remembers of files is of this copy, so it is to look once.
copy_sources() { # directory
	cp -a "$work/src/tree" "$work/src/project" "$1"
	[ ! -e "$work/src/python" ] || cp -a "$work/src/python" "$1"
	[ ! -e "$1/tree/.git" ] || git -C "$1/tree" status >/dev/null
}

check_sources() { # directory: what was read is what was copied
	diff -rq --exclude=index "$work/src/tree" "$1/tree" || fail "$1/tree is not what was copied"
}
