"""What works in a user namespace whoever makes it: root for ids of others, and an ordinary user by newuidmap."""

import os
import resource

from cases import rootless
from harness import equal, expect, test


def both(title, needs=()):
    needs = (needs,) if isinstance(needs, str) else tuple(needs)

    def mark(function):
        @test(title + " (root's)", needs=needs)
        def by_root(box):
            box.user_namespace()
            function(box)

        @test(title + " (an ordinary user's)", needs=(*needs, "programs that change the user"))
        def by_user(box):
            rootless.grant(box)
            function(box)
        return function
    return mark


@both("offsets of a time namespace", needs="time namespaces")
def time_offsets(box):
    box.namespace("time")
    box.linux["timeOffsets"] = {"monotonic": {"secs": 100000}, "boottime": {"secs": 200000, "nanosecs": 5}}
    out = box.sh("cat /proc/self/timens_offsets; cat /proc/uptime").out.split()
    equal(out[:6], ["monotonic", "100000", "0", "boottime", "200000", "5"])
    expect(float(out[6]) > 200000, out)


@both("capabilities, limits, umask and working directory of a user")
def identity(box):
    box.process.update(user={"uid": 1000, "gid": 1000, "umask": 0o77}, cwd="/new/directory", noNewPrivileges=True)
    box.process["capabilities"] = {kind: ["CAP_NET_BIND_SERVICE"] for kind in
                                   ("bounding", "effective", "permitted", "inheritable", "ambient")}
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100}]
    report = box.report("status", "ids", "limits", "cwd")
    equal(report["limits"][resource.RLIMIT_NOFILE], ["100", "100"])
    equal({int(report["status"]["Cap" + name], 16) for name in ("Bnd", "Eff", "Prm", "Inh", "Amb")}, {1 << 10})
    equal((report["ids"]["uid"], report["ids"]["umask"], report["cwd"]), (1000, 0o77, "/new/directory"))


@both("a seccomp filter")
def seccomp(box):
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    box.process["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    result = box.sh("busybox hostname other", check=False)
    expect("not supported" in result.err, result.err)


@both("masked and read-only paths, sysctls, mqueue, recursive read-only binds, a read-only root")
def mounts(box):
    box.namespace("network")
    box.linux["maskedPaths"] = ["/proc/kcore", "/proc/acpi", "/sys/firmware", "/proc/keys"]
    box.linux["readonlyPaths"] = ["/proc/sys", "/proc/bus", "/proc/irq"]
    box.linux["sysctl"] = {"net.ipv4.ping_group_range": "0 1000"}
    box.mount("/dev/mqueue", type="mqueue", source="mqueue", options=["nosuid", "noexec", "nodev"])
    box.mount("/dev/shm", type="tmpfs", source="shm", options=["nosuid", "size=1m", "mode=1777"])
    box.mount("/mnt", type="bind", source="/etc", options=["rbind", "rro"])
    box.config["root"]["readonly"] = True
    out = box.sh("cat /proc/sys/net/ipv4/ping_group_range; touch /dev/shm/x /dev/mqueue/x && echo made;"
                 "for file in /mnt/x /x /proc/sys/net/ipv4/ip_forward; do touch $file || echo no; done")
    equal(out.out.split(), ["0", "1000", "made", "no", "no", "no"])


@both("an overlay mount with userxattr", needs="overlay")
def overlay(box):
    owner = os.stat(box.rootfs)
    for name in ("lower", "upper", "work"):
        os.makedirs(os.path.join(box.dir, name))
        os.chown(os.path.join(box.dir, name), owner.st_uid, owner.st_gid)
    os.makedirs(os.path.join(box.dir, "lower/old/below"))
    os.chown(os.path.join(box.dir, "lower/old"), owner.st_uid, owner.st_gid)
    os.chown(os.path.join(box.dir, "lower/old/below"), owner.st_uid, owner.st_gid)
    box.mount("/mnt", type="overlay", source="overlay", options=[
        "lowerdir=%s/lower" % box.dir, "upperdir=%s/upper" % box.dir, "workdir=%s/work" % box.dir, "userxattr"])
    out = box.sh("ls /mnt; rm -r /mnt/old; mkdir /mnt/old; ls /mnt/old; touch /mnt/new; ls /mnt").out.split()
    equal(out, ["old", "new", "old"])
    if box.host.kernel() >= (6, 6):  # before, a tmpfs had no attributes of users
        equal(os.getxattr(os.path.join(box.dir, "upper/old"), "user.overlay.opaque"), b"y")


@both("hooks of all kinds")
def hooks(box):
    out = os.path.join(box.dir, "hooks-out")
    os.mkdir(out)
    os.chmod(out, 0o777)
    outside = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    box.config["hooks"] = {kind: [{"path": "/bin/busybox", "args": ["touch", os.path.join(out, kind)]}]
                           for kind in outside}
    box.config["hooks"]["startContainer"] = [{"path": "/bin/touch", "args": ["touch", "/started"]}]
    box.run("exit", "0")
    equal(sorted(os.listdir(out)), sorted(outside))
    expect(os.path.exists(os.path.join(box.rootfs, "started")), "no startContainer hook")
