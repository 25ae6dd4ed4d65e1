#!/usr/bin/python3
"""Answers of every kind against the types of Docker's API files, the newest one's and those of 1.41; versions between them
and before against both, and which fields a version has.

A field that the file does not have, of another type, null where it must not be, or outside of its enumeration fails, unless
it is listed here: Docker answers some things that its file leaves out.
"""

import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import apifacts  # noqa: E402
import vessel  # noqa: E402

# By route: what Docker's engine of that version answers though the file does not say so.  Lists and maps are null there
# when they are empty, as Go's are.
ENDPOINT = ["Aliases", "DNSNames", "IPAMConfig", "Links"]
CONFIG = ["Config." + name for name in ("Cmd", "Entrypoint", "Env", "Labels", "Volumes")]
LISTS = ["HostConfig." + name for name in (
    "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps", "BlkioWeightDevice",
    "CapAdd", "CapDrop", "DeviceCgroupRules", "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts",
    "GroupAdd", "Links", "MemorySwappiness", "PortBindings", "SecurityOpt", "Ulimits", "VolumesFrom")]
# The newest file here is of a version after ours: what it has no more is there until 1.51.
BEFORE_1_52 = ["NetworkSettings." + name for name in (
    "Bridge", "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "HairpinMode", "IPAddress", "IPPrefixLen",
    "IPv6Gateway", "LinkLocalIPv6Address", "LinkLocalIPv6PrefixLen", "MacAddress", "SecondaryIPAddresses",
    "SecondaryIPv6Addresses")]
ALSO = {
    "GET /containers/json": ["[].NetworkSettings.Networks.*." + name for name in ENDPOINT],
    "GET /containers/{id}/json": CONFIG + LISTS + BEFORE_1_52 + ["NetworkSettings.Networks.*." + name for name in ENDPOINT],
    "GET /containers/{id}/stats": ["blkio_stats.io_service_bytes_recursive"],
    "GET /exec/{id}/json": ["ExitCode"],
    "GET /images/json": ["[].Labels"],
    "GET /images/{name}/json": CONFIG + ["GraphDriver.Data", "DockerVersion", "Parent"],
    "GET /info": ["CDISpecDirs", "GenericResources", "Plugins.Authorization", "Warnings", "RegistryConfig.AllowNondistributableArtifactsCIDRs",
                  "RegistryConfig.AllowNondistributableArtifactsHostnames"],  # until 1.46
    "GET /networks": ["[].Containers", "[].IPAM.Config", "[].IPAM.Options"],
    "GET /networks/{id}": ["IPAM.Config", "IPAM.Options"],
    "GET /system/df": ["BuilderSize", "BuildCache", "Containers", "Images", "LayersSize", "Volumes", "Images[].Labels", "Volumes[].Options"] +
                      ["Containers[].NetworkSettings.Networks.*." + name for name in ENDPOINT],
    "GET /volumes": ["Volumes[].Options", "Warnings"],
    "GET /volumes/{name}": ["Options"],
    "POST /containers/prune": ["ContainersDeleted"],
    "POST /images/prune": ["ImagesDeleted"],
    "POST /networks/prune": ["NetworksDeleted"],
    "POST /volumes/create": ["Options"],
    "POST /build/prune": ["CachesDeleted"],
}
# Of a version that no file here is of, what neither of both has.
BETWEEN = {
    "GET /networks": ["[].Containers"],
    "GET /images/{name}/json": ["Container"],
}
# GET routes that are not read here: no JSON, or with a registry, in registry.py; of plugins, 501.
UNREAD = {"GET /containers/{id}/logs", "GET /containers/{id}/export", "GET /containers/{id}/attach/ws", "GET /containers/{id}/archive",
          "GET /images/{name}/get", "GET /images/get", "GET /images/{name}/attestations", "GET /_ping", "GET /images/search",
          "GET /distribution/{name}/json", "GET /plugins/privileges"}
