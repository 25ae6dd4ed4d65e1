#!/usr/bin/env bats
# vessel-runtime as its callers use it: containerd and podman match these words and codes.
# Root; a bundle of busybox, a state directory and cgroups of its own.

bats_require_minimum_version 1.5.0

setup_file() {
	export BIN="${VESSEL_BIN:-$BATS_TEST_DIRNAME/../../build/bin}"
	export WORK=$(mktemp -d /tmp/vessel-runtime-cli-XXXXXX)
	mkdir -p "$WORK/bundle/rootfs/bin" "$WORK/bundle/rootfs/proc" "$WORK/bundle/rootfs/dev" "$WORK/bundle/rootfs/tmp"
	cp /bin/busybox "$WORK/bundle/rootfs/bin/"
	local applet
	for applet in sh cat echo sleep true kill readlink; do
		ln -s busybox "$WORK/bundle/rootfs/bin/$applet"
	done
}

teardown_file() {
	local hierarchy
	for hierarchy in /sys/fs/cgroup/*/vessel-runtime-cli /sys/fs/cgroup/vessel-runtime-cli; do
		[ ! -d "$hierarchy" ] || rmdir "$hierarchy"
	done
	rm -rf "$WORK"
}

setup() {
	ID=c$BATS_TEST_NUMBER
	config '["true"]'
}

teardown() {
	runtime delete --force "$ID" || true
	[ -z "$(ls "$WORK/state" 2>/dev/null)" ]
	! ls -d /sys/fs/cgroup/*/vessel-runtime-cli/"$ID" 2>/dev/null
	! grep -q "$WORK" /proc/self/mountinfo
}

runtime() {
	"$BIN/vessel-runtime" --root "$WORK/state" "$@"
}

# config ARGS [JQ-FILTER]: write config.json
config() {
	jq -n --argjson args "$1" --arg cgroup "/vessel-runtime-cli/$ID" '{
		ociVersion: "1.2.0", root: {path: "rootfs"}, hostname: "cli",
		process: {args: $args, cwd: "/", env: ["PATH=/bin"],
			capabilities: {bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"]}},
		mounts: [{destination: "/proc", type: "proc", source: "proc"},
			{destination: "/dev", type: "tmpfs", source: "tmpfs"},
			{destination: "/dev/pts", type: "devpts", source: "devpts"}],
		linux: {cgroupsPath: $cgroup, namespaces: ["pid","network","ipc","uts","mount"] | map({type: .})}
	}' | jq "${2:-.}" >"$WORK/bundle/config.json"
}

status() {
	runtime state "$ID" | jq -r .status
}

wait_stopped() {
	local pid
	pid=$(runtime state "$ID" | jq .pid)
	[ "$pid" -eq 0 ] || tail --pid="$pid" -f /dev/null
}

@test "run: output and exit code" {
	config '["sh", "-c", "echo out; echo err >&2; exit 7"]'
	run --separate-stderr runtime run -b "$WORK/bundle" "$ID"
	[ "$status" -eq 7 ]
	[ "$output" = out ]
	[ "$stderr" = err ]
}

@test "run: standard input reaches the container" {
	config '["cat"]'
	run runtime run --bundle "$WORK/bundle" "$ID" <<<"hello"
	[ "$output" = hello ]
}

@test "the life of a container" {
	config '["sh", "-c", "echo started >/tmp/started; exec sleep 1000"]' '.annotations.a = "b"'
	runtime create -b "$WORK/bundle" --pid-file "$WORK/pid" "$ID"
	[ "$(status)" = created ]
	[ ! -e "$WORK/bundle/rootfs/tmp/started" ]
	runtime state "$ID" | jq -e --arg w "$WORK" --argjson pid "$(cat "$WORK/pid")" \
		'.id != "" and .pid == $pid and .bundle == $w + "/bundle" and .annotations.a == "b" and .rootfs == $w + "/bundle/rootfs"'
	runtime start "$ID"
	[ "$(status)" = running ]
	run runtime start "$ID"
	[ "$status" -ne 0 ]
	run runtime delete "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"cannot delete container $ID that is not stopped: running"* ]]
	runtime kill "$ID" KILL
	wait_stopped
	[ "$(status)" = stopped ]
	run runtime kill "$ID" TERM
	[ "$status" -ne 0 ]
	[[ "$output" == *"container not running"* ]]
	runtime delete "$ID"
	run runtime state "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"container does not exist"* ]]
	rm -f "$WORK/bundle/rootfs/tmp/started"
}

@test "an id is used once" {
	config '["sleep", "1000"]'
	runtime run -d -b "$WORK/bundle" "$ID" >/dev/null 2>&1 </dev/null
	run runtime create -b "$WORK/bundle" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"container with given ID already exists"* ]]
	[ "$(status)" = running ]
	runtime delete -f "$ID"
}

