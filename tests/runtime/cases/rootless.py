"""vessel-runtime started by an ordinary user: no privileges but those in a user namespace of its own."""

import array
import ctypes
import os
import shutil
import socket
import subprocess

from harness import CGROUP_ROOT, LIMIT_S, TOP, equal, expect, has_ended, test, until

UID, GID = 12345, 12346  # nobody in /etc/passwd
RANGE = 700000           # what subuid(5) grants him in some cases
LIBC = ctypes.CDLL(None, use_errno=True)
MS_BIND = 4096


def rootless(box, **env):
    """Make the box the user's own, with a single mapping, as `spec --rootless` would have it."""
    box.popen = {"user": UID, "group": GID, "extra_groups": [], "env": {"PATH": "/usr/bin:/bin", **env}}
    box.root = os.path.join(box.dir, "state")
    box.global_options = []  # no systemd of his own is running
    box.without_namespace("network")
    box.namespace("user")
    box.linux["uidMappings"] = [mapping(0, UID)]
    box.linux["gidMappings"] = [mapping(0, GID)]
    del box.linux["cgroupsPath"], box.linux["resources"]
    own(box)


def mapping(inside, outside, size=1):
    return {"containerID": inside, "hostID": outside, "size": size}


def own(box, uid=UID, gid=GID):
    os.chown(box.dir, uid, gid)
    for directory, names, files in os.walk(box.rootfs):
        os.chown(directory, uid, gid)
        for name in names + files:
            path = os.path.join(directory, name)
            if os.lstat(path).st_nlink < 2 or os.path.isdir(path):
                os.chown(path, uid, gid, follow_symlinks=False)


def over(box, path, text):
    """Another file over one of the host's, in the suite's mount namespace alone."""
    source = os.path.join(box.dir, os.path.basename(path))
    with open(source, "w") as f:
        f.write(text)
    if not os.path.exists(path):
        open(path, "w").close()
        box.at_end.append(lambda: os.unlink(path))
    if LIBC.mount(source.encode(), path.encode(), None, MS_BIND, None):
        raise OSError(ctypes.get_errno(), path)
    box.at_end.append(lambda: LIBC.umount2(path.encode(), 2))


