"""What the tests in Python share: a private engine, real clients, raw API calls and the residue audit.

Every test program runs in a network namespace of its own (enter_private_namespace), with data and
exec root in a directory of its own on tmpfs.  Standard library only.
"""

import contextlib
import hashlib
import http.client
import io
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("VESSEL_BIN", os.path.join(TOP, "build", "bin"))
DOCKER = os.environ.get("DOCKER", os.path.join(TOP, "build/peers/docker-28/usr/bin/docker"))
DOCKER_OLD = os.path.join(TOP, "build/peers/docker-20.10/usr/bin/docker")
# A background job of a shell begins with these ignored, and so would everything that we start.
for _signal in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(_signal, signal.SIG_DFL)
# Whose time is over cleans up after itself.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(124))

TIMEOUT_S = float(os.environ.get("VESSEL_TEST_TIMEOUT_S", 120))  # a bound on what must end by itself; nothing is measured by it


def enter_private_namespace():
    """Run this program again inside a network namespace of its own, with loopback up."""
    if os.environ.get("VESSEL_TEST_NETNS") != "1":
        os.environ["VESSEL_TEST_NETNS"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable] + sys.argv)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def wait_until(what, predicate):
    """For what no event tells this program: poll, within a generous bound."""
    deadline, pause_s = time.monotonic() + TIMEOUT_S, 0.005
    while time.monotonic() < deadline:
        result = predicate()
        if result:
            return result
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.1, 0.1)  # who waits for long leaves the processor to what he waits for
    raise AssertionError("never happened in %d s: %s" % (TIMEOUT_S, what))


def remove_cgroup(path):
    """A cgroup and those below it, once the last of their processes has left."""

    def gone():
        for directory, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        return not os.path.isdir(path)
    wait_until("%s can be removed" % path, gone)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def busybox_tar():
    """A root file system of Debian's static busybox, as tar bytes."""
    out = io.BytesIO()
    tar = tarfile.open(fileobj=out, mode="w")

    def directory(name, mode=0o755):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tar.addfile(entry)

    def text(name, content, mode=0o644):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        tar.addfile(entry, io.BytesIO(content.encode()))

    for name in ("bin", "etc", "root", "www", "www/cgi-bin", "home", "home/app", "var"):
        directory(name)
    directory("tmp", 0o1777)
    tar.add("/bin/busybox", "bin/busybox")
    for applet in subprocess.check_output(["/bin/busybox", "--list"], text=True).split():
        if applet != "busybox":
            entry = tarfile.TarInfo("bin/" + applet)
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")
    text("etc/group", "root:x:0:\napp:x:1000:\nextra:x:2000:app\n")
    text("www/index.html", "hello\n")
    text("www/cgi-bin/stop", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nstopping\\n'\n"
         # once the answer is out: the server ends with the container
         "(usleep 50000; : >/tmp/stop) >/dev/null 2>&1 </dev/null &\n", 0o755)
    text("www/cgi-bin/say", "#!/bin/sh\n: >/tmp/say\n"
         "printf 'Content-Type: text/plain\\r\\n\\r\\nsaying\\n'\n", 0o755)
    tar.close()
    return out.getvalue()


def image_archive(layer, name):
    """A `docker save` archive of an image with one layer."""
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": [digest + "/layer.tar"]}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in ((config_name, config), ("manifest.json", manifest), (digest + "/layer.tar", layer)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Audit:
    """What a test that needs root may have left behind on the host and in its network namespace."""

    def __init__(self, engine):
        self.engine = engine
        self.before = self.look()

    def look(self):
        def lines(*command):
            return set(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())

        mounts = set()
        with open("/proc/self/mountinfo") as f:
            for line in f:
                mounts.add(" ".join(line.split()[3:]))
        links = {line.split(":")[1].strip().split("@")[0] for line in lines("ip", "-o", "link")}
        cgroups = set()
        for top in os.listdir("/sys/fs/cgroup"):
            path = "/sys/fs/cgroup/%s%s" % (top, self.engine.cgroup_parent)
            for directory, _, _ in os.walk(path):
                if directory != path:
                    cgroups.add(directory)
        return {
            "mounts": mounts,
            "links": links - {self.engine.bridge},
            "nft elements": {line for line in lines("nft", "list", "ruleset") if "elements" in line},
            "cgroups": cgroups,
            # the holder of layers is the engine's as the daemon is; conformance/layers.py looks for its end
            "processes": {line for line in self.engine.processes() if "vessel-layers" not in line},
            "container directories": self.engine.container_directories(),
        }

    def check(self):
        """Differences as text, [] when all is as it was; processes may be about to end."""

        def differences():
            now = self.look()
            return ["%s: %s" % (kind, ", ".join(sorted(now[kind] - self.before[kind])))
                    for kind in now if now[kind] - self.before[kind]]

        with contextlib.suppress(AssertionError):
            wait_until("all is as it was", lambda: not differences())
        return differences()


