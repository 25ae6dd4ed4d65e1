#!/usr/bin/python3
"""docker-py drives vesseld: what programs in Python do with containers, images, networks and volumes.

The library is Debian's python3-docker, unpacked with what it imports by tools/peers.

Where it takes a connection over (exec_run, attach_socket) it forgets what it has read together with the answer's head, so
that output of an instant can be lost on the way, of any engine.  Commands whose output is looked at therefore ask through
`late`: they begin when the client has read the head.
"""

import io
import os
import sys
import tarfile
import threading
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

sys.path.insert(0, os.path.join(vessel.TOP, "build/peers/python3-docker/usr/lib/python3/dist-packages"))
import docker  # noqa: E402
import docker.errors  # noqa: E402
import docker.types  # noqa: E402


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def raises(kind, function, *args, **named):
    try:
        function(*args, **named)
    except kind as problem:
        return problem
    raise AssertionError("%s was not raised" % kind.__name__)


class Cases:
    def __init__(self, engine):
        self.engine = engine
        os.environ.update(DOCKER_HOST=engine.host(), DOCKER_CONFIG=engine.root + "/config")
        self.client = docker.from_env(timeout=vessel.TIMEOUT_S)
        self.gates, self.gate = engine.root + "/gates", 0
        os.mkdir(self.gates)
        read = self.client.api._read_from_socket

        def behind_the_head(*args, **named):
            open("%s/%d" % (self.gates, self.gate), "w").close()
            return read(*args, **named)
        self.client.api._read_from_socket = behind_the_head

    def close(self):
        self.client.close()

    def late(self, command):
        """For an exec in a sleeper."""
        self.gate += 1
        return ["sh", "-c", "while [ ! -e /gates/%d ]; do usleep 5000; done; %s" % (self.gate, command)]

    def sleeper(self, **named):
        named.setdefault("command", "sleep 1000")
        named["volumes"] = named.get("volumes", []) + [self.gates + ":/gates:ro"]
        return self.client.containers.run("busybox", detach=True, init=True, **named)

    def run_case(self, name):
        try:
            getattr(self, name)()
        except Exception:
            for c in self.client.containers.list(all=True):  # the next one begins with none
                c.remove(force=True)
            raise

    # Cases: each removes what it makes -----------------------------------------------------------

    def system(self):
        assert self.client.ping()
        check(self.client.version()["ApiVersion"], "1.51", "the API's version")
        info = self.client.info()
        check(info["OSType"], "linux", "info")
        old = docker.APIClient(base_url=self.engine.host(), version="1.24")
        assert old.ping()
        check(type(old.containers(all=True)), list, "containers at 1.24")
        old.close()
        new = docker.APIClient(base_url=self.engine.host("tcp"), version="auto")
        check(new.version()["MinAPIVersion"], "1.24", "over TCP")
        new.close()

    def run(self):
        run = self.client.containers.run
        check(run("busybox", "echo hello", remove=True), b"hello\n", "output")
        check(run("busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, stdout=True, stderr=True,
                  environment={"A": "b"}).count(b"\n"), 2, "both streams")
        check(run("busybox", "env", environment={"A": "b"}, remove=True).count(b"A=b\n"), 1, "the environment")
        problem = raises(docker.errors.ContainerError, run, "busybox", "sh -c 'echo no >&2; exit 3'", remove=True)
        check((problem.exit_status, problem.stderr), (3, b"no\n"), "a command that fails")
        raises(docker.errors.APIError, run, "busybox", "/nothing/here", name="never")
        self.client.containers.get("never").remove()
        check(b"".join(run("busybox", "seq 3", remove=True, stream=True)), b"1\n2\n3\n", "streamed")

    def detached(self):
        c = self.sleeper(name="det", labels={"kind": "test"}, hostname="beacon", mem_limit="64m", nano_cpus=500000000,
                         cap_drop=["ALL"], tmpfs={"/scratch": "size=1m"}, user="1000", working_dir="/tmp",
                         ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
                         restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}, extra_hosts={"other": "192.0.2.7"},
                         log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}))
        check((c.name, c.labels["kind"]), ("det", "test"), "name and label")
        c.reload()
        check(c.status, "running", "status")
        check([x.id for x in self.client.containers.list(filters={"label": "kind=test"})], [c.id], "list by label")
        check(self.client.containers.get("det").id, c.id, "get by name")
        assert any("sleep" in " ".join(p) for p in c.top()["Processes"])
        c.pause()
        c.reload()
        check(c.status, "paused", "paused")
        c.unpause()
        c.rename("det2")
        c.restart(timeout=0)
        c.stop(timeout=0)
        assert c.wait()["StatusCode"] in (137, 143), "the exit code"
        c.start()
        c.kill()
        check(c.wait()["StatusCode"], 137, "the exit code of a signal")
        c.remove()
        raises(docker.errors.NotFound, self.client.containers.get, "det2")

    def logs(self):
        c = self.client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; done; echo e >&2; read x"],
                                       detach=True, stdin_open=True)
        follow = c.logs(stream=True, follow=True)
        vessel.wait_until("all is said", lambda: c.logs().count(b"\n") == 4)
        c.kill()
        check(sorted(b"".join(follow).split()), [b"1", b"2", b"3", b"e"], "followed")
        check(c.logs(stderr=False), b"1\n2\n3\n", "standard output")
        check(c.logs(tail=1).count(b"\n"), 1, "tail")
        check(c.logs(stdout=False), b"e\n", "standard error")
        assert b"T" in c.logs(timestamps=True, tail=1)
        c.remove()

    def attach(self):
        c = self.client.containers.create("busybox", "cat", stdin_open=True, tty=False)
        s = c.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        c.start()
        s._sock.sendall(b"over\n")
        s._sock.shutdown(1)
        check(vessel.read_frames(s._sock)[0], b"over\n", "what cat says")
        s._sock.close()
        s.close()
        check(c.wait()["StatusCode"], 0, "cat's exit code")
        c.remove()

    def exec_run(self):
        c = self.sleeper()
        check(tuple(c.exec_run(self.late("echo hello"))), (0, b"hello\n"), "exec_run")
        code, (out, err) = c.exec_run(self.late("echo out; echo err >&2; exit 4"), demux=True)
        check((code, out, err), (4, b"out\n", b"err\n"), "demultiplexed")
        check(b"".join(c.exec_run(self.late("seq 3"), stream=True).output), b"1\n2\n3\n", "streamed")
        check(tuple(c.exec_run(self.late("echo $A; id -u; pwd"), environment=["A=b"], user="1000", workdir="/tmp")),
              (0, b"b\n1000\n/tmp\n"), "environment, user and directory")
        check(c.exec_run(self.late("tty"), tty=True).output.strip()[:8], b"/dev/pts", "with a terminal")
        check(c.exec_run("sleep 1000", detach=True).exit_code, None, "detached")
        s = c.exec_run("cat", socket=True, stdin=True).output
        s._sock.sendall(b"through\n")
        s._sock.shutdown(1)
        check(vessel.read_frames(s._sock)[0], b"through\n", "over a socket")
        s._sock.close()
        s.close()
        c.remove(force=True)

    def archives(self):
        c = self.sleeper()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = 1 << 20
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
        assert c.put_archive("/tmp", out.getvalue())
        check(c.exec_run(self.late("wc -c /tmp/file")).output.split()[0], b"1048576", "what was put")
        stream, stat = c.get_archive("/www/index.html")
        check((stat["name"], stat["size"]), ("index.html", 6), "the head")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            check(tar.extractfile("index.html").read(), b"hello\n", "what was got")
        raises(docker.errors.NotFound, c.get_archive, "/nothing")
        assert {"Path": "/tmp/file", "Kind": 1} in c.diff(), c.diff()
        with tarfile.open(fileobj=io.BytesIO(b"".join(c.export()))) as tar:
            assert "tmp/file" in tar.getnames()
        c.remove(force=True)

    def ports(self):
        c = self.sleeper(command="httpd -f -p 80 -h /www", ports={"80/tcp": ("127.0.0.1", None), "81/udp": None})
        c.reload()
        port = c.ports["80/tcp"][0]["HostPort"]
        vessel.wait_until("the server listens", lambda: c.exec_run("wget -qO- http://127.0.0.1/").exit_code == 0)
        with urllib.request.urlopen("http://127.0.0.1:%s/" % port, timeout=vessel.TIMEOUT_S) as answer:
            check(answer.read(), b"hello\n", "over the port")
        assert c.ports["81/udp"], c.ports
        c.remove(force=True)

    def networks(self):
        net = self.client.networks.create("pynet", driver="bridge", labels={"kind": "test"}, ipam=docker.types.IPAMConfig(
            pool_configs=[docker.types.IPAMPool(subnet="10.98.7.0/24", gateway="10.98.7.1")]))
        other = self.client.networks.create("pyother", internal=True)
        check([n.name for n in self.client.networks.list(names=["pynet"])], ["pynet"], "list")
        a = self.sleeper(name="neta", network="pynet", command="httpd -f -p 80 -h /www")
        b = self.sleeper(name="netb", network="pyother")
        net.connect(b, aliases=["bee"], ipv4_address="10.98.7.77")
        vessel.wait_until("the server listens", lambda: a.exec_run("wget -qO- http://127.0.0.1/").exit_code == 0)
        check(b.exec_run(self.late("wget -qO- http://neta/")).output, b"hello\n", "by name")
        assert b"10.98.7.77" in a.exec_run(self.late("nslookup bee")).output
        net.reload()
        check(sorted(c.name for c in net.containers), ["neta", "netb"], "its containers")
        problem = raises(docker.errors.APIError, net.remove)
        assert problem.status_code in (403, 409), problem
        net.disconnect(b)
        assert b.exec_run("wget -T 2 -qO- http://neta/").exit_code != 0
        for c in (a, b):
            c.remove(force=True)
        for n in (net, other):
            n.remove()
        raises(docker.errors.NotFound, self.client.networks.get, "pynet")
        self.client.networks.create("pyunused")
        check(self.client.networks.prune()["NetworksDeleted"], ["pyunused"], "prune")

    def volumes(self):
        volume = self.client.volumes.create("pyvol", labels={"kind": "test"})
        check([v.name for v in self.client.volumes.list(filters={"label": "kind=test"})], ["pyvol"], "list")
        run = self.client.containers.run
        run("busybox", "sh -c 'echo kept >/data/f'", remove=True, volumes={"pyvol": {"bind": "/data", "mode": "rw"}})
        check(run("busybox", "cat /data/f", remove=True, volumes=["pyvol:/data:ro"]), b"kept\n", "the volume")
        check(run("busybox", "cat /data/f", remove=True, mounts=[
            docker.types.Mount("/data", "pyvol", read_only=True), docker.types.Mount("/more", None, type="tmpfs")]), b"kept\n",
            "as a mount")
        given = self.engine.root + "/given"
        os.mkdir(given)
        run("busybox", "touch /given/made", remove=True, volumes={given: {"bind": "/given"}})
        check(os.listdir(given), ["made"], "a directory of the host")
        c = self.sleeper(volumes=["pyvol:/data"])
        check(raises(docker.errors.APIError, volume.remove).status_code, 409, "a volume in use")
        c.remove(force=True)
        volume.remove()
        raises(docker.errors.NotFound, self.client.volumes.get, "pyvol")
        self.client.volumes.create("pyunused")
        self.client.volumes.prune(filters={"all": True})
        check(self.client.volumes.list(), [], "after prune")

    def events(self):
        ready, seen = threading.Event(), []

        def watch(stream):
            for event in stream:
                if event["Type"] == "container":
                    seen.append((event["Action"], event["Actor"]["Attributes"].get("name")))
                    if event["Action"] == "destroy":
                        ready.set()
                        return

        stream = self.client.events(decode=True, filters={"type": ["container", "network"]})
        thread = threading.Thread(target=watch, args=(stream,))
        thread.start()
        self.client.containers.run("busybox", "true", name="seen", remove=True)
        assert ready.wait(vessel.TIMEOUT_S), seen
        thread.join()
        stream.close()
        check([a for a, name in seen if name == "seen" and a != "attach"], ["create", "start", "die", "destroy"], "actions")

    def stats(self):
        c = self.sleeper()
        once = c.stats(stream=False)
        assert once["memory_stats"]["usage"] > 0 and once["cpu_stats"]["cpu_usage"]["total_usage"] > 0, once
        stream = c.stats(decode=True, stream=True)
        check(next(stream)["id"], c.id, "streamed")
        stream.close()
        c.remove(force=True)

    def images(self):
        image = self.client.images.get("busybox")
        assert "busybox:latest" in image.tags
        assert image.history()
        assert image.tag("pyimage", "one")
        check(sorted(t for i in self.client.images.list() for t in i.tags if "pyimage" in t), ["pyimage:one"], "list")
        saved = b"".join(self.client.images.get("pyimage:one").save(named="pyimage:one"))
        self.client.images.remove("pyimage:one")
        raises(docker.errors.ImageNotFound, self.client.images.get, "pyimage:one")
        check([t for i in self.client.images.load(saved) for t in i.tags if "pyimage" in t], ["pyimage:one"], "load")
        self.client.images.remove("pyimage:one")
        raises(docker.errors.ImageNotFound, self.client.containers.create, "nothing-of-the-sort", "true")

    def usage(self):
        c = self.client.containers.run("busybox", "true", detach=True)
        c.wait()
        df = self.client.df()
        assert any(x["Id"] == c.id for x in df["Containers"]), df
        assert df["Images"] and "Volumes" in df
        check(self.client.containers.prune()["ContainersDeleted"], [c.id], "prune")
        self.client.images.prune()

    def daemon_killed(self):
        """A waiting client gets its code though the daemon dies; the next request finds everything."""
        c = self.sleeper(command="sh -c 'echo before; while [ ! -e /gates/end ]; do usleep 20000; done; echo after; exit 5'")
        codes = []
        thread = threading.Thread(target=lambda: codes.append(c.wait()["StatusCode"]))
        thread.start()
        vessel.wait_until("before", lambda: c.logs() == b"before\n")
        self.engine.kill()
        self.engine.start()
        check(c.exec_run("true").exit_code, 0, "exec")
        open(self.gates + "/end", "w").close()  # not by an exec, which would be killed with what it ends
        thread.join()
        assert codes in ([5], []), codes
        check(c.wait()["StatusCode"], 5, "the exit code")
        check(c.logs(), b"before\nafter\n", "the log")
        c.remove()


NAMES = ("system", "run", "detached", "logs", "attach", "exec_run", "archives", "ports", "networks", "volumes", "events", "stats",
         "images", "usage", "daemon_killed")


def main():
    with vessel.Suite() as suite:
        cases = Cases(suite.engine)
        for name in NAMES:
            suite.case(name, "docker-py: " + name.replace("_", " "), cases.run_case, name)
        cases.close()
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
