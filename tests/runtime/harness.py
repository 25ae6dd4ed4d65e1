"""Boxes for the runtime's tests: a bundle, a container of vessel-runtime, and what it sees of itself.

A case is a function marked @test in cases/*.py.  It gets a Box, changes box.config, runs it and looks at
the effect from inside: the payload (payload/*.c, one static program) is process 1 and reports in JSON.
After each case nothing of it may be left on the host; that is checked here for all of them.
"""

import copy
import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import deque

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CGROUP = "vessel-test-runtime-%d" % os.getpid()  # the parent of every box's cgroup
SLICE = "vesseltest.slice"      # the same with systemd as the driver
CGROUP_ROOT = "/sys/fs/cgroup"
SOAK = os.environ.get("VESSEL_SOAK") == "1"
LIMIT_S = 120  # one command that hangs; nothing is measured by it
CASE_LIMIT_S = 3600 if SOAK else 900  # a case that waits for what does not come: it fails, and says where

CASES = []


def test(title, needs=()):
    """Mark a case; `needs` are names in Host.FEATURES, without which it is skipped, naming them."""
    def mark(function):
        CASES.append((title, function, (needs,) if isinstance(needs, str) else tuple(needs)))
        return function
    return mark


def name_of(case):
    title, function, _ = case
    return "%s: %s" % (function.__module__.rsplit(".", 1)[-1], title)


def choose(only=None, share=None, always=()):
    """The cases whose name matches `only`; of those, share "K/N": every Nth from the Kth on, and all
    that need a feature of `always`.  What is left out is said."""
    chosen = [case for case in CASES if not only or re.search(only, "cases." + name_of(case))]
    if share:
        k, n = map(int, share.split("/"))
        # The host runs those with criu, whose work takes long in an emulator.
        mine = [case for i, case in enumerate(chosen)
                if i % n == k - 1 and "criu" not in case[2] or set(always) & set(case[2])]
        for case in chosen:
            if case not in mine:
                print("# left out here: " + name_of(case))
        print("# share %s: %d of %d cases" % (share, len(mine), len(chosen)), flush=True)
        chosen = mine
    return chosen


# What Linux has got since 5.2 and the runtime uses where it is.
NEW_CALLS = ("openat2,clone3,fsopen,fsconfig,fsmount,fspick,open_tree,move_mount,mount_setattr,close_range,"
             "faccessat2,pidfd_open,pidfd_send_signal")


def without(payload, calls):
    """A prefix that makes system calls fail: "CALL,..." with ENOSYS, "CALL=ERRNO,..." otherwise."""
    return [payload, "enosys", calls, "--"]


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def equal(got, wanted, what=""):
    expect(got == wanted, "%s: got %r, wanted %r" % (what or "value", got, wanted))


def becomes(look, wanted, what=""):
    """For what the kernel does in its own time: look() until it is that, within a generous bound."""
    end = time.monotonic() + LIMIT_S
    while (got := look()) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    equal(got, wanted, what)


def until(look, what, goes_on=None):
    """The same for what is true at last; its value.  goes_on: a child without which it will not come."""
    end = time.monotonic() + LIMIT_S
    while not (got := look()):
        expect(goes_on is None or goes_on.poll() is None,
               "the one who is waited for (%s) has ended with %s" % (what, goes_on and goes_on.returncode))
        expect(time.monotonic() < end, "it never comes: %s; it is %r" % (what, got))
        time.sleep(0.005)
    return got


