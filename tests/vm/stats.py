#!/usr/bin/python3
"""In a guest: stats of a running container on cgroup v2, against the types of Docker's API.  stats.py CONTAINER"""

import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import apifacts  # noqa: E402

# Lists of cgroup v1 alone are null on v2, as Docker's are.
NULL = ["blkio_stats." + name for name in (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive", "io_wait_time_recursive",
    "io_merged_recursive", "io_time_recursive", "sectors_recursive")]


def stats(name, query):
    """One answer of an HTTP without chunks: this Python's library is small."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect("/run/vessel.sock")
        engine.sendall(b"GET /containers/%s/stats?%s HTTP/1.0\r\n\r\n" % (name.encode(), query.encode()))
        answer = b"".join(iter(lambda: engine.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], answer
    return json.loads(body)


def main():
    facts = apifacts.Facts()
    schema = facts.routes["GET /containers/{id}/stats"]["answers"]["200"]
    # Two looks, a second apart: a guest that stood still between them has done nothing meanwhile.
    for _ in range(60):
        got = stats(sys.argv[1], "stream=0")
        if got["cpu_stats"]["cpu_usage"]["total_usage"] > got["precpu_stats"]["cpu_usage"]["total_usage"]:
            break
    problems = facts.check(got, schema, also=NULL) + facts.check(stats(sys.argv[1], "stream=0&one-shot=1"), schema, also=NULL)
    assert not problems, "\n".join(problems)
    cpu, memory = got["cpu_stats"], got["memory_stats"]
    assert cpu["cpu_usage"]["total_usage"] > got["precpu_stats"]["cpu_usage"]["total_usage"] > 0, got
    assert cpu["system_cpu_usage"] > got["precpu_stats"]["system_cpu_usage"] and cpu["online_cpus"] > 0, cpu
    assert "percpu_usage" not in cpu["cpu_usage"], cpu
    assert cpu["throttling_data"]["periods"] > 0, cpu
    assert memory["limit"] == 64 << 20 and 0 < memory["usage"] < memory["limit"], memory
    assert {"inactive_file", "anon", "file", "pgfault"} <= set(memory["stats"]) and "total_inactive_file" not in memory["stats"], memory
    assert got["pids_stats"]["current"] >= 1 and got["pids_stats"]["limit"] == 50, got["pids_stats"]
    assert list(got["networks"]) == ["eth0"] and got["name"] == "/" + sys.argv[1], got


if __name__ == "__main__":
    main()
