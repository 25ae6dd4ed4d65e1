#!/bin/sh
# The tests inside the guest: cgroup v2 alone, limits by their effect.  TAP on standard output.
state=/run/runtime
count=0
only=${1:-} # a word in the function's name

# check NAME FUNCTION: run it in a shell that ends at the first failing command
check() {
	[ -z "$only" ] || case $2 in *$only*) ;; *) return ;; esac
	count=$((count + 1))
	case $2 in
	runtime_* | engine_starts) ;;
	*) [ -e /tmp/daemon ] || engine_starts >/dev/null 2>&1 ;; # one test alone
	esac
	[ ! -e /tmp/daemon ] || vessel ps -aq | xargs -r vessel rm -f >/dev/null
	(set -ex; "$2") >/tmp/log 2>&1
	if [ $? -eq 0 ]; then
		echo "ok $count $(uname -r | cut -d. -f1,2): $1"
	else
		echo "not ok $count $(uname -r | cut -d. -f1,2): $1"
		{
			tail -n 16 /tmp/log
			echo "uptime $(cat /proc/uptime), load $(cat /proc/loadavg)"
			tail -n 7 /tmp/vesseld.log
		} 2>&1 | cut -c1-400 | sed 's/^/# /'
	fi
}

fails() { if "$@"; then return 1; fi; }
is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }

# Poll what no event tells a shell, within a generous bound.
until_true() {
	local i=0
	until "$@" >/tmp/tried 2>&1; do
		i=$((i + 1))
		[ $i -lt 12000 ] || { echo "never: $*"; tail -n 5 /tmp/tried; return 1; }
		usleep 10000
	done
}

# vessel-runtime --------------------------------------------------------------------------------

runtime() { vessel-runtime --root $state "$@"; }
status_of() { runtime state "$1" | tr -d ' \n\t' | sed 's/.*"status":"\([a-z]*\)".*/\1/'; }
status_is() { [ "$(status_of "$1")" = "$2" ]; }
command_is() { [ "$(tr '\0' ' ' </proc/$1/cmdline)" = "$2" ]; }

runtime_run() {
	is "$(runtime run -b /bundle/hello a)" "hello from guest, process 1"
	code=0
	runtime run -b /bundle/seven b || code=$?
	is $code 7
	[ ! -d /sys/fs/cgroup/test/hello ]
	is "$(ls $state | wc -l)" 0
}

runtime_life() {
	runtime create -b /bundle/sleep --pid-file /tmp/pid s >/tmp/out 2>&1 </dev/null
	pid=$(cat /tmp/pid)
	is "$(status_of s)" created
	is "$(cat /proc/$pid/cgroup)" "0::/test/sleep"
	fails runtime create -b /bundle/sleep s
	runtime start s
	is "$(status_of s)" running
	until_true command_is $pid "sleep 1000 " # which the kernel lays out last
	fails runtime delete s
	runtime kill s KILL
	until_true status_is s stopped
	runtime delete s
	fails runtime state s
	[ ! -d /sys/fs/cgroup/test/sleep ]
}

runtime_memory() {
	code=0
	runtime run -b /bundle/memory m >/tmp/out 2>&1 || code=$?
	cat /tmp/out
	grep -qx 16777216 /tmp/out
	is $code 137
}

runtime_pids() {
	runtime run -b /bundle/pids p >/tmp/out 2>&1 || true
	grep -qx 5 /tmp/out
	grep -q "can't fork" /tmp/out
}

runtime_cpu() {
	is "$(runtime run -b /bundle/cpu c | tr '\n' ' ')" "5000 100000 throttled "
}

runtime_devices() {
	code=0
	runtime run -b /bundle/devices d >/tmp/out 2>&1 || code=$?
	cat /tmp/out
	grep -qx 1 /tmp/out
	grep -q "/mem: Operation not permitted" /tmp/out
	[ $code -ne 0 ]
}

# vesseld and vessel, at their default places -----------------------------------------------------

