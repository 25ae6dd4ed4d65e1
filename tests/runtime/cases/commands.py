"""The command line: every command and option, by effect; the words are those that runc's callers know."""

import array
import json
import os
import pty
import re
import signal
import socket
import subprocess
import termios

from harness import LIMIT_S, Failure, becomes, equal, expect, has_ended, test, until, without


def refused(box, pattern, *args, code=1, **popen):
    """A command that must fail with this exit code and an error that matches."""
    result = box.runtime(*args, **popen)
    equal(result.code, code, "exit code of %s (%s)" % (" ".join(args), result.err.strip()))
    expect(re.search(pattern, result.err), "the error %r has no %r" % (result.err, pattern))
    return result


class Receiver:
    """An AF_UNIX socket that takes one descriptor, as containerd and conmon do for a terminal."""

    def __init__(self, box, name):
        self.path = os.path.join(box.dir, name)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen()
        self.socket.settimeout(LIMIT_S)
        box.at_end.append(self.socket.close)

    def take(self):
        connection = self.socket.accept()[0]
        name, ancillary, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
        connection.close()
        fds = array.array("i")
        fds.frombytes(ancillary[0][2])
        return name.decode(), fds[0]


def read_all(fd):
    """Until the end, which for a terminal is EIO."""
    data = b""
    try:
        while chunk := os.read(fd, 4096):
            data += chunk
    except OSError:
        pass
    os.close(fd)
    return data.decode()


def in_terminal(box, *args, typed=b"", before=None):
    """Run a command of the runtime with a terminal of ours; its output and exit code."""
    master, slave = pty.openpty()
    if before:
        before(slave)
    child = subprocess.Popen(box.command(*args), stdin=slave, stdout=slave, stderr=slave)
    settings = termios.tcgetattr(slave)
    os.close(slave)
    if typed:
        os.write(master, typed)
    out = read_all(master)
    return out, child.wait(LIMIT_S), settings


def parent_of(pid):
    return int(open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[1])


# -- the command line itself


@test("--version, help and usage have runc's form and exit codes")
def usage(box):
    lines = box.runtime("--version", check=True).out.splitlines()
    expect(re.match(r"vessel-runtime version \S+$", lines[0]), lines)
    expect(re.match(r"spec: 1\.\d+\.\d+$", lines[1]), lines)
    equal(box.runtime("-v").out, box.runtime("--version").out)
    for args in ((), ("help",), ("--help",), ("-h",)):
        out = box.runtime(*args, check=True).out
        for name in ("checkpoint", "create", "delete", "events", "exec", "features", "kill", "list", "pause", "ps",
                     "restore", "resume", "run", "spec", "start", "state", "update"):
            expect(re.search(r"^   %s " % name, out, re.M), "no %s in the help" % name)
    for args in (("exec", "--help"), ("help", "exec")):
        expect("--additional-gids" in box.runtime(*args, check=True).out, "no options in " + " ".join(args))
    refused(box, "No help topic for 'frobnicate'", "frobnicate", code=3)
    refused(box, r'"state" requires exactly 1 argument\(s\)', "state")
    refused(box, r'"state" requires exactly 1 argument\(s\)', "state", "a", "b")
    refused(box, r'"exec" requires a minimum of 1 argument\(s\)', "exec")
    refused(box, "flag provided but not defined: -xyz", "state", "--xyz", "a")
    refused(box, "flag needs an argument: -bundle", "run", "a", "--bundle")
    refused(box, "invalid log-format: xml", "--log-format", "xml", "list")
    refused(box, "invalid rootless: perhaps", "--rootless", "perhaps", "list")


@test("options: one dash or two, values behind = or apart, flags with a value, behind the id too")
def option_forms(box):
    box.process["args"] = ["/payload", "exit", "3"]
    box.write()
    for form in (("-bundle", box.dir), ("--bundle=" + box.dir,), ("-b=" + box.dir,), ("-b", box.dir)):
        equal(box.runtime("run", *form, box.id).code, 3, form)
        equal(box.runtime("run", box.id, *form).code, 3, form)
    equal(box.runtime("run", "--detach=false", "-b", box.dir, "--", box.id).code, 3)
    refused(box, "invalid boolean value \"x\" for -detach", "run", "--detach=x", "-b", box.dir, box.id)


@test("--log takes errors in text or JSON, which standard error repeats in plain words")
def log_formats(box):
    log = os.path.join(box.dir, "log")
    result = refused(box, "^vessel-runtime: container does not exist$", "--log", log, "state", "nobody")
    expect(re.match(r'time="\d{4}-\d\d-\d\dT[^"]+" level=error msg="container does not exist"\n$', open(log).read()),
           open(log).read())
    os.unlink(log)
    refused(box, "does not exist", "--log", log, "--log-format", "json", "state", "nobody")
    entry = json.loads(open(log).read())
    equal((entry["level"], entry["msg"]), ("error", "container does not exist"))
    expect(re.match(r"\d{4}-\d\d-\d\dT", entry["time"]), entry)
    refused(box, "does not exist", "--log", log, "--log-format", "json", "state", "other")
    equal(len(open(log).read().splitlines()), 2, "lines: the log is added to")
    json.loads(refused(box, "does not exist", "--log-format", "json", "state", "nobody").err)
    equal(result.out, "")


@test("a warning goes to --log and not into the way")
def log_warning(box):
    log = os.path.join(box.dir, "log")
    box.process["capabilities"]["bounding"] = box.process["capabilities"]["bounding"] + ["CAP_NOBODY_KNOWS"]
    box.global_options += ["--log", log, "--log-format", "json"]
    equal(box.run("exit", "0").err, "")
    entries = [json.loads(line) for line in open(log)]
    expect([e for e in entries if e["level"] == "warning" and "CAP_NOBODY_KNOWS" in e["msg"]], entries)


@test("ids are checked, and used once")
def ids(box):
    box.process["args"] = ["/payload", "pause"]
    box.write()
    for name in ("../x", "a/b", ".", "..", "", "a b", ".x", "x" * 1025):
        result = box.runtime("create", "--bundle", box.dir, name)
        equal(result.code, 1, name)
        expect(not os.path.exists(os.path.join(box.root, name, "state.json")), name)
    box.start()
    refused(box, "container with given ID already exists", "create", "--bundle", box.dir, box.id)
    refused(box, "container with given ID already exists", "run", "--bundle", box.dir, box.id)
    equal(box.status(), "running")


# -- create, start, run


