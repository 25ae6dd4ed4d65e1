# tests/lib/engine.bash - a private engine for bats suites.  Run bats inside `unshare --net`.
#
# setup_file() { engine_up; }  teardown_file() { engine_down; }

bats_require_minimum_version 1.5.0

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${VESSEL_BIN:-$TOP/build/bin}
PEERS=$TOP/build/peers
DOCKER=${DOCKER:-$PEERS/docker-28/usr/bin/docker}
DOCKER_OLD=$PEERS/docker-20.10/usr/bin/docker
PATIENCE=120 # seconds: a bound on what must happen; nothing is measured by it

docker() { "$DOCKER" "$@"; }
vessel() { "$BIN/vessel" "$@"; }

# As the builtin; a test that fails by it shows what was compared.
[() {
	builtin [ "$@" && return 0
	local status=$?
	case ${FUNCNAME[1]:-} in
	test_*) echo "false: [ ${*@Q}" | cut -c1-2000 >&2 ;;
	esac
	return "$status"
}

# For what no event tells: until COMMAND succeeds, within a generous bound.
eventually() { # COMMAND...
	local end=$((SECONDS + PATIENCE))
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "never happened: $*" >&2
			return 1
		fi
		sleep 0.02
	done
}

# Until a container has written a line with PATTERN: "ready" is what ours say once they have set their traps.
wait_log() { # CONTAINER [PATTERN]
	local pid status=0
	exec 4< <(exec timeout "$PATIENCE" "$DOCKER" logs -f "$1" 2>&1)
	pid=$!
	grep -qm 1 -- "${2:-ready}" <&4 || status=$?
	kill "$pid" 2>/dev/null || true
	exec 4<&-
	return "$status"
}

# Until as many events as COUNT have come, past ones too (the engine keeps the last 256).
wait_events() { # COUNT FILTER...
	local n=$1 filters=() f line pid
	shift
	for f; do filters+=(--filter "$f"); done
	exec 4< <(exec timeout "$PATIENCE" "$DOCKER" events --since 2000-01-01T00:00:00Z "${filters[@]}" --format '{{.Action}}')
	pid=$!
	for ((; n > 0; n--)); do read -r -u 4 line || break; done
	kill "$pid" 2>/dev/null || true
	exec 4<&-
	[ "$n" -eq 0 ]
}

# Until something in a container listens on a TCP port: its start is no promise of that.
wait_listening() { # CONTAINER [PORT]
	eventually listens "$(docker inspect -f '{{.State.Pid}}' "$1")" "${2:-80}"
}
listens() { # PID PORT
	grep -qE " [0-9A-F]+:$(printf %04X "$2") [0-9A-F]+:0000 0A " "/proc/$1/net/tcp" "/proc/$1/net/tcp6"
}

# A file of the container's cgroup: by v1's controller and name, or by v2's name.
limit() { # name controller v1-file v2-file
	local id
	id=$(docker inspect -f '{{.Id}}' "$1")
	if [ -e "/sys/fs/cgroup/$2$CGROUP/$id/$3" ]; then
		cat "/sys/fs/cgroup/$2$CGROUP/$id/$3"
	else
		cat "/sys/fs/cgroup$CGROUP/$id/$4"
	fi
}

# The busybox image's root file system as a tar on standard output.
busybox_tar() {
	/usr/bin/python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import vessel
sys.stdout.buffer.write(vessel.busybox_tar())' "$TOP/tests/lib"
}

daemon_start() {
	"$BIN/vesseld" -H "unix://$ROOT/vessel.sock" --data-root "$ROOT/data" --exec-root "$ROOT/run" \
		--pidfile "$ROOT/vesseld.pid" --cgroup-parent "$CGROUP" --debug ${VESSEL_TEST_LAYERS:+--layer-format "$VESSEL_TEST_LAYERS"} "$@" \
		>>"$ROOT/vesseld.log" 2>&1 </dev/null 3>&- &
	echo $! >"$ROOT/daemon"
	local end=$((SECONDS + PATIENCE))
	while [ "$SECONDS" -lt "$end" ]; do
		curl -s --unix-socket "$ROOT/vessel.sock" http://d/_ping >/dev/null && return 0
		kill -0 "$(cat "$ROOT/daemon")" 2>/dev/null || break
		sleep 0.01
	done
	tail -n 20 "$ROOT/vesseld.log" >&2
	return 1
}

daemon_stop() { # [signal]
	local pid
	pid=$(cat "$ROOT/daemon")
	kill -"${1:-TERM}" "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
}

engine_up() {
	ip link set lo up
	ROOT=$(mktemp -d "${VESSEL_TEST_DIR:-/dev/shm}/vessel-test-XXXXXX")
	CGROUP=/vessel-test-$(printf %07d $$) # of one length: none is the beginning of another
	export ROOT CGROUP DOCKER_HOST=unix://$ROOT/vessel.sock DOCKER_CONFIG=$ROOT/config DOCKER_CLI_HINTS=false
	export VESSEL_HOST=$DOCKER_HOST
	daemon_start "$@"
	busybox_tar | docker import - busybox >/dev/null
}

engine_down() {
	local ids
	ids=$(docker ps -aq)
	[ -z "$ids" ] || docker rm -f $ids >/dev/null
	daemon_stop
	residue
	find /sys/fs/cgroup -depth -type d -path "*$CGROUP*" -exec rmdir {} \; 2>/dev/null || true
	rm -rf "$ROOT"
}

# Fails, with the list, if this engine left something behind.
residue() {
	local left="" pid end=$((SECONDS + PATIENCE))
	while [ "$SECONDS" -lt "$end" ]; do
		left=$(
			for pid in /proc/[0-9]*; do
				{ tr '\0' ' ' <"$pid/cmdline"; } 2>/dev/null | grep -E "vessel-(shim|layers)" | grep -F "$ROOT" || true
			done
			find /sys/fs/cgroup -mindepth 3 -type d -path "*$CGROUP/*" 2>/dev/null
			ip -o link | cut -d: -f2 | grep -oE ' ve[0-9a-f]{6,}[^ ]*' || true
			grep -F "$ROOT" /proc/self/mountinfo || true
			ls "$ROOT"/data/containers "$ROOT"/run/containers "$ROOT"/data/tmp "$ROOT"/data/aside 2>/dev/null | grep -v ':$' | grep . || true
			nft list ruleset 2>/dev/null | grep -E 'elements = .*tcp|elements = .*udp' || true
		)
		[ -n "$left" ] || return 0
		sleep 0.05
	done
	echo "left behind: $left" >&2
	return 1
}

# For who reads of a failure somewhere else: what there was, and what the daemon said.
explain() {
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 0
	echo "last status ${status:-}, output: ${output:-}" | cut -c1-1000 >&2
	timeout "$PATIENCE" "$DOCKER" ps -a --format '{{.ID}} {{.Names}}: {{.Status}}, {{.Command}}' >&2 || true
	tail -n 25 "$ROOT/vesseld.log" | cut -c1-300 >&2
}

teardown() {
	explain
	local ids
	ids=$(docker ps -aq 2>/dev/null)
	[ -z "$ids" ] || docker rm -f $ids >/dev/null 2>&1 || true
}

# Below those that the kernel gives to whoever connects or asks for any: it stays free.
free_port() {
	/usr/bin/python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import vessel
print(vessel.Engine.free_port(""))' "$TOP/tests/lib"
}
