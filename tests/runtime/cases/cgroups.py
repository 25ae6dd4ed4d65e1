"""Cgroups: every limit by its effect where there is one, by its file where not; place, life, systemd."""

import ctypes
import os
import pwd
import struct
import subprocess
import time

from cases.rootless import mapping, own, rootless
from harness import CGROUP, CGROUP_ROOT, Failure, becomes, equal, expect, test

MB = 1 << 20


def resources(box, **members):
    box.linux["resources"].update(members)
    return box


def file_of(box, v1, v2):
    """The text of a file of the cgroup, as this version names it."""
    return box.cgroup_file(v2 if box.host.v2_only else v1)


def started(box, **members):
    resources(box, **members).start()
    return box


def refused(box, field, **members):
    """`run` with these limits fails, and the error names the field."""
    resources(box, **members)
    result = box.fails(r"linux\.resources: " + field.replace(".", r"\."), "exit", "0")
    box.linux["resources"] = {}
    return result


def make_cgroup(box, path, **files):
    """A cgroup that others have made, in every hierarchy; it is removed in the end, after the container."""
    made = []
    tops = [CGROUP_ROOT] if box.host.v2_only else [entry.path for entry in os.scandir(CGROUP_ROOT) if entry.is_dir()]
    for top in tops:
        directory = os.path.join(top, path.strip("/"))
        os.makedirs(directory, exist_ok=True)
        made.append(directory)
        for name, text in files.items():
            if os.path.exists(os.path.join(directory, name)):
                with open(os.path.join(directory, name), "w") as f:
                    f.write(text)

    def remove():
        box.runtime("delete", "--force", box.id)
        for directory in made:
            for inner, _, _ in os.walk(directory, topdown=False):
                os.rmdir(inner)
    box.at_end.append(remove)
    return made


# memory -------------------------------------------------------------------------------------------

@test("memory.limit kills what exceeds it")
def memory_kills(box):
    resources(box, memory={"limit": 16 * MB, "swap": 16 * MB})
    result = box.run("eat", str(64 * MB), check=False)
    equal((result.code, result.out), (137, ""))
    resources(box, memory={"limit": 64 * MB, "swap": 64 * MB})
    equal(box.run("eat", str(16 * MB)).out, "eaten\n")


@test("memory: limit, swap, reservation")
def memory_files(box):
    started(box, memory={"limit": 32 * MB, "swap": 48 * MB, "reservation": 24 * MB})
    equal(file_of(box, "memory.limit_in_bytes", "memory.max"), str(32 * MB))
    equal(file_of(box, "memory.soft_limit_in_bytes", "memory.low"), str(24 * MB))
    # v1 limits memory plus swap, v2 swap alone
    equal(file_of(box, "memory.memsw.limit_in_bytes", "memory.swap.max"), str((48, 16)[box.host.v2_only] * MB))


@test("memory: -1 is unlimited, with swap; checkBeforeUpdate; swap below the limit is refused")
def memory_unlimited(box):
    started(box, memory={"limit": -1, "reservation": -1, "kernel": -1, "kernelTCP": -1})
    got = file_of(box, "memory.memsw.limit_in_bytes", "memory.swap.max")
    expect(got == "max" or int(got) > 1 << 60, "swap is limited: " + got)
    box.kill()
    box.runtime("delete", box.id, check=True)
    refused(box, "memory.swap" if box.host.v2_only else "memory", memory={"limit": 32 * MB, "swap": 16 * MB})


@test("memory on v1: swappiness, kernelTCP, disableOOMKiller, useHierarchy", needs="cgroup v1")
def memory_v1(box):
    started(box, memory={"limit": 32 * MB, "swappiness": 7, "kernelTCP": 8 * MB, "disableOOMKiller": True,
                         "useHierarchy": True})
    equal(box.cgroup_file("memory.swappiness"), "7")
    equal(box.cgroup_file("memory.kmem.tcp.limit_in_bytes"), str(8 * MB))
    expect("oom_kill_disable 1" in box.cgroup_file("memory.oom_control"), "the OOM killer is not disabled")


@test("memory.kernel is limited or refused, never ignored", needs="cgroup v1")
def memory_kernel(box):
    resources(box, memory={"kernel": 32 * MB})
    result = box.run("exit", "0", check=False)
    if result.code == 0:
        started(box)
        equal(box.cgroup_file("memory.kmem.limit_in_bytes"), str(32 * MB))
    else:
        expect("memory.kernel" in result.err, "the error does not name the field: " + result.err)


