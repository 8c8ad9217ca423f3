"""forward, to a FastCGI server that is already running: SPEC 4.1, 4.2, 4.7,
4.8, E12, E36, E102 to E105."""

import errno
import fcntl
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

import fcgi
import kit
from backend import (TYPE, Backend, echo, says, says_at_once, silent,
                     then_stays)
from kit import (MEMORY, SENDER, V2, WAIT, memory, of_fcgi, ours, until,
                 variables)
from test_body import block
from test_output import BAD, GOOD, ORIGIN, REDIRECTS, TEXT, V1, theirs

MIB = 1 << 20
KEEP = fcgi.KEEP


class Forwarding(kit.Front):
    """A front before a backend of ours, for which there is a play."""

    usual = {"senders": "{sender}", "timeout": "10", "body_timeout": "10",
             "send_timeout": "10", "kill_grace": "1"}

    def __init__(self, folder, helper, host=None):
        where = folder.path / "backend.sock" if host is None else (host, 0)
        self.backend = Backend(where).start()
        super().__init__(folder, helper)

    def configure(self, policy="", server="", whole=None):
        policy = f"forward = {self.backend.name}\n{policy}"
        super().configure(policy, server, whole)

    def start(self, *args, **more):
        """At its start it tries the backend, which then forgets that."""
        super().start(*args, **more)
        if self.backend.acceptor is not None and more.get("wait", True):
            self.backend.settle()
        return self

    def will(self, play):
        """What the backend does from now on."""
        self.backend.forget()
        self.backend.play = play
        return self.backend

    def end(self):
        status = self.stop()
        self.backend.stop()
        assert status in (None, 0), status


@pytest.fixture
def front(folder, helper):
    made = Forwarding(folder, helper)
    yield made
    made.end()


@pytest.fixture(scope="class")
def shared(request, class_folder, helper):
    made = Forwarding(class_folder, helper,
                      getattr(request.cls, "host", None))
    yield made
    made.end()


@pytest.fixture
def seen(way):
    """How much of the log there was before."""
    return 0 if way.name == "cgi" else len(way.front.log())


def decision(way, answer, seen):
    """The line of the log that one request has made."""
    def lines():
        text = answer.errors if way.name == "cgi" else way.front.log()[seen:]
        return re.findall(r"^20\S+Z [0-9a-f]{8} .*$", text, re.M)
    until(lines, "a line of the log")
    assert len(lines()) == 1, lines()
    return lines()[0]


def closed(link, seconds=3):
    until(link.done.is_set, "the connection's end", seconds)


def hung_up(link):
    """Has the other side closed? Without reading."""
    poll = select.poll()
    try:
        poll.register(link.socket, select.POLLRDHUP)
    except ValueError:
        return True  # and so have we
    return bool(poll.poll(0))


# --- the backend itself -----------------------------------------------------


class TestBackend:
    """What the tests below stand on."""

    @pytest.fixture(params=["unix", "127.0.0.1", "::1"])
    def backend(self, request, folder):
        where = (request.param, 0)
        if request.param == "unix":
            where = folder.path / "backend.sock"
        made = Backend(where).start()
        yield made
        made.stop()

    def test_keeps_all(self, backend):
        body = block(200000)
        with fcgi.Client(backend.where) as client:
            client.request([("A", "b"), ("C" * 200, "")], body, id=3)
            got = client.answer(3)
            assert client.at_end()
        assert got.ended and got.out == TYPE + kit.echo(body)
        request = backend.one()
        assert request.params == [("A", "b"), ("C" * 200, "")]
        assert (request.id, request.role, request.flags) == (3, 1, 0)
        assert request.body == body and request.whole
        assert bytes(backend.links[0].raw) == fcgi.request(
            request.params, body, id=3)

    def test_keeps_the_connection(self, backend):
        with fcgi.Client(backend.where) as client:
            for n in range(3):
                client.request([("A", str(n))], flags=KEEP)
                assert client.answer().ended
        assert [r.get("A") for r in backend.requests] == ["0", "1", "2"]
        assert len(backend.links) == 1

    def test_abort(self, backend):
        backend.play = silent
        with fcgi.Client(backend.where) as client:
            client.send(fcgi.request([]) + fcgi.record(fcgi.ABORT))
        until(lambda: backend.links and backend.links[0].done.is_set(), "it")
        assert backend.one().aborted
        assert backend.links[0].records()[0][-1][0] == fcgi.ABORT

    def test_half_a_record(self, backend):
        backend.play = silent
        with fcgi.Client(backend.where) as client:
            client.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, b"")
                        + fcgi.record(fcgi.STDIN, 1, b"abc")[:-1])
        until(lambda: backend.links and backend.links[0].done.is_set(), "it")
        assert not backend.one().whole and not backend.one().aborted
        assert backend.links[0].records()[1] == fcgi.record(
            fcgi.STDIN, 1, b"abc")[:-1]

    @pytest.mark.parametrize("data", [
        fcgi.record(fcgi.STDIN, 1, b"abc"),
        fcgi.begin() + fcgi.record(fcgi.STDIN, 1, b"abc"),
        fcgi.request([], id=1)[:-8] + fcgi.record(fcgi.STDIN, 2, b"abc"),
        fcgi.begin() + fcgi.stream(fcgi.PARAMS, b"\5\5abc")],
        ids=["no-begin", "no-parameters", "other-id", "cut-off"])
    def test_faults(self, backend, data):
        """A front that says such things would be found out."""
        with fcgi.Client(backend.where) as client:
            client.send(data)
            assert client.at_end()
        with pytest.raises(AssertionError):
            until(lambda: backend.faults, "a fault")
            backend.forget()
        backend.faults.clear()

    def test_stop_and_start(self, backend):
        backend.stop()
        assert not kit.answers(backend.where)
        backend.start()
        assert kit.answers(backend.where)


# --- the policy -------------------------------------------------------------


NOBODY = re.compile(r"^amp-cors-cgi: forward = (\S+): [A-Z][\w ]+; start that "
                    r"server, let this user in, or name another one\n", re.M)


CHECKED = re.compile(r": warning: forward = (\S+): [A-Z][\w ]+ "
                     r"\[backend-refused\]; start that server, let the user "
                     r"in, or name another one\n")


def checked(front, *args):
    """The exit status of -n, and what it says."""
    got = subprocess.run([kit.FRONT, "-n", "-c", front.ini, *args],
                         capture_output=True, text=True, timeout=WAIT)
    return got.returncode, got.stdout + got.stderr


