# Volumes, with Docker's own client.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() {
	docker volume ls -q | xargs -r docker volume rm -f >/dev/null
	[ -z "$(ls "$ROOT/data/volumes")" ]
	engine_down
}

teardown() {
	explain
	local ids
	ids=$(docker ps -aq 2>/dev/null)
	[ -z "$ids" ] || docker rm -f $ids >/dev/null 2>&1 || true
	docker volume ls -q | xargs -r docker volume rm -f >/dev/null 2>&1
}

@test "a volume is made, listed, inspected and removed" {
	[ "$(docker volume create --label a=1 --label b vol-1)" = vol-1 ]
	[ "$(docker volume create vol-1)" = vol-1 ]
	[ "$(docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels.a}} {{.Mountpoint}}' vol-1)" = "vol-1 local local 1 $ROOT/data/volumes/vol-1/_data" ]
	anon=$(docker volume create)
	[[ $anon =~ ^[0-9a-f]{64}$ ]]
	[ "$(docker volume ls -q --filter label=a=1)" = vol-1 ]
	[ "$(docker volume ls -q --filter name=vol)" = vol-1 ]
	[ "$(docker volume ls -q | wc -l)" = 2 ]
	[ "$(docker volume ls -q --filter driver=other)" = "" ]
	[ "$(docker volume rm vol-1)" = vol-1 ]
	[ ! -e "$ROOT/data/volumes/vol-1" ]
	run -1 docker volume rm vol-1
	[[ $output == *"get vol-1: no such volume"* ]]
	docker volume rm -f vol-1
	run -1 docker volume inspect vol-1
	run -1 docker volume create -d nobody vol-1
	[[ $output == *'plugin "nobody" not found'* ]]
	for option in "--volume-driver nobody -v vol-1:/x" "--mount type=volume,volume-driver=nobody,src=vol-1,dst=/x"; do
		run -125 docker run --rm $option busybox true
		[[ $output == *'plugin "nobody" not found'* && $output != *"Unable to find image"* ]]
	done
	run -1 docker volume create ../x
	[[ $output == *"includes invalid characters"* ]]
	run -1 docker volume create --opt size=1m vol-1
	[[ $output == *"sizes are supported only on"* ]]
	run -1 docker volume create --opt colour=red vol-1
	[[ $output == *'invalid option: "colour"'* ]]
}

@test "a named volume keeps what containers write" {
	docker run --rm -v data:/data busybox sh -c 'echo one >/data/file'
	[ "$(docker run --rm -v data:/data:ro busybox cat /data/file)" = one ]
	run -1 docker run --rm -v data:/data:ro busybox touch /data/x
	[ "$(docker run --rm --mount type=volume,src=data,dst=/d,ro busybox cat /d/file)" = one ]
	docker create --name user -v data:/data busybox true
	[ "$(docker inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.RW}} {{.Source}}{{end}}' user)" = "volume data /data local true $ROOT/data/volumes/data/_data" ]
	run -1 docker volume rm data
	[[ $output == *"volume is in use - [$(docker inspect -f '{{.Id}}' user)]"* ]]
	[ "$(docker volume ls -q --filter dangling=true)" = "" ]
	[ "$(docker ps -aq --filter volume=data | wc -l)" = 1 ]
	docker rm -v user
	[ "$(docker volume ls -q --filter dangling=true)" = data ]
	docker volume rm data
}

