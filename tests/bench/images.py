#!/usr/bin/python3
"""Loading an image, beside `tar x` of its layer and beside whichever dockerds are there, in both layer formats; what is
written, what memory it takes, and what 50 containers on one image keep in the page cache.

Everything is on an ext4 in a loop image in memory, made anew for each load.  The image is Debian's root file system
(tools/peers debian-rootfs) three times over: 22,000 files.  Called by tools/bench.
"""

import contextlib
import copy
import ctypes
import importlib.machinery
import importlib.util
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))
sys.path.insert(0, os.path.join(TOP, "tests", "conformance"))
import layers  # noqa: E402
import vessel  # noqa: E402

LOADER = importlib.machinery.SourceFileLoader("bench", os.path.join(TOP, "tools", "bench"))
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", LOADER))
LOADER.exec_module(bench)

ROOTFS = os.path.join(TOP, "build/debian-rootfs.tar")
COPIES = ("", "opt/a/", "opt/b/")
CONTAINERS = 50
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
        size = os.path.getsize(paths["layer"]) / 1e6
        print("load of %.0f MB in %d files, %s layer" % (size, len(COPIES) * 7335, kind))
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
            taken, written, memory = (statistics.median(column) for column in zip(*values))
            print("  %-28s %9.0f ms %6.0f MB/s  %5.0f MiB written  %5.1f MiB peak" %
                  (name, taken, size / taken * 1000, written, memory))


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
    if not os.path.exists(ROOTFS):
        print("images: left out without tools/peers debian-rootfs")
        return
    with tempfile.TemporaryDirectory(prefix="vessel-bench-", dir="/dev/shm") as directory:
        loads(make_archives(directory), rounds)
    print("page cache of %d containers on one image, python3 in each" % CONTAINERS)
    for layer_format in ("directory", "erofs"):
        print("  %-28s %9.1f MiB" % (layer_format, page_cache(layer_format) / 2**20), flush=True)


if __name__ == "__main__":
    main()
