"""Mounts, their options, and the root file system, by what process 1 sees of them."""

import ctypes
import os
import re

from harness import equal, expect, test

LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_NOATIME, MS_BIND = 1, 2, 4, 8, 32, 1024, 4096
MS_PRIVATE, MS_SHARED = 1 << 18, 1 << 20


def mount(box, at, kind="tmpfs", flags=0, data=None, source="tmpfs"):
    """A mount in the suite's own mount namespace, until the case has ended."""
    os.makedirs(at, exist_ok=True)
    if LIBC.mount(source.encode(), at.encode(), kind.encode(), flags, data.encode() if data else None):
        raise OSError(ctypes.get_errno(), "mount %s at %s" % (kind, at))
    box.at_end.append(lambda: LIBC.umount2(at.encode(), 2))
    return at


def source_tree(box, name="source"):
    """A tmpfs with a file, and another tmpfs below it at sub."""
    top = mount(box, os.path.join(box.dir, name))
    mount(box, top + "/sub")
    for directory in (top, top + "/sub"):
        with open(directory + "/file", "w") as f:
            f.write("text\n")
    return top


class Mount:
    """One line of mountinfo."""

    def __init__(self, line):
        fields = line.split()
        dash = fields.index("-")
        self.root, self.at = fields[3], fields[4]
        self.options = fields[5].split(",")
        self.tags = [re.sub(r":\d+$", "", tag) for tag in fields[6:dash]]
        self.kind, self.source = fields[dash + 1:dash + 3]
        self.super = fields[dash + 3].split(",")


def mounts_of(text):
    return {m.at: m for m in map(Mount, text.splitlines())}


def mounts(box, *parts, **rest):
    return mounts_of(box.report("mountinfo", *parts, **rest)["mountinfo"])


def stats(box, *paths):
    return box.run("stat", *paths).json()


# -- attributes -------------------------------------------------------------------------------

ATTRIBUTES = ("ro", "nosuid", "nodev", "noexec", "noatime", "strictatime", "relatime", "nodiratime", "nosymfollow")
SHOWN = {"strictatime": None}  # the absence of the other two


def has_attribute(m, name):
    if name == "strictatime":
        return "relatime" not in m.options and "noatime" not in m.options
    return name in m.options


@test("attributes of a new file system")
def attributes_new(box):
    for name in ATTRIBUTES:
        box.mount("/mnt/" + name, type="tmpfs", source="tmpfs", options=[name])
    seen = mounts(box)
    for name in ATTRIBUTES:
        m = seen["/mnt/" + name]
        expect(has_attribute(m, name), "%s: %s" % (name, m.options))
        for other in ("ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow"):
            expect(other == name or other not in m.options, "%s: %s" % (name, m.options))


@test("attributes of a bind mount, and of nothing below it")
def attributes_bind(box):
    source = source_tree(box)
    for name in ATTRIBUTES:
        box.mount("/mnt/" + name, type="bind", source=source, options=["rbind", name])
    seen = mounts(box)
    for name in ATTRIBUTES:
        expect(has_attribute(seen["/mnt/" + name], name), "%s: %s" % (name, seen["/mnt/" + name].options))
        if name != "relatime":
            below = seen["/mnt/%s/sub" % name]
            expect(not has_attribute(below, name), "%s below: %s" % (name, below.options))


@test("attributes of a bind mount and of all below it")
def attributes_recursive(box):
    source = source_tree(box)
    for name in ATTRIBUTES:
        box.mount("/mnt/r" + name, type="bind", source=source, options=["rbind", "r" + name])
    seen = mounts(box)
    for name in ATTRIBUTES:
        for at in ("/mnt/r" + name, "/mnt/r%s/sub" % name):
            expect(has_attribute(seen[at], name), "%s: %s" % (at, seen[at].options))


NEGATIONS = {"rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "atime": "noatime",
             "diratime": "nodiratime", "norelatime": "relatime", "nostrictatime": "strictatime",
             "symfollow": "nosymfollow"}


@test("attributes are taken from a bind mount, and from all below it")
def attributes_negated(box):
    for negation, name in NEGATIONS.items():
        source = source_tree(box, "source-" + name)
        flag = {"ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC, "noatime": MS_NOATIME,
                "nodiratime": 2048, "relatime": 1 << 21, "strictatime": 1 << 24, "nosymfollow": 256}[name]
        for at in (source, source + "/sub"):
            expect(LIBC.mount(None, at.encode(), None, MS_REMOUNT | MS_BIND | flag, None) == 0, "remount " + at)
        box.mount("/mnt/" + negation, type="bind", source=source, options=["rbind", negation])
        box.mount("/mnt/r" + negation, type="bind", source=source, options=["rbind", "r" + negation])
        box.mount("/mnt/as-is-" + negation, type="bind", source=source, options=["rbind"])
    seen = mounts(box)
    for negation, name in NEGATIONS.items():
        expect(has_attribute(seen["/mnt/as-is-" + negation], name), "%s is not kept" % name)
        expect(not has_attribute(seen["/mnt/" + negation], name), negation)
        expect(has_attribute(seen["/mnt/%s/sub" % negation], name), negation + " went below")
        expect(not has_attribute(seen["/mnt/r%s/sub" % negation], name), "r" + negation)


