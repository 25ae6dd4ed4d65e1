# A container's life: start, stop, kill, wait, restart, rename, logs, attach, exec, inspect.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

@test "stop: the signal, then after the timeout SIGKILL" {
	docker run -d --name polite busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do usleep 10000; done'
	wait_log polite
	docker stop -t 100 polite
	[ "$(docker inspect -f '{{.State.ExitCode}}' polite)" = 5 ]
	docker run -d --name deaf busybox sh -c 'trap "" TERM; echo ready; while :; do usleep 10000; done'
	wait_log deaf
	docker stop -t 1 deaf
	[ "$(docker inspect -f '{{.State.ExitCode}} {{.State.Status}}' deaf)" = "137 exited" ]
	docker stop deaf # already stopped: no error
	docker run -d --name usr --stop-signal USR1 busybox sh -c 'trap "exit 6" USR1; echo ready; while :; do usleep 10000; done'
	wait_log usr
	docker stop -t 100 usr
	[ "$(docker wait usr)" = 6 ]
}

@test "kill, wait and restart" {
	docker run -d --name kk busybox sh -c 'trap "exit 9" HUP; echo ready; while :; do usleep 10000; done'
	wait_log kk
	docker kill -s HUP kk
	[ "$(docker wait kk)" = 9 ]
	run -1 docker kill kk
	[[ $output == *"is not running"* ]]
	run -1 docker kill -s NOSUCH kk
	docker restart kk
	[ "$(docker inspect -f '{{.State.Status}}' kk)" = running ]
	first=$(docker inspect -f '{{.State.Pid}}' kk)
	docker restart -t 0 kk
	[ "$(docker inspect -f '{{.State.Pid}}' kk)" != "$first" ]
}

@test "rename, and what is not there" {
	docker create --name old busybox true
	docker rename old new
	docker inspect new >/dev/null
	run -1 docker inspect --type container old
	[[ $output == *"No such container: old"* ]]
	run -1 docker start nothing-here
	[[ $output == *"No such container: nothing-here"* ]]
	docker rm new
}

@test "rm refuses a running container, rm -f does not" {
	docker run -d --name busy busybox sleep 1000
	run -1 docker rm busy
	[[ $output == *"container is running"* ]]
	docker rm -f busy
	run -1 docker inspect --type container busy
}

@test "logs: all, --tail, --since, --timestamps, -f to the end" {
	docker run --name ll busybox sh -c 'for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2'
	[ "$(docker logs ll 2>/dev/null | wc -l)" -eq 5 ]
	[ "$(docker logs ll 2>&1 >/dev/null)" = oops ]
	[ "$(docker logs --tail 2 ll 2>&1 | wc -l)" -eq 2 ]
	[[ $(docker logs -t ll 2>/dev/null | head -n 1) =~ ^[0-9-]+T[0-9:.]+Z\ line\ 1$ ]]
	[ -z "$(docker logs --since 2099-01-01T00:00:00 ll 2>&1)" ]
	[ "$(docker logs --since 2000-01-01T00:00:00Z ll 2>&1 | wc -l)" -eq 6 ]
	docker run -d --name ff busybox sh -c 'for i in 1 2 3 4 5 6 7 8; do echo $i; usleep 50000; done'
	[ "$(docker logs -f ff | xargs)" = "1 2 3 4 5 6 7 8" ]
	[ -z "$(docker create --name never busybox true >/dev/null; docker logs never)" ]
}

@test "long lines and a lot of output arrive whole" {
	docker run --name long busybox sh -c 'head -c 100000 /dev/zero | tr "\0" x; echo; seq 100000'
	docker logs long >"$BATS_TEST_TMPDIR/log"
	[ "$(head -n 1 "$BATS_TEST_TMPDIR/log" | wc -c)" -eq 100001 ]
	[ "$(tail -n +2 "$BATS_TEST_TMPDIR/log" | md5sum)" = "$(seq 100000 | md5sum)" ]
	[ "$(docker run --rm busybox seq 100000 | md5sum)" = "$(seq 100000 | md5sum)" ]
}

@test "attach sees output and feeds input" {
	docker create -i --name cat busybox cat # input ends once: not so with run -d -i
	docker start cat
	[ "$(echo through | docker attach cat)" = through ]
	[ "$(docker wait cat)" = 0 ]
}

