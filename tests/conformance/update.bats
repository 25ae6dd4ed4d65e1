# docker update: limits and restart policies of containers that run and that do not.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

host() { docker inspect "$1" | jq -c ".[0].HostConfig | $2"; }

@test "a running container: the cgroup, inspect, and the next start" {
	docker run -d --name running -m 64m --memory-swap 128m busybox sleep 1000
	pid=$(docker inspect -f '{{.State.Pid}}' running)
	docker update -m 256m --memory-swap 512m --memory-reservation 32m --pids-limit 77 \
		--cpu-quota 50000 running
	[ "$(limit running memory memory.limit_in_bytes memory.max)" = 268435456 ]
	[ "$(limit running pids pids.max pids.max)" = 77 ]
	[[ $(limit running cpu cpu.cfs_quota_us cpu.max) == 50000* ]]
	[ "$(host running '[.Memory, .MemorySwap, .MemoryReservation, .PidsLimit, .CpuQuota]')" = \
		'[268435456,536870912,33554432,77,50000]' ]
	# Smaller again, and in the same run.
	docker update -m 128m --memory-swap 128m running
	[ "$(limit running memory memory.limit_in_bytes memory.max)" = 134217728 ]
	[ "$(docker inspect -f '{{.State.Pid}}' running)" = "$pid" ]
	docker restart -t 0 running
	[ "$(limit running memory memory.limit_in_bytes memory.max)" = 134217728 ]
	[ "$(limit running pids pids.max pids.max)" = 77 ]
	docker update --pids-limit -1 running
	[ "$(limit running pids pids.max pids.max)" = max ]
	[ "$(host running .PidsLimit)" = null ]
	docker events --since 2000-01-01T00:00:00Z --until "$(date +%s.%N)" --filter container=running \
		--format '{{.Action}}' | grep -cx update | grep -qx 3
}

@test "a stopped one, after a daemon that was killed, and a paused one" {
	docker create --name stopped busybox sleep 1000
	docker update --cpus 0.25 --cpuset-cpus 0 --restart on-failure:4 stopped
	daemon_stop KILL
	daemon_start
	[ "$(host stopped '[.NanoCpus, .CpusetCpus, .RestartPolicy]')" = \
		'[250000000,"0",{"Name":"on-failure","MaximumRetryCount":4}]' ]
	docker start stopped
	[[ $(limit stopped cpu cpu.cfs_quota_us cpu.max) == 25000* ]]
	docker pause stopped
	docker update --cpus 0.5 stopped
	[[ $(limit stopped cpu cpu.cfs_quota_us cpu.max) == 50000* ]]
	docker unpause stopped
	vessel update --cpus 0.75 --restart no stopped
	[[ $(limit stopped cpu cpu.cfs_quota_us cpu.max) == 75000* ]]
	[ "$(host stopped .RestartPolicy.Name)" = '"no"' ]
}

@test "what is refused changes nothing" {
	docker run -d --name firm -m 64m --cpus 0.5 --ulimit nofile=90:99 busybox sleep 1000
	before=$(host firm .)
	refused() { # text argument...
		local text=$1
		shift
		run -1 docker update "$@" firm
		[[ $output == *"$text"* ]]
		[ "$(host firm .)" = "$before" ]
	}
	refused "Minimum memory limit allowed is 6MB" -m 1m
	refused "update the memoryswap at the same time" -m 1g
	refused "CPU Quota cannot be updated as NanoCPUs has already been set" --cpu-quota 10000
	refused "Requested CPUs are not available" --cpuset-cpus 4000
	refused "unknown policy 'sometimes'" --restart sometimes
	refused "maximum retry count can only be used with 'on-failure'" --restart always:3
	docker run -d --rm --name gone busybox sleep 1000
	run -1 docker update --restart always gone
	[[ $output == *"Cannot update container"*"Restart policy cannot be updated because AutoRemove is enabled"* ]]
	run -1 docker update -m 64m nothing-here
	[[ $output == *"No such container: nothing-here"* ]]
	answered() { # status body: some clients send what a container has beside what is to change
		[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$ROOT/vessel.sock" \
			-H 'Content-Type: application/json' -d "$2" http://d/v1.44/containers/firm/update)" = "$1" ]
	}
	answered 501 '{"OomKillDisable":true}'
	answered 501 '{"Ulimits":[{"Name":"nofile","Soft":91,"Hard":99}]}'
	answered 200 '{"Ulimits":[{"Soft":90,"Hard":99,"Name":"nofile"}],"OomKillDisable":false}'
	[ "$(host firm .)" = "$before" ]
	[ "$(limit firm memory memory.limit_in_bytes memory.max)" = 67108864 ]
}

@test "another restart policy counts from the next exit on" {
	# Told by a file of the host's: an exec would be killed with the container that it ends.
	docker run -d --name policy -v "$BATS_TEST_TMPDIR:/told" busybox sh -c 'while [ ! -e /told/go ]; do usleep 10000; done; rm /told/go; exit 3'
	docker update --restart on-failure:1 policy
	touch "$BATS_TEST_TMPDIR/go"
	wait_events 2 container=policy event=start
	[ "$(docker inspect -f '{{.RestartCount}}' policy)" = 1 ]
	touch "$BATS_TEST_TMPDIR/go"
	[ "$(docker wait policy)" = 3 ]
	[ "$(docker inspect -f '{{.State.Status}} {{.RestartCount}}' policy)" = "exited 1" ]
}

@test "what the kernel refuses is put back" {
	[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ] || skip "no cgroup v1: v2 kills rather than refuses"
	docker run -d --name full -m 64m --memory-swap 64m --pids-limit 50 busybox \
		sh -c 'head -c 30000000 /dev/zero >/dev/shm/x; echo ready; sleep 1000'
	wait_log full
	before=$(host full .)
	run -1 docker update -m 8m --memory-swap 8m --pids-limit 40 --cpu-quota 10000 full
	[[ $output == *"Cannot update container"* ]]
	[ "$(host full .)" = "$before" ]
	[ "$(limit full memory memory.limit_in_bytes memory.max)" = 67108864 ]
	[ "$(limit full memory memory.memsw.limit_in_bytes memory.swap.max)" = 67108864 ]
	[ "$(limit full pids pids.max pids.max)" = 50 ]
	[ "$(limit full cpu cpu.cfs_quota_us cpu.max)" = -1 ]
}
