# Images: import, save, load, list, tag, inspect, rmi.
load ../lib/engine

setup_file() { engine_up; }
teardown_file() { engine_down; }

@test "import with changes, inspect, history" {
	busybox_tar | docker import -c 'CMD ["echo","from image"]' -c 'ENV GREETING=hi' -c 'WORKDIR /tmp' -m note - made:1
	[ "$(docker run --rm made:1)" = "from image" ]
	[ "$(docker run --rm made:1 sh -c 'echo $GREETING; pwd' | xargs)" = "hi /tmp" ]
	[ "$(docker image inspect -f '{{index .RepoTags 0}}' made:1)" = made:1 ]
	[ "$(docker history -q made:1 | wc -l)" -eq 1 ]
	docker rmi made:1
}

@test "images lists names, ids and sizes" {
	[ "$(docker images --format '{{.Repository}}:{{.Tag}}' busybox)" = busybox:latest ]
	[[ $(docker images -q --no-trunc busybox) =~ ^sha256:[0-9a-f]{64}$ ]]
	[[ $(docker images --format '{{.Size}}' busybox) =~ MB$ ]]
}

@test "tag and rmi: names first, then the image" {
	busybox_tar | docker import -c 'LABEL only=here' - first:1
	docker tag first:1 second:2
	run -0 docker rmi first:1
	[[ $output == *"Untagged: first:1"* ]]
	[[ $output != *"Deleted"* ]]
	run -0 docker rmi second:2
	[[ $output == *"Deleted: sha256:"* ]]
	run -1 docker rmi second:2
	[[ $output == *"No such image"* ]]
}

@test "an image in use is not removed" {
	busybox_tar | docker import - used:1
	docker create --name holder used:1 true
	run -1 docker rmi "$(docker images -q used:1)"
	[[ $output == *"conflict"* || $output == *"unable to delete"* ]]
	docker rm holder
	docker rmi used:1
}

@test "save and load give the same image, through plain, gzip, zstd, bzip2 and xz" {
	id=$(docker images -q --no-trunc busybox)
	docker save busybox -o "$BATS_TEST_TMPDIR/b.tar"
	gzip -k "$BATS_TEST_TMPDIR/b.tar"
	zstd -q "$BATS_TEST_TMPDIR/b.tar"
	bzip2 -k "$BATS_TEST_TMPDIR/b.tar"
	xz -k -1 "$BATS_TEST_TMPDIR/b.tar"
	for archive in b.tar b.tar.gz b.tar.zst b.tar.bz2 b.tar.xz; do
		docker rmi -f busybox
		run -0 docker load -i "$BATS_TEST_TMPDIR/$archive"
		[[ $output == *"Loaded image: busybox:latest"* ]]
		[ "$(docker images -q --no-trunc busybox)" = "$id" ]
		[ "$(docker run --rm busybox echo ok)" = ok ]
	done
	docker save busybox | tar -xO manifest.json | jq -e '.[0].RepoTags == ["busybox:latest"]'
}

@test "import of bzip2 and xz archives: the layer is kept as a tar" {
	for program in bzip2 xz; do
		busybox_tar | $program -1 | docker import - "$program:1"
		[ "$(docker run --rm "$program:1" echo ok)" = ok ]
		[ "$(docker image inspect -f '{{.RootFS.Layers}}' "$program:1")" = "$(docker image inspect -f '{{.RootFS.Layers}}' busybox)" ]
		docker rmi "$program:1"
	done
	[ -z "$(ls "$ROOT/data/blobs/sha256")" ]
}

@test "hostile archives are refused with a reason and leave nothing" {
	before=$(find "$ROOT/data/layers" "$ROOT/data/blobs" -mindepth 1 -maxdepth 2 | sort)
	/usr/bin/python3 - "$BATS_TEST_TMPDIR" <<-'P'
		import io, sys, tarfile
		def make(name, entries):
		    with tarfile.open("%s/%s.tar" % (sys.argv[1], name), "w") as tar:
		        for entry, data in entries:
		            tar.addfile(entry, io.BytesIO(data))
		def file(name, data=b"x"):
		    entry = tarfile.TarInfo(name); entry.size = len(data); return entry, data
		def link(name, to, kind=tarfile.SYMTYPE):
		    entry = tarfile.TarInfo(name); entry.type, entry.linkname = kind, to; return entry, b""
		make("traversal", [file("../../../../../../tmp/vessel-evil")])
		make("link", [link("d", "/tmp"), file("d/vessel-evil")])
		make("hard", [link("h", "../../../../../../etc/passwd", tarfile.LNKTYPE)])
		with open(sys.argv[1] + "/cut.tar", "wb") as f:
		    f.write(b"\0" * 100 + b"garbage" * 100)
	P
	for evil in traversal hard cut; do
		run -1 docker import "$BATS_TEST_TMPDIR/$evil.tar" "evil:$evil"
	done
	docker import "$BATS_TEST_TMPDIR/link.tar" evil:link || true
	[ ! -e /tmp/vessel-evil ]
	docker rmi evil:link 2>/dev/null || true
	run -1 docker load -i "$BATS_TEST_TMPDIR/cut.tar"
	[ "$(find "$ROOT/data/layers" "$ROOT/data/blobs" -mindepth 1 -maxdepth 2 | sort)" = "$before" ]
	empty() { [ -z "$(ls "$1")" ]; }
	eventually empty "$ROOT/data/tmp"
}
