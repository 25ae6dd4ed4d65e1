#!/usr/bin/python3
"""vesseld as a daemon: dockerd's flags and daemon.json, reload, what it says of itself."""

import glob
import grp
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

VESSELD = vessel.BIN + "/vesseld"
# Those that `dockerd --help` of 28.5 lists.
FLAGS = """
add-runtime allow-direct-routing authorization-plugin bip bip6 bridge cdi-spec-dir cgroup-parent config-file
containerd containerd-namespace containerd-plugins-namespace cpu-rt-period cpu-rt-runtime cri-containerd data-root
debug default-address-pool default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode
default-network-opt default-runtime default-shm-size default-ulimit dns dns-opt dns-search exec-opt exec-root
experimental feature fixed-cidr fixed-cidr-v6 group help host host-gateway-ip http-proxy https-proxy icc init
init-path insecure-registry ip ip-forward ip-forward-no-drop ip-masq ip6tables iptables ipv6 label live-restore
log-driver log-format log-level log-opt max-concurrent-downloads max-concurrent-uploads max-download-attempts
metrics-addr mtu network-control-plane-mtu no-new-privileges no-proxy node-generic-resource pidfile raw-logs
registry-mirror rootless seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opt
swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap
validate version
""".split()


def write(path, text):
    with open(path, "w") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))


