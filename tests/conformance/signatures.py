#!/usr/bin/python3
"""signature-policy: pulls with signatures as cosign makes them, against Debian's docker-registry, and every way to be refused.

The signatures are made by the openssl command, byte for byte as cosign lays them down; one is made by Debian's cosign itself.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import registries  # noqa: E402
import vessel  # noqa: E402
from registries import Authority, Image, digest_of, layer_tar  # noqa: E402

COSIGN = os.path.join(vessel.TOP, "build/peers/cosign/usr/bin/cosign")
COMPOSE = os.path.join(vessel.TOP, "build/peers/compose/usr/libexec/docker/cli-plugins/docker-compose")
VESSEL = os.path.join(vessel.BIN, "vessel")
ANNOTATION = "dev.cosignproject.cosign/signature"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
MANIFEST, INDEX = registries.TYPES["oci"][0], registries.TYPES["oci"][3]

KEYS = {  # how it is made, how it signs
    "p256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["dgst", "-sha256"]),
    "p384": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["dgst", "-sha256"]),
    "p384-sha384": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["dgst", "-sha384"]),
    "rsa": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["dgst", "-sha256"]),
    "rsa-pss": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                ["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss"]),
    "ed25519": (["-algorithm", "ED25519"], None),
}


def check(got, wanted, what):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


class Key:
    """A key pair in files, made once."""

    def __init__(self, directory, kind):
        self.kind, self.path, self.public = kind, "%s/%s.key" % (directory, kind), "%s/%s.pem" % (directory, kind)
        Authority.openssl("genpkey", *KEYS[kind.partition("/")[2] or kind][0], "-out", self.path)
        Authority.openssl("pkey", "-in", self.path, "-pubout", "-out", self.public)

    def sign(self, payload):
        how = KEYS[self.kind][1]
        if how:
            return Authority.openssl(*how, "-sign", self.path, input=payload)
        with tempfile.NamedTemporaryFile() as f:  # of the whole text, so it must be a file
            f.write(payload)
            f.flush()
            return Authority.openssl("pkeyutl", "-sign", "-inkey", self.path, "-rawin", "-in", f.name)


class World:
    """One engine with a file of settings, a registry, and a proxy in front of it; an image for each case."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="vessel-signatures-", dir="/dev/shm")
        self.engine = vessel.Engine()
        self.stack = contextlib.ExitStack()
        self.stack.callback(shutil.rmtree, self.root, ignore_errors=True)
        self.stack.callback(self.engine.destroy)
        self.file = self.root + "/daemon.json"
        self.write({})
        self.engine.start(args=("--config-file", self.file))
        self.events = self.engine.connection()
        self.stack.callback(self.events.close)
        self.events.request("GET", "/events?filters=" + urllib.parse.quote('{"type":["daemon"]}'))
        self.stream = self.events.getresponse()
        self.registry = self.run(registries.Registry(self.root, "plain"))
        self.proxy = self.run(registries.Proxy(self.registry))
        self.keys = {kind: Key(self.root, kind) for kind in KEYS}
        self.key = self.keys["p256"]
        self.other = self.keys["ed25519"]
        self.made = 0

    def run(self, server):
        self.stack.callback(server.stop)
        return server

    def write(self, policy):
        with open(self.file, "w") as f:
            json.dump({"signature-policy": policy}, f)

    def policy(self, **rules):
        """Reload with these rules: "here" is the registry, "through" the proxy; underscores are slashes."""
        names = {"here": self.registry.address, "through": self.proxy.address} if self.registry else {}
        self.write({"/".join(names.get(part, part) for part in key.split("__")): rule for key, rule in rules.items()})
        self.reload()

    def reload(self):
        self.engine.daemon.send_signal(signal.SIGHUP)
        check(json.loads(self.stream.readline())["Action"], "reload", "event")

    def signed(self, *keys, **more):
        return dict({"signed": [key.public for key in keys or (self.key,)]}, **more)

    # Images and signatures ---------------------------------------------------------------------

    def image(self, repository, tag="latest", **more):
        """Another one each time."""
        self.made += 1
        image = Image([layer_tar({"number": b"%d" % self.made})], **more)
        self.registry.put(repository, tag, image)
        return image

    def payload(self, repository, digest, kind="cosign container image signature", host=None):
        return json.dumps({"critical": {"identity": {"docker-reference": "%s/%s" % (host or self.registry.address, repository)},
                                        "image": {"docker-manifest-digest": digest}, "type": kind}, "optional": None},
                          separators=(",", ":")).encode()

    @staticmethod
    def layer(payload, signature, kind=SIMPLE_SIGNING, **more):
        text = signature if isinstance(signature, str) else base64.b64encode(signature).decode()
        return dict({"mediaType": kind, "size": len(payload), "digest": digest_of(payload),
                     "annotations": {ANNOTATION: text}}, **more)

    def lay_down(self, repository, digest, layers, payloads, tag=None, **more):
        """The manifest of signatures, where cosign puts it; its digest and size."""
        for blob in payloads:
            self.registry.put_blob(repository, blob)
        config = b"{}"
        self.registry.put_blob(repository, config)
        document = json.dumps(dict({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": {"mediaType": registries.TYPES["oci"][1], "size": len(config), "digest": digest_of(config)}}, **more)).encode()
        self.registry.put_manifest(repository, tag or digest.replace(":", "-") + ".sig", document, MANIFEST)
        return digest_of(document), len(document)

    def sign(self, repository, digest, *keys, payload=None, **more):
        payload = payload or self.payload(repository, digest)
        layers = [self.layer(payload, key.sign(payload)) for key in keys or (self.key,)]
        return self.lay_down(repository, digest, layers, [payload], **more)

    # Pulls -------------------------------------------------------------------------------------

    def name(self, repository, through=None):
        return "%s/%s" % ((through or self.registry).address, repository)

    def pull(self, name, tag="latest", **query):
        connection = self.engine.connection()
        try:
            connection.request("POST", "/images/create?" + urllib.parse.urlencode(dict(query, fromImage=name, tag=tag)))
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            return response.status, json.loads(body)["message"]
        return 200, [json.loads(line) for line in body.splitlines() if line.strip()]

    def works(self, repository, tag="latest", through=None, **query):
        status, what = self.pull(self.name(repository, through), tag, **query)
        assert status == 200 and "error" not in what[-1], "%s: %r" % (status, what if status != 200 else what[-1])
        return [line["status"] for line in what]

    def refused(self, repository, reason, tag="latest", through=None, rule=None, head=True):
        """By the policy, before anything is here."""
        before = self.left()
        name = self.name(repository, through)
        got, message = self.pull(name, tag)
        check(got, 403, message)
        if head:
            head = "pull of '%s%s%s' is refused by signature-policy '%s': " % (
                name, "@" if ":" in tag else ":", tag, rule or (through or self.registry).address)
            assert message.startswith(head), "%r does not begin with %r" % (message, head)
        assert reason in message, "%r is not in %r" % (reason, message)
        check(self.engine.api("GET", "/images/%s%s%s/json" % (name, "@" if ":" in tag else ":", tag))[0], 404, "the image")
        vessel.wait_until("the store is as before", lambda: self.left() == before)

    def left(self):
        data = self.engine.root + "/data/"
        return {folder: sorted(os.listdir(data + folder)) for folder in ("tmp", "layers", "blobs/sha256", "partial")
                if os.path.isdir(data + folder)}


# ---- cases ----------------------------------------------------------------------------------------


def kinds(w):
    """ECDSA, RSA with both paddings, Ed25519: each pulls"""
    for kind, key in w.keys.items():
        w.policy(here=w.signed(key))
        image = w.image(kind)
        w.refused(kind, "%s has no signature" % image.digest)
        w.sign(kind, image.digest, key)
        said = w.works(kind)
        assert "Signature: verified by signature-policy '%s'" % w.registry.address in said, said
        check(w.engine.api("GET", "/images/%s/json" % w.name(kind))[1]["Id"], image.id, "image")


def refusals(w):
    """No, wrong, foreign, malformed and spoilt signatures: 403, and nothing in the store"""
    w.policy(here=w.signed(w.key, w.keys["rsa"]), through=w.signed(identity=w.registry.address))
    image = w.image("bad")
    other = w.image("bad", "other")
    good = w.payload("bad", image.digest)
    signature = w.key.sign(good)
    w.refused("bad", "%s has no signature" % image.digest)

    w.sign("bad", image.digest, w.other, w.keys["p384"])
    w.refused("bad", "no signature of %s is by a key of this rule" % image.digest)
    w.sign("bad", image.digest, payload=w.payload("bad", other.digest))
    w.refused("bad", "what is signed is %s, not %s" % (other.digest, image.digest))
    w.sign("bad", image.digest, payload=w.payload("better", image.digest))
    w.refused("bad", "%s is signed as '%s'" % (image.digest, w.name("better")))
    w.sign("bad", image.digest, payload=w.payload("bad:other", image.digest))
    w.refused("bad", "is signed as '%s'" % w.name("bad:other"))
    for payload in (b"not JSON", b"", b'{"critical": {}}', w.payload("bad", image.digest, kind="something"),
                    w.payload("bad", "sha256:12"), good.replace(b'"docker-reference"', b'"reference"')):
        w.sign("bad", image.digest, payload=payload or b" ")
        w.refused("bad", "has no such payload")

    changed = good.replace(b"null", b"{}")
    for layers, payloads, reason in (
            ([w.layer(changed, signature)], [changed], "no signature of %s is by a key" % image.digest),
            ([w.layer(good, "no base64!")], [good], "is malformed: it is no base64"),
            ([w.layer(good, "")], [good], "is malformed: it is no base64, or too long"),
            ([w.layer(good, "A" * 1400)], [good], "is malformed: it is no base64, or too long"),
            ([w.layer(good, "A" * 5000)], [good], "is malformed: the annotation is missing or too long"),
            ([w.layer(good, signature, annotations={})], [good], "is malformed: the annotation is missing"),
            ([w.layer(b" " * 70000, signature)], [b" " * 70000], "is malformed: the payload is too long"),
            ([w.layer(good, signature, kind="application/octet-stream")], [good], "has no signature"),
            ([w.layer(good, signature[:-1])], [good], "no signature of %s is by a key" % image.digest),
            ([w.layer(good, signature + b"\0")], [good], "no signature of %s is by a key" % image.digest),
            ([], [], "has no signature")):
        w.lay_down("bad", image.digest, layers, payloads)
        w.refused("bad", reason)
    # A manifest of signatures that is an index, and one that is none.
    place = image.digest.replace(":", "-") + ".sig"
    w.registry.put_manifest("bad", place, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode(), INDEX)
    w.refused("bad", "has no signature")
    w.proxy.heal()
    w.sign("bad", image.digest)
    w.proxy.break_(r"/manifests/%s$" % place.replace(".", r"\."), status=200, body=b"[1, 2", headers={"Content-Type": MANIFEST})
    w.refused("bad", "the manifest of signatures is none", through=w.proxy)
    w.proxy.heal()
    w.proxy.break_(r"/blobs/" + digest_of(good), corrupt=9)
    w.refused("bad", "is malformed: its payload has another digest", through=w.proxy)
    w.proxy.heal()
    w.proxy.break_(r"/blobs/" + digest_of(good), status=404)
    w.refused("bad", "is malformed: its payload is missing", through=w.proxy)
    w.proxy.heal()
    w.works("bad", through=w.proxy)
    w.works("bad")


def one_of_many(w):
    """Among several signatures one has to be good; the first 64 are looked at"""
    w.policy(here=w.signed(w.keys["rsa"], w.key))
    image = w.image("many")
    good, wrong = w.payload("many", image.digest), w.payload("many", "sha256:" + "0" * 64)
    bad = [w.layer(good, w.other.sign(good)), w.layer(wrong, w.key.sign(wrong)), w.layer(good, "?"), w.layer(good, "x" * 9999)]
    w.lay_down("many", image.digest, bad, [good, wrong])
    w.refused("many", "what is signed is sha256:000")
    w.lay_down("many", image.digest, bad + [w.layer(good, w.key.sign(good))], [good, wrong])
    w.works("many")
    image = w.image("many", "more")
    good = w.payload("many", image.digest)
    bad = [w.layer(wrong, w.key.sign(wrong))]
    w.lay_down("many", image.digest, bad * 64 + [w.layer(good, w.key.sign(good))], [good, wrong])
    w.refused("many", "what is signed is", tag="more")
    w.lay_down("many", image.digest, bad * 63 + [w.layer(good, w.key.sign(good))], [good, wrong])
    w.works("many", tag="more")


def indexes(w):
    """An index's signature counts, and that of the manifest which is chosen from it"""
    w.policy(here=w.signed())
    one = w.image("index", "amd64", kind="oci")
    two = w.image("index", "arm64", kind="oci", architecture="arm64")
    descriptors = [one.descriptor(os="linux", architecture="amd64"), two.descriptor(os="linux", architecture="arm64")]
    digest, _ = w.registry.put_index("index", "latest", descriptors)
    w.refused("index", "%s has no signature" % digest)
    w.sign("index", two.digest)
    w.refused("index", "%s has no signature" % digest)
    w.sign("index", one.digest, w.other)
    w.refused("index", "no signature of %s is by a key of this rule" % one.digest)
    w.sign("index", one.digest)
    w.works("index")
    w.works("index", tag="amd64")
    w.works("index", tag=digest)
    digest, _ = w.registry.put_index("index", "whole", list(reversed(descriptors)))
    w.sign("index", digest, w.other)
    w.works("index", tag="whole")  # its manifest still is
    other = w.image("index", "unsigned", kind="oci")
    digest, _ = w.registry.put_index("index", "signed", [other.descriptor(os="linux", architecture="amd64")])
    w.sign("index", digest)
    w.works("index", tag="signed")
    w.refused("index", "%s has no signature" % other.digest, tag="unsigned")


def names(w):
    """By tag and by digest; a signature's own tag and digest; another identity; docker.io's older name"""
    w.policy(here=w.signed(), here__moved=w.signed(identity="upstream.test/from"), here__moved__any=w.signed(identity="any"))
    image = w.image("named", "v1")
    w.sign("named", image.digest)
    w.works("named", tag=image.digest)
    w.works("named", tag="v1")
    for reference, tag, fits in ((":v1", "v1", True), (":v2", "v1", False), (":v2", image.digest, True),
                                 ("@" + image.digest, "v1", True), ("@sha256:" + "0" * 64, "v1", False)):
        image = w.image("named", tag if ":" not in tag else "v1")
        reference = reference if "@" not in reference or "000" in reference else "@" + image.digest
        w.sign("named", image.digest, payload=w.payload("named" + reference, image.digest))
        pulled = image.digest if ":" in tag else tag
        w.engine.api("DELETE", "/images/%s:v1?force=1" % w.name("named"))
        if fits:
            w.works("named", tag=pulled)
        else:
            w.refused("named", "is signed as", tag=pulled)
    image = w.image("moved/app")
    w.sign("moved/app", image.digest)
    w.refused("moved/app", "is signed as '%s'" % w.name("moved/app"), rule=w.name("moved"))
    w.sign("moved/app", image.digest, payload=w.payload("from/app", image.digest, host="upstream.test"))
    w.works("moved/app")
    image = w.image("moved/any")
    w.sign("moved/any", image.digest, payload=w.payload("whatever", image.digest, host="any.test"))
    w.works("moved/any")
    w.policy(here=w.signed(identity="docker.io"))
    image = w.image("library/hub")
    w.sign("library/hub", image.digest, payload=w.payload("library/hub", image.digest, host="index.docker.io"))
    w.works("library/hub")


def rules(w):
    """accept, reject, the longest prefix, the default; all of a repository's tags"""
    for repository in ("free", "team/app", "team/open/app", "teams"):
        w.image(repository)
    w.policy(default="reject", here="accept", here__team="reject", here__team__open="accept")
    w.works("free")
    w.works("teams")
    w.works("team/open/app")
    w.proxy.heal()
    w.refused("team/app", ": reject", rule=w.name("team"))
    w.refused("free", ": reject", through=w.proxy, rule="default")
    check(w.proxy.requests, [], "requests for what is rejected")
    status, message = w.pull(w.name("team/app"), "")
    assert status == 403 and ": reject" in message, message
    w.policy(default=w.signed())
    image = w.image("free", "next")
    w.refused("free", "has no signature", tag="next", rule="default")
    w.sign("free", image.digest)
    w.works("free", tag="next")
    w.policy()
    w.works("team/app")


def reloading(w):
    """A key file that has changed is read at SIGHUP; one that cannot be read leaves all as it was"""
    path = w.root + "/changing.pem"
    shutil.copy(w.other.public, path)
    image = w.image("reload")
    w.sign("reload", image.digest)
    rule = {"signed": [path]}
    w.policy(here=rule)
    w.refused("reload", "no signature of %s is by a key" % image.digest)
    shutil.copy(w.key.public, path)
    w.refused("reload", "no signature of %s is by a key" % image.digest)  # not yet
    os.truncate(path, 20)
    w.engine.daemon.send_signal(signal.SIGHUP)
    vessel.wait_until("the log says why", lambda: "configuration is not reloaded: unable to configure the daemon with file "
                      "%s: signature-policy: '%s': key '%s': there is no public key in PEM" % (w.file, w.registry.address, path)
                      in w.engine.log_text())
    w.refused("reload", "no signature of %s is by a key" % image.digest)
    shutil.copy(w.key.public, path)
    w.reload()
    w.works("reload")


def referrers(w):
    """OCI 1.1's referrers, by the registry's answer or by the tag in their place"""
    w.policy(here=w.signed(), through=w.signed(identity=w.registry.address))
    image = w.image("referred")
    digest, size = w.sign("referred", image.digest, tag="elsewhere", artifactType=ARTIFACT,
                          subject={"mediaType": image.type, "size": len(image.manifest), "digest": image.digest})
    descriptor = {"mediaType": MANIFEST, "size": size, "digest": digest, "artifactType": ARTIFACT}
    answer = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "size": 2, "digest": "sha256:" + "1" * 64, "artifactType": "application/sbom"}, descriptor]}).encode()
    where = r"/v2/referred/referrers/%s\?artifactType=application%%2Fvnd.dev.cosign.artifact.sig.v1%%2Bjson$" % image.digest
    headers = {"Content-Type": INDEX}
    for body, reason in ((b"{}", "has no signature"), (b"nothing", "the index of referrers is none"),
                         (answer.replace(digest.encode(), b"sha256:zz"), "a referrer has no digest"),
                         (answer.replace(ARTIFACT.encode(), b"application/other"), "has no signature"),
                         (answer.replace(digest.encode(), image.digest.encode()), "has no signature")):
        w.proxy.heal()
        w.proxy.break_(where, status=200, body=body, headers=headers)
        w.refused("referred", reason, through=w.proxy)
    w.proxy.heal()
    w.proxy.break_(where, status=200, body=answer, headers=headers)
    w.works("referred", through=w.proxy)
    check(w.proxy.count("GET", where), 1, "questions for referrers")
    w.engine.api("DELETE", "/images/" + w.name("referred", w.proxy))
    for status in (400, 405, 501):
        w.proxy.heal()
        w.proxy.break_(where, status=status)
        w.refused("referred", "has no signature", through=w.proxy)
    w.registry.put_manifest("referred", image.digest.replace(":", "-"), answer.replace(
        b"sha256:" + b"1" * 64, digest.encode()).replace(b'"size": 2,', b'"size": %d,' % size), INDEX)
    w.works("referred")
    w.proxy.heal()


