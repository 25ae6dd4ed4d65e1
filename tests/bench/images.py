#!/usr/bin/python3
"""images.py [ROUNDS [PART]]: loading an image, beside `tar x` of its layer and beside whichever dockerds and podman are
there, and pulling it from Debian's docker-registry, in both layer formats; what is written, what memory it takes, and what
50 containers on one image keep in the page cache.

Everything is on an ext4 in a loop image in memory, made anew for each load.  The image is Debian's root file system
(tools/peers debian-rootfs) three times over: 22,000 files.  A part is load, pull or cache.  Called by tools/bench.
"""

import contextlib
import copy
import ctypes
import hashlib
import importlib.machinery
import importlib.util
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
sys.path.insert(0, os.path.join(TOP, "tests", "conformance"))
import layers  # noqa: E402
import registries  # noqa: E402
import vessel  # noqa: E402

LOADER = importlib.machinery.SourceFileLoader("bench", os.path.join(TOP, "tools", "bench"))
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", LOADER))
LOADER.exec_module(bench)

ROOTFS = os.path.join(TOP, "build/debian-rootfs.tar")
COPIES = ("", "opt/a/", "opt/b/")
CONTAINERS = 50
SAMPLE_S = 0.01
PODMAN = os.path.join(TOP, "build/peers/podman")
PEAK = os.path.join(TOP, "build/native/tests/bench/peak")
PYTHON = ("import time\nfor m in ('json', 'http.server', 'ssl', 'asyncio', 'email', 'xml.dom', 'unittest', 'decimal'):\n"
          "  try: __import__(m)\n  except ImportError: pass\nprint('up', flush=True)\ntime.sleep(100000)")


def make_layer(path):
    with tarfile.open(ROOTFS) as source, tarfile.open(path, "w") as out:
        members = source.getmembers()
        for prefix in COPIES:
            for member in members:
                entry = copy.copy(member)
                entry.name = os.path.normpath(prefix + member.name)
                if member.islnk():
                    entry.linkname = os.path.normpath(prefix + member.linkname)
                out.addfile(entry, source.extractfile(member) if member.isreg() else None)


def make_archives(directory):
    """{name: path}: the layer as tar, and images of it."""
    paths = {name: "%s/%s.tar" % (directory, name) for name in ("layer", "plain", "gzip")}
    make_layer(paths["layer"])
    with open(paths["layer"], "rb") as f:
        layer = f.read()
    archive = layers.archive([layer], "big:latest")
    with open(paths["plain"], "wb") as f:
        f.write(archive)
    packed = subprocess.run(["gzip", "-6"], input=layer, stdout=subprocess.PIPE, check=True).stdout
    with open(paths["gzip"], "wb") as f:
        f.write(layers.archive([layer], "big:latest", [packed]))
    return paths


class Disk:
    """A fresh file system, and what is written to it."""

    def __init__(self, place):
        self.place = place
        with open("/proc/mounts") as f:
            device = [line.split()[0] for line in f if line.split()[1] == place][0]
        self.stat = "/sys/block/%s/stat" % os.path.basename(device)

    def written(self):
        subprocess.run(["sync", "-f", self.place], check=True)
        with open(self.stat) as f:
            return int(f.read().split()[6]) / 2048


def peak(pid):
    with open("/proc/%d/status" % pid) as f:
        return [int(line.split()[1]) for line in f if line.startswith("VmHWM")][0] / 1024


def load_ours(layer_format, archive):
    with layers.file_system() as place:
        disk, engine = Disk(place), layers.Engine(layer_format, place)
        try:
            engine.start()
            before = disk.written()
            taken = bench.timed([vessel.BIN + "/vessel", "load", "-q", "-i", archive],
                                dict(os.environ, VESSEL_HOST=engine.host()))
            return taken, disk.written() - before, peak(engine.daemon.pid)
        finally:
            engine.destroy()


def load_theirs(name, peers, client, archive):
    with layers.file_system() as place:
        disk = Disk(place)
        os.mkdir(place + "/d")
        one = bench.Dockerd(place + "/d", name, peers, client)
        try:
            one.start()
            before = disk.written()
            taken = one.run("load", "-q", "-i", archive)
            return taken, disk.written() - before, sum(peak(p.pid) for p in one.processes)
        finally:
            one.stop()
            subprocess.run("grep -o ' %s/[^ ]*' /proc/mounts | xargs -r umount -l" % place, shell=True)