@test("a bundle that is not there, or not one")
def bundles(box):
    refused(box, "No such file or directory", "run", "--bundle", box.dir + "/nowhere", box.id)
    refused(box, "config.json.*No such file or directory", "create", "--bundle", box.rootfs, box.id)
    box.linux["resources"]["memory"] = {"limit": "1g"}
    box.fails("linux.resources.memory.limit", "exit", "0")
    equal(box.runtime("run", "-b", ".", box.id, cwd=box.rootfs).code, 1)
    del box.linux["resources"]["memory"]
    box.process["args"] = ["/payload", "exit", "5"]
    box.write()
    equal(box.runtime("run", box.id, cwd=box.dir).code, 5, "run in the working directory's bundle")


@test("create waits, start lets go, and each is done once")
def create_start(box):
    marker = os.path.join(box.rootfs, "tmp/started")
    box.create("/bin/sh", "-c", "echo >/tmp/started; exec sleep 1000", options=("--pid-file", box.dir + "/pid"))
    state = box.state()
    equal((state["status"], state["pid"]), ("created", int(open(box.dir + "/pid").read())))
    equal(os.path.exists(marker), False, "started")
    box.runtime("start", box.id, check=True)
    equal(box.status(), "running")
    refused(box, "cannot start an already running container", "start", box.id)
    box.kill()
    refused(box, "cannot start a container that has stopped", "start", box.id)
    refused(box, "container does not exist", "start", "nobody")


@test("what cannot be executed fails in create, or in start where only execve can tell")
def cannot_execute(box):
    box.process["args"] = ["nope"]
    box.fails(r'run failed: exec: "nope": executable file not found in \$PATH')
    box.process["args"] = ["/etc/passwd"]
    box.fails(r'exec: "/etc/passwd": permission denied')
    box.file("tmp/garbage", "\1\2\3\4", 0o755)
    box.create("/tmp/garbage")
    refused(box, 'exec: "/tmp/garbage": exec format error', "start", box.id)
    equal(box.status(), "stopped")


@test("run: --detach, --pid-file, --keep")
def run_options(box):
    box.process["args"] = ["/payload", "pause"]
    box.write()
    subprocess.run(box.command("run", "-d", "--bundle", box.dir, "--pid-file", box.dir + "/pid", box.id), check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT_S)
    equal(box.state()["pid"], int(open(box.dir + "/pid").read()))
    equal(box.status(), "running")
    box.runtime("delete", "--force", box.id, check=True)
    equal(box.run("exit", "4", options=("--keep",), check=False).code, 4)
    equal(box.status(), "stopped")
    box.runtime("delete", box.id, check=True)
    equal(box.run("exit", "4", check=False).code, 4)
    equal(box.exists(), False, "exists after run")


@test("a pid file that cannot be written stops the container")
def pid_file_fails(box):
    box.fails("/nowhere/pid", "pause", options=("--pid-file", "/nowhere/pid"))
    result = box.create("pause", options=("--pid-file", "/nowhere/pid"), check=False)
    equal(result.code, 1)
    equal(box.exists(), False)


@test("run passes on the exit code, signals and its standard streams")
def run_streams(box):
    result = box.sh("read line; echo got $line; echo err >&2; exit 7", check=False, input="given\n")
    equal((result.code, result.out, result.err), (7, "got given\n", "err\n"))
    equal(box.sh("kill -9 $$", check=False).code, 0, "process 1 cannot kill itself")
    box.write()
    child = subprocess.Popen(box.command("run", "--bundle", box.dir, box.id), stdout=subprocess.PIPE,
                             stdin=subprocess.DEVNULL)
    child.kill()
    child.wait()
    child.stdout.close()
    box.runtime("delete", "--force", box.id)
    # What it had started by then ends with it, a little later.
    becomes(box.processes, [], "processes of a killed run")
    box.process["args"] = ["/bin/sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 1000 & wait; done"]
    box.write()
    child = subprocess.Popen(box.command("run", "--bundle", box.dir, box.id), stdout=subprocess.PIPE,
                             stdin=subprocess.DEVNULL)
    equal(child.stdout.readline(), b"ready\n")  # the trap is set
    child.send_signal(signal.SIGUSR1)
    equal(child.wait(LIMIT_S), 9)
    child.stdout.close()


@test("a container killed by a signal: 128 and its number")
def run_killed(box):
    box.process["args"] = ["/payload", "pause"]
    box.write()
    child = subprocess.Popen(box.command("run", "--bundle", box.dir, "--pid-file", box.dir + "/pid", box.id),
                             stdin=subprocess.DEVNULL)
    until(lambda: box.exists() and box.status() == "running", "it runs", child)
    box.runtime("kill", box.id, "KILL", check=True)
    equal(child.wait(LIMIT_S), 137)


@test("--preserve-fds and LISTEN_FDS pass descriptors on, and no others")
def preserve_fds(box):
    fds = [os.open(box.file("tmp/f%d" % i, "file %d" % i), os.O_RDONLY) for i in range(3)]

    def place():
        for i, fd in enumerate(fds):
            os.dup2(fd, 3 + i)
            os.set_inheritable(3 + i, True)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="name")

    def run(*options, env=None):
        box.process["args"] = ["/payload", "report", "fds", "env"]
        box.write()
        script = "export LISTEN_PID=$$; exec \"$@\""
        command = ["/bin/sh", "-c", script, "-"] if env else []
        command += box.command("run", "--bundle", box.dir, *options, box.id)
        read, write = os.pipe()
        pid = os.posix_spawn(command[0], command, {**os.environ, **(env or {})},
                             file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)] +
                             [(os.POSIX_SPAWN_DUP2, fd, 10 + i) for i, fd in enumerate(fds)] +
                             [(os.POSIX_SPAWN_DUP2, 10 + i, 3 + i) for i in range(3)] +
                             [(os.POSIX_SPAWN_CLOSE, 10 + i) for i in range(3)])
        os.close(write)
        out = read_all(read)
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "exit code")
        report = json.loads(out)
        return {int(fd) for fd in report["fds"] if int(fd) > 2}, report["env"]

    try:
        equal(run()[0], set())
        equal(run("--preserve-fds", "2")[0], {3, 4})
        fds_seen, env = run(env={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "name"})
        equal(fds_seen, {3})
        for variable in ("LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=name"):
            expect(variable in env, "%s is not in %s" % (variable, env))
        equal(run("--preserve-fds", "1", env={"LISTEN_FDS": "1"})[0], {3, 4})
        env = run(env={})[1]
        expect(not [e for e in env if "LISTEN" in e], env)
    finally:
        for fd in fds:
            os.close(fd)
    box.fails("preserve-fds", "exit", "0", options=("--preserve-fds", "5000"))
    box.fails("invalid value", "exit", "0", options=("--preserve-fds", "-1"))


