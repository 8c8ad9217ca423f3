"""Bytes in either direction: lengths, memory, time.  E38 to E40, E65, E67,
E77, E79, E80, E84, with the servers that see them."""

import contextlib
import os
import re
import signal
import socket
import time

import pytest

import fcgi
import kit
import servers
import test_ways_more as more
from kit import (MEMORY, SENDER, V2, echo, left, of_fcgi, ours, until,
                 variables)
from test_body import block
from test_systemd import SERVICE
from test_ways import sender
from test_ways_more import LighttpdStream, Unbuffered, running, ways

__all__ = ["running"]
MIB = 1 << 20
GIB = 1 << 30
KIB_MORE = 1024 if MEMORY < 100000 else 30000  # what sanitizers need


def peak(pid):
    """KiB that a process has had at most."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1])


def settled(front):
    """The most that it had, after some requests of every kind."""
    for _ in range(20):
        front.ask(method="POST", body=bytes(MIB))
        front.ask(path="/body/1000000")
    return peak(front.child.pid)


class TestMemory:
    """It grows with no body, no answer, and no number of records."""

    @pytest.mark.parametrize("length", ["known", "unknown"])
    @pytest.mark.parametrize("path", ["/echo", "/deaf"])
    def test_records_of_one_byte(self, front, length, path):
        """E39: 100,000 of them, each of 16 bytes with its padding."""
        front.start()
        before = settled(front)
        body = block(100000)
        items = variables(method="POST", path=path,
                          body=body if length == "known" else None)
        got = self.slowly(front, fcgi.begin() + fcgi.stream(
            fcgi.PARAMS, fcgi.pairs(items)) + fcgi.stream(
                fcgi.STDIN, body, size=1, padding=7))
        assert got.status == 200
        assert path == "/deaf" or got.body == echo(body)
        assert peak(front.child.pid) - before < KIB_MORE

    @staticmethod
    def slowly(front, data):
        with front.connect() as client:
            client.try_send(data)
            return of_fcgi(client.answer())

    def test_nobody_reads(self, front):
        """E79: an answer without end, and a client that takes none of it."""
        front.configure("send_timeout = 60")
        front.start()
        before = settled(front)
        clients = [front.connect() for _ in range(4)]
        for client in clients:
            client.request(variables(path="/flood"))
        until(lambda: len(front.pids()) >= 44, "the handlers")
        time.sleep(1)  # in which a handler could write gigabytes
        assert peak(front.child.pid) - before < 4 * 256 + KIB_MORE
        for client in clients:
            client.close()
        until(lambda: not left(front), "the handlers' end")

    def test_handler_does_not_read(self, front):
        """The same with a body."""
        front.configure("timeout = 60\nbody_timeout = 60")
        front.start()
        before = settled(front)
        with front.connect() as client:
            client.socket.settimeout(1)
            client.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(
                variables(method="POST", path="/silent",
                          CONTENT_LENGTH=str(GIB)))))
            with pytest.raises(TimeoutError):
                client.send(fcgi.stream(fcgi.STDIN, bytes(50 * MIB)))
            assert peak(front.child.pid) - before < KIB_MORE


def body_bytes(client, n):
    """Those of an answer that comes on a connection, until it has so many."""
    got = b""
    while len(got.partition(b"\r\n\r\n")[2]) < n:
        kind, _, content = client.record()
        assert kind == fcgi.STDOUT
        got += content
    return got.partition(b"\r\n\r\n")[2]


class TestSilence:
    """What the handler has said goes out, though it says no more."""

    @pytest.mark.parametrize("n", [1, 65535, 65536, *range(140000, 1000000, 20000)])
    def test_all_of_it(self, front, n):
        front.start()
        with front.connect() as client:
            client.request(variables(path=f"/stall/{n}"))
            time.sleep(0.1)  # in which the socket is full
            assert body_bytes(client, n) == b"s" * n
        until(lambda: not left(front), "the handler's end")


# beyond 31, 32 and 33 bits: what is left of them where they are cut is 5
LONG = [2 * GIB + 5, 4 * GIB + 5, 8 * GIB + 5]


class TestLong:
    """E40: a length that is cut to 32 bits would show at once."""

    policy = "max_body = 9G"

    @pytest.mark.parametrize("n", LONG)
    def test_announced(self, way, n):
        """All that comes is given, and not just the first five bytes."""
        answer = way.ask(method="POST", CONTENT_LENGTH=str(n),
                         send=b"x" * 1000)
        assert answer.status == 200 and answer.body == echo(b"x" * 1000)

    @pytest.mark.parametrize("n", LONG)
    def test_told(self, way, n):
        answer = way.ask(method="POST", path="/env", send=b"",
                         CONTENT_LENGTH=str(n))
        assert answer.variables()["CONTENT_LENGTH"] == str(n)

    @pytest.mark.parametrize("n, status", [
        (9 * GIB, 200), (9 * GIB + 1, 413), (13 * GIB, 413),
        ((1 << 63) - 1, 413)])
    def test_limit(self, way, n, status):
        answer = way.ask(method="POST", CONTENT_LENGTH=str(n), send=b"")
        assert answer.status == status

    @pytest.mark.parametrize("n", LONG)
    def test_answer(self, way, n):
        """Not cut after five bytes, and not whole after ten."""
        way.front.put("raw", b"Content-Type: text/plain\n"
                      b"Content-Length: %d\n\n0123456789" % n)
        answer = way.ask(path="/raw/raw")
        assert answer.one("Content-Length") == str(n)
        assert answer.body == b"0123456789" and answer.broken


class TestTrickle:
    """E38: a byte now and then is no stall; time_limit is for those."""

    def send(self, front, length, policy=""):
        front.configure(f"body_timeout = 2\n{policy}")
        front.start()
        with front.connect() as client:
            client.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(
                variables(method="POST", CONTENT_LENGTH=length))))
            for _ in range(6):
                if not client.try_send(fcgi.record(fcgi.STDIN, 1, b"x")):
                    break
                time.sleep(0.5)
            client.try_send(fcgi.record(fcgi.STDIN))
            return of_fcgi(client.answer())

    @pytest.mark.parametrize("length", ["6", None])
    def test_arrives(self, front, length):
        assert self.send(front, length).body == echo(b"x" * 6)

    def test_time_limit(self, front):
        answer = self.send(front, "6", "time_limit = 1")
        assert answer.reason() == "handler-timeout"
        until(lambda: not left(front), "the handler's end")


# --- through web servers ----------------------------------------------------


class SmallNginx(servers.NginxUnix):
    """Without the sample's buffers: what nginx has by itself."""

    def location(self):
        text = super().location()
        for line in ("fastcgi_buffer_size 16k;", "fastcgi_buffers 8 16k;"):
            assert line in text
            text = text.replace(line, "")
        return text


