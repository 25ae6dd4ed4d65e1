# Lists, df and prune of images: filters, shapes by version, sizes that add up.
load ../lib/engine

setup_file() {
	engine_up
	local i
	for i in 1 2; do
		docker run --name made$i busybox sh -c "head -c ${i}000000 /dev/zero | tr '\\0' $i >/file$i"
		docker commit -c "LABEL number=$i" -c "LABEL made=yes" made$i "registry.example:5000/team/made:$i"
		docker rm made$i
	done
	docker tag registry.example:5000/team/made:1 other/made:one
}
teardown_file() { engine_down; }

api() { # METHOD PATH
	curl -s --unix-socket "$ROOT/vessel.sock" -X "$1" "http://d$2"
}

listed() { # FILTERS
	docker images "$@" --format '{{.Repository}}:{{.Tag}}' | sort | xargs
}

@test "events call an image by its ID, but where it gets a name" {
	local since
	since=$(date +%s.%N)
	busybox_tar | docker import -c 'LABEL kind=x' - noted:1 >/dev/null
	docker tag noted:1 registry.example:5000/noted
	docker save -o "$BATS_TEST_TMPDIR/noted.tar" noted:1 registry.example:5000/noted
	id=$(docker inspect -f '{{.Id}}' noted:1)
	docker rmi noted:1
	docker rmi -f "$id"
	docker load -i "$BATS_TEST_TMPDIR/noted.tar"
	docker rmi -f "$id"
	run -0 docker events --since "$since" --until "$(date +%s.%N)" --filter type=image --format \
		'{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.kind}} {{.Actor.ID}}'
	[ "${output//$id/ID}" = "tag noted:1 x ID
import ID x ID
tag registry.example:5000/noted:latest x ID
save ID x ID
untag ID x ID
untag ID x ID
delete ID <no value> ID
load ID x ID
untag ID x ID
untag ID x ID
delete ID <no value> ID" ]
}

@test "filters: reference, label, before, since, until, dangling" {
	[ "$(listed 'registry.example:5000/*/made')" = "registry.example:5000/team/made:1 registry.example:5000/team/made:2" ]
	[ "$(listed -f 'reference=*/made:o??')" = other/made:one ]
	[ "$(listed -f 'reference=other/made' -f 'reference=busybox:[k-m]*')" = "busybox:latest other/made:one" ]
	[ -z "$(listed -f 'reference=made')" ]
	[ "$(listed -f label=made)" = "other/made:one registry.example:5000/team/made:1 registry.example:5000/team/made:2" ]
	[ "$(listed -f label=made -f label=number=2)" = registry.example:5000/team/made:2 ]
	[ "$(listed -f since=other/made:one)" = registry.example:5000/team/made:2 ]
	[ "$(listed -f before=registry.example:5000/team/made:1)" = busybox:latest ]
	[ -z "$(listed -f until=1h)" ]
	[ "$(listed -f until="$(date -d +1min +%s)" | wc -w)" -eq 4 ]
	[ -z "$(listed -f dangling=true)" ]
	run -1 docker images -f 'reference=['
	run -1 docker images -f since=nobody
	[[ $output == *"No such image: nobody:latest"* ]]
	run -1 docker images -f nonsense=1
}

@test "images without a name are hidden while another one is made of them" {
	docker run --name box registry.example:5000/team/made:2 touch /more
	base=$(docker images -q --no-trunc registry.example:5000/team/made:2)
	docker commit box child
	docker rm box
	run -1 docker rmi registry.example:5000/team/made:2
	[[ $output == *"image has dependent child images"* ]] # its name is gone, as with Docker
	[ -z "$(docker images -q -f dangling=true)" ]
	[ "$(docker images -aq --no-trunc -f dangling=true)" = "$base" ]
	[ "$(docker image inspect -f '{{.Parent}}' child)" = "$base" ]
	[ "$(docker history -q --no-trunc child | sed -n 2p)" = "$base" ]
	api GET /v1.42/images/json?all=1 | jq -e --arg id "$base" '.[] | select(.Id == $id) | .RepoTags == ["<none>:<none>"] and .VirtualSize == .Size'
	api GET /v1.44/images/json?all=1 | jq -e --arg id "$base" '.[] | select(.Id == $id) | .RepoTags == [] and (has("VirtualSize") | not)'
	docker tag "$base" registry.example:5000/team/made:2
	docker rmi child
}

@test "shared sizes, manifests, platforms" {
	api GET '/v1.51/images/json?shared-size=1' | jq -e '. as $all | ([.[] | select(.RepoTags[0] == "busybox:latest")][0].Size) as $base
		| all($all[]; .SharedSize == $base)'
	api GET '/v1.51/images/json' | jq -e 'all(.[]; .SharedSize == -1 and (has("Manifests") | not))'
	api GET '/v1.51/images/busybox/json?manifests=1' | jq -e '.Manifests | length == 1 and (.[0] | .Kind == "image" and .Available
		and (.ID | startswith("sha256:")) and .ImageData.Platform.architecture == "amd64")'
	manifest=$(api GET '/v1.51/images/json?manifests=1' | jq -r '.[] | select(.RepoTags[0] == "busybox:latest") | .Manifests[0].ID')
	docker save busybox | tar -xO "blobs/sha256/${manifest#sha256:}" | sha256sum | grep -q "^${manifest#sha256:} "
	run -1 docker image inspect --platform linux/arm64 busybox
	[[ $output == *"does not match the specified platform: wanted linux/arm64, actual: linux/amd64"* ]]
	docker image inspect --platform linux/amd64 busybox
	run -1 docker save --platform linux/arm64 busybox -o "$BATS_TEST_TMPDIR/x"
	[[ $output == *"wanted linux/arm64"* ]]
	docker save busybox -o "$BATS_TEST_TMPDIR/b.tar"
	docker load --platform linux/amd64 -i "$BATS_TEST_TMPDIR/b.tar"
	run -1 docker load --platform linux/s390x -i "$BATS_TEST_TMPDIR/b.tar"
	[[ $output == *"no image for the platform linux/s390x"* ]]
}

