#!/usr/bin/python3
"""vessel-shim driven directly, with this test as its daemon: one container a case, on an overlay of
busybox in a private directory."""

import array
import base64
import contextlib
import io
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

SHIM = os.path.join(vessel.BIN, "vessel-shim")
CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"]
CGROUP = "/vessel-shim-test-%07d" % os.getpid()


def process(*args, tty=False):
    return {"terminal": tty, "user": {"uid": 0, "gid": 0}, "args": list(args), "cwd": "/",
            "env": ["PATH=/bin", "TERM=xterm"],
            "capabilities": {k: CAPS for k in ("bounding", "effective", "permitted")}}


class Daemon:
    """A connection to a shim."""

    def __init__(self, sock):
        self.sock, self.seq, self.events = sock, 0, []
        sock.settimeout(vessel.TIMEOUT_S)

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.sock, 65536, 8)
        return (json.loads(data), fds) if data else (None, fds)

    def send(self, op, fds=(), **members):
        self.seq += 1
        text = json.dumps(dict(members, op=op, seq=self.seq)).encode()
        socket.send_fds(self.sock, [text], list(fds))
        return self.seq

    def call(self, op, fds=(), **members):
        """The reply, errors included; its descriptors in reply["fds"]."""
        seq = self.send(op, fds, **members)
        while True:
            message, got = self.receive()
            assert message, "the shim is gone"
            if message.get("re") == seq:
                message["fds"] = got
                return message
            self.events.append((message, got))

    def ask(self, op, fds=(), **members):
        reply = self.call(op, fds, **members)
        assert "error" not in reply, "%s: %s" % (op, reply)
        return reply

    def event(self, name):
        for i, (message, got) in enumerate(self.events):
            if message["ev"] == name:
                del self.events[i]
                return dict(message, fds=got)
        while True:
            message, got = self.receive()
            assert message, "the shim is gone before event %s; seen: %s" % (name, self.events)
            if message.get("ev") == name:
                return dict(message, fds=got)
            self.events.append((message, got))

    def close(self):
        for _, fds in self.events:
            for fd in fds:
                os.close(fd)
        self.sock.close()


