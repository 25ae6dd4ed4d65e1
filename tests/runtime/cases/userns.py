"""User namespaces, made by root: mappings, what root in them may not do itself, joining, nesting."""

import ctypes
import os

from harness import equal, expect, test

UID, GID = 100000, 200000  # of harness.MAPPINGS
CLONE_NEWUSER = 0x10000000
LIBC = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def parent_namespace(box, uids="0 300000 200000", gids="0 300000 200000"):
    """A user namespace that a process lives in until the case has ended: an fd of it."""
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go[1])
        check(LIBC.unshare(CLONE_NEWUSER))
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0)
    os.close(go[0])
    box.at_end.append(lambda: (os.close(go[1]), os.waitpid(pid, 0)))
    os.read(ready[0], 1)
    os.close(ready[0]), os.close(ready[1])
    for name, text in (("uid_map", uids), ("gid_map", gids)):
        with open("/proc/%d/%s" % (pid, name), "w") as f:
            f.write(text)
    fd = os.open("/proc/%d/ns/user" % pid, os.O_RDONLY)
    box.at_end.append(lambda: os.close(fd))
    return fd


def as_nested_root(box, own=300000):
    """Every command of the box is run by the root of a user namespace."""
    fd = parent_namespace(box)

    def enter():
        check(LIBC.setns(fd, CLONE_NEWUSER))
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)

    def leave():
        box.runtime("delete", "--force", box.id)
        box.popen = {}

    box.popen = {"preexec_fn": enter}
    box.global_options = []  # no systemd of his own is running
    box.at_end.append(leave)
    box.root = os.path.join(box.dir, "state")
    del box.linux["cgroupsPath"], box.linux["resources"]
    chown(box, own, own)


def chown(box, uid, gid):
    os.chown(box.dir, uid, gid)
    for directory, names, files in os.walk(box.rootfs):
        os.chown(directory, uid, gid)
        for name in files:
            path = os.path.join(directory, name)
            if os.lstat(path).st_nlink < 2:
                os.chown(path, uid, gid, follow_symlinks=False)


@test("root in a user namespace is an ordinary user outside, and files show it")
def mapped(box):
    box.user_namespace()
    out = box.sh("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; touch /mine").out.split()
    equal(out, ["0", str(UID), "65536", "0", str(GID), "65536", "allow", "0"])
    status = os.stat(os.path.join(box.rootfs, "mine"))
    equal((status.st_uid, status.st_gid), (UID, GID))


@test("several mappings are written in the order given")
def several(box):
    box.user_namespace()
    box.linux["uidMappings"] = [{"containerID": 1000, "hostID": 5000, "size": 10},
                                {"containerID": 0, "hostID": UID, "size": 1000},
                                {"containerID": 1010, "hostID": 0, "size": 1}]
    out = box.sh("cat /proc/self/uid_map").out.split()
    equal(out, ["1000", "5000", "10", "0", str(UID), "1000", "1010", "0", "1"])


@test("as many mappings as the kernel takes")
def many(box):
    box.user_namespace()
    box.linux["uidMappings"] = [{"containerID": 2 * i, "hostID": UID + 2 * i, "size": 1} for i in range(200)]
    out = box.sh("cat /proc/self/uid_map").out.split()
    equal(len(out), 600)


def mapping(inside=0, outside=UID, size=65536):
    return {"containerID": inside, "hostID": outside, "size": size}


@test("mappings that cannot be are refused, naming the member")
def refused(box):
    bad = (
        (r"linux\.uidMappings\[0\]\.size", [mapping(size=0)]),
        (r"linux\.uidMappings\[1\]\.containerID: overlaps", [mapping(), mapping(65535, 500000, 5)]),
        (r"linux\.uidMappings\[1\]\.hostID: overlaps", [mapping(), mapping(65536, UID + 5, 5)]),
        (r"linux\.uidMappings\[0\]\.hostID", [mapping(outside=4294967290)]),
        (r"linux\.uidMappings: 341 entries", [mapping(i, UID + i, 1) for i in range(341)]),
        (r"linux\.uidMappings: 0 is not mapped", [mapping(inside=1)]),
        (r"linux\.uidMappings: .* needs uidMappings", []),
    )
    for pattern, mappings in bad:
        box.user_namespace()
        box.linux["uidMappings"] = mappings
        box.fails(pattern)
    box.user_namespace()
    box.linux["gidMappings"] = [mapping(size=0)]
    box.fails(r"linux\.gidMappings\[0\]\.size")
    box.user_namespace()
    box.without_namespace("user")
    box.fails(r"linux\.uidMappings: given without")


