"""Device nodes of the container, and the links of /dev."""

import os

from harness import equal, expect, test

DEFAULT = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
         "core": "/proc/kcore", "ptmx": "pts/ptmx"}


def stats(box, *paths):
    return box.run("stat", *paths).json()


def check_default(box):
    seen = stats(box, *("/dev/" + name for name in (*DEFAULT, *LINKS)))
    for name, number in DEFAULT.items():
        d = seen["/dev/" + name]
        equal((d["type"], d["mode"], d["uid"], d["gid"], (d["major"], d["minor"])), ("c", "0666", 0, 0, number), name)
    for name, target in LINKS.items():
        equal(seen["/dev/" + name].get("link"), target, name)


@test("the devices and links that every container has")
def default(box):
    check_default(box)
    equal(box.sh("head -c 3 /dev/zero | busybox wc -c; echo x > /dev/null; cat /dev/null").out, "3\n")


@test("the same in an image's own /dev, whatever is there")
def default_in_image(box):
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    box.file("dev/null", "no device\n")
    os.symlink("/etc/passwd", os.path.join(box.rootfs, "dev/zero"))
    os.symlink("/nowhere", os.path.join(box.rootfs, "dev/stdin"))
    box.mount("/dev/pts", type="devpts", source="devpts", options=["newinstance", "ptmxmode=0666"])
    check_default(box)
    expect(open(os.path.join(box.rootfs, "etc/passwd")).read().startswith("root:"), "passwd is gone")


def device(path, kind, major=None, minor=None, **rest):
    numbers = {} if major is None else {"major": major, "minor": minor}
    return dict(path=path, type=kind, **numbers, **rest)


@test("devices of each type, with mode and owner")
def given(box):
    box.linux["devices"] = [
        device("/dev/char", "c", 10, 1000, fileMode=0o640, uid=5, gid=6),
        device("/dev/unbuffered", "u", 10, 1001, fileMode=0o600),
        device("/dev/block", "b", 7, 9999, fileMode=0o4660),
        device("/dev/pipe", "p", fileMode=0o622, uid=1000),
        device("/dev/plain", "c", 1, 3),
        device("/dev/deep/in/it", "c", 1, 5, fileMode=0o604),
        device("/srv/elsewhere", "c", 1, 7),
        device("/dev/null", "c", 1, 3, fileMode=0o600, uid=7),
    ]
    seen = stats(box, *(d["path"] for d in box.linux["devices"]))
    for d in box.linux["devices"]:
        got = seen[d["path"]]
        equal(got["type"], "c" if d["type"] == "u" else d["type"], d["path"])
        equal(got["mode"], "%04o" % d.get("fileMode", 0o666), d["path"])
        equal((got["uid"], got["gid"]), (d.get("uid", 0), d.get("gid", 0)), d["path"])
        equal((got["major"], got["minor"]), (d.get("major", 0), d.get("minor", 0)), d["path"])


@test("in a user namespace a device is the host's node, bound")
def bound(box):
    node = "/dev/vessel-test-%d" % os.getpid()
    os.mknod(node, 0o20604, os.makedev(1, 5))
    box.at_end.append(lambda: os.unlink(node))
    box.user_namespace()
    box.linux["devices"] = [device(node, "c", 1, 5)]
    seen = stats(box, node, "/dev/null")
    equal((seen[node]["type"], seen[node]["mode"], seen[node]["minor"]), ("c", "0604", 5))
    equal(box.sh("head -c 3 %s | busybox wc -c" % node).out, "3\n")
    box.linux["devices"] = [device(node, "c", 1, 7)]
    box.fails("another device")
    box.linux["devices"] = [device("/dev/vessel-test-missing", "c", 1, 5)]
    box.fails("/dev/vessel-test-missing")


@test("a /dev of the user's own is left as it is")
def bind_dev(box):
    source = os.path.join(box.dir, "own-dev")
    os.mkdir(source)
    os.mkdir(source + "/pts")
    os.mknod(source + "/null", 0o20666, os.makedev(1, 3))
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    box.mount("/dev", type="bind", source=source, options=["rbind"])
    equal(sorted(box.sh("ls /dev").out.split()), ["null", "pts"])
    equal(sorted(os.listdir(source)), ["null", "pts"])


@test("devices that cannot be are refused, naming the member")
def refused(box):
    for pattern, entry in (
            (r"linux\.devices\[0\](\.path)?: bad", device("dev/x", "c", 1, 3)),
            (r"linux\.devices\[0\]\.type", device("/dev/x", "x", 1, 3)),
            (r"linux\.devices\[0\](\.type)?: bad", device("/dev/x", "a", 1, 3)),
            (r"linux\.devices\[0\]: bad device number", device("/dev/x", "c", -1, 3)),
            (r"linux\.devices\[0\]: bad device number", device("/dev/x", "c", 1, 1 << 20))):
        box.linux["devices"] = [entry]
        box.fails(pattern)
