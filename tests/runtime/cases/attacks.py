"""Every known class of hole in container runtimes, attacked: by what is inside, by the image, by who shares files.

Where the hole was a race, payload `exchange` swaps names under the set-up, a bounded number of rounds.  A container that is
refused is as good as one that is safe; what may never happen is that something of the host is touched or seen.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import time

import harness
from harness import LIMIT_S, equal, expect, test

SOAK = os.environ.get("VESSEL_SOAK") == "1"
ROUNDS = 2000 if SOAK else 60
ENOUGH_S, FEWEST_ROUNDS = 2, 8  # on a slow (emulated, busy) machine a race ends earlier
SECRET = "a secret of the host"
UP = "/".join([".."] * 24)


# -- what the attacks are made of --------------------------------------------------------------

def outside(box):
    """A directory of the host that nobody may reach; outside_untouched() looks."""
    path = os.path.join(box.dir, "outside")
    os.makedirs(os.path.join(path, "directory"))
    with open(os.path.join(path, "secret"), "w") as f:
        f.write(SECRET)
    return path


def outside_untouched(box):
    path = os.path.join(box.dir, "outside")
    equal(sorted(os.listdir(path)), ["directory", "secret"], "what is outside of the container")
    equal(os.listdir(os.path.join(path, "directory")), [], "what is in a directory outside")
    equal(open(os.path.join(path, "secret")).read(), SECRET, "a file outside")


def volume(box, at="/vol"):
    """A directory of the host that others share too."""
    path = os.path.join(box.dir, "volume")
    os.makedirs(path, exist_ok=True)
    if at:
        box.mount(at, type="bind", source=path, options=["rbind", "rw"])
    return path


def without_mounts(box, *destinations):
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] not in destinations]


def exchange(box, directory, a, b):
    """Somebody who lets two names change places until the case ends."""
    racer = subprocess.Popen([box.suite.payload, "exchange", directory, a, b], stdout=subprocess.PIPE)

    def end():
        racer.kill()
        racer.wait()
        racer.stdout.close()
    box.at_end.append(end)
    equal(racer.stdout.readline(), b"ready\n", "the one who exchanges names")


def bounded(count):
    start = time.monotonic()
    for number in range(count):
        if number >= FEWEST_ROUNDS and not SOAK and time.monotonic() - start > ENOUGH_S:
            return
        yield number


def rounds(box, *args, check=None, count=ROUNDS, options=()):
    """Run it again and again; check(result) of each that was not refused."""
    for _ in bounded(count):
        result = box.run(*args, check=False, options=options)
        outside_untouched(box)
        if result.code == 0 and check:
            check(result)


def record_mounts(box):
    """Before the container enters its root, a hook notes where its mounts have landed: box.dir/mounts."""
    log = os.path.join(box.dir, "mounts")
    box.config["hooks"] = {"createContainer": [{"path": box.suite.payload, "args": ["payload", "mounts", log]}]}
    return log


def mounted_at(log, source):
    """Where the mounts of that source are, in every table of the log."""
    places = set()
    for line in open(log) if os.path.exists(log) else ():
        fields = line.split()
        if fields[fields.index("-") + 2] == source:
            places.add(fields[4])
    return places


def wait_for(path, text):
    """Wait until a file has the text; the process that writes it cannot be waited for."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if os.path.exists(path) and text in open(path, errors="replace").read():
            return
        time.sleep(0.01)
    raise harness.Failure("no %r in %s: %r" % (
        text, path, open(path, errors="replace").read()[-500:] if os.path.exists(path) else "not there"))


def second(box):
    """Another container, with a root file system of its own."""
    other = harness.Box(box.suite, box.id + "-b")
    other.global_options = box.global_options
    other.root = box.root + "-b"

    def end():
        other.close()
        left = box.suite.residue(other)
        shutil.rmtree(other.dir, ignore_errors=True)
        expect(not left, "left behind: %s" % left)
    box.at_end.append(end)
    return other


# -- processes on their way in -----------------------------------------------------------------

def watched(box):
    """The container in which a process tries to look into every other one; where it notes what it sees."""
    box.start("watch", "/found")
    found = os.path.join(box.rootfs, "found")
    wait_for(found, "watching")
    return found