class Engine:
    """A vesseld of our own: start, kill -9, start again on the same state."""

    bridge = "vessel0"
    alive = []  # those whose logs a failure shows
    given_ports = set()

    def __init__(self, root=None):
        self.root = root or tempfile.mkdtemp(prefix="vessel-test-", dir=os.environ.get("VESSEL_TEST_DIR", "/dev/shm"))
        self.socket = self.root + "/vessel.sock"
        self.tcp_port = self.free_port()
        # Of one length: it is looked for in /proc, and must not be the beginning of another lane's.
        self.cgroup_parent = "/vessel-test-%07d" % os.getpid()
        self.daemon = None
        self.log = open(self.root + "/vesseld.log", "ab")
        Engine.alive.append(self)

    @staticmethod
    def free_port(host="127.0.0.1"):
        """Below those that the kernel gives to whoever connects or asks for any: it stays free."""
        while True:
            port = random.randrange(20000, 32000)
            if port in Engine.given_ports:
                continue
            Engine.given_ports.add(port)
            with socket.socket() as s, contextlib.suppress(OSError):
                s.bind((host, port))
                return port

    def start(self, crash_at=None, args=()):
        environment = {k: v for k, v in os.environ.items() if k != "VESSEL_CRASH_AT"}
        if crash_at:
            environment["VESSEL_CRASH_AT"] = crash_at
        if "VESSEL_TEST_LAYERS" in os.environ:  # the format of layers, else what the file system can
            args = ("--layer-format", os.environ["VESSEL_TEST_LAYERS"], *args)
        self.daemon = subprocess.Popen(
            [BIN + "/vesseld", "-H", "unix://" + self.socket,
             "-H", "tcp://127.0.0.1:%d" % self.tcp_port, "--data-root", self.root + "/data",
             "--exec-root", self.root + "/run", "--pidfile", self.root + "/vesseld.pid",
             "--cgroup-parent", self.cgroup_parent, "--debug", *args],
            env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

        def answers():
            if self.daemon.poll() is not None:
                raise AssertionError("vesseld ended with %s; its log:\n%s"
                                     % (self.daemon.returncode, self.log_text()[-3000:]))
            try:
                return self.api("GET", "/_ping")[0] == 200
            except OSError:
                return False
        wait_until("vesseld answers", answers)

    def log_text(self):
        with open(self.root + "/vesseld.log", errors="replace") as f:
            return f.read()

    def kill(self):
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()

    def wait_crashed(self):
        """The armed crash point has been met."""
        code = self.daemon.wait(TIMEOUT_S)
        assert code == -signal.SIGKILL, "vesseld ended with %d" % code

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(TIMEOUT_S)

    def destroy(self):
        """End everything that belongs to this engine, whatever state it is in."""
        if self in Engine.alive:
            Engine.alive.remove(self)
        self.stop()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.split()[0]), signal.SIGKILL)
        with contextlib.suppress(AssertionError):  # a cgroup goes when the last of it is gone
            wait_until("all processes end", lambda: not self.processes())
        for top in os.listdir("/sys/fs/cgroup"):
            path = "/sys/fs/cgroup/%s%s" % (top, self.cgroup_parent)
            with contextlib.suppress(AssertionError):
                remove_cgroup(path)
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def processes(self):
        """Shims and daemons of this engine, and what runs in its cgroups, as "PID command"."""
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/cgroup" % pid) as f:
                    ours = self.cgroup_parent in f.read()
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    command = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
                ours = ours or (("vessel-shim" in command or "vessel-layers" in command) and self.root in command)
                if not command and self.is_left_to_init(pid):
                    continue
                if ours and not (self.daemon and int(pid) == self.daemon.pid):
                    found.add("%s %s" % (pid, command[:80]))
        return found

    @staticmethod
    def is_left_to_init(pid):
        """Ended, and not reaped: an init takes its time."""
        with open("/proc/%s/stat" % pid) as f:
            fields = f.read().rpartition(")")[2].split()
        return fields[0] == "Z" and fields[1] == "1"

    def container_directories(self):
        found = set()
        for directory in ("/data/containers", "/run/containers", "/data/tmp", "/data/aside"):
            with contextlib.suppress(OSError):
                found |= {directory + "/" + name for name in os.listdir(self.root + directory)}
        return found

    # Clients -----------------------------------------------------------------------------------

    def host(self, transport="unix"):
        return "unix://" + self.socket if transport == "unix" else \
            "tcp://127.0.0.1:%d" % self.tcp_port

    def environment(self, transport="unix"):
        return dict(os.environ, DOCKER_HOST=self.host(transport), DOCKER_CONFIG=self.root + "/config",
                    DOCKER_CLI_HINTS="false")

    def docker(self, *args, transport="unix", check=True, input=None, client=None):
        """Run the docker client; a CompletedProcess with text output."""
        done = subprocess.run([client or DOCKER, *args], env=self.environment(transport),
                              capture_output=True, timeout=TIMEOUT_S,
                              input=input if input is not None else b"")
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        if check and done.returncode != 0:
            raise AssertionError("docker %s: exit %d: %s" % (" ".join(args), done.returncode,
                                                             done.stderr.strip()))
        return done

    def docker_start(self, *args, transport="unix"):
        """The docker client in the background, output in pipes."""
        return subprocess.Popen([DOCKER, *args], env=self.environment(transport),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, bufsize=0)

    def connection(self, transport="unix"):
        return Unix(self.socket) if transport == "unix" else \
            http.client.HTTPConnection("127.0.0.1", self.tcp_port, timeout=TIMEOUT_S)

    def api(self, method, path, body=None, transport="unix"):
        """One request; (status, decoded JSON or bytes)."""
        connection = self.connection(transport)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            data = response.read()
            if response.headers.get("Content-Type", "").startswith("application/json") and data:
                return response.status, json.loads(data)
            return response.status, data
        finally:
            connection.close()

    def inspect(self, name):
        status, answer = self.api("GET", "/containers/%s/json" % name)
        return answer if status == 200 else None

    def attach(self, path, transport="unix", body=None):
        """POST with an upgrade; the raw socket, behind the head."""
        connection = self.connection(transport)
        connection.connect()
        payload = json.dumps(body).encode() if body is not None else b""
        connection.sock.sendall(
            ("POST %s HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
             "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
             % (path, len(payload))).encode() + payload)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.sock.recv(1)
            assert byte, "connection closed in the head: %r" % head
            head += byte
        assert head.startswith(b"HTTP/1.1 101 "), head
        return connection.sock

    def wait_log(self, name, text=b"ready", times=1):
        """Until a container has said something so often: "ready" is what ours say once they have set their traps."""
        wait_until("%s says %s" % (name, text.decode()), lambda: self.api(
            "GET", "/containers/%s/logs?stdout=1&stderr=1" % name)[1].count(text) >= times)

    def wait_listening(self, name, port=80):
        """Until something in a container listens on a TCP port: its start is no promise of that."""
        pid = self.inspect(name)["State"]["Pid"]

        def listens():
            for table in ("tcp", "tcp6"):
                with open("/proc/%d/net/%s" % (pid, table)) as f:
                    if any(line.split()[1].endswith(":%04X" % port) and line.split()[3] == "0A" for line in f):
                        return True
            return False
        wait_until("%s listens on %d" % (name, port), listens)

    def import_busybox(self, tag="busybox"):
        self.docker("import", "-", tag, input=busybox_tar())


