"""Cases of api_params.py: images, networks, volumes, and what an engine outside a swarm answers."""

import io
import json
import tarfile

import apifacts
import vessel
from apiasker import Asker, check, kept

SWARM = ("swarm", "nodes", "services", "tasks", "secrets", "configs")
NO_SWARM = 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
# Answers of routes that are not there, other than those of a swarm's: status, and what the message has.
ABSENT = {
    "POST /swarm/init": (501, "POST /swarm/init is not implemented"),
    "POST /swarm/join": (501, "POST /swarm/join is not implemented"),
    "POST /swarm/leave": (503, "This node is not part of a swarm"),
    "PUT /volumes/{name}": (503, "volume update only valid for cluster volumes, but swarm is unavailable"),
    "GET /plugins/privileges": (501, "GET /plugins/privileges is not implemented"),
    "POST /plugins/pull": (501, "POST /plugins/pull is not implemented"),
    "POST /plugins/create": (501, "POST /plugins/create is not implemented"),
    "POST /session": (404, "page not found"),
    "POST /build": (501, "POST /build is not implemented"),
    "GET /images/{name}/attestations": (404, "page not found"),
}
OURS = {"os": "linux", "architecture": "amd64"}
OTHER = {"os": "linux", "architecture": "arm64"}
NETWORK = {
    "Name": "whole", "Driver": "bridge", "Scope": "local", "CheckDuplicate": True, "Internal": True, "Attachable": True, "Ingress": False,
    "ConfigOnly": False, "ConfigFrom": {"Network": ""}, "EnableIPv4": True, "EnableIPv6": True, "Labels": {"kind": "a", "tier": "b"},
    "Options": {"com.docker.network.driver.mtu": "1400"},
    "IPAM": {"Driver": "default", "Options": {}, "Config": [
        {"Subnet": "10.95.0.0/24", "IPRange": "10.95.0.128/25", "Gateway": "10.95.0.1", "AuxiliaryAddresses": {"nas": "10.95.0.9"}},
        {"Subnet": "fd95::/64"}]}}
# Of a network's body, what its answer does not show.
UNSHOWN = ("CheckDuplicate", "IPAM")
JOINING = {"IPAMConfig": {"IPv4Address": "10.95.0.77", "IPv6Address": "fd95::77"}, "Links": ["other:friend"], "Aliases": ["alias"],
           "MacAddress": "02:42:00:00:00:77", "GwPriority": 2}
# Of an endpoint, what the engine answers and a body may hold without effect: clients send what they have inspected.
ECHOED = {"NetworkID": "1" * 64, "EndpointID": "2" * 64, "Gateway": "192.0.2.1", "IPAddress": "192.0.2.2", "IPPrefixLen": 24,
          "IPv6Gateway": "2001:db8::1", "GlobalIPv6Address": "2001:db8::2", "GlobalIPv6PrefixLen": 64, "DNSNames": ["echoed"]}
# A container's configuration as `commit` may be told it, and what of it an image has.
COMMITTED = {
    "User": "1000", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"], "Cmd": ["-c", "true"], "Entrypoint": ["/bin/sh"], "Volumes": {"/vol": {}},
    "WorkingDir": "/tmp", "OnBuild": ["RUN x"], "Labels": {"a": "b"}, "StopSignal": "SIGUSR1", "Shell": ["/bin/sh"], "ArgsEscaped": True, "StopTimeout": 3,
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10 ** 9, "Timeout": 10 ** 9, "Retries": 2, "StartPeriod": 10 ** 9,
                    "StartInterval": 10 ** 9}}
NOT_COMMITTED = {
    "Hostname": "beacon", "Domainname": "example.org", "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": True,
    "OpenStdin": True, "StdinOnce": True, "Image": "busybox", "NetworkDisabled": True, "MacAddress": "02:42:00:00:00:09"}


