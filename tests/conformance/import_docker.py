#!/usr/bin/python3
"""Images and volumes of a dockerd (20.10, running), brought over with the digests that they have."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import interop  # noqa: E402
import vessel  # noqa: E402


def odd_layer():
    """What is easily lost on the way from a tar to a tree and back."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        def add(name, kind=tarfile.REGTYPE, data=b"", **fields):
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.mode, entry.mtime = kind, len(data), 0o640, 1234567890
            for key, value in fields.items():
                setattr(entry, key, value)
            tar.addfile(entry, io.BytesIO(data))

        add("./odd", tarfile.DIRTYPE, mode=0o1777)
        add("./odd/file", data=b"content" * 1000, uid=1234, gid=4321, mode=0o4755)
        add("odd/link", tarfile.LNKTYPE, linkname="odd/file")
        add("odd/symlink", tarfile.SYMTYPE, linkname="../bin/busybox")
        add("odd/fifo", tarfile.FIFOTYPE)
        add("odd/null", tarfile.CHRTYPE, devmajor=1, devminor=3)
        add("odd/" + "long" * 60, data=b"x" * 513)
        add("odd/\u00fcmlaut", data=b"1")
        add("odd/\udcff\udcfe", data=b"not UTF-8")
        add("odd/cap", data=b"2", pax_headers={"SCHILY.xattr.user.note": "kept"})
        add("etc/.wh.group")
        add("odd/empty")
    return out.getvalue() + b"\0" * 1024  # more padding than need be


