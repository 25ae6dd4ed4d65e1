#!/usr/bin/python3
"""vesseld killed at every named stage of load, commit, rmi and prune.

After each kill the daemon is started again: fsck finds nothing, what is visible is whole, what was asked for
succeeds at the second try, and in the end nothing is left.  With VESSEL_SOAK=1 also at 200 random moments.
"""

import hashlib
import http.client
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

FROZEN = ("commit.frozen", "commit.read")


def crash_points(*operations):
    with open(os.path.join(vessel.TOP, "src/base/crash-points.def")) as f:
        points = re.findall(r'^CRASH_POINT\(\w+, "([a-z.]+)"\)', f.read(), re.M)
    return [p for p in points if p.split(".")[0] in operations]


def layer_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def archive(images):
    """A `docker save` archive of {name: [layer tar, ...]}."""
    out = io.BytesIO()
    manifest, members = [], {}
    for name, layers in images.items():
        digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"name": name}},
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d in digests]}}).encode()
        path = hashlib.sha256(config).hexdigest() + ".json"
        members[path] = config
        members.update({d + ".tar": layer for d, layer in zip(digests, layers)})
        manifest.append({"Config": path, "RepoTags": [name], "Layers": [d + ".tar" for d in digests]})
    members["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


BASE = layer_tar({"base": b"below" * 1000})
IMAGES = {"one:1": [BASE, layer_tar({"one": b"1" * 5000})],
          "two:2": [BASE, layer_tar({"two": b"2" * 5000}), layer_tar({"top": b"3"})]}


class Case:
    def __init__(self, engine):
        self.engine, self.archive = engine, archive(IMAGES)

    def names(self):
        status, images = self.engine.api("GET", "/images/json")
        assert status == 200, images
        return sorted(name for image in images for name in image["RepoTags"] or ["<none>"])

    def fsck(self, *flags):
        done = subprocess.run([vessel.BIN + "/vessel", "-H", self.engine.host(), "system", "fsck", *flags],
                              capture_output=True, text=True, timeout=vessel.TIMEOUT_S)
        assert done.returncode == 0, "fsck: %d: %s%s" % (done.returncode, done.stdout, done.stderr)

    def crash(self, point, act):
        self.engine.kill()
        self.engine.start(crash_at=point)
        act()
        self.engine.wait_crashed()
        self.engine.start()
        self.fsck("--deep")

    def request(self, method, path, body=None, check=True):
        """One request; its answer may be cut off by a crash."""
        connection = self.engine.connection()
        try:
            connection.request(method, path, body, {"Content-Type": "application/x-tar"} if body else {})
            response = connection.getresponse()
            text = response.read().decode()
            assert not check or (response.status < 300 and '"error"' not in text), (path, response.status, text)
        except (OSError, http.client.HTTPException):
            if check:
                raise
        finally:
            connection.close()

    def load(self, check=True):
        self.request("POST", "/images/load?quiet=1", self.archive, check)

    def remove(self, *names, check=True):
        for name in names:
            self.request("DELETE", "/images/" + name, check=check)

    def prune(self, check=True):
        self.request("POST", "/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D", check=check)

    def commit(self, check=True):
        self.request("POST", "/commit?container=box&repo=made&tag=1", check=check)

    def hold(self):
        """Busybox is in use."""
        status, answer = self.engine.api("POST", "/containers/create?name=holder", {"Image": "busybox", "Cmd": ["true"]})
        assert status == 201, answer

    def let_go(self):
        self.request("DELETE", "/containers/holder")

    def run_load(self, point):
        self.crash(point, lambda: self.load(check=False))
        there = self.names()
        if point in ("load.some", "image.rows"):
            assert there == ["busybox:latest", "one:1"], there
        else:
            assert there == ["busybox:latest"], there
        self.load()
        self.whole()
        self.remove("one:1", "two:2")

    def whole(self):
        """Both images are there with the layers they came with."""
        for name, layers in IMAGES.items():
            status, image = self.engine.api("GET", "/images/%s/json" % name)
            assert status == 200, image
            assert image["RootFS"]["Layers"] == ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]
        with tarfile.open(fileobj=io.BytesIO(self.saved("one:1", "two:2"))) as tar:
            for path in {p for m in json.load(tar.extractfile("manifest.json")) for p in m["Layers"]}:
                assert hashlib.sha256(tar.extractfile(path).read()).hexdigest() == path.split("/")[-1]

    def saved(self, *names):
        status, answer = self.engine.api("GET", "/images/get?" + "&".join("names=" + name for name in names))
        assert status == 200, answer
        return answer

    def run_commit(self, point):
        self.engine.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo x >/new; sleep 1000")
        vessel.wait_until("the file", lambda: self.engine.docker("exec", "box", "cat", "/new", check=False).stdout == "x\n")
        self.crash(point, lambda: self.commit(check=False))
        # Frozen by a commit that is no more, it has gone on.
        assert self.engine.inspect("box")["State"]["Status"] == "running"
        assert self.engine.docker("exec", "box", "echo", "alive").stdout == "alive\n"
        assert self.names() == (["busybox:latest", "made:1"] if point == "image.rows" else ["busybox:latest"])
        self.commit()
        assert self.engine.docker("run", "--rm", "made:1", "cat", "/new").stdout == "x\n"
        self.engine.docker("rm", "-f", "box")
        self.remove("made:1")
        self.request("POST", "/images/prune")  # one that the crash came behind has lost its name since

    def run_rmi(self, point):
        self.load()
        self.crash(point, lambda: self.remove("two:2", check=False))
        assert self.names() == ["busybox:latest", "one:1"]
        self.load()
        self.whole()
        self.remove("one:1", "two:2")

    def run_prune(self, point):
        self.load()
        self.hold()
        self.crash(point, lambda: self.prune(check=False))
        assert len(self.names()) == 2 and "busybox:latest" in self.names(), self.names()
        self.prune()
        assert self.names() == ["busybox:latest"], self.names()
        self.let_go()

    def one(self, operation, point):
        getattr(self, "run_" + operation)(point)
        self.fsck()
        assert self.names() == ["busybox:latest"], self.names()

        def left():
            layers = set(os.listdir(self.engine.root + "/data/layers")) - {"l", "empty"}
            return os.listdir(self.engine.root + "/data/tmp") + (sorted(layers) if len(layers) != 1 else [])
        try:
            vessel.wait_until("all but a layer is gone", lambda: not left())
        except AssertionError:
            raise AssertionError("left: %s" % left()) from None

    def random(self, seed):
        """Images come and go until the daemon dies in the middle."""
        chance = random.Random(seed)
        stop = threading.Event()

        def work():
            while not stop.is_set():
                for act in (self.load, lambda **k: self.remove("one:1", **k),
                            self.prune):
                    if not stop.is_set():
                        act(check=False)
        self.hold()
        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(chance.uniform(0, 0.4))
        self.engine.kill()
        stop.set()
        worker.join()
        self.engine.start()
        self.fsck("--deep")
        self.load()
        self.whole()
        self.let_go()
        self.remove("one:1", "two:2")