def saw_nothing(found):
    """But for the socket over which execve(2) is reported: the kernel exchanges a process's memory before it closes what
    is close-on-exec, and to the root of its user namespace the new memory is readable at once.  Behind it is nothing."""
    lines = [line.strip() for line in open(found)
             if not line.startswith("watching") and not re.match(r"(fd|pidfd_getfd) \d+ socket:", line)]
    expect(not lines, "seen from inside: %s" % lines[:5])


def join_rounds(box, *kinds):
    found = watched(box)
    other = second(box)
    for kind in kinds:
        if kind == "user":
            other.user_namespace()
            del other.linux["uidMappings"], other.linux["gidMappings"]
        other.namespace(kind, path="/proc/%d/ns/%s" % (box.pid(), kind))
    for _ in bounded(max(20, ROUNDS // 10)):
        other.run("exit", "0")
    saw_nothing(found)


@test("CVE-2016-9962: process 1 that joins a pid namespace cannot be looked into or traced on its way in")
def join_unseen(box):
    join_rounds(box, "pid")


@test("CVE-2016-9962: ... nor by the capable root of the user namespace that it joins")
def join_unseen_userns(box):
    box.user_namespace()
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind] = box.process["capabilities"][kind] + ["CAP_SYS_PTRACE"]
    box.file("found", "", 0o666)
    join_rounds(box, "user", "pid")


def exec_rounds(box, *options):
    found = watched(box)
    for _ in bounded(max(20, ROUNDS // 10)):
        box.exec("exit", "0", options=options)
    saw_nothing(found)


@test("CVE-2016-9962: a process that is executed in a container cannot be looked into or traced on its way in")
def exec_unseen(box):
    exec_rounds(box)


@test("CVE-2016-9962: ... with less capabilities than those who look")
def exec_unseen_capable(box):
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind] = box.process["capabilities"][kind] + ["CAP_NET_ADMIN"]
    box.write()
    exec_rounds(box, "--user", "0")


@test("CVE-2016-9962: ... nor by the root of its user namespace")
def exec_unseen_userns(box):
    box.user_namespace()
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind] = box.process["capabilities"][kind] + ["CAP_SYS_PTRACE"]
    box.file("found", "", 0o666)
    exec_rounds(box)


# -- the runtime's own binary ------------------------------------------------------------------

def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def own_runtime(box):
    """A copy of the runtime, which the attack may spoil."""
    directory = os.path.join(box.dir, "programs")
    os.makedirs(directory)
    real = os.path.realpath(box.suite.runtime)
    for name in (os.path.basename(real), "vessel-seccomp", "vessel-systemd"):
        source = os.path.join(os.path.dirname(real), name)
        if os.path.exists(source):
            shutil.copy(source, directory)
    path = os.path.join(directory, os.path.basename(real))
    box.command = lambda *args: [*box.suite.prefix, path, "--root", box.root, *box.global_options, *args]
    return path


def read_log_until_grabbed(running, log, found):
    try:
        # It hangs at its log, a FIFO, until that is read: time to get hold of it.  Or it was refused.
        end = time.monotonic() + LIMIT_S
        while running.poll() is None and "grabbed" not in open(found).read() and time.monotonic() < end:
            time.sleep(0.01)
        log = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
        running.wait(LIMIT_S)
        os.close(log)
    finally:
        running.kill()
        running.wait()
    if "grabbed" in open(found).read():
        wait_for(found, "written")


def overwrite(box, args):
    """One container's program is the runtime itself; a process of another, in the same pid namespace, writes over it."""
    box.start("grab", "/found")
    found = os.path.join(box.rootfs, "found")
    wait_for(found, "watching")
    other = second(box)
    program = own_runtime(other)
    before = digest(program)
    other.namespace("pid", path="/proc/%d/ns/pid" % box.pid())
    other.process["capabilities"] = box.process["capabilities"]
    os.mkfifo(os.path.join(other.rootfs, "log"))
    os.symlink("/proc/self/exe", os.path.join(other.rootfs, "exe"))
    other.file("script", "#!/proc/self/exe --log=/log\n", 0o755)
    other.process["args"] = args
    other.write()
    running = subprocess.Popen(other.command("run", "--bundle", other.dir, other.id),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    read_log_until_grabbed(running, os.path.join(other.rootfs, "log"), found)
    equal(digest(program), before, "the runtime's binary")
    expect("written yes" not in open(found).read() and "unwrapped" not in open(found).read(), open(found).read())
    other.run("exit", "0")


@test("CVE-2019-5736: the runtime's binary cannot be overwritten through /proc/self/exe")
def overwrite_exe(box):
    overwrite(box, ["/exe", "--log", "/log", "no-such-command"])


def privileged(box):
    """Every capability but those that look into processes, which need no hole."""
    every = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SYS_RESOURCE"]
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind] = sorted(set(box.process["capabilities"][kind] + every))


@test("CVE-2019-5736: ... nor with CAP_SYS_ADMIN")
def overwrite_admin(box):
    privileged(box)
    overwrite(box, ["/exe", "--log", "/log", "no-such-command"])


@test("CVE-2019-5736: ... nor when it is a script's interpreter")
def overwrite_interpreter(box):
    overwrite(box, ["/script"])


@test("CVE-2019-5736: ... nor when it is executed in a container that waits for it")
def overwrite_exec(box):
    program = own_runtime(box)
    before = digest(program)
    box.start("grab", "/found")
    found = os.path.join(box.rootfs, "found")
    wait_for(found, "watching")
    os.mkfifo(os.path.join(box.rootfs, "log"))
    box.file("script", "#!/proc/self/exe --log=/log\n", 0o755)
    running = subprocess.Popen(box.command("exec", box.id, "/script"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    read_log_until_grabbed(running, os.path.join(box.rootfs, "log"), found)
    equal(digest(program), before, "the runtime's binary")
    expect("written yes" not in open(found).read() and "unwrapped" not in open(found).read(), open(found).read())
    equal(box.exec("exit", "3", check=False).code, 3, "exit code of the next exec")


# -- /proc and /sys ----------------------------------------------------------------------------

def fake_proc(box, path):
    """A directory that looks like procfs to who writes labels and sysctls; untouched() tells if someone did."""
    names = ("self/attr/exec", "thread-self/attr/exec", "self/attr/apparmor/exec", "thread-self/attr/apparmor/exec",
             "sys/net/ipv4/ip_forward", "sys/kernel/hostname", "version", "marker")
    for name in names:
        file = os.path.join(path, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as f:
            f.write("fake")

    directory = os.open(path, os.O_PATH | os.O_DIRECTORY)  # whatever its name is by then
    box.at_end.append(lambda: os.close(directory))

    def untouched():
        for name in names:
            with open(os.open(name, os.O_RDONLY, dir_fd=directory)) as f:
                equal(f.read(), "fake", "the file " + name + " in place of procfs's")
    return untouched


@test("CVE-2019-16884: nothing but procfs can be mounted on /proc, and nothing below it")
def over_proc(box):
    fake = os.path.join(box.dir, "volume")
    untouched = fake_proc(box, fake)
    os.symlink("/proc", os.path.join(box.rootfs, "link"))
    os.symlink("proc/self", os.path.join(box.rootfs, "mnt", "link"))
    bind = dict(type="bind", source=fake, options=["bind"])
    mounts = list(box.config["mounts"])
    for destination, members in (("/proc", bind), ("/proc/", bind), ("/tmp/../proc", bind), ("/proc/self", bind),
                                 ("/proc/sys", bind), ("/proc/self/attr", bind), ("/link/self/attr", bind),
                                 ("/mnt/../link/sys", bind), ("/proc/sys/kernel", bind),
                                 ("/proc", dict(type="tmpfs", source="tmpfs")),
                                 ("/proc", dict(type="bind", source="/proc/sys", options=["bind"])),
                                 ("/link/sys", dict(type="tmpfs", source="tmpfs"))):
        box.config["mounts"] = mounts + [dict(destination=destination, **members)]
        box.fails("proc", "read", "/proc/marker")
    untouched()


@test("CVE-2023-27561: /proc or /sys as a symbolic link is refused, or means nothing")
def proc_is_a_link(box):
    untouched = fake_proc(box, os.path.join(volume(box), "fake"))
    box.linux["maskedPaths"] = ["/proc/version"]
    for name, kind in (("proc", "proc"), ("sys", "sysfs")):
        path = os.path.join(box.rootfs, name)
        for target in ("vol/fake", "/vol/fake", "../../../../vol/fake", "mnt"):
            os.rmdir(path)
            os.symlink(target, path)
            box.fails("link|directory", "read", "/%s/marker" % name)
            os.unlink(path)
            os.mkdir(path)
    untouched()


def race_proc(box):
    """The mount point of /proc and a fake exchange their names during the set-up."""
    untouched = fake_proc(box, os.path.join(box.rootfs, "fake"))
    outside(box)
    exchange(box, box.rootfs, "proc", "fake")
    return untouched


@test("CVE-2023-27561, CVE-2019-19921: masks hide files of procfs wherever its mount point is moved meanwhile")
def masks_follow_proc(box):
    box.linux["maskedPaths"] = ["/proc/version"]
    box.linux["readonlyPaths"] = ["/proc/sys"]
    race_proc(box)
    rounds(box, "read", "/proc/version", "/fake/version",
           check=lambda result: expect("Linux" not in result.out, "not masked: " + result.out))


@test("CVE-2025-52881: sysctls are written to procfs, whatever stands at /proc meanwhile")
def sysctl_in_procfs(box):
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    untouched = race_proc(box)
    rounds(box, "exit", "0")
    untouched()


@test("CVE-2025-52881: a file mounted over a sysctl is not written")
def sysctl_covered(box):
    fake = box.file("fake", "fake")
    covered = "/proc/sys/net/ipv4/ip_forward"
    libc = harness.ctypes.CDLL(None)
    equal(libc.mount(fake.encode(), covered.encode(), None, 4096, None), 0, "mount")
    box.at_end.append(lambda: libc.umount2(covered.encode(), 2))
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    result = box.run("read", covered, check=False)
    expect(result.code != 0 or result.out.startswith("1"), "neither refused nor set: " + result.out)
    equal(open(fake).read(), "fake", "the file in place of a sysctl")


# -- mount destinations ------------------------------------------------------------------------

@test("CVE-2019-18837: a mount destination that is a link leads nowhere outside")
def destination_is_a_link(box):
    host = outside(box)
    log = record_mounts(box)
    mounts = list(box.config["mounts"])
    for number, target in enumerate((host, UP + host, "/proc/self/root" + host, "/proc/1/cwd")):
        os.symlink(target, os.path.join(box.rootfs, "link%d" % number))
        box.config["mounts"] = mounts + [dict(destination="/link%d/directory" % number, type="tmpfs", source="marker")]
        box.run("exit", "0", check=False)
        outside_untouched(box)
    for place in mounted_at(log, "marker"):
        expect(place.startswith(box.rootfs + "/"), "mounted at " + place)


def race_destination(box, target, member):
    share = volume(box)
    os.makedirs(os.path.join(share, "directory", "directory"))
    os.symlink(target, os.path.join(share, "link"))
    log = record_mounts(box)
    box.mount("/vol/directory/" + member if member else "/vol/directory", type="tmpfs", source="marker")
    exchange(box, share, "directory", "link")
    rounds(box, "exit", "0")
    for place in mounted_at(log, "marker"):
        expect(place.startswith(box.rootfs + "/"), "mounted at " + place)


@test("CVE-2021-30465: a mount lands inside though its destination is exchanged for a link")
def race_mount(box):
    race_destination(box, outside(box), "")


@test("CVE-2021-30465: ... a relative link")
def race_mount_relative(box):
    race_destination(box, UP + outside(box), "directory")


def race_mkdir(box, target, **mount):
    share = volume(box)
    os.makedirs(os.path.join(share, "dir"))
    os.symlink(target, os.path.join(share, "link"))
    box.mount("/vol/dir/made/deep/er", **mount)
    exchange(box, share, "dir", "link")

    def again():
        shutil.rmtree(os.path.join(share, "dir", "made"), ignore_errors=True)
        shutil.rmtree(os.path.join(share, "link", "made"), ignore_errors=True)
    for _ in bounded(ROUNDS):
        rounds(box, "exit", "0", count=1)
        again()


@test("CVE-2024-45310: directories of a mount are not made outside")
def race_mkdir_directory(box):
    race_mkdir(box, outside(box), type="tmpfs", source="tmpfs")


@test("CVE-2024-45310: ... nor files")
def race_mkdir_file(box):
    source = box.file("etc/source", "text")
    race_mkdir(box, UP + outside(box), type="bind", source=source, options=["bind"])


# -- descriptors of the runtime ----------------------------------------------------------------

DESCRIPTORS = range(0, 24)


@test("CVE-2024-21626: a working directory by an open descriptor is refused, or inside")
def cwd_by_descriptor(box):
    secret = UP + os.path.join(outside(box), "secret")
    for number in DESCRIPTORS:
        path = "/proc/self/fd/%d" % number
        os.symlink(path, os.path.join(box.rootfs, "cwd%d" % number))
        for cwd in (path, path + "/../../..", "/cwd%d" % number, path + os.path.dirname("/" + secret)):
            box.process["cwd"] = cwd
            result = box.run("read", secret, secret.replace("../", "", 12), check=False)
            expect(SECRET not in result.out, "working directory '%s' is outside" % cwd)
    outside_untouched(box)


@test("CVE-2024-21626: a program of the host is not executed by way of an open descriptor")
def program_by_descriptor(box):
    program = os.path.join(outside(box), "..", "program")
    shutil.copy(box.suite.payload, program)
    for number in DESCRIPTORS:
        path = "/proc/self/fd/%d/%s%s" % (number, UP, os.path.abspath(program))
        box.file("script", "#!%s report\n" % path, 0o755)
        os.symlink(path, os.path.join(box.rootfs, "program%d" % number))
        for args in ([path, "report"], ["/script"], ["/program%d" % number, "report"]):
            if len(path) > 200 and args[0] == "/script":  # the kernel's limit of that line
                continue
            box.process["args"] = args
            result = box.run(check=False)
            expect(result.code != 0, "%s was executed by descriptor %d" % (args, number))


@test("CVE-2024-21626: a file of the host is not read by way of an open descriptor")
def file_by_descriptor(box):
    host = outside(box)
    with open(os.path.join(box.dir, "passwd"), "w") as f:
        f.write("root:x:0:0::/%s:/bin/sh\n" % SECRET)
    for number in DESCRIPTORS:
        link = os.path.join(box.rootfs, "etc", "passwd")
        os.unlink(link)
        os.symlink("/proc/self/fd/%d/%s%s/../passwd" % (number, UP, host), link)
        result = box.run("report", "env", check=False)
        expect(SECRET not in result.out, "read by descriptor %d" % number)


@test("CVE-2024-21626: exec: a working directory or a program by an open descriptor is refused, or inside")
def exec_by_descriptor(box):
    host = outside(box)
    secret = UP + os.path.join(host, "secret")
    program = os.path.join(box.dir, "program")
    shutil.copy(box.suite.payload, program)
    box.start("pause")
    for number in DESCRIPTORS:
        path = "/proc/self/fd/%d" % number
        result = box.exec("read", secret, secret.replace("../", "", 12), options=("--cwd", path), check=False)
        expect(SECRET not in result.out, "working directory '%s' is outside" % path)
        result = box.exec("%s/%s%s" % (path, UP, program), "report", check=False)
        expect(result.code != 0, "a program was executed by descriptor %d" % number)


def noted(path):
    return [line.strip() for line in open(path) if line.startswith("open ")]


@test("what the caller has open reaches neither the container nor hooks")
def caller_descriptors(box):
    log = os.path.join(box.dir, "descriptors")
    hook = {"path": box.suite.payload, "args": ["payload", "descriptors", log]}
    box.config["hooks"] = {kind: [hook] for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
    directory = os.open("/", os.O_PATH | os.O_DIRECTORY)
    box.at_end.append(lambda: os.close(directory))
    report = box.report("fds", pass_fds=(directory,))
    equal([fd for fd in report["fds"] if int(fd) > 2], [], "descriptors of process 1")
    equal(open(log).read().count("watching"), 5, "hooks that were run")
    equal(noted(log), [], "descriptors of the hooks")
    box.config["hooks"] = {}
    box.start("pause", pass_fds=(directory,))
    report = box.exec("report", "fds", pass_fds=(directory,)).json()
    equal([fd for fd in report["fds"] if int(fd) > 2], [], "descriptors of an exec")


@test("--preserve-fds passes nothing of the runtime's own where the caller has nothing open")
def preserved_nothing(box):
    result = box.run("report", "fds", options=("--preserve-fds", "12"), check=False)
    if result.code == 0:
        equal([fd for fd in result.json()["fds"] if int(fd) > 2], [], "descriptors of process 1")
    box.start("pause")
    result = box.exec("report", "fds", options=("--preserve-fds", "12"), check=False)
    if result.code == 0:
        equal([fd for fd in result.json()["fds"] if int(fd) > 2], [], "descriptors of an exec")


# -- masks, devices, the console ---------------------------------------------------------------

def shared_dev(box):
    """/dev is a volume, which somebody else fills."""
    without_mounts(box, "/dev", "/dev/pts")
    path = volume(box, "/dev")
    os.mknod(os.path.join(path, "null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.symlink("pts/ptmx", os.path.join(path, "ptmx"))
    box.file("victim", "of the container")
    return path


@test("CVE-2025-31133: masked paths are masked though /dev/null is a link")
def null_is_a_link(box):
    dev = shared_dev(box)
    box.linux["maskedPaths"] = ["/proc/version"]
    os.unlink(os.path.join(dev, "null"))
    for target in ("/victim", outside(box) + "/secret", "/proc/sys/kernel/hostname"):
        os.symlink(target, os.path.join(dev, "null"))
        result = box.run("read", "/proc/version", check=False)
        expect(result.code != 0 or result.out in ("\n", "!Permission denied\n"), "it is " + result.out)
        os.unlink(os.path.join(dev, "null"))


@test("CVE-2025-31133: ... though /dev/null is exchanged for a link")
def race_null(box):
    dev = shared_dev(box)
    outside(box)
    os.symlink("/victim", os.path.join(dev, "link"))
    box.linux["maskedPaths"] = ["/proc/version", "/proc/cmdline", "/proc/keys"]
    exchange(box, dev, "null", "link")
    rounds(box, "read", "/proc/version", "/proc/cmdline",
           check=lambda result: expect(not result.out.strip() or "denied" in result.out, "it is " + result.out))


def terminal(box, check):
    """create and start with a terminal; check(what process 1 says of itself, its mounts)."""
    address = os.path.join(box.dir, "console")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(1)
    listener.settimeout(LIMIT_S)
    try:
        result = box.create("report", "mountinfo", "fds", options=("--console-socket", address), check=False)
        if result.code == 0:
            sock = listener.accept()[0]
            _, fds, _, _ = socket.recv_fds(sock, 256, 1)
            sock.close()
            if box.runtime("start", box.id).code == 0:
                check(read_terminal(fds[0]))
            os.close(fds[0])
    finally:
        listener.close()
        os.unlink(address)
        box.runtime("delete", "--force", box.id)
    return result


def read_terminal(fd):
    text = b""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # EIO: its other end is closed
            chunk = b""
        if not chunk:
            break
        text += chunk
    return json.loads(text)


def console_is_right(report):
    for fd in "012":
        expect(re.match(r"/[a-z/]+(/\d+|console)$", report["fds"][fd]), "stream %s is %s" % (fd, report["fds"][fd]))
    places = {line.split()[4]: line for line in report["mountinfo"].splitlines()}
    for place in places:
        expect("victim" not in place, "something is mounted at " + place)


@test("CVE-2025-52565: the console is mounted at /dev/console, not where a link leads")
def console_is_a_link(box):
    dev = shared_dev(box)
    os.mkdir(os.path.join(dev, "pts"))
    outside(box)
    box.process["terminal"] = True
    box.mount("/dev/pts", type="devpts", source="devpts", options=["newinstance", "ptmxmode=0666", "mode=0620"])
    for target in ("/victim", UP + box.dir + "/outside/secret", "/proc/sys/kernel/hostname", "missing"):
        os.symlink(target, os.path.join(dev, "console"))
        terminal(box, console_is_right)
        outside_untouched(box)
        expect(not os.path.exists(os.path.join(dev, "missing")), "the link's target was made")
        os.unlink(os.path.join(dev, "console"))
    result = terminal(box, console_is_right)
    equal(result.code, 0, "without a link (%s)" % result.err)


@test("CVE-2025-52565: ... though /dev/console and /dev/pts are exchanged for links")
def race_console(box):
    dev = shared_dev(box)
    os.mkdir(os.path.join(dev, "pts"))
    os.symlink("/fakepts", os.path.join(dev, "linkpts"))
    os.makedirs(os.path.join(box.rootfs, "fakepts"))
    for number in range(4):
        os.symlink("/victim", os.path.join(box.rootfs, "fakepts", str(number)))
    with open(os.path.join(dev, "console"), "w"):
        pass
    os.symlink("/victim", os.path.join(dev, "link"))
    outside(box)
    box.process["terminal"] = True
    box.mount("/dev/pts", type="devpts", source="devpts", options=["newinstance", "ptmxmode=0666", "mode=0620"])
    exchange(box, dev, "console", "link")
    exchange(box, dev, "pts", "linkpts")
    for _ in bounded(ROUNDS):
        terminal(box, console_is_right)
        outside_untouched(box)


@test("CVE-2026-41579: nothing is made through a /dev that is a link")
def dev_is_a_link(box):
    without_mounts(box, "/dev", "/dev/pts")
    host = outside(box)
    path = os.path.join(box.rootfs, "dev")
    os.rmdir(path)
    for target in (host, UP + host, host + "/directory", "/etc", "missing"):
        os.symlink(target, path)
        box.run("exit", "0", check=False)
        outside_untouched(box)
        expect(not os.path.exists(os.path.join(box.rootfs, "etc", "null")), "devices are in /etc")
        os.unlink(path)


@test("CVE-2026-47766: device nodes are not made outside, though their directory is exchanged for a link")
def race_devices(box):
    without_mounts(box, "/dev", "/dev/pts")
    host = outside(box)
    os.symlink(host, os.path.join(box.rootfs, "link"))
    os.symlink(UP + host, os.path.join(box.rootfs, "mnt", "sub"))
    null = dict(type="c", major=1, minor=3, fileMode=0o666, uid=0, gid=0)
    box.linux["devices"] = [dict(null, path="/dev/one"), dict(null, path="/mnt/sub/two"), dict(null, path="/link/three")]
    box.run("exit", "0", check=False)
    outside_untouched(box)
    del box.linux["devices"][1:]
    exchange(box, box.rootfs, "dev", "link")
    rounds(box, "exit", "0")


# -- capabilities ------------------------------------------------------------------------------

def no_inheritable(result):
    status = result.json()["status"]
    equal((int(status["CapInh"], 16), int(status["CapAmb"], 16)), (0, 0), "inheritable and ambient capabilities")


@test("CVE-2022-29162: no capability is inheritable unless asked for")
def inheritable(box):
    no_inheritable(box.run("report", "status"))
    box.process["user"] = {"uid": 1000, "gid": 1000}
    no_inheritable(box.run("report", "status"))


@test("CVE-2022-29162: ... in an exec, with capabilities added")
def inheritable_exec(box):
    box.start("pause")
    no_inheritable(box.exec("report", "status"))
    no_inheritable(box.exec("report", "status", options=("--cap", "CAP_NET_RAW")))
    result = box.exec("report", "status", options=("--cap", "CAP_NET_RAW", "--user", "1000"))
    equal(int(result.json()["status"]["CapInh"], 16), 0, "inheritable capabilities of a user's exec")


@test("CVE-2026-30892: a user that is not wholly a number is refused")
def exec_user(box):
    box.start("pause")
    for user in ("1000x", "1000:1001y", "0x0", "-1", "4294967296", "4294967295", "1000 ", ":", "1000:", "1e3", "+1"):
        result = box.exec("report", "ids", options=("--user", user), check=False)
        expect(result.code != 0, "--user '%s' ran as %s" % (user, result.out))
    box.runtime("delete", "--force", box.id, check=True)
    for ids in ((4294967295, 0), (0, 4294967295)):
        box.process["user"] = {"uid": ids[0], "gid": ids[1]}
        box.fails("4294967295", "exit", "0")