class Shim(Daemon):
    """A shim that this test has spawned: its first connection, and its directories."""

    counter = 0

    def __init__(self, *command, tty=False, stdin=False, stdin_once=True, log="json-file",
                 ports=(), namespaces=("pid", "network", "ipc", "uts", "mount"), standby="", **config):
        Shim.counter += 1
        self.id = "%064x" % (os.getpid() << 16 | Shim.counter)
        self.top = os.path.join(Shim.root, str(Shim.counter))
        for name in ("run", "state", "upper", "work"):
            os.makedirs(os.path.join(self.top, name))
        self.log = os.path.join(self.top, "state", self.id + "-json.log")
        spec = {
            "ociVersion": "1.2.0",
            "process": process(*command, tty=tty),
            "root": {"path": "rootfs"},
            "hostname": "box",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc",
                 "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                 "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            ],
            "linux": {"namespaces": [{"type": n} for n in namespaces],
                      "cgroupsPath": CGROUP + "/" + self.id,
                      "resources": config.pop("resources", {})},
        }
        self.config = dict({
            "Id": self.id, "RuntimeDir": self.top + "/run", "StateDir": self.top + "/state",
            "Spec": spec, "Lower": [Shim.rootfs], "Upper": self.top + "/upper",
            "Work": self.top + "/work", "Tty": tty, "OpenStdin": stdin, "StdinOnce": stdin_once,
            "Rows": 24, "Cols": 80, "Log": {"Type": log, "Path": self.log, "MaxFile": 1},
            "Ports": list(ports), "ShimCgroup": CGROUP}, **config)
        self.spawn(standby)

    def spawn(self, standby):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memfd = os.memfd_create("config")
        os.write(memfd, json.dumps(self.config).encode())
        lock = os.open(self.top + "/run/lock", os.O_CREAT | os.O_RDWR)
        import fcntl
        fcntl.flock(lock, fcntl.LOCK_EX)

        def arrange():
            given = (theirs.fileno(),) if standby else (memfd, theirs.fileno(), lock)
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in given]
            os.closerange(3, 10)
            for fd, number in zip(high, (4,) if standby else (3, 4, 6)):
                os.dup2(fd, number)
            os.closerange(100, 110)

        self.process = subprocess.Popen(
            [SHIM, "-" * 64], preexec_fn=arrange, close_fds=False, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=Shim.errors)
        theirs.close()
        super().__init__(ours)
        if standby:
            self.send("prepare", Network=standby == "network")
        if standby and standby != "alone":
            self.send("launch", [memfd, lock], Id=self.id)
        for fd in (memfd, lock):
            os.close(fd)

    def create(self):
        namespaces = self.event("namespaces")
        for fd in namespaces["fds"]:
            os.close(fd)
        self.pid = self.event("created")["pid"]
        assert namespaces["pid"] == self.pid
        return namespaces

    def start(self):
        self.create()
        return self.ask("start")["started_at"]

    def reconnect(self):
        """A daemon that came later."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        directory = os.open(self.top + "/run", os.O_PATH)
        try:
            sock.connect("/proc/self/fd/%d/shim.sock" % directory)
        finally:
            os.close(directory)
        return Daemon(sock)

    def attach(self, stdin=True, stream=True, logs=False, early=b"", **more):
        client, theirs = socket.socketpair()
        client.settimeout(vessel.TIMEOUT_S)
        self.ask("attach", [theirs.fileno()], stdin=stdin, stdout=True, stderr=True, stream=stream,
                 logs=logs, early=base64.b64encode(early).decode(), **more)
        theirs.close()
        return client

    def exec(self, *command, tty=False, stdin=True, client=True, id="x", early=b"", daemon=None,
             env=None):
        memfd = os.memfd_create("process")
        os.write(memfd, json.dumps(process(*command, tty=tty)).encode())
        fds = [memfd]
        ours = None
        if client:
            ours, theirs = socket.socketpair()
            ours.settimeout(vessel.TIMEOUT_S)
            fds.append(theirs.fileno())
        reply = (daemon or self).call("exec", fds, id=id, tty=tty, stdin=stdin, stdout=True,
                                      stderr=True, client=client, h=40, w=100,
                                      early=base64.b64encode(early).decode())
        os.close(memfd)
        if client:
            theirs.close()
        return reply, ours

    def wait_client(self, condition="not-running", daemon=None):
        client, theirs = socket.socketpair()
        client.settimeout(vessel.TIMEOUT_S)
        (daemon or self).ask("wait", [theirs.fileno()], condition=condition)
        theirs.close()
        return client

    def finish(self, code, daemon=None):
        """The exit, as everybody sees it; then release."""
        daemon = daemon or self
        seen = daemon.event("exit")
        assert seen["code"] == code, seen
        with open(self.top + "/state/exit.json") as f:
            record = json.load(f)
        assert record["ExitCode"] == code and record["FinishedAt"] == seen["finished_at"], record
        assert seen["finished_at"] >= seen["started_at"] > 0
        daemon.ask("release", removed=False)
        self.ended(0)
        return seen

    def ended(self, status):
        got = self.process.wait(vessel.TIMEOUT_S)
        assert got == status, "the shim ended with %d" % got
        self.close()
        assert not os.path.exists(self.top + "/run/shim.sock")
        for top in os.listdir("/sys/fs/cgroup"):
            assert not os.path.exists("/sys/fs/cgroup/%s%s/%s" % (top, CGROUP, self.id)), top
        if getattr(self, "pid", 0):
            assert not os.path.exists("/proc/%d" % self.pid)

    def log_text(self, stream="stdout"):
        with open(self.log) as f:
            return "".join(line["log"] for line in map(json.loads, f) if line["stream"] == stream)


def read_end(client):
    out = b""
    while True:
        data = client.recv(65536)
        if not data:
            client.close()
            return out
        out += data


def frames_end(client):
    out = vessel.read_frames(client)
    client.close()
    return out


def chunk(code):
    body = b'{"StatusCode":%d}\n' % code
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def standing_by():
    for standby, namespaces in (("network", ("pid", "network", "ipc", "uts", "mount")),
                                ("network", ("pid", "ipc", "uts", "mount")),
                                ("nothing", ("pid", "network", "ipc", "uts", "mount"))):
        shim = Shim("sh", "-c", "ip link | grep -c .; exit 3", standby=standby, namespaces=namespaces)
        shim.create()
        with open("/proc/%d/cmdline" % shim.process.pid) as f:
            assert f.read().split("\0")[1] == shim.id, "its arguments do not name the container"
        own = os.readlink("/proc/%d/ns/net" % shim.pid) != os.readlink("/proc/self/ns/net")
        assert own == ("network" in namespaces)
        shim.ask("start")
        shim.finish(3)


def standing_by_in_vain():
    for standby in ("alone", "nothing"):
        shim = Shim("true", standby=standby)
        if standby == "nothing":  # the daemon goes while the container is being made
            shim.event("namespaces")
        shim.sock.shutdown(socket.SHUT_RDWR)
        shim.ended(0 if standby == "alone" else 1)


def output_and_code():
    shim = Shim("sh", "-c", "echo out; echo err >&2; hostname; exit 7")
    shim.create()
    client = shim.attach()
    waiter = shim.wait_client("next-exit")
    assert shim.ask("state")["status"] == "created"
    shim.ask("start")
    assert frames_end(client) == (b"out\nbox\n", b"err\n")
    shim.finish(7)
    assert read_end(waiter) == chunk(7)
    assert shim.log_text() == "out\nbox\n" and shim.log_text("stderr") == "err\n"


def signal_codes():
    shim = Shim("sh", "-c", "kill -9 $$")  # process 1 is immune to its own SIGKILL
    shim.start()
    shim.finish(0)
    shim = Shim("sleep", "1000")
    shim.start()
    assert shim.call("kill", signal=0)["error"]["kind"] == "invalid"
    shim.ask("kill", signal=int(signal.SIGKILL))
    shim.finish(137)
    shim = Shim("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    assert client.recv(100).endswith(b"ready\n")
    client.close()
    shim.ask("kill", signal=int(signal.SIGTERM))
    shim.finish(9)


def stdin_half_close():
    shim = Shim("sh", "-c", "cat; echo done", stdin=True)
    shim.create()
    client = shim.attach(early=b"early,")
    shim.ask("start")
    client.sendall(b"late")
    client.shutdown(socket.SHUT_WR)
    assert frames_end(client) == (b"early,latedone\n", b"")
    shim.finish(0)


def stdin_survives():
    shim = Shim("sh", "-c", "read a; read b; echo $a$b", stdin=True, stdin_once=False)
    shim.start()
    client = shim.attach()
    client.sendall(b"one\n")
    client.close()
    client = shim.attach()
    client.sendall(b"two\n")
    assert frames_end(client) == (b"onetwo\n", b"")
    shim.finish(0)


def terminal():
    shim = Shim("sh", "-c", "stty size; tty; read x; stty size; read y; echo got $y", tty=True,
                stdin=True)
    shim.create()
    client = shim.attach()
    shim.ask("start")
    out = b""
    while b"/dev/" not in out or not out.endswith(b"\n"):
        out += client.recv(1000)
    assert out.startswith(b"24 80\r\n/dev/"), out
    shim.ask("resize", h=50, w=132)
    client.sendall(b"\n")
    out = b""
    while not out.endswith(b"132\r\n"):
        out += client.recv(1000)
    assert b"50 132\r\n" in out
    client.sendall(b"\x10\x11")  # detach
    read_end(client)
    assert shim.ask("state")["status"] == "running"
    client = shim.attach(logs=True)
    client.sendall(b"end\n")
    out = read_end(client)
    assert out.startswith(b"24 80\r\n") and out.endswith(b"got end\r\n"), out
    shim.finish(0)


def start_errors():
    for command, errnum in (("/bin/nonexistent", 2), ("/etc/passwd", 13), ("nonexistent", 2)):
        shim = Shim(command)
        error = shim.event("failed")["error"]
        assert error["errnum"] == errnum and error["kind"] == "invalid", error
        shim.ended(1)
    # Found and executable, but the kernel will not have it: known only after the word to start.
    shim = Shim("/broken")
    shim.create()
    client = shim.attach()
    waiter = shim.wait_client()
    reply = shim.call("start")
    assert reply["error"]["errnum"] == 8, reply
    shim.ended(1)
    assert read_end(client) == b"" and read_end(waiter) == b""


def create_errors():
    shim = Shim("true", Lower=["/nonexistent"])
    error = shim.event("failed")["error"]
    assert error["msg"], error
    shim.ended(1)
    shim = Shim("true", Log={"Type": "json-file", "Path": "/nonexistent/log"})
    assert "/nonexistent/log" in shim.event("failed")["error"]["msg"]
    shim.ended(1)


def execs():
    shim = Shim("sleep", "1000")
    shim.start()
    reply, client = shim.exec("sh", "-c", "echo out; echo err >&2; cat; exit 5", id="one")
    assert reply["pid"] > 0, reply
    client.sendall(b"input")
    client.shutdown(socket.SHUT_WR)
    assert frames_end(client) == (b"out\ninput", b"err\n")
    assert shim.event("exec_exit") == {"ev": "exec_exit", "id": "one", "code": 5, "fds": []}
    known = {e["id"]: e for e in shim.ask("state")["execs"]}
    assert known["one"]["code"] == 5 and not known["one"]["running"]
    assert shim.exec("true", id="one")[0]["error"]["kind"] == "conflict"

    assert shim.exec("/nonexistent", id="two")[0]["error"]["errnum"] == 2
    assert shim.exec("/etc/passwd", id="three")[0]["error"]["errnum"] == 13

    reply, client = shim.exec("sh", "-c", "stty size; read x; stty size; echo $x; exit 3", tty=True,
                              id="tty")
    out = b""
    while not out.endswith(b"\r\n"):
        out += client.recv(100)
    assert out == b"40 100\r\n", out
    shim.ask("exec_resize", id="tty", h=41, w=101)
    client.sendall(b"hi\n")
    assert read_end(client).endswith(b"41 101\r\nhi\r\n")
    assert shim.event("exec_exit")["code"] == 3

    # A client that goes away leaves the process alone; without a client there is no output at all.
    reply, client = shim.exec("sh", "-c", "read x; echo x >/gone; sleep 1000", id="left")
    client.close()
    shim.exec("sh", "-c", "while [ ! -e /gone ]; do usleep 1000; done; echo lost", id="none",
              client=False)
    assert shim.event("exec_exit")["id"] == "none"
    assert any(e["id"] == "left" and e["running"] for e in shim.ask("state")["execs"])
    shim.ask("kill", signal=9)
    assert shim.event("exec_exit")["id"] == "left"
    shim.finish(137)
    assert shim.log_text() == "", "an exec's output is in the log"


def orphan_keeps_pipe():
    """An exec ends when its process does, whoever still holds its output."""
    shim = Shim("sleep", "1000")
    shim.start()
    _, client = shim.exec("sh", "-c", "sleep 1000 & echo told")
    assert frames_end(client) == (b"told\n", b"")
    assert shim.event("exec_exit")["code"] == 0
    shim.ask("kill", signal=9)
    shim.finish(137)


def host_pid_namespace():
    """What the container leaves behind in the host's pid namespace ends with it."""
    shim = Shim("sh", "-c", "sleep 1000 & echo left", namespaces=("network", "mount", "uts", "ipc"))
    shim.create()
    client = shim.attach()
    shim.ask("start")
    assert frames_end(client) == (b"left\n", b"")
    shim.finish(0)


