#!/usr/bin/python3
"""A thousand running containers (thirty in make check): all listed, all measured, all found again, all removed.

Times and memory are printed, not judged: `make bench` compares them with dockerd's.
"""

import os
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

COUNT = int(os.environ.get("VESSEL_MANY", 1000 if os.environ.get("VESSEL_SOAK") == "1" else 30))
CLIENTS = 4


def start_all(engine):
    taken = []
    for i in range(COUNT):
        answer = engine.api("POST", "/containers/create?name=m%d" % i, {"Image": "busybox", "Cmd": ["sleep", "100000"]})
        assert answer[0] == 201, answer
        before = time.monotonic()
        answer = engine.api("POST", "/containers/m%d/start" % i)
        taken.append((time.monotonic() - before) * 1000)
        assert answer[0] == 204, (i, answer)
    part = max(COUNT // 20, 5)
    print("# start: %.1f ms at first, %.1f ms at last" % (statistics.median(taken[:part]), statistics.median(taken[-part:])))


def check_list(engine):
    before = time.monotonic()
    status, found = engine.api("GET", "/containers/json")
    print("# list: %.1f ms" % ((time.monotonic() - before) * 1000))
    assert status == 200 and {each["State"] for each in found} == {"running"}, found
    assert {each["Names"][0] for each in found} == {"/m%d" % i for i in range(COUNT)}
    addresses = {each["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] for each in found}
    assert len(addresses) == COUNT, "%d addresses" % len(addresses)


def check_stats(engine):
    before = time.monotonic()
    for i in range(COUNT):
        status, found = engine.api("GET", "/containers/m%d/stats?stream=0&one-shot=1" % i)
        assert status == 200 and found["name"] == "/m%d" % i and found["pids_stats"]["current"] == 1, found
    print("# stats: %.2f ms each" % ((time.monotonic() - before) * 1000 / COUNT))


def find_again(engine):
    engine.kill()
    before = time.monotonic()
    engine.start()
    print("# restart: %.1f ms" % ((time.monotonic() - before) * 1000))
    check_list(engine)


def remove_all(engine, audit):
    answers = []

    def remove(first):
        for i in range(first, COUNT, CLIENTS):
            answers.append(engine.api("DELETE", "/containers/m%d?force=1" % i)[0])
    threads = [threading.Thread(target=remove, args=(i,)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [204] * COUNT, answers
    left = audit.check()
    assert not left, "left behind: " + "; ".join(left)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        engine.start()
        engine.import_busybox()
        audit = vessel.Audit(engine)
        tap.case("%d containers start" % COUNT, start_all, engine)
        tap.case("all are listed", check_list, engine)
        tap.case("all are measured", check_stats, engine)
        tap.case("all are found by the next daemon", find_again, engine)
        tap.case("all are removed, and nothing is left", remove_all, engine, audit)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
