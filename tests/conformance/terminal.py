#!/usr/bin/python3
"""Terminals: -it through a real pty, with docker 28 and with vessel.

Size and SIGWINCH, raw mode and its restoration, keys that reach the container, detach keys and attaching
again, exec -it, and what happens without a terminal.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

ROWS, COLUMNS = 40, 100
# Echoes each line; ends with the number given after "end".
ECHO = "echo ready; while read line; do case $line in end*) exit ${line#end};; esac; echo got:$line; done"


class Terminal:
    """A client on a pty of its own, of which it is the session's leader."""

    def __init__(self, engine, client, *args):
        self.master, self.slave = pty.openpty()
        self.size(ROWS, COLUMNS)
        self.mode = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [client, *args], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env=dict(engine.environment(), VESSEL_HOST=engine.host(), TERM="xterm"),
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        """Until the program inside says so: a client that has just begun may not listen yet."""
        self.size(rows, columns)

        def said():
            self.process.send_signal(signal.SIGWINCH)
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
            return b"%d %d" % (rows, columns) in self.seen
        vessel.wait_until("resize to %d, %d" % (rows, columns), said)

    def type(self, text):
        """What the client passes on as it is: not before its terminal is raw."""
        vessel.wait_until("the terminal is raw", self.raw)
        os.write(self.master, text.encode())

    def expect(self, pattern):
        """Read until the pattern has come; what was read up to its end is used up."""
        deadline = time.monotonic() + vessel.TIMEOUT_S
        while True:
            match = re.search(pattern.encode(), self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            left = deadline - time.monotonic()
            assert left > 0, "%r never came; got %r" % (pattern, self.seen[-300:])
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536)

    def raw(self):
        flags = termios.tcgetattr(self.slave)[3]
        return not flags & (termios.ICANON | termios.ECHO | termios.ISIG)

    def end(self):
        """The client's exit code; its terminal must be as it was."""
        code = self.process.wait(vessel.TIMEOUT_S)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        assert termios.tcgetattr(self.slave) == self.mode, "the terminal's mode was not restored"
        return code