def pausing():
    shim = Shim("sh", "-c", "while :; do echo x; usleep 1000; done")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    assert client.recv(1)
    shim.ask("pause")
    assert shim.ask("state")["status"] == "paused"
    assert shim.call("pause")["error"]["kind"] == "conflict"
    assert shim.exec("true")[0]["error"]["kind"] == "conflict"
    shim.ask("resume")
    assert shim.ask("state")["status"] == "running"
    client.recv(100)
    client.close()
    shim.ask("pause")
    shim.ask("kill", signal=9)
    shim.finish(137)


def daemon_dies_before_start():
    shim = Shim("sleep", "1000")
    shim.create()
    shim.close()
    shim.ended(1)


def daemon_dies_after_start():
    shim = Shim("sh", "-c", "echo one; read x; echo two; exit 4", stdin=True)
    shim.create()
    client = shim.attach()
    waiter = shim.wait_client()
    shim.ask("start")
    shim.close()
    client.sendall(b"\n")
    assert frames_end(client) == (b"one\ntwo\n", b"")
    assert read_end(waiter) == chunk(4)
    later = shim.reconnect()
    state = later.ask("state")
    assert state["status"] == "exited" and state["exit"]["code"] == 4, state
    late = shim.wait_client(daemon=later)
    assert later.call("kill", signal=9)["error"]["kind"] == "conflict"
    removed = shim.wait_client("removed", daemon=later)
    later.ask("release", removed=True)
    assert read_end(removed) == chunk(4) and read_end(late) == chunk(4)
    later.close()
    shim.ended(0)


