# Log drivers: files and their limits, options, who else gets the log, and what is read back.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

log_of() { # CONTAINER: the directory of its files
	echo "$ROOT/data/containers/$(docker inspect -f '{{.Id}}' "$1")"
}

@test "defaults: limits that inspect shows; what /info says" {
	docker create --name plain busybox true
	[ "$(docker inspect -f '{{json .HostConfig.LogConfig}}' plain)" = \
		'{"Type":"json-file","Config":{"max-file":"5","max-size":"20m"}}' ]
	docker create --name own --log-opt max-size=-1 busybox true
	[ "$(docker inspect -f '{{json .HostConfig.LogConfig.Config}}' own)" = '{"max-size":"-1"}' ]
	[ "$(docker info -f '{{.LoggingDriver}} {{join .Plugins.Log " "}}')" = \
		"json-file fluentd gelf journald json-file local syslog" ]
}

@test "options are refused at create, in Docker's words" {
	run -1 docker create --log-driver nope busybox true
	[[ $output == *"error looking up logging plugin nope: plugin"*"not found"* ]]
	run -1 docker create --log-opt x=y busybox true
	[[ $output == *"unknown log opt 'x' for json-file log driver"* ]]
	run -1 docker create --log-driver syslog --log-opt cache-tag=y busybox true
	[[ $output == *"unknown log opt 'cache-tag' for syslog log driver"* ]]
	run -1 docker create --log-opt mode=fast busybox true
	[[ $output == *"logger: logging mode not supported: fast"* ]]
	run -1 docker create --log-driver gelf --log-opt gelf-address=udp://h busybox true
	[[ $output == *"gelf: please provide gelf-address as proto://host:port"* ]]
}

@test "tag, labels and variables: lists and expressions, read back as details" {
	docker run --name tagged --label com.a=1 --label com.b=2 --label other=3 -e AX=x -e BX=y \
		--log-opt labels=other --log-opt 'labels-regex=^com\.' --log-opt env-regex=^A \
		--log-opt 'tag={{.ImageName}}/{{.Name}}/{{.DaemonName}}/{{.Command}}' busybox echo hello
	[ "$(docker logs --details tagged)" = \
		"AX=x,com.a=1,com.b=2,other=3,tag=busybox%2Ftagged%2Fdocker%2Fecho+hello hello" ]
	docker run --name local-tagged --log-driver local --label com.a=1 --log-opt labels=com.a \
		--log-opt 'tag={{.ID}}' busybox echo hello
	[ "$(docker logs --details local-tagged)" = \
		"com.a=1,tag=$(docker inspect -f '{{slice .Id 0 12}}' local-tagged) hello" ]
}

@test "local: tail, since, until, both streams, long lines, rotation" {
	docker run --name loc --log-driver local busybox sh -c 'seq 5; echo six >&2'
	[ "$(docker logs loc 2>&1 >/dev/null)" = six ]
	[ "$(docker logs --tail 2 loc 2>&1 | sort)" = "5
six" ]
	[ -z "$(docker logs --until 2001-01-01T00:00:00Z loc 2>&1)" ]
	[ "$(docker logs --since 2001-01-01T00:00:00Z loc 2>/dev/null | wc -l)" = 5 ]
	[[ $(docker logs -t --tail 1 loc 2>&1) =~ ^20[0-9-]+T[0-9:.]+Z ]]
	[ -z "$(docker inspect -f '{{.LogPath}}' loc)" ]
	docker run --name long --log-driver local busybox sh -c \
		'head -c 40000 /dev/zero | tr "\0" x; echo; echo -n open'
	[ "$(docker logs long | md5sum)" = "$({ head -c 40000 /dev/zero | tr '\0' x; echo; echo -n open; } | md5sum)" ]
	[ "$(docker logs --tail 2 long | wc -c)" = 40005 ]
	docker run --name rotated --log-driver local --log-opt max-size=20k --log-opt max-file=3 \
		--log-opt compress=false busybox seq 5000
	[ "$(docker logs rotated | tail -n 1)" = 5000 ]
	[ "$(find "$(log_of rotated)/local-logs" -type f | wc -l)" = 3 ]
}

@test "a compressed log reads as one that is not" {
	docker run --name packed --log-opt max-size=50k --log-opt max-file=50 --log-opt compress=true busybox seq 5000
	[ "$(docker logs packed | md5sum)" = "$(seq 5000 | md5sum)" ]
	[ "$(docker logs --tail 4000 packed | md5sum)" = "$(seq 1001 5000 | md5sum)" ]
	docker start packed # what was left as it is is compressed now, or later
	docker wait packed
	[ "$(docker logs packed | md5sum)" = "$({ seq 5000; seq 5000; } | md5sum)" ]
}

@test "none cannot be read" {
	docker run --name silent --log-driver none busybox echo x
	run -1 docker logs silent
	[[ $output == *"configured logging driver does not support reading"* ]]
}

frames() { # USER-AGENT: the streams and lengths of the frames of a log
	curl -s -A "$1" --unix-socket "$ROOT/vessel.sock" 'http://x/v1.45/containers/framed/logs?stdout=1&stderr=1' |
		/usr/bin/python3 -c '
import struct, sys
data = sys.stdin.buffer.read()
while data:
    stream, size = struct.unpack(">BxxxI", data[:8])
    print("%d:%d" % (stream, size), end=" ")
    data = data[8 + size:]'
}

@test "a line a frame, but for the docker client" {
	docker run --name framed busybox printf 'one\ntwo\nthree\n'
	[ "$(frames docker-sdk-python/7.1.0)" = "1:4 1:4 1:6 " ]
	[ "$(frames 'Docker-Client/28.5.1 (linux)')" = "1:14 " ]
	[ "$(docker logs framed)" = "$(printf 'one\ntwo\nthree')" ]
}