def has_ended(pidfd, limit_s=LIMIT_S):
    """Wait until a process has ended, or see that it has, and close its pidfd."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    expect(poll.poll(limit_s * 1000), "a process lives on: " +
           open("/proc/self/fdinfo/%d" % pidfd).read().partition("Pid:")[2].partition("\n")[0].strip())
    os.close(pidfd)


class Host:
    """What this kernel and this machine have."""

    def __init__(self):
        mounts = [line.split() for line in open("/proc/self/mountinfo")]
        kinds = [(m[4], m[m.index("-") + 1], m[m.index("-") + 3]) for m in mounts]
        self.v1 = {name for at, kind, options in kinds if kind == "cgroup"
                   for name in options.split(",") if at.startswith(CGROUP_ROOT)}
        self.v2_only = any(at == CGROUP_ROOT and kind == "cgroup2" for at, kind, _ in kinds)
        self.has = {name: probe(self) for name, probe in self.FEATURES.items()}

    def _filesystem(name):
        return lambda self: any(line.split()[-1] == name for line in open("/proc/filesystems"))

    def _dirty(self):
        """CONFIG_MEM_SOFT_DIRTY: a page just written has bit 55 in pagemap."""
        page = ctypes.create_string_buffer(b"x", 8192)
        with open("/proc/self/pagemap", "rb") as f:
            f.seek((ctypes.addressof(page) + 4096) // 4096 * 8)
            ctypes.memset(page, 1, 8192)
            return int.from_bytes(f.read(8), "little") >> 55 & 1

    FEATURES = {
        "cgroup v1": lambda self: not self.v2_only,
        "cgroup v2": lambda self: self.v2_only,
        "AppArmor": lambda self: os.path.isdir("/sys/kernel/security/apparmor"),
        "SELinux": lambda self: os.path.isdir("/sys/fs/selinux"),
        "cgroupfs driver": lambda self: True,  # not when all cases run with systemd's
        "systemd": lambda self: os.path.isdir("/run/systemd/system"),
        "x86_64": lambda self: os.uname().machine == "x86_64",
        "NUMA": lambda self: os.path.isdir("/sys/devices/system/node/node0"),
        "time namespaces": lambda self: os.path.exists("/proc/self/ns/time"),
        "overlay": _filesystem("overlay"),
        "criu": lambda self: shutil.which("criu") or os.path.exists(TOP + "/build/peers/criu/usr/sbin/criu"),
        # Debian's kernels answer EINVAL to what criu 4.2 wants to know of a link.
        "a network that criu can dump": lambda self: "-cloud-amd64" not in os.uname().release,
        "userfaultfd": lambda self: os.path.exists("/proc/sys/vm/unprivileged_userfaultfd"),
        "tracking of changed memory": _dirty,
        "a machine without resctrl": lambda self: " resctrl " not in open("/proc/self/mountinfo").read(),
        "CAP_SYS_RESOURCE": lambda self: int(re.search(r"CapEff:\s*(\w+)", open("/proc/self/status").read())[1],
                                             16) >> 24 & 1,
    }

    def kernel(self):
        return tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def shortened(text, size=400):
    return text if len(text) <= size else text[:size // 4] + " ... " + text[-size:]


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return shortened("%s: %s, out %s, err %s" % (" ".join(map(str, self.args)), self.code, shortened(repr(self.out)),
                                                     shortened(repr(self.err))), 1000)

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            raise Failure("no JSON from %s: %r %r" % (self.args, self.out, self.err)) from None


CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID",
        "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"]
CONFIG = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "hostname": "box",
    "process": {
        "cwd": "/", "args": ["/payload", "report"], "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"],
        "capabilities": {kind: CAPS for kind in ("bounding", "effective", "permitted")},
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    },
}
MAPPINGS = {
    "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
    "gidMappings": [{"containerID": 0, "hostID": 200000, "size": 65536}],
}


class Box:
    """One container.  `config` is written by each command that reads it."""

    def __init__(self, suite, name):
        self.suite, self.host, self.id = suite, suite.host, name
        self.dir = os.path.join(suite.work, name)
        self.rootfs = os.path.join(self.dir, "rootfs")
        self.root = os.path.join(suite.work, "state")
        self.config = copy.deepcopy(CONFIG)
        self.linux, self.process = self.config["linux"], self.config["process"]
        self.linux["cgroupsPath"] = suite.cgroups_path(name)
        self.global_options = list(suite.global_options)  # before the command: --systemd-cgroup, --log ...
        self.prefix = list(suite.prefix)
        self.popen = {}           # for every command: user, group, extra_groups, env ... of subprocess.Popen
        self.at_end = []          # called when the case has ended, last first
        for directory in ("bin", "dev", "etc", "proc", "sys", "tmp", "run", "mnt"):
            os.makedirs(os.path.join(self.rootfs, directory))
        for source, name in ((suite.payload, "payload"), (suite.busybox, "bin/busybox")):
            os.link(source, os.path.join(self.rootfs, name))
        for applet in ("sh", "cat", "echo", "sleep", "true", "ls", "kill", "head", "id", "touch", "mkdir", "ip"):
            os.symlink("busybox", os.path.join(self.rootfs, "bin", applet))
        self.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
        self.file("etc/group", "root:x:0:\nuser:x:1000:\nmore:x:1001:user\n")

    def file(self, path, text, mode=0o644):
        """A file of the root file system."""
        path = os.path.join(self.rootfs, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def sibling(self, name):
        """One more box in the same case."""
        box = Box(self.suite, "%s-%s" % (self.id, name))
        box.root = box.dir + "/state"
        self.at_end.append(lambda: (box.close(), expect(not self.suite.residue(box), "left behind by " + box.id),
                                    shutil.rmtree(box.dir)))
        return box

    def namespace(self, kind, **members):
        """Add or change a namespace of the configuration."""
        rest = [n for n in self.linux["namespaces"] if n["type"] != kind]
        self.linux["namespaces"] = rest + [dict(type=kind, **members)]

    def without_namespace(self, kind):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]

    def user_namespace(self):
        """A user namespace of its own, over a root file system that its root owns."""
        self.namespace("user")
        self.linux.update(copy.deepcopy(MAPPINGS))
        for directory, names, files in os.walk(self.rootfs):
            for name in names + files + ["."]:
                path = os.path.join(directory, name)
                if os.stat(path, follow_symlinks=False).st_nlink < 2 or os.path.isdir(path):
                    os.chown(path, 100000, 200000, follow_symlinks=False)

    def mount(self, destination, **members):
        self.config["mounts"].append(dict(destination=destination, **members))

    def write(self):
        with open(os.path.join(self.dir, "config.json"), "w") as f:
            json.dump(self.config, f)

    def command(self, *args):
        return [*self.prefix, self.suite.runtime, "--root", self.root, *self.global_options, *args]

    def runtime(self, *args, check=False, **popen):
        """Any command of vessel-runtime.  check: it must succeed."""
        popen = {"stdin": subprocess.DEVNULL, **self.popen, **popen}
        if "input" in popen:
            del popen["stdin"]
        result = Result(args, "it has not ended", "", "")
        self.suite.commands.append(result)
        done = subprocess.run(self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=LIMIT_S, text=True, errors="replace", **popen)
        result.code, result.out, result.err = done.returncode, done.stdout, done.stderr
        if check:
            equal(result.code, 0, "exit code of %s (%s)" % (" ".join(args), result.err.strip()))
        return result

    def run(self, *args, options=(), check=True, **popen):
        """`run` in the foreground with the payload's (or, with a leading slash, another) command line."""
        if args:
            self.process["args"] = list(args) if args[0].startswith("/") else ["/payload", *args]
        self.write()
        return self.runtime("run", "--bundle", self.dir, *options, self.id, check=check, **popen)

    def sh(self, script, **rest):
        return self.run("/bin/sh", "-c", script, **rest)

    def report(self, *parts, **rest):
        """What process 1 says of itself; see payload/report.c for the parts."""
        return self.run("report", *parts, **rest).json()

    def fails(self, pattern, *args, options=()):
        """`run` must be refused with an error that matches, and leave nothing."""
        result = self.run(*args, options=options, check=False)
        expect(result.code != 0, "it runs: " + result.out)
        expect(re.search(pattern, result.err), "the error %r has no %r" % (result.err, pattern))
        equal(self.exists(), False, "the container exists after the error")
        return result

    def create(self, *args, options=(), check=True, **popen):
        """`create`; its output is thrown away unless given, for process 1 holds it open."""
        if args:
            self.process["args"] = list(args) if args[0].startswith("/") else ["/payload", *args]
        self.write()
        errors = os.path.join(self.dir, "errors")
        with open(errors, "w") as f:
            popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **self.popen, **popen}
            code = subprocess.run(self.command("create", "--bundle", self.dir, *options, self.id),
                                  stderr=f, timeout=LIMIT_S, **popen).returncode
        result = Result(("create", *options, *self.process["args"]), code, "", open(errors, errors="replace").read())
        self.suite.commands.append(result)
        if check:
            equal(code, 0, "exit code of create (%s)" % result.err.strip())
        return result

    def start(self, *args, options=(), **popen):
        """create and start: a container in the background, by default one that waits for a signal."""
        self.create(*(args or ("pause",)), options=options, **popen)
        self.runtime("start", self.id, check=True)

    def state(self):
        return self.runtime("state", self.id, check=True).json()

    def status(self):
        return self.state()["status"]

    def pid(self):
        return self.state()["pid"]

    def exists(self):
        return self.runtime("state", self.id).code == 0

    def exec(self, *args, options=(), check=True, **popen):
        args = args if args[0].startswith("/") else ("/payload", *args)
        return self.runtime("exec", *options, self.id, *args, check=check, **popen)

    def kill(self, signal_name="KILL"):
        """Signal, and wait until process 1 has ended."""
        pid = self.pid()
        pidfd = os.pidfd_open(pid) if pid else -1
        self.runtime("kill", self.id, signal_name, check=True)
        if pidfd >= 0:
            has_ended(pidfd)

    def processes(self):
        """The pids in its cgroup; those of zombies are none."""
        pids = {pid for at in self.cgroup_dirs() for pid in open(os.path.join(at, "cgroup.procs")).read().split()}
        return sorted(map(int, pids))

    def cgroup_dirs(self):
        """Where its cgroup is or would be: one for each hierarchy."""
        path = self.linux.get("cgroupsPath", "/" + self.id).strip("/")
        if path.count(":") == 2:  # systemd's form: slice:prefix:name
            path = "%s/%s-%s.scope" % tuple(path.split(":"))
        tops = [CGROUP_ROOT] if self.host.v2_only else [entry.path for entry in os.scandir(CGROUP_ROOT)
                                                        if entry.is_dir(follow_symlinks=False)]
        return [os.path.join(top, path) for top in tops if os.path.isdir(os.path.join(top, path))]

    def cgroup_file(self, name):
        """Content of a file of its cgroup, whichever hierarchy has it."""
        for directory in self.cgroup_dirs():
            if os.path.exists(os.path.join(directory, name)):
                return open(os.path.join(directory, name)).read().strip()
        raise Failure("no %s in %s" % (name, self.cgroup_dirs()))

    def close(self):
        for function in reversed(self.at_end):
            function()
        self.runtime("delete", "--force", self.id)


