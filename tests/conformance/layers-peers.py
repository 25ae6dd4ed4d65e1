#!/usr/bin/python3
"""Images seen from inside as under dockerd 28 and podman, file by file: layers with whiteouts, opaque directories, hard
links, extended attributes, holes and odd names, many layers, and 15,000 files made of a Debian root file system.

Each engine loads the same archives onto the same ext4.  Where the others differ from each other, or from the tar, is in
DEVIATIONS; all else has to be equal: type, mode, owner, time, size, links, contents and attributes of every file.
"""

import copy
import io
import os
import re
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import interop  # noqa: E402
import layers  # noqa: E402
import vessel  # noqa: E402

ROOTFS = os.path.join(vessel.TOP, "build/debian-rootfs.tar")
FIELDS = ("mode", "owner", "group", "time", "size", "links", "device", "contents", "attributes")  # of layers.look()
DOCKER_MANY = 125  # dockerd: "max depth exceeded"; podman takes as many as vessel

# (of whom, path, what differs there, why).  A path that is not there at all differs in "presence".
DEVIATIONS = [
    ("dockerd", rb"\.dockerenv", ("time",), "made with each container"),
    ("podman", rb"\.dockerenv", ("presence",), "its own mark is /run/.containerenv, which it mounts"),
    ("dockerd podman", rb"many|without(/.*)?", ("time",),
     "a directory that no layer has an entry of: theirs has the time of unpacking, ours is always the same"),
    ("dockerd podman", rb"lower/hidden", ("time",),
     "its last layer has no entry of it, only a whiteout and a file in it: they make a new one, and forget the layer below"),
    ("dockerd podman", rb"lower", ("mode", "owner", "group", "time"), "the same"),
    ("dockerd podman", rb"own", ("time", "attributes"),
     "times before 1970 become 1970; an attribute trusted.overlay.* is applied to the layer, where the kernel hides it"),
    ("dockerd podman", rb"own/[abc]", ("time",),
     "three names of one file: the time of the last link's entry, where ours (and tar's) is that of the file's"),
    ("podman", rb"own/many-attributes", ("attributes",), "one that is empty is left out"),
]


def across():
    """A hard link to a file of a layer below, as `docker build` writes it: with the file, and the directory, once more."""
    layer = layers.Layer()
    layer.directory("lower", mode=0o750, owner=(1000, 2000), mtime=1500000000)
    layer.add("lower/linked", data=b"two names\n" * 400, xattrs={"user.note": "from below"})
    layer.add("lower/second-name", tarfile.LNKTYPE, link="lower/linked")
    return layer.done()


def debian():
    """A Debian root file system, and a layer with two more of its trees: of the beginnings of the files."""
    with open(ROOTFS, "rb") as f:
        yield f.read()
    out = io.BytesIO()
    with tarfile.open(ROOTFS) as source, tarfile.open(fileobj=out, mode="w") as tar:
        for member in source:
            if member.name == "./opt":
                tar.addfile(member)
            data = source.extractfile(member).read(64) if member.isreg() else b""
            for prefix in ("opt/a/", "opt/b/") if re.fullmatch(r"\.(/usr(/lib.*)?)?", member.name) else ("opt/a/",):
                entry = copy.copy(member)
                entry.name = os.path.normpath(prefix + member.name)
                entry.size = len(data)
                if member.islnk():
                    entry.linkname = os.path.normpath(prefix + member.linkname)
                tar.addfile(entry, io.BytesIO(data))
    yield out.getvalue()


class Archives:
    """Images as `docker save` writes them, in files."""

    def __init__(self, place):
        self.place, self.names = place, []

    def add(self, name, image):
        with open(self.path(name), "wb") as f:
            f.write(layers.archive(image, name + ":latest"))
        self.names.append(name)

    def path(self, name):
        return "%s/%s.tar" % (self.place, name)


def seen_by_vessel(archives, layer_format, place, names):
    engine = layers.Engine(layer_format, place)
    try:
        engine.start()
        for name in names:
            with open(archives.path(name), "rb") as f:
                engine.load(f.read())
            yield name, engine.seen(name)
    finally:
        engine.destroy()


class Dockerd(interop.Dockerd28):
    """Its containers run on vessel-runtime: the layers are what dockerd makes of them."""

    leaves_out = ("many",)

    def seen(self, path, name):
        self.docker("load", "-q", "-i", path)
        container = self.docker("run", "-d", "--runtime", "vessel", "--network", "none", name, "sleep", "1000")
        try:
            return layers.look_inside(b"/proc/%s/root" % self.docker("inspect", "--format", "{{.State.Pid}}", container).encode())
        finally:
            self.docker("rm", "-f", container)


class Podman(interop.Podman):
    driver = "overlay"
    leaves_out = ("fewer",)

    def seen(self, path, name):
        image = self.do("pull", "-q", "--signature-policy", self.policy(), "docker-archive:" + path)
        container = self.do("create", "--network", "none", *self.LIMITS, image, "sleep", "1000")
        return layers.look_inside(self.do("mount", container).encode())

    def policy(self):
        with open(self.root + "/policy.json", "w") as f:
            f.write('{"default": [{"type": "insecureAcceptAnything"}]}')
        return self.root + "/policy.json"

    def stop(self):
        self.do("umount", "--all")
        super().stop()


def differences(peer, ours, theirs):
    """As text, without those that are known."""
    found = []
    for path in sorted(set(ours) | set(theirs)):
        if ours.get(path) == theirs.get(path):
            continue
        if path in ours and path in theirs:
            fields = {field for field, a, b in zip(FIELDS, ours[path], theirs[path]) if a != b}
        else:
            fields = {"presence"}
        for whose, pattern, known, _ in DEVIATIONS:
            if peer in whose.split() and re.fullmatch(pattern, path):
                fields -= set(known)
        if fields:
            found.append("%r: %s: vessel %s, %s %s" % (path, ", ".join(sorted(fields)), ours.get(path), peer, theirs.get(path)))
    return found


def same(peer, ours, theirs, least):
    found = differences(peer, ours, theirs)
    assert not found, "%d differ; %s" % (len(found), "; ".join(found[:5]))
    assert len(ours) >= least, len(ours)


def run(tap, place, root):
    archives, small = Archives(root), [vessel.busybox_tar()]
    archives.add("awkward", small + [layers.base(), layers.awkward(refused=False)])
    archives.add("across", small + [layers.base(), across()])
    archives.add("sparse", small + [layers.sparse(64 << 20)])
    many = small + list(layers.many_layers())
    archives.add("many", many)
    archives.add("fewer", many[:DOCKER_MANY - 1])
    archives.add("debian", list(debian()))
    ours = dict(seen_by_vessel(archives, "directory", place, archives.names))
    for name, kind in (("dockerd", Dockerd), ("podman", Podman)):
        os.mkdir(place + "/" + name)
        peer = kind(place + "/" + name)
        try:
            for image in archives.names:
                if image not in peer.leaves_out:
                    tap.case("as under %s: %s" % (name, image), lambda: same(
                        name, ours[image], peer.seen(archives.path(image), image), 15000 if image == "debian" else 250))
        finally:
            try:
                peer.stop()
            finally:
                interop.clean_up(place + "/" + name)


def main():
    interop.enter_private_namespaces()
    tap = vessel.Tap()
    with layers.file_system() as place:
        run(tap, place, os.path.dirname(place))
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