# name: how many lines of how many bytes
BLOCKS = {"4.1k": (1, 4100), "9k": (1, 9000), "9k-lines": (90, 90),
          "60k": (1, 60000), "70k": (1, 70000)}
# which of them arrive; the others are errors of the web server's, or ours
ARRIVE = {
    servers.NginxUnix: {"4.1k", "9k", "9k-lines"},
    SmallNginx: set(),
    servers.LighttpdSocket: {"4.1k", "9k", "9k-lines", "60k"},
    servers.LighttpdCgi: {"4.1k", "9k", "9k-lines", "60k"},
    servers.ApacheProxy: {"4.1k", "9k-lines"},
    servers.ApacheCgi: {"4.1k", "9k-lines"},
    servers.Caddy: {"4.1k", "9k", "9k-lines", "60k"},
}


@ways(*ARRIVE)
class TestHeaderBlocks:
    """E65: what each server takes, as INSTALL says."""

    @pytest.mark.parametrize("name", BLOCKS)
    def test_block(self, running, name):
        lines, n = BLOCKS[name]
        fields = b"".join(b"X-%d: %s\n" % (i, b"v" * n)
                          for i in range(lines))
        for folder in (running.front.path, running.scripts):
            kit.write(folder / "raw", b"Content-Type: text/plain\n" + fields
                      + b"\nbody")
        answer = running.ask(path="/raw/raw", headers=sender(SENDER))
        if name in ARRIVE[type(running)]:
            assert answer.status == 200, (answer, running.errors())
            assert answer.body == b"body"
            assert answer.one("X-0") == "v" * n
        else:
            assert answer.status >= 500, answer
        if name == "70k":
            until(lambda: "max_header" in running.errors() + said(running),
                  "the log")


