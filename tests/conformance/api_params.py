#!/usr/bin/python3
"""Every route and parameter of Docker's API, and the table of them in docs/api-table.md.

What a case asks for by `ask` is counted as tested by it (those of containers, execs and the system are here, others in
tests/lib/apiobjects.py); the rest must be in REFUSED or QUERIES, with the answer that it gets, in NEWER or in ELSEWHERE.  The table is made of that, and must be the one in docs: tools/api-table writes it.
"""

import base64
import io
import json
import os
import re
import socket
import sys
import tarfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import apifacts  # noqa: E402
import apiobjects  # noqa: E402
import vessel  # noqa: E402
from apiasker import check, kept, leaves  # noqa: E402

TABLE = os.path.join(vessel.TOP, "docs", "api-table.md")
GROUPS = ("containers", "exec", "events", "info", "version", "_ping", "system", "networks", "volumes", "swarm", "nodes",
          "services", "tasks", "secrets", "configs", "plugins", "session", "images", "build", "commit", "distribution", "auth")

# What a refused body needs besides, and the object that it is asked of.
WITH = {"POST /containers/create": {"Image": "busybox", "Cmd": ["true"]}, "POST /networks/create": {"Name": "refused"},
        "POST /networks/{id}/connect": {"Container": "fixed"}, "POST /volumes/create": {"Name": "refused"}}
OF = {"POST /networks/{id}/connect": "refusing"}
# Fields of bodies that are refused, each with the body that is sent and what the answer names.
REFUSED = {
    "POST /containers/create": [
        (501, {"HostConfig": {"CpuCount": 1}}, "CpuCount"),
        (501, {"HostConfig": {"CpuPercent": 1}}, "CpuPercent"),
        (501, {"HostConfig": {"IOMaximumBandwidth": 1}}, "IOMaximumBandwidth"),
        (501, {"HostConfig": {"IOMaximumIOps": 1}}, "IOMaximumIOps"),
        (400, {"HostConfig": {"Isolation": "hyperv"}}, "isolation"),
        (501, {"HostConfig": {"KernelMemory": 4 << 20}}, "KernelMemory"),
        (501, {"HostConfig": {"KernelMemoryTCP": 1}}, "KernelMemoryTCP"),
        (501, {"HostConfig": {"Cgroup": "x"}}, "Cgroup"),
        (400, {"HostConfig": {"StorageOpt": {"size": "1g"}}}, "pquota"),  # in guests it is there: tests/vm/guest.sh
        (501, {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"DriverOpts": {"a": "b"}}}}}, "DriverOpts"),
        (501, {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"IPAMConfig": {"LinkLocalIPs": ["169.254.1.1"]}}}}},
         "LinkLocalIPs"),
    ],
    "POST /containers/{id}/update": [
        (501, {"CpuCount": 1}, "CpuCount"),
        (501, {"CpuPercent": 1}, "CpuPercent"),
        (501, {"IOMaximumBandwidth": 1}, "IOMaximumBandwidth"),
        (501, {"IOMaximumIOps": 1}, "IOMaximumIOps"),
        (501, {"CgroupParent": "/x"}, "CgroupParent"),
        (501, {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]}, "Devices"),
        (501, {"DeviceCgroupRules": ["c 1:3 r"]}, "DeviceCgroupRules"),
        (501, {"DeviceRequests": [{"Driver": "x", "Count": 1, "DeviceIDs": ["0"], "Capabilities": [["gpu"]],
                                   "Options": {"a": "b"}}]}, "DeviceRequests"),
        (501, {"Init": True}, "Init"),
        (501, {"KernelMemory": 4 << 20}, "KernelMemory"),
        (501, {"KernelMemoryTCP": 1}, "KernelMemoryTCP"),
        (501, {"MemorySwappiness": 5}, "MemorySwappiness"),
        (501, {"OomKillDisable": True}, "OomKillDisable"),
        (501, {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]}, "Ulimits"),
        (501, {"BlkioWeightDevice": [{"Path": "/dev/loop0", "Weight": 100}]}, "BlkioWeightDevice"),
        (501, {"BlkioDeviceReadBps": [{"Path": "/dev/loop0", "Rate": 1}]}, "BlkioDeviceReadBps"),
        (501, {"BlkioDeviceWriteBps": [{"Path": "/dev/loop0", "Rate": 1}]}, "BlkioDeviceWriteBps"),
        (501, {"BlkioDeviceReadIOps": [{"Path": "/dev/loop0", "Rate": 1}]}, "BlkioDeviceReadIOps"),
        (501, {"BlkioDeviceWriteIOps": [{"Path": "/dev/loop0", "Rate": 1}]}, "BlkioDeviceWriteIOps"),
    ],
    "POST /networks/create": [
        (403, {"Scope": "swarm"}, "swarm is not active"),
        (403, {"Ingress": True}, "Ingress"),
        (404, {"IPAM": {"Driver": "other"}}, 'plugin "other" not found'),
        (501, {"IPAM": {"Driver": "null"}}, "IPAM.Driver"),
        (501, {"IPAM": {"Options": {"a": "b"}}}, "IPAM.Options"),
        (501, {"Scope": "global"}, "Scope"),
        (501, {"ConfigOnly": True}, "ConfigOnly"),
        (501, {"ConfigFrom": {"Network": "x"}}, "ConfigFrom"),
        (501, {"EnableIPv4": False, "EnableIPv6": True}, "EnableIPv4"),
        (501, {"Driver": "macvlan"}, "macvlan"),
        (501, {"Options": {"com.docker.network.bridge.inhibit_ipv4": "1"}}, "com.docker.network.bridge.inhibit_ipv4"),
    ],
    "POST /networks/{id}/connect": [
        (501, {"EndpointConfig": {"DriverOpts": {"a": "b"}}}, "DriverOpts"),
        (501, {"EndpointConfig": {"IPAMConfig": {"LinkLocalIPs": ["169.254.1.1"]}}}, "LinkLocalIPs"),
    ],
    "POST /volumes/create": [
        (503, {"ClusterVolumeSpec": {"Group": "x", "AccessMode": {
            "Scope": "single", "Sharing": "none", "MountVolume": {"a": "b"}, "Secrets": [{"Key": "a", "Secret": "b"}], "Availability": "active",
            "AccessibilityRequirements": {"Requisite": [{"Segments": {"a": "b"}}], "Preferred": [{"Segments": {"a": "b"}}]},
            "CapacityRange": {"RequiredBytes": 1, "LimitBytes": 2}}}}, "This node is not a swarm manager"),
        (400, {"DriverOpts": {"size": "1g"}}, "pquota"),
    ],
}
# Parameters of queries that are refused: the object, the query, and what the answer names.
QUERIES = {}