def read_frames(sock):
    """Everything on a multiplexed stream until its end: (stdout, stderr)."""
    out = {1: bytearray(), 2: bytearray()}
    buffer = bytearray()
    while True:
        data = sock.recv(1 << 20)
        if not data:
            break
        buffer += data
        at = 0
        while len(buffer) - at >= 8:
            stream, size = buffer[at], struct.unpack_from(">I", buffer, at + 4)[0]
            if len(buffer) - at < 8 + size:
                break
            out[stream] += buffer[at + 8:at + 8 + size]
            at += 8 + size
        del buffer[:at]
    assert not buffer, "half a frame at the end"
    return bytes(out[1]), bytes(out[2])


def explain(problem):
    """Lines for who reads of a failure somewhere else: what, where in the tests, and what the engine has said last."""
    yield from ("%s: %s" % (type(problem).__name__, problem)).splitlines()
    for frame in traceback.extract_tb(problem.__traceback__)[1:]:
        if frame.filename.startswith(os.path.join(TOP, "tests")):
            yield "  %s:%d, %s: %s" % (os.path.relpath(frame.filename, TOP), frame.lineno, frame.name, frame.line)
    for engine in Engine.alive:
        with contextlib.suppress(OSError):
            yield "  the end of vesseld's log:"
            yield from ("    " + line[:300] for line in engine.log_text().splitlines()[-20:])


