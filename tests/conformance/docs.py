#!/usr/bin/python3
"""The commands in the documentation do what it says.

Blocks fenced as "sh run" in the README and below docs/ are run, all those of a page in one shell, in the
page's order, at vessel's default places: /run, /var/lib and /etc/vessel are empty file systems of this
program's own mount namespace, and the network namespace is private too.  Man pages are held against the
programs: mandoc's lint, and every flag that --help lists is described, with no flag besides.
"""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

PREPARE = r"""
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
curl() { command curl --retry 100 --retry-all-errors --retry-delay 1 "$@"; }  # a server may be about to listen
trap 'status=$?; vessel ps -aq | xargs -r vessel rm -f >/dev/null || status=1
      kill $(cat /run/vessel.pid); wait; exit $status' EXIT
"""
# What a reader waits for by himself.
SETTLE = "for _ in $(seq 6000); do ! vessel version >/dev/null 2>&1 || break; sleep 0.01; done\n"


def in_private_namespaces():
    if os.environ.get("VESSEL_TEST_MNTNS") != "1":
        os.environ["VESSEL_TEST_MNTNS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable] +
                  sys.argv)
    vessel.enter_private_namespace()


def blocks(path):
    with open(path) as f:
        return re.findall(r"^```sh run\n(.*?)^```$", f.read(), re.M | re.S)


def cgroups():
    return {path for path in glob.glob("/sys/fs/cgroup/*/docker") + glob.glob("/sys/fs/cgroup/docker")}


def run_page(path):
    before = cgroups()
    directory = tempfile.mkdtemp(prefix="vessel-docs-", dir="/dev/shm")
    try:
        script = "set -eux\n" + PREPARE + "\n".join(
            block + (SETTLE if re.search(r"^vesseld &$", block, re.M) else "") for block in blocks(path))
        programs = directory + "/programs"
        os.mkdir(programs)
        os.symlink(vessel.DOCKER, programs + "/docker")
        work = directory + "/work"
        os.mkdir(work)
        done = subprocess.run(
            ["bash", "-c", script], cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=300,
            env=dict(os.environ, PATH="%s:%s:%s" % (vessel.BIN, programs, os.environ["PATH"]),
                     DOCKER_CLI_HINTS="false", HOME=directory))
        assert done.returncode == 0, "exit %d; %s" % (done.returncode,
                                                      done.stdout.decode(errors="replace")[-1500:])
        return done.stdout.decode()
    finally:
        shutil.rmtree(directory)
        for path in cgroups() - before:
            with contextlib.suppress(OSError):
                os.rmdir(path)


def readme():
    out = run_page(vessel.TOP + "/README.md")
    for wanted in ("\nhello\n", "\nHello from a container.\n", "\nrunning\n", "configuration OK"):
        assert wanted in out, "no %r in: %s" % (wanted, out[-1500:])


def links(path):
    """Relative links lead somewhere."""
    with open(path) as f:
        targets = re.findall(r"\]\(([^)#:]+)\)", f.read())
    missing = [target for target in targets
               if not os.path.exists(os.path.join(os.path.dirname(path), target))]
    assert not missing, "no such file: " + ", ".join(missing)


def mandoc(path):
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", path], capture_output=True, text=True)
    assert not done.stdout, done.stdout
    assert done.returncode == 0, done.stderr


def long_flags(text):
    return set(re.findall(r"^ +(?:-\w, )?--([a-z][a-z-]*)", text, re.M))


def flags_described(page, program, *args):
    """The page's .It Fl entries are exactly the flags that the program lists."""
    text = subprocess.run([os.path.join(vessel.BIN, program), *args, "--help"], capture_output=True,
                          text=True, check=True).stdout
    with open(page) as f:
        described = set(re.findall(r"^\.It (?:Fl \w , )?Fl -([a-z-]+)", f.read(), re.M))
    listed = long_flags(text)
    assert listed, text
    assert listed == described, "not described: %s; no such flag: %s" % (
        sorted(listed - described), sorted(described - listed))


def commands_described(page):
    text = subprocess.run([vessel.BIN + "/vessel", "--help"], capture_output=True, text=True).stdout
    listed = set(re.findall(r"^  ([a-z]+) {2,}\S", text.split("Management")[0], re.M))
    with open(page) as f:
        described = set(re.findall(r"^\.It Cm ([a-z]+)\b(?! [a-z])", f.read(), re.M))  # without `network create`
    assert listed and listed == described, listed ^ described


def main():
    in_private_namespaces()
    tap = vessel.Tap()
    tap.case("README: its commands run and print what it shows", readme)
    for path in sorted(glob.glob(vessel.TOP + "/docs/**/*.md", recursive=True)):
        if blocks(path):
            tap.case("%s: its commands run" % os.path.relpath(path, vessel.TOP), run_page, path)
    for path in sorted(glob.glob(vessel.TOP + "/*.md") + glob.glob(vessel.TOP + "/docs/**/*.md", recursive=True)):
        tap.case("%s: links" % os.path.relpath(path, vessel.TOP), links, path)
    manual = vessel.TOP + "/docs/man/"
    for path in sorted(glob.glob(manual + "*.[158]")):
        tap.case("%s: mandoc" % os.path.basename(path), mandoc, path)
    tap.case("vesseld.8 describes vesseld's flags", flags_described, manual + "vesseld.8", "vesseld")
    tap.case("vessel.1 describes vessel's global flags", flags_described, manual + "vessel.1", "vessel")
    tap.case("vessel.1 describes vessel's commands", commands_described, manual + "vessel.1")
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