# What a container can be told all at once, and inspect shows as it was.
CONFIG = {
    "Hostname": "beacon", "Domainname": "example.org", "User": "1000", "AttachStdin": True, "AttachStdout": True,
    "AttachStderr": True, "ExposedPorts": {"80/tcp": {}}, "Tty": True, "OpenStdin": True, "StdinOnce": True, "Env": ["A=b"],
    "Cmd": ["-c", "sleep 1000"], "Entrypoint": ["/bin/sh"], "Healthcheck": {
        "Test": ["CMD", "true"], "Interval": 10 ** 9, "Timeout": 10 ** 9, "Retries": 2, "StartPeriod": 10 ** 9,
        "StartInterval": 10 ** 9},
    "Image": "busybox", "Volumes": {"/vol": {}}, "WorkingDir": "/tmp", "OnBuild": ["RUN x"], "Labels": {"a": "b"},
    "StopSignal": "SIGUSR1", "StopTimeout": 3, "Shell": ["/bin/sh"], "ArgsEscaped": True,
}
HOST = {
    "CpuShares": 512, "Memory": 64 << 20, "BlkioWeight": 300, "CpuPeriod": 100000, "CpuQuota": 50000,
    "CpuRealtimePeriod": 1000000, "CpuRealtimeRuntime": 900000, "CpusetCpus": "0", "CpusetMems": "0",
    "BlkioWeightDevice": [{"Path": "/dev/loop0", "Weight": 100}], "BlkioDeviceReadBps": [{"Path": "/dev/loop0", "Rate": 1000000}],
    "BlkioDeviceWriteBps": [{"Path": "/dev/loop0", "Rate": 1000000}],
    "BlkioDeviceReadIOps": [{"Path": "/dev/loop0", "Rate": 1000}],
    "BlkioDeviceWriteIOps": [{"Path": "/dev/loop0", "Rate": 1000}],
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
    "DeviceCgroupRules": ["c 1:3 rwm"], "MemoryReservation": 32 << 20, "MemorySwap": 128 << 20, "MemorySwappiness": 10,
    "OomKillDisable": True, "Init": True, "PidsLimit": 100, "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
    "Binds": ["/tmp:/bound:ro"], "ContainerIDFile": "/x", "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    "NetworkMode": "params", "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}, "VolumeDriver": "local",
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}, "ConsoleSize": [10, 20], "Annotations": {"a": "b"},
    "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["CAP_CHOWN"], "CgroupnsMode": "private", "Dns": ["192.0.2.1"],
    "DnsOptions": ["ndots:2"], "DnsSearch": ["example.org"], "ExtraHosts": ["other:192.0.2.7"], "GroupAdd": ["2000"],
    "IpcMode": "private", "Links": ["linked:alias"], "OomScoreAdj": 100, "ReadonlyRootfs": True,
    "PublishAllPorts": True, "SecurityOpt": ["no-new-privileges"], "Tmpfs": {"/scratch": "size=1m"}, "ShmSize": 1 << 20, "Sysctls": {"net.ipv4.ip_forward": "0"}, "Runtime": "runc", "Isolation": "default",
    "VolumesFrom": ["linked"], "MaskedPaths": ["/proc/keys"], "ReadonlyPaths": ["/proc/bus"],
    "Mounts": [
        {"Type": "volume", "Source": "paramvol", "Target": "/m1", "VolumeOptions": {
            "NoCopy": True, "Labels": {"a": "b"}, "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}}}},
        {"Type": "bind", "Source": "/tmp", "Target": "/m2", "Consistency": "default",
         "BindOptions": {"Propagation": "rprivate", "NonRecursive": True, "CreateMountpoint": True}},
        {"Type": "bind", "Source": "/tmp", "Target": "/m3", "ReadOnly": True, "BindOptions": {"ReadOnlyNonRecursive": True}},
        {"Type": "bind", "Source": "/tmp", "Target": "/m4", "ReadOnly": True,
         "BindOptions": {"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}},
        {"Type": "tmpfs", "Target": "/m5", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700, "Options": [["noexec"]]}},
        {"Type": "volume", "Source": "paramvol2", "Target": "/m6", "VolumeOptions": {"Subpath": "part"}}],
}
ENDPOINT = {"IPAMConfig": {"IPv4Address": "10.96.0.9", "IPv6Address": "fd96::9"}, "Links": ["linked:friend"], "Aliases": ["other"],
            "MacAddress": "02:42:00:00:00:09", "GwPriority": 3}
UPDATE = {"CpuShares": 256, "Memory": 32 << 20, "MemorySwap": 64 << 20, "MemoryReservation": 16 << 20, "BlkioWeight": 200,
          "CpuPeriod": 50000, "CpuQuota": 20000, "CpusetCpus": "0", "CpusetMems": "0", "CpuRealtimePeriod": 1000000,
          "CpuRealtimeRuntime": 800000, "PidsLimit": 50, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}}
# Parameters that came with versions after 1.51.
NEWER = {"GET /system/df": ["verbose"], "GET /images/json": ["identity"]}
# What other files test, by route: the case, and the parameters that it is about.
ELSEWHERE = {
    "GET /containers/{id}/attach/ws": {"api_websocket.py": "detachKeys logs stream stdin stdout stderr"},
    "POST /images/create": {"registry.py: platforms": "fromImage tag platform", "registry.py: tokens": "X-Registry-Auth"},
    "POST /images/{name}/push": {"registry.py: push_all": "tag platform", "registry.py: tokens": "X-Registry-Auth"},
    "GET /images/search": {"registry.py: questions": "term limit filters"},
    "POST /auth": {"registry.py: tokens": "username password email serveraddress"},
    "GET /distribution/{name}/json": {"registry.py: questions": ""},
}


class Cases(apiobjects.Objects):
    def names(self, **query):
        return sorted(c["Names"][0][1:] for c in self.ask("GET /containers/json", query=query, status=200))

    # Cases: each removes what it makes -------------------------------------------------------------

    def create_and_update(self):
        self.ask("POST /networks/create", status=201, body={"Name": "params", "EnableIPv6": True, "IPAM": {"Config": [
            {"Subnet": "10.96.0.0/24"}, {"Subnet": "fd96::/64"}]}})
        self.create("linked", host={"NetworkMode": "params"})
        body = dict(CONFIG, HostConfig=HOST, NetworkingConfig={"EndpointsConfig": {"params": dict(ENDPOINT, **apiobjects.ECHOED)}})
        made = self.ask("POST /containers/create", query={"name": "kept", "platform": "linux/amd64"}, body=body, status=201)
        got = self.ask("GET /containers/{id}/json", "kept", {"size": 1}, status=200)
        kept(CONFIG, got["Config"], [])
        kept(dict(HOST, Links=["/linked:/kept/alias"]), got["HostConfig"], made["Warnings"])
        kept(ENDPOINT, got["NetworkSettings"]["Networks"]["params"], [])
        check(type(got["SizeRw"]), int, "SizeRw")
        updated = self.ask("POST /containers/{id}/update", "kept", body=UPDATE, status=200)
        kept(UPDATE, self.engine.inspect("kept")["HostConfig"], updated["Warnings"] + made["Warnings"])
        host = {"NanoCpus": 500000000, "AutoRemove": True, "Privileged": True, "PidMode": "host", "UTSMode": "host", "UsernsMode": "host",
                "CgroupParent": self.engine.cgroup_parent + "/more"}
        self.ask("POST /containers/create", query={"name": "more"}, status=201, body={
            "Image": "busybox", "Cmd": ["true"], "NetworkDisabled": True, "MacAddress": "02:42:00:00:00:07", "HostConfig": host})
        got = self.engine.inspect("more")
        kept(host, got["HostConfig"], [])
        check(got["Config"]["NetworkDisabled"], True, "NetworkDisabled")
        check(got["Config"].get("MacAddress"), "02:42:00:00:00:07", "MacAddress")
        self.ask("POST /containers/{id}/update", "more", body={"NanoCpus": 250000000}, status=200)
        image = {"Type": "image", "Source": "busybox", "Target": "/m", "ImageOptions": {"Subpath": "bin"}}
        self.ask("POST /containers/create", query={"name": "images"}, status=201, body={
            "Image": "busybox", "Cmd": ["true"], "HostConfig": {"Mounts": [image]}})
        kept([image], self.engine.inspect("images")["HostConfig"]["Mounts"], [])
        self.remove("images")
        status, answer = self.ask("POST /containers/create", query={"platform": "linux/mips"}, body={"Image": "busybox"})
        check(status, 404, answer)
        for request in ({"Driver": "cdi", "DeviceIDs": ["vendor.example/thing=one"], "Options": {"a": "b"}},
                        {"Count": -1, "Capabilities": [["gpu"]]}):
            status, answer = self.ask("POST /containers/create", query={"name": "devices"}, body={
                "Image": "busybox", "Cmd": ["true"], "HostConfig": {"DeviceRequests": [request]}})
            assert status == 201 or (status == 400 and "device" in answer["message"]), (status, answer)
            if status == 201:
                kept({"Driver": request.get("Driver", ""), "DeviceIDs": request.get("DeviceIDs")},
                     self.engine.inspect("devices")["HostConfig"]["DeviceRequests"][0], [])
                self.remove("devices")
        self.remove("kept", "more", "linked")
        for name in ("paramvol", "paramvol2"):
            self.engine.api("DELETE", "/volumes/" + name)
        self.ask("DELETE /networks/{id}", "params", status=204)

    def refused(self):
        self.create("fixed", start=False, host={"Init": False})
        self.ask("POST /networks/create", body={"Name": "refusing"}, status=201)
        for route, cases in REFUSED.items():
            for status, body, text in cases:
                got, answer = self.engine.api("POST", route.split()[1].replace("{id}", OF.get(route, "fixed")), dict(WITH.get(route, {}), **body))
                assert got == status and text.lower() in answer["message"].lower(), (route, body, got, answer)
        for route, cases in QUERIES.items():
            for status, name, query, text in cases:
                path = route.split()[1].replace("{name}", name) + self.query_of(query)
                got, answer = self.engine.api(route.split()[0], path)
                assert got == status and text in answer["message"], (path, got, answer)
        self.remove("fixed")
        self.ask("DELETE /networks/{id}", "refusing", status=204)

    def lists(self):
        self.ask("POST /networks/create", body={"Name": "listnet"}, status=201)
        self.create("up", host={"NetworkMode": "listnet", "Binds": ["listvol:/data"],
                                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}},
                    Labels={"kind": "a", "tier": "b"}, ExposedPorts={"81/udp": {}, "80/tcp": {}},
                    Healthcheck={"Test": ["CMD", "true"], "Interval": 50000000})
        self.create("over", "exit 3")
        self.ask("POST /containers/{id}/wait", "over", status=200)
        self.create("made", start=False)
        vessel.wait_until("up is healthy", lambda: self.engine.inspect("up")["State"]["Health"]["Status"] == "healthy")
        check(self.names(), ["up"], "without all")
        check(self.names(all=1), ["made", "over", "up"], "all")
        check(self.names(all="0"), ["up"], "all=0")
        check(self.names(limit=2), ["made", "over"], "limit: the newest, running or not")
        check(self.names(limit=-1), ["up"], "limit=-1")
        sizes = self.ask("GET /containers/json", query={"all": 1, "size": 1}, status=200)
        assert all(c["SizeRootFs"] > 0 for c in sizes), sizes
        up = self.engine.inspect("up")["Id"]
        for key, value, wanted in (
                ("ancestor", "busybox", ["made", "over", "up"]), ("ancestor", "nothing", []),
                ("before", "made", ["over", "up"]), ("since", "over", ["made"]),
                ("exited", "3", ["over"]), ("exited", "4", []), ("expose", "81/udp", ["up"]), ("expose", "79-90/udp", ["up"]),
                ("publish", "80", ["up"]), ("publish", "81/udp", []), ("health", "healthy", ["up"]),
                ("health", "none", ["made", "over"]), ("id", up[:12], ["up"]), ("is-task", "false", ["made", "over", "up"]),
                ("is-task", "true", []), ("isolation", "default", ["made", "over", "up"]), ("label", "kind", ["up"]),
                ("label", "kind=a", ["up"]), ("label", "kind=b", []), ("name", "^/?ma", ["made"]), ("name", "ve", ["over"]),
                ("network", "listnet", ["up"]), ("status", "exited", ["over"]), ("status", "created", ["made"]),
                ("volume", "listvol", ["up"]), ("volume", "/data", ["up"])):
            check(self.names(all=1, filters={key: [value]}), wanted, "filter %s=%s" % (key, value))
            check(self.names(all=1, filters={key: {value: True}}), wanted, "filter %s=%s as a map" % (key, value))
        check(self.names(filters={"status": ["exited"]}), ["over"], "status implies all")
        for bad in ({"nonsense": ["x"]}, {"status": ["nonsense"]}, {"is-task": ["maybe"]}, {"before": ["nothing"]}):
            got = self.ask("GET /containers/json", query={"filters": bad})
            assert got[0] in (400, 404), (bad, got)
        check(self.ask("GET /containers/json", query={"limit": "x"})[0], 400, "limit=x")
        check(self.ask("POST /containers/prune", query={"filters": {"label": ["nobody"]}}, status=200)["ContainersDeleted"], None,
              "pruned")
        check(len(self.ask("POST /containers/prune", query={"filters": {"label!": ["nobody"], "until": ["0s"]}},
                           status=200)["ContainersDeleted"]), 2, "pruned")
        self.remove("up")
        self.engine.api("DELETE", "/volumes/listvol")
        self.ask("DELETE /networks/{id}", "listnet", status=204)

    def life(self):
        self.create("life", "trap 'exit 7' USR1; trap '' HUP; echo ready; while :; do sleep 0.1; done", start=False)
        self.ask("POST /containers/{id}/start", "life", {"detachKeys": "ctrl-x"}, status=204)
        self.ask("POST /containers/{id}/start", "life", status=304)
        top = self.ask("GET /containers/{id}/top", "life", {"ps_args": "-o pid,comm"}, status=200)
        check(top["Titles"], ["PID", "COMMAND"], "titles of top")
        self.ask("POST /containers/{id}/pause", "life", status=204)
        self.ask("POST /containers/{id}/pause", "life", status=409)
        self.ask("POST /containers/{id}/unpause", "life", status=204)
        self.ask("POST /containers/{id}/unpause", "life", status=409)
        self.ask("POST /containers/{id}/rename", "life", {"name": "lived"}, status=204)
        self.ask("POST /containers/{id}/rename", "lived", {"name": "lived"}, status=400)
        self.ask("POST /containers/{id}/rename", "lived", {"name": "!"}, status=400)
        self.ready("lived", 1)
        self.ask("POST /containers/{id}/stop", "lived", {"signal": "USR1", "t": -1}, status=204)
        check(self.engine.inspect("lived")["State"]["ExitCode"], 7, "stopped by the signal given")
        self.ask("POST /containers/{id}/stop", "lived", status=304)
        self.ask("POST /containers/{id}/stop", "lived", {"signal": "NONSENSE"}, status=400)
        self.ask("POST /containers/{id}/stop", "lived", {"t": "x"}, status=400)
        self.ask("POST /containers/{id}/restart", "lived", {"t": 0, "signal": "KILL"}, status=204)
        self.ready("lived", 2)
        before = self.engine.inspect("lived")["State"]["Pid"]
        self.ask("POST /containers/{id}/restart", "lived", {"t": 0, "signal": "KILL"}, status=204)
        assert before != self.engine.inspect("lived")["State"]["Pid"]
        self.ready("lived", 3)
        self.ask("POST /containers/{id}/kill", "lived", {"signal": "SIGHUP"}, status=204)
        self.ask("POST /containers/{id}/kill", "lived", {"signal": "99"}, status=400)
        self.ask("POST /containers/{id}/kill", "lived", {"signal": "9"}, status=204)
        check(self.ask("POST /containers/{id}/wait", "lived", {"condition": "not-running"}, status=200)["StatusCode"], 137, "wait")
        self.ask("POST /containers/{id}/kill", "lived", status=409)
        self.ask("POST /containers/{id}/wait", "lived", {"condition": "nonsense"}, status=400)
        for condition, start in (("next-exit", "exit 4"), ("removed", "exit 5")):
            self.create("waited", start, start=False, host={"AutoRemove": condition == "removed"})
            connection = self.engine.connection()
            connection.request("POST", "/containers/waited/wait?condition=" + condition)
            answer = connection.getresponse()  # its head comes before the start
            self.ask("POST /containers/{id}/start", "waited", status=204)
            check(json.loads(answer.read())["StatusCode"], int(start[-1]), condition)
            self.note("POST /containers/{id}/wait", "condition")
            if condition != "removed":
                self.remove("waited")
        self.ask("DELETE /containers/{id}", "lived", {"link": 1}, status=409)
        self.ask("DELETE /containers/{id}", "nobody", {"link": 1}, status=404)
        self.remove("lived")
        self.ask("DELETE /containers/{id}", "lived", {"force": 1}, status=404)

    def links(self):
        self.create("target")
        self.create("source", host={"Links": ["target:alias"]})
        self.ask("DELETE /containers/{id}", "source/alias", {"link": 1}, status=204)
        check(self.engine.inspect("source")["HostConfig"]["Links"], None, "links")
        self.remove("source", "target")

    def logs(self):
        self.create("said", "for i in 1 2 3; do echo line $i; done; echo bad >&2; read x; echo late", OpenStdin=True, host={
            "LogConfig": {"Type": "json-file", "Config": {"labels": "kind"}}}, Labels={"kind": "test"})

        def log(**query):
            data = self.ask("GET /containers/{id}/logs", "said", query, status=200)
            lines, at = [], 0
            while at < len(data):
                size = int.from_bytes(data[at + 4:at + 8], "big")
                lines.append((data[at], data[at + 8:at + 8 + size].decode()))
                at += 8 + size
            return lines

        vessel.wait_until("all is said", lambda: len(log(stdout=1, stderr=1)) == 4)
        out = [(1, "line %d\n" % i) for i in (1, 2, 3)]
        check(log(stdout=1, stderr=0), out, "stdout")
        check(log(stderr=1), [(2, "bad\n")], "stderr")
        check(log(stdout=1, tail=2) in (out[1:], out[2:]), True, "tail")
        check(log(stdout=1, tail="all"), out, "tail=all")
        check(log(stdout=1, tail=0), [], "tail=0")
        times = [line.split(" ")[0] for _, line in log(stdout=1, timestamps=1)]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", t) for t in times), times
        assert times == sorted(times)
        check(log(stdout=1, details=1)[0], (1, "kind=test line 1\n"), "details")
        started = self.engine.inspect("said")["State"]["StartedAt"]
        check(log(stdout=1, since=started), out, "since a time")
        check(log(stdout=1, until=started), [], "until a time")
        check(log(stdout=1, since="4000000000.5"), [], "since with a fraction")
        check(log(stdout=1, until="4000000000.000000001"), out, "until with a fraction")
        check(log(stdout=1, since="0", until="0"), out, "0 is none")
        self.ask("GET /containers/{id}/logs", "said", {"stdout": 0}, status=400)
        self.ask("GET /containers/{id}/logs", "said", {"stdout": 1, "since": "x"}, status=400)
        connection = self.engine.connection()
        connection.request("GET", "/containers/said/logs?follow=1&stdout=1&tail=0")
        answer = connection.getresponse()
        sock = self.engine.attach("/containers/said/attach?stream=1&stdin=1")
        sock.sendall(b"go\n")
        check(answer.read()[8:], b"late\n", "followed")
        self.note("GET /containers/{id}/logs", "follow")
        sock.close()
        self.remove("said")

    def attach(self):
        self.create("att", "echo first; read a; echo got $a; echo bad >&2; exit 2", OpenStdin=True)
        vessel.wait_until("first", lambda: self.engine.api("GET", "/containers/att/logs?stdout=1")[1])
        sock = self.engine.attach("/containers/att/attach?logs=1&stream=1&stdin=1&stdout=1&stderr=1&detachKeys=ctrl-x")
        only = self.engine.attach("/containers/att/attach?stream=1&stderr=1")
        sock.sendall(b"it\n")
        check(vessel.read_frames(sock), (b"first\ngot it\n", b"bad\n"), "both streams, with what was before")
        check(vessel.read_frames(only), (b"", b"bad\n"), "standard error alone")
        for name in ("id", "logs", "stream", "stdin", "stdout", "stderr", "detachKeys", ""):
            self.note("POST /containers/{id}/attach", name)
        self.ask("POST /containers/{id}/attach", "att", {"detachKeys": "ctrl-,"}, status=400)
        self.ask("POST /containers/{id}/attach", "nothing", status=404)
        self.remove("att")
        self.create("tty", "sleep 1000", Tty=True, OpenStdin=True)
        self.ask("POST /containers/{id}/resize", "tty", {"h": 20, "w": 70}, status=200)
        self.ask("POST /containers/{id}/resize", "tty", {"h": "x", "w": 70}, status=400)
        sock = self.engine.attach("/containers/tty/attach?stream=1&stdin=1&stdout=1&detachKeys=a,b")
        sock.sendall(b"ab")
        while sock.recv(100):
            pass
        check(self.engine.inspect("tty")["State"]["Running"], True, "detached by the keys")
        exec_id = self.ask("POST /containers/{id}/exec", "tty", body={
            "Cmd": ["sh", "-c", "stty size; read a; stty size"], "Tty": True, "AttachStdin": True, "AttachStdout": True,
            "AttachStderr": True, "ConsoleSize": [11, 22], "DetachKeys": "ctrl-y"}, status=201)["Id"]
        sock = self.engine.attach("/exec/%s/start" % exec_id, body={"Tty": True, "Detach": False, "ConsoleSize": [12, 23]})
        said = b""
        while b"12 23" not in said:
            data = sock.recv(1000)
            assert data, said
            said += data
        self.ask("POST /exec/{id}/resize", exec_id, {"h": 44, "w": 55}, status=200)
        sock.sendall(b"\n")
        while b"44 55" not in said:
            data = sock.recv(1000)
            assert data, said
            said += data
        sock.close()
        for leaf in ("id", "Tty", "Detach", "ConsoleSize[]", ""):
            self.note("POST /exec/{id}/start", leaf)
        self.remove("tty")

    def execs(self):
        self.create("ex")
        exec_id = self.ask("POST /containers/{id}/exec", "ex", status=201, body={
            "Cmd": ["sh", "-c", "echo $A; id -u; pwd; grep CapBnd /proc/self/status; exit 3"], "AttachStdout": True, "User": "1000",
            "Env": ["A=b"], "WorkingDir": "/tmp", "Privileged": True})["Id"]
        check(self.ask("GET /exec/{id}/json", exec_id, status=200)["Running"], False, "before it starts")
        sock = self.engine.attach("/exec/%s/start" % exec_id, body={"Detach": False})
        said = vessel.read_frames(sock)[0].split(b"\n")
        check(said[:3], [b"b", b"1000", b"/tmp"], "environment, user and directory")
        assert said[3].split()[1].strip(b"0")[:1] in b"13f", said  # privileged: all capabilities that there are
        got = self.ask("GET /exec/{id}/json", exec_id, status=200)
        check((got["ExitCode"], got["Running"]), (3, False), "at once")
        self.ask("POST /exec/{id}/start", exec_id, body={"Detach": True}, status=409)
        self.ask("POST /exec/{id}/resize", exec_id, {"h": 1, "w": 1}, status=409)
        self.ask("GET /exec/{id}/json", "nothing", status=404)
        self.ask("POST /containers/{id}/exec", "ex", body={"Cmd": []}, status=400)
        detached = self.ask("POST /containers/{id}/exec", "ex", body={"Cmd": ["true"]}, status=201)["Id"]
        self.ask("POST /exec/{id}/start", detached, body={"Detach": True, "Tty": False}, status=200)
        bad = self.ask("POST /containers/{id}/exec", "ex", body={"Cmd": ["true"], "User": "nobody-of-that-name"}, status=201)["Id"]
        self.ask("POST /exec/{id}/start", bad, body={"Detach": True}, status=400)
        self.remove("ex")

    def files(self):
        self.create("files", "echo changed >/etc/new; echo ready; sleep 1000")
        self.ready("files", 1)
        assert {"Path": "/etc/new", "Kind": 1} in self.ask("GET /containers/{id}/changes", "files", status=200)
        with tarfile.open(fileobj=io.BytesIO(self.ask("GET /containers/{id}/export", "files", status=200))) as tar:
            assert "etc/new" in tar.getnames()
        connection = self.engine.connection()
        connection.request("HEAD", "/containers/files/archive?path=/etc/new")
        answer = connection.getresponse()
        stat = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
        check((stat["name"], stat["size"]), ("new", 8), "HEAD")
        for name in ("", "id", "path"):
            self.note("HEAD /containers/{id}/archive", name)
        with tarfile.open(fileobj=io.BytesIO(self.ask("GET /containers/{id}/archive", "files", {"path": "/etc/new"},
                                                      status=200))) as tar:
            check(tar.getnames(), ["new"], "GET")
        self.ask("GET /containers/{id}/archive", "files", {"path": "/nothing"}, status=404)
        self.ask("GET /containers/{id}/archive", "files", status=400)

        def put(name, kind, **query):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                entry = tarfile.TarInfo(name)
                entry.type, entry.uid, entry.gid = kind, 1234, 1234
                tar.addfile(entry)
            for key in ("", "id", *query):
                self.note("PUT /containers/{id}/archive", key)
            connection = self.engine.connection()
            connection.request("PUT", "/containers/files/archive?" + urllib.parse.urlencode(query), out.getvalue(),
                               {"Content-Type": "application/x-tar"})
            return connection.getresponse().status

        check(put("www", tarfile.REGTYPE, path="/", noOverwriteDirNonDir=1), 400, "a file over a directory")
        check(put("f", tarfile.REGTYPE, path="/etc/passwd"), 400, "into what is no directory")
        check(put("f", tarfile.REGTYPE, path="/nothing"), 404, "into nothing")
        check(put("f", tarfile.REGTYPE, path="/tmp", copyUIDGID=1), 200, "with owners")
        with tarfile.open(fileobj=io.BytesIO(self.ask("GET /containers/{id}/archive", "files", {"path": "/tmp/f"},
                                                      status=200))) as tar:
            check(tar.next().uid, 1234, "the owner")
        self.remove("files")

    def stats(self):
        self.create("busy", "while :; do :; done")
        once = self.ask("GET /containers/{id}/stats", "busy", {"stream": 0, "one-shot": 1}, status=200)
        assert once["cpu_stats"]["system_cpu_usage"] and not once["precpu_stats"].get("system_cpu_usage"), once
        two = self.ask("GET /containers/{id}/stats", "busy", {"stream": 0}, status=200)
        assert two["cpu_stats"]["cpu_usage"]["total_usage"] > two["precpu_stats"]["cpu_usage"]["total_usage"] > 0
        check(sorted(two["networks"]), ["eth0"], "networks")
        assert two["memory_stats"]["limit"] and two["pids_stats"]["current"] and two["name"] == "/busy"
        self.ask("GET /containers/{id}/stats", "busy", {"stream": 1, "one-shot": 1}, status=400)
        self.ask("POST /containers/{id}/kill", "busy", status=204)
        self.ask("POST /containers/{id}/wait", "busy", status=200)
        check(self.ask("GET /containers/{id}/stats", "busy", {"stream": 0}, status=200)["cpu_stats"]["cpu_usage"]["total_usage"], 0,
              "stopped")
        self.remove("busy")

    def system(self):
        check(self.ask("GET /_ping", status=200), b"OK", "ping")
        self.ask("HEAD /_ping", status=200)
        check(self.ask("GET /version", status=200)["ApiVersion"], "1.51", "version")
        info = self.ask("GET /info", status=200)
        check((info["OSType"], info["Swarm"]["LocalNodeState"]), ("linux", "inactive"), "info")
        df = self.ask("GET /system/df", query={"type": ["container", "volume"]}, status=200)
        assert "Containers" in df and "Volumes" in df and not df.get("Images"), df
        self.ask("GET /system/df", query={"type": "nonsense"}, status=400)

    def events(self):
        since = self.engine.api("GET", "/info")[1]["SystemTime"]
        self.create("seen", "exit 0", Labels={"kind": "seen"})
        self.ask("POST /containers/{id}/wait", "seen", status=200)
        seen = self.engine.inspect("seen")["Id"]
        self.remove("seen")
        until = self.engine.api("GET", "/info")[1]["SystemTime"]

        def events(**filters):
            data = self.ask("GET /events", query={"since": since, "until": until, "filters": filters}, status=200)
            if isinstance(data, dict):
                data = json.dumps(data).encode()
            return [json.loads(line)["Action"] for line in data.decode().splitlines()]

        self.engine.api = self.lines(self.engine.api)
        try:
            whole = ["create", "connect", "start", "die", "disconnect", "destroy"]
            check([a for a in events() if a in whole], whole, "in order")
            mine = ["create", "start", "die", "destroy"]
            for filters in ({"container": ["seen"]}, {"container": [seen[:12]]}, {"label": ["kind=seen"]}, {"label": ["kind"]},
                            {"image": ["busybox"]}, {"type": ["container"]}, {"scope": ["local"], "type": ["container"]}):
                check(events(**filters), mine, filters)
            check(events(event=["die"], type=["container"]), ["die"], "event")
            check(events(network=["bridge"]), ["connect", "disconnect"], "network")
            for filters in ({"volume": ["x"]}, {"daemon": ["x"]}, {"node": ["x"]}, {"service": ["x"]}, {"secret": ["x"]},
                            {"config": ["x"]}, {"plugin": ["x"]}, {"scope": ["swarm"]}, {"label": ["kind=other"]}):
                check(events(**filters), [], filters)
        finally:
            self.engine.api = type(self.engine).api.__get__(self.engine)
        self.ask("GET /events", query={"filters": {"nonsense": ["x"]}}, status=400)
        self.ask("GET /events", query={"since": "x"}, status=400)
        self.ask("GET /events", query={"since": "2", "until": "1"}, status=400)

    @staticmethod
    def lines(api):
        """Events are objects without commas: no JSON text as a whole."""
        def ask(method, path, body=None):
            try:
                return api(method, path, body)
            except json.JSONDecodeError as problem:
                return 200, problem.doc.encode()
        return ask

    # The table ---------------------------------------------------------------------------------------

    def where(self, route, name):
        """Who tests a parameter, or None."""
        places = self.tested.get((route, name), []) + [
            place for place, names in ELSEWHERE.get(route, {}).items() if name in names.split() or name in ("", "id", "name")]
        return ("most cases" if len(places) > 3 else ", ".join(places)) or None

    def rows(self):
        new, old = apifacts.Facts("1.55"), apifacts.Facts("1.41")
        for route, facts in new.routes.items():
            group = route.split()[1].split("/")[1]
            if group not in GROUPS:
                continue
            names = dict(facts["parameters"])
            if group not in apiobjects.SWARM + ("plugins",) and not route.startswith("PUT /volumes"):
                for source in (old.routes.get(route, {}), facts):
                    for leaf in (new if source is facts else old).leaves(source["body"]) if "body" in source else ():
                        if leaf:
                            names[leaf] = "body"
            yield route, names

    def refusal(self, route, name):
        refused = [(status, leaves(body)) for status, body, _ in REFUSED.get(route, ())]
        refused += [(status, query) for status, _, query, _ in QUERIES.get(route, ())]
        return next((status for status, names in refused if any(apifacts.same_leaf(leaf, name) for leaf in names)), None)

    def table(self):
        """The text, and what is neither tested nor accounted for."""
        lines, missing = [HEAD], []
        for route, names in self.rows():
            answer = self.answer_of(route)
            tested, refused = {}, []
            for name, kind in names.items():
                key = next((k for r, k in self.tested if r == route and apifacts.same_leaf(k, name)), name)
                status, place = self.refusal(route, name), self.where(route, key)
                if name in NEWER.get(route, ()):
                    refused.append("`%s` (newer)" % name)
                elif status and (route, key) not in self.tested:
                    refused.append("`%s` %d" % (name, status))
                elif place or answer:
                    if kind != "path string" and not answer:
                        tested.setdefault(place, []).append("`%s`" % name)
                else:
                    missing.append("%s %s" % (route, name))
            if not answer and not self.where(route, ""):
                missing.append(route)
            text = "; ".join("%s: %s" % (place, " ".join(got)) for place, got in tested.items())
            lines.append("| %s | %s | %s |" % ("`%s`" % route, answer or text or self.where(route, ""), " ".join(refused)))
        return "\n".join(lines) + "\n", missing

    def answer_of(self, route):
        """What a route answers that is not there."""
        status = apiobjects.ABSENT.get(route, (0,))[0]
        if not status and route.split()[1].split("/")[1] in apiobjects.SWARM:
            status = 503
        if not status and "/plugins/{name}" in route:
            status = 404
        return status and "%s%d, tested by no swarm" % ("newer; " if "attestations" in route else "", status)


