# User-defined networks, with Docker's own client: names, addresses, isolation, joining and leaving.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() {
	local nets
	nets=$(docker network ls -q --filter type=custom)
	[ -z "$nets" ] || docker network rm $nets >/dev/null
	ip -o link | grep -oE ' br-[0-9a-f]+' && return 1
	engine_down
}

teardown() {
	explain
	local ids nets
	ids=$(docker ps -aq 2>/dev/null)
	[ -z "$ids" ] || docker rm -f $ids >/dev/null 2>&1 || true
	nets=$(docker network ls -q --filter type=custom)
	[ -z "$nets" ] || docker network rm $nets >/dev/null 2>&1 || true
}

address() { # container network
	docker inspect -f "{{(index .NetworkSettings.Networks \"$2\").IPAddress}}" "$1"
}

@test "a network is made, listed, inspected and removed" {
	id=$(docker network create --label a=1 --label b backend)
	[[ $id =~ ^[0-9a-f]{64}$ ]]
	run -1 docker network create backend
	[[ $output == *"network with name backend already exists"* ]]
	[ "$(docker network inspect -f '{{.Id}} {{.Driver}} {{.Scope}} {{.Internal}} {{.EnableIPv6}} {{.Labels.a}}' backend)" = "$id bridge local false false 1" ]
	docker network inspect -f '{{(index .IPAM.Config 0).Subnet}} {{(index .IPAM.Config 0).Gateway}}' backend | grep -E '^10\.213\.[0-9]+\.0/24 10\.213\.[0-9]+\.1$'
	[ "$(docker network ls --format '{{.Name}}' --filter label=a=1)" = backend ]
	[ "$(docker network ls --format '{{.Name}}' --filter name=back)" = backend ]
	[ "$(docker network ls -q --no-trunc --filter id=${id:0:12})" = "$id" ]
	[ "$(docker network ls --format '{{.Name}}' --filter type=builtin | sort | tr '\n' ' ')" = "bridge host none " ]
	[ "$(docker network ls --format '{{.Name}}' --filter dangling=true)" = backend ]
	ip link show "br-${id:0:12}"
	[ "$(docker network rm backend)" = backend ]
	run -1 ip link show "br-${id:0:12}"
	run -1 docker network rm backend
	[[ $output == *"network backend not found"* ]]
}

@test "predefined networks and bad requests are refused" {
	run -1 docker network rm bridge
	[[ $output == *"bridge is a pre-defined network and cannot be removed"* ]]
	run -1 docker network create -d overlay x
	run -1 docker network create --subnet 10.1.0.0/33 x
	run -1 docker network create --gateway 10.1.0.1 x
	run -1 docker network create --subnet 10.77.0.0/24 --gateway 10.78.0.1 x
	run -1 docker network create -o com.docker.network.bridge.gateway_mode_ipv4=routed x
	[[ $output == *"not implemented"* ]]
	run -1 docker network create --scope swarm x
	docker network create --subnet 10.77.0.0/24 one
	run -1 docker network create --subnet 10.77.0.128/25 two
	[[ $output == *"Pool overlaps with other one on this address space"* ]]
	[ -z "$(docker network ls -q --filter name=x)" ]
}