@test("limits that v2 does not have are refused by name, their defaults are not", needs="cgroup v2")
def v1_only(box):
    refused(box, "memory.swappiness", memory={"swappiness": 10})
    refused(box, "memory.kernel", memory={"kernel": MB})
    refused(box, "memory.kernelTCP", memory={"kernelTCP": MB})
    refused(box, "memory.disableOOMKiller", memory={"disableOOMKiller": True})
    refused(box, "memory.useHierarchy", memory={"useHierarchy": False})
    refused(box, "cpu.realtimeRuntime", cpu={"realtimeRuntime": 1000})
    refused(box, "cpu.realtimePeriod", cpu={"realtimePeriod": 100000})
    refused(box, "blockIO.leafWeight", blockIO={"leafWeight": 100})
    refused(box, "network.classID", network={"classID": 7})
    refused(box, "network.priorities", network={"priorities": [{"name": "lo", "priority": 1}]})
    resources(box, memory={"disableOOMKiller": False, "useHierarchy": True, "kernel": -1},
              cpu={"realtimeRuntime": 0}, network={"classID": 0})
    box.run("exit", "0")


# cpu ----------------------------------------------------------------------------------------------

@test("cpu: shares, quota, period, burst")
def cpu_files(box):
    started(box, cpu={"shares": 2048, "quota": 30000, "period": 50000, "burst": 10000})
    if box.host.v2_only:
        # the quadratic through (2, 1), (1024, 100) and (262144, 10000)
        equal(box.cgroup_file("cpu.weight"), "174")
        equal(box.cgroup_file("cpu.max"), "30000 50000")
        equal(box.cgroup_file("cpu.max.burst"), "10000")
    else:
        equal(box.cgroup_file("cpu.shares"), "2048")
        equal(box.cgroup_file("cpu.cfs_quota_us"), "30000")
        equal(box.cgroup_file("cpu.cfs_period_us"), "50000")
        equal(box.cgroup_file("cpu.cfs_burst_us"), "10000")


@test("cpu.shares: the limits and the default of v1 are those of v2", needs="cgroup v2")
def cpu_weights(box):
    for shares, weight in ((2, "1"), (1024, "100"), (262144, "10000")):
        started(box, cpu={"shares": shares})
        equal(box.cgroup_file("cpu.weight"), weight, "weight of %d shares" % shares)
        box.kill()
        box.runtime("delete", box.id, check=True)


@test("cpu.shares out of bounds are refused on v1, where the kernel would take others", needs="cgroup v1")
def cpu_shares_bounds(box):
    refused(box, "cpu.shares", cpu={"shares": 1})
    refused(box, "cpu.shares", cpu={"shares": 1 << 20})


@test("cpu.idle, and with shares")
def cpu_idle(box):
    started(box, cpu={"idle": 1, "shares": 512})
    equal(box.cgroup_file("cpu.idle"), "1")


@test("cpu.quota throttles")
def cpu_throttles(box):
    resources(box, cpu={"quota": 5000, "period": 100000})
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["ro"])
    stat = "/sys/fs/cgroup/cpu.stat" if box.host.v2_only else "/sys/fs/cgroup/cpu/cpu.stat"
    box.sh("until /bin/busybox grep -q 'nr_throttled [1-9]' %s; do :; done" % stat)


@test("cpu.realtimeRuntime and realtimePeriod on v1", needs="cgroup v1")
def cpu_realtime(box):
    top = "%s/cpu" % CGROUP_ROOT
    if not os.path.exists(top + "/cpu.rt_runtime_us"):
        return refused(box, "cpu.realtime", cpu={"realtimeRuntime": 1000, "realtimePeriod": 200000})
    os.makedirs("%s/%s" % (top, CGROUP), exist_ok=True)
    parent = "%s/%s/cpu.rt_runtime_us" % (top, CGROUP)
    box.at_end.insert(0, lambda: open(parent, "w").write("0"))
    with open(parent, "w") as f:  # what is for the parent to give
        f.write("50000")
    started(box, cpu={"realtimeRuntime": 20000, "realtimePeriod": 2000000})
    equal(box.cgroup_file("cpu.rt_runtime_us"), "20000")
    equal(box.cgroup_file("cpu.rt_period_us"), "2000000")
    box.kill()
    box.runtime("delete", box.id, check=True)


@test("cpu.cpus and cpu.mems are all that a process sees")
def cpuset(box):
    resources(box, cpu={"cpus": "0", "mems": "0"})
    status = box.report("status")["status"]
    equal((status["Cpus_allowed_list"], status["Mems_allowed_list"]), ("0", "0"))
    refused(box, "cpu.cpus", cpu={"cpus": "4000"})


# pids, block devices, huge pages, network, rdma -----------------------------------------------------

@test("pids.limit refuses forks")
def pids_limit(box):
    resources(box, pids={"limit": 5})
    equal(box.run("forks", "20").out, "4\n")