HEAD = """# Routes and parameters, and who tests them

Made by `tools/api-table` and compared with the API's file and the engine by `tests/conformance/api_params.py`, whose cases are the
names below; else a file is named, with its case.

| route | tested by: parameters | not there: the answer |
|---|---|---|"""

NAMES = ("create_and_update", "refused", "lists", "life", "networks", "volumes", "images", "links", "logs", "attach", "execs", "files", "stats", "system", "events",
         "no_swarm")


def check_elsewhere():
    """The cases are there, and speak of the parameters."""
    for places in ELSEWHERE.values():
        for place, names in places.items():
            file, _, case = place.partition(": ")
            with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), file)) as f:
                text = f.read()
            assert not case or "\ndef %s(" % case in text, place
            check([name for name in names.split() if name not in text], [], "what %s does not ask for" % place)


def is_current(cases, write):
    check_elsewhere()
    text, missing = cases.table()
    assert not missing, "neither tested nor accounted for:\n" + "\n".join(missing)
    if write:
        with open(TABLE, "w") as f:
            f.write(text)
    with open(TABLE) as f:
        assert f.read() == text, "docs/api-table.md is not what tools/api-table makes"


def main():
    with vessel.Suite() as suite:
        cases = Cases(suite.engine)
        for name in NAMES:
            cases.case = name.replace("_", " ")
            suite.case(name, "parameters: " + cases.case, getattr(cases, name))
        if not suite.only:
            suite.case("", "the table of routes and parameters is whole and current", is_current, cases, "--write" in sys.argv)
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
