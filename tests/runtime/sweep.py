#!/usr/bin/python3
"""The failure sweep: each system call of create, start, run, exec and delete is made to fail in turn (sweep.c), and
after each there is either an error that says what failed, and no residue, or a container that is as it should be.

    sweep.py [--only REGEX]    root; TAP, one line an operation.  VESSEL_SOAK=1: with several errors each.
"""

import argparse
import errno
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import harness  # noqa: E402
from harness import Failure, equal, expect  # noqa: E402

SOAK = os.environ.get("VESSEL_SOAK") == "1"
# The common one, which no fallback is taken for; soak: also what fallbacks, retries and tolerance look for.
ERRORS = [errno.EIO] + [errno.ENOMEM, errno.EPERM, errno.EINVAL, errno.ENOSYS] * SOAK
HANGS, BROKEN = 97, 96
SETTLE_S = 60  # a process that has been told to exit may take its time

OPERATIONS = []


def operation(name, configure=None):
    def mark(function):
        OPERATIONS.append((name, function, configure))
        return function
    return mark


def system_calls():
    """Names by number, for the reader."""
    names = {}
    for header in ("/usr/include/asm/unistd_64.h", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
                   "/usr/include/asm-generic/unistd.h"):
        if os.path.exists(header):
            for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", open(header).read()):
                names.setdefault(number, name)
            break
    return names


NAMES = system_calls()


class Sweep:
    """One operation on one box: prepare() it, and verify() what it has left, once for each call."""

    def __init__(self, box, program):
        self.box, self.program = box, program
        self.log = os.path.join(box.dir, "sweep.log")
        self.problems, self.count, self.tolerated = [], 0, 0

    def traced(self, command, options=(), attach=None):
        attach = ["-a", str(attach)] if attach else []
        with open(os.path.join(self.box.dir, "errors"), "w+") as errors:
            code = subprocess.run([self.program, "-o", self.log, *attach, *options, *command], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=errors, timeout=harness.LIMIT_S).returncode
            errors.seek(0)
            return code, errors.read().strip()

    def calls(self, prepare, command, clean):
        for _ in range(2):  # what the first makes for all (the state's root) is there for the second
            attach = prepare()
            code, text = self.traced(command, attach=attach)
            if _ == 0:
                clean()
        equal(code, self.good_code, "exit code without a failure (%s)" % text)
        calls, numbers = [], {}
        for line in open(self.log):
            expect(not line.startswith("crashed"), line)
            process = line.split()[0]
            calls.append((process, numbers.setdefault(process, 0)))
            numbers[process] += 1
        clean()
        return calls

    def sweep(self, command, prepare, clean, verify, good_code=0):
        self.good_code = good_code
        for process, number in self.calls(prepare, command, clean):
            for error in ERRORS:
                self.count += 1
                try:
                    attach = prepare()
                    code, text = self.traced(command, ["-p", process, "-n", str(number), "-e", str(error)], attach)
                    self.judge(code, text, verify)
                except (Failure, OSError, subprocess.SubprocessError) as failure:
                    self.problems.append("%s, %s: %s" % (self.failed(process, number), errno.errorcode[error], failure))
                try:
                    clean()
                    self.nothing_left()
                except (Failure, OSError, subprocess.SubprocessError) as failure:
                    self.problems.append("%s, %s: then: %s" % (self.failed(process, number), errno.errorcode[error], failure))
                    self.mop_up()

    def failed(self, process, number):
        """In the words of the last run: numbers vary a little."""
        match = re.search(r"^failed \d+ (\d+)", open(self.log).read(), re.M)
        return "process %s, call %d, %s" % (process, number, NAMES.get(match.group(1), match.group(1)) if match else "not reached")

    def judge(self, code, text, verify):
        log = open(self.log).read()
        expect("crashed" not in log, "crash: " + log + text)
        expect(code != HANGS, "hangs")
        expect(code != BROKEN and (code < 128 or code == 255), "exit code %d: %s" % (code, text))
        if code == self.good_code:
            self.tolerated += "failed" in log
        else:
            clear(text)
        verify(code == self.good_code)

    def left(self):
        box = self.box
        left = box.suite.residue(box)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = open("/proc/%s/cmdline" % pid, errors="replace").read()
            except OSError:
                continue
            if box.dir in line and int(pid) != os.getpid():
                left.append("process %s: %s" % (pid, line.replace("\0", " ")))
        return left

    def nothing_left(self):
        end = time.monotonic() + SETTLE_S
        while True:
            left = self.left()
            if not left:
                return
            if time.monotonic() > end or not all(line.startswith("process") for line in left):
                raise Failure("left behind: %s" % left)
            time.sleep(0.01)

    def mop_up(self):
        """So that the next call finds a clean house."""
        for line in self.left():
            if line.startswith("process"):
                os.kill(int(re.search(r"\d+", line).group()), signal.SIGKILL)
        self.box.runtime("delete", "--force", self.box.id)
        for directory in self.box.cgroup_dirs():
            try:
                os.rmdir(directory)
            except OSError:
                pass
        subprocess.run(["rm", "-rf", os.path.join(self.box.root, self.box.id)], check=False)


def clear(text):
    """An error that says what was attempted, not only the errno."""
    expect(text, "fails without a word")
    message = text.splitlines()[-1]
    expect(re.match(r"[a-z-]+: [^:]+: .+", message) or re.match(r"[a-z-]+: .*\w+ .*\w+ .*", message),
           "the error is not clear: %r" % text)
    expect("gone away" not in message, "nobody says why: %r" % text)


