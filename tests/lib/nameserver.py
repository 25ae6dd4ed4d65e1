"""A name server for tests: outside.test is 192.0.2.77, everything else does not exist.  UDP and TCP."""
import socket
import socketserver
import struct
import sys
import threading


def answer(query):
    end = 12
    labels = []
    while query[end]:
        labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
        end += 1 + query[end]
    question = query[12:end + 5]
    qtype = struct.unpack(">H", query[end + 1:end + 3])[0]
    known = ".".join(labels) == "outside.test"
    records = known and qtype == 1
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, int(records), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("192.0.2.77")
    return head + question + (record if records else b"")


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(answer(self.request[0]), self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        size = self.rfile.read(2)
        if len(size) == 2:
            reply = answer(self.rfile.read(struct.unpack(">H", size)[0]))
            self.wfile.write(struct.pack(">H", len(reply)) + reply)


socketserver.TCPServer.allow_reuse_address = True
udp = socketserver.ThreadingUDPServer((sys.argv[1], 53), Udp)
tcp = socketserver.ThreadingTCPServer((sys.argv[1], 53), Tcp)
threading.Thread(target=tcp.serve_forever, daemon=True).start()
print("ready", flush=True)
udp.serve_forever()