def waiter_is_handed_back():
    shim = Shim("true")
    shim.create()
    waiter = shim.wait_client("removed")
    shim.ask("start")
    shim.event("exit")
    shim.ask("release", removed=False)
    back = shim.event("waiter")
    assert back["condition"] == "removed" and len(back["fds"]) == 1
    os.write(back["fds"][0], b"mine")
    os.close(back["fds"][0])
    assert read_end(waiter) == b"mine"
    shim.ended(0)


def abort():
    shim = Shim("true")
    shim.create()
    shim.ask("abort")
    shim.ended(1)


def is_gone(pid):
    """Dead, if perhaps not reaped by whoever inherited it."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def killed_shim():
    """A shim that is killed before the start takes process 1 with it."""
    shim = Shim("sleep", "1000")
    shim.create()
    shim.process.kill()
    shim.process.wait()
    vessel.wait_until("process 1 is gone", lambda: is_gone(shim.pid))
    shim.close()
    for top in os.listdir("/sys/fs/cgroup"):
        vessel.remove_cgroup("/sys/fs/cgroup/%s%s/%s" % (top, CGROUP, shim.id))


def much_output():
    size = 20 << 20
    shim = Shim("sh", "-c", "yes 0123456789012345678901234567890123456789012345678901234567890123456"
                " | head -c %d" % size)
    shim.create()
    client = shim.attach()
    shim.ask("start")
    out, err = frames_end(client)
    assert len(out) == size and err == b""
    shim.finish(0)
    assert shim.log_text().encode() == out


def slow_reader_outlives_release():
    """Output that nobody has read yet arrives after the release, with everything else undone."""
    import fcntl
    size = 700000
    shim = Shim("sh", "-c", "yes | head -c %d; echo end >&2" % size)
    shim.create()
    client = shim.attach()
    shim.ask("start")
    shim.event("exit")
    shim.ask("release", removed=False)
    lock = os.open(shim.top + "/run/lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
    assert not os.path.exists(shim.top + "/run/shim.sock")
    assert shim.process.poll() is None, "the shim has left with output to deliver"
    out, err = frames_end(client)
    assert len(out) == size and err == b"end\n"
    shim.ended(0)


def tcp_clients():
    """Clients over TCP: unread input at the end costs no output, and half-closing is no end."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(vessel.TIMEOUT_S)

    def attach(shim):
        client = socket.create_connection(listener.getsockname(), timeout=vessel.TIMEOUT_S)
        theirs, _ = listener.accept()
        shim.ask("attach", [theirs.fileno()], stdin=True, stdout=True, stderr=True, stream=True)
        theirs.close()
        return client

    shim = Shim("sh", "-c", "read x; echo $x; sleep 0.05; echo end", stdin=True)
    shim.create()
    client = attach(shim)
    shim.ask("start")
    client.sendall(b"word\n" + bytes(300000))  # more than the pipe holds, and never read
    assert frames_end(client) == (b"word\nend\n", b"")
    shim.finish(0)

    shim = Shim("sh", "-c", "cat; echo end", stdin=True)
    shim.create()
    client = attach(shim)
    shim.ask("start")
    client.sendall(b"all")
    client.shutdown(socket.SHUT_WR)
    assert frames_end(client) == (b"allend\n", b"")
    shim.finish(0)
    listener.close()