@test("the last of contradicting options counts")
def attributes_order(box):
    box.mount("/mnt/a", type="tmpfs", source="tmpfs", options=["ro", "rw", "exec", "noexec"])
    box.mount("/mnt/b", type="tmpfs", source="tmpfs", options=["noatime", "strictatime", "relatime"])
    seen = mounts(box)
    equal(seen["/mnt/a"].options, ["rw", "noexec", "relatime"])
    equal(seen["/mnt/b"].options, ["rw", "relatime"])


@test("ro, rro, noexec, nodev and nosymfollow are in force")
def attributes_effect(box):
    source = source_tree(box)
    os.symlink("file", source + "/link")
    os.mknod(source + "/null", 0o20666, os.makedev(1, 3))
    with open(source + "/script", "w") as f:
        f.write("#!/bin/sh\necho runs\n")
    os.chmod(source + "/script", 0o755)
    for name in ("ro", "rro", "noexec", "nodev", "nosymfollow"):
        box.mount("/mnt/" + name, type="bind", source=source, options=["rbind", name])
    box.linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
    result = box.sh("""
        touch /mnt/ro/x /mnt/rro/x /mnt/rro/sub/x
        touch /mnt/ro/sub/written && echo below ro
        /mnt/ro/script; /mnt/noexec/script
        cat /mnt/ro/link; cat /mnt/nosymfollow/link
        echo x > /mnt/ro/null && echo device; echo x > /mnt/nodev/null""", check=False)
    equal(result.out, "below ro\nruns\ntext\ndevice\n")
    equal(result.err.count("Read-only file system"), 3)
    equal(result.err.count("Permission denied"), 2)
    equal(len(re.findall("nosymfollow/link'?: (Too many levels of symbolic links|Symbolic link loop)", result.err)), 1,
          result.err)


# -- propagation ------------------------------------------------------------------------------

PROPAGATION = {"private": [], "slave": ["master"], "shared": ["shared"], "unbindable": ["unbindable"]}


@test("propagation of a bind mount, alone and with all below it")
def propagation(box):
    source = source_tree(box)
    for at in (source, source + "/sub"):
        LIBC.mount(None, at.encode(), None, MS_SHARED, None)
    for name in PROPAGATION:
        box.mount("/mnt/" + name, type="bind", source=source, options=["rbind", name])
        box.mount("/mnt/r" + name, type="bind", source=source, options=["rbind", "r" + name])
    box.linux["rootfsPropagation"] = "shared"  # else all are made slaves before they are cloned
    seen = mounts(box)
    for name, tags in PROPAGATION.items():
        equal(seen["/mnt/" + name].tags, tags, name)
        equal(seen["/mnt/%s/sub" % name].tags, ["shared"], name + " below")
        equal(seen["/mnt/r%s/sub" % name].tags, tags, "r" + name + " below")


@test("a slave that is shared again")
def propagation_both(box):
    source = source_tree(box)
    LIBC.mount(None, source.encode(), None, MS_SHARED, None)
    box.mount("/mnt", type="bind", source=source, options=["bind", "slave", "shared"])
    equal(sorted(mounts(box)["/mnt"].tags), ["master", "shared"])


@test("what the host mounts arrives in a slave, and in nothing private")
def propagation_effect(box):
    source = source_tree(box)
    LIBC.mount(None, source.encode(), None, MS_SHARED, None)
    for name in ("rslave", "rprivate"):
        box.mount("/mnt/" + name, type="bind", source=source, options=["rbind", name])
    box.start("pause")
    mount(box, source + "/late")
    seen = mounts_of(box.exec("read", "/proc/self/mountinfo").out.strip())
    expect("/mnt/rslave/late" in seen, "not in the slave")
    expect("/mnt/rprivate/late" not in seen, "in the private one")


ROOT_PROPAGATION = {None: [], **PROPAGATION, **{"r" + name: tags for name, tags in PROPAGATION.items()}}
ROOT_PROPAGATION["slave"] = ROOT_PROPAGATION["rslave"] = []  # of a private one there are no slaves


@test("propagation of the root")
def propagation_root(box):
    for name, tags in ROOT_PROPAGATION.items():
        if name:
            box.linux["rootfsPropagation"] = name
        equal(mounts(box)["/"].tags, tags, name)
    box.linux["rootfsPropagation"] = "upside-down"
    box.fails(r"linux\.rootfsPropagation")


