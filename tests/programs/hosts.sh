# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# hosts.sh - a pool and hosts that mount it with mount(8), for the tests of this folder: sourced by bash scripts.
#
# The script runs in a mount namespace of its own, where /sbin has the mount helper of the build directory; mounts and
# agents end with it, whatever ends it. Sets BIN, DIR (of everything), POOL.

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }

# The script again, where its mounts are nobody else's. $0 must be its path.
own_namespace() {
	[ "$(id -u)" = 0 ] || skip "needs root, for mounts"
	[ -c /dev/fuse ] || skip "there is no /dev/fuse: modprobe fuse"
	[ -z "${DAXFS_OWN_NAMESPACE:-}" ] || return 0
	unshare --mount --propagation private true 2>/dev/null || skip "needs a mount namespace"
	DAXFS_OWN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
}

# shellcheck disable=SC2034 # of those who source this
hosts_begin() { # BUILD SIZE [MKFS OPTION...]: a pool, and mount(8) knows the type
	local build=$1 size=$2 name
	shift 2
	BIN=$(realpath "$build/bin")
	DIR=$(mktemp -d /dev/shm/daxfs-programs.XXXXXX)
	POOL=$DIR/pool
	trap hosts_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir "$DIR/sbin"
	for name in mount.daxfs mount.fuse.daxfs; do
		ln -s "$BIN/daxfs-node-agent" "$DIR/sbin/$name"
	done
	mount -t overlay overlay -o "lowerdir=$DIR/sbin:$(realpath /sbin)" "$(realpath /sbin)" 2>/dev/null ||
		skip "needs overlayfs, for a mount helper in /sbin"
	"$BIN/daxfsctl" mkfs "$POOL" --size "$size" --name programs "$@" >/dev/null
	cd "$DIR" || exit 1 # for what programs leave where they are
}

host_mount() { # NUMBER [OPTION,...]: on $DIR/NUMBER
	mkdir -p "$DIR/$1"
	mount -t daxfs "$POOL" "$DIR/$1" -o "host=$1,name=host$1${2:+,$2}" || fail "cannot mount host $1"
}

host_state() { # NUMBER
	"$BIN/daxfsctl" status "$POOL" --json | jq -r ".hosts[] | select(.id == $1) | .state"
}

host_umount() { # NUMBER...: and its agent has left the pool
	local number
	for number; do
		umount "$DIR/$number" || fail "cannot unmount host $number"
	done
	for number; do
		until [ "$(host_state "$number")" = FREE ]; do sleep 0.05; done
	done
}

hosts_end() {
	local status=$? mount
	cd /
	for mount in $(findmnt -rno TARGET | grep "^$DIR/"); do
		umount "$mount" 2>/dev/null || umount -l "$mount"
	done
	find "$DIR" -xdev -mindepth 1 -maxdepth 1 -type d -exec chattr -i {} + 2>/dev/null
	rm -rf --one-file-system "$DIR"
	exit $status
}
