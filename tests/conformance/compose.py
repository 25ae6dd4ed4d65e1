#!/usr/bin/python3
"""Compose v2 drives vesseld: projects of services with networks, volumes, ports and dependencies.

The client is Debian sid's docker-compose, unpacked by tools/peers.  Every case brings a project of its own up and takes
it down; behind each, nothing of the project may be left.  Networks have fixed subnets, so that no two cases meet.
"""

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

COMPOSE = os.path.join(vessel.TOP, "build/peers/compose/usr/libexec/docker/cli-plugins/docker-compose")

# A database with a volume, a web server in front of it, a worker that can reach the database only.
SHOP = """
services:
  db:
    image: busybox
    command: ["sh", "-c", "mkdir -p /data; [ -e /data/rows ] || echo first >/data/rows; exec httpd -f -p 5432 -h /data"]
    init: true
    stop_grace_period: 1s
    volumes: ["rows:/data"]
    networks:
      back:
        aliases: [database]
    environment:
      DB_NAME: shop
      DB_USER: ${SHOP_USER:-nobody}
  web:
    image: busybox
    depends_on: [db]
    command: ["httpd", "-f", "-p", "80", "-h", "/www"]
    init: true
    stop_grace_period: 1s
    ports: ["127.0.0.1:%(port)d:80"]
    networks: [front, back]
    labels:
      shop.tier: front
  worker:
    image: busybox
    depends_on:
      db: {condition: service_started}
    command: ["sh", "-c", "trap 'exit 0' TERM; echo worker of $$HOSTNAME is up; while :; do sleep 1 & wait $$!; done"]
    networks: [back]
    restart: unless-stopped
  once:
    image: busybox
    depends_on: [db]
    command: ["sh", "-c", "until wget -qO- http://database:5432/rows; do usleep 50000; done"]
    networks: [back]
networks:
  front: {}
  back:
    internal: true
volumes:
  rows: {}
"""


class Project:
    """A Compose project in a directory of its own, named after it."""

    COMMAND = [COMPOSE, "--ansi", "never", "--progress", "plain"]

    def __init__(self, engine, name, text, environment=None):
        self.engine, self.name = engine, name
        self.directory = os.path.join(engine.root, "projects", name)
        os.makedirs(self.directory)
        self.write(text)
        self.environment = dict(engine.environment(), HOME=engine.root, **(environment or {}))

    def write(self, text):
        self.text = text
        with open(self.directory + "/compose.yaml", "w") as f:
            f.write(text)

    def run(self, *args, code=0):
        """docker-compose ARGS in the project; its standard output."""
        done = subprocess.run([*self.COMMAND, *args], cwd=self.directory,
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=vessel.TIMEOUT_S)
        if done.returncode != code and code is not None:
            raise AssertionError("compose %s: exit %d\n%s\n%s" % (" ".join(args), done.returncode, done.stdout[-1500:],
                                                                  done.stderr[-1500:]))
        return done.stdout

    def processes(self, *args):
        """Its containers as `compose ps` has them, by name."""
        lines = self.run("ps", "--format", "json", *args).splitlines()
        return {entry["Name"]: entry for entry in map(json.loads, lines)}

    def container(self, service, number=1):
        found = self.engine.inspect("%s-%s-%d" % (self.name, service, number))
        assert found, "%s-%s-%d is not there" % (self.name, service, number)
        return found

    def left(self):
        """What the engine still has of the project."""
        wanted = urllib.parse.quote(json.dumps({"label": ["com.docker.compose.project=" + self.name]}))
        containers = self.engine.api("GET", "/containers/json?all=1&filters=" + wanted)[1]
        networks = self.engine.api("GET", "/networks?filters=" + wanted)[1]
        volumes = self.engine.api("GET", "/volumes?filters=" + wanted)[1]["Volumes"] or []
        return [c["Names"][0] for c in containers] + [n["Name"] for n in networks] + [v["Name"] for v in volumes]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.run("down", "-v", "--remove-orphans", "-t", "1")
            check(self.left(), [], "left of the project")
        else:
            with contextlib.suppress(Exception):
                self.run("down", "-v", "--remove-orphans", "-t", "1")


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def fetch(port, path="/"):
    """A page of a server that may be about to listen."""

    def answer():
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=vessel.TIMEOUT_S) as page:
                return page.read().decode()
        return None

    return vessel.wait_until("port %d answers" % port, answer)