@test("with a shared root mounts of the container reach the host, and its root does not")
def propagation_root_shared(box):
    outer = mount(box, os.path.join(box.dir, "outer"))
    LIBC.mount(None, outer.encode(), None, MS_SHARED, None)
    box.config["root"]["path"] = outer + "/root"
    os.rename(box.rootfs, box.rootfs + ".old")
    import shutil
    shutil.copytree(box.rootfs + ".old", outer + "/root", symlinks=True)
    source = mount(box, outer + "/volume")
    LIBC.mount(None, source.encode(), None, MS_SHARED, None)
    os.mkdir(source + "/d")
    box.linux["rootfsPropagation"] = "rshared"
    box.mount("/mnt", type="bind", source=source, options=["rbind", "rshared"])
    for kind in ("bounding", "effective", "permitted"):
        box.process["capabilities"][kind] = box.process["capabilities"][kind] + ["CAP_SYS_ADMIN"]
    before = mounts_of(open("/proc/self/mountinfo").read())
    box.create("/bin/busybox", "sh", "-c", "busybox mount -t tmpfs inner /mnt/d; while :; do sleep 1000; done")
    equal(set(mounts_of(open("/proc/self/mountinfo").read())) - set(before), set(), "new on the host")
    box.runtime("start", box.id, check=True)
    box.exec("/bin/sh", "-c", "until grep -q ' /mnt/d ' /proc/self/mountinfo; do busybox usleep 1000; done")
    after = mounts_of(open("/proc/self/mountinfo").read())
    equal(set(after) - set(before), {source + "/d"}, "new on the host")
    box.at_end.append(lambda: LIBC.umount2((source + "/d").encode(), 2))
    box.kill()


# -- bind mounts ------------------------------------------------------------------------------

@test("bind takes one mount, rbind all below it")
def bind_recursion(box):
    source = source_tree(box)
    box.mount("/mnt/one", type="bind", source=source, options=["bind"])
    box.mount("/mnt/all", source=source, options=["rbind"])
    box.mount("/mnt/none", type="none", source=source, options=["bind"])
    result = box.sh("cd /mnt; cat one/file one/sub/file; cat all/sub/file none/file", check=False)
    equal(result.out, "text\ntext\ntext\n")
    expect(re.search("one/sub/file'?: No such file", result.err), result.err)


@test("a file is mounted over a file, and over a name that is missing")
def bind_file(box):
    path = os.path.join(box.dir, "a-file")
    with open(path, "w") as f:
        f.write("mounted\n")
    box.file("etc/there", "covered\n")
    box.mount("/etc/there", type="bind", source=path, options=["bind", "ro"])
    box.mount("/new/deeply/nested", type="bind", source=path, options=["bind"])
    result = box.sh("cat /etc/there /new/deeply/nested; echo x >> /new/deeply/nested; echo x >> /etc/there", check=False)
    equal(result.out, "mounted\nmounted\n")
    expect("Read-only" in result.err, result.err)
    equal(open(path).read(), "mounted\nx\n")
    equal(open(os.path.join(box.rootfs, "etc/there")).read(), "covered\n")


@test("sockets, pipes and devices are mounted over files")
def bind_special(box):
    import socket
    server = socket.socket(socket.AF_UNIX)
    server.bind(box.dir + "/socket")
    os.mkfifo(box.dir + "/pipe")
    os.mknod(box.dir + "/device", 0o20600, os.makedev(1, 5))
    for name in ("socket", "pipe", "device"):
        box.mount("/mnt/" + name, type="bind", source=box.dir + "/" + name, options=["bind"])
    seen = stats(box, "/mnt/socket", "/mnt/pipe", "/mnt/device")
    equal([seen["/mnt/" + name]["type"] for name in ("socket", "pipe", "device")], ["s", "p", "c"])
    server.close()


@test("a relative source is the bundle's, a relative destination the root's")
def bind_relative(box):
    os.makedirs(os.path.join(box.dir, "data/in"))
    with open(os.path.join(box.dir, "data/in/file"), "w") as f:
        f.write("relative\n")
    box.mount("mnt/here", type="bind", source="data/in", options=["bind"])
    equal(box.sh("cat /mnt/here/file").out, "relative\n")


@test("links in the way of a destination lead inside the root")
def bind_links(box):
    source = source_tree(box)
    os.symlink("/../../../mnt/target", os.path.join(box.rootfs, "link"))
    os.symlink("/etc", os.path.join(box.rootfs, "etc-link"))
    os.makedirs(os.path.join(box.rootfs, "mnt/target"))
    box.mount("/link", type="bind", source=source, options=["bind"])
    box.mount("/etc-link/made", type="bind", source=source, options=["bind"])
    seen = mounts(box)
    expect("/mnt/target" in seen and "/etc/made" in seen, sorted(seen))


@test("mounts are made in order, one below the other and over each other")
def bind_order(box):
    source = source_tree(box)
    box.mount("/mnt", type="tmpfs", source="tmpfs")
    box.mount("/mnt/a/b", type="bind", source=source, options=["bind"])
    box.mount("/mnt/a/b/sub", type="tmpfs", source="tmpfs", options=["mode=700"])
    result = box.sh("cat /mnt/a/b/file; ls /mnt/a/b/sub /mnt/a")
    equal(result.out.split(), ["text", "/mnt/a:", "b", "/mnt/a/b/sub:"])


