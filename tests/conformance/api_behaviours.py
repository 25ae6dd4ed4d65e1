#!/usr/bin/python3
"""What re-implementers of Docker's API get wrong, by raw requests: docs/internals/api.md lists who tests which behaviour."""

import base64
import gzip
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

JSON_POSTS = ("/containers/create", "/containers/behave/update", "/containers/behave/exec", "/networks/create",
              "/networks/bridge/connect", "/networks/bridge/disconnect", "/volumes/create")


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


class Answer:
    """One answer, read from a socket."""

    def __init__(self, sock, method="GET"):
        self.sock, head = sock, b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            assert byte, "the connection ended in the head: %r" % head
            head += byte
        lines = head.decode().split("\r\n")
        self.line, self.status = lines[0], int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
        self.body = b""
        if "content-length" in self.headers and method != "HEAD":
            while len(self.body) < int(self.headers["content-length"]):
                self.body += self.some(65536)

    def some(self, size):
        data = self.sock.recv(size)
        assert data, "the connection ended within the body"
        return data

    def chunk(self):
        size = b""
        while not size.endswith(b"\r\n"):
            size += self.some(1)
        data = b""
        while len(data) < int(size, 16) + 2:
            data += self.some(int(size, 16) + 2 - len(data))
        return data[:-2]

    def rest(self):
        data = b""
        while True:
            more = self.sock.recv(65536)
            if not more:
                return data
            data += more