def grant(box, tools=True):
    """subuid(5) and subgid(5) grant the user a range each, and newuidmap(1) is there to be asked."""
    rootless(box)
    over(box, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nbox:x:%d:%d::/:/bin/sh\n" % (UID, GID))
    over(box, "/etc/subuid", "box:%d:65536\n" % RANGE)
    over(box, "/etc/subgid", "box:%d:65536\n" % (2 * RANGE))
    directory = os.path.join(box.dir, "tools")
    os.mkdir(directory)
    for tool in ("newuidmap", "newgidmap") if tools else ():
        peers = os.path.join(TOP, "build/peers/uidmap/usr/bin")
        source = os.path.join(peers, tool) if os.path.isdir(peers) else shutil.which(tool)
        expect(source, "no %s: see tools/peers" % tool)
        shutil.copy(source, directory)
        os.chmod(os.path.join(directory, tool), 0o4755)
    box.popen["env"]["PATH"] = directory
    box.linux["uidMappings"] = [mapping(0, UID), mapping(1, RANGE, 65536)]
    box.linux["gidMappings"] = [mapping(0, GID), mapping(1, 2 * RANGE, 65536)]


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


@test("his own id under another one")
def other_id(box):
    rootless(box)
    box.linux["uidMappings"] = [mapping(1000, UID)]
    box.fails(r"linux\.uidMappings: 0 is not mapped")


@test("create, start, state, kill, delete")
def life(box):
    rootless(box)
    box.create("pause")
    equal(box.status(), "created")
    box.runtime("start", box.id, check=True)
    equal(box.status(), "running")
    box.kill()
    equal(box.status(), "stopped")
    box.runtime("delete", box.id, check=True)
    equal(box.exists(), False)


@test("delete --force of a running container")
def force(box):
    rootless(box)
    box.start("pause")
    pidfd = os.pidfd_open(box.pid())
    box.runtime("delete", "--force", box.id, check=True)
    has_ended(pidfd, 0)


@test("exec into a running container")
def exec_(box):
    rootless(box)
    box.start("pause")
    report = box.exec("report", "ids", "namespaces", "fds", "status").json()
    equal((report["ids"]["uid"], report["ids"]["gid"]), (0, 0))
    expect(report["ids"]["pid"] > 1, "no pid namespace")
    for kind in ("user", "pid", "mnt", "ipc", "uts"):
        expect(report["namespaces"][kind] != os.readlink("/proc/self/ns/" + kind), "not in the container's " + kind)
    equal([fd for fd in report["fds"] if int(fd) > 2], [])
    equal(box.exec("/bin/sh", "-c", "exit 9", check=False).code, 9)
    result = box.exec("/nowhere", check=False)
    expect("no such file" in result.err, result.err)


@test("exec with a range of ids, as another user", needs="programs that change the user")
def exec_range(box):
    grant(box)
    box.start("pause")
    report = box.exec("report", "ids", options=("--user", "1000:1001", "--additional-gids", "5"))
    equal([report.json()["ids"][key] for key in ("uid", "gid", "groups")], [1000, 1001, [5]])


@test("list, ps, kill --all without a cgroup")
def processes(box):
    rootless(box)
    box.start("/bin/sh", "-c", "sleep 1000 & sleep 1000; exit 3")

    def pids():
        return box.runtime("ps", "--format", "json", box.id, check=True).json()

    until(lambda: len(pids()) == 3, "three processes")
    expect(box.id in box.runtime("list", check=True).out, "not in the list")
    pidfds = [os.pidfd_open(pid) for pid in pids()]
    box.runtime("kill", "--all", box.id, "KILL", check=True)
    for pidfd in pidfds:
        has_ended(pidfd)
    equal(box.status(), "stopped")


@test("pause is refused without a cgroup")
def pause(box):
    rootless(box)
    box.start("pause")
    result = box.runtime("pause", box.id)
    expect(result.code != 0 and "cgroup" in result.err, result.err)


@test("the default of --root: $XDG_RUNTIME_DIR, or a directory of his own in /tmp")
def default_root(box):
    rootless(box)
    box.write()
    command = [box.suite.runtime, "run", "--bundle", box.dir, box.id]
    for where in (os.path.join(box.dir, "xdg"), None):
        env = {"PATH": "/bin", **({"XDG_RUNTIME_DIR": where} if where else {})}
        state = where + "/vessel-runtime" if where else "/tmp/vessel-runtime-%d" % UID
        shutil.rmtree(state, ignore_errors=True)
        if where:
            os.mkdir(where)
            os.chown(where, UID, GID)
        try:
            done = subprocess.run([*command[:1], "list"], user=UID, group=GID, extra_groups=[], env=env, timeout=LIMIT_S,
                                  capture_output=True, text=True)
            equal(done.returncode, 0, done.stderr)
            status = os.stat(state)
            equal((status.st_mode & 0o7777, status.st_uid), (0o1700, UID))
            done = subprocess.run(command, user=UID, group=GID, extra_groups=[], env=env, timeout=LIMIT_S,
                                  capture_output=True, text=True)
            equal(done.returncode, 0, done.stderr)
            if not where:
                os.chown(state, UID + 1, GID)
                done = subprocess.run(command, user=UID, group=GID, extra_groups=[], env=env, timeout=LIMIT_S,
                                      capture_output=True, text=True)
                expect(done.returncode == 1 and "belongs to another user" in done.stderr, done.stderr)
        finally:
            shutil.rmtree(state)


@test("--rootless is auto, true or false")
def option(box):
    rootless(box)
    for word, good in (("auto", True), ("true", True), ("false", False), ("perhaps", False)):
        box.global_options = ["--rootless", word]
        result = box.run("exit", "0", check=False)
        equal(result.code == 0, good, "%s: %s" % (word, result.err))
    box.global_options = []


@test("a network namespace of its own, with loopback")
def network(box):
    rootless(box)
    box.namespace("network")
    out = box.sh("ip addr show lo; cat /proc/self/mountinfo").out
    expect("127.0.0.1" in out, out)
    expect([line for line in out.splitlines() if " /sys " in line and "- sysfs " in line], "no sysfs")


@test("without a network namespace, the host's /sys is bound read-only with all below it")
def sys(box):
    rootless(box)
    out = box.sh("cat /proc/self/mountinfo").out
    lines = [line.split() for line in out.splitlines() if " /sys" in line]
    expect(lines, out)
    for line in lines:
        expect(line[5].startswith("ro"), "writable: %s" % line[4])


@test("devices are bound and work, for his own processes too")
def devices(box):
    rootless(box)
    out = box.sh("for d in null zero full random urandom tty; do ls -l /dev/$d; done; echo x > /dev/null; "
                 "head -c 3 /dev/zero | cat -v; ls -l /dev/ptmx /dev/stdout").out
    equal(out.count("crw-rw-rw-"), 6, out)
    expect("^@^@^@" in out and "pts/ptmx" in out, out)


@test("without a user namespace an ordinary user is refused")
def no_namespace(box):
    rootless(box)
    box.without_namespace("user")
    del box.linux["uidMappings"], box.linux["gidMappings"]
    box.fails(r"linux\.namespaces: .*user namespace is required")


@test("additional groups are refused with the own group alone")
def groups(box):
    rootless(box)
    box.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [0]}
    box.fails(r"process\.user\.additionalGids")
    box.process["user"] = {"uid": 5, "gid": 0}
    box.fails(r"process\.user\.uid: 5 is not mapped")


