# Other firewalls on the host: ours comes back when theirs is reloaded, and theirs are warned of.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

@test "a flushed ruleset does not cost published ports" {
	docker run -d --name web -p 127.0.0.1::80 busybox httpd -f -p 80 -h /www
	port=$(docker port web 80/tcp | sed 's/.*://')
	wait_listening web
	served() { [ "$(curl -s --max-time 60 "http://127.0.0.1:$port/")" = hello ]; }
	served
	nft flush ruleset
	eventually nft list table inet vessel
	eventually served
}

@test "a foreign chain that drops forwarded packets is named in a warning" {
	nft add table inet theirs
	nft 'add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'
	run -0 docker create --name warned busybox true
	nft delete table inet theirs
	[[ $output == *WARNING*theirs*forward* ]]
}