class Cases:
    def __init__(self, engine):
        self.engine = engine

    def connect(self):
        connection = self.engine.connection()
        connection.connect()
        return connection.sock

    def raw(self, text, sock=None):
        sock = sock or self.connect()
        sock.sendall(text.replace("\n", "\r\n").encode() if isinstance(text, str) else text)
        return Answer(sock, text.split(" ", 1)[0] if isinstance(text, str) else "GET")

    def post(self, path, body=None, status=None):
        got, answer = self.engine.api("POST", path, body)
        assert status in (None, got), (path, got, answer)
        return answer

    def create(self, name, command, start=True, **config):
        self.post("/containers/create?name=" + name, dict({"Image": "busybox", "Cmd": ["sh", "-c", command]}, **config), 201)
        if start:
            self.post("/containers/%s/start" % name, status=204)

    def ready(self, name, times):
        """Its shell has set its traps, and said so, this many times."""
        vessel.wait_until("%s is ready" % name, lambda: self.engine.api("GET", "/containers/%s/logs?stdout=1" % name)[1].count(
            b"ready") == times)

    def remove(self, *names):
        for name in names:
            check(self.engine.api("DELETE", "/containers/%s?force=1" % name)[0], 204, "remove " + name)

    # 1 ----------------------------------------------------------------------------------------------

    def ping(self):
        for target in ("/_ping", "/v1.44/_ping", "/v1.24/_ping"):
            answer = self.raw("HEAD %s HTTP/1.1\nHost: docker\n\n" % target)
            check(answer.status, 200, target)
            for name, value in (("api-version", "1.51"), ("docker-experimental", "false"), ("ostype", "linux"),
                                ("builder-version", None), ("swarm", "inactive"), ("pragma", "no-cache"), ("content-length", "0"),
                                ("cache-control", "no-cache, no-store, must-revalidate")):
                assert name in answer.headers and value in (None, answer.headers[name]), (target, name, answer.headers)
            assert re.fullmatch(r"Docker/\S+ \(linux\)", answer.headers["server"]), answer.headers
        check(self.raw("GET /_ping HTTP/1.1\nHost: docker\n\n").body, b"OK", "GET")
        for target in ("/nothing", "/v1.44/containers/nothing/json", "/v9.99/info"):
            answer = self.raw("GET %s HTTP/1.1\nHost: docker\n\n" % target)
            assert answer.status >= 400 and {"api-version", "ostype", "server"} <= set(answer.headers), answer.headers

    # 2 ----------------------------------------------------------------------------------------------

    def errors(self):
        for method, path, status, text in (
                ("GET", "/containers/nothing/json", 404, "No such container: nothing"),
                ("GET", "/images/nothing/json", 404, "No such image: nothing:latest"),
                ("GET", "/networks/nothing", 404, "network nothing not found"),
                ("GET", "/volumes/nothing", 404, "get nothing: no such volume"),
                ("GET", "/exec/nothing/json", 404, "No such exec instance: nothing"),
                ("DELETE", "/networks/bridge", 403, "bridge is a pre-defined network and cannot be removed"),
                ("GET", "/nothing", 404, "page not found"),
                ("POST", "/info", 404, "page not found"),
                ("GET", "/v1.23/info", 400, "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your "
                                            "client to a newer version"),
                ("GET", "/v1.99/info", 400, "client version 1.99 is too new. Maximum supported API version is 1.51"),
                ("GET", "/services", 503, 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
                                          "this node to swarm and try again."),
                ("GET", "/containers/json?filters=%7B%22x%22%3A%5B%22y%22%5D%7D", 400, "invalid filter 'x'"),
                ("GET", "/containers/behave/logs", 400, "Bad parameters: you must choose at least one stream")):
            answer = self.raw("%s %s HTTP/1.1\nHost: docker\n\n" % (method, path))
            check((answer.status, answer.headers["content-type"], json.loads(answer.body)),
                  (status, "application/json", {"message": text}), path)

    def bodies(self):
        for path in JSON_POSTS:
            for kind, body, wanted in (
                    ("application/json", "{", "invalid JSON: "), ("application/json", "", None),
                    ("text/plain", "{}", "unsupported Content-Type header (text/plain): must be 'application/json'"),
                    ("application/json", "{} {}", "unexpected content after JSON"),
                    ("/", "{}", "Content-Type")):
                answer = self.raw("POST %s HTTP/1.1\nHost: docker\nContent-Type: %s\nContent-Length: %d\n\n%s"
                                  % (path, kind, len(body), body))
                check(answer.status, 400, "%s %r as %s: %s" % (path, body, kind, answer.body))
                if wanted:
                    assert wanted in json.loads(answer.body)["message"], (path, body, answer.body)
        self.post("/containers/behave/start", {"a": 1}, 400)

    def not_modified(self):
        answer = self.raw("POST /containers/behave/start HTTP/1.1\nHost: docker\n\n")
        check((answer.status, answer.body, answer.headers.get("content-length")), (304, b"", None), "started already")

    # 3, 4 -------------------------------------------------------------------------------------------

    def hijack(self):
        for tty in (False, True):
            self.create("jack", "sleep 1000", Tty=tty)
            for what in ("attach", "exec"):
                for prefix, upgrade in (("/v1.41", True), ("/v1.42", True), ("", False)):
                    body, target = "", prefix + "/containers/jack/attach?stream=1&stdout=1"
                    if what == "exec":
                        exec_id = self.post("/containers/jack/exec", {"Cmd": ["true"], "AttachStdout": True, "Tty": tty})["Id"]
                        body, target = '{"Tty":%s}' % str(tty).lower(), "%s/exec/%s/start" % (prefix, exec_id)
                    answer = self.raw("POST %s HTTP/1.1\nHost: docker\n%sContent-Type: application/json\nContent-Length: %d\n\n%s"
                                      % (target, "Connection: Upgrade\nUpgrade: tcp\n" if upgrade else "", len(body), body))
                    check(answer.line, "HTTP/1.1 101 UPGRADED" if upgrade else "HTTP/1.1 200 OK", target)
                    multiplexed = upgrade and not tty and prefix == "/v1.42"
                    check(answer.headers["content-type"], "application/vnd.docker.%s-stream"
                          % ("multiplexed" if multiplexed else "raw"), target)
                    check(answer.headers.get("upgrade"), "tcp" if upgrade else None, target)
                    assert not {"content-length", "transfer-encoding"} & set(answer.headers), answer.headers
                    answer.sock.close()
            self.remove("jack")
        answer = self.raw("POST /containers/nothing/attach?stream=1 HTTP/1.1\nHost: docker\nConnection: Upgrade\nUpgrade: tcp\n\n")
        check(answer.status, 404, "an error before the upgrade is an answer as any other")

    def frames(self):
        for tty in (False, True):
            self.create("framed", "echo out; echo err >&2", Tty=tty)
            self.post("/containers/framed/wait")
            answer = self.raw("GET /containers/framed/logs?stdout=1&stderr=1 HTTP/1.1\nHost: docker\n\n")
            check(answer.headers.get("transfer-encoding"), "chunked", "logs")
            data = b""
            while True:
                chunk = answer.chunk()
                if not chunk:
                    break
                data += chunk
            framed = {b"\1\0\0\0\0\0\0\4out\n", b"\2\0\0\0\0\0\0\4err\n"}
            if tty:
                check(sorted(data.split(b"\r\n")), [b"", b"err", b"out"], "of a terminal")
            else:
                check({data[:12], data[12:]}, framed, "frames")
            self.remove("framed")

    # 5 ----------------------------------------------------------------------------------------------

    def half_close(self):
        """The end of a client's input is the container's with StdinOnce, else its session's; what was sent with the head is input."""
        for once in (True, False):
            self.create("half", "read a; echo got $a; cat >/dev/null; echo end", start=False, OpenStdin=True, StdinOnce=once)
            sock = self.connect()
            answer = self.raw(b"POST /containers/half/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: docker\r\n"
                              b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly\n", sock)
            check(answer.status, 101, "attach")
            sock.shutdown(socket.SHUT_WR)
            self.post("/containers/half/start", status=204)
            if not once:
                assert vessel.read_frames(sock)[0] in (b"", b"got early\n"), "the session ends"
                vessel.wait_until("it has read", lambda: b"got early" in self.engine.api("GET", "/containers/half/logs?stdout=1")[1])
                check(self.engine.inspect("half")["State"]["Running"], True, "without StdinOnce it goes on")
                self.post("/containers/half/kill")
            else:
                check(vessel.read_frames(sock)[0], b"got early\nend\n", "what comes until the end")
            self.remove("half")

    def leaving(self):
        """A client that closes its connection leaves; the container goes on, its input stays open."""
        self.create("left", "read a; echo got $a; sleep 1000", OpenStdin=True)
        sock = self.engine.attach("/containers/left/attach?stream=1&stdin=1&stdout=1")
        sock.close()
        sock = self.engine.attach("/containers/left/attach?stream=1&stdin=1&stdout=1")
        sock.sendall(b"later\n")
        said = b""
        while len(said) < 18:
            data = sock.recv(100)
            assert data, said
            said += data
        check(said, b"\1\0\0\0\0\0\0\x0agot later\n", "what another one sends")
        check(self.engine.inspect("left")["State"]["Running"], True, "it runs")
        sock.close()
        self.remove("left")

    def stopped_attach(self):
        """A container that does not run: its log if that is asked for, and the end."""
        for tty in (False, True):
            self.create("stopped", "echo out; echo err >&2", Tty=tty)
            self.post("/containers/stopped/wait")
            sock = self.engine.attach("/containers/stopped/attach?logs=1&stdout=1&stderr=1")
            if tty:
                data = b""
                while data.count(b"\n") < 2:
                    more = sock.recv(1000)
                    assert more, data
                    data += more
                check((sorted(data.split()), sock.recv(1)), ([b"err", b"out"], b""), "of a terminal")
            else:
                check(vessel.read_frames(sock), (b"out\n", b"err\n"), "both streams")
                check(vessel.read_frames(self.engine.attach("/containers/stopped/attach?logs=1&stderr=1")), (b"", b"err\n"), "one")
            check(self.engine.attach("/containers/stopped/attach?stdout=1").recv(1), b"", "nothing")
            self.remove("stopped")

    # 6 ----------------------------------------------------------------------------------------------

    def run(self):
        """create, attach, wait, start: nothing is lost of a process that lives a millisecond."""
        for remove in (False, True):
            self.create("short", "echo short; exit 9", start=False, HostConfig={"AutoRemove": remove})
            out = self.engine.attach("/containers/short/attach?stream=1&stdout=1&stderr=1")
            wait = self.raw("POST /containers/short/wait?condition=%s HTTP/1.1\nHost: docker\n\n"
                            % ("removed" if remove else "next-exit"))
            check((wait.status, wait.headers["transfer-encoding"]), (200, "chunked"), "the head comes before the start")
            self.post("/containers/short/start", status=204)
            check(vessel.read_frames(out), (b"short\n", b""), "from byte 0")
            check(json.loads(wait.chunk())["StatusCode"], 9, "the code")
            check(wait.chunk(), b"", "the last chunk")
            if not remove:
                check(self.post("/containers/short/wait")["StatusCode"], 9, "at once")
                self.remove("short")
        check(self.engine.inspect("short"), None, "removed")
        check(self.post("/containers/nothing/wait")["message"], "No such container: nothing", "wait")
        self.create("short", "true", start=False)
        check(self.post("/containers/short/wait")["StatusCode"], 0, "one that was never started is waited for by nobody")
        self.remove("short")

    # 7 ----------------------------------------------------------------------------------------------

    def exit_codes(self):
        for command, code, text in ((["/nothing"], 127, "no such file or directory"),
                                    (["nothing"], 127, "executable file not found in $PATH"), (["/etc/passwd"], 126, "permission denied")):
            self.create("code", "", start=False, Cmd=command)
            answer = self.post("/containers/code/start", status=400)
            assert text in answer["message"], answer
            state = self.engine.inspect("code")["State"]
            check((state["ExitCode"], state["Status"]), (code, "created"), command)
            assert text in state["Error"], state
            self.remove("code")
        self.create("code", "kill -9 $$", HostConfig={"Init": True})
        check(self.post("/containers/code/wait")["StatusCode"], 137, "128 and the signal")
        self.remove("code")

    # 8, 9 -------------------------------------------------------------------------------------------

    def execs(self):
        self.create("ex", "sleep 1000")
        check(self.engine.inspect("ex")["ExecIDs"], None, "none")
        exec_id = self.post("/containers/ex/exec", {"Cmd": ["sleep", "1000"]})["Id"]
        check(self.engine.api("GET", "/exec/%s/json" % exec_id)[1]["ExitCode"], None, "before its end")
        check(self.post("/containers/ex/exec", {"Cmd": []}, 400)["message"], "No exec command specified", "no command")
        user = self.post("/containers/ex/exec", {"Cmd": ["true"], "User": "nobody-there"}, 201)["Id"]
        answer = self.raw("POST /exec/%s/start HTTP/1.1\nHost: docker\nConnection: Upgrade\nUpgrade: tcp\nContent-Type: application/json\n"
                          "Content-Length: 2\n\n{}" % self.post("/containers/ex/exec", {"Cmd": ["true"], "User": "nobody-there"}, 201)["Id"])
        check((answer.status, answer.headers["content-type"]), (400, "application/json"), "before the connection is taken over")
        answer = self.post("/exec/%s/start" % user, {"Detach": True}, 400)
        assert "nobody-there" in answer["message"], answer
        check(self.engine.inspect("ex")["ExecIDs"].count(exec_id), 1, "there")
        self.remove("ex")
        self.post("/exec/%s/start" % exec_id, {"Detach": True}, 404)

    def resize(self):
        self.create("size", "sleep 1000", start=False, Tty=True)
        self.post("/containers/size/resize?h=1&w=2", status=409)
        self.post("/containers/size/start")
        for query in ("h=x&w=2", "h=2", "w=2&h=-1", "h=99999&w=2"):
            self.post("/containers/size/resize?" + query, status=400)
        check(self.post("/containers/size/resize?h=x&w=2")["message"], 'invalid resize height "x"', "the text")
        self.post("/containers/size/resize?h=3&w=2", status=200)
        self.post("/containers/size/kill")
        self.post("/containers/size/wait")
        self.post("/containers/size/resize?h=1&w=2", status=409)
        self.remove("size")

    # 10, 13 -----------------------------------------------------------------------------------------

    def images(self):
        for tag in ("behave:one", "behave:two"):
            self.post("/images/busybox/tag?repo=behave&tag=" + tag.split(":")[1], status=201)
        archive = self.engine.api("GET", "/images/get?names=behave:one&names=behave:two")[1]
        connection = self.engine.connection()
        connection.request("POST", "/images/load", archive, {"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        check(answer.headers["Content-Type"], "application/json", "progress")
        lines = [json.loads(line) for line in answer.read().splitlines()]
        check(sorted(line["stream"] for line in lines if "Loaded" in line.get("stream", "")),
              ["Loaded image: behave:one\n", "Loaded image: behave:two\n"], "a line each")
        connection.request("POST", "/images/load", b"no archive", {"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        assert answer.status >= 400 or b"errorDetail" in answer.read(), "what is no archive"
        ident = self.engine.api("GET", "/images/behave:one/json")[1]["Id"]
        for name in ("behave:one", "docker.io/library/behave:one", "library/behave:one", ident, ident[7:], ident[7:19]):
            check(self.engine.api("GET", "/images/%s/json" % name.replace("/", "%2F"))[1]["Id"], ident, name)
            check(self.engine.api("GET", "/images/%s/json" % name)[1]["Id"], ident, name)
        for tag in ("behave:one", "behave:two"):
            check(self.engine.api("DELETE", "/images/" + tag)[0], 200, tag)

    def names(self):
        self.create("named", "true", start=False, Image="docker.io/library/busybox:latest")
        entry = [c for c in self.engine.api("GET", "/containers/json?all=1")[1] if "/named" in c["Names"]][0]
        check((entry["Image"], entry["Names"]), ("docker.io/library/busybox:latest", ["/named"]), "as it was typed")
        for name in ("named", "%2Fnamed", entry["Id"], entry["Id"][:12]):
            check(self.engine.api("GET", "/containers/%s/json" % name)[1]["Id"], entry["Id"], name)
        seen = {}
        for i in range(17):  # two of them begin alike
            ident = self.post("/containers/create?name=alike%d" % i, {"Image": "busybox", "Cmd": ["true"]})["Id"]
            if ident[0] in seen:
                break
            seen[ident[0]] = ident
        answer = self.engine.api("GET", "/containers/%s/json" % ident[0])
        assert answer[0] == 400 and "multiple IDs found with provided prefix" in answer[1]["message"].lower().replace("ids", "IDs"), answer
        check(self.post("/containers/create?name=named", {"Image": "busybox", "Cmd": ["true"]}, 409)["message"],
              'Conflict. The container name "/named" is already in use by container "%s". You have to remove (or rename) that '
              "container to be able to reuse that name." % entry["Id"], "a name that is in use")
        self.remove("named", *("alike%d" % k for k in range(i + 1)))

    # 15 ---------------------------------------------------------------------------------------------

    def events(self):
        answer = self.raw("GET /events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D HTTP/1.1\nHost: docker\n\n")
        check(answer.status, 200, "the head comes before any event")
        self.create("seen", "true", start=False, HostConfig={"AutoRemove": True})
        out = self.engine.attach("/containers/seen/attach?stream=1&stdout=1")
        self.post("/containers/seen/start")
        seen = []
        while not seen or seen[-1]["Action"] != "destroy":
            seen += [json.loads(line) for line in answer.chunk().splitlines()]
        check([e["Action"] for e in seen], ["create", "attach", "connect", "start", "die", "disconnect", "destroy"], "in order")
        die = seen[4]
        check((die["Type"], die["status"], die["from"], die["scope"], die["Actor"]["Attributes"]["exitCode"], die["id"]),
              ("container", "die", "busybox", "local", "0", die["Actor"]["ID"]), "die")
        assert "execDuration" in die["Actor"]["Attributes"] and die["timeNano"] // 10 ** 9 == die["time"], die
        out.close()
        answer.sock.close()
        now = die["timeNano"] // 10 ** 9
        answer = self.raw("GET /events?since=%d&until=%d.5 HTTP/1.1\nHost: docker\nConnection: close\n\n" % (now - 60, now + 1))
        assert b'"destroy"' in answer.rest(), "replayed, and ended at a time to come"

    def events_of_signals(self):
        """The cause comes before the end, and everything that is done to a container is told."""
        since = self.engine.api("GET", "/info")[1]["SystemTime"]
        self.create("told", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done", HostConfig={"Binds": ["toldvol:/v"]})
        self.ready("told", 1)
        self.post("/containers/told/restart?t=100", status=204)
        self.ready("told", 2)
        check(self.engine.api("GET", "/containers/told/top")[0], 200, "top")
        check(self.engine.api("GET", "/containers/told/archive?path=/etc/passwd")[0], 200, "archive")
        self.post("/containers/told/kill", status=204)
        self.post("/containers/told/wait")
        self.remove("told")
        check(self.post("/volumes/prune?filters=" + urllib.parse.quote('{"all":["1"]}'))["VolumesDeleted"], ["toldvol"], "pruned")
        until = self.engine.api("GET", "/info")[1]["SystemTime"]
        answer = self.raw("GET /events?since=%s&until=%s HTTP/1.1\nHost: docker\nConnection: close\n\n" % (since, until))
        seen = [json.loads(line) for line in answer.rest().splitlines() if line.startswith(b"{")]
        actions = [e["Action"] + (" " + e["Actor"]["Attributes"]["signal"] if e["Action"] == "kill" else "") for e in seen
                   if e["Type"] == "container"]
        check(actions, ["create", "start", "kill 15", "die", "stop", "start", "restart", "top", "archive-path", "kill 9", "die", "destroy"],
              "of the container")
        check([e["Action"] for e in seen if e["Type"] == "volume"],
              ["create", "mount", "unmount", "mount", "unmount", "destroy", "prune"], "of its volume")

    # 16 ---------------------------------------------------------------------------------------------

    def logs(self):
        self.create("quiet", "true", start=False)
        check(self.engine.api("GET", "/containers/quiet/logs?stdout=1&follow=0"), (200, b""), "of a created one")
        self.remove("quiet")
        self.create("long", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo last")
        self.post("/containers/long/wait")
        data = self.engine.api("GET", "/containers/long/logs?stdout=1&follow=1&timestamps=1")[1]
        check(data.count(b"Z "), 2, "timestamps: one a line, though a line is in parts")
        check(data.count(b"x"), 40000, "bytes")
        self.remove("long")

    # 17 ---------------------------------------------------------------------------------------------

    def archive(self):
        """Modes are Go's; compressed when asked to, over a network."""
        self.create("packed", "mkdir /d; chmod 1751 /d; ln -s /d/file /link; echo done; sleep 1000")
        vessel.wait_until("it is done", lambda: b"done" in self.engine.api("GET", "/containers/packed/logs?stdout=1")[1])
        for path, mode, target in (("/d", 1 << 31 | 1 << 20 | 0o751, ""), ("/link", 1 << 27 | 0o777, "/d/file"), ("/etc/passwd", 0o644, ""),
                                   ("/dev/null", 1 << 26 | 1 << 21 | 0o666, "")):
            answer = self.raw("HEAD /containers/packed/archive?path=%s HTTP/1.1\nHost: docker\n\n" % path)
            stat = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
            check((stat["name"], stat["mode"], stat["linkTarget"]), (os.path.basename(path), mode, target), path)
        for transport, encoding in (("tcp", "gzip"), ("unix", None)):
            connection = self.engine.connection(transport)
            connection.request("GET", "/containers/packed/archive?path=/etc/passwd", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            check(answer.headers.get("Content-Encoding"), encoding, transport)
            data = answer.read()
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data) if encoding else data)) as tar:
                check(tar.getnames(), ["passwd"], "members")
            connection.request("GET", "/containers/packed/archive?path=/nothing", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            check((answer.status, answer.headers.get("Content-Encoding"), list(json.loads(answer.read()))), (404, None, ["message"]), "an error")
        self.remove("packed")

    # 19, 20 -----------------------------------------------------------------------------------------

    def inspect(self):
        self.create("plain", "true", start=False)
        got = self.engine.inspect("plain")
        for path, wanted in (
                ("State.StartedAt", "0001-01-01T00:00:00Z"), ("State.FinishedAt", "0001-01-01T00:00:00Z"), ("State.Error", ""),
                ("Config.Labels", {}), ("Config.Entrypoint", None), ("Config.Volumes", None), ("Config.Tty", False),
                ("HostConfig.Binds", None), ("HostConfig.PortBindings", None), ("HostConfig.CapAdd", None), ("HostConfig.Dns", []),
                ("HostConfig.DnsOptions", []), ("HostConfig.DnsSearch", []), ("HostConfig.ExtraHosts", None),
                ("HostConfig.Devices", []), ("HostConfig.Ulimits", []), ("HostConfig.PidsLimit", None),
                ("HostConfig.RestartPolicy", {"Name": "no", "MaximumRetryCount": 0}), ("HostConfig.NetworkMode", "bridge"),
                ("HostConfig.LogConfig.Type", "json-file"), ("ExecIDs", None), ("Mounts", []),
                ("NetworkSettings.Ports", {}), ("RestartCount", 0), ("Name", "/plain"), ("Args", ["-c", "true"])):
            value = got
            for part in path.split("."):
                value = value[part]
            if wanted == []:
                assert value in ([], None), (path, value)
            else:
                check(value, wanted, path)
        assert "Health" not in got["State"], got["State"]
        self.remove("plain")
        self.create("ports", "sleep 1000", ExposedPorts={"81/udp": {}}, HostConfig={"PortBindings": {"80/tcp": [{"HostPort": ""}]}})
        ports = self.engine.inspect("ports")["NetworkSettings"]["Ports"]
        check((ports["81/udp"], [one["HostIp"] for one in ports["80/tcp"]], len({one["HostPort"] for one in ports["80/tcp"]})),
              (None, ["0.0.0.0", "::"], 1), "one that is exposed, one that is published on both")
        self.remove("ports")

    def status(self):
        self.create("one", "exit 3")
        self.post("/containers/one/wait")
        self.create("two", "true", start=False)
        self.create("three", "sleep 1000", Healthcheck={"Test": ["CMD", "sleep", "100"], "Interval": 10 ** 7})
        self.create("four", "sleep 1000")
        self.post("/containers/four/pause")
        self.create("five", "exit 4", HostConfig={"RestartPolicy": {"Name": "always"}})
        vessel.wait_until("five waits", lambda: self.engine.inspect("five")["RestartCount"] > 2)
        texts = {}

        def look():
            texts.update({c["Names"][0][1:]: c["Status"] for c in self.engine.api("GET", "/containers/json?all=1")[1]})
            return texts["five"].startswith("Restarting")
        vessel.wait_until("five is restarting", look)
        ago = "(Less than a second|About a minute|[0-9]+ (second|minute)s?)"
        for name, wanted in (("one", r"Exited \(3\) %s ago" % ago), ("two", "Created"), ("three", r"Up %s \(health: starting\)" % ago),
                             ("four", r"Up %s \(Paused\)" % ago), ("five", r"Restarting \(4\) %s ago" % ago)):
            assert re.fullmatch(wanted, texts[name]), texts
        self.remove("one", "two", "three", "four", "five")

    # 22, 23 -----------------------------------------------------------------------------------------

    def conflicts(self):
        answer = self.post("/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {
            "AutoRemove": True, "RestartPolicy": {"Name": "always"}}}, 400)
        check(answer["message"], "can't create 'AutoRemove' container with restart policy", "AutoRemove")
        self.create("idle", "true", start=False)
        ident = self.engine.inspect("idle")["Id"]
        check(self.post("/containers/idle/kill", status=409)["message"],
              "cannot kill container: idle: container %s is not running" % ident, "kill")
        self.post("/containers/idle/kill?signal=NONSENSE", status=400)
        self.remove("idle")

    def stop_signal(self):
        """An image's, which a container's own replaces."""
        self.engine.docker("import", "-c", "STOPSIGNAL USR1", "-", "signals", input=vessel.busybox_tar())
        for own, code in ((None, 5), ("SIGUSR2", 6)):
            self.create("signalled", "trap 'exit 5' USR1; trap 'exit 6' USR2; echo ready; while :; do sleep 0.05; done", Image="signals",
                        **({"StopSignal": own} if own else {}))
            self.ready("signalled", 1)
            self.post("/containers/signalled/stop?t=-1", status=204)
            check(self.engine.inspect("signalled")["State"]["ExitCode"], code, "stopped by %s" % own)
            self.remove("signalled")
        check(self.engine.api("DELETE", "/images/signals")[0], 200, "the image")

    def untyped_inspect(self):
        done = self.engine.docker("inspect", "nothing-at-all", check=False)
        assert done.returncode == 1 and "No such object: nothing-at-all" in done.stderr.replace("no such object", "No such object"), done
        check(self.engine.api("GET", "/plugins/x/json")[0], 404, "plugins")
        check(self.engine.api("GET", "/info")[1]["Swarm"]["ControlAvailable"], False, "so that services are not asked for")

    # 25, 26 -----------------------------------------------------------------------------------------

    def connections(self):
        sock = self.connect()
        for i in range(50):
            check(self.raw("GET /_ping HTTP/1.1\nHost: docker\n\n", sock).body, b"OK", "request %d of a connection" % i)
        for head in ("GET http://api.moby.localhost/_ping HTTP/1.1\nHost: api.moby.localhost\n\n",
                     "GET /_ping HTTP/1.1\nHost: %2Fvar%2Frun%2Fdocker.sock\n\n", "GET /_ping HTTP/1.0\n\n",
                     "GET /_ping HTTP/1.1\nHost:\n\n", "GET /networks/ HTTP/1.1\nHost: docker\n\n"):
            check(self.raw(head).status, 200, head)
        body = '{"Image": "busybox", "Cmd": ["true"]}'
        chunked = "%x\n%s\n0\n\n" % (len(body), body)
        answer = self.raw("POST /containers/create?name=chunked HTTP/1.1\nHost: docker\nContent-Type: application/json\n"
                          "Transfer-Encoding: chunked\n\n" + chunked)
        check(answer.status, 201, "a chunked body")
        sock = self.connect()
        answer = self.raw("POST /containers/create?name=expected HTTP/1.1\nHost: docker\nContent-Type: application/json\n"
                          "Expect: 100-continue\nContent-Length: %d\n\n" % len(body), sock)
        check(answer.status, 100, "Expect")
        check(self.raw(body, sock).status, 201, "behind it")
        self.remove("chunked", "expected")

    def info(self):
        info = self.engine.api("GET", "/info")[1]
        for name, kind in (("OSType", str), ("Architecture", str), ("MemoryLimit", bool), ("CgroupDriver", str), ("CgroupVersion", str),
                           ("SecurityOptions", list), ("DockerRootDir", str), ("ServerVersion", str), ("Driver", str),
                           ("LoggingDriver", str), ("DefaultRuntime", str), ("NCPU", int), ("MemTotal", int), ("Containers", int)):
            assert isinstance(info[name], kind) and info[name] not in ("", 0) or name == "Containers", (name, info.get(name))
        assert info["CgroupDriver"] in ("cgroupfs", "systemd"), info
        assert all(info["Plugins"][kind] for kind in ("Network", "Volume", "Log")), info["Plugins"]
        check(info["Swarm"]["LocalNodeState"], "inactive", "swarm")


    def sctp(self):
        """A published SCTP port leads into the container; this kernel need not have sockets for it."""
        self.create("sctp", "sleep 1000", ExposedPorts={"7/sctp": {}}, HostConfig={"PortBindings": {
            "80/sctp": [{"HostPort": "9080"}], "81/sctp": [{"HostPort": ""}]}})
        got = self.engine.inspect("sctp")
        ports = got["NetworkSettings"]["Ports"]
        check((ports["80/sctp"][0]["HostPort"], ports["7/sctp"]), ("9080", None), "ports")
        other = self.post("/containers/create?name=second", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {
            "PortBindings": {"80/sctp": [{"HostPort": "9080"}]}}}, 201)["Id"]
        answer = self.post("/containers/%s/start" % other, status=500)
        assert "9080 failed: port is already allocated" in answer["message"], answer
        pid = got["State"]["Pid"]
        listener = subprocess.Popen(["nsenter", "--net=/proc/%d/ns/net" % pid, sys.executable, "-c", SCTP_LISTENER],
                                    stdout=subprocess.PIPE, text=True)
        try:
            check(listener.stdout.readline(), "ready\n", "the listener")
            for host_port, port in (9080, 80), (int(ports["81/sctp"][0]["HostPort"]), 81):
                with socket.socket(socket.AF_INET, socket.SOCK_RAW, 132) as sock:
                    sock.sendto(sctp_init(4000 + port, host_port), (got["NetworkSettings"]["Gateway"], 0))
                check(listener.stdout.readline(), "%d %d\n" % (4000 + port, port), "what arrives")
        finally:
            listener.kill()
            listener.wait()
            listener.stdout.close()
        self.remove("sctp", "second")


# Ports of the packets that come.
SCTP_LISTENER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
sock.settimeout(%d)
print("ready", flush=True)
while True:
    packet = sock.recv(65536)
    at = (packet[0] & 15) * 4
    print(int.from_bytes(packet[at:at + 2], "big"), int.from_bytes(packet[at + 2:at + 4], "big"), flush=True)
""" % vessel.TIMEOUT_S


def sctp_init(source, destination):
    """The first packet of an association (RFC 9260, 3.3.2)."""
    init = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65536, 1, 1, 1)
    crc = 0xffffffff
    for byte in struct.pack("!HHII", source, destination, 0, 0) + init:  # CRC-32C, reflected
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return struct.pack("!HHI", source, destination, 0) + struct.pack("<I", crc ^ 0xffffffff) + init


NAMES = ("ping", "errors", "bodies", "not_modified", "hijack", "frames", "half_close", "leaving", "stopped_attach", "run", "exit_codes", "execs",
         "resize", "images", "names", "events", "events_of_signals", "logs", "archive", "inspect", "status", "conflicts", "stop_signal",
         "untyped_inspect", "connections", "info", "sctp")


def main():
    with vessel.Suite() as suite:
        cases = Cases(suite.engine)
        cases.create("behave", "sleep 1000")
        for name in NAMES:
            suite.case(name, "behaviour: " + name.replace("_", " "), getattr(cases, name))
        cases.remove("behave")
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