@test "exec: output, input, exit code, user, environment, directory, detached" {
	docker run -d --name ee busybox sleep 1000
	[ "$(docker exec ee echo hi)" = hi ]
	run -3 docker exec ee sh -c 'exit 3'
	[ "$(echo piped | docker exec -i ee cat)" = piped ]
	[ "$(docker exec -u 1000 -w /tmp -e X=y ee sh -c 'id -u; pwd; echo $X' | xargs)" = "1000 /tmp y" ]
	run -127 docker exec ee no-such-program
	run -126 docker exec ee /etc/passwd
	docker exec -d ee touch /tmp/detached
	eventually docker exec ee test -e /tmp/detached
	[ "$(docker exec ee cat /proc/1/comm)" = sleep ]
	[ "$(docker exec ee sed -n 's/^CapEff:\t//p' /proc/self/status)" = 00000000a80425fb ]
	[ "$(docker exec --privileged ee sed -n 's/^CapEff:\t//p' /proc/self/status)" != 00000000a80425fb ]
	run -1 docker exec nothing-here true
	docker stop -t 0 ee
	run -1 docker exec ee true
	[[ $output == *"is not running"* ]]
}

@test "pause and unpause" {
	docker run -d --name pp busybox sleep 1000
	docker pause pp
	[[ $(docker ps --format '{{.Status}}') == *"(Paused)" ]]
	docker unpause pp
	[ "$(docker inspect -f '{{.State.Status}}' pp)" = running ]
}

@test "inspect has what clients read" {
	docker run -d --name ii -m 64m --cpus 0.5 -p 127.0.0.1::80 -e A=b --label x=y busybox sleep 1000
	docker inspect ii >"$BATS_TEST_TMPDIR/i.json"
	jq -e '.[0] | .State.Running and (.State.Pid > 0) and .HostConfig.Memory == 67108864
		and .HostConfig.NanoCpus == 500000000 and (.Config.Env | index("A=b")) and .Config.Labels.x == "y"
		and (.NetworkSettings.Ports["80/tcp"][0].HostIp == "127.0.0.1")
		and (.NetworkSettings.Networks.bridge.IPAddress | test("^10\\."))
		and .Name == "/ii" and .Config.Image == "busybox" and .Path == "sleep" and .Args == ["1000"]' \
		"$BATS_TEST_TMPDIR/i.json"
	[ "$(docker ps --format '{{.Ports}}')" != "" ]
}

@test "events of a run come in Docker's order" {
	since=$(date +%s.%N)
	docker run --rm --name ev busybox true
	until=$(date +%s.%N)
	[ "$(docker events --since "$since" --until "$until" --format '{{.Type}} {{.Action}}' | xargs -d '\n' echo)" = \
		"container create container attach network connect container start container die network disconnect container destroy" ]
}

@test "the daemon killed and started again: running containers go on, under both clients" {
	docker run -d --name on -p 127.0.0.1::80 busybox httpd -f -p 80 -h /www
	port=$(docker port on 80/tcp | sed 's/.*://')
	wait_listening on
	daemon_stop KILL
	[ "$(curl -s "http://127.0.0.1:$port/")" = hello ]
	daemon_start
	[ "$(docker inspect -f '{{.State.Status}}' on)" = running ]
	[ "$(docker exec on echo still)" = still ]
	[ "$("$DOCKER_OLD" exec on echo still)" = still ]
	docker stop -t 0 on
}

@test "docker 20.10 drives it too" {
	[ "$("$DOCKER_OLD" run --rm busybox echo old)" = old ]
	run -7 "$DOCKER_OLD" run --rm busybox sh -c 'exit 7'
	"$DOCKER_OLD" run -d --name oo busybox sleep 1000
	[ "$("$DOCKER_OLD" ps --format '{{.Names}}')" = oo ]
	"$DOCKER_OLD" logs oo
	"$DOCKER_OLD" rm -f oo
	"$DOCKER_OLD" images
	"$DOCKER_OLD" version
	"$DOCKER_OLD" info
}

@test "version, info, and what is not there yet" {
	docker version
	docker info
	[ "$(curl -s --unix-socket "$ROOT/vessel.sock" http://d/v1.44/plugins)" = "[]" ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$ROOT/vessel.sock" http://d/v1.44/no/such)" = 404 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST --unix-socket "$ROOT/vessel.sock" http://d/v1.44/build)" = 501 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$ROOT/vessel.sock" http://d/v1.23/version)" = 400 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$ROOT/vessel.sock" http://d/v1.99/version)" = 400 ]
}
