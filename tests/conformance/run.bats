# What `docker run` does, driven by the real docker client.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

@test "output goes to the right streams" {
	run -0 --separate-stderr docker run --rm busybox sh -c 'echo out; echo err >&2'
	[ "$output" = out ]
	[ "$stderr" = err ]
}

@test "exit codes are docker's" {
	run -7 docker run --rm busybox sh -c 'exit 7'
	run -137 docker run --rm busybox sh -c 'sh -c "kill -9 \$\$"; exit $?'
	run -127 docker run --rm busybox no-such-program
	[[ $output == *"executable file not found"* ]]
	run -126 docker run --rm busybox /etc/passwd
	[[ $output == *"permission denied"* ]]
	run -125 docker run --rm --memory 1 busybox true
	run -125 docker run --rm no-such-image:tag true
	[ -z "$(docker ps -aq --filter status=running)" ]
}

@test "-i feeds piped standard input, to its end" {
	[ "$(printf 'a\nb\n' | docker run --rm -i busybox wc -l)" -eq 2 ]
	head -c 3000000 /dev/zero >"$BATS_TEST_TMPDIR/zeros"
	[ "$(docker run --rm -i busybox wc -c <"$BATS_TEST_TMPDIR/zeros")" -eq 3000000 ]
}

@test "-d prints the id, ps shows the container" {
	id=$(docker run -d --name web --label tier=front busybox sleep 1000)
	[[ $id =~ ^[0-9a-f]{64}$ ]]
	[ "$(docker ps --no-trunc -q)" = "$id" ]
	[[ $(docker ps --format '{{.Status}}') == Up* ]]
	[ "$(docker ps -q --filter label=tier=front --filter name=web --filter status=running | wc -l)" -eq 1 ]
	[ -z "$(docker ps -q --filter label=tier=back)" ]
	[ "$(docker ps -q --filter ancestor=busybox | wc -l)" -eq 1 ]
	docker rm -f web
	[ -z "$(docker ps -aq)" ]
}

@test "-e, -w, -u, --hostname, --entrypoint" {
	[ "$(docker run --rm -e A=1 -e B=two busybox sh -c 'echo $A $B')" = "1 two" ]
	[ "$(docker run --rm -w /tmp/new busybox pwd)" = /tmp/new ]
	[ "$(docker run --rm -u 1000:2000 busybox sh -c 'id -u; id -g' | xargs)" = "1000 2000" ]
	[ "$(docker run --rm -u app busybox sh -c 'id -un; echo $HOME; id -Gn' | xargs)" = "app /home/app app extra" ]
	run -125 docker run --rm -u nobody-here busybox true
	[[ $output == *"unable to find user nobody-here"* ]]
	[ "$(docker run --rm --hostname box busybox hostname)" = box ]
	[ "$(docker run --rm --hostname box busybox grep -c box /etc/hosts)" -ge 1 ]
	[ "$(docker run --rm --entrypoint echo busybox hello)" = hello ]
	id=$(docker create busybox hostname)
	[ "$(docker start -a "$id")" = "${id:0:12}" ]
}

@test "-v and --tmpfs" {
	mkdir "$BATS_TEST_TMPDIR/d"
	docker run --rm -v "$BATS_TEST_TMPDIR/d:/data" busybox sh -c 'echo from inside >/data/f'
	[ "$(cat "$BATS_TEST_TMPDIR/d/f")" = "from inside" ]
	run -1 docker run --rm -v "$BATS_TEST_TMPDIR/d:/data:ro" busybox touch /data/g
	[[ $output == *"Read-only file system"* ]]
	[ "$(docker run --rm --mount "type=bind,src=$BATS_TEST_TMPDIR/d,dst=/m,readonly" busybox cat /m/f)" = "from inside" ]
	run -125 docker run --rm --mount "type=bind,src=$BATS_TEST_TMPDIR/missing,dst=/m" busybox true
	[[ $output == *"bind source path does not exist"* ]]
	docker run --rm --tmpfs /scratch:size=1m,mode=700 busybox sh -c '
		grep " /scratch tmpfs" /proc/mounts | grep -q size=1024k && [ "$(stat -c %a /scratch)" = 700 ] && touch /scratch/x'
	docker run --rm --mount type=tmpfs,dst=/scratch busybox touch /scratch/x
}

