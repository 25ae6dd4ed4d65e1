# Options of `run` that concern a container's life, by the docker client and by vessel.
load ../lib/engine

setup_file() { engine_up --cdi-spec-dir "$BATS_FILE_TMPDIR/cdi"; }
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

@test "devices by CDI: --device vendor.com/class=name and --gpus" {
	mkdir "$BATS_FILE_TMPDIR/cdi"
	cat >"$BATS_FILE_TMPDIR/cdi/vendor.yaml" <<-END
		cdiVersion: "0.6.0"
		kind: vendor.com/thing
		containerEdits:
		  env: [ALL=1]
		  mounts: [{hostPath: $BATS_FILE_TMPDIR/cdi, containerPath: /vendor, options: [ro, rbind]}]
		devices:
		- name: one
		  containerEdits:
		    env: [ONE=1]
		    deviceNodes: [{path: /dev/thing, hostPath: /dev/zero}]
		    additionalGids: [4242]
		    hooks: [{hookName: createRuntime, path: /bin/touch, args: [touch, $BATS_FILE_TMPDIR/cdi/hooked]}]
	END
	run -0 docker run --rm --device vendor.com/thing=one busybox sh -c \
		'env; id -G; ls /vendor; head -c 1 /dev/thing | od -An -tx1; ls -l /dev/thing'
	[[ $output == *ALL=1* && $output == *ONE=1* && $output == *4242* && $output == *vendor.yaml* ]]
	[[ $output == *" 00"* && $output == *"1,   5"* ]]
	[ -e "$BATS_FILE_TMPDIR/cdi/hooked" ]
	docker create --name cdi --device vendor.com/thing=one busybox true
	[ "$(docker inspect -f '{{json .HostConfig.DeviceRequests}}' cdi)" = \
		'[{"Driver":"cdi","Count":0,"DeviceIDs":["vendor.com/thing=one"],"Capabilities":null,"Options":null}]' ]
	docker rm cdi
	run -0 docker run --rm --privileged --device vendor.com/thing=one busybox ls -l /dev/thing
	run -125 docker run --rm --device vendor.com/thing=two busybox true
	[[ $output == *"CDI device injection failed: unresolvable CDI devices vendor.com/thing=two"* ]]
	run -125 docker run --rm --gpus all busybox true
	[[ $output == *'could not select device driver "" with capabilities: [[gpu]]'* ]]
	sed -i 's|vendor.com/thing|nvidia.com/gpu|; s|name: one|name: "0"|' "$BATS_FILE_TMPDIR/cdi/vendor.yaml"
	run -0 docker run --rm --gpus all busybox env
	[[ $output == *ONE=1* ]]
	run -0 docker run --rm --gpus 1 busybox env
	[[ $output == *ONE=1* ]]
}

@test "warnings of create: what this host has not, what is for another machine" {
	busybox_tar | docker import --platform linux/s390x - other:arch
	run -0 docker create --name other other:arch true
	[[ $output == *"platform (linux/s390x) does not match the detected host platform (linux/"*"and no specific platform was requested"* ]]
	docker rm other
	run -0 --separate-stderr docker create --name other --platform linux/s390x other:arch true
	[ -z "$stderr" ]
	docker rm other
	run -0 curl -s --unix-socket "$ROOT/vessel.sock" -H 'Content-Type: application/json' -d '{"Image":"other:arch"}' \
		'http://d/containers/create?platform=linux/amd64'
	[[ $output == *"does not match the specified platform: wanted linux/amd64, actual: linux/s390x"* ]]
	run -0 docker create --name plain --oom-kill-disable busybox true
	[[ $output == *"OOM killer is disabled for the container, but no memory limit is set"* || $output == *OomKillDisable* ]]
	docker rm plain
}
