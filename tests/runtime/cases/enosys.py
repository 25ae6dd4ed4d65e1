"""Kernels without what Linux has got since 5.2: each call alone is missing, and all; what cannot be had says so."""

import os

import harness
from harness import equal, expect, test
from cases.mounts import layers, mounts, source_tree

EPERM = 1


def without(box, calls):
    box.prefix = [*box.suite.prefix, *harness.without(box.suite.payload, calls)]


def full(box):
    """A container with some of everything that a missing call may break."""
    source = source_tree(box)
    box.config["root"]["readonly"] = True
    box.file("secret", "secret\n")
    os.symlink("/mnt", os.path.join(box.rootfs, "link"))
    for at in ("mnt/bind", "mnt/file", "srv"):
        os.makedirs(os.path.join(box.rootfs, at))
    os.rmdir(os.path.join(box.rootfs, "mnt/file"))
    box.file("mnt/file", "")
    box.mount("/link/bind", type="bind", source=source, options=["rbind", "rro", "rslave"])
    box.mount("/mnt/file", type="bind", source=source + "/file", options=["bind", "ro"])
    box.mount("/srv", type="tmpfs", source="tmpfs", options=["size=64k", "nosuid", "noatime", "shared"])
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro", "nosuid"])
    box.linux["maskedPaths"] = ["/secret", "/sys/firmware", "/proc/kcore"]
    box.linux["readonlyPaths"] = ["/proc/sys"]
    seen = mounts(box)
    for at in ("/mnt/bind", "/mnt/bind/sub", "/mnt/file", "/sys", "/sys/fs/cgroup", "/proc/sys"):
        expect("ro" in seen[at].options, "%s: %s" % (at, seen[at].options))
    expect({"nosuid", "noatime"} <= set(seen["/srv"].options), seen["/srv"].options)
    equal((seen["/srv"].tags, "size=64k" in seen["/srv"].super), (["shared"], True))
    expect("ro" in seen["/"].options, seen["/"].options)
    below = [at for at in seen if at.startswith("/tmp") or "vessel-test" in at]
    equal(below, [], "mounts of the set-up that were left")
    result = box.sh("cat /mnt/file /mnt/bind/sub/file; echo > /srv/x && echo written; cat /secret; touch /x; "
                    "touch /mnt/bind/x; ls -A /sys/firmware; echo x > /proc/sys/kernel/hostname", check=False)
    equal(result.out, "text\ntext\nwritten\n")
    equal(result.err.count("Read-only"), 3)
    equal(box.report("fds")["fds"].keys() - {"0", "1", "2"}, set())
    box.start("pause")
    equal(box.exec("read", "/proc/self/comm").out, "payload\n\n")
    box.kill()
    box.runtime("delete", box.id, check=True)


def alone(call):
    @test("a container without %s" % call)
    def case(box):
        without(box, call)
        full(box)


for name in harness.NEW_CALLS.split(","):
    alone(name)


@test("a container without all of them")
def all_missing(box):
    without(box, harness.NEW_CALLS)
    full(box)


@test("a container where a filter forbids the mount calls with EPERM")
def forbidden(box):
    calls = ("fsopen", "fsconfig", "fsmount", "open_tree", "move_mount", "mount_setattr")
    without(box, ",".join("%s=%d" % (call, EPERM) for call in calls))
    full(box)


@test("with a user namespace, without all of them")
def user_namespace(box):
    without(box, harness.NEW_CALLS)
    box.user_namespace()
    full(box)


@test("owners cannot be mapped without mount_setattr, which is said")
def idmap(box):
    without(box, "mount_setattr")
    box.mount("/mnt", type="bind", source="/tmp", options=["bind"],
              uidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}],
              gidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}])
    box.fails(r"mount '/mnt': map the owners of '/tmp': the kernel has no mount_setattr")


@test("an overlay of 127 layers without the mount calls", needs="overlay")
def overlay(box):
    without(box, "fsopen,mount_setattr")
    top, paths = layers(box, 127)
    box.mount("/mnt", type="overlay", source="overlay",
              options=["lowerdir=" + ":".join(paths), "upperdir=%s/upper" % top, "workdir=%s/work" % top, "nosuid"])
    equal(box.sh("cd /mnt; ls | busybox wc -l; cat top of126; echo x > of126").out.split(), ["128", "0", "126"])
    equal(open(top + "/upper/of126").read(), "x\n")
    expect("nosuid" in mounts(box)["/mnt"].options, "attributes")


@test("paths lead inside without openat2")
def walk(box):
    without(box, "openat2")
    source = source_tree(box)
    os.symlink("../../../../..", os.path.join(box.rootfs, "up"))
    os.symlink("up/up/mnt/a", os.path.join(box.rootfs, "down"))
    os.symlink("loop", os.path.join(box.rootfs, "loop"))
    os.symlink("/proc/self/root/tmp", os.path.join(box.rootfs, "magic"))
    box.mount("/down/../b/../../up/mnt/c/d", type="bind", source=source, options=["bind"])
    expect("/mnt/c/d" in mounts(box), "it is elsewhere")
    for name in ("loop", "magic"):
        box.config["mounts"][-1]["destination"] = "/%s/x" % name
        box.fails(r"mount '/%s/x': .*(symbolic links|Symbolic link loop)" % name)
