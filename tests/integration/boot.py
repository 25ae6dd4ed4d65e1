#!/usr/bin/python3
"""What a reboot makes of containers: restart policies, and the start order that labels declare.

A reboot is: vesseld, every shim and every container killed at once, and the exec root, which lies on a tmpfs, gone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

DEPENDS = "vessel.depends-on"
COMPOSE = "com.docker.compose."


def create(engine, name, depends=None, policy="always", cmd="sleep 100000", **more):
    labels = more.pop("labels", {})
    if depends:
        labels[DEPENDS] = depends
    body = {"Image": "busybox", "Cmd": ["sh", "-c", cmd], "Labels": labels,
            "HostConfig": {"RestartPolicy": {"Name": policy}}, **more}
    status, answer = engine.api("POST", "/containers/create?name=" + name, body)
    assert status == 201, answer
    status, answer = engine.api("POST", "/containers/%s/start" % name)
    assert status == 204, answer


def reboot(engine):
    engine.kill()
    for line in sorted(engine.processes(), key=lambda line: "vessel-shim" not in line):  # none sees another end
        try:
            os.kill(int(line.split()[0]), signal.SIGKILL)
        except ProcessLookupError:
            pass
    vessel.wait_until("all processes gone", lambda: not engine.processes())
    for line in subprocess.check_output(["ip", "-o", "link"], text=True).splitlines():
        name = line.split(": ")[1].split("@")[0]
        if name != "lo":
            subprocess.run(["ip", "link", "del", name], stderr=subprocess.DEVNULL)
    shutil.rmtree(engine.root + "/run")
    engine.start()


def events(engine):
    """Those of this daemon's life."""
    connection = engine.connection()
    connection.request("GET", "/events?since=0&until=%.6f" % time.time())
    return [json.loads(line) for line in connection.getresponse().read().splitlines()]


def state(engine, name):
    return engine.inspect(name)["State"]


def wait_running(engine, *names):
    for name in names:
        vessel.wait_until(name + " runs", lambda: state(engine, name)["Status"] == "running")


def remove(engine, *names):
    for name in names:
        assert engine.api("DELETE", "/containers/%s?force=1" % name)[0] == 204


def policies(engine):
    for policy in ("no", "always", "unless-stopped", "on-failure"):
        create(engine, policy, policy=policy)
    for policy in ("always", "unless-stopped"):
        create(engine, "stopped-" + policy, policy=policy)
        assert engine.api("POST", "/containers/stopped-%s/stop?t=0" % policy)[0] == 204
    reboot(engine)
    wait_running(engine, "always", "unless-stopped", "on-failure", "stopped-always")
    for name, code in (("no", 255), ("stopped-unless-stopped", 137)):
        found = state(engine, name)
        assert found["Status"] == "exited" and found["ExitCode"] == code, found
    remove(engine, "no", "always", "unless-stopped", "on-failure", "stopped-always", "stopped-unless-stopped")


def order(engine):
    """The dependents come first by age, by name and in the list: only the labels put them last."""
    create(engine, "a-web", "b-api,z-db:healthy")
    create(engine, "b-api", "z-db")
    create(engine, "z-db", Healthcheck={"Test": ["CMD-SHELL", "test -e /tmp/ok"], "Interval": 10 ** 9, "StartInterval": 50000000,
                                          "StartPeriod": 10 ** 11},
           cmd="rm -f /tmp/ok; sleep 0.3; : >/tmp/ok; sleep 100000")
    create(engine, "c-late", "job:completed", cmd="cat /proc/uptime; sleep 100000")
    create(engine, "job", cmd="test -e /once && sleep 0.2 && exit 0; : >/once; echo ready; sleep 100000", policy="on-failure")
    engine.wait_log("job")
    reboot(engine)
    wait_running(engine, "a-web", "b-api", "z-db", "c-late")
    started = {name: state(engine, name)["StartedAt"] for name in ("a-web", "b-api", "z-db", "c-late")}
    assert started["z-db"] < started["b-api"] < started["a-web"], started
    seen = [(each["Action"], each["Actor"]["Attributes"]["name"]) for each in events(engine)]
    assert seen.index(("health_status: healthy", "z-db")) < seen.index(("start", "a-web")), seen
    job = state(engine, "job")
    assert job["Status"] == "exited" and job["ExitCode"] == 0, job
    assert job["FinishedAt"] < started["c-late"], (job, started)
    remove(engine, "a-web", "b-api", "z-db", "c-late", "job")


def compose(engine):
    def labels(service, depends="", project="shop"):
        return {COMPOSE + "project": project, COMPOSE + "service": service, COMPOSE + "depends_on": depends}
    create(engine, "shop-web-1", labels=labels("web", "db:service_started:false,cache:service_started:true"))
    for name in ("shop-cache-1", "shop-cache-2"):
        create(engine, name, labels=labels("cache", "db:service_started:false"))
    create(engine, "other-db-1", labels=labels("db", project="other"))
    create(engine, "shop-db-1", labels=labels("db"))
    reboot(engine)
    names = ("shop-web-1", "shop-cache-1", "shop-cache-2", "shop-db-1", "other-db-1")
    wait_running(engine, *names)
    started = {name: state(engine, name)["StartedAt"] for name in names}
    for name in ("shop-cache-1", "shop-cache-2"):
        assert started["shop-db-1"] < started[name] < started["shop-web-1"], started
    remove(engine, *names)


def nothing_holds_up(engine):
    """Cycles, oneself, what is not there, what nobody starts, what makes no sense."""
    create(engine, "one", "two")
    create(engine, "two", "three:healthy")
    create(engine, "three", "one,three")
    create(engine, "four", "missing,ended,gone:sometimes")
    create(engine, "ended", policy="no")
    engine.log.flush()
    before = len(engine.log_text())
    reboot(engine)
    wait_running(engine, "one", "two", "three", "four")
    log = engine.log_text()[before:]
    for text in ("which in the end depends on it: ignored", "depends on 'missing', which is not there",
                 "depends on 'ended', which is exited with code 255", "'gone:sometimes' is not understood"):
        assert text in log, text
    remove(engine, "one", "two", "three", "four", "ended")


def by_hand(engine):
    """Who waits can be started or removed by hand; the wait is no state that sticks."""
    create(engine, "never", Healthcheck={"Test": ["CMD", "false"], "Interval": 50000000, "StartPeriod": 10 ** 15})
    for name in ("waits", "started", "removed"):
        create(engine, name, "never:healthy")
    reboot(engine)
    wait_running(engine, "never")
    assert {state(engine, name)["Status"] for name in ("waits", "started", "removed")} == {"restarting"}
    assert engine.api("POST", "/containers/started/start")[0] == 204
    wait_running(engine, "started")
    remove(engine, "removed")
    assert engine.api("POST", "/containers/never/stop?t=0")[0] == 204
    wait_running(engine, "waits")
    remove(engine, "never", "waits", "started")


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        tap.case("restart policies after a reboot", policies, engine)
        tap.case("start order by label", order, engine)
        tap.case("start order by Compose's label", compose, engine)
        tap.case("what cannot come is not waited for", nothing_holds_up, engine)
        tap.case("who waits is started, stopped and removed by hand", by_hand, engine)
        if tap.failed and os.environ.get("VESSEL_TEST_VERBOSE"):
            print(engine.log_text()[-6000:])
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
