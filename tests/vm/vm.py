#!/usr/bin/python3
"""Debian kernels of Docker hosts, with cgroup v2 alone, under vessel: vm.py linux-6.1|linux-6.12

Boots the kernel that tools/peers unpacked in qemu (no /dev/kvm needed), with an initramfs of Debian's
static busybox, the built programs with the libraries they load, and guest.sh, which runs the tests and
speaks TAP on the second serial port.  The kernel's console goes to build/vm/NAME.console.
"""

import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ("vessel", "vesseld", "vessel-seccomp", "vessel-shim", "vessel-runtime", "vessel-init")
# What an engine's host has loaded: the kernel's module loader is not part of the test.
MODULES = ("overlay", "veth", "bridge", "br_netfilter", "nf_tables", "nft_chain_nat", "nft_nat",
           "nft_masq", "nft_redir", "nft_ct", "nft_fib_inet", "nft_reject_inet", "crc32c_generic")
MEMORY = "2G"
LIMIT_S = 900  # a guest that hangs; nothing is measured by it


class Modules:
    """The modules of an unpacked kernel package, with what they need, in the order of loading."""

    def __init__(self, peer):
        self.files, self.order = {}, []
        for top in ("lib/modules", "usr/lib/modules"):
            for directory, _, names in os.walk(os.path.join(peer, top)):
                for name in names:
                    match = re.match(r"(.*)\.ko(\.xz)?$", name)
                    if match:
                        self.files[match[1].replace("-", "_")] = os.path.join(directory, name)

    def read(self, name):
        with (lzma.open if self.files[name].endswith(".xz") else open)(self.files[name], "rb") as f:
            return f.read()

    def add(self, name, directory):
        """Copy a module and its dependencies into `directory`; what is built in is no module."""
        if name not in self.files or name in self.order:
            return
        data = self.read(name)
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for need in (needs[1].decode().split(",") if needs and needs[1] else []):
            self.add(need.replace("-", "_"), directory)
        with open(os.path.join(directory, name + ".ko"), "wb") as f:
            f.write(data)
        self.order.append(name)


def libraries(program):
    """The absolute paths of what a dynamic program loads, its interpreter included."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return {path for path in re.findall(r"(/[^ ]+) \(0x", out)}


def config(args, **linux):
    """A runtime-spec configuration over /bundle/rootfs."""
    caps = ["CAP_MKNOD", "CAP_KILL", "CAP_CHOWN"]
    return {
        "ociVersion": "1.2.0",
        "root": {"path": "/bundle/rootfs"},
        "hostname": "guest",
        "process": {
            "cwd": "/", "args": args, "user": {"uid": 0, "gid": 0},
            "env": ["PATH=/bin"],
            "capabilities": {kind: caps for kind in ("bounding", "effective", "permitted")},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": dict({
            "namespaces": [{"type": kind} for kind in
                           ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        }, **linux),
    }


def bundles(directory):
    """config.json files for guest.sh, by name."""
    devices = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "access": "m"}] + [
        {"allow": True, "type": "c", "major": 1, "minor": minor, "access": "rwm"}
        for minor in (3, 5, 7, 8, 9)]
    script = {
        "hello": (["sh", "-c", "echo hello from $(hostname), process $$"], {}),
        "seven": (["sh", "-c", "exit 7"], {}),
        "sleep": (["sleep", "1000"], {}),
        "memory": (["sh", "-c", "cat /sys/fs/cgroup/memory.max; x=$(head -c 60000000 /dev/zero | "
                    "tr '\\0' x); echo ${#x}"],
                   {"resources": {"memory": {"limit": 16 << 20, "swap": 16 << 20}}}),
        "pids": (["sh", "-c", "cat /sys/fs/cgroup/pids.max; "
                  "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait"],
                 {"resources": {"pids": {"limit": 5}}}),
        "cpu": (["sh", "-c", "cat /sys/fs/cgroup/cpu.max; until grep -q 'nr_throttled [1-9]' "
                 "/sys/fs/cgroup/cpu.stat; do :; done; echo throttled"],
                {"resources": {"cpu": {"quota": 5000, "period": 100000}}}),
        "devices": (["sh", "-c", "mknod /mem c 1 1; mknod /zero c 1 5; head -c 1 /zero | wc -c; "
                     "head -c 1 /mem"], {"resources": {"devices": devices}}),
    }
    for name, (args, linux) in script.items():
        os.makedirs(os.path.join(directory, name))
        with open(os.path.join(directory, name, "config.json"), "w") as f:
            json.dump(config(args, cgroupsPath="/test/" + name, **linux), f)


def layers_tar(path, count=120):
    """A `docker save` archive of many layers: /n counts them, /l holds a file of each, /gone is deleted."""
    def tar_of(entries):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in entries:
                entry = tarfile.TarInfo(name)
                entry.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
                entry.mode, entry.size = 0o755, len(data or b"")
                tar.addfile(entry, io.BytesIO(data or b""))
        return out.getvalue()

    layers = [vessel.busybox_tar(), tar_of([("l", None), ("l/1", b"1\n"), ("n", b"1\n"), ("gone", b"x")])]
    layers += [tar_of([("l", None), ("l/%d" % i, b"%d\n" % i), ("n", b"%d\n" % i)] +
                      ([(".wh.gone", b"")] if i == 60 else [])) for i in range(2, count + 1)]
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    image = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + digest for digest in digests]}}).encode()
    name = hashlib.sha256(image).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["layers:latest"],
                            "Layers": [digest + "/layer.tar" for digest in digests]}]).encode()
    with open(path, "wb") as f:
        f.write(tar_of([(name, image), ("manifest.json", manifest)] +
                       [(digest + "/layer.tar", layer) for digest, layer in zip(digests, layers)]))


def stage(root, peer):
    """Everything that the guest's root file system holds, under `root`."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "run", "tmp", "etc", "root", "modules", "bundle",
                 "vessel", "newroot", "var/lib"):
        os.makedirs(os.path.join(root, name))
    shutil.copy("/bin/busybox", root + "/bin/busybox")
    for program in PROGRAMS:
        shutil.copy(os.path.join(vessel.BIN, program), root + "/vessel/")
        for path in libraries(os.path.join(vessel.BIN, program)):
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, root + path)
    modules = Modules(peer)
    for name in MODULES:
        modules.add(name, root + "/modules")
    with open(root + "/modules/order", "w") as f:
        f.writelines(name + "\n" for name in modules.order)
    with open(root + "/busybox.tar", "wb") as f:
        f.write(vessel.busybox_tar())
    with tarfile.open(root + "/busybox.tar") as tar:
        tar.extractall(root + "/bundle/rootfs")
    bundles(root + "/bundle")
    layers_tar(root + "/layers.tar")
    with open(root + "/etc/passwd", "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\n")
    for name in ("init", "guest.sh"):
        shutil.copy(os.path.join(HERE, name), root + "/" + name)
        os.chmod(root + "/" + name, 0o755)