def log_none():
    shim = Shim("echo", "x", log="none")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    assert frames_end(client) == (b"x\n", b"")
    shim.finish(0)
    assert not os.path.exists(shim.log)


def published_ports():
    ports = [{"Proto": "tcp", "HostIp": ip, "HostPort": 0, "ContainerIp": "::1",
              "ContainerPort": 80, "Group": 1} for ip in ("0.0.0.0", "::")]
    shim = Shim("sleep", "1000", ports=ports)
    got = shim.create()["ports"]
    assert [p["HostIp"] for p in got] == ["0.0.0.0", "::"]
    assert got[0]["HostPort"] == got[1]["HostPort"] > 0
    port = got[0]["HostPort"]
    taken = Shim("true", ports=[dict(ports[0], HostPort=port)])
    error = taken.event("failed")["error"]
    assert error["msg"] == "Bind for 0.0.0.0:%d failed: port is already allocated" % port, error
    assert error["kind"] == "internal"
    taken.ended(1)
    shim.ask("start")
    shim.ask("kill", signal=9)
    shim.event("exit")
    with socket.socket() as s:
        try:
            s.bind(("0.0.0.0", port))
            raise AssertionError("the port is free before the release")
        except OSError:
            pass
    shim.ask("release", removed=False)
    shim.ended(0)
    with socket.socket() as s:
        s.bind(("0.0.0.0", port))


