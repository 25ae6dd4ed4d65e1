#!/usr/bin/python3
"""What other programs test of images, once more with layers that are EROFS images: pulls, pushes, loads, commits, df, kills.

Engines of tests have their data on a tmpfs, which cannot back them; here it is on an ext4 of its own.  layers.py compares
the formats themselves.
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import layers  # noqa: E402
import vessel  # noqa: E402

TESTS = os.path.join(vessel.TOP, "tests")
PROGRAMS = [  # and which of its cases
    ("conformance/commit.bats", "-f", "changes, deletions|capabilities"),
    ("conformance/images.bats", "-f", "save and load|hostile"),
    ("conformance/images-lists.bats", "-f", "df says"),
    ("conformance/registry.py", "pulls", "formats", "resumed", "spoilt", "shared", "killed", "pushes", "pushes_made"),
    ("integration/kill-images.py",),
]


class Relay(vessel.Tap):
    """Other programs' results as our own."""

    def program(self, path, *args):
        file = os.path.join(TESTS, path)
        command = ["bats", "--formatter", "tap", *args, file] if path.endswith(".bats") else [sys.executable, file, *args]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace")
        name, planned, came, failed = os.path.basename(path), 0, 0, 0
        for line in process.stdout:
            result = re.match(r"(ok|not ok) \d+ (.*)", line)
            if result:
                self.count += 1
                came += 1
                failed += result[1] != "ok"
                print("%s %d %s: %s" % (result[1], self.count, name, result[2]), flush=True)
            elif line.startswith("1.."):
                planned = int(line[3:])
            else:
                print(line if line.startswith("#") else "# " + line, end="", flush=True)
        status = process.wait()
        self.failed += failed

        def complete():
            assert came == planned > 0, "%d results of %d" % (came, planned)
            assert (status == 0) == (failed == 0), "it ended with %d" % status
        self.case(name + " ran to its end", complete)


def can(place):
    """Does the kernel do it?"""
    engine = layers.Engine("erofs", place)
    try:
        engine.start()
        return True
    except AssertionError as problem:
        if "layers cannot be EROFS images here" not in str(problem):
            raise
        return False
    finally:
        engine.destroy()


def main():
    if os.environ.get("VESSEL_EROFS_MOUNTS") != "1":
        os.environ["VESSEL_EROFS_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--", sys.executable] + sys.argv)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tap, only = Relay(), sys.argv[1:]
    with layers.file_system() as place:
        if not can(place):
            tap.skip("images in EROFS layers", "no overlay on EROFS images mounted from files (6.15)")
            return tap.end()
        os.environ.update(VESSEL_TEST_DIR=place, VESSEL_TEST_LAYERS="erofs")
        for path, *args in PROGRAMS:
            if not only or os.path.basename(path) in only:
                tap.program(path, *args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
