#!/usr/bin/python3
"""Containers created, started, exec'd in, stopped and removed by eight clients while vesseld is killed at random.

Each client owns its containers and knows what each of them must be.  A request that the kill cut off is asked
again, and may find that it was done.  Whatever else goes wrong is a failure: an answer that was not expected, a
request that hangs, a connection lost without a kill, a wrong state, exit code or log line, anything left behind.
"""

import collections
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

SOAK = os.environ.get("VESSEL_SOAK") == "1"
BOXES = int(os.environ.get("VESSEL_CHAOS_BOXES", 200 if SOAK else 20))
KILLS = int(os.environ.get("VESSEL_CHAOS_KILLS", 100 if SOAK else 6))
CLIENTS = 8
DEADLINE_S = 60  # of a request: far more than any takes, for a machine that does other things as well

PROGRAM = """
trap 'echo end; exit 7' TERM
trap 'echo user; exit 9' USR1
echo begin
while :; do sleep 1000 & wait $!; done
"""


class Failure(Exception):
    pass


class Daemon:
    """vesseld, which is killed and started again; who needs it waits until it is there."""

    def __init__(self, engine, seed):
        self.engine = engine
        self.random = random.Random(seed)
        self.up = threading.Event()
        self.kills = 0
        self.failed = threading.Event()
        self.done = threading.Event()

    def run(self):
        try:
            while self.kills < KILLS and not self.failed.is_set():
                self.failed.wait(self.random.uniform(0.05, 1.5))
                self.kill()
                if self.random.random() < 0.2:  # and again while it finds its containers
                    self.begin()
                    time.sleep(self.random.uniform(0, 0.15))
                    self.kill()
                self.engine.start()
                self.up.set()
        finally:
            self.done.set()
            self.up.set()

    def kill(self):
        self.up.clear()
        self.kills += 1  # before it can be seen
        self.engine.kill()

    def begin(self):
        """Start it without waiting for its first answer."""
        real, vessel.wait_until = vessel.wait_until, lambda *_: None
        try:
            self.engine.start()
        finally:
            vessel.wait_until = real


