#!/usr/bin/python3
"""What must not take the engine down: full disks, full process tables, dead and stuck shims, corrupt rows."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402


def shim_of(engine, name):
    """The process that holds a container: the parent of its process 1."""
    pid = engine.inspect(name)["State"]["Pid"]
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def state_of(pid):
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[0]
    return None


class Cases:
    def __init__(self, engine):
        self.engine, self.ids = engine, {}

    def create(self, name, *command, **host):
        return self.engine.api("POST", "/containers/create?name=" + name,
                               {"Image": "busybox", "Cmd": list(command or ("sleep", "1000")), "HostConfig": host})

    def start(self, name):
        return self.engine.api("POST", "/containers/%s/start" % name)

    def run(self, name, *command, **host):
        status, answer = self.create(name, *command, **host)
        assert status == 201, (status, answer)
        self.ids[name] = answer["Id"]
        status, answer = self.start(name)
        assert status == 204, (status, answer)

    def remove(self, *names):
        for name in names:
            status, answer = self.engine.api("DELETE", "/containers/%s?force=1" % name)
            assert status in (204, 404), (name, status, answer)

    def works(self):
        """Everything that a container goes through."""
        self.run("probe", "sh", "-c", "echo alive; sleep 1000")
        assert self.engine.docker("exec", "probe", "echo", "in").stdout == "in\n"
        vessel.wait_until("output is in the log", lambda: self.engine.docker("logs", "probe").stdout == "alive\n")
        self.remove("probe")

    # Disk -------------------------------------------------------------------------------------------

    def fill(self):
        """Leave no byte on the data root."""
        with open(self.engine.root + "/data/filler", "wb", buffering=0) as f:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        f.write(b"x" * size)

    def full_disk(self):
        engine = self.engine
        self.run("up")
        self.run("speaker", "sh", "-c", "while :; do echo word; usleep 1000; done")
        vessel.wait_until("output", lambda: engine.docker("logs", "--tail", "1", "speaker").stdout)
        assert self.create("ready")[0] == 201
        self.fill()
        status, answer = self.create("late")
        assert status == 500 and ("No space" in answer["message"] or "full" in answer["message"]), (status, answer)
        status, answer = self.start("ready")
        if status != 204:
            assert status == 500 and ("No space" in answer["message"] or "full" in answer["message"]), (status, answer)
        status, answer = engine.api("GET", "/containers/json?all=1")
        assert status == 200 and {c["Names"][0] for c in answer} >= {"/up", "/speaker", "/ready"}, answer
        assert engine.inspect("up")["State"]["Running"]
        assert engine.api("GET", "/info")[0] == 200
        done = engine.docker("logs", "--tail", "1", "speaker")
        assert done.stdout == "word\n", done
        done = engine.docker("exec", "up", "echo", "in", check=False)
        assert done.stdout == "in\n" or "space" in done.stderr or "full" in done.stderr, done
        done = engine.docker("run", "--rm", "busybox", "true", check=False)
        assert done.returncode == 125 and ("space" in done.stderr or "full" in done.stderr), done
        engine.docker("stop", "-t", "0", "up")
        assert not engine.inspect("up")["State"]["Running"]
        self.remove("ready", "speaker")  # that needs space itself
        os.unlink(engine.root + "/data/filler")
        self.works()
        assert engine.inspect("late") is None
        assert self.start("up")[0] == 204
        self.remove("up")

    def full_disk_restart(self):
        """The daemon comes back on a full disk, and finds what runs."""
        self.run("up")
        self.fill()
        self.engine.kill()
        self.engine.start()
        assert self.engine.inspect("up")["State"]["Running"]
        os.unlink(self.engine.root + "/data/filler")
        self.works()
        self.remove("up")

    # Processes --------------------------------------------------------------------------------------

    def full_process_table(self):
        """No process can be made: starts say so, everything else goes on; then all is well again."""
        engine, group = self.engine, "/sys/fs/cgroup/pids/vessel-test-limit-%d" % os.getpid()
        if not os.path.isdir("/sys/fs/cgroup/pids"):
            group = "/sys/fs/cgroup/vessel-test-limit-%d" % os.getpid()
        self.run("up")
        for name in ("ready", "second"):
            assert self.create(name)[0] == 201
        os.mkdir(group)
        try:
            with open(group + "/cgroup.procs", "w") as f:
                f.write(str(engine.daemon.pid))
            with open(group + "/pids.max", "w") as f:
                f.write("1")
            running = {"/up"}
            status, answer = self.start("ready")
            if status == 204:  # by a shim that stood by, made before; there is no other
                running.add("/ready")
                status, answer = self.start("second")
            assert status == 500 and "Resource temporarily unavailable" in answer["message"], (status, answer)
            for _ in range(3):
                status, answer = engine.api("GET", "/containers/json")
                assert {c["Names"][0] for c in answer} == running, (status, answer, running)
                assert engine.docker("exec", "up", "echo", "in").stdout == "in\n"  # made by the shim
            assert self.create("more")[0] == 201
            self.remove("up")
            with open(group + "/pids.max", "w") as f:
                f.write("max")
            for name in ("ready", "second"):
                status, answer = self.start(name)
                assert status in (204, 304), (name, status, answer)
            self.works()
            self.remove("ready", "second", "more")
        finally:
            vessel.wait_until("the cgroup is empty", lambda: self.empty(group))

    @staticmethod
    def empty(path):
        """Also of a shim that stands by, made from there."""
        with open(path + "/cgroup.procs") as f:
            for pid in f.read().split():
                with contextlib.suppress(OSError), open(os.path.dirname(path) + "/cgroup.procs", "w") as top:
                    top.write(pid)
        try:
            os.rmdir(path)
            return True
        except OSError:
            return False

    # Shims ------------------------------------------------------------------------------------------

    def dead_shim(self):
        """Its container ends with it, and the restart policy is asked."""
        self.run("once")
        self.run("again", RestartPolicy={"Name": "always"})
        pids = {name: self.engine.inspect(name)["State"]["Pid"] for name in ("once", "again")}
        for name in ("once", "again"):
            os.kill(shim_of(self.engine, name), signal.SIGKILL)
        assert self.engine.api("POST", "/containers/once/wait")[1]["StatusCode"] == 137
        state = self.engine.inspect("once")["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 137), state
        assert state["Error"], state
        vessel.wait_until("it runs again", lambda: self.engine.inspect("again")["State"]["Running"] and
                          self.engine.inspect("again")["State"]["Pid"] != pids["again"])
        for pid in pids.values():
            vessel.wait_until("process 1 ends with its shim", lambda: state_of(pid) in (None, "Z"))
        self.works()
        self.remove("once", "again")

    def stuck_shim(self):
        """A container that answers nothing keeps nobody else from anything."""
        self.run("stuck")
        shim = shim_of(self.engine, "stuck")
        os.kill(shim, signal.SIGSTOP)
        try:
            waiting = [threading.Thread(target=self.engine.api, args=args) for args in (
                ("POST", "/containers/stuck/stop?t=0"), ("GET", "/containers/stuck/top"),
                ("POST", "/containers/stuck/exec", {"Cmd": ["true"]}))]
            for thread in waiting:
                thread.start()
            for _ in range(3):
                assert self.engine.docker("ps", "--format", "{{.Names}}").stdout == "stuck\n"
            assert self.engine.inspect("stuck")["State"]["Running"]
            self.works()
        finally:
            with contextlib.suppress(ProcessLookupError):  # one that is stuck for long is killed
                os.kill(shim, signal.SIGCONT)
        for thread in waiting:
            thread.join(vessel.TIMEOUT_S)
            assert not thread.is_alive()
        self.remove("stuck")

    def newer_shim(self):
        """After a downgrade: what cannot be understood is left alone, said so, and found again."""
        self.run("up")
        self.engine.kill()
        path = self.engine.root + "/run/containers/%s/shim.sock" % self.ids["up"]
        os.rename(path, path + ".real")
        fake = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        directory = os.open(os.path.dirname(path), os.O_PATH)
        fake.bind("/proc/self/fd/%d/shim.sock" % directory)  # the path itself is too long
        os.close(directory)
        fake.listen()

        def answer():
            with contextlib.suppress(OSError):
                connection = fake.accept()[0]
                while message := connection.recv(1 << 16):
                    request = json.loads(message)
                    connection.send(json.dumps({"re": request["seq"], "protocol": 99, "status": "running"}).encode())
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        self.engine.start()
        state = self.engine.inspect("up")["State"]
        assert state["Running"] and "newer version" in state["Error"], state
        self.works()
        self.engine.kill()
        fake.close()
        os.unlink(path)
        os.rename(path + ".real", path)
        self.engine.start()
        assert self.engine.docker("exec", "up", "echo", "in").stdout == "in\n"
        self.remove("up")

    # Records ----------------------------------------------------------------------------------------

    def corrupt_rows(self):
        """What can't be read is shown as dead, and can be removed; the others go on."""
        self.run("good")
        self.run("running")
        assert self.create("bad")[0] == 201
        ids = {name: self.engine.inspect(name)["Id"] for name in ("good", "bad", "running")}
        self.engine.docker("volume", "create", "vol")
        self.engine.docker("network", "create", "net")
        self.engine.kill()
        db = sqlite3.connect(self.engine.root + "/data/vessel.db")
        with db:
            db.execute("UPDATE containers SET spec = '{' WHERE id IN (?, ?)", (ids["bad"], ids["running"]))
            db.execute("UPDATE volumes SET doc = 'x'")
            networks = list(db.execute("SELECT doc, id FROM networks"))
            db.execute("UPDATE networks SET doc = '[' WHERE doc LIKE '%\"net\"%'")
        self.engine.start()
        assert self.engine.inspect("good")["State"]["Running"]
        for name, status in (("bad", "dead"), ("running", "running")):
            state = self.engine.inspect(name)["State"]
            assert state["Status"] == status, state
            assert "stored configuration" in state["Error"], state
            assert self.engine.inspect(name)["Id"] == ids[name]
        assert self.start("bad")[0] == 409
        assert self.engine.api("POST", "/containers/running/stop?t=0")[0] == 204
        assert self.engine.inspect("running")["State"]["Status"] == "dead"
        assert self.start("running")[0] == 409
        assert "stored configuration" in self.engine.log_text()
        assert self.engine.api("GET", "/networks/net")[0] == 404
        self.works()
        self.remove("bad", "running", "good")
        vessel.wait_until("its processes end", lambda: not [p for p in self.engine.processes() if ids["running"] in p])
        assert self.create("bad")[0] == 201
        self.remove("bad")
        self.engine.kill()
        with db:  # what was not understood was not touched: repaired, it is back
            db.executemany("UPDATE networks SET doc = ? WHERE id = ?", networks)
        db.close()
        self.engine.start()
        self.engine.docker("network", "rm", "net")
        self.engine.docker("volume", "rm", "-f", "vol", check=False)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        os.mkdir(engine.root + "/data")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", engine.root + "/data"], check=True)
        cases = Cases(engine)
        engine.start()
        engine.import_busybox()
        audit = vessel.Audit(engine)
        tap.case("a full disk", cases.full_disk)
        tap.case("a restart on a full disk", cases.full_disk_restart)
        tap.case("a full process table", cases.full_process_table)
        tap.case("dead shims", cases.dead_shim)
        tap.case("a stuck shim", cases.stuck_shim)
        tap.case("a shim of a newer version", cases.newer_shim)
        tap.case("corrupt rows", cases.corrupt_rows)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
        tap.case("nothing is left", clean)
    finally:
        engine.stop()
        subprocess.run(["umount", "-l", engine.root + "/data"], check=False)
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
