# The vessel client beside docker's: the same output, errors and exit codes where scripts depend on them.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

# compare COMMAND ARGS...: both clients' output (both streams) and exit code for the same arguments; the
# client's name aside.  All differences are shown before the test fails, by no_difference.
compare() {
	local client try
	for try in {1..20}; do # "1 second ago" may have become 2 in between
		for client in docker vessel; do
			(
				status=0
				"$1" $client "${@:2}" 2>&1 </dev/null || status=$?
				echo "exit $status"
			) | sed 's/docker/vessel/g' >"$BATS_TEST_TMPDIR/$client"
		done
		! diff "$BATS_TEST_TMPDIR/docker" "$BATS_TEST_TMPDIR/vessel" >"$BATS_TEST_TMPDIR/difference" || return 0
	done
	echo "differs: ${*:2}"
	cat "$BATS_TEST_TMPDIR/difference"
	differences=$((differences + 1))
}
plain() { "$@"; }
# `run` of a container, which is removed behind each client.
run_subject() {
	local status=0
	"$1" run --name subject "${@:2}" >"$BATS_TEST_TMPDIR/subject" 2>&1 || status=$?
	sed -E 's/^[0-9a-f]{64}$/ID/' "$BATS_TEST_TMPDIR/subject"
	docker rm -f subject >/dev/null 2>&1
	return $status
}
same() { compare plain "$@"; }
# Docker lists an image's names in no order.
sorted() { "$@" | sort; }
same_sorted() { compare sorted "$@"; }
same_run() { compare run_subject "$@"; }
no_difference() { [ "$differences" -eq 0 ]; }
setup() { differences=0; }

@test "run: streams, exit codes, input" {
	run -0 --separate-stderr vessel run --rm busybox sh -c 'echo out; echo err >&2'
	[ "$output" = out ]
	[ "$stderr" = err ]
	run -7 vessel run --rm busybox sh -c 'exit 7'
	run -137 vessel run --rm --init busybox sh -c 'kill -9 $$'
	run -127 vessel run --rm busybox no-such-program
	run -126 vessel run --rm busybox /etc/passwd
	run -125 vessel run --rm --memory 1 busybox true
	[ "$(printf 'a\nb\n' | vessel run --rm -i busybox wc -l)" -eq 2 ]
	[ "$(head -c 3000000 /dev/zero | vessel run --rm -i busybox wc -c)" -eq 3000000 ]
	[ "$(vessel run --rm busybox seq 100000 | md5sum)" = "$(seq 100000 | md5sum)" ]
	[ "$(vessel run -a stderr --rm busybox sh -c 'echo out; echo err >&2' 2>&1)" = err ]
	[ -z "$(vessel ps -aq)" ]
}

