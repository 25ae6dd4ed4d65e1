# docker commit: a container's changes as a layer, its configuration as an image's.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

layer_names() { # image -> the names in its last layer
	docker save "$1" | /usr/bin/python3 -c 'import io, json, sys, tarfile
outer = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))
layer = json.load(outer.extractfile("manifest.json"))[0]["Layers"][-1]
for m in tarfile.open(fileobj=outer.extractfile(layer)): print(m.name + ("/" if m.isdir() else ""))'
}

@test "changes, deletions and replaced directories become a layer" {
	docker run --name box busybox sh -c 'echo new >/etc/new; rm /etc/group; rm -r /home/app; mkdir /home/app; echo x >/home/app/only; ln /etc/new /etc/other; mkdir -p /var/d/e'
	run -0 docker commit -m "a message" -a "me <me@example.org>" box made:1
	[[ $output =~ ^sha256:[0-9a-f]{64}$ ]]
	[ "$(docker image inspect -f '{{.Id}} {{.Author}} {{.Comment}}' made:1)" = "$output me <me@example.org> a message" ]
	layer_names made:1 >"$BATS_TEST_TMPDIR/names"
	diff -u "$BATS_TEST_TMPDIR/names" - <<-E
		etc/
		etc/.wh.group
		etc/new
		etc/other
		home/
		home/app/
		home/app/.wh..wh..opq
		home/app/only
		var/
		var/d/
		var/d/e/
	E
	[ "$(docker run --rm made:1 sh -c 'cat /etc/other; ls /etc/group 2>/dev/null; ls -A /home/app; ls -d /var/d/e; stat -c %h /etc/new' | xargs)" = "new only /var/d/e 2" ]
	# The base is its parent: it cannot go first.
	run -1 docker rmi busybox
	[[ $output == *"must force"* || $output == *"dependent child images"* ]]
	[ "$(docker history -q made:1 | wc -l)" -eq 2 ]
	[[ $(docker history --no-trunc --format '{{.CreatedBy}}' made:1 | head -n 1) == "sh -c echo new"* ]]
	docker rm box
	docker rmi made:1
}

@test "vessel commit, diff, export and cp" {
	docker run --name box busybox sh -c 'echo new >/etc/new; rm /etc/group'
	run -0 vessel commit -a me -m why -c 'CMD ["cat", "/etc/new"]' box made:2
	[ "$output" = "$(docker images -q --no-trunc made:2)" ]
	[ "$(vessel run --rm made:2)" = new ]
	[ "$(vessel diff box | xargs)" = "C /etc D /etc/group A /etc/new" ]
	vessel export box -o "$BATS_TEST_TMPDIR/x.tar"
	tar -tf "$BATS_TEST_TMPDIR/x.tar" | grep -qx etc/new
	vessel cp box:/etc/new - | tar -xO | grep -qx new
	vessel cp box:/etc/new - >"$BATS_TEST_TMPDIR/new.tar"
	vessel cp - box:/root <"$BATS_TEST_TMPDIR/new.tar"
	[ "$(vessel diff box | xargs)" = "C /etc D /etc/group A /etc/new C /root A /root/new" ]
	vessel cp box:/etc/new "$BATS_TEST_TMPDIR/copied"
	[ "$(cat "$BATS_TEST_TMPDIR/copied")" = new ]
	docker rm box
	docker rmi made:2
}

@test "nothing changed: no layer" {
	docker create --name box busybox true
	docker commit box same
	[ "$(docker image inspect -f '{{len .RootFS.Layers}}' same)" -eq 1 ]
	docker rm box
	docker rmi same
}

@test "the configuration: the container's, with instructions" {
	docker run --name box -e A=1 -e B=2 -l k=v -p 80 -w /tmp --user app busybox true
	docker commit -c 'ENV B=3 C=4' -c 'EXPOSE 53/udp' -c 'CMD ["echo", "hi"]' -c 'LABEL l=w' -c 'VOLUME /data' \
		-c 'HEALTHCHECK --interval=3s CMD true' -c 'STOPSIGNAL SIGINT' -c 'ONBUILD RUN x' -c 'WORKDIR sub' box configured
	docker image inspect configured | jq -e '.[0].Config | .User == "app" and .WorkingDir == "/tmp/sub" and .Cmd == ["echo", "hi"]
		and (.Env | index("A=1") and index("B=3") and index("C=4")) and .Labels == {"k": "v", "l": "w"}
		and .ExposedPorts == {"80/tcp": {}, "53/udp": {}} and .Volumes == {"/data": {}} and .StopSignal == "SIGINT"
		and .OnBuild == ["RUN x"] and .Healthcheck.Test == ["CMD-SHELL", "true"] and .Healthcheck.Interval == 3000000000'
	run -1 docker commit -c 'RUN x' box never
	[[ $output == *"not a valid change command"* ]]
	run -1 docker commit box Not:Valid:Name
	run -1 docker commit nobody
	[[ $output == *"No such container: nobody"* ]]
	docker rm box
	docker rmi configured
}

@test "a running container is paused meanwhile, and both say so" {
	docker run -d --name box busybox sh -c 'echo $$ >/pid; echo ready; exec sleep 1000'
	wait_log box
	since=$(date +%s.%N)
	docker commit box paused:1
	[ "$(docker inspect -f '{{.State.Status}}' box)" = running ]
	docker commit --pause=false box unpaused:1
	events=$(docker events --since "$since" --until "$(date +%s.%N)" --format '{{.Type}} {{.Action}} {{index .Actor.Attributes "imageRef"}}')
	[ "$(xargs <<<"$events")" = "container pause container unpause image create image tag container commit paused:1 image create image tag container commit unpaused:1" ]
	[ "$(docker run --rm paused:1 cat /pid)" = 1 ]
	docker rm -f box
	docker rmi paused:1 unpaused:1
}

@test "capabilities, attributes, sparse files and odd names survive" {
	docker run --name box busybox sh -c 'truncate -s 2G /sparse; echo tail >>/sparse; printf x | dd of=/sparse bs=1 seek=1048576 conv=notrunc 2>/dev/null; cp /bin/busybox /bin/capable; mkdir "/odd  name"; echo >"/odd  name/$(printf "\\377")"; mkfifo /fifo; ln -s nowhere /link'
	upper=$(echo "$ROOT"/data/containers/"$(docker inspect -f '{{.Id}}' box)"/upper)
	/usr/bin/python3 -c 'import os, sys
os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))' "$upper/bin/capable"
	docker commit box special
	docker save special -o "$BATS_TEST_TMPDIR/s.tar"
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/s.tar")" -lt 30000000 ] # the holes are none of it
	[ "$(docker run --rm special sh -c 'stat -c %s /sparse; tail -c 5 /sparse; dd if=/sparse bs=1 skip=1048576 count=1 2>/dev/null; echo; ls "/odd  name" | wc -c; stat -c %F /fifo; readlink /link' | xargs)" = "2147483653 tail x 2 fifo nowhere" ]
	docker run --name look special true
	docker export look | /usr/bin/python3 -c 'import sys, tarfile
m = [m for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|") if m.name == "bin/capable"][0]
assert m.pax_headers["SCHILY.xattr.security.capability"].encode("utf8", "surrogateescape").startswith(bytes([1, 0, 0, 2, 0, 4])), m.pax_headers'
	docker rm box look
	docker rmi special
}