@test("a bind mount that cannot be is refused, and says what")
def bind_refused(box):
    first = len(box.config["mounts"])
    for pattern, entry in (
            (r"mounts\[\d\] '/mnt': a bind mount needs a source", {"options": ["bind"]}),
            (r"mount '/mnt': .*'/nowhere'", {"options": ["bind"], "source": "/nowhere"}),
            (r"mounts\[\d\] '/mnt': .*file system options", {"options": ["bind", "size=1m"], "source": "/tmp"}),
            (r"mounts\[\d\] '/mnt': .*file system options", {"options": ["bind", "sync"], "source": "/tmp"}),
            (r"mount '/mnt': ", {"options": ["bind"], "source": "/proc/version"})):
        del box.config["mounts"][first:]
        box.mount("/mnt", **entry)
        box.fails(pattern)


# -- file systems -----------------------------------------------------------------------------

@test("tmpfs: size, inodes, mode, owner")
def tmpfs_options(box):
    box.mount("/mnt", type="tmpfs", source="tmpfs",
              options=["size=64k", "nr_inodes=9", "mode=1751", "uid=1000", "gid=1001", "noexec"])
    m = mounts(box)["/mnt"]
    expect({"size=64k", "nr_inodes=9", "mode=1751", "uid=1000", "gid=1001"} <= set(m.super), m.super)
    seen = stats(box, "/mnt")["/mnt"]
    equal((seen["mode"], seen["uid"], seen["gid"]), ("1751", 1000, 1001))
    equal(box.sh("head -c 100000 /dev/zero > /mnt/x; busybox wc -c < /mnt/x").out, "65536\n")


@test("tmpfs: several options in one string")
def tmpfs_joined(box):
    box.mount("/mnt", type="tmpfs", source="tmpfs", options=["size=64k,mode=711", "nr_inodes=9"])
    expect({"size=64k", "nr_inodes=9", "mode=711"} <= set(mounts(box)["/mnt"].super), "options are missing")


@test("an option longer than fsconfig takes")
def long_option(box):
    box.mount("/mnt", type="tmpfs", source="tmpfs", options=["size=" + "0" * 300 + "200000", "ro"])  # octal
    m = mounts(box)["/mnt"]
    equal(("size=64k" in m.super, "ro" in m.options), (True, True))
    expect(not [at for at in mounts(box) if at.startswith("/proc/fs")], "the staging place is left")


@test("tmpfs: without a mode it has that of the directory it covers, 1777 where there was none")
def tmpfs_mode(box):
    os.mkdir(os.path.join(box.rootfs, "sticky"))
    os.chmod(os.path.join(box.rootfs, "sticky"), 0o1777)
    box.mount("/sticky", type="tmpfs", source="tmpfs")
    box.mount("/missing", type="tmpfs", source="tmpfs")
    seen = stats(box, "/sticky", "/missing")
    equal((seen["/sticky"]["mode"], seen["/missing"]["mode"]), ("1777", "1777"))


@test("tmpfs: tmpcopyup fills it with what it covers")
def tmpfs_copy_up(box):
    box.file("data/file", "text\n", 0o4640)
    box.file("data/below/deep", "deep\n")
    os.chown(os.path.join(box.rootfs, "data/file"), 1000, 1001)
    os.chmod(os.path.join(box.rootfs, "data/file"), 0o4640)
    os.chmod(os.path.join(box.rootfs, "data/below"), 0o2710)
    os.symlink("../file", os.path.join(box.rootfs, "data/below/link"))
    os.mkfifo(os.path.join(box.rootfs, "data/pipe"), 0o600)
    os.utime(os.path.join(box.rootfs, "data/file"), (1000, 2000))
    box.mount("/data", type="tmpfs", source="tmpfs", options=["tmpcopyup", "ro", "mode=750"])
    seen = stats(box, "/data/file", "/data/below", "/data/below/link", "/data/pipe", "/data")
    equal([seen["/data/file"][key] for key in ("mode", "uid", "gid", "mtime")], ["4640", 1000, 1001, 2000])
    equal((seen["/data/below"]["mode"], seen["/data"]["mode"]), ("2710", "0750"))
    equal((seen["/data/below/link"]["link"], seen["/data/pipe"]["type"]), ("../file", "p"))
    result = box.sh("cat /data/file /data/below/deep /data/below/link; touch /data/x", check=False)
    equal(result.out, "text\ndeep\ntext\n")
    expect("Read-only" in result.err, result.err)
    box.config["mounts"][-1]["options"] = ["tmpcopyup"]
    equal(box.sh("echo new > /data/file; cat /data/file").out, "new\n")
    equal(open(os.path.join(box.rootfs, "data/file")).read(), "text\n")


@test("flags of the file system: sync, dirsync, lazytime, mand, iversion, acl and their opposites")
def super_flags(box):
    flags = ("sync", "dirsync", "lazytime")
    quiet = ("async", "nolazytime", "mand", "nomand", "iversion", "noiversion", "acl", "noacl", "silent", "loud",
             "defaults")
    for name in flags + quiet:
        box.mount("/mnt/" + name, type="tmpfs", source="tmpfs", options=[name])
    seen = mounts(box)
    for name in flags + quiet:
        for flag in flags:
            equal(flag in seen["/mnt/" + name].super, flag == name, "%s with %s" % (flag, name))


