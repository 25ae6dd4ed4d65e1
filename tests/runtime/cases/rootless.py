"""vessel-runtime started by an ordinary user: no privileges but those in a user namespace of its own."""

import os
import re

from harness import equal, expect, test

UID, GID = 12345, 12346  # nobody in /etc/passwd, with nothing in /etc/subuid
USER = {"user": UID, "group": GID, "extra_groups": []}


def rootless(box, **popen):
    """Make the box the user's own, with a single mapping, as `spec --rootless` would have it."""
    box.popen = {**USER, "env": {"PATH": "/usr/bin:/bin"}, **popen}
    box.root = os.path.join(box.dir, "state")
    box.without_namespace("network")
    box.namespace("user")
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": UID, "size": 1}]
    box.linux["gidMappings"] = [{"containerID": 0, "hostID": GID, "size": 1}]
    del box.linux["cgroupsPath"], box.linux["resources"]
    own(box)


def own(box, uid=UID, gid=GID):
    os.chown(box.dir, uid, gid)
    for directory, names, files in os.walk(box.rootfs):
        os.chown(directory, uid, gid)
        for name in names + files:
            path = os.path.join(directory, name)
            if os.lstat(path).st_nlink < 2 or os.path.isdir(path):
                os.chown(path, uid, gid, follow_symlinks=False)


@test("an ordinary user runs a container with his own id alone")
def single(box):
    rootless(box)
    report = box.report("ids", "namespaces", "status", "uts")
    equal((report["ids"]["uid"], report["ids"]["gid"], report["ids"]["pid"]), (0, 0, 1))
    equal(report["uts"]["nodename"], "box")
    expect(report["namespaces"]["user"] != os.readlink("/proc/self/ns/user"), "shares the user namespace")
    result = box.sh("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; touch /mine; exit 3", check=False)
    equal((result.code, result.out.split()), (3, ["0", str(UID), "1", "0", str(GID), "1", "deny"]))
    equal(os.stat(os.path.join(box.rootfs, "mine")).st_uid, UID)