def said(site):
    log = site.front.path / "stderr"
    return log.read_text(errors="replace") if log.exists() else ""


@ways(LighttpdStream, Unbuffered)
class TestLineByLine:
    """E67"""

    test_line_by_line = more.TestUnbuffered.test_line_by_line


def narrow(way):
    """With a front that has one place, and no queue."""
    class Narrow(way):
        def before(self):
            self.front.configure(self.policy, "socket_mode = 0666\n"
                                 "threads = 1\nqueue = 0",
                                 servers.TABLE_POLICY)
            super().before()
    Narrow.__name__ = way.__name__
    return Narrow


@ways(*map(narrow, [servers.NginxUnix, servers.NginxIpv4Kept,
                    servers.LighttpdSocket, servers.ApacheProxy,
                    servers.Caddy]))
class TestBusy:
    """E80: the mail client gets the 503 with what it may read of it."""

    def test_busy(self, running):
        held, go = (running.front.path / name for name in ("held", "go"))
        for file in held, go:
            file.unlink(missing_ok=True)
        with socket.create_connection(("127.0.0.1", running.port)) as s:
            s.sendall(b"GET /amp/sink/0 HTTP/1.1\r\nHost: x\r\n"
                      b"AMP-Email-Sender: %s\r\n\r\n" % SENDER.encode())
            until(held.exists, "the handler")
            answer = running.ask(headers=sender(SENDER))
            assert (answer.status, answer.reason()) == (503, "busy")
            assert int(answer.one("Retry-After")) > 0
            assert ours(answer.headers) == V2
            refused = running.ask(headers=sender("a@b.example"))
            assert refused.status == 403
            go.touch()
            s.settimeout(10)
            assert b" 200 " in s.recv(65536)


@ways(servers.NginxUnix)
class TestGone:
    def test_within_a_second(self, running):
        """E77: the handler is told within a second of the mail client's
        going."""
        front = running.front
        for _ in range(5):
            front.forget()
            with socket.create_connection(("127.0.0.1", running.port)) as s:
                s.sendall(b"GET /amp/listening HTTP/1.1\r\nHost: x\r\n"
                          b"AMP-Email-Sender: %s\r\n\r\n" % SENDER.encode())
                pid, = until(front.pids, "a handler")
            gone = time.monotonic()
            until(lambda: not kit.alive(pid), "its end")
            if time.monotonic() - gone < 1:  # else the machine was busy
                return
        raise AssertionError("five times later than a second")


# --- E84 --------------------------------------------------------------------


def listening_child(site):
    """The front that lighttpd has started."""
    server = site.children[-1]
    return [p for p, parent, state, _ in kit.processes()
            if parent == server.pid and state != "Z"]


@ways(servers.LighttpdSpawn)
class TestKilled:
    def test_lighttpd_starts_it_again(self, running):
        """E84: and not in a circle."""
        assert running.ask(headers=sender(SENDER)).status == 200
        for _ in range(2):
            pid, = listening_child(running)
            os.kill(pid, signal.SIGKILL)
            until(lambda: running.ask(
                headers=sender(SENDER)).status == 200, "another one", 20)
            new = listening_child(running)
            assert len(new) == 1 and new != [pid]