@test("proc, sysfs, devpts, mqueue with their options")
def kernel_file_systems(box):
    for m in box.config["mounts"]:
        if m["destination"] == "/proc":
            m["options"] = ["hidepid=2", "gid=1001", "nosuid"]
    box.mount("/dev/mqueue", type="mqueue", source="mqueue", options=["nosuid", "nodev", "noexec"])
    box.mount("/dev/shm", type="tmpfs", source="shm", options=["nosuid", "nodev", "noexec", "mode=1777", "size=1m"])
    seen = mounts(box)
    expect("hidepid=invisible" in seen["/proc"].super or "hidepid=2" in seen["/proc"].super, seen["/proc"].super)
    expect("gid=1001" in seen["/proc"].super, seen["/proc"].super)
    equal((seen["/sys"].kind, "ro" in seen["/sys"].options), ("sysfs", True))
    expect({"mode=620", "ptmxmode=666"} <= set(seen["/dev/pts"].super), seen["/dev/pts"].super)
    equal((seen["/dev/mqueue"].kind, seen["/dev/shm"].source), ("mqueue", "shm"))


@test("an option that a file system does not know is refused, and named")
def fs_refused(box):
    first = len(box.config["mounts"])
    for pattern, entry in (
            (r"mount '/mnt': .*nonsense", {"type": "tmpfs", "options": ["nonsense=1"]}),
            (r"mount '/mnt': .*nofs", {"type": "nofs"}),
            (r"mounts\[\d\] '/mnt': type", {}),
            (r"mounts\[\d\] '/mnt': .*tmpcopyup", {"type": "proc", "options": ["tmpcopyup"]}),
            (r"mounts\[\d\].destination", {"destination": ""})):
        del box.config["mounts"][first:]
        box.config["mounts"].append(dict({"destination": "/mnt"}, **entry))
        box.fails(pattern)
    del box.config["mounts"][first:]
    box.mount("/etc/passwd", type="tmpfs", source="tmpfs")
    box.fails(r"mount '/etc/passwd'.*Not a directory")


@test("remount changes a mount of the container")
def remount(box):
    source = source_tree(box)
    box.mount("/mnt/fs", type="tmpfs", source="tmpfs", options=["size=64k", "nosuid"])
    box.mount("/mnt/fs", type="tmpfs", source="tmpfs", options=["remount", "size=128k", "ro"])
    box.mount("/mnt/bind", type="bind", source=source, options=["bind", "nodev"])
    box.mount("/mnt/bind", options=["remount", "bind", "ro"])
    seen = mounts(box)
    expect("size=128k" in seen["/mnt/fs"].super, seen["/mnt/fs"].super)
    expect({"ro", "nosuid"} <= set(seen["/mnt/fs"].options), seen["/mnt/fs"].options)
    expect({"ro", "nodev"} <= set(seen["/mnt/bind"].options), seen["/mnt/bind"].options)
    equal(open("%s/file" % source).read(), "text\n")
    with open("%s/file" % source, "w") as f:  # the host's own stays writable
        f.write("still\n")
    box.mount("/etc", options=["remount", "bind", "ro"])
    box.fails(r"mount '/etc': .*mount point")


def layers(box, count, name="layer%d"):
    """Directories, of which each has a file of its number and one that is the topmost's."""
    top = mount(box, os.path.join(box.dir, "layers"))
    paths = [os.path.join(top, name % i) for i in range(count)]
    for i, path in enumerate(paths):
        os.makedirs(path)
        for file in ("top", "of%d" % i):
            with open(os.path.join(path, file), "w") as f:
                f.write("%d\n" % i)
    for directory in ("upper", "work"):
        os.mkdir(os.path.join(top, directory))
    return top, paths


def escaped(path):
    return re.sub(r"([\\:,])", r"\\\1", path)


@test("overlay: layers, an upper directory, other options", needs="overlay")
def overlay(box):
    top, paths = layers(box, 2)
    box.mount("/mnt", type="overlay", source="overlay",
              options=["lowerdir=" + ":".join(paths), "upperdir=%s/upper" % top, "workdir=%s/work" % top, "index=off",
                       "nosuid"])
    equal(box.sh("cd /mnt; cat top of0 of1; echo new > top; rm of1; ls").out.split(), ["0", "0", "1", "of0", "top"])
    equal(open(top + "/upper/top").read(), "new\n")
    expect("nosuid" in mounts(box)["/mnt"].options, "attributes")
    box.config["mounts"][-1]["options"] = ["lowerdir=%s:%s" % (paths[0], paths[1])]
    expect("Read-only" in box.sh("touch /mnt/x", check=False).err, "writable without an upper directory")
    box.config["mounts"][-1]["options"] = ["lowerdir=/nowhere:%s" % paths[0]]
    box.fails(r"mount '/mnt': .*/nowhere")