# -- configurations ----------------------------------------------------------------------------

def rich(box):
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid", "noexec", "nodev"])
    box.mount("/mnt/file", type="bind", source=box.file("etc/source", "text"), options=["bind", "ro"])
    box.linux["maskedPaths"] = ["/proc/keys", "/proc/acpi", "/sys/firmware"]
    box.linux["readonlyPaths"] = ["/proc/sys", "/proc/bus"]
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]
    box.linux["resources"].update({"memory": {"limit": 64 << 20}, "pids": {"limit": 64}, "cpu": {"shares": 512}})
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}]
    box.process["oomScoreAdj"] = 100
    box.process["noNewPrivileges"] = True
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [1001]}
    box.process["cwd"] = "/tmp"
    hook = {"path": box.suite.payload, "args": ["payload", "exit", "0"]}
    box.config["hooks"] = {"createRuntime": [hook], "createContainer": [hook], "startContainer": [dict(hook, path="/payload")],
                           "poststart": [hook], "poststop": [hook]}


def mapped(box):
    box.user_namespace()


# -- operations --------------------------------------------------------------------------------

def remove(box):
    if box.exists():
        box.runtime("delete", "--force", box.id, check=True)


def nothing():
    pass


def sweep_create(box, sweep):
    box.process["args"] = ["/payload", "exit", "7"]
    box.write()

    def verify(good):
        if good:
            box.runtime("start", box.id, check=True)
            return remove(box)
        equal(box.exists(), False, "the container exists")
        sweep.nothing_left()
    sweep.sweep(box.command("create", "--bundle", box.dir, box.id), nothing, lambda: remove(box), verify)


def sweep_start(box, sweep):
    def prepare():
        box.create("pause")
        return box.pid()

    def verify(good):
        if good:
            equal(box.status(), "running")
        else:
            expect(box.status() in ("stopped", "created"), "it is " + box.status())
    sweep.sweep(box.command("start", box.id), prepare, lambda: remove(box), verify)


def sweep_run(box, sweep):
    box.process["args"] = ["/payload", "exit", "7"]
    box.write()

    def verify(_):
        equal(box.exists(), False, "the container exists")
        sweep.nothing_left()
    sweep.sweep(box.command("run", "--bundle", box.dir, box.id), nothing, lambda: remove(box), verify, good_code=7)


def sweep_delete(box, sweep):
    def prepare():
        box.start("pause")
        box.kill()

    def verify(good):
        if good:
            equal(box.exists(), False, "the container exists")
            sweep.nothing_left()
    sweep.sweep(box.command("delete", box.id), prepare, lambda: remove(box), verify)


def sweep_exec(box, sweep):
    box.start("pause")

    def verify(_):
        equal(box.status(), "running")
        equal(box.exec("exit", "5", check=False).code, 5, "exit code of the next exec")
    nothing_left, sweep.nothing_left = sweep.nothing_left, nothing
    sweep.sweep(box.command("exec", box.id, "/payload", "exit", "7"), nothing, nothing, verify, good_code=7)
    remove(box)
    nothing_left()


OPERATIONS = [
    ("create", sweep_create, None), ("start", sweep_start, None), ("run", sweep_run, None),
    ("delete", sweep_delete, None), ("exec", sweep_exec, None),
    ("create with much in it", sweep_create, rich), ("start with much in it", sweep_start, rich),
    ("delete with hooks", sweep_delete, rich), ("exec with much in it", sweep_exec, rich),
    ("create in a user namespace", sweep_create, mapped),
]


def has_command(suite, name):
    out = subprocess.run([suite.runtime, "--help"], stdout=subprocess.PIPE, text=True, check=False).stdout
    return re.search(r"^\s+%s\b" % name, out, re.M)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="a regular expression over the operations")
    built = os.path.join(harness.TOP, "build/static/tests/runtime/payload")
    parser.add_argument("--payload", default=os.path.join(built, "payload"))
    parser.add_argument("--sweep", default=os.path.join(built, "sweep"))
    parser.add_argument("--busybox", default="/bin/busybox")
    options = parser.parse_args()
    binaries = os.environ.get("VESSEL_BIN", os.path.join(harness.TOP, "build/bin"))
    suite = harness.Suite(os.path.join(binaries, "vessel-runtime"), options.payload, options.busybox)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = number = 0
    try:
        for name, function, configure in OPERATIONS:
            if options.only and not re.search(options.only, name):
                continue
            number += 1

            def case(box):
                sweep = Sweep(box, options.sweep)
                if configure:
                    configure(box)
                function(box, sweep)
                print("# %s: %d failures, %d of them tolerated" % (name, sweep.count, sweep.tolerated), flush=True)
                expect(not sweep.problems, "%d problems\n%s" % (len(sweep.problems), "\n".join(sweep.problems)))
            problem = suite.one(case, "sweep%d" % number)
            print("%s %d sweep: %s" % ("not ok" if problem else "ok", number, name))
            if problem:
                failed += 1
                print("".join("# %s\n" % line for line in problem.splitlines()), end="")
            sys.stdout.flush()
        print("1..%d" % number, flush=True)
        return 1 if failed else 0
    finally:
        suite.close()


if __name__ == "__main__":
    sys.exit(main())