def relays():
    """[::1] is served by the shim: TCP with half-close, UDP with answers from the right address."""
    server = socket.create_server(("127.0.0.1", 0))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    for sock in (server, datagrams):
        sock.settimeout(vessel.TIMEOUT_S)
    ports = [{"Proto": proto, "HostIp": "::", "HostPort": 0, "ContainerIp": "127.0.0.1",
              "ContainerPort": s.getsockname()[1], "Group": i}
             for i, (proto, s) in enumerate((("tcp", server), ("udp", datagrams)))]
    shim = Shim("sleep", "1000", ports=ports)
    got = shim.create()["ports"]
    shim.ask("start")
    data = os.urandom(3 << 20)
    client = socket.create_connection(("::1", got[0]["HostPort"]), timeout=vessel.TIMEOUT_S)
    peer, _ = server.accept()
    peer.settimeout(vessel.TIMEOUT_S)
    import threading
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    assert read_exactly(peer, len(data)) == data and peer.recv(1) == b""
    sender.join()
    peer.sendall(b"answer")
    peer.close()
    assert read_end(client) == b"answer"

    for text in (b"one", b"two"):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as c:
            c.settimeout(vessel.TIMEOUT_S)
            c.connect(("::1", got[1]["HostPort"]))
            c.send(text)
            asked, sender_address = datagrams.recvfrom(100)
            assert asked == text
            datagrams.sendto(text.upper(), sender_address)
            assert c.recv(100) == text.upper()
    server.close()
    datagrams.close()
    shim.ask("kill", signal=9)
    shim.finish(137)


def read_exactly(sock, size):
    out = b""
    while len(out) < size:
        data = sock.recv(1 << 20)
        assert data, "end after %d bytes" % len(out)
        out += data
    return out