def failing(w):
    """A registry that fails when it is asked for signatures is no registry without them"""
    w.policy(through=w.signed(identity=w.registry.address))
    image = w.image("failing")
    w.sign("failing", image.digest)
    w.proxy.heal()
    w.proxy.break_(r"\.sig$", status=403, body=b'{"errors":[{"code":"DENIED","message":"not yours"}]}')
    w.refused("failing", "look for signatures of %s: " % image.digest, through=w.proxy, head=False)
    w.proxy.heal()
    w.proxy.break_(r"\.sig$", times=1, status=503)
    w.works("failing", through=w.proxy)
    w.proxy.heal()


def unaffected(w):
    """create, load and tag of what is here already; a second pull of it is asked for its signature again"""
    w.policy(here="accept")
    image = w.image("here")
    w.works("here")
    w.policy(here=w.signed(w.key))
    name = w.name("here")
    w.engine.docker("create", "--name", "here", "--pull", "never", "--network", "none", name)
    w.engine.docker("rm", "here")
    archive = w.engine.docker("save", "-o", w.root + "/here.tar", name)
    check(archive.returncode, 0, "save")
    w.engine.docker("rmi", "-f", name)
    w.engine.docker("load", "-i", w.root + "/here.tar")
    check(w.engine.api("GET", "/images/%s/json" % name)[1]["Id"], image.id, "what was loaded")
    status, message = w.pull(name)
    assert status == 403 and "has no signature" in message, message
    check(w.engine.api("GET", "/images/%s/json" % name)[1]["Id"], image.id, "what stays")


