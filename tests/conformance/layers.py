#!/usr/bin/python3
"""Image layers in both formats, directories and EROFS images: the same seen from inside, file by file, and the same tar
out again.  On an ext4 of their own: a tmpfs cannot back an EROFS image, and where the disk is busy, every container's
end waits for it.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

FSCK = os.path.join(vessel.TOP, "build/peers/erofs-utils/usr/bin/fsck.erofs")
MANY = 127  # layers of an image: as many as Docker allows
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0).decode("latin-1")  # cap_net_bind_service+ep


class Layer:
    """A layer's tar, by hand."""

    def __init__(self):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8",
                                errors="surrogateescape")

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, mtime=1600000000, link="", xattrs=None, owner=(0, 0),
            device=(0, 0)):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime, entry.linkname, entry.size = kind, mode, mtime, link, len(data)
        entry.uid, entry.gid = owner
        entry.devmajor, entry.devminor = device
        for key, value in (xattrs or {}).items():
            entry.pax_headers["SCHILY.xattr." + key] = value
        self.tar.addfile(entry, io.BytesIO(data))

    def directory(self, name, **more):
        self.add(name, tarfile.DIRTYPE, **{"mode": 0o755, **more})

    def done(self):
        self.tar.close()
        return self.out.getvalue()


def base():
    layer = Layer()
    layer.directory("lower", mode=0o750, owner=(1000, 2000), mtime=1500000000)
    layer.add("lower/kept", data=b"kept\n", mode=0o4755, owner=(7, 8))
    layer.add("lower/gone", data=b"gone\n")
    layer.directory("lower/gone-dir")
    layer.add("lower/gone-dir/inside", data=b"x")
    layer.directory("lower/hidden")
    layer.add("lower/hidden/old", data=b"old")
    layer.add("lower/linked", data=b"two names\n" * 400, xattrs={"user.note": "from below"})
    layer.add("lower/becomes-dir", data=b"file")
    layer.directory("lower/becomes-file")
    layer.add("lower/becomes-file/x", data=b"x")
    layer.add("lower/capable", data=b"#!/bin/sh\n", mode=0o755, xattrs={"security.capability": CAPABILITY})
    return layer.done()