daemon_start() {
	vesseld --debug $([ ! -e /policy ] || echo --selinux-enabled) >>/tmp/vesseld.log 2>&1 &
	echo $! >/tmp/daemon
	until_true vessel version
}

# Its successor must not meet it while it dies.
daemon_kill() {
	kill -9 "$(cat /tmp/daemon)"
	until_true fails kill -0 "$(cat /tmp/daemon)"
}

engine_starts() {
	daemon_start
	vessel import /busybox.tar busybox
	is "$(vessel run --rm busybox sh -c 'echo $(hostname -i) $$' | sed 's/^10\.[0-9.]* //')" 1
}

v2_view() {
	id=$(vessel run -d --name view busybox sleep 1000)
	pid=$(vessel inspect -f '{{.State.Pid}}' view)
	is "$(cat /proc/$pid/cgroup)" "0::/docker/$id"
	is "$(vessel exec view cat /proc/self/cgroup)" "0::/"
	is "$(vessel exec view sed -n 's/.* \(.*\) cgroup2 \(r[ow]\).*/\1 \2/p' /proc/mounts)" "/sys/fs/cgroup ro"
	vessel exec -d view sleep 2000
	until_true sh -c "[ \$(wc -l </sys/fs/cgroup/docker/$id/cgroup.procs) -eq 2 ]"
	vessel rm -f view
	until_true [ ! -d "/sys/fs/cgroup/docker/$id" ]
	until_true fails pidof sleep
}

limits() {
	is "$(vessel run --rm -m 64m --cpus 0.5 --cpuset-cpus 0 --pids-limit 20 busybox sh -c '
		cd /sys/fs/cgroup; cat memory.max cpu.max cpuset.cpus pids.max' | tr '\n' ' ')" \
		"67108864 50000 100000 0 20 "
	vessel run --rm --pids-limit 5 busybox sh -c 'for i in 1 2 3 4 5 6 7; do sleep 1000 & done' \
		>/tmp/out 2>&1 || true
	grep -q "can't fork" /tmp/out
	is "$(vessel run --rm --cpus 0.05 busybox sh -c 'until grep -q "nr_throttled [1-9]" \
		/sys/fs/cgroup/cpu.stat; do :; done; echo throttled')" throttled
}

stats_shape() {
	vessel run -d --name busy -m 64m --cpus 0.2 --pids-limit 50 busybox sh -c 'while :; do :; done'
	id=$(vessel inspect -f '{{.Id}}' busy)
	until_true grep -q 'nr_throttled [1-9]' /sys/fs/cgroup/docker/$id/cpu.stat
	/usr/bin/python3 /tests/vm/stats.py busy
	vessel rm -f busy
}

# The daemon, and at most the shim that it keeps ready.
alone_in() {
	for member in $(cat "$1/cgroup.procs"); do
		[ "$member" = "$(cat /tmp/daemon)" ] || grep -q standby "/proc/$member/cmdline" || return 1
	done
}

# As a service manager has it: the daemon in a cgroup of its own, which ends with all that is in it.
service_restart() {
	mkdir -p /sys/fs/cgroup/system.slice/vessel.service
	echo "$(cat /tmp/daemon)" >/sys/fs/cgroup/system.slice/vessel.service/cgroup.procs
	vessel run -d --name outlives --cgroup-parent /machine.slice busybox sh -c 'sleep 1000; exit 3'
	id=$(vessel inspect -f '{{.Id}}' outlives)
	pid=$(vessel inspect -f '{{.State.Pid}}' outlives)
	is "$(cat /proc/$pid/cgroup)" "0::/machine.slice/$id"
	# The shim leaves a little later than it starts, when that holds nobody up.
	until_true alone_in /sys/fs/cgroup/system.slice/vessel.service
	echo 1 >/sys/fs/cgroup/system.slice/vessel.service/cgroup.kill
	until_true rmdir /sys/fs/cgroup/system.slice/vessel.service
	daemon_start
	is "$(vessel inspect -f '{{.State.Status}} {{.State.Pid}}' outlives)" "running $pid"
	until_true vessel exec outlives pidof sleep
	vessel exec outlives killall sleep || true # process 1 ends with it, and may take it along
	is "$(vessel wait outlives)" 3
	vessel rm outlives
	until_true [ ! -d "/sys/fs/cgroup/machine.slice/$id" ]
}