@test "ids cannot be paths" {
	for id in ../x a/b . .. ''; do
		run runtime create -b "$WORK/bundle" "$id"
		[ "$status" -ne 0 ]
	done
}

@test "a created container can be deleted, and its process goes" {
	config '["sleep", "1000"]'
	runtime create -b "$WORK/bundle" --pid-file "$WORK/pid" "$ID" >/dev/null 2>&1 </dev/null
	runtime delete "$ID"
	tail --pid="$(cat "$WORK/pid")" -f /dev/null
}

@test "what cannot be executed fails in create or start, and leaves nothing" {
	config '["nope"]'
	run runtime run -b "$WORK/bundle" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *'exec: "nope": executable file not found in $PATH'* ]]
	run runtime state "$ID"
	[ "$status" -ne 0 ]
}

@test "create and start in two processes tell of exec's failure" {
	printf '\1\2\3\4' >"$WORK/bundle/rootfs/tmp/garbage"
	chmod 755 "$WORK/bundle/rootfs/tmp/garbage"
	config '["/tmp/garbage"]'
	runtime create -b "$WORK/bundle" "$ID"
	run runtime start "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *'exec: "/tmp/garbage": exec format error'* ]]
	runtime delete "$ID"
	rm "$WORK/bundle/rootfs/tmp/garbage"
}

@test "--log in JSON as containerd reads it" {
	config '["nope"]'
	run runtime --log "$WORK/log.json" --log-format json run -b "$WORK/bundle" "$ID"
	[ "$status" -ne 0 ]
	tail -n 1 "$WORK/log.json" | jq -e '.level == "error" and (.msg | contains("not found")) and .time != ""'
}

@test "config.json's errors name the field" {
	config '["true"]' '.linux.resources.memory.limit = "1g"'
	run runtime run -b "$WORK/bundle" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"linux.resources.memory.limit"* ]]
	run runtime run -b "$WORK/nowhere" "$ID"
	[[ "$output" == *"nowhere"*"No such file or directory"* ]]
}

@test "an unknown command is refused" {
	run runtime frobnicate
	[ "$status" -ne 0 ]
}

@test "kill: names, numbers, all" {
	config '["sh", "-c", "trap \"exit 9\" TERM; sleep 1000 & wait"]'
	for signal in TERM SIGTERM 15; do
		runtime run -d -b "$WORK/bundle" "$ID" >/dev/null 2>&1 </dev/null
		# the trap is set once the child is there
		until [ "$(wc -l <"/sys/fs/cgroup/pids/vessel-runtime-cli/$ID/cgroup.procs")" -ge 2 ]; do :; done
		runtime kill "$ID" "$signal"
		wait_stopped
		runtime delete "$ID"
	done
	run runtime kill "$ID" NOSUCH
	[[ "$output" == *'unknown signal "NOSUCH"'* ]]
	runtime run -d -b "$WORK/bundle" "$ID" >/dev/null 2>&1 </dev/null
	runtime kill --all "$ID" KILL
	wait_stopped
	runtime delete "$ID"
}