# Which versions have a field, as Docker 28 answers: the first and the last; "": ours.
SHAPES = (
    ("/containers/full/json", "NetworkSettings.Networks.net.DNSNames", "1.44", ""),
    ("/containers/full/json", "NetworkSettings.Networks.net.GwPriority", "1.48", ""),
    ("/containers/full/json", "NetworkSettings.IPAddress", "1.24", ""),
    ("/images/busybox/json", "Config.Hostname", "1.24", "1.49"),
    ("/images/busybox/json", "ContainerConfig", "1.24", "1.44"),
    ("/images/busybox/json", "VirtualSize", "1.24", "1.43"),
    ("/images/json", "0.VirtualSize", "1.24", "1.43"),
    ("/info", "BridgeNfIptables", "1.24", "1.49"),
    ("/info", "FirewallBackend", "1.49", ""),
    ("/info", "RegistryConfig.AllowNondistributableArtifactsCIDRs", "1.24", "1.46"),
    ("/networks/net", "EnableIPv4", "1.48", ""),
    ("/system/df", "BuilderSize", "1.24", "1.41"),
    ("/containers/full/stats?stream=0&one-shot=1", "precpu_stats.system_cpu_usage", "1.24", "1.40"),
)
VERSIONS = ("1.24", "1.40", "1.41", "1.44", "1.46", "1.48", "1.51")


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