def rootfs_and_netns():
    shim = Shim("sh", "-c", "echo mine >/file; echo ready; sleep 1000")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    assert client.recv(100).endswith(b"ready\n")
    fd = shim.ask("rootfs")["fds"][0]
    with open(os.open("file", os.O_RDONLY, dir_fd=fd)) as f:
        assert f.read() == "mine\n"
    assert not os.path.exists("/proc/self/fd/%d/proc/self" % fd), "not recursive"
    os.close(fd)
    fd = shim.ask("netns")["fds"][0]
    assert os.fstat(fd).st_ino == os.stat("/proc/%d/ns/net" % shim.pid).st_ino
    os.close(fd)
    assert os.stat("/proc/%d/ns/mnt" % shim.process.pid).st_ino == os.stat("/proc/self/ns/mnt").st_ino
    client.close()
    shim.ask("kill", signal=9)
    shim.finish(137)


def out_of_memory():
    shim = Shim("sh", "-c", "x=x; while :; do x=$x$x; done",
                resources={"memory": {"limit": 16 << 20, "swap": 16 << 20}})
    shim.start()
    shim.event("oom")
    assert shim.event("exit")["oom"]
    shim.ask("release", removed=False)
    shim.ended(0)


def clean_process():
    """Nothing of the shim shows in the container: descriptors, signals, environment."""
    shim = Shim("sh", "-c", "exec ls /proc/1/fd")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    assert frames_end(client)[0].split() == [b"0", b"1", b"2", b"3"]  # 3 is ls's own
    shim.finish(0)
    shim = Shim("grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/1/status")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    masks = dict(line.split(":\t") for line in frames_end(client)[0].decode().splitlines())
    assert all(int(masks[m], 16) == 0 for m in ("SigBlk", "SigIgn", "SigCgt")), masks
    shim.finish(0)
    shim = Shim("env")
    shim.create()
    client = shim.attach()
    shim.ask("start")
    names = {line.split(b"=")[0] for line in frames_end(client)[0].splitlines()}
    assert names <= {b"PATH", b"TERM", b"HOME", b"HOSTNAME"}, names
    shim.finish(0)


CASES = [standing_by, standing_by_in_vain, output_and_code, signal_codes, stdin_half_close, stdin_survives, terminal, start_errors,
         create_errors, execs, orphan_keeps_pipe, host_pid_namespace, pausing,
         daemon_dies_before_start, daemon_dies_after_start, waiter_is_handed_back, abort, killed_shim,
         much_output, slow_reader_outlives_release, tcp_clients, log_none, published_ports, relays, rootfs_and_netns, out_of_memory,
         clean_process]


def residue(before):
    now = set(open("/proc/self/mountinfo").read().splitlines())
    assert now == before, now ^ before
    for top in os.listdir("/sys/fs/cgroup"):
        path = "/sys/fs/cgroup/%s%s" % (top, CGROUP)
        if os.path.isdir(path):
            assert not [d for d in os.listdir(path) if os.path.isdir(path + "/" + d)], path


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    Shim.root = tempfile.mkdtemp(prefix="vessel-shim-", dir="/dev/shm")
    Shim.rootfs = Shim.root + "/rootfs"
    Shim.errors = open(Shim.root + "/errors", "w+")
    with tarfile.open(fileobj=io.BytesIO(vessel.busybox_tar())) as tar:
        tar.extractall(Shim.rootfs)
    os.makedirs(Shim.rootfs + "/proc")
    with open(os.open(Shim.rootfs + "/broken", os.O_CREAT | os.O_WRONLY, 0o755), "w") as f:
        f.write("\x7fELF, but not really")
    os.makedirs(Shim.rootfs + "/dev")
    before = set(open("/proc/self/mountinfo").read().splitlines())
    wanted = sys.argv[1:]
    for case in CASES:
        if not wanted or case.__name__ in wanted:
            tap.case(case.__name__.replace("_", " "), case)
    tap.case("nothing is left behind", residue, before)
    for top in os.listdir("/sys/fs/cgroup"):
        with contextlib.suppress(AssertionError):
            vessel.remove_cgroup("/sys/fs/cgroup/%s%s" % (top, CGROUP))
    if tap.failed:
        Shim.errors.seek(0)
        print("".join("# " + line for line in Shim.errors))
    shutil.rmtree(Shim.root, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
