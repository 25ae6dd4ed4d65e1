# Health checks: states, results, events, pause, exit, and a daemon that is killed.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

# The engine keeps the last 256 events only, so the present status counts as well.
await() { # name status
	[ "$(health "$1")" = "$2" ] || wait_events 1 "container=$1" "event=health_status: $2"
}

health() { docker inspect -f '{{.State.Health.Status}}' "$1"; }

@test "starting, then healthy: inspect, ps, filters and events" {
	docker run -d --name good --health-cmd 'test -e /ok && echo fine' --health-interval 100ms \
		--health-retries 1000000 busybox sleep 1000
	[ "$(health good)" = starting ]
	[[ $(docker ps --filter name=good --format '{{.Status}}') == *"(health: starting)" ]]
	[ "$(docker ps -q --filter health=starting | wc -l)" -eq 1 ]
	docker exec good touch /ok
	await good healthy
	[ "$(health good)" = healthy ]
	[[ $(docker ps --filter name=good --format '{{.Status}}') == *"(healthy)" ]]
	[ "$(docker ps --filter health=healthy --format '{{.Names}}')" = good ]
	[ -z "$(docker ps -q --filter health=none)" ]
	docker inspect good | jq -e '.[0].State.Health | .FailingStreak == 0 and
		(.Log | length >= 1 and length <= 5) and
		.Log[-1].ExitCode == 0 and .Log[-1].Output == "fine\n" and
		.Log[-1].Start < .Log[-1].End'
	docker events --since 2000-01-01T00:00:00Z --until "$(date +%s.%N)" --filter container=good \
		--format '{{.Action}}' >"$BATS_TEST_TMPDIR/events"
	grep -qx 'exec_create: /bin/sh -c test -e /ok && echo fine' "$BATS_TEST_TMPDIR/events"
	grep -qx 'exec_start: /bin/sh -c test -e /ok && echo fine' "$BATS_TEST_TMPDIR/events"
	grep -qx exec_die "$BATS_TEST_TMPDIR/events"
}

@test "unhealthy after as many failures as retries; the end of a run is unhealthy, the next begins anew" {
	docker run -d --name bad --health-cmd 'echo no; echo worse >&2; exit 3' --health-interval 50ms \
		--health-retries 2 busybox sleep 1000
	await bad unhealthy
	docker inspect bad | jq -e '.[0].State.Health | .FailingStreak >= 2 and
		.Log[-1].ExitCode == 3 and (.Log[-1].Output | contains("no\n") and contains("worse\n"))'
	[[ $(docker ps --filter name=bad --format '{{.Status}}') == *"(unhealthy)" ]]
	docker run -d --name ending --health-cmd true --health-interval 1h busybox sleep 1000
	docker stop -t 0 ending
	[ "$(health ending)" = unhealthy ]
	[[ $(docker ps -a --filter name=ending --format '{{.Status}}') != *health* ]]
	docker start ending
	[ "$(health ending)" = starting ]
}

@test "a start period does not count failures, and has an interval of its own" {
	docker run -d --name slow --health-cmd 'test -e /ok' --health-interval 1h --health-retries 1 \
		--health-start-period 1h --health-start-interval 50ms busybox sleep 1000
	# Failures are logged, and do not count.
	wait_events 3 container=slow event=exec_die
	docker inspect slow | jq -e '.[0].State.Health | .Status == "starting" and .FailingStreak == 0'
	docker exec slow touch /ok
	await slow healthy
}

@test "a probe that takes too long is killed, and fails" {
	docker run -d --name stuck --health-cmd 'echo begun; exec sleep 1000' --health-interval 50ms \
		--health-timeout 200ms --health-retries 1 busybox sleep 2000
	await stuck unhealthy
	docker inspect stuck | jq -e '.[0].State.Health.Log[0] | .ExitCode == -1 and
		(.Output | startswith("Health check exceeded timeout (200ms)"))'
	docker rm -f stuck
}

@test "output is cut; a command that is not there fails with the cause" {
	docker run -d --name loud --health-cmd 'head -c 10000 /dev/zero | tr "\0" x' \
		--health-interval 50ms busybox sleep 1000
	await loud healthy
	docker inspect loud | jq -e '.[0].State.Health.Log[0].Output | length == 4099 and endswith("x...")'
	id=$(curl -s --unix-socket "$ROOT/vessel.sock" -H 'Content-Type: application/json' -d '{
		"Image":"busybox","Cmd":["sleep","1000"],"Healthcheck":{"Test":["CMD","/no/such"],
		"Interval":50000000,"Retries":1}}' "http://d/v1.44/containers/create?name=lost" | jq -r .Id)
	docker start "$id"
	await lost unhealthy
	docker inspect lost | jq -e '.[0].State.Health.Log[0] | .ExitCode == -1 and
		(.Output | contains("/no/such"))'
}

@test "an image's check is used, overridden, and switched off" {
	busybox_tar | docker import -c 'HEALTHCHECK --interval=50ms CMD true' - checked >/dev/null
	docker run -d --name inherits checked sleep 1000
	await inherits healthy
	docker run -d --name without --no-healthcheck checked sleep 1000
	docker inspect without | jq -e '.[0].State | has("Health") | not'
	[[ $(docker ps --filter name=without --format '{{.Status}}') != *health* ]]
	vessel run -d --name ours --health-cmd 'false' --health-interval 50ms --health-retries 1 \
		checked sleep 1000
	await ours unhealthy
	run -125 docker run --health-interval 1us --health-cmd true busybox true
	[[ $output == *"Interval in Healthcheck cannot be less than 1ms"* ]]
}

@test "no probes while the container is paused" {
	docker run -d --name frozen -v "$BATS_TEST_TMPDIR:/seen" --health-cmd 'echo >>/seen/probes' --health-interval 50ms busybox sleep 1000
	await frozen healthy
	docker pause frozen
	probes() { wc -l <"$BATS_TEST_TMPDIR/probes"; }
	n=$(probes)
	# Another container's probes show that time passes.
	docker run -d --name clock --health-cmd 'test -e /ok' --health-interval 100ms --health-retries 3 \
		busybox sleep 1000
	await clock unhealthy
	[ "$(probes)" -eq "$n" ]
	[ "$(health frozen)" = healthy ]
	docker unpause frozen
	more() { [ "$(probes)" -gt "$n" ]; }
	eventually more
	docker rm -f frozen clock
}

@test "a killed daemon: the status stays, and probing goes on" {
	docker run -d --name kept --health-cmd 'test -e /ok' --health-interval 50ms --health-retries 1 \
		busybox sleep 1000
	await kept unhealthy
	streak=$(docker inspect -f '{{.State.Health.FailingStreak}}' kept)
	docker pause kept
	daemon_stop KILL
	daemon_start
	docker inspect kept | jq -e ".[0].State.Health | .Status == \"unhealthy\" and
		.FailingStreak >= $streak and .Log[0].ExitCode == 1"
	docker unpause kept
	docker exec kept touch /ok
	await kept healthy
	[[ $(docker ps --format '{{.Status}}') == *"(healthy)" ]]
}

@test "restart on unhealthy, by a label" {
	docker run -d --name again --label vessel.restart-on-unhealthy=true --stop-timeout 0 \
		--health-cmd 'test -e /second || { touch /second; exit 1; }' --health-interval 200ms \
		--health-retries 1 busybox sleep 1000
	await again unhealthy
	await again healthy
	[ "$(docker inspect -f '{{.RestartCount}} {{.State.Status}}' again)" = "1 running" ]
}