def clients(w):
    """docker and vessel pull, run --pull and Compose show the reason"""
    w.policy(here=w.signed())
    image = Image([vessel.busybox_tar()])
    w.registry.put("clients", "latest", image)
    name, reason = w.name("clients"), "%s has no signature" % image.digest
    with open(w.root + "/compose.yaml", "w") as f:
        json.dump({"services": {"one": {"image": name, "command": ["true"], "network_mode": "none"}}}, f)
    vessel_ = [VESSEL, "-H", w.engine.host()]
    compose = [COMPOSE, "-p", "signatures", "-f", w.root + "/compose.yaml"]
    run = ["run", "--rm", "--network", "none", "--pull", "always", name, "echo", "signed"]
    commands = ([vessel.DOCKER, "pull", name], [vessel.DOCKER] + run, vessel_ + ["pull", name], vessel_ + run,
                compose + ["pull"], compose + ["up"])
    for command in commands:
        done = subprocess.run(command, env=w.engine.environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=vessel.TIMEOUT_S)
        assert done.returncode != 0 and reason in done.stdout + done.stderr, (command, done)
    w.sign("clients", image.digest)
    for command in commands:
        done = subprocess.run(command, env=w.engine.environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=vessel.TIMEOUT_S)
        assert done.returncode == 0, (command, done)
    subprocess.run(compose + ["down"], env=w.engine.environment(), capture_output=True, check=True, timeout=vessel.TIMEOUT_S)