@test "--preserve-fds passes descriptors on, and no others" {
	config '["sh", "-c", "cat <&3; readlink /proc/self/fd/4 /proc/self/fd/5 || echo none"]'
	echo given >"$WORK/given"
	run bash -c 'exec 3<"$1/given" 4</; exec "$2" --root "$1/state" run --preserve-fds 1 -b "$1/bundle" "$3"' \
		- "$WORK" "$BIN/vessel-runtime" "$ID"
	[[ "$output" == given* ]]
	[[ "$output" != *$'\n'/* ]]
}

@test "a terminal needs a console socket when detached, and is sent over it" {
	config '["sh", "-c", "readlink /proc/self/fd/0"]' '.process.terminal = true'
	run runtime create -b "$WORK/bundle" "$ID"
	[ "$status" -ne 0 ]
	[[ "$output" == *"console socket"* ]]
	python3 - "$WORK/console" >"$WORK/console.out" <<'PY' &
import array, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
connection = listener.accept()[0]
data, ancillary, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
fds = array.array("i")
fds.frombytes(ancillary[0][2])
try:
    while chunk := os.read(fds[0], 1024):
        sys.stdout.write(chunk.decode())
except OSError:
    pass
PY
	local reader=$!
	until [ -S "$WORK/console" ]; do :; done
	runtime run -d --console-socket "$WORK/console" -b "$WORK/bundle" "$ID"
	wait "$reader"
	[ "$(tr -d '\r' <"$WORK/console.out")" = /dev/pts/0 ]
	wait_stopped
	runtime delete "$ID"
}

@test "the program in /proc/self/exe cannot be written to" {
	# A script that runs the runtime itself inside the container: were it the host's file, it could be
	# opened for writing (CVE-2019-5736).
	config '["/proc/self/exe", "--version"]'
	run runtime run -b "$WORK/bundle" "$ID"
	[[ "$output" != *"$BIN"* ]]
	config '["sh", "-c", "sleep 1000"]'
	runtime create -b "$WORK/bundle" --pid-file "$WORK/pid" "$ID" >/dev/null 2>&1 </dev/null
	run bash -c "echo x >>/proc/$(cat "$WORK/pid")/exe"
	[ "$status" -ne 0 ]
	runtime delete -f "$ID"
}

@test "hooks see the state, in order" {
	config '["true"]' '.hooks = ({prestart: "creating", createRuntime: "creating", poststart: "running", poststop: "stopped"}
		| map_values([{path: "/bin/sh", args: ["sh", "-c", "jq -r .status >>'"$WORK"'/hooks"], env: ["PATH=/usr/bin:/bin"]}]))'
	runtime run -b "$WORK/bundle" "$ID"
	[ "$(tr '\n' ' ' <"$WORK/hooks")" = "creating creating running stopped " ]
	rm "$WORK/hooks"
	config '["true"]' '.hooks.poststop = [{path: "/bin/sh", args: ["sh", "-c", "echo gone >>'"$WORK"'/hooks"]}]'
	runtime create -b "$WORK/bundle" "$ID"
	runtime start "$ID"
	wait_stopped
	[ ! -e "$WORK/hooks" ]
	runtime delete "$ID"
	[ "$(cat "$WORK/hooks")" = gone ]
}

@test "a terminal in the foreground" {
	config '["sh", "-c", "readlink /proc/self/fd/1; read line; echo got $line; exit 4"]' '.process.terminal = true'
	run script -qec "'$BIN/vessel-runtime' --root '$WORK/state' run -b '$WORK/bundle' $ID" /dev/null <<<"typed"
	[ "$status" -eq 4 ]
	[[ "$output" == *"/dev/pts/0"* ]]
	[[ "$output" == *"got typed"* ]]
}

@test "cgroup v2 alone: membership, device policy, freezer" {
	config '["sh", "-c", "cat /proc/self/cgroup | grep ^0::; : </dev/zero && echo zero; : </dev/tun"]' \
		'.linux.devices = [{path: "/dev/tun", type: "c", major: 10, minor: 200}]
		| .linux.resources.devices = [{allow: false, access: "rwm"}]'
	run unshare -m bash -c '
		for hierarchy in /sys/fs/cgroup/*; do
			if mountpoint -q "$hierarchy" && [ "${hierarchy##*/}" != unified ]; then umount "$hierarchy"; fi
		done
		"$1" --root "$2/state" run -b "$2/bundle" "$3"' - "$BIN/vessel-runtime" "$WORK" "$ID"
	[[ "$output" == *"0::/vessel-runtime-cli/$ID"* ]]
	[[ "$output" == *zero* ]]
	[[ "$output" == *"/dev/tun: Operation not permitted"* ]]
}

@test "a create that is killed halfway leaves what delete finds" {
	local n left
	config '["true"]'
	for ((n = 120; n < 400; n += 40)); do
		timeout 60 strace -qq -o /dev/null -e "inject=all:signal=KILL:when=$n" \
			"$BIN/vessel-runtime" --root "$WORK/state" create -b "$WORK/bundle" "$ID" </dev/null >"$WORK/out" 2>&1 || true
		runtime delete --force "$ID"
		left=$(ls -d /sys/fs/cgroup/*/vessel-runtime-cli/"$ID" "$WORK/state/$ID" 2>/dev/null || true)
		[ -z "$left" ] || { echo "call $n: left $left"; return 1; }
	done
}
