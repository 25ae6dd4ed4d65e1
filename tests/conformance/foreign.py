#!/usr/bin/python3
"""Containers made by other OCI runtimes: runc and crun, old and new, vessel-runtime, and programs that fail.

What a client sees must be as with our own; and whatever a program does, nothing of it is left.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

PEERS = os.path.join(vessel.TOP, "build/peers")
PROGRAMS = {
    "runc-1.1": PEERS + "/docker-20.10/usr/sbin/runc",
    "runc-1.3": PEERS + "/runtimes/usr/sbin/runc",
    "crun": PEERS + "/runtimes/usr/bin/crun",
    "own": vessel.BIN + "/vessel-runtime",
}
MAIN = "runc-1.3"
# crun knows no host with both versions of cgroups: it is shown one of them.
CRUN = 'exec unshare --mount sh -c \'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$0" "$@"\' "$0" "$@"'
# In place of a runtime; arguments: PROGRAM DIRECTORY OPTIONS... COMMAND...
# "says": fails with a line on stderr; "logs": fails with a line in the log; "waits": tells that it has come as far as
# the command in DIRECTORY/wait, and goes no further.
FAKE = r"""
program=$1 directory=$2; shift 2
for word; do case $word in create|start|exec|kill|pause|resume|update|delete) command=$word; break;; esac; done
case $0 in
says) [ $command = delete ] || { echo "some output"; echo "this runtime cannot $command" >&2; exit 3; };;
logs) [ $command = delete ] || { echo '{"level":"warning","msg":"not this"}
{"level":"error","msg":"cannot '$command' it","time":"2026-01-01T00:00:00Z"}' >"$4"; exit 1; };;
partly) case $command in pause|update|exec) echo "no $command here" >&2; exit 1;; esac;;
mute) [ $command = create ] && exit 0;;
waits) [ ! -e "$directory/wait-$command" ] || { echo $$ >"$directory/pid"; mv "$directory/pid" "$directory/waiting"; exec sleep 1000; };;
dies) [ ! -e "$directory/die-$command" ] || { "$program" "$@"; kill -9 $$; };;
esac
exec "$program" "$@"
"""
FAKES = ("says", "logs", "partly", "mute", "waits", "dies")
LOOP = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done"


class Cases:
    def __init__(self, engine):
        self.engine = engine
        self.directory = engine.root

    def docker(self, *args, **rest):
        return self.engine.docker(*args, **rest).stdout

    def code(self, *args):
        done = self.engine.docker(*args, check=False)
        return done.returncode, done.stderr

    def state(self, name):
        return self.engine.inspect(name)["State"]

    def await_status(self, name, status):
        vessel.wait_until("%s is %s" % (name, status), lambda: self.state(name)["Status"] == status)

    def await_log(self, name, text):
        vessel.wait_until("'%s' in the log" % text, lambda: text in self.docker("logs", name))

    def loop(self, runtime, *args):
        self.docker("run", "-d", "--name", "box", "--runtime", runtime, *args, "busybox", "sh", "-c", LOOP)
        self.await_log("box", "ready")

    @staticmethod
    def parent(pid):
        """The shim, of process 1 and of a runtime's program."""
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rpartition(")")[2].split()[1])

    def fails(self, text, *args):
        code, said = self.code(*args)
        assert code != 0 and text in said, (code, said)
        return code

    # On each runtime ---------------------------------------------------------------------------

    def life(self, runtime):
        done = self.engine.docker("run", "-i", "--name", "box", "--runtime", runtime, "--hostname", "inside", "-e", "X=y", "busybox",
                                  "sh", "-c", "cat; hostname; echo $X; echo error >&2; exit 3", input=b"input\n", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, "input\ninside\ny\n", "error\n"), done
        assert self.docker("logs", "box") == "input\ninside\ny\n"
        box = self.engine.inspect("box")
        assert box["HostConfig"]["Runtime"] == runtime and box["State"]["ExitCode"] == 3
        # its own layers, written through the program's mount
        self.docker("rm", "box")
        self.loop(runtime, "-t", "--memory", "64m", "-v", "data:/data", "--read-only", "--tmpfs", "/tmp")
        assert self.docker("exec", "box", "sh", "-c", "echo kept >/data/file; cat /proc/1/comm") == "sh\n"
        assert self.docker("exec", "-t", "box", "tty") == "/dev/pts/1\r\n"
        assert self.code("exec", "box", "sh", "-c", "exit 9")[0] == 9
        assert self.engine.api("POST", "/containers/box/resize?h=33&w=99")[0] == 200
        assert self.docker("exec", "box", "stty", "-F", "/dev/pts/0", "size") == "33 99\n"
        assert self.fails("OCI runtime exec failed", "exec", "box", "/no/such") == 127
        assert "echo ready" in self.docker("top", "box")
        self.docker("update", "--memory", "48m", "--memory-swap", "64m", "box")
        assert self.engine.api("GET", "/containers/box/stats?stream=0&one-shot=1")[1]["memory_stats"]["limit"] == 48 << 20
        self.docker("pause", "box")
        assert self.state("box")["Status"] == "paused"
        self.docker("unpause", "box")
        self.docker("stop", "-t", "100", "box")
        assert self.state("box")["ExitCode"] == 5 and "bye" in self.docker("logs", "box")
        self.docker("start", "box")  # once more, and from the freezer into death
        self.docker("pause", "box")
        self.docker("kill", "box")
        assert self.docker("wait", "box") == "137\n"

    def not_found(self, runtime):
        code, said = self.code("run", "--name", "box", "--runtime", runtime, "busybox", "/no/such")
        assert "OCI runtime create failed: " in said and "/no/such" in said, said
        state = self.state("box")
        assert (state["Status"], state["ExitCode"]) == ("created", 127) and "/no/such" in state["Error"], state
        assert self.docker("logs", "box") == "", "the runtime's words in the log"

    # On one ------------------------------------------------------------------------------------

    def files(self):
        self.loop(MAIN)
        source = self.directory + "/sent"
        with open(source, "w") as f:
            f.write("sent\n")
        self.docker("cp", source, "box:/root/sent")
        assert self.docker("exec", "box", "cat", "/root/sent") == "sent\n"
        assert "A /root/sent" in self.docker("diff", "box")
        self.docker("commit", "box", "committed")
        assert self.docker("run", "--rm", "--runtime", MAIN, "committed", "cat", "/root/sent") == "sent\n"

    def ports(self):
        port = vessel.Engine.free_port()
        self.docker("network", "create", "backend")
        self.docker("run", "-d", "--name", "box", "--runtime", MAIN, "--network", "backend", "-p", "127.0.0.1:%d:80" % port, "busybox",
                    "httpd", "-f", "-p", "80", "-h", "/www")

        def page():
            with contextlib.suppress(OSError):
                with urllib.request.urlopen("http://127.0.0.1:%d/index.html" % port, timeout=vessel.TIMEOUT_S) as answer:
                    return answer.read()
        assert vessel.wait_until("it serves", page) == b"hello\n"
        assert self.docker("run", "--rm", "--runtime", MAIN, "--network", "backend", "busybox", "wget", "-qO-", "http://box/") == "hello\n"
        # into the namespaces of a container that our own runtime made, and the other way round
        joined = ("--network", "container:box", "--pid", "container:box", "busybox", "wget", "-qO-", "http://127.0.0.1/")
        assert self.docker("run", "--rm", *joined) == "hello\n"
        self.docker("run", "-d", "--name", "ours", "busybox", "httpd", "-f", "-p", "80", "-h", "/www")
        self.engine.wait_listening("ours")
        assert self.docker("run", "--rm", "--runtime", MAIN, *(a.replace(":box", ":ours") for a in joined)) == "hello\n"

    def terminals(self):
        """An exec's terminal has its size from the beginning; keys go in, and attach sees what comes out."""
        self.loop(MAIN, "-t")
        body = {"Cmd": ["sh", "-c", "stty size; read x; echo got $x"], "Tty": True, "AttachStdin": True, "AttachStdout": True,
                "ConsoleSize": [21, 43]}
        exec_id = self.engine.api("POST", "/containers/box/exec", body)[1]["Id"]
        with self.engine.attach("/exec/%s/start" % exec_id, body={"Tty": True, "ConsoleSize": [21, 43]}) as sock:
            sock.sendall(b"word\r")
            seen = b""
            while chunk := sock.recv(65536):
                seen += chunk
        assert b"21 43\r\n" in seen and b"got word\r\n" in seen, seen
        with self.engine.attach("/containers/box/attach?stream=1&stdout=1") as sock:
            self.docker("stop", "-t", "100", "box")
            seen = b""
            while chunk := sock.recv(65536):
                seen += chunk
        assert seen == b"bye\r\n" and self.state("box")["ExitCode"] == 5, seen

    def with_init(self):
        self.docker("run", "-d", "--init", "--name", "box", "--runtime", MAIN, "busybox", "sleep", "1000")
        vessel.wait_until("it runs", lambda: "sleep" in self.docker("top", "box", "-o", "pid,comm"))
        assert "docker-init" in self.docker("exec", "box", "cat", "/proc/1/cmdline")
        self.docker("stop", "-t", "100", "box")
        assert self.state("box")["ExitCode"] == 143

    def memory(self):
        code, _ = self.code("run", "--name", "box", "--runtime", MAIN, "--memory", "16m", "--memory-swap", "16m", "busybox", "sh", "-c",
                            "tail /dev/zero; exit $?")
        assert code == 137 and self.state("box")["OOMKilled"], (code, self.state("box"))

    def restarts(self):
        self.code("run", "--name", "box", "--runtime", MAIN, "--restart", "on-failure:2", "busybox", "sh", "-c", "echo again; exit 1")
        vessel.wait_until("it gives up", lambda: self.engine.inspect("box")["RestartCount"] == 2 and self.state("box")["Status"] == "exited")
        assert self.docker("logs", "box") == "again\n" * 3

    def health(self):
        self.docker("run", "-d", "--name", "box", "--runtime", MAIN, "--health-cmd", "echo well", "--health-interval", "50ms", "busybox",
                    "sleep", "1000")
        vessel.wait_until("it is well", lambda: self.state("box")["Health"]["Status"] == "healthy")
        assert self.state("box")["Health"]["Log"][-1]["Output"] == "well\n"

    def shared_volume(self):
        """A mount that the container makes reaches the host, and the layers' does not."""
        place = self.directory + "/shared"
        os.mkdir(place)
        script = ("set -e; mount -t tmpfs tmpfs %s; mount --make-shared %s; trap 'umount -R %s' EXIT; %s run --rm --privileged --runtime %s "
                  "-v %s:/s:rshared busybox sh -c 'mkdir /s/m; mount -t tmpfs tmpfs /s/m; : >/s/m/file'; test -e %s/m/file; "
                  "! grep /bundle/ /proc/self/mountinfo" % (place, place, place, vessel.DOCKER, MAIN, place, place))
        done = subprocess.run(["nsenter", "--mount=/proc/%d/ns/mnt" % self.engine.daemon.pid, "sh", "-c", script], capture_output=True,
                              env=self.engine.environment(), text=True)
        assert done.returncode == 0, done

    def names(self):
        self.fails("unknown or invalid runtime name: nothing", "create", "--runtime", "nothing", "busybox", "true")
        self.fails("runtimeType: 'io.containerd.kata.v2' is not implemented", "create", "--runtime", "kata", "busybox", "true")
        self.fails("OCI runtime create failed: fork/exec /no/such/runtime: no such file or directory: unknown", "run", "--name", "box", "--runtime", "missing", "busybox", "true")
        assert self.state("box")["ExitCode"] == 127
        assert self.docker("run", "--rm", "--runtime", "by-type", "busybox", "echo", "typed") == "typed\n"
        for name in ("vessel", "runc", "io.containerd.runc.v2"):
            assert self.docker("run", "--rm", "--runtime", name, "busybox", "echo", "own") == "own\n"
        info = self.engine.api("GET", "/info")[1]
        assert set(PROGRAMS) < set(info["Runtimes"]) and info["DefaultRuntime"] == "vessel", info["Runtimes"]

    # What goes wrong ---------------------------------------------------------------------------

    def failures(self):
        self.fails("OCI runtime create failed: this runtime cannot create: unknown", "run", "--name", "box", "--runtime", "says", "busybox", "true")
        assert self.docker("logs", "box") == ""
        assert self.state("box")["Status"] == "created"
        self.docker("rm", "box")
        self.fails("OCI runtime create failed: cannot create it: unknown", "run", "--runtime", "logs", "busybox", "true")
        self.fails("pid file", "run", "--runtime", "mute", "busybox", "true")
        self.loop("partly")
        for command in ("pause", "update --memory 1g --memory-swap 2g"):
            word, *rest = command.split()
            self.fails("OCI runtime %s failed: no %s here" % (word, word), word, *rest, "box")
        self.fails("OCI runtime exec failed: no exec here", "exec", "box", "true")
        assert self.state("box")["Status"] == "running"
        self.docker("stop", "-t", "100", "box")
        assert self.state("box")["ExitCode"] == 5

    def killed_program(self):
        """By its own hand, when it has done its work: what it made goes, and the next one is not disturbed."""
        self.docker("create", "--name", "box", "--runtime", "dies", "busybox", "sh", "-c", LOOP)
        for command in ("create", "start"):
            self.touch("die-" + command)
            self.fails("OCI runtime %s failed: " % command, "start", "box")
            os.unlink(self.directory + "/die-" + command)
            vessel.wait_until("nothing runs", lambda: not self.engine.processes())
        self.docker("start", "box")
        self.await_log("box", "ready")
        self.touch("die-kill")
        self.docker("kill", "box")  # nobody is left to say no
        assert self.docker("wait", "box") == "137\n"
        os.unlink(self.directory + "/die-kill")

    def touch(self, name):
        with open(self.directory + "/" + name, "w"):
            pass

    def start_waiting(self, command):
        """`docker start` as far as the command, in a thread; the program's pid."""
        self.touch("wait-" + command)
        thread = threading.Thread(target=self.code, args=("start", "box"))
        thread.start()
        waiting = self.directory + "/waiting"
        vessel.wait_until("the runtime waits", lambda: os.path.exists(waiting))
        with open(waiting) as f:
            pid = int(f.read())
        os.unlink(waiting)
        os.unlink(self.directory + "/wait-" + command)
        return thread, pid

    @staticmethod
    def is_gone(pid):
        with contextlib.suppress(OSError):
            with open("/proc/%d/stat" % pid) as f:
                return f.read().rpartition(")")[2].split()[0] == "Z"
        return True

    def killed_meanwhile(self):
        """The shim, or the daemon, while the program is at work: it does not go on by itself."""
        self.docker("create", "--name", "box", "--runtime", "waits", "busybox", "sh", "-c", LOOP)
        for victim in ("program", "shim", "daemon"):
            for command in ("create", "start"):
                if (victim, command) == ("daemon", "start"):
                    continue  # told, it would be waited for
                thread, pid = self.start_waiting(command)
                if victim == "daemon":
                    self.engine.kill()
                else:
                    os.kill(pid if victim == "program" else self.parent(pid), signal.SIGKILL)
                thread.join()
                if victim == "daemon":
                    self.engine.start()
                vessel.wait_until("the program ends", lambda: self.is_gone(pid))
                vessel.wait_until("nothing runs", lambda: not self.engine.processes())
                assert self.state("box")["Status"] in ("created", "exited"), (victim, command, self.state("box"))
        self.docker("start", "box")
        self.await_log("box", "ready")

    def daemon_away(self):
        for point in ("start.created", "start.recorded"):
            self.docker("create", "--name", "box", "--runtime", MAIN, "busybox", "sh", "-c", LOOP)
            self.engine.kill()
            self.engine.start(crash_at=point)
            self.code("start", "box")
            self.engine.wait_crashed()
            self.engine.start()
            assert self.state("box")["Status"] == "created", point
            self.docker("rm", "box")
        self.loop(MAIN, "-t")
        self.engine.kill()
        self.engine.start()
        assert self.docker("exec", "-t", "box", "echo", "here") == "here\r\n"
        self.docker("pause", "box")
        self.engine.kill()
        self.engine.start()
        assert self.state("box")["Status"] == "paused"
        self.docker("unpause", "box")
        self.engine.kill()
        self.engine.start()
        self.docker("stop", "-t", "100", "box")
        assert self.state("box")["ExitCode"] == 5

    def ended_meanwhile(self):
        """It ends while no daemon is there."""
        self.loop(MAIN)
        pid = self.state("box")["Pid"]
        self.engine.kill()
        os.kill(pid, signal.SIGTERM)
        vessel.wait_until("it ends", lambda: self.is_gone(pid))
        self.engine.start()
        self.await_status("box", "exited")
        assert self.state("box")["ExitCode"] == 5 and "bye" in self.docker("logs", "box")

    def killed_shim(self):
        parent = self.engine.cgroup_parent + "/below"
        self.loop(MAIN, "--cgroup-parent", parent)
        os.kill(self.parent(self.state("box")["Pid"]), signal.SIGKILL)
        self.await_status("box", "exited")
        assert self.state("box")["ExitCode"] == 137
        vessel.wait_until("nothing runs", lambda: not self.engine.processes())
        self.docker("start", "box")
        self.docker("rm", "-f", "box")
        for top in os.listdir("/sys/fs/cgroup"):  # it stays, as other parents do
            vessel.remove_cgroup("/sys/fs/cgroup/%s%s" % (top, parent))


