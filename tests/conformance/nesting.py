#!/usr/bin/python3
"""Engines inside privileged containers: dockerd 28 and vesseld each run a container there.

The containers' root file system is the host's /usr, read only, with directories of their own around it.
"""

import io
import os
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

PEERS = os.path.realpath(os.path.join(vessel.TOP, "build/peers"))
DOCKERD = PEERS + "/dockerd-28/usr"

DOCKERD_SCRIPT = """
export PATH=%s/runtimes/usr/bin:%s/bin:%s/sbin:/usr/bin:/usr/sbin:/bin:/sbin
exec dockerd -H unix:///run/docker.sock --data-root /data/docker --exec-root /run/docker --iptables=false \
	--ip6tables=false --ip-masq=false --userland-proxy=false
""" % (PEERS, DOCKERD, DOCKERD)
VESSELD_SCRIPT = "exec %s/vesseld -H unix:///run/docker.sock --data-root /data/vessel --exec-root /run/vessel" % vessel.BIN


def host_image():
    """Links into /usr as Debian has them, and what programs expect beside it."""
    out = io.BytesIO()
    tar = tarfile.open(fileobj=out, mode="w")
    for name in ("usr", "etc", "run", "var", "var/lib", "var/run", "tmp", "root", "data"):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        tar.addfile(entry)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink("/" + name):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink("/" + name)
            tar.addfile(entry)
    text = b"root:x:0:0:root:/root:/bin/sh\n"
    for name in ("etc/passwd", "etc/group"):
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    for name in ("etc/ld.so.cache", "etc/alternatives"):
        if os.path.exists("/" + name):
            tar.add("/" + name, name)
    tar.close()
    return out.getvalue()


def start_inside(engine, name, script):
    """A container with an engine in it, once that answers."""
    trees = {vessel.TOP, PEERS, os.path.realpath(vessel.BIN), "/usr"}
    volumes = [word for tree in sorted(trees) for word in ("-v", "%s:%s:ro" % (tree, tree))]
    engine.docker("run", "-d", "--privileged", "--name", name, "-v", "/data", "--tmpfs", "/run", *volumes, "host",
                  "sh", "-c", script)

    def answers():
        if engine.inspect(name)["State"]["Status"] != "running":
            log = engine.docker("logs", name)
            raise AssertionError("it ended:\n%s" % (log.stdout + log.stderr)[-3000:])
        return inside(engine, name, "version", check=False).returncode == 0
    vessel.wait_until("the engine inside answers", answers)


def inside(engine, name, *args, **kwargs):
    """The docker client, in the container."""
    return engine.docker("exec", "-i", "-e", "DOCKER_HOST=unix:///run/docker.sock", name, vessel.DOCKER, *args, **kwargs)


def nest(engine, name, script):
    start_inside(engine, name, script)
    inside(engine, name, "import", "-", "busybox", input=vessel.busybox_tar())
    done = inside(engine, name, "run", "--rm", "--network", "none", "--memory", "64m", "busybox", "sh", "-c",
                  "echo hello; cat /proc/self/cgroup; exit 7", check=False)
    assert done.returncode == 7 and done.stdout.startswith("hello\n"), (done.returncode, done.stdout, done.stderr)
    inside(engine, name, "run", "-d", "--name", "server", "busybox", "httpd", "-f", "-h", "/www")
    address = inside(engine, name, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
                     "server").stdout.strip()
    done = inside(engine, name, "run", "--rm", "busybox", "sh", "-c",
                  "until wget -q -O - http://%s/; do usleep 50000; done" % address)
    assert done.stdout == "hello\n", done
    done = inside(engine, name, "exec", "server", "sh", "-c", "echo in; exit 3", check=False)
    assert (done.returncode, done.stdout) == (3, "in\n"), done
    inside(engine, name, "rm", "-f", "server")
    engine.docker("stop", "-t", "20", name)
    engine.docker("rm", "-v", name)


def privileged(engine):
    """What --privileged gives, as in Docker's own containers."""
    def look(script, *args):
        return engine.docker("run", "--rm", "--privileged", *args, "host", "sh", "-c", script).stdout.split("\n")
    volume = ("-v", "/usr:/usr:ro")
    caps = look("grep -h Cap /proc/self/status", *volume)
    with open("/proc/self/status") as f:
        bounding = [line.split()[1] for line in f if line.startswith("CapBnd")][0]
    for line in caps:
        if line.startswith(("CapPrm", "CapEff", "CapBnd")):
            assert line.split()[1] == bounding, caps
    assert look("grep ^Seccomp: /proc/self/status", *volume)[0].split()[1] == "0"
    mounts = look("cat /proc/self/mountinfo", *volume)
    points = {line.split()[4]: line.split() for line in mounts if line}
    for masked in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/sys", "/proc/bus"):
        assert masked not in points, points[masked]
    for writable in ("/sys", "/proc"):
        assert "rw" in points[writable][5].split(","), points[writable]
    for point, words in points.items():
        if point.startswith("/sys/fs/cgroup/"):
            assert "rw" in words[5].split(","), words
    names = set(look("ls /dev", *volume))
    missing = {name for name in ("null", "fuse", "kmsg", "loop-control", "net", "mem") if os.path.exists("/dev/" + name)}
    assert not missing - names, missing - names
    done = engine.docker("run", "--rm", "--privileged", *volume, "host", "sh", "-c",
                         "mount -t tmpfs none /tmp && mkdir /tmp/a && mknod /tmp/b b 7 0 && unshare -m true")
    assert done.returncode == 0, done
    tree = subprocess.run(["stat", "-fc", "%T", "/sys/fs/cgroup"], capture_output=True, text=True).stdout.strip()
    mode = engine.docker("run", "--rm", "--privileged", *volume, "host", "readlink", "/proc/self/ns/cgroup").stdout.strip()
    wanted_host = tree != "cgroup2fs"  # Docker's default: the host's on v1, a private one on v2
    assert (mode == os.readlink("/proc/self/ns/cgroup")) == wanted_host, (tree, mode)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        engine.docker("import", "-", "host", input=host_image())
        audit = vessel.Audit(engine)
        tap.case("what --privileged gives", privileged, engine)
        tap.case("vesseld in a privileged container runs containers", nest, engine, "vesseld", VESSELD_SCRIPT)
        tap.case("dockerd 28 in a privileged container runs containers", nest, engine, "dockerd", DOCKERD_SCRIPT)

        def residue():
            left = audit.check()
            assert not left, "left behind: " + "; ".join(left)
        tap.case("nothing is left", residue)
        if tap.failed and os.environ.get("VESSEL_TEST_VERBOSE"):
            for name in ("vesseld", "dockerd"):
                log = engine.docker("logs", name, check=False)
                print((log.stdout + log.stderr)[-4000:])
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
