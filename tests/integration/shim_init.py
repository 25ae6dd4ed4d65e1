#!/usr/bin/python3
"""vessel-init: codes, signals, orphans and the terminal, as process 1 and elsewhere."""

import os
import pty
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

INIT = os.path.join(vessel.BIN, "vessel-init")
NEW_PID_NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def run(*args, prefix=()):
    return subprocess.run([*prefix, INIT, *args], capture_output=True, text=True,
                          timeout=vessel.TIMEOUT_S)


def codes():
    for prefix in ((), NEW_PID_NAMESPACE):
        assert run("--", "sh", "-c", "exit 7", prefix=prefix).returncode == 7
        assert run("true", prefix=prefix).returncode == 0
        assert run("--", "sh", "-c", "kill -9 $$", prefix=prefix).returncode == 137
        assert run("--", "sh", "-c", "echo out; echo err >&2", prefix=prefix).stdout == "out\n"


def not_found():
    done = run("--", "/nonexistent/program")
    assert done.returncode == 127, done
    assert "'/nonexistent/program': No such file" in done.stderr, done
    assert run("--", "vessel-no-such-program").returncode == 127
    assert run("--", "/etc/passwd").returncode == 126
    assert run("--", "/etc").returncode == 126


def usage():
    assert run().returncode == 125
    assert run("--").returncode == 125
    assert run("-x", "true").returncode == 125
    assert run("--version").stdout.startswith("vessel-init version ")


# No shell: one that is just about to read or to fork hears of a signal when that is over.
TELLS_SIGNALS = """
import signal, sys
names = {signal.SIGHUP: "hup", signal.SIGUSR1: "usr1", signal.SIGTERM: "term"}
signal.pthread_sigmask(signal.SIG_BLOCK, names)
print("ready", flush=True)
while True:
    number = signal.sigwait(names)
    print(names[number], flush=True)
    if number == signal.SIGTERM:
        sys.exit(3)
"""


def forwards_signals():
    for prefix in ((), NEW_PID_NAMESPACE):
        child = subprocess.Popen([*prefix, INIT, "--", sys.executable, "-c", TELLS_SIGNALS], text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert child.stdout.readline() == "ready\n"
        target = child.pid
        if prefix:  # unshare's child is the init
            with open("/proc/%d/task/%d/children" % (child.pid, child.pid)) as f:
                target = int(f.read().split()[0])
        for number, name in ((signal.SIGHUP, "hup"), (signal.SIGUSR1, "usr1"),
                             (signal.SIGTERM, "term")):
            os.kill(target, number)
            said = child.stdout.readline()
            assert said == name + "\n", (said, name)
        assert child.wait(vessel.TIMEOUT_S) == 3
        child.stdout.close()


def reaps_orphans():
    # The orphan tells of its end by closing the fifo; then it must vanish, not stay as a zombie.
    script = ("(sh -c 'echo $$ >&3' 3>&1 >/dev/null &) | { read pid;"
              "for i in $(seq 6000); do [ -e /proc/$pid ] || exit 0; sleep 0.01; done; exit 1; }")
    for prefix in ((), NEW_PID_NAMESPACE):
        assert run("--", "sh", "-c", script, prefix=prefix).returncode == 0


def mask_is_clean():
    out = run("--", "cat", "/proc/self/status").stdout
    fields = dict(line.split(":\t") for line in out.splitlines() if line.startswith("Sig"))
    with open("/proc/self/status") as f:
        ours = dict(line.rstrip("\n").split(":\t") for line in f if line.startswith("Sig"))
    assert fields["SigBlk"] == ours["SigBlk"] == "0" * 16, fields
    assert int(fields["SigCgt"], 16) == 0, fields


def terminal():
    pid, master = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored if a shell started us with &
        os.execv(INIT, [INIT, "--", "sh", "-c", "echo ready; cat"])
    out = b""
    while b"ready" not in out:
        out += os.read(master, 100)
    group = os.tcgetpgrp(master)
    assert group not in (pid, os.getpgrp()), "the command has no process group of its own"
    os.write(master, b"line\n")
    while out.count(b"line") < 2:  # cat is there: a shell that is just forking may keep the signal to itself
        out += os.read(master, 100)
    os.write(master, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(master)


def main():
    tap = vessel.Tap()
    tap.case("exit codes", codes)
    tap.case("a command that cannot be executed", not_found)
    tap.case("usage", usage)
    tap.case("signals are passed on", forwards_signals)
    tap.case("orphans are reaped", reaps_orphans)
    tap.case("the command's signals are as they were", mask_is_clean)
    tap.case("the command has the terminal", terminal)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