@test("ids that have no mapping are refused, naming the member")
def unmapped(box):
    box.user_namespace()
    box.process["user"] = {"uid": 70000, "gid": 0}
    box.fails(r"process\.user\.uid: 70000 is not mapped")
    box.process["user"] = {"uid": 0, "gid": 70000}
    box.fails(r"process\.user\.gid: 70000 is not mapped")
    box.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [5, 70000]}
    box.fails(r"process\.user\.additionalGids: 70000 is not mapped")
    box.process["user"] = {"uid": 0, "gid": 0}
    box.mount("/mnt", type="tmpfs", source="tmpfs", options=["uid=70000"])
    box.fails(r"mounts\[4\]\.options: uid=70000 is not mapped")


@test("ids of the process are the container's")
def ids(box):
    box.user_namespace()
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 10]}
    got = box.report("ids")["ids"]
    equal((got["uid"], got["gid"], got["groups"]), (1000, 1000, [5, 10]))


@test("devices are the host's own, bound")
def devices(box):
    box.user_namespace()
    out = box.sh("echo x > /dev/null; head -c 4 /dev/zero | ls -l /dev/fd/0 > /dev/null; ls -ln /dev/null; "
                 "cat /dev/null; : > /dev/full 2>&1; cat /proc/self/mountinfo").out
    expect("crw-rw-rw-" in out, out)
    expect(" /dev/null " in out, "no mount at /dev/null: " + out)


@test("a terminal's group that is not mapped is left out")
def devpts(box):
    box.user_namespace()
    box.linux["gidMappings"] = [mapping(0, GID, 1)]
    for mount in box.config["mounts"]:
        if mount["destination"] == "/dev/pts":
            mount["options"].append("gid=5")
    options = [line for line in box.sh("cat /proc/self/mountinfo").out.splitlines() if " devpts " in line]
    expect(options and "gid=" not in options[0], options)


@test("limits above the runtime's own are raised", needs="CAP_SYS_RESOURCE")
def limits(box):
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1), hard - 1))
    box.at_end.append(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    box.user_namespace()
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": hard, "hard": hard},
                              {"type": "RLIMIT_MEMLOCK", "soft": 1 << 40, "hard": 1 << 40}]
    got = box.report("limits")["limits"]
    equal(got[resource.RLIMIT_NOFILE], [str(hard), str(hard)])
    equal(got[resource.RLIMIT_MEMLOCK], [str(1 << 40), str(1 << 40)])


@test("a lowered OOM score is set from outside", needs="CAP_SYS_RESOURCE")
def oom_score(box):
    box.user_namespace()
    box.process["oomScoreAdj"] = -500
    equal(box.report("oom_score_adj")["oom_score_adj"].strip(), "-500")