def configure(engine):
    path = engine.root + "/daemon.json"
    runtimes = {name: {"path": program} for name, program in PROGRAMS.items()}
    runtimes["crun"] = {"path": "/bin/sh", "runtimeArgs": ["-c", CRUN, PROGRAMS["crun"]]}
    for name in FAKES:
        runtimes[name] = {"path": "/bin/sh", "runtimeArgs": ["-c", FAKE, name, PROGRAMS[MAIN], engine.root]}
    runtimes["missing"] = {"path": "/no/such/runtime"}
    runtimes["kata"] = {"runtimeType": "io.containerd.kata.v2"}
    runtimes["by-type"] = {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": PROGRAMS[MAIN]}}
    with open(path, "w") as f:
        json.dump({"runtimes": runtimes}, f)
    return path


class Engine(vessel.Engine):
    def start(self, crash_at=None, args=()):
        super().start(crash_at, ("--config-file", self.configuration, *args))


NAMES = (
    ("files", "cp, diff and commit"),
    ("ports", "networks, published ports, namespaces of other containers"),
    ("terminals", "terminals of execs, attach"),
    ("with_init", "--init"),
    ("memory", "out of memory"),
    ("restarts", "restart policy"),
    ("health", "health checks"),
    ("shared_volume", "a volume with shared propagation"),
    ("names", "what a runtime may be called"),
    ("failures", "a program that fails"),
    ("killed_program", "a program that is killed when it has done its work"),
    ("killed_meanwhile", "program, shim or daemon killed while the program is at work"),
    ("daemon_away", "the daemon killed and started again"),
    ("ended_meanwhile", "a container that ends while no daemon is there"),
    ("killed_shim", "a shim that is killed"),
)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = Engine()
    engine.configuration = configure(engine)
    cases = Cases(engine)
    only = sys.argv[1:]

    def case(name, method, *args):
        def run():
            try:
                method(*args)
            finally:
                ids = engine.docker("ps", "-aq", check=False).stdout.split()
                if ids:
                    engine.docker("rm", "-fv", *ids)
                engine.docker("network", "prune", "-f")
            left = audit.check()
            assert not left, "left: " + "; ".join(left)
        if not only or method.__name__ in only:
            tap.case(name, run)

    try:
        engine.start()
        engine.import_busybox()
        engine.docker("volume", "create", "data")
        audit = vessel.Audit(engine)
        for runtime in PROGRAMS:
            case("%s: life of a container" % runtime, cases.life, runtime)
            case("%s: no such program in the container" % runtime, cases.not_found, runtime)
        for method, name in NAMES:
            case(name, getattr(cases, method))
        if "--keep-log" in only:
            print(engine.log_text()[-20000:])
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
