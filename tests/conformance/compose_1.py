#!/usr/bin/python3
"""docker-compose 1.29, the one in Python of Debian 12, drives vesseld: up, scale, logs, exec, run, down."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import compose  # noqa: E402
import vessel  # noqa: E402

PEER = os.path.join(vessel.TOP, "build/peers/compose-1/usr")

PROJECT = """
version: "2.4"
services:
  db:
    image: busybox
    command: ["sh", "-c", "mkdir -p /data; echo first >/data/rows; touch /tmp/up; exec httpd -f -p 5432 -h /data"]
    init: true
    stop_grace_period: 1s
    volumes: ["rows:/data"]
    networks:
      back:
        aliases: [database]
    healthcheck:
      test: ["CMD", "test", "-e", "/tmp/up"]
      interval: 100ms
      retries: 1000
  web:
    image: busybox
    depends_on:
      db: {condition: service_healthy}
    command: ["sh", "-c", "echo web of $$HOSTNAME; exec httpd -f -p 80 -h /www"]
    init: true
    stop_grace_period: 1s
    ports: ["80"]
    networks: [front, back]
    environment: {A: b}
    mem_limit: 64m
    logging: {driver: json-file, options: {max-size: 1m}}
networks:
  front: {}
  back: {}
volumes:
  rows: {}
"""


class Project(compose.Project):
    COMMAND = ["/usr/bin/python3", PEER + "/bin/docker-compose", "--ansi", "never"]


def project(engine, name):
    return Project(engine, name, PROJECT, {
        "PYTHONPATH": PEER + "/lib/python3/dist-packages", "LC_ALL": "C.UTF-8", "COMPOSE_HTTP_TIMEOUT": "%d" % compose.vessel.TIMEOUT_S})


def up_and_down(engine):
    """Each command is a second of Python: few of them."""
    with project(engine, "oneup") as p:
        p.run("up", "-d", "--scale", "web=2")
        compose.check(p.run("exec", "-T", "-e", "B=c", "--user", "1000", "--index", "2", "web", "sh", "-c",
                            "echo $A $B; id -u; until wget -qO- http://database:5432/rows; do usleep 50000; done"), "b c\n1000\nfirst\n", "exec")
        port = int(p.run("port", "web", "80").rsplit(":", 1)[1])
        compose.check(compose.fetch(port), "hello\n", "a published port")
        compose.vessel.wait_until("both are in the log", lambda: p.run("logs", "--no-color", "web").count("web of ") == 2)
        p.run("up", "-d", "--scale", "web=1")
        before = p.run("ps", "-q", "web").split()
        compose.check(p.run("run", "--rm", "-T", "--no-deps", "web", "echo", "once"), "once\n", "run")
        p.run("up", "-d", "--force-recreate", "--no-deps", "-t", "0", "web")
        after = p.run("ps", "-q", "web").split()
        assert len(before) == len(after) == 1 and before != after, (before, after)


def attached(engine):
    with project(engine, "oneattached") as p:
        p.write("version: '2.4'\nservices:\n  a:\n    image: busybox\n    "
                "command: sh -c 'echo from a; until [ -e /go ]; do usleep 10000; done; exit 3'\n")
        code, out = compose.foreground(p, "from a", "oneattached_a_1", "up", "--no-color", "--exit-code-from", "a")
        assert code == 3 and "from a" in out, (code, out)


CASES = (
    ("docker-compose 1.29: a project goes up, scales, is looked at and comes down", up_and_down),
    ("docker-compose 1.29: up in the foreground ends with the code of a service", attached),
)

if __name__ == "__main__":
    sys.exit(compose.main(CASES))