class TestPolicy:
    @pytest.mark.parametrize("value", [
        "unix:{dir}/none.sock", "127.0.0.1:1", "[::1]:1"])
    def test_nobody_there(self, front, value):
        """Not yet: a warning, for the server's check and at its start."""
        front.configure(whole="[policy]\nsenders = {sender}\n"
                        f"forward = {value}\n")
        value = value.replace("{dir}", str(front.path))
        for args in ([], ["--listen", f"unix:{front.socket}"]):
            status, text = checked(front, *args)
            assert status == 0
            assert CHECKED.findall(text) == [value], text
        front.start()
        told = NOBODY.findall(front.log())
        assert told == [value], front.log()

    @pytest.mark.parametrize("args", [(), ("-n",)])
    def test_told_once(self, front, args):
        """However many endpoints forward there; of each other one, too."""
        there = front.backend.name
        front.configure(whole=(
            "[policy]\nsenders = {sender}\nforward = unix:{dir}/a.sock\n"
            "[endpoint a]\npath = /amp/a\n[endpoint b]\npath = /amp/b\n"
            "[endpoint c]\npath = /amp/c\nforward = 127.0.0.1:1\n"
            f"[endpoint d]\npath = /amp/d\nforward = {there}\n"))
        if args:
            status, text = checked(front, "--listen", f"unix:{front.socket}")
            assert status == 0
            told = CHECKED.findall(text)
        else:
            front.start()
            text = front.log()
            told = NOBODY.findall(text)
        assert told == [f"unix:{front.path}/a.sock", "127.0.0.1:1"], text

    def test_it_comes_later(self, front):
        front.backend.stop()
        front.start()
        assert front.ask().reason() == "backend-refused"
        front.backend.start()
        assert front.ask().status == 200

    @pytest.mark.parametrize("value", [
        "unix:", "unix:relative", "/run/php/x.sock", "localhost:9000",
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
        "::1:9000", "[::1]", "fcgi://127.0.0.1:9000",
        "127.0.0.1:9000 127.0.0.1:9001"])
    def test_no_addresses(self, front, value):
        front.configure(whole="[policy]\nsenders = {sender}\n"
                        f"forward = {value}\n")
        status, text = checked(front)
        assert status == 78
        assert f"{front.ini}:3:" in text and "forward" in text, text

    @pytest.mark.parametrize("value", ["-1", "many", "yes", "1K"])
    def test_forward_keep(self, front, value):
        front.configure(f"forward_keep = {value}")
        status, text = checked(front)
        assert status == 78 and "forward_keep" in text, text

    @pytest.mark.parametrize("other", [
        "exec = {handler}", "scripts = {dir}", "handler = none"])
    @pytest.mark.parametrize("section", ["policy", "endpoint a"])
    def test_one_choice(self, front, section, other):
        """SPEC 4.1: two in one section."""
        whole = "[policy]\nsenders = {sender}\n"
        if section != "policy":
            whole += f"[{section}]\npath = /amp\n"
        whole += f"forward = 127.0.0.1:9000\n{other}\n"
        front.configure(whole=whole)
        status, text = checked(front)
        assert status == 78, text
        assert "forward" in text and other.split()[0] in text, text

    def test_an_endpoint_replaces(self, front):
        """SPEC 4.1, in both directions."""
        front.configure(whole=(
            "[policy]\nsenders = {sender}\nexec = {handler}\n"
            "[endpoint a]\npath = /amp/a\n"
            f"forward = {front.backend.name}\n"
            "[endpoint b]\npath = /amp\n"))
        assert front.cgi(path="/a/x").status == 200
        assert (front.ran(), len(front.backend.requests)) == (0, 1)
        assert front.cgi(path="/echo").status == 200
        assert (front.ran(), len(front.backend.requests)) == (1, 1)
        front.configure(whole=(
            f"[policy]\nsenders = {{sender}}\n"
            f"forward = {front.backend.name}\n"
            "[endpoint a]\npath = /amp/echo\nexec = {handler}\n"
            "[endpoint b]\npath = /amp\n"))
        assert front.cgi(path="/echo").status == 200
        assert front.cgi(path="/x").status == 200
        assert (front.ran(), len(front.backend.requests)) == (2, 2)


# --- what the backend gets --------------------------------------------------


def asked(way, **request):
    """The request that the backend got for this one."""
    backend = way.front.will(echo)
    answer = way.ask(**request)
    assert answer.status == 200, answer
    return backend.one()