@test("overlay: names with separators, escapes and great length", needs="overlay")
def overlay_names(box):
    top, paths = layers(box, 3, "a:b,c\\%d" + "x" * 240)
    upper, work = top + "/u:p,p\\er", top + "/w,o:rk"
    os.mkdir(upper)
    os.mkdir(work)
    box.mount("/mnt", type="overlay", source="overlay",
              options=["lowerdir=" + ":".join(map(escaped, paths)), "upperdir=" + escaped(upper),
                       "workdir=" + escaped(work)])
    equal(box.sh("cd /mnt; cat top of2; echo new > top").out.split(), ["0", "2"])
    equal(open(upper + "/top").read(), "new\n")


@test("overlay: 127 layers in one mount", needs="overlay")
def overlay_many(box):
    top, paths = layers(box, 127)
    box.mount("/mnt", type="overlay", source="overlay",
              options=["lowerdir=" + ":".join(paths), "upperdir=%s/upper" % top, "workdir=%s/work" % top])
    equal(box.sh("cd /mnt; ls | busybox wc -l; cat top of126; echo x > of126").out.split(), ["128", "0", "126"])
    equal(open(top + "/upper/of126").read(), "x\n")


# -- id mappings ------------------------------------------------------------------------------

def mapping(outside, size=1000, inside=0):
    return [{"containerID": inside, "hostID": outside, "size": size}]


def owned_tree(box, uid=0, gid=0):
    source = source_tree(box)
    for path in ("", "/file", "/sub", "/sub/file"):
        os.chown(source + path, uid, gid)
    return source


IDMAP = "idmapped mounts of tmpfs"


@test("a mount with id mappings shows other owners, and stores its own", needs=IDMAP)
def idmap(box):
    source = owned_tree(box, 5, 6)
    os.chmod(source, 0o777)
    box.mount("/mnt", type="bind", source=source, uidMappings=mapping(1000), gidMappings=mapping(2000),
              options=["rbind", "idmap"])
    box.mount("/plain", type="bind", source=source, uidMappings=mapping(1000), gidMappings=mapping(2000),
              options=["bind", "ro"])
    seen = stats(box, "/mnt/file", "/mnt/sub/file", "/plain/file")
    equal([(seen[path]["uid"], seen[path]["gid"]) for path in ("/mnt/file", "/mnt/sub/file", "/plain/file")],
          [(1005, 2006), (5, 6), (1005, 2006)])
    result = box.sh("busybox chown 1007:2007 /mnt/file && touch /plain/x", check=False)
    expect("Read-only" in result.err, result.err)
    status = os.stat(source + "/file")
    equal((status.st_uid, status.st_gid), (7, 7))


@test("ridmap maps the owners in all mounts below", needs=IDMAP)
def idmap_recursive(box):
    source = owned_tree(box, 5, 6)
    box.mount("/mnt", type="bind", source=source, uidMappings=mapping(1000), gidMappings=mapping(2000),
              options=["rbind", "ridmap"])
    seen = stats(box, "/mnt/file", "/mnt/sub/file")
    equal([(seen[path]["uid"], seen[path]["gid"]) for path in seen], [(1005, 2006), (1005, 2006)])


@test("idmap without mappings uses those of the container's user namespace", needs=IDMAP)
def idmap_container(box):
    source = owned_tree(box)
    box.user_namespace()
    box.mount("/mnt", type="bind", source=source, options=["bind", "idmap"])
    box.mount("/as-is", type="bind", source=source, options=["rbind"])
    seen = stats(box, "/mnt/file", "/as-is/file")
    equal([(seen[path]["uid"], seen[path]["gid"]) for path in seen], [(0, 0), (65534, 65534)])
    box.sh("echo x > /mnt/made")
    status = os.stat(source + "/made")
    equal((status.st_uid, status.st_gid), (0, 0))


@test("a mount has mappings of its own in a container with a user namespace", needs=IDMAP)
def idmap_own(box):
    source = owned_tree(box, 3, 4)
    box.user_namespace()
    box.mount("/mnt", type="bind", source=source, options=["bind"], uidMappings=mapping(100010),
              gidMappings=mapping(200020))
    seen = stats(box, "/mnt/file")["/mnt/file"]
    equal((seen["uid"], seen["gid"]), (13, 24))


@test("id mappings that cannot be are refused, naming the member")
def idmap_refused(box):
    first = len(box.config["mounts"])
    for pattern, entry in (
            (r"mounts\[\d\]\.gidMappings: both", {"uidMappings": mapping(1000)}),
            (r"mounts\[\d\]\.uidMappings\[0\]\.size", {"uidMappings": mapping(1, 0), "gidMappings": mapping(1)}),
            (r"mount '/mnt': idmap: neither", {"options": ["bind", "idmap"]}),
            (r"mounts\[\d\] '/mnt': .*only bind mounts", {"type": "tmpfs", "options": ["idmap"]})):
        del box.config["mounts"][first:]
        box.config["mounts"].append(dict({"destination": "/mnt", "source": "/tmp", "options": ["bind"]}, **entry))
        box.fails(pattern)