@test("a terminal needs a console socket when nobody stays, and goes over it")
def console_socket(box):
    box.process["terminal"] = True
    words = "cannot allocate tty if runc will detach without setting console socket"
    box.process["args"] = ["/bin/sh", "-c", "readlink /proc/self/fd/0; tty"]
    os.symlink("busybox", os.path.join(box.rootfs, "bin/readlink"))
    os.symlink("busybox", os.path.join(box.rootfs, "bin/tty"))
    box.write()
    refused(box, words, "create", "--bundle", box.dir, box.id)
    refused(box, words, "run", "-d", "--bundle", box.dir, box.id)
    refused(box, "cannot use console socket if runc will not detach or allocate tty", "run", "--bundle", box.dir,
            "--console-socket", box.dir + "/x", box.id)
    refused(box, "connect to socket", "create", "--bundle", box.dir, "--console-socket", box.dir + "/x", box.id)
    equal(box.exists(), False)
    receiver = Receiver(box, "console")
    box.create(options=("--console-socket", receiver.path))
    name, master = receiver.take()
    equal(name, "/dev/ptmx")
    box.runtime("start", box.id, check=True)
    equal(read_all(master).split(), ["/dev/pts/0", "/dev/pts/0"])
    box.process["terminal"] = False
    box.write()
    refused(box, "cannot use console socket", "create", "--bundle", box.dir, "--console-socket", receiver.path, "x")


@test("a terminal in the foreground: raw meanwhile, its size passed on, restored at the end")
def foreground_terminal(box):
    os.symlink("busybox", os.path.join(box.rootfs, "bin/stty"))
    box.process["terminal"] = True
    box.process["args"] = ["/bin/sh", "-c", "stty size; read line; echo got $line; exit 4"]
    box.write()
    sizes = []

    def before(slave):
        termios.tcsetwinsize(slave, (33, 77)) if hasattr(termios, "tcsetwinsize") else \
            __import__("fcntl").ioctl(slave, termios.TIOCSWINSZ, array.array("H", [33, 77, 0, 0]))
        sizes.append(termios.tcgetattr(slave))

    out, code, _ = in_terminal(box, "run", "--bundle", box.dir, box.id, typed=b"typed\r", before=before)
    equal(code, 4)
    expect("33 77\r\n" in out and "got typed\r\n" in out, repr(out))


@test("a terminal without one of ours: no carriage returns, and a flood of input holds nothing up")
def terminal_pipes(box):
    box.process["terminal"] = True
    result = box.run("/bin/sh", "-c", "echo out; exit 3", check=False)
    equal((result.code, result.out), (3, "out\n"))
    flood = "x" * 1000000 + "\n"
    result = box.run("/bin/sh", "-c", "head -c 10 >/dev/null; echo done", input=flood)
    expect(result.out.endswith("done\n"), repr(result.out[-20:]))


@test("--pidfd-socket sends a pidfd of process 1, and of an exec's")
def pidfd_socket(box):
    receiver = Receiver(box, "pidfd")
    box.create("pause", options=("--pidfd-socket", receiver.path))
    name, fd = receiver.take()
    equal(name, "standard")
    info = open("/proc/self/fdinfo/%d" % fd).read()
    equal(int(re.search(r"^Pid:\s*(\d+)", info, re.M)[1]), box.pid())
    os.close(fd)
    box.runtime("start", box.id, check=True)
    box.exec("exit", "0", options=("--pidfd-socket", receiver.path))
    name, fd = receiver.take()
    equal(name, "setns")
    has_ended(fd, 0)


@test("--no-new-keyring keeps the caller's session keyring, in exec too")
def keyring(box):
    def inside():
        return box.exec("report", "keyring").json()["keyring"]["description"]

    name = "_ses." + box.id
    box.start("pause")
    expect(inside().endswith(";" + name), inside())
    box.runtime("delete", "-f", box.id, check=True)
    box.start("pause", options=("--no-new-keyring",))
    expect(not inside().endswith(";" + name), inside())
    box.runtime("delete", "-f", box.id, check=True)
    expect(box.report("keyring")["keyring"]["description"].endswith(";" + name), "run")
    expect(not box.report("keyring", options=("--no-new-keyring",))["keyring"]["description"].endswith(";" + name), "run")


