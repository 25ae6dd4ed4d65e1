"""What the root file systems of the guests hold: programs with their libraries, modules, tests, images."""

import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# What an engine's host has loaded: the kernel's module loader is not part of the test.
MODULES = ("overlay", "veth", "bridge", "br_netfilter", "nf_tables", "nft_chain_nat", "nft_nat",
           "nft_masq", "nft_redir", "nft_ct", "nft_fib_inet", "nft_reject_inet", "crc32c_generic",
           "dummy numdummies=0", "loop", "ext4", "quota_v2",
           "unix_diag", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "netlink_diag", "af_packet_diag", "tun")
# What cases, and criu, start on the host, where busybox' own cannot do enough.
TOOLS = ("unshare", "nsenter", "tar", "gzip")
# Of Python's library, what no test of the runtime imports.
PYTHON_WITHOUT = ("config-*", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip",
                  "distutils", "pydoc_data", "asyncio", "email", "xml", "unittest", "http", "html", "venv",
                  "site-packages", "dist-packages", "multiprocessing", "sqlite3", "curses", "dbm", "wsgiref",
                  "_tkinter*", "_curses*", "_test*", "_sqlite*", "_ssl*", "_dbm*", "_gdbm*", "readline*",
                  "*.opt-1.pyc", "*.opt-2.pyc")


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


def modules(root, peer, names=MODULES):
    """/modules/*.ko, and /modules/order: what insmod is told, a line each."""
    os.makedirs(root + "/modules", exist_ok=True)
    wanted = Modules(peer)
    parameters = dict(name.split(" ", 1) for name in names if " " in name)
    for name in names:
        wanted.add(name.split(" ")[0], root + "/modules")
    with open(root + "/modules/order", "w") as f:
        f.writelines("%s.ko %s\n" % (name, parameters.get(name, "")) for name in wanted.order)


def libraries(program):
    """The absolute paths of what a dynamic program loads, its interpreter included."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    # An interpreter that is not the host's own has an arrow behind it.
    return set(re.findall(r"(/[^ ]+) \(0x", out)) | set(re.findall(r"^\s*(/[^ ]+)", out, re.M))


def copy_libraries(root, program):
    for path in libraries(program):
        if not os.path.exists(root + path):
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, root + path)


def copy_program(root, program, to):
    os.makedirs(os.path.dirname(root + to), exist_ok=True)
    shutil.copy(program, root + to)
    copy_libraries(root, program)


def programs(root):
    """The built programs, in /vessel."""
    os.makedirs(root + "/vessel", exist_ok=True)
    for name in os.listdir(vessel.BIN):
        copy_program(root, os.path.join(vessel.BIN, name), "/vessel/" + name)


def python(root):
    """This Python, with the compiled files of its library: they are valid by the sources' times."""
    library = sysconfig.get_path("stdlib")
    copy_program(root, os.path.realpath(sys.executable), "/usr/bin/python3")
    shutil.copytree(library, root + library, ignore=shutil.ignore_patterns(*PYTHON_WITHOUT), symlinks=True)
    for name in os.listdir(root + library + "/lib-dynload"):
        copy_libraries(root, os.path.join(library, "lib-dynload", name))


def tests(root):
    """The runtime's suite in /tests/runtime, its payload beside it; what looks at stats."""
    source = os.path.join(vessel.TOP, "tests/runtime")
    shutil.copytree(source, root + "/tests/runtime", ignore=shutil.ignore_patterns("__pycache__", "payload"))
    shutil.copy(os.path.join(vessel.TOP, "build/static/tests/runtime/payload/payload"), root + "/tests/payload")
    for name in ("vm/stats.py", "lib/apifacts.py", "conformance/api-facts.json"):
        os.makedirs(os.path.dirname(root + "/tests/" + name), exist_ok=True)
        shutil.copy(os.path.join(vessel.TOP, "tests", name), root + "/tests/" + name)
    for name in ("newuidmap", "newgidmap"):
        copy_program(root, os.path.join(vessel.TOP, "build/peers/uidmap/usr/bin", name), "/usr/bin/" + name)
    copy_program(root, os.path.join(vessel.TOP, "build/peers/runtimes/usr/bin/crun"), "/usr/bin/crun")
    criu = os.path.join(vessel.TOP, "build/peers/criu/usr/sbin/criu")
    if os.path.exists(criu):
        copy_program(root, criu, "/usr/bin/criu")


def apparmor(root):
    """The parser of profiles and the files that profiles include."""
    peer = os.path.join(vessel.TOP, "build/peers/apparmor")
    copy_program(root, peer + "/sbin/apparmor_parser", "/sbin/apparmor_parser")
    shutil.copytree(peer + "/etc/apparmor.d", root + "/etc/apparmor.d")
    shutil.copytree(peer + "/usr/share/apparmor-features", root + "/usr/share/apparmor-features")
    os.makedirs(root + "/etc/apparmor", exist_ok=True)
    shutil.copy(peer + "/etc/apparmor/parser.conf", root + "/etc/apparmor/")
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
                  "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done"],
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