@test("another user's id is refused without newuidmap")
def no_tool(box):
    grant(box, tools=False)
    box.fails(r"linux\.uidMappings: .*newuidmap")
    box.linux["uidMappings"] = [mapping(0, 0)]
    box.fails(r"linux\.uidMappings: .*newuidmap")
    box.linux["uidMappings"] = [mapping(0, UID)]
    box.fails(r"linux\.gidMappings: .*newgidmap")


@test("a range of ids by newuidmap and newgidmap", needs="programs that change the user")
def granted(box):
    grant(box)
    box.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 10]}
    report = box.report("ids")["ids"]
    equal((report["uid"], report["gid"], report["groups"]), (1000, 1001, [5, 10]))
    box.process["user"] = {"uid": 0, "gid": 0}
    out = box.sh("cat /proc/self/uid_map /proc/self/gid_map; touch /mine; id -u").out.split()
    equal(out, ["0", str(UID), "1", "1", str(RANGE), "65536",
                "0", str(GID), "1", "1", str(2 * RANGE), "65536", "0"])


@test("a range of user ids with the own group alone", needs="programs that change the user")
def uids_only(box):
    grant(box)
    box.linux["gidMappings"] = [mapping(0, GID)]
    equal(box.sh("cat /proc/self/setgroups").out.strip(), "deny")


@test("ids that nobody has granted are refused, with the tool's own words", needs="programs that change the user")
def not_granted(box):
    grant(box)
    box.linux["uidMappings"] = [mapping(0, UID), mapping(1, RANGE + 1, 65536)]
    box.fails(r"linux\.uidMappings: newuidmap: .*%d" % (RANGE + 1))
    box.linux["uidMappings"] = [mapping(0, UID), mapping(1, RANGE, 65536)]
    box.linux["gidMappings"] = [mapping(0, GID), mapping(1, RANGE, 65536)]
    box.fails(r"linux\.gidMappings: newgidmap: ")


@test("limits are refused where no cgroup may be made, naming the limit")
def limits(box):
    rootless(box)
    for resources, pattern in (({"pids": {"limit": 10}}, r"linux\.resources.*pids"),
                               ({"memory": {"limit": 1 << 26}}, r"linux\.resources.*memory"),
                               ({"cpu": {"quota": 50000, "period": 100000}}, r"linux\.resources.*cpu")):
        box.linux["resources"] = resources
        box.fails(pattern)


@test("a device policy, which only root may set, is nothing he needs")
def device_rules(box):
    rootless(box)
    box.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    box.sh("echo x > /dev/null")


@test("a cgroup that is asked for must be made")
def path(box):
    rootless(box)
    box.linux["cgroupsPath"] = "/box-of-nobody"
    box.fails(r"cgroup '/box-of-nobody'.*ermission denied")