@test "run: the options reach the container" {
	mkdir "$BATS_TEST_TMPDIR/d"
	echo 'F=from file' >"$BATS_TEST_TMPDIR/env"
	echo G=1 >"$BATS_TEST_TMPDIR/labels"
	run -0 vessel run --rm --name oo --hostname box -e A=1 --env B=two --env-file "$BATS_TEST_TMPDIR/env" -w /tmp \
		-u 1000:2000 -v "$BATS_TEST_TMPDIR/d:/data:ro" --tmpfs /scratch:size=1m --read-only \
		--add-host there:10.1.2.3 --dns 10.9.9.9 --dns-search example.com --init busybox sh -c '
		echo $A $B $F; pwd; id -u; id -g; hostname; cat /proc/1/comm
		touch /data/x /x 2>&1 | grep -c Read-only; touch /scratch/x && echo scratch
		grep -c "10.1.2.3.*there" /etc/hosts; grep -c -e 10.9.9.9 -e example.com /etc/resolv.conf'
	[ "$(echo $output)" = "1 two from file /tmp 1000 2000 box docker-init 2 scratch 1 2" ]
	[ "$(vessel run --rm --ulimit nofile=100:200 busybox sh -c 'ulimit -Sn; ulimit -Hn' | xargs)" = "100 200" ]
	id=$(vessel run -d --name all -m 64m --memory-reservation 32m --cpus 0.5 --cpuset-cpus 0 --pids-limit 20 --label a=b \
		--label-file "$BATS_TEST_TMPDIR/labels" --cap-add NET_ADMIN --cap-drop CHOWN --security-opt no-new-privileges --stop-signal USR1 \
		--stop-timeout 3 --restart no --shm-size 1m --sysctl net.ipv4.ip_forward=0 --group-add 2000 \
		--log-opt max-size=1m --oom-score-adj 100 --mount type=tmpfs,dst=/t busybox sleep 1000)
	docker create --name theirs -m 64m --memory-reservation 32m --cpus 0.5 --cpuset-cpus 0 --pids-limit 20 --label a=b \
		--label-file "$BATS_TEST_TMPDIR/labels" --cap-add NET_ADMIN --cap-drop CHOWN --security-opt no-new-privileges --stop-signal USR1 \
		--stop-timeout 3 --restart no --shm-size 1m --sysctl net.ipv4.ip_forward=0 --group-add 2000 \
		--log-opt max-size=1m --oom-score-adj 100 --mount type=tmpfs,dst=/t busybox sleep 1000
	# What a client leaves out is null, what it sends empty is empty.
	config() { docker inspect "$1" | sed 's/: \[\]/: null/' | jq -S '.[0] | {HostConfig, Config} | del(.Config.Hostname, .Config.AttachStdout, .Config.AttachStderr, .HostConfig.ConsoleSize)'; }
	diff <(config theirs) <(config all)
	[ "$(docker inspect -f '{{.Id}}' all)" = "$id" ]
}

@test "create, start, stop, kill, wait, restart, rename, pause, rm" {
	vessel create --name cc busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do usleep 10000; done'
	[ "$(vessel start cc)" = cc ]
	wait_log cc
	[ "$(vessel rename cc dd; vessel stop -t 100 dd)" = dd ]
	[ "$(vessel wait dd)" = 5 ]
	vessel start dd
	vessel pause dd
	[[ $(vessel ps --format '{{.Status}}') == *"(Paused)" ]]
	vessel unpause dd
	vessel restart -t 0 dd
	run -1 vessel rm dd
	[[ $output == *"container is running"* ]]
	vessel kill -s KILL dd
	[ "$(vessel wait dd)" = 137 ]
	[ "$(vessel rm dd)" = dd ]
	id=$(vessel run -d --cidfile "$BATS_TEST_TMPDIR/cid" busybox sleep 1000)
	[ "$(cat "$BATS_TEST_TMPDIR/cid")" = "$id" ]
	vessel rm -f "$id"
	[ -z "$(vessel ps -aq)" ]
	run -3 vessel start -a "$(vessel create busybox sh -c 'exit 3')"
}

@test "logs, attach, exec" {
	vessel run --name ll busybox sh -c 'for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2'
	same logs ll
	same logs --tail 2 ll
	same logs -t ll
	same logs --since 2099-01-01T00:00:00 ll
	[ "$(vessel logs ll 2>/dev/null | wc -l)" -eq 5 ]
	docker run -d --name ff busybox sh -c 'for i in 1 2 3 4 5 6 7 8; do echo $i; usleep 50000; done'
	[ "$(vessel logs -f ff | xargs)" = "1 2 3 4 5 6 7 8" ]
	vessel create -i --name cat busybox cat
	vessel start cat
	[ "$(echo through | vessel attach cat)" = through ]
	vessel run -d --name ee busybox sleep 1000
	run -3 vessel exec ee sh -c 'exit 3'
	[ "$(echo piped | vessel exec -i ee cat)" = piped ]
	[ "$(vessel exec -u 1000 -w /tmp -e X=y ee sh -c 'id -u; pwd; echo $X' | xargs)" = "1000 /tmp y" ]
	run -127 vessel exec ee no-such-program
	run -126 vessel exec ee /etc/passwd
	vessel exec -d ee sleep 1000
	no_difference
}

# What a program takes changes from look to look: the figures' forms are compared, and the table without them.
shapes() { "$@" | sed -E 's/[0-9.]+(e[+][0-9]+)?[kKMGT]?i?B/SIZE/g; s/[0-9.]+%/PERCENT/g' | tr -s ' '; }

