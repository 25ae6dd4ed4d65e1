"""The life of a container, and what every container has."""

import os

from harness import equal, expect, test


@test("run gives back output and exit code")
def run_codes(box):
    result = box.sh("echo out; echo err >&2; exit 7", check=False)
    equal((result.code, result.out, result.err), (7, "out\n", "err\n"))


@test("create, start, kill, delete")
def life(box):
    box.create("pause")
    equal(box.status(), "created")
    box.runtime("start", box.id, check=True)
    equal(box.status(), "running")
    box.kill()
    equal(box.status(), "stopped")
    box.runtime("delete", box.id, check=True)
    equal(box.exists(), False)


@test("process 1 has its own namespaces, hostname and no file of the host open")
def isolated(box):
    report = box.report("ids", "namespaces", "fds", "uts")
    equal(report["ids"]["pid"], 1)
    equal(report["uts"]["nodename"], "box")
    equal([fd for fd in report["fds"] if int(fd) > 2], [])
    for kind in ("pid", "net", "ipc", "uts", "mnt", "cgroup"):
        expect(report["namespaces"][kind] != os.readlink("/proc/self/ns/" + kind), "shares " + kind)
    equal(report["namespaces"]["user"], os.readlink("/proc/self/ns/user"))
