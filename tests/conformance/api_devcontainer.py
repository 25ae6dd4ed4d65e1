#!/usr/bin/python3
"""A dev container: the docker commands that the devcontainers CLI issues, in its order, and what it reads of their output.

It looks for the container by labels, follows events, runs it in the foreground with a loop as process 1, waits for its first
line, and then keeps a shell open by exec, through which it probes the environment.
"""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

KEEP_ALIVE = "echo Container started\ntrap \"exit 0\" 15\n\nexec \"$@\"\nwhile sleep 1 & wait $!; do :; done"


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


class Shell:
    """`docker exec -i ID /bin/sh`, kept open: each command's output ends with a mark and its exit code."""

    def __init__(self, engine, *args):
        self.process = subprocess.Popen([vessel.DOCKER, "exec", "-i", *args, "/bin/sh"], env=engine.environment(), bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, command):
        self.process.stdin.write(("echo -n M1; ( %s ); echo -n M2$?M3\n" % command).encode())
        text = b""
        while not text.endswith(b"M3"):
            data = self.process.stdout.read(1)
            assert data, "the shell ended: %r" % text
            text += data
        body, code = text[2:-2].rsplit(b"M2", 1)
        return int(code), body.decode()

    def close(self):
        self.process.stdin.close()
        check(self.process.wait(vessel.TIMEOUT_S), 0, "the shell's exit code")
        self.process.stdout.close()


def flow(engine):
    docker = engine.docker
    workspace = os.path.join(engine.root, "project")
    os.makedirs(workspace)
    with open(workspace + "/main.c", "w") as f:
        f.write("int main;\n")
    labels = ["devcontainer.local_folder=" + workspace, "devcontainer.config_file=" + workspace + "/.devcontainer/devcontainer.json"]
    found = ["ps", "-q", "-a"] + [word for label in labels for word in ("--filter", "label=" + label)]

    check(docker(*found).stdout, "", "no container yet")
    image = json.loads(docker("inspect", "--type", "image", "busybox").stdout)[0]
    assert "Config" in image and image["Architecture"] and image["Os"] == "linux", image
    # --since, for it may be slow to ask
    events = engine.docker_start("events", "--since", str(time.time()), "--format", "{{json .}}", "--filter", "event=start")
    docker("volume", "create", "dc-data")
    run = engine.docker_start(
        "run", "--sig-proxy=false", "-a", "STDOUT", "-a", "STDERR", "--mount",
        "type=bind,source=%s,target=/workspaces/project,consistency=cached" % workspace, "--mount",
        "type=volume,source=dc-data,target=/data",
        *[word for label in labels for word in ("-l", label)], "-l", 'devcontainer.metadata=[{"remoteUser":"app"}]',
        "-e", "PROJECT=project", "--cap-add=SYS_PTRACE", "--security-opt", "seccomp=unconfined", "--init", "--entrypoint", "/bin/sh",
        "busybox", "-c", KEEP_ALIVE, "-")
    check(run.stdout.readline(), b"Container started\n", "its first line")
    event = json.loads(events.stdout.readline())
    check((event["status"], event["Type"], event["Actor"]["Attributes"]["devcontainer.local_folder"]),
          ("start", "container", workspace), "the event")
    events.kill()
    events.communicate()
    ident = docker(*found).stdout.strip()
    assert event["id"].startswith(ident), (event["id"], ident)
    got = json.loads(docker("inspect", "--type", "container", ident).stdout)[0]
    check((got["State"]["Status"], got["Config"]["Labels"]["devcontainer.metadata"]), ("running", '[{"remoteUser":"app"}]'), "inspect")
    check(sorted((m["Type"], m["Destination"]) for m in got["Mounts"]),
          [("bind", "/workspaces/project"), ("volume", "/data")], "mounts")

    root = Shell(engine, "-u", "root", ident)
    check(root.run("uname -m")[0], 0, "uname")
    check(root.run("cat /etc/passwd | grep ^app:"), (0, "app:x:1000:1000:app:/home/app:/bin/sh\n"), "the remote user")
    check(root.run("test -d '/workspaces/project'"), (0, ""), "the workspace")
    check(root.run("chown 1000:1000 /data; exit 7"), (7, ""), "an exit code")
    check(root.run("head -c 300000 /dev/zero | tr '\\0' y | wc -c")[1].strip(), "300000", "much in a pipe")
    root.close()

    user = Shell(engine, "-u", "app", "-w", "/workspaces/project", "-e", "REMOTE=yes", ident)
    code, environment = user.run("cat /proc/self/environ")
    environment = dict(pair.split("=", 1) for pair in environment.split("\0") if pair)
    check((code, environment["PROJECT"], environment["REMOTE"], environment["HOME"]), (0, "project", "yes", "/home/app"),
          "the probed environment")
    check(user.run("id -u; pwd; cat main.c")[1], "1000\n/workspaces/project\nint main;\n", "the workspace as the user")
    check(user.run("echo kept >/data/file; cat /data/file")[1], "kept\n", "the volume")
    check(user.run("tar c -C /workspaces project | tar t | grep -c main.c")[1], "1\n", "tar")
    user.close()

    copied = engine.root + "/copied"
    docker("cp", ident + ":/data/file", copied)
    with open(copied) as f:
        check(f.read(), "kept\n", "docker cp")
    docker("stop", "-t", "100", ident)
    check(run.wait(vessel.TIMEOUT_S), 0, "run ends with the trap's code")
    run.communicate()
    docker("start", ident)
    check(docker("exec", "-u", "app", ident, "cat", "/data/file").stdout, "kept\n", "after a restart")
    docker("rm", "-f", ident)
    docker("volume", "rm", "dc-data")
    check(docker(*found).stdout, "", "gone")


def main():
    with vessel.Suite() as suite:
        suite.case("flow", "dev container: found, run, probed by exec, stopped and started", flow, suite.engine)
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
