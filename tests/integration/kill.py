#!/usr/bin/python3
"""vesseld killed at every named stage of create, start, exec, exit and remove.

The list of stages is base/crash-points.def.  For each: a networked container with a published port, the
real docker client and raw streams attached over the unix socket and over TCP, writing output ("busy")
or silent ("idle"); vesseld dies exactly there; it is started again; then log bytes, exit code, address,
port and residue must be exactly right.
"""

import contextlib
import http.client
import os
import re
import socket
import sys
import threading
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

BUSY = """
httpd -p 80 -h /www
i=0
while [ ! -e /tmp/stop ]; do echo "line $i"; i=$((i + 1)); usleep 3000; done
echo "end $i"
exit 7
"""
IDLE = """
httpd -p 80 -h /www
i=0
while [ ! -e /tmp/stop ]; do
	if [ -e /tmp/say ]; then rm /tmp/say; echo "line $i"; i=$((i + 1)); fi
	usleep 20000
done
echo "end $i"
exit 7
"""


NET = "a-net"  # before "bridge": who joins it has another gateway

# Whose stages are killed in other tests: kill-images.py, and tests/conformance/registry.py for pull.
ELSEWHERE = ("commit", "load", "image", "rmi", "prune", "pull")


def crash_points():
    with open(os.path.join(vessel.TOP, "src/base/crash-points.def")) as f:
        points = re.findall(r'^CRASH_POINT\(\w+, "([a-z.]+)"\)', f.read(), re.M)
    forgotten = [p for p in points if not hasattr(Scenario, "run_" + p.split(".")[0]) and p.split(".")[0] not in ELSEWHERE]
    assert points and not forgotten, "no scenario kills at " + ", ".join(forgotten)
    return [p for p in points if p.split(".")[0] not in ELSEWHERE]


