#!/usr/bin/python3
"""Archives of images between vessel and skopeo, podman and dockerd: the same images, the same layers, bit by bit.

What is exchanged are busybox and an image committed on it, with deletions, a replaced directory, hard links, a capability
and a sparse file.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import interop  # noqa: E402
import vessel  # noqa: E402

SKOPEO_PEER = os.path.join(vessel.TOP, "build/peers/skopeo")
CHANGES = """
echo new >/etc/new; ln /etc/new /etc/other; rm /etc/group; rm -r /home/app; mkdir /home/app; echo x >/home/app/only
truncate -s 3000000 /sparse; echo end >>/sparse; mkdir -p /var/d/e; ln -s nowhere /link; sha256sum </sparse >/sum
"""
LOOK = "cat /etc/other; ls -A /etc/group /home/app 2>/dev/null; sha256sum </sparse | cmp - /sum && stat -c '%s %h' /sparse /etc/new"
SEEN = "new\n/home/app:\nonly\n3000004 1\n4 2"


def diff_ids(config):
    return json.loads(config)["rootfs"]["diff_ids"]


def read_archive(data):
    """{name: (config digest, diff IDs)} of a docker archive; every layer's bytes are what its diff ID says."""
    tar = tarfile.open(fileobj=io.BytesIO(data))

    def content(path):
        return tar.extractfile(path).read()
    found = {}
    for item in json.loads(content("manifest.json")):
        config = content(item["Config"])
        for path, wanted in zip(item["Layers"], diff_ids(config)):
            assert "sha256:" + hashlib.sha256(content(path)).hexdigest() == wanted, path
        for name in item["RepoTags"]:
            found[name] = ("sha256:" + hashlib.sha256(config).hexdigest(), diff_ids(config))
    return found


class Skopeo(interop.Caller):
    def __init__(self, root):
        super().__init__(root)
        libraries = [SKOPEO_PEER + lib for lib in ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu")]
        self.env["LD_LIBRARY_PATH"] = ":".join(libraries)

    def copy(self, source, target, *options):
        self.run(SKOPEO_PEER + "/usr/bin/skopeo", "--tmpdir", self.root, "--insecure-policy", "copy", *options, source, target)


class Exchange:
    def __init__(self, engine, root):
        self.engine, self.root = engine, root
        engine.import_busybox()
        engine.docker("run", "--name", "box", "busybox", "sh", "-c", CHANGES)
        capable = engine.root + "/data/containers/" + engine.inspect("box")["Id"] + "/upper/etc/new"
        os.setxattr(capable, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
        engine.docker("commit", "-c", "ENV MADE=here", "box", "team/made:1")
        engine.docker("rm", "box")
        engine.docker("tag", "team/made:1", "again:latest")
        self.path = root + "/saved.tar"
        engine.docker("save", "-o", self.path, "busybox", "team/made:1", "again:latest")
        with open(self.path, "rb") as f:
            self.saved = read_archive(f.read())

    def load(self, path, name):
        """Load into an engine that has none of it; what it then is, and saves."""
        self.engine.docker("image", "prune", "-af")
        self.engine.docker("load", "-i", path)
        status, answer = self.engine.api("GET", "/images/get?names=" + name)
        assert status == 200, answer
        return read_archive(answer)[name]

    def check(self, path, name, wanted="team/made:1", same_config=True):
        got = self.load(path, name)
        assert got[1] == self.saved[wanted][1], "layers: got %r, wanted %r" % (got, self.saved[wanted])
        assert not same_config or got[0] == self.saved[wanted][0], "ID: got %r, wanted %r" % (got, self.saved[wanted])
        seen = self.engine.docker("run", "--rm", name, "sh", "-c", LOOK).stdout.strip()
        assert seen == SEEN, seen


def several(x):
    """One archive is both of Docker's and OCI's, each layer once."""
    tar = tarfile.open(x.path)
    names = tar.getnames()
    assert len(names) == len(set(names)), names
    assert sorted(x.saved) == ["again:latest", "busybox:latest", "team/made:1"], x.saved
    assert x.saved["again:latest"] == x.saved["team/made:1"] != x.saved["busybox:latest"]
    index = json.load(tar.extractfile("index.json"))
    assert sorted(m["annotations"]["io.containerd.image.name"] for m in index["manifests"]) == [
        "docker.io/library/again:latest", "docker.io/library/busybox:latest", "docker.io/team/made:1"]
    for m in index["manifests"]:
        data = tar.extractfile("blobs/sha256/" + m["digest"][7:]).read()
        assert len(data) == m["size"] and hashlib.sha256(data).hexdigest() == m["digest"][7:]
        for blob in json.loads(data)["layers"] + [json.loads(data)["config"]]:
            assert tar.getmember("blobs/sha256/" + blob["digest"][7:]).size == blob["size"]
    x.check(x.path, "team/made:1")


def skopeo(x):
    s = Skopeo(x.root)
    # Docker's half, and OCI's with the layers compressed on the way.
    s.copy("docker-archive:%s:team/made:1" % x.path, "docker-archive:%s/docker.tar:team/made:1" % x.root)
    x.check(x.root + "/docker.tar", "team/made:1")
    for form in ("gzip", "zstd"):
        s.copy("oci-archive:%s:1" % x.path, "oci-archive:%s/%s.tar:example.org/made:%s" % (x.root, form, form),
               "--dest-compress-format", form, "--dest-compress")
        x.check("%s/%s.tar" % (x.root, form), "example.org/made:" + form)


def podman(x):
    p = interop.Podman(x.root)
    with open(x.root + "/policy.json", "w") as f:
        f.write('{"default": [{"type": "insecureAcceptAnything"}]}')
    p.do("load", "--signature-policy", x.root + "/policy.json", "-i", x.path)
    assert "sha256:" + p.do("image", "inspect", "--format", "{{.Id}}", "team/made:1") == x.saved["team/made:1"][0]
    seen = p.do("run", *p.LIMITS, "--rm", "--network", "none", "--cgroup-parent", interop.CGROUP, "team/made:1", "sh", "-c", LOOK)
    assert seen == SEEN, seen
    for form in ("docker-archive", "oci-archive"):
        p.do("save", "--signature-policy", x.root + "/policy.json", "--format", form, "-o", "%s/podman-%s.tar" % (x.root, form), "team/made:1")
        x.check("%s/podman-%s.tar" % (x.root, form), "localhost/team/made:1", same_config=False)


def dockerd(x):
    d = interop.Dockerd(x.root)
    try:
        dockerd_exchange(x, d)
    finally:
        d.stop()


def dockerd_exchange(x, d):
    d.docker("load", "-i", x.path)
    assert d.docker("image", "inspect", "--format", "{{.Id}}", "team/made:1") == x.saved["team/made:1"][0]
    seen = d.docker("run", "--runtime", "vessel", "--rm", "--network", "none", "team/made:1", "sh", "-c", LOOK)
    assert seen == SEEN, seen
    d.docker("save", "-o", x.root + "/dockerd.tar", "team/made:1")
    x.check(x.root + "/dockerd.tar", "team/made:1")


def one(test, engine):
    root = tempfile.mkdtemp(prefix="vessel-archives-", dir="/dev/shm")
    try:
        test(Exchange(engine, root))
    finally:
        interop.clean_up(root)


def main():
    interop.enter_private_namespaces()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        engine.start()
        for test in (several, skopeo, podman, dockerd):
            tap.case("archives: " + test.__name__, one, test, engine)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