class Box:
    """What is known of one container."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.status = None  # of inspect; None: it must not be there
        self.code = 0
        self.lines, self.doubtful, self.serial = [], set(), 0
        self.stream = None


class Stream(threading.Thread):
    """An attached client or one that waits: its connection may outlive the daemon."""

    def __init__(self, sock, read):
        super().__init__(daemon=True)
        self.sock, self.read, self.out, self.problem = sock, read, None, None
        sock.settimeout(None)
        self.start()

    def run(self):
        try:
            self.out = self.read(self.sock)
        except (OSError, AssertionError, ValueError) as problem:
            self.problem = problem

    def result(self, what):
        self.join(DEADLINE_S)
        if self.is_alive():
            raise Failure("%s never ended" % what)
        return self.out


def read_wait(sock):
    """The chunked answer of /wait behind its head: the exit code; None if it broke off."""
    data = b""
    while True:
        more = sock.recv(4096)
        if not more:
            break
        data += more
        if b"\r\n0\r\n" in data:
            break
    start, end = data.find(b"{"), data.rfind(b"}")
    answer = json.loads(data[start:end + 1]) if start >= 0 else {"StatusCode": None}
    return answer["Error"] if answer.get("Error") else answer["StatusCode"]


class Client:
    def __init__(self, number, daemon, boxes, seed):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.number, self.daemon_, self.engine, self.boxes = number, daemon, daemon.engine, boxes
        self.random = random.Random(seed)
        self.count = collections.Counter()
        self.trace = collections.deque(maxlen=12)
        self.problem = None

    def run(self):
        box = None
        try:
            while not self.daemon_.done.is_set() and not self.daemon_.failed.is_set():
                box = self.random.choice(self.boxes)
                self.step(box)
        except Exception as problem:  # noqa: reported by the test, which ends by it
            self.problem = "client %d, %s: %s: %s\n  before: %s" % (
                self.number, box.name, type(problem).__name__, problem, "; ".join(self.trace))
            self.daemon_.failed.set()

    # Requests ----------------------------------------------------------------------------------

    def wait_up(self):
        """Until vesseld answers; how often it had been killed by then."""
        while True:
            kills = self.daemon_.kills
            if not self.daemon_.up.wait(DEADLINE_S):
                raise Failure("vesseld did not come back")
            # Whoever waits may be told of it late, when it has been killed once more.
            if self.daemon_.up.is_set() and self.daemon_.kills == kills:
                return kills

    def once(self, act):
        """What act answers, or None when the daemon died under it."""
        kills = self.wait_up()
        try:
            return act()
        except TimeoutError:
            raise Failure("a request hangs")
        except (OSError, http.client.HTTPException, AssertionError) as problem:
            if self.daemon_.kills == kills and self.daemon_.up.is_set():
                raise Failure("lost without a kill: %r" % problem)
            return None

    def request(self, method, path, body=None):
        def act():
            connection = self.engine.connection("unix")
            connection.timeout = DEADLINE_S
            try:
                connection.request(method, path, json.dumps(body) if body is not None else None,
                                   {"Content-Type": "application/json"} if body is not None else {})
                answer = connection.getresponse()
                data = answer.read()
                if answer.status == 101:  # the stream of an exec, to its end
                    data = connection.sock.recv(1 << 20) if connection.sock else data
                return answer.status, data
            finally:
                connection.close()
        answer = self.once(act)
        self.trace.append("%s %s: %s" % (method, path[:80], answer and answer[0]))
        return answer

    def insist(self, method, path, wanted, again=(), body=None):
        """Until it is answered; `again` are answers to a second one, of what the first one did."""
        allowed, cut = tuple(wanted), False
        while True:
            answer = self.request(method, path, body)
            if answer is None:
                allowed, cut = tuple(wanted) + tuple(again), True
                self.count["cut off"] += 1
                continue
            if answer[0] not in allowed:
                raise Failure("%s %s: %d %s%s" % (method, path, answer[0], answer[1][:200],
                                                  " (asked again)" if cut else ""))
            return answer[0], answer[1]

    def open(self, path, head):
        """POST whose connection is kept; the socket behind the head, None when the daemon died."""
        def act():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(DEADLINE_S)
            sock.connect(self.engine.socket)
            sock.sendall(("POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (path, head)).encode())
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                byte = sock.recv(1)
                if not byte:
                    raise ConnectionError("closed in the head")
                data += byte
            return sock, int(data.split()[1])
        answer = self.once(act)
        self.trace.append("%s: %s" % (path[:80], answer and answer[1]))
        return answer and answer[0]

    def inspect(self, box):
        status, data = self.insist("GET", "/containers/%s/json" % box.name, (200, 404))
        return json.loads(data) if status == 200 else None

    def logs(self, box):
        data = self.insist("GET", "/containers/%s/logs?stdout=1&stderr=1" % box.name, (200,))[1]
        lines, at = [], 0
        while at < len(data):
            size = int.from_bytes(data[at + 4:at + 8], "big")
            lines.append(data[at + 8:at + 8 + size].decode().rstrip("\n"))
            at += 8 + size
        return lines

    # What is true ------------------------------------------------------------------------------

    def check(self, box):
        found = self.inspect(box)
        status = found and found["State"]["Status"]
        if status != box.status:
            raise Failure("is %s, must be %s" % (status, box.status))
        if status == "exited" and found["State"]["ExitCode"] != box.code:
            raise Failure("exit code %d, must be %d" % (found["State"]["ExitCode"], box.code))
        if status == "running" and not os.path.exists("/proc/%d" % found["State"]["Pid"]):
            raise Failure("runs without a process")
        return found

    def check_log(self, box):
        lines = self.logs(box)
        twice = [line for line in box.doubtful if lines.count(line) > 1]
        there = [line for line in lines if line not in box.doubtful]
        if there != box.lines or twice:
            raise Failure("log is %r, must be %r, doubtful %r" % (there, box.lines, box.doubtful))

    # Steps -------------------------------------------------------------------------------------

    def step(self, box):
        steps = {
            None: [self.create],
            "created": [self.start, self.start, self.start, self.remove],
            "running": [self.exec, self.exec, self.exec, self.client_exec, self.stop, self.signal, self.restart,
                        self.remove, self.look],
            "exited": [self.start, self.start, self.remove, self.look],
        }[box.status]
        act = self.random.choice(steps)
        self.count[act.__name__] += 1
        act(box)

    def create(self, box):
        body = {"Image": "busybox", "Cmd": ["sh", "-c", PROGRAM]}
        body.update(box.options)
        self.insist("POST", "/containers/create?name=" + box.name, (201,), (409,), body)
        box.status, box.code, box.lines, box.doubtful = "created", 0, [], set()
        self.check(box)

    def start(self, box):
        before, kills = box.status, self.daemon_.kills
        stream = self.open("/containers/%s/attach?stream=1&stdout=1&stderr=1" % box.name,
                           "Connection: Upgrade\r\nUpgrade: tcp\r\n") if self.random.random() < 0.5 else None
        if stream:
            stream = Stream(stream, vessel.read_frames)
        self.insist("POST", "/containers/%s/start" % box.name, (204,), (304,))
        box.stream = stream if self.daemon_.kills == kills else None
        self.begun(box, before)

    def begun(self, box, before):
        """Wait for its first line: the program minds signals from there on."""
        box.status = "running"
        box.lines.append("begin")
        deadline = time.monotonic() + DEADLINE_S
        while sum(line == "begin" for line in self.logs(box)) < box.lines.count("begin"):
            if time.monotonic() > deadline:
                raise Failure("never began, was %s: %r" % (before, self.logs(box)))
            time.sleep(0.02)
        self.check(box)

    def ended(self, box, code, line=None):
        box.status, box.code = "exited", code
        if line:
            box.lines.append(line)
        found = self.check(box)
        if found["State"]["FinishedAt"] < found["State"]["StartedAt"]:
            raise Failure("ended before it started: %s" % found["State"])
        self.check_log(box)
        if box.stream:  # it was handed to the shim before the start: no kill takes it away
            out = box.stream.result("attached stream")
            lines = (out and out[0].decode().splitlines()) or []
            wanted = box.lines[len(box.lines) - box.lines[::-1].index("begin") - 1:]
            if [each for each in lines if each not in box.doubtful] != wanted:
                raise Failure("attached client saw %r, must be %r (%r)" % (lines, wanted, box.stream.problem))
        box.stream = None

    def line(self, box):
        box.serial += 1
        return "line %d" % box.serial

    def exec(self, box):
        """A line of the log that an exec writes, and its exit code."""
        line, code = self.line(box), self.random.randrange(2, 100)
        answer = self.request("POST", "/containers/%s/exec" % box.name, {
            "AttachStdout": True, "Cmd": ["sh", "-c", "echo '%s' >/proc/1/fd/1; exit %d" % (line, code)]})
        if answer is None:
            return
        if answer[0] != 201:
            raise Failure("exec create: %d %s" % answer)
        exec_id = json.loads(answer[1])["Id"]
        kills = self.daemon_.kills
        answer = self.request("POST", "/exec/%s/start" % exec_id, {"Detach": False, "Tty": False})
        if answer is None or (self.daemon_.kills != kills and line not in self.logs(box)):
            box.doubtful.add(line)  # the answer's head comes before the exec
            self.count["cut off"] += 1
            self.settle(box, exec_id, code)
            return
        if answer[0] != 200:
            raise Failure("exec start: %d %s" % answer)
        if line not in self.logs(box):  # the connection outlives the daemon: its end is the exec's
            raise Failure("the line of an exec that has ended is not in the log: %r" % (answer,))
        box.lines.append(line)
        self.settle(box, exec_id, code)

    def settle(self, box, exec_id, code):
        """An exec that was started has ended with its code, now or in a moment; else it never began."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            found = json.loads(self.insist("GET", "/exec/%s/json" % exec_id, (200,))[1])
            if not found["Running"]:
                break
            if time.monotonic() > deadline:
                raise Failure("an exec never ends: %s" % found)
            time.sleep(0.02)
        if found["ExitCode"] not in (code, None):
            raise Failure("exec's exit code %s, must be %d" % (found["ExitCode"], code))
        if found["ExitCode"] is None and not box.doubtful:
            raise Failure("exec was answered but did not run")

    def client_exec(self, box):
        """The same with the docker client."""
        line, code = self.line(box), self.random.randrange(2, 100)
        kills = self.wait_up()
        try:
            done = self.engine.docker("exec", box.name, "sh", "-c",
                                      "echo '%s' >/proc/1/fd/1; exit %d" % (line, code), check=False)
        except subprocess.TimeoutExpired:
            raise Failure("docker exec hangs")
        self.trace.append("docker exec: %d" % done.returncode)
        if done.returncode == code:
            box.lines.append(line)
        elif self.daemon_.kills != kills or not self.daemon_.up.is_set():
            box.doubtful.add(line)
        else:
            raise Failure("docker exec: %d, must be %d: %s" % (done.returncode, code, done.stderr))

    def waiting(self, box):
        sock = self.open("/containers/%s/wait?condition=next-exit" % box.name, "Content-Length: 0\r\n")
        return sock and Stream(sock, read_wait)

    def waited(self, waiter, kills, code):
        if not waiter:
            return
        found = waiter.result("a request to wait")
        if found is None and self.daemon_.kills == kills:
            raise Failure("a request to wait was not answered: %r" % waiter.problem)
        if found is not None and found != code:
            raise Failure("wait said %s, must be %d" % (found, code))
        self.count["waited"] += found is not None

    def stop(self, box):
        kills, waiter = self.daemon_.kills, self.waiting(box)
        self.insist("POST", "/containers/%s/stop?t=%d" % (box.name, DEADLINE_S), (204,), (304,))
        self.ended(box, 7, "end")
        self.waited(waiter, kills, 7)

    def signal(self, box):
        name, code, line = self.random.choice((("USR1", 9, "user"), ("KILL", 137, None)))
        kills, waiter = self.daemon_.kills, self.waiting(box)
        self.insist("POST", "/containers/%s/kill?signal=%s" % (box.name, name), (204,), (409,))
        self.insist("POST", "/containers/%s/wait" % box.name, (200,))
        self.ended(box, code, line)
        self.waited(waiter, kills, code)

    def restart(self, box):
        """Cut off, nobody knows whether it was done."""
        answer = self.request("POST", "/containers/%s/restart?t=%d" % (box.name, DEADLINE_S))
        box.stream = None
        if answer is None:
            self.count["cut off"] += 1
            self.insist("POST", "/containers/%s/stop?t=%d" % (box.name, DEADLINE_S), (204, 304))
            box.status, box.code = "exited", 7
            lines = self.logs(box)
            if len(lines) == len(box.lines) + len(box.doubtful) + 3:
                box.lines += ["end", "begin"]
            elif lines and lines[-1] == "begin":
                raise Failure("ended without a word")
            # It may have been stopped before its second run could say anything.
            found = self.inspect(box)["State"]
            if found["Status"] != "exited" or found["ExitCode"] not in (7, 143, 137):
                raise Failure("after a restart: %s" % found)
            box.code = found["ExitCode"]
            box.lines = [line for line in lines if line not in box.doubtful]
            return
        if answer[0] != 204:
            raise Failure("restart: %d %s" % answer)
        box.lines.append("end")
        self.begun(box, "restarted")

    def remove(self, box):
        if box.status == "running":
            self.check_log(box)
        self.insist("DELETE", "/containers/%s?force=1&v=1" % box.name, (204,), (404,))
        if box.stream:
            box.stream.result("attached stream")
        box.status, box.stream = None, None
        self.check(box)

    def look(self, box):
        self.check(box)
        self.check_log(box)
        status, data = self.insist("GET", "/containers/json?all=1", (200,))
        names = {name[1:] for each in json.loads(data) for name in each["Names"]}
        for mine in self.boxes:
            if (mine.name in names) != (mine.status is not None):
                raise Failure("list %s %s" % ("has" if mine.name in names else "lacks", mine.name))
        if box.status == "running":
            self.insist("GET", "/containers/%s/stats?stream=0&one-shot=1" % box.name, (200,))
            self.insist("GET", "/containers/%s/top" % box.name, (200,))


