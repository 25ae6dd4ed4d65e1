"""checkpoint and restore, by criu."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

from harness import LIMIT_S, TOP, Failure, equal, expect, test, until
from cases.commands import Receiver, refused

PEER = os.path.join(TOP, "build/peers/criu/usr/sbin/criu")  # tools/peers criu
COUNT = "i=0; while :; do i=$((i+1)); echo $i; echo $i >/dev/shm/count; sleep 0.05; done"
# Beside it 2 MiB that stay as they are, of a process that forks no more: each child would have them as its own.
FILL = "x=12345678; n=0; while [ $n -lt 18 ]; do x=$x$x; n=$((n+1)); done"
FILLED_COUNT = "(until [ -e /dev/shm/filled ]; do :; done; %s) & %s; >/dev/shm/filled; wait" % (COUNT, FILL)


def prepare(box):
    """criu, and no network to lock: that takes iptables."""
    if os.path.exists(PEER):
        box.global_options += ["--criu", PEER]
    subprocess.run([box.suite.busybox, "ip", "link", "set", "lo", "up"], check=True)  # criu tries the kernel's TCP
    config = os.path.join(box.dir, "criu.conf")
    with open(config, "w") as f:
        f.write("network-lock skip\n")
    box.config["annotations"] = {"org.criu.config": config}
    if not box.host.has["a network that criu can dump"]:
        box.without_namespace("network")
    box.mount("/dev/shm", type="tmpfs", source="shm")
    box.images = os.path.join(box.dir, "images")


def count(box):
    return int(until(lambda: box.exec("/bin/cat", "/dev/shm/count").out, "a count"))  # or it is being written


def counting(box, program=COUNT):
    """A container that counts, and has begun to."""
    box.start("/bin/sh", "-c", program)
    path = "/proc/%d/root/dev/shm/count" % box.pid()
    until(lambda: os.path.exists(path) and int(open(path).read() or 0), "a count")


def goes_on(box):
    before = count(box)
    until(lambda: count(box) != before, "it counts on")


def checkpoint(box, *options):
    box.runtime("checkpoint", "--image-path", box.images, *options, box.id, check=True)


def restore(box, *options, **popen):
    """In the background; its output is thrown away, for process 1 holds it open."""
    errors = os.path.join(box.dir, "errors")
    with open(errors, "w") as f:
        popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": f, **popen}
        code = subprocess.run(box.command("restore", "-d", "--bundle", box.dir, "--image-path", box.images, *options,
                                          box.id), timeout=LIMIT_S, **popen).returncode
    equal(code, 0, "exit code of restore (%s)" % open(errors).read())


@test("without criu: a clear error, and the container runs on")
def no_criu(box):
    box.start("pause")
    box.global_options += ["--criu", "/nowhere/criu"]
    refused(box, 'CRIU version check failed: exec: "/nowhere/criu": executable file not found', "checkpoint",
            "--image-path", box.dir + "/images", box.id)
    equal(box.status(), "running")
    box.runtime("delete", "-f", box.id, check=True)
    os.makedirs(box.dir + "/images", exist_ok=True)
    refused(box, "executable file not found", "restore", "--bundle", box.dir, "--image-path", box.dir + "/images",
            box.id)
    equal((box.exists(), box.cgroup_dirs()), (False, []))


@test("what cannot be asked of checkpoint and restore")
def refusals(box):
    box.create("pause")
    refused(box, "Container cannot be checkpointed in created state", "checkpoint", box.id)
    box.runtime("start", box.id, check=True)
    for options, words in ((("--parent-path", "/x"), "--parent-path must be relative"),
                           (("--parent-path", "nowhere"), "invalid --parent-path"),
                           (("--page-server", "here"), "Use --page-server ADDRESS:PORT"),
                           (("--page-server", "127.0.0.1:x"), "Invalid port number"),
                           (("--manage-cgroups-mode", "x"), "Invalid manage-cgroups-mode value"),
                           (("--empty-ns", "uts"), 'namespace "uts" is not supported'),
                           (("--status-fd", "77"), "invalid --status-fd argument 77")):
        refused(box, words, "checkpoint", "--image-path", box.dir + "/images", *options, box.id)
    equal(box.status(), "running")
    refused(box, "container with given ID already exists", "restore", "--bundle", box.dir, box.id)
    box.kill()
    refused(box, "Container cannot be checkpointed in stopped state", "checkpoint", box.id)
    refused(box, "container does not exist", "checkpoint", "nobody")


# A process that lives behind a filter can be dumped by those alone who may suspend filters.
@test("a container goes on where it was, in its cgroup and with its limits",
      needs=("criu", "a runtime without a filter around it", "a network that criu can dump"))
def round_trip(box):
    prepare(box)
    box.linux["resources"]["pids"] = {"limit": 44}
    os.makedirs(box.dir + "/shared")
    box.mount("/mnt", type="bind", source=box.dir + "/shared", options=["rbind"])
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    box.linux["maskedPaths"] = ["/proc/keys", "/proc/acpi", "/sys/firmware"]
    box.linux["readonlyPaths"] = ["/proc/sys", "/proc/bus"]
    counting(box)
    checkpoint(box, "--work-path", box.dir + "/work")
    equal((box.exists(), box.cgroup_dirs()), (False, []), "after the checkpoint")
    expect(os.path.exists(box.dir + "/work/dump.log"), "the log is in --work-path")
    pid_file = os.path.join(box.dir, "pid")
    restore(box, "--pid-file", pid_file)
    state = box.state()
    equal((state["status"], state["pid"]), ("running", int(open(pid_file).read())))
    before = count(box)
    expect(before >= 1, before)
    goes_on(box)
    equal(box.cgroup_file("pids.max"), "44")
    expect(str(state["pid"]) in box.cgroup_file("cgroup.procs").split(), "it is in its cgroup")
    report = box.exec("report", "namespaces", "uts", "mountinfo").json()
    equal(report["uts"]["nodename"], "box")
    for kind in ("pid", "net", "ipc", "uts", "mnt"):
        equal(report["namespaces"][kind], os.readlink("/proc/%d/ns/%s" % (state["pid"], kind)), kind)
    box.exec("/bin/touch", "/mnt/from-inside")
    expect(os.path.exists(box.dir + "/shared/from-inside"), "the bind mount is the host's")
    equal(box.exec("/bin/cat", "/proc/keys").out, "")
    box.runtime("pause", box.id, check=True)
    equal(box.status(), "paused")
    box.runtime("resume", box.id, check=True)
    box.kill()
    box.runtime("delete", box.id, check=True)


@test("without a cgroup namespace of its own", needs=("criu", "a runtime without a filter around it"))
def no_cgroup_namespace(box):
    prepare(box)
    box.without_namespace("cgroup")
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    counting(box)
    checkpoint(box)
    restore(box)
    box.exec("/bin/ls", "/sys/fs/cgroup")


@test("--leave-running, and a second checkpoint of what was restored", needs=("criu", "a runtime without a filter around it"))
def leave_running(box):
    prepare(box)
    counting(box)
    pid = box.pid()
    checkpoint(box, "--leave-running")
    equal((box.status(), box.pid()), ("running", pid))
    before = count(box)
    goes_on(box)
    checkpoint(box)
    restore(box)
    checkpoint(box)
    restore(box)
    expect(count(box) >= before, "it goes on from the second one")


@test("streams are those of restore, and the exit code comes through", needs=("criu", "a runtime without a filter around it"))
def streams(box):
    prepare(box)
    script = "trap 'exit 8' USR1; " + COUNT
    box.process["args"] = ["/bin/sh", "-c", script]
    box.write()
    child = subprocess.Popen(box.command("run", "--bundle", box.dir, box.id), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(int(child.stdout.readline()) == 1, "it counts")
    box.runtime("checkpoint", "--leave-running", "--image-path", box.images, box.id, check=True)
    box.runtime("kill", box.id, "KILL", check=True)
    equal(child.wait(LIMIT_S), 137)
    child.stdout.close()
    child.stderr.close()
    child = subprocess.Popen(box.command("restore", "--bundle", box.dir, "--image-path", box.images, box.id),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(int(child.stdout.readline()) >= 1, "its output comes here")
    child.send_signal(signal.SIGUSR1)
    equal(child.wait(LIMIT_S), 8)
    child.stdout.close()
    child.stderr.close()
    equal((box.exists(), box.cgroup_dirs()), (False, []))


@test("a terminal is handed over again", needs=("criu", "a runtime without a filter around it"))
def terminal(box):
    prepare(box)
    box.process["terminal"] = True
    box.process["args"] = ["/bin/sh", "-c", "while read line; do echo got $line; done"]
    receiver = Receiver(box, "console")
    box.create(options=("--console-socket", receiver.path))
    master = receiver.take()[1]
    box.runtime("start", box.id, check=True)
    os.write(master, b"one\n")
    said = b""
    while b"got one" not in said:
        said += os.read(master, 100)
    checkpoint(box, "--shell-job")
    os.close(master)
    restore(box, "--shell-job", "--console-socket", receiver.path)
    name, master = receiver.take()
    equal(name, "/dev/ptmx")
    os.write(master, b"two\n")
    said = b""
    while b"got two" not in said:
        said += os.read(master, 100)
    os.close(master)


@test("hooks run when it is restored", needs=("criu", "a runtime without a filter around it"))
def hooks(box):
    prepare(box)
    log = os.path.join(box.dir, "hooks")
    counting(box)
    checkpoint(box)
    box.config["hooks"] = {kind: [{"path": box.suite.busybox,
                                   "args": ["sh", "-c", "{ echo %s; cat; echo; } >>%s" % (kind, log)]}]
                           for kind in ("prestart", "createRuntime", "poststop")}
    box.write()
    restore(box)
    lines = open(log).read().splitlines()
    equal(lines[0::2], ["prestart", "createRuntime"])
    state = json.loads(lines[1])
    equal((state["id"], state["pid"]), (box.id, box.pid()))
    box.runtime("delete", "-f", box.id, check=True)
    equal(open(log).read().splitlines()[4], "poststop")


@test("images that are no images: criu's words, and nothing is left", needs=("criu", "a runtime without a filter around it"))
def bad_images(box):
    prepare(box)
    counting(box)
    checkpoint(box)
    os.unlink(os.path.join(box.images, "inventory.img"))
    result = refused(box, "see '.*restore.log': criu failed", "restore", "--bundle", box.dir, "--image-path",
                     box.images, box.id)
    expect(re.search(r"restore.log: .*Error", result.err), result.err)
    equal((box.exists(), box.cgroup_dirs()), (False, []))


# -- memory in parts, elsewhere, and later ------------------------------------------------------


def serve(box, *args):
    """criu's other half, in the background, until it ends by itself."""
    program = PEER if os.path.exists(PEER) else shutil.which("criu")
    child = subprocess.Popen([program, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)

    def end():
        if child.poll() is None:
            child.kill()
        child.wait()

    box.at_end.append(end)
    return child


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_listener(port, child):
    """A connection of ours would be taken for the one that is to come."""
    wanted = "0100007F:%04X" % port
    until(lambda: any(line.split()[1:2] == [wanted] for line in open("/proc/net/tcp")), "a listener", child)


def pages(directory):
    """Bytes of memory among the images of a dump."""
    return sum(os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory)
               if name.startswith("pages-"))


