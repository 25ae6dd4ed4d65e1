#!/usr/bin/python3
"""vessel-runtime in runc's place: containerd by ctr, podman, and dockerd, all from Debian's packages.

Each runs, executes in, stops and removes containers on it.  Private namespaces and directories; what a
caller leaves in /run and /dev/shm is made in a mount namespace of this program's own.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

RUNTIME = vessel.BIN + "/vessel-runtime"
DOCKER_PEER = os.path.join(vessel.TOP, "build/peers/docker-20.10/usr")
DOCKER_28_PEER = os.path.join(vessel.TOP, "build/peers/dockerd-28/usr")
PODMAN_PEER = os.path.join(vessel.TOP, "build/peers/podman")
CGROUP = "/vessel-interop-%07d" % os.getpid()


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


class Caller:
    """A program that calls runtimes, in a directory of its own."""

    def __init__(self, root):
        self.root, self.processes = root, []
        self.env = dict(os.environ, TMPDIR=root)
        self.log = open(root + "/log", "wb")

    def start(self, *command):
        process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.processes.append(process)
        return process

    def run(self, *command, code=0, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        if "input" in popen:
            del popen["stdin"]
        done = subprocess.run(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=5 * vessel.TIMEOUT_S, **popen)  # 127 layers take their time
        if done.returncode != code:
            with open(self.root + "/log", errors="replace") as f:
                raise AssertionError("%s: exit %d\n%s\n%s\n%s" % (
                    " ".join(command), done.returncode, done.stdout.decode(errors="replace"),
                    done.stderr.decode(errors="replace"), f.read()[-2000:]))
        return done.stdout.decode(errors="replace").strip()

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(vessel.TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Containerd(Caller):
    def __init__(self, root):
        super().__init__(root)
        self.env["PATH"] = DOCKER_PEER + "/bin:" + os.environ["PATH"]
        self.address = root + "/containerd.sock"
        self.start(DOCKER_PEER + "/bin/containerd", "--root", root + "/containerd", "--state", root + "/state",
                   "--address", self.address)
        vessel.wait_until("containerd answers", lambda: subprocess.run(
            [DOCKER_PEER + "/bin/ctr", "--address", self.address, "version"], capture_output=True).returncode == 0)
        self.image(root)

    def ctr(self, *args, **rest):
        return self.run(DOCKER_PEER + "/bin/ctr", "--address", self.address, *args, **rest)

    def image(self, root):
        """Busybox as an archive for `ctr image import`."""
        with open(root + "/busybox.tar", "wb") as f:
            f.write(vessel.image_archive(vessel.busybox_tar(), "docker.io/library/busybox:latest"))
        self.ctr("image", "import", root + "/busybox.tar")

    def create(self, *options):
        return ("run", "--runc-binary", RUNTIME, "--runc-root", self.root + "/runtime", "--cgroup", CGROUP + "/ctr",
                *options, "docker.io/library/busybox:latest")


def containerd_runs(c):
    check(c.ctr(*c.create("--rm"), "one", "echo", "hello"), "hello", "output")
    c.ctr(*c.create("--rm"), "two", "sh", "-c", "exit 7", code=7)


def containerd_memory(c):
    c.ctr(*c.create("--detach", "--memory-limit", "33554432"), "three", "sleep", "1000")
    with open("/sys/fs/cgroup/memory%s/ctr/memory.limit_in_bytes" % CGROUP) as f:
        check(f.read().strip(), "33554432", "memory limit")
    c.ctr("task", "rm", "--force", "three")
    c.ctr("container", "rm", "three")


def containerd_life(c):
    c.ctr(*c.create("--detach"), "four", "sleep", "1000")
    listed = c.ctr("task", "ls")
    assert "four" in listed and "RUNNING" in listed, listed
    assert os.listdir(c.root + "/runtime/default") == ["four"], "the state is not vessel-runtime's"
    check(c.ctr("task", "exec", "--exec-id", "e1", "four", "echo", "inside"), "inside", "exec")
    c.ctr("task", "exec", "--exec-id", "e2", "four", "sh", "-c", "exit 5", code=5)
    vessel.wait_until("its process is the only one", lambda: len(c.ctr("task", "ps", "four").splitlines()) == 2)
    c.ctr("task", "pause", "four")
    assert "PAUSED" in c.ctr("task", "ls")
    c.ctr("task", "resume", "four")
    c.ctr("task", "kill", "-s", "SIGKILL", "four")
    vessel.wait_until("the task stops", lambda: "STOPPED" in c.ctr("task", "ls"))
    c.ctr("task", "rm", "four")
    c.ctr("container", "rm", "four")
    check(os.listdir(c.root + "/runtime/default"), [], "state left")


class Podman(Caller):
    LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")  # its defaults need CAP_SYS_RESOURCE
    driver = "vfs"

    def __init__(self, root):
        super().__init__(root)
        libraries = (PODMAN_PEER + "/usr/lib/x86_64-linux-gnu", PODMAN_PEER + "/lib/x86_64-linux-gnu")
        self.env.update(LD_LIBRARY_PATH=":".join(libraries), CONTAINERS_CONF=root + "/containers.conf",
                        PATH=PODMAN_PEER + "/usr/bin:" + os.environ["PATH"])
        with open(root + "/containers.conf", "w") as f:
            f.write('[containers]\nseccomp_profile = "%s/usr/share/containers/seccomp.json"\n'
                    '[engine]\nconmon_path = ["%s/usr/bin/conmon"]\ncgroup_manager = "cgroupfs"\n'
                    'events_logger = "file"\n' % (PODMAN_PEER, PODMAN_PEER))
        self.rootfs = root + "/rootfs"
        os.mkdir(self.rootfs)
        subprocess.run(["tar", "-C", self.rootfs, "-x"], input=vessel.busybox_tar(), check=True)

    def do(self, *args, **rest):
        return self.run(PODMAN_PEER + "/usr/bin/podman", "--root", self.root + "/storage", "--runroot",
                        self.root + "/run", "--tmpdir", self.root + "/tmp", "--storage-driver",
                        self.driver, "--runtime", RUNTIME, *args, **rest)

    def container(self, *options):
        return ("run", *self.LIMITS, "--network", "none", "--cgroup-parent", CGROUP, *options, "--rootfs", self.rootfs)


def podman_runs(p):
    check(p.do(*p.container("--rm"), "echo", "hello"), "hello", "output")
    check(p.do(*p.container("--rm", "-i"), "cat", input=b"through\n"), "through", "input")
    check(p.do(*p.container("--memory", "32m", "--name", "limited"), "sh", "-c",
               "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; exit 7", code=7), "33554432", "memory limit")
    check(p.do("inspect", "--format", "{{.State.ExitCode}} {{.OCIRuntime}}", "limited"), "7 " + RUNTIME, "inspect")
    p.do("rm", "limited")


def podman_life(p):
    p.do(*p.container("-d", "--name", "life"), "sh", "-c", "trap 'exit 4' TERM; echo ready; while :; do sleep 1; done")
    vessel.wait_until("it has set its trap", lambda: p.do("logs", "life") == "ready")
    check(p.do("ps", "--format", "{{.Names}}"), "life", "ps")
    check(p.do("exec", "life", "echo", "inside"), "inside", "exec")
    check(p.do("exec", "-t", "life", "tty"), "/dev/pts/0", "terminal of exec")
    p.do("exec", "life", "sh", "-c", "exit 3", code=3)
    p.do("pause", "life")
    check(p.do("inspect", "--format", "{{.State.Status}}", "life"), "paused", "status")
    p.do("unpause", "life")
    assert "sh" in p.do("top", "life", "args")
    p.do("stop", "-t", "100", "life")
    check(p.do("inspect", "--format", "{{.State.ExitCode}}", "life"), "4", "exit code")
    p.do("start", "life")
    p.do("rm", "-f", "-t", "0", "life")
    check(p.do("ps", "-aq"), "", "containers left")


class Dockerd(Caller):
    """20.10, with its containerd."""

    peer, client = DOCKER_PEER, vessel.DOCKER_OLD
    features = {}

    def __init__(self, root):
        super().__init__(root)
        try:
            self.begin(root)
        except BaseException:
            self.stop()
            raise

    def begin(self, root):
        with open(root + "/daemon.json", "w") as f:
            json.dump({"features": self.features}, f)
        self.env.update(PATH=":".join((self.peer + "/bin", self.peer + "/sbin", os.environ["PATH"])),
                        DOCKER_HOST="unix://%s/docker.sock" % root)
        self.start(self.peer + "/bin/containerd", "--root", root + "/containerd", "--state", root + "/state",
                   "--address", root + "/containerd.sock")
        vessel.wait_until("containerd listens", lambda: os.path.exists(root + "/containerd.sock"))
        daemon = self.start(
            self.peer + "/sbin/dockerd", "-H", self.env["DOCKER_HOST"], "--data-root", root + "/data",
            "--config-file", root + "/daemon.json", "--exec-root", root + "/exec", "--pidfile", root + "/pid", "--containerd", root + "/containerd.sock",
            "--bridge", "none", "--iptables=false", "--ip6tables=false", "--cgroup-parent", CGROUP,
            "--add-runtime", "vessel=" + RUNTIME)

        def answers():
            assert daemon.poll() is None, open(root + "/log", errors="replace").read()[-2000:]
            return subprocess.run([self.client, "version"], env=self.env, capture_output=True).returncode == 0
        vessel.wait_until("dockerd answers", answers)
        self.docker("import", "-", "busybox", input=vessel.busybox_tar())

    def docker(self, *args, **rest):
        return self.run(self.client, *args, **rest)

    def container(self, *options):
        return ("run", "--runtime", "vessel", "--network", "none", *options, "busybox")


class Dockerd28(Dockerd):
    """Of the image stores that it has: its own."""

    peer, client, features = DOCKER_28_PEER, vessel.DOCKER, {"containerd-snapshotter": False}


def dockerd_runs(d):
    check(d.docker(*d.container("--rm"), "echo", "hello"), "hello", "output")
    check(d.docker(*d.container("--rm", "-i"), "cat", input=b"through\n"), "through", "input")
    d.docker(*d.container("--rm"), "sh", "-c", "exit 7", code=7)
    d.docker(*d.container("--rm"), "nonsense", code=127)
    d.docker(*d.container("--rm"), "/etc/passwd", code=126)
    check(d.docker(*d.container("--rm", "--memory", "32m", "--cpus", "0.5", "--pids-limit", "30"), "sh", "-c",
                   "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max"),
          "33554432\n50000\n30", "limits")
    check(d.docker(*d.container("--rm", "--user", "app", "--workdir", "/tmp", "--read-only", "--cap-drop", "ALL"),
                   "sh", "-c", "id -un; pwd; touch /x 2>/dev/null || echo read-only; grep CapEff /proc/self/status"),
          "app\n/tmp\nread-only\nCapEff:\t0000000000000000", "user, directory, capabilities")


def dockerd_life(d):
    d.docker(*d.container("-d", "--name", "life"), "sh", "-c", "trap 'exit 4' TERM; echo up; while :; do sleep 1; done")
    check(json.loads(d.docker("inspect", "life"))[0]["HostConfig"]["Runtime"], "vessel", "runtime")
    check(d.docker("exec", "life", "echo", "inside"), "inside", "exec")
    d.docker("exec", "life", "sh", "-c", "exit 3", code=3)
    vessel.wait_until("the log has the line", lambda: d.docker("logs", "life") == "up")
    d.docker("pause", "life")
    check(d.docker("inspect", "--format", "{{.State.Status}}", "life"), "paused", "status")
    d.docker("unpause", "life")
    d.docker("update", "--memory", "64m", "--memory-swap", "64m", "life")
    check(d.docker("exec", "life", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes"), "67108864", "updated limit")
    assert "life" in d.docker("stats", "--no-stream", "--format", "{{.Name}}", "life")
    assert "sh" in d.docker("top", "life")
    d.docker("stop", "-t", "100", "life")
    check(d.docker("inspect", "--format", "{{.State.ExitCode}}", "life"), "4", "exit code")
    d.docker("restart", "life")
    d.docker("rm", "-f", "life")
    check(d.docker("ps", "-aq"), "", "containers left")


def left_behind():
    """Cgroups and processes of the runtime's; podman leaves the cgroup that it made for conmon."""
    left = []
    for top in os.listdir("/sys/fs/cgroup"):
        for directory, _, _ in os.walk("/sys/fs/cgroup/%s%s" % (top, CGROUP)):
            if directory != "/sys/fs/cgroup/%s%s" % (top, CGROUP) and not directory.endswith("/conmon"):
                left.append(directory)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                ours = os.fsencode(RUNTIME) in f.read()
            # Others may be testing it as well: ours have our network or our mounts.
            if ours and any(os.readlink("/proc/%s/ns/%s" % (pid, kind)) == os.readlink("/proc/self/ns/" + kind) for kind in ("net", "mnt")):
                left.append("process " + pid)
        except OSError:
            pass
    return left