@test "a new volume has what the image has, with its owners" {
	cat >"$ROOT/img.tar" <<<"" && busybox_tar >"$ROOT/img.tar"
	docker import -c 'VOLUME /www' "$ROOT/img.tar" withvol >/dev/null
	[ "$(docker run --rm -v web:/www busybox cat /www/index.html)" = hello ]
	[ "$(docker run --rm -v bare:/www:nocopy busybox ls -A /www)" = "" ]
	docker run --rm -v web:/other busybox sh -c 'echo changed >/other/index.html'
	[ "$(docker run --rm -v web:/www busybox cat /www/index.html)" = changed ]
	[ "$(docker run --rm --mount type=volume,dst=/www,volume-nocopy busybox ls -A /www)" = "" ]
	# The image's own.
	docker run --name anon withvol cat /www/index.html
	name=$(docker inspect -f '{{(index .Mounts 0).Name}}' anon)
	[[ $name =~ ^[0-9a-f]{64}$ ]]
	docker volume inspect -f '{{.Labels}}' "$name" | grep -F com.docker.volume.anonymous
	docker rm anon
	docker volume inspect "$name" >/dev/null
	docker run --rm withvol true
	docker run --name anon withvol true
	docker rm -v anon
	[ "$(docker volume ls -q --filter label=com.docker.volume.anonymous)" = "$name" ]
	docker rmi withvol
}

@test "volumes from another container" {
	mkdir -p "$ROOT/bound" && echo bound >"$ROOT/bound/file"
	docker create --name source -v data:/data -v /anon -v "$ROOT/bound:/bound" busybox true
	docker run --rm --volumes-from source busybox sh -c 'echo x >/data/x; echo y >/anon/y; cat /bound/file' | grep bound
	[ "$(docker run --rm --volumes-from source:ro busybox cat /data/x /anon/y | tr '\n' ' ')" = "x y " ]
	run -1 docker run --rm --volumes-from source:ro busybox touch /data/z
	run -125 docker run --rm --volumes-from nobody busybox true
	[[ $output == *"No such container: nobody"* ]]
	# What another one still has is kept.
	docker create --name heir --volumes-from source busybox true
	docker rm -v source
	[ "$(docker inspect -f '{{len .Mounts}}' heir)" = 3 ]
	docker start -a heir
}

@test "a directory of a volume" {
	docker run --rm -v data:/data busybox sh -c 'mkdir -p /data/a/b; echo deep >/data/a/b/f; ln -s /etc /data/out'
	[ "$(docker run --rm --mount type=volume,src=data,dst=/d,volume-subpath=a/b busybox cat /d/f)" = deep ]
	docker create --name part --mount type=volume,src=data,dst=/d,volume-subpath=a/b busybox true
	[ "$(docker cp part:/d/f - | tar -xO)" = deep ]
	[ ! -e "$ROOT/run/containers/$(docker inspect -f '{{.Id}}' part)" ]
	run -125 docker run --rm --mount type=volume,src=data,dst=/d,volume-subpath=none busybox true
	# A link that leads out of the volume stays within.
	run -125 docker run --rm --mount type=volume,src=data,dst=/d,volume-subpath=out busybox true
	run -125 docker run --rm --mount type=volume,src=data,dst=/d,volume-subpath=../x busybox true
}

@test "images as mounts" {
	docker run --name maker busybox sh -c 'mkdir -p /part/in; echo deep >/part/in/f; ln -s /etc/passwd /part/out; ln -s ../../../../part/in /part/way; rm /etc/group'
	docker commit maker tool:1
	docker rm maker
	docker run -d --name taker --mount type=image,source=tool:1,target=/tool --mount type=image,src=busybox,dst=/one/more busybox sleep 1000
	[ "$(docker exec taker cat /tool/part/in/f)" = deep ]
	docker exec taker cmp /one/more/etc/group /etc/group
	run ! docker exec taker ls /tool/etc/group
	run ! docker exec taker touch /tool/x
	[[ $output == *"Read-only file system"* ]]
	[ "$(docker inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}},{{end}}' taker)" = "image tool:1 /tool false,image busybox /one/more false," ]
	grep -F "$ROOT/run/containers" /proc/self/mountinfo && false
	run -1 docker rmi -f "$(docker inspect -f '{{.Id}}' tool:1)"
	[[ $output == *"image is being used by running container"* ]]
	docker kill taker
	daemon_stop KILL
	daemon_start
	run -1 docker rmi tool:1
	[[ $output == *"(must force) - container "*" is using its referenced image"* ]]
	docker image prune -af
	docker inspect tool:1 >/dev/null
	[ "$(docker cp taker:/tool/part/in/f - | tar -xO)" = deep ]
	# What is forced away stays while the container does.
	docker rmi -f tool:1
	docker start taker
	[ "$(docker exec taker cat /tool/part/in/f)" = deep ]
	docker rm -f taker
	run -125 docker run --rm --mount type=image,src=tool:1,dst=/x busybox true
	[[ $output == *"No such image: tool:1"* ]]
	[ -z "$(docker ps -aq)" ]
}