@test "-m, --cpus, --cpuset-cpus, --pids-limit" {
	inside='v1=/sys/fs/cgroup; cat $v1/memory/memory.limit_in_bytes $v1/cpu/cpu.cfs_quota_us $v1/cpuset/cpuset.cpus $v1/pids/pids.max'
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		inside='cd /sys/fs/cgroup; cat memory.max; cut -d" " -f1 cpu.max; cat cpuset.cpus pids.max'
	fi
	run -0 docker run --rm -m 64m --cpus 0.5 --cpuset-cpus 0 --pids-limit 20 busybox sh -c "$inside"
	[ "$(echo $output)" = "67108864 50000 0 20" ]
	run docker run --rm --pids-limit 8 busybox sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done 2>&1; true'
	[[ $output == *"fork"* ]]
}

@test "--cpu-shares, --cpu-period, --cpu-quota, --cpuset-mems, --memory-swappiness, --blkio-weight" {
	docker run -d --name limited --cpu-shares 512 --cpu-period 50000 --cpu-quota 20000 --cpuset-mems 0 --memory-swappiness 10 \
		--blkio-weight 300 busybox sleep 1000 2>"$BATS_TEST_TMPDIR/warnings"
	[ "$(limit limited cpu cpu.shares cpu.weight)" = "$([ -e /sys/fs/cgroup/cpu/tasks ] && echo 512 || echo 59)" ]
	[[ "$(limit limited cpu cpu.cfs_quota_us cpu.max) $(limit limited cpu cpu.cfs_period_us cpu.max)" == "20000 "*50000 ]]
	[ "$(limit limited cpuset cpuset.mems cpuset.mems)" = 0 ]
	grep -i swappiness "$BATS_TEST_TMPDIR/warnings" || [ "$(limit limited memory memory.swappiness none)" = 10 ]
	grep "Block I/O weight or" "$BATS_TEST_TMPDIR/warnings" || [[ $(limit limited blkio blkio.bfq.weight io.bfq.weight) == *300 ]]
	docker rm -f limited
	run -125 docker run --rm --cpuset-mems 63 busybox true
	[[ $output == *"emory nodes are not available"* ]]
}

@test "--device-read-bps and its like, --device-cgroup-rule" {
	local disk=loop0 args=() name
	[ -e /sys/block/loop0 ] || disk=$(ls /sys/block | head -n 1)
	[ -b "/dev/$disk" ] || skip "the kernel has no block device"
	for name in read-bps:1048576 write-bps:2097152 read-iops:300 write-iops:400; do
		args+=(--device-${name%:*} "/dev/$disk:${name#*:}")
	done
	docker run -d --name throttled "${args[@]}" busybox sleep 1000
	number=$(cat "/sys/block/$disk/dev")
	for name in read_bps_device:1048576 write_bps_device:2097152 read_iops_device:300 write_iops_device:400; do
		limit throttled blkio "blkio.throttle.${name%:*}" io.max | grep -E "^$number (${name#*:}$|.*[rw](bps|iops)=${name#*:}( |$))"
	done
	docker rm -f throttled
	docker create --name weighed --blkio-weight-device "/dev/$disk:400" busybox true 2>"$BATS_TEST_TMPDIR/warnings"
	grep "Weight-device discarded" "$BATS_TEST_TMPDIR/warnings" ||
		[ "$(docker inspect -f '{{range .HostConfig.BlkioWeightDevice}}{{.}}{{end}}' weighed)" = "/dev/$disk:400" ]
	docker rm weighed
	open='mknod /tun c 10 200; : </tun'
	run docker run --rm busybox sh -c "$open"
	[[ $output == *"not permitted"* ]]
	run docker run --rm --device-cgroup-rule "c 10:200 rw" busybox sh -c "$open"
	[[ $output != *"not permitted"* ]]
}