@test("pids.limit: 0 leaves process 1 alone, -1 is unlimited, none leaves it as it is")
def pids_special(box):
    resources(box, pids={"limit": 0})
    equal(box.run("forks", "3").out, "0\n")
    # of a scope systemd limits the tasks by default
    for limit in ({"limit": -1}, {}) if box.host.has["cgroupfs driver"] else ({"limit": -1},):
        started(box, pids=limit)
        equal(box.cgroup_file("pids.max"), "max")
        box.kill()
        box.runtime("delete", box.id, check=True)


def block_device():
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "ram", "zram")):
            return open("/sys/block/%s/dev" % name).read().strip()
    return None


def with_loop(box):
    """A block device: the host's first, else a loop device."""
    return block_device() or open("/sys/block/loop0/dev").read().strip()


@test("blockIO: throttle* of a device")
def io_throttle(box):
    if not os.path.isdir("/sys/block") or not os.listdir("/sys/block"):
        raise Failure("the host has no block device")
    device = with_loop(box)
    major, minor = map(int, device.split(":"))
    one = {"major": major, "minor": minor}
    started(box, blockIO={"throttleReadBpsDevice": [dict(one, rate=1 * MB)],
                          "throttleWriteBpsDevice": [dict(one, rate=2 * MB)],
                          "throttleReadIOPSDevice": [dict(one, rate=300)],
                          "throttleWriteIOPSDevice": [dict(one, rate=400)]})
    if box.host.v2_only:
        equal(box.cgroup_file("io.max"), "%s rbps=%d wbps=%d riops=300 wiops=400" % (device, MB, 2 * MB))
    else:
        equal(box.cgroup_file("blkio.throttle.read_bps_device"), "%s %d" % (device, MB))
        equal(box.cgroup_file("blkio.throttle.write_bps_device"), "%s %d" % (device, 2 * MB))
        equal(box.cgroup_file("blkio.throttle.read_iops_device"), device + " 300")
        equal(box.cgroup_file("blkio.throttle.write_iops_device"), device + " 400")


@test("blockIO.weight and weightDevice: set, or refused where no scheduler weighs")
def io_weight(box):
    resources(box, blockIO={"weight": 300})
    result = box.create("pause", check=False)
    if result.code:
        return expect("blockIO.weight: no I/O scheduler here weighs" in result.err, result.err)
    for name, text in (("blkio.weight", "300"), ("blkio.bfq.weight", "300"), ("io.bfq.weight", "300"),
                       ("io.weight", "default 2930")):
        try:
            return expect(box.cgroup_file(name).removeprefix("default ") == text.removeprefix("default "),
                          "%s is %s" % (name, box.cgroup_file(name)))
        except Failure as failure:
            if not str(failure).startswith("no "):
                raise
    raise Failure("no file has the weight")


@test("blockIO: a device that does not exist is refused by the field's name")
def io_bad_device(box):
    refused(box, "blockIO.throttleReadBpsDevice",
            blockIO={"throttleReadBpsDevice": [{"major": 4000, "minor": 1, "rate": MB}]})


def pool(box, pages):
    """Reserve huge pages of 2 MB, as soon as there is memory in one piece."""
    path = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    before = int(open(path).read())

    def reserve(count):
        with open(path, "w") as f:
            f.write(str(count))
        return int(open(path).read()) - before

    box.at_end.append(lambda: reserve(before))
    for name in (None, "compact_memory", "drop_caches", "compact_memory"):
        if name and os.path.exists("/proc/sys/vm/" + name):
            with open("/proc/sys/vm/" + name, "w") as f:
                f.write("1")
        if reserve(before + pages) >= pages:
            return
    raise Failure("no huge pages to be had: %d of %d" % (int(open(path).read()) - before, pages))


@test("hugepageLimits: what is above is refused when it is mapped")
def hugepages(box):
    pool(box, 3)
    resources(box, hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MB}])
    equal(box.run("hugepages", "3").out, "mapped\nmapped\nrefused\n")


@test("hugepageLimits: a size that is not there, and one that is a path, are refused")
def hugepages_bad(box):
    refused(box, "hugepageLimits", hugepageLimits=[{"pageSize": "3MB", "limit": MB}])
    resources(box, hugepageLimits=[{"pageSize": "2MB/../x", "limit": MB}])
    box.fails("hugepageLimits", "exit", "0")


@test("network.classID and priorities where the controller is missing are refused by name", needs="cgroup v1")
def network_missing(box):
    if "net_cls" not in box.host.v1:
        refused(box, "network.classID", network={"classID": 0x100001})
    if "net_prio" not in box.host.v1:
        refused(box, "network.priorities", network={"priorities": [{"name": "lo", "priority": 3}]})
    resources(box, network={"classID": 0})
    box.run("exit", "0")


def controllers():
    return {line.split()[0] for line in open("/proc/cgroups") if not line.startswith("#")}