@test("--pre-dump, and a checkpoint of what has changed since",
      needs=("criu", "a runtime without a filter around it", "tracking of changed memory"))
def pre_dump(box):
    prepare(box)
    counting(box, FILLED_COUNT)
    first = os.path.join(box.dir, "first")
    for parent, path in ((None, first), ("../first", box.dir + "/second")):
        box.runtime("checkpoint", "--pre-dump", "--image-path", path,
                    *(("--parent-path", parent) if parent else ()), box.id, check=True)
        equal(box.status(), "running")
        goes_on(box)
    checkpoint(box, "--parent-path", "../second")
    equal(box.exists(), False)
    expect(0 < pages(box.images) < pages(first) / 2, "%d bytes, %d before" % (pages(box.images), pages(first)))
    restore(box)
    goes_on(box)


@test("--page-server: the memory goes there, the rest into --image-path",
      needs=("criu", "a runtime without a filter around it"))
def page_server(box):
    prepare(box)
    counting(box)
    there, port = os.path.join(box.dir, "there"), free_port()
    os.mkdir(there)
    server = serve(box, "page-server", "--images-dir", there, "--address", "127.0.0.1", "--port", str(port))
    await_listener(port, server)
    checkpoint(box, "--page-server", "127.0.0.1:%d" % port)
    equal(server.wait(LIMIT_S), 0)
    equal(pages(box.images), 0)
    expect(pages(there) > 0, "the pages are there")
    for name in os.listdir(there):
        if name.startswith("page"):
            os.rename(os.path.join(there, name), os.path.join(box.images, name))
    restore(box)
    goes_on(box)


@test("--lazy-pages: who waits on --status-fd learns that the memory is served; the container goes after who fetched it",
      needs=("criu", "a runtime without a filter around it", "userfaultfd"))
def lazy_pages(box):
    """The source's half. The other one is criu's: its 4.2 does not survive a page that is asked for out of turn."""
    prepare(box)
    counting(box)
    port = free_port()
    ready, status = os.pipe()
    source = subprocess.Popen(box.command("checkpoint", "--lazy-pages", "--page-server", "127.0.0.1:%d" % port,
                                          "--status-fd", str(status), "--image-path", box.images, box.id),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              pass_fds=(status,))
    os.close(status)
    if os.read(ready, 1) != b"\0":
        raise Failure("it does not say that it serves: " + source.communicate()[1].decode())
    os.close(ready)
    equal(source.poll(), None, "it waits for somebody who fetches")
    expect(os.path.exists(os.path.join(box.images, "inventory.img")), "all but the memory is there")
    expect(box.exists(), "the container is still here")
    socket.create_connection(("127.0.0.1", port)).close()
    words = source.communicate(timeout=LIMIT_S)[1].decode()
    equal((source.returncode, box.exists(), box.cgroup_dirs()), (0, False, []), words)