def tar_of(name, text=b"text"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return out.getvalue()


class Objects(Asker):
    def filtered(self, route, names, cases, **query):
        """Each filter, in both notations: those whose names match."""
        for key, value, wanted in cases:
            for values in ([value], {value: True}):
                got = names(self.ask(route, query=dict(query, filters={key: values}), status=200))
                check(got, wanted, "%s, filter %s=%s" % (route, key, value))

    # Networks ----------------------------------------------------------------------------------------

    def networks(self):
        self.ask("POST /networks/create", body=NETWORK, status=201)
        got = self.ask("GET /networks/{id}", "whole", {"verbose": "true", "scope": "local"}, status=200)
        kept({k: v for k, v in NETWORK.items() if k not in UNSHOWN}, got, [])
        check((got["IPAM"]["Driver"], got["IPAM"]["Options"], got["IPAM"]["Config"][0]),
              ("default", {}, NETWORK["IPAM"]["Config"][0]), "IPAM")
        check(got["IPAM"]["Config"][1]["Subnet"], "fd95::/64", "the second subnet")
        for query, status in (({"verbose": "x"}, 400), ({"verbose": "0"}, 200), ({"scope": "swarm"}, 404)):
            self.ask("GET /networks/{id}", "whole", query, status=status)
        self.ask("POST /networks/create", body={"Name": "whole", "CheckDuplicate": False}, status=409)
        self.filtered("GET /networks", lambda answer: sorted(n["Name"] for n in answer), (
            ("driver", "bridge", ["bridge", "whole"]), ("driver", "null", ["none"]), ("driver", "overlay", []),
            ("id", got["Id"][:12], ["whole"]), ("label", "kind", ["whole"]), ("label", "kind=a", ["whole"]), ("label", "kind=b", []),
            ("name", "^wh", ["whole"]), ("name", "ole", ["whole"]), ("scope", "local", ["bridge", "host", "none", "whole"]),
            ("scope", "swarm", []), ("type", "custom", ["whole"]), ("type", "builtin", ["bridge", "host", "none"]),
            ("dangling", "true", ["whole"]), ("dangling", "false", ["bridge", "host", "none"])))
        for bad in ({"nonsense": ["x"]}, {"type": ["nonsense"]}, {"dangling": ["maybe"]}):
            self.ask("GET /networks", query={"filters": bad}, status=400)
        for body, status, text in (
                ({"Name": ""}, 400, "invalid name: name is empty"), ({"Name": "bridge"}, 403, "predefined bridge network"),
                ({"Name": "bad", "Driver": "nonsense"}, 404, 'plugin "nonsense" not found'),
                ({"Name": "bad", "EnableIPv4": False}, 400, "IPv4 or IPv6 must be enabled"),
                ({"Name": "bad", "IPAM": {"Config": [{"Subnet": "x"}]}}, 400, "invalid subnet x"),
                ({"Name": "bad", "IPAM": {"Config": [{"Subnet": "10.94.0.0/24", "Gateway": "10.93.0.1"}]}}, 400, "invalid gateway 10.93.0.1"),
                ({"Name": "bad", "IPAM": {"Config": [{"Subnet": "10.94.0.0/24", "IPRange": "10.93.0.0/25"}]}}, 400, "invalid ip-range"),
                ({"Name": "bad", "IPAM": {"Config": [{"Subnet": "10.94.0.0/24", "AuxiliaryAddresses": {"a": "10.93.0.1"}}]}}, 400, "10.93.0.1")):
            answer = self.ask("POST /networks/create", body=body, status=status)
            assert text in answer["message"], (body, answer)
        self.membership()
        self.ask("POST /networks/create", body={"Name": "spare", "Labels": {"keep": ""}}, status=201)
        for filters, status, wanted in (
                ({"label": ["nobody"]}, 200, None), ({"until": ["1h"]}, 200, None), ({"label!": ["keep"], "label": ["kind=a"]}, 200, ["whole"]),
                ({"dangling": ["true"]}, 400, None), ({"until": ["0s"], "label": {"keep": True}}, 200, ["spare"])):
            answer = self.ask("POST /networks/prune", query={"filters": filters}, status=status)
            check(answer.get("NetworksDeleted"), wanted, filters)
        self.ask("DELETE /networks/{id}", "whole", status=404)
        self.ask("DELETE /networks/{id}", "bridge", status=403)

    def membership(self):
        """Containers join and leave, while they run and while they do not."""
        self.create("other")
        self.create("joins", host={"NetworkMode": "none"}, start=False)
        for running in (False, True):
            self.create("joins%d" % running, start=running)
            name = "joins%d" % running
            self.ask("POST /networks/{id}/connect", "whole", body={"Container": "other"}, status=200 if not running else 403)
            for bad, status in (({"IPAMConfig": {"IPv4Address": "10.94.0.1"}}, 400), ({"IPAMConfig": {"IPv6Address": "x"}}, 400),
                                ({"MacAddress": "x"}, 400), ({"Aliases": ["a b"]}, 400)):
                self.ask("POST /networks/{id}/connect", "whole", body={"Container": name, "EndpointConfig": bad}, status=status)
            self.ask("POST /networks/{id}/connect", "whole", body={"Container": name, "EndpointConfig": dict(JOINING, **ECHOED)}, status=200)
            got = self.engine.inspect(name)["NetworkSettings"]["Networks"]["whole"]
            kept({k: v for k, v in JOINING.items() if running or k != "MacAddress"}, got, [])
            if running:
                check((got["IPAddress"], got["GlobalIPv6Address"], got["MacAddress"]),
                      ("10.95.0.77", "fd95::77", JOINING["MacAddress"]), "what it has")
                assert {name, "alias"} <= set(got["DNSNames"]), got
                whole = self.ask("GET /networks/{id}", "whole", status=200)["Containers"]
                check(sorted(c["Name"] for c in whole.values()), [name, "other"], "who is in it")
            self.ask("POST /networks/{id}/disconnect", "whole", body={"Container": name, "Force": running}, status=200)
            self.ask("POST /networks/{id}/disconnect", "whole", body={"Container": name, "Force": False}, status=500)
        for body, status in (({"Container": ""}, 400), ({"Container": "nobody"}, 404)):
            self.ask("POST /networks/{id}/connect", "whole", body=body, status=status)
            self.ask("POST /networks/{id}/disconnect", "whole", body=body, status=status)
        self.ask("POST /networks/{id}/connect", "host", body={"Container": "joins0"}, status=400)
        self.ask("DELETE /networks/{id}", "whole", status=403)
        self.remove("joins", "joins0", "joins1", "other")

    # Volumes -----------------------------------------------------------------------------------------

    def volumes(self):
        body = {"Name": "first", "Driver": "local", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, "Labels": {"kind": "a"}}
        made = self.ask("POST /volumes/create", body=body, status=201)
        check((made["Name"], made["Driver"], made["Options"], made["Labels"], made["Scope"]),
              ("first", "local", body["DriverOpts"], body["Labels"], "local"), "what was made")
        check(self.ask("POST /volumes/create", body={"Name": "first", "Labels": {"other": "x"}}, status=201), made, "made again")
        check(self.ask("GET /volumes/{name}", "first", status=200), made, "inspected")
        anonymous = self.ask("POST /volumes/create", body={}, status=201)["Name"]
        self.ask("POST /volumes/create", body={"Name": "second"}, status=201)
        self.create("user", "stat -f -c %T /first >/second/kind; sleep 1000", host={"Binds": ["first:/first", "second:/second"]})
        self.filtered("GET /volumes", lambda answer: sorted(v["Name"] for v in answer["Volumes"] if v["Name"] != anonymous), (
            ("driver", "local", ["first", "second"]), ("driver", "other", []), ("label", "kind", ["first"]), ("label", "kind=a", ["first"]),
            ("label", "kind=b", []), ("name", "fir", ["first"]), ("name", "^s", ["second"]), ("dangling", "false", ["first", "second"]),
            ("dangling", "true", [])))
        for bad in ({"nonsense": ["x"]}, {"dangling": ["maybe"]}):
            self.ask("GET /volumes", query={"filters": bad}, status=400)
        for body, status, text in (
                ({"Name": "../x"}, 400, "create ../x: "), ({"Name": "bad", "Driver": "nonsense"}, 404, 'plugin "nonsense" not found'),
                ({"Name": "bad", "DriverOpts": {"nonsense": "x"}}, 400, 'invalid option: "nonsense"'),
                ({"Name": "bad", "DriverOpts": {"type": "nfs"}}, 400, "missing device")):
            answer = self.ask("POST /volumes/create", body=body, status=status)
            assert text in answer["message"], (body, answer)
        for force in (0, 1):
            self.ask("DELETE /volumes/{name}", "first", {"force": force}, status=409)
            self.ask("DELETE /volumes/{name}", "nothing", {"force": force}, status=204 if force else 404)
        self.remove("user")
        for filters, wanted in (({"label": ["nobody"]}, []), ({"label!": ["com.docker.volume.anonymous"]}, []), ({}, [anonymous]),
                                ({"all": ["1"], "label": ["kind=a"]}, ["first"]), ({"all": {"true": True}}, ["second"])):
            check(self.ask("POST /volumes/prune", query={"filters": filters}, status=200)["VolumesDeleted"], wanted, filters)
        self.ask("POST /volumes/prune", query={"filters": {"until": ["1h"]}}, status=400)

    # Images ------------------------------------------------------------------------------------------

    def images(self):
        self.image_lists()
        self.imports()
        self.image_archives()
        self.commits()

    def image_lists(self):
        self.ask("POST /images/{name}/tag", "busybox", {"repo": "listed/name", "tag": "one"}, status=201)
        for query in ({"repo": "UPPER"}, {"repo": "good", "tag": "!!"}, {"repo": ""}):
            self.ask("POST /images/{name}/tag", "busybox", query, status=400)
        self.create("base", "true", start=False)
        self.ask("POST /commit", query={"container": "base", "repo": "child", "tag": "x", "changes": "LABEL kind=a"}, status=201)
        self.remove("base")

        def names(answer):
            return sorted(name for image in answer for name in image["RepoTags"])
        every = ["busybox:latest", "child:x", "listed/name:one"]
        self.filtered("GET /images/json", names, (
            ("before", "child:x", ["busybox:latest", "listed/name:one"]), ("since", "busybox", ["child:x"]), ("label", "kind", ["child:x"]),
            ("label", "kind=b", []), ("reference", "listed/*", ["listed/name:one"]), ("reference", "busy*:lat*", ["busybox:latest"]),
            ("dangling", "true", []), ("dangling", "false", every), ("until", "1h", []), ("until", "0s", every)))
        for bad in ({"nonsense": ["x"]}, {"dangling": ["x"]}, {"reference": ["["]}, {"until": ["x"]}):
            self.ask("GET /images/json", query={"filters": bad}, status=400)
        image = {i["RepoTags"][0]: i for i in self.ask("GET /images/json", query={
            "all": 1, "digests": 1, "shared-size": 1, "manifests": 1}, status=200)}["child:x"]
        check((image["SharedSize"], len(image["Manifests"]), image["RepoDigests"]), (image["Size"], 1, []), "what was asked for")
        plain = self.ask("GET /images/json", query={"all": 0, "shared-size": 0, "manifests": 0}, status=200)[0]
        check((plain["SharedSize"], "Manifests" in plain), (-1, False), "what was not")
        check(len(self.ask("GET /images/{name}/json", "busybox", {"manifests": 1}, status=200)["Manifests"]), 1, "manifests")
        for route in ("GET /images/{name}/json", "GET /images/{name}/history", "GET /images/{name}/get"):
            self.ask(route, "busybox", {"platform": OURS}, status=200)
            self.ask(route, "busybox", {"platform": OTHER}, status=404)
            self.ask(route, "busybox", {"platform": "x"}, status=400)
        check(len(self.ask("GET /images/{name}/history", "busybox", status=200)), 1, "entries")
        self.ask("GET /images/{name}/json", "busybox", {"manifests": 1, "platform": OURS}, status=400)
        for query, status in (({"platforms": OTHER}, 404), ({"platforms": "x"}, 400), ({"platforms": [json.dumps(OURS), json.dumps(OTHER)]}, 400),
                              ({"platforms": OURS, "force": 0, "noprune": 0}, 200)):
            self.ask("DELETE /images/{name}", "listed/name:one", query, status=status)
        parent = self.ask("GET /images/{name}/json", "busybox", status=200)["Id"]
        self.ask("DELETE /images/{name}", parent, {"force": 0}, status=409)  # another one is made of it
        self.prunes()

    def prunes(self):
        self.create("base", "true", start=False)
        ident = self.ask("POST /commit", query={"container": "base", "changes": "LABEL kind=b"}, status=201)["Id"]
        self.remove("base")
        for filters, wanted in (
                ({"label": ["nobody"]}, None), ({"label!": ["kind"]}, None), ({"until": ["1h"]}, None),
                ({"dangling": ["true"], "label": ["kind"]}, [ident]), ({"dangling": ["false"], "label": {"kind=a": True}}, ["child:x"])):
            got = self.ask("POST /images/prune", query={"filters": filters}, status=200)["ImagesDeleted"]
            check(got and [one.get("Untagged", one.get("Deleted")) for one in got][:1], wanted, filters)
        self.ask("POST /images/prune", query={"filters": {"nonsense": ["x"]}}, status=400)

    def upload(self, route, data, query, status=200):
        """A request with an archive as its body."""
        for name in ("", *query):
            self.note(route, name)
        connection = self.engine.connection()
        connection.request("POST", route.split()[1] + self.query_of(query), data, {"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        text = answer.read().decode()
        check(answer.status, status, "%s %s: %s" % (route, query, text))
        return text

    def imports(self):
        route = "POST /images/create"
        said = self.upload(route, tar_of("file"), {"fromSrc": "-", "repo": "imported", "tag": "x", "message": "why", "platform": "linux/arm64",
                                                   "changes": ["ENV A=b", "CMD [\"x\"]"]})
        ident = json.loads(said)["status"]
        got = self.ask("GET /images/{name}/json", "imported:x", status=200)
        check((got["Id"], got["Comment"], got["Architecture"], got["Config"]["Env"], got["Config"]["Cmd"]),
              (ident, "why", "arm64", ["A=b"], ["x"]), "imported")
        for query, status in (({"fromSrc": "-", "repo": "UPPER"}, 400), ({"fromSrc": "-", "platform": "windows/amd64"}, 400),
                              ({"fromSrc": "-", "changes": "RUN x"}, 400), ({"fromSrc": "http://127.0.0.1:1/x.tar"}, 501), ({}, 400),
                              ({"fromImage": "UPPER"}, 400), ({"fromImage": "busybox", "tag": "!!"}, 400)):
            self.upload(route, tar_of("file"), query, status)
        self.ask("DELETE /images/{name}", ident, {"force": 1, "noprune": 1}, status=200)

    def image_archives(self):
        """save and load; of two images, both names."""
        self.ask("POST /images/{name}/tag", "busybox", {"repo": "params", "tag": "two"}, status=201)
        for query in ({"names": ["busybox", "params:two"]}, {"names": ["busybox", "params:two"], "platform": OURS}):
            archive = self.ask("GET /images/get", query=query, status=200)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                check(sorted(name for one in json.load(tar.extractfile("manifest.json")) for name in one["RepoTags"]),
                      ["busybox:latest", "params:two"], "names")
        for query, status in (({"names": "busybox", "platform": OTHER}, 404), ({"names": "nothing"}, 404), ({}, 400),
                              ({"names": "busybox", "platform": [json.dumps(OURS), json.dumps(OTHER)]}, 400)):
            self.ask("GET /images/get", query=query, status=status)
        self.ask("DELETE /images/{name}", "params:two", status=200)
        for query, wanted in (({"quiet": 0}, '"progressDetail"'), ({"quiet": 1, "platform": json.dumps(OURS)}, "Loaded image: params:two")):
            said = self.upload("POST /images/load", archive, query)
            assert wanted in said and "Loaded image: busybox:latest" in said, said
            check("progressDetail" in said, not query["quiet"], "progress")
        self.upload("POST /images/load", archive, {"platform": json.dumps(OTHER)}, 404)
        self.upload("POST /images/load", archive, {"platform": [json.dumps(OURS), json.dumps(OTHER)]}, 400)
        self.ask("DELETE /images/{name}", "params:two", status=200)
        self.ask("POST /images/{name}/push", "busybox", {"tag": "!!"}, status=400)

    def commits(self):
        self.create("source", "echo x >/new; sleep 1000")
        vessel.wait_until("it has written", lambda: {"Path": "/new", "Kind": 1} in self.ask(
            "GET /containers/{id}/changes", "source", status=200))
        made = self.ask("POST /commit", status=201, body=dict(COMMITTED, **NOT_COMMITTED), query={
            "container": "source", "repo": "committed", "tag": "x", "comment": "why", "author": "me", "pause": 1,
            "changes": ["ENV C=d", "LABEL c=d"]})["Id"]
        got = self.ask("GET /images/{name}/json", "committed:x", status=200)
        check((got["Id"], got["Comment"], got["Author"]), (made, "why", "me"), "committed")
        wanted = dict(COMMITTED, Env=["A=b", "C=d"], Labels={"a": "b", "c": "d"})
        env = got["Config"].pop("Env")
        assert set(wanted.pop("Env")) <= set(env), env
        kept(wanted, got["Config"], [])
        check([name for name in NOT_COMMITTED if got["Config"].get(name)], [], "what images do not have")
        for query, status in (({}, 400), ({"container": "nobody"}, 404), ({"container": "source", "repo": "UPPER"}, 400),
                              ({"container": "source", "repo": "a", "tag": "!!"}, 400), ({"container": "source", "changes": "RUN x"}, 400)):
            self.ask("POST /commit", query=query, status=status)
        since = self.engine.api("GET", "/info")[1]["SystemTime"]
        self.ask("POST /commit", query={"container": "source", "repo": "unpaused", "pause": "false"}, status=201)
        until = self.engine.api("GET", "/info")[1]["SystemTime"]
        done = self.engine.docker("events", "--since", since, "--until", until, "--format", "{{.Action}}").stdout.split()
        assert "commit" in done and "pause" not in done, done
        self.ask("DELETE /images/{name}", "committed:x", status=200)
        self.ask("DELETE /images/{name}", "unpaused", status=200)
        self.remove("source")

    # What an engine outside a swarm has not ------------------------------------------------------------

    def no_swarm(self):
        facts = apifacts.Facts()
        for route in facts.routes:
            group = route.split()[1].split("/")[1]
            status, text = ABSENT.get(route, (503, NO_SWARM) if group in SWARM else (0, ""))
            if status:
                answer = self.ask(route, "x", body={} if not route.startswith("GET") else None, status=status)
                check(answer["message"], text, route)
            elif "/plugins/{name}" in route:
                check(self.ask(route, "x", status=404)["message"], 'plugin "x" not found', route)
        for filters in ({"enabled": ["true"]}, {"capability": ["volumedriver"]}):
            check(self.ask("GET /plugins", query={"filters": filters}, status=200), [], "plugins")
        self.ask("GET /plugins", query={"filters": {"nonsense": ["x"]}}, status=400)
        sizes = {"keep-storage": 1, "reserved-space": 1, "max-used-space": 1, "min-free-space": 1}
        check(self.ask("POST /build/prune", query=dict(sizes, filters={"until": ["1h"]}, all=1), status=200),
              {"CachesDeleted": None, "SpaceReclaimed": 0}, "a cache that there is none of")
