# The vessel client's network and volume commands beside docker's: the same output, errors and exit codes.
load ../lib/engine

setup_file() {
	engine_up
	docker network create --label a=1 --subnet 10.88.0.0/24 net2
	docker network create --internal net10
	docker volume create --label a=1 vol-2
	docker volume create vol-10
	docker run -d --name cc --network net2 -v vol-2:/v busybox sleep 1000
}
teardown_file() {
	docker rm -f cc
	docker network rm net2 net10
	docker volume rm vol-2 vol-10
	engine_down
}
teardown() { explain; }

same() { # ARGS...: both streams and the exit code
	local client status
	for client in docker vessel; do
		(
			status=0
			$client "$@" 2>&1 </dev/null || status=$?
			echo "exit $status"
		) | sed 's/docker/vessel/g' >"$BATS_TEST_TMPDIR/$client"
	done
	diff "$BATS_TEST_TMPDIR/docker" "$BATS_TEST_TMPDIR/vessel" || {
		echo "differs: $*"
		return 1
	}
}
# The same with something to do for each client: undone in between by $undo.
same_change() {
	local client status
	for client in docker vessel; do
		(
			status=0
			$client "$@" 2>&1 </dev/null || status=$?
			echo "exit $status"
		) | sed -E 's/docker/vessel/g; s/^[0-9a-f]{64}$/ID/' >"$BATS_TEST_TMPDIR/$client"
		eval "$undo" >/dev/null 2>&1 || true
	done
	diff "$BATS_TEST_TMPDIR/docker" "$BATS_TEST_TMPDIR/vessel" || {
		echo "differs: $*"
		return 1
	}
}

@test "lists" {
	same network ls
	same network ls -q
	same network ls --no-trunc
	same network ls --filter label=a=1
	same network ls --filter nonsense=1
	same network ls --format '{{.ID}} {{.Name}} {{.Driver}} {{.Scope}} {{.CreatedAt}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Labels}}'
	same network ls --format json
	same network ls extra
	same volume ls
	same volume ls -q
	same volume ls --filter dangling=true
	same volume ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Labels}} {{.Links}} {{.Size}}'
	same volume ls --format json
}

@test "inspect" {
	same network inspect net2
	same network inspect net2 net10 nothing
	same network inspect -f '{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}}' net2
	same network inspect
	same volume inspect vol-2
	same volume inspect vol-2 nothing
	same volume inspect -f '{{.Name}} {{.Mountpoint}}' vol-2 vol-10
}

@test "create and remove" {
	undo="docker network rm fresh" same_change network create fresh
	undo="docker network rm fresh" same_change network create --subnet 10.99.0.0/24 --gateway 10.99.0.9 --ip-range 10.99.0.128/25 --aux-address x=10.99.0.5 --label k=v -o com.docker.network.driver.mtu=1400 --internal --attachable fresh
	vessel network create --subnet 10.99.0.0/24 --gateway 10.99.0.9 --ip-range 10.99.0.128/25 --aux-address x=10.99.0.5 --label k=v -o com.docker.network.driver.mtu=1400 --internal --attachable fresh
	[ "$(docker network inspect -f '{{json .IPAM.Config}} {{.Labels}} {{.Options}} {{.Internal}} {{.Attachable}}' fresh)" = '[{"Subnet":"10.99.0.0/24","IPRange":"10.99.0.128/25","Gateway":"10.99.0.9","AuxiliaryAddresses":{"x":"10.99.0.5"}}] map[k:v] map[com.docker.network.driver.mtu:1400] true true' ]
	undo="docker network create fresh" same_change network rm fresh nothing
	docker network rm fresh
	same network create net2
	same network create --subnet 10.99.0.0/24 --gateway 10.98.0.1 x
	same network create --gateway 10.98.0.1 x
	same network create
	same network rm net2
	same network rm bridge
	same network rm -f nothing
	undo="docker volume rm fresh" same_change volume create --label k=v fresh
	undo="docker volume prune -f" same_change volume create
	docker volume create fresh
	undo="docker volume create fresh" same_change volume rm fresh nothing
	docker volume rm fresh
	same volume rm vol-2
	same volume rm -f nothing
}

@test "connect and disconnect" {
	undo="docker network disconnect net10 cc" same_change network connect --alias x --gw-priority 3 net10 cc
	undo="" same network connect net2 cc
	same network connect nothing cc
	same network connect net10 nobody
	same network connect net10
	same network disconnect net10 cc
	same network disconnect nothing cc
	vessel network connect --alias x --alias y --ip 10.88.0.77 net2 "$(docker create busybox true)"
	[ "$(docker inspect -f '{{json .NetworkSettings.Networks.net2.Aliases}} {{.NetworkSettings.Networks.net2.IPAMConfig.IPv4Address}}' "$(docker ps -lq)")" = '["x","y"] 10.88.0.77' ]
	docker rm "$(docker ps -lq)"
}

@test "prune" {
	docker network create --label idle idle
	undo="docker network create --label idle idle"
	same_change network prune -f --filter label=idle
	docker network rm idle
	undo="docker volume create vol-10"
	same_change volume prune -af
	same volume prune -f
}