class Cases:
    def __init__(self, engine):
        self.engine = engine
        self.file = engine.root + "/daemon.json"

    def validate(self, *args, config=None):
        """(exit code, what it says)"""
        if config is not None:
            write(self.file, config)
            args += ("--config-file", self.file)
        done = subprocess.run([VESSELD, *args, "--validate"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=vessel.TIMEOUT_S)
        return done.returncode, (done.stdout + done.stderr).strip()

    def every_flag(self):
        ours = subprocess.run([VESSELD, "--help"], capture_output=True, text=True, check=True).stdout
        known = {word[2:] for word in ours.split() if word.startswith("--")} | {"help"}
        assert not set(FLAGS) - known, set(FLAGS) - known

    def documented(self):
        """docs/daemon-json.md has the table as it is."""
        table = subprocess.run([VESSELD, "--list-settings"], capture_output=True, text=True, check=True).stdout
        with open(vessel.TOP + "/docs/daemon-json.md") as f:
            assert table in f.read(), table

    def refusals(self):
        for args, config, expected in (
                ((), {"nope": 1, "debug": True}, "the following directives don't match any configuration option: nope"),
                (("--debug",), {"debug": True}, "the following directives are specified both as a flag and in the "
                                                "configuration file: debug: (from flag: true, from file: true)"),
                (("-H", "unix:///a"), {"hosts": ["fd://"]}, "hosts: (from flag: [unix:///a], from file: [fd://])"),
                ((), "{", "line 1"),
                ((), {"authorization-plugins": ["x"]}, "'authorization-plugins' is not implemented"),
                (("--iptables=false",), None, "'iptables' is not implemented"),
                (("--live-restore=false",), None, "live-restore: false is not implemented: containers outlive the engine"),
                ((), {"exec-opts": ["native.cgroupdriver=systemd"]}, "only cgroupfs is"),
                (("--default-ulimit", "nofile"), None, "expected name=soft[:hard]"),
                (("--config-file", "/nonexistent.json"), None, "/nonexistent.json"),
                (("--nonsense",), None, "unknown flag: --nonsense"),
                (("word",), None, "accepts no arguments"),
        ):
            code, said = self.validate(*args, config=config)
            assert code == 125 and expected in said, (args, config, code, said)

    def accepted(self):
        code, said = self.validate(
            "--default-ulimit", "nofile=1024:2048", "--label", "a=b", "--log-opt", "max-size=1m", "--feature", "x=false",
            "--exec-opt", "native.cgroupdriver=cgroupfs", "--default-shm-size", "1g", "--dns", "10.0.0.1",
            "--live-restore", "--userland-proxy=false", "--raw-logs", "-s", "overlay2", "--userland-proxy-path", "/usr/bin/docker-proxy",
            config={"shutdown-timeout": 60, "registry-mirrors": ["https://m"], "insecure-registries": ["r:5000"], "mtu": 1400, "hosts": ["fd://"],
                    "proxies": {"http-proxy": "http://p", "no-proxy": "localhost"}, "iptables": True, "ipv6": False})
        assert (code, said) == (0, "configuration OK"), (code, said)
        assert self.validate(config="") == (0, "configuration OK")

    def reloaded(self):
        status, info = self.engine.api("GET", "/info")
        assert status == 200 and info["Labels"] == ["first=1"], info["Labels"]
        events = self.engine.connection()
        events.request("GET", "/events?filters=%7B%22type%22:%5B%22daemon%22%5D%7D")
        stream = events.getresponse()
        write(self.file, {"labels": ["second=2"], "max-concurrent-downloads": 7, "mtu": 1300})
        self.engine.daemon.send_signal(signal.SIGHUP)
        event = json.loads(stream.readline())
        events.close()
        assert (event["Type"], event["Action"]) == ("daemon", "reload"), event
        attributes = event["Actor"]["Attributes"]
        assert event["Actor"]["ID"] == info["ID"] and attributes["name"] == info["Name"], event
        assert attributes["labels"] == '["second=2"]' and attributes["max-concurrent-downloads"] == "7", attributes
        assert attributes["live-restore"] == "true" and attributes["debug"] == "true", attributes
        status, info = self.engine.api("GET", "/info")
        assert info["Labels"] == ["second=2"], info["Labels"]
        vessel.wait_until("the log says what waits", lambda: "only a restart applies it: mtu" in self.engine.log_text())

    def bad_reload(self):
        write(self.file, '{"labels": 5}')
        self.engine.daemon.send_signal(signal.SIGHUP)
        vessel.wait_until("the log says why", lambda: "configuration is not reloaded: unable to configure the daemon with "
                          "file %s: 'labels': expected an array of strings" % self.file in self.engine.log_text())
        assert self.engine.api("GET", "/info")[1]["Labels"] == ["second=2"]

    def identity(self):
        before = self.engine.api("GET", "/info")[1]["ID"]
        write(self.file, {"labels": ["first=1"]})
        self.engine.stop()
        self.engine.start(args=("--config-file", self.file))
        assert self.engine.api("GET", "/info")[1]["ID"] == before

    def defaults(self):
        """What containers and networks have of the daemon's settings."""
        own_init = self.engine.root + "/own-init"
        shutil.copy(vessel.BIN + "/vessel-init", own_init)
        with open(own_init, "ab") as f:
            f.write(b"own")
        write("/proc/sys/net/ipv4/ip_forward", "0")
        write(self.file, {
            "default-cgroupns-mode": "host", "default-ipc-mode": "shareable", "init-path": own_init, "icc": False, "ip-masq": False,
            "ip-forward": False, "group": "daemon",
            "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 777, "Hard": 888}}, "default-shm-size": "32m",
            "dns": ["192.0.2.53"], "dns-search": ["example.test"], "dns-opts": ["ndots:3"], "init": True,
            "no-new-privileges": True, "seccomp-profile": "unconfined", "default-runtime": "runc", "bip": "10.77.0.1/16",
            "fixed-cidr": "10.77.5.0/24", "mtu": 1400, "ip": "127.0.0.1", "ipv6": False,
            "host-gateway-ips": ["192.0.2.1"], "default-address-pools": [{"base": "10.99.0.0/16", "size": 28}],
            "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1300"}}})
        self.engine.stop()
        self.engine.start(args=("--config-file", self.file))
        self.engine.import_busybox()
        out = self.engine.docker(
            "run", "--rm", "--add-host", "h:host-gateway", "busybox", "sh", "-c",
            "ulimit -Sn; ulimit -Hn; df -m /dev/shm | tail -1; cat /etc/resolv.conf /etc/hosts /proc/1/status;"
            "ip addr show eth0; cat /proc/1/comm; tail -c 3 /sbin/docker-init; echo; readlink /proc/self/ns/cgroup").stdout
        for expected in ("777\n888\n", " 32 ", "nameserver 192.0.2.53", "search example.test", "options ndots:3",
                         "192.0.2.1\th", "NoNewPrivs:\t1", "Seccomp:\t0", "mtu 1400", "inet 10.77.5.", "docker-init", "\nown\n", os.readlink("/proc/self/ns/cgroup")):
            assert expected in out, (expected, out)
        own = self.engine.docker("run", "--rm", "--ulimit", "nofile=50:60", "--dns", "192.0.2.9", "--security-opt",
                                 "seccomp=builtin", "--init=false", "busybox", "sh", "-c",
                                 "ulimit -Sn; cat /etc/resolv.conf /proc/1/status").stdout
        for expected in ("50\n", "nameserver 192.0.2.9", "Seccomp:\t2", "Name:\tcat"):
            assert expected in own, (expected, own)
        self.engine.docker("run", "-d", "--name", "published", "-p", "8099:80", "busybox", "httpd", "-f", "-p", "80", "-h", "/www")
        self.engine.wait_listening("published")
        self.switches()
        assert self.engine.inspect("published")["HostConfig"]["Runtime"] == "runc"
        ports = self.engine.inspect("published")["NetworkSettings"]["Ports"]["80/tcp"]
        assert ports == [{"HostIp": "127.0.0.1", "HostPort": "8099"}], ports
        self.engine.docker("network", "create", "pool")
        network = self.engine.api("GET", "/networks/pool")[1]
        assert network["IPAM"]["Config"][0]["Subnet"] == "10.99.0.0/28", network
        assert network["Options"] == {"com.docker.network.driver.mtu": "1300"}, network
        self.engine.docker("network", "rm", "pool")

    def switches(self):
        """icc, ip-masq, ip-forward, group and the mode of IPC."""
        socket, published = os.stat(self.engine.socket), self.engine.inspect("published")
        assert (socket.st_gid, socket.st_mode & 0o777) == (grp.getgrnam("daemon").gr_gid, 0o660), socket
        ipc = self.engine.docker("run", "--rm", "--ipc", "container:published", "busybox", "readlink", "/proc/self/ns/ipc").stdout
        assert ipc.strip() == os.readlink("/proc/%d/ns/ipc" % published["State"]["Pid"]), ipc
        address = published["NetworkSettings"]["IPAddress"]
        with urllib.request.urlopen("http://%s/" % address, timeout=vessel.TIMEOUT_S) as page:
            assert page.read() == b"hello\n"
        alone = self.engine.docker("run", "--rm", "busybox", "wget", "-T", "1", "-qO-", "http://%s/" % address, check=False)
        assert alone.returncode != 0 and not alone.stdout, alone
        with open("/proc/sys/net/ipv4/ip_forward") as f:
            assert f.read() == "0\n"
        options = self.engine.api("GET", "/networks/bridge")[1]["Options"]
        assert options["com.docker.network.bridge.enable_ip_masquerade"] == "false", options
        assert "vessel0" not in self.masqueraded(), self.masqueraded()

    @staticmethod
    def masqueraded():
        """The bridges whose containers go out with the host's address."""
        return subprocess.run(["nft", "list", "set", "inet", "vessel", "masq_bridges"], check=True, capture_output=True, text=True).stdout

    def kept_bridge(self):
        """A bridge in use stays as it is; an unused one follows the configuration."""
        write(self.file, {"bip": "10.78.0.1/16", "bip6": "fd78::1/64", "fixed-cidr-v6": "fd78::5:0/112"})
        for gateway in ("10.77.0.1", "10.78.0.1"):
            self.engine.stop()
            self.engine.start(args=("--config-file", self.file))
            config = self.engine.api("GET", "/networks/bridge")[1]["IPAM"]["Config"][0]
            assert config["Gateway"] == gateway, config
            self.engine.docker("rm", "-f", "published", check=False)
        out = self.engine.docker("run", "--rm", "busybox", "ip", "addr", "show", "eth0").stdout
        assert "inet 10.78." in out and "inet6 fd78::5:" in out, out
        assert "fd78::1" in [c["Gateway"] for c in self.engine.api("GET", "/networks/bridge")[1]["IPAM"]["Config"]]
        assert "vessel0" in self.masqueraded(), self.masqueraded()
        with open("/proc/sys/net/ipv4/ip_forward") as f:
            assert f.read() == "1\n"

    def info(self):
        write(self.file, {"labels": ["a=b"], "registry-mirrors": ["https://mirror.test"], "experimental": True,
                          "insecure-registries": ["10.0.0.0/8", "plain.test:5000"], "no-new-privileges": True,
                          "proxies": {"https-proxy": "http://proxy.test"}, "log-driver": "none",
                          "default-address-pools": [{"base": "10.99.0.0/16", "size": 28}]})
        self.engine.stop()
        self.engine.start(args=("--config-file", self.file))
        info = self.engine.api("GET", "/info")[1]
        registries = info["RegistryConfig"]
        assert registries["Mirrors"] == ["https://mirror.test/"], registries
        assert registries["IndexConfigs"]["docker.io"]["Official"] is True, registries
        assert registries["IndexConfigs"]["plain.test:5000"]["Secure"] is False, registries
        assert registries["InsecureRegistryCIDRs"] == ["10.0.0.0/8", "::1/128", "127.0.0.0/8"], registries
        assert info["DefaultAddressPools"] == [{"Base": "10.99.0.0/16", "Size": 28}], info
        assert info["HttpsProxy"] == "http://proxy.test" and info["LoggingDriver"] == "none", info
        assert info["ExperimentalBuild"] and info["LiveRestoreEnabled"] and info["Debug"], info
        assert "name=no-new-privileges" in info["SecurityOptions"], info
        assert any("without encryption" in line for line in info["Warnings"]), info["Warnings"]
        assert info["NFd"] > 5 and info["NGoroutines"] > 1, info
        assert self.engine.api("GET", "/version")[1]["Experimental"] is True
        out = self.engine.docker("info").stdout
        assert "Live Restore Enabled: true" in out and "a=b" in out, out

    def metrics(self):
        port = self.engine.free_port()
        self.engine.stop()
        self.engine.start(args=("--metrics-addr", "127.0.0.1:%d" % port, "--log-format", "json"))
        self.engine.docker("run", "-d", "--name", "counted", "--health-cmd", "false", "--health-interval", "10ms",
                           "--health-retries", "1", "busybox", "sleep", "1000")
        vessel.wait_until("a probe", lambda: self.engine.inspect("counted")["State"]["Health"]["Status"] == "unhealthy")
        page = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=vessel.TIMEOUT_S)
        assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = page.read().decode()
        values = {}
        for line in text.splitlines():
            assert re.fullmatch(r'# (HELP|TYPE) \S+ .+|[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? [0-9.e+-]+', line), line
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                assert name not in values, line
                values[name] = float(value)
        assert values['engine_daemon_container_states_containers{state="running"}'] == 1, text
        assert values['engine_daemon_container_actions_seconds_count{action="start"}'] == 1, text
        assert values['engine_daemon_container_actions_seconds_bucket{action="create",le="+Inf"}'] == 1, text
        assert values["engine_daemon_events_total"] >= 3 and values["engine_daemon_health_checks_failed_total"] >= 1, text
        assert values["process_open_fds"] > 5 and values["process_resident_memory_bytes"] > 1e6, text
        try:
            urllib.request.urlopen("http://127.0.0.1:%d/containers/json" % port, timeout=vessel.TIMEOUT_S)
            raise AssertionError("the API is on the metrics' port")
        except urllib.error.HTTPError as problem:
            assert problem.code == 404

    def dump(self):
        self.engine.daemon.send_signal(signal.SIGUSR1)
        pattern = self.engine.root + "/run/dump-*.log"
        # Said when it is whole.
        vessel.wait_until("a dump", lambda: "dump is in" in self.engine.log_text())
        with open(glob.glob(pattern)[0]) as f:
            text = f.read()
        for expected in ("counted: running", "== threads", "== requests in progress", "vesseld"):
            assert expected in text, text
        self.engine.docker("rm", "-f", "counted")

    def logged(self):
        """Lines of dockerd's shapes."""
        lines = self.engine.log_text().splitlines()
        mine = [json.loads(line) for line in lines if line.startswith("{")]
        assert {"level", "msg", "time"} == set(mine[-1]), mine[-1]
        assert any(m["msg"].startswith("dump is in") and m["level"] == "info" for m in mine), mine
        texts = [line for line in lines if line.startswith("time=")]
        assert any(re.match(r'time="\d{4}-[^"]+Z" level=(info|warning|error|debug) msg="', line) for line in texts), texts
        assert 'msg="configuration is not reloaded: ' in "\n".join(texts)

    def upgraded(self):
        """The tables of the first version become today's, with what is in them."""
        root = self.engine.root + "/old"
        os.mkdir(root)
        db = sqlite3.connect(root + "/vessel.db")
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema-1.sql")) as f:
            db.executescript(f.read())
        db.close()
        self.engine.stop()
        self.engine.start(args=("--data-root", root))  # the last one counts
        container = self.engine.inspect("old")
        assert container["State"]["Status"] == "exited" and container["State"]["ExitCode"] == 3, container
        assert container["Config"]["Cmd"] == ["sh"], container
        assert self.engine.api("GET", "/images/old:1/json")[1]["Config"]["Cmd"] == ["sh"]
        self.engine.docker("rm", "old")
        self.engine.stop()
        db = sqlite3.connect(root + "/vessel.db")
        with db:
            db.execute("UPDATE migrations SET version = 99 WHERE module = 'engine'")
        before = list(db.execute("SELECT * FROM migrations ORDER BY module"))
        db.close()
        code, said = self.fails_on(root)
        assert code == 1 and "version 99, this program knows versions up to" in said, (code, said)
        db = sqlite3.connect(root + "/vessel.db")
        assert list(db.execute("SELECT * FROM migrations ORDER BY module")) == before
        db.close()

    def fails_on(self, root, *args):
        done = subprocess.run([VESSELD, "-H", "unix://" + self.engine.root + "/other.sock", "--data-root", root, "--exec-root",
                               self.engine.root + "/other-run", "--pidfile", self.engine.root + "/other.pid", *args],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=vessel.TIMEOUT_S)
        return done.returncode, done.stdout + done.stderr

    def dockers_root(self):
        root = self.engine.root + "/docker"
        os.makedirs(root + "/image/overlay2")
        code, said = self.fails_on(root)
        assert code == 1 and "is dockerd's" in said and os.listdir(root) == ["image"], (code, said)

    @staticmethod
    def ping(daemon, path):
        """The answer; None while nobody listens there."""
        assert daemon.poll() is None, "vesseld ended with %s" % daemon.returncode
        connection = vessel.Unix(path)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().read()
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        finally:
            connection.close()

    def in_dockers_place(self):
        """Only when told so: its socket."""
        self.engine.stop()
        daemon = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run; exec \"$@\"", "sh", VESSELD, "--replace-docker",
             "--config-file", self.file, "--data-root", self.engine.root + "/data", "--exec-root",
             self.engine.root + "/run", "--cgroup-parent", self.engine.cgroup_parent],
            stdin=subprocess.DEVNULL, stdout=self.engine.log, stderr=self.engine.log)
        try:
            for name in ("docker.sock", "vessel.sock"):
                path = "/proc/%d/root/run/%s" % (daemon.pid, name)
                vessel.wait_until("%s answers" % name, lambda: self.ping(daemon, path) == b"OK")
                assert os.stat(path).st_mode & 0o777 == 0o660
        finally:
            daemon.terminate()
            daemon.wait(vessel.TIMEOUT_S)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        cases = Cases(engine)
        tap.case("every flag of dockerd 28 is known", cases.every_flag)
        tap.case("every key is documented", cases.documented)
        tap.case("wrong configurations are refused, with Docker's words", cases.refusals)
        tap.case("right ones are accepted", cases.accepted)
        write(cases.file, {"labels": ["first=1"]})
        engine.start(args=("--config-file", cases.file))
        tap.case("SIGHUP applies the file, and an event tells", cases.reloaded)
        tap.case("a bad file changes nothing, and the log says why", cases.bad_reload)
        tap.case("the engine's id outlives it", cases.identity)
        tap.case("defaults of containers and networks", cases.defaults)
        tap.case("a changed default bridge", cases.kept_bridge)
        tap.case("/info tells the configuration", cases.info)
        tap.case("a database of the first version, and of a later one", cases.upgraded)
        tap.case("dockerd's data root is refused", cases.dockers_root)
        tap.case("in dockerd's place", cases.in_dockers_place)
        tap.case("metrics for Prometheus", cases.metrics)
        tap.case("a dump on SIGUSR1", cases.dump)
        tap.case("the log's formats", cases.logged)
        engine.stop()
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