def by_cosign(w):
    """Debian's cosign signs, and its signature pulls"""
    environment = dict(os.environ, COSIGN_PASSWORD="", HOME=w.root, TUF_ROOT=w.root + "/tuf")

    def cosign(*args):
        done = subprocess.run([COSIGN, *args], env=environment, cwd=w.root, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=vessel.TIMEOUT_S)
        assert done.returncode == 0, (args, done.stderr)
        return done

    cosign("generate-key-pair")
    w.policy(here={"signed": [w.root + "/cosign.pub"]})
    image = w.image("cosigned", kind="oci")
    w.refused("cosigned", "has no signature")
    cosign("sign", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false",
           "--allow-http-registry", "-y", w.name("cosigned") + "@" + image.digest)
    w.works("cosigned")
    # And what this test lays down is what cosign takes.
    image = w.image("cosigned", "ours", kind="oci")
    w.sign("cosigned", image.digest)
    cosign("verify", "--key", w.key.public, "--insecure-ignore-tlog", "--new-bundle-format=false", "--allow-http-registry",
           w.name("cosigned") + ":ours")


def configurations(w):
    """What is no policy is refused with the reason"""
    private, weak = w.root + "/p256.key", w.root + "/weak.pem"
    Authority.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", w.root + "/weak.key")
    Authority.openssl("pkey", "-in", w.root + "/weak.key", "-pubout", "-out", weak)
    path = w.root + "/try.json"
    for policy, reason in (
            ("accept", "'signature-policy': expected an object"),
            ({"r.test": "maybe"}, "'r.test': a rule is \"accept\", \"reject\" or {\"signed\": [...]}"),
            ({"busybox": "accept"}, "'busybox': this is neither \"default\" nor a registry"),
            ({"index.docker.io": "accept"}, "'index.docker.io': this is neither"),
            ({"r.test/": "accept"}, "'r.test/': this is neither"),
            ({"r.test/a:tag": "accept"}, "'r.test/a:tag': this is neither"),
            ({"R.test/A": "accept"}, "'R.test/A': this is neither"),
            ({"r.test": {"signed": []}}, "'r.test': 'signed' is an array of 1 to 16 files"),
            ({"r.test": {"signed": [w.key.public] * 17}}, "'r.test': 'signed' is an array of 1 to 16 files"),
            ({"r.test": {"signed": ["key.pem"]}}, "'r.test': key 'key.pem': the path is not absolute"),
            ({"r.test": {"signed": ["/nowhere"]}}, "'r.test': key: "),
            ({"r.test": {"signed": [private]}}, "there is no public key in PEM"),
            ({"r.test": {"signed": [weak]}}, "the key is neither ECDSA"),
            ({"r.test": w.signed(threshold=2)}, "'r.test': 'threshold' is not known"),
            ({"r.test": w.signed(identity="x")}, "'r.test': 'identity' is \"any\", or what stands for"),
            ({"default": w.signed(identity="r.test")}, "'default': 'identity' is \"any\""),
            ({"r.test:5000/a/b": w.signed(identity="any"), "docker.io/library": "reject", "default": "accept"}, None)):
        with open(path, "w") as f:
            json.dump({"signature-policy": policy}, f)
        done = subprocess.run([vessel.BIN + "/vesseld", "--validate", "--config-file", path], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=vessel.TIMEOUT_S)
        said = done.stdout + done.stderr
        check(done.returncode != 0, reason is not None, said)
        assert reason is None or reason in said, "%r is not in %r" % (reason, said)


CASES = [kinds, refusals, one_of_many, indexes, names, rules, reloading, referrers, failing, unaffected, clients, by_cosign,
         configurations]


def main():
    if os.environ.get("VESSEL_TEST_NETNS") != "1":
        os.environ["VESSEL_TEST_NETNS"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--", sys.executable] + sys.argv)
    vessel.enter_private_namespace()
    os.environ["DOCKER_CONTENT_TRUST"] = "0"
    tap, only = vessel.Tap(), [a for a in sys.argv[1:] if not a.startswith("-")]
    w = World()
    try:
        for case in CASES:
            if not only or case.__name__ in only:
                tap.case(case.__doc__.splitlines()[0], case, w)
        if "--keep-log" in sys.argv:
            print(w.engine.log_text())
    finally:
        w.stack.close()
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