# -- cgroups ----------------------------------------------------------------------------------

@test("cgroup v1: a directory a hierarchy, and links for those mounted together", needs="cgroup v1")
def cgroup_v1(box):
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["nosuid", "noexec", "nodev", "ro"])
    for namespace in (True, False):
        if not namespace:
            box.without_namespace("cgroup")
        seen = mounts(box)
        equal(seen["/sys/fs/cgroup"].kind, "tmpfs")
        expect("ro" in seen["/sys/fs/cgroup"].options, seen["/sys/fs/cgroup"].options)
        ours = {m.at: m for m in mounts_of(open("/proc/self/mountinfo").read()).values() if m.kind.startswith("cgroup")}
        for at, theirs in ours.items():
            m = seen[at]
            equal((m.kind, m.root), (theirs.kind, "/" if namespace else theirs.root.rstrip("/") +
                                     self_cgroup(box)), at)
            expect({"ro", "nosuid", "nodev", "noexec"} <= set(m.options), m.options)
        out = box.sh("cd /sys/fs/cgroup; cat pids/cgroup.procs; mkdir pids/x", check=False)
        expect(out.out.split()[0] == "1" and "Read-only" in out.err, out.out + out.err)


def self_cgroup(box):
    return box.linux["cgroupsPath"]


@test("cgroup v1: co-mounted controllers have a link each", needs="cgroup v1")
def cgroup_links(box):
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup")
    joined = [name for name in os.listdir("/sys/fs/cgroup") if "," in name and os.path.isdir("/sys/fs/cgroup/" + name)]
    wanted = {alias: name for name in joined for alias in name.split(",")}
    links = box.sh("cd /sys/fs/cgroup; for f in *; do [ -L $f ] && echo $f $(busybox readlink $f); done; true").out
    equal(dict(line.split() for line in links.splitlines()), wanted)


@test("cgroup2 alone, beside v1 hierarchies", needs="cgroup v1")
def cgroup_hybrid(box):
    if not any(m.kind == "cgroup2" for m in mounts_of(open("/proc/self/mountinfo").read()).values()):
        box.mount("/mnt", type="cgroup2", source="cgroup")
        box.fails("no cgroup v2")
        return
    box.mount("/mnt", type="cgroup2", source="cgroup", options=["ro"])
    m = mounts(box)["/mnt"]
    equal((m.kind, m.root, "ro" in m.options), ("cgroup2", "/", True))
    equal(box.sh("cat /mnt/cgroup.procs").out.split()[0], "1")


@test("cgroup v2: the container's own cgroup, with and without a namespace of it", needs="cgroup v2")
def cgroup_v2(box):
    for kind in ("cgroup", "cgroup2"):
        box.mount("/sys/fs/cgroup", type=kind, source="cgroup", options=["ro"])
        equal(mounts(box)["/sys/fs/cgroup"].root, "/")
        out = box.sh("cd /sys/fs/cgroup; cat cgroup.procs; mkdir x", check=False)
        expect(out.out.split()[0] == "1" and "Read-only" in out.err, out.out + out.err)
        box.config["mounts"].pop()
    box.without_namespace("cgroup")
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    expect(mounts(box)["/sys/fs/cgroup"].root.endswith(box.id) or "scope" in mounts(box)["/sys/fs/cgroup"].root, "root")
    equal(box.sh("cat /sys/fs/cgroup/cgroup.procs").out.split()[0], "1")


# -- the root ---------------------------------------------------------------------------------

@test("a read-only root, with mounts that can be written")
def root_readonly(box):
    box.config["root"]["readonly"] = True
    box.mount("/run", type="tmpfs", source="tmpfs")
    result = box.sh("touch /run/x && echo written; touch /x /etc/x", check=False)
    equal((result.out, result.err.count("Read-only")), ("written\n", 2))


@test("masked paths are empty, read-only paths cannot be written, missing ones are nothing")
def protected(box):
    box.file("secret/file", "secret\n")
    box.file("one", "secret\n")
    source = source_tree(box)
    box.mount("/fixed", type="bind", source=source, options=["rbind"])
    box.linux["maskedPaths"] = ["/secret", "/one", "/proc/kcore", "/sys/firmware", "/nowhere"]
    box.linux["readonlyPaths"] = ["/fixed", "/proc/sys", "/proc/bus", "/nowhere/else"]
    result = box.sh("""
        ls -A /secret /sys/firmware; cat /one; head -c 1 /proc/kcore; touch /secret/x
        echo box2 > /proc/sys/kernel/hostname; touch /fixed/x /fixed/sub/x""", check=False)
    equal(result.out, "/secret:\n\n/sys/firmware:\n" if os.path.isdir("/sys/firmware") else "/secret:\n")
    equal(result.err.count("Read-only"), 4)