@test("a user namespace is joined by path, with the others that belong to it")
def join(box):
    box.user_namespace()
    box.start("pause")
    pid = box.pid()
    other = box.sibling("other")
    other.user_namespace()
    del other.linux["uidMappings"], other.linux["gidMappings"]
    for kind, name in (("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
        other.namespace(kind, path="/proc/%d/ns/%s" % (pid, name))
    report = other.report("namespaces", "ids")
    for name in ("user", "net", "ipc", "uts"):
        equal(report["namespaces"][name], os.readlink("/proc/%d/ns/%s" % (pid, name)), name)
    expect(report["namespaces"]["mnt"] != os.readlink("/proc/%d/ns/mnt" % pid), "shares the mount namespace")
    equal(report["ids"]["uid"], 0)


@test("a user namespace is joined by path, and a pid namespace with it")
def join_pid(box):
    box.user_namespace()
    box.start("pause")
    pid = box.pid()
    other = box.sibling("other")
    other.user_namespace()
    del other.linux["uidMappings"], other.linux["gidMappings"]
    for kind in ("user", "pid"):
        other.namespace(kind, path="/proc/%d/ns/%s" % (pid, kind))
    equal(other.report("namespaces")["namespaces"]["pid"], os.readlink("/proc/%d/ns/pid" % pid))


@test("a new user namespace beside a network namespace of the host's")
def foreign_network(box):
    box.start("pause")
    pid = box.pid()
    for joins in (("network",), ("network", "ipc", "uts"), ("pid",)):
        other = box.sibling("other-" + "-".join(joins))
        other.user_namespace()
        for kind in joins:
            other.namespace(kind, path="/proc/%d/ns/%s" % (pid, kind.replace("network", "net")))
        if "uts" in joins:
            del other.config["hostname"]
        report = other.report("namespaces")["namespaces"]
        for kind in joins:
            name = kind.replace("network", "net")
            equal(report[name], os.readlink("/proc/%d/ns/%s" % (pid, name)))
        expect(report["user"] != os.readlink("/proc/self/ns/user"), "shares the user namespace")


@test("a user namespace by path and a network namespace that does not belong to it")
def mixed(box):
    box.start("pause")
    owner = box.sibling("owner")
    owner.user_namespace()
    owner.start("pause")
    other = box.sibling("other")
    other.user_namespace()
    del other.linux["uidMappings"], other.linux["gidMappings"]
    other.namespace("user", path="/proc/%d/ns/user" % owner.pid())
    other.namespace("network", path="/proc/%d/ns/net" % box.pid())
    report = other.report("namespaces")["namespaces"]
    equal(report["user"], os.readlink("/proc/%d/ns/user" % owner.pid()))
    equal(report["net"], os.readlink("/proc/%d/ns/net" % box.pid()))


@test("without a network namespace of its own, the host's /sys is bound")
def host_network(box):
    box.user_namespace()
    box.without_namespace("network")
    out = box.sh("ls /sys/class/net; cat /proc/self/mountinfo; touch /sys/x", check=False)
    lines = [line.split() for line in out.out.splitlines() if " /sys " in line]
    expect(lines and lines[-1][5].startswith("ro"), out.out)
    expect("lo" in out.out, "no interface in /sys")
    expect("ead-only" in out.err, out.err)


@test("sysctls of the container's own namespaces are set")
def sysctl(box):
    box.user_namespace()
    box.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "80"}
    equal(box.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start").out.strip(), "80")


@test("masked and read-only paths hold")
def protected(box):
    box.user_namespace()
    box.linux["maskedPaths"] = ["/proc/kcore", "/proc/acpi", "/sys/firmware"]
    box.linux["readonlyPaths"] = ["/proc/sys", "/proc/bus"]
    out = box.sh("cat /proc/kcore | head -c 1; ls /sys/firmware; echo 1 > /proc/sys/net/ipv4/ip_forward", check=False)
    equal(out.out, "")
    expect("ead-only" in out.err, out.err)


@test("a read-only root")
def readonly(box):
    box.user_namespace()
    box.config["root"]["readonly"] = True
    expect("ead-only" in box.sh("touch /x", check=False).err, "writable")


@test("a read-only mount of the host's stays read-only, and cannot be made writable")
def locked(box):
    source = os.path.join(box.dir, "locked")
    os.mkdir(source)
    check(LIBC.mount(b"tmpfs", source.encode(), b"tmpfs", 1 | 2 | 4, None))  # MS_RDONLY NOSUID NODEV
    box.at_end.append(lambda: LIBC.umount2(source.encode(), 2))
    box.user_namespace()
    box.mount("/mnt", type="bind", source=source, options=["rbind", "ro"])
    line = [text.split() for text in box.sh("cat /proc/self/mountinfo").out.splitlines() if " /mnt " in text][0]
    equal(line[5].split(",")[:3], ["ro", "nosuid", "nodev"])
    box.config["mounts"][-1]["options"] = ["rbind"]
    line = [text.split() for text in box.sh("cat /proc/self/mountinfo").out.splitlines() if " /mnt " in text][0]
    equal(line[5].split(",")[:3], ["ro", "nosuid", "nodev"])
    box.config["mounts"][-1]["options"] = ["rbind", "rw"]
    box.fails(r"mount '/mnt': .*not permitted")


@test("a bundle and a source that the container's root could not reach by their paths", needs="the mount API")
def unreachable(box):
    box.user_namespace()
    secret = os.path.join(box.dir, "secret")
    os.makedirs(secret + "/below")
    with open(secret + "/below/file", "w") as f:
        f.write("found")
    os.chmod(secret, 0o700)
    os.chmod(box.dir, 0o700)
    box.mount("/mnt", type="bind", source=secret + "/below", options=["rbind", "ro"])
    box.mount("/run/one", type="bind", source="secret/below/file", options=["bind", "ro"])
    out = box.sh("cat /mnt/file /run/one; touch /mnt/x", check=False)
    equal(out.out, "foundfound", out.err)
    expect("ead-only" in out.err, out.err)
    box.mount("/run/two", type="bind", source=secret + "/nothing", options=["bind"])
    box.fails(r"mount '/run/two': bind source: .*secret/nothing.*o such file")


@test("root of a user namespace runs a container with another one")
def nested(box):
    as_nested_root(box, 310000)
    os.chown(box.dir, 300000, 300000)
    box.namespace("user")
    box.linux["uidMappings"] = [mapping(0, 10000, 65536)]
    box.linux["gidMappings"] = [mapping(0, 10000, 65536)]
    out = box.sh("cat /proc/self/uid_map; id -u; touch /mine").out.split()
    equal(out, ["0", "10000", "65536", "0"])
    equal(os.stat(os.path.join(box.rootfs, "mine")).st_uid, 310000)


@test("root of a user namespace runs a container without another one")
def nested_same(box):
    as_nested_root(box)
    report = box.report("ids", "namespaces", "uts")
    equal((report["ids"]["uid"], report["ids"]["pid"], report["uts"]["nodename"]), (0, 1, "box"))
    box.start("pause")
    equal(box.status(), "running")
    box.kill()
    box.runtime("delete", box.id, check=True)


@test("root of a user namespace cannot map what is not mapped there")
def nested_unmapped(box):
    as_nested_root(box)
    box.namespace("user")
    box.linux["uidMappings"] = [mapping(0, 500000, 65536)]
    box.linux["gidMappings"] = [mapping(0, 10000, 65536)]
    box.fails(r"linux\.uidMappings")
