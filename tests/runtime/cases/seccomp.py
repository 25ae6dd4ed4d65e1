"""Filters of system calls, and the agent that answers for some of them."""

import array
import errno
import fcntl
import json
import os
import socket
import struct
import threading

from harness import LIMIT_S, equal, expect, test

KILLED = 128 + 31  # SIGSYS
NOTIF_RECV, NOTIF_SEND = 0xc0502100, 0xc0182101  # SECCOMP_IOCTL_NOTIF_...
CONTINUE = 1


def profile(box, default="SCMP_ACT_ALLOW", *rules, **rest):
    box.linux["seccomp"] = dict(defaultAction=default, syscalls=[
        dict(names=names.split(), action="SCMP_ACT_" + action, **more) for names, action, more in rules], **rest)


def calls(box, *names, **rest):
    """What each call gave."""
    out = box.run("call", *names, **rest).out
    return dict(line.split(": ", 1) for line in out.splitlines())


@test("without a profile there is no filter", needs="a runtime without a filter around it")
def none(box):
    equal(box.report("status")["status"]["Seccomp"], "0")


@test("errno, with its value and without; arguments; what is not named is left alone")
def errnos(box):
    profile(box, "SCMP_ACT_ALLOW", ("getppid", "ERRNO", {"errnoRet": errno.EXDEV}), ("setsid", "ERRNO", {}),
            ("personality", "ERRNO", {"errnoRet": errno.ENOTTY,
                                      "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]}),
            ("getpriority", "ERRNO", {"args": [{"index": 0, "value": 0xf0, "valueTwo": 0x10,
                                                "op": "SCMP_CMP_MASKED_EQ"}]}))
    got = calls(box, "getppid", "setsid", "personality:7", "personality:0xffffffff", "getpriority:0x1f", "getuid")
    equal(got, {"getppid": "E%d" % errno.EXDEV, "setsid": "E%d" % errno.EPERM,
                "personality:7": "E%d" % errno.ENOTTY, "personality:0xffffffff": "0",
                "getpriority:0x1f": "E%d" % errno.EPERM, "getuid": "0"})
    equal(box.report("status")["status"]["Seccomp"], "2")


@test("defaultErrnoRet for what is not allowed; ENOSYS for what is newer than the profile")
def default_errno(box):
    names = [line.split()[0] for line in
             "read write openat close execve exit_group brk mmap munmap arch_prctl set_tid_address rt_sigprocmask "
             "rt_sigaction writev ioctl fcntl fstat newfstatat getuid getpid capget capset prctl close_range "
             "sendmsg sendto recvmsg seccomp set_robust_list lseek uname statx".split()]
    profile(box, "SCMP_ACT_ERRNO", (" ".join(names), "ALLOW", {}), defaultErrnoRet=errno.EXDEV)
    got = calls(box, "getuid", "setsid", "unknown", "openat2")
    equal(got, {"getuid": "0", "setsid": "E%d" % errno.EXDEV, "unknown": "E%d" % errno.ENOSYS,
                "openat2": "E%d" % errno.ENOSYS})


@test("conditions on a call that libseccomp does not know: all of a rule's, the first rule that fits")
def new_calls(box):
    profile(box, "SCMP_ACT_ALLOW",
            ("mseal", "ERRNO", {"errnoRet": 71, "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_EQ"},
                                                         {"index": 1, "value": 0, "op": "SCMP_CMP_LE"}]}),
            ("mseal", "ERRNO", {"errnoRet": 72, "args": [{"index": 0, "value": 0x1f, "valueTwo": 0x15,
                                                          "op": "SCMP_CMP_MASKED_EQ"}]}),
            ("mseal", "ERRNO", {"errnoRet": 73, "args": [{"index": 0, "value": 1 << 40, "op": "SCMP_CMP_GT"}]}),
            ("mseal", "ERRNO", {"errnoRet": 74, "args": [{"index": 0, "value": 9, "op": "SCMP_CMP_EQ"},
                                                         {"index": 0, "value": 11, "op": "SCMP_CMP_EQ"}]}))
    got = calls(box, "mseal:5", "mseal:0x15", "mseal:0x10000000001", "mseal:9", "mseal:11", "mseal:0")
    no_condition = got.pop("mseal:0")
    equal(got, {"mseal:5": "E71", "mseal:0x15": "E72", "mseal:0x10000000001": "E73", "mseal:9": "E74",
                "mseal:11": "E74"})
    expect(no_condition in ("0", "E%d" % errno.ENOSYS), no_condition)