def mount_v1(box, controller):
    """A v1 hierarchy that the host has not mounted, for the runtime to find; where it is."""
    at = os.path.join(box.suite.work, controller)
    os.makedirs(at)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"cgroup", at.encode(), b"cgroup", 0, controller.encode()):
        raise OSError(ctypes.get_errno(), "mount " + controller)

    def remove():
        box.runtime("delete", "--force", box.id)
        path = os.path.join(at, CGROUP)
        if os.path.isdir(path):
            os.rmdir(path)
        libc.umount2(at.encode(), 2)
        # The hierarchy goes some time after its last mount, or stays if a removed cgroup was not quite gone.
        for attempt in range(1, 6001):
            if any(line.split()[:2] == [controller, "0"] for line in open("/proc/cgroups")):
                break
            time.sleep(0.01)
            if attempt % 50 == 0 and libc.mount(b"cgroup", at.encode(), b"cgroup", 0, controller.encode()) == 0:
                libc.umount2(at.encode(), 2)
        os.rmdir(at)
    box.at_end.append(remove)
    return os.path.join(at, CGROUP, box.id)


@test("network.priorities on v1", needs="cgroup v1")
def network_priorities(box):
    if "net_prio" not in controllers():
        return refused(box, "network.priorities", network={"priorities": [{"name": "lo", "priority": 3}]})
    at = os.path.join(CGROUP_ROOT, "net_prio", CGROUP, box.id) if "net_prio" in box.host.v1 else \
        mount_v1(box, "net_prio")
    started(box, network={"priorities": [{"name": "lo", "priority": 3}]})
    expect("lo 3\n" in open(at + "/net_prio.ifpriomap").read(), "the priority is not set")


@test("network.classID on v1", needs="cgroup v1")
def network_class(box):
    if "net_cls" not in controllers():
        return refused(box, "network.classID", network={"classID": 0x100001})
    at = os.path.join(CGROUP_ROOT, "net_cls", CGROUP, box.id) if "net_cls" in box.host.v1 else \
        mount_v1(box, "net_cls")
    started(box, network={"classID": 0x100001})
    equal(open(at + "/net_cls.classid").read(), "%d\n" % 0x100001)


@test("rdma: an unknown device, or a missing controller, is refused by name")
def rdma(box):
    refused(box, "rdma", rdma={"no_such_device": {"hcaHandles": 3, "hcaObjects": 10}})


# unified ------------------------------------------------------------------------------------------

@test("unified: files of v2, of several lines too", needs="cgroup v2")
def unified(box):
    device = with_loop(box)
    started(box, unified={"memory.high": "50331648", "pids.max": "33", "cpu.weight": "77",
                          "io.max": "%s rbps=1048576\n%s wiops=99" % (device, device)})
    equal(box.cgroup_file("memory.high"), "50331648")
    equal(box.cgroup_file("pids.max"), "33")
    equal(box.cgroup_file("cpu.weight"), "77")
    equal(box.cgroup_file("io.max"), device + " rbps=1048576 wbps=max riops=max wiops=99")


@test("unified: unknown files and controllers, and paths, are refused", needs="cgroup v2")
def unified_bad(box):
    refused(box, "unified", unified={"memory.nonsense": "1"})
    result = refused(box, "unified", unified={"nonsense.max": "1"})
    expect("controller 'nonsense' is not available" in result.err, result.err)
    resources(box, unified={"../memory.max": "1"})
    box.fails("unified", "exit", "0")


@test("unified on v1: only what the unified tree has is taken", needs="cgroup v1")
def unified_hybrid(box):
    refused(box, "unified", unified={"memory.max": str(64 * MB)})
    in_v2 = open(CGROUP_ROOT + "/unified/cgroup.controllers").read().split() \
        if os.path.exists(CGROUP_ROOT + "/unified/cgroup.controllers") else []
    if "hugetlb" in in_v2:
        started(box, unified={"hugetlb.2MB.max": str(4 * MB)})
        equal(box.cgroup_file("hugetlb.2MB.max"), str(4 * MB))


def pure_v1(box):
    """The runtime sees no unified tree."""
    script = 'umount %s/unified && exec "$@"' % CGROUP_ROOT
    box.prefix = ["unshare", "-m", "/bin/sh", "-c", script, "sh", *box.prefix]


@test("unified without a unified tree is refused", needs="cgroup v1")
def unified_v1(box):
    pure_v1(box)
    refused(box, "unified", unified={"hugetlb.2MB.max": str(4 * MB)})


# devices ------------------------------------------------------------------------------------------

DENY = {"allow": False, "access": "rwm"}


def allow(kind, major, minor, access, **rest):
    return dict(allow=True, type=kind, major=major, minor=minor, access=access, **rest)


def seen(box, *devices, rules):
    """What mknod, open to read, and open to write say, of /dev/mem (1:1) and others."""
    resources(box, devices=rules)
    return [line.split() for line in box.run("devices", *devices).out.splitlines()]


