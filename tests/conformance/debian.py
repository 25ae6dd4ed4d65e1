#!/usr/bin/python3
"""A Debian root file system, made by debootstrap and imported as an image: thousands of files, a libc with
its name services, a package manager, and many containers at once that share all of it.

VESSEL_SOAK=1: on disk instead of tmpfs, and 200 containers instead of 50.
"""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

SOAK = os.environ.get("VESSEL_SOAK") == "1"
MANY = 200 if SOAK else 50
TEN, TOP_SIZE = 10, 100000  # images that share it, and what each has of its own
ROOTFS = os.path.join(vessel.TOP, "build/debian-rootfs.tar")
# What a container gets of its own in these places is not the image's.
OWN = ("dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", ".dockerenv")


def size_of(directory):
    """(inodes, bytes on disk) below a directory; a file with many links counts once."""
    seen, blocks = set(), 0
    for path, directories, files in os.walk(directory):
        for name in directories + files:
            try:
                status = os.lstat(os.path.join(path, name))
            except FileNotFoundError:  # being removed
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                blocks += status.st_blocks
    return len(seen), blocks * 512


class Cases:
    def __init__(self, engine):
        self.engine = engine

    def docker(self, *args, **kwargs):
        return self.engine.docker(*args, **kwargs).stdout

    def run(self, *args, **kwargs):
        return self.docker("run", "--rm", "debian", *args, **kwargs)

    def imports(self):
        with open(ROOTFS, "rb") as f:
            done = subprocess.run([vessel.DOCKER, "import", "-c", 'CMD ["bash"]', "-", "debian"], stdin=f,
                                  env=self.engine.environment(), capture_output=True, timeout=600)
        assert done.returncode == 0 and done.stdout.startswith(b"sha256:"), done

    def tree(self):
        """Every file has the tar's type, mode, owner, size, time and link."""
        kinds = {tarfile.REGTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c",
                 tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p"}
        wanted, hard = {}, {}
        with tarfile.open(ROOTFS) as tar:
            for entry in tar:
                name = os.path.normpath(entry.name)
                if entry.type == tarfile.LNKTYPE:
                    hard[name] = os.path.normpath(entry.linkname)
                elif name != "." and name.split("/")[0] not in OWN and name not in OWN:
                    wanted[name] = (kinds[entry.type], "%o" % entry.mode, entry.uid, entry.gid,
                                    entry.size if entry.isreg() else 0, int(entry.mtime),
                                    entry.linkname if entry.issym() else "")
        for name, target in hard.items():
            wanted[name] = wanted[target]
        got = {}
        listing = self.docker("run", "--rm", "--network", "none", "debian", "find", "/", "-xdev", "-printf",
                              "%P\\0%y\\0%m\\0%U\\0%G\\0%s\\0%T@\\0%l\\0")
        fields = listing.split("\0")
        for i in range(0, len(fields) - 1, 8):
            name, kind, mode, uid, gid, size, mtime, link = fields[i:i + 8]
            if name and name.split("/")[0] not in OWN and name not in OWN:
                # Directories that the engine put its mount points into have changed.
                got[name] = (kind, mode, int(uid), int(gid), int(size) if kind == "f" else 0,
                             int(float(mtime)), link)
        differences = ["%s: %s, in the tar %s" % (name, got.get(name), wanted.get(name))
                       for name in sorted(set(wanted) | set(got)) if wanted.get(name) != got.get(name)
                       and name not in ("etc", "sbin", "usr/sbin", "run")]
        assert not differences, "%d differ; %s" % (len(differences), "; ".join(differences[:8]))
        assert len(got) > 5000, len(got)

    def contents(self):
        """dpkg's checksums of all packages' files."""
        out = self.run("dpkg", "--verify")
        assert out == "", out[:600]

    def apt(self):
        assert self.run("apt-get", "--version").startswith("apt 2.")

    def bash(self):
        out = self.run("bash", "-c", 'a=(one two three); echo "${a[@]:1}" $BASH_VERSION; [[ abc =~ b ]] && '
                       'mapfile -t l < <(seq 3); echo ${#l[@]}; exec 3<>/dev/null; ulimit -c')
        assert out.startswith("two three 5."), out
        done = self.engine.docker("run", "--rm", "-i", "debian", input=b"echo from bash; exit 5\n", check=False)
        assert (done.stdout, done.returncode) == ("from bash\n", 5), done

    def python(self):
        script = (b"import os, sys, threading, subprocess, pwd, socket\n"
                  b"t = [threading.Thread(target=sum, args=(range(1000),)) for _ in range(8)]\n"
                  b"[x.start() for x in t]; [x.join() for x in t]\n"
                  b"print(pwd.getpwuid(0).pw_name, os.getpid(), subprocess.check_output(['id', '-un']).decode().strip())\n"
                  b"print(socket.gethostbyname(socket.gethostname()) != '127.0.0.1', os.path.exists('/dev/shm'))\n"
                  b"sys.exit(6)\n")
        done = self.engine.docker("run", "--rm", "-i", "debian", "python3", "-", input=script, check=False)
        assert (done.stdout, done.returncode) == ("root 1 root\nTrue True\n", 6), done

    def many(self):
        """All start at once, all run at once, each answers for itself."""
        before = size_of(self.engine.root + "/data")
        clients = [self.engine.docker_start("run", "-d", "--name", "m%d" % i, "-e", "N=%d" % i, "debian",
                                            "bash", "-c", "echo $N >/root/n; sleep 1000") for i in range(MANY)]
        for client in clients:
            out, errors = client.communicate(timeout=600)
            assert client.returncode == 0, errors
        assert len(self.docker("ps", "-q").split()) == MANY
        after = size_of(self.engine.root + "/data")
        inodes, grown = (after[0] - before[0]) / MANY, (after[1] - before[1]) / MANY
        assert inodes <= 40 and grown <= 256 << 10, "each added %d inodes, %d bytes" % (inodes, grown)
        addresses = set()
        for i in range(MANY):
            state = self.engine.inspect("m%d" % i)
            addresses.add(state["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        assert len(addresses) == MANY, addresses
        script = ("import os, time\nwhile not os.path.exists('/root/n') or not os.path.getsize('/root/n'): time.sleep(0.05)\n"
                  "print(open('/root/n').read().strip())")
        clients = [self.engine.docker_start("exec", "m%d" % i, "python3", "-c", script) for i in range(MANY)]
        for i, client in enumerate(clients):
            out, errors = client.communicate(timeout=600)
            assert out == b"%d\n" % i, (i, out, errors)
        clients = [self.engine.docker_start("rm", "-f", "m%d" % i) for i in range(MANY)]
        for client in clients:
            _, errors = client.communicate(timeout=600)
            assert client.returncode == 0, errors
        vessel.wait_until("all that they added is gone",
                          lambda: size_of(self.engine.root + "/data")[0] <= before[0] + 8)

    def shared(self):
        """Two containers read the same inodes; what one writes and deletes, the other does not see."""
        for name in ("aa", "bb"):
            self.docker("run", "-d", "--name", name, "debian", "sleep", "1000")
        try:
            inodes = {self.docker("exec", name, "stat", "-c", "%i %s", "/usr/bin/python3.11", "/bin/bash")
                      for name in ("aa", "bb")}
            assert len(inodes) == 1, inodes
            before = size_of(self.engine.root + "/data/containers")[1]
            self.docker("exec", "aa", "bash", "-c", "echo mine >/etc/debian_version; rm /usr/bin/apt-get; "
                        "rm -r /usr/share/doc; chmod 700 /bin/tar; mv /etc/passwd /etc/moved; echo x >>/bin/cat")
            assert self.docker("exec", "bb", "cat", "/etc/debian_version").startswith("12.")
            for path in ("/usr/bin/apt-get", "/usr/share/doc", "/etc/passwd"):
                self.docker("exec", "bb", "test", "-e", path)
            assert self.docker("exec", "bb", "stat", "-c", "%a", "/bin/tar") == "755\n"
            assert self.docker("exec", "bb", "dpkg", "--verify") == ""
            assert self.docker("exec", "aa", "cat", "/etc/debian_version") == "mine\n"
            assert self.run("cat", "/etc/debian_version").startswith("12.")
            grown = size_of(self.engine.root + "/data/containers")[1] - before
            assert grown < 2 << 20, "%d bytes for small changes" % grown
        finally:
            self.engine.docker("rm", "-f", "aa", "bb", check=False)

    def packages(self):
        """A package is installed in a container, without a network: dpkg's fsyncs, renames, maintainer scripts."""
        out = self.run("bash", "-c", "mkdir -p /p/DEBIAN /p/opt && printf 'Package: hello\\nVersion: 1\\n"
                       "Architecture: all\\nMaintainer: t\\nDescription: t\\n' >/p/DEBIAN/control && "
                       "printf '#!/bin/sh\\necho configured\\n' >/p/DEBIAN/postinst && chmod 755 /p/DEBIAN/postinst && "
                       "echo there >/p/opt/hello && dpkg-deb -b /p /hello.deb >/dev/null && "
                       "apt-get install -y /hello.deb 2>&1 | grep -c configured; cat /opt/hello; useradd -m someone; "
                       "su someone -c 'id -un; cd; pwd'")
        assert out == "1\nthere\nsomeone\n/home/someone\n", out

    def stored(self):
        """Bytes that images take, by du; df says the same."""
        def both():
            done = subprocess.run(["du", "-s", "-B1", *(self.engine.root + "/data/" + name for name in ("layers", "blobs"))],
                                  stdout=subprocess.PIPE, text=True)  # something may go meanwhile
            return sum(int(line.split()[0]) for line in done.stdout.splitlines()), self.engine.api("GET", "/system/df")[1]["LayersSize"]
        vessel.wait_until("df says what du says", lambda: len(set(both())) == 1)
        return both()[0]

    def ten(self):
        """Each has a layer of its own on the one that is here: the store grows by those."""
        before, path = self.stored(), self.engine.root + "/ten.tar"
        self.base = self.engine.api("GET", "/images/debian/json")[1]["RootFS"]["Layers"][0].split(":")[1]
        manifest = []
        with tarfile.open(path, "w") as out:
            def add(name, data):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                out.addfile(entry, io.BytesIO(data))

            out.add(os.path.realpath(ROOTFS), "base.tar")
            for i in range(TEN):
                top = io.BytesIO()
                with tarfile.open(fileobj=top, mode="w") as tar:
                    entry = tarfile.TarInfo("root/top")
                    entry.size = TOP_SIZE
                    tar.addfile(entry, io.BytesIO(b"%d\n" % i + os.urandom(TOP_SIZE)))
                config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [
                    "sha256:" + digest for digest in (self.base, hashlib.sha256(top.getvalue()).hexdigest())]}}).encode()
                add("top%d.tar" % i, top.getvalue())
                add("config%d.json" % i, config)
                manifest.append({"Config": "config%d.json" % i, "RepoTags": ["ten:%d" % i], "Layers": ["base.tar", "top%d.tar" % i]})
            add("manifest.json", json.dumps(manifest).encode())
        self.docker("load", "-i", path)
        os.remove(path)
        grown = self.stored() - before
        assert TEN * TOP_SIZE <= grown <= TEN * (TOP_SIZE + (64 << 10)), grown
        for i in (0, TEN - 1):
            assert self.docker("run", "--rm", "--network", "none", "ten:%d" % i, "/usr/bin/head", "-n", "1", "/root/top") == "%d\n" % i

    def removed(self):
        """In any order: each takes its layer along, the last takes the one below."""
        names = ["debian"] + ["ten:%d" % i for i in range(TEN)]
        random.Random(TEN).shuffle(names)
        layers = self.engine.root + "/data/layers"
        before = self.stored()
        for name in names:
            assert os.path.isdir(layers + "/" + self.base), name
            self.docker("rmi", name)
            now = self.stored()
            assert name == "debian" or now <= before - TOP_SIZE, (name, before, now)
            before = now
        left = size_of(layers)[0]
        assert left < 50 and not os.path.exists(layers + "/" + self.base), "%d files of layers left" % left
        assert os.listdir(self.engine.root + "/data/blobs/sha256") == []


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    root = tempfile.mkdtemp(prefix="vessel-test-", dir=os.path.join(vessel.TOP, "build")) if SOAK else None
    engine = vessel.Engine(root)
    try:
        engine.start()
        audit = vessel.Audit(engine)
        cases = Cases(engine)
        tap.case("import", cases.imports)
        tap.case("every file is as in the tar", cases.tree)
        tap.case("dpkg --verify", cases.contents)
        tap.case("apt-get --version", cases.apt)
        tap.case("bash", cases.bash)
        tap.case("python3", cases.python)
        tap.case("a package is installed", cases.packages)
        tap.case("two containers share layers, not writes", cases.shared)
        tap.case("%d containers at once" % MANY, cases.many)
        tap.case("%d images share it" % TEN, cases.ten)
        tap.case("removed with their layers", cases.removed)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
        tap.case("nothing is left", clean)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