@test "top and stats" {
	same stats --no-stream
	docker create --name never busybox sh
	docker run -d --name one -m 64m busybox sleep 1000
	docker run -d --name two busybox sh -c 'echo ready; sleep 1000 & wait'
	wait_log two
	same top one
	same top two -o pid,args
	same container top one aux
	same top two -eo comm
	same top never
	same top nosuch
	same top
	same stats --no-stream never
	same stats --no-stream nosuch one neither
	same stats --no-stream --no-trunc --format '{{.Container}} {{.ID}} {{.Name}} {{.PIDs}}' one never
	compare shapes container stats -a --no-stream
	compare shapes stats --no-stream --format 'table {{.Container}}\t{{.MemUsage}}\t{{.MemPerc}}' two one two
	[ "$(vessel stats --no-stream --format '{{.MemUsage}}' one | cut -d/ -f2)" = ' 64MiB' ]
	no_difference
}

@test "--gpus, --env-file, and what the engine refuses by name" {
	requests() { # VALUE: of a container that either client makes
		local id
		id=$("$1" create --gpus "$2" busybox true)
		docker inspect -f '{{json .HostConfig.DeviceRequests}}' "$id"
		docker rm "$id" >/dev/null
	}
	for value in all 2 '"device=0,1"' 'count=2,"capabilities=compute,utility",driver=nvidia' '"options=a=b,c",device=x'; do
		requests vessel "$value" >"$BATS_TEST_TMPDIR/ours"
		diff <(requests docker "$value") "$BATS_TEST_TMPDIR/ours"
	done
	for value in x '' all,count=2 foo=1 '"device=0' 'a"b' device=0,1; do same create --gpus "$value" busybox true; done
	printf '# comment\n\nA=1\n\tB="x y" \nHOME\nNO_SUCH_VARIABLE\nC=\r\n' >"$BATS_TEST_TMPDIR/env"
	echo '=x' >"$BATS_TEST_TMPDIR/nameless"
	echo 'a b=x' >"$BATS_TEST_TMPDIR/spaced"
	docker run -d --name ee busybox sleep 1000
	for file in env nameless spaced missing; do
		same exec --env-file "$BATS_TEST_TMPDIR/$file" -e A=2 ee env
		same create --env-file "$BATS_TEST_TMPDIR/$file" --name ee busybox true
	done
	same exec -e =x ee env
	same create --link-local-ip 169.254.1.1 busybox true
	run -1 vessel create --kernel-memory 64m busybox true
	[[ $output == *"HostConfig.KernelMemory is not implemented" ]]
	run -125 vessel create --disable-content-trust=false busybox true
	id=$(vessel create --disable-content-trust --net none --dns-opt ndots:2 busybox true)
	[ "$(docker inspect -f '{{.HostConfig.NetworkMode}} {{.HostConfig.DnsOptions}}' "$id")" = 'none [ndots:2]' ]
	no_difference
}

@test "--network and --mount with keys" {
	made() { # CLIENT ARGS...: what the engine is told by either client
		local id
		id=$("$1" create "${@:2}" busybox true)
		docker inspect "$id" | jq -cS '.[0] | .HostConfig.Mounts, .HostConfig.NetworkMode, (.NetworkSettings.Networks | map_values({IPAMConfig, Aliases, MacAddress, GwPriority}))'
		docker rm -v "$id" >/dev/null
	}
	alike() {
		made vessel "$@" >"$BATS_TEST_TMPDIR/ours"
		diff <(made docker "$@") "$BATS_TEST_TMPDIR/ours"
	}
	docker network create first
	docker network create second
	alike --network name=first,alias=x,alias=y,mac-address=02:00:00:00:00:07 --network name=second,gw-priority=3,ip=10.88.0.9
	alike --network first --network-alias z --mac-address 02:00:00:00:00:07
	alike --mount 'type=volume,dst=/v,volume-label=a=b,volume-label=c,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,uid=1"'
	alike --mount 'type=bind,"src=/tmp","dst=/a,b",bind-recursive=disabled' --mount TYPE=BIND,src=.,dst=/c,ro,bind-recursive=writable
	for args in "network name=first,what=1" "network alias=x" "network name=first,driver-opt=x" "network name=first,driver-opt=k=v" \
		"network name=bridge,alias=x" "network first --network bridge" "network first --network first" "network name=first,alias=x --network-alias y" \
		"mount type=bind,src=/tmp,dst=/b,volume-nocopy" "mount type=bind,src=/tmp,dst=/b,bind-recursive=readonly" "mount dst=/v,what=1" "mount dst=/v,ro=x"; do
		same create --$args busybox true
	done
	docker network rm first second
	no_difference
}