def options(number):
    """Every third has a network of the user's, every fifth a published port, every seventh a volume."""
    host = {}
    if number % 3 == 0:
        host["NetworkMode"] = "net"
    if number % 5 == 0:
        host["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1"}]}
    if number % 7 == 0:
        host["Mounts"] = [{"Type": "volume", "Target": "/data"}]
    return {"HostConfig": host, "ExposedPorts": {"80/tcp": {}}}


def chaos(engine, seed):
    daemon = Daemon(engine, seed)
    boxes = [Box("box%d" % i, options(i)) for i in range(BOXES)]
    clients = [Client(i, daemon, boxes[i::CLIENTS], seed + i + 1) for i in range(CLIENTS)]
    daemon.up.set()
    for client in clients:
        client.thread.start()
    daemon.run()
    for client in clients:
        client.thread.join(4 * DEADLINE_S)
        if client.thread.is_alive():
            raise Failure("client %d never ends" % client.number)
    problems = [client.problem for client in clients if client.problem]
    if problems:
        raise Failure("seed %d:\n%s" % (seed, "\n".join(problems)))
    total = sum((client.count for client in clients), collections.Counter())
    print("# %d kills; %s" % (daemon.kills, ", ".join("%s %d" % each for each in sorted(total.items()))))
    return clients