def foreground(project, said, name, *args):
    """`compose ARGS` until it has shown what container `name` says, which then is told to go on: (exit code, output)."""
    path = project.directory + "/out"
    with open(path, "w") as out:
        client = subprocess.Popen([*project.COMMAND, *args], cwd=project.directory, env=project.environment,
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def shown():
        with open(path) as f:
            return f.read()
    try:
        vessel.wait_until("it shows what the container says", lambda: said in shown() or client.poll() is not None)
        project.engine.docker("exec", name, "touch", "/go", check=False)  # which may be killed with what it ends
        return client.wait(vessel.TIMEOUT_S), shown()
    finally:
        if client.poll() is None:
            client.kill()
            client.wait()


def shop(engine, name, **environment):
    port = engine.free_port()
    return Project(engine, name, SHOP % {"port": port}, environment), port


def up_and_down(engine):
    project, port = shop(engine, "shop", SHOP_USER="anna")
    with project:
        project.run("up", "-d")
        vessel.wait_until("once has ended", lambda: project.container("once")["State"]["Status"] == "exited")
        check(project.container("once")["State"]["ExitCode"], 0, "the name and the alias of the database resolve")
        check(project.run("logs", "--no-log-prefix", "once"), "first\n", "what the database has")
        check(sorted(project.processes()), ["shop-db-1", "shop-web-1", "shop-worker-1"], "what runs")
        check(sorted(project.processes("-a")), ["shop-db-1", "shop-once-1", "shop-web-1", "shop-worker-1"], "ps -a")
        check(fetch(port), "hello\n", "the published port")
        check(project.run("port", "web", "80").strip(), "127.0.0.1:%d" % port, "compose port")
        environment = project.container("db")["Config"]["Env"]
        assert "DB_USER=anna" in environment and "DB_NAME=shop" in environment, environment
        check(project.container("web")["Config"]["Labels"]["shop.tier"], "front", "the label")
        check(sorted(project.container("web")["NetworkSettings"]["Networks"]), ["shop_back", "shop_front"], "networks of web")
        check(project.run("exec", "-T", "web", "wget", "-qO-", "http://db:5432/rows"), "first\n", "web reaches db")
        vessel.wait_until("the worker's log", lambda: "worker of" in project.run("logs", "worker"))
    check(project.left(), [], "left behind")


def nothing_to_do(engine):
    """A second `up` with the same file recreates nothing; with another environment, that service alone."""
    project, _ = shop(engine, "again")
    with project:
        project.run("up", "-d", "db", "worker")
        before = project.container("db")["Id"], project.container("worker")["Id"]
        project.run("up", "-d", "db", "worker")
        check((project.container("db")["Id"], project.container("worker")["Id"]), before, "ids after a second up")
        project.run("exec", "-T", "db", "sh", "-c", "until [ -s /data/rows ]; do usleep 10000; done; echo second >>/data/rows")
        project.environment["SHOP_USER"] = "berta"
        project.run("up", "-d", "-t", "1", "db", "worker")
        assert project.container("db")["Id"] != before[0], "the database was not recreated"
        assert "DB_USER=berta" in project.container("db")["Config"]["Env"]
        check(project.run("exec", "-T", "db", "cat", "/data/rows"), "first\nsecond\n", "the volume outlives its container")


def scale(engine):
    project, _ = shop(engine, "wide")
    with project:
        project.run("up", "-d", "--scale", "worker=3", "worker")
        names = ["wide-worker-%d" % n for n in (1, 2, 3)]
        check(sorted(n for n in project.processes() if "worker" in n), names, "three workers")
        answer = project.run("exec", "-T", "--index", "1", "db", "nslookup", "worker")
        addresses = {project.container("worker", n)["NetworkSettings"]["Networks"]["wide_back"]["IPAddress"] for n in (1, 2, 3)}
        for address in addresses:
            assert address in answer, "%s is not among the answers: %s" % (address, answer)
        project.run("scale", "worker=1")
        check(sorted(n for n in project.processes() if "worker" in n), names[:1], "one worker")


def life(engine):
    project, port = shop(engine, "life")
    with project:
        project.run("create")
        check(project.container("db")["State"]["Status"], "created", "create")
        project.run("start", "db", "web", "worker")
        first = project.container("worker")["State"]["StartedAt"]
        project.run("restart", "-t", "1", "worker")
        assert project.container("worker")["State"]["StartedAt"] != first
        project.run("pause", "web")
        check(project.container("web")["State"]["Status"], "paused", "pause")
        project.run("unpause", "web")
        check(fetch(port), "hello\n", "after unpause")
        assert "httpd" in project.run("top", "web")
        project.run("kill", "-s", "KILL", "web")
        vessel.wait_until("web is dead", lambda: project.container("web")["State"]["Status"] == "exited")
        check(project.container("web")["State"]["ExitCode"], 137, "killed")
        project.run("stop", "-t", "1")
        check(project.processes(), {}, "after stop")
        project.run("start", "web")
        check(fetch(port), "hello\n", "after start")
        with open(project.directory + "/in", "w") as f:
            f.write("copied\n")
        project.run("cp", "in", "web:/www/in")
        check(fetch(port, "/in"), "copied\n", "cp into a service")
        project.run("cp", "web:/www/index.html", "out")
        with open(project.directory + "/out") as f:
            check(f.read(), "hello\n", "cp out of a service")
        project.run("rm", "-s", "-f", "worker")
        assert engine.inspect("life-worker-1") is None
        assert json.loads(project.run("images", "--format", "json")), "no images"
        assert "rows" in project.run("volumes")
        assert any(p["Name"] == "life" for p in json.loads(project.run("ls", "--format", "json")))
        project.run("stats", "--no-stream", "web")


def one_off(engine):
    project, _ = shop(engine, "oneoff")
    with project:
        check(project.run("run", "--rm", "-T", "worker", "sh", "-c", "until wget -qO- http://db:5432/rows; do usleep 50000; done"), "first\n",
              "run starts what it depends on")
        project.run("run", "--rm", "-T", "--no-deps", "worker", "sh", "-c", "exit 7", code=7)
        check([n for n in project.left() if "run" in n], [], "one-off containers are gone")


def attached(engine):
    project, _ = shop(engine, "front")
    with project:
        project.write(project.text.replace("usleep 50000; done\"]", "usleep 50000; done; until [ -e /go ]; do usleep 50000; done\"]"))
        code, out = foreground(project, "first", "front-once-1", "up", "--exit-code-from", "once", "-t", "1", "once", "db")
        assert code == 0 and "once-1" in out and "first" in out, (code, out)


def completed(engine):
    """depends_on with service_completed_successfully, and a dependency that fails."""
    text = """
services:
  prepare:
    image: busybox
    command: sh -c 'usleep 100000; echo made >/shared/file'
    volumes: [shared:/shared]
  use:
    image: busybox
    command: cat /shared/file
    volumes: [shared:/shared:ro]
    depends_on:
      prepare: {condition: service_completed_successfully}
  broken:
    image: busybox
    command: "false"
    profiles: [broken]
  never:
    image: busybox
    command: echo never
    profiles: [broken]
    depends_on:
      broken: {condition: service_completed_successfully}
volumes:
  shared:
"""
    with Project(engine, "steps", text) as project:
        project.run("up", "-d")
        vessel.wait_until("use has ended", lambda: project.container("use")["State"]["Status"] == "exited")
        check(project.run("logs", "--no-log-prefix", "use"), "made\n", "use")
        project.run("--profile", "broken", "up", "-d", "never", code=1)
        project.run("--profile", "broken", "down", "-v", "-t", "1")


def healthy(engine):
    """depends_on with service_healthy, `up --wait`, and a service that never gets healthy."""
    text = """
services:
  db:
    image: busybox
    command: sh -c 'usleep 300000; touch /tmp/ready; exec sleep 1000'
    init: true
    healthcheck: {test: ["CMD", "test", "-e", "/tmp/ready"], interval: 10s, timeout: 60s, retries: 1000, start_period: 1h, start_interval: 400ms}
  web:
    image: busybox
    command: httpd -f -p 80 -h /www
    init: true
    depends_on:
      db: {condition: service_healthy}
  ill:
    image: busybox
    command: sleep 1000
    init: true
    profiles: [ill]
    healthcheck: {test: "false", interval: 50ms, retries: 1}
"""
    with Project(engine, "well", text) as project:
        project.run("up", "-d", "--wait")
        check(project.processes()["well-db-1"]["Health"], "healthy", "ps")
        check(project.container("db")["State"]["Health"]["Status"], "healthy", "inspect")
        now = engine.api("GET", "/info")[1]["SystemTime"]
        seen = engine.docker("events", "--since", "1h", "--until", now, "--filter", "label=com.docker.compose.project=well",
                             "--format", "{{.Action}} {{index .Actor.Attributes \"com.docker.compose.service\"}}").stdout
        order = [line for line in seen.splitlines() if line in ("start db", "health_status: healthy db", "start web")]
        check(order, ["start db", "health_status: healthy db", "start web"], "the order")
        project.run("--profile", "ill", "up", "-d", "--wait", "ill", code=1)
        check(project.container("ill")["State"]["Health"]["Status"], "unhealthy", "the one that is ill")
        project.run("--profile", "ill", "down", "-t", "1")


def fields(engine):
    """Fields of a service that become fields of create."""
    text = """
services:
  all:
    image: busybox
    command: sleep 1000
    stop_grace_period: 1s
    hostname: beacon
    domainname: example.test
    user: "1000:1000"
    working_dir: /tmp
    entrypoint: ["/bin/sh", "-c", "exec \\"$$0\\" \\"$$@\\""]
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    read_only: true
    tmpfs: ["/scratch:size=1m"]
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 50
    shm_size: 16m
    ulimits: {nofile: {soft: 100, hard: 200}}
    sysctls: {net.core.somaxconn: "333"}
    security_opt: ["no-new-privileges:true"]
    dns: [192.0.2.53]
    dns_search: [example.test]
    extra_hosts: ["other:192.0.2.7"]
    logging: {driver: json-file, options: {max-size: 1m, max-file: "2"}}
    restart: on-failure:3
    stop_signal: SIGINT
    oom_score_adj: 100
    group_add: ["2000"]
    networks:
      only: {ipv4_address: 10.99.7.9, mac_address: "02:42:0a:63:07:09"}
    volumes:
      - type: bind
        source: ./given
        target: /given
        read_only: true
      - type: tmpfs
        target: /more
      - type: volume
        source: data
        target: /data
    configs: [{source: settings, target: /etc/settings}]
    secrets: [password]
configs:
  settings: {file: ./settings}
secrets:
  password: {file: ./password}
networks:
  only:
    driver: bridge
    ipam: {config: [{subnet: 10.99.7.0/24, gateway: 10.99.7.1}]}
volumes:
  data: {labels: {kind: test}}
"""
    with Project(engine, "fields", text) as project:
        os.mkdir(project.directory + "/given")
        for name, content in (("given/file", "given\n"), ("password", "secret\n"), ("settings", "key=value\n")):
            with open(os.path.join(project.directory, name), "w") as f:
                f.write(content)
        project.run("up", "-d")
        shown = project.run("exec", "-T", "all", "sh", "-c",
                            "hostname; id -u; id -G; pwd; cat /given/file /run/secrets/password /etc/settings; ulimit -n;"
                            "cat /proc/sys/net/core/somaxconn; grep other /etc/hosts; ip -4 -o addr show eth0; touch /x 2>&1;"
                            "ip link show eth0; cat /proc/self/oom_score_adj")
        for part in ("beacon", "1000", "2000", "/tmp", "given", "secret", "key=value", "100", "333", "192.0.2.7", "10.99.7.9/24",
                     "Read-only file system", "02:42:0a:63:07:09"):
            assert part in shown, "%r is not in %r" % (part, shown)
        host = project.container("all")["HostConfig"]
        check((host["Memory"], host["NanoCpus"], host["PidsLimit"], host["ShmSize"]), (64 << 20, 500000000, 50, 16 << 20), "limits")
        check(host["RestartPolicy"], {"Name": "on-failure", "MaximumRetryCount": 3}, "the restart policy")


def more_fields(engine):
    """Limits of `deploy`, what is external, configs in the file, host-gateway, a service's namespaces, a restart that spreads."""
    text = """
services:
  base:
    image: busybox
    command: sh -c 'trap "exit 0" TERM; while :; do usleep 50000; done'
    platform: linux/amd64
    pull_policy: never
    healthcheck: {test: "true", interval: 1h, start_period: 1h, start_interval: 100ms}
    deploy: {resources: {limits: {cpus: "0.5", memory: 64M, pids: 50}, reservations: {memory: 32M}}}
    extra_hosts: ["host.docker.internal:host-gateway"]
    dns_opt: ["ndots:3"]
    annotations: {kind: test}
    networks: {outside: {aliases: [known]}, inside: {}}
    volumes:
      - {type: volume, source: outer, target: /outer, volume: {nocopy: true}}
      - {type: tmpfs, target: /scratch, tmpfs: {size: 1000000, mode: 448}}
      - /anonymous
    configs: [{source: inline, target: /etc/inline, mode: 0440}]
  beside:
    image: busybox
    command: sh -c 'trap "exit 0" TERM; while :; do usleep 50000; done'
    network_mode: service:base
    pid: service:base
    volumes_from: [base:ro]
    depends_on: {base: {condition: service_healthy, restart: true}}
configs:
  inline: {content: "of $WORD"}
networks:
  outside: {external: true, name: more-outside}
  inside: {internal: true}
volumes:
  outer: {external: true, name: more-outer}
"""
    engine.docker("network", "create", "more-outside")
    engine.docker("volume", "create", "more-outer")
    with Project(engine, "more", text, {"WORD": "mine"}) as project:
        project.run("up", "-d", "--wait")
        host = project.container("base")["HostConfig"]
        check((host["NanoCpus"], host["Memory"], host["MemoryReservation"], host["PidsLimit"], host["Annotations"]["kind"]),
              (500000000, 64 << 20, 32 << 20, 50, "test"), "limits")
        shown = project.run("exec", "-T", "base", "sh", "-c", "cat /etc/inline; echo; ls -A /outer; stat -c %a /scratch; "
                            "grep -c host.docker.internal /etc/hosts; ls /sys/class/net | wc -l; hostname").split()
        check(shown[:-1], ["of", "mine", "700", "1", "3"], "inside")
        check(project.run("exec", "-T", "beside", "hostname").split(), shown[-1:], "the hostname of who shares a network")
        assert project.run("exec", "-T", "beside", "sh", "-c", "touch /outer/x; ls -d /anonymous", code=None).split() == ["/anonymous"]
        before = project.container("beside")["State"]["StartedAt"]
        project.run("restart", "-t", "1", "base")
        assert project.container("beside")["State"]["StartedAt"] != before, "what depends on it is restarted with it"
        assert engine.docker("run", "--rm", "--network", "more-outside", "busybox", "nslookup", "known").returncode == 0
    engine.docker("network", "rm", "more-outside")
    engine.docker("volume", "rm", "more-outer")


def daemon_killed(engine):
    project, port = shop(engine, "kept")
    with project:
        project.run("up", "-d", "db", "web", "worker")
        before = {name: engine.inspect(name)["State"]["Pid"] for name in project.processes()}
        engine.kill()
        check(fetch(port), "hello\n", "with no daemon")
        engine.start()
        check({name: engine.inspect(name)["State"]["Pid"] for name in project.processes()}, before, "processes")
        check(project.run("exec", "-T", "web", "sh", "-c", "until wget -qO- http://database:5432/rows; do usleep 50000; done"), "first\n",
              "names resolve")
        project.run("up", "-d", "--scale", "worker=2", "worker")
        check(len(project.processes()), 4, "scaled by the new daemon")
        engine.kill()
        engine.start()


def events(engine):
    project, _ = shop(engine, "seen")
    with project:
        project.run("up", "-d", "db")
        project.run("kill", "db")
        project.run("rm", "-f", "db")
        now = engine.api("GET", "/info")[1]["SystemTime"]
        lines = project.run("events", "--json", "--since", "1h", "--until", now, code=None).splitlines()
        seen = [entry["action"] for entry in map(json.loads, lines) if entry["service"] == "db"]
        check([action for action in seen if action in ("create", "start", "kill", "die", "destroy")],
              ["create", "start", "kill", "die", "destroy"], "actions")


CASES = (
    ("a project of four services goes up, serves and comes down", up_and_down),
    ("up again recreates what changed only", nothing_to_do),
    ("services scale", scale),
    ("create, start, restart, pause, kill, stop, cp, rm", life),
    ("one-off containers of run", one_off),
    ("up in the foreground ends with the code of a service", attached),
    ("a service waits for another one's end", completed),
    ("a service waits for another one's health", healthy),
    ("fields of a service", fields),
    ("more fields of a service", more_fields),
    ("a project outlives the daemon", daemon_killed),
    ("events of a project", events),
)


def main(cases=CASES):
    with vessel.Suite() as suite:
        for title, function in cases:
            suite.case(function.__name__, title, function, suite.engine)
    return suite.status


if __name__ == "__main__":
    sys.exit(main())