@test "tables and templates print as docker's" {
	docker run -d --name web --label tier=front -p 127.0.0.1:0:80 -p 8000-8002 busybox sleep 1000
	docker create --name second --label a=b --label c=d -v /tmp:/data busybox sh -c 'echo "quoted words that are long enough to be cut"'
	docker run --name third busybox sh -c 'exit 3' || true
	docker tag busybox example.com:5000/some/name:v1
	for args in "ps" "ps -a" "ps -aq" "ps -a --no-trunc" "ps -l" "ps -n 2" "ps -a --format json" "ps -a --filter status=exited" \
		"ps -a --filter name=second -q" "ps -a --filter exited=3" "ps -as" "images" "images -q" "images --no-trunc" "images --digests" \
		"images -a" "images busybox" "images --format json" "history busybox" "history -q --no-trunc busybox" "inspect web" "inspect busybox" \
		"container inspect second" "image inspect busybox" "port web" "port web 80/tcp" "container ls -a" "image ls"; do
		case $args in
		image*) same_sorted $args ;;
		*) same $args ;;
		esac
	done
	same ps -a --format '{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}} {{.Labels}} {{.Mounts}} {{.Networks}} {{.LocalVolumes}}'
	same ps -a --format 'table {{.Names}}\t{{.Status}}\t{{.Label "tier"}}'
	same_sorted images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}} {{.CreatedSince}} {{.CreatedAt}}'
	same_sorted images --format 'table {{.Repository}}\t{{.Tag}}'
	same inspect -f '{{.Name}} {{.State.Status}} {{.HostConfig.Memory}} {{json .Config.Cmd}}' web
	same inspect -f '{{range .Mounts}}{{.Destination}}{{end}} {{len .Args}} {{index .Config.Labels "a"}}' second
	same inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.Gateway}}{{end}}' web
	same inspect -f '{{with .State}}{{if .Running}}up{{else}}down {{.ExitCode}}{{end}}{{end}}' third
	same inspect -f '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostIp}} {{printf "%s-%s" .Name .Id | len}}' web
	same inspect -f '{{join .Args " "}} {{upper .Name}} {{.Config.Env | json}} {{println .Path}}' second
	same inspect -s -f '{{.SizeRw}}' third
	same inspect --type image -f '{{.Id}} {{.Os}}/{{.Architecture}}' busybox
	docker rmi example.com:5000/some/name:v1
	no_difference
}