@test("actions: kill the process, kill the thread, trap, log, trace without a tracer")
def actions(box):
    for action, code in (("KILL_PROCESS", KILLED), ("KILL", KILLED), ("KILL_THREAD", KILLED), ("TRAP", KILLED)):
        profile(box, "SCMP_ACT_ALLOW", ("sync", action, {}))
        # as process 1 nothing could kill it: a child
        result = box.sh("/payload call getuid sync; echo $?", check=False)
        equal(result.out, "getuid: 0\n%d\n" % code, action)
    profile(box, "SCMP_ACT_ALLOW", ("sync", "LOG", {}), ("setsid", "TRACE", {"errnoRet": 3}))
    equal(calls(box, "sync", "setsid"), {"sync": "0", "setsid": "E%d" % errno.ENOSYS})


@test("every flag")
def flags(box):
    profile(box, "SCMP_ACT_ALLOW", ("setsid", "ERRNO", {}), flags=[
        "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    equal(calls(box, "setsid"), {"setsid": "E%d" % errno.EPERM})
    status = box.report("status")["status"]
    expect("mitigated" not in status.get("Speculation_Store_Bypass", ""), status)


@test("every architecture of the specification")
def architectures(box):
    names = ("X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 "
             "S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB")
    profile(box, "SCMP_ACT_ALLOW", ("setsid", "ERRNO", {}), architectures=["SCMP_ARCH_" + n for n in names.split()])
    equal(calls(box, "setsid", "getuid"), {"setsid": "E%d" % errno.EPERM, "getuid": "0"})


@test("a filter is in force with and without no_new_privs, for root and for others")
def privileges(box):
    profile(box, "SCMP_ACT_ALLOW", ("setsid", "ERRNO", {"errnoRet": errno.EXDEV}))
    for uid in (0, 1000):
        for no_new_privileges in (False, True):
            box.process.update(noNewPrivileges=no_new_privileges, user={"uid": uid, "gid": uid})
            equal(calls(box, "setsid"), {"setsid": "E%d" % errno.EXDEV})
            report = box.report("status")["status"]
            equal((report["Seccomp"], report["NoNewPrivs"]), ("2", str(int(no_new_privileges))))


@test("a filter that stops everything but what the program needs does not stop the runtime")
def narrow(box):
    profile(box, "SCMP_ACT_ALLOW", ("accept4 recvmsg sendmsg sendto socket connect clone clone3 futex openat2", "KILL_PROCESS", {}))
    box.process["noNewPrivileges"] = True
    equal(calls(box, "getuid"), {"getuid": "0"})
    box.start("pause")
    equal(box.status(), "running")
    box.runtime("delete", "--force", box.id, check=True)
    box.process["noNewPrivileges"] = False
    equal(calls(box, "getuid"), {"getuid": "0"})


@test("exec is filtered too")
def exec_filtered(box):
    profile(box, "SCMP_ACT_ALLOW", ("setsid", "ERRNO", {"errnoRet": errno.EXDEV}))
    box.start("pause")
    equal(box.exec("call", "setsid").out, "setsid: E%d\n" % errno.EXDEV)


@test("what cannot be compiled is refused, naming the place")
def refused(box):
    one = {"names": ["setsid"], "action": "SCMP_ACT_ERRNO"}
    for seccomp, error in (
            ({}, r"defaultAction"), ({"defaultAction": "SCMP_ACT_X"}, "SCMP_ACT_X"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}, "defaultErrnoRet"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}, r"flags\[0\].*X"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}, r"architectures\[0\].*PDP11"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [dict(one, names=[])]}, r"syscalls\[0\]\.names"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [dict(one, action="SCMP_ACT_KILL", errnoRet=1)]},
             r"syscalls\[0\].*errnoRet"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [dict(one, errnoRet=5000)]}, r"syscalls\[0\].*errnoRet"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [dict(one, args=[
                {"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])]}, r"syscalls\[0\].*index"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [dict(one, action="SCMP_ACT_NOTIFY")]}, "listenerPath"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "m"}, r"linux\.seccomp\.listenerMetadata"),
            ({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such",
              "syscalls": [dict(one, action="SCMP_ACT_NOTIFY")]}, r"listenerPath.*/no/such")):
        box.linux["seccomp"] = seccomp
        box.fails(error)


# -- the agent -------------------------------------------------------------------------------------


class Agent:
    """Listens, takes what each container sends, and answers each call with an error or lets it go on."""

    def __init__(self, box, answer):
        self.path = box.dir + "/agent.sock"
        self.answer, self.states, self.numbers, self.threads = answer, [], [], []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(5)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        box.at_end.append(self.close)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(LIMIT_S)
        self.socket.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                text, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(16))
                fds = array.array("i", ancillary[0][2])
                while True:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    text += piece
            self.states.append((json.loads(text), len(fds)))
            threading.Thread(target=self.serve, args=(fds[0],), daemon=True).start()

    def serve(self, fd):
        import select
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while True:
            events = poll.poll(LIMIT_S * 1000)
            if not events or not events[0][1] & select.POLLIN:
                break
            request = bytearray(80)
            try:
                fcntl.ioctl(fd, NOTIF_RECV, request)
            except OSError as e:
                if e.errno in (errno.ENOENT, errno.EINTR):
                    continue
                break
            number, = struct.unpack_from("=Qii", request)[0:1]
            call = struct.unpack_from("=i", request, 16)[0]
            self.numbers.append(call)
            error, flags = self.answer(call)
            try:
                fcntl.ioctl(fd, NOTIF_SEND, bytearray(struct.pack("=QqiI", number, 0, -error, flags)))
            except OSError:
                pass
        os.close(fd)


MKDIRAT, SENDMSG, SETSID = 258, 46, 112  # x86_64
needs_x86 = ("x86_64",)


def listen(box, answer, *rules, **rest):
    agent = Agent(box, answer)
    profile(box, rest.pop("default", "SCMP_ACT_ALLOW"), *rules, listenerPath=agent.path, **rest)
    return agent


@test("an agent is sent the filter with the container's state, and answers", needs=needs_x86)
def agent(box):
    box.config["annotations"] = {"some.key": "value"}
    agent = listen(box, lambda call: (errno.EMLINK, 0), ("mkdirat", "NOTIFY", {}), listenerMetadata="meta",
                   flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] if box.host.kernel() >= (5, 19) else [])
    equal(calls(box, "mkdir", "getuid"), {"mkdir": "E%d" % errno.EMLINK, "getuid": "0"})
    equal(agent.numbers, [MKDIRAT])
    (state, fds), = agent.states
    equal((state["fds"], fds, state["metadata"]), (["seccompFd"], 1, "meta"))
    inner = state["state"]
    equal((inner["id"], inner["bundle"], inner["annotations"]), (box.id, box.dir, {"some.key": "value"}))
    equal((inner["pid"], inner["status"], inner["ociVersion"]), (state["pid"], "created", state["ociVersion"]))
    expect(state["pid"] > 1, "the pid is not the runtime's view: %s" % state)


@test("the agent's pid is the container's, as the runtime sees it; exec has one of its own", needs=needs_x86)
def agent_exec(box):
    agent = listen(box, lambda call: (errno.EMLINK, 0), ("mkdirat", "NOTIFY", {}))
    box.start("pause")
    equal(box.exec("call", "mkdir").out, "mkdir: E%d\n" % errno.EMLINK)
    (first, _), (second, _) = agent.states
    equal(first["pid"], box.pid())
    equal((second["state"]["pid"], second["state"]["status"]), (box.pid(), "running"))
    expect(second["pid"] not in (first["pid"], 0), second)


@test("an agent may be asked about every system call there is", needs=needs_x86)
def agent_for_all(box):
    agent = listen(box, lambda call: (errno.EMLINK, 0) if call == SETSID else (0, CONTINUE), default="SCMP_ACT_NOTIFY")
    for no_new_privileges in (True, False):
        box.process["noNewPrivileges"] = no_new_privileges
        equal(calls(box, "setsid", "getuid"), {"setsid": "E%d" % errno.EMLINK, "getuid": "0"})
    expect(59 in agent.numbers, "execve was not asked about")


@test("an ordinary user's container has its agent too", needs=needs_x86)
def agent_user(box):
    agent = listen(box, lambda call: (errno.EMLINK, 0), ("mkdirat", "NOTIFY", {}))
    os.chmod(agent.path, 0o600)
    box.process["user"] = {"uid": 1000, "gid": 1000}
    for no_new_privileges in (True, False):
        box.process["noNewPrivileges"] = no_new_privileges
        equal(calls(box, "mkdir"), {"mkdir": "E%d" % errno.EMLINK})


@test("an agent that does not listen is an error", needs=needs_x86)
def agent_gone(box):
    path = box.dir + "/agent.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    profile(box, "SCMP_ACT_ALLOW", ("mkdirat", "NOTIFY", {}), listenerPath=path)
    box.fails(r"listenerPath.*refused")


@test("a listenerPath without rules for it is ignored")
def agent_unused(box):
    profile(box, "SCMP_ACT_ALLOW", ("setsid", "ERRNO", {}), listenerPath="/no/such")
    equal(calls(box, "setsid"), {"setsid": "E%d" % errno.EPERM})
