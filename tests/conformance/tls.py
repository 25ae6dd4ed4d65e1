#!/usr/bin/python3
"""Ways to reach vesseld: TCP with TLS and client certificates, and sockets that it is handed at start."""

import hashlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import vessel  # noqa: E402

KEYS = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")


class Authority:
    """A certificate authority in a directory, laid out as DOCKER_CERT_PATH wants it."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        self.openssl("req", "-x509", *KEYS, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test CA")
        self.issue("server", "serverAuth", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.issue("", "clientAuth", "subjectAltName=DNS:client")

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.directory, check=True, capture_output=True)

    def issue(self, prefix, usage, names):
        prefix = prefix + "-" if prefix else ""
        with open(self.directory + "/extensions", "w") as f:
            f.write("extendedKeyUsage=%s\n%s\n" % (usage, names))
        self.openssl("req", "-new", *KEYS[:5], "-keyout", prefix + "key.pem", "-out", "request.pem",
                     "-subj", "/CN=" + usage)
        self.openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                     "-CAcreateserial", "-days", "30", "-out", prefix + "cert.pem",
                     "-extfile", "extensions")

    def path(self, name):
        return os.path.join(self.directory, name)

    def context(self, with_certificate=True):
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        if with_certificate:
            context.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        return context


class Cases:
    def __init__(self, engine, ours, others):
        self.engine, self.ours, self.others = engine, ours, others

    def run(self, *args, client=None, certificates=None, input=b"", **environment):
        """A client over TLS: (exit code, stdout, stderr)."""
        host = "tcp://127.0.0.1:%d" % self.engine.tcp_port
        done = subprocess.run(
            [client or vessel.DOCKER, *args], input=input, capture_output=True, timeout=vessel.TIMEOUT_S,
            env=dict(self.engine.environment(), DOCKER_HOST=host, VESSEL_HOST=host, DOCKER_TLS_VERIFY="1",
                     DOCKER_CERT_PATH=certificates or self.ours.directory, **environment))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def attached(self, client):
        code, out, errors = self.run("run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo oops >&2; exit 7",
                                     client=client, input=b"through TLS\n")
        assert (code, out, errors) == (7, "through TLS\n", "oops\n"), (code, out, errors)
        code, out, errors = self.run("run", "--rm", "-i", "busybox", "md5sum", client=client,
                                     input=b"x" * 3000000)
        assert out == hashlib.md5(b"x" * 3000000).hexdigest() + "  -\n", (code, out, errors)
        code, out, errors = self.run("run", "--rm", "busybox", "seq", "100000", client=client)
        assert out == "".join("%d\n" % i for i in range(1, 100001)), (code, len(out), errors)

    def execs(self, client):
        code, name, errors = self.run("run", "-d", "busybox", "sleep", "1000", client=client)
        assert code == 0, errors
        code, out, errors = self.run("exec", "-i", name.strip(), "sh", "-c", "cat; exit 4", client=client,
                                     input=b"word")
        assert (code, out) == (4, "word"), (code, out, errors)
        code, out, errors = self.run("rm", "-f", name.strip(), client=client)
        assert code == 0, errors

    def ping(self, context):
        connection = http.client.HTTPSConnection("127.0.0.1", self.engine.tcp_port, context=context,
                                                 timeout=vessel.TIMEOUT_S)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().read()
        finally:
            connection.close()

    def certificates(self):
        assert self.ping(self.ours.context()) == b"OK"

    def refused(self, context):
        try:
            answer = self.ping(context)
        except OSError:  # ssl.SSLError, ConnectionResetError
            return
        except http.client.HTTPException:
            return
        raise AssertionError("answered %r" % answer)

    def no_certificate(self):
        self.refused(self.ours.context(with_certificate=False))

    def foreign_certificate(self):
        context = ssl.create_default_context(cafile=self.ours.path("ca.pem"))
        context.load_cert_chain(self.others.path("cert.pem"), self.others.path("key.pem"))
        self.refused(context)

    def server_as_client(self):
        """A certificate of the right authority, for servers only."""
        context = ssl.create_default_context(cafile=self.ours.path("ca.pem"))
        context.load_cert_chain(self.ours.path("server-cert.pem"), self.ours.path("server-key.pem"))
        self.refused(context)

    def old_tls(self):
        context = self.ours.context()
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.refused(context)

    def foreign_server(self):
        for client in (vessel.DOCKER, vessel.BIN + "/vessel"):
            code, _, errors = self.run("ps", client=client, certificates=self.others.directory)
            assert code != 0 and errors, (client, code)

    def plain(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.engine.tcp_port, timeout=vessel.TIMEOUT_S)
        try:
            connection.request("GET", "/_ping")
            answer = connection.getresponse()
            assert answer.status == 400, (answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        # Bytes that are neither; the engine must go on serving.
        with socket.create_connection(("127.0.0.1", self.engine.tcp_port)) as s:
            s.settimeout(vessel.TIMEOUT_S)
            s.sendall(b"\x16\x03\x01\xff\xff" + b"garbage" * 1000)
            try:
                while s.recv(4096):
                    pass
            except OSError:
                pass
        self.certificates()

    def daemon_dies(self):
        """A TLS client's connection ends with the daemon; its container does not."""
        host = "tcp://127.0.0.1:%d" % self.engine.tcp_port
        client = subprocess.Popen(
            [vessel.DOCKER, "run", "--name", "tl", "busybox", "sh", "-c", "echo up; sleep 1000"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=dict(self.engine.environment(), DOCKER_HOST=host, DOCKER_TLS_VERIFY="1",
                     DOCKER_CERT_PATH=self.ours.directory))
        assert client.stdout.readline() == b"up\n"
        self.engine.kill()
        client.communicate(timeout=vessel.TIMEOUT_S)
        self.engine.start(args=server_args(self.ours))
        assert self.engine.inspect("tl")["State"]["Status"] == "running"
        self.engine.docker("rm", "-f", "tl")


def server_args(authority):
    return ["--tlsverify", "--tlscacert", authority.path("ca.pem"),
            "--tlscert", authority.path("server-cert.pem"), "--tlskey", authority.path("server-key.pem")]


def bad_files(root, authority):
    """A certificate that can't be read stops the start, and the message names it."""
    for option, name in (("--tlscacert", "missing-ca.pem"), ("--tlskey", "cert.pem")):
        args = server_args(authority)
        args[args.index(option) + 1] = authority.path(name)
        done = subprocess.run(
            [vessel.BIN + "/vesseld", "-H", "tcp://127.0.0.1:0", "--data-root", root + "/bad",
             "--exec-root", root + "/bad-run", "--pidfile", root + "/bad.pid", *args],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=vessel.TIMEOUT_S)
        assert done.returncode != 0 and name.encode() in done.stderr, done


def socket_activation(root):
    """systemd's protocol: sockets from fd 3 on, served with -H fd://."""
    path = root + "/activated.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()
        daemon = subprocess.Popen(
            ["sh", "-c", 'fd=$1; shift; export LISTEN_FDS=1 LISTEN_PID=$$; eval "exec \\"\\$@\\" 3<&$fd"',
             "sh", str(listening.fileno()), vessel.BIN + "/vesseld", "-H", "fd://", "--data-root",
             root + "/activated", "--exec-root", root + "/activated-run", "--cgroup-parent",
             "/vessel-test-fd-%d" % os.getpid(), "--bridge", "vessel1", "--pidfile", root + "/activated.pid"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=(listening.fileno(),))
        try:
            connection = vessel.Unix(path)  # waits in the backlog until vesseld serves
            connection.request("GET", "/_ping")
            assert connection.getresponse().read() == b"OK"
            connection.close()
            assert os.path.exists(path)
            daemon.terminate()
            _, errors = daemon.communicate(timeout=vessel.TIMEOUT_S)
            assert daemon.returncode == 0, errors
            assert os.path.exists(path), "the socket is systemd's to remove"
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.communicate()


def activation_without_sockets(root):
    done = subprocess.run(
        [vessel.BIN + "/vesseld", "-H", "fd://", "--data-root", root + "/none", "--exec-root",
         root + "/none-run", "--pidfile", root + "/none.pid"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=vessel.TIMEOUT_S)
    assert done.returncode != 0 and done.stderr, done


def main():
    vessel.enter_private_namespace()
    tap = vessel.Tap()
    engine = vessel.Engine()
    try:
        ours, others = Authority(engine.root + "/ours"), Authority(engine.root + "/others")
        engine.start(args=server_args(ours))
        engine.import_busybox()
        audit = vessel.Audit(engine)
        cases = Cases(engine, ours, others)
        for client in (vessel.DOCKER, vessel.DOCKER_OLD, vessel.BIN + "/vessel"):
            name = "docker 20.10" if client == vessel.DOCKER_OLD else os.path.basename(client)
            tap.case("%s over TLS: attached run with input" % name, cases.attached, client)
            tap.case("%s over TLS: exec" % name, cases.execs, client)
        tap.case("a client's certificate is accepted", cases.certificates)
        tap.case("no certificate: refused", cases.no_certificate)
        tap.case("another authority's certificate: refused", cases.foreign_certificate)
        tap.case("a server's certificate as a client's: refused", cases.server_as_client)
        tap.case("TLS 1.1: refused", cases.old_tls)
        tap.case("clients refuse another authority's server", cases.foreign_server)
        tap.case("plain HTTP and garbage on the TLS port: refused", cases.plain)
        tap.case("daemon killed: the client ends, the container goes on", cases.daemon_dies)
        tap.case("unusable certificate files stop the start", bad_files, engine.root, ours)

        def clean():
            left = audit.check()
            assert not left, "; ".join(left)
        tap.case("nothing is left", clean)
        engine.stop()
        tap.case("socket activation", socket_activation, engine.root)
        tap.case("-H fd:// without sockets stops the start", activation_without_sockets, engine.root)
    finally:
        engine.destroy()
        shutil.rmtree(engine.root, ignore_errors=True)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
