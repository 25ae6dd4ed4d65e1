#!/usr/bin/env bats
# docker cp, export and diff with real clients: a container's files in and out, running and stopped.

bats_require_minimum_version 1.5.0
load ../lib/engine

setup_file() {
	engine_up
}

teardown_file() {
	engine_down
}

setup() {
	W=$(mktemp -d "$BATS_FILE_TMPDIR/XXXXXX")
}

teardown() {
	explain
	docker ps -aq | xargs -r "$DOCKER" rm -f >/dev/null
}

@test "cp: a file out and in, owners, modes and times kept" {
	docker run -d --name box busybox sleep 1000
	docker exec box sh -c 'echo text >/tmp/f; chown 1000:2000 /tmp/f; chmod 4751 /tmp/f; touch -d @1000000000 /tmp/f'
	docker cp -a box:/tmp/f "$W/f"
	[ "$(cat "$W/f")" = text ]
	[ "$(stat -c '%a %Y' "$W/f")" = "4751 1000000000" ]
	[ "$(docker cp box:/tmp/f - | tar -tv --numeric-owner | cut -d' ' -f1-2)" = "-rwsr-x--x 1000/2000" ]
	docker cp box:/tmp/f - | docker cp - box:/home
	[ "$(docker exec box stat -c '%a %u:%g %Y' /home/f)" = "4751 1000:2000 1000000000" ]
	docker run -d --name other --user app busybox sleep 1000
	docker cp -a "$W/f" other:/home/app/
	[ "$(docker exec other stat -c '%u:%g' /home/app/f)" = 1000:1000 ]
}