def file_of(layer, name):
    """Where a layer has a file's bytes: the file itself, or the tar that an EROFS image points into."""
    return layer + ("/diff/" + name if os.path.isdir(layer + "/diff") else "/tar")


def contents(layer, name):
    with open(file_of(layer, name), "rb") as f:
        return f.read()


def lose(layer):
    if os.path.isdir(layer + "/diff"):
        shutil.rmtree(layer + "/diff")
    else:
        os.remove(layer + "/index")
        os.remove(layer + "/tar")


def change(layer, name, data):
    with open(file_of(layer, name), "r+b") as f:
        f.seek(f.read().index(data))
        f.write(b"z" * len(data))


def offline(case):
    """fsck of a data root at rest: what is wrong is found, mended, and not found again."""
    engine = case.engine
    data = engine.root + "/data"

    def run(*flags):
        return subprocess.run([vessel.BIN + "/vessel", "system", "fsck", "--data-root", data, *flags],
                              capture_output=True, text=True, timeout=vessel.TIMEOUT_S)
    busy = run()
    assert busy.returncode == 8 and "in use" in busy.stderr, busy
    packed = subprocess.run(["gzip", "-c"], input=layer_tar({"f": b"x" * 9000}), capture_output=True, check=True).stdout
    engine.docker("import", "-", "zipped:1", input=packed)
    case.load()
    engine.stop()
    assert run("--deep").returncode == 0, run("--deep").stdout

    def chain(name):
        return hashlib.sha256(("sha256:%s sha256:%s" % tuple(
            hashlib.sha256(x).hexdigest() for x in IMAGES[name][:2])).encode()).hexdigest()
    # Each kind of damage once.
    zipped = "sha256:" + hashlib.sha256(layer_tar({"f": b"x" * 9000})).hexdigest()
    lose("%s/layers/%s" % (data, zipped[7:]))
    change("%s/layers/%s" % (data, chain("one:1")), "one", b"1" * 5000)
    os.mkdir(data + "/layers/" + "0" * 64)
    with open(data + "/blobs/sha256/" + "1" * 64, "w") as f:
        f.write("nobody's")
    os.mkdir(data + "/tmp/left")
    os.makedirs(data + "/containers/" + "2" * 64 + "/upper/precious")
    short = sorted(os.listdir(data + "/layers/l"), key=lambda name: int(name, 16))  # for overlays of directories
    for name in short[:1]:
        os.remove(data + "/layers/l/" + name)
    found = run("--deep")
    assert found.returncode == 4, found
    for what in ("lost its files", "was changed on disk", "layers/" + "0" * 64, "blobs/sha256/" + "1" * 64, "tmp/left",
                 "containers/" + "2" * 64, *["short name is missing"] * bool(short)):
        assert what in found.stdout, (what, found.stdout)
    mended = run("--deep", "--repair")
    assert mended.returncode == 1, mended
    again = run("--deep")
    assert again.returncode == 0, again
    assert [name for name in os.listdir(data + "/aside") if name.startswith("2" * 64)], "thrown away"
    engine.start()
    case.fsck("--deep")
    # Made again of its blob; what could not be is gone, to be loaded anew.
    assert case.names() == ["busybox:latest", "two:2", "zipped:1"], case.names()
    assert b"x" * 9000 in contents("%s/layers/%s" % (data, zipped[7:]), "f")
    case.load()
    case.whole()
    case.remove("one:1", "two:2", "zipped:1")


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        case = Case(engine)
        for operation, points in (("load", crash_points("load", "image")), ("commit", crash_points("commit", "image")),
                                  ("rmi", crash_points("rmi")), ("prune", crash_points("prune", "rmi"))):
            for point in points:
                if not sys.argv[1:] or any(word in operation + " " + point for word in sys.argv[1:]):
                    tap.case("%s killed at %s" % (operation, point), case.one, operation, point)
        tap.case("fsck finds and mends what is wrong with a data root at rest", offline, case)
        for seed in range(200 if os.environ.get("VESSEL_SOAK") == "1" else 0):
            tap.case("killed at random moment %d" % seed, case.random, seed)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
