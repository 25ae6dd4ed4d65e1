#!/usr/bin/python3
"""What vessel-runtime prints is valid by the runtime-spec's JSON schemas: config.json of `spec`, `features`, `state`.

The schemas and the specification's examples are tests/runtime/schema; the validator is Debian's python3-jsonschema.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

sys.path.insert(0, os.path.join(vessel.TOP, "build/peers/compose-1/usr/lib/python3/dist-packages"))  # tools/peers
import jsonschema  # noqa: E402

SCHEMAS = os.path.join(vessel.TOP, "tests/runtime/schema")


def validator(kind):
    with open(os.path.join(SCHEMAS, kind + "-schema.json")) as f:
        schema = json.load(f)
    resolver = jsonschema.RefResolver("file://%s/%s-schema.json" % (SCHEMAS, kind), schema)
    return jsonschema.Draft4Validator(schema, resolver=resolver)


def check(kind, document):
    problems = ["%s: %s" % ("/".join(map(str, p.absolute_path)), p.message) for p in validator(kind).iter_errors(document)]
    assert not problems, "; ".join(problems)


def refused(kind, path):
    try:
        with open(path) as f:
            check(kind, json.load(f))
    except (AssertionError, ValueError):
        return True
    return False


def examples():
    """The schemas are read as their makers meant: what is good passes, what is bad does not."""
    for kind in ("config", "features", "state"):
        good, bad = (sorted(glob.glob(os.path.join(SCHEMAS, kind, which, "*.json"))) for which in ("good", "bad"))
        assert good and bad, kind
        wrong = [p for p in good if refused(kind, p)] + [p for p in bad if not refused(kind, p)]
        assert not wrong, wrong


def runtime(*args, **options):
    return subprocess.run([os.path.join(vessel.BIN, "vessel-runtime"), *args], check=True, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **options).stdout


def specs(directory):
    for options in ((), ("--rootless",)):
        runtime("spec", *options, cwd=directory)
        with open(os.path.join(directory, "config.json")) as f:
            check("config", json.load(f))
        os.unlink(os.path.join(directory, "config.json"))


def state(directory):
    os.mkdir(os.path.join(directory, "rootfs"))
    subprocess.run(["tar", "-C", os.path.join(directory, "rootfs"), "-x"], input=vessel.busybox_tar(), check=True)
    runtime("spec", cwd=directory)
    path = os.path.join(directory, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["process"].update(terminal=False, args=["sleep", "1000"])
    config["annotations"] = {"a.b/c": "d"}
    with open(path, "w") as f:
        json.dump(config, f)
    root, name = ("--root", os.path.join(directory, "state")), "schema-%d" % os.getpid()
    # its streams would keep ours open
    subprocess.run([os.path.join(vessel.BIN, "vessel-runtime"), *root, "create", "--bundle", directory, name], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for wanted in ("created", "running", "stopped"):
            got = json.loads(runtime(*root, "state", name))
            assert got["status"] == wanted and got["annotations"] == {"a.b/c": "d"}, got
            check("state", got)
            if wanted == "created":
                runtime(*root, "start", name)
            elif wanted == "running":
                runtime(*root, "kill", name, "KILL")
                vessel.wait_until("the container has ended", lambda: json.loads(
                    runtime(*root, "state", name))["status"] == "stopped")
    finally:
        runtime(*root, "delete", "--force", name)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    directory = tempfile.mkdtemp(prefix="vessel-schemas-", dir="/dev/shm")
    try:
        tap.case("the specification's examples: good ones pass its schemas, bad ones do not", examples)
        tap.case("spec: a configuration by the schema, rootless too", specs, directory)
        tap.case("features: by the schema", lambda: check("features", json.loads(runtime("features"))))
        tap.case("state: by the schema, created, running and stopped", state, directory)
    finally:
        shutil.rmtree(directory)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
