#!/usr/bin/python3
"""Debian kernels of Docker hosts under vessel: vm.py GUEST [--engine WORD] [--runtime REGEX]

Boots a kernel that tools/peers unpacked in qemu (no /dev/kvm needed) with a root file system that
root.py stages, and runs guest.sh (the engine; systemd.sh with systemd) and tests/runtime/suite.py there, which speak TAP on the
second serial port.  The kernel's console goes to build/vm/GUEST.console.

--engine and --runtime choose tests and leave the other part out.  Without them, and without
VESSEL_SOAK=1, a guest runs its share of the runtime's cases: all those for which this host lacks a
feature, and every Nth of the others, which the guests divide among them.
"""

import argparse
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import root as files  # noqa: E402
import vessel  # noqa: E402

sys.path.insert(0, os.path.join(vessel.TOP, "tests/runtime"))
import harness  # noqa: E402

WORK = os.path.join(vessel.TOP, "build/vm")
SOAK = os.environ.get("VESSEL_SOAK") == "1"
LIMIT_S = 7200 if SOAK else 1200  # a guest that hangs; nothing is measured by it
SUITE = "python3 -SBu /tests/runtime/suite.py --payload /tests/payload"


class Step:
    """A command inside: "engine" is guest.sh, with a word; "runtime" the suite, with options.
    share: of the runtime's cases, where not all are wanted."""

    def __init__(self, kind, arguments="", share=None):
        self.kind, self.arguments, self.share = kind, arguments, share

    def command(self, options):
        wanted = {"engine": options.engine, "runtime": options.runtime}
        chosen = wanted[self.kind]
        if chosen is None and any(other is not None for other in wanted.values()):
            return None
        if self.kind == "engine":
            return "/bin/sh /guest.sh '%s'" % (chosen or self.arguments)
        command = "%s %s" % (SUITE, self.arguments)
        if chosen:
            command += " --only '%s'" % chosen
        elif self.share and not SOAK:
            lacks = [name for name, has in harness.Host().has.items() if not has]
            command += " --share %s --always '%s'" % (self.share, ",".join(lacks))
        return command


class Guest:
    """What boots: a kernel, a function that makes initramfs (and disk), and the steps inside."""

    def __init__(self, kernel, make, steps, parameters=""):
        self.kernel = os.path.join(vessel.TOP, "build/peers", kernel)
        self.make, self.steps, self.parameters = make, steps, parameters


def initramfs(root, path):
    names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
    with open(path, "wb") as f:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=root,
                       input=names, stdout=f, check=True)


def busybox_guest(guest, root, steps):
    """All in an initramfs."""
    files.busybox_root(root, guest.kernel)
    with open(root + "/steps", "w") as f:
        f.write(steps)
    initramfs(root, root + ".cpio")
    return ["-initrd", root + ".cpio"]


def systemd_guest(guest, root, steps):
    """Debian with systemd on a disk, which keeps nothing of what is written to it."""
    files.disk_root(root, guest.kernel)
    with open(root + "/overlay/steps", "w") as f:
        f.write(steps)
    initramfs(root, root + ".cpio")
    disk = os.path.join(vessel.TOP, "build/debian-systemd.ext4")
    return ["-initrd", root + ".cpio", "-drive", "if=virtio,format=raw,snapshot=on,file=" + disk]


def selinux_guest(guest, root, steps):
    files.busybox_root(root, guest.kernel)
    files.selinux(root)
    with open(root + "/steps", "w") as f:
        f.write(steps)
    initramfs(root, root + ".cpio")
    return ["-initrd", root + ".cpio"]


APPARMOR = "apparmor=1 security=apparmor"
GUESTS = {
    "linux-6.1": Guest("linux-6.1", busybox_guest, (Step("engine"), Step("runtime", share="1/2")), APPARMOR),
    "linux-6.12": Guest("linux-6.12", busybox_guest, (
        Step("engine"), Step("runtime", share="2/2"), Step("runtime", "--without new", share="1/4")), APPARMOR),
    "systemd": Guest("linux-6.1", systemd_guest, (Step("engine"), Step("runtime", "--systemd-cgroup", share="2/3")),
                     APPARMOR + " systemd.unit=vessel-test.service systemd.show_status=0"),
    "selinux": Guest("linux-6.12", selinux_guest, (Step("engine", "selinux"), Step("runtime", "--only lsm:")),
                     "security=selinux"),
}


# One processor: two in threads of their own run code that the guest's kernel is patching on the other
# one (text_poke), and the kernel dies of its own breakpoint while it boots; two that share a thread
# wait for each other's turn, 100 ms long, whenever one of them wakes the other.
# Without cx16: qemu 7.2 emulates cmpxchg16b wrongly, and kernels that allocate by it die now and then.
MACHINE = ("-accel", "tcg,thread=single", "-cpu", "max,la57=off,cx16=off", "-smp", "1", "-m", "2G",
           "-nodefaults", "-display", "none", "-no-reboot")


def boot(guest, arguments, console):
    """The guest's second serial port: its lines are printed as they come, and returned."""
    kernel = [name for name in os.listdir(guest.kernel + "/boot") if name.startswith("vmlinuz-")][0]
    qemu = subprocess.Popen(
        ["timeout", "-k", "5", str(LIMIT_S),
         "qemu-system-x86_64", *MACHINE, "-kernel", guest.kernel + "/boot/" + kernel, *arguments,
         "-serial", "file:" + console, "-serial", "stdio",
         "-append", "console=ttyS0 panic=-1 oops=panic mitigations=off random.trust_cpu=on " + guest.parameters],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    lines = []
    try:
        for line in qemu.stdout:
            line = line.decode(errors="replace").replace("\r", "")
            lines.append(line)
            if not line.startswith("1.."):
                sys.stdout.write(line)
                sys.stdout.flush()
    finally:
        qemu.terminate()
        qemu.wait()
    return lines


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser()
    parser.add_argument("guest", choices=GUESTS)
    parser.add_argument("--engine", metavar="WORD", help="those of guest.sh whose function's name contains it")
    parser.add_argument("--runtime", metavar="REGEX", help="those of the runtime's suite that match")
    options = parser.parse_args()
    guest = GUESTS[options.guest]
    os.makedirs(WORK, exist_ok=True)
    root, console = os.path.join(WORK, options.guest), os.path.join(WORK, options.guest + ".console")
    steps = [command for command in (step.command(options) for step in guest.steps) if command]
    lines = boot(guest, guest.make(guest, root, "".join(step + "\n" for step in steps)), console)
    plans = [int(line[3:]) for line in lines if re.match(r"1\.\.\d+$", line)]
    results = [line for line in lines if re.match(r"(not )?ok ", line)]
    if len(plans) != len(steps) or sum(plans) != len(results):
        lines.append("not ok the guest %s reached its end: plans %s, %d results\n" % (options.guest, plans, len(results)))
        print(lines[-1], end="")
        with open(console, errors="replace") as f:
            print("".join("# " + line for line in f.readlines()[-25:]))
    print("1..%d" % sum(plans))
    sys.exit(1 if any(line.startswith("not ok") for line in lines) else 0)


if __name__ == "__main__":
    main()