def layers_tar(path, count=127):
    """A `docker save` archive of `count` layers: /n counts them, /l holds a file of each, /gone is deleted."""
    def tar_of(entries):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data in entries:
                entry = tarfile.TarInfo(name)
                entry.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
                entry.mode, entry.size = 0o755, len(data or b"")
                tar.addfile(entry, io.BytesIO(data or b""))
        return out.getvalue()

    layers = [vessel.busybox_tar(), tar_of([("l", None), ("l/2", b"2\n"), ("n", b"2\n"), ("gone", b"x")])]
    layers += [tar_of([("l", None), ("l/%d" % i, b"%d\n" % i), ("n", b"%d\n" % i)] +
                      ([(".wh.gone", b"")] if i == 60 else [])) for i in range(3, count + 1)]
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    image = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + digest for digest in digests]}}).encode()
    name = hashlib.sha256(image).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["layers:latest"],
                            "Layers": [digest + "/layer.tar" for digest in digests]}]).encode()
    with open(path, "wb") as f:
        f.write(tar_of([(name, image), ("manifest.json", manifest)] +
                       [(digest + "/layer.tar", layer) for digest, layer in zip(digests, layers)]))


def selinux(root):
    """The policy, compiled, and what names the labels of containers to engines."""
    peer = os.path.join(vessel.TOP, "build/peers/secilc")
    categories = ["c%d" % i for i in range(1024)]
    with open(os.path.join(HERE, "policy.cil")) as f:
        text = f.read() + "".join("(category %s)" % c for c in categories)
    text += "(categoryorder (%s)) (sensitivitycategory s0 (range c0 c1023))" % " ".join(categories)
    with open(root + ".cil", "w") as f:
        f.write(text)
    libraries = ":".join(peer + path for path in ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"))
    subprocess.run([peer + "/usr/bin/secilc", "-c", "33", "-o", root + "/policy", "-f", "/dev/null", root + ".cil"],
                   env={"LD_LIBRARY_PATH": libraries}, check=True)
    os.makedirs(root + "/etc/selinux/test/contexts")
    with open(root + "/etc/selinux/config", "w") as f:
        f.write("# a comment\nSELINUX=enforcing\nSELINUXTYPE=test\n")
    with open(root + "/etc/selinux/test/contexts/lxc_contexts", "w") as f:
        f.write('process = "system_u:system_r:container_t:s0"\nfile = "system_u:object_r:container_file_t:s0"\n'
                'content = "system_u:object_r:virt_var_lib_t:s0"\n')


def busybox_root(root, kernel):
    """A root file system of static busybox with all of the above."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "run", "tmp", "etc", "root", "bundle", "newroot", "var/lib"):
        os.makedirs(os.path.join(root, name))
    shutil.copy("/bin/busybox", root + "/bin/busybox")
    programs(root)
    modules(root, kernel)
    python(root)
    tests(root)
    for name in TOOLS:
        copy_program(root, shutil.which(name), "/tests/bin/" + name)
    apparmor(root)
    with open(root + "/busybox.tar", "wb") as f:
        f.write(vessel.busybox_tar())
    with tarfile.open(root + "/busybox.tar") as tar:
        tar.extractall(root + "/bundle/rootfs")
    bundles(root + "/bundle")
    layers_tar(root + "/layers.tar")
    subprocess.run(["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota,lazy_itable_init=0", root + "/quota.ext4",
                    "24M"], check=True)
    with open(root + "/etc/passwd", "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\n")
    for name in ("init", "guest.sh"):
        shutil.copy(os.path.join(HERE, name), root + "/" + name)
        os.chmod(root + "/" + name, 0o755)


def disk_root(root, kernel):
    """An initramfs that finds the disk, and in /overlay what is laid over its root file system."""
    shutil.rmtree(root, ignore_errors=True)
    over = root + "/overlay"
    for name in ("bin", "dev", "newroot", "overlay/usr/bin", "overlay/usr/lib", "overlay/usr/lib64"):
        os.makedirs(os.path.join(root, name))
    for name in ("lib", "lib64"):  # as on the disk, so that libraries go to the right place
        os.symlink("usr/" + name, over + "/" + name)
    shutil.copy("/bin/busybox", root + "/bin/busybox")
    shutil.copy("/bin/busybox", over + "/usr/bin/busybox")
    modules(root, kernel, ("virtio_pci", "virtio_blk", *MODULES))
    programs(over)
    tests(over)
    for name in ("lib", "lib64"):
        os.unlink(over + "/" + name)
    os.makedirs(over + "/etc/systemd/system")
    shutil.copy(os.path.join(HERE, "vessel-test.service"), over + "/etc/systemd/system/")
    for name in ("vessel.service", "vessel.socket"):
        with open(os.path.join(vessel.TOP, "contrib/systemd", name)) as f:
            unit = f.read().replace("@BINDIR@", "/vessel")
        with open(over + "/etc/systemd/system/" + name, "w") as f:
            f.write(unit)
    shutil.copy(os.path.join(HERE, "systemd.sh"), over + "/guest.sh")
    with open(over + "/busybox.tar", "wb") as f:
        f.write(vessel.busybox_tar())
    shutil.copy(os.path.join(HERE, "init-disk"), root + "/init")
    os.chmod(root + "/init", 0o755)
