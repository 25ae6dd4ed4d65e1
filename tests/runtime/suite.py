#!/usr/bin/python3
"""The runtime's tests, by effect seen from inside a container: suite.py [--only REGEX] [--share K/N] [--list]

Root.  Runs vessel-runtime of build/bin, or of $VESSEL_BIN; the same on any kernel, in a guest too.
"""

import argparse
import importlib
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import harness  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="a regular expression over 'cases.area: title'")
    parser.add_argument("--share", metavar="K/N", help="every Nth case from the Kth on, and those of --always")
    parser.add_argument("--always", metavar="FEATURE,...", default="", help="what cases of another share need")
    parser.add_argument("--systemd-cgroup", action="store_true", help="run all with systemd as the cgroup driver")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--payload", default=os.path.join(
        harness.TOP, "build/static/tests/runtime/payload/payload"))
    parser.add_argument("--busybox", default="/bin/busybox")
    parser.add_argument("--without", metavar="CALL,...", help="system calls that fail with ENOSYS; 'new': those since 5.2")
    parser.add_argument("prefix", nargs="*", help="a command that the runtime is run through")
    options = parser.parse_args()
    for name in sorted(os.listdir(os.path.join(HERE, "cases"))):
        if name.endswith(".py") and name != "__init__.py":
            importlib.import_module("cases." + name[:-3])
    if options.list:
        print("\n".join("%s: %s" % (f.__module__, title) for title, f, _ in harness.CASES))
        return 0
    prefix = options.prefix
    if options.without:
        prefix = harness.without(options.payload, harness.NEW_CALLS if options.without == "new" else options.without)
    binaries = os.environ.get("VESSEL_BIN", os.path.join(harness.TOP, "build/bin"))
    suite = harness.Suite(os.path.join(binaries, "vessel-runtime"), options.payload, options.busybox, prefix)
    if options.systemd_cgroup:
        suite.use_systemd()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return 1 if suite.run(harness.choose(options.only, options.share, options.always.split(","))) else 0
    finally:
        suite.close()


if __name__ == "__main__":
    sys.exit(main())
