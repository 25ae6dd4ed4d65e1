"""Requests to an engine that remember what they asked for: route, parameters, fields of bodies.  For api_params.py."""

import json
import re
import urllib.parse

import vessel

# What a kernel may lack, so that it is dropped with a warning.
KERNELS = ("BlkioWeight", "BlkioWeightDevice", "CpuRealtimePeriod", "CpuRealtimeRuntime", "MemorySwap", "MemorySwappiness",
           "OomKillDisable")


def leaves(value, prefix=""):
    """Names of what a body says, as apifacts.Facts.leaves has them but for maps, whose keys stand for themselves.
    A value that is zero or empty says nothing, but for members of a set ({"80/tcp": {}}, {"/vol": {}})."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            key = key.replace(".", "_")  # a dot in a name does not begin a field
            yield from leaves(part, prefix + "." + key if prefix else key)
    elif isinstance(value, list) and value:
        for part in value:
            yield from leaves(part, prefix + "[]")
    elif value or (isinstance(value, dict) and "/" in prefix):
        yield prefix


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def subset(wanted, got, where=""):
    """What of a body is not in an answer, as lines; lists must be the same."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return [line for key, value in wanted.items() for line in subset(value, got.get(key), where + "." + key)]
    return [] if wanted == got else ["%s: %r became %r" % (where, wanted, got)]


def kept(wanted, got, warnings):
    """Fails unless an answer has all of a body, but for what the kernel cannot do, which is warned of."""
    lost = subset(wanted, got)
    dropped = [line for line in lost if line.split(":")[0].lstrip(".") in KERNELS]
    check([line for line in lost if line not in dropped], [], "what inspect shows")
    assert len(dropped) <= len(warnings), (dropped, warnings)


class Asker:
    def __init__(self, engine):
        self.engine = engine
        self.tested = {}  # (route, parameter or "") -> names of cases
        self.case = ""

    def note(self, route, name):
        self.tested.setdefault((route, name), [])
        if self.case not in self.tested[(route, name)]:
            self.tested[(route, name)].append(self.case)

    def ask(self, route, ident=None, query=None, body=None, status=None, prefix=""):
        """One request, by its route in the API file; everything in it counts as tested."""
        method, path = route.split()
        self.note(route, "")
        for name in re.findall("{(.*?)}", path):
            self.note(route, name)
            path = path.replace("{%s}" % name, urllib.parse.quote(ident, safe=""))
        for name in query or ():
            self.note(route, name)
        for leaf in leaves(body or {}):
            self.note(route, leaf)
        got, answer = self.engine.api(method, prefix + path + self.query_of(query or {}), body)
        if status is not None:
            assert got == status, "%s %s %s: got %d %r, wanted %d" % (route, ident, query or body, got, answer, status)
        return answer if status is not None else (got, answer)

    @staticmethod
    def query_of(query):
        """Objects are sent as JSON, lists as several values."""
        pairs = []
        for name, value in query.items():
            value = json.dumps(value) if isinstance(value, dict) else value
            pairs += [(name, v) for v in (value if isinstance(value, list) else [value])]
        return "?" + urllib.parse.urlencode(pairs) if pairs else ""

    def create(self, name, command="sleep 1000", start=True, host=None, **config):
        self.ask("POST /containers/create", query={"name": name}, status=201, body=dict(
            Image="busybox", Cmd=["sh", "-c", command], HostConfig=dict({"Init": True}, **(host or {})), **config))
        if start:
            self.ask("POST /containers/{id}/start", name, status=204)
        return name

    def remove(self, *names):
        for name in names:
            self.ask("DELETE /containers/{id}", name, {"force": 1, "v": 1}, status=204)

    def ready(self, name, times):
        """Its shell has set its traps, and said so, this many times."""
        self.engine.wait_log(name, times=times)