def initramfs(root, path):
    names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
    with open(path, "wb") as f:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=root,
                       input=names, stdout=f, check=True)


# One thread for both processors: with a thread each, qemu may run code that the guest's kernel is
# patching on the other one (text_poke), and the kernel dies of its own breakpoint while it boots.
# Without cx16: qemu 7.2 emulates cmpxchg16b wrongly, and kernels that allocate by it die now and then.
MACHINE = ("-accel", "tcg,thread=single", "-cpu", "max,la57=off,cx16=off", "-smp", "2", "-m", MEMORY,
           "-nodefaults", "-display", "none", "-no-reboot")


def boot(peer, initrd, console):
    kernel = [name for name in os.listdir(peer + "/boot") if name.startswith("vmlinuz-")][0]
    guest = subprocess.Popen(
        ["qemu-system-x86_64", *MACHINE, "-kernel", peer + "/boot/" + kernel, "-initrd", initrd,
         "-serial", "file:" + console, "-serial", "stdio",
         "-append", "console=ttyS0 panic=-1 oops=panic mitigations=off random.trust_cpu=on " +
         " ".join("vessel.only=" + word for word in sys.argv[2:])],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        return guest.communicate(timeout=LIMIT_S)[0].decode(errors="replace").replace("\r", "")
    except subprocess.TimeoutExpired:
        guest.kill()
        return guest.communicate()[0].decode(errors="replace").replace("\r", "")


def main():
    name = sys.argv[1]
    peer = os.path.join(vessel.TOP, "build/peers", name)
    work = os.path.join(vessel.TOP, "build/vm")
    console = os.path.join(work, name + ".console")
    os.makedirs(work, exist_ok=True)
    stage(os.path.join(work, name), peer)
    initramfs(os.path.join(work, name), os.path.join(work, name + ".cpio"))
    tap = boot(peer, os.path.join(work, name + ".cpio"), console)
    print(tap, end="")
    if not re.search(r"^1\.\.\d+$", tap, re.M):
        print("not ok the guest of %s reached its end" % name)
        with open(console, errors="replace") as f:
            print("".join("# " + line for line in f.readlines()[-25:]))
    sys.exit(1 if re.search(r"^not ok", tap, re.M) or "\n1.." not in tap else 0)


if __name__ == "__main__":
    main()