def finish(clients, engine):
    """All is as it must be once the storm is over; then everything goes."""
    status, listed = engine.api("GET", "/containers/json?all=1")
    wanted = {box.name: box.status for client in clients for box in client.boxes if box.status}
    found = {each["Names"][0][1:]: each["State"] for each in listed}
    assert status == 200 and found == wanted, "found %r, must be %r" % (found, wanted)
    for client in clients:
        for box in client.boxes:
            client.check(box)
            if box.status:
                client.check_log(box)
                client.remove(box)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    seed = int(os.environ.get("VESSEL_CHAOS_SEED", time.time_ns() % 1000000))
    engine = vessel.Engine()
    clients = []

    def residue():
        left = audit.check()
        assert not left, "left behind: " + "; ".join(left)
        status, volumes = engine.api("GET", "/volumes")
        assert status == 200 and not volumes["Volumes"], volumes

    try:
        engine.start()
        engine.import_busybox()
        engine.docker("network", "create", "net")
        audit = vessel.Audit(engine)
        print("# seed %d" % seed, flush=True)
        tap.case("%d containers, %d clients, %d kills" % (BOXES, CLIENTS, KILLS),
                 lambda: clients.extend(chaos(engine, seed)))
        if clients:
            tap.case("nothing lost", finish, clients, engine)
            tap.case("nothing left", residue)
        if tap.failed and os.environ.get("VESSEL_TEST_VERBOSE"):
            with open(os.environ["VESSEL_TEST_VERBOSE"], "w") as f:
                f.write(engine.log_text())
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