class Podman:
    """podman from build/peers, with a storage of its own below a directory."""

    def __init__(self, place):
        self.env = dict(os.environ, HOME=place, CONTAINERS_CONF=place + "/containers.conf",
                        LD_LIBRARY_PATH=":".join(PODMAN + lib for lib in ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu")),
                        PATH=PODMAN + "/usr/bin:" + os.environ["PATH"])
        with open(place + "/containers.conf", "w") as f:
            f.write('[engine]\nevents_logger = "none"\n')
        with open(place + "/policy.json", "w") as f:
            f.write('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.command = [PODMAN + "/usr/bin/podman", "--root", place + "/storage", "--runroot", place + "/run", "--tmpdir",
                        place + "/tmp", "--storage-driver", "overlay"]
        self.policy = ["--signature-policy", place + "/policy.json"]
        bench.timed([*self.command, "images"], self.env)  # makes its database

    def run(self, name, *args):
        """(milliseconds, MiB at most)"""
        command = [*self.command, name, *self.policy, *args]
        start = time.perf_counter()
        done = subprocess.run([PEAK, *command], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        taken = (time.perf_counter() - start) * 1000
        if done.returncode != 0:
            raise RuntimeError("%s: exit %d" % (" ".join(command), done.returncode))
        return taken, int(done.stdout) / 1024


@contextlib.contextmanager
def podman():
    """(podman on a fresh file system, its disk)"""
    with layers.file_system() as place:
        try:
            yield Podman(place), Disk(place)
        finally:
            subprocess.run("grep -o ' %s/[^ ]*' /proc/mounts | xargs -r umount -l" % place, shell=True)


def load_podman(archive):
    with podman() as (one, disk):
        before = disk.written()
        taken, memory = one.run("load", "-q", "-i", archive)
        return taken, disk.written() - before, memory


def unpack(layer):
    with layers.file_system() as place:
        disk = Disk(place)
        before = disk.written()
        os.mkdir(place + "/x")
        taken = bench.timed(["tar", "-C", place + "/x", "-xpf", layer])
        return taken, disk.written() - before, 0


def loads(paths, rounds):
    for kind in ("plain", "gzip"):
        contestants = {"tar x": lambda: unpack(paths["layer"])} if kind == "plain" else {}
        for layer_format in ("directory", "erofs"):
            contestants["vessel, " + layer_format] = lambda f=layer_format: load_ours(f, paths[kind])
        for name, peers, client in bench.Dockerd.PEERS:
            if os.path.exists(os.path.join(TOP, "build/peers", peers)):
                contestants[name] = lambda n=name, p=peers, c=client: load_theirs(n, p, c, paths[kind])
        if os.path.exists(PODMAN):
            contestants["podman"] = lambda: load_podman(paths[kind])
        size = os.path.getsize(paths["layer"]) / 1e6
        print("load of %.0f MB in %d files, %s layer" % (size, len(COPIES) * 7335, kind))
        for name, (taken, written, memory) in compete(contestants, rounds):
            print("  %-28s %9.0f ms %6.0f MB/s  %5.0f MiB written  %5.1f MiB peak" %
                  (name, taken, size / taken * 1000, written, memory))


def compete(contestants, rounds):
    """(name, medians of what it gives) of each that works."""
    results = {}
    for _ in range(rounds):
        for name in list(contestants):
            try:
                result = contestants[name]()
                results.setdefault(name, []).append(result)
            except (RuntimeError, OSError, AssertionError, subprocess.SubprocessError) as problem:
                print("  (%s is left out: %s)" % (name, str(problem).strip().splitlines()[-1][:160]))
                del contestants[name]
    for name, values in results.items():
        yield name, [statistics.median(column) for column in zip(*values)]


# Pulling -----------------------------------------------------------------------------------------


def cpu_ms(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:13]) * 1000 / os.sysconf("SC_CLK_TCK")


def children(pid):
    for thread in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(OSError), open("/proc/%d/task/%s/children" % (pid, thread)) as f:
            yield from map(int, f.read().split())


class Watch(threading.Thread):
    """The most memory (MiB) that a daemon and its children hold: helpers that come and go are looked at often."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.helpers, self.over = pid, {}, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(SAMPLE_S):
            for child in children(self.pid):
                with contextlib.suppress(OSError, IndexError):
                    self.helpers[child] = peak(child)

    def stop(self):
        self.over.set()
        self.join()
        return peak(self.pid) + max(self.helpers.values(), default=0)


class Source:
    """The image in a registry; what a pull takes, and how much of that is the registry's work."""

    def __init__(self, directory, paths):
        self.registry = registries.Registry(directory, "registry")
        with open(paths["layer"], "rb") as f:
            self.image = registries.Image([f.read()], compress=lambda tar: subprocess.run(
                ["gzip", "-6", "-n"], input=tar, stdout=subprocess.PIPE, check=True).stdout)
        self.registry.put("big", "latest", self.image)
        self.name, self.compressed = self.registry.address + "/big", len(self.image.blobs[0])
        assert hashlib.sha256(self.image.blobs[0]).hexdigest() == self.image.layers[0]["digest"][7:]
        self.image.blobs.clear()

    @contextlib.contextmanager
    def measured(self, disk, result):
        before, busy = disk.written(), cpu_ms(self.registry.process.pid)
        yield
        result += [cpu_ms(self.registry.process.pid) - busy, disk.written() - before]

    def pull_ours(self, layer_format):
        with layers.file_system() as place:
            disk, engine, result = Disk(place), layers.Engine(layer_format, place), []
            try:
                engine.start()
                watch = Watch(engine.daemon.pid)
                with self.measured(disk, result):
                    taken = bench.timed([vessel.BIN + "/vessel", "pull", "-q", self.name],
                                        dict(os.environ, VESSEL_HOST=engine.host()))
                return taken, *result, watch.stop()
            finally:
                engine.destroy()

    def pull_theirs(self, name, peers, client):
        with layers.file_system() as place:
            disk, result = Disk(place), []
            os.mkdir(place + "/d")
            one = bench.Dockerd(place + "/d", name, peers, client)
            try:
                one.start()
                with self.measured(disk, result):
                    taken = one.run("pull", "-q", self.name)
                return taken, *result, sum(peak(p.pid) for p in one.processes)
            finally:
                one.stop()
                subprocess.run("grep -o ' %s/[^ ]*' /proc/mounts | xargs -r umount -l" % place, shell=True)

    def pull_podman(self):
        result = []
        with podman() as (one, disk):
            with self.measured(disk, result):
                taken, memory = one.run("pull", "-q", "--tls-verify=false", self.name)
            return taken, *result, memory


def pulls(directory, paths, rounds):
    source = Source(directory, paths)
    try:
        contestants = {"vessel, " + f: lambda f=f: source.pull_ours(f) for f in ("directory", "erofs")}
        for name, peers, client in bench.Dockerd.PEERS:
            if os.path.exists(os.path.join(TOP, "build/peers", peers)):
                contestants[name] = lambda n=name, p=peers, c=client: source.pull_theirs(n, p, c)
        if os.path.exists(PODMAN):
            contestants["podman"] = source.pull_podman
        size = os.path.getsize(paths["layer"]) / 1e6
        print("pull of %.0f MB in %d files, %.0f MB of gzip; less: without the registry's own work" %
              (size, len(COPIES) * 7335, source.compressed / 1e6))
        for name, (taken, theirs, written, memory) in compete(contestants, rounds):
            print("  %-28s %9.0f ms %6.0f MB/s, less %4.0f ms: %6.0f MB/s  %5.0f MiB written  %5.1f MiB peak" %
                  (name, taken, size / taken * 1000, theirs, size / (taken - theirs) * 1000, written, memory))
    finally:
        source.registry.stop()


# The page cache ------------------------------------------------------------------------------------


class Range(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("length", ctypes.c_uint64)]


class Cached(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("pages", "dirty", "writeback", "evicted", "recently")]


def cached(root):
    """Bytes of the files below a directory that are in the page cache: cachestat(2), Linux 6.5."""
    libc, total, seen = ctypes.CDLL(None, use_errno=True), 0, set()
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if status.st_ino in seen or not os.path.isfile(path) or os.path.islink(path):
                continue
            seen.add(status.st_ino)
            fd = os.open(path, os.O_RDONLY)
            answer = Cached()
            if libc.syscall(451, fd, ctypes.byref(Range(0, 0)), ctypes.byref(answer), 0) == 0:
                total += answer.pages * 4096
            os.close(fd)
    return total


def page_cache(layer_format):
    with layers.file_system() as place:
        engine = layers.Engine(layer_format, place)
        try:
            engine.start()
            with open(ROOTFS, "rb") as f:
                engine.load(layers.archive([f.read()], "debian"))
            os.sync()
            for directory, _, files in os.walk(engine.root + "/data/layers"):
                for name in files:
                    with contextlib.suppress(OSError):
                        fd = os.open(os.path.join(directory, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                        os.close(fd)
            names = ["m%d" % i for i in range(CONTAINERS)]
            for client in [engine.docker_start("run", "-d", "--network", "none", "--name", name, "debian", "python3",
                                               "-c", PYTHON) for name in names]:
                client.communicate()
            for name in names:
                vessel.wait_until("it is up", lambda: "up" in engine.docker("logs", name).stdout)
            total = cached(engine.root + "/data/layers")
            for pid in engine.holder():
                for fd in os.listdir("/proc/%d/fd" % pid):
                    if os.path.isdir("/proc/%d/fd/%s/usr" % (pid, fd)):
                        total += cached("/proc/%d/fd/%s/" % (pid, fd))
            engine.docker("rm", "-f", *names)
            return total
        finally:
            engine.destroy()


def main():
    vessel.enter_private_namespace()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    part = sys.argv[2] if len(sys.argv) > 2 else None
    if not os.path.exists(ROOTFS):
        print("images: left out without tools/peers debian-rootfs")
        return
    with tempfile.TemporaryDirectory(prefix="vessel-bench-", dir="/dev/shm") as directory:
        paths = make_archives(directory)
        if part in (None, "load"):
            loads(paths, rounds)
        if part in (None, "pull") and os.path.exists(registries.REGISTRY):
            pulls(directory, paths, rounds)
    if part in (None, "cache"):
        page_caches()


def page_caches():
    print("page cache of %d containers on one image, python3 in each" % CONTAINERS)
    for layer_format in ("directory", "erofs"):
        print("  %-28s %9.1f MiB" % (layer_format, page_cache(layer_format) / 2**20), flush=True)


if __name__ == "__main__":
    main()