class Cases:
    def __init__(self, engine):
        self.engine = engine
        self.facts = {version: apifacts.Facts(version) for version in ("1.41", "1.55")}

    def post(self, path, body=None, status=None):
        got, answer = self.engine.api("POST", path, body)
        assert got < 400 and status in (None, got), (path, got, answer)
        return answer

    def set_up(self):
        """One of everything, as full as can be."""
        self.post("/networks/create", {"Name": "net", "Labels": {"a": "b"}, "EnableIPv6": True, "Options": {},
                                       "IPAM": {"Config": [{"Subnet": "10.97.0.0/24", "IPRange": "10.97.0.128/25",
                                                            "Gateway": "10.97.0.1"}, {"Subnet": "fd97::/64"}]}})
        self.post("/volumes/create", {"Name": "vol", "Labels": {"a": "b"}, "DriverOpts": {}})
        host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}, "Binds": ["vol:/vol", "/tmp:/host:ro"],
                "Memory": 64 << 20, "NetworkMode": "net", "Init": True, "CapAdd": ["NET_ADMIN"], "Dns": ["192.0.2.1"],
                "ExtraHosts": ["other:192.0.2.7"], "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
                "Mounts": [{"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 1 << 20}}],
                "Sysctls": {"net.ipv4.ip_forward": "0"}, "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "Tmpfs": {"/t": "size=1m"}, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}}
        self.post("/containers/create?name=full", {
            "Image": "busybox", "Cmd": ["sh", "-c", "echo said; exec httpd -f -p 80 -h /www"], "Env": ["A=b"], "Labels": {"a": "b"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 100000000}, "ExposedPorts": {"80/tcp": {}, "81/udp": {}},
            "Volumes": {"/anonymous": {}}, "StopSignal": "SIGTERM", "StopTimeout": 1, "Hostname": "full", "User": "0",
            "WorkingDir": "/tmp", "HostConfig": host,
            "NetworkingConfig": {"EndpointsConfig": {"net": {"Aliases": ["other"], "IPAMConfig": {"IPv4Address": "10.97.0.9"}}}}})
        self.post("/containers/full/start", status=204)
        self.post("/containers/create?name=plain", {"Image": "busybox", "Cmd": ["true"]})
        self.post("/containers/create?name=over", {"Image": "busybox", "Cmd": ["false"]})
        self.post("/containers/over/start")
        self.post("/containers/over/wait")
        self.exec = self.post("/containers/full/exec", {"Cmd": ["true"], "AttachStdout": True, "User": "1000"})["Id"]
        vessel.wait_until("it is healthy", lambda: self.engine.inspect("full")["State"]["Health"]["Status"] == "healthy")

    def tear_down(self):
        self.engine.docker("rm", "-fv", "full", "plain", "over")
        self.engine.docker("network", "rm", "net")

    def reads(self):
        yield "GET /containers/json", "/containers/json?all=1&size=1"
        for name in ("full", "plain", "over"):
            yield "GET /containers/{id}/json", "/containers/%s/json?size=1" % name
            yield "GET /containers/{id}/changes", "/containers/%s/changes" % name
        yield "GET /containers/{id}/top", "/containers/full/top"
        yield "GET /containers/{id}/top", "/containers/full/top?ps_args=aux"
        for name in ("full", "plain"):
            yield "GET /containers/{id}/stats", "/containers/%s/stats?stream=0&one-shot=1" % name
        yield "GET /exec/{id}/json", "/exec/%s/json" % self.exec
        yield "GET /images/json", "/images/json?all=1&digests=1&shared-size=1"
        yield "GET /images/{name}/json", "/images/busybox/json"
        yield "GET /images/{name}/history", "/images/busybox/history"
        yield "GET /info", "/info"
        yield "GET /version", "/version"
        yield "GET /system/df", "/system/df"
        yield "GET /networks", "/networks"
        for name in ("net", "bridge", "host", "none"):
            yield "GET /networks/{id}", "/networks/" + name
        yield "GET /volumes", "/volumes"
        yield "GET /volumes/{name}", "/volumes/vol"
        yield "GET /plugins", "/plugins"
        yield "GET /swarm", "/swarm"
        yield "GET /nodes", "/nodes"
        yield "GET /services", "/services"
        yield "GET /tasks", "/tasks"
        yield "GET /secrets", "/secrets"
        yield "GET /configs", "/configs"
        yield "GET /containers/{id}/json", "/containers/nothing/json"
        yield "GET /networks/{id}", "/networks/nothing"
        yield "GET /volumes/{name}", "/volumes/nothing"
        yield "GET /images/{name}/json", "/images/nothing/json"
        yield "GET /exec/{id}/json", "/exec/nothing/json"
        for route in self.facts["1.41"].routes:
            if route.startswith("GET ") and route.split("/")[1] in ("swarm", "nodes", "services", "tasks", "secrets", "configs", "plugins") and "{" in route:
                yield route, route.split()[1].replace("{id}", "x").replace("{name}", "x") + "?stdout=1"
        yield "GET /swarm/unlockkey", "/swarm/unlockkey"
        yield "GET /events", "/events?since=x"

    def conforms(self, facts, route, status, answer):
        if route not in facts.routes:
            return []
        answers = facts.routes[route]["answers"]
        if str(status) not in answers:
            return ["%s: status %d is not in the API" % (route, status)]
        schema = answers[str(status)]
        if schema is None:
            return ["%s: a body where there is none" % route] if answer else []
        return ["%s %s" % (route, line) for line in facts.check(answer, schema, also=ALSO.get(route, ()))]

    def read(self, version, prefix):
        problems = []
        for route, path in self.reads():
            status, answer = self.engine.api("GET", prefix + path)
            problems += self.conforms(self.facts[version], route, status, answer)
        assert not problems, "\n".join(sorted(set(problems)))

    def whole(self):
        """No GET route is left out."""
        read = {route for route, _ in self.reads()} | UNREAD | {"GET /events"}
        missing = [route for route in self.facts["1.55"].routes if route.startswith("GET ") and route not in read]
        assert not missing, missing

    def versions(self):
        """Those that no file is of have no field that neither file knows, and those that Docker's engine answers."""
        problems = []
        for version in ("1.24", "1.44", "1.51"):
            for route, path in self.reads():
                status, answer = self.engine.api("GET", "/v" + version + path)
                problem, other = (set(self.conforms(facts, route, status, answer)) for facts in self.facts.values())
                also = {"%s %s: is not in the API" % (route, name) for name in BETWEEN.get(route, ())}
                problems += sorted("%s: %s" % (version, line) for line in (problem & other) - also)
        assert not problems, "\n".join(problems)
        order = [int(version.split(".")[1]) for version in VERSIONS]
        for path, field, first, last in SHAPES:
            for version, number in zip(VERSIONS, order):
                value = self.engine.api("GET", "/v" + version + path)[1]
                for part in field.split("."):
                    value = value[int(part)] if part.isdigit() else value.get(part, KeyError)
                    if value is KeyError:
                        break
                wanted = int(first.split(".")[1]) <= number <= (int(last.split(".")[1]) if last else number)
                if (value is not KeyError) != wanted:
                    problems.append("%s %s: %s in %s" % (path, field, "missing" if wanted else "there", version))
        assert not problems, "\n".join(problems)

    def events(self):
        """Each line of what has happened so far."""
        facts = self.facts["1.55"]
        now = self.engine.api("GET", "/info")[1]["SystemTime"]
        connection = self.engine.connection()
        connection.request("GET", "/events?since=1&until=" + urllib.parse.quote(now))
        lines = connection.getresponse().read().decode().splitlines()
        assert len(lines) > 5, lines
        problems = [line for event in lines for line in facts.check(json.loads(event), "#EventMessage", also=("status", "id", "from"))]
        assert not problems, "\n".join(sorted(set(problems)))

    def newest(self):
        self.read("1.55", "")

    def old(self):
        self.read("1.41", "/v1.41")

    def changes(self):
        """What requests that change something answer."""
        facts, problems = self.facts["1.55"], []

        def ask(method, route, path, body=None):
            status, answer = self.engine.api(method, path, body)
            problems.extend(self.conforms(facts, method + " " + route, status, answer))
            return answer

        ask("POST", "/containers/create", "/containers/create?name=new", {"Image": "busybox", "Cmd": ["sleep", "1000"]})
        ask("POST", "/containers/{id}/start", "/containers/new/start")
        ask("POST", "/containers/{id}/start", "/containers/new/start")
        ask("POST", "/containers/{id}/update", "/containers/new/update", {"Memory": 64 << 20, "MemorySwap": -1})
        ident = ask("POST", "/containers/{id}/exec", "/containers/new/exec", {"Cmd": ["true"]})["Id"]
        ask("POST", "/exec/{id}/start", "/exec/%s/start" % ident, {"Detach": True})
        ask("POST", "/exec/{id}/start", "/exec/nothing/start", {"Detach": True})
        ask("POST", "/exec/{id}/resize", "/exec/nothing/resize?h=1&w=1")
        ask("POST", "/containers/{id}/exec", "/containers/nothing/exec", {"Cmd": ["true"]})
        for name in ("new", "nothing"):
            ask("POST", "/containers/{id}/pause", "/containers/%s/pause" % name)
            ask("POST", "/containers/{id}/unpause", "/containers/%s/unpause" % name)
            ask("POST", "/containers/{id}/rename", "/containers/%s/rename?name=new2" % name)
            ask("POST", "/containers/{id}/rename", "/containers/new2/rename?name=new")
            ask("POST", "/containers/{id}/restart", "/containers/%s/restart?t=0" % name)
            ask("POST", "/containers/{id}/update", "/containers/%s/update" % name, {"Memory": 64 << 20, "MemorySwap": -1})
            ask("POST", "/networks/{id}/connect", "/networks/net/connect", {"Container": name})
            ask("POST", "/networks/{id}/disconnect", "/networks/net/disconnect", {"Container": name})
        ask("POST", "/containers/{id}/rename", "/containers/new/rename?name=full")
        made = ask("POST", "/commit", "/commit?container=new&repo=made")["Id"]
        ask("POST", "/commit", "/commit?container=nothing")
        ask("POST", "/images/{name}/tag", "/images/made/tag?repo=made&tag=two")
        ask("POST", "/images/{name}/tag", "/images/nothing/tag?repo=made")
        ask("DELETE", "/images/{name}", "/images/%s?force=1" % made)
        ask("DELETE", "/images/{name}", "/images/nothing")
        ask("DELETE", "/images/{name}", "/images/busybox")
        ask("POST", "/containers/{id}/kill", "/containers/new/kill")
        ask("POST", "/containers/{id}/wait", "/containers/new/wait")
        ask("POST", "/containers/{id}/kill", "/containers/new/kill")
        ask("DELETE", "/containers/{id}", "/containers/new")
        ask("DELETE", "/containers/{id}", "/containers/new")
        ask("POST", "/containers/create", "/containers/create", {"Image": "nothing"})
        ask("POST", "/networks/create", "/networks/create", {"Name": "other"})
        ask("POST", "/networks/prune", "/networks/prune")
        ask("POST", "/networks/prune", "/networks/prune")
        ask("POST", "/volumes/create", "/volumes/create", {})
        ask("POST", "/volumes/prune", "/volumes/prune")
        ask("POST", "/volumes/prune", "/volumes/prune")
        ask("POST", "/containers/prune", "/containers/prune?filters=" + urllib.parse.quote(json.dumps({"label": ["x"]})))
        ask("POST", "/images/prune", "/images/prune")
        ask("POST", "/build/prune", "/build/prune")
        ask("POST", "/networks/create", "/networks/create", {"Name": "net", "Driver": "nonsense"})
        ask("DELETE", "/networks/{id}", "/networks/bridge")
        ask("DELETE", "/networks/{id}", "/networks/nothing")
        ask("DELETE", "/volumes/{name}", "/volumes/vol")
        ask("DELETE", "/volumes/{name}", "/volumes/nothing")
        ask("DELETE", "/volumes/{name}", "/volumes/nothing?force=1")
        ask("POST", "/containers/{id}/stop", "/containers/plain/stop")
        ask("POST", "/containers/{id}/wait", "/containers/nothing/wait")
        ask("POST", "/containers/{id}/resize", "/containers/nothing/resize?h=1&w=1")
        assert not problems, "\n".join(sorted(set(problems)))


NAMES = ("newest", "old", "whole", "versions", "events", "changes")


def main():
    with vessel.Suite() as suite:
        cases = Cases(suite.engine)
        cases.set_up()
        for name in NAMES:
            suite.case(name, "answers conform to the API: " + name, getattr(cases, name))
        cases.tear_down()
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
