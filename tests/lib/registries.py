"""Registries for tests: Debian's docker-registry, images made by hand, a proxy that breaks things, a token server.

All on addresses of the test's own network namespace.  Standard library only.
"""

import base64
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import re
import socket
import ssl
import subprocess
import tarfile
import threading
import time
import urllib.parse

import vessel

REGISTRY = os.path.join(vessel.TOP, "build/peers/docker-registry/usr/bin/docker-registry")
SKOPEO = os.path.join(vessel.TOP, "build/peers/skopeo")

TYPES = {
    "docker": ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json",
               "application/vnd.docker.image.rootfs.diff.tar.gzip",
               "application/vnd.docker.distribution.manifest.list.v2+json"),
    "oci": ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.index.v1+json"),
}


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_tar(files):
    """A layer with {path: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Image:
    """A manifest, its config and its layers' blobs."""

    def __init__(self, tars, kind="docker", compress=lambda tar: gzip.compress(tar, 1, mtime=0), layer_type=None,
                 architecture="amd64", config_type=None):
        manifest_type, own_config_type, own_layer_type, _ = TYPES[kind]
        self.type = manifest_type
        self.blobs = [compress(tar) for tar in tars]
        self.config = json.dumps({
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]}}).encode()
        self.layers = [{"mediaType": layer_type or own_layer_type, "size": len(b), "digest": digest_of(b)} for b in self.blobs]
        self.document = {"schemaVersion": 2, "mediaType": manifest_type,
                         "config": {"mediaType": config_type or own_config_type, "size": len(self.config),
                                    "digest": digest_of(self.config)}, "layers": self.layers}
        self.id = digest_of(self.config)
        self.seal()

    def seal(self):
        self.manifest = json.dumps(self.document).encode()
        self.digest = digest_of(self.manifest)

    def descriptor(self, **platform):
        found = {"mediaType": self.type, "size": len(self.manifest), "digest": self.digest}
        if platform:
            found["platform"] = platform
        return found


class Registry:
    """docker-registry in a directory of its own."""

    def __init__(self, root, name, host="127.0.0.1", tls=None, auth=None, clients=None):
        """clients: the Authority of those that may connect, who have to show its certificate."""
        self.host, self.tls, self.clients = host, tls, clients
        self.port = vessel.Engine.free_port(host)
        self.directory = os.path.join(root, name)
        self.address = "%s:%d" % (host, self.port)
        self.headers = {}
        os.makedirs(self.directory)
        configuration = {"version": 0.1, "log": {"level": "warn"},
                         "storage": {"filesystem": {"rootdirectory": self.directory + "/data"}, "delete": {"enabled": True}},
                         "http": {"addr": self.address, "secret": "x"}}
        if tls:
            configuration["http"]["tls"] = {"certificate": tls.certificate, "key": tls.key}
        if clients:
            configuration["http"]["tls"]["clientcas"] = [clients.ca]
        if auth:
            configuration["auth"] = auth
        with open(self.directory + "/config.yml", "w") as f:
            json.dump(configuration, f)
        self.log = open(self.directory + "/log", "wb")
        self.process = subprocess.Popen([REGISTRY, "serve", self.directory + "/config.yml"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        vessel.wait_until("the registry answers", self.answers)

    def answers(self):
        if self.process.poll() is not None:
            with open(self.directory + "/log", errors="replace") as f:
                raise AssertionError("the registry has ended with %s: %s" % (self.process.returncode, f.read()[-1000:]))
        try:
            return self.request("GET", "/v2/")[0] in (200, 401)
        except OSError:
            return False

    def connection(self):
        if self.tls:
            context = ssl.create_default_context(cafile=self.tls.ca)
            if self.clients:
                context.load_cert_chain(self.clients.client_certificate, self.clients.client_key)
            return http.client.HTTPSConnection(self.host, self.port, timeout=vessel.TIMEOUT_S, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=vessel.TIMEOUT_S)

    def request(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            connection.request(method, path, body, dict(self.headers, **(headers or {})))
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    def put_blob(self, repository, data):
        status, _, headers = self.request("POST", "/v2/%s/blobs/uploads/" % repository)
        assert status == 202, status
        place = urllib.parse.urlsplit(headers["Location"])
        status, answer, _ = self.request("PUT", "%s?%s&digest=%s" % (place.path, place.query, digest_of(data)), data,
                                         {"Content-Type": "application/octet-stream"})
        assert status == 201, answer

    def put_manifest(self, repository, tag, document, kind):
        status, answer, _ = self.request("PUT", "/v2/%s/manifests/%s" % (repository, tag), document, {"Content-Type": kind})
        assert status == 201, answer

    def put(self, repository, tag, image):
        for blob in [image.config] + image.blobs:
            self.put_blob(repository, blob)
        self.put_manifest(repository, tag, image.manifest, image.type)

    def put_index(self, repository, tag, descriptors, kind="oci"):
        document = json.dumps({"schemaVersion": 2, "mediaType": TYPES[kind][3], "manifests": descriptors}).encode()
        self.put_manifest(repository, tag, document, TYPES[kind][3])
        return digest_of(document), document

    def manifest(self, repository, tag):
        accept = ", ".join([t[0] for t in TYPES.values()] + [t[3] for t in TYPES.values()])
        status, body, headers = self.request("GET", "/v2/%s/manifests/%s" % (repository, tag), headers={"Accept": accept})
        assert status == 200, body
        return headers["Content-Type"], body

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Authority:
    """A CA, a certificate of a server signed by it, and one of a client."""

    def __init__(self, directory, host):
        os.makedirs(directory)
        self.ca, self.certificate, self.key = directory + "/ca.crt", directory + "/server.crt", directory + "/server.key"
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout",
                     directory + "/ca.key", "-out", self.ca)
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + host, "-keyout", self.key, "-out",
                     directory + "/server.csr")
        with open(directory + "/san", "w") as f:
            f.write("subjectAltName=IP:%s\n" % host)
        self.openssl("x509", "-req", "-in", directory + "/server.csr", "-CA", self.ca, "-CAkey", directory + "/ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", directory + "/san", "-out", self.certificate)
        self.client_certificate, self.client_key = directory + "/client.crt", directory + "/client.key"
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a client", "-keyout", self.client_key, "-out",
                     directory + "/client.csr")
        self.openssl("x509", "-req", "-in", directory + "/client.csr", "-CA", self.ca, "-CAkey", directory + "/ca.key",
                     "-CAcreateserial", "-days", "2", "-out", self.client_certificate)

    @staticmethod
    def openssl(*args, **rest):
        return subprocess.run(["openssl", *args], check=True, capture_output=True, **rest).stdout


