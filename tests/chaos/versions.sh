# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# versions.sh - hosts that run programs of different versions: sourced after pod.sh.
#
# Each host runs what is in a directory of its own, so that a new agent takes the place of the old one as a package
# puts it there: the file is replaced, and the agent gets SIGHUP.

own_programs() { # host, directory of the version: from here on it runs what is in its own
	mkdir -p "$POD_DIR/bin$1"
	cp "$2/daxfs-node-agent" "$POD_DIR/bin$1/"
}

start_host() {
	local POD_BIN=$POD_DIR/bin$1
	pod_launch_host "$1"
	pod_until 40 "host $1 to mount" pod_up "$1"
}

install_on() { # host, directory of the version
	cp "$2/daxfs-node-agent" "$POD_DIR/bin$1/new"
	mv "$POD_DIR/bin$1/new" "$POD_DIR/bin$1/daxfs-node-agent"
}

tenant() { pod_json | jq -c --argjson host "$1" '.hosts[] | select(.id == $host) | [.generation, .state]'; }

# How often have programs of this host gone on with the mount of a former one?
went_on() { grep -c 'goes on serving' "$POD_DIR/daemon/host$1.log" || true; }
went_on_again() { [ "$(went_on "$1")" -gt "$WENT_ON" ]; }

replace_agent() { # host, directory of the version, command that says that it runs
	local before
	before=$(tenant "$1")
	WENT_ON=$(went_on "$1")
	install_on "$1" "$2"
	kill -HUP "${POD_AGENT[$1]}"
	pod_until 20 "host $1 to run the other version" "$3" "$1"
	[ "$(tenant "$1")" = "$before" ] || pod_fail "host $1 is another tenant than before: $(tenant "$1"), was $before"
}