class Cases:
    def __init__(self, engine, client):
        self.engine, self.client = engine, client

    def terminal(self, *args):
        return Terminal(self.engine, self.client, *args)

    def output(self, *args):
        return self.engine.docker(*args, check=False)

    def run(self, method):
        try:
            getattr(self, method)()
        finally:
            ids = self.output("ps", "-aq").stdout.split()
            if ids:
                self.output("rm", "-f", *ids)

    def state(self, name):
        return self.engine.inspect(name)["State"]["Status"]

    def first_size(self):
        with self.terminal("run", "--rm", "-it", "busybox", "stty", "size") as t:
            t.expect("%d %d\r\n" % (ROWS, COLUMNS))
            assert t.end() == 0

    def resize(self):
        with self.terminal("run", "--rm", "-it", "busybox", "sh", "-c",
                           "trap 'stty size' WINCH; trap 'exit 130' INT; echo ready; while :; do usleep 10000; done") as t:
            t.expect("ready")
            t.resize(50, 132)
            t.resize(24, 80)
            t.type("\x03")
            assert t.end() == 130

    def raw_mode(self):
        with self.terminal("run", "--rm", "-it", "busybox", "sh", "-c", ECHO) as t:
            t.expect("ready\r\n")
            assert t.raw(), "the client's terminal is not raw"
            t.type("hello\r")
            t.expect("hello\r\ngot:hello\r\n")  # echoed once, by the container's terminal
            t.type("end5\r")
            assert t.end() == 5
            assert t.seen.count(b"end5") <= 1, t.seen

    def ctrl_c(self):
        with self.terminal("run", "--rm", "-it", "busybox", "sh", "-c",
                           "trap 'echo interrupted; exit 9' INT; echo ready; while :; do usleep 10000; done") as t:
            t.expect("ready")
            t.type("\x03")
            t.expect("interrupted\r\n")
            assert t.end() == 9

    def ctrl_d(self):
        with self.terminal("run", "--rm", "-it", "busybox", "cat") as t:
            t.type("text\r")
            t.expect("text\r\ntext\r\n")
            t.type("\x04")
            assert t.end() == 0

    def detach_and_attach(self):
        with self.terminal("run", "--name", "ttd", "-it", "busybox", "sh", "-c", ECHO) as t:
            t.expect("ready")
            t.type("one\r")
            t.expect("got:one")
            t.type("\x10\x11")
            assert t.end() == 0
        assert self.state("ttd") == "running"
        with self.terminal("attach", "ttd") as t:
            t.type("two\r")
            t.expect("got:two")
            assert t.raw()
            t.type("a\x10b\r")  # half of the sequence is passed on
            t.expect("got:a.*b")
            t.type("\x10\x11")
            t.end()
        with self.terminal("attach", "ttd") as t:
            t.type("end6\r")
            assert t.end() == 6
        assert self.state("ttd") == "exited"
        log = self.output("logs", "ttd").stdout
        assert "got:one\r\n" in log and "got:two\r\n" in log, log
        self.output("rm", "ttd")

    def own_detach_keys(self):
        with self.terminal("run", "--name", "ttk", "-it", "--detach-keys", "ctrl-x,y", "busybox", "sh", "-c",
                           ECHO) as t:
            t.expect("ready")
            t.type("\x10\x11")
            t.type("\rmore\r")
            t.expect("got:more")
            t.type("\x18y")
            assert t.end() == 0
        assert self.state("ttk") == "running"
        with self.terminal("attach", "--detach-keys", "ctrl-]", "ttk") as t:
            t.type("again\r")
            t.expect("got:again")
            t.type("\x1d")
            t.end()
        for args in (["attach"], ["exec", "-it"]):
            with self.terminal(*args, "--detach-keys", "nonsense-key", "ttk", *(["true"] if args[1:] else [])) as t:
                t.expect("nvalid detach keys .nonsense-key|received 400")
                assert t.end() != 0
        self.output("rm", "-f", "ttk")

    def start_attached(self):
        self.output("create", "--name", "tts", "-it", "busybox", "sh", "-c", ECHO)
        with self.terminal("start", "-ai", "tts") as t:
            t.expect("ready")
            t.type("x\r")
            t.expect("got:x")
            t.type("end4\r")
            assert t.end() == 4
        self.output("rm", "tts")

    def execs(self):
        self.output("run", "-d", "--name", "tte", "busybox", "sleep", "1000")
        with self.terminal("exec", "-it", "tte", "sh", "-c",
                           "echo ready; while read l; do echo got:$l; done; exit 3") as t:
            t.expect("ready")
            t.type("word\r")
            t.expect("word\r\ngot:word\r\n")
            assert t.raw()
            t.type("\x04")
            assert t.end() == 3
        with self.terminal("exec", "-it", "tte", "sh", "-c", "trap 'exit 8' INT; trap 'stty size' WINCH; "
                           "echo ready; while :; do usleep 10000; done") as t:
            t.expect("ready")
            t.resize(33, 77)
            t.type("\x03")
            assert t.end() == 8
        with self.terminal("exec", "-it", "tte", "sh", "-c", "tty; echo ready; touch /tmp/on; sleep 500") as t:
            t.expect("/dev/pts/[0-9]+\r\nready")
            t.type("\x10\x11")
            t.end()
        vessel.wait_until("it goes on", lambda: "sleep 500" in self.output("exec", "tte", "ps").stdout)
        self.output("rm", "-f", "tte")

    def hangup(self):
        """The terminal window is closed: the client goes, the container stays."""
        t = self.terminal("run", "--name", "tth", "-it", "busybox", "sh", "-c", ECHO)
        t.expect("ready")
        os.close(t.slave)
        os.close(t.master)
        t.master = t.slave = -1
        with t:
            if self.client != vessel.DOCKER:  # which stays
                t.process.wait(vessel.TIMEOUT_S)
            assert self.state("tth") == "running"
        self.output("rm", "-f", "tth")

    def without_stdin(self):
        with self.terminal("run", "--rm", "-t", "busybox", "sh", "-c", "tty; stty size; exit 2") as t:
            t.expect("/dev/pts/0\r+\n")  # this terminal is not raw
            assert t.end() == 2

    def no_terminal(self):
        done = subprocess.run([self.client, "run", "--rm", "-it", "busybox", "true"], stdin=subprocess.DEVNULL,
                              env=dict(self.engine.environment(), VESSEL_HOST=self.engine.host()),
                              capture_output=True, timeout=vessel.TIMEOUT_S)
        assert b"the input device is not a TTY" in done.stderr, done
        assert done.returncode == 1, done.returncode
        assert not self.output("ps", "-aq", "--filter", "status=running").stdout

    def statistics(self):
        """Drawn again over itself; who starts and who ends shows without a key."""
        self.output("run", "-d", "--name", "tta", "busybox", "sleep", "1000")
        with self.terminal("stats") as t:
            t.expect("\x1b\\[HCONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT")
            t.expect(" tta +[0-9.]+%[^\r]* 1 \x1b\\[K\r\n \x1b\\[K\r\n\x1b\\[J")
            self.output("run", "-d", "--name", "ttb", "busybox", "sleep", "1000")
            t.expect(" tta +[0-9.]+%[^\r]* 1 \x1b\\[K\r\n[0-9a-f]{12}   ttb +[0-9.]+%[^\r]* 1 \x1b\\[K\r\n \x1b\\[K\r\n\x1b\\[J")
            self.output("rm", "-f", "tta")
            t.expect("PIDS \x1b\\[K\r\n[0-9a-f]{12}   ttb +[0-9.]+%[^\r]* 1 \x1b\\[K\r\n \x1b\\[K\r\n\x1b\\[J")
            if self.client != vessel.DOCKER:  # it may stay
                t.process.send_signal(signal.SIGINT)
                assert t.end() == -signal.SIGINT
        self.output("rm", "-f", "ttb")

    def killed_under_it(self):
        with self.terminal("run", "--name", "ttx", "-it", "busybox", "sh", "-c", ECHO) as t:
            t.expect("ready")
            self.output("kill", "ttx")
            assert t.end() == 137
        self.output("rm", "ttx")


