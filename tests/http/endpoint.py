"""An HTTP endpoint for the tests of "amp-cors probe": it answers as AMP for
Email wants it, and a test changes the answer, or plays what no server should.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import kit

GMAIL = "https://mail.google.com"
PLAYGROUND = "https://amp.gmail.dev"
PARAMETER = "__amp_source_origin"
SOURCE = "AMP-Access-Control-Allow-Source-Origin"
ALLOW = "AMP-Email-Allow-Sender"
ORIGIN = "Access-Control-Allow-Origin"
EXPOSE = "Access-Control-Expose-Headers"
VARY = ("Vary", "Origin, AMP-Email-Sender")
BODY = b'{"items":[]}'


@dataclass
class Request:
    method: str
    target: str
    headers: list
    body: bytes = b""

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def parameters(self):
        query = urlsplit(self.target).query.replace("+", "%2B")
        return [v for n, v in parse_qsl(query, keep_blank_values=True)
                if n == PARAMETER]


@dataclass
class Reply:
    """An answer that a test can spoil; raw replaces all of it."""

    status: int = 200
    headers: list = field(default_factory=list)
    body: bytes = BODY
    raw: bytes = None

    def set(self, name, *values):
        self.headers = [(n, v) for n, v in self.headers
                        if n.lower() != name.lower()]
        self.headers += [(name, v) for v in values]

    def bytes(self):
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Some Reason".encode()]
        lines += [f"{n}: {v}".encode("latin-1") for n, v in self.headers]
        if self.status not in (204, 304):
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*lines, b"Connection: close", b"", self.body])


def refusal():
    return Reply(403, [("Content-Type", "application/json"), VARY],
                 b'{"error":{}}')


def preflight(origins):
    if origins != [PLAYGROUND]:
        return refusal()
    return Reply(204, [(ORIGIN, PLAYGROUND), VARY,
                       ("Access-Control-Allow-Methods", "GET, POST"),
                       ("Access-Control-Allow-Headers",
                        "AMP-Email-Sender, Content-Type")], b"")


def right(request):
    """What the protocol asks for, from each of its clients."""
    origins, senders = request.all("Origin"), request.all("AMP-Email-Sender")
    sources = request.parameters()
    if request.method == "OPTIONS":
        return preflight(origins)
    headers = [("Content-Type", "application/json; charset=utf-8"), VARY]
    if senders:
        if senders != [kit.SENDER]:
            return refusal()
        headers.append((ALLOW, kit.SENDER))
        if origins == [PLAYGROUND]:
            headers.append((ORIGIN, PLAYGROUND))
        return Reply(200, headers)
    if (origins, sources) not in (([GMAIL], [kit.SENDER]),
                                  ([PLAYGROUND], ["amp@gmail.dev"])):
        return refusal()
    return Reply(200, headers + [(ORIGIN, origins[0]), (SOURCE, sources[0]),
                                 (EXPOSE, SOURCE)])


class Endpoint:
    """Listens on a port of its own; play(connection, request) may do what it
    likes with the socket, or return a Reply.  An eager one does not read to
    the end of the request first."""

    def __init__(self, play=None, tls=None, greeting=None, eager=False):
        self.play = play or (lambda connection, request: right(request))
        self.tls, self.greeting, self.eager = tls, greeting, eager
        self.requests, self.threads, self.connections = [], [], []
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.start(self.accept)

    def start(self, *call):
        thread = threading.Thread(target=call[0], args=call[1:])
        with self.lock:
            self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(connection)
            self.start(self.talk, connection)

    def talk(self, connection):
        # a client that goes away is no fault of the endpoint's
        with contextlib.suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection,
                                                  server_side=True)
            with connection:
                connection.settimeout(kit.WAIT)
                if self.greeting is not None:
                    connection.sendall(self.greeting)
                self.answer(connection)

    def answer(self, connection):
        request = read_request(connection, self.eager)
        if request is None:
            return
        self.requests.append(request)
        reply = self.play(connection, request)
        if reply is not None:
            connection.sendall(reply.bytes())

    def stop(self):
        self.over.set()
        # close() alone would not wake accept()
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        with self.lock:
            connections, threads = list(self.connections), list(self.threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(kit.WAIT)
            assert not thread.is_alive(), "a play goes on"


def read_request(connection, eager):
    """One request, its fields as they came, repeats and order included."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = [tuple(line.split(": ", 1)) if ": " in line
              else (line.rstrip(":"), "") for line in lines]
    request = Request(method, target, fields)
    want = int((request.all("Content-Length") or ["0"])[0])
    while len(body) < want and not eager:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    request.body = body
    return request