@test("the host's root is not to be had, with and without pivot_root")
def no_pivot(box):
    for options in ((), ("--no-pivot",)):
        for kind in ("bounding", "effective", "permitted"):
            box.process["capabilities"][kind] = box.process["capabilities"][kind] + ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]
        box.mount("/mnt", type="tmpfs", source="tmpfs")
        result = box.sh("ls /; cat /proc/self/mountinfo; busybox readlink /proc/1/cwd; cd /proc/1/root && ls",
                        options=options)
        expect(box.dir + "/config.json" not in result.out and "payload" in result.out, result.out)
        at = [line.split()[4] for line in result.out.splitlines() if " - " in line]
        expect("/" in at and "/mnt" in at and "/proc" in at, at)
        expect(not [path for path in at if path.startswith(box.dir)], at)
        box.config["mounts"].pop()


@test("a mount label where there is no SELinux is refused, naming the member")
def mount_label(box):
    if not box.host.has["SELinux"]:  # where there is: lsm.py
        box.linux["mountLabel"] = "system_u:object_r:container_file_t:s0:c1,c2"
        box.fails(r"linux\.mountLabel: SELinux is not")


# -- whose mount namespace --------------------------------------------------------------------


def no_mounts(box):
    """Nothing that takes a mount namespace."""
    box.without_namespace("mount")
    box.config["mounts"] = []
    for name in ("maskedPaths", "readonlyPaths", "rootfsPropagation"):
        box.linux.pop(name, None)
    box.config["root"]["readonly"] = False


@test("no mount namespace: another root and nothing mounted, execs too")
def no_namespace(box):
    no_mounts(box)
    seen = box.sh("ls /; pwd; echo x > /dev/null && echo written").out.split()
    expect("payload" in seen and "config.json" not in seen and seen[-2:] == ["/", "written"], seen)
    box.start()
    pid = box.pid()
    equal(os.readlink("/proc/%d/ns/mnt" % pid), os.readlink("/proc/self/ns/mnt"))
    equal(os.readlink("/proc/%d/root" % pid), box.rootfs)
    equal(os.readlink("/proc/%d/cwd" % pid), box.rootfs)
    result = box.exec("/bin/sh", "-c", "cd ..; pwd; ls -d /payload; ls /config.json", check=False)
    equal((result.out, result.err.count("No such file")), ("/\n/payload\n", 1))
    box.kill()
    expect(box.rootfs not in open("/proc/self/mountinfo").read(), "a mount is left")


@test("no mount namespace: what needs one is refused, naming the member")
def no_namespace_refused(box):
    no_mounts(box)
    plain = box.config["root"]
    for member, change in (
            (r"mounts", {"mounts": [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"}]}),
            (r"root\.readonly", {"root": dict(plain, readonly=True)}),
            (r"process\.terminal", {"process": dict(box.process, terminal=True)}),
            (r"linux\.maskedPaths", {"linux": dict(box.linux, maskedPaths=["/etc"])}),
            (r"linux\.readonlyPaths", {"linux": dict(box.linux, readonlyPaths=["/etc"])}),
            (r"linux\.rootfsPropagation", {"linux": dict(box.linux, rootfsPropagation="private")})):
        saved = dict(box.config)
        box.config.update(change)
        box.fails(member + ": needs a mount namespace")
        box.config.clear()
        box.config.update(saved)


def other_namespace(box):
    """A process in a mount namespace of its own, where a file is that is nowhere else; its namespace's path."""
    place, ready, done = box.dir + "/there", os.pipe(), os.pipe()
    os.mkdir(place)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(done[1])
            failed = LIBC.unshare(0x20000) or LIBC.mount(None, b"/", None, MS_PRIVATE | 1 << 14, None) or \
                LIBC.mount(b"tmpfs", place.encode(), b"tmpfs", 0, None)
            if not failed:
                with open(place + "/file", "w") as f:
                    f.write("only there\n")
                os.write(ready[1], b"x")
                os.read(done[0], 1)
        finally:
            os._exit(0)
    os.close(ready[1])

    def end():
        os.close(done[1])
        os.waitpid(pid, 0)
        for fd in (ready[0], done[0]):
            os.close(fd)
        os.rmdir(place)

    box.at_end.append(end)
    equal(os.read(ready[0], 1), b"x")
    return place, "/proc/%d/ns/mnt" % pid


@test("a mount namespace given by path: its mounts are the sources, the root is the container's, execs follow")
def joined_namespace(box):
    place, path = other_namespace(box)
    box.namespace("mount", path=path)
    box.mount("/mnt", type="bind", source=place, options=["rbind", "ro"])
    box.start()
    equal(os.readlink("/proc/%d/ns/mnt" % box.pid()), os.readlink(path))
    result = box.exec("/bin/sh", "-c", "ls -d /payload; cat /mnt/file; echo x > /mnt/x; ls /config.json", check=False)
    equal((result.out, result.err.count("No such file"), result.err.count("Read-only")), ("/payload\nonly there\n", 1, 1))
    equal(os.listdir(place), [])
    box.kill()


@test("a mount namespace given by path that is the runtime's own is refused")
def own_namespace(box):
    box.namespace("mount", path="/proc/self/ns/mnt")
    box.fails(r"linux\.namespaces: the mount namespace '/proc/self/ns/mnt' is the runtime's own")
