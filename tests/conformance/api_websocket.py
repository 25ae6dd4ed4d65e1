#!/usr/bin/python3
"""Attach over a WebSocket: the handshake, both directions, ping, close, half a stream, refusals; docker-py as a client."""

import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def frame(opcode, payload, fin=True, masked=True):
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    mask = b"\x11\x22\x33\x44"
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class Client:
    def __init__(self, engine, path, transport="unix", headers="", key=KEY, version="13", early=b""):
        connection = engine.connection(transport)
        connection.connect()
        self.sock, self.buffer = connection.sock, b""
        host = "127.0.0.1:%d" % engine.tcp_port
        head = "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" % (path, host)
        if key:
            head += "Sec-WebSocket-Key: %s\r\n" % key
        if version:
            head += "Sec-WebSocket-Version: %s\r\n" % version
        self.sock.sendall((head + headers + "\r\n").encode() + early)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.exactly(1)
        lines = answer.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines[1:] if line}

    def exactly(self, size):
        while len(self.buffer) < size:
            data = self.sock.recv(65536)
            assert data, "the connection ended"
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, opcode, payload, **options):
        self.sock.sendall(frame(opcode, payload, **options))

    def frame(self):
        first, size = self.exactly(2)
        assert first & 0x70 == 0 and not size & 0x80, "reserved bits, or a mask from a server"
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.exactly(8))[0]
        return first & 0x0f, self.exactly(size)

    def until(self, *texts):
        """What comes in messages until each of `texts` was in it."""
        said = b""
        while not all(text in said for text in texts):
            opcode, payload = self.frame()
            assert opcode in (TEXT, BINARY), (opcode, payload)
            said += payload
        return said

    def to_end(self, answer=True):
        """All messages until the server closes; then its code, and the end of the connection."""
        said = b""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                if answer:
                    self.send(CLOSE, payload)
                check(self.sock.recv(1), b"", "what follows the close")
                self.sock.close()
                return said, struct.unpack(">H", payload)[0]
            said += payload