@test("the creator's cgroup is mounted read-only")
def cgroup_mount(box):
    rootless(box)
    box.mount("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["nosuid", "noexec", "nodev", "rw"])
    for cgroupns in (True, False):
        if not cgroupns:
            box.without_namespace("cgroup")
        out = box.sh("cat /proc/self/mountinfo").out
        lines = [line.split() for line in out.splitlines() if " - cgroup" in line]
        at = [line for line in lines if line[4].startswith("/sys/fs/cgroup")]
        expect(at, out)
        for line in at[-1:] if box.host.v2_only else at[-8:]:
            expect(line[5].startswith("ro"), "writable: %s" % line)


def enter(directory):
    with open(os.path.join(directory, "cgroup.procs"), "w") as f:
        f.write("0")


@test("below a delegated cgroup he has cgroups, and limits", needs="cgroup v2")
def delegated(box):
    rootless(box)
    top = os.path.join(CGROUP_ROOT, "delegated-" + box.id)
    session, target = os.path.join(top, "session"), os.path.join(top, box.id)
    os.mkdir(top)
    box.at_end.append(lambda: [os.rmdir(path) for path in (session, top)])
    with open(os.path.join(CGROUP_ROOT, "cgroup.subtree_control"), "w") as f:
        f.write("+pids +memory")
    with open(os.path.join(top, "cgroup.subtree_control"), "w") as f:
        f.write("+pids +memory")
    os.mkdir(session)
    for path in [top, session] + [os.path.join(directory, name) for directory in (top, session)
                                  for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")]:
        os.chown(path, UID, GID)

    before = CGROUP_ROOT + open("/proc/self/cgroup").read().strip().partition("::")[2]
    enter(session)
    box.at_end.append(lambda: enter(before))
    box.linux["resources"] = {"pids": {"limit": 17}, "memory": {"limit": 1 << 26}}
    box.start("pause")
    equal(open(target + "/pids.max").read().strip(), "17")
    equal(open(target + "/memory.max").read().strip(), str(1 << 26))
    expect(str(box.pid()) in open(target + "/cgroup.procs").read(), "not in its cgroup")
    box.runtime("pause", box.id, check=True)
    equal(box.status(), "paused")
    box.runtime("resume", box.id, check=True)
    box.kill()
    box.runtime("delete", box.id, check=True)
    expect(not os.path.exists(target), "the cgroup is left")


@test("a terminal, over a console socket")
def terminal(box):
    rootless(box)
    box.process["terminal"] = True
    address = os.path.join(box.dir, "console")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        os.chmod(address, 0o777)
        listener.listen()
        listener.settimeout(LIMIT_S)
        box.create("/bin/sh", "-c", "ls -l /dev/console; echo $(id -u) on $(readlink /proc/self/fd/0)",
                   options=("--console-socket", address))
        peer, _ = listener.accept()
    fds = array.array("i")
    with peer:
        _, ancillary, _, _ = peer.recvmsg(100, socket.CMSG_SPACE(4))
    fds.frombytes(ancillary[0][2][:4])
    box.runtime("start", box.id, check=True)
    text = b""
    with open(fds[0], "rb", 0) as master:
        try:
            while b"\n" not in text.partition(b" on ")[2]:
                text += master.read(4096)
        except OSError:
            pass
    expect(b"0 on /dev/pts/0" in text.replace(b"\r", b""), text)


@test("seccomp and no new privileges", needs="programs that change the user")
def seccomp(box):
    rootless(box)
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]}
    for no_new_privileges in (False, True):
        box.process["noNewPrivileges"] = no_new_privileges
        status = box.report("status")["status"]
        equal((status["Seccomp"], status["NoNewPrivs"]), ("2", "1" if no_new_privileges else "0"))


@test("hooks run as the user")
def hooks(box):
    rootless(box)
    out = os.path.join(box.dir, "hook")
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/busybox", "args": ["sh", "-c", "id -u > %s" % out]}]}
    box.run("exit", "0")
    equal(open(out).read().strip(), str(UID))