class TestRequest:
    def test_role(self, way):
        """A Responder's; nothing is kept, if nobody asked for it."""
        request = asked(way)
        assert (request.role, request.flags) == (fcgi.RESPONDER, 0)
        assert request.id != 0
        assert request.whole and request.body == b""

    def test_records(self, way):
        """In order, each stream with its end, and nothing else."""
        request = asked(way, method="POST", body=block(100000))
        records, rest = request.link.records()
        kinds = [k for k, _, _ in records]
        assert kinds == sorted(kinds) and rest == b""
        assert kinds[0] == fcgi.BEGIN and kinds.count(fcgi.BEGIN) == 1
        assert set(kinds) == {fcgi.BEGIN, fcgi.PARAMS, fcgi.STDIN}
        empty = [k for k, _, content in records if content == b""]
        assert empty == [fcgi.PARAMS, fcgi.STDIN]

    def test_as_the_client_said(self, way):
        request = asked(way, query="a=b&c", path="/x y", HTTP_X_A="1",
                        REMOTE_ADDR="192.0.2.1", HTTP_COOKIE="k=\xe4",
                        body=b"abc", method="POST")
        for name, value in (
                ("REQUEST_METHOD", "POST"), ("QUERY_STRING", "a=b&c"),
                ("SCRIPT_NAME", "/amp"), ("PATH_INFO", "/x y"),
                ("HTTP_X_A", "1"), ("REMOTE_ADDR", "192.0.2.1"),
                ("HTTP_COOKIE", "k=\xe4"), ("CONTENT_LENGTH", "3"),
                ("CONTENT_TYPE", "application/octet-stream"),
                ("HTTP_AMP_EMAIL_SENDER", SENDER)):
            assert request.get(name) == value, name

    def test_not_passed(self, way):
        """SPEC 4.2, E10, E15; and nobody else says who the sender is."""
        names = ["HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE",
                 "HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_TE",
                 "HTTP_PROXY_CONNECTION", "HTTP_TRAILER", "HTTP_UPGRADE",
                 "FCGI_ROLE", "AMP_CORS_EVIL", "AMP_CORS_ORIGIN"]
        # libfcgi puts one of its own there
        request = asked(way, extra=[
            (n, "evil") for n in names
            if n != "FCGI_ROLE" or way.name == "cgi"])
        assert not [p for p in request.params if p[1] == "evil"]
        assert not {n for n, _ in request.params} & set(names)

    def test_authorization(self, way):
        """Always: the backend is no child of ours."""
        request = asked(way, HTTP_AUTHORIZATION="Basic YTpi")
        assert request.get("HTTP_AUTHORIZATION") == "Basic YTpi"

    def test_ours(self, way):
        request = asked(way, extra=[("AMP_CORS_VERSION", "9")])
        assert request.get("AMP_CORS_SENDER") == SENDER
        assert request.get("AMP_CORS_VERSION") == "2"
        assert request.get("AMP_CORS_ORIGIN") is None
        request = asked(way, **V1)
        assert request.get("AMP_CORS_SENDER") == SENDER
        assert request.get("AMP_CORS_VERSION") == "1"
        assert request.get("AMP_CORS_ORIGIN") == ORIGIN

    def test_repeats_are_one(self, way):
        """SPEC 1.3"""
        request = asked(way, extra=[("X_A", "1"), ("X_A", ""), ("X_A", "1")])
        assert request.get("X_A") == "1"

    @pytest.mark.parametrize("n", [127, 128, 300, 20000])
    def test_long_names_and_values(self, way, n):
        request = asked(way, extra=[("X" * n, "v" * n), ("X_A", "w" * n)])
        assert request.get("X" * n) == "v" * n
        assert request.get("X_A") == "w" * n

    @pytest.mark.parametrize("prefix", [
        "proxy:fcgi://127.0.0.1:9000", "proxy:fcgi://[::1]:9000",
        "proxy:fcgi://localhost", ""])
    def test_script_filename(self, way, prefix):
        """E12"""
        request = asked(way, SCRIPT_FILENAME=prefix + "/var/www/x.php")
        assert request.get("SCRIPT_FILENAME") == "/var/www/x.php"

    @pytest.mark.parametrize("request_, reason", [
        ({"sender": "a@b.example"}, "sender-not-allowed"),
        ({"sender": None}, "no-amp-headers"),
        ({"method": "POST", "sender": "a@b.example", "body": b"abc"},
         "sender-not-allowed"),
        ({"CONTENT_LENGTH": "x"}, "bad-request")])
    def test_refused(self, way, request_, reason):
        backend = way.front.will(echo)
        assert way.ask(**request_).reason() == reason
        assert not backend.links

    def test_preflight(self, way):
        backend = way.front.will(echo)
        answer = way.ask(method="OPTIONS", sender=None, origin=ORIGIN,
                         HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST")
        assert answer.status == 204
        assert not backend.links


class TestEnvironment:
    """Nothing of the front's own reaches the backend."""

    def test_fastcgi(self, front):
        front.configure("environment = SECRET")
        front.start(env={"SECRET": "x", "OTHER": "y"})
        front.ask()
        request = front.backend.one()
        names = {n for n, _ in request.params if not n.startswith("AMP_CORS")}
        assert names == {n for n, v in variables()}

    def test_cgi_config(self, front):
        """Where both are one, what is meant for the front stays here."""
        assert front.cgi().status == 200
        assert front.backend.one().get("AMP_CORS_CONFIG") is None

    def test_more_than_one_record(self, front):
        """Only CGI has room for that many."""
        extra = [(f"X_{i}", str(i) * 9000) for i in range(10)]
        assert front.cgi(extra=extra).status == 200
        for name, value in extra:
            assert front.backend.one().get(name) == value


# --- its answer -------------------------------------------------------------


def other(r):
    """Records that belong to another request, or to none (E94)."""
    return b"".join(fcgi.record(kind, r.id + 1, b"X-Evil: 1\r\n\r\nevil")
                    for kind in (fcgi.STDOUT, fcgi.STDERR)) + fcgi.record(
                        fcgi.END, r.id + 1, b"\0\0\0\1\0\0\0\0")


def laced(r, raw, between):
    """Something between every few bytes."""
    return b"".join(between + r.out(raw[i:i + 5]) + between
                    for i in range(0, len(raw) or 1, 5))


FRAMINGS = {
    "whole": lambda r, raw: [r.whole_answer(raw)],
    "no-empty-record": lambda r, raw: [r.out(raw) + r.end()],
    "records-of-one-byte": lambda r, raw: [
        r.out(raw, size=1) + r.eof() + r.end()],
    "writes": lambda r, raw: [r.out(raw), r.eof(), r.end()],
    "padded": lambda r, raw: [
        r.out(raw, size=7, padding=255)
        + fcgi.record(fcgi.STDOUT, r.id, b"", 1)
        + fcgi.record(fcgi.END, r.id, bytes(8), 255)],
    "errors": lambda r, raw: [
        laced(r, raw, r.err(b"e\n")) + r.eof() + r.err(b"late\n") + r.end()],
    "ended-errors": lambda r, raw: [
        r.eof(fcgi.STDERR) + r.out(raw) + r.eof() + r.eof(fcgi.STDERR)
        + r.end()],
    "empty-early": lambda r, raw: [
        laced(r, raw, r.eof()) + r.eof() + r.end()],
    "others": lambda r, raw: [
        laced(r, raw, other(r)) + r.eof() + other(r) + r.end()],
    "management": lambda r, raw: [
        laced(r, raw, fcgi.record(fcgi.UNKNOWN_TYPE, 0, bytes(8)))
        + r.eof() + r.end()],
    "reserved": lambda r, raw: [
        r.out(raw) + r.eof() + r.end(reserved=b"\xff\1\7")],  # E97
    "bytes": lambda r, raw: [
        bytes([b]) for b in r.whole_answer(raw)],
}
FEW = ["whole", "padded", "bytes"]


def framed(framing, raw):
    def play(r):
        r.read()
        r.send(*FRAMINGS[framing](r, raw))
    return play


def framings(raw, names=FRAMINGS):
    return [n for n in names if n != "bytes" or len(raw) < 1000]


class TestHead:
    """As with exec, however it is cut into records (E104)."""

    @pytest.mark.parametrize("name", GOOD)
    def test_good(self, way, name):
        raw, status, headers, body = GOOD[name]
        for framing in framings(raw):
            way.front.will(framed(framing, raw))
            answer = way.ask()
            if status is None:
                assert answer.status_line[:3].encode() in raw, framing
            else:
                assert answer.status_line == status, (framing, answer)
            assert theirs(answer) == headers, framing
            assert answer.body == body, framing
            assert ours(answer.headers) == V2, framing
            assert not answer.broken and answer.exit == 0, framing

    @pytest.mark.parametrize("name", BAD)
    def test_bad(self, way, name):
        raw = BAD[name]
        for framing in framings(raw, FEW):
            backend = way.front.will(framed(framing, raw))
            answer = way.ask()
            assert (answer.status, answer.reason()) == (
                502, "handler-bad-answer"), (framing, answer)
            assert ours(answer.headers) == V2
            assert len(backend.links) == 1

    @pytest.mark.parametrize("name", REDIRECTS)
    def test_redirect(self, way, name):
        """E59, E60"""
        way.front.will(framed("whole", REDIRECTS[name][0]))
        answer = way.ask()
        assert (answer.status, answer.reason()) == (502, "handler-redirect")
        assert ours(answer.headers) == V2

    def test_version_1(self, way):
        """Our fields once, whatever the backend says of CORS."""
        way.front.will(framed("whole", GOOD["ours"][0]))
        fields = ours(way.ask(**V1).headers)
        assert dict(fields)["Access-Control-Allow-Origin"] == ORIGIN
        assert len(dict(fields)) == len(fields) == 3

    def test_head(self, way):
        """E64"""
        way.front.will(framed("whole", GOOD["length"][0]))
        answer = way.ask(method="HEAD")
        assert answer.status == 200 and answer.body == b""
        assert not answer.broken

    @pytest.mark.parametrize("framing", ["whole", "padded", "errors"])
    def test_large(self, way, framing):
        body = block(3 * MIB if framing == "whole" else 300000)
        way.front.will(framed(framing, TEXT + b"\n" + body))
        answer = way.ask()
        assert answer.status == 200 and answer.body == body


class TestRedirectsPass:
    policy = "redirects = pass"

    @pytest.mark.parametrize("name", REDIRECTS)
    def test_redirect(self, way, name):
        """E60"""
        raw, status = REDIRECTS[name]
        way.front.will(framed("whole", raw))
        answer = way.ask()
        assert ours(answer.headers) == V2
        if status is None:
            assert answer.reason() == "handler-redirect"
        else:
            assert answer.status_line == status


class TestMaxHeader:
    policy = "max_header = 1K"

    def test_limit(self, way):
        for n, status in ((900, 200), (1100, 502), (500000, 502)):
            way.front.will(framed("whole", TEXT + b"A: " + b"v" * n
                                  + b"\n\n"))
            assert way.ask().status == status, n


# --- what goes wrong --------------------------------------------------------


REFUSED = (502, "backend-refused")
BAD_ANSWER = (502, "handler-bad-answer")
DIED = (502, "handler-died")
HALF = TEXT + b"X-Half: "

# name: a play; status and reason
BEFORE = {
    "closes": (says_at_once(lambda r: b""), REFUSED),
    "closes-later": (says(lambda r: b""), REFUSED),
    "half-a-block": (says(lambda r: r.out(HALF)), DIED),
    "half-a-block-at-once": (says_at_once(lambda r: r.out(HALF)), DIED),
    "half-a-record": (says(lambda r: r.out(TEXT + b"\n")[:-9]), DIED),
    "block-without-its-end": (says(lambda r: r.out(TEXT) + r.eof()), DIED),
    "end-alone": (says(lambda r: r.end()), BAD_ANSWER),
    "nothing": (says(lambda r: r.eof() + r.end()), BAD_ANSWER),
    "nothing-3": (says(lambda r: r.eof() + r.end(3)), DIED),
    "end-alone-3": (says(lambda r: r.end(3)), DIED),
    "end-alone-at-once": (says_at_once(lambda r: r.end()), BAD_ANSWER),
    "large-status": (says(lambda r: r.end(0xffffffff)), DIED),
    "half-a-block-0": (says(lambda r: r.out(HALF) + r.end()), BAD_ANSWER),
    "half-a-block-3": (says(lambda r: r.out(HALF) + r.end(3)), DIED),
    "errors-alone": (says(lambda r: r.err(b"oops\n") + r.end()), BAD_ANSWER),
    "cannot-multiplex": (
        says(lambda r: r.end(status=fcgi.CANT_MPX)), REFUSED),
    "unknown-role": (
        says(lambda r: r.end(status=fcgi.UNKNOWN_ROLE)), REFUSED),
    "unknown-role-at-once": (
        says_at_once(lambda r: r.end(status=fcgi.UNKNOWN_ROLE)), REFUSED),
    "overloaded": (
        says(lambda r: r.end(status=fcgi.OVERLOADED)), (503, "overloaded")),
    "overloaded-at-once": (
        says_at_once(lambda r: r.end(status=fcgi.OVERLOADED)),
        (503, "overloaded")),
    "version-0": (says(lambda r: b"\0" + r.end()[1:]), BAD_ANSWER),
    "version-2": (says(lambda r: b"\2" + r.end()[1:]), BAD_ANSWER),
    "http": (says_at_once(lambda r: b"HTTP/1.1 400 Bad Request\r\n"
                          b"Content-Length: 0\r\n\r\n"), BAD_ANSWER),
    "tls": (says_at_once(lambda r: b"\x15\x03\x01\0\2\2\x28" * 2),
            BAD_ANSWER),
    "later-garbage": (says(lambda r: r.out(HALF) + bytes(99)), BAD_ANSWER),
    "short-end": (says(lambda r: fcgi.record(fcgi.END, r.id, bytes(7))),
                  BAD_ANSWER),
    "empty-end": (says(lambda r: fcgi.record(fcgi.END, r.id)), BAD_ANSWER),
}

# name: a play; what has come of a body; the word in the log
AFTER = {
    "closes": (says(lambda r: r.out(TEXT + b"\nhalf")), b"half",
               "handler-died"),
    "closes-in-a-record": (
        says(lambda r: r.out(TEXT + b"\nhalf") + r.out(b"lost")[:-2]),
        b"halflo", "handler-died"),
    "closes-after-the-stream": (
        says(lambda r: r.out(TEXT + b"\nhalf") + r.eof()), b"half",
        "handler-died"),
    "closes-in-the-end": (
        says(lambda r: r.out(TEXT + b"\nhalf") + r.end()[:-1]), b"half",
        "handler-died"),
    "shorter-than-declared-closes": (
        says(lambda r: r.out(TEXT + b"Content-Length: 9\n\nhalf")), b"half",
        "handler-died"),
    "shorter-than-declared": (  # E61
        says(lambda r: r.whole_answer(TEXT + b"Content-Length: 9\n\nhalf")),
        b"half", "handler-bad-answer"),
    "garbage": (says(lambda r: r.out(TEXT + b"\nhalf") + b"HTTP/1.1 "),
                b"half", "handler-bad-answer"),
    "short-end": (
        says(lambda r: r.out(TEXT + b"\nhalf")
             + fcgi.record(fcgi.END, r.id, bytes(7))),
        b"half", "handler-bad-answer"),
}

# name: a play; all that there is of a body of four bytes
STANDS = {
    "closes": says(lambda r: r.out(TEXT + b"Content-Length: 4\n\nbody")),
    "stream-ends": says(
        lambda r: r.out(TEXT + b"Content-Length: 4\n\nbody") + r.eof()),
    "more-than-declared": says(
        lambda r: r.out(TEXT + b"Content-Length: 4\n\nbody and more")),
    "stays-open": then_stays(lambda r: r.whole_answer(TEXT + b"\nbody")),
    "goes-on": says(lambda r: r.whole_answer(TEXT + b"\nbody")
                    + r.out(b"more") + r.end(9)),
    "garbage-behind": says(
        lambda r: r.whole_answer(TEXT + b"\nbody") + b"garbage" * 99),
    "errors-alone": says(
        lambda r: r.err(b"warning\n") + r.out(TEXT + b"\nbody") + r.end()),
}


class Basics:
    """Bytes both ways, and a backend that is not there."""

    def test_not_there(self, way, seen):
        backend = way.front.will(echo)
        backend.stop()
        try:
            for error in self.absences(backend):
                answer = way.ask()
                assert (answer.status, answer.reason()) == REFUSED
                assert ours(answer.headers) == V2
                line = decision(way, answer, seen)
                assert backend.name.removeprefix("unix:") in line
                assert os.strerror(error) in line
                seen += len(line) + 1 if way.name == "fastcgi" else 0
        finally:
            backend.start()
        assert way.ask().status == 200

    @staticmethod
    def absences(backend):
        """The ways not to be there, and what each of them is called."""
        yield errno.ECONNREFUSED
        if not backend.tcp:
            os.unlink(backend.where)
            yield errno.ENOENT

    @pytest.mark.parametrize("n", [0, 1, 65535, 65536, 3 * MIB])
    def test_body(self, way, n):
        body = block(n)
        backend = way.front.will(echo)
        answer = way.ask(method="POST", body=body)
        assert answer.body == kit.echo(body), answer
        assert backend.one().body == body and backend.one().whole
        assert backend.one().get("CONTENT_LENGTH") == str(n)

    @pytest.mark.parametrize("n", [1, 300000, 5 * MIB])
    def test_much_before_reading(self, way, n):
        """E29: two full sockets stop nobody."""
        def play(r):
            r.send(r.out(TYPE + bytes(n)))
            r.send(r.out(b"|%d" % len(r.read())) + r.eof() + r.end())
        way.front.will(play)
        answer = way.ask(method="POST", body=block(3 * MIB))
        assert answer.body == bytes(n) + b"|%d" % (3 * MIB)

    def test_both_directions(self, way):
        """Each record comes back before the next one is read."""
        def play(r):
            r.send(r.out(TYPE))
            n = 0
            while r.take():
                r.send(r.out(bytes(r.body[n:])))
                n = len(r.body)
            r.send(r.eof() + r.end())
        way.front.will(play)
        body = block(8 * MIB)
        assert way.ask(method="POST", body=body).body == body

    @pytest.mark.parametrize("n", [1, 60000, 9 * MIB])
    def test_early_answer(self, way, n):
        """E30: it arrives, though the backend closes with its body
        unread."""
        way.front.will(says_at_once(
            lambda r: r.whole_answer(TEXT + b"\nearly")))
        answer = way.ask(method="POST", body=block(n))
        assert answer.status == 200 and answer.body == b"early", answer
        assert not answer.broken

    def test_early_large_answer(self, way):
        def play(r):
            r.send(r.whole_answer(TEXT + b"\n" + block(2 * MIB)))
            # over TCP a close would take back what is on its way
            r.link.socket.shutdown(socket.SHUT_WR)
            r.left()
        way.front.will(play)
        answer = way.ask(method="POST", body=block(9 * MIB))
        assert answer.body == block(2 * MIB) and not answer.broken


class Outcomes(Basics):
    """E102"""

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("name", BEFORE)
    def test_before_the_header(self, way, seen, name, method):
        play, (status, reason) = BEFORE[name]
        backend = way.front.will(play)
        body = block(MIB) if method == "POST" else None
        answer = way.ask(method=method, body=body)
        assert (answer.status, answer.reason()) == (status, reason), answer
        assert ours(answer.headers) == V2
        assert not answer.broken and answer.exit == 0
        assert f" allow {status} {reason} " in decision(way, answer, seen)
        # nothing is tried a second time
        assert len(backend.links) == 1
        closed(backend.links[0])

    @pytest.mark.parametrize("name", AFTER)
    def test_after_the_header(self, way, seen, name):
        """E52"""
        play, body, reason = AFTER[name]
        backend = way.front.will(play)
        answer = way.ask()
        assert answer.status == 200 and answer.body == body
        assert ours(answer.headers) == V2
        assert answer.broken
        assert f" allow 200 {reason} " in decision(way, answer, seen)
        assert len(backend.links) == 1

    @pytest.mark.parametrize("name", STANDS)
    def test_stands(self, way, seen, name):
        backend = way.front.will(STANDS[name])
        answer = way.ask()
        assert answer.status == 200 and answer.body == b"body"
        assert not answer.broken and answer.exit == 0
        assert " allow 200 ok " in decision(way, answer, seen)
        closed(backend.one().link)

    @pytest.mark.parametrize("status", [7, 70, 255])
    def test_application_status(self, way, seen, status):
        """E51"""
        way.front.will(says(
            lambda r: r.whole_answer(TEXT + b"\nbody", status)))
        answer = way.ask()
        assert answer.status == 200 and answer.body == b"body"
        assert not answer.broken
        assert answer.exit == (status if way.name == "fastcgi" else 0)
        line = decision(way, answer, seen)
        assert " allow 200 ok " in line
        assert f"exit status {status}" in line


class TestUnix(Outcomes):
    pass


class TestIpv4(Outcomes):
    host = "127.0.0.1"

    @pytest.mark.parametrize("body", [None, block(MIB)], ids=["GET", "POST"])
    @pytest.mark.parametrize("said, reason", [
        (b"", "backend-refused"), (HALF, "handler-died")])
    def test_reset(self, way, body, said, reason):
        def play(r):
            r.send(r.out(said))
            # what was sent would be lost with the reset
            until(lambda: not unsent(r.link.socket), "all of it out")
            time.sleep(0.2)
            r.link.reset()
        way.front.will(play)
        answer = way.ask(method="POST", body=body)
        assert (answer.status, answer.reason()) == (502, reason)


def unsent(sock):
    """Bytes that the other side has not confirmed (SIOCOUTQ)."""
    raw = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    return struct.unpack("i", raw)[0]


class TestIpv6(Basics):
    host = "::1"


class TestSilence:
    policy = "timeout = 2"

    SILENT = {
        "nothing": (silent, None),
        "half-a-block": (then_stays(lambda r: r.out(HALF)), None),
        "half-a-record": (then_stays(lambda r: r.out(TEXT)[:5]), None),
        "errors": (then_stays(lambda r: r.err(b"one\n")), None),
        "stream-ends": (then_stays(lambda r: r.eof()), None),
        "body-not-read": (lambda r: r.link.go.wait(WAIT), block(8 * MIB)),
    }

    @pytest.mark.parametrize("name", SILENT)
    def test_before_the_header(self, way, seen, name):
        play, body = self.SILENT[name]
        backend = way.front.will(play)
        start = time.monotonic()
        answer = way.ask(method="POST" if body else "GET", body=body)
        assert (answer.status, answer.reason()) == (504, "handler-timeout")
        assert 1.5 < time.monotonic() - start < 8
        assert ours(answer.headers) == V2
        assert " allow 504 handler-timeout " in decision(way, answer, seen)
        until(lambda: hung_up(backend.links[0]), "the connection's end")
        assert len(backend.links) == 1

    def test_after_the_header(self, way, seen):
        """E75"""
        backend = way.front.will(then_stays(
            lambda r: r.out(TEXT + b"\nhalf")))
        answer = way.ask()
        assert answer.broken and answer.body == b"half"
        assert " allow 200 handler-timeout " in decision(way, answer, seen)
        closed(backend.one().link)

    def test_each_byte_counts(self, way):
        """3 seconds in all, never 2 without a byte."""
        def play(r):
            r.send(r.out(TYPE))
            for _ in range(6):
                r.send(r.out(b"x"))
                time.sleep(0.5)
            r.send(r.end())
        way.front.will(play)
        assert way.ask().body == b"xxxxxx"


class TestTimeLimit:
    policy = "time_limit = 1"

    def test_whole(self, way, seen):
        """However busy it is."""
        def play(r):
            r.send(r.out(TYPE))
            while not hung_up(r.link):
                r.send(r.out(b"x"))
                time.sleep(0.1)
        backend = way.front.will(play)
        answer = way.ask()
        assert answer.broken and answer.body
        assert " handler-timeout " in decision(way, answer, seen)
        closed(backend.links[0])


# --- connecting -------------------------------------------------------------


def fill(backend):
    """Connections until no more goes into the queue."""
    clients = []
    while len(clients) < 200:
        client = socket.socket(
            socket.AF_INET if backend.tcp else socket.AF_UNIX)
        client.setblocking(False)
        clients.append(client)
        if client.connect_ex(backend.where) == 0:
            continue
        if not backend.tcp or not select.select([], [client], [], 0.5)[1]:
            return clients
    raise AssertionError("the queue has no end")


@pytest.mark.parametrize("host", [None, "127.0.0.1"], ids=["unix", "tcp"])
class TestQueue:
    """A backend that takes no connection, and one that takes it late."""

    @pytest.fixture
    def full(self, folder, helper, host):
        made = Forwarding(folder, helper, host)
        made.backend.stop()
        made.backend.backlog = 0
        made.backend.listen()
        clients = fill(made.backend)
        yield made
        for client in clients:
            client.close()
        made.end()

    @pytest.mark.parametrize("way", ["cgi", "ask"])
    def test_full(self, full, way):
        full.configure("timeout = 2")
        if way == "ask":
            full.start()
        start = time.monotonic()
        answer = getattr(full, way)()
        assert (answer.status, answer.reason()) == (504, "handler-timeout")
        assert ours(answer.headers) == V2
        assert 1.5 < time.monotonic() - start < 8

    @pytest.mark.parametrize("way", ["cgi", "ask"])
    def test_late(self, full, way):
        """Tried until there is room."""
        if way == "ask":
            full.start()
        later = threading.Timer(1, full.backend.accept)
        later.start()
        answer = getattr(full, way)(method="POST", body=b"abc")
        later.join()
        assert answer.body == kit.echo(b"abc"), answer
        assert len(full.backend.requests) == 1

    def test_client_leaves(self, full):
        """E77: also while it waits there."""
        full.start()
        client = full.connect()
        client.request(variables())
        time.sleep(0.5)
        client.close()
        until(lambda: " client-gone " in full.log(), "the log", 4)


class TestPermission:
    def test_denied(self, front):
        """As root, the front is another user's."""
        front.path.chmod(0o777)
        front.path.parent.chmod(0o777)
        if os.geteuid() == 0:
            front.configure(server="user = nobody")
        front.start()
        os.chmod(front.backend.where, 0o600 if os.geteuid() == 0 else 0)
        answer = front.ask()
        assert (answer.status, answer.reason()) == REFUSED
        assert os.strerror(errno.EACCES) in until(front.decisions, "it")[0]
        assert not front.backend.links


# --- its standard error -----------------------------------------------------


class TestErrors:
    """E103, SPEC 4.9"""

    WHERE = {
        "before": lambda r, e: r.err(e) + r.whole_answer(TEXT + b"\nbody"),
        "inside": lambda r, e: r.out(TEXT[:9]) + r.err(e) + r.whole_answer(
            TEXT[9:] + b"\nbody"),
        "between": lambda r, e: r.out(TEXT + b"\n") + r.err(e)
        + r.whole_answer(b"body"),
        "after": lambda r, e: r.out(TEXT + b"\nbody") + r.eof() + r.err(e)
        + r.eof(fcgi.STDERR) + r.end(),
        "bytes": lambda r, e: r.err(e, size=1) + r.whole_answer(
            TEXT + b"\nbody"),
        "padded": lambda r, e: r.err(e, size=3, padding=9) + r.whole_answer(
            TEXT + b"\nbody"),
    }

    @pytest.mark.parametrize("where", WHERE)
    def test_lines(self, way, where):
        make = self.WHERE[where]
        way.front.will(says(lambda r: make(r, b"first line\nsecond line")))
        answer = way.ask()
        assert answer.status == 200 and answer.body == b"body"
        lines = answer.errors.splitlines()
        assert len([li for li in lines if "first line" in li]) == 1
        assert len([li for li in lines if "second line" in li]) == 1
        assert not [li for li in lines
                    if "first line" in li and "second line" in li]

    def test_of_one_that_failed(self, way):
        """PHP says there why."""
        way.front.will(says(lambda r: r.err(b"PHP Fatal\n") + r.end(255)))
        answer = way.ask()
        assert answer.reason() == "handler-died"
        assert "PHP Fatal" in answer.errors

    def test_escaped(self, way):
        way.front.will(says(lambda r: r.err(
            b"bell \a esc \033[31m high \377 nul \0 end\n")
            + r.whole_answer(TEXT + b"\n")))
        answer = way.ask()
        assert "bell" in answer.errors and "end" in answer.errors
        assert all(c == "\n" or " " <= c <= "~" for c in answer.errors)

    @pytest.mark.parametrize("first", [True, False])
    def test_flood(self, way, first):
        def play(r):
            r.read()
            flood = r.err(b"e" * 3 * MIB)
            body = r.out(TEXT + b"\nbody")
            r.send(*((flood, body) if first else (body, flood)))
            r.send(r.eof() + r.end())
        way.front.will(play)
        answer = way.ask()
        assert answer.status == 200 and answer.body == b"body"
        assert 30000 < answer.errors.count("e") < 90000
        assert "left out" in answer.errors


# --- bodies -----------------------------------------------------------------


class TestLength:
    """E35, E36: the backend learns the true length."""

    policy = "spool_max = 1M\nmax_body = 100M"

    @pytest.mark.parametrize("length", [None, "", "-1"])
    @pytest.mark.parametrize("n", [0, 1, 65536, 65537, MIB])
    def test_unknown(self, way, length, n):
        body = block(n)
        backend = way.front.will(echo)
        answer = way.ask(method="POST", CONTENT_LENGTH=length, send=body)
        assert answer.body == kit.echo(body), answer
        assert backend.one().get("CONTENT_LENGTH") == str(n)
        assert backend.one().body == body

    def test_transfer_encoding(self, way):
        backend = way.front.will(echo)
        answer = way.ask(HTTP_TRANSFER_ENCODING="chunked", send=b"abc")
        assert answer.body == kit.echo(b"abc")
        assert backend.one().get("CONTENT_LENGTH") == "3"
        assert backend.one().get("HTTP_TRANSFER_ENCODING") is None

    @pytest.mark.parametrize("send, expected", [
        (b"", b""), (b"abc", b"abc"), (b"abcde", b"abcde"),
        (b"abcdefgh", b"abcde")])
    def test_other_length(self, way, send, expected):
        """E33, E34"""
        backend = way.front.will(echo)
        answer = way.ask(method="POST", CONTENT_LENGTH="5", send=send)
        assert answer.body == kit.echo(expected)
        assert backend.one().body == expected and backend.one().whole

    @pytest.mark.parametrize("request_", [
        {"send": block(MIB + 1)},
        {"send": b"abc", "CONTENT_LENGTH": str(100 * MIB + 1)}],
        ids=["spooled", "declared"])
    def test_too_large(self, way, request_):
        backend = way.front.will(echo)
        answer = way.ask(method="POST", **request_)
        assert (answer.status, answer.reason()) == (413, "body-too-large")
        assert ours(answer.headers) == V2
        assert not backend.links

    def test_spool_leaves_no_file(self, way):
        way.front.will(echo)
        before = set(os.listdir(way.front.path))
        way.ask(method="POST", send=block(MIB))
        assert set(os.listdir(way.front.path)) <= before | {"stderr"}


class TestFlow:
    """Bytes go on as they come, and wait where nobody takes them."""

    def begin(self, front, n):
        client = front.connect()
        items = variables(method="POST", CONTENT_LENGTH=str(n))
        client.send(fcgi.begin() + fcgi.stream(
            fcgi.PARAMS, fcgi.pairs(items)))
        return client

    def test_body_as_it_comes(self, front):
        front.start()
        backend = front.will(echo)
        with self.begin(front, 6) as client:
            client.send(fcgi.record(fcgi.STDIN, 1, b"abc"))
            until(lambda: backend.requests
                  and backend.requests[0].body == b"abc", "half a body")
            client.send(fcgi.stream(fcgi.STDIN, b"def"))
            assert of_fcgi(client.answer()).body == kit.echo(b"abcdef")

    def test_answer_as_it_comes(self, front):
        """E67"""
        front.start()

        def play(r):
            for piece in (TYPE, b"one", b"two"):
                r.send(r.out(piece))
                assert backend.go.wait(WAIT)
                backend.go.clear()
            r.send(r.end())
        backend = front.will(play)
        with front.connect() as client:
            client.request(variables())
            got = b""
            for piece in (b"\r\n\r\n", b"one", b"two"):
                while not got.endswith(piece):
                    got += client.record()[2]
                backend.go.set()
            assert client.answer().ended

    def test_backend_does_not_read(self, front):
        """The web server waits; our memory does not grow."""
        front.start()
        backend = front.will(lambda r: backend.go.wait(WAIT) and echo(r))
        with self.begin(front, 50 * MIB) as client:
            client.socket.settimeout(1)
            with pytest.raises(TimeoutError):
                client.send(fcgi.stream(fcgi.STDIN, bytes(50 * MIB)))
            assert memory(front.child.pid) < MEMORY
            assert backend.links

    def test_backend_reads_late(self, front):
        front.start()
        backend = front.will(lambda r: backend.go.wait(WAIT) and echo(r))
        later = threading.Timer(1, backend.go.set)
        later.start()
        body = block(20 * MIB)
        assert front.ask(method="POST", body=body).body == kit.echo(body)
        assert memory(front.child.pid) < MEMORY

    @staticmethod
    def endless(r):
        r.send(r.out(TYPE))
        while True:
            r.send(r.out(bytes(60000)))

    def test_client_does_not_read(self, front):
        """E79: the backend waits."""
        front.start()
        backend = front.will(self.endless)
        with front.connect() as client:
            client.request(variables())
            until(lambda: backend.links and backend.links[0].told, "bytes")
            told = 0
            while told < backend.links[0].told:
                told = backend.links[0].told
                time.sleep(0.5)
            assert told < 20 * MIB
            assert memory(front.child.pid) < MEMORY

    def test_client_takes_nothing(self, front):
        """SPEC 4.7: not for longer than send_timeout."""
        front.configure("send_timeout = 1")
        front.start()
        backend = front.will(self.endless)
        with front.connect() as client:
            client.request(variables())
            until(lambda: backend.links, "a connection")
            closed(backend.links[0], 8)

    @pytest.mark.parametrize("length", ["5", None])
    def test_body_stalls(self, front, length):
        """E38: 408, and the backend is left in peace."""
        front.configure("body_timeout = 1")
        front.start()
        backend = front.will(silent)
        with front.connect() as client:
            items = variables(method="POST", CONTENT_LENGTH=length)
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(items))
                + fcgi.record(fcgi.STDIN, 1, b"a"))
            answer = of_fcgi(client.answer())
        assert (answer.status, answer.reason()) == (408, "body-timeout")
        assert ours(answer.headers) == V2
        for link in backend.links:
            closed(link)
        assert len(backend.links) == (0 if length is None else 1)


