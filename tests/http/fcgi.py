"""A FastCGI client at the level of records: it says whatever it is told."""

import socket
import struct
import time
from dataclasses import dataclass

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
COMPLETE, CANT_MPX, OVERLOADED, UNKNOWN_ROLE = range(4)
KEEP = 1


def record(kind, id=1, content=b"", padding=0, version=1):
    return struct.pack("!BBHHBx", version, kind, id, len(content),
                       padding) + content + b"\xaa" * padding


def begin(id=1, role=RESPONDER, flags=0, padding=0):
    return record(BEGIN, id, struct.pack("!HB5x", role, flags), padding)


def length(n, long=False):
    if n < 128 and not long:
        return bytes([n])
    return struct.pack("!I", n | 0x80000000)


def pair(name, value, long=False):
    name, value = octets(name), octets(value)
    return (length(len(name), long) + length(len(value), long) + name + value)


def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def pairs(items, long=False):
    return b"".join(pair(n, v, long) for n, v in items)


def stream(kind, data, id=1, size=65535, padding=0, close=True):
    """Data cut into records, and the empty one at the end."""
    out = [record(kind, id, data[i:i + size], padding)
           for i in range(0, len(data), size)]
    if close:
        out.append(record(kind, id, b"", padding))
    return b"".join(out)


def request(items, body=b"", id=1, role=RESPONDER, flags=0, **cut):
    """A whole request as its bytes."""
    return (begin(id, role, flags) + stream(PARAMS, pairs(items), id, **cut)
            + stream(STDIN, body, id, **cut))


@dataclass
class Got:
    out: bytes = b""
    err: bytes = b""
    ended: bool = False       # END_REQUEST came
    app_status: int = None
    protocol_status: int = None
    closed: bool = False      # the connection ended before that
    reserved: bytes = b""     # of END_REQUEST


class Client:
    """A connection. Everything is bounded by a time."""

    def __init__(self, address, seconds=15):
        family = socket.AF_UNIX
        if isinstance(address, tuple):
            six = ":" in address[0]
            family = socket.AF_INET6 if six else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(seconds)
        self.socket.connect(address)
        self.seconds = seconds
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def shut(self):
        """Whoever still sends or receives here stops."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """Sends what the other side takes."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def request(self, items, body=b"", **more):
        self.try_send(request(items, body, **more))

    def more(self):
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.buffer += piece
        return piece != b""

    def record(self):
        """(type, id, content), or None at the end of the connection."""
        while len(self.buffer) < 8:
            if not self.more():
                assert not self.buffer, f"half a record: {self.buffer}"
                return None
        version, kind, id, size, padding = struct.unpack(
            "!BBHHBx", self.buffer[:8])
        assert version == 1, self.buffer
        while len(self.buffer) < 8 + size + padding:
            if not self.more():
                return None
        content = self.buffer[8:8 + size]
        self.buffer = self.buffer[8 + size + padding:]
        return kind, id, content

    def answer(self, id=1):
        """Everything up to END_REQUEST or the connection's end."""
        got = Got()
        while True:
            r = self.record()
            if r is None:
                got.closed = True
                return got
            kind, its, content = r
            assert its == id, f"a record for {its}, not {id}"
            if kind == STDOUT:
                got.out += content
            elif kind == STDERR:
                got.err += content
            else:
                assert kind == END, f"record type {kind}"
                got.ended = True
                got.app_status, got.protocol_status = struct.unpack(
                    "!IB", content[:5])
                got.reserved = content[5:]
                return got

    def at_end(self, seconds=3):
        """Has the other side closed, without another byte?"""
        end = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        try:
            return not self.buffer and not self.more()
        except TimeoutError:
            assert time.monotonic() >= end - 0.1
            return False
        finally:
            self.socket.settimeout(self.seconds)