@test "containers find each other by name, alias and id, and by nothing else" {
	docker network create app
	docker run -d --name web --network app --network-alias www --network-alias WWW.example -h host1 busybox httpd -f -p 80 -h /www
	wait_listening web
	id=$(docker ps -q)
	docker run -d --name other busybox sleep 1000
	for name in web www www.example host1 "$id" web.app WEB; do
		[ "$(docker run --rm --network app busybox wget -q -O - "http://$name/")" = hello ]
	done
	run docker run --rm --network app busybox nslookup other
	[ "$status" -ne 0 ]
	[ "$(docker run --rm --network app busybox cat /etc/resolv.conf | grep -c '^nameserver 127.0.0.11$')" = 1 ]
	docker run --rm --network app busybox grep -q 'ndots:0' /etc/resolv.conf
	ip=$(address web app)
	docker run --rm --network app busybox nslookup "$ip" | grep -F 'web.app'
	# The server that the container itself runs may have the port.
	docker run --rm --network app busybox sh -c 'nc -l -p 53 -e true & sleep 0.1; nslookup web' | grep -F "$ip"
}

@test "several containers of one alias take turns" {
	docker network create app
	docker run -d --name a1 --network app --network-alias both busybox sleep 1000
	docker run -d --name a2 --network app --network-alias both busybox sleep 1000
	run -0 docker run --rm --network app busybox nslookup both
	[[ $output == *"$(address a1 app)"* && $output == *"$(address a2 app)"* ]]
	docker rm -f a1
	run -0 docker run --rm --network app busybox nslookup both
	[ "$(grep -c '^Address.*: *10\.' <<<"$output")" = 1 ]
	docker rename a2 a3
	docker run --rm --network app busybox nslookup a3
}

# By UDP and TCP inside the container's network: ask_tcp CONTAINER NAME
ask_tcp() {
	nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$1")" -n /usr/bin/python3 -c '
import socket, struct, sys
name = b"".join(bytes([len(l)]) + l.encode() for l in sys.argv[1].split(".")) + b"\0"
query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)
with socket.create_connection(("127.0.0.11", 53), 20) as s:
    f = s.makefile("rwb")
    for _ in range(2):  # two questions on one connection
        f.write(struct.pack(">H", len(query)) + query)
        f.flush()
        answer = f.read(struct.unpack(">H", f.read(2))[0])
    print(socket.inet_ntoa(answer[-4:]))' "$2"
}