@test("run adopts orphans of a container in our pid namespace, unless --no-subreaper")
def subreaper(box):
    box.without_namespace("pid")
    for options, adopted in ((("--no-subreaper",), False), ((), True)):
        box.process["args"] = ["/bin/sh", "-c", "sh -c 'sleep 1000 & echo $!'; echo orphaned; read line"]
        box.write()
        child = subprocess.Popen(box.command("run", "--bundle", box.dir, *options, box.id), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        orphan = int(child.stdout.readline())
        equal(child.stdout.readline(), "orphaned\n")
        equal(parent_of(orphan) == child.pid, adopted, "the orphan is ours with %s" % (options,))
        pidfd = os.pidfd_open(orphan)
        child.stdin.close()
        equal(child.wait(LIMIT_S), 1)  # read's end of file
        child.stdout.close()
        has_ended(pidfd)


@test("NOTIFY_SOCKET: readiness is passed on, and nothing else; start waits for it")
def notify(box):
    path = os.path.join(box.dir, "host.sock")
    host = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    host.bind(path)
    host.settimeout(LIMIT_S)
    box.at_end.append(host.close)
    box.popen["env"] = {**os.environ, "NOTIFY_SOCKET": path}
    box.process["args"] = ["/payload", "notify", "STATUS=x\nREADY=1", "stay"]
    box.create()
    equal(box.exec("report", "env").json()["env"].count("NOTIFY_SOCKET=/run/notify/notify.sock"), 0)
    box.runtime("start", box.id, check=True)
    equal([host.recv(100), host.recv(100)], [b"READY=1\n", b"MAINPID=%d\n" % box.pid()])
    expect("/run/notify" in box.exec("/bin/cat", "/proc/mounts").out, "it is mounted")
    box.runtime("delete", "-f", box.id, check=True)
    equal(box.run("notify", "READY=1").out, "")
    equal(host.recv(100), b"READY=1\n")
    box.process["args"] = ["/payload", "notify", "STOPPING=1"]  # ends without being ready
    box.write()
    box.runtime("run", "-d", "--bundle", box.dir, box.id, check=True)
    host.setblocking(False)
    try:
        raise Failure("told of %r" % host.recv(100))
    except BlockingIOError:
        pass


# -- state, list, ps


@test("state and list: runc's members")
def state_list(box):
    expect(re.match(r"ID +PID +STATUS +BUNDLE +CREATED +OWNER\n$", box.runtime("list", check=True).out), "empty list")
    equal(box.runtime("list", "-f", "json", check=True).out, "null\n")
    box.config["annotations"] = {"org.example.key": "value"}
    box.start("pause")
    state = box.state()
    pid = state["pid"]
    equal({k: state[k] for k in ("ociVersion", "id", "status", "bundle", "rootfs", "annotations", "owner")},
          {"ociVersion": "1.3.0", "id": box.id, "status": "running", "bundle": box.dir, "rootfs": box.rootfs,
           "annotations": {"org.example.key": "value"}, "owner": ""})
    expect(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$", state["created"]), state)
    equal(list(state), ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"])
    (entry,) = box.runtime("list", "--format", "json", check=True).json()
    equal(entry, {**state, "owner": "root"})
    head, line = box.runtime("list", check=True).out.splitlines()
    equal(line.split(), [box.id, str(pid), "running", box.dir, state["created"], "root"])
    for column in ("PID", "STATUS", "BUNDLE", "CREATED", "OWNER"):  # columns stand under their heads
        at = head.index(column)
        expect(line[at - 1] == " " and line[at] != " ", (head, line))
    equal(box.runtime("list", "-q", check=True).out, box.id + "\n")
    box.kill()
    state = box.state()
    equal((state["status"], state["pid"]), ("stopped", 0))
    refused(box, "invalid format option", "list", "-f", "xml")
    refused(box, "container does not exist", "state", "nobody")
    refused(box, r"requires exactly 0 argument", "list", "x")


@test("list shows what it can beside what it cannot")
def list_broken(box):
    box.create("pause")
    os.makedirs(os.path.join(box.root, "broken"))
    with open(os.path.join(box.root, "broken/state.json"), "w") as f:
        f.write("{")
    result = box.runtime("list", "-f", "json", check=True)
    os.unlink(os.path.join(box.root, "broken/state.json"))
    os.rmdir(os.path.join(box.root, "broken"))
    equal([e["id"] for e in result.json()], [box.id])
    expect("load container broken" in result.err, result.err)


@test("ps: the processes of the container alone, with ps's own options")
def ps(box):
    box.start("/bin/sh", "-c", "sleep 1000 & wait")
    pid = box.pid()
    until(lambda: len(box.processes()) == 2, "a second process")
    pids = box.runtime("ps", "-f", "json", box.id, check=True).json()
    equal(len(pids), 2)
    expect(pid in pids, pids)
    refused(box, "invalid format option", "ps", "--format", "xml", box.id)
    tools = os.path.join(box.dir, "tools")
    os.makedirs(tools)
    with open(os.path.join(tools, "ps"), "w") as f:  # a ps whose output is known
        f.write("#!/bin/sh\necho \"USER PID  ARGS $*\"\nfor p in /proc/[0-9]*; do echo \"x ${p#/proc/}  y\"; done\n")
    os.chmod(os.path.join(tools, "ps"), 0o755)
    env = {**os.environ, "PATH": tools + ":" + os.environ["PATH"]}
    out = box.runtime("ps", box.id, check=True, env=env).out.splitlines()
    equal(out[0], "USER PID  ARGS -ef")
    equal(sorted(int(line.split()[1]) for line in out[1:]), sorted(pids))
    out = box.runtime("ps", box.id, "-o", "pid,comm", "-f", check=True, env=env).out.splitlines()
    equal(out[0], "USER PID  ARGS -o pid,comm -f")
    refused(box, "ps", "ps", box.id, env={"PATH": "/nowhere"})


# -- kill, delete, pause, resume


@test("kill: names, numbers, 0, all; and its refusals")
def kill(box):
    for name in ("TERM", "SIGTERM", "15", "sigterm"):
        box.create("/bin/sh", "-c", "trap 'exit 9' TERM; sleep 1000 & wait")
        box.runtime("start", box.id, check=True)
        until(lambda: len(box.processes()) == 2, "a second process")  # the trap is set by then
        pidfd = os.pidfd_open(box.pid())
        box.runtime("kill", box.id, "0", check=True)
        box.runtime("kill", box.id, name, check=True)
        has_ended(pidfd)
        refused(box, "container not running", "kill", box.id, "TERM")
        refused(box, "container not running", "kill", box.id, "0")
        box.runtime("delete", box.id, check=True)
    box.start()
    refused(box, 'unknown signal "NOSUCH"', "kill", box.id, "NOSUCH")
    refused(box, 'unknown signal "65"', "kill", box.id, "65")
    refused(box, "container does not exist", "kill", "nobody", "TERM")
    pidfd = os.pidfd_open(box.pid())
    box.runtime("kill", "--all", box.id, "KILL", check=True)
    has_ended(pidfd)
    equal(box.status(), "stopped")


@test("kill --all reaches every process of a container without a pid namespace")
def kill_all(box):
    box.without_namespace("pid")
    box.start("/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait")
    until(lambda: len(box.processes()) == 3, "three processes")
    fds = [os.pidfd_open(pid) for pid in box.processes()]
    box.runtime("kill", "-a", box.id, "KILL", check=True)
    for fd in fds:
        has_ended(fd)


@test("delete: refused while running, --force kills, and forgives what is not there")
def delete(box):
    box.start("/bin/sh", "-c", "trap '' TERM INT; sleep 1000 & wait")
    pid = box.pid()
    refused(box, "cannot delete container %s that is not stopped: running" % box.id, "delete", box.id)
    equal(box.status(), "running")
    pidfd = os.pidfd_open(pid)
    box.runtime("delete", box.id, "--force", check=True)
    has_ended(pidfd, 0)
    equal((box.exists(), box.cgroup_dirs()), (False, []))
    refused(box, "container does not exist", "delete", box.id)
    box.runtime("delete", "--force", box.id, check=True)
    box.create("pause")
    pid = box.pid()
    box.runtime("delete", box.id, check=True)  # created only: needs no force
    equal((box.exists(), box.cgroup_dirs()), (False, []))


@test("pause and resume; what a paused container refuses")
def pause(box):
    box.start()
    refused(box, "container not paused", "resume", box.id)
    box.runtime("pause", box.id, check=True)
    equal(box.status(), "paused")
    refused(box, r"exec failed: cannot exec in a paused container \(use --ignore-paused to override\)", "exec", box.id,
            "/payload", "exit", "0", code=255)
    refused(box, "cannot delete container %s that is not stopped: paused" % box.id, "delete", box.id)
    box.runtime("resume", box.id, check=True)
    equal(box.status(), "running")
    equal(box.exec("exit", "3", check=False).code, 3)
    box.runtime("pause", box.id, check=True)
    box.runtime("delete", "--force", box.id, check=True)
    refused(box, "container does not exist", "pause", box.id)
    box.start()
    box.kill()
    refused(box, "container not running", "pause", box.id)
    refused(box, "container not paused", "resume", box.id)


@test("kill ends a paused container")
def kill_paused(box):
    box.start()
    box.runtime("pause", box.id, check=True)
    box.kill()
    equal(box.status(), "stopped")


@test("exec --ignore-paused waits for the container to be resumed")
def ignore_paused(box):
    box.start()
    box.runtime("pause", box.id, check=True)
    child = subprocess.Popen(box.command("exec", "--ignore-paused", box.id, "/payload", "exit", "6"),
                             stdin=subprocess.DEVNULL)
    until(lambda: len(box.processes()) == 2, "a second process", child)
    box.runtime("resume", box.id, check=True)
    equal(child.wait(LIMIT_S), 6)


# -- exec


@test("exec is in all namespaces and the cgroup of the container, with its limits on it")
def exec_inside(box):
    box.process.update(noNewPrivileges=True, rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
                       oomScoreAdj=500)
    box.start()
    pid = box.pid()
    report = box.exec("report", "ids", "namespaces", "status", "limits", "fds", "cgroup", "oom_score_adj", "env",
                      "cwd").json()
    for kind in ("pid", "net", "ipc", "uts", "mnt", "cgroup"):
        equal(report["namespaces"][kind], os.readlink("/proc/%d/ns/%s" % (pid, kind)), kind)
    equal(report["status"]["NoNewPrivs"], "1")
    equal(report["limits"][7], ["100", "200"])
    equal([fd for fd in report["fds"] if int(fd) > 2], [])
    equal(str(report["oom_score_adj"]).strip(), "500")
    status = open("/proc/%d/status" % pid).read()
    for name in ("CapEff", "CapBnd", "CapPrm", "CapInh"):
        equal(report["status"][name], re.search(r"%s:\s*(\w+)" % name, status)[1], name)
    expect(report["ids"]["ppid"] == 0, "its parent is outside")
    box.runtime("delete", "-f", box.id, check=True)


@test("exec takes the container's seccomp filter with it")
def exec_seccomp(box):
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    box.start()
    report = box.exec("report", "status").json()
    equal(report["status"]["Seccomp"], "2")
    result = box.exec("/bin/mkdir", "/tmp/x", check=False)
    expect(result.code != 0 and "not supported" in result.err, result.err)


@test("exec in a created container, before it starts")
def exec_created(box):
    box.create("pause")
    equal(box.exec("report", "uts").json()["uts"]["nodename"], "box")


@test("exec uses the configuration of creation, not the bundle's of today")
def exec_saved(box):
    box.process["env"] += ["WHEN=then"]
    box.start()
    os.unlink(os.path.join(box.dir, "config.json"))
    expect("WHEN=then" in box.exec("report", "env").json()["env"], "the environment of creation")


@test("exec's exit codes: the process's, 128 and the signal, 255 for an error")
def exec_codes(box):
    box.start()
    equal(box.exec("exit", "42", check=False).code, 42)
    equal(box.exec("/bin/sh", "-c", "kill -TERM $$", check=False).code, 143)
    refused(box, r'exec failed: exec: "nope": executable file not found in \$PATH', "exec", box.id, "nope", code=255)
    refused(box, 'exec: "/etc/passwd": permission denied', "exec", box.id, "/etc/passwd", code=255)
    refused(box, "exec failed: process args cannot be empty", "exec", box.id, code=255)
    refused(box, "exec failed: container does not exist", "exec", "nobody", "true", code=255)
    box.kill()
    refused(box, "exec failed: cannot exec in a stopped container", "exec", box.id, "/payload", "exit", "0", code=255)


@test("exec: --cwd, --env, --user, --additional-gids, --no-new-privs, --cap")
def exec_options(box):
    box.process["user"]["additionalGids"] = [77]
    box.start()

    def report(*options, parts=("ids", "status", "cwd", "env")):
        return box.exec("report", *parts, options=options).json()

    plain = report()
    equal((plain["cwd"], plain["ids"]["uid"], plain["ids"]["groups"]), ("/", 0, [77]))
    equal(report("--cwd", "/tmp")["cwd"], "/tmp")
    refused(box, "Cwd must be an absolute path", "exec", "--cwd", "tmp", box.id, "/payload", "exit", "0", code=255)
    env = report("--env", "A=1", "-e", "B=2 3", "--env=C=,")["env"]
    equal([e for e in env if e[:2] in ("A=", "B=", "C=")], ["A=1", "B=2 3", "C=,"])
    expect("PATH=/bin" in env, env)
    ids = report("--user", "1000")["ids"]
    equal((ids["uid"], ids["gid"]), (1000, 0))
    ids = report("-u", "1000:1001", "-g", "5", "--additional-gids", "6")["ids"]
    equal((ids["uid"], ids["gid"], sorted(ids["groups"])), (1000, 1001, [5, 6, 77]))
    refused(box, "parsing b as int for gid failed", "exec", "-u", "1:b", box.id, "/bin/true", code=255)
    refused(box, "parsing a as int for uid failed", "exec", "-u", "a", box.id, "/bin/true", code=255)
    equal(plain["status"]["NoNewPrivs"], "0")
    equal(report("--no-new-privs")["status"]["NoNewPrivs"], "1")
    status = report("--cap", "CAP_NET_RAW", "-c", "CAP_SYS_TIME")["status"]
    added = 1 << 13 | 1 << 25
    for name in ("CapEff", "CapPrm", "CapBnd"):
        equal(int(status[name], 16), int(plain["status"][name], 16) | added, name)
    equal((int(status["CapInh"], 16), int(status["CapAmb"], 16)), (0, 0), "inheritable and ambient")


@test("exec: --no-new-privs=false where the container has it")
def exec_no_new_privs_off(box):
    box.process["noNewPrivileges"] = True
    box.start()
    equal(box.exec("report", "status").json()["status"]["NoNewPrivs"], "1")
    equal(box.exec("report", "status", options=("--no-new-privs=false",)).json()["status"]["NoNewPrivs"], "0")


@test("exec's options end at the container's id")
def exec_ends(box):
    box.start()
    equal(box.exec("/bin/echo", "-e", "--user", "-t", "--", "x").out, "--user -t -- x\n")


@test("exec --process: the whole process object, from a file")
def exec_process(box):
    box.start()
    path = os.path.join(box.dir, "process.json")

    def write(**members):
        with open(path, "w") as f:
            json.dump({"cwd": "/tmp", "args": ["/payload", "report", "ids", "cwd", "env", "status"],
                       "user": {"uid": 1000, "gid": 1001, "additionalGids": [9], "umask": 0o77},
                       "env": ["ONLY=this", "PATH=/bin"], **members}, f)

    write(capabilities={"bounding": ["CAP_KILL"]})
    report = box.runtime("exec", "--process", path, box.id, check=True).json()
    ids = report["ids"]
    equal((ids["uid"], ids["gid"], ids["groups"], ids["umask"]), (1000, 1001, [9], 0o77))
    equal(report["cwd"], "/tmp")
    expect("ONLY=this" in report["env"], report["env"])
    equal(int(report["status"]["CapBnd"], 16), 1 << 5)
    equal(int(report["status"]["CapEff"], 16), 0)
    write(args=[])
    refused(box, "args", "exec", "-p", path, box.id, code=255)
    write(cwd="relative")
    refused(box, "cwd", "exec", "-p", path, box.id, code=255)
    refused(box, "nowhere", "exec", "-p", "/nowhere", box.id, code=255)


@test("exec --detach and --pid-file")
def exec_detach(box):
    box.start()
    path = os.path.join(box.dir, "pid")
    subprocess.run(box.command("exec", "--detach", "--pid-file", path, box.id, "/payload", "pause"), check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT_S)
    pid = int(open(path).read())
    expect(pid in box.processes(), "it is in the container's cgroup")
    equal(os.readlink("/proc/%d/ns/pid" % pid), os.readlink("/proc/%d/ns/pid" % box.pid()))
    refused(box, "/nowhere/pid", "exec", "--pid-file", "/nowhere/pid", box.id, "/payload", "pause", code=255)
    becomes(lambda: len(box.processes()), 2, "processes after a failed hand-over")


@test("exec --tty: in the foreground, and over a console socket")
def exec_tty(box):
    os.symlink("busybox", os.path.join(box.rootfs, "bin/tty"))
    box.start()
    out, code, _ = in_terminal(box, "exec", "-t", box.id, "/bin/sh", "-c", "tty; read x; echo got $x; exit 5",
                               typed=b"typed\r")
    equal(code, 5)
    expect(re.search(r"/dev/pts/\d+\r\n", out) and "got typed\r\n" in out, repr(out))
    refused(box, "cannot allocate tty if runc will detach without setting console socket", "exec", "-d", "-t", box.id,
            "/bin/tty", code=255)
    receiver = Receiver(box, "console")
    subprocess.run(box.command("exec", "-d", "-t", "--console-socket", receiver.path, box.id, "/bin/tty"), check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=LIMIT_S)
    name, master = receiver.take()
    equal(name, "/dev/ptmx")
    expect(re.match(r"/dev/pts/\d+", read_all(master)), "its terminal")
    refused(box, "cannot use console socket", "exec", "--console-socket", receiver.path, box.id, "/bin/tty", code=255)


@test("a container's terminal is not inherited by exec")
def exec_no_tty(box):
    os.symlink("busybox", os.path.join(box.rootfs, "bin/tty"))
    box.process["terminal"] = True
    receiver = Receiver(box, "console")
    box.create("pause", options=("--console-socket", receiver.path))
    master = receiver.take()[1]
    box.runtime("start", box.id, check=True)
    equal(box.exec("/bin/tty", check=False).out, "not a tty\n")
    os.close(master)


@test("exec --preserve-fds")
def exec_preserve(box):
    box.start()
    fd = os.open(box.file("tmp/given", "given"), os.O_RDONLY)
    command = box.command("exec", "--preserve-fds", "1", box.id, "/bin/sh", "-c", "cat <&3")
    out = subprocess.run(["/bin/sh", "-c", "exec 3<&%d 4<&%d; exec \"$@\"" % (fd, fd), "-", *command],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=(fd,), timeout=LIMIT_S).stdout
    os.close(fd)
    equal(out, b"given")


@test("exec --cgroup: below the container's, and nowhere else")
def exec_cgroup(box):
    box.start()
    top = box.cgroup_dirs()
    for directory in top:
        os.mkdir(os.path.join(directory, "sub"))
        for name in ("cpuset.cpus", "cpuset.mems"):
            parent, child = os.path.join(directory, name), os.path.join(directory, "sub", name)
            if os.path.exists(child) and not box.host.v2_only:
                with open(child, "w") as f:
                    f.write(open(parent).read())
    pid_file = os.path.join(box.dir, "pid")

    def cgroups(*options):
        subprocess.run(box.command("exec", "-d", "--pid-file", pid_file, *options, box.id, "/payload", "pause"),
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=LIMIT_S)
        pid = int(open(pid_file).read())
        lines = [line.strip().split(":", 2) for line in open("/proc/%d/cgroup" % pid)]
        os.kill(pid, signal.SIGKILL)
        return {controllers: path for _, controllers, path in lines}

    for form in ("sub", "/sub", "./sub/"):
        paths = cgroups("--cgroup", form)
        for controllers, path in paths.items():
            if box.id in path:
                expect(path.endswith("/sub"), (controllers, path))
        expect([p for p in paths.values() if p.endswith(box.id + "/sub") or p.endswith("/sub")], paths)
    refused(box, "is not a sub cgroup path", "exec", "--cgroup", "../x", box.id, "/bin/true", code=255)
    refused(box, "nope", "exec", "--cgroup", "nope", box.id, "/bin/true", code=255)
    refused(box, "missing <controller>: prefix", "exec", "--cgroup", "sub", "--cgroup", "x", box.id, "/bin/true",
            code=255)
    refused(box, "empty <controller> prefix", "exec", "--cgroup", ":sub", box.id, "/bin/true", code=255)
    refused(box, "specified multiple times", "exec", "--cgroup", "cpu:sub", "--cgroup", "cpu:sub", box.id, "/bin/true",
            code=255)
    refused(box, "unknown controller frob", "exec", "--cgroup", "frob:sub", box.id, "/bin/true", code=255)


@test("exec --cgroup with controllers of v1", needs="cgroup v1")
def exec_cgroup_v1(box):
    box.start()
    for directory in box.cgroup_dirs():
        if re.search(r"/(pids|freezer)/", directory):
            os.mkdir(os.path.join(directory, "sub"))
    pid_file = os.path.join(box.dir, "pid")
    subprocess.run(box.command("exec", "-d", "--pid-file", pid_file, "--cgroup", "pids,freezer:sub", box.id, "/payload",
                               "pause"), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   timeout=LIMIT_S)
    paths = dict(line.strip().split(":", 2)[1:] for line in open("/proc/%s/cgroup" % open(pid_file).read()))
    for controller in ("pids", "freezer"):
        expect(paths[controller].endswith("/sub"), paths)
    expect(not paths["memory"].endswith("/sub"), paths)


@test("exec where process 1 has moved below and given out controllers, without clone3 too",
      needs=("cgroup v2", "cgroupfs driver"))
def exec_moved(box):
    box.start()
    (directory,) = box.cgroup_dirs()
    os.mkdir(os.path.join(directory, "init"))
    with open(os.path.join(directory, "init/cgroup.procs"), "w") as f:
        f.write(str(box.pid()))
    with open(os.path.join(directory, "cgroup.subtree_control"), "w") as f:
        f.write("+pids")
    equal(box.exec("exit", "8", check=False).code, 8)
    box.prefix = without(box.suite.payload, "clone3")
    equal(box.exec("exit", "9", check=False).code, 9)


# -- update, events, features, spec


def limits(box, v1, v2):
    return box.cgroup_file(v2 if box.host.v2_only else v1)


@test("update: limits by options")
def update_options(box):
    box.start()
    box.runtime("update", "--memory", "64m", "--pids-limit", "33", "--cpu-period", "50000", "--cpu-quota", "25000",
                "--cpu-share", "512", box.id, check=True)
    equal(limits(box, "memory.limit_in_bytes", "memory.max"), str(64 << 20))
    equal(box.cgroup_file("pids.max"), "33")
    if box.host.v2_only:
        equal(box.cgroup_file("cpu.max"), "25000 50000")
    else:
        equal((box.cgroup_file("cpu.cfs_quota_us"), box.cgroup_file("cpu.cfs_period_us"),
               box.cgroup_file("cpu.shares")), ("25000", "50000", "512"))
    box.runtime("update", box.id, "--memory-reservation=32MiB", "--cpu-quota", "-1", "--cpuset-cpus", "0",
                "--cpuset-mems", "0", check=True)
    equal(limits(box, "memory.soft_limit_in_bytes", "memory.low"), str(32 << 20))
    equal(limits(box, "memory.limit_in_bytes", "memory.max"), str(64 << 20), "what is not given stays")
    equal(box.cgroup_file("cpuset.cpus"), "0")
    box.runtime("update", "--memory", "-1", "--pids-limit", "-1", box.id, check=True)
    equal(box.cgroup_file("pids.max"), "max")
    expect(limits(box, "memory.limit_in_bytes", "memory.max") in ("max", "9223372036854771712"), "unlimited")
    result = box.runtime("update", "--kernel-memory", "1m", box.id, check=True)
    expect("--kernel-memory is ignored" in result.err, result.err)
    refused(box, "invalid value for memory: '1q'", "update", "--memory", "1q", box.id)
    refused(box, "invalid value for cpu-period: 'x'", "update", "--cpu-period", "x", box.id)
    refused(box, "RDT", "update", "--l3-cache-schema", "L3:0=f", box.id)
    box.kill()
    refused(box, "container not running", "update", "--memory", "64m", box.id)


@test("update --cpu-idle and --cpu-burst")
def update_cpu(box):
    box.start()
    box.runtime("update", "--cpu-period", "100000", "--cpu-quota", "20000", box.id, check=True)
    box.runtime("update", "--cpu-burst", "10000", box.id, check=True)
    equal(limits(box, "cpu.cfs_burst_us", "cpu.max.burst"), "10000")
    box.runtime("update", "--cpu-idle", "1", box.id, check=True)
    equal(box.cgroup_file("cpu.idle"), "1")


@test("update --resources: from a file and from standard input; devices stay")
def update_file(box):
    box.start()
    resources = {"pids": {"limit": 21}, "memory": {"limit": 100 << 20, "checkBeforeUpdate": True},
                 "devices": [{"allow": False, "access": "rwm"}]}
    path = os.path.join(box.dir, "resources.json")
    with open(path, "w") as f:
        json.dump(resources, f)
    box.runtime("update", "-r", path, box.id, check=True)
    equal(box.cgroup_file("pids.max"), "21")
    equal(limits(box, "memory.limit_in_bytes", "memory.max"), str(100 << 20))
    box.exec("/bin/sh", "-c", ": </dev/null")
    box.runtime("update", "--resources", "-", box.id, check=True, input=json.dumps({"pids": {"limit": 22}}))
    equal(box.cgroup_file("pids.max"), "22")
    refused(box, "resources.memory.limit", "update", "-r", "-", box.id, input='{"memory": {"limit": "1g"}}')
    refused(box, "/nowhere", "update", "-r", "/nowhere", box.id)


@test("events --stats: runc's object")
def events_stats(box):
    box.start()
    event = box.runtime("events", "--stats", box.id, check=True).json()
    equal((event["type"], event["id"]), ("stats", box.id))
    data = event["data"]
    equal(list(data), ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"])
    expect(data["cpu"]["usage"]["total"] > 0, data["cpu"])
    expect(data["memory"]["usage"]["usage"] > 0, data["memory"])
    expect(data["memory"]["raw"], data["memory"])
    equal(data["pids"]["current"], 1)
    box.runtime("update", "--memory", "64m", "--pids-limit", "50", box.id, check=True)
    data = box.runtime("events", "--stats", box.id, check=True).json()["data"]
    equal((data["memory"]["usage"]["limit"], data["pids"]["limit"]), (64 << 20, 50))
    box.kill()
    refused(box, "container with id %s is not running" % box.id, "events", "--stats", box.id)


@test("events: statistics at an interval until the container ends")
def events_interval(box):
    box.start()
    child = subprocess.Popen(box.command("events", "--interval", "20ms", box.id), stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        equal(json.loads(child.stdout.readline())["type"], "stats")
    box.kill()
    child.stdout.read()
    equal(child.wait(LIMIT_S), 0)
    child.stdout.close()
    box.runtime("delete", box.id, check=True)
    box.start()
    refused(box, "duration interval must be greater than 0", "events", "--interval", "0s", box.id)
    refused(box, "invalid value", "events", "--interval", "soon", box.id)


@test("events: an OOM kill is told")
def events_oom(box):
    box.linux["resources"]["memory"] = {"limit": 20 << 20, "swap": 20 << 20}
    os.symlink("busybox", os.path.join(box.rootfs, "bin/tail"))
    fifo = os.path.join(box.rootfs, "tmp/go")
    os.mkfifo(fifo)
    # again and again: the first may come between the eventfd's making and its registration
    box.start("/bin/sh", "-c", "read x </tmp/go; while :; do head -c 100000000 /dev/zero | tail >/dev/null; done")
    child = subprocess.Popen(box.command("events", "--interval", "1h", box.id), stdout=subprocess.PIPE, text=True)
    until(lambda: watching(child.pid) and sleeping(child.pid), "events watches", child)
    with open(fifo, "w") as f:
        f.write("\n")
    event = json.loads(child.stdout.readline())
    equal((event["type"], event["id"]), ("oom", box.id))
    box.runtime("kill", box.id, "KILL")  # or a fork that finds no memory has ended it already
    equal(child.wait(LIMIT_S), 0)
    child.stdout.close()


def watching(pid):
    """An eventfd for v1's memory.oom_control, inotify for v2's memory.events."""
    links = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            links.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:  # closed meanwhile
            pass
    return any("eventfd" in link or "inotify" in link for link in links)


def sleeping(pid):
    return open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0] == "S"


@test("features: what it says is so")
def features(box):
    told = box.runtime("features", check=True).json()
    equal(told["ociVersionMin"], "1.0.0")
    expect(told["hooks"] == ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                             "poststop"], told["hooks"])
    linux = told["linux"]
    equal(set(linux["namespaces"]), {"mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"})
    expect("CAP_CHECKPOINT_RESTORE" in linux["capabilities"], linux["capabilities"])
    refused(box, "requires exactly 0", "features", "x")
    for option in told["mountOptions"]:
        box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/mnt"]
        source = ["rbind"] if option not in ("bind", "defaults") else ["bind"]
        if option in ("tmpcopyup", "remount", "idmap", "ridmap", "acl", "noacl", "dirsync", "sync", "mand", "iversion",
                      "lazytime", "nolazytime"):
            continue  # not for a bind mount; the mounts' own cases have them
        box.mount("/mnt", source=box.rootfs + "/etc", type="none", options=source + [option])
        result = box.run("exit", "0", check=False)
        equal((result.code, result.err), (0, ""), "mount option " + option)
    box.config["mounts"].pop()
    for name, members in (("intelRdt", {"intelRdt": {"closID": "none"}}), ("netDevices", {"netDevices": {"none0": {}}})):
        box.linux.update(members)
        told_so = "is not implemented" not in box.run("exit", "0", check=False).err
        equal(linux[name]["enabled"], told_so, name)
        del box.linux[name]
    def seccomp(archs, **members):
        box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": archs, **members}
        equal(box.run("exit", "0", check=False).err, "", (archs, members))

    # those of the other byte order cannot be in one filter with ours
    for arch in linux["seccomp"]["archs"]:
        if re.search("X86|X32|AARCH64|ARM|MIPSEL|PPC64LE|RISCV64", arch):
            seccomp([arch])
    for action in linux["seccomp"]["actions"]:
        if action == "SCMP_ACT_NOTIFY":
            continue  # needs somebody who listens
        seccomp([], syscalls=[{"names": ["swapon"], "action": action, "args": [
            {"index": 0, "value": 1, "valueTwo": 1, "op": op}]} for op in linux["seccomp"]["operators"]])
    for flag in linux["seccomp"]["supportedFlags"]:
        seccomp([], flags=[flag])


@test("spec: a configuration that runs, with runc's members, and never over another")
def spec(box):
    path = os.path.join(box.dir, "config.json")
    box.runtime("spec", check=True, cwd=box.dir)
    config = json.load(open(path))
    equal(list(config), ["ociVersion", "process", "root", "hostname", "mounts", "linux"])
    equal((config["process"]["args"], config["process"]["terminal"], config["root"]),
          (["sh"], True, {"path": "rootfs", "readonly": True}))
    equal([m["destination"] for m in config["mounts"]],
          ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"])
    refused(box, "File config.json exists. Remove it first", "spec", "--bundle", box.dir)
    config["process"].update(terminal=False, args=["/bin/sh", "-c", "echo hello"])
    config["linux"]["cgroupsPath"] = box.linux["cgroupsPath"]
    box.config.clear()
    box.config.update(config)
    equal(box.run().out, "hello\n")
    os.unlink(path)
    box.runtime("spec", "--rootless", "-b", box.dir, check=True)
    config = json.load(open(path))
    kinds = [n["type"] for n in config["linux"]["namespaces"]]
    expect("user" in kinds and "network" not in kinds, kinds)
    equal(config["linux"]["uidMappings"], [{"containerID": 0, "hostID": os.getuid(), "size": 1}])
    expect("resources" not in config["linux"], config["linux"])
    refused(box, "/nowhere", "spec", "-b", "/nowhere")


# -- hooks meet commands


@test("hooks see the state as the commands go, also when create, start and delete are apart")
def hooks(box):
    log = os.path.join(box.dir, "hooks")
    kinds = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    for kind in kinds:
        where = log if kind not in ("createContainer", "startContainer") else "/dev/null"
        box.config.setdefault("hooks", {})[kind] = [
            {"path": "/bin/busybox" if kind == "startContainer" else box.suite.busybox,
             "args": ["sh", "-c", "{ echo %s; cat; echo; } >>%s" % (kind, where)]}]

    def seen():
        lines = open(log).read().splitlines() if os.path.exists(log) else []
        return [(lines[i], json.loads(lines[i + 1])["status"]) for i in range(0, len(lines), 2)]

    created = [("prestart", "creating"), ("createRuntime", "creating")]
    box.create("pause")
    equal(seen(), created)
    box.runtime("start", box.id, check=True)
    equal(seen(), created + [("poststart", "running")])
    os.unlink(os.path.join(box.dir, "config.json"))  # the copy is what counts
    box.kill()
    equal(len(seen()), 3)
    box.runtime("delete", box.id, check=True)
    equal(seen(), created + [("poststart", "running"), ("poststop", "stopped")])
    states = [json.loads(line) for line in open(log).read().splitlines()[1::2]]
    for state in states:
        equal((state["id"], state["bundle"]), (box.id, box.dir))
    os.unlink(log)
    box.run("exit", "0")
    equal(seen(), created + [("poststart", "running"), ("poststop", "stopped")])


@test("a poststart hook that fails stops the container, and start says so")
def poststart_fails(box):
    box.config["hooks"] = {"poststart": [{"path": box.suite.busybox, "args": ["false"]}]}
    box.create("pause")
    refused(box, "poststart hook 0", "start", box.id)
    equal(box.status(), "stopped")
    box.runtime("delete", box.id, check=True)
    box.fails("poststart hook 0", "pause")