# --- the client goes away ---------------------------------------------------


def awaited(backend):
    until(lambda: backend.requests, "a request")
    return backend.requests[0]


class TestClientLeaves:
    """E77, SPEC 4.8: noticed within a second, and passed on."""

    def test_closes(self, front):
        front.start()
        request = self.leave(front, front.will(silent), b"")
        closed(request.link)
        assert request.aborted and request.whole

    def test_closes_in_the_body(self, front):
        front.start()
        request = self.leave(front, front.will(silent), b"abc")
        closed(request.link)
        assert request.aborted and not request.whole
        assert request.body == b"abc"

    def test_closes_in_the_answer(self, front):
        front.start()
        backend = front.will(then_stays(lambda r: r.out(TEXT + b"\nhalf")))
        request = self.leave(front, backend, b"", wait=True)
        closed(request.link)
        assert request.aborted

    def leave(self, front, backend, body, wait=False):
        client = front.connect()
        items = variables(method="POST", CONTENT_LENGTH=str(
            100 if body else 0))
        client.send(fcgi.begin() + fcgi.stream(
            fcgi.PARAMS, fcgi.pairs(items))
            + fcgi.stream(fcgi.STDIN, body, close=not body))
        request = awaited(backend)
        until(lambda: bytes(request.body) == body, "what was sent")
        if wait:
            client.record()
        client.close()
        until(lambda: " client-gone " in front.log(), "the log", 3)
        return request

    @pytest.mark.parametrize("host", [None, "127.0.0.1"],
                             ids=["unix", "tcp"])
    def test_with_half_a_record_on_its_way(self, folder, helper, host):
        """No ABORT can stand inside a record."""
        made = Forwarding(folder, helper, host)
        try:
            self.fill_and_leave(made.start())
        finally:
            made.end()

    @staticmethod
    def fill_and_leave(front):
        """The client goes when the backend takes little, and has room for
        an ABORT all the same."""
        def play(r):
            assert backend.go.wait(WAIT)
            r.link.more()
            left.wait(WAIT)
            r.left()
        left = threading.Event()
        backend = front.will(play)
        client = front.connect()
        items = variables(method="POST", CONTENT_LENGTH=str(50 * MIB))
        client.send(fcgi.begin() + fcgi.stream(
            fcgi.PARAMS, fcgi.pairs(items)))
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.send(fcgi.stream(fcgi.STDIN, bytes(50 * MIB)))
        link = awaited(backend).link
        before = len(link.raw)
        backend.go.set()
        until(lambda: len(link.raw) > before, "what it takes")
        client.close()
        until(lambda: " client-gone " in front.log(), "the log", 3)
        left.set()
        closed(link, WAIT)
        records, rest = link.records()
        for kind, _, content in records:
            assert kind in (fcgi.BEGIN, fcgi.PARAMS, fcgi.STDIN, fcgi.ABORT)
            assert kind != fcgi.STDIN or not content.strip(b"\0")
        # an ABORT would show among the zeros of the body
        assert rest[8:].strip(b"\0") == b""

    def test_aborts(self, front):
        """E78: the next request on its connection is answered."""
        front.start()
        backend = front.will(silent)
        with front.connect() as client:
            client.request(variables(), flags=KEEP)
            request = awaited(backend)
            client.send(fcgi.record(fcgi.ABORT))
            assert client.answer().ended
            closed(request.link)
            assert request.aborted
            backend.play = echo
            client.request(variables(), id=2)
            assert of_fcgi(client.answer(2)).status == 200

    @pytest.mark.parametrize("answer", [b"", TEXT + b"\nhalf"])
    def test_cgi(self, front, answer):
        backend = front.will(then_stays(lambda r: r.out(answer)))
        process = front.cgi_start()
        request = awaited(backend)
        process.stdout.close()
        closed(request.link)
        assert request.aborted
        process.wait(WAIT)
        process.stdin.close()
        process.stderr.close()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_cgi_is_told_to_end(self, front, number):
        """SPEC 5.1"""
        backend = front.will(silent)
        process = front.cgi_start()
        request = awaited(backend)
        process.send_signal(number)
        closed(request.link)
        process.communicate(timeout=WAIT)