class TestRestart:
    def test_unit(self):
        """E84: systemd starts it again, not at once and not for ever."""
        assert SERVICE.one("Restart") == "on-failure"
        assert int(SERVICE.one("RestartSec")) >= 1
        assert int(SERVICE.one("StartLimitBurst")) == 5
        assert int(SERVICE.one("StartLimitIntervalSec")) == 60
        assert not {"0", "SIGKILL", "9", "71"} & set(
            SERVICE.words("RestartPreventExitStatus"))

    def test_socket_of_a_killed_one(self, front):
        """The next one takes its place."""
        front.start()
        os.kill(front.child.pid, signal.SIGKILL)
        assert front.child.wait() == -signal.SIGKILL
        front.child = None
        front.start()
        assert front.ask().status == 200


class TestInheritedSignals:
    """E73: whatever whoever starts the front has ignored or blocked."""

    WORDS = ["--ignore-signal=CHLD,PIPE,TERM,HUP,USR1", "--block-signal"]

    def assert_default(self, ask):
        assert ask(path="/die/3").reason() == "handler-died"
        lines = ask(path="/signals").body.decode().split("\n")
        got = dict(line.split(":\t") for line in lines if ":\t" in line)
        for mask in ("SigBlk", "SigIgn"):
            assert int(got[mask], 16) & ~kit.LIBC_SIGNALS == 0, got

    def test_cgi(self, front):
        self.assert_default(lambda **request: front.cgi(
            front="/usr/bin/env", args=[*self.WORDS, kit.FRONT], **request))

    def test_fastcgi(self, front):
        front.child = kit.Child(
            ["/usr/bin/env", *self.WORDS, kit.FRONT, "-c", front.ini, "-l",
             f"unix:{front.socket}"], front.path / "stderr")
        until(lambda: kit.answers(front.socket), "the front")
        self.assert_default(front.ask)
        front.child.send_signal(signal.SIGTERM)
        assert front.child.wait() == 0


class TestEarlyTerm:
    @pytest.mark.parametrize("server", ["", "user = nobody"])
    def test_nothing_is_left(self, front, server):
        """SPEC 5.5: TERM as soon as there is a socket ends it in order."""
        front.path.parent.chmod(0o777)
        front.configure(server=server if os.geteuid() == 0 else "")
        for _ in range(20):
            front.start(wait=False)
            until(lambda: os.path.exists(front.socket), "the socket")
            assert front.stop() == 0
            assert not os.path.exists(front.socket)


# --- records ----------------------------------------------------------------


class TestPadding:
    def test_every(self, front):
        """E85: 0 to 255 bytes behind every record, on one connection."""
        front.start()
        body = b"abcdef" * 10
        items = variables(method="POST", body=body)
        with front.connect() as client:
            for n in range(256):
                n = n * 77 % 256
                client.send(
                    fcgi.begin(n + 1, flags=fcgi.KEEP, padding=n)
                    + fcgi.stream(fcgi.PARAMS, fcgi.pairs(items), n + 1,
                                  padding=n)
                    + fcgi.stream(fcgi.STDIN, body, n + 1, padding=255 - n))
                assert of_fcgi(client.answer(n + 1)).body == echo(body)


class TestNoRequest:
    @pytest.mark.parametrize("kind", range(1, 9))
    def test_application_type_without_an_id(self, front, kind):
        """E93: id 0 is for management alone."""
        front.start()
        with front.connect() as client:
            client.send(fcgi.record(kind, 0, b"abc"))
            assert client.record() == (fcgi.UNKNOWN_TYPE, 0,
                                       bytes([kind]) + bytes(7))
            client.request(variables())
            assert of_fcgi(client.answer()).status == 200


# --- what descriptor 0 is ---------------------------------------------------


def listener(kind, folder):
    if kind == "tcp":
        return socket.create_server(("127.0.0.1", 0))
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(folder / "listener"))
    made.listen()
    return made


