#!/usr/bin/python3
"""Log drivers that speak to somebody else: receivers of every kind, with the docker client."""

import contextlib
import ctypes
import gzip
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
MS_REC, MS_PRIVATE, CLONE_NEWNS = 16384, 1 << 18, 0x20000
JOURNAL = "/run/systemd/journal/socket"


def private_run():
    """Another /run, for this program and what it starts, with a journal of ours."""
    for r in (LIBC.unshare(CLONE_NEWNS), LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None),
              LIBC.mount(b"tmpfs", b"/run", b"tmpfs", 0, None)):
        if r:
            raise OSError(ctypes.get_errno(), "a private /run")


class Datagrams:
    """What arrives at a datagram socket, with descriptors resolved."""

    def __init__(self, family, address):
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind(address)
        self.sock.settimeout(vessel.TIMEOUT_S)
        self.address = self.sock.getsockname()

    def take(self):
        data, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 1)
        for fd in fds:
            with open(fd, "rb") as f:
                f.seek(0)
                data += f.read()
        return data


class Stream:
    """What arrives at a stream socket, over all connections; `answer(data)` may reply."""

    def __init__(self, family, address, context=None, answer=None):
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen()
        self.address = self.listener.getsockname()
        self.data, self.changed = b"", threading.Condition()
        self.context, self.answer, self.connections = context, answer, []
        self.reading = threading.Event()
        self.reading.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed
            if self.context:
                try:
                    connection = self.context.wrap_socket(connection, server_side=True)
                except OSError:
                    continue  # the other side wants no more of it
            self.connections.append(connection)
            threading.Thread(target=self.read, args=(connection,), daemon=True).start()

    def read(self, connection):
        while True:
            self.reading.wait()
            try:
                data = connection.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                return
            with self.changed:
                self.data += data
                self.changed.notify_all()
            if self.answer:
                connection.sendall(self.answer(data))

    def close(self):
        """Whoever connects from now on is refused; those who have are told."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait(self, what):
        """Until what(data) is true; that."""
        deadline = time.monotonic() + vessel.TIMEOUT_S
        with self.changed:
            while True:
                result = what(self.data)
                if result:
                    return result
                assert self.changed.wait(deadline - time.monotonic()), self.data[-2000:]


def unpack(data, at=0):
    """One MessagePack value: (value, what follows); IndexError if it is not whole."""
    t = data[at]

    def number(n, signed=False):
        if len(data) < at + 1 + n:
            raise IndexError
        return int.from_bytes(data[at + 1:at + 1 + n], "big", signed=signed)

    def raw(head, n):
        if len(data) < at + head + n:
            raise IndexError
        return data[at + head:at + head + n].decode(), at + head + n

    def items(head, n):
        out, pos = [], at + head
        for _ in range(n):
            value, pos = unpack(data, pos)
            out.append(value)
        return out, pos

    if t < 0x80:
        return t, at + 1
    if 0xa0 <= t < 0xc0:
        return raw(1, t & 31)
    if t in (0xd9, 0xda, 0xdb):
        n = 1 << (t - 0xd9)
        return raw(1 + n, number(n))
    if t in (0xcc, 0xcd, 0xce, 0xcf):
        n = 1 << (t - 0xcc)
        return number(n), at + 1 + n
    if 0x90 <= t < 0xa0 or t in (0xdc, 0xdd):
        head, n = (1, t & 15) if t < 0xa0 else (3, number(2)) if t == 0xdc else (5, number(4))
        return items(head, n)
    if 0x80 <= t < 0x90 or t in (0xde, 0xdf):
        head, n = (1, t & 15) if t < 0x90 else (3, number(2)) if t == 0xde else (5, number(4))
        flat, pos = items(head, 2 * n)
        return dict(zip(flat[::2], flat[1::2])), pos
    if t == 0xd7:
        if len(data) < at + 10:
            raise IndexError
        kind, seconds, ns = struct.unpack(">bII", data[at + 1:at + 10])
        assert kind == 0
        return seconds + ns / 1e9, at + 10
    raise ValueError("type %#x" % t)


def messages(data):
    out, at = [], 0
    while at < len(data):
        try:
            value, at = unpack(data, at)
        except IndexError:
            break
        out.append(value)
    return out


def journal_fields(data):
    out, at = {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        name, equals, value = data[at:end].partition(b"=")
        at = end + 1
        if not equals:
            size = struct.unpack("<Q", data[at:at + 8])[0]
            value = data[at + 8:at + 8 + size]
            at += 8 + size + 1
        out[name.decode()] = value.decode()
    return out


def refused():
    """Connections that were refused, in this network namespace."""
    with open("/proc/net/snmp") as f:
        names, values = [line.split() for line in f if line.startswith("Tcp:")]
    return int(values[names.index("AttemptFails")])


def helpers(engine):
    """Processes vessel-log below this engine's shims."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                command = f.read()
            with open("/proc/%s/exe" % pid, "rb"):
                exe = os.readlink("/proc/%s/exe" % pid)
            network = os.readlink("/proc/%s/ns/net" % pid)
        except OSError:
            continue
        if command.startswith(b"vessel-log\0run") and exe.startswith(os.path.realpath(vessel.BIN)) and \
                network == os.readlink("/proc/self/ns/net"):  # none of another test's engine
            found.append(int(pid))
    return found


