"""Network devices of the host that a container gets."""

import fcntl
import os
import socket
import struct
import subprocess

from harness import equal, expect, test

RTM_NEWLINK, RTM_NEWADDR = 16, 20
REQUEST, ACK, EXCL, CREATE = 0x1, 0x4, 0x200, 0x400


def attribute(kind, data):
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def rtnetlink(kind, body):
    """One request in the suite's network namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACK | EXCL | CREATE, 1, 0) + body)
        error = struct.unpack_from("=i", s.recv(65536), 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error))


def make_pair(box, name, peer):
    """Two devices that are one wire; both go when the case ends."""
    ifinfo = b"\0" * 16
    info = attribute(1, b"veth") + attribute(2, attribute(1, ifinfo + attribute(3, peer.encode() + b"\0")))
    rtnetlink(RTM_NEWLINK, ifinfo + attribute(3, name.encode() + b"\0") + attribute(18, info))
    box.at_end.append(lambda: subprocess.run([box.suite.busybox, "ip", "link", "del", peer], stderr=subprocess.DEVNULL))


def add_address(name, address, length, scope=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    rtnetlink(RTM_NEWADDR, struct.pack("=BBBBI", family, length, 0, scope, socket.if_nametoindex(name)) +
              attribute(2, packed) + attribute(1, packed))


def have(name):
    return name in (n for _, n in socket.if_nameindex())


def hardware_address(name):
    with socket.socket() as s:
        return fcntl.ioctl(s, 0x8927, struct.pack("256s", name.encode()))[18:24].hex(":")


@test("a device under a new name, up, with its lasting addresses and its hardware's")
def moved(box):
    make_pair(box, "wire0", "wire1")
    address = hardware_address("wire0")
    add_address("wire0", "10.99.1.2", 24)
    add_address("wire0", "10.99.1.3", 32, scope=253)  # of this link alone
    add_address("wire0", "fd00:99::2", 64)
    box.linux["netDevices"] = {"wire0": {"name": "inner"}}
    out = box.run("/bin/ip", "addr", "show", "dev", "inner").out
    expect(",UP" in out.splitlines()[0], out)
    for wanted in ("inet 10.99.1.2/24", "inet6 fd00:99::2/64", address):
        expect(wanted in out, "no %s in %s" % (wanted, out))
    expect("10.99.1.3" not in out, out)
    equal((have("wire0"), have("inner")), (False, False))


@test("a device keeps its name unless it is given one, and several move")
def names(box):
    make_pair(box, "wire0", "wire1")
    box.linux["netDevices"] = {"wire0": {}, "wire1": {"name": "w%d"}}
    out = box.sh("ls /sys/class/net").out.split()
    equal(sorted(out), ["lo", "w0", "wire0"])


@test("a name that is taken is refused, and a template finds one that is free")
def conflicts(box):
    make_pair(box, "wire0", "wire1")
    box.linux["netDevices"] = {"wire0": {"name": "lo"}}
    box.fails(r"linux\.netDevices\.wire0.*lo.*exists")
    expect(have("wire0"), "the device has moved after all")
    box.linux["netDevices"] = {"wire0": {"name": "lo%d"}}
    equal(sorted(box.sh("ls /sys/class/net").out.split()), ["lo", "lo0"])


@test("a device that is not there, and one that may not move, are errors")
def impossible(box):
    box.linux["netDevices"] = {"nosuch": {}}
    box.fails(r"linux\.netDevices\.nosuch.*No such device")
    box.linux["netDevices"] = {"lo": {"name": "other"}}
    box.fails(r"linux\.netDevices\.lo")


@test("devices need a network namespace of the container's own")
def own_namespace(box):
    make_pair(box, "wire0", "wire1")
    box.linux["netDevices"] = {"wire0": {}}
    box.namespace("network", path="/proc/self/ns/net")
    box.fails(r"linux\.netDevices.*of the container's own")
    box.without_namespace("network")
    box.fails(r"linux\.netDevices.*of the container's own")


@test("a container that fails to be made gives its devices back")
def given_back(box):
    make_pair(box, "wire0", "wire1")
    add_address("wire0", "10.99.1.2", 24)
    box.linux["netDevices"] = {"wire0": {"name": "inner"}}
    box.fails("nosuch", "/nosuch")
    expect(have("wire0"), "wire0 is gone")
    shown = subprocess.run([box.suite.busybox, "ip", "addr", "show", "dev", "wire0"], capture_output=True, text=True)
    expect("10.99.1.2/24" in shown.stdout, shown.stdout)


@test("devices of a container with a user namespace")
def user_namespace(box):
    box.user_namespace()
    make_pair(box, "wire0", "wire1")
    add_address("wire0", "10.99.1.2", 24)
    box.linux["netDevices"] = {"wire0": {"name": "inner"}}
    out = box.run("/bin/ip", "addr", "show", "dev", "inner").out
    expect("10.99.1.2/24" in out and ",UP" in out, out)