@test("devices: nothing but the pseudo-devices by default; any node may be made")
def devices_default(box):
    mem, null = seen(box, "c:1:1", "c:1:3", rules=[DENY])
    equal(mem, ["ok", "EPERM", "EPERM"])
    equal(null, ["ok", "ok", "ok"])


@test("devices: allowed by number, and by access")
def devices_access(box):
    # a character device that no driver has: ENXIO says that it would have been opened
    both, read, write, other = seen(box, "c:240:1", "c:240:2", "c:240:3", "c:240:4", rules=[
        DENY, allow("c", 240, 1, "rw"), allow("c", 240, 2, "r"), allow("c", 240, 3, "w")])
    equal(both, ["ok", "ENXIO", "ENXIO"])
    equal(read, ["ok", "ENXIO", "EPERM"])
    equal(write, ["ok", "EPERM", "ENXIO"])
    equal(other, ["ok", "EPERM", "EPERM"])


@test("devices: the last rule that matches decides; block and character devices differ")
def devices_order(box):
    rules = [DENY, {"allow": True, "type": "c", "major": 240, "access": "rwm"},
             {"allow": False, "type": "c", "major": 240, "minor": 5, "access": "w"}]
    if box.host.v2_only:  # v1 has no exceptions within what it allows
        equal(seen(box, "c:240:5", "c:240:6", rules=rules), [["ok", "ENXIO", "EPERM"], ["ok", "ENXIO", "ENXIO"]])
    equal(seen(box, "b:240:6", rules=rules[:2]), [["ok", "EPERM", "EPERM"]])
    equal(seen(box, "c:240:7", rules=[DENY, {"allow": True, "access": "rwm"}]), [["ok", "ENXIO", "ENXIO"]])
    equal(seen(box, "c:240:7", "c:240:8", rules=[
        {"allow": True, "access": "rwm"}, {"allow": False, "type": "c", "major": 240, "minor": 7, "access": "rw"}]),
        [["ok", "EPERM", "EPERM"], ["ok", "ENXIO", "ENXIO"]])