memory_oom() {
	code=0
	vessel run --name oom -m 16m --memory-swap 16m busybox sh -c '
		x=$(head -c 60000000 /dev/zero | tr "\0" x); echo ${#x}' || code=$?
	is $code 137
	is "$(vessel inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)" "true 137"
	vessel rm oom
}

device_policy() {
	vessel run --rm busybox sh -c 'mknod /mem c 1 1 && ! head -c 1 /mem' >/tmp/out 2>&1
	grep -q "/mem: Operation not permitted" /tmp/out
	is "$(vessel run --rm busybox sh -c 'mknod /zero c 1 5; head -c 3 /zero | wc -c')" 3
	is "$(vessel run --rm --device /dev/cpu_dma_latency busybox head -c 4 /dev/cpu_dma_latency | wc -c)" 4
	is "$(vessel run --rm --device /dev/cpu_dma_latency:/dev/other busybox head -c 4 /dev/other | wc -c)" 4
	fails vessel run --rm --device /dev/cpu_dma_latency:/dev/cpu_dma_latency:w busybox \
		head -c 4 /dev/cpu_dma_latency
	is "$(vessel run --rm --privileged busybox head -c 4 /dev/cpu_dma_latency | wc -c)" 4
}

apparmor_profiles() {
	vessel info -f '{{json .SecurityOptions}}' | grep -q name=apparmor
	is "$(vessel run --name aa busybox cat /proc/self/attr/current)" "vessel-default (enforce)"
	is "$(vessel inspect -f '{{.AppArmorProfile}}' aa)" vessel-default
	vessel rm aa
	vessel create --name aa busybox true
	is "$(vessel inspect -f '{{.AppArmorProfile}}' aa)" ""
	vessel rm aa
	# What capabilities and seccomp would let through.
	mounts='mount -t tmpfs none /tmp && echo mounted; echo x >/proc/sys/kernel/shm_next_id; true'
	vessel run --rm --cap-add SYS_ADMIN --security-opt systempaths=unconfined busybox sh -c "$mounts" >/tmp/out 2>&1
	cat /tmp/out
	fails grep mounted /tmp/out
	vessel run --rm --cap-add SYS_ADMIN --security-opt apparmor=unconfined busybox sh -c "$mounts" >/tmp/out 2>&1
	grep mounted /tmp/out
	vessel run --rm --security-opt systempaths=unconfined busybox sh -c 'echo core >/proc/sys/kernel/core_pattern' \
		>/tmp/out 2>&1 || true
	grep "Permission denied" /tmp/out
	is "$(vessel run --rm --privileged busybox cat /proc/self/attr/current)" unconfined
	# A profile of the user's, in exec too.
	echo 'profile mine flags=(attach_disconnected) { file, capability, signal, deny /www/* r, }' |
		apparmor_parser --skip-cache --replace
	vessel run -d --name mine --security-opt apparmor=mine busybox sleep 1000
	is "$(vessel exec mine cat /proc/1/attr/current)" "mine (enforce)"
	vessel exec mine cat /www/index.html >/tmp/out 2>&1 || true
	grep "Permission denied" /tmp/out
	vessel rm -f mine
	fails vessel run --rm --security-opt apparmor=nothing busybox true 2>/tmp/out
	grep nothing /tmp/out
	# Lost, it is loaded again.
	apparmor_parser --remove /var/lib/vessel/apparmor/vessel-default
	is "$(vessel run --rm busybox cat /proc/self/attr/current)" "vessel-default (enforce)"
}

selinux_labels() {
	vessel info -f '{{json .SecurityOptions}}' | grep -q name=selinux
	vessel run -d --name one busybox sleep 1000
	vessel run -d --name two busybox sleep 1000
	one=$(vessel inspect -f '{{.ProcessLabel}}' one)
	two=$(vessel inspect -f '{{.ProcessLabel}}' two)
	mount=$(vessel inspect -f '{{.MountLabel}}' one)
	echo "$one" | grep -qE '^system_u:system_r:container_t:s0:c[0-9]+,c[0-9]+$'
	is "$mount" "$(echo "$one" | sed 's/system_r:container_t/object_r:container_file_t/')"
	fails is "$one" "$two"
	is "$(vessel exec one cat /proc/self/attr/current | tr -d '\0')" "$one"
	vessel exec one sh -c 'echo x >/new; echo x >/etc/hosts; echo x >/dev/shm/x; cat /new'
	# Bind mounts: as they are, shared, its own; the last one another container may not write.
	mkdir -p /srv/plain /srv/shared /srv/own/below
	fails vessel run --rm -v /srv/plain:/mnt busybox touch /mnt/x
	vessel run --rm -v /srv/shared:/mnt:z busybox touch /mnt/x
	vessel run --rm -v /srv/shared:/mnt busybox touch /mnt/y
	vessel run -d --name own -v /srv/own:/mnt:Z busybox sleep 1000
	vessel exec own touch /mnt/below/x
	fails vessel run --rm -v /srv/own:/mnt busybox touch /mnt/below/y
	fails vessel run --rm -v /etc:/mnt:z busybox true 2>/tmp/out
	grep "SELinux relabeling of /etc is not allowed" /tmp/out
	# Options.
	is "$(vessel run --rm --security-opt label=level:s0:c7,c8 busybox cat /proc/self/attr/current | tr -d '\0')" \
		system_u:system_r:container_t:s0:c7,c8
	is "$(vessel run --rm --privileged busybox cat /proc/self/attr/current | tr -d '\0')" \
		"$(tr -d '\0' </proc/self/attr/current)"
	fails vessel create --security-opt label=type:nothing_t busybox true 2>/tmp/out
	grep "nothing_t.*is not one of the policy" /tmp/out
	# Kept over a daemon's death, and given back.
	daemon_kill
	daemon_start
	is "$(vessel inspect -f '{{.ProcessLabel}}' one)" "$one"
	is "$(vessel exec one cat /proc/self/attr/current | tr -d '\0')" "$one"
}

pause_freezes() {
	id=$(vessel run -d --name pp busybox sh -c 'while :; do echo x; usleep 1000; done')
	vessel pause pp
	is "$(cat /sys/fs/cgroup/docker/$id/cgroup.freeze)" 1
	grep -q 'frozen 1' /sys/fs/cgroup/docker/$id/cgroup.events
	is "$(vessel inspect -f '{{.State.Status}}' pp)" paused
	fails vessel exec pp true
	vessel unpause pp
	grep -q 'frozen 0' /sys/fs/cgroup/docker/$id/cgroup.events
	vessel pause pp
	vessel rm -f pp
	until_true [ ! -d "/sys/fs/cgroup/docker/$id" ]
}

bridge_and_ports() {
	vessel run -d --name web -p 8080:80 -p 127.0.0.1:8081:80 busybox httpd -f -p 80 -h /www
	until_true wget -qO- http://127.0.0.1:8080/
	is "$(wget -qO- http://127.0.0.1:8080/)" hello
	is "$(wget -qO- http://127.0.0.1:8081/)" hello
	is "$(wget -qO- 'http://[::1]:8080/')" hello
	address=$(vessel inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' web)
	is "$(wget -qO- "http://$address/")" hello
	is "$(vessel run --rm busybox wget -qO- "http://$address/")" hello
	gateway=$(vessel inspect -f '{{.NetworkSettings.Networks.bridge.Gateway}}' web)
	is "$(vessel run --rm busybox wget -qO- "http://$gateway:8080/")" hello
	fails vessel run --rm -p 8080:80 busybox true
	is "$(vessel run --rm --network container:web busybox wget -qO- http://127.0.0.1/)" hello
	vessel rm -f web
	fails wget -qO- http://127.0.0.1:8080/
}

execs() {
	vessel run -d --name ee -e A=b busybox sleep 1000
	is "$(vessel exec ee sh -c 'echo $A; cat /proc/1/comm' | tr '\n' ' ')" "b sleep "
	code=0
	vessel exec ee sh -c 'exit 3' || code=$?
	is $code 3
	is "$(echo piped | vessel exec -i -u 1000 ee sh -c 'cat; id -u' | tr '\n' ' ')" "piped 1000 "
	vessel rm -f ee
}

many_layers() {
	vessel load -i /layers.tar
	is "$(vessel run --rm layers sh -c 'cat /n; ls /l | wc -l; ls /gone 2>&1 | wc -l' | tr '\n' ' ')" \
		"127 126 1 "
	vessel run --name changed layers sh -c 'echo new >/n; rm /l/5; cat /n'
	is "$(vessel run --rm layers sh -c 'cat /n; cat /l/5' | tr '\n' ' ')" "127 5 "
	vessel rm changed
	vessel rmi layers
}

daemon_stop() {
	kill -TERM "$(cat /tmp/daemon)"
	until_true fails kill -0 "$(cat /tmp/daemon)"
}

# A small ext4 with project quotas.
storage_quota() {
	daemon_stop
	mkdir /quota
	mount -o loop,prjquota -t ext4 /quota.ext4 /quota
	quota_daemon() {
		vesseld --debug --data-root /quota/data "$@" >>/tmp/vesseld.log 2>&1 &
		echo $! >/tmp/daemon
		until_true vessel version
	}
	quota_daemon
	vessel import /busybox.tar busybox
	fill='dd if=/dev/zero of=/big bs=64k count=64 2>/dev/null; wc -c </big; df -k / | tail -n 1 | tr -s " " | cut -d" " -f2'
	got=$(vessel run --name small --storage-opt size=1m busybox sh -c "$fill" | xargs)
	is "${got#* }" 1024
	[ "${got% *}" -lt 1048576 ]
	is "$(vessel run --rm --storage-opt size=2m busybox sh -c "$fill" | xargs | cut -d' ' -f2)" 2048
	is "$(vessel run --rm busybox sh -c "$fill" | cut -d' ' -f1 | head -n 1)" 4194304
	fails vessel run --rm --storage-opt size=lots busybox true
	fails vessel run --rm --storage-opt inodes=3 busybox true
	# as root, with all capabilities; copies come to the same account; so does the daemon's own
	is "$(vessel start -a small | xargs | cut -d' ' -f2)" 1024
	is "$(vessel run --rm --privileged --storage-opt size=1m busybox sh -c "$fill" | xargs | cut -d' ' -f2)" 1024
	fails sh -c 'tar -c -C / busybox.tar | vessel cp - small:/root'
	# a volume, with what the image has there in it
	vessel volume create -o size=1m vol
	is "$(vessel volume inspect -f '{{index .Options "size"}}' vol)" 1m
	is "$(vessel run --rm -v vol:/www busybox sh -c 'cat /www/index.html; dd if=/dev/zero of=/www/big bs=64k count=64 2>/dev/null; df -k /www | tail -n 1 | tr -s " " | cut -d" " -f2' | xargs)" "hello 1024"
	[ "$(wc -c </quota/data/volumes/vol/_data/big)" -lt 1048576 ]
	fails vessel volume create -o size=1m -o type=tmpfs -o device=tmpfs both
	# a daemon of its own default, which finds what there was
	daemon_kill
	quota_daemon --storage-opt overlay2.size=3m
	is "$(vessel run --rm busybox sh -c "$fill" | xargs | cut -d' ' -f2)" 3072
	is "$(vessel run --rm --storage-opt size=0 busybox sh -c "$fill" | xargs | cut -d' ' -f1)" 4194304
	is "$(vessel start -a small | xargs | cut -d' ' -f2)" 1024
	vessel rm small
	vessel volume rm vol
	daemon_stop
	fails vesseld --data-root /run/other --storage-opt overlay2.size=3m >/tmp/out 2>&1
	grep "mounted with the option 'pquota'" /tmp/out
	until_true umount /quota
	daemon_start
}

# On ext4, for tmpfs knows no idmapped mounts before Linux 6.3.
remapped() {
	daemon_stop
	mkdir /ext4
	truncate -s 134217728 /ext4.img
	mke2fs -F /ext4.img >/dev/null
	mount -o loop -t ext4 /ext4.img /ext4
	echo dockremap:200000:65536 >/etc/subuid
	echo dockremap:300000:65536 >/etc/subgid
	vesseld --debug --data-root /ext4 --userns-remap default >>/tmp/vesseld.log 2>&1 &
	echo $! >/tmp/daemon
	until_true vessel version
	vessel import /busybox.tar busybox
	is "$(vessel run --rm busybox sh -c 'head -n 1 /proc/self/uid_map; stat -c %u:%g /bin/busybox' | xargs)" \
		"0 200000 65536 0:0"
	vessel run --name rr busybox sh -c 'echo new >/etc/x; chown 1000:2000 /etc/x; rm -f /www/index.html'
	vessel start -a rr
	is "$(find /ext4 -path '*/etc/x' -exec stat -c %u:%g {} +)" 1000:2000
	vessel load -i /layers.tar
	is "$(vessel run --rm layers sh -c 'echo more >>/n; cat /n; ls /l | wc -l' | xargs)" "127 more 126"
	is "$(vessel run --rm --userns host layers sh -c 'cat /n; head -n 1 /proc/self/uid_map' | xargs)" \
		"127 0 0 4294967295"
	vessel run -d --name web busybox httpd -f -p 80 -h /www
	until_true vessel exec web wget -qO- http://127.0.0.1/
	is "$(vessel run --rm --network container:web busybox sh -c 'wget -qO- http://127.0.0.1/; id -u' | xargs)" "hello 0"
	is "$(vessel exec web head -n 1 /proc/self/uid_map | xargs)" "0 200000 65536"
	vessel rm -f rr web
	daemon_stop
	until_true umount /ext4
	daemon_start
}

# The runtimes' own half is on the host's suite; here it is their cgroups of v2.
other_runtimes() {
	daemon_stop
	vesseld --debug --add-runtime crun=/usr/bin/crun --add-runtime own=/vessel/vessel-runtime >>/tmp/vesseld.log 2>&1 &
	echo $! >/tmp/daemon
	until_true vessel version
	for name in crun own; do
		code=0
		vessel run --runtime $name -m 16m --memory-swap 16m --name oom busybox sh -c 'tail /dev/zero; exit $?' || code=$?
		is $code 137
		is "$(vessel inspect -f '{{.State.OOMKilled}}' oom)" true
		id=$(vessel run -d --runtime $name -m 64m --init --name other busybox sleep 1000)
		is "$(cat /proc/$(vessel inspect -f '{{.State.Pid}}' other)/cgroup)" "0::/docker/$id"
		is "$(vessel exec other cat /sys/fs/cgroup/memory.max)" 67108864
		vessel update -m 32m --memory-swap 64m other
		is "$(cat /sys/fs/cgroup/docker/$id/memory.max)" 33554432
		vessel pause other
		is "$(cat /sys/fs/cgroup/docker/$id/cgroup.freeze)" 1
		vessel kill other
		is "$(vessel wait other)" 137
		vessel rm oom other
		until_true [ ! -d "/sys/fs/cgroup/docker/$id" ]
	done
	daemon_stop
	daemon_start
}

has_exited() { [ "$(vessel inspect -f '{{.State.Status}}' "$1")" = exited ]; }
# It may end before the answer is out.
stops() { wget -qO- http://127.0.0.1:8080/cgi-bin/stop || has_exited "$1"; }

daemon_killed() {
	vessel run -d --name on -p 8080:80 busybox sh -c '
		httpd -p 80 -h /www
		i=0
		while [ ! -e /tmp/stop ]; do echo "line $i"; i=$((i + 1)); usleep 3000; done
		echo "end $i"; exit 7'
	pid=$(vessel inspect -f '{{.State.Pid}}' on)
	daemon_kill
	until_true wget -qO- http://127.0.0.1:8080/
	daemon_start
	is "$(vessel inspect -f '{{.State.Status}} {{.State.Pid}}' on)" "running $pid"
	is "$(vessel exec on echo still)" still
	until_true stops on
	is "$(vessel wait on)" 7
	vessel logs on >/tmp/lines
	last=$(tail -n 1 /tmp/lines)
	{ i=0; while [ $i -lt "${last#end }" ]; do echo "line $i"; i=$((i + 1)); done; echo "$last"; } |
		cmp - /tmp/lines
	vessel rm on
}

crash_unclean() {
	vessel run -d --name lost busybox sleep 1000
	pid=$(vessel inspect -f '{{.State.Pid}}' lost)
	shim=$(sed -n 's/^PPid:\t//p' /proc/$pid/status)
	kill -9 "$(cat /tmp/daemon)" "$shim" "$pid"
	until_true fails kill -0 "$(cat /tmp/daemon)"
	daemon_start
	until_true has_exited lost
	vessel start lost
	is "$(vessel inspect -f '{{.State.Status}}' lost)" running
	vessel rm -f lost
}

no_cgroups() { [ -z "$(find /sys/fs/cgroup/docker -mindepth 1 -type d ! -name 'shim*' ! -name leaf)" ]; }

links_are() { is "$(ip -o link | cut -d: -f2 | tr -d ' ' | cut -d@ -f1 | sort | tr '\n' ' ')" "$1"; }
no_directories() { is "$(ls /var/lib/vessel/containers /run/vessel/containers | grep -v :)" ""; }

nothing_left() {
	is "$(vessel ps -aq)" ""
	until_true no_cgroups
	fails grep overlay /proc/mounts
	until_true links_are "lo vessel0 " # a veth goes with its network namespace, which is the kernel's to do
	until_true no_directories
	kill -TERM "$(cat /tmp/daemon)"
	until_true fails pidof vesseld
	until_true fails pidof vessel-shim
}

check "vessel-runtime run: output, exit code, nothing left" runtime_run
check "vessel-runtime create, state, start, kill, delete" runtime_life
check "vessel-runtime: memory.max kills" runtime_memory
check "vessel-runtime: pids.max refuses forks" runtime_pids
check "vessel-runtime: cpu.max throttles" runtime_cpu
check "vessel-runtime: device policy by eBPF" runtime_devices
check "vesseld starts at its default places and runs a container" engine_starts
check "a container sees its own cgroup, read-only; exec joins it; rm -f ends all" v2_view
check "--memory, --cpus, --cpuset-cpus, --pids-limit" limits
check "stats are of the API's shape" stats_shape
check "the daemon's cgroup is killed: containers are elsewhere; --cgroup-parent" service_restart
check "an out-of-memory kill is recorded" memory_oom
check "devices: default policy, --device with access, --privileged" device_policy
if [ -e /policy ]; then
	check "SELinux: labels, categories, relabelled bind mounts" selinux_labels
else
	check "AppArmor: the default profile, one of the user's, none" apparmor_profiles
fi
check "pause freezes, unpause thaws, rm -f of a paused container" pause_freezes
check "bridge, published ports on IPv4 and IPv6, hairpin, container:" bridge_and_ports
check "exec: environment, exit code, input, user" execs
check "an image of 127 layers" many_layers
check "--storage-opt size, volumes with a size, overlay2.size" storage_quota
check "--userns-remap: layers are shown with the container's owners" remapped
case $(uname -r) in
6.1.*) check "crun and vessel-runtime as other runtimes: limits, freezer, out of memory" other_runtimes ;;
esac
check "the daemon killed: container, port, log and exit code stay" daemon_killed
check "daemon, shim and process 1 killed: exited, and starts again" crash_unclean
check "nothing is left" nothing_left
tail -n 60 /tmp/vesseld.log >&2 2>/dev/null
echo "1..$count"