NAMES = (
    ("first_size", "the first size is the terminal's"),
    ("resize", "SIGWINCH resizes"),
    ("raw_mode", "raw mode, one echo, restored at the end"),
    ("ctrl_c", "ctrl-c interrupts the container's program"),
    ("ctrl_d", "ctrl-d ends its input"),
    ("detach_and_attach", "ctrl-p ctrl-q detaches, attach comes back"),
    ("own_detach_keys", "--detach-keys"),
    ("start_attached", "start -ai"),
    ("execs", "exec -it: size, input, ctrl-c, detach"),
    ("hangup", "the terminal closed: the container goes on"),
    ("without_stdin", "-t alone"),
    ("no_terminal", "-it without a terminal is refused"),
    ("statistics", "stats: the table is drawn over itself"),
    ("killed_under_it", "killed under an attached terminal"),
)


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    only = sys.argv[1:]
    try:
        engine.start()
        engine.import_busybox()
        audit = vessel.Audit(engine)
        for title, client in (("docker", vessel.DOCKER), ("vessel", vessel.BIN + "/vessel")):
            cases = Cases(engine, client)
            for method, name in NAMES:
                if not only or method in only or title in only:
                    tap.case("%s: %s" % (title, name), cases.run, method)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
        tap.case("nothing is left", clean)
    finally:
        engine.destroy()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
