"""Hooks: when each runs, where, as whom, with what; and what follows when one fails."""

import json
import os

from harness import CAPS, equal, expect, test


def hook(box, name, log, path=None, args=(), **members):
    """The payload as a hook that writes down what it is given."""
    box.config.setdefault("hooks", {}).setdefault(name, []).append(
        dict(path=path or box.suite.payload, args=["payload", "hook", log, *args], **members))


def read(path):
    return [json.loads(line) for line in open(path)] if os.path.exists(path) else []


HOST = ("prestart", "createRuntime", "poststart", "poststop")


@test("all six, in order, with the state that the specification says")
def order(box):
    box.config["annotations"] = {"some.key": "some value"}
    log = box.dir + "/log"
    for name in (*HOST, "createContainer"):
        hook(box, name, log, args=["0", name])
    hook(box, "startContainer", "/tmp/log", path="/payload", args=["0", "startContainer"])
    box.create("pause")
    inner = box.rootfs + "/tmp/log"
    equal([line["args"][3] for line in read(log)], ["prestart", "createRuntime", "createContainer"])
    equal(read(inner), [])
    box.runtime("start", box.id, check=True)
    equal([line["args"][3] for line in read(log)][3:], ["poststart"])
    pid = box.pid()
    box.kill()
    equal(len(read(log)), 4)
    box.runtime("delete", box.id, check=True)
    lines = read(log)
    equal([line["args"][3] for line in lines][4:], ["poststop"])
    wanted = {"prestart": ("creating", pid), "createRuntime": ("creating", pid), "createContainer": ("creating", 1),
              "poststart": ("running", pid), "poststop": ("stopped", None), "startContainer": ("created", 1)}
    for line in lines + read(inner):
        state = json.loads(line["state"])
        equal((state["status"], state.get("pid")), wanted[line["args"][3]], line["args"][3])
        equal((state["id"], state["bundle"], state["annotations"]), (box.id, box.dir, {"some.key": "some value"}))
        expect(state["ociVersion"].startswith("1."), state)
    equal(len(read(inner)), 1)


@test("which namespaces each runs in")
def places(box):
    log, inner = box.dir + "/log", box.rootfs + "/tmp/log"
    for name in (*HOST, "createContainer"):
        hook(box, name, log, args=["0", name])
    hook(box, "startContainer", "/tmp/log", path="/payload", args=["0", "startContainer"])
    inside = box.report("namespaces")["namespaces"]
    lines = {line["args"][3]: line for line in read(log) + read(inner)}
    own = {kind: os.readlink("/proc/self/ns/" + kind) for kind in ("mnt", "pid", "net", "uts", "user")}
    for name in HOST:
        equal(lines[name]["namespaces"], own, name)
    for name in ("createContainer", "startContainer"):
        for kind in ("mnt", "pid", "net", "uts"):
            # /proc is the host's until the root has changed, and shows nothing of the container's pids
            if lines[name]["namespaces"][kind]:
                equal(lines[name]["namespaces"][kind], inside[kind], name + " " + kind)
    equal((lines["createContainer"]["in_root"], lines["startContainer"]["in_root"]), (False, True))


@test("a hook's environment is its own, and nothing else")
def environment(box):
    log = box.dir + "/log"
    hook(box, "createRuntime", log, args=["0", "bare"])
    hook(box, "createRuntime", log, args=["0", "env"], env=["A=1", "B=x=y"])
    box.run("exit", "0")
    lines = {line["args"][3]: line["env"] for line in read(log)}
    equal(lines, {"bare": [], "env": ["A=1", "B=x=y"]})


@test("startContainer hooks have no more rights than the container's program")
def start_rights(box):
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.process["noNewPrivileges"] = True
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                            "syscalls": [{"names": ["setsid"], "action": "SCMP_ACT_ERRNO"}]}
    os.chmod(box.rootfs + "/tmp", 0o777)
    hook(box, "startContainer", "/tmp/log", path="/payload")
    box.run("exit", "0")
    line, = read(box.rootfs + "/tmp/log")
    status = dict(entry.split(":\t", 1) for entry in line["status"].splitlines() if ":\t" in entry)
    equal((line["uid"], status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16)), (1000, "1", "2", 0))
    equal(bin(int(status["CapBnd"], 16)).count("1"), len(CAPS))


@test("a hook that fails before the start stops it, and its words are in the error")
def failing(box):
    for name in ("prestart", "createRuntime", "createContainer"):
        box.config["hooks"] = {name: [{"path": "/bin/sh", "args": ["sh", "-c", "echo first; echo because >&2; exit 3"]}]}
        result = box.fails(name + " hook 0.*exit status 3.*because")
        equal(result.out, "")
    box.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo inner; exit 4"]}]}
    box.fails("startContainer hook 0.*exit status 4.*inner", "exit", "0")


@test("the second hook does not run when the first has failed")
def failing_first(box):
    log = box.dir + "/log"
    hook(box, "createRuntime", log, args=["1", "first"])
    hook(box, "createRuntime", log, args=["0", "second"])
    box.fails("createRuntime hook 0.*exit status 1")
    equal([line["args"][3] for line in read(log)], ["first"])


@test("a poststart hook that fails stops the container")
def failing_poststart(box):
    box.config["hooks"] = {"poststart": [{"path": "/bin/false"}]}
    box.fails("poststart hook 0.*exit status 1", "pause")
    box.create("pause")
    result = box.runtime("start", box.id)
    expect(result.code != 0 and "poststart" in result.err, result.err)
    expect(not box.exists() or box.status() == "stopped", "the container still runs")


@test("a poststop hook that fails is a warning, and the others run")
def failing_poststop(box):
    log = box.dir + "/log"
    hook(box, "poststop", log, args=["7", "first"])
    hook(box, "poststop", log, args=["0", "second"])
    result = box.run("exit", "0")
    expect("poststop hook 0" in result.err, "no warning: %r" % result.err)
    equal([line["args"][3] for line in read(log)], ["first", "second"])


@test("a hook that takes longer than its timeout is killed, which is an error")
def timeouts(box):
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    box.fails("createRuntime hook 0.*timed out")
    box.config["hooks"] = {"startContainer": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    box.fails("startContainer hook 0.*timed out", "exit", "0")


@test("a hook that is not there is an error that names it")
def missing(box):
    for name in ("prestart", "createRuntime", "createContainer", "startContainer"):
        box.config["hooks"] = {name: [{"path": "/no/such/hook"}]}
        box.fails("%s hook 0.*/no/such/hook" % name, "exit", "0")


@test("hooks of the container see its mounts, and what createRuntime has done to its network")
def effects(box):
    log = box.dir + "/log"
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"], "args": [
            "sh", "-c", "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); nsenter --net=/proc/$pid/ns/net "
            "%s ip addr add 10.9.8.7/32 dev lo" % box.suite.busybox]}],
        "createContainer": [{"path": "/bin/sh", "env": ["PATH=/usr/bin:/bin"],
                             "args": ["sh", "-c", "grep -c '%s/dev ' /proc/self/mounts >%s" % (box.rootfs, log)]}]}
    out = box.run("/bin/ip", "addr", "show", "dev", "lo").out
    expect("10.9.8.7/32" in out, out)
    equal(open(log).read(), "1\n")
