"""Requests at a rate, each with a name of its own that its answer must say:
what came back of each one is known exactly."""

import collections
import itertools
import json
import random
import selectors
import socket
import threading
import time
from dataclasses import dataclass

PATIENCE = 60     # seconds; an answer that has not come then never will
MOST = 40         # requests at one time; a slow machine gets fewer a second

# What came of a request. These are whole answers, as they should be:
WHOLE = "whole"
# a whole answer that says that there is none: 5xx
ERROR = "error"
# the beginning of one, which nobody can take for all of it
CUT = "cut"
# nothing at all: refused, reset, or closed
NOTHING = "nothing"
# and what must never be
WRONG, LATE = "wrong", "late"


class Http:
    """An HTTP answer up to the connection's end, taken apart."""

    def __init__(self, raw):
        self.status, self.fields, self.body = 0, {}, b""
        self.whole = False  # it has an end, and has come to it
        self.excess = False  # and then it goes on
        head, blank, rest = raw.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        for line in lines:
            name, _, value = line.partition(": ")
            self.fields.setdefault(name.lower(), []).append(value)
        self.take(rest)

    def one(self, name):
        values = self.fields.get(name.lower(), [])
        return values[0] if len(values) == 1 else None

    def take(self, rest):
        if self.status in (204, 304):
            self.whole, self.excess = True, rest != b""
        elif self.one("Transfer-Encoding") == "chunked":
            self.take_chunks(rest)
        elif (self.one("Content-Length") or "").isdigit():
            size = int(self.one("Content-Length"))
            self.body = rest[:size]
            self.whole, self.excess = len(rest) >= size, len(rest) > size

    def take_chunks(self, rest):
        pieces = []
        while not self.whole:
            line, end, rest = rest.partition(b"\r\n")
            if not end:
                break
            size = int(line, 16)
            pieces.append(rest[:size])
            if len(rest) < size + 2:
                break
            self.whole, rest = size == 0, rest[size + 2:]
        self.body = b"".join(pieces)
        self.excess = self.whole and rest != b""


@dataclass
class Kind:
    """One sort of request, and what its answer is."""

    name: str
    target: str
    share: int = 1
    method: str = "GET"
    fields: tuple = ()
    post: bool = False
    # of the answer: its status, its body from the name of the request, and
    # fields that it has, or has not (None)
    status: int = 200
    body: object = None
    has: dict = None
    outcomes: tuple = (WHOLE,)  # in peace

    def request(self, name):
        body = f"body of {name}\n" * 100 if self.post else ""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: localhost",
                 "Connection: close", f"X-Id: {name}", *self.fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def is_right(self, name, http):
        """The answer to this request, and to no other one?"""
        return http.status == self.status and \
            all(http.one(n) == v for n, v in (self.has or {}).items()) and \
            (self.body is None or http.body == self.body(name))

    def judge(self, name, raw):
        if not raw:
            return NOTHING
        http = Http(raw)
        if not http.status:
            return CUT
        if http.excess:
            return WRONG
        if self.is_right(name, http):
            return WHOLE if http.whole else CUT
        if not http.whole:
            return CUT if http.status == self.status else WRONG
        return ERROR if http.status in (500, 502, 503, 504) else WRONG


@dataclass
class Shot:
    """One request under way, or what is left of it."""

    kind: Kind
    name: str
    start: float
    end: float = 0.0
    outcome: str = ""
    status: int = 0
    reason: str = ""
    socket: object = None
    to_send: bytes = b""
    got: bytes = b""

    def __str__(self):
        return (f"{self.name} ({self.kind.name}): {self.outcome} "
                f"{self.status} {self.reason} {self.start:.3f} to "
                f"{self.end:.3f}: {self.got[:300]!r}")


def reason_of(raw):
    """The front's own word for it, or nothing."""
    try:
        return json.loads(Http(raw).body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return ""


class Load:
    """A thread that asks, until it is told to stop."""

    def __init__(self, port, kinds, rate, seed=1):
        self.port, self.kinds, self.rate = port, kinds, rate
        self.random = random.Random(seed)
        self.names = (f"r{seed}-{n:07}" for n in itertools.count())
        self.counts = collections.Counter()  # (kind, outcome, status, reason)
        self.odd = []      # each that did not come out as in peace
        self.flying = {}
        self.asked = 0
        self.longest = 0.0
        self.going = True
        self.paused = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self.run)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.going = False
        self.thread.join(PATIENCE + 10)
        assert not self.thread.is_alive()
        self.selector.close()

    def rest(self):
        """No request more; those under way are waited for."""
        self.paused.set()
        end = time.monotonic() + PATIENCE + 10
        while self.flying and time.monotonic() < end:
            time.sleep(0.01)
        assert not self.flying

    def go_on(self):
        self.paused.clear()

    def run(self):
        shares = [k.share for k in self.kinds]
        due = time.monotonic()
        while self.going or self.flying:
            now = time.monotonic()
            if self.paused.is_set() or len(self.flying) >= MOST:
                due = now + 0.005  # what was not asked is not made up for
            elif self.going and now >= due:
                self.fire(self.random.choices(self.kinds, shares)[0])
                due += 1 / self.rate
                if now - due > 0.1:
                    due = now
            for key, _ in self.selector.select(
                    min(max(due - time.monotonic(), 0), 0.01)):
                self.move(key.data)
            if self.asked % 50 == 0:
                self.sweep(now)

    def fire(self, kind):
        name = next(self.names)
        shot = Shot(kind, name, time.monotonic(),
                    to_send=kind.request(name))
        self.asked += 1
        self.flying[name] = shot
        shot.socket = socket.socket()
        shot.socket.setblocking(False)
        try:
            shot.socket.connect(("127.0.0.1", self.port))
        except BlockingIOError:
            pass
        except OSError:
            self.finish(shot)
            return
        self.selector.register(shot.socket, selectors.EVENT_WRITE, shot)

    def move(self, shot):
        try:
            if shot.to_send:
                sent = shot.socket.send(shot.to_send)
                shot.to_send = shot.to_send[sent:]
                if not shot.to_send:
                    self.selector.modify(shot.socket, selectors.EVENT_READ,
                                         shot)
                return
            piece = shot.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        shot.got += piece
        if not piece:
            self.selector.unregister(shot.socket)
            self.finish(shot)

    def finish(self, shot, outcome=None):
        shot.socket.close()
        shot.end = time.monotonic()
        shot.outcome = outcome or shot.kind.judge(shot.name, shot.got)
        shot.status = Http(shot.got).status
        shot.reason = reason_of(shot.got) if shot.outcome == ERROR else ""
        del self.flying[shot.name]
        self.longest = max(self.longest, shot.end - shot.start)
        self.counts[(shot.kind.name, shot.outcome, shot.status,
                     shot.reason)] += 1
        if shot.outcome not in shot.kind.outcomes:
            self.odd.append(shot)

    def sweep(self, now):
        for shot in [s for s in self.flying.values()
                     if now - s.start > PATIENCE]:
            self.selector.unregister(shot.socket)
            self.finish(shot, LATE)