class Server(http.server.ThreadingHTTPServer):
    """A server in threads of its own; `with` ends it."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.address = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients break off; that is what is tested

    def stop(self):
        self.shutdown()
        self.server_close()


class Fault:
    """What happens to the requests that match, `times` times (None: always).

    status: answer this, with `body` and `headers`, instead of asking the registry.  cut: break the connection after so
    many bytes of the body.  corrupt: flip a byte at this offset.  longer: so many bytes are added.  shorter: so many are
    left out.  stall: wait after so many bytes until the test lets go.  upload_cut: break after so many bytes received.
    """

    def __init__(self, pattern, method="GET", times=None, **what):
        self.pattern, self.method, self.times = re.compile(pattern), method, times
        self.what = what
        self.met = 0
        self.stalled, self.let_go = threading.Event(), threading.Event()

    def matches(self, method, path):
        if method != self.method or not self.pattern.search(path) or (self.times is not None and self.met >= self.times):
            return False
        self.met += 1
        return True


class Proxy(Server):
    """In front of a registry: does as it is told, and counts."""

    def __init__(self, registry):
        self.registry, self.faults, self.requests, self.places = registry, [], [], {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self):
                self.server.forward(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer

        super().__init__(Handler)

    def break_(self, pattern, **what):
        fault = Fault(pattern, **what)
        self.faults.append(fault)
        return fault

    def heal(self):
        for fault in self.faults:
            fault.let_go.set()
        self.faults, self.requests = [], []

    def sent(self, pattern):
        """(Range, bytes of the body that were sent) of each GET that matches."""
        return [(r["range"], r["sent"]) for r in self.requests if r["method"] == "GET" and re.search(pattern, r["path"])]

    def count(self, method, pattern):
        return sum(r["method"] == method and re.search(pattern, r["path"]) is not None for r in self.requests)

    def forward(self, handler):
        record = {"method": handler.command, "path": handler.path, "range": handler.headers.get("Range"), "sent": 0,
                  "headers": dict(handler.headers)}
        self.requests.append(record)
        fault = next((f for f in self.faults if f.matches(handler.command, handler.path)), None)
        what = fault.what if fault else {}
        length = int(handler.headers.get("Content-Length") or 0)
        if "upload_cut" in what:
            body = handler.rfile.read(min(length, what["upload_cut"]))
        elif handler.headers.get("Transfer-Encoding") == "chunked":
            body = self.read_chunks(handler)
        else:
            body = handler.rfile.read(length)
        if "status" in what:
            data = what.get("body", b"")
            self.send(handler, record, what["status"], dict({"Content-Length": str(len(data))}, **what.get("headers", {})), data)
            return
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection", "transfer-encoding")}
        if "upload_cut" in what: # the registry keeps what has arrived
            headers["Content-Length"] = str(len(body))
            headers.pop("Content-Range", None)
        headers["Host"] = self.address
        if what.get("no_ranges"):
            headers.pop("Range", None)
        if handler.command == "GET" and handler.path.split("?")[0] in self.places:
            # docker-registry knows how much has arrived only by what it said last; other registries do.
            self.send(handler, record, 204, self.places.pop(handler.path.split("?")[0]), b"")
            return
        path = re.sub(r"^http://[^/]*", "", handler.path)  # when it is a proxy of HTTP's own sort
        status, data, answer = self.registry.request(handler.command, path, body, headers)
        upload = path.split("?")[0]
        if "upload_cut" in what:
            if status == 202:
                self.places[upload] = {k: answer[k] for k in ("Location", "Range", "Docker-Upload-UUID") if k in answer}
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        out = {k: v for k, v in answer.items() if k.lower() not in ("connection", "transfer-encoding", "date")}
        self.send(handler, record, status, out, data, fault)

    @staticmethod
    def read_chunks(handler):
        body = b""
        while True:
            size = int(handler.rfile.readline().split(b";")[0], 16)
            body += handler.rfile.read(size)
            handler.rfile.readline()
            if size == 0:
                return body

    def send(self, handler, record, status, headers, data, fault=None):
        what = fault.what if fault else {}
        if "corrupt" in what:
            data = bytearray(data)
            data[what["corrupt"]] ^= 1
        if "longer" in what:
            data = bytes(data) + b"x" * what["longer"]
        if "shorter" in what:
            data = data[:-what["shorter"]]
        if handler.command != "HEAD" and status != 204:
            headers["Content-Length"] = str(len(data))
        handler.send_response_only(status)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        end = what.get("cut", what.get("stall", len(data)))
        for at in range(0, end, 65536):
            part = bytes(data[at:min(at + 65536, end)])
            record["sent"] += len(part)  # before whoever reads it can go on
            handler.wfile.write(part)
        if "stall" in what:
            handler.wfile.flush()
            fault.stalled.set()
            fault.let_go.wait(vessel.TIMEOUT_S)
        if "cut" in what or "stall" in what:
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True


class TokenServer(Server):
    """Issues tokens that docker-registry believes: users are {name: password}; the anonymous may pull from public/."""

    SERVICE, ISSUER = "test registry", "test issuer"

    def __init__(self, directory, users):
        os.makedirs(directory)
        self.key, self.certificate = directory + "/key.pem", directory + "/cert.pem"
        Authority.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + self.ISSUER,
                          "-keyout", self.key, "-out", self.certificate)
        der = Authority.openssl("x509", "-in", self.certificate, "-outform", "DER")
        self.header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        self.users, self.identity_tokens, self.asked, self.lives_s = users, {}, [], 300

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                self.server.get(self)

            def do_POST(self):
                self.server.post(self)

        super().__init__(Handler)

    def auth(self):
        """For the registry's configuration."""
        return {"token": {"realm": "http://%s/token" % self.address, "service": self.SERVICE, "issuer": self.ISSUER,
                          "rootcertbundle": self.certificate}}

    @staticmethod
    def base64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def token(self, user, scopes):
        access = []
        for scope in scopes:
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            allowed = actions.split(",") if user else ["pull"] if name.startswith("public/") else []
            access.append({"type": kind, "name": name, "actions": [a for a in actions.split(",") if a in allowed]})
        now = int(time.time())
        claims = {"iss": self.ISSUER, "sub": user or "", "aud": self.SERVICE, "exp": now + 600, "nbf": now - 10, "iat": now,
                  "jti": os.urandom(8).hex(), "access": access}
        text = "%s.%s" % (self.base64(json.dumps(self.header).encode()), self.base64(json.dumps(claims).encode()))
        signature = Authority.openssl("dgst", "-sha256", "-sign", self.key, input=text.encode())
        return text + "." + self.base64(signature)

    @staticmethod
    def send(handler, status, document):
        data = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def refuse(self, handler):
        self.send(handler, 401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]})

    def get(self, handler):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        scopes = query.get("scope", [])
        user = None
        given = handler.headers.get("Authorization", "")
        if given:
            user, password = base64.b64decode(given.split()[1]).decode().split(":", 1)
            if self.users.get(user) != password:
                self.refuse(handler)
                return
        self.asked.append(("GET", user, scopes))
        answer = {"token": self.token(user, scopes), "expires_in": self.lives_s}
        if query.get("offline_token") == ["true"] and user:
            answer["refresh_token"] = "identity of " + user
            self.identity_tokens[answer["refresh_token"]] = user
        self.send(handler, 200, answer)

    def post(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        query = {k: v[0] for k, v in urllib.parse.parse_qs(body).items()}
        user = self.identity_tokens.get(query.get("refresh_token"))
        if query.get("grant_type") != "refresh_token" or not user:
            self.refuse(handler)
            return
        scopes = query.get("scope", "").split()
        self.asked.append(("POST", user, scopes))
        self.send(handler, 200, {"access_token": self.token(user, scopes), "expires_in": self.lives_s})


def skopeo(*args, code=0):
    libraries = SKOPEO + "/usr/lib/x86_64-linux-gnu"
    done = subprocess.run([SKOPEO + "/usr/bin/skopeo", "--insecure-policy", *args], stdin=subprocess.DEVNULL,
                          env=dict(os.environ, LD_LIBRARY_PATH=libraries), capture_output=True, text=True,
                          timeout=vessel.TIMEOUT_S)
    assert done.returncode == code, "skopeo %s: %s" % (" ".join(args), done.stderr)
    return done.stdout