# --- connections that are kept ----------------------------------------------


class TestNotKept:
    """By default."""

    def test_closed_by_us(self, front):
        """Also where the backend would go on."""
        front.start()
        backend = front.will(then_stays(
            lambda r: r.whole_answer(TEXT + b"\nbody")))
        for n in range(3):
            assert front.ask().body == b"body"
            assert len(backend.links) == n + 1
            closed(backend.links[n])
        assert {r.flags for r in backend.requests} == {0}


class TestKept:
    """forward_keep: at most so many idle ones."""

    @pytest.fixture
    def kept(self, front):
        front.configure("forward_keep = 2")
        front.start()
        return front

    def test_one_connection(self, kept):
        backend = kept.will(echo)
        for n in range(10):
            body = block(n * 10000)
            answer = kept.ask(method="POST", body=body)
            assert answer.body == kit.echo(body)
        # a client that asks again at once may be faster than the keeping
        assert len(backend.links) <= 5
        assert {r.flags for r in backend.requests} == {KEEP}
        assert [bytes(r.body) for r in backend.requests] == [
            block(n * 10000) for n in range(10)]

    def test_no_more_than_that(self, kept):
        """E105: what is beyond it ends with its request."""
        def play(r):
            assert backend.go.wait(WAIT)
            echo(r)
        backend = kept.will(play)
        self.at_once(kept, 5)
        until(lambda: sum(li.done.is_set() for li in backend.links) == 3,
              "three ends")
        # and the other two are taken before a new one is made
        backend.go.clear()
        self.at_once(kept, 2)
        assert len(backend.links) == 5

    @staticmethod
    def at_once(kept, n):
        """So many requests that wait for each other at the backend."""
        backend = kept.backend
        before = len(backend.requests)
        clients = [kept.connect() for _ in range(n)]
        for client in clients:
            client.request(variables())
        until(lambda: len(backend.requests) == before + n, "all of them")
        backend.go.set()
        for client in clients:
            assert of_fcgi(client.answer()).status == 200
            client.close()

    def test_backend_has_closed(self, kept):
        """Never used again; nothing is lost."""
        backend = kept.will(echo)
        for n in range(5):
            body = block(1000)
            answer = kept.ask(method="POST", body=body)
            assert answer.body == kit.echo(body), answer
            link = backend.links[-1]
            link.shut()
            closed(link)
        assert len(backend.links) == 5

    def test_backend_closes_all_the_same(self, kept):
        """FCGI_KEEP_CONN is only asked for."""
        def play(r):
            echo(r)
            r.link.shut()
        backend = kept.will(play)
        for n in range(5):
            assert kept.ask().status == 200
            closed(backend.links[-1])
        assert len(backend.links) == 5

    def test_backend_is_restarted(self, kept):
        backend = kept.will(echo)
        for n in range(3):
            assert kept.ask().status == 200
            backend.stop()
            backend.start()
            assert kept.ask().status == 200

    @pytest.mark.parametrize("make", [
        lambda r: r.err(b"late\n"), lambda r: r.end(),
        lambda r: r.whole_answer(TEXT + b"\nevil"), lambda r: b"\1",
        lambda r: b"garbage"])
    @pytest.mark.parametrize("pause", [0, 0.1])
    def test_bytes_behind_the_end(self, kept, pause, make):
        """They are no part of the next answer."""
        def play(r):
            answer = r.whole_answer(TYPE + kit.echo(r.read()))
            try:
                if pause:
                    r.send(answer)
                    time.sleep(pause)
                    answer = b""
                r.send(answer + make(r))
            finally:
                sent.append(r)
        sent = []
        backend = kept.will(play)
        for n in range(3):
            before = len(backend.requests)
            body = b"x" * n
            answer = kept.ask(method="POST", body=body)
            assert answer.body == kit.echo(body), answer
            assert len(backend.requests) == before + 1
            until(lambda: len(sent) == before + 1, "the bytes")

    def test_early_answer(self, kept):
        """The rest of a body never stands before the next request."""
        backend = kept.will(says_at_once(
            lambda r: r.whole_answer(TEXT + b"\nearly")))
        for n in range(4):
            answer = kept.ask(method="POST", body=block(2 * MIB))
            assert answer.body == b"early"
        assert len(backend.requests) == 4

    @pytest.mark.parametrize("make", [
        lambda r: r.out(TEXT + b"\nhalf"), lambda r: r.out(HALF),
        lambda r: r.out(TEXT + b"\nhalf") + bytes(8)])
    def test_what_failed_is_not_kept(self, kept, make):
        def play(r):
            if r.get("HTTP_X_BAD") is None:
                echo(r)
                return
            r.send(make(r))
            r.link.shut()
        backend = kept.will(play)
        for n in range(3):
            assert kept.ask().status == 200
            bad = kept.ask(HTTP_X_BAD="1")
            assert bad.broken or bad.status == 502
        assert len(backend.requests) == 6

    def test_client_left(self, kept):
        """An aborted one is not kept either."""
        def play(r):
            if r.get("HTTP_X_BAD") is None:
                echo(r)
            else:
                r.left()
        backend = kept.will(play)
        assert kept.ask().status == 200
        with kept.connect() as client:
            client.request(variables(HTTP_X_BAD="1"))
            until(lambda: len(backend.requests) == 2, "a request")
        closed(backend.requests[1].link)
        assert backend.requests[1].aborted
        assert kept.ask().status == 200

    def test_closed_at_the_end(self, kept):
        backend = kept.will(echo)
        assert kept.ask().status == 200
        link, = backend.links
        assert not link.done.is_set()
        assert kept.stop() == 0
        closed(link)

    def test_two_backends(self, front):
        """Each has its own."""
        second = Backend(front.path / "second.sock").start()
        try:
            front.configure(whole=(
                "[policy]\nsenders = {sender}\nforward_keep = 1\n"
                f"[endpoint a]\npath = /amp/a\n"
                f"forward = {front.backend.name}\n"
                f"[endpoint b]\npath = /amp/b\nforward = {second.name}\n"))
            front.start()
            second.settle()
            for _ in range(10):
                assert front.ask(path="/a").status == 200
                assert front.ask(path="/b").status == 200
            for backend in (front.backend, second):
                assert len(backend.requests) == 10
                assert len(backend.links) <= 5
                until(lambda: sum(not hung_up(li)
                                  for li in backend.links) == 1, "one of each")
        finally:
            front.stop()
            second.stop()

    def test_cgi(self, front):
        """A process keeps nothing, and waits for nothing."""
        front.configure("forward_keep = 2")
        for n in range(2):
            assert front.cgi().status == 200
            closed(front.backend.links[n])
        assert len(front.backend.links) == 2


