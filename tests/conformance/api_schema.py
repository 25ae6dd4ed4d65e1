#!/usr/bin/python3
"""Answers of every kind against the types of Docker's API files, the newest one's and those of 1.41.

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
    "GroupAdd", "Links", "MemorySwappiness", "SecurityOpt", "Ulimits", "VolumesFrom")]
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
                  "RegistryConfig.AllowNondistributableArtifactsHostnames"],  # until 1.48
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
}


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
        yield "GET /system/events", "/events?since=0&until=1"

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
        ask("POST", "/containers/{id}/exec", "/containers/new/exec", {"Cmd": ["true"]})
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
        assert not problems, "\n".join(sorted(set(problems)))


NAMES = ("newest", "old", "changes")


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    only = next((arg for arg in sys.argv[1:] if not arg.startswith("-")), "")
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        cases = Cases(engine)
        cases.set_up()
        for name in NAMES:
            if only in name:
                tap.case("answers conform to the API: " + name, getattr(cases, name))
        if "--keep-log" in sys.argv:
            print(engine.log_text()[-20000:])
    finally:
        engine.docker("rm", "-fv", "full", "plain", "over", check=False)
        engine.destroy()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