@test "cp: directories, links, empty ones, names with spaces, big files" {
	docker run -d --name box busybox sleep 1000
	mkdir -p "$W/in/a b/empty"
	echo one >"$W/in/a b/one"
	ln "$W/in/a b/one" "$W/in/hard"
	ln -s "a b/one" "$W/in/soft"
	head -c 5000000 /dev/urandom >"$W/in/big"
	docker cp "$W/in" box:/tmp/
	[ "$(docker exec box cat /tmp/in/hard /tmp/in/soft)" = "one
one" ]
	[ "$(docker exec box readlink /tmp/in/soft)" = "a b/one" ]
	docker cp box:/tmp/in "$W/out"
	diff -r "$W/in" "$W/out"
	docker cp box:/tmp/in/. "$W/contents"
	diff -r "$W/in" "$W/contents"
}

@test "cp: a stopped container, and one that was never started" {
	docker create --name box busybox sh -c 'cat /root/x; echo made >/root/y'
	echo hello >"$W/x"
	docker cp "$W/x" box:/root/x
	[ "$(docker start -a box)" = hello ]
	docker cp box:/root/y "$W/y"
	[ "$(cat "$W/y")" = made ]
	[ "$(docker cp box:/etc/passwd - | tar -xO | head -c 5)" = root: ]
}

@test "cp: from a stopped container into itself" {
	docker create --name box busybox true
	head -c 9000000 /dev/urandom >"$W/big"
	docker cp "$W/big" box:/root/big
	# More than pipes and sockets hold: the reader must not keep the writer out.
	timeout "$PATIENCE" "$DOCKER" cp box:/root/big - | timeout "$PATIENCE" "$DOCKER" cp - box:/home
	docker cp box:/home/big "$W/again"
	cmp "$W/big" "$W/again"
	timeout "$PATIENCE" "$BIN/vessel" cp box:/root/big - | timeout "$PATIENCE" "$BIN/vessel" cp - box:/tmp
	docker cp box:/tmp/big - | tar -xO | cmp - "$W/big"
}

@test "cp: volumes and bind mounts of a stopped container" {
	mkdir "$W/host"
	echo hello >"$W/x"
	docker create --name data -v named:/named -v /anonymous -v named:/ro:ro -v "$W/host:/host" \
		--mount "type=bind,src=$W/x,dst=/etc/one" --tmpfs /scratch busybox true
	docker create --name box --volumes-from data --read-only busybox \
		cat /named/x /anonymous/x /host/x
	mounts=$(wc -l </proc/self/mountinfo)
	for path in named anonymous host; do
		docker cp "$W/x" "box:/$path/x"
		docker cp "box:/$path/x" "$W/out"
		[ "$(cat "$W/out")" = hello ]
	done
	[ "$(cat "$W/host/x")" = hello ]
	[ "$(docker cp data:/etc/one - | tar -xO)" = hello ]
	docker cp data:/ - | tar -t >"$W/names"
	grep -x "/*named/x" "$W/names"
	run -1 docker cp "$W/x" box:/ro/y
	[[ "$output" == *"mounted volume is marked read-only"* ]]
	run -1 docker cp "$W/x" box:/root/x
	[[ "$output" == *"container rootfs is marked read-only"* ]]
	run -1 docker cp "$W/x" data:/scratch/x
	[[ "$output" == *"only while the container runs"* ]]
	[ "$(wc -l </proc/self/mountinfo)" = "$mounts" ]
	[ "$(docker start -a box)" = "hello
hello
hello" ]
	docker rm -fv box data
	docker volume rm named
}

@test "cp: links lead within the container, never out of it" {
	docker run -d --name box busybox sleep 1000
	docker exec box sh -c 'ln -s /etc /tmp/link; ln -s ../../../../../../etc/passwd /tmp/up; ln -s /proc/1/root /tmp/proc'
	echo evil >"$W/vessel-copied"
	docker cp "$W/vessel-copied" box:/tmp/link/
	[ ! -e /etc/vessel-copied ]
	[ "$(docker exec box cat /etc/vessel-copied)" = evil ]
	docker cp -L box:/tmp/up "$W/passwd"
	[ "$(head -n 1 "$W/passwd")" = "$(docker exec box head -n 1 /etc/passwd)" ]
	docker cp "$W/vessel-copied" box:/tmp/proc/tmp/ || true
	[ ! -e /tmp/vessel-copied ]
	tar -C "$W" -cf "$W/up.tar" --transform 's,^,../../,' -P vessel-copied
	run -1 docker cp - box:/tmp <"$W/up.tar"
	[ ! -e /tmp/vessel-copied ] && [ ! -e /vessel-copied ]
}

@test "cp: errors have Docker's words" {
	docker run -d --name box --read-only --tmpfs /tmp busybox sleep 1000
	run -1 docker cp box:/nonsense "$W/"
	[[ "$output" == *"Could not find the file /nonsense in container box"* ]]
	echo x >"$W/x"
	run -1 docker cp "$W/x" box:/x
	[[ "$output" == *"container rootfs is marked read-only"* ]]
	run -1 docker cp nobody:/etc "$W/"
	[[ "$output" == *"No such container"* ]]
}

@test "cp: a directory is not replaced by a file" {
	docker run -d --name box busybox mkdir -p /tmp/d
	docker wait box
	mkdir "$W/t" && echo x >"$W/t/d"
	tar -C "$W/t" -cf "$W/t.tar" d
	code=$(curl -s -o "$W/answer" -w '%{http_code}' --unix-socket "${DOCKER_HOST#unix://}" -X PUT --data-binary "@$W/t.tar" \
		"http://x/v1.43/containers/box/archive?path=/tmp&noOverwriteDirNonDir=1")
	[ "$code" = 400 ]
	grep -q "cannot overwrite directory" "$W/answer"
}

# What a directory holds, with contents, and how the command that filled it ended.
state() { # DIRECTORY CODE
	(cd "$1" && find . -printf '%P %y %m %l\n' | sort && find . -type f -exec cksum {} + | sort -k3)
	echo "exit code $2"
}
copies() { # what to copy, the place for it, options
	cat <<-END
		f new
		f file
		f new/
		f to-file
		f dir/f -a
		d new
		d/ new/
		d/. new
		d file
		lf new -L
		lf dir -L
		ld new -L
		ld/ new
		ld/. dir
		abs dir -L
		dl new -L
		. new
	END
}
places() { mkdir "$1/dir" && echo old >"$1/file" && ln -s dir "$1/to-dir" && ln -s file "$1/to-file" && ln -s nowhere "$1/dangling"; }

@test "vessel cp is docker's: out of a container" {
	docker run -d --name box busybox sleep 1000
	docker exec box sh -c 'mkdir -p /s/d/e; echo f >/s/f; echo a >/s/d/a; chmod 640 /s/f; chown 1000:2000 /s/f; chmod 750 /s/d
		ln /s/d/a /s/d/hard; ln -s f /s/lf; ln -s d /s/ld; ln -s /s/d /s/abs; ln -s none /s/dl'
	while read -r src dst options; do
		for who in docker vessel; do
			mkdir "$W/$who" && places "$W/$who"
			code=0
			(cd "$W/$who" && "$who" cp $options "box:/s/$src" "$dst") >"$W/$who.said" 2>&1 || code=$?
			state "$W/$who" "$code" >"$W/$who.state"
			rm -r "${W:?}/$who"
		done
		diff "$W/docker.state" "$W/vessel.state" || { echo "cp $options $src $dst"; cat "$W"/*.said; false; }
	done < <(copies && echo f missing/new)
	[ -z "$(vessel cp box:/s/f "$W/quiet" 2>&1)" ]
	[[ $(vessel cp --quiet=false box:/s/f "$W/told" 2>&1) == "Successfully copied "*"kB to $W/told" ]]
	[ "$(stat -c %u:%g "$W/told")" = "$(id -u):$(id -g)" ]
}

@test "vessel cp is docker's: into a container" {
	docker run -d --name box busybox mkdir /s
	docker wait box
	mkdir -p "$W/s/d/e" && echo f >"$W/s/f" && echo a >"$W/s/d/a" && chmod 640 "$W/s/f" && chmod 750 "$W/s/d" && ln "$W/s/d/a" "$W/s/d/hard"
	ln -s f "$W/s/lf" && ln -s d "$W/s/ld" && ln -s "$W/s/d" "$W/s/abs" && ln -s none "$W/s/dl" && chown 1000:2000 "$W/s/f"
	upper=$(docker inspect -f '{{.GraphDriver.Data.UpperDir}}' box)
	while read -r src dst options; do
		for who in docker vessel; do
			rm -rf "${upper:?}/s/"* && places "$upper/s"
			code=0
			(cd "$W/s" && "$who" cp $options "$src" "box:/s/$dst") >"$W/$who.said" 2>&1 || code=$?
			state "$upper/s" "$code" >"$W/$who.state"
			(cd "$upper/s" && find . -printf '%P %U:%G\n' | sort) >>"$W/$who.state"
		done
		diff "$W/docker.state" "$W/vessel.state" || { echo "cp $options $src $dst"; cat "$W"/*.said; false; }
	done < <(copies)
	[[ $(vessel cp --quiet=false "$W/s/f" box:/s/told 2>&1) == "Successfully copied "*"kB to box:/s/told" ]]
	run -1 vessel cp "$W/s/f" nobody:/x
	[[ $output == *"No such container: nobody"* ]]
	for bad in "box:/s/f box:/s/g" "$W/s/f $W/s/g" "box: $W/x" "$W/s/f box:"; do
		run -1 vessel cp $bad
	done
}

@test "diff: added, changed, deleted" {
	docker run --name box busybox sh -c 'echo x >/etc/new; rm /etc/group; echo >>/etc/passwd; mkdir -p /var/d/e'
	[ "$(docker diff box)" = "C /etc
D /etc/group
A /etc/new
C /etc/passwd
C /var
A /var/d
A /var/d/e" ]
	docker run --name quiet busybox true
	[ -z "$(docker diff quiet)" ]
	[ "$(docker run --rm busybox stat -c "%a %s %u" /.dockerenv)" = "755 0 0" ] # and programs know by this where they are
}

@test "export: the files, without what is mounted" {
	docker run --name box -v /volume busybox sh -c 'echo x >/etc/new; rm /etc/group; echo v >/volume/v'
	docker export box >"$W/box.tar"
	tar -tf "$W/box.tar" >"$W/names"
	grep -qx etc/new "$W/names"
	grep -qx bin/busybox "$W/names"
	[ -z "$(grep -x etc/group "$W/names")" ]
	[ -z "$(grep volume/v "$W/names")" ]
	docker import "$W/box.tar" again
	[ "$(docker run --rm again cat /etc/new)" = x ]
}
