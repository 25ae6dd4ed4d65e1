#!/usr/bin/python3
"""What tools/install makes below DESTDIR and PREFIX is whole: from there alone an engine starts and runs a container."""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

PREFIX = "/opt/vessel"


def installed(directory):
    subprocess.run([vessel.TOP + "/tools/install"], env=dict(os.environ, DESTDIR=directory, PREFIX=PREFIX, UNITDIR=""), check=True,
                   stdout=subprocess.DEVNULL)
    outside = [os.path.join(d, n) for d, _, names in os.walk(directory) for n in names
               if not os.path.join(d, n).startswith(directory + PREFIX + "/")]
    assert not outside, outside
    units = directory + PREFIX + "/lib/systemd/system"
    with open(units + "/vessel.service") as f:
        unit = f.read()
    assert PREFIX + "/bin/vesseld" in unit and directory not in unit and "@" not in unit, unit


def works(directory):
    vessel.BIN = directory + PREFIX + "/bin"
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        ran = subprocess.run([vessel.BIN + "/vessel", "run", "--rm", "--init", "busybox", "cat", "/proc/1/comm"],
                             env=dict(os.environ, VESSEL_HOST=engine.host()), capture_output=True, text=True)
        assert (ran.returncode, ran.stdout) == (0, "docker-init\n"), ran
        for line in engine.processes():
            assert vessel.TOP + "/build" not in line, line
    finally:
        engine.destroy()


def main():
    vessel.enter_private_namespace()
    directory = tempfile.mkdtemp(prefix="vessel-install-", dir="/dev/shm")
    tap = vessel.Tap()
    try:
        tap.case("DESTDIR and PREFIX are kept to", installed, directory)
        tap.case("what is installed runs a container", works, directory)
    finally:
        shutil.rmtree(directory)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