@test "--uts, --pid and --cgroupns, --domainname, --dns-option, -P" {
	here() { docker run --rm "${@:2}" busybox readlink "/proc/self/ns/$1"; }
	[ "$(here uts --uts host)" = "$(readlink /proc/self/ns/uts)" ]
	[ "$(here uts)" != "$(readlink /proc/self/ns/uts)" ]
	[ "$(here pid --pid host)" = "$(readlink /proc/self/ns/pid)" ]
	[ "$(here pid)" != "$(readlink /proc/self/ns/pid)" ]
	[ "$(here cgroup --cgroupns host)" = "$(readlink /proc/self/ns/cgroup)" ]
	[ "$(here cgroup --cgroupns private)" != "$(readlink /proc/self/ns/cgroup)" ]
	run -0 docker run --rm --hostname box --domainname example.org --dns-option ndots:3 busybox sh -c '
		hostname -f; cat /proc/sys/kernel/domainname; grep ^options /etc/resolv.conf'
	[ "$(echo $output)" = "box.example.org example.org options ndots:3" ]
	docker run -d --name all -P --expose 80 --expose 81/udp busybox httpd -f -p 80 -h /www
	wait_listening all
	[ "$(curl -s "http://$(docker port all 80/tcp | grep -m 1 0.0.0.0)/")" = hello ]
	[[ $(docker port all 81/udp) =~ 0.0.0.0:[0-9]+ ]]
	docker rm -f all
}

@test "an out-of-memory kill is recorded" {
	run -137 docker run --name oom -m 16m --memory-swap 16m busybox sh -c 'x=$(head -c 60000000 /dev/zero | tr "\0" x); echo ${#x}'
	[ "$(docker inspect -f '{{.State.OOMKilled}}' oom)" = true ]
	docker rm oom
}

@test "--network none, host, bridge and another container's" {
	[ "$(docker run --rm --network none busybox ip -o link | wc -l)" -eq 1 ]
	[ "$(docker run --rm --network host busybox readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]
	docker run -d --name aa busybox httpd -f -p 80 -h /www
	wait_listening aa
	[ "$(docker run --rm --network container:aa busybox wget -qO- http://127.0.0.1/)" = hello ]
	address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' aa)
	[ "$(docker run --rm busybox wget -qO- "http://$address/")" = hello ]
	[ "$(docker exec aa hostname -i | tr ' ' '\n' | grep -Fx "$address")" = "$address" ]
	run docker run --rm --network no-such-net busybox true
	[ "$status" -eq 125 ]
	[[ $output == *"network no-such-net not found"* ]]
}

@test "-p publishes TCP and UDP on IPv4 and IPv6" {
	tcp=$(free_port) udp=$(free_port)
	# busybox's nc has no UDP: the host's socat does it
	docker run -d --name web -p "$tcp:80" -p "127.0.0.1:$udp:5000/udp" -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro \
		busybox sh -c 'socat -u UDP-RECV:5000 CREATE:/tmp/udp & httpd -f -p 80 -h /www'
	wait_listening web
	[ "$(curl -s "http://127.0.0.1:$tcp/")" = hello ]
	[ "$(curl -s -g "http://[::1]:$tcp/")" = hello ]
	[[ $(docker port web 80/tcp) == *"0.0.0.0:$tcp"* ]]
	for i in $(seq 50); do # datagrams sent before socat listens are lost
		echo datagram | nc -u -w 1 127.0.0.1 "$udp"
		! docker exec web grep -q datagram /tmp/udp || break
	done
	docker exec web grep -q datagram /tmp/udp
	run -125 docker run --rm -p "$tcp:80" busybox true
	[[ $output == *"port is already allocated"* ]]
	docker rm -f web
	run curl -s --max-time 2 "http://127.0.0.1:$tcp/"
	[ "$status" -ne 0 ]
	docker run -d --name any -p 80 busybox httpd -f -p 80 -h /www
	wait_listening any
	port=$(docker port any 80/tcp | head -n 1 | sed 's/.*://')
	[ "$(curl -s "http://127.0.0.1:$port/")" = hello ]
}

@test "--read-only" {
	run -1 docker run --rm --read-only busybox touch /x
	[[ $output == *"Read-only file system"* ]]
	docker run --rm --read-only --tmpfs /tmp busybox touch /tmp/x
}

@test "capabilities: default set, --cap-add, --cap-drop, --privileged" {
	caps() { docker run --rm "$@" busybox sed -n 's/^CapEff:\t//p' /proc/self/status; }
	[ "$(caps)" = 00000000a80425fb ]
	[ "$(caps --cap-drop ALL)" = 0000000000000000 ]
	[ "$(caps --cap-drop ALL --cap-add NET_ADMIN)" = 0000000000001000 ]
	[ "$(caps --cap-add SYS_PTRACE)" = 00000000a80c25fb ]
	[ "$(docker run --rm -u 1000 busybox sed -n 's/^CapEff:\t//p' /proc/self/status)" = 0000000000000000 ]
	run -125 docker run --rm --cap-add NOT_ONE busybox true
	[[ $output == *"NOT_ONE"* ]]
	docker run --rm --privileged busybox sh -c 'mount -t tmpfs none /tmp && ls /dev/null'
}

@test "--security-opt: no-new-privileges and seccomp" {
	status() { docker run --rm "$@" busybox sed -n "s/^$field:\t//p" /proc/self/status; }
	field=NoNewPrivs
	[ "$(status)" = 0 ]
	[ "$(status --security-opt no-new-privileges)" = 1 ]
	field=Seccomp
	[ "$(status)" = 2 ]
	[ "$(status --security-opt seccomp=unconfined)" = 0 ]
	run docker run --rm busybox unshare -U true
	[ "$status" -ne 0 ]
	docker run --rm --security-opt seccomp=unconfined busybox unshare -U true
	cat >"$BATS_TEST_TMPDIR/profile.json" <<-J
		{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}
	J
	run docker run --rm --security-opt "seccomp=$BATS_TEST_TMPDIR/profile.json" busybox mkdir /tmp/x
	[ "$status" -ne 0 ]
	[[ $output == *"Operation not permitted"* ]]
}

@test "masked and read-only paths, no devices but the defaults" {
	run docker run --rm busybox sh -c 'echo changed >/proc/sys/kernel/domainname'
	[[ $output == *"Read-only file system"* || $output == *"Permission denied"* ]]
	[ "$(docker run --rm busybox sh -c 'ls /dev | sort | xargs')" = "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero" ]
	[ "$(docker run --rm busybox sh -c 'cat /proc/1/comm; ls /proc | grep -c "^[0-9]"' | head -n 1)" = sh ]
}

@test "--ulimit, --init, --name, --label" {
	[ "$(docker run --rm --ulimit nofile=100:200 busybox sh -c 'ulimit -Sn; ulimit -Hn' | xargs)" = "100 200" ]
	[ "$(docker run --rm --init busybox cat /proc/1/comm)" = docker-init ]
	run -3 docker run --rm --init busybox sh -c 'exit 3'
	docker create --name twin --label a=b --label c busybox true
	[ "$(docker inspect -f '{{.Config.Labels.a}}' twin)" = b ]
	run -125 docker run --name twin busybox true
	[[ $output == *'The container name "/twin" is already in use'* ]]
	docker rm twin
}

@test "a write in one container is invisible to another and to the image" {
	docker run --name ww busybox sh -c 'echo changed >/etc/passwd; touch /new'
	[ "$(docker run --rm busybox sh -c 'head -c 4 /etc/passwd; ls /new 2>/dev/null')" = root ]
	docker start ww
	docker wait ww
	docker rm ww
}

@test "an image that is not there can't be run, and nothing is left of it" {
	run docker run --rm nowhere/nothing:1 true
	[ "$status" -eq 125 ]
	[ -z "$(docker ps -aq)" ]
}

@test "a mount that is to be shared lies on one that is; who shares a network has its hostname" {
	mkdir "$ROOT/private"
	mount -t tmpfs --make-private none "$ROOT/private"
	run -125 docker run --rm -v "$ROOT/private:/x:rshared" busybox true
	unshared=$output
	run -125 docker run --rm --mount "type=bind,src=$ROOT/private,dst=/x,bind-propagation=rslave" busybox true
	umount "$ROOT/private"
	[[ $unshared == *"path $ROOT/private is mounted on $ROOT/private but it is not a shared mount"* ]]
	[[ $output == *"is mounted on $ROOT/private but it is not a shared or slave mount"* ]]
	mkdir "$ROOT/shared"
	mount -t tmpfs --make-shared none "$ROOT/shared"
	docker run -d --name looks -v "$ROOT/shared:/x:rslave" busybox sleep 1000
	mkdir "$ROOT/shared/later"
	mount -t tmpfs none "$ROOT/shared/later"
	touch "$ROOT/shared/later/file"
	docker exec looks test -e /x/later/file
	docker rm -f looks
	umount "$ROOT/shared/later" "$ROOT/shared"
	docker run -d --name named -h beacon busybox sleep 1000
	[ "$(docker run --rm --network container:named busybox sh -c 'hostname; echo $HOSTNAME' | xargs)" = "beacon beacon" ]
	docker rm -f named
}

@test "namespaces of another container, and of none that has ended" {
	docker run -d --name joined busybox sleep 1000
	pid=$(docker inspect -f '{{.State.Pid}}' joined)
	[ "$(docker run --rm --pid container:joined busybox readlink /proc/self/ns/pid)" = "$(readlink "/proc/$pid/ns/pid")" ]
	[ "$(docker run --rm --network container:joined busybox readlink /proc/self/ns/net)" = "$(readlink "/proc/$pid/ns/net")" ]
	run -125 docker run --rm --ipc container:joined busybox true
	[[ $output == *"failed to join IPC namespace: container "*": non-shareable IPC"* ]]
	docker kill joined
	run -125 docker run --rm --pid container:joined busybox true
	[[ $output == *"non running container"* ]]
	docker rm -f joined
}

@test "--ipc: private, shareable, container:ID, host and none" {
	docker run -d --name donor --ipc shareable --shm-size 3m busybox sleep 1000
	pid=$(docker inspect -f '{{.State.Pid}}' donor)
	docker run -d --name taker --ipc container:donor busybox sh -c 'echo hello >/dev/shm/theirs; echo ready; exec sleep 1000'
	wait_log taker
	[ "$(docker exec taker readlink /proc/self/ns/ipc)" = "$(readlink "/proc/$pid/ns/ipc")" ]
	[ "$(docker inspect -f '{{.HostConfig.IpcMode}}' taker)" = "container:$(docker inspect -f '{{.Id}}' donor)" ]
	docker exec donor sh -c 'echo more >>/dev/shm/theirs'
	run -0 docker run --rm --ipc container:taker busybox sh -c 'cat /dev/shm/theirs; df -k /dev/shm | tail -n 1'
	[[ ${lines[*]} == "hello more shm "*" 3072 "* ]]
	[ "$(docker exec taker sh -c 'grep /dev/shm /proc/self/mounts | grep -c nosuid,nodev,noexec')" -eq 1 ]
	grep -q "subpath-" /proc/self/mountinfo && false
	docker kill donor
	run -125 docker run --name late --ipc container:donor busybox true
	[[ $output == *"failed to join IPC namespace: container "*" is not running"* ]]
	[ "$(docker exec taker cat /dev/shm/theirs)" = "$(printf 'hello\nmore')" ]
	docker start donor
	docker start late
	[ "$(docker wait late)" -eq 0 ]
	docker rm -f donor taker late
	run -1 docker create --ipc container:nobody busybox true
	[[ $output == *"No such container: nobody"* ]]
	[ "$(docker run --rm --ipc host busybox readlink /proc/self/ns/ipc)" = "$(readlink /proc/self/ns/ipc)" ]
	[ "$(docker run --rm --ipc none busybox ls -d /dev/shm)" = "" ]
	[ "$(docker run --rm busybox readlink /proc/self/ns/ipc)" != "$(readlink /proc/self/ns/ipc)" ]
}

@test "the kernel kills containers before shims when memory runs out" {
	docker run -d --name scored busybox sleep 1000
	pid=$(docker inspect -f '{{.State.Pid}}' scored)
	if bash -c 'echo -999 >/proc/self/oom_score_adj' 2>/dev/null; then # else nobody may
		[ "$(cat "/proc/$(awk '{print $4}' "/proc/$pid/stat")/oom_score_adj")" = -999 ]
	fi
	[ "$(cat "/proc/$pid/oom_score_adj")" = 0 ]
	[ "$(docker exec scored cat /proc/self/oom_score_adj)" = 0 ]
	[ "$(docker run --rm --oom-score-adj 300 busybox cat /proc/self/oom_score_adj)" = 300 ]
	docker rm -f scored
}
