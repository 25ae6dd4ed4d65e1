#!/usr/bin/python3
"""Pull and push against Debian's docker-registry: by the real client and over the API, with every sort of failure.

The registries are unpacked by tools/peers and run in this test's network namespace; what breaks the connections is a
proxy in Python (tests/lib/registries.py).  /etc has an overlay in a mount namespace, for certificates.
"""

import base64
import contextlib
import http.client
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import apifacts  # noqa: E402
import interop  # noqa: E402
import registries  # noqa: E402
import vessel  # noqa: E402
from registries import Image, layer_tar, skopeo  # noqa: E402

TLS_HOST = "192.0.2.1"
USERS = {"anna": "secret:with:colons", "otto": "o"}
HTPASSWD = "anna:$2y$05$"  # completed below


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def auth_header(**auth):
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()}


class World:
    """One engine, a registry, and a proxy in front of it."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="vessel-registry-", dir="/dev/shm")
        self.engine = vessel.Engine()
        self.stack = contextlib.ExitStack()
        self.stack.callback(shutil.rmtree, self.root, ignore_errors=True)
        self.stack.callback(self.engine.destroy)
        self.engine.start()
        self.registry = self.run(registries.Registry(self.root, "plain"))
        self.proxy = self.run(registries.Proxy(self.registry))
        self.busybox = Image([vessel.busybox_tar()])
        self.registry.put("library/busybox", "latest", self.busybox)
        # Random bytes do not shrink, so that cuts are where they are said to be.
        self.big = Image([layer_tar({"a": os.urandom(700000)}), layer_tar({"b": os.urandom(1500000)}),
                          layer_tar({"c": os.urandom(300000)})])
        self.registry.put("big", "latest", self.big)

    def run(self, server):
        self.stack.callback(server.stop)
        return server

    def name(self, repository, through=None):
        return "%s/%s" % ((through or self.registry).address, repository)

    # The API -----------------------------------------------------------------------------------

    def lines(self, method, path, headers=None):
        """(status, the lines' documents or the error's message)."""
        connection = self.engine.connection()
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            return response.status, json.loads(body)["message"]
        return 200, [json.loads(line) for line in body.splitlines() if line.strip()]

    def pull(self, name, tag="latest", headers=None, **query):
        return self.lines("POST", "/images/create?" + urllib.parse.urlencode(dict(query, fromImage=name, tag=tag)), headers)

    def push(self, name, tag="latest", headers=None):
        return self.lines("POST", "/images/%s/push?tag=%s" % (name, tag), headers or auth_header())

    def image(self, name):
        status, answer = self.engine.api("GET", "/images/%s/json" % name)
        return answer if status == 200 else None

    def fails(self, answer):
        """The message, wherever it is."""
        status, what = answer
        if status != 200:
            return what
        assert "error" in what[-1], "it worked: %r" % (what[-1],)
        check(what[-1]["errorDetail"]["message"], what[-1]["error"], "errorDetail")
        return what[-1]["error"]

    def works(self, answer):
        status, what = answer
        assert status == 200 and "error" not in what[-1], "%s: %r" % (status, what if status != 200 else what[-1])
        return what

    def forget(self, *names):
        for name in names:
            self.engine.api("DELETE", "/images/%s?force=1" % name)

    def left(self):
        """What the store has that belongs to no image: files of unfinished work, layers, partial blobs."""
        data = self.engine.root + "/data/"
        return {folder: sorted(os.listdir(data + folder)) for folder in ("tmp", "layers", "blobs/sha256", "partial")
                if os.path.isdir(data + folder)}

    def partial(self):
        return self.left().get("partial", [])

    def consistent(self):
        """fsck agrees, every layer's bytes included."""
        done = subprocess.run([vessel.BIN + "/vessel", "-H", self.engine.host(), "system", "fsck", "--deep"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=vessel.TIMEOUT_S)
        check(done.returncode, 0, "fsck: %s%s" % (done.stdout, done.stderr))


# ---- pull -----------------------------------------------------------------------------------------


def pulls(w):
    name = w.name("library/busybox")
    out = w.engine.docker("pull", name).stdout
    for line in ("Using default tag: latest", "latest: Pulling from library/busybox",
                 "Digest: " + w.busybox.digest, "Status: Downloaded newer image for %s:latest" % name):
        assert line in out, "%r is not in %s" % (line, out)
    check(w.engine.docker("run", "--rm", "--network", "none", name, "cat", "/www/index.html").stdout, "hello\n", "run of it")
    said = w.engine.docker("events", "--since", "2000-01-01T00:00:00Z", "--until", "%f" % time.time(), "--filter", "event=pull",
                           "--format", "{{.Actor.ID}} {{.Actor.Attributes.name}}").stdout
    check(said, "%s:latest %s\n" % (name, name), "its event")
    image = w.image(name)
    check(image["Id"], w.busybox.id, "id")
    check(image["RepoTags"], [name + ":latest"], "RepoTags")
    check(image["RepoDigests"], [name + "@" + w.busybox.digest], "RepoDigests")
    out = w.engine.docker("images", "--digests", name).stdout
    assert w.busybox.digest in out, out
    out = w.engine.docker("pull", name).stdout
    assert "Status: Image is up to date for %s:latest" % name in out, out
    check(w.partial(), [], "partial downloads")


def run_pulls(w):
    name = w.name("library/busybox")
    w.forget(name)
    done = w.engine.docker("run", "--rm", "--network", "none", name, "echo", "pulled")
    check(done.stdout, "pulled\n", "output")
    assert "Unable to find image" in done.stderr and "Downloaded newer image" in done.stderr, done.stderr


def progress(w):
    w.forget(w.name("big"))
    lines = w.works(w.pull(w.name("big")))
    check(lines[0], {"status": "Pulling from big", "id": "latest"}, "first line")
    for layer in w.big.layers:
        said = [line["status"] for line in lines if line.get("id") == layer["digest"][7:19]]
        said = [s for i, s in enumerate(said) if i == 0 or said[i - 1] != s]
        wanted = ["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"]
        check([s for s in said if s not in ("Downloading", "Waiting")], [s for s in wanted if s != "Downloading"], "states")
    measured = [line for line in lines if line["status"] == "Extracting"]
    for line in measured:
        assert 0 <= line["progressDetail"]["current"] <= line["progressDetail"]["total"] and line["progress"].startswith("["), line
    check([line["status"] for line in lines[-2:]],
          ["Digest: " + w.big.digest, "Status: Downloaded newer image for %s:latest" % w.name("big")], "last lines")
    # The same layers under another name: nothing is fetched.
    other = Image([layer_tar({"d": b"other\n"})])
    tars = w.big.blobs
    mixed = json.loads(w.big.config)
    mixed["rootfs"]["diff_ids"].append(registries.digest_of(layer_tar({"d": b"other\n"})))
    shared = Image([])
    shared.config = json.dumps(mixed).encode()
    shared.blobs = tars + other.blobs
    shared.document["config"].update(size=len(shared.config), digest=registries.digest_of(shared.config))
    shared.document["layers"] = w.big.layers + other.layers
    shared.seal()
    w.registry.put("shared", "latest", shared)
    w.proxy.heal()
    lines = w.works(w.pull(w.name("shared", w.proxy)))
    check(sum(line["status"] == "Already exists" for line in lines), 3, "layers that exist")
    check(len(w.proxy.sent("blobs/")), 2, "blobs that were fetched")  # the config and one layer
    w.forget(w.name("shared", w.proxy))


def formats(w):
    """Schema 2 and OCI; gzip, zstd, xz and plain layers; the same image in the end."""
    tar = layer_tar({"file": b"content\n" * 1000})

    def zstd(data):
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout

    cases = {"docker": Image([tar]), "oci": Image([tar], "oci"),
             "zstd": Image([tar], "oci", zstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
             "xz": Image([tar], compress=lambda t: lzma.compress(t, preset=0)),
             "plain": Image([tar], "oci", lambda t: t, "application/vnd.oci.image.layer.v1.tar")}
    for tag, image in cases.items():
        w.registry.put("formats", tag, image)
        w.works(w.pull(w.name("formats"), tag))
        check(w.image(w.name("formats") + ":" + tag)["Id"], image.id, tag)
        saved = subprocess.run([vessel.DOCKER, "save", w.name("formats") + ":" + tag], env=w.engine.environment(),
                               capture_output=True, check=True).stdout
        assert tar in saved, "%s: the layer was changed" % tag
        w.forget(w.name("formats") + ":" + tag)


def platforms(w):
    amd64, arm64 = Image([layer_tar({"arch": b"amd64"})]), Image([layer_tar({"arch": b"arm64"})], architecture="arm64")
    for image in (amd64, arm64):
        w.registry.put("multi", image.digest, image)
    attestation = dict(amd64.descriptor(architecture="unknown", os="unknown"))
    digest, _ = w.registry.put_index("multi", "latest", [
        attestation, arm64.descriptor(architecture="arm64", os="linux", variant="v8"),
        amd64.descriptor(architecture="amd64", os="linux")])
    name = w.name("multi")
    w.works(w.pull(name))
    check(w.image(name)["Id"], amd64.id, "this machine's")
    check(w.image(name)["RepoDigests"], [name + "@" + digest], "RepoDigests")
    w.works(w.pull(name, platform="linux/arm64"))
    check(w.image(name)["Id"], arm64.id, "the one asked for")
    check(w.image(name)["Architecture"], "arm64", "its architecture")
    status, message = w.pull(name, platform="linux/s390x")
    check((status, message), (404, "no matching manifest for linux/s390x in the manifest list entries"), "one that is not there")
    assert "is an invalid OS" in w.fails(w.pull(name, platform="windows/amd64"))
    # An index in an index.
    _, inner = w.registry.put_index("multi", "inner", [amd64.descriptor(architecture="amd64", os="linux")])
    w.registry.put_index("multi", "outer", [{"mediaType": registries.TYPES["oci"][3], "size": len(inner),
                                             "digest": registries.digest_of(inner)}])
    w.works(w.pull(name, "outer"))
    check(w.image(name + ":outer")["Id"], amd64.id, "through two indexes")
    w.forget(w.image(name)["Id"], amd64.id)


def by_digest(w):
    name = w.name("library/busybox")
    w.forget(w.busybox.id)
    out = w.engine.docker("pull", "%s@%s" % (name, w.busybox.digest)).stdout
    assert "Status: Downloaded newer image for %s@%s" % (name, w.busybox.digest) in out, out
    image = w.image(w.busybox.id)
    check((image["RepoTags"], image["RepoDigests"]), ([], [name + "@" + w.busybox.digest]), "names")
    w.works(w.pull("%s:latest@%s" % (name, w.busybox.digest), ""))
    w.proxy.heal()
    w.proxy.break_("/manifests/sha256:", corrupt=3)
    message = w.fails(w.pull(w.name("library/busybox", w.proxy), w.busybox.digest))
    check(message, "manifest verification failed for digest " + w.busybox.digest, "another manifest")
    assert "manifest unknown" in w.fails(w.pull(name, "sha256:" + "1" * 64))


def all_tags(w):
    one, two = Image([layer_tar({"n": b"1"})]), Image([layer_tar({"n": b"2"})])
    for tag, image in (("a", one), ("b", two), ("c", one)):
        w.registry.put("tags", tag, image)
    w.engine.docker("pull", "-a", w.name("tags"))
    check([w.image(w.name("tags") + ":" + t)["Id"] for t in "abc"], [one.id, two.id, one.id], "tags")
    w.forget(one.id, two.id)
    # In pages.
    w.proxy.heal()
    w.proxy.break_(r"tags/list$", status=200, body=b'{"name":"tags","tags":["a"]}',
                   headers={"Link": '</v2/tags/tags/list?last=a&n=1>; rel="next"'})
    w.proxy.break_(r"tags/list\?last=a&n=1$", status=200, body=b'{"name":"tags","tags":["b"]}')
    w.engine.docker("pull", "-a", w.name("tags", w.proxy))
    check([bool(w.image(w.name("tags", w.proxy) + ":" + t)) for t in "abc"], [True, True, False], "tags of two pages")
    w.forget(one.id, two.id)


def from_skopeo(w):
    """What skopeo pushes, as schema 2 and as OCI with zstd."""
    archive = w.root + "/busybox.tar"
    w.works(w.pull(w.name("library/busybox")))
    subprocess.run([vessel.DOCKER, "save", "-o", archive, w.name("library/busybox")], env=w.engine.environment(), check=True)
    for tag, options in (("v2s2", ["--format", "v2s2"]), ("oci", ["--format", "oci", "--dest-compress-format", "zstd"])):
        skopeo("copy", "--dest-tls-verify=false", *options, "docker-archive:" + archive, "docker://%s:%s" % (w.name("skopeo"), tag))
        w.forget(w.busybox.id)
        w.engine.docker("pull", w.name("skopeo") + ":" + tag)
        check(w.engine.docker("run", "--rm", "--network", "none", w.name("skopeo") + ":" + tag, "echo", tag).stdout, tag + "\n", tag)
        w.forget(w.image(w.name("skopeo") + ":" + tag)["Id"])


def from_podman(w):
    """What podman pushes."""
    peer = os.path.join(vessel.TOP, "build/peers/podman")
    root = w.root + "/podman"
    os.makedirs(root)
    environment = dict(os.environ, LD_LIBRARY_PATH=peer + "/usr/lib/x86_64-linux-gnu:" + peer + "/lib/x86_64-linux-gnu",
                       CONTAINERS_CONF=root + "/containers.conf", HOME=root)
    with open(root + "/containers.conf", "w") as f:
        f.write('[engine]\nconmon_path = ["%s/usr/bin/conmon"]\nruntime = "vessel"\n[engine.runtimes]\nvessel = ["%s"]\n'
                % (peer, vessel.BIN + "/vessel-runtime"))
    os.makedirs("/etc/containers", exist_ok=True)  # of our own /etc
    with open("/etc/containers/policy.json", "w") as f:
        f.write('{"default": [{"type": "insecureAcceptAnything"}]}')

    def podman(*args, **rest):
        done = subprocess.run([peer + "/usr/bin/podman", "--root", root + "/storage", "--runroot", root + "/run", "--tmpdir",
                               root + "/tmp", "--storage-driver", "vfs", "--events-backend", "none", *args], env=environment,
                              capture_output=True, timeout=vessel.TIMEOUT_S, **rest)
        assert done.returncode == 0, done.stderr.decode()[-500:]

    podman("import", "-", "localhost/box", input=vessel.busybox_tar())
    podman("push", "--tls-verify=false", "localhost/box", w.name("podman/box") + ":x")
    w.engine.docker("pull", w.name("podman/box") + ":x")
    check(w.engine.docker("run", "--rm", "--network", "none", w.name("podman/box") + ":x", "/bin/echo", "podman's").stdout, "podman's\n", "run")
    w.forget(w.image(w.name("podman/box") + ":x")["Id"])


@contextlib.contextmanager
def dockerd(root):
    """A dockerd 28, which would leave files in /run."""
    os.makedirs(root)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # in our own mount namespace
    try:
        d = interop.Dockerd28(root)
        try:
            yield d
        finally:
            d.stop()
    finally:
        interop.clean_up(root)
        subprocess.run(["umount", "-l", "/run"], check=True)


def from_docker(w):
    """What dockerd 28 pushes: the same image, and what it has in its layers."""
    name = w.name("docker/box") + ":x"
    with dockerd(w.root + "/dockerd") as d:
        container = d.docker("create", "--network", "none", "busybox", "true")
        changes = layer_tar({"new": b"dockerd's\n", "home/app/" + "n" * 200: os.urandom(100000)})
        d.docker("cp", "-", container + ":/", input=changes)
        d.docker("commit", "-c", "ENV MADE=there", container, name)
        d.docker("push", name)
        theirs = json.loads(d.docker("image", "inspect", name))[0]
        w.engine.docker("pull", name)
    ours = w.image(name)
    check((ours["Id"], ours["RootFS"], ours["RepoDigests"]), (theirs["Id"], theirs["RootFS"], theirs["RepoDigests"]), "the image")
    check(len(ours["RootFS"]["Layers"]), 2, "layers")
    out = w.engine.docker("run", "--rm", "--network", "none", name, "/bin/sh", "-c", "cat /new; echo $MADE; /bin/ls /home/app").stdout
    check(out, "dockerd's\nthere\n%s\n" % ("n" * 200), "run")
    w.consistent()
    w.forget(ours["Id"])


# ---- refusals -------------------------------------------------------------------------------------


def refusals(w):
    """What cannot be had: the right status, Docker's words, nothing left."""
    w.forget(w.busybox.id, w.big.id)
    name, before = w.name("library/busybox", w.proxy), w.left()
    manifest = "library/busybox/manifests"
    config = "blobs/" + w.busybox.id
    layer = "blobs/" + w.busybox.layers[0]["digest"]

    def error(code, message, **rest):
        return json.dumps({"errors": [dict({"code": code, "message": message}, **rest)]}).encode()

    limit = "You have reached your pull rate limit. You may increase the limit by authenticating"
    cases = [
        ("404", {"pattern": manifest, "status": 404, "body": error("MANIFEST_UNKNOWN", "manifest unknown")}, 404,
         "manifest for %s:latest not found: manifest unknown: manifest unknown" % name),
        ("no such repository", {"pattern": manifest, "status": 404, "body": error("NAME_UNKNOWN", "repository name not known to registry")},
         404, "repository %s not found: name unknown: repository name not known to registry" % name),
        ("denied", {"pattern": manifest, "status": 403, "body": error("DENIED", "requested access to the resource is denied")}, 404,
         "pull access denied for %s, repository does not exist or may require 'docker login': denied: requested access to "
         "the resource is denied" % name),
        ("401", {"pattern": manifest, "status": 401, "body": error("UNAUTHORIZED", "authentication required")}, 401,
         "pull access denied for %s, repository does not exist or may require 'docker login': unauthorized: authentication "
         "required" % name),
        ("429", {"pattern": manifest, "status": 429, "body": error("TOOMANYREQUESTS", limit), "headers": {"Retry-After": "3600"}},
         503, "toomanyrequests: " + limit),
        ("403 without words", {"pattern": manifest, "status": 403}, 403, "received unexpected HTTP status: 403 Forbidden"),
        ("404 of HTML", {"pattern": manifest, "status": 404, "body": b"<html>"}, 404, "received unexpected HTTP status: 404 Not Found"),
        ("manifest that is none", {"pattern": manifest, "status": 200, "body": b"[" * 100, "headers": {"Content-Type": w.busybox.type}},
         400, "manifest"),
        ("manifest of binary", {"pattern": manifest, "status": 200, "body": b"\xff\xfe\0"}, 400, "is no JSON"),
        ("manifest that is too long", {"pattern": manifest, "status": 200, "body": b" " * (5 << 20)}, 503, "the answer is too long"),
        ("schema 1", {"pattern": manifest, "status": 200, "body": b'{"schemaVersion":1,"name":"x"}',
                      "headers": {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}}, 400,
         "schema 1 support has been removed"),
        ("config 404", {"pattern": config, "status": 404, "body": error("BLOB_UNKNOWN", "blob unknown to registry")}, 404,
         "blob unknown: blob unknown to registry"),
        ("another config", {"pattern": config, "corrupt": 5}, 400, "image config verification failed for digest " + w.busybox.id),
        ("layer 403", {"pattern": layer, "status": 403, "body": error("DENIED", "no")}, 200, "denied: no"),
        ("layer 404", {"pattern": layer, "status": 404, "body": error("BLOB_UNKNOWN", "blob unknown to registry")}, 200,
         "blob unknown: blob unknown to registry"),
        ("wrong bytes", {"pattern": layer, "corrupt": 5000}, 200, None),
        # The time in gzip's header: the same tar comes out, and only the digest tells.
        ("wrong digest", {"pattern": layer, "corrupt": 5}, 200,
         "filesystem layer verification failed for digest %s: its bytes have the digest 'sha256:" % w.busybox.layers[0]["digest"]),
        ("too long", {"pattern": layer, "longer": 10}, 200,
         "filesystem layer verification failed for digest %s: it is longer than the %d bytes that the manifest says"
         % (w.busybox.layers[0]["digest"], w.busybox.layers[0]["size"])),
    ]
    for what, fault, status, message in cases:
        w.proxy.heal()
        w.proxy.break_(**fault)
        answer = w.pull(name)
        got = w.fails(answer)
        check(answer[0], status, what + ": status of %r" % got)
        assert message is None or message in got, "%s: got %r, wanted %r" % (what, got, message)
        assert w.image(name) is None, what + ": the image is there"
        for folder in ("tmp", "layers", "blobs/sha256") + (("partial",) if what.startswith("wrong") else ()):
            wanted = before.get(folder, []) if folder != "partial" else []
            vessel.wait_until("%s: %s is as before" % (what, folder), lambda: w.left().get(folder, []) == wanted)
    w.proxy.heal()
    check(w.fails(w.pull("127.0.0.1:1/x")), 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', "nobody")
    w.works(w.pull(name))
    w.forget(w.busybox.id)


def strange_images(w):
    tar = layer_tar({"x": b"x"})
    artifact = Image([tar], "oci", config_type="application/vnd.cncf.helm.config.v1+json")
    foreign = Image([tar], layer_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    foreign.document["layers"][0]["urls"] = ["http://127.0.0.1:1/x"]
    foreign.seal()
    wrong = Image([tar])
    wrong.config = wrong.config.replace(b'"diff_ids": ["sha256:', b'"diff_ids": ["sha256:0')[:-5] + wrong.config[-5:]
    lies = Image([tar])
    config = json.loads(lies.config)
    config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    lies.config = json.dumps(config).encode()
    lies.document["config"].update(size=len(lies.config), digest=registries.digest_of(lies.config))
    lies.seal()
    few = Image([tar])
    few.document["layers"] = []
    few.seal()
    for tag, image, message in (
            ("artifact", artifact, "'artifact' is no container image: its config is of type 'application/vnd.cncf.helm.config.v1+json'"),
            ("lies", lies, "the image config says 'sha256:0000"), ("few", few, "the image config lists 1 layers, the manifest 0")):
        w.registry.put("strange", tag, image)
        got = w.fails(w.pull(w.name("strange"), tag))
        assert message in got, "%s: %s" % (tag, got)
    w.proxy.heal()
    w.proxy.break_("strange/manifests/foreign", status=200, body=foreign.manifest, headers={"Content-Type": foreign.type})
    assert "is a foreign layer" in w.fails(w.pull(w.name("strange", w.proxy), "foreign"))
    check(w.partial(), [], "partial downloads")


# ---- interrupted ----------------------------------------------------------------------------------


def flaky(w):
    """Failures that pass: every byte is sent once, whatever happens between."""
    w.forget(w.big.id)
    name = w.name("big", w.proxy)
    layer = "blobs/" + w.big.layers[1]["digest"]
    size = w.big.layers[1]["size"]
    w.proxy.heal()
    w.proxy.break_("big/manifests/", status=503, times=1, headers={"Retry-After": "0"})
    w.proxy.break_(layer, cut=400000, times=1)
    w.proxy.break_(layer, status=500, times=1)
    w.proxy.break_(layer, cut=300000, times=1)
    lines = w.works(w.pull(name))
    sent = w.proxy.sent(layer)
    assert sent[0] == (None, 400000) and sent[1][1] == 0 and len(sent) == 4, sent
    check(sent[2], (sent[1][0], 300000), "the third request goes on")
    assert sum(s for _, s in sent) <= size + 3 * 131072, "%r of %d bytes" % (sent, size)
    assert any(line["status"].startswith("Retrying in") for line in lines), lines
    check(w.image(name)["Id"], w.big.id, "image")
    # A server that knows no ranges begins anew.
    w.forget(w.big.id)
    w.proxy.heal()
    w.proxy.break_(layer, cut=400000, times=1)
    w.proxy.break_(layer, no_ranges=True)
    w.works(w.pull(name))
    check(w.proxy.sent(layer)[1][1], size, "bytes of the second request")
    w.forget(w.big.id)


def resumed(w):
    """A pull that failed is gone on with, by the next daemon too."""
    name = w.name("big", w.proxy)
    layer = "blobs/" + w.big.layers[1]["digest"]
    size = w.big.layers[1]["size"]
    w.proxy.heal()
    w.proxy.break_(layer, cut=900000, times=1)
    w.proxy.break_(layer, status=404, body=b'{"errors":[{"code":"BLOB_UNKNOWN","message":"gone"}]}')
    check(w.fails(w.pull(name)), "blob unknown: gone", "error")
    hex_ = w.big.layers[1]["digest"][7:]
    assert w.image(name) is None and hex_ in w.partial(), w.left()
    inode = os.stat(w.engine.root + "/data/partial/" + hex_).st_ino
    w.engine.kill()
    w.engine.start()
    w.proxy.heal()
    w.works(w.pull(name))
    ((begin, sent),) = w.proxy.sent(layer)
    offset = int(begin[len("bytes="):-1])
    assert 0 < offset <= 900000 and sent == size - offset, (begin, sent)
    check(w.image(name)["Id"], w.big.id, "image")
    check(w.partial(), [], "partial downloads")
    # What was downloaded is the blob: nothing was written twice.
    check(os.stat(w.engine.root + "/data/blobs/sha256/" + hex_).st_ino, inode, "the blob's file")
    w.forget(w.big.id)


def spoilt(w):
    """Bytes that an earlier pull has left are wrong: the layer is fetched from its beginning."""
    w.forget(w.big.id)
    w.proxy.heal()
    digest = w.big.layers[1]["digest"]
    os.makedirs(w.engine.root + "/data/partial", exist_ok=True)
    with open(w.engine.root + "/data/partial/" + digest[7:], "wb") as f:
        f.write(b"x" * 100000)
    w.works(w.pull(w.name("big", w.proxy)))
    check([r for r, _ in w.proxy.sent("blobs/" + digest)][-1], None, "the last request's range")
    check((w.image(w.name("big", w.proxy))["Id"], w.partial()), (w.big.id, []), "image, partial downloads")
    w.forget(w.big.id)


def cancelled(w):
    """The client goes: so do the helper and its connections, and the server notices."""
    name = w.name("big", w.proxy)
    w.forget(w.big.id)
    w.proxy.heal()
    fault = w.proxy.break_("blobs/" + w.big.layers[1]["digest"], stall=500000)
    client = w.engine.docker_start("pull", name)
    assert fault.stalled.wait(vessel.TIMEOUT_S), "nobody came"
    client.kill()
    client.communicate()
    vessel.wait_until("the helper has gone", lambda: not helpers())
    vessel.wait_until("the handler has ended", lambda: "context canceled" in w.engine.log_text())
    assert w.image(name) is None
    fault.let_go.set()
    w.proxy.heal()
    w.works(w.pull(name))
    w.forget(w.big.id)


def silent(w):
    """A server that says no more is given up, and asked for the rest."""
    os.environ["VESSEL_REGISTRY_STALL_S"] = "10"  # more than the proxy ever pauses by itself
    w.engine.kill()
    w.engine.start()
    del os.environ["VESSEL_REGISTRY_STALL_S"]
    w.forget(w.big.id)
    w.proxy.heal()
    layer = "blobs/" + w.big.layers[1]["digest"]
    w.proxy.break_(layer, stall=500000, times=1)
    w.works(w.pull(w.name("big", w.proxy)))
    check([r for r, _ in w.proxy.sent(layer)], [None, "bytes=500000-"], "ranges")
    w.engine.kill()
    w.engine.start()
    w.forget(w.big.id)


def given_up(w):
    """A server that goes on failing, and a layer that goes on being too short: what came is kept for the next pull."""
    w.engine.kill()
    w.engine.start(args=["--max-download-attempts", "2"])
    w.forget(w.big.id)
    name, layer, size = w.name("big", w.proxy), w.big.layers[1]["digest"], w.big.layers[1]["size"]
    before = dict(w.left(), partial=[])
    for pattern, what, status, message in (
            ("manifests/", {"status": 500}, 503, "received unexpected HTTP status: 500 Internal Server Error"),
            ("blobs/" + layer, {"status": 500}, 200, "received unexpected HTTP status: 500 Internal Server Error"),
            ("blobs/" + layer, {"shorter": 1000}, 200, "layer %s ends after %d of %d bytes" % (layer, size - 1000, size))):
        w.proxy.heal()
        w.proxy.break_(pattern, **what)
        answer = w.pull(name)
        got = w.fails(answer)
        assert answer[0] == status and message in got, (answer[0], got)
        check(w.proxy.count("GET", pattern), 2, "requests")
        assert w.image(name) is None
        vessel.wait_until("all but the downloads is as before", lambda: dict(w.left(), partial=[]) == before)
    w.proxy.heal()
    w.works(w.pull(name))
    check(w.proxy.sent("blobs/" + layer), [("bytes=%d-" % (size - 1000), 1000)], "the rest")
    check(w.partial(), [], "partial downloads")
    w.engine.kill()
    w.engine.start()
    w.forget(w.big.id)


def shared(w):
    """Two pulls at a time: every blob comes once; the second goes on when the first is killed."""
    name = w.name("big", w.proxy)
    layers = [layer["digest"] for layer in w.big.layers]
    for kill in (False, True):
        w.forget(w.big.id)
        w.proxy.heal()
        fault = w.proxy.break_("blobs/" + layers[0], stall=300000, times=1)
        first = w.engine.docker_start("pull", name)
        assert fault.stalled.wait(vessel.TIMEOUT_S), "nobody came"
        vessel.wait_until("the others have come", lambda: all(
            sum(n for _, n in w.proxy.sent("blobs/" + d)) == layer["size"] for d, layer in list(zip(layers, w.big.layers))[1:]))
        second = w.engine.docker_start("pull", name)
        vessel.wait_until("the second has begun", lambda: w.proxy.count("GET", "blobs/" + w.big.id) == 2)
        if kill:
            first.kill()
        else:
            fault.let_go.set()
        first.communicate()
        out, errors = second.communicate(timeout=vessel.TIMEOUT_S)
        check((first.returncode == 0, second.returncode), (not kill, 0), "exit codes: %s" % errors)
        check([len(w.proxy.sent("blobs/" + d)) for d in layers], [2, 1, 1], "requests of each blob")
        assert w.proxy.sent("blobs/" + layers[0])[1][0] == "bytes=300000-", w.proxy.sent("blobs/" + layers[0])
        check(w.image(name)["Id"], w.big.id, "image")
    check(w.partial(), [], "partial downloads")
    w.forget(w.big.id)


def helpers():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/cmdline" % pid) as f:
                if f.read().startswith("vessel-registry") and os.readlink("/proc/%s/ns/net" % pid) == os.readlink("/proc/self/ns/net"):
                    found.append(int(pid))
    return found


def sandboxed(w):
    """The helper while it waits: nobody, without capabilities, and out of sight of the host's files."""
    w.forget(w.big.id)
    w.proxy.heal()
    fault = w.proxy.break_("blobs/" + w.big.layers[0]["digest"], stall=1000)
    client = w.engine.docker_start("pull", w.name("big", w.proxy))
    assert fault.stalled.wait(vessel.TIMEOUT_S), "nobody came"
    vessel.wait_until("one helper", lambda: len(helpers()) == 1)
    (pid,) = helpers()
    with open("/proc/%d/status" % pid) as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    check((status["Uid"], status["CapEff"], status["CapPrm"], status["NoNewPrivs"]),
          ("\t".join(["65534"] * 4), "0" * 16, "0" * 16, "1"), "the helper")
    check(os.path.exists("/proc/%d/root%s" % (pid, w.engine.root)), False, "sees the data root")
    client.kill()
    client.communicate()
    vessel.wait_until("the helper has gone", lambda: not helpers())
    w.proxy.heal()


def killed(w):
    """kill -9 at each stage: then nothing is half there, a second pull works, and nothing is fetched twice."""
    with open(os.path.join(vessel.TOP, "src/base/crash-points.def")) as f:
        points = [line.split('"')[1] for line in f if line.startswith(("CRASH_POINT(PULL_", "CRASH_POINT(IMAGE_"))]
    assert len(points) == 8, points
    name, total = w.name("big", w.proxy), sum(layer["size"] for layer in w.big.layers)
    for point in points:
        w.engine.kill()
        w.engine.start(crash_at=point)
        w.proxy.heal()
        with contextlib.suppress(http.client.HTTPException, OSError):
            w.pull(name)
        w.engine.wait_crashed()
        w.engine.start()
        check(w.image(name) is not None, point in ("image.rows", "pull.committed"), point + ": the image")
        first = sum(sent for _, sent in w.proxy.sent("blobs/"))
        w.proxy.heal()
        w.works(w.pull(name))
        if point in ("pull.staged", "image.staged", "image.placed", "image.rows", "pull.committed"):
            check([p for p, _ in w.proxy.sent("blobs/sha256")][1:], [], point + ": blobs fetched again")
        assert first <= total + len(w.big.config)
        check(w.image(name)["Id"], w.big.id, point + ": image")
        check(w.partial(), [], point + ": partial downloads")
        check(w.left()["tmp"], [], point + ": tmp")
        w.consistent()
        w.forget(w.big.id)


def killed_once(w, chance):
    """In a download that has come to some byte, or at any moment of images that come and go."""
    name, stop = w.name("big", w.proxy), threading.Event()
    w.proxy.heal()
    fault = None
    if chance.random() < .5:
        layer = chance.choice(w.big.layers)
        fault = w.proxy.break_("blobs/" + layer["digest"], stall=chance.randrange(layer["size"]))

    def work():
        while not stop.is_set():
            with contextlib.suppress(http.client.HTTPException, OSError, ValueError, KeyError):  # half an answer
                w.pull(name)
                w.forget(w.big.id)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        if fault:
            assert fault.stalled.wait(vessel.TIMEOUT_S), "nobody came"
        else:
            time.sleep(chance.uniform(0, 0.4))
        w.engine.kill()
    finally:
        stop.set()
        w.proxy.heal()
        worker.join()
    vessel.wait_until("the helper has gone", lambda: not helpers())
    w.engine.start()
    image = w.image(name)
    assert image is None or image["Id"] == w.big.id, image
    w.consistent()
    w.works(w.pull(name))
    check(w.image(name)["Id"], w.big.id, "image")
    vessel.wait_until("nothing is left over", lambda: not w.partial() and not w.left()["tmp"])
    w.consistent()
    w.forget(w.big.id)


def killed_anywhere(w):
    """kill -9 at random moments of pulls (200 with VESSEL_SOAK=1): nothing is half there, a second pull works."""
    w.works(w.pull(w.name("big")))  # which makes the directories that stay
    w.forget(w.big.id)
    before = w.left()
    for seed in range(200 if os.environ.get("VESSEL_SOAK") == "1" else 5):
        try:
            killed_once(w, random.Random(seed))
            vessel.wait_until("the store is as before", lambda: w.left() == before)
        except Exception as problem:
            raise AssertionError("random moment %d: %s" % (seed, problem)) from problem


# ---- push -----------------------------------------------------------------------------------------


def pushes(w):
    """What was pulled goes out byte for byte."""
    w.works(w.pull(w.name("big")))
    w.engine.docker("tag", w.name("big"), w.name("copy/of") + ":v1")
    done = w.engine.docker("push", w.name("copy/of") + ":v1").stdout
    assert "The push refers to repository [%s]" % w.name("copy/of") in done, done
    assert "v1: digest: %s size: %d" % (w.big.digest, len(w.big.manifest)) in done, done
    check(w.registry.manifest("copy/of", "v1"), (w.big.type, w.big.manifest), "the manifest")
    assert done.count("Mounted from big") == 3, done
    again = w.engine.docker("push", w.name("copy/of") + ":v1").stdout
    assert again.count("Layer already exists") == 3, again
    assert w.name("copy/of") + "@" + w.big.digest in w.image(w.big.id)["RepoDigests"]
    # By another name of the host it is another registry, which is not asked to mount anything.
    fresh = "localhost:%d/fresh" % w.registry.port
    w.engine.docker("tag", w.name("big"), fresh)
    lines = w.works(w.push(fresh))
    check(sum(line.get("status") == "Pushed" for line in lines), 3, "layers that were pushed")
    check(lines[-1]["aux"], {"Tag": "latest", "Digest": w.big.digest, "Size": len(w.big.manifest)}, "aux")
    w.forget(w.big.id)


def pushes_made(w):
    """An image that never was in a registry: compressed always in the same way, and remembered."""
    w.engine.docker("import", "-", w.name("made") + ":one", input=layer_tar({"f": b"text\n" * 5000}))
    w.works(w.push(w.name("made"), "one"))
    kind, manifest = w.registry.manifest("made", "one")
    check(kind, registries.TYPES["docker"][0], "type")
    w.engine.docker("tag", w.name("made") + ":one", w.name("other", w.proxy) + ":two")
    w.proxy.heal()
    w.works(w.push(w.name("other", w.proxy), "two"))
    check(w.registry.manifest("other", "two")[1], manifest, "the second manifest")
    w.engine.kill()
    w.engine.start()
    w.proxy.heal()
    lines = w.works(w.push(w.name("other", w.proxy), "two"))
    assert any(line.get("status") == "Layer already exists" for line in lines), lines
    check(w.proxy.count("POST", "uploads"), 0, "uploads")
    directory = w.root + "/skopeo"
    skopeo("copy", "--src-tls-verify=false", "docker://%s:one" % w.name("made"), "oci:%s:x" % directory)
    assert json.loads(skopeo("inspect", "--tls-verify=false", "docker://%s:one" % w.name("made")))["Architecture"] == "amd64"
    image = w.image(w.name("made") + ":one")["Id"]
    w.forget(image)
    w.works(w.pull(w.name("made"), "one"))
    check(w.image(w.name("made") + ":one")["Id"], image, "the same image comes back")
    w.forget(image)


def push_all(w):
    one, two = Image([layer_tar({"n": b"p1"})]), Image([layer_tar({"n": b"p2"})])
    w.registry.put("from", "a", one)
    w.registry.put("from", "b", two)
    for tag in "ab":
        w.works(w.pull(w.name("from"), tag))
        w.engine.docker("tag", w.name("from") + ":" + tag, w.name("to") + ":" + tag)
    w.engine.docker("push", "-a", w.name("to"))
    check([w.registry.manifest("to", tag)[1] for tag in "ab"], [one.manifest, two.manifest], "manifests")
    check(w.fails(w.push(w.name("nothing"))), "An image does not exist locally with the tag: " + w.name("nothing"), "no image")
    check(w.fails(w.push(w.name("to"), "c")), "tag does not exist: %s:c" % w.name("to"), "no tag")
    # The platform is the image's, or there is nothing to push.
    w.engine.docker("push", "--platform", "linux/amd64", w.name("to") + ":a")
    answer = w.lines("POST", "/images/%s/push?tag=a&platform=%s" % (
        w.name("to"), urllib.parse.quote('{"os":"linux","architecture":"arm64"}')), auth_header())
    check(answer, (404, "image with reference %s:a was found but does not match the specified platform: wanted linux/arm64, "
                   "actual: linux/amd64" % w.name("to")), "another platform")
    client = [vessel.BIN + "/vessel", "-H", w.engine.host()]
    subprocess.run([*client, "push", "-q", "--platform", "amd64", w.name("to") + ":b"], check=True, capture_output=True)
    for command in (["push", "--platform", "linux/arm64/v8", w.name("to") + ":b"], ["save", "-o", "/dev/null", "--platform", "arm64", one.id],
                    ["history", "--platform", "linux/arm64", one.id]):
        done = subprocess.run([*client, *command], capture_output=True, text=True)
        assert done.returncode == 1 and "wanted linux/arm64" in done.stderr, (command, done)
    w.forget(one.id, two.id)


def pieces(w):
    """A blob in pieces; what has arrived of one that broke off is not sent again."""
    os.environ["VESSEL_REGISTRY_PIECE"] = "400000"
    w.engine.kill()
    w.engine.start()
    del os.environ["VESSEL_REGISTRY_PIECE"]
    w.works(w.pull(w.name("big")))
    target = "localhost:%d/pieces" % w.proxy.server_address[1]
    w.engine.docker("tag", w.name("big"), target)
    w.proxy.heal()
    w.proxy.break_("pieces/blobs/uploads", method="PATCH", upload_cut=150000, times=1)
    w.works(w.push(target))
    check(w.registry.manifest("pieces", "latest")[1], w.big.manifest, "the manifest")
    sent = sorted(r["headers"]["Content-Range"] for r in w.proxy.requests if r["method"] == "PATCH")
    # 700 kB in two pieces and 1.5 MB in four; the rest of the broken one begins in its middle.
    assert len(sent) >= 7 and any(s.split("-")[0] in ("150000", "550000", "950000", "1350000") for s in sent), sent
    w.engine.kill()
    w.engine.start()
    for layer in w.big.layers:
        status, data, _ = w.registry.request("GET", "/v2/pieces/blobs/" + layer["digest"])
        check((status, registries.digest_of(data)), (200, layer["digest"]), "blob")
    w.forget(w.big.id)


def push_fails(w):
    w.works(w.pull(w.name("big")))
    w.engine.docker("tag", w.name("big"), w.name("flaky", w.proxy))
    w.proxy.heal()
    w.proxy.break_("flaky/blobs/uploads", method="POST", status=500, times=1)
    w.proxy.break_("flaky/blobs/uploads", method="PUT", upload_cut=100000, times=1)
    w.proxy.break_("flaky/manifests", method="PUT", status=502, times=1)
    w.works(w.push(w.name("flaky", w.proxy)))
    check(w.registry.manifest("flaky", "latest")[1], w.big.manifest, "the manifest")
    w.engine.docker("tag", w.name("big"), w.name("denied", w.proxy))
    w.proxy.heal()
    w.proxy.break_("denied/blobs/uploads", method="POST", status=403,
                   body=b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}')
    check(w.fails(w.push(w.name("denied", w.proxy))), "denied: requested access to the resource is denied", "refused")
    check(w.registry.request("GET", "/v2/denied/tags/list")[0], 404, "nothing of it is there")
    w.proxy.heal()
    w.proxy.break_("denied/manifests", method="PUT", status=400, body=b'{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}')
    check(w.fails(w.push(w.name("denied", w.proxy))), "manifest invalid: manifest invalid", "manifest refused")
    vessel.wait_until("no helper is left", lambda: not helpers())
    w.forget(w.big.id)


# ---- who may ----------------------------------------------------------------------------------------


def basic_over_tls(w):
    """htpasswd behind TLS with a CA of its own: trusted by certs.d only."""
    authority = registries.Authority(w.root + "/authority", TLS_HOST)
    with open(w.root + "/htpasswd", "w") as f:
        for user, password in USERS.items():
            f.write("%s:%s\n" % (user, bcrypt(password)))
    registry = w.run(registries.Registry(w.root, "tls", TLS_HOST, authority,
                                         {"htpasswd": {"realm": "test", "path": w.root + "/htpasswd"}}))
    registry.headers["Authorization"] = "Basic " + base64.b64encode(b"anna:" + USERS["anna"].encode()).decode()
    registry.put("private", "latest", w.busybox)
    name = w.name("private", registry)
    message = w.fails(w.pull(name))
    assert "certificate" in message and message.startswith('Get "https://%s/v2/"' % registry.address), message
    certificates = "/etc/docker/certs.d/" + registry.address
    os.makedirs(certificates)
    shutil.copy(authority.ca, certificates)
    check(w.pull(name), (500, "no basic auth credentials"), "anonymous")
    if os.path.exists(vessel.DOCKER_OLD):  # which asks for a password when it sees a 401, and tells no reason
        done = subprocess.run([vessel.DOCKER_OLD, "pull", name], env=w.engine.environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        assert "Error response from daemon: no basic auth credentials" in done.stderr, done.stderr
    wrong = auth_header(username="anna", password="wrong")
    status, message = w.pull(name, headers=wrong)
    check((status, message), (401, "pull access denied for %s, repository does not exist or may require 'docker login': unauthorized: "
                              "authentication required" % name), "a wrong password")
    w.works(w.pull(name, headers=auth_header(username="anna", password=USERS["anna"])))
    # Through the client.
    done = w.engine.docker("login", "-u", "otto", "-p", "nonsense", registry.address, check=False)
    assert done.returncode == 1 and "401 Unauthorized" in done.stderr, done.stderr
    done = w.engine.docker("login", "-u", "anna", "--password-stdin", registry.address, input=USERS["anna"].encode())
    assert "Login Succeeded" in done.stdout, done.stdout
    w.engine.docker("tag", name, name + ":pushed")
    w.engine.docker("push", name + ":pushed")
    check(registry.manifest("private", "pushed")[1], w.busybox.manifest, "pushed")
    w.engine.docker("logout", registry.address)
    assert "no basic auth credentials" in w.engine.docker("pull", name, check=False).stderr
    shutil.rmtree(certificates)
    w.forget(w.busybox.id)


def authorities(w):
    """A registry's own CA is trusted beside the system's; one whose server asks for our certificate gets it."""
    system, own = (registries.Authority(w.root + "/" + name, TLS_HOST) for name in ("system-ca", "own-ca"))
    os.makedirs("/etc/ssl/certs", exist_ok=True)  # of our own /etc
    shutil.copy(system.ca, "/etc/ssl/certs/ca-certificates.crt")
    # The system's, with another beside it.
    registry = w.run(registries.Registry(w.root, "of-the-system", TLS_HOST, system))
    registry.put("box", "latest", w.busybox)
    certificates = "/etc/docker/certs.d/" + registry.address
    os.makedirs(certificates)
    for with_own in (False, True):
        if with_own:
            shutil.copy(own.ca, certificates + "/own.crt")
        w.works(w.pull(w.name("box", registry)))
        w.forget(w.busybox.id)
    # Its own, and ours.
    registry = w.run(registries.Registry(w.root, "asks-us", TLS_HOST, own, clients=own))
    registry.put("box", "latest", w.busybox)
    name, certificates = w.name("box", registry), "/etc/docker/certs.d/" + registry.address
    os.makedirs(certificates)
    shutil.copy(own.ca, certificates + "/ca.crt")
    message = w.fails(w.pull(name))
    assert message.startswith('Get "https://%s/v2/": the server asks for a client certificate, and certs.d has none for it: '
                              % registry.address), message
    # Somebody else's certificate does not help, and neither does half of one.
    shutil.copy(system.client_certificate, certificates + "/client.cert")
    message = w.fails(w.pull(name))
    assert "client.key" in message, message
    shutil.copy(system.client_key, certificates + "/client.key")
    message = w.fails(w.pull(name))
    assert "the server asks for a client certificate, and does not take ours" in message, message
    shutil.copy(own.client_certificate, certificates + "/client.cert")
    shutil.copy(own.client_key, certificates + "/client.key")
    w.works(w.pull(name))
    w.engine.docker("tag", name, name + ":pushed")
    w.engine.docker("push", name + ":pushed")
    check(registry.manifest("box", "pushed")[1], w.busybox.manifest, "pushed")
    w.forget(w.busybox.id)


def bcrypt(password):
    """A hash that docker-registry takes."""
    return subprocess.run([sys.executable, "-W", "ignore", "-c",
                           "import crypt,sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))",
                           password], capture_output=True, text=True, check=True).stdout.strip()


def tokens(w):
    server = w.run(registries.TokenServer(w.root + "/tokens", USERS))
    registry = w.run(registries.Registry(w.root, "token", auth=server.auth()))
    everything = server.token("otto", ["repository:%s:pull,push" % r for r in ("public/a", "private/a")])
    registry.headers["Authorization"] = "Bearer " + everything
    for repository in ("public/a", "private/a"):
        registry.put(repository, "latest", w.busybox)
    anna = auth_header(username="anna", password=USERS["anna"])
    w.works(w.pull(w.name("public/a", registry)))
    check(server.asked, [("GET", None, ["repository:public/a:pull"])], "tokens")
    w.forget(w.busybox.id)
    check(w.pull(w.name("private/a", registry)),
          (404, "pull access denied for %s, repository does not exist or may require 'docker login': denied: requested access to "
           "the resource is denied" % w.name("private/a", registry)), "anonymous")
    w.works(w.pull(w.name("private/a", registry), headers=anna))
    assert "incorrect username or password" in w.fails(w.pull(w.name("private/a", registry), headers=auth_header(username="anna", password="x")))
    # An identity token is changed for others.
    status, answer = w.engine.api("POST", "/auth", {"username": "anna", "password": USERS["anna"], "email": "a@example.org",
                                                    "serveraddress": registry.address})
    check((status, answer), (200, {"Status": "Login Succeeded", "IdentityToken": "identity of anna"}), "login")
    status, answer = w.engine.api("POST", "/auth", {"username": "anna", "password": "x", "serveraddress": registry.address})
    check(status, 401, "login with another password")
    w.forget(w.busybox.id)
    server.asked.clear()
    w.works(w.pull(w.name("private/a", registry), headers=auth_header(identitytoken="identity of anna")))
    check(server.asked, [("POST", "anna", ["repository:private/a:pull"])], "tokens")
    w.forget(w.busybox.id)
    w.works(w.pull(w.name("private/a", registry), headers=auth_header(registrytoken=everything)))
    # To push, and to mount from elsewhere, needs more.
    w.engine.docker("tag", w.name("private/a", registry), w.name("private/b", registry))
    server.asked.clear()
    lines = w.works(w.push(w.name("private/b", registry), headers=anna))
    assert any(line.get("status") == "Mounted from private/a" for line in lines), lines
    assert ("GET", "anna", ["repository:private/b:push,pull", "repository:private/a:pull"]) in server.asked, server.asked
    w.forget(w.busybox.id)


# ---- the rest -----------------------------------------------------------------------------------------


def questions(w):
    """distribution inspect, search."""
    status, answer = w.engine.api("GET", "/distribution/%s/json" % w.name("library/busybox"))
    check((status, answer), (200, {"Descriptor": {"mediaType": w.busybox.type, "digest": w.busybox.digest,
                                                  "size": len(w.busybox.manifest)},
                                   "Platforms": [{"architecture": "amd64", "os": "linux"}]}), "distribution")
    status, answer = w.engine.api("GET", "/distribution/%s/json" % w.name("multi"))
    check([p["architecture"] for p in answer["Platforms"]], ["unknown", "arm64", "amd64"], "platforms")
    check(apifacts.Facts().check(answer, "#DistributionInspect"), [], "types of distribution inspect")
    status, answer = w.engine.api("GET", "/distribution/%s/json" % w.name("nothing"))
    check(status, 404, "not there")
    w.proxy.heal()
    found = {"num_results": 2, "query": "busy", "results": [
        {"name": "busybox", "description": "Busybox base image.", "star_count": 3000, "is_official": True, "is_automated": False},
        {"name": "someone/busy", "description": "x", "star_count": 1, "is_official": False, "is_automated": False}]}
    w.proxy.break_(r"/v1/search\?q=busy&n=25$", status=200, body=json.dumps(found).encode())
    out = w.engine.docker("search", w.name("busy", w.proxy)).stdout
    assert "Busybox base image." in out and "someone/busy" in out, out
    filters = urllib.parse.quote(json.dumps({"is-official": {"true": True}, "stars": {"5": True}}))
    status, answer = w.engine.api("GET", "/images/search?term=%s&filters=%s" % (w.name("busy", w.proxy), filters))
    check([a["name"] for a in answer], ["busybox"], "filtered")
    facts = apifacts.Facts()
    check(facts.check(answer, facts.routes["GET /images/search"]["answers"]["200"]), [], "types of a search's results")
    w.proxy.break_(r"/v1/search\?q=busy&n=7$", status=200, body=json.dumps(found).encode())
    filters = urllib.parse.quote(json.dumps({"is-official": ["false"], "is-automated": ["false"]}))
    status, answer = w.engine.api("GET", "/images/search?term=%s&limit=7&filters=%s" % (w.name("busy", w.proxy), filters))
    check([a["name"] for a in answer], ["someone/busy"], "no more than seven, filtered")
    check(w.engine.api("GET", "/images/search?term=x&limit=1000")[0], 400, "limit")


def mirrors(w):
    """docker.io by way of a mirror, which is the first to be asked, and not the last."""
    w.engine.kill()
    w.engine.start(args=["--registry-mirror", "http://127.0.0.1:1", "--registry-mirror", "http://" + w.proxy.address])
    w.proxy.heal()
    out = w.engine.docker("pull", "busybox").stdout
    assert "latest: Pulling from library/busybox" in out and "Status: Downloaded newer image for busybox:latest" in out, out
    check(w.image("busybox")["RepoDigests"], ["busybox@" + w.busybox.digest], "RepoDigests")
    message = w.fails(w.pull("nonexistent"))
    assert message.startswith('Get "https://registry-1.docker.io/v2/": Could not resolve host'), message
    w.engine.kill()
    w.engine.start()
    w.forget(w.busybox.id)


def at_once(w):
    """max-concurrent-downloads and -uploads: so many at once, and no more."""
    w.engine.kill()
    w.engine.start(args=["--max-concurrent-downloads", "2", "--max-concurrent-uploads", "2"])
    many = Image([layer_tar({"f": os.urandom(1000)}) for _ in range(6)])
    w.registry.put("many", "latest", many)
    name, fresh = w.name("many", w.proxy), "localhost:%d/fresh" % w.proxy.server_address[1]  # another registry, so nothing is mounted
    forward = w.proxy.forward
    for method, pattern, action in (("GET", "blobs/(%s)" % "|".join(layer["digest"] for layer in many.layers), lambda: w.pull(name)),
                                    ("POST", "blobs/uploads/", lambda: w.push(fresh))):
        changed, waiting, most = threading.Condition(), 0, 0

        def hold(handler):
            nonlocal waiting, most
            if handler.command == method and re.search(pattern, handler.path):
                with changed:
                    waiting += 1
                    most = max(most, waiting)
                    changed.notify_all()
                    changed.wait_for(lambda: most >= 2, vessel.TIMEOUT_S)
                    changed.wait_for(lambda: most > 2, 0.05)  # were there a third, it would come now
                    waiting -= 1
            forward(handler)
        w.proxy.forward = hold
        try:
            w.works(action())
        finally:
            del w.proxy.forward
        check(most, 2, "requests %s at once" % method)
        w.engine.docker("tag", name, fresh)
    w.forget(many.id)
    w.engine.kill()
    w.engine.start()


HELPER = """#!/bin/sh
# A credential helper that keeps documents in files.
read -r input
server=$(printf %%s "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' | tr / _)
case $1 in
store) printf '%%s\\n' "$input" >"%(root)s/$server" ;;
get) cat "%(root)s/$server" 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
erase) rm -f "%(root)s/$server" ;;
esac
"""


def own_client(w):
    """vessel pull, push, run --pull, login, logout and search, with and without a credential helper."""
    root = w.root + "/client"
    os.makedirs(root + "/bin")
    with open(root + "/bin/docker-credential-test", "w") as f:
        f.write(HELPER % {"root": root})
    os.chmod(root + "/bin/docker-credential-test", 0o755)
    environment = dict(os.environ, DOCKER_CONFIG=root + "/config", PATH=root + "/bin:" + os.environ["PATH"])

    def run(*args, code=0, input=""):
        done = subprocess.run([vessel.BIN + "/vessel", "-H", w.engine.host(), *args], env=environment, input=input,
                              capture_output=True, text=True, timeout=vessel.TIMEOUT_S)
        check(done.returncode, code, "vessel %s: %s" % (" ".join(args), done.stderr))
        return done.stdout if code == 0 else done.stderr

    name = w.name("library/busybox")
    w.forget(w.busybox.id)
    out = run("pull", name)
    for line in ("Using default tag: latest", "latest: Pulling from library/busybox", "Digest: " + w.busybox.digest,
                 "Status: Downloaded newer image for %s:latest" % name):
        assert line in out.splitlines(), out
    assert "Downloading" not in out and ": Pull complete" in out, out
    check(run("pull", "-q", name), name + ":latest\n", "quiet")
    w.forget(w.busybox.id)
    check(run("run", "--rm", "--network", "none", name, "echo", "here"), "here\n", "run of an image that is not here")
    w.forget(w.busybox.id)
    assert "No such image" in run("run", "--rm", "--pull", "never", name, "true", code=125)
    check(run("run", "--rm", "--pull", "always", "--network", "none", name, "echo", "again"), "again\n", "--pull always")
    run("tag", name, w.name("own/copy") + ":x")
    out = run("push", w.name("own/copy") + ":x")
    assert "x: digest: %s" % w.busybox.digest in out, out
    assert "manifest unknown" in run("pull", w.name("own/nothing"), code=1)
    # Bars on a terminal.
    w.forget(w.big.id)
    drawn = subprocess.run(["script", "-qec", "stty cols 150; exec %s/vessel -H %s pull %s" % (vessel.BIN, w.engine.host(), w.name("big")),
                            "/dev/null"], env=environment, stdin=subprocess.DEVNULL, capture_output=True).stdout.decode()
    short = w.big.layers[0]["digest"][7:19]
    assert "\x1b[2K\r%s: Pull complete" % short in drawn and "Status: Downloaded newer image" in drawn, drawn
    # Credentials: in the file, then by the helper.
    server = w.run(registries.TokenServer(w.root + "/own-tokens", USERS))
    registry = w.run(registries.Registry(w.root, "own-token", auth=server.auth()))
    private = w.name("private/x", registry)
    run("tag", name, private)
    assert "incorrect username or password" in run("login", "-u", "anna", "--password-stdin", registry.address, code=1, input="x\n")
    for helper in (False, True):
        if helper:
            with open(root + "/config/config.json", "w") as f:
                json.dump({"credHelpers": {registry.address: "test"}, "psFormat": "kept"}, f)
        assert "Login Succeeded" in run("login", "-u", "anna", "--password-stdin", registry.address, input=USERS["anna"] + "\n")
        with open(root + "/config/config.json") as f:
            config = json.load(f)
        check(registry.address in config.get("auths", {}), not helper, "in the file")
        check(os.path.exists(root + "/" + registry.address), helper, "with the helper")
        run("push", private)
        w.forget(private)
        run("pull", private)
        run("logout", registry.address)
        with open(root + "/config/config.json") as f:
            check(json.load(f).get("auths", {}), {}, "after logout")
        check(os.path.exists(root + "/" + registry.address), False, "after logout, with the helper")
        assert "denied" in run("pull", private, code=1)
    w.proxy.heal()
    w.proxy.break_(r"/v1/search\?q=box&n=3$", status=200, body=json.dumps({"results": [
        {"name": "box", "description": "A box " * 20, "star_count": 7, "is_official": True}]}).encode())
    line = run("search", "--limit", "3", w.name("box", w.proxy)).splitlines()[1].split()
    assert line[0] == "box" and line[-2:] == ["7", "[OK]"], line
    w.forget(w.busybox.id, w.big.id)


def proxied(w):
    """By HTTP_PROXY of the configuration, and not for NO_PROXY's hosts."""
    subprocess.run(["ip", "address", "replace", "192.0.2.2/32", "dev", "lo"], check=True)
    w.engine.kill()
    w.engine.start(args=["--http-proxy", "http://" + w.proxy.address, "--no-proxy", "127.0.0.1",
                         "--insecure-registry", "192.0.2.0/28"])
    w.proxy.heal()
    before = len(w.proxy.requests)
    # The proxy is asked for a whole URL and answers for the registry behind it, whatever the host is.
    w.works(w.pull("192.0.2.2:5000/library/busybox"))
    assert any(r["path"].startswith("http://192.0.2.2:5000/v2/") for r in w.proxy.requests[before:]), w.proxy.requests
    w.proxy.heal()
    w.works(w.pull(w.name("library/busybox")))
    check(w.proxy.requests, [], "requests by the proxy")
    w.engine.kill()
    w.engine.start()
    w.forget(w.busybox.id)


CASES = [pulls, run_pulls, progress, formats, platforms, by_digest, all_tags, from_skopeo, from_podman, from_docker, refusals, strange_images, flaky, resumed, spoilt,
         silent, given_up, shared, cancelled, sandboxed, killed, killed_anywhere, pushes, pushes_made, push_all, pieces, push_fails, basic_over_tls, authorities, tokens, questions,
         mirrors, at_once, proxied, own_client]


def private_etc(root):
    os.makedirs(root + "/upper")
    os.makedirs(root + "/work")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=/etc,upperdir=%s/upper,workdir=%s/work" % (root, root),
                    "/etc"], check=True)


def main():
    if os.environ.get("VESSEL_TEST_NETNS") != "1":
        os.environ["VESSEL_TEST_NETNS"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--", sys.executable] + sys.argv)
    vessel.enter_private_namespace()
    subprocess.run(["ip", "address", "add", TLS_HOST + "/32", "dev", "lo"], check=True)
    os.environ["DOCKER_CONTENT_TRUST"] = "0"
    tap, only = vessel.Tap(), [a for a in sys.argv[1:] if not a.startswith("-")]
    etc = tempfile.mkdtemp(prefix="vessel-etc-", dir="/dev/shm")
    private_etc(etc)
    w = World()
    try:
        for case in CASES:
            if not only or case.__name__ in only:
                begin = time.monotonic()
                tap.case((case.__doc__ or case.__name__).splitlines()[0], case, w)
                if "--times" in sys.argv:
                    print("# %.2f s" % (time.monotonic() - begin))
        if "--keep-log" in sys.argv:
            print(w.engine.log_text())
    finally:
        w.stack.close()
        shutil.rmtree(etc, ignore_errors=True)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
