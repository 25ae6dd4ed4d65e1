#!/usr/bin/python3
"""User-namespace remapping: vesseld --userns-remap, with the docker client."""

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

UID, GID = 300000, 400000
LIBC = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_REC, MS_PRIVATE, CLONE_NEWNS = 4096, 16384, 1 << 18, 0x20000


def check(result, what):
    if result:
        raise OSError(ctypes.get_errno(), what)


def private_etc(root):
    """Another /etc, for this program and what it starts: the host's stays as it is."""
    check(LIBC.unshare(CLONE_NEWNS), "unshare")
    check(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "/")
    etc = root + "/etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    for name, text in (("subuid", "other:100000:65536\nbox:%d:65536\n" % UID),
                       ("subgid", "other:100000:65536\nbox:%d:65536\n" % GID)):
        with open(etc + "/" + name, "w") as f:
            f.write(text)
    with open(etc + "/passwd", "a") as f:
        f.write("box:x:5000:5000::/:/bin/false\n")
    with open(etc + "/group", "a") as f:
        f.write("box:x:5000:\n")
    check(LIBC.mount(etc.encode(), b"/etc", None, MS_BIND, None), "/etc")


class Cases:
    def __init__(self, engine):
        self.engine = engine

    def docker(self, *args, **rest):
        return self.engine.docker(*args, **rest).stdout

    def run(self, *args, **rest):
        return self.docker("run", "--rm", *args, **rest)

    def refused(self, text, *args):
        done = self.engine.docker(*args, check=False)
        assert done.returncode != 0 and text in done.stderr, done

    @contextlib.contextmanager
    def running(self, *args):
        name = self.docker("run", "-d", *args, "busybox", "sleep", "1000").strip()
        try:
            yield name
        finally:
            self.docker("rm", "-f", "-v", name)

    def pid(self, name):
        return self.engine.inspect(name)["State"]["Pid"]

    # -- cases ----------------------------------------------------------------------------------

    def ids(self):
        out = self.run("busybox", "sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; id -u; ls -ln /bin/busybox")
        words = out.split()
        assert words[:6] == ["0", str(UID), "65536", "0", str(GID), "65536"], out
        assert words[6] == "0" and words[9:11] == ["0", "0"], out
        with self.running() as name:
            status = os.stat("/proc/%d" % self.pid(name))
            assert (status.st_uid, status.st_gid) == (UID, GID), status
            with open("/proc/%d/oom_score_adj" % self.pid(name)) as f:
                assert f.read() == "0\n"

    def info(self):
        assert "name=userns" in self.docker("info", "-f", "{{.SecurityOptions}}")

    def writes(self):
        """What is made is on the disk as the container has it: every other container can have it, too."""
        self.docker("create", "--name", "writer", "busybox", "sh", "-c",
                    "cat /d/root; mkdir -p /d; touch /d/app; echo again >> /d/root; chown app:extra /d/app;"
                    "echo x >> /etc/passwd; rm -f /www/index.html; stat -c '%u:%g' /d/root /d/app /etc/passwd")
        try:
            for again in ("", "again\n"):
                done = self.engine.docker("start", "-a", "writer")
                assert done.stdout == again + "0:0\n1000:2000\n0:0\n", done
            found = {}
            for directory, _, files in os.walk(self.engine.root + "/data"):
                if directory.endswith("/d"):
                    found.update({name: os.stat(directory + "/" + name) for name in files})
            assert (found["root"].st_uid, found["app"].st_uid, found["app"].st_gid) == (0, 1000, 2000), found
        finally:
            self.docker("rm", "writer")

    def users(self):
        out = self.run("-u", "app", "busybox", "sh", "-c", "id -u; id -G; id -g; touch /tmp/x && ls -ln /tmp/x").split()
        assert out[0] == "1000" and "1000" in out and "2000" in out, out
        self.refused("70000", "run", "--rm", "-u", "70000", "busybox", "true")

    def files(self):
        """The engine's own files belong to root in there, who may change them."""
        out = self.run("busybox", "sh", "-c", "for f in hosts hostname resolv.conf; do stat -c '%u %g' /etc/$f; done;"
                       "echo '127.0.0.1 me' >> /etc/hosts && tail -n 1 /etc/hosts").splitlines()
        assert out == ["0 0"] * 3 + ["127.0.0.1 me"], out

    def volumes(self):
        """A volume of an image's is root's inside; it has the image's files."""
        self.docker("import", "--change", "VOLUME /www", "-", "volume", input=vessel.busybox_tar())
        out = self.run("volume", "sh", "-c", "cat /www/index.html; echo more > /www/more; stat -c '%u %g' /www /www/more")
        assert out.split() == ["hello", "0", "0", "0", "0"], out
        self.docker("rmi", "volume")

    def images(self):
        """An image that is mounted shows the container's owners, of one layer or of more."""
        self.docker("run", "--name", "maker", "busybox", "sh", "-c", "touch /mine; chown app /mine")
        self.docker("commit", "maker", "two")
        self.docker("rm", "maker")
        status, made = self.engine.api("POST", "/containers/create?name=more", {
            "Image": "busybox", "Cmd": ["stat", "-c", "%u", "/one/bin", "/two/bin", "/two/mine"], "HostConfig": {"Mounts": [
                {"Type": "image", "Source": "busybox", "Target": "/one"}, {"Type": "image", "Source": "two", "Target": "/two"}]}})
        assert status == 201, made
        try:
            major, minor = os.uname().release.split(".")[:2]
            if (int(major), int(minor)) < (6, 13):
                self.refused("before Linux 6.13", "start", "more")
                return
            assert self.docker("start", "-a", "more").split() == ["0", "0", "1000"]
        finally:
            self.docker("rm", "-f", "more")
            self.docker("rmi", "two")

    def copies(self):
        """docker cp has the container's owners, whether it runs or not."""
        path = self.engine.root + "/copied"
        with open(path, "w") as f:
            f.write("text")
        self.docker("create", "--name", "copy", "-v", "copied:/volume", "busybox", "sh", "-c",
                    "stat -c '%u %g' /volume/f /root/f; touch /volume/made /root/made; echo ready; sleep 1000")
        try:
            for place in ("volume", "root"):
                self.docker("cp", path, "copy:/%s/f" % place)
            self.docker("start", "copy")
            self.engine.wait_log("copy")
            out = self.docker("logs", "copy")
            assert out.split() == ["0", "0", "0", "0", "ready"], out
            for state in ("running", "stopped"):
                for name in ("volume/f", "volume/made", "root/f", "root/made"):
                    archive = self.engine.api("GET", "/containers/copy/archive?path=/" + name)[1]
                    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                        entry = tar.next()
                    assert (entry.uid, entry.gid) == (0, 0), (state, name, entry.uid)
                self.docker("stop", "-t", "0", "copy")
        finally:
            self.docker("rm", "-fv", "copy")
            self.docker("volume", "rm", "copied")

    def binds(self):
        """A directory of the host's is the host's: its root is nobody in there."""
        source = self.engine.root + "/bind"
        os.mkdir(source)
        os.mkdir(source + "/theirs")
        os.chown(source + "/theirs", UID + 1000, GID + 1000)
        os.chmod(source, 0o755)
        with open(source + "/file", "w") as f:
            f.write("host\n")
        done = self.engine.docker("run", "--rm", "-v", source + ":/b", "busybox", "sh", "-c",
                                  "cat /b/file; stat -c %u /b/file /b/theirs; touch /b/x; su app -c 'touch /b/theirs/y'")
        assert done.stdout.split() == ["host", "65534", "1000"], done
        assert "ermission denied" in done.stderr, done
        assert os.stat(source + "/theirs/y").st_uid == UID + 1000
        os.chmod(source, 0o700)
        inner = source + "/theirs"
        out = self.run("-v", inner + ":/b:ro", "busybox", "sh", "-c", "ls /b; touch /b/z || echo no").split()
        assert out == ["y", "no"], out

    def mounts(self):
        out = self.run("--tmpfs", "/t:uid=1000,size=1m", "--shm-size", "2m", "--read-only", "busybox", "sh", "-c",
                       "stat -c %u /t; touch /t/x /dev/shm/x; touch /x || echo no; ls /dev; mount").split()
        assert out[0] == "1000" and out[1] == "no", out
        for word in ("null", "mqueue", "shm", "pts", "full"):
            assert word in out, out

    def protected(self):
        out = self.run("busybox", "sh", "-c", "cat /proc/kcore | head -c 1; ls /sys/firmware; "
                       "echo 1 > /proc/sys/kernel/hostname || echo no; echo b > /proc/sysrq-trigger || echo no")
        assert out.split() == ["no", "no"], out

    def network(self):
        server = self.docker("run", "-d", "--name", "web", "-p", "8099:80", "busybox", "httpd", "-f", "-h", "/www").strip()
        try:
            self.engine.wait_listening(server)
            out = self.run("--network", "container:" + server, "busybox", "sh", "-c",
                           "wget -q -O - http://127.0.0.1/; readlink /proc/self/ns/user; readlink /proc/self/ns/net").split()
            pid = self.pid(server)
            assert out == ["hello", os.readlink("/proc/%d/ns/user" % pid), os.readlink("/proc/%d/ns/net" % pid)], out
            self.run("--cap-add", "NET_ADMIN", "--network", "container:" + server, "busybox", "ip", "link",
                     "set", "dev", "lo", "mtu", "1500")
            address = self.engine.inspect(server)["NetworkSettings"]["IPAddress"]
            out = self.run("busybox", "wget", "-q", "-O", "-", "http://%s/" % address)
            assert out == "hello\n", out
            out = self.run("busybox", "ping", "-c", "1", address)
            assert "1 packets received" in out, out
            with open("/proc/%d/net/dev" % pid) as f:
                assert "eth0" in f.read()
        finally:
            self.docker("rm", "-f", server)

    def pid_namespace(self):
        with self.running() as name:
            out = self.run("--pid", "container:" + name, "busybox", "sh", "-c",
                           "readlink /proc/1/ns/user; readlink /proc/self/ns/user; cat /proc/1/cmdline | tr '\\0' ' '").split()
            assert out[0] == out[1] and out[2] == "sleep", out

    def ipc_namespace(self):
        name = self.docker("run", "-d", "--ipc", "shareable", "busybox", "sh", "-c", "echo hi >/dev/shm/x; exec sleep 1000").strip()
        try:
            self.docker("exec", name, "sh", "-c", "until [ -s /dev/shm/x ]; do sleep 0.1; done")
            out = self.run("--ipc", "container:" + name, "busybox", "sh", "-c",
                           "cat /dev/shm/x; stat -c %u /dev/shm/x; echo >/dev/shm/y; readlink /proc/self/ns/user").split()
            assert out == ["hi", "0", os.readlink("/proc/%d/ns/user" % self.pid(name))], out
            assert self.docker("exec", name, "stat", "-c", "%u", "/dev/shm/y") == "0\n"
        finally:
            self.docker("rm", "-f", name)

    def execs(self):
        with self.running() as name:
            out = self.docker("exec", name, "sh", "-c", "id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user").split()
            assert out == ["0", "0", str(UID), "65536", os.readlink("/proc/%d/ns/user" % self.pid(name))], out
            assert self.docker("exec", "-u", "app", name, "id", "-u") == "1000\n"
            out = self.docker("exec", "--privileged", name, "grep", "CapEff", "/proc/self/status")
            assert int(out.split()[1], 16) >> 21 & 1, out  # CAP_SYS_ADMIN
            assert "sleep 1000" in self.docker("top", name)

    def host(self):
        """--userns host is the way out: for one container."""
        own = os.readlink("/proc/self/ns/user")
        assert self.run("--userns", "host", "busybox", "readlink", "/proc/self/ns/user").strip() == own
        out = self.run("--userns", "host", "--privileged", "busybox", "cat", "/proc/self/uid_map").split()
        assert out == ["0", "0", "4294967295"], out
        out = self.run("--userns", "host", "--network", "host", "--pid", "host", "busybox", "readlink",
                       "/proc/self/ns/net").strip()
        assert out == os.readlink("/proc/self/ns/net"), out
        name = self.docker("create", "--userns", "host", "busybox", "true").strip()
        assert self.engine.inspect(name)["HostConfig"]["UsernsMode"] == "host"
        self.docker("rm", name)

    def conflicts(self):
        for text, *options in (
                ("privileged mode is incompatible with user namespaces", "--privileged"),
                ("cannot share the host's network namespace when user namespaces are enabled", "--network", "host"),
                ("cannot share the host PID namespace when user namespaces are enabled", "--pid", "host"),
                ("invalid USER mode", "--userns", "private")):
            self.refused(text, "create", *options, "busybox", "true")
        status, answer = self.engine.api("POST", "/containers/create", {
            "Image": "busybox", "Cmd": ["true"], "HostConfig": {"UsernsMode": "private"}})
        assert status == 400 and "user namespace mode" in answer["message"], (status, answer)

    def killed(self):
        """The daemon dies: the containers go on, and are found again as they are."""
        with self.running() as name:
            pid = self.pid(name)
            self.engine.kill()
            self.engine.start(args=("--userns-remap", "box"))
            assert self.pid(name) == pid
            out = self.docker("exec", name, "cat", "/proc/self/uid_map").split()
            assert out == ["0", str(UID), "65536"], out
            self.docker("restart", "-t", "0", name)
            assert self.docker("exec", name, "cat", "/proc/self/uid_map").split()[1] == str(UID)

    def switched(self):
        """The same containers and images under a daemon that does not remap, or remaps elsewhere."""
        self.docker("run", "--name", "keep", "busybox", "sh", "-c", "touch /kept; chown app /kept; stat -c %u /kept; id -u")
        self.docker("create", "--userns", "host", "--privileged", "--name", "privileged", "busybox", "true")
        try:
            with self.running() as name:
                self.engine.stop()
                self.engine.start()
                assert "name=userns" not in self.docker("info", "-f", "{{.SecurityOptions}}")
                assert self.docker("exec", name, "cat", "/proc/self/uid_map").split()[1] == str(UID)
                assert self.docker("start", "-a", "keep") == "1000\n0\n"
                self.docker("create", "--privileged", "--name", "later", "busybox", "true")
                joined = self.run("--network", "container:" + name, "busybox", "cat", "/proc/self/uid_map").split()
                assert joined == ["0", "0", "4294967295"], joined
            self.engine.stop()
            self.engine.start(args=("--userns-remap", "default"))
            assert self.docker("start", "-a", "keep") == "1000\n0\n"
            assert self.run("busybox", "cat", "/proc/self/uid_map").split()[1] == "165536"
            with open("/etc/subuid") as f:
                assert "dockremap:165536:65536\n" in f.read()
            self.refused("privileged mode is incompatible", "start", "later")
            self.docker("start", "-a", "privileged")
        finally:
            self.docker("rm", "keep", "privileged", "later", check=False)
            self.engine.stop()
            self.engine.start(args=("--userns-remap", "box"))

    def values(self):
        """What --userns-remap takes, by --validate and by starting."""
        for value, good, text in (("5000", True, str(UID)), ("box:box", True, str(UID)), ("5000:5000", True, str(UID)),
                                  ("nobody-here", False, "no such user"), ("box:nobody-here", False, "no such group"),
                                  ("root", False, "no subuid ranges found"), ("a:b:c", False, "is not default")):
            self.engine.stop()
            try:
                self.engine.start(args=("--userns-remap", value))
                assert good, value
                assert self.run("busybox", "cat", "/proc/self/uid_map").split()[1] == text
            except AssertionError as problem:
                if good or "vesseld ended" not in str(problem) or text not in str(problem):
                    raise
        config = self.engine.root + "/daemon.json"
        with open(config, "w") as f:
            json.dump({"userns-remap": "box"}, f)
        self.engine.stop()
        self.engine.start(args=("--config-file", config))
        assert self.run("busybox", "cat", "/proc/self/uid_map").split()[1] == str(UID)
        self.engine.stop()
        self.engine.start(args=("--userns-remap", "box"))


    def runtimes(self):
        """Other OCI runtimes, one of which knows nothing of volumes with owners mapped."""
        self.engine.stop()
        os.chmod(self.engine.root, 0o711)  # root in there must get to the bundle
        peers = vessel.TOP + "/build/peers"
        self.engine.start(args=("--userns-remap", "box", "--add-runtime", "old=%s/docker-20.10/usr/sbin/runc" % peers,
                                "--add-runtime", "new=%s/runtimes/usr/sbin/runc" % peers))
        for name in ("old", "new"):
            out = self.run("--runtime", name, "-v", "/v", "busybox", "sh", "-c",
                           "cat /proc/self/uid_map; touch /v/x /x; stat -c %u:%g /bin/busybox /x /v/x /etc/hosts").split()
            assert out == ["0", str(UID), "65536"] + ["0:0"] * 4, out
        self.engine.stop()
        self.engine.start(args=("--userns-remap", "box"))


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        private_etc(engine.root)
        engine.start(args=("--userns-remap", "box"))
        engine.import_busybox()
        audit = vessel.Audit(engine)
        cases = Cases(engine)
        tap.case("processes and files have the container's ids inside, others outside", cases.ids)
        tap.case("info tells", cases.info)
        tap.case("files that are made are on the disk as the container has them", cases.writes)
        tap.case("users of the image", cases.users)
        tap.case("hosts, hostname and resolv.conf are root's", cases.files)
        tap.case("an image's volume", cases.volumes)
        tap.case("images as mounts", cases.images)
        tap.case("docker cp, running and not", cases.copies)
        tap.case("host directories keep the host's owners", cases.binds)
        tap.case("tmpfs, shm, read-only root, devices", cases.mounts)
        tap.case("what is masked stays masked", cases.protected)
        tap.case("network, ping, published port, --network container:", cases.network)
        tap.case("--pid container:", cases.pid_namespace)
        tap.case("--ipc container:", cases.ipc_namespace)
        tap.case("exec, as root, as a user, privileged; top", cases.execs)
        tap.case("--userns host", cases.host)
        tap.case("conflicting options", cases.conflicts)
        tap.case("daemon killed", cases.killed)
        tap.case("other runtimes", cases.runtimes)
        tap.case("daemon started without remapping, and with another one", cases.switched)
        tap.case("values of --userns-remap", cases.values)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
        tap.case("nothing is left", clean)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