class Reader(threading.Thread):
    """Collects an attached stream until its end."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.out, self.problem = sock, None, None
        self.start()

    def run(self):
        try:
            self.out = vessel.read_frames(self.sock)[0]
        except Exception as problem:
            self.problem = problem

    def result(self):
        self.join(vessel.TIMEOUT_S)
        assert not self.is_alive(), "attached stream never ended"
        assert self.problem is None, "attached stream: %r" % self.problem
        return self.out.decode()


class Scenario:
    def __init__(self, engine, point, busy, transport):
        self.engine, self.point, self.busy, self.transport = engine, point, busy, transport
        self.port = vessel.Engine.free_port()
        self.readers, self.clients, self.first = [], [], []

    # Steps -------------------------------------------------------------------------------------

    def create_args(self):
        return ["--name", "box", "-p", "127.0.0.1:%d:80" % self.port, "busybox", "sh", "-c",
                BUSY if self.busy else IDLE]

    def create(self, **kwargs):
        return self.engine.docker("create", *self.create_args(), transport=self.transport, **kwargs)

    def attach_stream(self):
        self.readers.append(Reader(self.engine.attach(
            "/v1.44/containers/box/attach?stream=1&stdout=1&stderr=1", self.transport)))

    def attach_clients(self):
        """The real client over both transports; lives as long as the container."""
        for transport in ("unix", "tcp"):
            self.clients.append(self.engine.docker_start("attach", "--sig-proxy=false", "--no-stdin",
                                                         "box", transport=transport))
        self.attach_stream()
        # docker attach looks at the container once more after it is attached: only its output tells
        # that it needs the daemon no more.  An idle container speaks when asked.
        if not self.busy:
            vessel.wait_until("clients attached", lambda: self.engine.log_text().count(
                "attached a client") >= self.attached_before + 3)
            vessel.wait_until("container serves", self.reachable)
            self.page("/cgi-bin/say")
        self.first = [client.stdout.readline() for client in self.clients]

    def begin(self):
        self.attached_before = self.engine.log_text().count("attached a client")
        self.create()
        self.engine.docker("start", "box", transport=self.transport)
        self.attach_clients()

    def page(self, path="/index.html"):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.port, path),
                                    timeout=vessel.TIMEOUT_S) as answer:
            return answer.read().decode()

    def tell_stop(self):
        """The container may end before the page that ended it is out."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.page("/cgi-bin/stop")

    def reachable(self):
        try:
            return self.page() == "hello\n"
        except (OSError, http.client.HTTPException):
            return False

    def crash_and_restart(self, act):
        """Arm the point in a fresh daemon over the running state, act, restart unarmed."""
        self.engine.kill()
        self.engine.start(crash_at=self.point)
        act()
        self.engine.wait_crashed()
        self.engine.start()

    # Checks ------------------------------------------------------------------------------------

    def check_port_free(self):
        """Now or in a moment: the shim that reserves it goes when the exit is on record."""

        def free():
            with socket.socket() as s, contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", self.port))
                return True
            return False
        vessel.wait_until("the port is free", free)

    def check_port_held(self):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", self.port))
            except OSError:
                return
        raise AssertionError("the published port is not reserved")

    def check_log(self):
        """The log has every line once, in order, and the end; and equals what the raw stream saw."""
        log = self.engine.docker("logs", "box").stdout
        lines = log.splitlines()
        assert lines and lines[-1].startswith("end "), "log ends with %r" % lines[-1:]
        count = int(lines[-1].split()[1])
        wanted = ["line %d" % i for i in range(count)] + ["end %d" % count]
        assert lines == wanted, "log: %d lines, wanted %d" % (len(lines), len(wanted))
        return log

    def check_streams(self, log, code=7, complete=False):
        for reader in self.readers:
            out = reader.result()
            assert out and log.endswith(out), "attached stream is no tail of the log: %r" % out[-80:]
            if complete:
                assert out == log, "attached stream begins late: %r" % out[:40]
        for client, first in zip(self.clients, self.first):
            out, errors = client.communicate(timeout=vessel.TIMEOUT_S)
            out = (first + out).decode()
            assert log.endswith(out) and out, "client saw no tail of the log: %r" % out
            assert client.returncode == code, "client exit %d: %s" % (client.returncode, errors)

    def check_running(self, pid=None, address=None):
        state = self.engine.inspect("box")
        assert state["State"]["Status"] == "running", state["State"]
        if pid:
            assert state["State"]["Pid"] == pid, "pid %d, was %d" % (state["State"]["Pid"], pid)
        now = state["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        assert now and (not address or now == address), "address %r, was %r" % (now, address)
        bound = state["NetworkSettings"]["Ports"]["80/tcp"]
        assert bound == [{"HostIp": "127.0.0.1", "HostPort": str(self.port)}], bound
        self.check_port_held()
        vessel.wait_until("page through the published port", self.reachable)

    def check_exited(self, code=7):
        state = self.engine.inspect("box")["State"]
        assert state["Status"] == "exited", state
        assert state["ExitCode"] == code, state
        assert state["Pid"] == 0 and not state["FinishedAt"].startswith("0001"), state
        self.check_port_free()

    def finish(self, complete=False):
        """From running to removed, all exact."""
        self.check_running()
        self.tell_stop()
        assert self.engine.docker("wait", "box").stdout.strip() == "7"
        self.check_exited()
        self.check_streams(self.check_log(), complete=complete)
        self.engine.docker("rm", "box")

    def start_and_finish(self):
        self.readers, self.clients, self.first = [], [], []
        self.attach_stream()
        self.engine.docker("start", "box", transport=self.transport)
        self.finish(complete=True)

    # Operations --------------------------------------------------------------------------------

    def run_create(self):
        self.crash_and_restart(lambda: self.create(check=False))
        there = self.engine.inspect("box")
        if self.point == "create.row":
            assert there and there["State"]["Status"] == "created", there
        else:
            assert there is None, there
            self.create()
        self.start_and_finish()

    def run_start(self):
        self.create()
        self.crash_and_restart(self.start_attached)
        told = self.point in ("start.go", "start.done")
        if told:
            self.finish(complete=True)
            return
        state = self.engine.inspect("box")
        assert state["State"]["Status"] == "created", state["State"]
        assert not state["NetworkSettings"]["Networks"]["bridge"]["IPAddress"], "address kept"
        vessel.wait_until("shim undone", lambda: not self.engine.processes())
        self.check_port_free()
        for reader in self.readers:
            assert reader.result() == ""
        self.start_and_finish()

    def start_attached(self):
        self.attach_stream()
        client = self.engine.docker_start("start", "-a", "box", transport=self.transport)
        client.communicate(timeout=vessel.TIMEOUT_S)
        assert client.returncode != 0, "start answered though the daemon died"

    def run_exec(self):
        self.begin()
        before = self.engine.inspect("box")
        ids = []

        def act():
            status, answer = self.engine.api("POST", "/containers/box/exec", {
                "AttachStdout": True, "Cmd": ["sh", "-c", "echo inside; usleep 100000; exit 3"]})
            if status == 201:
                ids.append(answer["Id"])
                ids.append(Reader(self.engine.attach("/exec/%s/start" % ids[0], self.transport,
                                                     {"Detach": False, "Tty": False})))

        def tolerant():
            try:
                act()
            except (OSError, AssertionError, http.client.HTTPException):  # the answer that the crash cut off
                pass
        self.crash_and_restart(tolerant)
        self.check_running(before["State"]["Pid"],
                           before["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        if self.point != "exec.created":
            assert ids[1].result() == "inside\n", ids[1].out

            def code():
                status, answer = self.engine.api("GET", "/exec/%s/json" % ids[0])
                assert status == 200, answer
                return not answer["Running"] and answer["ExitCode"] == 3
            vessel.wait_until("exec's exit code", code)
        again = self.engine.docker("exec", "box", "sh", "-c", "echo again; exit 4", check=False)
        assert (again.stdout, again.returncode) == ("again\n", 4), again
        self.finish()

    def run_exit(self):
        self.begin()
        self.crash_and_restart(self.tell_stop)
        vessel.wait_until("exit known", lambda: self.engine.inspect("box")["State"]["Status"] == "exited")
        self.check_exited()
        self.check_streams(self.check_log())
        first_end = self.engine.inspect("box")["State"]["FinishedAt"]
        self.engine.kill()
        self.engine.start()
        assert self.engine.inspect("box")["State"]["FinishedAt"] == first_end
        self.engine.docker("rm", "box")

    def run_network(self):
        """After the restart a network is there as a whole; or it is gone, link and all."""
        net = ["network", "create", "--label", "kept=1", "net"]
        if self.point == "network.down":
            self.engine.docker(*net)
            self.crash_and_restart(lambda: self.engine.docker("network", "rm", "net", check=False))
        else:
            self.crash_and_restart(lambda: self.engine.docker(*net, check=False))
        status, found = self.engine.api("GET", "/networks/net")
        assert status == 200 and found["Labels"] == {"kept": "1"}, (status, found)
        link = "br-" + found["Id"][:12]
        links = lambda: [name for _, name in socket.if_nameindex()]  # noqa: E731
        assert link in links(), "no bridge"
        self.engine.docker("run", "-d", "--name", "box", "--network", "net", "busybox", "httpd", "-f", "-h", "/www")
        self.engine.wait_listening("box")
        page = self.engine.docker("run", "--rm", "--network", "net", "busybox", "wget", "-q", "-O", "-", "http://box/")
        assert page.stdout == "hello\n", page
        self.engine.docker("rm", "-f", "box")
        self.engine.docker("network", "rm", "net")
        assert link not in links(), "the bridge stays"

    def run_connect(self):
        """A connect that was not answered is undone, links, addresses, names and files; a disconnect is done."""
        self.engine.docker("network", "create", NET)
        self.engine.docker("run", "-d", *self.create_args())

        def inside():
            """Its links, default route and names."""
            return self.engine.docker("exec", "box", "sh", "-c", "ls /sys/class/net; ip route; cat /etc/hosts "
                                      "/etc/resolv.conf").stdout

        def networks():
            return sorted(self.engine.inspect("box")["NetworkSettings"]["Networks"])
        before = inside()
        if self.point == "connect.unlinked":
            self.engine.docker("network", "connect", NET, "box")
            assert inside() != before and networks() == [NET, "bridge"], networks()
            act = "disconnect"
        else:
            act = "connect"
        self.crash_and_restart(lambda: self.engine.docker("network", act, NET, "box", check=False))
        vessel.wait_until("it has left", lambda: networks() == ["bridge"] and inside() == before)
        self.check_running()
        for act in ("connect", "disconnect"):
            self.engine.docker("network", act, NET, "box")
            assert networks() == [NET, "bridge"][act == "disconnect":], networks()
        assert inside() == before, (inside(), before)
        self.check_running()
        self.engine.docker("rm", "-f", "box")
        self.engine.docker("network", "rm", NET)

    def run_volume(self):
        """What was not answered is there as a whole, labels and content, and can be used and removed."""
        make = ["volume", "create", "--label", "kept=1", "vol"]
        write = ["run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", "cat /v/* 2>/dev/null; echo kept >/v/file"]
        if self.point == "volume.buried":
            self.engine.docker(*make)
            self.engine.docker(*write)
            self.crash_and_restart(lambda: self.engine.docker("volume", "rm", "vol", check=False))
            wanted = "kept\n"
        else:
            self.crash_and_restart(lambda: self.engine.docker(*make, check=False))
            wanted = ""
        status, found = self.engine.api("GET", "/volumes/vol")
        assert status == 200 and found["Labels"] == {"kept": "1"}, (status, found)
        got = self.engine.docker(*write).stdout
        assert got == wanted, (got, wanted)
        self.engine.docker("volume", "rm", "vol")
        volumes = os.path.join(self.engine.root, "data", "volumes")

        def left():
            return [os.path.join(d, n) for d, names, files in os.walk(volumes) for n in names + files if n != ".removed"]
        with contextlib.suppress(AssertionError):
            vessel.wait_until("nothing is left of it", lambda: not left())
        assert not left(), left()

    def run_update(self):
        """The cgroup was ahead of the row: it is put back."""
        def limits():
            config = self.engine.inspect("box")["HostConfig"]
            inside = self.engine.docker("exec", "box", "sh", "-c", "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes "
                                        "pids/pids.max 2>/dev/null || cat memory.max pids.max").stdout.split()
            return config["Memory"], config["PidsLimit"], inside
        self.engine.docker("run", "-d", "--memory", "64m", *self.create_args())
        before = limits()
        assert before == (64 << 20, None, [str(64 << 20), "max"]), before
        change = ("update", "--memory", "32m", "--memory-swap", "64m", "--pids-limit", "50", "box")
        self.crash_and_restart(lambda: self.engine.docker(*change, check=False))
        assert limits() == before, (limits(), before)
        self.engine.docker(*change)
        assert limits() == (32 << 20, 50, [str(32 << 20), "50"]), limits()
        self.engine.docker("rm", "-f", "box")

    def run_remove(self):
        self.begin()
        self.crash_and_restart(lambda: self.engine.docker("rm", "-f", "box", check=False))
        if self.engine.inspect("box"):
            assert self.point == "remove.begin", "still there"
            self.engine.docker("rm", "-f", "box")
        for reader in self.readers:
            reader.result()
        for client in self.clients:
            client.communicate(timeout=vessel.TIMEOUT_S)
            assert client.returncode == 137, "client exit %d" % client.returncode
        self.check_port_free()

    def run_auto_remove(self):
        """`docker run --rm` itself gets its exit code though the daemon dies under it.

        Unless the daemon dies before it has answered the start, which is seen by others sooner: then once more.
        """
        vessel.wait_until("its start is answered", self.auto_removes)

    def auto_removes(self):
        client = self.engine.docker_start("run", "--rm", *self.create_args(), transport=self.transport)
        vessel.wait_until("container serves", self.reachable)
        vessel.wait_until("it runs", lambda: self.engine.inspect("box")["State"]["Running"])
        self.crash_and_restart(self.tell_stop)
        out, errors = client.communicate(timeout=vessel.TIMEOUT_S)
        vessel.wait_until("removed", lambda: self.engine.inspect("box") is None)
        self.check_port_free()
        if client.returncode == 125 and b"/start" in errors:
            return False
        lines = out.decode().splitlines()
        assert lines[-1].startswith("end "), lines[-1:]
        assert client.returncode == 7, "client exit %d: %s" % (client.returncode, errors)
        return True

    def run(self):
        audit = vessel.Audit(self.engine)
        getattr(self, "run_" + self.point.split(".")[0])()
        self.check_residue(audit)
        if self.point.startswith(("exit.", "remove.")):
            self.run_auto_remove()
            self.check_residue(audit)

    def check_residue(self, audit):
        left = audit.check()
        assert not left, "left behind: " + "; ".join(left)


def one(point, busy, transport):
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        try:
            Scenario(engine, point, busy, transport).run()
        except Exception:
            if os.environ.get("VESSEL_TEST_VERBOSE"):
                print("# " + engine.log_text()[-6000:].replace("\n", "\n# "))
            raise
    finally:
        engine.destroy()


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    only = sys.argv[1:] or [""]
    for point in crash_points():
        if not any(word in point for word in only):
            continue
        every = ((True, "unix"), (True, "tcp"), (False, "unix"), (False, "tcp"))
        for busy, transport in every if not point.startswith(("connect.", "volume.")) else every[2:]:
            tap.case("killed at %s, %s container, client over %s"
                     % (point, "busy" if busy else "idle", transport), one, point, busy, transport)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