def hangs(*_):
    raise Failure("the case hangs, after %d s" % CASE_LIMIT_S)


def shown_process(line):
    """A line of the residue, with what that process is doing."""
    if not (match := re.match(r"process (\d+)", line)):
        return line
    got = {}
    for name in ("cmdline", "stat", "wchan"):
        try:
            got[name] = open("/proc/%s/%s" % (match[1], name), errors="replace").read().replace("\0", " ").strip()
        except OSError as error:
            got[name] = str(error)
    return shortened("%s: %s, state%s, in %s" % (line, got["cmdline"], got["stat"].rpartition(")")[2][:2], got["wchan"]))


class Suite:
    def __init__(self, runtime, payload, busybox, prefix=()):
        self.host = Host()
        self.prefix = list(prefix)
        self.runtime = os.path.abspath(runtime)
        self.work = "/tmp/vessel-test-runtime-%d" % os.getpid()
        libc = ctypes.CDLL(None, use_errno=True)
        clone_newns, clone_newnet, ms_rec, ms_private = 0x20000, 0x40000000, 0x4000, 1 << 18
        if libc.unshare(clone_newns | clone_newnet) or libc.mount(None, b"/", None, ms_rec | ms_private, None):
            raise OSError(ctypes.get_errno(), "the suite needs root")
        os.makedirs(self.work)
        if libc.mount(b"tmpfs", self.work.encode(), b"tmpfs", 0, b"mode=755"):
            raise OSError(ctypes.get_errno(), "mount a tmpfs")
        self.global_options = []
        self.commands = deque(maxlen=4)  # the last ones, for who reads of a failure
        self.payload, self.busybox = self.work + "/payload", self.work + "/busybox"
        shutil.copy(payload, self.payload)
        shutil.copy(busybox, self.busybox)
        self.probe()

    def probe(self):
        """What the runtime will find, through the prefix."""
        def run(*args, **popen):
            return subprocess.run([*self.prefix, *args], stdout=subprocess.PIPE, text=True, check=True, cwd=self.work,
                                  timeout=LIMIT_S, **popen).stdout
        self.host.has.update(json.loads(run(self.payload, "probe")))
        # A filter that somebody who is not root is put behind takes these from him.
        status = run(self.busybox, "cat", "/proc/self/status", user=65534)
        self.host.has["programs that change the user"] = "NoNewPrivs:\t0" in status
        self.host.has["a runtime without a filter around it"] = "Seccomp:\t0" in status

    def use_systemd(self):
        """Systemd is the cgroup driver of all cases."""
        self.global_options.append("--systemd-cgroup")
        self.host.has["cgroupfs driver"] = False

    def cgroups_path(self, name):
        if "--systemd-cgroup" in self.global_options:
            return "%s:vessel:%s" % (SLICE, name)
        return "/%s/%s" % (CGROUP, name)

    def residue(self, box):
        left = [name for name in (os.listdir(box.root) if os.path.isdir(box.root) else ())
                if not name.startswith(".")]
        left += box.cgroup_dirs()
        left += [line for line in open("/proc/self/mountinfo") if box.dir in line]
        cgroup = "vessel-%s.scope" if "--systemd-cgroup" in self.global_options else CGROUP + "/%s\n"
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink("/proc/%s/cwd" % pid).startswith(box.dir) or \
                        cgroup % box.id in open("/proc/%s/cgroup" % pid).read():
                    left.append("process " + pid)
            except OSError:
                pass
        return left

    def run(self, cases):
        """TAP on standard output; the number of failures."""
        failed, number = 0, 0
        for case in cases:
            number += 1
            name, function, needs = name_of(case), case[1], case[2]
            missing = [name for name in needs if not self.host.has[name]]
            if missing:
                where = "no criu: tools/peers criu" if "criu" in missing else "kernel: no " + ", ".join(missing)
                print("ok %d %s # SKIP %s" % (number, name, where), flush=True)
                continue
            signal.signal(signal.SIGALRM, hangs)
            signal.alarm(CASE_LIMIT_S)
            problem = self.one(function, "box%d" % number)
            signal.alarm(0)
            print("%s %d %s" % ("not ok" if problem else "ok", number, name))
            if problem:
                failed += 1
                print("".join("# %s\n" % line for line in problem.splitlines()), end="")
            sys.stdout.flush()
        print("1..%d" % number, flush=True)
        return failed

    def one(self, function, name):
        box = Box(self, name)
        problem, start = None, time.monotonic()
        self.commands.clear()
        try:
            function(box)
        except Exception as failure:  # a case that breaks is a case that fails
            problem = self.story(box, failure, start)
        try:
            box.close()
            end = time.monotonic() + LIMIT_S
            while (left := self.residue(box)) and not problem and time.monotonic() < end:
                time.sleep(0.01)  # what was killed may be about to end
            if left and not problem:
                problem = "left behind: %s\n%s" % (left, "\n".join(map(shown_process, left)))
        except Exception as failure:
            problem = problem or self.story(box, failure, start)
        shutil.rmtree(box.dir, ignore_errors=True)
        return problem

    def story(self, box, failure, start):
        """Enough to know the cause from a log alone: what, where, the last commands, who is still there."""
        kind = "" if isinstance(failure, Failure) else type(failure).__name__ + ": "
        lines = [kind + str(failure)]
        for frame in traceback.extract_tb(failure.__traceback__)[-8:]:
            if frame.name not in ("one", "equal", "expect"):
                lines.append("at %s:%d, %s: %s" % (os.path.basename(frame.filename), frame.lineno, frame.name, frame.line))
        lines += ["command " + str(result) for result in self.commands]
        try:
            lines += [shown_process(left) for left in self.residue(box) if left.startswith("process ")][:8]
            load = open("/proc/loadavg").read().strip()
        except OSError as error:
            load = str(error)
        return "\n".join(lines + ["after %.1f s; load %s" % (time.monotonic() - start, load)])

    def close(self):
        tops = [CGROUP_ROOT] + [entry.path for entry in os.scandir(CGROUP_ROOT) if entry.is_dir()]
        for top in tops:
            end = time.monotonic() + 10
            while os.path.isdir(os.path.join(top, CGROUP)):
                try:
                    os.rmdir(os.path.join(top, CGROUP))
                except OSError:  # what was in it may be about to go
                    if time.monotonic() > end:
                        break
                    time.sleep(0.01)
        ctypes.CDLL(None).umount2(self.work.encode(), 2)
        os.rmdir(self.work)