@test "parts of images as mounts" {
	docker run --name maker busybox sh -c 'mkdir -p /part/in; echo deep >/part/in/f; ln -s /etc/passwd /part/out; ln -s ../../../../part/in /part/way'
	docker commit maker tool:2
	docker rm maker
	part() { docker run --rm --mount "type=image,src=tool:2,dst=/t,image-subpath=$1" busybox "${@:2}"; }
	[ "$(part part/in cat /t/f)" = deep ]
	[ "$(part part/way cat /t/f)" = deep ]
	[ "$(part part/in/f cat /t)" = deep ]
	part part/out grep -q app /t
	for bad in none ../part /part a/../../b; do
		run -125 part "$bad" true
		[[ $output == *subpath* ]]
	done
	[ "$(vessel run --rm --mount type=image,src=tool:2,dst=/t,image-subpath=part/in busybox cat /t/f)" = deep ]
	docker rmi tool:2
}

@test "volumes with options are mounted while they are used" {
	docker volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=1m,mode=1777 ram
	docker run -d --name a1 -v ram:/ram busybox sleep 1000
	docker exec a1 sh -c 'echo shared >/ram/f; df -k /ram | grep 1024'
	[ "$(docker run --rm -v ram:/ram busybox cat /ram/f)" = shared ]
	grep -F "$ROOT/data/volumes/ram/_data" /proc/self/mountinfo
	daemon_stop KILL
	daemon_start
	[ "$(docker exec a1 cat /ram/f)" = shared ]
	docker rm -f a1
	run ! grep -F "$ROOT/data/volumes/ram/_data" /proc/self/mountinfo
	mkdir -p "$ROOT/bound" && echo bound >"$ROOT/bound/file"
	docker run --rm --mount "type=volume,src=bnd,dst=/b,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=$ROOT/bound" busybox cat /b/file | grep bound
	[ -e "$ROOT/bound/file" ]
	docker volume rm bnd
	[ -e "$ROOT/bound/file" ]
}

@test "prune" {
	docker volume create named
	docker volume create --label keep kept
	docker volume create >/dev/null
	docker create -v used:/u busybox true
	run -0 docker volume prune -f
	[ "$(docker volume ls -q | sort | tr '\n' ' ')" = "kept named used " ]
	run -0 docker volume prune -af --filter 'label!=keep'
	[ "$(docker volume ls -q | sort | tr '\n' ' ')" = "kept used " ]
	docker system df -v | grep -E '^used +1 '
}

@test "volumes survive the daemon" {
	docker volume create --label a=1 one
	docker run -d --name cc -v two:/two busybox sh -c 'echo x >/two/x; echo ready; exec sleep 1000'
	wait_log cc
	daemon_stop KILL
	daemon_start
	[ "$(docker volume ls -q | sort | tr '\n' ' ')" = "one two " ]
	[ "$(docker volume ls -q --filter label=a=1)" = one ]
	[ "$(docker exec cc cat /two/x)" = x ]
	run -1 docker volume rm two
}

@test "events" {
	since=$(date +%s)
	docker volume create ev >/dev/null
	docker volume rm ev
	run -0 docker events --since "$since" --until "$(($(date +%s) + 1))" --filter type=volume --format '{{.Action}} {{.Actor.ID}}'
	[[ $output == *"create ev"*"destroy ev"* ]]
}