@test "errors and exit codes are docker's" {
	docker run -d --name up busybox sleep 1000
	docker create --name made busybox true
	for args in "inspect nothing-here" "start nothing-here" "stop nothing-here" "kill nothing-here" "kill made" "kill -s NOSUCH up" \
		"rm up" "rm nothing-here" "rm -f nothing-here" "exec nothing-here true" "exec made true" "exec up no-such-program" "logs nothing-here" \
		"attach made" "attach nothing-here" "rename made up" "rename nothing-here xx" "wait nothing-here" "pause made" "unpause up" \
		"restart nothing-here" "rmi nothing-here" "rmi busybox" "image inspect nothing-here" "container inspect nothing-here" \
		 "inspect -f {{.Broken up" "ps --filter nonsense" "ps --filter no=such" "port nothing-here" "port up 80" \
		"rmi --platform linux/arm64 busybox" "image inspect --platform linux/arm64 busybox" "image inspect --platform linux/amd64 -f {{.Os}} busybox" "image inspect -s busybox" \
		"network inspect -v -f {{.Name}} bridge" "history nothing-here" "tag nothing-here x" "tag busybox UPPER:x" "stop" "rm" "exec up" "rename up" "inspect" "start -a made up"; do
		same $args
	done
	for args in "--name up busybox" "--memory 1 busybox" "--memory nonsense busybox" "--cpus nonsense busybox" "--cpus 1000 busybox" "-u nobody-here busybox true" \
		"busybox no-such-program" "busybox /etc/passwd" "busybox /etc" "--network no-such-net busybox" "-p nonsense busybox" "-p 99999:1 busybox" \
		"-v relative:path:with:colons busybox" "-v /a busybox true" "-e =x busybox" "--cap-add NOT_ONE busybox" "--security-opt nonsense busybox" "--ulimit nonsense busybox" \
		"--ulimit nofile=5:1 busybox" "--restart nonsense busybox" "--rm --restart always busybox" "--tmpfs relative busybox" "--mount type=nonsense busybox" \
		"--mount type=bind,src=/no/such,dst=/m busybox" "--mount nonsense busybox" "--hostname bad_host/name busybox" "--label =x busybox" \
		"--add-host nonsense busybox" "--stop-signal NOSUCH busybox" "--workdir relative busybox" "-d --rm busybox no-such-program" "-d -a stdout busybox" \
		"--no-such-flag busybox" "-Z busybox" "--pids-limit x busybox" "--env-file /no/such busybox" "--privileged=maybe busybox" ""; do
		same_run $args
	done
	no_difference
}

@test "images: import, tag, save, load, rmi" {
	id=$(busybox_tar | vessel import -c 'CMD ["echo","from image"]' -m note - made:1)
	[[ $id =~ ^sha256:[0-9a-f]{64}$ ]]
	[ "$(vessel run --rm made:1)" = "from image" ]
	vessel tag made:1 made:2
	vessel save -o "$BATS_TEST_TMPDIR/made.tar" made:1 made:2
	[ "$(vessel save made:1 | tar -xO manifest.json | jq -r '.[0].RepoTags[0]')" = made:1 ]
	run -0 vessel rmi made:1 made:2
	[[ $output == *"Untagged: made:1"*"Untagged: made:2"*"Deleted: $id"* ]]
	run -0 vessel load -i "$BATS_TEST_TMPDIR/made.tar"
	[ "$output" = "Loaded image: made:1
Loaded image: made:2" ]
	[ "$(vessel load -q <"$BATS_TEST_TMPDIR/made.tar" | head -n 1)" = "Loaded image: made:1" ]
	[ "$(vessel images -q --no-trunc made:2)" = "$id" ]
	vessel rmi -f "$id"
	[ -z "$(vessel images -q made)" ]
}

@test "an image of another platform does not run as this one" {
	for platform in linux linux/amd64 x86_64; do
		vessel run --rm --platform "$platform" busybox true
	done
	run -125 vessel run --rm --platform linux/arm64 busybox true
	[[ $output == *"does not match the specified platform: wanted linux/arm64, actual: linux/amd64"* ]]
}

@test "a published port is free again at once, whatever connections it had" {
	port=$(free_port)
	for i in 1 2 3; do
		vessel run -d --name again -p "$port:80" busybox httpd -f -p 80 -h /www
		wait_listening again
		for address in '[::1]' 127.0.0.1; do
			[ "$(curl -sg "http://$address:$port/")" = hello ]
		done
		vessel rm -f again
	done
}

@test "version, info, help, hosts and what can't be reached" {
	[ "$(vessel version --format '{{.Server.Version}}')" = "$(docker version --format '{{.Server.Version}}')" ]
	[ "$(vessel info --format '{{.Containers}} {{.Driver}} {{.CgroupDriver}}')" = "$(docker info --format '{{.Containers}} {{.Driver}} {{.CgroupDriver}}')" ]
	vessel version | grep -q '^Server:'
	vessel --help | grep -q '^  run '
	vessel run --help | grep -qE '^  -p, --publish list +'
	[ "$(VESSEL_HOST= vessel ps -q)" = "" ]
	run -1 vessel -H unix:///no/such.sock ps
	[[ $output == *"Cannot connect to the vessel daemon at unix:///no/such.sock"* ]]
	run -1 vessel no-such-command
	[[ $output == *"unknown command: vessel no-such-command"* ]]
}