def awkward(refused=True):
    """refused: with what dockerd and podman refuse, a link to a file of another layer and a name twice."""
    layer = Layer()
    layer.add("lower/.wh.gone")
    layer.add("lower/.wh.gone-dir")
    layer.add("lower/hidden/.wh..wh..opq")
    layer.add("lower/hidden/new", data=b"new")
    layer.directory("lower/becomes-dir")
    layer.add("lower/becomes-dir/x", data=b"y")
    layer.add("lower/becomes-file", data=b"now a file")
    if refused:
        layer.add("lower/second-name", tarfile.LNKTYPE, link="lower/linked")
    layer.directory("own", mode=0o1777, owner=(4000000, 5000000), mtime=-86400,
                    xattrs={"user.dir": "on a directory", "trusted.overlay.opaque": "y", "trusted.mine": "t"})
    layer.add("own/a", data=b"a" * 511, mtime=1234567890.123456789)
    layer.add("own/b", tarfile.LNKTYPE, link="own/a")
    layer.add("own/c", tarfile.LNKTYPE, link="own/b")
    for size in (0, 1, 512, 513, 4095, 4096, 4097, 300000):
        layer.add("own/size-%d" % size, data=bytes(i * 7 % 251 for i in range(size)))
    layer.add("own/many-attributes", data=b"x", xattrs={"user.a%d" % i: "v" * (i * 5) for i in range(30)})
    layer.add("own/link", tarfile.SYMTYPE, link="a")
    layer.add("own/long-link", tarfile.SYMTYPE, link="x/" * 1000 + "end", mtime=5)
    layer.add("own/fifo", tarfile.FIFOTYPE, mode=0o620)
    layer.add("own/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    layer.add("own/disk", tarfile.BLKTYPE, mode=0o660, device=(259, 300000), owner=(0, 6))
    layer.add("own/" + "n" * 255, data=b"long")
    layer.add("own/not-utf8-\udcff\udcfe", data=b"bytes")
    layer.add("own/ leading, and \n newline", data=b"odd")
    layer.add("own/-sorts-before-dot", data=b"-")
    layer.directory("own/deep")
    path = "own/deep"
    for _ in range(60):
        path += "/" + "d" * 20
        layer.directory(path)
    layer.add(path + "/bottom", data=b"bottom")
    layer.directory("own/crowd")
    for i in range(3000):
        layer.add("own/crowd/%s-%d" % ("name" * (i % 40), i), data=b"%d" % i)
    if refused:
        layer.add("own/replaced", data=b"first")
        layer.add("own/replaced", data=b"second")
    layer.add("without/an/entry/of/its/own", data=b"implied")
    layer.add("lower/becomes-dir/through", tarfile.SYMTYPE, link="/own/deep")
    layer.add("lower/becomes-dir/through/linked", data=b"through a link")
    return layer.done()


def sparse(hole=9 << 30):
    """Written by GNU tar: its holes are real."""
    with tempfile.TemporaryDirectory() as directory:
        with open(directory + "/holes", "wb") as f:
            f.truncate(40 << 20)
            for at in (0, 1 << 20, (7 << 20) + 4096, (40 << 20) - 3):
                f.seek(at)
                f.write(b"end" * (1 if at > (39 << 20) else 5000))
        with open(directory + "/only-hole", "wb") as f:
            f.truncate(hole)
        return subprocess.run(["tar", "-C", directory, "-c", "-S", "--format=posix", "--owner=0", "--group=0",
                               "holes", "only-hole"], check=True, capture_output=True).stdout


def many_layers():
    for i in range(MANY - 1):
        layer = Layer()
        layer.add("many/f%d" % i, data=b"%d" % i)
        layer.add("many/last", data=b"%d" % i)
        if i >= 5:
            layer.add("many/.wh.f%d" % (i - 5))
        yield layer.done()


def random_tar(seed):
    """Entries of every sort, some twice, a few that may not be; then perhaps some bytes are other ones, under a right checksum."""
    chance, layer = random.Random(seed), Layer()
    directories = ["a", "a/b", "d", "a/b/" + "e" * 120]
    names = [d + "/" + n for d in directories for n in ("f", "g", "h" * 100, "\udcff", ".wh.f", ".wh..wh..opq")] + ["top"]
    kinds = [tarfile.REGTYPE] * 5 + [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
    files = []
    for _ in range(chance.randrange(1, 40)):
        kind, name = chance.choice(kinds), chance.choice(names)
        if chance.random() < .3:
            kind, name = tarfile.DIRTYPE, chance.choice(directories)
        elif kind == tarfile.LNKTYPE and not files:
            continue
        elif kind == tarfile.REGTYPE and ".wh." not in name:
            files.append(name)
        if chance.random() < .01:
            name = chance.choice(("../" + name, "a", "./" + name + "/"))
        layer.add(name, kind, data=b"x" * chance.choice((0, 1, 511, 512, 5000)) if kind == tarfile.REGTYPE else b"",
                  mode=chance.randrange(0o10000), mtime=chance.choice((0, -1, 1 << 33, 1.5)),
                  link=chance.choice(files or names) if kind == tarfile.LNKTYPE else chance.choice(names),
                  xattrs={"user." + "n" * chance.choice((1, 100)): "v" * chance.choice((0, 3, 3000))} if chance.random() < .2 else None,
                  owner=(chance.choice((0, 1 << 31, 5)), 7), device=(1, chance.choice((0, 3))))
    tar = bytearray(layer.done())
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        at = chance.randrange(len(tar) // 512) * 512
        tar[at + chance.randrange(512)] = chance.choice(b"\0/0x79LSg")
        tar[at + 148:at + 156] = b" " * 8
        tar[at + 148:at + 156] = b"%06o\0 " % sum(tar[at:at + 512])
    return bytes(tar[:len(tar) - chance.choice((0,) * 9 + (10500,))])


def archive(layers, name, packed=None):
    """As `docker save` writes it; `packed`: the same layers, compressed."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d in digests]}}).encode()
    manifest = json.dumps([{"Config": hashlib.sha256(config).hexdigest() + ".json", "RepoTags": [name],
                            "Layers": [d + "/layer.tar" for d in digests]}]).encode()
    files = [(hashlib.sha256(config).hexdigest() + ".json", config), ("manifest.json", manifest)]
    files += [(d + "/layer.tar", layer) for d, layer in zip(digests, packed or layers)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in files:
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def look(root, top=b""):
    """{path: all that can be seen of it}; what is mounted below is left out."""
    found = {}
    device = os.stat(root).st_dev
    stack = [top]
    while stack:
        path = stack.pop()
        full = root + b"/" + (path or b".")
        status = os.lstat(full)
        if status.st_dev != device and stat.S_ISDIR(status.st_mode):
            continue
        content, size = None, status.st_size
        if stat.S_ISDIR(status.st_mode):
            size = 0
            stack += [path + b"/" + name if path else name for name in os.listdir(full)]
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(full)
        elif stat.S_ISREG(status.st_mode):
            digest = hashlib.sha256()
            with open(full, "rb") as f:
                if size < 1 << 30:
                    while block := f.read(1 << 20):
                        digest.update(block)
                else:  # mostly a hole
                    digest.update(os.pread(f.fileno(), 65536, 0) + os.pread(f.fileno(), 65536, size - 65536))
            content = digest.hexdigest()
        attributes = tuple(sorted((name, os.getxattr(full, name, follow_symlinks=False))
                                  for name in os.listxattr(full, follow_symlinks=False)))
        found[path] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, size,
                       0 if stat.S_ISDIR(status.st_mode) else status.st_nlink, status.st_rdev, content, attributes)
    return found


# What a container gets of its own.
OWN = (b"dev", b"proc", b"sys", b"etc", b"")


def look_inside(root):
    """What a container's root file system has of its image."""
    return {path: value for path, value in look(root).items() if path not in OWN and not path.startswith((b"dev/", b"etc/"))}


@contextlib.contextmanager
def file_system():
    """A directory on a fresh ext4 in memory."""
    with tempfile.TemporaryDirectory(prefix="vessel-layers-", dir="/dev/shm") as directory:
        with open(directory + "/image", "wb") as f:
            f.truncate(2 << 30)
        subprocess.run(["mkfs.ext4", "-q", directory + "/image"], check=True)
        os.mkdir(directory + "/mount")
        subprocess.run(["mount", "-o", "loop", directory + "/image", directory + "/mount"], check=True)
        try:
            yield directory + "/mount"
        finally:
            subprocess.run(["umount", "-l", directory + "/mount"], check=True)


class Engine(vessel.Engine):
    def __init__(self, layer_format, place):
        super().__init__(tempfile.mkdtemp(prefix="vessel-test-", dir=place))
        self.format = layer_format

    def start(self, crash_at=None, args=()):
        super().start(crash_at, ("--layer-format", self.format, *args))

    def load(self, data):
        done = subprocess.run([vessel.DOCKER, "load"], input=data, env=self.environment(), capture_output=True,
                              timeout=300)
        assert done.returncode == 0, done

    def seen(self, image):
        """The root file system of a container on the image."""
        name = self.docker("run", "-d", "--network", "none", image, "sleep", "1000").stdout.strip()
        pid = self.inspect(name)["State"]["Pid"]
        try:
            return look_inside(b"/proc/%d/root" % pid)
        finally:
            self.docker("rm", "-f", name)

    def request(self, method, path, body=None):
        """(status, the body as it is)."""
        connection = self.connection()
        try:
            connection.request(method, path, body, {"Content-Type": "application/x-tar"} if body is not None else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def holder(self):
        # By its name: the path of our directory, which is in other commands, has the word too.
        return [int(line.split()[0]) for line in self.processes() if line.split()[1:2] == ["vessel-layers"]]


def difference(directory, erofs):
    """But for the mark of each container, which has its own time."""
    return ["%r: directory %s, erofs %s" % (path, directory.get(path), erofs.get(path))
            for path in sorted((set(directory) | set(erofs)) - {b".dockerenv"}) if directory.get(path) != erofs.get(path)]


class Cases:
    def __init__(self, erofs, images, directory):
        self.erofs, self.images, self.directory = erofs, images, directory

    def same(self, name):
        seen = self.erofs.seen(name)
        differences = difference(self.directory[name], seen)
        assert not differences, "%d differ; %s" % (len(differences), "; ".join(differences[:5]))
        assert len(seen) > 100, len(seen)

    def awkward(self):
        seen = self.directory["awkward"]  # and so, by the case before, in the other format
        assert b"lower/gone" not in seen and b"lower/gone-dir" not in seen
        assert b"lower/hidden/old" not in seen and b"lower/hidden/new" in seen
        assert seen[b"lower/second-name"][5] == 2 and ("user.note", b"from below") in seen[b"lower/second-name"][8]
        assert seen[b"own/b"][5] == 3 and seen[b"lower"][:4] == ("drwxr-x---", 1000, 2000, 1500000000 * 10**9)
        assert seen[b"own"][:4] == ("drwxrwxrwt", 4000000, 5000000, -86400 * 10**9), seen[b"own"]
        assert dict(seen[b"lower/capable"][8])["security.capability"] == CAPABILITY.encode("utf-8"), \
            seen[b"lower/capable"]
        assert b"own/deep/linked" in seen and os.major(seen[b"own/disk"][6]) == 259

    def files(self):
        """Two files a layer, and nothing else."""
        layers = self.erofs.root + "/data/layers"
        found = [name for name in os.listdir(layers) if len(name) == 64]
        assert len(found) > MANY
        for name in found:
            assert sorted(os.listdir(layers + "/" + name)) == ["index", "tar"], name

    def saved(self):
        for name, layers in self.images.items():
            out = subprocess.run([vessel.DOCKER, "save", name], env=self.erofs.environment(), capture_output=True,
                                 timeout=300).stdout
            with tarfile.open(fileobj=io.BytesIO(out)) as tar:
                blobs = {hashlib.sha256(tar.extractfile(m).read()).hexdigest() for m in tar if m.isfile()}
            missing = [i for i, layer in enumerate(layers) if hashlib.sha256(layer).hexdigest() not in blobs]
            assert not missing, (name, missing)

    def container(self):
        """diff, cp, export, commit and the container itself, on layers that are images."""
        docker = self.erofs.docker
        docker("run", "-d", "--name", "cc", "--network", "none", "awkward", "sleep", "1000")
        docker("exec", "cc", "sh", "-c", "rm /lower/kept; echo more >>/own/size-513; mv /own/crowd /own/moved; "
               "chmod 600 /own/a; echo new >/own/new")
        for state in ("running", "stopped"):
            if state == "stopped":
                docker("kill", "cc")
                docker("wait", "cc")
            changes = docker("diff", "cc").stdout.splitlines()
            for line in ("D /lower/kept", "C /own/size-513", "A /own/moved", "D /own/crowd", "C /own/a", "A /own/new"):
                assert line in changes, (state, line, changes[:20])
            copied = subprocess.run([vessel.DOCKER, "cp", "cc:/own/size-4097", "-"], capture_output=True,
                                    env=self.erofs.environment(), check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(copied)) as tar:
                assert tar.extractfile("size-4097").read() == bytes(i * 7 % 251 for i in range(4097)), state
            exported = subprocess.run([vessel.DOCKER, "export", "cc"], capture_output=True,
                                      env=self.erofs.environment(), check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(exported), errors="surrogateescape") as tar:
                names = tar.getnames()
            assert "lower/kept" not in names and "own/new" in names and "own/not-utf8-\udcff\udcfe" in names
        docker("commit", "cc", "committed")
        assert docker("run", "--rm", "--network", "none", "committed", "sh", "-c",
                      "ls /own/moved | wc -l; cat /own/new; ls /lower").stdout.split() == \
            ["3000", "new", "becomes-dir", "becomes-file", "capable", "hidden", "linked", "second-name"]
        docker("rm", "cc")
        docker("rmi", "committed")

    def restarted(self):
        """Containers, and the holder with its mounts, outlive vesseld; a holder that dies is replaced."""
        engine = self.erofs
        engine.docker("run", "-d", "--name", "before", "--network", "none", "awkward", "sleep", "1000")
        holder = engine.holder()
        assert len(holder) == 1, holder
        places = os.listdir("/proc/%d/fd" % holder[0])
        engine.kill()
        engine.start()
        engine.docker("run", "-d", "--name", "after", "--network", "none", "awkward", "sleep", "1000")
        assert engine.holder() == holder
        vessel.wait_until("nothing is mounted again", lambda: len(os.listdir("/proc/%d/fd" % holder[0])) <= len(places) + 1)
        devices = {os.stat("/proc/%d/root/own/a" % engine.inspect(n)["State"]["Pid"]).st_ino for n in ("before", "after")}
        assert len(devices) == 1, devices
        os.kill(holder[0], 9)
        for name in ("before", "after"):
            assert engine.docker("exec", name, "cat", "/lower/hidden/new").stdout == "new"
        assert "C /own" not in engine.docker("diff", "before").stdout
        assert engine.docker("run", "--rm", "--network", "none", "awkward", "cat", "/own/size-1").stdout == "\0"
        assert len(engine.holder()) == 1 and engine.holder() != holder
        engine.docker("rm", "-f", "before", "after")

    def checked(self):
        """By erofs-utils (tools/peers erofs-utils): Debian 12's do not know blocks of 512 bytes."""
        layers = self.erofs.root + "/data/layers/"
        names = [name for name in os.listdir(layers) if os.path.exists(layers + name + "/index")]
        assert len(names) > MANY
        for name in names:
            done = subprocess.run([FSCK, "--device=" + layers + name + "/tar", layers + name + "/index"],
                                  capture_output=True, text=True)
            assert done.returncode == 0, done

    def anything(self, tars):
        """Each is refused with a reason, or becomes an image that fsck.erofs and the kernel take; (images, refusals)."""
        engine, came, refused = self.erofs, 0, 0
        for what, tar in tars:
            status, answer = engine.request("POST", "/images/create?fromSrc=-&repo=any&tag=1", tar)
            lines = [json.loads(line) for line in answer.splitlines() if line.strip()]
            if status != 200 or "error" in lines[-1]:
                reason = lines[-1].get("error") or lines[-1]["message"]
                assert reason and "internal" not in reason.lower(), (what, status, lines)
                refused += 1
                continue
            came += 1
            digest = engine.api("GET", "/images/any:1/json")[1]["RootFS"]["Layers"][0]
            layer = "%s/data/layers/%s" % (engine.root, digest.split(":")[1])
            done = subprocess.run([FSCK, "--device=" + layer + "/tar", layer + "/index"], capture_output=True, text=True)
            assert done.returncode == 0, (what, done)
            status, made = engine.api("POST", "/containers/create?name=any", {"Image": "any:1", "Cmd": ["x"]})
            assert status == 201, (what, made)
            status, exported = engine.request("GET", "/containers/any/export")
            assert status == 200, (what, exported)
            with tarfile.open(fileobj=io.BytesIO(exported), errors="surrogateescape") as members:
                assert members.getnames() is not None
            engine.api("DELETE", "/containers/any")
            engine.api("DELETE", "/images/any:1?force=1")
        return came, refused

    def random_tars(self):
        corpus = os.path.join(vessel.TOP, "tests/fuzz/corpus")
        tars = [(seed, random_tar(seed)) for seed in range(40)]
        for folder in ("layer", "tar"):
            for name in sorted(os.listdir(os.path.join(corpus, folder))):
                with open(os.path.join(corpus, folder, name), "rb") as f:
                    tars.append((name, f.read()))
        came, refused = self.anything(tars)
        assert came > 20 and refused > 5, (came, refused)

    def removed(self):
        engine = self.erofs
        engine.docker("rmi", *self.images)
        vessel.wait_until("no layer is left", lambda: not [n for n in os.listdir(engine.root + "/data/layers") if len(n) == 64])
        vessel.wait_until("the holder has ended", lambda: not engine.holder())


def run(tap, place):
    small = [vessel.busybox_tar()]
    images = {"awkward": small + [base(), awkward()], "sparse": small + [sparse()], "many": small + list(many_layers())}
    erofs = Engine("erofs", place)
    try:
        try:
            erofs.start()
        except AssertionError as problem:
            if "layers cannot be EROFS images here" not in str(problem):
                raise
            tap.skip("layers in both formats", "no overlay on EROFS images mounted from files (6.15)")
            return
        audit = vessel.Audit(erofs)
        seen = {}
        with contextlib.ExitStack() as stack:
            directory = Engine("directory", place)
            stack.callback(directory.destroy)
            erofs.stop()
            directory.start()
            for name, layers in images.items():
                directory.load(archive(layers, name))
                seen[name] = directory.seen(name)
        erofs.start()
        cases = Cases(erofs, images, seen)
        for name, layers in images.items():
            erofs.load(archive(layers, name))
            tap.case("the same in both formats: " + name, cases.same, name)
        tap.case("the awkward layer is what it should be", cases.awkward)
        tap.case("two files a layer", cases.files)
        tap.case("save gives the same bytes", cases.saved)
        tap.case("diff, cp, export and commit", cases.container)
        tap.case("vesseld and its holder die", cases.restarted)
        tap.case("fsck.erofs finds nothing", cases.checked)
        tap.case("any tar is an image that mounts, or is refused", cases.random_tars)
        tap.case("removed", cases.removed)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
        tap.case("nothing is left", clean)
    finally:
        erofs.destroy()


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    with file_system() as place:
        run(tap, place)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
