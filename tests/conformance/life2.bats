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