def two_layers(name):
    """A `docker save` archive of an image with the busybox layer and the odd one."""
    layers = [vessel.busybox_tar(), odd_layer()]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Labels": {"a": "b"}}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]}}).encode()
    names = ["%d/layer.tar" % i for i in range(len(layers))]
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
        for path, data in [(config_name, config), ("manifest.json", manifest), *zip(names, layers)]:
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Cases:
    def __init__(self, engine, dockerd):
        self.engine, self.dockerd = engine, dockerd
        self.volumes = dockerd.root + "/data/volumes"

    def bring(self):
        done = subprocess.run([vessel.BIN + "/vessel", "-H", self.engine.host(), "system", "import-docker", "--root",
                               self.dockerd.root + "/data"], capture_output=True, text=True, timeout=vessel.TIMEOUT_S)
        return done.returncode, done.stdout, done.stderr

    def ask(self, method, path, body=None):
        """Of dockerd: the answer."""
        connection = vessel.Unix(self.dockerd.root + "/docker.sock")
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status < 300, answer
            return answer
        finally:
            connection.close()

    def fill(self):
        d = self.dockerd
        d.docker("load", input=two_layers("odd:1"))
        d.docker("tag", "odd:1", "registry.test:5000/team/odd:latest")
        container = d.docker("create", "odd:1")
        d.docker("cp", "/etc/hostname", container + ":/odd/new")
        d.docker("commit", container, "committed")
        d.docker("volume", "create", "data")
        d.docker("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--label", "x=y", "--label", "empty=", "mounted")
        d.docker("volume", "create", "--label", "long=" + "l" * 9000, "long")
        for i in range(30):  # more than a page of them
            self.ask("POST", "/volumes/create", {"Name": "v%d" % i, "Labels": {"number": str(i), "text": "t" * 200}})
        with open(self.volumes + "/data/_data/file", "w") as f:
            f.write("from Docker\n")
        os.chown(self.volumes + "/data/_data/file", 77, 88)
        os.symlink("file", self.volumes + "/data/_data/link")
        os.mknod(self.volumes + "/data/_data/whiteout", 0o600 | 0o020000, 0)  # no whiteout in a volume

    def imported(self):
        before = subprocess.run(["find", self.dockerd.root + "/data/image"], capture_output=True).stdout
        code, out, errors = self.bring()
        assert code == 0, (code, out, errors)
        assert before == subprocess.run(["find", self.dockerd.root + "/data/image"], capture_output=True).stdout
        theirs = {tuple(line.split()) for line in self.dockerd.docker(
            "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()}
        ours = {tuple(line.split()) for line in self.engine.docker(
            "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").stdout.splitlines()}
        assert theirs == ours and len(ours) == 4, (theirs, ours)
        for name in ("odd:1", "committed", "busybox"):
            layers = [json.loads(run("image", "inspect", name))[0]["RootFS"]["Layers"] for run in (
                self.dockerd.docker, lambda *args: self.engine.docker(*args).stdout)]
            assert layers[0] == layers[1], layers
        parent = self.engine.api("GET", "/images/committed/json")[1]["Parent"]
        assert parent == self.engine.api("GET", "/images/odd:1/json")[1]["Id"], parent

    def contents(self):
        out = self.engine.docker("run", "--rm", "-v", "data:/data", "committed", "sh", "-c",
                                 "stat -c '%a %u %h' /odd/file; ls /etc/group; cat /odd/new /data/link; stat -c '%u %F' /data/*;"
                                 "ls /odd | wc -l", check=False).stdout
        assert out.startswith("4755 1234 2\n"), out
        with open("/etc/hostname") as f:
            assert f.read() + "from Docker\n77 regular file\n" in out, out
        assert "0 character special file" in out and out.endswith("\n11\n"), out
        mounted = self.engine.api("GET", "/volumes/mounted")[1]
        assert mounted["Options"] == {"type": "tmpfs", "device": "tmpfs"}, mounted
        theirs, ours = ({v["Name"]: v["Labels"] or {} for v in volumes["Volumes"]} for volumes in (
            self.ask("GET", "/volumes"), self.engine.api("GET", "/volumes")[1]))
        assert theirs == ours and ours["mounted"] == {"x": "y", "empty": ""} and len(ours) == 33, (theirs, ours)

    def again(self):
        """Nothing is doubled; what a volume has here stays."""
        self.engine.docker("run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo ours >/data/file")
        code, out, errors = self.bring()
        assert code == 0 and "volume data: nothing to copy" in out, (code, out, errors)
        assert self.engine.docker("run", "--rm", "-v", "data:/data", "busybox", "cat", "/data/file").stdout == "ours\n"

    def changed(self):
        """A layer that somebody has written to is refused, the other images come."""
        self.engine.docker("rmi", "committed", "odd:1", "registry.test:5000/team/odd:latest", "busybox")
        for directory, _, files in os.walk(self.dockerd.root + "/data/overlay2"):
            if directory.endswith("/diff/odd") and "file" in files:
                with open(directory + "/file", "r+") as f:
                    f.write("changed")
        code, out, errors = self.bring()
        assert code == 1 and "2 images and 0 volumes are left out" in errors, (code, out, errors)
        assert "has been changed: its digest is" in out and "image busybox:latest" in out, out
        assert self.engine.docker("images", "-q").stdout.count("\n") == 1

    def refused(self):
        root = self.dockerd.root + "/data"
        self.dockerd.root += "/none"
        code, out, errors = self.bring()
        self.dockerd.root = os.path.dirname(root)
        assert code == 1 and "No such file or directory" in errors, (code, out, errors)


def main():
    vessel.enter_private_namespace()
    if os.environ.get("VESSEL_IMPORT_MNT") != "1":  # dockerd leaves files in /run, and mounts
        os.environ["VESSEL_IMPORT_MNT"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "sh", "-c",
                              "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /dev/shm && exec \"$@\"", "sh",
                              sys.executable, *sys.argv])
    tap = vessel.Tap()
    engine = vessel.Engine()
    dockerd = None
    try:
        os.mkdir(engine.root + "/docker")
        dockerd = interop.Dockerd(engine.root + "/docker")
        engine.start()
        cases = Cases(engine, dockerd)
        cases.fill()
        tap.case("all images and volumes come, with their digests", cases.imported)
        tap.case("with all that is in them", cases.contents)
        tap.case("a second time", cases.again)
        tap.case("a changed layer", cases.changed)
        tap.case("no dockerd's directory", cases.refused)
    finally:
        if dockerd:
            dockerd.stop()
        engine.destroy()
        for top in os.listdir("/sys/fs/cgroup"):
            with contextlib.suppress(AssertionError):
                vessel.remove_cgroup("/sys/fs/cgroup/%s%s" % (top, interop.CGROUP))
        shutil.rmtree(engine.root, ignore_errors=True)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