def attached(directory):
    """The ids of a cgroup's device programs: bpf(2), BPF_PROG_QUERY."""
    ids = (ctypes.c_uint32 * 64)()
    fd = os.open(directory, os.O_RDONLY)
    attr = ctypes.create_string_buffer(struct.pack("=IIIIQI", fd, 6, 0, 0, ctypes.addressof(ids), 64), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(321, 16, attr, 128)
    os.close(fd)
    if result < 0:
        raise OSError(ctypes.get_errno(), "BPF_PROG_QUERY")
    return list(ids[:struct.unpack_from("=I", attr.raw, 24)[0]])


@test("devices on v2: containers with the same rules share one program", needs=("cgroup v2", "cgroupfs driver"))
def devices_shared(box):
    libc = ctypes.CDLL(None, use_errno=True)
    pins = "/sys/fs/bpf"
    if not os.path.ismount(pins) and libc.mount(b"bpf", pins.encode(), b"bpf", 0, None):
        raise OSError(ctypes.get_errno(), "mount a BPF file system")
    rules = [DENY] + [allow("c", 240, minor, "rwm") for minor in range(30)]
    found = []
    for round_ in range(3):
        resources(box, devices=rules if round_ < 2 else rules[:-1]).start()
        programs = attached(box.cgroup_dirs()[0])
        equal(len(programs), 1, "programs attached")
        found += programs
        box.kill()
        box.runtime("delete", box.id, check=True)
    equal(found[0], found[1], "programs of the same rules")
    expect(found[2] != found[0], "other rules, the same program")


# place and life -------------------------------------------------------------------------------------

def own_path():
    for line in open("/proc/self/cgroup"):
        if line.startswith("0::"):
            return line.strip()[3:]
    return "/"


def paths_of(pid):
    """Its paths in all hierarchies that are mounted."""
    mounted = "".join(line for line in open("/proc/self/mountinfo") if " cgroup " in line)
    lines = [line.strip().split(":", 2) for line in open("/proc/%d/cgroup" % pid)]
    return {path for _, controllers, path in lines if controllers in mounted}


@test("cgroupsPath: absolute, cleaned, nested; the process is in it everywhere", needs="cgroupfs driver")
def path_absolute(box):
    box.linux["cgroupsPath"] = "/%s//a/./b/../%s/" % (CGROUP, box.id)
    make_cgroup(box, "/%s/a" % CGROUP)
    box.start()
    equal(paths_of(box.pid()), {"/%s/a/%s" % (CGROUP, box.id)})
    box.kill()
    box.runtime("delete", box.id, check=True)
    expect(not os.path.exists("%s/%s/a/%s" % (CGROUP_ROOT, CGROUP, box.id)), "it is still there")


@test("cgroupsPath: relative and default paths begin beside the caller's cgroup on v2, at the root on v1",
      needs="cgroupfs driver")
def path_relative(box):
    base = os.path.dirname(own_path()).rstrip("/") if box.host.v2_only else ""
    box.linux["cgroupsPath"] = "%s/%s" % (CGROUP, box.id)
    box.start()
    equal(paths_of(box.pid()), {"%s/%s/%s" % (base, CGROUP, box.id)})
    box.kill()
    box.runtime("delete", box.id, check=True)
    del box.linux["cgroupsPath"]
    box.start()
    equal(paths_of(box.pid()), {base + "/" + box.id})
    box.kill()
    box.runtime("delete", box.id, check=True)


@test("a cgroup with processes, in it or below, is refused", needs="cgroupfs driver")
def path_busy(box):
    path = "/%s/%s" % (CGROUP, box.id)
    for where in (path, path + "/below"):
        make_cgroup(box, path)
        directory = [d for d in make_cgroup(box, where) if "/pids/" in d or box.host.v2_only][0]
        sleeper = subprocess.Popen(["sleep", "1000"])
        with open(directory + "/cgroup.procs", "w") as f:
            f.write(str(sleeper.pid))
        box.process["args"] = ["/payload", "exit", "0"]
        try:
            box.fails("is in use")
        finally:
            sleeper.kill()
            sleeper.wait()
        for function in reversed(box.at_end):
            function()
        box.at_end.clear()


@test("an empty cgroup of the same name is used, without its limits", needs="cgroupfs driver")
def path_stale(box):
    make_cgroup(box, "/%s/%s" % (CGROUP, box.id), **{"pids.max": "1"})
    equal(box.run("forks", "3").out, "3\n")
    equal(box.cgroup_dirs(), [])


@test("a cgroup that somebody else owns is used as it is; frozen it is refused", needs="cgroupfs driver")
def path_prepared(box):
    path = "/%s/%s" % (CGROUP, box.id)

    def prepare(**files):
        for directory in make_cgroup(box, path, **files):
            os.chown(directory, 12345, 12345)
    prepare(**{"pids.max": "3"})
    equal(box.run("forks", "5").out, "2\n")
    prepare(**{"freezer.state": "FROZEN", "cgroup.freeze": "1"})
    box.fails("is frozen", "exit", "0")


@test("a cgroup with empty ones below is used, and goes with the container", needs=("cgroupfs driver", "cgroup v2"))
def path_nested(box):
    make_cgroup(box, "/%s/%s/below" % (CGROUP, box.id))
    box.run("exit", "0")
    equal(box.cgroup_dirs(), [])


@test("delete removes what was made below the cgroup meanwhile")
def removal_nested(box):
    box.start()
    for directory in box.cgroup_dirs():
        os.makedirs(os.path.join(directory, "one/two"))
    box.kill()
    box.runtime("delete", box.id, check=True)
    equal(box.cgroup_dirs(), [])


@test("delete --force ends a fork bomb")
def fork_bomb(box):
    resources(box, pids={"limit": 60})
    box.start("bomb")
    box.runtime("delete", "--force", box.id, check=True)
    equal(box.cgroup_dirs(), [])


@test("delete --force ends a fork bomb on v1 alone, without cgroup.kill", needs="cgroup v1")
def fork_bomb_v1(box):
    pure_v1(box)
    resources(box, pids={"limit": 60})
    box.start("bomb")
    box.runtime("delete", "--force", box.id, check=True)
    expect(not os.path.exists("%s/pids/%s/%s" % (CGROUP_ROOT, CGROUP, box.id)), "its cgroup is still there")


@test("root of a user namespace owns its cgroup where it is mounted writable", needs="cgroup v2")
def delegation(box):
    box.user_namespace()
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["nosuid", "noexec", "nodev"])
    out = box.sh("mkdir /sys/fs/cgroup/mine && echo $$ >/sys/fs/cgroup/mine/cgroup.procs && cat /proc/self/cgroup").out
    equal(out, "0::/mine\n")


@test("no cgroup is owned by it where it is read-only", needs="cgroup v2")
def no_delegation(box):
    box.user_namespace()
    box.start()
    equal([os.stat(directory).st_uid for directory in box.cgroup_dirs()], [0])


# systemd ------------------------------------------------------------------------------------------

@test("--systemd-cgroup without systemd says so", needs="cgroupfs driver")
def systemd_missing(box):
    if box.host.has["systemd"]:
        return
    box.global_options.append("--systemd-cgroup")
    del box.linux["cgroupsPath"]
    box.fails("systemd is not running", "exit", "0")


def unit_of(box):
    return "vessel-%s.scope" % box.id