def opened(stack, pair):
    """The first of two descriptors that are closed when all is over."""
    for fd in pair:
        stack.callback(os.close, fd)
    return pair[0]


def connected(stack, family, kind=socket.SOCK_STREAM):
    """A connection of which the other end is held, too."""
    if family == socket.AF_UNIX:
        ends = socket.socketpair(family, kind)
    else:
        with socket.create_server(("127.0.0.1", 0)) as made:
            ends = (socket.create_connection(made.getsockname()),
                    made.accept()[0])
    return stack.enter_context(ends[1]) and stack.enter_context(
        ends[0]).fileno()


KINDS = {
    "pipe": lambda stack, front: opened(stack, os.pipe()),
    "terminal": lambda stack, front: opened(stack, os.openpty()),
    "null": lambda stack, front: opened(
        stack, [os.open("/dev/null", os.O_RDONLY)]),
    "file": lambda stack, front: opened(
        stack, [os.open(front.ini, os.O_RDONLY)]),
    "unix": lambda stack, front: connected(stack, socket.AF_UNIX),
    "datagrams": lambda stack, front: connected(
        stack, socket.AF_UNIX, socket.SOCK_DGRAM),
    "tcp": lambda stack, front: connected(stack, socket.AF_INET),
    "closed": lambda stack, front: -1,
}


class TestDescriptor0:
    """E101: all that it can be, with a request and without one."""

    def run(self, front, fd, request):
        """Exit status and output of one that is no server."""
        out = front.path / "out"
        env = {"PATH": os.defpath, "AMP_CORS_CONFIG": str(front.ini)}
        env.update(variables() if request else [])
        with open(out, "wb") as to:
            pid = os.posix_spawn(kit.FRONT, [kit.FRONT], env, file_actions=[
                (os.POSIX_SPAWN_DUP2, fd, 0) if fd != -1 else
                (os.POSIX_SPAWN_CLOSE, 0),
                (os.POSIX_SPAWN_DUP2, to.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, to.fileno(), 2)])
        ended = []

        def look():
            got, status = os.waitpid(pid, os.WNOHANG)
            ended.append(status)
            return got
        until(look, "its end")
        return os.waitstatus_to_exitcode(ended[-1]), out.read_bytes()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("request_", [True, False],
                             ids=["request", "none"])
    def test_no_listener(self, front, kind, request_):
        with contextlib.ExitStack() as stack:
            fd = KINDS[kind](stack, front)
            status, out = self.run(front, fd, request_)
        if request_:
            assert (status, out[:11]) == (0, b"Status: 200")
        else:
            assert status == 64 and b"usage: " in out

    @pytest.mark.parametrize("kind", ["unix", "tcp"])
    @pytest.mark.parametrize("request_", [True, False],
                             ids=["request", "none"])
    @pytest.mark.parametrize("way", ["0", "LISTEN_FDS"])
    def test_listener(self, front, kind, request_, way):
        """A server on descriptor 0, whatever the environment says; on 3 if
        it is no request."""
        env = {"PATH": os.defpath, "AMP_CORS_CONFIG": str(front.ini)}
        env.update(variables() if request_ else [])
        with listener(kind, front.path) as door:
            number = os.dup(door.fileno())
            if way == "0":
                front.child = kit.Child([kit.FRONT], front.path / "stderr",
                                        env=env, stdin=door)
            else:
                front.child = kit.Child(
                    ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh",
                     kit.FRONT], front.path / "stderr", close_fds=False,
                    env={**env, "LISTEN_FDS": "1"},
                    preexec_fn=lambda: os.dup2(number, 3))
            os.close(number)
            if way != "0" and request_:  # descriptor 0 is /dev/null
                assert front.child.wait() == 0
                assert "Status: 200" in front.log()
                return
            address = door.getsockname()
            with fcgi.Client(address) as client:
                client.request(variables())
                assert of_fcgi(client.answer()).status == 200