# --- load, and the end ------------------------------------------------------


class TestLoad:
    def waiting(self, front):
        def play(r):
            assert backend.go.wait(WAIT)
            echo(r)
        backend = front.will(play)
        return backend

    def test_busy(self, front):
        """SPEC 4.7: a request to a backend takes a place, too."""
        front.configure(server="threads = 1\nqueue = 0")
        front.start()
        backend = self.waiting(front)
        with front.connect() as client:
            client.request(variables())
            awaited(backend)
            assert front.ask().reason() == "busy"
            assert front.ask(
                sender="a@b.example").reason() == "sender-not-allowed"
            backend.go.set()
            assert of_fcgi(client.answer()).status == 200
        assert len(backend.links) == 1

    def test_many(self, front):
        front.configure(server="threads = 4\nqueue = 64")
        front.start()
        backend = front.will(echo)
        clients = [front.connect() for _ in range(60)]
        for client in clients:
            client.request(variables())
        for client in clients:
            assert of_fcgi(client.answer()).status == 200
            client.close()
        assert len(backend.requests) == 60

    def test_nothing_is_lost(self, front):
        """Descriptors, after each kind of end."""
        front.start()
        front.will(echo)
        front.ask()
        folder = f"/proc/{front.child.pid}/fd"
        time.sleep(0.2)
        before = len(os.listdir(folder))
        for name in BEFORE:
            front.will(BEFORE[name][0])
            front.ask(method="POST", body=b"abc")
        for name in AFTER:
            front.will(AFTER[name][0])
            front.ask()
        front.backend.stop()
        front.ask()
        until(lambda: len(os.listdir(folder)) <= before, "descriptors", 3)
        front.backend.start()
        assert front.ask().status == 200

    def test_no_descriptor(self, front):
        """E81: 503, and it goes on."""
        front.configure(server="threads = 4\nhead_timeout = 60")
        front.start(preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (32, 32)))
        front.will(echo)
        front.ask()
        folder = f"/proc/{front.child.pid}/fd"
        clients = []
        while len(os.listdir(folder)) < 32:
            assert len(clients) < 40
            clients.append(front.connect())
            time.sleep(0.02)
        clients[0].request(variables())
        answer = of_fcgi(clients[0].answer())
        assert (answer.status, answer.reason()) == (503, "overloaded")
        assert ours(answer.headers) == V2
        for client in clients:
            client.close()
        end = time.monotonic() + 15
        while front.ask().status != 200:
            assert time.monotonic() < end

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stop(self, front, number):
        """E82: what is in flight is finished."""
        front.start()
        backend = self.waiting(front)
        with front.connect() as client:
            client.request(variables())
            awaited(backend)
            front.child.send_signal(number)
            time.sleep(0.3)
            backend.go.set()
            answer = of_fcgi(client.answer())
        assert answer.status == 200 and not answer.broken
        assert front.child.wait() == 0

    def test_stop_grace(self, front):
        """What does not end in time is ended."""
        front.configure("timeout = 60", "stop_grace = 1")
        front.start()
        backend = front.will(silent)
        with front.connect() as client:
            client.request(variables())
            request = awaited(backend)
            front.child.send_signal(signal.SIGTERM)
            assert front.child.wait(6) == 0
            closed(request.link)
            assert request.aborted


class TestReport:
    """SPEC 2.8: what would be refused goes to the backend, and its own
    fields pass."""

    policy = "mode = report"

    def test_passes(self, way):
        backend = way.front.will(framed(
            "whole", TEXT + b"Access-Control-Allow-Origin: *\n\nbody"))
        answer = way.ask(sender="a@b.example")
        assert answer.status == 200 and answer.body == b"body"
        assert ours(answer.headers) == [("Access-Control-Allow-Origin", "*")]
        assert backend.one().get("AMP_CORS_SENDER") is None