class Cases:
    def __init__(self, engine):
        self.engine = engine

    def create(self, command, start=True, **config):
        body = dict(Image="busybox", Cmd=["sh", "-c", command], OpenStdin=True, HostConfig={"Init": True}, **config)
        status, answer = self.engine.api("POST", "/containers/create", body)
        check(status, 201, answer)
        if start:
            check(self.engine.api("POST", "/containers/%s/start" % answer["Id"])[0], 204, "start")
        return answer["Id"]

    def remove(self, cid):
        check(self.engine.api("DELETE", "/containers/%s?force=1" % cid)[0], 204, "remove")

    def attach(self, cid, query="stream=1&stdin=1&stdout=1&stderr=1", prefix="", **options):
        return Client(self.engine, "%s/containers/%s/attach/ws?%s" % (prefix, cid, query), **options)

    def both_ways(self):
        for transport in ("unix", "tcp"):
            cid = self.create("read a; echo got $a; echo bad >&2; read b; echo got $b; exit 0")
            ws = self.attach(cid, transport=transport, early=frame(TEXT, b"early\n"))
            check((ws.status, ws.headers["sec-websocket-accept"]), (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the handshake")
            said = ws.until(b"bad\n", b"early\n")
            check(sorted(said.split(b"\n")), [b"", b"bad", b"got early"], "both streams, without heads")
            ws.send(BINARY, b"in ", fin=False)
            ws.send(PING, b"are you there?")
            check(ws.frame(), (PONG, b"are you there?"), "a pong")
            ws.send(0, b"parts\n")
            check(ws.to_end(), (b"got in parts\n", 1000), "the end")
            self.remove(cid)

    def before_the_start(self):
        cid = self.create("echo first; exit 0", start=False)
        ws = self.attach(cid)
        self.engine.api("POST", "/containers/%s/start" % cid)
        check(ws.to_end(), (b"first\n", 1000), "what it said")
        self.remove(cid)

    def log(self):
        cid = self.create("echo first; read a")
        vessel.wait_until("it was said", lambda: self.engine.api("GET", "/containers/%s/logs?stdout=1" % cid)[1])
        ws = self.attach(cid, "logs=1&stdout=1")
        check(ws.to_end(), (b"first\n", 1000), "its log")
        check(self.engine.api("POST", "/containers/%s/kill" % cid)[0], 204, "kill")
        check(self.engine.api("POST", "/containers/%s/wait" % cid)[0], 200, "wait")
        ws = self.attach(cid, "logs=1&stdout=1")
        check(ws.to_end(), (b"first\n", 1000), "its log when it does not run")
        self.remove(cid)

    def much(self):
        cid = self.create("head -c 3000000 /dev/zero | tr '\\0' x; cat >/tmp/in; wc -c </tmp/in; cat /tmp/in | md5sum",
                          start=False, StdinOnce=True)
        ws = self.attach(cid)
        self.engine.api("POST", "/containers/%s/start" % cid)
        size = 0
        while size < 3000000:
            opcode, payload = ws.frame()
            check((opcode, payload.strip(b"x")), (BINARY, b""), "a frame")
            size += len(payload)
        check(size, 3000000, "bytes")
        for n in (1, 125, 126, 65535, 65536, 200000):
            ws.send(BINARY, b"y" * n)
        ws.send(CLOSE, struct.pack(">H", 1000))
        check(ws.to_end(answer=False)[1], 1000, "the answer to a close")
        vessel.wait_until("it ends with its input", lambda: not self.engine.inspect(cid)["State"]["Running"])
        log = self.engine.api("GET", "/containers/%s/logs?stdout=1&tail=2" % cid)[1]
        assert str(1 + 125 + 126 + 65535 + 65536 + 200000).encode() in log, log
        self.remove(cid)

    def terminal(self):
        cid = self.create("read a; echo got $a", Tty=True)
        ws = self.attach(cid, "stream=1&stdin=1&stdout=1", prefix="/v1.27")
        ws.send(TEXT, b"typed\n")
        opcode, payload = ws.frame()
        check(opcode, TEXT, "text below 1.28")
        said = payload + ws.to_end()[0]
        assert b"got typed\r\n" in said, said
        self.remove(cid)

    def leaving(self):
        cid = self.create("while :; do echo on; sleep 0.05; done")
        for how in ("close", "reset", "half"):
            ws = self.attach(cid)
            ws.until(b"on")
            if how == "close":
                ws.send(CLOSE, b"")
                while ws.frame()[0] != CLOSE:
                    pass
            if how == "half":
                ws.sock.shutdown(socket.SHUT_WR)
            ws.sock.close()
        keys = self.attach(cid, "stream=1&stdin=1&stdout=1&detachKeys=x")
        keys.until(b"on")
        assert self.engine.inspect(cid)["State"]["Running"], "it goes on without them"
        keys.sock.close()
        self.remove(cid)

    def what_is_no_websocket(self):
        cid = self.create("sleep 1000")
        check(self.engine.api("GET", "/containers/%s/attach/ws?stream=1" % cid)[0], 400, "a plain request")
        check(self.attach(cid, key=None).status, 400, "no key")
        check(self.attach(cid, key="short").status, 400, "a bad key")
        old = self.attach(cid, version="8")
        check((old.status, old.headers["sec-websocket-version"]), (426, "13"), "another version")
        check(self.attach("nothing").status, 404, "no such container")
        check(self.attach(cid, "detachKeys=ctrl-,").status, 400, "bad keys")
        check(self.attach(cid, transport="tcp", headers="Origin: http://elsewhere.example\r\n").status, 403, "a page from elsewhere")
        check(self.attach(cid, transport="tcp", headers="Origin: http://127.0.0.1:%d\r\n" % self.engine.tcp_port).status, 101,
              "a page of the same origin")
        for bad in (frame(BINARY, b"x", masked=False), b"\xc2\x80", frame(0, b"x"), b"\x89\xfe"):
            ws = self.attach(cid)
            ws.sock.sendall(bad)
            check(ws.frame(), (CLOSE, struct.pack(">H", 1002)), "after %r" % bad)
            check(ws.sock.recv(1), b"", "then")
        self.remove(cid)

    def docker_py(self):
        sys.path.insert(0, os.path.join(vessel.TOP, "build/peers/python3-docker/usr/lib/python3/dist-packages"))
        import docker
        client = docker.DockerClient(base_url=self.engine.host("tcp"))
        c = client.containers.create("busybox", ["sh", "-c", "read a; echo got $a"], stdin_open=True)
        ws = c.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1}, ws=True)
        c.start()
        ws.send("over\n")
        check(ws.recv(), b"got over\n", "the answer")
        ws.close()
        c.remove(force=True)
        client.close()


NAMES = ("both_ways", "before_the_start", "log", "much", "terminal", "leaving", "what_is_no_websocket", "docker_py")


def main():
    with vessel.Suite() as suite:
        cases = Cases(suite.engine)
        for name in NAMES:
            suite.case(name, "websocket: " + name.replace("_", " "), getattr(cases, name))
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
