#!/bin/sh
# vesseld as systemd's service: socket activation, reload, restart.  TAP on standard output.
count=0
only=${1:-} # a word in the function's name

check() {
	[ -z "$only" ] || case $2 in *$only*) ;; *) return ;; esac
	count=$((count + 1))
	(set -ex; "$2") >/tmp/log 2>&1
	if [ $? -eq 0 ]; then
		echo "ok $count systemd: $1"
	else
		echo "not ok $count systemd: $1"
		(tail -n 20 /tmp/log; journalctl --no-pager -n 20 -u vessel.service) | sed 's/^/# /'
	fi
}

# Poll what no event tells a shell, within a generous bound.
until_true() {
	i=0
	until "$@" >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 6000 ] || { echo "never: $*"; return 1; }
		sleep 0.01
	done
}

is() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; return 1; }; }
main_pid() { systemctl show -P MainPID vessel.service; }
container_pid() { vessel inspect -f '{{.State.Pid}}' up; }

activation() {
	systemctl daemon-reload
	systemctl start vessel.socket
	is "$(stat -c '%a %U' /run/vessel.sock)" "660 root"
	is "$(systemctl is-active vessel.service || true)" inactive
	vessel version # starts it
	until_true systemctl is-active --quiet vessel.service
	is "$(systemctl show -P KillMode vessel.service)" process
	vessel import /busybox.tar busybox
	vessel run -d --name up busybox sleep 1000
}

restart() {
	pid=$(container_pid) old=$(main_pid)
	systemctl restart vessel.service
	[ "$(main_pid)" != "$old" ]
	is "$(container_pid)" "$pid"
	is "$(vessel exec up echo in)" in
	systemctl stop vessel.service
	kill -0 "$pid"
	is "$(container_pid)" "$pid" # the socket starts it again
}

killed() {
	pid=$(container_pid) old=$(main_pid)
	systemctl kill -s KILL --kill-who=main vessel.service
	until_true [ ! -d "/proc/$old" ]
	is "$(container_pid)" "$pid" # waits in the socket's backlog
	[ "$(main_pid)" != "$old" ]
}

told() { vessel system info -f '{{.Labels}}' | grep -q told=yes; }

reload() {
	mkdir -p /etc/vessel
	echo '{"labels": ["told=yes"]}' >/etc/vessel/daemon.json
	systemctl reload vessel.service
	until_true told
	is "$(systemctl is-active vessel.service)" active
	vessel rm -f up
}

check "the socket starts the service" activation
check "restart and stop leave containers alone" restart
check "killed, it comes back" killed
check "reload" reload
echo "1..$count"