def enter_private_namespaces():
    vessel.enter_private_namespace()
    if os.environ.get("VESSEL_INTEROP_MNT") != "1":
        os.environ["VESSEL_INTEROP_MNT"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "sh", "-c",
                              "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /dev/shm && mkdir -p /var/lib/containers && "
                              "mount -t tmpfs tmpfs /var/lib/containers && exec \"$@\"", "sh",
                              sys.executable, *sys.argv])


def clean_up(root):
    for line in reversed(open("/proc/self/mounts").read().splitlines()):
        if root in line:
            subprocess.run(["umount", "-l", line.split()[1]], capture_output=True)
    shutil.rmtree(root, ignore_errors=True)
    for top in os.listdir("/sys/fs/cgroup"):
        for name in ("/conmon", ""):
            path = "/sys/fs/cgroup/%s%s%s" % (top, CGROUP, name)
            if os.path.isdir(path):
                vessel.remove_cgroup(path)


def main():
    enter_private_namespaces()
    tap = vessel.Tap()
    root = tempfile.mkdtemp(prefix="vessel-interop-", dir="/dev/shm")
    try:
        for name, kind, cases in (("containerd", Containerd, (containerd_runs, containerd_memory, containerd_life)),
                                  ("podman", Podman, (podman_runs, podman_life)),
                                  ("dockerd", Dockerd, (dockerd_runs, dockerd_life))):
            os.mkdir(os.path.join(root, name))
            caller = kind(os.path.join(root, name))
            try:
                for case in cases:
                    tap.case("%s on vessel-runtime: %s" % (name, case.__name__.split("_")[1]), case, caller)
            finally:
                caller.stop()

        def nothing_left():
            try:
                vessel.wait_until("all is gone", lambda: not left_behind())
            except AssertionError:
                raise AssertionError("left behind: %s" % left_behind()) from None
        tap.case("nothing is left", nothing_left)
    finally:
        clean_up(root)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