class Cases:
    def __init__(self, engine):
        self.engine = engine

    def docker(self, *args, **rest):
        return self.engine.docker(*args, **rest).stdout

    def run(self, driver, options, *command, name="cc", extra=()):
        opts = [x for option in options for x in ("--log-opt", option)]
        self.docker("run", "--name", name, "--log-driver", driver, *opts, *extra, "busybox", *command)
        return self.engine.inspect(name)["Id"]

    def done(self, name="cc"):
        self.docker("rm", "-f", name)

    # syslog

    def syslog_forms(self):
        udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
        address = "syslog-address=udp://127.0.0.1:%d" % udp.address[1]
        cid = self.run("syslog", [address], "echo", "hello")
        assert re.fullmatch(rb"<30>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d %s\[\d+\]: hello\n"
                            % cid[:12].encode(), udp.take())
        assert self.docker("logs", "cc") == "hello\n"
        self.done()
        host = socket.gethostname().encode()
        self.run("syslog", [address, "syslog-format=rfc3164", "syslog-facility=local3", "tag={{.Name}}"],
                 "sh", "-c", "echo bad >&2")
        line = udp.take()
        assert re.fullmatch(rb"<155>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d %s cc\[\d+\]: bad\n" % host, line), line
        self.done()
        self.run("syslog", [address, "syslog-format=rfc5424micro"], "echo", "x")
        line = udp.take()
        assert re.fullmatch(rb"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d) %s "
                            rb"(\w{12}) \d+ (\w{12}) - x\n" % host, line), line
        self.done()

    def syslog_sockets(self):
        path = self.engine.root + "/syslog.sock"
        gram = Datagrams(socket.AF_UNIX, path)
        self.run("syslog", ["syslog-address=unixgram://" + path], "seq", "3")
        assert [gram.take()[-2:-1] for _ in range(3)] == [b"1", b"2", b"3"]
        self.done()
        stream = Stream(socket.AF_UNIX, path + "2")
        self.run("syslog", ["syslog-address=unix://" + path + "2"], "seq", "3000")
        stream.wait(lambda data: data.count(b"\n") == 3000)
        self.done()
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        self.run("syslog", ["syslog-address=tcp://127.0.0.1:%d" % tcp.address[1],
                            "syslog-format=rfc5424"], "seq", "2")
        data = tcp.wait(lambda data: data.count(b"\n") == 2 and data)
        assert data.startswith(b"<30>1 ") and data.endswith(b" - 2\n"), data
        self.done()

    def syslog_tls(self):
        base = self.engine.root + "/tls-"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", base + "key", "-out", base + "cert"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(base + "cert", base + "key")
        server = Stream(socket.AF_INET, ("127.0.0.1", 0), context)
        address = "syslog-address=tcp+tls://127.0.0.1:%d" % server.address[1]
        self.run("syslog", [address, "syslog-tls-ca-cert=" + base + "cert", "syslog-format=rfc5424"],
                 "seq", "2")
        data = server.wait(lambda data: data.count(b"\n") == 2 and data)
        size, _, rest = data.partition(b" ")
        assert rest[:int(size)].endswith(b" - 1\n") and re.match(rb"\d+ <30>1 ", rest[int(size):]), data
        self.done()
        unknown = self.engine.docker("run", "--name", "cc", "--log-driver", "syslog", "--log-opt", address, "busybox", "true", check=False)
        assert unknown.returncode != 0 and "failed to initialize logging driver" in unknown.stderr, unknown
        self.done()
        self.run("syslog", [address, "syslog-tls-skip-verify=true"], "echo", "unverified")
        server.wait(lambda data: b": unverified\n" in data)
        self.done()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(base + "cert", base + "key")
        context.load_verify_locations(base + "cert")
        context.verify_mode = ssl.CERT_REQUIRED
        strict = Stream(socket.AF_INET, ("127.0.0.1", 0), context)
        self.run("syslog", ["syslog-address=tcp+tls://127.0.0.1:%d" % strict.address[1], "syslog-tls-ca-cert=" + base + "cert",
                            "syslog-tls-cert=" + base + "cert", "syslog-tls-key=" + base + "key"], "echo", "certified")
        strict.wait(lambda data: b": certified\n" in data)
        self.done()

    # gelf

    def gelf_udp(self):
        udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
        address = "gelf-address=udp://127.0.0.1:%d" % udp.address[1]
        cid = self.run("gelf", [address, "tag={{.Name}}/x", "labels=a,_b", "env=E"], "sh", "-c",
                       "echo hello", extra=("--label", "a=1", "--label", "_b=2", "-e", "E=3"))
        data = udp.take()
        assert data[8] == 4, data  # RFC 1952: fastest
        doc = json.loads(gzip.decompress(data))
        assert doc["version"] == "1.1" and doc["short_message"] == "hello" and doc["level"] == 6
        assert doc["_container_id"] == cid and doc["_container_name"] == "cc" and doc["_tag"] == "cc/x"
        assert doc["_command"] == "sh -c echo hello" and doc["_image_name"] == "busybox"
        assert (doc["_a"], doc["_b"], doc["_E"]) == ("1", "2", "3"), doc
        assert abs(doc["timestamp"] - time.time()) < 3600 and doc["host"] == socket.gethostname()
        assert self.docker("logs", "cc") == "hello\n"
        self.done()
        self.run("gelf", [address, "gelf-compression-type=zlib"], "sh", "-c", "echo bad >&2")
        assert json.loads(zlib.decompress(udp.take()))["level"] == 3
        self.done()
        self.run("gelf", [address, "gelf-compression-level=9"], "echo", "small")
        data = udp.take()
        assert data[8] == 2 and json.loads(gzip.decompress(data))["short_message"] == "small", data  # slowest
        self.done()
        self.run("gelf", [address, "gelf-compression-type=none"], "sh", "-c",
                 "head -c 10000 /dev/zero | tr '\\0' y; echo")
        chunks = {}
        while not chunks or len(chunks) < count:
            data = udp.take()
            assert data[:2] == b"\x1e\x0f" and len(data) <= 1420
            number, count = data[10], data[11]
            chunks[number] = data[12:]
        doc = json.loads(b"".join(chunks[i] for i in range(count)))
        assert doc["short_message"] == "y" * 10000
        self.done()

    def gelf_tcp(self):
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        self.run("gelf", ["gelf-address=tcp://127.0.0.1:%d" % tcp.address[1]], "seq", "1000")
        data = tcp.wait(lambda data: data.count(b"\0") == 1000 and data)
        docs = [json.loads(d)["short_message"] for d in data.split(b"\0")[:-1]]
        assert docs == [str(i) for i in range(1, 1001)]
        self.done()

    def away(self, driver, options, wait, kept):
        """The peer goes, and comes again when wait() is over: whether what was written meanwhile is kept."""
        port = self.engine.free_port()
        server = Stream(socket.AF_INET, ("127.0.0.1", port))
        self.run(driver, [options[0] % port, *options[1:]], "sh", "-c", "echo zero; sleep 1000", extra=("-d",))
        server.wait(lambda data: b"zero" in data)
        server.close()
        self.docker("exec", "cc", "sh", "-c", "echo one >/proc/1/fd/1")
        wait()
        server = Stream(socket.AF_INET, ("127.0.0.1", port))
        self.docker("exec", "cc", "sh", "-c", "echo two >/proc/1/fd/1")
        data = server.wait(lambda data: b"two" in data and data)
        assert (b"one" in data) == kept, (driver, options, data)
        self.done()
        server.close()

    def given_up(self):
        """gelf-tcp-max-reconnect, gelf-tcp-reconnect-delay; fluentd-max-retries, fluentd-retry-wait."""
        for driver, address, once, often in (
                ("gelf", "gelf-address=tcp://127.0.0.1:%d", ["gelf-tcp-max-reconnect=0"],
                 ["gelf-tcp-max-reconnect=1000000", "gelf-tcp-reconnect-delay=0"]),
                ("fluentd", "fluentd-address=127.0.0.1:%d", ["fluentd-max-retries=0"],
                 ["fluentd-max-retries=1000000", "fluentd-retry-wait=1ms"])):
            said = "log driver %s: " % driver
            before = self.engine.log_text().count(said)
            self.away(driver, [address, *once], lambda: vessel.wait_until(
                "it gives up", lambda: self.engine.log_text().count(said) > before), False)
            tried = refused()
            self.away(driver, [address, *often], lambda: vessel.wait_until(
                "it tries more often than it would", lambda: refused() > tried + 8), True)

    # fluentd

    def fluentd(self):
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        address = "fluentd-address=127.0.0.1:%d" % tcp.address[1]
        cid = self.run("fluentd", [address, "tag=app.{{.Name}}", "labels-regex=^a"], "sh", "-c",
                       "echo one; head -c 20000 /dev/zero | tr '\\0' z; echo", extra=("--label", "ab=1"))
        got = tcp.wait(lambda data: len(messages(data)) == 3 and messages(data))
        assert [m[0] for m in got] == ["app.cc"] * 3 and abs(got[0][1] - time.time()) < 3600
        assert got[0][2] == {"container_id": cid, "container_name": "/cc", "source": "stdout",
                             "log": "one", "ab": "1"}, got[0]
        parts = [m[2] for m in got[1:]]
        assert [p["partial_ordinal"] for p in parts] == ["1", "2"]
        assert [p["partial_last"] for p in parts] == ["false", "true"]
        assert parts[0]["partial_id"] == parts[1]["partial_id"] and parts[0]["partial_message"] == "true"
        assert "".join(p["log"] for p in parts) == "z" * 20000
        self.done()
        path = self.engine.root + "/fluent.sock"
        unix = Stream(socket.AF_UNIX, path)
        self.run("fluentd", ["fluentd-address=unix://" + path, "fluentd-sub-second-precision=true"],
                 "echo", "x")
        got = unix.wait(lambda data: messages(data))
        assert isinstance(got[0][1], float) and got[0][2]["log"] == "x"
        self.done()

    def fluentd_ack(self):
        came, acknowledged = b"", 0

        def answer(data):
            nonlocal came, acknowledged
            came += data
            chunks = [m[2]["chunk"].encode() for m in messages(came)[acknowledged:]]
            acknowledged += len(chunks)
            return b"".join(b"\x81\xa3ack" + bytes([0xa0 | len(chunk)]) + chunk for chunk in chunks)
        server = Stream(socket.AF_INET, ("127.0.0.1", 0), answer=answer)
        self.run("fluentd", ["fluentd-address=127.0.0.1:%d" % server.address[1],
                             "fluentd-request-ack=true"], "seq", "20")
        got = server.wait(lambda data: sum(len(m[1]) for m in messages(data)) == 20 and messages(data))
        assert [e[1]["log"] for m in got for e in m[1]] == [str(i) for i in range(1, 21)]
        self.done()

    def fluentd_async(self):
        """Nobody is there at the start; later somebody is, and gets what waited."""
        port = self.engine.free_port()
        self.docker("run", "-d", "--name", "cc", "--log-driver", "fluentd", "--log-opt",
                    "fluentd-address=127.0.0.1:%d" % port, "--log-opt", "fluentd-async=true",
                    "--log-opt", "fluentd-retry-wait=100ms", "busybox", "sh", "-c", "seq 5; sleep 1000")
        vessel.wait_until("lines are there", lambda: self.docker("logs", "cc") == "1\n2\n3\n4\n5\n")
        server = Stream(socket.AF_INET, ("127.0.0.1", port))
        got = server.wait(lambda data: len(messages(data)) == 5 and messages(data))
        assert [m[2]["log"] for m in got] == ["1", "2", "3", "4", "5"]
        self.done()

    def fluentd_limits(self):
        """fluentd-write-timeout, -async-connect, -async-reconnect-interval, -buffer-limit."""
        lines = "yes %s" % ("x" * 1000)
        server = Stream(socket.AF_INET, ("127.0.0.1", 0))
        server.reading.clear()
        address = "fluentd-address=127.0.0.1:%d" % server.address[1]
        self.run("fluentd", [address, "fluentd-write-timeout=100ms", "fluentd-retry-wait=1ms"], "sh", "-c", lines, extra=("-d",))
        vessel.wait_until("who does not read is left for a new connection", lambda: len(server.connections) > 1)
        server.reading.set()
        self.done()
        server.close()
        server = Stream(socket.AF_INET, ("127.0.0.1", 0))
        address = "fluentd-address=127.0.0.1:%d" % server.address[1]
        self.run("fluentd", [address, "fluentd-async-connect=true", "fluentd-async-reconnect-interval=100ms"], "sh", "-c",
                 "i=0; while :; do i=$((i+1)); echo $i; usleep 20000; done", extra=("-d",))
        vessel.wait_until("connections are made anew", lambda: len(server.connections) > 2)
        self.done()
        server.close()
        dropped = "the log driver is slow: lines are dropped"
        before = self.engine.log_text().count(dropped)
        port = self.engine.free_port()
        self.run("fluentd", ["fluentd-address=127.0.0.1:%d" % port, "fluentd-async=true", "fluentd-buffer-limit=10k",
                             "fluentd-retry-wait=100ms"], "sh", "-c", lines + " | head -n 5000; sleep 1000", extra=("-d",))
        vessel.wait_until("more than the limit is dropped", lambda: self.engine.log_text().count(dropped) > before)
        vessel.wait_until("all is in the copy", lambda: self.docker("logs", "cc").count("\n") == 5000)
        server = Stream(socket.AF_INET, ("127.0.0.1", port))
        server.wait(lambda data: data)  # so that it need not linger
        self.done()

    # journald

    def journald(self):
        failed = self.engine.docker("run", "--log-driver", "journald", "--name", "cc", "busybox", "true",
                                    check=False)
        assert "failed to initialize logging driver: journald is not enabled on this host" in failed.stderr
        self.done()
        os.makedirs(os.path.dirname(JOURNAL))
        journal = Datagrams(socket.AF_UNIX, JOURNAL)
        cid = self.run("journald", ["labels=a.b", "env=_X"], "sh", "-c",
                       "echo hello; head -c 40000 /dev/zero | tr '\\0' w; echo",
                       extra=("--label", "a.b=two\nlines", "-e", "_X=1"))
        fields = [journal_fields(journal.take()) for _ in range(4)]
        first = fields[0]
        want = {"MESSAGE": "hello", "PRIORITY": "6", "CONTAINER_ID": cid[:12], "CONTAINER_ID_FULL": cid,
                "CONTAINER_NAME": "cc", "CONTAINER_TAG": cid[:12], "IMAGE_NAME": "busybox",
                "SYSLOG_IDENTIFIER": cid[:12], "A_B": "two\nlines", "X": "1"}
        assert {k: first.get(k) for k in want} == want, first
        assert [f.get("CONTAINER_PARTIAL_MESSAGE") for f in fields] == [None, "true", "true", None]
        assert "".join(f["MESSAGE"] for f in fields[1:]) == "w" * 40000
        assert self.docker("logs", "--details", "cc").startswith("_X=1,a.b=two%0Alines hello\n")
        self.done()
        # What no datagram holds comes by a descriptor.
        self.run("journald", ["labels=big"], "echo", "x", extra=("--label", "big=" + "v" * 100000))
        with_fd = journal_fields(journal.take())
        assert with_fd["BIG"] == "v" * 100000
        self.done()

    # life

    def no_peer(self):
        port = self.engine.free_port()
        for options in (["syslog", "syslog-address=tcp://127.0.0.1:%d" % port],
                        ["fluentd", "fluentd-address=127.0.0.1:%d" % port],
                        ["gelf", "gelf-address=tcp://127.0.0.1:%d" % port]):
            failed = self.engine.docker("run", "--name", "cc", "--log-driver", options[0], "--log-opt",
                                        options[1], "busybox", "true", check=False)
            assert failed.returncode == 125 or failed.returncode == 126, failed
            assert "failed to initialize logging driver" in failed.stderr, failed.stderr
            assert "Connection refused" in failed.stderr, failed.stderr
            self.done()

        # Datagrams go out whether somebody listens or not.
        for driver in ("syslog", "gelf"):
            self.run(driver, ["%s-address=udp://127.0.0.1:%d" % (driver, port)], "seq", "5")
            assert self.docker("logs", "cc").split() == ["1", "2", "3", "4", "5"]
            self.done()

    def copy(self):
        """No copy, no reading; limits of the copy."""
        udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
        address = "syslog-address=udp://127.0.0.1:%d" % udp.address[1]
        self.run("syslog", [address, "cache-disabled=true"], "echo", "x")
        assert udp.take().endswith(b": x\n")
        failed = self.engine.docker("logs", "cc", check=False)
        assert "configured logging driver does not support reading" in failed.stderr
        self.done()
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        cid = self.run("syslog", ["syslog-address=tcp://127.0.0.1:%d" % tcp.address[1],
                                  "cache-max-size=20k", "cache-max-file=3", "cache-compress=false"],
                       "seq", "5000")
        tcp.wait(lambda data: data.count(b"\n") == 5000)
        files = [f for f in os.listdir("%s/data/containers/%s" % (self.engine.root, cid))
                 if f.startswith("container-cached.log")]
        assert sorted(files) == ["container-cached.log", "container-cached.log.1",
                                 "container-cached.log.2"], files
        assert self.docker("logs", "--tail", "1", "cc") == "5000\n"
        self.done()

    def daemon_killed(self):
        """In the middle: nothing is lost or doubled, there and here."""
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        self.docker("run", "-d", "-i", "--name", "cc", "--log-driver", "gelf", "--log-opt",
                    "gelf-address=tcp://127.0.0.1:%d" % tcp.address[1], "busybox", "sh", "-c",
                    "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; sleep 1000")
        tcp.wait(lambda data: data.count(b"\0") > 1000)
        self.engine.kill()
        tcp.wait(lambda data: data.count(b"\0") > 15000)
        self.engine.start()
        data = tcp.wait(lambda data: data.count(b"\0") == 20000 and data)
        want = [str(i) for i in range(1, 20001)]
        assert [json.loads(d)["short_message"] for d in data.split(b"\0")[:-1]] == want
        assert self.docker("logs", "cc").split() == want
        self.done()

    def helper_killed(self):
        """vessel-log is started again, and goes on where the other was."""
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        self.docker("run", "-d", "-t", "-i", "--name", "cc", "--log-driver", "gelf", "--log-opt",
                    "gelf-address=tcp://127.0.0.1:%d" % tcp.address[1], "busybox", "cat")
        vessel.wait_until("those of others have ended", lambda: len(helpers(self.engine)) == 1)
        (pid,) = helpers(self.engine)
        os.kill(pid, signal.SIGSTOP)
        sock = self.engine.attach("/containers/cc/attach?stream=1&stdin=1")
        sock.sendall(b"one\n")
        vessel.wait_until("it is logged", lambda: self.docker("logs", "cc").count("one") == 2)
        os.kill(pid, signal.SIGKILL)
        tcp.wait(lambda data: data.count(b"one") == 2)
        sock.sendall(b"two\n")
        tcp.wait(lambda data: data.count(b"two") == 2)
        assert helpers(self.engine) not in ([], [pid])
        sock.close()
        self.done()

    def stuck(self):
        """A peer that does not read: a blocking container waits, and can be stopped and removed."""
        tcp = Stream(socket.AF_INET, ("127.0.0.1", 0))
        tcp.reading.clear()
        address = "gelf-address=tcp://127.0.0.1:%d" % tcp.address[1]
        endless = ("sh", "-c", "while :; do echo %s; done" % ("x" * 1000))
        self.docker("run", "-d", "--name", "cc", "--log-driver", "gelf", "--log-opt", address, "busybox",
                    *endless)

        def size():
            return len(self.docker("logs", "cc"))
        vessel.wait_until("the container stands still", lambda: size() > 100000 and size() == size())
        self.docker("stop", "-t", "0", "cc")
        self.done()
        self.docker("run", "--name", "cc", "--log-driver", "gelf", "--log-opt", address, "--log-opt",
                    "mode=non-blocking", "--log-opt", "max-buffer-size=100k", "busybox", "sh", "-c",
                    "yes %s | head -n 20000" % ("x" * 1000))
        assert self.docker("logs", "cc").count("\n") == 20000
        self.done()
        vessel.wait_until("the log tells", lambda: "lines are dropped" in self.engine.log_text())
        for pid in helpers(self.engine):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        tcp.reading.set()

    def files_apart(self):
        """mode=non-blocking for files, and compression."""
        for driver in ("json-file", "local"):
            self.run(driver, ["mode=non-blocking", "max-buffer-size=4m", "labels=a"], "seq", "5000",
                     extra=("--label", "a=b"))
            assert self.docker("logs", "cc").split() == [str(i) for i in range(1, 5001)]
            assert self.docker("logs", "--details", "--tail", "1", "cc") == "a=b 5000\n"
            self.done()
        self.docker("run", "-d", "--name", "cc", "--log-opt", "max-size=100k", "--log-opt", "max-file=20",
                    "--log-opt", "compress=true", "busybox", "sh", "-c", "seq 10000; sleep 1000")
        cid = self.engine.inspect("cc")["Id"]
        directory = "%s/data/containers/%s" % (self.engine.root, cid)
        vessel.wait_until("files are compressed",
                          lambda: any(f.endswith(".gz") for f in os.listdir(directory)))
        vessel.wait_until("all is written", lambda: self.docker("logs", "--tail", "1", "cc") == "10000\n")
        assert self.docker("logs", "cc").split() == [str(i) for i in range(1, 10001)]
        assert self.docker("logs", "--tail", "9000", "cc").split()[0] == "1001"
        self.done()

    def rights(self):
        """Nobody, or root by name alone; for files that need it, one capability."""
        def started(driver, *options, command="echo x; sleep 1000"):
            vessel.wait_until("the one before has ended", lambda: not helpers(self.engine))
            self.docker("run", "-d", "--name", "cc", "--log-driver", driver, *(a for o in options for a in ("--log-opt", o)),
                        "busybox", "sh", "-c", command)
            vessel.wait_until("those of others have ended", lambda: len(helpers(self.engine)) == 1)
            pid, = helpers(self.engine)
            with open("/proc/%d/status" % pid) as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
            return {key: status[key].split()[-1] for key in ("Uid", "Gid", "CapPrm", "CapEff", "NoNewPrivs", "Seccomp")}

        def expected(user, capabilities=0):
            return {"Uid": user, "Gid": user, "CapPrm": "%016x" % capabilities, "CapEff": "%016x" % capabilities,
                    "NoNewPrivs": "1", "Seccomp": "2"}
        nobody, root, dac_override = "65534", "0", 1 << 1
        udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
        seen = started("gelf", "gelf-address=udp://127.0.0.1:%d" % udp.address[1])
        assert seen == expected(nobody), seen
        self.done()
        everybody, own = Datagrams(socket.AF_UNIX, "/run/everybody.sock"), Datagrams(socket.AF_UNIX, "/run/own.sock")
        os.chmod("/run/everybody.sock", 0o666)
        os.chmod("/run/own.sock", 0o600)
        for sock, wanted in ((everybody, expected(nobody)), (own, expected(root))):
            path = sock.address
            seen = started("syslog", "syslog-address=unixgram://" + path)
            assert seen == wanted, (path, seen)
            assert b"x" in sock.take().split(b": ", 1)[1]
            # One that is started again connects with what it has left.
            os.kill(helpers(self.engine)[0], signal.SIGKILL)
            self.docker("exec", "cc", "sh", "-c", "echo again >/proc/1/fd/1")
            assert b"again" in sock.take()
            self.done()
        seen = started("json-file", "mode=non-blocking", "max-size=50k", "max-file=50", "compress=true",
                       command="while :; do seq 500; usleep 20000; done")  # a file gets its name when more is written
        assert seen == expected(root, dac_override), seen
        cid = self.engine.inspect("cc")["Id"]
        vessel.wait_until("files are compressed", lambda: any(
            name.endswith(".gz") for _, _, files in os.walk("%s/data/containers/%s" % (self.engine.root, cid)) for name in files))
        self.done()

    def follow_compressed(self):
        """Nothing is lost or doubled for who follows while files are rotated and compressed."""
        self.docker("create", "--name", "cc", "--log-driver", "local", "--log-opt", "max-size=50k",
                    "--log-opt", "max-file=100", "busybox", "sh", "-c",
                    "for i in $(seq 20); do seq 500; usleep 20000; done")
        self.docker("start", "cc")
        assert self.docker("logs", "-f", "cc").split() == [str(i) for i in range(1, 501)] * 20
        assert self.docker("logs", "cc").split() == [str(i) for i in range(1, 501)] * 20
        self.done()

    def daemon_defaults(self):
        udp = Datagrams(socket.AF_INET, ("127.0.0.1", 0))
        self.engine.stop()
        self.engine.start(args=("--log-driver", "syslog", "--log-opt",
                                "syslog-address=udp://127.0.0.1:%d" % udp.address[1],
                                "--log-opt", "tag=daemon"))
        try:
            assert self.docker("info", "-f", "{{.LoggingDriver}}") == "syslog\n"
            self.docker("run", "--name", "cc", "busybox", "echo", "x")
            assert b" daemon[" in udp.take()
            assert self.engine.inspect("cc")["HostConfig"]["LogConfig"]["Config"]["tag"] == "daemon"
            self.done()
        finally:
            self.engine.stop()
            self.engine.start()
        bad = subprocess.run([vessel.BIN + "/vesseld", "--validate", "--log-driver", "nope"],
                             capture_output=True, text=True)
        assert bad.returncode != 0 and 'plugin "nope" not found' in bad.stderr, bad


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        private_run()
        engine.start()
        engine.import_busybox()
        audit = vessel.Audit(engine)
        cases = Cases(engine)

        def case(name, function):
            tap.case(name, function)
            engine.docker("rm", "-f", "cc", check=False)  # of one that failed
        case("syslog: forms of messages", cases.syslog_forms)
        case("syslog: unix, unixgram, tcp", cases.syslog_sockets)
        case("syslog over TLS, framed by length", cases.syslog_tls)
        case("gelf by datagrams: gzip, zlib, chunks; tags, labels, variables", cases.gelf_udp)
        case("gelf over tcp", cases.gelf_tcp)
        case("fluentd: messages, parts of lines, unix socket, fractions", cases.fluentd)
        case("fluentd with acknowledgements", cases.fluentd_ack)
        case("fluentd-async waits for a server", cases.fluentd_async)
        case("gelf and fluentd: how often they try again", cases.given_up)
        case("fluentd: limits of what waits, and of waiting", cases.fluentd_limits)
        case("journald: fields, parts, what is too large for a datagram", cases.journald)
        case("a start fails without a peer", cases.no_peer)
        case("the local copy, its limits, and none", cases.copy)
        case("vesseld killed in the middle", cases.daemon_killed)
        case("vessel-log killed in the middle", cases.helper_killed)
        case("a peer that does not read: blocking, and non-blocking", cases.stuck)
        case("files written apart, files compressed", cases.files_apart)
        case("what vessel-log may", cases.rights)
        case("a log followed while it is rotated and compressed", cases.follow_compressed)
        case("the daemon's default driver and options", cases.daemon_defaults)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
            vessel.wait_until("no vessel-log is left", lambda: not helpers(engine))
        case("nothing is left", clean)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