@test "other names are forwarded, over UDP and TCP" {
	docker network create app
	gw=$(docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' app)
	/usr/bin/python3 "$TOP/tests/lib/nameserver.py" "$gw" >"$ROOT/dns.log" 2>&1 </dev/null 3>&- &
	pid=$!
	eventually grep -q ready "$ROOT/dns.log"
	run docker run --rm --network app --dns "$gw" busybox nslookup outside.test
	first=$output
	# One that does not answer comes first.
	run docker run --rm --network app --dns 203.0.113.1 --dns "$gw" busybox nslookup outside.test
	second=$output
	docker run -d --name asker --network app --dns "$gw" busybox sleep 1000
	run ask_tcp asker outside.test
	third=$output
	kill $pid
	printf '%s\n' "$first" -- "$second" -- "$third" -- "$(cat "$ROOT/dns.log")"
	[[ $first == *192.0.2.77* && $second == *192.0.2.77* && $third == 192.0.2.77 ]]
	[ "$(ask_tcp asker asker)" = "$(address asker app)" ]
}

@test "a network without a way out has names, and no others" {
	docker network create --internal inside
	docker run -d --name db --network inside busybox httpd -f -p 80 -h /www
	wait_listening db
	[ "$(docker run --rm --network inside busybox wget -q -O - http://db/)" = hello ]
	run ! bash -c "$DOCKER run --rm --network inside busybox ip route | grep default"
	run docker run --rm --network inside --dns 203.0.113.1 busybox nslookup outside.test
	[ "$status" -ne 0 ]
	[ "$(docker inspect -f '{{.NetworkSettings.Networks.inside.Gateway}}' db)" = "" ]
}

@test "networks do not reach one another" {
	docker network create one
	docker network create two
	docker run -d --name web --network one busybox httpd -f -p 80 -h /www
	ip=$(address web one)
	wait_listening web
	[ "$(docker run --rm --network one busybox wget -q -O - "http://$ip/")" = hello ]
	run docker run --rm --network two busybox sh -c "timeout 1 wget -q -O - http://$ip/ || exit 1"
	[[ $status -ne 0 && $output != *hello* ]]
	run docker run --rm busybox sh -c "timeout 1 wget -q -O - http://$ip/ || exit 1"
	[[ $status -ne 0 && $output != *hello* ]]
}

@test "enable_icc=false keeps neighbours apart" {
	docker network create -o com.docker.network.bridge.enable_icc=false apart
	docker run -d --name web --network apart busybox httpd -f -p 80 -h /www
	wait_listening web
	run docker run --rm --network apart busybox sh -c "timeout 1 wget -q -O - http://$(address web apart)/ || exit 1"
	[[ $status -ne 0 && $output != *hello* ]]
}

@test "options: the bridge's name, MTU, addresses, IPv6" {
	docker network create -o com.docker.network.bridge.name=mybr0 -o com.docker.network.driver.mtu=1400 \
		--subnet 10.99.0.0/24 --ip-range 10.99.0.128/25 --gateway 10.99.0.9 --aux-address "nas=10.99.0.128" \
		--ipv6 --subnet fd99::/64 fine
	ip addr show mybr0 | grep -F 10.99.0.9/24
	[ "$(docker run --rm --network fine busybox cat /sys/class/net/eth0/mtu)" = 1400 ]
	docker run -d --name cc --network fine busybox sleep 1000
	[ "$(docker inspect -f '{{with .NetworkSettings.Networks.fine}}{{.IPAddress}} {{.Gateway}} {{.IPPrefixLen}}{{end}}' cc)" = "10.99.0.130 10.99.0.9 24" ]
	docker inspect -f '{{.NetworkSettings.Networks.fine.GlobalIPv6Address}}' cc | grep '^fd99::'
	docker run --rm --network fine busybox nslookup -type=aaaa cc | grep -i 'fd99::'
	[ "$(docker network inspect -f '{{(index .IPAM.Config 0).AuxiliaryAddresses.nas}}' fine)" = 10.99.0.128 ]
	docker rm -f cc
	docker run -d --name cc --network fine --ip 10.99.0.77 --ip6 fd99::77 --mac-address 02:00:00:00:00:07 busybox sleep 1000
	[ "$(docker inspect -f '{{with .NetworkSettings.Networks.fine}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.MacAddress}}{{end}} {{.Config.MacAddress}}' cc)" = "10.99.0.77 fd99::77 02:00:00:00:00:07 02:00:00:00:00:07" ]
	run -125 docker run --rm --network fine --ip 10.99.0.77 busybox true
	[[ $output == *"already in use"* ]]
	docker restart -t 0 cc
	[ "$(address cc fine)" = 10.99.0.77 ]
}

@test "a container on several networks" {
	docker network create a
	docker network create b
	docker network create --internal c
	docker run -d --name web --network a busybox httpd -f -p 80 -h /www
	wait_listening web
	docker run -d --name many --network name=b,alias=onb --network name=a,alias=ona --network c -h many busybox sleep 1000
	[ "$(docker exec many ls /sys/class/net | tr '\n' ' ')" = "eth0 eth1 eth2 lo " ]
	[ "$(docker inspect -f '{{len .NetworkSettings.Networks}}' many)" = 3 ]
	docker exec many wget -q -O - http://web/
	# The first by name is the way out; eth0 is the one that was asked for first.
	docker exec many ip route | grep default | grep -F "via $(docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' a) dev eth1"
	[ "$(docker exec many grep -c many /etc/hosts)" = 3 ]
	docker run --rm --network a busybox nslookup ona
	run docker run --rm --network a busybox nslookup onb
	[ "$status" -ne 0 ]
	docker rm -f many
	docker run -d --name many --network name=a --network name=b,gw-priority=1 busybox sleep 1000
	docker exec many ip route | grep default | grep -F "dev eth1"
}

@test "connect and disconnect while it runs" {
	docker network create a
	docker network create b
	docker run -d --name web --network a busybox httpd -f -p 80 -h /www
	docker run -d --name cc -p 127.0.0.1::80 busybox httpd -f -p 80 -h /www
	wait_listening web
	wait_listening cc
	run docker exec cc nslookup web
	[ "$status" -ne 0 ]
	docker network connect --alias c-on-a a cc
	[ "$(docker exec cc wget -q -O - http://web/)" = hello ]
	docker exec cc grep -F 127.0.0.11 /etc/resolv.conf
	[ "$(docker exec web wget -q -O - http://c-on-a/)" = hello ]
	[ "$(docker exec cc grep -c "$(docker exec cc hostname)" /etc/hosts)" -ge 2 ]
	run -1 docker network connect a cc
	[[ $output == *"already exists in network a"* ]]
	run -1 docker network rm a
	[[ $output == *"has active endpoints"* ]]
	port=$(docker port cc 80/tcp | head -n 1 | sed 's/.*://')
	[ "$(curl -s --max-time 60 "http://127.0.0.1:$port/")" = hello ]
	docker network disconnect bridge cc
	[ "$(docker exec cc ls /sys/class/net | tr '\n' ' ')" = "eth1 lo " ]
	docker exec cc ip route | grep default | grep eth1
	# The published port has moved to the network that is left.
	[ "$(curl -s --max-time 60 "http://127.0.0.1:$port/")" = hello ]
	docker network connect --ip "$(docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' b | sed 's/1$/50/')" b cc
	[[ "$(address cc b)" == *.50 ]]
	docker network disconnect a cc
	run docker exec cc nslookup web
	[ "$status" -ne 0 ]
	run -1 docker network disconnect a cc
	docker network rm a || true
	docker restart -t 0 cc
	[[ "$(address cc b)" == *.50 ]]
	[ "$(docker inspect -f '{{len .NetworkSettings.Networks}}' cc)" = 1 ]
}

@test "connect and disconnect while it does not run" {
	docker network create a
	docker create --name cc busybox sleep 1000
	docker network connect --alias x a cc
	docker network disconnect bridge cc
	docker start cc
	[ "$(docker exec cc ls /sys/class/net | tr '\n' ' ')" = "eth0 lo " ]
	docker run --rm --network a busybox nslookup x
	docker stop -t 0 cc
	docker network rm a
	run -1 docker start cc
	[[ $output == *"network a not found"* ]]
	run -1 docker network connect host cc
	docker run -d --name hh --network host busybox sleep 1000
	docker network create a
	run -1 docker network connect a hh
}

@test "links" {
	docker network create a
	docker run -d --name web-1 --network a busybox httpd -f -p 80 -h /www
	wait_listening web-1
	[ "$(docker run --rm --network a --link web-1:site busybox wget -q -O - http://site/)" = hello ]
	run docker run --rm --network a busybox nslookup site
	[ "$status" -ne 0 ]
	docker run -d --name old -e COLOUR=red --expose 80 busybox httpd -f -p 80 -h /www
	wait_listening old
	[ "$(docker run --rm --link old:site busybox wget -q -O - http://site/)" = hello ]
	run -0 docker run --rm --name user --link old:site busybox env
	[[ $output == *"SITE_PORT_80_TCP_ADDR=$(address old bridge)"* && $output == *SITE_ENV_COLOUR=red* && $output == *SITE_NAME=/user/site* ]]
	run -125 docker run --rm --link nobody busybox true
}

@test "prune takes what no running container is on" {
	docker network create a
	docker network create --label keep b
	docker network create c
	docker network create d
	docker create --name stopped --network c busybox true
	docker run -d --network d busybox sleep 1000
	run -0 docker network prune -f --filter 'label!=keep'
	[[ $output == *"Deleted Networks:"*a*c* ]]
	[ "$(docker network ls --format '{{.Name}}' --filter type=custom | sort | tr '\n' ' ')" = "b d " ]
	run -1 docker start stopped
	[[ $output == *"network c not found"* ]]
	docker network create c
	docker start stopped
}

@test "a network can be removed at once when its containers are" {
	docker network create a
	docker run -d --name c1 --network a busybox sleep 1000
	docker run -d --name c2 --network a busybox sleep 1000
	docker rm -f c1 c2
	docker network rm a
}

@test "events" {
	since=$(date +%s)
	docker network create a
	docker run -d --name cc busybox sleep 1000
	docker network connect a cc
	docker network disconnect a cc
	docker network rm a
	run -0 docker events --since "$since" --until "$(($(date +%s) + 1))" --filter type=network --format '{{.Action}} {{.Actor.Attributes.name}}'
	[[ $output == *"create a"*"connect bridge"*"connect a"*"disconnect a"*"destroy a"* ]]
}

@test "names, ports and networks survive the daemon" {
	docker network create --internal deep
	docker network create app
	docker run -d --name web --network app -p 127.0.0.1::80 busybox httpd -f -p 80 -h /www
	docker run -d --name asker --network app --network deep busybox sleep 1000
	port=$(docker port web 80/tcp | head -n 1 | sed 's/.*://')
	pid=$(docker inspect -f '{{.State.Pid}}' asker)
	wait_listening web
	daemon_stop KILL
	nsenter -t "$pid" -a /bin/wget -q -O - http://web/ | grep hello
	[ "$(curl -s --max-time 60 "http://127.0.0.1:$port/")" = hello ]
	daemon_start
	[ "$(docker network ls --format '{{.Name}}' --filter type=custom | sort | tr '\n' ' ')" = "app deep " ]
	[ "$(docker inspect -f '{{len .NetworkSettings.Networks}}' asker)" = 2 ]
	[ "$(docker exec asker wget -q -O - http://web/)" = hello ]
	docker run --rm --network app busybox nslookup asker
	docker rm -f web
	run docker exec asker nslookup web
	[ "$status" -ne 0 ]
	[ "$(docker network inspect -f '{{len .Containers}}' deep)" = 1 ]
}