@test "df says what du says" {
	docker run -d --name box -v data:/data busybox sh -c 'head -c 3000000 /dev/zero | tr "\0" x >/rw; cp /rw /data/; echo ready; sleep 1000'
	wait_log box
	df=$(api GET /v1.51/system/df)
	du=$(($(du -s -B1 "$ROOT/data/layers" | cut -f1) + $(du -s -B1 "$ROOT/data/blobs" | cut -f1)))
	[ "$(jq .LayersSize <<<"$df")" -eq "$du" ]
	jq -e '.Containers[0].SizeRw == 3000000 and .BuildCache == [] and (.Volumes[0].UsageData | .RefCount == 1)' <<<"$df"
	api GET '/v1.51/system/df?type=volume' | jq -e '.Images == null and .Containers == null and (.Volumes | length == 1)'
	[[ $(api GET '/v1.51/system/df?type=nonsense') == *"unknown object type: nonsense"* ]]
	docker system df | grep -q '^Images  *3  *1 '
	[ "$(vessel system df | tr -s ' ')" = "$(docker system df | tr -s ' ')" ]
	[ "$(vessel system df --format '{{.Type}} {{.TotalCount}} {{.Active}}' | xargs)" = "Images 3 1 Containers 1 1 Local Volumes 1 1 Build Cache 0 0" ]
	vessel system df -v | grep -q '^busybox '
	docker rm -f box
	docker volume rm data
}

@test "prune: dangling, labels, age; what it frees" {
	since=$(date +%s.%N)
	docker run --name box busybox sh -c 'head -c 500000 /dev/zero >/zeros'
	docker commit -c 'LABEL keep=yes' box
	docker commit -c 'LABEL keep=no' box dangling:1
	docker rm box
	busybox_tar | docker import - dangling:1
	[ "$(docker image prune -f --filter label!=keep | tail -n 1)" = "Total reclaimed space: 0B" ]
	[ "$(docker image prune -f --filter until=1h | tail -n 1)" = "Total reclaimed space: 0B" ]
	run -0 docker image prune -f --filter label=keep=no
	[[ $output == *"deleted: sha256:"*"Total reclaimed space: 0B" ]] # the other one has the same layer
	run -0 docker image prune -f
	[[ $output == *"Total reclaimed space: 500kB" ]]
	run -0 docker events --since "$since" --until "$(date +%s.%N)" --filter event=prune --format '{{.Type}} {{.Action}} {{.Actor.Attributes.reclaimed}}'
	[ "$(xargs <<<"$output")" = "image prune 0 image prune 0 image prune 0 image prune 500000" ]
	docker create --name holder registry.example:5000/team/made:1 true
	docker rmi dangling:1
	run -0 vessel image prune -af
	[[ $output == *"untagged: registry.example:5000/team/made:2"* && $output != *"made:1"* ]]
	vessel container prune -f --filter until=24h
	[ "$(docker ps -aq | wc -l)" -eq 1 ]
	run -0 vessel system prune -af
	[[ $output == *"Deleted Containers:"*"untagged: busybox:latest"*"Total reclaimed space:"* ]]
	[ -z "$(docker images -aq)" ]
	[ -z "$(ls "$ROOT/data/blobs/sha256")" ]
}
