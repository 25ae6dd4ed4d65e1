# Restart policies: counts, stops by a user, and a daemon that comes up again.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

count() { docker inspect -f '{{.RestartCount}}' "$1"; }
status() { docker inspect -f '{{.State.Status}}' "$1"; }

@test "on-failure:N: so many restarts; a start by a user counts anew" {
	docker run -d --name failing --restart on-failure:2 busybox sh -c 'exit 7'
	wait_events 3 container=failing event=die
	[ "$(docker wait failing)" = 7 ]
	[ "$(count failing) $(status failing)" = "2 exited" ]
	docker start failing
	wait_events 6 container=failing event=die
	[ "$(docker wait failing)" = 7 ]
	[ "$(count failing) $(status failing)" = "2 exited" ]
	docker run --name fine --restart on-failure busybox true
	[ "$(count fine) $(status fine)" = "0 exited" ]
}

@test "a stop by the user holds until the daemon comes up: always then starts, unless-stopped does not" {
	docker run -d --name al --restart always busybox sleep 1000
	docker run -d --name un --restart unless-stopped busybox sleep 1000
	docker run -d --name of --restart on-failure busybox sleep 1000
	docker stop -t 0 al un of
	[ "$(status al) $(status un) $(status of)" = "exited exited exited" ]
	daemon_stop KILL
	daemon_start
	wait_events 1 container=al event=start
	[ "$(status al) $(status un) $(status of)" = "running exited exited" ]
}

@test "a process that dies of itself comes again, by always and unless-stopped" {
	for policy in always unless-stopped; do
		docker run -d --name "self-$policy" --restart $policy busybox \
			sh -c '[ ! -e /once ] || exec sleep 1000; touch /once'
		wait_events 2 "container=self-$policy" event=start
		[ "$(count "self-$policy")" = 1 ]
	done
}