class Tap:
    """Test Anything Protocol on standard output."""

    def __init__(self):
        self.count = self.failed = 0

    def case(self, name, function, *args):
        self.count += 1
        try:
            function(*args)
            print("ok %d %s" % (self.count, name), flush=True)
        except Exception as problem:  # noqa: a failed case is reported, the next ones still run
            self.failed += 1
            print("not ok %d %s" % (self.count, name))
            for line in explain(problem):
                print("# " + line[:2000])
            sys.stdout.flush()

    def skip(self, name, feature):
        self.count += 1
        print("ok %d %s # SKIP kernel: %s" % (self.count, name, feature), flush=True)

    def end(self):
        print("1..%d" % self.count, flush=True)
        return 1 if self.failed else 0


class Suite:
    """What a test program does around its cases: an engine with busybox before them, and behind them nothing left.

    with vessel.Suite() as suite:
        suite.case("name", "title", function)
    return suite.status

    A word on the command line chooses cases by their names; --keep-log prints the end of the engine's log.
    """

    def __init__(self):
        enter_private_namespace()
        self.only = next((arg for arg in sys.argv[1:] if not arg.startswith("-")), "")
        self.tap, self.engine, self.status = Tap(), Engine(), 1

    def __enter__(self):
        try:
            self.engine.start()
            self.engine.import_busybox()
            self.audit = Audit(self.engine)
        except BaseException:
            self.engine.destroy()
            raise
        return self

    def case(self, name, title, function, *args):
        if self.only in name:
            self.tap.case(title, function, *args)

    def nothing_left(self):
        left = self.audit.check()
        assert not left, "left behind: " + "; ".join(left)

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.tap.case("nothing is left on the host", self.nothing_left)
            if "--keep-log" in sys.argv:
                print(self.engine.log_text()[-20000:])
        finally:
            self.engine.destroy()
        if kind is None:
            self.status = self.tap.end()


def node_tests(script, environment=None):
    """Run the cases of a JavaScript file beside this program on an engine of their own, and audit what they leave."""
    enter_private_namespace()
    engine = Engine()
    status = 1
    try:
        engine.start()
        engine.import_busybox()
        audit = Audit(engine)
        variables = dict(os.environ, DOCKER_HOST=engine.host(), DOCKER_TCP_PORT=str(engine.tcp_port), HOME=engine.root,
                         NODE_PATH="%s/build/peers/node-clients/node_modules:%s/tests/lib" % (TOP, TOP), **(environment or {}))
        status = subprocess.run(["node", script, *(a for a in sys.argv[1:] if not a.startswith("-"))], env=variables,
                                stdin=subprocess.DEVNULL, timeout=600).returncode
        left = audit.check()
        if left:
            print("# left on the host: " + "; ".join(left))
            status = 1
        if "--keep-log" in sys.argv:
            print(engine.log_text()[-20000:])
    finally:
        engine.destroy()
    return status