def show(unit, *names):
    out = subprocess.run(["systemctl", "show", unit, *("--property=" + name for name in names)],
                         capture_output=True, text=True, check=True).stdout
    got = {}
    for line in out.splitlines():  # a list has a line for each
        name, _, value = line.partition("=")
        got[name] = got[name] + "\n" + value if name in got else value
    return got


def with_systemd(box):
    if "--systemd-cgroup" not in box.global_options:
        box.global_options.append("--systemd-cgroup")
    box.linux["cgroupsPath"] = "vesseltest.slice:vessel:" + box.id


@test("systemd: a scope in its slice, delegated, and gone with the container", needs="systemd")
def systemd_scope(box):
    with_systemd(box)
    box.start()
    got = show(unit_of(box), "ActiveState", "Slice", "Delegate", "ControlGroup", "Description")
    equal(got, {"ActiveState": "active", "Slice": "vesseltest.slice", "Delegate": "yes",
                "ControlGroup": "/vesseltest.slice/" + unit_of(box), "Description": "container " + box.id})
    equal(paths_of(box.pid()), {"/vesseltest.slice/" + unit_of(box)})
    box.kill()
    box.runtime("delete", box.id, check=True)
    becomes(lambda: show(unit_of(box), "LoadState", "ActiveState"), {"LoadState": "not-found", "ActiveState": "inactive"})


