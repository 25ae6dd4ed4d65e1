#!/usr/bin/env bats
# vessel-runtime where a shell is handier than tests/runtime, which has the rest.
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
		for _ in {1..600}; do # what was killed with it may be about to end
			left=$(ls -d /sys/fs/cgroup/*/vessel-runtime-cli/"$ID" "$WORK/state/$ID" 2>/dev/null || true)
			[ -n "$left" ] || break
			sleep 0.1
		done
		[ -z "$left" ] || { echo "call $n: left $left"; return 1; }
	done
}
