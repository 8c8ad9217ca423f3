"""A FastCGI server that behaves, or misbehaves, as each test tells it to.  It
keeps every connection that it got, with every byte."""

import contextlib
import socket
import struct
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import fcgi
import kit

TYPE = b"Content-Type: application/octet-stream\r\n\r\n"


class Link(fcgi.Client):
    """One connection, from the side of who was connected to."""

    def __init__(self, connected, seconds):
        connected.settimeout(seconds)
        self.socket = connected
        self.seconds = seconds
        self.buffer = b""
        self.raw = bytearray()       # all that came
        self.told = 0                # bytes that were sent
        self.ended = False           # the other side has closed
        self.done = threading.Event()  # and so have we
        self.go = None               # what its play may wait for

    def more(self):
        before = len(self.buffer)
        self.ended = not super().more()
        self.raw += self.buffer[before:]
        return not self.ended

    def record(self):
        """As a client's, but half a record at the end is no fault."""
        while not self.whole():
            if not self.more():
                return None
        return super().record()

    def whole(self):
        if len(self.buffer) < 8:
            return False
        size, padding = struct.unpack("!HB", self.buffer[4:7])
        return len(self.buffer) >= 8 + size + padding

    def send(self, data):
        """In pieces, so that told is true while the other side is slow."""
        view = memoryview(data)
        while view:
            n = self.socket.send(view[:65536])
            self.told += n
            view = view[n:]

    def records(self):
        """(type, id, content) of all that came; what is left over."""
        found, rest = [], bytes(self.raw)
        while len(rest) >= 8:
            kind, id, size, padding = struct.unpack("!xBHHBx", rest[:8])
            if len(rest) < 8 + size + padding:
                break
            found.append((kind, id, rest[8:8 + size]))
            rest = rest[8 + size + padding:]
        return found, rest

    def reset(self):
        """Ends it so that the other side gets an error (TCP alone)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        self.socket.close()


@dataclass
class Request:
    """One request: what came, and the records that could answer it."""

    link: Link
    id: int
    role: int
    flags: int
    params: list
    body: bytearray = field(default_factory=bytearray)
    sizes: list = field(default_factory=list)  # of its STDIN records
    whole: bool = False     # the body has ended
    aborted: bool = False

    def get(self, name):
        values = [v for n, v in self.params if n == name]
        assert len(values) <= 1, f"{name}: {values}"
        return values[0] if values else None

    def take(self):
        """One more record. False at the end of the body or of all."""
        if self.whole or self.aborted:
            return False
        record = self.link.record()
        if record is None:
            return False
        kind, id, content = record
        assert id == self.id, f"a record for {id}, not {self.id}"
        if kind == fcgi.ABORT:
            self.aborted = True
            return False
        assert kind == fcgi.STDIN, f"record type {kind}"
        self.sizes.append(len(content))
        self.body += content
        self.whole = content == b""
        return not self.whole

    def read(self):
        while self.take():
            pass
        return bytes(self.body)

    def left(self):
        """Reads until the other side closes; an ABORT may come first."""
        self.read()
        while (record := self.link.record()) is not None:
            assert record[:2] == (fcgi.ABORT, self.id), record
            self.aborted = True

    def send(self, *pieces):
        for piece in pieces:
            self.link.send(piece)

    def out(self, data, **cut):
        """Standard output as records; see fcgi.stream()."""
        return fcgi.stream(fcgi.STDOUT, data, self.id, close=False, **cut)

    def err(self, data, **cut):
        return fcgi.stream(fcgi.STDERR, data, self.id, close=False, **cut)

    def eof(self, kind=fcgi.STDOUT):
        return fcgi.record(kind, self.id)

    def end(self, app=0, status=fcgi.COMPLETE, reserved=b"\0\0\0"):
        return fcgi.record(fcgi.END, self.id,
                           struct.pack("!IB", app, status) + reserved)

    def whole_answer(self, data, app=0):
        return self.out(data) + self.eof() + self.end(app)


# Plays: what is done with a request. The connection is closed afterwards,
# unless the other side wants to keep it.


def echo(request):
    request.send(request.whole_answer(TYPE + kit.echo(request.read())))


def says(make):
    """Reads the request, and sends what make says."""
    def play(request):
        request.read()
        request.send(make(request))
    return play


def says_at_once(make):
    """The same, without a look at the body."""
    return lambda request: request.send(make(request))


def then_stays(make):
    """Sends, and leaves it to the other side to close."""
    def play(request):
        request.read()
        request.send(make(request))
        request.left()
    return play


def silent(request):
    request.left()


class Backend:
    """Listens; a thread for each connection."""

    def __init__(self, where, backlog=64, seconds=20):
        # a path, or an address and a port, which may be 0
        self.where = where if isinstance(where, tuple) else str(where)
        self.backlog = backlog
        self.seconds = seconds
        self.play = echo
        self.on_link = None  # instead of any play: gets the connection
        self.go = threading.Event()  # what a play may wait for
        self.requests, self.faults = [], []
        self.links, self.threads = [], []
        self.lock = threading.Lock()  # of these two lists
        self.listening = None
        self.acceptor = None

    @property
    def tcp(self):
        return isinstance(self.where, tuple)

    @property
    def name(self):
        """As the policy has it."""
        if self.tcp:
            host, port = self.where
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return f"unix:{self.where}"

    def listen(self):
        """The socket alone: connections wait in its queue."""
        family = socket.AF_UNIX
        if self.tcp:
            six = ":" in self.where[0]
            family = socket.AF_INET6 if six else socket.AF_INET
        else:
            Path(self.where).unlink(missing_ok=True)
        self.listening = socket.socket(family)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(self.where)
        if self.tcp:
            self.where = self.listening.getsockname()[:2]
        self.listening.listen(self.backlog)
        return self

    def accept(self):
        """From now on they are taken."""
        self.go = threading.Event()
        self.acceptor = threading.Thread(target=self.accept_all, daemon=True)
        self.acceptor.start()
        return self

    def start(self):
        return self.listen().accept()

    def accept_all(self):
        while True:
            try:
                connected, _ = self.listening.accept()
            except OSError:
                return
            link = Link(connected, self.seconds)
            link.go = self.go
            thread = threading.Thread(target=self.serve, args=(link,),
                                      daemon=True)
            with self.lock:
                self.threads.append(thread)
                self.links.append(link)
                thread.start()

    def serve(self, link):
        try:
            if self.on_link is not None:
                self.on_link(link)
                return
            while self.serve_one(link):
                pass
        except OSError:
            link.ended = True
        except Exception:
            self.faults.append(traceback.format_exc())
        finally:
            link.close()
            link.done.set()

    def serve_one(self, link):
        request = self.head(link)
        if request is None:
            return False
        self.requests.append(request)
        self.play(request)
        if not request.flags & fcgi.KEEP:
            return False
        # the next request begins where this one's body has ended
        request.read()
        return request.whole

    @staticmethod
    def head(link):
        """BEGIN_REQUEST and the parameters; None at the end."""
        record = link.record()
        if record is None:
            return None
        kind, id, content = record
        assert kind == fcgi.BEGIN and len(content) == 8, record
        role, flags = struct.unpack("!HB5x", content)
        params = b""
        while True:
            record = link.record()
            if record is None:
                return None
            assert record[:2] == (fcgi.PARAMS, id), record
            if not record[2]:
                return Request(link, id, role, flags, list(split(params)))
            params += record[2]

    # for tests

    def one(self):
        """The request that came, and no other connection than its own."""
        assert len(self.requests) == len(self.links) == 1, self.links
        return self.requests[0]

    def check(self):
        assert not self.faults, "\n".join(self.faults)

    def close_links(self):
        self.go.set()
        with self.lock:
            links, threads = list(self.links), list(self.threads)
        for link in links:
            link.shut()
        for thread in threads:
            thread.join(kit.WAIT)
            assert not thread.is_alive(), "a play goes on"

    def settle(self):
        """Nothing is left in the queue of who connected before."""
        with fcgi.Client(self.where) as client:
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pair("SETTLE", "")))
            kit.until(lambda: [r for r in self.requests
                               if r.params == [("SETTLE", "")]], "our turn")
        self.forget()

    def forget(self):
        """Ends all connections and begins anew."""
        self.close_links()
        self.check()
        self.links, self.requests, self.threads = [], [], []
        self.play, self.on_link = echo, None
        self.go = threading.Event()

    def stop(self):
        """Nobody listens any more; a Unix socket's file stays."""
        if self.listening is not None:
            with contextlib.suppress(OSError):
                self.listening.shutdown(socket.SHUT_RDWR)
            self.listening.close()
            if self.acceptor is not None:
                self.acceptor.join(kit.WAIT)
        self.listening = self.acceptor = None
        self.close_links()
        self.check()


def split(params):
    """Name-value pairs."""
    def length():
        nonlocal params
        size = 1 if params[0] < 128 else 4
        value = int.from_bytes(params[:size], "big") & 0x7fffffff
        params = params[size:]
        return value

    def text(n):
        nonlocal params
        assert len(params) >= n, "a pair is cut off"
        value, params = params[:n], params[n:]
        return value.decode("latin-1")

    while params:
        n, v = length(), length()
        name = text(n)
        yield name, text(v)