@test("systemd: limits are properties, and files", needs=("systemd", "cgroup v2"))
def systemd_limits(box):
    with_systemd(box)
    started(box, memory={"limit": 64 * MB, "swap": 96 * MB, "reservation": 16 * MB}, pids={"limit": 44},
            cpu={"shares": 2048, "quota": 25500, "period": 50000, "cpus": "0", "mems": "0"},
            unified={"memory.high": str(48 * MB)})
    got = show(unit_of(box), "MemoryMax", "MemorySwapMax", "MemoryLow", "MemoryHigh", "TasksMax", "CPUWeight",
               "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "AllowedCPUs", "AllowedMemoryNodes")
    equal(got, {"MemoryMax": str(64 * MB), "MemorySwapMax": str(32 * MB), "MemoryLow": str(16 * MB),
                "MemoryHigh": str(48 * MB), "TasksMax": "44", "CPUWeight": "174", "CPUQuotaPerSecUSec": "510ms",
                "CPUQuotaPeriodUSec": "50ms", "AllowedCPUs": "0", "AllowedMemoryNodes": "0"})
    files = {"memory.max": str(64 * MB), "memory.swap.max": str(32 * MB), "pids.max": "44", "cpu.weight": "174",
             "cpu.max": "25500 50000", "cpuset.cpus": "0", "memory.high": str(48 * MB)}
    equal({name: box.cgroup_file(name) for name in files}, files)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    del files["cpu.max"]  # systemd rounds to whole percents, in its own time
    equal({name: box.cgroup_file(name) for name in files}, files, "after systemd has reloaded")
    quota, period = map(int, box.cgroup_file("cpu.max").split())
    expect(0.5 <= quota / period <= 0.52, "cpu.max after systemd has reloaded: %d of %d" % (quota, period))


@test("systemd: the device policy, which a reload does not change", needs="systemd")
def systemd_devices(box):
    with_systemd(box)
    resources(box, devices=[DENY, allow("c", 1, 1, "r"), allow("c", 240, 3, "rw"), allow("b", 7, 0, "r")])
    box.start()
    got = show(unit_of(box), "DevicePolicy", "DeviceAllow")
    equal(got["DevicePolicy"], "strict")
    for line in ("/dev/char/1:1 r", "/dev/block/7:0 r", "/dev/char/1:3 rwm", "char-* m"):
        expect(line in got["DeviceAllow"], "%s is not in %s" % (line, got["DeviceAllow"]))
    for _ in range(2):
        out = box.exec("devices", "c:240:3", "c:240:4", "c:1:3").out.splitlines()
        equal(out, ["ok ENXIO ENXIO", "ok EPERM EPERM", "ok ok ok"])
        subprocess.run(["systemctl", "daemon-reload"], check=True)


@test("systemd: annotations are properties of the unit", needs="systemd")
def systemd_properties(box):
    with_systemd(box)
    box.config["annotations"] = {"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.Nonsense!": "1"}
    box.fails("Nonsense!", "exit", "0")
    box.config["annotations"] = {"org.systemd.property.TimeoutStopUSec": "'soon'"}
    box.fails("TimeoutStopUSec|[Uu]nit", "exit", "0")
    box.config["annotations"] = {"org.systemd.property.TimeoutStopSec": "7",
                                 "org.systemd.property.Description": "'a test'",
                                 "org.systemd.property.Documentation": "['man:true(1)', 'man:false(1)']"}
    box.start()
    got = show(unit_of(box), "TimeoutStopUSec", "Description", "Documentation")
    equal((got["TimeoutStopUSec"], got["Description"]), ("7s", "a test"))
    expect("man:true(1)" in got["Documentation"] and "man:false(1)" in got["Documentation"], got)


@test("systemd: a unit of this name is refused, and lives on", needs="systemd")
def systemd_conflict(box):
    with_systemd(box)
    subprocess.run(["systemd-run", "--quiet", "--unit=" + unit_of(box).removesuffix(".scope"), "--scope", "--",
                    "sh", "-c", "sleep 1000 >/dev/null 2>&1 &"], check=True)
    try:
        result = box.run("exit", "0", check=False)
        expect(result.code != 0 and "already" in result.err, "%d %s" % (result.code, result.err))
        equal(show(unit_of(box), "ActiveState")["ActiveState"], "active")
    finally:
        subprocess.run(["systemctl", "stop", unit_of(box)], check=True)


@test("systemd: bad paths are refused", needs="systemd")
def systemd_paths(box):
    with_systemd(box)
    for path in ("/absolute/path", "a:b", "bad/slice:a:b", "notaslice:a:b", "a--b.slice:a:b", "system.slice:a:b.slice",
                 "system.slice:a:b c"):
        box.linux["cgroupsPath"] = path
        box.fails("linux.cgroupsPath", "exit", "0")


@test("systemd: defaults of slice, prefix and name; nested slices", needs="systemd")
def systemd_defaults(box):
    with_systemd(box)
    for path, wanted in ((None, "/system.slice/vessel-%s.scope"), ("::", "/system.slice/vessel-%s.scope"),
                         ("vesseltest-a-b.slice:x:", "/vesseltest.slice/vesseltest-a.slice/vesseltest-a-b.slice/x-%s.scope"),
                         ("-.slice:y:", "/y-%s.scope")):
        if path is None:
            del box.linux["cgroupsPath"]
        else:
            box.linux["cgroupsPath"] = path
        box.start()
        equal(paths_of(box.pid()), {wanted % box.id})
        box.kill()
        box.runtime("delete", box.id, check=True)


@test("systemd: update changes properties and files", needs=("systemd", "cgroup v2"))
def systemd_update(box):
    with_systemd(box)
    started(box, memory={"limit": 64 * MB}, pids={"limit": 44})
    box.runtime("update", "--pids-limit", "55", "--memory", str(80 * MB), box.id, check=True)
    equal(show(unit_of(box), "TasksMax", "MemoryMax"), {"TasksMax": "55", "MemoryMax": str(80 * MB)})
    equal((box.cgroup_file("pids.max"), box.cgroup_file("memory.max")), ("55", str(80 * MB)))


@test("systemd: a user's own manager makes the scope of his container", needs=("systemd", "cgroup v2"))
def systemd_user(box):
    rootless(box)
    user = pwd.getpwnam("daemon")  # a manager wants to be somebody
    box.popen.update(user=user.pw_uid, group=user.pw_gid)
    box.linux["uidMappings"], box.linux["gidMappings"] = [mapping(0, user.pw_uid)], [mapping(0, user.pw_gid)]
    own(box, user.pw_uid, user.pw_gid)
    service, runtime_dir = "vessel-manager-%s.service" % box.id, os.path.join("/run", "vessel-manager-" + box.id)
    os.mkdir(runtime_dir, 0o700)
    os.chown(runtime_dir, user.pw_uid, -1)

    def end():
        box.runtime("delete", "--force", box.id)
        subprocess.run(["systemctl", "stop", service], check=True)
        subprocess.run(["rm", "-rf", runtime_dir], check=True)
    box.at_end.append(end)
    manager = subprocess.run(
        ["systemd-run", "--quiet", "--unit=" + service, "--uid=%d" % user.pw_uid, "--property=Type=notify",
         "--property=Delegate=yes", "--property=TimeoutStartSec=300", "--setenv=XDG_RUNTIME_DIR=" + runtime_dir, "--setenv=HOME=/",
         "/lib/systemd/systemd", "--user"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    expect(manager.returncode == 0, manager.stdout + subprocess.run(
        ["journalctl", "--no-pager", "--lines=20", "--output=cat", "--unit=" + service], capture_output=True, text=True).stdout)
    box.popen["env"]["XDG_RUNTIME_DIR"] = runtime_dir
    box.global_options.append("--systemd-cgroup")
    box.linux["resources"] = {"pids": {"limit": 17}}
    box.start()
    scope = "/system.slice/%s/user.slice/%s" % (service, unit_of(box))
    equal(paths_of(box.pid()), {scope})
    equal(open(CGROUP_ROOT + scope + "/pids.max").read(), "17\n")
    box.kill()
    box.runtime("delete", box.id, check=True)
    becomes(lambda: os.path.exists(CGROUP_ROOT + scope), False, "the scope is there")
