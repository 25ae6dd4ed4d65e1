# Options of `run` that concern a container's life, by the docker client and by vessel.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

@test "time offsets: the clocks of a container are ahead of the host's, and its execs'" {
	local host there
	host=$(cut -d. -f1 /proc/uptime)
	docker run -d --name ahead --annotation vessel.time-offset.boottime=10d busybox sleep 1000
	there=$(docker exec ahead cut -d. -f1 /proc/uptime)
	((there - host >= 864000 && there - host < 864600))
	docker restart -t 0 ahead
	there=$(docker exec ahead cut -d. -f1 /proc/uptime)
	((there - host >= 864000 && there - host < 864600))
	[ "$(docker inspect -f '{{index .HostConfig.Annotations "vessel.time-offset.boottime"}}' ahead)" = 10d ]
	docker rm -f ahead
	run -0 vessel run --rm --time-offset 1h busybox cat /proc/self/timens_offsets
	[[ $output =~ monotonic\ +3600\ +0.*boottime\ +3600\ +0 ]]
	run -0 vessel run --rm --time-offset monotonic=1.5s busybox cat /proc/self/timens_offsets
	[[ $output =~ monotonic\ +1\ +500000000.*boottime\ +0\ +0 ]]
	run -125 docker run --rm --annotation vessel.time-offset.boottime=soon busybox true
	[[ $output == *"invalid annotation \"vessel.time-offset.boottime=soon\""* ]]
}

@test "--init: a SIGTERM right after the start is not lost" {
	local i
	docker create --init --name init busybox sleep 1000
	for i in 1 2 3 4 5 6 7 8; do
		curl -sf --unix-socket "$ROOT/vessel.sock" -X POST http://d/containers/init/start \
			--next -sf --unix-socket "$ROOT/vessel.sock" -X POST "http://d/containers/init/kill?signal=TERM" \
			--next -sf --unix-socket "$ROOT/vessel.sock" -X POST "http://d/containers/init/wait"
		[ "$(docker inspect -f '{{.State.ExitCode}}' init)" = 143 ]
	done
	docker rm init
	run -0 docker run --rm --init busybox grep SigBlk /proc/self/status
	[[ $output == *0000000000000000 ]]
}

@test "execs have the variables of legacy links" {
	docker run -d --name db -e PASS=word --expose 5432 busybox sleep 1000
	docker run -d --name web --link db:data busybox sleep 1000
	run -0 docker exec web env
	[[ $output == *DATA_PORT_5432_TCP_ADDR=* ]]
	[[ $output == *DATA_ENV_PASS=word* ]]
	docker stop -t 0 db
	run -0 docker exec web env
	[[ $output != *DATA_ENV_PASS=word* ]]
	docker rm -f db web
}

@test "an OOM kill is an event, and shows in the state" {
	local since
	since=$(date +%s)
	run -137 docker run --name oom --memory 16m --memory-swap 16m busybox sh -c 'tail /dev/zero; exit $?'
	[ "$(docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)" = "true 137" ]
	run -0 docker events --since "$since" --until "$(date +%s.%N)" --filter container=oom --format '{{.Action}}'
	[[ $output == *$'\noom\n'*die* ]]
	docker rm oom
}
